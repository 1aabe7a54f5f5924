//! stub
use super::{Context, Error, Report};
use crate::digest::Fingerprint;
use crate::storage::Options;
/// s
#[derive(Clone)]
pub struct Settings {
    /// x
    pub csv: Vec<String>,
    /// x
    pub options: Options,
    /// x
    pub strict: bool,
    /// x
    pub allow_empty: bool,
    /// x
    pub allow_truncated: bool,
    /// x
    pub clip: bool,
    /// x
    pub max_field_bytes: u64,
    /// x
    pub max_pixels: u64,
}
impl Settings {
    /// n
    pub fn new(csv: Vec<String>, options: Options) -> Self {
        Self {
            csv,
            options,
            strict: false,
            allow_empty: false,
            allow_truncated: false,
            clip: false,
            max_field_bytes: 0,
            max_pixels: 0,
        }
    }
    /// n
    pub fn set_words(&mut self, _: Option<char>, _: Option<u8>, _: Option<&str>) -> Result<(), String> {
        Ok(())
    }
}
/// f
pub fn fingerprint(_: &Settings, _: &Context) -> Result<Fingerprint, Error> {
    Ok(Fingerprint::default())
}
/// f
pub fn run(_: &Settings, _: Fingerprint, _: &Context) -> Result<Report, Error> {
    Ok(Report::default())
}
