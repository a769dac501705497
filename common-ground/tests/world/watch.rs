//! A run under watch: it takes commands, keeps the facts as JSON as a journal does, and checks what must hold of each fact
//! and at every moment. It reckons with its own books, not with the core's.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::{
    Action, AttemptNumber, Command, Ctx, Epoch, Fact, Millis, ModuleId, Refusal, Run, State, apply,
    budget::{Account, Amount},
    decide,
    module::{AttemptEnd, Life, Step, StepState, WorkError},
    run::{Outcome, Phase},
    wants,
};
use receipts::{Digest, PublicKey};

use super::{NODE, PERSON, PRINCIPAL, UNKNOWN, VERIFIER, accept, claim, close, propose};

type Try = (ModuleId, AttemptNumber);

/// See the file.
pub struct Watch {
    pub state: State,
    pub at: Millis,
    /// The journal: when, and the fact's text.
    journal: Vec<(Millis, String)>,
    /// Everybody who held a lease of an attempt.
    workers: BTreeMap<Try, BTreeSet<PublicKey>>,
    ended: BTreeSet<Try>,
    epochs: BTreeMap<ModuleId, Epoch>,
    passed: BTreeMap<Try, Digest>,
    closed: bool,
}

impl Watch {
    pub fn new() -> Self {
        Self {
            state: State::default(),
            at: Millis(1),
            journal: Vec::new(),
            workers: BTreeMap::new(),
            ended: BTreeSet::new(),
            epochs: BTreeMap::new(),
            passed: BTreeMap::new(),
            closed: false,
        }
    }

    pub fn run(&self) -> &Run {
        self.state.run().expect("open")
    }

    pub fn facts(&self) -> usize {
        self.journal.len()
    }

    fn decide(&self, by: PublicKey, command: &Command) -> Result<Vec<Fact>, Refusal> {
        decide(&self.state, command, &Ctx { at: self.at, by })
    }

    /// Puts a command; gives how many facts it made.
    pub fn say(&mut self, by: PublicKey, command: &Command) -> Result<usize, Refusal> {
        let facts = self.decide(by, command)?;
        for fact in &facts {
            self.observe(by, fact);
            apply(&mut self.state, self.at, fact).expect("a decided fact fits");
            self.reserved_fits(fact);
            self.journal.push((self.at, serde_json::to_string(fact).expect("encodes")));
        }
        Ok(facts.len())
    }

    /// Puts a command that must be allowed.
    #[track_caller]
    pub fn allowed(&mut self, by: PublicKey, command: &Command) {
        if let Err(refusal) = self.say(by, command) {
            panic!("{command:?} by {by} was refused: {refusal}");
        }
    }

    /// Asks for something that must be refused.
    #[track_caller]
    pub fn refused(&self, by: PublicKey, command: &Command) {
        let answer = self.decide(by, command);
        assert!(answer.is_err(), "{command:?} by {by} was allowed: {answer:?}");
    }

    /// What must hold of a fact, before it changes anything.
    fn observe(&mut self, by: PublicKey, fact: &Fact) {
        assert!(!self.closed, "after the end of the run: {fact:?}");
        match fact {
            Fact::AttemptLeased { module, attempt, epoch, associate, .. } => {
                let run = self.run();
                let inputs = &run.modules[module].spec.inputs;
                let ready = inputs.iter().all(|input| matches!(run.modules[&input.module].life, Life::Accepted { .. }));
                assert!(ready, "begun before its inputs were accepted: {fact:?}");
                assert_eq!(run.phase, Phase::Open, "begun while the run stood still");
                assert_eq!(*associate, by, "a lease for somebody else");
                assert!(!self.ended.contains(&(*module, *attempt)), "begun after its end: {fact:?}");
                let last = self.epochs.insert(*module, *epoch);
                assert!(last < Some(*epoch), "an epoch that is not above the last: {fact:?}");
                let tries = self.workers.range((*module, AttemptNumber(0))..=(*module, *attempt));
                assert_eq!(tries.filter(|((_, number), _)| number < attempt).count() as u32, attempt.0 - 1);
                self.workers.entry((*module, *attempt)).or_default().insert(by);
            }
            Fact::ModuleJudged { module, attempt, deliverable, verdicts, .. } => {
                assert!(!self.workers[&(*module, *attempt)].contains(&by), "judged by its worker");
                if verdicts.iter().all(|verdict| verdict.passed) {
                    self.passed.insert((*module, *attempt), *deliverable);
                }
            }
            Fact::ModuleAccepted { module, attempt, deliverable, .. } => {
                assert!(!self.workers[&(*module, *attempt)].contains(&by), "accepted by its worker");
                assert_eq!(self.passed.get(&(*module, *attempt)), Some(deliverable), "accepted without passing");
                self.end(*module, *attempt);
            }
            Fact::AttemptEnded { module, attempt, .. } => self.end(*module, *attempt),
            Fact::RunClosed { .. } => self.closed = true,
            Fact::RunForked { begins, .. } => {
                for (module, kept) in
                    begins.modules.iter().filter_map(|taken| Some((taken.module, taken.kept.as_ref()?)))
                {
                    let ended = (module, kept.lease.attempt);
                    self.workers.entry(ended).or_default().insert(kept.lease.associate);
                    self.ended.insert(ended);
                }
            }
            Fact::StepStarted { .. }
            | Fact::StepRetried { .. }
            | Fact::StepFinished { .. }
            | Fact::ContextCompacted { .. }
            | Fact::BudgetWarned { .. }
            | Fact::BudgetRaised { .. }
            | Fact::RunOpened { .. }
            | Fact::ModuleTold { .. }
            | Fact::WordsHeard { .. }
            | Fact::PlanRecorded { .. }
            | Fact::ModuleProposed { .. }
            | Fact::LeaseRenewed { .. }
            | Fact::LeaseLost { .. }
            | Fact::ModuleSubmitted { .. }
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
            | Fact::CharterRefused { .. }
            | Fact::OrderExecuted { .. }
            | Fact::OrderRefused { .. } => {}
        }
    }

    fn end(&mut self, module: ModuleId, attempt: AttemptNumber) {
        assert!(self.workers.contains_key(&(module, attempt)), "an end without a beginning");
        assert!(self.ended.insert((module, attempt)), "two ends of attempt {attempt:?} of {module}");
    }

    /// No reservation takes an account past its limit, in any part that it reserves.
    fn reserved_fits(&self, fact: &Fact) {
        let Fact::StepStarted { owner, reserved, .. } = fact else { return };
        let run = self.run();
        let module = owner.attempt().map(|(module, ..)| &run.modules[&module].account);
        for account in std::iter::once(&run.account).chain(module) {
            let booked = account.reserved().plus(account.spent());
            let parts = |amount: Amount| [amount.tokens, amount.cost_micro, amount.tool_calls];
            for ((asked, booked), limit) in parts(*reserved).into_iter().zip(parts(booked)).zip(parts(account.limit()))
            {
                assert!(asked == 0 || booked <= limit, "{fact:?} passes {account:?}");
            }
        }
    }

    /// What must hold at every moment.
    pub fn check(&self) {
        let State::Run(run) = &self.state else { return };
        self.check_money(run);
        let mut holders = BTreeSet::new();
        for (id, module) in &run.modules {
            let open = module.attempts.iter().filter(|attempt| attempt.end == AttemptEnd::Open);
            let open: Vec<_> = open.map(|attempt| (*id, attempt.number)).collect();
            let begun = module.attempts.iter().map(|attempt| (*id, attempt.number));
            let without_end: Vec<_> = begun.filter(|one| !self.ended.contains(one)).collect();
            assert_eq!(open, without_end, "an attempt is open until its terminal fact");
            assert!(open.len() <= usize::from(!module.life.is_over()), "{id} is over with an open attempt");
            if let Life::Leased(lease) = &module.life {
                assert!(holders.insert(lease.associate), "two leases of one associate");
                assert_eq!(Some(lease), module.attempt().map(|attempt| &attempt.lease), "one lease, one record of it");
            }
        }
        assert!(holders.len() <= run.task.parallel as usize, "more at once than allowed");
        assert_eq!(run.live(), run.modules.values().filter(|module| !module.life.is_over()).count());
        self.check_wants(run);
    }

    fn check_money(&self, run: &Run) {
        let closed = matches!(run.phase, Phase::Closed { .. });
        let (mut reserved, mut spent) = run.role_steps.values().flatten().fold(Default::default(), booked(!closed));
        for (id, module) in &run.modules {
            if module.kept_from.is_some() {
                let used = (module.account.reserved(), module.account.spent());
                assert_eq!(used, Default::default(), "{id} was paid where it was accepted");
                continue;
            }
            let books = module.attempts.iter().fold(Default::default(), |sum, attempt| {
                attempt.steps.iter().fold(sum, booked(attempt.end == AttemptEnd::Open))
            });
            assert_eq!((module.account.reserved(), module.account.spent()), books, "the books of {id}");
            assert!(module.account.limit().fits(run.account.limit()), "a child above its parent");
            reserved = reserved.plus(books.0);
            spent = spent.plus(books.1);
        }
        assert_eq!((run.account.reserved(), run.account.spent()), (reserved, spent), "the whole and its parts");
    }

    /// What is wanted is allowed, and an open run in which nothing is wanted waits for the person.
    fn check_wants(&self, run: &Run) {
        let wanted = wants(&self.state);
        for action in &wanted {
            let (by, command) = match action {
                Action::Plan => (PRINCIPAL, propose(&[(UNKNOWN, &[])])),
                Action::Claim { module, associate } => (*associate, claim(*module)),
                Action::Work { module, lease } => {
                    let error = WorkError::Protocol { detail: "any".to_owned() };
                    (lease.associate, Command::GiveUp { module: *module, epoch: lease.epoch, error })
                }
                Action::Verify { module, lease, deliverable } => {
                    let verdicts = super::verdicts(&vec![true; run.modules[module].spec.criteria.len()]);
                    let (module, epoch, deliverable) = (*module, lease.epoch, *deliverable);
                    (VERIFIER, Command::Judge { module, epoch, deliverable, verdicts })
                }
                Action::Seal { module, lease } => (PRINCIPAL, accept(*module, lease.epoch.0)),
                Action::Report => (PRINCIPAL, close(borne_out(run))),
                Action::Stand => (NODE, Command::Stand),
                Action::WakeAt(_) => (NODE, Command::Reclaim { holder_gone: false }),
            };
            let answer = self.decide(by, &command);
            assert!(answer.is_ok(), "{action:?} is wanted and refused: {answer:?}");
        }
        let waits = |life: &Life| matches!(life, Life::Blocked { .. } | Life::Paused { .. });
        let stands = run.phase != Phase::Open || run.modules.values().any(|module| waits(&module.life));
        assert!(stands || !wanted.is_empty(), "an open run that waits for nobody wants nothing");
    }

    /// The state that the journal alone gives.
    pub fn replay(&self) -> State {
        self.state_at(self.journal.len())
    }

    /// The state after its first facts.
    pub fn state_at(&self, place: usize) -> State {
        let mut state = State::default();
        for (at, text) in self.journal.iter().take(place) {
            let fact: Fact = serde_json::from_str(text).expect("decodes");
            apply(&mut state, *at, &fact).expect("a recorded fact fits");
        }
        state
    }

    /// How often a module was leased.
    pub fn leases(&self, of: ModuleId) -> usize {
        let facts = self.journal.iter().map(|(_, text)| serde_json::from_str::<Fact>(text).expect("decodes"));
        facts.filter(|fact| matches!(fact, Fact::AttemptLeased { module, .. } if *module == of)).count()
    }

    /// The program stops and another goes on from the journal.
    pub fn crash(&mut self) {
        let replayed = self.replay();
        assert_eq!(replayed, self.state, "replay is life");
        self.state = replayed;
        self.allowed(NODE, &Command::Reclaim { holder_gone: true });
    }

    /// What must hold of a run that is over.
    pub fn check_over(&self) {
        self.check();
        let run = self.run();
        assert_eq!(run.live(), 0);
        assert_eq!(run.account.reserved(), Amount::default(), "every reservation is settled");
        let reserved = |account: &Account| account.reserved() == Amount::default();
        assert!(run.modules.values().all(|module| reserved(&module.account)));
        let begun: Vec<_> = self.workers.keys().collect();
        assert_eq!(begun, self.ended.iter().collect::<Vec<_>>(), "each attempt has exactly one terminal fact");
        assert_eq!(self.replay(), self.state, "replay is life");
        assert_eq!(wants(&self.state), Vec::new());
        self.refused(PERSON, &Command::Resume);
    }
}

/// Adds a step to what is reserved and what is spent; one without a result is reserved while its owner is open.
fn booked(open: bool) -> impl Fn((Amount, Amount), &Step) -> (Amount, Amount) {
    move |(reserved, spent), step| match &step.state {
        StepState::Started if open => (reserved.plus(step.reserved), spent),
        StepState::Started => (reserved, spent.plus(step.reserved)),
        StepState::Finished { usage, .. } => (reserved, spent.plus(usage.amount())),
    }
}

/// How a run whose modules are all over may be closed.
pub fn borne_out(run: &Run) -> Outcome {
    let accepted = |life: &Life| matches!(life, Life::Accepted { .. });
    let all = !run.modules.is_empty() && run.modules.values().all(|module| accepted(&module.life));
    if all { Outcome::Completed } else { Outcome::NotAccepted }
}
