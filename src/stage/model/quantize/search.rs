//! Which nodes stay in floats: those that lose most are taken back until the bound holds, then each of them is tried once
//! more with bytes, since the last step may have taken more than was needed. Must not know what is judged, nor how.

use crate::stage::Error;
use std::collections::BTreeSet;

/// Nodes that are tried once more at most.
const TRIED_AGAIN: usize = 12;

/// What came of a choice.
pub(super) struct Judged<T> {
    /// Whether it is good enough.
    pub holds: bool,
    /// What was judged.
    pub form: T,
}

/// How many nodes are taken back in turn: one by one at first, then half as many again.
fn steps(nodes: usize) -> Vec<usize> {
    let mut steps = vec![0];
    let mut step = 1;
    while step < nodes {
        steps.push(step);
        step = (step + 1).max(step * 3 / 2);
    }
    steps
}

/// The fewest nodes in floats that are good enough, or the last choice that was not; `None` when the first choice already
/// is too little. `order` has the node that loses most first, `fixed` stays in floats in any case; `judge` gives `None`
/// for a choice that leaves too little in bytes.
pub(super) fn search<T>(
    order: &[usize],
    fixed: &BTreeSet<usize>,
    mut judge: impl FnMut(&BTreeSet<usize>) -> Result<Option<Judged<T>>, Error>,
) -> Result<Option<Judged<T>>, Error> {
    let mut last = None;
    for step in steps(order.len()) {
        let mut floats: BTreeSet<usize> = order.iter().take(step).chain(fixed).copied().collect();
        let Some(judged) = judge(&floats)? else { break };
        if !judged.holds {
            last = Some(judged);
            continue;
        }
        let mut best = judged;
        let again = order.iter().take(step).rev().filter(|node| !fixed.contains(node)).take(TRIED_AGAIN);
        for node in again {
            floats.remove(node);
            match judge(&floats)? {
                Some(judged) if judged.holds => best = judged,
                _ => {
                    floats.insert(*node);
                }
            }
        }
        return Ok(Some(best));
    }
    Ok(last)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_taken_back_one_by_one_and_then_in_growing_steps() {
        assert_eq!(steps(20), [0, 1, 2, 3, 4, 6, 9, 13, 19]);
        assert_eq!(steps(1), [0]);
    }

    /// A search where the bound holds as soon as all of `needed` are in floats.
    fn found(needed: &[usize], order: &[usize], fixed: &[usize], most: usize) -> (Option<Vec<usize>>, bool, usize) {
        let mut count = 0;
        let judge = |floats: &BTreeSet<usize>| {
            count += 1;
            let holds = needed.iter().all(|node| floats.contains(node));
            Ok((floats.len() <= most).then(|| Judged { holds, form: floats.iter().copied().collect::<Vec<_>>() }))
        };
        let judged = search(order, &fixed.iter().copied().collect(), judge).unwrap();
        let holds = judged.as_ref().is_some_and(|judged| judged.holds);
        (judged.map(|judged| judged.form), holds, count)
    }

    #[test]
    fn only_what_is_needed_stays_in_floats() {
        let order = [7, 3, 9, 1, 4, 8, 2, 6, 5, 0];
        assert_eq!(found(&[], &order, &[], 9), (Some(vec![]), true, 1));
        // 4 is the fifth: six are taken back, and four of them are tried again in vain or not.
        assert_eq!(found(&[3, 4], &order, &[], 9), (Some(vec![3, 4]), true, 6 + 6));
        assert_eq!(found(&[3], &order, &[9], 9), (Some(vec![3, 9]), true, 3 + 2));
    }

    #[test]
    fn when_too_little_is_left_the_last_choice_is_told() {
        let order = [7, 3, 9, 1, 4, 8, 2, 6, 5, 0];
        assert_eq!(found(&[0], &order, &[], 5), (Some(vec![1, 3, 7, 9]), false, 6));
        assert_eq!(found(&[0], &order, &[1, 2, 4], 2), (None, false, 1));
    }
}
