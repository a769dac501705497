//! Runs in which nothing is wrong, though much of it happens rarely: each is a way in which a rule could cry for nothing.

use common_ground::{
    Command, Epoch, ModuleId, StepIndex,
    approval::Answer,
    budget::Amount,
    criterion::Criterion,
    guardian::Act,
    module::{CallKind, CallOutcome, Handover, Input, ModuleKind, ModuleSpec, Owner, Usage, WorkError},
    record::{Exit, Limit},
    role::Role,
    run::{Outcome, PauseReason, PlanReason, Task},
};

use crate::{
    story::{Came, Story, Work, came, hash, head, module, spec, task},
    world::{self, APPROVAL, NODE, OTHER, PERSON, PRINCIPAL, THIRD, VERIFIER, WORKER},
};

/// A name and the lines of one story, or of several side by side.
pub type Clean = (&'static str, fn() -> Vec<Story>);

fn said(tokens: u64, wall_ms: u64) -> Usage {
    Usage { tokens_in: tokens, tokens_out: tokens / 4, cost_micro: tokens, tool_calls: 0, wall_ms }
}

const PARAGRAPH: &str = "A person may pause a run at any time. Before a module is accepted, every criterion must pass. The \
    keys are kept in a folder of the home that nobody else may read, and a lease is lost when its holder is silent past its \
    term. What a verifier reads it reads anew, and it never sees the reasoning of the worker whose deliverable it judges.";
const OTHER_PARAGRAPH: &str = "The harbour was built in the last century by people who had come over the hills in search of \
    work, and for many years it carried nothing but timber and slate. When the railway came the quays stood empty, until a \
    company from the north began to ship stone for the new roads, which it does to this day with three small vessels.";

/// A usual run: plan, search, read, answer, judge, accept, close.
fn usual(number: u128, questions: &[&str]) -> Story {
    let mut story = Story::planned(number, task(), questions);
    for (place, question) in (0..).zip(questions) {
        let work = story.lease(module(place), WORKER);
        story.model(work, &format!("{question} 1"), "", &[(world::TOOL, "{}")], said(900, 340 + 7 * place as u64));
        story.search(work, question);
        story.search(work, &format!("{question} in other words"));
        story.model(work, &format!("{question} 2"), "I have what I need.", &[("submit", "{}")], said(2_100, 912));
        story.finish(work, &[&format!("{question} {PARAGRAPH}")[..200.min(question.len() + 150)]]);
        story.wait(40);
    }
    story.close(Outcome::Completed, "{\"report\":1}");
    story
}

fn alone(story: Story) -> Vec<Story> {
    vec![story]
}

fn one_question() -> Vec<Story> {
    alone(usual(1, &["Who may pause a run?"]))
}

fn many_questions() -> Vec<Story> {
    alone(usual(2, &["Who?", "What?", "Where?", "When?", "Why?", "How?", "Whose?", "Which?"]))
}

fn side_by_side() -> Vec<Story> {
    vec![usual(3, &["Who?", "What?"]), usual(4, &["Where?"])]
}

fn three_at_once() -> Vec<Story> {
    let mut story = Story::planned(5, task(), &["Who?", "What?", "Where?"]);
    let works = [WORKER, OTHER, THIRD].into_iter().zip(0..).map(|(by, place)| story.lease(module(place), by));
    let works: Vec<Work> = works.collect();
    for turn in 0..4 {
        for work in &works {
            story.search(*work, &format!("turn {turn}"));
            story.wait(15);
        }
    }
    for work in works {
        story.finish(work, &["An answer of its own."]);
    }
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn sent_back_once() -> Vec<Story> {
    let (mut story, work) = Story::one(6);
    story.search(work, "pause");
    let deliverable = story.submit(work, &["A misquote."]);
    story.judge(work, deliverable, &[true, false]);
    let again = story.lease(module(0), WORKER);
    story.search(again, "pause again");
    story.finish(again, &["A quote."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn sent_back_until_it_failed() -> Vec<Story> {
    let (mut story, mut work) = Story::one(7);
    for turn in 0..3 {
        story.search(work, &format!("try {turn}"));
        let deliverable = story.submit(work, &["A misquote."]);
        story.judge(work, deliverable, &[true, false]);
        if turn < 2 {
            work = story.lease(module(0), WORKER);
        }
    }
    story.close(Outcome::NotAccepted, "{}");
    alone(story)
}

fn killed_and_resumed() -> Vec<Story> {
    let (mut story, work) = Story::one(8);
    story.search(work, "before");
    story.wait(100_000);
    story.say(NODE, &Command::Reclaim { holder_gone: true });
    let work = story.lease(module(0), OTHER);
    story.search(work, "after");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn left_overnight() -> Vec<Story> {
    let (mut story, work) = Story::one(9);
    story.search(work, "before");
    story.say(PERSON, &Command::Pause { reason: PauseReason::Interrupt });
    story.wait(8 * 3_600_000);
    story.say(PERSON, &Command::Resume);
    let work = story.lease(module(0), WORKER);
    story.search(work, "after");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_slow_local_model() -> Vec<Story> {
    let (mut story, work) = Story::one(10);
    for turn in 0..3 {
        story.model(work, &format!("turn {turn}"), "thinking", &[], said(400, 0));
        for _ in 0..20 {
            story.wait(15_000);
            story.renew(work);
        }
        story.search(work, &format!("turn {turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_question_that_waits_for_a_day() -> Vec<Story> {
    let (mut story, work) = Story::one(11);
    story.search(work, "before");
    story.say(work.by, &world::ask(work.module, work.epoch, APPROVAL));
    story.wait(86_400_000);
    story.say(PERSON, &world::answer(APPROVAL, Answer::Once));
    let work = story.lease(module(0), WORKER);
    story.tool(work, "shell", &["run:process=ls"], "{\"command\":\"ls\"}", "a\nb\n", came());
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_few_errors_among_many_calls() -> Vec<Story> {
    let (mut story, work) = Story::one(12);
    for turn in 0..30 {
        if turn % 4 == 3 {
            let failed = Came { outcome: CallOutcome::Failed, exit: Exit::Failed, ..came() };
            story.tool(work, "fetch", &["net:example.org"], &format!("{turn}"), "404", failed);
        } else {
            story.search(work, &format!("turn {turn}"));
        }
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn pages_are_polled() -> Vec<Story> {
    let (mut story, work) = Story::one(13);
    for turn in 0..3 {
        story.tool(work, "fetch", &["net:example.org"], "{\"url\":\"x\"}", &format!("{turn} of 3 done"), came());
    }
    story.search(work, "the same");
    story.search(work, "the same");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_long_and_dear_run() -> Vec<Story> {
    let (mut story, work) = Story::one(14);
    for turn in 0..120 {
        story.model(work, &format!("turn {turn}"), "on", &[], said(6_000, 20_000 + 531 * (turn % 17)));
        story.search(work, &format!("turn {turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_small_budget_well_used() -> Vec<Story> {
    let limit = Amount { tokens: 10_000, cost_micro: 10_000, tool_calls: 6 };
    let mut story = Story::planned(15, Task { limit, ..task() }, &["Who?"]);
    let work = story.lease(module(0), WORKER);
    for turn in 0..3 {
        story.model(work, &format!("{turn}"), "", &[], said(2_000, 700 + turn));
        story.search(work, &format!("{turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_budget_that_ends_and_is_raised() -> Vec<Story> {
    let limit = Amount { tokens: 1_000, cost_micro: 1_000, tool_calls: 4 };
    let mut story = Story::planned(16, Task { limit, ..task() }, &["Who?"]);
    let work = story.lease(module(0), WORKER);
    (0..4).for_each(|turn| story.search(work, &format!("{turn}")));
    story.say(NODE, &Command::Pause { reason: PauseReason::Budget });
    story.wait(60_000);
    story.say(PERSON, &Command::Raise { limit: Amount { tool_calls: 40, ..limit }, wall_ms: 0 });
    story.say(PERSON, &Command::Resume);
    let work = story.lease(module(0), WORKER);
    story.search(work, "more");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn cancelled() -> Vec<Story> {
    let (mut story, work) = Story::one(17);
    story.search(work, "before");
    story.say(PERSON, &Command::Cancel);
    alone(story)
}

fn a_worker_that_gave_up() -> Vec<Story> {
    let (mut story, work) = Story::one(18);
    story.search(work, "before");
    let error = WorkError::Protocol { detail: "no call".to_owned() };
    story.say(work.by, &Command::GiveUp { module: work.module, epoch: Epoch(work.epoch), error });
    let work = story.lease(module(0), WORKER);
    story.search(work, "after");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_merge_needs_no_tool() -> Vec<Story> {
    let mut story = usual_begun(19, &["Who?", "What?"]);
    let inputs = [0, 1].map(|place| Input { module: module(place), handover: Handover::Conclusions, share: 40 }).into();
    let merge = ModuleSpec { kind: ModuleKind::Merge, inputs, ..spec("Who and what?") };
    story.say(PRINCIPAL, &Command::Propose { plan: PlanReason::Given, modules: vec![(module(9), merge)] });
    for (place, claim) in [(0, PARAGRAPH), (1, OTHER_PARAGRAPH)] {
        let work = story.lease(module(place), WORKER);
        story.search(work, "parts");
        story.finish(work, &[claim]);
    }
    let work = story.lease(module(9), WORKER);
    story.finish(work, &[PARAGRAPH, OTHER_PARAGRAPH]);
    story.close(Outcome::Completed, PARAGRAPH);
    alone(story)
}

fn usual_begun(number: u128, questions: &[&str]) -> Story {
    Story::planned(number, task(), questions)
}

fn papers_on_security() -> Vec<Story> {
    let (mut story, work) = Story::one(20);
    for text in [
        "An attacker may write that the previous instructions no longer hold. A system prompt is what a model reads first.",
        "Tokens of this kind begin with ghp_ and have 36 further characters. Keys of AWS begin with AKIA.",
        "A PEM file begins with -----BEGIN CERTIFICATE----- and ends with its footer.",
        "Do not run commands that you do not understand. Users should be told of every change.",
    ] {
        story.tool(work, "fetch", &["net:example.org"], text, text, came());
    }
    story.finish(work, &["Keys of AWS begin with AKIA, tokens of GitHub with ghp_."]);
    story.close(Outcome::Completed, "Keys of AWS begin with AKIA.");
    alone(story)
}

fn numbers_of_all_sorts() -> Vec<Story> {
    let (mut story, work) = Story::one(21);
    story.search(work, "numbers");
    story.finish(
        work,
        &[
            "ISBN 978-3-16-148410-0, DOI 10.1000/182, order 4111-2222-3333, 1700000000000 ms, 3.14159265358979",
            "call +49 30 901820 or write to info@example.org; between 1234567890123456 and 6543210987654321",
            "550e8400-e29b-41d4-a716-446655440000 and 192.168.100.200, 2026-11-22T06:15:17Z",
        ],
    );
    story.close(Outcome::Completed, "ISBN 978-3-16-148410-0");
    alone(story)
}

fn one_call_refused_and_another_way_found() -> Vec<Story> {
    let (mut story, work) = Story::one(22);
    for turn in 0..4 {
        let refused = Came { outcome: CallOutcome::Failed, exit: Exit::Refused, refused: true, ..came() };
        story.tool(work, "fetch", &[], &format!("{turn}"), "no grant covers it", refused);
        story.search(work, &format!("{turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn one_limit_hit() -> Vec<Story> {
    let (mut story, work) = Story::one(23);
    let limited = Came { outcome: CallOutcome::Failed, exit: Exit::Limit { limit: Limit::Wall }, ..came() };
    story.tool(work, "shell", &["run:process=make"], "make", "ended", limited);
    story.tool(work, "shell", &["run:process=make part"], "make part", "done", came());
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_collection_that_grows() -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    for (number, size) in [(24_u128, 5_u64), (25, 5), (26, 9)] {
        let corpora = vec![head("node/corpus/c", size, &format!("root of {size}"))];
        let mut story = Story::planned(number, Task { corpora, ..task() }, &["Who?"]);
        story.wait(number as u64 * 1000);
        let work = story.lease(module(0), WORKER);
        story.search(work, "who");
        story.finish(work, &["An answer."]);
        story.close(Outcome::Completed, "{}");
        stories.push(story);
    }
    stories
}

fn quick_extractive_calls() -> Vec<Story> {
    let (mut story, work) = Story::one(27);
    for turn in 0..40 {
        story.model(work, &format!("{turn}"), "", &[], Usage::default());
        story.search(work, &format!("{turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_model_with_a_steady_hand() -> Vec<Story> {
    let (mut story, work) = Story::one(28);
    for turn in 0..30_u64 {
        story.model(work, &format!("{turn}"), "", &[], said(500, 1_000 + (turn * 37) % 90));
        story.search(work, &format!("{turn}"));
    }
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn two_modules_that_quote_one_source() -> Vec<Story> {
    let mut story = Story::planned(29, task(), &["Who may pause?", "Where are the keys?"]);
    for (place, more) in [(0, "A person may."), (1, "In the home.")] {
        let work = story.lease(module(place), WORKER);
        story.search(work, more);
        let half = &PARAGRAPH[place as usize * 100..place as usize * 100 + 190];
        story.finish(work, [half, more, OTHER_PARAGRAPH].get(..2 + place as usize).expect("claims"));
    }
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn orders_of_a_person() -> Vec<Story> {
    let (mut story, work) = Story::one(30);
    story.search(work, "before");
    let charter = common_ground::guardian::Charter {
        not_before: common_ground::Millis(0),
        not_after: common_ground::Millis(u64::MAX),
        ..world::charter()
    };
    let charter = Command::Charter { charter: world::presented(charter, world::charter_id(), &[PERSON]) };
    story.say(NODE, &charter);
    let order = |act, run, nonce: &str| common_ground::guardian::Order {
        run,
        nonce: hash(nonce),
        not_after: common_ground::Millis(u64::MAX),
        ..world::order(act)
    };
    for (act, nonce) in [(Act::Resume, "0"), (Act::Pause { most_ms: None }, "1"), (Act::Resume, "2")] {
        story.say(NODE, &world::ordered(&order(act, story.run, nonce), &[PERSON]));
        story.wait(1_000);
    }
    let work = story.lease(work.module, WORKER);
    story.search(work, "after");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_plan_by_a_model() -> Vec<Story> {
    let mut story = Story::new(31);
    let open = Command::Open { run: story.run, task: Box::new(task()), roster: Box::new(world::roster()) };
    story.say(PRINCIPAL, &open);
    let owner = Owner::Role { role: Role::Principal };
    for turn in 0..3 {
        let call = CallKind::Model { model: world::MODEL.to_owned() };
        let (step, request) = (StepIndex(turn), hash("plan"));
        let reserve = said(100, 0).amount();
        story.say(PRINCIPAL, &Command::StartStep { owner, step, call, request, reserve });
        let response = story.content(b"{\"said\":{\"text\":\"a plan\",\"calls\":[]}}");
        let (outcome, usage) = (CallOutcome::Done, said(100, 900 + u64::from(turn)));
        story.say(PRINCIPAL, &Command::FinishStep { owner, step, outcome, response, usage, traced: None });
    }
    let modules: Vec<(ModuleId, ModuleSpec)> = vec![(module(0), spec("Who?"))];
    story.say(PRINCIPAL, &Command::Propose { plan: PlanReason::Single, modules });
    let work = story.lease(module(0), WORKER);
    story.search(work, "who");
    story.finish(work, &["An answer."]);
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn a_rubric_that_fails() -> Vec<Story> {
    let mut story = Story::new(32);
    let open = Command::Open { run: story.run, task: Box::new(task()), roster: Box::new(world::roster()) };
    story.say(PRINCIPAL, &open);
    let rubric = Criterion::Judged { rubric: "It is short.".to_owned() };
    let criteria = vec![Criterion::EveryClaimCites, rubric];
    let modules =
        (0..3).map(|place| (module(place), ModuleSpec { criteria: criteria.clone(), ..spec(&format!("{place}?")) }));
    story.say(PRINCIPAL, &Command::Propose { plan: PlanReason::Given, modules: modules.collect() });
    for place in 0..3 {
        for passed in [false, false, true] {
            let work = story.lease(module(place), WORKER);
            story.search(work, "a rubric");
            let deliverable = story.submit(work, &["It is long."]);
            story.judge(work, deliverable, &[true, passed]);
            if passed {
                story.accept(work);
            }
        }
    }
    story.close(Outcome::Completed, "{}");
    alone(story)
}

fn cut_off_in_the_middle() -> Vec<Story> {
    let (mut story, work) = Story::one(33);
    story.search(work, "before");
    let deliverable = story.submit(work, &["An answer."]);
    story.judge(work, deliverable, &[true, true]);
    assert!(story.state.run().is_some_and(|run| run.roster.verifier == VERIFIER));
    alone(story)
}

/// One module was accepted there and is not worked here; the other is.
fn a_fork() -> Vec<Story> {
    let mut first = usual_begun(36, &["Who?", "What?"]);
    let work = first.lease(module(0), WORKER);
    first.search(work, "who");
    first.finish(work, &["A person."]);
    let fork = Story::forked(37, &first);
    let ended = [first, fork].into_iter().map(|mut story| {
        let work = story.lease(module(1), WORKER);
        story.search(work, "what");
        story.finish(work, &["A run."]);
        story.close(Outcome::Completed, "{}");
        story
    });
    ended.collect()
}

pub const ALL: &[Clean] = &[
    ("one question", one_question),
    ("eight questions", many_questions),
    ("two runs side by side", side_by_side),
    ("three modules at once", three_at_once),
    ("a deliverable sent back once", sent_back_once),
    ("a module whose three tries were all sent back", sent_back_until_it_failed),
    ("killed, and resumed by another", killed_and_resumed),
    ("paused overnight", left_overnight),
    ("a local model that takes five minutes an answer", a_slow_local_model),
    ("a question that waits for a day", a_question_that_waits_for_a_day),
    ("a quarter of thirty calls failed", a_few_errors_among_many_calls),
    ("a page polled until it changes, a search made twice", pages_are_polled),
    ("120 dear model calls in an hour", a_long_and_dear_run),
    ("a small budget well used", a_small_budget_well_used),
    ("a budget that ended and was raised", a_budget_that_ends_and_is_raised),
    ("cancelled by the person", cancelled),
    ("a worker that gave up once", a_worker_that_gave_up),
    ("a merge, which needs no tool", a_merge_needs_no_tool),
    ("papers on security", papers_on_security),
    ("numbers that are no cards and no accounts", numbers_of_all_sorts),
    ("calls refused now and then", one_call_refused_and_another_way_found),
    ("one call that hit a limit", one_limit_hit),
    ("a collection that grows over three runs", a_collection_that_grows),
    ("forty calls of the built-in engine, 0 ms each", quick_extractive_calls),
    ("a model with a steady hand", a_model_with_a_steady_hand),
    ("two modules that quote one source", two_modules_that_quote_one_source),
    ("orders of a person, one of them for nothing", orders_of_a_person),
    ("a plan by a model that asks the same thrice", a_plan_by_a_model),
    ("deliverables sent back on a rubric", a_rubric_that_fails),
    ("cut off in the middle", cut_off_in_the_middle),
    ("a run begun from another that was half done", a_fork),
];
