//! Taking, keeping and losing leases: who gets one, when it ends, and what the same attempt keeps.

mod world;

use common_ground::{
    Action, Command, Fact, Millis, Refusal,
    approval::Answer,
    module::StepState,
    refusal::Wanted,
    run::{PauseReason, Task},
    wants,
};
use world::*;

const UNTIL: u64 = BEGIN.0 + LEASE_MS;

#[test]
fn a_ready_module_is_leased_to_a_free_associate() {
    let state = check(&planned(), &claim(A), WORKER, Ok(vec![leased_fact(A, 1, 1, WORKER, UNTIL)]));
    assert_eq!(place_in(&state, A), "leased 1/1");
    let attempt = state.run().expect("open").modules[&A].attempt().expect("begun").clone();
    assert_eq!((attempt.started, attempt.lease.associate, attempt.lease.until), (BEGIN, WORKER, Millis(UNTIL)));
    check(&planned(), &claim(B), WORKER, not_now(B, Wanted::Ready));
    check(&planned(), &claim(UNKNOWN), WORKER, Err(Refusal::NoModule { module: UNKNOWN }));
}

#[test]
fn an_associate_has_one_lease_and_the_run_as_many_as_it_may() {
    check(&leased(), &claim(D), WORKER, Err(Refusal::NoSlot { associate: WORKER }));
    check(&leased(), &claim(D), OTHER, Ok(vec![leased_fact(D, 1, 1, OTHER, UNTIL)]));
    let narrow = Task { parallel: 1, ..task() };
    let one = then(
        &[],
        &[(PRINCIPAL, open_with(narrow, roster())), (PRINCIPAL, propose(&[(A, &[]), (D, &[])])), (WORKER, claim(A))],
    );
    check(&one, &claim(D), OTHER, Err(Refusal::NoSlot { associate: OTHER }));
    let claims = |history: &[Line]| {
        let claims = wants(&play(history).0).into_iter().filter(|action| matches!(action, Action::Claim { .. }));
        claims.count()
    };
    assert_eq!((claims(&one), claims(&leased()), claims(&planned())), (0, 1, 2));
}

#[test]
fn each_way_out_of_a_lease_frees_its_associate() {
    let ways: [(common_ground::ModuleId, Vec<(receipts::PublicKey, Command)>); 7] = [
        (D, vec![(WORKER, submit(A, 1))]),
        (D, vec![(WORKER, give_up(A, 1))]),
        (D, vec![(WORKER, ask(A, 1, APPROVAL))]),
        (D, vec![(NODE, reclaim(true))]),
        (D, vec![(PERSON, hold(A))]),
        (D, vec![(PERSON, cancel(A))]),
        (D, vec![(PERSON, pause(PauseReason::Interrupt)), (PERSON, Command::Resume)]),
    ];
    for (module, way) in ways {
        let facts = vec![leased_fact(module, 1, 1, WORKER, UNTIL)];
        check(&then(&leased(), &way), &claim(module), WORKER, Ok(facts));
    }
}

#[test]
fn a_renewed_lease_ends_later_and_only_the_latest_is_renewed() {
    let later = [leased(), vec![Line::At(500)]].concat();
    let renewed = Fact::LeaseRenewed { module: A, epoch: common_ground::Epoch(1), until: Millis(500 + LEASE_MS) };
    let state = check(&later, &renew(A, 1), NODE, Ok(vec![renewed]));
    assert!(wants(&state).contains(&Action::WakeAt(Millis(500 + LEASE_MS))));
    check(&later, &renew(A, 0), NODE, stale(A, 0));
    check(&later, &renew(A, 2), NODE, stale(A, 2));
    check(&later, &renew(D, 1), NODE, not_now(D, Wanted::Leased));
    let after = then(&later, &[(NODE, renew(A, 1))]);
    let just_before = [after.clone(), vec![Line::At(500 + LEASE_MS - 1)]].concat();
    check(&just_before, &reclaim(false), NODE, Ok(Vec::new()));
    let end = [after, vec![Line::At(500 + LEASE_MS)]].concat();
    check(&end, &reclaim(false), NODE, Ok(vec![lost_fact(A, 1, 1)]));
}

/// Mended: the attempt's record of its latest lease kept the first end.
#[test]
fn bug_the_attempt_knows_the_renewed_end_of_its_lease() {
    let history = then(&[leased(), vec![Line::At(500)]].concat(), &[(NODE, renew(A, 1))]);
    let attempt = run_after(&history).modules[&A].attempt().expect("begun").clone();
    assert_eq!(attempt.lease.until, Millis(500 + LEASE_MS));
}

#[test]
fn leases_past_their_end_are_given_up_and_all_when_the_holder_is_gone() {
    let two = then(&[leased(), vec![Line::At(BEGIN.0 + 400)]].concat(), &[(OTHER, claim(D))]);
    let first_is_over = [two.clone(), vec![Line::At(UNTIL)]].concat();
    check(&two, &reclaim(false), NODE, Ok(Vec::new()));
    check(&first_is_over, &reclaim(false), NODE, Ok(vec![lost_fact(A, 1, 1)]));
    check(&two, &reclaim(true), NODE, Ok(vec![lost_fact(A, 1, 1), lost_fact(D, 1, 1)]));
    check(&planned(), &reclaim(true), NODE, Ok(Vec::new()));
    assert!(wants(&play(&two).0).contains(&Action::WakeAt(Millis(UNTIL))), "the earliest end wakes");
}

/// A history in which the lease was lost with one call finished and one in doubt.
fn lost(how: &[(receipts::PublicKey, Command)]) -> Vec<Line> {
    let calls = [
        (WORKER, finish(owner(A, 1, 1), 0, used(3, 1, 1))),
        (WORKER, start(owner(A, 1, 1), 1, tool(TOOL, true), amount(5, 2, 1))),
    ];
    then(&then(&begun(), &calls), how)
}

#[test]
fn a_lost_lease_goes_on_as_the_same_attempt_in_the_next_epoch_with_its_steps() {
    let resume = [(PERSON, pause(PauseReason::Interrupt)), (PERSON, Command::Resume)];
    let hold_and_let_go = [(PERSON, hold(A)), (PERSON, let_go(A))];
    let asked = [(WORKER, ask(A, 1, APPROVAL)), (PERSON, answer(APPROVAL, Answer::Once))];
    for how in [&[(NODE, reclaim(true))][..], &resume, &hold_and_let_go, &asked] {
        let history = lost(how);
        let state = check(&history, &claim(A), OTHER, Ok(vec![leased_fact(A, 1, 2, OTHER, UNTIL)]));
        let module = &state.run().expect("open").modules[&A];
        assert_eq!((place(&module.life).as_str(), module.attempts.len()), ("leased 1/2", 1), "{how:?}");
        let states: Vec<_> = module.attempts[0].steps.iter().map(|step| &step.state).collect();
        assert!(matches!(states[..], [StepState::Finished { .. }, StepState::Started]), "{how:?}: {states:?}");
        assert_eq!(module.account.reserved(), amount(5, 2, 1), "the call in doubt keeps its reservation");
        assert_eq!(module.attempts[0].lease.associate, OTHER);
        assert_eq!(module.attempts[0].started, BEGIN);
    }
}

#[test]
fn the_old_holder_of_a_lost_lease_can_do_nothing() {
    let again = then(&lost(&[(NODE, reclaim(true))]), &[(WORKER, claim(A))]);
    let owner = owner(A, 1, 1);
    let late = [
        submit(A, 1),
        give_up(A, 1),
        ask(A, 1, APPROVAL),
        finish(owner, 1, used(0, 0, 1)),
        start(owner, 1, tool(TOOL, true), amount(5, 2, 1)),
        start(owner, 2, tool(TOOL, true), amount(0, 0, 0)),
    ];
    for command in late {
        check(&again, &command, WORKER, stale(A, 1));
        check(&lost(&[(NODE, reclaim(true))]), &command, WORKER, not_now(A, Wanted::Leased));
    }
}

#[test]
fn a_paused_run_has_given_up_every_lease() {
    let two = then(&leased(), &[(OTHER, claim(D))]);
    let state = check(
        &two,
        &pause(PauseReason::Budget),
        NODE,
        Ok(vec![Fact::RunPaused { run: RUN, reason: PauseReason::Budget }]),
    );
    assert_eq!((place_in(&state, A), place_in(&state, D)), ("ready 1/2".to_owned(), "ready 1/2".to_owned()));
    assert_eq!(wants(&state), Vec::new());
}
