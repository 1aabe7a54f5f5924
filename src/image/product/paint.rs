//! The pixels of a product: subject over shadow over background. Must not choose places, nor judge.
//!
//! What is scaled is premultiplied first: a transparent pixel has no colour that could bleed into its neighbours.

use super::super::encode::Pixels;
use super::super::error::area;
use super::super::{Cutout, Error};
use super::layout::Placed;
use super::shadow::{self, Shade};
use super::subject::{Area, FAINT};
use super::{Backdrop, Background, Content, Product};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// How many pixels around a cropped subject are shown as they are: its edge goes on there, below the level that counts.
const RIM: u32 = 8;

/// A product's pixels.
pub(super) enum Painted {
    /// The cutout's own, as they are.
    Own,
    Grey(Vec<u8>),
    Rgb(Vec<u8>),
    Rgba(Vec<u8>),
}

impl Painted {
    pub(super) fn pixels<'a>(&'a self, cutout: &'a Cutout) -> Pixels<'a> {
        match self {
            Self::Own => Pixels::Rgba(&cutout.rgba),
            Self::Grey(plane) => Pixels::Grey(plane),
            Self::Rgb(rgb) => Pixels::Rgb(rgb),
            Self::Rgba(rgba) => Pixels::Rgba(rgba),
        }
    }
}

/// Paints a checked product.
pub(super) fn paint(cutout: &Cutout, placed: &Placed, product: &Product) -> Result<Painted, Error> {
    let picture = (cutout.width, cutout.height);
    let clear = product.background.is_none() && product.shadow.is_none();
    if clear && product.content == Content::Cutout && placed.is_picture(picture) {
        return Ok(Painted::Own);
    }
    let layer = Layer::of(cutout, placed)?;
    let (width, height) = placed.canvas;
    let pixels = area(width, height, 1).unwrap_or(0);
    if product.content == Content::Mask {
        let mut plane = vec![0; pixels];
        layer.each_row(&mut plane, 1, width, |values, row| {
            for (value, pixel) in values.iter_mut().zip(row) {
                *value = pixel[3];
            }
        });
        return Ok(Painted::Grey(plane));
    }
    let shade = product.shadow.as_ref().and_then(|shadow| shadow::cast(cutout, placed, shadow));
    let Some(background) = &product.background else {
        let mut rgba = vec![0; pixels * 4];
        layer.onto_clear(&mut rgba, width);
        if let Some(shade) = shade {
            under(&mut rgba, width, &shade);
        }
        return Ok(Painted::Rgba(rgba));
    };
    let mut rgb = ground(background, placed.canvas)?;
    if let Some(shade) = shade {
        darken(&mut rgb, width, &shade);
    }
    layer.onto_ground(&mut rgb, width);
    Ok(Painted::Rgb(rgb))
}

/// The cutout's part that is shown, as it lies on the canvas.
struct Layer<'a> {
    /// The canvas pixel of its upper left corner.
    at: (u32, u32),
    /// Pixels of one of its rows, and of one row of what `pixels` holds.
    width: usize,
    stride: usize,
    height: usize,
    pixels: std::borrow::Cow<'a, [[u8; 4]]>,
    premultiplied: bool,
}

impl<'a> Layer<'a> {
    fn of(cutout: &'a Cutout, placed: &Placed) -> Result<Self, Error> {
        let (pixels, _) = cutout.rgba.as_chunks::<4>();
        let picture = (cutout.width, cutout.height);
        let shown = placed.content.grown(RIM, picture);
        let (left, top) = placed.to_canvas((f64::from(shown.left), f64::from(shown.top)));
        let (right, bottom) = placed.to_canvas((f64::from(shown.right), f64::from(shown.bottom)));
        let on = |value: f64, canvas: u32| value.round().clamp(0.0, f64::from(canvas)) as u32;
        let (left, right) = (on(left, placed.canvas.0), on(right, placed.canvas.0));
        let (top, bottom) = (on(top, placed.canvas.1), on(bottom, placed.canvas.1));
        // However far it is shrunk, something of it is left.
        let (left, top) = (left.min(placed.canvas.0 - 1), top.min(placed.canvas.1 - 1));
        let (right, bottom) = (right.max(left + 1), bottom.max(top + 1));
        let (from_x, from_y) = placed.to_picture((f64::from(left), f64::from(top)));
        let (to_x, to_y) = placed.to_picture((f64::from(right), f64::from(bottom)));
        let (width, height) = (right - left, bottom - top);
        if placed.scale == 1.0 {
            let start = from_y as usize * picture.0 as usize + from_x as usize;
            return Ok(Self {
                at: (left, top),
                width: width as usize,
                stride: picture.0 as usize,
                height: height as usize,
                pixels: pixels.get(start..).unwrap_or_default().into(),
                premultiplied: false,
            });
        }
        let within = |value: f64, least: u32, most: u32| value.clamp(f64::from(least), f64::from(most));
        let (from_x, to_x) = (within(from_x, shown.left, shown.right), within(to_x, shown.left, shown.right));
        let (from_y, to_y) = (within(from_y, shown.top, shown.bottom), within(to_y, shown.top, shown.bottom));
        let source = premultiplied(pixels, cutout.width as usize, &shown);
        let failed =
            |error: &dyn std::fmt::Display| Error::Shape { what: "picture to resize", detail: error.to_string() };
        let source = ImageRef::new(shown.width(), shown.height(), source.as_flattened(), PixelType::U8x4)
            .map_err(|error| failed(&error))?;
        let mut target = Image::new(width, height, PixelType::U8x4);
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false).crop(
                from_x - f64::from(shown.left),
                from_y - f64::from(shown.top),
                (to_x - from_x).max(f64::EPSILON),
                (to_y - from_y).max(f64::EPSILON),
            );
        Resizer::new().resize(&source, &mut target, &options).map_err(|error| failed(&error))?;
        let mut pixels: Vec<[u8; 4]> = target.into_vec().as_chunks::<4>().0.to_vec();
        // The filter overshoots on both sides of an edge: no colour may be more than its alpha lets through.
        for pixel in &mut pixels {
            let [red, green, blue, alpha] = *pixel;
            *pixel = [red.min(alpha), green.min(alpha), blue.min(alpha), alpha];
        }
        let (width, height) = (width as usize, height as usize);
        Ok(Self { at: (left, top), width, stride: width, height, pixels: pixels.into(), premultiplied: true })
    }

    /// Calls for each row of the layer with the canvas' values there, of so many channels, and the layer's pixels.
    fn each_row(&self, canvas: &mut [u8], channels: usize, width: u32, mut paint: impl FnMut(&mut [u8], &[[u8; 4]])) {
        let (left, top) = (self.at.0 as usize, self.at.1 as usize);
        let rows = canvas.chunks_exact_mut(width as usize * channels).skip(top);
        for (row, pixels) in rows.zip(self.pixels.chunks(self.stride.max(1))).take(self.height) {
            let pixels = pixels.get(..self.width).unwrap_or_default();
            paint(&mut row[left * channels..(left + pixels.len()) * channels], pixels);
        }
    }

    fn onto_ground(&self, rgb: &mut [u8], width: u32) {
        let premultiplied = self.premultiplied;
        self.each_row(rgb, 3, width, |row, pixels| {
            for (ground, pixel) in row.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                let [red, green, blue, alpha] = *pixel;
                if alpha == 255 {
                    *ground = [red, green, blue];
                } else if alpha > FAINT {
                    let rest = 255 - u32::from(alpha);
                    let own = if premultiplied { 255 } else { u32::from(alpha) };
                    for (ground, value) in ground.iter_mut().zip([red, green, blue]) {
                        *ground = share(u32::from(value) * own + u32::from(*ground) * rest);
                    }
                }
            }
        });
    }

    fn onto_clear(&self, rgba: &mut [u8], width: u32) {
        let premultiplied = self.premultiplied;
        self.each_row(rgba, 4, width, |row, pixels| {
            if !premultiplied {
                row.copy_from_slice(pixels.as_flattened());
                return;
            }
            for (target, pixel) in row.as_chunks_mut::<4>().0.iter_mut().zip(pixels) {
                *target = straight(*pixel);
            }
        });
    }
}

/// `sum / 255`, rounded; exact for every sum of a value times an alpha and another times the rest, and at most 255.
fn share(sum: u32) -> u8 {
    let raised = sum + 128;
    ((raised + (raised >> 8)) >> 8).min(255) as u8
}

fn premultiplied(pixels: &[[u8; 4]], width: usize, shown: &Area) -> Vec<[u8; 4]> {
    let columns = shown.left as usize..shown.right as usize;
    let rows = pixels.chunks_exact(width.max(1)).skip(shown.top as usize).take(shown.height() as usize);
    let mut all = Vec::with_capacity(columns.len() * shown.height() as usize);
    for row in rows {
        all.extend(row[columns.clone()].iter().map(|pixel| match *pixel {
            [_, _, _, 255] => *pixel,
            [_, _, _, 0] => [0; 4],
            [red, green, blue, alpha] => {
                let times = |value: u8| share(u32::from(value) * u32::from(alpha));
                [times(red), times(green), times(blue), alpha]
            }
        }));
    }
    all
}

fn straight(pixel: [u8; 4]) -> [u8; 4] {
    let [red, green, blue, alpha] = pixel;
    match alpha {
        255 => pixel,
        0 => [0; 4],
        alpha => {
            let whole = |value: u8| ((u32::from(value) * 255 + u32::from(alpha) / 2) / u32::from(alpha)).min(255) as u8;
            [whole(red), whole(green), whole(blue), alpha]
        }
    }
}

/// Black of the shade's strength, laid under what is there.
fn under(rgba: &mut [u8], width: u32, shade: &Shade) {
    shade.each_row(rgba, 4, width, |row, strengths| {
        for (pixel, strength) in row.as_chunks_mut::<4>().0.iter_mut().zip(strengths) {
            let [red, green, blue, alpha] = *pixel;
            let added = share(u32::from(255 - alpha) * u32::from(*strength));
            if added > 0 {
                let both = alpha + added;
                let seen = |value: u8| {
                    let sum = u32::from(value) * u32::from(alpha);
                    ((sum + u32::from(both) / 2) / u32::from(both)) as u8
                };
                *pixel = [seen(red), seen(green), seen(blue), both];
            }
        }
    });
}

fn darken(rgb: &mut [u8], width: u32, shade: &Shade) {
    shade.each_row(rgb, 3, width, |row, strengths| {
        for (pixel, strength) in row.as_chunks_mut::<3>().0.iter_mut().zip(strengths) {
            *pixel = pixel.map(|value| share(u32::from(value) * u32::from(255 - *strength)));
        }
    });
}

/// The canvas before anything lies on it: `height × width × 3` bytes.
fn ground(background: &Background, (width, height): (u32, u32)) -> Result<Vec<u8>, Error> {
    let pixels = area(width, height, 1).unwrap_or(0);
    match background {
        Background::Colour([red, green, blue]) if red == green && green == blue => Ok(vec![*red; pixels * 3]),
        Background::Colour(colour) => Ok(vec![*colour; pixels].into_flattened()),
        Background::Picture(backdrop) => covered(backdrop, (width, height)),
    }
}

/// The backdrop scaled until it covers the canvas, its middle shown.
fn covered(backdrop: &Backdrop, (width, height): (u32, u32)) -> Result<Vec<u8>, Error> {
    let Backdrop { width: from_width, height: from_height, rgb } = backdrop;
    let failed = |error: &dyn std::fmt::Display| Error::Shape { what: "background picture", detail: error.to_string() };
    let source = ImageRef::new(*from_width, *from_height, rgb, PixelType::U8x3).map_err(|error| failed(&error))?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false)
        .fit_into_destination(Some((0.5, 0.5)));
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| failed(&error))?;
    Ok(target.into_vec())
}
