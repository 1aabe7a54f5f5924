//! Figures of masks that SQL cannot compute, made into tables that it can ask: `shapes`, `overlaps`, `policies`, `grids`. One
//! pass over the annotations, remembered until these change. Must not know any question.

mod sums;

use crate::digest::Fingerprint;
use crate::event::Event;
use crate::image::contest::Contests;
use crate::stage::portions::{Annotations, End, Piece, Portion};
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error, check};
use crate::table::schema::{ANNOTATIONS, GRIDS, MASKS, OVERLAPS, POLICIES, SHAPES};
use crate::table::{self, Manifest, Table, part};
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array};
use arrow::datatypes::UInt8Type;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use sums::{Mask, Shape, Sums};

/// Raised by hand when the same annotations would give other figures.
const CODE_VERSION: u32 = 1;
/// The tables that are made here.
pub(super) const MADE: [&Table; 4] = [&SHAPES, &OVERLAPS, &POLICIES, &GRIDS];
/// Images looked at by one thread at a time.
const CHUNK_IMAGES: usize = 64;

/// What the tables depend on now; nothing while there are no annotations.
pub(super) fn fingerprint(context: &Context) -> Result<Option<Fingerprint>, Error> {
    let Some(annotations) = context.tables.current(&ANNOTATIONS)? else { return Ok(None) };
    let fingerprint = Fingerprint::default()
        .with("annotations", annotations.depends_on.digest())
        .with("code", CODE_VERSION)
        .with("policy", sums::POLICIES[policy(context)?]);
    Ok(Some(fingerprint))
}

/// Brings the tables up to date with the annotations, if there are any.
pub(super) fn renew(context: &Context) -> Result<(), Error> {
    let (Some(annotations), Some(depends_on)) = (context.tables.current(&ANNOTATIONS)?, fingerprint(context)?) else {
        return Ok(());
    };
    let policy = policy(context)?;
    let current = MADE.map(|table| context.tables.current(table));
    let mut earlier = Vec::with_capacity(MADE.len());
    for current in current {
        earlier.push(current?);
    }
    if earlier.iter().all(|made| made.as_ref().is_some_and(|made| made.depends_on == depends_on)) {
        return Ok(());
    }
    let sums = added_up(&annotations, policy, context)?;
    let batches = [shapes(&sums)?, overlaps(&sums)?, policies(&sums)?, grids(&sums)?];
    for ((table, earlier), batch) in MADE.into_iter().zip(&earlier).zip(batches) {
        check(&context.cancel)?;
        let mut publication = Publication::begin(context, Place::from(table));
        publication.put(part::whole(table, &[batch])?)?;
        publication.publish(earlier.as_ref(), depends_on.clone(), BTreeMap::new())?;
    }
    Ok(())
}

/// Under which policy pixels are called hidden: the one that the masks were merged by, or small-on-top where that one hides
/// nothing or depends on a list.
fn policy(context: &Context) -> Result<usize, Error> {
    let masks = context.tables.current(&MASKS)?;
    let name = masks.as_ref().and_then(|masks| masks.depends_on.0.get("policy"));
    Ok(name.and_then(|name| sums::POLICIES[..3].iter().position(|policy| policy == name)).unwrap_or(0))
}

fn added_up(manifest: &Manifest, policy: usize, context: &Context) -> Result<Sums, Error> {
    let (stage, events) = (&context.stage, &context.events);
    events.emit(Event::StageStarted { stage: stage.clone(), total: Some(manifest.rows), unit: "rows" });
    let annotations = Annotations { context, source: &context.tables, manifest };
    let classes = classes(manifest, context)?;
    let (mut sums, end) = pass(&annotations, (classes, policy), false)?;
    if end == End::Scattered {
        (sums, _) = pass(&annotations, (classes, policy), true)?;
    }
    // However images came: the table is searched by row.
    sums.shapes.sort_unstable_by_key(|shape| shape.row);
    Ok(sums)
}

/// One more than the highest class.
fn classes(manifest: &Manifest, context: &Context) -> Result<usize, Error> {
    let mut classes = 0;
    for batch in context.tables.scan(Place::from(&ANNOTATIONS), manifest, Some(&["class_id"])) {
        let highest = batch?.column(0).as_primitive::<UInt8Type>().values().iter().copied().max();
        classes = classes.max(highest.map_or(0, |highest| usize::from(highest) + 1));
    }
    Ok(classes)
}

/// One way through the annotations.
fn pass(
    annotations: &Annotations<'_>,
    (classes, policy): (usize, usize),
    scattered: bool,
) -> Result<(Sums, End), Error> {
    let Context { stage, events, .. } = annotations.context;
    let mut all = Sums::new(classes, policy);
    let mut failed = None;
    let mut add = |portion: Portion| {
        match of_portion(&portion, classes, policy) {
            Ok(sums) => sums.into_iter().for_each(|sums| all.add(sums)),
            Err(error) => failed = Some(error),
        }
        events.emit(Event::Advanced { stage: stage.clone(), by: portion.places.len() as u64 });
        failed.is_none()
    };
    let end = match scattered {
        false => annotations.contiguous(&mut add)?,
        true => annotations.scattered(&mut add).map(|()| End::Whole)?,
    };
    failed.map_or(Ok((all, end)), Err)
}

/// The sums of a portion, chunk by chunk: floats are added up in an order that no thread decides.
fn of_portion(portion: &Portion, classes: usize, policy: usize) -> Result<Vec<Sums>, Error> {
    let chunks: Vec<&[Range<usize>]> = portion.images.chunks(CHUNK_IMAGES).collect();
    chunks.into_par_iter().map(|images| of_images(portion, images, classes, policy)).collect()
}

fn of_images(portion: &Portion, images: &[Range<usize>], classes: usize, policy: usize) -> Result<Sums, Error> {
    let pieces: Vec<Piece<'_>> = portion.pieces.iter().map(Piece::of).collect();
    let mut sums = Sums::new(classes, policy);
    let mut contests = Contests::default();
    let mut masks = Vec::new();
    for image in images {
        masks.clear();
        let mut size = (0, 0);
        for (piece, row) in &portion.places[image.clone()] {
            let (piece, row) = (&pieces[*piece as usize], *row as usize);
            size = (piece.heights.value(row), piece.widths.value(row));
            let (class, starts, lengths) = (piece.classes.value(row), piece.starts(row), piece.lengths(row));
            let pixels = u64::from(size.0) * u64::from(size.1);
            let end =
                starts.last().zip(lengths.last()).map_or(0, |(start, length)| u64::from(*start) + u64::from(*length));
            if starts.len() != lengths.len() || end > pixels || pixels > u64::from(u32::MAX) {
                let id = piece.ids.value(row);
                let text = format!("the table annotations has a mask that leaves its image {id:?}; run ingest again");
                return Err(Error::Failed(text));
            }
            masks.push(Mask { class, area: piece.areas.value(row), row: piece.rows.value(row), starts, lengths });
        }
        sums.image(size, &masks, &mut contests);
    }
    Ok(sums)
}

fn numbers(values: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter_values(values))
}

fn bytes(values: impl Iterator<Item = u8>) -> ArrayRef {
    Arc::new(UInt8Array::from_iter_values(values))
}

fn batch(table: &Table, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    Ok(RecordBatch::try_new(table.schema(), columns).map_err(table::Error::from)?)
}

fn shapes(sums: &Sums) -> Result<RecordBatch, Error> {
    let column = |of: &dyn Fn(&Shape) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(sums.shapes.iter().map(of)))
    };
    let mut columns = vec![numbers(sums.shapes.iter().map(|shape| shape.row)), column(&|shape| shape.spans)];
    columns.extend((0..4).map(|side| column(&|shape| shape.bounds[side])));
    batch(&SHAPES, columns)
}

fn overlaps(sums: &Sums) -> Result<RecordBatch, Error> {
    let pairs: Vec<_> = sums.pairs().collect();
    let columns = vec![
        bytes(pairs.iter().map(|pair| pair.0)),
        bytes(pairs.iter().map(|pair| pair.1)),
        numbers(pairs.iter().map(|pair| pair.2.images)),
        numbers(pairs.iter().map(|pair| pair.2.overlapping)),
        numbers(pairs.iter().map(|pair| pair.2.pixels)),
        numbers(pairs.iter().map(|pair| pair.2.hidden)),
    ];
    batch(&OVERLAPS, columns)
}

fn policies(sums: &Sums) -> Result<RecordBatch, Error> {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(sums.policies().map(|row| row.0))),
        bytes(sums.policies().map(|row| row.1)),
        numbers(sums.policies().map(|row| row.2)),
        numbers(sums.policies().map(|row| row.3)),
    ];
    batch(&POLICIES, columns)
}

fn grids(sums: &Sums) -> Result<RecordBatch, Error> {
    let columns: Vec<ArrayRef> = vec![
        bytes(sums.grids().map(|row| row.0)),
        bytes(sums.grids().map(|row| row.1)),
        bytes(sums.grids().map(|row| row.2)),
        Arc::new(Float64Array::from_iter_values(sums.grids().map(|row| row.3))),
    ];
    batch(&GRIDS, columns)
}
