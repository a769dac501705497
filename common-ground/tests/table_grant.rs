//! What calls may do: the grant of the run met with the module's, the person's rules, and answers to questions.

use common_ground::{
    ApprovalId, Command, Fact, Refusal, StepIndex,
    approval::{Answer, Needed, Question},
    grant::{Basis, Grant, Item, Policy},
    module::{CallKind, ModuleSpec},
    run::{PlanReason, Task},
};
use receipts::Digest;
use uuid::Uuid;

mod world;
use world::*;

fn item(text: &str) -> Item {
    text.parse().expect("an item")
}

fn items<const N: usize>(texts: [&str; N]) -> impl Iterator<Item = Item> {
    texts.into_iter().map(item)
}

/// A run that may run anything but `rm` in the jail and read `/data`, with one module leased that may do less.
fn history(module: Grant) -> Vec<Line> {
    let task = Task {
        grant: Grant::of(items(["run:process", "read:/data"])),
        permissions: Policy { deny: items(["run:process=rm"]).collect(), ..Policy::default() },
        ..task()
    };
    let plan =
        Command::Propose { plan: PlanReason::Given, modules: vec![(A, ModuleSpec { grant: module, ..spec(&[]) })] };
    then(&[], &[(PRINCIPAL, open_with(task, roster())), (PRINCIPAL, plan), (WORKER, claim(A))])
}

fn call(step: u32, epoch: u64, needs: &[&str]) -> Command {
    let needs = needs.iter().copied().map(item).collect();
    let call = CallKind::Tool {
        tool: TOOL.to_owned(),
        tool_digest: Digest::of(b"tool"),
        idempotent: false,
        needs,
        refused: false,
    };
    start(owner(A, 1, epoch), step, call, amount(0, 0, 1))
}

fn may(history: &[Line], step: u32, epoch: u64, needs: &[&str]) -> bool {
    let command = call(step, epoch, needs);
    let (state, at) = play(history);
    let ctx = common_ground::Ctx { at, by: WORKER };
    match common_ground::decide(&state, &command, &ctx) {
        Ok(facts) => matches!(facts.first(), Some(Fact::StepStarted { .. })),
        Err(Refusal::NotGranted { name }) => {
            assert!(needs.iter().any(|need| item(need).to_string() == name), "{name}");
            false
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_call_needs_what_both_the_run_and_the_module_may() {
    let narrow = history(Grant::of(items(["run:process=ls", "run:process=rm", "read:/data/a", "write:/data/b"])));
    for (needs, allowed) in [
        (vec![], true),
        (vec!["run:process=ls"], true),
        (vec!["run:process=ls", "read:/data/a/b"], true),
        (vec!["run:process=cat"], false),
        (vec!["run:process=rm"], false),
        (vec!["read:/data"], false),
        (vec!["run:process=ls", "write:/data/a"], false),
        (vec!["net:example.org"], false),
    ] {
        assert_eq!(may(&narrow, 0, 1, &needs), allowed, "{needs:?}");
    }
    assert!(!may(&history(Grant::default()), 0, 1, &["run:process=ls"]), "a module without a grant may nothing");
}

fn asking(step: u32, need: &str) -> Box<Question> {
    let needs = vec![Needed { need: item(need), basis: Basis::Uncovered }];
    let (tool, arguments) = (TOOL.to_owned(), "{}".to_owned());
    Box::new(Question::Permission { step: StepIndex(step), tool, arguments, needs })
}

fn answered(answer: Answer) -> Vec<Line> {
    let ask = Command::Ask {
        module: A,
        epoch: common_ground::Epoch(1),
        approval: APPROVAL,
        question: asking(0, "run:process=ls -l"),
    };
    let said = Command::Answer { approval: APPROVAL, answer };
    then(&history(Grant::default()), &[(WORKER, ask), (PERSON, said), (WORKER, claim(A))])
}

#[test]
fn an_answer_allows_exactly_what_was_asked_and_no_longer_than_it_says() {
    for (answer, first, later) in [
        (Answer::Deny, false, false),
        (Answer::Once, true, false),
        (Answer::Run, true, true),
        (Answer::Always, true, true),
    ] {
        let history = answered(answer.clone());
        assert_eq!(may(&history, 0, 2, &["run:process=ls -l"]), first, "{answer:?}");
        for wider in ["run:process=ls", "run:process=ls -la", "run:process"] {
            assert!(!may(&history, 0, 2, &[wider]), "{answer:?} {wider}");
        }
        let next = then(&history, &[(WORKER, call(0, 2, &[])), (WORKER, finish(owner(A, 1, 2), 0, used(0, 0, 1)))]);
        assert_eq!(may(&next, 1, 2, &["run:process=ls -l"]), later, "{answer:?} later");
    }
}

#[test]
fn a_prohibition_is_not_answered_away() {
    let ask = Command::Ask {
        module: A,
        epoch: common_ground::Epoch(1),
        approval: APPROVAL,
        question: asking(0, "run:process=rm"),
    };
    let said = Command::Answer { approval: APPROVAL, answer: Answer::Always };
    let history = then(&history(Grant::default()), &[(WORKER, ask), (PERSON, said), (WORKER, claim(A))]);
    assert!(!may(&history, 0, 2, &["run:process=rm"]));
}

#[test]
fn an_answer_must_be_one_to_its_question() {
    let words = Box::new(Question::Words { step: StepIndex(0), text: "which?".to_owned() });
    let text = || Answer::Words { text: "that".to_owned() };
    for (question, answer, fits) in [
        (asking(0, "env:LANG"), text(), false),
        (asking(0, "env:LANG"), Answer::Run, true),
        (words.clone(), Answer::Always, false),
        (words.clone(), Answer::Once, false),
        (words.clone(), Answer::Deny, true),
        (words, text(), true),
    ] {
        let ask = Command::Ask { module: A, epoch: common_ground::Epoch(1), approval: APPROVAL, question };
        let history = then(&history(Grant::default()), &[(WORKER, ask)]);
        let command = Command::Answer { approval: APPROVAL, answer: answer.clone() };
        let expected = if fits {
            Ok(vec![Fact::ApprovalAnswered { approval: APPROVAL, answer, by: PERSON }])
        } else {
            Err(Refusal::WrongAnswer { approval: APPROVAL })
        };
        check(&history, &command, PERSON, expected);
    }
    let unasked = Command::Answer { approval: ApprovalId(Uuid::nil()), answer: Answer::Deny };
    check(&history(Grant::default()), &unasked, PERSON, Err(Refusal::NoApproval { approval: ApprovalId(Uuid::nil()) }));
}
