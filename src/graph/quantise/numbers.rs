//! Numbers in 8 bits and back: activations as bytes with a scale and a zero point, weights as signed bytes with a scale for
//! each channel. Must not know nodes or files.

/// How a tensor of activations is written as bytes: number = (byte − zero) · scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    /// The step from a byte to the next.
    pub scale: f32,
    /// The byte that is 0.
    pub zero: u8,
}

impl Coding {
    /// For numbers from `least` to `greatest`, zero among them.
    pub fn of((least, greatest): (f32, f32)) -> Self {
        let (least, greatest) = (least.min(0.0), greatest.max(0.0));
        let scale = (greatest - least) / 255.0;
        if !scale.is_normal() {
            return Self { scale: 1.0, zero: 0 };
        }
        Self { scale, zero: (-least / scale).round().clamp(0.0, 255.0) as u8 }
    }

    /// The number as it comes back.
    pub fn round_trip(&self, number: f32) -> f32 {
        let zero = f32::from(self.zero);
        (((number / self.scale).round_ties_even() + zero).clamp(0.0, 255.0) - zero) * self.scale
    }
}

/// Weights by channel of the output, as `[channels, numbers]`, whatever the order in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Bytes {
    /// One byte a weight, in the order of the file.
    pub bytes: Vec<i8>,
    /// One scale a channel.
    pub scales: Vec<f32>,
}

/// Where a weight's channel of the output is: the axis, with what is before and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// How many.
    pub count: usize,
    /// Numbers from one channel to the next.
    pub step: usize,
}

impl Channels {
    /// Of an axis of a tensor.
    pub fn of(dims: &[usize], axis: usize) -> Self {
        Self {
            count: dims.get(axis).copied().unwrap_or(1).max(1),
            step: dims.iter().skip(axis + 1).product::<usize>().max(1),
        }
    }

    /// The channel of the number at a place.
    pub fn at(&self, place: usize) -> usize {
        place / self.step % self.count
    }
}

/// Rounds weights, symmetrically about zero. A channel's scale is at least `least_scales` of it, so that a bias that is written
/// with it fits 32 bits. `levels` is 127, or 63 for processors whose 8-bit products would overflow.
pub fn weights(weights: &[f32], channels: Channels, levels: f32, least_scales: &[f32]) -> Bytes {
    let mut most = vec![0.0_f32; channels.count];
    for (place, weight) in weights.iter().enumerate() {
        let channel = channels.at(place);
        most[channel] = most[channel].max(weight.abs());
    }
    let scales: Vec<f32> = most
        .iter()
        .enumerate()
        .map(|(channel, most)| (most / levels).max(least_scales.get(channel).copied().unwrap_or(0.0)))
        .map(|scale| if scale.is_normal() { scale } else { 1.0 })
        .collect();
    let byte =
        |(place, weight): (usize, &f32)| (weight / scales[channels.at(place)]).round().clamp(-levels, levels) as i8;
    Bytes { bytes: weights.iter().enumerate().map(byte).collect(), scales }
}

impl Bytes {
    /// The weights as they come back.
    pub fn numbers(&self, channels: Channels) -> Vec<f32> {
        let number = |(place, byte): (usize, &i8)| f32::from(*byte) * self.scales[channels.at(place)];
        self.bytes.iter().enumerate().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_a_byte_of_its_own_and_ends_are_clipped() {
        let coding = Coding::of((-1.0, 3.0));
        assert_eq!(coding.zero, 64);
        assert_eq!(coding.round_trip(0.0), 0.0);
        assert!((coding.round_trip(9.0) - 3.0).abs() < coding.scale);
        assert_eq!(Coding::of((0.0, 5.1)), Coding { scale: 5.1 / 255.0, zero: 0 });
        assert_eq!(Coding::of((0.0, 0.0)).scale, 1.0, "a tensor of zeros");
    }

    #[test]
    fn each_channel_has_a_scale_of_its_own() {
        // Two channels of three weights each, the second a hundred times the first.
        let numbers = [0.012, -0.02, 0.0127, 1.2, -2.0, 1.27];
        let channels = Channels::of(&[2, 3], 0);
        let bytes = weights(&numbers, channels, 127.0, &[]);
        assert_eq!(bytes.bytes, [76, -127, 81, 76, -127, 81]);
        for (back, number) in bytes.numbers(channels).iter().zip(numbers) {
            assert!((back - number).abs() <= number.abs().max(0.02) / 100.0, "{back} {number}");
        }
        // The channel is the last axis of a matrix.
        let channels = Channels::of(&[3, 2], 1);
        let bytes = weights(&[0.012, 1.2, -0.02, -2.0, 0.0, 0.0], channels, 127.0, &[]);
        assert_eq!(bytes.bytes, [76, 76, -127, -127, 0, 0]);
    }
}
