//! Graphs that are run with a state, as trainings do: what moves, what stays, what is refused. Needs the library, no GPU.
#![allow(clippy::unwrap_used)]

use crate::runtime::{fixture, loaded};
use selvedge::cancel::{Cancel, Cause};
use selvedge::runtime::{Array, Cuda, Device, Element, Error, Model, SessionSettings, State, Step};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn on(device: Device, model: &str, writes: &[&str]) -> Result<Step, Error> {
    let writes: Vec<_> = writes.iter().map(|name| ((*name).to_owned(), format!("next/{name}"))).collect();
    let settings = SessionSettings { device, ..SessionSettings::default() };
    Step::open(&loaded(), model, Model::Bytes(&fixture(model)), &settings, &writes)
}

fn step(model: &str, writes: &[&str]) -> Step {
    on(Device::Cpu, model, writes).unwrap()
}

fn state(arrays: &[(&str, Array)]) -> State {
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    for (name, array) in arrays {
        state.set(name, array).unwrap();
    }
    state
}

fn f32s(numbers: &[f32]) -> Array {
    Array::from_f32(&[numbers.len()], numbers).unwrap()
}

/// `sgd.onnx` with these parameters.
fn sgd(parameters: &[f32]) -> (Step, State) {
    let steps = Array::i64(&[], &[0]).unwrap();
    (step("sgd.onnx", &["p", "steps"]), state(&[("p", f32s(parameters)), ("steps", steps)]))
}

#[test]
fn after_a_thousand_steps_the_parameters_are_what_the_same_arithmetic_gives_to_the_last_bit() {
    let start = [1.0_f32, -7.5, 1000.0];
    let (mut step, mut state) = sgd(&start);
    let mut expected = start;
    for round in 0..1000_u16 {
        let (lr, g) = (0.1_f32 / f32::from(round + 1), 0.3_f32 + f32::from(round));
        let inputs = [("lr", &Array::scalar(lr)), ("g", &f32s(&[g]))];
        let arrays = step.run(&mut state, &inputs, &["loss"], &Cancel::default()).unwrap();
        assert_eq!(arrays[0].to_f32().unwrap(), [lr * g]);
        expected = expected.map(|number| number - lr * g);
    }
    assert_eq!(state.get("p").unwrap(), f32s(&expected));
    assert_eq!(state.get("steps").unwrap(), Array::i64(&[], &[1000]).unwrap());
    assert_eq!(state.bytes(), 2 * (12 + 8));
    assert_eq!(state.names().collect::<Vec<_>>(), ["p", "steps"]);
}

#[test]
fn an_output_that_is_written_can_be_read_and_outputs_come_in_the_order_asked() {
    let (mut step, mut state) = sgd(&[1.0, 2.0]);
    let inputs = [("g", &f32s(&[2.0])), ("lr", &Array::scalar(0.25))];
    let arrays = step.run(&mut state, &inputs, &["next/p", "loss"], &Cancel::default()).unwrap();
    assert_eq!(arrays, [f32s(&[0.5, 1.5]), f32s(&[0.5])]);
    assert_eq!(state.get("p").unwrap(), arrays[0]);
}

#[test]
fn new_numbers_of_the_same_shape_or_another_can_be_set_between_steps() {
    let (mut step, mut state) = sgd(&[1.0, 2.0]);
    let inputs = [("g", &f32s(&[1.0])), ("lr", &Array::scalar(1.0))];
    for numbers in [[5.0_f32, 6.0].as_slice(), &[7.0, 8.0, 9.0], &[-1.0, -2.0]] {
        state.set("p", &f32s(numbers)).unwrap();
        for _ in 0..3 {
            step.run(&mut state, &inputs, &[], &Cancel::default()).unwrap();
        }
        let expected: Vec<f32> = numbers.iter().map(|number| number - 3.0).collect();
        assert_eq!(state.get("p").unwrap(), f32s(&expected));
    }
}

#[test]
fn a_step_that_fails_midway_leaves_the_state_as_it_was() {
    let table = Array::from_f32(&[4, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).unwrap();
    let mut state = state(&[("table", table.clone())]);
    let mut step = step("gather.onnx", &["table"]);
    let cancel = Cancel::default();
    let (good, bad) = (Array::i64(&[], &[1]).unwrap(), Array::i64(&[], &[9]).unwrap());
    let mut expected = table;
    for _ in 0..3 {
        let error = step.run(&mut state, &[("row", &bad)], &["loss"], &cancel).unwrap_err();
        assert!(matches!(&error, Error::Run { model, .. } if model == "gather.onnx"), "{error}");
        assert_eq!(state.get("table").unwrap(), expected);
        step.run(&mut state, &[("row", &good)], &["loss"], &cancel).unwrap();
        let negated: Vec<f32> = expected.to_f32().unwrap().iter().map(|number| -number).collect();
        expected = Array::from_f32(&[4, 2], &negated).unwrap();
        assert_eq!(state.get("table").unwrap(), expected);
    }
}

#[test]
fn two_graphs_share_one_state() {
    let mut state = state(&[("w", f32s(&[8.0, 4.0])), ("sum", f32s(&[0.0, 0.0]))]);
    let (mut accumulate, mut update) = (step("accumulate.onnx", &["sum"]), step("update.onnx", &["w", "sum"]));
    let cancel = Cancel::default();
    let mut expected = [8.0_f32, 4.0];
    for round in 0..5 {
        for x in [[0.5, 1.0], [0.25, 0.0], [0.25, 1.0]].iter().take(1 + round % 3) {
            accumulate.run(&mut state, &[("x", &f32s(x))], &[], &cancel).unwrap();
        }
        let sum = state.get("sum").unwrap().to_f32().unwrap();
        update.run(&mut state, &[("lr", &Array::scalar(0.5))], &[], &cancel).unwrap();
        expected = [expected[0] - 0.5 * sum[0], expected[1] - 0.5 * sum[1]];
        assert_eq!(state.get("w").unwrap(), f32s(&expected), "round {round}");
        assert_eq!(state.get("sum").unwrap(), f32s(&[0.0, 0.0]));
    }
}

#[test]
fn every_element_type_goes_in_and_comes_out_as_the_same_bytes() {
    use Element::{Bf16, Bool, F16, F32, F64, I8, I32, I64, U8};
    let arrays = [F32, F16, Bf16, F64, U8, I8, I32, I64, Bool].map(|element| {
        let last = if element == Bool { 2 } else { 251 };
        let bytes: Vec<u8> = (0..6 * element.size()).map(|place| (place * 37 % last) as u8).collect();
        (element.name(), Array::new(element, &[2, 3], bytes).unwrap())
    });
    let names: Vec<&str> = arrays.iter().map(|(name, _)| *name).collect();
    let outputs: Vec<String> = names.iter().map(|name| format!("next/{name}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let inputs: Vec<(&str, &Array)> = arrays.iter().map(|(name, array)| (*name, array)).collect();

    let given = step("types.onnx", &[]).run(&mut state(&[]), &inputs, &outputs, &Cancel::default()).unwrap();
    let mut kept = state(&arrays);
    let mut writing = step("types.onnx", &names);
    for _ in 0..3 {
        writing.run(&mut kept, &[], &[], &Cancel::default()).unwrap();
    }
    for ((name, array), given) in arrays.iter().zip(&given) {
        assert_eq!(array, given, "{name}");
        assert_eq!(*array, kept.get(name).unwrap(), "{name}");
    }
}

#[test]
fn no_numbers_at_all_are_an_array_as_well() {
    let empty = Array::from_f32(&[0], &[]).unwrap();
    let (mut step, mut state) = sgd(&[]);
    let inputs = [("g", &f32s(&[1.0])), ("lr", &Array::scalar(1.0))];
    let arrays = step.run(&mut state, &inputs, &["next/p"], &Cancel::default()).unwrap();
    assert_eq!(arrays, [empty]);
}

#[test]
fn what_does_not_fit_is_refused_by_model_name_and_both_shapes_and_changes_nothing() {
    let (mut step, mut state) = sgd(&[1.0]);
    let (lr, g) = (Array::scalar(1.0), f32s(&[1.0]));
    let mut refused = |inputs: &[(&str, &Array)], outputs: &[&str], parts: &[&str]| {
        let error = step.run(&mut state, inputs, outputs, &Cancel::default()).unwrap_err();
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        assert_eq!(state.get("p").unwrap(), f32s(&[1.0]));
        error
    };
    let error = refused(&[("lr", &lr)], &[], &["sgd.onnx", "`g f32 1`"]);
    assert!(matches!(error, Error::MissingInput { .. }));
    let error = refused(&[("lr", &lr), ("g", &f32s(&[1.0, 2.0]))], &[], &["sgd.onnx", "`g f32 1`", "f32 2"]);
    assert!(matches!(error, Error::Misfit { kind: "input", .. }));
    let error = refused(&[("lr", &lr), ("g", &Array::u8(&[1], vec![1]).unwrap())], &[], &["`g f32 1`", "u8 1"]);
    assert!(matches!(error, Error::Misfit { .. }));
    let error = refused(&[("lr", &f32s(&[1.0])), ("g", &g)], &[], &["`lr f32`", "f32 1"]);
    assert!(matches!(error, Error::Misfit { .. }));
    let error = refused(&[("lr", &lr), ("g", &g), ("rate", &lr)], &[], &["`rate`", "p, steps, g, lr"]);
    assert!(matches!(error, Error::UnknownValue { kind: "input", .. }));
    let error = refused(&[("lr", &lr), ("g", &g)], &["accuracy"], &["`accuracy`", "loss, next/p"]);
    assert!(matches!(error, Error::UnknownValue { kind: "output", .. }));
    let error = refused(&[("lr", &lr), ("g", &g), ("p", &g)], &[], &["`p`", "sgd.onnx"]);
    assert!(matches!(error, Error::GivenTwice { .. }));
}

#[test]
fn a_state_that_does_not_fit_the_graph_is_refused() {
    let (mut step, _) = sgd(&[1.0]);
    let inputs = [("g", &f32s(&[1.0])), ("lr", &Array::scalar(1.0))];
    let mut refused = |mut state: State| step.run(&mut state, &inputs, &[], &Cancel::default()).unwrap_err();
    let error = refused(state(&[("p", f32s(&[1.0])), ("steps", Array::scalar(0.0))]));
    assert!(matches!(&error, Error::Misfit { .. }) && error.to_string().contains("`steps i64`"), "{error}");
    let error = refused(state(&[("p", Array::from_f32(&[1, 1], &[1.0]).unwrap())]));
    assert!(matches!(&error, Error::Misfit { .. }) && error.to_string().contains("1×1"), "{error}");
    let mut step = crate::step::step("accumulate.onnx", &["sum"]);
    let mut state = state(&[("w", f32s(&[1.0, 1.0]))]);
    let inputs = [("x", &f32s(&[1.0, 1.0])), ("sum", &f32s(&[1.0, 1.0]))];
    let error = step.run(&mut state, &inputs, &[], &Cancel::default()).unwrap_err();
    assert!(matches!(&error, Error::UnknownState { name, known: 1 } if name == "sum"), "{error}");
    assert!(matches!(state.get("v"), Err(Error::UnknownState { .. })));
}

#[test]
fn a_list_of_writes_that_names_something_twice_or_nothing_is_refused_when_the_step_is_opened() {
    let opened = |writes: &[(&str, &str)]| {
        let writes: Vec<_> = writes.iter().map(|(state, output)| ((*state).to_owned(), (*output).to_owned())).collect();
        let model = fixture("sgd.onnx");
        Step::open(&loaded(), "sgd", Model::Bytes(&model), &SessionSettings::default(), &writes).unwrap_err()
    };
    assert!(matches!(opened(&[("p", "next/p"), ("p", "loss")]), Error::Writes { .. }));
    assert!(matches!(opened(&[("p", "next/p"), ("q", "next/p")]), Error::Writes { .. }));
    assert!(matches!(opened(&[("p", "next")]), Error::UnknownValue { .. }));
}

#[test]
fn a_step_that_would_never_end_ends_when_it_is_cancelled_and_has_changed_nothing() {
    let model = fixture("endless.onnx");
    let writes = [("x".to_owned(), "y".to_owned())];
    let mut step =
        Step::open(&loaded(), "endless", Model::Bytes(&model), &SessionSettings::default(), &writes).unwrap();
    let mut state = state(&[("x", f32s(&[3.0]))]);
    for wait in [100, 0] {
        let cancel = Cancel::default();
        let error = std::thread::scope(|scope| {
            let remote = cancel.clone();
            scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(wait));
                remote.cancel(Cause::Signal);
            });
            step.run(&mut state, &[], &["y"], &cancel).unwrap_err()
        });
        assert!(matches!(&error, Error::Cancelled { model } if model == "endless"), "{error}");
        assert_eq!(state.get("x").unwrap(), f32s(&[3.0]));
    }
}

#[test]
fn weights_in_a_second_file_are_found_beside_the_first() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/outside.onnx");
    let settings = SessionSettings::default();
    let mut step = Step::open(&loaded(), "outside", Model::File(&path), &settings, &[]).unwrap();
    let x = f32s(&[10.0, 10.0, 10.0, 10.0]);
    let arrays = step.run(&mut state(&[]), &[("x", &x)], &["y"], &Cancel::default()).unwrap();
    assert_eq!(arrays, [f32s(&[11.0, 12.0, 13.0, 14.0])]);
    let error = Step::open(&loaded(), "none", Model::File(Path::new("none.onnx")), &settings, &[]).unwrap_err();
    assert!(matches!(error, Error::Model { .. }), "{error}");
}

#[test]
fn a_gpu_takes_the_whole_step_or_is_an_error_when_required_and_a_reason_when_not() {
    let (required, auto) =
        (on(Device::Cuda(0), "update.onnx", &["w"]), on(Device::Auto, "update.onnx", &["w"]).unwrap());
    match loaded().diagnose().cuda {
        Cuda::Ready { device } => {
            assert_eq!(required.unwrap().placement().device, Device::Cuda(device));
            assert_eq!(auto.placement().device, Device::Cuda(device));
        }
        Cuda::Unavailable { reason, .. } => {
            assert!(matches!(required, Err(Error::DeviceUnavailable { device, .. }) if device == "cuda:0"));
            assert_eq!(auto.placement().device, Device::Cpu);
            assert_eq!(auto.placement().fallback.as_deref(), Some(reason.as_str()));
            assert!(matches!(State::new(&loaded(), Device::Cuda(0)), Err(Error::DeviceUnavailable { .. })));
            assert_eq!(State::new(&loaded(), Device::Auto).unwrap().device(), Device::Cpu);
        }
    }
}

#[test]
fn nodes_are_counted_by_the_provider_that_runs_them_and_counting_changes_nothing() {
    let (mut step, mut state) = sgd(&[1.0]);
    let inputs = [("g", &f32s(&[1.0])), ("lr", &Array::scalar(1.0))];
    let counts = step.count_nodes(&mut state, &inputs).unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("CPUExecutionProvider".to_owned(), 3)]);
    assert_eq!(state.get("p").unwrap(), f32s(&[1.0]));
}

#[test]
fn settings_that_only_a_gpu_knows_are_written_only_where_they_are_not_the_default() {
    let settings = SessionSettings { tf32: false, cuda_graph: true, ..SessionSettings::default() };
    assert!(settings.to_string().ends_with(" deterministic=true tf32=false cuda_graph=true"), "{settings}");
    let json = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<SessionSettings>(&json).unwrap(), settings);
    let json = serde_json::to_string(&SessionSettings::default()).unwrap();
    assert!(!json.contains("tf32") && !json.contains("cuda_graph"), "{json}");
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_state_of_100_mb_takes_twice_that_and_no_more_however_many_steps_are_run() {
    // What other tests use at the same time must not count, so the measuring is done in a process of its own.
    const ALONE: &str = "SELVEDGE_TEST_ALONE";
    if !cfg!(target_os = "linux") {
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let module = module_path!().split_once("::").unwrap().1;
        let name = "a_state_of_100_mb_takes_twice_that_and_no_more_however_many_steps_are_run";
        let alone = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::{name}"), "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&alone.stdout);
        assert!(
            alone.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&alone.stderr)
        );
        return;
    }
    const MB: usize = 1 << 20;
    let (mut step, mut state) = sgd(&[0.0]);
    let before = resident();
    state.set("p", &Array::new(Element::F32, &[25 * MB], vec![0; 100 * MB]).unwrap()).unwrap();
    let inputs = [("g", &f32s(&[1.0])), ("lr", &Array::scalar(1.0))];
    let mut seen = vec![resident() - before];
    for _ in 0..10 {
        step.run(&mut state, &inputs, &["loss"], &Cancel::default()).unwrap();
        seen.push(resident() - before);
    }
    assert_eq!(state.bytes(), 200 * MB + 16);
    assert!(seen.iter().all(|bytes| *bytes < 240 * MB), "{seen:?}");
}
