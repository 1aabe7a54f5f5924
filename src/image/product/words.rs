//! Settings as words, both ways: from a pipeline file, and as stable text for a fingerprint. Must not know files.

use super::{Align, Background, Canvas, Content, Form, Frame, Product, Shadow};
use crate::digest;

/// What each form is made with where nothing is said.
const QUALITY: u8 = 90;

impl Form {
    /// `png`, `webp` (lossless), `webp-lossy`, `jpeg` (or `jpg`) or `tiff` (or `tif`), the lossy ones at quality 90.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "png" => Some(Self::Png),
            "webp" => Some(Self::Webp { quality: None }),
            "webp-lossy" => Some(Self::Webp { quality: Some(QUALITY) }),
            "jpeg" | "jpg" => Some(Self::Jpeg { quality: QUALITY }),
            "tiff" | "tif" => Some(Self::Tiff),
            _ => None,
        }
    }

    /// The word that [`from_word`](Self::from_word) reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp { quality: None } => "webp",
            Self::Webp { quality: Some(_) } => "webp-lossy",
            Self::Jpeg { .. } => "jpeg",
            Self::Tiff => "tiff",
        }
    }

    /// The same form at another quality; `None` where it has none.
    pub fn with_quality(self, quality: u8) -> Option<Self> {
        match self {
            Self::Webp { quality: Some(_) } => Some(Self::Webp { quality: Some(quality) }),
            Self::Jpeg { .. } => Some(Self::Jpeg { quality }),
            Self::Png | Self::Webp { quality: None } | Self::Tiff => None,
        }
    }
}

impl Content {
    /// `cutout` or `mask`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Cutout, Self::Mask].into_iter().find(|content| content.word() == word)
    }

    /// The word that [`from_word`](Self::from_word) reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cutout => "cutout",
            Self::Mask => "mask",
        }
    }
}

impl Align {
    /// `left`, `top` or `start`; `center`, `centre` or `middle`; `right`, `bottom` or `end`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "left" | "top" | "start" => Some(Self::Start),
            "center" | "centre" | "middle" => Some(Self::Middle),
            "right" | "bottom" | "end" => Some(Self::End),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Canvas {
    /// `own`, `square`, `2000x1500` (exactly), or `1600-2000` (a square of at least and at most so many pixels a side).
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u32>().ok();
        match text {
            "own" => Some(Self::Own),
            "square" => Some(Self::Square),
            _ => match (text.split_once('x'), text.split_once('-')) {
                (Some((width, height)), None) => Some(Self::Size { width: number(width)?, height: number(height)? }),
                (None, Some((least, most))) => Some(Self::Between { least: number(least)?, most: number(most)? }),
                _ => None,
            },
        }
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn text(self) -> String {
        match self {
            Self::Own => "own".to_owned(),
            Self::Square => "square".to_owned(),
            Self::Between { least, most } => format!("{least}-{most}"),
            Self::Size { width, height } => format!("{width}x{height}"),
        }
    }
}

/// A colour: `#rrggbb`, `#rgb`, or one of `white`, `black`, `grey`.
pub fn colour_from_word(word: &str) -> Option<[u8; 3]> {
    match word {
        "white" => return Some([255; 3]),
        "black" => return Some([0; 3]),
        "grey" | "gray" => return Some([128; 3]),
        _ => {}
    }
    let digits = word.strip_prefix('#')?;
    let digits: Vec<u8> =
        digits.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect::<Option<_>>()?;
    match digits[..] {
        [red, green, blue] => Some([red * 17, green * 17, blue * 17]),
        [a, b, c, d, e, f] => Some([a * 16 + b, c * 16 + d, e * 16 + f]),
        _ => None,
    }
}

impl Product {
    /// All settings as text that is the same for equal settings and another for others, for a fingerprint.
    pub fn canonical(&self) -> String {
        let Self { form, content, background, frame, shadow, rules } = self;
        let mut text = format!("form={}", form.word());
        if let Form::Jpeg { quality } | Form::Webp { quality: Some(quality) } = form {
            text += &format!(":{quality}");
        }
        text += &format!(" content={}", content.word());
        text += &match background {
            None => " background=none".to_owned(),
            Some(Background::Colour([red, green, blue])) => format!(" background=#{red:02x}{green:02x}{blue:02x}"),
            Some(Background::Picture(picture)) => {
                format!(" background={}x{}:{}", picture.width, picture.height, digest::of(&picture.rgb))
            }
        };
        let Frame { crop, margin, canvas, fill, align, max_upscale } = frame;
        text += &format!(" crop={crop} margin={margin} canvas={}", canvas.text());
        text += &fill.map_or_else(|| " fill=none".to_owned(), |fill| format!(" fill={fill}"));
        text += &format!(" align={},{} max_upscale={max_upscale}", align.0.word(), align.1.word());
        text += &match shadow {
            None => " shadow=none".to_owned(),
            Some(Shadow { opacity, blur, offset }) => format!(" shadow={opacity},{blur},{offset}"),
        };
        let rules: Vec<String> = rules.iter().map(|rule| rule.to_string()).collect();
        text + &format!(" rules={}", rules.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were_written() {
        for word in ["png", "webp", "webp-lossy", "jpeg", "tiff"] {
            assert_eq!(Form::from_word(word).map(Form::word), Some(word));
        }
        for text in ["own", "square", "2000x1500", "1600-2000"] {
            assert_eq!(Canvas::parse(text).map(Canvas::text).as_deref(), Some(text));
        }
        for text in ["", "x", "10x", "10x20x30", "-5", "5-", "1-2x3", "-1x5", "Square"] {
            assert_eq!(Canvas::parse(text), None, "{text}");
        }
        assert_eq!(
            ["left", "middle", "bottom", "up"].map(Align::from_word),
            [Some(Align::Start), Some(Align::Middle), Some(Align::End), None]
        );
        assert_eq!(["#ffffff", "#FFF", "white"].map(colour_from_word), [Some([255; 3]); 3]);
        assert_eq!(colour_from_word("#12aBef"), Some([0x12, 0xab, 0xef]));
        assert_eq!(["#ffff", "ffffff", "#ggg", "#12345é", ""].map(colour_from_word), [None; 5]);
    }

    #[test]
    fn a_quality_belongs_to_a_lossy_form() {
        assert_eq!(Form::Jpeg { quality: 1 }.with_quality(80), Some(Form::Jpeg { quality: 80 }));
        assert_eq!(Form::Webp { quality: None }.with_quality(80), None);
        assert_eq!(Form::Png.with_quality(80), None);
    }
}
