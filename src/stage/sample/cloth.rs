//! What surfaces look like close by: colours, patterns, weaves. Must not know what is made of them.

use super::dice::{Dice, noise, speckle};

/// Red, green and blue, each 0..1, sRGB.
pub(super) type Colour = [f32; 3];

/// What is printed or woven in; the numbers are the attributes that the data set has for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    Plain = 317,
    Abstract = 318,
    Camouflage = 321,
    Check = 322,
    Dot = 323,
    Floral = 325,
    Geometric = 326,
    Stripe = 328,
    Houndstooth = 329,
    Chevron = 331,
    Argyle = 332,
    Leopard = 333,
}

/// How the surface itself is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weave {
    Woven,
    Knit,
    Denim,
    Leather,
    Satin,
    Fluffy,
    Sequin,
    Smooth,
}

/// A material. Lengths are in heads, the unit of figures.
#[derive(Clone, Copy)]
pub(super) struct Cloth {
    pub(super) colours: [Colour; 3],
    pub(super) pattern: Pattern,
    pub(super) weave: Weave,
    /// Length of one repeat of the pattern.
    pub(super) pitch: f32,
    /// The pattern's direction, as cosine and sine.
    pub(super) turn: [f32; 2],
    pub(super) seed: u32,
}

pub(super) fn blend(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// A colour of any kind: a grey, an earthy tone or a bright one. Never asks what it is for.
pub(super) fn any_colour(dice: &mut Dice) -> Colour {
    let (hue, kind) = (dice.range(0.0, 6.0), dice.range(0.0, 1.0));
    let (saturation, value) = match kind {
        k if k < 0.12 => (0.03, dice.range(0.04, 0.22)),
        k if k < 0.27 => (0.05, dice.range(0.82, 0.99)),
        k if k < 0.36 => (0.06, dice.range(0.25, 0.8)),
        k if k < 0.66 => (dice.range(0.2, 0.5), dice.range(0.2, 0.9)),
        _ => (dice.range(0.4, 0.82), dice.range(0.3, 0.92)),
    };
    let ramp = |shift: f32| 1.0 - (((hue + shift) % 6.0 - 3.0).abs() - 1.0).clamp(0.0, 1.0);
    [0.0, 4.0, 2.0].map(|shift| value * (1.0 - saturation * ramp(shift)))
}

impl Cloth {
    pub(super) fn plain(colour: Colour, weave: Weave, seed: u32) -> Self {
        Self { colours: [colour; 3], pattern: Pattern::Plain, weave, pitch: 1.0, turn: [1.0, 0.0], seed }
    }

    pub(super) fn any(dice: &mut Dice) -> Self {
        use Pattern::{
            Abstract, Argyle, Camouflage, Check, Chevron, Dot, Floral, Geometric, Houndstooth, Leopard, Plain, Stripe,
        };
        let pattern = if dice.chance(0.45) {
            Plain
        } else {
            dice.pick(&[
                Stripe,
                Stripe,
                Stripe,
                Check,
                Check,
                Floral,
                Floral,
                Dot,
                Abstract,
                Geometric,
                Camouflage,
                Houndstooth,
                Chevron,
                Argyle,
                Leopard,
            ])
        };
        let weave = match dice.range(0.0, 1.0) {
            w if w < 0.42 => Weave::Woven,
            w if w < 0.58 => Weave::Knit,
            w if w < 0.72 => Weave::Denim,
            w if w < 0.83 => Weave::Satin,
            w if w < 0.91 => Weave::Leather,
            w if w < 0.96 => Weave::Fluffy,
            _ => Weave::Smooth,
        };
        let pitch = dice.range(0.1, 0.42) * if pattern == Houndstooth { 0.7 } else { 1.0 };
        let turn = dice.pick(&[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.8, 0.6], [0.6, -0.8]]);
        Self {
            colours: [any_colour(dice), any_colour(dice), any_colour(dice)],
            pattern,
            weave,
            pitch,
            turn,
            seed: dice.bits(),
        }
    }

    /// The same cloth, `times` as bright.
    pub(super) fn shaded(&self, times: f32) -> Self {
        Self { colours: self.colours.map(|c| c.map(|v| (v * times).min(1.0))), ..*self }
    }

    /// How much light it throws back like a mirror, 0..1.
    pub(super) fn gloss(&self) -> f32 {
        match self.weave {
            Weave::Leather => 0.8,
            Weave::Satin => 0.6,
            Weave::Sequin => 0.3,
            Weave::Smooth => 0.12,
            _ => 0.03,
        }
    }

    /// The colour at a place of the cloth (heads); `pixel` is the size of a pixel there, to blur edges by.
    pub(super) fn colour(&self, u: f32, v: f32, pixel: f32) -> Colour {
        let [a, b, c] = self.colours;
        let (x, y) =
            ((u * self.turn[0] + v * self.turn[1]) / self.pitch, (v * self.turn[0] - u * self.turn[1]) / self.pitch);
        let blur = 0.7 * pixel / self.pitch;
        // 1 inside a band of the given share of each repeat.
        let band = |t: f32, share: f32| soft(share * 0.5 - (t - t.floor() - 0.5).abs(), blur);
        let (fx, fy) = (x - x.floor() - 0.5, y - y.floor() - 0.5);
        let (ix, iy) = (x.floor() as i32, y.floor() as i32);
        let own = match self.pattern {
            Pattern::Plain => a,
            Pattern::Stripe => blend(blend(a, b, band(y, 0.45)), c, band(y + 0.33, 0.1)),
            Pattern::Check => blend(
                blend(a, b, 0.5 * (band(x, 0.5) + band(y, 0.5))),
                c,
                0.7 * band(x + 0.4, 0.07).max(band(y + 0.4, 0.07)),
            ),
            Pattern::Dot => {
                let shifted = x + 0.5 * (iy & 1) as f32;
                let dx = shifted - shifted.floor() - 0.5;
                blend(a, b, soft(0.27 - (dx * dx + fy * fy).sqrt(), blur))
            }
            Pattern::Floral => {
                let (dx, dy) =
                    (fx + 0.3 * (speckle(ix, iy, self.seed) - 0.5), fy + 0.3 * (speckle(iy, ix, self.seed) - 0.5));
                let size = 0.7 + 0.4 * speckle(ix, iy, self.seed ^ 1);
                let petal =
                    PETALS.iter().map(|p| (dx - 0.17 * p[0] * size).hypot(dy - 0.17 * p[1] * size)).fold(9.0, f32::min);
                let leaf = ((dx + dy) * 0.5).hypot((dx - dy) * 1.6 - 0.1);
                let ground = blend(a, c.map(|v| v * 0.6), soft(0.27 - leaf, blur));
                blend(blend(ground, b, soft(0.13 * size - petal, blur)), c, soft(0.08 * size - dx.hypot(dy), blur))
            }
            Pattern::Camouflage => {
                let first = blend(
                    a,
                    b,
                    soft(noise(x, y, self.seed) + 0.4 * noise(x * 2.3, y * 2.3, self.seed ^ 1) - 0.1, blur),
                );
                blend(
                    first,
                    c,
                    soft(
                        noise(x * 1.2, y * 1.2, self.seed ^ 2) + 0.4 * noise(x * 2.9, y * 2.9, self.seed ^ 3) - 0.3,
                        blur,
                    ),
                )
            }
            Pattern::Leopard => {
                let (dx, dy) = (fx + 0.3 * (speckle(ix, iy, self.seed) - 0.5), fy + 0.3 * noise(x, y, self.seed));
                let r = dx.hypot(dy) + 0.08 * noise(x * 3.0, y * 3.0, self.seed ^ 1);
                blend(
                    blend(a, b, soft(0.3 - r, blur)),
                    c,
                    soft(0.09 - (r - 0.29).abs(), blur) * soft(noise(x * 2.0, y * 2.0, self.seed ^ 2) + 0.5, blur),
                )
            }
            Pattern::Chevron => blend(blend(a, b, band(y + fx.abs(), 0.4)), c, band(y + fx.abs() + 0.35, 0.12)),
            Pattern::Argyle => {
                let diamond = blend(a, b, soft(0.5 - fx.abs() - fy.abs(), blur));
                blend(diamond, c, soft(0.02 - ((fx - fy).abs() - 0.5).abs().min(((fx + fy).abs() - 0.5).abs()), blur))
            }
            Pattern::Houndstooth => {
                let (tx, ty) = ((x * 4.0).floor() as i32, (y * 4.0).floor() as i32);
                let thread = if (tx + ty).rem_euclid(4) < 2 { tx } else { ty };
                blend(if thread.rem_euclid(8) < 4 { a } else { b }, blend(a, b, 0.5), (blur * 3.0).min(1.0))
            }
            Pattern::Geometric => {
                let kind = (speckle(ix, iy, self.seed) * 4.0) as u32;
                let inside = [0.35 - fx.abs().max(fy.abs()), 0.35 - fx.hypot(fy), fx - fy, 0.3 - fx.abs() - fy.abs()]
                    [kind.min(3) as usize];
                blend(a, if speckle(ix, iy, self.seed ^ 7) < 0.5 { b } else { c }, soft(inside, blur))
            }
            Pattern::Abstract => {
                let warp = noise(x * 0.5, y * 0.5, self.seed) * 1.5;
                blend(blend(a, b, band(x * 0.5 + warp, 0.5)), c, band(y * 0.4 - warp, 0.25))
            }
        };
        let light = self.weave_light(u, v, pixel);
        own.map(|c| (c * light).clamp(0.0, 1.0))
    }

    /// The brightness that the weave gives a place.
    fn weave_light(&self, u: f32, v: f32, pixel: f32) -> f32 {
        // Detail finer than two pixels fades into its mean.
        let visible = |size: f32| (size / pixel * 0.5 - 0.6).clamp(0.0, 1.0);
        let grain = |size: f32| noise(u / size, v / size, self.seed);
        match self.weave {
            Weave::Woven => 1.0 + 0.04 * grain(0.02) + 0.03 * grain(0.4),
            Weave::Knit => {
                let (x, y) = (u / 0.05, v / 0.045);
                let stitch = y + (x - x.floor() - 0.5).abs() * 1.4;
                1.0 - visible(0.05) * (0.22 * (2.0 * (stitch - stitch.floor() - 0.5).abs() - 0.4)) + 0.06 * grain(0.03)
            }
            Weave::Denim => {
                let twill = (u + v) / 0.03;
                1.0 + visible(0.03) * 0.22 * ((twill - twill.floor() - 0.5).abs() - 0.25)
                    + 0.09 * grain(0.02)
                    + 0.1 * grain(0.5)
            }
            Weave::Leather => 1.0 + 0.05 * grain(0.03) + 0.04 * grain(0.2),
            Weave::Satin => 1.0 + 0.03 * grain(0.5),
            Weave::Fluffy => 1.0 + 0.2 * noise(u / 0.02, v / 0.06, self.seed) + 0.14 * grain(0.06),
            Weave::Sequin => {
                let (x, y) = (u / 0.045, v / 0.045);
                let rim = ((x - x.floor() - 0.5).hypot(y - y.floor() - 0.5) - 0.4).max(0.0);
                let (x, y) = (x.floor() as i32, y.floor() as i32);
                0.65 + 0.9 * speckle(x, y, self.seed) * speckle(y, x, self.seed ^ 5) - 2.0 * rim
            }
            Weave::Smooth => 1.0 + 0.015 * grain(0.05),
        }
    }
}

/// Five directions for the petals of a flower.
pub(super) const PETALS: [[f32; 2]; 5] =
    [[0.0, -1.0], [0.951, -0.309], [0.588, 0.809], [-0.588, 0.809], [-0.951, -0.309]];

/// 0 to 1 as `inside` passes 0, over about one pixel of size `blur`.
fn soft(inside: f32, blur: f32) -> f32 {
    (inside / blur.max(1e-4) * 0.5 + 0.5).clamp(0.0, 1.0)
}
