//! The program `selvedge`: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    selvedge::cli::main()
}
