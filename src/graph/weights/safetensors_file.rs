//! safetensors files, read without a copy and written in one order. Must not know other formats.

use super::Weights;
use crate::graph::disk::replace;
use crate::graph::{Element, Error, Tensor};
use ::safetensors::tensor::{Dtype, SafeTensors};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::io::Write;
use std::path::Path;

fn broken(what: &str, detail: String) -> Error {
    Error::Format { what: what.into(), wanted: "safetensors file", detail }
}

/// Reads a safetensors file; the tensors are slices of `bytes`.
pub(super) fn read(what: &str, bytes: &Bytes) -> Result<Weights, Error> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| broken(what, e.to_string()))?;
    let parsed = SafeTensors::deserialize(bytes).map_err(|e| broken(what, e.to_string()))?;
    let tensors = parsed
        .iter()
        .map(|(name, view)| {
            let element = element(view.dtype())
                .ok_or_else(|| broken(what, format!("{name} holds {:?}, which is not supported", view.dtype())))?;
            let tensor = Tensor::new(element, view.shape().to_vec(), bytes.slice_ref(view.data()))?;
            Ok((name.to_owned(), tensor))
        })
        .collect::<Result<_, Error>>()?;
    let metadata = header.metadata().iter().flatten().map(|(key, word)| (key.clone(), word.clone())).collect();
    Ok(Weights { tensors, metadata })
}

/// Writes a safetensors file: the same weights give the same bytes. Elements of more bytes come first, so that every
/// tensor starts at a multiple of its element size; then names in order.
pub fn write_safetensors(path: &Path, weights: &Weights) -> Result<(), Error> {
    let (header, order) = layout(weights)?;
    replace(path, |out| {
        let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(|e| Error::file(path, &e));
        put(&header)?;
        order.iter().try_for_each(|(_, tensor)| put(tensor.data()))
    })
}

/// The bytes of a safetensors file, as [`write_safetensors`] writes them.
pub fn encode_safetensors(weights: &Weights) -> Result<Vec<u8>, Error> {
    let (mut bytes, order) = layout(weights)?;
    bytes.reserve_exact(order.iter().map(|(_, tensor)| tensor.data().len()).sum());
    order.iter().for_each(|(_, tensor)| bytes.extend_from_slice(tensor.data()));
    Ok(bytes)
}

/// Tensors by their names, in the order of the file.
type Order<'a> = Vec<(&'a String, &'a Tensor)>;

/// What comes before the tensors, and the order that they come in.
fn layout(weights: &Weights) -> Result<(Vec<u8>, Order<'_>), Error> {
    let mut order: Order<'_> = weights.tensors.iter().collect();
    order.sort_by_key(|(name, tensor)| (Reverse(tensor.element().size()), *name));
    let header = header(weights, &order)?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    Ok((bytes, order))
}

fn header(weights: &Weights, order: &[(&String, &Tensor)]) -> Result<Vec<u8>, Error> {
    let mut entries = Map::new();
    if !weights.metadata.is_empty() {
        entries.insert("__metadata__".into(), json!(weights.metadata));
    }
    let mut at = 0_usize;
    for (name, tensor) in order {
        if *name == "__metadata__" {
            return Err(Error::Weights {
                detail: "a tensor in a safetensors file cannot be called __metadata__".into(),
            });
        }
        let end = at + tensor.data().len();
        entries.insert(
            (*name).clone(),
            json!({ "dtype": label(tensor.element()), "shape": tensor.dims(), "data_offsets": [at, end] }),
        );
        at = end;
    }
    let mut header = Value::Object(entries).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::U8 => Element::U8,
        Dtype::I8 => Element::I8,
        Dtype::I16 => Element::I16,
        Dtype::I32 => Element::I32,
        Dtype::I64 => Element::I64,
        Dtype::BOOL => Element::Bool,
        _ => return None,
    })
}

fn label(element: Element) -> &'static str {
    match element {
        Element::F32 => "F32",
        Element::F64 => "F64",
        Element::F16 => "F16",
        Element::Bf16 => "BF16",
        Element::U8 => "U8",
        Element::I8 => "I8",
        Element::I16 => "I16",
        Element::I32 => "I32",
        Element::I64 => "I64",
        Element::Bool => "BOOL",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::weights::read_weights;

    fn sample() -> Weights {
        let mut weights = Weights::default();
        weights.metadata.insert("grid".into(), "2x3".into());
        weights.metadata.insert("a".into(), "…".into());
        let flags = Tensor::new(Element::Bool, vec![3], Bytes::from_static(&[1, 0, 1])).unwrap();
        weights.tensors.insert("a.flags".into(), flags);
        weights.tensors.insert("b.weight".into(), Tensor::f32(&[2, 2], &[1.0, -2.5, 0.0, 4.0]).unwrap());
        weights.tensors.insert("c.steps".into(), Tensor::i64(&[], &[7]).unwrap());
        weights.tensors.insert("d.none".into(), Tensor::f32(&[0, 4], &[]).unwrap());
        let half = Tensor::new(Element::Bf16, vec![1], Bytes::from_static(&[0x80, 0x3f])).unwrap();
        weights.tensors.insert("e.half".into(), half);
        weights
    }

    #[test]
    fn what_is_written_is_read_and_twice_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        write_safetensors(&one, &sample()).unwrap();
        write_safetensors(&two, &sample()).unwrap();
        assert_eq!(read_weights(&one).unwrap(), sample());
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_cut_short_or_with_an_unknown_type_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w");
        write_safetensors(&path, &sample()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, whole.get(..length).unwrap()).unwrap();
            assert!(read_weights(&path).is_err(), "{length}");
        }
        let header = br#"{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.push(0);
        std::fs::write(&path, file).unwrap();
        let error = read_weights(&path).unwrap_err().to_string();
        assert!(error.contains("a holds F8_E4M3"), "{error}");
    }
}
