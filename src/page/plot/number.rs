//! Numbers as people read them: groups of three, few digits, a real minus. Must not know what they count.

use serde_json::Number;

/// Between groups of digits: a thin space at which no line ends.
const THIN: char = '\u{202f}';
/// Digits of a fraction in a table, and at a mark.
const TABLE_DIGITS: i32 = 6;
const MARK_DIGITS: i32 = 4;
const UNITS: [(f64, &str); 4] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")];

/// A number of a table: a whole one as it is, another one to six digits.
pub(in super::super) fn exact(number: &Number) -> String {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(whole), _, _) => grouped(&whole.to_string()),
        (_, Some(whole), _) => grouped(&whole.to_string()),
        (_, _, Some(value)) => rounded(value, TABLE_DIGITS),
        _ => number.to_string(),
    }
}

/// How many there are.
pub(in super::super) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// A number at a mark: short, whole ones below a million as they are.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e6 {
        return grouped(&format!("{value:.0}"));
    }
    if (1e6..1e18).contains(&size) {
        let (unit, letter) = UNITS.into_iter().find(|(unit, _)| size >= *unit).unwrap_or((1e6, "M"));
        return format!("{}{THIN}{letter}", rounded(value / unit, MARK_DIGITS));
    }
    rounded(value, MARK_DIGITS)
}

/// A share of 100 as percent: `67 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent > 0.0 && percent < 0.1 {
        true => format!("<0.1{THIN}%"),
        false if percent < 9.95 => format!("{}{THIN}%", trimmed(&format!("{percent:.1}"))),
        false => format!("{percent:.0}{THIN}%"),
    }
}

/// A value to some digits, of which none before the point is lost.
fn rounded(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return "—".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e15).contains(&size) {
        let text = format!("{value:.3e}");
        let (number, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{}", grouped(trimmed(number)), power.replace('-', "\u{2212}"));
    }
    let decimals = (digits - 1 - size.log10().floor() as i32).clamp(0, 9) as usize;
    grouped(trimmed(&format!("{value:.decimals$}")))
}

/// Without the noughts that end a fraction.
fn trimmed(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// With a thin space between thousands, and a minus sign in place of the hyphen.
pub(super) fn grouped(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = String::from(if digits.chars().all(|digit| matches!(digit, '0' | '.')) { "" } else { sign });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text + fraction
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_table_keep_what_people_need() {
        for (number, wanted) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("999", "999"),
            ("1000", "1_000"),
            ("-1234567", "−1_234_567"),
            ("18446744073709551615", "18_446_744_073_709_551_615"),
            ("0.30000000000000004", "0.3"),
            ("0.04963", "0.04963"),
            ("1234567.8", "1_234_568"),
            ("333401.25", "333_401"),
            ("0.00001234", "1.234e−5"),
            ("1e300", "1e300"),
            ("-2.5", "−2.5"),
        ] {
            let number: Number = serde_json::from_str(number).unwrap();
            assert_eq!(exact(&number), wanted.replace('_', "\u{202f}"));
        }
    }

    #[test]
    fn numbers_at_a_mark_are_short() {
        for (value, wanted) in [
            (0.0, "0"),
            (333_401.0, "333_401"),
            (12_345_678.0, "12.35_M"),
            (1.234_567_8e12, "1.235_T"),
            (0.281_234, "0.2812"),
            (-12.0, "−12"),
            (1e300, "1e300"),
            (f64::NAN, "—"),
        ] {
            assert_eq!(short(value), wanted.replace('_', "\u{202f}"));
        }
        for value in [f64::MAX, -1.234_567_89e17, 999_999.0, -0.000_123_456, 5e-324] {
            assert!(short(value).chars().count() <= 11, "{}", short(value));
        }
    }

    #[test]
    fn shares_are_percents_that_do_not_hide_the_small_ones() {
        let texts = [0.0, 0.0004, 0.004, 0.0996, 0.67, 1.0].map(percent);
        assert_eq!(texts.map(|text| text.replace('\u{202f}', "")), ["0%", "<0.1%", "0.4%", "10%", "67%", "100%"]);
    }
}
