//! `ii receipts submit` and `ii receipts watch`: receipts go to a ledger.

use std::{sync::Arc, time::Duration};

use agent_runtime::{
    journal::OutboxCounts,
    publisher::{Publisher, Repin},
};
use serde_json::json;

use super::{
    super::{Program, driving::close, print_json},
    status,
};
use crate::{
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
        Ok::<_, Failure>((ended?, publisher.url().to_owned(), publisher.pinned().ledger.vkey.clone()))
    };
    let worked = worked.await;
    close(journal).await?;
    let (ended, url, vkey) = worked?;
    let counts = ended.counts();
    if program.json {
        print_json(&json!({"ledger": {"url": url, "vkey": vkey}, "queued": counts.queued,
            "acknowledged": counts.acknowledged, "logged": counts.logged, "credited": counts.credited,
            "refused": counts.refused, "conflict": counts.conflict}));
    } else {
        println!("{}", status::sum(&counts));
    }
    result(&ended, &counts)
}

fn first_words(program: &Program, publisher: &Publisher) {
    if publisher.is_new() && !program.json {
        let (vkey, url) = (&publisher.pinned().ledger.vkey, publisher.url());
        eprintln!("ii: pinned the ledger {vkey} at {url}; compare this key with what its operator names");
    }
}

fn result(ended: &Ended, counts: &OutboxCounts) -> Result<Exit, Failure> {
    match ended {
        Ended::Done(_) if counts.refused + counts.conflict > 0 => Ok(Exit::Ledger),
        Ended::Done(_) | Ended::Stopped(_) => Ok(Exit::Completed),
        Ended::Late(_, why) => {
            let what = match why {
                Some(why) => format!("{} receipts are not credited yet: {why}", counts.under_way()),
                None => format!("{} receipts are not credited yet", counts.under_way()),
            };
            Err(Failure::new(
                Exit::Ledger,
                what,
                "nothing is lost; hand them in again later, or wait longer with --wait",
            ))
        }
    }
}
