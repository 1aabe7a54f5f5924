//! Lines over a common axis, of numbers or of names in their order. Must not know pages.

use super::frame::{Below, Frame, Key, must_turn};
use super::grammar::Lines;
use super::number::short;
use super::ruler::Ruler;
use super::svg::{COLOURS, Words, counted, title};
use super::value::Table;
use crate::page::chart::{Axis, number, thinned};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Lines, at most.
const MOST: usize = 12;
/// Points of a line up to which each has a dot.
const DOTTED: usize = 40;

struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

pub(super) fn lines(about: &Words<'_>, kind: &Lines, table: &Table) -> Result<String, String> {
    let place = table.place(&kind.x)?;
    let names = if table.is_numeric(place) { None } else { Some(table.texts(&kind.x)?) };
    let (along, labels) = match names {
        None => (table.numbers(&kind.x)?, None),
        Some(names) => in_order(names),
    };
    let mut all = series(kind, table, &along)?;
    let count = all.len();
    all.truncate(MOST);

    let seen = || all.iter().flat_map(|series| &series.points).filter(|(_, y)| y.is_finite());
    let y = Ruler::around(seen().map(|(_, y)| *y), false);
    let x = match &labels {
        None => Axis::over(seen().map(|(x, _)| *x)).ending_with(seen().map(|(x, _)| *x)),
        // From the beginning of the first stretch to the end of the last one, as the labels are placed.
        Some(labels) => Axis { first: -0.5, last: labels.len().max(1) as f64 - 0.5, step: 1.0 },
    };
    let keys: Vec<String> = all.iter().map(|series| series.name.clone()).collect();
    let above = match keys.as_slice() {
        [name] => Key::Name(name),
        names => Key::Series(names, stroke),
    };
    let left_out = (count > MOST).then(|| format!("the first {MOST} of {count} lines; all are in the table"));
    let below = Below {
        name: table.called(&kind.x),
        remarks: left_out.into_iter().collect(),
        turned: labels.as_ref().is_some_and(|labels| must_turn(labels)),
    };
    let last = all.iter().filter_map(|series| Some((series, series.points.iter().rev().find(|(_, y)| y.is_finite())?)));
    let last: Vec<String> = last.map(|(series, (_, y))| format!("{} ends at {}", series.name, short(*y))).collect();
    let summary = format!("{}: {}.", counted(count, "line"), last.join("; "));
    let mut frame = Frame::open(about, "lines", &summary, &above, &below);
    frame.left_axis(&y);
    match &labels {
        Some(labels) => frame.labels(labels, below.turned),
        None => frame.bottom_axis(&Ruler::Linear(Axis { ..x })),
    }
    for (index, series) in all.iter().enumerate() {
        draw(&mut frame, index, series, &x, &y);
    }
    Ok(frame.close())
}

/// A number for each name, in the order in which they come first.
fn in_order(names: Vec<String>) -> (Vec<Option<f64>>, Option<Vec<String>>) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut labels = Vec::new();
    let mut along = Vec::with_capacity(names.len());
    for name in names {
        let place = *places.entry(name).or_insert_with_key(|name| {
            labels.push(name.clone());
            labels.len() - 1
        });
        along.push(Some(place as f64));
    }
    (along, Some(labels))
}

/// The lines: for each name of `by` and each value a line of its own, in the order in which they come; points along the axis.
fn series(kind: &Lines, table: &Table, along: &[Option<f64>]) -> Result<Vec<Series>, String> {
    let groups = match &kind.by {
        Some(by) => table.texts(by)?,
        None => vec![String::new(); table.rows.len()],
    };
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut all: Vec<Series> = Vec::new();
    for column in &kind.values {
        places.clear();
        let called = table.called(column);
        for ((group, x), y) in groups.iter().zip(along).zip(table.numbers(column)?) {
            let Some(x) = x else { continue };
            let place = *places.entry(group).or_insert_with(|| {
                let name = match (kind.by.is_some(), kind.values.len()) {
                    (false, _) => called.clone(),
                    (true, 1) => group.clone(),
                    (true, _) => format!("{group}, {column}"),
                };
                all.push(Series { name, points: Vec::new() });
                all.len() - 1
            });
            if let Some(series) = all.get_mut(place) {
                series.points.push((*x, y.unwrap_or(f64::NAN)));
            }
        }
    }
    for series in &mut all {
        series.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    Ok(all)
}

fn draw(frame: &mut Frame, index: usize, series: &Series, x: &Axis, y: &Ruler) {
    let place = |frame: &Frame, (along, up): (f64, f64)| {
        (Frame::x(x.place(along, 0.0, 1.0)), frame.y(y.share(up).unwrap_or(0.0)))
    };
    let class = index % COLOURS;
    let points = thinned(&series.points, x);
    for stretch in points.split(|(_, up)| !up.is_finite()) {
        if stretch.len() > 1 {
            let _ = write!(frame.svg, "<path class=\"s{class}{}\" d=\"", dashes(index));
            for (at, point) in stretch.iter().enumerate() {
                let (px, py) = place(frame, *point);
                let _ = write!(frame.svg, "{}{} {}", if at == 0 { "M" } else { "L" }, number(px), number(py));
            }
            frame.svg.push_str("\"/>\n");
        }
        if stretch.len() == 1 || points.len() <= DOTTED {
            for point in stretch {
                let (px, py) = place(frame, *point);
                let (cx, cy, said) = (number(px), number(py), title(&format!("{}: {}", series.name, short(point.1))));
                let _ =
                    writeln!(frame.svg, "<circle class=\"f{class}\" cx=\"{cx}\" cy=\"{cy}\" r=\"3\">{said}</circle>");
            }
        }
    }
}

/// Dashes tell the second colours from the first.
fn dashes(index: usize) -> &'static str {
    if index / COLOURS % 2 == 1 { " dashed" } else { "" }
}

fn stroke(index: usize, x: f64, y: f64) -> String {
    format!("<path class=\"s{}{}\" d=\"M{} {}h20\"/>", index % COLOURS, dashes(index), number(x), number(y))
}
