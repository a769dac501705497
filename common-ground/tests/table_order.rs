//! Charters and orders: what is registered, what is carried out and what follows, and what is refused for which reason.

mod world;

use common_ground::{
    Action, ApprovalId, AttemptNumber, Command, Ctx, Epoch, Fact, Millis, Refusal, StepIndex,
    approval::{Answer, Question},
    decide,
    guardian::{
        Act, ActKind, Charter, CharterRefusal, Defect, Order, OrderRefusal, RequiredVerdict, Says, Scope, Suspect,
    },
    module::{CallKind, CallOutcome, Usage},
    run::{PauseReason, Phase, Task},
    wants,
};
use receipts::{Digest, PublicKey};
use uuid::Uuid;
use world::*;

/// A is leased under the charter.
fn watched() -> Vec<Line> {
    then(&leased(), &[(NODE, chartered())])
}

fn pause_order() -> Order {
    order(Act::Pause { most_ms: None })
}

fn executed(order: &Order, by: &[PublicKey]) -> Fact {
    Fact::OrderExecuted {
        order: order_id(order),
        envelope: Digest::of(b"envelope"),
        charter: charter_id(),
        act: order.act.clone(),
        module: order.module,
        by: by.to_vec(),
        standing: None,
        until: None,
    }
}

/// Why an order is refused; none where it is carried out.
#[track_caller]
fn why(history: &[Line], order: &Order, by: &[PublicKey]) -> Option<OrderRefusal> {
    let (state, at) = play(history);
    let facts = decide(&state, &ordered(order, by), &Ctx { at, by: NOBODY }).expect("an order always leaves a fact");
    match facts.first() {
        Some(Fact::OrderRefused { why, order: id, .. }) => {
            assert_eq!((facts.len(), *id), (1, order_id(order)), "a refused order does nothing else");
            Some(*why)
        }
        Some(Fact::OrderExecuted { order: id, .. }) => {
            assert_eq!(*id, order_id(order));
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_charter_that_the_person_signed_is_registered_once() {
    let fact = Fact::CharterRegistered {
        charter: charter_id(),
        envelope: Digest::of(b"envelope"),
        terms: Box::new(charter()),
        by: vec![PERSON],
    };
    let state = check(&opened(), &chartered(), NODE, Ok(vec![fact]));
    assert_eq!(state.run().expect("open").charters[&GUARDIAN].terms, charter());
    check(&watched(), &chartered(), NODE, Ok(Vec::new()));
}

#[test]
fn a_bad_charter_is_refused_and_the_old_one_stays() {
    let other = |change: fn(&mut Charter)| {
        let mut charter = Charter { version: 2, ..charter() };
        change(&mut charter);
        charter
    };
    let rows: Vec<(Charter, &[PublicKey], CharterRefusal)> = vec![
        (other(|_| {}), &[GUARDIAN], CharterRefusal::SelfSigned),
        (other(|_| {}), &[PERSON, GUARDIAN], CharterRefusal::SelfSigned),
        (other(|_| {}), &[SECOND], CharterRefusal::Unauthorised),
        (other(|_| {}), &[PRINCIPAL], CharterRefusal::Unauthorised),
        (other(|c| c.guardian = PERSON), &[PERSON], CharterRefusal::SelfSigned),
        (other(|c| c.guardian = NODE), &[PERSON], CharterRefusal::SharedKey),
        (other(|c| c.guardian = WORKER), &[PERSON], CharterRefusal::SharedKey),
        (other(|c| c.persons = [PERSON, GUARDIAN].into()), &[PERSON], CharterRefusal::SharedKey),
        (other(|c| c.persons = [PERSON, VERIFIER].into()), &[PERSON], CharterRefusal::SharedKey),
        (other(|c| c.not_after = Millis(9)), &[PERSON], CharterRefusal::Expired),
        (other(|c| c.not_before = Millis(11)), &[PERSON], CharterRefusal::Expired),
        (other(|c| c.scope = Scope::Collection { name: "d".to_owned() }), &[PERSON], CharterRefusal::WrongScope),
        (other(|c| c.quorum = 0), &[PERSON], CharterRefusal::Quorum),
        (other(|c| c.quorum = 3), &[PERSON], CharterRefusal::Quorum),
        (other(|c| c.version = 1), &[PERSON], CharterRefusal::Superseded),
    ];
    for (terms, by, expected) in rows {
        let command = Command::Charter { charter: presented(terms, Digest::of(b"other"), by) };
        let fact = Fact::CharterRefused { charter: Digest::of(b"other"), by: by.to_vec(), why: expected };
        let state = check(&watched(), &command, NODE, Ok(vec![fact]));
        assert_eq!(state.run().expect("open").charters[&GUARDIAN].terms, charter(), "{expected}");
    }
    for (defect, why) in
        [(Defect::Malformed, CharterRefusal::Malformed), (Defect::BadSignature, CharterRefusal::BadSignature)]
    {
        let fact = Fact::CharterRefused { charter: Digest::of(b"bytes"), by: Vec::new(), why };
        check(&watched(), &Command::Charter { charter: unread(defect) }, NODE, Ok(vec![fact]));
    }
}

#[test]
fn a_run_that_is_over_takes_no_charter() {
    let over = then(&leased(), &[(PERSON, Command::Cancel)]);
    let fact = Fact::CharterRefused { charter: charter_id(), by: vec![PERSON], why: CharterRefusal::Over };
    check(&over, &chartered(), NODE, Ok(vec![fact]));
}

#[test]
fn a_newer_charter_takes_the_place_of_the_old_and_ends_its_orders() {
    let newer = Charter { version: 2, ..charter() };
    let newer = Command::Charter { charter: presented(newer, Digest::of(b"newer"), &[PERSON]) };
    let history = then(&watched(), &[(NODE, newer)]);
    assert_eq!(why(&history, &pause_order(), &[PERSON]), Some(OrderRefusal::NoCharter));
    let under = Order { charter: Digest::of(b"newer"), ..pause_order() };
    assert_eq!(why(&history, &under, &[PERSON]), None);
}

#[test]
fn each_refusal_of_an_order_has_its_own_reason() {
    let later = |at: u64| -> Vec<Line> { watched().into_iter().chain([Line::At(at)]).collect() };
    let again = then(&watched(), &[(NODE, ordered(&pause_order(), &[PERSON])), (PERSON, Command::Resume)]);
    let narrow = Charter { acts: [ActKind::Resume].into(), ..charter() };
    let narrow = then(&leased(), &[(NODE, Command::Charter { charter: presented(narrow, charter_id(), &[PERSON]) })]);
    let unpausable = ordered(&pause_order(), &[PERSON]);
    let paused = then(&watched(), &[(NODE, unpausable)]);
    let own = |rule: Option<&str>, most_ms| Order { rule: rule.map(str::to_owned), ..order(Act::Pause { most_ms }) };
    let rows: Vec<(Vec<Line>, Order, &[PublicKey], OrderRefusal)> = vec![
        (again, pause_order(), &[PERSON], OrderRefusal::Replayed),
        (
            watched(),
            Order { run: common_ground::RunId(Uuid::from_u128(2)), ..pause_order() },
            &[PERSON],
            OrderRefusal::WrongTarget,
        ),
        (watched(), Order { module: Some(UNKNOWN), ..pause_order() }, &[PERSON], OrderRefusal::WrongTarget),
        (watched(), Order { module: Some(A), ..order(Act::Drain) }, &[PERSON], OrderRefusal::WrongTarget),
        (leased(), pause_order(), &[PERSON], OrderRefusal::NoCharter),
        (watched(), Order { charter: Digest::of(b"x"), ..pause_order() }, &[PERSON], OrderRefusal::NoCharter),
        (later(5_001), Order { not_after: Millis(9_000), ..pause_order() }, &[PERSON], OrderRefusal::CharterExpired),
        (later(3_001), pause_order(), &[PERSON], OrderRefusal::Expired),
        (watched(), Order { not_before: Millis(11), ..pause_order() }, &[PERSON], OrderRefusal::NotYet),
        (watched(), pause_order(), &[GUARDIAN], OrderRefusal::SelfSigned),
        (watched(), own(Some("loops"), Some(1)), &[GUARDIAN], OrderRefusal::SelfSigned),
        (
            watched(),
            Order { rule: Some("spend".to_owned()), ..order(Act::Resume) },
            &[GUARDIAN],
            OrderRefusal::SelfSigned,
        ),
        (watched(), own(Some("spend"), Some(101)), &[GUARDIAN], OrderRefusal::WrongScope),
        (watched(), own(Some("spend"), None), &[GUARDIAN], OrderRefusal::WrongScope),
        (watched(), pause_order(), &[NOBODY], OrderRefusal::Unauthorised),
        (watched(), pause_order(), &[PERSON, NOBODY], OrderRefusal::Unauthorised),
        (watched(), pause_order(), &[PERSON, GUARDIAN], OrderRefusal::Unauthorised),
        (watched(), pause_order(), &[PRINCIPAL], OrderRefusal::Unauthorised),
        (narrow, pause_order(), &[PERSON], OrderRefusal::WrongScope),
        (watched(), order(Act::Cancel), &[PERSON], OrderRefusal::TooFew { have: 1, need: 2 }),
        (watched(), order(Act::Cancel), &[SECOND], OrderRefusal::TooFew { have: 1, need: 2 }),
        (watched(), order(Act::Resume), &[PERSON], OrderRefusal::NotNow),
        (paused, Order { nonce: Digest::of(b"2"), ..pause_order() }, &[PERSON], OrderRefusal::NotNow),
    ];
    for (history, order, by, expected) in rows {
        assert_eq!(why(&history, &order, by), Some(expected), "{order:?} by {by:?}");
    }
    for (defect, why) in
        [(Defect::Malformed, OrderRefusal::Malformed), (Defect::BadSignature, OrderRefusal::BadSignature)]
    {
        let bytes = Digest::of(b"bytes");
        let fact = Fact::OrderRefused { order: bytes, envelope: bytes, act: None, module: None, by: Vec::new(), why };
        check(&watched(), &Command::Order { order: unread(defect) }, NOBODY, Ok(vec![fact]));
    }
}

#[test]
fn a_pause_and_a_resumption_by_order_do_what_the_persons_own_do() {
    let paused = Fact::RunPaused { run: RUN, reason: PauseReason::Guardian };
    let facts = vec![executed(&pause_order(), &[PERSON]), paused];
    let state = check(&watched(), &ordered(&pause_order(), &[PERSON]), NOBODY, Ok(facts));
    assert_eq!(state.run().expect("open").phase, Phase::Paused { reason: PauseReason::Guardian });
    let stands = then(&watched(), &[(NOBODY, ordered(&pause_order(), &[PERSON]))]);
    let resume = order(Act::Resume);
    let facts = vec![executed(&resume, &[SECOND]), Fact::RunResumed { run: RUN }];
    check(&stands, &ordered(&resume, &[SECOND]), NOBODY, Ok(facts));
    let one = Order { module: Some(A), ..pause_order() };
    let facts = vec![executed(&one, &[PERSON]), Fact::ModulePaused { module: A, reason: PauseReason::Guardian }];
    let state = check(&watched(), &ordered(&one, &[PERSON]), NOBODY, Ok(facts));
    assert_eq!(place_in(&state, A), "paused(ready 1/2)");
}

#[test]
fn a_critical_act_is_done_when_enough_have_signed() {
    let history = then(&watched(), &[(NOBODY, ordered(&order(Act::Cancel), &[PERSON, SECOND]))]);
    assert!(matches!(run_after(&history).phase, Phase::Closed { .. }));
    assert_eq!(why(&history, &order(Act::Resume), &[PERSON]), Some(OrderRefusal::NotNow), "and a late one is refused");
}

#[test]
fn a_standing_order_pauses_for_its_time_and_the_node_lets_go_on_after_it() {
    let own = Order { rule: Some("spend".to_owned()), ..order(Act::Pause { most_ms: Some(100) }) };
    let stands = then(&watched(), &[(NOBODY, ordered(&own, &[GUARDIAN]))]);
    assert_eq!(run_after(&stands).held_until, Some(Millis(BEGIN.0 + 100)));
    check(&stands, &Command::Resume, NODE, not_allowed(common_ground::role::Role::Person));
    let lapsed: Vec<Line> = stands.iter().cloned().chain([Line::At(BEGIN.0 + 100)]).collect();
    let state = check(&lapsed, &Command::Resume, NODE, Ok(vec![Fact::RunResumed { run: RUN }]));
    assert_eq!(state.run().expect("open").held_until, None);
    check(&stands, &Command::Resume, PERSON, Ok(vec![Fact::RunResumed { run: RUN }]));
}

#[test]
fn what_is_revoked_is_forbidden_and_what_runs_under_it_ends() {
    let revoke = order(Act::Revoke { item: "run:process".parse().expect("an item") });
    let lost = lost_fact(A, 1, 1);
    let by = [PERSON, SECOND];
    let state = check(&watched(), &ordered(&revoke, &by), NOBODY, Ok(vec![executed(&revoke, &by), lost]));
    assert!(state.run().expect("open").task.permissions.deny.contains(&"run:process".parse().expect("an item")));
    assert_eq!(place_in(&state, A), "ready 1/2");
}

#[test]
fn a_quarantined_tool_is_not_called() {
    let away = order(Act::Quarantine(Suspect::Tool(TOOL.to_owned())));
    let history = then(&watched(), &[(NOBODY, ordered(&away, &[PERSON])), (WORKER, claim(A))]);
    let call = start(owner(A, 1, 2), 0, tool(TOOL, true), amount(1, 1, 1));
    let what = Suspect::Tool(TOOL.to_owned());
    check(&history, &call, WORKER, Err(Refusal::Quarantined { what }));
    // That it was wanted is on record, that it was made is not.
    let refused = |needs: &[&str]| {
        let needs = needs.iter().map(|need| need.parse().expect("an item")).collect();
        let call = tool(TOOL, true);
        let CallKind::Tool { tool, tool_digest, idempotent, .. } = call else { unreachable!("a tool") };
        start(
            owner(A, 1, 2),
            0,
            CallKind::Tool { tool, tool_digest, idempotent, needs, refused: true },
            amount(1, 1, 1),
        )
    };
    check(&history, &refused(&["run:process"]), WORKER, Err(Refusal::NotGranted { name: TOOL.to_owned() }));
    let wanted = then(&history, &[(WORKER, refused(&[]))]);
    let ended = |outcome| match finish(owner(A, 1, 2), 0, Usage { tool_calls: 1, ..Usage::default() }) {
        Command::FinishStep { owner, step, response, usage, traced, .. } => {
            Command::FinishStep { owner, step, outcome, response, usage, traced }
        }
        other => other,
    };
    check(&wanted, &ended(CallOutcome::Done), WORKER, Err(Refusal::NotGranted { name: TOOL.to_owned() }));
    then(&wanted, &[(WORKER, ended(CallOutcome::Failed))]);
}

#[test]
fn a_call_in_doubt_is_not_made_again_once_its_tool_is_quarantined() {
    let begun = then(&watched(), &[(WORKER, start(owner(A, 1, 1), 0, tool(TOOL, true), amount(1, 1, 1)))]);
    let away = order(Act::Quarantine(Suspect::Tool(TOOL.to_owned())));
    let history = then(&begun, &[(NOBODY, ordered(&away, &[PERSON])), (WORKER, claim(A))]);
    let again = start(owner(A, 1, 2), 0, tool(TOOL, true), amount(1, 1, 1));
    check(&history, &again, WORKER, Err(Refusal::Quarantined { what: Suspect::Tool(TOOL.to_owned()) }));
    let CallKind::Tool { tool, tool_digest, idempotent, needs, .. } = tool(TOOL, true) else { unreachable!("a tool") };
    let refused = CallKind::Tool { tool, tool_digest, idempotent, needs, refused: true };
    then(&history, &[(WORKER, start(owner(A, 1, 2), 0, refused, amount(1, 1, 1)))]);
}

#[test]
fn a_run_whose_model_is_quarantined_stands_still_for_good() {
    let other = order(Act::Quarantine(Suspect::Model("another".to_owned())));
    let goes_on = then(&watched(), &[(NOBODY, ordered(&other, &[PERSON]))]);
    assert!(matches!(run_after(&goes_on).phase, Phase::Open), "nobody here asks that one");
    let what = Suspect::Model(MODEL.to_owned());
    let away = order(Act::Quarantine(what.clone()));
    let lost = lost_fact(A, 1, 1);
    let paused = Fact::RunPaused { run: RUN, reason: PauseReason::Guardian };
    check(&watched(), &ordered(&away, &[PERSON]), NOBODY, Ok(vec![executed(&away, &[PERSON]), lost, paused]));
    let stands = then(&watched(), &[(NOBODY, ordered(&away, &[PERSON]))]);
    check(&stands, &Command::Resume, PERSON, Err(Refusal::Quarantined { what }));
    assert_eq!(why(&stands, &order(Act::Resume), &[PERSON]), Some(OrderRefusal::NotNow));
    // An order against what stands still already is carried out all the same.
    let paused = then(&watched(), &[(PERSON, Command::Pause { reason: PauseReason::Interrupt })]);
    let stands = then(&paused, &[(NOBODY, ordered(&away, &[PERSON]))]);
    assert!(run_after(&stands).quarantined.contains_key(&Suspect::Model(MODEL.to_owned())));
    assert!(matches!(run_after(&then(&stands, &[(PERSON, Command::Cancel)])).phase, Phase::Closed { .. }));
}

#[test]
fn an_order_against_a_tool_reads_as_it_was_written_before_there_were_others() {
    let old = r#"{"act":"quarantine","tool":"shell"}"#;
    let act = Act::Quarantine(Suspect::Tool("shell".to_owned()));
    assert_eq!(serde_json::from_str::<Act>(old).expect("an act"), act);
    assert_eq!(serde_json::to_string(&act).expect("JSON"), old);
}

#[test]
fn a_drained_run_begins_nothing_new_and_then_stands_still() {
    let drain = order(Act::Drain);
    let history = then(&watched(), &[(NOBODY, ordered(&drain, &[PERSON]))]);
    check(&history, &claim(D), OTHER, Err(Refusal::NoSlot { associate: OTHER }));
    check(&history, &Command::Stand, NODE, Err(Refusal::NotYet));
    let work = [(WORKER, submit(A, 1)), (VERIFIER, judge(A, 1, &[true, true])), (PRINCIPAL, accept(A, 1))];
    let done = then(&history, &work);
    assert_eq!(wants(&play(&done).0), [Action::Stand]);
    let paused = Fact::RunPaused { run: RUN, reason: PauseReason::Guardian };
    check(&done, &Command::Stand, NODE, Ok(vec![paused]));
    let on = then(&done, &[(NODE, Command::Stand), (PERSON, Command::Resume), (OTHER, claim(D))]);
    assert_eq!(place(&run_after(&on).modules[&D].life), "leased 1/1");
}

/// The task requires a verdict, A is leased and its first call waits for it.
fn gated() -> Vec<Line> {
    let task = Task { verdict: RequiredVerdict::Tools, ..task() };
    let modules = propose(&[(A, &[]), (B, &[A])]);
    let begin = [(PRINCIPAL, open_with(task, roster())), (PRINCIPAL, modules), (WORKER, claim(A)), (NODE, chartered())];
    then(&[], &begin)
}

fn asks() -> Command {
    let question = Question::Verdict { step: StepIndex(0), tool: TOOL.to_owned(), arguments: "{}".to_owned() };
    Command::Ask { module: A, epoch: Epoch(1), approval: APPROVAL, question: Box::new(question) }
}

#[test]
fn no_tool_is_called_before_the_required_verdict_exists() {
    let call = |epoch| start(owner(A, 1, epoch), 0, tool(TOOL, true), amount(1, 1, 1));
    check(&gated(), &call(1), WORKER, Err(Refusal::NoVerdict { module: A }));
    let asked = then(&gated(), &[(WORKER, asks())]);
    assert_eq!(place(&run_after(&asked).modules[&A].life), "blocked 1/2");
    check(&asked, &answer(APPROVAL, Answer::Once), PERSON, Err(Refusal::WrongAnswer { approval: APPROVAL }));
    // Models may be asked meanwhile: it is tools that reach outside.
    let model_call = start(owner(A, 1, 1), 0, model(MODEL), amount(1, 1, 0));
    assert!(decide(&play(&gated()).0, &model_call, &Ctx { at: BEGIN, by: WORKER }).is_ok());
    let yes = order(Act::Answer { approval: APPROVAL, says: Says::Yes });
    for given in [(NOBODY, ordered(&yes, &[SECOND])), (PERSON, answer(APPROVAL, Answer::Run))] {
        let cleared = then(&asked, &[given, (WORKER, claim(A))]);
        check(&cleared, &call(2), WORKER, Ok(vec![started_fact(owner(A, 1, 2), 0, tool(TOOL, true), amount(1, 1, 1))]));
    }
}

#[test]
fn a_module_whose_verdict_is_no_is_given_up_with_all_that_need_it() {
    let asked = then(&gated(), &[(WORKER, asks())]);
    let no = order(Act::Answer { approval: APPROVAL, says: Says::No });
    let history = then(&asked, &[(NOBODY, ordered(&no, &[PERSON]))]);
    let run = run_after(&history);
    assert_eq!([A, B].map(|module| place(&run.modules[&module].life)), ["cancelled", "cancelled"]);
    let unknown = Act::Answer { approval: ApprovalId(Uuid::from_u128(5)), says: Says::No };
    assert_eq!(why(&asked, &order(unknown), &[PERSON]), Some(OrderRefusal::WrongTarget));
    assert_eq!(why(&history, &Order { nonce: Digest::of(b"2"), ..no }, &[PERSON]), Some(OrderRefusal::NotNow));
}

#[test]
fn orders_stand_in_the_traces_of_the_attempts_that_they_concern() {
    let one = Order { module: Some(A), ..pause_order() };
    let history = then(
        &then(&watched(), &[(OTHER, claim(D))]),
        &[(NOBODY, ordered(&one, &[NOBODY])), (NOBODY, ordered(&pause_order(), &[PERSON]))],
    );
    let run = run_after(&history);
    let leaves = |module| {
        let attempt = run.modules[&module].attempt().expect("an attempt");
        assert_eq!(attempt.number, AttemptNumber(1));
        attempt.orders.iter().map(|leaf| (leaf.by, leaf.refused)).collect::<Vec<_>>()
    };
    assert_eq!(leaves(A), [(Some(NOBODY), Some(OrderRefusal::Unauthorised)), (Some(PERSON), None)]);
    assert_eq!(leaves(D), [(Some(PERSON), None)]);
}
