//! `selvedge evaluate`: its words, and the stage that they are for. Must not know how a model is measured.

use super::model::workbench;
use super::stages::{alone, reported};
use super::{Answer, Desk, Exit, Refusal};
use crate::event::{Level, note};
use crate::stage::evaluate::{self, Settings};
use crate::stage::measure::wish::{LookWish, ModeWord};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// How photos are shown to the network.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookWord {
    /// The whole photo within the crop: fast, and coarse.
    Whole,
    /// Windows of the crop's size over the photo, as mmsegmentation tests.
    Slide,
}

/// `evaluate`
#[derive(Args, Debug)]
pub struct EvaluateArgs {
    /// The store that holds `masks` and `splits`, and takes `models/NAME` and the table `confusion`.
    #[arg(long, value_name = "STORE", required_unless_present = "compare")]
    pub data: Option<String>,
    /// Where the photos lie.
    #[arg(long, value_name = "URL", required_unless_present = "compare")]
    pub photos: Option<String>,
    /// The model's folder.
    #[arg(long, value_name = "DIR", required_unless_present = "compare")]
    pub model: Option<String>,
    /// The name to keep figures under; the last part of the model's folder unless given.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The split whose images are looked at.
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub split: String,
    /// How photos are shown to the network.
    #[arg(long, value_enum, default_value = "slide")]
    pub mode: LookWord,
    /// From one window to the next, in pixels; 480 of 512 pixels of the crop for Segmenter, 341 for SETR, unless given.
    #[arg(long, value_name = "PIXELS")]
    pub stride: Option<u32>,
    /// The box that photos are brought into before they are slid over: longer side, shorter side.
    #[arg(long, value_name = "LONGxSHORT", default_value = "2048x512")]
    pub base: String,
    /// Look at each photo mirrored, too.
    #[arg(long)]
    pub flip: bool,
    /// Look at each photo in each of these shares of its size.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', default_value = "1")]
    pub scales: Vec<f64>,
    /// Images that become panels to look at.
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub panels: u32,
    /// Instances in the train split from which on a class counts as common.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub common: u64,
    /// Measure as well what can be had without a network.
    #[arg(long)]
    pub floors: bool,
    /// Look at no more images than this.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// Where the network runs: cpu, cuda, cuda:N or auto.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// ONNX Runtime's library.
    #[arg(long, value_name = "FILE")]
    pub runtime: Option<PathBuf>,
    /// Evaluate nothing, and show evaluated models side by side: the folders STORE/models/NAME.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["data", "photos", "model"])]
    pub compare: Vec<String>,
    /// With --compare: the folder to write comparison.txt and comparison.json to.
    #[arg(long, value_name = "OUT", requires = "compare")]
    pub out: Option<String>,
}

/// `evaluate`
pub fn evaluate(args: &EvaluateArgs, desk: &Desk) -> Result<Answer, Refusal> {
    if !args.compare.is_empty() {
        return compare(args, desk);
    }
    let (Some(data), Some(photos), Some(model)) = (&args.data, &args.photos, &args.model) else {
        return Err(Refusal::usage("evaluate takes --data, --photos and --model, or --compare"));
    };
    let base =
        args.base.split_once(['x', '×']).and_then(|(long, short)| Some((long.parse().ok()?, short.parse().ok()?)));
    let base =
        base.ok_or_else(|| Refusal::usage(format!("--base {}: write LONGxSHORT, such as 2048x512", args.base)))?;
    let settings = Settings::new(desk.store(model)?, desk.store(photos)?);
    let settings = Settings {
        name: args.name.clone().unwrap_or(settings.name),
        split: args.split.clone(),
        look: LookWish {
            mode: match args.mode {
                LookWord::Whole => ModeWord::Whole,
                LookWord::Slide => ModeWord::Slide,
            },
            stride: args.stride.map(|stride| stride as usize),
            base,
            flip: args.flip,
            scales: args.scales.clone(),
        },
        panels: args.panels as usize,
        common: args.common,
        floors: args.floors,
        limit: args.limit.map(|limit| limit as usize),
        ..settings
    };
    let context = alone(desk, desk.store(data)?, "evaluate");
    let start = Instant::now();
    let fingerprint = evaluate::fingerprint(&settings, &context)?;
    let bench = workbench(args.runtime.as_deref(), &args.device, desk)?;
    let (evaluation, report) = evaluate::run(&settings, fingerprint, &context, &bench)?;
    let answer = reported(&report, data, desk, "evaluate", start);
    let fields = json!({
        "summary": report.summary, "output": data, "artifacts": report.artifacts, "evaluation": evaluation,
    });
    Ok(Answer { text: evaluation.text(), fields, ..answer })
}

fn compare(args: &EvaluateArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let stores = args.compare.iter().map(|folder| desk.store(folder)).collect::<Result<Vec<_>, _>>()?;
    let comparison = evaluate::compare(&stores)?;
    if let Some(text) = comparison.unlike() {
        note(&desk.events, Level::Warn, text);
    }
    let (text, object) = (comparison.text(), comparison.json());
    let mut artifacts = Vec::new();
    if let Some(out) = &args.out {
        let store = desk.store(out)?;
        let json = format!("{object:#}\n");
        for (key, content) in [("comparison.txt", text.clone()), ("comparison.json", json)] {
            store.wait(store.put(key, content.into()))?;
            artifacts.push(store.child(key).url().to_owned());
        }
    }
    Ok(Answer::new(Exit::Done, text).with(json!({"comparison": object, "artifacts": artifacts})))
}
