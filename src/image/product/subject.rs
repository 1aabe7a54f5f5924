//! Where the subject is in its picture. Must not know what is made of it.

use super::super::Cutout;

/// Alpha from which a pixel is the subject's: 6 %. Networks leave haze of one to a few levels anywhere in a picture, which
/// nobody sees and which must not widen the box.
pub(super) const LEVEL: u8 = 16;
/// Alpha up to which a pixel is nothing where a background is laid under: on white it would be an off-white that nobody sees
/// and every checker finds.
pub(super) const FAINT: u8 = 3;

/// A rectangle of pixels; `right` and `bottom` are the first beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) right: u32,
    pub(super) bottom: u32,
}

impl Area {
    pub(super) fn width(&self) -> u32 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// The area with so many more pixels on each side, within a picture of a size.
    pub(super) fn grown(&self, by: u32, (width, height): (u32, u32)) -> Self {
        Self {
            left: self.left.saturating_sub(by),
            top: self.top.saturating_sub(by),
            right: self.right.saturating_add(by).min(width),
            bottom: self.bottom.saturating_add(by).min(height),
        }
    }
}

/// The smallest area that holds every pixel of the subject; `None` where there is none.
pub(super) fn find(cutout: &Cutout) -> Option<Area> {
    let (pixels, _) = cutout.rgba.as_chunks::<4>();
    let width = cutout.width as usize;
    let shows = |pixel: &[u8; 4]| pixel[3] >= LEVEL;
    let mut found: Option<Area> = None;
    for (y, row) in (0_u32..).zip(pixels.chunks_exact(width.max(1))) {
        let Some(first) = row.iter().position(shows) else { continue };
        let last = row.iter().rposition(shows).unwrap_or(first);
        let (left, right) = (first as u32, last as u32 + 1);
        let area = found.get_or_insert(Area { left, top: y, right, bottom: y + 1 });
        *area = Area { left: area.left.min(left), right: area.right.max(right), bottom: y + 1, ..*area };
    }
    found
}

/// On how many pixels of each border (left, top, right, bottom) of its picture the subject lies at least by half: there it
/// goes on beyond the picture.
pub(super) fn at_borders(cutout: &Cutout) -> [usize; 4] {
    let (pixels, _) = cutout.rgba.as_chunks::<4>();
    let half = |pixel: &[u8; 4]| pixel[3] >= 128;
    let mut found = [0; 4];
    let mut rows = pixels.chunks_exact((cutout.width as usize).max(1));
    for row in rows.clone() {
        found[0] += usize::from(row.first().is_some_and(half));
        found[2] += usize::from(row.last().is_some_and(half));
    }
    let count = |row: Option<&[[u8; 4]]>| row.unwrap_or_default().iter().filter(|pixel| half(pixel)).count();
    found[3] = count(rows.clone().next_back());
    found[1] = count(rows.next());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haze_does_not_widen_the_subject() {
        let mut cutout = Cutout { width: 20, height: 10, rgba: vec![0; 800] };
        for (index, pixel) in cutout.rgba.chunks_exact_mut(4).enumerate() {
            pixel[3] = (index % 3) as u8;
        }
        assert_eq!(find(&cutout), None);
        for (x, y) in [(5, 2), (11, 2), (7, 6)] {
            cutout.rgba[(y * 20 + x) * 4 + 3] = LEVEL;
        }
        assert_eq!(find(&cutout), Some(Area { left: 5, top: 2, right: 12, bottom: 7 }));
    }

    #[test]
    fn a_subject_that_leaves_the_picture_is_seen_at_its_borders() {
        let mut cutout = Cutout { width: 6, height: 5, rgba: vec![0; 120] };
        for index in [26, 27, 28, 6, 12] {
            cutout.rgba[index * 4 + 3] = 255;
        }
        assert_eq!(at_borders(&cutout), [2, 0, 0, 3]);
        assert_eq!(at_borders(&Cutout { width: 0, height: 0, rgba: Vec::new() }), [0; 4]);
    }
}
