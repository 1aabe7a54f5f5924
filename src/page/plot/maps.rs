//! Small grids of coloured cells beside each other, one a name: where in the picture something lies. Must not know pages.

use super::grammar::Maps;
use super::heat::Ramp;
use super::number::short;
use super::svg::{Size, Words, counted, open, title, words};
use super::value::Table;
use crate::page::chart::number;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Maps in a row.
const ABREAST: usize = 6;
/// Width of a map, of the room between two, and of the words below one.
const SIDE: f64 = 100.0;
const GAP: f64 = 14.0;
const WORDS: f64 = 36.0;
/// Letters of a name.
const LABEL: usize = 14;
/// Cells that a map has in a row or a column, at most.
const MOST_CELLS: f64 = 128.0;

/// One map: its name, and its cells as (row, column, value).
struct Map {
    name: String,
    cells: Vec<(usize, usize, f64)>,
}

pub(super) fn maps(about: &Words<'_>, kind: &Maps, table: &Table) -> Result<String, String> {
    let rows = Side::of(table, &kind.row)?;
    let columns = Side::of(table, &kind.column)?;
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut all: Vec<Map> = Vec::new();
    let given =
        table.texts(&kind.by)?.into_iter().zip(&rows.numbers).zip(&columns.numbers).zip(table.numbers(&kind.value)?);
    for (((name, row), column), value) in given {
        let place = *places.entry(name).or_insert_with_key(|name| {
            all.push(Map { name: name.clone(), cells: Vec::new() });
            all.len() - 1
        });
        if let (Some(map), Some(row), Some(column), Some(value)) =
            (all.get_mut(place), rows.cell(*row), columns.cell(*column), value)
        {
            map.cells.push((row, column, value));
        }
    }
    let shown = all.len().min(kind.most);
    let cell = SIDE / rows.count.max(columns.count) as f64;
    let (wide, high) = (cell * columns.count as f64, cell * rows.count as f64);
    let abreast = ABREAST.min(shown).max(3);
    let mut remarks =
        vec![format!("{}; the strongest colour is a map's own greatest value", table.called(&kind.value))];
    if shown < all.len() {
        remarks.push(format!("the first {shown} of {} maps; all are in the table", all.len()));
    }
    let width = (SIDE + GAP) * abreast as f64 - GAP;
    let field = (high + WORDS + GAP) * shown.div_ceil(abreast) as f64;
    let summary = format!("{} of {} by {} cells.", counted(all.len(), "map"), rows.count, columns.count);
    let size = Size::Wide { width, height: field + 18.0 * remarks.len() as f64 + 4.0 };
    let mut svg = open(about, "maps", &summary, &size);
    for (index, map) in all.iter().take(shown).enumerate() {
        let x = (SIDE + GAP) * (index % abreast) as f64;
        let y = (high + WORDS + GAP) * (index / abreast) as f64;
        let ramp = Ramp::over(map.cells.iter().map(|(_, _, value)| *value), false, None);
        let most = map.cells.iter().map(|(_, _, value)| *value).fold(f64::NEG_INFINITY, f64::max);
        let said = if most.is_finite() { format!("up to {}", short(most)) } else { "no values".to_owned() };
        let _ = writeln!(
            svg,
            "<g>{}<rect class=\"field\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            title(&format!("{}: {said}", map.name)),
            number(x),
            number(y),
            number(wide),
            number(high)
        );
        draw(&mut svg, map, &ramp, (x, y), cell);
        svg.push_str("</g>\n");
        words(&mut svg, "", (&number(x), y + high + 15.0), LABEL, &map.name);
        words(&mut svg, "quiet", (&number(x), y + high + 30.0), LABEL, &said);
    }
    for (index, remark) in remarks.iter().enumerate() {
        words(&mut svg, "quiet", ("0", field + 18.0 * index as f64 + 12.0), (width / 6.8) as usize, remark);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// The cells of a map: one path a colour, in which cells of a row that touch are one stretch. The lightest colour is not drawn.
fn draw(svg: &mut String, map: &Map, ramp: &Ramp, (x, y): (f64, f64), cell: f64) {
    let mut cells: Vec<(usize, usize, usize)> = map
        .cells
        .iter()
        .map(|(row, column, value)| (ramp.step(*value), *row, *column))
        .filter(|(step, ..)| *step > 0)
        .collect();
    cells.sort_unstable();
    cells.dedup();
    let two = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    for colour in cells.chunk_by(|one, other| one.0 == other.0) {
        let Some((step, ..)) = colour.first() else { continue };
        let _ = write!(svg, "<path class=\"{}\" d=\"", ramp.class(*step));
        for stretch in colour.chunk_by(|one, other| one.1 == other.1 && one.2 + 1 == other.2) {
            let Some((_, row, column)) = stretch.first() else { continue };
            let (left, top) = (x + cell * *column as f64, y + cell * *row as f64);
            let (wide, high) = (two(cell * stretch.len() as f64), two(cell));
            let _ = write!(svg, "M{} {}h{wide}v{high}h-{wide}z", two(left), two(top));
        }
        svg.push_str("\"/>\n");
    }
}

/// One side of the maps: the numbers of its column, and how many cells they come to.
struct Side {
    numbers: Vec<Option<f64>>,
    first: f64,
    count: usize,
}

impl Side {
    fn of(table: &Table, name: &str) -> Result<Self, String> {
        let numbers = table.numbers(name)?;
        let seen = numbers.iter().copied().flatten();
        let (first, last) = seen
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if seen.clone().any(|value| value.fract() != 0.0) || last - first >= MOST_CELLS {
            return Err(format!(
                "the column {name} goes from {} to {}, and maps need whole numbers, at most {MOST_CELLS} of them",
                short(first),
                short(last)
            ));
        }
        // Maps whose cells count from 0 begin there, also where the first cells are empty.
        let first = if (0.0..MOST_CELLS).contains(&first) && last < MOST_CELLS { 0.0 } else { first };
        Ok(Self { numbers, first, count: (last - first) as usize + 1 })
    }

    fn cell(&self, value: Option<f64>) -> Option<usize> {
        value.map(|value| (value - self.first) as usize)
    }
}
