//! Tools as WebAssembly components: each a `wasi:cli/run` command of WASI 0.2 that reads one JSON object from standard
//! input and writes its answer to standard output; an error is one line on standard error and exit code 1.
//!
//! A component has no process, no socket, and no file and no host but those that its needs name and its grant covers.
//!
//! **Invariant:** a folder that holds no tool is a named problem; it never ends the program.
//! **Invariant:** code runs only if its SHA-256 is the one its manifest names.

mod call;
mod engine;
mod files;
mod limits;
mod manifest;
mod network;
mod open;
mod output;
mod places;
mod senses;
mod tool;
mod web;

pub use engine::Wasm;
pub use open::Problem;
pub use tool::WasmTool;
