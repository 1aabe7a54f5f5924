//! The pictures of a report: images with their masks, panels of evaluated models, and the most doubtful cutouts. A picture
//! that cannot be had becomes a sentence. Must not know what else the page says.

use super::{Error, sheet};
use crate::image::{Limits, SourceImage, decode, thumbnail};
use crate::page::picture::Picture;
use crate::page::report::{Page, Panel, Section};
use crate::stage::{Context, masks};
use crate::storage::{ObjectInfo, Store};
use bytes::Bytes;
use futures::TryStreamExt;

/// Pixels of the longer side of a picture.
const LONGEST: u32 = 360;
/// Images with masks: of the rarest classes, and of the most contested.
const RARE: usize = 6;
const CONTESTED: usize = 2;
/// Panels of each model.
const PANELS: usize = 4;
/// Models whose panels are shown.
const MODELS: usize = 4;
/// Cutouts of each stage.
const CUTOUTS: usize = 24;

/// Where pictures come from.
pub(super) struct Pictures<'a> {
    /// The photos of the images; masks alone are drawn without them.
    pub(super) photos: Option<&'a Store>,
    pub(super) context: &'a Context,
}

impl Pictures<'_> {
    /// Puts pictures behind the figures of each part that is shown.
    pub(super) fn add_to(&self, page: &mut Page) -> Result<(), Error> {
        for part in &mut page.parts {
            let (title, panels) = match part.id.as_str() {
                "dataset" => ("Examples", self.masks()?),
                "training" => ("Panels", self.models()?),
                "cutouts" => ("Most doubtful", self.cutouts()?),
                _ => continue,
            };
            if !panels.is_empty() {
                part.sections.push(Section { title: title.to_owned(), figures: Vec::new(), panels });
            }
        }
        Ok(())
    }

    /// Images with their masks: the rarest classes, then what is most contested.
    fn masks(&self) -> Result<Vec<Panel>, Error> {
        let of_stage = Error::of_stage(&self.context.stage);
        let ids = masks::examples(RARE, CONTESTED, self.context).map_err(&of_stage)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let shown = masks::show_all(&ids, self.photos, LONGEST, self.context).map_err(&of_stage)?;
        let panel = |(id, shown): masks::Drawn| {
            let mut panel =
                Panel { title: id.clone(), pictures: Vec::new(), legend: Vec::new(), detail: String::new() };
            match shown {
                Ok(shown) => {
                    panel.legend =
                        shown.legend.iter().map(|entry| (hex(entry.colour), entry.name.to_string())).collect();
                    panel.pictures.push((format!("{id} with its masks"), small(&Bytes::from(shown.png))));
                    panel.detail = format!("{} × {} pixels", shown.width, shown.height);
                }
                Err(error) => panel.pictures.push((id, Picture::Absent(error.to_string()))),
            }
            panel
        };
        Ok(shown.into_iter().map(panel).collect())
    }

    /// The first panels of each model that an evaluation made.
    fn models(&self) -> Result<Vec<Panel>, Error> {
        let store = self.context.tables.store();
        let mut models = store.wait(store.list_folders("models"))?;
        models.sort();
        let mut panels = Vec::new();
        for model in models.into_iter().take(MODELS) {
            let listed: Vec<ObjectInfo> = store.wait(store.list(&format!("models/{model}/panels")).try_collect())?;
            let pictures: Vec<_> = listed.iter().filter(|object| object.key.ends_with(".png")).take(PANELS).collect();
            for object in pictures {
                let name = object.key.rsplit('/').next().unwrap_or_default().trim_end_matches(".png");
                let picture = match store.wait(store.get(&object.key)) {
                    Ok(bytes) => wide(&bytes),
                    Err(error) => Picture::Absent(error.to_string()),
                };
                panels.push(Panel {
                    title: format!("{model}: {name}"),
                    pictures: vec![(format!("photo, masks, prediction and cutout of {name}"), picture)],
                    legend: Vec::new(),
                    detail: String::new(),
                });
            }
        }
        Ok(panels)
    }

    /// The cards of each stage's contact sheet, before and after.
    fn cutouts(&self) -> Result<Vec<Panel>, Error> {
        let store = self.context.tables.store();
        let mut panels = Vec::new();
        for pipeline in store.wait(store.list_folders("ledger"))? {
            for stage in store.wait(store.list_folders(&format!("ledger/{pipeline}")))? {
                let Some(sheet) = sheet::newest(store, &format!("ledger/{pipeline}/{stage}"))? else { continue };
                let cards = sheet.doubtful.into_iter().chain(sheet.passed).take(CUTOUTS);
                panels.extend(cards.map(|card| {
                    let reason = if card.reason.is_empty() { String::new() } else { format!(": {}", card.reason) };
                    Panel {
                        title: card.key,
                        pictures: vec![("before".to_owned(), card.before), ("after".to_owned(), card.after)],
                        legend: Vec::new(),
                        detail: format!("{}{reason} {}", card.outcome.word(), card.detail).trim().to_owned(),
                    }
                }));
            }
        }
        Ok(panels)
    }
}

fn hex([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A picture as the page holds it.
fn small(bytes: &Bytes) -> Picture {
    shrunk(bytes, LONGEST)
}

/// A picture of several side by side.
fn wide(bytes: &Bytes) -> Picture {
    shrunk(bytes, 3 * LONGEST)
}

fn shrunk(bytes: &Bytes, longest: u32) -> Picture {
    let source = SourceImage { bytes: bytes.clone() };
    match decode(&source, &Limits::default()).and_then(|image| thumbnail(&image, longest)) {
        Ok(small) => Picture::of_file(small.media, &small.bytes, (small.width, small.height)),
        Err(error) => Picture::Absent(error.to_string()),
    }
}
