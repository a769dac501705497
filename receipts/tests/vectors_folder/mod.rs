//! The folder of published vectors: `$II_SHARED`, or `../shared` beside the checkout. Nothing of it is committed here.

use std::path::{Path, PathBuf};

/// A folder of vectors; says what is left out when it is not there.
pub fn vectors(name: &str, what: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("II_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("vectors").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {what}: there is no {}", folder.display());
    None
}
