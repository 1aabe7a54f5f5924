//! A graph exported from elsewhere with known numbers: its loss, gradients and running statistics computed anew here. Must
//! not know how files are compared.

use super::Error;
use super::compare::{Ledger, Limit, Verdict};
use super::golden::{check_labels, denominator};
use crate::cancel::Cancel;
use crate::graph::onnx::{Source, read_model};
use crate::graph::train::{CrossEntropy, Recipe, Trainee};
use crate::graph::weights::{Weights, read_weights};
use crate::graph::{Element, Graph, ImportSettings, Imported, Tensor, import};
use crate::runtime::{Array, State};
use crate::stage::bench::{Bench, array, tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// Computes everything that the file of numbers holds about the graph and compares it. Gives the verdict, and our own
/// numbers under the file's names.
pub fn check_exported(
    graph: &Path,
    numbers: &Path,
    bench: &Bench,
    cancel: &Cancel,
) -> Result<(Verdict, Weights), Error> {
    let (source, file) = (read_model(graph)?, read_weights(numbers)?);
    let settings = ImportSettings { training: true, lengths: lengths(&source, &file), ..ImportSettings::default() };
    let imported = import(&source, &settings)?;
    let Some((output, _)) = imported.outputs.first().cloned() else {
        return Err(Error::Usage("the graph has no output".to_owned()));
    };
    let trainee = Trainee::of_import(&imported, &[(output, 1.0)])?;
    let loss = file.metadata.get("loss").map_or("", String::as_str);
    let loss = CrossEntropy { denominator: denominator(loss)?, class_weights: None };
    let recipe = Recipe { loss, ..Recipe::default() };
    let mut ledger = Ledger::new(&file);
    for name in ["input/image", "input/label"] {
        match file.tensors.get(name) {
            Some(own) => ledger.compare(name, own.clone(), Limit::Exact),
            None => {
                return Err(Error::Usage(format!("the file has no {name}: it is no file of numbers about a graph")));
            }
        }
    }
    let classes = trainee.heads.first().and_then(|head| trainee.graph.dims(head.logits).last().copied()).unwrap_or(0);
    check_labels(&file.tensors["input/label"], classes)?;
    let mut state = begin(&imported, &trainee, bench)?;
    let (image, label) = (array(&file.tensors["input/image"])?, array(&file.tensors["input/label"])?);
    let image_name = trainee.graph.name(trainee.image).to_owned();

    let mut step = bench.open("forward", &forward(&imported)?, &[])?;
    for logits in step.run(&mut state, &[(&image_name, &image)], &["out/logits"], cancel)? {
        ledger.compare("train/logits", tensor(&logits)?, Limit::Absolute(1e-4));
    }

    let mut step = bench.open("gradient", &trainee.gradient(&recipe, true)?, &[])?;
    let inputs = [(image_name.as_str(), &image), ("label", &label)];
    let near = Limit::Length(1e-4, 1e-3);
    let mut names = vec![("gradient/image".to_owned(), "grad/image".to_owned())];
    names.extend(
        trainee.parameters.iter().map(|held| (format!("gradient/{}", held.name), format!("grad/{}", held.name))),
    );
    let outputs: Vec<&str> = ["loss"].into_iter().chain(names.iter().map(|(output, _)| output.as_str())).collect();
    let arrays = step.run(&mut state, &inputs, &outputs, cancel)?;
    if let Some((loss, gradients)) = arrays.split_first() {
        ledger.compare("train/loss", tensor(loss)?.with_dims(&[1])?, Limit::Relative(1e-5));
        for ((_, name), gradient) in names.iter().zip(gradients) {
            // A graph may hold constants among its weights, of which the reference knows no gradient.
            if file.tensors.contains_key(name) {
                ledger.compare(name, tensor(gradient)?, near);
            }
        }
    }

    let outputs: Vec<String> = trainee.statistics.iter().map(|held| format!("next/{}", held.name)).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    if !outputs.is_empty() {
        let held = step.run(&mut state, &inputs, &outputs, cancel)?;
        // Exporters run the module, which may move its statistics before they are written down: then the reference's are
        // those of a fresh module after one batch.
        for running in &imported.running {
            let fresh = if running.variance { 1.0 } else { 0.0 };
            state.set(&running.now.name, &array(&Tensor::full(running.now.tensor.dims(), fresh))?)?;
        }
        let fresh = step.run(&mut state, &inputs, &outputs, cancel)?;
        let nearer = if apart(&trainee, &file, &held)? <= apart(&trainee, &file, &fresh)? { held } else { fresh };
        for (statistic, array) in trainee.statistics.iter().zip(&nearer) {
            ledger.compare(&format!("after/{}", statistic.name), tensor(array)?, Limit::Length(1e-4, 1e-4));
        }
    }
    Ok(ledger.close())
}

/// Lengths of open axes, from the inputs that the file holds.
fn lengths(source: &Source, file: &Weights) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (input, axis, key) in source.open_axes() {
        let length = file.tensors.get(&format!("input/{input}")).and_then(|tensor| tensor.dims().get(axis));
        if let Some(length) = length {
            found.insert(key, *length);
        }
    }
    found
}

fn begin(imported: &Imported, trainee: &Trainee, bench: &Bench) -> Result<State, Error> {
    let running = imported.running.iter().map(|running| &running.now);
    let tensors = imported.parameters.iter().chain(running).map(|held| (held.name.clone(), held.tensor.clone()));
    let mut state = bench.state(&Weights { tensors: tensors.collect(), metadata: BTreeMap::new() })?;
    for parameter in &trainee.parameters {
        let kind = trainee.graph.kind(parameter.value);
        if kind.element != Element::F32 {
            return Err(Error::Usage(format!(
                "the weight {} is {}, and weights are trained in f32; export the model in 32 bits",
                parameter.name, kind.element
            )));
        }
        state.set(&format!("accumulated/{}", parameter.name), &array(&Tensor::full(&kind.dims, 0.0))?)?;
    }
    Ok(state)
}

/// How far statistics are from the file's, all differences added up.
fn apart(trainee: &Trainee, file: &Weights, arrays: &[Array]) -> Result<f64, Error> {
    let mut sum = 0.0;
    for (statistic, array) in trainee.statistics.iter().zip(arrays) {
        if let Some(wanted) = file.tensors.get(&format!("after/{}", statistic.name)) {
            let ours = tensor(array)?.to_f64();
            sum += ours.iter().zip(wanted.to_f64()).map(|(a, b)| (a - b).abs()).sum::<f64>();
        }
    }
    Ok(sum)
}

fn forward(imported: &Imported) -> Result<Graph, Error> {
    let mut graph = imported.graph.clone();
    if let Some((_, value)) = imported.outputs.first() {
        graph.output(*value, "out/logits")?;
    }
    Ok(graph)
}
