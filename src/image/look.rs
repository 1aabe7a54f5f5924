//! What a picture looks like, small enough to compare millions: a perceptual hash and a few colours. Must not know files,
//! nor which pictures are to be found alike.

use super::shrink::{Small, grid};
use std::f32::consts::PI;
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Cells a side of the grid that is transformed.
const SIDE: usize = 32;
/// The highest frequency that the hash is made of: the 64 of the lowest sums across and down end there.
const HIGHEST: usize = 10;
/// Cells a side of the colours.
const CELLS: usize = 4;
/// Below this amplitude, in levels, a frequency is rounding and what a JPEG leaves behind.
const NOISE: f32 = 1.0;

/// A picture's look. Two files of one picture have nearly the same, whatever their size and quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// One bit for each of 64 low frequencies of luma: whether it lies above their median. 0 for a picture without
    /// structure, whose bits would be noise.
    pub hash: u64,
    /// The mean colour of each cell of a 4 × 4 grid, row-major: `R G B R G B …`, sRGB.
    pub colours: [u8; 48],
}

impl Look {
    /// The look of a picture that is not empty.
    pub(super) fn of(small: &Small) -> Self {
        let cells = grid(small, SIDE, SIDE);
        let luma: Vec<f32> =
            cells.iter().map(|[red, green, blue]| 0.299 * red + 0.587 * green + 0.114 * blue).collect();
        Self { hash: hash(&luma), colours: colours(&cells) }
    }

    /// Whether the picture has too little structure to be told from others by its hash.
    pub fn is_flat(&self) -> bool {
        self.hash == 0
    }

    /// How far two looks are apart: bits of the hash that differ, and the mean difference of the colours in levels.
    pub fn distance(&self, other: &Self) -> (u32, f32) {
        ((self.hash ^ other.hash).count_ones(), colour_distance(&self.colours, &other.colours))
    }

    /// 112 lower-case hexadecimal digits: the hash, then the colours.
    pub fn hex(&self) -> String {
        let mut text = format!("{:016x}", self.hash);
        for value in self.colours {
            // Writing to a string cannot fail.
            let _ = write!(text, "{value:02x}");
        }
        text
    }

    /// Reads what [`hex`](Self::hex) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 112 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let (hash, rest) = text.split_at(16);
        let mut colours = [0; 48];
        for (at, value) in colours.iter_mut().enumerate() {
            *value = u8::from_str_radix(&rest[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Self { hash: u64::from_str_radix(hash, 16).ok()?, colours })
    }
}

/// The mean difference of two lists of colours, in levels.
fn colour_distance(one: &[u8; 48], other: &[u8; 48]) -> f32 {
    let sum: u32 = one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
    sum as f32 / 48.0
}

fn colours(cells: &[[f32; 3]]) -> [u8; 48] {
    const SPAN: usize = SIDE / CELLS;
    let mut colours = [0; 48];
    for (at, target) in colours.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (top, left) = (at / CELLS * SPAN, at % CELLS * SPAN);
        let mut sum = [0.0_f32; 3];
        for row in cells.chunks_exact(SIDE).skip(top).take(SPAN) {
            for cell in row.iter().skip(left).take(SPAN) {
                for (sum, value) in sum.iter_mut().zip(cell) {
                    *sum += value;
                }
            }
        }
        *target = sum.map(|sum| (sum / (SPAN * SPAN) as f32).round() as u8);
    }
    colours
}

/// The frequencies that make the hash, `(down, across)`: those of the lowest sums, the mean left out.
static FREQUENCIES: LazyLock<Vec<(usize, usize)>> = LazyLock::new(|| {
    let mut all: Vec<(usize, usize)> = (0..SIDE).flat_map(|v| (0..SIDE).map(move |u| (v, u))).skip(1).collect();
    all.sort_by_key(|(v, u)| (v + u, *v));
    all.truncate(64);
    all
});

/// Cosines of the transform (type II, orthonormal), one row a frequency.
static COSINES: LazyLock<Vec<[f32; SIDE]>> = LazyLock::new(|| {
    let row = |frequency: usize| {
        let scale = if frequency == 0 { (1.0 / SIDE as f32).sqrt() } else { (2.0 / SIDE as f32).sqrt() };
        std::array::from_fn(|x| scale * ((x as f32 + 0.5) * frequency as f32 * PI / SIDE as f32).cos())
    };
    (0..SIDE).map(row).collect()
});

/// The hash of a `32 × 32` grid of luma.
fn hash(luma: &[f32]) -> u64 {
    let dot = |one: &[f32], other: &[f32]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f32>();
    let columns: Vec<f32> = COSINES
        .iter()
        .take(HIGHEST + 1)
        .flat_map(|cosines| luma.chunks_exact(SIDE).map(move |row| dot(row, cosines)))
        .collect();
    let amplitudes: Vec<f32> = FREQUENCIES
        .iter()
        .map(|(v, u)| columns.chunks_exact(SIDE).nth(*u).map_or(0.0, |column| dot(column, &COSINES[*v])))
        .collect();
    let mut sorted = amplitudes.clone();
    sorted.sort_by(f32::total_cmp);
    let median = (sorted[31] + sorted[32]) / 2.0;
    let mut sizes: Vec<f32> = amplitudes.iter().map(|amplitude| amplitude.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    if sizes[32] < NOISE {
        return 0;
    }
    amplitudes.iter().fold(0, |hash, amplitude| hash << 1 | u64::from(*amplitude > median))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::shrink::shrink;
    use super::*;

    /// Discs of several colours on white, as large as the picture.
    fn discs(width: u32, height: u32) -> Vec<u8> {
        let inside = |x: f32, y: f32, at: (f32, f32, f32)| (x - at.0).hypot(y - at.1) < at.2;
        let colour = move |x: u32, y: u32| {
            let (x, y) = ((x as f32 + 0.5) / width as f32, (y as f32 + 0.5) / height as f32);
            match () {
                () if inside(x, y, (0.4, 0.3, 0.2)) => [180, 30, 60],
                () if inside(x, y, (0.6, 0.7, 0.25)) => [20, 60, 140],
                () if inside(x, y, (0.2, 0.8, 0.1)) => [10, 10, 10],
                () => [250, 250, 248],
            }
        };
        (0..height).flat_map(|y| (0..width).flat_map(move |x| colour(x, y))).collect()
    }

    fn look(width: u32, height: u32, rgb: &[u8]) -> Look {
        Look::of(&shrink(rgb, width, height, 512))
    }

    #[test]
    fn the_hash_is_made_of_frequencies_that_are_computed() {
        assert_eq!(FREQUENCIES.len(), 64);
        assert!(FREQUENCIES.iter().all(|(v, u)| *v <= HIGHEST && *u <= HIGHEST && v + u > 0));
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is() {
        let one = look(300, 200, &discs(300, 200));
        let text = one.hex();
        assert_eq!((text.len(), Look::parse(&text)), (112, Some(one)));
        for wrong in ["", &text[1..], &format!("{}g", &text[1..]), &format!("{text}0"), &"é".repeat(56)] {
            assert_eq!(Look::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn size_and_light_hardly_change_a_look_and_another_picture_does() {
        let large = look(900, 600, &discs(900, 600));
        let (bits, colour) = large.distance(&look(300, 200, &discs(300, 200)));
        assert!(bits <= 2 && colour < 1.0, "{bits} {colour}");
        let darker: Vec<u8> = discs(900, 600).iter().map(|value| (f32::from(*value) * 0.97) as u8).collect();
        let (bits, colour) = large.distance(&look(900, 600, &darker));
        assert!(bits <= 2 && (4.0..8.0).contains(&colour), "{bits} {colour}");
        let mut turned = discs(900, 600);
        turned.reverse();
        let (bits, colour) = large.distance(&look(900, 600, &turned));
        assert!(bits > 16 && colour > 20.0, "{bits} {colour}");
    }

    #[test]
    fn a_look_is_half_set_and_its_colours_are_where_they_are_in_the_picture() {
        let one = look(400, 400, &discs(400, 400));
        assert_eq!(one.hash.count_ones(), 32);
        assert_eq!(one.colours[9..12], [250, 250, 248], "upper right");
        assert!(one.colours[15] > one.colours[17] + 50, "red in the second row and column: {:?}", &one.colours[15..18]);
    }

    #[test]
    fn a_picture_without_structure_is_flat() {
        assert!(look(64, 48, &[200; 64 * 48 * 3]).is_flat());
        let slope: Vec<u8> = (0..48).flat_map(|_| (0..64_u8).flat_map(|x| [x * 4; 3])).collect();
        assert!(look(64, 48, &slope).is_flat(), "one direction only");
        assert!(!look(300, 200, &discs(300, 200)).is_flat());
    }
}
