//! Opening an ONNX model with its sidecar, and running it. Must not know pictures: those were prepared before.

use super::prepare::{ModelInput, Preparer, Window};
use super::presets::{EXAMPLE, recognise};
use super::read_out::{foreground, read_out};
use super::sidecar::{Foreground, Layout, Output, Sidecar, is_non_commercial};
use super::{Error, ModelFiles, Opened, Predictor, Settings};
use crate::cancel::Cancel;
use crate::image::Probabilities;
use crate::runtime::{Dimension, Runtime, Session, ValueInfo};
use std::sync::Arc;

/// Opens as many sessions as the settings ask for, once sidecar and model were found to fit each other.
pub(super) fn open(runtime: &Runtime, files: &ModelFiles, settings: &Settings) -> Result<Opened, Error> {
    let name = files.name.as_str();
    let mut notes = Vec::new();
    let first = Session::open(runtime, name, &files.model, &settings.session)?;
    let sidecar = match &files.sidecar {
        Some(text) => Sidecar::parse(&files.sidecar_name(), text)?,
        None => {
            let Some((preset, sidecar)) = recognise(files.stem(), first.inputs(), first.outputs()) else {
                return Err(unrecognised(files, &first));
            };
            notes.push(format!("{name} has no sidecar and is taken for `{preset}`"));
            sidecar
        }
    };
    let sidecar = match settings.classes.as_slice() {
        [] => sidecar,
        classes => Sidecar { foreground: Some(Foreground::Names(classes.to_vec())), ..sidecar },
    };
    match sidecar.licence.as_deref() {
        Some(licence) if is_non_commercial(licence) && !settings.accept_nc => {
            return Err(Error::NonCommercial { model: name.to_owned(), licence: licence.to_owned() });
        }
        None | Some("unknown") => {
            notes.push(format!("no licence is stated for {name}; see to it before you sell with it"))
        }
        Some(_) => {}
    }
    if let Some(reason) = &first.placement().fallback {
        notes.push(format!("no GPU is used: {reason}"));
    }
    let fit = Fit::of(name, &sidecar, &first, settings.batch)?;
    let licence = sidecar.licence.clone();
    let described = sidecar.clone();
    let sidecar = Arc::new(sidecar);
    let preparer = Preparer::network(Arc::clone(&sidecar), fit.width, fit.height);
    let batch = fit.batch;
    let mut sessions = vec![first];
    while sessions.len() < settings.sessions.max(1) {
        sessions.push(Session::open(runtime, name, &files.model, &settings.session)?);
    }
    let mut predictors: Vec<Box<dyn Predictor>> = Vec::with_capacity(sessions.len());
    for session in sessions {
        let sidecar = Arc::clone(&sidecar);
        predictors.push(Box::new(Network { name: name.to_owned(), session, sidecar, fit: fit.clone() }));
    }
    Ok(Opened { licence, sidecar: Some(described), batch, preparer, predictors, notes })
}

fn unrecognised(files: &ModelFiles, session: &Session) -> Error {
    let list = |values: &[ValueInfo]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Error::Unrecognised {
        model: files.name.clone(),
        inputs: list(session.inputs()),
        outputs: list(session.outputs()),
        sidecar: files.sidecar_name(),
        example: EXAMPLE.to_owned(),
    }
}

/// What sidecar and model agree on.
#[derive(Clone, Debug)]
struct Fit {
    input: String,
    output: String,
    width: u32,
    height: u32,
    /// Pictures in one run.
    batch: usize,
}

impl Fit {
    fn of(model: &str, sidecar: &Sidecar, session: &Session, batch: Option<usize>) -> Result<Self, Error> {
        let mismatch = |detail: String| Error::Mismatch { model: model.to_owned(), detail };
        let input = pick("input", sidecar.input.as_deref(), 0, session.inputs()).map_err(mismatch)?;
        if session.inputs().len() > 1 {
            return Err(mismatch(format!("it takes {} inputs, and a picture is one", session.inputs().len())));
        }
        let output = match &sidecar.output {
            Output::Index(index) => pick("output", None, *index, session.outputs()),
            Output::Name(name) => pick("output", Some(name), 0, session.outputs()),
        };
        let output = output.map_err(mismatch)?;
        if !matches!(input.element.as_str(), "f32" | "u8") {
            return Err(mismatch(format!("`{input}` is neither f32 nor u8; export the model with one of these")));
        }
        if output.element != "f32" {
            return Err(mismatch(format!("`{output}` is not f32; export the model with f32 outputs")));
        }
        let [batch_axis, first, second, third] = input.shape.as_slice() else {
            return Err(mismatch(format!("`{input}` is no picture: four axes are wanted")));
        };
        let (channels, high, wide) = match sidecar.layout {
            Layout::Nchw => (first, second, third),
            Layout::Nhwc => (third, first, second),
        };
        if let Dimension::Fixed(channels) = channels
            && *channels != 3
        {
            return Err(mismatch(format!("`{input}` has {channels} channels where 3 are wanted; see to `layout`")));
        }
        let asked = sidecar.size.map_or([None, None], |[width, height]| [Some(width), Some(height)]);
        let width = side("width", wide, asked[0]).map_err(mismatch)?;
        let height = side("height", high, asked[1]).map_err(mismatch)?;
        let batch = match batch_axis {
            Dimension::Fixed(1) => 1,
            Dimension::Fixed(fixed) => {
                return Err(mismatch(format!(
                    "it takes exactly {fixed} pictures at once; export it for 1 or for any number"
                )));
            }
            Dimension::Dynamic(_) => batch.unwrap_or(sidecar.batch).max(1),
        };
        // The output's shape is often known now, and then a wrong list of channels need not wait for the first picture.
        let layout = sidecar.output_layout.unwrap_or(sidecar.layout);
        let axis = if layout == Layout::Nchw { 1 } else { 3 };
        if let (4, Some(Dimension::Fixed(channels))) = (output.shape.len(), output.shape.get(axis)) {
            foreground(model, sidecar, *channels)?;
        }
        Ok(Self { input: input.name.clone(), output: output.name.clone(), width, height, batch })
    }
}

/// The value of that name, or at that place.
fn pick<'a>(kind: &str, name: Option<&str>, index: usize, values: &'a [ValueInfo]) -> Result<&'a ValueInfo, String> {
    let found = match name {
        Some(name) => values.iter().find(|value| value.name == name),
        None => values.get(index),
    };
    found.ok_or_else(|| {
        let wanted = name.map_or_else(|| index.to_string(), |name| format!("`{name}`"));
        let known = values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ");
        format!("the {kind} {wanted} is not among {known}")
    })
}

/// One side in pixels: the model's, the sidecar's, or both when they agree.
fn side(name: &str, axis: &Dimension, asked: Option<u32>) -> Result<u32, String> {
    match (axis, asked) {
        (Dimension::Fixed(fixed), Some(asked)) if *fixed != asked as usize => {
            Err(format!("`size` asks for a {name} of {asked}, and the model takes {fixed}"))
        }
        (_, Some(asked)) => Ok(asked),
        (Dimension::Fixed(fixed), None) => {
            u32::try_from(*fixed).map_err(|_| format!("a {name} of {fixed} is too much"))
        }
        (Dimension::Dynamic(_), None) => Err(format!("it takes any {name}: say which one as `size = [width, height]`")),
    }
}

/// A session with what is needed to feed it and to read it.
struct Network {
    name: String,
    session: Session,
    sidecar: Arc<Sidecar>,
    fit: Fit,
}

impl Predictor for Network {
    fn predict(&mut self, batch: &[ModelInput], cancel: &Cancel) -> Result<Vec<Probabilities>, Error> {
        let mut maps = Vec::with_capacity(batch.len());
        for part in batch.chunks(self.fit.batch.max(1)) {
            maps.extend(self.run(part, cancel)?);
        }
        Ok(maps)
    }
}

impl Network {
    fn run(&mut self, part: &[ModelInput], cancel: &Cancel) -> Result<Vec<Probabilities>, Error> {
        let Some(first) = part.first() else { return Ok(Vec::new()) };
        let [_, second, third, fourth] = first.shape;
        let shape = [part.len(), second, third, fourth];
        let Self { name, session, sidecar, fit } = self;
        let outputs = [fit.output.as_str()];
        let tensors = if part.len() == 1 {
            session.run_f32(&fit.input, &shape, &first.data, &outputs, cancel)?
        } else {
            let numbers: Vec<f32> = part.iter().flat_map(|input| input.data.iter().copied()).collect();
            session.run_f32(&fit.input, &shape, &numbers, &outputs, cancel)?
        };
        let windows: Vec<Window> = part.iter().map(|input| input.window).collect();
        let mut maps = Vec::with_capacity(part.len());
        for tensor in &tensors {
            maps.extend(read_out(name, sidecar, tensor, &windows, (fit.width, fit.height))?);
        }
        Ok(maps)
    }
}
