//! ONNX Runtime as found, loaded and run. Needs the library (`make runtime`), no GPU, no network.
#![allow(clippy::unwrap_used)]

use selvedge::cancel::{Cancel, Cause};
use selvedge::runtime::{Cuda, Device, Dimension, Error, Library, Runtime, Session, SessionSettings, locate};
use std::path::{Path, PathBuf};

/// The one library of this test process. Fails, and does not skip, where there is none.
pub(crate) fn loaded() -> Runtime {
    let variable = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let library = locate(None, variable.as_deref()).unwrap_or_else(|error| panic!("these tests need it: {error}"));
    Runtime::load(&library).unwrap()
}

/// A model of `tests/fixtures/models` (see `make.py` there).
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn opened(name: &str) -> Session {
    Session::open(&loaded(), name, &fixture(name), &SessionSettings::default()).unwrap()
}

/// 1×3×4×8 numbers, of which the red ones count up from 0 in steps of 1/32.
fn picture() -> Vec<f32> {
    (0..3 * 4 * 8).map(|place| if place < 32 { place as f32 / 32.0 } else { 0.5 }).collect()
}

#[test]
fn a_library_that_was_named_and_is_not_there_is_an_error_even_where_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let there = loaded().library().path.clone();
    let error = locate(Some(&nowhere), Some(&there)).unwrap_err();
    assert!(matches!(&error, Error::LibraryNotThere { named_by: "--runtime", path } if *path == nowhere), "{error}");
    let error = locate(None, Some(folder.path())).unwrap_err();
    assert!(matches!(error, Error::LibraryNotThere { named_by: "ORT_DYLIB_PATH", .. }), "{error}");
}

#[test]
fn the_command_line_decides_before_the_environment_and_may_name_the_folder() {
    let there = loaded().library().path.clone();
    let found = locate(there.parent(), Some(Path::new("/nowhere"))).unwrap();
    assert_eq!(found.path, there);
}

#[test]
fn a_file_that_is_no_library_is_refused_in_the_loaders_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("libonnxruntime.so");
    std::fs::write(&file, "not a library").unwrap();
    let error = locate(Some(&file), None).unwrap_err();
    assert!(matches!(error, Error::LibraryBroken { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("make runtime") && !text.contains("dlopen failed"), "{text}");
}

#[test]
fn a_process_loads_one_library_and_refuses_another() {
    let first = loaded();
    assert_eq!(Runtime::load(first.library()).unwrap().library(), first.library());
    let other = Library { path: PathBuf::from("/another/libonnxruntime.so"), ..first.library().clone() };
    assert!(matches!(Runtime::load(&other), Err(Error::LibraryTaken { .. })));
}

#[test]
fn a_session_says_what_goes_in_and_comes_out() {
    let session = opened("red.onnx");
    let [input] = session.inputs() else { panic!("{:?}", session.inputs()) };
    assert_eq!(input.to_string(), "image f32 ?×3×4×8");
    assert_eq!(input.shape[0], Dimension::Dynamic("n".into()));
    let names: Vec<String> = opened("side.onnx").outputs().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["red f32 1×1×4×8", "side1 f32 1×1×4×8", "side2 f32 1×1×4×8"]);
}

#[test]
fn only_the_outputs_asked_for_come_back_and_in_that_order() {
    let mut session = opened("side.onnx");
    let data = picture();
    let cancel = Cancel::default();
    let tensors = session.run_f32("image", &[1, 3, 4, 8], &data, &["side1", "red"], &cancel).unwrap();
    let [side, red] = tensors.as_slice() else { panic!("{tensors:?}") };
    assert_eq!((side.name.as_str(), red.name.as_str()), ("side1", "red"));
    assert_eq!(red.shape, [1, 1, 4, 8]);
    assert_eq!(red.data, data[..32]);
    assert!(side.data.iter().zip(&red.data).all(|(side, red)| *side == -red));
}

#[test]
fn a_value_that_the_model_lacks_is_named_beside_those_it_has() {
    let mut session = opened("side.onnx");
    let error = session.run_f32("picture", &[1, 3, 4, 8], &picture(), &["red"], &Cancel::default()).unwrap_err();
    assert!(matches!(&error, Error::UnknownValue { kind: "input", known, .. } if known == "image"), "{error}");
    let error = session.run_f32("image", &[1, 3, 4, 8], &picture(), &["green"], &Cancel::default()).unwrap_err();
    assert!(error.to_string().contains("red, side1, side2"), "{error}");
}

#[test]
fn numbers_that_do_not_fill_their_shape_or_the_models_are_refused() {
    let mut session = opened("side.onnx");
    let cancel = Cancel::default();
    let error = session.run_f32("image", &[1, 3, 4, 8], &[0.0; 95], &["red"], &cancel).unwrap_err();
    assert!(matches!(error, Error::Shape { wanted: 96, found: 95, .. }), "{error}");
    let error = session.run_f32("image", &[1, 3, 8, 8], &[0.0; 192], &["red"], &cancel).unwrap_err();
    assert!(matches!(error, Error::Run { .. }), "{error}");
}

#[test]
fn an_output_that_is_no_f32_is_refused_by_its_type() {
    let mut session = opened("argmax.onnx");
    let error = session.run_f32("image", &[1, 3, 4, 8], &picture(), &["classes"], &Cancel::default()).unwrap_err();
    assert!(matches!(&error, Error::NotF32 { element, .. } if element == "i64"), "{error}");
}

#[test]
fn bytes_that_are_no_model_are_refused_under_their_name() {
    let error = Session::open(&loaded(), "broken.onnx", b"not a model", &SessionSettings::default()).unwrap_err();
    assert!(matches!(&error, Error::Model { model, .. } if model == "broken.onnx"), "{error}");
}

#[test]
fn a_run_that_would_never_end_ends_when_it_is_cancelled() {
    let mut session = opened("endless.onnx");
    let cancel = Cancel::default();
    cancel.cancel(Cause::Signal);
    for _ in 0..2 {
        let error = session.run_f32("x", &[1], &[1.0], &["y"], &cancel).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    }
}

#[test]
fn a_gpu_is_used_when_it_works_and_otherwise_required_is_an_error_and_auto_a_reason() {
    let runtime = loaded();
    let open = |device| {
        let settings = SessionSettings { device, ..SessionSettings::default() };
        Session::open(&runtime, "red.onnx", &fixture("red.onnx"), &settings)
    };
    let (required, auto) = (open(Device::Cuda(0)), open(Device::Auto).unwrap());
    match runtime.diagnose().cuda {
        Cuda::Ready { device } => {
            assert_eq!(required.unwrap().placement().device, Device::Cuda(device));
            assert_eq!(auto.placement().device, Device::Cuda(device));
            assert_eq!(auto.placement().fallback, None);
        }
        Cuda::Unavailable { reason, .. } => {
            assert!(matches!(required, Err(Error::DeviceUnavailable { .. })));
            assert_eq!(auto.placement().device, Device::Cpu);
            assert_eq!(auto.placement().fallback.as_deref(), Some(reason.as_str()));
        }
    }
}

#[test]
fn the_doctor_names_the_library_and_its_providers() {
    let diagnosis = loaded().diagnose();
    assert!(diagnosis.library.minor >= selvedge::runtime::MINOR_NEEDED);
    assert!(diagnosis.providers.contains(&"CPUExecutionProvider"));
    assert!(!diagnosis.build.is_empty());
}

#[test]
fn settings_are_written_in_one_form_for_fingerprints() {
    let settings = SessionSettings { device: Device::Cuda(1), intra_threads: 2, ..SessionSettings::default() };
    let text = "device=cuda:1 intra_threads=2 inter_threads=1 spinning=false arena=true deterministic=true";
    assert_eq!(settings.to_string(), text);
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<SessionSettings>(&json).unwrap(), settings);
}
