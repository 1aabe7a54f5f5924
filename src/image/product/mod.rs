//! What a shop is given: one cutout made into files of a form, a frame and a background, each held to rules. Must not know
//! where files go, nor how a pipeline file is written.
//!
//! [`Product`] holds the settings, [`Product::check`] refuses those that contradict each other, and [`make`] turns a cutout
//! into bytes and a verdict. Settings → layout (where everything lies, pure) → pixels → rules → bytes.

mod layout;
mod paint;
mod preset;
mod rules;
mod shadow;
mod subject;
mod words;

pub use preset::{PRESETS, preset};
pub use rules::Rule;
pub use words::colour_from_word;

use super::encode::{self, Pixels};
use super::{Cutout, Error};
use std::sync::Arc;

/// One output of a cutout.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// The file's form.
    pub form: Form,
    /// What it shows.
    pub content: Content,
    /// What lies under the cutout; `None` leaves it clear.
    pub background: Option<Background>,
    /// Where on what canvas the subject lies.
    pub frame: Frame,
    /// A soft shadow where the subject stands.
    pub shadow: Option<Shadow>,
    /// What the finished product is checked against.
    pub rules: Vec<Rule>,
}

impl Default for Product {
    /// The cutout itself as PNG: own size, clear, no rules.
    fn default() -> Self {
        Self {
            form: Form::Png,
            content: Content::Cutout,
            background: None,
            frame: Frame::default(),
            shadow: None,
            rules: Vec::new(),
        }
    }
}

/// A file's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// PNG, lossless.
    Png,
    /// WebP: lossless without a quality, else lossy by it (1..=100) with alpha kept exactly.
    Webp {
        /// 1..=100, or `None` for lossless.
        quality: Option<u8>,
    },
    /// Baseline JPEG of a quality 1..=100; it knows no transparency.
    Jpeg {
        /// 1..=100; from 90 on without chroma subsampling.
        quality: u8,
    },
    /// TIFF, deflated, with unassociated alpha where the product is clear.
    Tiff,
}

/// What a product shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The picture, cut out.
    Cutout,
    /// Its alpha as grey: 0 background to 255 subject.
    Mask,
}

/// What lies under the cutout.
#[derive(Clone, Debug, PartialEq)]
pub enum Background {
    /// One colour, sRGB; exact wherever the subject is not.
    Colour([u8; 3]),
    /// A picture, scaled to cover the canvas and cut evenly at the sides that are too long.
    Picture(Arc<Backdrop>),
}

/// A decoded picture to lay under cutouts.
#[derive(Clone, Debug, PartialEq)]
pub struct Backdrop {
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// `height × width × 3` bytes, sRGB.
    pub rgb: Vec<u8>,
}

/// Where the subject lies, on what canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Whether everything but the subject is cut away first; without it the whole picture is what is framed.
    pub crop: bool,
    /// Least space around what is framed, as a share of its longer side.
    pub margin: f32,
    /// The size of the finished picture.
    pub canvas: Canvas,
    /// Share of the canvas that the subject takes: of its sides over the canvas' sides, the larger share. Needs `crop` and a
    /// canvas other than `Own`.
    pub fill: Option<f32>,
    /// Where the subject lies in the space there is, horizontally and vertically.
    pub align: (Align, Align),
    /// The most that the subject is ever enlarged by; at 1.0 never. It stays smaller where its canvas would ask for more.
    pub max_upscale: f32,
}

impl Default for Frame {
    /// The whole picture at its own size.
    fn default() -> Self {
        Self {
            crop: false,
            margin: 0.0,
            canvas: Canvas::Own,
            fill: None,
            align: (Align::Middle, Align::Middle),
            max_upscale: 1.0,
        }
    }
}

/// The size of the finished picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canvas {
    /// What is framed and its margin, nothing scaled.
    Own,
    /// The smallest square around them, nothing scaled.
    Square,
    /// A square of at least and at most so many pixels a side: as large as it comes to by itself, and scaled only where that
    /// is too small or too large.
    Between {
        /// Least pixels a side.
        least: u32,
        /// Most pixels a side.
        most: u32,
    },
    /// Exactly so many pixels.
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
}

/// Where something lies along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Left or top.
    Start,
    /// In the middle.
    Middle,
    /// Right or bottom.
    End,
}

/// A soft shadow where the subject stands: its lowest part laid flat, blurred, darkest at the ground. It may reach beyond the
/// canvas and is cut off there: give it a margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shadow {
    /// How dark it is at most, 0.0 to 1.0.
    pub opacity: f32,
    /// How far it is smeared, as a share of the subject's height.
    pub blur: f32,
    /// How far below the subject it lies, as a share of the subject's height; negative is above.
    pub offset: f32,
}

/// A finished product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The rules it breaks, in their order: which, what was found, what is wanted. Empty: it complies.
    pub violations: Vec<String>,
}

/// Makes one product of a cutout. `dpi` (dots per inch, horizontal and vertical) is written into forms that have a field for
/// it; WebP has none. Nothing else of the source file is carried over. Errors: settings that [`Product::check`] refuses, and
/// sizes that the form cannot hold.
pub fn make(cutout: &Cutout, dpi: Option<(f32, f32)>, product: &Product) -> Result<Made, Error> {
    product.check().map_err(|detail| Error::Shape { what: "product", detail })?;
    Error::expect_len("cutout", cutout.rgba.len(), super::error::area(cutout.width, cutout.height, 4))?;
    let needs_subject = product.frame.crop || product.shadow.is_some() || !product.rules.is_empty();
    let subject = if needs_subject { subject::find(cutout) } else { None };
    let placed = layout::place((cutout.width, cutout.height), subject, &product.frame)?;
    let canvas = paint::paint(cutout, &placed, product)?;
    let pixels = canvas.pixels(cutout);
    let (width, height) = placed.canvas;
    let bytes = written(product.form, (width, height), pixels, dpi)?;
    let seen = rules::Seen { placed: &placed, pixels, bytes: bytes.len() };
    let violations = rules::broken(product, cutout, &seen);
    Ok(Made { bytes, width, height, violations })
}

fn written(
    form: Form,
    (width, height): (u32, u32),
    pixels: Pixels<'_>,
    dpi: Option<(f32, f32)>,
) -> Result<Vec<u8>, Error> {
    match (form, pixels) {
        (Form::Png, pixels) => encode::png(width, height, pixels, dpi),
        (Form::Webp { quality: None }, pixels) => encode::webp_lossless(width, height, pixels),
        (Form::Webp { quality: Some(quality) }, pixels) => encode::webp_lossy(width, height, pixels, quality),
        (Form::Jpeg { quality }, Pixels::Grey(plane)) => encode::jpeg_grey(width, height, plane, quality, dpi),
        (Form::Jpeg { quality }, pixels) => encode::jpeg_rgb(width, height, pixels.bytes(), quality, dpi),
        (Form::Tiff, pixels) => encode::tiff(width, height, pixels, dpi),
    }
}

impl Product {
    /// Refuses settings that contradict each other or make no sense; the text says which, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if let Form::Jpeg { quality } | Form::Webp { quality: Some(quality) } = self.form
            && !(1..=100).contains(&quality)
        {
            return Err(format!("quality is {quality}; it goes from 1 to 100"));
        }
        if self.content == Content::Mask && (self.background.is_some() || self.shadow.is_some()) {
            return Err("a mask has neither background nor shadow; leave them out".to_owned());
        }
        if let Some(Background::Picture(backdrop)) = &self.background {
            let wanted = super::error::area(backdrop.width, backdrop.height, 3);
            if backdrop.width == 0 || backdrop.height == 0 || wanted != Some(backdrop.rgb.len()) {
                return Err("the background picture has no pixels, or not as many as its size says".to_owned());
            }
        }
        if matches!(self.form, Form::Jpeg { .. }) && self.content == Content::Cutout && self.background.is_none() {
            return Err("a JPEG knows no transparency; give it a background, as in \"#ffffff\"".to_owned());
        }
        self.frame.check()?;
        if let Some(shadow) = &self.shadow {
            let within = |value: f32, least: f32, most: f32| (least..=most).contains(&value);
            if !(within(shadow.opacity, 0.0, 1.0) && within(shadow.blur, 0.0, 0.5) && within(shadow.offset, -0.5, 0.5))
            {
                return Err(format!(
                    "the shadow has opacity {}, blur {}, offset {}; they go from 0 to 1, 0 to 0.5, -0.5 to 0.5",
                    shadow.opacity, shadow.blur, shadow.offset
                ));
            }
        }
        for rule in &self.rules {
            rule.check(self)?;
        }
        Ok(())
    }

    /// The ending of a file's name, without the dot.
    pub fn extension(&self) -> &'static str {
        match self.form {
            Form::Png => "png",
            Form::Webp { .. } => "webp",
            Form::Jpeg { .. } => "jpg",
            Form::Tiff => "tif",
        }
    }
}

impl Frame {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=10.0).contains(&self.margin) {
            return Err(format!(
                "margin is {}; it goes from 0 to 10, as a share of the subject's longer side",
                self.margin
            ));
        }
        if !(0.01..=100.0).contains(&self.max_upscale) {
            return Err(format!("max_upscale is {}; it goes from 0.01 to 100", self.max_upscale));
        }
        if let Some(fill) = self.fill {
            if !(0.01..=1.0).contains(&fill) {
                return Err(format!("fill is {fill}; it goes from 0.01 to 1, as a share of the canvas"));
            }
            if !self.crop || self.canvas == Canvas::Own {
                return Err("fill needs `crop` and a canvas that is square or of a size".to_owned());
            }
        }
        let sides = match self.canvas {
            Canvas::Own | Canvas::Square => return Ok(()),
            Canvas::Between { least, most } => [least, most],
            Canvas::Size { width, height } => [width, height],
        };
        if sides.iter().any(|side| !(1..=layout::MOST).contains(side)) {
            return Err(format!(
                "the canvas has sides of {} and {}; a side has 1 to {} pixels",
                sides[0],
                sides[1],
                layout::MOST
            ));
        }
        match self.canvas {
            Canvas::Between { least, most } if least > most => {
                Err(format!("the canvas has at least {least} and at most {most} pixels a side; turn them round"))
            }
            _ => Ok(()),
        }
    }
}
