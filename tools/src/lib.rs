//! Hands: one tool, one file, one line in [`all`].
//!
//! **Invariant:** a tool gives the same text for the same arguments on the same data.
//! **Invariant:** arguments are checked here, whatever the model's own grammar promised; a refusal says what to mend.

use std::sync::Arc;

use common_ground::port::{index::Index, tool::Tool};

mod arguments;
mod browser;

mod clean;
mod commons_read;
mod commons_search;
pub mod egress;
mod fence;
mod fetch;
mod guard;
mod hand;

pub use browser::{Browse, Chromium, NoBrowser, Probe, Settings as BrowserSettings};
pub use commons_read::CommonsRead;
pub use commons_search::CommonsSearch;
pub use fetch::Fetch;
pub use guard::{Common, Guarded};
pub use hand::{Hand, Work};

/// Every tool there is.
pub fn all(index: Arc<dyn Index>) -> Vec<Arc<dyn Tool>> {
    vec![Arc::new(CommonsSearch::new(Arc::clone(&index))), Arc::new(CommonsRead::new(index))]
}
