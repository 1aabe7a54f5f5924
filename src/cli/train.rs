//! `selvedge train`. Must not know how training works.

use super::{Answer, Desk, Refusal, stages};
use crate::pipeline::{ComputeOn, InitFrom, Kind, Network, Training, network, words};
use crate::stage::measure::wish::LookWish;
use crate::stage::train::{Length, Settings, Validation};
use clap::Args;
use std::path::PathBuf;

/// `train`
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// The store that holds `masks` and `splits`.
    #[arg(long, value_name = "STORE")]
    data: String,
    /// Where the photos lie.
    #[arg(long, value_name = "URL")]
    photos: String,
    /// An exported model, whose graphs are run as they are.
    #[arg(long, value_name = "DIR", required_unless_present = "arch", conflicts_with = "arch")]
    model: Option<String>,
    /// A network built anew: segmenter-vit-{xs,t,s,b,l}-{mask,linear}, setr-{naive,pup,mla} or setr-xs-{naive,pup,mla}; /8 or
    /// /4 behind it for smaller patches.
    #[arg(long)]
    arch: Option<String>,
    /// The store for checkpoints, history and the model; that of the data unless given.
    #[arg(long, value_name = "STORE")]
    out: Option<String>,
    /// What the model is called there: models/NAME.
    #[arg(long, default_value = "model")]
    name: String,
    /// So often over all images.
    #[arg(long, conflicts_with = "steps", default_value_t = 15)]
    epochs: u64,
    /// So many steps.
    #[arg(long)]
    steps: Option<u64>,
    /// Batches whose gradients are added up to a step.
    #[arg(long, default_value_t = 1)]
    passes: usize,
    /// The first learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// The last learning rate.
    #[arg(long, default_value_t = 1e-4)]
    floor: f64,
    /// The power of the decay.
    #[arg(long, default_value_t = 0.9)]
    power: f64,
    /// Steps in which the rate comes up from nothing.
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Images that show a class which less than this share of the images shows come more often; 0 for none.
    #[arg(long, default_value_t = 0.0)]
    oversample: f64,
    /// Change colours at random.
    #[arg(long)]
    distort: bool,
    /// The box that a photo is resized into: longer and shorter side.
    #[arg(long, value_name = "LONGxSHORT", default_value = "2048x512")]
    scale: String,
    /// Lowest and highest ratio of that size.
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', default_value = "0.5,2")]
    ratio: Vec<f64>,
    /// What order, samples, draws and random weights depend on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Epochs from one validation on the split `val` to the next; 0 for none.
    #[arg(long, default_value_t = 1)]
    validate_every: u64,
    /// Validate on no more images than this.
    #[arg(long, value_name = "N")]
    validate_images: Option<usize>,
    /// How validation looks at photos: whole, or slide.
    #[arg(long, value_name = "whole|slide", default_value = "slide")]
    look: String,
    /// Pixels from one window to the next, for slide.
    #[arg(long)]
    stride: Option<usize>,
    /// Steps between checkpoints within an epoch.
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u64>,
    /// Keep photos shrunk in this folder from the first epoch on.
    #[arg(long, value_name = "DIR")]
    cache: Option<String>,
    /// Bytes that may be added to the cache.
    #[arg(long, value_name = "BYTES")]
    cache_bytes: Option<u64>,
    /// Threads that make batches; by the machine unless given.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Train on no more images than this.
    #[arg(long, value_name = "N")]
    images: Option<usize>,
    /// Keep so many batches as safetensors beside the model, to train on the same ones elsewhere.
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep_batches: u64,
    /// With --arch: classes, background counted.
    #[arg(long, default_value_t = 28)]
    classes: usize,
    /// With --arch: height and width of the pictures.
    #[arg(long, value_name = "HxW", default_value = "512x512")]
    size: String,
    /// With --arch: pictures in a step, over all passes.
    #[arg(long, default_value_t = 2)]
    batch: usize,
    /// With --arch: how random weights are drawn, published (as mmsegmentation does) or fan-in (for small networks).
    #[arg(long, default_value = "published")]
    start: String,
    /// With --arch: weights to begin with, a file, a URL or a name that `model fetch` knows; random ones unless given.
    #[arg(long, value_name = "FILE|URL|NAME")]
    init: Option<String>,
    /// The SHA-256 of weights that are fetched.
    #[arg(long, value_name = "HEX", requires = "init")]
    init_sha256: Option<String>,
    /// The licence of weights that are fetched is accepted.
    #[arg(long, requires = "init")]
    accept_licence: bool,
    /// With --arch: none, inverse, median-frequency or effective-number.
    #[arg(long, value_name = "HOW", default_value = "none")]
    class_weights: String,
    /// β of effective-number.
    #[arg(long)]
    beta: Option<f64>,
    /// With --arch: sgd or adamw, with the usual settings.
    #[arg(long, default_value = "sgd")]
    optimiser: String,
    /// With --arch: fp32, bf16, bf16-emulated or fp16.
    #[arg(long, default_value = "fp32")]
    precision: String,
    /// With --arch: none, attention or blocks are computed again on the way back.
    #[arg(long, default_value = "none")]
    recompute: String,
    /// With --arch: learning rate of the heads, as a multiple of the others'.
    #[arg(long, default_value_t = 1.0)]
    head_rate: f32,
    /// With --arch: share of residual branches dropped in the last layer.
    #[arg(long)]
    drop_path: Option<f32>,
    /// What joins the processes that train together, one started for each rank: none, mpi (mpiexec, srun) or nccl (one GPU
    /// each, RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set as torchrun does).
    #[arg(long, default_value = "none")]
    ranks: String,
    /// Where it is computed: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "auto")]
    device: String,
    /// ONNX Runtime's library; looked for in ORT_DYLIB_PATH, ./.runtime and beside the program unless given.
    #[arg(long, value_name = "FILE")]
    runtime: Option<PathBuf>,
    /// Let a GPU shorten 32-bit products to TF32.
    #[arg(long)]
    tf32: bool,
    /// Replay each step as a CUDA graph.
    #[arg(long)]
    cuda_graph: bool,
}

/// `train`
pub fn train(args: &TrainArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let kind = Kind::Train(Box::new(training(args, desk).map_err(Refusal::usage)?));
    stages::make(&kind, desk.store(args.out.as_ref().unwrap_or(&args.data))?, desk)
}

fn training(args: &TrainArgs, desk: &Desk) -> Result<Training, String> {
    let mut settings = Settings::new(&args.name);
    settings.length = args.steps.map_or(Length::Epochs(args.epochs), Length::Steps);
    settings.passes = args.passes.max(1);
    settings.rates.start = args.rate;
    settings.rates.floor = args.floor;
    settings.rates.power = args.power;
    settings.rates.warm_up = args.warm_up;
    settings.oversample = args.oversample;
    settings.augmentation.distort = args.distort;
    settings.augmentation.scale = sides("--scale", &args.scale)?;
    settings.augmentation.ratio = match args.ratio.as_slice() {
        [low, high] => (*low, *high),
        _ => return Err("--ratio takes two numbers, such as 0.5,2".to_owned()),
    };
    settings.seed = args.seed;
    let mode = words::look(&args.look).map_err(|error| format!("--look: {error}"))?;
    let look = LookWish { mode, stride: args.stride, ..LookWish::default() };
    let (every, images) = (args.validate_every, args.validate_images);
    settings.validation = (every > 0).then_some(Validation { look, every, images });
    settings.checkpoint_steps = args.checkpoint_steps.filter(|steps| *steps > 0);
    settings.cache_bytes = args.cache_bytes.unwrap_or(settings.cache_bytes);
    settings.workers = args.workers;
    settings.images = args.images;
    settings.keep_batches = args.keep_batches;
    let network = match (&args.model, &args.arch) {
        (Some(folder), _) => Network::Folder(folder.clone()),
        (None, arch) => named(args, arch.as_deref().unwrap_or_default())?,
    };
    let init = args.init.as_ref().map(|location| InitFrom {
        location: location.clone(),
        sha256: args.init_sha256.clone(),
        accept: args.accept_licence,
    });
    let device = args.device.parse().map_err(|error: crate::runtime::Error| format!("--device: {error}"))?;
    Ok(Training {
        settings,
        network,
        init,
        data: args.out.as_ref().filter(|out| **out != args.data).map(|_| args.data.clone()),
        photos: args.photos.clone(),
        cache: args.cache.clone(),
        ranks: args.ranks.parse().map_err(|error: crate::collective::Error| format!("--ranks: {error}"))?,
        place: ComputeOn { device, runtime: args.runtime.clone(), tf32: args.tf32, cuda_graph: args.cuda_graph },
        options: desk.options.clone(),
    })
}

fn named(args: &TrainArgs, arch: &str) -> Result<Network, String> {
    let mut network = network(arch);
    let (height, width) = sides("--size", &args.size)?;
    network.classes = args.classes;
    network.size = (height as usize, width as usize);
    network.batch = args.batch;
    network.seed = args.seed;
    network.start = words::start(&args.start).map_err(|error| format!("--start: {error}"))?;
    network.head_rate = args.head_rate;
    network.drop_path = args.drop_path;
    network.recipe.optimiser = words::optimiser(&args.optimiser).map_err(|error| format!("--optimiser: {error}"))?;
    network.recipe.precision = words::precision(&args.precision).map_err(|error| format!("--precision: {error}"))?;
    network.recipe.recompute = words::recompute(&args.recompute).map_err(|error| format!("--recompute: {error}"))?;
    let balance = words::balance(Some(&args.class_weights), args.beta);
    Ok(Network::Named(Box::new(network), balance.map_err(|error| format!("--class-weights: {error}"))?))
}

/// `512x384`, two sides in pixels.
fn sides(flag: &str, text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once('x').and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    sides.ok_or_else(|| format!("{flag} {text}: write two numbers of pixels, such as 512x512"))
}
