//! Points over two axes of numbers. Must not know pages.

use super::frame::{Below, Frame, Key, named};
use super::grammar::Points;
use super::number::{count, short};
use super::ruler::Ruler;
use super::svg::{Words, counted, title};
use super::value::Table;
use crate::page::chart::number;
use std::fmt::Write as _;

/// Points that are drawn, at most: of more, every so-manieth.
const MOST: usize = 3000;
/// Points up to which each says what it is.
const TITLED: usize = 600;
/// Radius of a point, and of the smallest and largest where they have sizes.
const RADIUS: f64 = 3.2;
const RADII: (f64, f64) = (1.8, 13.0);

pub(super) fn points(about: &Words<'_>, kind: &Points, table: &Table) -> Result<String, String> {
    let sizes = match &kind.size {
        Some(size) => table.numbers(size)?,
        None => vec![None; table.rows.len()],
    };
    let places = table.numbers(&kind.x)?.into_iter().zip(table.numbers(&kind.y)?).zip(sizes);
    let mut points: Vec<(f64, f64, Option<f64>)> = places.filter_map(|((x, y), size)| Some((x?, y?, size))).collect();
    let rows = table.rows.len();
    let without = rows - points.len();
    let mut remarks = Vec::new();
    if kind.log {
        points.retain(|(x, y, _)| *x > 0.0 && *y > 0.0);
    }
    let unplaced = rows - without - points.len();
    let x = Ruler::around(points.iter().map(|point| point.0), kind.log);
    let y = Ruler::around(points.iter().map(|point| point.1), kind.log);
    let all = points.len();
    let each = all.div_ceil(MOST).max(1);
    if each > 1 {
        remarks.push(format!("one of {each} of {} points is drawn", count(all as u64)));
    }
    if without > 0 {
        remarks.push(format!("{} without a number not drawn", counted(without, "row")));
    }
    if unplaced > 0 {
        remarks.push(format!("{} at or below zero, which a log scale has not", counted(unplaced, "row")));
    }
    if let Some(size) = &kind.size {
        remarks.push(format!("area of a point: {}", table.called(size)));
    }
    let below = Below { name: named(table, &kind.x, &x), remarks, turned: false };
    let name = named(table, &kind.y, &y);
    let summary = format!("{}.", counted(all, "point"));
    let mut frame = Frame::open(about, "points", &summary, &Key::Name(&name), &below);
    frame.left_axis(&y);
    frame.bottom_axis(&x);

    let largest = points.iter().filter_map(|point| point.2).fold(0.0, f64::max);
    let mut drawn: Vec<_> = points.into_iter().step_by(each).collect();
    // Small ones last, so that none lies hidden below a large one.
    drawn.sort_by(|one, other| other.2.unwrap_or(0.0).total_cmp(&one.2.unwrap_or(0.0)));
    let titled = drawn.len() <= TITLED;
    for (px, py, size) in drawn {
        let (Some(along), Some(up)) = (x.share(px), y.share(py)) else { continue };
        let (cx, cy) = (number(Frame::x(along)), number(frame.y(up)));
        let r = number(radius(kind.size.is_some(), size, largest));
        let _ = write!(frame.svg, "<circle class=\"point\" cx=\"{cx}\" cy=\"{cy}\" r=\"{r}\"");
        if titled {
            let sized = size.map_or_else(String::new, |size| format!(": {}", short(size)));
            let said = title(&format!("{} × {}{sized}", short(px), short(py)));
            let _ = writeln!(frame.svg, ">{said}</circle>");
        } else {
            frame.svg.push_str("/>\n");
        }
    }
    Ok(frame.close())
}

/// Areas are as sizes.
fn radius(sized: bool, size: Option<f64>, largest: f64) -> f64 {
    match size {
        _ if !sized => RADIUS,
        Some(size) if largest > 0.0 && size > 0.0 => ((size / largest).sqrt() * RADII.1).max(RADII.0),
        _ => RADII.0,
    }
}
