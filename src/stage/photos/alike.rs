//! Which photos are the same: byte for byte, or the same picture in another size, quality or light. Must not know where
//! photos lie, nor what is done about copies.
//!
//! The bounds were measured on 2,600 distinct drawn photos and eight changed copies of each: of copies compressed at quality
//! 60, halved, cropped by 1 % in all, or 3 % lighter or darker, at least 99.9 in 100 are found, the colours at most 7.6 levels
//! off; of the distinct ones no two within 6 bits are nearer than 15 levels. A picture without structure has a hash of noise,
//! and nothing but its colour by which it could be told from others: such photos are the same only byte for byte.

use crate::image::Look;
use std::collections::HashMap;

/// Bits of the hash that may differ.
const BITS: u32 = 6;
/// Levels that the colours may differ by, on average.
const COLOUR: f32 = 8.0;

/// How a photo is the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The same bytes.
    Exact,
    /// The same picture in other bytes.
    Near,
}

impl Kind {
    /// The word that tables hold.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Near => "near",
        }
    }
}

/// A photo that is the same as an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Alike {
    /// The photo.
    pub key: String,
    /// The representative of its group: the group's first key in byte order.
    pub of: String,
    /// How it is the same as that.
    pub kind: Kind,
    /// Bits of the hash that differ from the representative's.
    pub bits: u32,
    /// Mean difference of the colours from the representative's, in levels.
    pub colour: f32,
}

/// Groups photos, given as key, content digest (empty where unknown) and look: one row for each that is not its group's
/// representative, in byte order of keys. Everyone in a group is near to its representative itself, never by a chain of
/// others: a photo joins the nearest representative in front of it, or else becomes one.
pub fn alike<'a>(photos: impl Iterator<Item = (&'a str, &'a str, Option<&'a Look>)>) -> Vec<Alike> {
    let mut index = Index::default();
    group(photos, |look, number| {
        let near = index.nearest(look);
        if near.is_none() {
            index.add(look, number);
        }
        near
    })
}

/// A representative that is near to a look.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Near {
    number: u32,
    bits: u32,
    colour: f32,
}

impl Near {
    /// Whether two looks are of the same picture.
    fn between(look: &Look, other: &Look, number: u32) -> Option<Self> {
        let (bits, colour) = look.distance(other);
        (bits <= BITS && colour <= COLOUR).then_some(Self { number, bits, colour })
    }

    /// The nearer of two; of equals the earlier.
    fn nearer(self, other: Self) -> Self {
        let order = (self.bits, self.number).cmp(&(other.bits, other.number));
        let by_colour = self.colour.total_cmp(&other.colour);
        if self.bits.cmp(&other.bits).then(by_colour).then(order).is_le() { self } else { other }
    }
}

/// The grouping, given how to find the nearest representative; what is asked for and not found is one from then on.
fn group<'a>(
    photos: impl Iterator<Item = (&'a str, &'a str, Option<&'a Look>)>,
    mut nearest: impl FnMut(&'a Look, u32) -> Option<Near>,
) -> Vec<Alike> {
    let mut photos: Vec<_> = photos.filter(|(_, content, _)| !content.is_empty()).collect();
    photos.sort_unstable_by_key(|(key, ..)| *key);
    // Of each content its representative: the number of a photo, and how far it is from there.
    let mut groups: HashMap<&str, Near> = HashMap::with_capacity(photos.len());
    let mut rows = Vec::new();
    for ((key, content, look), number) in photos.iter().zip(0_u32..) {
        let near = *groups.entry(content).or_insert_with(|| {
            let near = look.filter(|look| !look.is_flat()).and_then(|look| nearest(look, number));
            near.unwrap_or(Near { number, bits: 0, colour: 0.0 })
        });
        let Some((of, content_of, _)) = photos.get(near.number as usize) else { continue };
        if near.number == number {
            continue;
        }
        let kind = if content_of == content { Kind::Exact } else { Kind::Near };
        rows.push(Alike { key: (*key).to_owned(), of: (*of).to_owned(), kind, bits: near.bits, colour: near.colour });
    }
    rows
}

/// Parts that a hash is looked up by.
const BANDS: usize = 4;
/// Bits of a part.
const BAND: usize = 64 / BANDS;

/// Looks by the parts of their hashes: of two hashes with at most 7 bits between them, one of four parts has at most one.
struct Index {
    /// For each part, by its value: the hashes that have it, with the places of their looks.
    bands: [Vec<Vec<(u64, u32)>>; BANDS],
    looks: Vec<(Look, u32)>,
}

impl Default for Index {
    fn default() -> Self {
        const { assert!((BITS as usize) < 2 * BANDS) };
        Self { bands: std::array::from_fn(|_| vec![Vec::new(); 1 << BAND]), looks: Vec::new() }
    }
}

fn part(hash: u64, band: usize) -> usize {
    (hash >> (band * BAND)) as usize & ((1 << BAND) - 1)
}

impl Index {
    fn add(&mut self, look: &Look, number: u32) {
        let place = self.looks.len() as u32;
        self.looks.push((*look, number));
        for (band, buckets) in self.bands.iter_mut().enumerate() {
            buckets[part(look.hash, band)].push((look.hash, place));
        }
    }

    fn nearest(&self, look: &Look) -> Option<Near> {
        let mut best: Option<Near> = None;
        for (band, buckets) in self.bands.iter().enumerate() {
            let value = part(look.hash, band);
            for flipped in std::iter::once(0).chain((0..BAND).map(|bit| 1 << bit)) {
                for (hash, place) in &buckets[value ^ flipped] {
                    let apart = hash ^ look.hash;
                    // What an earlier part has found needs no second look.
                    let seen = || (0..band).any(|earlier| part(apart, earlier).count_ones() <= 1);
                    if apart.count_ones() > BITS || seen() {
                        continue;
                    }
                    let Some((other, number)) = self.looks.get(*place as usize) else { continue };
                    if let Some(near) = Near::between(look, other, *number) {
                        best = Some(best.map_or(near, |best| best.nearer(near)));
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn look(hash: u64, level: u8) -> Look {
        Look { hash, colours: [level; 48] }
    }

    /// Every representative is compared with.
    fn by_brute_force(photos: &[(String, String, Option<Look>)]) -> Vec<Alike> {
        let mut all: Vec<(Look, u32)> = Vec::new();
        group(photos.iter().map(|(key, content, look)| (&**key, &**content, look.as_ref())), |look, number| {
            let near =
                all.iter().filter_map(|(other, number)| Near::between(look, other, *number)).reduce(Near::nearer);
            if near.is_none() {
                all.push((*look, number));
            }
            near
        })
    }

    /// Photos around a few hashes, so that many are near to one another and many just not.
    fn photos() -> impl Strategy<Value = Vec<(String, String, Option<Look>)>> {
        let hash = (0..3_u64, prop::collection::vec(0..64_u32, 0..9)).prop_map(|(centre, flips)| {
            let centre = [0x0f1e_2d3c_4b5a_6978_u64, 0x0f1e_2d3c_4b5a_6979, 0][centre as usize];
            flips.into_iter().fold(centre, |hash, bit| hash ^ 1 << bit)
        });
        let photo = (0..2000_u32, 0..400_u32, hash, 0..24_u8, 0..10_u8);
        prop::collection::vec(photo, 0..120).prop_map(|photos| {
            let mut looks: HashMap<u32, Option<Look>> = HashMap::new();
            let photo = |(key, content, hash, level, kind): (u32, u32, u64, u8, u8)| {
                // The same bytes have the same look, and one in ten none.
                let look = *looks.entry(content).or_insert((kind > 0).then(|| look(hash, level)));
                let content = if kind == 9 { String::new() } else { format!("{content:04}") };
                (format!("{key:05}"), content, look)
            };
            let mut photos: Vec<_> = photos.into_iter().map(photo).collect();
            photos.sort_by(|one, other| one.0.cmp(&other.0));
            photos.dedup_by(|one, other| one.0 == other.0);
            photos
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_brute_force_finds(photos in photos()) {
            let found = alike(photos.iter().rev().map(|(key, content, look)| (&**key, &**content, look.as_ref())));
            prop_assert_eq!(found, by_brute_force(&photos));
        }

        #[test]
        fn everyone_is_near_to_its_representative_which_is_first_and_in_no_other_group(photos in photos()) {
            let of: HashMap<&str, (&str, Option<Look>)> =
                photos.iter().map(|(key, content, look)| (&**key, (&**content, *look))).collect();
            let found = alike(photos.iter().map(|(key, content, look)| (&**key, &**content, look.as_ref())));
            for row in &found {
                prop_assert!(row.of < row.key && found.iter().all(|other| other.key != row.of));
                let ((content, look), (first, first_look)) = (of[&*row.key], of[&*row.of]);
                prop_assert_eq!(row.kind == Kind::Exact, content == first);
                if row.kind == Kind::Near {
                    let distance = look.unwrap().distance(&first_look.unwrap());
                    prop_assert_eq!(distance, (row.bits, row.colour));
                    prop_assert!(row.bits <= BITS && row.colour <= COLOUR);
                }
            }
        }
    }

    #[test]
    fn a_chain_of_near_photos_is_no_group() {
        let looks = [look(0xff00, 100), look(0xff3f, 100), look(0xffff, 100)];
        let photos = ["a", "b", "c"].into_iter().zip(&looks).map(|(key, look)| (key, key, Some(look)));
        let found: Vec<(String, String)> = alike(photos).into_iter().map(|row| (row.key, row.of)).collect();
        assert_eq!(found, [("b".to_owned(), "a".to_owned())], "c is 2 bits from b, but 8 from a");
    }

    #[test]
    fn flat_photos_are_the_same_only_byte_for_byte() {
        let flat = look(0, 200);
        let photos = [("a", "1"), ("b", "2"), ("c", "1")].map(|(key, content)| (key, content, Some(&flat)));
        let found = alike(photos.into_iter());
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].key, &*found[0].of, found[0].kind.word()), ("c", "a", "exact"));
    }

    #[test]
    fn colours_tell_two_garments_of_one_shape_apart() {
        let looks = [look(0xff00, 100), look(0xff00, 108), look(0xff00, 120)];
        let photos = ["a", "b", "c"].into_iter().zip(&looks).map(|(key, look)| (key, key, Some(look)));
        let found = alike(photos);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].bits, found[0].colour), (Kind::Near, 0, 8.0));
    }
}
