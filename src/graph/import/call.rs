//! One node of a file, as the rules of the import see it. Must not know graphs.

use crate::graph::Error;
use crate::graph::attributes::Attributes;
use crate::graph::ir::Value;

/// One node as the file has it, its inputs found and its settings read.
pub(super) struct Call<'a> {
    pub op: &'a str,
    pub name: &'a str,
    pub inputs: Vec<Option<Value>>,
    pub attributes: Attributes,
    /// How many outputs have names.
    pub outputs: usize,
}

impl Call<'_> {
    pub fn x(&self, place: usize) -> Result<Value, Error> {
        self.input(place).ok_or_else(|| self.broken(format!("its input {place} is missing")))
    }

    pub fn input(&self, place: usize) -> Option<Value> {
        self.inputs.get(place).copied().flatten()
    }

    pub fn label(&self) -> String {
        format!("{} `{}`", self.op, self.name)
    }

    pub fn broken(&self, detail: impl Into<String>) -> Error {
        Error::Node { node: self.label(), detail: detail.into() }
    }

    pub fn unsupported(&self, detail: impl Into<String>) -> Error {
        Error::Unsupported { node: self.label(), detail: detail.into() }
    }
}
