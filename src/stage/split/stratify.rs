//! Which part of the data each group goes to: iterative stratification over many labels. Pure; must not know tables.
//!
//! The label with the fewest groups left is dealt out first, each group to the part that wants that label most (Sechidis,
//! Tsoumakas and Vlahavas, 2011). Two rules are added: a part that has its share of images is closed, so that sizes are
//! exact; and when a label has no more groups left than there are parts without it, they go to those parts.

use crate::digest;

/// Labels are bytes.
const LABELS: usize = 256;

/// Images that must stay in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name, unique; with the seed it decides the order in which groups are dealt.
    pub name: String,
    /// How many images.
    pub images: u32,
    /// Each label that occurs, once, with how many of the images hold it.
    pub labels: Vec<(u8, u32)>,
}

/// The part, an index into `ratios`, of each group. `ratios` are positive and add up to 1. The order of `groups` does not
/// matter. A part is at most one group away from its share of the images.
pub fn stratify(groups: &[Group], ratios: &[f64], seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by_cached_key(|index| {
        let name = &groups[*index].name;
        (digest::of_parts([("seed", seed.to_string().as_str()), ("group", name)]), name.clone())
    });
    let mut deal = Deal::begin(groups, ratios);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); LABELS];
    for group in &order {
        for (label, _) in &groups[*group].labels {
            members[usize::from(*label)].push(*group);
        }
    }
    while let Some(label) = (0..LABELS).filter(|label| deal.left[*label] > 0).min_by_key(|label| deal.left[*label]) {
        for group in &members[label] {
            if deal.part_of[*group].is_none() {
                deal.place(*group, Some(label));
            }
        }
    }
    for group in &order {
        if deal.part_of[*group].is_none() {
            deal.place(*group, None);
        }
    }
    deal.exchange(&order, &members);
    deal.part_of.into_iter().map(|part| part.unwrap_or(0)).collect()
}

/// Whole images for each part: the exact shares rounded down, the rest to the largest remainders.
pub fn sizes(images: u64, ratios: &[f64]) -> Vec<u64> {
    let exact: Vec<f64> = ratios.iter().map(|ratio| ratio * images as f64).collect();
    let mut sizes: Vec<u64> = exact.iter().map(|value| value.floor() as u64).collect();
    let mut by_remainder: Vec<usize> = (0..ratios.len()).collect();
    by_remainder.sort_by(|one, other| exact[*other].fract().total_cmp(&exact[*one].fract()).then(one.cmp(other)));
    let missing = images.saturating_sub(sizes.iter().sum());
    for part in by_remainder.into_iter().cycle().take(usize::try_from(missing).unwrap_or(0)) {
        sizes[part] += 1;
    }
    sizes
}

/// What is dealt and what is still wanted.
struct Deal<'a> {
    groups: &'a [Group],
    part_of: Vec<Option<usize>>,
    /// Groups not yet dealt, by label.
    left: Vec<usize>,
    /// All groups, by label.
    all: Vec<usize>,
    /// Images that each part may still take; negative when a large group did not fit anywhere.
    room: Vec<i64>,
    /// Images with a label that each part still wants.
    wanted: Vec<Vec<f64>>,
    /// Groups with a label that each part holds.
    held: Vec<Vec<usize>>,
}

impl<'a> Deal<'a> {
    fn begin(groups: &'a [Group], ratios: &[f64]) -> Self {
        let mut left = vec![0; LABELS];
        let mut images_with = vec![0_u64; LABELS];
        for (label, images) in groups.iter().flat_map(|group| &group.labels) {
            left[usize::from(*label)] += 1;
            images_with[usize::from(*label)] += u64::from(*images);
        }
        let images = groups.iter().map(|group| u64::from(group.images)).sum();
        let wants = |ratio: &f64| images_with.iter().map(|images| *images as f64 * ratio).collect();
        Self {
            groups,
            part_of: vec![None; groups.len()],
            all: left.clone(),
            left,
            room: sizes(images, ratios).into_iter().map(|size| i64::try_from(size).unwrap_or(i64::MAX)).collect(),
            wanted: ratios.iter().map(wants).collect(),
            held: vec![vec![0; LABELS]; ratios.len()],
        }
    }

    /// Deals one group; `label` is the one it is dealt for.
    fn place(&mut self, group: usize, label: Option<usize>) {
        let Group { images, labels, .. } = &self.groups[group];
        let parts = self.room.len();
        let mut urgent = vec![0_usize; parts];
        for (label, _) in labels {
            let label = usize::from(*label);
            let without = (0..parts).filter(|part| self.held[*part][label] == 0);
            if self.left[label] <= without.clone().count() {
                without.for_each(|part| urgent[part] += 1);
            }
        }
        let want = |part: usize| label.map_or(0.0, |label| self.wanted[part][label]);
        let fits = |part: usize| self.room[part] >= i64::from(*images);
        let mut best = 0;
        for part in 1..parts {
            let better = if fits(part) || fits(best) {
                let by_fit = fits(part).cmp(&fits(best));
                let by_want = want(part).total_cmp(&want(best));
                by_fit.then(urgent[part].cmp(&urgent[best])).then(by_want).then(self.room[part].cmp(&self.room[best]))
            } else {
                self.room[part].cmp(&self.room[best])
            };
            if better.is_gt() {
                best = part;
            }
        }
        self.part_of[group] = Some(best);
        self.room[best] -= i64::from(*images);
        for (label, images) in labels {
            let label = usize::from(*label);
            self.left[label] -= 1;
            self.held[best][label] += 1;
            self.wanted[best][label] -= f64::from(*images);
        }
    }

    /// Where a part still lacks a label that has groups enough for all parts, exchanges two groups of equal size, unless
    /// every exchange would take some other label away from a part.
    fn exchange(&mut self, order: &[usize], members: &[Vec<usize>]) {
        let parts = self.room.len();
        for (label, with) in members.iter().enumerate() {
            for part in 0..parts {
                if self.all[label] < parts || self.held[part][label] > 0 {
                    continue;
                }
                let found = with.iter().find_map(|group| {
                    let from = self.part_of[*group]?;
                    let other = order.iter().find(|other| {
                        self.part_of[**other] == Some(part)
                            && self.groups[**other].images == self.groups[*group].images
                            && self.can_leave(*group, from, **other)
                            && self.can_leave(**other, part, *group)
                    })?;
                    Some((*group, from, *other))
                });
                if let Some((group, from, other)) = found {
                    self.shift(group, from, part);
                    self.shift(other, part, from);
                }
            }
        }
    }

    /// Whether every label of `group` stays in `part` when `other` takes its place.
    fn can_leave(&self, group: usize, part: usize, other: usize) -> bool {
        let comes = &self.groups[other].labels;
        self.groups[group].labels.iter().all(|(label, _)| {
            self.held[part][usize::from(*label)] > 1 || comes.iter().any(|(coming, _)| coming == label)
        })
    }

    fn shift(&mut self, group: usize, from: usize, to: usize) {
        self.part_of[group] = Some(to);
        for (label, _) in &self.groups[group].labels {
            self.held[from][usize::from(*label)] -= 1;
            self.held[to][usize::from(*label)] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sizes;

    #[test]
    fn the_public_training_set_is_split_as_by_hand() {
        assert_eq!(sizes(45_623, &[0.7, 0.2, 0.1]), [31_936, 9_125, 4_562]);
        assert_eq!(sizes(0, &[0.7, 0.2, 0.1]), [0, 0, 0]);
        assert_eq!(sizes(1, &[0.7, 0.2, 0.1]), [1, 0, 0]);
    }
}
