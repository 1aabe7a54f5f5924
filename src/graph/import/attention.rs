//! The `Attention` operator of opset 23 as products and a softmax. Must not know files.

use super::{Call, Reader};
use crate::graph::attributes::Attributes;
use crate::graph::ir::Value;
use crate::graph::{Element, Error, Tensor};

impl Reader<'_> {
    /// `softmax(scale Q Kᵀ + mask) V` over `[N, heads, length, width]`, or over `[N, length, heads * width]` with the
    /// number of heads given.
    pub(super) fn attention(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        if call.input(4).is_some() || call.outputs > 1 {
            return Err(call.unsupported("a cache of keys, or its scores as outputs, are not known here"));
        }
        let flat = self.graph.dims(call.x(0)?).len() == 3;
        let q = self.heads(call, call.x(0)?, "q_num_heads")?;
        let k = self.heads(call, call.x(1)?, "kv_num_heads")?;
        let v = self.heads(call, call.x(2)?, "kv_num_heads")?;
        let heads = self.graph.dims(q)[1];
        let (k, v) = (self.repeat_heads(call, k, heads)?, self.repeat_heads(call, v, heads)?);
        let width = self.graph.dims(q)[3];
        let scale = call.attributes.float("scale", 1.0 / (width as f32).sqrt());
        let turned = self.graph.transpose_last(k)?;
        let scores = self.graph.matmul(q, turned)?;
        let mut scores = self.graph.scale(scores, scale)?;
        if call.attributes.int("softcap", 0) != 0 || call.attributes.float("softcap", 0.0) != 0.0 {
            let cap = call.attributes.float("softcap", 0.0);
            let small = self.graph.scale(scores, 1.0 / cap)?;
            let bent = self.graph.unary("Tanh", small)?;
            scores = self.graph.scale(bent, cap)?;
        }
        if let Some(mask) = call.input(3) {
            scores = self.masked(scores, mask)?;
        }
        if call.attributes.int("is_causal", 0) != 0 {
            let dims = self.graph.dims(scores).to_vec();
            let (rows, columns) = (dims[2], dims[3]);
            let seen = (0..rows).flat_map(|row| (0..columns).map(move |column| u8::from(column <= row)));
            let seen = Tensor::new(Element::Bool, vec![rows, columns], seen.collect::<Vec<u8>>().into())?;
            let seen = self.graph.constant(seen);
            scores = self.masked(scores, seen)?;
        }
        let weights = self.graph.softmax(scores, 3)?;
        let mixed = self.graph.matmul(weights, v)?;
        if !flat {
            return Ok(vec![mixed]);
        }
        let dims = self.graph.dims(mixed).to_vec();
        let rows = self.graph.transpose(mixed, &[0, 2, 1, 3])?;
        Ok(vec![self.graph.reshape(rows, &[dims[0], dims[2], dims[1] * dims[3]])?])
    }

    fn heads(&mut self, call: &Call<'_>, x: Value, count: &str) -> Result<Value, Error> {
        let dims = self.graph.dims(x).to_vec();
        let heads = usize::try_from(call.attributes.int(count, 0)).unwrap_or(0);
        match dims.as_slice() {
            [_, _, _, _] => Ok(x),
            [batch, length, width] if heads > 0 && width % heads == 0 => {
                let cut = self.graph.reshape(x, &[*batch, *length, heads, width / heads])?;
                self.graph.transpose(cut, &[0, 2, 1, 3])
            }
            _ => Err(call.broken(format!("{dims:?} does not make {heads} heads"))),
        }
    }

    /// Fewer heads of keys than of queries: each serves several neighbours.
    fn repeat_heads(&mut self, call: &Call<'_>, x: Value, heads: usize) -> Result<Value, Error> {
        let dims = self.graph.dims(x).to_vec();
        let &[batch, own, length, width] = dims.as_slice() else {
            return Err(call.broken(format!("{dims:?} has no heads")));
        };
        if own == heads {
            return Ok(x);
        }
        if own == 0 || !heads.is_multiple_of(own) {
            return Err(call.broken(format!("{own} heads of keys cannot serve {heads}")));
        }
        let thin = self.graph.reshape(x, &[batch, own, 1, length, width])?;
        let wide = self.graph.expand(thin, &[batch, own, heads / own, length, width])?;
        self.graph.reshape(wide, &[batch, heads, length, width])
    }

    fn masked(&mut self, scores: Value, mask: Value) -> Result<Value, Error> {
        if self.graph.kind(mask).element != Element::Bool {
            return self.graph.add(scores, mask);
        }
        let never = self.graph.scalar_like(f32::NEG_INFINITY, scores)?;
        self.graph.op("Where", &[mask, scores, never], Attributes::new())
    }
}
