//! What is trained: a network built from its name, or the graphs of a folder as they are. Must not know data or schedules.

use super::weights::{Balance, Occurrence, class_weights};
use crate::graph::Graph;
use crate::graph::net::{Config, Normalisation, infer_graph};
use crate::graph::onnx::{encode, read_model};
use crate::graph::weights::{Line, Weights, read_weights};
use crate::runtime::{Model as Source, Step};
use crate::stage::artifact::{Artifact, Local, Network, NetworkSettings, WEIGHTS, publish};
use crate::stage::bench::Bench;
use crate::stage::{Context, Error};
use crate::storage::Store;
use std::sync::Arc;

/// What is to be trained.
#[derive(Clone)]
pub enum Origin {
    /// The model at the root of a store, its graphs as they are.
    Folder(Store),
    /// A network that is built here.
    Network(Box<Named>),
}

/// A network by its name.
#[derive(Clone)]
pub struct Named {
    /// The network; its batch is the total over ranks and passes, its class weights those of `balance`.
    pub settings: NetworkSettings,
    /// How the classes are weighed against each other.
    pub balance: Balance,
    /// Weights to begin with; random ones where there are none.
    pub init: Option<Init>,
}

/// Weights to begin with.
#[derive(Clone)]
pub struct Init {
    /// What changes when they do: part of the fingerprint.
    pub identity: String,
    /// Where they come from; asked only when a training begins.
    pub load: Arc<dyn Fn() -> Result<Weights, Error> + Send + Sync>,
}

/// A part of a graph that is cut, opened.
pub struct Piece {
    /// What is run.
    pub step: Step,
    /// Its outputs that are added up over the ranks before later parts read them.
    pub cuts: Vec<String>,
    /// Its outputs that later parts read as they are.
    pub carried: Vec<String>,
    /// What it reads and no later part does.
    pub spent: Vec<String>,
}

/// A model that is ready to be opened.
pub struct Model {
    /// Its description.
    pub artifact: Artifact,
    /// Mean and deviation of its pictures.
    pub normalisation: Normalisation,
    graphs: Graphs,
}

enum Graphs {
    Built(Box<Network>),
    Folder(Box<Local>),
}

impl Model {
    /// Builds or opens the graphs. `passes` is how many batches of a step are added up, over ranks and passes.
    pub fn open(origin: &Origin, passes: usize, occurrence: &Occurrence) -> Result<Self, Error> {
        match origin {
            Origin::Folder(store) => {
                let local = Local::open(store, &["train_step.onnx", "grad.onnx", "update.onnx", "eval.onnx", WEIGHTS])?;
                let artifact = local.artifact.clone();
                let [mean, deviation] = artifact.normalisation.ok_or_else(|| {
                    Error::Usage(format!(
                        "{} does not say how its pictures are normalised; add `normalisation = [[r, g, b], [r, g, b]]` (mean and deviation, 0 to 255) to its artifact.toml",
                        store.url()
                    ))
                })?;
                Ok(Self {
                    artifact,
                    normalisation: Normalisation { mean, deviation },
                    graphs: Graphs::Folder(Box::new(local)),
                })
            }
            Origin::Network(named) => {
                let mut settings = named.settings.clone();
                if settings.batch == 0 || !settings.batch.is_multiple_of(passes) {
                    return Err(Error::Usage(format!(
                        "a batch of {} cannot be shared by {passes} passes: give a multiple of passes times ranks",
                        settings.batch
                    )));
                }
                settings.batch /= passes;
                let mut occurrence = occurrence.clone();
                occurrence.counts.resize(settings.classes, 0);
                occurrence.shown_in.resize(settings.classes, 0);
                settings.recipe.loss.class_weights = class_weights(named.balance, &occurrence)?;
                let network = Network::make(&settings)?;
                let (artifact, normalisation) = (network.artifact.clone(), network.normalisation);
                Ok(Self { artifact, normalisation, graphs: Graphs::Built(Box::new(network)) })
            }
        }
    }

    /// The weights to begin with, and what became of each tensor where they were made to fit.
    pub fn begin(&self, origin: &Origin) -> Result<(Weights, Vec<Line>), Error> {
        match (&self.graphs, origin) {
            (Graphs::Built(network), Origin::Network(named)) => {
                network.begin(named.init.as_ref().map(|init| (init.load)()).transpose()?)
            }
            (Graphs::Folder(local), _) => Ok((read_weights(&local.file(WEIGHTS)?)?, Vec::new())),
            (Graphs::Built(network), Origin::Folder(_)) => network.begin(None),
        }
    }

    /// Opens one of the graphs: `train_step`, `grad`, `update`.
    pub fn step(&self, graph: &str, bench: &Bench) -> Result<Step, Error> {
        let name = format!("{} ({graph})", self.artifact.model);
        match &self.graphs {
            Graphs::Folder(local) => {
                let path = local.file(&format!("{graph}.onnx"))?;
                let writes = writes(&read_model(&path)?.names());
                Ok(Step::open(&bench.runtime, &name, Source::File(&path), &bench.settings(), &writes)?)
            }
            Graphs::Built(network) => {
                let built = match graph {
                    "train_step" => network.trainee.step(&network.recipe)?,
                    "grad" => network.trainee.gradient(&network.recipe, false)?,
                    _ => network.trainee.update(&network.recipe)?,
                };
                bench.open(&name, &built, &writes(&outputs(&built)))
            }
        }
    }

    /// Opens the graph of gradients for one of some ranks, cut where batch norms need what the others have. Graphs of a
    /// folder are not cut: there each rank normalises by its own share of the batch.
    pub fn gradient(&self, ranks: usize, bench: &Bench) -> Result<Vec<Piece>, Error> {
        let segments = match &self.graphs {
            Graphs::Built(network) if ranks > 1 => network.trainee.synchronised(&network.recipe, ranks)?,
            Graphs::Built(_) | Graphs::Folder(_) => Vec::new(),
        };
        if segments.is_empty() {
            let (cuts, carried, spent) = Default::default();
            return Ok(vec![Piece { step: self.step("grad", bench)?, cuts, carried, spent }]);
        }
        let mut pieces = Vec::with_capacity(segments.len());
        for (number, segment) in segments.into_iter().enumerate() {
            let name = format!("{} (grad, part {number})", self.artifact.model);
            let step = bench.open(&name, &segment.graph, &writes(&outputs(&segment.graph)))?;
            pieces.push(Piece { step, cuts: segment.cuts, carried: segment.carried_out, spent: segment.spent });
        }
        Ok(pieces)
    }

    /// Opens the graph of logits, of `batch` pictures where that can be chosen. `None` where the model has none.
    pub fn eval(&self, batch: usize, bench: &Bench) -> Result<Option<(Step, usize)>, Error> {
        let name = format!("{} (eval)", self.artifact.model);
        match &self.graphs {
            Graphs::Built(network) => {
                let bytes = encode(&network.eval(batch)?, &name);
                let step = Step::open(&bench.runtime, &name, Source::Bytes(&bytes), &bench.settings(), &[])?;
                Ok(Some((step, batch)))
            }
            Graphs::Folder(local) if local.artifact.files.contains_key("eval.onnx") => {
                let path = local.file("eval.onnx")?;
                let step = Step::open(&bench.runtime, &name, Source::File(&path), &bench.settings(), &[])?;
                Ok(Some((step, self.artifact.batch)))
            }
            Graphs::Folder(_) => Ok(None),
        }
    }

    /// Puts the model with these weights at the root of a store.
    pub fn publish(&self, weights: &Weights, store: &Store, context: &Context) -> Result<(), Error> {
        let folder = tempfile::tempdir().map_err(|error| Error::Failed(format!("a temporary folder: {error}")))?;
        match &self.graphs {
            Graphs::Built(network) => {
                let mut weights = weights.clone();
                network.describe(&mut weights);
                network.write(folder.path(), &weights, &context.cancel)?;
            }
            Graphs::Folder(local) => self.write_again(local, weights, folder.path(), context)?,
        }
        publish(folder.path(), store, context)
    }

    /// The graphs of the folder as they were, other weights, and the graph that cuts out made anew where the network is
    /// known.
    fn write_again(
        &self,
        local: &Local,
        weights: &Weights,
        folder: &std::path::Path,
        context: &Context,
    ) -> Result<(), Error> {
        let mut files = Vec::new();
        for name in self.artifact.files.keys().filter(|name| *name != WEIGHTS && !name.starts_with("infer")) {
            std::fs::copy(local.file(name)?, folder.join(name))
                .map_err(|error| Error::Failed(format!("{}: {error}", folder.join(name).display())))?;
            files.push(name.clone());
        }
        let Artifact { model, classes, size, .. } = &self.artifact;
        if let Ok(config) = Config::named(model, *classes, (size[0], size[1])) {
            let graph = infer_graph(&config, 1, &self.normalisation, weights)?;
            files.extend(self.artifact.write_infer(folder, graph)?);
        }
        self.artifact.clone().seal(folder, files, weights, &context.cancel)?;
        Ok(())
    }
}

fn outputs(graph: &Graph) -> Vec<String> {
    graph.outputs().iter().map(|output| graph.name(*output).to_owned()).collect()
}

/// Which outputs become what of the state: the next value of a name, and what was added up with a gradient.
fn writes(outputs: &[String]) -> Vec<(String, String)> {
    let write = |output: &String| {
        let name = match output.strip_prefix("gradient/") {
            Some(name) => format!("accumulated/{name}"),
            None => output.strip_prefix("next/")?.to_owned(),
        };
        Some((name, output.clone()))
    };
    outputs.iter().filter_map(write).collect()
}
