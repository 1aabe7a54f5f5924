//! Weights from one file format and naming to another. Must not know graphs or networks: numbers stay as they are, but for
//! transpositions that a naming asks for.

use super::load;
use crate::graph::weights::{Naming, Weights, detect, from_canonical, to_canonical, write_pth, write_safetensors};
use crate::stage::Error;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// How to convert.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvertSettings {
    /// Whose names the tensors shall bear; `None` keeps those of the file.
    pub naming: Option<Naming>,
    /// Whether a file that is there may be replaced.
    pub force: bool,
}

/// What was converted.
#[derive(Clone, Debug, Serialize)]
pub struct Converted {
    /// The file that was read.
    pub from: String,
    /// The file that was written.
    pub to: String,
    /// How many tensors it holds.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Whose names were found; `None` when nobody's that is known.
    pub naming_from: Option<String>,
    /// Whose names were written; `None` when they were kept.
    pub naming_to: Option<String>,
    /// What the new file does not hold.
    pub left_out: Vec<LeftOut>,
    /// Tensors that the old file did not hold, by their new names.
    pub added: Vec<String>,
    /// The words of the file that were kept.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor or another entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name; where tensors are renamed, the one they have in mmsegmentation.
    pub name: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for Converted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}: {} tensors, {} bytes; names ", self.from, self.to, self.tensors, self.bytes)?;
        let unknown = "of nobody known";
        match (&self.naming_from, &self.naming_to) {
            (from, None) => write!(f, "kept ({})", from.as_deref().unwrap_or(unknown))?,
            (from, Some(to)) => write!(f, "{} → {to}", from.as_deref().unwrap_or(unknown))?,
        }
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for LeftOut { name, why } in &self.left_out {
            reasons.entry(why).or_default().push(name.escape_debug().to_string());
        }
        for (why, names) in reasons {
            write!(f, "\n  left out  {}, {}: {}", names.len(), why.escape_debug(), names.join(", "))?;
        }
        for name in &self.added {
            write!(f, "\n  added     {name}: zeros, since the network needs it and the file has none")?;
        }
        match self.metadata.is_empty() {
            true => Ok(()),
            false => {
                let keys: Vec<_> = self.metadata.keys().map(|key| key.escape_debug().to_string()).collect();
                write!(f, "\n  metadata  {}", keys.join(", "))
            }
        }
    }
}

/// The naming that a word of the command line means: `mmseg`, `segmenter`, `timm`, or `keep` for none.
pub fn naming(word: &str) -> Result<Option<Naming>, Error> {
    match word {
        "keep" => Ok(None),
        "mmseg" => Ok(Some(Naming::Mmseg)),
        "segmenter" => Ok(Some(Naming::Segmenter)),
        "timm" => Ok(Some(Naming::Timm)),
        other => {
            Err(Error::Usage(format!("`{other}` is no naming that is known; choose mmseg, segmenter, timm or keep")))
        }
    }
}

/// Why an optimiser's state and the like are left out.
const BESIDE: &str = "no tensors of the network";

#[derive(Clone, Copy)]
enum Format {
    Safetensors,
    Pth,
}

/// Reads weights (`.safetensors`, PyTorch checkpoint, initialisers of `.onnx`) and writes them in the format that the
/// ending of `to` says, whole or not at all.
pub fn convert(from: &Path, to: &Path, settings: &ConvertSettings) -> Result<Converted, Error> {
    let format = format(to)?;
    if !settings.force && to.exists() {
        return Err(Error::Usage(format!("{} is there already; replace it with --force", to.display())));
    }
    let (mut weights, left_out) = load(from)?;
    if weights.tensors.is_empty() {
        return Err(Error::Failed(format!("{} holds no weights", from.display())));
    }
    let mut left_out: Vec<LeftOut> = left_out.into_iter().map(|(name, why)| LeftOut { name, why }).collect();
    // What a checkpoint holds beside its tensors is only described by the reader.
    weights.metadata.retain(|key, word| match key.strip_prefix("skipped.") {
        Some(name) => {
            left_out.push(LeftOut { name: format!("{name} ({word})"), why: BESIDE.to_owned() });
            false
        }
        None => true,
    });
    let found = detect(weights.tensors.keys().map(String::as_str));
    let mut added = Vec::new();
    if let Some(naming) = settings.naming {
        weights = renamed(weights, naming, &mut left_out, &mut added)?;
    }
    let wrap = match (format, settings.naming.or(found)) {
        (Format::Pth, Some(Naming::Mmseg)) => Some("state_dict"),
        (Format::Pth, Some(Naming::Segmenter)) => Some("model"),
        _ => None,
    };
    if let (Format::Pth, None) = (format, wrap) {
        let why = "a checkpoint that is nothing but tensors has no place for words";
        let lost = std::mem::take(&mut weights.metadata);
        left_out.extend(lost.into_keys().map(|name| LeftOut { name, why: why.to_owned() }));
    }
    match format {
        Format::Safetensors => write_safetensors(to, &weights),
        Format::Pth => write_pth(to, &weights, wrap),
    }?;
    Ok(Converted {
        from: from.display().to_string(),
        to: to.display().to_string(),
        tensors: weights.tensors.len(),
        bytes: weights.tensors.values().map(|tensor| tensor.data().len() as u64).sum(),
        naming_from: found.map(|naming| naming.to_string()),
        naming_to: settings.naming.map(|naming| naming.to_string()),
        left_out,
        added,
        metadata: weights.metadata,
    })
}

fn format(to: &Path) -> Result<Format, Error> {
    let ending = to.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
    match ending.as_str() {
        "safetensors" => Ok(Format::Safetensors),
        "pth" | "pt" => Ok(Format::Pth),
        "onnx" => Err(Error::Usage(format!(
            "{}: weights alone make no graph; use `selvedge model export --init FILE` for an ONNX file",
            to.display()
        ))),
        _ => Err(Error::Usage(format!(
            "{} does not say which format to write; end it with .safetensors or .pth",
            to.display()
        ))),
    }
}

/// Beginnings of canonical names.
const PARTS: [&str; 4] = ["backbone.", "decode_head.", "neck.", "auxiliary_head."];

fn renamed(
    weights: Weights,
    naming: Naming,
    left_out: &mut Vec<LeftOut>,
    added: &mut Vec<String>,
) -> Result<Weights, Error> {
    let has_bias =
        |name: &String| name.ends_with("patch_embed.proj.bias") || name.ends_with("patch_embed.projection.bias");
    let had_bias = weights.tensors.keys().any(has_bias);
    let mut canonical = to_canonical(weights)?;
    canonical.tensors.retain(|name, _| {
        let why = match naming {
            _ if !PARTS.iter().any(|part| name.starts_with(part)) => {
                Some("of no network that is known here, so it has no other name")
            }
            Naming::Timm if !name.starts_with("backbone.") => Some("timm has names for the encoder only"),
            Naming::Segmenter if name.starts_with("auxiliary_head.") => Some("Segmenter has no auxiliary heads"),
            _ => None,
        };
        left_out.extend(why.map(|why| LeftOut { name: name.clone(), why: why.to_owned() }));
        why.is_none()
    });
    let renamed = from_canonical(&canonical, naming)?;
    // A patch embedding that was trained without a bias is given one.
    added.extend(renamed.tensors.keys().filter(|name| !had_bias && has_bias(name)).cloned());
    Ok(renamed)
}
