//! The header of a CSV against the contract: which column is where, by name and never by position. Pure; must not know
//! how the bytes came.

use crate::stage::Error;

/// The columns of 2020, in their order; those of 2019 are the first five.
pub(super) const COLUMNS: [&str; 6] = ["ImageId", "EncodedPixels", "Height", "Width", "ClassId", "AttributesIds"];
/// Index of each in [`COLUMNS`].
pub(super) const IMAGE: usize = 0;
pub(super) const PIXELS: usize = 1;
pub(super) const HEIGHT: usize = 2;
pub(super) const WIDTH: usize = 3;
pub(super) const CLASS: usize = 4;
pub(super) const ATTRIBUTES: usize = 5;

/// Where the columns are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The field of each of [`COLUMNS`]; the file of 2019 has no attributes of its own.
    pub(super) fields: [Option<usize>; 6],
    /// How many fields a row has.
    pub(super) width: usize,
    /// What parts the fields.
    pub(super) delimiter: u8,
    /// What was odd but could be used: a code for the manifest, and the words.
    pub(super) notes: Vec<(&'static str, String)>,
}

impl Header {
    /// The field of a column that every file has.
    pub(super) fn field(&self, column: usize) -> usize {
        self.fields[column].unwrap_or(usize::MAX)
    }
}

/// Binds the header line of the file called `name`. A bad header is an error of the whole file.
pub(super) fn bind(line: &[u8], delimiter: u8, strict: bool, name: &str) -> Result<Header, Error> {
    let mut notes = Vec::new();
    let line = match line.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => {
            notes.push(("byte_order_mark", format!("{name}: byte order mark before the header removed")));
            rest
        }
        None => line,
    };
    let Ok(text) = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)) else {
        return Err(Error::Failed(format!("{name}: the header is not UTF-8; convert the file to UTF-8")));
    };
    let raw: Vec<&str> = text.split(char::from(delimiter)).map(|field| field.trim_matches('"')).collect();
    let names: Vec<&str> = raw.iter().map(|field| field.trim()).collect();
    if raw != names {
        notes.push(("spaces", format!("{name}: spaces around header names removed")));
    }
    let mut fields = [None; 6];
    for (column, wanted) in COLUMNS.iter().enumerate() {
        let mut exact = names.iter().enumerate().filter(|(_, found)| *found == wanted);
        fields[column] = exact.next().map(|(index, _)| index);
        if exact.next().is_some() {
            return Err(Error::Failed(format!("{name}: the column {wanted} is there twice; remove one")));
        }
        if fields[column].is_none() {
            let mut alike = names.iter().enumerate().filter(|(_, found)| found.eq_ignore_ascii_case(wanted));
            if let (Some((index, found)), None) = (alike.next(), alike.next()) {
                notes.push(("case", format!("{name}: the column {found} taken for {wanted}")));
                fields[column] = Some(index);
            }
        }
    }
    missing(&fields, &names, text, delimiter, name)?;
    if fields[ATTRIBUTES].is_none() {
        notes.push(("dialect_2019", format!("{name}: no column AttributesIds, read as the form of 2019")));
    }
    let bound: Vec<usize> = fields.iter().flatten().copied().collect();
    if !bound.is_sorted() {
        notes.push((
            "reordered",
            format!("{name}: the columns are in another order ({}); bound by name", names.join(", ")),
        ));
    }
    let extra: Vec<&str> =
        names.iter().enumerate().filter(|(index, _)| !bound.contains(index)).map(|(_, name)| *name).collect();
    if !extra.is_empty() {
        let text = format!("{name}: unknown column {}", extra.join(", "));
        if strict {
            return Err(Error::Failed(format!("{text}; remove it, or leave --strict out")));
        }
        notes.push(("unknown_column", format!("{text}: ignored")));
    }
    Ok(Header { fields, width: names.len(), delimiter, notes })
}

/// Refuses a header without a column that must be there, and says what is most likely wrong.
fn missing(fields: &[Option<usize>; 6], names: &[&str], text: &str, delimiter: u8, name: &str) -> Result<(), Error> {
    let missing: Vec<&str> = (0..ATTRIBUTES).filter(|column| fields[*column].is_none()).map(|c| COLUMNS[c]).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let shown: String = text.chars().take(200).collect();
    if missing.len() == ATTRIBUTES {
        let other = [b',', b';', b'\t', b'|'].into_iter().find(|other| {
            *other != delimiter
                && text.split(char::from(*other)).filter(|field| COLUMNS.contains(&field.trim())).count() > 1
        });
        if let Some(other) = other {
            let (found, expected) = (shown_byte(other), shown_byte(delimiter));
            return Err(Error::Failed(format!(
                "{name}: found {found} between the columns, expected {expected}; give --delimiter '{found}' if that is right"
            )));
        }
        return Err(Error::Failed(format!(
            "{name}: the header is missing: the first line is {shown:?}, expected the columns {}",
            COLUMNS.join(",")
        )));
    }
    let near = names
        .iter()
        .filter(|found| !COLUMNS.contains(found))
        .map(|found| (strsim::levenshtein(&found.to_lowercase(), &first.to_lowercase()), found))
        .min();
    let hint = match near {
        Some((distance, found)) if distance <= 3 => format!("; the nearest found is {found:?}"),
        _ => String::new(),
    };
    Err(Error::Failed(format!(
        "{name}: the column {} is missing{hint}; found {}, expected {}",
        missing.join(", "),
        names.join(","),
        COLUMNS.join(",")
    )))
}

fn shown_byte(byte: u8) -> String {
    if byte == b'\t' { "\\t".to_owned() } else { char::from(byte).to_string() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_bound_by_name() {
        let header = bind(b"ClassId,Width,ImageId,Height,Extra,EncodedPixels,AttributesIds", b',', false, "a").unwrap();
        assert_eq!(header.fields, [Some(2), Some(5), Some(3), Some(1), Some(0), Some(6)]);
        assert_eq!((header.width, header.notes.len()), (7, 2));
    }

    #[test]
    fn a_column_twice_is_refused() {
        let text =
            bind(b"ImageId,EncodedPixels,Height,Height,Width,ClassId", b',', false, "a").unwrap_err().to_string();
        assert!(text.contains("Height is there twice"), "{text}");
    }
}
