//! The comment lines at the top of a question or check. Must not know what is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A file of `sql/` or `sql/checks/`.
pub struct File {
    /// Its name without the ending.
    pub name: String,
    /// Whether it is a check.
    pub check: bool,
    /// The whole text.
    pub text: String,
    /// What follows `-- title:` and the like; `keep` may repeat.
    pub lines: BTreeMap<String, Vec<String>>,
    /// Name and meaning of each `-- column` line, in their order.
    pub columns: Vec<(String, String)>,
}

impl File {
    /// The one line of this kind.
    pub fn line(&self, kind: &str) -> &str {
        match self.lines.get(kind).map(Vec::as_slice) {
            Some([line]) => line,
            other => panic!("{}: one line `-- {kind}:` is wanted, there is {other:?}", self.name),
        }
    }

    /// The columns that a chart, `keep` or `numbers` line names, as `key=column`, without numbers and words of the grammar.
    pub fn named(line: &str) -> Vec<String> {
        let pairs = line.split_whitespace().filter_map(|word| word.split_once('='));
        pairs
            .filter(|(key, _)| !["scale", "most", "middle"].contains(key))
            .map(|(_, column)| column.to_owned())
            .collect()
    }
}

/// Every `.sql` file of `sql/` and `sql/checks/`, by name: found by listing, so that none is forgotten.
pub fn files() -> Vec<File> {
    let mut files = Vec::new();
    for (folder, check) in [("sql", false), ("sql/checks", true)] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "sql") {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                files.push(parse(name, check, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort_by(|a, b| (a.check, &a.name).cmp(&(b.check, &b.name)));
    files
}

fn parse(name: String, check: bool, text: String) -> File {
    let (mut lines, mut columns) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for line in text.lines().map_while(|line| line.strip_prefix("-- ")) {
        if let Some((column, meaning)) = line.strip_prefix("column ").and_then(|rest| rest.split_once(':')) {
            columns.push((column.trim().to_owned(), meaning.trim().to_owned()));
        } else if let Some((kind, rest)) = line.split_once(": ").filter(|(kind, _)| !kind.contains(' ')) {
            lines.entry(kind.to_owned()).or_default().push(rest.trim().to_owned());
        }
    }
    File { name, check, text, lines, columns }
}
