//! The records of one collection: documents, texts, passages, corpus and revisions. The truth that everything else is
//! drawn from, whichever database keeps it.
//!
//! The SQL of a database stands in its folder and gives rows; what rows mean is said once, in the files beside this folder.
//!
//! **Invariant:** rows of texts, passages and corpus are only added; a document row only ever gets its end.
//! **Invariant:** a schema newer than this program is refused, not guessed at.

mod postgres;
mod rows;
mod sqlite;

use std::{
    future::Future,
    ops::Range,
    path::{Path, PathBuf},
};

use receipts::Digest;

pub use postgres::{Nearest, NoVectors, Postgres, PostgresVectors, Way};
pub use rows::{Live, Revision};
pub(crate) use rows::{NewPassage, PassageRow, Piece, Placed, Titled};

use crate::{
    corpus::CorpusRow,
    document::Document,
    error::{OfStore, StoreError},
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
    /// lost on the way, it is made again and all is read once more.
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
        match first {
            Err(error) if matches!(error.of_store(), Some(StoreError::Unreachable { .. })) => {
                work(Session::Postgres(records.read_again().await?)).await
            }
            done => done,
        }
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

    /// Documents of the latest revision, in byte order of paths.
    pub(crate) async fn live(&mut self) -> Result<Vec<Live>, StoreError> {
        each!(self, on => on.live())
    }

    /// At most `most` entries of the corpus from entry `from` on, in order, each with the leaf that is kept.
    pub(crate) async fn corpus(&mut self, from: u64, most: u64) -> Result<Vec<(CorpusRow, Digest)>, StoreError> {
        each!(self, on => on.corpus(from, most))
    }

    /// The leaves of the whole corpus, in order.
    pub(crate) async fn leaves(&mut self) -> Result<Vec<Digest>, StoreError> {
        each!(self, on => on.leaves())
    }

    /// Digests of all texts, those of documents that are gone included.
    pub(crate) async fn texts(&mut self) -> Result<Vec<Digest>, StoreError> {
        each!(self, on => on.texts())
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

    /// At most `most` passages of live documents after a place (path, start), in byte order of path and by span.
    pub(crate) async fn live_passages(
        &mut self,
        after: &(String, i64),
        most: u64,
    ) -> Result<Vec<PassageRow>, StoreError> {
        each!(self, on => on.live_passages(after, most))
    }

    /// The document that has a text at a revision, or that last had it; none when the text came later or never.
    pub(crate) async fn titled(&mut self, text: Digest, revision: i64) -> Result<Option<Titled>, StoreError> {
        each!(self, on => on.titled(text, revision))
    }

    /// Passages of a document that a span touches, in order.
    pub(crate) async fn placed(&mut self, document: i64, span: Range<u64>) -> Result<Vec<Placed>, StoreError> {
        each!(self, on => on.placed(document, span))
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
    pub(crate) async fn end(&mut self, document: u64, revision: i64) -> Result<(), StoreError> {
        each!(self, on => on.end(document, revision))
    }

    /// Adds pieces of a text; those that are there already stay.
    pub(crate) async fn add_pieces(&mut self, text: Digest, pieces: &[Piece]) -> Result<(), StoreError> {
        each!(self, on => on.add_pieces(text, pieces))
    }

    /// Adds a document's row; gives it.
    pub(crate) async fn add_document(&mut self, document: &Document, revision: i64) -> Result<i64, StoreError> {
        each!(self, on => on.add_document(document, revision))
    }

    /// Adds passages of a document.
    pub(crate) async fn add_passages(&mut self, document: i64, passages: &[NewPassage]) -> Result<(), StoreError> {
        each!(self, on => on.add_passages(document, passages))
    }

    /// Appends entries to the corpus, each with its leaf.
    pub(crate) async fn append_rows(&mut self, rows: &[(&CorpusRow, Digest)]) -> Result<(), StoreError> {
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
