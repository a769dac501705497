//! The records of one collection: documents, texts, passages, corpus and revisions. The truth that everything else is
//! drawn from, whichever database keeps it.
//!
//! The SQL of a database stands in its folder and gives rows; what rows mean is said once, in the files beside this folder.
//!
//! An ingest writes the rows of a revision piece by piece, each piece durable, and seals it with one row at last: until then
//! the rows of that revision, which name its number, are nobody's but the ingest's, and the next one goes on with them.
//!
//! **Invariant:** rows of sealed revisions stay: of texts, passages and corpus all are, a document's only ever gets its end.
//! **Invariant:** a schema newer than this program is refused, not guessed at.

mod ingesting;
mod learning;
mod made;
mod postgres;
mod rows;
mod sqlite;

use std::{
    future::Future,
    ops::Range,
    path::{Path, PathBuf},
};

use receipts::Digest;

pub(crate) use ingesting::Ingesting;
pub(crate) use learning::Learned;
pub(crate) use made::Made;
pub use postgres::{Nearest, NoVectors, Postgres, PostgresVectors, Way};
pub(crate) use rows::{
    Carried, CarriedPassage, CarriedVector, Counted, Drawable, NewPassage, PassageRow, Piece, Placed, Searched, Space,
    Spot, Standing, Titled, VectorRow,
};
pub use rows::{Kept, Live, Revision};

use crate::{
    corpus::CorpusRow,
    error::{OfStore, StoreError},
    intake::Known,
    lock::Lock,
    writing::Ready,
};

/// Texts are kept in pieces of this many bytes, each compressed by itself, so that a passage of a large text is read without
/// the rest of it.
pub(crate) const CHUNK: usize = 64 << 10;

/// The records of one collection, open.
#[derive(Clone, Debug)]
pub(crate) enum Records {
    /// In a file of the collection's folder.
    Sqlite(sqlite::Records),
    /// In a database of a server.
    Postgres(postgres::Records),
}

/// One connection to them: for reads, or with the write lock until it is committed. Dropped before, it changed nothing.
pub(crate) enum Session {
    /// To the file.
    Sqlite(sqlite::Session),
    /// To the server.
    Postgres(postgres::Session),
}

/// The same call on the session of whichever database it is.
macro_rules! each {
    ($session:expr, $on:ident => $call:expr) => {
        match $session {
            Session::Sqlite($on) => $call.await,
            Session::Postgres($on) => $call.await,
        }
    };
}

/// Whether a folder of a home holds a collection's records.
pub(crate) fn is_collection(folder: &Path) -> bool {
    folder.join(sqlite::FILE).is_file()
}

impl Records {
    /// Opens or creates the records in a collection's folder and brings their schema up to date.
    pub(crate) async fn open(collection: &Path) -> Result<Self, StoreError> {
        sqlite::Records::open(collection).await.map(Self::Sqlite)
    }

    /// Where they are, for messages.
    pub(crate) fn at(&self) -> &Path {
        match self {
            Self::Sqlite(records) => records.at(),
            Self::Postgres(records) => records.at(),
        }
    }

    /// Reads on a session of its own; each statement sees what was committed before it. Where the connection to a server is
    /// lost on the way, it is made again and all is read anew.
    pub(crate) async fn reading<T, E, Fut>(&self, work: impl Fn(Session) -> Fut) -> Result<T, E>
    where
        E: OfStore,
        Fut: Future<Output = Result<T, E>>,
    {
        let records = match self {
            Self::Sqlite(records) => return work(Session::Sqlite(records.read().await?)).await,
            Self::Postgres(records) => records,
        };
        let first = match records.read().await {
            Ok(session) => work(Session::Postgres(session)).await,
            Err(error) => Err(error.into()),
        };
        let mut done = first;
        for _again in 0..postgres::ASKED_AGAIN {
            match done {
                Err(error) if matches!(error.of_store(), Some(StoreError::Unreachable { .. })) => {
                    done = work(Session::Postgres(records.read_again().await?)).await;
                }
                done => return done,
            }
        }
        done
    }

    /// A session to draw files of this home from: its reads all see one moment, and no other program of this home draws or
    /// ingests meanwhile.
    pub(crate) async fn draw(&self) -> Result<Session, StoreError> {
        match self {
            Self::Sqlite(records) => records.write().await.map(Session::Sqlite),
            Self::Postgres(records) => records.draw().await.map(Session::Postgres),
        }
    }

    /// A session whose reads all see one moment.
    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        match self {
            Self::Sqlite(records) => records.snapshot().await.map(Session::Sqlite),
            Self::Postgres(records) => records.snapshot().await.map(Session::Postgres),
        }
    }

    /// Takes the collection's write lock: of two ingests at once the second waits, then is told `Busy`.
    pub(crate) async fn write(&self) -> Result<Session, StoreError> {
        match self {
            Self::Sqlite(records) => records.write().await.map(Session::Sqlite),
            Self::Postgres(records) => records.write().await.map(Session::Postgres),
        }
    }

    /// Takes the lock of the one ingest of the collection, whose files lie in `store`: of two at once the second waits, then
    /// is told `Busy`.
    pub(crate) async fn ingesting(&self, store: &Path) -> Result<Ingesting, StoreError> {
        let files = Lock::of_ingest(store).await?;
        let server = match self {
            Self::Sqlite(_file) => None,
            Self::Postgres(records) => Some(records.ingesting().await?),
        };
        Ok(Ingesting { _files: files, server })
    }

    /// The vectors that the database keeps, as of a revision.
    pub(crate) fn vectors(&self, revision: i64) -> Result<PostgresVectors, NoVectors> {
        match self {
            Self::Sqlite(_file) => Err(NoVectors::InFile),
            Self::Postgres(records) => records.vectors(revision),
        }
    }

    /// Bytes that they take on disk, as far as it is this machine's.
    pub(crate) fn bytes_on_disk(&self) -> u64 {
        match self {
            Self::Sqlite(records) => records.bytes_on_disk(),
            Self::Postgres(_elsewhere) => 0,
        }
    }
}

/// Reads.
impl Session {
    /// Where the records are, for messages.
    pub(crate) fn at(&self) -> PathBuf {
        match self {
            Self::Sqlite(on) => on.at().to_owned(),
            Self::Postgres(on) => on.at().to_owned(),
        }
    }

    /// The folder that the collection is of, where one is known: collections of before it was kept have none.
    pub(crate) async fn folder(&mut self) -> Result<Option<String>, StoreError> {
        each!(self, on => on.folder())
    }

    /// The latest revision, if there was any ingest.
    pub(crate) async fn latest(&mut self) -> Result<Option<Revision>, StoreError> {
        each!(self, on => on.latest())
    }

    /// All revisions, oldest first.
    pub(crate) async fn revisions(&mut self) -> Result<Vec<Revision>, StoreError> {
        each!(self, on => on.revisions())
    }

    /// Documents of a revision, in byte order of paths.
    pub(crate) async fn live(&mut self, revision: i64) -> Result<Vec<Live>, StoreError> {
        each!(self, on => on.live(revision))
    }

    /// At most `most` entries of the corpus from entry `from` on, in order, each with the leaf that is kept.
    pub(crate) async fn corpus(&mut self, from: u64, most: u64) -> Result<Vec<(CorpusRow, Digest)>, StoreError> {
        each!(self, on => on.corpus(from, most))
    }

    /// The leaves of the whole corpus, in order.
    pub(crate) async fn leaves(&mut self) -> Result<Vec<Digest>, StoreError> {
        each!(self, on => on.leaves())
    }

    /// Digests of all texts up to a revision, those of documents that are gone included.
    pub(crate) async fn texts(&mut self, revision: i64) -> Result<Vec<Digest>, StoreError> {
        each!(self, on => on.texts(revision))
    }

    /// The pieces of a text that start in a range of its bytes, in order.
    pub(crate) async fn pieces(&mut self, text: Digest, range: Range<u64>) -> Result<Vec<Piece>, StoreError> {
        each!(self, on => on.pieces(text, range))
    }

    /// Passages of a text: row and place.
    pub(crate) async fn spans(&mut self, text: Digest) -> Result<Vec<(u64, Range<u64>)>, StoreError> {
        each!(self, on => on.spans(text))
    }

    /// Documents of a text whose file is the text itself: path and digest.
    pub(crate) async fn verbatim(&mut self, text: Digest) -> Result<Vec<(String, Digest)>, StoreError> {
        each!(self, on => on.verbatim(text))
    }

    /// Passages by row, in any order; rows that are not there are left out.
    pub(crate) async fn passage_rows(&mut self, ids: &[u64]) -> Result<Vec<PassageRow>, StoreError> {
        each!(self, on => on.passage_rows(ids))
    }

    /// Paths of a revision's documents that have a text, in byte order.
    pub(crate) async fn paths(&mut self, text: Digest, revision: i64) -> Result<Vec<String>, StoreError> {
        each!(self, on => on.paths(text, revision))
    }

    /// Documents of a revision that came at `since` or later, of those with the same text the first by path: by row, after a
    /// row, at most `most`.
    pub(crate) async fn drawable(
        &mut self,
        revision: i64,
        since: i64,
        after: i64,
        most: u64,
    ) -> Result<Vec<Drawable>, StoreError> {
        each!(self, on => on.drawable(revision, since, after, most))
    }

    /// Where the passages of a range of documents stand, by document and place.
    pub(crate) async fn spots(&mut self, first: i64, last: i64) -> Result<Vec<Spot>, StoreError> {
        each!(self, on => on.spots(first, last))
    }

    /// The pieces of some texts, by text and place.
    pub(crate) async fn pieces_of(&mut self, texts: &[Digest]) -> Result<Vec<(Digest, Piece)>, StoreError> {
        each!(self, on => on.pieces_of(texts))
    }

    /// The document that has a text at a revision, or that last had it; none when the text came later or never.
    pub(crate) async fn titled(&mut self, text: Digest, revision: i64) -> Result<Option<Titled>, StoreError> {
        each!(self, on => on.titled(text, revision))
    }

    /// Passages of a document that a span touches, in order.
    pub(crate) async fn placed(&mut self, document: i64, span: Range<u64>) -> Result<Vec<Placed>, StoreError> {
        each!(self, on => on.placed(document, span))
    }

    /// Rows of a document's passages that end before a span and that start after it, the nearest ones, in order.
    pub(crate) async fn near(&mut self, document: i64, span: Range<u64>, most: u32) -> Result<Vec<u64>, StoreError> {
        each!(self, on => on.near(document, span, most))
    }
}

/// What a bundle carries.
impl Session {
    /// Whose the collection is, where that is on record: of another node always, of this one in a database.
    pub(crate) async fn kept(&mut self) -> Result<Option<Kept>, StoreError> {
        each!(self, on => on.kept())
    }

    /// Keeps that, where nothing is kept yet.
    pub(crate) async fn keep_kept(&mut self, kept: &Kept) -> Result<(), StoreError> {
        each!(self, on => on.keep_kept(kept))
    }

    /// Documents that came with a revision, in order of their rows: at most `most` after a row.
    pub(crate) async fn came(&mut self, revision: i64, after: i64, most: u64) -> Result<Vec<Carried>, StoreError> {
        each!(self, on => on.came(revision, after, most))
    }

    /// Paths of documents that ended at a revision, in byte order.
    pub(crate) async fn went(&mut self, revision: i64) -> Result<Vec<String>, StoreError> {
        each!(self, on => on.went(revision))
    }

    /// Passages of a document, in order.
    pub(crate) async fn passages_of(&mut self, document: i64) -> Result<Vec<CarriedPassage>, StoreError> {
        each!(self, on => on.passages_of(document))
    }

    /// Vectors of a document's passages, by passage and space.
    pub(crate) async fn vectors_of(&mut self, document: i64) -> Result<Vec<CarriedVector>, StoreError> {
        each!(self, on => on.vectors_of(document))
    }
}

/// Vectors.
impl Session {
    /// The spaces that vectors lie in, oldest first.
    pub(crate) async fn spaces(&mut self) -> Result<Vec<Space>, StoreError> {
        each!(self, on => on.spaces())
    }

    /// Documents of a revision in byte order of their paths, those that are searched as another one's text too.
    pub(crate) async fn searched(&mut self, revision: i64) -> Result<Vec<Searched>, StoreError> {
        each!(self, on => on.searched(revision))
    }

    /// How many passages that are searched at a revision have no vector in a space.
    pub(crate) async fn missing(&mut self, space: i64, revision: i64) -> Result<u64, StoreError> {
        each!(self, on => on.missing(space, revision))
    }

    /// At most `most` passages searched at a revision without a vector in a space, after a row, in order of their rows.
    pub(crate) async fn without_vector(
        &mut self,
        space: i64,
        revision: i64,
        after: u64,
        most: u64,
    ) -> Result<Vec<PassageRow>, StoreError> {
        each!(self, on => on.without_vector(space, revision, after, most))
    }

    /// At most `most` vectors of passages searched at a revision, after a place (text, start), in order of text and span.
    pub(crate) async fn vectors(
        &mut self,
        space: i64,
        revision: i64,
        after: (Digest, i64),
        most: u64,
    ) -> Result<Vec<VectorRow>, StoreError> {
        each!(self, on => on.vectors(space, revision, after, most))
    }

    /// Adds a space; gives its row, which may have been there.
    pub(crate) async fn add_space(&mut self, space: Digest, model: &str, dimensions: u32) -> Result<i64, StoreError> {
        each!(self, on => on.add_space(space, model, dimensions))
    }

    /// Adds vectors (passage, half-precision numbers in little-endian order); those that are there already stay.
    pub(crate) async fn add_vectors(&mut self, space: i64, vectors: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
        each!(self, on => on.add_vectors(space, vectors))
    }
}

/// Writes, with the write lock.
impl Session {
    /// Keeps the folder that the collection is of, where none is kept yet.
    pub(crate) async fn keep_folder(&mut self, folder: &Path) -> Result<(), StoreError> {
        let folder = folder.display().to_string();
        each!(self, on => on.keep_folder(&folder))
    }

    /// Ends a document's row at a revision. Its text and passages stay.
    pub(crate) async fn end(&mut self, document: i64, revision: i64) -> Result<(), StoreError> {
        each!(self, on => on.end(document, revision))
    }

    /// Adds documents with their texts and passages; pieces of texts that are there already stay.
    pub(crate) async fn add(&mut self, ready: &[Ready], revision: i64, how: &str) -> Result<(), StoreError> {
        each!(self, on => on.add(ready, revision, how))
    }

    /// Appends entries to the corpus, each with its leaf.
    pub(crate) async fn append_rows(&mut self, rows: &[(CorpusRow, Digest)]) -> Result<(), StoreError> {
        each!(self, on => on.append_rows(rows))
    }

    /// Names a new revision: once committed it is the latest.
    pub(crate) async fn mark(&mut self, revision: &Revision) -> Result<(), StoreError> {
        each!(self, on => on.mark(revision))
    }

    /// Makes all of it durable at once and gives the write lock back.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        each!(self, on => on.commit())
    }
}

/// What an ingest asks, and takes back of one that was killed.
impl Session {
    /// What the caller of the last ingest said of all documents.
    pub(crate) async fn declared(&mut self) -> Result<Option<String>, StoreError> {
        each!(self, on => on.declared())
    }

    /// Keeps that.
    pub(crate) async fn keep_declared(&mut self, how: &str) -> Result<(), StoreError> {
        each!(self, on => on.keep_declared(how))
    }

    /// How many rows name a revision that is not sealed.
    pub(crate) async fn unsealed(&mut self, revision: i64) -> Result<u64, StoreError> {
        each!(self, on => on.unsealed(revision))
    }

    /// Documents not ended that are files, by path.
    pub(crate) async fn known_documents(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        each!(self, on => on.known_documents())
    }

    /// Files of many documents that were read to their end, by path.
    pub(crate) async fn known_files(&mut self) -> Result<Vec<(String, Known)>, StoreError> {
        each!(self, on => on.known_files())
    }

    /// Files that documents not ended come from.
    pub(crate) async fn files_of_documents(&mut self) -> Result<Vec<String>, StoreError> {
        each!(self, on => on.files_of_documents())
    }

    /// Documents not ended of these paths, in any order.
    pub(crate) async fn standing(&mut self, paths: &[&str]) -> Result<Vec<Standing>, StoreError> {
        each!(self, on => on.standing(paths))
    }

    /// The document of a path that ended at a revision.
    pub(crate) async fn ended(&mut self, path: &str, revision: i64) -> Result<Option<Standing>, StoreError> {
        each!(self, on => on.ended(path, revision))
    }

    /// Takes back a document's end at a revision that is not sealed.
    pub(crate) async fn revive(&mut self, document: i64) -> Result<(), StoreError> {
        each!(self, on => on.revive(document))
    }

    /// Takes back a document of a revision that is not sealed, and its text where nobody else has it.
    pub(crate) async fn forget(&mut self, document: i64, text: Digest) -> Result<(), StoreError> {
        each!(self, on => on.forget(document, text))
    }

    /// Notes that reading a document in another way gave the same.
    pub(crate) async fn read_as(&mut self, document: i64, how: &str) -> Result<(), StoreError> {
        each!(self, on => on.read_as(document, how))
    }

    /// Documents not ended of a file, by row, after a row, at most `most`.
    pub(crate) async fn of_file(&mut self, file: &str, after: i64, most: u64) -> Result<Vec<Standing>, StoreError> {
        each!(self, on => on.of_file(file, after, most))
    }

    /// Notes that a file of many documents was read to its end.
    pub(crate) async fn keep_file(&mut self, path: &str, known: &Known) -> Result<(), StoreError> {
        each!(self, on => on.keep_file(path, known))
    }

    /// Takes that back.
    pub(crate) async fn drop_file(&mut self, path: &str) -> Result<(), StoreError> {
        each!(self, on => on.drop_file(path))
    }

    /// What a revision that is not sealed changes, in numbers.
    pub(crate) async fn counted(&mut self, revision: i64) -> Result<Counted, StoreError> {
        each!(self, on => on.counted(revision))
    }

    /// The same as entries of the corpus without salts, in byte order of paths, after a path, at most `most`.
    pub(crate) async fn changed(
        &mut self,
        revision: i64,
        after: &str,
        most: u64,
    ) -> Result<Vec<CorpusRow>, StoreError> {
        each!(self, on => on.changed(revision, after, most))
    }

    /// What its new documents were made of, in byte order of paths, after a path, at most `most`.
    pub(crate) async fn made(&mut self, revision: i64, after: &str, most: u64) -> Result<Vec<Made>, StoreError> {
        each!(self, on => on.made(revision, after, most))
    }

    /// Whether it only adds documents, none of which is searched in place of one that was there.
    pub(crate) async fn only_adds(&mut self, revision: i64) -> Result<bool, StoreError> {
        each!(self, on => on.only_adds(revision))
    }
}
