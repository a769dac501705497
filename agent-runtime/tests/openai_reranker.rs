//! Reranking by a provider, against a server on loopback: what is sent, and that no fault of a server becomes an order.

#[expect(dead_code, reason = "a server for other tests too")]
mod server;

use std::time::Duration;

use agent_runtime::models::openai::{Dialect, MaxTokensField, OpenAi, OpenAiReranker, OpenAiSettings, ToolChoice};
use common_ground::port::{
    model::Price,
    reranker::{RerankError, Reranker},
};
use serde_json::{Value, json};
use server::{Server, status};

fn model(base_url: String) -> OpenAiReranker {
    let settings = OpenAiSettings {
        id: "near:judge".to_owned(),
        provider: "near".to_owned(),
        name: "judge".to_owned(),
        base_url,
        dialect: Dialect::Compatible,
        key: Some("sk-very-secret-0123456789".into()),
        key_variable: Some("NEAR_KEY".to_owned()),
        headers: Vec::new(),
        retries: 0,
        retry_time: Duration::from_secs(2),
        idle: Duration::from_secs(5),
        window: None,
        sees: None,
        price: Price::default(),
        ca_file: None,
        max_tokens_field: MaxTokensField::MaxTokens,
        tool_choice: ToolChoice::Required,
    };
    OpenAiReranker::new(OpenAi::new(settings).expect("a provider"))
}

async fn answering(results: Value) -> Server {
    Server::start(move |_seen| status(200, "", &json!({ "results": results }).to_string())).await
}

fn texts() -> Vec<String> {
    ["one", "two", "three"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn judgements_come_by_their_index_as_shares_or_as_bare_outputs() {
    let server = answering(json!([
        {"index": 2, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.0}, {"index": 1, "relevance_score": 1}
    ]))
    .await;
    let found = model(server.base_url()).relevance("which?", &texts()).await.expect("judged");
    assert_eq!(found, [0, 1_000_000, 750_000]);
    let seen = server.seen();
    let sent = seen[0].json();
    assert_eq!(seen[0].line, "POST /v1/rerank");
    assert_eq!(
        (&sent["model"], &sent["query"], &sent["documents"]),
        (&json!("judge"), &json!("which?"), &json!(texts()))
    );
    assert_eq!(sent["top_n"], 3);

    let bare = json!([
        {"index": 0, "relevance_score": -2.0}, {"index": 1, "relevance_score": 0.0}, {"index": 2, "relevance_score": 3.5}
    ]);
    let server = answering(bare).await;
    let found = model(server.base_url()).relevance("which?", &texts()).await.expect("judged");
    assert_eq!(found, [119_203, 500_000, 970_688], "through the logistic function, all of them");
}

#[tokio::test]
async fn what_does_not_judge_each_passage_judges_none() {
    for wrong in [
        json!([{"index": 0, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.5}]),
        json!([{"index": 0, "relevance_score": 0.5}, {"index": 1, "relevance_score": 0.5}, {"index": 3, "relevance_score": 1}]),
        json!([{"index": 0, "relevance_score": "1"}, {"index": 1, "relevance_score": 0}, {"index": 2, "relevance_score": 0}]),
        json!("SECRETBODY"),
    ] {
        let server = answering(wrong.clone()).await;
        let error = model(server.base_url()).relevance("which?", &texts()).await.expect_err("no judgement");
        assert!(matches!(&error, RerankError::Refused { model, .. } if model == "near:judge"), "{wrong}: {error}");
        assert!(!error.to_string().contains("SECRETBODY"), "{error}");
    }
    let server = Server::start(|_seen| status(404, "", "SECRETBODY")).await;
    let error = model(server.base_url()).relevance("which?", &texts()).await.expect_err("no such path");
    assert!(matches!(error, RerankError::Refused { .. }), "{error}");
    let error = model("http://127.0.0.1:1/v1".to_owned()).relevance("which?", &texts()).await.expect_err("nobody");
    assert!(matches!(error, RerankError::Unreachable { .. }), "{error}");
}
