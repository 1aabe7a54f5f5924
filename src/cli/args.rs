//! The words of the command line. Must not act on them.

use super::data_args::{DoctorArgs, MasksCommand, ReportArgs, SampleArgs, StatsArgs};
use super::evaluate::EvaluateArgs;
use super::model_args::ModelCommand;
use super::train::TrainArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Turns fashion catalogues into cutouts, and trains the networks that do it.
#[derive(Parser, Debug)]
#[command(name = "selvedge", version, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Words that go with every command.
    #[command(flatten)]
    pub global: Global,
}

/// Words that go with every command.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// Print one JSON object on stdout when done.
    #[arg(long, global = true)]
    pub json: bool,
    /// How progress and problems are written to stderr.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub log: Log,
    /// Threads to keep busy; all that this process may use unless given.
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// An option of the stores, such as endpoint=http://localhost:9000, besides those in SELVEDGE_STORE_OPTIONS
    /// (KEY=VALUE,KEY=VALUE); see `selvedge doctor --help`.
    #[arg(long = "store-option", global = true, value_name = "KEY=VALUE")]
    pub store_options: Vec<String>,
}

/// How progress and problems are written.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Bars on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON object a line.
    Json,
    /// Problems only.
    Quiet,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a pipeline file to its end; only what is missing or changed is done.
    Run(RunArgs),
    /// Say what a run would do, stage by stage; or freeze a run for an array job.
    Plan(PlanArgs),
    /// Do one share of a frozen run, as a task of an array job.
    Work(WorkArgs),
    /// End a frozen run whose shards are all committed.
    Finish(RunRef),
    /// List runs, or show one.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Run a pipeline and try quarantined items again.
    Retry(RetryArgs),
    /// Remove old versions of tables, orphaned parts and what ended runs left behind.
    Gc(GcArgs),
    /// Judge a CSV of run-length masks row by row: tables `annotations` and `quarantine`.
    Ingest(IngestArgs),
    /// Merge the masks of each image: table `masks`.
    Merge(MergeArgs),
    /// Divide the images into train, val and test: table `splits`.
    Split(SplitArgs),
    /// Answer the questions in SQL files about the tables of a store, and hold its checks.
    Stats(StatsArgs),
    /// Write what is known of a store as one page.
    Report(ReportArgs),
    /// Train a network on masks and photos, from where it stopped.
    Train(Box<TrainArgs>),
    /// Measure a model on the masks of a split, or compare evaluated models.
    Evaluate(Box<EvaluateArgs>),
    /// Remove the background of photos.
    Cutout(CutoutArgs),
    /// List cutouts that wait for a person, and accept or reject them.
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Masks as pictures.
    #[command(subcommand)]
    Masks(MasksCommand),
    /// Build, differentiate, check, look at and convert networks.
    #[command(subcommand)]
    Model(ModelCommand),
    /// Draw a made-up dataset in the form of iMaterialist (Fashion) 2020.
    SampleData(SampleArgs),
    /// Say what works here: ONNX Runtime, GPU, cores, and a store.
    Doctor(DoctorArgs),
}

/// A pipeline file and its parameters.
#[derive(Args, Debug)]
pub struct PipelineRef {
    /// The pipeline file.
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,
    /// Give a parameter of the file another value.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// The day that {date} stands for: YYYY-MM-DD, today or yesterday by the schedule's time zone; `run` also takes A..B, one
    /// run a day. Today unless given.
    #[arg(long, value_name = "DATE")]
    pub date: Option<String>,
}

/// `run`
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineRef,
    /// With several days: go on with the next one when a run fails.
    #[arg(long)]
    pub keep_going: bool,
    /// Take up no more items than this in each stage.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// `plan`
#[derive(Args, Debug)]
pub struct PlanArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineRef,
    /// Say why a run would, or would not, do something about this item.
    #[arg(long, value_name = "ITEM", conflicts_with = "freeze")]
    pub why: Option<String>,
    /// Write the plan down as a run for `work` and `finish`, and print its URL.
    #[arg(long)]
    pub freeze: bool,
    /// Take up no more items than this in each stage.
    #[arg(long, value_name = "N", requires = "freeze")]
    pub limit: Option<u64>,
}

/// A frozen run.
#[derive(Args, Debug)]
pub struct RunRef {
    /// The run's URL, as `plan --freeze` printed it: STORE/runs/NAME.
    #[arg(long, value_name = "URL")]
    pub run: String,
}

/// `work`
#[derive(Args, Debug)]
pub struct WorkArgs {
    /// The run.
    #[command(flatten)]
    pub run: RunRef,
    /// Which share of the shards: I/N with I from 0; taken from Slurm's, Kubernetes' or AWS Batch's variables unless given.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,
}

/// `runs …`
#[derive(Subcommand, Debug)]
pub enum RunsCommand {
    /// List the runs of a store, newest last.
    List {
        /// The store.
        #[arg(value_name = "STORE")]
        store: String,
        /// No more than the newest N.
        #[arg(long, value_name = "N", default_value_t = 20)]
        last: usize,
    },
    /// Show one run.
    Show(RunRef),
}

/// `retry`
#[derive(Args, Debug)]
pub struct RetryArgs {
    /// The pipeline.
    #[command(flatten)]
    pub pipeline: PipelineRef,
    /// Only items quarantined for this reason.
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
}

/// `gc`
#[derive(Args, Debug)]
pub struct GcArgs {
    /// The store.
    #[arg(value_name = "STORE")]
    pub store: String,
    /// Versions of each table, and ended runs, that stay.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub keep: usize,
    /// Say what would go, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `ingest`
#[derive(Args, Debug)]
pub struct IngestArgs {
    /// The CSV: a path or URL; gz, zst, or a zip of one member are opened.
    #[arg(long, value_name = "FILE")]
    pub csv: String,
    /// The store for the tables.
    #[arg(long, value_name = "STORE")]
    pub out: String,
    /// The list of classes and attributes, in the form of label_descriptions.json; the public one unless given.
    #[arg(long, value_name = "FILE")]
    pub label_descriptions: Option<String>,
    /// Refuse unknown columns and quarantine rows with unknown attributes.
    #[arg(long)]
    pub strict: bool,
    /// Accept a file without rows.
    #[arg(long)]
    pub allow_empty: bool,
    /// Accept a file that ends in the middle of a row; the row is quarantined.
    #[arg(long)]
    pub allow_truncated: bool,
    /// The character between fields.
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<char>,
    /// The number of the first pixel.
    #[arg(long, value_name = "0|1")]
    pub rle_base: Option<u64>,
    /// How masks are written.
    #[arg(long, value_name = "kaggle|coco")]
    pub rle_format: Option<String>,
    /// Cut a run that reaches past the last pixel by no more than a column.
    #[arg(long)]
    pub clip: bool,
    /// Most bytes of a field.
    #[arg(long, value_name = "BYTES")]
    pub max_field_bytes: Option<u64>,
    /// Most pixels of an image.
    #[arg(long, value_name = "PIXELS")]
    pub max_pixels: Option<u64>,
}

/// `merge`
#[derive(Args, Debug)]
pub struct MergeArgs {
    /// The store that holds `annotations`.
    #[arg(long, value_name = "STORE")]
    pub annotations: String,
    /// The store for `masks`.
    #[arg(long, value_name = "STORE")]
    pub out: String,
    /// `main` (0–26), `all` (0–45), or a list such as 0,1,23.
    #[arg(long, value_name = "main|all|LIST")]
    pub classes: Option<String>,
    /// Which mask lies on top where several meet.
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// For `class-priority`: the classes from the top down, such as 23,13,0.
    #[arg(long, value_name = "LIST")]
    pub priority: Option<String>,
}

/// `split`
#[derive(Args, Debug)]
pub struct SplitArgs {
    /// The store that holds `masks`, and takes `splits`.
    #[arg(long, value_name = "STORE")]
    pub data: String,
    /// Another seed gives another split.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Shares of train, val and test.
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "0.7,0.2,0.1")]
    pub ratios: Vec<f64>,
    /// Where the photos lie, so that equal ones stay together.
    #[arg(long, value_name = "URL")]
    pub photos: Option<String>,
}

/// `cutout`
#[derive(Args, Debug)]
pub struct CutoutArgs {
    /// Files, folders and prefixes; or - for one photo from standard input.
    #[arg(value_name = "INPUT", required_unless_present = "list")]
    pub inputs: Vec<String>,
    /// A list of photos, CSV or Parquet: column url (files anywhere), or key (files below the one INPUT).
    #[arg(long = "inputs", value_name = "LIST")]
    pub list: Option<String>,
    /// The folder or prefix for the cutouts; or, for one photo, a file name that ends in .png, .webp, .jpg or .tiff.
    #[arg(long, value_name = "OUT")]
    pub out: String,
    /// `threshold`, an ONNX model with its sidecar beside it, or the folder of a trained model; a path or URL.
    #[arg(long, default_value = "threshold")]
    pub model: String,
    /// Keep only these classes, by name or channel, such as dress,skirt; what the model's sidecar calls foreground unless
    /// given.
    #[arg(long, value_name = "CLASS,…", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// How edges are treated: default, none, or changes to the default such as shrink=0.5,feather=1.
    #[arg(long, value_name = "default|none|KEY=VALUE,…", default_value = "default")]
    pub edges: String,
    /// What is made of every cutout, such as form=webp,crop=true,margin=0.03 or preset=amazon-main,name=main; may be given
    /// several times, each with a name: the folder below OUT.
    #[arg(long = "output", value_name = "KEY=VALUE,…")]
    pub outputs: Vec<String>,
    /// Where doubtful cutouts go and which ones are, such as to=DIR,min_coverage=0.05; OUT/.selvedge/review unless given.
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "")]
    pub review: String,
    /// Remove outputs whose photo is gone.
    #[arg(long)]
    pub remove_stale: bool,
    /// What an hour of a core costs, for the summary.
    #[arg(long, value_name = "PRICE")]
    pub price_per_core_hour: Option<f64>,
    /// Threads of one session of the network; as many sessions as fit are run side by side.
    #[arg(long, value_name = "N")]
    pub session_threads: Option<usize>,
    /// How outputs are called: a.jpg → a.png (stem) or a.jpg.png (full).
    #[arg(long = "name", value_name = "stem|full", default_value = "stem")]
    pub naming: String,
    /// Where the network runs: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// ONNX Runtime's library; looked for in ORT_DYLIB_PATH, ./.runtime and beside the program unless given.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Accept a model whose licence forbids commercial use.
    #[arg(long)]
    pub accept_nc: bool,
    /// Most quarantined items, as a share or a count; without it any number is allowed.
    #[arg(long, value_name = "1%|N")]
    pub max_quarantine: Option<String>,
    /// Try quarantined photos again.
    #[arg(long)]
    pub retry: bool,
    /// Take up no more photos than this.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// `review …`
#[derive(Subcommand, Debug)]
pub enum ReviewCommand {
    /// List what waits, the most doubtful first.
    #[command(
        override_usage = "selvedge review list [OPTIONS] PIPELINE.toml\n       selvedge review list [OPTIONS] --out DIR"
    )]
    List {
        /// Whose.
        #[command(flatten)]
        of: ReviewRef,
        /// Only what waits for this reason.
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// No more than this of each stage.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Move cutouts from the review place to the shop.
    #[command(
        override_usage = "selvedge review accept [OPTIONS] PIPELINE.toml KEY…\n       selvedge review accept [OPTIONS] --out DIR KEY…"
    )]
    Accept(DecideArgs),
    /// Quarantine cutouts and remove them from the review place; `retry --reason rejected` makes them again.
    #[command(
        override_usage = "selvedge review reject [OPTIONS] PIPELINE.toml KEY…\n       selvedge review reject [OPTIONS] --out DIR KEY…"
    )]
    Reject {
        /// Which.
        #[command(flatten)]
        which: DecideArgs,
        /// Why, for those who read the quarantine.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}

/// Whose cutouts: a pipeline file's, or those of a folder that `cutout` wrote.
#[derive(Args, Debug)]
pub struct ReviewRef {
    /// The pipeline file, then (of `accept` and `reject`) keys of photos; with --out only keys.
    #[arg(value_name = "PIPELINE.toml | KEY")]
    pub words: Vec<String>,
    /// The folder or prefix that `selvedge cutout --out` wrote to, in place of a pipeline file.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sets", "date", "stage"])]
    pub out: Option<String>,
    /// The stage, where the pipeline has several that make cutouts.
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// Give a parameter of the file another value.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub sets: Vec<String>,
    /// The day that {date} stands for; today (UTC) unless given.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub date: Option<String>,
}

/// `review accept|reject`
#[derive(Args, Debug)]
pub struct DecideArgs {
    /// Whose.
    #[command(flatten)]
    pub of: ReviewRef,
    /// All that wait, in place of keys.
    #[arg(long)]
    pub all: bool,
    /// With --all: only what waits for this reason.
    #[arg(long, value_name = "REASON", requires = "all")]
    pub reason: Option<String>,
}
