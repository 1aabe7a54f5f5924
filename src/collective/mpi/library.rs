//! An MPI library, found when the program runs and called through its C interface. Must not know what is added up.
//!
//! MPI fixes names and arguments, not how a handle is written down. Three ways are in use, and each library shows which
//! is its own: Open MPI's handles are addresses of objects that it exports, MPICH's (and those of Intel, Cray and
//! MVAPICH, which keep to it) are numbers of 32 bits, those of the interface that MPI 5 fixed are small numbers of
//! a pointer's width. So one program serves them all, and is built without any of them.
#![allow(
    unsafe_code,
    reason = "MPI is a C library; every call of it is in this file, behind functions that check sizes"
)]

use crate::collective::Error;
use crate::collective::load::{Opened, open};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What to do when no library fits.
const ADVICE: &str = "install Open MPI or MPICH (`module load` it on a cluster), or name its library with SELVEDGE_MPI=/path/to/libmpi.so.40 (MPICH: libmpi.so.12)";

/// `MPI_Get_library_version` writes at most this much, in any of the libraries.
const VERSION_BYTES: usize = 8192;

/// Libraries that keep to MPICH's binary interface, as their version text begins or says.
const LIKE_MPICH: [&str; 5] = ["MPICH", "Intel(R) MPI", "MVAPICH", "ParaStation", "CRAY"];

/// Numbers that can travel as they lie in memory.
///
/// # Safety
/// Every pattern of bits is a value, and there is no padding.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: an integer.
unsafe impl Plain for u8 {}
// SAFETY: an integer.
unsafe impl Plain for u64 {}
// SAFETY: every pattern of bits is a float.
unsafe impl Plain for f32 {}
// SAFETY: two integers without a gap.
unsafe impl Plain for [u64; 2] {}

/// A loaded library, by the width of its handles.
pub(super) enum Loaded {
    /// MPICH and its kin.
    Ints(Library<c_int>),
    /// Open MPI, and the interface of MPI 5.
    Pointers(Library<usize>),
}

/// The functions in use, with `H` as the library's handle.
pub(super) struct Library<H> {
    name: String,
    world: H,
    byte: H,
    serialized: c_int,
    init: unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char, c_int, *mut c_int) -> c_int,
    rank: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    size: unsafe extern "C" fn(H, *mut c_int) -> c_int,
    allgather: unsafe extern "C" fn(*const c_void, c_int, H, *mut c_void, c_int, H, H) -> c_int,
    allgatherv: unsafe extern "C" fn(*const c_void, c_int, H, *mut c_void, *const c_int, *const c_int, H, H) -> c_int,
    alltoallv: unsafe extern "C" fn(
        *const c_void,
        *const c_int,
        *const c_int,
        H,
        *mut c_void,
        *const c_int,
        *const c_int,
        H,
        H,
    ) -> c_int,
    bcast: unsafe extern "C" fn(*mut c_void, c_int, H, c_int, H) -> c_int,
    abort: unsafe extern "C" fn(H, c_int) -> c_int,
    finalize: unsafe extern "C" fn() -> c_int,
}

/// Where the blocks for or from each rank lie in a buffer: `counts[rank]` values from `starts[rank]` on.
pub(super) struct Blocks {
    /// Values for each rank.
    pub(super) counts: Vec<usize>,
    /// Where they begin, in values.
    pub(super) starts: Vec<usize>,
}

/// Loads the first of `names` that the loader finds. It stays loaded until the process ends.
pub(super) fn load(names: &[String]) -> Result<Loaded, Error> {
    // Open MPI's plug-ins look for its symbols among the global ones.
    let file = open("an MPI library", names, true, ADVICE)?;
    if speaks_mpi5(&file) {
        return Ok(Loaded::Pointers(functions(&file, 0x101, 0x247, 2048)?));
    }
    // SAFETY: addresses of Open MPI's objects, which only it looks into.
    let objects =
        unsafe { (file.symbol::<*const c_void>("ompi_mpi_comm_world"), file.symbol::<*const c_void>("ompi_mpi_byte")) };
    if let (Ok(world), Ok(byte)) = objects {
        return Ok(Loaded::Pointers(functions(&file, world.addr(), byte.addr(), 2)?));
    }
    let version = version(&file)?;
    if LIKE_MPICH.iter().any(|known| version.contains(known)) {
        return Ok(Loaded::Ints(functions(&file, 0x4400_0000, 0x4c00_010d, 2)?));
    }
    let said = version.lines().next().unwrap_or_default();
    Err(file.unfit(format!("its binary interface is not known (it says {said:?})")))
}

fn speaks_mpi5(file: &Opened) -> bool {
    type AbiVersion = unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int;
    let (mut major, mut minor) = (-1, -1);
    // SAFETY: the type is the standard's, there are two integers to write to, and it may be asked before MPI begins.
    unsafe {
        file.symbol::<AbiVersion>("MPI_Abi_get_version")
            .is_ok_and(|ask| ask(&raw mut major, &raw mut minor) == 0 && major == 1)
    }
}

fn version(file: &Opened) -> Result<String, Error> {
    type LibraryVersion = unsafe extern "C" fn(*mut c_char, *mut c_int) -> c_int;
    let mut text = vec![0_u8; VERSION_BYTES + 1];
    let mut length = 0;
    // SAFETY: the type is the standard's, the buffer is as long as any library's, and it may be asked before MPI begins.
    let code =
        unsafe { file.symbol::<LibraryVersion>("MPI_Get_library_version")?(text.as_mut_ptr().cast(), &raw mut length) };
    checked("MPI_Get_library_version", code)?;
    Ok(CStr::from_bytes_until_nul(&text).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default())
}

fn functions<H>(file: &Opened, world: H, byte: H, serialized: c_int) -> Result<Library<H>, Error> {
    // SAFETY: the fields have the types that the standard gives the functions, with the library's own handle.
    unsafe {
        Ok(Library {
            name: file.name.clone(),
            world,
            byte,
            serialized,
            init: file.symbol("MPI_Init_thread")?,
            rank: file.symbol("MPI_Comm_rank")?,
            size: file.symbol("MPI_Comm_size")?,
            allgather: file.symbol("MPI_Allgather")?,
            allgatherv: file.symbol("MPI_Allgatherv")?,
            alltoallv: file.symbol("MPI_Alltoallv")?,
            bcast: file.symbol("MPI_Bcast")?,
            abort: file.symbol("MPI_Abort")?,
            finalize: file.symbol("MPI_Finalize")?,
        })
    }
}

/// MPI's own handler ends the job at an error; this is for the day when it does not.
fn checked(call: &'static str, code: c_int) -> Result<(), Error> {
    if code == 0 { Ok(()) } else { Err(Error::Call { call, detail: format!("MPI's error code {code}") }) }
}

/// `values` of `T` in bytes, as MPI counts them.
fn bytes<T>(call: &'static str, values: usize) -> Result<c_int, Error> {
    let bytes = values.checked_mul(size_of::<T>()).and_then(|bytes| c_int::try_from(bytes).ok());
    bytes.ok_or_else(|| Error::Call { call, detail: format!("{values} values are more than MPI sends at once") })
}

impl Blocks {
    /// Counts and starts in bytes, once all blocks lie within `length` values.
    fn within<T>(&self, call: &'static str, ranks: usize, length: usize) -> Result<(Vec<c_int>, Vec<c_int>), Error> {
        let inside = |(count, start): (&usize, &usize)| start.checked_add(*count).is_some_and(|end| end <= length);
        let fits = self.counts.len() == ranks
            && self.starts.len() == ranks
            && self.counts.iter().zip(&self.starts).all(inside);
        if !fits {
            return Err(Error::Call { call, detail: format!("blocks that leave a buffer of {length} values") });
        }
        let counts = self.counts.iter().map(|count| bytes::<T>(call, *count)).collect::<Result<_, _>>()?;
        let starts = self.starts.iter().map(|start| bytes::<T>(call, *start)).collect::<Result<_, _>>()?;
        Ok((counts, starts))
    }
}

impl<H: Copy + Send + Sync + 'static> Library<H> {
    /// What it was loaded by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Begins MPI; true when calls may come from any thread, one at a time.
    pub(super) fn init(&self) -> Result<bool, Error> {
        let mut given = 0;
        // SAFETY: MPI allows null for the arguments of the program.
        let code = unsafe { (self.init)(ptr::null_mut(), ptr::null_mut(), self.serialized, &raw mut given) };
        checked("MPI_Init_thread", code)?;
        Ok(given >= self.serialized)
    }

    /// This process's number, and how many there are.
    pub(super) fn place(&self) -> Result<(usize, usize), Error> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: MPI is begun, and each call writes one integer.
        let codes = unsafe { ((self.rank)(self.world, &raw mut rank), (self.size)(self.world, &raw mut size)) };
        checked("MPI_Comm_rank", codes.0)?;
        checked("MPI_Comm_size", codes.1)?;
        match (usize::try_from(rank), usize::try_from(size)) {
            (Ok(rank), Ok(size)) if rank < size => Ok((rank, size)),
            _ => Err(Error::Call { call: "MPI_Comm_rank", detail: format!("rank {rank} of {size}") }),
        }
    }

    /// All that every rank brings, by rank.
    pub(super) fn all_gather<T: Plain>(&self, mine: T, ranks: usize) -> Result<Vec<T>, Error> {
        let mut all = vec![mine; ranks];
        let size = bytes::<T>("MPI_Allgather", 1)?;
        let (from, to) = ((&raw const mine).cast(), all.as_mut_ptr().cast());
        // SAFETY: one value goes out, and `all` has room for one of each rank.
        let code = unsafe { (self.allgather)(from, size, self.byte, to, size, self.byte, self.world) };
        checked("MPI_Allgather", code).map(|()| all)
    }

    /// Sends each rank its block of `out`, and puts what each rank sends into its block of `into`.
    pub(super) fn all_to_all<T: Plain>(
        &self,
        (out, out_blocks): (&[T], &Blocks),
        (into, into_blocks): (&mut [T], &Blocks),
    ) -> Result<(), Error> {
        let (call, ranks) = ("MPI_Alltoallv", out_blocks.counts.len());
        let (sent, sent_at) = out_blocks.within::<T>(call, ranks, out.len())?;
        let (got, got_at) = into_blocks.within::<T>(call, ranks, into.len())?;
        // SAFETY: all blocks lie in their buffers, and the buffers apart.
        let code = unsafe {
            (self.alltoallv)(
                out.as_ptr().cast(),
                sent.as_ptr(),
                sent_at.as_ptr(),
                self.byte,
                into.as_mut_ptr().cast(),
                got.as_ptr(),
                got_at.as_ptr(),
                self.byte,
                self.world,
            )
        };
        checked(call, code)
    }

    /// Puts what each rank brings into its block of `into`, on all ranks.
    pub(super) fn gather_blocks<T: Plain>(&self, mine: &[T], into: &mut [T], blocks: &Blocks) -> Result<(), Error> {
        let call = "MPI_Allgatherv";
        let (got, got_at) = blocks.within::<T>(call, blocks.counts.len(), into.len())?;
        let size = bytes::<T>(call, mine.len())?;
        let (from, to) = (mine.as_ptr().cast(), into.as_mut_ptr().cast());
        // SAFETY: all blocks lie in `into`, which lies apart from `mine`.
        let code = unsafe {
            (self.allgatherv)(from, size, self.byte, to, got.as_ptr(), got_at.as_ptr(), self.byte, self.world)
        };
        checked(call, code)
    }

    /// Replaces `values` by those of rank 0.
    pub(super) fn broadcast<T: Plain>(&self, values: &mut [T]) -> Result<(), Error> {
        let size = bytes::<T>("MPI_Bcast", values.len())?;
        // SAFETY: the buffer is as long as said.
        let code = unsafe { (self.bcast)(values.as_mut_ptr().cast(), size, self.byte, 0, self.world) };
        checked("MPI_Bcast", code)
    }

    /// Ends MPI in good order.
    pub(super) fn finalize(&self) -> Result<(), Error> {
        LEFT.store(true, Ordering::SeqCst);
        // SAFETY: MPI is begun, and this is its last call.
        checked("MPI_Finalize", unsafe { (self.finalize)() })
    }

    /// From now on, a process that ends without [`Library::finalize`] ends the whole job.
    pub(super) fn bind_job_to_process(&self) -> Result<(), Error> {
        let (abort, world) = (self.abort, self.world);
        let end = Box::new(move || {
            // SAFETY: MPI is begun and not finalized when this is called: `at_exit` looks.
            let _ = unsafe { abort(world, 1) };
        });
        if ABORT.set(end).is_err() {
            return Err(Error::JoinedBefore);
        }
        // SAFETY: C's own function, given a function that never unwinds.
        checked("atexit", unsafe { atexit(at_exit) })
    }
}

static LEFT: AtomicBool = AtomicBool::new(false);
static ABORT: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> c_int;
}

extern "C" fn at_exit() {
    // Once only: MPI_Abort may itself exit.
    if !LEFT.swap(true, Ordering::SeqCst)
        && let Some(abort) = ABORT.get()
    {
        abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_no_mpi_is_refused() {
        let error = load(&["libc.so.6".to_owned()]).err().unwrap().to_string();
        assert!(error.contains("libc.so.6") && error.contains("MPI_Get_library_version"), "{error}");
    }

    #[test]
    fn blocks_beyond_their_buffer_are_refused() {
        let blocks = Blocks { counts: vec![2, 3], starts: vec![0, 2] };
        assert_eq!(blocks.within::<f32>("test", 2, 5).unwrap(), (vec![8, 12], vec![0, 8]));
        assert!(blocks.within::<f32>("test", 2, 4).is_err());
        assert!(blocks.within::<f32>("test", 3, 5).is_err());
        let wide = Blocks { counts: vec![1], starts: vec![usize::MAX] };
        assert!(wide.within::<f32>("test", 1, 5).is_err());
        assert!(bytes::<f32>("test", 1 << 29).is_err());
    }
}
