//! A run begun from another at one of its places. The other one is read and never written.
//!
//! **Invariant:** a fork is one append: its one fact, and every content that the fact names. A kill leaves all of it or
//! nothing.

use common_ground::{
    Command, Millis, Run, RunId,
    fork::{Beginning, Origin},
    role::Roster,
};

use super::{
    DriveError, Placed, RUN_LEASE_MS,
    book::{Book, placed, replay},
};
use crate::{
    clock::Clock,
    journal::{Blob, Lease, Recorded, Store},
};

/// A fork that is on record. It stands still until it is resumed.
#[derive(Debug, Clone, PartialEq)]
pub struct Forked {
    /// The new run.
    pub run: RunId,
    /// Where it comes from.
    pub origin: Origin,
    /// Modules that stay accepted.
    pub kept: usize,
    /// Modules that are worked anew.
    pub anew: usize,
}

/// Begins `run` from another one as it was after its fact `place`, or as it is.
///
/// # Errors
/// [`DriveError::NoPlace`] where the other run has no such fact, [`DriveError::NothingRecorded`] where it has none at all;
/// see [`DriveError`] for the rest.
pub async fn fork(
    store: &dyn Store,
    run: RunId,
    (of, place): (RunId, Option<u64>),
    roster: &Roster,
    clock: &Clock,
) -> Result<Forked, DriveError> {
    let recorded = store.load(of).await?;
    let (origin, from) = at(of, &recorded, place)?;
    let lease = store.acquire(run, clock.now_ms(), RUN_LEASE_MS).await?;
    let begun = begin(store, lease, (origin, from), roster, Millis(clock.now_ms())).await;
    let released = store.release(lease).await;
    let forked = begun?;
    released?;
    Ok(forked)
}

/// The other run as it was.
fn at(of: RunId, recorded: &[Recorded], place: Option<u64>) -> Result<(Origin, Run), DriveError> {
    let facts = recorded.last().ok_or(DriveError::NothingRecorded)?.seq;
    let place = place.unwrap_or(facts);
    let until = recorded.iter().position(|row| row.seq == place);
    let until = until.ok_or(DriveError::NoPlace { run: of, place, facts })?;
    let before = recorded.get(..=until).unwrap_or_default();
    let link = before.last().ok_or(DriveError::NothingRecorded)?.link;
    let from = replay(before)?.run().cloned().ok_or(DriveError::NothingRecorded)?;
    Ok((Origin { run: of, place, link }, from))
}

async fn begin(
    store: &dyn Store,
    lease: Lease,
    (origin, from): (Origin, Run),
    roster: &Roster,
    now: Millis,
) -> Result<Forked, DriveError> {
    let mut book = Book::open(lease.run, lease.epoch, &[])?;
    let command = Command::Fork {
        run: lease.run,
        roster: Box::new(roster.clone()),
        of: Box::new(from),
        place: origin.place,
        link: origin.link,
    };
    book.put(now, roster.person, &command)?.map_err(DriveError::Refused)?;
    let begun = book.run()?;
    let kept = begun.modules.values().filter(|module| module.kept_from.is_some()).count();
    let anew = begun.modules.len() - kept;
    // Named again by this run, so that they stay when the other one is deleted.
    for digest in begun.contents() {
        let bytes = store.blob(digest).await?.ok_or(DriveError::Content(digest))?;
        book.attach([Blob { digest, bytes }]);
    }
    if let Some((batch, _)) = book.take() {
        store.append(batch).await?;
    }
    Ok(Forked { run: lease.run, origin, kept, anew })
}

/// Whether a fork is what its fact says: the other run's record, as far as `origin` says, gives this beginning and no other.
///
/// # Errors
/// [`DriveError`] for a record that cannot be read.
pub fn bears_out(of: &[Recorded], fork: &[Recorded]) -> Result<bool, DriveError> {
    let Some(Placed { fact: common_ground::Fact::RunForked { from, begins, .. }, .. }) =
        fork.first().map(placed).transpose()?
    else {
        return Ok(false);
    };
    match at(from.run, of, Some(from.place)) {
        Ok((origin, run)) => Ok(origin == from && Beginning::of(&run, &begins.roster) == *begins),
        Err(DriveError::NoPlace { .. } | DriveError::NothingRecorded) => Ok(false),
        Err(error) => Err(error),
    }
}
