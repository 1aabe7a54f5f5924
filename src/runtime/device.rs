//! Which processor a network runs on, and the libraries that a GPU needs beside the runtime. Must not know models.

use super::Error;
use super::library::innermost;
use ort::ep::cuda::{CUDA_DYLIBS, CUDNN_DYLIBS};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::OnceLock;

/// The device that is asked for: `cpu`, `cuda` (the first GPU), `cuda:N`, or `auto`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The GPU of this number; an error where it cannot be used.
    Cuda(u32),
    /// The first GPU, else the processor, and then the reason is told.
    Auto,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => return Ok(Self::Cuda(0)),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let number = text.strip_prefix("cuda:").and_then(|number| number.parse::<u16>().ok());
        number.map(|number| Self::Cuda(number.into())).ok_or_else(|| Error::UnknownDevice { text: text.to_owned() })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

/// Loads the CUDA and cuDNN libraries that pip's `nvidia-*` wheels carry, where such a folder is found, and says what
/// could not be loaded. Libraries installed in the system need none of this, so nothing here is an error: whether the GPU
/// can be used is known once a session is opened on it.
pub(super) fn preload_cuda(library: &Path) -> &'static [String] {
    static PROBLEMS: OnceLock<Vec<String>> = OnceLock::new();
    PROBLEMS.get_or_init(|| {
        let mut problems = Vec::new();
        let Some(root) = nvidia_folder(library) else { return problems };
        let groups = [(root.join("cu13/lib"), CUDA_DYLIBS), (root.join("cudnn/lib"), CUDNN_DYLIBS)];
        for (folder, names) in groups {
            for name in names {
                let path = folder.join(name);
                if !path.is_file() {
                    continue;
                }
                // One that fails must not keep the others out: some of cuDNN's engines load only where there is a driver.
                if let Err(error) = ort::util::preload_dylib(&path) {
                    problems.push(format!("{name}: {}", innermost(&error)));
                }
            }
        }
        problems
    })
}

/// `nvidia/` beside the library, in the site-packages that the library lies in, or in the active virtual environment's.
fn nvidia_folder(library: &Path) -> Option<PathBuf> {
    let mut places: Vec<PathBuf> = library.ancestors().skip(1).take(3).map(Path::to_path_buf).collect();
    if let Some(environment) = std::env::var_os("VIRTUAL_ENV") {
        for entry in std::fs::read_dir(Path::new(&environment).join("lib")).into_iter().flatten().flatten() {
            places.push(entry.path().join("site-packages"));
        }
    }
    places.into_iter().map(|place| place.join("nvidia")).find(|root| root.join("cu13/lib").is_dir())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Device;

    #[test]
    fn a_device_reads_back_as_it_is_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(7), Device::Auto] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        assert!("cuda:-1".parse::<Device>().is_err());
        assert!("gpu".parse::<Device>().is_err());
    }
}
