//! NCCL and the CUDA runtime, found when the program runs and called through their C interfaces. Must not know sockets
//! or what is added up.
#![allow(
    unsafe_code,
    reason = "NCCL and CUDA are C libraries; every call of them is in this file, behind functions that check sizes"
)]

use crate::collective::Error;
use crate::collective::load::{Opened, open};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::Path;
use std::ptr::null_mut;

const NCCL_ADVICE: &str = "put NCCL into LD_LIBRARY_PATH, or `pip install nvidia-nccl-cu13` (nvidia-nccl-cu12 for CUDA 12) and name its library with SELVEDGE_NCCL=…/site-packages/nvidia/nccl/lib/libnccl.so.2";
const CUDA_ADVICE: &str = "put the CUDA runtime into LD_LIBRARY_PATH (the folder of libcudart.so.13; `pip install nvidia-cuda-runtime` has one)";

/// What NCCL calls a unique id.
pub(super) const ID_BYTES: usize = 128;

/// Values that are on the device at once: 64 MiB.
pub(super) const STAGED: usize = 1 << 24;

// Numbers of nccl.h and of the CUDA runtime's driver_types.h.
const FLOAT32: c_int = 7;
const SUM: c_int = 0;
const IN_PROGRESS: c_int = 7;
const NOT_READY: c_int = 600;
const NON_BLOCKING: c_uint = 1;
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;

#[repr(C)]
#[derive(Clone, Copy)]
struct UniqueId([u8; ID_BYTES]);

type Pointer = *mut c_void;

/// The functions in use.
pub(super) struct Libraries {
    get_unique_id: unsafe extern "C" fn(*mut UniqueId) -> c_int,
    init_rank: unsafe extern "C" fn(*mut Pointer, c_int, UniqueId, c_int) -> c_int,
    all_reduce: unsafe extern "C" fn(*const c_void, Pointer, usize, c_int, c_int, Pointer, Pointer) -> c_int,
    async_error: unsafe extern "C" fn(Pointer, *mut c_int) -> c_int,
    comm_abort: unsafe extern "C" fn(Pointer) -> c_int,
    comm_destroy: unsafe extern "C" fn(Pointer) -> c_int,
    nccl_words: unsafe extern "C" fn(c_int) -> *const c_char,
    nccl_last: unsafe extern "C" fn(Pointer) -> *const c_char,
    device_count: unsafe extern "C" fn(*mut c_int) -> c_int,
    set_device: unsafe extern "C" fn(c_int) -> c_int,
    malloc: unsafe extern "C" fn(*mut Pointer, usize) -> c_int,
    free: unsafe extern "C" fn(Pointer) -> c_int,
    copy: unsafe extern "C" fn(Pointer, *const c_void, usize, c_int, Pointer) -> c_int,
    stream_create: unsafe extern "C" fn(*mut Pointer, c_uint) -> c_int,
    stream_query: unsafe extern "C" fn(Pointer) -> c_int,
    stream_wait: unsafe extern "C" fn(Pointer) -> c_int,
    stream_destroy: unsafe extern "C" fn(Pointer) -> c_int,
    cuda_words: unsafe extern "C" fn(c_int) -> *const c_char,
}

impl Libraries {
    /// Loads both. `named` is the file or folder of NCCL that a person named; nothing else is tried in its stead.
    pub(super) fn load(named: Option<&str>) -> Result<Libraries, Error> {
        let nccl = open("NCCL", &nccl_names(named), false, NCCL_ADVICE)?;
        let cuda = open("the CUDA runtime", &cuda_names(named), false, CUDA_ADVICE)?;
        Libraries::functions(&nccl, &cuda)
    }

    fn functions(nccl: &Opened, cuda: &Opened) -> Result<Libraries, Error> {
        // SAFETY: the fields have the types that nccl.h and cuda_runtime_api.h give the functions.
        unsafe {
            Ok(Libraries {
                get_unique_id: nccl.symbol("ncclGetUniqueId")?,
                init_rank: nccl.symbol("ncclCommInitRank")?,
                all_reduce: nccl.symbol("ncclAllReduce")?,
                async_error: nccl.symbol("ncclCommGetAsyncError")?,
                comm_abort: nccl.symbol("ncclCommAbort")?,
                comm_destroy: nccl.symbol("ncclCommDestroy")?,
                nccl_words: nccl.symbol("ncclGetErrorString")?,
                nccl_last: nccl.symbol("ncclGetLastError")?,
                device_count: cuda.symbol("cudaGetDeviceCount")?,
                set_device: cuda.symbol("cudaSetDevice")?,
                malloc: cuda.symbol("cudaMalloc")?,
                free: cuda.symbol("cudaFree")?,
                copy: cuda.symbol("cudaMemcpyAsync")?,
                stream_create: cuda.symbol("cudaStreamCreateWithFlags")?,
                stream_query: cuda.symbol("cudaStreamQuery")?,
                stream_wait: cuda.symbol("cudaStreamSynchronize")?,
                stream_destroy: cuda.symbol("cudaStreamDestroy")?,
                cuda_words: cuda.symbol("cudaGetErrorString")?,
            })
        }
    }

    /// How many CUDA devices this process sees.
    pub(super) fn devices(&self) -> Result<usize, Error> {
        let mut count = 0;
        // SAFETY: an integer to write to.
        self.cuda("cudaGetDeviceCount", unsafe { (self.device_count)(&raw mut count) })?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// The id of a new set of ranks, to be made by one of them and told to the others.
    pub(super) fn unique_id(&self) -> Result<[u8; ID_BYTES], Error> {
        let mut id = UniqueId([0; ID_BYTES]);
        // SAFETY: room for one id.
        self.nccl("ncclGetUniqueId", unsafe { (self.get_unique_id)(&raw mut id) })?;
        Ok(id.0)
    }

    fn cuda(&self, call: &'static str, code: c_int) -> Result<(), Error> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: the library's own constant text.
        let words = unsafe { text((self.cuda_words)(code)) };
        Err(Error::Call { call, detail: format!("{words} (CUDA error {code}); `nvidia-smi` shows driver and devices") })
    }

    fn nccl(&self, call: &'static str, code: c_int) -> Result<(), Error> {
        if code == 0 || code == IN_PROGRESS {
            return Ok(());
        }
        // SAFETY: the library's own texts; the last error is asked for without a communicator.
        let (words, last) = unsafe { (text((self.nccl_words)(code)), text((self.nccl_last)(null_mut()))) };
        Err(Error::Call { call, detail: format!("{words}: {last} (NCCL error {code}); NCCL_DEBUG=INFO tells more") })
    }
}

/// # Safety
/// `words` is null or a text that ends with a zero.
unsafe fn text(words: *const c_char) -> String {
    if words.is_null() {
        return String::new();
    }
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(words) }.to_string_lossy().trim().to_owned()
}

fn nccl_names(named: Option<&str>) -> Vec<String> {
    match named {
        Some(named) if Path::new(named).is_dir() => vec![format!("{named}/libnccl.so.2")],
        Some(named) => vec![named.to_owned()],
        None => vec!["libnccl.so.2".to_owned()],
    }
}

/// The loader's own first: ONNX Runtime has loaded that one too. Then where pip puts it beside the NCCL that was named.
fn cuda_names(named: Option<&str>) -> Vec<String> {
    let mut names = vec!["libcudart.so.13".to_owned(), "libcudart.so.12".to_owned()];
    let packages = named.and_then(|named| Path::new(named).ancestors().find(|folder| folder.ends_with("nvidia")));
    for beside in ["cu13/lib/libcudart.so.13", "cuda_runtime/lib/libcudart.so.12"] {
        names.extend(packages.map(|packages| packages.join(beside).display().to_string()));
    }
    names
}

/// One rank's communicator with its stream and its staging buffer on the device.
pub(super) struct Gpu {
    libraries: Libraries,
    device: c_int,
    comm: Pointer,
    stream: Pointer,
    staging: Pointer,
}

// SAFETY: CUDA's and NCCL's handles may be used from any thread, and `Gpu` lets only one at a time.
unsafe impl Send for Gpu {}

impl Gpu {
    /// Joins the ranks that have the same id; returns when all have.
    pub(super) fn join(
        libraries: Libraries,
        device: usize,
        rank: usize,
        ranks: usize,
        id: [u8; ID_BYTES],
    ) -> Result<Gpu, Error> {
        let number = |value: usize| {
            c_int::try_from(value)
                .map_err(|_| Error::Call { call: "ncclCommInitRank", detail: format!("number {value}") })
        };
        let (device, rank, ranks) = (number(device)?, number(rank)?, number(ranks)?);
        let mut gpu = Gpu { libraries, device, comm: null_mut(), stream: null_mut(), staging: null_mut() };
        gpu.choose()?;
        // SAFETY: pointers to write to; what was made so far is freed by `Drop`.
        unsafe {
            let code = (gpu.libraries.stream_create)(&raw mut gpu.stream, NON_BLOCKING);
            gpu.libraries.cuda("cudaStreamCreateWithFlags", code)?;
            let code = (gpu.libraries.malloc)(&raw mut gpu.staging, STAGED * size_of::<f32>());
            gpu.libraries.cuda("cudaMalloc", code)?;
            let code = (gpu.libraries.init_rank)(&raw mut gpu.comm, ranks, UniqueId(id), rank);
            gpu.libraries.nccl("ncclCommInitRank", code)?;
        }
        Ok(gpu)
    }

    /// CUDA keeps the device by thread, and this may be another one than before.
    fn choose(&self) -> Result<(), Error> {
        // SAFETY: a number.
        self.libraries.cuda("cudaSetDevice", unsafe { (self.libraries.set_device)(self.device) })
    }

    /// Copies at most [`STAGED`] values to the device and puts their sum over all ranks into the stream; does not wait
    /// for the other ranks.
    pub(super) fn begin_sum(&mut self, values: &[f32]) -> Result<(), Error> {
        fits(values.len())?;
        self.choose()?;
        // SAFETY: the values fit into the staging buffer, and CUDA has read them when the copy returns, as they do not
        // lie in pinned memory; the sum comes after the copy in the same stream.
        unsafe {
            let bytes = size_of_val(values);
            let code = (self.libraries.copy)(self.staging, values.as_ptr().cast(), bytes, TO_DEVICE, self.stream);
            self.libraries.cuda("cudaMemcpyAsync", code)?;
            let (at, count) = (self.staging, values.len());
            let code = (self.libraries.all_reduce)(at, at, count, FLOAT32, SUM, self.comm, self.stream);
            self.libraries.nccl("ncclAllReduce", code)
        }
    }

    /// Whether the sum is there; an error as soon as NCCL knows of one.
    pub(super) fn summed(&self) -> Result<bool, Error> {
        self.choose()?;
        let mut state = 0;
        // SAFETY: an integer to write to.
        unsafe {
            let code = (self.libraries.async_error)(self.comm, &raw mut state);
            self.libraries.nccl("ncclCommGetAsyncError", code)?;
            self.libraries.nccl("ncclAllReduce", state)?;
            match (self.libraries.stream_query)(self.stream) {
                NOT_READY => Ok(false),
                code => self.libraries.cuda("cudaStreamQuery", code).map(|()| true),
            }
        }
    }

    /// Copies the sums back, once they are there.
    pub(super) fn fetch(&mut self, values: &mut [f32]) -> Result<(), Error> {
        fits(values.len())?;
        self.choose()?;
        // SAFETY: as many values as the staging buffer holds at least, and the copy is waited for.
        unsafe {
            let bytes = size_of_val(values);
            let code = (self.libraries.copy)(values.as_mut_ptr().cast(), self.staging, bytes, TO_HOST, self.stream);
            self.libraries.cuda("cudaMemcpyAsync", code)?;
            self.libraries.cuda("cudaStreamSynchronize", (self.libraries.stream_wait)(self.stream))
        }
    }

    /// The good end, made by all ranks.
    pub(super) fn leave(mut self) -> Result<(), Error> {
        self.choose()?;
        let comm = std::mem::replace(&mut self.comm, null_mut());
        // SAFETY: the communicator is given up here, and nothing is under way on it.
        self.libraries.nccl("ncclCommDestroy", unsafe { (self.libraries.comm_destroy)(comm) })
    }
}

fn fits(values: usize) -> Result<(), Error> {
    if values <= STAGED {
        return Ok(());
    }
    Err(Error::Call { call: "cudaMemcpyAsync", detail: format!("{values} values for a staging buffer of {STAGED}") })
}

impl Drop for Gpu {
    /// Ends what is under way: with a rank gone, the device would wait for it for ever.
    fn drop(&mut self) {
        let _ = self.choose();
        // SAFETY: each is null or was made by its library, and is used no more.
        unsafe {
            if !self.comm.is_null() {
                let _ = (self.libraries.comm_abort)(self.comm);
            }
            if !self.staging.is_null() {
                let _ = (self.libraries.free)(self.staging);
            }
            if !self.stream.is_null() {
                let _ = (self.libraries.stream_destroy)(self.stream);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_nccl_is_told_with_what_to_install_and_which_variable_to_set() {
        let error = Libraries::load(Some("/no/such/libnccl.so.2")).err().unwrap().to_string();
        assert!(error.contains("/no/such/libnccl.so.2: cannot open"), "{error}");
        assert!(error.contains("nvidia-nccl-cu13") && error.contains("SELVEDGE_NCCL"), "{error}");
    }

    #[test]
    fn the_cuda_runtime_is_looked_for_beside_the_nccl_of_pip() {
        let names = cuda_names(Some("/v/site-packages/nvidia/nccl/lib/libnccl.so.2"));
        assert_eq!(names.first().unwrap(), "libcudart.so.13");
        assert!(names.contains(&"/v/site-packages/nvidia/cu13/lib/libcudart.so.13".to_owned()), "{names:?}");
        assert_eq!(cuda_names(None).len(), 2);
    }

    #[test]
    fn more_values_than_are_staged_at_once_are_refused() {
        assert!(fits(STAGED).is_ok() && fits(STAGED + 1).is_err());
    }
}
