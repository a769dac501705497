//! The loop of one run.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
};

use common_ground::{
    Action, AttemptNumber, Command, Fact, Millis, ModuleId, Refusal, RunId,
    deliverable::Deliverable,
    module::{Lease, Life},
    port::tool::Tool,
    report::{Gap, Report},
    run::{Outcome, PauseReason, Phase, Skill, State},
    wants,
};
use receipts::{Digest, PublicKey};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use zeroize::Zeroizing;

use super::{
    DriveError, End, INBOX_EVERY, Parts, Raise, Start,
    book::Book,
    desk::Room,
    event::Ask,
    tasks::{Done, Key, Tasks},
    words,
};
use crate::{
    ask_person::AskPerson,
    journal::{AttemptKey, Batch, Blob, JournalError, Lease as RunLease},
    roles::partner,
    skills::SkillRead,
};

/// Most events decided before one append.
const MOST_EVENTS: usize = 256;
/// Events that may wait.
const QUEUE: usize = 1024;

/// Answers owed once the facts are on disk.
type Owed = (oneshot::Sender<Result<(), Refusal>>, Result<(), Refusal>);

/// One run under way.
pub(super) struct Flow {
    pub(super) parts: Parts,
    pub(super) room: Room,
    events: mpsc::Receiver<Ask>,
    lease: RunLease,
    pub(super) book: Book,
    pub(super) tasks: Tasks,
    keys: HashMap<(ModuleId, AttemptNumber), Zeroizing<[u8; 32]>>,
    owed: Vec<Owed>,
    wake: Option<Millis>,
    /// Made with the command that closes the run, shown with its fact.
    report: Option<Report>,
    /// What stood in the way when a model was missing.
    detail: String,
    pub(super) inbox_seen: Vec<i64>,
    /// What the person said to modules, for those at work.
    said: watch::Sender<words::Said>,
}

impl Flow {
    /// Reads what is on record.
    pub async fn open(parts: Parts, lease: RunLease) -> Result<Self, DriveError> {
        let run = lease.run;
        let recorded = parts.store.load(run).await?;
        let book = Book::open(run, lease.epoch, &recorded)?;
        let (post, events) = mpsc::channel(QUEUE);
        let said = words::said(book.state().run());
        let room = Room {
            run,
            store: Arc::clone(&parts.store),
            models: parts.models.clone(),
            tools: parts.tools.clone().into(),
            clock: parts.clock.clone(),
            patience: parts.patience,
            post,
            listener: parts.listener.clone(),
            said: said.subscribe(),
        };
        let mut flow = Self {
            parts,
            room,
            events,
            lease,
            book,
            tasks: Tasks::default(),
            keys: HashMap::new(),
            owed: Vec::new(),
            wake: None,
            report: None,
            detail: String::new(),
            inbox_seen: Vec::new(),
            said,
        };
        flow.recall_keys(run).await?;
        Ok(flow)
    }

    /// The secrets of attempts whose module is not over: its receipt will need all of them.
    async fn recall_keys(&mut self, run: RunId) -> Result<(), DriveError> {
        let Some(state) = self.book.state().run() else { return Ok(()) };
        let wanted: Vec<(ModuleId, AttemptNumber)> = state
            .modules
            .iter()
            .filter(|(_, module)| !module.life.is_over())
            .flat_map(|(id, module)| module.attempts.iter().map(|attempt| (*id, attempt.number)))
            .collect();
        for (module, attempt) in wanted {
            let key = self.room.store.attempt_key(run, module, attempt.0).await?.ok_or(DriveError::AttemptKey)?;
            self.keys.insert((module, attempt), key);
        }
        Ok(())
    }

    /// Opens or takes up the run, then works until it stands still or is over.
    pub async fn go(&mut self, start: Start) -> Result<End, DriveError> {
        self.begin(start)?;
        let mut inbox = interval(INBOX_EVERY);
        inbox.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let interrupt = Arc::clone(&self.parts.interrupt);
        loop {
            self.do_inline().await?;
            self.flush().await?;
            if let Some(end) = self.end().await? {
                return Ok(end);
            }
            self.start_wanted()?;
            let wake = self.wake_at();
            tokio::select! {
                Some(ask) = self.events.recv() => self.take(ask).await?,
                ended = self.tasks.ended() => self.task_ended(ended?)?,
                _tick = inbox.tick() => self.look_around().await?,
                () = sleep_until(wake), if self.wake.is_some() => self.reclaim()?,
                () = interrupt.notified() => self.person(&Command::Pause { reason: PauseReason::Interrupt })?,
            }
        }
    }

    /// Gives the run up, unless somebody took it, and ends everything under way.
    pub async fn release(&mut self) -> Result<(), DriveError> {
        self.tasks.stop_all().await;
        match self.room.store.release(self.lease).await {
            Ok(()) | Err(JournalError::Fenced { .. } | JournalError::Closed) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn now(&self) -> Millis {
        Millis(self.parts.clock.now_ms())
    }

    fn begin(&mut self, start: Start) -> Result<(), DriveError> {
        let now = self.now();
        match (start, self.book.state()) {
            (Start::New { task, roster, contents }, _) => {
                let by = roster.principal;
                self.offer_own(&task.skills);
                let charters = std::mem::take(&mut self.parts.charters);
                let command = Command::Open { run: self.lease.run, task, roster: Box::new(roster) };
                self.book.attach(contents);
                self.book.put(now, by, &command)?.map_err(DriveError::Refused)?;
                self.register(&charters)
            }
            (Start::Lift, State::Run(run)) => {
                let skills = run.task.skills.clone();
                self.offer_own(&skills);
                self.node(&Command::Resume)
            }
            (Start::Resume { .. } | Start::Lift, State::Unopened) => Err(DriveError::NothingRecorded),
            (Start::Resume { raise }, State::Run(run)) => {
                let paused = matches!(run.phase, Phase::Paused { .. });
                let open = matches!(run.phase, Phase::Open);
                let skills = run.task.skills.clone();
                self.offer_own(&skills);
                let charters = std::mem::take(&mut self.parts.charters);
                self.register(&charters)?;
                if let Some(Raise { limit, wall_ms }) = raise {
                    self.person(&Command::Raise { limit, wall_ms })?;
                }
                if paused {
                    self.go_on()?;
                }
                if open {
                    self.node(&Command::Reclaim { holder_gone: true })?;
                }
                Ok(())
            }
        }
    }

    /// The tools that this program has whatever is wired: questions to the person, and skills when there are any.
    fn offer_own(&mut self, skills: &[Skill]) {
        let mut own: Vec<Arc<dyn Tool>> = vec![Arc::new(AskPerson::new())];
        if !skills.is_empty() {
            own.push(Arc::new(SkillRead::new(Arc::clone(&self.room.store), skills.to_vec())));
        }
        self.room.tools = self.room.tools.iter().cloned().chain(own).collect();
    }

    /// A command of the person. What the state does not allow is nothing to do.
    pub(super) fn person(&mut self, command: &Command) -> Result<(), DriveError> {
        let by = self.book.roster()?.person;
        self.put(by, command).map(drop)
    }

    fn node(&mut self, command: &Command) -> Result<(), DriveError> {
        let by = self.book.roster()?.node;
        self.put(by, command).map(drop)
    }

    pub(super) fn put(&mut self, by: PublicKey, command: &Command) -> Result<Result<(), Refusal>, DriveError> {
        let now = self.now();
        self.book.put(now, by, command)
    }

    /// Takes an ask and whatever else waits, up to a limit, so that they share one append.
    async fn take(&mut self, ask: Ask) -> Result<(), DriveError> {
        self.decide(ask)?;
        for round in 0..MOST_EVENTS {
            match self.events.try_recv() {
                Ok(ask) => self.decide(ask)?,
                Err(_empty) if round == 0 => tokio::task::yield_now().await,
                Err(_empty) => break,
            }
        }
        Ok(())
    }

    fn decide(&mut self, ask: Ask) -> Result<(), DriveError> {
        let Ask { by, commands, blobs, answer } = ask;
        let mut refusal = None;
        for command in &commands {
            if let Err(why) = self.put(by, command)? {
                refusal = Some(why);
                break;
            }
        }
        if let Some(Refusal::OverBudget { .. } | Refusal::OutOfTime) = refusal {
            self.node(&Command::Pause { reason: PauseReason::Budget })?;
        }
        self.book.attach(blobs);
        self.owed.push((answer, refusal.map_or(Ok(()), Err)));
        Ok(())
    }

    /// Actions that need nothing from outside: claims and seals. They go into the same append as what led to them.
    async fn do_inline(&mut self) -> Result<(), DriveError> {
        loop {
            let mut acted = false;
            self.wake = None;
            for action in wants(self.book.state()) {
                match action {
                    Action::Claim { module, associate } => acted |= self.claim(module, associate)?,
                    Action::Seal { module, lease } => acted |= self.seal(module, lease)?,
                    Action::WakeAt(at) => self.wake = Some(at),
                    Action::Report => acted |= self.close().await?,
                    Action::Stand => acted |= self.stand()?,
                    Action::Plan | Action::Work { .. } | Action::Verify { .. } => {}
                }
            }
            if !acted {
                return Ok(());
            }
        }
    }

    fn claim(&mut self, module: ModuleId, associate: PublicKey) -> Result<bool, DriveError> {
        if self.put(associate, &Command::Claim { module })?.is_err() {
            return Ok(false);
        }
        let Some(Life::Leased(lease)) = self.book.run()?.modules.get(&module).map(|module| &module.life) else {
            return Ok(true);
        };
        let attempt = lease.attempt;
        if let Entry::Vacant(place) = self.keys.entry((module, attempt)) {
            let mut key = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *key).map_err(DriveError::Entropy)?;
            place.insert(key.clone());
            self.book.batch().attempt_keys.push(AttemptKey { module, attempt: attempt.0, key });
        }
        Ok(true)
    }

    fn seal(&mut self, module: ModuleId, lease: Lease) -> Result<bool, DriveError> {
        let keys = |attempt: AttemptNumber| self.keys.get(&(module, attempt)).map(|key| &**key);
        let row = self.parts.signer.seal(self.book.run()?, module, keys)?;
        let by = self.book.roster()?.principal;
        let command = Command::Accept { module, epoch: lease.epoch, receipt: row.receipt_id };
        if self.put(by, &command)?.is_err() {
            return Ok(false);
        }
        self.book.batch().receipts.push(row);
        self.keys.retain(|(of, _), _| *of != module);
        Ok(true)
    }

    /// Makes what was decided durable, then tells everybody.
    async fn flush(&mut self) -> Result<(), DriveError> {
        let Some((batch, placed)) = self.book.take() else {
            self.answer();
            return Ok(());
        };
        self.append(batch).await?;
        for fact in &placed {
            self.follow(&fact.fact);
            let report = matches!(fact.fact, Fact::RunClosed { .. }).then_some(self.report.as_ref()).flatten();
            (self.parts.observer)(fact, report);
        }
        self.answer();
        Ok(())
    }

    fn answer(&mut self) {
        for (answer, verdict) in self.owed.drain(..) {
            // The asker may be gone by now: stopped with its lease.
            drop(answer.send(verdict));
        }
    }

    /// After an error the outcome may be unknown: what is on record decides.
    async fn append(&self, batch: Batch) -> Result<(), DriveError> {
        let (run, first, expected) = (batch.run, batch.first_seq, batch.facts.clone());
        let Err(error) = self.room.store.append(batch).await else { return Ok(()) };
        if matches!(error, JournalError::Fenced { .. } | JournalError::Held { .. } | JournalError::Closed) {
            return Err(error.into());
        }
        let recorded = self.room.store.load(run).await?;
        let stored = recorded.iter().filter(|row| row.seq >= first).map(|row| &row.body);
        if !expected.is_empty() && stored.eq(expected.iter().map(|fact| &fact.body)) {
            return Ok(());
        }
        Err(error.into())
    }

    /// Stops what a fact has made pointless.
    fn follow(&mut self, fact: &Fact) {
        match fact {
            Fact::LeaseLost { module, .. }
            | Fact::ModuleCancelled { module }
            | Fact::ModulePaused { module, .. }
            | Fact::ModuleBlocked { module, .. }
            | Fact::AttemptEnded { module, .. }
            | Fact::ModuleFailed { module, .. } => self.tasks.stop(*module),
            Fact::ModuleAccepted { module, .. } => {
                let life = self.book.state().run().and_then(|run| run.modules.get(module)).map(|m| &m.life);
                if let Some(Life::Accepted { lease, .. }) = life {
                    self.tasks.forget(*module, lease.epoch);
                }
            }
            Fact::ModuleTold { module, text, .. } => {
                self.said.send_modify(|said| said.entry(*module).or_default().push(*text));
            }
            Fact::RunOpened { .. }
            | Fact::RunForked { .. }
            | Fact::WordsHeard { .. }
            | Fact::PlanRecorded { .. }
            | Fact::ModuleProposed { .. }
            | Fact::AttemptLeased { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::StepStarted { .. }
            | Fact::StepRetried { .. }
            | Fact::StepFinished { .. }
            | Fact::ContextCompacted { .. }
            | Fact::BudgetWarned { .. }
            | Fact::BudgetRaised { .. }
            | Fact::ModuleSubmitted { .. }
            | Fact::ModuleJudged { .. }
            | Fact::ApprovalAnswered { .. }
            | Fact::ModuleResumed { .. }
            | Fact::RunPaused { .. }
            | Fact::RunResumed { .. }
            | Fact::CommandRefused { .. }
            | Fact::CharterRegistered { .. }
            | Fact::CharterRefused { .. }
            | Fact::OrderExecuted { .. }
            | Fact::OrderRefused { .. }
            | Fact::RunClosed { .. } => {}
        }
    }

    async fn end(&mut self) -> Result<Option<End>, DriveError> {
        match self.book.run()?.phase {
            Phase::Open => Ok(None),
            Phase::Paused { reason } => Ok(Some(End::Paused { reason, detail: std::mem::take(&mut self.detail) })),
            Phase::Closed { outcome, report } => {
                let report = match (self.report.take(), report) {
                    (Some(report), _) => Some(report),
                    (None, Some(digest)) => Some(self.read(digest).await?),
                    (None, None) => None,
                };
                Ok(Some(End::Closed { outcome, report }))
            }
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, digest: Digest) -> Result<T, DriveError> {
        let bytes = self.room.store.blob(digest).await?.ok_or(DriveError::Content(digest))?;
        serde_json::from_slice(&bytes).map_err(|_other| DriveError::Content(digest))
    }

    fn task_ended(&mut self, ended: Done) -> Result<(), DriveError> {
        match ended {
            Done::Quietly => Ok(()),
            Done::Broken(error) => Err(error),
            Done::NoPlan(reason) => self.close_without_plan(reason),
            Done::NoModel(error) => {
                self.detail = error.to_string();
                self.node(&Command::Pause { reason: PauseReason::Model })
            }
        }
    }

    /// Other programs' messages, and leases that want renewing.
    async fn look_around(&mut self) -> Result<(), DriveError> {
        let now = self.parts.clock.now_ms();
        let term = self.parts.lease_ms;
        if self.lease.until_ms.saturating_sub(now) < term / 2 || self.lease.until_ms > now + term {
            self.lease = self.room.store.renew(self.lease, now, term).await?;
        }
        self.renew_attempts()?;
        self.take_messages().await
    }

    /// Leases of living workers that are half through.
    fn renew_attempts(&mut self) -> Result<(), DriveError> {
        let now = self.now();
        let half = self.book.task()?.lease_ms / 2;
        let due: Vec<(ModuleId, Lease)> = wants(self.book.state())
            .into_iter()
            .filter_map(|action| match action {
                Action::Work { module, lease } if lease.until.0.saturating_sub(now.0) < half => Some((module, lease)),
                _other => None,
            })
            .collect();
        for (module, lease) in due {
            if self.tasks.is_alive(Key::Work(module, lease.epoch)) && lease.until > now {
                self.node(&Command::Renew { module, epoch: lease.epoch })?;
            }
        }
        Ok(())
    }

    fn reclaim(&mut self) -> Result<(), DriveError> {
        self.node(&Command::Reclaim { holder_gone: false })
    }

    fn wake_at(&self) -> Instant {
        let ms = self.wake.map_or(0, |at| at.since(self.now())).saturating_add(1);
        Instant::now() + std::time::Duration::from_millis(ms)
    }

    fn close_without_plan(&mut self, reason: String) -> Result<(), DriveError> {
        let run = self.book.run()?;
        let mut report = partner::report(run, &BTreeMap::new());
        report.gaps.push(Gap { question: run.task.question.clone(), reason });
        self.close_with(Outcome::Failed, report).map(drop)
    }

    /// The Partner's report over what was accepted.
    async fn close(&mut self) -> Result<bool, DriveError> {
        let run = self.book.run()?;
        let outcome = partner::outcome(run);
        let mut deliverables = BTreeMap::new();
        for id in partner::shown(run) {
            if let Some(Life::Accepted { deliverable, .. }) = run.modules.get(&id).map(|module| &module.life) {
                let content: Deliverable = self.read(*deliverable).await?;
                deliverables.insert(id, content);
            }
        }
        let report = partner::report(run, &deliverables);
        self.close_with(outcome, report)
    }

    fn close_with(&mut self, outcome: Outcome, report: Report) -> Result<bool, DriveError> {
        let bytes = serde_json::to_vec(&report).map_err(DriveError::Encoding)?;
        let digest = Digest::of(&bytes);
        let by = self.book.roster()?.principal;
        if self.put(by, &Command::Close { outcome, report: Some(digest) })?.is_err() {
            return Ok(false);
        }
        self.book.attach([Blob { digest, bytes }]);
        self.report = Some(report);
        Ok(true)
    }
}
