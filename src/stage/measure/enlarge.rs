//! What the network says of a picture, brought to the size of its photo: a class for each pixel. Bilinear with corners not
//! aligned, in the arithmetic of PyTorch's `interpolate`, then the greatest. Must not know windows, scales or labels.
//!
//! The numbers of all classes at the photo's size are never held: at 28 classes and six megapixels they would take 670 MB.
//! Each source row is widened once; between two of them a row of the photo is mixed, and judged while it is at hand.

use super::Mismatch;
use super::windows::{Size, softmax};

/// Pixels of a row that are judged at a time, so that what is compared stays in the nearest cache.
const TILE: usize = 512;

/// Numbers of every class for a picture, `[classes, H, W]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// The numbers.
    pub numbers: Vec<f32>,
    /// `(H, W)`.
    pub size: Size,
}

/// The class map of a photo, row-major. From the logits of one look, each pixel's class is that of the greatest logit, the
/// lower of equal ones; of several looks the probabilities are averaged, each brought to the photo's size as logits
/// before it is made probabilities, as mmsegmentation does. Logits that are no numbers are an error.
pub fn class_map(looks: &[Logits], classes: usize, photo: Size) -> Result<Vec<u8>, Mismatch> {
    let pixels = photo.0.checked_mul(photo.1).filter(|pixels| *pixels > 0);
    let Some(pixels) = pixels.filter(|_| !looks.is_empty() && (1..=255).contains(&classes)) else {
        return Err(Mismatch(format!(
            "{} looks of {classes} classes cannot become a class map of {} × {} pixels",
            looks.len(),
            photo.1,
            photo.0
        )));
    };
    let mut readers = Vec::with_capacity(looks.len());
    for look in looks {
        readers.push(Reader::new(look, classes, photo)?);
    }
    let mut map = vec![0_u8; pixels];
    let mut judge = Judge::new(photo.1);
    let mut row = vec![0.0_f32; classes * photo.1];
    let mut sum = vec![0.0_f32; if looks.len() > 1 { classes * photo.1 } else { 0 }];
    for (y, map) in map.chunks_exact_mut(photo.1).enumerate() {
        if let [reader] = readers.as_mut_slice() {
            let (upper, lower, shares) = reader.rows(y);
            judge.mixed(upper, lower, shares, map);
            continue;
        }
        sum.fill(0.0);
        for reader in &mut readers {
            let (upper, lower, shares) = reader.rows(y);
            for ((value, upper), lower) in row.iter_mut().zip(upper).zip(lower) {
                *value = shares[0] * upper + shares[1] * lower;
            }
            softmax(&mut row, classes)?;
            for (sum, value) in sum.iter_mut().zip(&row) {
                *sum += value;
            }
        }
        // A mean has its greatest where the sum has.
        judge.mixed(&sum, &sum, [1.0, 0.0], map);
    }
    Ok(map)
}

/// Two neighbours on one axis, and their shares in what lies between them.
#[derive(Clone, Copy, Debug)]
struct Tap {
    pixels: [usize; 2],
    shares: [f32; 2],
}

/// The taps of each of `to` pixels over `from` pixels. In 32 bits, as the reference computes them for 32-bit numbers.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let step = from as f32 / to as f32;
    let tap = |pixel: usize| {
        let middle = (step * (pixel as f32 + 0.5) - 0.5).max(0.0);
        let first = (middle as usize).min(from - 1);
        let share = (middle - first as f32).clamp(0.0, 1.0);
        Tap { pixels: [first, (first + 1).min(from - 1)], shares: [1.0 - share, share] }
    };
    (0..to).map(tap).collect()
}

/// One look, read row by row of the photo.
struct Reader<'a> {
    look: &'a Logits,
    rows: Vec<Tap>,
    columns: Vec<Tap>,
    /// The two source rows needed last, widened: `[classes, width of the photo]` each.
    held: [(Option<usize>, Vec<f32>); 2],
}

impl<'a> Reader<'a> {
    fn new(look: &'a Logits, classes: usize, photo: Size) -> Result<Self, Mismatch> {
        let (height, width) = look.size;
        let wanted = classes.checked_mul(height).and_then(|rows| rows.checked_mul(width));
        if wanted != Some(look.numbers.len()) || look.numbers.is_empty() {
            return Err(Mismatch(format!(
                "{} logits are none of {classes} classes for {width} × {height} pixels",
                look.numbers.len()
            )));
        }
        if let Some(at) = look.numbers.iter().position(|number| !number.is_finite()) {
            return Err(Mismatch(format!(
                "the network says {} of class {}; look at the checkpoint that it was made from",
                look.numbers.get(at).copied().unwrap_or(f32::NAN),
                at / (height * width)
            )));
        }
        let row = vec![0.0; classes * photo.1];
        let held = [(None, row.clone()), (None, row)];
        Ok(Self { look, rows: taps(height, photo.0), columns: taps(width, photo.1), held })
    }

    /// The two widened source rows that the row `y` of the photo lies between, and their shares.
    fn rows(&mut self, y: usize) -> (&[f32], &[f32], [f32; 2]) {
        let tap = self.rows.get(y).copied().unwrap_or(Tap { pixels: [0, 0], shares: [1.0, 0.0] });
        let [upper, lower] = tap.pixels;
        if self.held[1].0 == Some(upper) && self.held[0].0 != Some(upper) {
            self.held.swap(0, 1);
        }
        let Self { look, columns, held, .. } = self;
        for ((known, widened), row) in held.iter_mut().zip([upper, lower]) {
            if *known != Some(row) {
                widen(look, row, columns, widened);
                *known = Some(row);
            }
        }
        (&self.held[0].1, &self.held[1].1, tap.shares)
    }
}

/// Widens one row of each class.
fn widen(look: &Logits, row: usize, columns: &[Tap], widened: &mut [f32]) {
    let (height, width) = look.size;
    let planes = look.numbers.chunks_exact(height * width);
    for (plane, widened) in planes.zip(widened.chunks_exact_mut(columns.len())) {
        let source = plane.get(row * width..).and_then(|rest| rest.get(..width)).unwrap_or_default();
        for (value, tap) in widened.iter_mut().zip(columns) {
            if let [Some(left), Some(right)] = tap.pixels.map(|pixel| source.get(pixel)) {
                *value = tap.shares[0] * left + tap.shares[1] * right;
            }
        }
    }
}

/// Finds the greatest class of each pixel of a row.
struct Judge {
    best: [f32; TILE],
    /// As wide as the numbers, so that both are compared and chosen in the same lanes.
    class: [u32; TILE],
    width: usize,
}

impl Judge {
    fn new(width: usize) -> Self {
        Self { best: [0.0; TILE], class: [0; TILE], width }
    }

    /// The greatest of `shares[0] * upper + shares[1] * lower`, `[classes, width]` each.
    fn mixed(&mut self, upper: &[f32], lower: &[f32], shares: [f32; 2], map: &mut [u8]) {
        for (tile, map) in map.chunks_mut(TILE).enumerate() {
            self.best.fill(f32::NEG_INFINITY);
            let planes = upper.chunks_exact(self.width).zip(lower.chunks_exact(self.width));
            for (class, (upper, lower)) in (0_u32..).zip(planes) {
                let part = tile * TILE..tile * TILE + map.len();
                let (upper, lower) = (upper.get(part.clone()).unwrap_or_default(), lower.get(part).unwrap_or_default());
                let judged = self.best.iter_mut().zip(&mut self.class);
                for ((best, number), (upper, lower)) in judged.zip(upper.iter().zip(lower)) {
                    let value = shares[0] * upper + shares[1] * lower;
                    let better = value > *best;
                    *best = if better { value } else { *best };
                    *number = if better { class } else { *number };
                }
            }
            for (value, class) in map.iter_mut().zip(&self.class) {
                *value = *class as u8;
            }
        }
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

    fn looks(case: &Value) -> Vec<Logits> {
        let looks = case["looks"].as_array().unwrap().iter();
        looks.map(|look| Logits { numbers: floats(&look["logits"]), size: size(&look["size"]) }).collect()
    }

    /// The rows of one look at the photo's size, all of them: `[classes, H, W]`.
    fn enlarged(look: &Logits, classes: usize, photo: Size) -> Vec<f32> {
        let mut reader = Reader::new(look, classes, photo).unwrap();
        let mut all = vec![0.0; classes * photo.0 * photo.1];
        for y in 0..photo.0 {
            let (upper, lower, shares) = reader.rows(y);
            for class in 0..classes {
                for x in 0..photo.1 {
                    let at = class * photo.1 + x;
                    all[(class * photo.0 + y) * photo.1 + x] = shares[0] * upper[at] + shares[1] * lower[at];
                }
            }
        }
        all
    }

    #[test]
    fn enlarged_logits_and_their_classes_equal_pytorch() {
        for case in read("enlarge").as_array().unwrap() {
            let (photo, classes) = (size(&case["photo"]), whole(&case["classes"]));
            let looks = looks(case);
            for (look, wanted) in looks.iter().zip(case["enlarged"].as_array().unwrap()) {
                let (got, wanted) = (enlarged(look, classes, photo), floats(wanted));
                for (got, wanted) in got.iter().zip(wanted.iter().chain(std::iter::repeat(&f32::NAN))) {
                    assert!((got - wanted).abs() <= 4e-6, "{got} and {wanted} in {}", case["name"]);
                }
            }
            assert_eq!(class_map(&looks, classes, photo).unwrap(), bytes(&case["map"]), "{}", case["name"]);
        }
    }

    #[test]
    fn the_same_size_changes_nothing_and_the_lower_of_equal_classes_is_taken() {
        let numbers = vec![1.0, 5.0, -2.0, 0.0, 1.0, 4.0, -1.0, 0.0, 0.5, 6.0, -1.0, -0.0];
        let look = Logits { numbers, size: (2, 2) };
        assert_eq!(class_map(std::slice::from_ref(&look), 3, (2, 2)).unwrap(), [0, 2, 1, 0]);
        assert_eq!(class_map(&[look.clone(), look], 3, (2, 2)).unwrap(), [0, 2, 1, 0]);
    }

    #[test]
    fn what_is_no_number_or_of_another_shape_is_refused() {
        let look = |numbers: Vec<f32>, size| Logits { numbers, size };
        let nan = class_map(&[look(vec![0.0, f32::NAN], (1, 1))], 2, (1, 1)).unwrap_err();
        assert!(nan.0.contains("NaN of class 1"), "{nan}");
        for (numbers, size, classes, photo) in [
            (vec![f32::INFINITY; 2], (1, 1), 2, (1, 1)),
            (vec![0.0; 3], (1, 1), 2, (1, 1)),
            (vec![], (0, 4), 2, (1, 1)),
            (vec![0.0; 2], (1, 1), 2, (0, 1)),
            (vec![0.0; 2], (1, 1), 2, (usize::MAX, 2)),
            (vec![0.0; 256], (1, 1), 256, (1, 1)),
            (vec![0.0; 2], (usize::MAX, 2), 2, (1, 1)),
            (vec![], (1, 1), 0, (1, 1)),
        ] {
            assert!(class_map(&[look(numbers, size)], classes, photo).is_err());
        }
        assert!(class_map(&[], 2, (1, 1)).is_err());
    }
}
