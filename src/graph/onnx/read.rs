//! An ONNX file, mapped into memory: its messages, and its weights as shared bytes. Must not know what the nodes mean.

use super::element_of;
use super::messages::{Dimension, Length, Model, Tensor as TensorMessage};
use super::unknown::unknown_fields;
use crate::graph::disk::map_file;
use crate::graph::{Element, Error, Tensor, TensorType};
use bytes::Bytes;
use prost::Message;
use std::path::{Component, Path, PathBuf};

/// A model that was read.
#[derive(Debug)]
pub struct Source {
    /// Its messages; weights inside share the file's bytes.
    pub(crate) model: Model,
    /// What the file holds that is not read here, and so does not come back when the model is written.
    pub unknown: Vec<String>,
    /// What the file is called in messages.
    pub name: String,
    folder: PathBuf,
}

/// Reads a model; its weights stay in the file until they are used.
pub fn read_model(path: &Path) -> Result<Source, Error> {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Source::decode(map_file(path)?, &path.display().to_string(), folder)
}

/// The length of an axis, where the file fixes it.
pub(crate) fn fixed_length(dim: &Dimension) -> Option<usize> {
    match dim.length {
        Some(Length::Fixed(length)) => usize::try_from(length).ok().filter(|length| *length > 0),
        _ => None,
    }
}

/// The word for an open length: its own, or `INPUT.AXIS`.
pub(crate) fn length_key(input: &str, axis: usize, dim: &Dimension) -> String {
    match &dim.length {
        Some(Length::Named(word)) if !word.is_empty() => word.clone(),
        _ => format!("{input}.{axis}"),
    }
}

impl Source {
    /// Reads a model from bytes; `folder` is where its weights are looked for when they lie in other files.
    pub fn decode(bytes: Bytes, name: &str, folder: PathBuf) -> Result<Self, Error> {
        let broken = |detail: String| Error::Format { what: name.to_owned(), wanted: "ONNX model", detail };
        let unknown = unknown_fields(&bytes);
        let model = Model::decode(bytes).map_err(|error| broken(error.to_string()))?;
        if model.graph.as_ref().is_none_or(|graph| graph.node.is_empty() && graph.output.is_empty()) {
            return Err(broken("it has no graph".to_owned()));
        }
        Ok(Self { model, unknown, name: name.to_owned(), folder })
    }

    /// The version of the standard operators that the model is written in.
    pub fn opset(&self) -> i64 {
        let standard = |domain: &Option<String>| matches!(domain.as_deref(), None | Some("" | "ai.onnx"));
        self.model.opset_import.iter().find(|set| standard(&set.domain)).and_then(|set| set.version).unwrap_or(1)
    }

    /// The inputs with their types, all of fixed size; weights of the file are none.
    pub fn inputs(&self) -> Result<Vec<(String, TensorType)>, Error> {
        let mut found = Vec::new();
        for info in self.model.graph.iter().flat_map(|graph| &graph.input) {
            let name = info.name.clone().unwrap_or_default();
            let kind = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
            let dims: Option<Vec<usize>> =
                kind.and_then(|kind| kind.shape.as_ref()?.dim.iter().map(fixed_length).collect());
            let (Some(kind), Some(dims)) = (kind, dims) else {
                let detail = format!("its input `{name}` has no fixed size");
                return Err(Error::Format { what: self.name.clone(), wanted: "ONNX model of fixed sizes", detail });
            };
            if self.initializer(&name).is_none() {
                let element = element_of(kind.elem_type.unwrap_or(0), &format!("input `{name}`"))?;
                found.push((name, TensorType { element, dims }));
            }
        }
        Ok(found)
    }

    /// The names of all inputs and outputs.
    pub fn names(&self) -> Vec<String> {
        let values = self.model.graph.iter().flat_map(|graph| graph.input.iter().chain(&graph.output));
        values.filter_map(|info| info.name.clone()).collect()
    }

    /// The axes of the inputs whose length the file leaves open: input, axis, and the word for the length.
    pub fn open_axes(&self) -> Vec<(String, usize, String)> {
        let mut found = Vec::new();
        for info in self.model.graph.iter().flat_map(|graph| &graph.input) {
            let name = info.name.clone().unwrap_or_default();
            let shape =
                info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()).and_then(|kind| kind.shape.as_ref());
            for (axis, dim) in shape.iter().flat_map(|shape| &shape.dim).enumerate() {
                if fixed_length(dim).is_none() {
                    found.push((name.clone(), axis, length_key(&name, axis, dim)));
                }
            }
        }
        found
    }

    /// The weights of a name, if the model holds them.
    pub fn initializer(&self, name: &str) -> Option<Result<Tensor, Error>> {
        let graph = self.model.graph.as_ref()?;
        let message = graph.initializer.iter().find(|tensor| tensor.name.as_deref() == Some(name))?;
        Some(self.tensor(message))
    }

    /// The numbers of a tensor, wherever the format keeps them.
    pub fn tensor(&self, message: &TensorMessage) -> Result<Tensor, Error> {
        let name = message.name.as_deref().unwrap_or("");
        let what = format!("tensor `{name}` of {}", self.name);
        let broken = |detail: String| Error::Format { what: what.clone(), wanted: "ONNX tensor", detail };
        let element = element_of(message.data_type.unwrap_or(0), &what)?;
        let dims: Option<Vec<usize>> = message.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let dims = dims.ok_or_else(|| broken("a length is negative".to_owned()))?;
        if message.data_location == Some(1) {
            return Tensor::new(element, dims, self.outside(message, &broken)?);
        }
        if let Some(raw) = &message.raw_data {
            return Tensor::new(element, dims, raw.clone());
        }
        let data: Vec<u8> = match element {
            Element::F32 => message.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::F64 => message.double_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::I64 => message.int64_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            // Everything smaller is kept in 32-bit integers, floats of 16 bits by their bits.
            _ => {
                let size = element.size();
                message.int32_data.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size)).collect()
            }
        };
        Tensor::new(element, dims, data.into())
    }

    fn outside(&self, message: &TensorMessage, broken: &dyn Fn(String) -> Error) -> Result<Bytes, Error> {
        let entry = |key: &str| {
            let entry = message.external_data.iter().find(|entry| entry.key.as_deref() == Some(key));
            entry.and_then(|entry| entry.value.as_deref())
        };
        let number = |key: &str| match entry(key).map(str::parse::<usize>) {
            Some(Ok(value)) => Ok(Some(value)),
            Some(Err(_)) => Err(broken(format!("its {key} is no number"))),
            None => Ok(None),
        };
        let location = entry("location").ok_or_else(|| broken("it lies in a file without a name".to_owned()))?;
        // A model must not be able to read what lies elsewhere on the machine.
        if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(broken(format!("its file `{location}` does not lie beside the model")));
        }
        let file = map_file(&self.folder.join(location))?;
        let start = number("offset")?.unwrap_or(0);
        let length = match number("length")? {
            Some(length) => length,
            None => file.len().saturating_sub(start),
        };
        match start.checked_add(length).filter(|end| *end <= file.len()) {
            Some(end) => Ok(file.slice(start..end)),
            None => Err(broken(format!("its file `{location}` ends before it: is it whole?"))),
        }
    }
}
