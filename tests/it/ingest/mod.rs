//! Ingest against bad input: every case has a name, and gets the answer that its name says.

mod files;
mod masks;
mod rows;
mod store;

use crate::tables::{Annotation, Bench};
use selvedge::stage::ingest::{self, Settings, Source};
use selvedge::stage::{Error, Report};
use selvedge::table::schema::{ANNOTATIONS, QUARANTINE};

pub(super) const HEADER: &str = "ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds\n";
/// A good row beside the one that a test is about.
pub(super) const GOOD: &str = "good,1 3 10 5,10,8,6,\n";

pub(super) struct Case {
    pub(super) bench: Bench,
    pub(super) result: Result<Report, Error>,
}

impl Case {
    pub(super) fn reasons(&self) -> Vec<(String, String)> {
        self.bench.quarantine().into_iter().map(|row| (row.item, row.reason)).collect()
    }

    pub(super) fn nothing_is_published(&self) {
        assert!(self.bench.context.tables.current(&ANNOTATIONS).unwrap().is_none());
        assert!(self.bench.context.tables.current(&QUARANTINE).unwrap().is_none());
    }

    pub(super) fn only_row(&self) -> Annotation {
        self.result.as_ref().unwrap();
        assert_eq!(self.reasons(), []);
        let [row] = self.bench.annotations().try_into().unwrap();
        row
    }

    /// The one row that was rejected, beside the good one.
    pub(super) fn only_rejected(&self) -> (String, String, String) {
        let report = self.result.as_ref().unwrap();
        assert_eq!((report.counts.ok, report.counts.quarantined), (1, 1));
        assert_eq!(self.bench.annotations()[0].image, "good");
        let [row] = self.bench.quarantine().try_into().unwrap();
        (row.reason, row.detail, row.place)
    }
}

pub(super) fn run(bench: &Bench, change: impl FnOnce(&mut Settings)) -> Result<Report, Error> {
    let csv = vec![Source { store: bench.store().clone(), key: "in/train.csv".to_owned() }];
    let mut settings = Settings { csv, ..Settings::default() };
    change(&mut settings);
    let fingerprint = ingest::fingerprint(&settings, &bench.context)?;
    ingest::run(&settings, fingerprint, &bench.context)
}

pub(super) fn with(bytes: impl Into<Vec<u8>>, change: impl FnOnce(&mut Settings)) -> Case {
    let bench = Bench::new("ingest");
    bench.put("in/train.csv", bytes.into());
    let result = run(&bench, change);
    Case { bench, result }
}

pub(super) fn plain(bytes: impl Into<Vec<u8>>) -> Case {
    with(bytes, |_| ())
}

/// One row after the header.
pub(super) fn one(row: &str) -> Case {
    plain(format!("{HEADER}{row}\n"))
}

/// One row, which is to be rejected, before the good one.
pub(super) fn bad(row: &str) -> (String, String, String) {
    plain(format!("{HEADER}{row}\n{GOOD}")).only_rejected()
}

pub(super) fn rejected(row: &str, reason: &str) {
    assert_eq!(bad(row).0, reason, "{row}");
}
