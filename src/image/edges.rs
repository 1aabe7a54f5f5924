//! stub
#![allow(missing_docs)]
use super::*;
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edges {
    pub refine: bool,
    pub colour: bool,
    pub fill_holes: f32,
    pub drop_specks: f32,
    pub keep_largest: bool,
    pub shrink: f32,
    pub feather: f32,
}
impl Edges {
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
    fn default() -> Self {
        Self { refine: true, colour: true, ..Self::NONE }
    }
}
pub fn matte(image: &DecodedImage, map: &Probabilities, _: &Edges) -> Result<Matte, Error> {
    upsample(map, image.width, image.height)
}
pub struct Shape {
    pub components: u32,
    pub holes: u32,
    pub sharpness: f32,
}
pub fn shape(_: &Matte) -> Shape {
    Shape { components: 1, holes: 0, sharpness: 1.0 }
}
