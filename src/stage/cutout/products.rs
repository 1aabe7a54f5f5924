//! The outputs of a cutout stage: which products are made of every cutout, and under which keys. Must not know how a product
//! is made, or whether it goes to the shop or to a person.

use super::Settings;
use super::naming::Naming;
use crate::digest;
use crate::image::product::{Backdrop, Background, Product};
use crate::image::{self, Edges, SourceImage};
use crate::stage::Error;
use crate::storage::{Store, split_location};
use std::sync::Arc;
use tokio::runtime::Handle;

/// One output of every cutout, as it is wished for.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The folder below `out` that it goes to; empty, for `out` itself, only where there is no other output.
    pub name: String,
    /// What it is.
    pub product: Product,
    /// The picture that is laid under it: a path or URL.
    pub picture: Option<String>,
}

impl Default for Output {
    /// The cutout itself as PNG, at the photo's size.
    fn default() -> Self {
        Self { name: String::new(), product: Product::default(), picture: None }
    }
}

/// Refuses outputs that cannot be made, or would overwrite one another.
pub fn check(outputs: &[Output]) -> Result<(), Error> {
    let named = |output: &Output| if output.name.is_empty() { "the output" } else { &output.name }.to_owned();
    if outputs.is_empty() {
        return Err(Error::Usage("no output is asked for; leave the list away for a PNG of each cutout".to_owned()));
    }
    for (at, output) in outputs.iter().enumerate() {
        if output.name.is_empty() && outputs.len() > 1 {
            let text = "several outputs need a name each: the folder that they go to";
            return Err(Error::Usage(format!("output {} has none; {text}", at + 1)));
        }
        let safe = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if !output.name.chars().all(safe) || output.name.starts_with('.') {
            let text = "a name is made of letters, digits, -, _ and ., and does not begin with a point";
            return Err(Error::Usage(format!("output {:?}: {text}", output.name)));
        }
        if outputs[..at].iter().any(|other| other.name == output.name) {
            return Err(Error::Usage(format!("two outputs are called {}; give one another name", output.name)));
        }
        let product = &output.product;
        // The picture is read later; what must be there for a format without transparency is there by then.
        let checked = match output.picture {
            Some(_) => Product { background: Some(Background::Colour([255; 3])), ..product.clone() }.check(),
            None => product.check(),
        };
        checked.map_err(|detail| Error::Usage(format!("{}: {detail}", named(output))))?;
    }
    Ok(())
}

/// An output that is ready to be made.
pub struct Ready {
    /// Its name in what is said of it.
    pub name: String,
    /// What it is, with its picture.
    pub product: Product,
    naming: Naming,
}

impl Ready {
    /// The key of this output of a photo, below `out`.
    pub fn key(&self, photo: &str) -> String {
        let key = self.naming.output(photo, self.product.extension());
        if self.name.is_empty() { key } else { format!("{}/{key}", self.name) }
    }
}

/// Reads what the outputs need.
pub fn open(settings: &Settings, handle: &Handle) -> Result<Vec<Ready>, Error> {
    check(&settings.outputs)?;
    let mut ready = Vec::with_capacity(settings.outputs.len());
    for Output { name, product, picture } in &settings.outputs {
        let mut product = product.clone();
        if let Some(place) = picture {
            let bytes = picture_bytes(place, settings, handle)?;
            let image = image::decode(&SourceImage { bytes }, &settings.limits)
                .map_err(|error| Error::Usage(format!("the background {place}: {error}")))?;
            let backdrop = Backdrop { width: image.width, height: image.height, rgb: image.rgb };
            product.background = Some(Background::Picture(Arc::new(backdrop)));
        }
        ready.push(Ready { name: name.clone(), product, naming: settings.naming });
    }
    Ok(ready)
}

fn picture_bytes(place: &str, settings: &Settings, handle: &Handle) -> Result<bytes::Bytes, Error> {
    let (folder, file) = split_location(place)?;
    let store = Store::open(&folder, &settings.options, handle.clone())?;
    store.wait(store.get(&file)).map_err(|error| Error::Usage(format!("the background {place}: {error}")))
}

/// All that the outputs' bytes depend on, in words that do not change; one line an output.
pub fn canonical(settings: &Settings, handle: &Handle) -> Result<String, Error> {
    let mut lines = Vec::with_capacity(settings.outputs.len());
    for Output { name, product, picture } in &settings.outputs {
        let picture = match picture {
            Some(place) => format!(" picture={}", digest::of(&picture_bytes(place, settings, handle)?)),
            None => String::new(),
        };
        lines.push(format!("{name}: {}{picture}", product.canonical()));
    }
    Ok(lines.join("\n"))
}

/// How edges are treated, in words that do not change.
pub fn canonical_edges(edges: &Edges) -> String {
    let Edges { refine, colour, fill_holes, drop_specks, keep_largest, shrink, feather } = edges;
    format!(
        "refine={refine} colour={colour} fill_holes={fill_holes} drop_specks={drop_specks} keep_largest={keep_largest} \
         shrink={shrink} feather={feather}"
    )
}
