//! A word of the person to one module: who may say it, who hears it, when and how often.

mod world;

use common_ground::{
    Command, Fact, ModuleId, Refusal, StepIndex, module::Owner, refusal::Wanted, role::Role, run::PauseReason,
};
use receipts::{Digest, PublicKey};
use world::*;

fn word(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn tell(module: ModuleId, text: &str) -> (PublicKey, Command) {
    (PERSON, Command::Tell { module, text: word(text) })
}

fn hear(owner: Owner, step: u32, words: &[&str]) -> Command {
    Command::Hear { owner, step: StepIndex(step), words: words.iter().map(|text| word(text)).collect() }
}

fn heard_fact(owner: Owner, step: u32, words: &[&str]) -> Vec<Fact> {
    let words = words.iter().map(|text| word(text)).collect();
    vec![Fact::WordsHeard { owner, step: StepIndex(step), words }]
}

/// A was told two things while it worked.
fn told() -> Vec<Line> {
    then(&leased(), &[tell(A, "one"), tell(A, "two")])
}

#[test]
fn the_person_says_it_to_whoever_is_not_over() {
    let said = |module| Ok(vec![Fact::ModuleTold { module, text: word("one"), by: PERSON }]);
    let command = |module| Command::Tell { module, text: word("one") };
    for history in [planned(), leased(), submitted(), judged(), then(&leased(), &[(PERSON, hold(A))])] {
        let state = check(&history, &command(A), PERSON, said(A));
        assert_eq!(state.run().expect("open").modules[&A].words.len(), 1);
    }
    let still = then(&leased(), &[(PERSON, pause(PauseReason::Interrupt))]);
    check(&still, &command(A), PERSON, said(A));
    for by in EVERYBODY.into_iter().filter(|by| *by != PERSON) {
        check(&leased(), &command(A), by, not_allowed(Role::Person));
    }
    check(&accepted(), &command(A), PERSON, not_now(A, Wanted::Live));
    check(&then(&leased(), &[(PERSON, cancel(A))]), &command(A), PERSON, not_now(A, Wanted::Live));
    check(&leased(), &command(UNKNOWN), PERSON, Err(Refusal::NoModule { module: UNKNOWN }));
    check(&then(&leased(), &[(PERSON, Command::Cancel)]), &command(A), PERSON, Err(Refusal::NotOpen));
}

#[test]
fn an_attempt_hears_each_word_once_in_order_before_a_step_that_was_not_begun() {
    let mine = owner(A, 1, 1);
    let no = || Err(Refusal::NotSaid { module: A });
    let wrong = |step| Err(Refusal::WrongStep { step: StepIndex(step) });
    check(&told(), &hear(mine, 0, &["one", "two"]), WORKER, Ok(heard_fact(mine, 0, &["one", "two"])));
    check(&told(), &hear(mine, 0, &["one"]), WORKER, Ok(heard_fact(mine, 0, &["one"])));
    for words in [&["two"][..], &["two", "one"], &["one", "two", "three"], &[]] {
        check(&told(), &hear(mine, 0, words), WORKER, no());
    }
    let first = then(&told(), &[(WORKER, hear(mine, 0, &["one"]))]);
    check(&first, &hear(mine, 0, &["one"]), WORKER, no());
    check(&first, &hear(mine, 0, &["two"]), WORKER, Ok(heard_fact(mine, 0, &["two"])));
    // A step that is on record was made without it.
    let begun = then(&told(), &[(WORKER, start(mine, 0, model(MODEL), amount(1, 0, 0)))]);
    check(&begun, &hear(mine, 0, &["one"]), WORKER, wrong(0));
    check(&begun, &hear(mine, 2, &["one"]), WORKER, wrong(2));
    check(&begun, &hear(mine, 1, &["one"]), WORKER, Ok(heard_fact(mine, 1, &["one"])));
    check(&told(), &hear(owner(A, 2, 1), 0, &["one"]), WORKER, wrong(0));
    check(&told(), &hear(owner(A, 1, 2), 0, &["one"]), WORKER, stale(A, 2));
    check(&told(), &hear(mine, 0, &["one"]), OTHER, not_allowed(Role::Associate));
    check(&told(), &hear(PLANNER, 0, &["one"]), PRINCIPAL, wrong(0));
}

/// What the person wants of a module holds for its next attempt too, and for one that comes back after a lost lease once.
#[test]
fn the_next_attempt_hears_all_and_the_same_attempt_only_what_is_new() {
    let mine = owner(A, 1, 1);
    let lost = [(WORKER, hear(mine, 0, &["one"])), (NODE, reclaim(true)), (WORKER, claim(A))];
    let (again, other) = (owner(A, 1, 2), owner(A, 2, 2));
    let history = then(&told(), &lost);
    check(&history, &hear(again, 0, &["one"]), WORKER, Err(Refusal::NotSaid { module: A }));
    check(&history, &hear(again, 0, &["two"]), WORKER, Ok(heard_fact(again, 0, &["two"])));
    let back = [
        (WORKER, hear(mine, 0, &["one", "two"])),
        (WORKER, submit(A, 1)),
        (VERIFIER, judge(A, 1, &[true, false])),
        (WORKER, claim(A)),
    ];
    let history = then(&told(), &back);
    let state = check(&history, &hear(other, 0, &["one", "two"]), WORKER, Ok(heard_fact(other, 0, &["one", "two"])));
    assert!(state.run().expect("open").modules[&A].unheard().is_empty());
}
