//! What a pickle describes: plain values, dictionaries, and tensors as windows on storages. Must not know opcodes.
//! Values refer to each other by their place in one list, so that nesting, however deep, costs no stack.

use super::globals::Global;
use crate::graph::Element;

/// More values than any checkpoint has; it bounds the memory that a pickle can ask for.
pub(super) const VALUE_LIMIT: usize = 1 << 22;
const RANK_LIMIT: usize = 64;
const KEY_LIMIT: usize = 256;

/// The place of a value in [`Values`].
pub(super) type Id = u32;

/// A value that the pickle describes.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    /// Pairs in the order of writing; of equal keys the last counts.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Box<View>),
    /// Something that is skipped over, and its kind.
    Opaque(&'static str),
}

/// Bytes that stand outside the pickle.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    /// Its name in the checkpoint.
    pub key: String,
    /// The type of its elements; `None` if that is not supported.
    pub element: Option<Element>,
    /// Number of elements.
    pub count: usize,
}

/// A tensor: a window on a storage.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Where the elements are.
    pub storage: Storage,
    /// The type of the elements; `None` if that is not supported.
    pub element: Option<Element>,
    /// The first element, counted in elements, as the strides are.
    pub offset: usize,
    /// Lengths of the axes.
    pub dims: Vec<usize>,
    /// How many elements further the next of each axis lies; as many as `dims`.
    pub strides: Vec<usize>,
}

/// All values of a pickle, in the order they were met.
#[derive(Default)]
pub(super) struct Values {
    nodes: Vec<Node>,
}

impl Values {
    /// The value at a place; every place in a value is one of this list.
    pub fn node(&self, id: Id) -> &Node {
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    pub fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id as usize)
    }

    /// Every storage that a value was met for.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|node| if let Node::Storage(storage) = node { Some(storage) } else { None })
    }

    /// Adds a value and says where it stands; `None` when there are too many.
    pub fn add(&mut self, node: Node) -> Option<Id> {
        let id = self.nodes.len();
        (id < VALUE_LIMIT).then(|| self.nodes.push(node))?;
        Id::try_from(id).ok()
    }

    /// Pairs that an `OrderedDict` starts with: none, or, from Python 2, a list of lists of two.
    pub fn pairs(&self, arguments: &[Id]) -> Option<Vec<(Id, Id)>> {
        let [first] = arguments else { return arguments.is_empty().then(Vec::new) };
        let Node::List(items) = self.node(*first) else { return None };
        let pair = |id: &Id| match self.node(*id) {
            Node::List(pair) | Node::Tuple(pair) => {
                pair.as_slice().try_into().ok().map(|[key, value]: [Id; 2]| (key, value))
            }
            _ => None,
        };
        items.iter().map(pair).collect()
    }

    /// A tensor from the arguments of its rebuilding; `element` overrules the storage's.
    pub fn view(&self, arguments: &[Id], element: Option<Option<Element>>) -> Option<View> {
        let [storage, offset, dims, strides, ..] = arguments else { return None };
        let Node::Storage(storage) = self.node(*storage) else { return None };
        let (dims, strides) = (self.counts(*dims)?, self.counts(*strides)?);
        let element = element.unwrap_or(storage.element);
        (dims.len() == strides.len()).then_some(View {
            storage: storage.clone(),
            element,
            offset: self.count(*offset)?,
            dims,
            strides,
        })
    }

    fn counts(&self, id: Id) -> Option<Vec<usize>> {
        let Node::Tuple(items) = self.node(id) else { return None };
        let items = (items.len() <= RANK_LIMIT).then_some(items)?;
        items.iter().map(|item| self.count(*item)).collect()
    }

    fn count(&self, id: Id) -> Option<usize> {
        let Node::Int(value) = self.node(id) else { return None };
        usize::try_from(*value).ok()
    }

    /// A storage stands outside: `('storage', class, key, device, number of elements[, None])`.
    pub fn storage(&self, parts: &[Id]) -> Option<Storage> {
        let [label, class, key, _device, count, window @ ..] = parts else { return None };
        let (Node::Text(label), Node::Text(key)) = (self.node(*label), self.node(*key)) else { return None };
        let Node::Global(Global::Storage(element)) = self.node(*class) else { return None };
        let whole = window.iter().all(|id| matches!(self.node(*id), Node::None));
        let count = self.count(*count)?;
        (label == "storage" && whole && key.len() <= KEY_LIMIT).then(|| Storage {
            key: key.clone(),
            element: *element,
            count,
        })
    }
}

/// A value in a word or two, for errors.
pub(super) fn kind(node: &Node) -> &'static str {
    match node {
        Node::None => "None",
        Node::Bool(_) | Node::Int(_) | Node::Float(_) => "a number",
        Node::Text(_) => "a text",
        Node::List(_) | Node::Tuple(_) => "a list",
        Node::Dict(_) => "a dict",
        Node::Global(_) => "a class",
        Node::Storage(_) | Node::Tensor(_) => "a tensor",
        Node::Opaque(name) => name,
    }
}

/// A text of the file for people: not long, and nothing that a terminal would obey.
pub(super) fn short(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(60).flat_map(char::escape_debug).collect();
    if letters.next().is_some() { start + "…" } else { start }
}
