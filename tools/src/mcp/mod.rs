//! Servers of the Model Context Protocol as tools: local ones in a process jail, others over HTTP through the dialler.
//!
//! Nothing a server says is believed: its tools are what the person approved, its hints are not read, and what it gives is
//! data from outside. It gets no model, no person and no folder to ask.
//!
//! **Invariant:** a server is started, and a tool of it offered, only as the person approved it, to the letter.

mod connection;
mod content;
mod http;
mod lines;
mod listing;
mod open;
mod server;
mod signs;
mod tool;

pub use listing::{Listing, Pin};
pub use open::{Client, Opened};
pub use server::{BadServer, Server, Transport};
pub use signs::Fault;
pub use tool::McpTool;
