//! PyTorch checkpoints: where their pickle and their storages lie, and which of their tensors are the network's. Must
//! not know opcodes or names of layers.

use super::file::{Weights, part};
use super::pickle::{PICKLE_LIMIT, Pickled, unpickle};
use super::values::{Id, Node, Storage, Values, View, kind, short};
use crate::graph::{Element, Error, Tensor};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Cursor};
use zip::{CompressionMethod, ZipArchive};

/// First number of the checkpoints that torch.save wrote before 1.6.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// Where programs put the state dict; else it is the checkpoint itself.
const KEYS: [&str; 6] = ["state_dict", "model", "model_state_dict", "model_state", "net", "network"];
/// What training wrappers put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

fn broken(what: &str, detail: impl Into<String>) -> Error {
    Error::Format { what: what.into(), wanted: "PyTorch checkpoint", detail: detail.into() }
}

/// Reads a zip checkpoint (torch 1.6 and later). Contiguous tensors are slices of `bytes`; the checksum of every storage
/// that a tensor uses is verified.
pub(super) fn read_zip(what: &str, bytes: &Bytes) -> Result<Weights, Error> {
    let mut archive = ZipArchive::new(Cursor::new(bytes.clone()))
        .map_err(|e| broken(what, format!("as a zip archive: {e}; the download may be incomplete")))?;
    let names: Vec<String> = archive.file_names().filter_map(|name| name.ok().map(|name| name.into_owned())).collect();
    let root = names.iter().find_map(|name| name.strip_suffix("data.pkl").filter(|root| is_folder(root)));
    let root = root.ok_or_else(|| {
        let inside = names.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
        broken(what, format!("it holds no data.pkl but {inside}; only files of torch.save are read"))
    })?;
    if names.iter().any(|name| name.strip_prefix(root) == Some("constants.pkl")) {
        return Err(broken(what, "it is a TorchScript program; save the model's state_dict() instead"));
    }
    if names.iter().any(|name| name.strip_prefix(root) == Some("byteorder")) {
        let order = entry(what, bytes, &mut archive, &format!("{root}byteorder"))?;
        if order.as_ref() != b"little" {
            return Err(broken(what, "its numbers are big-endian; save it anew on a little-endian machine"));
        }
    }
    let pickle = entry(what, bytes, &mut archive, &format!("{root}data.pkl"))?;
    if pickle.len() > PICKLE_LIMIT {
        return Err(broken(what, format!("its data.pkl has {} bytes, far more than tensors need", pickle.len())));
    }
    let pickled = unpickle(what, &pickle)?;
    collect(what, bytes.len(), &pickled, |storage| {
        entry(what, bytes, &mut archive, &format!("{root}data/{}", storage.key))
    })
}

fn is_folder(root: &str) -> bool {
    root.is_empty() || root.ends_with('/')
}

/// The bytes of an entry, where they stand, after their checksum was compared.
fn entry(what: &str, bytes: &Bytes, archive: &mut ZipArchive<Cursor<Bytes>>, name: &str) -> Result<Bytes, Error> {
    let mut entry = archive.by_name(name).map_err(|e| broken(what, format!("its entry {name}: {e}")))?;
    if entry.compression() != CompressionMethod::Stored {
        return Err(broken(what, format!("its entry {name} is compressed, which torch.save never does")));
    }
    if entry.size() != entry.compressed_size() {
        return Err(broken(what, format!("its entry {name} has two lengths")));
    }
    let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
    let length = usize::try_from(entry.size()).ok();
    let slice = start.zip(length).and_then(|(start, length)| part(bytes, start, length));
    let slice = slice.ok_or_else(|| broken(what, format!("its entry {name} reaches past the end of the file")))?;
    io::copy(&mut entry, &mut io::sink()).map_err(|e| broken(what, format!("its entry {name} is damaged: {e}")))?;
    Ok(slice)
}

/// Reads a checkpoint of torch before 1.6: five pickles, then the storages one after the other.
pub(super) fn read_legacy(what: &str, bytes: &Bytes) -> Result<Weights, Error> {
    let mut at = 0;
    let mut next = || {
        let pickled = unpickle(what, bytes.get(at..).unwrap_or_default())?;
        at += pickled.length;
        Ok::<_, Error>(pickled)
    };
    let (magic, version) = (next()?, next()?);
    let number = |pickled: &Pickled| match pickled.values.node(pickled.root) {
        Node::Int(number) => Some(*number),
        _ => None,
    };
    if number(&magic) != Some(LEGACY_MAGIC) || number(&version) != Some(1001) {
        return Err(broken(what, "it is a pickle, but not one of torch.save"));
    }
    let (system, main, keys) = (next()?, next()?, next()?);
    let little = dict(&system.values, system.root).and_then(|pairs| get(&system.values, pairs, "little_endian"));
    if little.is_some_and(|id| matches!(system.values.node(id), Node::Bool(false))) {
        return Err(broken(what, "its numbers are big-endian; save it anew on a little-endian machine"));
    }
    let storages = legacy_storages(what, bytes, at, &main.values, &keys)?;
    collect(what, bytes.len(), &main, |storage| {
        let found = storages.get(storage.key.as_str()).cloned();
        found.ok_or_else(|| broken(what, format!("the storage {} is not in the file", storage.key)))
    })
}

/// Each storage is its number of elements (8 bytes) and the elements; how large those are stands in the main pickle.
fn legacy_storages<'a>(
    what: &str,
    bytes: &Bytes,
    mut at: usize,
    main: &Values,
    keys: &'a Pickled,
) -> Result<HashMap<&'a str, Bytes>, Error> {
    let sizes: HashMap<&str, usize> =
        main.storages().filter_map(|storage| Some((storage.key.as_str(), storage.element?.size()))).collect();
    let Node::List(order) = keys.values.node(keys.root) else {
        return Err(broken(what, "the list of its storages is missing"));
    };
    let mut storages = HashMap::new();
    for id in order {
        let Node::Text(key) = keys.values.node(*id) else {
            return Err(broken(what, "a storage has no name"));
        };
        let size = sizes.get(key.as_str());
        let size = *size.ok_or_else(|| broken(what, format!("the type of the storage {key} is not supported")))?;
        let count = part(bytes, at, 8).and_then(|count| count.first_chunk().copied()).map(u64::from_le_bytes);
        let length = count.and_then(|count| usize::try_from(count).ok()).and_then(|count| count.checked_mul(size));
        let storage = length.and_then(|length| part(bytes, at + 8, length));
        let storage = storage.ok_or_else(|| broken(what, format!("it ends within the storage {key}, at byte {at}")))?;
        at += 8 + storage.len();
        storages.insert(key.as_str(), storage);
    }
    Ok(storages)
}

/// Finds the state dict and makes its tensors, reading every storage once.
fn collect(
    what: &str,
    length: usize,
    pickled: &Pickled,
    mut read: impl FnMut(&Storage) -> Result<Bytes, Error>,
) -> Result<Weights, Error> {
    let values = &pickled.values;
    let mut metadata = BTreeMap::new();
    let state = state_dict(what, values, pickled.root, &mut metadata)?;
    let mut storages: HashMap<&str, Bytes> = HashMap::new();
    // Tensors that are no slices are copied; more than a few times the file is no copy of what is in it.
    let mut room = length.saturating_mul(4).saturating_add(16 << 20);
    let mut tensors = BTreeMap::new();
    for (name, view) in state {
        let key = view.storage.key.as_str();
        let storage = match storages.get(key) {
            Some(storage) => storage.clone(),
            None => read(&view.storage)?,
        };
        let size = view.storage.element.map_or(0, Element::size);
        if view.storage.count.checked_mul(size).is_none_or(|announced| announced > storage.len()) {
            return Err(broken(what, format!("the storage of {name} has {} bytes, too few", storage.len())));
        }
        storages.insert(key, storage.clone());
        let tensor = tensor(view, &storage, &mut room).map_err(|detail| broken(what, format!("{name} {detail}")))?;
        tensors.insert(name, tensor);
    }
    Ok(Weights { tensors: unwrapped(tensors), metadata })
}

fn dict(values: &Values, id: Id) -> Option<&[(Id, Id)]> {
    if let Node::Dict(pairs) = values.node(id) { Some(pairs) } else { None }
}

fn get(values: &Values, pairs: &[(Id, Id)], wanted: &str) -> Option<Id> {
    let matches = |key: Id| matches!(values.node(key), Node::Text(text) if text == wanted);
    pairs.iter().rev().find(|(key, _)| matches(*key)).map(|(_, value)| *value)
}

/// The named tensors of the network; what stands beside them is described in `metadata`.
fn state_dict<'a>(
    what: &str,
    values: &'a Values,
    root: Id,
    metadata: &mut BTreeMap<String, String>,
) -> Result<Vec<(String, &'a View)>, Error> {
    let no_dict = |id| broken(what, format!("it holds {} instead of a dict of tensors", kind(values.node(id))));
    let mut pairs = dict(values, root).ok_or_else(|| no_dict(root))?;
    // A checkpoint in a checkpoint happens; one in itself cannot be followed for ever.
    for _ in 0..3 {
        let inner = KEYS.iter().find_map(|key| get(values, pairs, key).filter(|id| leads_to_tensors(values, *id)));
        let Some(inner) = inner else { break };
        skipped(values, pairs.iter().filter(|(_, value)| *value != inner), metadata);
        pairs = dict(values, inner).ok_or_else(|| no_dict(inner))?;
    }
    skipped(values, pairs.iter().filter(|(_, value)| !matches!(values.node(*value), Node::Tensor(_))), metadata);
    let tensors: Vec<_> = pairs
        .iter()
        .filter_map(|(key, value)| match (values.node(*key), values.node(*value)) {
            (Node::Text(name), Node::Tensor(view)) => Some((name.clone(), view.as_ref())),
            _ => None,
        })
        .collect();
    if tensors.is_empty() {
        let found =
            metadata.keys().take(6).map(|key| key.trim_start_matches("skipped.")).collect::<Vec<_>>().join(", ");
        return Err(broken(what, format!("no tensors are in it, nor under {}; it holds: {found}", KEYS.join(", "))));
    }
    Ok(tensors)
}

/// Whether a dict holds tensors, or another of the places where programs put them.
fn leads_to_tensors(values: &Values, id: Id) -> bool {
    dict(values, id).is_some_and(|pairs| {
        let tensor = |(_, value): &(Id, Id)| matches!(values.node(*value), Node::Tensor(_));
        pairs.iter().any(tensor) || KEYS.iter().any(|key| get(values, pairs, key).is_some())
    })
}

fn skipped<'a>(values: &Values, pairs: impl Iterator<Item = &'a (Id, Id)>, metadata: &mut BTreeMap<String, String>) {
    let told = pairs.filter_map(|(key, value)| match values.node(*key) {
        Node::Text(key) => Some((format!("skipped.{}", short(key)), describe(values, *value))),
        _ => None,
    });
    metadata.extend(told);
}

fn describe(values: &Values, id: Id) -> String {
    match values.node(id) {
        Node::Bool(value) => value.to_string(),
        Node::Int(value) => value.to_string(),
        Node::Float(value) => value.to_string(),
        Node::Text(text) => short(text),
        Node::Dict(pairs) => format!("a dict of {}", pairs.len()),
        Node::List(items) | Node::Tuple(items) => format!("a list of {}", items.len()),
        Node::Tensor(view) => format!("a tensor {:?}", view.dims),
        other => kind(other).to_owned(),
    }
}

/// Takes off the prefixes of wrappers that all names bear.
fn unwrapped(mut tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| tensors.keys().all(|name| name.starts_with(**wrapper))) {
        tensors = tensors.into_iter().map(|(name, tensor)| (name.replacen(*wrapper, "", 1), tensor)).collect();
    }
    tensors
}

/// The tensor behind a window: a slice where its elements lie in order without gaps, else a copy in order. `room` is how
/// many bytes may still be copied.
fn tensor(view: &View, storage: &Bytes, room: &mut usize) -> Result<Tensor, String> {
    let element = view.element.ok_or("has elements of a type that is not supported")?;
    let size = element.size();
    let outside = || format!("{:?} with strides {:?} reaches outside its storage", view.dims, view.strides);
    let length = view.dims.iter().try_fold(size, |product, dim| product.checked_mul(*dim)).ok_or_else(outside)?;
    let data = if length == 0 {
        Bytes::new()
    } else {
        let mut steps = view.dims.iter().zip(&view.strides).map(|(dim, stride)| (dim - 1).checked_mul(*stride));
        let last = steps.try_fold(view.offset, |sum, step| sum.checked_add(step?)).ok_or_else(outside)?;
        let end = last.checked_add(1).and_then(|end| end.checked_mul(size)).ok_or_else(outside)?;
        let start = view.offset * size;
        let window = part(storage, start, end - start).ok_or_else(outside)?;
        if in_order(view) {
            window
        } else {
            *room = room.checked_sub(length).ok_or("repeats its elements more often than the file is long")?;
            gather(&window, view, size, length)
        }
    };
    Tensor::new(element, view.dims.clone(), data).map_err(|e| e.to_string())
}

/// Whether a window's elements follow each other without gaps; strides of axes of length 1 do not count.
fn in_order(view: &View) -> bool {
    let mut next = 1;
    view.dims.iter().zip(&view.strides).rev().filter(|(dim, _)| **dim != 1).all(|(dim, stride)| {
        let fits = *stride == next;
        next *= dim;
        fits
    })
}

/// Copies elements in row-major order; `window` begins with the first and ends with the last in memory.
fn gather(window: &[u8], view: &View, size: usize, length: usize) -> Bytes {
    let axes: Vec<(usize, usize)> =
        view.dims.iter().copied().zip(view.strides.iter().copied()).filter(|(dim, _)| *dim != 1).collect();
    let mut out = BytesMut::with_capacity(length);
    let mut place = vec![0_usize; axes.len()];
    let mut at = 0_usize;
    for _ in 0..length / size {
        out.extend_from_slice(window.get(at * size..(at + 1) * size).unwrap_or_default());
        // The next element: the last axis that has not come to its end goes on, those behind it start anew.
        for (count, (dim, stride)) in place.iter_mut().zip(&axes).rev() {
            *count += 1;
            at += stride;
            if *count < *dim {
                break;
            }
            at -= *count * stride;
            *count = 0;
        }
    }
    out.freeze()
}
