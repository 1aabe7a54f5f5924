//! Edges: from a network's coarse map to a matte at the photo's size. Must not know which network made the map, nor what
//! becomes of the matte.
//!
//! The order is fixed: enlarge, refine by what the photo shows, drop pieces, fill holes, move the edge, soften it.
//! Straight loops and no threads: the same photo and map give the same matte, byte for byte.

mod band;
mod blocks;
mod clean;
mod colours;
mod pieces;
mod pyramid;
mod refine;
mod shape;
mod shift;
mod solve;

pub use shape::{Shape, shape};

use super::error::area;
use super::{DecodedImage, Error, Matte, Probabilities, upsample};

/// A map whose surest pixel is less sure than this (of 1.0) found nothing: it is enlarged and nothing else.
const FOUND: f32 = 0.5;

/// How a matte is made from a map, beyond enlarging it. Everything off = [`Edges::NONE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edges {
    /// Whether the band where the map is unsure is refined by what the photo shows there.
    pub refine: bool,
    /// Whether the soft band gets the foreground's own colour (used by [`compose`](super::compose())).
    pub colour: bool,
    /// Holes up to this share of the subject's area are filled; 0 = none.
    pub fill_holes: f32,
    /// Pieces smaller than this share of the largest one are dropped, and haze that belongs to no piece; 0 = none.
    pub drop_specks: f32,
    /// Whether only the largest piece stays.
    pub keep_largest: bool,
    /// Pixels of the photo that the edge moves inwards (negative: outwards); fractions allowed, beyond ±64 is 64.
    pub shrink: f32,
    /// Standard deviation in pixels of the photo of a softening of the edge; 0 = none, beyond 32 is 32.
    pub feather: f32,
}

impl Edges {
    /// The map enlarged, and the photo's colours as they are.
    pub const NONE: Self = Self {
        refine: false,
        colour: false,
        fill_holes: 0.0,
        drop_specks: 0.0,
        keep_largest: false,
        shrink: 0.0,
        feather: 0.0,
    };
}

impl Default for Edges {
    /// Good for garments: refined, in the foreground's own colour, pinholes filled (a gap between arm and body is larger,
    /// and stays), dust dropped (a second shoe is larger, and stays).
    fn default() -> Self {
        Self { refine: true, colour: true, fill_holes: 0.001, drop_specks: 0.005, ..Self::NONE }
    }
}

/// Probabilities to a matte at the photo's size. Values that are no numbers count as 0. A map that found nothing (no
/// value of 0.5 or more) is enlarged and otherwise left alone: nothing is stretched. Fails when a plane's length is not
/// what its sizes say, or a side is 0.
pub fn matte(image: &DecodedImage, map: &Probabilities, edges: &Edges) -> Result<Matte, Error> {
    Error::expect_len("probabilities", map.plane.len(), area(map.width, map.height, 1))?;
    if !map.plane.iter().any(|value| *value >= FOUND) {
        return upsample(map, image.width, image.height);
    }
    let mut matte = if edges.refine { refine::refine(image, map)? } else { upsample(map, image.width, image.height)? };
    let width = matte.width as usize;
    clean::drop_pieces(&mut matte.alpha, width, edges.drop_specks, edges.keep_largest);
    clean::fill_holes(&mut matte.alpha, width, edges.fill_holes);
    shift::shrink(&mut matte.alpha, width, edges.shrink);
    shift::feather(&mut matte.alpha, width, edges.feather);
    Ok(matte)
}
