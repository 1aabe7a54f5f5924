//! What is behind the clothes: studio paper, or a room, a street, a wood. Must not know who stands before it.

use super::canvas::{Canvas, Light};
use super::cloth::{Cloth, Colour, Weave, any_colour, blend};
use super::dice::{Dice, noise};
use super::shape::{Path, ellipse, outline};
use super::sketch::Sketch;

fn rectangle(x: f32, y: f32, w: f32, h: f32) -> Path {
    vec![[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
}

/// Paper or a wall of one colour, lit softly; `near` is a colour that it is to be like.
pub(super) fn studio(width: usize, height: usize, dice: &mut Dice, near: Option<Colour>) -> Canvas {
    let mut canvas = Canvas::new(width, height);
    let white = dice.range(0.84, 1.0);
    let paper = match dice.below(4) {
        0 => any_colour(dice),
        1 => blend([white; 3], any_colour(dice), 0.35),
        _ => [white, white * dice.range(0.97, 1.0), white * dice.range(0.95, 1.0)],
    };
    let paper = near.map_or(paper, |c| c.map(|v| (v + dice.range(-0.05, 0.05)).clamp(0.0, 1.0)));
    let (fall, floor, horizon) = (dice.range(0.0, 0.35), dice.range(-0.08, 0.05), dice.range(0.7, 0.95));
    let (cx, cy, seed) = (dice.range(0.3, 0.7), dice.range(0.2, 0.6), dice.bits());
    for y in 0..height {
        for x in 0..width {
            let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
            let far = (u - cx) * (u - cx) + (v - cy) * (v - cy);
            let light = 1.0 - fall * far
                + floor * ((v - horizon) * 12.0).clamp(0.0, 1.0)
                + 0.01 * noise(u * 3.0, v * 3.0, seed);
            canvas.pixels[y * width + x] = paper.map(|c| (c * light).clamp(0.0, 1.0));
        }
    }
    canvas
}

/// A place with things in it: rooms, walls and streets, sharp or out of focus.
pub(super) fn scene(width: usize, height: usize, dice: &mut Dice, light: Light) -> Canvas {
    let kind = dice.below(7);
    let softness = match kind {
        0 | 1 | 4 => dice.pick(&[2, 4, 6]),
        _ => dice.pick(&[1, 1, 2]),
    };
    let (w, h) = (width.div_ceil(softness), height.div_ceil(softness));
    let mut canvas = Canvas::new(w, h);
    // Ten units to the height, so that cloth patterns are of a size with those of clothes.
    let (scale, wide) = (h as f32 / 10.0, 10.0 * w as f32 / h as f32);
    let mut sketch = Sketch::default();
    let all = || rectangle(-1.0, -1.0, wide + 2.0, 12.0);
    let horizon = dice.range(5.5, 8.5);
    let mut put = |path: Path, cloth: &Cloth, puff: f32, folds: f32, shadow: f32| {
        sketch.layer(0, None, vec![path], cloth).feel(puff, 0.2, folds).shadow(shadow);
    };
    match kind {
        0 => {
            let sky = blend([0.75, 0.83, 0.92], any_colour(dice), 0.3);
            put(all(), &Cloth::plain(sky, Weave::Smooth, 1), 0.0, 0.0, 0.0);
            let mut x = -1.0;
            while x < wide {
                let (broad, top) = (dice.range(0.8, 3.0), dice.range(0.0, 5.0));
                let wall = Cloth::plain(any_colour(dice), Weave::Woven, dice.bits());
                put(rectangle(x, top, broad, 11.0), &wall, 0.2, 0.0, 0.3);
                let pane = Cloth::plain(any_colour(dice), Weave::Satin, 2);
                let (step, rows) = (dice.range(0.45, 0.9), dice.range(0.6, 1.1));
                for i in 0..((broad / step) as usize) {
                    for j in 0..((horizon - top) / rows) as usize {
                        put(
                            rectangle(
                                x + step * (i as f32 + 0.25),
                                top + rows * (j as f32 + 0.3),
                                step * 0.5,
                                rows * 0.5,
                            ),
                            &pane,
                            0.0,
                            0.0,
                            0.0,
                        );
                    }
                }
                x += broad;
            }
            put(
                rectangle(-1.0, horizon, wide + 2.0, 9.0),
                &Cloth::plain([dice.range(0.3, 0.7); 3], Weave::Denim, dice.bits()),
                0.0,
                0.1,
                0.0,
            );
        }
        1 => {
            put(
                all(),
                &Cloth::plain(blend([0.7, 0.82, 0.95], any_colour(dice), 0.25), Weave::Smooth, 1),
                0.0,
                0.0,
                0.0,
            );
            let ground = Cloth::plain(blend([0.35, 0.42, 0.2], any_colour(dice), 0.4), Weave::Fluffy, dice.bits());
            put(rectangle(-1.0, horizon - 1.0, wide + 2.0, 9.0), &ground, 0.0, 0.4, 0.0);
            for _ in 0..40 {
                let leaf = blend([0.25, 0.4, 0.18], any_colour(dice), 0.35);
                let (at, r) = ([dice.range(-0.5, wide + 0.5), dice.range(-0.5, horizon)], dice.range(0.3, 1.3));
                put(
                    ellipse(at, r, r * dice.range(0.6, 1.2), 0.3),
                    &Cloth::plain(leaf, Weave::Fluffy, dice.bits()),
                    0.6,
                    0.8,
                    0.5,
                );
            }
        }
        2 | 3 => {
            let paper =
                if kind == 2 { Cloth::any(dice) } else { Cloth::plain(any_colour(dice), Weave::Woven, dice.bits()) };
            put(all(), &paper, 0.0, 0.0, 0.0);
            for _ in 0..dice.below(4) {
                let (x, y, a, b) =
                    (dice.range(0.0, wide), dice.range(0.2, 3.5), dice.range(0.8, 2.2), dice.range(0.8, 2.6));
                put(
                    rectangle(x - 0.12, y - 0.12, a + 0.24, b + 0.24),
                    &Cloth::plain(any_colour(dice), Weave::Leather, 1),
                    0.4,
                    0.0,
                    0.8,
                );
                put(rectangle(x, y, a, b), &Cloth::any(dice), 0.0, 0.0, 0.0);
            }
            let boards = Cloth { turn: [1.0, 0.0], ..Cloth::any(dice) };
            put(rectangle(-1.0, horizon, wide + 2.0, 9.0), &boards, 0.0, 0.0, 0.4);
            if dice.chance(0.6) {
                let (x, a, seat) = (dice.range(-1.0, wide - 2.0), dice.range(2.5, 4.5), Cloth::any(dice));
                put(
                    outline(&[
                        [x, horizon - 2.0, 0.5],
                        [x + a, horizon - 2.0, 0.5],
                        [x + a, horizon + 0.6, 0.3],
                        [x, horizon + 0.6, 0.3],
                    ]),
                    &seat,
                    0.9,
                    0.5,
                    0.8,
                );
                for i in 0..dice.below(3) {
                    let at = x + 0.8 + 1.1 * i as f32;
                    put(
                        outline(&[
                            [at - 0.5, horizon - 1.4, 0.4],
                            [at + 0.5, horizon - 1.5, 0.4],
                            [at + 0.5, horizon - 0.5, 0.4],
                            [at - 0.5, horizon - 0.4, 0.4],
                        ]),
                        &Cloth::any(dice),
                        0.9,
                        0.5,
                        0.7,
                    );
                }
            }
        }
        4 => {
            put(all(), &Cloth::plain(any_colour(dice).map(|c| c * 0.6), Weave::Smooth, 1), 0.0, 0.0, 0.0);
            for _ in 0..45 {
                let (at, r) = ([dice.range(0.0, wide), dice.range(0.0, 10.0)], dice.range(0.15, 0.7));
                let glow = Cloth::plain(any_colour(dice), Weave::Smooth, 1);
                sketch
                    .layer(0, None, vec![ellipse(at, r, r, 0.0)], &glow)
                    .feel(0.0, 0.1, 0.0)
                    .shadow(0.0)
                    .opacity(dice.range(0.2, 0.8));
            }
        }
        5 => {
            let cloth = Cloth::any(dice);
            put(all(), &cloth, 0.0, dice.range(0.2, 1.2), 0.0);
        }
        _ => {
            let (mortar, brick) = (any_colour(dice), any_colour(dice));
            put(all(), &Cloth::plain(mortar, Weave::Denim, 1), 0.0, 0.0, 0.0);
            let (a, b) = (dice.range(0.7, 1.6), dice.range(0.28, 0.7));
            for j in 0..(10.0 / b) as usize + 1 {
                for i in 0..(wide / a) as usize + 2 {
                    let x = (i as f32 - 0.5 * (j % 2) as f32) * a - 0.3;
                    let tone = brick.map(|c| (c * dice.range(0.8, 1.15)).min(1.0));
                    put(
                        rectangle(x, j as f32 * b, a - 0.06, b - 0.06),
                        &Cloth::plain(tone, Weave::Denim, dice.bits()),
                        0.5,
                        0.0,
                        0.0,
                    );
                }
            }
        }
    }
    let mut placed = Sketch::default();
    placed.place(sketch, &super::sketch::Placing::new(scale, 0.0, false, [0.0, 0.0]), 0);
    canvas.paint(&mut placed, light);
    canvas.stretched(width, height)
}
