//! A class map as a picture of solid colours, and the legend that goes with it. Must not know photos, files, or which
//! colours a class has: the palette is given.

use super::Mismatch;
use super::confusion::IGNORED;

/// What ignored pixels and values beyond the palette are painted in.
const NO_COLOUR: [u8; 3] = [255, 255, 255];

/// A class that occurs in a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Its value in the map.
    pub class: u8,
    /// Its colour, sRGB.
    pub colour: [u8; 3],
    /// Its pixels.
    pub pixels: u64,
    /// Its share of the map, 0–1.
    pub share: f64,
}

/// Class maps (row-major bytes) of one panel, label and prediction, to the classes that occur in any of them: background
/// first, then the largest. Ignored pixels have no entry. A class has the same colour in every panel of the same palette.
pub fn legend(maps: &[&[u8]], palette: &[[u8; 3]]) -> Vec<Entry> {
    let mut pixels = [0_u64; 256];
    for value in maps.iter().copied().flatten() {
        if let Some(count) = pixels.get_mut(usize::from(*value)) {
            *count += 1;
        }
    }
    let all: u64 = pixels.iter().sum();
    let entry = |(class, pixels): (u8, u64)| {
        let share = pixels as f64 / all.max(1) as f64;
        Entry { class, colour: colour(class, palette), pixels, share }
    };
    let there = (0_u8..IGNORED).zip(pixels).filter(|(_, pixels)| *pixels > 0);
    let mut entries: Vec<Entry> = there.map(entry).collect();
    entries.sort_by_key(|entry| (entry.class > 0, std::cmp::Reverse(entry.pixels), entry.class));
    entries
}

/// Paints a class map (row-major bytes) in solid colours: three bytes a pixel, sRGB. `into` is as large as that.
pub fn paint(map: &[u8], palette: &[[u8; 3]], into: &mut [u8]) -> Result<(), Mismatch> {
    if map.len().checked_mul(3) != Some(into.len()) {
        return Err(Mismatch(format!("{} pixels cannot be painted in {} bytes of RGB", map.len(), into.len())));
    }
    for (value, pixel) in map.iter().zip(into.chunks_exact_mut(3)) {
        pixel.copy_from_slice(&colour(*value, palette));
    }
    Ok(())
}

fn colour(class: u8, palette: &[[u8; 3]]) -> [u8; 3] {
    palette.get(usize::from(class)).copied().unwrap_or(NO_COLOUR)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PALETTE: [[u8; 3]; 3] = [[0, 0, 0], [9, 0, 0], [0, 9, 0]];

    #[test]
    fn background_comes_first_then_the_largest() {
        let entries = legend(&[&[0, 1, 2, 2], &[2, 255, 255, 255]], &PALETTE);
        let classes: Vec<_> = entries.iter().map(|entry| (entry.class, entry.pixels)).collect();
        assert_eq!(classes, [(0, 1), (2, 3), (1, 1)]);
        assert_eq!((entries[1].colour, entries[1].share), ([0, 9, 0], 0.375));
        assert_eq!(legend(&[], &PALETTE), []);
    }

    #[test]
    fn values_without_a_colour_are_white() {
        let mut rgb = [7; 9];
        paint(&[1, 255, 3], &PALETTE, &mut rgb).unwrap();
        assert_eq!(rgb, [9, 0, 0, 255, 255, 255, 255, 255, 255]);
        assert!(paint(&[1], &PALETTE, &mut rgb).is_err());
    }
}
