//! What a finished product is held to, and whether it holds. Must not change pixels.

use super::super::Cutout;
use super::super::encode::Pixels;
use super::layout::{self, Placed};
use super::subject::{self, FAINT};
use super::{Background, Content, Product};
use std::fmt;

/// Something that a shop asks of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The outermost pixels are exactly the background's colour, or clear where there is none.
    Border,
    /// Both sides are equal.
    Square,
    /// The subject ends within its photo: it is not cut by the photo's border.
    Whole,
    /// The share of the canvas that the subject takes: of its sides over the canvas' sides, the larger.
    Fill {
        /// 0.0 to 1.0.
        least: f32,
        /// 0.0 to 1.0.
        most: f32,
    },
    /// Pixels of the longer side.
    LongSide {
        /// Fewest.
        least: u64,
        /// Most.
        most: u64,
    },
    /// Pixels of the shorter side.
    ShortSide {
        /// Fewest.
        least: u64,
        /// Most.
        most: u64,
    },
    /// All pixels.
    Pixels {
        /// Fewest.
        least: u64,
        /// Most.
        most: u64,
    },
    /// Bytes of the file.
    Bytes {
        /// Fewest.
        least: u64,
        /// Most.
        most: u64,
    },
}

/// What the rules look at.
pub(super) struct Seen<'a> {
    pub(super) placed: &'a Placed,
    pub(super) pixels: Pixels<'a>,
    pub(super) bytes: usize,
}

impl Rule {
    /// `border`, `square`, `whole`, or a range behind `fill`, `long-side`, `short-side`, `pixels`, `bytes`, either end of
    /// which may be left out: `fill 0.85-`, `long-side 1600-10000`, `bytes -16000000`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "border" => return Some(Self::Border),
            "square" => return Some(Self::Square),
            "whole" => return Some(Self::Whole),
            _ => {}
        }
        let (word, range) = text.split_once(' ')?;
        let (least, most) = range.trim().split_once('-')?;
        let whole = |text: &str, other: u64| if text.is_empty() { Some(other) } else { text.parse().ok() };
        let share = |text: &str, other: f32| if text.is_empty() { Some(other) } else { text.parse().ok() };
        if word == "fill" {
            return Some(Self::Fill { least: share(least, 0.0)?, most: share(most, 1.0)? });
        }
        let (least, most) = (whole(least, 0)?, whole(most, u64::MAX)?);
        match word {
            "long-side" => Some(Self::LongSide { least, most }),
            "short-side" => Some(Self::ShortSide { least, most }),
            "pixels" => Some(Self::Pixels { least, most }),
            "bytes" => Some(Self::Bytes { least, most }),
            _ => None,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Border => "border",
            Self::Square => "square",
            Self::Whole => "whole",
            Self::Fill { .. } => "fill",
            Self::LongSide { .. } => "long-side",
            Self::ShortSide { .. } => "short-side",
            Self::Pixels { .. } => "pixels",
            Self::Bytes { .. } => "bytes",
        }
    }

    /// Refuses a rule that nothing can keep, or that has nothing to look at in the product.
    pub(super) fn check(&self, product: &Product) -> Result<(), String> {
        let sensible = match *self {
            Self::Border | Self::Square | Self::Whole => true,
            Self::Fill { least, most } => 0.0 <= least && least <= most && most <= 1.0,
            Self::LongSide { least, most }
            | Self::ShortSide { least, most }
            | Self::Pixels { least, most }
            | Self::Bytes { least, most } => least <= most,
        };
        if !sensible {
            return Err(format!("the rule `{self}` can never hold; turn its ends round"));
        }
        if matches!(self, Self::Border) && matches!(product.background, Some(Background::Picture(_))) {
            return Err("the rule `border` needs a background of one colour, or none; take the rule out".to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match *self {
            Self::Border | Self::Square | Self::Whole => Ok(()),
            Self::Fill { least, most } => write!(f, " {least}-{most}"),
            Self::LongSide { least, most }
            | Self::ShortSide { least, most }
            | Self::Pixels { least, most }
            | Self::Bytes { least, most } => {
                write!(f, " {least}-")?;
                if most == u64::MAX { Ok(()) } else { write!(f, "{most}") }
            }
        }
    }
}

/// The rules that do not hold, each with what was found and what is wanted.
pub(super) fn broken(product: &Product, cutout: &Cutout, seen: &Seen<'_>) -> Vec<String> {
    product.rules.iter().filter_map(|rule| verdict(rule, product, cutout, seen)).collect()
}

fn verdict(rule: &Rule, product: &Product, cutout: &Cutout, seen: &Seen<'_>) -> Option<String> {
    let (width, height) = (u64::from(seen.placed.canvas.0), u64::from(seen.placed.canvas.1));
    let word = rule.word();
    let range = |found: u64, least: u64, most: u64| {
        if found < least {
            Some(format!("{word} {found} < {least}"))
        } else {
            (found > most).then(|| format!("{word} {found} > {most}"))
        }
    };
    match *rule {
        Rule::Border => border(product, seen),
        Rule::Square => (width != height).then(|| format!("square {width} × {height}")),
        Rule::Whole => whole(cutout, seen),
        Rule::Fill { least, most } => {
            let Some(fill) = seen.placed.fill() else { return Some("fill: nothing was found in the photo".to_owned()) };
            // A pixel of rounding is no offence.
            let (least, most) = (layout::meant(least), layout::meant(most));
            let pixel = 1.0 / width.min(height) as f64;
            if fill + pixel < least {
                Some(format!("fill {fill:.3} < {least}"))
            } else {
                (fill - pixel > most).then(|| format!("fill {fill:.3} > {most}"))
            }
        }
        Rule::LongSide { least, most } => range(width.max(height), least, most),
        Rule::ShortSide { least, most } => range(width.min(height), least, most),
        Rule::Pixels { least, most } => range(width * height, least, most),
        Rule::Bytes { least, most } => range(seen.bytes as u64, least, most),
    }
}

fn border(product: &Product, seen: &Seen<'_>) -> Option<String> {
    let (channels, width) = (seen.pixels.channels(), seen.placed.canvas.0 as usize);
    let colour = match product.background {
        Some(Background::Colour(colour)) => colour,
        _ => [0; 3],
    };
    let plain = |pixel: &[u8]| match seen.pixels {
        Pixels::Grey(_) => pixel == [0],
        Pixels::Rgb(_) => pixel == colour,
        Pixels::Rgba(_) => pixel.last().is_none_or(|alpha| *alpha <= FAINT),
    };
    let rows = seen.pixels.bytes().chunks_exact(width * channels);
    let last = rows.len().saturating_sub(1);
    let (mut others, mut count) = (0_u64, 0_u64);
    for (y, row) in rows.enumerate() {
        // The first and the last row whole; of the others their two ends.
        let step = if y == 0 || y == last { 1 } else { width.saturating_sub(1).max(1) };
        for pixel in row.chunks_exact(channels).step_by(step) {
            count += 1;
            others += u64::from(!plain(pixel));
        }
    }
    let wanted = match (product.content, &product.background) {
        (Content::Mask, _) => "0".to_owned(),
        (_, Some(_)) => format!("#{:02x}{:02x}{:02x}", colour[0], colour[1], colour[2]),
        (_, None) => "clear".to_owned(),
    };
    (others > 0).then(|| format!("border: {others} of {count} pixels are not {wanted}"))
}

fn whole(cutout: &Cutout, seen: &Seen<'_>) -> Option<String> {
    if seen.placed.subject.is_none() {
        return Some("whole: nothing was found in the photo".to_owned());
    }
    let cut: Vec<String> = subject::at_borders(cutout)
        .into_iter()
        .zip(["left", "top", "right", "bottom"])
        .filter(|(pixels, _)| *pixels > 0)
        .map(|(pixels, side)| format!("{side} ({pixels} pixels)"))
        .collect();
    (!cut.is_empty()).then(|| format!("whole: the subject is cut by the photo's border: {}", cut.join(", ")))
}
