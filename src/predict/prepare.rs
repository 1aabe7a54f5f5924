//! From pixels to the numbers that a network wants. Must not know the network itself, nor its session.

use super::Error;
use super::sidecar::{ColourOrder, Layout, Resize, Scale, Sidecar};
use crate::image::{DecodedImage, Filter, resize_rgb, threshold};
use std::sync::Arc;

/// Where the picture lies within the network's input, in pixels of it. The rest is letterbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Columns to the left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// One picture, ready to be given to a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// Lengths of the axes, the slowest first: 1×3×H×W or 1×H×W×3, as the model wants it.
    pub shape: [usize; 4],
    /// The product of the lengths in numbers, row-major, scaled and shifted.
    pub data: Vec<f32>,
    /// Where the picture lies in it.
    pub window: Window,
}

/// Turns pictures into [`ModelInput`]s. Clones are cheap, and any thread may use one.
#[derive(Clone, Debug)]
pub struct Preparer(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Threshold,
    Network { sidecar: Arc<Sidecar>, width: u32, height: u32 },
}

impl Preparer {
    pub(super) fn threshold() -> Self {
        Self(Kind::Threshold)
    }

    /// Feeds a network of this input size.
    pub(super) fn network(sidecar: Arc<Sidecar>, width: u32, height: u32) -> Self {
        Self(Kind::Network { sidecar, width, height })
    }

    /// Numbers of the model's own shape that are no picture and the same every time: to time a network with.
    pub fn noise(&self) -> ModelInput {
        let (shape, width, height) = match &self.0 {
            Kind::Threshold => ([1, 1, 64, 64], 64, 64),
            Kind::Network { sidecar, width, height } => {
                let (wide, high) = (*width as usize, *height as usize);
                let shape = match sidecar.layout {
                    Layout::Nchw => [1, 3, high, wide],
                    Layout::Nhwc => [1, high, wide, 3],
                };
                (shape, *width, *height)
            }
        };
        let mut seed = 1_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32
        };
        let data = (0..shape.iter().product()).map(|_| next()).collect();
        ModelInput { shape, data, window: Window { left: 0, top: 0, width, height } }
    }

    /// Makes a picture of any size what the model wants.
    pub fn prepare(&self, image: &DecodedImage) -> Result<ModelInput, Error> {
        match &self.0 {
            Kind::Threshold => {
                let map = threshold(image)?;
                let (width, height) = (map.width, map.height);
                let shape = [1, 1, height as usize, width as usize];
                Ok(ModelInput { shape, data: map.plane, window: Window { left: 0, top: 0, width, height } })
            }
            Kind::Network { sidecar, width, height } => feed(image, sidecar, *width, *height),
        }
    }
}

fn feed(image: &DecodedImage, sidecar: &Sidecar, width: u32, height: u32) -> Result<ModelInput, Error> {
    let window = match sidecar.resize {
        Resize::Squash => Window { left: 0, top: 0, width, height },
        Resize::Letterbox => letterbox(image.width, image.height, width, height),
    };
    let filter: Filter = sidecar.filter;
    let picture = resize_rgb(image, window.width, window.height, filter)?;
    // As the U²-Net family was trained: by the greatest byte of the resized picture, and a black one by next to nothing.
    let divisor = match sidecar.scale {
        Scale::Over(divisor) => divisor,
        Scale::OverMax => picture.iter().copied().max().map_or(1.0, |max| f32::from(max).max(1e-6)),
    };
    let number = |byte: u8, colour: usize| (f32::from(byte) / divisor - sidecar.mean[colour]) / sidecar.std[colour];
    // 256 values a colour are all there are: a look-up is the same to the last bit, and several times faster.
    let numbers: [Vec<f32>; 3] = std::array::from_fn(|colour| (0..=255).map(|byte| number(byte, colour)).collect());
    let (wide, high) = (width as usize, height as usize);
    let mut data = vec![0.0_f32; wide * high * 3];
    for channel in 0..3 {
        let colour = match sidecar.colour {
            ColourOrder::Rgb => channel,
            ColourOrder::Bgr => 2 - channel,
        };
        let (offset, step) = match sidecar.layout {
            Layout::Nchw => (channel * wide * high, 1),
            Layout::Nhwc => (channel, 3),
        };
        let pad = numbers[colour][usize::from(sidecar.pad)];
        if window.width != width || window.height != height {
            data[offset..].iter_mut().step_by(step).take(wide * high).for_each(|place| *place = pad);
        }
        let row_bytes = window.width as usize * 3;
        for (row, bytes) in picture.chunks_exact(row_bytes).enumerate() {
            let start = offset + ((row + window.top as usize) * wide + window.left as usize) * step;
            let places = data[start..].iter_mut().step_by(step);
            for (place, byte) in places.zip(bytes.iter().skip(colour).step_by(3)) {
                *place = numbers[colour][usize::from(*byte)];
            }
        }
    }
    let shape = match sidecar.layout {
        Layout::Nchw => [1, 3, high, wide],
        Layout::Nhwc => [1, high, wide, 3],
    };
    Ok(ModelInput { shape, data, window })
}

/// The largest window of the picture's aspect, in the middle; at least a pixel a side.
fn letterbox(from_width: u32, from_height: u32, width: u32, height: u32) -> Window {
    let (from_wide, from_high) = (u64::from(from_width.max(1)), u64::from(from_height.max(1)));
    let (wide, high) = (u64::from(width), u64::from(height));
    let rounded = |length: u64, over: u64, under: u64| (length * over * 2 + under) / (under * 2);
    // Whichever side is reached first decides; whole numbers, so that every machine cuts alike.
    let (inner_width, inner_height) = if from_wide * high >= from_high * wide {
        (wide, rounded(from_high, wide, from_wide))
    } else {
        (rounded(from_wide, high, from_high), high)
    };
    let fit = |length: u64, most: u32| u32::try_from(length).unwrap_or(most).clamp(1, most);
    let (inner_width, inner_height) = (fit(inner_width, width), fit(inner_height, height));
    Window {
        left: (width - inner_width) / 2,
        top: (height - inner_height) / 2,
        width: inner_width,
        height: inner_height,
    }
}

#[cfg(test)]
mod tests {
    use super::{Window, letterbox};

    #[test]
    fn a_letterbox_keeps_the_aspect_and_lies_in_the_middle() {
        assert_eq!(letterbox(400, 200, 320, 320), Window { left: 0, top: 80, width: 320, height: 160 });
        assert_eq!(letterbox(200, 400, 320, 320), Window { left: 80, top: 0, width: 160, height: 320 });
        assert_eq!(letterbox(640, 480, 64, 48), Window { left: 0, top: 0, width: 64, height: 48 });
        assert_eq!(letterbox(10_000, 1, 320, 320), Window { left: 0, top: 159, width: 320, height: 1 });
        assert_eq!(letterbox(3, 2, 100, 100), Window { left: 0, top: 16, width: 100, height: 67 });
    }
}
