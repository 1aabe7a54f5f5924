//! Photometric distortion: brightness, contrast, saturation and hue, each rounded down to whole levels before the next, as
//! the reference does it. Must not know what was drawn by chance.

/// What is done to the colours of one sample. A step that is `None` is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distortion {
    /// Added to every level, −32 to 32.
    pub brightness: Option<f32>,
    /// Every level is multiplied by this, 0.5 to 1.5.
    pub contrast: Option<f32>,
    /// Whether the contrast changes after saturation and hue instead of before them.
    pub contrast_last: bool,
    /// The saturation is multiplied by this, 0.5 to 1.5.
    pub saturation: Option<f32>,
    /// Added to the hue in steps of 2°, −18 to 17.
    pub hue: Option<i32>,
}

/// Changes interleaved red, green and blue in place.
pub(super) fn distort(rgb: &mut [u8], distortion: &Distortion) {
    let contrast = distortion.contrast.map(|factor| levels(factor, 0.0));
    let (early, late) = if distortion.contrast_last { (None, contrast) } else { (contrast, None) };
    for table in [distortion.brightness.map(|add| levels(1.0, add)), early].into_iter().flatten() {
        rgb.iter_mut().for_each(|level| *level = table[usize::from(*level)]);
    }
    let to_hsv = ToHsv::new();
    if let Some(table) = distortion.saturation.map(|factor| levels(factor, 0.0)) {
        for pixel in rgb.as_chunks_mut::<3>().0 {
            let [hue, saturation, value] = to_hsv.convert(*pixel);
            *pixel = to_rgb([hue, table[usize::from(saturation)], value]);
        }
    }
    if let Some(add) = distortion.hue {
        for pixel in rgb.as_chunks_mut::<3>().0 {
            let [hue, saturation, value] = to_hsv.convert(*pixel);
            *pixel = to_rgb([i32::from(hue).saturating_add(add).rem_euclid(180) as u8, saturation, value]);
        }
    }
    if let Some(table) = late {
        rgb.iter_mut().for_each(|level| *level = table[usize::from(*level)]);
    }
}

/// What each level becomes: multiplied, added to, clipped, rounded down.
fn levels(factor: f32, add: f32) -> [u8; 256] {
    std::array::from_fn(|level| (level as f32 * factor + add).clamp(0.0, 255.0) as u8)
}

/// Red, green, blue to hue (0–179, in steps of 2°), saturation and value (0–255), in the fixed point of OpenCV: quotients
/// come from tables of 12 binary places.
struct ToHsv {
    saturation: [i32; 256],
    hue: [i32; 256],
}

impl ToHsv {
    fn new() -> Self {
        let table = |whole: f64| {
            std::array::from_fn(|level| if level == 0 { 0 } else { (whole / level as f64).round_ties_even() as i32 })
        };
        Self { saturation: table(f64::from(255 << 12)), hue: table(f64::from(180 << 12) / 6.0) }
    }

    fn convert(&self, pixel: [u8; 3]) -> [u8; 3] {
        let [red, green, blue] = pixel.map(i32::from);
        let value = red.max(green).max(blue);
        let spread = value - red.min(green).min(blue);
        let rounded = |product: i32| (product + (1 << 11)) >> 12;
        let saturation = rounded(spread * self.saturation[value as usize]);
        let sixths = if value == red {
            green - blue
        } else if value == green {
            blue - red + 2 * spread
        } else {
            red - green + 4 * spread
        };
        let hue = rounded(sixths * self.hue[spread as usize]);
        [if hue < 0 { hue + 180 } else { hue } as u8, saturation as u8, value as u8]
    }
}

/// In each sixth of the colour circle, which of the levels top, low, falling and rising red, green and blue have. A table, since
/// no branch can be foretold in a picture.
const SECTORS: [[usize; 3]; 6] = [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]];

/// Back again; levels are rounded down, as OpenCV's vector code does it.
fn to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    let hue = f32::from(hue) * (6.0 / 180.0);
    let saturation = f32::from(saturation) * (1.0 / 255.0);
    let value = f32::from(value) * (1.0 / 255.0);
    let sector = hue.floor();
    let within = hue - sector;
    let level = |value: f32| (value * 255.0) as u8;
    let top = level(value);
    let low = level(value * (1.0 - saturation));
    let falling = level(value * (1.0 - saturation * within));
    let rising = level(value * (1.0 - (saturation - saturation * within)));
    let levels = [top, low, falling, rising];
    SECTORS.get(sector as usize).unwrap_or(&[0; 3]).map(|index| levels[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_do_changes_nothing() {
        let mut rgb: Vec<u8> = (0..=255).cycle().take(768 * 3).collect();
        let before = rgb.clone();
        distort(&mut rgb, &Distortion::default());
        assert_eq!(rgb, before);
    }

    #[test]
    fn grey_has_no_hue_and_pure_colours_keep_theirs() {
        let hsv = ToHsv::new();
        assert_eq!(hsv.convert([90, 90, 90]), [0, 0, 90]);
        for (colour, hue) in [([255, 0, 0], 0), ([0, 255, 0], 60), ([0, 0, 255], 120)] {
            assert_eq!(hsv.convert(colour), [hue, 255, 255]);
            assert_eq!(to_rgb([hue, 255, 255]), colour);
        }
    }

    #[test]
    fn each_step_rounds_down_on_its_own() {
        let mut rgb = [101, 101, 101];
        let darker = Distortion { brightness: Some(-0.5), contrast: Some(0.5), ..Distortion::default() };
        distort(&mut rgb, &darker);
        assert_eq!(rgb, [50, 50, 50]); // 100.5 → 100, then 50; unrounded between it would be 50.25
        let mut rgb = [103, 103, 103];
        distort(&mut rgb, &Distortion { brightness: Some(-0.5), contrast: Some(1.5), ..Distortion::default() });
        assert_eq!(rgb, [153, 153, 153]); // 102.5 → 102 → 153, not 153.75
    }
}
