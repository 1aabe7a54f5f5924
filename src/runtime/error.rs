//! What can go wrong between a model's bytes and the numbers it computes. Must not know images or stages.

use super::MINOR_NEEDED;
use std::path::PathBuf;

/// Why ONNX Runtime could not be found, a model not be opened, or a network not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody named a library, and none of the usual folders holds one.
    #[error(
        "ONNX Runtime was not found (looked in {}); put it into ./.runtime with `make runtime`, or name it with --runtime or ORT_DYLIB_PATH",
        list(looked_in)
    )]
    LibraryMissing {
        /// The folders that were searched, in this order.
        looked_in: Vec<PathBuf>,
    },
    /// A library was named, and is not there.
    #[error("{named_by} names {path} as ONNX Runtime, and there is no such library; correct it, or take it away and run `make runtime`", path = path.display())]
    LibraryNotThere {
        /// Who named it: `--runtime` or `ORT_DYLIB_PATH`.
        named_by: &'static str,
        /// The file or folder it names.
        path: PathBuf,
    },
    /// The file is no ONNX Runtime that can be loaded here.
    #[error("{path} cannot be loaded as ONNX Runtime: {detail}; put the right one in its place with `make runtime`", path = path.display())]
    LibraryBroken {
        /// The library's file.
        path: PathBuf,
        /// The loader's words.
        detail: String,
    },
    /// The library is older than the interface that this program was built for.
    #[error("{path} is ONNX Runtime 1.{minor}, and at least 1.{MINOR_NEEDED} is needed; get it with `make runtime`", path = path.display())]
    LibraryTooOld {
        /// The library's file.
        path: PathBuf,
        /// The `x` of its version 1.x.
        minor: u32,
    },
    /// A process can hold one ONNX Runtime only, and it holds another.
    #[error("this process already uses {loaded} and cannot use {asked} beside it; name one library for the whole run", loaded = loaded.display(), asked = asked.display())]
    LibraryTaken {
        /// The library in use.
        loaded: PathBuf,
        /// The one asked for.
        asked: PathBuf,
    },
    /// The device that was required cannot be used.
    #[error(
        "the device {device} cannot be used: {detail}; run `selvedge doctor`, or choose --device auto or --device cpu"
    )]
    DeviceUnavailable {
        /// The device, as settings write it.
        device: String,
        /// The library's words.
        detail: String,
    },
    /// A device's name that is none.
    #[error("`{text}` is no device; write cpu, cuda, cuda:N or auto")]
    UnknownDevice {
        /// What was written.
        text: String,
    },
    /// The bytes are no model that ONNX Runtime can run.
    #[error("the model {model} cannot be opened: {detail}; is it a whole ONNX file?{hint}")]
    Model {
        /// The model's name.
        model: String,
        /// The library's words.
        detail: String,
        /// More advice, with its own `; ` in front, or nothing.
        hint: &'static str,
    },
    /// An input or output that the model does not have.
    #[error("the model {model} has no {kind} `{name}`; it has {known}")]
    UnknownValue {
        /// The model's name.
        model: String,
        /// `input` or `output`.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// As many numbers as the shape says were not given.
    #[error(
        "a tensor of shape {shape:?} takes {wanted} numbers, and {found} were given; this is a mistake of the program, report it"
    )]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// Numbers that the shape takes.
        wanted: usize,
        /// Numbers given.
        found: usize,
    },
    /// An output that is no tensor of 32-bit floats.
    #[error("the output `{name}` of {model} is {element}, and only f32 is read; export the model with f32 outputs")]
    NotF32 {
        /// The model's name.
        model: String,
        /// The output's name.
        name: String,
        /// What it is.
        element: String,
    },
    /// Bytes that are no array of the type and shape asked for.
    #[error("no array {array} can be made: {detail}; this is a mistake of the program, report it")]
    Array {
        /// Type and lengths.
        array: String,
        /// What is wrong.
        detail: String,
    },
    /// An array whose numbers are no floats that an f32 holds.
    #[error("an array {array} was to be read as f32, and only f32, f16 and bf16 are; read its bytes")]
    NotFloat {
        /// Type and lengths.
        array: String,
    },
    /// A tensor of the state could not be allocated, or not be copied.
    #[error(
        "`{name}` cannot be kept on {device}: {detail}; if memory ran out, a smaller batch or crop leaves more of it"
    )]
    State {
        /// Its name.
        name: String,
        /// The device, as settings write it.
        device: String,
        /// The library's words.
        detail: String,
    },
    /// A name that the state does not have.
    #[error("the state has no `{name}` among its {known} tensors; set it before the first step")]
    UnknownState {
        /// The name asked for.
        name: String,
        /// How many tensors it has.
        known: usize,
    },
    /// An input that is neither in the state nor given.
    #[error("the model {model} needs the input `{wanted}`, which is neither in the state nor given; give or set it")]
    MissingInput {
        /// The model's name.
        model: String,
        /// The input's name, type and lengths.
        wanted: String,
    },
    /// An input that is in the state and is given as well.
    #[error("the input `{name}` of the model {model} lies in the state, and was given as well; leave one of them")]
    GivenTwice {
        /// The model's name.
        model: String,
        /// The input's name.
        name: String,
    },
    /// A tensor of another type or shape than the model's.
    #[error(
        "the {kind} `{wanted}` of the model {model} cannot be {place}: that is {found}; build both for the same sizes"
    )]
    Misfit {
        /// The model's name.
        model: String,
        /// `input` or `output`.
        kind: &'static str,
        /// The value's name, type and lengths, `?` where any will do.
        wanted: String,
        /// What was to be used for it.
        place: String,
        /// The type and lengths of that.
        found: String,
    },
    /// A list of what a step writes that cannot be followed.
    #[error("the model {model} cannot write its state: {detail}; this is a mistake of the program, report it")]
    Writes {
        /// The model's name.
        model: String,
        /// What is wrong.
        detail: String,
    },
    /// A step and a state on two devices.
    #[error("the model {model} runs on {step}, and the state lies on {state}; make the state on the step's device")]
    OtherDevice {
        /// The model's name.
        model: String,
        /// The step's device.
        step: String,
        /// The state's device.
        state: String,
    },
    /// The network failed while it ran.
    #[error("the model {model} failed while it ran: {detail}")]
    Run {
        /// The model's name.
        model: String,
        /// The library's words.
        detail: String,
    },
    /// Somebody asked to stop.
    #[error("stopped while {model} was running")]
    Cancelled {
        /// The model's name.
        model: String,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
