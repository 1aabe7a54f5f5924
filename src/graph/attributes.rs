//! The settings of nodes. Must not know what they mean.

use super::Tensor;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// A setting of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A word.
    Text(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// A constant.
    Tensor(Tensor),
}

/// The settings of a node by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(BTreeMap<String, Attribute>);

impl Attributes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// An integer, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        match self.0.get(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    /// A float, or its default.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        match self.0.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// A word, or its default.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        match self.0.get(name) {
            Some(Attribute::Text(value)) => value,
            _ => default,
        }
    }

    /// A list of integers, if it is set.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        match self.0.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }
}

impl Deref for Attributes {
    type Target = BTreeMap<String, Attribute>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Attributes {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<const N: usize> From<[(String, Attribute); N]> for Attributes {
    fn from(pairs: [(String, Attribute); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl FromIterator<(String, Attribute)> for Attributes {
    fn from_iter<T: IntoIterator<Item = (String, Attribute)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}
