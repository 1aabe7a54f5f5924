//! What the figures of a cutout say of it. Must not know how it was made or where it goes.

use super::rows::Figures;
use crate::image::{Cutout, Probabilities};
use crate::outcome::{Outcome, Reason};

/// Below this share of the picture, with no pixel surely foreground, nothing was found.
const EMPTY_COVERAGE: f32 = 0.0005;

/// The figures of a cutout and of the map it was made from.
pub fn figures(cutout: &Cutout, map: &Probabilities) -> Figures {
    let (width, height) = (cutout.width as usize, cutout.height as usize);
    let pixels = (width * height).max(1) as f32;
    let (mut sum, mut soft) = (0_u64, 0_u64);
    for pixel in cutout.rgba.chunks_exact(4) {
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
    Figures {
        coverage: sum as f32 / 255.0 / pixels,
        soft_share: soft as f32 / pixels,
        border_contact: contact as f32 / border.max(1) as f32,
        confidence: (confidence / map.plane.len().max(1) as f64) as f32,
    }
}

/// Whether a cutout may go to the shop, and if not, why.
pub fn verdict(figures: &Figures) -> (Outcome, Option<Reason>, &'static str) {
    if figures.coverage < EMPTY_COVERAGE {
        return (Outcome::Review, Some(Reason::Empty), "nothing was found in the photo: the cutout is transparent");
    }
    (Outcome::Ok, None, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cutout(alpha: &[u8]) -> Cutout {
        Cutout { width: 3, height: 3, rgba: alpha.iter().flat_map(|alpha| [7, 7, 7, *alpha]).collect() }
    }

    #[test]
    fn figures_count_what_they_say() {
        let map = Probabilities { width: 2, height: 1, plane: vec![1.0, 0.5] };
        let figures = figures(&cutout(&[255, 0, 0, 0, 255, 0, 0, 0, 51]), &map);
        assert!((figures.coverage - 2.2 / 9.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.soft_share - 1.0 / 9.0).abs() < 1e-6);
        assert!((figures.border_contact - 1.0 / 8.0).abs() < 1e-6);
        assert!((figures.confidence - 0.5).abs() < 1e-6);
    }

    #[test]
    fn an_empty_matte_goes_to_review() {
        let map = Probabilities { width: 1, height: 1, plane: vec![0.0] };
        let (outcome, reason, _) = verdict(&figures(&cutout(&[0; 9]), &map));
        assert_eq!((outcome, reason), (Outcome::Review, Some(Reason::Empty)));
    }
}
