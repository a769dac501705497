//! The life of a module and of a run as whole tables: in each state, what each command of the right key leads to.
//!
//! A cell is the state after the command, or `!` and the state that was wanted, or `-` and why it was refused.

mod world;

use common_ground::{
    Command, Ctx, ModuleId, Refusal, State, apply,
    approval::Answer,
    decide,
    run::{Outcome, PauseReason, Phase},
};
use receipts::PublicKey;
use world::*;

/// The state that a module is in after a command, or the refusal, in short.
fn cell(history: &[Line], by: PublicKey, command: &Command, after: impl Fn(&State) -> String) -> String {
    let (mut state, at) = play(history);
    match decide(&state, command, &Ctx { at, by }) {
        Ok(facts) => {
            for fact in facts {
                apply(&mut state, at, &fact).expect("a decided fact fits");
            }
            after(&state)
        }
        Err(refusal) => short(&refusal),
    }
}

fn short(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotNow { wanted, .. } => format!("!{wanted}"),
        Refusal::NotOpen => "-not open".to_owned(),
        Refusal::AlreadyOpen => "-already open".to_owned(),
        Refusal::NoApproval { .. } => "-no approval".to_owned(),
        Refusal::WrongStep { .. } => "-wrong step".to_owned(),
        Refusal::WrongOutcome => "-wrong outcome".to_owned(),
        Refusal::Repeated { .. } => "-repeated".to_owned(),
        other => panic!("no word for {other:?}"),
    }
}

fn grid(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>()).filter(|cells| cells.len() > 1)
}

/// A module in each state of its life: B waits for A, all others are A.
fn lives() -> Vec<(&'static str, Vec<Line>, ModuleId)> {
    let failed = then(&leased(), &[(WORKER, give_up(A, 1)), (WORKER, claim(A)), (WORKER, give_up(A, 2))]);
    let worked = |more: &[(PublicKey, Command)]| then(&begun(), more);
    let passed = [(WORKER, submit(A, 1)), (VERIFIER, judge(A, 1, &[true, true]))];
    let whole = [passed[0].clone(), passed[1].clone(), (PRINCIPAL, accept(A, 1))];
    vec![
        ("proposed", planned(), B),
        ("ready 1/1", planned(), A),
        ("leased 1/1", begun(), A),
        ("blocked 1/2", worked(&[(WORKER, ask(A, 1, APPROVAL))]), A),
        ("submitted 1/1", worked(&passed[..1]), A),
        ("judged 1/1", worked(&passed), A),
        ("accepted 1/1", worked(&whole), A),
        ("paused(ready 1/2)", worked(&[(PERSON, hold(A))]), A),
        ("cancelled", worked(&[(PERSON, cancel(A))]), A),
        ("failed", failed, A),
    ]
}

fn about(module: ModuleId, name: &str) -> (PublicKey, Command) {
    let mine = owner(module, 1, 1);
    match name {
        "claim" => (WORKER, claim(module)),
        "renew" => (NODE, renew(module, 1)),
        "reclaim" => (NODE, reclaim(true)),
        "start step" => (WORKER, start(mine, 0, tool(TOOL, true), amount(5, 2, 1))),
        "finish step" => (WORKER, finish(mine, 0, used(1, 1, 1))),
        "submit" => (WORKER, submit(module, 1)),
        "give up" => (WORKER, give_up(module, 1)),
        "ask" => (WORKER, ask(module, 1, APPROVAL)),
        "answer" => (PERSON, answer(APPROVAL, Answer::Once)),
        "judge, passes" => (VERIFIER, judge(module, 1, &[true, true])),
        "judge, fails" => (VERIFIER, judge(module, 1, &[true, false])),
        "accept" => (PRINCIPAL, accept(module, 1)),
        "hold" => (PERSON, hold(module)),
        "let go" => (PERSON, let_go(module)),
        "cancel" => (PERSON, cancel(module)),
        "pause run" => (PERSON, pause(PauseReason::Interrupt)),
        "cancel run" => (PERSON, Command::Cancel),
        other => panic!("no command {other}"),
    }
}

#[rustfmt::skip]
const LIFE: &str = "
              | proposed         | ready 1/1         | leased 1/1        | blocked 1/2         | submitted 1/1         | judged 1/1         | accepted 1/1 | paused(ready 1/2) | cancelled    | failed
claim         | !ready           | leased 1/1        | !ready            | !ready              | !ready                | !ready             | !ready       | !ready            | !ready       | !ready
renew         | !leased          | !leased           | leased 1/1        | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
reclaim       | proposed         | ready 1/1         | ready 1/2         | blocked 1/2         | submitted 1/1         | judged 1/1         | accepted 1/1 | paused(ready 1/2) | cancelled    | failed
start step    | !leased          | !leased           | leased 1/1        | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
finish step   | !leased          | !leased           | leased 1/1        | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
submit        | !leased          | !leased           | submitted 1/1     | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
give up       | !leased          | !leased           | ready 2/2         | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
ask           | !leased          | !leased           | blocked 1/2       | !leased             | !leased               | !leased            | !leased      | !leased           | !leased      | !leased
answer        | -no approval     | -no approval      | -no approval      | ready 1/2           | -no approval          | -no approval       | -no approval | -no approval      | -no approval | -no approval
judge, passes | !submitted       | !submitted        | !submitted        | !submitted          | judged 1/1            | !submitted         | !submitted   | !submitted        | !submitted   | !submitted
judge, fails  | !submitted       | !submitted        | !submitted        | !submitted          | ready 2/2             | !submitted         | !submitted   | !submitted        | !submitted   | !submitted
accept        | !judged          | !judged           | !judged           | !judged             | !judged               | accepted 1/1       | !judged      | !judged           | !judged      | !judged
hold          | paused(proposed) | paused(ready 1/1) | paused(ready 1/2) | paused(blocked 1/2) | paused(submitted 1/1) | paused(judged 1/1) | !live        | !live             | !live        | !live
let go        | !paused          | !paused           | !paused           | !paused             | !paused               | !paused            | !paused      | ready 1/2         | !paused      | !paused
cancel        | cancelled        | cancelled         | cancelled         | cancelled           | cancelled             | cancelled          | !live        | cancelled         | !live        | !live
pause run     | proposed         | ready 1/1         | ready 1/2         | blocked 1/2         | submitted 1/1         | judged 1/1         | accepted 1/1 | paused(ready 1/2) | cancelled    | failed
cancel run    | cancelled        | cancelled         | cancelled         | cancelled           | cancelled             | cancelled          | accepted 1/1 | cancelled         | cancelled    | failed
";

#[test]
fn the_life_of_a_module() {
    let mut rows = grid(LIFE);
    let lives = lives();
    let names: Vec<&str> = lives.iter().map(|(name, ..)| *name).collect();
    assert_eq!(rows.next().expect("a head")[1..], names);
    let mut cells = 0;
    for row in rows {
        for ((name, history, module), expected) in lives.iter().zip(&row[1..]) {
            assert_eq!(place_in(&play(history).0, *module), *name);
            let (by, command) = about(*module, row[0]);
            let found = cell(history, by, &command, |state| place_in(state, *module));
            assert_eq!(found, *expected, "{} when {name}", row[0]);
            cells += 1;
        }
    }
    assert_eq!(cells, 17 * 10);
}

/// Runs before their opening, at work, standing still and over; A was submitted where there is one, D is leased.
fn phases() -> [(&'static str, Vec<Line>); 4] {
    let open = then(&submitted(), &[(OTHER, claim(D))]);
    let paused = then(&open, &[(PERSON, pause(PauseReason::Interrupt))]);
    let closed = then(&open, &[(PERSON, Command::Cancel)]);
    [("unopened", Vec::new()), ("open", open), ("paused", paused), ("closed", closed)]
}

fn phase(state: &State) -> String {
    match state.run().map(|run| &run.phase) {
        None => "unopened",
        Some(Phase::Open) => "open",
        Some(Phase::Paused { .. }) => "paused",
        Some(Phase::Closed { .. }) => "closed",
    }
    .to_owned()
}

fn about_the_run(name: &str) -> (PublicKey, Command) {
    match name {
        "open" => (PRINCIPAL, open()),
        "propose" => (PRINCIPAL, propose(&[(UNKNOWN, &[])])),
        "claim" => (WORKER, claim(D)),
        "renew" => (NODE, renew(D, 1)),
        "reclaim" => (NODE, reclaim(true)),
        "start step" => (PRINCIPAL, start(PLANNER, 0, model(MODEL), amount(1, 0, 0))),
        "finish step" => (PRINCIPAL, finish(PLANNER, 0, used(1, 0, 0))),
        "submit" => (OTHER, submit(D, 1)),
        "give up" => (OTHER, give_up(D, 1)),
        "ask" => (OTHER, ask(D, 1, APPROVAL)),
        "answer" => (PERSON, answer(APPROVAL, Answer::Once)),
        "judge" => (VERIFIER, judge(A, 1, &[true, true])),
        "accept" => (PRINCIPAL, accept(A, 1)),
        "hold" => (PERSON, hold(A)),
        "let go" => (PERSON, let_go(A)),
        "cancel module" => (PERSON, cancel(A)),
        "pause" => (PERSON, pause(PauseReason::Interrupt)),
        "resume" => (PERSON, Command::Resume),
        "cancel" => (PERSON, Command::Cancel),
        "close" => (PRINCIPAL, close(Outcome::NotAccepted)),
        other => panic!("no command {other}"),
    }
}

#[rustfmt::skip]
const PHASES: &str = "
              | unopened  | open           | paused       | closed
open          | open      | -already open  | -already open | -already open
propose       | -not open | open           | -not open    | -not open
claim         | -not open | !ready         | -not open    | -not open
renew         | -not open | open           | !leased      | !leased
reclaim       | -not open | open           | paused       | closed
start step    | -not open | open           | -not open    | -not open
finish step   | -not open | -wrong step    | -wrong step  | -not open
submit        | -not open | open           | -not open    | -not open
give up       | -not open | open           | !leased      | !leased
ask           | -not open | open           | !leased      | !leased
answer        | -not open | -no approval   | -no approval | -no approval
judge         | -not open | open           | paused       | !submitted
accept        | -not open | !judged        | !judged      | !judged
hold          | -not open | open           | paused       | !live
let go        | -not open | !paused        | !paused      | !paused
cancel module | -not open | open           | paused       | !live
pause         | -not open | paused         | -not open    | -not open
resume        | -not open | -not open      | open         | -not open
cancel        | -not open | closed         | closed       | -not open
close         | -not open | -wrong outcome | -not open    | -not open
";

#[test]
fn the_phases_of_a_run() {
    let mut rows = grid(PHASES);
    let phases = phases();
    let names: Vec<&str> = phases.iter().map(|(name, _)| *name).collect();
    assert_eq!(rows.next().expect("a head")[1..], names);
    let mut cells = 0;
    for row in rows {
        for ((name, history), expected) in phases.iter().zip(&row[1..]) {
            assert_eq!(phase(&play(history).0), *name);
            let (by, command) = about_the_run(row[0]);
            assert_eq!(cell(history, by, &command, phase), *expected, "{} when {name}", row[0]);
            cells += 1;
        }
    }
    assert_eq!(cells, 20 * 4);
}
