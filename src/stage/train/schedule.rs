//! The learning rate of each step. Must not know optimisers or data.

use super::Mismatch;

/// Polynomial decay by step, as mmcv's `PolyLrUpdaterHook`: `(start - floor) (1 - t / steps)^power + floor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polynomial {
    start: f64,
    floor: f64,
    power: f64,
    steps: u64,
    warm_up: u64,
}

impl Polynomial {
    /// The floor of mmsegmentation's recipes.
    pub const FLOOR: f64 = 1e-4;
    /// The power of mmsegmentation's recipes.
    pub const POWER: f64 = 0.9;

    /// From `start`, above 0, to `floor`, at least 0 and at most `start`, in `steps` steps, at least 1; `power` is above 0.
    pub fn new(start: f64, floor: f64, power: f64, steps: u64) -> Result<Self, Mismatch> {
        if !(start > 0.0 && start.is_finite() && (0.0..=start).contains(&floor)) {
            return Err(Mismatch(format!(
                "the learning rate starts at {start} and its floor is {floor}: the start is to be above 0, the floor 0 to the start"
            )));
        }
        if !(power > 0.0 && power.is_finite()) {
            return Err(Mismatch(format!("the power of the decay is {power}; it is to be above 0, such as 0.9")));
        }
        if steps == 0 {
            return Err(Mismatch("there is no step to train; give at least one epoch or step".to_owned()));
        }
        Ok(Self { start, floor, power, steps, warm_up: 0 })
    }

    /// The same, but that the first `steps` steps come up to it in a straight line from nothing.
    pub fn with_warm_up(self, steps: u64) -> Self {
        Self { warm_up: steps, ..self }
    }

    /// The rate of a step, counted from 0. Steps beyond the last have the floor.
    pub fn rate(&self, step: u64) -> f64 {
        self.rate_of(1.0, step)
    }

    /// The rate of a group whose start is `multiplier` times the others'. The floor is the same for all groups, as in mmcv:
    /// this is less than `multiplier` times [`Self::rate`].
    pub fn rate_of(&self, multiplier: f64, step: u64) -> f64 {
        let left = 1.0 - step.min(self.steps) as f64 / self.steps as f64;
        let rate = (self.start * multiplier - self.floor) * left.powf(self.power) + self.floor;
        match step < self.warm_up {
            true => rate * (step + 1) as f64 / self.warm_up as f64,
            false => rate,
        }
    }

    /// How many steps there are.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{numbers, read, whole_numbers};
    use super::*;

    #[test]
    fn rates_equal_the_reference() {
        for case in read()["schedule"].as_array().unwrap() {
            let number = |key: &str| case[key].as_f64().unwrap();
            let steps = case["steps"].as_u64().unwrap();
            let schedule = Polynomial::new(number("start"), number("floor"), number("power"), steps).unwrap();
            for (step, wanted) in whole_numbers(&case["at"]).into_iter().zip(numbers(&case["rates"])) {
                let got = schedule.rate_of(number("multiplier"), step);
                assert!((got - wanted).abs() <= 1e-15 * wanted, "step {step} of {case}: {got}");
                // The last power may differ in the last bit between C libraries; the graph takes 32 bits anyway.
                assert_eq!(got as f32, wanted as f32);
            }
        }
    }

    #[test]
    fn after_the_last_step_the_rate_stays_at_the_floor() {
        let schedule = Polynomial::new(1e-3, Polynomial::FLOOR, Polynomial::POWER, 10).unwrap();
        assert_eq!((schedule.rate(0), schedule.rate(10), schedule.rate(u64::MAX)), (1e-3, 1e-4, 1e-4));
        assert_eq!(schedule.rate_of(10.0, 10), 1e-4);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (start, floor, power, steps) in [
            (0.0, 0.0, 1.0, 1),
            (1e-3, 1e-2, 1.0, 1),
            (f64::NAN, 0.0, 1.0, 1),
            (1.0, -1.0, 1.0, 1),
            (1.0, 0.0, 0.0, 1),
            (1.0, 0.0, 1.0, 0),
        ] {
            assert!(Polynomial::new(start, floor, power, steps).is_err(), "{start} {floor} {power} {steps}");
        }
    }
}
