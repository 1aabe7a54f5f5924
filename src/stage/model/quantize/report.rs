//! What a quantisation came to, as facts for programs (serde) and a table for people (`Display`). Must not decide anything.

use super::{Agreement, QuantizeSettings};
use crate::graph::quantise::{Method, Written};
use serde::Serialize;
use std::fmt;

/// One choice of nodes that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Computing nodes on bytes.
    pub quantised_nodes: usize,
    /// Computing nodes in floats.
    pub float_nodes: usize,
    /// The mean IoU on calibration photos.
    pub mean_iou: f64,
    /// That of the worst tenth of them.
    pub worst_tenth_iou: f64,
    /// The mean IoU on the held-out photos, where the calibration photos gave reason to ask them.
    pub held_out_iou: Option<f64>,
}

impl Candidate {
    pub(super) fn of(written: &Written, agreement: &Agreement) -> Self {
        Self {
            quantised_nodes: written.quantised,
            float_nodes: written.floats.len(),
            mean_iou: agreement.mean_iou,
            worst_tenth_iou: agreement.worst_tenth_iou,
            held_out_iou: None,
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.quantised_nodes + self.float_nodes;
        write!(f, "{} of {nodes} nodes in int8: IoU {:.4}", self.quantised_nodes, self.mean_iou)?;
        write!(f, ", worst tenth {:.4}", self.worst_tenth_iou)?;
        self.held_out_iou.map_or(Ok(()), |iou| write!(f, "; held out {iou:.4}"))
    }
}

/// A model that was quantised.
#[derive(Clone, Debug, Serialize)]
pub struct Quantized {
    /// The model in floats.
    pub model: String,
    /// The file that was written.
    pub output: String,
    /// How ranges were chosen.
    pub method: String,
    /// Photos that they come from.
    pub images: usize,
    /// Photos that could not be read, with the reason.
    pub unreadable: Vec<String>,
    /// Computing nodes on bytes.
    pub quantised_nodes: usize,
    /// The names of those that stay in floats.
    pub float_nodes: Vec<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of the model in floats.
    pub bytes_before: u64,
    /// Milliseconds of one processor for a photo, in floats.
    pub cpu_ms_before: f64,
    /// The same with bytes.
    pub cpu_ms: f64,
    /// The one over the other.
    pub speedup: f64,
    /// The licence that the sidecar states.
    pub licence: Option<String>,
    /// What was tried, in turn.
    pub tried: Vec<Candidate>,
    /// How near it comes to the model in floats on photos that it was not calibrated with.
    pub agreement: Agreement,
}

/// The method's word on the command line.
pub(super) fn word(method: Method) -> &'static str {
    match method {
        Method::MinMax => "minmax",
        Method::Percentile => "percentile",
        Method::Entropy => "entropy",
    }
}

impl fmt::Display for Quantized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.quantised_nodes + self.float_nodes.len();
        writeln!(f, "{} → {}", self.model, self.output)?;
        writeln!(
            f,
            "  nodes      {} of {nodes} in int8, ranges by {} of {} photos",
            self.quantised_nodes, self.method, self.images
        )?;
        let Agreement { mean_iou, worst_tenth_iou, min_iou, mean_difference, photos } = &self.agreement;
        write!(f, "  held out   {} photos: IoU with floats {mean_iou:.4}, worst tenth ", photos.len())?;
        writeln!(f, "{worst_tenth_iou:.4}, least {min_iou:.4}; difference {mean_difference:.4}")?;
        write!(f, "  processor  {:.1} ms a photo instead of {:.1}: ", self.cpu_ms, self.cpu_ms_before)?;
        match self.speedup > 1.0 {
            true => writeln!(f, "{:.2} times as fast", self.speedup)?,
            false => writeln!(f, "not faster on this processor; keep the model in floats")?,
        }
        write!(f, "  size       {} bytes instead of {}", self.bytes, self.bytes_before)?;
        for photo in &self.unreadable {
            write!(f, "\n  left out   {photo}")?;
        }
        Ok(())
    }
}

/// Why nothing was written, and what can be done.
pub(super) fn refusal(model: &str, settings: &QuantizeSettings, agreement: &Agreement, tried: &[Candidate]) -> String {
    let best = tried.iter().map(|candidate| candidate.mean_iou).fold(0.0, f64::max);
    let worst: Vec<String> =
        agreement.photos.iter().take(3).map(|photo| format!("{} ({:.3})", photo.photo, photo.iou)).collect();
    format!(
        "{model} is not quantised: with {} choices of nodes the IoU against floats reached {best:.4} at best, and the last one \
         gives {:.4} on average and {:.4} on the worst tenth where {} is asked for; the worst photos are {}. Nothing was \
         written. Calibrate with more photos of the kind you cut out (--images), try another --method, or ask for less \
         (--min-iou)",
        tried.len(),
        agreement.mean_iou,
        agreement.worst_tenth_iou,
        settings.min_iou,
        worst.join(", ")
    )
}
