//! What works here, said in lines that a person can act on. Must not mend anything.

use super::data_args::DoctorArgs;
use super::{Answer, Desk, Exit, Refusal};
use crate::runner::cores;
use crate::{runtime, storage};
use serde_json::json;
use std::path::PathBuf;

/// `doctor`
pub fn doctor(args: &DoctorArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let mut lines = vec![format!("selvedge {}", env!("CARGO_PKG_VERSION"))];
    let mut exit = Exit::Done;
    let environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let loaded = runtime::locate(args.runtime.as_deref(), environment.as_deref())
        .and_then(|library| runtime::Runtime::load(&library));
    let network = match &loaded {
        Ok(runtime) => {
            let diagnosis = runtime.diagnose();
            lines.push(diagnosis.to_string());
            json!(diagnosis)
        }
        Err(error) => {
            exit = Exit::Failed;
            lines.push(error.to_string());
            json!({"error": error.to_string()})
        }
    };
    let host = std::fs::read_to_string("/proc/cpuinfo").map_or(0, |text| text.matches("processor\t").count());
    lines.push(format!(
        "cores: {} of the host's {host} may be used here; {} threads",
        cores::available(),
        desk.threads
    ));
    let mut tried = json!(null);
    if let Some(location) = &args.store {
        let store = desk.store(location)?;
        let report = store.wait(storage::probe(&store));
        match report {
            Ok(report) => {
                lines.push(report.to_string());
                if !report.passed() {
                    exit = Exit::Failed;
                }
                tried = json!(report.to_string());
            }
            Err(error) => {
                exit = Exit::Failed;
                lines.push(format!("{}: {error}", store.url()));
                tried = json!({"error": error.to_string()});
            }
        }
    }
    let fields = json!({"runtime": network, "cores": cores::available(), "store": tried});
    Ok(Answer::new(exit, lines.join("\n")).with(fields))
}
