//! A network from its name: its graphs, and weights to begin with. Must not know where they are kept.

use super::Artifact;
use crate::cancel::Cancel;
use crate::graph::Graph;
use crate::graph::net::{Config, Mode, Normalisation, build, eval_graph, infer_graph};
use crate::graph::train::{IGNORED, Recipe, Trainee};
use crate::graph::weights::{self, GRID, Line, Outcome, Start, Weights, fit, init, to_canonical};
use crate::stage::{Error, check};
use crate::table::labels::value_name;
use std::path::{Path, PathBuf};

/// What to build.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// `segmenter-vit-b-mask`, `setr-pup`, …
    pub arch: String,
    /// Number of classes, background counted.
    pub classes: usize,
    /// Height and width of the pictures.
    pub size: (usize, usize),
    /// Pictures in a step.
    pub batch: usize,
    /// What random weights are drawn from.
    pub seed: u64,
    /// How they are drawn.
    pub start: Start,
    /// Loss, update, precision.
    pub recipe: Recipe,
    /// The learning rate of the heads, as a multiple of the others'.
    pub head_rate: f32,
    /// The share of residual branches that are dropped in the last layer; the network's own recipe unless given.
    pub drop_path: Option<f32>,
    /// The share of numbers that are dropped in Segmenter's decoder.
    pub dropout: f32,
}

/// A network with everything that its graphs are made from.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its description; files come with [`Network::write`].
    pub artifact: Artifact,
    /// Its training form.
    pub trainee: Trainee,
    /// How it is trained.
    pub recipe: Recipe,
    /// Mean and deviation of its pictures.
    pub normalisation: Normalisation,
    config: Config,
    wanted: Vec<weights::Wanted>,
    seed: u64,
    start: Start,
}

impl Network {
    /// Builds it.
    pub fn make(settings: &NetworkSettings) -> Result<Self, Error> {
        let NetworkSettings { arch, classes, size, batch, seed, start, recipe, head_rate, drop_path, dropout } =
            settings;
        if *classes > usize::from(IGNORED) {
            return Err(Error::Usage(format!(
                "{classes} classes, and labels are bytes of which {IGNORED} is ignored: at most {IGNORED}"
            )));
        }
        let mut config = Config::named(arch, *classes, *size)?;
        // mmsegmentation's recipe for Segmenter; SETR has none.
        let usual = if config.arch.is_setr() { 0.0 } else { 0.1 };
        config.drop_path = drop_path.unwrap_or(usual);
        config.decoder_drop_path = config.drop_path;
        config.decoder_dropout = *dropout;
        let network = build(&config, Mode::Train, *batch)?;
        let wanted = network.wanted();
        let normalisation = Normalisation::of(&config);
        let trainee = Trainee::of_network(network, *head_rate);
        let artifact = Artifact::new(arch, &trainee, recipe, Some(&normalisation));
        Ok(Self {
            artifact,
            trainee,
            recipe: recipe.clone(),
            normalisation,
            config,
            wanted,
            seed: *seed,
            start: *start,
        })
    }

    /// The weights to begin with: those of `given`, by any of the known names, where they fit, and random ones elsewhere.
    /// Says what became of each tensor.
    pub fn begin(&self, given: Option<Weights>) -> Result<(Weights, Vec<Line>), Error> {
        let fresh = |want: &weights::Wanted| {
            let rule = self.start.rule(&want.name, &want.dims, self.config.grid().1);
            init(rule, &want.dims, self.seed, &want.name)
        };
        let (mut fitted, lines) = match given {
            Some(weights) => fit(&to_canonical(weights)?, &self.wanted, fresh)?,
            None => {
                let mut fitted = Weights::default();
                let mut lines = Vec::with_capacity(self.wanted.len());
                for want in &self.wanted {
                    fitted.tensors.insert(want.name.clone(), fresh(want)?);
                    let outcome = Outcome::Fresh { why: "no file was given".into() };
                    lines.push(Line { name: want.name.clone(), outcome, dims: want.dims.clone() });
                }
                (fitted, lines)
            }
        };
        self.describe(&mut fitted);
        Ok((fitted, lines))
    }

    /// What a file of weights says of itself, so that another network can take them over.
    pub fn describe(&self, weights: &mut Weights) {
        let (rows, columns) = self.config.grid();
        weights.metadata.insert(GRID.to_owned(), format!("{rows}x{columns}"));
        weights.metadata.insert("arch".to_owned(), self.artifact.model.clone());
        weights.metadata.insert("classes".to_owned(), self.artifact.classes.to_string());
    }

    /// The graph of logits, of some pictures at a time.
    pub fn eval(&self, batch: usize) -> Result<Graph, Error> {
        Ok(eval_graph(&self.config, batch)?)
    }

    /// Writes everything into a folder that is there, the description last. Gives the paths.
    pub fn write(&self, folder: &Path, weights: &Weights, cancel: &Cancel) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for name in ["train_step.onnx", "grad.onnx", "update.onnx", "eval.onnx"] {
            check(cancel)?;
            let graph = match name {
                "train_step.onnx" => self.trainee.step(&self.recipe)?,
                "grad.onnx" => self.trainee.gradient(&self.recipe, false)?,
                "update.onnx" => self.trainee.update(&self.recipe)?,
                _ => self.eval(self.artifact.batch)?,
            };
            files.extend(self.artifact.write_graph(folder, name, graph)?);
        }
        let graph = infer_graph(&self.config, 1, &self.normalisation, weights)?;
        files.extend(self.artifact.write_infer(folder, graph)?);
        self.artifact.clone().seal(folder, files, weights, cancel)
    }
}

impl Artifact {
    /// Writes the graph that cuts out, weights inside, and its sidecar. Gives their names.
    pub fn write_infer(&self, folder: &Path, graph: Graph) -> Result<Vec<String>, Error> {
        let mut files = self.write_graph(folder, "infer.onnx", graph)?;
        super::put(&folder.join("infer.toml"), &sidecar(&self.model, self.size, self.classes))?;
        files.push("infer.toml".to_owned());
        Ok(files)
    }
}

/// How `selvedge cutout` feeds and reads `infer.onnx`: photos keep their shape, as in training, and the probabilities of all
/// garments are added up.
fn sidecar(arch: &str, [height, width]: [usize; 2], classes: usize) -> String {
    let names: Vec<String> = (0..classes).map(|class| format!("{:?}", value_name(class as u8))).collect();
    format!(
        "# {arch}: bytes in, probabilities of every class out; class 0 is background.\n\
         # foreground = [\"dress\", \"skirt\"] keeps these alone.\n\
         input = \"image\"\nsize = [{width}, {height}]\nlayout = \"nhwc\"\noutput_layout = \"nchw\"\nscale = \"1\"\n\
         mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nresize = \"letterbox\"\npad = 127\nfilter = \"bilinear\"\n\
         output = \"probabilities\"\nactivation = \"none\"\nsum = true\nforeground = \"not 0\"\n\
         licence = \"yours, within the terms of its data and of the weights that it began with\"\n\
         classes = [{}]\n",
        names.join(", ")
    )
}
