//! Figures for people: tables in plain text. Must not compute any.

use super::figures::{Evaluation, share};
use serde_json::Value;
use std::fmt::Write as _;

/// Per cent with two decimals.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "nan".to_owned(), |value| format!("{value:.2}"))
}

impl Evaluation {
    /// The table of classes, the figures, and as the last line the headline.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} ({}): {} images of the split {}, {:.1} megapixels; {}\n{:.1} s, {:.2} images/s on {}\n\n",
            self.name,
            self.model,
            self.images,
            self.split,
            self.pixels as f64 / 1e6,
            self.look,
            self.seconds,
            self.images_per_second,
            self.device
        );
        self.classes(&mut text);
        let line = |text: &mut String, name: &str, value: String| {
            let _ = writeln!(text, "{name:<44} {value:>7}");
        };
        text.push('\n');
        for (name, key) in [
            ("aAcc, pixels that are right", "aAcc"),
            ("mAcc, mean over classes", "mAcc"),
            ("mIoU, mean over classes", "mIoU"),
            ("paper's equation 1, mean over classes", "paper_equation_1"),
            ("paper's equation 2, mean over classes", "paper_equation_2"),
            ("foreground IoU", "foreground_iou"),
        ] {
            line(&mut text, name, percent(self.figure(key)));
        }
        line(&mut text, "foreground boundary IoU", percent(self.boundary_iou));
        if let Some(common) = &self.common {
            let name = format!(
                "mIoU, background and {} classes from {} on",
                common.classes.len().saturating_sub(1),
                common.at_least
            );
            line(&mut text, &name, percent(common.value));
        }
        if let Some(floors) = &self.floors {
            let of = |value: Option<f64>| share(value.map(|value| value / 100.0));
            let _ = write!(
                text,
                "\nwithout a network: colour threshold foreground IoU {}; classes of colours (learnt from {} photos) mIoU {}",
                of(floors.threshold_foreground_iou),
                floors.colour_photos,
                of(floors.colour_miou)
            );
            if self.common.is_some() {
                let _ = write!(text, ", of common classes {}", of(floors.colour_miou_common));
            }
            let _ = writeln!(text, ", foreground IoU {}", of(floors.colour_foreground_iou));
        }
        let _ = write!(text, "\n{}\n", self.headline.line(&self.split));
        text
    }

    fn classes(&self, text: &mut String) {
        let classes = self.figures.get("per_class").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let _ = writeln!(text, "{:<44} {:>7} {:>7} {:>13} {:>9}", "class", "IoU", "Acc", "labelled px", "instances");
        for (value, class) in classes.iter().enumerate() {
            let instances = self.instances.as_ref().and_then(|instances| instances.get(value)).filter(|_| value > 0);
            let _ = writeln!(
                text,
                "{:<44} {:>7} {:>7} {:>13} {:>9}",
                class["name"].as_str().unwrap_or("unknown"),
                percent(class["IoU"].as_f64()),
                percent(class["Acc"].as_f64()),
                class["labelled_px"].as_u64().unwrap_or(0),
                instances.map_or_else(|| "-".to_owned(), ToString::to_string)
            );
        }
    }
}
