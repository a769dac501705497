//! The vectors of one revision in one space, in memory, and the exact scan over them.
//!
//! Half precision: 100,000 vectors of 384 numbers are 77 MB, and are read through in some milliseconds. Nothing is built, so
//! nothing is missed, and a filter costs nothing but itself.
//!
//! **Invariant:** drawn from the records alone, in order of text and span, so that it may be lost at any time.
//! **Invariant:** a file of that name is whole: it is written under another name by one program at a time, and nothing of a
//! drawing that failed or was killed is left once the next one is done.
//! **Invariant:** a score is the scalar product of the vectors as they are kept, summed up in one order in double precision:
//! the same on every machine. The fast product only chooses whom to score.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
};

use half::f16;
use receipts::Digest;
use simsimd::SpatialSimilarity;

use crate::{
    error::{StoreError, from_io},
    filter::Allowed,
    lock::Lock,
};

const MAGIC: &[u8; 8] = b"iivec 1\n";
/// Millionths: what a score is counted in, so that records and reports carry no floating point.
const MICRO: f64 = 1e6;
/// Twice as many are scored as are wanted, and these more: the fast product errs by thousandths.
const SPARE: usize = 64;

/// So many vectors are worth a thread of their own: to start one takes as long as a thousand of them.
const A_THREADS_WORTH: usize = 16_384;
/// Threads of one search at most.
const MOST_THREADS: usize = 8;

/// Half-precision numbers as the fast product takes them.
pub(crate) fn halves(vector: &[f32]) -> Vec<u16> {
    vector.iter().map(|number| f16::from_f32(*number).to_bits()).collect()
}

/// The scalar product in millionths.
#[expect(clippy::cast_possible_truncation, reason = "a product of vectors of length one")]
pub(crate) fn score(a: &[u16], b: &[u16]) -> i64 {
    let product = |(a, b): (&u16, &u16)| f16::from_bits(*a).to_f64() * f16::from_bits(*b).to_f64();
    (a.iter().zip(b).map(product).sum::<f64>() * MICRO).round() as i64
}

/// Where the vectors of a revision lie.
pub(crate) fn file(collection: &Path, revision: i64, space: Digest) -> PathBuf {
    collection.join(format!("vectors-{revision}-{}", &space.to_string()[..16]))
}

/// Bytes of that file; 0 where it was not drawn.
pub(crate) fn bytes_on_disk(collection: &Path, revision: i64, space: Digest) -> u64 {
    fs::metadata(file(collection, revision, space)).map_or(0, |about| about.len())
}

/// How the name of a file that is being written ends.
const PART: &str = ".part";

/// Removes the vectors of all revisions but one; not what another program is writing now.
pub(crate) fn remove_others(collection: &Path, keep: i64) -> Result<(), StoreError> {
    let kept = format!("vectors-{keep}-");
    remove(collection, |name| !name.starts_with(&kept) && !name.ends_with(PART))
}

fn remove(collection: &Path, unwanted: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    for entry in fs::read_dir(collection).map_err(|error| from_io(collection, &error))? {
        let entry = entry.map_err(|error| from_io(collection, &error))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("vectors-") && unwanted(&name) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(from_io(&entry.path(), &error)),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

/// A file being written, under another name until it is whole; dropped before, it is removed.
pub(crate) struct Builder {
    path: PathBuf,
    part: PathBuf,
    out: BufWriter<File>,
    check: crc32fast::Hasher,
    whole: bool,
    _alone: Lock,
}

impl Builder {
    /// Starts over. With the lock, any part that lies there is of a program that was killed, and goes.
    pub(crate) fn new(
        alone: Lock,
        collection: &Path,
        revision: i64,
        space: Digest,
        mark: Digest,
        dimensions: u32,
    ) -> Result<Self, StoreError> {
        let path = file(collection, revision, space);
        remove(collection, |name| name.ends_with(PART))?;
        let part = path.with_extension(&PART[1..]);
        // Where a file system gives one lock to two, the second fails here instead of writing into the first one's.
        let made = File::options().read(true).write(true).create_new(true).open(&part);
        let made = made.map_err(|error| from_io(&part, &error))?;
        let (out, check) = (BufWriter::with_capacity(1 << 20, made), crc32fast::Hasher::new());
        let mut builder = Self { path, part, out, check, whole: false, _alone: alone };
        for bytes in [MAGIC.as_slice(), &mark.0, &space.0, &dimensions.to_le_bytes()] {
            builder.put(bytes)?;
        }
        Ok(builder)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.check.update(bytes);
        self.out.write_all(bytes).map_err(|error| from_io(&self.part, &error))
    }

    /// Adds a passage's vector, as little-endian half-precision numbers.
    pub(crate) fn add(&mut self, passage: u64, document: u64, vector: &[u8]) -> Result<(), StoreError> {
        for bytes in [&passage.to_le_bytes(), &document.to_le_bytes(), vector] {
            self.put(bytes)?;
        }
        Ok(())
    }

    /// Makes it durable, reads it back as it is written, and gives it its name.
    pub(crate) fn finish(mut self, space: Digest, mark: Digest) -> Result<Vectors, StoreError> {
        let check = self.check.clone().finalize();
        self.put(&check.to_le_bytes())?;
        let failed = |error: io::Error| from_io(&self.part, &error);
        self.out.flush().map_err(failed)?;
        let mut file = self.out.get_ref();
        file.sync_all().map_err(failed)?;
        file.rewind().map_err(failed)?;
        let drawn = Vectors::read(file, &self.part, space, mark)?;
        fs::rename(&self.part, &self.path).map_err(failed)?;
        self.whole = true;
        Ok(drawn)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        if !self.whole {
            // Why it failed is told already, and what cannot be removed now the next one removes.
            drop(fs::remove_file(&self.part));
        }
    }
}

/// The vectors of one revision in one space.
#[derive(Debug)]
pub(crate) struct Vectors {
    /// Numbers in each.
    dimensions: usize,
    /// Passage and document, in the order of text and span.
    rows: Vec<(u64, u64)>,
    /// Places in order of the passages' rows.
    by_row: Vec<u32>,
    /// All numbers, one vector after another.
    numbers: Vec<simsimd::f16>,
}

impl Vectors {
    /// Reads the vectors of a revision; none where they were not drawn yet, an error where they must be drawn again.
    pub(crate) fn open(
        collection: &Path,
        revision: i64,
        space: Digest,
        mark: Digest,
    ) -> Result<Option<Self>, StoreError> {
        let path = file(collection, revision, space);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(from_io(&path, &error)),
            Ok(open) => Self::read(&open, &path, space, mark).map(Some),
        }
    }

    fn read(open: &File, path: &Path, space: Digest, mark: Digest) -> Result<Self, StoreError> {
        let failed = |error: io::Error| from_io(path, &error);
        let wrong = |cause: &str| StoreError::Damaged { path: path.to_owned(), cause: cause.to_owned() };
        let length = open.metadata().map_err(failed)?.len();
        let mut source = BufReader::with_capacity(1 << 20, open);
        let mut check = crc32fast::Hasher::new();
        let mut head = [0; 8 + 32 + 32 + 4];
        source.read_exact(&mut head).map_err(failed)?;
        check.update(&head);
        let (about, dimensions) = head.split_at(72);
        if about != [MAGIC.as_slice(), &mark.0, &space.0].concat() {
            return Err(wrong("drawn from another corpus"));
        }
        let dimensions = dimensions.iter().rev().fold(0, |all, byte| all << 8 | usize::from(*byte));
        let record = 16 + 2 * dimensions;
        let body = length.checked_sub(head.len() as u64 + 4).filter(|body| body.is_multiple_of(record as u64));
        let count = body.map(|body| body / record as u64).and_then(|count| usize::try_from(count).ok());
        let count = count.ok_or_else(|| wrong("cut short"))?;
        let (mut rows, mut numbers) = (Vec::with_capacity(count), Vec::with_capacity(count * dimensions));
        let mut bytes = vec![0; record];
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
        for _ in 0..count {
            source.read_exact(&mut bytes).map_err(failed)?;
            check.update(&bytes);
            rows.push((number(&bytes[..8]), number(&bytes[8..16])));
            numbers.extend(bytes[16..].as_chunks().0.iter().map(|pair| simsimd::f16(u16::from_le_bytes(*pair))));
        }
        let mut sum = [0; 4];
        source.read_exact(&mut sum).map_err(failed)?;
        if u32::from_le_bytes(sum) != check.finalize() {
            return Err(wrong("its checksum does not fit"));
        }
        let mut by_row: Vec<u32> = (0..u32::try_from(count).map_err(|_many| wrong("too many"))?).collect();
        by_row.sort_unstable_by_key(|place| rows[*place as usize].0);
        Ok(Self { dimensions, rows, by_row, numbers })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The nearest passages that are allowed, (score in millionths, passage), best first, equal scores by text and place.
    pub(crate) fn nearest(&self, query: &[f32], limit: usize, allowed: &Allowed) -> Vec<(i64, u64)> {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS);
        let worth = self.rows.len() / A_THREADS_WORTH;
        self.nearest_by(query, limit, allowed, threads.min(worth).max(1))
    }

    /// The same by so many threads, each over its share of the passages.
    fn nearest_by(&self, query: &[f32], limit: usize, allowed: &Allowed, threads: usize) -> Vec<(i64, u64)> {
        if query.len() != self.dimensions || limit == 0 {
            return Vec::new();
        }
        let query = halves(query);
        let fast: Vec<simsimd::f16> = query.iter().map(|bits| simsimd::f16(*bits)).collect();
        let most = limit.saturating_mul(2).saturating_add(SPARE);
        let share = self.rows.len().div_ceil(threads);
        let find = |part: usize| self.foremost(&fast, most, allowed, part * share..(part + 1) * share);
        let places: Vec<usize> = std::thread::scope(|scope| {
            let find = &find;
            let others: Vec<_> = (1..threads).map(|part| scope.spawn(move || find(part))).collect();
            let own = find(0);
            let joined =
                others.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            own.into_iter().chain(joined.flatten()).collect()
        });
        let mut found: Vec<(i64, usize)> =
            places.into_iter().map(|place| (self.score_at(&query, place), place)).collect();
        found.sort_by_key(|(score, place)| (Reverse(*score), *place));
        found.truncate(limit);
        found.into_iter().map(|(score, place)| (score, self.rows[place].0)).collect()
    }

    /// The places of the `most` nearest of a share of the passages, in no order.
    fn foremost(&self, query: &[simsimd::f16], most: usize, allowed: &Allowed, share: Range<usize>) -> Vec<usize> {
        let mut best: BinaryHeap<Reverse<(Ordered, Reverse<usize>)>> = BinaryHeap::with_capacity(most + 1);
        let share = share.start.min(self.rows.len())..share.end.min(self.rows.len());
        let numbers = &self.numbers[share.start * self.dimensions..share.end * self.dimensions];
        let rows = share.clone().zip(&self.rows[share]);
        for ((place, row), vector) in rows.zip(numbers.chunks_exact(self.dimensions)) {
            if !allowed.document(row.1) {
                continue;
            }
            let near = Ordered(simsimd::f16::dot(query, vector).unwrap_or(f64::NEG_INFINITY));
            if best.len() < most {
                best.push(Reverse((near, Reverse(place))));
            } else if let Some(mut last) = best.peek_mut()
                && last.0.0 < near
            {
                *last = Reverse((near, Reverse(place)));
            }
        }
        best.into_iter().map(|Reverse((_near, Reverse(place)))| place).collect()
    }

    /// The score of one passage.
    pub(crate) fn score(&self, query: &[f32], row: u64) -> Option<i64> {
        let place = self.by_row.binary_search_by_key(&row, |place| self.rows[*place as usize].0).ok()?;
        let place = self.by_row[place] as usize;
        (query.len() == self.dimensions).then(|| self.score_at(&halves(query), place))
    }

    fn score_at(&self, query: &[u16], place: usize) -> i64 {
        let vector = &self.numbers[place * self.dimensions..(place + 1) * self.dimensions];
        let bits: Vec<u16> = vector.iter().map(|number| number.0).collect();
        score(query, &bits)
    }
}

/// Products in their order; none of them is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, SPARE, Vectors};

    #[test]
    fn any_number_of_threads_finds_the_same() {
        const DIMENSIONS: usize = 8;
        let count = 4 * SPARE as u64 + 3;
        let mut state = 1_u64;
        let mut drawn = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Few different ones, so that many are equally near.
            ((state >> 40) % 3) as f32 - 1.0
        };
        let numbers = (0..count as usize * DIMENSIONS).map(|_| simsimd::f16::from_f32(drawn())).collect();
        let rows: Vec<(u64, u64)> = (0..count).map(|place| (count - place, place / 2)).collect();
        let by_row = (0..count as u32).rev().collect();
        let vectors = Vectors { dimensions: DIMENSIONS, rows, by_row, numbers };
        let query: Vec<f32> = (0..DIMENSIONS).map(|_| drawn()).collect();
        let some = Allowed::of(0..40);
        for allowed in [Allowed::All, some] {
            for limit in [1, 20, 5_000] {
                let alone = vectors.nearest_by(&query, limit, &allowed, 1);
                assert!(alone.len() == limit.min(if matches!(allowed, Allowed::All) { count as usize } else { 80 }));
                for threads in [2, 3, 7, 1_000] {
                    assert_eq!(vectors.nearest_by(&query, limit, &allowed, threads), alone, "{threads} threads");
                }
            }
        }
    }
}
