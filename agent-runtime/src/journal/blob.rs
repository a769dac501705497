//! Contents by digest: packed small ones for a row, large ones as files that are durable before the row that names them.
//!
//! **Invariant:** a content is stored under the digest of its own bytes and hashed again when read; anything else is an error.
//! **Invariant:** a large content's file and its folder are synced before the transaction that refers to it begins.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use receipts::Digest;

use super::error::{Damage, JournalError};
use super::row::Blob;
use crate::home::Home;

/// Packed contents above this many bytes become files.
pub(crate) const LARGEST_ROW: usize = 64 * 1024;
const LEVEL: i32 = 1;

/// How a content lies in the journal. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Zstd,
    File,
}

impl Form {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Plain => 0,
            Self::Zstd => 1,
            Self::File => 2,
        }
    }

    pub(crate) fn of(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Plain),
            1 => Some(Self::Zstd),
            2 => Some(Self::File),
            _ => None,
        }
    }
}

/// A content ready to store.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(crate) digest: Digest,
    pub(crate) form: Form,
    pub(crate) length: usize,
    pub(crate) bytes: Vec<u8>,
}

thread_local! {
    /// Setting a compressor up costs several times what packing a small content does.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// Packs contents and checks that each has its digest.
pub(crate) fn pack_all(blobs: Vec<Blob>) -> Result<Vec<Packed>, JournalError> {
    blobs.into_iter().map(pack).collect()
}

fn pack(blob: Blob) -> Result<Packed, JournalError> {
    let Blob { digest, bytes } = blob;
    if Digest::of(&bytes) != digest {
        return Err(JournalError::WrongDigest(digest));
    }
    let length = bytes.len();
    let small = compress(&bytes).map_err(|source| JournalError::Io { path: PathBuf::from("zstd"), source })?;
    let (form, bytes) = match (small.len() > LARGEST_ROW, small.len() < length) {
        (true, _) => (Form::File, small),
        (false, true) => (Form::Zstd, small),
        (false, false) => (Form::Plain, bytes),
    };
    Ok(Packed { digest, form, length, bytes })
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(compressor) => compressor.compress(bytes),
        None => slot.insert(zstd::bulk::Compressor::new(LEVEL)?).compress(bytes),
    })
}

/// Unpacks and checks a content.
pub(crate) fn unpack(digest: Digest, form: Form, length: usize, bytes: Vec<u8>) -> Result<Vec<u8>, JournalError> {
    let damaged = || JournalError::Damaged(Damage::Content(digest));
    let bytes = match form {
        Form::Plain => bytes,
        Form::Zstd | Form::File => zstd::bulk::decompress(&bytes, length).map_err(|_bad_frame| damaged())?,
    };
    if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(damaged()) }
}

/// Where a large content lies.
pub(crate) fn file_of(home: &Home, digest: Digest) -> PathBuf {
    let hex = digest.to_string();
    home.blobs().join(&hex[..2]).join(format!("{hex}.zst"))
}

/// Writes a large content: temporary file, sync, rename, sync of the folder.
pub(crate) fn write_file(home: &Home, packed: &Packed) -> Result<(), JournalError> {
    let path = file_of(home, packed.digest);
    let folder = path.parent().unwrap_or(home.root());
    write_durably(folder, &path, &packed.bytes).map_err(|source| JournalError::io(&path, source))
}

fn write_durably(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new_folder = !folder.is_dir();
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    static TURN: AtomicU64 = AtomicU64::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{turn}.tmp", std::process::id()));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // Half a file on a full disk would keep it full; the write's own error is the one to report.
        if let Err(second) = fs::remove_file(&temporary) {
            tracing::debug!(%second, "temporary file left behind");
        }
        return Err(error);
    }
    sync_folder(folder)?;
    match (new_folder, folder.parent()) {
        (true, Some(parent)) => sync_folder(parent),
        (true, None) | (false, _) => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Every file under the blob folder: its digest where the name is one, and its path.
pub(crate) fn files(home: &Home) -> Result<Vec<(Option<Digest>, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    let listed = |folder: &Path| -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    let root = home.blobs();
    for folder in listed(&root).map_err(|source| JournalError::io(&root, source))? {
        for path in listed(&folder).map_err(|source| JournalError::io(&folder, source))? {
            let digest = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".zst"))
                .and_then(|hex| hex.parse().ok());
            found.push((digest, path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Form, LARGEST_ROW, pack_all, unpack};
    use crate::journal::error::JournalError;
    use crate::journal::row::Blob;
    use receipts::Digest;

    #[test]
    fn a_content_under_a_foreign_digest_is_refused_both_ways() {
        let wrong = Digest::of(b"other");
        let refused = pack_all(vec![Blob { digest: wrong, bytes: b"this".to_vec() }]);
        assert!(matches!(refused, Err(JournalError::WrongDigest(digest)) if digest == wrong));
        assert!(matches!(unpack(wrong, Form::Plain, 4, b"this".to_vec()), Err(JournalError::Damaged(_))));
        assert!(matches!(unpack(wrong, Form::Zstd, 4, b"this".to_vec()), Err(JournalError::Damaged(_))));
    }

    #[test]
    fn each_form_comes_back_as_it_went_in() {
        let noise: Vec<u8> = (0..5000u32).flat_map(|n| Digest::of(&n.to_be_bytes()).0).collect();
        for bytes in [Vec::new(), b"x".to_vec(), vec![b'a'; LARGEST_ROW * 40], noise] {
            let digest = Digest::of(&bytes);
            let packed = pack_all(vec![Blob { digest, bytes: bytes.clone() }]).expect("packed").remove(0);
            assert_eq!(packed.form == Form::File, packed.bytes.len() > LARGEST_ROW);
            assert!(packed.bytes.len() <= bytes.len() || packed.form == Form::File);
            assert_eq!(unpack(digest, packed.form, packed.length, packed.bytes).expect("unpacked"), bytes);
        }
    }
}
