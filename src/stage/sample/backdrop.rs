//! What is behind the clothes: studio paper, or a room, a street, a wood. Must not know who stands before it.

use super::canvas::{Canvas, Light};
use super::cloth::{Cloth, Colour, Weave, any_colour, blend};
use super::dice::{Dice, noise};
use super::shape::{Path, around, ellipse};
use super::sketch::{Layer, Placing, Sketch};

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

/// A place being furnished; ten units to its height, so that patterns are of a size with those of clothes.
struct Set<'a> {
    sketch: Sketch,
    dice: &'a mut Dice,
    wide: f32,
    horizon: f32,
}

/// A place with things in it: rooms, walls and streets, sharp or out of focus.
/// From above (`flat`) there are floors and cloths only.
pub(super) fn scene(width: usize, height: usize, dice: &mut Dice, light: Light, flat: bool) -> Canvas {
    let kind = if flat { 5 + dice.below(2) } else { dice.below(9) };
    let softness = match kind {
        0 | 1 | 4 => dice.pick(&[2, 4, 6]),
        _ => dice.pick(&[1, 1, 2]),
    };
    let (w, h) = (width.div_ceil(softness), height.div_ceil(softness));
    let (wide, horizon) = (10.0 * w as f32 / h as f32, dice.range(5.5, 8.5));
    let mut set = Set { sketch: Sketch::default(), dice, wide, horizon };
    match kind {
        0 => set.street(),
        1 => set.wood(),
        4 => set.lights(),
        5 => {
            let (cloth, folds) = (set.stuff(), set.dice.range(0.1, 0.6));
            set.put(rectangle(-1.0, -1.0, wide + 2.0, 12.0), &cloth).feel(0.0, 0.2, folds);
        }
        6 => set.bricks(),
        _ => set.room(),
    }
    let mut canvas = Canvas::new(w, h);
    let mut placed = Sketch::default();
    placed.place(set.sketch, &Placing::new(h as f32 / 10.0, 0.0, false, [0.0, 0.0]), 0);
    canvas.paint(&mut placed, light);
    canvas.stretched(width, height)
}

impl Set<'_> {
    fn put(&mut self, path: Path, cloth: &Cloth) -> &mut Layer {
        self.sketch.layer(0, None, vec![path], cloth).feel(0.0, 0.2, 0.0).shadow(0.0)
    }

    /// Covers everything below a height; what was put before stays visible above it.
    fn below(&mut self, y: f32, cloth: &Cloth) -> &mut Layer {
        self.put(rectangle(-1.0, y, self.wide + 2.0, 12.0 - y), cloth)
    }

    /// A colour for things that are not to outshine clothes.
    fn colour(&mut self) -> Colour {
        let colour = any_colour(self.dice);
        blend(colour, [colour.iter().sum::<f32>() / 3.0; 3], self.dice.range(0.1, 0.6))
    }

    fn plain(&mut self, weave: Weave) -> Cloth {
        Cloth::plain(self.colour(), weave, self.dice.bits())
    }

    /// A patterned cloth for things.
    fn stuff(&mut self) -> Cloth {
        let colours = [self.colour(), self.colour(), self.colour()];
        Cloth { colours, ..Cloth::any(self.dice) }
    }

    /// A colour near a given one.
    fn like(&mut self, colour: Colour, weave: Weave) -> Cloth {
        Cloth::plain(blend(colour, any_colour(self.dice), 0.3), weave, self.dice.bits())
    }

    fn street(&mut self) {
        let sky = self.like([0.75, 0.83, 0.92], Weave::Smooth);
        self.below(-1.0, &sky);
        let mut x = -1.0;
        while x < self.wide {
            let (broad, top) = (self.dice.range(0.8, 3.0), self.dice.range(0.0, 5.0));
            let (wall, pane) = (self.plain(Weave::Woven), self.plain(Weave::Satin));
            self.put(rectangle(x, top, broad, 11.0), &wall).feel(0.2, 0.2, 0.0).shadow(0.3);
            let (w, h) = (self.dice.range(0.45, 0.9), self.dice.range(0.6, 1.1));
            for i in 0..(broad / w) as usize {
                for j in 0..((self.horizon - top) / h) as usize {
                    let (left, up) = (x + w * (i as f32 + 0.25), top + h * (j as f32 + 0.3));
                    self.put(rectangle(left, up, w * 0.5, h * 0.5), &pane);
                }
            }
            x += broad;
        }
        let road = Cloth::plain([self.dice.range(0.3, 0.7); 3], Weave::Denim, 1);
        self.below(self.horizon, &road);
    }

    fn wood(&mut self) {
        let (sky, ground) = (self.like([0.7, 0.82, 0.95], Weave::Smooth), self.like([0.35, 0.42, 0.2], Weave::Fluffy));
        self.below(-1.0, &sky);
        self.below(self.horizon - 1.0, &ground).feel(0.0, 0.2, 0.4);
        for _ in 0..40 {
            let leaves = self.like([0.25, 0.4, 0.18], Weave::Fluffy);
            let at = [self.dice.range(-0.5, self.wide + 0.5), self.dice.range(-0.5, self.horizon)];
            let r = self.dice.range(0.3, 1.3);
            self.put(ellipse(at, r, r * 0.85, 0.3), &leaves).feel(0.6, 0.2, 0.8).shadow(0.5);
        }
    }

    fn lights(&mut self) {
        let night = self.plain(Weave::Smooth).shaded(0.6);
        self.below(-1.0, &night);
        for _ in 0..45 {
            let glow = self.plain(Weave::Smooth);
            let at = [self.dice.range(0.0, self.wide), self.dice.range(0.0, 10.0)];
            let (r, opacity) = (self.dice.range(0.15, 0.7), self.dice.range(0.2, 0.8));
            self.put(ellipse(at, r, r, 0.0), &glow).opacity(opacity);
        }
    }

    fn bricks(&mut self) {
        let (mortar, brick) = (self.plain(Weave::Denim), self.colour());
        self.below(-1.0, &mortar);
        let (w, h) = (self.dice.range(0.7, 1.6), self.dice.range(0.28, 0.7));
        for j in 0..(10.0 / h) as usize + 1 {
            for i in 0..(self.wide / w) as usize + 2 {
                let x = (i as f32 - 0.5 * (j % 2) as f32) * w - 0.3;
                let tone = Cloth::plain(brick, Weave::Denim, self.dice.bits()).shaded(self.dice.range(0.8, 1.15));
                self.put(rectangle(x, j as f32 * h, w - 0.06, h - 0.06), &tone).feel(0.5, 0.05, 0.0);
            }
        }
    }

    fn room(&mut self) {
        let paper = if self.dice.chance(0.4) { self.stuff() } else { self.plain(Weave::Woven) };
        self.below(-1.0, &paper);
        for _ in 0..self.dice.below(4) {
            let (x, y) = (self.dice.range(0.0, self.wide), self.dice.range(0.2, 3.5));
            let (w, h) = (self.dice.range(0.8, 2.2), self.dice.range(0.8, 2.6));
            let (frame, print) = (self.plain(Weave::Leather), self.stuff());
            self.put(rectangle(x - 0.12, y - 0.12, w + 0.24, h + 0.24), &frame).feel(0.4, 0.1, 0.0).shadow(0.8);
            self.put(rectangle(x, y, w, h), &print);
        }
        let floor = if self.dice.chance(0.5) { self.stuff() } else { self.plain(Weave::Denim) };
        self.below(self.horizon, &floor).shadow(0.4);
        if self.dice.chance(0.6) {
            const BOX: [f32; 12] = [-1.0, -1.0, 0.4, 1.0, -1.0, 0.4, 1.0, 1.0, 0.4, -1.0, 1.0, 0.4];
            let (x, w, seat) = (self.dice.range(0.0, self.wide), self.dice.range(1.2, 2.2), self.stuff());
            self.put(around([x, self.horizon - 0.7], [w, 1.3], &BOX), &seat).feel(0.9, 0.2, 0.4).shadow(0.8);
            for i in 0..self.dice.below(3) {
                let (at, cushion) = ([x - 0.8 + 1.1 * i as f32, self.horizon - 0.9], self.stuff());
                self.put(around(at, [0.5, 0.48], &BOX), &cushion).feel(0.9, 0.15, 0.4).shadow(0.7);
            }
        }
    }
}
