//! What network to build: its family, its sizes, and what is drawn at random while it trains. Must not know operators.

use crate::graph::Error;
use std::collections::BTreeMap;
use std::fmt;

/// A family of networks with its decoder. All of them begin with a ViT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// Segmenter with the mask transformer.
    SegmenterMask,
    /// Segmenter with one linear layer.
    SegmenterLinear,
    /// SETR: one 1×1 convolution, one upsampling.
    SetrNaive,
    /// SETR with progressive upsampling.
    SetrPup,
    /// SETR with multi-level aggregation.
    SetrMla,
}

impl Arch {
    /// Whether it is a SETR: taps inside the encoder, batch norm in the heads, auxiliary heads while training.
    pub fn is_setr(self) -> bool {
        matches!(self, Self::SetrNaive | Self::SetrPup | Self::SetrMla)
    }
}

impl fmt::Display for Arch {
    /// As in the metadata of reference files: `segmenter_mask`, `setr_pup`, ….
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SegmenterMask => "segmenter_mask",
            Self::SegmenterLinear => "segmenter_linear",
            Self::SetrNaive => "setr_naive",
            Self::SetrPup => "setr_pup",
            Self::SetrMla => "setr_mla",
        })
    }
}

const ARCHS: [Arch; 5] = [Arch::SegmenterMask, Arch::SegmenterLinear, Arch::SetrNaive, Arch::SetrPup, Arch::SetrMla];

/// Which branches of a block drop-path may leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DropPathOn {
    /// Attention and MLP, each by a draw of its own: mmsegmentation up to 0.22, the official Segmenter, the paper.
    #[default]
    Both,
    /// The MLP alone: mmsegmentation from 0.30 on.
    Mlp,
}

/// The description of a network. [`build`](super::build) makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Family and decoder.
    pub arch: Arch,
    /// Width of the encoder's tokens; a multiple of `heads`. The MLP is four times as wide.
    pub width: usize,
    /// Blocks of the encoder.
    pub layers: usize,
    /// Heads of each attention, in Segmenter's decoder too.
    pub heads: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Classes, the background among them.
    pub classes: usize,
    /// Height and width of the pictures in pixels. Where they are no multiples of `patch`, zeros (the mean colour, as
    /// pictures are normalised) are added at the bottom and at the right; the logits of that larger grid are then
    /// stretched onto the picture, as mmsegmentation does, and not cropped.
    pub size: (usize, usize),
    /// Blocks whose outputs the decoder uses, counted from 0, ascending; the last one is the encoder's last.
    pub taps: Vec<usize>,
    /// SETR: channels of the decoder's maps (each branch of MLA's head has half of them, so it is even there). Without
    /// effect in Segmenter, whose decoder is as wide as its encoder.
    pub decoder_channels: usize,
    /// Channels of each of MLA's branches; of no meaning elsewhere.
    pub branch_channels: usize,
    /// Blocks of the mask transformer; without effect elsewhere.
    pub decoder_layers: usize,
    /// Of the encoder's layer norms.
    pub encoder_epsilon: f32,
    /// Of the layer norms in heads and neck.
    pub decoder_epsilon: f32,
    /// How often a branch of the encoder's last block is left out while training, 0 to below 1; of the first block never,
    /// in between linearly more. 0 means that no mask goes into the graph.
    pub drop_path: f32,
    /// The same over the blocks of the mask transformer.
    pub decoder_drop_path: f32,
    /// Which branches drop-path is for.
    pub drop_path_on: DropPathOn,
    /// How often a number of the mask transformer is dropped while training (in the attention map, and after its
    /// projection and both layers of the MLP), 0 to below 1. The official Segmenter has 0.1, mmsegmentation 0.
    pub decoder_dropout: f32,
}

/// Name, width, layers, heads.
const VITS: [(&str, usize, usize, usize); 5] =
    [("xs", 96, 3, 3), ("t", 192, 12, 3), ("s", 384, 12, 6), ("b", 768, 12, 12), ("l", 1024, 24, 16)];

/// The ViT of the small SETRs: a block for each of their four taps.
const SETR_XS: (&str, usize, usize, usize) = ("xs", 96, 4, 3);

/// Names without the suffix of the patch.
const NAMES: [&str; 16] = [
    "segmenter-vit-xs-mask",
    "segmenter-vit-xs-linear",
    "segmenter-vit-t-mask",
    "segmenter-vit-s-mask",
    "segmenter-vit-b-mask",
    "segmenter-vit-l-mask",
    "segmenter-vit-t-linear",
    "segmenter-vit-s-linear",
    "segmenter-vit-b-linear",
    "segmenter-vit-l-linear",
    "setr-naive",
    "setr-pup",
    "setr-mla",
    "setr-xs-naive",
    "setr-xs-pup",
    "setr-xs-mla",
];

impl Config {
    /// A published network by its name, as mmsegmentation defines it, with nothing dropped at random:
    /// `segmenter-vit-{t,s,b,l}-{mask,linear}` and `setr-{naive,pup,mla}` (ViT-L), with patches of 16 pixels, or of 8 or
    /// 4 with `/8` or `/4` behind the name; and `segmenter-vit-xs-{mask,linear}` and `setr-xs-{naive,pup,mla}`, which
    /// nobody published: small enough to be trained on a processor. `size` is height and width of the pictures.
    pub fn named(name: &str, classes: usize, size: (usize, usize)) -> Result<Self, Error> {
        let (base, patch) = match name.split_once('/') {
            None => (name, 16),
            Some((base, "4")) => (base, 4),
            Some((base, "8")) => (base, 8),
            Some((base, "16")) => (base, 16),
            Some((base, other)) => {
                let detail = format!(
                    "`{name}` asks for patches of `{other}` pixels; `{base}/4`, `{base}/8` and `{base}` (16) are known"
                );
                return Err(Error::Network { detail });
            }
        };
        let arch = match base.rsplit('-').next() {
            _ if !NAMES.contains(&base) => return Err(unknown(name, base)),
            Some("mask") => Arch::SegmenterMask,
            Some("linear") => Arch::SegmenterLinear,
            Some("naive") => Arch::SetrNaive,
            Some("pup") => Arch::SetrPup,
            _ => Arch::SetrMla,
        };
        let small = base.starts_with("setr-xs-");
        let vit = match small {
            true => Some(&SETR_XS),
            false => VITS.iter().find(|(letter, ..)| base.contains(&format!("-vit-{letter}-"))),
        };
        // SETR is built on the largest.
        let (_, width, layers, heads) = *vit.unwrap_or(&VITS[VITS.len() - 1]);
        let taps = match arch {
            Arch::SegmenterMask | Arch::SegmenterLinear => vec![layers - 1],
            _ if small => (0..layers).collect(),
            Arch::SetrNaive | Arch::SetrPup => vec![9, 14, 19, 23],
            Arch::SetrMla => vec![5, 11, 17, 23],
        };
        let mut config = Self { width, layers, heads, patch, taps, ..Self::base(arch, classes, size) };
        if small {
            (config.decoder_channels, config.branch_channels) = (32, 16);
        }
        config.check()?;
        Ok(config)
    }

    /// The network of a reference file, by the file's metadata: `model`, `D`, `L`, `h`, `ps`, `taps`, `ch`, `n`, `H`, `W`.
    pub fn golden(metadata: &BTreeMap<String, String>) -> Result<Self, Error> {
        let get = |key: &str| {
            let detail = || format!("the metadata have no `{key}`");
            metadata.get(key).map(String::as_str).ok_or_else(|| Error::Network { detail: detail() })
        };
        let bad = |key: &str, text: &str| Error::Network { detail: format!("`{key}` in the metadata is `{text}`") };
        let number = |key: &str| get(key).and_then(|text| text.parse().map_err(|_| bad(key, text)));
        let model = get("model")?;
        let Some(arch) = ARCHS.into_iter().find(|arch| arch.to_string() == model) else {
            let known = ARCHS.map(|arch| arch.to_string()).join(", ");
            return Err(Error::Network { detail: format!("the model `{model}` is not one of {known}") });
        };
        let layers: usize = number("L")?;
        let taps = match arch.is_setr() {
            false => vec![layers.saturating_sub(1)],
            true => {
                let text = get("taps")?;
                let inner = text.trim().trim_start_matches('[').trim_end_matches(']');
                let taps: Result<Vec<usize>, _> = inner.split(',').map(|tap| tap.trim().parse()).collect();
                taps.map_err(|_| bad("taps", text))?
            }
        };
        let config = Self {
            width: number("D")?,
            layers,
            heads: number("h")?,
            patch: number("ps")?,
            taps,
            decoder_channels: if arch.is_setr() { number("ch")? } else { DECODER_CHANNELS },
            branch_channels: GOLDEN_BRANCH_CHANNELS,
            ..Self::base(arch, number("n")?, (number("H")?, number("W")?))
        };
        config.check()?;
        Ok(config)
    }

    fn base(arch: Arch, classes: usize, size: (usize, usize)) -> Self {
        Self {
            arch,
            width: 0,
            layers: 0,
            heads: 0,
            patch: 0,
            classes,
            size,
            taps: Vec::new(),
            decoder_channels: DECODER_CHANNELS,
            branch_channels: DECODER_CHANNELS / 2,
            decoder_layers: 2,
            encoder_epsilon: 1e-6,
            decoder_epsilon: if arch.is_setr() { 1e-6 } else { 1e-5 },
            drop_path: 0.0,
            decoder_drop_path: 0.0,
            drop_path_on: DropPathOn::Both,
            decoder_dropout: 0.0,
        }
    }

    /// Rows and columns of patches.
    pub fn grid(&self) -> (usize, usize) {
        let patch = self.patch.max(1);
        (self.size.0.div_ceil(patch), self.size.1.div_ceil(patch))
    }

    /// Whether a network can be made of it.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |detail: String| Err(Error::Network { detail });
        let limits = [
            ("the width", self.width, 1, 16_384),
            ("the number of layers", self.layers, 1, 256),
            ("the number of heads", self.heads, 1, 1024),
            ("the patch", self.patch, 1, 1024),
            ("the number of classes", self.classes, 2, 4096),
            ("the height", self.size.0, 1, 16_384),
            ("the width in pixels", self.size.1, 1, 16_384),
            ("the number of the decoder's channels", self.decoder_channels, 1, 16_384),
            ("the number of a branch's channels", self.branch_channels, 1, 16_384),
            ("the number of the decoder's layers", self.decoder_layers, 1, 256),
        ];
        for (what, value, low, high) in limits {
            if !(low..=high).contains(&value) {
                return fail(format!("{what} is {value}, and can be {low} to {high}"));
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return fail(format!("the width {} cannot be shared by {} heads", self.width, self.heads));
        }
        let ascending = self.taps.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || self.taps.last().is_none_or(|last| *last >= self.layers) {
            return fail(format!(
                "the taps {:?} must ascend among the {} layers, the first of which is 0",
                self.taps, self.layers
            ));
        }
        let rates = [
            ("drop_path", self.drop_path),
            ("decoder_drop_path", self.decoder_drop_path),
            ("decoder_dropout", self.decoder_dropout),
        ];
        for (what, rate) in rates {
            if !(0.0..1.0).contains(&rate) {
                return fail(format!("{what} is {rate}, and can be 0 to below 1"));
            }
        }
        for epsilon in [self.encoder_epsilon, self.decoder_epsilon] {
            if !(epsilon.is_finite() && epsilon > 0.0) {
                return fail(format!("the epsilon of a norm is {epsilon}, and must be above 0"));
            }
        }
        Ok(())
    }
}

const DECODER_CHANNELS: usize = 256;
/// Of the tiny networks with known numbers, whatever their neck's width.
const GOLDEN_BRANCH_CHANNELS: usize = 8;

fn unknown(name: &str, base: &str) -> Error {
    let near = NAMES.iter().min_by_key(|known| strsim::damerau_levenshtein(base, known)).copied().unwrap_or(NAMES[0]);
    Error::Network {
        detail: format!(
            "`{name}` is not known; did you mean `{near}`? Known are {}; `/8` behind a name makes the patches 8 pixels \
             wide instead of 16",
            NAMES.join(", ")
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_say_encoder_decoder_and_patch() {
        let config = Config::named("segmenter-vit-b-linear/8", 28, (512, 384)).unwrap();
        assert_eq!((config.arch, config.width, config.layers, config.heads), (Arch::SegmenterLinear, 768, 12, 12));
        assert_eq!((config.patch, config.grid(), config.taps), (8, (64, 48), vec![11]));
        let config = Config::named("setr-mla", 28, (500, 512)).unwrap();
        assert_eq!((config.arch, config.width, config.layers), (Arch::SetrMla, 1024, 24));
        assert_eq!((config.patch, config.grid(), config.taps), (16, (32, 32), vec![5, 11, 17, 23]));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (name, near) in [("segmenter-vit-m-mask", "segmenter-vit-"), ("setr_pup", "`setr-pup`"), ("", "setr-")] {
            let error = Config::named(name, 28, (512, 512)).unwrap_err().to_string();
            assert!(error.contains("did you mean") && error.contains(near) && error.contains("setr-naive"), "{error}");
        }
        let error = Config::named("setr-pup/7", 28, (512, 512)).unwrap_err().to_string();
        assert!(error.contains("`setr-pup/8`"), "{error}");
    }

    #[test]
    fn what_makes_no_network_is_refused() {
        let good = Config::named("setr-mla", 28, (64, 64)).unwrap();
        let bad = [
            Config { heads: 7, ..good.clone() },
            Config { taps: vec![5, 3, 23], ..good.clone() },
            Config { taps: vec![5, 24], ..good.clone() },
            Config { taps: Vec::new(), ..good.clone() },
            Config { branch_channels: 0, ..good.clone() },
            Config { classes: 1, ..good.clone() },
            Config { size: (0, 64), ..good.clone() },
            Config { drop_path: 1.0, ..good.clone() },
            Config { drop_path: f32::NAN, ..good.clone() },
            Config { decoder_epsilon: 0.0, ..good.clone() },
        ];
        for config in bad {
            assert!(matches!(config.check(), Err(Error::Network { .. })), "{config:?}");
        }
        good.check().unwrap();
    }
}
