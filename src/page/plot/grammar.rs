//! What stands behind `-- chart:`, read into a kind of chart and the columns it takes. Must not know tables or pictures.

use serde::{Deserialize, Serialize};

/// How each kind is written, for people who wrote it otherwise.
const USAGE: [(&str, &str); 7] = [
    ("bars", "bars label=COLUMN value=COLUMN [value=COLUMN …] [scale=log] [most=30]"),
    ("columns", "columns x=COLUMN value=COLUMN [value=COLUMN …] [scale=log]"),
    ("stacked", "stacked label=COLUMN value=COLUMN value=COLUMN […]"),
    ("lines", "lines x=COLUMN value=COLUMN [value=COLUMN …] [by=COLUMN]"),
    ("heat", "heat row=COLUMN column=COLUMN value=COLUMN [scale=log] [middle=NUMBER]"),
    ("points", "points x=COLUMN y=COLUMN [size=COLUMN] [scale=log]"),
    ("maps", "maps by=COLUMN row=COLUMN column=COLUMN value=COLUMN [most=30]"),
];
/// Rows or maps that are drawn unless the text says otherwise.
const MOST: usize = 30;
/// As many as it may say.
const MOST_MOST: usize = 500;

/// A kind of chart with its columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Kind {
    Bars(Bars),
    Columns(Columns),
    Stacked(Stacked),
    Lines(Lines),
    Heat(Heat),
    Points(Points),
    Maps(Maps),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bars {
    pub label: String,
    pub values: Vec<String>,
    pub log: bool,
    pub most: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Columns {
    pub x: String,
    pub values: Vec<String>,
    pub log: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stacked {
    pub label: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Lines {
    pub x: String,
    pub values: Vec<String>,
    pub by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Heat {
    pub row: String,
    pub column: String,
    pub value: String,
    pub log: bool,
    /// The value around which colours diverge.
    pub middle: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Points {
    pub x: String,
    pub y: String,
    pub size: Option<String>,
    pub log: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Maps {
    pub by: String,
    pub row: String,
    pub column: String,
    pub value: String,
    pub most: usize,
}

impl Kind {
    /// The word it is written with.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Bars(_) => "bars",
            Self::Columns(_) => "columns",
            Self::Stacked(_) => "stacked",
            Self::Lines(_) => "lines",
            Self::Heat(_) => "heat",
            Self::Points(_) => "points",
            Self::Maps(_) => "maps",
        }
    }

    /// The columns that it names, in the order in which its usage has them.
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&String> = Vec::new();
        match self {
            Self::Bars(Bars { label: first, values, .. })
            | Self::Columns(Columns { x: first, values, .. })
            | Self::Stacked(Stacked { label: first, values }) => {
                names.push(first);
                names.extend(values);
            }
            Self::Lines(Lines { x, values, by }) => {
                names.push(x);
                names.extend(values);
                names.extend(by);
            }
            Self::Heat(Heat { row, column, value, .. }) => names.extend([row, column, value]),
            Self::Points(Points { x, y, size, .. }) => {
                names.extend([x, y]);
                names.extend(size);
            }
            Self::Maps(Maps { by, row, column, value, .. }) => names.extend([by, row, column, value]),
        }
        names.into_iter().map(String::as_str).collect()
    }
}

/// The kind that a text asks for; none where it asks for none.
pub(super) fn parse(text: &str) -> Result<Option<Kind>, String> {
    let mut words = text.split_whitespace();
    let word = match words.next() {
        None | Some("none") => {
            return match words.next() {
                None => Ok(None),
                Some(word) => Err(format!("chart: nothing may follow \"none\", and \"{word}\" does")),
            };
        }
        Some(word) => word,
    };
    let Some((_, usage)) = USAGE.iter().find(|(kind, _)| *kind == word) else {
        let kinds: Vec<&str> = USAGE.iter().map(|(kind, _)| *kind).collect();
        return Err(format!("chart: there is no kind \"{word}\"; kinds are {}, and none", kinds.join(", ")));
    };
    let mut keys = Keys { left: Vec::new() };
    for word in words {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => keys.left.push((key, value)),
            _ => return Err(format!("chart: \"{word}\" is not KEY=COLUMN; write {usage}")),
        }
    }
    keys.kind(word).map(Some).map_err(|what| format!("chart: {what}; write {usage}"))
}

/// Keys that nothing has asked for yet.
struct Keys<'a> {
    left: Vec<(&'a str, &'a str)>,
}

impl Keys<'_> {
    fn kind(mut self, word: &str) -> Result<Kind, String> {
        let kind = match word {
            "bars" => Kind::Bars(Bars {
                label: self.one("label")?,
                values: self.several("value", 1)?,
                log: self.log()?,
                most: self.most()?,
            }),
            "columns" => {
                Kind::Columns(Columns { x: self.one("x")?, values: self.several("value", 1)?, log: self.log()? })
            }
            "stacked" => Kind::Stacked(Stacked { label: self.one("label")?, values: self.several("value", 2)? }),
            "lines" => {
                Kind::Lines(Lines { x: self.one("x")?, values: self.several("value", 1)?, by: self.maybe("by")? })
            }
            "heat" => Kind::Heat(Heat {
                row: self.one("row")?,
                column: self.one("column")?,
                value: self.one("value")?,
                log: self.log()?,
                middle: self.middle()?,
            }),
            "points" => Kind::Points(Points {
                x: self.one("x")?,
                y: self.one("y")?,
                size: self.maybe("size")?,
                log: self.log()?,
            }),
            _ => Kind::Maps(Maps {
                by: self.one("by")?,
                row: self.one("row")?,
                column: self.one("column")?,
                value: self.one("value")?,
                most: self.most()?,
            }),
        };
        match (self.left.first(), &kind) {
            (Some((key, _)), _) => Err(format!("{word} has no {key}=")),
            (None, Kind::Heat(Heat { log: true, middle: Some(middle), .. })) if *middle <= 0.0 => {
                Err(format!("a log scale has no middle of {middle}"))
            }
            (None, _) => Ok(kind),
        }
    }

    /// The values of a key, in their order; they are asked for no more.
    fn take(&mut self, key: &str) -> Vec<String> {
        let taken = self.left.iter().filter(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned()).collect();
        self.left.retain(|(name, _)| *name != key);
        taken
    }

    fn maybe(&mut self, key: &str) -> Result<Option<String>, String> {
        let mut values = self.take(key);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(format!("{key}= stands there twice")),
        }
    }

    fn one(&mut self, key: &str) -> Result<String, String> {
        self.maybe(key)?.ok_or_else(|| format!("{key}= is missing"))
    }

    fn several(&mut self, key: &str, least: usize) -> Result<Vec<String>, String> {
        let values = self.take(key);
        match values.len() {
            0 => Err(format!("{key}= is missing")),
            count if count < least => Err(format!("{key}= stands there {count} times and must at least {least} times")),
            _ => Ok(values),
        }
    }

    fn log(&mut self) -> Result<bool, String> {
        match self.maybe("scale")?.as_deref() {
            None | Some("linear") => Ok(false),
            Some("log") => Ok(true),
            Some(other) => Err(format!("scale={other} is neither log nor linear")),
        }
    }

    fn most(&mut self) -> Result<usize, String> {
        let Some(text) = self.maybe("most")? else { return Ok(MOST) };
        match text.parse() {
            Ok(most) if (1..=MOST_MOST).contains(&most) => Ok(most),
            _ => Err(format!("most={text} is no number from 1 to {MOST_MOST}")),
        }
    }

    fn middle(&mut self) -> Result<Option<f64>, String> {
        let Some(text) = self.maybe("middle")? else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(middle) if middle.is_finite() => Ok(Some(middle)),
            _ => Err(format!("middle={text} is no number")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_as_its_usage_says() {
        for (kind, usage) in USAGE {
            let text = usage.replace(['[', ']', '…'], "").replace("NUMBER", "1");
            let parsed = parse(&text).unwrap_or_else(|what| panic!("{text}: {what}")).unwrap();
            assert_eq!(parsed.word(), kind);
            assert!(parsed.columns().iter().all(|name| *name == "COLUMN"));
        }
    }

    #[test]
    fn columns_come_in_their_order() {
        let kind = parse("  stacked  value=train label=name\tvalue=val value=test ").unwrap().unwrap();
        assert_eq!(kind.columns(), ["name", "train", "val", "test"]);
        let Kind::Heat(heat) = parse("heat row=a column=b value=c middle=1").unwrap().unwrap() else { panic!() };
        assert_eq!((heat.middle, heat.log), (Some(1.0), false));
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_asked_for() {
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse(" none "), Ok(None));
        assert!(parse("none label=a").unwrap_err().contains("nothing may follow"));
    }

    #[test]
    fn what_is_wrong_is_said_with_how_to_write_it() {
        for (text, wanted) in [
            ("pie label=a value=b", "there is no kind \"pie\"; kinds are bars, columns"),
            ("bars value=b", "label= is missing; write bars label=COLUMN"),
            ("bars label=a", "value= is missing"),
            ("bars label=a label=b value=c", "label= stands there twice"),
            ("bars label value=c", "\"label\" is not KEY=COLUMN"),
            ("bars label= value=c", "\"label=\" is not KEY=COLUMN"),
            ("bars label=a value=b colour=red", "bars has no colour="),
            ("bars label=a value=b scale=cubic", "scale=cubic is neither"),
            ("bars label=a value=b most=0", "most=0 is no number from 1 to 500"),
            ("bars label=a value=b most=-1", "most=-1 is no number"),
            ("stacked label=a value=b", "must at least 2 times"),
            ("heat row=a column=b value=c middle=NaN", "middle=NaN is no number"),
            ("heat row=a column=b value=c middle=0 scale=log", "a log scale has no middle of 0"),
            ("lines x=a value=b scale=log", "lines has no scale="),
        ] {
            let what = parse(text).unwrap_err();
            assert!(what.starts_with("chart: ") && what.contains(wanted), "{text}: {what}");
        }
    }
}
