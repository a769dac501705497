//! Random plans run by an interpreter of the core alone, against an oracle that knows only the script.
//!
//! The interpreter does what `wants` says, in random order, and also what nobody may: stale epochs, wrong roles, acceptance
//! of one's own work. What must hold always is checked after every command.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::{
    Action, Command, Ctx, Epoch, Fact, Millis, ModuleId, Refusal, RunId, State, StepIndex, apply,
    budget::Amount,
    criterion::{Criterion, Verdict},
    decide,
    module::{CallKind, CallOutcome, Handover, Input, Lease, Life, ModuleKind, ModuleSpec, Owner, Usage, WorkError},
    role::Roster,
    run::{Outcome, PauseReason, PlanReason, Run, Task},
    wants,
};
use proptest::prelude::*;
use receipts::{Digest, PublicKey};
use uuid::Uuid;

fn key(number: u8) -> PublicKey {
    PublicKey([number; 32])
}

fn module(number: usize) -> ModuleId {
    ModuleId(Uuid::from_u128(1000 + number as u128))
}

/// How one attempt at a module goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Passes,
    SentBack,
    GivesUp,
}

/// A plan with how every attempt at every module will go.
#[derive(Clone, Debug)]
struct Script {
    inputs: Vec<Vec<usize>>,
    tries: Vec<Vec<Try>>,
    attempts: u32,
    parallel: u32,
    seed: u64,
}

/// A small generator of random choices; no crate, so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

fn roster(associates: u32) -> Roster {
    let workers = (0..associates).map(|number| key(100 + number as u8)).collect();
    Roster { person: key(1), principal: key(2), associates: workers, verifier: key(3), node: key(4) }
}

const TOOL: &str = "commons_search";

fn task(script: &Script) -> Task {
    Task {
        question: "q".to_owned(),
        collection: "c".to_owned(),
        corpora: Vec::new(),
        model: "m".to_owned(),
        criteria: vec![Criterion::EveryClaimCites],
        limit: Amount { tokens: 1_000_000, cost_micro: 0, tool_calls: 100_000 },
        wall_ms: 0,
        parallel: script.parallel,
        attempts: script.attempts,
        lease_ms: 1_000,
        max_passages: 10,
        max_words: 60,
        policy: Digest::of(b"p"),
    }
}

fn spec(inputs: &[usize]) -> ModuleSpec {
    let share = u32::try_from(100 / inputs.len().max(1)).unwrap_or(0);
    let input = |number: &usize| Input { module: module(*number), handover: Handover::Conclusions, share };
    ModuleSpec {
        kind: ModuleKind::Answer,
        question: "q".to_owned(),
        inputs: inputs.iter().map(input).collect(),
        criteria: vec![Criterion::EveryClaimCites],
        tools: vec![TOOL.to_owned()],
        limit: Amount::UNLIMITED,
    }
}

/// The interpreter.
struct World {
    state: State,
    facts: Vec<(Millis, Fact)>,
    at: Millis,
    dice: Dice,
    /// Disturbances that happened, so that each happens once and the run ends.
    disturbed: BTreeSet<(ModuleId, u32)>,
}

impl World {
    fn ask(&mut self, by: PublicKey, command: &Command) -> Result<(), Refusal> {
        let facts = decide(&self.state, command, &Ctx { at: self.at, by })?;
        for fact in facts {
            apply(&mut self.state, self.at, &fact).expect("a decided fact applies");
            self.facts.push((self.at, fact));
        }
        Ok(())
    }

    fn run(&self) -> &Run {
        self.state.run().expect("open")
    }

    /// Asks for something that must be refused.
    fn refused(&self, by: PublicKey, command: &Command) {
        let answer = decide(&self.state, command, &Ctx { at: self.at, by });
        assert!(answer.is_err(), "{command:?} by {by} was allowed: {answer:?}");
    }

    fn doable(&self) -> Vec<Action> {
        wants(&self.state).into_iter().filter(|action| !matches!(action, Action::WakeAt(_))).collect()
    }

    /// Does one of the things that are wanted; false when there is none.
    fn step(&mut self, script: &Script) -> bool {
        let mut doable = self.doable();
        if doable.is_empty() {
            return false;
        }
        let picked = self.dice.roll(doable.len());
        self.at = self.at.plus(1);
        act(self, script, doable.swap_remove(picked));
        true
    }
}

fn open(script: &Script) -> World {
    let mut world = World {
        state: State::default(),
        facts: Vec::new(),
        at: Millis(1),
        dice: Dice(script.seed | 1),
        disturbed: BTreeSet::new(),
    };
    let command = Command::Open {
        run: RunId(Uuid::from_u128(1)),
        task: Box::new(task(script)),
        roster: Box::new(roster(script.parallel)),
    };
    world.refused(key(1), &command);
    world.ask(key(2), &command).expect("opens");
    world
}

/// Runs the script to its end by what the core wants, in random order.
fn play(script: &Script) -> World {
    let mut world = open(script);
    let mut rounds = 0;
    while world.step(script) {
        rounds += 1;
        assert!(rounds < 100_000, "the run never ends");
        if rounds % 7 == 0 {
            check_always(world.run());
        }
    }
    world
}

fn act(world: &mut World, script: &Script, action: Action) {
    match action {
        Action::Plan => {
            let modules = script.inputs.iter().enumerate().map(|(number, inputs)| (module(number), spec(inputs)));
            let command = Command::Propose { plan: PlanReason::Given, modules: modules.collect() };
            world.refused(key(1), &command);
            world.ask(key(2), &command).expect("a plan");
        }
        Action::Claim { module, associate } => {
            world.refused(key(2), &Command::Claim { module });
            world.ask(associate, &Command::Claim { module }).expect("claims");
        }
        Action::Work { module, lease } => work(world, script, module, lease),
        Action::Verify { module, lease, deliverable } => {
            let passed = plan_of(script, module, lease.attempt.0) == Try::Passes;
            let reason = if passed { String::new() } else { "no".to_owned() };
            let verdicts = vec![Verdict { criterion: 0, passed, reason }];
            let judge = |epoch, verdicts| Command::Judge { module, epoch, deliverable, verdicts };
            world.refused(lease.associate, &judge(lease.epoch, verdicts.clone()));
            world.refused(key(2), &judge(lease.epoch, verdicts.clone()));
            world.refused(key(3), &judge(Epoch(lease.epoch.0 - 1), verdicts.clone()));
            world.refused(key(3), &judge(lease.epoch, Vec::new()));
            world.ask(key(3), &judge(lease.epoch, verdicts)).expect("judges");
        }
        Action::Seal { module, lease } => {
            let command = Command::Accept { module, epoch: lease.epoch, receipt: Digest::of(module.0.as_bytes()) };
            world.refused(lease.associate, &command);
            world.refused(key(3), &command);
            world.ask(key(2), &command).expect("accepts");
            world.refused(key(2), &command);
        }
        Action::Report => {
            let all = world.run().modules.values().all(|module| matches!(module.life, Life::Accepted { .. }));
            let (right, wrong) =
                if all { (Outcome::Completed, Outcome::Failed) } else { (Outcome::NotAccepted, Outcome::Completed) };
            let report = Some(Digest::of(b"report"));
            world.refused(key(2), &Command::Close { outcome: wrong, report });
            world.ask(key(2), &Command::Close { outcome: right, report }).expect("closes");
        }
        Action::WakeAt(_) => {}
    }
}

fn plan_of(script: &Script, id: ModuleId, attempt: u32) -> Try {
    let number = (id.0.as_u128() - 1000) as usize;
    script.tries[number].get(attempt as usize - 1).copied().unwrap_or(Try::GivesUp)
}

/// One turn of work: a step, a lost lease, a pause of the run, or the end of the attempt.
fn work(world: &mut World, script: &Script, id: ModuleId, lease: Lease) {
    let owner = Owner::Attempt { module: id, attempt: lease.attempt, epoch: lease.epoch };
    let steps = world.run().modules[&id].attempt().expect("an attempt").steps.len() as u32;
    let submit = |name: &[u8]| Command::Submit { module: id, epoch: lease.epoch, deliverable: Digest::of(name) };
    match world.dice.roll(8) {
        0 if world.disturbed.insert((id, lease.attempt.0)) => {
            world.at = world.at.max(lease.until);
            world.refused(key(1), &Command::Reclaim { holder_gone: false });
            world.ask(key(4), &Command::Reclaim { holder_gone: false }).expect("reclaims");
            assert_eq!(world.run().modules[&id].attempt().expect("kept").steps.len() as u32, steps, "steps are kept");
            world.refused(lease.associate, &submit(b"late"));
        }
        1 if world.disturbed.insert((id, 1_000 + lease.attempt.0)) => {
            world.refused(key(4), &Command::Pause { reason: PauseReason::Interrupt });
            world.ask(key(1), &Command::Pause { reason: PauseReason::Interrupt }).expect("pauses");
            assert!(wants(&world.state).is_empty(), "a paused run wants nothing");
            world.refused(lease.associate, &submit(b"paused"));
            world.ask(key(1), &Command::Resume).expect("resumes");
        }
        2 | 3 if steps < 6 => call(world, lease, owner, steps),
        _ends => match plan_of(script, id, lease.attempt.0) {
            Try::GivesUp => {
                let error = WorkError::Protocol { detail: "no".to_owned() };
                world
                    .ask(lease.associate, &Command::GiveUp { module: id, epoch: lease.epoch, error })
                    .expect("gives up");
            }
            Try::Passes | Try::SentBack => {
                let command = submit(&[id.0.as_bytes().as_slice(), &lease.attempt.0.to_be_bytes()].concat());
                world.refused(key(99), &command);
                world.ask(lease.associate, &command).expect("submits");
            }
        },
    }
}

/// A tool call, of which one in four stays in doubt.
fn call(world: &mut World, lease: Lease, owner: Owner, steps: u32) {
    let Owner::Attempt { module, attempt, epoch } = owner else { return };
    let stale = Owner::Attempt { module, attempt, epoch: Epoch(epoch.0 - 1) };
    let kind = CallKind::Tool { tool: TOOL.to_owned(), tool_digest: Digest::of(b"t"), idempotent: true };
    let reserve = Amount { tokens: 0, cost_micro: 0, tool_calls: 1 };
    let start = |owner, step: u32, reserve| Command::StartStep {
        owner,
        step: StepIndex(step),
        call: kind.clone(),
        request: Digest::of(b"r"),
        reserve,
    };
    world.refused(lease.associate, &start(stale, steps, reserve));
    world.refused(lease.associate, &start(owner, steps + 1, reserve));
    world.refused(lease.associate, &start(owner, steps, Amount::UNLIMITED));
    world.ask(lease.associate, &start(owner, steps, reserve)).expect("starts");
    if world.dice.roll(4) > 0 {
        let finish = Command::FinishStep {
            owner,
            step: StepIndex(steps),
            outcome: CallOutcome::Done,
            response: Digest::of(b"a"),
            usage: Usage { tool_calls: 1, ..Usage::default() },
        };
        world.ask(lease.associate, &finish).expect("finishes");
        world.refused(lease.associate, &finish);
        world.refused(lease.associate, &start(owner, steps, reserve));
    } else {
        world.ask(lease.associate, &start(owner, steps, reserve)).expect("one in doubt is made again");
    }
}

/// What must hold at every moment.
fn check_always(run: &Run) {
    let limit = run.account.limit();
    assert!(run.account.reserved().plus(run.account.spent()).fits(limit), "more than the budget");
    let mut spent = Amount::default();
    let mut reserved = Amount::default();
    for module in run.modules.values() {
        spent = spent.plus(module.account.spent());
        reserved = reserved.plus(module.account.reserved());
        let accepted = |id: &ModuleId| matches!(run.modules[id].life, Life::Accepted { .. });
        if !module.attempts.is_empty() {
            assert!(module.spec.inputs.iter().all(|input| accepted(&input.module)), "begun before its inputs");
        }
    }
    assert_eq!((run.account.spent(), run.account.reserved()), (spent, reserved), "money of parts and whole");
    let leased = run.modules.values().filter(|module| matches!(module.life, Life::Leased(_))).count();
    assert!(leased <= run.task.parallel as usize, "more at once than allowed");
}

/// How each module must end, by the script alone.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Ends {
    Accepted,
    Failed,
    Cancelled,
}

fn oracle(script: &Script) -> Vec<Ends> {
    let mut ends: Vec<Ends> = Vec::new();
    for (inputs, tries) in script.inputs.iter().zip(&script.tries) {
        let end = if inputs.iter().any(|input| ends[*input] != Ends::Accepted) {
            Ends::Cancelled
        } else if (0..script.attempts as usize).any(|number| tries.get(number) == Some(&Try::Passes)) {
            Ends::Accepted
        } else {
            Ends::Failed
        };
        ends.push(end);
    }
    ends
}

fn ended(run: &Run, number: usize) -> Ends {
    match &run.modules[&module(number)].life {
        Life::Accepted { .. } => Ends::Accepted,
        Life::Failed { .. } => Ends::Failed,
        Life::Cancelled => Ends::Cancelled,
        other => panic!("module {number} ended as {other:?}"),
    }
}

/// What must hold of the facts of a run that is over.
fn check_facts(world: &World) {
    let run = world.run();
    assert_eq!(run.account.reserved(), Amount::default(), "every reservation is settled");
    let mut began: BTreeSet<(ModuleId, u32)> = BTreeSet::new();
    let mut closed: BTreeSet<(ModuleId, u32)> = BTreeSet::new();
    let mut workers: BTreeMap<ModuleId, BTreeSet<PublicKey>> = BTreeMap::new();
    for (_, fact) in &world.facts {
        match fact {
            Fact::AttemptLeased { module, attempt, associate, .. } => {
                began.insert((*module, attempt.0));
                workers.entry(*module).or_default().insert(*associate);
            }
            Fact::ModuleAccepted { module, attempt, .. } | Fact::AttemptEnded { module, attempt, .. } => {
                assert!(closed.insert((*module, attempt.0)), "two terminal facts for one attempt");
            }
            Fact::ModuleJudged { module, by, .. } => {
                assert!(!workers[module].contains(by), "judged by its worker");
            }
            _other => {}
        }
    }
    assert_eq!(began, closed, "each attempt has its terminal fact");
    let mut replayed = State::default();
    for (at, fact) in &world.facts {
        let text = serde_json::to_string(fact).expect("encodes");
        let fact = serde_json::from_str(&text).expect("decodes");
        apply(&mut replayed, *at, &fact).expect("applies again");
    }
    assert_eq!(replayed, world.state, "replay is life");
}

fn check_end(world: &World, script: &Script) {
    check_always(world.run());
    check_facts(world);
    let found: Vec<Ends> = (0..script.inputs.len()).map(|number| ended(world.run(), number)).collect();
    assert_eq!(found, oracle(script));
}

fn script(modules: usize) -> impl Strategy<Value = Script> {
    let one = prop_oneof![6 => Just(Try::Passes), 2 => Just(Try::SentBack), 1 => Just(Try::GivesUp)];
    let tries = proptest::collection::vec(proptest::collection::vec(one, 3), modules);
    let inputs = proptest::collection::vec(proptest::collection::vec(any::<prop::sample::Index>(), 0..3), modules);
    (inputs, tries, 1..4_u32, 1..9_u32, any::<u64>()).prop_map(|(picked, tries, attempts, parallel, seed)| {
        let earlier = |(number, picks): (usize, &Vec<prop::sample::Index>)| {
            let before = picks.iter().filter(|_| number > 0).map(|pick| pick.index(number.max(1)));
            before.collect::<BTreeSet<_>>().into_iter().collect()
        };
        Script { inputs: picked.iter().enumerate().map(earlier).collect(), tries, attempts, parallel, seed }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_plans_end_as_the_oracle_says(script in (1..25_usize).prop_flat_map(script)) {
        let world = play(&script);
        check_end(&world, &script);
    }
}

#[test]
fn plans_of_a_thousand_modules_end() {
    for seed in 1..4 {
        let mut dice = Dice(seed * 7919);
        let inputs: Vec<Vec<usize>> = (0..1_000_usize)
            .map(|number| {
                let many = if number > 0 { dice.roll(3) } else { 0 };
                (0..many).map(|_| dice.roll(number)).collect::<BTreeSet<_>>().into_iter().collect()
            })
            .collect();
        let one = |dice: &mut Dice| if dice.roll(40) == 0 { Try::SentBack } else { Try::Passes };
        let tries = (0..1_000).map(|_| (0..2).map(|_| one(&mut dice)).collect()).collect();
        let script = Script { inputs, tries, attempts: 2, parallel: 8, seed };
        check_end(&play(&script), &script);
    }
}

#[test]
fn a_cancelled_run_ends_every_attempt_once() {
    for seed in 1..60 {
        let inputs = (0..20_usize).map(|number| if number > 2 { vec![number - 3] } else { Vec::new() }).collect();
        let script = Script { inputs, tries: vec![vec![Try::Passes]; 20], attempts: 1, parallel: 3, seed };
        let mut world = open(&script);
        for _ in 0..seed {
            world.step(&script);
        }
        for wrong in [key(2), key(3), key(4), key(100)] {
            world.refused(wrong, &Command::Cancel);
        }
        world.ask(key(1), &Command::Cancel).expect("the person may");
        assert!(world.run().modules.values().all(|module| module.life.is_over()));
        assert!(wants(&world.state).is_empty());
        check_facts(&world);
        world.refused(key(1), &Command::Resume);
    }
}
