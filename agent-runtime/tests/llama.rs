//! The embedded model on files that `scripts/gguf.py` makes here: random weights, so that nothing but the grammar makes a
//! call a call. Needs Python with `venv` and the packages the script names; without them each test says that it is skipped,
//! unless `CI` is set.

#![cfg(feature = "llama")]

mod contract;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use agent_runtime::{
    models::llama::{Llama, LlamaError, LlamaSettings},
    roles::acts,
};
use common_ground::{
    port::{
        model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelUsage, Reply, Turn},
        tool::ToolSpec,
    },
    role::Role,
};
use futures_util::{StreamExt, future::join_all};
use serde_json::Value;

/// Python with what the script needs, made once for all builds.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gguf-venv");
    let python = folder.join("bin/python");
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let last = || String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        output.status.success().then_some(()).ok_or_else(|| format!("{command:?}: {}", last()))
    };
    if run(Command::new(&python).args(["-c", "import gguf, numpy"])).is_err() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "gguf", "numpy"]))?;
    }
    Ok(python)
}

/// A file made by the script with these arguments; the same arguments, the same file.
fn made(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let python = match PYTHON.get_or_init(python) {
        Ok(python) => python,
        Err(reason) if env::var_os("CI").is_none() => {
            println!("skipped: the embedded model on made files: {reason}");
            return None;
        }
        Err(reason) => panic!("no model file can be made: {reason}"),
    };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.gguf"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/gguf.py");
    let output = Command::new(python).arg(script).arg(&path).args(arguments).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(path)
}

/// The tiny model, made once.
fn tiny() -> Option<PathBuf> {
    static TINY: OnceLock<Option<PathBuf>> = OnceLock::new();
    TINY.get_or_init(|| made("tiny", &[])).clone()
}

/// One thread each: several models run at once here, and threads of a tiny one mostly wait for each other.
fn settings(path: PathBuf) -> LlamaSettings {
    LlamaSettings { id: "llama:tiny".to_owned(), threads: Some(1), ..LlamaSettings::new(path) }
}

fn load(change: impl FnOnce(&mut LlamaSettings)) -> Option<Llama> {
    let mut settings = settings(tiny()?);
    settings.temperature = 1.0;
    change(&mut settings);
    Some(Llama::load(settings).expect("the tiny model is loaded"))
}

fn tool(name: &str, arguments: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("What {name} does."),
        arguments: arguments.to_owned(),
        idempotent: true,
    }
}

/// The acts of the roles and the tools as they are, and one with what else a schema may say.
fn tools() -> Vec<ToolSpec> {
    vec![
        acts::plan(),
        acts::submit_claims(),
        ToolSpec { name: "submit_all".to_owned(), ..acts::submit() },
        tool(
            "commons_search",
            r#"{"additionalProperties":false,"properties":{"limit":{"maximum":50,"minimum":1,"type":"integer"},"query":{"minLength":1,"type":"string"}},"required":["query"],"type":"object"}"#,
        ),
        tool(
            "commons_read",
            r#"{"additionalProperties":false,"properties":{"passages":{"items":{"additionalProperties":false,"properties":{"span":{"additionalProperties":false,"properties":{"end":{"minimum":0,"type":"integer"},"start":{"minimum":0,"type":"integer"}},"required":["end","start"],"type":"object"},"text":{"pattern":"^[0-9a-f]{64}$","type":"string"}},"required":["span","text"],"type":"object"},"maxItems":20,"minItems":1,"type":"array"}},"required":["passages"],"type":"object"}"#,
        ),
        tool(
            "other",
            r#"{"properties":{"any":{},"free":{"type":"object"},"number":{"type":"number"},"some":{"anyOf":[{"type":"null"},{"const":"ä\"x"},{"type":"boolean"}]}},"required":["number"],"type":"object"}"#,
        ),
    ]
}

fn request(task: &str, reply: Reply, max_tokens: u64) -> ModelRequest {
    let rules = "You plan, you look things up, and you quote what you found.".to_owned();
    ModelRequest {
        model: "llama:tiny".to_owned(),
        role: Role::Associate,
        turns: vec![Turn::Rules { text: rules }, Turn::Task { text: task.to_owned() }],
        tools: if reply == Reply::Calls { tools() } else { Vec::new() },
        reply,
        max_tokens,
    }
}

/// What a model answered.
#[derive(Debug, PartialEq, Eq, Default)]
struct Answer {
    text: String,
    calls: Vec<Call>,
    used: ModelUsage,
}

async fn answer(model: &Llama, request: &ModelRequest) -> Result<Answer, ModelError> {
    let mut stream = model.complete(request);
    let mut answer = Answer::default();
    let mut done = false;
    while let Some(event) = stream.next().await {
        assert!(!done, "something came after the end");
        match event? {
            ModelEvent::Text(text) => answer.text += &text,
            ModelEvent::Thinking(_) | ModelEvent::Draft { .. } => {}
            ModelEvent::Call(call) => answer.calls.push(call),
            ModelEvent::Done(used) => {
                answer.used = used;
                done = true;
            }
        }
    }
    assert!(done, "the stream stopped without an end");
    Ok(answer)
}

fn check(request: &ModelRequest, answer: &Answer) {
    assert!(!answer.calls.is_empty() && answer.text.is_empty(), "{answer:?}");
    assert!(answer.used.tokens_out < request.max_tokens, "{:?}", answer.used);
    for call in &answer.calls {
        let spec = request.tools.iter().find(|spec| spec.name == call.tool).expect("a tool that was offered");
        let arguments: Value = serde_json::from_str(&call.arguments).expect("arguments are JSON");
        let schema = serde_json::from_str(&spec.arguments).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        assert!(validator.is_valid(&arguments), "{} {}", call.tool, call.arguments);
    }
}

/// The rules of every model, the same that remote ones are held to.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_model_keeps_the_contract() {
    let Some(model) = load(|settings| settings.parallel = 4) else { return };
    contract::holds(Arc::new(model)).await;
}

#[tokio::test]
async fn a_thousand_answers_of_random_weights_are_a_thousand_answers_of_valid_calls() {
    // Little room, so that little is remembered of ended requests: each step looks through all that is.
    let Some(model) = load(|settings| {
        settings.parallel = 16;
        settings.window = Some(8192);
        settings.cells = Some(8192);
    }) else {
        return;
    };
    let mut tools_called = std::collections::BTreeSet::new();
    for round in 0..20 {
        let requests: Vec<ModelRequest> = (0..50)
            .map(|number| {
                // Mostly so short that the end has to be forced.
                let mut request = request(&format!("{number} of round {round}?"), Reply::Calls, 180 + 2 * number);
                // Random weights like one tool best; so in turn each one is the only one, and then all are offered.
                let only = (number as usize + round) % 6;
                request.tools = request
                    .tools
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| only == 5 || *at == only)
                    .map(|(_, tool)| tool)
                    .collect();
                request
            })
            .collect();
        let answers = join_all(requests.iter().map(|request| answer(&model, request))).await;
        for (request, answer) in requests.iter().zip(answers) {
            let answer = answer.expect("an answer");
            check(request, &answer);
            tools_called.extend(answer.calls.into_iter().map(|call| call.tool));
        }
    }
    assert_eq!(tools_called.len(), 5, "{tools_called:?}");
}

#[tokio::test]
async fn requests_answered_together_and_with_shared_beginnings_are_answered_as_if_alone() {
    let Some(together) = load(|settings| {
        settings.parallel = 8;
        settings.fused_attention = false;
    }) else {
        return;
    };
    let Some(alone) = load(|settings| {
        settings.parallel = 1;
        settings.fused_attention = false;
        settings.share_prefixes = false;
    }) else {
        return;
    };
    let requests: Vec<ModelRequest> =
        (0..8).map(|number| request(&format!("What is {number}?"), Reply::Calls, 160)).collect();
    let answers = join_all(requests.iter().map(|request| answer(&together, request))).await;
    let mut cached = 0;
    for (request, answered) in requests.iter().zip(answers) {
        let answered = answered.expect("an answer");
        let single = answer(&alone, request).await.expect("an answer");
        assert_eq!((&answered.calls, answered.used.tokens_out), (&single.calls, single.used.tokens_out));
        assert_eq!(single.used.tokens_cached, 0);
        assert_eq!(answered.used.tokens_in, single.used.tokens_in);
        cached += answered.used.tokens_cached;
    }
    // All but the first of them find the rules and tools computed: eight prompts for little more than one.
    let prompt = together.count_tokens(&requests[0]).await.expect("counted");
    assert!(cached > 6 * prompt, "{cached} of {prompt} tokens each");
    // And again, from what is remembered of ended requests.
    let again = answer(&together, &requests[3]).await.expect("an answer");
    assert_eq!(again.used.tokens_cached, prompt - 1);
    assert_eq!(again.calls, answer(&alone, &requests[3]).await.expect("an answer").calls);
}

#[tokio::test]
async fn more_requests_than_there_is_room_for_wait_in_order() {
    // Room for little more than one request at a time.
    let Some(model) = load(|settings| {
        settings.parallel = 4;
        settings.window = Some(6000);
        settings.cells = Some(6000);
    }) else {
        return;
    };
    let long = "a long task ".repeat(60);
    let requests: Vec<ModelRequest> =
        (0..12).map(|number| request(&format!("{number} {long}"), Reply::Calls, 300)).collect();
    for answer in join_all(requests.iter().map(|request| answer(&model, request))).await {
        answer.expect("an answer");
    }
}

#[tokio::test]
async fn a_dropped_stream_cancels_and_the_model_goes_on() {
    let Some(model) = load(|settings| settings.parallel = 1) else { return };
    let endless = request("Go on and on.", Reply::Text, 12_000);
    let mut streams: Vec<_> = (0..3).map(|_| model.complete(&endless)).collect();
    streams[0].next().await.expect("a first piece").expect("text");
    drop(streams);
    let next = request("And now?", Reply::Calls, 200);
    let answered = tokio::time::timeout(Duration::from_secs(120), answer(&model, &next)).await;
    check(&next, &answered.expect("nothing runs before it any more").expect("an answer"));
}

#[tokio::test]
async fn text_ends_by_itself_and_one_that_does_not_is_cut() {
    let Some(model) = load(|_| {}) else { return };
    let answered = answer(&model, &request("Hello", Reply::Text, 12_000)).await.expect("an answer");
    assert!(!answered.text.is_empty() && answered.calls.is_empty());
    assert!(answered.used.tokens_out > 0 && answered.used.tokens_out < 12_000, "{:?}", answered.used);
    let short = answered.used.tokens_out / 2;
    let cut = answer(&model, &request("Hello", Reply::Text, short)).await.expect_err("cut");
    assert_eq!(cut, ModelError::Cut { model: "llama:tiny".to_owned(), limit: short });
    let no_call = answer(&model, &request("Hello", Reply::Calls, 10)).await.expect_err("no call is that short");
    assert_eq!(no_call, ModelError::Cut { model: "llama:tiny".to_owned(), limit: 10 });
}

#[tokio::test]
async fn json_fits_its_schema() {
    let Some(model) = load(|_| {}) else { return };
    let schema = r#"{"type":"object","properties":{"verdict":{"enum":["borne_out","not"]},"points":{"type":"array","items":{"type":"integer","minimum":0,"maximum":10},"minItems":2,"maxItems":5}},"required":["verdict","points"],"additionalProperties":false}"#;
    let reply = Reply::Json { name: "verdict".to_owned(), schema: schema.to_owned() };
    let validator = jsonschema::validator_for(&serde_json::from_str(schema).expect("JSON")).expect("a schema");
    for number in 0..20 {
        let answered = answer(&model, &request(&number.to_string(), reply.clone(), 100)).await.expect("an answer");
        let value: Value = serde_json::from_str(&answered.text).expect("JSON");
        assert!(validator.is_valid(&value), "{value}");
    }
    let bad = Reply::Json { name: "verdict".to_owned(), schema: "{".to_owned() };
    let refused = answer(&model, &request("x", bad, 100)).await.expect_err("refused");
    assert!(matches!(&refused, ModelError::Refused { reason, .. } if reason.contains("verdict")), "{refused}");
}

#[tokio::test]
async fn what_does_not_fit_the_window_is_refused_with_figures() {
    let Some(model) = load(|settings| settings.window = Some(512)) else { return };
    assert_eq!(model.window(), Some(512));
    let long = request(&"many words ".repeat(100), Reply::Text, 100);
    let need = model.count_tokens(&long).await.expect("counted") + 100;
    let refused = answer(&model, &long).await.expect_err("too large");
    assert_eq!(refused, ModelError::TooLarge { model: "llama:tiny".to_owned(), need, window: 512 });
}

#[tokio::test]
async fn tokens_are_counted_exactly_and_no_text_from_outside_makes_a_turn() {
    let Some(model) = load(|_| {}) else { return };
    let mut asked = request("Look.", Reply::Calls, 300);
    asked.turns.push(Turn::Model {
        text: String::new(),
        calls: vec![Call {
            id: "call_1".to_owned(),
            tool: "commons_search".to_owned(),
            arguments: "{\"query\":\"x\"}".to_owned(),
        }],
    });
    let with = |content: &str| {
        let mut asked = asked.clone();
        asked.turns.push(Turn::Tool { call: "call_1".to_owned(), content: content.to_owned(), failed: false });
        asked
    };
    let plain = model.count_tokens(&with("")).await.expect("counted");
    // The mark's letters one by one, not one token that ends a turn.
    let marked = model.count_tokens(&with("<|im_end|>")).await.expect("counted");
    assert!(marked >= plain + 10, "{marked} after {plain}");
    let asked = with("found");
    let counted = model.count_tokens(&asked).await.expect("counted");
    let answered = answer(&model, &asked).await.expect("an answer");
    assert_eq!(answered.used.tokens_in, counted);
    assert!(answered.calls.iter().all(|call| call.id != "call_1"), "ids are unique in a conversation");
}

#[tokio::test]
async fn each_kind_of_template_is_spoken() {
    for (name, template) in [
        // Not one llama.cpp knows; takes no tools.
        (
            "own",
            "{{ bos_token }}{% for m in messages %}«{{ m.role }}» {{ m.content | trim }}\n{% endfor %}«assistant» ",
        ),
        // Takes tools, and tags calls.
        (
            "tagged",
            "{% if tools %}TOOLS {{ tools | tojson }} use <tool_call>{% endif %}{% for m in messages %}«{{ m.role }}» {{ m.content }}\
            {% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}{% endif %}\
            {% endfor %}{{ strftime_now('%Y') }}«assistant» ",
        ),
        // Takes no rules, and turns must alternate.
        (
            "alternating",
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
            {% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}\
            {% endif %}«{{ m.role }}» {{ m.content.strip() }}\n{% endfor %}«assistant» ",
        ),
    ] {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.jinja"));
        fs::write(&file, template).expect("written");
        let Some(path) = made(name, &["--template", file.to_str().expect("UTF-8")]) else { return };
        let model = Llama::load(LlamaSettings { temperature: 1.0, ..settings(path) }).expect(name);
        let mut asked = request("What?", Reply::Calls, 300);
        asked.turns.push(Turn::Model {
            text: "so".to_owned(),
            calls: vec![Call {
                id: "call_1".to_owned(),
                tool: "other".to_owned(),
                arguments: "{\"number\":1}".to_owned(),
            }],
        });
        asked.turns.push(Turn::Tool { call: "call_1".to_owned(), content: "no".to_owned(), failed: true });
        check(&asked, &answer(&model, &asked).await.expect("an answer"));
    }
    let Some(path) = made("bare", &["--no-template"]) else { return };
    Llama::load(LlamaSettings::new(path)).expect("a file without a template is spoken to in the usual one");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("failing.jinja");
    fs::write(&file, "{{ raise_exception('not today') }}").expect("written");
    let Some(path) = made("failing", &["--template", file.to_str().expect("UTF-8")]) else { return };
    let error = Llama::load(LlamaSettings::new(path)).expect_err("fails");
    assert!(matches!(error, LlamaError::Template { .. }) && error.to_string().contains("not today"), "{error}");
}

#[test]
fn a_file_that_cannot_be_run_is_refused_in_one_line_with_what_to_do() {
    let Some(good) = tiny() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = fs::read(&good).expect("the tiny model");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        LlamaSettings::new(path)
    };
    let replaced = |from: &[u8], to: &[u8]| {
        assert_eq!(from.len(), to.len());
        let at = bytes.windows(from.len()).position(|window| window == from).expect("in the file");
        let mut bytes = bytes.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    type Expected = fn(&LlamaError) -> bool;
    let cases: Vec<(LlamaSettings, Expected)> = vec![
        (LlamaSettings::new(folder.path().join("none.gguf")), |e| matches!(e, LlamaError::Unreadable { .. })),
        (LlamaSettings::new(folder.path()), |e| matches!(e, LlamaError::Unreadable { .. })),
        (write("empty.gguf", b""), |e| matches!(e, LlamaError::NotGguf { .. })),
        (write("text.gguf", b"once upon a time there was a file"), |e| matches!(e, LlamaError::NotGguf { .. })),
        (write("half.gguf", &bytes[..bytes.len() / 2]), |e| matches!(e, LlamaError::Truncated { .. })),
        (write("short.gguf", &bytes[..bytes.len() - 1]), |e| matches!(e, LlamaError::Truncated { .. })),
        (write("head.gguf", &bytes[..100]), |e| matches!(e, LlamaError::Truncated { .. })),
        (write("version.gguf", &replaced(b"GGUF\x03", b"GGUF\x09")), |e| matches!(e, LlamaError::Unsupported { .. })),
        (write("tensor.gguf", &replaced(b"output_norm.weight", b"output_morn.weight")), |e| {
            matches!(e, LlamaError::Unsupported { .. })
        }),
        (write("twice.gguf", &replaced(b"blk.1.attn_q.weight", b"blk.0.attn_q.weight")), |e| {
            matches!(e, LlamaError::Damaged { .. })
        }),
        (LlamaSettings { memory: Some(16 << 20), ..LlamaSettings::new(&good) }, |e| {
            matches!(e, LlamaError::Memory { .. })
        }),
        (LlamaSettings { parallel: 0, ..LlamaSettings::new(&good) }, |e| matches!(e, LlamaError::Setting { .. })),
        (LlamaSettings { window: Some(1), ..LlamaSettings::new(&good) }, |e| matches!(e, LlamaError::Setting { .. })),
        (LlamaSettings { temperature: f32::NAN, ..LlamaSettings::new(&good) }, |e| {
            matches!(e, LlamaError::Setting { .. })
        }),
    ];
    let other = made("other", &["--architecture", "perceptron"]).expect("Python is there");
    let cases = cases
        .into_iter()
        .chain([(LlamaSettings::new(other), (|e| matches!(e, LlamaError::Unsupported { .. })) as Expected)]);
    for (settings, expected) in cases {
        let path = settings.path.display().to_string();
        let error = Llama::load(settings).expect_err(&path);
        let line = error.to_string();
        assert!(expected(&error) && line.contains(&path) && !line.contains('\n'), "{line}");
    }
}

/// llama.cpp ends the process where its own checks fail; whatever is wrong with a file's description is found before.
#[test]
fn no_damage_to_a_description_ends_the_process() {
    let Some(good) = tiny() else { return };
    let bytes = fs::read(&good).expect("the tiny model");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("damaged.gguf");
    let mut refused = 0;
    // The description without its list of words, in which damage is only another word.
    for at in (0..1200).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).expect("written");
        refused += u32::from(Llama::load(LlamaSettings::new(&path)).is_err());
    }
    assert!(refused > 50, "{refused}");
}
