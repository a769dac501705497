//! Compressed files, unpacked as they are read, and the bytes of any file counted and hashed on the way.
//!
//! **Invariant:** what a file unpacks to is bounded by what it came in: a bomb ends as an error, after a bounded amount of work.
//! **Invariant:** the digest is of the very bytes that were read.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use receipts::Digest;
use sha2::{Digest as _, Sha256};

use crate::scan::SkipReason;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As it is.
    None,
    /// gzip, of one member or many.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2, of one stream or many.
    Bzip2,
}

/// Ordinary text packs to a tenth, lists of the same to a hundredth; a bomb is made to pack to a thousandth and less.
const MOST_TIMES: u64 = 200;
/// So much may come of any file.
const FREE: u64 = 64 << 20;
const BUFFER: usize = 256 << 10;

impl Packing {
    /// What a name says, and the name without it.
    pub(crate) fn of_name(name: &str) -> (&str, Self) {
        let Some((rest, extension)) = name.rsplit_once('.') else {
            return (name, Self::None);
        };
        match extension.to_ascii_lowercase().as_str() {
            "gz" => (rest, Self::Gzip),
            "zst" => (rest, Self::Zstd),
            "bz2" => (rest, Self::Bzip2),
            _other => (name, Self::None),
        }
    }

    /// Its name; none of what is as it is.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Bzip2 => Some("bzip2"),
        }
    }

    /// The bytes packed in `file`.
    pub(crate) fn unpacked<'a>(self, file: &'a mut Counted<'_>) -> io::Result<Box<dyn BufRead + 'a>> {
        let came = Arc::clone(&file.came);
        let plain: Box<dyn Read + 'a> = match self {
            Self::None => return Ok(Box::new(BufReader::with_capacity(BUFFER, file))),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, file))),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER, file))?),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::with_capacity(BUFFER, file))),
        };
        Ok(Box::new(BufReader::with_capacity(BUFFER, Bounded::new(plain, came))))
    }
}

/// What a bomb is told as.
#[derive(Debug, thiserror::Error)]
#[error("unpacks to more than {MOST_TIMES} times its size")]
struct Bomb;

/// The reason that an error of reading is.
pub(crate) fn reason(error: &io::Error) -> SkipReason {
    match error.get_ref() {
        Some(cause) if cause.is::<Bomb>() => SkipReason::Bomb { times: MOST_TIMES },
        Some(_) | None => SkipReason::Unreadable { cause: error.to_string() },
    }
}

/// What comes out of something packed, bounded by what went in.
pub(crate) struct Bounded<R> {
    plain: R,
    came: Arc<AtomicU64>,
    gave: u64,
}

impl<R: Read> Bounded<R> {
    /// `came` counts the packed bytes as `plain` takes them.
    pub(crate) fn new(plain: R, came: Arc<AtomicU64>) -> Self {
        Self { plain, came, gave: 0 }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.gave += count as u64;
        if self.gave > FREE.max(self.came.load(Ordering::Relaxed).saturating_mul(MOST_TIMES)) {
            return Err(io::Error::other(Bomb));
        }
        Ok(count)
    }
}

/// A file whose bytes are counted and hashed as they are read.
pub(crate) struct Counted<'a> {
    file: &'a mut dyn Read,
    hash: Sha256,
    came: Arc<AtomicU64>,
    told: &'a AtomicU64,
}

impl<'a> Counted<'a> {
    /// Reads `file`; `told` grows by each byte.
    pub(crate) fn new(file: &'a mut dyn Read, told: &'a AtomicU64) -> Self {
        Self { file, hash: Sha256::new(), came: Arc::default(), told }
    }

    /// Reads what is left, and gives the digest and number of all bytes.
    pub(crate) fn finish(mut self) -> io::Result<(Digest, u64)> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => count.map(drop)?,
            }
        }
        Ok((Digest(self.hash.finalize().into()), self.came.load(Ordering::Relaxed)))
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.came.fetch_add(count as u64, Ordering::Relaxed);
        self.told.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        sync::atomic::AtomicU64,
    };

    use receipts::Digest;

    use super::{Counted, FREE, Packing, reason};
    use crate::scan::SkipReason;

    fn gzip(bytes: &mut dyn Read) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(bytes, &mut packed).expect("packs");
        packed.finish().expect("packs")
    }

    fn read(packing: Packing, packed: &[u8]) -> (Result<u64, SkipReason>, u64) {
        let (mut file, told) = (packed, AtomicU64::new(0));
        let mut counted = Counted::new(&mut file, &told);
        let mut all = 0;
        let unpacked = packing.unpacked(&mut counted).and_then(|mut bytes| {
            let mut buffer = [0; 4096];
            loop {
                match bytes.read(&mut buffer)? {
                    0 => return Ok(all),
                    count => all += count as u64,
                }
            }
        });
        let unpacked = unpacked.map_err(|error| reason(&error));
        let (digest, bytes) = counted.finish().expect("reads");
        assert_eq!((digest, bytes), (Digest::of(packed), packed.len() as u64));
        (unpacked, told.into_inner())
    }

    #[test]
    fn packed_files_unpack_and_bombs_end() {
        let text = b"some text ".repeat(1_000);
        let mut twice = gzip(&mut &text[..]);
        twice.extend(gzip(&mut &text[..]));
        assert_eq!(read(Packing::Gzip, &twice), (Ok(20_000), twice.len() as u64));
        assert_eq!(read(Packing::Zstd, &zstd::encode_all(&text[..], 1).expect("packs")).0, Ok(10_000));
        let mut packed = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        packed.write_all(&text).expect("packs");
        assert_eq!(read(Packing::Bzip2, &packed.finish().expect("packs")).0, Ok(10_000));
        let bomb = gzip(&mut std::io::repeat(0).take(4 * FREE));
        assert_eq!(read(Packing::Gzip, &bomb).0, Err(SkipReason::Bomb { times: 200 }));
        let (cut, _) = read(Packing::Gzip, &twice[..twice.len() - 9]);
        assert!(matches!(cut, Err(SkipReason::Unreadable { .. })), "{cut:?}");
    }
}
