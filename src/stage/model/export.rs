//! A network from its name: its graphs and weights as a folder that can be trained, evaluated and used. Must not know
//! training.

use super::{Error, load};
use crate::cancel::Cancel;
use crate::graph::net::{Config, Mode, Normalisation, build, eval_graph, infer_graph};
use crate::graph::train::{IGNORED, Recipe, Trainee};
use crate::graph::weights::{self, GRID, Line, Outcome, Report, Weights, fit, init, init_for, to_canonical};
use crate::stage::artifact::{Artifact, check_free, prepare};
use std::path::PathBuf;

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// `segmenter-vit-b-mask`, `setr-pup`, …
    pub arch: String,
    /// Number of classes, background counted.
    pub classes: usize,
    /// Height and width of the pictures.
    pub size: (usize, usize),
    /// Pictures in a step.
    pub batch: usize,
    /// Weights to begin with: safetensors, a PyTorch checkpoint, or an ONNX model.
    pub init: Option<PathBuf>,
    /// What random weights are drawn from.
    pub seed: u64,
    /// Loss, update, precision.
    pub recipe: Recipe,
    /// The learning rate of the heads, as a multiple of the others'.
    pub head_rate: f32,
    /// The share of residual branches that are dropped in the last layer; the network's own recipe unless given.
    pub drop_path: Option<f32>,
    /// The share of numbers that are dropped in Segmenter's decoder.
    pub dropout: f32,
    /// The folder.
    pub out: PathBuf,
    /// Whether a model that is there may be replaced.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What became of each tensor.
    pub lines: Vec<Line>,
    /// Trained numbers.
    pub parameters: usize,
}

impl Exported {
    /// What became of the tensors, for people.
    pub fn table(&self) -> String {
        Report(&self.lines).to_string()
    }
}

/// Builds the graphs, loads or draws the weights, and writes the folder.
pub fn export(settings: &ExportSettings, cancel: &Cancel) -> Result<Exported, Error> {
    check_free(&settings.out, settings.force)?;
    if settings.classes > usize::from(IGNORED) {
        return Err(Error::Usage(format!(
            "{} classes, and labels are bytes of which {IGNORED} is ignored: at most {IGNORED}",
            settings.classes
        )));
    }
    let mut config = Config::named(&settings.arch, settings.classes, settings.size)?;
    // mmsegmentation's recipe for Segmenter; SETR has none.
    let usual = if config.arch.is_setr() { 0.0 } else { 0.1 };
    config.drop_path = settings.drop_path.unwrap_or(usual);
    config.decoder_drop_path = config.drop_path;
    config.decoder_dropout = settings.dropout;
    let network = build(&config, Mode::Train, settings.batch)?;
    let (weights, lines) = begin(&config, &network.wanted(), settings)?;
    let normalisation = Normalisation::of(&config);
    let trainee = Trainee::of_network(network, settings.head_rate);
    let artifact = Artifact::new(&settings.arch, &trainee, &settings.recipe, Some(&normalisation));
    let parameters = artifact.parameters;
    let graphs = vec![
        ("train_step.onnx", trainee.step(&settings.recipe)?),
        ("grad.onnx", trainee.gradient(&settings.recipe, false)?),
        ("update.onnx", trainee.update(&settings.recipe)?),
        ("eval.onnx", eval_graph(&config, settings.batch)?),
        ("infer.onnx", infer_graph(&config, 1, &normalisation, &weights)?),
    ];
    prepare(&settings.out)?;
    let sidecar = vec![("infer.toml", sidecar(&settings.arch, settings.size))];
    let files = artifact.write(&settings.out, graphs, &weights, sidecar, cancel)?;
    Ok(Exported { files, lines, parameters })
}

/// The weights to begin with.
fn begin(
    config: &Config,
    wanted: &[weights::Wanted],
    settings: &ExportSettings,
) -> Result<(Weights, Vec<Line>), Error> {
    let fresh = |want: &weights::Wanted| init(init_for(&want.name, &want.dims), &want.dims, settings.seed, &want.name);
    let (mut fitted, lines) = match &settings.init {
        Some(path) => fit(&to_canonical(load(path)?.0)?, wanted, fresh)?,
        None => {
            let mut fitted = Weights::default();
            let mut lines = Vec::with_capacity(wanted.len());
            for want in wanted {
                fitted.tensors.insert(want.name.clone(), fresh(want)?);
                let outcome = Outcome::Fresh { why: "no file was given".into() };
                lines.push(Line { name: want.name.clone(), outcome, dims: want.dims.clone() });
            }
            (fitted, lines)
        }
    };
    let (rows, columns) = config.grid();
    fitted.metadata.insert(GRID.to_owned(), format!("{rows}x{columns}"));
    fitted.metadata.insert("arch".to_owned(), settings.arch.clone());
    fitted.metadata.insert("classes".to_owned(), settings.classes.to_string());
    Ok((fitted, lines))
}

/// How `selvedge cutout` feeds and reads `infer.onnx`.
fn sidecar(arch: &str, (height, width): (usize, usize)) -> String {
    format!(
        "# {arch}: bytes in, probabilities of every class out; class 0 is background.\n\
         input = \"image\"\nsize = [{width}, {height}]\nlayout = \"nhwc\"\noutput_layout = \"nchw\"\nscale = \"1\"\n\
         mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nfilter = \"bilinear\"\noutput = \"probabilities\"\n\
         activation = \"none\"\nforeground = \"not 0\"\n"
    )
}
