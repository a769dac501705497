//! Opening a run and planning it: what may be opened, what a plan may hold, when a module is ready.

mod world;

use common_ground::{
    Fact, ModuleId, Refusal,
    module::{EndReason, Input, ModuleSpec},
    refusal::Wanted,
    role::{Role, Roster},
    run::{PauseReason, PlanReason, Task},
};
use uuid::Uuid;
use world::*;

fn opened_fact() -> Fact {
    Fact::RunOpened { run: RUN, task: Box::new(task()), roster: Box::new(roster()) }
}

fn plan_facts(modules: &[(ModuleId, ModuleSpec)]) -> Vec<Fact> {
    let plan = Fact::PlanRecorded { plan: PlanReason::Given, modules: modules.len() as u32 };
    let proposed = modules.iter().map(|(module, spec)| Fact::ModuleProposed { module: *module, spec: spec.clone() });
    std::iter::once(plan).chain(proposed).collect()
}

#[test]
fn a_run_is_opened_once_and_by_the_partner() {
    let state = check(&[], &open(), PRINCIPAL, Ok(vec![opened_fact()]));
    assert_eq!(state.run().map(|run| (run.id, run.opened)), Some((RUN, BEGIN)));
    for by in EVERYBODY.into_iter().filter(|key| *key != PRINCIPAL) {
        check(&[], &open(), by, not_allowed(Role::Partner));
    }
    for by in EVERYBODY {
        check(&opened(), &open(), by, Err(Refusal::AlreadyOpen));
    }
}

#[test]
fn no_key_stands_for_two_roles() {
    let rosters = [
        Roster { person: PRINCIPAL, ..roster() },
        Roster { verifier: PRINCIPAL, ..roster() },
        Roster { node: PRINCIPAL, ..roster() },
        Roster { associates: vec![WORKER, PRINCIPAL], ..roster() },
    ];
    for roster in rosters {
        check(&[], &open_with(task(), roster), PRINCIPAL, Err(Refusal::SharedKey { key: PRINCIPAL }));
    }
    let rosters = [
        (Roster { node: PERSON, ..roster() }, PERSON),
        (Roster { person: VERIFIER, ..roster() }, VERIFIER),
        (Roster { verifier: NODE, ..roster() }, NODE),
        (Roster { associates: vec![WORKER, VERIFIER], ..roster() }, VERIFIER),
        (Roster { associates: vec![NODE], ..roster() }, NODE),
        (Roster { associates: vec![WORKER, OTHER, WORKER], ..roster() }, WORKER),
    ];
    for (roster, key) in rosters {
        check(&[], &open_with(task(), roster), PRINCIPAL, Err(Refusal::SharedKey { key }));
    }
}

#[test]
fn a_plan_is_recorded_with_its_modules_in_order() {
    let modules = [(B, spec(&[])), (A, spec(&[B]))];
    let state = check(&opened(), &propose(&[(B, &[]), (A, &[B])]), PRINCIPAL, Ok(plan_facts(&modules)));
    let run = state.run().expect("open");
    assert_eq!((run.order.as_slice(), run.live()), ([B, A].as_slice(), 2));
    assert_eq!(run.plan, vec![PlanReason::Given]);
    assert_eq!((place_in(&state, B), place_in(&state, A)), ("ready 1/1".to_owned(), "proposed".to_owned()));
    assert_eq!(run.ends().collect::<Vec<_>>(), vec![A]);
}

#[test]
fn a_later_plan_may_build_on_an_earlier_one() {
    let more = propose(&[(UNKNOWN, &[A])]);
    let facts = plan_facts(&[(UNKNOWN, spec(&[A]))]);
    let state = check(&planned(), &more, PRINCIPAL, Ok(facts.clone()));
    assert_eq!(place_in(&state, UNKNOWN), "proposed");
    let state = check(&accepted(), &more, PRINCIPAL, Ok(facts));
    assert_eq!(place_in(&state, UNKNOWN), "ready 1/1", "an input that is accepted already is not waited for");
}

#[test]
fn plans_that_cannot_be_carried_out_are_refused() {
    let first =
        |spec: ModuleSpec| common_ground::Command::Propose { plan: PlanReason::Single, modules: vec![(A, spec)] };
    let share = |shares: &[u32]| {
        let inputs = [B, C, D].into_iter().zip(shares);
        let inputs = inputs.map(|(module, share)| Input { share: *share, ..spec(&[module]).inputs[0].clone() });
        ModuleSpec { inputs: inputs.collect(), ..spec(&[]) }
    };
    let others = then(&opened(), &[(PRINCIPAL, propose(&[(B, &[]), (C, &[]), (D, &[])]))]);
    let refused = [
        (opened(), propose(&[]), Refusal::EmptyPlan),
        (opened(), propose(&[(A, &[]), (A, &[])]), Refusal::Repeated { module: A }),
        (planned(), propose(&[(UNKNOWN, &[]), (A, &[])]), Refusal::Repeated { module: A }),
        (opened(), propose(&[(A, &[A])]), Refusal::BadInput { module: A, input: A }),
        (opened(), propose(&[(A, &[B]), (B, &[])]), Refusal::BadInput { module: A, input: B }),
        (opened(), propose(&[(A, &[UNKNOWN])]), Refusal::BadInput { module: A, input: UNKNOWN }),
        (others.clone(), propose(&[(A, &[B, B])]), Refusal::BadInput { module: A, input: B }),
        (others.clone(), first(share(&[50, 51])), Refusal::Overshared { module: A, share: 101 }),
        (others.clone(), first(share(&[u32::MAX, 1])), Refusal::Overshared { module: A, share: u32::MAX }),
        (opened(), first(ModuleSpec { criteria: Vec::new(), ..spec(&[]) }), Refusal::NoCriteria { module: A }),
    ];
    for (history, command, refusal) in refused {
        check(&history, &command, PRINCIPAL, Err(refusal));
    }
    let whole = play(&others).0;
    let answer =
        common_ground::decide(&whole, &first(share(&[50, 50])), &common_ground::Ctx { at: BEGIN, by: PRINCIPAL });
    assert!(answer.is_ok(), "shares of exactly 100 per cent are allowed: {answer:?}");
}

/// Mended: such a module waited for ever, and the run with it.
#[test]
fn bug_a_plan_on_a_module_that_was_given_up_is_refused() {
    let cancelled = then(&planned(), &[(PERSON, cancel(A))]);
    let failed = then(&leased(), &[(WORKER, give_up(A, 1)), (WORKER, claim(A)), (WORKER, give_up(A, 2))]);
    for history in [cancelled, failed] {
        let refusal = Refusal::BadInput { module: UNKNOWN, input: A };
        check(&history, &propose(&[(UNKNOWN, &[A])]), PRINCIPAL, Err(refusal));
    }
}

#[test]
fn a_module_is_ready_when_its_last_input_is_accepted() {
    let both: &[ModuleId] = &[A, B];
    let plan = propose(&[(A, &[]), (B, &[]), (C, both)]);
    let work = |module, by| {
        [
            (by, claim(module)),
            (by, submit(module, 1)),
            (VERIFIER, judge(module, 1, &[true, true])),
            (PRINCIPAL, accept(module, 1)),
        ]
    };
    let one = then(&then(&opened(), &[(PRINCIPAL, plan)]), &work(B, OTHER));
    check(&one, &claim(C), WORKER, not_now(C, Wanted::Ready));
    let two = then(&one, &work(A, WORKER));
    check(&two, &claim(C), WORKER, Ok(vec![leased_fact(C, 1, 1, WORKER, BEGIN.0 + LEASE_MS)]));
}

#[test]
fn a_child_is_clamped_to_what_the_run_may_use() {
    let run = run_after(&planned());
    assert_eq!(run.account.limit(), amount(100, 50, 4));
    assert_eq!(run.modules[&A].account.limit(), amount(100, 10, 2), "of 1,000 tokens asked the run has 100");
    assert_eq!(Task { limit: run.account.limit(), ..task() }, task());
}

#[test]
fn nothing_is_planned_in_a_run_that_stands_still_or_is_over() {
    let paused = then(&opened(), &[(PERSON, pause(PauseReason::Interrupt))]);
    check(&paused, &propose(&[(A, &[])]), PRINCIPAL, Err(Refusal::NotOpen));
    let over = then(&opened(), &[(PERSON, common_ground::Command::Cancel)]);
    check(&over, &propose(&[(A, &[])]), PRINCIPAL, Err(Refusal::NotOpen));
}

#[test]
fn a_plan_of_a_thousand_modules_in_a_row_cascades() {
    let id = |number: u128| ModuleId(Uuid::from_u128(1_000 + number));
    let modules: Vec<_> = (0..1_000).map(|n| (id(n), spec(&if n == 0 { vec![] } else { vec![id(n - 1)] }))).collect();
    let plan = common_ground::Command::Propose { plan: PlanReason::Given, modules };
    let history = then(&opened(), &[(PRINCIPAL, plan), (WORKER, claim(id(0)))]);
    let ended = ended_fact(id(0), 1, EndReason::Cancelled);
    let facts = std::iter::once(ended).chain((0..1_000).map(|n| cancelled_fact(id(n)))).collect();
    let state = check(&history, &cancel(id(0)), PERSON, Ok(facts));
    assert_eq!(state.run().map(common_ground::Run::live), Some(0));
}
