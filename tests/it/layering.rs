//! The floors of the house: a room imports lower floors only, rooms of one floor do not see each other, and stages neither.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms from the ground up; those in one row do not see each other, but for the plain values of the ground.
const FLOORS: [&[&str]; 8] = [
    &["cancel", "clock", "digest", "event", "id", "outcome"],
    &["graph", "runtime", "collective", "table", "image", "storage"],
    &["page"],
    &["predict"],
    &["stage"],
    &["pipeline"],
    &["reporter", "runner"],
    &["cli"],
];

/// What every stage may use of the room `stage`: doors to tables, rows, quarantine, models and photos, and how results are judged.
const SHARED_BY_STAGES: [&str; 8] =
    ["tables", "quarantine", "artifact", "bench", "dataset", "measure", "photos", "portions"];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("src can be read").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The room and, within it, the part that a file belongs to.
fn place(path: &str) -> (String, String) {
    let mut parts = path.trim_end_matches(".rs").split('/');
    let room = parts.next().unwrap_or_default().to_owned();
    (room, parts.next().unwrap_or("mod").to_owned())
}

/// Every `crate::a::b` of a file, also inside `use crate::{a, b::c}`, as (room, part).
fn imports(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') || code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 1;
            let end = list.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            });
            let mut item = String::new();
            let mut depth = 0;
            for c in list[..end.unwrap_or(list.len())].chars().chain([',']) {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if c == ',' && depth == 0 {
                    found.push(path(item.trim()));
                    item.clear();
                } else {
                    item.push(c);
                }
            }
        } else {
            found.push(path(rest));
        }
    }
    found.retain(|(room, _)| !room.is_empty());
    found
}

fn path(text: &str) -> (String, String) {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let room = word(text);
    let part = text[room.len()..].strip_prefix("::").map(word).unwrap_or_default();
    (room, part)
}

/// What is wrong with one file's imports.
fn faults(file: &str, text: &str) -> Vec<String> {
    let (room, part) = place(file);
    let Some(own) = floor(&room) else {
        return if matches!(room.as_str(), "lib" | "main") {
            Vec::new()
        } else {
            vec![format!("{file}: {room} has no floor")]
        };
    };
    let mut faults = Vec::new();
    for (other, other_part) in imports(text) {
        let Some(theirs) = floor(&other) else {
            faults.push(format!("{file} imports {other}, which has no floor"));
            continue;
        };
        if other == room {
            let stages = room == "stage" && part != "mod" && other_part != part;
            let is_stage =
                other_part.starts_with(|c: char| c.is_lowercase()) && !SHARED_BY_STAGES.contains(&other_part.as_str());
            if stages && is_stage && other_part != "check" {
                faults.push(format!("{file}: the stage {part} imports the stage {other_part}"));
            }
        } else if theirs > own || theirs == own && own > 0 {
            faults.push(format!("{file} imports {other}, which does not lie below {room}"));
        }
    }
    faults
}

#[test]
fn every_import_goes_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut all = Vec::new();
    for file in files {
        let name = file.strip_prefix(&src).expect("it lies below src").to_string_lossy().into_owned();
        all.extend(faults(&name, &fs::read_to_string(&file).expect("it can be read")));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_planted_import_is_found() {
    assert_eq!(faults("storage/mod.rs", "use crate::runner::Error;\n").len(), 1, "upward");
    assert_eq!(faults("table/mod.rs", "use crate::{clock, storage::Store};\n").len(), 1, "sideways, in a list");
    assert_eq!(faults("stage/merge/mod.rs", "use crate::stage::ingest::Settings;\n").len(), 1, "stage to stage");
    assert_eq!(faults("image/a.rs", "fn f() -> crate::predict::Error { todo() }\n").len(), 1, "without use");
    assert_eq!(faults("stage/merge/mod.rs", "use crate::stage::{Context, tables::Tables};\n"), [""; 0]);
    assert_eq!(faults("runner/mod.rs", "use crate::stage::ingest;\nuse crate::{clock, id};\n"), [""; 0]);
}
