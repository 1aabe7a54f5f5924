//! Tables, pictures and curves in, SVG and HTML text out. Must not know where figures come from, nor read or write anything.

pub mod chart;
pub mod picture;
pub mod plot;
pub mod report;
pub mod sheet;
