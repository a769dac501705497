//! Who may ask what: every command, in a state in which the right key may, from every key there is.

mod world;

use std::collections::BTreeSet;

use common_ground::{
    Command, Ctx, Refusal,
    approval::Answer,
    decide,
    guardian::Act,
    role::Role,
    run::{Outcome, PauseReason},
};
use receipts::PublicKey;
use world::*;

/// A state, a command in it, the keys that may, and the role that the others are told to have.
type Row = (Vec<Line>, Command, &'static [PublicKey], Role);

const ASSOCIATES: &[PublicKey] = &[WORKER, OTHER, THIRD];

fn rows() -> Vec<Row> {
    let mine = owner(A, 1, 1);
    let begin = start(mine, 1, model(MODEL), amount(1, 0, 0));
    let end = finish(mine, 0, used(1, 1, 1));
    let plan = start(PLANNER, 0, model(MODEL), amount(1, 0, 0));
    let planning = then(&planned(), &[(PRINCIPAL, plan.clone())]);
    let blocked = then(&leased(), &[(WORKER, ask(A, 1, APPROVAL))]);
    let held = then(&leased(), &[(PERSON, hold(A))]);
    let paused = then(&leased(), &[(PERSON, pause(PauseReason::Interrupt))]);
    let drained = then(&planned(), &[(NODE, chartered()), (NODE, ordered(&order(Act::Drain), &[PERSON]))]);
    let mut rows: Vec<Row> = vec![
        (Vec::new(), open(), &[PRINCIPAL], Role::Partner),
        (done(), close(Outcome::Completed), &[PRINCIPAL], Role::Partner),
        (opened(), propose(&[(A, &[])]), &[PRINCIPAL], Role::Principal),
        (judged(), accept(A, 1), &[PRINCIPAL], Role::Principal),
        (planned(), plan, &[PRINCIPAL], Role::Principal),
        (planning, finish(PLANNER, 0, used(1, 1, 0)), &[PRINCIPAL], Role::Principal),
        (planned(), claim(A), ASSOCIATES, Role::Associate),
        (begun(), begin, &[WORKER], Role::Associate),
        (begun(), end, &[WORKER], Role::Associate),
        (begun(), submit(A, 1), &[WORKER], Role::Associate),
        (begun(), give_up(A, 1), &[WORKER], Role::Associate),
        (begun(), ask(A, 1, APPROVAL), &[WORKER], Role::Associate),
        (submitted(), judge(A, 1, &[true, true]), &[VERIFIER], Role::Verifier),
        (submitted(), judge(A, 1, &[true, false]), &[VERIFIER], Role::Verifier),
        (leased(), renew(A, 1), &[NODE], Role::Node),
        (leased(), reclaim(true), &[NODE], Role::Node),
        (leased(), reclaim(false), &[NODE], Role::Node),
        (leased(), pause(PauseReason::Budget), &[NODE], Role::Node),
        (paused, Command::Resume, &[PERSON], Role::Person),
        (leased(), Command::Cancel, &[PERSON], Role::Person),
        (blocked, answer(APPROVAL, Answer::Once), &[PERSON], Role::Person),
        (leased(), hold(A), &[PERSON], Role::Person),
        (held, let_go(A), &[PERSON], Role::Person),
        (drained, Command::Stand, &[NODE], Role::Node),
        (leased(), cancel(A), &[PERSON], Role::Person),
    ];
    for reason in [PauseReason::Interrupt, PauseReason::Approval, PauseReason::Guardian] {
        rows.push((leased(), pause(reason), &[PERSON], Role::Person));
    }
    rows
}

#[test]
fn each_command_is_refused_for_each_wrong_key() {
    for (history, command, allowed, role) in rows() {
        let (state, at) = play(&history);
        for by in EVERYBODY {
            if allowed.contains(&by) {
                let answer = decide(&state, &command, &Ctx { at, by });
                assert!(answer.is_ok(), "{command:?} by {by}: {answer:?}");
            } else {
                check(&history, &command, by, not_allowed(role));
            }
        }
    }
}

/// A new command has a row here, or its authority is on nobody's mind. Those of charters and orders is in their signatures:
/// they have a table of their own.
#[test]
fn every_command_has_its_row() {
    let named: BTreeSet<&str> = rows().iter().map(|(_, command, ..)| command.name()).collect();
    let all = BTreeSet::from([
        "accept",
        "answer",
        "ask",
        "cancel",
        "cancel_module",
        "claim",
        "close",
        "finish_step",
        "give_up",
        "judge",
        "open",
        "pause",
        "pause_module",
        "propose",
        "reclaim",
        "renew",
        "resume",
        "resume_module",
        "stand",
        "start_step",
        "submit",
    ]);
    assert_eq!(named, all);
}

/// The wrong key learns nothing else: not that the module is unknown, nor where it is.
#[test]
fn authority_comes_before_everything_but_the_opening() {
    for (_, command, _, role) in rows().into_iter().filter(|(_, command, ..)| command.name() != "open") {
        check(&[], &command, NOBODY, Err(Refusal::NotOpen));
        check(&opened(), &command, NOBODY, not_allowed(role));
        let over = then(&opened(), &[(PERSON, Command::Cancel)]);
        check(&over, &command, NOBODY, not_allowed(role));
    }
}
