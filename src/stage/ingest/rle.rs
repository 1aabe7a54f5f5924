//! The text of one mask to spans: straight from bytes to numbers, judged on the way. Pure; must not know rows, files or
//! tables. The convention is Kaggle's: pairs of first pixel and count, pixels counted from 1 down the columns, so that
//! "1 3 10 5" is the pixels 1, 2, 3 and 10 to 14.

use crate::outcome::Reason;

/// How masks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `start length start length …`, decimal.
    Kaggle,
    /// COCO's compressed string.
    Coco,
}

/// What a mask is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// How masks are written.
    pub(super) format: Format,
    /// What the first pixel is called, 0 or 1.
    pub(super) base: u32,
    /// Whether a run that leaves the image by no more than a column is cut.
    pub(super) clip: bool,
}

/// What was repaired in a mask, and its area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mask {
    /// Pixels covered; 0 where the field says that there is no mask.
    pub(super) area: u64,
    /// The runs did not ascend.
    pub(super) unsorted: bool,
    /// Runs covered one another.
    pub(super) self_overlap: bool,
    /// Runs of length 0 were left out.
    pub(super) zero_length: bool,
    /// Numbers were parted by more than one space.
    pub(super) whitespace: bool,
    /// Pixels outside the image that were cut.
    pub(super) clipped: u64,
}

/// Why a mask cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The code.
    pub(super) reason: Reason,
    /// Byte within the field.
    pub(super) at: usize,
    /// The cause in words.
    pub(super) detail: String,
}

fn flaw<T>(reason: Reason, at: usize, detail: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw { reason, at, detail: detail.into() })
}

/// Appends the spans of a mask: 0-based, ascending, disjoint, not touching. On a flaw nothing is appended.
/// `height` and `width` in pixels; their product fits `u32`.
pub(super) fn parse(
    text: &[u8],
    (height, width): (u32, u32),
    rules: Rules,
    starts: &mut Vec<u32>,
    lengths: &mut Vec<u32>,
) -> Result<Mask, Flaw> {
    let pixels = height.saturating_mul(width);
    if rules.format == Format::Kaggle
        && let Some(area) = canonical(text, pixels, rules.base, starts, lengths)
    {
        return Ok(Mask { area, ..Mask::default() });
    }
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() || trimmed == b"-1" || [&b"nan"[..], b"null"].iter().any(|w| trimmed.eq_ignore_ascii_case(w))
    {
        return Ok(Mask::default());
    }
    let (runs, mut mask) = match rules.format {
        Format::Kaggle => pairs(text, (height, pixels), rules)?,
        Format::Coco => (coco(trimmed, pixels)?, Mask::default()),
    };
    canonicalise(runs, &mut mask, starts, lengths);
    Ok(mask)
}

/// Eight bytes as a number: the value of the leading digits, and how many they are.
#[inline]
fn digits(eight: [u8; 8]) -> (u32, usize) {
    let word = u64::from_le_bytes(eight) ^ 0x3030_3030_3030_3030;
    // A byte above 9 sets its high bit; carries only reach bytes after the first that is no digit.
    let other = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    let count = (other.trailing_zeros() / 8) as usize;
    if count == 0 {
        return (0, 0);
    }
    // The digits move to the high bytes, zeros before them; then pairs, fours and eights of digits are joined.
    let word = word << (64 - 8 * count);
    let word = (word & 0x0F0F_0F0F_0F0F_0F0F).wrapping_mul(2561) >> 8;
    let word = (word & 0x00FF_00FF_00FF_00FF).wrapping_mul(6_553_601) >> 16;
    let word = (word & 0x0000_FFFF_0000_FFFF).wrapping_mul(42_949_672_960_001) >> 32;
    (word as u32, count)
}

/// One number of at most eight digits and the byte after it; bytes past the end count as spaces.
#[inline]
fn number(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut eight = [b' '; 8];
    match text.get(at..at + 8) {
        Some(bytes) => eight.copy_from_slice(bytes),
        None => {
            let rest = text.get(at..)?;
            eight[..rest.len()].copy_from_slice(rest);
        }
    }
    let (value, count) = digits(eight);
    (count > 0).then_some((value, at + count))
}

/// The fast way, for masks that are as they should be: single spaces, runs ascending, apart and inside. Gives the area, or
/// nothing at all (the careful way then finds out why).
fn canonical(text: &[u8], pixels: u32, base: u32, starts: &mut Vec<u32>, lengths: &mut Vec<u32>) -> Option<u64> {
    let kept = starts.len();
    starts.reserve(text.len() / 4 + 1);
    lengths.reserve(text.len() / 4 + 1);
    let area = canonical_runs(text, pixels, base, starts, lengths);
    if area.is_none() {
        starts.truncate(kept);
        lengths.truncate(kept);
    }
    area
}

#[inline]
fn canonical_runs(text: &[u8], pixels: u32, base: u32, starts: &mut Vec<u32>, lengths: &mut Vec<u32>) -> Option<u64> {
    let mut at = 0;
    let mut area = 0_u64;
    let mut least = base; // the first start that does not touch the run before
    loop {
        let (start, after) = number(text, at)?;
        if text.get(after) != Some(&b' ') {
            return None;
        }
        let (length, after) = number(text, after + 1)?;
        // At most eight digits each, so that nothing wraps.
        let end = start.wrapping_add(length);
        if start < least || length == 0 || end.wrapping_sub(base) > pixels {
            return None;
        }
        starts.push(start.wrapping_sub(base));
        lengths.push(length);
        area += u64::from(length);
        least = end.wrapping_add(1);
        match text.get(after) {
            None => return Some(area),
            Some(b' ') => at = after + 1,
            Some(_) => return None,
        }
    }
}

/// The careful way: any spacing, any order, and the first flaw by name. Runs as half-open stretches from pixel 0.
fn pairs(text: &[u8], (height, pixels): (u32, u32), rules: Rules) -> Result<(Vec<(u32, u32)>, Mask), Flaw> {
    if looks_like_coco(text) {
        let detail = "looks like a COCO compressed string; if the whole file is so, give --rle-format coco";
        return flaw(Reason::RleCocoString, 0, detail);
    }
    let mut mask = Mask::default();
    let mut runs = Vec::new();
    let mut open: Option<(i128, usize)> = None;
    let mut at = 0;
    while at < text.len() {
        let gap = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let ends = at + gap == text.len();
        mask.whitespace |= gap > 0 && (gap > 1 || at == 0 || ends || text[at] != b' ');
        at += gap;
        if ends {
            break;
        }
        let (value, after) = signed(text, at)?;
        match open.take() {
            None => {
                check_start(value, at, rules.base)?;
                open = Some((value, at));
            }
            Some((start, _)) if value < 0 => {
                return flaw(Reason::RleNegative, at, format!("the run at {start} has the length {value}"));
            }
            Some(_) if value == 0 => mask.zero_length = true,
            Some((start, start_at)) => {
                let first = start - i128::from(rules.base);
                let mut end = first + value;
                let over = end - i128::from(pixels);
                if over > 0 {
                    if !rules.clip || over > i128::from(height) || first >= i128::from(pixels) {
                        return overrun(start_at, (start, value), (first, over), pixels);
                    }
                    mask.clipped += over as u64;
                    end -= over;
                }
                // Both lie within the image by now, whose pixels fit u32.
                runs.push((first as u32, end as u32));
            }
        }
        at = after;
    }
    if let Some((start, start_at)) = open {
        let count = 2 * runs.len() + 1;
        return flaw(Reason::RleOdd, start_at, format!("{count} or more numbers, an odd count: {start} has no length"));
    }
    Ok((runs, mask))
}

fn check_start(value: i128, at: usize, base: u32) -> Result<(), Flaw> {
    if value < 0 {
        return flaw(Reason::RleNegative, at, format!("a run starts at {value}"));
    }
    if value < i128::from(base) {
        let detail = "a run starts at 0 where the first pixel is 1; if the whole file counts from 0, give --rle-base 0";
        return flaw(Reason::RleZeroStart, at, detail);
    }
    Ok(())
}

fn overrun<T>(at: usize, run: (i128, i128), (first, over): (i128, i128), pixels: u32) -> Result<T, Flaw> {
    let (start, length) = run;
    // Swapping Height and Width cannot help: the product, which is all that counts here, stays the same.
    let detail = if first >= i128::from(pixels) {
        format!(
            "the run {start} {length} begins after the last of {pixels} pixels: Height or Width is wrong, or the mask is of another image"
        )
    } else {
        format!("the run {start} {length} ends {over} after the last of {pixels} pixels; --clip cuts up to a column")
    };
    flaw(Reason::RleOverrun, at, detail)
}

/// A whole number with an optional minus sign, which a space or the end follows.
fn signed(text: &[u8], at: usize) -> Result<(i128, usize), Flaw> {
    let negative = text[at] == b'-';
    let first = at + usize::from(negative);
    let count = text[first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let after = first + count;
    if let Some(byte) = text.get(after).filter(|byte| count == 0 || !byte.is_ascii_whitespace()) {
        return flaw(Reason::RleBadChar, after, format!("the character {:?} in a mask", char::from(*byte)));
    }
    if count == 0 {
        return flaw(Reason::RleBadChar, at, "a minus sign alone in a mask");
    }
    let value = std::str::from_utf8(&text[first..after]).ok().and_then(|digits| digits.parse::<u32>().ok());
    match value {
        Some(value) => Ok((if negative { -i128::from(value) } else { i128::from(value) }, after)),
        None => flaw(Reason::RleNumber, at, format!("a number of {count} digits, beyond any pixel")),
    }
}

/// Whether a field can only be a COCO compressed string: one word of its 48 characters, and not a number.
fn looks_like_coco(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.len() > 1 && text.iter().all(|byte| (48..=111).contains(byte)) && !text.iter().all(u8::is_ascii_digit)
}

/// Decodes COCO's compressed string: counts of background and mask in turn, each written as the difference from the count
/// two before it (from the fourth on), five bits a character, lowest first.
fn coco(text: &[u8], pixels: u32) -> Result<Vec<(u32, u32)>, Flaw> {
    let mut counts: Vec<i64> = Vec::new();
    let mut runs = Vec::new();
    let (mut edge, mut at) = (0_i64, 0);
    while at < text.len() {
        let begins = at;
        let (mut value, mut shift) = (0_i64, 0_u32);
        loop {
            let Some(byte) = text.get(at) else {
                return flaw(Reason::RleBadChar, begins, "the COCO string ends within a number");
            };
            if !(48..=111).contains(byte) {
                let detail = format!("the character {:?} in a COCO string", char::from(*byte));
                return flaw(Reason::RleBadChar, at, detail);
            }
            if shift > 35 {
                return flaw(Reason::RleNumber, begins, "a number beyond any pixel in a COCO string");
            }
            let six = i64::from(byte - 48);
            value |= (six & 0x1f) << shift;
            shift += 5;
            at += 1;
            if six & 0x20 == 0 {
                if six & 0x10 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
        }
        if counts.len() > 2 {
            value += counts[counts.len() - 2];
        }
        if value < 0 {
            return flaw(Reason::RleNegative, begins, format!("a run of length {value} in a COCO string"));
        }
        let start = edge;
        edge += value;
        if edge > i64::from(pixels) {
            return flaw(Reason::RleOverrun, begins, format!("a run ends after the last of {pixels} pixels"));
        }
        if counts.len() % 2 == 1 && value > 0 {
            // Within the image, whose pixels fit u32.
            runs.push((start as u32, edge as u32));
        }
        counts.push(value);
    }
    Ok(runs)
}

/// Sorts, joins what touches or overlaps, and appends.
fn canonicalise(mut runs: Vec<(u32, u32)>, mask: &mut Mask, starts: &mut Vec<u32>, lengths: &mut Vec<u32>) {
    if !runs.is_sorted() {
        mask.unsorted = true;
        runs.sort_unstable();
    }
    let mut runs = runs.into_iter();
    let Some((mut first, mut end)) = runs.next() else { return };
    let mut append = |first: u32, end: u32| {
        starts.push(first);
        lengths.push(end - first);
        mask.area += u64::from(end - first);
    };
    for (next, next_end) in runs {
        if next <= end {
            mask.self_overlap |= next < end;
            end = end.max(next_end);
        } else {
            append(first, end);
            (first, end) = (next, next_end);
        }
    }
    append(first, end);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Rules = Rules { format: Format::Kaggle, base: 1, clip: false };

    fn spans(text: &str, size: (u32, u32), rules: Rules) -> Result<(Vec<u32>, Vec<u32>, Mask), Reason> {
        let (mut starts, mut lengths) = (Vec::new(), Vec::new());
        match parse(text.as_bytes(), size, rules, &mut starts, &mut lengths) {
            Ok(mask) => Ok((starts, lengths, mask)),
            Err(flaw) => {
                assert!(starts.is_empty() && lengths.is_empty());
                Err(flaw.reason)
            }
        }
    }

    #[test]
    fn numbers_of_one_to_eight_digits_are_read_from_one_word() {
        for value in [0, 7, 10, 99, 123, 4567, 89012, 345_678, 9_012_345, 67_890_123, 99_999_999_u32] {
            let text = format!("{value} 12345678");
            assert_eq!(number(text.as_bytes(), 0), Some((value, value.to_string().len())));
            assert_eq!(number(value.to_string().as_bytes(), 0).unwrap().0, value);
        }
        assert_eq!(number(b"", 0), None);
        for other in [b'/', b':', b'-', b'x', 0, 0x80, 0xff] {
            assert_eq!(number(&[b'4', b'2', other, b'1', b'1', b'1', b'1', b'1', b'1'], 0), Some((42, 2)), "{other}");
        }
    }

    #[test]
    fn the_example_of_the_competition_is_read_as_it_says() {
        let (starts, lengths, mask) = spans("1 3 10 5", (10, 2), PLAIN).unwrap();
        assert_eq!((starts, lengths, mask.area), (vec![0, 9], vec![3, 5], 8));
    }

    #[test]
    fn a_coco_string_decodes_to_its_counts() {
        // Counts 3 2 4 1 (background first) in an image of 10 pixels: 3, 2, 4, then 1 - 2 = -1.
        let rules = Rules { format: Format::Coco, ..PLAIN };
        let (starts, lengths, _) = spans("324O", (5, 2), rules).unwrap();
        assert_eq!((starts, lengths), (vec![3, 9], vec![2, 1]));
        assert_eq!(spans("32`", (5, 2), rules), Err(Reason::RleBadChar));
        assert_eq!(spans("3O", (5, 2), rules), Err(Reason::RleNegative));
        assert_eq!(spans("39", (5, 2), rules), Err(Reason::RleOverrun));
    }

    proptest! {
        #[test]
        fn the_fast_and_the_careful_way_agree(gaps in prop::collection::vec((1_u32..60_000, 1_u32..60_000), 1..60)) {
            let (mut edge, mut text) = (0_u32, Vec::new());
            for (gap, length) in &gaps {
                text.push(format!("{} {length}", edge + gap + 1));
                edge += gap + length;
            }
            let text = text.join(" ");
            let (mut fast, mut fast_lengths) = (Vec::new(), Vec::new());
            let area = canonical(text.as_bytes(), edge, 1, &mut fast, &mut fast_lengths).unwrap();
            let (runs, mut mask) = pairs(text.as_bytes(), (1, edge), PLAIN).unwrap();
            let (mut careful, mut careful_lengths) = (Vec::new(), Vec::new());
            canonicalise(runs, &mut mask, &mut careful, &mut careful_lengths);
            prop_assert_eq!((fast, fast_lengths, area), (careful, careful_lengths, mask.area));
            prop_assert_eq!(Mask { area: 0, ..mask }, Mask::default());
        }

        #[test]
        fn no_bytes_make_it_fail_otherwise_than_by_a_reason(text in prop::collection::vec(prop::sample::select(b"0123456789 \t-,x\0\xff".to_vec()), 0..40)) {
            for format in [Format::Kaggle, Format::Coco] {
                let (mut starts, mut lengths) = (Vec::new(), Vec::new());
                let rules = Rules { format, base: 1, clip: true };
                if parse(&text, (100, 100), rules, &mut starts, &mut lengths).is_ok() {
                    let ends: Vec<u32> = starts.iter().zip(&lengths).map(|(start, length)| start + length).collect();
                    prop_assert!(ends.last().is_none_or(|end| *end <= 10_000));
                    prop_assert!(ends.iter().zip(starts.iter().skip(1)).all(|(end, next)| end < next));
                } else {
                    prop_assert!(starts.is_empty() && lengths.is_empty());
                }
            }
        }
    }
}
