//! The small world in which the tests of the eyes speak: histories of runs made by the core's own rules, and a terminal that
//! reads what is painted.
//!
//! Every test file includes this one. It asserts nothing of its own.

#![allow(dead_code, reason = "each test binary speaks with a part of these words")]

use common_ground::{
    ApprovalId, AttemptNumber, Command, Ctx, Digest, Epoch, Millis, ModuleId, PublicKey, RunId, State, StepIndex,
    apply,
    approval::{Answer, Needed, Question},
    budget::Amount,
    citation::{Citation, Span},
    criterion::{Criterion, Verdict},
    decide,
    grant::{Basis, Grant, Item, Policy, Tier},
    guardian::RequiredVerdict,
    module::{CallKind, CallOutcome, Handover, Input, Life, ModuleKind, ModuleSpec, Owner, Usage, WorkError},
    record::{Change, Exit, Record, Spent, Traced},
    report::{Gap, Report, ReportClaim, Section},
    role::{Role, Roster},
    run::{Asks, Models, Outcome, PauseReason, PlanReason, Task},
};
use tui::{
    Ask, Event, Placed, Screen, View,
    brief::{Brief, Severity},
    event::{Plans, SettingLine, Setup, Size},
    heard::{Before, Spoken},
    keys::{Chord, Keys},
    theme::Theme,
    update,
};
use uuid::Uuid;

pub const PERSON: PublicKey = PublicKey([1; 32]);
pub const PRINCIPAL: PublicKey = PublicKey([2; 32]);
pub const VERIFIER: PublicKey = PublicKey([3; 32]);
pub const NODE: PublicKey = PublicKey([4; 32]);
pub const WORKERS: [PublicKey; 2] = [PublicKey([5; 32]), PublicKey([6; 32])];
pub const RUN: RunId = RunId(Uuid::from_u128(1));
/// A moment in 2026.
pub const BEGIN: u64 = 1_790_000_000_000;

pub fn module(number: u128) -> ModuleId {
    ModuleId(Uuid::from_u128(100 + number))
}

pub fn approval(number: u128) -> ApprovalId {
    ApprovalId(Uuid::from_u128(200 + number))
}

pub fn amount(tokens: u64, cost_micro: u64, tool_calls: u64) -> Amount {
    Amount { tokens, cost_micro, tool_calls }
}

/// A run whose facts are made one command after the other.
pub struct World {
    pub state: State,
    pub at: u64,
    pub facts: Vec<Placed>,
    /// Whether refusals are passed over.
    pub lenient: bool,
}

impl Default for World {
    fn default() -> Self {
        Self { state: State::default(), at: BEGIN, facts: Vec::new(), lenient: false }
    }
}

impl World {
    /// A run on a question, with so many modules of a plan; the last joins the others where there are several.
    pub fn planned(question: &str, modules: u128) -> Self {
        let mut world = Self::default();
        world.say(PRINCIPAL, Command::Open { run: RUN, task: Box::new(task(question)), roster: Box::new(roster()) });
        let inputs: Vec<u128> = (1..modules).collect();
        let specs = (1..=modules).map(|number| {
            let of = if number == modules { inputs.as_slice() } else { &[] };
            (module(number), spec(&format!("part {number} of: {question}"), of))
        });
        let plan = if modules == 1 {
            PlanReason::Single
        } else {
            PlanReason::IndependentParts { parts: u32::try_from(modules).expect("few") }
        };
        world.say(PRINCIPAL, Command::Propose { plan, modules: specs.collect() });
        world
    }

    /// Says a command where it is allowed; whether it was.
    pub fn try_say(&mut self, by: PublicKey, command: Command) -> bool {
        self.at += 250;
        let at = Millis(self.at);
        let Ok(facts) = decide(&self.state, &command, &Ctx { at, by }) else { return false };
        for fact in facts {
            apply(&mut self.state, at, &fact).expect("a decided fact fits");
            let seq = self.facts.len() as u64 + 1;
            let closes = matches!(fact, common_ground::Fact::RunClosed { .. });
            let report = closes.then(|| Box::new(report()));
            self.facts.push(Placed { seq, at, fact, report });
        }
        true
    }

    #[track_caller]
    pub fn say(&mut self, by: PublicKey, command: Command) {
        let said = command.name();
        assert!(self.try_say(by, command), "{said} was refused");
    }

    /// As [`World::say`], but a life that is picked by numbers may ask for what is refused.
    fn strictly(&mut self, by: PublicKey, command: Command) {
        let said = command.name();
        let allowed = self.try_say(by, command);
        assert!(allowed || self.lenient, "{said} was refused");
    }

    pub fn epoch(&self, number: u128) -> Epoch {
        match &self.state.run().expect("open").modules[&module(number)].life {
            Life::Leased(lease) | Life::Submitted { lease, .. } | Life::Judged { lease, .. } => lease.epoch,
            other => panic!("module {number} has no lease: {other:?}"),
        }
    }

    pub fn attempt(&self, number: u128) -> AttemptNumber {
        self.state.run().expect("open").modules[&module(number)].attempt().expect("an attempt").number
    }

    pub fn owner(&self, number: u128) -> Owner {
        Owner::Attempt { module: module(number), attempt: self.attempt(number), epoch: self.epoch(number) }
    }

    pub fn steps(&self, number: u128) -> u32 {
        let attempt = self.state.run().expect("open").modules[&module(number)].attempt().expect("an attempt");
        u32::try_from(attempt.steps.len()).expect("few")
    }

    pub fn claim(&mut self, number: u128, worker: usize) {
        self.say(WORKERS[worker], Command::Claim { module: module(number) });
    }

    fn worker(&self, number: u128) -> PublicKey {
        self.state.run().expect("open").modules[&module(number)].attempt().expect("an attempt").lease.associate
    }

    pub fn start(&mut self, number: u128, call: CallKind) {
        let (owner, step, by) = (self.owner(number), StepIndex(self.steps(number)), self.worker(number));
        let reserve = match call {
            CallKind::Model { .. } => amount(900, 2_000, 0),
            CallKind::Tool { .. } => amount(0, 0, 1),
        };
        self.strictly(by, Command::StartStep { owner, step, call, request: Digest::of(b"request"), reserve });
    }

    pub fn finish(&mut self, number: u128, tier: Option<Tier>) {
        let (owner, step, by) = (self.owner(number), StepIndex(self.steps(number) - 1), self.worker(number));
        let traced = tier.map(|tier| Traced { tier, grant: Digest::of(b"g"), record: Digest::of(b"r"), egress: None });
        let usage = match tier {
            Some(_) => Usage { tool_calls: 1, wall_ms: 40, ..Usage::default() },
            None => Usage { tokens_in: 700, tokens_out: 100, cost_micro: 1_500, tool_calls: 0, wall_ms: 1_800 },
        };
        let response = Digest::of(b"response");
        self.strictly(by, Command::FinishStep { owner, step, outcome: CallOutcome::Done, response, usage, traced });
    }

    /// A model's call and a tool's.
    pub fn work(&mut self, number: u128) {
        self.start(number, CallKind::Model { model: "ollama:qwen3:8b".to_owned() });
        self.finish(number, None);
        self.start(number, tool());
        self.finish(number, Some(Tier::Builtin));
    }

    pub fn submit(&mut self, number: u128) {
        let (epoch, by) = (self.epoch(number), self.worker(number));
        self.say(by, Command::Submit { module: module(number), epoch, deliverable: deliverable() });
    }

    pub fn judge(&mut self, number: u128, passes: bool) {
        let epoch = self.epoch(number);
        let criteria = &self.state.run().expect("open").modules[&module(number)].spec.criteria;
        let verdicts = (0..).zip(criteria).map(|(criterion, _)| Verdict {
            criterion,
            passed: passes || criterion > 0,
            reason: if passes || criterion > 0 { String::new() } else { "claim 2 cites nothing".to_owned() },
        });
        let verdicts = verdicts.collect();
        self.strictly(VERIFIER, Command::Judge { module: module(number), epoch, deliverable: deliverable(), verdicts });
    }

    pub fn accept(&mut self, number: u128) {
        let epoch = self.epoch(number);
        let receipt = Digest::of(&number.to_be_bytes());
        self.strictly(PRINCIPAL, Command::Accept { module: module(number), epoch, receipt });
    }

    /// From the claim to the receipt.
    pub fn done(&mut self, number: u128) {
        self.claim(number, 0);
        self.work(number);
        self.submit(number);
        self.judge(number, true);
        self.accept(number);
    }

    pub fn ask(&mut self, number: u128, question: Question) {
        let (epoch, by) = (self.epoch(number), self.worker(number));
        let ask =
            Command::Ask { module: module(number), epoch, approval: approval(number), question: Box::new(question) };
        self.say(by, ask);
    }

    pub fn close(&mut self, outcome: Outcome) {
        self.say(PRINCIPAL, Command::Close { outcome, report: Some(Digest::of(b"report")) });
    }

    /// One step of a life picked by a number; nothing where it does not fit.
    pub fn live(&mut self, act: u8, number: u128) {
        self.lenient = true;
        let number = 1 + number % self.state.run().map_or(1, |run| run.order.len() as u128);
        let life = self.state.run().map(|run| run.modules[&module(number)].life.clone());
        let id = module(number);
        match (act % 12, life) {
            (0..=3, Some(Life::Ready(_))) => {
                self.try_say(WORKERS[number as usize % 2], Command::Claim { module: id });
            }
            (0, Some(Life::Leased(_))) => self.start_where_it_fits(number),
            (1, Some(Life::Leased(lease))) => {
                let command = Command::Submit { module: id, epoch: lease.epoch, deliverable: deliverable() };
                self.try_say(lease.associate, command);
            }
            (2, Some(Life::Leased(lease))) => {
                let question = Box::new(permission("ls -l /data"));
                let ask = Command::Ask {
                    module: id,
                    epoch: lease.epoch,
                    approval: ApprovalId(Uuid::from_u128(self.at.into())),
                    question,
                };
                self.try_say(lease.associate, ask);
            }
            (3, Some(Life::Leased(lease))) => {
                let error = WorkError::Model { detail: "it is \u{1b}[31mdown".to_owned() };
                self.try_say(lease.associate, Command::GiveUp { module: id, epoch: lease.epoch, error });
            }
            (0..=5, Some(Life::Submitted { .. })) => self.judge(number, act.is_multiple_of(2)),
            (0..=5, Some(Life::Judged { .. })) => self.accept(number),
            (0..=5, Some(Life::Blocked { approval, .. })) => {
                let answer = [Answer::Once, Answer::Run, Answer::Always, Answer::Deny][usize::from(act) % 4].clone();
                self.try_say(PERSON, Command::Answer { approval, answer });
            }
            (6, _) => drop(self.try_say(PERSON, Command::PauseModule { module: id, reason: PauseReason::Interrupt })),
            (7, _) => drop(self.try_say(PERSON, Command::ResumeModule { module: id })),
            (8, _) => drop(self.try_say(PERSON, Command::Pause { reason: PauseReason::Interrupt })),
            (9, _) => drop(self.try_say(PERSON, Command::Resume)),
            (10, _) => drop(self.try_say(NODE, Command::Reclaim { holder_gone: true })),
            (11, _) => drop(self.try_say(
                PRINCIPAL,
                Command::Close { outcome: Outcome::Completed, report: Some(Digest::of(b"report")) },
            )),
            (_, _) => {}
        }
    }

    fn start_where_it_fits(&mut self, number: u128) {
        let started = self
            .state
            .run()
            .and_then(|run| run.modules[&module(number)].attempt()?.steps.last())
            .is_some_and(|step| step.state == common_ground::module::StepState::Started);
        if started { self.finish(number, None) } else { self.start(number, CallKind::Model { model: "m".to_owned() }) }
    }
}

pub fn roster() -> Roster {
    Roster { person: PERSON, principal: PRINCIPAL, associates: WORKERS.to_vec(), verifier: VERIFIER, node: NODE }
}

pub fn task(question: &str) -> Task {
    Task {
        question: question.to_owned(),
        collection: "notes".to_owned(),
        further: Vec::new(),
        corpora: Vec::new(),
        models: Models::one("ollama:qwen3:8b"),
        criteria: vec![Criterion::EveryClaimCites],
        limit: amount(1_000_000, 5_000_000, 10_000),
        currency: "USD".to_owned(),
        wall_ms: 0,
        approve_plan: false,
        parallel: 2,
        attempts: 2,
        lease_ms: 3_600_000,
        max_passages: 10,
        max_words: 60,
        policy: Digest::of(b"policy"),
        rules: Vec::new(),
        skills: Vec::new(),
        pictures: Vec::new(),
        tools: vec!["shell".to_owned()],
        grant: Grant::default(),
        permissions: Policy::default(),
        verdict: RequiredVerdict::None,
        asks: Asks::Person,
    }
}

pub fn spec(question: &str, inputs: &[u128]) -> ModuleSpec {
    let input = |number: &u128| Input {
        module: module(*number),
        handover: Handover::Conclusions,
        share: (100 / inputs.len().max(1)) as u32,
    };
    ModuleSpec {
        kind: ModuleKind::Merge,
        question: question.to_owned(),
        inputs: inputs.iter().take(20).map(input).collect(),
        criteria: vec![Criterion::EveryClaimCites, Criterion::QuotesVerbatim],
        tools: vec!["commons_search".to_owned(), "shell".to_owned()],
        limit: amount(100_000, 1_000_000, 100),
        grant: Grant::default(),
    }
}

pub fn tool() -> CallKind {
    CallKind::Tool {
        tool: "commons_search".to_owned(),
        tool_digest: Digest::of(b"tool"),
        idempotent: true,
        needs: Vec::new(),
        refused: false,
    }
}

pub fn permission(command: &str) -> Question {
    let need: Item = format!("run:process={command}").parse().expect("an item");
    Question::Permission {
        step: StepIndex(0),
        tool: "shell".to_owned(),
        arguments: format!("{{\n  \"command\": \"{command}\"\n}}"),
        needs: vec![Needed { need, basis: Basis::Uncovered }],
    }
}

pub fn deliverable() -> Digest {
    Digest::of(b"deliverable")
}

pub fn citation(path: &str, quote: &str) -> Citation {
    let span = Span { start: 120, end: 120 + quote.len() as u64 };
    Citation {
        path: path.to_owned(),
        document: Digest::of(path.as_bytes()),
        text: Digest::of(path.as_bytes()),
        span,
        quote: quote.to_owned(),
        collection: None,
    }
}

pub fn report() -> Report {
    let claims = vec![
        ReportClaim { text: "The tide at **Granville** rises up to `14 m`.".to_owned(), sources: vec![1] },
        ReportClaim {
            text: "מים גבוהים — 大潮の高さ、十四メートル。".to_owned(), sources: vec![1, 2]
        },
    ];
    Report {
        question: "How high is the tide?".to_owned(),
        answered: true,
        sections: vec![Section { question: "How high is the tide?".to_owned(), claims }],
        sources: vec![
            citation("tides/granville.md", "The tide at Granville rises up to 14 m."),
            citation("tides/日本.md", "大潮の高さ、十四メートル。"),
        ],
        gaps: vec![Gap { question: "And at neap tide?".to_owned(), reason: "no passage was found".to_owned() }],
        engine: "ollama:qwen3:8b".to_owned(),
        accepted: 2,
    }
}

/// A brief on a module of the run.
pub fn brief(number: u128) -> Brief {
    Brief {
        run: RUN,
        module: Some(module(number)),
        severity: Severity::Critical,
        rule: "spend".to_owned(),
        found: "61 per cent of the tokens went within a minute; at this rate the rest lasts 38 s".to_owned(),
        evidence: vec![4, 6, 8, 11],
        next: "the run pauses when its budget is used up; until then the money goes".to_owned(),
        options: vec![
            ("look at the facts".to_owned(), format!("ii runs show {RUN}")),
            ("hold the module".to_owned(), format!("ii guardian order pause {RUN} --module {}", module(number))),
        ],
    }
}

fn setting(name: &str, value: &str, from: &str, about: &str, change: &[&str]) -> SettingLine {
    SettingLine {
        name: name.to_owned(),
        value: value.to_owned(),
        from: from.to_owned(),
        about: about.to_owned(),
        change: change.iter().map(|way| (*way).to_owned()).collect(),
    }
}

pub fn setup() -> Setup {
    Setup {
        models: vec!["ollama:qwen3:8b".to_owned()],
        source: Some("~/notes".to_owned()),
        offers: vec!["/help                the keys and commands".to_owned()],
        settings: vec![
            setting(
                "home",
                "~/.ii",
                "",
                "the folder that everything is kept in",
                &["the variable II_HOME names another"],
            ),
            setting(
                "docs",
                "~/notes",
                "flag",
                "folder that answers come from when --docs is not given",
                &["`docs` in ~/.ii/config.toml, for good", "/docs FOLDER, for this conversation"],
            ),
            setting(
                "report.max_words",
                "60",
                "user file /home/me/.ii/config.toml, line 12",
                "most words of an answer",
                &["`report.max_words` in ~/.ii/config.toml, for good"],
            ),
            setting("model", "extractive", "default", "the model that plays the roles", &[]),
        ],
        plan: Plans::GoOn,
    }
}

/// A terminal with the eyes open on it.
pub struct Seen {
    pub view: View,
    pub screen: Screen,
    pub terminal: vt100::Parser,
    /// Bytes of the last frame.
    pub bytes: Vec<u8>,
    pub asks: Vec<Ask>,
}

impl Seen {
    pub fn new(columns: u16, rows: u16) -> Self {
        let size = Size { columns, rows };
        let mut view = View::new(size, Theme::Dark, Keys::default());
        view.at = Millis(BEGIN);
        let terminal = vt100::Parser::new(rows, columns, 5_000);
        let mut seen = Self { view, screen: Screen::default(), terminal, bytes: Vec::new(), asks: Vec::new() };
        seen.frame();
        seen
    }

    /// With everything ready.
    pub fn ready(columns: u16, rows: u16) -> Self {
        let mut seen = Self::new(columns, rows);
        seen.event(Event::Ready(Box::new(setup())));
        seen
    }

    pub fn event(&mut self, event: Event) {
        self.asks.extend(update(&mut self.view, event));
        self.frame();
    }

    pub fn frame(&mut self) {
        self.bytes = self.screen.frame(&self.view);
        self.terminal.process(&self.bytes);
    }

    pub fn facts(&mut self, world: &World) {
        for placed in &world.facts {
            update(&mut self.view, Event::Fact { run: RUN, placed: Box::new(placed.clone()) });
        }
        self.frame();
    }

    /// Keys by name, blanks between them.
    pub fn keys(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            let chord: Chord = key.parse().unwrap_or_else(|error| panic!("{error}"));
            self.event(Event::Key(chord));
        }
    }

    pub fn write(&mut self, text: &str) {
        text.chars().for_each(|letter| {
            let chord = Chord::plain(typed(letter));
            self.event(Event::Key(chord));
        });
    }

    /// What the person sees, lines trimmed, with the cursor's place below.
    pub fn shown(&self) -> String {
        let screen = self.terminal.screen();
        let rows = screen.contents();
        let rows: Vec<&str> = rows.lines().map(str::trim_end).collect();
        let (row, column) = screen.cursor_position();
        let cursor = if screen.hide_cursor() { "hidden".to_owned() } else { format!("{column},{row}") };
        format!("{}\n[cursor {cursor}]", rows.join("\n"))
    }
}

fn typed(letter: char) -> termina::event::KeyCode {
    termina::event::KeyCode::Char(letter)
}

/// One module that may write beneath `/data`, with two calls on record that may have.
pub fn writer() -> World {
    let items = [Item::write("/data").expect("a path")].into();
    let grant = Grant { items, ..Grant::default() };
    let mut world = World::default();
    let task = Box::new(Task { grant: grant.clone(), ..task("Put the tide down.") });
    world.say(PRINCIPAL, Command::Open { run: RUN, task, roster: Box::new(roster()) });
    let modules = vec![(module(1), ModuleSpec { grant, ..spec("Put the tide down.", &[]) })];
    world.say(PRINCIPAL, Command::Propose { plan: PlanReason::Single, modules });
    world.claim(1, 0);
    for _call in 0..2 {
        let needs = vec![Item::write("/data/tides.md").expect("a path")];
        let CallKind::Tool { tool, tool_digest, idempotent, .. } = tool() else { unreachable!("a tool") };
        world.start(1, CallKind::Tool { tool, tool_digest, idempotent, needs, refused: false });
        world.finish(1, Some(Tier::Builtin));
    }
    world
}

/// What the call of a module that is under way says next.
pub fn spoken(world: &World, number: u128, more: &str) -> Event {
    let (owner, step) = (world.owner(number), StepIndex(world.steps(number) - 1));
    Event::Spoken(vec![Spoken { run: RUN, owner, step, before: Before::Stays, more: more.to_owned() }])
}

/// The record of a call that changed files as told.
pub fn record(changes: Vec<Change>) -> String {
    let record = Record {
        tool: Digest::of(b"tool"),
        grant: Digest::of(b"g"),
        tier: Tier::Builtin,
        held: Vec::new(),
        epoch: Epoch(1),
        input: Digest::of(b"in"),
        output: Digest::of(b"out"),
        output_bytes: 3,
        truncated: false,
        allowed: Vec::new(),
        egress: Vec::new(),
        refusals: Vec::new(),
        changes,
        spent: Spent::default(),
        exit: Exit::Done,
    };
    serde_json::to_string(&record).expect("JSON")
}

/// A file that was changed, one that was made, one that was removed.
pub fn changes() -> Vec<Change> {
    let change = |path: &str, before: Option<&[u8]>, after: Option<&[u8]>, diff: &str| Change {
        path: path.to_owned(),
        before: before.map(Digest::of),
        after: after.map(Digest::of),
        diff: diff.to_owned(),
    };
    vec![
        change(
            "/data/tides.md",
            Some(b"a"),
            Some(b"b"),
            "--- /data/tides.md\n+++ /data/tides.md\n@@ -1,3 +1,3 @@\n # Tides\n-12 m\n+14 m\n--- no header\n",
        ),
        change("/data/new.md", None, Some(b"c"), "--- /data/new.md\n+++ /data/new.md\n@@ -0,0 +1 @@\n+a new line\n"),
        change("/data/old.bin", Some(b"d"), None, ""),
    ]
}

/// The Principal's role, for calls at the level of the run.
pub fn principal() -> Owner {
    Owner::Role { role: Role::Principal }
}
