//! Bodies: how one stands, and its skin, hair and face. Lengths are heads, (0, 0) is the base of the neck.
//! Must not know what is worn.

use super::cloth::{Cloth, Colour, Weave, any_colour};
use super::dice::Dice;
use super::shape::{Path, Point, add, around, direction, ellipse, limb, mix, outline, stroke};
use super::sketch::Sketch;

/// Shoulder, elbow, wrist and fingertips; or hip, knee, ankle and tip of the foot.
pub(super) type Joints = [Point; 4];

/// How somebody, or a garment without anybody in it, is posed. Index 0 is the viewer's left.
pub(super) struct Body {
    pub(super) arms: [Joints; 2],
    /// Arms before (50, 60) or behind (-30) the trunk.
    pub(super) arms_z: [i32; 2],
    pub(super) legs: [Joints; 2],
    pub(super) head: Point,
    /// Seen from behind.
    pub(super) back: bool,
    /// Nobody in it.
    pub(super) laid: bool,
    /// A mannequin that ends at the neck.
    pub(super) headless: bool,
    build: f32,
    turn: f32,
    tilt: [f32; 2],
    pelvis: Point,
}

fn polar(from: Point, angle: f32, reach: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [from[0] + sin * reach, from[1] + cos * reach]
}

fn arm(shoulder: Point, upper: f32, fore: f32, hand: f32) -> Joints {
    let elbow = polar(shoulder, upper, 1.28);
    let wrist = polar(elbow, fore, 1.08);
    [shoulder, elbow, wrist, polar(wrist, hand, 0.55)]
}

impl Body {
    /// A person or a mannequin on its feet.
    pub(super) fn standing(dice: &mut Dice, mannequin: bool) -> Self {
        let sway = dice.range(-0.1, 0.1);
        let mut body = Self::at_ease(dice, [sway * 0.7, -sway]);
        (body.turn, body.back) = (dice.pick(&[1.0, 1.0, 1.0, 0.85, 0.7]), dice.chance(0.08));
        body.headless = mannequin && dice.chance(0.5);
        let stance = dice.range(0.0, 0.32);
        let walk = if dice.chance(0.45) { dice.range(-0.35, 0.35) } else { 0.0 };
        for (i, side) in [-1.0_f32, 1.0].into_iter().enumerate() {
            // Hanging, on the hip, in the pocket, before the chest, raised, spread.
            let (upper, bend) = match dice.below(10) {
                0..=3 => (dice.range(0.05, 0.3), -dice.range(0.0, 0.45)),
                4 | 5 => (dice.range(0.55, 0.8), -dice.range(1.25, 1.6)),
                6 => (dice.range(0.3, 0.5), -dice.range(0.5, 0.9)),
                7 => (dice.range(0.1, 0.3), -dice.range(1.7, 2.2)),
                8 => (dice.range(1.6, 2.6), dice.range(0.2, 0.9)),
                _ => (dice.range(0.4, 1.3), dice.range(-0.2, 0.3)),
            };
            let shoulder = body.at(side * 0.62, 0.3);
            body.arms[i] = arm(shoulder, side * upper, side * (upper + bend), side * (upper + bend * 1.15));
            body.arms_z[i] = if dice.chance(0.08) { -30 } else { 50 + 10 * i as i32 };
            let hip = body.at(side * 0.3, 2.35);
            let knee = [hip[0] + side * stance * 0.5 + dice.range(-0.05, 0.05), hip[1] + 1.85 + walk * side * 0.1];
            let ankle = [knee[0] + side * stance * 0.4 - walk * 0.2, knee[1] + 1.7 + walk * side * 0.35];
            let out = side * dice.range(0.1, 0.45) + (1.0 - body.turn);
            body.legs[i] = [hip, knee, ankle, [ankle[0] + out * 0.7, ankle[1] + 0.42 - out.abs() * 0.2]];
        }
        body
    }

    /// A person or a mannequin that stands still and faces the viewer, arms down or a hand on the hip.
    pub(super) fn upright(dice: &mut Dice, mannequin: bool) -> Self {
        let sway = dice.range(-0.05, 0.05);
        let mut body = Self::at_ease(dice, [sway * 0.7, -sway]);
        body.headless = mannequin && dice.chance(0.5);
        let stance = dice.range(0.06, 0.26);
        for (i, side) in [-1.0_f32, 1.0].into_iter().enumerate() {
            let (upper, bend) = match dice.below(8) {
                0 => (dice.range(0.6, 0.75), -dice.range(1.3, 1.5)),
                _ => (dice.range(0.1, 0.3), -dice.range(0.0, 0.3)),
            };
            body.arms[i] = arm(body.at(side * 0.62, 0.3), side * upper, side * (upper + bend), side * (upper + bend));
            let hip = body.at(side * 0.3, 2.35);
            let knee = [hip[0] + side * stance * 0.5, hip[1] + 1.85];
            let ankle = [knee[0] + side * stance * 0.4, knee[1] + 1.7];
            let out = side * dice.range(0.15, 0.4);
            body.legs[i] = [hip, knee, ankle, [ankle[0] + out * 0.7, ankle[1] + 0.42 - out.abs() * 0.2]];
        }
        body
    }

    /// Garments laid out or hung with nobody in them; some are folded, their sleeves across.
    pub(super) fn laid_out(dice: &mut Dice) -> Self {
        let mut body = Self::at_ease(dice, [0.0, 0.0]);
        (body.laid, body.build) = (true, 1.0);
        let folded = dice.chance(0.2);
        let (upper, spread) = (dice.range(0.12, 1.1), dice.range(0.0, 0.35));
        for (i, side) in [-1.0_f32, 1.0].into_iter().enumerate() {
            let fore = if folded { -2.05 } else { upper + dice.range(-0.15, 0.05) };
            let upper = if folded { 0.25 } else { upper };
            body.arms[i] = arm([side * 0.62, 0.3], side * upper, side * fore, side * fore);
            // Folded trousers lie with one leg on the other.
            let out = if folded { 0.02 - 0.28 * side } else { spread };
            let (hip, knee) = ([side * 0.3, 2.35], [side * (0.3 + out * 0.5), 4.2]);
            let ankle = [knee[0] + side * out * 0.4, 5.9];
            body.legs[i] = [hip, knee, ankle, [ankle[0] + side * 0.72, ankle[1] + 0.2]];
        }
        body
    }

    fn at_ease(dice: &mut Dice, tilt: [f32; 2]) -> Self {
        let (zero, build) = ([[[0.0; 2]; 4]; 2], dice.range(0.9, 1.16));
        let (pelvis, head) = ([tilt[1] * -1.5, 2.3], [tilt[0] * 0.6 + dice.range(-0.06, 0.06), -0.72]);
        Self {
            arms: zero,
            arms_z: [50, 60],
            legs: zero,
            head,
            back: false,
            laid: false,
            headless: false,
            build,
            turn: 1.0,
            tilt,
            pelvis,
        }
    }

    /// A place on the trunk: `x` to the side from its middle, `y` down from the neck (1.4 the waist, 2.3 the hips);
    /// below it goes on between the legs (4.2 the knees, 5.9 the ankles).
    pub(super) fn at(&self, x: f32, y: f32) -> Point {
        let t = (y / 2.3).clamp(0.0, 1.0);
        let mean = |joint: usize| mix(self.legs[0][joint], self.legs[1][joint], 0.5);
        let middle = match y {
            y if y <= 2.3 => [self.pelvis[0] * t * t, y],
            y if y <= 4.2 => mix(self.pelvis, mean(1), (y - 2.3) / 1.9),
            y => add(mean(1), direction(mean(1), mean(2)), y - 4.2),
        };
        let tilt = self.tilt[0] + (self.tilt[1] - self.tilt[0]) * t;
        [middle[0] + x * self.turn * self.build, middle[1] + x * tilt]
    }

    /// Half the trunk's width at a height.
    pub(super) fn girth(&self, y: f32) -> f32 {
        let t = (y - 0.2) / 2.7;
        taper(&[0.72, 0.63, 0.56, 0.51, 0.5, 0.54, 0.62, 0.65, 0.64, 0.6], t)
    }

    /// An outline on the trunk from its right half `x, y, slack`, top to bottom; the left mirrors it.
    pub(super) fn mirrored(&self, right: &[f32]) -> Path {
        let (nodes, _) = right.as_chunks::<3>();
        let left = nodes.iter().rev().filter(|n| n[0] != 0.0).flat_map(|n| [-n[0], n[1], n[2]]);
        self.shape(&right.iter().copied().chain(left).collect::<Vec<_>>())
    }

    /// An outline on the trunk through `x, y, slack`.
    pub(super) fn shape(&self, nodes: &[f32]) -> Path {
        let (nodes, _) = nodes.as_chunks::<3>();
        let placed = nodes.iter().map(|n| (self.at(n[0], n[1]), n[2]));
        outline(&placed.flat_map(|(p, slack)| [p[0], p[1], slack]).collect::<Vec<_>>())
    }
}

/// Knots spread evenly over 0..1, joined by straight lines.
pub(super) fn taper(knots: &[f32], t: f32) -> f32 {
    let at = t.clamp(0.0, 1.0) * (knots.len() - 1) as f32;
    let low = (at as usize).min(knots.len() - 2);
    knots[low] + (knots[low + 1] - knots[low]) * (at - low as f32)
}

/// Radii from hip to ankle.
pub(super) const LEG: [f32; 5] = [0.34, 0.28, 0.19, 0.19, 0.11];

/// A stretch of an arm or leg (0 its top, 1 the wrist or ankle) as a tube; `radius(t)` is its radius along the way.
pub(super) fn sleeve(joints: &Joints, from: f32, to: f32, round: bool, radius: impl Fn(f32) -> f32) -> Path {
    let steps = (((to - from) * 8.0) as usize).max(2);
    let stations = (0..=steps).map(|i| from + (to - from) * i as f32 / steps as f32);
    let spine = stations.flat_map(|t| {
        let p = on_limb(joints, t);
        [p[0], p[1], radius(t)]
    });
    limb(&spine.collect::<Vec<_>>(), round)
}

/// The point at a share of an arm or leg.
pub(super) fn on_limb(joints: &Joints, t: f32) -> Point {
    let [a, b, c, _] = *joints;
    match t {
        t if t < 0.42 => mix(a, b, t / 0.5),
        // The middle joint is rounded, so that cloth does not break there.
        t if t <= 0.58 => {
            let s = (t - 0.42) / 0.16;
            let (p, q) = (mix(a, b, 0.84), mix(b, c, 0.16));
            mix(mix(p, b, s), mix(b, q, s), s)
        }
        t => mix(b, c, (t - 0.5) / 0.5),
    }
}

/// Skin, hands, feet, head, hair and face; a mannequin has one colour and no face. Returns the colour of the skin.
pub(super) fn draw(sketch: &mut Sketch, body: &Body, dice: &mut Dice, mannequin: bool) -> Colour {
    const SKIN: [u32; 7] = [0xF7D6C2, 0xEDC2A6, 0xDEAD8A, 0xC28F6B, 0x996B4D, 0x704D38, 0x4F3629];
    let tone = tone(dice.pick(if mannequin { &[0xEDEBE6, 0xBFBFC2, 0x333336, 0xDBC2A3] } else { &SKIN[..] }));
    let skin = Cloth::plain(tone, Weave::Smooth, dice.bits());
    let b = body.build;
    for leg in &body.legs {
        sketch.layer(0, None, vec![sleeve(leg, -0.05, 1.0, true, |t| b * taper(&LEG, t))], &skin).feel(0.8, 0.2, 0.0);
        let foot = stroke(&[add(leg[2], [0.0, -0.05], 1.0), mix(leg[2], leg[3], 0.75)], 0.12, true);
        sketch.layer(1, None, vec![foot], &skin).feel(0.8, 0.08, 0.0);
    }
    let down: Vec<f32> = (0..9).map(|i| 0.26 + 0.27 * i as f32).flat_map(|y| [body.girth(y) * 0.97, y, 1.0]).collect();
    let trunk = [&[0.0, 0.0, 1.0, 0.3, 0.04, 1.0][..], &down, &[0.25, 2.75, 1.0, 0.0, 2.8, 1.0]].concat();
    let h = body.head;
    let top = if body.headless { [0.0, -0.3] } else { h };
    let throat = limb(&[top[0], top[1], 0.2, top[0] * 0.4, -0.2, 0.19, 0.0, 0.12, 0.3], false);
    sketch.layer(2, None, vec![body.mirrored(&trunk), throat], &skin).feel(0.8, 0.2, 0.05);
    for (arm, z) in body.arms.iter().zip(body.arms_z) {
        let tube = sleeve(arm, 0.0, 1.0, true, |t| b * taper(&[0.2, 0.165, 0.135, 0.125, 0.085], t));
        let ([ax, ay], [cx, cy], [ex, ey]) = (arm[2], mix(arm[2], arm[3], 0.4), mix(arm[2], arm[3], 0.85));
        let hand = limb(&[ax, ay, 0.09, cx, cy, 0.125, ex, ey, 0.065], true);
        let thumb = limb(&[ax, ay, 0.06, cx - cx.signum() * 0.13, cy + 0.06, 0.042], true);
        sketch.layer(z, None, vec![tube, hand, thumb], &skin).feel(0.8, 0.11, 0.0).along(arm[0], arm[2]);
    }
    if body.headless {
        sketch.layer(4, None, vec![ellipse([0.0, -0.3], 0.2, 0.06, 0.0)], &skin.shaded(0.8)).feel(0.2, 0.1, 0.0);
        return tone;
    }
    let skull = [
        0.0, -0.5, 1.0, 0.28, -0.4, 1.0, 0.37, -0.08, 1.0, 0.31, 0.22, 1.0, 0.14, 0.46, 1.0, 0.0, 0.5, 1.0, -0.14,
        0.46, 1.0, -0.31, 0.22, 1.0, -0.37, -0.08, 1.0, -0.28, -0.4, 1.0,
    ];
    sketch.layer(70, None, vec![around(h, [1.0, 1.0], &skull)], &skin).feel(0.7, 0.24, 0.0).shadow(0.8);
    if !mannequin {
        const HAIR: [u32; 6] = [0x140F0D, 0x331F14, 0x613D24, 0xB88C54, 0x8C421F, 0x999694];
        let hair = if dice.chance(0.1) { any_colour(dice) } else { self::tone(dice.pick(&HAIR)) };
        if !body.back {
            face(sketch, h, dice, &skin, hair);
        }
        let hair = Cloth::plain(hair, Weave::Fluffy, dice.bits());
        hairdo(sketch, body, dice, &hair);
    }
    tone
}

fn tone(hex: u32) -> Colour {
    [16, 8, 0].map(|shift| (hex >> shift & 255) as f32 / 255.0)
}

fn face(sketch: &mut Sketch, h: Point, dice: &mut Dice, skin: &Cloth, hair: Colour) {
    let tone = skin.colours[0];
    let mut dab = |path: Path, colour: Colour, opacity: f32| {
        let layer = sketch.layer(71, None, vec![path], &Cloth::plain(colour, Weave::Smooth, 1));
        layer.feel(if opacity < 1.0 { 0.0 } else { 0.3 }, 0.02, 0.0).shadow(0.0).opacity(opacity);
    };
    let m = [h[0] + dice.range(-0.06, 0.06), h[1]];
    let smile = dice.range(0.0, 0.5);
    for side in [-1.0, 1.0] {
        dab(ellipse([h[0] + side * 0.36, h[1] + 0.02], 0.05, 0.1, 0.0), tone, 1.0);
        let e = [m[0] + side * 0.15, m[1] - 0.02];
        dab(ellipse(e, 0.075, 0.035, 0.0), [0.95, 0.94, 0.92], 1.0);
        dab(ellipse(e, 0.032, 0.034, 0.0), [0.16, 0.1, 0.07], 1.0);
        let lid = [e[0] - 0.085, e[1], 0.006, e[0], e[1] - 0.042, 0.014, e[0] + 0.085, e[1], 0.006];
        dab(limb(&lid, true), [0.1, 0.06, 0.05], 0.9);
        let brow = [e[0] - 0.09, e[1] - 0.1, 0.012, e[0], e[1] - 0.13, 0.018, e[0] + 0.09, e[1] - 0.1, 0.01];
        dab(limb(&brow, true), hair.map(|c| c * 0.7), 0.8);
        dab(ellipse([e[0] + side * 0.06, e[1] + 0.17], 0.09, 0.06, 0.0), [tone[0], tone[1] * 0.6, tone[2] * 0.6], 0.2);
    }
    let nose = [m[0] + 0.02, m[1] + 0.02, 0.008, m[0] + 0.05, m[1] + 0.15, 0.012, m[0], m[1] + 0.17, 0.01];
    dab(limb(&nose, true), tone.map(|c| c * 0.45), 0.4);
    let lips = [-1.0, -smile, 0.3, 0.0, -0.4, 0.9, 1.0, -smile, 0.3, 0.0, 0.8, 0.9];
    let colour = [tone[0] * 0.85, tone[1] * 0.52, tone[2] * 0.52];
    dab(around([m[0], m[1] + 0.29], [0.11, 0.06], &lips), colour, 1.0);
}

fn hairdo(sketch: &mut Sketch, body: &Body, dice: &mut Dice, hair: &Cloth) {
    let h = body.head;
    let (style, part) = (dice.below(5), dice.range(-0.15, 0.15));
    let locks = |nodes: &[f32]| vec![around(h, [1.0, 1.0], nodes)];
    let top = if body.back || style == 0 {
        let low = if body.back { 0.42 } else { -0.22 };
        let top = [-0.385, -0.05, 0.4, -0.36, -0.35, 1.0, 0.0, -0.56, 1.0, 0.36, -0.35, 1.0, 0.385, -0.05, 0.4];
        locks(&[&top[..], &[0.3, low, 1.0, 0.0, low - 0.1, 1.0, -0.3, low, 1.0]].concat())
    } else {
        locks(&[
            -0.4, 0.05, 0.3, -0.39, -0.3, 1.0, -0.2, -0.55, 1.0, 0.05, -0.6, 1.0, 0.3, -0.48, 1.0, 0.4, -0.25, 1.0,
            0.4, 0.05, 0.3, 0.32, -0.2, 1.0, part, -0.34, 0.6, -0.32, -0.18, 1.0,
        ])
    };
    sketch.layer(73, None, top, hair).feel(0.8, 0.16, 0.25);
    let fall = match style {
        2 => dice.range(0.4, 0.6),
        3 => dice.range(0.8, 1.7),
        4 => {
            let bun = ellipse([h[0] + part, h[1] - 0.62], 0.2, 0.19, 0.0);
            sketch.layer(68, None, vec![bun], hair).feel(0.8, 0.14, 0.3);
            return;
        }
        _ => return,
    };
    let low = fall + 0.22;
    let long = [-0.36, -0.45, 1.0, 0.0, -0.6, 1.0, 0.36, -0.45, 1.0, 0.48, 0.1, 1.0, 0.5, fall, 1.0];
    let long = [&long[..], &[0.3, low, 0.6, -0.3, low, 0.6, -0.52, fall, 1.0, -0.48, 0.1, 1.0]].concat();
    sketch.layer(if body.back { 72 } else { -40 }, None, locks(&long), hair).feel(0.8, 0.2, 0.8);
    if dice.chance(0.5) && !body.back {
        let x = |v: f32| h[0] + v * part.signum();
        let lock = [x(0.36), h[1] - 0.2, 0.06, x(0.42), h[1] + 0.3, 0.12, x(0.36), h[1] + fall + 0.2, 0.05];
        sketch.layer(73, None, vec![limb(&lock, true)], hair).feel(0.8, 0.1, 0.5);
    }
}
