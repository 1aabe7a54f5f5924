//! Windows over a picture larger than the network's input, the mean of what the network says where they overlap, and the
//! sizes and flips of a test at several scales. Must not know sessions, image files or classes by name.
//!
//! Places, order and mean are those of mmsegmentation's `slide_inference`. There is one difference: a picture smaller than
//! the crop is used there as it is, and the position embedding is resized to it. The graphs here have a fixed size, so
//! that a smaller picture is filled up to the crop with zeros at the bottom and on the right (it is normalised by then, so
//! that 0 is the mean colour, as in training), and what the network says of the filling is dropped.

use super::Mismatch;

/// Height and width in pixels.
pub type Size = (usize, usize);

/// A part of the picture: `height × width` pixels from row `y` and column `x` on. As large as the crop, but for pictures
/// that are smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first row.
    pub y: usize,
    /// The first column.
    pub x: usize,
    /// Rows, at most the crop's.
    pub height: usize,
    /// Columns, at most the crop's.
    pub width: usize,
}

/// The windows that cover a picture of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows;

impl Windows {
    /// Windows of the size `crop` at multiples of `stride`, row by row; the last of a row or column are shifted inside. The
    /// stride is at most the crop, or pixels would be left out.
    pub fn of(picture: Size, crop: Size, stride: Size) -> Result<Vec<Window>, Mismatch> {
        let rows = along(picture.0, crop.0, stride.0)?;
        let columns = along(picture.1, crop.1, stride.1)?;
        let height = crop.0.min(picture.0);
        let width = crop.1.min(picture.1);
        Ok(rows.iter().flat_map(|y| columns.iter().map(|x| Window { y: *y, x: *x, height, width })).collect())
    }
}

/// The first pixel of each window on one axis.
fn along(length: usize, crop: usize, stride: usize) -> Result<Vec<usize>, Mismatch> {
    if length == 0 || crop == 0 || stride == 0 || stride > crop {
        return Err(Mismatch(format!(
            "windows of {crop} pixels every {stride} cannot cover {length}: the stride is to be 1 to the crop's size"
        )));
    }
    let last = length.saturating_sub(crop);
    Ok((0..=last.div_ceil(stride)).map(|index| (index * stride).min(last)).collect())
}

/// Copies a window of a picture `[channels, H, W]` to `into`, `[channels, crop]`, with zeros beyond it.
pub fn cut(image: &[f32], picture: Size, window: Window, into: &mut [f32], crop: Size) -> Result<(), Mismatch> {
    let channels = channels(image.len(), picture)?;
    fits(window, picture, crop)?;
    expect("a cut-out window", into.len(), volume(channels, crop))?;
    into.fill(0.0);
    let planes = image.chunks_exact(picture.0 * picture.1).zip(into.chunks_exact_mut(crop.0 * crop.1));
    for (from, to) in planes {
        let rows = from.chunks_exact(picture.1).skip(window.y).take(window.height);
        for (from, to) in rows.zip(to.chunks_exact_mut(crop.1)) {
            for (to, from) in to.iter_mut().zip(from.iter().skip(window.x).take(window.width)) {
                *to = *from;
            }
        }
    }
    Ok(())
}

/// The sum of the logits of windows over one picture, and how many windows saw each pixel.
#[derive(Clone, Debug)]
pub struct Canvas {
    picture: Size,
    crop: Size,
    classes: usize,
    /// `[classes, H, W]`.
    sums: Vec<f32>,
    /// `[H, W]`.
    seen: Vec<f32>,
}

impl Canvas {
    /// An empty canvas for a picture of some size, and windows that are cut to `crop`.
    pub fn new(classes: usize, picture: Size, crop: Size) -> Result<Self, Mismatch> {
        let (Some(all), Some(pixels)) = (volume(classes, picture), volume(1, picture)) else {
            return Err(Mismatch(format!("{classes} classes of {} × {} are beyond the memory", picture.1, picture.0)));
        };
        if all == 0 || volume(1, crop).is_none_or(|pixels| pixels == 0) {
            return Err(Mismatch("a picture, a window and the classes are not to be empty".to_owned()));
        }
        Ok(Self { picture, crop, classes, sums: vec![0.0; all], seen: vec![0.0; pixels] })
    }

    /// Adds what the network says of a window: `[classes, crop]`, of which the filling is dropped. Sums are made in the
    /// order of the calls; the order of [`Windows::of`] gives the reference's.
    pub fn add(&mut self, window: Window, logits: &[f32]) -> Result<(), Mismatch> {
        fits(window, self.picture, self.crop)?;
        expect("the logits of a window", logits.len(), volume(self.classes, self.crop))?;
        let width = self.picture.1;
        for row in rows(&mut self.seen, width, window) {
            for seen in row {
                *seen += 1.0;
            }
        }
        let planes = self.sums.chunks_exact_mut(self.picture.0 * width);
        for (plane, logits) in planes.zip(logits.chunks_exact(self.crop.0 * self.crop.1)) {
            for (row, logits) in rows(plane, width, window).zip(logits.chunks_exact(self.crop.1)) {
                for (sum, logit) in row.iter_mut().zip(logits) {
                    *sum += logit;
                }
            }
        }
        Ok(())
    }

    /// The mean logits `[classes, H, W]`. An error if some pixel was in no window.
    pub fn finish(mut self) -> Result<Vec<f32>, Mismatch> {
        if self.seen.contains(&0.0) {
            return Err(Mismatch("some pixels were in no window; add every window of the picture".to_owned()));
        }
        for plane in self.sums.chunks_exact_mut(self.seen.len()) {
            for (sum, seen) in plane.iter_mut().zip(&self.seen) {
                *sum /= *seen;
            }
        }
        Ok(self.sums)
    }
}

/// The rows of a window of a plane `[H, width]`.
fn rows(plane: &mut [f32], width: usize, window: Window) -> impl Iterator<Item = &mut [f32]> {
    let rows = plane.chunks_exact_mut(width).skip(window.y).take(window.height);
    rows.filter_map(move |row| row.get_mut(window.x..window.x + window.width))
}

/// Turns every row of planes `[…, H, width]` around, a picture before the network or its logits after it.
pub fn flip(planes: &mut [f32], width: usize) {
    for row in planes.chunks_exact_mut(width.max(1)) {
        row.reverse();
    }
}

/// Logits `[classes, …]` to probabilities, in place. Only needed before looks at several scales or flips are averaged.
pub fn softmax(logits: &mut [f32], classes: usize) -> Result<(), Mismatch> {
    let pixels = planes(logits.len(), classes)?;
    let mut peak = vec![f32::NEG_INFINITY; pixels];
    for plane in logits.chunks_exact(pixels.max(1)) {
        for (peak, logit) in peak.iter_mut().zip(plane) {
            *peak = peak.max(*logit);
        }
    }
    let mut sums = vec![0.0_f32; pixels];
    for plane in logits.chunks_exact_mut(pixels.max(1)) {
        for ((logit, peak), sum) in plane.iter_mut().zip(&peak).zip(&mut sums) {
            *logit = (*logit - peak).exp();
            *sum += *logit;
        }
    }
    for plane in logits.chunks_exact_mut(pixels.max(1)) {
        for (logit, sum) in plane.iter_mut().zip(&sums) {
            *logit /= sum;
        }
    }
    Ok(())
}

/// The class map: for each pixel of `[classes, …]` (1 to 255 classes) the class of the greatest number, the lower of
/// equal ones. A number that is none is an error: its class would mean nothing.
pub fn greatest(numbers: &[f32], classes: usize) -> Result<Vec<u8>, Mismatch> {
    let pixels = planes(numbers.len(), classes)?;
    if classes > 255 {
        return Err(Mismatch(format!("{classes} classes do not fit in a byte of which 255 is ignored")));
    }
    let mut best = vec![f32::NEG_INFINITY; pixels];
    let mut map = vec![0_u8; pixels];
    for (class, plane) in (0_u8..=254).zip(numbers.chunks_exact(pixels.max(1))) {
        for ((number, best), value) in plane.iter().zip(&mut best).zip(&mut map) {
            if number.is_nan() {
                let text =
                    format!("the network says NaN of class {class}; look at the checkpoint that it was made from");
                return Err(Mismatch(text));
            }
            if number > best {
                (*best, *value) = (*number, class);
            }
        }
    }
    Ok(map)
}

/// The scales of a test at several scales, as shares of the base scale: mmsegmentation's.
pub const SCALES: [f64; 6] = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75];
/// The base scale: the longer side at most, the shorter side at most.
pub const BASE: Size = (2048, 512);

/// The size of a picture at a scale: the largest of its shape within the base scale times `ratio` (sides cut to whole
/// pixels), rounded to the nearest pixel as mmcv does, at least 1 pixel each.
pub fn rescaled((height, width): Size, base: Size, ratio: f64) -> Result<Size, Mismatch> {
    let long = (base.0.max(base.1) as f64 * ratio).floor();
    let short = (base.0.min(base.1) as f64 * ratio).floor();
    if height == 0 || width == 0 || !(1.0..=1e6).contains(&short) || !(1.0..=1e6).contains(&long) {
        let text = format!("{width} × {height} pixels cannot be brought to {ratio} times {} × {}", base.0, base.1);
        return Err(Mismatch(text));
    }
    let factor = (long / height.max(width) as f64).min(short / height.min(width) as f64);
    let side = |side: usize| ((side as f64 * factor + 0.5) as usize).max(1);
    Ok((side(height), side(width)))
}

fn volume(channels: usize, size: Size) -> Option<usize> {
    channels.checked_mul(size.0)?.checked_mul(size.1)
}

fn channels(numbers: usize, size: Size) -> Result<usize, Mismatch> {
    let pixels = volume(1, size).filter(|pixels| *pixels > 0 && numbers.is_multiple_of(*pixels));
    let text = || Mismatch(format!("{numbers} numbers are no planes of {} × {}", size.1, size.0));
    Ok(numbers / pixels.ok_or_else(text)?)
}

fn planes(numbers: usize, classes: usize) -> Result<usize, Mismatch> {
    match classes > 0 && numbers.is_multiple_of(classes) {
        true => Ok(numbers / classes),
        false => Err(Mismatch(format!("{numbers} numbers are no planes of {classes} classes"))),
    }
}

fn expect(what: &str, got: usize, wanted: Option<usize>) -> Result<(), Mismatch> {
    match wanted == Some(got) {
        true => Ok(()),
        false => Err(Mismatch(format!("{what} of {got} numbers is of another shape than was said"))),
    }
}

fn fits(window: Window, picture: Size, crop: Size) -> Result<(), Mismatch> {
    let inside = |first: usize, length: usize, whole: usize| first.checked_add(length).is_some_and(|end| end <= whole);
    let fits = inside(window.y, window.height, picture.0) && inside(window.x, window.width, picture.1);
    match fits && window.height <= crop.0 && window.width <= crop.1 {
        true => Ok(()),
        false => Err(Mismatch(format!("{window:?} does not lie in {} × {} pixels", picture.1, picture.0))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bytes, floats, read, whole};
    use super::*;
    use serde_json::Value;

    fn size(value: &Value) -> Size {
        (whole(&value[0]), whole(&value[1]))
    }

    #[test]
    fn windows_lie_where_the_reference_puts_them() {
        for case in read("windows")["places"].as_array().unwrap() {
            let (crop, stride) = (whole(&case["crop"]), whole(&case["stride"]));
            let windows = Windows::of(size(&case["size"]), (crop, crop), (stride, stride)).unwrap();
            let windows: Vec<[usize; 4]> = windows.iter().map(|w| [w.y, w.x, w.height, w.width]).collect();
            assert_eq!(serde_json::json!(windows), case["windows"], "{} by {stride}", case["size"]);
        }
    }

    #[test]
    fn the_mean_over_windows_equals_the_reference_bit_for_bit() {
        for case in read("windows")["means"].as_array().unwrap() {
            let (picture, crop) = (size(&case["size"]), size(&case["crop"]));
            let mut canvas = Canvas::new(3, picture, crop).unwrap();
            let windows = Windows::of(picture, crop, size(&case["stride"])).unwrap();
            let logits = case["logits"].as_array().unwrap();
            assert_eq!(windows.len(), logits.len());
            for (window, logits) in windows.iter().zip(logits) {
                canvas.add(*window, &floats(logits)).unwrap();
            }
            let mean = canvas.finish().unwrap();
            assert_eq!(mean, floats(&case["mean"]));
            assert_eq!(greatest(&mean, 3).unwrap(), bytes(&case["classes"]));
        }
    }

    #[test]
    fn sizes_at_several_scales_equal_mmcv() {
        for case in read("windows")["sizes"].as_array().unwrap() {
            let got = rescaled(size(&case["size"]), BASE, case["ratio"].as_f64().unwrap()).unwrap();
            assert_eq!(got, size(&case["rescaled"]), "{case}");
        }
        assert!(rescaled((0, 4), BASE, 1.0).is_err());
        assert!(rescaled((4, 4), BASE, f64::NAN).is_err());
        assert_eq!(rescaled((1, 100_000), BASE, 0.5).unwrap(), (1, 1024));
    }

    #[test]
    fn a_smaller_picture_is_filled_up_and_the_filling_dropped() {
        let windows = Windows::of((2, 3), (4, 4), (3, 3)).unwrap();
        assert_eq!(windows, [Window { y: 0, x: 0, height: 2, width: 3 }]);
        let image: Vec<f32> = (1..=12).map(|value| value as f32).collect();
        let mut crop = vec![9.0; 32];
        cut(&image, (2, 3), windows[0], &mut crop, (4, 4)).unwrap();
        assert_eq!(crop[..8], [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0]);
        assert_eq!(crop[8..16], [0.0; 8]);
        let mut canvas = Canvas::new(2, (2, 3), (4, 4)).unwrap();
        canvas.add(windows[0], &crop).unwrap();
        assert_eq!(canvas.finish().unwrap(), image);
    }

    #[test]
    fn pixels_in_no_window_and_wrong_shapes_are_refused() {
        assert!(Windows::of((8, 8), (4, 4), (5, 4)).is_err());
        assert!(Windows::of((8, 8), (4, 4), (0, 4)).is_err());
        assert!(Windows::of((0, 8), (4, 4), (4, 4)).is_err());
        let mut canvas = Canvas::new(1, (2, 2), (1, 1)).unwrap();
        let window = Window { y: 0, x: 0, height: 1, width: 1 };
        canvas.add(window, &[1.0]).unwrap();
        assert!(canvas.add(Window { y: 2, ..window }, &[1.0]).is_err());
        assert!(canvas.add(Window { width: 2, ..window }, &[1.0]).is_err());
        assert!(canvas.add(window, &[1.0, 2.0]).is_err());
        assert!(canvas.finish().is_err());
        assert!(cut(&[0.0; 5], (2, 2), window, &mut [0.0], (1, 1)).is_err());
        assert!(Canvas::new(usize::MAX, (9, 9), (1, 1)).is_err());
        assert!(greatest(&[1.0, f32::NAN], 2).is_err());
        assert!(greatest(&[1.0; 3], 2).is_err());
    }

    #[test]
    fn softmax_sums_to_one_and_a_flip_undoes_itself() {
        let mut numbers = vec![1.0, -3.0, 80.0, 1.0, 2.0, -80.0];
        softmax(&mut numbers, 2).unwrap();
        assert_eq!(numbers[0], 0.5);
        assert!((numbers[1] + numbers[4] - 1.0).abs() < 1e-6 && numbers[2] == 1.0);
        let mut planes = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        flip(&mut planes, 3);
        assert_eq!(planes, [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        flip(&mut planes, 3);
        assert_eq!(planes, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
