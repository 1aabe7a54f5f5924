//! Tables and curves in, SVG and HTML text out. Must not know where figures come from, nor read or write anything.

pub mod chart;
