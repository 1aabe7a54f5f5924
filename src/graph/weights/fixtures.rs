//! Small checkpoints made with PyTorch by tests/fixtures/weights/make.py, and what reading them must give.

use super::file::read_bytes;
use super::{Naming, Weights, detect, from_canonical, read_weights, to_canonical, write_pth, write_safetensors};
use crate::graph::{Element, Error, Tensor};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(super) fn fixture(name: &str) -> Result<Weights, Error> {
    read_weights(&path("weights").join(name))
}

fn names(weights: &Weights) -> Option<Naming> {
    detect(weights.tensors.keys().map(String::as_str))
}

/// Names and shapes of a published network.
fn table(name: &str) -> BTreeMap<String, Tensor> {
    let text = std::fs::read_to_string(path("state_dicts").join(format!("{name}.tsv"))).unwrap();
    let line = |line: &str| {
        let [name, dims, element] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let dims: Vec<usize> = dims.split(',').filter(|dim| !dim.is_empty()).map(|dim| dim.parse().unwrap()).collect();
        let element = if element == "int64" { Element::I64 } else { Element::F32 };
        let bytes = vec![0; element.size() * dims.iter().product::<usize>()];
        (name.to_owned(), Tensor::new(element, dims, bytes.into()).unwrap())
    };
    text.lines().map(line).collect()
}

#[test]
fn every_naming_becomes_mmsegmentations() {
    for (name, naming) in [("segmenter", Naming::Segmenter), ("mmseg", Naming::Mmseg), ("timm", Naming::Timm)] {
        let read = fixture(&format!("{name}.pth")).unwrap();
        assert_eq!(names(&read), Some(naming));
        let expected = fixture(&format!("{name}.safetensors")).unwrap();
        let canonical = to_canonical(read).unwrap();
        assert_eq!(canonical.tensors.keys().collect::<Vec<_>>(), expected.tensors.keys().collect::<Vec<_>>());
        assert_eq!(canonical.tensors, expected.tensors, "{name}");
    }
}

#[test]
fn what_stands_beside_the_tensors_is_told_in_short() {
    let segmenter = fixture("segmenter.pth").unwrap();
    let told =
        |weights: &Weights, key: &str| weights.metadata.get(&format!("skipped.{key}")).cloned().unwrap_or_default();
    assert_eq!(told(&segmenter, "optimizer"), "a dict of 2");
    assert_eq!(told(&segmenter, "epoch"), "63");
    assert_eq!(told(&segmenter, "n_cls"), "5");
    let mmseg = fixture("mmseg.pth").unwrap();
    assert_eq!(told(&mmseg, "meta"), "a dict of 10");
    assert_eq!(mmseg.metadata.len(), 2);
    let beside = fixture("beside.pth").unwrap();
    assert_eq!(beside.tensors.keys().collect::<Vec<_>>(), ["w"]);
    assert_eq!(told(&beside, "model"), "a dict of 1");
    let mmengine = fixture("mmengine.pth").unwrap();
    assert_eq!(told(&mmengine, "message_hub"), "a dict of 1");
    assert_eq!(mmengine.tensors.len(), 1);
    let counter = mmseg.tensors.get("auxiliary_head.0.bn.num_batches_tracked").unwrap();
    assert_eq!((counter.element(), counter.dims()), (Element::I64, &[][..]));
}

#[test]
fn all_layouts_and_types_are_read_from_zip_and_older_checkpoints() {
    let expected = fixture("layouts.safetensors").unwrap();
    for name in ["layouts.pth", "legacy.pth", "legacy_4.pth"] {
        let read = fixture(name).unwrap();
        for (key, tensor) in &expected.tensors {
            assert_eq!(read.tensors.get(key), Some(tensor), "{name}: {key}");
        }
        assert_eq!(read.tensors.len(), expected.tensors.len());
    }
    let strange = fixture("good_stride.pth").unwrap();
    assert_eq!(strange.tensors.get("w").unwrap().dims(), [1, 2]);
}

#[test]
fn a_checkpoint_that_would_run_code_is_refused_by_name() {
    for (name, detail) in [
        ("bad_system", "byte 169 of the pickle: it asks for posix.system"),
        ("bad_eval", "it asks for __builtin__.eval"),
        ("bad_eval_stack", "it asks for builtins.eval"),
        ("bad_setstate", "it asks for __builtin__.type"),
        ("bad_build_class", "BUILD sets the inner state of a class"),
        ("bad_call_of_call", "it calls builtins.getattr"),
        ("bad_inst", "INST and OBJ make objects of classes"),
    ] {
        let error = fixture(&format!("{name}.pth")).unwrap_err();
        assert!(matches!(error, Error::Unsafe { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(detail) && error.contains("is refused") && error.contains(name), "{error}");
    }
}

#[test]
fn a_checkpoint_that_is_broken_says_where() {
    for (name, detail) in [
        ("bad_long", "byte 2 of the pickle: it ends before the 2147483647 bytes announced here"),
        ("bad_frame", "a frame reaches past the end"),
        ("bad_text", "it ends before the 9223372036854775807 bytes"),
        ("bad_memo", "recalls a value that it never kept"),
        ("bad_stack", "takes a value where there is none"),
        ("bad_mark", "a list ends that never began"),
        ("bad_self", "no tensors are in it"),
        ("bad_window", "w [5] with strides [1] reaches outside its storage"),
        ("bad_offset", "reaches outside its storage"),
        ("bad_negative", "rebuilt from something else than its parts"),
        ("bad_huge", "reaches outside its storage"),
        ("bad_spread", "repeats its elements more often than the file is long"),
        ("bad_legacy_count", "it ends within the storage"),
    ] {
        let error = fixture(&format!("{name}.pth")).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(detail) && error.contains(name), "{error}");
    }
}

#[test]
fn no_damage_makes_reading_panic() {
    let mut refused = 0;
    for name in ["legacy.pth", "legacy_4.pth", "layouts.pth", "layouts.safetensors"] {
        let whole = std::fs::read(path("weights").join(name)).unwrap();
        for at in 0..whole.len() {
            let cut = Bytes::copy_from_slice(&whole[..at]);
            assert!(read_bytes(name, &cut).is_err(), "{name} cut at {at}");
            for change in [0x80, 0xff, whole[at] ^ b'R'] {
                let mut damaged = whole.clone();
                damaged[at] ^= change;
                refused += usize::from(read_bytes(name, &damaged.into()).is_err());
            }
        }
    }
    assert!(refused > 1000);
}

#[test]
fn the_tables_of_published_networks_agree() {
    for (official, mmseg) in [
        ("segmenter_vit_t", "mmseg_segmenter_vit_t"),
        ("segmenter_vit_s", "mmseg_segmenter_vit_s"),
        ("segmenter_vit_b", "mmseg_segmenter_vit_b"),
        ("segmenter_vit_l", "mmseg_segmenter_vit_l_640"),
        ("segmenter_vit_b_linear", "mmseg_segmenter_vit_s_fcn"),
    ] {
        let weights = Weights { tensors: table(official), ..Weights::default() };
        let names = weights.tensors.len();
        let mut canonical = to_canonical(weights.clone()).unwrap();
        canonical.tensors.retain(|name, _| !name.starts_with("encoder.head."));
        assert_eq!(canonical.tensors.len(), names - 2);
        let expected = table(mmseg);
        assert!(canonical.tensors.keys().eq(expected.keys()), "{official}");
        for (name, tensor) in &canonical.tensors {
            let dims = expected.get(name).unwrap().dims().to_vec();
            // These two pairs are of different sizes: at 640² there are more positions, and S is half as wide as B.
            let same = match official {
                "segmenter_vit_l" if name == "backbone.pos_embed" => dims == [1, 1601, 1024],
                "segmenter_vit_b_linear" => dims.len() == tensor.dims().len(),
                _ => dims == tensor.dims(),
            };
            assert!(same, "{official}: {name} {dims:?} {:?}", tensor.dims());
        }
        let back = from_canonical(&canonical, Naming::Segmenter).unwrap();
        assert!(back.tensors.iter().all(|(name, tensor)| weights.tensors.get(name).unwrap().dims() == tensor.dims()));
        assert_eq!(back.tensors.len(), names - 2);
    }
    for setr in ["setr_mla", "setr_pup", "setr_naive"] {
        let weights = Weights { tensors: table(setr), ..Weights::default() };
        let canonical = to_canonical(weights.clone()).unwrap();
        assert!(canonical.tensors.keys().eq(weights.tensors.keys()), "{setr}");
        assert!(from_canonical(&canonical, Naming::Segmenter).is_err());
        let encoder = from_canonical(&canonical, Naming::Timm).unwrap();
        assert_eq!(encoder.tensors.len(), 4 + 24 * 12);
        assert_eq!(names(&encoder), Some(Naming::Timm));
    }
}

#[test]
fn weights_come_back_from_every_naming() {
    let official = fixture("segmenter.pth").unwrap();
    let mut canonical = to_canonical(official.clone()).unwrap();
    canonical.tensors.retain(|name, _| !name.starts_with("encoder.head."));
    let back = from_canonical(&canonical, Naming::Segmenter).unwrap();
    for (name, tensor) in &back.tensors {
        assert_eq!(official.tensors.get(name), Some(tensor), "{name}");
    }
    assert_eq!(back.tensors.len() + 2, official.tensors.len());
    assert_eq!(from_canonical(&canonical, Naming::Mmseg).unwrap(), canonical);
}

/// Leaves files where SELVEDGE_WEIGHTS_OUT says, for `make.py check` with torch.load(weights_only=True).
#[test]
fn checkpoints_are_written_for_a_look_with_torch() {
    let folder = tempfile::tempdir().unwrap();
    let out = std::env::var_os("SELVEDGE_WEIGHTS_OUT").map_or_else(|| folder.path().to_path_buf(), PathBuf::from);
    for (name, wrap) in [("layouts", None), ("mmseg", Some("state_dict")), ("segmenter", Some("model"))] {
        let mut weights = fixture(&format!("{name}.safetensors")).unwrap();
        weights.metadata.insert("made by".into(), "a test".into());
        write_pth(&out.join(format!("{name}.pth")), &weights, wrap).unwrap();
        write_safetensors(&out.join(format!("{name}.safetensors")), &weights).unwrap();
        assert_eq!(read_weights(&out.join(format!("{name}.pth"))).unwrap().tensors, weights.tensors);
    }
}
