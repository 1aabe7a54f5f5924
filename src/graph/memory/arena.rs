//! ONNX Runtime's arena: regions that grow by doubling, cut into chunks, the smallest free one that is large enough taken
//! first. Must not know what lies in the chunks.

/// Chunks are multiples of this.
const GRAIN: u64 = 256;

/// A chunk less than twice as large as needed is cut only if this much would be wasted.
const MOST_WASTE: u64 = 128 << 20;

/// The first region.
const FIRST_REGION: u64 = 1 << 20;

/// Regions double up to this.
const LARGEST_DOUBLING: u64 = 1 << 30;

/// A piece of memory that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    region: usize,
    start: u64,
}

#[derive(Clone, Copy)]
struct Piece {
    start: u64,
    size: u64,
    used: bool,
}

#[derive(Default)]
struct Region {
    /// Without gaps, in order.
    pieces: Vec<Piece>,
    /// How far it was ever written.
    touched: u64,
}

#[derive(Default)]
pub(super) struct Arena {
    regions: Vec<Region>,
    /// The size of the next region, 0 before the first.
    next: u64,
}

impl Arena {
    pub(super) fn allocate(&mut self, bytes: u64) -> Chunk {
        let size = bytes.max(1).div_ceil(GRAIN).saturating_mul(GRAIN);
        let (number, at) = match self.best(size) {
            Some(found) => found,
            None => self.extend(size),
        };
        let mut chunk = Chunk { region: number, start: 0 };
        if let Some(region) = self.regions.get_mut(number)
            && let Some(piece) = region.pieces.get_mut(at)
        {
            let rest = piece.size.saturating_sub(size);
            piece.used = true;
            chunk.start = piece.start;
            let end = piece.start.saturating_add(size);
            region.touched = region.touched.max(end);
            if piece.size >= size.saturating_mul(2) || rest >= MOST_WASTE {
                piece.size = size;
                region.pieces.insert(at + 1, Piece { start: end, size: rest, used: false });
            }
        }
        chunk
    }

    pub(super) fn free(&mut self, chunk: Chunk) {
        let Some(region) = self.regions.get_mut(chunk.region) else { return };
        let Ok(mut at) = region.pieces.binary_search_by_key(&chunk.start, |piece| piece.start) else { return };
        if let Some(piece) = region.pieces.get_mut(at) {
            piece.used = false;
        }
        // With what is free behind it, then with what is free before.
        for _ in 0..2 {
            let next = region.pieces.get(at + 1).copied().filter(|piece| !piece.used);
            if let (Some(next), Some(piece)) = (next, region.pieces.get_mut(at))
                && !piece.used
            {
                piece.size = piece.size.saturating_add(next.size);
                region.pieces.remove(at + 1);
            }
            let Some(before) = at.checked_sub(1) else { return };
            at = before;
        }
    }

    /// All that was ever written.
    pub(super) fn touched(&self) -> u64 {
        self.regions.iter().fold(0, |sum, region| sum.saturating_add(region.touched))
    }

    fn best(&self, size: u64) -> Option<(usize, usize)> {
        let mut best: Option<(u64, usize, usize)> = None;
        for (number, region) in self.regions.iter().enumerate() {
            for (at, piece) in region.pieces.iter().enumerate() {
                if !piece.used && piece.size >= size && best.is_none_or(|(least, ..)| piece.size < least) {
                    best = Some((piece.size, number, at));
                }
            }
        }
        best.map(|(_, number, at)| (number, at))
    }

    fn extend(&mut self, size: u64) -> (usize, usize) {
        let mut region = self.next.max(FIRST_REGION);
        let enough = region >= size;
        while region < size && region < LARGEST_DOUBLING {
            region *= 2;
        }
        self.next = if enough { (region * 2).min(LARGEST_DOUBLING) } else { region };
        let size = region.max(size);
        self.regions.push(Region { pieces: vec![Piece { start: 0, size, used: false }], touched: 0 });
        (self.regions.len() - 1, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    const MIB: u64 = 1 << 20;

    #[test]
    fn chunks_are_cut_joined_and_taken_again() {
        let mut arena = Arena::default();
        let (a, b, c) = (arena.allocate(100), arena.allocate(300), arena.allocate(1000));
        assert_eq!(arena.touched(), 256 + 512 + 1024);
        arena.free(b);
        arena.free(a);
        // Both holes are one now.
        assert_eq!(arena.allocate(700), a);
        assert_eq!(arena.touched(), 256 + 512 + 1024);
        arena.free(c);
        assert_eq!(arena.allocate(1024), c);
    }

    #[test]
    fn regions_double_and_what_is_little_larger_is_not_cut() {
        let mut arena = Arena::default();
        let first = arena.allocate(3 * MIB);
        let second = arena.allocate(3 * MIB);
        assert_eq!(arena.regions.iter().map(|region| region.pieces[0].size / MIB).collect::<Vec<_>>(), [4, 4]);
        arena.free(first);
        arena.free(second);
        let small = arena.allocate(MIB);
        assert_eq!(arena.regions[small.region].pieces.len(), 2);
        arena.allocate(3 * MIB);
        arena.allocate(3 * MIB);
        assert_eq!(arena.regions.len(), 2);
        arena.allocate(u64::MAX);
        assert_eq!(arena.touched(), u64::MAX);
    }
}
