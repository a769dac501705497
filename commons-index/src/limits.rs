//! What bounds the work on a collection, set by whoever opens it.

/// What bounds an ingest, and what is drawn after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest file read whole, in bytes. Files of many records have no such limit.
    pub file_bytes: u64,
    /// The largest record of such a file, in bytes.
    pub record_bytes: u64,
    /// The most passages whose vectors each home holds in memory, 2 bytes a number. Those of a larger collection are searched
    /// in the database, where that keeps its records and has pgvector.
    pub home_vectors: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, record_bytes: 16 << 20, home_vectors: 1_000_000 }
    }
}
