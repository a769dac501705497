//! Calls: granted, affordable, in order, begun once and finished once; and what becomes of one in doubt.

mod world;

use common_ground::{
    Fact, Refusal, Run, StepIndex,
    budget::{Amount, BudgetPart},
    module::{CallKind, ModuleSpec, Owner, StepState},
    refusal::Wanted,
    role::Role,
    run::{Outcome, PauseReason, Task},
};
use receipts::Digest;
use world::*;

const MINE: Owner =
    Owner::Attempt { module: A, attempt: common_ground::AttemptNumber(1), epoch: common_ground::Epoch(1) };

fn call() -> CallKind {
    tool(TOOL, true)
}

fn reserve() -> Amount {
    amount(5, 2, 1)
}

fn wrong(step: u32) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::WrongStep { step: StepIndex(step) })
}

fn refused_name(name: &str) -> Result<Vec<Fact>, Refusal> {
    Err(Refusal::NotGranted { name: name.to_owned() })
}

/// Reserved and spent of the run and of module A.
fn money(run: &Run) -> [Amount; 4] {
    let module = &run.modules[&A].account;
    [run.account.reserved(), run.account.spent(), module.reserved(), module.spent()]
}

#[test]
fn steps_are_numbered_in_order_and_begun_and_finished_once() {
    let started = started_fact(MINE, 0, call(), reserve());
    check(&leased(), &start(MINE, 0, call(), reserve()), WORKER, Ok(vec![started]));
    check(&leased(), &start(MINE, 1, call(), reserve()), WORKER, wrong(1));
    check(&leased(), &finish(MINE, 0, used(1, 1, 1)), WORKER, wrong(0));
    check(&begun(), &finish(MINE, 0, used(3, 1, 1)), WORKER, Ok(vec![finished_fact(MINE, 0, used(3, 1, 1))]));
    check(&begun(), &finish(MINE, 1, used(1, 1, 1)), WORKER, wrong(1));
    check(&begun(), &start(MINE, 2, call(), reserve()), WORKER, wrong(2));
    let done = then(&begun(), &[(WORKER, finish(MINE, 0, used(3, 1, 1)))]);
    check(&done, &finish(MINE, 0, used(3, 1, 1)), WORKER, wrong(0));
    check(&done, &start(MINE, 0, call(), reserve()), WORKER, wrong(0));
    let second = start(MINE, 1, call(), reserve());
    check(&done, &second, WORKER, Ok(vec![started_fact(MINE, 1, call(), reserve())]));
}

#[test]
fn steps_belong_to_the_lease_and_attempt_they_name() {
    let no_such = [
        (owner(A, 1, 0), stale(A, 0)),
        (owner(A, 1, 2), stale(A, 2)),
        (owner(A, 2, 1), stale(A, 1)),
        (owner(UNKNOWN, 1, 1), Err(Refusal::NoModule { module: UNKNOWN })),
        (owner(B, 1, 1), not_now(B, Wanted::Leased)),
        (owner(D, 1, 1), not_now(D, Wanted::Leased)),
    ];
    for (owner, refusal) in no_such {
        check(&begun(), &start(owner, 0, call(), reserve()), WORKER, refusal.clone());
        check(&begun(), &finish(owner, 0, used(1, 1, 1)), WORKER, refusal);
    }
    let handed_in = then(&begun(), &[(WORKER, submit(A, 1))]);
    check(&handed_in, &finish(MINE, 0, used(1, 1, 1)), WORKER, not_now(A, Wanted::Leased));
    let paused = then(&begun(), &[(PERSON, pause(PauseReason::Interrupt))]);
    check(&paused, &start(MINE, 1, call(), reserve()), WORKER, Err(Refusal::NotOpen));
}

#[test]
fn only_granted_tools_and_the_one_model_are_called() {
    check(&leased(), &start(MINE, 0, tool("rm", true), reserve()), WORKER, refused_name("rm"));
    check(&leased(), &start(MINE, 0, model("larger"), reserve()), WORKER, refused_name("larger"));
    check(&leased(), &start(MINE, 0, model(TOOL), reserve()), WORKER, refused_name(TOOL));
    let asked = Ok(vec![started_fact(MINE, 0, model(MODEL), reserve())]);
    check(&leased(), &start(MINE, 0, model(MODEL), reserve()), WORKER, asked);
    check(&planned(), &start(PLANNER, 0, tool(TOOL, true), reserve()), PRINCIPAL, refused_name(TOOL));
    check(&planned(), &start(PLANNER, 0, model("larger"), reserve()), PRINCIPAL, refused_name("larger"));
    let asked = Ok(vec![started_fact(PLANNER, 0, model(MODEL), reserve())]);
    check(&planned(), &start(PLANNER, 0, model(MODEL), reserve()), PRINCIPAL, asked);
}

/// Mended: an Associate without a lease could call the model at the level of the run, past every module's limit.
#[test]
fn bug_only_the_principal_calls_at_the_level_of_the_run() {
    for (role, by) in
        [(Role::Associate, WORKER), (Role::Person, PERSON), (Role::Node, NODE), (Role::Verifier, VERIFIER)]
    {
        let call = start(Owner::Role { role }, 0, model(MODEL), reserve());
        check(&planned(), &call, by, not_allowed(Role::Principal));
        check(&planned(), &finish(Owner::Role { role }, 0, used(1, 1, 0)), by, not_allowed(Role::Principal));
    }
}

#[test]
fn a_call_in_doubt_is_made_again_only_when_nothing_can_happen_twice() {
    let retried = Ok(vec![Fact::StepRetried { owner: MINE, step: StepIndex(0) }]);
    let state = check(&begun(), &start(MINE, 0, call(), reserve()), WORKER, retried);
    assert_eq!(state, play(&begun()).0, "a call made again changes nothing: no second step, no second reservation");
    let asking = then(&leased(), &[(WORKER, start(MINE, 0, model(MODEL), reserve()))]);
    let retried = Ok(vec![Fact::StepRetried { owner: MINE, step: StepIndex(0) }]);
    check(&asking, &start(MINE, 0, model(MODEL), reserve()), WORKER, retried);
    let once = then(&leased(), &[(WORKER, start(MINE, 0, tool(TOOL, false), reserve()))]);
    let in_doubt = Err(Refusal::InDoubt { step: StepIndex(0) });
    check(&once, &start(MINE, 0, tool(TOOL, false), reserve()), WORKER, in_doubt.clone());
    // The next holder of the attempt may make it again, or not, by the same rule and with the same key.
    let taken_over = [(NODE, reclaim(true)), (OTHER, claim(A))];
    let next = owner(A, 1, 2);
    let retried = Ok(vec![Fact::StepRetried { owner: next, step: StepIndex(0) }]);
    check(&then(&begun(), &taken_over), &start(next, 0, call(), reserve()), OTHER, retried);
    check(&then(&once, &taken_over), &start(next, 0, tool(TOOL, false), reserve()), OTHER, in_doubt);
}

#[test]
fn a_repeated_call_is_the_recorded_one() {
    let diverged = Err(Refusal::Diverged { step: StepIndex(0) });
    let other_request = common_ground::Command::StartStep {
        owner: MINE,
        step: StepIndex(0),
        call: call(),
        request: Digest::of(b"another request"),
        reserve: reserve(),
    };
    let other_tool = CallKind::Tool {
        tool: TOOL.to_owned(),
        tool_digest: Digest::of(b"x"),
        idempotent: true,
        needs: Vec::new(),
        refused: false,
    };
    let done = then(&begun(), &[(WORKER, finish(MINE, 0, used(3, 1, 1)))]);
    for history in [begun(), done] {
        check(&history, &other_request, WORKER, diverged.clone());
        for call in [tool(TOOL, false), model(MODEL), other_tool.clone()] {
            check(&history, &start(MINE, 0, call, reserve()), WORKER, diverged.clone());
        }
    }
}

#[test]
fn money_is_reserved_before_and_settled_after() {
    let zero = Amount::default();
    let begun = begun();
    assert_eq!(money(&run_after(&begun)), [reserve(), zero, reserve(), zero]);
    let done = then(&begun, &[(WORKER, finish(MINE, 0, used(3, 1, 1)))]);
    assert_eq!(money(&run_after(&done)), [zero, amount(3, 1, 1), zero, amount(3, 1, 1)]);
    let above = then(&begun, &[(WORKER, finish(MINE, 0, used(80, 9, 1)))]);
    assert_eq!(money(&run_after(&above)), [zero, amount(80, 9, 1), zero, amount(80, 9, 1)], "booked in full");
    let planning = [
        (PRINCIPAL, start(PLANNER, 0, model(MODEL), reserve())),
        (PRINCIPAL, finish(PLANNER, 0, used(4, 2, 0))),
        (PRINCIPAL, start(PLANNER, 1, model(MODEL), amount(1, 1, 0))),
    ];
    let run = run_after(&then(&begun, &planning));
    assert_eq!(money(&run), [amount(6, 3, 1), amount(4, 2, 0), reserve(), zero], "the run's own calls count too");
}

#[test]
fn a_reservation_fits_the_module_and_the_run() {
    let over = |need, room| Err(Refusal::OverBudget { need, room });
    let module = amount(100, 10, 2);
    for need in [amount(101, 0, 0), amount(0, 11, 0), amount(0, 0, 3), Amount::UNLIMITED] {
        check(&leased(), &start(MINE, 0, call(), need), WORKER, over(need, module));
    }
    let short = Fact::BudgetWarned { part: BudgetPart::Tokens, spent: 100, limit: 100 };
    let facts = vec![started_fact(MINE, 0, call(), module), short];
    check(&leased(), &start(MINE, 0, call(), module), WORKER, Ok(facts));
    // What the run has set aside elsewhere is no room for the module, though the module's own limit is untouched.
    let planning = then(&leased(), &[(PRINCIPAL, start(PLANNER, 0, model(MODEL), amount(60, 45, 0)))]);
    check(&planning, &start(MINE, 0, call(), amount(41, 0, 0)), WORKER, over(amount(41, 0, 0), amount(40, 5, 2)));
    check(
        &planning,
        &start(PLANNER, 1, model(MODEL), amount(41, 0, 0)),
        PRINCIPAL,
        over(amount(41, 0, 0), amount(40, 5, 4)),
    );
    // What was used is no room either, also above the reservation; a call that needs nothing may still be made.
    let spent = then(&begun(), &[(WORKER, finish(MINE, 0, used(200, 1, 1)))]);
    check(&spent, &start(MINE, 1, call(), amount(1, 0, 0)), WORKER, over(amount(1, 0, 0), amount(0, 9, 1)));
    check(
        &spent,
        &start(MINE, 1, call(), amount(0, 9, 1)),
        WORKER,
        Ok(vec![started_fact(MINE, 1, call(), amount(0, 9, 1))]),
    );
}

/// What a call in doubt had set aside is spent when its attempt is over, however it ends: the call may have happened.
#[test]
fn the_end_of_an_attempt_settles_its_calls_in_doubt() {
    let handed_in = [(WORKER, submit(A, 1)), (VERIFIER, judge(A, 1, &[true, false]))];
    let accepted = [(WORKER, submit(A, 1)), (VERIFIER, judge(A, 1, &[true, true])), (PRINCIPAL, accept(A, 1))];
    let lost_then_cancelled = [(NODE, reclaim(true)), (PERSON, cancel(A))];
    let ends: [&[_]; 6] = [
        &[(WORKER, give_up(A, 1))],
        &handed_in,
        &accepted,
        &[(PERSON, cancel(A))],
        &[(PERSON, common_ground::Command::Cancel)],
        &lost_then_cancelled,
    ];
    let zero = Amount::default();
    for end in ends {
        let run = run_after(&then(&begun(), end));
        assert_eq!(money(&run), [zero, reserve(), zero, reserve()], "{end:?}");
        assert_eq!(run.modules[&A].attempts[0].steps[0].state, StepState::Started, "it stays without a result");
    }
}

/// Mended: a call of the Principal's that was under way stayed reserved for ever.
#[test]
fn bug_the_end_of_the_run_settles_the_calls_of_its_roles() {
    let call = [(PRINCIPAL, start(PLANNER, 0, model(MODEL), reserve()))];
    let cancelled = then(&then(&planned(), &call), &[(PERSON, common_ground::Command::Cancel)]);
    let closed = then(&then(&done(), &call), &[(PRINCIPAL, close(Outcome::Completed))]);
    for history in [cancelled, closed] {
        let run = run_after(&history);
        assert_eq!((run.account.reserved(), run.account.spent()), (Amount::default(), reserve()));
    }
}

/// Mended: the result of a call could be recorded after the run was closed.
#[test]
fn bug_no_call_ends_after_the_run() {
    let calling = then(&planned(), &[(PRINCIPAL, start(PLANNER, 0, model(MODEL), reserve()))]);
    let paused = then(&calling, &[(PERSON, pause(PauseReason::Interrupt))]);
    let facts = vec![finished_fact(PLANNER, 0, used(1, 1, 0))];
    check(&paused, &finish(PLANNER, 0, used(1, 1, 0)), PRINCIPAL, Ok(facts));
    let cancelled = then(&calling, &[(PERSON, common_ground::Command::Cancel)]);
    check(&cancelled, &finish(PLANNER, 0, used(1, 1, 0)), PRINCIPAL, Err(Refusal::NotOpen));
}

#[test]
fn no_call_begins_when_the_time_is_used_up() {
    let late = |history: Vec<Line>, at: u64| [history, vec![Line::At(BEGIN.0 + at)]].concat();
    let begin = start(MINE, 0, call(), reserve());
    let started = Ok(vec![started_fact(MINE, 0, call(), reserve())]);
    let short = Fact::BudgetWarned { part: BudgetPart::Wall, spent: WALL_MS, limit: WALL_MS };
    let warned = Ok(vec![started_fact(MINE, 0, call(), reserve()), short]);
    check(&late(leased(), WALL_MS), &begin, WORKER, warned);
    check(&late(leased(), WALL_MS + 1), &begin, WORKER, Err(Refusal::OutOfTime));
    check(
        &late(planned(), WALL_MS + 1),
        &start(PLANNER, 0, model(MODEL), reserve()),
        PRINCIPAL,
        Err(Refusal::OutOfTime),
    );
    let endless = open_with(Task { wall_ms: 0, ..task() }, roster());
    let endless = then(&[], &[(PRINCIPAL, endless), (PRINCIPAL, propose(&[(A, &[])])), (WORKER, claim(A))]);
    check(&late(endless, u64::MAX - BEGIN.0), &begin, WORKER, started);
}

#[test]
fn an_attempt_uses_what_its_finished_calls_used() {
    let calls = [
        (WORKER, finish(MINE, 0, used(3, 1, 1))),
        (WORKER, start(MINE, 1, model(MODEL), reserve())),
        (WORKER, finish(MINE, 1, used(4, 2, 0))),
        (WORKER, start(MINE, 2, model(MODEL), reserve())),
    ];
    let usage = run_after(&then(&begun(), &calls)).modules[&A].attempts[0].usage();
    assert_eq!((usage.amount(), usage.wall_ms), (amount(7, 3, 1), 14));
    let bare = ModuleSpec { tools: Vec::new(), ..spec(&[]) };
    let plan =
        common_ground::Command::Propose { plan: common_ground::run::PlanReason::Single, modules: vec![(A, bare)] };
    let history = then(&opened(), &[(PRINCIPAL, plan), (WORKER, claim(A))]);
    check(&history, &start(MINE, 0, call(), reserve()), WORKER, refused_name(TOOL));
}
