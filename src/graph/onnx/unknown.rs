//! What a file holds that this program has no field for. The decoder drops such fields, and a field that vanishes must be
//! told of. Must not know what the fields mean.

/// A message, by the fields that are read; the second of a pair is the message inside, if it is one.
type Fields = &'static [(u32, Option<Kind>)];

#[derive(Clone, Copy)]
enum Kind {
    Model,
    OperatorSet,
    Entry,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
    Function,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::OperatorSet => "opset_import",
            Self::Entry => "metadata",
            Self::Graph => "graph",
            Self::Node => "node",
            Self::Attribute => "attribute",
            Self::Tensor => "tensor",
            Self::ValueInfo => "value",
            Self::Type | Self::TensorType => "type",
            Self::Shape => "shape",
            Self::Dimension => "dimension",
            Self::Function => "function",
        }
    }

    fn fields(self) -> Fields {
        use Kind::*;
        match self {
            Model => &[
                (1, None),
                (2, None),
                (3, None),
                (4, None),
                (5, None),
                (6, None),
                (7, Some(Graph)),
                (8, Some(OperatorSet)),
                (14, Some(Entry)),
                (25, Some(Function)),
            ],
            OperatorSet | Entry => &[(1, None), (2, None)],
            Graph => &[
                (1, Some(Node)),
                (2, None),
                (5, Some(Tensor)),
                (10, None),
                (11, Some(ValueInfo)),
                (12, Some(ValueInfo)),
                (13, Some(ValueInfo)),
                (16, Some(Entry)),
            ],
            Node => &[
                (1, None),
                (2, None),
                (3, None),
                (4, None),
                (5, Some(Attribute)),
                (6, None),
                (7, None),
                (8, None),
                (9, Some(Entry)),
            ],
            Attribute => &[
                (1, None),
                (2, None),
                (3, None),
                (4, None),
                (5, Some(Tensor)),
                (6, Some(Graph)),
                (7, None),
                (8, None),
                (9, None),
                (13, None),
                (20, None),
                (21, None),
            ],
            Tensor => &[
                (1, None),
                (2, None),
                (4, None),
                (5, None),
                (7, None),
                (8, None),
                (9, None),
                (10, None),
                (12, None),
                (13, Some(Entry)),
                (14, None),
                (16, Some(Entry)),
            ],
            ValueInfo => &[(1, None), (2, Some(Type)), (3, None), (4, Some(Entry))],
            Type => &[(1, Some(TensorType)), (6, None)],
            TensorType => &[(1, None), (2, Some(Shape))],
            Shape => &[(1, Some(Dimension))],
            Dimension => &[(1, None), (2, None), (3, None)],
            Function => &[
                (1, None),
                (4, None),
                (5, None),
                (6, None),
                (7, Some(Node)),
                (8, None),
                (9, Some(OperatorSet)),
                (10, None),
                (11, Some(Attribute)),
                (12, Some(ValueInfo)),
                (13, None),
                (14, Some(Entry)),
            ],
        }
    }
}

/// The fields of a serialised model that are not read, each once, as `graph.node: field 10`.
pub fn unknown_fields(model: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    scan(model, Kind::Model, "", &mut found);
    found.sort();
    found.dedup();
    found
}

fn scan(mut bytes: &[u8], kind: Kind, path: &str, found: &mut Vec<String>) {
    let path = if path.is_empty() { kind.name().to_owned() } else { format!("{path}.{}", kind.name()) };
    while let Some(key) = varint(&mut bytes) {
        let (field, wire) = ((key >> 3) as u32, key & 7);
        let content = match wire {
            0 => varint(&mut bytes).map(|_| &bytes[..0]),
            1 => take(&mut bytes, 8),
            2 => varint(&mut bytes).and_then(|length| take(&mut bytes, usize::try_from(length).ok()?)),
            5 => take(&mut bytes, 4),
            // A file that ends or breaks here is refused by the decoder itself.
            _ => return,
        };
        let Some(content) = content else { return };
        match kind.fields().iter().find(|(known, _)| *known == field) {
            None => found.push(format!("{path}: field {field}")),
            Some((_, Some(inner))) if wire == 2 => scan(content, *inner, &path, found),
            Some(_) => {}
        }
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::unknown_fields;

    #[test]
    fn a_field_without_a_place_is_named_with_the_message_it_stands_in() {
        // model { graph { node { 10: "x" } } 99: 5 }
        let model = [0x3a, 5, 0x0a, 3, 0x52, 1, b'x', 0x98, 0x06, 5];
        assert_eq!(unknown_fields(&model), ["model.graph.node: field 10", "model: field 99"]);
        assert!(unknown_fields(&[0x08, 10]).is_empty());
        assert!(unknown_fields(&[0x3a, 200]).is_empty(), "a cut file is the decoder's matter");
    }
}
