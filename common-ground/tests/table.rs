//! Rules one by one: a history, a command, what comes of it.

use common_ground::{
    ApprovalId, Command, Ctx, Epoch, Fact, Millis, ModuleId, Refusal, RunId, State, StepIndex, apply,
    budget::Amount,
    criterion::{Criterion, Verdict},
    decide,
    module::{CallKind, CallOutcome, EndReason, Handover, Input, ModuleKind, ModuleSpec, Owner, Usage, WorkError},
    refusal::Wanted,
    role::{Role, Roster},
    run::{Outcome, PauseReason, PlanReason, Task},
};
use receipts::{Digest, PublicKey};
use uuid::Uuid;

const PERSON: PublicKey = PublicKey([1; 32]);
const PRINCIPAL: PublicKey = PublicKey([2; 32]);
const VERIFIER: PublicKey = PublicKey([3; 32]);
const NODE: PublicKey = PublicKey([4; 32]);
const WORKER: PublicKey = PublicKey([5; 32]);
const OTHER: PublicKey = PublicKey([6; 32]);
const NOBODY: PublicKey = PublicKey([9; 32]);

const FIRST: ModuleId = ModuleId(Uuid::from_u128(11));
const SECOND: ModuleId = ModuleId(Uuid::from_u128(12));
const RUN: RunId = RunId(Uuid::from_u128(1));
const APPROVAL: ApprovalId = ApprovalId(Uuid::from_u128(21));
const LEASE_MS: u64 = 1_000;

type Said = (PublicKey, Command);

fn roster() -> Roster {
    Roster { person: PERSON, principal: PRINCIPAL, associates: vec![WORKER, OTHER], verifier: VERIFIER, node: NODE }
}

fn task() -> Task {
    Task {
        question: "q".to_owned(),
        collection: "c".to_owned(),
        corpora: Vec::new(),
        model: "m".to_owned(),
        criteria: vec![Criterion::EveryClaimCites],
        limit: Amount { tokens: 100, cost_micro: 0, tool_calls: 2 },
        wall_ms: 60_000,
        parallel: 2,
        attempts: 2,
        lease_ms: LEASE_MS,
        max_passages: 10,
        max_words: 60,
        policy: Digest::of(b"p"),
    }
}

fn open() -> Said {
    (PRINCIPAL, Command::Open { run: RUN, task: Box::new(task()), roster: Box::new(roster()) })
}

fn spec(inputs: &[ModuleId]) -> ModuleSpec {
    let input = |module: &ModuleId| Input { module: *module, handover: Handover::Conclusions, share: 60 };
    ModuleSpec {
        kind: ModuleKind::Answer,
        question: "q".to_owned(),
        inputs: inputs.iter().map(input).collect(),
        criteria: vec![Criterion::EveryClaimCites],
        tools: vec!["t".to_owned()],
        limit: Amount { tokens: 1_000, cost_micro: 0, tool_calls: 1 },
    }
}

fn propose(modules: &[(ModuleId, &[ModuleId])]) -> Said {
    let modules = modules.iter().map(|(id, inputs)| (*id, spec(inputs))).collect();
    (PRINCIPAL, Command::Propose { plan: PlanReason::Given, modules })
}

fn claim(by: PublicKey, module: ModuleId) -> Said {
    (by, Command::Claim { module })
}

fn owner(epoch: u64) -> Owner {
    Owner::Attempt { module: FIRST, attempt: common_ground::AttemptNumber(1), epoch: Epoch(epoch) }
}

fn tool(name: &str, idempotent: bool) -> CallKind {
    CallKind::Tool { tool: name.to_owned(), tool_digest: Digest::of(b"t"), idempotent }
}

fn start(epoch: u64, step: u32, call: CallKind, tool_calls: u64) -> Said {
    let reserve = Amount { tokens: 0, cost_micro: 0, tool_calls };
    (
        WORKER,
        Command::StartStep { owner: owner(epoch), step: StepIndex(step), call, request: Digest::of(b"r"), reserve },
    )
}

fn finish(step: u32) -> Said {
    let usage = Usage { tool_calls: 1, ..Usage::default() };
    let response = Digest::of(b"a");
    (
        WORKER,
        Command::FinishStep { owner: owner(1), step: StepIndex(step), outcome: CallOutcome::Done, response, usage },
    )
}

fn submit(module: ModuleId, epoch: u64) -> Said {
    (WORKER, Command::Submit { module, epoch: Epoch(epoch), deliverable: Digest::of(b"d") })
}

fn judge(by: PublicKey, epoch: u64, passed: bool) -> Said {
    let reason = if passed { String::new() } else { "no".to_owned() };
    let verdicts = vec![Verdict { criterion: 0, passed, reason }];
    (by, Command::Judge { module: FIRST, epoch: Epoch(epoch), deliverable: Digest::of(b"d"), verdicts })
}

fn accept(by: PublicKey) -> Said {
    (by, Command::Accept { module: FIRST, epoch: Epoch(1), receipt: Digest::of(b"receipt") })
}

fn say(by: PublicKey, command: Command) -> Said {
    (by, command)
}

/// Names of facts, without what is in them.
fn names(facts: &[Fact]) -> Vec<String> {
    let name = |fact: &Fact| serde_json::to_value(fact).expect("encodes")["type"].as_str().expect("a type").to_owned();
    facts.iter().map(name).collect()
}

fn after(history: &[Said]) -> State {
    let mut state = State::default();
    for (by, command) in history {
        for fact in decide(&state, command, &Ctx { at: Millis(10), by: *by }).expect("the history is allowed") {
            apply(&mut state, Millis(10), &fact).expect("applies");
        }
    }
    state
}

/// What a command makes of a history: the facts' names, or the refusal.
fn check(history: &[Said], said: Said, expected: Result<&[&str], Refusal>) {
    let state = after(history);
    let (by, command) = said;
    let answer = decide(&state, &command, &Ctx { at: Millis(10), by }).map(|facts| names(&facts));
    let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(answer, expected, "{command:?}");
}

fn leased() -> Vec<Said> {
    vec![open(), propose(&[(FIRST, &[]), (SECOND, &[FIRST])]), claim(WORKER, FIRST)]
}

fn submitted() -> Vec<Said> {
    [leased(), vec![submit(FIRST, 1)]].concat()
}

fn judged() -> Vec<Said> {
    [submitted(), vec![judge(VERIFIER, 1, true)]].concat()
}

fn not_now(wanted: Wanted) -> Result<&'static [&'static str], Refusal> {
    Err(Refusal::NotNow { module: FIRST, wanted })
}

#[test]
fn opening() {
    check(&[], open(), Ok(&["run.opened"]));
    check(&[open()], open(), Err(Refusal::AlreadyOpen));
    check(&[], claim(WORKER, FIRST), Err(Refusal::NotOpen));
    let (_, command) = open();
    check(&[], (PERSON, command), Err(Refusal::NotAllowed { role: Role::Partner }));
    for shared in [PERSON, PRINCIPAL, VERIFIER, NODE, OTHER] {
        let roster = Roster { associates: vec![shared, OTHER], ..roster() };
        let command = Command::Open { run: RUN, task: Box::new(task()), roster: Box::new(roster) };
        check(&[], (PRINCIPAL, command), Err(Refusal::SharedKey { key: shared }));
    }
}

#[test]
fn planning() {
    let plan = propose(&[(FIRST, &[]), (SECOND, &[FIRST])]);
    check(&[open()], plan.clone(), Ok(&["plan.recorded", "module.proposed", "module.proposed"]));
    check(&[open()], propose(&[]), Err(Refusal::EmptyPlan));
    check(&[open(), plan.clone()], plan, Err(Refusal::Repeated { module: FIRST }));
    check(
        &[open()],
        propose(&[(FIRST, &[SECOND]), (SECOND, &[])]),
        Err(Refusal::BadInput { module: FIRST, input: SECOND }),
    );
    check(&[open()], propose(&[(FIRST, &[FIRST])]), Err(Refusal::BadInput { module: FIRST, input: FIRST }));
    let third = ModuleId(Uuid::from_u128(13));
    let both: &[ModuleId] = &[FIRST, SECOND];
    check(
        &[open()],
        propose(&[(FIRST, &[]), (SECOND, &[]), (third, both)]),
        Err(Refusal::Overshared { module: third, share: 120 }),
    );
    let bare = ModuleSpec { criteria: Vec::new(), ..spec(&[]) };
    let command = Command::Propose { plan: PlanReason::Single, modules: vec![(FIRST, bare)] };
    check(&[open()], (PRINCIPAL, command), Err(Refusal::NoCriteria { module: FIRST }));
}

#[test]
fn leases() {
    let planned = [open(), propose(&[(FIRST, &[]), (SECOND, &[FIRST])])];
    check(&planned, claim(WORKER, FIRST), Ok(&["attempt.leased"]));
    check(&planned, claim(WORKER, SECOND), Err(Refusal::NotNow { module: SECOND, wanted: Wanted::Ready }));
    check(&leased(), claim(OTHER, FIRST), not_now(Wanted::Ready));
    let two = [open(), propose(&[(FIRST, &[]), (SECOND, &[])]), claim(WORKER, FIRST)];
    check(&two, claim(WORKER, SECOND), Err(Refusal::NoSlot { associate: WORKER }));
    check(&two, claim(OTHER, SECOND), Ok(&["attempt.leased"]));
    check(&leased(), say(NODE, Command::Renew { module: FIRST, epoch: Epoch(1) }), Ok(&["lease.renewed"]));
    check(
        &leased(),
        say(NODE, Command::Renew { module: FIRST, epoch: Epoch(0) }),
        Err(Refusal::Stale { module: FIRST, epoch: Epoch(0) }),
    );
    check(&leased(), say(NODE, Command::Reclaim { holder_gone: false }), Ok(&[]));
    check(&leased(), say(NODE, Command::Reclaim { holder_gone: true }), Ok(&["lease.lost"]));
    let lost = [leased(), vec![say(NODE, Command::Reclaim { holder_gone: true }), claim(WORKER, FIRST)]].concat();
    check(&lost, submit(FIRST, 1), Err(Refusal::Stale { module: FIRST, epoch: Epoch(1) }));
    check(&lost, submit(FIRST, 2), Ok(&["module.submitted"]));
}

#[test]
fn steps() {
    let begun = [leased(), vec![start(1, 0, tool("t", true), 1)]].concat();
    let done = [begun.clone(), vec![finish(0)]].concat();
    check(&leased(), start(1, 0, tool("t", true), 1), Ok(&["step.started"]));
    check(&leased(), start(1, 1, tool("t", true), 1), Err(Refusal::WrongStep { step: StepIndex(1) }));
    check(&leased(), start(1, 0, tool("rm", true), 1), Err(Refusal::NotGranted { name: "rm".to_owned() }));
    let model = CallKind::Model { model: "another".to_owned() };
    check(&leased(), start(1, 0, model, 0), Err(Refusal::NotGranted { name: "another".to_owned() }));
    let room = Amount { tokens: 100, cost_micro: 0, tool_calls: 1 };
    let need = Amount { tokens: 0, cost_micro: 0, tool_calls: 2 };
    check(&leased(), start(1, 0, tool("t", true), 2), Err(Refusal::OverBudget { need, room }));
    check(&begun, finish(0), Ok(&["step.finished"]));
    check(&done, finish(0), Err(Refusal::WrongStep { step: StepIndex(0) }));
    check(&done, start(1, 0, tool("t", true), 1), Err(Refusal::WrongStep { step: StepIndex(0) }));
    check(&begun, start(1, 0, tool("t", true), 1), Ok(&["step.retried"]));
    check(&begun, start(1, 0, tool("t", false), 1), Err(Refusal::Diverged { step: StepIndex(0) }));
    let doubtful = [leased(), vec![start(1, 0, tool("t", false), 1)]].concat();
    check(&doubtful, start(1, 0, tool("t", false), 1), Err(Refusal::InDoubt { step: StepIndex(0) }));
    let late = decide(&after(&leased()), &start(1, 0, tool("t", true), 1).1, &Ctx { at: Millis(60_011), by: WORKER });
    assert_eq!(late, Err(Refusal::OutOfTime));
}

#[test]
fn judging_and_accepting() {
    check(&submitted(), judge(VERIFIER, 1, true), Ok(&["module.judged"]));
    check(&submitted(), judge(VERIFIER, 1, false), Ok(&["module.judged", "attempt.ended"]));
    check(&submitted(), judge(VERIFIER, 0, true), Err(Refusal::Stale { module: FIRST, epoch: Epoch(0) }));
    check(&leased(), judge(VERIFIER, 1, true), not_now(Wanted::Submitted));
    check(&submitted(), judge(WORKER, 1, true), Err(Refusal::NotAllowed { role: Role::Verifier }));
    let other = Command::Judge { module: FIRST, epoch: Epoch(1), deliverable: Digest::of(b"x"), verdicts: Vec::new() };
    check(&submitted(), (VERIFIER, other), Err(Refusal::OtherDeliverable { module: FIRST }));
    let none = Command::Judge { module: FIRST, epoch: Epoch(1), deliverable: Digest::of(b"d"), verdicts: Vec::new() };
    check(&submitted(), (VERIFIER, none), Err(Refusal::BadVerdicts { module: FIRST, criteria: 1 }));
    check(&submitted(), accept(PRINCIPAL), not_now(Wanted::Judged));
    check(&judged(), accept(PRINCIPAL), Ok(&["module.accepted"]));
    let last = [submitted(), vec![judge(VERIFIER, 1, false), claim(WORKER, FIRST), submit(FIRST, 2)]].concat();
    let dead = ["module.judged", "attempt.ended", "module.failed", "module.cancelled"];
    check(&last, judge(VERIFIER, 2, false), Ok(&dead));
    let error = WorkError::Protocol { detail: "x".to_owned() };
    check(&leased(), say(WORKER, Command::GiveUp { module: FIRST, epoch: Epoch(1), error }), Ok(&["attempt.ended"]));
}

#[test]
fn pausing_cancelling_closing() {
    let pause = say(PERSON, Command::Pause { reason: PauseReason::Interrupt });
    let paused = [leased(), vec![pause.clone()]].concat();
    check(&leased(), pause.clone(), Ok(&["run.paused"]));
    check(&paused, pause, Err(Refusal::NotOpen));
    check(&paused, claim(WORKER, FIRST), Err(Refusal::NotOpen));
    check(&paused, say(PERSON, Command::Resume), Ok(&["run.resumed"]));
    check(&leased(), say(PERSON, Command::Resume), Err(Refusal::NotOpen));
    let resumed = [paused, vec![say(PERSON, Command::Resume), claim(OTHER, FIRST)]].concat();
    check(&resumed, (OTHER, submit(FIRST, 2).1), Ok(&["module.submitted"]));
    let hold = say(PERSON, Command::PauseModule { module: FIRST, reason: PauseReason::Guardian });
    let held = [leased(), vec![hold.clone()]].concat();
    check(&held, hold, not_now(Wanted::Live));
    check(&held, submit(FIRST, 1), not_now(Wanted::Leased));
    check(&held, say(PERSON, Command::ResumeModule { module: FIRST }), Ok(&["module.resumed"]));
    check(&leased(), say(PERSON, Command::ResumeModule { module: FIRST }), not_now(Wanted::Paused));
    let cascade = ["attempt.ended", "module.cancelled", "module.cancelled"];
    check(&leased(), say(PERSON, Command::CancelModule { module: FIRST }), Ok(&cascade));
    let all = ["attempt.ended", "module.cancelled", "module.cancelled", "run.closed"];
    check(&leased(), say(PERSON, Command::Cancel), Ok(&all));
    let close = |outcome| say(PRINCIPAL, Command::Close { outcome, report: Some(Digest::of(b"r")) });
    for outcome in [Outcome::Completed, Outcome::NotAccepted, Outcome::Failed, Outcome::Cancelled] {
        check(&judged(), close(outcome), Err(Refusal::WrongOutcome));
    }
    let unknown = ModuleId(Uuid::from_u128(99));
    check(&leased(), claim(WORKER, unknown), Err(Refusal::NoModule { module: unknown }));
}

#[test]
fn approvals() {
    let ask =
        say(WORKER, Command::Ask { module: FIRST, epoch: Epoch(1), approval: APPROVAL, ask: "may I?".to_owned() });
    let asked = [leased(), vec![ask.clone()]].concat();
    let answer = say(PERSON, Command::Answer { approval: APPROVAL, allowed: true });
    check(&leased(), ask, Ok(&["module.blocked"]));
    check(&asked, claim(WORKER, FIRST), not_now(Wanted::Ready));
    check(&asked, answer.clone(), Ok(&["approval.answered"]));
    let answered = [asked, vec![answer.clone()]].concat();
    check(&answered, answer, Err(Refusal::NoApproval { approval: APPROVAL }));
    check(&answered, claim(OTHER, FIRST), Ok(&["attempt.leased"]));
}

/// Every command by every key that does not hold its role, in a state where the right key may.
#[test]
fn authority_goes_by_key() {
    let everybody = [PERSON, PRINCIPAL, VERIFIER, NODE, WORKER, OTHER, NOBODY];
    let error = WorkError::Protocol { detail: "x".to_owned() };
    let cases: Vec<(Vec<Said>, Said)> = vec![
        (vec![open()], propose(&[(FIRST, &[])])),
        (leased(), say(NODE, Command::Renew { module: FIRST, epoch: Epoch(1) })),
        (leased(), say(NODE, Command::Reclaim { holder_gone: true })),
        (leased(), say(NODE, Command::Pause { reason: PauseReason::Budget })),
        (leased(), start(1, 0, tool("t", true), 1)),
        ([leased(), vec![start(1, 0, tool("t", true), 1)]].concat(), finish(0)),
        (leased(), submit(FIRST, 1)),
        (leased(), say(WORKER, Command::GiveUp { module: FIRST, epoch: Epoch(1), error })),
        (submitted(), judge(VERIFIER, 1, true)),
        (judged(), accept(PRINCIPAL)),
        (leased(), say(PERSON, Command::Pause { reason: PauseReason::Interrupt })),
        (leased(), say(PERSON, Command::Cancel)),
        (leased(), say(PERSON, Command::CancelModule { module: FIRST })),
        (leased(), say(PERSON, Command::PauseModule { module: FIRST, reason: PauseReason::Guardian })),
    ];
    for (history, (right, command)) in cases {
        let state = after(&history);
        for by in everybody {
            let answer = decide(&state, &command, &Ctx { at: Millis(10), by });
            if by == right {
                assert!(answer.is_ok(), "{command:?}: {answer:?}");
            } else {
                assert!(matches!(answer, Err(Refusal::NotAllowed { .. })), "{command:?} by {by}: {answer:?}");
            }
        }
    }
    // An attempt ends for a reason that is on record.
    let ended = [submitted(), vec![judge(VERIFIER, 1, false)]].concat();
    let state = after(&ended);
    let run = state.run().expect("open");
    let reasons: Vec<_> = run.modules[&FIRST].attempts.iter().map(|attempt| format!("{:?}", attempt.end)).collect();
    let findings = vec!["every-claim-cites: no".to_owned()];
    assert!(reasons[0].contains(&format!("{:?}", EndReason::Rework { findings })), "{reasons:?}");
}

#[test]
fn facts_that_cannot_have_happened_are_refused() {
    let mut state = after(&leased());
    let before = state.clone();
    for fact in [
        Fact::ModuleAccepted {
            module: FIRST,
            attempt: common_ground::AttemptNumber(1),
            deliverable: Digest::of(b"d"),
            receipt: Digest::of(b"r"),
        },
        Fact::RunOpened { run: RUN, task: Box::new(task()), roster: Box::new(roster()) },
        Fact::ModuleCancelled { module: ModuleId(Uuid::from_u128(77)) },
        Fact::LeaseRenewed { module: FIRST, epoch: Epoch(7), until: Millis(1) },
    ] {
        let mut copy = before.clone();
        assert!(apply(&mut copy, Millis(11), &fact).is_err(), "{fact:?}");
    }
    let lost = Fact::LeaseLost { module: FIRST, attempt: common_ground::AttemptNumber(1), epoch: Epoch(1) };
    apply(&mut state, Millis(11), &lost).expect("can happen");
    assert_ne!(state, before);
}
