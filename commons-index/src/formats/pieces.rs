//! A stream in pieces that end with a mark, each in memory alone. A piece that is too long is passed over, not kept.
//!
//! **Invariant:** no more than the limit and one buffer is held, however long a piece is.

use std::io::{self, BufRead};

/// A piece of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// One within the limit, its mark included (the last one may have none), and where it begins.
    Whole { at: u64, bytes: &'a [u8] },
    /// One that is longer, where it begins and how long it is.
    TooLong { at: u64, bytes: u64 },
}

/// A stream being cut.
pub(super) struct Pieces<'a> {
    reader: &'a mut dyn BufRead,
    mark: &'static [u8],
    limit: u64,
    at: u64,
    buffer: Vec<u8>,
}

impl<'a> Pieces<'a> {
    /// Cuts `reader` behind each `mark`, which is not empty.
    pub(super) fn new(reader: &'a mut dyn BufRead, mark: &'static [u8], limit: u64) -> Self {
        Self { reader, mark, limit, at: 0, buffer: Vec::new() }
    }

    /// The next piece; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let at = self.at;
        let last = self.mark.last().copied().unwrap_or(b'\n');
        self.buffer.clear();
        let mut length = 0;
        loop {
            let here = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                here => here?,
            };
            if here.is_empty() {
                break;
            }
            let found = memchr::memchr(last, here);
            let taken = &here[..found.map_or(here.len(), |place| place + 1)];
            length += taken.len() as u64;
            // Of a piece too long its end is kept: the mark may come in two buffers.
            if self.buffer.len() as u64 + taken.len() as u64 > self.limit + self.mark.len() as u64 {
                let kept = self.buffer.len().saturating_sub(self.mark.len());
                self.buffer.drain(..kept);
                self.buffer.extend_from_slice(&taken[taken.len().saturating_sub(self.mark.len())..]);
            } else {
                self.buffer.extend_from_slice(taken);
            }
            let count = taken.len();
            self.reader.consume(count);
            if found.is_some() && self.buffer.ends_with(self.mark) {
                break;
            }
        }
        self.at += length;
        Ok(match length {
            0 => None,
            _ if length > self.limit => Some(Piece::TooLong { at, bytes: length }),
            _ => Some(Piece::Whole { at, bytes: &self.buffer }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use proptest::prelude::*;

    use super::{Piece, Pieces};

    #[test]
    fn long_pieces_are_counted_and_the_rest_goes_on() {
        let long = 2u64 << 30;
        let mut stream = BufReader::new(b"one\n".chain(std::io::repeat(b'x').take(long)).chain(&b"\ntwo\nend"[..]));
        let mut pieces = Pieces::new(&mut stream, b"\n", 100);
        let mut told = Vec::new();
        while let Some(piece) = pieces.next().expect("reads") {
            told.push(format!("{piece:?}"));
        }
        let whole = |at, bytes| format!("{:?}", Piece::Whole { at, bytes });
        let too_long = format!("{:?}", Piece::TooLong { at: 4, bytes: long + 1 });
        assert_eq!(told, [whole(0, b"one\n"), too_long, whole(long + 5, b"two\n"), whole(long + 9, b"end")]);
        assert!(pieces.buffer.capacity() < 1 << 20, "{} bytes are held", pieces.buffer.capacity());
    }

    proptest! {
        #[test]
        fn pieces_are_the_stream_and_each_ends_with_its_mark(text in "[a<>/p]{0,60}", size in 1usize..9, limit in 1u64..30) {
            let mut stream = BufReader::with_capacity(size, text.as_bytes());
            let mut pieces = Pieces::new(&mut stream, b"</p>", limit);
            let mut all = 0;
            let mut wanted = text.split_inclusive("</p>");
            while let Some(piece) = pieces.next().expect("reads") {
                let wanted = wanted.next().expect("a piece");
                match piece {
                    Piece::Whole { at, bytes } => {
                        prop_assert_eq!((at, bytes), (all, wanted.as_bytes()));
                        prop_assert!(wanted.len() as u64 <= limit);
                    }
                    Piece::TooLong { at, bytes } => {
                        prop_assert_eq!((at, bytes), (all, wanted.len() as u64));
                        prop_assert!(bytes > limit);
                    }
                }
                all += wanted.len() as u64;
            }
            prop_assert_eq!(wanted.next(), None);
        }
    }
}
