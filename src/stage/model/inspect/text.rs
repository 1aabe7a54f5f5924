//! The facts as aligned tables for people. Must not know where facts come from. Texts of files are made harmless for
//! terminals, and cut where they are long.

use super::{ArtifactFacts, GraphFacts, Inspection, NetworkFacts, Port, PortRole, WeightsFacts};
use crate::graph::{Measure, Stock};
use std::collections::BTreeMap;
use std::fmt::{self, Formatter};

/// Longest text of a file in a table, in characters.
const LONGEST: usize = 120;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(facts) => facts.fmt(f),
            Self::Weights(facts) => {
                facts.fmt(f)?;
                let rows = facts
                    .tensors
                    .iter()
                    .map(|tensor| vec![clean(&tensor.name), tensor.element.clone(), format!("{:?}", tensor.shape)]);
                section(f, "tensors", rows.collect())
            }
            Self::Artifact(facts) => facts.fmt(f),
        }
    }
}

impl fmt::Display for ArtifactFacts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: an artifact of {} graphs", clean(&self.folder), self.graphs.len())?;
        words(f, "artifact.toml", &self.metadata)?;
        for graph in &self.graphs {
            write!(f, "\n\n{graph}")?;
        }
        for weights in &self.weights {
            write!(f, "\n\n{weights}")?;
        }
        Ok(())
    }
}

impl fmt::Display for GraphFacts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ONNX, opset {}, IR {}", clean(&self.file), self.opset, self.ir_version)?;
        for (domain, version) in &self.other_opsets {
            write!(f, ", {} {version}", clean(domain))?;
        }
        if !self.producer.is_empty() {
            write!(f, ", by {}", clean(&self.producer))?;
        }
        write!(f, ", {}", size(self.file_bytes))?;
        section(f, "inputs", ports(&self.inputs))?;
        section(f, "outputs", ports(&self.outputs))?;
        section(f, "", self.costs())?;
        let operators = self.operators.iter().map(|count| vec![clean(&count.operator), grouped(count.nodes)]);
        section(f, "operators", operators.collect())?;
        words(f, "metadata", &self.metadata)?;
        section(f, "notes", self.notes.iter().map(|note| vec![harmless(note)]).collect())
    }
}

impl GraphFacts {
    fn costs(&self) -> Vec<Vec<String>> {
        let row = |name: &str, text: String| vec![name.to_owned(), text];
        let mut rows = vec![row("parameters", stock(&self.weights))];
        match (&self.measure, &self.unknown) {
            (Some(measure), _) => {
                rows.push(row("operations", operations(measure)));
                let at = measure.peak_node.as_deref().map(clean).unwrap_or_default();
                let (peak, total) = (size(measure.peak_bytes), size(measure.total_bytes));
                rows.push(row("memory of a run", format!("{peak} at most, at {at}; {total} if all were kept")));
            }
            (None, why) => {
                let why = why.as_deref().map(harmless).unwrap_or_default();
                rows.push(row("operations", format!("unknown: {why}")));
                rows.push(row("memory of a run", "unknown for the same reason".to_owned()));
            }
        }
        rows
    }
}

impl fmt::Display for WeightsFacts {
    /// Without the list of tensors.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}", clean(&self.file), self.format, size(self.file_bytes))?;
        let naming = self.naming.as_deref().unwrap_or("not those of mmsegmentation, Segmenter or timm");
        let mut rows =
            vec![vec!["tensors".to_owned(), stock(&self.total)], vec!["names".to_owned(), naming.to_owned()]];
        if let Some(network) = &self.network {
            rows.extend(network.rows());
        }
        section(f, "", rows)?;
        words(f, "metadata", &self.metadata)
    }
}

impl NetworkFacts {
    fn rows(&self) -> Vec<Vec<String>> {
        let mut parts = vec![match (&self.name, &self.arch) {
            (Some(name), _) => name.clone(),
            (None, Some(arch)) => format!("{arch} of its own size"),
            (None, None) => "an encoder alone".to_owned(),
        }];
        parts.extend(self.classes.map(|classes| format!("{classes} classes")));
        parts.push(format!("width {}", self.width));
        parts.push(format!("layers {}", self.layers));
        parts.push(format!("patches of {} pixels", self.patch));
        parts.extend(self.grid.map(|(rows, columns)| format!("{rows}×{columns} positions")));
        let mut rows = vec![vec!["network".to_owned(), parts.join(", ")]];
        for (what, names) in [("missing", &self.missing), ("different", &self.different), ("unused", &self.unused)] {
            if !names.is_empty() {
                rows.push(vec![what.to_owned(), clean(&format!("{}: {}", names.len(), names.join(", ")))]);
            }
        }
        rows
    }
}

/// Data one by one, weights and the state of an optimiser by their number.
fn ports(ports: &[Port]) -> Vec<Vec<String>> {
    let shape = |port: &Port| match &port.shape {
        Some(shape) => clean(&format!("[{}]", shape.join(", "))),
        None => "of any shape".to_owned(),
    };
    let data = ports.iter().filter(|port| port.role == PortRole::Data);
    let mut rows: Vec<_> = data.map(|port| vec![clean(&port.name), port.element.clone(), shape(port)]).collect();
    for (role, name) in [(PortRole::Weight, "weights"), (PortRole::State, "momenta and gradients")] {
        let count = ports.iter().filter(|port| port.role == role).count();
        if count > 0 {
            rows.push(vec![format!("and {} {name}", grouped(count as u64))]);
        }
    }
    rows
}

fn operations(measure: &Measure) -> String {
    let (unit, name) = if measure.flops() >= 100_000_000 { (1e9, "GFLOP") } else { (1e6, "MFLOP") };
    let count = |flops: u64| format!("{:.3}", flops as f64 / unit);
    let mut parts: Vec<_> = measure.products.iter().collect();
    parts.sort_by_key(|(_, flops)| std::cmp::Reverse(**flops));
    let parts: Vec<_> = parts.into_iter().map(|(op, flops)| format!("{op} {}", count(*flops))).collect();
    let inside = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!("{} {name}, 2 for each multiply-add{inside}", count(measure.flops()))
}

fn stock(stock: &Stock) -> String {
    format!("{} in {} tensors, {}", grouped(stock.elements), grouped(stock.tensors), size(stock.bytes))
}

fn words(f: &mut Formatter<'_>, title: &str, words: &BTreeMap<String, String>) -> fmt::Result {
    section(f, title, words.iter().map(|(key, word)| vec![clean(key), clean(word)]).collect())
}

/// Rows, the columns aligned, below a title if there is one; nothing when there is no row.
fn section(f: &mut Formatter<'_>, title: &str, rows: Vec<Vec<String>>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let indent = if title.is_empty() { "" } else { "  " };
    if !title.is_empty() {
        write!(f, "\n{title}")?;
    }
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() == columns).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = width.saturating_sub(cell.chars().count());
            line.push_str(cell);
            line.push_str(&" ".repeat(gap + 2));
        }
        write!(f, "\n{indent}{}", line.trim_end())?;
    }
    Ok(())
}

/// 1234567 as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in units of a thousand.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    match UNITS.iter().find(|(_, unit)| bytes as f64 >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} bytes"),
    }
}

/// A text with nothing in it that a terminal would obey.
fn harmless(text: &str) -> String {
    let escaped = |letter: char| if letter.is_control() { letter.escape_debug().to_string() } else { letter.into() };
    text.chars().map(escaped).collect()
}

/// The same, cut where it is long.
fn clean(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => harmless(&text[..end]) + "…",
        None => harmless(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sizes_have_a_unit() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([999, 1500, 409_990_000].map(size), ["999 bytes", "1.5 kB", "410.0 MB"]);
    }

    #[test]
    fn a_text_of_a_file_is_harmless_and_short() {
        assert_eq!(clean("a\u{1b}[2Jß"), "a\\u{1b}[2Jß");
        assert_eq!(clean(&"x".repeat(200)).chars().count(), LONGEST + 1);
    }
}
