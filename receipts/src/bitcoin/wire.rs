//! Reading Bitcoin's bytes piece by piece: integers with the least significant byte first, counts in their shortest form.
//!
//! **Invariant:** nothing is taken that is not there, and no count is believed before its bytes are.

/// What is left to read.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count or length.
    pub fn compact(&mut self) -> Option<usize> {
        let [first] = self.array()?;
        let (number, least) = match first {
            0xfd => (u64::from(u16::from_le_bytes(self.array()?)), 0xfd),
            0xfe => (u64::from(self.u32()?), 0x1_0000),
            0xff => (self.u64()?, 0x1_0000_0000),
            small => (u64::from(small), 0),
        };
        usize::try_from(number).ok().filter(|_| number >= least)
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.compact()?;
        self.take(length)
    }
}

/// Writes a count or length.
pub(super) fn put_compact(out: &mut Vec<u8>, number: usize) {
    let number = number as u64;
    match (u8::try_from(number), u16::try_from(number), u32::try_from(number)) {
        (Ok(small), _, _) if small < 0xfd => out.push(small),
        (_, Ok(short), _) => {
            out.push(0xfd);
            out.extend(short.to_le_bytes());
        }
        (_, Err(_), Ok(long)) => {
            out.push(0xfe);
            out.extend(long.to_le_bytes());
        }
        (_, Err(_), Err(_)) => {
            out.push(0xff);
            out.extend(number.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, put_compact};

    #[test]
    fn a_count_has_one_spelling() {
        for number in [0, 1, 0xfc, 0xfd, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000] {
            let mut bytes = Vec::new();
            put_compact(&mut bytes, number);
            let mut reader = Reader(&bytes);
            assert_eq!(reader.compact(), Some(number));
            assert!(reader.0.is_empty());
            assert_eq!(Reader(&bytes[..bytes.len() - 1]).compact(), None);
        }
        for longer in [&[0xfd, 0xfc, 0][..], &[0xfe, 0xff, 0xff, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]] {
            assert_eq!(Reader(longer).compact(), None, "{longer:?}");
        }
        assert_eq!(Reader(&[0xff; 9]).bytes(), None, "more than there can be");
    }
}
