//! Bodies: how one stands, and its skin, hair and face. Lengths are heads, (0, 0) is the base of the neck.
//! Must not know what is worn.

use super::cloth::{Cloth, Colour, Weave, any_colour};
use super::dice::Dice;
use super::shape::{Path, Point, add, direction, ellipse, limb, mix, outline};
use super::sketch::Sketch;

/// Shoulder, elbow, wrist and fingertips; or hip, knee, ankle and tip of the foot.
pub(super) type Joints = [Point; 4];

/// How somebody, or a garment without anybody in it, is posed. Index 0 is the viewer's left.
pub(super) struct Body {
    pub(super) arms: [Joints; 2],
    /// Arms before (50) or behind (-30) the trunk.
    pub(super) arms_z: [i32; 2],
    pub(super) legs: [Joints; 2],
    pub(super) head: Point,
    /// Seen from behind.
    pub(super) back: bool,
    /// Nobody in it: garments lie flat.
    pub(super) laid: bool,
    build: f32,
    turn: f32,
    tilt: [f32; 2],
    pelvis: Point,
}

fn polar(from: Point, angle: f32, reach: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [from[0] + sin * reach, from[1] + cos * reach]
}

impl Body {
    /// A person or a mannequin on its feet.
    pub(super) fn standing(dice: &mut Dice) -> Self {
        let sway = dice.range(-0.1, 0.1);
        let mut body = Self::at_ease(dice, [sway * 0.7, -sway]);
        let turn = dice.pick(&[1.0, 1.0, 1.0, 0.85, 0.7]);
        (body.turn, body.back) = (turn, dice.chance(0.08));
        let stance = dice.range(0.0, 0.32);
        let walk = if dice.chance(0.45) { dice.range(-0.35, 0.35) } else { 0.0 };
        for (i, side) in [-1.0_f32, 1.0].into_iter().enumerate() {
            let shoulder = body.at(side * 0.66, 0.3);
            let (upper, bend) = match dice.below(10) {
                0..=3 => (dice.range(0.05, 0.3), -dice.range(0.0, 0.45)),
                4 | 5 => (dice.range(0.55, 0.8), -dice.range(1.25, 1.6)),
                6 => (dice.range(0.3, 0.5), -dice.range(0.5, 0.9)),
                7 => (dice.range(0.1, 0.3), -dice.range(1.7, 2.2)),
                8 => (dice.range(1.6, 2.6), dice.range(0.2, 0.9)),
                _ => (dice.range(0.4, 1.3), dice.range(-0.2, 0.3)),
            };
            let elbow = polar(shoulder, side * upper, 1.28);
            let wrist = polar(elbow, side * (upper + bend), 1.08);
            body.arms[i] = [shoulder, elbow, wrist, polar(wrist, side * (upper + bend * 1.15), 0.55)];
            body.arms_z[i] = if dice.chance(0.08) { -30 } else { 50 + 10 * i as i32 };
            let hip = body.at(side * 0.3, 2.35);
            let forward = walk * side;
            let knee = [hip[0] + side * stance * 0.5 + dice.range(-0.05, 0.05), hip[1] + 1.85 + forward * 0.1];
            let ankle = [knee[0] + side * stance * 0.4 - walk * 0.2, knee[1] + 1.7 + forward * 0.35];
            let out = side * dice.range(0.1, 0.5) + (1.0 - turn);
            body.legs[i] = [hip, knee, ankle, [ankle[0] + out * 0.8, ankle[1] + 0.5 - out.abs() * 0.25]];
        }
        body
    }

    /// Garments laid out or hung with nobody in them; folded ones have their sleeves across.
    pub(super) fn laid_out(dice: &mut Dice) -> Self {
        let mut body = Self::at_ease(dice, [0.0, 0.0]);
        body.laid = true;
        let folded = dice.chance(0.2);
        let (arm, spread) = (dice.range(0.12, 1.1), dice.range(0.0, 0.35));
        for (i, side) in [-1.0_f32, 1.0].into_iter().enumerate() {
            let (upper, bend) = if folded { (0.25, -2.3) } else { (arm, dice.range(-0.15, 0.05)) };
            let shoulder = [side * 0.66, 0.3];
            let elbow = polar(shoulder, side * upper, 1.28);
            let wrist = polar(elbow, side * (upper + bend), 1.08);
            body.arms[i] = [shoulder, elbow, wrist, polar(wrist, side * (upper + bend), 0.55)];
            let hip = [side * 0.3, 2.35];
            // Folded trousers lie with one leg on the other.
            let out = if folded { 0.02 - 0.28 * side } else { spread };
            let knee = [hip[0] + side * out * 0.5, hip[1] + 1.85];
            let ankle = [knee[0] + side * out * 0.4, knee[1] + 1.7];
            body.legs[i] = [hip, knee, ankle, [ankle[0] + side * 0.75, ankle[1] + 0.2]];
        }
        body
    }

    fn at_ease(dice: &mut Dice, tilt: [f32; 2]) -> Self {
        let pelvis = [tilt[1] * -1.5, 2.3];
        let head = [tilt[0] * 0.6 + dice.range(-0.06, 0.06), -0.72];
        let zero = [[[0.0; 2]; 4]; 2];
        let build = dice.range(0.9, 1.16);
        Self {
            arms: zero,
            arms_z: [50, 60],
            legs: zero,
            head,
            back: false,
            laid: false,
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
        const GIRTH: [(f32, f32); 6] = [(0.2, 0.74), (0.8, 0.6), (1.4, 0.5), (2.1, 0.65), (2.5, 0.64), (2.9, 0.6)];
        let i = GIRTH.iter().position(|g| g.0 > y).unwrap_or(GIRTH.len() - 1).max(1);
        let (a, b) = (GIRTH[i - 1], GIRTH[i]);
        let t = ((y - a.0) / (b.0 - a.0)).clamp(0.0, 1.0);
        a.1 + (b.1 - a.1) * t * t * (3.0 - 2.0 * t)
    }

    /// An outline on the trunk from its right half `[x, y, slack]`, top to bottom; the left mirrors it.
    pub(super) fn mirrored(&self, right: &[[f32; 3]]) -> Path {
        let left = right.iter().rev().filter(|n| n[0] != 0.0).map(|n| [-n[0], n[1], n[2]]);
        self.shape(&right.iter().copied().chain(left).collect::<Vec<_>>())
    }

    /// An outline on the trunk through `[x, y, slack]`.
    pub(super) fn shape(&self, nodes: &[[f32; 3]]) -> Path {
        let placed = nodes.iter().map(|n| self.at(n[0], n[1])).zip(nodes).map(|(p, n)| [p[0], p[1], n[2]]);
        outline(&placed.collect::<Vec<_>>())
    }
}

/// Knots spread evenly over 0..1, joined by straight lines.
pub(super) fn taper(knots: &[f32], t: f32) -> f32 {
    let at = t.clamp(0.0, 1.0) * (knots.len() - 1) as f32;
    let low = (at as usize).min(knots.len() - 2);
    knots[low] + (knots[low + 1] - knots[low]) * (at - low as f32)
}

/// The part of an arm or leg up to a share of its length (1 the wrist or ankle), as a tube's spine;
/// `radius(t)` is its radius along the way.
pub(super) fn along_limb(joints: &Joints, from: f32, to: f32, radius: impl Fn(f32) -> f32) -> Vec<[f32; 3]> {
    let steps = (((to - from) * 8.0) as usize).max(2);
    (0..=steps)
        .map(|i| {
            let t = from + (to - from) * i as f32 / steps as f32;
            let p = on_limb(joints, t);
            [p[0], p[1], radius(t)]
        })
        .collect()
}

/// The point at a share of an arm or leg; past 1 it follows the hand or foot's direction from the last joint.
pub(super) fn on_limb(joints: &Joints, t: f32) -> Point {
    let [a, b, c, _] = *joints;
    match t {
        // The middle joint is rounded, so that cloth does not break there.
        t if t < 0.42 => mix(a, b, t / 0.5),
        t if t <= 0.58 => {
            let s = (t - 0.42) / 0.16;
            let (p, q) = (mix(a, b, 0.84), mix(b, c, 0.16));
            mix(mix(p, b, s), mix(b, q, s), s)
        }
        t if t <= 1.0 => mix(b, c, (t - 0.5) / 0.5),
        t => add(c, direction(b, c), t - 1.0),
    }
}

/// Skin, hands, feet, head, hair and face; a mannequin has one colour and no face.
pub(super) fn draw(sketch: &mut Sketch, body: &Body, dice: &mut Dice, mannequin: bool) {
    const SKIN: [Colour; 7] = [
        [0.97, 0.84, 0.76],
        [0.93, 0.76, 0.65],
        [0.87, 0.68, 0.54],
        [0.76, 0.56, 0.42],
        [0.60, 0.42, 0.30],
        [0.44, 0.30, 0.22],
        [0.31, 0.21, 0.16],
    ];
    let tone = if mannequin {
        dice.pick(&[[0.93, 0.92, 0.9], [0.75, 0.75, 0.76], [0.2, 0.2, 0.21], [0.86, 0.76, 0.64]])
    } else {
        dice.pick(&SKIN)
    };
    let skin = Cloth::plain(tone, Weave::Smooth, dice.bits());
    let b = body.build;
    for leg in &body.legs {
        let thickness = |t: f32| b * taper(&[0.34, 0.28, 0.19, 0.19, 0.11], t);
        sketch.layer(0, None, vec![limb(&along_limb(leg, -0.05, 1.0, thickness), true)], &skin).feel(0.8, 0.2, 0.0);
        let toe = mix(leg[2], leg[3], 0.75);
        let foot = limb(&[[leg[2][0], leg[2][1] - 0.05, 0.12], [toe[0], toe[1], 0.13]], true);
        sketch.layer(1, None, vec![foot], &skin).feel(0.8, 0.08, 0.0);
    }
    let trunk: Vec<[f32; 3]> =
        [0.2, 0.5, 0.8, 1.1, 1.4, 1.75, 2.1, 2.4].iter().map(|y| [body.girth(*y) * 0.97, *y, 1.0]).collect();
    let trunk = [&[[0.0, 0.0, 1.0], [0.3, 0.02, 1.0]], &trunk[..], &[[0.25, 2.75, 1.0], [0.0, 2.8, 1.0]]].concat();
    sketch.layer(2, None, vec![body.mirrored(&trunk)], &skin).feel(0.8, 0.25, 0.05);
    let throat = limb(&[[body.head[0], body.head[1], 0.2], [body.head[0] * 0.4, -0.2, 0.2], [0.0, 0.08, 0.27]], false);
    sketch.layer(3, None, vec![throat], &skin).feel(0.8, 0.14, 0.0).shadow(0.0);
    for (arm, z) in body.arms.iter().zip(body.arms_z) {
        let thickness = |t: f32| b * taper(&[0.21, 0.165, 0.135, 0.125, 0.085], t);
        let hand = limb(
            &[
                [arm[2][0], arm[2][1], 0.09],
                {
                    let p = mix(arm[2], arm[3], 0.4);
                    [p[0], p[1], 0.13]
                },
                {
                    let p = mix(arm[2], arm[3], 0.85);
                    [p[0], p[1], 0.07]
                },
            ],
            true,
        );
        let p = mix(arm[2], arm[3], 0.55);
        let thumb = limb(&[[arm[2][0], arm[2][1], 0.06], [p[0] + (0.0 - p[0]).signum() * 0.13, p[1], 0.045]], true);
        let tube = limb(&along_limb(arm, 0.0, 1.0, thickness), true);
        sketch.layer(z, None, vec![tube, hand, thumb], &skin).feel(0.8, 0.11, 0.0).along(arm[0], arm[2]);
    }
    if mannequin && dice.chance(0.5) {
        let cap = ellipse([0.0, -0.3], 0.2, 0.07, 0.0);
        sketch.layers.retain(|layer| layer.z != 3);
        let stump = limb(&[[0.0, -0.3, 0.2], [0.0, 0.08, 0.27]], false);
        sketch.layer(3, None, vec![stump, cap], &skin).feel(0.8, 0.14, 0.0);
        return;
    }
    let h = body.head;
    let face = |nodes: &[[f32; 3]]| {
        let left = nodes.iter().rev().filter(|n| n[0] != 0.0).map(|n| [h[0] - n[0], h[1] + n[1], n[2]]);
        outline(&nodes.iter().map(|n| [h[0] + n[0], h[1] + n[1], n[2]]).chain(left).collect::<Vec<_>>())
    };
    let skull = face(&[
        [0.0, -0.5, 1.0],
        [0.28, -0.4, 1.0],
        [0.37, -0.08, 1.0],
        [0.31, 0.22, 1.0],
        [0.14, 0.46, 1.0],
        [0.0, 0.5, 1.0],
    ]);
    sketch.layer(70, None, vec![skull], &skin).feel(0.7, 0.24, 0.0);
    if mannequin {
        return;
    }
    features(sketch, body, dice, &skin, tone);
}

fn features(sketch: &mut Sketch, body: &Body, dice: &mut Dice, skin: &Cloth, tone: Colour) {
    let h = body.head;
    let hair_colour = if dice.chance(0.1) {
        any_colour(dice)
    } else {
        dice.pick(&[
            [0.08, 0.06, 0.05],
            [0.2, 0.12, 0.08],
            [0.38, 0.24, 0.14],
            [0.72, 0.55, 0.33],
            [0.55, 0.26, 0.12],
            [0.6, 0.59, 0.58],
        ])
    };
    let hair = Cloth::plain(hair_colour, Weave::Fluffy, dice.bits());
    let dark = Cloth::plain(tone.map(|c| c * 0.45), Weave::Smooth, 1);
    let shift = dice.range(-0.06, 0.06);
    if !body.back {
        for side in [-1.0, 1.0] {
            let ear = ellipse([h[0] + side * 0.36, h[1] + 0.02], 0.05, 0.1, 0.0);
            sketch.layer(69, None, vec![ear], skin).feel(0.5, 0.05, 0.0);
            let eye = [h[0] + side * 0.15 + shift, h[1] - 0.02];
            let mut dab = |path: Path, colour: Colour, opacity: f32| {
                sketch
                    .layer(71, None, vec![path], &Cloth::plain(colour, Weave::Smooth, 1))
                    .feel(0.0, 0.02, 0.0)
                    .shadow(0.0)
                    .opacity(opacity);
            };
            dab(ellipse(eye, 0.075, 0.035, 0.0), [0.95, 0.94, 0.92], 1.0);
            dab(ellipse(eye, 0.032, 0.034, 0.0), [0.16, 0.1, 0.07], 1.0);
            dab(
                limb(
                    &[
                        [eye[0] - 0.085, eye[1], 0.006],
                        [eye[0], eye[1] - 0.042, 0.014],
                        [eye[0] + 0.085, eye[1], 0.006],
                    ],
                    true,
                ),
                [0.1, 0.06, 0.05],
                0.9,
            );
            dab(
                limb(
                    &[
                        [eye[0] - 0.09, eye[1] - 0.1, 0.012],
                        [eye[0], eye[1] - 0.13, 0.018],
                        [eye[0] + 0.09, eye[1] - 0.1, 0.01],
                    ],
                    true,
                ),
                hair_colour.map(|c| c * 0.7),
                0.8,
            );
            dab(ellipse([eye[0] + side * 0.06, eye[1] + 0.17], 0.09, 0.06, 0.0), [0.85, 0.4, 0.36], 0.18);
        }
        let nose = limb(
            &[
                [h[0] + shift + 0.02, h[1] + 0.02, 0.008],
                [h[0] + shift + 0.05, h[1] + 0.15, 0.012],
                [h[0] + shift, h[1] + 0.17, 0.01],
            ],
            true,
        );
        sketch.layer(71, None, vec![nose], &dark).feel(0.0, 0.02, 0.0).shadow(0.0).opacity(0.4);
        let m = [h[0] + shift, h[1] + 0.29];
        let smile = dice.range(0.0, 0.03);
        let mouth = outline(&[
            [m[0] - 0.11, m[1] - smile, 0.3],
            [m[0], m[1] - 0.025, 0.9],
            [m[0] + 0.11, m[1] - smile, 0.3],
            [m[0], m[1] + 0.05, 0.9],
        ]);
        let lips = [tone[0] * 0.85, tone[1] * 0.52, tone[2] * 0.52];
        sketch.layer(71, None, vec![mouth], &Cloth::plain(lips, Weave::Smooth, 1)).feel(0.3, 0.03, 0.0).shadow(0.0);
    }
    let head =
        |nodes: &[[f32; 3]]| outline(&nodes.iter().map(|n| [h[0] + n[0], h[1] + n[1], n[2]]).collect::<Vec<_>>());
    let style = dice.below(5);
    let part = dice.range(-0.15, 0.15);
    if style > 0 && !body.back {
        let fringe = head(&[
            [-0.4, 0.05, 0.3],
            [-0.39, -0.3, 1.0],
            [-0.2, -0.55, 1.0],
            [0.05, -0.6, 1.0],
            [0.3, -0.48, 1.0],
            [0.4, -0.25, 1.0],
            [0.4, 0.05, 0.3],
            [0.32, -0.2, 1.0],
            [part, -0.34, 0.6],
            [-0.32, -0.18, 1.0],
        ]);
        sketch.layer(73, None, vec![fringe], &hair).feel(0.8, 0.16, 0.25);
    } else {
        let whole = if body.back { 0.42 } else { -0.22 };
        let cap = head(&[
            [-0.385, -0.05, 0.4],
            [-0.36, -0.35, 1.0],
            [0.0, -0.56, 1.0],
            [0.36, -0.35, 1.0],
            [0.385, -0.05, 0.4],
            [0.3, whole, 1.0],
            [0.0, whole - 0.1, 1.0],
            [-0.3, whole, 1.0],
        ]);
        sketch.layer(73, None, vec![cap], &hair).feel(0.7, 0.16, 0.2);
    }
    let fall = match style {
        2 => dice.range(0.25, 0.5),
        3 => dice.range(0.7, 1.6),
        _ => 0.0,
    };
    if fall > 0.0 {
        let z = if body.back { 72 } else { -40 };
        let locks = head(&[
            [-0.36, -0.45, 1.0],
            [0.0, -0.6, 1.0],
            [0.36, -0.45, 1.0],
            [0.48, 0.1, 1.0],
            [0.5, fall + 0.1, 1.0],
            [0.3, fall + 0.3, 0.6],
            [-0.3, fall + 0.35, 0.6],
            [-0.52, fall + 0.1, 1.0],
            [-0.48, 0.1, 1.0],
        ]);
        sketch.layer(z, None, vec![locks], &hair).feel(0.8, 0.2, 0.8);
        if dice.chance(0.5) && !body.back {
            let side = dice.sign();
            let lock = limb(
                &[
                    [h[0] + side * 0.36, h[1] - 0.2, 0.06],
                    [h[0] + side * 0.42, h[1] + 0.3, 0.12],
                    [h[0] + side * 0.36, h[1] + fall + 0.2, 0.05],
                ],
                true,
            );
            sketch.layer(73, None, vec![lock], &hair).feel(0.8, 0.1, 0.5);
        }
    }
    if style == 4 {
        sketch.layer(68, None, vec![ellipse([h[0] + part, h[1] - 0.62], 0.2, 0.19, 0.0)], &hair).feel(0.8, 0.14, 0.3);
    }
}
