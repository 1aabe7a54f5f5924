//! stub
use super::{Context, Error};
use crate::outcome::Reason;
/// r
pub struct Row {
    /// x
    pub item: String,
    /// x
    pub reason: Reason,
    /// x
    pub detail: String,
    /// x
    pub place: String,
}
/// x
pub fn replace(_: &Context, _: Vec<Row>) -> Result<(), Error> {
    Ok(())
}
