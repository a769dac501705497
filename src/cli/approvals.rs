//! `ii approvals`: questions that wait for the person, and the answers.

use agent_runtime::driver::Message;
use common_ground::{
    ApprovalId, RunId,
    approval::{Answer, Approval, Question},
    run::{Phase, State},
};
use serde_json::json;

use super::{Program, print_json, runs};
use crate::{
    exit::{Exit, Failure},
    failures::from_journal,
    permissions, show, wiring,
};

/// Subcommands of `ii approvals`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List the questions that wait, of all runs.
    List,
    /// Answer one.
    Answer {
        /// The question's id, or its beginning.
        approval: String,
        /// `no`, `once`, `run` (exactly this, in this run), `always` (exactly this, from now on), or the answer in words.
        answer: String,
    },
}

/// One question that waits.
pub(super) struct Open {
    pub run: RunId,
    pub id: ApprovalId,
    pub approval: Approval,
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::List => list(program).await,
        Args::Answer { approval, answer } => answer_one(program, &approval, &answer).await,
    }
}

/// Every question without an answer, of runs that are not over.
async fn open(program: &Program) -> Result<Vec<Open>, Failure> {
    let Some(reader) = runs::reader(program) else { return Ok(Vec::new()) };
    let mut open = Vec::new();
    for row in reader.runs().await.map_err(|error| from_journal(&error))? {
        let (_, state) = runs::load(&reader, row.run).await?;
        open.extend(waiting(&state));
    }
    Ok(open)
}

fn waiting(state: &State) -> Vec<Open> {
    let Some(run) = state.run() else { return Vec::new() };
    if matches!(run.phase, Phase::Closed { .. }) {
        return Vec::new();
    }
    let unanswered = run.approvals.iter().filter(|(_, approval)| approval.answer.is_none());
    unanswered.map(|(id, approval)| Open { run: run.id, id: *id, approval: approval.clone() }).collect()
}

async fn list(program: &Program) -> Result<Exit, Failure> {
    let open = open(program).await?;
    if program.json {
        let rows = open.iter().map(|one| {
            json!({"approval": one.id.to_string(), "run": one.run.to_string(),
                "module": one.approval.module.to_string(), "question": one.approval.question})
        });
        print_json(&json!({ "approvals": rows.collect::<Vec<_>>() }));
        return Ok(Exit::Completed);
    }
    for one in &open {
        println!("{}  run {}", one.id, one.run);
        println!("{}", words(&one.approval.question));
    }
    if open.is_empty() {
        eprintln!("ii: nothing waits for an answer");
    }
    Ok(Exit::Completed)
}

/// A question as the person reads it.
pub(super) fn words(question: &Question) -> String {
    match question {
        Question::Words { text, .. } => format!("  asks: {}", show::plain(text)),
        Question::Verdict { tool, arguments, .. } => format!(
            "  waits for a verdict before its first tool call: {} with {}",
            show::plain(tool),
            show::plain(arguments)
        ),
        Question::Permission { tool, arguments, needs, .. } => {
            let mut words = format!("  {} would be called with {}", show::plain(tool), show::plain(arguments));
            for needed in needs {
                words.push_str(&format!("\n  + {}  ({})", show::plain(&needed.need.to_string()), needed.basis));
            }
            words
        }
    }
}

/// What a text says to a question.
pub(super) fn said(question: &Question, text: &str) -> Result<Answer, Failure> {
    let words = text.trim();
    let answer = match (question, words) {
        (_, "no") => Answer::Deny,
        (Question::Permission { .. }, "once") => Answer::Once,
        (Question::Permission { .. }, "run") => Answer::Run,
        (Question::Permission { .. }, "always") => Answer::Always,
        (Question::Permission { .. }, other) => {
            let what = format!("`{}` is no answer to a permission", show::plain(other));
            return Err(Failure::new(Exit::Usage, what, "say no, once, run or always"));
        }
        (Question::Verdict { .. }, "run") => Answer::Run,
        (Question::Verdict { .. }, other) => {
            let what = format!("`{}` is no answer to a required verdict", show::plain(other));
            return Err(Failure::new(Exit::Usage, what, "say no or run"));
        }
        (Question::Words { .. }, "") => {
            return Err(Failure::new(Exit::Usage, "the answer is empty", "say something, or no"));
        }
        (Question::Words { .. }, words) => Answer::Words { text: words.to_owned() },
    };
    Ok(answer)
}

/// Keeps what an answer allows for good; before it is given, so that a rule the person made is never lost.
pub(super) fn keep(program: &Program, question: &Question, answer: &Answer) -> Result<(), Failure> {
    match (question, answer) {
        (Question::Permission { needs, .. }, Answer::Always) => {
            permissions::remember(&program.home, needs.iter().map(|needed| &needed.need))
        }
        (
            Question::Permission { .. } | Question::Words { .. } | Question::Verdict { .. },
            Answer::Deny | Answer::Once | Answer::Run | Answer::Always | Answer::Words { .. },
        ) => Ok(()),
    }
}

async fn answer_one(program: &Program, id: &str, text: &str) -> Result<Exit, Failure> {
    let open = open(program).await?;
    let mut fitting = open.iter().filter(|one| !id.is_empty() && one.id.to_string().starts_with(id));
    let one = match (fitting.next(), fitting.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => {
            let what = format!("more than one question begins with {id}");
            return Err(Failure::new(Exit::Usage, what, "give more of its id"));
        }
        (None, _) => {
            let what = format!("no question {id} waits");
            return Err(Failure::new(Exit::Usage, what, "`ii approvals list` shows those that do"));
        }
    };
    let answer = said(&one.approval.question, text)?;
    keep(program, &one.approval.question, &answer)?;
    let journal = wiring::journal(&program.home, &program.wiring.clock).await?;
    let message = Message::Answer { approval: one.id, answer }.to_bytes().map_err(Failure::internal)?;
    let sent = journal.send(one.run, message).await;
    journal.close().await.map_err(|error| from_journal(&error))?;
    sent.map_err(|error| from_journal(&error))?;
    eprintln!("ii: answered; a run that nobody works on goes on with `ii runs resume {}`", one.run);
    Ok(Exit::Completed)
}
