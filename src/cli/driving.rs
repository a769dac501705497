//! Driving a run to its end, and showing what happens on the way: the same for a new run and a resumed one.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, IsTerminal},
    sync::Arc,
};

use agent_runtime::{
    driver::{DriveError, End, Listener, Message, Observer, Parts, Placed, Start, drive},
    journal::Journal,
    models::RoleModels,
    signer::Signer,
};
use common_ground::{
    ApprovalId, Fact, Millis, ModuleId, RunId,
    approval::{Answer, Question},
    grant::Item,
    module::{CallOutcome, Handover, ModuleSpec},
    port::tool::Tool,
    record::{self, Record},
    report::Report,
    run::PauseReason,
};
use receipts::Digest;
use tokio::sync::Notify;

use super::{Program, approvals, events, runs};
use crate::{
    exit::{Exit, Failure},
    failures::{from_drive, from_journal},
    guardians,
    progress::{Progress, Tally},
    publishing::{self, FAREWELL},
    show, wiring,
};

/// What a run is driven with.
#[derive(Clone)]
pub(super) struct With {
    pub journal: Arc<Journal>,
    pub signer: Arc<Signer>,
    pub tools: Vec<Arc<dyn Tool>>,
    pub models: RoleModels,
}

/// Drives a run and shows its end, and brings its receipts to the ledger of the settings meanwhile. A plan that waits is
/// shown; on a terminal the person is asked at once.
pub(super) async fn go(
    program: &Program,
    with: With,
    progress: &Progress,
    run: RunId,
    start: Start,
) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let beside = publishing::beside(program, &config, &with.journal)?;
    let ended = driven(program, with, progress, run, start).await;
    if let Some(beside) = beside {
        beside.end(FAREWELL, program.json).await;
    }
    ended
}

async fn driven(program: &Program, with: With, progress: &Progress, run: RunId, start: Start) -> Result<Exit, Failure> {
    let mut seen = Seen::default();
    let journal = Arc::clone(&with.journal);
    let mut end = once(program, with.clone(), progress, run, start, &mut seen).await?;
    if let End::Paused { reason: PauseReason::Approval, .. } = end
        && !program.json
    {
        eprint!("{}", seen.plan());
        if approved() {
            end = once(program, with.clone(), progress, run, Start::Resume { raise: None }, &mut seen).await?;
        }
    }
    while let End::Paused { reason: PauseReason::Guardian, .. } = end
        && let Some(until) = held_until(&journal, run).await?
        && wait_until(program, run, until).await
    {
        end = once(program, with.clone(), progress, run, Start::Lift, &mut seen).await?;
    }
    let exit = finish(program, run, &end)?;
    let unasked = unasked(&journal, &seen.failed).await?;
    for what in &unasked {
        let what = show::plain(what);
        // What is no permission is a question in words.
        let fix = match what.parse::<Item>() {
            Ok(_permission) => format!("--allow '{what}' would allow it"),
            Err(_words) => format!("{what} waits for an answer with --ask"),
        };
        eprintln!("ii: refused, for nobody was there to ask; {fix}");
    }
    Ok(if unasked.is_empty() || matches!(exit, Exit::Interrupted | Exit::Budget | Exit::Model) {
        exit
    } else {
        Exit::Refused
    })
}

/// When the pause that a guardian ordered ends by itself, if it does.
async fn held_until(journal: &Journal, run: RunId) -> Result<Option<Millis>, Failure> {
    let (_, state) = runs::load(journal.reader(), run).await?;
    Ok(state.run().and_then(|run| run.held_until))
}

/// Waits for the end of a pause; false when the person does not want to.
async fn wait_until(program: &Program, run: RunId, until: Millis) -> bool {
    let clock = &program.wiring.clock;
    let seconds = until.since(Millis(clock.now_ms())).div_ceil(1000);
    eprintln!(
        "ii: run {run} is paused by a guardian's order; it goes on by itself in {seconds} s, Ctrl-C leaves it paused"
    );
    loop {
        let left = until.since(Millis(clock.now_ms()));
        if left == 0 {
            return true;
        }
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(left)) => {}
            _pressed = tokio::signal::ctrl_c() => return false,
        }
    }
}

/// What calls needed the person for while nobody was there to ask: once each, as `--allow` takes it.
async fn unasked(journal: &Journal, failed: &[Digest]) -> Result<BTreeSet<String>, Failure> {
    let mut unasked = BTreeSet::new();
    for record in failed {
        let bytes = journal.reader().blob(*record).await.map_err(|error| from_journal(&error))?;
        let bytes = bytes.ok_or_else(|| from_drive(&DriveError::Content(*record)))?;
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|_other| from_drive(&DriveError::Content(*record)))?;
        if record.exit == record::Exit::Unasked {
            unasked.extend(record.refusals.into_iter().map(|denial| denial.what));
        }
    }
    Ok(unasked)
}

/// What came by and is needed when the drive is over.
#[derive(Default)]
struct Seen {
    /// The plan.
    modules: Vec<(ModuleId, ModuleSpec)>,
    /// Records of tool calls that failed or were not made.
    failed: Vec<Digest>,
}

impl Seen {
    /// The plan in words.
    fn plan(&self) -> String {
        let mut words = String::from("ii: the plan\n");
        for ((_, spec), number) in self.modules.iter().zip(1..) {
            words.push_str(&format!("  {number}. {}", show::plain(&spec.question)));
            let needs = spec.inputs.iter().filter_map(|input| {
                let place = self.modules.iter().position(|(id, _)| *id == input.module)? + 1;
                Some(match input.handover {
                    Handover::Conclusions => place.to_string(),
                    Handover::Transcript => format!("{place} with its steps"),
                })
            });
            let needs: Vec<String> = needs.collect();
            if !needs.is_empty() {
                words.push_str(&format!("  (after {})", needs.join(", ")));
            }
            words.push('\n');
        }
        words
    }
}

/// Whether somebody is there to answer.
pub(super) fn has_person(program: &Program) -> bool {
    !program.json && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Puts a question. At a terminal it is answered here; elsewhere it waits for `ii approvals answer`.
async fn put(
    program: &Program,
    progress: &Progress,
    journal: &Arc<Journal>,
    run: RunId,
    approval: ApprovalId,
    question: &Question,
) -> Result<(), Failure> {
    let words = approvals::words(question);
    if !has_person(program) {
        if !program.json {
            eprintln!("ii: a module waits for you; answer with `ii approvals answer {approval} ANSWER`\n{words}");
        }
        return Ok(());
    }
    let (asked, progress) = (question.clone(), progress.clone());
    let answer = tokio::task::spawn_blocking(move || progress.suspend(|| ask(&asked, &words)));
    let answer = answer
        .await
        .map_err(Failure::internal)?
        .map_err(|error| Failure::new(Exit::Usage, format!("the answer cannot be read: {error}"), "ask again"))?;
    // At the end of input nobody answers any more, and the question stays.
    let Some(answer) = answer else { return Ok(()) };
    approvals::keep(program, question, &answer)?;
    let message = Message::Answer { approval, answer }.to_bytes().map_err(Failure::internal)?;
    journal.send(run, message).await.map(drop).map_err(|error| from_journal(&error))
}

/// Asks at the terminal until there is an answer or no more input.
fn ask(question: &Question, words: &str) -> io::Result<Option<Answer>> {
    let choices = match question {
        Question::Verdict { .. } => "no (the module is given up), run (it may begin)",
        Question::Permission { .. } => "no, once, run (exactly this in this run), always (exactly this)",
        Question::Words { .. } => "no, or your answer",
    };
    loop {
        eprint!("ii: a module waits for you\n{words}\n{choices}: ");
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match approvals::said(question, &line) {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => eprintln!("ii: {failure}"),
        }
    }
}

/// Whether the person, at a terminal, lets the plan go on now.
fn approved() -> bool {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    eprint!("ii: go on? [y/N] ");
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) => matches!(answer.trim(), "y" | "Y" | "yes"),
        Err(error) => {
            tracing::warn!(%error, "the answer cannot be read");
            false
        }
    }
}

/// One drive, until the run stands still or is over, or until it is interrupted; each fact is shown once it is on disk.
pub(super) async fn drive_shown(
    program: &Program,
    with: With,
    run: RunId,
    start: Start,
    interrupt: Arc<Notify>,
    (observer, listener): (Observer, Option<Listener>),
) -> Result<End, Failure> {
    let parts = Parts {
        store: (program.wiring.store)(with.journal),
        models: with.models,
        tools: with.tools,
        signer: with.signer,
        clock: program.wiring.clock.clone(),
        patience: wiring::PATIENCE,
        lease_ms: program.wiring.lease_ms,
        readers: guardians::readers(),
        charters: guardians::charter_files(&program.home)?,
        interrupt,
        observer,
        listener,
    };
    drive(parts, run, start).await.map_err(|error| from_drive(&error))
}

/// One drive, shown as lines or events.
async fn once(
    program: &Program,
    with: With,
    progress: &Progress,
    run: RunId,
    start: Start,
    seen: &mut Seen,
) -> Result<End, Failure> {
    let interrupt = Arc::new(Notify::new());
    let listening = tokio::spawn(listen(Arc::clone(&interrupt)));
    let (shows, mut shown) = tokio::sync::mpsc::unbounded_channel::<(Placed, Option<Report>)>();
    // Unbounded, since a slow reader of stdout must not hold up leases; its length is that of the run.
    let observer: Observer = Box::new(move |placed, report| {
        if shows.send((placed.clone(), report.cloned())).is_err() {
            tracing::debug!("nobody watches");
        }
    });
    let journal = Arc::clone(&with.journal);
    let driving = drive_shown(program, with, run, start, interrupt, (observer, None));
    let watching = async {
        let mut tally = Tally::default();
        while let Some((placed, report)) = shown.recv().await {
            progress.fact(&mut tally, &placed.fact);
            match &placed.fact {
                Fact::ModuleProposed { module, spec } => seen.modules.push((*module, spec.clone())),
                Fact::StepFinished { outcome: CallOutcome::Failed, traced: Some(traced), .. } => {
                    seen.failed.push(traced.record);
                }
                _nothing_to_keep => {}
            }
            if program.json {
                println!("{}", events::event(run, &placed, report.as_ref())?);
            }
            if let Fact::ModuleBlocked { approval, question, .. } = &placed.fact {
                put(program, progress, &journal, run, *approval, question).await?;
            }
        }
        Ok::<(), Failure>(())
    };
    let (ended, watched) = tokio::join!(driving, watching);
    listening.abort();
    progress.clear();
    watched?;
    ended
}

/// Shows how a run ended.
pub(super) fn finish(program: &Program, run: RunId, end: &End) -> Result<Exit, Failure> {
    let exit = show::exit_of(end);
    match end {
        End::Closed { outcome, report } => {
            if let (Some(report), false) = (report, program.json) {
                print!("{}", show::report(report)?);
            }
            let outcome = show::outcome(*outcome);
            if !program.json {
                eprintln!("ii: run {run} {outcome}; check its receipts with `ii verify {run}`");
            }
        }
        End::Paused { reason, detail } => {
            let detail = if detail.is_empty() { String::new() } else { format!(" ({})", show::plain(detail)) };
            let more = match reason {
                PauseReason::Budget => " and a larger budget, such as --budget-tokens or --budget-cost",
                PauseReason::Interrupt | PauseReason::Approval | PauseReason::Guardian | PauseReason::Model => "",
            };
            let why = show::pause(*reason);
            eprintln!("ii: run {run} is paused: {why}{detail}; go on with `ii runs resume {run}`{more}");
        }
    }
    Ok(exit)
}

/// Gives the journal back, waiting until it is closed.
pub(super) async fn close(journal: Arc<Journal>) -> Result<(), Failure> {
    match Arc::try_unwrap(journal) {
        Ok(journal) => journal.close().await.map_err(|error| from_journal(&error)),
        Err(_still_used) => Ok(()),
    }
}

/// Ctrl-C or a request to terminate pauses; a second one ends at once.
async fn listen(interrupt: Arc<Notify>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut pressed), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be listened for");
        return;
    };
    for again in [false, true] {
        tokio::select! {
            _signal = pressed.recv() => {}
            _signal = terminate.recv() => {}
        }
        if again {
            std::process::exit(Exit::Interrupted.code().into());
        }
        eprintln!("ii: pausing; press Ctrl-C again to end at once");
        interrupt.notify_one();
    }
}
