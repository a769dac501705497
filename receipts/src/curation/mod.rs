//! Data-Curation: what an ingest made of a collection, one line of a log and one leaf of a tree a document.
//!
//! The receipt names the heads of the collection's corpus before and after, the tree over the log, and how many documents were
//! added, changed, removed and refused. The log stays with the collection: it opens every leaf. Who has it checks each line and
//! that the lines lead from the one head to the other; who has the receipt alone checks who vouches for them, and one line where
//! it is disclosed.
//!
//! **Invariant:** reading a log takes memory that grows with the logarithm of its lines.

mod entry;
mod log;
mod seal;
mod statement;

pub use entry::{Curated, Refused, Removed, Steps, Transform};
pub use log::{Began, Head, Header, Ingest, Line, LogError, LogReader, LogWriter, Reckoned};
pub use seal::{CurationInput, seal};
pub use statement::{CollectionChange, CurationPredicate, PREDICATE};

pub(crate) use entry::{COUNTED, KINDS, OPEN};
pub(crate) use statement::{SPEC, non_claims, origin};

/// What the verifier finds before a curation is sealed: the log, read back, leads from the collection's head before to its head
/// after, entry by entry.
pub const CRITERION: &str = "log-leads-to-corpus";
/// The sort of work, as delegations name it.
pub const WORK: &str = "curation";
