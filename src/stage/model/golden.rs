//! A tiny network with known numbers, computed anew here: logits, losses, every gradient, and the parameters after some
//! steps. Must not know how files are compared.

use super::Error;
use super::compare::{Ledger, Limit, Verdict};
use crate::cancel::Cancel;
use crate::graph::net::{Config, Mode, build, eval_graph};
use crate::graph::train::{CrossEntropy, Denominator, IGNORED, Optimiser, Precision, Recipe, Recompute, Sgd, Trainee};
use crate::graph::weights::{Weights, read_weights};
use crate::graph::{Element, Tensor};
use crate::runtime::Array;
use crate::stage::bench::{Bench, array, tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Computes everything the file holds and compares it. Gives the verdict, and our own numbers under the file's names.
pub fn check_golden(path: &Path, bench: &Bench, cancel: &Cancel) -> Result<(Verdict, Weights), Error> {
    let file = read_weights(path)?;
    let golden = Golden::read(&file)?;
    let mut ledger = Ledger::new(&file);
    golden.inputs(&mut ledger)?;
    if ledger.failed() {
        return Ok(ledger.give_up("not computed, since the network's own tensors are not as they must be"));
    }
    golden.logits(&mut ledger, bench, cancel)?;
    golden.gradients(&mut ledger, bench, cancel)?;
    golden.steps(&mut ledger, bench, cancel)?;
    Ok(ledger.close())
}

struct Golden<'a> {
    file: &'a Weights,
    config: Config,
    batch: usize,
    rate: f32,
    recipe: Recipe,
    steps: usize,
    /// Parameters and buffers before the first step, by canonical name.
    start: Weights,
}

impl<'a> Golden<'a> {
    fn read(file: &'a Weights) -> Result<Self, Error> {
        let mut config = Config::golden(&file.metadata)?;
        if let Some(branch) = file.tensors.get("param/decode_head.up_convs.0.0.conv.weight") {
            config.branch_channels = branch.dims().first().copied().unwrap_or(0);
        }
        let wanted = |name: &str| Error::Usage(format!("the file has no {name}: it is no file of golden numbers"));
        let image = file.tensors.get("input/image").ok_or_else(|| wanted("input/image"))?;
        let batch = image.dims().first().copied().unwrap_or(0);
        if let Some(said) = file.metadata.get("B").filter(|said| **said != batch.to_string()) {
            return Err(Error::Usage(format!("the file speaks of {said} pictures and holds {batch}")));
        }
        let steps = file.tensors.get("train/loss_per_step").ok_or_else(|| wanted("train/loss_per_step"))?.len();
        let (rate, sgd) = optimizer(file.metadata.get("optimizer").map_or("", String::as_str))?;
        let loss = CrossEntropy {
            denominator: denominator(file.metadata.get("loss").map_or("", String::as_str))?,
            class_weights: None,
        };
        if let Some(ignored) = file.metadata.get("ignore").filter(|label| **label != IGNORED.to_string()) {
            return Err(Error::Usage(format!(
                "the file ignores the label {ignored}, and only {IGNORED} is ignored here"
            )));
        }
        let start = file
            .tensors
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix("param/")?.to_owned(), tensor.clone())))
            .collect();
        let start = Weights { tensors: start, metadata: BTreeMap::new() };
        let recipe =
            Recipe { loss, optimiser: Optimiser::Sgd(sgd), precision: Precision::F32, recompute: Recompute::None };
        Ok(Self { file, config, batch, rate, recipe, steps, start })
    }

    fn input(&self, name: &str) -> Result<Array, Error> {
        let found = self.file.tensors.get(name);
        array(found.ok_or_else(|| Error::Usage(format!("the file has no {name}: it is no file of golden numbers")))?)
    }

    /// What goes in: every tensor of the network must be there, and no other.
    fn inputs(&self, ledger: &mut Ledger<'_>) -> Result<(), Error> {
        let network = build(&self.config, Mode::Train, self.batch)?;
        for wanted in &network.state {
            let name = format!("param/{}", wanted.name);
            match self.start.tensors.get(&wanted.name) {
                Some(own) if own.dims() == wanted.dims => ledger.compare(&name, own.clone(), Limit::Exact),
                Some(own) => ledger.problem(&name, format!("it is {:?}, and {:?} is needed", own.dims(), wanted.dims)),
                None => ledger.problem(&name, "the network needs it, and the file does not have it"),
            }
        }
        let (height, width) = self.config.size;
        let wanted = [
            ("input/image", Element::F32, vec![self.batch, 3, height, width]),
            ("input/label", Element::U8, vec![self.batch, height, width]),
        ];
        for (name, element, dims) in wanted {
            match self.file.tensors.get(name) {
                Some(own) if own.dims() == dims && own.element() == element => {
                    ledger.compare(name, own.clone(), Limit::Exact);
                }
                Some(own) => ledger.problem(name, format!("it is {own:?}, and {element}{dims:?} is needed")),
                None => ledger.problem(name, "the file does not have it"),
            }
        }
        if let Some(label) = self.file.tensors.get("input/label") {
            check_labels(label, self.config.classes)?;
        }
        let after = format!("after{}/", self.steps);
        if !self.file.tensors.keys().any(|name| name.starts_with(&after)) {
            ledger.problem(
                "train/loss_per_step",
                format!("it holds {} steps, and nothing is called {after}…", self.steps),
            );
        }
        Ok(())
    }

    fn logits(&self, ledger: &mut Ledger<'_>, bench: &Bench, cancel: &Cancel) -> Result<(), Error> {
        let graph = eval_graph(&self.config, self.batch)?;
        let mut state = bench.state(&self.start)?;
        let mut step = bench.open("eval", &graph, &[])?;
        let image = self.input("input/image")?;
        for logits in step.run(&mut state, &[("image", &image)], &["logits"], cancel)? {
            ledger.compare("eval/seg_logits", tensor(&logits)?, Limit::Absolute(1e-4));
        }
        Ok(())
    }

    fn trainee(&self) -> Result<Trainee, Error> {
        Ok(Trainee::of_network(build(&self.config, Mode::Train, self.batch)?, 1.0))
    }

    fn gradients(&self, ledger: &mut Ledger<'_>, bench: &Bench, cancel: &Cancel) -> Result<(), Error> {
        let trainee = self.trainee()?;
        let graph = trainee.gradient(&self.recipe, false)?;
        let mut state = bench.state(&self.start)?;
        for parameter in &trainee.parameters {
            let dims = trainee.graph.dims(parameter.value);
            state.set(&format!("accumulated/{}", parameter.name), &array(&Tensor::full(dims, 0.0))?)?;
        }
        let mut step = bench.open("gradient", &graph, &[])?;
        let parts: Vec<String> = trainee.heads.iter().map(|head| format!("loss/{}", head.name)).collect();
        let names = trainee.parameters.iter().map(|parameter| format!("gradient/{}", parameter.name));
        let outputs: Vec<String> = parts.iter().cloned().chain(names).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let (image, label) = (self.input("input/image")?, self.input("input/label")?);
        let arrays = step.run(&mut state, &[("image", &image), ("label", &label)], &outputs, cancel)?;
        let (losses, gradients) = arrays.split_at(parts.len());
        for (head, loss) in trainee.heads.iter().zip(losses) {
            let loss = tensor(loss)?.with_dims(&[1])?;
            ledger.compare(&format!("train/{}.loss_ce", head.name), loss, Limit::Relative(1e-5));
        }
        for (parameter, gradient) in trainee.parameters.iter().zip(gradients) {
            let (name, gradient) = (format!("grad/{}", parameter.name), tensor(gradient)?);
            // A reference may leave out what no loss depends on.
            if !self.file.tensors.contains_key(&name) && gradient.to_f64().iter().all(|number| *number == 0.0) {
                continue;
            }
            ledger.compare(&name, gradient, Limit::Length(1e-4, 1e-3));
        }
        Ok(())
    }

    fn steps(&self, ledger: &mut Ledger<'_>, bench: &Bench, cancel: &Cancel) -> Result<(), Error> {
        let trainee = self.trainee()?;
        let graph = trainee.step(&self.recipe)?;
        let mut state = bench.state(&self.start)?;
        let mut written: Vec<String> = trainee.parameters.iter().map(|parameter| parameter.name.clone()).collect();
        written.extend(trainee.statistics.iter().map(|statistic| statistic.name.clone()));
        let after = written.clone();
        if matches!(self.recipe.optimiser, Optimiser::Sgd(sgd) if sgd.momentum > 0.0) {
            for parameter in &trainee.parameters {
                let name = format!("momentum/{}", parameter.name);
                state.set(&name, &array(&Tensor::full(trainee.graph.dims(parameter.value), 0.0))?)?;
                written.push(name);
            }
        }
        let writes: Vec<_> = written.iter().map(|name| (name.clone(), format!("next/{name}"))).collect();
        let mut step = bench.open("step", &graph, &writes)?;
        let (image, label) = (self.input("input/image")?, self.input("input/label")?);
        let rate = Array::scalar(self.rate);
        let mut losses = Vec::with_capacity(self.steps);
        for _ in 0..self.steps {
            let inputs = [("image", &image), ("label", &label), ("learning_rate", &rate)];
            for loss in step.run(&mut state, &inputs, &["loss"], cancel)? {
                losses.extend(loss.to_f32()?);
            }
        }
        let losses = Tensor::f32(&[losses.len()], &losses)?;
        ledger.compare("train/loss_per_step", losses, Limit::Relative(1e-5));
        let allowed = 1e-4 * (self.steps as f64 / 3.0).max(1.0);
        for name in after {
            let value = tensor(&state.get(&name)?)?;
            let limit = match value.element() {
                Element::F32 => Limit::Length(allowed, allowed),
                _ => Limit::Exact,
            };
            ledger.compare(&format!("after{}/{name}", self.steps), value, limit);
        }
        Ok(())
    }
}

/// Labels are classes, or ignored.
pub(super) fn check_labels(label: &Tensor, classes: usize) -> Result<(), Error> {
    match label.data().iter().find(|label| **label != IGNORED && usize::from(**label) >= classes) {
        Some(label) => Err(Error::Usage(format!("a label is {label}, and there are the classes 0 to {}", classes - 1))),
        None => Ok(()),
    }
}

/// `SGD lr=0.01 momentum=0.9`, and whatever else stands behind it.
fn optimizer(text: &str) -> Result<(f32, Sgd), Error> {
    let bad = || Error::Usage(format!("the optimizer `{text}` of the file is not known here; SGD lr=… momentum=… is"));
    let mut words = text.split_whitespace();
    if words.next() != Some("SGD") {
        return Err(bad());
    }
    let (mut rate, mut sgd) = (None, Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false });
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(bad)?;
        match (name, value.trim_end_matches(',').parse::<f32>()) {
            ("lr", Ok(value)) => rate = Some(value),
            ("momentum", Ok(value)) => sgd.momentum = value,
            ("weight_decay", Ok(value)) => sgd.weight_decay = value,
            ("nesterov", _) => sgd.nesterov = value.eq_ignore_ascii_case("true"),
            _ => return Err(bad()),
        }
    }
    Ok((rate.ok_or_else(bad)?, sgd))
}

/// What the loss is divided by, from the file's words about it.
pub(super) fn denominator(text: &str) -> Result<Denominator, Error> {
    match text {
        text if text.contains("ALL pixels") => Ok(Denominator::All),
        text if text.contains("valid pixels") => Ok(Denominator::Valid),
        _ => Err(Error::Usage(format!("the loss `{text}` of the file is not known here"))),
    }
}
