//! PyTorch checkpoints, written so that torch.load reads them with weights_only. Must not know names of layers.

use super::Weights;
use crate::graph::disk::replace;
use crate::graph::{Element, Error, Tensor};
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Storages start at multiples of this, as torch.save has it, so that torch.load can map them.
const ALIGNMENT: u16 = 64;

/// Writes a zip checkpoint with an ordered dict of tensors, one storage each: the checkpoint itself, or, with `wrap`
/// (`state_dict` for mmsegmentation, `model` for Segmenter), under that key beside `meta`, a dict of the metadata.
/// Without `wrap` the metadata stays out. The same weights give the same bytes.
pub fn write_pth(path: &Path, weights: &Weights, wrap: Option<&str>) -> Result<(), Error> {
    let pickle = pickle(weights, wrap);
    replace(path, |out| {
        let failed = |e: zip::result::ZipError| Error::file(path, &e);
        let mut zip = ZipWriter::new(out);
        let mut put = |name: &str, data: &[u8]| {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .last_modified_time(DateTime::default())
                .with_alignment(ALIGNMENT)
                .large_file(u32::try_from(data.len()).is_err());
            zip.start_file(format!("archive/{name}"), options).map_err(failed)?;
            zip.write_all(data).map_err(|e| Error::file(path, &e))
        };
        put("data.pkl", &pickle)?;
        put("byteorder", b"little")?;
        for (key, tensor) in weights.tensors.values().enumerate() {
            put(&format!("data/{key}"), tensor.data())?;
        }
        put("version", b"3\n")?;
        zip.finish().map_err(failed)?;
        Ok(())
    })
}

fn pickle(weights: &Weights, wrap: Option<&str>) -> Vec<u8> {
    let mut out = vec![0x80, 2];
    match wrap {
        None => state_dict(&mut out, weights),
        Some(key) => {
            out.extend(b"}(");
            text(&mut out, "meta");
            out.extend(b"}(");
            for word in weights.metadata.iter().flat_map(|(key, word)| [key, word]) {
                text(&mut out, word);
            }
            out.push(b'u');
            text(&mut out, key);
            state_dict(&mut out, weights);
            out.push(b'u');
        }
    }
    out.push(b'.');
    out
}

fn state_dict(out: &mut Vec<u8>, weights: &Weights) {
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, (name, value)) in weights.tensors.iter().enumerate() {
        text(out, name);
        tensor(out, key, value);
    }
    out.push(b'u');
}

/// `_rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks)`, the storage by its name outside.
fn tensor(out: &mut Vec<u8>, key: usize, tensor: &Tensor) {
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend(format!("ctorch\n{}Storage\n", storage(tensor.element())).bytes());
    text(out, &key.to_string());
    text(out, "cpu");
    int(out, tensor.len());
    out.extend(b"tQK\0(");
    tensor.dims().iter().for_each(|dim| int(out, *dim));
    out.extend(b"t(");
    strides(tensor.dims()).into_iter().for_each(|stride| int(out, stride));
    out.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut next = 1_usize;
    let mut strides: Vec<usize> = dims
        .iter()
        .rev()
        .map(|dim| {
            let stride = next;
            next = next.saturating_mul((*dim).max(1));
            stride
        })
        .collect();
    strides.reverse();
    strides
}

fn storage(element: Element) -> &'static str {
    match element {
        Element::F32 => "Float",
        Element::F64 => "Double",
        Element::F16 => "Half",
        Element::Bf16 => "BFloat16",
        Element::U8 => "Byte",
        Element::I8 => "Char",
        Element::I16 => "Short",
        Element::I32 => "Int",
        Element::I64 => "Long",
        Element::Bool => "Bool",
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    // Names and words are far below the 4 GiB that the format counts.
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn int(out: &mut Vec<u8>, value: usize) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'J');
            out.extend(value.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]);
            out.extend((value as u64).to_le_bytes());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::weights::read_weights;
    use bytes::Bytes;

    fn sample() -> Weights {
        let mut weights = Weights::default();
        for (at, element) in [
            Element::F32,
            Element::F64,
            Element::F16,
            Element::Bf16,
            Element::U8,
            Element::I8,
            Element::I16,
            Element::I32,
            Element::I64,
            Element::Bool,
        ]
        .into_iter()
        .enumerate()
        {
            let data: Bytes = (0..6 * element.size()).map(|byte| u8::from(byte % element.size() == 0)).collect();
            weights.tensors.insert(format!("t{at}.weight"), Tensor::new(element, vec![3, 1, 2], data).unwrap());
        }
        weights.tensors.insert("scalar".into(), Tensor::i64(&[], &[-5]).unwrap());
        weights.tensors.insert("none".into(), Tensor::f32(&[2, 0], &[]).unwrap());
        weights
    }

    #[test]
    fn what_is_written_is_read_and_twice_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1.pth"), folder.path().join("2.pth"));
        for wrap in [None, Some("state_dict"), Some("model")] {
            let mut weights = sample();
            write_pth(&one, &weights, wrap).unwrap();
            write_pth(&two, &weights, wrap).unwrap();
            assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
            if wrap.is_some() {
                weights.metadata.insert("skipped.meta".into(), "a dict of 0".into());
            }
            assert_eq!(read_weights(&one).unwrap(), weights);
        }
    }

    #[test]
    fn a_damaged_or_shortened_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        write_pth(&path, &sample(), None).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in (4..whole.len()).step_by(7) {
            std::fs::write(&path, whole.get(..length).unwrap()).unwrap();
            assert!(read_weights(&path).is_err(), "{length}");
        }
        // The first float of t0 is [1, 0, 0, 0]: its bytes stand 64-byte aligned behind its entry's name.
        let name = whole.windows(14).position(|bytes| bytes == b"archive/data/2").unwrap();
        let mut damaged = whole;
        *damaged.get_mut((name + 14).next_multiple_of(64)).unwrap() ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = read_weights(&path).unwrap_err().to_string();
        assert!(error.contains("archive/data/2 is damaged"), "{error}");
    }
}
