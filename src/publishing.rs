//! Bringing receipts to a ledger, beside a run and for the commands that do only that.
//!
//! **Invariant:** nothing goes to a ledger that the person did not name, in the settings or on the command line.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    clock::Clock,
    journal::{Journal, OutboxCounts},
    publisher::{PublishError, Publisher, Repin, Way},
};
use receipts::ledger::outbox::pause_ms;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    cli::Program,
    config::Config,
    exit::{Failure, chain},
    failures::from_publisher,
    wiring,
};

/// How long a ledger is asked to hold its answer until it has more to show, and how often the outbox is looked at.
const BEAT_MS: u64 = 1_000;
/// How long a command whose run is over waits for a ledger that is there.
pub const FAREWELL: Duration = Duration::from_secs(3);
/// How long a conversation, in which nobody waits for it, goes on handing in after a run.
pub const AFTERWARDS: Duration = Duration::from_secs(60);

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// Until every receipt is credited or at its end, this long at most.
    Credited(Duration),
    /// Until it is stopped.
    Stopped,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Said {
    /// Receipts moved.
    Moved(OutboxCounts),
    /// The ledger cannot be used now.
    Waits(String),
}

/// How it ended.
#[derive(Debug)]
pub enum Ended {
    /// Nothing is under way any more.
    Done(OutboxCounts),
    /// The time was over; and what stood in the way last.
    Late(OutboxCounts, Option<Failure>),
    /// It was stopped.
    Stopped(OutboxCounts),
}

impl Ended {
    /// Where the receipts are.
    pub fn counts(&self) -> OutboxCounts {
        match self {
            Self::Done(counts) | Self::Late(counts, _) | Self::Stopped(counts) => *counts,
        }
    }
}

/// The way to the ledger that is named, configured or pinned.
///
/// # Errors
/// Keys that cannot be read.
pub(crate) fn way(program: &Program, config: &Config, named: Option<String>, repin: Repin) -> Result<Way, Failure> {
    let signer = wiring::signer(&program.home, config, &program.wiring.clock)?;
    let log = signer.trust().map_err(Failure::internal)?.log.vkey;
    let url = named.or_else(|| config.ledger.clone());
    let chain = config.chain.clone();
    Ok(Way { url, key: config.ledger_key.clone(), network: config.network, log, repin, chain })
}

/// Becomes the publisher of the home.
///
/// # Errors
/// Another publisher, another ledger, one that cannot be reached.
pub async fn open(journal: Arc<Journal>, clock: &Clock, way: Way) -> Result<Publisher, Failure> {
    Publisher::open(journal, clock.clone(), way).await.map_err(|error| from_publisher(&error))
}

/// A signal that changes with Ctrl-C or a request to terminate.
///
/// # Errors
/// Signals that cannot be listened for.
pub fn interrupted() -> Result<watch::Receiver<bool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut pressed = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _signal = pressed.recv() => {}
            _signal = terminate.recv() => {}
        }
        sender.send_replace(true);
    });
    Ok(receiver)
}

/// Publishes until it is enough. A ledger that fails is tried again, however long it takes.
///
/// # Errors
/// What waiting does not mend.
pub async fn work(
    publisher: &mut Publisher,
    until: Until,
    mut stop: watch::Receiver<bool>,
    tell: &mut (dyn FnMut(Said) + Send),
) -> Result<Ended, Failure> {
    let began = Instant::now();
    let (mut failures, mut why, mut counts) = (0_u32, None, OutboxCounts::default());
    loop {
        let after = match publisher.turn().await {
            Ok(turn) => {
                (failures, why) = (0, None);
                if turn.counts != counts {
                    counts = turn.counts;
                    tell(Said::Moved(counts));
                }
                match until {
                    Until::Credited(_) if counts.under_way() == 0 => return Ok(Ended::Done(counts)),
                    Until::Credited(_) | Until::Stopped if turn.answered + turn.proved > 0 => After::Moved,
                    Until::Credited(_) | Until::Stopped => After::Quiet,
                }
            }
            Err(error) if error.may_pass() => {
                failures = failures.saturating_add(1);
                counts = publisher.counts().await.map_err(|error| from_publisher(&error))?;
                let words = from_publisher(&error);
                if why.as_ref().is_none_or(|last: &Failure| last.what != words.what) {
                    tell(Said::Waits(format!("{}; {}", words.what, words.fix)));
                    why = Some(words);
                }
                After::Failed(Duration::from_millis(pause_ms(failures, random()?)))
            }
            Err(error) => return Err(from_publisher(&error)),
        };
        let left = match until {
            Until::Credited(limit) => limit.saturating_sub(began.elapsed()),
            Until::Stopped => Duration::MAX,
        };
        if left.is_zero() {
            return Ok(Ended::Late(counts, why));
        }
        let pause = async {
            match after {
                After::Moved => {}
                // Where it fails, the next turn says so.
                After::Quiet if counts.under_way() > 0 => drop(publisher.wait_for_head(BEAT_MS).await),
                After::Quiet => sleep(Duration::from_millis(BEAT_MS)).await,
                After::Failed(pause) => sleep(pause.min(left)).await,
            }
        };
        tokio::select! {
            () = pause => {}
            _stopped = stop.changed() => return Ok(Ended::Stopped(counts)),
        }
    }
}

/// What a turn came to.
enum After {
    Moved,
    Quiet,
    Failed(Duration),
}

fn random() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(Failure::internal)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Publishing beside a run.
pub struct Beside {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(OutboxCounts, String), PublishError>>,
}

/// Begins to publish beside a run, where the settings name a ledger.
///
/// # Errors
/// Keys that cannot be read.
pub(crate) fn beside(program: &Program, config: &Config, journal: &Arc<Journal>) -> Result<Option<Beside>, Failure> {
    if config.ledger.is_none() {
        return Ok(None);
    }
    let way = way(program, config, None, Repin::Never)?;
    let (stop, stopped) = watch::channel(false);
    let (journal, clock) = (Arc::clone(journal), program.wiring.clock.clone());
    Ok(Some(Beside { stop, task: tokio::spawn(keep_publishing(journal, clock, way, stopped)) }))
}

/// Publishes until the run is over, and then what is left, unless the ledger fails.
async fn keep_publishing(
    journal: Arc<Journal>,
    clock: Clock,
    way: Way,
    mut stop: watch::Receiver<bool>,
) -> Result<(OutboxCounts, String), PublishError> {
    let mut failures = 0;
    let mut publisher: Option<Publisher> = None;
    loop {
        let over = *stop.borrow();
        let turned = match &mut publisher {
            // What a batch costs is paid once for the run.
            Some(open) if open.costs() && !over => Ok(None),
            Some(open) => open.turn().await.map(Some),
            None => Publisher::open(Arc::clone(&journal), clock.clone(), way.clone()).await.map(|open| {
                publisher = Some(open);
                None
            }),
        };
        let pause = match turned {
            Ok(Some(turn)) if over && is_enough(&turn.counts, publisher.as_ref()) => {
                let url = publisher.as_ref().map(Publisher::url).unwrap_or_default();
                return Ok((turn.counts, url));
            }
            Ok(_) => {
                failures = 0;
                if over { BEAT_MS / 10 } else { BEAT_MS / 2 }
            }
            // Whoever hands in now may be done before this run is.
            Err(error) if over || !(error.may_pass() || matches!(error, PublishError::Taken)) => return Err(error),
            Err(_passing) => {
                failures += 1;
                pause_ms(failures, random().unwrap_or(u64::MAX))
            }
        };
        tokio::select! {
            () = sleep(Duration::from_millis(pause)) => {}
            // Told once; from then on the pauses are short.
            _stopped = stop.changed(), if !over => {}
        }
    }
}

/// Whether a run has nothing more to do for its receipts: blocks are not waited for.
fn is_enough(counts: &OutboxCounts, publisher: Option<&Publisher>) -> bool {
    let waits = if publisher.is_some_and(Publisher::costs) { counts.queued } else { counts.under_way() };
    waits == 0
}

impl Beside {
    /// Ends it with the run, once all is credited or this long after, and says what came of it.
    pub async fn end(self, within: Duration, quiet: bool) {
        self.stop.send_replace(true);
        let mut task = self.task;
        let said = match timeout(within, &mut task).await {
            Ok(Ok(Ok((counts, url)))) => {
                let credited = format!("{} of {} receipts are credited at {url}", counts.credited, counts.all());
                match counts.under_way() {
                    0 => credited,
                    left => format!("{credited}, {left} wait for blocks; `ii receipts watch` follows them"),
                }
            }
            Ok(Ok(Err(error))) => format!("receipts wait for their ledger: {}; {WAITING}", chain(&error)),
            Ok(Err(_panicked)) => format!("receipts wait for their ledger; {WAITING}"),
            Err(_late) => {
                task.abort();
                // What it was doing is over before the journal closes.
                let _ended = task.await.is_ok();
                format!("receipts are on their way to their ledger; {WAITING}")
            }
        };
        if !quiet {
            eprintln!("ii: {said}");
        }
    }
}

const WAITING: &str = "`ii receipts submit` hands them in, `ii receipts status` shows them";
