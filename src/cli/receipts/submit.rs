//! `ii receipts submit` and `ii receipts watch`: receipts go to a ledger.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    journal::{Journal, OutboxCounts},
    publisher::{PinnedLedger, Publisher, Repin},
};
use serde_json::json;

use super::{
    super::{Program, driving::close, print_json},
    status,
};
use crate::{
    commons::Commons,
    config::Config,
    curations,
    exit::{Exit, Failure},
    failures::from_journal,
    progress::Progress,
    publishing::{self, Ended, Said, Until},
    wiring,
};

/// Arguments of `ii receipts submit`.
#[derive(Debug, clap::Args)]
pub struct SubmitArgs {
    /// The ledger's address; the configured or pinned one without it.
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
    /// How long to wait until all is credited.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Hand in once more what was refused.
    #[arg(long)]
    again: bool,
    /// Let another ledger take the place of the pinned one: every receipt begins its way anew.
    #[arg(long)]
    repin: bool,
}

/// Arguments of `ii receipts watch`.
#[derive(Debug, clap::Args)]
pub struct WatchArgs {
    /// The ledger's address; the configured or pinned one without it.
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
}

/// Hands in what there is.
pub(super) async fn submit(args: SubmitArgs, program: &Program) -> Result<Exit, Failure> {
    let until = Until::Credited(Duration::from_secs(args.wait));
    let repin = if args.repin { Repin::Asked } else { Repin::Never };
    publish(program, args.ledger, repin, args.again, until).await
}

/// Hands in what there is and what comes.
pub(super) async fn watch(args: WatchArgs, program: &Program) -> Result<Exit, Failure> {
    publish(program, args.ledger, Repin::Never, false, Until::Stopped).await
}

async fn publish(
    program: &Program,
    ledger: Option<String>,
    repin: Repin,
    again: bool,
    until: Until,
) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let journal = Arc::new(wiring::journal(&program.home, &program.wiring.clock).await?);
    let worked = async {
        if again {
            journal.requeue_refused().await.map_err(|error| from_journal(&error))?;
        }
        ingests(program, &config, &journal).await?;
        let way = publishing::way(program, &config, ledger, repin)?;
        let mut publisher = publishing::open(Arc::clone(&journal), &program.wiring.clock, way).await?;
        first_words(program, &publisher);
        let progress = Progress::new(program.json);
        let stop = publishing::interrupted()?;
        let mut tell = |said: Said| match said {
            Said::Moved(counts) => progress.say(status::sum(&counts)),
            Said::Waits(why) => progress.say(format!("{why}; trying again")),
        };
        let ended = publishing::work(&mut publisher, until, stop, &mut tell).await;
        progress.clear();
        Ok::<_, Failure>((ended?, publisher.url(), publisher.pinned()))
    };
    let worked = worked.await;
    close(journal).await?;
    let (ended, url, pinned) = worked?;
    let counts = ended.counts();
    if program.json {
        let ledger = match &pinned {
            PinnedLedger::Log(pinned) => json!({"url": url, "vkey": pinned.ledger.vkey}),
            PinnedLedger::Chain(pinned) => json!({"url": url, "genesis": pinned.genesis}),
        };
        print_json(&json!({"ledger": ledger, "queued": counts.queued,
            "acknowledged": counts.acknowledged, "logged": counts.logged, "credited": counts.credited,
            "refused": counts.refused, "conflict": counts.conflict}));
    } else {
        println!("{}", status::sum(&counts));
    }
    result(&ended, &counts, &pinned)
}

/// Brings the receipts of ingests into the queue that are not there: of earlier versions, or of a program that was killed. A
/// collection that cannot be read is named and holds up no other receipt.
async fn ingests(program: &Program, config: &Config, journal: &Journal) -> Result<(), Failure> {
    let signer = wiring::signer(&program.home, config, &program.wiring.clock)?;
    let commons = match Commons::open(&program.home, config, &signer).await {
        Ok(commons) => commons,
        Err(why) => {
            held_up("the receipts of ingests", &why);
            return Ok(());
        }
    };
    let names = commons.names().await.unwrap_or_else(|why| {
        held_up("the receipts of ingests", &why);
        Vec::new()
    });
    for name in names {
        let queued = async { curations::queue(&commons.named(&name).await?, journal).await };
        if let Err(why) = queued.await {
            held_up(&format!("the receipts of collection {name}"), &why);
        }
    }
    Ok(())
}

fn held_up(what: &str, why: &Failure) {
    eprintln!("ii: {what} are not handed in: {}; {}", why.what, why.fix);
}

fn first_words(program: &Program, publisher: &Publisher) {
    if publisher.is_new() && !program.json {
        let (pinned, url) = (publisher.pinned(), publisher.url());
        let compare = match &pinned {
            PinnedLedger::Log(_) => "compare this key with what its operator names",
            PinnedLedger::Chain(_) => "compare this first block with that of the chain you mean",
        };
        eprintln!("ii: pinned the ledger {} at {url}; {compare}", status::name(&pinned));
    }
}

fn result(ended: &Ended, counts: &OutboxCounts, pinned: &PinnedLedger) -> Result<Exit, Failure> {
    match ended {
        Ended::Done(_) if counts.refused + counts.conflict > 0 => Ok(Exit::Ledger),
        Ended::Done(_) | Ended::Stopped(_) => Ok(Exit::Completed),
        Ended::Late(_, why) => {
            let what = match why {
                Some(why) => format!("{} receipts are not credited yet: {}", counts.under_way(), why.what),
                None => format!("{} receipts are not credited yet", counts.under_way()),
            };
            let hint = match (why, pinned) {
                (Some(why), _) => why.fix.clone(),
                (None, PinnedLedger::Log(_)) => {
                    "nothing is lost; hand them in again later, or wait longer with --wait".to_owned()
                }
                (None, PinnedLedger::Chain(pinned)) => {
                    format!(
                        "nothing is lost; {} blocks make it so, and `ii receipts watch` follows them",
                        pinned.depth.0
                    )
                }
            };
            Err(Failure::new(Exit::Ledger, what, hint))
        }
    }
}
