//! Runs whose roles are played by language models: a scripted server, the real program, and everything between.

mod common;

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use common::{
    Place,
    server::{ModelServer, QUOTE, Says, last, offers, rounds, rules, task},
};
use serde_json::{Value, json};

const QUESTION: &str = "Who may pause a run?";

fn search(query: &str) -> Says {
    Says::call("commons_search", json!({ "query": query }))
}

fn submit(text: &str, passage: &str, quote: &str) -> Says {
    Says::call("submit", json!({ "claims": [{ "text": text, "citations": [{ "passage": passage, "quote": quote }] }] }))
}

fn single_plan(question: &str) -> Says {
    let module = json!({ "name": "one", "kind": "answer", "question": question, "inputs": [] });
    Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [module] }))
}

/// Runs the program with the server as its model.
fn run(place: &Place, server: &ModelServer, arguments: &[&str]) -> Output {
    command(place, server, arguments).output().expect("ii runs")
}

fn command(place: &Place, server: &ModelServer, arguments: &[&str]) -> Command {
    let mut command = place.command(std::path::Path::new(env!("CARGO_BIN_EXE_ii")), arguments);
    server.asked_by(&mut command);
    command
}

fn ask(place: &Place, server: &ModelServer, question: &str, more: &[&str]) -> Output {
    let docs = place.docs().display().to_string();
    let words = [&["run", question, "--docs", &docs, "--model", "openai:scripted"], more].concat();
    run(place, server, &words)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn both(output: &Output) -> String {
    format!("{}{}", stderr(output), stdout(output))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A model that plans one module, searches, and then does as `then` says with what it was told last.
fn worker(then: impl Fn(&Value, usize) -> Says + Send + Sync + 'static) -> ModelServer {
    ModelServer::start(move |request, _| {
        if offers(request, "plan") {
            return single_plan(QUESTION);
        }
        match rounds(request) {
            0 => search("who may pause a run"),
            round => then(request, round),
        }
    })
}

/// Each fact's type and how often it happened.
fn tally(place: &Place) -> BTreeMap<String, usize> {
    let run = place.only_run().expect("a run");
    let mut tally = BTreeMap::new();
    for event in place.events(&run) {
        *tally.entry(event["type"].as_str().expect("a type").to_owned()).or_insert(0) += 1;
    }
    tally
}

/// The name of the passage that shows this content.
fn name_of(text: &str, content: &str) -> String {
    let at = text.find(content).unwrap_or_else(|| panic!("not shown: {content} in {text}"));
    let before = |place: usize| text[..place].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let named = |name: &&str| name.strip_prefix('p').is_some_and(|digits| digits.parse::<u32>().is_ok());
    let mut names = text[..at].rmatch_indices(" · ").map(|(place, _)| before(place));
    names.find(named).expect("a name stands before its place").to_owned()
}

#[test]
fn a_model_answers_and_its_answer_is_checked_and_sealed() {
    let place = Place::new();
    let server = worker(|request, _| submit("A person may.", &name_of(&last(request), QUOTE), QUOTE));
    let output = ask(&place, &server, QUESTION, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report = stdout(&output);
    assert!(report.contains("A person may. [1]") && report.contains("Model: openai:scripted."), "{report}");
    let run = place.only_run().expect("a run");
    let verified = place.ii(&["verify", &run]);
    assert!(verified.status.success(), "{}", stderr(&verified));
    for request in server.requests() {
        assert_eq!(request["model"], "scripted");
        assert_eq!(request["stream"], true);
        assert!(rules(&request).starts_with("You "), "rules come first");
    }
}

/// Each thing a model does wrong once, is shown, and mends; the run is accepted and the fault was in the conversation.
#[test]
fn faults_are_shown_and_mended() {
    let good = |request: &Value| {
        let all = request["messages"].to_string().replace("\\n", "\n");
        submit("A person may.", &name_of(&all, QUOTE), QUOTE)
    };
    let broken = |arguments: &str| Says::Raw(vec![("submit".to_owned(), arguments.to_owned())]);
    let cases: Vec<(&str, Says, &str)> = vec![
        ("malformed arguments", broken("{\"claims\":["), "no JSON"),
        ("arguments that do not fit", broken("{\"claims\":3}"), "do not fit its schema"),
        ("a quote that does not stand there", submit("No.", "p1", "Nobody may ever pause."), "do not stand in p1"),
        ("an unknown passage", submit("No.", "p99", QUOTE), "there is no passage `p99`"),
        ("an unknown tool", Says::call("rm", json!({})), "there is no tool `rm`"),
        ("the same call again", search("who may pause a run"), "you made this call of commons_search before"),
        ("no call at all", Says::Text("A person, I think.".to_owned()), "Nothing was called"),
        ("an empty answer", Says::Text(String::new()), "Nothing was called"),
        ("a cut answer", Says::Cut("A person, I th".to_owned()), "was cut off"),
        ("half a stream", Says::Half, "did not arrive whole"),
    ];
    for (fault, wrong, shown) in cases {
        let place = Place::new();
        let server = worker(move |request, round| {
            let told = request["messages"].to_string();
            if told.contains(shown) || (round > 1 && !told.contains(shown)) { good(request) } else { wrong.clone() }
        });
        let output = ask(&place, &server, QUESTION, &[]);
        assert!(output.status.success(), "{fault}: {}", both(&output));
        let seen = server.requests().iter().any(|request| request["messages"].to_string().contains(shown));
        assert!(seen, "{fault} was not shown to the model");
    }
}

/// A fault that never ends costs three answers an attempt, and the attempt fails with that reason.
#[test]
fn faults_that_never_end_fail_the_attempt_with_their_reason() {
    for (wrong, reason) in [
        (Says::Text("I know it by heart.".to_owned()), "neither called a tool nor handed in"),
        (submit("No.", "p1", "Nobody may ever pause."), "do not stand in p1"),
        (Says::Text(String::new()), "an empty answer"),
        (search("who may pause a run"), "before; its answer stands above"),
    ] {
        let place = Place::new();
        let server = worker(move |_, _| wrong.clone());
        let output = ask(&place, &server, QUESTION, &["--attempts", "1"]);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stdout(&output).contains(reason), "{}", stdout(&output));
        let answers = server.requests().iter().filter(|request| !offers(request, "plan")).count();
        assert_eq!(answers, 4, "one search, and the fault three times");
    }
}

/// Models whose server does not read their calls print them; what is wholly a call is one, and nothing else is.
#[test]
fn a_call_printed_as_text_is_made_when_all_of_the_text_is_one() {
    let place = Place::new();
    let server = worker(|request, _| {
        let arguments = json!({ "claims": [{ "text": "A person may.",
            "citations": [{ "passage": name_of(&last(request), QUOTE), "quote": QUOTE }] }] });
        Says::Text(format!("<tool_call>\n{}\n</tool_call>", json!({ "name": "submit", "arguments": arguments })))
    });
    let output = ask(&place, &server, QUESTION, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn an_answer_without_any_search_is_not_taken() {
    let place = Place::new();
    let server = ModelServer::start(|request, _| {
        if offers(request, "plan") { single_plan(QUESTION) } else { Says::call("submit", json!({ "claims": [] })) }
    });
    let output = ask(&place, &server, QUESTION, &["--attempts", "1"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("an answer needs evidence"), "{}", stdout(&output));
}

/// A provider that refuses pauses the run at once with code 4 and the fix; when it is back, the run goes on.
#[test]
fn a_refusing_provider_pauses_and_the_run_goes_on_later() {
    let place = Place::new();
    let refusing = ModelServer::start(|request, _| {
        if offers(request, "plan") { single_plan(QUESTION) } else { Says::Status(401, "wrong key") }
    });
    let output = ask(&place, &refusing, QUESTION, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(refusing.requests().len(), 2, "no retries on a wrong key");
    let said = stderr(&output);
    assert!(said.contains("OPENAI_API_KEY") && said.contains("ii runs resume"), "{said}");
    assert!(!said.contains("sk-test"), "no key in what is said");
    let back = worker(|request, _| submit("A person may.", &name_of(&last(request), QUOTE), QUOTE));
    let run_id = place.only_run().expect("a run");
    let output = run(&place, &back, &["runs", "resume", &run_id]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(back.requests().iter().all(|request| !offers(request, "plan")), "the plan is on record");
    assert!(place.ii(&["verify", &run_id]).status.success());
}

/// Each skill is read, followed and named in the receipt with its digest.
#[test]
fn every_skill_can_be_followed_to_an_accepted_answer() {
    for name in ["research", "compare", "literature-review", "cite-sources"] {
        let place = Place::new();
        let server = ModelServer::start(move |request, _| {
            if offers(request, "plan") {
                return single_plan(QUESTION);
            }
            match rounds(request) {
                0 => Says::call("skill_read", json!({ "name": name })),
                1 => search("who may pause a run"),
                2 => search("run pause person"),
                _ => {
                    let all = request["messages"].to_string().replace("\\n", "\n");
                    submit("A person may.", &name_of(&all, QUOTE), QUOTE)
                }
            }
        });
        let output = ask(&place, &server, QUESTION, &[]);
        assert!(output.status.success(), "{name}: {}", both(&output));
        let requests = server.requests();
        let first = requests.iter().find(|request| offers(request, "submit")).expect("an Associate was asked");
        assert!(rules(first).contains(&format!("- {name}: ")), "the catalogue stands in the rules");
        assert!(!rules(first).contains("## "), "and no skill's text does");
        let text = std::fs::read_to_string(format!("{}/skills/{name}/SKILL.md", env!("CARGO_MANIFEST_DIR")));
        let text = text.expect("the skill");
        let read = requests.iter().find(|request| rounds(request) == 1).expect("a second request");
        assert!(last(read).contains(text.trim()), "the whole text came");
        let run = place.only_run().expect("a run");
        let out = place.folder.path().join("out");
        assert!(place.ii(&["receipts", "export", &run, "--out", &out.display().to_string()]).status.success());
        let receipts = common::receipts_in(&out);
        assert_eq!(receipts.len(), 1);
        let skills = &receipts[0]["predicate"]["skills"];
        assert_eq!(skills[0]["name"], name, "{skills}");
        assert_eq!(skills[0]["digest"], receipts::Digest::of(text.as_bytes()).to_string());
    }
}

/// A module that is handed another's transcript sees the steps that led to its conclusions, and the conclusions.
#[test]
fn a_transcript_is_handed_over_when_the_plan_says_so() {
    let place = Place::new();
    let server = ModelServer::start(|request, _| {
        if offers(request, "plan") {
            let first = json!({ "name": "a", "kind": "answer", "question": QUESTION, "inputs": [] });
            let then = json!({ "name": "b", "kind": "merge", "question": QUESTION, "inputs": ["a"], "handover": "transcript" });
            return Says::call("plan", json!({ "reason": { "reason": "single" }, "modules": [first, then] }));
        }
        match (task(request).contains("Handed over"), rounds(request)) {
            (false, 0) => search("who may pause a run"),
            _ => submit("A person may.", &name_of(&request["messages"].to_string().replace("\\n", "\n"), QUOTE), QUOTE),
        }
    });
    let output = ask(&place, &server, QUESTION, &[]);
    assert!(output.status.success(), "{}", both(&output));
    let requests = server.requests();
    let told: Vec<String> = requests.iter().map(task).filter(|told| told.contains("Handed over")).collect();
    let told = told.first().expect("the second module was told");
    for part in ["- A person may. [p1]", "What was done:", "Called commons_search with", QUOTE] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
}

/// What a person says to a module at work is in its next request and in all after, once; the record says before which step, and
/// going on after a kill asks the same again.
#[test]
fn a_word_is_heard_before_the_next_step_and_again_after_a_kill() {
    const WORD: &str = "Only what the rules say counts.";
    let place = std::sync::Arc::new(Place::new());
    let teller = std::sync::Arc::clone(&place);
    let said = std::sync::OnceLock::new();
    let heard = |request: &Value| request["messages"].to_string().matches(WORD).count();
    let server = ModelServer::start(move |request, _| {
        if offers(request, "plan") {
            return single_plan(QUESTION);
        }
        match rounds(request) {
            0 => {
                said.get_or_init(|| {
                    let told = teller.ii(&["runs", "tell", &teller.only_run().expect("a run"), "1", WORD]);
                    assert!(told.status.success(), "{}", stderr(&told));
                });
                search("who may pause a run")
            }
            1 => Says::Hang(Duration::from_secs(60)),
            _later => Says::Status(500, "not asked"),
        }
    });
    let docs = place.docs().display().to_string();
    let words = ["run", QUESTION, "--docs", &docs, "--model", "openai:scripted"];
    let mut child = command(&place, &server, &words)
        .env("II_LOG", "trace")
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ii runs");
    let logged = child.stderr.take().expect("a pipe");
    let log = std::thread::spawn(move || std::io::read_to_string(logged).expect("text"));
    let begun = Instant::now();
    while !server.requests().iter().any(|request| rounds(request) == 1) && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let asked = server.requests().into_iter().find(|request| rounds(request) == 1).expect("a second request");
    assert_eq!(heard(&asked), 1, "{asked}");
    assert!(last(&asked).contains("The person you work for says to you now"), "{}", last(&asked));
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(!log.join().expect("read").contains(WORD), "words are never logged");

    let run_id = place.only_run().expect("a run");
    let back = worker(|request, _| {
        submit("A person may.", &name_of(&request["messages"].to_string().replace("\\n", "\n"), QUOTE), QUOTE)
    });
    let output = run(&place, &back, &["runs", "resume", &run_id]);
    assert!(output.status.success(), "{}", both(&output));
    let again = back.requests();
    assert_eq!(again.len(), 1, "the call in doubt, and no other");
    assert_eq!(again[0]["messages"], asked["messages"], "the very same conversation");
    let events = place.events(&run_id);
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).cloned().collect::<Vec<Value>>();
    let digest = receipts::Digest::of(WORD.as_bytes()).to_string();
    assert_eq!(of("module.told").len(), 1);
    assert_eq!(of("module.told")[0]["text"], digest.as_str());
    assert_eq!(of("words.heard").len(), 1);
    assert_eq!(of("words.heard")[0]["words"], json!([digest]));
    assert_eq!(of("words.heard")[0]["step"], 2, "after the first answer and the search");
    assert!(!Value::from(events.clone()).to_string().contains(WORD), "no fact holds the words");
    assert!(place.ii(&["verify", &run_id]).status.success());
    // It is over now, and says so.
    let late = place.ii(&["runs", "tell", &run_id, "1", WORD]);
    let said = stderr(&late);
    assert_eq!((late.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("is over and hears nothing any more") && !said.contains(WORD), "{said}");
}

/// Said while nobody works on the run: heard from the beginning when it goes on. The built-in engine says that it cannot hear.
#[test]
fn a_word_to_a_run_that_stands_still_is_heard_when_it_goes_on() {
    let place = Place::new();
    let server = worker(|request, _| submit("A person may.", &name_of(&last(request), QUOTE), QUOTE));
    assert_eq!(ask(&place, &server, QUESTION, &["--plan"]).status.code(), Some(1));
    let run_id = place.only_run().expect("a run");
    for (module, text, why) in [("7", "x", "has no module 7"), ("1", " ", "nothing is said")] {
        let refused = place.ii(&["runs", "tell", &run_id, module, text]);
        assert!(refused.status.code() == Some(2) && stderr(&refused).contains(why), "{}", stderr(&refused));
    }
    assert!(place.ii(&["runs", "tell", &run_id, "1", "Be brief."]).status.success());
    let output = run(&place, &server, &["runs", "resume", &run_id]);
    assert!(output.status.success(), "{}", both(&output));
    let first = server.requests().into_iter().find(|request| !offers(request, "plan")).expect("an Associate was asked");
    assert!(first["messages"].to_string().contains("Be brief."), "{first}");
    let quoting = Place::new();
    let planned = quoting.ii(&[quoting.run_args(QUESTION), vec!["--plan".to_owned()]].concat());
    assert_eq!(planned.status.code(), Some(1), "{}", stderr(&planned));
    let deaf = quoting.ii(&["runs", "tell", &quoting.only_run().expect("a run"), "1", "Be brief."]);
    assert!(deaf.status.code() == Some(2) && stderr(&deaf).contains("follows no words"), "{}", stderr(&deaf));
}

#[test]
fn a_plan_is_shown_and_waits() {
    let place = Place::new();
    let server = worker(|request, _| submit("A person may.", &name_of(&last(request), QUOTE), QUOTE));
    let output = ask(&place, &server, QUESTION, &["--plan"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("1. Who may pause a run?"), "{}", stderr(&output));
    assert_eq!(server.requests().len(), 1, "nothing but the plan was asked for");
    let run_id = place.only_run().expect("a run");
    let output = run(&place, &server, &["runs", "resume", &run_id]);
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Killed while the model answers: that call is in doubt, is made again as the same step, and is paid for once.
#[test]
fn a_call_in_doubt_is_made_again_and_paid_once() {
    let place = Place::new();
    let hanging = worker(|_, _| Says::Hang(Duration::from_secs(60)));
    let docs = place.docs().display().to_string();
    let words = ["run", QUESTION, "--docs", &docs, "--model", "openai:scripted"];
    let mut child = command(&place, &hanging, &words).stderr(Stdio::null()).spawn().expect("ii runs");
    let waiting = || hanging.requests().iter().any(|request| rounds(request) == 1);
    let begun = Instant::now();
    while !waiting() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(waiting(), "the second call of the Associate was made");
    child.kill().expect("killed");
    child.wait().expect("gone");
    let run_id = place.only_run().expect("a run");
    let back = worker(|request, _| submit("A person may.", &name_of(&last(request), QUOTE), QUOTE));
    let output = run(&place, &back, &["runs", "resume", &run_id]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(back.requests().len(), 1, "what had its answer on record was not asked again");
    let shown: Value = serde_json::from_slice(&place.ii(&["runs", "show", &run_id, "--json"]).stdout).expect("JSON");
    let events = shown["events"].as_array().expect("events");
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).count();
    assert_eq!(of("step.retried"), 1);
    assert_eq!(of("step.started"), of("step.finished"), "one start and one end each");
    let used = events.iter().filter(|event| event["type"] == "step.finished").map(|event| {
        let tokens = |name: &str| event["usage"][name].as_u64().expect("a number");
        tokens("tokens_in") + tokens("tokens_out")
    });
    assert_eq!(shown["spent"]["tokens"].as_u64(), Some(used.sum()), "each call is paid once");
}

const THREE: &str = "Who may pause a run? Where are the keys kept? What does the verifier read?";

/// Plans three independent parts and a merge. One part's first answer is judged wrong; another part's searches fill the
/// window; the budget ends in the middle.
fn whole_run(request: &Value) -> Says {
    if offers(request, "plan") {
        let parts = ["Who may pause a run?", "Where are the keys kept?", "What does the verifier read?"];
        let mut modules: Vec<Value> = parts
            .iter()
            .zip(["a", "b", "c"])
            .map(|(part, name)| json!({ "name": name, "kind": "answer", "question": part, "inputs": [] }))
            .collect();
        modules.push(json!({ "name": "all", "kind": "merge", "question": THREE, "inputs": ["a", "b", "c"] }));
        let reason = json!({ "reason": "independent_parts", "parts": 3 });
        return Says::call("plan", json!({ "reason": reason, "modules": modules }));
    }
    if !offers(request, "submit") {
        let told = task(request);
        if told.contains("Criterion: ") {
            let passed = !told.contains("somewhere");
            return Says::Text(json!({ "reasons": if passed { "It says what was asked." } else { "It does not say where." }, "passed": passed }).to_string());
        }
        return Says::Text("Searched for keys several times; p1 says where they are kept.".to_owned());
    }
    let told = task(request);
    let all = request["messages"].to_string().replace("\\n", "\n").replace("\\\"", "\"");
    if told.contains("Join what is handed over") {
        let claims: Vec<Value> = [
            ("A person may.", "A person may pause"),
            ("In the home.", "The keys are kept"),
            ("Every source.", "The verifier reads every source anew."),
        ]
        .iter()
        .map(
            |(text, quote)| json!({ "text": text, "citations": [{ "passage": name_of(&all, quote), "quote": quote }] }),
        )
        .collect();
        return Says::call("submit", json!({ "claims": claims }));
    }
    let round = rounds(request);
    if told.contains("Where are the keys kept?") {
        let again = told.contains("was sent back");
        return match round {
            0 => search("keys"),
            _ if again => submit(
                "They are kept in the folder keys of the home.",
                "p1",
                "The keys are kept in the folder keys of the home",
            ),
            _ => submit("They are kept somewhere.", "p1", "The keys are kept in the folder keys of the home"),
        };
    }
    if told.contains("Who may pause a run?") {
        return match round {
            0 => search("who may pause a run"),
            _ => submit("A person may.", &name_of(&all, QUOTE), QUOTE),
        };
    }
    match round + usize::from(told.contains("unreachable")) {
        0 => search("verifier reads source"),
        _ if all.contains("What was done before") || round > 6 => {
            submit("It reads every source anew.", &name_of_listed(&all), "The verifier reads every source anew.")
        }
        more => search(&format!("verifier reads every source round {more}")),
    }
}

/// The name of the passage of verifier.txt, from the list that goes with a summary or from a search.
fn name_of_listed(all: &str) -> String {
    let at = all.find(" · verifier.txt").unwrap_or_else(|| panic!("not listed in {all}"));
    all[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().expect("a name").to_owned()
}

#[test]
fn a_whole_run_with_rework_compaction_a_budget_stop_and_a_resume() {
    let place = Place::new();
    let filler =
        "The verifier reads what the worker read, and every source is one of many that a round of reading brings. "
            .repeat(12);
    for number in 0..6 {
        std::fs::write(place.docs().join(format!("filler-{number}.md")), format!("# Filler {number}\n\n{filler}\n"))
            .expect("a document");
    }
    std::fs::create_dir_all(place.home()).expect("the home");
    let server = ModelServer::start(|request, _| whole_run(request));
    let config = format!(
        "[providers.scripted]\nbase_url = \"{}\"\nwindow = 24000\nprice_input = \"1.00\"\nprice_output = \"2.00\"\n",
        server.url
    );
    std::fs::write(place.home().join("config.toml"), config).expect("a file");
    let docs = place.docs().display().to_string();
    let words = ["run", THREE, "--docs", &docs, "--model", "scripted:m", "--judge", "It says exactly what was asked."];
    let output = run(&place, &server, &[&words[..], &["--budget-cost", "0.03"]].concat());
    assert_eq!(output.status.code(), Some(5), "{}", both(&output));
    assert!(stderr(&output).contains("--budget-cost"), "{}", stderr(&output));
    let run_id = place.only_run().expect("a run");
    let still = run(&place, &server, &["runs", "resume", &run_id]);
    assert_eq!(still.status.code(), Some(5), "no more money, no more work: {}", stderr(&still));
    let output = run(&place, &server, &["runs", "resume", &run_id, "--budget-cost", "5"]);
    assert!(output.status.success(), "{}", both(&output));
    insta::assert_snapshot!("whole_run", stdout(&output));
    let tally = tally(&place);
    let count = |name: &str| tally.get(name).copied().unwrap_or(0);
    assert_eq!((count("module.proposed"), count("module.accepted")), (4, 4));
    assert_eq!(count("attempt.ended"), 1, "one answer was sent back: {tally:?}");
    assert!(count("context.compacted") >= 1, "{tally:?}");
    assert!(count("budget.warned") >= 1 && count("budget.raised") == 1, "{tally:?}");
    assert!(count("run.paused") == 2 && count("run.resumed") == 2, "{tally:?}");
    let verified = place.ii(&["verify", &run_id]);
    assert!(verified.status.success(), "{}", stderr(&verified));
}
