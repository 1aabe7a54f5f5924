//! masks → splits: which images train, which choose, which judge. By image, stratified over all classes an image shows,
//! the rarest first; photos of one picture stay together. Must not know pictures or models.

mod photos;
mod stratify;

pub use stratify::{Group, sizes, stratify};

use super::tables::{Place, Publication};
use super::{Context, Error, Report, check, dataset};
use crate::digest::Fingerprint;
use crate::event::{Event, Level, note};
use crate::outcome::Counts;
use crate::storage::Store;
use crate::table::schema::{MASKS, SPLITS};
use crate::table::{labels, part};
use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::UInt8Type;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Raised by hand when the same settings would split the same images otherwise.
const CODE_VERSION: u32 = 2;

/// One part of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The word in the table: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// Its share of the images, above 0; all shares add up to 1.
    pub ratio: f64,
}

/// How to split.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The parts.
    pub shares: Vec<Share>,
    /// Another seed gives another split of the same shares.
    pub seed: u64,
    /// The photos, named by image id and any ending, in any folder below. When given, photos of one picture stay together,
    /// also when they differ in size, quality or light; those that the table `images` does not know are decoded.
    pub photos: Option<Store>,
}

impl Default for Settings {
    /// The paper's: 70 % train, 20 % val, 10 % test.
    fn default() -> Self {
        let shares = [("train", 0.7), ("val", 0.2), ("test", 0.1)];
        let shares = shares.map(|(name, ratio)| Share { name: name.to_owned(), ratio }).to_vec();
        Self { shares, seed: 0, photos: None }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        for Share { name, ratio } in &self.shares {
            if name.is_empty() || !name.bytes().all(safe) {
                let text =
                    format!("the split name `{name}` is to be lower-case letters, digits, `-` or `_`, such as train");
                return Err(Error::Usage(text));
            }
            if !(*ratio > 0.0 && *ratio <= 1.0) {
                return Err(Error::Usage(format!(
                    "the share of the split `{name}` is to be above 0 and at most 1, not {ratio}"
                )));
            }
        }
        let names: BTreeSet<_> = self.shares.iter().map(|share| &share.name).collect();
        if names.len() != self.shares.len() {
            return Err(Error::Usage("two splits have the same name; give each its own".to_owned()));
        }
        let sum: f64 = self.shares.iter().map(|share| share.ratio).sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(Error::Usage(format!("the shares of the splits add up to {sum}; they are to add up to 1")));
        }
        Ok(())
    }
}

/// What the split depends on.
pub fn fingerprint(settings: &Settings, context: &Context) -> Result<Fingerprint, Error> {
    settings.check()?;
    let masks = context.tables.current(&MASKS)?.ok_or_else(|| no_masks(context))?;
    let shares: Vec<String> = settings.shares.iter().map(|share| format!("{}={}", share.name, share.ratio)).collect();
    let photos = match &settings.photos {
        Some(store) => dataset::listing_digest(store)?,
        None => "none".to_owned(),
    };
    Ok(Fingerprint::default()
        .with("code", CODE_VERSION)
        .with("masks", masks.depends_on.digest())
        .with("shares", shares.join(" "))
        .with("seed", settings.seed)
        .with("photos", photos))
}

/// Splits the images of the current masks and publishes the table `splits`.
pub fn run(settings: &Settings, depends_on: Fingerprint, context: &Context) -> Result<Report, Error> {
    settings.check()?;
    let base = context.tables.current(&SPLITS)?;
    let images = classes_of_images(context)?;
    let photos::Groups { of: contents, exact, near } = match &settings.photos {
        Some(store) => photos::groups(store, &images, context)?,
        None => photos::Groups { of: BTreeMap::new(), exact: 0, near: 0 },
    };
    let photos_missing = if settings.photos.is_some() { images.len() - contents.len() } else { 0 };
    if photos_missing > 0 {
        let text =
            format!("{photos_missing} of {} images have no photo; each is taken as unlike all others", images.len());
        note(&context.events, Level::Warn, text);
    }
    let (groups, group_of) = group(&images, &contents);
    let ratios: Vec<f64> = settings.shares.iter().map(|share| share.ratio).collect();
    let parts = stratify(&groups, &ratios, settings.seed);
    tell_absent(settings, &groups, &parts, context);

    let split_of = |group: usize| settings.shares[parts[group]].name.as_str();
    let ids = StringArray::from_iter_values(images.keys());
    let splits = StringArray::from_iter_values(group_of.iter().map(|group| split_of(*group)));
    let names = StringArray::from_iter_values(group_of.iter().map(|group| &groups[*group].name));
    let batch = RecordBatch::try_new(SPLITS.schema(), vec![Arc::new(ids), Arc::new(splits), Arc::new(names)])
        .map_err(crate::table::Error::from)?;

    let mut facts = BTreeMap::from([
        ("groups".to_owned(), groups.len() as u64),
        ("photos_missing".to_owned(), photos_missing as u64),
        ("photos_exact".to_owned(), exact),
        ("photos_near".to_owned(), near),
    ]);
    let mut sizes = Vec::new();
    for (part, share) in settings.shares.iter().enumerate() {
        let size = group_of.iter().filter(|group| parts[**group] == part).count();
        facts.insert(format!("images_{}", share.name), size as u64);
        sizes.push(format!("{} {size}", share.name));
    }
    check(&context.cancel)?;
    let mut publication = Publication::begin(context, Place::from(&SPLITS));
    let entry = publication.put(part::whole(&SPLITS, &[batch])?)?;
    entry.first = images.keys().next().cloned().unwrap_or_default();
    entry.last = images.keys().next_back().cloned().unwrap_or_default();
    publication.publish(base.as_ref(), depends_on, facts)?;

    let counts = Counts { ok: images.len() as u64, ..Counts::default() };
    let summary = format!("{} images in {} groups: {}", images.len(), groups.len(), sizes.join(", "));
    Ok(Report { counts, summary, artifacts: vec![context.tables.store().child(SPLITS.name).url().to_owned()] })
}

fn no_masks(context: &Context) -> Error {
    Error::Usage(format!(
        "there are no masks in {}; make them first with `selvedge merge`",
        context.tables.store().url()
    ))
}

/// The classes that each image shows, as values of the class map without background and void. Sorted by id, so that the
/// order of the rows in the table does not matter.
fn classes_of_images(context: &Context) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let masks = context.tables.current(&MASKS)?.ok_or_else(|| no_masks(context))?;
    context.events.emit(Event::StageStarted { stage: context.stage.clone(), total: Some(masks.rows), unit: "images" });
    let mut images: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for batch in context.tables.scan(Place::from(&MASKS), &masks, Some(&["image_id", "class_ids"])) {
        check(&context.cancel)?;
        let batch = batch?;
        let (ids, classes) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
        for row in 0..batch.num_rows() {
            let values = classes.value(row);
            let shown = values.as_primitive::<UInt8Type>().values().iter().copied();
            images
                .entry(ids.value(row).to_owned())
                .or_default()
                .extend(shown.filter(|value| !matches!(value, 0 | 255)));
        }
        context.events.emit(Event::Advanced { stage: context.stage.clone(), by: batch.num_rows() as u64 });
    }
    if images.is_empty() {
        return Err(Error::Failed(
            "the masks table holds no image, so there is nothing to split; look into the quarantine".to_owned(),
        ));
    }
    Ok(images)
}

/// The groups, and for each image in the order of ids the index of its group. An image without known content is its own
/// group, named by its id.
fn group(images: &BTreeMap<String, Vec<u8>>, contents: &BTreeMap<String, String>) -> (Vec<Group>, Vec<usize>) {
    let mut index_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = Vec::with_capacity(images.len());
    for (id, classes) in images {
        let name = contents.get(id).unwrap_or(id);
        let index = *index_of.entry(name).or_insert_with(|| {
            groups.push(Group { name: name.clone(), images: 0, labels: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[index];
        group.images += 1;
        for class in classes.iter().copied().collect::<BTreeSet<u8>>() {
            match group.labels.iter_mut().find(|(label, _)| *label == class) {
                Some((_, images)) => *images += 1,
                None => group.labels.push((class, 1)),
            }
        }
        group_of.push(index);
    }
    (groups, group_of)
}

/// Says which classes a split has to do without.
fn tell_absent(settings: &Settings, groups: &[Group], parts: &[usize], context: &Context) {
    let mut held: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for (group, part) in groups.iter().zip(parts) {
        for (label, _) in &group.labels {
            held.entry(*label).or_insert_with(|| vec![0; settings.shares.len()])[*part] += 1;
        }
    }
    for (label, held) in held {
        let without: Vec<&str> = settings
            .shares
            .iter()
            .zip(&held)
            .filter(|(_, held)| **held == 0)
            .map(|(share, _)| share.name.as_str())
            .collect();
        if without.is_empty() {
            continue;
        }
        let name = labels::CLASSES.get(usize::from(label) - 1).map_or("unknown", |class| class.name);
        let all: usize = held.iter().sum();
        let level = if all < settings.shares.len() { Level::Info } else { Level::Warn };
        let text = format!(
            "class {} ({name}) is absent from {}: only {all} different images show it",
            label - 1,
            without.join(", ")
        );
        note(&context.events, level, text);
    }
}
