//! What is worn beside garments: on head, hands, waist and feet, and what is carried. Must not know outfits.

use super::cloth::{Cloth, Weave, any_colour};
use super::figure::{LEG, on_limb, sleeve, taper};
use super::garment::{Tailor, metal};
use super::shape::{Path, Point, add, around, direction, ellipse, limb, mix, outline, stroke};

/// Adds an accessory of a class, each of a pair as an instance of its own.
pub(super) fn add_one(t: &mut Tailor<'_>, class: u8, cloth: &Cloth) {
    match class {
        12 => cape(t, cloth),
        13 => glasses(t),
        14 => hat(t, cloth),
        15 => headband(t, cloth),
        16 => tie(t, cloth),
        17 => gloves(t, cloth),
        18 => watch(t, cloth),
        19 => belt(t, cloth),
        20..=22 => legwear(t, class, cloth),
        23 => shoes(t, cloth),
        24 => bag(t, cloth),
        25 => scarf(t, cloth),
        _ => umbrella(t, cloth),
    }
}

fn cape(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, hem) = (t.sketch.instance(12, None, vec![]), t.dice.range(1.9, 4.2));
    let low = hem + 0.12;
    let right = [
        0.05, 0.02, 0.2, 0.3, -0.1, 0.5, 0.95, 0.3, 1.0, 1.3, 1.6, 1.0, 1.4, hem, 0.1, 0.7, low, 1.0, 0.35, hem, 0.1,
        0.2, 1.2, 1.0,
    ];
    let left: Vec<f32> = right.iter().enumerate().map(|(i, v)| if i % 3 == 0 { -v } else { *v }).collect();
    for nodes in [&left[..], &right] {
        let half = t.body.shape(nodes);
        t.sketch.layer(66, Some(me), vec![half], cloth).feel(0.8, 0.22, 1.0).fan(0.25).shadow(0.8);
    }
    let back = t.body.mirrored(&[0.0, 0.0, 1.0, 0.9, 0.3, 1.0, 1.3, hem, 0.2, 0.0, hem, 1.0]);
    t.sketch.layer(-35, Some(me), vec![back], &cloth.shaded(0.5));
}

fn glasses(t: &mut Tailor<'_>) {
    if t.body.back {
        return;
    }
    let (me, head) = (t.sketch.instance(13, None, vec![]), t.body.head);
    let frame = Cloth::plain(any_colour(t.dice), Weave::Smooth, 1);
    let tint = if t.dice.chance(0.5) { [0.05, 0.05, 0.06] } else { any_colour(t.dice) };
    let lens = Cloth::plain(tint, Weave::Satin, t.dice.bits());
    let (w, h, dark) = (t.dice.range(0.12, 0.165), t.dice.range(0.09, 0.15), t.dice.pick(&[0.25, 0.85, 0.95]));
    for side in [-1.0, 1.0] {
        let eye = add(head, [side * 0.165, 0.0], 1.0);
        let nodes = [-1.0, -1.0, 0.7, 1.0, -1.0, 0.7, 1.0, 0.6, 0.8, 0.0, 1.0, 1.0, -1.0, 0.6, 0.8];
        let rim = around(eye, [w, h], &nodes);
        let ring: Vec<Point> = rim.iter().step_by(4).chain(rim.first()).copied().collect();
        let arm =
            stroke(&[add(eye, [side * w * 0.9, -h * 0.5], 1.0), add(head, [side * 0.38, -0.02], 1.0)], 0.022, true);
        t.sketch.layer(77, Some(me), vec![rim], &lens).feel(0.2, 0.05, 0.0).opacity(dark).shadow(0.2);
        t.sketch.layer(77, Some(me), vec![stroke(&ring, 0.022, true), arm], &frame).feel(0.5, 0.02, 0.0);
    }
    let bridge = stroke(&[[-0.06, -0.03], [0.0, -0.055], [0.06, -0.03]].map(|p| add(head, p, 1.0)), 0.02, true);
    t.sketch.layer(77, Some(me), vec![bridge], &frame).feel(0.5, 0.02, 0.0);
}

fn hat(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, head, kind) = (t.sketch.instance(14, None, vec![]), t.body.head, t.dice.below(4));
    let tall = if kind == 3 { -0.95 } else { -0.72 };
    let crown =
        [-0.41, -0.22, 0.2, -0.4, -0.5, 1.0, -0.22, tall, 1.0, 0.22, tall, 1.0, 0.4, -0.5, 1.0, 0.41, -0.22, 0.2];
    let put = |t: &mut Tailor<'_>, z: i32, nodes: &[f32], wide: f32, cloth: &Cloth, folds: f32| {
        let path = around(head, [wide, 1.0], nodes);
        t.sketch.layer(z, Some(me), vec![path], cloth).feel(0.9, 0.1, folds).shadow(0.9);
    };
    put(t, 80, &[&crown[..], &[0.0, -0.14, 1.0]].concat(), 1.0, cloth, 0.5);
    let band =
        [-0.42, -0.34, 0.2, 0.0, -0.27, 1.0, 0.42, -0.34, 0.2, 0.42, -0.18, 0.2, 0.0, -0.1, 1.0, -0.42, -0.18, 0.2];
    match kind {
        0 => {
            put(t, 81, &band, 1.0, &cloth.shaded(0.85), 0.3);
            if t.dice.chance(0.4) {
                let bobble = vec![ellipse(add(head, [0.0, tall - 0.05], 1.0), 0.14, 0.14, 0.0)];
                let fluff = Cloth { weave: Weave::Fluffy, ..*cloth };
                t.sketch.layer(81, Some(me), bobble, &fluff).feel(0.9, 0.1, 0.6);
            }
        }
        1 => {
            let peak =
                [-1.0, -0.24, 0.2, 0.0, -0.2, 1.0, 1.0, -0.24, 0.2, 0.9, -0.06, 0.9, 0.0, 0.0, 1.0, -0.9, -0.06, 0.9];
            put(t, 82, &peak, 0.34, &cloth.shaded(0.8), 0.0);
        }
        _ => {
            let ribbon = Cloth::plain(any_colour(t.dice), Weave::Satin, 4);
            put(t, 81, &band, 1.0, &ribbon, 0.0);
            let brim = [
                -1.0, -0.16, 0.9, -0.5, -0.29, 1.0, 0.0, -0.27, 1.0, 0.5, -0.29, 1.0, 1.0, -0.16, 0.9, 0.5, -0.08, 1.0,
                0.0, -0.04, 1.0, -0.5, -0.08, 1.0,
            ];
            let wide = t.dice.range(0.55, 0.95);
            put(t, 82, &brim, wide, cloth, 0.2);
        }
    }
}

fn headband(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, head) = (t.sketch.instance(15, None, vec![]), t.body.head);
    if t.dice.chance(0.3) {
        let scarf = [
            0.0, -0.63, 1.0, 0.42, -0.4, 1.0, 0.46, 0.1, 1.0, 0.3, 0.62, 1.0, 0.24, 0.2, 1.0, 0.27, -0.2, 1.0, 0.0,
            -0.34, 1.0, -0.27, -0.2, 1.0, -0.24, 0.2, 1.0, -0.3, 0.62, 1.0, -0.46, 0.1, 1.0, -0.42, -0.4, 1.0,
        ];
        t.sketch.layer(75, Some(me), vec![around(head, [1.0, 1.0], &scarf)], cloth).feel(0.9, 0.1, 0.7);
        return;
    }
    let band = [[-0.4, -0.2], [-0.25, -0.42], [0.0, -0.5], [0.25, -0.42], [0.4, -0.2]].map(|p| add(head, p, 1.0));
    let band = stroke(&band, t.dice.range(0.03, 0.075), false);
    t.sketch.layer(75, Some(me), vec![band], cloth).feel(0.9, 0.05, 0.2);
    if t.dice.chance(0.35) {
        t.bow(me, 76, add(head, [0.24, -0.45], 1.0), cloth);
    }
}

fn tie(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, end) = (t.sketch.instance(16, None, vec![]), t.dice.range(1.2, 1.6));
    let low = end - 0.15;
    let blade = t.body.shape(&[-0.05, 0.25, 0.2, 0.05, 0.25, 0.2, 0.13, low, 0.3, 0.0, end, 0.0, -0.13, low, 0.3]);
    let knot = t.body.shape(&[-0.08, 0.1, 0.2, 0.08, 0.1, 0.2, 0.05, 0.27, 0.2, -0.05, 0.27, 0.2]);
    t.sketch.layer(25, Some(me), vec![blade], cloth).feel(0.6, 0.06, 0.2);
    t.sketch.layer(25, Some(me), vec![knot], &cloth.shaded(0.9)).feel(0.8, 0.05, 0.2);
}

fn gloves(t: &mut Tailor<'_>, cloth: &Cloth) {
    for (arm, z) in t.body.arms.iter().zip(t.body.arms_z) {
        let me = t.sketch.instance(17, None, vec![]);
        let (cuff, [ax, ay], palm, tip) =
            (on_limb(arm, 0.84), arm[2], mix(arm[2], arm[3], 0.4), mix(arm[2], arm[3], 0.9));
        let hand = [cuff[0], cuff[1], 0.16, ax, ay, 0.125, palm[0], palm[1], 0.165, tip[0], tip[1], 0.1];
        let thumb = [ax, ay, 0.08, palm[0] - palm[0].signum() * 0.16, palm[1] + 0.08, 0.06];
        let paths = vec![limb(&hand, true), limb(&thumb, true)];
        t.sketch.layer(z + 8, Some(me), paths, cloth).feel(0.8, 0.09, 0.4).along(arm[2], arm[3]);
    }
}

fn watch(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, i) = (t.sketch.instance(18, None, vec![]), t.dice.below(2));
    let (arm, z) = (t.body.arms[i], t.body.arms_z[i] + 7);
    let d = direction(arm[1], arm[2]);
    let at = add(arm[2], d, -0.04);
    let reach = if t.body.laid { 0.5 } else { 0.11 };
    let strap = stroke(&[add(at, [d[1], -d[0]], reach), add(at, [d[1], -d[0]], -reach)], 0.055, false);
    let (case, dial) = (metal(t.dice), Cloth::plain(any_colour(t.dice), Weave::Smooth, 2));
    t.sketch.layer(z, Some(me), vec![strap], cloth).feel(0.7, 0.05, 0.0);
    t.sketch.layer(z, Some(me), vec![ellipse(at, 0.095, 0.095, 0.0)], &case).feel(0.8, 0.03, 0.0);
    t.sketch.layer(z, Some(me), vec![ellipse(at, 0.07, 0.07, 0.0)], &dial).detail().shadow(0.0);
}

fn belt(t: &mut Tailor<'_>, cloth: &Cloth) {
    let me = t.sketch.instance(19, None, vec![]);
    let (y, half) = (t.dice.range(1.36, 1.6), t.dice.range(0.05, 0.12));
    let w = t.body.girth(y) + t.dice.range(0.04, 0.12);
    let band = t.body.mirrored(&[0.0, y - half, 1.0, w, y - half, 0.1, w, y + half, 0.1, 0.0, y + half + 0.02, 1.0]);
    t.sketch.layer(30, Some(me), vec![band], cloth).feel(0.7, 0.05, 0.1);
    if !t.body.back && t.dice.chance(0.75) {
        let (shine, p, s) = (metal(t.dice), t.body.at(0.0, y), half * 1.25);
        let frame = [[-s, -s], [s, -s], [s, s], [-s, s], [-s, -s]].map(|d| add(p, d, 1.0));
        t.part(34, me, 31, &[], vec![stroke(&frame, 0.022, true)], &shine);
    }
}

/// Leg warmers, tights (both legs are one) or socks.
fn legwear(t: &mut Tailor<'_>, class: u8, cloth: &Cloth) {
    let (from, to, thick, z) = match class {
        20 => (t.dice.range(0.55, 0.62), 0.97, 0.06, 13),
        21 => (0.0, 1.0, 0.012, 5),
        _ => (t.dice.range(0.6, 0.9), 1.0, 0.025, 6),
    };
    let opacity = if class == 21 { t.dice.pick(&[0.55, 0.75, 1.0]) } else { 1.0 };
    let both = t.sketch.instance(class, None, vec![]);
    if class == 21 {
        let (waist, hips) = (t.body.girth(1.5), t.body.girth(2.2) + 0.02);
        let seat = t.body.mirrored(&[0.0, 1.5, 1.0, waist, 1.5, 0.2, hips, 2.2, 1.0, 0.0, 2.8, 1.0]);
        t.sketch.layer(z, Some(both), vec![seat], cloth).feel(0.8, 0.2, 0.1).opacity(opacity);
    }
    for (i, leg) in t.body.legs.iter().enumerate() {
        let me = if i == 0 || class == 21 { both } else { t.sketch.instance(class, None, vec![]) };
        let mut paths = vec![sleeve(leg, from, to, false, |s| taper(&LEG, s) * 1.03 + thick)];
        if class != 20 {
            paths.push(stroke(&[add(leg[2], [0.0, -0.05], 1.0), mix(leg[2], leg[3], 0.75)], 0.14, true));
        }
        let folds = if class == 20 { 0.8 } else { 0.15 };
        t.sketch.layer(z, Some(me), paths, cloth).feel(0.8, 0.16, folds).along(leg[1], leg[2]).opacity(opacity);
    }
}

/// Trainers, boots, heels or flats, one instance a foot.
fn shoes(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (kind, boot, trim) = (t.dice.below(5), t.dice.range(0.55, 0.9), t.dice.below(8));
    let sole = if t.dice.chance(0.4) { [0.93, 0.93, 0.9] } else { any_colour(t.dice) };
    let sole = Cloth::plain(sole, Weave::Smooth, 5);
    for leg in t.body.legs {
        let me = t.sketch.instance(23, None, vec![]);
        let (ankle, toe) = (leg[2], leg[3]);
        let (d, reach) = (direction(ankle, toe), toe[0] - ankle[0]);
        let low = if kind == 4 { 0.3 } else { 0.05 };
        let (upper, drop) = if reach.abs() > 0.5 {
            // From the side: the shaft, the instep, the toe, the heel.
            let tall = if kind == 2 { 0.5 } else { 0.36 };
            let heel = if kind == 2 { 0.7 } else { 1.0 };
            let nodes = [
                -0.2, -0.1, 0.2, 0.16, low, 0.5, 0.55, 0.5, 1.0, 1.0, 0.7, 1.0, 1.0, 1.0, 0.5, 0.4, 1.0, 0.8, -0.16,
                heel, 0.4, -0.26, 0.5, 1.0,
            ];
            (around(add(ankle, [0.0, -0.05], 1.0), [reach * 1.1, tall], &nodes), [0.0, 0.05])
        } else {
            let [from, mid, tip] = [low - 0.05, 0.6, 0.95].map(|s| mix(ankle, toe, s));
            let blunt = if kind == 2 { 0.09 } else { 0.15 };
            (
                limb(&[from[0], from[1], 0.14, mid[0], mid[1], 0.175, tip[0], tip[1], blunt], true),
                [d[0] * 0.05, d[1] * 0.05],
            )
        };
        let z = if kind == 1 { 16 } else { 9 };
        let under: Path = upper.iter().map(|p| add(*p, drop, 1.0)).collect();
        t.sketch.layer(z, Some(me), vec![under], &sole).feel(0.5, 0.05, 0.0);
        if kind == 2 {
            let heel = [-0.26, 0.4, 0.2, -0.1, 0.6, 0.2, -0.18, 1.1, 0.0, -0.24, 1.1, 0.0];
            t.sketch.layer(z, Some(me), vec![around(ankle, [reach, 0.46], &heel)], &sole).detail();
        }
        let mut paths = vec![upper];
        if kind == 1 {
            paths.push(sleeve(&leg, boot, 1.0, false, |s| taper(&[0.36, 0.31, 0.23, 0.22, 0.16], s)));
        }
        t.sketch.layer(z, Some(me), paths, cloth).feel(0.9, 0.1, 0.2).along(ankle, toe);
        for i in 0..if kind == 0 { 3 } else { 0 } {
            let p = mix(ankle, toe, 0.3 + 0.15 * i as f32);
            let lace = stroke(&[add(p, [d[1], -d[0]], 0.09), add(p, [d[1], -d[0]], -0.09)], 0.014, true);
            t.sketch.layer(z, Some(me), vec![lace], &sole).detail();
        }
        let instep = mix(ankle, toe, 0.55);
        match trim {
            0 => t.tassel(me, z, instep, cloth),
            1 => {
                let shine = metal(t.dice);
                t.part(34, me, z, &[], vec![ellipse(instep, 0.05, 0.05, 0.0)], &shine);
            }
            2 => t.bow(me, z, instep, &sole),
            _ => {}
        }
    }
}

fn bag(t: &mut Tailor<'_>, cloth: &Cloth) {
    let (me, i) = (t.sketch.instance(24, None, vec![]), t.dice.below(2));
    let held = t.dice.chance(0.55) || t.body.laid;
    let (w, h) = (t.dice.range(0.32, 0.7), t.dice.range(0.3, 0.65));
    let side = i as f32 * 2.0 - 1.0;
    let (top, z) = if held { (t.body.arms[i][2], t.body.arms_z[i] - 2) } else { (t.body.at(side * 0.75, 2.05), 48) };
    let drop = if held { 0.45 } else { 0.0 };
    let centre = add(top, [0.0, drop + h * 0.8], 1.0);
    let strap = if held {
        [[-0.6, -0.6], [-0.4, -0.8], [0.4, -0.8], [0.6, -0.6]].map(|p| {
            let lift = if p[1] < -0.7 { drop } else { 0.0 };
            [centre[0] + w * p[0], centre[1] + h * p[1] - lift]
        })
    } else {
        [
            add(centre, [0.0, -h * 0.7], 1.0),
            t.body.at(side * 0.35, 1.3),
            t.body.at(-side * 0.1, 0.7),
            t.body.at(-side * 0.5, 0.08),
        ]
    };
    t.sketch.layer(z, Some(me), vec![stroke(&strap, 0.035, true)], &cloth.shaded(0.8)).feel(0.8, 0.04, 0.0);
    let wide = t.dice.range(0.8, 1.15);
    let body = [-wide, -0.7, 0.4, wide, -0.7, 0.4, 1.0, 0.8, 0.6, 0.0, 1.0, 0.8, -1.0, 0.8, 0.6];
    t.sketch.layer(z, Some(me), vec![around(centre, [w, h], &body)], cloth).feel(0.9, 0.12, 0.35).shadow(0.8);
    let (shine, on) = (metal(t.dice), |x: f32, y: f32| [centre[0] + w * x, centre[1] + h * y]);
    match t.dice.below(5) {
        0 | 1 => {
            let flap = [-wide, -0.7, 0.3, wide, -0.7, 0.3, 0.9, 0.05, 0.8, 0.0, 0.2, 0.8, -0.9, 0.05, 0.8];
            let flap = around(centre, [w, h], &flap);
            t.sketch.layer(z, Some(me), vec![flap], &cloth.shaded(0.92)).feel(0.8, 0.06, 0.1);
            t.part(34, me, z, &[], vec![ellipse(on(0.0, 0.15), 0.08, 0.06, 0.0)], &shine);
        }
        2 => {
            let line = stroke(&[on(-0.75, -0.45), on(0.75, -0.45)], 0.03, false);
            t.part(35, me, z, &[], vec![line], &shine);
        }
        3 => t.tassel(me, z, on(0.6, -0.5), &cloth.shaded(0.7)),
        _ => {
            for x in [-0.7, -0.25, 0.25, 0.7] {
                t.part(42, me, z, &[], vec![ellipse(on(x, -0.5), 0.035, 0.035, 0.0)], &shine);
            }
        }
    }
}

fn scarf(t: &mut Tailor<'_>, cloth: &Cloth) {
    let me = t.sketch.instance(25, None, vec![]);
    let (x, end) = (t.dice.sign() * 0.16, t.dice.range(1.0, 2.2));
    let tail = t.line(&[[x * 0.5, 0.25], [x, 0.8], [x * 1.3, end]], 0.17);
    let neck = t.body.mirrored(&[0.0, -0.12, 1.0, 0.33, -0.25, 1.0, 0.42, 0.0, 1.0, 0.26, 0.3, 1.0, 0.0, 0.4, 1.0]);
    t.sketch.layer(44, Some(me), tail, cloth).feel(0.8, 0.1, 0.8).shadow(0.7);
    t.sketch.layer(45, Some(me), vec![neck], cloth).feel(1.0, 0.12, 1.0).shadow(0.7);
    if t.dice.chance(0.6) {
        let last = t.body.at(x * 1.3, end);
        let strip = |i: i32| {
            let dx = 0.038 * i as f32;
            stroke(&[add(last, [dx, -0.04], 1.0), add(last, [dx * 1.1, 0.2], 1.0)], 0.013, true)
        };
        t.part(40, me, 45, &[], (-4..=4).map(strip).collect(), cloth);
    }
}

fn umbrella(t: &mut Tailor<'_>, cloth: &Cloth) {
    let me = t.sketch.instance(26, None, vec![]);
    let hand = t.body.arms[t.dice.below(2)][2];
    let stick = Cloth::plain(any_colour(t.dice), Weave::Leather, 6);
    let (dx, wide) = (t.dice.range(-0.3, 0.3), t.dice.range(1.3, 1.9));
    let top = if t.body.laid { add(hand, [0.0, -2.4], 1.0) } else { [hand[0] * 0.4 + dx, hand[1].min(0.0) - 2.3] };
    let pole = stroke(&[top, hand, add(hand, direction(top, hand), 0.3)], 0.03, true);
    t.sketch.layer(49, Some(me), vec![pole], &stick).feel(0.8, 0.03, 0.0);
    // Panels between ribs, each a slice of a dome with a scalloped edge.
    let rib = |n: usize| {
        let s = n as f32 / 3.0 - 1.0;
        s * (1.5 - 0.5 * s * s)
    };
    let arch = |s: f32| [top[0] + wide * s * 0.72, top[1] + 0.22 + 0.08 * s * s, 1.0];
    let rim = |s: f32, lift: f32| {
        [top[0] + wide * s, top[1] + 0.83 + 0.12 * s * s - lift, if lift > 0.0 { 1.0 } else { 0.1 }]
    };
    for n in 0..6 {
        let (a, b) = (rib(n), rib(n + 1));
        let nodes = [[top[0], top[1], 0.1], arch(b), rim(b, 0.0), rim((a + b) * 0.5, 0.1), rim(a, 0.0), arch(a)];
        let light = 1.0 - 0.06 * (n as f32 - 1.5).abs();
        let panel = outline(nodes.as_flattened());
        t.sketch.layer(84, Some(me), vec![panel], &cloth.shaded(light)).feel(0.6, 0.12, 0.1).shadow(0.5);
    }
}
