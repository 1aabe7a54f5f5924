//! Position embeddings for another grid of patches, with the numbers of PyTorch's `F.interpolate`. Must not know files.

use crate::graph::{Error, Tensor};

/// Rows and columns of patches.
pub type Grid = (usize, usize);

/// Resizes a position embedding (1, class tokens + rows·columns, D), the patches row by row, from one grid to another:
/// bilinear, or bicubic with a = -0.75, sample points at the middle of patches (align_corners=False), no antialiasing.
/// The class tokens' embeddings, which come first, stay. The answer is 32-bit floats.
pub fn resize_positions(
    tensor: &Tensor,
    class_tokens: usize,
    from: Grid,
    to: Grid,
    cubic: bool,
) -> Result<Tensor, Error> {
    let patches = from.0.checked_mul(from.1);
    let &[1, count, depth] = tensor.dims() else { return Err(misfit(tensor, class_tokens, from)) };
    if patches.and_then(|patches| patches.checked_add(class_tokens)) != Some(count) || patches == Some(0) || depth == 0
    {
        return Err(misfit(tensor, class_tokens, from));
    }
    let values = tensor.to_f32();
    let (class, patches) = values.split_at(class_tokens * depth);
    let rows = taps(from.0, to.0, cubic);
    let columns = taps(from.1, to.1, cubic);
    let mut out = class.to_vec();
    let mut sum = vec![0.0_f64; depth];
    for row in &rows {
        for column in &columns {
            sum.fill(0.0);
            for (y, weight_y) in row {
                for (x, weight_x) in column {
                    let at = (y * from.1 + x) * depth;
                    let patch = patches.get(at..at + depth).unwrap_or_default();
                    sum.iter_mut().zip(patch).for_each(|(sum, value)| *sum += weight_y * weight_x * f64::from(*value));
                }
            }
            out.extend(sum.iter().map(|value| *value as f32));
        }
    }
    Tensor::f32(&[1, class_tokens + to.0 * to.1, depth], &out)
}

fn misfit(tensor: &Tensor, class_tokens: usize, from: Grid) -> Error {
    let (rows, columns) = from;
    Error::Weights {
        detail: format!(
            "a position embedding {:?} is none of {class_tokens} class tokens and {rows}×{columns} patches",
            tensor.dims()
        ),
    }
}

/// For every place of an axis, the places of the old axis it is made of and their shares, which sum to 1.
fn taps(from: usize, to: usize, cubic: bool) -> Vec<Vec<(usize, f64)>> {
    let scale = from as f64 / to as f64;
    let clamp = |at: f64| at.clamp(0.0, from as f64 - 1.0) as usize;
    (0..to)
        .map(|place| {
            let middle = (place as f64 + 0.5) * scale - 0.5;
            if cubic {
                let first = middle.floor();
                let share = |step: f64| (clamp(first + step), cubic_share((middle - first - step).abs()));
                [-1.0, 0.0, 1.0, 2.0].map(share).to_vec()
            } else {
                let middle = middle.max(0.0);
                let first = middle.floor();
                vec![(clamp(first), 1.0 - (middle - first)), (clamp(first + 1.0), middle - first)]
            }
        })
        .collect()
}

/// Keys' kernel with a = -0.75.
fn cubic_share(distance: f64) -> f64 {
    const A: f64 = -0.75;
    if distance <= 1.0 {
        ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
    } else if distance < 2.0 {
        (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::weights::fixtures::fixture;

    #[test]
    fn positions_are_resized_as_by_torch() {
        let expected = fixture("positions.safetensors").unwrap();
        let source = expected.tensors.get("source").unwrap();
        let tall = expected.tensors.get("tall").unwrap();
        for (name, source, from, to, cubic) in [
            ("bilinear_5x5_to_8x8", source, (5, 5), (8, 8), false),
            ("bilinear_5x5_to_3x2", source, (5, 5), (3, 2), false),
            ("bilinear_3x4_to_7x6", tall, (3, 4), (7, 6), false),
            ("bicubic_5x5_to_8x8", source, (5, 5), (8, 8), true),
            ("bicubic_5x5_to_3x2", source, (5, 5), (3, 2), true),
            ("bicubic_3x4_to_7x6", tall, (3, 4), (7, 6), true),
        ] {
            let resized = resize_positions(source, 1, from, to, cubic).unwrap();
            let expected = expected.tensors.get(name).unwrap();
            assert_eq!(resized.dims(), expected.dims(), "{name}");
            let worst = resized.to_f32().iter().zip(expected.to_f32()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-6, "{name}: {worst}");
        }
    }

    #[test]
    fn a_grid_that_is_not_the_embeddings_is_refused() {
        let tensor = Tensor::full(&[1, 10, 4], 0.5);
        assert!(resize_positions(&tensor, 1, (3, 3), (4, 4), true).is_ok());
        assert!(resize_positions(&tensor, 1, (5, 2), (4, 4), true).is_err());
        assert!(resize_positions(&tensor, 1, (usize::MAX, 2), (4, 4), true).is_err());
        assert!(resize_positions(&Tensor::scalar(1.0), 1, (0, 0), (4, 4), true).is_err());
    }
}
