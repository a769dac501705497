//! `ii runs tell`: a word to one module, which its Associate hears before its next step.
//!
//! **Invariant:** the words are in no log and no error.

use std::{io::Read, time::Duration};

use agent_runtime::{
    driver::{DriveError, LONGEST_WORD, Message, tell},
    journal::{Journal, JournalError},
};
use common_ground::{ModuleId, Refusal, Run, run::Phase};
use serde_json::json;

use super::{
    super::{Program, print_json},
    ANSWER_WITHIN, find, load,
};
use crate::{
    exit::{Exit, Failure},
    failures::{from_drive, from_journal},
    show, wiring,
};

/// Arguments of `ii runs tell`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or its beginning.
    run: String,
    /// The module: its number in the plan, its id, or the beginning of that.
    module: String,
    /// What is said; `-` reads it from stdin.
    text: String,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let (reader, id) = find(program, &args.run).await?;
    let (_, state) = load(&reader, id).await?;
    let run = state.run().ok_or_else(|| from_drive(&DriveError::NothingRecorded))?;
    let module = named(run, &args.module)?;
    let text = said(args.text)?;
    let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
    let told = say(program, &journal, run, module, &text).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    told?;
    if program.json {
        print_json(&json!({"run": id, "module": module, "text": common_ground::Digest::of(text.as_bytes())}));
    } else {
        eprintln!("ii: module {module} was told; it hears it before its next step");
    }
    Ok(Exit::Completed)
}

fn said(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    std::io::stdin().take(LONGEST_WORD as u64 + 1).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Usage, format!("what is said on stdin cannot be read: {error}"), "send UTF-8 text")
    })?;
    Ok(text)
}

/// A module by its number in the plan, its id, or the beginning of that.
fn named(run: &Run, text: &str) -> Result<ModuleId, Failure> {
    let number: Option<usize> = text.parse().ok();
    if let Some(id) = number.and_then(|number| run.order.get(number.checked_sub(1)?)) {
        return Ok(*id);
    }
    let mut fitting = run.order.iter().filter(|id| !text.is_empty() && id.to_string().starts_with(text));
    match (fitting.next(), fitting.next()) {
        (Some(id), None) => Ok(*id),
        (Some(_), Some(_)) => {
            Err(Failure::new(Exit::Usage, format!("more than one module begins with {text}"), "give more of its id"))
        }
        (None, _) => {
            let what = format!("run {} has no module {}", run.id, show::plain(text));
            Err(Failure::new(Exit::Usage, what, format!("name one by its number, 1 to {}", run.order.len())))
        }
    }
}

/// Whether a module can hear a word now; why not otherwise.
pub(in crate::cli) fn may_hear(run: &Run, module: ModuleId, text: &str) -> Result<(), Failure> {
    let no = |what: String, fix: &str| Err(Failure::new(Exit::Usage, what, fix));
    if text.trim().is_empty() {
        return no("nothing is said".to_owned(), "say what the module should do");
    }
    if text.len() > LONGEST_WORD {
        return no(format!("it has more than {LONGEST_WORD} bytes"), "put long material into a document");
    }
    let over = run.modules.get(&module).is_none_or(|module| module.life.is_over());
    if over || matches!(run.phase, Phase::Closed { .. }) {
        return no(
            format!("module {module} is over and hears nothing any more"),
            "`ii runs fork` goes on from an earlier place",
        );
    }
    if run.task.models.associate == agent_runtime::models::extractive::ID {
        return no(
            "the extractive engine quotes documents and follows no words".to_owned(),
            "take a language model with --model",
        );
    }
    Ok(())
}

/// Says something to a module, by way of the program that works on its run where there is one.
pub(in crate::cli) async fn say(
    program: &Program,
    journal: &Journal,
    run: &Run,
    module: ModuleId,
    text: &str,
) -> Result<(), Failure> {
    may_hear(run, module, text)?;
    match tell(journal, run.id, module, text, &program.wiring.clock).await {
        Err(DriveError::Journal(JournalError::Held { .. })) => by_holder(journal, run, module, text).await,
        // It ended between our look and our word.
        Err(DriveError::Refused(Refusal::NotNow { .. } | Refusal::NotOpen)) => {
            let what = format!("module {module} is over and hears nothing any more");
            Err(Failure::new(Exit::Usage, what, "`ii runs fork` goes on from an earlier place"))
        }
        told => told.map_err(|error| from_drive(&error)),
    }
}

/// Leaves the word for the program that holds the run, and waits until it is on record.
async fn by_holder(journal: &Journal, run: &Run, module: ModuleId, text: &str) -> Result<(), Failure> {
    let message = Message::Tell { module, text: text.to_owned() }.to_bytes().map_err(Failure::internal)?;
    let sent = journal.send(run.id, message).await.map_err(|error| from_journal(&error))?;
    let until = tokio::time::Instant::now() + ANSWER_WITHIN;
    let before = run.modules.get(&module).map_or(0, |module| module.words.len());
    while tokio::time::Instant::now() < until {
        let waits = journal.reader().inbox(run.id).await.map_err(|error| from_journal(&error))?;
        if waits.iter().all(|(id, _)| *id != sent) {
            let (_, state) = load(journal.reader(), run.id).await?;
            let now = state.run().and_then(|run| run.modules.get(&module)).map_or(0, |module| module.words.len());
            if now > before {
                return Ok(());
            }
            let what = format!("module {module} is over and hears nothing any more");
            return Err(Failure::new(Exit::Usage, what, "`ii runs fork` goes on from an earlier place"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let what = format!("the program that works on run {} does not answer", run.id);
    Err(Failure::new(Exit::NotCompleted, what, "the word stays for whoever goes on with the run"))
}
