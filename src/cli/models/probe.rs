//! `ii models probe`: one finding a line; the first thing that does not work decides the exit code.

use std::time::{Duration, Instant};

use common_ground::{
    port::{
        model::{Model, ModelError, ModelEvent, ModelRequest, ModelUsage, Reply, Turn},
        tool::ToolSpec,
    },
    role::Role,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::{
    cli::{Program, print_json},
    config::Config,
    exit::{Exit, Failure},
    models::{Spec, from_model, make, remote},
    show::plain,
};

/// Arguments of `ii models probe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model, such as `ollama:NAME`.
    model: String,
}

/// Longest time of one question.
const PATIENCE: Duration = Duration::from_secs(180);
/// Room for an answer, thinking included.
const ROOM: u64 = 1024;

/// What was found of one thing.
struct Finding {
    name: &'static str,
    found: Result<String, Failure>,
}

/// An answer, as far as it is measured. What it says is not kept.
pub(super) struct Measured {
    /// Time to the first piece.
    pub first: Duration,
    /// Time to the end.
    pub whole: Duration,
    /// Pieces of text, thinking and calls.
    pub pieces: u64,
    /// The text, to be checked.
    pub text: String,
    /// Calls as tool and arguments.
    pub calls: Vec<(String, String)>,
    /// What was used.
    pub used: ModelUsage,
}

/// Asks once; what came is measured also when it ends in an error.
pub(super) async fn measure(model: &dyn Model, request: &ModelRequest) -> (Measured, Result<(), ModelError>) {
    let began = Instant::now();
    let mut measured = Measured {
        first: Duration::ZERO,
        whole: Duration::ZERO,
        pieces: 0,
        text: String::new(),
        calls: Vec::new(),
        used: ModelUsage::default(),
    };
    let read = async {
        let mut stream = model.complete(request);
        while let Some(event) = stream.next().await {
            if measured.pieces == 0 {
                measured.first = began.elapsed();
            }
            measured.pieces += 1;
            match event? {
                ModelEvent::Text(text) => measured.text.push_str(&text),
                ModelEvent::Thinking(_) | ModelEvent::Draft { .. } => {}
                ModelEvent::Call(call) => measured.calls.push((call.tool, call.arguments)),
                ModelEvent::Done(used) => {
                    measured.pieces -= 1;
                    measured.used = used;
                }
            }
        }
        Ok(())
    };
    let read: Result<(), ModelError> = tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_elapsed| {
        Err(ModelError::Unreachable {
            model: model.id().to_owned(),
            reason: format!("no whole answer in {} s", PATIENCE.as_secs()),
        })
    });
    measured.whole = began.elapsed();
    (measured, read)
}

async fn ask(model: &dyn Model, request: &ModelRequest) -> Result<Measured, ModelError> {
    let (measured, read) = measure(model, request).await;
    read.map(|()| measured)
}

/// A question of this form.
pub(super) fn question(model: &dyn Model, task: &str, reply: Reply, max_tokens: u64) -> ModelRequest {
    ModelRequest {
        model: model.id().to_owned(),
        role: Role::Associate,
        turns: vec![
            Turn::Rules { text: "Answer briefly, and exactly in the form asked for.".to_owned() },
            Turn::Task { text: task.to_owned() },
        ],
        tools: if reply == Reply::Calls { vec![tool()] } else { Vec::new() },
        reply,
        max_tokens,
    }
}

fn tool() -> ToolSpec {
    ToolSpec {
        name: "note_colour".to_owned(),
        description: "Notes the colour of a thing.".to_owned(),
        arguments: r#"{"additionalProperties":false,"properties":{"colour":{"enum":["blue","green"],"type":"string"}},"required":["colour"],"type":"object"}"#.to_owned(),
        idempotent: true,
    }
}

const SCHEMA: &str =
    r#"{"additionalProperties":false,"properties":{"even":{"type":"boolean"}},"required":["even"],"type":"object"}"#;

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program, config: &Config) -> Result<Exit, Failure> {
    let findings = match Spec::parse(&args.model)? {
        Spec::Extractive => {
            vec![Finding {
                name: "engine",
                found: Ok("built in; no language model, so there is nothing to try".to_owned()),
            }]
        }
        Spec::Provider { provider, name } => {
            let mut model = remote(provider, name, config)?;
            match model.ask_server().await.map_err(|error| from_model(&error)) {
                Err(failure) => vec![Finding { name: "reachable", found: Err(failure) }],
                Ok(()) => {
                    let mut findings = findings(&model).await;
                    if let Some(served) = model.served().filter(|served| *served != name) {
                        let found = Ok(format!("the server names it {}", plain(served)));
                        findings.insert(1, Finding { name: "served", found });
                    }
                    findings
                }
            }
        }
        Spec::Llama(_) => findings(&*make(&args.model, &program.home, config).await?).await,
    };
    let worst = findings.iter().find_map(|finding| finding.found.as_ref().err()).map(|failure| failure.exit);
    if program.json {
        let rows: Vec<Value> = findings
            .iter()
            .map(|finding| match &finding.found {
                Ok(text) => json!({"name": finding.name, "ok": true, "found": text}),
                Err(failure) => {
                    json!({"name": finding.name, "ok": false, "found": failure.what, "fix": failure.fix})
                }
            })
            .collect();
        print_json(&json!({"model": args.model, "ok": worst.is_none(), "findings": rows}));
    } else {
        for finding in &findings {
            match &finding.found {
                Ok(text) => println!("ok     {:<14} {text}", finding.name),
                Err(failure) => println!("FAULT  {:<14} {failure}", finding.name),
            }
        }
    }
    Ok(worst.unwrap_or(Exit::Completed))
}

/// Tries each form; when the first question finds nobody, the others are not asked.
async fn findings(model: &dyn Model) -> Vec<Finding> {
    let words = question(model, "Say in a few words what a lighthouse is for.", Reply::Text, ROOM);
    let told = ask(model, &words).await;
    let mut findings = Vec::new();
    let reachable = match &told {
        Ok(_) | Err(ModelError::Cut { .. }) => Ok("it answers".to_owned()),
        Err(error) => Err(from_model(error)),
    };
    let stop = reachable.is_err();
    findings.push(Finding { name: "reachable", found: reachable });
    if stop {
        return findings;
    }
    let window = model.window().map_or_else(
        || "not told; set it with `window` of the provider".to_owned(),
        |window| format!("{window} tokens"),
    );
    findings.push(Finding { name: "window", found: Ok(window) });
    let streaming = match &told {
        Ok(measured) if measured.pieces > 1 => format!("{} pieces", measured.pieces),
        Ok(_) => "the answer came in one piece".to_owned(),
        Err(_cut) => format!("it went on beyond {ROOM} tokens"),
    };
    findings.push(Finding { name: "streaming", found: Ok(streaming) });
    if let Ok(measured) = &told {
        findings.push(Finding { name: "speed", found: Ok(speed(measured)) });
    }
    findings.push(Finding { name: "tool calls", found: calls(model).await });
    findings.push(Finding { name: "JSON", found: json_reply(model).await });
    findings
}

/// Generated tokens a second, and the time to the first piece.
fn speed(measured: &Measured) -> String {
    let first = measured.first.as_millis();
    let generating = measured.whole.saturating_sub(measured.first).as_secs_f64();
    let tokens = measured.used.tokens_out.saturating_sub(1);
    if generating <= 0.0 || tokens == 0 {
        return format!("first piece after {first} ms");
    }
    format!("{:.1} tokens a second, first piece after {first} ms", tokens as f64 / generating)
}

fn fault(model: &dyn Model, what: &str, fix: &str) -> Failure {
    Failure::new(Exit::Model, format!("model {} {what}", model.id()), fix)
}

/// A call, the tool's answer, and the next call: the round trip of every step.
async fn calls(model: &dyn Model) -> Result<String, Failure> {
    let mut request = question(model, "Note that the sea is blue.", Reply::Calls, ROOM);
    let asked = ask(model, &request).await.map_err(|error| from_model(&error))?;
    let Some((name, arguments)) = asked.calls.first() else {
        return Err(fault(model, "made no call", "choose a model that calls tools, or set tool_choice = \"schema\""));
    };
    if *name != tool().name || !agent_runtime::fits_schema(&tool().arguments, arguments) {
        return Err(fault(
            model,
            "made a call that does not fit its tool",
            "set tool_choice = \"schema\" of its provider",
        ));
    }
    let call = common_ground::port::model::Call {
        id: "call_probe".to_owned(),
        tool: name.clone(),
        arguments: arguments.clone(),
    };
    let result = Turn::Tool { call: call.id.clone(), content: r#"{"noted":true}"#.to_owned(), failed: false };
    request.turns.extend([Turn::Model { text: String::new(), calls: vec![call] }, result]);
    ask(model, &request).await.map_err(|error| from_model(&error))?;
    Ok("a call that fits its tool, and it goes on after the tool's answer".to_owned())
}

async fn json_reply(model: &dyn Model) -> Result<String, Failure> {
    let reply = Reply::Json { name: "finding".to_owned(), schema: SCHEMA.to_owned() };
    let asked = ask(model, &question(model, "Is 4 even?", reply, ROOM)).await.map_err(|error| from_model(&error))?;
    if agent_runtime::fits_schema(SCHEMA, &asked.text) {
        Ok("fits its schema".to_owned())
    } else {
        Err(fault(
            model,
            "answered with JSON that does not fit its schema",
            "choose a server that holds answers to a schema",
        ))
    }
}
