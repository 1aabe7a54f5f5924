//! How hard a JPEG was compressed, by its tables. Must not decode the picture.

use super::jpeg;

/// The luminance table of the standard (annex K.1), by frequency from the lowest in zigzag order, as files hold it.
const STANDARD: [u16; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];

/// The quality, 1 to 100, at which the usual encoders (those that scale the standard's tables) would have made a JPEG's
/// luminance table; a table of another making gives the quality that comes closest to it on average. `None` for other files,
/// and where the table is missing.
pub fn jpeg_quality(bytes: &[u8]) -> Option<u8> {
    let table = luminance(bytes)?;
    let wanted: u64 = table.iter().map(|step| u64::from(*step)).sum();
    // Rounding and clamping make the scaling no formula to turn round: of a hundred tables the one that is nearest.
    let off = |quality: &u8| {
        scaled(*quality).iter().zip(&table).map(|(one, other)| u64::from(one.abs_diff(*other))).sum::<u64>()
    };
    let sum_off = |quality: &u8| scaled(*quality).iter().map(|step| u64::from(*step)).sum::<u64>().abs_diff(wanted);
    (1..=100).min_by_key(|quality| (off(quality), sum_off(quality)))
}

/// The standard's table at a quality.
fn scaled(quality: u8) -> [u16; 64] {
    let quality = u16::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    STANDARD.map(|step| ((u32::from(step) * u32::from(percent) + 50) / 100).clamp(1, 255) as u16)
}

/// Table 0 of the segments in front of the first scan: luminance in every file that has one.
fn luminance(bytes: &[u8]) -> Option<[u16; 64]> {
    if !bytes.starts_with(b"\xff\xd8\xff") {
        return None;
    }
    let (mut at, mut found) = (2, None);
    loop {
        let (marker, body, next) = jpeg::segment(bytes, at).ok()?;
        at = next;
        match marker {
            0xda => return found,
            0xdb => found = table(body).or(found),
            _ => {}
        }
    }
}

/// Table 0 of a segment of several.
fn table(mut body: &[u8]) -> Option<[u16; 64]> {
    loop {
        let (kind, rest) = body.split_first()?;
        let wide = kind >> 4 != 0;
        let (steps, rest) = rest.split_at_checked(if wide { 128 } else { 64 })?;
        if kind & 15 == 0 {
            let mut table = [0; 64];
            for (at, step) in table.iter_mut().enumerate() {
                *step = match wide {
                    true => u16::from_be_bytes([steps[at * 2], steps[at * 2 + 1]]),
                    false => u16::from(steps[at]),
                };
            }
            return Some(table);
        }
        body = rest;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::encode;
    use super::*;

    #[test]
    fn the_quality_that_a_file_was_made_with_is_found() {
        for quality in [1, 10, 25, 49, 50, 51, 60, 75, 78, 85, 90, 95, 99, 100] {
            for bytes in [
                encode::jpeg_rgb(8, 8, &[90; 192], quality, None).unwrap(),
                encode::jpeg_grey(8, 8, &[90; 64], quality, None).unwrap(),
            ] {
                assert_eq!(jpeg_quality(&bytes), Some(quality));
            }
        }
    }

    #[test]
    fn steps_of_sixteen_bits_and_tables_behind_others_are_read() {
        let wide: Vec<u8> = [0x11].into_iter().chain([0; 128]).collect();
        let steps = scaled(60).into_iter().flat_map(u16::to_be_bytes);
        let body: Vec<u8> = wide.into_iter().chain([0x10]).chain(steps).collect();
        assert_eq!(table(&body), Some(scaled(60)));
        assert_eq!(table(&body[..200]), None);
    }

    #[test]
    fn other_files_and_cut_ones_have_none() {
        let png = encode::png_rgb(8, 8, &[90; 192], None).unwrap();
        let jpeg = encode::jpeg_rgb(8, 8, &[90; 192], 80, None).unwrap();
        for bytes in [&png[..], b"", &jpeg[..20], &jpeg[..2]] {
            assert_eq!(jpeg_quality(bytes), None);
        }
    }
}
