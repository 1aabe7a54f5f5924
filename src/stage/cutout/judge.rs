//! What the figures of a cutout say of it. Must not know how it was made or where it goes.

use super::rows::Figures;
use crate::image::{Matte, Probabilities};
use crate::outcome::{Outcome, Reason};

/// Below this share of the picture, with no pixel surely foreground, nothing was found.
const EMPTY_COVERAGE: f32 = 0.0005;

/// The figures of a matte and of the map it was made from.
pub fn figures(matte: &Matte, map: &Probabilities) -> Figures {
    let (width, height) = (matte.width as usize, matte.height as usize);
    let pixels = (width * height).max(1) as f32;
    let (mut sum, mut soft) = (0_u64, 0_u64);
    for alpha in &matte.alpha {
        sum += u64::from(*alpha);
        soft += u64::from((1..255).contains(alpha));
    }
    let on_border = |index: usize| {
        let (x, y) = (index % width, index / width);
        x == 0 || y == 0 || x + 1 == width || y + 1 == height
    };
    let (mut border, mut contact) = (0_u32, 0_u32);
    let rows = (0..height).flat_map(|y| {
        let whole = y == 0 || y + 1 == height;
        let step = if whole || width < 2 { 1 } else { width - 1 };
        (0..width).step_by(step).map(move |x| y * width + x)
    });
    for index in rows.filter(|index| on_border(*index)) {
        border += 1;
        contact += u32::from(matte.alpha[index] >= 128);
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

    fn matte(alpha: &[u8]) -> Matte {
        Matte { width: 3, height: 3, alpha: alpha.to_vec() }
    }

    #[test]
    fn figures_count_what_they_say() {
        let map = Probabilities { width: 2, height: 1, plane: vec![1.0, 0.5] };
        let figures = figures(&matte(&[255, 0, 0, 0, 255, 0, 0, 0, 51]), &map);
        assert!((figures.coverage - 2.2 / 9.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.soft_share - 1.0 / 9.0).abs() < 1e-6);
        assert!((figures.border_contact - 1.0 / 8.0).abs() < 1e-6);
        assert!((figures.confidence - 0.5).abs() < 1e-6);
    }

    #[test]
    fn an_empty_matte_goes_to_review() {
        let map = Probabilities { width: 1, height: 1, plane: vec![0.0] };
        let (outcome, reason, _) = verdict(&figures(&matte(&[0; 9]), &map));
        assert_eq!((outcome, reason), (Outcome::Review, Some(Reason::Empty)));
    }
}
