//! Beginning a run from another: what it takes over, what it does not, and who may.

mod world;

use common_ground::{
    Action, Command, Fact, Millis, ModuleId, Refusal, Run, State,
    approval::Answer,
    budget::Amount,
    fork::{Beginning, Origin},
    guardian::{Act, Suspect},
    module::Life,
    role::Role,
    run::{PauseReason, Phase, PlanReason},
    wants,
};
use receipts::Digest;
use world::*;

fn link() -> Digest {
    Digest::of(b"link")
}

fn fork(of: &Run) -> Command {
    let (roster, of) = (Box::new(roster()), Box::new(of.clone()));
    Command::Fork { run: UNKNOWN_RUN, roster, of, place: 9, link: link() }
}

/// What a fork of this run begins as.
#[track_caller]
fn fork_of(of: &Run) -> State {
    let from = Origin { run: of.id, place: 9, link: link() };
    let fact = Fact::RunForked { run: UNKNOWN_RUN, from, begins: Box::new(Beginning::of(of, &roster())) };
    let state = check(&[Line::At(77)], &fork(of), PERSON, Ok(vec![fact]));
    let run = state.run().expect("open");
    assert_eq!((run.origin, run.opened), (Some(from), Millis(77)));
    assert_eq!(run.phase, Phase::Paused { reason: PauseReason::Interrupt }, "it waits for the person");
    assert_eq!(wants(&state), Vec::new());
    state
}

#[track_caller]
fn forked(history: &[Line]) -> Run {
    fork_of(&run_after(history)).run().expect("open").clone()
}

fn places(run: &Run) -> Vec<(ModuleId, String)> {
    run.order.iter().map(|id| (*id, place(&run.modules[id].life))).collect()
}

/// A was worked and accepted, B is at work.
fn halfway() -> Vec<Line> {
    let (mine, next) = (owner(A, 1, 1), owner(B, 1, 1));
    let call = [
        (WORKER, start(mine, 0, tool(TOOL, true), amount(0, 2, 1))),
        (WORKER, finish(mine, 0, used(0, 2, 1))),
        (WORKER, submit(A, 1)),
        (VERIFIER, judge(A, 1, &[true, true])),
        (PRINCIPAL, accept(A, 1)),
        (WORKER, claim(B)),
        (WORKER, start(next, 0, tool(TOOL, true), amount(0, 3, 1))),
    ];
    then(&leased(), &call)
}

#[test]
fn what_was_accepted_stays_and_the_rest_is_worked_anew() {
    let of = run_after(&halfway());
    let state = fork_of(&of);
    let run = state.run().expect("open");
    let expected = [(A, "accepted 1/1"), (B, "ready 1/1"), (C, "proposed"), (D, "ready 1/1")];
    assert_eq!(places(run), expected.map(|(id, place)| (id, place.to_owned())));
    let (kept, was) = (&run.modules[&A], &of.modules[&A]);
    assert_eq!((kept.kept_from, &kept.life), (Some(RUN), &was.life), "with its deliverable and its receipt");
    assert_eq!(kept.attempts[0].steps, was.attempts[0].steps, "for those that read what was done");
    assert_eq!(kept.attempts[0].end, was.attempts[0].end);
    assert!(run.modules[&B].attempts.is_empty() && run.modules[&B].kept_from.is_none());
    // Only what can be begun, and A is not.
    let mut resumed = state.clone();
    common_ground::apply(&mut resumed, Millis(78), &Fact::RunResumed { run: UNKNOWN_RUN }).expect("fits");
    let claims = wants(&resumed).into_iter().filter_map(|action| match action {
        Action::Claim { module, .. } => Some(module),
        _other => None,
    });
    assert_eq!(claims.collect::<Vec<_>>(), [B, D]);
}

#[test]
fn nothing_that_was_paid_there_is_booked_here() {
    let raise = Command::Raise { limit: amount(500, 60, 4), wall_ms: 90_000 };
    let of = run_after(&then(&halfway(), &[(PERSON, raise)]));
    assert_ne!(of.account.spent(), Amount::default());
    let run = fork_of(&of).run().expect("open").clone();
    assert_eq!((run.account.spent(), run.account.reserved()), Default::default());
    assert_eq!((run.account.limit(), run.wall_ms), (amount(500, 60, 4), 90_000), "as much as was allowed there");
    assert!(run.modules.values().all(|module| module.account.spent() == Amount::default()));
    assert_eq!(run.modules[&B].account.limit(), of.modules[&B].account.limit());
}

/// Wherever a module was, short of accepted: it begins again, with all its attempts.
#[test]
fn whatever_was_not_accepted_begins_again() {
    let back = then(&submitted(), &[(VERIFIER, judge(A, 1, &[true, false]))]);
    let again = then(&back, &[(WORKER, claim(A)), (WORKER, submit(A, 2))]);
    for history in [
        planned(),
        leased(),
        begun(),
        submitted(),
        judged(),
        back.clone(),
        then(&again, &[(VERIFIER, judge(A, 2, &[false, true]))]),
        then(&leased(), &[(PERSON, cancel(A))]),
        then(&leased(), &[(PERSON, hold(A))]),
        then(&leased(), &[(WORKER, ask(A, 1, APPROVAL))]),
        then(&leased(), &[(PERSON, pause(PauseReason::Interrupt))]),
        then(&leased(), &[(PERSON, Command::Cancel)]),
    ] {
        let run = forked(&history);
        let expected = [(A, "ready 1/1"), (B, "proposed"), (C, "proposed"), (D, "ready 1/1")];
        assert_eq!(places(&run), expected.map(|(id, place)| (id, place.to_owned())), "{history:?}");
        assert!(run.approvals.is_empty() && run.modules.values().all(|module| module.attempts.is_empty()));
        assert_eq!(run.live(), 4);
    }
}

/// The place may lie within the facts of one plan: half a plan is no plan.
#[test]
fn a_plan_that_is_not_wholly_on_record_is_made_anew() {
    let half = |history: &[Line], id: ModuleId, of: u32| {
        let plan = Line::Happened(Fact::PlanRecorded { plan: PlanReason::Single, modules: of });
        let proposed = Line::Happened(Fact::ModuleProposed { module: id, spec: spec(&[]) });
        [history, &[plan, proposed]].concat()
    };
    let run = forked(&half(&opened(), A, 2));
    assert_eq!((run.plan.len(), run.modules.len()), (0, 0));
    let run = forked(&half(&opened(), A, 1));
    assert_eq!((run.plan.len(), run.modules.len()), (1, 1));
    let run = forked(&half(&accepted(), UNKNOWN, 2));
    assert_eq!((run.plan, run.order), (vec![PlanReason::Given], vec![A, B, C, D]), "the plan before it stays");
    // A fork of a fork, too, knows how much of its plan there is.
    let first = forked(&accepted());
    let (mut other, order) = (first.clone(), first.order.clone());
    other.id = RUN;
    assert_eq!(fork_of(&other).run().expect("open").order, order);
}

/// What was forbidden stays so; what the person allowed in that run was allowed in that run.
#[test]
fn orders_that_forbade_hold_on_and_answers_do_not() {
    let tool = Suspect::Tool(TOOL.to_owned());
    let item: common_ground::grant::Item = "run:process=ls".parse().expect("an item");
    let revoke = order(Act::Revoke { item: item.clone() });
    let history = then(
        &leased(),
        &[
            (NODE, chartered()),
            (WORKER, ask(A, 1, APPROVAL)),
            (PERSON, answer(APPROVAL, Answer::Run)),
            (NODE, ordered(&order(Act::Quarantine(tool.clone())), &[PERSON])),
            (NODE, ordered(&revoke, &[PERSON, SECOND])),
            (NODE, ordered(&order(Act::Drain), &[PERSON])),
        ],
    );
    let of = run_after(&history);
    assert!(of.quarantined.contains_key(&tool) && of.draining && !of.approvals.is_empty(), "{of:?}");
    let run = forked(&history);
    assert!(run.quarantined.contains_key(&tool) && run.task.permissions.deny.contains(&item));
    assert!(run.approvals.is_empty() && run.charters.is_empty() && !run.draining);
}

#[test]
fn who_accepted_it_is_named_through_every_fork() {
    let first = forked(&accepted());
    let second = Command::Fork {
        run: common_ground::RunId(uuid::Uuid::from_u128(3)),
        roster: Box::new(roster()),
        of: Box::new(first),
        place: 1,
        link: link(),
    };
    let (state, at) = play(&[Line::Said(PERSON, second)]);
    let run = state.run().expect("open");
    assert_eq!(run.origin.map(|origin| origin.run), Some(UNKNOWN_RUN));
    assert_eq!((run.modules[&A].kept_from, at), (Some(RUN), BEGIN));
    assert!(matches!(run.modules[&A].life, Life::Accepted { receipt, .. } if receipt == world::receipt()));
}

#[test]
fn only_the_person_forks_and_only_into_a_run_of_its_own() {
    let of = run_after(&accepted());
    for by in EVERYBODY.into_iter().filter(|by| *by != PERSON) {
        check(&[], &fork(&of), by, not_allowed(Role::Person));
    }
    check(&opened(), &fork(&of), PERSON, Err(Refusal::AlreadyOpen));
    let own =
        |run, roster| Command::Fork { run, roster: Box::new(roster), of: Box::new(of.clone()), place: 1, link: link() };
    check(&[], &own(RUN, roster()), PERSON, Err(Refusal::AlreadyOpen));
    let shared = common_ground::role::Roster { verifier: WORKER, ..roster() };
    check(&[], &own(UNKNOWN_RUN, shared), PERSON, Err(Refusal::SharedKey { key: WORKER }));
}
