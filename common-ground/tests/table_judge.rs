//! Handing in, judging, accepting, sending back; the attempts a module has, and what its end does to those that need it.

mod world;

use common_ground::{
    Action, AttemptNumber, Command, Epoch, Fact, Refusal,
    criterion::Verdict,
    module::{AttemptEnd, EndReason, Life},
    refusal::Wanted,
    role::{Role, Roster},
    run::Task,
    wants,
};
use receipts::Digest;
use world::*;

fn rework(findings: &[&str]) -> EndReason {
    EndReason::Rework { findings: findings.iter().map(|finding| (*finding).to_owned()).collect() }
}

#[test]
fn a_deliverable_is_handed_in_under_the_latest_lease() {
    let fact = Fact::ModuleSubmitted { module: A, attempt: AttemptNumber(1), deliverable: deliverable() };
    let state = check(&leased(), &submit(A, 1), WORKER, Ok(vec![fact]));
    assert_eq!(state.run().expect("open").modules[&A].attempts[0].deliverable, Some(deliverable()));
    check(&leased(), &submit(A, 0), WORKER, stale(A, 0));
    check(&leased(), &submit(A, 2), WORKER, stale(A, 2));
    check(&leased(), &submit(D, 1), WORKER, not_now(D, Wanted::Leased));
    check(&leased(), &submit(UNKNOWN, 1), WORKER, Err(Refusal::NoModule { module: UNKNOWN }));
    check(&submitted(), &submit(A, 1), WORKER, not_now(A, Wanted::Leased));
}

#[test]
fn each_criterion_has_its_verdict_once_and_in_order() {
    let passing = Ok(vec![judged_fact(A, 1, &[true, true])]);
    let state = check(&submitted(), &judge(A, 1, &[true, true]), VERIFIER, passing);
    let judgement = state.run().expect("open").modules[&A].attempts[0].judgement.clone().expect("judged");
    assert_eq!((judgement.by, judgement.at, judgement.verdicts), (VERIFIER, BEGIN, verdicts(&[true, true])));
    let verdict = |criterion| Verdict { criterion, passed: true, reason: String::new() };
    for places in [&[][..], &[0], &[1], &[0, 0], &[1, 0], &[0, 2], &[0, 1, 2], &[0, 1, 1]] {
        let verdicts = places.iter().map(|place| verdict(*place)).collect();
        let command = Command::Judge { module: A, epoch: Epoch(1), deliverable: deliverable(), verdicts };
        check(&submitted(), &command, VERIFIER, Err(Refusal::BadVerdicts { module: A, criteria: 2 }));
    }
}

#[test]
fn verdicts_are_on_what_was_handed_in_under_the_lease_named() {
    let other = Digest::of(b"another deliverable");
    let verdicts = verdicts(&[true, true]);
    let command = Command::Judge { module: A, epoch: Epoch(1), deliverable: other, verdicts };
    check(&submitted(), &command, VERIFIER, Err(Refusal::OtherDeliverable { module: A }));
    check(&submitted(), &judge(A, 0, &[true, true]), VERIFIER, stale(A, 0));
    check(&submitted(), &judge(A, 2, &[true, true]), VERIFIER, stale(A, 2));
    check(&leased(), &judge(A, 1, &[true, true]), VERIFIER, not_now(A, Wanted::Submitted));
    check(&judged(), &judge(A, 1, &[false, true]), VERIFIER, not_now(A, Wanted::Submitted));
    check(&judged(), &judge(UNKNOWN, 1, &[true]), VERIFIER, Err(Refusal::NoModule { module: UNKNOWN }));
}

#[test]
fn one_failed_criterion_sends_the_module_back() {
    for (passed, findings) in [
        (&[false, true], &["every-claim-cites: no"][..]),
        (&[true, false], &["quotes-verbatim: no"]),
        (&[false, false], &["every-claim-cites: no", "quotes-verbatim: no"]),
    ] {
        let facts = vec![judged_fact(A, 1, passed), ended_fact(A, 1, rework(findings))];
        let state = check(&submitted(), &judge(A, 1, passed), VERIFIER, Ok(facts));
        assert_eq!(place_in(&state, A), "ready 2/2", "the next attempt, in a new epoch");
        let attempt = &state.run().expect("open").modules[&A].attempts[0];
        assert_eq!(attempt.end, AttemptEnd::Ended { at: BEGIN, reason: rework(findings) });
    }
    let again = then(&submitted(), &[(VERIFIER, judge(A, 1, &[false, true])), (OTHER, claim(A))]);
    let module = &run_after(&again).modules[&A];
    assert_eq!((place(&module.life).as_str(), module.attempts.len()), ("leased 2/2", 2));
    assert_eq!(module.attempts[1].steps, Vec::new(), "another attempt begins without the steps of the first");
}

#[test]
fn a_receipt_is_accepted_for_what_was_judged_and_once() {
    let state = check(&judged(), &accept(A, 1), PRINCIPAL, Ok(vec![accepted_fact(A, 1)]));
    let module = &state.run().expect("open").modules[&A];
    assert_eq!(module.attempts[0].end, AttemptEnd::Accepted { at: BEGIN });
    assert!(matches!(module.life, Life::Accepted { receipt: sealed, deliverable: handed_in, .. }
        if sealed == receipt() && handed_in == deliverable()));
    assert_eq!(place_in(&state, B), "ready 1/1");
    check(&submitted(), &accept(A, 1), PRINCIPAL, not_now(A, Wanted::Judged));
    check(&accepted(), &accept(A, 1), PRINCIPAL, not_now(A, Wanted::Judged));
    check(&judged(), &accept(A, 0), PRINCIPAL, stale(A, 0));
    check(&judged(), &accept(A, 2), PRINCIPAL, stale(A, 2));
    check(&judged(), &accept(UNKNOWN, 1), PRINCIPAL, Err(Refusal::NoModule { module: UNKNOWN }));
}

#[test]
fn a_worker_that_cannot_go_on_ends_its_attempt() {
    let state = check(&leased(), &give_up(A, 1), WORKER, Ok(vec![ended_fact(A, 1, gave_up())]));
    assert_eq!(place_in(&state, A), "ready 2/2");
    check(&leased(), &give_up(A, 0), WORKER, stale(A, 0));
    check(&submitted(), &give_up(A, 1), WORKER, not_now(A, Wanted::Leased));
}

#[test]
fn the_last_attempt_that_ends_makes_a_dead_letter_and_gives_up_all_that_need_it() {
    let dead = |end: EndReason| {
        let failed = Fact::ModuleFailed { module: A, end: end.clone() };
        vec![ended_fact(A, 2, end), failed, cancelled_fact(B), cancelled_fact(C)]
    };
    let second = then(&leased(), &[(WORKER, give_up(A, 1)), (WORKER, claim(A))]);
    let state = check(&second, &give_up(A, 2), WORKER, Ok(dead(gave_up())));
    let places: Vec<_> = [A, B, C, D].into_iter().map(|module| place_in(&state, module)).collect();
    assert_eq!(places, ["failed", "cancelled", "cancelled", "ready 1/1"]);
    assert!(matches!(&state.run().expect("open").modules[&A].life, Life::Failed { reason } if *reason == gave_up()));
    assert_eq!(state.run().map(common_ground::Run::live), Some(1));
    let handed_in = then(&second, &[(WORKER, submit(A, 2))]);
    let reason = rework(&["quotes-verbatim: no"]);
    let facts = std::iter::once(judged_fact(A, 2, &[true, false])).chain(dead(reason)).collect();
    check(&handed_in, &judge(A, 2, &[true, false]), VERIFIER, Ok(facts));
}

#[test]
fn a_module_has_as_many_attempts_as_the_task_says() {
    for attempts in 1..5 {
        let task = Task { attempts, ..task() };
        let plan = propose(&[(A, &[])]);
        let mut history = then(&[], &[(PRINCIPAL, open_with(task, roster())), (PRINCIPAL, plan)]);
        for number in 1..=u64::from(attempts) {
            assert_eq!(place_in(&play(&history).0, A), format!("ready {number}/{number}"));
            history = then(&history, &[(WORKER, claim(A)), (WORKER, give_up(A, number))]);
        }
        assert_eq!(place_in(&play(&history).0, A), "failed");
        check(&history, &claim(A), WORKER, not_now(A, Wanted::Ready));
    }
}

#[test]
fn a_lost_lease_uses_up_no_attempt() {
    let mut history = planned();
    for _ in 0..5 {
        history = then(&history, &[(WORKER, claim(A)), (NODE, reclaim(true))]);
    }
    let state = check(&history, &claim(A), WORKER, Ok(vec![leased_fact(A, 1, 6, WORKER, BEGIN.0 + LEASE_MS)]));
    assert_eq!(state.run().expect("open").modules[&A].attempts.len(), 1);
}

/// The opening refuses such a roster; a journal that holds one still finds nobody who judges their own work.
#[test]
fn nobody_judges_their_own_work_even_under_a_shared_key() {
    let shared = Roster { verifier: WORKER, ..roster() };
    let opened = Fact::RunOpened { run: RUN, task: Box::new(task()), roster: Box::new(shared) };
    let plan = Command::Propose { plan: common_ground::run::PlanReason::Given, modules: vec![(A, spec(&[]))] };
    let own = then(&[Line::Happened(opened)], &[(PRINCIPAL, plan), (WORKER, claim(A)), (WORKER, submit(A, 1))]);
    check(&own, &judge(A, 1, &[true, true]), WORKER, not_allowed(Role::Verifier));
}

#[test]
fn what_is_wanted_follows_the_module() {
    let about_a = |history: &[Line]| {
        let state = play(history).0;
        let lease = state.run().and_then(|run| run.modules.get(&A)?.attempt()).map(|attempt| attempt.lease);
        let wanted = wants(&state).into_iter().filter(|action| match action {
            Action::Claim { module, .. }
            | Action::Work { module, .. }
            | Action::Verify { module, .. }
            | Action::Seal { module, .. } => *module == A,
            Action::Plan | Action::Report | Action::Stand | Action::WakeAt(_) => false,
        });
        (wanted.collect::<Vec<_>>(), lease)
    };
    assert_eq!(wants(&play(&[]).0), Vec::new());
    assert_eq!(wants(&play(&opened()).0), vec![Action::Plan]);
    assert_eq!(about_a(&planned()).0, vec![Action::Claim { module: A, associate: WORKER }]);
    let (wanted, lease) = about_a(&leased());
    let lease = lease.expect("leased");
    assert_eq!(wanted, vec![Action::Work { module: A, lease }]);
    assert_eq!(about_a(&submitted()).0, vec![Action::Verify { module: A, lease, deliverable: deliverable() }]);
    assert_eq!(about_a(&judged()).0, vec![Action::Seal { module: A, lease }]);
    assert_eq!(about_a(&accepted()).0, Vec::new());
    assert_eq!(wants(&play(&done()).0), vec![Action::Report]);
}
