//! What the person sees while work goes on, always on stderr: a spinner on a terminal, plain lines on a pipe, nothing
//! under `--json`.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use common_ground::{Fact, budget::BudgetPart};
use commons_index::Progress as IngestProgress;
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedSender;

/// Progress of one command.
#[derive(Clone)]
pub(crate) enum Progress {
    /// A line that changes in place.
    Spinner(ProgressBar),
    /// One line for each thing worth knowing.
    Lines,
    /// Nothing.
    Silent,
    /// Words to whoever shows them in another way.
    Told(UnboundedSender<String>),
}

/// What of a run is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    planned: u64,
    accepted: u64,
    calls: u64,
    sent_back: u64,
}

impl Progress {
    /// As the terminal is. `NO_COLOR` and `TERM=dumb` are honoured: no colour is used anywhere, and a dumb terminal
    /// gets lines.
    pub fn new(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if json {
            Self::Silent
        } else if std::io::stderr().is_terminal() && !dumb {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            Self::Spinner(bar)
        } else {
            Self::Lines
        }
    }

    /// Something worth a line.
    pub fn say(&self, text: impl Into<String>) {
        let text = crate::show::plain(&text.into());
        match self {
            Self::Spinner(bar) => bar.set_message(text),
            Self::Lines => eprintln!("ii: {text}"),
            Self::Silent => {}
            Self::Told(listener) => {
                if listener.send(text).is_err() {
                    tracing::debug!("nobody listens");
                }
            }
        }
    }

    /// How far reading the documents is, with rate and time left by bytes: files differ in size by a millionfold.
    pub fn reading(&self, at: IngestProgress, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        if at.total_bytes == 0 || (seconds < 0.5 && at.done < at.total) {
            return;
        }
        let rate = at.bytes as f64 / seconds.max(0.001);
        let left = (at.total_bytes - at.bytes.min(at.total_bytes)) as f64 / rate.max(1.0);
        self.say(format!(
            "reading files {}/{}, {} of {} ({} a second, {left:.0} s left)",
            at.done,
            at.total,
            DecimalBytes(at.bytes),
            DecimalBytes(at.total_bytes),
            DecimalBytes(rate as u64)
        ));
    }

    /// How far making vectors is.
    pub fn embedding(&self, at: IngestProgress, since: Instant) {
        self.rated("embedding passages", at, since);
    }

    /// How far something is that reads one thing after another.
    pub fn counting(&self, things: &str, at: IngestProgress, since: Instant) {
        self.rated(&format!("reading {things}"), at, since);
    }

    /// How far calls are made again that were made before.
    pub fn repeating(&self, done: u64, total: u64, since: Instant) {
        self.rated("repeating steps", IngestProgress { done, total, bytes: 0, total_bytes: 0 }, since);
    }

    fn rated(&self, what: &str, at: IngestProgress, since: Instant) {
        let seconds = since.elapsed().as_secs_f64();
        if seconds < 0.5 && at.done < at.total {
            return;
        }
        let rate = at.done as f64 / seconds.max(0.001);
        let left = (at.total - at.done.min(at.total)) as f64 / rate.max(0.001);
        self.say(format!("{what} {}/{} ({rate:.0} a second, {left:.0} s left)", at.done, at.total));
    }

    /// What a fact means for the person who waits.
    pub fn fact(&self, tally: &mut Tally, fact: &Fact) {
        match fact {
            Fact::PlanRecorded { modules, .. } => tally.planned += u64::from(*modules),
            Fact::StepStarted { .. } => tally.calls += 1,
            Fact::ModuleAccepted { .. } => tally.accepted += 1,
            Fact::AttemptEnded { .. } => tally.sent_back += 1,
            Fact::BudgetWarned { part, spent, limit } => return self.warn(*part, *spent, *limit),
            Fact::RunOpened { .. }
            | Fact::RunForked { .. }
            | Fact::ModuleTold { .. }
            | Fact::WordsHeard { .. }
            | Fact::ModuleProposed { .. }
            | Fact::AttemptLeased { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::LeaseLost { .. }
            | Fact::StepRetried { .. }
            | Fact::StepFinished { .. }
            | Fact::ContextCompacted { .. }
            | Fact::BudgetRaised { .. }
            | Fact::ModuleSubmitted { .. }
            | Fact::ModuleJudged { .. }
            | Fact::ModuleFailed { .. }
            | Fact::ModuleCancelled { .. }
            | Fact::ModuleBlocked { .. }
            | Fact::ApprovalAnswered { .. }
            | Fact::ModulePaused { .. }
            | Fact::ModuleResumed { .. }
            | Fact::RunPaused { .. }
            | Fact::RunResumed { .. }
            | Fact::CommandRefused { .. }
            | Fact::CharterRegistered { .. }
            | Fact::RunClosed { .. } => return,
            Fact::CharterRefused { why, .. } => return self.say(format!("a charter was refused: {why}")),
            Fact::OrderExecuted { act, .. } => {
                return self.say(format!("an order was carried out: {}", act.kind().name()));
            }
            Fact::OrderRefused { why, .. } => return self.say(format!("an order was refused: {why}")),
        }
        let Tally { planned, accepted, calls, sent_back } = tally;
        let back = if *sent_back > 0 { format!(", {sent_back} sent back") } else { String::new() };
        let text = format!("{accepted}/{planned} modules accepted, {calls} calls{back}");
        match self {
            Self::Spinner(bar) => bar.set_message(text),
            Self::Lines if matches!(fact, Fact::ModuleAccepted { .. } | Fact::PlanRecorded { .. }) => {
                eprintln!("ii: {text}");
            }
            Self::Lines | Self::Silent | Self::Told(_) => {}
        }
    }

    /// A part of the budget runs short; said above the spinner, so that it stays.
    fn warn(&self, part: BudgetPart, spent: u64, limit: u64) {
        let text = format!("ii: the budget runs short: {}", crate::show::part(part, spent, limit));
        match self {
            Self::Spinner(bar) => bar.println(text),
            Self::Lines => eprintln!("{text}"),
            // Who is told has the facts too.
            Self::Silent | Self::Told(_) => {}
        }
    }

    /// Keeps the spinner away for as long as something else has the terminal.
    pub fn suspend<T>(&self, act: impl FnOnce() -> T) -> T {
        match self {
            Self::Spinner(bar) => bar.suspend(act),
            Self::Lines | Self::Silent | Self::Told(_) => act(),
        }
    }

    /// Takes the spinner away for good, so that what follows stands by itself.
    pub fn clear(&self) {
        if let Self::Spinner(bar) = self {
            bar.finish_and_clear();
        }
    }
}
