//! Weights from a file made to fit a network: loaded, resized, started afresh, or left out, with a line for each. Must
//! not know networks: it is told what is wanted.

use super::Weights;
use super::init::counts_batches;
use super::names::detect;
use super::resize::{Grid, resize_positions};
use crate::graph::{Error, Tensor};
use std::collections::HashSet;
use std::fmt;

/// The metadata entry `ROWSxCOLUMNS` that tells a position embedding's grid; without it a grid is taken for square.
pub const GRID: &str = "grid";

/// A tensor that a network needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name here.
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// How it may differ in a file.
    pub role: Role,
}

/// How a tensor may differ in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not at all.
    Weight,
    /// In the number of classes: the second axis of `cls_emb`, the first of all others.
    Class,
    /// A position embedding (1, class tokens + patches, D): in the grid.
    Position {
        /// Rows and columns of patches.
        grid: Grid,
        /// Embeddings before those of the patches.
        class_tokens: usize,
        /// Whether it is resized bicubic (mmsegmentation's Segmenter) or bilinear (SETR, Segmenter's repository).
        cubic: bool,
    },
    /// Not at all; it is counted during training, not learned: 32-bit floats, or a 64-bit integer for
    /// `num_batches_tracked`.
    Buffer,
}

/// What became of one tensor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its shape, in the network, or in the file if it is unused.
    pub dims: Vec<usize>,
}

/// What became of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It is the file's.
    Loaded,
    /// A position embedding, resized.
    Resized {
        /// The file's grid.
        from: Grid,
        /// The network's.
        to: Grid,
    },
    /// It starts anew.
    Fresh {
        /// Why.
        why: String,
    },
    /// The file has it, the network does not.
    Unused {
        /// Why.
        why: String,
    },
}

/// Lines for people: a count of each outcome, then all that was not simply loaded.
pub struct Report<'a>(
    /// The lines.
    pub &'a [Line],
);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |kind: fn(&Outcome) -> bool| self.0.iter().filter(|line| kind(&line.outcome)).count();
        write!(
            f,
            "loaded {}, resized {}, fresh {}, unused {}",
            count(|outcome| matches!(outcome, Outcome::Loaded)),
            count(|outcome| matches!(outcome, Outcome::Resized { .. })),
            count(|outcome| matches!(outcome, Outcome::Fresh { .. })),
            count(|outcome| matches!(outcome, Outcome::Unused { .. })),
        )?;
        for Line { name, outcome, dims } in self.0 {
            match outcome {
                Outcome::Loaded => {}
                Outcome::Resized { from: (rows, columns), to } => {
                    write!(f, "\n  resized  {name} {dims:?}: {rows}×{columns} patches to {}×{}", to.0, to.1)?;
                }
                Outcome::Fresh { why } => write!(f, "\n  fresh    {name} {dims:?}: {why}")?,
                Outcome::Unused { why } => write!(f, "\n  unused   {name} {dims:?}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Fits weights with the names used here to a network; `fresh` makes the tensors that start anew. The answer holds
/// exactly the wanted tensors, 32-bit floats but for the counts of batches, and a line for each of them and for each
/// tensor of the file that is not wanted. A shape that cannot be made to fit is an error, and so is a file without most
/// of the encoder.
pub fn fit(
    source: &Weights,
    wanted: &[Wanted],
    mut fresh: impl FnMut(&Wanted) -> Result<Tensor, Error>,
) -> Result<(Weights, Vec<Line>), Error> {
    check_encoder(source, wanted)?;
    let mut fitted = Weights::default();
    let mut lines = Vec::with_capacity(wanted.len());
    for want in wanted {
        let (tensor, outcome) = match source.tensors.get(&want.name) {
            Some(tensor) => one(source, tensor, want)?,
            None => (None, Outcome::Fresh { why: "not in the file".into() }),
        };
        let tensor = tensor.map_or_else(|| made(want, &mut fresh), Ok)?;
        fitted.tensors.insert(want.name.clone(), tensor);
        lines.push(Line { name: want.name.clone(), outcome, dims: want.dims.clone() });
    }
    let known: HashSet<&str> = wanted.iter().map(|want| want.name.as_str()).collect();
    let unused = source.tensors.iter().filter(|(name, _)| !known.contains(name.as_str()));
    lines.extend(unused.map(|(name, tensor)| Line {
        name: name.clone(),
        outcome: Outcome::Unused { why: why_unused(name).into() },
        dims: tensor.dims().to_vec(),
    }));
    Ok((fitted, lines))
}

fn why_unused(name: &str) -> &'static str {
    match name.strip_prefix("encoder.").unwrap_or(name).split('.').next() {
        Some("head" | "pre_logits" | "fc_norm") => "part of the classifier that the encoder was trained with",
        Some("auxiliary_head") => "an auxiliary head, which this network has not",
        _ => "the network has no such tensor",
    }
}

fn made(want: &Wanted, fresh: &mut impl FnMut(&Wanted) -> Result<Tensor, Error>) -> Result<Tensor, Error> {
    let tensor = fresh(want)?;
    if tensor.dims() == want.dims { Ok(tensor) } else { Err(mismatch(want, &tensor, "just made")) }
}

/// The file's tensor made to fit, or none if it must start anew, and what became of it.
fn one(source: &Weights, tensor: &Tensor, want: &Wanted) -> Result<(Option<Tensor>, Outcome), Error> {
    let loaded = |tensor| Ok((Some(tensor), Outcome::Loaded));
    if counts_batches(&want.name) {
        if tensor.len() != 1 || !want.dims.is_empty() {
            return Err(mismatch(want, tensor, "in the file"));
        }
        return loaded(Tensor::i64(&[], &tensor.to_i64())?);
    }
    if !tensor.element().is_float() {
        let detail = format!("{} holds {} in the file, floats were expected", want.name, tensor.element());
        return Err(Error::Weights { detail });
    }
    match want.role {
        Role::Position { grid, class_tokens, cubic } => {
            let from = grid_of(source, tensor, want, class_tokens)?;
            if from == grid && tensor.dims() == want.dims {
                return loaded(tensor.as_f32()?);
            }
            let resized = resize_positions(tensor, class_tokens, from, grid, cubic)?;
            if resized.dims() != want.dims {
                return Err(mismatch(want, tensor, "in the file"));
            }
            Ok((Some(resized), Outcome::Resized { from, to: grid }))
        }
        _ if tensor.dims() == want.dims => loaded(tensor.as_f32()?),
        Role::Class => match classes(want, tensor) {
            Some((have, need)) => {
                Ok((None, Outcome::Fresh { why: format!("{have} classes in the file, {need} in the network") }))
            }
            None => Err(mismatch(want, tensor, "in the file")),
        },
        Role::Weight | Role::Buffer => Err(mismatch(want, tensor, "in the file")),
    }
}

/// The two numbers of classes, if nothing else differs.
fn classes(want: &Wanted, tensor: &Tensor) -> Option<(usize, usize)> {
    let axis = usize::from(want.name.ends_with("cls_emb"));
    let mut same = tensor.dims().to_vec();
    let (have, need) = (*same.get(axis)?, *want.dims.get(axis)?);
    *same.get_mut(axis)? = need;
    (same == want.dims).then_some((have, need))
}

/// The grid of the file's position embedding: as its metadata say, else the wanted one if only that can be, else square.
fn grid_of(source: &Weights, tensor: &Tensor, want: &Wanted, class_tokens: usize) -> Result<Grid, Error> {
    let patches = match tensor.dims() {
        [1, count, depth] if want.dims.last() == Some(depth) => count.checked_sub(class_tokens),
        _ => None,
    };
    let patches = patches.filter(|patches| *patches > 0).ok_or_else(|| mismatch(want, tensor, "in the file"))?;
    let told = source.metadata.get(GRID).and_then(|grid| grid.split_once('x'));
    let told = told.and_then(|(rows, columns)| Some((rows.parse::<usize>().ok()?, columns.parse::<usize>().ok()?)));
    if let Some(grid) = told.filter(|(rows, columns)| rows.checked_mul(*columns) == Some(patches)) {
        return Ok(grid);
    }
    let side = patches.isqrt();
    if side * side == patches {
        return Ok((side, side));
    }
    Err(Error::Weights {
        detail: format!(
            "{} has {patches} patches in the file ({:?}, {class_tokens} of it class tokens), which is no square; save it \
             with the metadata {GRID} = \"ROWSxCOLUMNS\"",
            want.name,
            tensor.dims()
        ),
    })
}

fn mismatch(want: &Wanted, tensor: &Tensor, place: &str) -> Error {
    Error::Weights {
        detail: format!(
            "{} has the shape {:?} {place}, the network needs {:?}; take the file of a network of this size",
            want.name,
            tensor.dims(),
            want.dims
        ),
    }
}

/// A file that lacks most of the encoder is another network's.
fn check_encoder(source: &Weights, wanted: &[Wanted]) -> Result<(), Error> {
    let encoder: Vec<&str> =
        wanted.iter().map(|want| want.name.as_str()).filter(|name| name.starts_with("backbone.")).collect();
    let missing: Vec<&str> = encoder.iter().copied().filter(|name| !source.tensors.contains_key(*name)).collect();
    if missing.len() * 2 <= encoder.len() {
        return Ok(());
    }
    let few = |names: &mut dyn Iterator<Item = &str>| names.take(3).collect::<Vec<_>>().join(", ");
    let naming = detect(source.tensors.keys().map(String::as_str));
    Err(Error::Weights {
        detail: format!(
            "{} of the encoder's {} tensors are not in the file, such as {}; its names are {} ({}). Take the file of this \
             network or of its encoder",
            missing.len(),
            encoder.len(),
            few(&mut missing.iter().copied()),
            naming.map_or("nobody's that is known".into(), |naming| format!("those of {naming}")),
            few(&mut source.tensors.keys().map(String::as_str)),
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Element;
    use crate::graph::weights::fixtures::fixture;
    use crate::graph::weights::{Naming, from_canonical, to_canonical};
    use bytes::Bytes;

    const GRID_3: Role = Role::Position { grid: (3, 3), class_tokens: 1, cubic: true };

    fn want(name: &str, dims: &[usize], role: Role) -> Wanted {
        Wanted { name: name.into(), dims: dims.to_vec(), role }
    }

    fn zeros(want: &Wanted) -> Result<Tensor, Error> {
        Ok(Tensor::full(&want.dims, 0.0))
    }

    fn of(tensors: &[(&str, Tensor)]) -> Weights {
        let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        Weights { tensors, ..Weights::default() }
    }

    /// The network of the fixtures with another number of classes and another grid.
    fn network(classes: usize, grid: Grid) -> Vec<Wanted> {
        let file = to_canonical(fixture("segmenter.pth").unwrap()).unwrap();
        let names = file.tensors.iter().filter(|(name, _)| !name.starts_with("encoder."));
        let wanted = names.map(|(name, tensor)| match name.as_str() {
            "backbone.pos_embed" => {
                want(name, &[1, 1 + grid.0 * grid.1, 8], Role::Position { grid, class_tokens: 1, cubic: false })
            }
            "decode_head.cls_emb" => want(name, &[1, classes, 8], Role::Class),
            "decode_head.mask_norm.weight" | "decode_head.mask_norm.bias" => want(name, &[classes], Role::Class),
            _ => want(name, tensor.dims(), Role::Weight),
        });
        wanted.collect()
    }

    #[test]
    fn the_same_network_is_loaded_whole() {
        let file = to_canonical(fixture("segmenter.pth").unwrap()).unwrap();
        let (fitted, lines) = fit(&file, &network(5, (3, 3)), zeros).unwrap();
        assert_eq!(fitted.tensors.len() + 2, file.tensors.len());
        assert!(fitted.tensors.iter().all(|(name, tensor)| file.tensors.get(name) == Some(tensor)));
        let report = Report(&lines).to_string();
        assert!(report.starts_with("loaded 39, resized 0, fresh 0, unused 2\n"), "{report}");
        assert!(report.contains("unused   encoder.head.weight [10, 8]: part of the classifier"), "{report}");
    }

    #[test]
    fn other_classes_and_another_grid_start_afresh_and_are_resized() {
        let file = to_canonical(fixture("segmenter.pth").unwrap()).unwrap();
        let (fitted, lines) = fit(&file, &network(2, (4, 2)), zeros).unwrap();
        let report = Report(&lines).to_string();
        assert!(report.starts_with("loaded 35, resized 1, fresh 3, unused 2\n"), "{report}");
        assert!(report.contains("resized  backbone.pos_embed [1, 9, 8]: 3×3 patches to 4×2"), "{report}");
        assert!(
            report.contains("fresh    decode_head.cls_emb [1, 2, 8]: 5 classes in the file, 2 in the network"),
            "{report}"
        );
        let positions = fitted.tensors.get("backbone.pos_embed").unwrap();
        let (old, new) = (file.tensors.get("backbone.pos_embed").unwrap().to_f32(), positions.to_f32());
        assert_eq!(old.get(..8), new.get(..8));
        // What was fitted to a grid that is no square says so, or is taken for one.
        let wanted = &network(2, (3, 3));
        let mut again = fitted;
        assert!(fit(&again, wanted, zeros).unwrap_err().to_string().contains("8 patches in the file"));
        again.metadata.insert(GRID.into(), "4x2".into());
        let (_, lines) = fit(&again, wanted, zeros).unwrap();
        let line = lines.iter().find(|line| line.name == "backbone.pos_embed").unwrap();
        assert_eq!(line.outcome, Outcome::Resized { from: (4, 2), to: (3, 3) });
    }

    #[test]
    fn any_other_shape_is_an_error_with_both_shapes() {
        for (name, dims, role) in [
            ("a", &[3, 2][..], Role::Weight),
            ("a", &[3, 2], Role::Class),
            ("a", &[2, 3, 1], Role::Class),
            ("a", &[2], Role::Buffer),
            ("a", &[1, 10, 4], GRID_3),
        ] {
            let error = fit(&of(&[("a", Tensor::full(&[2, 3], 0.5))]), &[want(name, dims, role)], zeros).unwrap_err();
            let error = error.to_string();
            let shapes = format!("a has the shape [2, 3] in the file, the network needs {dims:?}");
            assert!(error.contains(&shapes), "{error}");
        }
        let wider = of(&[("x.cls_emb", Tensor::full(&[1, 5, 8], 0.0))]);
        assert!(fit(&wider, &[want("x.cls_emb", &[1, 5, 4], Role::Class)], zeros).is_err());
        let whole = of(&[("a", Tensor::i64(&[1], &[1]).unwrap())]);
        let error = fit(&whole, &[want("a", &[1], Role::Weight)], zeros).unwrap_err().to_string();
        assert!(error.contains("a holds i64"), "{error}");
    }

    #[test]
    fn numbers_become_32_bit_floats_and_counts_integers() {
        let half = Tensor::new(Element::F16, vec![1], Bytes::from_static(&[0x00, 0x3c])).unwrap();
        let source = of(&[("a", half), ("bn.num_batches_tracked", Tensor::scalar(7.0))]);
        let wanted = [want("a", &[1], Role::Weight), want("bn.num_batches_tracked", &[], Role::Buffer)];
        let (fitted, _) = fit(&source, &wanted, zeros).unwrap();
        assert_eq!(fitted.tensors.get("a"), Some(&Tensor::full(&[1], 1.0)));
        assert_eq!(fitted.tensors.get("bn.num_batches_tracked"), Some(&Tensor::i64(&[], &[7]).unwrap()));
    }

    #[test]
    fn an_encoder_alone_leaves_the_head_fresh() {
        let (_, lines) = fit(&to_canonical(fixture("timm.pth").unwrap()).unwrap(), &network(5, (3, 3)), zeros).unwrap();
        let report = Report(&lines).to_string();
        assert!(report.starts_with("loaded 18, resized 0, fresh 21, unused 2\n"), "{report}");
        assert!(report.contains("fresh    decode_head.dec_proj.bias [8]: not in the file"), "{report}");
    }

    #[test]
    fn a_file_without_most_of_the_encoder_is_the_wrong_file() {
        let official = from_canonical(
            &to_canonical(fixture("timm.pth").unwrap())
                .map(|mut weights| {
                    weights.tensors.retain(|name, _| name.starts_with("backbone."));
                    weights
                })
                .unwrap(),
            Naming::Segmenter,
        );
        let error = fit(&official.unwrap(), &network(5, (3, 3)), zeros).unwrap_err().to_string();
        assert!(
            error.contains("18 of the encoder's 18 tensors are not in the file, such as backbone.cls_token"),
            "{error}"
        );
        assert!(error.contains("those of Segmenter (encoder.blocks.0"), "{error}");
    }

    #[test]
    fn a_fresh_tensor_of_a_wrong_shape_is_refused() {
        let failed = fit(&of(&[]), &[want("a", &[2], Role::Weight)], |_| Ok(Tensor::scalar(0.0)));
        assert!(failed.unwrap_err().to_string().contains("a has the shape [] just made"));
    }
}
