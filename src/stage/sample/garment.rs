//! Garments and their parts, cut to a body. Must not know which of them are worn together.

use super::cloth::{Cloth, Colour, Pattern, Weave, any_colour};
use super::dice::Dice;
use super::figure::{Body, LEG, on_limb, sleeve, taper};
use super::shape::{Path, Point, add, direction, ellipse, outline, stroke};
use super::sketch::Sketch;

/// How a garment of the trunk is cut. Lengths are heads, heights those of [`Body::at`].
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) class: u8,
    pub(super) z: i32,
    pub(super) hem: f32,
    /// How much it widens for each head below the hips.
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

/// How far clothes keep from skin and paper in [`Style::Usual`]; black and white are 1.7 apart.
const APART: f32 = 0.32;

/// Which cuts and colours are at hand.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// All there are.
    Any,
    /// The usual cut of each class, in colours that can be told from these.
    Usual([Colour; 2]),
}

/// Sews garments onto a body and adds them to a sketch.
pub(super) struct Tailor<'a> {
    pub(super) sketch: &'a mut Sketch,
    pub(super) body: &'a Body,
    pub(super) dice: &'a mut Dice,
    /// Something is worn over what is sewn now, which therefore lies close.
    pub(super) under: bool,
    /// Its end goes under a waistband.
    pub(super) tucked: bool,
    pub(super) style: Style,
}

pub(super) fn metal(dice: &mut Dice) -> Cloth {
    let colour = dice.pick(&[[0.78, 0.78, 0.8], [0.83, 0.68, 0.36], [0.35, 0.34, 0.36], [0.72, 0.5, 0.42]]);
    Cloth { pattern: Pattern::Stripe, pitch: 0.05, ..Cloth::plain(colour, Weave::Leather, dice.bits()) }
}

/// A colour at some distance from others: the first one, or else the next that is.
fn apart_from(others: &[Colour], first: Colour, dice: &mut Dice) -> Colour {
    let far = |colour: &Colour| {
        let squares = |other: &Colour| (0..3).map(|c| (other[c] - colour[c]).powi(2)).sum::<f32>();
        others.iter().all(|other| squares(other) > APART * APART)
    };
    std::iter::successors(Some(first), |_| Some(any_colour(dice))).take(99).find(far).unwrap_or(first)
}

impl Tailor<'_> {
    /// A cloth for the next garment.
    pub(super) fn cloth(&mut self) -> Cloth {
        let mut cloth = Cloth::any(self.dice);
        if let Style::Usual(apart) = self.style {
            cloth.colours = cloth.colours.map(|first| apart_from(&apart, first, self.dice));
        }
        cloth
    }

    /// Half the width of a garment at a height.
    pub(super) fn width(&self, cut: &Cut, y: f32) -> f32 {
        // Loose cloth does not follow the waist.
        let waist = (1.0 - (y - 1.4).abs() / 0.8).max(0.0) * cut.ease;
        self.body.girth(y.min(2.3)) + 0.03 + cut.ease + waist.min(0.16) + cut.flare * (y - 2.2).max(0.0)
    }

    /// A garment's right side from the shoulder (or a waist) down to its hem and along it to the middle.
    fn side(&self, cut: &Cut, from: f32) -> Vec<f32> {
        let mut nodes = Vec::new();
        if from < 0.3 {
            let shoulder = if cut.sleeve > 0.0 { 0.68 + cut.ease * 0.4 } else { 0.58_f32.max(cut.neck[0] + 0.08) };
            nodes.extend([shoulder, 0.1 + shoulder * 0.06, 0.4]);
            if cut.sleeve == 0.0 {
                nodes.extend([shoulder - 0.06, 0.5, 1.0]);
            }
            nodes.extend([self.width(cut, 0.85), 0.86, 0.5]);
        }
        for y in [1.1, 1.4, 1.75, 2.1, 2.6, 3.2, 3.8, 4.5, 5.2] {
            if y > from && y < cut.hem - 0.15 {
                nodes.extend([self.width(cut, y), y, 1.0]);
            }
        }
        let (w, y) = (self.width(cut, cut.hem), cut.hem);
        // Wide hems hang in waves.
        let wave = cut.flare * 0.2;
        nodes.extend([w, y, 0.1, w * 0.75, y + 0.015 + wave, 1.0, w * 0.5, y + 0.03 - wave, 1.0]);
        nodes.extend([w * 0.25, y + 0.045 + wave, 1.0]);
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
        let back = self.body.mirrored(&[&[0.0, 0.0, 1.0][..], &top, &side, &[0.0, cut.hem - 0.06, 1.0]].concat());
        self.sketch.layer(-20, Some(me), vec![back], &cloth.shaded(0.5)).feel(0.2, 0.2, 0.3).fan(cut.flare * 0.4);
        let bend = depth * (0.3 + 0.42 * slack);
        let front: Vec<Path> = if cut.open > 0.0 && !self.body.back {
            let (hem, inner) = (cut.hem + 0.05, neck.min(0.3) * 0.7);
            let edge = [cut.open * 1.1, hem, 0.1, cut.open * 0.8, 1.5, 1.0, inner, 0.45, 1.0];
            let right = [&top[..], &side[..side.len() - 6], &edge].concat();
            let left: Vec<f32> = right.iter().enumerate().map(|(i, v)| if i % 3 == 0 { -v } else { *v }).collect();
            vec![self.body.shape(&right), self.body.shape(&left)]
        } else {
            let collar = [0.0, depth, slack, neck * 0.62, bend, slack];
            vec![self.body.mirrored(&[&collar[..], &top, &side, &[0.0, cut.hem + 0.06, 1.0]].concat())]
        };
        let (from, to) = (self.body.at(0.0, 0.0), self.body.at(0.0, 2.0));
        for panel in front {
            let layer = self.sketch.layer(cut.z, Some(me), vec![panel], cloth).along(from, to);
            layer.feel(0.75, 0.22, 0.35 + cut.ease).fan(cut.flare * 0.45);
        }
        if cut.sleeve > 0.0 {
            self.sleeves(cut, cloth, me);
        }
        if depth > 0.0 && cut.open == 0.0 && self.dice.chance(0.8) {
            let kind = match (slack < 0.5, neck > 0.5, depth > 0.4) {
                (true, ..) => 183,
                (_, true, _) => 189,
                (_, _, true) => 190,
                _ => self.dice.pick(&[181, 182]),
            };
            let curve = [(-1.0, -0.02), (-0.62, bend), (0.0, depth), (0.62, bend), (1.0, -0.02)];
            let line = curve.map(|(x, y)| self.body.at(x * neck, y + 0.03));
            let part = self.sketch.instance(33, Some(me), vec![kind]);
            let layer =
                self.sketch.layer(cut.z + 1, Some(part), vec![stroke(&line, 0.045, false)], &cloth.shaded(0.93));
            layer.detail().feel(0.5, 0.04, 0.1);
        }
        me
    }

    fn sleeves(&mut self, cut: &Cut, cloth: &Cloth, me: usize) {
        let puff = if self.dice.chance(0.12) && !self.under { 0.12 } else { 0.0 };
        let crown = 0.225 + cut.ease * 0.2;
        let knots = [crown, 0.2 + cut.ease * 0.5 + puff, (0.19 + cut.ease * 0.5 + cut.cuff) * 0.5 + puff, cut.cuff];
        let length = match cut.sleeve {
            s if s < 0.4 => 157,
            s if s < 0.62 => 158,
            s if s < 0.85 => 159,
            _ => 160,
        };
        let kind = if puff > 0.0 { 209 } else { self.dice.pick(&[204, 204, 204, 205, 206]) };
        for (arm, z) in self.body.arms.iter().zip(self.body.arms_z) {
            let part = self.sketch.instance(31, Some(me), vec![length, kind]);
            let tube = sleeve(arm, 0.0, cut.sleeve, false, |t| taper(&knots, t / cut.sleeve));
            let cap = ellipse(arm[0], crown, crown, 0.0);
            let z = z + 1 + cut.z / 8;
            let layer = self.sketch.layer(z, Some(part), vec![cap, tube], cloth);
            layer.feel(0.9, 0.13, 0.5 + cut.ease).along(arm[0], arm[if cut.sleeve > 0.5 { 2 } else { 1 }]);
            let hem = sleeve(arm, cut.sleeve - 0.05, cut.sleeve, false, |_| cut.cuff + 0.004);
            let layer = self.sketch.layer(z, Some(part), vec![hem], &cloth.shaded(0.9));
            layer.detail().feel(0.5, 0.08, 0.1).along(arm[0], arm[1]);
        }
    }

    /// Both legs of trousers from `waist` down to a share of the leg, joined to an instance.
    #[allow(clippy::too_many_arguments, reason = "a cut of its own for one caller would say no more")]
    pub(super) fn trousers(&mut self, me: usize, z: i32, waist: f32, reach: f32, ease: f32, flare: f32, cloth: &Cloth) {
        for (leg, side) in self.body.legs.iter().zip([-1.0, 1.0]) {
            let edge = |t: f32, out: f32| {
                let radius = taper(&LEG, t) + 0.03 + 0.02 * t + ease * (0.5 + t) + flare * (t - 0.4).max(0.0);
                let d = direction(on_limb(leg, t - 0.05), on_limb(leg, t + 0.05));
                add(on_limb(leg, t), [d[1], -d[0]], side * out * radius)
            };
            let waistband = self.body.girth(waist) + 0.03 + ease * 0.4;
            let hips = self.body.girth(2.15) + 0.04 + ease * 0.7;
            let mut nodes = Vec::new();
            let mut put = |p: Point, slack: f32| nodes.extend([p[0], p[1], slack]);
            put(self.body.at(0.0, waist + 0.03), 0.0);
            put(self.body.at(side * waistband, waist), 0.0);
            put(self.body.at(side * hips, 2.15), 1.0);
            let steps = [0.2, 0.35, 0.5, 0.65, 0.8].into_iter().filter(|t| *t < reach - 0.06).chain([reach]);
            let steps: Vec<(f32, f32)> = steps.map(|t| (t, if t == reach { 0.0 } else { 1.0 })).collect();
            steps.iter().for_each(|(t, slack)| put(edge(*t, 1.0), *slack));
            steps.iter().rev().for_each(|(t, slack)| put(edge(*t, -0.95), *slack));
            put(self.body.at(0.0, 2.72 + ease * 0.5), 0.3);
            let layer = self.sketch.layer(z, Some(me), vec![outline(&nodes)], cloth);
            layer.feel(0.8, 0.2, 0.4 + ease).along(leg[0], leg[2]).shadow(0.35);
            let hem = vec![edge(reach - 0.02, 1.0), edge(reach - 0.02, -0.95), edge(reach, -0.95), edge(reach, 1.0)];
            self.sketch.layer(z, Some(me), vec![hem], &cloth.shaded(0.85)).detail().shadow(0.0);
        }
        self.band(me, z + 1, waist, self.body.girth(waist) + 0.03 + ease * 0.4, cloth);
    }

    /// A skirt from the waist down.
    pub(super) fn skirt(&mut self, cut: &Cut, waist: f32, cloth: &Cloth) -> usize {
        let attributes = self.attributes(cut, cloth);
        let me = self.sketch.instance(cut.class, None, attributes);
        let w = self.body.girth(waist) + 0.03;
        let top = [0.0, waist + 0.04, 1.0, w, waist, 0.0];
        let path = self.body.mirrored(&[&top[..], &self.side(cut, waist + 0.1), &[0.0, cut.hem + 0.04, 1.0]].concat());
        let layer = self.sketch.layer(cut.z, Some(me), vec![path], cloth);
        layer.feel(0.8, 0.22, 0.5 + cut.flare).fan(cut.flare * 0.8).shadow(0.6);
        self.band(me, cut.z + 1, waist, w, cloth);
        me
    }

    /// A strip of a garment's own cloth across the trunk: a waistband, a ribbed hem.
    pub(super) fn band(&mut self, me: usize, z: i32, y: f32, w: f32, cloth: &Cloth) {
        let path = self.body.mirrored(&[0.0, y + 0.03, 1.0, w, y, 0.0, w + 0.01, y + 0.12, 0.0, 0.0, y + 0.15, 1.0]);
        self.sketch.layer(z, Some(me), vec![path], &cloth.shaded(0.9)).detail();
    }

    fn attributes(&mut self, cut: &Cut, cloth: &Cloth) -> Vec<u16> {
        if self.dice.chance(0.12) {
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
        let finish = if cloth.pattern == Pattern::Plain { 316 } else { 301 };
        let mut all = vec![115, 142, 295, length, fit, opening, finish, cloth.pattern as u16];
        if cut.flare > 0.2 {
            all.push(129);
        }
        all.retain(|_| self.dice.chance(0.8));
        all
    }

    /// A part of no great height on a garment.
    pub(super) fn part(
        &mut self,
        class: u8,
        of: usize,
        z: i32,
        attributes: &[u16],
        paths: Vec<Path>,
        cloth: &Cloth,
    ) -> usize {
        let part = self.sketch.instance(class, Some(of), attributes.to_vec());
        self.sketch.layer(z, Some(part), paths, cloth).detail().feel(0.5, 0.05, 0.1).shadow(0.4);
        part
    }

    /// A line through places on the trunk.
    pub(super) fn line(&self, points: &[Point], radius: f32) -> Vec<Path> {
        let places: Vec<Point> = points.iter().map(|p| self.body.at(p[0], p[1])).collect();
        vec![stroke(&places, radius, false)]
    }

    /// A line on a garment that is no part of its own: a crease, a placket.
    pub(super) fn seam(&mut self, me: usize, z: i32, points: &[Point], radius: f32, cloth: &Cloth) {
        let line = self.line(points, radius);
        self.sketch.layer(z, Some(me), line, cloth).detail().shadow(0.2);
    }

    pub(super) fn buttons(&mut self, me: usize, z: i32, x: f32, from: f32, to: f32) {
        let cloth = Cloth::plain(any_colour(self.dice), Weave::Smooth, 3);
        let count = ((to - from) / 0.26) as usize;
        for i in 0..=count {
            let p = self.body.at(x, from + (to - from) * i as f32 / count.max(1) as f32);
            self.sketch.layer(z, Some(me), vec![ellipse(p, 0.028, 0.028, 0.0)], &cloth).detail().feel(0.8, 0.02, 0.0);
        }
    }

    pub(super) fn zipper(&mut self, me: usize, z: i32, points: &[Point]) {
        let (cloth, line) = (metal(self.dice), self.line(points, 0.028));
        self.part(35, me, z, &[], line, &cloth);
    }

    /// Outlines on the right of the trunk and on its left, from one.
    fn both_sides(&self, right: &[f32]) -> [Path; 2] {
        let left: Vec<f32> = right.iter().enumerate().map(|(i, v)| if i % 3 == 0 { -v } else { *v }).collect();
        [self.body.shape(right), self.body.shape(&left)]
    }

    pub(super) fn collar(&mut self, me: usize, z: i32, neck: f32, cloth: &Cloth) {
        if !self.body.back {
            let (wide, drop) = (neck + 0.11, self.dice.range(0.3, 0.5));
            let (stand, inner) = (neck * 0.8, neck * 0.7);
            let flap = [stand, -0.2, 0.3, wide, 0.02, 0.6, wide, drop, 0.0, 0.02, 0.17, 0.0, inner, 0.0, 1.0];
            let kind = self.dice.pick(&[162, 163, 163, 164]);
            self.part(28, me, z, &[kind], self.both_sides(&flap).to_vec(), cloth);
        }
    }

    pub(super) fn lapels(&mut self, me: usize, z: i32, neck: f32, open: f32, cloth: &Cloth) {
        if self.body.back {
            return;
        }
        let (wide, deep) = (neck + self.dice.range(0.12, 0.24), self.dice.range(1.0, 1.5));
        let (kind, notch, inner) = (self.dice.pick(&[174, 174, 175, 176]), wide - 0.06, neck * 0.75);
        let (belly, fold) = (open + 0.1, deep * 0.75);
        let nodes =
            [neck, -0.1, 0.2, notch, 0.2, 0.4, wide, 0.5, 0.0, belly, fold, 1.0, open, deep, 0.0, inner, 0.45, 1.0];
        for path in self.both_sides(&nodes) {
            self.part(29, me, z, &[kind], vec![path], &cloth.shaded(1.08));
        }
        if self.dice.chance(0.6) {
            let nodes = [neck, -0.14, 0.3, notch, 0.05, 0.4, wide - 0.03, 0.3, 0.0, neck, 0.25, 0.4];
            self.part(28, me, z + 1, &[162], self.both_sides(&nodes).to_vec(), cloth);
        }
    }

    pub(super) fn hood(&mut self, me: usize, z: i32, cloth: &Cloth) {
        let part = self.sketch.instance(27, Some(me), vec![]);
        let behind = [0.0, -0.62, 1.0, 0.42, -0.45, 1.0, 0.55, -0.05, 1.0, 0.3, 0.15, 1.0, 0.0, 0.18, 1.0];
        let behind = self.body.mirrored(&behind);
        let low = if self.body.back { z } else { -18 };
        self.sketch.layer(low, Some(part), vec![behind], &cloth.shaded(0.8)).feel(0.8, 0.2, 0.6);
        if !self.body.back {
            let rim = [0.3, -0.3, 1.0, 0.5, -0.1, 1.0, 0.4, 0.2, 1.0, 0.04, 0.45, 0.3, 0.2, 0.1, 1.0];
            for path in self.both_sides(&rim) {
                self.sketch.layer(z, Some(part), vec![path], cloth).feel(0.9, 0.1, 0.5);
            }
        }
    }

    /// A pocket centred on the trunk at (`x`, `y`): sewn on, or a slit.
    pub(super) fn pocket(&mut self, me: usize, z: i32, x: f32, y: f32, size: f32, cloth: &Cloth) {
        let s = size * 0.5;
        if self.dice.chance(0.4) {
            let slit = self.line(&[[x - s, y + s * 0.4], [x + s, y - s * 0.2]], 0.035);
            self.part(32, me, z, &[219], slit, &cloth.shaded(0.6));
            return;
        }
        let (l, r, top, low, tip) = (x - s, x + s, y - s, y + s * 0.7, y + s * 1.25);
        let path = self.body.shape(&[l, top, 0.0, r, top, 0.0, r, low, 0.5, x, tip, 0.3, l, low, 0.5]);
        let part = self.part(32, me, z, &[218], vec![path], &cloth.shaded(0.96));
        let hem = self.line(&[[l, y - s * 0.8], [r, y - s * 0.8]], s * 0.16);
        self.sketch.layer(z, Some(part), hem, &cloth.shaded(0.85)).detail();
    }
}
