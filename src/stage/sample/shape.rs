//! Closed paths and how much of each pixel they cover. Must not know what is drawn with them.

/// A point or a vector: x to the right, y down.
pub(super) type Point = [f32; 2];
/// A closed outline.
pub(super) type Path = Vec<Point>;

pub(super) fn mix(a: Point, b: Point, t: f32) -> Point {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t]
}

pub(super) fn add(a: Point, b: Point, times: f32) -> Point {
    [a[0] + b[0] * times, a[1] + b[1] * times]
}

pub(super) fn length(a: Point) -> f32 {
    (a[0] * a[0] + a[1] * a[1]).sqrt()
}

/// The vector from `a` to `b`, of length 1.
pub(super) fn direction(a: Point, b: Point) -> Point {
    let d = add(b, a, -1.0);
    let n = length(d).max(1e-6);
    [d[0] / n, d[1] / n]
}

/// Points on a smooth curve through nodes `x, y, third`; the third value is carried along.
/// `slack(third)` scales the tangent: 1 passes smoothly, 0 makes a corner.
fn curve(nodes: &[f32], closed: bool, slack: impl Fn(f32) -> f32) -> Vec<[f32; 3]> {
    const STEPS: usize = 8;
    let (nodes, _) = nodes.as_chunks::<3>();
    let n = nodes.len();
    let mut out = Vec::with_capacity(n * STEPS + 1);
    for i in 0..if closed { n } else { n.saturating_sub(1) } {
        let [p0, p1, p2, p3] = [n - 1, 0, 1, 2].map(|d| match i + d {
            at if closed => nodes[at % n],
            at if d == n - 1 => nodes[(at - (n - 1)).saturating_sub(1)],
            at => nodes[at.min(n - 1)],
        });
        let (k1, k2) = (slack(p1[2]) * 0.5, slack(p2[2]) * 0.5);
        for step in 0..STEPS {
            let t = step as f32 / STEPS as f32;
            let (t2, t3) = (t * t, t * t * t);
            let weights = [2.0 * t3 - 3.0 * t2 + 1.0, (t3 - 2.0 * t2 + t) * k1, 3.0 * t2 - 2.0 * t3, (t3 - t2) * k2];
            let [w1, m1, w2, m2] = weights;
            out.push([0, 1, 2].map(|c| w1 * p1[c] + m1 * (p2[c] - p0[c]) + w2 * p2[c] + m2 * (p3[c] - p1[c])));
        }
    }
    if !closed {
        out.extend(nodes.last());
    }
    out
}

/// A closed outline through nodes `x, y, slack`, one after the other; slack 1 is smooth, 0 a corner.
pub(super) fn outline(nodes: &[f32]) -> Path {
    curve(nodes, true, |slack| slack).into_iter().map(|p| [p[0], p[1]]).collect()
}

/// A closed outline whose nodes are stretched by `size` and lie around a centre.
pub(super) fn around(centre: Point, size: Point, nodes: &[f32]) -> Path {
    outline(nodes).into_iter().map(|p| [centre[0] + p[0] * size[0], centre[1] + p[1] * size[1]]).collect()
}

/// The outline of a bent tube: its spine as `x, y, radius` one after the other, ends round or cut straight.
pub(super) fn limb(spine: &[f32], round: bool) -> Path {
    let line = curve(spine, false, |_| 1.0);
    let last = line.len() - 1;
    let place = |i: usize, side: f32, forward: f32| {
        let (p, a, b) = (line[i], line[i.saturating_sub(1)], line[(i + 1).min(last)]);
        let (d, r) = (direction([a[0], a[1]], [b[0], b[1]]), p[2].max(1e-4));
        [p[0] + r * (d[0] * forward - d[1] * side), p[1] + r * (d[1] * forward + d[0] * side)]
    };
    // Half a circle from the left over the front to the right.
    let cap = (1..12).map(|i| (i as f32 * std::f32::consts::PI / 12.0).sin_cos()).filter(|_| round);
    let mut path: Path = (0..=last).map(|i| place(i, 1.0, 0.0)).collect();
    path.extend(cap.clone().map(|(sin, cos)| place(last, cos, sin)));
    path.extend((0..=last).rev().map(|i| place(i, -1.0, 0.0)));
    path.extend(cap.map(|(sin, cos)| place(0, -cos, -sin)));
    path
}

/// A line of one width through points.
pub(super) fn stroke(points: &[Point], radius: f32, round: bool) -> Path {
    limb(&points.iter().flat_map(|p| [p[0], p[1], radius]).collect::<Vec<_>>(), round)
}

/// An ellipse; `tilt` turns its first axis towards y, in radians.
pub(super) fn ellipse(centre: Point, rx: f32, ry: f32, tilt: f32) -> Path {
    let (sin, cos) = tilt.sin_cos();
    (0..40)
        .map(|i| {
            let (y, x) = (i as f32 * std::f32::consts::TAU / 40.0).sin_cos();
            let (x, y) = (x * rx, y * ry);
            [centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos]
        })
        .collect()
}

/// The smallest box around paths: left, top, right, bottom.
pub(super) fn bounds<'a>(paths: impl IntoIterator<Item = &'a Path>) -> [f32; 4] {
    let start = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
    paths.into_iter().flatten().fold(start, |b, p| [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])])
}

/// How much of each pixel of a box is covered, row by row; 255 is all of it.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    /// The box's left column in the picture.
    pub x: usize,
    /// The box's top row in the picture.
    pub y: usize,
    /// The box's width in pixels.
    pub width: usize,
    /// The box's height in pixels.
    pub height: usize,
    /// `width * height` values, row-major.
    pub alpha: Vec<u8>,
}

impl Cover {
    /// An empty cover of the part of `bounds` that lies in a picture of `width` x `height` pixels.
    pub(super) fn empty(bounds: [f32; 4], width: usize, height: usize) -> Self {
        let clip = |v: f32, end: usize| v.clamp(0.0, end as f32) as usize;
        let (x, y) = (clip(bounds[0].floor(), width), clip(bounds[1].floor(), height));
        let (w, h) =
            (clip(bounds[2].ceil(), width).saturating_sub(x), clip(bounds[3].ceil(), height).saturating_sub(y));
        Self { x, y, width: w, height: h, alpha: vec![0; w * h] }
    }

    /// Exact area coverage of the union of the paths' insides, clipped to the picture.
    pub(super) fn fill(paths: &[Path], width: usize, height: usize) -> Self {
        let mut cover = Self::empty(bounds(paths), width, height);
        if cover.alpha.is_empty() {
            return cover;
        }
        let stride = cover.width + 2;
        // Each edge adds its height to the pixel it passes and so, by the running sum, to all pixels right of it.
        let mut sums = vec![0.0_f32; stride * cover.height];
        for path in paths {
            let area: f32 = (0..path.len()).map(|i| cross(path[i], path[(i + 1) % path.len()])).sum();
            for i in 0..path.len() {
                let (a, b) = (path[i], path[(i + 1) % path.len()]);
                edge(&mut sums, stride, &cover, a, b, if area > 0.0 { 1.0 } else { -1.0 });
            }
        }
        for (row, alpha) in sums.chunks(stride).zip(cover.alpha.chunks_mut(cover.width)) {
            let mut sum = 0.0;
            for (part, alpha) in row.iter().zip(alpha) {
                sum += part;
                *alpha = (sum.abs().min(1.0) * 255.0 + 0.5) as u8;
            }
        }
        cover
    }

    /// The value at a pixel of the picture, 0 outside the box.
    pub(super) fn at(&self, x: usize, y: usize) -> u8 {
        let inside = x >= self.x && y >= self.y && x < self.x + self.width && y < self.y + self.height;
        if inside { self.alpha[(y - self.y) * self.width + x - self.x] } else { 0 }
    }

    /// Spans `(start, length)` of the pixels more than half covered, 0-based in column-major order, for a picture
    /// of `picture_height` rows; touching spans of neighbouring columns are one.
    pub fn spans(&self, picture_height: usize) -> Vec<(usize, usize)> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for x in 0..self.width {
            for y in 0..self.height {
                if self.alpha[y * self.width + x] < 128 {
                    continue;
                }
                let at = (self.x + x) * picture_height + self.y + y;
                match spans.last_mut() {
                    Some((start, length)) if *start + *length == at => *length += 1,
                    _ => spans.push((at, 1)),
                }
            }
        }
        spans
    }
}

fn cross(a: Point, b: Point) -> f32 {
    a[0] * b[1] - a[1] * b[0]
}

fn edge(sums: &mut [f32], stride: usize, cover: &Cover, a: Point, b: Point, turn: f32) {
    let (left, top) = (cover.x as f32, cover.y as f32);
    let (a, b) = ([a[0] - left, a[1] - top], [b[0] - left, b[1] - top]);
    let (from, to, sign) = if a[1] < b[1] { (a, b, turn) } else { (b, a, -turn) };
    let (low, high) = (from[1].max(0.0), to[1].min(cover.height as f32));
    if low >= high {
        return;
    }
    let slope = (to[0] - from[0]) / (to[1] - from[1]);
    let x_at = |y: f32| (from[0] + (y - from[1]) * slope).clamp(0.0, cover.width as f32);
    let mut y = low;
    while y < high {
        let row = y as usize;
        let next = high.min((row + 1) as f32);
        let (x0, x1) = (x_at(y), x_at(next));
        let (near, far) = (x0.min(x1), x0.max(x1));
        let mut x = near;
        let line = &mut sums[row * stride..(row + 1) * stride];
        loop {
            let column = (x as usize).min(cover.width);
            let end = far.min((column + 1) as f32);
            let share = if far - near < 1e-6 { 1.0 } else { (end - x) / (far - near) };
            let part = sign * (next - y) * share;
            let inside = (x + end) * 0.5 - column as f32;
            line[column] += part * (1.0 - inside);
            line[column + 1] += part * inside;
            if end >= far {
                break;
            }
            x = end;
        }
        y = next;
    }
}

#[cfg(test)]
mod tests {
    use super::{Cover, outline};

    #[test]
    fn pixels_at_an_edge_are_covered_by_their_share() {
        let square = vec![[1.25, 1.0], [3.0, 1.0], [3.0, 2.5], [1.25, 2.5]];
        let mut reversed = square.clone();
        reversed.reverse();
        for path in [square, reversed] {
            let cover = Cover::fill(&[path], 8, 8);
            assert_eq!((cover.x, cover.y, cover.width, cover.height), (1, 1, 2, 2));
            assert_eq!(cover.alpha, [191, 255, 96, 128]);
        }
    }

    #[test]
    fn what_two_paths_cover_counts_once_and_what_is_outside_not_at_all() {
        let wide = vec![[-3.0, 0.0], [9.0, 0.0], [9.0, 2.0], [-3.0, 2.0]];
        let cover = Cover::fill(&[wide.clone(), wide], 4, 4);
        assert_eq!((cover.width, cover.height), (4, 2));
        assert!(cover.alpha.iter().all(|alpha| *alpha == 255));
    }

    #[test]
    fn spans_run_down_the_columns_and_on_into_the_next() {
        let cover = Cover { x: 1, y: 0, width: 2, height: 3, alpha: vec![255, 200, 0, 255, 255, 10] };
        // A picture of three rows: the second column has rows 0 and 2, the third rows 0 and 1.
        assert_eq!(cover.spans(3), [(3, 1), (5, 3)]);
    }

    #[test]
    fn a_path_through_corners_is_straight() {
        let path = outline(&[0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 4.0, 4.0, 0.0]);
        assert!(path[..8].iter().all(|p| p[1] == 0.0 && (0.0..=4.0).contains(&p[0])));
    }
}
