//! First values of weights that come from no file. Must not know networks' structure: it goes by names. A tensor's
//! values depend on the seed and its name only, never on the order in which tensors are made.

use crate::graph::{Error, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// How first values are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Normal around 0, drawn again outside ±2, as PyTorch's `trunc_normal_` does.
    TruncNormal {
        /// Standard deviation.
        std: f32,
    },
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Normal with variance 2 / (inputs of one output), for a weight (out, in, …).
    KaimingFanIn,
    /// Normal with variance 2 / (outputs that one input reaches), for a weight (out, in, …).
    KaimingFanOutRelu,
    /// Normal with variance gain² / (inputs of one output), for a weight (out, in, …).
    FanIn {
        /// What the standard deviation is multiplied by.
        gain: f32,
    },
    /// Position embeddings (1, class token and patches, width): each patch's row and column as sines and cosines of falling
    /// frequency, a quarter of the width for each; 0 for the class token.
    Waves {
        /// Columns of patches.
        columns: usize,
        /// The greatest number.
        gain: f32,
    },
    /// 0.
    Zeros,
    /// 1.
    Ones,
}

/// Whether a tensor counts batches: a 64-bit integer, where all others here are 32-bit floats.
pub(super) fn counts_batches(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

/// First values of a tensor: 32-bit floats, or 64-bit integers for `num_batches_tracked`. An error if a convolution's or
/// linear layer's rule meets a tensor with fewer than two axes.
pub fn init(kind: Init, dims: &[usize], seed: u64, name: &str) -> Result<Tensor, Error> {
    let count = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    let count =
        count.ok_or_else(|| Error::Weights { detail: format!("{name} with the shape {dims:?} is too large") })?;
    let fan = |axes: [usize; 2]| match dims {
        [outputs, inputs, window @ ..] if count > 0 => {
            let [outputs, inputs] = [axes[0] * outputs, axes[1] * inputs];
            Ok((2.0 / ((outputs + inputs) * window.iter().product::<usize>()) as f64).sqrt())
        }
        _ => Err(Error::Weights { detail: format!("{name} with the shape {dims:?} is no layer's weight") }),
    };
    let (std, bound) = match kind {
        Init::Zeros if counts_batches(name) => return Tensor::i64(dims, &vec![0; count]),
        Init::Zeros => return Ok(Tensor::full(dims, 0.0)),
        Init::Ones => return Ok(Tensor::full(dims, 1.0)),
        Init::TruncNormal { std } => (f64::from(std), 2.0),
        Init::Normal { std } => (f64::from(std), f64::INFINITY),
        Init::Waves { columns, gain } => return waves(dims, columns.max(1), gain),
        Init::FanIn { gain } => (fan([0, 1])? * f64::from(gain) / 2.0_f64.sqrt(), f64::INFINITY),
        Init::KaimingFanIn => (fan([0, 1])?, f64::INFINITY),
        Init::KaimingFanOutRelu => (fan([1, 0])?, f64::INFINITY),
    };
    let mut normal = Normal { random: stream(seed, name), spare: None };
    let mut draw = || {
        loop {
            let value = normal.next() * std;
            if value.abs() <= bound {
                return value as f32;
            }
        }
    };
    let values: Vec<f32> = (0..count).map(|_| draw()).collect();
    Tensor::f32(dims, &values)
}

/// The rule for a tensor of Segmenter or SETR by its name, as mmsegmentation starts them: linear layers and tokens
/// normal 0.02 with zero biases (1e-6 for the encoder's MLPs), the patch embedding by its inputs, classifiers 0.01,
/// other convolutions by their outputs, norms 1 and 0.
pub fn init_for(name: &str, dims: &[usize]) -> Init {
    let (layer, last) = name.rsplit_once('.').unwrap_or(("", name));
    let norm = layer
        .rsplit('.')
        .find(|part| part.parse::<usize>().is_err())
        .is_some_and(|part| matches!(part, "ln1" | "ln2" | "norm" | "decoder_norm" | "mask_norm" | "bn"));
    match last {
        "running_var" => Init::Ones,
        "weight" if norm => Init::Ones,
        "running_mean" | "num_batches_tracked" => Init::Zeros,
        "bias" if name.starts_with("backbone.") && layer.contains(".ffn.") => Init::Normal { std: 1e-6 },
        _ if last.ends_with("bias") => Init::Zeros,
        _ if layer.ends_with("patch_embed.projection") => Init::KaimingFanIn,
        _ if layer.ends_with("conv_seg") => Init::Normal { std: 0.01 },
        _ if dims.len() == 4 => Init::KaimingFanOutRelu,
        _ => Init::TruncNormal { std: 0.02 },
    }
}

/// How a network begins that no file gives weights to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// As mmsegmentation starts it, for days of training on many GPUs: [`init_for`].
    #[default]
    Published,
    /// Each layer gives numbers about as large as it gets, branches half of that; positions can be told apart from the first
    /// step on. A small network learns something from nothing within minutes so.
    FanIn,
}

impl Start {
    /// The rule for a tensor by its name; `columns` is how many patches lie side by side.
    pub fn rule(self, name: &str, dims: &[usize], columns: usize) -> Init {
        let published = init_for(name, dims);
        let weight = matches!(published, Init::TruncNormal { .. } | Init::KaimingFanIn | Init::KaimingFanOutRelu);
        let ends = |end: &str| name.ends_with(end);
        match self {
            Self::Published => published,
            Self::FanIn if ends("pos_embed") => Init::Waves { columns, gain: 0.5 },
            Self::FanIn if ends("cls_token") => Init::Zeros,
            Self::FanIn if ends("cls_emb") => published,
            Self::FanIn if ends("conv_seg.weight") => Init::FanIn { gain: 0.3 },
            Self::FanIn if ends("out_proj.weight") || ends("ffn.layers.1.weight") => Init::FanIn { gain: 0.5 },
            Self::FanIn if weight && dims.len() >= 2 => Init::FanIn { gain: 1.0 },
            Self::FanIn => published,
        }
    }
}

fn waves(dims: &[usize], columns: usize, gain: f32) -> Result<Tensor, Error> {
    let &[1, tokens, width] = dims else {
        return Err(Error::Weights { detail: format!("{dims:?} is no position embedding") });
    };
    let quarter = (width / 4).max(1);
    let class_tokens = tokens % columns;
    let mut values = vec![0.0_f32; tokens * width];
    for (patch, numbers) in values.chunks_exact_mut(width.max(1)).skip(class_tokens).enumerate() {
        let places = [(patch / columns) as f64, (patch % columns) as f64];
        for (index, number) in numbers.iter_mut().take(4 * quarter).enumerate() {
            let frequency = std::f64::consts::FRAC_PI_2 * 30_f64.powf(-((index % quarter) as f64) / quarter as f64);
            let angle = frequency * places[index / (2 * quarter)];
            let wave = if index / quarter % 2 == 0 { angle.sin() } else { angle.cos() };
            *number = (wave * f64::from(gain)) as f32;
        }
    }
    Tensor::f32(dims, &values)
}

/// The random numbers of one tensor: the seed and a hash (FNV-1a) of the name are the key.
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut key = [0; 32];
    for (to, from) in key.iter_mut().zip(seed.to_le_bytes().into_iter().chain(hash.to_le_bytes())) {
        *to = from;
    }
    ChaCha8Rng::from_seed(key)
}

/// Box and Muller's way from two uniform numbers to two normal ones.
struct Normal {
    random: ChaCha8Rng,
    spare: Option<f64>,
}

impl Normal {
    fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // In (0, 1], where the logarithm is finite.
        let mut uniform = || ((self.random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let radius = (-2.0 * uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn moments(tensor: &Tensor) -> (f64, f64) {
        let values = tensor.to_f64();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn a_tensor_depends_on_seed_and_name_only() {
        let draw = |seed, name| init(Init::Normal { std: 1.0 }, &[2, 3], seed, name).unwrap();
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
        // A longer tensor of the same name begins with the same values: nothing else is drawn in between.
        let longer = init(Init::Normal { std: 1.0 }, &[3, 3], 7, "a").unwrap();
        assert_eq!(longer.to_f32().get(..6), Some(draw(7, "a").to_f32().as_slice()));
    }

    #[test]
    fn spreads_are_those_asked_for() {
        for (kind, dims, wanted) in [
            (Init::TruncNormal { std: 0.02 }, &[200, 200][..], 0.02),
            (Init::Normal { std: 0.01 }, &[200, 200], 0.01),
            (Init::KaimingFanIn, &[64, 3, 16, 16], (2.0_f64 / 768.0).sqrt()),
            (Init::KaimingFanOutRelu, &[128, 64, 3, 3], (2.0_f64 / 1152.0).sqrt()),
            // Outside ±2 of N(0, 2) nothing is left: sd of a normal cut at one sigma is 0.5396 of it.
            (Init::TruncNormal { std: 2.0 }, &[200, 200], 1.0792),
        ] {
            let tensor = init(kind, dims, 3, "w").unwrap();
            let (mean, std) = moments(&tensor);
            assert!(mean.abs() < wanted * 0.02 && (std / wanted - 1.0).abs() < 0.02, "{kind:?}: {mean} {std}");
        }
        assert!(init(Init::KaimingFanIn, &[4], 3, "w").is_err());
        assert!(init(Init::Zeros, &[usize::MAX, 2], 3, "w").is_err());
    }

    #[test]
    fn a_start_by_fan_in_keeps_the_size_of_numbers_and_tells_places_apart() {
        let rule = |name: &str, dims: &[usize]| Start::FanIn.rule(name, dims, 3);
        assert_eq!(rule("backbone.layers.0.ffn.layers.0.0.weight", &[8, 4]), Init::FanIn { gain: 1.0 });
        assert_eq!(rule("backbone.layers.0.attn.attn.out_proj.weight", &[4, 4]), Init::FanIn { gain: 0.5 });
        assert_eq!(rule("decode_head.conv_seg.weight", &[3, 4, 1, 1]), Init::FanIn { gain: 0.3 });
        assert_eq!(rule("backbone.ln1.weight", &[4]), Init::Ones);
        assert_eq!(rule("backbone.cls_token", &[1, 1, 4]), Init::Zeros);
        let drawn = init(Init::FanIn { gain: 1.0 }, &[200, 100], 1, "w").unwrap().to_f32();
        let deviation = (drawn.iter().map(|number| number * number).sum::<f32>() / drawn.len() as f32).sqrt();
        assert!((deviation - 0.1).abs() < 0.003, "{deviation}");
        let places = init(rule("backbone.pos_embed", &[1, 7, 8]), &[1, 7, 8], 1, "p").unwrap().to_f32();
        let rows: Vec<&[f32]> = places.chunks_exact(8).collect();
        assert!(rows[0].iter().all(|number| *number == 0.0), "the class token");
        assert!((1..7).all(|one| (one + 1..7).all(|other| rows[one] != rows[other])));
        assert_eq!(rows[1][..4], [0.0, 0.0, 0.5, 0.5], "row 0");
        assert_eq!(rows[4][4..], rows[1][4..], "the same column");
    }

    #[test]
    fn every_name_has_its_rule() {
        for (name, dims, rule) in [
            ("backbone.cls_token", &[1, 1, 192][..], Init::TruncNormal { std: 0.02 }),
            ("backbone.patch_embed.projection.weight", &[192, 3, 16, 16], Init::KaimingFanIn),
            ("backbone.patch_embed.projection.bias", &[192], Init::Zeros),
            ("backbone.layers.0.ln1.weight", &[192], Init::Ones),
            ("backbone.layers.0.attn.attn.in_proj_weight", &[576, 192], Init::TruncNormal { std: 0.02 }),
            ("backbone.layers.0.attn.attn.in_proj_bias", &[576], Init::Zeros),
            ("backbone.layers.0.ffn.layers.0.0.bias", &[768], Init::Normal { std: 1e-6 }),
            ("decode_head.layers.0.ffn.layers.0.0.bias", &[768], Init::Zeros),
            ("decode_head.cls_emb", &[1, 28, 192], Init::TruncNormal { std: 0.02 }),
            ("decode_head.patch_proj.weight", &[192, 192], Init::TruncNormal { std: 0.02 }),
            ("decode_head.mask_norm.weight", &[28], Init::Ones),
            ("decode_head.mask_norm.bias", &[28], Init::Zeros),
            ("decode_head.conv_seg.weight", &[28, 192, 1, 1], Init::Normal { std: 0.01 }),
            ("auxiliary_head.2.conv_seg.bias", &[28], Init::Zeros),
            ("neck.norm.3.weight", &[1024], Init::Ones),
            ("neck.mla.channel_proj.0.conv.weight", &[256, 1024, 1, 1], Init::KaimingFanOutRelu),
            ("decode_head.up_convs.0.1.bn.weight", &[128], Init::Ones),
            ("decode_head.up_convs.0.1.bn.running_var", &[128], Init::Ones),
            ("decode_head.up_convs.0.1.bn.running_mean", &[128], Init::Zeros),
            ("decode_head.up_convs.0.1.bn.num_batches_tracked", &[], Init::Zeros),
        ] {
            assert_eq!(init_for(name, dims), rule, "{name}");
        }
        let count = init(Init::Zeros, &[], 0, "x.bn.num_batches_tracked").unwrap();
        assert_eq!(count, Tensor::i64(&[], &[0]).unwrap());
    }
}
