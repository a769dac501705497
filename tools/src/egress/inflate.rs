//! Bodies as they were before they were compressed, and never more of them than asked for.
//!
//! **Invariant:** memory in use is at most what was asked for, however small the body is that came.

use std::io::{self, Read};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Why a body cannot be inflated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotInflated {
    /// It would be more than asked for.
    #[error("it inflates to more than {0} bytes")]
    TooLarge(usize),
    /// It is compressed in a way that was not offered.
    #[error("its encoding {0:?} was not asked for")]
    Unknown(String),
    /// It is damaged.
    #[error("it is damaged: {0}")]
    Damaged(#[from] io::Error),
}

/// The body without its content encoding.
pub(crate) fn inflate(body: Vec<u8>, encoding: &str, most: usize) -> Result<Vec<u8>, NotInflated> {
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" if body.len() <= most => Ok(body),
        "" | "identity" => Err(NotInflated::TooLarge(most)),
        "gzip" | "x-gzip" => bounded(MultiGzDecoder::new(body.as_slice()), most),
        // Named for zlib, and sent without its header by some.
        "deflate" if body.first().is_some_and(|first| first & 0x0f == 8) => {
            bounded(ZlibDecoder::new(body.as_slice()), most)
        }
        "deflate" => bounded(DeflateDecoder::new(body.as_slice()), most),
        other => Err(NotInflated::Unknown(other.to_owned())),
    }
}

fn bounded(reader: impl Read, most: usize) -> Result<Vec<u8>, NotInflated> {
    let mut inflated = Vec::new();
    reader.take(most as u64 + 1).read_to_end(&mut inflated)?;
    if inflated.len() > most { Err(NotInflated::TooLarge(most)) } else { Ok(inflated) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};

    use super::{NotInflated, inflate};

    #[test]
    fn no_more_than_asked_for() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 50 << 20]).expect("in memory");
        let bomb = gzip.finish().expect("in memory");
        assert!(bomb.len() < 60_000);
        assert!(matches!(inflate(bomb.clone(), "gzip", 1 << 20), Err(NotInflated::TooLarge(_))));
        assert!(matches!(inflate(bomb, "gzip, gzip", 1 << 20), Err(NotInflated::Unknown(_))));
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(b"text").expect("in memory");
        assert_eq!(inflate(zlib.finish().expect("in memory"), "Deflate", 4).expect("inflates"), b"text");
        assert!(matches!(inflate(b"12345".to_vec(), "", 4), Err(NotInflated::TooLarge(4))));
        assert!(matches!(inflate(b"no gzip".to_vec(), "gzip", 100), Err(NotInflated::Damaged(_))));
    }
}
