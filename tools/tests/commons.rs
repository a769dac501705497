//! The commons tools over a small index in memory: good calls, calls a model gets wrong, and answers too long.

use std::sync::Arc;

use common_ground::{
    citation::Span,
    grant::Grant,
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    port::{
        BoxFuture,
        index::{CorpusHead, Hit, Index, IndexError, Passage, PassageId, Search},
        tool::{StepKey, Tool, ToolCall, ToolError},
    },
};
use receipts::Digest;
use serde_json::{Value, json};

/// Texts in memory, each one passage; a search finds those that hold the query's text, longest first.
struct Shelf(Vec<String>);

impl Shelf {
    fn passage(&self, id: &PassageId) -> Result<Passage, IndexError> {
        let text = self.0.iter().find(|text| Digest::of(text.as_bytes()) == id.text);
        let text = text.ok_or(IndexError::UnknownText { text: id.text })?;
        let content = text.get(id.span.start as usize..id.span.end as usize);
        Ok(Passage {
            id: *id,
            document: id.text,
            path: "shelf.md".to_owned(),
            title: "Shelf".to_owned(),
            headings: vec![],
            content: content.ok_or(IndexError::BadSpan { text: id.text, span: id.span })?.to_owned(),
            sentences: vec![id.span],
            collection: None,
        })
    }
}

fn whole(text: &str) -> PassageId {
    PassageId { text: Digest::of(text.as_bytes()), span: Span { start: 0, end: text.len() as u64 } }
}

impl Index for Shelf {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        let found = self.0.iter().filter(|text| text.contains(&search.query)).take(search.limit as usize);
        let hits = found
            .map(|text| Ok(Hit { passage: self.passage(&whole(text))?, score_milli: text.len() as u64, why: None }))
            .collect();
        Box::pin(std::future::ready(hits))
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        Box::pin(std::future::ready(self.passage(id)))
    }

    fn beside<'a>(&'a self, id: &'a PassageId, most: u32) -> BoxFuture<'a, Result<Vec<Passage>, IndexError>> {
        // The other texts stand for what is next to one, as many as are asked for.
        let others = self.0.iter().map(|text| whole(text)).filter(|other| other != id).take(most as usize);
        let found = self.passage(id).and_then(|_known| others.map(|other| self.passage(&other)).collect());
        Box::pin(std::future::ready(found))
    }

    fn heads(&self) -> Vec<CorpusHead> {
        vec![]
    }
}

fn key() -> StepKey {
    StepKey {
        run: RunId(uuid::Uuid::nil()),
        module: ModuleId(uuid::Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    }
}

fn tool(name: &str, texts: &[String]) -> Arc<dyn Tool> {
    let all = tools::commons(Arc::new(Shelf(texts.to_vec())));
    all.into_iter().find(|tool| tool.spec().name == name).expect("registered")
}

async fn called(name: &str, texts: &[String], arguments: &str) -> Result<String, ToolError> {
    let call = ToolCall { key: key(), grant: &Grant::default(), allowed: &[], arguments };
    tool(name, texts).call(call).await.answer
}

async fn call(name: &str, texts: &[String], arguments: &Value) -> Result<Value, String> {
    match called(name, texts, &arguments.to_string()).await {
        Ok(text) => Ok(serde_json::from_str(&text).expect("JSON")),
        Err(ToolError::BadArguments { tool, reason }) if tool == name => Err(reason),
        Err(other) => panic!("{other}"),
    }
}

fn texts() -> Vec<String> {
    vec!["red ship. blue ship.".to_owned(), "red crane".to_owned()]
}

#[tokio::test]
async fn search_names_passages_that_read_opens() {
    let found = call("commons_search", &texts(), &json!({"query": "red"})).await.expect("finds");
    assert_eq!(found["left_out"], 0);
    let hit = &found["hits"][0];
    assert_eq!(hit["content"], "red ship. blue ship.");
    assert_eq!((&hit["path"], &hit["title"], &hit["score_milli"]), (&json!("shelf.md"), &json!("Shelf"), &json!(20)));
    let read = call("commons_read", &texts(), &json!({"passages": [hit["passage"]]})).await.expect("reads");
    let passage = &read["passages"][0];
    assert_eq!(passage["content"], hit["content"]);
    assert_eq!(passage["sentences"], json!([{"start": 0, "end": 20}]));
    assert_eq!(passage["document"], hit["passage"]["text"]);
    let one = call("commons_search", &texts(), &json!({"query": "red", "limit": 1})).await.expect("finds");
    assert_eq!(one["hits"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_passage_is_read_with_those_beside_it_and_each_once() {
    let ids = [whole("red crane"), whole("red ship. blue ship.")];
    let read = |ids: Vec<PassageId>, beside: u32| async move {
        let read = call("commons_read", &texts(), &json!({"passages": ids, "beside": beside})).await.expect("reads");
        let passages = read["passages"].as_array().expect("passages").iter();
        passages.filter_map(|one| one["content"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(read(vec![ids[0]], 0).await, ["red crane"]);
    assert_eq!(read(vec![ids[0]], 1).await, ["red crane", "red ship. blue ship."]);
    assert_eq!(read(ids.to_vec(), 1).await, ["red crane", "red ship. blue ship."]);
}

#[tokio::test]
async fn refusals_say_what_to_mend() {
    let search = |arguments| async move { call("commons_search", &texts(), &arguments).await.expect_err("refused") };
    assert_eq!(search(json!({"qeury": "x"})).await, "unknown field `qeury`; did you mean `query`?");
    assert!(search(json!({})).await.contains("missing field `query`"));
    assert!(search(json!({"query": "x", "limit": 51})).await.contains("1 to 50"));
    assert!(search(json!({"query": ""})).await.contains("no words"));
    let read = |arguments| async move { call("commons_read", &texts(), &arguments).await.expect_err("refused") };
    assert!(read(json!({"passages": []})).await.contains("1 to 20"));
    let mut id = serde_json::to_value(whole("red crane")).expect("JSON");
    id["span"]["end"] = json!(100);
    assert!(read(json!({"passages": [id]})).await.contains("span 0..100 is not in text"));
    let unknown = read(json!({"passages": [whole("no such")]})).await;
    assert!(unknown.contains("no document text"), "{unknown}");
    let garbled = called("commons_search", &texts(), "{\"query\": ").await;
    assert!(matches!(garbled, Err(ToolError::BadArguments { .. })));
}

#[tokio::test]
async fn a_long_answer_leaves_whole_passages_out_and_says_how_many() {
    let texts: Vec<String> = (10..50).map(|n| format!("{n} word ").repeat(140)).collect();
    let found = call("commons_search", &texts, &json!({"query": "word", "limit": 40})).await.expect("finds");
    let hits = found["hits"].as_array().expect("hits");
    assert!(hits.len() > 10 && hits.len() < 40);
    assert_eq!(found["left_out"], 40 - hits.len());
    assert!(hits.iter().all(|hit| texts.iter().any(|text| hit["content"] == text.as_str())), "each whole");
}

/// Schema and type must agree: what one takes the other takes.
#[tokio::test]
async fn schemas_fit_the_types_both_ways() {
    let id = serde_json::to_value(whole("red crane")).expect("JSON");
    let mut more = id.clone();
    more["more"] = json!(1);
    let mut short = id.clone();
    short["text"] = json!("abc");
    let samples = [
        ("commons_search", json!({"query": "red"}), true),
        ("commons_search", json!({"query": "red", "limit": 50}), true),
        ("commons_search", json!({"query": "red", "limit": 0}), false),
        ("commons_search", json!({"query": "red", "limit": 51}), false),
        ("commons_search", json!({"query": "red", "limit": "5"}), false),
        ("commons_search", json!({"query": "red", "hops": 3, "per_document": 1, "collections": ["0a"]}), true),
        ("commons_search", json!({"query": "red", "collections": [""]}), false),
        ("commons_search", json!({"query": "red", "hops": 4}), false),
        ("commons_search", json!({"query": "red", "per_document": 0}), false),
        ("commons_search", json!({"query": "red", "per_document": 51}), false),
        ("commons_search", json!({"query": ""}), false),
        ("commons_search", json!({"query": 5}), false),
        ("commons_search", json!({"query": "red", "more": 1}), false),
        ("commons_search", json!({}), false),
        ("commons_read", json!({"passages": [id]}), true),
        ("commons_read", json!({"passages": vec![&id; 20]}), true),
        ("commons_read", json!({"passages": [id], "beside": 3}), true),
        ("commons_read", json!({"passages": [id], "beside": 4}), false),
        ("commons_read", json!({"passages": vec![&id; 21]}), false),
        ("commons_read", json!({"passages": []}), false),
        ("commons_read", json!({"passages": [more]}), false),
        ("commons_read", json!({"passages": [short]}), false),
        ("commons_read", json!({"passages": [{"text": id["text"]}]}), false),
        ("commons_read", json!({}), false),
    ];
    for (name, arguments, fits) in samples {
        let spec = tool(name, &texts()).spec().clone();
        let schema: Value = serde_json::from_str(&spec.arguments).expect("JSON");
        assert_eq!(schema.to_string(), spec.arguments, "{name}: canonical text");
        assert_eq!(jsonschema::is_valid(&schema, &arguments), fits, "{name} schema: {arguments}");
        assert_eq!(call(name, &texts(), &arguments).await.is_ok(), fits, "{name}: {arguments}");
        assert!(spec.idempotent);
    }
}
