//! Runs that the eyes ask for: begun, gone on with, given up, answered.

use std::{path::PathBuf, sync::Arc, time::Duration};

use agent_runtime::driver::{DriveError, End, Listener, Message, Observer, Placed, Said, Spoken, Start};
use common_ground::{ApprovalId, ModuleId, RunId, approval::Answer, report::Report, run::Asks};
use tokio::sync::{Notify, mpsc::unbounded_channel};
use tui::{
    Event,
    event::{Plans, Steer, TellTone},
    heard,
};

use super::{
    asks::{AtWork, Shared, path_of},
    looks,
};
use crate::{
    cli::{
        approvals,
        driving::{With, drive_shown},
        run::{Asked, LONGEST_QUESTION, cast, prepare},
        runs,
    },
    exit::{Exit, Failure},
    failures::{from_drive, from_journal},
    pictures,
    progress::Progress,
    publishing::{AFTERWARDS, beside},
    show,
};

/// How often it is looked whether a run that is over has been let go of.
const LETS_GO: Duration = Duration::from_millis(10);

/// A run on a question.
pub(super) async fn ask(shared: Shared<'_>, question: String) {
    let interrupt = begin(&shared);
    let back = question.clone();
    let ready = tokio::select! {
        ready = ready(&shared, question) => ready,
        () = interrupt.notified() => Err(stopped()),
    };
    match ready {
        Ok((with, run, start)) => drive(&shared, with, run, start, interrupt).await,
        Err(failure) => {
            shared.at_work.replace(None);
            shared.tell(Event::NotAsked { question: back, why: failure.to_string() });
        }
    }
}

fn stopped() -> Failure {
    Failure::new(Exit::Interrupted, "stopped before the run began", "send it again")
}

/// Marks that something is at work, and gives what interrupts it.
fn begin(shared: &Shared<'_>) -> Arc<Notify> {
    let interrupt = Arc::new(Notify::new());
    shared.at_work.replace(Some(AtWork { interrupt: Arc::clone(&interrupt), run: None }));
    // Who follows a run on record stops: another one is in view now.
    shared.opened.set(shared.opened.get() + 1);
    interrupt
}

/// Everything up to the first fact, its progress told on the way.
async fn ready(shared: &Shared<'_>, question: String) -> Result<(With, RunId, Start), Failure> {
    let (question, paths) = tui::pictures::taken(&question);
    if question.len() > LONGEST_QUESTION {
        let what = format!("the question has more than {LONGEST_QUESTION} bytes");
        return Err(Failure::new(Exit::Usage, what, "put long material into a document of the folder"));
    }
    let (config, _) = shared.config()?;
    let sources = shared.sources(&config)?;
    let approve_plan = shared.chosen.borrow().plan == Plans::Wait;
    let paths: Vec<PathBuf> = paths.iter().map(|path| path_of(path)).collect();
    let pictures = pictures::read(&paths)?;
    let asked =
        Asked { question, pictures, schema: None, sources, judge: Vec::new(), asks: Asks::Person, approve_plan };
    let models = cast(shared.program, &config, &asked).await?;
    let journal = shared.journal().await?;
    let (progress, telling) = told(shared);
    // With the progress goes its sender, and the telling ends.
    let preparing = async move { prepare(shared.program, &config, asked, models, journal, &progress).await };
    let (prepared, ()) = tokio::join!(preparing, telling);
    prepared
}

/// Progress that is told, and what tells it.
fn told<'a>(shared: &'a Shared<'_>) -> (Progress, impl Future<Output = ()> + 'a) {
    let (listener, mut words) = unbounded_channel();
    let telling = async move {
        while let Some(words) = words.recv().await {
            shared.tell(Event::Preparing(words));
        }
    };
    (Progress::Told(listener), telling)
}

/// Drives a run; each fact is told once it is on disk.
async fn drive(shared: &Shared<'_>, with: With, run: RunId, start: Start, interrupt: Arc<Notify>) {
    shared.at_work.replace(Some(AtWork { interrupt: Arc::clone(&interrupt), run: Some(run) }));
    shared.in_view.set(Some(run));
    let happens = shared.happens.clone();
    let observer: Observer = Box::new(move |placed, report| {
        let placed = Box::new(for_eyes(placed, report));
        if happens.send(Event::Fact { run, placed }).is_err() {
            tracing::debug!("the eyes are closed");
        }
    });
    let heard = Arc::clone(&shared.heard);
    let listener: Listener = Arc::new(move |spoken| heard.add(as_heard(run, spoken)));
    let beside = match shared.config().and_then(|(config, _)| beside(shared.program, &config, &with.journal)) {
        Ok(beside) => beside,
        Err(failure) => {
            shared.fail(&failure);
            None
        }
    };
    let ended = drive_shown(shared.program, with, run, start, interrupt, (observer, Some(listener))).await;
    shared.at_work.replace(None);
    let detail = match ended {
        Ok(End::Closed { .. }) => String::new(),
        Ok(End::Paused { detail, .. }) => show::plain(&detail),
        Err(failure) => failure.to_string(),
    };
    // Facts that came while the run was being opened anew were left to this.
    if let Err(failure) = looks::catch_up(shared, run).await {
        shared.fail(&failure);
    }
    shared.tell(Event::Rested { detail });
    if let Some(beside) = beside {
        beside.end(AFTERWARDS, true).await;
        if let Err(failure) = looks::receipts(shared, run).await {
            shared.fail(&failure);
        }
    }
}

/// What a model says in the form that the eyes take.
fn as_heard(run: RunId, spoken: Spoken<'_>) -> heard::Spoken {
    let Spoken { owner, step, said } = spoken;
    let (before, more) = match said {
        Said::More(more) => (heard::Before::Stays, more.to_owned()),
        Said::Nothing => (heard::Before::Goes, String::new()),
    };
    heard::Spoken { run, owner, step, before, more }
}

/// A fact in the form that the eyes take.
pub(super) fn for_eyes(placed: &Placed, report: Option<&Report>) -> tui::Placed {
    tui::Placed { seq: placed.seq, at: placed.at, fact: placed.fact.clone(), report: report.cloned().map(Box::new) }
}

/// Lets a run go on.
pub(super) async fn resume(shared: Shared<'_>, run: RunId) {
    let interrupt = begin(&shared);
    let ready = tokio::select! {
        ready = ready_again(&shared, run) => ready,
        () = interrupt.notified() => Err(stopped()),
    };
    match ready {
        Ok(Some(with)) => drive(&shared, with, run, Start::Resume { raise: None }, interrupt).await,
        Ok(None) => {
            shared.at_work.replace(None);
            shared.tell(Event::Rested { detail: "this run is over; there is nothing to go on with".to_owned() });
        }
        Err(failure) => {
            shared.at_work.replace(None);
            shared.tell(Event::Rested { detail: failure.to_string() });
        }
    }
}

/// What a run on record goes on with; none where it is over.
async fn ready_again(shared: &Shared<'_>, run: RunId) -> Result<Option<With>, Failure> {
    let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
    let (_, state) = runs::load(&reader, id).await?;
    let Some(state) = state.run() else { return Err(from_drive(&DriveError::NothingRecorded)) };
    if runs::end_of(&reader, state).await?.is_some() {
        return Ok(None);
    }
    looks::bring(shared, run).await?;
    let journal = shared.journal().await?;
    runs::go_on_with(shared.program, state, journal).await.map(Some)
}

/// Has the program that works on a run let it stand still.
pub(super) async fn pause(shared: Shared<'_>, run: RunId) {
    if let Err(failure) = send(&shared, run, &Message::Pause).await {
        shared.fail(&failure);
    }
}

/// Holds one module, lets it go on, or gives it up.
pub(super) async fn steer(shared: Shared<'_>, run: RunId, module: ModuleId, to: Steer) {
    let message = match to {
        Steer::Hold => Message::HoldModule { module },
        Steer::Free => Message::FreeModule { module },
        Steer::GiveUp => Message::CancelModule { module },
    };
    if let Err(failure) = send(&shared, run, &message).await {
        shared.fail(&failure);
    }
}

/// Begins a run from another, and opens it.
pub(super) async fn fork(shared: Shared<'_>, of: RunId, place: Option<u64>) {
    let begun = async {
        // What works on it here has said its end and is about to let go of it.
        while is_at_work(&shared, of) {
            tokio::time::sleep(LETS_GO).await;
        }
        let journal = shared.journal().await?;
        runs::fork::begin(shared.program, journal, of, place).await
    };
    match begun.await {
        Ok(forked) => looks::open(shared, forked.run).await,
        Err(failure) => shared.fail(&failure),
    }
}

/// Says something to one module.
pub(super) async fn tell(shared: Shared<'_>, run: RunId, module: ModuleId, text: String) {
    let told = async {
        let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
        let (_, state) = runs::load(&reader, id).await?;
        let state = state.run().ok_or_else(|| from_drive(&DriveError::NothingRecorded))?;
        if is_at_work(&shared, run) {
            // The drive of this program holds the run: taking its lease would end it.
            runs::tell::may_hear(state, module, &text)?;
            return send(&shared, run, &Message::Tell { module, text }).await;
        }
        let journal = shared.journal().await?;
        runs::tell::say(shared.program, &journal, state, module, &text).await?;
        looks::catch_up(&shared, run).await.map(drop)
    };
    if let Err(failure) = told.await {
        shared.fail(&failure);
    }
}

/// Whether this program drives the run.
fn is_at_work(shared: &Shared<'_>, run: RunId) -> bool {
    shared.at_work.borrow().as_ref().is_some_and(|at_work| at_work.run == Some(run))
}

/// Leaves a message for whoever works on a run, which may be this program.
async fn send(shared: &Shared<'_>, run: RunId, message: &Message) -> Result<(), Failure> {
    let bytes = message.to_bytes().map_err(Failure::internal)?;
    let journal = shared.journal().await?;
    journal.send(run, bytes).await.map(drop).map_err(|error| from_journal(&error))
}

/// Gives a run up.
pub(super) async fn cancel(shared: Shared<'_>, run: RunId) {
    if is_at_work(&shared, run) {
        // The drive of this program holds the run: taking its lease would end it in the midst. Its facts say what follows.
        if let Err(failure) = send(&shared, run, &Message::Cancel).await {
            shared.fail(&failure);
        }
        return;
    }
    let done = async {
        let journal = shared.journal().await?;
        runs::give_up(shared.program, &journal, run).await?;
        looks::catch_up(&shared, run).await
    };
    match done.await {
        Ok(_seq) => {
            shared.say(TellTone::Note, vec![format!("run {run} was given up")]);
            looks::runs(shared).await;
        }
        Err(failure) => shared.fail(&failure),
    }
}

/// Answers a question. What an answer allows for good is kept before it is given.
pub(super) async fn answer(shared: Shared<'_>, run: RunId, approval: ApprovalId, answer: Answer) {
    let at_work = is_at_work(&shared, run);
    let sent = async {
        let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
        let (_, state) = runs::load(&reader, id).await?;
        let asked = state.run().and_then(|run| run.approvals.get(&approval));
        let gone = || Failure::new(Exit::Usage, "this question does not wait any more", "see /approvals");
        let asked = asked.filter(|asked| asked.answer.is_none()).ok_or_else(gone)?;
        approvals::keep(shared.program, &asked.question, &answer)?;
        send(&shared, run, &Message::Answer { approval, answer }).await
    };
    match sent.await {
        Ok(()) if at_work => {}
        Ok(()) => shared.say(TellTone::Note, vec!["answered; /resume lets the run go on".to_owned()]),
        Err(failure) => shared.fail(&failure),
    }
}
