//! Well-known models that need no sidecar: their values, and how they are recognised. Must not know the runtime's types
//! beyond the description of inputs and outputs.

use super::sidecar::{Activation, Scale, Sidecar, Stretch};
use crate::runtime::{Dimension, ValueInfo};

/// The presets, as `preset = "…"` in a sidecar and as a model's file name without its ending.
pub const PRESETS: [&str; 8] =
    ["u2net", "u2netp", "u2net_human_seg", "silueta", "isnet", "isnet-general-use", "birefnet", "rmbg-1.4"];

/// The values of a preset.
pub fn preset(name: &str) -> Option<Sidecar> {
    let imagenet = Sidecar { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], ..Sidecar::default() };
    let licence = |text: &str| Some(text.to_owned());
    match name {
        "u2net" | "u2netp" | "u2net_human_seg" => {
            Some(Sidecar { size: Some([320, 320]), scale: Scale::OverMax, licence: licence("Apache-2.0"), ..imagenet })
        }
        "silueta" => Some(Sidecar { size: Some([320, 320]), scale: Scale::OverMax, ..imagenet }),
        "isnet" | "isnet-general-use" => {
            Some(Sidecar { size: Some([1024, 1024]), mean: [0.5; 3], ..Sidecar::default() })
        }
        "birefnet" => Some(Sidecar {
            size: Some([1024, 1024]),
            activation: Activation::Sigmoid,
            licence: licence("MIT"),
            ..imagenet
        }),
        "rmbg-1.4" => Some(Sidecar {
            size: Some([1024, 1024]),
            mean: [0.5; 3],
            stretch: Stretch::Minmax,
            licence: licence("bria-rmbg-1.4 (non-commercial)"),
            ..Sidecar::default()
        }),
        _ => None,
    }
}

/// Recognises a model without a sidecar: by its file name, where its shape agrees, else by its shape alone, where that
/// leaves no doubt. Returns the preset's name too.
pub(super) fn recognise(stem: &str, inputs: &[ValueInfo], outputs: &[ValueInfo]) -> Option<(&'static str, Sidecar)> {
    let [input] = inputs else { return None };
    let name = PRESETS.into_iter().find(|name| *name == stem).or_else(|| match side_of(input, 3)? {
        // A square map beside at least five more of its like: the deep supervision of the U²-Net family, at its two sizes.
        320 if maps_of(320, outputs) >= 6 => Some("u2net"),
        1024 if maps_of(1024, outputs) >= 1 && outputs.len() >= 6 => Some("isnet"),
        _ => None,
    })?;
    let sidecar = preset(name)?;
    let [width, height] = sidecar.size?;
    let channels_first = [None, Some(3), Some(height as usize), Some(width as usize)];
    let agrees = input.shape.len() == 4
        && input.shape.iter().zip(channels_first).all(|(axis, wanted)| match (axis, wanted) {
            (Dimension::Fixed(length), Some(wanted)) => *length == wanted,
            _ => true,
        });
    agrees.then_some((name, sidecar))
}

/// The side of a square `batch × channels × side × side`.
fn side_of(value: &ValueInfo, channels: usize) -> Option<usize> {
    match value.shape.as_slice() {
        [_, Dimension::Fixed(found), Dimension::Fixed(height), Dimension::Fixed(width)]
            if *found == channels && height == width =>
        {
            Some(*height)
        }
        _ => None,
    }
}

fn maps_of(side: usize, outputs: &[ValueInfo]) -> usize {
    outputs.iter().filter(|output| output.element == "f32" && side_of(output, 1) == Some(side)).count()
}

/// A sidecar to begin with, shown when there is none.
pub(super) const EXAMPLE: &str = r#"size = [1024, 1024]          # width, height
layout = "nchw"              # or nhwc
scale = "1/255"              # or 1/max
mean = [0.485, 0.456, 0.406] # red, green, blue, after scaling
std = [0.229, 0.224, 0.225]
resize = "squash"            # or letterbox
output = 0                   # place or name
activation = "sigmoid"       # or none, softmax
foreground = [0]             # channels that are foreground
licence = "unknown""#;
