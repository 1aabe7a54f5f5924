//! The names a checkpoint may mention, and what each stands for here. Must not know opcodes. Nothing is ever imported
//! or called: a name is turned into a tensor's description, into a dictionary, or into data nobody looks at.

use crate::graph::Element;

/// A Python name that a checkpoint may mention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_v2`: storage, offset, sizes, strides, …
    Tensor,
    /// `torch._utils._rebuild_tensor_v3`: as above, the type of the elements as the seventh.
    TypedTensor,
    /// `torch._utils._rebuild_parameter`: a tensor and two flags.
    Parameter,
    /// `torch.Size`: a tuple of lengths.
    Size,
    /// A class of storage; `None` for element types that are not supported.
    Storage(Option<Element>),
    /// A type of elements, likewise.
    Dtype(Option<Element>),
    /// Something that harmless checkpoints hold beside their tensors. It becomes a blank and never a tensor.
    Opaque(&'static str),
}

/// What a name stands for, or `None`: such a checkpoint is refused.
pub(super) fn global(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Global::Tensor),
        ("torch._utils", "_rebuild_tensor_v3") => Some(Global::TypedTensor),
        ("torch._utils", "_rebuild_parameter") => Some(Global::Parameter),
        ("torch", "Size") => Some(Global::Size),
        ("torch.storage", "UntypedStorage") => Some(Global::Storage(Some(Element::U8))),
        ("torch", name) => torch(name).or_else(|| opaque(module, name)),
        _ => opaque(module, name),
    }
}

fn torch(name: &str) -> Option<Global> {
    let known = match name {
        "FloatStorage" | "float32" => Some(Element::F32),
        "DoubleStorage" | "float64" => Some(Element::F64),
        "HalfStorage" | "float16" => Some(Element::F16),
        "BFloat16Storage" | "bfloat16" => Some(Element::Bf16),
        "LongStorage" | "int64" => Some(Element::I64),
        "IntStorage" | "int32" => Some(Element::I32),
        "ShortStorage" | "int16" => Some(Element::I16),
        "CharStorage" | "int8" => Some(Element::I8),
        "ByteStorage" | "uint8" => Some(Element::U8),
        "BoolStorage" | "bool" => Some(Element::Bool),
        "ComplexFloatStorage" | "ComplexDoubleStorage" | "QInt8Storage" | "QUInt8Storage" | "QInt32Storage" => None,
        "complex64" | "complex128" | "uint16" | "uint32" | "uint64" | "float8_e4m3fn" | "float8_e5m2" => None,
        _ => return None,
    };
    Some(if name.ends_with("Storage") { Global::Storage(known) } else { Global::Dtype(known) })
}

/// Names of data that mmsegmentation, mmengine, timm and Segmenter put beside the tensors: learning rates as numpy
/// numbers, the command line, the log. `getattr` is how a log of mmengine mentions its own methods; like all of these
/// it is only skipped over, and what comes of it cannot be called either.
#[rustfmt::skip]
const OPAQUE: &[&str] = &[
    "_codecs.encode", "argparse.Namespace",
    "builtins.set", "builtins.frozenset", "builtins.list", "builtins.dict", "builtins.tuple", "builtins.int",
    "builtins.float", "builtins.bool", "builtins.str", "builtins.bytes", "builtins.bytearray", "builtins.complex",
    "builtins.slice", "builtins.range", "builtins.object", "builtins.getattr",
    "collections.defaultdict", "collections.deque", "collections.Counter", "copyreg._reconstructor",
    "datetime.datetime", "datetime.date", "datetime.timedelta",
    "mmengine.logging.history_buffer.HistoryBuffer", "mmengine.config.config.ConfigDict", "mmcv.utils.config.ConfigDict",
    "numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct", "numpy.core.numeric._frombuffer",
    "numpy.ndarray", "numpy.dtype",
    "numpy.dtypes.Float32DType", "numpy.dtypes.Float64DType", "numpy.dtypes.Int32DType", "numpy.dtypes.Int64DType",
    "pathlib.Path", "pathlib.PosixPath", "pathlib.PurePosixPath", "pathlib.WindowsPath", "pathlib.PureWindowsPath",
    "torch.device",
];

/// Protocol 2 writes Python 2's names of two modules; numpy 2 moved `core` to `_core`.
fn opaque(module: &str, name: &str) -> Option<Global> {
    let module = match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        "numpy._core.multiarray" => "numpy.core.multiarray",
        "numpy._core.numeric" => "numpy.core.numeric",
        module => module,
    };
    let known = |path: &&&str| path.rsplit_once('.') == Some((module, name));
    OPAQUE.iter().find(known).map(|path| Global::Opaque(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_on_the_list_are_known() {
        assert_eq!(global("collections", "OrderedDict"), Some(Global::OrderedDict));
        assert_eq!(global("torch", "BFloat16Storage"), Some(Global::Storage(Some(Element::Bf16))));
        assert_eq!(global("torch", "complex64"), Some(Global::Dtype(None)));
        assert_eq!(global("torch", "device"), Some(Global::Opaque("torch.device")));
        let scalar = Some(Global::Opaque("numpy.core.multiarray.scalar"));
        assert_eq!(global("numpy._core.multiarray", "scalar"), scalar);
        assert_eq!(global("__builtin__", "set"), Some(Global::Opaque("builtins.set")));
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "exec"),
            ("builtins", "__import__"),
            ("torch", "load"),
            ("torch.hub", "load"),
            ("torch", "hub.load"),
            ("torch._utils", "_rebuild_sparse_tensor"),
            ("numpy", "core.multiarray.scalar"),
            ("builtins.set", ""),
            ("", ""),
        ] {
            assert_eq!(global(module, name), None, "{module}.{name}");
        }
    }
}
