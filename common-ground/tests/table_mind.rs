//! What models bring with them: evidence before an answer, the Verifier's own calls, conversations made to fit, money that
//! runs short and is raised, plans that wait for the person, and models that cannot be reached.

mod world;

use common_ground::{
    AttemptNumber, Epoch, Fact, Refusal, StepIndex,
    budget::{Amount, BudgetPart},
    command::Command,
    module::{CallOutcome, Compaction, CompactionRule, ModuleKind, ModuleSpec, Owner},
    refusal::Wanted,
    role::Role,
    run::{Models, PauseReason, Phase, PlanReason, Task},
};
use receipts::{Digest, PublicKey};
use world::*;

const MINE: Owner = Owner::Attempt { module: A, attempt: AttemptNumber(1), epoch: Epoch(1) };
const EXAMINED: Owner = Owner::Verifier { module: A, attempt: AttemptNumber(1), epoch: Epoch(1) };
const JUDGE: &str = "judge";

/// A run in which the Verifier has its own model and the only module must answer.
fn answering(task: Task) -> Vec<Line> {
    let spec = ModuleSpec { kind: ModuleKind::Answer, limit: task.limit, ..spec(&[]) };
    let plan = Command::Propose { plan: PlanReason::Given, modules: vec![(A, spec)] };
    then(&[], &[(PRINCIPAL, open_with(task, roster())), (PRINCIPAL, plan), (WORKER, claim(A))])
}

fn minds() -> Task {
    Task { models: Models { verifier: JUDGE.to_owned(), ..Models::one(MODEL) }, ..task() }
}

fn called(outcome: CallOutcome) -> [(PublicKey, Command); 2] {
    let response = Digest::of(b"response");
    let finish =
        Command::FinishStep { owner: MINE, step: StepIndex(0), outcome, response, usage: used(1, 1, 1), traced: None };
    [(WORKER, start(MINE, 0, tool(TOOL, true), amount(1, 1, 1))), (WORKER, finish)]
}

#[test]
fn an_answer_needs_a_tool_call_that_succeeded() {
    let none = Err(Refusal::NoEvidence { module: A });
    check(&answering(minds()), &submit(A, 1), WORKER, none.clone());
    let begun = then(&answering(minds()), &called(CallOutcome::Done)[..1]);
    check(&begun, &submit(A, 1), WORKER, none.clone());
    let failed = then(&answering(minds()), &called(CallOutcome::Failed));
    check(&failed, &submit(A, 1), WORKER, none);
    let submitted = Fact::ModuleSubmitted { module: A, attempt: AttemptNumber(1), deliverable: deliverable() };
    let done = then(&answering(minds()), &called(CallOutcome::Done));
    check(&done, &submit(A, 1), WORKER, Ok(vec![submitted]));
}

#[test]
fn the_verifier_calls_its_own_model_on_what_was_submitted_and_no_tool() {
    let handed_in = then(&then(&answering(minds()), &called(CallOutcome::Done)), &[(WORKER, submit(A, 1))]);
    let asked = start(EXAMINED, 1, model(JUDGE), amount(4, 4, 0));
    let (state, _) = play(&handed_in);
    assert_eq!(state.run().expect("open").modules[&A].attempts[0].submitted_after, Some(1));
    check(&handed_in, &asked, VERIFIER, Ok(vec![started_fact(EXAMINED, 1, model(JUDGE), amount(4, 4, 0))]));
    check(&handed_in, &asked, WORKER, not_allowed(Role::Verifier));
    check(&handed_in, &start(MINE, 1, model(MODEL), amount(1, 1, 0)), WORKER, not_now(A, Wanted::Leased));
    for call in [model(MODEL), tool(TOOL, true)] {
        let name = if call == model(MODEL) { MODEL } else { TOOL };
        let refusal = Err(Refusal::NotGranted { name: name.to_owned() });
        check(&handed_in, &start(EXAMINED, 1, call, amount(1, 1, 0)), VERIFIER, refusal);
    }
    let working = then(&answering(minds()), &called(CallOutcome::Done));
    check(&working, &asked, VERIFIER, not_now(A, Wanted::Submitted));
    let other = Owner::Verifier { module: A, attempt: AttemptNumber(1), epoch: Epoch(2) };
    check(&handed_in, &start(other, 1, model(JUDGE), amount(1, 1, 0)), VERIFIER, stale(A, 2));
    let too_dear = start(EXAMINED, 1, model(JUDGE), amount(100, 0, 0));
    let need = amount(100, 0, 0);
    check(&handed_in, &too_dear, VERIFIER, Err(Refusal::OverBudget { need, room: amount(99, 49, 3) }));
    let (after, _) = play(&then(&handed_in, &[(VERIFIER, asked), (VERIFIER, finish(EXAMINED, 1, used(3, 2, 0)))]));
    let run = after.run().expect("open");
    assert_eq!(run.account.spent(), amount(4, 3, 1));
    assert_eq!(run.modules[&A].account.spent(), amount(4, 3, 1));
    assert_eq!(run.modules[&A].attempts[0].steps.len(), 2, "in the trace of the attempt");
}

#[test]
fn a_conversation_made_to_fit_is_said_once() {
    let compaction = Compaction { rule: CompactionRule::Digests, turns: 3, before: 900, after: 400 };
    let compact = |step| Command::Compact { owner: MINE, step: StepIndex(step), compaction };
    let said = Fact::ContextCompacted { owner: MINE, step: StepIndex(0), compaction };
    check(&leased(), &compact(0), WORKER, Ok(vec![said]));
    check(&then(&leased(), &[(WORKER, compact(0))]), &compact(0), WORKER, Ok(Vec::new()));
    check(&leased(), &compact(1), WORKER, Err(Refusal::WrongStep { step: StepIndex(1) }));
    check(&leased(), &compact(0), OTHER, not_allowed(Role::Associate));
    let (state, _) = play(&then(&leased(), &[(WORKER, compact(0))]));
    let attempt = &state.run().expect("open").modules[&A].attempts[0];
    assert_eq!(attempt.compactions, [(StepIndex(0), compaction)]);
}

#[test]
fn four_fifths_of_a_part_are_said_once_and_again_after_a_raise() {
    let task = Task { limit: amount(100, 1_000, 10), ..minds() };
    let spend = |step, tokens| {
        let start = start(MINE, step, model(MODEL), amount(tokens, 0, 0));
        [(WORKER, start), (WORKER, finish(MINE, step, used(tokens, 0, 0)))]
    };
    let begun = then(&answering(task), &spend(0, 79));
    let warned = Fact::BudgetWarned { part: BudgetPart::Tokens, spent: 80, limit: 100 };
    let started = started_fact(MINE, 1, model(MODEL), amount(1, 0, 0));
    check(&begun, &start(MINE, 1, model(MODEL), amount(1, 0, 0)), WORKER, Ok(vec![started, warned.clone()]));
    let dearer = then(&answering(minds()), &spend(0, 1)[..1]);
    let done = finished_fact(MINE, 0, used(80, 0, 0));
    check(&dearer, &finish(MINE, 0, used(80, 0, 0)), WORKER, Ok(vec![done, warned]));
    let once = then(&then(&begun, &spend(1, 1)), &spend(2, 1)[..1]);
    check(&once, &finish(MINE, 2, used(1, 0, 0)), WORKER, Ok(vec![finished_fact(MINE, 2, used(1, 0, 0))]));
    let raise = Command::Raise { limit: amount(120, 5, 0), wall_ms: WALL_MS };
    let raised = Fact::BudgetRaised { limit: amount(120, 1_000, 10), wall_ms: WALL_MS };
    check(&once, &raise, PERSON, Ok(vec![raised]));
    check(&once, &raise, PRINCIPAL, not_allowed(Role::Person));
    let more = then(&once, &[(WORKER, finish(MINE, 2, used(1, 0, 0))), (PERSON, raise)]);
    let warned = Fact::BudgetWarned { part: BudgetPart::Tokens, spent: 96, limit: 120 };
    let next = start(MINE, 3, model(MODEL), amount(15, 0, 0));
    let started = started_fact(MINE, 3, model(MODEL), amount(15, 0, 0));
    check(&more, &next, WORKER, Ok(vec![started, warned]));
}

#[test]
fn a_raise_reaches_modules_that_had_all_and_no_limit_ever_falls() {
    let task = Task { limit: amount(100, 50, 4), ..minds() };
    let own = ModuleSpec { limit: amount(10, 50, 4), ..spec(&[]) };
    let plan = Command::Propose {
        plan: PlanReason::Given,
        modules: vec![(A, own), (B, ModuleSpec { limit: task.limit, ..spec(&[]) })],
    };
    let begun = then(&[], &[(PRINCIPAL, open_with(task, roster())), (PRINCIPAL, plan)]);
    let same = Command::Raise { limit: amount(100, 50, 4), wall_ms: WALL_MS };
    check(&begun, &same, PERSON, Ok(Vec::new()));
    check(&begun, &Command::Raise { limit: Amount::default(), wall_ms: 1 }, PERSON, Ok(Vec::new()));
    let raise = |tokens| (PERSON, Command::Raise { limit: amount(tokens, 0, 9), wall_ms: 0 });
    let (state, _) = play(&then(&begun, &[raise(200), raise(300)]));
    let run = state.run().expect("open");
    assert_eq!(run.account.limit(), amount(300, 50, 9));
    assert_eq!(run.wall_ms, 0, "no end to its time");
    assert_eq!(run.modules[&A].account.limit(), amount(10, 50, 9), "its own limit stays its own");
    assert_eq!(run.modules[&B].account.limit(), amount(300, 50, 9));
}

#[test]
fn a_plan_waits_for_the_person_when_asked_to() {
    let waiting = then(&[], &[(PRINCIPAL, open_with(Task { approve_plan: true, ..task() }, roster()))]);
    let planned = then(&waiting, &[(PRINCIPAL, propose(&[(A, &[])]))]);
    let (state, _) = play(&planned);
    assert_eq!(state.run().expect("open").phase, Phase::Paused { reason: PauseReason::Approval });
    check(&planned, &claim(A), WORKER, Err(Refusal::NotOpen));
    let approved = then(&planned, &[(PERSON, Command::Resume)]);
    check(&approved, &claim(A), WORKER, Ok(vec![leased_fact(A, 1, 1, WORKER, BEGIN.0 + LEASE_MS)]));
    let more = then(&approved, &[(PRINCIPAL, propose(&[(B, &[])]))]);
    let (state, _) = play(&more);
    assert_eq!(state.run().expect("open").phase, Phase::Open, "what is added later goes with the approved plan");
}

#[test]
fn the_node_alone_pauses_for_want_of_a_model() {
    let paused = Fact::RunPaused { run: RUN, reason: PauseReason::Model };
    check(&planned(), &pause(PauseReason::Model), NODE, Ok(vec![paused]));
    check(&planned(), &pause(PauseReason::Model), PERSON, not_allowed(Role::Node));
}
