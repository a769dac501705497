//! What every language model behind the port must do, whatever is behind it: run by each adapter's own test program.
//!
//! It asks for forms, never for sense, so that random weights pass as well as trained ones. A model that writes without
//! end is allowed [`ModelError::Cut`] where only words are asked; where a schema bounds the answer it is not.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use common_ground::{
    port::{
        model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelUsage, Reply, Turn},
        tool::ToolSpec,
    },
    role::Role,
};
use futures_util::StreamExt;

type Case = fn(Arc<dyn Model>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The cases by name. `#[tokio::test]` runs [`holds`], which runs them all.
pub const CASES: &[(&str, Case)] = &[
    ("answers with a call of the tool offered", |model| Box::pin(one_tool(model))),
    ("chooses among several tools", |model| Box::pin(several_tools(model))),
    ("reads what a tool answered", |model| Box::pin(goes_on(model))),
    ("answers with JSON of a schema", |model| Box::pin(json(model))),
    ("answers with words", |model| Box::pin(words(model))),
    ("answers several at once", |model| Box::pin(at_once(model))),
    ("stops when it is dropped", |model| Box::pin(dropped(model))),
    ("says when the answer is cut", |model| Box::pin(cut(model))),
    ("refuses what does not fit", |model| Box::pin(too_large(model))),
    ("counts the same request the same", |model| Box::pin(counts(model))),
];

/// Longest time of one case.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs every case, one after the other, naming each on stderr before it begins.
pub async fn holds(model: Arc<dyn Model>) {
    for (name, case) in CASES {
        eprintln!("contract: {} {name}", model.id());
        tokio::time::timeout(PATIENCE, case(Arc::clone(&model)))
            .await
            .unwrap_or_else(|_| panic!("{name}: takes too long"));
    }
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// All text.
    pub text: String,
    /// All thinking.
    pub thinking: String,
    /// All that was shown of each call while it was written.
    pub drafted: BTreeMap<u32, String>,
    /// The calls in order.
    pub calls: Vec<Call>,
    /// What was used.
    pub used: ModelUsage,
}

/// Reads an answer to its end and checks the rules of every stream: `Done` exactly once and last, an error last,
/// calls with a name and ids that are unique, each shown before while it was written.
pub async fn answer(model: &dyn Model, request: &ModelRequest) -> Result<Whole, ModelError> {
    let mut stream = model.complete(request);
    let mut whole = Whole {
        text: String::new(),
        thinking: String::new(),
        drafted: BTreeMap::new(),
        calls: Vec::new(),
        used: ModelUsage::default(),
    };
    let mut ended = None;
    while let Some(item) = stream.next().await {
        assert!(ended.is_none(), "{item:?} after the end");
        match item {
            Ok(ModelEvent::Text(text)) => whole.text.push_str(&text),
            Ok(ModelEvent::Thinking(text)) => whole.thinking.push_str(&text),
            Ok(ModelEvent::Draft { call, more }) => {
                assert!(whole.calls.is_empty(), "{more} after a call was whole");
                whole.drafted.entry(call).or_default().push_str(&more);
            }
            Ok(ModelEvent::Call(call)) => whole.calls.push(call),
            Ok(ModelEvent::Done(used)) => {
                whole.used = used;
                ended = Some(Ok(()));
            }
            Err(error) => ended = Some(Err(error)),
        }
    }
    ended.expect("a stream says how it ended")?;
    let ids: BTreeSet<&str> = whole.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids.len(), whole.calls.len(), "ids are unique: {whole:?}");
    assert!(whole.calls.iter().all(|call| !call.id.is_empty() && !call.tool.is_empty()), "{whole:?}");
    let shown =
        |call: &Call| call.arguments == "{}" || whole.drafted.values().any(|drafted| drafted.contains(&call.arguments));
    assert!(whole.calls.iter().all(shown), "{whole:?}");
    Ok(whole)
}

/// A request with rules and a task.
pub fn request(model: &dyn Model, task: &str, reply: Reply, max_tokens: u64) -> ModelRequest {
    ModelRequest {
        model: model.id().to_owned(),
        role: Role::Associate,
        turns: vec![Turn::Rules { text: "You look things up.".to_owned() }, Turn::Task { text: task.to_owned() }],
        tools: if reply == Reply::Calls { vec![lookup()] } else { Vec::new() },
        reply,
        max_tokens,
    }
}

/// A tool whose arguments are bounded, so that a grammar made from them always ends.
pub fn lookup() -> ToolSpec {
    tool(
        "lookup",
        r#"{"additionalProperties":false,"properties":{"exact":{"type":"boolean"},"place":{"enum":["east","west"],"type":"string"}},"required":["exact","place"],"type":"object"}"#,
    )
}

/// A tool by name and schema.
pub fn tool(name: &str, arguments: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: format!("The tool {name}."),
        arguments: arguments.to_owned(),
        idempotent: true,
    }
}

fn fits(text: &str, schema: &str) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    // llama-server counts bytes that are no UTF-8 as one character while it writes and puts a mark for each when it sends.
    let marks =
        |text: &str| text.split('\u{fffd}').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\u{fffd}");
    let value: serde_json::Value = serde_json::from_str(&marks(&value.to_string())).expect("only marks were taken");
    let schema = serde_json::from_str(schema).expect("a schema");
    assert!(jsonschema::is_valid(&schema, &value), "{value} does not fit {schema}");
    value
}

fn plausible(used: ModelUsage, counted: u64, max_tokens: u64) {
    assert!(used.tokens_in > 0 && used.tokens_out > 0, "{used:?}");
    assert!(used.tokens_in <= counted, "{used:?}, counted {counted}");
    assert!(used.tokens_out <= max_tokens, "{used:?} of {max_tokens}");
    assert!(used.tokens_cached <= used.tokens_in && used.tokens_thinking <= used.tokens_out, "{used:?}");
}

async fn asked(model: &dyn Model, request: &ModelRequest) -> Whole {
    let counted = model.count_tokens(request).await.expect("counted");
    let whole = answer(model, request).await.expect("an answer");
    plausible(whole.used, counted, request.max_tokens);
    whole
}

/// Whether the answer calls, only what is offered, and with arguments that fit.
pub fn called(whole: &Whole, offered: &[ToolSpec]) {
    assert!(!whole.calls.is_empty(), "no call: {whole:?}");
    for call in &whole.calls {
        let tool =
            offered.iter().find(|tool| tool.name == call.tool).unwrap_or_else(|| panic!("{call:?} is not offered"));
        fits(&call.arguments, &tool.arguments);
    }
}

const ENOUGH: u64 = 512;

async fn one_tool(model: Arc<dyn Model>) {
    let request = request(&*model, "Look up the east.", Reply::Calls, ENOUGH);
    let whole = asked(&*model, &request).await;
    called(&whole, &request.tools);
}

async fn several_tools(model: Arc<dyn Model>) {
    let mut request = request(&*model, "Look up the west and count it.", Reply::Calls, ENOUGH);
    let count = r#"{"additionalProperties":false,"properties":{"upward":{"type":"boolean"}},"required":["upward"],"type":"object"}"#;
    let name = r#"{"additionalProperties":false,"properties":{"name":{"maxLength":8,"minLength":1,"type":"string"}},"required":["name"],"type":"object"}"#;
    request.tools.extend([tool("count_all", count), tool("name_it", name)]);
    let whole = asked(&*model, &request).await;
    called(&whole, &request.tools);
}

async fn goes_on(model: Arc<dyn Model>) {
    let mut request = request(&*model, "Look up the east.", Reply::Calls, ENOUGH);
    let first = Call {
        id: "call_first".to_owned(),
        tool: "lookup".to_owned(),
        arguments: r#"{"exact":true,"place":"east"}"#.to_owned(),
    };
    let wrong = Call { id: "call_wrong".to_owned(), tool: "lookup".to_owned(), arguments: r#"{"exact":tr"#.to_owned() };
    let answered = |call: &Call, content: &str, failed: bool| Turn::Tool {
        call: call.id.clone(),
        content: content.to_owned(),
        failed,
    };
    let results =
        [answered(&first, r#"{"found":"a hill"}"#, false), answered(&wrong, "these arguments are no JSON", true)];
    request.turns.push(Turn::Model { text: String::new(), calls: vec![first, wrong] });
    request.turns.extend(results);
    let whole = asked(&*model, &request).await;
    called(&whole, &request.tools);
    assert!(whole.calls.iter().all(|call| !["call_first", "call_wrong"].contains(&call.id.as_str())), "{whole:?}");
}

async fn json(model: Arc<dyn Model>) {
    let schema = r#"{"additionalProperties":false,"properties":{"count":{"enum":[1,2,3],"type":"integer"},"good":{"type":"boolean"}},"required":["count","good"],"type":"object"}"#;
    let reply = Reply::Json { name: "finding".to_owned(), schema: schema.to_owned() };
    let request = request(&*model, "Is it good, and how many are there?", reply, ENOUGH);
    let whole = asked(&*model, &request).await;
    fits(&whole.text, schema);
    assert!(whole.calls.is_empty(), "{whole:?}");
}

async fn words(model: Arc<dyn Model>) {
    let request = request(&*model, "Say something short.", Reply::Text, 64);
    let counted = model.count_tokens(&request).await.expect("counted");
    match answer(&*model, &request).await {
        Ok(whole) => {
            plausible(whole.used, counted, request.max_tokens);
            assert!(whole.calls.is_empty(), "{whole:?}");
        }
        Err(error) => assert_eq!(error, ModelError::Cut { model: model.id().to_owned(), limit: 64 }),
    }
}

async fn at_once(model: Arc<dyn Model>) {
    let tasks: Vec<_> = (0..6)
        .map(|number| {
            let model = Arc::clone(&model);
            tokio::spawn(async move {
                let request = request(&*model, &format!("Look up number {number}."), Reply::Calls, ENOUGH);
                called(&asked(&*model, &request).await, &request.tools);
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("an answer");
    }
}

async fn dropped(model: Arc<dyn Model>) {
    let long = request(&*model, "Say all you know.", Reply::Text, 4096.min(model.window().unwrap_or(4096) / 2));
    for wait in [0, 1, 20, 200] {
        let mut stream = model.complete(&long);
        // Whether something came in that time does not matter: the stream is dropped at any point.
        if let Ok(Some(Ok(ModelEvent::Done(_)))) =
            tokio::time::timeout(Duration::from_millis(wait), stream.next()).await
        {
            assert!(stream.next().await.is_none());
        }
    }
    one_tool(model).await;
}

async fn cut(model: Arc<dyn Model>) {
    let schema = r#"{"additionalProperties":false,"properties":{"text":{"maxLength":400,"minLength":300,"type":"string"}},"required":["text"],"type":"object"}"#;
    let reply = Reply::Json { name: "essay".to_owned(), schema: schema.to_owned() };
    let request = request(&*model, "Write three hundred letters.", reply, 8);
    let error = answer(&*model, &request).await.expect_err("eight tokens do not hold it");
    assert_eq!(error, ModelError::Cut { model: model.id().to_owned(), limit: 8 });
}

async fn too_large(model: Arc<dyn Model>) {
    let Some(window) = model.window() else { return };
    let long = request(&*model, &"many words, ".repeat(window as usize), Reply::Calls, 16);
    match answer(&*model, &long).await {
        Err(ModelError::TooLarge { need, .. }) => assert!(need > window, "{need} of {window}"),
        other => panic!("{other:?}"),
    }
    let greedy = request(&*model, "Look up the east.", Reply::Calls, window);
    assert!(matches!(answer(&*model, &greedy).await, Err(ModelError::TooLarge { .. })), "the answer needs room too");
    one_tool(model).await;
}

async fn counts(model: Arc<dyn Model>) {
    let short = request(&*model, "Look up the east.", Reply::Calls, ENOUGH);
    let long = request(&*model, &"Look up the east. ".repeat(20), Reply::Calls, ENOUGH);
    let first = model.count_tokens(&short).await.expect("counted");
    assert!(first > 0);
    assert!(model.count_tokens(&long).await.expect("counted") > first);
    assert_eq!(model.count_tokens(&short).await.expect("counted"), first);
}
