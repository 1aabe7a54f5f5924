//! What can be queried: tables by their names, and which of their columns. Must not know any question.
//!
//! Spans (`starts`, `lengths`, `classes`) stay closed: they are most of the bytes, and no query says anything with them.
//! `docs/questions.md` describes every table and column for those who write questions.

use super::{Question, changes, derive, runs};
use crate::digest;
use crate::stage::tables::Place;
use crate::stage::{Context, Error};
use crate::table::schema::{
    ANNOTATIONS, ATTEMPTS, CONFUSION, GRIDS, HISTORY, IMAGES, LEDGER, MASKS, OVERLAPS, POLICIES, QUARANTINE, SHAPES,
    SPLITS,
};
use crate::table::{Manifest, Table};

/// Where the rows of a table come from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A table of the store.
    Stored(&'static Table),
    /// Tables of one schema in folders below its name; each level of folders is a column before the others.
    Folders(&'static Table, &'static [&'static str]),
    /// The newest run of each stage in the table of attempts.
    Attempts,
    /// Photos, by the facts in the table of images.
    Images,
    /// Photos that duplicate others, by the same.
    Duplicates,
    /// Images that came, went or changed since the version of the annotations before.
    Changes,
    /// The class list.
    Labels,
    /// The attribute list.
    Attributes,
    /// The ends of runs.
    Runs,
    /// Figures kept by earlier reports, and those of this one.
    Stats,
}

/// A table that is open to queries.
pub(super) struct Open {
    pub(super) name: &'static str,
    pub(super) source: Source,
    /// Its columns that are open, as the schema has them.
    pub(super) columns: &'static [&'static str],
    /// Columns that are computed when it is loaded.
    pub(super) made: &'static [&'static str],
}

const ITEM: &[&str] = &[
    "key",
    "etag",
    "size",
    "outcome",
    "reason",
    "detail",
    "output_bytes",
    "format",
    "width",
    "height",
    "notes",
    "coverage",
    "soft_share",
    "border_contact",
    "confidence",
    "components",
    "holes",
    "sharpness",
    "doubt",
    "violations",
    "run",
];
const ATTEMPT: &[&str] = &[
    "run",
    "key",
    "outcome",
    "reason",
    "size",
    "output_bytes",
    "width",
    "height",
    "shard",
    "host",
    "fetch_ms",
    "decode_ms",
    "predict_ms",
    "encode_ms",
    "put_ms",
];
const IMAGE: &[&str] = &[
    "key",
    "etag",
    "size",
    "height",
    "width",
    "format",
    "reason",
    "detail",
    "orientation",
    "profile",
    "colour",
    "bits",
    "jpeg_quality",
    "content",
    "brightness",
    "contrast",
    "sharpness",
    "entropy",
    "saturation",
    "backdrop_share",
    "backdrop",
];
const STEP: &[&str] = &[
    "step",
    "epoch",
    "part",
    "loss",
    "learning_rate",
    "pixel_accuracy",
    "mean_iou",
    "foreground_iou",
    "seconds",
    "wait_seconds",
];
const MASK: &[&str] = &[
    "image_id",
    "height",
    "width",
    "policy",
    "class_ids",
    "class_pixels",
    "class_annotated",
    "conflicted_share",
    "rows",
];

/// Every table that a query may name.
pub(super) const OPEN: [Open; 18] = [
    Open {
        name: "annotations",
        source: Source::Stored(&ANNOTATIONS),
        columns: &["image_id", "class_id", "attribute_ids", "height", "width", "area_px", "row", "notes"],
        made: &["spans", "left", "top", "right", "bottom"],
    },
    stored(&MASKS, MASK),
    stored(&QUARANTINE, &["stage", "item", "reason", "detail", "where", "first_seen"]),
    stored(&SPLITS, &["image_id", "split", "group"]),
    Open { name: "images", source: Source::Images, columns: IMAGE, made: &["image_id", "group", "alike"] },
    stored(&OVERLAPS, &["class_a", "class_b", "images", "overlapping", "pixels", "hidden"]),
    stored(&POLICIES, &["policy", "class_id", "annotated", "visible"]),
    stored(&GRIDS, &["class_id", "y", "x", "share"]),
    made("duplicates", Source::Duplicates),
    made("changes", Source::Changes),
    made("labels", Source::Labels),
    made("attributes", Source::Attributes),
    made("runs", Source::Runs),
    made("stats", Source::Stats),
    Open { name: "ledger", source: Source::Folders(&LEDGER, &["pipeline", "stage"]), columns: ITEM, made: &[] },
    Open { name: "attempts", source: Source::Attempts, columns: ATTEMPT, made: &[] },
    Open { name: "history", source: Source::Folders(&HISTORY, &["model"]), columns: STEP, made: &[] },
    Open {
        name: "confusion",
        source: Source::Folders(&CONFUSION, &["folder"]),
        columns: &["model", "split", "label", "prediction", "pixels"],
        made: &[],
    },
];

const fn stored(table: &'static Table, columns: &'static [&'static str]) -> Open {
    Open { name: table.name, source: Source::Stored(table), columns, made: &[] }
}

const fn made(name: &'static str, source: Source) -> Open {
    Open { name, source, columns: &[], made: &[] }
}

/// The current version of a table in one folder.
pub(super) struct Version {
    pub(super) table: &'static Table,
    pub(super) folder: String,
    pub(super) manifest: Manifest,
}

impl Version {
    pub(super) fn place(&self) -> Place<'_> {
        Place { table: self.table, folder: &self.folder }
    }

    fn find(table: &'static Table, folder: String, context: &Context) -> Result<Option<Self>, Error> {
        let manifest = context.tables.current_at(Place { table, folder: &folder })?;
        Ok(manifest.map(|manifest| Self { table, folder, manifest }))
    }
}

/// A table that some question names.
pub(super) struct Found {
    pub(super) open: &'static Open,
    /// What it is read from; none where it was never made.
    pub(super) versions: Vec<Version>,
    /// Where the masks of annotations lie, when a question asks for that.
    pub(super) shapes: Option<Version>,
    /// The newest runs, the newest last.
    pub(super) runs: Vec<String>,
    /// Whether it was never made.
    absent: bool,
}

impl Found {
    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        self.open.name
    }

    /// Its rows.
    pub(super) fn rows(&self) -> u64 {
        self.versions.iter().map(|version| version.manifest.rows).sum()
    }

    /// Whether it was never made.
    pub(super) fn is_absent(&self) -> bool {
        self.absent
    }

    /// Of its rows: the checksums of its parts.
    pub(super) fn digest(&self) -> String {
        let parts = self.versions.iter().flat_map(|version| &version.manifest.parts);
        let parts: Vec<&str> = parts.map(|part| part.blake3.as_str()).collect();
        digest::of(parts.join("\n").as_bytes())
    }

    /// Whether a report of it depends on its rows: not on those of runs and reports, or every report would call for another
    /// one, nor on what is made of other tables.
    pub(super) fn is_data(&self) -> bool {
        !matches!(self.open.source, Source::Runs | Source::Stats) && !is_derived(self.open)
    }
}

/// The tables that the questions name and that there can be, with their current versions. A name that is none of them is
/// left to the query itself: it may be the name of a subquery.
pub(super) fn find(questions: &[&Question], context: &Context) -> Result<Vec<Found>, Error> {
    let shaped = uses_shapes(questions);
    named(questions).map(|open| look(open, shaped, context)).collect()
}

fn named(questions: &[&Question]) -> impl Iterator<Item = &'static Open> {
    OPEN.iter().filter(|open| questions.iter().any(|question| question.tables.contains(open.name)))
}

/// Whether a question may use where masks lie.
fn uses_shapes(questions: &[&Question]) -> bool {
    let annotations = OPEN.iter().find(|open| open.name == ANNOTATIONS.name);
    annotations.is_some_and(|open| open.made.iter().any(|column| is_used(open, column, questions)))
}

/// Whether a question uses what is made of the masks by [`derive`].
pub(super) fn uses_derived(questions: &[&Question]) -> bool {
    uses_shapes(questions) || named(questions).any(is_derived)
}

fn is_derived(open: &Open) -> bool {
    derive::MADE.iter().any(|made| made.name == open.name)
}

/// Whether a question that names the table may use a column of it.
pub(super) fn is_used(open: &Open, column: &str, questions: &[&Question]) -> bool {
    let mut asking = questions.iter().filter(|question| question.tables.contains(open.name));
    asking.any(|question| question.star || question.words.contains(column))
}

fn look(open: &'static Open, shaped: bool, context: &Context) -> Result<Found, Error> {
    let mut found = Found { open, versions: Vec::new(), shapes: None, runs: Vec::new(), absent: false };
    match open.source {
        Source::Stored(table) => {
            found.versions.extend(Version::find(table, table.name.to_owned(), context)?);
            if shaped && open.name == ANNOTATIONS.name {
                found.shapes = Version::find(&SHAPES, SHAPES.name.to_owned(), context)?;
            }
        }
        Source::Images | Source::Duplicates => {
            found.versions.extend(Version::find(&IMAGES, IMAGES.name.to_owned(), context)?)
        }
        Source::Attempts => found.versions.extend(Version::find(&ATTEMPTS, ATTEMPTS.name.to_owned(), context)?),
        Source::Folders(table, levels) => {
            let mut folders = vec![table.name.to_owned()];
            for _ in levels {
                let mut deeper = Vec::new();
                for folder in folders {
                    let store = context.tables.store();
                    let mut inner = store.wait(store.list_folders(&folder))?;
                    inner.sort();
                    deeper.extend(inner.into_iter().map(|inner| format!("{folder}/{inner}")));
                }
                folders = deeper;
            }
            for folder in folders {
                found.versions.extend(Version::find(table, folder, context)?);
            }
        }
        Source::Changes => {
            found.versions.extend(Version::find(&ANNOTATIONS, ANNOTATIONS.name.to_owned(), context)?);
            let before =
                found.versions.first().map(|now| changes::before(&now.manifest, context)).transpose()?.flatten();
            let version = |manifest| Version { table: &ANNOTATIONS, folder: ANNOTATIONS.name.to_owned(), manifest };
            found.versions.extend(before.map(version));
        }
        Source::Runs => found.runs = runs::ended(context)?,
        Source::Labels | Source::Attributes | Source::Stats => {}
    }
    found.absent = match open.source {
        Source::Labels | Source::Attributes | Source::Stats => false,
        Source::Runs => found.runs.is_empty(),
        Source::Changes => found.versions.len() < 2,
        _ => found.versions.is_empty(),
    };
    Ok(found)
}
