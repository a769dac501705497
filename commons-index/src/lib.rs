//! Memory: a folder of documents becomes passages that can be searched, read and cited, and a corpus Anchor-Set.
//!
//! One collection per folder, under `<home>/commons/<collection>/`: `records.sqlite` is the truth (documents, texts,
//! passages, the append-only corpus), `words-<revision>/` is a BM25 index drawn from it that may be lost at any time. Or the
//! truth is in the schema `ii_commons` of a Postgres database, for many programs and machines; the BM25 index is drawn into
//! `<home>/commons/postgres-<database>/<collection>/` of each of them.
//!
//! **Invariant:** a text once recorded stays readable by its digest, whatever happens to the folder.
//! **Invariant:** a reader answers from the revision it opened at, also while a later one is being written.
//! **Invariant:** nothing here draws randomness or holds a key: salts and signatures are functions the caller passes in.
//! **Invariant:** no network but to the database that the caller names (fetched pages are given by the caller), and no file
//! outside the folder is ever read: symbolic links are named, not followed.

mod again;
mod audit;
mod blocks;
mod bundle;
mod changes;
mod collection;
mod corpus;
mod document;
mod drawing;
mod embed;
mod error;
mod filter;
mod formats;
mod fuse;
mod ingest;
mod intake;
mod limits;
mod lock;
mod metadata;
mod passages;
mod query;
mod reading;
mod reranked;
mod scan;
mod seal;
mod search;
mod sentences;
mod several;
mod spaces;
mod store;
mod transforms;
mod vectors;
mod words;
mod writing;

pub use audit::{Audit, Auditor, Fault};
pub use bundle::{BundleError, Exported, Exporter, Imported, Importer, Open};
pub use changes::Changes;
pub use collection::{Collection, CurationFiles, collection_in, collection_of, collections};
pub use corpus::{CorpusOp, CorpusRow};
pub use embed::{Embedded, SearchedIn, Vectored};
pub use error::{IngestError, StoreError, VectorError};
pub use ingest::{Caller, Ingested, Progress};
pub use intake::Given;
pub use limits::Limits;
pub use metadata::{Declared, Fields, Metadata, language};
pub use reranked::Reranked;
pub use scan::{LinkKind, SkipReason, Skipped};
pub use several::Several;
pub use spaces::SpaceUse;
pub use store::{Kept, Live, Nearest, NoVectors, Postgres, PostgresVectors, Revision, Way};
