//! Random plans run to their end with `wants` as the only driver, by simulated workers in random order, against an oracle
//! that knows only the script. What disturbs a run (lost leases, crashes, pauses, questions, calls in doubt) changes nothing
//! in how its modules end; what the script says does.

mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use common_ground::{
    Action, ApprovalId, Command, Epoch, ModuleId, State, StepIndex,
    approval::Answer,
    budget::Amount,
    module::{Input, Lease, Life, ModuleSpec, Owner, StepState, WorkError},
    role::Role,
    run::{Outcome, PauseReason, Phase, PlanReason, Task},
    wants,
};
use proptest::{prelude::*, sample::Index};
use receipts::{Digest, PublicKey};
use uuid::Uuid;
use world::{
    watch::{Watch, borne_out},
    *,
};

/// How one attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Passes,
    SentBack,
    GivesUp,
    /// Stops at a call in doubt that must not be made again.
    Doubts,
    /// The person gives the module up while it is worked on, waits for its verdict, or for its receipt.
    StoppedAtWork,
    StoppedHandedIn,
    StoppedJudged,
}

/// What happens to an attempt on its way, once, without changing how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    LeaseLost,
    Crash,
    RunPaused,
    Held,
    Asks,
}

#[derive(Clone, Debug)]
struct Script {
    /// For each module its inputs, by place; always earlier ones.
    inputs: Vec<Vec<usize>>,
    tries: Vec<Vec<Try>>,
    disturbances: Vec<Vec<Disturbance>>,
    attempts: u32,
    parallel: u32,
    /// How many plans the modules come in.
    plans: usize,
    seed: u64,
}

/// How a module ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Accepted,
    Failed,
    Cancelled,
}

/// By the script alone: nothing of leases, epochs, order or disturbances.
fn oracle(script: &Script) -> Vec<Ends> {
    let mut ends: Vec<Ends> = Vec::new();
    for (inputs, tries) in script.inputs.iter().zip(&script.tries) {
        let outcome = (0..script.attempts as usize).find_map(|number| match tries[number % tries.len()] {
            Try::Passes => Some(Ends::Accepted),
            Try::SentBack | Try::GivesUp | Try::Doubts => None,
            Try::StoppedAtWork | Try::StoppedHandedIn | Try::StoppedJudged => Some(Ends::Cancelled),
        });
        let borne = inputs.iter().all(|input| ends[*input] == Ends::Accepted);
        ends.push(if borne { outcome.unwrap_or(Ends::Failed) } else { Ends::Cancelled });
    }
    ends
}

/// Random choices by SplitMix64, so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides.max(1) as u64) as usize
    }
}

fn id(number: usize) -> ModuleId {
    ModuleId(Uuid::from_u128(1_000 + number as u128))
}

fn number(id: ModuleId) -> usize {
    (id.0.as_u128() - 1_000) as usize
}

/// Runs a script.
struct Play<'a> {
    script: &'a Script,
    watch: Watch,
    dice: Dice,
    /// Disturbances to come, by module.
    left: BTreeMap<ModuleId, Vec<Disturbance>>,
    /// Modules not yet proposed.
    proposed: usize,
    questions: u128,
}

impl<'a> Play<'a> {
    fn new(script: &'a Script) -> Self {
        let workers = (0..script.parallel).map(|worker| PublicKey([100 + u8::try_from(worker).expect("few"); 32]));
        let roster = common_ground::role::Roster { associates: workers.collect(), ..roster() };
        let limit = amount(1_000_000_000, 1_000_000_000, 1_000_000_000);
        let (attempts, parallel) = (script.attempts, script.parallel);
        let mut watch = Watch::new();
        watch.allowed(PRINCIPAL, &open_with(Task { limit, attempts, parallel, wall_ms: 0, ..task() }, roster));
        let left = script.disturbances.iter().enumerate().map(|(number, some)| (id(number), some.clone())).collect();
        Self { script, watch, dice: Dice(script.seed), left, proposed: 0, questions: 0 }
    }

    /// A fork of a run as it was, let go on. Nothing disturbs it.
    fn forked(script: &'a Script, of: &State) -> Self {
        let of = of.run().expect("open");
        let mut watch = Watch::new();
        let (roster, of) = (Box::new(of.roster.clone()), Box::new(of.clone()));
        let link = Digest::of(b"link");
        watch.allowed(PERSON, &Command::Fork { run: UNKNOWN_RUN, roster, of, place: 1, link });
        watch.check();
        watch.allowed(PERSON, &Command::Resume);
        let all = script.inputs.len();
        let proposed = [0, all.div_ceil(script.plans), all][watch.run().plan.len().min(2)];
        Self { script, watch, dice: Dice(script.seed), left: BTreeMap::new(), proposed, questions: 0 }
    }

    /// To the end; gives how many actions it took.
    fn finish_run(&mut self, check_each: usize) -> usize {
        let mut actions = 0;
        while !matches!(self.watch.run().phase, Phase::Closed { .. }) {
            let mut wanted = wants(&self.watch.state);
            wanted.retain(|action| !matches!(action, Action::WakeAt(_)));
            assert!(!wanted.is_empty(), "nothing is wanted and the run is not over");
            let picked = self.dice.roll(wanted.len());
            self.watch.at = self.watch.at.plus(1);
            self.act(wanted.swap_remove(picked));
            actions += 1;
            assert!(actions < 200_000, "the run never ends");
            if actions % check_each == 0 {
                self.watch.check();
            }
        }
        self.watch.check_over();
        actions
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Plan => self.plan(),
            Action::Claim { module, associate } => self.watch.allowed(associate, &claim(module)),
            Action::Work { module, lease } => self.work(module, lease),
            Action::Verify { module, lease, deliverable } => self.verify(module, lease, deliverable),
            Action::Seal { module, lease } => {
                if self.try_of(module, lease) == Try::StoppedJudged {
                    self.watch.allowed(PERSON, &cancel(module));
                } else {
                    self.watch.allowed(PRINCIPAL, &accept(module, lease.epoch.0));
                }
            }
            Action::Report if self.proposed < self.script.inputs.len() => self.plan(),
            Action::Report => {
                let outcome = borne_out(self.watch.run());
                let wrong = if outcome == Outcome::Completed { Outcome::Failed } else { Outcome::Completed };
                self.watch.refused(PRINCIPAL, &close(wrong));
                self.watch.allowed(PRINCIPAL, &close(outcome));
            }
            Action::Stand => panic!("nobody drains these"),
            Action::WakeAt(_) => {}
        }
    }

    fn try_of(&self, module: ModuleId, lease: Lease) -> Try {
        let tries = &self.script.tries[number(module)];
        tries[(lease.attempt.0 as usize - 1) % tries.len()]
    }

    /// The next part of the modules. Inputs that were given up cannot be named: such a module counts as cancelled.
    fn plan(&mut self) {
        let calls = self.watch.run().role_steps.get(&Role::Principal).map_or(0, Vec::len);
        let next = u32::try_from(calls).expect("few");
        let owner = Owner::Role { role: Role::Principal };
        self.watch.allowed(PRINCIPAL, &start(owner, next, model(MODEL), amount(9, 1, 0)));
        self.watch.allowed(PRINCIPAL, &finish(owner, next, used(7, 1, 0)));
        // One of the Principal's calls stays without a result: it is settled when the run closes.
        if calls == 0 {
            self.watch.allowed(PRINCIPAL, &start(owner, 1, model(MODEL), amount(9, 1, 0)));
        }
        let all = self.script.inputs.len();
        let until = if self.proposed == 0 { all.div_ceil(self.script.plans) } else { all };
        let mut dead: BTreeSet<usize> = (0..self.proposed).filter(|number| !self.lives(*number)).collect();
        let mut modules = Vec::new();
        for number in self.proposed..until {
            let inputs = &self.script.inputs[number];
            if inputs.iter().any(|input| dead.contains(input)) {
                dead.insert(number);
            } else {
                let share = 100 / u32::try_from(inputs.len().max(1)).expect("few");
                let ids: Vec<ModuleId> = inputs.iter().map(|input| id(*input)).collect();
                let spec = spec(&ids);
                let inputs = spec.inputs.iter().map(|input| Input { share, ..input.clone() }).collect();
                modules.push((id(number), ModuleSpec { inputs, limit: Amount::UNLIMITED, ..spec }));
            }
        }
        self.proposed = until;
        if !modules.is_empty() {
            self.watch.allowed(PRINCIPAL, &Command::Propose { plan: PlanReason::Given, modules });
        }
    }

    fn lives(&self, number: usize) -> bool {
        let life = self.watch.run().modules.get(&id(number)).map(|module| &module.life);
        life.is_some_and(|life| !matches!(life, Life::Cancelled | Life::Failed { .. }))
    }

    /// One turn of a worker: a disturbance that is due, a call, or the end of the attempt.
    fn work(&mut self, module: ModuleId, lease: Lease) {
        if self.dice.roll(3) == 0
            && let Some(disturbance) = self.left.get_mut(&module).and_then(Vec::pop)
        {
            return self.disturb(module, lease, disturbance);
        }
        if self.dice.roll(2) == 0 {
            return self.call(module, lease);
        }
        let (by, epoch) = (lease.associate, lease.epoch.0);
        match self.try_of(module, lease) {
            Try::StoppedAtWork => self.watch.allowed(PERSON, &cancel(module)),
            Try::GivesUp => self.watch.allowed(by, &give_up(module, epoch)),
            Try::Doubts => self.doubt(module, lease),
            Try::Passes | Try::SentBack | Try::StoppedHandedIn | Try::StoppedJudged => {
                let deliverable =
                    Digest::of(&[module.0.as_bytes().as_slice(), &lease.attempt.0.to_be_bytes()].concat());
                self.watch.allowed(by, &Command::Submit { module, epoch: lease.epoch, deliverable });
            }
        }
    }

    fn steps(&self, module: ModuleId) -> Vec<common_ground::module::Step> {
        self.watch.run().modules[&module].attempt().expect("begun").steps.clone()
    }

    /// The next call, or the last one again when it has no result.
    fn call(&mut self, module: ModuleId, lease: Lease) {
        let owner = Owner::Attempt { module, attempt: lease.attempt, epoch: lease.epoch };
        let steps = self.steps(module);
        let in_doubt = steps.iter().position(|step| step.state == StepState::Started);
        let next = u32::try_from(in_doubt.unwrap_or(steps.len())).expect("few");
        let begin = start(owner, next, tool(TOOL, true), amount(0, 0, 1));
        if in_doubt.is_none() && next >= 2 {
            return;
        }
        self.watch.allowed(lease.associate, &begin);
        // One call in four is left in doubt.
        if self.dice.roll(4) > 0 {
            self.watch.allowed(lease.associate, &finish(owner, next, used(0, 0, 1)));
            self.watch.refused(lease.associate, &begin);
        }
    }

    /// A call that must not be made twice is left in doubt; whoever comes next gives up for that reason.
    fn doubt(&mut self, module: ModuleId, lease: Lease) {
        let owner = Owner::Attempt { module, attempt: lease.attempt, epoch: lease.epoch };
        let step = u32::try_from(self.steps(module).len()).expect("few");
        let begin = start(owner, step, tool(TOOL, false), amount(0, 0, 0));
        self.watch.allowed(lease.associate, &begin);
        self.watch.refused(lease.associate, &begin);
        let error = WorkError::InDoubt { step: StepIndex(step) };
        self.watch.allowed(lease.associate, &Command::GiveUp { module, epoch: lease.epoch, error });
    }

    fn verify(&mut self, module: ModuleId, lease: Lease, deliverable: Digest) {
        let passed = match self.try_of(module, lease) {
            Try::StoppedHandedIn => return self.watch.allowed(PERSON, &cancel(module)),
            Try::SentBack => false,
            Try::Passes | Try::StoppedJudged | Try::GivesUp | Try::Doubts | Try::StoppedAtWork => true,
        };
        let verdicts = verdicts(&[true, passed]);
        let judge = |epoch| Command::Judge { module, epoch, deliverable, verdicts: verdicts.clone() };
        self.watch.refused(lease.associate, &judge(lease.epoch));
        self.watch.refused(VERIFIER, &judge(Epoch(lease.epoch.0 - 1)));
        self.watch.allowed(VERIFIER, &judge(lease.epoch));
    }

    fn disturb(&mut self, module: ModuleId, lease: Lease, disturbance: Disturbance) {
        let kept = self.steps(module);
        match disturbance {
            Disturbance::LeaseLost => {
                self.watch.at = self.watch.at.max(lease.until);
                self.watch.allowed(NODE, &reclaim(false));
            }
            Disturbance::Crash => self.watch.crash(),
            Disturbance::RunPaused => {
                self.watch.allowed(NODE, &pause(PauseReason::Budget));
                assert_eq!(wants(&self.watch.state), Vec::new());
                self.watch.allowed(PERSON, &Command::Resume);
            }
            Disturbance::Held => {
                self.watch.allowed(PERSON, &hold(module));
                self.watch.allowed(PERSON, &let_go(module));
            }
            Disturbance::Asks => {
                self.questions += 1;
                let approval = ApprovalId(Uuid::from_u128(self.questions));
                self.watch.allowed(lease.associate, &ask(module, lease.epoch.0, approval));
                self.watch.refused(lease.associate, &claim(module));
                self.watch.allowed(
                    PERSON,
                    &answer(approval, if self.questions.is_multiple_of(2) { Answer::Run } else { Answer::Deny }),
                );
            }
        }
        assert_eq!(self.steps(module), kept, "the attempt keeps its steps");
        self.watch.refused(lease.associate, &submit(module, lease.epoch.0));
    }

    fn found(&self) -> Vec<Ends> {
        let end = |number| match self.watch.run().modules.get(&id(number)).map(|module| &module.life) {
            Some(Life::Accepted { .. }) => Ends::Accepted,
            Some(Life::Failed { .. }) => Ends::Failed,
            // Not proposed, for want of an input.
            Some(Life::Cancelled) | None => Ends::Cancelled,
            Some(other) => panic!("module {number} ended as {}", place(other)),
        };
        (0..self.script.inputs.len()).map(end).collect()
    }
}

fn one_try() -> impl Strategy<Value = Try> {
    prop_oneof![
        12 => Just(Try::Passes),
        3 => Just(Try::SentBack),
        2 => Just(Try::GivesUp),
        1 => Just(Try::Doubts),
        1 => prop_oneof![Just(Try::StoppedAtWork), Just(Try::StoppedHandedIn), Just(Try::StoppedJudged)],
    ]
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    use Disturbance::{Asks, Crash, Held, LeaseLost, RunPaused};
    prop_oneof![Just(LeaseLost), Just(Crash), Just(RunPaused), Just(Held), Just(Asks)]
}

type Part = (Vec<Index>, Vec<Try>, Vec<Disturbance>);

fn part() -> impl Strategy<Value = Part> {
    let inputs = proptest::collection::vec(any::<Index>(), 0..4);
    let tries = proptest::collection::vec(one_try(), 1..4);
    (inputs, tries, proptest::collection::vec(disturbance(), 0..3))
}

fn script() -> impl Strategy<Value = Script> {
    let parts = proptest::collection::vec(part(), 1..30);
    (parts, 1..4_u32, 1..9_u32, 1..3_usize, any::<u64>()).prop_map(|(parts, attempts, parallel, plans, seed)| {
        let pick = |(number, (picks, ..)): (usize, &Part)| {
            let inputs = picks.iter().filter(|_| number > 0).map(|pick| pick.index(number.max(1)));
            inputs.collect::<BTreeSet<_>>().into_iter().collect()
        };
        Script {
            inputs: parts.iter().enumerate().map(pick).collect(),
            tries: parts.iter().map(|(_, tries, _)| tries.clone()).collect(),
            disturbances: parts.into_iter().map(|(_, _, disturbances)| disturbances).collect(),
            attempts,
            parallel,
            plans,
            seed,
        }
    })
}

/// Few modules: each place of the run is forked.
fn small() -> impl Strategy<Value = Script> {
    script().prop_map(|mut script| {
        script.inputs.truncate(5);
        script.tries.truncate(5);
        script.disturbances.truncate(5);
        script
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was done until then: what was accepted stays and is not worked again, the rest ends as it would have.
    #[test]
    fn a_fork_at_each_place_goes_on_to_the_same_end(script in small()) {
        let mut play = Play::new(&script);
        play.finish_run(50);
        let expected = oracle(&script);
        for place in 1..=play.watch.facts() {
            let before = play.watch.state_at(place);
            let mut fork = Play::forked(&script, &before);
            let kept = |run: &common_ground::Run| -> Vec<ModuleId> {
                run.modules.iter().filter(|(_, module)| module.kept_from == Some(RUN)).map(|(id, _)| *id).collect()
            };
            let accepted = |life: &Life| matches!(life, Life::Accepted { .. });
            let were = before.run().expect("open").modules.iter().filter(|(_, module)| accepted(&module.life));
            prop_assert_eq!(kept(fork.watch.run()), were.map(|(id, _)| *id).collect::<Vec<_>>());
            fork.finish_run(50);
            prop_assert_eq!(fork.found(), expected.clone(), "forked at {}", place);
            for id in kept(fork.watch.run()) {
                prop_assert_eq!(fork.watch.leases(id), 0, "{} was worked again", id);
            }
        }
    }

    #[test]
    fn every_module_ends_as_the_oracle_says(script in script()) {
        let mut play = Play::new(&script);
        play.finish_run(3);
        prop_assert_eq!(play.found(), oracle(&script));
    }
}

/// 1,000 modules; one attempt in `rough` does not pass, one module in ten is disturbed.
fn large(seed: u64, parallel: u32, rough: usize) -> Script {
    let mut dice = Dice(seed);
    let mut script = Script {
        inputs: Vec::new(),
        tries: Vec::new(),
        disturbances: Vec::new(),
        attempts: 3,
        parallel,
        plans: 1,
        seed,
    };
    for number in 0..1_000 {
        let many = if number > 0 { dice.roll(4) } else { 0 };
        script.inputs.push((0..many).map(|_| dice.roll(number)).collect::<BTreeSet<_>>().into_iter().collect());
        let rough_tries = [Try::SentBack, Try::GivesUp, Try::Doubts];
        let one = |dice: &mut Dice| if dice.roll(rough) == 0 { rough_tries[dice.roll(3)] } else { Try::Passes };
        script.tries.push((0..3).map(|_| one(&mut dice)).collect());
        let calm = [Disturbance::LeaseLost, Disturbance::RunPaused, Disturbance::Held, Disturbance::Asks];
        script.disturbances.push(if dice.roll(10) == 0 { vec![calm[dice.roll(4)]] } else { Vec::new() });
    }
    for number in [100, 500, 900] {
        script.disturbances[number] = vec![Disturbance::Crash];
    }
    script
}

/// Slow work on a large plan would show here first: everything outstanding is asked for before each action.
#[test]
fn plans_of_a_thousand_modules_run_to_their_end_in_seconds() {
    for parallel in 1..=8 {
        let begin = Instant::now();
        let script = large(u64::from(parallel), parallel, 6);
        let mut play = Play::new(&script);
        let actions = play.finish_run(500);
        let found = play.found();
        assert_eq!(found, oracle(&script), "parallel {parallel}");
        let accepted = found.iter().filter(|end| **end == Ends::Accepted).count();
        assert!(accepted > 500, "most of the plan was carried out: {accepted} accepted in {actions} actions");
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(60), "parallel {parallel}: {took:?}");
    }
}

/// However wide the plan may run, how it ends is the same.
#[test]
fn the_end_does_not_depend_on_how_many_work_at_once() {
    for seed in 0..10 {
        let ends: Vec<Vec<Ends>> = [1, 3, 8]
            .into_iter()
            .map(|parallel| {
                let mut script = large(seed, parallel, 4);
                script.inputs.truncate(60);
                script.tries.truncate(60);
                script.disturbances.truncate(60);
                let mut play = Play::new(&script);
                play.finish_run(50);
                play.found()
            })
            .collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
    }
}
