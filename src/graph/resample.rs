//! Resampling along one axis as a matrix: bilinear, bicubic and nearest, by every rule of coordinates that `Resize` knows.
//! Must not know graphs beyond one node.

use super::ir::{Graph, Node, Value};
use super::{Error, Tensor};

/// Rows of weights: one row an output element, one column an input element.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub data: Vec<f64>,
}

impl Matrix {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, data: vec![0.0; rows * columns] }
    }

    pub fn add(&mut self, row: usize, column: usize, weight: f64) {
        self.data[row * self.columns + column] += weight;
    }

    pub fn transposed(&self) -> Self {
        let mut other = Self::zeros(self.columns, self.rows);
        for row in 0..self.rows {
            for column in 0..self.columns {
                other.add(column, row, self.data[row * self.columns + column]);
            }
        }
        other
    }

    /// `self × other`: first `other`, then `self`.
    pub fn after(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.rows, other.columns);
        for row in 0..self.rows {
            for inner in 0..self.columns {
                let weight = self.data[row * self.columns + inner];
                if weight == 0.0 {
                    continue;
                }
                for column in 0..other.columns {
                    product.add(row, column, weight * other.data[inner * other.columns + column]);
                }
            }
        }
        product
    }

    pub fn tensor(&self) -> Result<Tensor, Error> {
        let values: Vec<f32> = self.data.iter().map(|weight| *weight as f32).collect();
        Tensor::f32(&[self.rows, self.columns], &values)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kernel {
    Nearest(Rounding),
    Linear,
    Cubic { a: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

/// How `Resize` finds its elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resampling {
    kernel: Kernel,
    coordinates: Coordinates,
    exclude_outside: bool,
    /// Whether the kernel is widened when there are fewer elements afterwards.
    antialias: bool,
}

impl Resampling {
    /// Bilinear with half-pixel centres: PyTorch's `align_corners=False`.
    pub const BILINEAR: Self =
        Self { kernel: Kernel::Linear, coordinates: Coordinates::HalfPixel, exclude_outside: false, antialias: false };

    /// As a `Resize` node says.
    pub fn of_node(node: &Node) -> Result<Self, Error> {
        let unknown =
            |what: &str, word: &str| Err(node.unsupported(format!("the {what} `{word}` has no gradient rule")));
        let kernel = match node.text("mode", "nearest") {
            "linear" => Kernel::Linear,
            "cubic" => Kernel::Cubic { a: f64::from(node.float("cubic_coeff_a", -0.75)) },
            "nearest" => Kernel::Nearest(match node.text("nearest_mode", "round_prefer_floor") {
                "round_prefer_floor" => Rounding::PreferFloor,
                "round_prefer_ceil" => Rounding::PreferCeil,
                "floor" => Rounding::Floor,
                "ceil" => Rounding::Ceil,
                other => return unknown("rounding", other),
            }),
            other => return unknown("mode", other),
        };
        let coordinates = match node.text("coordinate_transformation_mode", "half_pixel") {
            "half_pixel" => Coordinates::HalfPixel,
            "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
            "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
            "align_corners" => Coordinates::AlignCorners,
            "asymmetric" => Coordinates::Asymmetric,
            other => return unknown("rule of coordinates", other),
        };
        let (exclude_outside, antialias) = (node.int("exclude_outside", 0) != 0, node.int("antialias", 0) != 0);
        Ok(Self { kernel, coordinates, exclude_outside, antialias })
    }

    /// The weights from an axis of length `from` to one of length `to`; `scale` is `to / from`, or what the node says.
    pub fn matrix(&self, from: usize, to: usize, scale: f64) -> Matrix {
        let mut matrix = Matrix::zeros(to, from);
        let last = from as f64 - 1.0;
        for row in 0..to {
            let at = row as f64;
            let place = match self.coordinates {
                Coordinates::HalfPixel => (at + 0.5) / scale - 0.5,
                Coordinates::HalfPixelSymmetric => {
                    let adjustment = to as f64 / (scale * from as f64);
                    from as f64 / 2.0 * (1.0 - adjustment) + (at + 0.5) / scale - 0.5
                }
                Coordinates::PytorchHalfPixel if to == 1 => 0.0,
                Coordinates::PytorchHalfPixel => (at + 0.5) / scale - 0.5,
                Coordinates::AlignCorners if to == 1 => 0.0,
                Coordinates::AlignCorners => at * last / (to as f64 - 1.0),
                Coordinates::Asymmetric => at / scale,
            };
            if self.antialias && scale < 1.0 {
                self.widened(&mut matrix, row, place, scale);
                continue;
            }
            match self.kernel {
                Kernel::Nearest(rounding) => {
                    let near = match rounding {
                        Rounding::PreferFloor => (place - 0.5).ceil(),
                        Rounding::PreferCeil => (place + 0.5).floor(),
                        Rounding::Floor => place.floor(),
                        Rounding::Ceil => place.ceil(),
                    };
                    matrix.add(row, near.clamp(0.0, last) as usize, 1.0);
                }
                Kernel::Linear => {
                    let place = place.clamp(0.0, last);
                    let low = place.floor();
                    matrix.add(row, low as usize, 1.0 - (place - low));
                    matrix.add(row, (low + 1.0).min(last) as usize, place - low);
                }
                Kernel::Cubic { a } => self.cubic(&mut matrix, row, place, a),
            }
        }
        matrix
    }

    /// The kernel as wide as what becomes one element; its weights add up to 1.
    fn widened(&self, matrix: &mut Matrix, row: usize, place: f64, scale: f64) {
        let (reach, weigh): (f64, Box<dyn Fn(f64) -> f64>) = match self.kernel {
            Kernel::Nearest(_) => (0.5, Box::new(|_| 1.0)),
            Kernel::Linear => (1.0, Box::new(|x: f64| (1.0 - x.abs()).max(0.0))),
            Kernel::Cubic { a } => (2.0, Box::new(move |x: f64| cubic_weight(x.abs(), a))),
        };
        let last = matrix.columns as i64 - 1;
        let reach = reach / scale;
        let taps = ((place - reach).ceil() as i64).max(0)..=((place + reach).floor() as i64).min(last);
        let total: f64 = taps.clone().map(|tap| weigh((tap as f64 - place) * scale)).sum();
        for tap in taps {
            matrix.add(row, tap as usize, weigh((tap as f64 - place) * scale) / total);
        }
    }

    fn cubic(&self, matrix: &mut Matrix, row: usize, place: f64, a: f64) {
        let last = matrix.columns as f64 - 1.0;
        let low = place.floor();
        let t = place - low;
        let taps = [-1.0, 0.0, 1.0, 2.0].map(|offset: f64| (offset, cubic_weight((offset - t).abs(), a)));
        let inside = |offset: f64| !self.exclude_outside || (0.0..=last).contains(&(low + offset));
        let total: f64 = taps.iter().filter(|(offset, _)| inside(*offset)).map(|(_, weight)| weight).sum();
        for (offset, weight) in taps.into_iter().filter(|(offset, _)| inside(*offset)) {
            let weight = if self.exclude_outside { weight / total } else { weight };
            matrix.add(row, (low + offset).clamp(0.0, last) as usize, weight);
        }
    }
}

/// The cubic kernel at a distance of at most 2.
fn cubic_weight(x: f64, a: f64) -> f64 {
    match x {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
        _ => 0.0,
    }
}

impl Graph {
    /// Maps with the classes last, `[N, h*w, C]`, bilinearly through the sizes of `through` to `size`, as `[N, H*W, C]`.
    /// The whole way is one matrix along each axis, and no axis is ever moved: softmax wants the classes last anyway.
    pub fn upsample_last(
        &mut self,
        maps: Value,
        grid: (usize, usize),
        through: &[(usize, usize)],
        size: (usize, usize),
    ) -> Result<Value, Error> {
        let dims = self.dims(maps).to_vec();
        let &[batch, cells, classes] = dims.as_slice() else {
            return Err(Error::Node { node: "upsampling".to_owned(), detail: format!("{dims:?} is no [N, h*w, C]") });
        };
        if cells != grid.0 * grid.1 {
            return Err(Error::Node { node: "upsampling".to_owned(), detail: format!("{dims:?} is no grid {grid:?}") });
        }
        let along = |pick: fn(&(usize, usize)) -> usize| {
            let mut steps = vec![pick(&grid)];
            steps.extend(through.iter().map(pick));
            steps.push(pick(&size));
            steps.dedup();
            let mut way: Option<Matrix> = None;
            for pair in steps.windows(2) {
                let step = Resampling::BILINEAR.matrix(pair[0], pair[1], pair[1] as f64 / pair[0] as f64);
                way = Some(match way {
                    Some(way) => step.after(&way),
                    None => step,
                });
            }
            way
        };
        let mut maps = self.reshape(maps, &[batch, grid.0, grid.1, classes])?;
        if let Some(matrix) = along(|(_, width)| *width) {
            let weights = self.named_constant("constant/upsample_width", matrix.tensor()?);
            maps = self.matmul(weights, maps)?;
        }
        maps = self.reshape(maps, &[batch, grid.0, size.1 * classes])?;
        if let Some(matrix) = along(|(height, _)| *height) {
            let weights = self.named_constant("constant/upsample_height", matrix.tensor()?);
            maps = self.matmul(weights, maps)?;
        }
        self.reshape(maps, &[batch, size.0 * size.1, classes])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Resampling;

    #[test]
    fn doubling_and_then_halving_is_one_matrix() {
        let up = Resampling::BILINEAR.matrix(2, 4, 2.0);
        assert_eq!(up.data, [1.0, 0.0, 0.75, 0.25, 0.25, 0.75, 0.0, 1.0]);
        let down = Resampling::BILINEAR.matrix(4, 2, 0.5);
        assert_eq!(down.after(&up).data, [0.875, 0.125, 0.125, 0.875]);
        assert_eq!(up.transposed().transposed(), up);
    }
}
