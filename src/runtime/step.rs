//! A graph that is run over and over with a state: a training step, a part of one, or an evaluation. Must not know what
//! it computes.

use super::bind::{Bindings, Wanted, Write, records};
use super::memory::Held;
use super::open::{Purpose, open};
use super::session::{describe, expect};
use super::state::not_kept;
use super::watch::cancellable;
use super::{Array, Dimension, Element, Error, Model, Placement, Runtime, SessionSettings, State, ValueInfo, array};
use crate::cancel::Cancel;
use ort::session::RunOptions;
use std::collections::BTreeMap;
use std::path::Path;

/// An opened graph. Inputs that a [`State`] has by name are read from it, the others are given to each run; some outputs
/// are written back into the state. One step may share its state with others; one thread at a time runs it, and where
/// CUDA graphs are on always the same one. A step remembers the buffers of the state that it last ran with and so keeps
/// them from being freed.
#[derive(Debug)]
pub struct Step {
    model: String,
    session: ort::session::Session,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    writes: Vec<Write>,
    placement: Placement,
    bindings: Bindings,
    /// Inputs given per run. They keep their addresses for as long as they keep their shapes.
    given: BTreeMap<String, Held>,
}

impl Step {
    /// Opens a graph under a name that errors will use. `writes` pairs names of the state with the outputs that are their
    /// next values, no name twice. On a GPU every operator must have its kernel there, or the device counts as unusable.
    pub fn open(
        runtime: &Runtime,
        name: &str,
        model: Model<'_>,
        settings: &SessionSettings,
        writes: &[(String, String)],
    ) -> Result<Self, Error> {
        let (session, placement) = open(runtime, name, model, settings, Purpose::Step)?;
        let outputs: Vec<ValueInfo> = session.outputs().iter().map(describe).collect();
        let mut checked: Vec<Write> = Vec::with_capacity(writes.len());
        for (state, output) in writes {
            let output = expect(name, "output", &outputs, output)?.clone();
            let clash = |earlier: &&Write| earlier.state == *state || earlier.output.name == output.name;
            if let Some(Write { state: twice, output: other }) = checked.iter().find(clash) {
                let detail =
                    format!("`{}` is to become `{twice}`, and `{}` is to become `{state}`", other.name, output.name);
                return Err(Error::Writes { model: name.to_owned(), detail });
            }
            checked.push(Write { state: state.clone(), output });
        }
        let failed = |error: ort::Error| Error::Run { model: name.to_owned(), detail: error.to_string() };
        Ok(Self {
            model: name.to_owned(),
            inputs: session.inputs().iter().map(describe).collect(),
            outputs,
            writes: checked,
            bindings: Bindings::new(records(settings.cuda_graph, placement.device)).map_err(failed)?,
            placement,
            given: BTreeMap::new(),
            session,
        })
    }

    /// What goes in, from the state or by hand, in the graph's order.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// What comes out, in the graph's order.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// Where it computes; the state must lie there.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Runs the graph once, brings the state forward, and gives back the outputs asked for in the order asked, those that
    /// are written to the state among them if asked for. `inputs` are those that the state does not have. When it fails
    /// or is cancelled ([`Error::Cancelled`]), the state is as it was.
    pub fn run(
        &mut self,
        state: &mut State,
        inputs: &[(&str, &Array)],
        outputs: &[&str],
        cancel: &Cancel,
    ) -> Result<Vec<Array>, Error> {
        let arrays = self.compute(state, inputs, outputs, cancel, None)?;
        for write in &self.writes {
            state.swap(&write.state);
        }
        Ok(arrays)
    }

    /// Nodes of the graph, as the library has fused them, by the name of the execution provider that runs them. Counted
    /// from the profile of one run, which leaves the state as it is.
    pub fn count_nodes(
        &mut self,
        state: &mut State,
        inputs: &[(&str, &Array)],
    ) -> Result<BTreeMap<String, usize>, Error> {
        let model = self.model.clone();
        let failed = |detail: String| Error::Run { model: model.clone(), detail: format!("no profile: {detail}") };
        let folder = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
        let written = |name: &String| self.writes.iter().any(|write| write.output.name == *name);
        let names: Vec<String> =
            self.outputs.iter().map(|output| &output.name).filter(|name| !written(name)).cloned().collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.compute(state, inputs, &names, &Cancel::default(), Some(&folder.path().join("profile")))?;
        let mut counts = BTreeMap::new();
        for entry in folder.path().read_dir().map_err(|error| failed(error.to_string()))?.flatten() {
            let text = std::fs::read(entry.path()).map_err(|error| failed(error.to_string()))?;
            count_providers(&text, &mut counts).map_err(|error| failed(error.to_string()))?;
        }
        Ok(counts)
    }

    /// Everything but bringing the state forward.
    fn compute(
        &mut self,
        state: &mut State,
        inputs: &[(&str, &Array)],
        outputs: &[&str],
        cancel: &Cancel,
        profile: Option<&Path>,
    ) -> Result<Vec<Array>, Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled { model: self.model.clone() });
        }
        self.check(state, inputs, outputs)?;
        self.take(state, inputs)?;
        let Self { model, session, inputs, outputs: all, writes, bindings, given, .. } = self;
        let wanted = Wanted { model, session, inputs, outputs: all, writes, given, replies: outputs };
        let bound = bindings.bind(wanted, state)?;
        let result = self.run_bound(bound, state, outputs, cancel, profile);
        if result.is_err() {
            self.bindings.forget(bound);
        }
        result
    }

    /// Whether everything fits, before anything is touched.
    fn check(&self, state: &State, inputs: &[(&str, &Array)], outputs: &[&str]) -> Result<(), Error> {
        if state.device() != self.placement.device {
            let (step, state) = (self.placement.device.to_string(), state.device().to_string());
            return Err(Error::OtherDevice { model: self.model.clone(), step, state });
        }
        for (name, _) in inputs {
            expect(&self.model, "input", &self.inputs, name)?;
            if state.contains(name) {
                return Err(Error::GivenTwice { model: self.model.clone(), name: (*name).to_owned() });
            }
        }
        for input in &self.inputs {
            let given = inputs.iter().rev().find(|(name, _)| *name == input.name);
            match given {
                Some((_, array)) => {
                    self.fit("input", input, array.element(), array.dims(), || "the array given".to_owned())?;
                }
                None if state.contains(&input.name) => {
                    let (element, dims) = state.shape(&input.name)?;
                    self.fit("input", input, element, dims, || "that of the state".to_owned())?;
                }
                None => {
                    return Err(Error::MissingInput { model: self.model.clone(), wanted: input.to_string() });
                }
            }
        }
        for Write { state: name, output } in &self.writes {
            let (element, dims) = state.shape(name)?;
            self.fit("output", output, element, dims, || format!("written to `{name}` of the state"))?;
        }
        for name in outputs {
            expect(&self.model, "output", &self.outputs, name)?;
        }
        Ok(())
    }

    fn fit(
        &self,
        kind: &'static str,
        value: &ValueInfo,
        element: Element,
        dims: &[usize],
        place: impl Fn() -> String,
    ) -> Result<(), Error> {
        let lengths = value.shape.iter().zip(dims).all(|(wanted, length)| match wanted {
            Dimension::Fixed(wanted) => wanted == length,
            Dimension::Dynamic(_) => true,
        });
        if value.element == element.name() && value.shape.len() == dims.len() && lengths {
            return Ok(());
        }
        let found = array::describe(element, dims);
        Err(Error::Misfit { model: self.model.clone(), kind, wanted: value.to_string(), place: place(), found })
    }

    /// Copies what was given into its place on the device.
    fn take(&mut self, state: &State, inputs: &[(&str, &Array)]) -> Result<(), Error> {
        let memory = state.memory();
        // What was given to an earlier run may be in the state by now.
        self.given.retain(|name, _| inputs.iter().any(|(given, _)| given == name));
        for (name, array) in inputs {
            let failed = |error: ort::Error| not_kept(memory.device(), name, &error);
            let mut held = match self.given.remove(*name) {
                Some(held) if held.element == array.element() && held.dims == array.dims() => held,
                _ => Held::new(memory, array.element(), array.dims()).map_err(failed)?,
            };
            memory.write(array, &mut held.tensor).map_err(failed)?;
            self.given.insert((*name).to_owned(), held);
        }
        Ok(())
    }

    fn run_bound(
        &mut self,
        bound: usize,
        state: &State,
        outputs: &[&str],
        cancel: &Cancel,
        profile: Option<&Path>,
    ) -> Result<Vec<Array>, Error> {
        let Self { model, session, writes, bindings, .. } = self;
        let failed = |error: ort::Error| Error::Run { model: model.clone(), detail: error.to_string() };
        let lost = |what: &str| failed(ort::Error::new(format!("{what} did not come back")));
        let bound = bindings.get(bound).ok_or_else(|| lost("its binding"))?;
        let options = options(bound.recording, profile).map_err(failed)?;
        let values = cancellable(model, cancel, &options, |options| {
            let values = session.run_binding_with_options(&bound.binding, options)?;
            bound.binding.synchronize_outputs()?;
            Ok(values)
        })?;
        let mut arrays = Vec::with_capacity(outputs.len());
        for name in outputs {
            arrays.push(if let Some(write) = writes.iter().find(|write| write.output.name == *name) {
                state.read_spare(&write.state)?
            } else if let Some(held) = bindings.recorded(name) {
                state.memory().read(held.element, &held.dims, &held.tensor).map_err(failed)?
            } else {
                let value = values.get(name).ok_or_else(|| lost(&format!("the output `{name}`")))?;
                array::read(value).map_err(failed)?
            });
        }
        Ok(arrays)
    }
}

fn options(recording: Option<usize>, profile: Option<&Path>) -> Result<RunOptions, ort::Error> {
    let mut options = RunOptions::new()?;
    if let Some(number) = recording {
        options.set("gpu_graph_id", number.to_string())?;
    }
    if let Some(prefix) = profile {
        options.enable_profiling(prefix)?;
    }
    Ok(options)
}

/// Adds the nodes of a profile in Chrome's trace format.
fn count_providers(text: &[u8], counts: &mut BTreeMap<String, usize>) -> Result<(), serde_json::Error> {
    let events: Vec<serde_json::Value> = serde_json::from_slice(text)?;
    for event in &events {
        let is_kernel =
            event["cat"] == "Node" && event["name"].as_str().is_some_and(|name| name.ends_with("_kernel_time"));
        if let Some(provider) = event["args"]["provider"].as_str().filter(|_| is_kernel) {
            *counts.entry(provider.to_owned()).or_default() += 1;
        }
    }
    Ok(())
}
