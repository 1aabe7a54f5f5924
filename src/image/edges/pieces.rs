//! Connected pieces of a plane: runs joined by union–find, in linear time. Must not know what is done with them.

/// Pixels of one row that hang together: columns `begin..end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Row, from the top.
    pub(super) row: usize,
    /// First column.
    pub(super) begin: usize,
    /// One past the last column.
    pub(super) end: usize,
    /// Index of its piece.
    pub(super) piece: usize,
}

/// What is known of one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    /// Sum of the levels of its pixels: 255 for each full one.
    pub(super) weight: u64,
    /// Whether it reaches the picture's border.
    pub(super) at_border: bool,
}

/// The runs of a plane in reading order, and the pieces they belong to.
#[derive(Debug)]
pub(super) struct Pieces {
    /// All runs, row by row, left to right.
    pub(super) runs: Vec<Run>,
    /// All pieces, in the order of their first runs.
    pub(super) pieces: Vec<Piece>,
}

/// Which side of a matte hangs together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The foreground: a level is alpha, and pixels that touch at a corner hang together.
    Front,
    /// The background: a level is 255 − alpha, and pixels hang together along sides only.
    Back,
}

/// Finds the pieces of pixels whose level is at least `least` (1..=255); `alpha` holds rows of `width` bytes.
pub(super) fn pieces(alpha: &[u8], width: usize, side: Side, least: u8) -> Pieces {
    let mut runs: Vec<Run> = Vec::new();
    let mut roots: Vec<usize> = Vec::new();
    let flip = if side == Side::Front { 0 } else { 255 };
    let reach = usize::from(side == Side::Front);
    let (mut above, mut above_end) = (0, 0);
    for (row, levels) in alpha.chunks_exact(width.max(1)).enumerate() {
        let first = runs.len();
        let mut at = until(levels, 0, |level| level ^ flip >= least);
        while at < width {
            let end = until(levels, at, |level| level ^ flip < least);
            let index = runs.len();
            roots.push(index);
            runs.push(Run { row, begin: at, end, piece: 0 });
            while above < above_end && runs[above].end + reach <= at {
                above += 1;
            }
            let mut touching = above;
            while touching < above_end && runs[touching].begin < end + reach {
                join(&mut roots, touching, index);
                touching += 1;
            }
            at = until(levels, end, |level| level ^ flip >= least);
        }
        (above, above_end) = (first, runs.len());
    }
    let last_row = (alpha.len() / width.max(1)).saturating_sub(1);
    let mut pieces: Vec<Piece> = Vec::new();
    for index in 0..runs.len() {
        // A root is the first of its runs, so that it has its number when the others ask for it.
        let root = root(&mut roots, index);
        let piece = if root == index {
            pieces.push(Piece::default());
            pieces.len() - 1
        } else {
            runs[root].piece
        };
        let run = &mut runs[index];
        run.piece = piece;
        let levels = &alpha[run.row * width + run.begin..run.row * width + run.end];
        let sum: u64 = levels
            .chunks(4096)
            .map(|part| u64::from(part.iter().map(|level| u32::from(level ^ flip)).sum::<u32>()))
            .sum();
        pieces[piece].weight += sum;
        pieces[piece].at_border |= run.row == 0 || run.row == last_row || run.begin == 0 || run.end == width;
    }
    Pieces { runs, pieces }
}

/// The first column from `from` on where it holds, or the end of the row; looks at many at once.
fn until(levels: &[u8], from: usize, holds: impl Fn(u8) -> bool) -> usize {
    const AT_ONCE: usize = 32;
    let mut at = from;
    while let Some(chunk) = levels.get(at..at + AT_ONCE) {
        if chunk.iter().fold(false, |any, level| any | holds(*level)) {
            break;
        }
        at += AT_ONCE;
    }
    levels[at..].iter().position(|level| holds(*level)).map_or(levels.len(), |more| at + more)
}

fn root(roots: &mut [usize], index: usize) -> usize {
    let mut at = index;
    while roots[at] != at {
        roots[at] = roots[roots[at]];
        at = roots[at];
    }
    at
}

fn join(roots: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(roots, one), root(roots, other));
    roots[one.max(other)] = one.min(other);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(rows: &[&str]) -> (Vec<u8>, usize) {
        (rows.iter().flat_map(|row| row.bytes().map(|b| if b == b'#' { 255 } else { 0 })).collect(), rows[0].len())
    }

    #[test]
    fn corners_join_the_front_and_not_the_back() {
        let (alpha, width) = plane(&["#..", ".#.", "..#"]);
        assert_eq!(pieces(&alpha, width, Side::Front, 128).pieces, [Piece { weight: 3 * 255, at_border: true }]);
        assert_eq!(pieces(&alpha, width, Side::Back, 128).pieces.len(), 2);
    }

    #[test]
    fn arms_that_meet_only_at_the_bottom_are_one_piece() {
        let (alpha, width) = plane(&["#.#.#.#", "#.#.#.#", "#.###.#", "#.....#", "#######", ".......", "...#..."]);
        let found = pieces(&alpha, width, Side::Front, 1);
        let weights: Vec<u64> = found.pieces.iter().map(|piece| piece.weight / 255).collect();
        // The outer frame with everything that reaches it, the inner cup, and the speck.
        assert_eq!(weights, [15, 7, 1]);
        assert!(found.runs.iter().all(|run| run.begin < run.end));
    }

    #[test]
    fn a_hole_does_not_touch_the_border_and_a_bay_does() {
        let (alpha, width) = plane(&["#####", "#.#.#", "###.#"]);
        let found = pieces(&alpha, width, Side::Back, 128).pieces;
        assert_eq!(found, [Piece { weight: 255, at_border: false }, Piece { weight: 510, at_border: true }]);
    }
}
