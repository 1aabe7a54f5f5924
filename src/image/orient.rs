//! Turning pixels upright by the EXIF orientation. Must not know where the orientation came from.

/// Side of the square that is turned at a time, so that both its rows and its columns stay in the cache.
const TILE: usize = 32;

/// Turns a `height × width × N` picture upright. `orientation` is EXIF's 1..=8; anything else leaves it as it is.
/// The result is `width × height × N` for 5..=8.
pub(super) fn orient<const N: usize>(pixels: Vec<u8>, width: usize, height: usize, orientation: u8) -> Vec<u8> {
    if !(2..=8).contains(&orientation) || pixels.len() != width * height * N {
        return pixels;
    }
    let (source, _) = pixels.as_chunks::<N>();
    if orientation <= 4 {
        let mut upright = Vec::with_capacity(pixels.len());
        let rows = source.chunks_exact(width.max(1));
        let mut row_out = |row: &[[u8; N]]| {
            if orientation == 4 {
                upright.extend_from_slice(row.as_flattened());
            } else {
                upright.extend(row.iter().rev().flatten());
            }
        };
        if orientation == 2 {
            rows.for_each(&mut row_out)
        } else {
            rows.rev().for_each(&mut row_out)
        }
        return upright;
    }
    let mut upright = vec![0; pixels.len()];
    let (target, _) = upright.as_chunks_mut::<N>();
    // Row y and column x of the result (whose width is the source's height) lie at column y, row x of the source,
    // counted from the side that the orientation names.
    let from_right = matches!(orientation, 7 | 8);
    let from_bottom = matches!(orientation, 6 | 7);
    for tile_y in (0..width).step_by(TILE) {
        for tile_x in (0..height).step_by(TILE) {
            let columns = tile_x..(tile_x + TILE).min(height);
            for y in tile_y..(tile_y + TILE).min(width) {
                let source_column = if from_right { width - 1 - y } else { y };
                let row = &mut target[y * height + columns.start..y * height + columns.end];
                for (pixel, x) in row.iter_mut().zip(columns.clone()) {
                    let source_row = if from_bottom { height - 1 - x } else { x };
                    *pixel = source[source_row * width + source_column];
                }
            }
        }
    }
    upright
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 3 × 2 picture `abc / def`, turned.
    fn turned(orientation: u8) -> String {
        String::from_utf8(orient::<1>(b"abcdef".to_vec(), 3, 2, orientation)).unwrap_or_default()
    }

    #[test]
    fn each_orientation_lands_where_exif_says() {
        assert_eq!(turned(1), "abcdef");
        assert_eq!(turned(2), "cbafed");
        assert_eq!(turned(3), "fedcba");
        assert_eq!(turned(4), "defabc");
        assert_eq!(turned(5), "adbecf");
        assert_eq!(turned(6), "daebfc");
        assert_eq!(turned(7), "fcebda");
        assert_eq!(turned(8), "cfbead");
    }

    #[test]
    fn turning_left_undoes_turning_right_beyond_one_tile() {
        let (width, height) = (TILE + 5, 2 * TILE + 3);
        let picture: Vec<u8> = (0..width * height * 3).map(|value| (value % 251) as u8).collect();
        let right = orient::<3>(picture.clone(), width, height, 6);
        assert_ne!(right, picture);
        assert_eq!(orient::<3>(right, height, width, 8), picture);
    }
}
