//! The small words of the crate, one table each: ids, moments, amounts, spans, names, messages, what a run can be asked,
//! and the two invariants that are held by the shape of the text itself.

mod world;

use std::{collections::BTreeSet, fs, path::Path};

use common_ground::{
    ApprovalId, Epoch, Millis, ModuleId, Refusal, StepIndex,
    budget::{Account, Amount},
    citation::{Citation, Span},
    criterion::Criterion,
    deliverable::{Claim, Deliverable},
    module::Usage,
    port::tool::ToolSpec,
    refusal::Wanted,
    report::{Gap, Report, ReportClaim, Section},
    role::{Role, Roster},
    run::Outcome,
};
use receipts::Digest;
use serde_json::Value;
use world::*;

#[test]
fn an_id_reads_back_from_its_text() {
    let text = "00000000-0000-0000-0000-00000000000b";
    assert_eq!(text.parse::<ModuleId>(), Ok(A));
    assert_eq!((A.to_string(), format!("{A:?}")), (text.to_owned(), format!("ModuleId({text})")));
    assert_eq!(serde_json::to_string(&APPROVAL).expect("encodes"), "\"00000000-0000-0000-0000-000000000015\"");
    assert!("a module".parse::<ModuleId>().is_err() && "".parse::<ApprovalId>().is_err());
}

#[test]
fn moments_and_epochs_hold_at_their_ends() {
    assert_eq!((Millis(5).plus(7), Millis(u64::MAX).plus(1)), (Millis(12), Millis(u64::MAX)));
    assert_eq!((Millis(12).since(Millis(5)), Millis(5).since(Millis(12))), (7, 0));
    assert_eq!(Epoch(4).next(), Epoch(5));
}

#[test]
fn amounts_are_reckoned_part_by_part() {
    let (small, large) = (amount(1, 20, 3), amount(10, 2, 3));
    assert_eq!(small.plus(large), amount(11, 22, 6));
    assert_eq!(small.minus(large), amount(0, 18, 0));
    assert_eq!(small.clamp_to(large), amount(1, 2, 3));
    assert_eq!(large.plus(Amount::UNLIMITED), Amount::UNLIMITED);
    assert!(small.fits(small) && small.fits(Amount::UNLIMITED));
    for too_large in [amount(2, 20, 3), amount(1, 21, 3), amount(1, 20, 4)] {
        assert!(small.fits(too_large) && !too_large.fits(small), "{too_large:?}");
    }
    let account = Account::new(large);
    let zero = Amount::default();
    assert_eq!((account.limit(), account.room(), account.reserved(), account.spent()), (large, large, zero, zero));
    let (read, written) = (Usage { tokens_in: 2, ..used(0, 5, 1) }, Usage { tokens_out: 3, ..used(0, 1, 0) });
    assert_eq!(read.plus(written).amount(), amount(5, 6, 1));
    assert_eq!(read.plus(written).wall_ms, 14);
    let most = Usage { tokens_in: u64::MAX, tokens_out: 1, ..used(0, 0, 0) };
    assert_eq!((most.amount().tokens, most.plus(most).tokens_in), (u64::MAX, u64::MAX));
}

#[test]
fn a_span_is_half_open() {
    for (start, end, len) in [(3, 8, 5), (3, 3, 0), (8, 3, 0)] {
        let span = Span { start, end };
        assert_eq!((span.len(), span.is_empty()), (len, len == 0));
    }
}

#[test]
fn criteria_have_the_names_that_receipts_use() {
    let names = [
        (Criterion::EveryClaimCites, "every-claim-cites"),
        (Criterion::QuotesVerbatim, "quotes-verbatim"),
        (Criterion::MinimumSources { count: 1 }, "minimum-sources"),
        (Criterion::AnswerMatchesSchema { schema: String::new() }, "answer-matches-schema"),
    ];
    for (criterion, name) in names {
        assert_eq!(criterion.name(), name);
        assert_eq!(serde_json::to_value(&criterion).expect("encodes")["criterion"], name);
    }
}

#[test]
fn each_key_of_the_roster_holds_its_roles_and_no_other() {
    let holds = |key| {
        let roles = [Role::Person, Role::Partner, Role::Principal, Role::Associate, Role::Verifier, Role::Node];
        roles.into_iter().filter(|role| roster().holds(key, *role)).collect::<Vec<_>>()
    };
    assert_eq!(holds(PERSON), [Role::Person]);
    assert_eq!(holds(PRINCIPAL), [Role::Partner, Role::Principal]);
    assert_eq!((holds(WORKER), holds(OTHER), holds(THIRD)), (vec![Role::Associate], holds(WORKER), holds(WORKER)));
    assert_eq!((holds(VERIFIER), holds(NODE)), (vec![Role::Verifier], vec![Role::Node]));
    assert_eq!(holds(NOBODY), []);
    assert_eq!((roster().shared_key(), Roster { node: THIRD, ..roster() }.shared_key()), (None, Some(THIRD)));
}

#[test]
fn refusals_say_what_failed_in_lower_case() {
    let (module, step, input) = (A, StepIndex(3), B);
    let said = [
        (Refusal::NotAllowed { role: Role::Person }, "only the Person may do this".to_owned()),
        (Refusal::NoModule { module }, format!("no module {A}")),
        (
            Refusal::BadInput { module, input },
            format!("module {A} takes {B} as input, which is no earlier module that can be accepted"),
        ),
        (Refusal::NotNow { module, wanted: Wanted::Judged }, format!("module {A} is not judged")),
        (Refusal::InDoubt { step }, "step StepIndex(3) is in doubt and must not be repeated".to_owned()),
        (Refusal::NotGranted { name: "rm".to_owned() }, "rm was not granted".to_owned()),
        (Refusal::AskedBefore { approval: APPROVAL }, format!("approval {APPROVAL} was asked for before")),
    ];
    for (refusal, text) in said {
        assert_eq!(refusal.to_string(), text);
        let value = serde_json::to_value(&refusal).expect("encodes");
        assert_eq!(serde_json::from_value::<Refusal>(value).expect("decodes"), refusal);
    }
    let wanted = [Wanted::Ready, Wanted::Leased, Wanted::Submitted, Wanted::Judged, Wanted::Live, Wanted::Paused];
    for wanted in wanted {
        assert_eq!(serde_json::to_value(wanted).expect("encodes"), wanted.to_string());
    }
}

#[test]
fn a_tool_with_other_words_is_another_tool() {
    let spec = |name: &str, description: &str, arguments: &str| ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        arguments: arguments.to_owned(),
        idempotent: true,
    };
    let digests: BTreeSet<Digest> =
        [spec("ab", "c", "d"), spec("a", "bc", "d"), spec("a", "b", "cd"), spec("ab", "cd", "")]
            .iter()
            .map(ToolSpec::digest)
            .collect();
    assert_eq!(digests.len(), 4, "the parts cannot run into each other");
    assert_eq!(ToolSpec { idempotent: false, ..spec("ab", "c", "d") }.digest(), spec("ab", "c", "d").digest());
}

#[test]
fn a_run_names_every_content_it_rests_on() {
    let sorted = |mut digests: Vec<Digest>| {
        digests.sort_unstable();
        digests
    };
    let response = Digest::of(b"response");
    let finished = [(WORKER, finish(owner(A, 1, 1), 0, used(1, 1, 1)))];
    assert_eq!(run_after(&begun()).contents(), [], "a call without a result has no content");
    assert_eq!(run_after(&then(&begun(), &finished)).contents(), [response]);
    let planning =
        [(PRINCIPAL, start(PLANNER, 0, model(MODEL), amount(1, 0, 0))), (PRINCIPAL, finish(PLANNER, 0, used(1, 0, 0)))];
    assert_eq!(run_after(&then(&planned(), &planning)).contents(), [response]);
    assert_eq!(run_after(&submitted()).contents(), [deliverable()]);
    let closed = then(&done(), &[(PRINCIPAL, close(Outcome::Completed))]);
    assert_eq!(run_after(&closed).contents(), sorted(vec![deliverable(), report()]));
    assert_eq!(run_after(&planned()).ends().collect::<Vec<_>>(), [C, D], "what nothing else takes as input");
}

fn citation(path: &str) -> Citation {
    let text = Digest::of(path.as_bytes());
    Citation {
        path: path.to_owned(),
        document: text,
        text,
        span: Span { start: 0, end: 1 },
        quote: "q".to_owned(),
        collection: None,
    }
}

#[test]
fn a_deliverable_lists_its_citations_claims_first() {
    let claim = |path: &str| Claim { text: "t".to_owned(), citations: vec![citation(path)] };
    let deliverable =
        Deliverable { question: "q".to_owned(), claims: vec![claim("a"), claim("b")], also: vec![citation("c")] };
    let paths: Vec<&str> = deliverable.citations().map(|citation| citation.path.as_str()).collect();
    assert_eq!(paths, ["a", "b", "c"]);
}

fn words(value: &Value, under: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let place = format!("{under}/{name}");
                words(field, &place, found);
                found.insert(place);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| words(item, under, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The invariant of `report.rs`. A new field is a new row here, and a question: does it differ from run to run?
#[test]
fn a_report_holds_no_id_time_or_duration() {
    let claim = ReportClaim { text: "t".to_owned(), sources: vec![1] };
    let report = Report {
        question: "q".to_owned(),
        answered: true,
        sections: vec![Section { question: "q".to_owned(), claims: vec![claim] }],
        sources: vec![citation("a")],
        gaps: vec![Gap { question: "q".to_owned(), reason: "none".to_owned() }],
        engine: "extractive".to_owned(),
        accepted: 1,
    };
    let value = serde_json::to_value(&report).expect("encodes");
    let mut found = BTreeSet::new();
    words(&value, "", &mut found);
    let known = [
        "/accepted",
        "/answered",
        "/engine",
        "/gaps",
        "/gaps/question",
        "/gaps/reason",
        "/question",
        "/sections",
        "/sections/claims",
        "/sections/claims/sources",
        "/sections/claims/text",
        "/sections/question",
        "/sources",
        "/sources/document",
        "/sources/path",
        "/sources/quote",
        "/sources/span",
        "/sources/span/end",
        "/sources/span/start",
        "/sources/text",
    ];
    assert_eq!(found, known.into_iter().map(str::to_owned).collect());
    assert_eq!(serde_json::from_value::<Report>(value).expect("decodes"), report);
}

/// Lines of code, without comments, that hold one of the words.
fn lines_with(folder: &Path, words: &[&str], found: &mut Vec<String>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            lines_with(&path, words, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("a text");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}: {line}"));
            }
        }
    }
}

/// The invariant of `apply.rs`, with the part of it in `apply/obeyed.rs`: outside it, the crate changes nothing but local values. What a reader may change of its own
/// copy of a state is its own affair.
#[test]
fn nothing_but_apply_changes_a_state() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    lines_with(
        &source,
        &["&mut self", "&mut Run", "&mut State", "&mut Module", "&mut Attempt", "&mut Account", "&mut Vec"],
        &mut found,
    );
    // `apply.rs` and the files beneath it.
    let apply = |line: &&String| ["apply.rs: ", "forked.rs: ", "obeyed.rs: "].iter().any(|file| line.starts_with(file));
    let elsewhere: Vec<String> = found.iter().filter(|line| !apply(line)).cloned().collect();
    assert_eq!(
        elsewhere,
        [
            "budget.rs: pub(crate) fn set_limit(&mut self, limit: Amount) {",
            "budget.rs: pub(crate) fn reserve(&mut self, amount: Amount) {",
            "budget.rs: pub(crate) fn settle(&mut self, reserved: Amount, used: Amount) {",
        ]
    );
    assert!(found.len() > elsewhere.len() + 5, "apply.rs was looked at");
    let mut booked = Vec::new();
    lines_with(&source, &[".reserve(", ".settle(", ".set_limit("], &mut booked);
    assert!(!booked.is_empty() && booked.iter().all(|line| apply(&line)), "{booked:?}");
    let mut hidden = Vec::new();
    let cells = ["Cell<", "RefCell", "Mutex", "RwLock", "Atomic", "OnceLock", "LazyLock", "thread_local", "static mut"];
    lines_with(&source, &cells, &mut hidden);
    assert_eq!(hidden, Vec::<String>::new(), "no state changes behind a shared reference");
}
