//! Decorations: appliques, beads, bows, flowers, fringe, ruffles and the like. Must not know which garments bear them.

use super::cloth::{Cloth, PETALS, Weave, any_colour};
use super::garment::{Cut, Tailor, metal};
use super::shape::{Path, Point, add, around, ellipse, stroke};

impl Tailor<'_> {
    /// Decorations, on some garments; none for most.
    pub(super) fn trim(&mut self, me: usize, cut: &Cut, cloth: &Cloth) {
        let (z, closed) = (cut.z + 4, cut.open == 0.0);
        let other = Cloth::plain(any_colour(self.dice), Weave::Woven, self.dice.bits());
        let skirt = cut.sleeve == 0.0 && cut.neck[0] == 0.0;
        let y =
            if skirt { self.dice.range(1.9, cut.hem - 0.3) } else { self.dice.range(0.8, 1.25).max(cut.neck[1] + 0.3) };
        let x = self.dice.range(-0.25, 0.25);
        let spot = self.body.at(x, y.min(cut.hem - 0.35));
        let hem = self.width(cut, cut.hem) * 0.96;
        let throat = cut.neck[1].max(0.1) + 0.1;
        match self.dice.below(34) {
            0 | 1 if closed => {
                let size = self.dice.range(0.16, 0.3);
                let nodes = self.dice.pick(&[
                    &[0.0, -1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, -1.0, 0.0, 1.0][..],
                    &[0.0, -1.0, 0.0, 0.9, 0.7, 0.0, -0.9, 0.7, 0.0],
                    &[-1.0, -0.6, 0.0, 1.0, -0.6, 0.0, 1.0, 0.6, 0.0, -1.0, 0.6, 0.0],
                ]);
                let print = Cloth::any(self.dice);
                self.part(36, me, z, &[], vec![around(spot, [size, size], nodes)], &print);
            }
            kind @ 2..=4 => {
                let (shine, count) = (metal(self.dice), 3 + self.dice.below(5));
                for i in 0..count {
                    let from_middle = i as f32 - (count as f32 - 1.0) * 0.5;
                    let at = add(spot, [from_middle * 0.1, -0.03 * from_middle * from_middle], 1.0);
                    let class = if kind == 4 { 42 } else { 37 };
                    self.part(class, me, z, &[], vec![ellipse(at, 0.036, 0.036, 0.0)], &shine);
                }
            }
            5 => self.bow(me, z, self.body.at(0.0, throat), &other),
            6 | 7 => {
                let petals = PETALS.map(|p| ellipse(add(spot, p, 0.1), 0.08, 0.08, 0.0));
                let flower = self.part(39, me, z, &[], petals.to_vec(), &other);
                let heart = vec![ellipse(spot, 0.055, 0.055, 0.0)];
                self.sketch.layer(z, Some(flower), heart, &other.shaded(0.5)).detail();
            }
            8 => {
                let strip = |i: i32| {
                    let x = hem * i as f32 / 12.0;
                    stroke(&[self.body.at(x, cut.hem - 0.1), self.body.at(x * 1.03, cut.hem + 0.25)], hem * 0.03, true)
                };
                let strips = (-12..=12).map(strip).collect();
                self.part(40, me, z, &[], strips, &cloth.shaded(0.85));
            }
            9 if closed => {
                let p = self.body.at(0.0, 1.42);
                let tails = [[-0.1, 0.5], [0.12, 0.6]].map(|d| stroke(&[p, add(p, d, 1.0)], 0.04, false));
                self.part(41, me, z, &[], tails.to_vec(), &other);
            }
            10..=12 if closed => {
                let (top, mut nodes) = (cut.hem - 0.24, Vec::new());
                nodes.extend([-hem, top, 0.2, 0.0, top + 0.04, 1.0, hem, top, 0.2]);
                for i in -6..=6 {
                    nodes.extend([-hem * 1.08 * i as f32 / 6.0, cut.hem + if i % 2 == 0 { 0.1 } else { 0.02 }, 1.0]);
                }
                let path = self.body.shape(&nodes);
                let part = self.sketch.instance(43, Some(me), vec![]);
                self.sketch.layer(z, Some(part), vec![path], cloth).detail().feel(0.8, 0.08, 1.0).fan(0.3);
            }
            13 if closed => {
                let (w, top, low) = (self.body.girth(y) * 0.8, y - 0.3, y + 0.3);
                let path = self.body.mirrored(&[0.0, top, 1.0, w, top, 0.4, w, low, 0.4, 0.0, low + 0.1, 1.0]);
                self.part(44, me, z, &[], vec![path], &Cloth { weave: Weave::Sequin, ..other });
            }
            14 => {
                for x in [-0.09, 0.09] {
                    self.tassel(me, z, self.body.at(x, throat + 0.2), &other);
                }
            }
            _ => {}
        }
    }

    pub(super) fn tassel(&mut self, me: usize, z: i32, at: Point, cloth: &Cloth) {
        let strand = |i: i32| stroke(&[at, add(at, [0.02 * i as f32, 0.22], 1.0)], 0.016, true);
        let strands: Vec<Path> = (-2..=2).map(strand).collect();
        self.part(45, me, z, &[], strands, cloth);
    }

    pub(super) fn bow(&mut self, me: usize, z: i32, at: Point, cloth: &Cloth) {
        let wings = [-0.2, 0.2].map(|w| around(at, [w, 0.12], &[0.0, 0.0, 0.2, 1.0, -1.0, 0.7, 1.1, 0.7, 0.7]));
        let part = self.part(38, me, z, &[], wings.to_vec(), cloth);
        self.sketch.layer(z, Some(part), vec![ellipse(at, 0.05, 0.05, 0.0)], &cloth.shaded(0.8)).detail();
    }

    /// Folds pressed into a skirt, on some.
    pub(super) fn pleats(&mut self, me: usize, cut: &Cut, cloth: &Cloth) {
        if cut.flare < 0.15 || self.dice.chance(0.6) {
            return;
        }
        self.sketch.instances[me].attributes.push(304);
        self.sketch.instances[me].attributes.sort_unstable();
        let (dark, w) = (cloth.shaded(0.6), self.width(cut, cut.hem));
        for i in -4..=4 {
            let x = i as f32 / 4.6;
            let line = [[x * 0.5, 1.6], [x * (0.7 + cut.flare * 0.3), 2.4], [x * w, cut.hem]];
            self.seam(me, cut.z + 1, &line, 0.014, &dark);
        }
    }
}
