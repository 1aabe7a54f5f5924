//! Finding the ONNX Runtime library and loading it, once a process. Must not know models.

use super::{Error, MINOR_NEEDED};
use ort::environment::Environment;
use ort::logging::LogLevel;
use serde::Serialize;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Who said where the library is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// The command line.
    Flag,
    /// `ORT_DYLIB_PATH`.
    Environment,
    /// It lies in one of the usual folders.
    Folder,
}

/// A library that was found and answers to its version; it is not loaded yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// The file, absolute, links resolved.
    pub path: PathBuf,
    /// The `x` of its version 1.x; at least [`MINOR_NEEDED`].
    pub minor: u32,
    /// Who said where it is.
    pub found_by: FoundBy,
}

/// Finds ONNX Runtime: where the command line says (a file or a folder), else where `ORT_DYLIB_PATH` says, else in
/// `./.runtime`, beside the executable, or in `../lib` of that. What was named must be there: nothing else is taken in
/// its stead. Nothing but the version is asked of the library.
pub fn locate(flag: Option<&Path>, environment: Option<&Path>) -> Result<Library, Error> {
    let mut folders = vec![PathBuf::from(".runtime")];
    if let Some(beside) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        folders.push(beside.to_path_buf());
        folders.push(beside.join("../lib"));
    }
    search(flag, environment, folders)
}

fn search(flag: Option<&Path>, environment: Option<&Path>, folders: Vec<PathBuf>) -> Result<Library, Error> {
    // An empty variable is how shells unset one for a single command.
    let environment = environment.filter(|path| !path.as_os_str().is_empty());
    let named = [(flag, "--runtime", FoundBy::Flag), (environment, "ORT_DYLIB_PATH", FoundBy::Environment)];
    for (path, named_by, found_by) in named {
        let Some(path) = path else { continue };
        let file = if path.is_dir() { in_folder(path) } else { Some(path.to_path_buf()) };
        return match file.filter(|file| file.is_file()) {
            Some(file) => identify(&file, found_by),
            None => Err(Error::LibraryNotThere { named_by, path: path.to_path_buf() }),
        };
    }
    match folders.iter().find_map(|folder| in_folder(folder)) {
        Some(file) => identify(&file, FoundBy::Folder),
        None => Err(Error::LibraryMissing { looked_in: folders }),
    }
}

/// The library in a folder: the plain name, else the highest of the versioned ones (`libonnxruntime.so.1.31.1`).
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(format!("{DLL_PREFIX}onnxruntime{DLL_SUFFIX}"));
    if plain.is_file() {
        return Some(plain);
    }
    let mut versioned: Vec<(Vec<u32>, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(&format!("{DLL_PREFIX}onnxruntime"))) else {
            continue;
        };
        // `rest` is `.so.1.31.1` on Linux and `.1.31.1.dylib` on macOS; `_providers_cuda.so` is another library.
        if !rest.starts_with('.') || !rest.contains(DLL_SUFFIX) {
            continue;
        }
        let version = rest.replace(DLL_SUFFIX, "").split('.').filter_map(|part| part.parse().ok()).collect();
        versioned.push((version, entry.path()));
    }
    versioned.sort();
    versioned.pop().map(|(_, path)| path)
}

/// Asks the file for its version.
fn identify(file: &Path, found_by: FoundBy) -> Result<Library, Error> {
    let path = file
        .canonicalize()
        .map_err(|error| Error::LibraryBroken { path: file.to_path_buf(), detail: error.to_string() })?;
    match ort::util::probe(&path) {
        Some(minor) if minor < MINOR_NEEDED => Err(Error::LibraryTooOld { path, minor }),
        Some(minor) => Ok(Library { path, minor, found_by }),
        // The probe keeps the loader's words to itself, so the loader is asked once more.
        None => {
            let detail = match ort::util::preload_dylib(&path) {
                Ok(()) => "it is a library, but not ONNX Runtime 1.x".to_owned(),
                Err(error) => innermost(&error),
            };
            Err(Error::LibraryBroken { path, detail })
        }
    }
}

/// What the deepest cause says: of the loader's errors only that one names the file or symbol that is missing.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// ONNX Runtime, loaded. Clones share it; it stays until the process ends.
#[derive(Clone, Debug)]
pub struct Runtime {
    library: Library,
    environment: Environment,
}

/// The one that is loaded: the library allows a single environment a process and keeps what it started with.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

impl Runtime {
    /// Loads the library, or hands out what is loaded when it is the same. Nothing is ever sent anywhere: telemetry is
    /// off. The library's own messages go to `tracing`, target `onnxruntime`.
    pub fn load(library: &Library) -> Result<Self, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = loaded.as_ref() {
            if runtime.library.path == library.path {
                return Ok(runtime.clone());
            }
            let (loaded, asked) = (runtime.library.path.clone(), library.path.clone());
            return Err(Error::LibraryTaken { loaded, asked });
        }
        let broken = |detail: String| Error::LibraryBroken { path: library.path.clone(), detail };
        let builder = ort::init_from(&library.path).map_err(|error| broken(innermost(&error)))?;
        let environment = builder
            .with_name("selvedge")
            .with_telemetry(false)
            .with_logger(Arc::new(|level, _, _, place, message| forward(level, place, message)))
            .build()
            .map_err(|error| broken(error.to_string()))?;
        environment.set_log_level(LogLevel::Warning);
        let runtime = Self { library: library.clone(), environment };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library in use.
    pub fn library(&self) -> &Library {
        &self.library
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// One level milder than the library rates them: it warns of every graph it improves, and what really fails comes back
/// as an error of ours.
fn forward(level: LogLevel, place: &str, message: &str) {
    match level {
        LogLevel::Verbose | LogLevel::Info => tracing::trace!(target: "onnxruntime", place, "{message}"),
        LogLevel::Warning => tracing::debug!(target: "onnxruntime", place, "{message}"),
        LogLevel::Error => tracing::info!(target: "onnxruntime", place, "{message}"),
        LogLevel::Fatal => tracing::warn!(target: "onnxruntime", place, "{message}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Error, in_folder, search};
    use std::fs::write;

    #[test]
    fn the_highest_version_in_a_folder_is_taken_and_providers_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.9.9", "libonnxruntime.so.1.31.1", "libonnxruntime_providers_cuda.so"] {
            write(folder.path().join(name), b"").unwrap();
        }
        if cfg!(target_os = "linux") {
            assert_eq!(in_folder(folder.path()), Some(folder.path().join("libonnxruntime.so.1.31.1")));
        }
    }

    #[test]
    fn a_library_that_is_nowhere_is_an_error_that_names_the_folders_and_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let error = search(None, None, vec![folder.path().to_path_buf()]).unwrap_err();
        assert!(matches!(error, Error::LibraryMissing { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("make runtime") && text.contains(&folder.path().display().to_string()), "{text}");
    }
}
