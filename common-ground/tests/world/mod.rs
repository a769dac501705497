//! The small world in which the tables and properties of the core speak: who is who, the words of each command and fact,
//! histories to begin from, and the one `check`.
//!
//! Every test file includes this one. It asserts nothing of its own outside [`check`] and [`play`].

#![allow(dead_code, reason = "each test binary speaks with a part of these words")]

use common_ground::{
    ApprovalId, AttemptNumber, Command, Ctx, Epoch, Fact, Millis, ModuleId, Refusal, Run, RunId, State, StepIndex,
    apply,
    approval::{Answer, Needed, Question},
    budget::Amount,
    criterion::{Criterion, Verdict},
    decide,
    grant::{Basis, Grant, Policy},
    guardian::{Act, ActKind, Charter, Defect, Order, Presented, RequiredVerdict, Scope, Signed, Standing},
    module::{
        CallKind, CallOutcome, EndReason, Handover, Input, Life, ModuleKind, ModuleSpec, Owner, Turn, Usage, WorkError,
    },
    refusal::Wanted,
    role::{Role, Roster},
    run::{Asks, Models, Outcome, PauseReason, PlanReason, Task},
};
use receipts::{Digest, PublicKey};
use uuid::Uuid;

pub mod watch;

pub const PERSON: PublicKey = PublicKey([1; 32]);
pub const PRINCIPAL: PublicKey = PublicKey([2; 32]);
pub const VERIFIER: PublicKey = PublicKey([3; 32]);
pub const NODE: PublicKey = PublicKey([4; 32]);
pub const WORKER: PublicKey = PublicKey([5; 32]);
pub const OTHER: PublicKey = PublicKey([6; 32]);
pub const THIRD: PublicKey = PublicKey([7; 32]);
pub const GUARDIAN: PublicKey = PublicKey([8; 32]);
pub const SECOND: PublicKey = PublicKey([10; 32]);
pub const NOBODY: PublicKey = PublicKey([9; 32]);
pub const EVERYBODY: [PublicKey; 8] = [PERSON, PRINCIPAL, VERIFIER, NODE, WORKER, OTHER, THIRD, NOBODY];

pub const RUN: RunId = RunId(Uuid::from_u128(1));
/// A run that is not there yet.
pub const UNKNOWN_RUN: RunId = RunId(Uuid::from_u128(2));
pub const A: ModuleId = ModuleId(Uuid::from_u128(11));
pub const B: ModuleId = ModuleId(Uuid::from_u128(12));
pub const C: ModuleId = ModuleId(Uuid::from_u128(13));
pub const D: ModuleId = ModuleId(Uuid::from_u128(14));
pub const UNKNOWN: ModuleId = ModuleId(Uuid::from_u128(99));
pub const APPROVAL: ApprovalId = ApprovalId(Uuid::from_u128(21));

/// When every history begins, unless it says otherwise.
pub const BEGIN: Millis = Millis(10);
pub const LEASE_MS: u64 = 1_000;
pub const WALL_MS: u64 = 60_000;
pub const TOOL: &str = "commons_search";
pub const MODEL: &str = "m";

/// A line of a history.
#[derive(Clone, Debug)]
pub enum Line {
    /// From here on the clock shows this.
    At(u64),
    /// A command that is allowed; its facts are applied.
    Said(PublicKey, Command),
    /// A fact as a journal may hold it, decided or not.
    Happened(Fact),
}

/// The state and the clock after a history.
#[track_caller]
pub fn play(history: &[Line]) -> (State, Millis) {
    let (mut state, mut at) = (State::default(), BEGIN);
    for line in history {
        match line {
            Line::At(now) => at = Millis(*now),
            Line::Said(by, command) => match decide(&state, command, &Ctx { at, by: *by }) {
                Ok(facts) => facts.iter().for_each(|fact| apply(&mut state, at, fact).expect("a decided fact fits")),
                Err(refusal) => panic!("the history's {command:?} was refused: {refusal}"),
            },
            Line::Happened(fact) => apply(&mut state, at, fact).expect("the history's fact fits"),
        }
    }
    (state, at)
}

/// The run after a history.
#[track_caller]
pub fn run_after(history: &[Line]) -> Run {
    play(history).0.run().expect("the history opens a run").clone()
}

/// What `command` from `by` makes of a history: exactly these facts, which fit, or exactly this refusal. Gives the state
/// after the facts back, which is the history's own when the command is refused.
#[track_caller]
pub fn check(history: &[Line], command: &Command, by: PublicKey, expected: Result<Vec<Fact>, Refusal>) -> State {
    let (mut state, at) = play(history);
    let before = state.clone();
    let answer = decide(&state, command, &Ctx { at, by });
    assert_eq!(answer, expected, "{command:?} by {by}");
    assert_eq!(decide(&state, command, &Ctx { at, by }), expected, "asked again: {command:?}");
    assert_eq!(state, before, "deciding changed the state: {command:?}");
    for fact in answer.iter().flatten() {
        apply(&mut state, at, fact).expect("a decided fact fits");
    }
    state
}

/// Where a module is, in short: `ready 1/2` is attempt 1, epoch 2.
pub fn place(life: &Life) -> String {
    let turn = |turn: &Turn| format!("{}/{}", turn.attempt.0, turn.epoch.0);
    match life {
        Life::Proposed => "proposed".to_owned(),
        Life::Ready(next) => format!("ready {}", turn(next)),
        Life::Leased(lease) => format!("leased {}/{}", lease.attempt.0, lease.epoch.0),
        Life::Blocked { turn: next, .. } => format!("blocked {}", turn(next)),
        Life::Submitted { lease, .. } => format!("submitted {}/{}", lease.attempt.0, lease.epoch.0),
        Life::Judged { lease, .. } => format!("judged {}/{}", lease.attempt.0, lease.epoch.0),
        Life::Accepted { lease, .. } => format!("accepted {}/{}", lease.attempt.0, lease.epoch.0),
        Life::Paused { back } => format!("paused({})", place(back)),
        Life::Cancelled => "cancelled".to_owned(),
        Life::Failed { .. } => "failed".to_owned(),
    }
}

#[track_caller]
pub fn place_in(state: &State, module: ModuleId) -> String {
    place(&state.run().expect("open").modules[&module].life)
}

pub fn amount(tokens: u64, cost_micro: u64, tool_calls: u64) -> Amount {
    Amount { tokens, cost_micro, tool_calls }
}

pub fn roster() -> Roster {
    let associates = vec![WORKER, OTHER, THIRD];
    Roster { person: PERSON, principal: PRINCIPAL, associates, verifier: VERIFIER, node: NODE }
}

/// Two attempts, two at once, and a limit of 100 tokens, 50 millionths and 4 calls.
pub fn task() -> Task {
    Task {
        question: "q".to_owned(),
        collection: "c".to_owned(),
        further: Vec::new(),
        corpora: Vec::new(),
        models: Models::one(MODEL),
        criteria: vec![Criterion::EveryClaimCites],
        limit: amount(100, 50, 4),
        currency: "XXX".to_owned(),
        wall_ms: WALL_MS,
        approve_plan: false,
        parallel: 2,
        attempts: 2,
        lease_ms: LEASE_MS,
        max_passages: 10,
        max_words: 60,
        policy: Digest::of(b"policy"),
        rules: Vec::new(),
        skills: Vec::new(),
        pictures: Vec::new(),
        tools: Vec::new(),
        grant: Grant::default(),
        permissions: Policy::default(),
        asks: Asks::Person,
        verdict: RequiredVerdict::None,
    }
}

/// Two criteria, one tool and more tokens than the run has.
pub fn spec(inputs: &[ModuleId]) -> ModuleSpec {
    let input = |module: &ModuleId| Input { module: *module, handover: Handover::Conclusions, share: 40 };
    ModuleSpec {
        // An answer without evidence cannot be submitted; that rule has its own table.
        kind: ModuleKind::Merge,
        question: "q".to_owned(),
        inputs: inputs.iter().map(input).collect(),
        criteria: vec![Criterion::EveryClaimCites, Criterion::QuotesVerbatim],
        tools: vec![TOOL.to_owned()],
        limit: amount(1_000, 10, 2),
        grant: Grant::default(),
    }
}

// Commands.

pub fn open() -> Command {
    open_with(task(), roster())
}

pub fn open_with(task: Task, roster: Roster) -> Command {
    Command::Open { run: RUN, task: Box::new(task), roster: Box::new(roster) }
}

pub fn propose(modules: &[(ModuleId, &[ModuleId])]) -> Command {
    let modules = modules.iter().map(|(id, inputs)| (*id, spec(inputs))).collect();
    Command::Propose { plan: PlanReason::Given, modules }
}

pub fn claim(module: ModuleId) -> Command {
    Command::Claim { module }
}

pub fn renew(module: ModuleId, epoch: u64) -> Command {
    Command::Renew { module, epoch: Epoch(epoch) }
}

pub fn owner(module: ModuleId, attempt: u32, epoch: u64) -> Owner {
    Owner::Attempt { module, attempt: AttemptNumber(attempt), epoch: Epoch(epoch) }
}

pub const PLANNER: Owner = Owner::Role { role: Role::Principal };

pub fn tool(name: &str, idempotent: bool) -> CallKind {
    CallKind::Tool {
        tool: name.to_owned(),
        tool_digest: Digest::of(b"tool"),
        idempotent,
        needs: Vec::new(),
        refused: false,
    }
}

pub fn model(name: &str) -> CallKind {
    CallKind::Model { model: name.to_owned() }
}

pub fn start(owner: Owner, step: u32, call: CallKind, reserve: Amount) -> Command {
    Command::StartStep { owner, step: StepIndex(step), call, request: Digest::of(b"request"), reserve }
}

pub fn used(tokens: u64, cost_micro: u64, tool_calls: u64) -> Usage {
    Usage { tokens_in: tokens, tokens_out: 0, cost_micro, tool_calls, wall_ms: 7 }
}

pub fn finish(owner: Owner, step: u32, usage: Usage) -> Command {
    let response = Digest::of(b"response");
    Command::FinishStep { owner, step: StepIndex(step), outcome: CallOutcome::Done, response, usage, traced: None }
}

pub fn deliverable() -> Digest {
    Digest::of(b"deliverable")
}

pub fn submit(module: ModuleId, epoch: u64) -> Command {
    Command::Submit { module, epoch: Epoch(epoch), deliverable: deliverable() }
}

pub fn stuck() -> WorkError {
    WorkError::Protocol { detail: "no call".to_owned() }
}

pub fn give_up(module: ModuleId, epoch: u64) -> Command {
    Command::GiveUp { module, epoch: Epoch(epoch), error: stuck() }
}

pub fn ask(module: ModuleId, epoch: u64, approval: ApprovalId) -> Command {
    Command::Ask { module, epoch: Epoch(epoch), approval, question: Box::new(question()) }
}

/// Whether a command may be run.
pub fn question() -> Question {
    let need = "run:process=ls".parse().expect("an item");
    Question::Permission {
        step: StepIndex(0),
        tool: TOOL.to_owned(),
        arguments: "{}".to_owned(),
        needs: vec![Needed { need, basis: Basis::Uncovered }],
    }
}

pub fn answer(approval: ApprovalId, answer: Answer) -> Command {
    Command::Answer { approval, answer }
}

/// Verdicts in order; a failed one says `no`.
pub fn verdicts(passed: &[bool]) -> Vec<Verdict> {
    let verdict = |(criterion, passed): (u32, &bool)| Verdict {
        criterion,
        passed: *passed,
        reason: if *passed { String::new() } else { "no".to_owned() },
    };
    (0..).zip(passed).map(verdict).collect()
}

pub fn judge(module: ModuleId, epoch: u64, passed: &[bool]) -> Command {
    Command::Judge { module, epoch: Epoch(epoch), deliverable: deliverable(), verdicts: verdicts(passed) }
}

pub fn receipt() -> Digest {
    Digest::of(b"receipt")
}

pub fn accept(module: ModuleId, epoch: u64) -> Command {
    Command::Accept { module, epoch: Epoch(epoch), receipt: receipt() }
}

pub fn hold(module: ModuleId) -> Command {
    Command::PauseModule { module, reason: PauseReason::Interrupt }
}

pub fn let_go(module: ModuleId) -> Command {
    Command::ResumeModule { module }
}

pub fn cancel(module: ModuleId) -> Command {
    Command::CancelModule { module }
}

pub fn pause(reason: PauseReason) -> Command {
    Command::Pause { reason }
}

pub fn reclaim(holder_gone: bool) -> Command {
    Command::Reclaim { holder_gone }
}

pub fn report() -> Digest {
    Digest::of(b"report")
}

pub fn close(outcome: Outcome) -> Command {
    Command::Close { outcome, report: Some(report()) }
}

// Guardians.

/// Good from 5 to 5,000, for everything there is; pauses at most 100 by itself when money runs away; two of two for what is
/// critical.
pub fn charter() -> Charter {
    Charter {
        name: "warden".to_owned(),
        guardian: GUARDIAN,
        version: 1,
        scope: Scope::Every,
        rules: [("loops".to_owned(), 3)].into(),
        acts: ActKind::ALL.into(),
        critical: [ActKind::Cancel, ActKind::Revoke].into(),
        persons: [PERSON, SECOND].into(),
        quorum: 2,
        standing: vec![Standing { rule: "spend".to_owned(), most_ms: 100 }],
        cosigns: Default::default(),
        not_before: Millis(5),
        not_after: Millis(5_000),
    }
}

pub fn charter_id() -> Digest {
    Digest::of(b"charter")
}

pub fn presented<T: std::fmt::Debug>(terms: T, id: Digest, by: &[PublicKey]) -> Box<Presented<T>> {
    let signed = Signed { terms, by: by.iter().copied().collect() };
    Box::new(Presented { id, envelope: Digest::of(b"envelope"), said: Ok(signed) })
}

pub fn unread<T>(defect: Defect) -> Box<Presented<T>> {
    Box::new(Presented { id: Digest::of(b"bytes"), envelope: Digest::of(b"bytes"), said: Err(defect) })
}

/// The charter, signed by the person.
pub fn chartered() -> Command {
    Command::Charter { charter: presented(charter(), charter_id(), &[PERSON]) }
}

/// Good from 6 to 3,000, for the run.
pub fn order(act: Act) -> Order {
    Order {
        charter: charter_id(),
        act,
        run: RUN,
        module: None,
        rule: None,
        not_before: Millis(6),
        not_after: Millis(3_000),
        nonce: Digest::of(b"nonce"),
    }
}

pub fn order_id(order: &Order) -> Digest {
    Digest::of(format!("{order:?}").as_bytes())
}

pub fn ordered(order: &Order, by: &[PublicKey]) -> Command {
    Command::Order { order: presented(order.clone(), order_id(order), by) }
}

// Facts.

pub fn leased_fact(module: ModuleId, attempt: u32, epoch: u64, associate: PublicKey, until: u64) -> Fact {
    let (attempt, epoch) = (AttemptNumber(attempt), Epoch(epoch));
    Fact::AttemptLeased { module, attempt, epoch, associate, until: Millis(until) }
}

pub fn lost_fact(module: ModuleId, attempt: u32, epoch: u64) -> Fact {
    Fact::LeaseLost { module, attempt: AttemptNumber(attempt), epoch: Epoch(epoch) }
}

pub fn started_fact(owner: Owner, step: u32, call: CallKind, reserved: Amount) -> Fact {
    Fact::StepStarted { owner, step: StepIndex(step), call, request: Digest::of(b"request"), reserved }
}

pub fn finished_fact(owner: Owner, step: u32, usage: Usage) -> Fact {
    let response = Digest::of(b"response");
    Fact::StepFinished { owner, step: StepIndex(step), outcome: CallOutcome::Done, response, usage, traced: None }
}

pub fn judged_fact(module: ModuleId, attempt: u32, passed: &[bool]) -> Fact {
    let attempt = AttemptNumber(attempt);
    Fact::ModuleJudged { module, attempt, deliverable: deliverable(), by: VERIFIER, verdicts: verdicts(passed) }
}

pub fn accepted_fact(module: ModuleId, attempt: u32) -> Fact {
    let attempt = AttemptNumber(attempt);
    Fact::ModuleAccepted { module, attempt, deliverable: deliverable(), receipt: receipt() }
}

pub fn ended_fact(module: ModuleId, attempt: u32, end: EndReason) -> Fact {
    Fact::AttemptEnded { module, attempt: AttemptNumber(attempt), end }
}

pub fn cancelled_fact(module: ModuleId) -> Fact {
    Fact::ModuleCancelled { module }
}

pub fn gave_up() -> EndReason {
    EndReason::Failed { error: stuck() }
}

// Refusals.

pub fn not_now(module: ModuleId, wanted: Wanted) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::NotNow { module, wanted })
}

pub fn not_allowed(role: Role) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::NotAllowed { role })
}

pub fn stale(module: ModuleId, epoch: u64) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::Stale { module, epoch: Epoch(epoch) })
}

// Histories.

pub fn then(history: &[Line], more: &[(PublicKey, Command)]) -> Vec<Line> {
    let said = more.iter().map(|(by, command)| Line::Said(*by, command.clone()));
    history.iter().cloned().chain(said).collect()
}

pub fn opened() -> Vec<Line> {
    then(&[], &[(PRINCIPAL, open())])
}

/// A, then B which needs A, then C which needs B; D alone.
pub fn planned() -> Vec<Line> {
    then(&opened(), &[(PRINCIPAL, propose(&[(A, &[]), (B, &[A]), (C, &[B]), (D, &[])]))])
}

/// [`WORKER`] has the first lease of A.
pub fn leased() -> Vec<Line> {
    then(&planned(), &[(WORKER, claim(A))])
}

/// And has begun a call that may be made again.
pub fn begun() -> Vec<Line> {
    then(&leased(), &[(WORKER, start(owner(A, 1, 1), 0, tool(TOOL, true), amount(5, 2, 1)))])
}

pub fn submitted() -> Vec<Line> {
    then(&leased(), &[(WORKER, submit(A, 1))])
}

pub fn judged() -> Vec<Line> {
    then(&submitted(), &[(VERIFIER, judge(A, 1, &[true, true]))])
}

pub fn accepted() -> Vec<Line> {
    then(&judged(), &[(PRINCIPAL, accept(A, 1))])
}

/// A and D are accepted, B and C too: the run may be closed as completed.
pub fn done() -> Vec<Line> {
    let mut history = accepted();
    for module in [B, C, D] {
        let work = [
            (WORKER, claim(module)),
            (WORKER, submit(module, 1)),
            (VERIFIER, judge(module, 1, &[true, true])),
            (PRINCIPAL, accept(module, 1)),
        ];
        history = then(&history, &work);
    }
    history
}
