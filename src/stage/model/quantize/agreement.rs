//! How far two networks agree on photos: their maps side by side. Pure; must not know where maps come from.

use crate::image::Probabilities;
use serde::Serialize;

/// Where foreground begins.
const FOREGROUND: f32 = 0.5;

/// One photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhotoAgreement {
    /// Its name.
    pub photo: String,
    /// Foreground in both over foreground in either, at probability 0.5; 1 where neither finds any.
    pub iou: f64,
    /// The mean absolute difference of probabilities.
    pub difference: f64,
}

/// All photos.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The mean IoU.
    pub mean_iou: f64,
    /// The mean IoU of the worst tenth, one photo at least.
    pub worst_tenth_iou: f64,
    /// The least IoU.
    pub min_iou: f64,
    /// The mean absolute difference of probabilities.
    pub mean_difference: f64,
    /// Each photo, the worst first.
    pub photos: Vec<PhotoAgreement>,
}

/// Two maps of one photo.
pub fn compare(photo: &str, wanted: &Probabilities, found: &Probabilities) -> PhotoAgreement {
    let (mut both, mut either, mut difference) = (0_u64, 0_u64, 0.0_f64);
    for (wanted, found) in wanted.plane.iter().zip(&found.plane) {
        let (is_wanted, is_found) = (*wanted > FOREGROUND, *found > FOREGROUND);
        both += u64::from(is_wanted && is_found);
        either += u64::from(is_wanted || is_found);
        difference += f64::from((wanted - found).abs());
    }
    let iou = if either == 0 { 1.0 } else { both as f64 / either as f64 };
    PhotoAgreement { photo: photo.to_owned(), iou, difference: difference / wanted.plane.len().max(1) as f64 }
}

impl Agreement {
    /// Of at least one photo.
    pub fn of(mut photos: Vec<PhotoAgreement>) -> Self {
        photos.sort_by(|a, b| a.iou.total_cmp(&b.iou).then_with(|| a.photo.cmp(&b.photo)));
        let mean = |values: &[PhotoAgreement], of: fn(&PhotoAgreement) -> f64| {
            values.iter().map(of).sum::<f64>() / values.len().max(1) as f64
        };
        let tenth = photos.len().div_ceil(10).min(photos.len());
        Self {
            mean_iou: mean(&photos, |photo| photo.iou),
            worst_tenth_iou: mean(&photos[..tenth], |photo| photo.iou),
            min_iou: photos.first().map_or(0.0, |photo| photo.iou),
            mean_difference: mean(&photos, |photo| photo.difference),
            photos,
        }
    }

    /// Whether neither the mean nor the worst tenth is below the bound.
    pub fn holds(&self, bound: f64) -> bool {
        self.mean_iou >= bound && self.worst_tenth_iou >= bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(plane: &[f32]) -> Probabilities {
        Probabilities { width: plane.len() as u32, height: 1, plane: plane.to_vec() }
    }

    #[test]
    fn maps_are_compared_where_either_is_foreground() {
        let one = compare("a", &map(&[0.9, 0.8, 0.1, 0.0]), &map(&[0.9, 0.4, 0.7, 0.0]));
        assert!((one.iou - 1.0 / 3.0).abs() < 1e-9 && (one.difference - 0.25).abs() < 1e-6, "{one:?}");
        assert_eq!(compare("b", &map(&[0.1, 0.2]), &map(&[0.2, 0.3])).iou, 1.0, "neither finds anything");
        assert_eq!(compare("c", &map(&[0.9]), &map(&[0.1])).iou, 0.0);
    }

    #[test]
    fn a_few_bad_photos_are_not_hidden_by_the_mean() {
        let photo = |at: usize, iou: f64| PhotoAgreement { photo: format!("{at:02}"), iou, difference: 0.0 };
        let mut photos: Vec<PhotoAgreement> = (0..20).map(|at| photo(at, 1.0)).collect();
        photos[7].iou = 0.8;
        let agreement = Agreement::of(photos);
        assert_eq!(agreement.photos[0].photo, "07");
        assert!((agreement.mean_iou - 0.99).abs() < 1e-9 && (agreement.worst_tenth_iou - 0.9).abs() < 1e-9);
        assert!(!agreement.holds(0.98) && agreement.holds(0.9));
    }
}
