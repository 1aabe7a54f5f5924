//! Which pixels of a matte are open: the band that is not settled, as planes of flags. Must not know the photo.

/// Where a matte (0 to 1, rows of `width`) is not settled: between `low` and `1 - low`, or beside a step of more than
/// `step`; but never where it differs by less than `flat` from all its neighbours.
pub(super) fn unsettled(alpha: &[f32], width: usize, low: f32, step: f32, flat: f32) -> Vec<bool> {
    let mut open = vec![false; alpha.len()];
    let (mut least, mut most) = (vec![0.0_f32; width + 2], vec![0.0_f32; width + 2]);
    for (y, open) in open.chunks_exact_mut(width).enumerate() {
        let [above, here, below] = around(alpha, width, y);
        let rows = above.iter().zip(here).zip(below);
        for (((least, most), ((above, here), below)), _) in
            least[1..].iter_mut().zip(&mut most[1..]).zip(rows).zip(0..width)
        {
            *least = above.min(*here).min(*below);
            *most = above.max(*here).max(*below);
        }
        for row in [&mut least, &mut most] {
            (row[0], row[width + 1]) = (row[1], row[width]);
        }
        let least = least.iter().zip(&least[1..]).zip(&least[2..]);
        let most = most.iter().zip(&most[1..]).zip(&most[2..]);
        for (((open, here), ((l0, l1), l2)), ((m0, m1), m2)) in open.iter_mut().zip(here).zip(least).zip(most) {
            let range = m0.max(*m1).max(*m2) - l0.min(*l1).min(*l2);
            *open = ((*here > low) & (*here < 1.0 - low) | (range > step)) & (range >= flat);
        }
    }
    open
}

/// The open pixels and the eight around each.
pub(super) fn widened(open: &[bool], width: usize) -> Vec<bool> {
    let mut wider = vec![false; open.len()];
    let mut any = vec![false; width + 2];
    for (y, wider) in wider.chunks_exact_mut(width).enumerate() {
        let [above, here, below] = around(open, width, y);
        for (any, ((above, here), below)) in any[1..=width].iter_mut().zip(above.iter().zip(here).zip(below)) {
            *any = above | here | below;
        }
        for (wider, ((before, here), after)) in wider.iter_mut().zip(any.iter().zip(&any[1..]).zip(&any[2..])) {
            *wider = before | here | after;
        }
    }
    wider
}

/// A row and the rows above and below; at the border the row itself.
fn around<T>(plane: &[T], width: usize, y: usize) -> [&[T]; 3] {
    let last = (plane.len() / width).saturating_sub(1);
    [y.saturating_sub(1), y, (y + 1).min(last)].map(|row| &plane[row * width..][..width])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_slopes_are_open_and_plateaus_are_not() {
        let alpha =
            [[0.0, 0.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.7], [0.0, 0.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.7]].concat();
        let open = unsettled(&alpha, 9, 0.05, 0.5, 0.02);
        assert_eq!(open[..9], [false, true, true, false, false, true, false, false, false]);
        assert_eq!(open[..9], open[9..]);
    }

    #[test]
    fn widening_goes_one_pixel_in_all_directions_and_stops_at_the_border() {
        let mut open = [false; 15];
        open[0] = true;
        open[8] = true;
        let wider = widened(&open, 5);
        let at: Vec<usize> = (0..15).filter(|at| wider[*at]).collect();
        assert_eq!(at, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14]);
        assert_eq!(widened(&[true], 1), [true]);
    }
}
