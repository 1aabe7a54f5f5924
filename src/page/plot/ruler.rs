//! Where values lie between the two ends of a scale, linear or logarithmic, and its ticks. Must not know pictures.

use super::super::chart::Axis;
use super::number::{grouped, short};

/// Ticks of a logarithmic scale, about.
const DECADES: i32 = 6;

/// A scale over some values.
pub(super) enum Ruler {
    Linear(Axis),
    /// Between two powers of ten.
    Log(i32, i32),
}

impl Ruler {
    /// From tick to tick around all values. On a logarithmic scale only those above zero count.
    pub(super) fn around(values: impl Iterator<Item = f64> + Clone, log: bool) -> Self {
        if log { decades(values, false) } else { Self::Linear(Axis::over(values)) }
    }

    /// Around all values and zero, for what grows from there; on a logarithmic scale from below the smallest.
    pub(super) fn from_zero(values: impl Iterator<Item = f64> + Clone, log: bool) -> Self {
        match (log, values.clone().any(|value| value != 0.0)) {
            (true, _) => decades(values, true),
            (false, true) => Self::Linear(Axis::over(values.chain([0.0]))),
            (false, false) => Self::Linear(Axis::over([0.0, 1.0].into_iter())),
        }
    }

    /// The same, but ending at the values themselves.
    pub(super) fn from_zero_exactly(values: impl Iterator<Item = f64> + Clone, log: bool) -> Self {
        match Self::from_zero(values.clone(), log) {
            Self::Linear(axis) => Self::Linear(axis.ending_with(values.chain([0.0]))),
            log => log,
        }
    }

    /// Where a value lies, from 0 to 1; none where a logarithmic scale has no place for it.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        match self {
            Self::Linear(axis) => Some(axis.place(value, 0.0, 1.0)),
            Self::Log(low, high) if value > 0.0 => {
                let share = (value.log10() - f64::from(*low)) / f64::from(high - low);
                Some(share.clamp(0.0, 1.0))
            }
            Self::Log(..) => None,
        }
    }

    /// Where that lies from which things grow.
    pub(super) fn ground(&self) -> f64 {
        match self {
            Self::Linear(axis) => axis.place(0.0, 0.0, 1.0),
            Self::Log(..) => 0.0,
        }
    }

    /// Ticks: where, and what is written there.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self {
            Self::Linear(axis) => {
                let most = axis.first.abs().max(axis.last.abs());
                let named = |tick: f64| match most >= 1e4 && (axis.last - axis.first) / most > 1e-3 {
                    true => short(if tick.abs() < most * 1e-9 { 0.0 } else { tick }),
                    false => written(&axis.label(tick)),
                };
                axis.ticks().map(|tick| (axis.place(tick, 0.0, 1.0), named(tick))).collect()
            }
            Self::Log(low, high) => {
                let step = ((high - low) / DECADES).max(1);
                let wanted = (*low..=*high).step_by(step.unsigned_abs() as usize);
                let place = |power: i32| f64::from(power - low) / f64::from(high - low);
                wanted.map(|power| (place(power), short(10_f64.powi(power)))).collect()
            }
        }
    }

    /// What is said beside an axis that is not linear.
    pub(super) fn remark(&self) -> &'static str {
        match self {
            Self::Linear(_) => "",
            Self::Log(..) => " (log scale)",
        }
    }
}

/// A tick's digits for people; a power stays one.
fn written(label: &str) -> String {
    if label.contains('e') { label.replace('-', "\u{2212}") } else { grouped(label) }
}

fn decades(values: impl Iterator<Item = f64>, below: bool) -> Ruler {
    let positive = values.filter(|value| *value > 0.0);
    let (least, most) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if least > most {
        return Ruler::Log(0, 1);
    }
    let mut low = least.log10().floor() as i32;
    if below && f64::from(low) >= least.log10() {
        low -= 1;
    }
    Ruler::Log(low, (most.log10().ceil() as i32).max(low + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ruler: &Ruler) -> Vec<String> {
        ruler.ticks().into_iter().map(|(_, label)| label.replace('\u{202f}', " ")).collect()
    }

    #[test]
    fn logarithmic_scales_have_powers_of_ten() {
        let ruler = Ruler::from_zero([3.0, 46_220.0, 0.0, -1.0].into_iter(), true);
        assert_eq!(labels(&ruler), ["1", "10", "100", "1 000", "10 000", "100 000"]);
        assert_eq!((ruler.share(1.0), ruler.share(0.0), ruler.share(-3.0)), (Some(0.0), None, None));
        assert!(Ruler::from_zero([10.0].into_iter(), true).share(10.0) > Some(0.5), "the least value is seen");
        let wide = Ruler::around([1e-300, 1e300].into_iter(), true);
        assert!(wide.ticks().len() < 10);
    }

    #[test]
    fn what_grows_from_zero_has_it_on_the_scale() {
        let ground = |values: &[f64]| Ruler::from_zero_exactly(values.iter().copied(), false).ground();
        assert_eq!(ground(&[1.0, 4.0]), 0.0);
        assert_eq!(ground(&[0.0, 0.0]), 0.0);
        assert_eq!(ground(&[]), 0.0);
        assert_eq!(ground(&[-3.0, 1.0]), 0.75);
        assert_eq!(ground(&[-3.0]), 1.0);
    }

    #[test]
    fn large_ticks_are_written_short() {
        assert_eq!(
            labels(&Ruler::around([0.0, 3e9].into_iter(), false)),
            ["0", "500 M", "1 G", "1.5 G", "2 G", "2.5 G", "3 G"]
        );
        assert_eq!(labels(&Ruler::around([0.1, 0.3].into_iter(), false)).first().map(String::as_str), Some("0.10"));
    }
}
