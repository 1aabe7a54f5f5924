//! Garments and their parts, cut to a body. Must not know which of them are worn together.

use super::cloth::{Cloth, Pattern, Weave, any_colour};
use super::dice::Dice;
use super::figure::{Body, along_limb, on_limb, taper};
use super::shape::{Path, add, direction, limb};
use super::sketch::Sketch;

/// How a garment of the trunk is cut. Lengths are heads, heights those of [`Body::at`].
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) class: u8,
    pub(super) z: i32,
    pub(super) hem: f32,
    /// Half a head wider for each head below the hips.
    pub(super) flare: f32,
    /// How far it stands off the body.
    pub(super) ease: f32,
    /// Half the neck's width, its depth, and 1 for round or 0 for pointed.
    pub(super) neck: [f32; 3],
    /// Share of the arm that is covered; 0 is sleeveless.
    pub(super) sleeve: f32,
    /// The sleeve's radius at its end.
    pub(super) cuff: f32,
    /// Half the width of the gap in front; 0 is closed.
    pub(super) open: f32,
}

/// Sews garments onto a body and adds them to a sketch.
pub(super) struct Tailor<'a> {
    pub(super) sketch: &'a mut Sketch,
    pub(super) body: &'a Body,
    pub(super) dice: &'a mut Dice,
}

pub(super) fn metal(dice: &mut Dice) -> Cloth {
    let colour = dice.pick(&[[0.78, 0.78, 0.8], [0.83, 0.68, 0.36], [0.35, 0.34, 0.36], [0.72, 0.5, 0.42]]);
    Cloth { pattern: Pattern::Stripe, pitch: 0.05, ..Cloth::plain(colour, Weave::Leather, dice.bits()) }
}

impl Tailor<'_> {
    /// Half the width of a garment at a height.
    fn width(&self, cut: &Cut, y: f32) -> f32 {
        // Loose cloth does not follow the waist.
        let waist = (1.0 - (y - 1.4).abs() / 0.8).max(0.0) * cut.ease;
        self.body.girth(y.min(2.3)) + 0.03 + cut.ease + waist.min(0.16) + cut.flare * (y - 2.2).max(0.0)
    }

    /// A garment's right side from the shoulder down to its hem, which ends in the middle.
    fn side(&self, cut: &Cut, from: f32) -> Vec<[f32; 3]> {
        let mut nodes = Vec::new();
        if from < 0.3 {
            let shoulder = if cut.sleeve > 0.0 { 0.76 + cut.ease * 0.4 } else { 0.6_f32.max(cut.neck[0] + 0.08) };
            nodes.push([shoulder, 0.13 + shoulder * 0.05, 0.4]);
            if cut.sleeve == 0.0 {
                nodes.push([shoulder - 0.06, 0.5, 1.0]);
            }
            nodes.push([self.width(cut, 0.85), 0.86, 0.5]);
        }
        let heights = [1.1, 1.4, 1.75, 2.1, 2.6, 3.2, 3.8, 4.5, 5.2];
        nodes.extend(
            heights.iter().filter(|y| **y > from && **y < cut.hem - 0.15).map(|y| [self.width(cut, *y), *y, 1.0]),
        );
        let w = self.width(cut, cut.hem);
        nodes.push([w, cut.hem, 0.1]);
        // Wide hems hang in waves.
        let wave = cut.flare * 0.2;
        nodes.extend(
            [(0.75, wave), (0.5, -wave), (0.25, wave)].map(|(x, dy)| [w * x, cut.hem + 0.06 * (1.0 - x) + dy, 1.0]),
        );
        nodes
    }

    /// The trunk of a garment, with its neckline and sleeves.
    pub(super) fn bodice(&mut self, cut: &Cut, cloth: &Cloth) -> usize {
        let attributes = self.attributes(cut, cloth);
        let me = self.sketch.instance(cut.class, None, attributes);
        let [neck, depth, slack] = cut.neck;
        let depth = if self.body.back { depth.min(0.06) } else { depth };
        let top = [neck, -0.04 + neck * 0.12, 0.2];
        let side = self.side(cut, 0.0);
        let back = [&[[0.0, 0.0, 1.0], top], &side[..]].concat();
        let back = self.body.mirrored(&[&back[..], &[[0.0, cut.hem - 0.06, 1.0]]].concat());
        self.sketch.layer(-20, Some(me), vec![back], &cloth.shaded(0.5)).feel(0.2, 0.2, 0.3).fan(cut.flare * 0.4);
        let front: Vec<Path> = if cut.open > 0.0 && !self.body.back {
            let edge =
                [[cut.open * 1.1, cut.hem + 0.05, 0.1], [cut.open * 0.8, 1.5, 1.0], [neck.min(0.3) * 0.7, 0.45, 1.0]];
            let right = [&[top], &side[..side.len() - 2], &edge].concat();
            let left: Vec<_> = right.iter().map(|n| [-n[0], n[1], n[2]]).collect();
            vec![self.body.shape(&right), self.body.shape(&left)]
        } else {
            let curve = [neck * 0.62, depth * (0.3 + 0.42 * slack), slack];
            let whole = [&[[0.0, depth, slack], curve, top], &side[..], &[[0.0, cut.hem + 0.06, 1.0]]].concat();
            vec![self.body.mirrored(&whole)]
        };
        for (i, panel) in front.into_iter().enumerate() {
            let folds = 0.35 + cut.ease;
            let layer = self.sketch.layer(cut.z + i as i32, Some(me), vec![panel], cloth);
            layer.feel(0.75, 0.22, folds).fan(cut.flare * 0.45).along(self.body.at(0.0, 0.0), self.body.at(0.0, 2.0));
        }
        if cut.sleeve > 0.0 {
            self.sleeves(cut, cloth, me);
        }
        if depth > 0.0 && self.dice.chance(0.8) && cut.open == 0.0 {
            let kind = match (slack < 0.5, neck, depth) {
                (true, ..) => 183,
                (_, n, _) if n > 0.5 => 189,
                (_, _, d) if d > 0.4 => 190,
                _ => self.dice.pick(&[181, 182]),
            };
            let points = [
                (-1.0, -0.02),
                (-0.62, depth * (0.3 + 0.42 * slack)),
                (0.0, depth),
                (0.62, depth * (0.3 + 0.42 * slack)),
                (1.0, -0.02),
            ];
            let spine = points.map(|(x, y)| {
                let p = self.body.at(x * neck, y + 0.03);
                [p[0], p[1], 0.045]
            });
            let part = self.sketch.instance(33, Some(me), vec![kind]);
            self.sketch
                .layer(cut.z + 1, Some(part), vec![limb(&spine, false)], &cloth.shaded(0.93))
                .detail()
                .feel(0.5, 0.04, 0.1);
        }
        me
    }

    fn sleeves(&mut self, cut: &Cut, cloth: &Cloth, me: usize) {
        let puff = if self.dice.chance(0.15) { 0.12 } else { 0.0 };
        let knots = [
            0.25 + cut.ease * 0.3,
            0.22 + cut.ease * 0.6 + puff,
            (0.2 + cut.ease * 0.6 + cut.cuff) * 0.5 + puff,
            cut.cuff,
        ];
        let length = match cut.sleeve {
            s if s < 0.4 => 157,
            s if s < 0.62 => 158,
            s if s < 0.85 => 159,
            _ => 160,
        };
        let kind = if puff > 0.0 { 209 } else { self.dice.pick(&[204, 204, 204, 205, 206]) };
        for (arm, z) in self.body.arms.iter().zip(self.body.arms_z) {
            let part = self.sketch.instance(31, Some(me), vec![length, kind]);
            let tube = limb(&along_limb(arm, -0.03, cut.sleeve, |t| taper(&knots, t / cut.sleeve)), false);
            let crown = limb(&along_limb(arm, -0.03, cut.sleeve.min(0.2), |_| knots[0]), true);
            let z = z + 1 + cut.z / 8;
            let layer = self.sketch.layer(z, Some(part), vec![crown, tube], cloth);
            layer.feel(0.9, 0.13, 0.5 + cut.ease).along(arm[0], arm[if cut.sleeve > 0.5 { 2 } else { 1 }]);
            let hem = along_limb(arm, cut.sleeve - 0.05, cut.sleeve, |_| cut.cuff + 0.004);
            self.sketch
                .layer(z, Some(part), vec![limb(&hem, false)], &cloth.shaded(0.9))
                .detail()
                .feel(0.5, 0.08, 0.1)
                .along(arm[0], arm[1]);
        }
    }

    /// Both legs of trousers from `waist` down to a share of the leg, joined to an instance.
    pub(super) fn trousers(&mut self, me: usize, z: i32, waist: f32, reach: f32, ease: f32, flare: f32, cloth: &Cloth) {
        for (leg, side) in self.body.legs.iter().zip([-1.0, 1.0]) {
            let radius =
                |t: f32| taper(&[0.36, 0.31, 0.22, 0.2, 0.16], t) + ease * (0.5 + t) + flare * (t - 0.4).max(0.0);
            let edge = |t: f32, out: f32| {
                let d = direction(on_limb(leg, t - 0.05), on_limb(leg, t + 0.05));
                add(on_limb(leg, t), [d[1], -d[0]], side * out * radius(t))
            };
            let slant = self.body.girth(waist) + 0.03 + ease * 0.4;
            let hip = self.body.at(side * (self.body.girth(2.15) + 0.04 + ease * 0.7), 2.15);
            let (inner, outer) = (self.body.at(0.0, waist + 0.03), self.body.at(side * slant, waist));
            let mut nodes = vec![[inner[0], inner[1], 0.0], [outer[0], outer[1], 0.0], [hip[0], hip[1], 1.0]];
            let steps: Vec<f32> =
                [0.2, 0.35, 0.5, 0.65, 0.8].into_iter().filter(|t| *t < reach - 0.06).chain([reach]).collect();
            nodes.extend(
                steps
                    .iter()
                    .map(|t| (edge(*t, 1.0), if *t == reach { 0.0 } else { 1.0 }))
                    .map(|(p, k)| [p[0], p[1], k]),
            );
            nodes.extend(
                steps
                    .iter()
                    .rev()
                    .map(|t| (edge(*t, -0.95), if *t == reach { 0.0 } else { 1.0 }))
                    .map(|(p, k)| [p[0], p[1], k]),
            );
            let crotch = self.body.at(0.0, 2.72 + ease * 0.5);
            nodes.push([crotch[0], crotch[1], 0.3]);
            let path = super::shape::outline(&nodes);
            self.sketch
                .layer(z, Some(me), vec![path], cloth)
                .feel(0.8, 0.2, 0.4 + ease)
                .along(leg[0], leg[2])
                .shadow(0.35);
            let hem = |t: f32| [edge(t, 1.0), edge(t, -0.95)];
            let [[a, b], [c, d]] = [hem(reach - 0.02), hem(reach)];
            self.sketch.layer(z, Some(me), vec![vec![a, b, d, c]], &cloth.shaded(0.85)).detail().shadow(0.0);
        }
    }

    /// A skirt from the waist down.
    pub(super) fn skirt(&mut self, cut: &Cut, waist: f32, cloth: &Cloth) -> usize {
        let attributes = self.attributes(cut, cloth);
        let me = self.sketch.instance(cut.class, None, attributes);
        let w = self.body.girth(waist) + 0.03;
        let nodes = [
            &[[0.0, waist + 0.04, 1.0], [w, waist, 0.0]],
            &self.side(cut, waist + 0.1)[..],
            &[[0.0, cut.hem + 0.04, 1.0]],
        ]
        .concat();
        let path = self.body.mirrored(&nodes);
        self.sketch
            .layer(cut.z, Some(me), vec![path], cloth)
            .feel(0.8, 0.22, 0.5 + cut.flare)
            .fan(cut.flare * 0.8)
            .shadow(0.6);
        let band = [[0.0, waist + 0.04, 1.0], [w, waist, 0.0], [w + 0.02, waist + 0.12, 0.0], [0.0, waist + 0.16, 1.0]];
        let band = self.body.mirrored(&band);
        self.sketch.layer(cut.z + 1, Some(me), vec![band], &cloth.shaded(0.9)).detail();
        me
    }

    fn attributes(&mut self, cut: &Cut, cloth: &Cloth) -> Vec<u16> {
        if self.dice.chance(0.3) {
            return Vec::new();
        }
        let length = match cut.hem {
            y if y < 1.9 => 146,
            y if y < 2.5 => 147,
            y if y < 3.1 => 149,
            y if y < 3.9 => 150,
            y if y < 4.4 => 151,
            y if y < 5.2 => 153,
            _ => 154,
        };
        let fit = match cut.ease {
            e if e < 0.05 => 135,
            e if e < 0.14 => 136,
            _ => 137,
        };
        let opening = if cut.open > 0.0 { 225 } else { 234 };
        let mut all = vec![115, 142, 295, length, fit, opening, cloth.pattern as u16];
        all.push(if cloth.pattern == Pattern::Plain { 316 } else { 301 });
        if cut.flare > 0.2 {
            all.push(129);
        }
        all.retain(|_| self.dice.chance(0.8));
        all
    }

    /// A part on a garment, outlined on the trunk.
    pub(super) fn part(
        &mut self,
        class: u8,
        parent: usize,
        z: i32,
        attributes: Vec<u16>,
        paths: Vec<Path>,
        cloth: &Cloth,
    ) -> usize {
        let part = self.sketch.instance(class, Some(parent), attributes);
        self.sketch.layer(z, Some(part), paths, cloth).detail().feel(0.5, 0.05, 0.1).shadow(0.4);
        part
    }

    /// A thin line on a garment that is no part of its own: a seam, a placket.
    pub(super) fn seam(&mut self, me: usize, z: i32, points: &[[f32; 2]], radius: f32, cloth: &Cloth) {
        let spine: Vec<_> = points.iter().map(|p| self.body.at(p[0], p[1])).map(|p| [p[0], p[1], radius]).collect();
        self.sketch.layer(z, Some(me), vec![limb(&spine, true)], cloth).detail().shadow(0.2);
    }

    pub(super) fn buttons(&mut self, me: usize, z: i32, x: f32, from: f32, to: f32) {
        let cloth = Cloth::plain(any_colour(self.dice), Weave::Smooth, 3);
        let count = ((to - from) / 0.26) as usize;
        for i in 0..=count {
            let p = self.body.at(x, from + (to - from) * i as f32 / count.max(1) as f32);
            self.sketch
                .layer(z, Some(me), vec![super::shape::ellipse(p, 0.028, 0.028, 0.0)], &cloth)
                .detail()
                .feel(0.8, 0.02, 0.0);
        }
    }

    pub(super) fn zipper(&mut self, me: usize, z: i32, points: &[[f32; 2]]) {
        let cloth = metal(self.dice);
        let spine: Vec<_> = points.iter().map(|p| self.body.at(p[0], p[1])).map(|p| [p[0], p[1], 0.028]).collect();
        self.part(35, me, z, vec![], vec![limb(&spine, false)], &cloth);
    }

    pub(super) fn collar(&mut self, me: usize, z: i32, neck: f32, cloth: &Cloth) {
        if self.body.back {
            return;
        }
        let drop = self.dice.range(0.3, 0.5);
        let flap = |s: f32| {
            [
                [s * neck * 0.8, -0.2, 0.3],
                [s * (neck + 0.1), 0.02, 0.6],
                [s * (neck + 0.12), drop, 0.0],
                [s * 0.02, 0.17, 0.0],
                [s * neck * 0.7, 0.0, 1.0],
            ]
        };
        let paths = vec![self.body.shape(&flap(1.0)), self.body.shape(&flap(-1.0))];
        let kind = self.dice.pick(&[162, 163, 163, 164]);
        self.part(28, me, z, vec![kind], paths, cloth);
    }

    pub(super) fn lapels(&mut self, me: usize, z: i32, neck: f32, open: f32, cloth: &Cloth) {
        if self.body.back {
            return;
        }
        let wide = self.dice.range(0.12, 0.24);
        let deep = self.dice.range(1.0, 1.5);
        let kind = self.dice.pick(&[174, 174, 175, 176]);
        for s in [-1.0, 1.0] {
            let nodes = [
                [s * neck, -0.1, 0.2],
                [s * (neck + wide * 0.7), 0.2, 0.4],
                [s * (neck + wide), 0.5, 0.0],
                [s * (open + 0.1), deep * 0.75, 1.0],
                [s * open.max(0.02), deep, 0.0],
                [s * neck * 0.75, 0.45, 1.0],
            ];
            let path = self.body.shape(&nodes);
            self.part(29, me, z, vec![kind], vec![path], &cloth.shaded(1.08));
        }
        if self.dice.chance(0.6) {
            let flap = |s: f32| {
                [
                    [s * neck * 0.9, -0.14, 0.3],
                    [s * (neck + wide * 0.6), 0.05, 0.4],
                    [s * (neck + wide * 0.8), 0.3, 0.0],
                    [s * neck * 0.9, 0.25, 0.4],
                ]
            };
            let paths = vec![self.body.shape(&flap(1.0)), self.body.shape(&flap(-1.0))];
            self.part(28, me, z + 1, vec![162], paths, cloth);
        }
    }

    pub(super) fn hood(&mut self, me: usize, z: i32, cloth: &Cloth) {
        let part = self.sketch.instance(27, Some(me), vec![]);
        let behind = self.body.mirrored(&[
            [0.0, -0.62, 1.0],
            [0.42, -0.45, 1.0],
            [0.55, -0.05, 1.0],
            [0.3, 0.15, 1.0],
            [0.0, 0.18, 1.0],
        ]);
        self.sketch
            .layer(if self.body.back { z } else { -18 }, Some(part), vec![behind], &cloth.shaded(0.8))
            .feel(0.8, 0.2, 0.6);
        if !self.body.back {
            let rim = |s: f32| {
                [
                    [s * 0.3, -0.3, 1.0],
                    [s * 0.5, -0.1, 1.0],
                    [s * 0.4, 0.2, 1.0],
                    [s * 0.04, 0.45, 0.3],
                    [s * 0.2, 0.1, 1.0],
                ]
            };
            for s in [-1.0, 1.0] {
                let path = self.body.shape(&rim(s));
                self.sketch.layer(z, Some(part), vec![path], cloth).feel(0.9, 0.1, 0.5);
            }
        }
    }

    /// A pocket centred on the trunk at (`x`, `y`): sewn on, or a slit.
    pub(super) fn pocket(&mut self, me: usize, z: i32, x: f32, y: f32, size: f32, cloth: &Cloth) {
        if self.dice.chance(0.4) {
            let nodes = [self.body.at(x - size * 0.5, y + size * 0.2), self.body.at(x + size * 0.5, y - size * 0.1)]
                .map(|p| [p[0], p[1], 0.035]);
            self.part(32, me, z, vec![219], vec![limb(&nodes, false)], &cloth.shaded(0.6));
            return;
        }
        let s = size * 0.5;
        let nodes = [
            [x - s, y - s, 0.0],
            [x + s, y - s, 0.0],
            [x + s, y + s * 0.7, 0.5],
            [x, y + s * 1.25, 0.3],
            [x - s, y + s * 0.7, 0.5],
        ];
        let path = self.body.shape(&nodes);
        let part = self.part(32, me, z, vec![218], vec![path], &cloth.shaded(0.96));
        let hem = [self.body.at(x - s, y - s * 0.8), self.body.at(x + s, y - s * 0.8)].map(|p| [p[0], p[1], s * 0.16]);
        self.sketch.layer(z, Some(part), vec![limb(&hem, false)], &cloth.shaded(0.85)).detail();
    }
}
