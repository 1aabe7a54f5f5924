//! `[schedule]`: which day a run belongs to, which nights were missed, and what becomes of a run that meets another one. All
//! of it follows from values given here; must not look at a clock or into a store.

use super::{Error, section::Section};
use crate::clock::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, ToSpan};
use std::collections::BTreeSet;

/// The greatest `max_catch_up`.
pub const MOST_CATCH_UP: i64 = 92;

/// Most days that one command runs: ten years.
const MOST_DAYS: usize = 3660;

/// What a run does when another one of the same pipeline is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOverlap {
    /// It ends with exit 5.
    #[default]
    Refuse,
    /// It ends with exit 0 and says so.
    Skip,
    /// It waits for the other one's end.
    Wait,
}

/// What a run does about nights of which no run succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissed {
    /// Nothing; they are not looked for.
    #[default]
    Ignore,
    /// The latest of them is run first; of a file without `{date}` none, as the run to come covers them all.
    Run,
    /// Each of them is run first, oldest first, as far back as `max_catch_up` days.
    RunAll,
}

/// The rules of a pipeline's schedule. When it runs is cron's matter.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Whose days `{date}` counts.
    pub time_zone: TimeZone,
    /// See [`OnOverlap`].
    pub on_overlap: OnOverlap,
    /// See [`OnMissed`].
    pub on_missed: OnMissed,
    /// The days that have a run; every day when absent.
    pub days: Option<Vec<Weekday>>,
    /// How many days back missed nights are looked for, 1 to [`MOST_CATCH_UP`].
    pub max_catch_up: i64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            time_zone: TimeZone::UTC,
            on_overlap: OnOverlap::default(),
            on_missed: OnMissed::default(),
            days: None,
            max_catch_up: 14,
        }
    }
}

/// A run of the past, as far as the schedule is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The day it was for.
    pub date: Date,
    /// When it was begun.
    pub started: Timestamp,
    /// Whether it did what it was to do.
    pub done: bool,
}

/// What the past asks of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// Days before the run's of which no run succeeded, oldest first.
    pub missed: Vec<Date>,
    /// Those of them that are to be run first, oldest first.
    pub run: Vec<Date>,
    /// The first day that was looked at, when it was missed too and the pipeline is older: there may be more.
    pub further_back: Option<Date>,
}

/// The days that a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dates {
    /// One day of the schedule, counted from today: missed nights before it count.
    Scheduled(Date),
    /// Days that a person named, in order; nothing else is run.
    Named(Vec<Date>),
}

impl Schedule {
    /// The day that an instant belongs to: the local calendar's, whatever clocks do on it. A day of 23 or 25 hours is one
    /// day, and an hour that there is twice belongs to it both times.
    pub fn day_of(&self, instant: Timestamp) -> Date {
        instant.to_zoned(self.time_zone.clone()).date()
    }

    /// Reads `--date`: nothing, `today`, `yesterday`, a day, or `A..B` with both ends.
    pub fn dates(&self, word: Option<&str>, now: Timestamp) -> Result<Dates, String> {
        let today = self.day_of(now);
        let day = |word: &str| match word {
            "today" => Ok(today),
            "yesterday" => today.yesterday().map_err(|error| error.to_string()),
            day => day.parse::<Date>().map_err(|error| {
                format!("--date {day}: {error}; write today, yesterday, YYYY-MM-DD, or two of them as A..B")
            }),
        };
        match word {
            None => Ok(Dates::Scheduled(today)),
            Some(word @ ("today" | "yesterday")) => Ok(Dates::Scheduled(day(word)?)),
            Some(word) => match word.split_once("..") {
                None => Ok(Dates::Named(vec![day(word)?])),
                Some((first, last)) => {
                    let (first, last) = (day(first)?, day(last)?);
                    let days: Vec<Date> =
                        first.series(Span::new().days(1)).take(MOST_DAYS + 1).take_while(|day| *day <= last).collect();
                    match days.len() {
                        0 => Err(format!("--date {word}: {last} lies before {first}")),
                        number if number > MOST_DAYS => {
                            Err(format!("--date {word}: more than {MOST_DAYS} days; take them in portions"))
                        }
                        _ => Ok(Dates::Named(days)),
                    }
                }
            },
        }
    }

    /// What is to be caught up on before the run of a day. Nothing counts as missed before the day on which the first known
    /// run was begun, so a backfill of last year leaves no holes behind, and a new pipeline has missed nothing; nor what lies
    /// more than `max_catch_up` days back, so a night that can never succeed any more is given up in the end.
    pub fn catch_up(&self, day: Date, past: &[Past], dated: bool) -> CatchUp {
        let began = past.iter().map(|past| self.day_of(past.started)).min();
        let (OnMissed::Run | OnMissed::RunAll, Some(began)) = (self.on_missed, began) else {
            return CatchUp::default();
        };
        let edge = day.saturating_sub(self.max_catch_up.days());
        let done: BTreeSet<Date> = past.iter().filter(|past| past.done).map(|past| past.date).collect();
        let missed: Vec<Date> = edge
            .max(began)
            .series(Span::new().days(1))
            .take_while(|other| *other < day)
            .filter(|other| self.has(*other) && !done.contains(other))
            .collect();
        let run = match self.on_missed {
            _ if !dated => Vec::new(),
            OnMissed::Ignore => Vec::new(),
            OnMissed::Run => missed.last().copied().into_iter().collect(),
            OnMissed::RunAll => missed.clone(),
        };
        let further_back = missed.first().copied().filter(|first| *first == edge && began < edge);
        CatchUp { missed, run, further_back }
    }

    fn has(&self, day: Date) -> bool {
        self.days.as_ref().is_none_or(|days| days.contains(&day.weekday()))
    }
}

/// A time zone by its name. The host's own database goes first, as it is the newer one where it is looked after.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().or_else(|| TimeZoneDatabase::bundled().get(name).ok())
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Reads `[schedule]`.
pub fn read(section: &Section<'_>) -> Result<Schedule, Error> {
    let mut schedule = Schedule::default();
    if let Some(name) = section.text("time_zone")? {
        schedule.time_zone = zone(&name).ok_or_else(|| {
            section.error_at("time_zone", format!("there is no time zone {name:?}; write one such as Europe/Berlin"))
        })?;
    }
    let overlaps = [("refuse", OnOverlap::Refuse), ("skip", OnOverlap::Skip), ("wait", OnOverlap::Wait)];
    let missed = [("ignore", OnMissed::Ignore), ("run", OnMissed::Run), ("run_all", OnMissed::RunAll)];
    schedule.on_overlap = word(section, "on_overlap", overlaps)?.unwrap_or_default();
    schedule.on_missed = word(section, "on_missed", missed)?.unwrap_or_default();
    if let Some(words) = section.texts("every")?.filter(|words| words != &["day"]) {
        let day = |word: &String| {
            let found = WEEKDAYS.iter().find(|(name, _)| name == word).map(|(_, day)| *day);
            found.ok_or_else(|| {
                section
                    .error_at("every", format!("{word:?} is neither \"day\" nor in a list such as [\"mon\", \"fri\"]"))
            })
        };
        schedule.days = Some(words.iter().map(day).collect::<Result<_, _>>()?);
    }
    if let Some(most) = section.number("max_catch_up")? {
        schedule.max_catch_up = i64::try_from(most)
            .ok()
            .filter(|most| (1..=MOST_CATCH_UP).contains(most))
            .ok_or_else(|| section.error_at("max_catch_up", format!("is to be from 1 to {MOST_CATCH_UP}")))?;
    }
    section.finish()?;
    Ok(schedule)
}

fn word<T: Copy, const N: usize>(
    section: &Section<'_>,
    key: &'static str,
    known: [(&str, T); N],
) -> Result<Option<T>, Error> {
    let Some(word) = section.text(key)? else { return Ok(None) };
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.map(Some).ok_or_else(|| {
        let hint = super::nearest(&word, known.iter().map(|(name, _)| *name));
        section.error_at(key, format!("{word:?} is none of its words{hint}"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn berlin(on_missed: OnMissed) -> Schedule {
        let time_zone = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
        Schedule { time_zone, on_missed, ..Schedule::default() }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn days(text: &str) -> Vec<Date> {
        text.split_whitespace().map(day).collect()
    }

    fn past(date: &str, started: &str, done: bool) -> Past {
        Past { date: day(date), started: started.parse().unwrap(), done }
    }

    #[test]
    fn an_instant_belongs_to_the_local_day() {
        let day_of = |zone: &str, instant: &str| {
            let time_zone = TimeZoneDatabase::bundled().get(zone).unwrap();
            Schedule { time_zone, ..Schedule::default() }.day_of(instant.parse().unwrap()).to_string()
        };
        assert_eq!(day_of("Europe/Berlin", "2026-11-22T22:59:59Z"), "2026-11-22");
        assert_eq!(day_of("Europe/Berlin", "2026-11-22T23:00:00Z"), "2026-11-23");
        assert_eq!(day_of("Asia/Kolkata", "2026-11-22T18:30:00Z"), "2026-11-23");
        assert_eq!(day_of("America/Los_Angeles", "2026-11-23T07:59:59Z"), "2026-11-22");
    }

    #[test]
    fn a_day_of_23_or_25_hours_is_one_day() {
        let schedule = berlin(OnMissed::Ignore);
        let on = |instant: &str| schedule.day_of(instant.parse().unwrap()).to_string();
        // Clocks go from 02:00 to 03:00 on 29 March: 02:30 is not there, and its instant is 03:30.
        for instant in ["2026-03-28T23:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T21:59:59Z"]
        {
            assert_eq!(on(instant), "2026-03-29", "{instant}");
        }
        assert_eq!(on("2026-03-29T22:00:00Z"), "2026-03-30");
        // And from 03:00 back to 02:00 on 25 October: 02:30 is there twice.
        for instant in ["2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:59:59Z"]
        {
            assert_eq!(on(instant), "2026-10-25", "{instant}");
        }
        assert_eq!(on("2026-10-25T23:00:00Z"), "2026-10-26");
        // In Cairo the day of the change begins at 01:00, since midnight is left out.
        let time_zone = TimeZoneDatabase::bundled().get("Africa/Cairo").unwrap();
        let cairo = Schedule { time_zone, ..Schedule::default() };
        assert_eq!(cairo.day_of("2026-04-23T21:59:59Z".parse().unwrap()), day("2026-04-23"));
        assert_eq!(cairo.day_of("2026-04-23T22:00:00Z".parse().unwrap()), day("2026-04-24"));
    }

    #[test]
    fn dates_are_read_and_a_range_holds_both_its_ends() {
        let schedule = berlin(OnMissed::Ignore);
        let dates = |word| schedule.dates(word, "2026-03-29T22:30:00Z".parse().unwrap());
        assert_eq!(dates(None), Ok(Dates::Scheduled(day("2026-03-30"))));
        assert_eq!(dates(Some("today")), Ok(Dates::Scheduled(day("2026-03-30"))));
        assert_eq!(dates(Some("yesterday")), Ok(Dates::Scheduled(day("2026-03-29"))));
        assert_eq!(dates(Some("2025-12-24")), Ok(Dates::Named(days("2025-12-24"))));
        let all = "2026-03-28 2026-03-29 2026-03-30";
        assert_eq!(dates(Some("2026-03-28..today")), Ok(Dates::Named(days(all))));
        assert_eq!(dates(Some("2026-03-28..2026-03-28")), Ok(Dates::Named(days("2026-03-28"))));
        for wrong in ["2026-03-28..2026-03-27", "2026-02-30", "..", "tomorrow", "1900-01-01..today", ""] {
            assert!(dates(Some(wrong)).unwrap_err().contains("--date"), "{wrong}");
        }
    }

    #[test]
    fn missed_nights_are_those_without_a_success_since_the_first_run() {
        let runs = [
            past("2026-10-22", "2026-10-22T00:10:00Z", true),
            past("2026-10-24", "2026-10-24T00:10:00Z", false),
            // A backfill of last year makes no holes.
            past("2025-01-01", "2026-10-24T09:00:00Z", true),
        ];
        let missed = days("2026-10-23 2026-10-24 2026-10-25");
        let asked = |on_missed, dated| berlin(on_missed).catch_up(day("2026-10-26"), &runs, dated);
        assert_eq!(asked(OnMissed::Ignore, true), CatchUp::default());
        let latest = days("2026-10-25");
        assert_eq!(asked(OnMissed::Run, true), CatchUp { missed: missed.clone(), run: latest, further_back: None });
        assert_eq!(
            asked(OnMissed::RunAll, true),
            CatchUp { missed: missed.clone(), run: missed.clone(), further_back: None }
        );
        assert_eq!(
            asked(OnMissed::Run, false),
            CatchUp { missed: missed.clone(), run: Vec::new(), further_back: None }
        );
        let two = Schedule { max_catch_up: 2, ..berlin(OnMissed::RunAll) }.catch_up(day("2026-10-26"), &runs, true);
        let nights = days("2026-10-24 2026-10-25");
        let further_back = Some(day("2026-10-24"));
        assert_eq!(two, CatchUp { missed: nights.clone(), run: nights, further_back });
        let weekdays = vec![Weekday::Monday, Weekday::Friday];
        let some = Schedule { days: Some(weekdays), ..berlin(OnMissed::RunAll) };
        assert_eq!(some.catch_up(day("2026-10-26"), &runs, true).missed, days("2026-10-23"));
        assert_eq!(berlin(OnMissed::RunAll).catch_up(day("2026-10-26"), &[], true), CatchUp::default());
    }

    #[test]
    fn a_night_begun_late_in_the_evening_counts_for_its_own_day() {
        // 00:10 in Berlin is the evening before in UTC.
        let runs = [past("2026-10-23", "2026-10-22T22:10:00Z", true), past("2026-10-24", "2026-10-23T22:10:00Z", true)];
        let asked = berlin(OnMissed::RunAll).catch_up(day("2026-10-25"), &runs, true);
        assert_eq!(asked, CatchUp::default());
    }
}
