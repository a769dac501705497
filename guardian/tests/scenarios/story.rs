//! A run as a story: commands that the core decides, facts forced past it, and the contents they name, told line by line as
//! `ii journal follow` tells them.

use common_ground::{
    AttemptNumber, Command, Ctx, Epoch, Fact, Millis, ModuleId, RunId, State, StepIndex, apply,
    budget::Amount,
    chain::Head,
    criterion::Criterion,
    decide,
    deliverable::{Claim, Deliverable},
    grant::{Basis, Grant, Item, Tier},
    module::{CallKind, CallOutcome, ModuleKind, ModuleSpec, Owner, Usage},
    port::index::CorpusHead,
    record::{Denial, Exit, Record, Spent, Traced},
    run::{Outcome, PlanReason, Task},
};
use guardian::{
    Concern, Watch,
    line::{Line, Stream},
    sentinels::Thresholds,
};
use receipts::{Digest, PublicKey};
use uuid::Uuid;

use crate::world::{self, NODE, PERSON, PRINCIPAL, TOOL, VERIFIER, WORKER};

/// What a tool call came to.
#[derive(Clone)]
pub struct Came {
    pub outcome: CallOutcome,
    pub exit: Exit,
    pub refused: bool,
    pub usage: Usage,
}

/// It answered, and took 12 ms.
pub fn came() -> Came {
    let usage = Usage { tool_calls: 1, wall_ms: 12, ..Usage::default() };
    Came { outcome: CallOutcome::Done, exit: Exit::Done, refused: false, usage }
}

/// A module as the worker has it.
#[derive(Clone, Copy)]
pub struct Work {
    pub module: ModuleId,
    pub by: PublicKey,
    pub attempt: u32,
    pub epoch: u64,
}

pub struct Story {
    pub run: RunId,
    pub state: State,
    pub at: Millis,
    pub head: Head,
    pub lines: Vec<Line>,
    waiting: Vec<Line>,
}

pub fn module(number: u128) -> ModuleId {
    ModuleId(Uuid::from_u128(1_000 + number))
}

pub fn hash(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Plenty of everything.
pub fn task() -> Task {
    let limit = Amount { tokens: 1_000_000, cost_micro: 5_000_000, tool_calls: 1_000 };
    Task { limit, wall_ms: 0, attempts: 3, parallel: 3, lease_ms: 30_000, ..world::task() }
}

pub fn spec(question: &str) -> ModuleSpec {
    ModuleSpec {
        kind: ModuleKind::Answer,
        question: question.to_owned(),
        inputs: Vec::new(),
        criteria: vec![Criterion::EveryClaimCites, Criterion::QuotesVerbatim],
        tools: vec![TOOL.to_owned(), "shell".to_owned(), "fetch".to_owned()],
        limit: Amount::UNLIMITED,
        grant: Grant::of([
            "run:process".parse::<Item>().expect("an item"),
            "net:example.org".parse().expect("an item"),
        ]),
    }
}

impl Story {
    /// A run of its own number, nothing told yet.
    pub fn new(number: u128) -> Self {
        let run = RunId(Uuid::from_u128(0x7000 + number));
        Self {
            run,
            state: State::default(),
            at: Millis(1_795_000_000_000),
            head: Head::genesis(run),
            lines: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Opened with this task and one module for each question.
    pub fn planned(number: u128, task: Task, questions: &[&str]) -> Self {
        let mut story = Self::new(number);
        let grant = spec("").grant;
        let roster = world::roster();
        let task = Task { grant, tools: vec!["shell".to_owned(), "fetch".to_owned()], ..task };
        story.say(PRINCIPAL, &Command::Open { run: story.run, task: Box::new(task), roster: Box::new(roster) });
        let modules = questions.iter().zip(0..).map(|(question, number)| (module(number), spec(question))).collect();
        story.say(PRINCIPAL, &Command::Propose { plan: PlanReason::Given, modules });
        story
    }

    /// Begun from another as it is, and let go on.
    pub fn forked(number: u128, of: &Self) -> Self {
        let mut story = Self::new(number);
        let run = of.state.run().expect("open").clone();
        let (roster, place, link) = (Box::new(run.roster.clone()), of.head.seq, of.head.link);
        story.say(PERSON, &Command::Fork { run: story.run, roster, of: Box::new(run), place, link });
        story.say(PERSON, &Command::Resume);
        story
    }

    /// One module, leased.
    pub fn one(number: u128) -> (Self, Work) {
        let mut story = Self::planned(number, task(), &["Who may pause a run?"]);
        let work = story.lease(module(0), WORKER);
        (story, work)
    }

    pub fn wait(&mut self, ms: u64) {
        self.at = self.at.plus(ms);
    }

    /// A command that is allowed.
    #[track_caller]
    pub fn say(&mut self, by: PublicKey, command: &Command) {
        let facts = decide(&self.state, command, &Ctx { at: self.at, by });
        let facts = facts.unwrap_or_else(|refusal| panic!("{command:?} was refused: {refusal}"));
        for fact in facts {
            apply(&mut self.state, self.at, &fact).expect("a decided fact fits");
            self.tell(&fact);
        }
    }

    /// A fact that somebody wrote past the core.
    pub fn force(&mut self, fact: &Fact) {
        self.tell(fact);
    }

    fn tell(&mut self, fact: &Fact) {
        let stream = fact.attempt();
        let body = serde_json::to_string(fact).expect("encodes");
        self.head = self.head.after(self.at.0, stream, body.as_bytes());
        self.lines.append(&mut self.waiting);
        let stream = stream.map(|(module, attempt, epoch)| Stream { module, attempt, epoch });
        let (run, seq, at_ms, link) = (self.run, self.head.seq, self.at, self.head.link);
        self.lines.push(Line::Fact { run, seq, at_ms, stream, link, body });
    }

    /// A content that the next fact names.
    pub fn content(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.waiting.push(Line::content(digest, bytes));
        digest
    }

    pub fn lease(&mut self, module: ModuleId, by: PublicKey) -> Work {
        self.say(by, &Command::Claim { module });
        let run = self.state.run().expect("open");
        let lease = run.modules[&module].attempt().expect("an attempt").lease;
        Work { module, by, attempt: lease.attempt.0, epoch: lease.epoch.0 }
    }

    pub fn owner(work: Work) -> Owner {
        Owner::Attempt { module: work.module, attempt: AttemptNumber(work.attempt), epoch: Epoch(work.epoch) }
    }

    fn next(&self, work: Work) -> StepIndex {
        let run = self.state.run().expect("open");
        let steps = run.modules[&work.module].attempt().map_or(0, |attempt| attempt.steps.len());
        StepIndex(u32::try_from(steps).expect("few"))
    }

    /// A model call with its answer: words, and calls as (tool, arguments).
    pub fn model(&mut self, work: Work, request: &str, said: &str, calls: &[(&str, &str)], usage: Usage) {
        let step = self.next(work);
        let calls: Vec<_> = calls
            .iter()
            .zip(0..)
            .map(|((tool, arguments), id)| serde_json::json!({"id": format!("c{id}"), "tool": tool, "arguments": arguments}))
            .collect();
        let answer = serde_json::json!({"said": {"text": said, "calls": calls}}).to_string();
        let call = CallKind::Model { model: world::MODEL.to_owned() };
        let reserve = usage.amount();
        self.say(
            work.by,
            &Command::StartStep { owner: Self::owner(work), step, call, request: hash(request), reserve },
        );
        self.wait(usage.wall_ms);
        let response = self.content(answer.as_bytes());
        let outcome = CallOutcome::Done;
        let owner = Self::owner(work);
        self.say(work.by, &Command::FinishStep { owner, step, outcome, response, usage, traced: None });
    }

    /// A tool call with what it returned.
    pub fn tool(&mut self, work: Work, tool: &str, needs: &[&str], arguments: &str, returned: &str, came: Came) {
        let step = self.next(work);
        let needs: Vec<Item> = needs.iter().map(|need| need.parse().expect("an item")).collect();
        let call =
            CallKind::Tool { tool: tool.to_owned(), tool_digest: hash(tool), idempotent: true, needs, refused: false };
        let request = hash(&format!("{tool}\n{arguments}"));
        let reserve = Amount { tool_calls: 1, ..Amount::default() };
        let owner = Self::owner(work);
        self.say(work.by, &Command::StartStep { owner, step, call, request, reserve });
        self.wait(came.usage.wall_ms);
        let denial = Denial { what: "net:elsewhere.org".to_owned(), why: Basis::Uncovered.to_string() };
        let record = Record {
            tool: hash(tool),
            grant: Grant::default().digest(),
            tier: Tier::Process,
            held: Vec::new(),
            epoch: Epoch(work.epoch),
            input: hash(arguments),
            output: hash(returned),
            output_bytes: returned.len() as u64,
            truncated: false,
            allowed: Vec::new(),
            egress: Vec::new(),
            refusals: if came.refused { vec![denial] } else { Vec::new() },
            changes: Vec::new(),
            spent: Spent::default(),
            exit: came.exit,
        };
        let kept = record.kept().expect("encodes");
        self.content(&kept.bytes);
        let response = self.content(returned.as_bytes());
        let traced: Option<Traced> = Some(kept.traced);
        let Came { outcome, usage, .. } = came;
        self.say(work.by, &Command::FinishStep { owner, step, outcome, response, usage, traced });
    }

    /// A search that finds something.
    pub fn search(&mut self, work: Work, words: &str) {
        let returned = format!("{{\"passages\":[\"what is said of {words}\"]}}");
        self.tool(work, TOOL, &[], &format!("{{\"query\":\"{words}\"}}"), &returned, came());
    }

    pub fn deliverable(&mut self, question: &str, claims: &[&str]) -> Digest {
        let claims = claims.iter().map(|text| Claim { text: (*text).to_owned(), citations: Vec::new() }).collect();
        let deliverable = Deliverable { question: question.to_owned(), claims, also: Vec::new() };
        let bytes = serde_json::to_vec(&deliverable).expect("encodes");
        self.content(&bytes)
    }

    pub fn submit(&mut self, work: Work, claims: &[&str]) -> Digest {
        let question = self.state.run().expect("open").modules[&work.module].spec.question.clone();
        let deliverable = self.deliverable(&question, claims);
        self.say(work.by, &Command::Submit { module: work.module, epoch: Epoch(work.epoch), deliverable });
        deliverable
    }

    pub fn judge(&mut self, work: Work, deliverable: Digest, passed: &[bool]) {
        let (module, epoch, verdicts) = (work.module, Epoch(work.epoch), world::verdicts(passed));
        self.say(VERIFIER, &Command::Judge { module, epoch, deliverable, verdicts });
    }

    pub fn accept(&mut self, work: Work) {
        let receipt = hash(&format!("receipt of {}", work.module));
        self.say(PRINCIPAL, &Command::Accept { module: work.module, epoch: Epoch(work.epoch), receipt });
    }

    /// Handed in, judged well and accepted.
    pub fn finish(&mut self, work: Work, claims: &[&str]) {
        let deliverable = self.submit(work, claims);
        self.wait(5);
        self.judge(work, deliverable, &[true, true]);
        self.accept(work);
    }

    pub fn close(&mut self, outcome: Outcome, report: &str) {
        let report = Some(self.content(report.as_bytes()));
        self.say(PRINCIPAL, &Command::Close { outcome, report });
    }

    /// All that a Node may have to say of leases in between.
    pub fn renew(&mut self, work: Work) {
        self.say(NODE, &Command::Renew { module: work.module, epoch: Epoch(work.epoch) });
    }

    /// The text of the lines, as a pipe has it.
    pub fn text(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.to_text().expect("encodes")).collect()
    }
}

/// What a watch with the usual thresholds finds in these lines.
pub fn concerns(lines: &[String]) -> Vec<Concern> {
    let mut watch = Watch::new(Thresholds::default()).expect("automata");
    let mut concerns = Vec::new();
    for (line, number) in lines.iter().zip(1..) {
        concerns.extend(watch.hear(line, number).unwrap_or_else(|error| panic!("{error}")).concerns);
    }
    concerns
}

pub fn head(origin: &str, size: u64, root: &str) -> CorpusHead {
    CorpusHead { origin: origin.to_owned(), size, root: hash(root) }
}
