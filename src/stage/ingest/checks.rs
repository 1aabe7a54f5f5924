//! What only shows between rows, asked of small polars frames, a batch of whole images at a time: classes that are not in
//! the list, sizes that disagree within an image, and masks that stand there twice. Spans never enter a frame: rows are
//! grouped by figures of their masks, and only rows that agree in these are compared span by span. Must not know files.

use super::judge::{Chunk, Rejected, Row};
use super::notes::Note;
use super::records::Record;
use crate::outcome::Reason;
use crate::stage::Error;
use polars::prelude::{
    Column, DataFrame, DataType, Expr, IntoLazy, JoinArgs, JoinType, NamedFrom, PolarsError, Series, col, len, lit,
};

/// What became of a row that passed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Goes into the table.
    Kept,
    /// The same image, mask and class as an earlier row.
    Duplicate,
    /// Says that there is no mask, in an image that another row already stands for.
    Empty,
    /// Goes into the quarantine.
    Rejected,
}

/// Judges the rows of whole images together: their fates, chunk after chunk. Rejected ones are told to their chunk.
pub(super) fn judge(records: &[Record], chunks: &mut [Chunk], classes: &DataFrame) -> Result<Vec<Fate>, Error> {
    let places: Vec<(usize, usize)> =
        chunks.iter().enumerate().flat_map(|(chunk, c)| (0..c.rows.len()).map(move |row| (chunk, row))).collect();
    let mut fates = vec![Fate::Kept; places.len()];
    if places.is_empty() {
        return Ok(fates);
    }
    let frame = frame(records, chunks).map_err(crate::table::Error::from)?;
    let found = ask(&frame, classes).map_err(crate::table::Error::from)?;
    let mut reject = |at: usize, reason: Reason, detail: String| {
        if fates[at] == Fate::Kept {
            fates[at] = Fate::Rejected;
            let (chunk, row) = places[at];
            let record = chunks[chunk].rows[row].record;
            chunks[chunk].rejected.push(Rejected { record, reason, at: None, detail });
        }
    };
    for (at, class) in found.unknown {
        reject(at, Reason::UnknownClass, format!("the class {class} is not in the list"));
    }
    for (at, detail) in found.conflicts {
        reject(at, Reason::SizeConflict, detail);
    }
    for group in found.alike {
        twins(&group, &places, chunks, &mut fates);
    }
    for group in found.empty {
        // Rows of one image, those with masks first: one row stands for an image, and that is enough.
        let kept: Vec<usize> = group.into_iter().filter(|at| fates[*at] == Fate::Kept).collect();
        for at in kept.into_iter().skip(1) {
            let (chunk, row) = places[at];
            if chunks[chunk].rows[row].spans.is_empty() {
                fates[at] = Fate::Empty;
            }
        }
    }
    Ok(fates)
}

/// The figures of the rows, one column each.
fn frame(records: &[Record], chunks: &[Chunk]) -> Result<DataFrame, PolarsError> {
    fn column<T, N>(name: &str, chunks: &[Chunk], of: impl Fn(&Chunk, &Row) -> N) -> Column
    where
        Series: NamedFrom<T, [N]>,
        T: AsRef<[N]> + From<Vec<N>>,
    {
        let values: Vec<N> = chunks.iter().flat_map(|chunk| chunk.rows.iter().map(|row| of(chunk, row))).collect();
        Column::from(Series::new(name.into(), T::from(values)))
    }
    let rows: usize = chunks.iter().map(|chunk| chunk.rows.len()).sum();
    let columns = vec![
        Column::from(Series::new("at".into(), (0..rows as u32).collect::<Vec<u32>>())),
        column::<Vec<u32>, u32>("image", chunks, |_, row| records[row.record].image),
        column::<Vec<u16>, u16>("class", chunks, |_, row| row.class),
        column::<Vec<u32>, u32>("height", chunks, |_, row| row.height),
        column::<Vec<u32>, u32>("width", chunks, |_, row| row.width),
        column::<Vec<u64>, u64>("area", chunks, |_, row| row.area),
        column::<Vec<u32>, u32>("spans", chunks, |_, row| row.spans.len() as u32),
        column::<Vec<u32>, u32>("first", chunks, |chunk, row| {
            chunk.starts[row.spans.clone()].first().copied().unwrap_or(0)
        }),
        column::<Vec<u32>, u32>("last", chunks, |chunk, row| {
            chunk.starts[row.spans.clone()].last().copied().unwrap_or(0)
        }),
    ];
    DataFrame::new(rows, columns)
}

/// What the questions found, by row.
struct Found {
    unknown: Vec<(usize, u16)>,
    conflicts: Vec<(usize, String)>,
    /// Rows of one image whose masks agree in area, count, first and last span; ascending.
    alike: Vec<Vec<usize>>,
    /// Rows of an image that has rows without a mask: those with one first, then ascending.
    empty: Vec<Vec<usize>>,
}

/// The known classes as the frame that rows are joined with.
pub(super) fn class_frame(classes: impl IntoIterator<Item = u16>) -> Result<DataFrame, Error> {
    let classes: Vec<u16> = classes.into_iter().collect();
    let known = Column::from(Series::new("known".into(), vec![true; classes.len()]));
    let frame = DataFrame::new(classes.len(), vec![Column::from(Series::new("class".into(), classes)), known]);
    Ok(frame.map_err(crate::table::Error::from)?)
}

fn ask(frame: &DataFrame, classes: &DataFrame) -> Result<Found, PolarsError> {
    let unknown = frame
        .clone()
        .lazy()
        .join(classes.clone().lazy(), [col("class")], [col("class")], JoinArgs::new(JoinType::Left))
        .filter(col("known").is_null())
        .select([col("at"), col("class")])
        .collect()?;
    let unknown =
        numbers(&unknown, "at")?.into_iter().zip(unknown.column("class")?.u16()?.into_no_null_iter()).collect();

    let differs = |name: &str| col(name).min().neq(col(name).max());
    let images = frame
        .clone()
        .lazy()
        .group_by([col("image")])
        .agg([
            differs("height").or(differs("width")).alias("conflict"),
            col("spans").min().eq(lit(0_u32)).and(len().gt(lit(1_u32))).alias("empty"),
        ])
        .filter(col("conflict").or(col("empty")))
        .collect()?;
    let (mut conflicts, mut empty) = (Vec::new(), Vec::new());
    if images.height() > 0 {
        let rows = frame
            .clone()
            .lazy()
            .join(images.lazy(), [col("image")], [col("image")], JoinArgs::new(JoinType::Inner))
            .collect()?;
        let (conflict, bare) = (rows.column("conflict")?.bool()?, rows.column("empty")?.bool()?);
        let columns = ["at", "image", "height", "width", "spans"].map(|name| numbers(&rows, name));
        let [at, image, height, width, spans] = columns;
        let (at, image, height, width, spans) = (at?, image?, height?, width?, spans?);
        let mut by_image = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for (index, image) in image.iter().enumerate() {
            by_image.entry(*image).or_default().push(index);
        }
        for mut group in by_image.into_values() {
            group.sort_unstable_by_key(|index| (spans[*index] == 0, at[*index]));
            if conflict.get(group[0]) == Some(true) {
                let mut sizes: Vec<String> = group.iter().map(|i| format!("{} x {}", height[*i], width[*i])).collect();
                sizes.sort();
                sizes.dedup();
                let detail = format!("rows of one image say Height x Width is {}", sizes.join(" and "));
                conflicts.extend(group.iter().map(|index| (at[*index], detail.clone())));
            }
            if bare.get(group[0]) == Some(true) {
                empty.push(group.iter().map(|index| at[*index]).collect());
            }
        }
    }
    let keys: [Expr; 5] = ["image", "area", "spans", "first", "last"].map(col);
    let groups = frame
        .clone()
        .lazy()
        .filter(col("spans").gt(lit(0_u32)))
        .group_by(keys)
        .agg([col("at"), len().alias("rows")])
        .filter(col("rows").gt(lit(1_u32)))
        .collect()?;
    let mut alike = Vec::with_capacity(groups.height());
    let rows = groups.column("at")?.list()?;
    for group in (0..groups.height()).filter_map(|group| rows.get_as_series(group)) {
        let mut group: Vec<usize> = group.u32()?.into_no_null_iter().map(|at| at as usize).collect();
        group.sort_unstable();
        alike.push(group);
    }
    Ok(Found { unknown, conflicts, alike, empty })
}

fn numbers(frame: &DataFrame, name: &str) -> Result<Vec<usize>, PolarsError> {
    let column = frame.column(name)?.cast(&DataType::UInt32)?;
    Ok(column.u32()?.into_no_null_iter().map(|value| value as usize).collect())
}

/// Rows that may have the same mask: drops a repeated class, and marks those that another class has, too.
fn twins(group: &[usize], places: &[(usize, usize)], chunks: &mut [Chunk], fates: &mut [Fate]) {
    for (nth, &at) in group.iter().enumerate().skip(1) {
        for &before in &group[..nth] {
            let ((chunk, row), (other_chunk, other_row)) = (places[at], places[before]);
            let (mine, other) = (&chunks[chunk], &chunks[other_chunk]);
            let (mine_row, other_row_) = (&mine.rows[row], &other.rows[other_row]);
            let same = mine.starts[mine_row.spans.clone()] == other.starts[other_row_.spans.clone()]
                && mine.lengths[mine_row.spans.clone()] == other.lengths[other_row_.spans.clone()];
            if !same || fates[before] != Fate::Kept || fates[at] != Fate::Kept {
                continue;
            }
            if mine_row.class == other_row_.class {
                fates[at] = Fate::Duplicate;
                break;
            }
            chunks[chunk].rows[row].notes.add(Note::SameMaskTwoClasses);
            chunks[other_chunk].rows[other_row].notes.add(Note::SameMaskTwoClasses);
        }
    }
}
