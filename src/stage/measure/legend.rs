//! A class map as a picture of solid colours, and the legend that goes with it. Must not know photos, files, or which
//! colours a class has: the palette is given.

use super::Mismatch;
use super::confusion::IGNORED;
use crate::image::raster::colour_of;
use crate::table::labels::value_name;

/// A class that occurs in a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Its value in the map.
    pub class: u8,
    /// Its name.
    pub name: &'static str,
    /// Its colour, sRGB.
    pub colour: [u8; 3],
    /// Its pixels.
    pub pixels: u64,
    /// Its share of the pixels of all entries, 0–1.
    pub share: f64,
}

/// The entries of some classes and their pixels, in their order.
pub fn entries(pixels: impl IntoIterator<Item = (u8, u64)>, palette: &[[u8; 3]]) -> Vec<Entry> {
    let entry = |(class, pixels)| Entry {
        class,
        name: value_name(class),
        colour: colour_of(class, palette),
        pixels,
        share: 0.0,
    };
    let mut entries: Vec<Entry> = pixels.into_iter().map(entry).collect();
    let all = entries.iter().map(|entry| entry.pixels).sum::<u64>().max(1);
    for entry in &mut entries {
        entry.share = entry.pixels as f64 / all as f64;
    }
    entries
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
    let mut entries = entries((0_u8..IGNORED).zip(pixels).filter(|(_, pixels)| *pixels > 0), palette);
    entries.sort_by_key(|entry| (entry.class > 0, std::cmp::Reverse(entry.pixels), entry.class));
    entries
}

/// Paints a class map (row-major bytes) in solid colours: three bytes a pixel, sRGB. `into` is as large as that.
pub fn paint(map: &[u8], palette: &[[u8; 3]], into: &mut [u8]) -> Result<(), Mismatch> {
    if map.len().checked_mul(3) != Some(into.len()) {
        return Err(Mismatch(format!("{} pixels cannot be painted in {} bytes of RGB", map.len(), into.len())));
    }
    for (value, pixel) in map.iter().zip(into.chunks_exact_mut(3)) {
        pixel.copy_from_slice(&colour_of(*value, palette));
    }
    Ok(())
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
        assert_eq!((entries[1].colour, entries[1].share), ([0, 9, 0], 0.6));
        assert_eq!((entries[0].name, entries[2].name), ("background", "shirt, blouse"));
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
