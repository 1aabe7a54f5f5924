//! The names of a vision transformer's tensors in mmsegmentation and in timm, side by side. Must not know decoders.

/// Beginnings of names of a block's tensors; `weight` or `bias` follows. timm, mmsegmentation.
const BLOCK: [(&str, &str); 6] = [
    ("norm1.", "ln1."),
    ("norm2.", "ln2."),
    ("attn.qkv.", "attn.attn.in_proj_"),
    ("attn.proj.", "attn.attn.out_proj."),
    ("mlp.fc1.", "ffn.layers.0.0."),
    ("mlp.fc2.", "ffn.layers.1."),
];
/// The same around the blocks.
const AROUND: [(&str, &str); 2] = [("patch_embed.proj.", "patch_embed.projection."), ("norm.", "ln1.")];
/// What both call the same.
const TOKENS: [&str; 2] = ["cls_token", "pos_embed"];

/// The mmsegmentation name of an encoder's tensor, from timm's name or its own; `None` if it is no encoder's.
pub(super) fn to_mmseg(name: &str) -> Option<String> {
    if TOKENS.contains(&name) {
        return Some(name.into());
    }
    let block = name.strip_prefix("blocks.").or_else(|| name.strip_prefix("layers."));
    block.map_or_else(|| swap(name, &AROUND), block_to_mmseg)
}

/// As [`to_mmseg`], for what follows `blocks.` or `layers.`.
pub(super) fn block_to_mmseg(rest: &str) -> Option<String> {
    let (number, rest) = numbered(rest)?;
    swap(rest, &BLOCK).map(|rest| format!("layers.{number}.{rest}"))
}

/// timm's name of an encoder's tensor, from mmsegmentation's.
pub(super) fn to_timm(name: &str) -> Option<String> {
    if TOKENS.contains(&name) {
        return Some(name.into());
    }
    let block = name.strip_prefix("layers.");
    block.map_or_else(|| swap(name, &AROUND.map(turned)), block_to_timm)
}

/// As [`to_timm`], for what follows `layers.`.
pub(super) fn block_to_timm(rest: &str) -> Option<String> {
    let (number, rest) = numbered(rest)?;
    swap(rest, &BLOCK.map(turned)).map(|rest| format!("blocks.{number}.{rest}"))
}

fn turned<'a>((from, to): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (to, from)
}

fn numbered(rest: &str) -> Option<(&str, &str)> {
    let (number, rest) = rest.split_once('.')?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then_some((number, rest))
}

/// Puts the second beginning for the first; a name that has the second already stays.
fn swap(name: &str, pairs: &[(&str, &str)]) -> Option<String> {
    pairs.iter().find_map(|(from, to)| {
        let last = name.strip_prefix(from).or_else(|| name.strip_prefix(to))?;
        matches!(last, "weight" | "bias").then(|| format!("{to}{last}"))
    })
}
