//! Letters in pictures: ASCII text at whole multiples of 8 × 8 pixels, for legends and captions. Must not know what is
//! written, nor shape text: one letter a cell, left to right.

use font8x8::legacy::BASIC_LEGACY;

/// Side of a letter's cell at scale 1, in pixels.
pub const CELL: u32 = 8;
/// What stands for a character that is none of printable ASCII.
const UNKNOWN: char = '?';

/// A picture that is written into: `height × width × 3` bytes, row-major, sRGB. Rows that the bytes do not hold are left
/// out.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The bytes.
    pub rgb: &'a mut [u8],
    /// Width in pixels.
    pub width: u32,
}

impl Sheet<'_> {
    /// Writes a line whose upper left corner is the pixel (`x`, `y`), each letter `scale` times 8 pixels wide and high, and
    /// leaves what is between the strokes as it is. What lies beyond the picture is cut off.
    pub fn write(&mut self, text: &str, (x, y): (u32, u32), scale: u32, colour: [u8; 3]) {
        let scale = scale.max(1);
        for (at, letter) in (0_u32..).zip(text.chars()) {
            let left = u64::from(x) + u64::from(at) * u64::from(CELL) * u64::from(scale);
            if left >= u64::from(self.width) {
                break;
            }
            for (row, bits) in (0_u32..).zip(glyph(letter)) {
                for column in (0..CELL).filter(|column| bits >> column & 1 == 1) {
                    let left = left + u64::from(column) * u64::from(scale);
                    let top = u64::from(y) + u64::from(row) * u64::from(scale);
                    self.square(left, top, scale, colour);
                }
            }
        }
    }

    /// Fills a rectangle of `width × height` pixels from (`x`, `y`) on, cut off at the edges.
    pub fn fill(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), colour: [u8; 3]) {
        let row_len = (self.width as usize).saturating_mul(3).max(1);
        let from = x.min(self.width) as usize * 3;
        let to = x.saturating_add(width).min(self.width) as usize * 3;
        for row in self.rgb.chunks_exact_mut(row_len).skip(y as usize).take(height as usize) {
            for pixel in row.get_mut(from..to).unwrap_or_default().chunks_exact_mut(3) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    fn square(&mut self, left: u64, top: u64, side: u32, colour: [u8; 3]) {
        if let (Ok(left), Ok(top)) = (u32::try_from(left), u32::try_from(top)) {
            self.fill((left, top), (side, side), colour);
        }
    }
}

/// Width in pixels of a line as it is written.
pub fn width(text: &str, scale: u32) -> u32 {
    let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    letters.saturating_mul(CELL).saturating_mul(scale.max(1))
}

/// The text, cut where it would be wider than `most` pixels; two dots say so.
pub fn fitted(text: &str, scale: u32, most: u32) -> String {
    if width(text, scale) <= most {
        return text.to_owned();
    }
    let room = (most / CELL.saturating_mul(scale.max(1))) as usize;
    let kept: String = text.chars().take(room.saturating_sub(2)).collect();
    let dots = "..".get(..room.min(2)).unwrap_or_default();
    format!("{kept}{dots}")
}

/// Eight rows, top first; the lowest bit is the leftmost pixel.
fn glyph(letter: char) -> [u8; 8] {
    let known = |letter: char| (' '..='~').contains(&letter);
    let letter = if known(letter) { letter } else { UNKNOWN };
    BASIC_LEGACY.get(letter as usize).copied().unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(text: &str, at: (u32, u32), scale: u32, (width, height): (u32, u32)) -> Vec<bool> {
        let mut rgb = vec![0; (width * height * 3) as usize];
        Sheet { rgb: &mut rgb, width }.write(text, at, scale, [9, 8, 7]);
        rgb.chunks_exact(3).map(|pixel| pixel == [9, 8, 7]).collect()
    }

    #[test]
    fn letters_stand_upright_and_side_by_side() {
        // An L: its stem on the left, its foot at the bottom.
        let letter = written("L", (0, 0), 1, (8, 8));
        let rows: Vec<usize> = letter.chunks(8).map(|row| row.iter().filter(|set| **set).count()).collect();
        assert!(rows[6] > rows[2] && rows[7] == 0, "{rows:?}");
        assert!(letter.chunks(8).all(|row| !row[7]), "cells do not touch");
        let two = written("LL", (0, 0), 1, (16, 8));
        for (row, wanted) in two.chunks(16).zip(letter.chunks(8)) {
            assert_eq!((&row[..8], &row[8..]), (wanted, wanted));
        }
        let twice = written("L", (0, 0), 2, (16, 16));
        for (y, row) in twice.chunks(16).enumerate() {
            assert!(row.iter().enumerate().all(|(x, set)| *set == letter[y / 2 * 8 + x / 2]));
        }
    }

    #[test]
    fn what_lies_beyond_the_picture_is_cut_off() {
        let whole = written("Abc", (0, 0), 1, (24, 8));
        let cut = written("Abc", (0, 0), 1, (20, 5));
        for (row, wanted) in cut.chunks(20).zip(whole.chunks(24)) {
            assert_eq!(row, &wanted[..20]);
        }
        for at in [(u32::MAX, u32::MAX), (0, 9), (9, 0), (u32::MAX, 0), (0, u32::MAX)] {
            assert!(!written("Xyz", at, u32::MAX, (8, 8)).contains(&true));
        }
        Sheet { rgb: &mut [0; 5], width: 0 }.write("a", (0, 0), 1, [1; 3]);
        Sheet { rgb: &mut [], width: 7 }.fill((0, 0), (9, 9), [1; 3]);
    }

    #[test]
    fn what_is_not_ascii_becomes_a_question_mark() {
        assert_eq!(written("é\n", (0, 0), 1, (16, 8)), written("??", (0, 0), 1, (16, 8)));
        assert!(written("?", (0, 0), 1, (8, 8)).contains(&true));
    }

    #[test]
    fn long_lines_are_cut_to_their_room() {
        assert_eq!((width("abc", 2), width("", 0)), (48, 0));
        assert_eq!(fitted("shirt", 1, 40), "shirt");
        assert_eq!(fitted("shirt, blouse", 1, 40), "shi..");
        assert_eq!([fitted("shirt", 1, 8), fitted("shirt", 1, 0)], [".", ""]);
    }
}
