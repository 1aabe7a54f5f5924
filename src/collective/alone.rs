//! One rank: every sum is what it already is. Must not know any library.

use super::{Collective, Error};

/// The only rank.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn sum(&mut self, _: &mut [f32]) -> Result<(), Error> {
        Ok(())
    }

    fn sum_counts(&mut self, _: &mut [u64]) -> Result<(), Error> {
        Ok(())
    }

    fn broadcast(&mut self, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }

    fn greatest(&mut self, value: u64) -> Result<u64, Error> {
        Ok(value)
    }

    fn leave(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::collective::{Kind, join};

    #[test]
    fn one_rank_keeps_what_it_has() {
        let mut all = join(Kind::Alone, None).unwrap();
        assert_eq!((all.rank(), all.ranks()), (0, 1));
        let (mut values, mut counts, mut bytes) = ([0.1, -0.0, f32::NAN], [7, u64::MAX], vec![1, 2]);
        all.sum(&mut values).unwrap();
        all.sum_counts(&mut counts).unwrap();
        all.broadcast(&mut bytes).unwrap();
        assert_eq!(values.map(f32::to_bits), [0.1, -0.0, f32::NAN].map(f32::to_bits));
        assert_eq!((counts, bytes), ([7, u64::MAX], vec![1, 2]));
        assert_eq!(all.greatest(3).unwrap(), 3);
        all.leave().unwrap();
    }
}
