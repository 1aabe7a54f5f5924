//! What is written here, as the format's own tools see it: the official ONNX checker, which the Python that the environment
//! variable SELVEDGE_PYTHON names holds.

use crate::graph_rules::fixture;
use crate::runs::{code, end};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Checks every model of the folders: form, types and shapes, and that everything has a name of its own.
const CHECK: &str = "
import glob, onnx, sys
count = 0
for folder in sys.argv[1:]:
    for path in sorted(glob.glob(folder + '/*.onnx')):
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path)
        assert model.ir_version == 10 and [(s.domain, s.version) for s in model.opset_import] == [('', 21)], path
        assert {p.key: p.value for p in model.metadata_props}['selvedge.graph'], path
        names = [node.name for node in model.graph.node]
        assert len(names) == len(set(names)), path
        count += 1
print(count)
";

fn check(folders: &[&Path]) -> Option<usize> {
    let Some(python) = std::env::var_os("SELVEDGE_PYTHON").filter(|python| !python.is_empty()) else {
        let _ = writeln!(std::io::stderr(), "skipped: SELVEDGE_PYTHON names no Python with onnx; `make test` sets it");
        return None;
    };
    let output = Command::new(python).arg("-c").arg(CHECK).args(folders).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap())
}

#[test]
fn the_official_checker_finds_nothing_wrong_with_any_graph() {
    let folder = TempDir::new().unwrap();
    let make = |name: &str, words: &[&str]| {
        let out = folder.path().join(name);
        let made = end(folder.path(), &[&["model"], words, &["--out", out.to_str().unwrap()]].concat());
        assert_eq!(code(&made), 0, "{name}: {}", String::from_utf8_lossy(&made.stderr));
        out
    };
    let export = ["export", "--size", "48x80", "--batch", "2", "--arch"];
    let mut folders = vec![
        make("mask", &[&export[..], &["segmenter-vit-t-mask", "--dropout", "0.1"]].concat()),
        make("small", &[&export[..], &["segmenter-vit-t-linear/8", "--nesterov", "--precision", "bf16"]].concat()),
        make(
            "half",
            &[&export[..], &["segmenter-vit-t-linear", "--weight-decay", "0.1", "--precision", "fp16"]].concat(),
        ),
    ];
    for name in ["unet_legacy17", "window_dynamo18", "efficient_dynamo23", "u2_legacy20"] {
        let graph = fixture(&format!("graph/exported/{name}.onnx"));
        folders.push(make(name, &["differentiate", graph.to_str().unwrap()]));
    }
    let folders: Vec<&Path> = folders.iter().map(std::path::PathBuf::as_path).collect();
    if let Some(count) = check(&folders) {
        assert_eq!(count, 3 * 5 + 4 * 3);
    }
}
