//! Which steps give the same when they are run again, and why the others need not.

use common_ground::{
    budget::Amount,
    criterion::Criterion,
    grant::{Grant, Tier},
    module::{CallKind, CallOutcome, Step, StepState, Usage},
    record::{Exit, Limit, Traced},
    repeat::{Means, Varies, checkable, repeatable},
};
use receipts::Digest;

const ENGINE: &str = "engine";

fn finished(tier: Option<Tier>) -> StepState {
    let traced =
        tier.map(|tier| Traced { tier, grant: Grant::default().digest(), record: Digest::of(b"r"), egress: None });
    StepState::Finished { outcome: CallOutcome::Done, response: Digest::of(b""), usage: Usage::default(), traced }
}

fn step(call: CallKind, state: StepState) -> Step {
    Step { call, request: Digest::of(b"q"), reserved: Amount::default(), state }
}

fn model(id: &str, state: StepState) -> Step {
    step(CallKind::Model { model: id.to_owned() }, state)
}

fn tool(needs: &[&str], refused: bool, state: StepState) -> Step {
    let needs = needs.iter().map(|need| need.parse().unwrap_or_else(|error| panic!("{need}: {error}"))).collect();
    let (tool, tool_digest) = ("t".to_owned(), Digest::of(b"t"));
    step(CallKind::Tool { tool, tool_digest, idempotent: true, needs, refused }, state)
}

#[test]
fn a_step_is_run_again_only_where_all_it_rests_on_is_on_record() {
    let on = |tier| finished(Some(tier));
    let limit = |limit| Some(Exit::Limit { limit });
    for (step, exit, wanted) in [
        (model(ENGINE, finished(None)), None, Ok(Means::Engine)),
        (model("openai:x", finished(None)), None, Err(Varies::Model)),
        (model(ENGINE, StepState::Started), None, Err(Varies::InDoubt)),
        (tool(&[], false, on(Tier::Wasm)), Some(Exit::Done), Ok(Means::Component)),
        // It fails the same way again.
        (tool(&[], false, on(Tier::Wasm)), Some(Exit::Trapped), Ok(Means::Component)),
        (tool(&[], false, on(Tier::Wasm)), Some(Exit::Code { code: 1 }), Ok(Means::Component)),
        (tool(&[], false, on(Tier::Wasm)), limit(Limit::Memory), Ok(Means::Component)),
        (tool(&[], false, on(Tier::Wasm)), limit(Limit::Cpu), Err(Varies::TimeLimit)),
        (tool(&[], false, on(Tier::Wasm)), limit(Limit::Wall), Err(Varies::TimeLimit)),
        (tool(&[], false, on(Tier::Wasm)), Some(Exit::Cancelled), Err(Varies::NotMade)),
        (tool(&[], true, on(Tier::Wasm)), Some(Exit::Refused), Err(Varies::NotMade)),
        (tool(&["read:/a"], false, on(Tier::Wasm)), Some(Exit::Done), Err(Varies::Files)),
        (tool(&["net:a.org"], false, on(Tier::Wasm)), Some(Exit::Done), Err(Varies::Network)),
        (tool(&["env:A"], false, on(Tier::Wasm)), Some(Exit::Done), Err(Varies::Environment)),
        (tool(&["secret:a@b.org/c"], false, on(Tier::Wasm)), Some(Exit::Done), Err(Varies::Secret)),
        (tool(&["net:a.org"], false, on(Tier::Builtin)), Some(Exit::Done), Err(Varies::Network)),
        (tool(&["run:process=ls"], false, on(Tier::Process)), Some(Exit::Done), Err(Varies::Process)),
        (tool(&["run:docker:a"], false, on(Tier::Docker)), Some(Exit::Done), Err(Varies::Container)),
        (tool(&[], false, on(Tier::Builtin)), Some(Exit::Done), Err(Varies::Own)),
        (tool(&[], false, on(Tier::Browser)), Some(Exit::Done), Err(Varies::Browser)),
        (tool(&[], false, on(Tier::Mcp)), Some(Exit::Done), Err(Varies::Server)),
        (tool(&[], false, finished(None)), None, Err(Varies::Own)),
        (tool(&[], false, StepState::Started), None, Err(Varies::InDoubt)),
    ] {
        assert_eq!(repeatable(&step, ENGINE, exit), wanted, "{step:?} {exit:?}");
    }
}

#[test]
fn a_finding_is_made_again_where_the_deliverable_alone_decides() {
    for (criterion, wanted) in [
        (Criterion::EveryClaimCites, Ok(())),
        (Criterion::MinimumSources { count: 2 }, Ok(())),
        (Criterion::AnswerMatchesSchema { schema: "{}".to_owned() }, Ok(())),
        (Criterion::QuotesVerbatim, Err(Varies::Own)),
        (Criterion::Judged { rubric: "It is so.".to_owned() }, Err(Varies::Model)),
    ] {
        assert_eq!(checkable(&criterion), wanted, "{criterion:?}");
    }
}
