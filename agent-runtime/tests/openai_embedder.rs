//! Embeddings of a provider, against a server on loopback: what is sent, and that no fault of a server becomes a vector.

#[expect(dead_code, reason = "a server for other tests too")]
mod server;

use std::time::Duration;

use agent_runtime::models::openai::{
    Dialect, EmbeddingSettings, MaxTokensField, OpenAi, OpenAiEmbedder, OpenAiSettings, ToolChoice,
};
use common_ground::port::{
    embedder::{EmbedError, Embedder, Prefixes, Purpose},
    model::Price,
};
use serde_json::{Value, json};
use server::{Seen, Server, Step, status};

const KEY: &str = "sk-very-secret-0123456789";

fn api(server: &Server, retries: u32) -> OpenAi {
    let settings = OpenAiSettings {
        id: "near:embed".to_owned(),
        provider: "near".to_owned(),
        name: "embed".to_owned(),
        base_url: server.base_url(),
        dialect: Dialect::Compatible,
        key: Some(KEY.into()),
        key_variable: Some("NEAR_KEY".to_owned()),
        headers: Vec::new(),
        retries,
        retry_time: Duration::from_secs(20),
        idle: Duration::from_secs(5),
        window: None,
        sees: None,
        price: Price::default(),
        ca_file: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        tool_choice: ToolChoice::Required,
    };
    OpenAi::new(settings).expect("a provider")
}

fn settings() -> EmbeddingSettings {
    EmbeddingSettings { dimensions: None, prefixes: Prefixes::default() }
}

fn inputs(seen: &Seen) -> Vec<String> {
    let texts = seen.json()["input"].as_array().cloned().unwrap_or_default();
    texts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A vector of three numbers that tells its text by its length in letters.
fn item(index: usize, text: &str) -> Value {
    json!({"object": "embedding", "index": index, "embedding": [text.chars().count(), 0, 4]})
}

fn answered(items: &[Value]) -> Vec<Step> {
    status(200, "", &json!({"object": "list", "data": items}).to_string())
}

/// A server that embeds as it should, the last text first.
fn honest(seen: &Seen) -> Vec<Step> {
    let items: Vec<Value> = inputs(seen).iter().enumerate().map(|(index, text)| item(index, text)).rev().collect();
    answered(&items)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn texts_go_with_their_prefixes_and_come_back_in_their_order() {
    let server = Server::start(honest).await;
    let prefixes = Prefixes { query: "q: ".to_owned(), passage: String::new() };
    let settings = EmbeddingSettings { dimensions: Some(3), prefixes };
    let model = OpenAiEmbedder::new(api(&server, 0), settings.clone()).await.expect("a model");
    assert_eq!((model.id(), model.dimensions()), ("near:embed", 3));
    let found = model.embed(&texts(&["abc", ""]), Purpose::Passage).await.expect("embedded");
    assert_eq!(found, [vec![0.6, 0.0, 0.8], vec![0.0, 0.0, 1.0]], "at length one, by index");
    assert_eq!(model.embed(&texts(&[""]), Purpose::Query).await.expect("embedded"), [vec![0.6, 0.0, 0.8]]);
    // More than one request takes.
    let many: Vec<String> = (0..150).map(|number| "x".repeat(number)).collect();
    let found = model.embed(&many, Purpose::Passage).await.expect("embedded");
    assert!(found.len() == 150 && found.windows(2).all(|pair| pair[0][0] < pair[1][0]));
    assert!(model.embed(&[], Purpose::Query).await.expect("nothing to do").is_empty());
    let seen = server.seen();
    assert_eq!(seen.len(), 6, "one for the length, two, three for the many");
    let sent = seen[2].json();
    assert_eq!(seen[2].line, "POST /v1/embeddings");
    assert_eq!((&sent["model"], &sent["dimensions"], &sent["input"][0]), (&json!("embed"), &json!(3), &json!("q: ")));
    assert!(seen[2].headers.get("authorization").is_some_and(|key| key.ends_with(KEY)));
    // The space is that of this model behind these prefixes.
    let same = OpenAiEmbedder::new(api(&server, 0), settings).await.expect("a model");
    let plain = OpenAiEmbedder::new(api(&server, 0), self::settings()).await.expect("a model");
    assert!(model.space() == same.space() && model.space() != plain.space());
}

#[tokio::test]
async fn what_is_not_as_many_vectors_of_one_length_is_none() {
    type Wrong = fn(&[String]) -> Vec<Value>;
    let wrong: [Wrong; 6] = [
        |texts| texts.iter().skip(1).enumerate().map(|(index, text)| item(index, text)).collect(),
        |_| vec![item(7, "x"), item(8, "y")],
        |_| vec![json!({"index": 0, "embedding": [1, 2]}), json!({"index": 1, "embedding": [1, 2]})],
        |_| vec![item(0, "x"), json!({"index": 1, "embedding": [0, 0, 0]})],
        |_| vec![item(0, "x"), json!({"index": 1, "embedding": ["1", 0, 0]})],
        |_| vec![json!({"error": "SECRETBODY"})],
    ];
    for (place, wrong) in wrong.into_iter().enumerate() {
        let server = Server::start(move |seen| {
            let texts = inputs(seen);
            if texts.len() == 1 { honest(seen) } else { answered(&wrong(&texts)) }
        })
        .await;
        let model = OpenAiEmbedder::new(api(&server, 0), settings()).await.expect("a model");
        let error = model.embed(&texts(&["one", "two"]), Purpose::Passage).await.expect_err("no vectors");
        assert!(matches!(&error, EmbedError::Refused { .. }), "{place}: {error}");
        assert!(!error.to_string().contains("SECRETBODY"), "{error}");
    }
}

#[tokio::test]
async fn overload_is_asked_again_and_a_refusal_names_the_fix() {
    let server = Server::start(|seen| {
        if seen.headers.get("authorization").is_none_or(|key| !key.ends_with(KEY)) {
            return status(401, "", "");
        }
        honest(seen)
    })
    .await;
    OpenAiEmbedder::new(api(&server, 0), settings()).await.expect("a model");
    let turns = std::sync::atomic::AtomicUsize::new(0);
    let busy = Server::start(move |seen| {
        let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if turn == 0 { status(503, "Retry-After: 0\r\n", "") } else { honest(seen) }
    })
    .await;
    OpenAiEmbedder::new(api(&busy, 2), settings()).await.expect("asked again");
    assert_eq!(busy.seen().len(), 2);
    let error = |code: u16| async move {
        let server = Server::start(move |_| status(code, "", "")).await;
        OpenAiEmbedder::new(api(&server, 0), settings()).await.expect_err("refused")
    };
    let (unknown, down) = (error(401).await, error(503).await);
    assert!(matches!(&unknown, EmbedError::Refused { reason, .. } if reason.contains("NEAR_KEY")), "{unknown}");
    assert!(matches!(down, EmbedError::Unreachable { .. }), "{down}");
    assert!(!format!("{unknown} {unknown:?} {down:?}").contains(KEY));
}
