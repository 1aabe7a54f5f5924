//! The few EXIF and TIFF tags that matter: orientation, resolution, pages. Must not know which file they came from.
//!
//! Everything here comes from outside: offsets are checked, lists are bounded, and nonsense reads as absence.

/// What the first directory of a TIFF structure (an EXIF block, or a TIFF file) says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Directory {
    /// 1..=8.
    pub(super) orientation: u8,
    /// Dots per inch.
    pub(super) dpi: Option<(f32, f32)>,
    /// Whether another directory follows: in a TIFF file a page, in EXIF the thumbnail.
    pub(super) another: bool,
    /// Whether the directory says that it holds no whole picture but a preview of one, as camera raw files do.
    pub(super) preview: bool,
    /// Whether the first channel beyond the colours is alpha that they are multiplied by already.
    pub(super) premultiplied: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Reader<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let pair: [u8; 2] = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let four: [u8; 4] = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }

    /// A tag's only number: 16 bits in place, 32 bits in place.
    fn number(&self, entry: usize) -> Option<u32> {
        match self.u16(entry + 2)? {
            3 => self.u16(entry + 8).map(u32::from),
            4 => self.u32(entry + 8),
            _ => None,
        }
    }

    fn rational(&self, entry: usize) -> Option<f32> {
        if self.u16(entry + 2)? != 5 {
            return None;
        }
        let at = self.u32(entry + 8)? as usize;
        let (above, below) = (self.u32(at)?, self.u32(at.checked_add(4)?)?);
        (below != 0).then(|| (f64::from(above) / f64::from(below)) as f32)
    }
}

/// Reads the first directory; `None` where the bytes are no TIFF structure. An `Exif\0\0` in front is passed over.
pub(super) fn first_directory(bytes: &[u8]) -> Option<Directory> {
    let bytes = bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes);
    let big_endian = match bytes.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let reader = Reader { bytes, big_endian };
    let start = reader.u32(4)? as usize;
    let count = usize::from(reader.u16(start)?);
    let mut found = Directory { orientation: 1, dpi: None, another: false, preview: false, premultiplied: false };
    let (mut x, mut y, mut unit) = (None, None, 2);
    for index in 0..count {
        let entry = start + 2 + index * 12;
        let Some(tag) = reader.u16(entry) else { break };
        match tag {
            0x00fe => found.preview |= reader.number(entry).is_some_and(|kind| kind & 1 == 1),
            // ExtraSamples, of which the first stands in place.
            0x0152 => found.premultiplied = reader.u16(entry + 8) == Some(1),
            // DNGVersion: the first directory of a DNG is a preview, whatever it says of itself.
            0xc612 => found.preview = true,
            0x0112 => {
                if let Some(value @ 1..=8) = reader.number(entry) {
                    found.orientation = value as u8;
                }
            }
            0x011a => x = reader.rational(entry),
            0x011b => y = reader.rational(entry),
            0x0128 => unit = reader.number(entry).unwrap_or(2),
            _ => {}
        }
    }
    let scale = match unit {
        2 => 1.0,
        3 => 2.54,
        _ => 0.0,
    };
    found.dpi = dpi(x.unwrap_or(0.0) * scale, y.or(x).unwrap_or(0.0) * scale);
    found.another = reader.u32(start + 2 + count * 12).is_some_and(|next| next != 0);
    Some(found)
}

/// Dots per inch when both are believable.
pub(super) fn dpi(x: f32, y: f32) -> Option<(f32, f32)> {
    let believable = |value: f32| (1.0..=100_000.0).contains(&value);
    (believable(x) && believable(y)).then_some((x, y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_reads_as_absence() {
        assert_eq!(first_directory(b""), None);
        assert_eq!(first_directory(b"II*\0\xff\xff\xff\xff"), None);
        assert_eq!(first_directory(b"Exif\0\0MM\0*\0\0\0\x08\xff\xff").map(|found| found.orientation), Some(1));
    }

    #[test]
    fn orientation_is_read_in_both_byte_orders() {
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        assert_eq!(first_directory(big).map(|found| found.orientation), Some(6));
        assert_eq!(first_directory(little).map(|found| found.orientation), Some(8));
    }
}
