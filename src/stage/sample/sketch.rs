//! A drawing before it is painted: layers from back to front and the instances they belong to, in heads or in pixels.
//! Must not know how it is painted.

use super::cloth::Cloth;
use super::shape::{Path, Point, bounds, direction};

/// One surface.
pub(super) struct Layer {
    /// Painted in rising order; of equal ones the first drawn lies below.
    pub(super) z: i32,
    /// Outlines; the surface is the union of their insides.
    pub(super) paths: Vec<Path>,
    /// The innermost instance it is part of: a sleeve rather than its shirt.
    pub(super) instance: Option<usize>,
    pub(super) cloth: Cloth,
    /// Where the cloth's place (0, 0) lies, and one head along it: folds hang in that direction.
    pub(super) origin: Point,
    pub(super) axis: Point,
    /// How much folds spread per head along the axis.
    pub(super) fan: f32,
    /// How far it bulges, 0 flat to 1 round, and over how many heads from its edge.
    pub(super) puff: f32,
    pub(super) round: f32,
    /// How deep its folds are, 0..1.
    pub(super) folds: f32,
    /// How dark its shadow on what lies below is, 0..1.
    pub(super) shadow: f32,
    /// How opaque its colour is; its instance has all of it however thin.
    pub(super) opacity: f32,
    /// A small thing on its garment, which hides nothing of the garment's other parts.
    pub(super) detail: bool,
}

impl Layer {
    pub(super) fn detail(&mut self) -> &mut Self {
        (self.detail, self.shadow, self.round, self.folds) = (true, 0.25, 0.03, 0.0);
        self
    }

    pub(super) fn feel(&mut self, puff: f32, round: f32, folds: f32) -> &mut Self {
        (self.puff, self.round, self.folds) = (puff, round, folds);
        self
    }

    pub(super) fn shadow(&mut self, shadow: f32) -> &mut Self {
        self.shadow = shadow;
        self
    }

    pub(super) fn along(&mut self, from: Point, to: Point) -> &mut Self {
        (self.origin, self.axis) = (from, direction(from, to));
        self
    }

    pub(super) fn fan(&mut self, fan: f32) -> &mut Self {
        self.fan = fan;
        self
    }

    pub(super) fn opacity(&mut self, opacity: f32) -> &mut Self {
        self.opacity = opacity;
        self
    }
}

/// One thing that annotators would outline.
#[derive(Clone)]
pub(super) struct Instance {
    pub(super) class: u8,
    /// The garment that a part belongs to.
    pub(super) parent: Option<usize>,
    /// Rising ids.
    pub(super) attributes: Vec<u16>,
}

/// Layers and the instances they belong to.
#[derive(Default)]
pub(super) struct Sketch {
    pub(super) layers: Vec<Layer>,
    pub(super) instances: Vec<Instance>,
}

/// Scale, rotation, mirroring and shift in one.
#[derive(Clone, Copy)]
pub(super) struct Placing {
    pub(super) x: Point,
    pub(super) y: Point,
    pub(super) shift: Point,
}

impl Placing {
    /// `scale` pixels a head, turned by `angle` radians, mirrored if asked; (0, 0) goes to `to`.
    pub(super) fn new(scale: f32, angle: f32, mirrored: bool, to: Point) -> Self {
        let (sin, cos) = angle.sin_cos();
        let flip = if mirrored { -scale } else { scale };
        Self { x: [cos * flip, sin * flip], y: [-sin * scale, cos * scale], shift: to }
    }

    pub(super) fn vector(&self, v: Point) -> Point {
        [self.x[0] * v[0] + self.y[0] * v[1], self.x[1] * v[0] + self.y[1] * v[1]]
    }

    pub(super) fn point(&self, p: Point) -> Point {
        let v = self.vector(p);
        [v[0] + self.shift[0], v[1] + self.shift[1]]
    }
}

impl Sketch {
    pub(super) fn instance(&mut self, class: u8, parent: Option<usize>, mut attributes: Vec<u16>) -> usize {
        attributes.sort_unstable();
        attributes.dedup();
        self.instances.push(Instance { class, parent, attributes });
        self.instances.len() - 1
    }

    /// Adds a surface that hangs down from the top of its outline; what it returns can still be changed.
    pub(super) fn layer(&mut self, z: i32, instance: Option<usize>, paths: Vec<Path>, cloth: &Cloth) -> &mut Layer {
        let b = bounds(&paths);
        let layer = Layer {
            z,
            paths,
            instance,
            cloth: *cloth,
            origin: [(b[0] + b[2]) * 0.5, b[1]],
            axis: [0.0, 1.0],
            fan: 0.0,
            puff: 0.6,
            round: 0.14,
            folds: 0.5,
            shadow: 0.5,
            opacity: 1.0,
            detail: false,
        };
        let at = self.layers.len();
        self.layers.push(layer);
        &mut self.layers[at]
    }

    /// The smallest box around everything.
    pub(super) fn bounds(&self) -> [f32; 4] {
        bounds(self.layers.iter().flat_map(|layer| &layer.paths))
    }

    /// Adds another sketch, placed; its layers go `lift` higher.
    pub(super) fn place(&mut self, other: Self, placing: &Placing, lift: i32) {
        let first = self.instances.len();
        self.instances
            .extend(other.instances.into_iter().map(|i| Instance { parent: i.parent.map(|p| p + first), ..i }));
        self.layers.extend(other.layers.into_iter().map(|mut layer| {
            for point in layer.paths.iter_mut().flatten() {
                *point = placing.point(*point);
            }
            Layer {
                z: layer.z + lift,
                instance: layer.instance.map(|i| i + first),
                origin: placing.point(layer.origin),
                axis: placing.vector(layer.axis),
                ..layer
            }
        }));
    }
}
