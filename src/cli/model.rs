//! The commands of `selvedge model`. Must not know how a graph is made.

use super::model_args::{
    BenchArgs, CheckExportedArgs, CheckGoldenArgs, ConvertArgs, DifferentiateArgs, ExportArgs, FetchArgs, InspectArgs,
    LossWord, MethodWord, ModelCommand, OptimiserWord, PixelsWord, PrecisionWord, QuantizeArgs, RecipeArgs,
    RecomputeWord,
};
use super::{Answer, Desk, Exit, Refusal};
use crate::graph::quantise::Method;
use crate::graph::train::{AdamW, CrossEntropy, Denominator, Optimiser, Precision, Recipe, Recompute, Sgd};
use crate::graph::weights::{Start, Weights, write_safetensors};
use crate::runtime::{self, Runtime};
use crate::stage;
use crate::stage::artifact::NetworkSettings;
use crate::stage::bench::Bench;
use crate::stage::model::compare::Verdict;
use crate::stage::model::convert::{ConvertSettings, convert, naming};
use crate::stage::model::differentiate::{DifferentiateSettings, differentiate};
use crate::stage::model::export::{ExportSettings, export};
use crate::stage::model::fetch::{FetchSettings, fetch};
use crate::stage::model::inspect::{InspectSettings, inspect};
use crate::stage::model::known::KNOWN;
use crate::stage::model::quantize::{QuantizeSettings, quantize};
use crate::stage::model::{bench, exported, golden};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `model …`
pub fn model(command: &ModelCommand, desk: &Desk) -> Result<Answer, Refusal> {
    match command {
        ModelCommand::Export(args) => export_network(args, desk),
        ModelCommand::Differentiate(args) => differentiate_graph(args, desk),
        ModelCommand::Inspect(args) => look(args),
        ModelCommand::Convert(args) => convert_weights(args),
        ModelCommand::Fetch(args) => fetch_weights(args, desk),
        ModelCommand::Bench(args) => time(args, desk),
        ModelCommand::Quantize(args) => quantize_model(args, desk),
        ModelCommand::CheckGolden(args) => check_golden(args, desk),
        ModelCommand::CheckExported(args) => check_exported(args, desk),
    }
}

fn recipe(args: &RecipeArgs, over: PixelsWord) -> Recipe {
    Recipe {
        loss: CrossEntropy {
            denominator: match over {
                PixelsWord::All => Denominator::All,
                PixelsWord::Valid => Denominator::Valid,
            },
            class_weights: args.class_weights.clone(),
        },
        optimiser: match args.optimiser {
            OptimiserWord::Sgd => Optimiser::Sgd(Sgd {
                momentum: args.momentum,
                weight_decay: args.weight_decay.unwrap_or(0.0),
                nesterov: args.nesterov,
            }),
            OptimiserWord::Adamw => {
                let usual = AdamW::default();
                Optimiser::AdamW(AdamW { weight_decay: args.weight_decay.unwrap_or(usual.weight_decay), ..usual })
            }
        },
        recompute: match args.recompute {
            RecomputeWord::None => Recompute::None,
            RecomputeWord::Attention => Recompute::Attention,
            RecomputeWord::Blocks => Recompute::Blocks,
        },
        precision: match args.precision {
            PrecisionWord::Fp32 => Precision::F32,
            PrecisionWord::Bf16 => Precision::Bf16,
            PrecisionWord::Bf16Emulated => Precision::Bf16Emulated,
            PrecisionWord::Fp16 => Precision::F16,
        },
    }
}

/// `512x384`: height, then width.
fn size(text: &str) -> Result<(usize, usize), Refusal> {
    let parts = text.split_once(['x', '×']).and_then(|(h, w)| Some((h.parse().ok()?, w.parse().ok()?)));
    parts.ok_or_else(|| Refusal::usage(format!("--size {text}: write HEIGHTxWIDTH, such as 512x512")))
}

fn pair<T: FromStr>(flag: &str, text: &str) -> Result<(String, T), Refusal> {
    let parts = text.rsplit_once('=').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
    parts.ok_or_else(|| Refusal::usage(format!("{flag} {text}: write NAME=NUMBER")))
}

fn listed(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

fn export_network(args: &ExportArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let network = NetworkSettings {
        arch: args.arch.clone(),
        classes: args.classes,
        size: size(&args.size)?,
        batch: args.batch,
        seed: args.seed,
        start: Start::Published,
        recipe: recipe(&args.recipe, args.loss_over),
        head_rate: args.head_rate,
        drop_path: args.drop_path,
        dropout: args.dropout,
    };
    let settings = ExportSettings { network, init: args.init.clone(), out: args.out.clone(), force: args.force };
    let exported = export(&settings, &desk.cancel)?;
    let table = match args.init {
        Some(_) => exported.table(),
        None => format!("all weights drawn from seed {}", args.seed),
    };
    let text = format!("{} trained numbers\n{}\n{}", exported.parameters, table.trim_end(), args.out.display());
    let fields = json!({
        "output": args.out, "artifacts": listed(&exported.files), "parameters": exported.parameters,
        "weights": exported.lines,
    });
    Ok(Answer::new(Exit::Done, text).with(fields))
}

fn differentiate_graph(args: &DifferentiateArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let LossWord::CrossEntropy = args.loss;
    let outputs = args.outputs.iter().map(|text| match text.contains('=') {
        true => pair::<f32>("--output", text),
        false => Ok((text.clone(), 1.0)),
    });
    let settings = DifferentiateSettings {
        outputs: outputs.collect::<Result<_, _>>()?,
        recipe: recipe(&args.recipe, args.loss_over),
        lengths: args.lengths.iter().map(|text| pair::<usize>("--length", text)).collect::<Result<_, _>>()?,
        frozen: args.frozen.clone(),
        out: args.out.clone(),
        force: args.force,
    };
    let made = differentiate(&args.graph, &settings, &desk.cancel)?;
    let mut lines = made.notes.clone();
    lines.push(format!("{} trained tensors, {} numbers", made.tensors, made.parameters));
    lines.push(args.out.display().to_string());
    let fields = json!({
        "output": args.out, "artifacts": listed(&made.files), "parameters": made.parameters, "notes": made.notes,
    });
    Ok(Answer::new(Exit::Done, lines.join("\n")).with(fields))
}

fn look(args: &InspectArgs) -> Result<Answer, Refusal> {
    let lengths = args.lengths.iter().map(|text| pair::<usize>("--length", text)).collect::<Result<_, _>>()?;
    let found = inspect(&args.path, &InspectSettings { lengths })?;
    Ok(Answer::new(Exit::Done, found.to_string()).with(json!({"inspection": found})))
}

fn convert_weights(args: &ConvertArgs) -> Result<Answer, Refusal> {
    let settings = ConvertSettings { naming: naming(&args.names)?, force: args.force };
    let converted = convert(&args.from, &args.to, &settings)?;
    let fields = json!({"output": args.to, "converted": converted});
    Ok(Answer::new(Exit::Done, converted.to_string()).with(fields))
}

fn fetch_weights(args: &FetchArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let Some(what) = &args.what else {
        let lines: Vec<String> = KNOWN.iter().map(|known| format!("{:<28} {}", known.name, known.url())).collect();
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        return Ok(Answer::new(Exit::Done, lines.join("\n")).with(json!({"known": names})));
    };
    let settings = FetchSettings {
        to: args.out.clone(),
        sha256: args.sha256.clone(),
        accept: args.accept_licence,
        force: args.force,
        options: desk.options.clone(),
        handle: desk.handle.clone(),
        events: desk.events.clone(),
        cancel: desk.cancel.clone(),
    };
    let fetched = fetch(what, &settings)?;
    let fields = json!({"output": fetched.path, "fetched": fetched});
    Ok(Answer::new(Exit::Done, fetched.to_string()).with(fields))
}

pub(super) fn workbench(flag: Option<&Path>, device: &str, desk: &Desk) -> Result<Bench, Refusal> {
    let environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let library = runtime::locate(flag, environment.as_deref()).map_err(stage::Error::from)?;
    let runtime = Runtime::load(&library).map_err(stage::Error::from)?;
    let device = device.parse().map_err(stage::Error::from)?;
    Ok(Bench { runtime, threads: desk.threads, device, tf32: false, cuda_graph: false })
}

fn quantize_model(args: &QuantizeArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let place = workbench(args.runtime.as_deref(), &args.device, desk)?;
    let settings = QuantizeSettings {
        photos: args.photos.clone(),
        out: args.out.clone(),
        images: args.images,
        holdout: args.holdout,
        min_iou: args.min_iou,
        method: match args.method {
            MethodWord::Percentile => Method::Percentile,
            MethodWord::Entropy => Method::Entropy,
            MethodWord::Minmax => Method::MinMax,
        },
        exclude: args.exclude.clone(),
        reduced: args.reduce_range,
        force: args.force,
        options: desk.options.clone(),
        handle: desk.handle.clone(),
        events: desk.events.clone(),
    };
    let made = quantize(&args.model, &settings, &place, &desk.cancel)?;
    let fields = json!({"output": args.out, "quantized": made});
    Ok(Answer::new(Exit::Done, made.to_string()).with(fields))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn time(args: &BenchArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let place = workbench(args.runtime.as_deref(), &args.device, desk)?;
    let place = Bench { tf32: args.tf32, cuda_graph: args.cuda_graph, ..place };
    if args.model.is_file() {
        return divide(args, &place, desk);
    }
    let timing = bench::bench(&args.model, &place, args.steps as usize, args.nodes, &desk.cancel)?;
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let mut lines = vec![
        format!("step of {} on {}, {} threads", timing.batch, timing.device, desk.threads),
        format!("wall {:.1} ms (least {:.1})", median(&timing.wall_ms), least(&timing.wall_ms)),
    ];
    if !timing.cpu_ms.is_empty() {
        lines.push(format!("cpu  {:.1} ms (least {:.1})", median(&timing.cpu_ms), least(&timing.cpu_ms)));
    }
    if let Some(mebibytes) = timing.step_mib {
        lines.push(format!("memory {mebibytes:.0} MiB beside {:.0} MiB of parameters and momenta", timing.state_mib));
    }
    lines.extend(timing.nodes.iter().map(|(provider, nodes)| format!("{nodes} nodes on {provider}")));
    lines.extend(timing.fallback.iter().map(|reason| format!("not on a GPU: {reason}")));
    let fields = json!({"timing": timing, "wall_ms": median(&timing.wall_ms), "cpu_ms": median(&timing.cpu_ms)});
    Ok(Answer::new(Exit::Done, lines.join("\n")).with(fields))
}

/// How fast a model cuts out, by sessions and threads.
fn divide(args: &BenchArgs, place: &Bench, desk: &Desk) -> Result<Answer, Refusal> {
    let division = bench::divide(&args.model, place, &desk.cancel)?;
    let mut lines = vec![format!("{:>9} {:>8} {:>10} {:>8}", "sessions", "threads", "images/s", "MiB")];
    for trial in &division.tried {
        let rate = match &trial.skipped {
            Some(reason) => format!("skipped: {reason}"),
            None => format!("{:>10.2} {:>8.0}", trial.images_per_second, trial.mebibytes),
        };
        lines.push(format!("{:>9} {:>8} {rate}", trial.sessions, trial.threads));
    }
    lines.push(match division.tried.is_empty() {
        true => "nothing to divide on this device".to_owned(),
        false => format!("best: {} sessions of {} threads", division.sessions, division.threads),
    });
    Ok(Answer::new(Exit::Done, lines.join("\n")).with(json!({"division": division})))
}

/// Whatever keeps a check from passing is its failure.
fn judged(
    result: Result<(Verdict, Weights), stage::Error>,
    dump: Option<&Path>,
    read: &Path,
) -> Result<Answer, Refusal> {
    let same =
        |dump: &Path| dump.canonicalize().ok().is_some_and(|dump| read.canonicalize().is_ok_and(|read| read == dump));
    if let Some(dump) = dump.filter(|dump| same(dump)) {
        return Err(Refusal::usage(format!("--dump {} is the file that is checked; choose another", dump.display())));
    }
    let failed = |error: &dyn std::fmt::Display| Refusal(Exit::Failed, error.to_string());
    let (verdict, ours) = match result {
        Err(error @ stage::Error::Cancelled(_)) => return Err(error.into()),
        other => other.map_err(|error| failed(&error))?,
    };
    if let Some(path) = dump {
        write_safetensors(path, &ours).map_err(|error| failed(&error))?;
    }
    let exit = if verdict.passed() { Exit::Done } else { Exit::Failed };
    let fields = json!({"passed": verdict.passed(), "tensors": verdict.lines});
    Ok(Answer::new(exit, verdict.to_string()).with(fields))
}

fn check_golden(args: &CheckGoldenArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let place = workbench(args.runtime.as_deref(), &args.device, desk)?;
    judged(golden::check_golden(&args.file, &place, &desk.cancel), args.dump.as_deref(), &args.file)
}

fn check_exported(args: &CheckExportedArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let place = workbench(args.runtime.as_deref(), &args.device, desk)?;
    let checked = exported::check_exported(&args.graph, &args.numbers, &place, &desk.cancel);
    judged(checked, args.dump.as_deref(), &args.numbers)
}
