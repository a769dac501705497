//! What the person says to one module: from the record into its attempt's conversation, once an attempt, at the same step
//! each time.
//!
//! **Invariant:** no word's text is logged or stands in a fact: facts name its digest, its text is kept as content.
//! **Invariant:** a step that was begun without a word is made again without it; the word waits for the next one.

use std::collections::BTreeMap;

use common_ground::{Command, ModuleId, Refusal, RunId, StepIndex, module::Module, run::Run, word::Heard};
use receipts::{Digest, PublicKey};
use tokio::sync::watch;

use super::{DriveError, beside, book::Book};
use crate::{
    clock::Clock,
    journal::{Blob, Store},
};

/// The most that is said at once, in bytes.
pub const LONGEST_WORD: usize = 16 << 10;

/// What was said to each module and is on disk, oldest first. Each attempt at work sees it grow.
pub(super) type Said = BTreeMap<ModuleId, Vec<Digest>>;

/// What a run's facts say was said.
pub(super) fn said(run: Option<&Run>) -> watch::Sender<Said> {
    let words = |module: &Module| module.words.iter().map(|word| word.text).collect::<Vec<_>>();
    let told = run.map(|run| run.modules.iter().map(|(id, module)| (*id, words(module))).collect());
    watch::Sender::new(told.unwrap_or_default())
}

/// How far one attempt has heard.
pub(super) struct Ear {
    said: watch::Receiver<Said>,
    module: ModuleId,
    heard: Vec<Heard>,
    count: usize,
}

impl Ear {
    /// An ear of an attempt that heard this much by the record.
    pub fn new(said: watch::Receiver<Said>, module: ModuleId, heard: Vec<Heard>) -> Self {
        Self { said, module, heard, count: 0 }
    }

    /// What was heard before `step` by the record.
    pub fn recorded(&mut self, step: StepIndex) -> Vec<Digest> {
        let at = self.heard.iter().filter(|heard| heard.step == step);
        let words: Vec<Digest> = at.flat_map(|heard| heard.words.iter().copied()).collect();
        self.count += words.len();
        words
    }

    /// What was said since.
    pub fn fresh(&mut self) -> Vec<Digest> {
        let said = self.said.borrow();
        let words = said.get(&self.module).and_then(|words| words.get(self.count..)).unwrap_or_default().to_vec();
        self.count += words.len();
        words
    }
}

/// Decides a word and keeps its text with the fact, where it is allowed.
pub(super) fn put(
    book: &mut Book,
    now: common_ground::Millis,
    by: PublicKey,
    module: ModuleId,
    text: &str,
) -> Result<Result<(), Refusal>, DriveError> {
    let bytes = text.as_bytes().to_vec();
    let digest = Digest::of(&bytes);
    let said = book.put(now, by, &Command::Tell { module, text: digest })?;
    if said.is_ok() {
        book.attach([Blob { digest, bytes }]);
    }
    Ok(said)
}

/// Says something to a module of a run that nobody works on; it is heard when the run goes on.
///
/// # Errors
/// [`crate::journal::JournalError::Held`] when another program works on it; [`DriveError::Refused`] for a module that is not
/// there or is over; see [`DriveError`] for the rest.
pub async fn tell(
    store: &dyn Store,
    run: RunId,
    module: ModuleId,
    text: &str,
    clock: &Clock,
) -> Result<(), DriveError> {
    beside(store, run, clock, |book, now| {
        let person = book.roster()?.person;
        put(book, now, person, module, text)?.map_err(DriveError::Refused)
    })
    .await
}
