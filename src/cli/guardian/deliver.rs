//! Handing a charter or an order to a run, and waiting for what the core says of it.

use std::time::Duration;

use agent_runtime::{
    driver::{DriveError, Message, Paper, Placed, obey},
    journal::{Journal, JournalError},
};
use common_ground::{Fact, RunId, guardian::OrderRefusal};
use receipts::Digest;

use crate::{
    cli::{Program, runs},
    exit::{Exit, Failure},
    failures::{from_drive, from_journal},
    guardians, wiring,
};

/// How long the program that holds a run may take to act.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// It was carried out.
    Executed,
    /// It was refused.
    Refused(OrderRefusal),
}

/// Hands it to the run: to its holder by the inbox, else under a lease of our own. Gives how many facts there were before.
pub(super) async fn hand(program: &Program, journal: &Journal, run: RunId, paper: Paper) -> Result<u64, Failure> {
    let before = journal.reader().run(run).await.map_err(|error| from_journal(&error))?.map_or(0, |row| row.head_seq);
    let done = obey(journal, run, guardians::readers(), &paper, &program.wiring.clock).await;
    match done {
        Err(DriveError::Journal(JournalError::Held { .. })) => {
            let bytes = Message::from(paper).to_bytes().map_err(Failure::internal)?;
            journal.send(run, bytes).await.map(drop).map_err(|error| from_journal(&error))?;
        }
        other => other.map_err(|error| from_drive(&error))?,
    }
    Ok(before)
}

/// Waits for a fact after `seq` that `wanted` reads something out of.
pub(super) async fn wait<T>(
    journal: &Journal,
    run: RunId,
    seq: u64,
    wanted: impl Fn(&Placed) -> Option<T>,
) -> Result<T, Failure> {
    let until = tokio::time::Instant::now() + ANSWER_WITHIN;
    while tokio::time::Instant::now() < until {
        let (facts, _) = runs::load(journal.reader(), run).await?;
        if let Some(found) = facts.iter().filter(|placed| placed.seq > seq).find_map(&wanted) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let what = format!("the program that works on run {run} does not answer");
    Err(Failure::new(Exit::NotCompleted, what, "the message stays for whoever goes on with the run; try again then"))
}

/// Hands an order in and waits for its end.
pub(super) async fn order(program: &Program, journal: &Journal, run: RunId, file: String) -> Result<Became, Failure> {
    let id = guardian::order::open(file.as_bytes()).id;
    let seq = hand(program, journal, run, Paper::Order(file)).await?;
    wait(journal, run, seq, |placed| became(&placed.fact, id)).await
}

fn became(fact: &Fact, id: Digest) -> Option<Became> {
    match fact {
        Fact::OrderExecuted { order, .. } if *order == id => Some(Became::Executed),
        Fact::OrderRefused { order, why, .. } if *order == id => Some(Became::Refused(*why)),
        _another => None,
    }
}

/// Hands a charter in, unless it holds in the run already.
pub(super) async fn charter(
    program: &Program,
    journal: &Journal,
    run: RunId,
    kept: &guardians::Kept,
) -> Result<(), Failure> {
    let (_, state) = runs::load(journal.reader(), run).await?;
    if state.run().is_some_and(|run| run.charters.values().any(|known| known.id == kept.id)) {
        return Ok(());
    }
    let seq = hand(program, journal, run, Paper::Charter(kept.file.clone())).await?;
    let refused = wait(journal, run, seq, |placed| match &placed.fact {
        Fact::CharterRegistered { charter, .. } if *charter == kept.id => Some(None),
        Fact::CharterRefused { charter, why, .. } if *charter == kept.id => Some(Some(*why)),
        _another => None,
    });
    match refused.await? {
        None => Ok(()),
        Some(why) => {
            let what = format!("run {run} refused the charter {}: {why}", kept.name);
            Err(Failure::new(Exit::Refused, what, "`ii guardian charters make` makes another"))
        }
    }
}

/// The journal, opened for writing.
pub(super) async fn journal(program: &Program) -> Result<Journal, Failure> {
    wiring::journal(&program.home, &program.wiring.clock).await
}
