//! The word before every call: which call it is and one number, told to all by all. Must not know how it is carried.

use super::Error;

/// A collective call, as its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// The number said with it is the count of values.
    Sum = 1,
    /// The number said with it is the count of counts.
    SumCounts = 2,
    /// The number said with it is the count of bytes; rank 0's holds.
    Broadcast = 3,
    /// The number said with it is the vote.
    Greatest = 4,
    /// The good end; the number is 0.
    Leave = 5,
    /// All are there; the number is 0.
    Join = 6,
}

impl Call {
    /// The name of the trait's function.
    pub(super) fn name(self) -> &'static str {
        match self {
            Call::Sum => "sum",
            Call::SumCounts => "sum_counts",
            Call::Broadcast => "broadcast",
            Call::Greatest => "greatest",
            Call::Leave => "leave",
            Call::Join => "join",
        }
    }

    fn of(code: u64) -> &'static str {
        let all = [Call::Sum, Call::SumCounts, Call::Broadcast, Call::Greatest, Call::Leave, Call::Join];
        all.iter().find(|call| **call as u64 == code).map_or("an unknown call", |call| call.name())
    }
}

/// What one rank says before a call: the call's code and a number.
pub(super) type Word = [u64; 2];

/// The word that a rank says before `call`.
pub(super) fn word(call: Call, number: u64) -> Word {
    [call as u64, number]
}

/// The numbers that all ranks said, by rank; an error when anyone is at another call, or when the call adds up and the
/// lengths differ. All ranks judge the same words, so that all of them fail or none.
pub(super) fn in_step(call: Call, words: &[Word]) -> Result<Vec<u64>, Error> {
    for (rank, [code, _]) in words.iter().enumerate() {
        if *code != call as u64 {
            return Err(Error::OutOfStep {
                rank,
                detail: format!("it is in {}, this one in {}", Call::of(*code), call.name()),
            });
        }
    }
    let numbers: Vec<u64> = words.iter().map(|[_, number]| *number).collect();
    let adds_up = matches!(call, Call::Sum | Call::SumCounts);
    let first = numbers.first().copied().unwrap_or_default();
    match numbers.iter().enumerate().find(|(_, number)| adds_up && **number != first) {
        Some((rank, number)) => Err(Error::OutOfStep {
            rank,
            detail: format!("{} of {number} values there, of {first} on rank 0", call.name()),
        }),
        None => Ok(numbers),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ranks_at_one_call_learn_all_numbers() {
        let words = [word(Call::Greatest, 3), word(Call::Greatest, 9)];
        assert_eq!(in_step(Call::Greatest, &words).unwrap(), [3, 9]);
    }

    #[test]
    fn ranks_at_different_calls_are_told_apart() {
        let words = [word(Call::Sum, 3), word(Call::Leave, 0)];
        let error = in_step(Call::Sum, &words).unwrap_err().to_string();
        assert!(error.contains("rank 1") && error.contains("leave") && error.contains("sum"), "{error}");
        assert!(in_step(Call::Sum, &[[77, 0]]).is_err());
    }

    #[test]
    fn sums_of_different_lengths_are_refused() {
        assert!(in_step(Call::Sum, &[word(Call::Sum, 3), word(Call::Sum, 4)]).is_err());
        assert!(in_step(Call::Broadcast, &[word(Call::Broadcast, 3), word(Call::Broadcast, 4)]).is_ok());
    }
}
