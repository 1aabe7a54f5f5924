//! What is remembered of a tensor while photos pass: a histogram that widens itself and the moments of each channel; and the
//! range chosen from it. Bounded memory whatever the number of photos. Must not know nodes.

/// Intervals of a histogram; an even number, half of them below zero.
const BINS: usize = 8192;

/// How a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// From the least number to the greatest.
    MinMax,
    /// All but the outermost ten-thousandth.
    Percentile,
    /// The range whose 8-bit form tells the least less (Kullback-Leibler divergence).
    Entropy,
}

/// The share of numbers that a percentile range holds.
const PERCENTILE: f64 = 0.9999;

/// Numbers seen so far, of one tensor.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// Counts over [−reach, reach).
    bins: Vec<u64>,
    reach: f64,
    least: f32,
    greatest: f32,
    channels: Vec<Moments>,
}

/// Sums over a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    sum: f64,
    squares: f64,
}

/// The axis of the channels: the second of pictures, else the last.
pub fn channel_axis(dims: &[usize]) -> usize {
    if dims.len() == 4 { 1 } else { dims.len().saturating_sub(1) }
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            bins: vec![0; BINS],
            reach: 0.0,
            least: f32::INFINITY,
            greatest: f32::NEG_INFINITY,
            channels: Vec::new(),
        }
    }
}

impl Statistics {
    /// Takes the numbers of one photo: row-major, lengths `dims`. What is no finite number is left out.
    pub fn add(&mut self, dims: &[usize], data: &[f32]) {
        let axis = channel_axis(dims);
        let channels = dims.get(axis).copied().unwrap_or(1).max(1);
        let inner: usize = dims.iter().skip(axis + 1).product::<usize>().max(1);
        if self.channels.len() < channels {
            self.channels.resize(channels, Moments::default());
        }
        let extent =
            data.iter().filter(|number| number.is_finite()).fold(0.0_f32, |most, number| most.max(number.abs()));
        self.widen(f64::from(extent));
        let scale = if self.reach > 0.0 { BINS as f64 / (2.0 * self.reach) } else { 0.0 };
        for (run, numbers) in data.chunks(inner).enumerate() {
            let mut moments = Moments::default();
            for number in numbers.iter().filter(|number| number.is_finite()) {
                let wide = f64::from(*number);
                moments.count += 1;
                moments.sum += wide;
                moments.squares += wide * wide;
                self.least = self.least.min(*number);
                self.greatest = self.greatest.max(*number);
                let bin = ((wide + self.reach) * scale) as usize;
                self.bins[bin.min(BINS - 1)] += 1;
            }
            let channel = &mut self.channels[run % channels];
            channel.count += moments.count;
            channel.sum += moments.sum;
            channel.squares += moments.squares;
        }
    }

    /// Doubles the reach until the number fits, two bins becoming one.
    fn widen(&mut self, extent: f64) {
        if extent <= 0.0 {
            return;
        }
        if self.reach <= 0.0 {
            // A power of two, so that the order of photos does not matter but for bins that were zero only.
            self.reach = extent.log2().floor().exp2() * 2.0;
            let zeros = std::mem::take(&mut self.bins[0]) + self.bins.iter().sum::<u64>();
            self.bins.fill(0);
            self.bins[BINS / 2] = zeros;
        }
        while extent >= self.reach {
            let mut wider = vec![0; BINS];
            for (bin, count) in self.bins.iter().enumerate() {
                wider[BINS / 4 + bin / 2] += count;
            }
            self.bins = wider;
            self.reach *= 2.0;
        }
    }

    /// How many numbers were seen.
    pub fn count(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// The mean of each channel.
    pub fn means(&self) -> Vec<f64> {
        self.channels.iter().map(|channel| channel.sum / channel.count.max(1) as f64).collect()
    }

    /// The mean square of each channel.
    pub fn squares(&self) -> Vec<f64> {
        self.channels.iter().map(|channel| channel.squares / channel.count.max(1) as f64).collect()
    }

    /// The variances within the channels, added up.
    pub fn variance(&self) -> f64 {
        let of = |(mean, square): (f64, f64)| (square - mean * mean).max(0.0);
        self.means().into_iter().zip(self.squares()).map(of).sum()
    }

    /// The least and the greatest number that the 8 bits shall tell apart; zero is always between them.
    pub fn range(&self, method: Method) -> (f32, f32) {
        if self.count() == 0 || self.reach <= 0.0 {
            return (0.0, 0.0);
        }
        let (least, greatest) = (self.least.min(0.0), self.greatest.max(0.0));
        let bound = match method {
            Method::MinMax => return (least, greatest),
            Method::Percentile => return self.percentile(least, greatest),
            Method::Entropy => self.entropy() as f32,
        };
        (least.max(-bound), greatest.min(bound))
    }

    /// The upper edge of a bin.
    fn edge(&self, bin: usize) -> f64 {
        (bin as f64 + 1.0) * 2.0 * self.reach / BINS as f64 - self.reach
    }

    fn percentile(&self, least: f32, greatest: f32) -> (f32, f32) {
        // Half of what is left out at each end; an end that is zero loses nothing.
        let outside = (self.count() as f64 * (1.0 - PERCENTILE) / 2.0) as u64;
        let low = first_beyond(self.bins.iter().enumerate(), outside);
        let high = first_beyond(self.bins.iter().enumerate().rev(), outside);
        let low = if low == 0 { -self.reach } else { self.edge(low - 1) };
        ((low as f32).clamp(least, 0.0), (self.edge(high) as f32).clamp(0.0, greatest))
    }

    /// The bound whose clipped and 8-bit distribution of magnitudes diverges least from the clipped one.
    fn entropy(&self) -> f64 {
        const LEVELS: usize = 128;
        let half = BINS / 2;
        let magnitudes: Vec<f64> =
            (0..half).map(|bin| (self.bins[half + bin] + self.bins[half - 1 - bin]) as f64).collect();
        let width = self.reach / half as f64;
        let most = magnitudes.iter().rposition(|count| *count > 0.0).unwrap_or(0) + 1;
        let mut best = (f64::INFINITY, most);
        let mut bound = LEVELS.min(most);
        while bound <= most {
            let divergence = divergence(&magnitudes, bound, LEVELS);
            if divergence < best.0 {
                best = (divergence, bound);
            }
            bound += (most / 256).max(1);
        }
        best.1 as f64 * width
    }
}

/// The bin in which more than `outside` numbers have been passed.
fn first_beyond<'a>(mut bins: impl Iterator<Item = (usize, &'a u64)>, outside: u64) -> usize {
    let mut seen = 0;
    let found = bins.find(|(_, count)| {
        seen += **count;
        seen > outside
    });
    found.map_or(0, |(bin, _)| bin)
}

/// How far `levels` equal steps up to `bound` are from the counts, what lies beyond being counted at the bound.
fn divergence(counts: &[f64], bound: usize, levels: usize) -> f64 {
    let beyond: f64 = counts[bound..].iter().sum();
    let mut wanted = counts[..bound].to_vec();
    if let Some(last) = wanted.last_mut() {
        *last += beyond;
    }
    let total: f64 = wanted.iter().sum();
    let kept: f64 = counts[..bound].iter().sum();
    if kept <= 0.0 {
        return f64::INFINITY;
    }
    let mut divergence = 0.0;
    for level in 0..levels {
        let (from, to) = (level * bound / levels, (level + 1) * bound / levels);
        let inside: f64 = counts[from..to].iter().sum();
        let filled = counts[from..to].iter().filter(|count| **count > 0.0).count();
        for bin in from..to {
            let share = if counts[bin] > 0.0 { inside / filled as f64 / kept } else { 0.0 };
            let truth = wanted[bin] / total;
            if truth > 0.0 {
                divergence += truth * (truth / share.max(1e-9)).ln();
            }
        }
    }
    divergence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_widens_and_forgets_nothing() {
        let mut statistics = Statistics::default();
        statistics.add(&[1, 2, 1, 2], &[0.0, 0.0, 0.0, 0.0]);
        statistics.add(&[1, 2, 1, 2], &[0.5, -0.25, 0.125, 0.0]);
        statistics.add(&[1, 2, 1, 2], &[100.0, f32::NAN, -3.0, 1.0]);
        assert_eq!(statistics.count(), 11);
        assert_eq!(statistics.range(Method::MinMax), (-3.0, 100.0));
        let means = statistics.means();
        assert!((means[0] - 100.25 / 5.0).abs() < 1e-9 && (means[1] - -1.875 / 6.0).abs() < 1e-9, "{means:?}");
    }

    #[test]
    fn a_percentile_leaves_out_what_is_rare_and_keeps_zero() {
        let mut statistics = Statistics::default();
        let mut numbers: Vec<f32> = (0..100_000).map(|at| at as f32 / 50_000.0).collect();
        numbers[7] = 500.0;
        statistics.add(&[1, 1, 1, numbers.len()], &numbers);
        let (least, greatest) = statistics.range(Method::Percentile);
        assert!(least == 0.0 && greatest > 1.9 && greatest < 2.2, "{greatest}");
        assert_eq!(statistics.range(Method::MinMax).1, 500.0);
    }

    #[test]
    fn entropy_cuts_a_long_thin_tail() {
        let mut statistics = Statistics::default();
        let mut numbers: Vec<f32> = (0..200_000).map(|at| ((at * 7919 % 1000) as f32 / 1000.0).powi(2)).collect();
        numbers[3] = 60.0;
        statistics.add(&[1, 1, 1, numbers.len()], &numbers);
        let (least, greatest) = statistics.range(Method::Entropy);
        assert!(least == 0.0 && greatest < 30.0, "{greatest}");
    }

    #[test]
    fn a_tensor_of_zeros_has_no_range() {
        let mut statistics = Statistics::default();
        statistics.add(&[3], &[0.0; 3]);
        for method in [Method::MinMax, Method::Percentile, Method::Entropy] {
            assert_eq!(statistics.range(method), (0.0, 0.0));
        }
    }
}
