//! Facts as the journal keeps them: their names and JSON, whose stream they belong to, and those that cannot have happened.

mod world;

use common_ground::{
    AttemptNumber, Command, Epoch, Fact, Millis, Refusal, State, StepIndex, apply,
    approval::Answer,
    criterion::Criterion,
    fork::{Beginning, Origin},
    grant::Grant,
    guardian::{Act, CharterRefusal, OrderRefusal, RequiredVerdict},
    module::{CallKind, CallOutcome, EndReason, Owner, WorkError},
    port::index::CorpusHead,
    role::Role,
    run::{Asks, Outcome, PauseReason, PlanReason, Task},
};
use receipts::Digest;
use serde_json::{Value, json};
use world::*;

/// Each fact once, with the name that journals know it by.
fn each() -> Vec<(&'static str, Fact)> {
    let mine = owner(A, 1, 1);
    let (module, attempt, epoch) = (A, AttemptNumber(1), Epoch(1));
    vec![
        ("run.opened", Fact::RunOpened { run: RUN, task: Box::new(full_task()), roster: Box::new(roster()) }),
        ("run.forked", forked_fact()),
        ("module.told", Fact::ModuleTold { module, text: Digest::of(b"text"), by: PERSON }),
        ("words.heard", Fact::WordsHeard { owner: mine, step: StepIndex(0), words: vec![Digest::of(b"text")] }),
        ("plan.recorded", Fact::PlanRecorded { plan: PlanReason::IndependentParts { parts: 2 }, modules: 2 }),
        ("module.proposed", Fact::ModuleProposed { module, spec: spec(&[B]) }),
        ("attempt.leased", leased_fact(A, 1, 1, WORKER, 1_010)),
        ("lease.renewed", Fact::LeaseRenewed { module, epoch, until: Millis(2_000) }),
        ("lease.lost", lost_fact(A, 1, 1)),
        ("step.started", started_fact(mine, 0, tool(TOOL, true), amount(u64::MAX, 2, 1))),
        ("step.retried", Fact::StepRetried { owner: mine, step: StepIndex(0) }),
        ("step.finished", finished_fact(PLANNER, 0, used(1, 2, 3))),
        ("module.submitted", Fact::ModuleSubmitted { module, attempt, deliverable: deliverable() }),
        ("module.judged", judged_fact(A, 1, &[true, false])),
        ("module.accepted", accepted_fact(A, 1)),
        ("attempt.ended", ended_fact(A, 1, EndReason::Rework { findings: vec!["x: y".to_owned()] })),
        ("module.failed", Fact::ModuleFailed { module, end: gave_up() }),
        ("module.cancelled", cancelled_fact(A)),
        (
            "module.blocked",
            Fact::ModuleBlocked { module, attempt, epoch, approval: APPROVAL, question: Box::new(question()) },
        ),
        ("approval.answered", Fact::ApprovalAnswered { approval: APPROVAL, answer: Answer::Once, by: PERSON }),
        ("module.paused", Fact::ModulePaused { module, reason: PauseReason::Guardian }),
        ("module.resumed", Fact::ModuleResumed { module }),
        ("run.paused", Fact::RunPaused { run: RUN, reason: PauseReason::Budget }),
        ("run.resumed", Fact::RunResumed { run: RUN }),
        (
            "command.refused",
            Fact::CommandRefused {
                by: NOBODY,
                command: "cancel".to_owned(),
                refusal: Refusal::NotAllowed { role: Role::Person },
            },
        ),
        (
            "charter.registered",
            Fact::CharterRegistered {
                charter: Digest::of(b"charter"),
                envelope: Digest::of(b"envelope"),
                terms: Box::new(charter()),
                by: vec![PERSON],
            },
        ),
        (
            "charter.refused",
            Fact::CharterRefused { charter: Digest::of(b"c"), by: Vec::new(), why: CharterRefusal::Malformed },
        ),
        (
            "order.executed",
            Fact::OrderExecuted {
                order: Digest::of(b"order"),
                envelope: Digest::of(b"envelope"),
                charter: Digest::of(b"charter"),
                act: Act::Pause { most_ms: Some(7) },
                module: Some(A),
                by: vec![PERSON],
                standing: Some("spend".to_owned()),
                until: Some(Millis(17)),
            },
        ),
        (
            "order.refused",
            Fact::OrderRefused {
                order: Digest::of(b"order"),
                envelope: Digest::of(b"envelope"),
                act: Some(Act::Cancel),
                module: None,
                by: vec![NOBODY],
                why: OrderRefusal::TooFew { have: 1, need: 2 },
            },
        ),
        ("run.closed", Fact::RunClosed { run: RUN, outcome: Outcome::Completed, report: Some(report()) }),
    ]
}

/// Of a run in which A was accepted and B was begun, with every part that a fork can have.
fn forked_fact() -> Fact {
    let mut history = accepted();
    history.push(Line::Said(WORKER, claim(B)));
    let run = run_after(&history);
    let mut begins = Beginning::of(&run, &roster());
    begins.quarantined.insert(common_ground::guardian::Suspect::Tool(TOOL.to_owned()));
    let (kept, step) = (begins.modules[0].kept.as_mut().expect("A is kept"), begun());
    kept.steps = run_after(&step).modules[&A].attempt().expect("begun").steps.clone();
    Fact::RunForked {
        run: UNKNOWN_RUN,
        from: Origin { run: RUN, place: 7, link: Digest::of(b"link") },
        begins: Box::new(begins),
    }
}

fn full_task() -> Task {
    let criteria = vec![
        Criterion::EveryClaimCites,
        Criterion::QuotesVerbatim,
        Criterion::MinimumSources { count: 2 },
        Criterion::AnswerMatchesSchema { schema: "{}".to_owned() },
    ];
    let corpora = vec![CorpusHead { origin: "node/corpus/c".to_owned(), size: 3, root: Digest::of(b"root") }];
    Task { criteria, corpora, ..task() }
}

fn encoded(fact: &Fact) -> Value {
    serde_json::to_value(fact).expect("encodes")
}

#[test]
fn a_fact_keeps_its_name_and_reads_back_from_its_text() {
    for (name, fact) in each() {
        let text = serde_json::to_string(&fact).expect("encodes");
        assert_eq!(encoded(&fact)["type"], name);
        assert_eq!(serde_json::from_str::<Fact>(&text).expect("decodes"), fact, "{text}");
    }
    let ends = [
        EndReason::Cancelled,
        EndReason::Failed { error: WorkError::Model { detail: "down".to_owned() } },
        EndReason::Failed { error: WorkError::InDoubt { step: StepIndex(3) } },
        EndReason::Failed { error: WorkError::Storage { detail: "gone".to_owned() } },
    ];
    for end in ends {
        let text = serde_json::to_string(&ended_fact(A, 1, end.clone())).expect("encodes");
        assert_eq!(serde_json::from_str::<Fact>(&text).expect("decodes"), ended_fact(A, 1, end));
    }
    for plan in [PlanReason::Single, PlanReason::Comparison { sides: 2 }, PlanReason::Given] {
        let fact = Fact::PlanRecorded { plan, modules: 1 };
        assert_eq!(serde_json::from_value::<Fact>(encoded(&fact)).expect("decodes"), fact);
    }
}

#[test]
fn a_field_or_a_fact_that_nobody_knows_is_refused() {
    for (name, fact) in each() {
        let mut value = encoded(&fact);
        value["surprise"] = json!(1);
        assert!(serde_json::from_value::<Fact>(value).is_err(), "{name} took a field nobody knows");
    }
    assert!(serde_json::from_value::<Fact>(json!({"type": "module.praised", "module": A})).is_err());
}

/// The journal's form, word for word, of facts that hold every kind of part.
#[test]
fn facts_are_written_as_journals_have_them() {
    let key = |byte: &str| byte.repeat(32);
    let id = |end: &str| format!("00000000-0000-0000-0000-0000000000{end}");
    let request = Digest::of(b"request");
    let call = CallKind::Tool {
        tool: TOOL.to_owned(),
        tool_digest: Digest::of(b"tool"),
        idempotent: true,
        needs: Vec::new(),
        refused: false,
    };
    let started = started_fact(owner(A, 1, 2), 3, call, amount(5, 2, 1));
    assert_eq!(
        encoded(&started),
        json!({
            "type": "step.started",
            "owner": {"owner": "attempt", "module": id("0b"), "attempt": 1, "epoch": 2},
            "step": 3,
            "call": {"call": "tool", "tool": TOOL, "tool_digest": Digest::of(b"tool"), "idempotent": true},
            "request": request,
            "reserved": {"tokens": 5, "cost_micro": 2, "tool_calls": 1},
        })
    );
    assert_eq!(
        encoded(&leased_fact(A, 1, 2, WORKER, 1_010)),
        json!({"type": "attempt.leased", "module": id("0b"), "attempt": 1, "epoch": 2,
            "associate": key("05"), "until": 1010})
    );
    assert_eq!(
        encoded(&finished_fact(PLANNER, 0, used(1, 2, 3))),
        json!({
            "type": "step.finished",
            "owner": {"owner": "role", "role": "principal"},
            "step": 0,
            "outcome": "done",
            "response": Digest::of(b"response"),
            "usage": {"tokens_in": 1, "tokens_out": 0, "cost_micro": 2, "tool_calls": 3, "wall_ms": 7},
        })
    );
    assert_eq!(
        encoded(&ended_fact(A, 2, gave_up())),
        json!({"type": "attempt.ended", "module": id("0b"), "attempt": 2,
            "end": {"reason": "failed", "error": {"class": "protocol", "detail": "no call"}}})
    );
    assert_eq!(
        encoded(&Fact::RunClosed { run: RUN, outcome: Outcome::NotAccepted, report: None }),
        json!({"type": "run.closed", "run": id("01"), "outcome": "not_accepted", "report": null})
    );
}

#[test]
fn steps_and_leases_are_in_the_attempts_own_stream() {
    let own = ["attempt.leased", "step.started", "step.retried", "words.heard"];
    for (name, fact) in each() {
        let expected = own.contains(&name).then_some((A, AttemptNumber(1), Epoch(1)));
        assert_eq!(fact.attempt(), expected, "{name}");
    }
    let own = owner(A, 2, 3);
    let planning = started_fact(PLANNER, 0, model(MODEL), amount(1, 0, 0));
    assert_eq!(finished_fact(own, 0, used(1, 1, 1)).attempt(), Some((A, AttemptNumber(2), Epoch(3))));
    assert_eq!(planning.attempt(), None, "a role's calls are in the run's stream");
}

#[test]
fn refusals_and_retries_on_record_change_nothing() {
    let refused = each().into_iter().filter(|(name, _)| ["command.refused", "step.retried"].contains(name));
    for (name, fact) in refused {
        let (mut state, at) = play(&begun());
        let before = state.clone();
        apply(&mut state, at, &fact).expect("fits");
        assert_eq!(state, before, "{name}");
    }
}

/// A journal written before tools reached outside is still opened: its runs have no such tools and may nothing.
#[test]
fn facts_of_before_grants_are_still_read() {
    let mut opened = encoded(&Fact::RunOpened { run: RUN, task: Box::new(full_task()), roster: Box::new(roster()) });
    let mut proposed = encoded(&Fact::ModuleProposed { module: A, spec: spec(&[B]) });
    let task = opened["task"].as_object_mut().expect("an object");
    for field in ["tools", "grant", "permissions", "asks", "verdict"] {
        task.remove(field).expect("it was there");
    }
    proposed["spec"].as_object_mut().expect("an object").remove("grant").expect("it was there");
    let Ok(Fact::RunOpened { task, .. }) = serde_json::from_value(opened) else { panic!("not read") };
    assert_eq!((task.tools, task.grant, task.permissions), Default::default());
    assert_eq!(task.asks, Asks::Nobody);
    assert_eq!(task.verdict, RequiredVerdict::None);
    let Ok(Fact::ModuleProposed { spec, .. }) = serde_json::from_value(proposed) else { panic!("not read") };
    assert_eq!(spec.grant, Grant::default());
}

/// Facts that no decision makes in this state: the journal was tampered with, or the program is wrong.
#[test]
fn facts_that_cannot_have_happened_are_refused() {
    let mine = owner(A, 1, 1);
    let next = StepIndex(7);
    let finished = finished_fact(mine, 0, used(1, 1, 1));
    let unknown = Owner::Attempt { module: UNKNOWN, attempt: AttemptNumber(1), epoch: Epoch(1) };
    let over = then(&planned(), &[(PERSON, Command::Cancel)]);
    let reason = PauseReason::Interrupt;
    let late = Fact::StepFinished {
        owner: mine,
        step: next,
        outcome: CallOutcome::Failed,
        response: Digest::of(b"x"),
        usage: used(0, 0, 0),
        traced: None,
    };
    let rows: Vec<(Vec<Line>, Fact)> = vec![
        (Vec::new(), cancelled_fact(A)),
        (Vec::new(), Fact::RunResumed { run: RUN }),
        (opened(), Fact::RunOpened { run: RUN, task: Box::new(task()), roster: Box::new(roster()) }),
        (opened(), forked_fact()),
        (planned(), Fact::ModuleTold { module: UNKNOWN, text: Digest::of(b"text"), by: PERSON }),
        (accepted(), Fact::ModuleTold { module: A, text: Digest::of(b"text"), by: PERSON }),
        (planned(), Fact::WordsHeard { owner: mine, step: StepIndex(0), words: Vec::new() }),
        (leased(), Fact::WordsHeard { owner: PLANNER, step: StepIndex(0), words: Vec::new() }),
        (opened(), Fact::ModuleProposed { module: A, spec: spec(&[B]) }),
        (planned(), Fact::ModuleProposed { module: A, spec: spec(&[]) }),
        (planned(), leased_fact(B, 1, 1, WORKER, 1_010)),
        (planned(), leased_fact(A, 2, 1, WORKER, 1_010)),
        (planned(), leased_fact(A, 1, 0, WORKER, 1_010)),
        (planned(), lost_fact(A, 1, 1)),
        (planned(), Fact::LeaseRenewed { module: A, epoch: Epoch(1), until: Millis(1) }),
        (planned(), Fact::ModuleSubmitted { module: A, attempt: AttemptNumber(1), deliverable: deliverable() }),
        (planned(), ended_fact(A, 1, EndReason::Cancelled)),
        (planned(), Fact::ModuleResumed { module: A }),
        (planned(), Fact::ApprovalAnswered { approval: APPROVAL, answer: Answer::Once, by: PERSON }),
        (planned(), started_fact(mine, 0, tool(TOOL, true), amount(1, 1, 1))),
        (planned(), started_fact(unknown, 0, tool(TOOL, true), amount(1, 1, 1))),
        (planned(), cancelled_fact(UNKNOWN)),
        (leased(), leased_fact(A, 1, 1, OTHER, 1_010)),
        (leased(), Fact::LeaseRenewed { module: A, epoch: Epoch(2), until: Millis(1) }),
        (leased(), judged_fact(A, 1, &[true, true])),
        (leased(), accepted_fact(A, 1)),
        (leased(), ended_fact(A, 2, EndReason::Cancelled)),
        (leased(), finished.clone()),
        (begun(), late),
        (then(&begun(), &[(WORKER, finish(mine, 0, used(1, 1, 1)))]), finished),
        (submitted(), accepted_fact(A, 1)),
        (accepted(), cancelled_fact(A)),
        (accepted(), Fact::ModulePaused { module: A, reason }),
        (over, Fact::RunClosed { run: RUN, outcome: Outcome::Failed, report: None }),
    ];
    for (history, fact) in rows {
        let (mut state, at) = play(&history);
        let refused = apply(&mut state, at, &fact).expect_err("cannot have happened");
        let begins = format!("{fact:?}").chars().take(20).collect::<String>();
        assert!(refused.fact.starts_with(&begins) && !refused.why.is_empty(), "{refused}");
    }
}

/// Mended: a resumption, a pause or a result after its end opened the run again, or changed it.
#[test]
fn bug_nothing_but_refusals_follows_the_end_of_a_run() {
    let over = then(&then(&begun(), &[(OTHER, claim(D))]), &[(PERSON, Command::Cancel)]);
    for (name, fact) in each() {
        let (mut state, at) = play(&over);
        let before = state.clone();
        let fits = apply(&mut state, at, &fact).is_ok();
        let refusals = ["command.refused", "charter.refused", "order.refused"];
        assert_eq!(fits, refusals.contains(&name), "{name} after the end");
        assert_eq!(state, before, "{name} changed a run that is over");
    }
}

#[test]
fn the_same_facts_make_the_same_state() {
    for history in [opened(), planned(), begun(), submitted(), judged(), done()] {
        assert_eq!(play(&history), play(&history));
    }
    assert_eq!(play(&[]).0, State::Unopened);
    assert_ne!(play(&leased()).0, play(&begun()).0);
}
