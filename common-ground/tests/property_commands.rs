//! Random commands by random keys, most of them nearly right: what must hold of a run holds after each, and the journal
//! alone gives the same state.

mod world;

use common_ground::{
    ApprovalId, AttemptNumber, Command, Epoch, ModuleId, State, StepIndex,
    approval::Answer,
    budget::Amount,
    module::{CallOutcome, Life, Module, ModuleSpec, Owner},
    role::Role,
    run::{Outcome, PauseReason, Phase, PlanReason, Task},
    wants,
};
use proptest::prelude::*;
use receipts::{Digest, PublicKey};
use uuid::Uuid;
use world::{
    watch::{Watch, borne_out},
    *,
};

/// One random command: what sort, on which module, and three choices within it.
type Move = [u8; 5];

const MODULES: u8 = 8;

fn id(number: u8) -> ModuleId {
    ModuleId(Uuid::from_u128(100 + u128::from(number % MODULES)))
}

fn one_of<T: Copy>(choices: &[T], choice: u8) -> T {
    choices[usize::from(choice) % choices.len()]
}

/// Mostly `right`; one time in sixteen another key.
fn mostly(right: PublicKey, choice: u8) -> PublicKey {
    if choice < 240 { right } else { one_of(&EVERYBODY, choice) }
}

fn module(state: &State, id: ModuleId) -> Option<&Module> {
    state.run()?.modules.get(&id)
}

/// The attempt, epoch and holder of the latest lease; mostly right.
fn lease(state: &State, id: ModuleId, choice: u8) -> (AttemptNumber, Epoch, PublicKey) {
    let lease = module(state, id).and_then(Module::attempt).map(|attempt| attempt.lease);
    let (attempt, epoch, by) =
        lease.map_or((AttemptNumber(1), Epoch(1), WORKER), |lease| (lease.attempt, lease.epoch, lease.associate));
    match choice {
        0..8 => (attempt, Epoch(epoch.0 - 1), by),
        8..16 => (attempt, epoch.next(), by),
        16..24 => (AttemptNumber(attempt.0 + 1), epoch, by),
        24..=255 => (attempt, epoch, by),
    }
}

/// A module in one of the states asked for, if there is one; else any, mostly one that exists.
fn pick(state: &State, choice: u8, wanted: impl Fn(&Life) -> bool) -> ModuleId {
    let modules: Vec<(ModuleId, &Life)> =
        state.run().into_iter().flat_map(|run| &run.modules).map(|(id, module)| (*id, &module.life)).collect();
    let fitting: Vec<ModuleId> = modules.iter().filter(|(_, life)| wanted(life)).map(|(id, _)| *id).collect();
    match (fitting.is_empty(), modules.is_empty() || choice >= 248) {
        (_, true) => id(choice),
        (true, false) => one_of(&modules, choice).0,
        (false, false) => one_of(&fitting, choice),
    }
}

fn plan(state: &State, [_, first, inputs, shares, limit]: Move) -> Command {
    let many = 1 + first % 3;
    let modules = (0..many).map(|number| {
        let module = id(first.wrapping_add(number));
        let inputs: Vec<ModuleId> = (0..MODULES).filter(|bit| inputs >> bit & 1 == 1).map(id).take(2).collect();
        // Mostly inputs that exist.
        let inputs: Vec<ModuleId> =
            inputs.into_iter().filter(|input| shares < 8 || self::module(state, *input).is_some()).collect();
        let limit = amount(u64::from(limit), 40, u64::from(limit % 5));
        (module, ModuleSpec { limit, ..spec(&inputs) })
    });
    Command::Propose { plan: PlanReason::Given, modules: modules.collect() }
}

fn step(state: &State, owner: Owner, begin: bool, [_, _, kind, which, money]: Move) -> Command {
    let run = state.run().expect("open");
    let steps = match owner {
        Owner::Role { role } => run.role_steps.get(&role),
        Owner::Attempt { module, .. } | Owner::Verifier { module, .. } => {
            run.modules.get(&module).and_then(Module::attempt).map(|open| &open.steps)
        }
    };
    let steps = steps.map_or(&[][..], Vec::as_slice);
    let last = steps.len().saturating_sub(1);
    let at = |index: usize| StepIndex(u32::try_from(index).expect("few steps"));
    if begin {
        let next = if which < 200 { steps.len() } else { last };
        let mut call =
            one_of(&[model(MODEL), tool(TOOL, true), tool(TOOL, false), tool("rm", true)].each_ref(), kind).clone();
        if let (Some(recorded), true) = (steps.get(next), which < 245) {
            call = recorded.call.clone();
        }
        let reserve = amount(u64::from(money), u64::from(money % 7), u64::from(money % 3));
        return Command::StartStep { owner, step: at(next), call, request: Digest::of(b"request"), reserve };
    }
    let reserved = steps.get(last).map_or(Amount::default(), |step| step.reserved);
    // One call in ten uses more than was set aside.
    let more = if money > 230 { 20 } else { 0 };
    let usage = used(reserved.tokens / 2 + more, reserved.cost_micro + more, reserved.tool_calls);
    let outcome = if kind % 4 == 0 { CallOutcome::Failed } else { CallOutcome::Done };
    Command::FinishStep { owner, step: at(last), outcome, response: Digest::of(&[which]), usage, traced: None }
}

fn to_command(state: &State, now: Move) -> (PublicKey, Command) {
    let [sort, which, who, first, second] = now;
    let ready = |choice| pick(state, choice, |life| matches!(life, Life::Ready(_)));
    let leased = pick(state, which, |life| matches!(life, Life::Leased(_)));
    let (attempt, epoch, worker) = lease(state, leased, first);
    let mine = Owner::Attempt { module: leased, attempt, epoch };
    let planner = Owner::Role { role: if which < 240 { Role::Principal } else { Role::Verifier } };
    let stands = state.run().is_some_and(|run| matches!(run.phase, Phase::Paused { .. }));
    match sort % 64 {
        0..4 if stands => (mostly(PERSON, who), Command::Resume),
        0..4 => (mostly(PRINCIPAL, who), plan(state, now)),
        4..14 => (mostly(one_of(&[WORKER, OTHER, THIRD], first), who), claim(ready(which))),
        14..24 => (mostly(worker, who), step(state, mine, true, now)),
        24..32 => (mostly(worker, who), step(state, mine, false, now)),
        32..34 => (mostly(PRINCIPAL, who), step(state, planner, true, now)),
        34..36 => (mostly(PRINCIPAL, who), step(state, planner, false, now)),
        36..41 => {
            let deliverable = Digest::of(&[second]);
            (mostly(worker, who), Command::Submit { module: leased, epoch, deliverable })
        }
        41..46 => judge_one(state, now),
        46..51 => {
            let module = pick(state, which, |life| matches!(life, Life::Judged { .. }));
            let (_, epoch, _) = lease(state, module, first);
            (mostly(PRINCIPAL, who), accept(module, epoch.0))
        }
        51 => (mostly(worker, who), give_up(leased, epoch.0)),
        52 => (mostly(worker, who), ask(leased, epoch.0, ApprovalId(Uuid::from_u128(u128::from(second % 6))))),
        53 | 54 => (
            mostly(PERSON, who),
            answer(
                ApprovalId(Uuid::from_u128(u128::from(second % 6))),
                [Answer::Deny, Answer::Once, Answer::Run, Answer::Words { text: String::new() }]
                    [usize::from(first % 4)]
                .clone(),
            ),
        ),
        55 => (mostly(NODE, who), renew(leased, epoch.0)),
        56 => (mostly(NODE, who), reclaim(second > 200)),
        57 => (mostly(PERSON, who), hold(id(which))),
        58 | 59 => (mostly(PERSON, who), let_go(pick(state, which, |life| matches!(life, Life::Paused { .. })))),
        60 if second > 128 => (mostly(PERSON, who), cancel(id(which))),
        61 if second > 240 => (mostly(PERSON, who), Command::Cancel),
        61 => (mostly(NODE, who), pause(PauseReason::Budget)),
        60 | 62 => (mostly(PERSON, who), Command::Resume),
        _last => {
            let outcomes = [Outcome::Completed, Outcome::NotAccepted, Outcome::Failed, Outcome::Refused];
            let outcome = if second < 128 { one_of(&outcomes, first) } else { borne_out(state.run().expect("open")) };
            (mostly(PRINCIPAL, who), close(outcome))
        }
    }
}

fn judge_one(state: &State, [_, which, who, first, second]: Move) -> (PublicKey, Command) {
    let module = pick(state, which, |life| matches!(life, Life::Submitted { .. }));
    let (_, epoch, worker) = lease(state, module, first);
    let submitted = self::module(state, module).and_then(Module::attempt).and_then(|attempt| attempt.deliverable);
    let deliverable = if second < 8 { deliverable() } else { submitted.unwrap_or(deliverable()) };
    let verdicts = verdicts(&[second % 4 > 0, true]);
    let by = if who > 250 { worker } else { mostly(VERIFIER, who) };
    (by, Command::Judge { module, epoch, deliverable, verdicts })
}

fn opened(attempts: u32, parallel: u32) -> Watch {
    let mut watch = Watch::new();
    let task = Task { attempts, parallel, limit: amount(600, 400, 60), wall_ms: 0, lease_ms: 40, ..task() };
    watch.allowed(PRINCIPAL, &open_with(task, roster()));
    watch.allowed(PRINCIPAL, &propose(&[(id(0), &[]), (id(1), &[]), (id(2), &[id(0)])]));
    watch
}

/// How far random commands come, so that the property is known to look at something.
#[derive(Default)]
struct Reach {
    refused: usize,
    allowed: usize,
    accepted: usize,
    failed: usize,
    retried: usize,
}

fn play_moves(watch: &mut Watch, moves: &[Move]) -> Reach {
    let mut reach = Reach::default();
    for one in moves {
        watch.at = watch.at.plus(u64::from(one[4] % 8));
        let (by, command) = to_command(&watch.state, *one);
        let before = watch.state.clone();
        match watch.say(by, &command) {
            Ok(_) => {
                reach.allowed += 1;
                reach.retried += usize::from(matches!(command, Command::StartStep { .. }) && watch.state == before);
            }
            Err(_) => {
                reach.refused += 1;
                assert_eq!(watch.state, before, "a refusal changes nothing");
            }
        }
        watch.check();
    }
    let lives = || watch.run().modules.values().map(|module| &module.life);
    reach.accepted = lives().filter(|life| matches!(life, Life::Accepted { .. })).count();
    reach.failed = lives().filter(|life| matches!(life, Life::Failed { .. })).count();
    reach
}

fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    proptest::collection::vec(any::<Move>(), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_must_hold_holds_after_any_command(attempts in 1..4_u32, parallel in 1..4_u32, moves in moves(160)) {
        let mut watch = opened(attempts, parallel);
        play_moves(&mut watch, &moves);
        prop_assert_eq!(watch.replay(), watch.state.clone(), "replay is life");
        // However far it came, a person can end it, and then every attempt has its end and all money is settled.
        if watch.run().live() > 0 || !wants(&watch.state).is_empty() {
            let still = watch.say(PERSON, &Command::Cancel);
            prop_assert!(still.is_ok(), "{still:?}");
        }
        if let Phase::Paused { .. } = watch.run().phase {
            watch.allowed(PERSON, &Command::Cancel);
        }
        watch.check_over();
        // And after that no command makes a fact.
        let facts = watch.facts();
        play_moves(&mut watch, &moves);
        prop_assert_eq!(watch.facts(), facts);
    }

    #[test]
    fn a_crash_at_any_moment_loses_leases_and_nothing_else(
        before in moves(80), after in moves(80), attempts in 1..3_u32,
    ) {
        let mut watch = opened(attempts, 3);
        play_moves(&mut watch, &before);
        let steps = |watch: &Watch| -> Vec<_> {
            let attempts = watch.run().modules.values().flat_map(|module| module.attempts.clone());
            attempts.map(|attempt| (attempt.number, attempt.steps, attempt.end)).collect()
        };
        let kept = steps(&watch);
        watch.crash();
        prop_assert_eq!(kept, steps(&watch), "every attempt goes on with its steps");
        let leased = watch.run().modules.values().any(|module| matches!(module.life, Life::Leased(_)));
        prop_assert!(!leased);
        watch.check();
        play_moves(&mut watch, &after);
        prop_assert_eq!(watch.replay(), watch.state.clone());
    }
}

/// The random commands come everywhere: else the properties above would hold of nothing.
#[test]
fn random_commands_come_far() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut whole = Reach::default();
    for _ in 0..100 {
        let moves = proptest::collection::vec(any::<Move>(), 160).new_tree(&mut runner).expect("a tree").current();
        let reach = play_moves(&mut opened(2, 3), &moves);
        whole.refused += reach.refused;
        whole.allowed += reach.allowed;
        whole.accepted += reach.accepted;
        whole.failed += reach.failed;
        whole.retried += reach.retried;
    }
    let Reach { refused, allowed, accepted, failed, retried } = whole;
    let found =
        format!("{refused} refused, {allowed} allowed, {accepted} accepted, {failed} failed, {retried} retried");
    assert!(refused > 1_000 && allowed > 1_000 && accepted > 20 && failed > 5 && retried > 20, "{found}");
}
