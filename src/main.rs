//! The program `ii`.

use std::process::ExitCode;

fn main() -> ExitCode {
    // A jail's keeper is this program, started by itself; it does nothing else.
    #[cfg(target_os = "linux")]
    if tools::jail::is_child() {
        tools::jail::child()
    }
    ii::cli::main(std::env::args_os(), ii::wiring::Wiring::real()).into()
}
