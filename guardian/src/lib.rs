//! Conscience: charters and orders in their signed form, sentinels that watch the facts of runs, briefs for people, and the
//! orders that a charter lets a guardian write.
//!
//! **Invariant:** pure. No file, network, clock, thread or key: facts and bytes come in, concerns, briefs and the text of
//! orders go out. What is to be done is signed elsewhere and decided in `common-ground`.
//! **Invariant:** memory is bounded, however many facts come by and whatever stands in them.

pub mod advice;
pub mod adviser;
pub mod charter;
pub mod concern;
pub mod identity;
pub mod implementer;
pub mod line;
pub mod order;
pub mod scan;
mod seen;
pub mod sentinels;
mod signed;
pub mod watch;

pub use concern::{Concern, Severity};
pub use line::Line;
pub use seen::{Contents, Seen};
pub use watch::Watch;
