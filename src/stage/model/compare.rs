//! Our numbers beside a reference's, tensor by tensor, and whether all of it was compared. Must not know where either
//! comes from.

use crate::graph::Tensor;
use crate::graph::weights::Weights;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How far a tensor may be from the reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Every number the same.
    Exact,
    /// The greatest difference of two numbers.
    Absolute(f64),
    /// The greatest difference of two numbers, as a share of the reference's.
    Relative(f64),
    /// The length of the difference as a share of the length of the reference; where that is less than 1e-6, the greatest
    /// difference, up to the second number.
    Length(f64, f64),
}

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The tensor's name in the file.
    pub tensor: String,
    /// `exact`, `absolute`, `relative` or `relative_l2`.
    pub measure: &'static str,
    /// What was found; nothing where nothing could be compared.
    pub error: Option<f64>,
    /// What is allowed.
    pub limit: f64,
    /// Why nothing could be compared.
    pub problem: Option<String>,
}

impl Line {
    /// Whether the tensor is as near as it must be.
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.error.is_some_and(|error| error <= self.limit)
    }
}

/// All comparisons of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// One for each tensor of the file, and for each that should be there.
    pub lines: Vec<Line>,
}

impl Verdict {
    /// Whether every tensor was compared and is near enough.
    pub fn passed(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(Line::passed)
    }
}

impl fmt::Display for Verdict {
    /// The worst of each kind of tensor, then everything that failed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<(&str, &str), Vec<&Line>> = BTreeMap::new();
        for line in self.lines.iter().filter(|line| line.error.is_some()) {
            let kind = line.tensor.split('/').next().unwrap_or_default();
            kinds.entry((kind, line.measure)).or_default().push(line);
        }
        for ((kind, measure), lines) in kinds {
            let share = |line: &Line| line.error.unwrap_or(0.0) / line.limit.max(f64::MIN_POSITIVE);
            let Some(worst) = lines.iter().copied().max_by(|a, b| share(a).total_cmp(&share(b))) else { continue };
            let error = worst.error.unwrap_or(0.0);
            writeln!(
                f,
                "{kind:<8} {:>4} tensors  worst {measure} {error:.2e} of {:.0e} allowed  {}",
                lines.len(),
                worst.limit,
                worst.tensor
            )?;
        }
        for line in self.lines.iter().filter(|line| !line.passed()) {
            match (&line.problem, line.error) {
                (Some(problem), _) => writeln!(f, "FAILED   {}: {problem}", line.tensor)?,
                (None, Some(error)) => {
                    writeln!(f, "FAILED   {}: {} {error:.2e}, allowed {:.0e}", line.tensor, line.measure, line.limit)?;
                }
                (None, None) => writeln!(f, "FAILED   {}: not compared", line.tensor)?,
            }
        }
        let failed = self.lines.iter().filter(|line| !line.passed()).count();
        match failed {
            0 => write!(f, "passed: all {} tensors", self.lines.len()),
            _ => write!(f, "failed: {failed} of {} tensors", self.lines.len()),
        }
    }
}

/// A file of reference numbers, and what has been compared with it so far.
pub struct Ledger<'a> {
    reference: &'a Weights,
    seen: BTreeSet<String>,
    lines: Vec<Line>,
    /// Our own numbers under the same names.
    pub ours: Weights,
}

impl<'a> Ledger<'a> {
    /// Nothing compared yet.
    pub fn new(reference: &'a Weights) -> Self {
        Self { reference, seen: BTreeSet::new(), lines: Vec::new(), ours: Weights::default() }
    }

    /// Compares a tensor of ours with that of the same name.
    pub fn compare(&mut self, name: &str, ours: Tensor, limit: Limit) {
        self.seen.insert(name.to_owned());
        let (measure, allowed) = match limit {
            Limit::Exact => ("exact", 0.0),
            Limit::Absolute(limit) => ("absolute", limit),
            Limit::Relative(limit) => ("relative", limit),
            Limit::Length(limit, _) => ("relative_l2", limit),
        };
        let mut line = Line { tensor: name.to_owned(), measure, error: None, limit: allowed, problem: None };
        match self.reference.tensors.get(name) {
            None => line.problem = Some("the file does not have it".to_owned()),
            Some(wanted) if wanted.element() != ours.element() => {
                line.problem = Some(format!("it is {} here and {} in the file", ours.element(), wanted.element()));
            }
            Some(wanted) if wanted.dims() != ours.dims() => {
                line.problem = Some(format!("it is {:?} here and {:?} in the file", ours.dims(), wanted.dims()));
            }
            Some(wanted) => judge(&mut line, &ours.to_f64(), &wanted.to_f64(), limit),
        }
        self.lines.push(line);
        self.ours.tensors.insert(name.to_owned(), ours);
    }

    /// Notes something that keeps a tensor from being compared.
    pub fn problem(&mut self, name: &str, problem: impl Into<String>) {
        self.seen.insert(name.to_owned());
        let line =
            Line { tensor: name.to_owned(), measure: "exact", error: None, limit: 0.0, problem: Some(problem.into()) };
        self.lines.push(line);
    }

    /// Whether something has failed already.
    pub fn failed(&self) -> bool {
        self.lines.iter().any(|line| !line.passed())
    }

    /// The verdict when the rest cannot be computed, for this reason.
    pub fn give_up(mut self, why: &str) -> (Verdict, Weights) {
        let left: Vec<String> =
            self.reference.tensors.keys().filter(|name| !self.seen.contains(*name)).cloned().collect();
        for name in left {
            self.problem(&name, why);
        }
        (Verdict { lines: self.lines }, self.ours)
    }

    /// The verdict and our numbers: what the file holds and nobody compared is a failure too.
    pub fn close(self) -> (Verdict, Weights) {
        self.give_up("nothing here is called so")
    }
}

fn judge(line: &mut Line, ours: &[f64], wanted: &[f64], limit: Limit) {
    if ours.iter().chain(wanted).any(|number| !number.is_finite()) {
        line.problem = Some("it holds numbers that are not finite".to_owned());
        return;
    }
    let apart = || ours.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    let greatest = apart().fold(0.0, f64::max);
    line.error = Some(match limit {
        Limit::Exact | Limit::Absolute(_) => greatest,
        Limit::Relative(_) => {
            let share = |(apart, wanted): (f64, &f64)| if apart == 0.0 { 0.0 } else { apart / wanted.abs() };
            apart().zip(wanted).map(share).fold(0.0, f64::max)
        }
        Limit::Length(_, absolute) => {
            let length = wanted.iter().map(|number| number * number).sum::<f64>().sqrt();
            if length < 1e-6 {
                line.measure = "absolute";
                line.limit = absolute;
                greatest
            } else {
                apart().map(|apart| apart * apart).sum::<f64>().sqrt() / length
            }
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Ledger, Limit};
    use crate::graph::Tensor;
    use crate::graph::weights::Weights;

    fn file(tensors: &[(&str, &[f32])]) -> Weights {
        let tensor = |values: &[f32]| Tensor::f32(&[values.len()], values).unwrap();
        Weights {
            tensors: tensors.iter().map(|(name, values)| ((*name).to_owned(), tensor(values))).collect(),
            ..Weights::default()
        }
    }

    fn passes(reference: &[(&str, &[f32])], ours: &[(&str, &[f32])], limit: Limit) -> bool {
        let reference = file(reference);
        let mut ledger = Ledger::new(&reference);
        for (name, tensor) in file(ours).tensors {
            ledger.compare(&name, tensor, limit);
        }
        ledger.close().0.passed()
    }

    #[test]
    fn a_file_passes_only_when_all_of_it_was_compared_and_is_near() {
        let near = Limit::Length(1e-4, 1e-3);
        assert!(passes(&[("a", &[1.0, 2.0])], &[("a", &[1.0, 2.0001])], near));
        assert!(!passes(&[("a", &[1.0, 2.0])], &[("a", &[1.0, 2.001])], near));
        assert!(!passes(&[("a", &[1.0]), ("b", &[1.0])], &[("a", &[1.0])], near), "one was not compared");
        assert!(!passes(&[("a", &[1.0])], &[("a", &[1.0]), ("b", &[1.0])], near), "one is missing in the file");
        assert!(!passes(&[("a", &[1.0])], &[("a", &[1.0, 1.0])], near), "misshapen");
        assert!(!passes(&[("a", &[f32::NAN])], &[("a", &[f32::NAN])], near), "not a number");
        assert!(!passes(&[("a", &[1.0])], &[("a", &[f32::NAN])], near), "not a number");
        assert!(!passes(&[], &[], near), "nothing was compared");
        assert!(passes(&[("a", &[0.0])], &[("a", &[5e-4])], near), "short ones absolutely");
        assert!(!passes(&[("a", &[0.0])], &[("a", &[5e-3])], near));
        assert!(!passes(&[("a", &[0.0])], &[("a", &[1e-9])], Limit::Relative(1e-5)));
    }
}
