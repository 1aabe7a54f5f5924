//! stub
use super::{Context, Error, Report, tables::Tables};
use crate::digest::Fingerprint;
/// s
#[derive(Clone)]
pub struct Settings {}
impl Settings {
    /// n
    pub fn from_words(_: Option<&str>, _: Option<&str>, _: Option<&str>) -> Result<Self, String> {
        Ok(Self {})
    }
}
/// f
pub fn fingerprint(_: &Settings, _: &Tables) -> Result<Fingerprint, Error> {
    Ok(Fingerprint::default())
}
/// f
pub fn run(_: &Settings, _: &Tables, _: Fingerprint, _: &Context) -> Result<Report, Error> {
    Ok(Report::default())
}
