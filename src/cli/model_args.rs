//! The words of `selvedge model`. Must not act on them.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `model …`
#[derive(Subcommand, Debug)]
pub enum ModelCommand {
    /// Build a network and write its graphs and weights into a folder.
    Export(ExportArgs),
    /// Make a training step of a forward graph from anywhere.
    Differentiate(DifferentiateArgs),
    /// Say what a graph, a file of weights or an exported model holds: inputs, parameters, operators, FLOPs, memory.
    Inspect(InspectArgs),
    /// Bring weights into another file format, or other names.
    Convert(ConvertArgs),
    /// Get weights by name or URL, checked by their SHA-256.
    Fetch(FetchArgs),
    /// Time the training step of an exported model here, on random pictures; or how a model cuts out, by sessions and threads.
    Bench(BenchArgs),
    /// Make a model compute with bytes, by ranges from your photos; refused when its maps differ too much.
    Quantize(QuantizeArgs),
    /// Compute a file of golden numbers anew and compare every tensor.
    CheckGolden(CheckGoldenArgs),
    /// Differentiate a graph and compare loss, gradients and running statistics with a file of numbers.
    CheckExported(CheckExportedArgs),
}

/// In which numbers matrix products are computed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrecisionWord {
    /// 32-bit floats.
    Fp32,
    /// bf16 products, 32-bit weights; for GPUs.
    Bf16,
    /// bf16's numbers by 32-bit products, to compare on the processor.
    Bf16Emulated,
    /// 16-bit floats with a loss scale; for GPUs.
    Fp16,
}

/// How weights follow their gradients.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimiserWord {
    /// Descent with momentum.
    Sgd,
    /// Adam with decoupled weight decay.
    Adamw,
}

/// What of the forward pass is computed again on the way back instead of being kept.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecomputeWord {
    /// Nothing: the fastest.
    None,
    /// The weights of attention: about 35 % less memory for 10 % more time.
    Attention,
    /// Whole blocks of the encoder: about 68 % less memory for 25 % more time.
    Blocks,
}

/// What the sum of the loss is divided by.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelsWord {
    /// All pixels, ignored ones too, as in mmsegmentation.
    All,
    /// Those with a label, as in PyTorch; with class weights, the sum of their weights.
    Valid,
}

/// Loss and update.
#[derive(Args, Debug, Clone)]
pub struct RecipeArgs {
    /// The numbers of matrix products.
    #[arg(long, value_enum, default_value = "fp32")]
    pub precision: PrecisionWord,
    /// What is computed again on the way back, so that memory is saved.
    #[arg(long, value_enum, default_value = "none")]
    pub recompute: RecomputeWord,
    /// A weight for each class.
    #[arg(long, value_name = "W,W,…", value_delimiter = ',')]
    pub class_weights: Option<Vec<f32>>,
    /// How weights follow their gradients.
    #[arg(long, value_enum, default_value = "sgd")]
    pub optimiser: OptimiserWord,
    /// Momentum of the descent; 0 for none.
    #[arg(long, default_value_t = 0.9)]
    pub momentum: f32,
    /// Weight decay; none in descent and 0.01 in AdamW unless given.
    #[arg(long)]
    pub weight_decay: Option<f32>,
    /// Look ahead as Nesterov does.
    #[arg(long)]
    pub nesterov: bool,
}

/// `model export`
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// segmenter-vit-{t,s,b,l}-{mask,linear} or setr-{naive,pup,mla}; /8 behind it for patches of 8 pixels.
    #[arg(long)]
    pub arch: String,
    /// Classes, background counted.
    #[arg(long, default_value_t = 28)]
    pub classes: usize,
    /// Height and width of the pictures.
    #[arg(long, value_name = "HxW", default_value = "512x512")]
    pub size: String,
    /// Pictures in a step.
    #[arg(long, default_value_t = 2)]
    pub batch: usize,
    /// Weights to begin with: safetensors, a PyTorch checkpoint or an ONNX model, by any of the known names. Random ones
    /// unless given.
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Another seed draws other weights.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Pixels that the loss is divided by.
    #[arg(long, value_enum, default_value = "all")]
    pub loss_over: PixelsWord,
    /// Loss and update.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Learning rate of the heads, as a multiple of the others'.
    #[arg(long, default_value_t = 1.0)]
    pub head_rate: f32,
    /// Share of residual branches dropped in the last layer; 0.1 in Segmenter and 0 in SETR unless given.
    #[arg(long)]
    pub drop_path: Option<f32>,
    /// Share of numbers dropped in Segmenter's decoder.
    #[arg(long, default_value_t = 0.0)]
    pub dropout: f32,
    /// The folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a model that is there.
    #[arg(long)]
    pub force: bool,
}

/// The losses that can be put on a graph.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossWord {
    /// Pixel by pixel, label 255 ignored.
    CrossEntropy,
}

/// `model differentiate`
#[derive(Args, Debug)]
pub struct DifferentiateArgs {
    /// The graph: one picture in, logits [batch, classes, height, width] out.
    #[arg(value_name = "FORWARD.onnx")]
    pub graph: PathBuf,
    /// The loss.
    #[arg(long, value_enum, default_value = "cross-entropy")]
    pub loss: LossWord,
    /// An output with logits and the share of its loss; the first output unless given. May be repeated.
    #[arg(long = "output", value_name = "NAME[=SHARE]")]
    pub outputs: Vec<String>,
    /// Pixels that the loss is divided by.
    #[arg(long, value_enum, default_value = "valid")]
    pub loss_over: PixelsWord,
    /// Loss and update.
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// The length of an axis that the file leaves open. May be repeated.
    #[arg(long = "length", value_name = "NAME=N")]
    pub lengths: Vec<String>,
    /// Weights whose names begin so are not trained. May be repeated.
    #[arg(long, value_name = "PREFIX")]
    pub frozen: Vec<String>,
    /// The folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace a model that is there.
    #[arg(long)]
    pub force: bool,
}

/// `model bench`
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// The folder of an exported model, whose training step is timed; or an ONNX model that `cutout` can run.
    #[arg(value_name = "DIR|MODEL.onnx")]
    pub model: PathBuf,
    /// Measured steps; two more go before.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Where it runs: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Count the nodes of each execution provider; takes one run more.
    #[arg(long)]
    pub nodes: bool,
    /// Let a GPU shorten 32-bit products to TF32.
    #[arg(long)]
    pub tf32: bool,
    /// Replay the step as a CUDA graph.
    #[arg(long)]
    pub cuda_graph: bool,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

/// `model check-golden`
#[derive(Args, Debug)]
pub struct CheckGoldenArgs {
    /// Golden numbers, safetensors.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write what was computed here, under the same names.
    #[arg(long, value_name = "OUT.safetensors")]
    pub dump: Option<PathBuf>,
    /// Where it runs: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

/// `model check-exported`
#[derive(Args, Debug)]
pub struct CheckExportedArgs {
    /// The forward graph.
    #[arg(value_name = "GRAPH.onnx")]
    pub graph: PathBuf,
    /// Its numbers, safetensors.
    #[arg(value_name = "NUMBERS.safetensors")]
    pub numbers: PathBuf,
    /// Write what was computed here, under the same names.
    #[arg(long, value_name = "OUT.safetensors")]
    pub dump: Option<PathBuf>,
    /// Where it runs: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}

/// `model inspect`
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// An ONNX file, a file of weights, or the folder of an exported model.
    #[arg(value_name = "FILE|DIR")]
    pub path: PathBuf,
    /// The length of an axis that a graph leaves open. May be repeated.
    #[arg(long = "length", value_name = "NAME=N")]
    pub lengths: Vec<String>,
}

/// `model convert`
#[derive(Args, Debug)]
pub struct ConvertArgs {
    /// Safetensors, a PyTorch checkpoint, or an ONNX model with its weights.
    #[arg(value_name = "FROM")]
    pub from: PathBuf,
    /// The file to write: .safetensors or .pth.
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// Whose names the tensors shall bear: mmseg, segmenter, timm or keep.
    #[arg(long, default_value = "keep")]
    pub names: String,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
}

/// `model fetch`
#[derive(Args, Debug)]
pub struct FetchArgs {
    /// A known name, or a location of any store; without one, the known names are listed.
    #[arg(value_name = "NAME|URL")]
    pub what: Option<String>,
    /// The file's SHA-256, 64 hexadecimal digits. Not needed where the file's name ends with the beginning of it.
    #[arg(long, value_name = "DIGITS")]
    pub sha256: Option<String>,
    /// The licence was read and is accepted; it is shown without this.
    #[arg(long)]
    pub accept_licence: bool,
    /// The file or folder to write to.
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub out: PathBuf,
    /// Replace another file that is there.
    #[arg(long)]
    pub force: bool,
}

/// How ranges of activations are chosen.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodWord {
    /// All but the outermost ten-thousandth.
    Percentile,
    /// The range that loses the least information.
    Entropy,
    /// From the least to the greatest.
    Minmax,
}

/// `model quantize`
#[derive(Args, Debug)]
pub struct QuantizeArgs {
    /// Any model that `cutout` can run, with its sidecar.
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Photos of the kind that will be cut out: files, folders, prefixes. May be repeated.
    #[arg(long, value_name = "DIR|URL", required = true, num_args = 1..)]
    pub photos: Vec<String>,
    /// The model to write; a sidecar and a report are put beside it.
    #[arg(long, value_name = "FILE.onnx")]
    pub out: PathBuf,
    /// Photos to calibrate with, spread over what there is.
    #[arg(long, default_value_t = 64)]
    pub images: usize,
    /// Photos to judge by, which ranges are not taken from.
    #[arg(long, default_value_t = 16)]
    pub holdout: usize,
    /// The IoU of foreground with the model in floats that the mean and the worst tenth of the photos must reach.
    #[arg(long, default_value_t = 0.98)]
    pub min_iou: f64,
    /// How ranges are chosen.
    #[arg(long, value_enum, default_value = "percentile")]
    pub method: MethodWord,
    /// Nodes that stay in floats, by name.
    #[arg(long, value_name = "NODE,…", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Weights of 7 bits, for processors without VNNI, whose sums of bytes overflow.
    #[arg(long)]
    pub reduce_range: bool,
    /// Where it runs: the processor, for which it is quantised.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Replace files that are there.
    #[arg(long)]
    pub force: bool,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}
