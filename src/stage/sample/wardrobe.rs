//! What is worn: each class's cuts and trimmings, and outfits that go together. Must not know where they are shown.

use super::accessory;
use super::cloth::{Cloth, PETALS, Weave, any_colour};
use super::garment::{Cut, Tailor, metal};
use super::shape::{Path, add, ellipse, limb};

/// Classes so rare that pictures are now and then made for them.
const RARE: [u8; 12] = [20, 20, 26, 26, 12, 12, 17, 5, 11, 3, 25, 16];

impl Tailor<'_> {
    /// One garment or accessory of a class (a pair where it comes in pairs), with its parts.
    pub(super) fn sew(&mut self, class: u8) {
        let cloth = Cloth::any(self.dice);
        let r = |t: &mut Self, low, high| t.dice.range(low, high);
        match class {
            0..=5 | 9..=11 => self.trunk(class, &cloth),
            6 | 7 => {
                let me = self.sketch.instance(class, None, vec![]);
                let reach =
                    if class == 7 { r(self, 0.16, 0.5) } else { self.dice.pick(&[0.74, 0.92, 0.96, 0.98, 1.0]) };
                let ease = self.dice.pick(&[0.0, 0.01, 0.03, 0.06, 0.12]);
                let flare = if self.dice.chance(0.25) { r(self, 0.1, 0.4) } else { 0.02 };
                self.breeches(me, 12, reach, ease, flare, &cloth);
            }
            8 => {
                let flare = self.dice.pick(&[0.0, 0.1, 0.25, 0.45, 0.7]);
                let cut = Cut {
                    class,
                    z: 14,
                    hem: r(self, 2.9, 5.4),
                    flare,
                    ease: 0.05,
                    neck: [0.0; 3],
                    sleeve: 0.0,
                    cuff: 0.0,
                    open: 0.0,
                };
                let me = self.skirt(&cut, 1.45, &cloth);
                self.pleats(me, &cut, &cloth);
                if self.dice.chance(0.2) {
                    self.zipper(me, 16, &[[0.3, 1.5], [0.34, 2.1]]);
                }
                self.trim(me, &cut, &cloth);
            }
            12 => {
                let hem = r(self, 1.9, 4.2);
                let me = self.sketch.instance(12, None, vec![]);
                for s in [-1.0, 1.0] {
                    let nodes = [
                        [s * 0.05, 0.02, 0.2],
                        [s * 0.3, -0.1, 0.5],
                        [s * 0.95, 0.3, 1.0],
                        [s * 1.25, hem * 0.6, 1.0],
                        [s * 1.4, hem, 0.1],
                        [s * 0.7, hem + 0.12, 1.0],
                        [s * 0.35, hem, 0.1],
                        [s * 0.2, 1.2, 1.0],
                    ];
                    let half = self.body.shape(&nodes);
                    self.sketch.layer(66, Some(me), vec![half], &cloth).feel(0.8, 0.22, 1.0).fan(0.25).shadow(0.8);
                }
                let back = self.body.mirrored(&[[0.0, 0.0, 1.0], [0.9, 0.3, 1.0], [1.3, hem, 0.2], [0.0, hem, 1.0]]);
                self.sketch.layer(-35, Some(me), vec![back], &cloth.shaded(0.5));
            }
            _ => accessory::add_one(self, class, &cloth),
        }
    }

    fn trunk(&mut self, class: u8, cloth: &Cloth) {
        let ease = self.dice.range(0.0, 0.2);
        let neck = self.dice.pick(&[
            [0.27, 0.2, 1.0],
            [0.3, 0.3, 1.0],
            [0.3, 0.55, 0.0],
            [0.28, 0.75, 0.0],
            [0.45, 0.4, 1.0],
            [0.58, 0.2, 1.0],
        ]);
        let sleeve = self.dice.pick(&[0.0, 0.0, 0.2, 0.28, 0.34, 0.5, 0.75, 0.95, 1.0, 1.0]);
        let hem = self.dice.range(1.75, 2.55);
        let open = if self.dice.chance(0.55) { self.dice.range(0.08, 0.36) } else { 0.0 };
        let cuff = if sleeve > 0.6 { self.dice.pick(&[0.15, 0.16, 0.18, 0.3]) } else { 0.22 + ease * 0.5 };
        let base = Cut { class, z: 20, hem, flare: 0.0, ease, neck, sleeve, cuff, open: 0.0 };
        let narrow = [0.26, 0.14, 1.0];
        let cut = match class {
            0 => Cut { neck: [0.24, 0.1, 0.3], sleeve: self.dice.pick(&[0.3, 0.96, 0.98, 0.98]), ..base },
            1 => Cut { hem: hem - 0.3 * self.dice.range(0.0, 1.0), ..base },
            2 => Cut {
                neck: if self.dice.chance(0.5) { [0.21, -0.28, 1.0] } else { narrow },
                sleeve: 0.98,
                ease: ease + 0.06,
                cuff: 0.17,
                ..base
            },
            3 => Cut { z: 28, neck: [0.28, 0.8, 0.0], sleeve: 0.97, ease: ease + 0.05, open, ..base },
            4 => Cut {
                z: 32,
                neck: [0.26, 0.16, 0.5],
                sleeve: 0.98,
                ease: ease.max(0.06),
                cuff: 0.19,
                open,
                hem: hem.min(2.45),
                ..base
            },
            5 => Cut {
                z: 26,
                neck: [0.3, 0.9, 0.0],
                sleeve: 0.0,
                ease: ease * 0.5 + 0.03,
                open: open * 0.6,
                hem: hem.min(2.2),
                ..base
            },
            9 => Cut {
                z: 36,
                neck: [0.27, 0.2, 0.5],
                sleeve: 1.0,
                ease: ease.max(0.1) + 0.03,
                cuff: 0.22,
                open,
                hem: self.dice.range(2.9, 5.0),
                flare: self.dice.range(0.02, 0.2),
                ..base
            },
            10 => Cut {
                hem: self.dice.range(2.9, 5.7),
                flare: self.dice.pick(&[0.02, 0.1, 0.2, 0.4, 0.6]),
                ease: ease * 0.6,
                ..base
            },
            _ => Cut { hem: 2.2, ease: ease * 0.6, ..base },
        };
        let knit = Cloth { weave: Weave::Knit, ..*cloth };
        let cloth = if matches!(class, 2 | 3) && self.dice.chance(0.85) { &knit } else { cloth };
        let me = self.bodice(&cut, cloth);
        let z = cut.z + 3;
        let y = cut.neck[1] + 0.03;
        let bottom = cut.hem.min(2.4) - 0.05;
        match class {
            0 => {
                self.collar(me, z + 3, 0.24, cloth);
                self.seam(me, z, &[[0.0, 0.15], [0.0, cut.hem]], 0.055, &cloth.shaded(0.97));
                self.buttons(me, z + 1, 0.0, 0.3, bottom);
                if self.dice.chance(0.5) {
                    self.pocket(me, z, 0.3, 0.75, 0.27, cloth);
                }
            }
            1 => {
                if self.dice.chance(0.16) {
                    self.hood(me, z + 4, cloth);
                    self.pocket(me, z, 0.0, bottom - 0.3, 0.5, cloth);
                }
            }
            2 => {
                let hem = [
                    [0.0, cut.hem - 0.12, 1.0],
                    [self.body.girth(cut.hem) + cut.ease + 0.05, cut.hem - 0.14, 0.0],
                    [self.body.girth(cut.hem) + cut.ease, cut.hem, 0.0],
                    [0.0, cut.hem + 0.06, 1.0],
                ];
                let band = self.body.mirrored(&hem);
                self.sketch.layer(z - 1, Some(me), vec![band], &cloth.shaded(0.88)).detail();
            }
            3 => {
                self.seam(
                    me,
                    z,
                    &[[cut.open.max(0.02), cut.hem], [cut.open * 0.75 + 0.01, 1.4], [0.22, 0.3]],
                    0.06,
                    &cloth.shaded(0.9),
                );
                self.buttons(me, z + 1, cut.open * 0.8 + 0.02, 1.0, bottom);
                self.pocket(me, z, 0.42, bottom - 0.35, 0.34, cloth);
                self.pocket(me, z, -0.42, bottom - 0.35, 0.34, cloth);
            }
            4 | 9 => {
                let zipped = class == 4 && self.dice.chance(0.45);
                if zipped {
                    if self.dice.chance(0.35) {
                        self.hood(me, z + 4, cloth);
                    } else {
                        self.collar(me, z + 4, 0.27, cloth);
                    }
                    self.zipper(me, z, &[[cut.open * 0.9, 0.5], [cut.open * 0.8, 1.4], [cut.open, cut.hem]]);
                } else {
                    self.lapels(me, z + 3, 0.25, cut.open, cloth);
                    self.buttons(me, z, cut.open + 0.1, 1.3, (bottom + 0.4).min(cut.hem - 0.2));
                    if cut.open == 0.0 && self.dice.chance(0.4) {
                        self.buttons(me, z, -0.2, 1.3, bottom);
                    }
                }
                for s in [-1.0, 1.0] {
                    self.pocket(me, z, s * 0.45, bottom.max(2.0) - 0.1, 0.34, cloth);
                }
                if self.dice.chance(0.2) && !self.body.back {
                    for s in [-1.0, 1.0] {
                        let path = self.body.shape(&[
                            [s * 0.42, -0.02, 0.2],
                            [s * 0.78, 0.06, 0.2],
                            [s * 0.8, 0.22, 0.2],
                            [s * 0.42, 0.14, 0.2],
                        ]);
                        self.part(30, me, 64, vec![], vec![path], &cloth.shaded(1.1));
                    }
                }
            }
            5 => {
                self.buttons(me, z, cut.open + 0.02, 1.0, bottom);
                for s in [-1.0, 1.0] {
                    self.pocket(me, z, s * 0.3, 1.55, 0.24, cloth);
                }
            }
            10 => self.pleats(me, &cut, cloth),
            _ => {
                let ease = self.dice.pick(&[0.01, 0.06, 0.12]);
                let reach = self.dice.pick(&[0.3, 0.9, 0.97, 0.98]);
                self.breeches(me, 19, reach, ease, 0.05, cloth);
                if self.dice.chance(0.4) {
                    self.zipper(me, z, &[[0.0, y.max(0.1)], [0.0, 2.2]]);
                }
            }
        }
        self.trim(me, &cut, cloth);
    }

    fn breeches(&mut self, me: usize, z: i32, reach: f32, ease: f32, flare: f32, cloth: &Cloth) {
        let waist = if self.sketch.instances[me].class == 11 { 1.5 } else { self.dice.range(1.35, 1.7) };
        if self.dice.chance(0.65) && self.sketch.instances[me].class != 11 {
            self.sketch.instances[me].attributes =
                vec![115, 142, if ease < 0.04 { 135 } else { 136 }, cloth.pattern as u16];
        }
        self.sketch.instances[me].attributes.sort_unstable();
        self.trousers(me, z, waist, reach, ease, flare, cloth);
        let band = [
            [0.0, waist + 0.03, 1.0],
            [self.body.girth(waist) + 0.03 + ease * 0.4, waist, 0.0],
            [self.body.girth(waist) + 0.05 + ease * 0.4, waist + 0.13, 0.0],
            [0.0, waist + 0.16, 1.0],
        ];
        let band = self.body.mirrored(&band);
        self.sketch.layer(z + 1, Some(me), vec![band], &cloth.shaded(0.92)).detail();
        for s in [-1.0, 1.0] {
            if self.dice.chance(0.6) {
                self.pocket(me, z + 1, s * 0.4, waist + if self.body.back { 0.6 } else { 0.38 }, 0.28, cloth);
            }
        }
        if self.dice.chance(0.4) && !self.body.back {
            self.zipper(me, z + 1, &[[0.01, waist + 0.16], [0.01, waist + 0.62]]);
        }
    }

    /// Folds pressed into a skirt, on some.
    fn pleats(&mut self, me: usize, cut: &Cut, cloth: &Cloth) {
        if cut.flare < 0.15 || self.dice.chance(0.6) {
            return;
        }
        self.sketch.instances[me].attributes.push(304);
        let (dark, w) = (cloth.shaded(0.6), 0.62 + cut.ease + cut.flare * (cut.hem - 2.2));
        for i in -4..=4 {
            let x = i as f32 / 4.6;
            self.seam(
                me,
                cut.z + 1,
                &[[x * 0.5, 1.6], [x * (0.7 + cut.flare * 0.3), 2.4], [x * w, cut.hem]],
                0.014,
                &dark,
            );
        }
    }

    /// Decorations, on some garments; none for most.
    fn trim(&mut self, me: usize, cut: &Cut, cloth: &Cloth) {
        let z = cut.z + 4;
        let colour = any_colour(self.dice);
        let other = Cloth::plain(colour, Weave::Woven, self.dice.bits());
        let (x, y) =
            (self.dice.range(-0.25, 0.25), self.dice.range(0.75, 1.25).min(cut.hem - 0.4).max(cut.neck[1] + 0.3));
        let y = if cut.sleeve == 0.0 && cut.neck[0] == 0.0 { self.dice.range(1.9, cut.hem - 0.3) } else { y };
        let spot = self.body.at(x, y);
        let kind = self.dice.below(34);
        let closed = cut.open == 0.0;
        match kind {
            0 | 1 if closed => {
                let size = self.dice.range(0.16, 0.3);
                let shapes = [
                    ellipse(spot, size, size, 0.0),
                    vec![add(spot, [0.0, -1.0], size), add(spot, [-0.9, 0.7], size), add(spot, [0.9, 0.7], size)],
                    vec![
                        add(spot, [-1.0, -0.6], size),
                        add(spot, [1.0, -0.6], size),
                        add(spot, [1.0, 0.6], size),
                        add(spot, [-1.0, 0.6], size),
                    ],
                ];
                let print = Cloth::any(self.dice);
                let path = shapes[self.dice.below(3)].clone();
                self.part(36, me, z, vec![], vec![path], &print);
            }
            2 | 3 | 4 => {
                let (shine, count) = (metal(self.dice), 3 + self.dice.below(5));
                let class = if kind == 4 { 42 } else { 37 };
                for i in 0..count {
                    let at = self.body.at(
                        x * 0.5 + (i as f32 - count as f32 * 0.5) * 0.1,
                        y - 0.2 + 0.03 * (i as f32 - count as f32 * 0.5).powi(2),
                    );
                    self.part(class, me, z, vec![], vec![ellipse(at, 0.036, 0.036, 0.0)], &shine);
                }
            }
            5 => self.bow(me, z, self.body.at(0.0, cut.neck[1].max(0.1) + 0.1), &other),
            6 | 7 => {
                let petals: Vec<Path> = PETALS.iter().map(|p| ellipse(add(spot, *p, 0.1), 0.08, 0.08, 0.0)).collect();
                let flower = self.part(39, me, z, vec![], petals, &other);
                self.sketch.layer(z, Some(flower), vec![ellipse(spot, 0.055, 0.055, 0.0)], &other.shaded(0.5)).detail();
            }
            8 => {
                let w = (self.body.girth(cut.hem.min(2.3)) + cut.ease + cut.flare * (cut.hem - 2.2).max(0.0)) * 0.95;
                let strips = (-12..=12).map(|i| {
                    let p = [
                        self.body.at(w * i as f32 / 12.0, cut.hem - 0.1),
                        self.body.at(w * i as f32 / 12.0 + self.dice.range(-0.03, 0.03), cut.hem + 0.25),
                    ];
                    limb(&p.map(|p| [p[0], p[1], w * 0.03]), true)
                });
                let strips = strips.collect();
                self.part(40, me, z, vec![], strips, &cloth.shaded(0.85));
            }
            9 if closed => {
                let p = self.body.at(0.0, 1.42);
                let tails = [[p, add(p, [-0.1, 0.5], 1.0)], [p, add(p, [0.12, 0.6], 1.0)]]
                    .map(|t| limb(&t.map(|p| [p[0], p[1], 0.04]), false));
                self.part(41, me, z, vec![], tails.to_vec(), &other);
            }
            10 | 11 | 12 if closed => {
                let w = (self.body.girth(cut.hem.min(2.3)) + cut.ease + cut.flare * (cut.hem - 2.2).max(0.0)) * 0.97;
                let mut nodes = vec![[-w, cut.hem - 0.24, 0.2], [0.0, cut.hem - 0.2, 1.0], [w, cut.hem - 0.24, 0.2]];
                nodes.extend(
                    (-6..=6)
                        .rev()
                        .map(|i| [w * 1.08 * i as f32 / 6.0, cut.hem + if i % 2 == 0 { 0.1 } else { 0.02 }, 1.0]),
                );
                let path = self.body.shape(&nodes);
                let part = self.sketch.instance(43, Some(me), vec![]);
                self.sketch.layer(z, Some(part), vec![path], cloth).detail().feel(0.8, 0.08, 1.0).fan(0.3);
            }
            13 if closed => {
                let w = self.body.girth(y) * 0.8;
                let path = self.body.mirrored(&[
                    [0.0, y - 0.25, 1.0],
                    [w, y - 0.3, 0.4],
                    [w * 0.9, y + 0.3, 0.4],
                    [0.0, y + 0.4, 1.0],
                ]);
                self.part(44, me, z, vec![], vec![path], &Cloth { weave: Weave::Sequin, ..other });
            }
            14 => {
                for s in [-1.0, 1.0] {
                    let top = self.body.at(s * 0.09, cut.neck[1].max(0.1) + 0.1);
                    self.tassel(me, z, add(top, [0.0, 1.0], 0.2), &other);
                }
            }
            _ => {}
        }
    }

    pub(super) fn tassel(&mut self, me: usize, z: i32, at: [f32; 2], cloth: &Cloth) {
        let strands: Vec<Path> = (-2..=2)
            .map(|i| limb(&[[at[0], at[1], 0.02], [at[0] + 0.02 * i as f32, at[1] + 0.22, 0.014]], true))
            .collect();
        self.part(45, me, z, vec![], strands, cloth);
    }

    pub(super) fn bow(&mut self, me: usize, z: i32, at: [f32; 2], cloth: &Cloth) {
        let wings = [-1.0, 1.0].map(|s| {
            super::shape::outline(&[
                [at[0], at[1], 0.2],
                [at[0] + s * 0.2, at[1] - 0.12, 0.7],
                [at[0] + s * 0.22, at[1] + 0.08, 0.7],
            ])
        });
        let part = self.part(38, me, z, vec![], wings.to_vec(), cloth);
        self.sketch.layer(z, Some(part), vec![ellipse(at, 0.05, 0.05, 0.0)], &cloth.shaded(0.8)).detail();
    }

    /// Everything that one person wears; `wished` or a rare class now and then comes on top.
    pub(super) fn outfit(&mut self) {
        let wish = if self.dice.chance(0.22) { self.dice.pick(&RARE) } else { 255 };
        let wear = |t: &mut Self, class: u8, p: f32| {
            let worn = class == wish || t.dice.chance(p);
            if worn {
                t.sew(class);
            }
            worn
        };
        let whole = if wish == 11 { 0.0 } else { self.dice.range(0.0, 1.0) };
        if whole < 0.03 && wish != 16 || wish == 11 {
            wear(self, 11, 1.0);
        } else if whole < 0.38 && wish != 16 && wish != 20 {
            wear(self, 10, 1.0);
        } else {
            let bottom = self.dice.range(0.0, 1.0);
            let bottom = if wish == 20 || bottom > 0.75 {
                8
            } else if bottom > 0.62 {
                7
            } else {
                6
            };
            wear(self, bottom, 1.0);
            let top = self.dice.range(0.0, 1.0);
            let top = if wish == 16 || top < 0.28 {
                0
            } else if top < 0.9 {
                1
            } else {
                2
            };
            let first = self.sketch.layers.len();
            wear(self, top, 1.0);
            // Tucked in: the trunk goes under the waistband, the sleeves stay.
            if self.dice.chance(0.4) {
                for layer in &mut self.sketch.layers[first..] {
                    layer.z -= if (18..30).contains(&layer.z) { 11 } else { 0 };
                }
                wear(self, 19, 0.5);
            }
            if top == 0 {
                wear(self, 16, 0.12);
            }
        }
        wear(self, 5, 0.015);
        let over = self.dice.range(0.0, 1.0);
        match over {
            o if o < 0.17 => self.sew(4),
            o if o < 0.25 => self.sew(9),
            o if o < 0.28 || wish == 3 => self.sew(3),
            _ => {
                wear(self, 12, 0.004);
            }
        }
        wear(self, 19, 0.05);
        let legwear = self.dice.range(0.0, 1.0);
        if legwear < 0.1 {
            self.sew(21);
        } else if legwear < 0.2 {
            self.sew(22);
        }
        wear(self, 20, 0.004);
        wear(self, 23, 0.82);
        for (class, p) in [(13, 0.12), (15, 0.09), (17, 0.015), (18, 0.1), (24, 0.18), (25, 0.03), (26, 0.004)] {
            wear(self, class, p);
        }
        wear(self, 14, 0.07);
    }
}
