//! What a network's tensors are called in mmsegmentation, in Segmenter's own repository and in timm, and how to get from
//! one to another. Must not know shapes beyond a transposition. Inside Selvedge the names are mmsegmentation's.

use super::Weights;
use super::vit_names::{block_to_mmseg, block_to_timm, to_mmseg, to_timm};
use crate::graph::{Element, Error, Tensor};
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::fmt;

/// Who named the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Naming {
    /// mmsegmentation: `backbone.layers.0.ln1.weight`, `decode_head.…`. Old releases of it, and mmpretrain, which use
    /// parts of timm's names behind `backbone.`, or no prefix, are read too.
    Mmseg,
    /// github.com/rstrudel/segmenter: `encoder.blocks.0.norm1.weight`, `decoder.…`.
    Segmenter,
    /// timm's vision transformers, an encoder alone: `blocks.0.norm1.weight`.
    Timm,
}

impl fmt::Display for Naming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mmseg => "mmsegmentation",
            Self::Segmenter => "Segmenter",
            Self::Timm => "timm",
        })
    }
}

/// Whose names these are, or `None` if nobody's that is known.
pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Naming> {
    const SIGNS: [(&str, Naming); 10] = [
        ("encoder.blocks.", Naming::Segmenter),
        ("encoder.patch_embed.", Naming::Segmenter),
        ("backbone.", Naming::Mmseg),
        ("decode_head.", Naming::Mmseg),
        ("neck.", Naming::Mmseg),
        ("auxiliary_head.", Naming::Mmseg),
        ("patch_embed.projection.", Naming::Mmseg),
        ("layers.", Naming::Mmseg),
        ("patch_embed.proj.", Naming::Timm),
        ("blocks.", Naming::Timm),
    ];
    let sign = |name: &str| SIGNS.iter().position(|(start, _)| name.starts_with(start));
    let first = names.into_iter().filter_map(sign).min()?;
    SIGNS.get(first).map(|(_, naming)| *naming)
}

/// What renaming does to the numbers.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Keep,
    /// Swaps the two axes of a matrix.
    Transpose,
    /// A matrix (out, in) as a 1×1 convolution (out, in, 1, 1), and back.
    Convolution,
    Matrix,
}

/// Segmenter's mask decoder around its blocks: `weight` or `bias` follows. Segmenter, mmsegmentation.
const DECODER: [(&str, &str); 3] =
    [("proj_dec.", "dec_proj."), ("decoder_norm.", "decoder_norm."), ("mask_norm.", "mask_norm.")];
/// Its single tensors: Segmenter multiplies by the matrices from the right.
const SINGLE: [(&str, &str, Change); 3] = [
    ("cls_emb", "cls_emb", Change::Keep),
    ("proj_patch", "patch_proj.weight", Change::Transpose),
    ("proj_classes", "classes_proj.weight", Change::Transpose),
];

/// Gives weights the names used here, transposing where the schemes differ. Names that are part of no network here stay
/// as they are ([`super::fit`] reports them as unused). A patch embedding without a bias, as mmsegmentation 1.2.2 makes
/// it, gets zeros. An error if the names are nobody's, or those of a distilled network with two class tokens.
pub fn to_canonical(weights: Weights) -> Result<Weights, Error> {
    let naming = detect(weights.tensors.keys().map(String::as_str)).ok_or_else(|| Error::Weights {
        detail: format!(
            "the names {} are not those of mmsegmentation, Segmenter or timm",
            weights.tensors.keys().take(3).cloned().collect::<Vec<_>>().join(", ")
        ),
    })?;
    if let Some(name) = weights.tensors.keys().find(|name| name.ends_with("dist_token")) {
        let detail = format!(
            "{name} shows a distilled DeiT with two class tokens; take one with one (ViT, or DeiT not distilled)"
        );
        return Err(Error::Weights { detail });
    }
    let mut tensors = BTreeMap::new();
    for (name, tensor) in weights.tensors {
        let (renamed, change) = canonical(&name, naming).unwrap_or_else(|| (name.clone(), Change::Keep));
        let tensor = changed(&name, tensor, change)?;
        if tensors.insert(renamed.clone(), tensor).is_some() {
            return Err(Error::Weights {
                detail: format!("two tensors of the file are both {renamed}; one is {name}"),
            });
        }
    }
    let bias = "backbone.patch_embed.projection.bias";
    let weight = tensors.get("backbone.patch_embed.projection.weight").filter(|weight| !weight.is_empty());
    let outputs = weight.and_then(|weight| weight.dims().first().copied());
    if let Some(outputs) = outputs.filter(|_| !tensors.contains_key(bias)) {
        tensors.insert(bias.into(), Tensor::full(&[outputs], 0.0));
    }
    Ok(Weights { tensors, metadata: weights.metadata })
}

/// Gives weights with the names used here those of `naming`. timm names encoders only: other tensors are left out.
/// Segmenter has no names for necks, auxiliary heads or decoders of SETR: an error.
pub fn from_canonical(weights: &Weights, naming: Naming) -> Result<Weights, Error> {
    let mut tensors = BTreeMap::new();
    for (name, tensor) in &weights.tensors {
        let renamed = match naming {
            Naming::Mmseg => Some((name.clone(), Change::Keep)),
            Naming::Timm if !name.starts_with("backbone.") => continue,
            Naming::Timm => name.strip_prefix("backbone.").and_then(to_timm).map(|name| (name, Change::Keep)),
            Naming::Segmenter => segmenter(name),
        };
        let (renamed, change) =
            renamed.ok_or_else(|| Error::Weights { detail: format!("{naming} has no name for {name}") })?;
        tensors.insert(renamed, changed(name, tensor.clone(), change)?);
    }
    Ok(Weights { tensors, metadata: weights.metadata.clone() })
}

fn canonical(name: &str, naming: Naming) -> Option<(String, Change)> {
    let encoder = |name: &str| to_mmseg(name).map(|name| (format!("backbone.{name}"), Change::Keep));
    match naming {
        Naming::Segmenter => match name.strip_prefix("decoder.") {
            Some(rest) => from_segmenter_decoder(rest).map(|(name, change)| (format!("decode_head.{name}"), change)),
            None => name.strip_prefix("encoder.").and_then(encoder),
        },
        Naming::Mmseg | Naming::Timm => encoder(name.strip_prefix("backbone.").unwrap_or(name)),
    }
}

fn from_segmenter_decoder(name: &str) -> Option<(String, Change)> {
    if let Some((_, to, change)) = SINGLE.iter().find(|(from, ..)| *from == name) {
        return Some(((*to).into(), *change));
    }
    match name {
        "head.weight" => return Some(("conv_seg.weight".into(), Change::Convolution)),
        "head.bias" => return Some(("conv_seg.bias".into(), Change::Keep)),
        _ => {}
    }
    let around = || DECODER.iter().find_map(|(from, to)| name.strip_prefix(from).map(|last| format!("{to}{last}")));
    name.strip_prefix("blocks.").map_or_else(around, block_to_mmseg).map(|name| (name, Change::Keep))
}

fn segmenter(name: &str) -> Option<(String, Change)> {
    if let Some(rest) = name.strip_prefix("backbone.") {
        return to_timm(rest).map(|name| (format!("encoder.{name}"), Change::Keep));
    }
    let rest = name.strip_prefix("decode_head.")?;
    if let Some((to, _, change)) = SINGLE.iter().find(|(_, from, _)| *from == rest) {
        return Some((format!("decoder.{to}"), *change));
    }
    match rest {
        "conv_seg.weight" => return Some(("decoder.head.weight".into(), Change::Matrix)),
        "conv_seg.bias" => return Some(("decoder.head.bias".into(), Change::Keep)),
        _ => {}
    }
    let around = || DECODER.iter().find_map(|(to, from)| rest.strip_prefix(from).map(|last| format!("{to}{last}")));
    let inner = rest.strip_prefix("layers.").map_or_else(around, block_to_timm)?;
    Some((format!("decoder.{inner}"), Change::Keep))
}

fn changed(name: &str, tensor: Tensor, change: Change) -> Result<Tensor, Error> {
    match (change, tensor.dims()) {
        (Change::Keep, _) => Ok(tensor),
        (Change::Transpose, &[rows, columns]) => transposed(&tensor, rows, columns),
        (Change::Convolution, &[outputs, inputs]) => tensor.with_dims(&[outputs, inputs, 1, 1]),
        (Change::Matrix, &[outputs, inputs, 1, 1]) => tensor.with_dims(&[outputs, inputs]),
        (_, dims) => Err(Error::Weights { detail: format!("{name} has the shape {dims:?}, a matrix was expected") }),
    }
}

fn transposed(tensor: &Tensor, rows: usize, columns: usize) -> Result<Tensor, Error> {
    let size = Element::size(tensor.element());
    let data = tensor.data();
    let mut out = BytesMut::with_capacity(data.len());
    // An axis of length 0 leaves nothing to do, however long the other says it is.
    for column in 0..columns.min(data.len()) {
        for row in 0..rows {
            let at = (row * columns + column) * size;
            out.extend_from_slice(data.get(at..at + size).unwrap_or_default());
        }
    }
    Tensor::new(tensor.element(), vec![columns, rows], Bytes::from(out))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(names: &[(&str, &[usize])]) -> Weights {
        let tensors = names.iter().map(|(name, dims)| ((*name).to_owned(), Tensor::full(dims, 1.0))).collect();
        Weights { tensors, metadata: BTreeMap::new() }
    }

    fn renamed(name: &str) -> String {
        to_canonical(of(&[(name, &[1, 1, 2])])).unwrap().tensors.into_keys().next().unwrap()
    }

    #[test]
    fn names_are_told_apart_whatever_their_order() {
        assert_eq!(detect(["encoder.head.bias", "encoder.blocks.0.norm1.bias"]), Some(Naming::Segmenter));
        assert_eq!(detect(["backbone.blocks.0.norm1.bias"]), Some(Naming::Mmseg));
        assert_eq!(detect(["head.bias", "blocks.0.norm1.bias"]), Some(Naming::Timm));
        assert_eq!(detect(["layers.0.ln1.bias", "cls_token"]), Some(Naming::Mmseg));
        assert_eq!(detect(["fc.weight", "layer1.0.conv1.weight"]), None);
        let error = to_canonical(of(&[("fc.weight", &[2, 2])])).unwrap_err().to_string();
        assert!(error.contains("the names fc.weight are not those of mmsegmentation"), "{error}");
    }

    #[test]
    fn older_and_other_spellings_of_an_encoder_are_one() {
        for (name, wanted) in [
            ("backbone.blocks.7.attn.qkv.bias", "backbone.layers.7.attn.attn.in_proj_bias"),
            ("backbone.layers.7.attn.qkv.weight", "backbone.layers.7.attn.attn.in_proj_weight"),
            ("backbone.layers.7.attn.proj.weight", "backbone.layers.7.attn.attn.out_proj.weight"),
            ("layers.0.ffn.layers.0.0.weight", "backbone.layers.0.ffn.layers.0.0.weight"),
            ("backbone.norm.weight", "backbone.ln1.weight"),
            ("blocks.11.mlp.fc2.bias", "backbone.layers.11.ffn.layers.1.bias"),
            ("backbone.layers.0.gamma", "backbone.layers.0.gamma"),
            ("decode_head.layers.0.ln1.weight", "decode_head.layers.0.ln1.weight"),
            ("neck.norm.0.weight", "neck.norm.0.weight"),
            ("encoder.blocks.x.norm1.weight", "encoder.blocks.x.norm1.weight"),
        ] {
            assert_eq!(renamed(name), wanted);
        }
    }

    #[test]
    fn a_patch_embedding_without_bias_gets_zeros() {
        let weights = to_canonical(of(&[("backbone.patch_embed.projection.weight", &[4, 3, 2, 2])])).unwrap();
        let bias = weights.tensors.get("backbone.patch_embed.projection.bias").unwrap();
        assert_eq!(bias, &Tensor::full(&[4], 0.0));
    }

    #[test]
    fn an_empty_matrix_that_claims_to_be_long_costs_nothing() {
        let empty = Tensor::f32(&[0, 1 << 40], &[]).unwrap();
        let mut weights = of(&[("encoder.blocks.0.norm1.bias", &[2])]);
        weights.tensors.insert("decoder.proj_patch".into(), empty);
        let long = Tensor::f32(&[1 << 40, 0, 1, 1], &[]).unwrap();
        weights.tensors.insert("encoder.patch_embed.proj.weight".into(), long);
        let canonical = to_canonical(weights).unwrap();
        assert_eq!(canonical.tensors.get("decode_head.patch_proj.weight").unwrap().dims(), [1 << 40, 0]);
    }

    #[test]
    fn what_cannot_be_named_is_an_error() {
        let twice = of(&[("backbone.norm.bias", &[2]), ("backbone.ln1.bias", &[2])]);
        assert!(to_canonical(twice).unwrap_err().to_string().contains("both backbone.ln1.bias"));
        let distilled = of(&[("blocks.0.norm1.bias", &[2]), ("dist_token", &[1, 1, 2])]);
        assert!(to_canonical(distilled).unwrap_err().to_string().contains("two class tokens"));
        let matrix = of(&[("encoder.blocks.0.norm1.bias", &[2]), ("decoder.proj_patch", &[2, 2, 1])]);
        assert!(to_canonical(matrix).unwrap_err().to_string().contains("decoder.proj_patch has the shape [2, 2, 1]"));
        let neck = from_canonical(&of(&[("neck.norm.0.weight", &[2])]), Naming::Segmenter).unwrap_err().to_string();
        assert!(neck.contains("Segmenter has no name for neck.norm.0.weight"), "{neck}");
    }
}
