//! Lists the questions in `sql/`, so that the program carries each of them and a new file needs no line of code.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=sql");
    println!("cargo:rerun-if-changed=sql/checks");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("sql");
    let mut list = String::from("/// The questions that ship with the program: file name and text.\n");
    list.push_str("pub const SHIPPED: &[(&str, &str)] = &[\n");
    for (folder, prefix) in [(root.clone(), ""), (root.join("checks"), "checks/")] {
        for file in questions(&folder)? {
            let _ = writeln!(list, "    ({:?}, include_str!({:?})),", format!("{prefix}{file}"), folder.join(&file));
        }
    }
    list.push_str("];\n");
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("shipped.rs"), list)
}

/// The names of the `.sql` files directly in a folder, in byte order.
fn questions(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".sql") {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}
