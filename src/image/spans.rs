//! The algebra of spans: masks of one image merged on the line of its pixels, without ever painting a raster. Pixels are
//! counted from 0 in the order of the source, which is column-major: x = pixel / height, y = pixel % height.
//! Must not know classes, policies or files: a layer has a value, and the caller says which layer lies on top.
//!
//! Laying one list of spans over another is associative, so k layers are merged as a balanced tree: each span is touched
//! about log2(k) times, and 300 layers cost three times as much a span as 7 do.

/// What a pixel holds where no layer covers it.
pub const BACKGROUND: u8 = 0;
/// What a pixel holds where layers of different values meet, if the caller wishes so.
pub const VOID: u8 = 255;

/// One mask: the spans of one value.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// First pixel of each span, ascending.
    pub starts: &'a [u32],
    /// Pixels of each span, at least 1; as many as `starts`. Spans are disjoint and end within the image.
    pub lengths: &'a [u32],
    /// What the layer paints, 1–254.
    pub value: u8,
}

/// What a pixel becomes where layers of different values meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The value of the layer on top.
    Top,
    /// [`VOID`].
    Void,
}

/// How many pixels came to hold what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Pixels of each value, indexed by the value; they add up to the image.
    pub pixels: [u64; 256],
    /// Pixels that layers of different values claim, whatever became of them.
    pub contested: u64,
}

/// A layer whose spans do not ascend, meet one another, or leave the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the spans of a mask do not ascend, overlap, or leave the image")]
pub struct NotCanonical;

/// A covered stretch between two pixels.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u32,
    end: u32,
    value: u8,
    contested: bool,
}

/// Merges layers; its buffers are used again from image to image.
#[derive(Debug, Default)]
pub struct Merger {
    from: Vec<Stretch>,
    into: Vec<Stretch>,
    bounds: Vec<usize>,
}

impl Merger {
    /// Merges the layers of an image of `pixels` pixels, the topmost first. Appends to `values` and `lengths` spans that
    /// cover every pixel, neighbours differing.
    pub fn merge<'a>(
        &mut self,
        layers: impl IntoIterator<Item = Layer<'a>>,
        pixels: u32,
        conflict: Conflict,
        values: &mut Vec<u8>,
        lengths: &mut Vec<u32>,
    ) -> Result<Coverage, NotCanonical> {
        self.from.clear();
        self.bounds.clear();
        for layer in layers {
            self.bounds.push(self.from.len());
            append(layer, pixels, &mut self.from)?;
        }
        self.bounds.push(self.from.len());
        while self.bounds.len() > 2 {
            self.halve();
        }
        Ok(cover(&self.from, pixels, conflict, values, lengths))
    }

    /// Lays each odd list over the even one below it.
    fn halve(&mut self) {
        self.into.clear();
        let lists = self.bounds.len() - 1;
        for pair in 0..lists.div_ceil(2) {
            let top = 2 * pair;
            let start = self.into.len();
            let upper = &self.from[self.bounds[top]..self.bounds[top + 1]];
            if top + 1 < lists {
                over(upper, &self.from[self.bounds[top + 1]..self.bounds[top + 2]], &mut self.into);
            } else {
                self.into.extend_from_slice(upper);
            }
            // Lists `top` and later are not read from the front of `bounds` again.
            self.bounds[pair] = start;
        }
        self.bounds.truncate(lists.div_ceil(2));
        self.bounds.push(self.into.len());
        std::mem::swap(&mut self.from, &mut self.into);
    }
}

/// The stretches of one layer.
fn append(layer: Layer<'_>, pixels: u32, list: &mut Vec<Stretch>) -> Result<(), NotCanonical> {
    if layer.starts.len() != layer.lengths.len() {
        return Err(NotCanonical);
    }
    let mut edge = 0;
    let mut sound = true;
    list.extend(layer.starts.iter().zip(layer.lengths).map(|(&start, &length)| {
        let end = start.wrapping_add(length);
        sound &= start >= edge && end > start;
        edge = end;
        Stretch { start, end, value: layer.value, contested: false }
    }));
    if sound && edge <= pixels { Ok(()) } else { Err(NotCanonical) }
}

/// Appends a stretch, made one with the last where both are alike and touch.
#[inline]
fn push(list: &mut Vec<Stretch>, first: usize, next: Stretch) {
    if list.len() > first
        && let Some(last) = list.last_mut()
        && last.end == next.start
        && last.value == next.value
        && last.contested == next.contested
    {
        last.end = next.end;
        return;
    }
    list.push(next);
}

/// Lays `upper` over `lower`: where both cover, the upper value stays, and the stretch is contested when they differ.
fn over(upper: &[Stretch], lower: &[Stretch], list: &mut Vec<Stretch>) {
    let first = list.len();
    let (mut i, mut j) = (0, 0);
    let (Some(&(mut u)), Some(&(mut l))) = (upper.first(), lower.first()) else {
        list.extend_from_slice(upper);
        list.extend_from_slice(lower);
        return;
    };
    loop {
        if u.end <= l.start {
            push(list, first, u);
            i += 1;
            match upper.get(i) {
                Some(&next) => u = next,
                None => break,
            }
            continue;
        }
        if l.end <= u.start {
            push(list, first, l);
            j += 1;
            match lower.get(j) {
                Some(&next) => l = next,
                None => break,
            }
            continue;
        }
        if u.start < l.start {
            push(list, first, Stretch { end: l.start, ..u });
            u.start = l.start;
        } else if l.start < u.start {
            push(list, first, Stretch { end: u.start, ..l });
            l.start = u.start;
        }
        let end = u.end.min(l.end);
        let contested = u.contested | l.contested | (u.value != l.value);
        push(list, first, Stretch { start: u.start, end, value: u.value, contested });
        (u.start, l.start) = (end, end);
        let (upper_done, lower_done) = (u.end == end, l.end == end);
        if upper_done {
            i += 1;
            if let Some(&next) = upper.get(i) {
                u = next;
            }
        }
        if lower_done {
            j += 1;
            if let Some(&next) = lower.get(j) {
                l = next;
            }
        }
        if i == upper.len() || j == lower.len() {
            break;
        }
    }
    // What is left of the list that did not end; its first stretch may have been cut.
    if i < upper.len() {
        push(list, first, u);
        list.extend_from_slice(&upper[i + 1..]);
    }
    if j < lower.len() {
        push(list, first, l);
        list.extend_from_slice(&lower[j + 1..]);
    }
}

/// Fills the gaps with background, joins equal neighbours, and counts.
fn cover(list: &[Stretch], pixels: u32, conflict: Conflict, values: &mut Vec<u8>, lengths: &mut Vec<u32>) -> Coverage {
    let mut coverage = Coverage { pixels: [0; 256], contested: 0 };
    let first = values.len();
    let mut emit = |value: u8, length: u32| {
        coverage.pixels[value as usize] += u64::from(length);
        match (values.last(), lengths.last_mut()) {
            (Some(&last), Some(sum)) if last == value && values.len() > first => *sum += length,
            _ => {
                values.push(value);
                lengths.push(length);
            }
        }
    };
    let mut edge = 0;
    for stretch in list {
        if stretch.start > edge {
            emit(BACKGROUND, stretch.start - edge);
        }
        let length = stretch.end - stretch.start;
        coverage.contested += u64::from(stretch.contested) * u64::from(length);
        let value = if stretch.contested && conflict == Conflict::Void { VOID } else { stretch.value };
        emit(value, length);
        edge = stretch.end;
    }
    if edge < pixels {
        emit(BACKGROUND, pixels - edge);
    }
    coverage
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn merge(layers: &[Layer<'_>], pixels: u32, conflict: Conflict) -> (Vec<u8>, Vec<u32>, Coverage) {
        let (mut values, mut lengths) = (Vec::new(), Vec::new());
        let coverage =
            Merger::default().merge(layers.iter().copied(), pixels, conflict, &mut values, &mut lengths).unwrap();
        (values, lengths, coverage)
    }

    #[test]
    fn the_upper_layer_hides_the_lower_one() {
        let layers =
            [Layer { starts: &[4], lengths: &[2], value: 7 }, Layer { starts: &[2, 9], lengths: &[5, 1], value: 3 }];
        let (values, lengths, coverage) = merge(&layers, 10, Conflict::Top);
        assert_eq!((values, lengths), (vec![0, 3, 7, 3, 0, 3], vec![2, 2, 2, 1, 2, 1]));
        assert_eq!((coverage.pixels[3], coverage.pixels[7], coverage.contested), (4, 2, 2));
        let (values, _, coverage) = merge(&layers, 10, Conflict::Void);
        assert_eq!(values, [0, 3, 255, 3, 0, 3]);
        assert_eq!(coverage.contested, 2);
    }

    #[test]
    fn layers_of_one_value_do_not_contest() {
        let layer = Layer { starts: &[0], lengths: &[4], value: 1 };
        let (values, lengths, coverage) = merge(&[layer, layer], 4, Conflict::Void);
        assert_eq!((values, lengths, coverage.contested), (vec![1], vec![4], 0));
    }

    #[test]
    fn no_layer_is_all_background() {
        assert_eq!(merge(&[], 6, Conflict::Top).1, [6]);
    }

    #[test]
    fn spans_that_leave_the_image_or_do_not_ascend_are_refused() {
        for (starts, lengths) in
            [(vec![5], vec![6]), (vec![3, 1], vec![1, 1]), (vec![1, 2], vec![2, 1]), (vec![u32::MAX], vec![1])]
        {
            let layer = Layer { starts: &starts, lengths: &lengths, value: 1 };
            let refused = Merger::default().merge([layer], 10, Conflict::Top, &mut Vec::new(), &mut Vec::new());
            assert_eq!(refused, Err(NotCanonical), "{starts:?} {lengths:?}");
        }
    }
}
