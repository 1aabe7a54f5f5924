//! The words of the commands that look at data, make some up, or try what is here. Must not act on them.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What `stats` and `report` ask.
#[derive(Args, Debug)]
pub struct AskArgs {
    /// The folder of questions; ./sql if there is one, else the shipped ones.
    #[arg(long, value_name = "FOLDER")]
    pub sql: Option<String>,
    /// Where the photos lie: those not known yet are decoded once, for questions about them.
    #[arg(long, value_name = "URL")]
    pub photos: Option<String>,
    /// Compare with the figures of this day (or time), besides the last ones.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub baseline: Option<String>,
    /// See the tables that wait in staging for a check to pass.
    #[arg(long)]
    pub staged: bool,
    /// A check that only warns this time, though it would block; may be given several times.
    #[arg(long, value_name = "CHECK")]
    pub accept: Vec<String>,
}

/// `stats`
#[derive(Args, Debug)]
pub struct StatsArgs {
    /// The store.
    #[arg(long, value_name = "STORE")]
    pub data: String,
    /// What to ask.
    #[command(flatten)]
    pub ask: AskArgs,
    /// Only this question or check, by the name of its file; may be given several times. Nothing is kept then.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
}

/// `report`
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The store.
    #[arg(value_name = "STORE")]
    pub data: String,
    /// What to ask.
    #[command(flatten)]
    pub ask: AskArgs,
    /// The page, a file that ends in .html or a folder for report.html; its tables go beside it as CSV.
    #[arg(long, value_name = "PLACE", default_value = "report.html")]
    pub out: String,
    /// Only this part: dataset, training, cutouts or runs; may be given several times.
    #[arg(long, value_name = "PART")]
    pub form: Vec<String>,
    /// The run that the page is about; the newest that has ended unless given.
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// The page's title.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Show it in the browser.
    #[arg(long)]
    pub open: bool,
}

/// `masks …`
#[derive(Subcommand, Debug)]
pub enum MasksCommand {
    /// Write class maps as PNG in the layout that mmsegmentation reads.
    Export {
        /// The store that holds `masks` (and `splits`).
        #[arg(long, value_name = "STORE")]
        data: String,
        /// The folder or prefix to write to.
        #[arg(long, value_name = "OUT")]
        out: String,
    },
    /// Write a picture of one image with its mask over it.
    Show {
        /// The store that holds `masks`.
        #[arg(long, value_name = "STORE")]
        data: String,
        /// The image's id.
        image: String,
        /// Where the photos lie.
        #[arg(long, value_name = "URL")]
        photos: Option<String>,
        /// The picture to write.
        #[arg(long, value_name = "FILE.png")]
        out: PathBuf,
    },
}

/// `sample-data`
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// Annotated images.
    #[arg(long, default_value_t = 24)]
    pub images: u32,
    /// Catalogue photos without a row in the CSV, with their true mattes.
    #[arg(long, default_value_t = 12)]
    pub catalog: u32,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the photos show.
    #[arg(long, value_enum, default_value_t)]
    pub scenes: Scenes,
    /// The longer side of every photo in pixels, 64 to 8192 [default: 600 to 1600, lookbook: 480].
    #[arg(long, value_name = "PIXELS")]
    pub long_side: Option<usize>,
    /// The folder to write to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// What the photos of `sample-data` show.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Scenes {
    /// People, mannequins and laid-out clothes of all 27 classes in all places.
    #[default]
    Mixed,
    /// One whole person before light paper, in clothes of ten classes.
    Lookbook,
}

/// `doctor`
#[derive(Args, Debug)]
#[command(
    after_help = "Store options: endpoint, region, account, profile, allow_http, anonymous, virtual_hosted, credentials_file, retries, timeout.\nCredentials come from the environment (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY) or a file."
)]
pub struct DoctorArgs {
    /// A store to try: writes, races and removes a few small objects.
    #[arg(long, value_name = "STORE")]
    pub store: Option<String>,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
}
