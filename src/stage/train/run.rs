//! The loop: steps, validations and checkpoints from wherever the training stands to its end, and the best model published.
//! Must not know graphs or pictures.

use super::cache::Cache;
use super::checkpoint::{Checkpoint, Checkpoints, best};
use super::history::{Part, Row};
use super::loader::{Batch, Loader, Portion, Samples};
use super::masks::Draws;
use super::model::Model;
use super::order::{Order, Place, Stream};
use super::outputs::{self, Ended};
use super::prepare::{occurrence, open, order, refuse_other_classes, sample_settings};
use super::progress::{Progress, Validation};
use super::sample::SampleSettings;
use super::schedule::Polynomial;
use super::stepper::{Stepper, weights_of};
use super::{Length, Settings, Sources};
use crate::cancel::{Cancel, Cause};
use crate::collective::Collective;
use crate::digest::Fingerprint;
use crate::event::{Event, Level, note};
use crate::graph::train::Precision;
use crate::graph::weights::{Outcome as Taken, Weights};
use crate::outcome::Counts;
use crate::runtime::{Device, Step};
use crate::stage::bench::Bench;
use crate::stage::dataset::{Dataset, Item};
use crate::stage::measure::confusion::Confusion;
use crate::stage::measure::network::Network;
use crate::stage::measure::photos::{Question, measure};
use crate::stage::{Context, Error, Report, check};
use std::collections::BTreeSet;
use std::time::Instant;

/// Steps that are taken at most.
const MOST_STEPS: u64 = 10_000_000;

/// Trains to the end, from the last checkpoint if there is one, and publishes the model.
pub fn run(
    settings: &Settings,
    sources: &Sources,
    depends_on: &Fingerprint,
    bench: &Bench,
    ranks: &mut dyn Collective,
    context: &Context,
) -> Result<Report, Error> {
    let mut sets = open(settings, sources, ranks, context)?.into_iter();
    let Some(train) = sets.next() else { return Err(Error::Failed("no split was opened".to_owned())) };
    let val = sets.next();
    let portion = Portion { rank: ranks.rank(), ranks: ranks.ranks(), passes: settings.passes, batch: 0 };
    let model = Model::open(&sources.model, portion.ranks * portion.passes, &occurrence(&train))?;
    let portion = Portion { batch: model.artifact.batch, ..portion };
    refuse_other_classes(&[Some(&train), val.as_ref()], model.artifact.classes)?;
    let order = order(settings, &train)?;
    let steps = match settings.length {
        Length::Epochs(epochs) => order.steps(epochs, portion.total())?,
        Length::Steps(steps) => steps,
    };
    if steps > MOST_STEPS {
        return Err(Error::Usage(format!(
            "{steps} steps are more than anybody waits for; at most {MOST_STEPS} are taken"
        )));
    }
    if model.artifact.precision == Precision::Bf16.name() && bench.device == Device::Cpu {
        let text = "bf16 has no kernels on the processor; use --device cuda, or --precision bf16-emulated to compare";
        return Err(Error::Usage(text.to_owned()));
    }
    let every = settings.validation.as_ref().map_or(1, |validation| validation.every);
    let training = Training {
        due: order.ends(steps, portion.total(), every),
        cancel: if portion.ranks > 1 { Cancel::default() } else { context.cancel.clone() },
        settings,
        sources,
        context,
        bench,
        sample: sample_settings(settings, &model),
        rates: settings.rates.schedule(steps)?,
        checkpoints: checkpoints(settings, depends_on, context),
        model,
        train,
        val,
        order,
        portion,
        steps,
    };
    training.sample.check().map_err(Error::Usage)?;
    training.run(depends_on, ranks)
}

/// A training with everything that does not change from step to step.
struct Training<'a> {
    settings: &'a Settings,
    sources: &'a Sources,
    context: &'a Context,
    bench: &'a Bench,
    sample: SampleSettings,
    rates: Polynomial,
    checkpoints: Checkpoints<'a>,
    model: Model,
    train: Dataset,
    val: Option<Dataset>,
    order: Order,
    portion: Portion,
    steps: u64,
    /// What interrupts a step. Several ranks are interrupted between steps only, all at the same one.
    cancel: Cancel,
    /// Steps after which an epoch that is validated has ended, or the training.
    due: BTreeSet<u64>,
}

/// Where it stands.
struct Stand {
    step: u64,
    place: Place,
    history: Vec<Row>,
}

impl Training<'_> {
    fn run(&self, depends_on: &Fingerprint, ranks: &mut dyn Collective) -> Result<Report, Error> {
        let begun = Instant::now();
        let events = &self.context.events;
        let (mut stand, weights) = self.begin()?;
        let mut stepper = Stepper::open(&self.model, &weights, self.portion, self.bench)?;
        drop(weights);
        let mut eval = match &self.val {
            Some(_) => self.model.eval(self.portion.batch, self.bench)?,
            None => None,
        };
        if self.val.is_some() && eval.is_none() {
            let text = "the model has no eval.onnx: nothing is validated, and the last step counts as the best";
            note(events, Level::Warn, text);
        }
        events.emit(Event::StageStarted {
            stage: self.context.stage.clone(),
            total: Some(self.steps - stand.step),
            unit: "steps",
        });
        let mut progress = Progress::new(stand.step, self.steps, self.portion.total());
        let stream = Stream::from(self.order.clone(), stand.place)?;
        let cache = self.sources.cache.clone().map(|store| Cache::new(store, self.settings.cache_bytes));
        let samples = Samples {
            dataset: &self.train,
            settings: &self.sample,
            cache: cache.as_ref(),
            seed: self.settings.seed,
            cancel: &self.cancel,
        };
        let steps = self.steps - stand.step;
        let workers = match self.settings.workers {
            0 => (self.context.threads / 2).max(1),
            some => some,
        };
        let loader = Loader::new(samples, stream, steps, self.portion, workers);
        let trained = std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| loader.work());
            }
            let trained = self.train(&mut stand, &mut stepper, eval.as_mut(), &loader, &mut progress, ranks);
            loader.close();
            trained
        });
        match trained {
            Ok(()) => {}
            Err(Error::Cancelled(Cause::Signal)) => {
                self.refuse_broken(&stepper, stand.step)?;
                self.checkpoint(&stand, &stepper, None)?;
                let text =
                    format!("stopped after step {} of {}; run again to go on from there", stand.step, self.steps);
                note(events, Level::Info, text);
                return Err(Error::Cancelled(Cause::Signal));
            }
            Err(error) => return Err(error),
        }
        drop(stepper);
        if !self.leads() {
            return Ok(Report::default());
        }
        self.finish(&stand, depends_on, begun.elapsed().as_secs_f64())
    }

    /// From the latest checkpoint, or the weights to begin with.
    fn begin(&self) -> Result<(Stand, Weights), Error> {
        let events = &self.context.events;
        if let Some(found) = self.checkpoints.latest()? {
            note(events, Level::Info, format!("going on after step {} of {}", found.step, self.steps));
            let stand = Stand { step: found.step, place: found.place, history: found.history };
            return Ok((stand, found.tensors));
        }
        let (weights, lines) = self.model.begin(&self.sources.model)?;
        let fresh: Vec<&str> = lines
            .iter()
            .filter(|line| matches!(line.outcome, Taken::Fresh { .. }))
            .map(|line| line.name.as_str())
            .collect();
        if !lines.is_empty() {
            let text = match fresh.len() {
                0 => format!("all {} tensors are taken from the weights to begin with", lines.len()),
                all if all == lines.len() => format!("all {all} tensors start from random numbers"),
                some => format!("{some} of {} tensors start afresh: {}", lines.len(), fresh.join(", ")),
            };
            note(events, Level::Info, text);
        }
        Ok((Stand { step: 0, place: Place::default(), history: Vec::new() }, weights))
    }

    /// Steps to the end, with what is due after each.
    fn train(
        &self,
        stand: &mut Stand,
        stepper: &mut Stepper,
        mut eval: Option<&mut (Step, usize)>,
        loader: &Loader<'_>,
        progress: &mut Progress,
        ranks: &mut dyn Collective,
    ) -> Result<(), Error> {
        if self.due.contains(&stand.step) && stand.history.last().is_some_and(|row| row.part == Part::Train) {
            self.validate(stand, stepper, eval.as_deref_mut(), progress, ranks)?;
        }
        while stand.step < self.steps {
            self.check_all(ranks)?;
            let waiting = Instant::now();
            let passes = self.passes(loader)?;
            let waited = waiting.elapsed().as_secs_f32();
            if stand.step == 0
                && self.leads()
                && let Some(batch) = passes.first()
            {
                outputs::batch_picture(self.settings, &self.sample, batch, self.context)?;
            }
            let rate = self.rates.rate(stand.step) as f32;
            if stand.step < self.settings.keep_batches
                && self.leads()
                && let [batch] = passes.as_slice()
            {
                let size = self.model.artifact.size;
                outputs::batch_file(self.settings, stand.step, batch, size, rate, self.context)?;
            }
            let draws = Draws { seed: self.settings.seed, step: stand.step };
            let said = stepper.step(&passes, rate, draws, ranks, &self.cancel).map_err(|error| self.stopped(error))?;
            if !said.loss.is_finite() {
                return Err(self.diverged(&format!("the loss of step {} is {}", stand.step + 1, said.loss), stand.step));
            }
            stand.step += 1;
            stand.place = self.order.after(stand.place, self.portion.total() as u64);
            let row = Row {
                step: stand.step,
                epoch: self.order.epochs(stand.place),
                part: Part::Train,
                loss: Some(said.loss),
                learning_rate: Some(rate),
                pixel_accuracy: said.pixel_accuracy(),
                mean_iou: said.mean_iou(),
                foreground_iou: None,
                seconds: waiting.elapsed().as_secs_f32(),
                wait_seconds: waited,
            };
            progress.stepped(&row);
            stand.history.push(row);
            self.context.events.emit(Event::Advanced { stage: self.context.stage.clone(), by: 1 });
            if self.due.contains(&stand.step) {
                self.validate(stand, stepper, eval.as_deref_mut(), progress, ranks)?;
            } else if self.settings.checkpoint_steps.is_some_and(|every| stand.step.is_multiple_of(every.max(1))) {
                self.refuse_broken(stepper, stand.step)?;
                self.checkpoint(stand, stepper, None)?;
            }
        }
        Ok(())
    }

    /// Whether this process writes down what all of them do.
    fn leads(&self) -> bool {
        self.portion.rank == 0
    }

    /// Stops all ranks once one of them was asked to.
    fn check_all(&self, ranks: &mut dyn Collective) -> Result<(), Error> {
        if self.portion.ranks > 1 && ranks.greatest(u64::from(self.context.cancel.is_cancelled()))? > 0 {
            self.context.cancel.cancel(Cause::Signal);
        }
        check(&self.context.cancel)
    }

    /// The passes of one step.
    fn passes(&self, loader: &Loader<'_>) -> Result<Vec<Batch>, Error> {
        let mut passes = Vec::with_capacity(self.portion.passes);
        for _ in 0..self.portion.passes {
            match loader.next() {
                Some(batch) => passes.push(batch?),
                None => return Err(Error::Failed("the data ended before the training".to_owned())),
            }
        }
        Ok(passes)
    }

    /// An error of a step: of one that was asked to stop, why.
    fn stopped(&self, error: Error) -> Error {
        self.context.cancel.cause().map_or(error, Error::Cancelled)
    }

    fn diverged(&self, sign: &str, step: u64) -> Error {
        Error::Failed(format!(
            "{sign} (learning rate {}): the training has diverged and was stopped; the last good checkpoint stays in {}. \
             Lower the learning rate, or give it a warm-up, and run again",
            self.rates.rate(step),
            self.checkpoints.url()
        ))
    }

    /// Before anything is judged by the parameters, or kept of them.
    fn refuse_broken(&self, stepper: &Stepper, step: u64) -> Result<(), Error> {
        match stepper.broken()? {
            None => Ok(()),
            Some(name) => Err(self.diverged(&format!("after step {step} {name} holds what is no finite number"), step)),
        }
    }

    /// Validates, keeps a checkpoint with the score, and tells.
    fn validate(
        &self,
        stand: &mut Stand,
        stepper: &mut Stepper,
        eval: Option<&mut (Step, usize)>,
        progress: &mut Progress,
        ranks: &mut dyn Collective,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        self.refuse_broken(stepper, stand.step)?;
        let mut score = None;
        let mut validation = None;
        if let (Some((step, _)), Some(val), Some(how)) = (eval, &self.val, &self.settings.validation) {
            let question = Question {
                look: how.look.look(&self.model.artifact)?,
                normalisation: self.model.normalisation,
                boundary: false,
                threads: self.context.threads,
            };
            let mut network = Network::new(step, &mut stepper.state)?;
            let Portion { rank, ranks: all, .. } = self.portion;
            let mine: Vec<Item> = val.items().iter().skip(rank).step_by(all).cloned().collect();
            let measured = measure(val, &mine, &mut network, &question, &self.cancel, &mut |_| Ok(()));
            // Whatever else could be wrong with the question was found before: logits that are no numbers remain.
            let measured = measured.map_err(|error| match error {
                Error::Usage(text) => self.diverged(&text, stand.step),
                other => other,
            })?;
            let mut counts = measured.confusion.counts().to_vec();
            ranks.sum_counts(&mut counts)?;
            let metrics = Confusion::from_counts(measured.confusion.classes(), counts)?.metrics();
            let seconds = begun.elapsed().as_secs_f32();
            stand.history.push(Row {
                step: stand.step,
                epoch: self.order.epochs(stand.place),
                part: Part::Val,
                loss: None,
                learning_rate: None,
                pixel_accuracy: metrics.pixel_accuracy.map(|share| share as f32),
                mean_iou: metrics.mean_iou.map(|share| share as f32),
                foreground_iou: metrics.foreground_iou.map(|share| share as f32),
                seconds,
                wait_seconds: 0.0,
            });
            score = metrics.mean_iou;
            validation = Some(Validation { mean_iou: metrics.mean_iou, foreground_iou: metrics.foreground_iou });
        }
        self.checkpoint(stand, stepper, score)?;
        if !self.leads() {
            return Ok(());
        }
        outputs::curves(self.settings, &stand.history, self.context)?;
        outputs::table(self.settings, &stand.history, self.context)?;
        let text = progress.epoch(self.order.epochs(stand.place), &stand.history, validation.as_ref());
        note(&self.context.events, Level::Info, text);
        Ok(())
    }

    fn checkpoint(&self, stand: &Stand, stepper: &Stepper, score: Option<f64>) -> Result<(), Error> {
        if stand.step == 0 || !self.leads() {
            return Ok(());
        }
        let Stand { step, place, history } = stand;
        let tensors = stepper.save()?;
        let checkpoint = Checkpoint { step: *step, place: *place, tensors, history: history.clone(), score };
        self.checkpoints.write(&checkpoint)?;
        self.checkpoints.tidy(self.settings.keep)
    }

    /// Publishes the best step's model and says what came of the training.
    fn finish(&self, stand: &Stand, depends_on: &Fingerprint, seconds: f64) -> Result<Report, Error> {
        check(&self.context.cancel)?;
        let manifests = self.checkpoints.list()?;
        let Some(best) = best(&manifests).or_else(|| manifests.last()) else {
            return Err(Error::Failed(format!("{} holds no checkpoint", self.checkpoints.url())));
        };
        let chosen = self.checkpoints.read(best)?;
        let store = outputs::model_store(&self.settings.name, self.context);
        self.model.publish(&weights_of(&chosen.tensors), &store, self.context)?;
        outputs::curves(self.settings, &stand.history, self.context)?;
        outputs::table(self.settings, &stand.history, self.context)?;
        let ended = Ended {
            artifact: &self.model.artifact,
            history: &stand.history,
            steps: self.steps,
            epochs: self.order.epochs(stand.place),
            batch: self.portion.total(),
            images: self.train.items().len(),
            best: best.step,
            score: best.score,
            seconds,
        };
        let summary = outputs::close(self.settings, &ended, depends_on, self.context)?;
        let sets = [Some(&self.train), self.val.as_ref()];
        let counts = Counts {
            ok: sets.iter().flatten().map(|set| set.items().len() as u64).sum(),
            quarantined: sets.iter().flatten().map(|set| set.quarantined()).sum(),
            ..Counts::default()
        };
        Ok(Report { counts, summary, artifacts: vec![store.url().to_owned()] })
    }
}

fn checkpoints<'a>(settings: &Settings, depends_on: &Fingerprint, context: &'a Context) -> Checkpoints<'a> {
    let digest = depends_on.digest();
    let folder = format!("train/{}/{}", settings.name, digest.get(..16).unwrap_or(&digest));
    Checkpoints::new(context.tables.store().child(&folder), context)
}
