//! From probabilities at a network's size to a matte at the picture's. Must not know where either came from.

use super::geometry::{Filter, resize_pixels};
use super::{Error, Matte, Probabilities};

/// Brings probabilities to `width × height` pixels and to 0..=255. Bilinear: what a network is sure of stays exactly 0
/// or 255, with no ringing around it. What is no number counts as background.
pub fn upsample(probabilities: &Probabilities, width: u32, height: u32) -> Result<Matte, Error> {
    let from = (probabilities.width, probabilities.height);
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    let alpha = if from == (width, height) {
        Error::expect_len("probabilities", probabilities.plane.len(), super::error::area(width, height, 1))?;
        probabilities.plane.iter().map(|value| byte(*value)).collect()
    } else {
        let pixels = resize_pixels(&probabilities.plane, from, (width, height), Filter::Bilinear)?;
        pixels.iter().map(|pixel| byte(pixel.0)).collect()
    };
    Ok(Matte { width, height, alpha })
}
