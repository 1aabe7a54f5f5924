#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout, dead_code)]
#[path = "../tests/it/questions/tables.rs"]
mod tables;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rows: tables::Rows = if args[0] == "empty" { Default::default() } else { serde_json::from_slice(&std::fs::read(&args[0]).unwrap()).unwrap() };
    let frames = tables::frames(&rows);
    for file in &args[1..] {
        let text = std::fs::read_to_string(file).unwrap();
        match selvedge::table::sql::query(file, &text, &frames) {
            Ok(frame) => if args[0] == "empty" { println!("{file}: {} rows", frame.height()) } else {
                println!("== {file}");
                println!("{}", frame.get_column_names().iter().map(|n| n.as_str()).collect::<Vec<_>>().join("\t"));
                println!("{}", frame.columns().iter().map(|c| c.dtype().to_string()).collect::<Vec<_>>().join("\t"));
                for i in 0..frame.height() { println!("{}", frame.columns().iter().map(|c| c.get(i).unwrap().to_string()).collect::<Vec<_>>().join("\t")); }
            },
            Err(error) => println!("== {file} FAILED: {}", error.to_string().chars().take(700).collect::<String>()),
        }
    }
}
