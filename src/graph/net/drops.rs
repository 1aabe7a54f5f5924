//! What is left out at random while training: whole branches (drop-path) and single numbers (dropout). The host draws, the
//! graph takes the draws as inputs, so that a step is the same for the same inputs. Must not know layers.

use super::{MaskInput, MaskKind};
use crate::graph::{Element, Error, Graph, Value};

/// The inputs of draws, and what of them is given to which branch.
pub(super) struct Drops {
    /// One factor an image for each branch, `[B, 1, 1]`.
    paths: Vec<Value>,
    pub masks: Vec<MaskInput>,
}

impl Drops {
    /// Declares the input for all the branches that can be left out, if there are any; `keep` says how likely each stays.
    pub fn declare(graph: &mut Graph, keep: &[f32], batch: usize) -> Result<Self, Error> {
        let mut drops = Self { paths: Vec::new(), masks: Vec::new() };
        if keep.is_empty() {
            return Ok(drops);
        }
        let dims = vec![keep.len(), batch];
        let value = graph.input("drop_path", Element::F32, &dims)?;
        for row in graph.split(value, &vec![1; keep.len()], 0)? {
            drops.paths.push(graph.reshape(row, &[batch, 1, 1])?);
        }
        let name = "drop_path".to_owned();
        drops.masks.push(MaskInput { value, name, dims, kind: MaskKind::Paths, keep_probabilities: keep.to_vec() });
        Ok(drops)
    }

    /// A branch `[B, N, D]` times the factors of its row; as it is where it has none.
    pub fn path(&self, graph: &mut Graph, x: Value, row: Option<usize>) -> Result<Value, Error> {
        match row.and_then(|row| self.paths.get(row)) {
            Some(factor) => graph.mul(x, *factor),
            None => Ok(x),
        }
    }

    /// Every number of `x` left out with this probability, the others raised so that the mean stays.
    pub fn numbers(&mut self, graph: &mut Graph, x: Value, rate: f32) -> Result<Value, Error> {
        if rate == 0.0 {
            return Ok(x);
        }
        let count = self.masks.iter().filter(|mask| mask.kind == MaskKind::Numbers).count();
        let name = format!("dropout/{count}");
        let dims = graph.dims(x).to_vec();
        let value = graph.input(&name, Element::U8, &dims)?;
        let keep = graph.cast(value, Element::F32)?;
        let factor = graph.scale(keep, 1.0 / (1.0 - rate))?;
        let keep_probabilities = vec![1.0 - rate];
        self.masks.push(MaskInput { value, name, dims, kind: MaskKind::Numbers, keep_probabilities });
        graph.mul(x, factor)
    }
}
