//! The one owner of the cores: how many there are for us, and the pools of polars and rayon set to that before any thread
//! exists. Must not know what the threads do.

/// The cores this process may use: the cgroup's quota and the affinity, not the host's count.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Sets the pools of polars and rayon. To be called once, first thing in `main`, while there is one thread.
#[allow(unsafe_code, reason = "polars takes its pool's size from the environment only, and setting that is unsafe")]
pub fn divide(threads: usize) {
    // SAFETY: no other thread exists yet that could read the environment at the same time.
    unsafe { std::env::set_var("POLARS_MAX_THREADS", threads.to_string()) };
    // Fails only when the pool exists already, and then it was set by an earlier call.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}
