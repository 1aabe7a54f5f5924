//! From a network's raw output to probabilities, as the sidecar says. Must not know sessions or pictures.

use super::Error;
use super::prepare::Window;
use super::sidecar::{Activation, Foreground, ForegroundWord, Layout, Sidecar, Stretch};
use crate::image::{Filter, Probabilities, resize_plane_f32};
use crate::runtime::Tensor;

/// With `stretch = "minmax"`, a map whose greatest probability is below this stays as it is: nothing was found, and
/// stretching would make noise a garment. U²-Netp gives 0.002 on a white sheet and 0.06 on a black one.
pub const MINMAX_FLOOR: f32 = 0.25;

/// Rounding in half precision or 8 bits may carry a probability so far beyond 0 or 1; more are no probabilities.
const SLACK: f32 = 0.01;

/// How an output of some shape is laid out for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    batch: usize,
    channels: usize,
    height: usize,
    width: usize,
    /// Distance between the channels of one pixel, and between neighbouring pixels.
    channel_step: usize,
    pixel_step: usize,
}

/// Understands an output's shape: batch, channels and sides in the sidecar's order; or no axis for channels; or only
/// height and width.
fn plan(model: &str, sidecar: &Sidecar, shape: &[usize]) -> Result<Plan, Error> {
    let layout = sidecar.output_layout.unwrap_or(sidecar.layout);
    let [batch, channels, height, width] = match (shape, layout) {
        ([batch, channels, height, width], Layout::Nchw) => [*batch, *channels, *height, *width],
        ([batch, height, width, channels], Layout::Nhwc) => [*batch, *channels, *height, *width],
        ([batch, height, width], _) => [*batch, 1, *height, *width],
        ([height, width], _) => [1, 1, *height, *width],
        _ => {
            let detail = format!("its output has the shape {shape:?}, which is no map of height and width");
            return Err(Error::Mismatch { model: model.to_owned(), detail });
        }
    };
    let area = height * width;
    if batch == 0 || channels == 0 || area == 0 {
        let detail = format!("its output has the shape {shape:?}, which is empty");
        return Err(Error::Mismatch { model: model.to_owned(), detail });
    }
    let (channel_step, pixel_step) = match layout {
        Layout::Nchw => (area, 1),
        Layout::Nhwc => (1, channels),
    };
    Ok(Plan { batch, channels, height, width, channel_step, pixel_step })
}

/// The channels that are foreground, all below `channels`.
pub(super) fn foreground(model: &str, sidecar: &Sidecar, channels: usize) -> Result<Vec<usize>, Error> {
    let mismatch = |detail: String| Error::Mismatch { model: model.to_owned(), detail };
    let chosen = match &sidecar.foreground {
        Some(Foreground::Channels(chosen)) => chosen.clone(),
        Some(Foreground::Names(names)) => {
            let classes = sidecar.classes.as_deref().unwrap_or_default();
            names.iter().map(|name| channel_of(name, classes).map_err(mismatch)).collect::<Result<_, _>>()?
        }
        Some(Foreground::Word(ForegroundWord::NotZero)) => (1..channels).collect(),
        None if channels == 1 => vec![0],
        None => {
            let text = "its output has {n} channels: say which are foreground, as `foreground = [1]` or `\"not 0\"`";
            return Err(mismatch(text.replace("{n}", &channels.to_string())));
        }
    };
    match chosen.iter().find(|channel| **channel >= channels) {
        Some(channel) => {
            Err(mismatch(format!("foreground names channel {channel}, and the output has 0 to {}", channels - 1)))
        }
        None if chosen.is_empty() => Err(mismatch("no channel is left to be foreground".to_owned())),
        None => Ok(chosen),
    }
}

/// The channel that a class is called by: its whole name, one of its names (`shirt, blouse` has two), or its number.
fn channel_of(name: &str, classes: &[String]) -> Result<usize, String> {
    let plain = |text: &str| text.trim().to_lowercase();
    let wanted = plain(name);
    let whole = classes.iter().position(|class| plain(class) == wanted);
    let part = || classes.iter().position(|class| class.split(',').any(|part| plain(part) == wanted));
    whole.or_else(part).or_else(|| wanted.parse().ok()).ok_or_else(|| match classes.is_empty() {
        true => format!("its sidecar names no classes, so that `{name}` is not known; write the channel's number"),
        false => format!("it has no class `{name}`; there are {}", classes.join(" · ")),
    })
}

/// The probabilities of each picture in the tensor; `windows` holds one entry a picture, `input` the network's width and
/// height. There may be fewer windows than pictures: the rest of the batch was filling.
pub(super) fn read_out(
    model: &str,
    sidecar: &Sidecar,
    tensor: &Tensor,
    windows: &[Window],
    input: (u32, u32),
) -> Result<Vec<Probabilities>, Error> {
    let plan = plan(model, sidecar, &tensor.shape)?;
    if plan.batch < windows.len() {
        let detail = format!("{} pictures went in and {} maps came out", windows.len(), plan.batch);
        return Err(Error::Mismatch { model: model.to_owned(), detail });
    }
    let chosen = foreground(model, sidecar, plan.channels)?;
    let mut maps = Vec::with_capacity(windows.len());
    for (numbers, window) in tensor.data.chunks_exact(plan.channels * plan.height * plan.width).zip(windows) {
        let plane = probabilities(sidecar, &plan, numbers, &chosen);
        let plane = judge(model, sidecar, plane)?;
        let plane = cut(plane, (plan.width as u32, plan.height as u32), *window, input)?;
        maps.push(stretch(sidecar.stretch, plane));
    }
    Ok(maps)
}

fn probabilities(sidecar: &Sidecar, plan: &Plan, numbers: &[f32], chosen: &[usize]) -> Vec<f32> {
    let mut plane = Vec::with_capacity(plan.width * plan.height);
    for pixel in 0..plan.width * plan.height {
        let at = |channel: usize| numbers[channel * plan.channel_step + pixel * plan.pixel_step];
        let greatest_chosen = || chosen.iter().map(|channel| at(*channel)).fold(f32::NEG_INFINITY, keep_nan_max);
        plane.push(match sidecar.activation {
            Activation::None if sidecar.sum => chosen.iter().map(|channel| at(*channel)).sum(),
            Activation::None => greatest_chosen(),
            // The greatest logit has the greatest probability.
            Activation::Sigmoid => 1.0 / (1.0 + (-greatest_chosen()).exp()),
            Activation::Softmax => {
                let peak = (0..plan.channels).map(at).fold(f32::NEG_INFINITY, keep_nan_max);
                let whole: f32 = (0..plan.channels).map(|channel| (at(channel) - peak).exp()).sum();
                chosen.iter().map(|channel| (at(*channel) - peak).exp()).sum::<f32>() / whole
            }
        });
    }
    plane
}

/// `f32::max` would hide a NaN.
fn keep_nan_max(left: f32, right: f32) -> f32 {
    if left.is_nan() || left > right { left } else { right }
}

/// Refuses what is no probability; what rounding carried beyond the ends is brought back.
fn judge(model: &str, sidecar: &Sidecar, mut plane: Vec<f32>) -> Result<Vec<f32>, Error> {
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for number in &plane {
        if number.is_nan() {
            return Err(Error::NotANumber { model: model.to_owned() });
        }
        least = least.min(*number);
        most = most.max(*number);
    }
    if least < -SLACK || most > 1.0 + SLACK {
        let advice = match sidecar.activation {
            Activation::None => "`sigmoid` for one channel, `softmax` for classes that exclude each other",
            _ => "it is set, so the output chosen may be the wrong one",
        };
        return Err(Error::NotProbabilities { model: model.to_owned(), least, most, advice });
    }
    plane.iter_mut().for_each(|number| *number = number.clamp(0.0, 1.0));
    Ok(plane)
}

/// Cuts the letterbox off, exactly: a map of another size than the input is brought to the input's first.
fn cut(plane: Vec<f32>, size: (u32, u32), window: Window, input: (u32, u32)) -> Result<Probabilities, Error> {
    if (window.width, window.height) == input {
        return Ok(Probabilities { width: size.0, height: size.1, plane });
    }
    let plane = if size == input { plane } else { resize_plane_f32(&plane, size, input, Filter::Bilinear)? };
    let mut inner = Vec::with_capacity(window.width as usize * window.height as usize);
    for row in window.top..window.top + window.height {
        let start = row as usize * input.0 as usize + window.left as usize;
        inner.extend_from_slice(&plane[start..start + window.width as usize]);
    }
    Ok(Probabilities { width: window.width, height: window.height, plane: inner })
}

fn stretch(how: Stretch, mut map: Probabilities) -> Probabilities {
    if how == Stretch::None {
        return map;
    }
    let least = map.plane.iter().copied().fold(f32::INFINITY, f32::min);
    let most = map.plane.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // A flat map has nothing to stretch, whatever its level.
    if most >= MINMAX_FLOOR && most - least > f32::EPSILON {
        map.plane.iter_mut().for_each(|number| *number = (*number - least) / (most - least));
    }
    map
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::sidecar::{Activation, Foreground, Layout, Sidecar, Stretch};
    use super::{Error, Tensor, Window, read_out};

    fn map(sidecar: &Sidecar, shape: &[usize], data: &[f32]) -> Result<Vec<f32>, Error> {
        let tensor = Tensor { name: "map".into(), shape: shape.to_vec(), data: data.to_vec() };
        let window = Window { left: 0, top: 0, width: 2, height: 1 };
        read_out("model", sidecar, &tensor, &[window], (2, 1)).map(|maps| maps[0].plane.clone())
    }

    #[test]
    fn a_flat_map_is_never_stretched() {
        let sidecar = Sidecar { stretch: Stretch::Minmax, ..Sidecar::default() };
        assert_eq!(map(&sidecar, &[1, 1, 1, 2], &[0.0, 0.0]).unwrap(), [0.0, 0.0]);
        assert_eq!(map(&sidecar, &[1, 1, 1, 2], &[0.5, 0.5]).unwrap(), [0.5, 0.5]);
        assert_eq!(map(&sidecar, &[1, 1, 1, 2], &[0.0, 0.2]).unwrap(), [0.0, 0.2]);
    }

    #[test]
    fn a_map_that_found_something_is_stretched_only_when_asked() {
        let asked = Sidecar { stretch: Stretch::Minmax, ..Sidecar::default() };
        assert_eq!(map(&asked, &[1, 2], &[0.25, 0.75]).unwrap(), [0.0, 1.0]);
        assert_eq!(map(&Sidecar::default(), &[1, 2], &[0.25, 0.75]).unwrap(), [0.25, 0.75]);
    }

    #[test]
    fn softmax_sums_the_foreground_channels_in_either_layout() {
        let foreground = Some(Foreground::Channels(vec![1, 2]));
        let mut sidecar = Sidecar { activation: Activation::Softmax, foreground, ..Sidecar::default() };
        let planes = [0.0, 9.0, 0.0, -9.0, 0.0, -9.0];
        let first = map(&sidecar, &[1, 3, 1, 2], &planes).unwrap();
        assert!((first[0] - 2.0 / 3.0).abs() < 1e-6 && first[1] < 1e-7, "{first:?}");
        sidecar.output_layout = Some(Layout::Nhwc);
        let interleaved = [0.0, 0.0, 0.0, 9.0, -9.0, -9.0];
        assert_eq!(map(&sidecar, &[1, 1, 2, 3], &interleaved).unwrap(), first);
    }

    #[test]
    fn several_channels_need_a_word_on_which_are_foreground() {
        let error = map(&Sidecar::default(), &[1, 2, 1, 2], &[0.0; 4]).unwrap_err();
        assert!(error.to_string().contains("foreground = [1]"), "{error}");
        let sidecar = Sidecar { foreground: Some(Foreground::Channels(vec![2])), ..Sidecar::default() };
        let error = map(&sidecar, &[1, 2, 1, 2], &[0.0; 4]).unwrap_err();
        assert!(error.to_string().contains("0 to 1"), "{error}");
    }

    #[test]
    fn logits_are_not_taken_for_probabilities_and_nan_for_nothing() {
        let error = map(&Sidecar::default(), &[1, 2], &[-3.0, 4.0]).unwrap_err();
        assert!(matches!(error, Error::NotProbabilities { .. }), "{error}");
        assert_eq!(error.reason(), None);
        let error = map(&Sidecar::default(), &[1, 2], &[0.5, f32::NAN]).unwrap_err();
        assert!(matches!(error, Error::NotANumber { .. }), "{error}");
        let sidecar = Sidecar { activation: Activation::Sigmoid, ..Sidecar::default() };
        assert!(matches!(map(&sidecar, &[1, 2], &[f32::NAN, 0.5]), Err(Error::NotANumber { .. })));
    }
}
