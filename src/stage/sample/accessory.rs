//! What is worn beside garments: on head, hands, waist and feet, and what is carried. Must not know outfits.

use super::cloth::{Cloth, Weave, any_colour};
use super::figure::{along_limb, on_limb, taper};
use super::garment::{Tailor, metal};
use super::shape::{Path, Point, add, direction, ellipse, limb, mix, outline};

/// Nodes `[x, y, slack]` in heads around a centre.
fn around(centre: Point, nodes: &[[f32; 3]]) -> Path {
    outline(&nodes.iter().map(|n| [centre[0] + n[0], centre[1] + n[1], n[2]]).collect::<Vec<_>>())
}

fn fat(points: &[Point], radius: f32) -> Vec<[f32; 3]> {
    points.iter().map(|p| [p[0], p[1], radius]).collect()
}

/// Adds an accessory of a class, each of a pair as an instance of its own.
pub(super) fn add_one(t: &mut Tailor<'_>, class: u8, cloth: &Cloth) {
    let head = t.body.head;
    match class {
        13 => glasses(t, head),
        14 => hat(t, head, cloth),
        15 => {
            let me = t.sketch.instance(15, None, vec![]);
            if t.dice.chance(0.3) {
                let scarf = around(
                    head,
                    &[
                        [0.0, -0.63, 1.0],
                        [0.42, -0.4, 1.0],
                        [0.46, 0.1, 1.0],
                        [0.3, 0.62, 1.0],
                        [0.24, 0.2, 1.0],
                        [0.27, -0.2, 1.0],
                        [0.0, -0.34, 1.0],
                        [-0.27, -0.2, 1.0],
                        [-0.24, 0.2, 1.0],
                        [-0.3, 0.62, 1.0],
                        [-0.46, 0.1, 1.0],
                        [-0.42, -0.4, 1.0],
                    ],
                );
                t.sketch.layer(75, Some(me), vec![scarf], cloth).feel(0.9, 0.1, 0.7);
            } else {
                let radius = t.dice.range(0.03, 0.075);
                let band =
                    [[-0.4, -0.2], [-0.25, -0.42], [0.0, -0.5], [0.25, -0.42], [0.4, -0.2]].map(|p| add(head, p, 1.0));
                t.sketch.layer(75, Some(me), vec![limb(&fat(&band, radius), false)], cloth).feel(0.9, 0.05, 0.2);
                if t.dice.chance(0.35) {
                    t.bow(me, 76, add(head, [0.24, -0.45], 1.0), cloth);
                }
            }
        }
        16 => {
            let me = t.sketch.instance(16, None, vec![]);
            let end = t.dice.range(1.3, 1.9);
            let knot = t.body.shape(&[[-0.08, 0.1, 0.2], [0.08, 0.1, 0.2], [0.05, 0.27, 0.2], [-0.05, 0.27, 0.2]]);
            let blade = t.body.shape(&[
                [-0.05, 0.25, 0.2],
                [0.05, 0.25, 0.2],
                [0.13, end - 0.15, 0.3],
                [0.0, end, 0.0],
                [-0.13, end - 0.15, 0.3],
            ]);
            t.sketch.layer(25, Some(me), vec![blade], cloth).feel(0.6, 0.06, 0.2);
            t.sketch.layer(25, Some(me), vec![knot], &cloth.shaded(0.9)).feel(0.8, 0.05, 0.2);
        }
        17 => {
            for (arm, z) in t.body.arms.iter().zip(t.body.arms_z) {
                let me = t.sketch.instance(17, None, vec![]);
                let tip = |s: f32| mix(arm[2], arm[3], s);
                let cuff = on_limb(arm, 0.84);
                let hand = limb(
                    &[
                        [cuff[0], cuff[1], 0.15],
                        [arm[2][0], arm[2][1], 0.125],
                        [tip(0.4)[0], tip(0.4)[1], 0.17],
                        [tip(0.9)[0], tip(0.9)[1], 0.1],
                    ],
                    true,
                );
                let thumb = limb(
                    &[[tip(0.1)[0], tip(0.1)[1], 0.08], [tip(0.6)[0] - tip(0.6)[0].signum() * 0.17, tip(0.6)[1], 0.06]],
                    true,
                );
                t.sketch.layer(z + 8, Some(me), vec![hand, thumb], cloth).feel(0.8, 0.09, 0.4).along(arm[2], arm[3]);
            }
        }
        18 => {
            let i = t.dice.below(2);
            let (arm, z) = (t.body.arms[i], t.body.arms_z[i] + 7);
            let me = t.sketch.instance(18, None, vec![]);
            let d = direction(arm[1], arm[2]);
            let at = add(arm[2], d, -0.04);
            let strap = [add(at, [d[1], -d[0]], 0.11), add(at, [d[1], -d[0]], -0.11)];
            t.sketch.layer(z, Some(me), vec![limb(&fat(&strap, 0.055), false)], cloth).feel(0.7, 0.05, 0.0);
            let (case, dial) = (metal(t.dice), Cloth::plain(any_colour(t.dice), Weave::Smooth, 2));
            t.sketch.layer(z, Some(me), vec![ellipse(at, 0.095, 0.095, 0.0)], &case).feel(0.8, 0.03, 0.0);
            t.sketch.layer(z, Some(me), vec![ellipse(at, 0.07, 0.07, 0.0)], &dial).detail().shadow(0.0);
        }
        19 => {
            let me = t.sketch.instance(19, None, vec![]);
            let (y, half) = (t.dice.range(1.36, 1.6), t.dice.range(0.05, 0.12));
            let w = t.body.girth(y) + t.dice.range(0.04, 0.12);
            let band = t.body.mirrored(&[
                [0.0, y - half, 1.0],
                [w, y - half - 0.03, 0.1],
                [w, y + half - 0.03, 0.1],
                [0.0, y + half, 1.0],
            ]);
            t.sketch.layer(30, Some(me), vec![band], cloth).feel(0.7, 0.05, 0.1);
            if !t.body.back && t.dice.chance(0.75) {
                let (shine, p, s) = (metal(t.dice), t.body.at(0.0, y), half * 1.25);
                let frame = limb(
                    &fat(
                        &[
                            [p[0] - s, p[1] - s],
                            [p[0] + s, p[1] - s],
                            [p[0] + s, p[1] + s],
                            [p[0] - s, p[1] + s],
                            [p[0] - s, p[1] - s],
                        ],
                        0.022,
                    ),
                    true,
                );
                t.part(34, me, 31, vec![], vec![frame], &shine);
            }
        }
        20 | 21 | 22 => {
            let (from, to, thick, z) = match class {
                20 => (t.dice.range(0.55, 0.62), 0.97, 0.06, 13),
                21 => (0.0, 1.0, 0.012, 5),
                _ => (t.dice.range(0.6, 0.9), 1.0, 0.025, 6),
            };
            let opacity = if class == 21 { t.dice.pick(&[0.55, 0.75, 1.0]) } else { 1.0 };
            let both = t.sketch.instance(class, None, vec![]);
            for (i, leg) in t.body.legs.iter().enumerate() {
                // Tights are one thing, the others one a foot.
                let me = if i == 0 || class == 21 { both } else { t.sketch.instance(class, None, vec![]) };
                let tube = limb(
                    &along_limb(leg, from, to, |s| taper(&[0.34, 0.28, 0.19, 0.19, 0.11], s) * 1.03 + thick),
                    class != 20,
                );
                let mut paths = vec![tube];
                if class != 20 {
                    let toe = mix(leg[2], leg[3], 0.75);
                    paths.push(limb(&[[leg[2][0], leg[2][1] - 0.05, 0.13], [toe[0], toe[1], 0.14]], true));
                }
                t.sketch
                    .layer(z, Some(me), paths, cloth)
                    .feel(0.8, 0.16, if class == 20 { 0.8 } else { 0.15 })
                    .along(leg[1], leg[2])
                    .opacity(opacity);
                if class == 21 && i == 0 {
                    let seat = t.body.mirrored(&[
                        [0.0, 1.5, 1.0],
                        [t.body.girth(1.5), 1.5, 0.2],
                        [t.body.girth(2.2) + 0.02, 2.2, 1.0],
                        [0.0, 2.8, 1.0],
                    ]);
                    t.sketch.layer(z, Some(me), vec![seat], cloth).feel(0.8, 0.2, 0.1).opacity(opacity);
                }
            }
        }
        23 => shoes(t, cloth),
        24 => bag(t, cloth),
        25 => {
            let me = t.sketch.instance(25, None, vec![]);
            let loop_ = t.body.mirrored(&[
                [0.0, -0.12, 1.0],
                [0.33, -0.25, 1.0],
                [0.42, 0.0, 1.0],
                [0.26, 0.3, 1.0],
                [0.0, 0.4, 1.0],
            ]);
            let (side, end) = (t.dice.sign() * 0.16, t.dice.range(1.0, 2.2));
            let tail: Vec<_> = [[side * 0.5, 0.25], [side, 0.8], [side * 1.3, end]]
                .map(|p| t.body.at(p[0], p[1]))
                .into_iter()
                .map(|p| [p[0], p[1], 0.17])
                .collect();
            t.sketch.layer(44, Some(me), vec![limb(&tail, false)], cloth).feel(0.8, 0.1, 0.8).shadow(0.7);
            t.sketch.layer(45, Some(me), vec![loop_], cloth).feel(1.0, 0.12, 1.0).shadow(0.7);
            if t.dice.chance(0.6) {
                let last = t.body.at(side * 1.3, end);
                let strips = (-4..=4)
                    .map(|i| {
                        limb(
                            &[
                                [last[0] + 0.038 * i as f32, last[1] - 0.04, 0.014],
                                [last[0] + 0.042 * i as f32, last[1] + 0.2, 0.01],
                            ],
                            true,
                        )
                    })
                    .collect();
                t.part(40, me, 45, vec![], strips, cloth);
            }
        }
        _ => umbrella(t, cloth),
    }
}

fn glasses(t: &mut Tailor<'_>, head: Point) {
    if t.body.back {
        return;
    }
    let me = t.sketch.instance(13, None, vec![]);
    let frame = Cloth::plain(any_colour(t.dice), Weave::Smooth, 1);
    let lens = Cloth::plain(
        if t.dice.chance(0.5) { [0.05, 0.05, 0.06] } else { any_colour(t.dice) },
        Weave::Satin,
        t.dice.bits(),
    );
    let (w, h, dark) = (t.dice.range(0.12, 0.17), t.dice.range(0.09, 0.15), t.dice.pick(&[0.25, 0.85, 0.95]));
    for s in [-1.0, 1.0] {
        let eye = add(head, [s * 0.165, 0.0], 1.0);
        let rim = around(eye, &[[-w, -h, 0.7], [w, -h, 0.7], [w, h * 0.6, 0.8], [0.0, h, 1.0], [-w, h * 0.6, 0.8]]);
        let inner = around(
            eye,
            &[[-w, -h, 0.7], [w, -h, 0.7], [w, h * 0.6, 0.8], [0.0, h, 1.0], [-w, h * 0.6, 0.8]]
                .map(|n| [n[0] * 0.84, n[1] * 0.84, n[2]]),
        );
        let arm = limb(&fat(&[add(eye, [s * w * 0.9, -h * 0.5], 1.0), add(head, [s * 0.38, -0.02], 1.0)], 0.022), true);
        // The frame of clear glasses is drawn as a ring, so that the eye shows through.
        let ring: Vec<Point> = rim.iter().chain(rim.first()).copied().collect();
        t.sketch.layer(77, Some(me), vec![inner], &lens).feel(0.2, 0.05, 0.0).opacity(dark).shadow(0.2);
        t.sketch
            .layer(
                77,
                Some(me),
                vec![
                    limb(
                        &fat(&ring.iter().step_by(5).copied().chain(rim.first().copied()).collect::<Vec<_>>(), 0.022),
                        true,
                    ),
                    arm,
                ],
                &frame,
            )
            .feel(0.5, 0.02, 0.0);
    }
    let bridge = limb(&fat(&[[-0.06, -0.03], [0.0, -0.055], [0.06, -0.03]].map(|p| add(head, p, 1.0)), 0.02), true);
    t.sketch.layer(77, Some(me), vec![bridge], &frame).feel(0.5, 0.02, 0.0);
}

fn hat(t: &mut Tailor<'_>, head: Point, cloth: &Cloth) {
    let me = t.sketch.instance(14, None, vec![]);
    let kind = t.dice.below(4);
    let tall = if kind == 3 { -0.95 } else { -0.72 };
    let crown = around(
        head,
        &[
            [-0.41, -0.22, 0.2],
            [-0.4, -0.5, 1.0],
            [-0.22, tall, 1.0],
            [0.22, tall, 1.0],
            [0.4, -0.5, 1.0],
            [0.41, -0.22, 0.2],
            [0.0, -0.14, 1.0],
        ],
    );
    t.sketch.layer(80, Some(me), vec![crown], cloth).feel(0.9, 0.16, 0.5);
    let band = around(
        head,
        &[
            [-0.42, -0.34, 0.2],
            [0.0, -0.27, 1.0],
            [0.42, -0.34, 0.2],
            [0.42, -0.18, 0.2],
            [0.0, -0.1, 1.0],
            [-0.42, -0.18, 0.2],
        ],
    );
    match kind {
        0 => {
            t.sketch.layer(81, Some(me), vec![band], &cloth.shaded(0.85)).feel(0.9, 0.06, 0.3);
            if t.dice.chance(0.4) {
                t.sketch
                    .layer(
                        81,
                        Some(me),
                        vec![ellipse(add(head, [0.0, tall - 0.05], 1.0), 0.14, 0.14, 0.0)],
                        &Cloth { weave: Weave::Fluffy, ..*cloth },
                    )
                    .feel(0.9, 0.1, 0.6);
            }
        }
        1 => {
            let peak = around(
                head,
                &[
                    [-0.34, -0.24, 0.2],
                    [0.0, -0.2, 1.0],
                    [0.34, -0.24, 0.2],
                    [0.3, -0.06, 0.9],
                    [0.0, 0.0, 1.0],
                    [-0.3, -0.06, 0.9],
                ],
            );
            t.sketch.layer(82, Some(me), vec![peak], &cloth.shaded(0.8)).feel(0.8, 0.08, 0.0).shadow(0.9);
        }
        _ => {
            let wide = t.dice.range(0.55, 0.95);
            let brim = around(
                head,
                &[
                    [-wide, -0.16, 0.9],
                    [-0.4, -0.29, 1.0],
                    [0.0, -0.27, 1.0],
                    [0.4, -0.29, 1.0],
                    [wide, -0.16, 0.9],
                    [0.4, -0.08, 1.0],
                    [0.0, -0.04, 1.0],
                    [-0.4, -0.08, 1.0],
                ],
            );
            let ribbon = Cloth::plain(any_colour(t.dice), Weave::Satin, 4);
            t.sketch.layer(81, Some(me), vec![band], &ribbon).feel(0.5, 0.05, 0.0);
            t.sketch.layer(82, Some(me), vec![brim], cloth).feel(0.8, 0.08, 0.2).shadow(1.0);
        }
    }
}

fn shoes(t: &mut Tailor<'_>, cloth: &Cloth) {
    let kind = t.dice.below(5);
    let sole = Cloth::plain(if t.dice.chance(0.4) { [0.93, 0.93, 0.9] } else { any_colour(t.dice) }, Weave::Smooth, 5);
    let boot = t.dice.range(0.55, 0.9);
    let trim = t.dice.below(8);
    for leg in t.body.legs {
        let me = t.sketch.instance(23, None, vec![]);
        let (ankle, toe) = (leg[2], leg[3]);
        let d = direction(ankle, toe);
        let s = if toe[0] < ankle[0] { -1.0 } else { 1.0 };
        let reach = (toe[0] - ankle[0]).abs();
        let base = ankle[1].max(toe[1] - 0.1) + if reach > 0.5 { 0.22 } else { 0.36 };
        let x = |v: f32| ankle[0] + s * v;
        let high = if kind == 2 { 0.15 } else { 0.0 };
        let tip = (reach + 0.12).max(0.2);
        let upper = outline(&[
            [x(-0.16), ankle[1] - 0.03, 0.2],
            [x(0.14), ankle[1] - 0.03 + if kind >= 2 { 0.1 } else { 0.0 }, 0.5],
            [x(tip * 0.7), base - 0.2, 1.0],
            [x(tip), base - 0.05, 1.0],
            [x(tip * 0.9), base, 0.4],
            [x(-0.12), base - high, 0.4],
            [x(-0.21), base - 0.12 - high, 1.0],
        ]);
        let mut paths = vec![upper];
        if kind == 1 {
            paths.push(limb(&along_limb(&leg, boot, 1.02, |r| taper(&[0.34, 0.28, 0.22, 0.22, 0.16], r)), false));
        }
        let z = if kind == 1 { 16 } else { 9 };
        t.sketch
            .layer(z, Some(me), paths, cloth)
            .feel(0.9, 0.1, if kind == 1 { 0.4 } else { 0.1 })
            .along(ankle, add(ankle, d, 1.0));
        let heel = if kind == 2 {
            outline(&[
                [x(-0.2), base - 0.2, 0.2],
                [x(-0.08), base - 0.15, 0.2],
                [x(-0.15), base + 0.06, 0.2],
                [x(-0.19), base + 0.06, 0.2],
            ])
        } else {
            Vec::new()
        };
        let rim = limb(
            &[[x(-0.17), base - high * 0.5, 0.035], [x(tip * 0.5), base, 0.035], [x(tip * 0.93), base, 0.035]],
            true,
        );
        t.sketch.layer(z, Some(me), if heel.is_empty() { vec![rim] } else { vec![heel] }, &sole).detail();
        if kind == 0 {
            for i in 0..3 {
                let p = [x(0.08 + 0.06 * i as f32), ankle[1] + 0.08 + 0.05 * i as f32];
                t.sketch
                    .layer(
                        z,
                        Some(me),
                        vec![limb(&fat(&[[p[0] - 0.06, p[1]], [p[0] + 0.06, p[1] - 0.02]], 0.014), true)],
                        &sole,
                    )
                    .detail();
            }
        }
        match trim {
            0 => t.tassel(me, z, [x(tip * 0.5), base - 0.25], cloth),
            1 => {
                let shine = metal(t.dice);
                t.part(34, me, z, vec![], vec![ellipse([x(tip * 0.4), base - 0.18], 0.05, 0.05, 0.0)], &shine);
            }
            2 => t.bow(me, z, [x(tip * 0.5), base - 0.2], &sole),
            _ => {}
        }
    }
}

fn bag(t: &mut Tailor<'_>, cloth: &Cloth) {
    let me = t.sketch.instance(24, None, vec![]);
    let i = t.dice.below(2);
    let held = t.dice.chance(0.55) || t.body.laid;
    let (w, h) = (t.dice.range(0.32, 0.7), t.dice.range(0.3, 0.65));
    let side = i as f32 * 2.0 - 1.0;
    let hip = t.body.at(side * 0.75, 2.3);
    let (top, z) = if held { (t.body.arms[i][2], t.body.arms_z[i] - 2) } else { (add(hip, [0.0, -0.25], 1.0), 48) };
    let drop = if held { 0.45 } else { 0.0 };
    let centre = add(top, [0.0, drop + h * 0.8], 1.0);
    let strap = if held {
        vec![
            add(centre, [-w * 0.6, -h * 0.6], 1.0),
            add(centre, [-w * 0.4, -h * 0.8 - drop], 1.0),
            add(centre, [w * 0.4, -h * 0.8 - drop], 1.0),
            add(centre, [w * 0.6, -h * 0.6], 1.0),
        ]
    } else {
        vec![add(centre, [0.0, -h * 0.7], 1.0), t.body.at(0.0, 1.1), t.body.at(-side * 0.5, 0.08)]
    };
    t.sketch.layer(z, Some(me), vec![limb(&fat(&strap, 0.035), true)], &cloth.shaded(0.8)).feel(0.8, 0.04, 0.0);
    let wide = t.dice.range(0.8, 1.15);
    let body = around(
        centre,
        &[[-w * wide, -h * 0.7, 0.4], [w * wide, -h * 0.7, 0.4], [w, h * 0.8, 0.6], [0.0, h, 0.8], [-w, h * 0.8, 0.6]],
    );
    t.sketch.layer(z, Some(me), vec![body], cloth).feel(0.9, 0.12, 0.35).shadow(0.8);
    let shine = metal(t.dice);
    match t.dice.below(5) {
        0 | 1 => {
            let flap = around(
                centre,
                &[
                    [-w * wide, -h * 0.7, 0.3],
                    [w * wide, -h * 0.7, 0.3],
                    [w * 0.9, h * 0.05, 0.8],
                    [0.0, h * 0.2, 0.8],
                    [-w * 0.9, h * 0.05, 0.8],
                ],
            );
            t.sketch.layer(z, Some(me), vec![flap], &cloth.shaded(0.92)).feel(0.8, 0.06, 0.1);
            t.part(34, me, z, vec![], vec![ellipse(add(centre, [0.0, h * 0.15], 1.0), 0.08, 0.06, 0.0)], &shine);
        }
        2 => {
            let line = [add(centre, [-w * 0.8, -h * 0.45], 1.0), add(centre, [w * 0.8, -h * 0.45], 1.0)];
            t.part(35, me, z, vec![], vec![limb(&fat(&line, 0.03), false)], &shine);
        }
        3 => t.tassel(me, z, add(centre, [w * 0.6, -h * 0.5], 1.0), &cloth.shaded(0.7)),
        _ => {
            for s in [-0.7, -0.25, 0.25, 0.7] {
                t.part(
                    42,
                    me,
                    z,
                    vec![],
                    vec![ellipse(add(centre, [w * s, -h * 0.5], 1.0), 0.035, 0.035, 0.0)],
                    &shine,
                );
            }
        }
    }
}

fn umbrella(t: &mut Tailor<'_>, cloth: &Cloth) {
    let me = t.sketch.instance(26, None, vec![]);
    let i = t.dice.below(2);
    let hand = t.body.arms[i][2];
    let stick = Cloth::plain(any_colour(t.dice), Weave::Leather, 6);
    let (dx, wide) = (t.dice.range(-0.3, 0.3), t.dice.range(1.3, 1.9));
    let top = if t.body.laid { add(hand, [0.0, -2.4], 1.0) } else { [hand[0] * 0.4 + dx, -2.3_f32.min(hand[1] + 1.5)] };
    t.sketch
        .layer(49, Some(me), vec![limb(&fat(&[top, hand, add(hand, direction(top, hand), 0.3)], 0.03), true)], &stick)
        .feel(0.8, 0.03, 0.0);
    for n in 0..6 {
        // Panels between ribs, each a slice of a dome with a scalloped edge.
        let x = |k: f32| {
            let s = k / 3.0 - 1.0;
            s * (1.5 - 0.5 * s * s)
        };
        let (a, b) = (x(n as f32), x(n as f32 + 1.0));
        let rim = |s: f32| [top[0] + wide * s, top[1] + 0.95 - 0.12 * (1.0 - s * s), 0.1];
        let arch = |s: f32| [top[0] + wide * s * 0.72, top[1] + 0.3 - 0.08 * (1.0 - s * s), 1.0];
        let (ra, rb) = (rim(a), rim(b));
        let panel = outline(&[
            [top[0], top[1], 0.1],
            arch(b),
            rb,
            [(ra[0] + rb[0]) * 0.5, (ra[1] + rb[1]) * 0.5 - 0.1, 1.0],
            ra,
            arch(a),
        ]);
        let light = 1.0 - 0.06 * (n as f32 - 1.5).abs();
        t.sketch.layer(84, Some(me), vec![panel], &cloth.shaded(light)).feel(0.6, 0.12, 0.1).shadow(0.5);
    }
}
