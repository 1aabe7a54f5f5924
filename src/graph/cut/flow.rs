//! The cheapest way to part a network of one-way pipes between a source and a sink, by the largest flow through it. Must
//! not know what the pipes stand for.

use std::collections::VecDeque;

/// What is never cut.
pub(super) const UNCUT: u64 = u64::MAX / 4;

/// Points that are numbered, and pipes between them.
pub(super) struct Network {
    /// Where each pipe leads; a pipe and its way back stand at `2 n` and `2 n + 1`.
    ends: Vec<usize>,
    /// What more each pipe can take.
    free: Vec<u64>,
    /// The pipes that leave each point.
    leaving: Vec<Vec<usize>>,
}

/// How far a point is from the source, as long as nothing else is known.
const UNKNOWN: usize = usize::MAX;

impl Network {
    pub fn new(points: usize) -> Self {
        Self { ends: Vec::new(), free: Vec::new(), leaving: vec![Vec::new(); points] }
    }

    /// A pipe; cutting it costs `price`.
    pub fn pipe(&mut self, from: usize, to: usize, price: u64) {
        for (start, end, free) in [(from, to, price), (to, from, 0)] {
            if let Some(leaving) = self.leaving.get_mut(start) {
                leaving.push(self.ends.len());
            }
            self.ends.push(end);
            self.free.push(free);
        }
    }

    fn end(&self, pipe: usize) -> usize {
        self.ends.get(pipe).copied().unwrap_or(0)
    }

    fn free(&self, pipe: usize) -> u64 {
        self.free.get(pipe).copied().unwrap_or(0)
    }

    fn leaving(&self, point: usize) -> &[usize] {
        self.leaving.get(point).map_or(&[], Vec::as_slice)
    }

    /// By point, whether it is on the source's side of a cheapest cut: of all of those the one with the most points there.
    pub fn source_side(mut self, source: usize, sink: usize) -> Vec<bool> {
        loop {
            let far = self.distances(source);
            if far.get(sink).is_none_or(|far| *far == UNKNOWN) {
                break;
            }
            self.fill(source, sink, &far);
        }
        // All but the points from which something could still flow on to the sink.
        let mut side = vec![true; self.leaving.len()];
        let mut queue = VecDeque::from([sink]);
        if let Some(own) = side.get_mut(sink) {
            *own = false;
        }
        while let Some(point) = queue.pop_front() {
            for pipe in self.leaving(point) {
                let from = self.end(*pipe);
                if self.free(pipe ^ 1) > 0
                    && let Some(own) = side.get_mut(from).filter(|own| **own)
                {
                    *own = false;
                    queue.push_back(from);
                }
            }
        }
        side
    }

    /// Pipes between each point and the source.
    fn distances(&self, source: usize) -> Vec<usize> {
        let mut far = vec![UNKNOWN; self.leaving.len()];
        let mut queue = VecDeque::from([(source, 0)]);
        if let Some(own) = far.get_mut(source) {
            *own = 0;
        }
        while let Some((point, steps)) = queue.pop_front() {
            for pipe in self.leaving(point) {
                let end = self.end(*pipe);
                if self.free(*pipe) > 0
                    && let Some(own) = far.get_mut(end).filter(|own| **own == UNKNOWN)
                {
                    *own = steps + 1;
                    queue.push_back((end, steps + 1));
                }
            }
        }
        far
    }

    /// Lets flow what can along shortest ways.
    fn fill(&mut self, source: usize, sink: usize, far: &[usize]) {
        // The next pipe to try at each point: what led nowhere once leads nowhere again.
        let mut next = vec![0; self.leaving.len()];
        let mut way: Vec<usize> = Vec::new();
        loop {
            let point = way.last().map_or(source, |pipe| self.end(*pipe));
            if point == sink {
                let flow = way.iter().map(|pipe| self.free(*pipe)).min().unwrap_or(0);
                for pipe in way.drain(..) {
                    for (pipe, more) in [(pipe, false), (pipe ^ 1, true)] {
                        if let Some(free) = self.free.get_mut(pipe) {
                            *free = if more { free.saturating_add(flow) } else { free.saturating_sub(flow) };
                        }
                    }
                }
                continue;
            }
            let steps = far.get(point).copied().unwrap_or(UNKNOWN);
            let tried = next.get(point).copied().unwrap_or(0);
            match self.leaving(point).get(tried).copied() {
                Some(pipe) if self.free(pipe) > 0 && far.get(self.end(pipe)) == steps.checked_add(1).as_ref() => {
                    way.push(pipe);
                }
                Some(_) => advance(&mut next, point),
                None => {
                    let Some(pipe) = way.pop() else { return };
                    advance(&mut next, self.end(pipe ^ 1));
                }
            }
        }
    }
}

fn advance(next: &mut [usize], point: usize) {
    if let Some(tried) = next.get_mut(point) {
        *tried += 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The cost of a side, and whether it is one: the source on it, the sink not, nothing cut that must not be.
    fn cost(pipes: &[(usize, usize, u64)], side: &[bool]) -> Option<u64> {
        let cut = pipes.iter().filter(|(from, to, _)| side[*from] && !side[*to]);
        let sum = cut.fold(0_u64, |sum, (.., price)| sum.saturating_add(*price));
        (side[0] && !side[1] && sum < UNCUT).then_some(sum)
    }

    #[test]
    fn no_other_side_is_cheaper_and_none_as_cheap_is_larger() {
        let mut seed = 7_u32;
        let mut draw = |most: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) % most
        };
        for _ in 0..300 {
            let points = 3 + draw(6) as usize;
            let pipes: Vec<(usize, usize, u64)> = (0..draw(20))
                .map(|_| (draw(points as u32) as usize, draw(points as u32) as usize, u64::from(draw(5))))
                .map(|(from, to, price)| (from, to, if price == 4 && from != 0 { UNCUT } else { price }))
                .collect();
            let mut network = Network::new(points);
            for (from, to, price) in &pipes {
                network.pipe(*from, *to, *price);
            }
            let found = network.source_side(0, 1);
            let all = (0..1_u32 << points).map(|bits| (0..points).map(|at| bits >> at & 1 == 1).collect::<Vec<_>>());
            let best = all.filter_map(|side| Some((cost(&pipes, &side)?, side)));
            let best = best.min_by_key(|(cost, side)| (*cost, side.iter().filter(|own| !**own).count())).unwrap();
            assert_eq!((cost(&pipes, &found), &found), (Some(best.0), &best.1), "{pipes:?}");
        }
    }
}
