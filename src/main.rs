//! The program `ii`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ii::cli::main(std::env::args_os(), ii::wiring::Wiring::real()).into()
}
