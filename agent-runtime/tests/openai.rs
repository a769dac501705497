//! The adapter for Chat Completions against a server on loopback: what it sends, and that no fault of a server becomes
//! an answer, half a call, or a secret in an error.

mod contract;
mod server;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use agent_runtime::models::openai::{Dialect, MaxTokensField, OpenAi, OpenAiSettings, ToolChoice};
use common_ground::port::model::{Call, Model, ModelError, ModelEvent, ModelRequest, ModelUsage, Price, Reply, Turn};
use contract::{Whole, answer, lookup, request, tool};
use serde_json::{Value, json};
use server::{Server, Step, chunked, delta, events, finish, status, stream, usage};

const KEY: &str = "sk-very-secret-0123456789";
const PROMPT: &str = "the word swordfish";

fn settings(base_url: String) -> OpenAiSettings {
    OpenAiSettings {
        id: "near:small".to_owned(),
        provider: "near".to_owned(),
        name: "small".to_owned(),
        base_url,
        dialect: Dialect::Compatible,
        key: Some(KEY.into()),
        key_variable: Some("NEAR_KEY".to_owned()),
        headers: vec![("X-Team".to_owned(), "blue-secret".into())],
        retries: 0,
        retry_time: Duration::from_secs(20),
        idle: Duration::from_secs(5),
        window: None,
        sees: None,
        price: Price::default(),
        ca_file: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        tool_choice: ToolChoice::Required,
    }
}

fn model(server: &Server) -> OpenAi {
    OpenAi::new(settings(server.base_url())).expect("a model")
}

fn asks(model: &OpenAi, reply: Reply) -> ModelRequest {
    request(model, PROMPT, reply, 100)
}

/// What a model makes of these bytes as the stream's whole body.
async fn of_bytes(bytes: impl Into<Vec<u8>>) -> Result<Whole, ModelError> {
    let bytes = bytes.into();
    let server = Server::start(move |_| stream(bytes.clone())).await;
    let model = model(&server);
    answer(&model, &asks(&model, Reply::Calls)).await
}

async fn of_status(code: u16, headers: &str, body: &str) -> ModelError {
    let steps = status(code, headers, body);
    let server = Server::start(move |_| steps.clone()).await;
    let model = model(&server);
    let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err("no answer");
    holds_no_secret(&format!("{error} {error:?} {model:?}"));
    assert_eq!(server.seen().len(), 1, "{error} was asked again");
    error
}

fn holds_no_secret(text: &str) {
    for secret in [KEY, "sk-very", "blue-secret", "swordfish", "SECRETBODY"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

fn is_broken(result: &Result<Whole, ModelError>) -> bool {
    matches!(result, Err(ModelError::Broken { .. }))
}

/// Two calls whose pieces come interleaved, with thinking and text before them.
fn two_calls() -> Vec<Value> {
    let piece = |index: u32, arguments: &str| {
        delta(json!({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}))
    };
    let head = |index: u32, id: &str, name: &str| {
        delta(
            json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}]}),
        )
    };
    vec![
        delta(json!({"role": "assistant", "content": null})),
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"content": "Both: é"})),
        head(0, "a", "lookup"),
        head(1, "b", "count_all"),
        piece(1, "{\"n\""),
        piece(0, "{\"place\":"),
        piece(1, ":12345}"),
        piece(0, "\"east\"}"),
        finish("tool_calls"),
        json!({"choices": [], "usage": {"prompt_tokens": 50, "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 30}, "completion_tokens_details": {"reasoning_tokens": 7}}}),
    ]
}

fn both() -> Whole {
    let call =
        |id: &str, tool: &str, arguments: &str| Call { id: id.into(), tool: tool.into(), arguments: arguments.into() };
    Whole {
        text: "Both: é".to_owned(),
        thinking: "hm".to_owned(),
        drafted: [(0, "{\"place\":\"east\"}".to_owned()), (1, "{\"n\":12345}".to_owned())].into(),
        calls: vec![call("a", "lookup", "{\"place\":\"east\"}"), call("b", "count_all", "{\"n\":12345}")],
        used: ModelUsage { tokens_in: 50, tokens_cached: 30, tokens_out: 20, tokens_thinking: 7 },
    }
}

#[tokio::test]
async fn a_server_that_answers_keeps_the_contract() {
    let server = Server::start(server::scripted_model(100_000)).await;
    contract::holds(Arc::new(model(&server))).await;
    let server = Server::start(server::scripted_model(100_000)).await;
    let known = OpenAi::new(OpenAiSettings { window: Some(20_000), ..settings(server.base_url()) }).expect("a model");
    contract::holds(Arc::new(known)).await;
}

#[tokio::test]
async fn the_request_is_what_chat_completions_asks_for() {
    let server =
        Server::start(|_| chunked(&events(&[delta(json!({"content": "x"})), finish("stop"), usage(9, 1)]))).await;
    let model = model(&server);
    let mut request = asks(&model, Reply::Calls);
    let call = |id: &str, arguments: &str| Call { id: id.into(), tool: "lookup".into(), arguments: arguments.into() };
    request
        .turns
        .push(Turn::Model { text: String::new(), calls: vec![call("one", "{\"a\":1}"), call("two", "{\"a\":")] });
    request.turns.push(Turn::Tool { call: "one".into(), content: "found".into(), failed: false });
    request.turns.push(Turn::Model { text: "So.".into(), calls: Vec::new() });
    answer(&model, &request).await.expect("an answer");
    let schema = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}"#;
    let reply = Reply::Json { name: "finding".into(), schema: schema.into() };
    answer(&model, &asks(&model, reply)).await.expect("an answer");
    answer(&model, &asks(&model, Reply::Text)).await.expect("an answer");
    let auto = OpenAiSettings {
        tool_choice: ToolChoice::Auto,
        max_tokens_field: MaxTokensField::MaxCompletionTokens,
        key: None,
        ..settings(server.base_url())
    };
    let auto = OpenAi::new(auto).expect("a model");
    answer(&auto, &asks(&auto, Reply::Calls)).await.expect("an answer");

    let seen = server.seen();
    for seen in &seen {
        assert_eq!(seen.line, "POST /v1/chat/completions");
        assert_eq!(seen.headers["x-team"], "blue-secret");
        assert_eq!(seen.headers["content-type"], "application/json");
        assert_eq!(seen.json()["stream_options"], json!({"include_usage": true}));
        assert_eq!((&seen.json()["stream"], &seen.json()["model"]), (&json!(true), &json!("small")));
    }
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {KEY}"));
    let body = seen[0].json();
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "You look things up."},
            {"role": "user", "content": PROMPT},
            {"role": "assistant", "tool_calls": [
                {"id": "one", "type": "function", "function": {"name": "lookup", "arguments": "{\"a\":1}"}},
                {"id": "two", "type": "function", "function": {"name": "lookup", "arguments": "{\"unparsed\":\"{\\\"a\\\":\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "one", "content": "found"},
            {"role": "assistant", "content": "So."},
        ])
    );
    let parameters: Value = serde_json::from_str(&lookup().arguments).expect("a schema");
    let offered = json!([{"type": "function", "function": {"name": "lookup", "description": "The tool lookup.", "parameters": parameters}}]);
    assert_eq!(
        (&body["tools"], &body["tool_choice"], &body["max_tokens"]),
        (&offered, &json!("required"), &json!(100))
    );
    assert!(body.get("response_format").is_none() && body.get("max_completion_tokens").is_none(), "{body}");
    let body = seen[1].json();
    assert_eq!(body["response_format"]["json_schema"]["strict"], json!(true));
    assert_eq!(body["response_format"]["json_schema"]["name"], "finding");
    assert!(seen[1].body.contains(schema), "the order of a schema's names is kept: {}", seen[1].body);
    assert!(body.get("tools").is_none() && body.get("tool_choice").is_none(), "{body}");
    let body = seen[2].json();
    assert!(body.get("response_format").is_none() && body.get("tools").is_none(), "{body}");
    let body = seen[3].json();
    assert!(!seen[3].headers.contains_key("authorization"));
    assert_eq!((&body["tool_choice"], &body["max_completion_tokens"]), (&json!("auto"), &json!(100)));
    assert!(body.get("max_tokens").is_none(), "{body}");
}

#[tokio::test]
async fn calls_are_put_together_by_index_and_usage_is_read_in_full() {
    assert_eq!(of_bytes(events(&two_calls())).await.expect("an answer"), both());
}

#[tokio::test]
async fn a_stream_cut_anywhere_is_never_half_a_call() {
    let whole = events(&two_calls()).into_bytes();
    let ended = String::from_utf8_lossy(&whole)
        .find("\"tool_calls\",")
        .or_else(|| String::from_utf8_lossy(&whole).find("finish_reason\":\"tool_calls\""));
    let ended = ended.expect("it ends");
    let bytes = whole.clone();
    let server = Server::start(move |seen| stream(&bytes[..seen.number.min(bytes.len())])).await;
    let model = model(&server);
    let request = asks(&model, Reply::Calls);
    let (mut broken, mut good) = (0, 0);
    for length in 0..=whole.len() {
        match answer(&model, &request).await {
            Ok(answer) => {
                assert!(length > ended, "an answer after {length} bytes");
                assert_eq!((answer.calls, answer.text), (both().calls, both().text), "after {length} bytes");
                // Without the usage the most that can have been used is counted.
                assert!(answer.used == both().used || answer.used.tokens_out == 100, "after {length} bytes");
                good += 1;
            }
            Err(error) => {
                assert!(matches!(error, ModelError::Broken { .. }), "{error} after {length} bytes");
                broken += 1;
            }
        }
    }
    assert!(broken > 1000 && good > 100, "{broken} broken, {good} good");
}

#[tokio::test]
async fn what_compatible_servers_do_otherwise_is_understood() {
    let call = |delta_calls: Value| delta(json!({"tool_calls": delta_calls}));
    let name = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let cases: Vec<(&str, String, Vec<&str>)> = vec![
        (
            "all numbered 0, told apart by id",
            events(&[
                call(json!([{"index": 0, "id": "a", "function": name("lookup", json!("{\"x\":1}"))}])),
                call(json!([{"index": 0, "id": "b", "function": name("lookup", json!("{\"x\":2}"))}])),
                finish("tool_calls"),
                usage(5, 5),
            ]),
            vec!["a lookup {\"x\":1}", "b lookup {\"x\":2}"],
        ),
        (
            "no index at all",
            events(&[
                call(json!([{"id": "a", "function": name("lookup", json!("{\"x\""))}])),
                call(json!([{"function": {"arguments": ":1}"}}])),
                call(json!([{"id": "b", "function": name("lookup", Value::Null)}])),
                finish("stop"),
                usage(5, 5),
            ]),
            vec!["a lookup {\"x\":1}", "b lookup {}"],
        ),
        (
            "no id, arguments as an object, name again in each piece",
            events(&[
                call(json!([{"index": 0, "function": name("lookup", json!({"x": 1}))}])),
                call(json!([{"index": 0, "function": {"name": "lookup"}}])),
                finish("tool_calls"),
                usage(5, 5),
            ]),
            vec!["call_2_0 lookup {\"x\":1}"],
        ),
        (
            "the same id twice",
            events(&[
                call(json!([{"index": 0, "id": "a", "function": name("lookup", json!("{}"))}])),
                call(json!([{"index": 1, "id": "a", "function": name("lookup", json!("{}"))}])),
                finish("tool_calls"),
                usage(5, 5),
            ]),
            vec!["a lookup {}", "call_2_1 lookup {}"],
        ),
        (
            "line ends of Windows, comments, other events, no [DONE]",
            format!(
                ": keep-alive\r\n\r\nevent: keepalive\r\ndata: x\r\n\r\nid: 7\r\nretry: 10\r\ndata: {}\r\n\r\n:\r\ndata:{}\r\n\r\ndata: {}\r\n\r\n",
                call(json!([{"index": 0, "id": "a", "function": name("lookup", json!("{}"))}])),
                finish("tool_calls"),
                usage(5, 5)
            ),
            vec!["a lookup {}"],
        ),
        (
            "an event over several lines",
            format!(
                "data: {{\"choices\":\ndata: {}}}\n\n{}",
                json!([{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": name("lookup", json!("{}"))}]}}]),
                events(&[finish("stop"), usage(5, 5)])
            ),
            vec!["a lookup {}"],
        ),
        (
            "null where a list belongs, names we do not know",
            events(&[
                json!({"choices": [{"index": 0, "delta": {"content": null, "tool_calls": null, "audio": {"x": [1]}}, "logprobs": null}], "usage": null, "new": {"a": 1}}),
                json!({"choices": null, "error": null}),
                call(
                    json!([{"index": 0, "id": "a", "type": "function", "extra": 1, "function": name("lookup", json!("{}"))}]),
                ),
                finish("tool_calls"),
                usage(5, 5),
            ]),
            vec!["a lookup {}"],
        ),
    ];
    for (case, bytes, expected) in cases {
        let whole = of_bytes(bytes).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let calls: Vec<String> =
            whole.calls.iter().map(|call| format!("{} {} {}", call.id, call.tool, call.arguments)).collect();
        assert_eq!(calls, expected, "{case}");
        assert_eq!((whole.used.tokens_in, whole.used.tokens_out), (5, 5), "{case}");
    }
    let reasoning = of_bytes(events(&[
        delta(json!({"reasoning": "so"})),
        delta(json!({"content": "x"})),
        finish("stop"),
        usage(5, 5),
    ]))
    .await;
    assert_eq!(reasoning.map(|whole| (whole.thinking, whole.text)), Ok(("so".to_owned(), "x".to_owned())));
}

#[tokio::test]
async fn an_id_of_an_earlier_call_is_not_used_again() {
    let call =
        delta(json!({"tool_calls": [{"index": 0, "id": "call_0", "function": {"name": "lookup", "arguments": "{}"}}]}));
    let bytes = events(&[call, finish("tool_calls"), usage(5, 5)]);
    let server = Server::start(move |_| chunked(&bytes)).await;
    let model = model(&server);
    let mut request = asks(&model, Reply::Calls);
    let first = answer(&model, &request).await.expect("an answer").calls;
    request.turns.push(Turn::Model { text: String::new(), calls: first.clone() });
    let second = answer(&model, &request).await.expect("an answer").calls;
    assert_eq!((first[0].id.as_str(), second[0].id.as_str()), ("call_0", "call_3_0"));
}

#[tokio::test]
async fn no_usage_counts_what_is_known() {
    let server = Server::start(|_| chunked(&events(&[delta(json!({"content": "x"})), finish("stop")]))).await;
    let model = model(&server);
    let request = asks(&model, Reply::Text);
    let counted = model.count_tokens(&request).await.expect("counted");
    let used = answer(&model, &request).await.expect("an answer").used;
    assert_eq!(used, ModelUsage { tokens_in: counted, tokens_out: 100, ..ModelUsage::default() });
}

#[tokio::test]
async fn ends_that_are_no_answer_have_their_names() {
    let with = |end: Value| events(&[delta(json!({"content": "x"})), end, usage(5, 5)]);
    assert_eq!(of_bytes(with(finish("length"))).await, Err(ModelError::Cut { model: "near:small".into(), limit: 100 }));
    assert!(matches!(of_bytes(with(finish("content_filter"))).await, Err(ModelError::Refused { .. })));
    let declined = events(&[delta(json!({"refusal": "SECRETBODY"})), finish("stop"), usage(5, 5)]);
    let declined = of_bytes(declined).await.expect_err("declined");
    assert!(matches!(declined, ModelError::Refused { .. }), "{declined}");
    holds_no_secret(&declined.to_string());
    assert!(is_broken(&of_bytes(with(finish("SECRETBODY"))).await));
    assert!(is_broken(&of_bytes(with(finish("error"))).await));
    let late = events(&[
        delta(json!({"content": "x"})),
        json!({"error": {"message": "SECRETBODY", "code": 502, "type": "server_error"}}),
    ]);
    let late = of_bytes(late).await.expect_err("an error in the stream");
    assert_eq!(
        late,
        ModelError::Broken {
            model: "near:small".into(),
            reason: "the server broke it off with error 502 (server_error)".into()
        }
    );
    let full = events(&[json!({"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512}})]);
    assert_eq!(of_bytes(full).await, Err(ModelError::TooLarge { model: "near:small".into(), need: 1000, window: 512 }));
    let nameless = events(&[
        delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]})),
        finish("tool_calls"),
        usage(5, 5),
    ]);
    assert!(is_broken(&of_bytes(nameless).await));
}

#[tokio::test]
async fn what_is_no_answer_breaks_without_showing_what_came() {
    let mut long = b"data: ".to_vec();
    long.resize(5 << 20, b'x');
    let many: Vec<Value> = (0..200)
        .map(|i| delta(json!({"tool_calls": [{"index": i, "id": i.to_string(), "function": {"name": "lookup"}}]})))
        .collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", b"\x00\x01SECRETBODY\xff\xfe".to_vec()),
        ("garbage in an event", b"data: SECRETBODY\n\n".to_vec()),
        ("half a line", br#"data: {"choices":[{"delta":{"content":"SECRETBODY"#.to_vec()),
        ("JSON of something else", b"data: [1,2,\"SECRETBODY\"]\n\n".to_vec()),
        ("nothing", Vec::new()),
        ("only the end", b"data: [DONE]\n\n".to_vec()),
        ("a line without end", long),
        ("calls without end", events(&many).into_bytes()),
        ("deep JSON", format!("data: {}\n\n", "[".repeat(100_000)).into_bytes()),
    ];
    for (case, bytes) in cases {
        let result = of_bytes(bytes).await;
        assert!(is_broken(&result), "{case}: {result:?}");
        holds_no_secret(&format!("{result:?}"));
    }
    for (case, kind, fix) in
        [("a page", "text/html; charset=utf-8", "base_url"), ("one JSON", "application/json", "cannot stream")]
    {
        let steps = status(200, &format!("content-type: {kind}\r\n"), "<html>SECRETBODY</html>");
        let server = Server::start(move |_| steps.clone()).await;
        let model = model(&server);
        let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err(case);
        assert!(matches!(&error, ModelError::Broken { reason, .. } if reason.contains(fix)), "{case}: {error}");
        holds_no_secret(&error.to_string());
    }
}

#[tokio::test]
async fn refusals_end_at_once_and_name_the_fix() {
    let cases: &[(u16, &str, &str)] = &[
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-very-secret-0123456789 SECRETBODY","code":"invalid_api_key"}}"#,
            "set NEAR_KEY to a valid key",
        ),
        (402, "", "no credit"),
        (403, "{}", "NEAR_KEY may not use this model"),
        (
            404,
            r#"{"error":{"message":"SECRETBODY","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            "`ii models list near`",
        ),
        (404, "<html>SECRETBODY</html>", "base_url"),
        (407, "SECRETBODY", "HTTPS_PROXY"),
        (
            400,
            r#"{"error":{"code":400,"message":"tool_choice not supported SECRETBODY","type":"invalid_request_error"}}"#,
            "tool_choice = \"auto\"",
        ),
        (
            400,
            r#"{"error":{"message":"Unsupported parameter","param":"max_tokens","code":"unsupported_parameter"}}"#,
            "max_tokens_field",
        ),
        (422, r#"{"error":"SECRETBODY"}"#, "ii models probe near:small"),
        (
            429,
            r#"{"error":{"message":"SECRETBODY","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            "no credit",
        ),
        (301, "", "base_url"),
    ];
    for (code, body, fix) in cases {
        let error = of_status(*code, "", body).await;
        assert!(matches!(&error, ModelError::Refused { reason, .. } if reason.contains(fix)), "{code}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    for (code, body) in [
        (400, r#"{"error":{"code":"context_length_exceeded","message":"SECRETBODY"}}"#),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 8192 tokens. However, SECRETBODY","code":400,"type":"BadRequestError"}}"#,
        ),
        (500, r#"{"error":{"code":500,"message":"the request exceeds the available context size"}}"#),
        (413, "SECRETBODY"),
    ] {
        let error = of_status(code, "", body).await;
        assert!(matches!(error, ModelError::TooLarge { .. }), "{code}: {error}");
    }
}

#[tokio::test]
async fn overload_is_asked_again_and_the_pause_is_the_servers() {
    let answers = |seen: &server::Seen, failures: usize, failure: Vec<Step>| {
        if seen.number < failures {
            failure
        } else {
            chunked(&events(&[delta(json!({"content": "x"})), finish("stop"), usage(5, 5)]))
        }
    };
    let patient =
        |server: &Server| OpenAi::new(OpenAiSettings { retries: 3, ..settings(server.base_url()) }).expect("a model");
    for (name, failure, least) in [
        ("seconds", status(429, "retry-after: 1\r\n", r#"{"error":{"message":"slow down"}}"#), 2000),
        ("milliseconds", status(529, "retry-after-ms: 30\r\n", ""), 60),
        ("a date that is over", status(503, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""), 0),
        ("none", status(500, "", "<html>"), 750),
        ("a connection closed without a word", vec![Step::Close], 750),
        ("a connection closed in the head", vec![Step::Send(b"HTTP/1.1 200 O".to_vec()), Step::Close], 750),
    ] {
        let server = Server::start(move |seen| answers(seen, 2, failure.clone())).await;
        let model = patient(&server);
        let began = Instant::now();
        let whole = answer(&model, &asks(&model, Reply::Text)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let took = began.elapsed().as_millis();
        assert_eq!((whole.text.as_str(), server.seen().len()), ("x", 3), "{name}");
        assert!(took >= least, "{name} took {took} ms");
        let bodies: BTreeSet<String> = server.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies.len(), 1, "{name}: each try is the same request");
    }
    let server = Server::start(|_| status(500, "retry-after-ms: 1\r\n", "SECRETBODY")).await;
    let model = patient(&server);
    let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err("never an answer");
    assert!(matches!(&error, ModelError::Unreachable { reason, .. } if reason.contains("after 4 tries")), "{error}");
    assert_eq!(server.seen().len(), 4);
    holds_no_secret(&error.to_string());
    let server = Server::start(|_| status(429, "retry-after: 3600\r\n", "")).await;
    let model = patient(&server);
    let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err("an hour is too long");
    assert!(
        matches!(&error, ModelError::Unreachable { reason, .. } if reason.contains("retry_seconds is 20")),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_has_begun_is_never_asked_again() {
    let server = Server::start(|_| stream(format!("data: {}\n\n", delta(json!({"content": "x"}))))).await;
    let model = OpenAi::new(OpenAiSettings { retries: 3, ..settings(server.base_url()) }).expect("a model");
    assert!(is_broken(&answer(&model, &asks(&model, Reply::Text)).await));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn silence_has_an_end_before_and_within_an_answer() {
    let quick = |server: &Server| {
        OpenAi::new(OpenAiSettings { idle: Duration::from_secs(2), retries: 3, ..settings(server.base_url()) })
            .expect("a model")
    };
    let server = Server::start(|_| vec![Step::Wait(Duration::from_secs(60))]).await;
    let model = quick(&server);
    let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err("silence");
    assert!(matches!(&error, ModelError::Unreachable { reason, .. } if reason.contains("idle_seconds")), "{error}");
    assert_eq!(server.seen().len(), 1);
    let piece = format!(
        "data: {}\n\n",
        delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "lookup", "arguments": "{}"}}]}))
    );
    let server = Server::start(move |_| {
        vec![Step::Send(server::STREAM.into()), Step::Send(piece.clone().into()), Step::Wait(Duration::from_secs(60))]
    })
    .await;
    let model = quick(&server);
    let error = answer(&model, &asks(&model, Reply::Calls)).await.expect_err("silence");
    assert!(matches!(&error, ModelError::Broken { reason, .. } if reason.contains("idle_seconds")), "{error}");
    // Comments are a sign of life: they come for longer than silence is borne.
    let alive: Vec<Step> = (0..6)
        .flat_map(|_| [Step::Send(b": still here\n\n".to_vec()), Step::Wait(Duration::from_millis(500))])
        .collect();
    let server = Server::start(move |_| {
        let end = events(&[delta(json!({"content": "x"})), finish("stop"), usage(5, 5)]);
        [vec![Step::Send(server::STREAM.into())], alive.clone(), vec![Step::Send(end.into()), Step::Close]].concat()
    })
    .await;
    let model = quick(&server);
    assert_eq!(answer(&model, &asks(&model, Reply::Text)).await.expect("an answer").text, "x");
}

#[tokio::test]
async fn nobody_there_says_so() {
    // Bound and not listened at, so that nobody else gets it.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = held.local_addr().expect("an address");
    let model = OpenAi::new(settings(format!("http://{address}/v1"))).expect("a model");
    let error = answer(&model, &asks(&model, Reply::Text)).await.expect_err("nobody");
    assert!(
        matches!(&error, ModelError::Unreachable { reason, .. } if reason.contains("nothing listens at 127.0.0.1")),
        "{error}"
    );
    let local = OpenAiSettings { dialect: Dialect::LlamaServer, ..settings(format!("http://{address}/v1")) };
    let mut local = OpenAi::new(local).expect("a model");
    let error = local.ask_server().await.expect_err("nobody");
    assert!(matches!(&error, ModelError::Unreachable { reason, .. } if reason.contains("start it")), "{error}");
}

#[tokio::test]
async fn windows_and_counts_are_asked_of_servers_that_tell() {
    let tells = |seen: &server::Seen| match seen.line.as_str() {
        "GET /props" => status(
            200,
            "",
            r#"{"default_generation_settings":{"n_ctx":2048},"modalities":{"vision":true,"audio":false}}"#,
        ),
        "POST /apply-template" => status(200, "", r#"{"prompt":"<s>a prompt"}"#),
        "POST /tokenize" if seen.json().get("content").is_some() => {
            assert_eq!(seen.json()["content"], "<s>a prompt");
            status(200, "", r#"{"tokens":[1,2,3,4,5]}"#)
        }
        "POST /tokenize" => status(200, "", r#"{"count":17,"max_model_len":4096,"tokens":[]}"#),
        "GET /v1/models" => {
            status(200, "", r#"{"data":[{"id":"other","max_model_len":1},{"id":"small","max_model_len":4096}]}"#)
        }
        "GET /api/ps" if seen.number == 0 => status(200, "", r#"{"models":[]}"#),
        "GET /api/ps" => status(200, "", r#"{"models":[{"name":"small:latest","context_length":8192}]}"#),
        "POST /api/generate" => status(200, "", r#"{"done":true}"#),
        "POST /api/show" => status(200, "", r#"{"capabilities":["completion","tools","vision"]}"#),
        "GET /api/v0/models/small" => {
            status(200, "", r#"{"id":"small","type":"vlm","max_context_length":32768,"loaded_context_length":16384}"#)
        }
        _ => status(404, "", "{}"),
    };
    for (dialect, window, counted) in [
        (Dialect::LlamaServer, Some(2048), Some(5)),
        (Dialect::Vllm, Some(4096), Some(17)),
        (Dialect::Ollama, Some(8192), None),
        (Dialect::LmStudio, Some(16384), None),
        (Dialect::Compatible, None, None),
    ] {
        let server = Server::start(tells).await;
        let mut model = OpenAi::new(OpenAiSettings { dialect, ..settings(server.base_url()) }).expect("a model");
        model.ask_server().await.expect("told");
        assert_eq!(model.window(), window, "{dialect:?}");
        assert_eq!(model.sees(), !matches!(dialect, Dialect::Vllm | Dialect::Compatible), "{dialect:?}");
        let blind = OpenAiSettings { dialect, sees: Some(false), ..settings(server.base_url()) };
        let mut blind = OpenAi::new(blind).expect("a model");
        blind.ask_server().await.expect("told");
        assert!(!blind.sees(), "a person knows better");
        let request = asks(&model, Reply::Calls);
        let count = model.count_tokens(&request).await.expect("counted");
        match counted {
            Some(told) => assert_eq!(count, told, "{dialect:?}"),
            None => assert!(
                count as usize > lookup().arguments.len() + PROMPT.len(),
                "{dialect:?}: each token is a byte at least"
            ),
        }
        let before = server.seen().len();
        assert_eq!(model.count_tokens(&request).await, Ok(count));
        assert_eq!(server.seen().len(), before, "{dialect:?}: a request is counted once");
    }
}

#[tokio::test]
async fn openais_own_tokenizer_counts_openais_models() {
    let own =
        OpenAiSettings { dialect: Dialect::OpenAi, name: "gpt-4o".into(), ..settings("http://127.0.0.1:9/v1".into()) };
    let own = OpenAi::new(own).expect("a model");
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(100);
    let count = own.count_tokens(&request(&own, &text, Reply::Text, 16)).await.expect("counted");
    // Ten tokens a sentence, and the room for what a template puts around.
    assert!((1000..1200).contains(&count), "{count}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_named_without_secrets() {
    for (base_url, says) in [
        ("ftp://host/v1", "http:// or https://"),
        ("nonsense", "base_url of provider near"),
        ("https://user:sk-very-secret-0123456789@host/v1", "belong into env_key"),
    ] {
        let error = OpenAi::new(settings(base_url.into())).expect_err(base_url);
        assert!(error.to_string().contains(says), "{error}");
        holds_no_secret(&error.to_string());
    }
    let bad =
        OpenAiSettings { headers: vec![("X Team".into(), "blue-secret".into())], ..settings("http://h/v1".into()) };
    let error = OpenAi::new(bad).expect_err("a header").to_string();
    assert!(error.contains("X Team"), "{error}");
    let bad = OpenAiSettings { key: Some("sk-very\nsecret".into()), ..settings("http://h/v1".into()) };
    let error = OpenAi::new(bad).expect_err("a key").to_string();
    assert!(error.contains("Authorization"), "{error}");
    holds_no_secret(&error);
    let bad = OpenAiSettings { ca_file: Some("/nowhere/ca.pem".into()), ..settings("https://h/v1".into()) };
    assert!(OpenAi::new(bad).expect_err("a file").to_string().contains("/nowhere/ca.pem"));
    let server = Server::start(|_| Vec::new()).await;
    let model = model(&server);
    let mut request = asks(&model, Reply::Calls);
    request.tools = vec![tool("bad_one", "{")];
    let error = answer(&model, &request).await.expect_err("a schema");
    assert!(matches!(&error, ModelError::Refused { reason, .. } if reason.contains("bad_one")), "{error}");
}

#[tokio::test]
async fn servers_on_this_machine_are_found_by_what_they_say_and_in_time() {
    use agent_runtime::models::discover::{Place, discover};
    let llama = Server::start(|seen| match seen.line.as_str() {
        "GET /v1/models" => status(200, "", r#"{"object":"list","data":[{"id":"a.gguf","owned_by":"llamacpp"}]}"#),
        _ => status(404, "", ""),
    })
    .await;
    let ollama = Server::start(|seen| match seen.line.as_str() {
        "GET /api/tags" => status(200, "", r#"{"models":[{"name":"b:latest"}]}"#),
        _ => status(404, "", ""),
    })
    .await;
    let slow = Server::start(|_| vec![Step::Wait(Duration::from_secs(60))]).await;
    let page = Server::start(|_| status(200, "", "<html>")).await;
    let place =
        |provider, dialect, server: &Server| Place { provider, dialect, root: format!("http://{}", server.address) };
    let places = vec![
        place("llama-server", Dialect::LlamaServer, &llama),
        place("vllm", Dialect::Vllm, &llama),
        place("ollama", Dialect::Ollama, &ollama),
        place("lmstudio", Dialect::LmStudio, &slow),
        place("page", Dialect::LmStudio, &page),
    ];
    let began = Instant::now();
    let found = discover(places, Duration::from_secs(3)).await;
    // The one that says nothing would do so for a minute.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let found: Vec<(&str, Vec<String>)> = found.into_iter().map(|found| (found.place.provider, found.models)).collect();
    assert_eq!(found, [("llama-server", vec!["a.gguf".to_owned()]), ("ollama", vec!["b:latest".to_owned()])]);
}

#[tokio::test]
async fn a_provider_lists_its_models_or_says_why_not() {
    let server = Server::start(|seen| match seen.headers.get("authorization") {
        Some(key) if key.ends_with(KEY) => status(200, "", r#"{"data":[{"id":"small"},{"id":"large"}]}"#),
        _ => status(401, "", ""),
    })
    .await;
    assert_eq!(model(&server).list().await, Ok(vec!["small".to_owned(), "large".to_owned()]));
    assert_eq!(server.seen()[0].line, "GET /v1/models");
    let none =
        OpenAi::new(OpenAiSettings { key: Some("wrong".into()), ..settings(server.base_url()) }).expect("a model");
    assert!(matches!(none.list().await, Err(ModelError::Refused { reason, .. }) if reason.contains("NEAR_KEY")));
    let server = Server::start(|_| status(404, "", "")).await;
    assert!(
        matches!(model(&server).list().await, Err(ModelError::Refused { reason, .. }) if reason.contains("lists no models"))
    );
}

#[tokio::test]
async fn a_call_asked_for_as_json_becomes_a_call_or_nothing() {
    let written = |text: &str| {
        let (first, second) = text.split_at(text.len() / 2);
        events(&[delta(json!({"content": first})), delta(json!({"content": second})), finish("stop"), usage(5, 5)])
    };
    let texts = [
        ("{ \"name\": \"lookup\", \"arguments\": {\"place\": \"east\"}\n}", true),
        ("SECRETBODY", false),
        ("{\"name\":\"lookup\"}", false),
        ("{\"name\":\"lookup\",\"arguments\":{}} and more", false),
    ];
    for (text, good) in texts {
        let bytes = written(text);
        let server = Server::start(move |_| chunked(&bytes)).await;
        let schema = OpenAiSettings { tool_choice: ToolChoice::Schema, ..settings(server.base_url()) };
        let model = OpenAi::new(schema).expect("a model");
        let result = answer(&model, &asks(&model, Reply::Calls)).await;
        holds_no_secret(&format!("{result:?}"));
        match result {
            Ok(whole) => {
                assert!(good, "{text}");
                let call =
                    Call { id: "call_2_0".into(), tool: "lookup".into(), arguments: "{\"place\": \"east\"}".into() };
                assert_eq!((whole.calls, whole.text.as_str()), (vec![call], ""));
            }
            Err(error) => assert!(!good && matches!(error, ModelError::Broken { .. }), "{text}: {error}"),
        }
        let body = server.seen()[0].json();
        let parameters: Value = serde_json::from_str(&lookup().arguments).expect("a schema");
        let call = json!({"type": "object", "additionalProperties": false, "required": ["name", "arguments"],
            "properties": {"name": {"type": "string", "enum": ["lookup"]}, "arguments": parameters}});
        assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"anyOf": [call]}));
        assert_eq!((&body["tool_choice"], body["tools"].as_array().map(Vec::len)), (&json!("none"), Some(1)));
        // Words and JSON are asked for as ever.
        let words = answer(&model, &asks(&model, Reply::Text)).await.expect("words");
        assert_eq!(words.text, text);
    }
}

/// A TLS server with a certificate for `localhost` that only `golden/tls-authority.pem` vouches for. Both are made once,
/// for a hundred years, and are of no use elsewhere.
async fn tls_server(connections: Arc<AtomicUsize>) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    let pem = include_bytes!("golden/tls-server.pem");
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(pem).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            // A client that does not believe the certificate hangs up.
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let mut request = Vec::new();
            while !request.ends_with(b"}") && connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            let answer =
                format!("{}{}", server::STREAM, events(&[delta(json!({"content": "x"})), finish("stop"), usage(5, 5)]));
            if connection.write_all(answer.as_bytes()).await.is_ok() && connection.shutdown().await.is_err() {
                eprintln!("the client was faster");
            }
        }
    });
    address
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named_and_not_before() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = tls_server(Arc::clone(&connections)).await.port();
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let named = |file: &str| OpenAiSettings {
        ca_file: Some(golden.join(file)),
        ..settings(format!("https://localhost:{port}/v1"))
    };
    let model = OpenAi::new(named("tls-authority.pem")).expect("a model");
    assert_eq!(answer(&model, &asks(&model, Reply::Text)).await.expect("an answer").text, "x");
    let before = connections.load(Ordering::SeqCst);
    let error = match OpenAi::new(OpenAiSettings { ca_file: None, retries: 3, ..named("") }) {
        Ok(model) => answer(&model, &asks(&model, Reply::Text)).await.expect_err("nobody vouches").to_string(),
        // A machine without any authority cannot even begin.
        Err(error) => error.to_string(),
    };
    assert!(error.contains("ca_file") || error.contains("no HTTP client"), "{error}");
    assert!(connections.load(Ordering::SeqCst) <= before + 1, "it is not asked again");
    let error = OpenAi::new(named("tools.jinja")).expect_err("no PEM").to_string();
    assert!(error.contains("tools.jinja"), "{error}");
}

#[tokio::test]
async fn dropping_the_stream_hangs_up_on_the_server() {
    use futures_util::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let hung_up = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            connection.read_buf(&mut request).await.expect("a request");
        }
        let piece = format!("{}data: {}\n\n", server::STREAM, delta(json!({"content": "x"})));
        connection.write_all(piece.as_bytes()).await.expect("sent");
        // Nothing more comes from either side; reading ends when the client hangs up.
        connection.read_buf(&mut request).await
    });
    let model = OpenAi::new(settings(format!("http://{address}/v1"))).expect("a model");
    let request = asks(&model, Reply::Text);
    let mut stream = model.complete(&request);
    assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Text(_)))));
    assert!(!hung_up.is_finished());
    drop(stream);
    let read = tokio::time::timeout(Duration::from_secs(60), hung_up).await.expect("it hangs up").expect("no panic");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
