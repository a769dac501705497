//! Tools over files: read, write, edit, list, glob, grep. Each opens the granted folder and nothing outside it.
//!
//! **Invariant:** a path is opened beneath the folder or file that was granted, whatever links or renames lie on the way.
//! **Invariant:** a file's bytes are on record before they are changed.

mod edit;
mod find;
mod place;
mod read;
mod write;

pub use edit::Edit;
pub use find::{Glob, Grep, List};
pub use read::Read;
pub use write::Write;

#[cfg(feature = "wasm")]
pub(crate) use place::{LARGEST, NONBLOCK, Place, change, failed};
