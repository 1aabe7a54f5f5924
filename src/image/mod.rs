//! Bytes and pixels: decode, colour, geometry, spans, matte, compose, encode. Must not know where bytes come from or go
//! to (no storage), nor tables, networks or events.
//!
//! Layouts, everywhere in this room: row-major, top row first, no padding between rows; colour is interleaved 8-bit
//! sRGB (`R G B R G B …`), planes are one value a pixel. The way through the room:
//! [`SourceImage`] → [`decode`] → [`DecodedImage`] → (a network, or [`threshold`]) → [`matte`](matte()) → [`Matte`] →
//! [`compose`] → [`Cutout`] → [`encode`], or [`product::make`] for what a shop publishes.

mod colour;
mod compose;
pub mod contest;
mod decode;
mod edges;
pub mod encode;
mod error;
mod exif;
mod formats;
mod geometry;
mod jpeg;
pub mod lettering;
mod look;
mod matte;
mod orient;
mod png_file;
mod probe;
pub mod product;
mod quality;
pub mod raster;
mod shrink;
pub mod spans;
mod survey;
pub mod taps;
mod threshold;
mod thumbnail;
mod tiff_file;

pub use compose::compose;
pub use decode::decode;
pub use edges::{Edges, Shape, matte, shape};
pub use error::Error;
pub use geometry::{Filter, resize_plane_f32, resize_plane_u8, resize_rgb};
pub use look::Look;
pub use matte::upsample;
pub use probe::probe;
pub use quality::jpeg_quality;
pub use survey::{Survey, survey};
pub use threshold::threshold;
pub use thumbnail::{Thumbnail, thumbnail};

use bytes::Bytes;

/// An image file as it was fetched: nothing is known of it yet, not even that it is an image.
#[derive(Clone, Debug)]
pub struct SourceImage {
    /// The whole file.
    pub bytes: Bytes,
}

/// A file format that is read here, found by the file's content and never by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG: baseline, extended or progressive, 8 bits, Huffman-coded.
    Jpeg,
    /// PNG, also animated.
    Png,
    /// WebP: lossy, lossless, animated.
    WebP,
    /// GIF, also animated.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF, also of several pages.
    Tiff,
}

impl Format {
    /// The word that tables hold.
    pub fn word(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Bmp => "bmp",
            Self::Tiff => "tiff",
        }
    }
}

/// How a file holds colour, before it is made RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Colour {
    /// One value a pixel.
    Grey,
    /// Grey and alpha.
    GreyAlpha,
    /// Red, green, blue (in a JPEG also as luma and chroma).
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// An index into a list of colours.
    Palette,
    /// Cyan, magenta, yellow, black (in a JPEG also as YCCK).
    Cmyk,
}

impl Colour {
    /// The word that tables hold.
    pub fn word(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::GreyAlpha => "grey_alpha",
            Self::Rgb => "rgb",
            Self::Rgba => "rgba",
            Self::Palette => "palette",
            Self::Cmyk => "cmyk",
        }
    }
}

/// What a file says of itself; all of it can be read without decoding a pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The file's format.
    pub format: Format,
    /// Width in pixels as stored, before the orientation is applied.
    pub stored_width: u32,
    /// Height in pixels as stored, before the orientation is applied.
    pub stored_height: u32,
    /// EXIF orientation, 1..=8; 1 where the file gives none or nonsense.
    pub orientation: u8,
    /// The description of the embedded colour profile; `unknown` where there is a profile without a readable one.
    pub profile: Option<String>,
    /// Dots per inch, horizontal and vertical.
    pub dpi: Option<(f32, f32)>,
    /// Whether the file holds more than one frame or page (only the first is ever decoded).
    pub frames_more_than_one: bool,
    /// Bits of one channel, 1..=32; for a palette, of an index.
    pub bits: u8,
    /// How colour is held.
    pub colour: Colour,
}

impl Facts {
    /// Width and height in pixels once the orientation is applied.
    pub fn upright_size(&self) -> (u32, u32) {
        if self.orientation >= 5 {
            (self.stored_height, self.stored_width)
        } else {
            (self.stored_width, self.stored_height)
        }
    }
}

/// An image as pixels: upright (when asked for), sRGB, 8 bits.
#[derive(Clone, Debug)]
pub struct DecodedImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width × 3` bytes, sRGB: the picture as a person sees it on white paper, and as networks are shown it.
    pub rgb: Vec<u8>,
    /// `height × width` bytes, 0 transparent to 255 opaque: the source's own alpha, unless it is absent or all opaque.
    pub alpha: Option<Vec<u8>>,
    /// `height × width × 3` bytes, sRGB: the colour stored under [`alpha`](Self::alpha), present exactly when that is.
    pub straight_rgb: Option<Vec<u8>>,
    /// What the file said of itself.
    pub facts: Facts,
    /// What was done to the pixels, and what is odd about them; each at most once, in the order of [`Note`].
    pub notes: Vec<Note>,
}

macro_rules! notes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// What was done to an image on its way in, or is odd about it: the closed list of codes that tables hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Note { $($(#[doc = $doc])+ $name,)+ }

        impl Note {
            /// Every note there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code that tables hold.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

notes! {
    /// Ink colours were made RGB (by the file's profile when `profile_converted` stands beside, else by the plain formula).
    CmykConverted = "cmyk_converted",
    /// One grey channel was made three.
    Grey = "grey",
    /// More than 8 bits a channel were rounded to 8.
    SixteenBit = "sixteen_bit",
    /// Indices were replaced by their colours.
    Palette = "palette",
    /// The file has transparent pixels; networks see them over white.
    HadAlpha = "had_alpha",
    /// The picture was turned upright.
    ExifOriented = "exif_oriented",
    /// The file asks to be turned, and was left as stored because the caller asked for that.
    ExifIgnored = "exif_ignored",
    /// The embedded profile was not sRGB: pixels were converted by it.
    ProfileConverted = "profile_converted",
    /// The embedded profile could not be used: pixels are as stored.
    ProfileUnreadable = "profile_unreadable",
    /// More than one frame or page: the first was taken.
    MultiFrame = "multi_frame",
    /// A JPEG whose picture is whole although its end marker is missing.
    NoEndMarker = "no_end_marker",
    /// The shorter side is below 32 pixels.
    Tiny = "tiny",
    /// The longer side is more than 8 times the shorter.
    ExtremeAspect = "extreme_aspect",
}

/// What an image may cost before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels an image may have by its header, checked before anything of that size is allocated.
    pub max_pixels: u64,
    /// Most bytes a file may have.
    pub max_bytes: u64,
    /// Whether the EXIF orientation is applied: yes for catalogue photos; no for training photos, whose masks follow the
    /// stored pixels.
    pub apply_orientation: bool,
}

impl Default for Limits {
    /// 200 megapixels, 256 MiB, turned upright. Medium-format cameras end at 150 megapixels; a bomb of 60 000 × 60 000 is
    /// eighteen times the limit.
    fn default() -> Self {
        Self { max_pixels: 200_000_000, max_bytes: 256 << 20, apply_orientation: true }
    }
}

/// How probable it is that a pixel is foreground, as a network or [`threshold`] puts it, at its own working size.
#[derive(Clone, Debug, PartialEq)]
pub struct Probabilities {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width` values, 0.0 background to 1.0 foreground.
    pub plane: Vec<f32>,
}

/// How much of each pixel is foreground.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matte {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width` bytes, 0 background to 255 foreground.
    pub alpha: Vec<u8>,
}

/// A picture with straight (not premultiplied) alpha.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cutout {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width × 4` bytes, `R G B A`, sRGB; all four are 0 where alpha is 0.
    pub rgba: Vec<u8>,
}
