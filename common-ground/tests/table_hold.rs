//! Standing still and stopping: runs and modules held, let go, given up and closed; questions to the person.

mod world;

use common_ground::{
    ApprovalId, AttemptNumber, Command, Epoch, Fact, Refusal,
    approval::Answer,
    module::EndReason,
    refusal::Wanted,
    run::{Outcome, PauseReason, Phase},
    wants,
};
use receipts::PublicKey;
use uuid::Uuid;
use world::*;

fn paused_fact(reason: PauseReason) -> Fact {
    Fact::RunPaused { run: RUN, reason }
}

fn held_fact() -> Fact {
    Fact::ModulePaused { module: A, reason: PauseReason::Interrupt }
}

fn stopped() -> EndReason {
    EndReason::Cancelled
}

fn closed_fact(outcome: Outcome, report: Option<receipts::Digest>) -> Fact {
    Fact::RunClosed { run: RUN, outcome, report }
}

/// A asked the person.
fn blocked() -> Vec<Line> {
    then(&begun(), &[(WORKER, ask(A, 1, APPROVAL))])
}

fn no_approval(approval: ApprovalId) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::NoApproval { approval })
}

#[test]
fn a_run_pauses_resumes_and_pauses_again() {
    let reasons = [
        (PERSON, PauseReason::Interrupt),
        (PERSON, PauseReason::Approval),
        (PERSON, PauseReason::Guardian),
        (NODE, PauseReason::Budget),
    ];
    for (by, reason) in reasons {
        let state = check(&leased(), &pause(reason), by, Ok(vec![paused_fact(reason)]));
        assert_eq!(state.run().map(|run| run.phase.clone()), Some(Phase::Paused { reason }));
        let paused = then(&leased(), &[(by, pause(reason))]);
        check(&paused, &pause(reason), by, Err(Refusal::NotOpen));
        let state = check(&paused, &Command::Resume, PERSON, Ok(vec![Fact::RunResumed { run: RUN }]));
        assert_eq!(state.run().map(|run| run.phase.clone()), Some(Phase::Open));
        let resumed = then(&paused, &[(PERSON, Command::Resume)]);
        check(&resumed, &pause(reason), by, Ok(vec![paused_fact(reason)]));
    }
    check(&leased(), &Command::Resume, PERSON, Err(Refusal::NotOpen));
}

#[test]
fn a_paused_run_begins_nothing_but_takes_what_was_under_way() {
    let still = |history: Vec<Line>| then(&history, &[(PERSON, pause(PauseReason::Interrupt))]);
    check(&still(planned()), &claim(A), WORKER, Err(Refusal::NotOpen));
    check(&still(leased()), &submit(A, 1), WORKER, Err(Refusal::NotOpen));
    check(&still(done()), &close(Outcome::Completed), PRINCIPAL, Err(Refusal::NotOpen));
    for history in [opened(), planned(), leased(), blocked(), submitted(), judged(), done()] {
        assert_eq!(wants(&play(&still(history)).0), Vec::new());
    }
    let verdicts = Ok(vec![judged_fact(A, 1, &[true, true])]);
    check(&still(submitted()), &judge(A, 1, &[true, true]), VERIFIER, verdicts);
    check(&still(judged()), &accept(A, 1), PRINCIPAL, Ok(vec![accepted_fact(A, 1)]));
    let answered = Fact::ApprovalAnswered { approval: APPROVAL, answer: Answer::Once, by: PERSON };
    check(&still(blocked()), &answer(APPROVAL, Answer::Once), PERSON, Ok(vec![answered]));
}

#[test]
fn a_held_module_goes_back_to_where_it_was() {
    let rows: [(Vec<Line>, &str, &str); 5] = [
        (planned(), "paused(ready 1/1)", "ready 1/1"),
        (leased(), "paused(ready 1/2)", "ready 1/2"),
        (blocked(), "paused(blocked 1/2)", "blocked 1/2"),
        (submitted(), "paused(submitted 1/1)", "submitted 1/1"),
        (judged(), "paused(judged 1/1)", "judged 1/1"),
    ];
    for (history, held, back) in rows {
        let before = wants(&play(&history).0);
        let state = check(&history, &hold(A), PERSON, Ok(vec![held_fact()]));
        assert_eq!(place_in(&state, A), held);
        let holding = then(&history, &[(PERSON, hold(A))]);
        check(&holding, &hold(A), PERSON, not_now(A, Wanted::Live));
        let tried = [
            (WORKER, claim(A)),
            (WORKER, submit(A, 1)),
            (VERIFIER, judge(A, 1, &[true, true])),
            (PRINCIPAL, accept(A, 1)),
        ];
        for (by, command) in tried {
            let answer = common_ground::decide(&state, &command, &common_ground::Ctx { at: BEGIN, by });
            assert!(matches!(answer, Err(Refusal::NotNow { .. })), "{command:?} while {held}: {answer:?}");
        }
        let state = check(&holding, &let_go(A), PERSON, Ok(vec![Fact::ModuleResumed { module: A }]));
        assert_eq!(place_in(&state, A), back);
        let after = wants(&state);
        assert!(back == "ready 1/2" || after == before, "the same is wanted again: {before:?}, {after:?}");
    }
    check(&planned(), &let_go(A), PERSON, not_now(A, Wanted::Paused));
    check(&planned(), &hold(UNKNOWN), PERSON, Err(Refusal::NoModule { module: UNKNOWN }));
    check(&planned(), &let_go(UNKNOWN), PERSON, Err(Refusal::NoModule { module: UNKNOWN }));
}

#[test]
fn a_held_module_still_learns_of_its_inputs_and_answers() {
    let waiting = then(&judged(), &[(PERSON, hold(B))]);
    assert_eq!(place_in(&play(&waiting).0, B), "paused(proposed)");
    let state = check(&waiting, &accept(A, 1), PRINCIPAL, Ok(vec![accepted_fact(A, 1)]));
    assert_eq!(place_in(&state, B), "paused(ready 1/1)");
    let asking = then(&blocked(), &[(PERSON, hold(A))]);
    let answered = Fact::ApprovalAnswered { approval: APPROVAL, answer: Answer::Deny, by: PERSON };
    let state = check(&asking, &answer(APPROVAL, Answer::Deny), PERSON, Ok(vec![answered]));
    assert_eq!(place_in(&state, A), "paused(ready 1/2)");
}

#[test]
fn a_question_gives_the_lease_up_until_its_answer() {
    let fact = Fact::ModuleBlocked {
        module: A,
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        approval: APPROVAL,
        question: Box::new(question()),
    };
    let state = check(&begun(), &ask(A, 1, APPROVAL), WORKER, Ok(vec![fact]));
    assert_eq!(place_in(&state, A), "blocked 1/2");
    check(&begun(), &ask(A, 0, APPROVAL), WORKER, stale(A, 0));
    check(&blocked(), &claim(A), WORKER, not_now(A, Wanted::Ready));
    for said in [Answer::Deny, Answer::Once, Answer::Run, Answer::Always] {
        let answered = Fact::ApprovalAnswered { approval: APPROVAL, answer: said.clone(), by: PERSON };
        let state = check(&blocked(), &answer(APPROVAL, said.clone()), PERSON, Ok(vec![answered]));
        assert_eq!(place_in(&state, A), "ready 1/2", "the worker reads the answer and goes on or not");
        assert_eq!(state.run().and_then(|run| run.approvals[&APPROVAL].answer.clone()), Some(said));
    }
    let once = then(&blocked(), &[(PERSON, answer(APPROVAL, Answer::Once))]);
    check(&once, &answer(APPROVAL, Answer::Deny), PERSON, no_approval(APPROVAL));
    check(&planned(), &answer(APPROVAL, Answer::Once), PERSON, no_approval(APPROVAL));
}

/// Mended: the answer was allowed, and then its fact did not fit the module, which stopped the program.
#[test]
fn bug_a_question_of_a_module_that_was_given_up_has_no_answer() {
    let module = then(&blocked(), &[(PERSON, cancel(A))]);
    let run = then(&blocked(), &[(PERSON, Command::Cancel)]);
    for history in [module, run] {
        check(&history, &answer(APPROVAL, Answer::Once), PERSON, no_approval(APPROVAL));
    }
}

/// Mended: the second question took the first one's place, and the first module waited for ever.
#[test]
fn bug_a_question_is_put_once() {
    let both = then(&blocked(), &[(OTHER, claim(D))]);
    let asked = Err(Refusal::AskedBefore { approval: APPROVAL });
    check(&both, &ask(D, 1, APPROVAL), OTHER, asked.clone());
    let answered = then(&blocked(), &[(PERSON, answer(APPROVAL, Answer::Once)), (WORKER, claim(A))]);
    check(&answered, &ask(A, 2, APPROVAL), WORKER, asked);
    let next = ApprovalId(Uuid::from_u128(22));
    let state = play(&then(&answered, &[(WORKER, ask(A, 2, next))])).0;
    assert_eq!(place_in(&state, A), "blocked 1/3");
}

#[test]
fn a_module_given_up_takes_those_that_need_it_with_it() {
    let rest = [cancelled_fact(A), cancelled_fact(B), cancelled_fact(C)];
    let open = |history: Vec<Line>| {
        let facts = std::iter::once(ended_fact(A, 1, stopped())).chain(rest.clone()).collect();
        let state = check(&history, &cancel(A), PERSON, Ok(facts));
        assert_eq!(place_in(&state, D), "ready 1/1");
    };
    let held = then(&leased(), &[(PERSON, hold(A))]);
    let lost = then(&leased(), &[(NODE, reclaim(true))]);
    for history in [leased(), blocked(), submitted(), judged(), held, lost] {
        open(history);
    }
    check(&planned(), &cancel(A), PERSON, Ok(rest.to_vec()));
    check(&accepted(), &cancel(A), PERSON, not_now(A, Wanted::Live));
    check(&accepted(), &cancel(B), PERSON, Ok(vec![cancelled_fact(B), cancelled_fact(C)]));
    check(&planned(), &cancel(UNKNOWN), PERSON, Err(Refusal::NoModule { module: UNKNOWN }));
}

#[test]
fn a_cascade_gives_up_each_module_once_and_spares_what_is_over() {
    // A diamond on A whose one side was given up before, and whose other side is held.
    let sides: &[_] = &[B, C];
    let diamond = propose(&[(A, &[]), (B, &[A]), (C, &[A]), (D, sides)]);
    let plan = then(&opened(), &[(PRINCIPAL, diamond)]);
    let whole = [A, B, C, D].map(cancelled_fact).to_vec();
    check(&plan, &cancel(A), PERSON, Ok(whole));
    let held = then(&plan, &[(PERSON, hold(C)), (PERSON, cancel(B))]);
    check(&held, &cancel(A), PERSON, Ok(vec![cancelled_fact(A), cancelled_fact(C)]));
}

#[test]
fn a_cancelled_run_ends_every_attempt_and_module_then_itself() {
    let closed = closed_fact(Outcome::Cancelled, None);
    let rest = [cancelled_fact(A), cancelled_fact(B), cancelled_fact(C)];
    let mut facts = vec![ended_fact(A, 1, stopped())];
    facts.extend(rest.clone());
    facts.extend([ended_fact(D, 1, stopped()), cancelled_fact(D), closed.clone()]);
    let both = then(&leased(), &[(OTHER, claim(D))]);
    let state = check(&both, &Command::Cancel, PERSON, Ok(facts.clone()));
    assert_eq!((state.run().map(common_ground::Run::live), wants(&state)), (Some(0), Vec::new()));
    let paused = then(&both, &[(PERSON, pause(PauseReason::Interrupt))]);
    check(&paused, &Command::Cancel, PERSON, Ok(facts));
    check(&opened(), &Command::Cancel, PERSON, Ok(vec![closed.clone()]));
    check(&done(), &Command::Cancel, PERSON, Ok(vec![closed]));
    let over = then(&both, &[(PERSON, Command::Cancel)]);
    check(&over, &Command::Cancel, PERSON, Err(Refusal::NotOpen));
}

#[test]
fn a_run_closes_as_its_modules_bear_out() {
    let all_over = |said: &[(PublicKey, Command)]| then(&planned(), said);
    let given_up = all_over(&[(PERSON, cancel(A)), (PERSON, cancel(D))]);
    let outcomes = [Outcome::Completed, Outcome::NotAccepted, Outcome::Failed, Outcome::Refused, Outcome::Cancelled];
    let rows: [(&str, Vec<Line>, &[Outcome]); 5] = [
        ("all accepted", done(), &[Outcome::Completed]),
        ("some given up", given_up, &[Outcome::NotAccepted, Outcome::Failed, Outcome::Refused]),
        ("no plan", opened(), &[Outcome::NotAccepted, Outcome::Failed, Outcome::Refused]),
        ("one accepted, others wait", accepted(), &[]),
        ("at work", leased(), &[]),
    ];
    for (name, history, allowed) in rows {
        for outcome in outcomes {
            let expected = if allowed.contains(&outcome) {
                Ok(vec![closed_fact(outcome, Some(report()))])
            } else {
                Err(Refusal::WrongOutcome)
            };
            let state = check(&history, &close(outcome), PRINCIPAL, expected);
            let over = allowed.contains(&outcome);
            assert_eq!(matches!(state.run().map(|run| &run.phase), Some(Phase::Closed { .. })), over, "{name}");
        }
    }
    let silent = |outcome| Command::Close { outcome, report: None };
    check(&done(), &silent(Outcome::Completed), PRINCIPAL, Err(Refusal::WrongOutcome));
    check(&opened(), &silent(Outcome::Failed), PRINCIPAL, Ok(vec![closed_fact(Outcome::Failed, None)]));
}

/// Mended: a run with every module accepted could be closed as refused.
#[test]
fn bug_a_run_whose_modules_are_all_accepted_was_not_refused() {
    check(&done(), &close(Outcome::Refused), PRINCIPAL, Err(Refusal::WrongOutcome));
}
