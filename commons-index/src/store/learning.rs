//! Keeps the planner of a server's database up to date while many rows come. It writes no record.
//!
//! All collections share the tables, and each index of documents begins with the collection. A planner that has not heard of
//! one that is just being filled takes it for empty, finds any index as good as any other, and then compares each of its
//! documents with each: hours for 100,000. A server looks by itself only now and then, and may be told never to.

use super::Session;
use crate::error::StoreError;

/// Fewer documents than this are compared with each other sooner than looked at.
const FEW: usize = 1_000;

/// How much of what an ingest wrote the planner knows.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    known: usize,
    new: usize,
}

impl Learned {
    /// Counts documents written.
    pub(crate) fn wrote(&mut self, documents: usize) {
        self.new += documents;
    }

    /// Lets the planner look at the tables where more is new than it knows. To be called shortly before a commit: until then
    /// nobody else lets it look.
    pub(crate) async fn keep_up(&mut self, on: &mut Session) -> Result<(), StoreError> {
        if self.new < FEW.max(self.known) {
            return Ok(());
        }
        self.known += std::mem::take(&mut self.new);
        match on {
            // It goes by the columns that an index shares with a condition, and knows no numbers that could be old.
            Session::Sqlite(_file) => Ok(()),
            Session::Postgres(on) => on.learn().await,
        }
    }
}
