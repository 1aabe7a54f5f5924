//! What is worn: how each class is cut, and outfits that go together. Must not know where they are shown.

use super::accessory;
use super::cloth::{Cloth, Weave};
use super::garment::{Cut, Style, Tailor};

/// Classes so rare that pictures are now and then made for them.
const RARE: [u8; 12] = [20, 20, 26, 26, 12, 12, 17, 5, 11, 3, 25, 16];

impl Tailor<'_> {
    /// The cut in this tailor's style. As most of its class are means: sleeves of tops and dresses end above the elbow,
    /// coats and dresses reach the knee, and nothing spreads far.
    fn styled(&self, cut: Cut) -> Cut {
        if matches!(self.style, Style::Any) {
            return cut;
        }
        match cut.class {
            1 => Cut { sleeve: cut.sleeve.min(0.34), cuff: 0.24, ..cut },
            9 => Cut { hem: cut.hem.max(3.6), flare: cut.flare.min(0.1), ..cut },
            10 => Cut {
                sleeve: cut.sleeve.min(0.28),
                cuff: 0.24,
                hem: cut.hem.max(3.2),
                flare: cut.flare.min(0.25),
                ..cut
            },
            _ => Cut { flare: cut.flare.min(0.25), ..cut },
        }
    }

    /// One garment or accessory of a class (both where it comes in pairs), with its parts.
    pub(super) fn sew(&mut self, class: u8) {
        let cloth = self.cloth();
        match class {
            0..=5 | 9..=11 => self.trunk(class, &cloth),
            6 | 7 => {
                let me = self.sketch.instance(class, None, vec![]);
                let short = self.dice.range(0.16, 0.5);
                let reach = if class == 7 { short } else { self.dice.pick(&[0.74, 0.92, 0.96, 0.98, 1.0]) };
                let ease = self.dice.pick(&[0.0, 0.01, 0.03, 0.06, 0.12]);
                let flare = if self.dice.chance(0.25) { self.dice.range(0.1, 0.4) } else { 0.02 };
                let waist = self.dice.range(1.35, 1.7);
                if self.dice.chance(0.65) {
                    let fit = if ease < 0.04 { 135 } else { 136 };
                    self.sketch.instances[me].attributes = vec![115, fit, 142, cloth.pattern as u16];
                }
                self.trousers(me, 12, waist, reach, ease, flare, &cloth);
                let below = if self.body.back { 0.6 } else { 0.38 };
                for x in [-0.4, 0.4] {
                    if self.dice.chance(0.6) {
                        self.pocket(me, 13, x, waist + below, 0.28, &cloth);
                    }
                }
                if self.dice.chance(0.4) && !self.body.back {
                    self.zipper(me, 13, &[[0.01, waist + 0.16], [0.01, waist + 0.62]]);
                }
            }
            8 => {
                let (hem, flare) = (self.dice.range(2.9, 5.4), self.dice.pick(&[0.0, 0.1, 0.25, 0.45, 0.7]));
                let cut =
                    Cut { class, z: 14, hem, flare, ease: 0.05, neck: [0.0; 3], sleeve: 0.0, cuff: 0.0, open: 0.0 };
                let cut = self.styled(cut);
                let me = self.skirt(&cut, 1.45, &cloth);
                self.pleats(me, &cut, &cloth);
                if self.dice.chance(0.2) {
                    self.zipper(me, 16, &[[0.3, 1.5], [0.34, 2.1]]);
                }
                self.trim(me, &cut, &cloth);
            }
            _ => accessory::add_one(self, class, &cloth),
        }
    }

    fn trunk(&mut self, class: u8, cloth: &Cloth) {
        let ease = self.dice.range(0.0, if self.under { 0.04 } else { 0.18 });
        let neck = self.dice.pick(&[
            [0.27, 0.2, 1.0],
            [0.3, 0.3, 1.0],
            [0.3, 0.55, 0.0],
            [0.28, 0.75, 0.0],
            [0.45, 0.4, 1.0],
            [0.55, 0.2, 1.0],
        ]);
        let sleeve = self.dice.pick(&[0.0, 0.0, 0.2, 0.28, 0.34, 0.5, 0.75, 0.95, 0.98, 0.98]);
        let hem = self.dice.range(1.75, 2.5);
        let open = if self.dice.chance(0.55) { self.dice.range(0.08, 0.36) } else { 0.0 };
        let tight = sleeve > 0.6 || self.under;
        let cuff = if tight { self.dice.pick(&[0.15, 0.16, 0.17]) } else { 0.22 + ease * 0.5 };
        let (z, hem) = if self.tucked { (6, 1.62) } else { (20, hem) };
        let base = Cut { class, z, hem, flare: 0.0, ease, neck, sleeve, cuff, open: 0.0 };
        let coat = self.dice.range(2.9, 5.0);
        let cut = match class {
            0 => Cut { neck: [0.24, 0.1, 0.3], sleeve: self.dice.pick(&[0.3, 0.96, 0.98, 0.98]), ..base },
            1 => Cut { hem: hem - 0.2 * self.dice.range(0.0, 1.0), ..base },
            2 => {
                // Half of them with a polo neck, which stands up to the chin.
                let neck = self.dice.pick(&[[0.21, -0.28, 1.0], [0.26, 0.14, 1.0]]);
                Cut { neck, sleeve: 0.98, ease: ease + 0.05, cuff: 0.17, ..base }
            }
            3 => Cut { z: 28, neck: [0.28, 0.8, 0.0], sleeve: 0.97, ease: ease + 0.07, cuff: 0.17, open, ..base },
            4 => {
                let hem = hem.min(2.4);
                Cut { z: 32, neck: [0.26, 0.16, 0.5], sleeve: 0.98, ease: ease + 0.08, cuff: 0.19, open, hem, ..base }
            }
            5 => {
                let (ease, open, hem) = (ease * 0.5 + 0.05, open * 0.6, hem.min(2.2));
                Cut { z: 26, neck: [0.3, 0.9, 0.0], sleeve: 0.0, ease, open, hem, ..base }
            }
            9 => {
                let (flare, ease) = (self.dice.range(0.02, 0.2), ease + 0.12);
                let neck = [0.27, 0.2, 0.5];
                Cut { z: 36, neck, sleeve: 0.99, ease, cuff: 0.22, open, hem: coat, flare, ..base }
            }
            10 => {
                let flare = self.dice.pick(&[0.02, 0.1, 0.2, 0.4, 0.6]);
                Cut { hem: self.dice.range(2.9, 5.7), flare, ease: ease * 0.6, ..base }
            }
            _ => Cut { hem: 2.2, ease: ease * 0.6, ..base },
        };
        let knit = Cloth { weave: Weave::Knit, ..*cloth };
        let cloth = if matches!(class, 2 | 3) && self.dice.chance(0.85) { &knit } else { cloth };
        let cut = self.styled(cut);
        let me = self.bodice(&cut, cloth);
        let (z, bottom) = (cut.z + 3, cut.hem.min(2.4) - 0.05);
        match class {
            0 => {
                self.collar(me, z + 3, 0.24, cloth);
                self.seam(me, z, &[[0.0, 0.15], [0.0, cut.hem]], 0.055, &cloth.shaded(0.97));
                self.buttons(me, z + 1, 0.0, 0.3, bottom);
                if self.dice.chance(0.5) {
                    self.pocket(me, z, 0.3, 0.75, 0.27, cloth);
                }
            }
            1 if self.dice.chance(0.16) => {
                self.hood(me, z + 4, cloth);
                self.pocket(me, z, 0.0, bottom - 0.3, 0.5, cloth);
            }
            1 => {}
            2 => self.band(me, z - 1, cut.hem - 0.13, self.width(&cut, cut.hem), cloth),
            3 => {
                let edge = [[cut.open.max(0.02), cut.hem], [cut.open * 0.75 + 0.01, 1.4], [0.22, 0.3]];
                self.seam(me, z, &edge, 0.06, &cloth.shaded(0.9));
                self.buttons(me, z + 1, cut.open * 0.8 + 0.02, 1.0, bottom);
                self.pockets(me, z, [0.42, bottom - 0.35], 0.34, cloth);
            }
            4 | 9 => self.tailored(me, &cut, bottom, cloth),
            5 => {
                self.buttons(me, z, cut.open + 0.02, 1.0, bottom);
                self.pockets(me, z, [0.3, 1.55], 0.24, cloth);
            }
            10 => self.pleats(me, &cut, cloth),
            _ => {
                let (ease, reach) = (self.dice.pick(&[0.01, 0.06, 0.12]), self.dice.pick(&[0.3, 0.9, 0.97, 0.98]));
                self.trousers(me, 19, 1.5, reach, ease, 0.05, cloth);
                if self.dice.chance(0.4) {
                    self.zipper(me, z, &[[0.0, cut.neck[1].max(0.1)], [0.0, 2.2]]);
                }
            }
        }
        self.trim(me, &cut, cloth);
    }

    fn pockets(&mut self, me: usize, z: i32, at: [f32; 2], size: f32, cloth: &Cloth) {
        for side in [-1.0, 1.0] {
            self.pocket(me, z, side * at[0], at[1], size, cloth);
        }
    }

    /// What jackets and coats have in front: a zipper with hood or collar, or lapels and buttons.
    fn tailored(&mut self, me: usize, cut: &Cut, bottom: f32, cloth: &Cloth) {
        let z = cut.z + 3;
        if cut.class == 4 && self.dice.chance(0.45) {
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
        self.pockets(me, z, [0.45, bottom.max(2.0) - 0.1], 0.34, cloth);
        if self.dice.chance(0.2) && !self.body.back {
            for x in [-0.6, 0.6] {
                let line = self.line(&[[x * 0.7, 0.05], [x * 1.3, 0.14]], 0.07);
                self.part(30, me, 64, &[], line, &cloth.shaded(1.1));
            }
        }
    }

    /// Wears a class with a chance, or because it is wished for.
    fn wear(&mut self, wish: u8, class: u8, chance: f32) -> bool {
        let nowhere = self.body.headless && matches!(class, 13..=15);
        let worn = (class == wish || self.dice.chance(chance)) && !nowhere;
        if worn {
            self.sew(class);
        }
        worn
    }

    /// Everything that one person wears: about as often as in the real data, the rarest classes somewhat more.
    pub(super) fn outfit(&mut self) {
        let wish = if self.dice.chance(0.22) { self.dice.pick(&RARE) } else { 255 };
        let over = match self.dice.range(0.0, 1.0) {
            _ if wish == 3 => 3,
            o if o < 0.17 => 4,
            o if o < 0.25 => 9,
            o if o < 0.28 => 3,
            _ => 255,
        };
        self.under = over != 255 || wish == 12 || wish == 5;
        let whole = self.dice.range(0.0, 1.0);
        if whole < 0.03 && wish != 16 || wish == 11 {
            self.sew(11);
        } else if whole < 0.38 && wish != 16 && wish != 20 {
            self.sew(10);
        } else {
            let bottom = match self.dice.range(0.0, 1.0) {
                b if wish == 20 || b > 0.75 => 8,
                b if b > 0.62 => 7,
                _ => 6,
            };
            self.sew(bottom);
            let top = match self.dice.range(0.0, 1.0) {
                t if wish == 16 || t < 0.28 => 0,
                t if t < 0.9 => 1,
                _ => 2,
            };
            self.tucked = self.dice.chance(0.4);
            self.sew(top);
            if std::mem::take(&mut self.tucked) {
                self.wear(wish, 19, 0.5);
            }
            if top == 0 {
                self.wear(wish, 16, 0.12);
            }
        }
        self.wear(wish, 5, 0.015);
        self.under = false;
        if over != 255 {
            self.sew(over);
        }
        let legwear = self.dice.range(0.0, 1.0);
        if legwear < 0.2 {
            self.sew(if legwear < 0.1 { 21 } else { 22 });
        }
        let rest = [(12, 0.004), (19, 0.05), (20, 0.004), (23, 0.82), (13, 0.12), (15, 0.09), (17, 0.015), (18, 0.1)];
        for (class, chance) in rest.into_iter().chain([(24, 0.18), (25, 0.03), (26, 0.004), (14, 0.07)]) {
            self.wear(wish, class, chance);
        }
    }
    /// A capsule wardrobe's outfit: few classes, each of them often, all that go together with all.
    pub(super) fn capsule(&mut self) {
        let coat = self.dice.chance(0.22);
        self.under = coat;
        match self.dice.range(0.0, 1.0) {
            d if d < 0.28 => self.sew(10),
            b => {
                self.sew(match b {
                    b if b < 0.52 => 6,
                    b if b < 0.76 => 7,
                    _ => 8,
                });
                let top = if coat || self.dice.chance(0.5) { 1 } else { 2 };
                self.sew(top);
            }
        }
        self.under = false;
        if coat {
            self.sew(9);
        }
        for (class, chance) in [(23, 0.95), (24, 0.3), (14, 0.35)] {
            self.wear(255, class, chance);
        }
    }
}
