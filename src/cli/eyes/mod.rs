//! `ii` alone, at a terminal: the conversation. It is drawn by the crate `tui`, which knows nothing of what is here; what it
//! asks for goes the ways that the commands of the same names go.
//!
//! **Invariant:** opening draws before anything is read, and starts nothing: no run, no model, no index.

mod asks;
mod clipboard;
mod drives;
mod guards;
mod looks;
mod takes;

use std::{
    ffi::OsString,
    io::IsTerminal,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{mpsc::unbounded_channel, oneshot};
use tui::{Ask, Event, Heard, Joined, terminal};

use self::asks::{Chosen, Desk};
use super::Program;
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
};

/// How long the terminal may take to be given back before it is taken back.
const TO_CLOSE: Duration = Duration::from_secs(2);
/// How long a run at work may take to stand still when the person leaves.
const TO_REST: Duration = Duration::from_secs(15);

/// Arguments of `ii eyes`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Folder of documents that answers come from.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// A collection by its name or the beginning of it, as it is; instead of a folder.
    #[arg(long, value_name = "NAME", conflicts_with = "docs")]
    collection: Option<String>,
    /// The model that plays the roles.
    #[arg(long)]
    model: Option<String>,
    /// Lines of text instead of a drawing: for screen readers, and for pipes.
    #[arg(long)]
    linear: bool,
}

/// Whether the program was called alone, by somebody at a terminal.
pub(super) fn opens(arguments: &[OsString]) -> bool {
    arguments.len() == 1 && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let chosen = Chosen::new(args.docs, args.collection, args.model);
    let (config, _) = program.settings(&chosen.flags())?;
    let mut options = config.eyes;
    if args.linear {
        options.mode = terminal::Mode::Linear;
    }
    let drawn = options.mode == terminal::Mode::Drawn;
    if program.json || (drawn && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal())) {
        let what = "the conversation needs a terminal";
        return Err(Failure::new(Exit::Usage, what, "ask with `ii run`, or talk in lines with `ii eyes --linear`"));
    }
    let (happens, events) = mpsc::channel();
    let (asks, asked) = unbounded_channel();
    let heard = Arc::new(Heard::new(happens.clone()));
    let joined = Joined { events, heard: Arc::clone(&heard), happens: happens.clone(), asks };
    let (over, closed) = oneshot::channel();
    let open = move || {
        if over.send(tui::open(options, joined)).is_err() {
            tracing::debug!("the program ended before the eyes closed");
        }
    };
    std::thread::Builder::new().name(terminal::THREAD.to_owned()).spawn(open).map_err(Failure::internal)?;
    let desk = Desk::new(program, chosen, happens, heard);
    serve(desk, asked, closed).await
}

/// How the conversation ended.
enum Ended {
    /// The person left, or the terminal is gone.
    Left,
    /// The program was told to end.
    Told,
}

/// Does what is asked until the end; then lets a run at work come to rest.
async fn serve(
    mut desk: Desk<'_>,
    mut asked: tokio::sync::mpsc::UnboundedReceiver<Ask>,
    mut closed: oneshot::Receiver<std::io::Result<()>>,
) -> Result<Exit, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(Failure::internal);
    let (mut terminate, mut hangup) = (listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let mut work = FuturesUnordered::new();
    work.extend(desk.begin());
    let ended = loop {
        tokio::select! {
            ask = asked.recv() => match ask {
                None | Some(Ask::Quit) => break Ended::Left,
                Some(ask) => work.extend(desk.take(ask)),
            },
            Some(()) = work.next(), if !work.is_empty() => {}
            _signal = terminate.recv() => break Ended::Told,
            _signal = hangup.recv() => break Ended::Told,
        }
    };
    desk.tell(Event::End);
    let given_back = match tokio::time::timeout(TO_CLOSE, &mut closed).await {
        Ok(Ok(given_back)) => given_back.map_err(|error| {
            Failure::new(
                Exit::Storage,
                format!("the terminal cannot be used: {error}"),
                "open another one; nothing recorded is lost",
            )
        }),
        Ok(Err(_panicked)) => Err(Failure::internal("the thread that draws ended abnormally")),
        // It may hang on a terminal that takes no more.
        Err(_late) => {
            terminal::give_back_mode();
            Ok(())
        }
    };
    let at_work = desk.interrupt();
    if at_work.is_some() {
        let rest = async { while work.next().await.is_some() {} };
        if tokio::time::timeout(TO_REST, rest).await.is_err() {
            tracing::warn!("a run did not come to rest in time; its record is whole");
        }
    }
    drop(work);
    if let (Some(run), true) = (at_work.flatten(), std::io::stderr().is_terminal()) {
        eprintln!("ii: run {run} stands still; go on with `ii runs resume {run}`, or from /runs");
    }
    if let Some(journal) = desk.into_journal() {
        journal.close().await.map_err(|error| from_journal(&error))?;
    }
    given_back?;
    Ok(match ended {
        Ended::Left => Exit::Completed,
        Ended::Told => Exit::Interrupted,
    })
}
