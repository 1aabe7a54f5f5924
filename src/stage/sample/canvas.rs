//! Paints a sketch: light, folds, shadows, and who hides whom. Must not know what the layers show.

use super::cloth::{Colour, blend};
use super::dice::noise;
use super::shape::{Cover, Point, bounds};
use super::sketch::{Instance, Layer, Sketch};

/// A picture in the making; all planes are row-major, one value a pixel.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Colour>,
    /// How much of a pixel shows garments, 0..1.
    pub(super) matte: Vec<f32>,
    /// How much of a pixel shows anything painted by layers, 0..1: shadows fall mostly there.
    solid: Vec<f32>,
    /// What is visible of each instance.
    pub(super) covers: Vec<Cover>,
}

/// Where light comes from and how hard shadows are.
#[derive(Clone, Copy)]
pub(super) struct Light {
    /// Towards the light, in the picture's plane.
    pub(super) from: Point,
    /// How dark shadows on the ground behind everything are, 0..1 of what they are on layers.
    pub(super) ground: f32,
}

/// Bulge and light of a surface on a coarse grid.
struct Relief {
    left: f32,
    top: f32,
    cell: f32,
    width: usize,
    height: usize,
    /// Coverage, blurred.
    near: Vec<f32>,
    light: Vec<f32>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        let n = width * height;
        Self { width, height, pixels: vec![[0.5; 3]; n], matte: vec![0.0; n], solid: vec![0.0; n], covers: Vec::new() }
    }

    /// Paints all layers, back to front, and keeps what stays visible of each instance.
    pub(super) fn paint(&mut self, sketch: &mut Sketch, light: Light) {
        sketch.layers.sort_by_key(|layer| layer.z);
        let belongs = |layer: &Layer, to: usize| lineage(&sketch.instances, layer.instance).any(|i| i == to);
        self.covers = (0..sketch.instances.len())
            .map(|i| {
                let own = sketch.layers.iter().filter(|layer| belongs(layer, i)).flat_map(|layer| &layer.paths);
                Cover::empty(bounds(own), self.width, self.height)
            })
            .collect();
        for layer in &sketch.layers {
            let cover = Cover::fill(&layer.paths, self.width, self.height);
            if cover.alpha.is_empty() {
                continue;
            }
            self.shade(layer, &cover, light);
            self.record(layer, &cover, &sketch.instances);
        }
    }

    fn shade(&mut self, layer: &Layer, cover: &Cover, light: Light) {
        let unit = layer.axis[0].hypot(layer.axis[1]).max(1e-3);
        let relief = Relief::of(layer, cover, unit, light, [self.width, self.height]);
        let reach = layer.shadow * 0.09 * unit;
        let margin = (reach + 1.1 * layer.round * unit) as usize + 1;
        let (x0, y0) = (cover.x.saturating_sub(margin), cover.y.saturating_sub(margin));
        let x1 = (cover.x + cover.width + margin).min(self.width);
        let y1 = (cover.y + cover.height + margin).min(self.height);
        let pixel = 1.0 / unit;
        for y in y0..y1 {
            for x in x0..x1 {
                let at = y * self.width + x;
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let alpha = f32::from(cover.at(x, y)) / 255.0;
                if alpha < 1.0 && layer.shadow > 0.0 {
                    let shadow = relief.sample(&relief.near, px + light.from[0] * reach, py + light.from[1] * reach);
                    let shadow = ((shadow - 0.12) * 2.6).clamp(0.0, 1.0);
                    let depth =
                        0.5 * layer.shadow * shadow * shadow * (light.ground + (1.0 - light.ground) * self.solid[at]);
                    self.pixels[at] = self.pixels[at].map(|c| c * (1.0 - depth));
                }
                if alpha > 0.0 {
                    let lit = relief.sample(&relief.light, px, py);
                    let [u, v] = place_on(layer, unit, px, py);
                    // Folds carry the pattern with them.
                    let own = layer.cloth.colour(u + (lit - 1.0) * 0.05, v + (lit - 1.0) * 0.02, pixel);
                    let shine = layer.cloth.gloss() * (lit - 1.06).max(0.0) * 1.6;
                    let own = own.map(|c| (c * lit + shine).clamp(0.0, 1.0));
                    self.pixels[at] = blend(self.pixels[at], own, alpha * layer.opacity);
                    self.solid[at] += (1.0 - self.solid[at]) * alpha;
                }
            }
        }
    }

    fn record(&mut self, layer: &Layer, cover: &Cover, instances: &[Instance]) {
        let garment = if layer.instance.is_some() { 1.0 } else { 0.0 };
        for y in 0..cover.height {
            let row = (cover.y + y) * self.width + cover.x;
            for (matte, alpha) in self.matte[row..row + cover.width].iter_mut().zip(&cover.alpha[y * cover.width..]) {
                *matte += (garment - *matte) * f32::from(*alpha) / 255.0;
            }
        }
        let own: Vec<usize> = lineage(instances, layer.instance).collect();
        for (i, visible) in self.covers.iter_mut().enumerate() {
            let mine = own.contains(&i);
            let sibling = own.last().is_some_and(|root| lineage(instances, Some(i)).any(|up| up == *root));
            // An instance is no hindrance to itself, nor to the parts that lie on it, nor a detail to its neighbours.
            if !mine && sibling && (layer.detail || layer.instance.is_some_and(|me| instances[me].parent.is_none())) {
                continue;
            }
            let (x0, x1) = (visible.x.max(cover.x), (visible.x + visible.width).min(cover.x + cover.width));
            let (y0, y1) = (visible.y.max(cover.y), (visible.y + visible.height).min(cover.y + cover.height));
            for y in y0..y1 {
                for x in x0..x1 {
                    let alpha = u32::from(cover.alpha[(y - cover.y) * cover.width + x - cover.x]);
                    let seen = &mut visible.alpha[(y - visible.y) * visible.width + x - visible.x];
                    let hidden = (u32::from(*seen) * (255 - alpha) + 127) / 255;
                    *seen = if mine { hidden + alpha } else { hidden } as u8;
                }
            }
        }
    }

    /// The same picture at another size, smoothly.
    pub(super) fn stretched(&self, width: usize, height: usize) -> Self {
        let mut out = Self::new(width, height);
        let (sx, sy) = (self.width as f32 / width as f32, self.height as f32 / height as f32);
        for y in 0..height {
            let (y0, y1, ty) = between((y as f32 + 0.5) * sy - 0.5, self.height);
            for x in 0..width {
                let (x0, x1, tx) = between((x as f32 + 0.5) * sx - 0.5, self.width);
                let row = |y: usize| blend(self.pixels[y * self.width + x0], self.pixels[y * self.width + x1], tx);
                out.pixels[y * width + x] = blend(row(y0), row(y1), ty);
            }
        }
        out
    }
}

/// The instance, its garment, and so on up.
fn lineage(instances: &[Instance], from: Option<usize>) -> impl Iterator<Item = usize> + '_ {
    std::iter::successors(from, |i| instances[*i].parent)
}

/// The place of a pixel on a layer's cloth, in heads.
fn place_on(layer: &Layer, unit: f32, x: f32, y: f32) -> Point {
    let (dx, dy) = (x - layer.origin[0], y - layer.origin[1]);
    let scale = 1.0 / (unit * unit);
    let v = (dx * layer.axis[0] + dy * layer.axis[1]) * scale;
    let u = (dx * layer.axis[1] - dy * layer.axis[0]) * scale;
    [u / (1.0 + layer.fan * v).max(0.2), v]
}

fn between(at: f32, end: usize) -> (usize, usize, f32) {
    let at = at.clamp(0.0, end as f32 - 1.0);
    let low = at as usize;
    (low, (low + 1).min(end - 1), at - low as f32)
}

impl Relief {
    fn of(layer: &Layer, cover: &Cover, unit: f32, light: Light, picture: [usize; 2]) -> Self {
        let step = ((unit * layer.round.min(0.1) * 0.3) as usize).clamp(1, 8);
        let radius = ((layer.round * unit / step as f32) as usize).max(1);
        let pad = radius * 2 + 2 + (layer.shadow * 0.18 * unit) as usize / step;
        let (width, height) = (cover.width / step + 2 * pad + 2, cover.height / step + 2 * pad + 2);
        let mut near = vec![0.0; width * height];
        let scale = 1.0 / (255.0 * (step * step) as f32);
        for y in 0..cover.height {
            let row = (y / step + pad) * width + pad;
            for x in 0..cover.width {
                near[row + x / step] += f32::from(cover.alpha[y * cover.width + x]) * scale;
            }
        }
        // A surface goes on beyond the picture's edge, else it would curl there.
        let (right, bottom) = (cover.width / step + pad, cover.height / step + pad);
        for row in near.chunks_mut(width) {
            if cover.x == 0 {
                let edge = row[pad];
                row[..pad].fill(edge);
            }
            if cover.x + cover.width == picture[0] {
                let edge = row[right - 1];
                row[right..].fill(edge);
            }
        }
        if cover.y == 0 {
            (0..pad).for_each(|y| near.copy_within(pad * width..(pad + 1) * width, y * width));
        }
        if cover.y + cover.height == picture[1] {
            (bottom..height).for_each(|y| near.copy_within((bottom - 1) * width..bottom * width, y * width));
        }
        for _ in 0..2 {
            blur(&mut near, width, height, radius);
        }
        let (left, top) = (cover.x as f32 - (pad * step) as f32, cover.y as f32 - (pad * step) as f32);
        let cell = step as f32;
        let (seed, heads) = (layer.cloth.seed, cell / unit);
        let mut bulge = vec![0.0; width * height];
        for y in 0..height {
            for x in 0..width {
                let at = y * width + x;
                let mut h = near[at] * layer.round * layer.puff * 1.5;
                if layer.folds > 0.0 && near[at] > 0.01 {
                    let [u, v] = place_on(layer, unit, left + (x as f32 + 0.5) * cell, top + (y as f32 + 0.5) * cell);
                    let bend = noise(u * 1.7, v * 1.1, seed ^ 11);
                    let hang = noise(u * 4.0 + bend, v * 0.9 + bend, seed ^ 12);
                    let crease = 1.0 - noise(u * 2.0 + v * 1.3 + bend, v * 2.2 - u, seed ^ 13).abs();
                    h += layer.folds * (0.06 * hang + 0.05 * crease * crease);
                }
                bulge[at] = h;
            }
        }
        let mut lights = vec![1.0; width * height];
        for y in 1..height - 1 {
            for x in 1..width - 1 {
                let at = y * width + x;
                let (nx, ny) = (bulge[at - 1] - bulge[at + 1], bulge[at - width] - bulge[at + width]);
                let (nx, ny) = (nx / (2.0 * heads), ny / (2.0 * heads));
                let facing = (1.0 + nx * light.from[0] + ny * light.from[1]) / (1.0 + nx * nx + ny * ny).sqrt();
                let edge = 1.0 - 0.3 * layer.puff.min(1.0) * (1.0 - near[at]).clamp(0.0, 1.0);
                lights[at] = ((0.3 + 0.7 * facing) * edge).clamp(0.25, 1.45);
            }
        }
        Self { left, top, cell, width, height, near, light: lights }
    }

    fn sample(&self, plane: &[f32], x: f32, y: f32) -> f32 {
        let (x0, x1, tx) = between((x - self.left) / self.cell - 0.5, self.width);
        let (y0, y1, ty) = between((y - self.top) / self.cell - 0.5, self.height);
        let row =
            |y: usize| plane[y * self.width + x0] + (plane[y * self.width + x1] - plane[y * self.width + x0]) * tx;
        row(y0) + (row(y1) - row(y0)) * ty
    }
}

/// The mean over a square of `2 * radius + 1` cells, both ways; beyond the border there is nothing.
fn blur(plane: &mut [f32], width: usize, height: usize, radius: usize) {
    let mut line = vec![0.0; width.max(height)];
    let mut pass = |start: usize, step: usize, count: usize| {
        let mut sum = 0.0;
        for i in 0..count + radius {
            if i < count {
                line[i] = plane[start + i * step];
                sum += line[i];
            }
            if i > 2 * radius {
                sum -= line[i - 2 * radius - 1];
            }
            if i >= radius {
                plane[start + (i - radius) * step] = sum / (2 * radius + 1) as f32;
            }
        }
    };
    (0..height).for_each(|y| pass(y * width, 1, width));
    (0..width).for_each(|x| pass(x, width, height));
}
