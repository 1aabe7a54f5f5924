//! The confusion matrix of a split and the figures that it gives, as mmsegmentation counts them. Must not know images,
//! models or files.
//!
//! Pixels are summed over the whole split, never image by image. A figure that no pixel speaks for (a class that is
//! neither labelled nor predicted) is `None` and left out of every mean; a class that is predicted without being labelled
//! has the IoU 0, and counts. Background is a class like the others.

use super::Mismatch;
use serde_json::{Map, Value, json};

/// The label of pixels that do not count.
pub const IGNORED: u8 = 255;

/// How many pixels of each class were taken for which class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// A row for each labelled class, a column for each predicted one.
    counts: Vec<u64>,
    /// The sum of all counts, which therefore fits.
    pixels: u64,
}

impl Confusion {
    /// An empty matrix for the classes `0..classes`; there are 1 to 255.
    pub fn new(classes: usize) -> Result<Self, Mismatch> {
        Self::from_counts(classes, vec![0; classes.saturating_mul(classes).min(1 << 16)])
    }

    /// A matrix from its counts, row by row: `counts[label * classes + prediction]` pixels.
    pub fn from_counts(classes: usize, counts: Vec<u64>) -> Result<Self, Mismatch> {
        if classes == 0 || classes > usize::from(IGNORED) {
            let text =
                format!("{classes} classes cannot be told apart by a byte of which {IGNORED} is ignored: 1 to 255");
            return Err(Mismatch(text));
        }
        if counts.len() != classes * classes {
            return Err(Mismatch(format!("{} counts are no confusion matrix of {classes} classes", counts.len())));
        }
        let pixels = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count)).ok_or_else(too_many)?;
        Ok(Self { classes, counts, pixels })
    }

    /// Counts an image: class maps of equal size, in whatever order of pixels. Where the label is 255 nothing counts. A
    /// label or prediction that is no class is an error, and nothing of the image is counted then.
    pub fn add(&mut self, label: &[u8], prediction: &[u8]) -> Result<(), Mismatch> {
        if label.len() != prediction.len() {
            let text =
                format!("{} labels for {} predictions; they are to be of one size", label.len(), prediction.len());
            return Err(Mismatch(text));
        }
        let classes = self.classes;
        let outside = |value: u8| usize::from(value) >= classes;
        if let Some(value) = prediction.iter().find(|value| outside(**value)) {
            return Err(Mismatch(format!(
                "the prediction holds class {value}, and the model has 0 to {}",
                classes - 1
            )));
        }
        if let Some(value) = label.iter().find(|value| outside(**value) && **value != IGNORED) {
            let text = format!(
                "the labels hold class {value}, and the model has 0 to {}; evaluate it on masks of the classes it was trained on",
                classes - 1
            );
            return Err(Mismatch(text));
        }
        // With this sum, no count and no sum of counts can run over either.
        self.pixels.checked_add(label.len() as u64).ok_or_else(too_many)?;
        let mut counted = 0;
        let mut count = |label: u8, prediction: u8, pixels: u64| {
            let at = usize::from(label) * classes + usize::from(prediction);
            if let Some(count) = self.counts.get_mut(at).filter(|_| label != IGNORED) {
                *count += pixels;
                counted += pixels;
            }
        };
        // Neighbours are mostly alike: equal pairs are counted together.
        let mut pairs = label.iter().zip(prediction);
        if let Some(mut last) = pairs.next() {
            let mut length = 1;
            for pair in pairs {
                if pair == last {
                    length += 1;
                } else {
                    count(*last.0, *last.1, length);
                    (last, length) = (pair, 1);
                }
            }
            count(*last.0, *last.1, length);
        }
        self.pixels += counted;
        Ok(())
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) -> Result<(), Mismatch> {
        if self.classes != other.classes {
            return Err(Mismatch(format!(
                "a confusion matrix of {} classes and one of {} do not add up",
                self.classes, other.classes
            )));
        }
        self.pixels = self.pixels.checked_add(other.pixels).ok_or_else(too_many)?;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        Ok(())
    }

    /// How many classes there are, background among them.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The counts row by row: `[label * classes + prediction]` pixels.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Pixels of all classes; ignored ones are not among them.
    pub fn pixels(&self) -> u64 {
        self.pixels
    }

    /// The IoU of a choice of classes taken for one against all the others: `chosen` says which classes are meant.
    /// `None` where no pixel is labelled or predicted so.
    pub fn iou_of(&self, chosen: impl Fn(usize) -> bool) -> Option<f64> {
        let (mut both, mut either) = (0, 0);
        for (label, row) in self.counts.chunks_exact(self.classes).enumerate() {
            for (prediction, count) in row.iter().enumerate() {
                let (labelled, predicted) = (chosen(label), chosen(prediction));
                both += if labelled && predicted { *count } else { 0 };
                either += if labelled || predicted { *count } else { 0 };
            }
        }
        share(both, either)
    }

    /// All figures.
    pub fn metrics(&self) -> Metrics {
        let mut per_class = vec![ClassMetrics::default(); self.classes];
        for (label, row) in self.counts.chunks_exact(self.classes).enumerate() {
            for (prediction, count) in row.iter().enumerate() {
                if let Some(class) = per_class.get_mut(prediction) {
                    class.predicted += count;
                    class.right += if label == prediction { *count } else { 0 };
                }
                if let Some(class) = per_class.get_mut(label) {
                    class.labelled += count;
                }
            }
        }
        for class in &mut per_class {
            let wrong = (class.labelled - class.right) + (class.predicted - class.right);
            class.accuracy = share(class.right, class.labelled);
            class.iou = share(class.right, class.right + wrong);
            class.equation_1 = class.iou.and_then(|_| share(self.pixels - wrong, self.pixels));
        }
        Metrics {
            pixel_accuracy: share(per_class.iter().map(|class| class.right).sum(), self.pixels),
            mean_accuracy: mean(per_class.iter().map(|class| class.accuracy)),
            mean_iou: mean(per_class.iter().map(|class| class.iou)),
            equation_1: mean(per_class.iter().map(|class| class.equation_1)),
            foreground_iou: self.iou_of(|class| class > 0),
            per_class,
        }
    }
}

fn too_many() -> Mismatch {
    Mismatch("more pixels than can be counted in 64 bits; the counts are damaged".to_owned())
}

/// Figures of one class; shares lie in 0–1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassMetrics {
    /// Pixels of this label.
    pub labelled: u64,
    /// Pixels of this prediction, ignored ones left out.
    pub predicted: u64,
    /// Pixels of both.
    pub right: u64,
    /// `Acc`: the labelled pixels that were found. `None` where none is labelled.
    pub accuracy: Option<f64>,
    /// `IoU`: right over labelled or predicted. `None` where there is neither.
    pub iou: Option<f64>,
    /// The paper's equation 1: (TP + TN) / (TP + TN + FP + FN). `None` as the IoU is.
    pub equation_1: Option<f64>,
}

/// Figures of a split, each a share in 0–1, or `None` where no pixel speaks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// `aAcc`: pixels that are right.
    pub pixel_accuracy: Option<f64>,
    /// `mAcc`: the mean of the classes' accuracies.
    pub mean_accuracy: Option<f64>,
    /// `mIoU`: the mean of the classes' IoU. It is the mean of the paper's equation 2, TP / (TP + FP + FN), too.
    pub mean_iou: Option<f64>,
    /// The mean of the paper's equation 1 over the classes that are labelled or predicted. True negatives make it high
    /// whatever the network does: the paper's table shows `aAcc` instead.
    pub equation_1: Option<f64>,
    /// The IoU of any class but 0 against class 0.
    pub foreground_iou: Option<f64>,
    /// Class by class.
    pub per_class: Vec<ClassMetrics>,
}

impl Metrics {
    /// The mean IoU of background and of the classes that were seen often enough: `instances` holds, class by class,
    /// how often each was there to learn from (the entry of background is not looked at).
    pub fn mean_iou_of_common(&self, instances: &[u64], at_least: u64) -> Result<Option<f64>, Mismatch> {
        if instances.len() != self.per_class.len() {
            return Err(Mismatch(format!(
                "instances of {} classes are given, and the model has {}",
                instances.len(),
                self.per_class.len()
            )));
        }
        let common = self.per_class.iter().zip(instances).enumerate();
        let common = common.filter(|(class, (_, instances))| *class == 0 || **instances >= at_least);
        Ok(mean(common.map(|(_, (figures, _))| figures.iou)))
    }

    /// The figures in per cent, rounded as mmsegmentation prints them; `null` where there is none. `names` by class.
    pub fn to_json(&self, names: &[&str]) -> Map<String, Value> {
        let class = |(value, class): (usize, &ClassMetrics)| {
            json!({
                "class": value,
                "name": names.get(value),
                "IoU": percent(class.iou),
                "Acc": percent(class.accuracy),
                "labelled_px": class.labelled,
                "predicted_px": class.predicted,
                "right_px": class.right,
            })
        };
        let mut all = Map::new();
        for (key, value) in [
            ("aAcc", percent(self.pixel_accuracy)),
            ("mAcc", percent(self.mean_accuracy)),
            ("mIoU", percent(self.mean_iou)),
            ("paper_equation_1", percent(self.equation_1)),
            ("paper_equation_2", percent(self.mean_iou)),
            ("foreground_iou", percent(self.foreground_iou)),
        ] {
            all.insert(key.to_owned(), json!(value));
        }
        all.insert("per_class".to_owned(), self.per_class.iter().enumerate().map(class).collect());
        all
    }
}

/// A share in per cent with two decimals, halves to the even digit as numpy rounds.
pub fn percent(share: Option<f64>) -> Option<f64> {
    share.map(|share| (share * 100.0 * 100.0).round_ties_even() / 100.0)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The mean of what there is.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let there: Vec<f64> = values.flatten().collect();
    (!there.is_empty()).then(|| there.iter().sum::<f64>() / there.len() as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bytes, read, whole};
    use super::*;

    #[test]
    fn figures_equal_mmsegmentation_to_the_last_digit_printed() {
        let cases = read("confusion");
        for case in cases.as_array().unwrap() {
            let mut confusion = Confusion::new(whole(&case["classes"])).unwrap();
            for image in case["images"].as_array().unwrap() {
                let mut one = Confusion::new(confusion.classes()).unwrap();
                one.add(&bytes(&image["label"]), &bytes(&image["prediction"])).unwrap();
                confusion.merge(&one).unwrap();
            }
            let metrics = confusion.metrics();
            let got = metrics.to_json(&[]);
            for key in ["aAcc", "mAcc", "mIoU", "paper_equation_1", "paper_equation_2", "foreground_iou"] {
                assert_eq!(got[key], case[key], "{key} of {}", case["name"]);
            }
            for (class, figures) in got["per_class"].as_array().unwrap().iter().enumerate() {
                assert_eq!(figures["IoU"], case["IoU"][class], "IoU of {class} of {}", case["name"]);
                assert_eq!(figures["Acc"], case["Acc"][class], "Acc of {class} of {}", case["name"]);
            }
            let instances: Vec<u64> =
                case["instances"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
            let common = metrics.mean_iou_of_common(&instances, case["at_least"].as_u64().unwrap()).unwrap();
            assert_eq!(json!(percent(common)), case["mIoU_common"], "{}", case["name"]);
        }
    }

    #[test]
    fn what_is_no_class_is_refused_and_nothing_of_the_image_counts() {
        let mut confusion = Confusion::new(3).unwrap();
        assert!(confusion.add(&[0, 1], &[0, 3]).unwrap_err().0.contains("class 3"));
        assert!(confusion.add(&[0, 255], &[0, 255]).unwrap_err().0.contains("prediction"));
        assert!(confusion.add(&[0, 7], &[0, 0]).unwrap_err().0.contains("labels hold class 7"));
        assert!(confusion.add(&[0], &[0, 0]).is_err());
        assert_eq!(confusion.pixels(), 0);
        confusion.add(&[0, 255, 2], &[0, 1, 1]).unwrap();
        assert_eq!((confusion.pixels(), confusion.counts()[7]), (2, 1));
    }

    #[test]
    fn absent_classes_have_no_figure_and_predicted_ones_have_zero() {
        let mut confusion = Confusion::new(4).unwrap();
        confusion.add(&[0, 0, 1, 1], &[0, 2, 1, 1]).unwrap();
        let metrics = confusion.metrics();
        let ious: Vec<_> = metrics.per_class.iter().map(|class| class.iou).collect();
        assert_eq!(ious, [Some(0.5), Some(1.0), Some(0.0), None]);
        assert_eq!(metrics.per_class[2].accuracy, None);
        assert_eq!((metrics.mean_iou, metrics.mean_accuracy), (Some(0.5), Some(0.75)));
        assert_eq!(metrics.foreground_iou, Some(2.0 / 3.0));
        assert_eq!(confusion.iou_of(|class| class == 1), Some(1.0));
    }

    #[test]
    fn without_pixels_there_are_no_figures() {
        let metrics = Confusion::new(2).unwrap().metrics();
        assert_eq!((metrics.pixel_accuracy, metrics.mean_iou, metrics.foreground_iou), (None, None, None));
        assert_eq!(metrics.to_json(&["background"])["per_class"][0]["IoU"], Value::Null);
    }

    #[test]
    fn matrices_that_cannot_be_are_refused() {
        assert!(Confusion::new(0).is_err());
        assert!(Confusion::new(256).is_err());
        assert!(Confusion::new(255).is_ok());
        assert!(Confusion::from_counts(2, vec![1; 3]).is_err());
        assert!(Confusion::from_counts(1, vec![u64::MAX]).unwrap().add(&[0], &[0]).is_err());
        assert!(Confusion::from_counts(2, vec![u64::MAX, 1, 0, 0]).is_err());
        assert!(Confusion::new(2).unwrap().merge(&Confusion::new(3).unwrap()).is_err());
    }
}
