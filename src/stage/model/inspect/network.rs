//! Which network weights are of, guessed from their shapes and held to what that network needs. Must not know files.

use crate::graph::Tensor;
use crate::graph::net::{Arch, Config, Mode, build};
use crate::graph::weights::{GRID, Role, Wanted, Weights, to_canonical};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// A network, as far as weights tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkFacts {
    /// The name of a published network of these sizes: `segmenter-vit-b-mask`, `setr-pup`, ….
    pub name: Option<String>,
    /// The family with its decoder, `segmenter_mask`, …; `None` for an encoder alone.
    pub arch: Option<String>,
    /// Classes, the background among them; `None` without a decoder.
    pub classes: Option<usize>,
    /// Width of the encoder's tokens.
    pub width: usize,
    /// Blocks of the encoder.
    pub layers: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Rows and columns of the position embedding; `None` when it is not square and nothing says what it is.
    pub grid: Option<(usize, usize)>,
    /// Tensors that the network needs and the file does not have, auxiliary heads apart.
    pub missing: Vec<String>,
    /// Tensors of another shape than the network's.
    pub different: Vec<String>,
    /// Tensors that the network has not.
    pub unused: Vec<String>,
}

/// `None` for weights that do not begin with a vision transformer.
pub(super) fn of(weights: Weights) -> Option<NetworkFacts> {
    let weights = to_canonical(weights).ok()?;
    let dims = |name: &str| weights.tensors.get(name).map(Tensor::dims);
    let &[width, _, patch, _] = dims("backbone.patch_embed.projection.weight")? else { return None };
    let layers = numbers(&weights, "backbone.layers.");
    let arch = arch(&weights);
    let classes = match arch {
        Some(Arch::SegmenterMask) => dims("decode_head.cls_emb").and_then(|dims| dims.get(1)).copied(),
        Some(_) => dims("decode_head.conv_seg.weight").and_then(|dims| dims.first()).copied(),
        None => None,
    };
    let mut facts = NetworkFacts {
        name: None,
        arch: arch.map(|arch| arch.to_string()),
        classes,
        width,
        layers,
        patch,
        grid: grid(&weights, dims("backbone.pos_embed").and_then(|dims| dims.get(1)).copied()),
        ..NetworkFacts::default()
    };
    if let (Some(arch), Some(classes)) = (arch, classes) {
        facts.name = published(arch, &facts);
        let wanted = config(arch, classes, &facts, &weights)
            .and_then(|config| build(&config, Mode::Train, 1).ok())
            .map(|network| network.wanted());
        if let Some(wanted) = wanted {
            compare(&weights, &wanted, &mut facts);
        }
    }
    Some(facts)
}

/// How many numbers follow a beginning of names.
fn numbers(weights: &Weights, start: &str) -> usize {
    let rests = weights.tensors.keys().filter_map(|name| name.strip_prefix(start)?.split('.').next());
    rests.collect::<HashSet<_>>().len()
}

fn arch(weights: &Weights) -> Option<Arch> {
    let any = |start: &str| weights.tensors.keys().any(|name| name.starts_with(start));
    Some(match numbers(weights, "decode_head.up_convs.") {
        _ if any("decode_head.cls_emb") => Arch::SegmenterMask,
        _ if any("neck.mla.") => Arch::SetrMla,
        1 => Arch::SetrNaive,
        2.. => Arch::SetrPup,
        0 if any("decode_head.conv_seg.") => Arch::SegmenterLinear,
        0 => return None,
    })
}

/// Rows and columns of the patches: as the file says, else a square.
fn grid(weights: &Weights, positions: Option<usize>) -> Option<(usize, usize)> {
    let patches = positions?.checked_sub(1)?;
    let said = weights.metadata.get(GRID).and_then(|said| {
        let (rows, columns) = said.split_once('x')?;
        Some((rows.parse::<usize>().ok()?, columns.parse::<usize>().ok()?))
    });
    let side = patches.isqrt();
    said.or(Some((side, side))).filter(|(rows, columns)| rows.checked_mul(*columns) == Some(patches))
}

fn published(arch: Arch, facts: &NetworkFacts) -> Option<String> {
    let names: Vec<String> = match arch {
        Arch::SegmenterMask => ["t", "s", "b", "l"].map(|size| format!("segmenter-vit-{size}-mask")).into(),
        Arch::SegmenterLinear => ["t", "s", "b", "l"].map(|size| format!("segmenter-vit-{size}-linear")).into(),
        Arch::SetrNaive => vec!["setr-naive".to_owned()],
        Arch::SetrPup => vec!["setr-pup".to_owned()],
        Arch::SetrMla => vec!["setr-mla".to_owned()],
    };
    let suffix = if facts.patch == 8 { "/8" } else { "" };
    names.into_iter().map(|name| name + suffix).find(|name| {
        let same =
            |config: Config| (config.width, config.layers, config.patch) == (facts.width, facts.layers, facts.patch);
        Config::named(name, 2, (512, 512)).is_ok_and(same)
    })
}

/// The network's description. Weights do not tell the number of heads, nor which blocks are tapped; neither changes the
/// names and shapes of the tensors.
fn config(arch: Arch, classes: usize, facts: &NetworkFacts, weights: &Weights) -> Option<Config> {
    let (rows, columns) = facts.grid?;
    let size = (rows.checked_mul(facts.patch)?, columns.checked_mul(facts.patch)?);
    let start = match arch {
        Arch::SegmenterMask => "segmenter-vit-t-mask",
        Arch::SegmenterLinear => "segmenter-vit-t-linear",
        Arch::SetrNaive => "setr-naive",
        Arch::SetrPup => "setr-pup",
        Arch::SetrMla => "setr-mla",
    };
    let base = Config::named(start, classes, size).ok()?;
    let first = |name: &str| weights.tensors.get(name).and_then(|tensor| tensor.dims().first()).copied();
    let channels = match arch {
        Arch::SetrMla => first("neck.mla.channel_proj.0.conv.weight"),
        _ => first("decode_head.up_convs.0.0.conv.weight"),
    };
    let taps = match arch {
        Arch::SegmenterMask | Arch::SegmenterLinear => 1,
        Arch::SetrMla => numbers(weights, "neck.norm."),
        // Heads on the earlier taps are often not kept; how many there were does not matter then.
        Arch::SetrNaive | Arch::SetrPup => numbers(weights, "auxiliary_head.") + 1,
    };
    Some(Config {
        width: facts.width,
        layers: facts.layers,
        heads: 1,
        patch: facts.patch,
        taps: (facts.layers.checked_sub(taps)?..facts.layers).collect(),
        decoder_channels: channels.unwrap_or(base.decoder_channels),
        decoder_layers: match arch {
            Arch::SegmenterMask => numbers(weights, "decode_head.layers."),
            _ => base.decoder_layers,
        },
        ..base
    })
}

fn compare(weights: &Weights, wanted: &[Wanted], facts: &mut NetworkFacts) {
    let wanted: BTreeMap<&str, &Wanted> = wanted.iter().map(|want| (want.name.as_str(), want)).collect();
    for (name, want) in &wanted {
        match weights.tensors.get(*name) {
            Some(tensor) if tensor.dims() != want.dims => facts.different.push((*name).to_owned()),
            Some(_) => {}
            None if name.starts_with("auxiliary_head.") || is_counter(want) => {}
            None => facts.missing.push((*name).to_owned()),
        }
    }
    let unused = weights.tensors.keys().filter(|name| !wanted.contains_key(name.as_str()));
    facts.unused = unused.cloned().collect();
}

/// Counters of batches are of no use to anyone who does not train.
fn is_counter(want: &Wanted) -> bool {
    want.role == Role::Buffer && want.name.ends_with("num_batches_tracked")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Element;
    use bytes::Bytes;
    use std::path::Path;

    /// Weights of the names and shapes of a published table; all share the same zeros.
    fn table(name: &str, zeros: &Bytes) -> Weights {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state_dicts");
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let mut weights = Weights::default();
        for line in text.lines() {
            let mut cells = line.split('\t');
            let (name, shape) = (cells.next().unwrap(), cells.next().unwrap());
            let numbers = shape.split(',').filter(|part| !part.trim().is_empty());
            let dims: Vec<usize> = numbers.map(|part| part.trim().parse().unwrap()).collect();
            let length = 4 * dims.iter().product::<usize>();
            let tensor = Tensor::new(Element::F32, dims, zeros.slice(..length)).unwrap();
            weights.tensors.insert(name.to_owned(), tensor);
        }
        weights
    }

    #[test]
    fn every_published_network_is_recognised_by_its_shapes() {
        let zeros = Bytes::from(vec![0; 4 * 4096 * 1024]);
        for (file, name, grid) in [
            ("segmenter_vit_t", "segmenter-vit-t-mask", 32),
            ("segmenter_vit_s", "segmenter-vit-s-mask", 32),
            ("segmenter_vit_b", "segmenter-vit-b-mask", 32),
            ("segmenter_vit_l", "segmenter-vit-l-mask", 32),
            ("segmenter_vit_b_linear", "segmenter-vit-b-linear", 32),
            ("mmseg_segmenter_vit_t", "segmenter-vit-t-mask", 32),
            ("mmseg_segmenter_vit_s_fcn", "segmenter-vit-s-linear", 32),
            ("mmseg_segmenter_vit_l_640", "segmenter-vit-l-mask", 40),
            ("setr_naive", "setr-naive", 32),
            ("setr_pup", "setr-pup", 32),
            ("setr_mla", "setr-mla", 32),
        ] {
            let facts = of(table(&format!("{file}.tsv"), &zeros)).unwrap();
            assert_eq!((facts.name.as_deref(), facts.classes), (Some(name), Some(150)), "{file}");
            assert_eq!(facts.grid, Some((grid, grid)), "{file}");
            assert_eq!((facts.missing.len(), facts.different.len()), (0, 0), "{file}: {facts:?}");
            assert!(facts.unused.iter().all(|name| name.starts_with("encoder.head.")), "{file}: {facts:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let zeros = Bytes::from(vec![0; 4 * 4096 * 1024]);
        let mut weights = table("setr_pup.tsv", &zeros);
        weights.tensors.retain(|name, _| !name.starts_with("auxiliary_head."));
        weights.tensors.remove("decode_head.norm.bias");
        weights.tensors.insert("backbone.layers.3.ln1.bias".to_owned(), Tensor::full(&[7], 0.0));
        weights.tensors.insert("backbone.layers.3.gamma".to_owned(), Tensor::full(&[7], 0.0));
        let facts = of(weights).unwrap();
        assert_eq!(facts.name.as_deref(), Some("setr-pup"));
        assert_eq!(facts.missing, ["decode_head.norm.bias"]);
        assert_eq!(facts.different, ["backbone.layers.3.ln1.bias"]);
        assert_eq!(facts.unused, ["backbone.layers.3.gamma"]);
        assert_eq!(of(Weights::default()), None);
    }
}
