//! What the figures of a cutout say of it, and whether it may go to the shop. Must not know how it was made or where it goes.

use super::rows::Figures;
use crate::image::{Cutout, Matte, Probabilities, shape};
use crate::outcome::{Outcome, Reason};

/// Below this share of the picture nothing was found, whatever the bounds say.
const EMPTY_COVERAGE: f32 = 0.0005;
/// The doubt of a cutout in which nothing was found: before every other.
const EMPTY_DOUBT: f32 = 1000.0;
/// The doubt of one that breaks a rule of its products.
const BROKEN_RULE: f32 = 1.5;

/// What a cutout must keep to go to the shop without a person looking at it. Shares are 0–1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Least mean alpha.
    pub min_coverage: f32,
    /// Greatest mean alpha.
    pub max_coverage: f32,
    /// Greatest share of the border's pixels that are subject.
    pub max_border_contact: f32,
    /// Greatest share of pixels neither clear nor opaque.
    pub max_soft_share: f32,
    /// Least mean of |2p − 1| over the network's map.
    pub min_confidence: f32,
    /// Least sharpness of the edge.
    pub min_sharpness: f32,
    /// Most pieces.
    pub max_components: u32,
    /// Most holes.
    pub max_holes: u32,
}

impl Default for Bounds {
    /// Wide: what breaks one of these is nearly always wrong. A shop that knows its photos draws them closer.
    fn default() -> Self {
        Self {
            min_coverage: 0.01,
            max_coverage: 0.95,
            max_border_contact: 0.5,
            max_soft_share: 0.3,
            min_confidence: 0.6,
            min_sharpness: 0.02,
            max_components: 12,
            max_holes: 24,
        }
    }
}

/// The figures of a cutout and of the map and matte it was made from.
pub fn figures(cutout: &Cutout, matte: &Matte, map: &Probabilities) -> Figures {
    let (width, height) = (cutout.width as usize, cutout.height as usize);
    let pixels = (width * height).max(1) as f32;
    let (mut sum, mut soft) = (0_u64, 0_u64);
    for pixel in cutout.rgba.as_chunks::<4>().0 {
        sum += u64::from(pixel[3]);
        soft += u64::from((1..255).contains(&pixel[3]));
    }
    let (mut border, mut contact) = (0_u32, 0_u32);
    let rows = (0..height).flat_map(|y| {
        let whole = y == 0 || y + 1 == height;
        let step = if whole || width < 2 { 1 } else { width - 1 };
        (0..width).step_by(step).map(move |x| y * width + x)
    });
    for index in rows {
        border += 1;
        contact += u32::from(cutout.rgba[index * 4 + 3] >= 128);
    }
    let confidence: f64 = map.plane.iter().map(|p| f64::from((2.0 * p - 1.0).abs())).sum();
    let shape = shape(matte);
    Figures {
        coverage: sum as f32 / 255.0 / pixels,
        soft_share: soft as f32 / pixels,
        border_contact: contact as f32 / border.max(1) as f32,
        confidence: (confidence / map.plane.len().max(1) as f64) as f32,
        components: shape.components,
        holes: shape.holes,
        sharpness: shape.sharpness,
    }
}

/// Whether a cutout may go to the shop.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// `ok`, or `review`.
    pub outcome: Outcome,
    /// Why a person should look: the bound that is broken most.
    pub reason: Option<Reason>,
    /// Every broken bound and rule, in words.
    pub detail: String,
    /// The worst figure against its bound: 0 has nothing against it, above 1 is beyond.
    pub doubt: f32,
}

/// Judges a cutout by its figures and by the rules that its products break.
pub fn verdict(figures: &Figures, bounds: &Bounds, violations: &[String]) -> Verdict {
    if figures.coverage < EMPTY_COVERAGE {
        let detail = "nothing was found in the photo: the cutout is transparent".to_owned();
        return Verdict { outcome: Outcome::Review, reason: Some(Reason::Empty), detail, doubt: EMPTY_DOUBT };
    }
    let mut doubts = doubts(figures, bounds);
    doubts.extend((!violations.is_empty()).then(|| (BROKEN_RULE, Reason::NonCompliant, violations.join("; "))));
    doubts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let doubt = doubts.first().map_or(0.0, |(doubt, ..)| *doubt);
    let broken: Vec<_> = doubts.into_iter().filter(|(doubt, ..)| *doubt > 1.0).collect();
    let reason = broken.first().map(|(_, reason, _)| *reason);
    let detail: Vec<String> = broken.into_iter().map(|(.., detail)| detail).collect();
    let outcome = if reason.is_some() { Outcome::Review } else { Outcome::Ok };
    Verdict { outcome, reason, detail: detail.join("; "), doubt }
}

/// Every figure against its bound: how far it is used up, above 1 when it is broken.
fn doubts(figures: &Figures, bounds: &Bounds) -> Vec<(f32, Reason, String)> {
    let most = |reason, what: &str, found: f32, most: f32| {
        let used = if found <= 0.0 { 0.0 } else { found / most.max(f32::MIN_POSITIVE) };
        (used, reason, format!("{what} {} > {most}", short(found)))
    };
    let least = |reason, what: &str, found: f32, least: f32| {
        let used = if least <= 0.0 { 0.0 } else { least / found.max(f32::MIN_POSITIVE) };
        (used, reason, format!("{what} {} < {least}", short(found)))
    };
    vec![
        least(Reason::Coverage, "coverage", figures.coverage, bounds.min_coverage),
        most(Reason::Coverage, "coverage", figures.coverage, bounds.max_coverage),
        most(Reason::TouchesBorder, "border contact", figures.border_contact, bounds.max_border_contact),
        most(Reason::Soft, "soft share", figures.soft_share, bounds.max_soft_share),
        least(Reason::Unsure, "confidence", figures.confidence, bounds.min_confidence),
        least(Reason::Blurred, "sharpness", figures.sharpness, bounds.min_sharpness),
        most(Reason::Fragments, "components", figures.components as f32, bounds.max_components as f32),
        most(Reason::Holes, "holes", figures.holes as f32, bounds.max_holes as f32),
    ]
}

/// Three digits behind the point, as far as they say something.
fn short(number: f32) -> f32 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: Figures = Figures {
        coverage: 0.4,
        soft_share: 0.02,
        border_contact: 0.1,
        confidence: 0.98,
        components: 1,
        holes: 2,
        sharpness: 0.4,
    };

    #[test]
    fn figures_count_what_they_say() {
        let alpha = [255, 0, 0, 0, 255, 0, 0, 0, 51];
        let rgba = alpha.iter().flat_map(|alpha| [7, 7, 7, *alpha]).collect();
        let matte = Matte { width: 3, height: 3, alpha: alpha.to_vec() };
        let map = Probabilities { width: 2, height: 1, plane: vec![1.0, 0.5] };
        let figures = figures(&Cutout { width: 3, height: 3, rgba }, &matte, &map);
        assert!((figures.coverage - 2.2 / 9.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.soft_share - 1.0 / 9.0).abs() < 1e-6);
        assert!((figures.border_contact - 1.0 / 8.0).abs() < 1e-6);
        assert!((figures.confidence - 0.5).abs() < 1e-6);
    }

    #[test]
    fn an_empty_matte_goes_to_review() {
        let verdict = verdict(&Figures::default(), &Bounds::default(), &[]);
        assert_eq!((verdict.outcome, verdict.reason), (Outcome::Review, Some(Reason::Empty)));
    }

    #[test]
    fn each_bound_that_is_broken_is_named_and_the_worst_one_first() {
        let fine = verdict(&FINE, &Bounds::default(), &[]);
        assert_eq!((fine.outcome, fine.reason, fine.detail.as_str()), (Outcome::Ok, None, ""));
        assert!(fine.doubt > 0.0 && fine.doubt < 1.0, "{fine:?}");
        let broken = |figures| verdict(&figures, &Bounds::default(), &[]);
        let one = |figures| broken(figures).reason;
        assert_eq!(one(Figures { coverage: 0.005, ..FINE }), Some(Reason::Coverage));
        assert_eq!(one(Figures { coverage: 0.96, ..FINE }), Some(Reason::Coverage));
        assert_eq!(one(Figures { border_contact: 0.6, ..FINE }), Some(Reason::TouchesBorder));
        assert_eq!(one(Figures { soft_share: 0.31, ..FINE }), Some(Reason::Soft));
        assert_eq!(one(Figures { confidence: 0.5, ..FINE }), Some(Reason::Unsure));
        assert_eq!(one(Figures { sharpness: 0.01, ..FINE }), Some(Reason::Blurred));
        assert_eq!(one(Figures { components: 13, ..FINE }), Some(Reason::Fragments));
        assert_eq!(one(Figures { holes: 25, ..FINE }), Some(Reason::Holes));
        let two = broken(Figures { components: 13, confidence: 0.1, ..FINE });
        assert_eq!((two.reason, two.outcome), (Some(Reason::Unsure), Outcome::Review));
        assert_eq!(two.detail, "confidence 0.1 < 0.6; components 13 > 12");
    }

    #[test]
    fn a_product_that_breaks_a_rule_goes_to_review() {
        let verdict = verdict(&FINE, &Bounds::default(), &["main: fill 0.71 < 0.85".to_owned()]);
        assert_eq!(verdict.reason, Some(Reason::NonCompliant));
        assert_eq!(verdict.detail, "main: fill 0.71 < 0.85");
    }
}
