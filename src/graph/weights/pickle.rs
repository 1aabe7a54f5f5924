//! A reader of the part of Python's pickle language that torch.save uses for tensors and their surroundings. Must not
//! know files or state dicts. It imports nothing and calls nothing: it builds values in a list that lives as long as
//! the answer. What it allocates is bounded by the pickle's own length and by the limits below.

use super::globals::{Global, global};
use super::values::{Id, Node, VALUE_LIMIT, Values, kind, short};
use crate::graph::Error;
use std::collections::HashMap;

/// Real pickles are a few hundred KiB: tensors' bytes stand outside.
pub(super) const PICKLE_LIMIT: usize = 64 << 20;
const TOO_MANY: &str = "it holds far more values than a checkpoint does";

/// A pickle that was read.
pub(super) struct Pickled {
    pub values: Values,
    /// The value it describes.
    pub root: Id,
    /// How many bytes it took.
    pub length: usize,
}

/// Reads the pickle at the start of `input`; `what` is the file's name for errors.
pub(super) fn unpickle(what: &str, input: &[u8]) -> Result<Pickled, Error> {
    let input = input.get(..PICKLE_LIMIT).unwrap_or(input);
    let machine = Machine {
        what,
        input,
        at: 0,
        op_at: 0,
        values: Values::default(),
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
        copied: 0,
    };
    machine.run()
}

struct Machine<'a> {
    what: &'a str,
    input: &'a [u8],
    at: usize,
    op_at: usize,
    values: Values,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Pairs copied into dictionaries: the one thing that can grow faster than the pickle.
    copied: usize,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Pickled, Error> {
        loop {
            self.op_at = self.at;
            let op = self.byte()?;
            if op == b'.' {
                let root = self.pop()?;
                return Ok(Pickled { values: self.values, root, length: self.at });
            }
            self.step(op)?;
            if [self.stack.len(), self.marks.len(), self.memo.len(), self.copied]
                .iter()
                .any(|count| *count > VALUE_LIMIT)
            {
                return Err(self.broken(TOO_MANY));
            }
        }
    }

    fn step(&mut self, op: u8) -> Result<(), Error> {
        match op {
            // PROTO, FRAME: the frames of protocol 4 are not needed to read it.
            0x80 => match self.byte()? {
                2..=5 => Ok(()),
                version => Err(self.broken(&format!("pickle protocol {version} is not supported"))),
            },
            0x95 => {
                let length = self.long_size()?;
                let whole = self.input.len() - self.at >= length;
                if whole { Ok(()) } else { Err(self.broken("a frame reaches past the end of the file")) }
            }
            // Single values.
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'K' => self.byte().and_then(|value| self.push(Node::Int(value.into()))),
            b'M' => self.array().map(u16::from_le_bytes).and_then(|value| self.push(Node::Int(value.into()))),
            b'J' => self.array().map(i32::from_le_bytes).and_then(|value| self.push(Node::Int(value.into()))),
            0x8a => self.short_size().and_then(|length| self.long(length)),
            0x8b => self.size().and_then(|length| self.long(length)),
            b'G' => self.array().map(f64::from_be_bytes).and_then(|value| self.push(Node::Float(value))),
            b'U' | 0x8c => self.short_size().and_then(|length| self.text(length)),
            b'T' | b'X' => self.size().and_then(|length| self.text(length)),
            0x8d => self.long_size().and_then(|length| self.text(length)),
            b'C' => self.short_size().and_then(|length| self.blob(length)),
            b'B' => self.size().and_then(|length| self.blob(length)),
            0x8e | 0x96 => self.long_size().and_then(|length| self.blob(length)),
            // Collections.
            b')' => self.push(Node::Tuple(vec![])),
            b']' => self.push(Node::List(vec![])),
            b'}' => self.push(Node::Dict(vec![])),
            0x8f => self.push(Node::Opaque("set")),
            0x85 => self.tuple(1),
            0x86 => self.tuple(2),
            0x87 => self.tuple(3),
            b't' => self.pop_to_mark().and_then(|items| self.push(Node::Tuple(items))),
            b'l' => self.pop_to_mark().and_then(|items| self.push(Node::List(items))),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(vec![]))?;
                self.set_items(&items)
            }
            0x91 => self.pop_to_mark().and_then(|_| self.push(Node::Opaque("frozenset"))),
            b'a' => self.pop().and_then(|item| self.append(&[item])),
            b'e' | 0x90 => self.pop_to_mark().and_then(|items| self.append(&items)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])
            }
            b'u' => self.pop_to_mark().and_then(|items| self.set_items(&items)),
            // Stack and memo.
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_to_mark().map(drop),
            b'2' => self.top().map(|id| self.stack.push(id)),
            b'q' => self.byte().and_then(|place| self.remember(place.into())),
            b'r' => self.array().map(u32::from_le_bytes).and_then(|place| self.remember(place)),
            0x94 => self.remember(self.memo.len() as u32),
            b'h' => self.byte().and_then(|place| self.recall(place.into())),
            b'j' => self.array().map(u32::from_le_bytes).and_then(|place| self.recall(place)),
            // Names, and what is made from them.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.node(module), self.node(name)) {
                    (Node::Text(module), Node::Text(name)) => self.global(&module.clone(), &name.clone()),
                    _ => Err(self.refused("STACK_GLOBAL takes a name that is no text")),
                }
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)
            }
            0x92 => {
                let (_named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments)
            }
            b'b' => {
                self.pop()?;
                match self.node(self.top()?) {
                    // State that a dictionary or a skipped thing would have taken on: versions of layers, fields.
                    Node::Dict(_) | Node::Opaque(_) => Ok(()),
                    other => Err(self.refused(&format!("BUILD sets the inner state of {}", kind(other)))),
                }
            }
            b'Q' => self.storage(),
            b'i' | b'o' => Err(self.refused("INST and OBJ make objects of classes")),
            0x82..=0x84 => Err(self.refused("EXT takes code from a registry")),
            _ => Err(self.broken(&format!("the opcode 0x{op:02x} is none that torch.save writes"))),
        }
    }

    fn broken(&self, detail: &str) -> Error {
        Error::Format {
            what: self.what.into(),
            wanted: "PyTorch checkpoint",
            detail: format!("byte {} of the pickle: {detail}", self.op_at),
        }
    }

    fn refused(&self, detail: &str) -> Error {
        Error::Unsafe { what: self.what.into(), detail: format!("byte {} of the pickle: {detail}", self.op_at) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(length);
        let bytes = end.and_then(|end| self.input.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.broken(&format!("it ends before the {length} bytes announced here")))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let bytes = self.take(N)?;
        bytes.first_chunk::<N>().copied().ok_or_else(|| self.broken("it ends"))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    fn short_size(&mut self) -> Result<usize, Error> {
        self.byte().map(usize::from)
    }

    fn size(&mut self) -> Result<usize, Error> {
        let size = self.array().map(u32::from_le_bytes)?;
        usize::try_from(size).map_err(|_| self.broken("a length is out of range"))
    }

    fn long_size(&mut self) -> Result<usize, Error> {
        let size = self.array().map(u64::from_le_bytes)?;
        usize::try_from(size).map_err(|_| self.broken("a length is out of range"))
    }

    fn line(&mut self) -> Result<&'a str, Error> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(1024).position(|byte| *byte == b'\n');
        let line = self.take(length.ok_or_else(|| self.broken("a name has no end"))?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| self.broken("a name is no text"))
    }

    fn long(&mut self, length: usize) -> Result<(), Error> {
        let bytes = self.take(length)?;
        if length > 16 {
            return self.push(Node::Opaque("long integer"));
        }
        let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 16];
        for (to, from) in wide.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.push(Node::Int(i128::from_le_bytes(wide)))
    }

    fn text(&mut self, length: usize) -> Result<(), Error> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Text(text))
    }

    fn blob(&mut self, length: usize) -> Result<(), Error> {
        self.take(length)?;
        self.push(Node::Opaque("bytes"))
    }

    fn node(&self, id: Id) -> &Node {
        self.values.node(id)
    }

    fn push(&mut self, node: Node) -> Result<(), Error> {
        let id = self.values.add(node);
        self.stack.push(id.ok_or_else(|| self.broken(TOO_MANY))?);
        Ok(())
    }

    fn top(&self) -> Result<Id, Error> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(floor..).and_then(|above| above.last().copied());
        top.ok_or_else(|| self.broken("an opcode takes a value where there is none"))
    }

    fn pop(&mut self) -> Result<Id, Error> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Error> {
        let mark = self.marks.pop().ok_or_else(|| self.broken("a list ends that never began"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn tuple(&mut self, length: usize) -> Result<(), Error> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Node::Tuple(items))
    }

    fn append(&mut self, items: &[Id]) -> Result<(), Error> {
        let list = self.top()?;
        match self.values.node_mut(list) {
            Some(Node::List(all)) => all.extend_from_slice(items),
            Some(Node::Opaque(_)) => {}
            _ => return Err(self.broken("it appends to something that is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Error> {
        let (pairs, odd) = items.as_chunks::<2>();
        let dict = self.top()?;
        match self.values.node_mut(dict) {
            _ if !odd.is_empty() => return Err(self.broken("a key has no value")),
            Some(Node::Dict(all)) => all.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Some(Node::Opaque(_)) => {}
            _ => return Err(self.broken("it sets items of something that is no dict")),
        }
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), Error> {
        let id = self.top()?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Error> {
        let id = self.memo.get(&place).copied();
        self.stack.push(id.ok_or_else(|| self.broken("it recalls a value that it never kept"))?);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Error> {
        match global(module, name) {
            Some(known) => self.push(Node::Global(known)),
            None => Err(self.refused(&format!("it asks for {}.{}", short(module), short(name)))),
        }
    }

    fn call(&mut self, callable: Id, arguments: Id) -> Result<(), Error> {
        let Node::Global(callable) = *self.node(callable) else {
            return Err(self.refused(&format!("it calls {}", kind(self.node(callable)))));
        };
        let Node::Tuple(arguments) = self.node(arguments) else {
            return Err(self.broken("the arguments of a call are no tuple"));
        };
        let first = arguments.first().copied();
        let made = match callable {
            Global::OrderedDict => {
                let pairs = self.values.pairs(arguments);
                self.copied += pairs.as_ref().map_or(0, Vec::len);
                pairs.map(Node::Dict)
            }
            Global::Tensor => self.values.view(arguments, None).map(|view| Node::Tensor(Box::new(view))),
            Global::TypedTensor => match arguments.get(6).map(|id| self.node(*id)) {
                Some(Node::Global(Global::Dtype(element))) => {
                    self.values.view(arguments, Some(*element)).map(|view| Node::Tensor(Box::new(view)))
                }
                _ => None,
            },
            // Both stand for the value that they are given.
            Global::Parameter if first.is_some_and(|id| matches!(self.node(id), Node::Tensor(_))) => {
                self.stack.extend(first);
                return Ok(());
            }
            Global::Size if first.is_some_and(|id| matches!(self.node(id), Node::Tuple(_))) => {
                self.stack.extend(first);
                return Ok(());
            }
            Global::Parameter | Global::Size => None,
            Global::Opaque(name) => Some(Node::Opaque(name)),
            Global::Storage(_) | Global::Dtype(_) => return Err(self.refused("it calls a type of tensor elements")),
        };
        let made = made.ok_or_else(|| self.broken("a tensor or dict is rebuilt from something else than its parts"))?;
        self.push(made)
    }

    fn storage(&mut self) -> Result<(), Error> {
        let parts = self.pop()?;
        let storage = match self.node(parts) {
            Node::Tuple(parts) => self.values.storage(parts),
            _ => None,
        };
        let storage = storage.ok_or_else(|| self.broken("something else than a tensor's storage stands outside"))?;
        self.push(Node::Storage(storage))
    }
}
