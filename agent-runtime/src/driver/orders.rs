//! Charters and orders on their way to the core: read and verified by functions that the root passes in, kept as content,
//! decided like any command.
//!
//! **Invariant:** this crate knows no guardian. What it hands to the core was verified by whoever wired the program; what
//! cannot be read is handed on as that, and the core refuses it on record.

use common_ground::{
    Command, Millis, Refusal, RunId,
    guardian::{Charter, Defect, Order, Presented},
};
use receipts::Digest;

use super::{DriveError, Message, beside, book::Book, flow::Flow};
use crate::{
    clock::Clock,
    journal::{Blob, Store},
};

/// How charters and orders are read. The root passes both in.
#[derive(Clone, Copy)]
pub struct Readers {
    /// Reads and verifies a charter.
    pub charter: fn(&[u8]) -> Presented<Charter>,
    /// Reads and verifies an order.
    pub order: fn(&[u8]) -> Presented<Order>,
}

impl Readers {
    /// Readers of a program without guardians: nothing that comes in is a charter or an order.
    pub fn none() -> Self {
        fn nothing<T>(bytes: &[u8]) -> Presented<T> {
            let envelope = Digest::of(bytes);
            Presented { id: envelope, envelope, said: Err(Defect::Malformed) }
        }
        Self { charter: nothing, order: nothing }
    }
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

/// Puts a charter to the run; its file is kept where it was registered.
pub(super) fn charter(book: &mut Book, now: Millis, readers: Readers, file: &str) -> Result<(), DriveError> {
    let presented = (readers.charter)(file.as_bytes());
    keep(book, presented.envelope, file);
    let by = book.roster()?.node;
    // What is refused is a fact too; a command like this is refused in no other way.
    book.put(now, by, &Command::Charter { charter: Box::new(presented) })?.map_err(DriveError::Refused)
}

/// Puts an order to the run; its file is kept, carried out or refused.
pub(super) fn order(book: &mut Book, now: Millis, readers: Readers, file: &str) -> Result<(), DriveError> {
    let presented = (readers.order)(file.as_bytes());
    keep(book, presented.envelope, file);
    let by = book.roster()?.node;
    book.put(now, by, &Command::Order { order: Box::new(presented) })?.map_err(DriveError::Refused)
}

/// Largest file that is kept. The readers refuse larger ones.
const LARGEST: usize = 64 * 1024;

fn keep(book: &mut Book, digest: Digest, file: &str) {
    let bytes = file.as_bytes();
    if bytes.len() <= LARGEST && Digest::of(bytes) == digest {
        book.attach([Blob { digest, bytes: bytes.to_vec() }]);
    }
}

impl Flow {
    /// Charters, in this order.
    pub(super) fn register(&mut self, files: &[String]) -> Result<(), DriveError> {
        let (now, readers) = (self.now(), self.parts.readers);
        files.iter().try_for_each(|file| charter(&mut self.book, now, readers, file))
    }

    /// An order that came in.
    pub(super) fn obey(&mut self, file: &str) -> Result<(), DriveError> {
        let (now, readers) = (self.now(), self.parts.readers);
        order(&mut self.book, now, readers, file)
    }

    /// The person lets a paused run go on. That an order set its model aside is said: nothing that could be waited for lifts it.
    pub(super) fn go_on(&mut self) -> Result<(), DriveError> {
        let by = self.book.roster()?.person;
        match self.put(by, &Command::Resume)? {
            Err(refusal @ Refusal::Quarantined { .. }) => Err(DriveError::Refused(refusal)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Lets a drained run stand still.
    pub(super) fn stand(&mut self) -> Result<bool, DriveError> {
        let by = self.book.roster()?.node;
        Ok(self.put(by, &Command::Stand)?.is_ok())
    }
}

/// What brings its authority in signatures of its own, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paper {
    /// A charter.
    Charter(String),
    /// An order.
    Order(String),
}

impl From<Paper> for Message {
    fn from(paper: Paper) -> Self {
        match paper {
            Paper::Charter(file) => Self::Charter { file },
            Paper::Order(file) => Self::Order { file },
        }
    }
}

/// Puts a charter or an order to a run that nobody works on.
///
/// # Errors
/// [`crate::journal::JournalError::Held`] when another program works on it: its inbox takes the message. See [`DriveError`]
/// for the rest.
pub async fn obey(
    store: &dyn Store,
    run: RunId,
    readers: Readers,
    paper: &Paper,
    clock: &Clock,
) -> Result<(), DriveError> {
    beside(store, run, clock, |book, now| match paper {
        Paper::Charter(file) => charter(book, now, readers, file),
        Paper::Order(file) => order(book, now, readers, file),
    })
    .await
}
