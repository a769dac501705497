//! Tools over files: read, write, edit, list, glob, grep. Each opens the granted folder and nothing outside it.
//!
//! **Invariant:** a path is opened beneath the folder or file that was granted, whatever links or renames lie on the way.
//! **Invariant:** a file's bytes are on record before they are changed.

mod edit;
mod glob;
mod grep;
mod list;
mod on_path;
mod place;
mod read;
mod walk;
mod write;

pub use edit::Edit;
pub use glob::Glob;
pub use grep::Grep;
pub use list::List;
pub use on_path::OnPath;
pub use read::Read;
pub use write::Write;

#[cfg(feature = "wasm")]
pub(crate) use place::{LARGEST, NONBLOCK, Place, change, failed};
