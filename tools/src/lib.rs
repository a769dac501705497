//! Hands: one tool, one file. A tool that reaches outside is a [`Hand`], and [`Guarded`] puts the rules of all around it:
//! fence, grant, place, time, readable output, record. Which of them a program has is its own to say.
//!
//! Whether a call may be made is decided before it comes here; what is not covered is refused here all the same.
//! **Invariant:** arguments are checked here, whatever the model's own grammar promised; a refusal says what to mend.

use std::sync::Arc;

use common_ground::port::{
    index::Index,
    tool::{Tool, ToolSpec},
};

mod arguments;
#[cfg(target_os = "linux")]
mod browser;
mod capture;
mod clean;
mod commons_read;
mod commons_search;
#[cfg(target_os = "linux")]
mod container;
#[cfg(target_os = "linux")]
pub mod docker;
pub mod egress;
pub mod fence;
mod fetch;
mod files;
#[cfg(target_os = "linux")]
mod gate;
#[cfg(target_os = "linux")]
mod growth;
mod guard;
mod hand;
pub mod jail;
#[cfg(target_os = "linux")]
pub mod mcp;
mod outcome;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(feature = "wasm")]
mod wasm;

#[cfg(target_os = "linux")]
pub use browser::{Browse, Chromium, NoBrowser, Probe, Settings as BrowserSettings};
pub use commons_read::CommonsRead;
pub use commons_search::CommonsSearch;
#[cfg(target_os = "linux")]
pub use container::Container;
pub use fetch::{Fetch, Page};
use files::OnPath;
pub use guard::{Common, Guarded};
pub use hand::{Asked, Hand, Work};
#[cfg(target_os = "linux")]
pub use shell::Shell;
#[cfg(feature = "wasm")]
pub use wasm::{Problem, Wasm, WasmTool};

/// Their names.
pub const COMMONS: [&str; 2] = [commons_search::NAME, commons_read::NAME];

/// What they are, in the words that a model reads.
pub fn commons_words() -> [ToolSpec; 2] {
    [commons_search::words(), commons_read::words()]
}

/// The tools over an index.
pub fn commons(index: Arc<dyn Index>) -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(CommonsSearch::new(Arc::clone(&index))), Arc::new(CommonsRead::new(index))]
}

/// The tools over files.
pub fn files(common: &Arc<Common>) -> Vec<Arc<dyn Tool>> {
    vec![
        Arc::new(Guarded::new(OnPath::<files::Read>::new(), common)),
        Arc::new(Guarded::new(OnPath::<files::Write>::new(), common)),
        Arc::new(Guarded::new(OnPath::<files::Edit>::new(), common)),
        Arc::new(Guarded::new(OnPath::<files::List>::new(), common)),
        Arc::new(Guarded::new(OnPath::<files::Glob>::new(), common)),
        Arc::new(Guarded::new(OnPath::<files::Grep>::new(), common)),
    ]
}
