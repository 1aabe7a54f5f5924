//! Which mask lies on top of which. Pure; must not know tables.

use crate::image::spans::Conflict;
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// How masks of one image are merged where they meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The later row lies on top.
    AnnotationOrder,
    /// The earlier row lies on top.
    FirstWins,
    /// The smaller mask lies on top; of equal areas the later row.
    #[default]
    SmallOnTop,
    /// Classes in the order of a list, the first on top; those not in the list below all others. Within a class, and below
    /// the list, as in `small-on-top`.
    ClassPriority,
    /// All masks as one: 1 where any mask is.
    Foreground,
    /// 255 where masks of different classes meet.
    VoidOnConflict,
}

impl Policy {
    /// Every policy with its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("annotation-order", Self::AnnotationOrder),
        ("first-wins", Self::FirstWins),
        ("small-on-top", Self::SmallOnTop),
        ("class-priority", Self::ClassPriority),
        ("foreground", Self::Foreground),
        ("void-on-conflict", Self::VoidOnConflict),
    ];

    /// The name that tables and the command line use.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, policy)| *policy == self).map_or("", |(name, _)| name)
    }

    /// The policy of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, policy)| *policy)
    }

    /// What becomes of pixels that several classes claim.
    pub(super) fn conflict(self) -> Conflict {
        if self == Self::VoidOnConflict { Conflict::Void } else { Conflict::Top }
    }

    /// Less: `one` lies above `other`. `ranks` gives each class its place in the list, by class.
    pub(super) fn above(self, one: &Standing, other: &Standing, ranks: &[u16; 256]) -> Ordering {
        let small = |mask: &Standing| (mask.area, Reverse(mask.row));
        match self {
            Self::FirstWins => one.row.cmp(&other.row),
            Self::SmallOnTop => small(one).cmp(&small(other)),
            Self::ClassPriority => {
                let rank = |mask: &Standing| ranks[mask.class as usize];
                (rank(one), small(one)).cmp(&(rank(other), small(other)))
            }
            // The last two do not depend on the order; one is fixed all the same.
            Self::AnnotationOrder | Self::Foreground | Self::VoidOnConflict => other.row.cmp(&one.row),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a mask's place depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// `class_id`.
    pub(super) class: u8,
    /// Pixels.
    pub(super) area: u64,
    /// Row in the source.
    pub(super) row: u64,
}

/// The place of each class in a list; those not in it share the last place.
pub(super) fn ranks(list: &[u8]) -> [u16; 256] {
    let mut ranks = [u16::MAX; 256];
    for (rank, class) in list.iter().enumerate().rev() {
        ranks[*class as usize] = rank as u16;
    }
    ranks
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_their_policies() {
        for (name, policy) in Policy::ALL {
            assert_eq!((Policy::from_name(name).unwrap(), policy.name()), (policy, name));
        }
        assert_eq!(Policy::from_name("group"), None);
    }

    #[test]
    fn the_later_of_two_equal_masks_lies_on_top() {
        let mask = |class, area, row| Standing { class, area, row };
        let ranks = ranks(&[7, 3]);
        let above = |policy: Policy, one, other| policy.above(&one, &other, &ranks);
        assert_eq!(above(Policy::SmallOnTop, mask(0, 5, 2), mask(0, 5, 1)), Ordering::Less);
        assert_eq!(above(Policy::SmallOnTop, mask(0, 9, 2), mask(0, 5, 1)), Ordering::Greater);
        assert_eq!(above(Policy::ClassPriority, mask(3, 9, 1), mask(0, 1, 2)), Ordering::Less);
        assert_eq!(above(Policy::ClassPriority, mask(3, 1, 1), mask(7, 9, 2)), Ordering::Greater);
        assert_eq!(above(Policy::FirstWins, mask(0, 1, 1), mask(0, 1, 2)), Ordering::Less);
    }
}
