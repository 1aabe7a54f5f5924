//! How far a training is and how fast, in a line for people. Must not know what is trained.

use super::history::{Part, Row};
use std::time::Instant;

/// How fast it goes.
pub struct Progress {
    begun: Instant,
    first: u64,
    steps: u64,
    batch: usize,
    seconds: f64,
    waited: f64,
    step: u64,
}

/// What a validation found.
pub struct Validation {
    /// Mean over the classes, 0–1.
    pub mean_iou: Option<f64>,
    /// Any class but background against background, 0–1.
    pub foreground_iou: Option<f64>,
}

impl Progress {
    /// Before the first step that is done here, `first` having been done before.
    pub fn new(first: u64, steps: u64, batch: usize) -> Self {
        Self { begun: Instant::now(), first, steps, batch, seconds: 0.0, waited: 0.0, step: first }
    }

    /// Takes note of a step.
    pub fn stepped(&mut self, row: &Row) {
        self.step = row.step;
        self.seconds += f64::from(row.seconds);
        self.waited += f64::from(row.wait_seconds);
    }

    /// Pictures a second while training, and the share of that time spent waiting for data, 0–1.
    pub fn speed(&self) -> (f64, f64) {
        let pictures = (self.step - self.first) as f64 * self.batch as f64;
        (pictures / self.seconds.max(1e-9), self.waited / self.seconds.max(1e-9))
    }

    /// The end of an epoch in a line.
    pub fn epoch(&self, epochs: f64, history: &[Row], validation: Option<&Validation>) -> String {
        let since =
            history.iter().rev().skip_while(|row| row.part == Part::Val).take_while(|row| row.part == Part::Train);
        let (mut loss, mut accuracy, mut count) = (0.0, 0.0, 0.0_f64);
        for row in since {
            loss += f64::from(row.loss.unwrap_or(0.0));
            accuracy += f64::from(row.pixel_accuracy.unwrap_or(0.0));
            count += 1.0;
        }
        let (loss, accuracy) = (loss / count.max(1.0), accuracy / count.max(1.0));
        let mut text = format!("epoch {epochs:.4}: loss {loss:.4}, accuracy {:.1} %", accuracy * 100.0);
        if epochs.fract() < 1e-9 {
            text = text.replace(&format!("epoch {epochs:.4}"), &format!("epoch {epochs:.0}"));
        }
        if let Some(Validation { mean_iou, foreground_iou }) = validation {
            let percent =
                |share: &Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
            text.push_str(&format!("; val mIoU {}, foreground IoU {}", percent(mean_iou), percent(foreground_iou)));
        }
        let (speed, waited) = self.speed();
        let done = (self.step - self.first).max(1) as f64;
        let left = self.begun.elapsed().as_secs_f64() / done * self.steps.saturating_sub(self.step) as f64;
        text.push_str(&format!(
            "; step {} of {}, {speed:.1} images/s, {:.0} % waiting for data, {} left",
            self.step,
            self.steps,
            waited * 100.0,
            duration(left)
        ));
        text
    }
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!([duration(0.4), duration(59.6), duration(3725.0)], ["0 s", "1 min 0 s", "1 h 02 min"]);
        assert_eq!(duration(f64::NAN), "0 s");
    }
}
