//! `commons_search`: passages of the commons for a question in plain words.

use std::sync::Arc;

use common_ground::{
    grant::Item,
    port::{
        BoxFuture,
        index::{Filter, Index, PassageId, Search},
        tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
    },
};
use receipts::Digest;
use serde::{Deserialize, Serialize};

use crate::arguments;

pub(crate) const NAME: &str = "commons_search";
/// Hits when none are asked for.
const LIMIT: u32 = 10;
const MOST: u32 = 50;
const MOST_AND_ONE: u32 = MOST + 1;

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"collections":{"description":"Names of collections to search, all of them if not given.","items":{"minLength":1,"type":"string"},"type":"array"},"hops":{"description":"Search again so many times with names and rare words of the best passages, for answers in a passage that the question does not name. 0 if not given.","maximum":3,"minimum":0,"type":"integer"},"limit":{"description":"Most passages to return, 10 if not given.","maximum":50,"minimum":1,"type":"integer"},"per_document":{"description":"Most passages of one document; no limit if not given.","maximum":50,"minimum":1,"type":"integer"},"query":{"description":"Words to look for; plain language, no operators.","minLength":1,"type":"string"}},"required":["query"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    limit: Option<u32>,
    hops: Option<u32>,
    per_document: Option<u32>,
    #[serde(default)]
    collections: Vec<String>,
}

#[derive(Serialize)]
struct Answer {
    hits: Vec<Found>,
    left_out: usize,
}

#[derive(Serialize)]
struct Found {
    passage: PassageId,
    document: Digest,
    path: String,
    title: String,
    headings: Vec<String>,
    score_milli: u64,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<String>,
}

/// Searches one index.
pub struct CommonsSearch {
    index: Arc<dyn Index>,
    spec: ToolSpec,
}

impl CommonsSearch {
    /// The tool over an index.
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self { index, spec: words() }
    }
}

impl CommonsSearch {
    async fn search(&self, arguments: &str) -> Result<String, ToolError> {
        let fields = ["query", "limit", "hops", "per_document", "collections"];
        let Arguments { query, limit, hops, per_document, collections } = arguments::parse(NAME, &fields, arguments)?;
        let hops = hops.unwrap_or(0);
        let limit = limit.unwrap_or(LIMIT);
        if query.is_empty() {
            return Err(arguments::refuse(NAME, "`query` has no words".to_owned()));
        }
        if !(1..=MOST).contains(&limit) {
            return Err(arguments::refuse(NAME, format!("`limit` is {limit}, not 1 to {MOST}")));
        }
        if hops > Search::MOST_HOPS {
            return Err(arguments::refuse(NAME, format!("`hops` is {hops}, not 0 to {}", Search::MOST_HOPS)));
        }
        if let Some(most @ (0 | MOST_AND_ONE..)) = per_document {
            return Err(arguments::refuse(NAME, format!("`per_document` is {most}, not 1 to {MOST}")));
        }
        if collections.iter().any(String::is_empty) {
            return Err(arguments::refuse(NAME, "a name in `collections` is empty".to_owned()));
        }
        let filter = Filter { collections, ..Filter::default() };
        let search = Search { hops, per_document, filter, ..Search::new(query, limit) };
        let hits = self.index.search(&search).await;
        let hits = hits.map_err(|error| arguments::failed(NAME, &error))?;
        let found = hits.into_iter().map(|hit| Found {
            passage: hit.passage.id,
            document: hit.passage.document,
            path: hit.passage.path,
            title: hit.passage.title,
            headings: hit.passage.headings,
            score_milli: hit.score_milli,
            content: hit.passage.content,
            collection: hit.passage.collection,
        });
        let (hits, left_out) = arguments::fitting(NAME, found.collect())?;
        arguments::answer(NAME, &Answer { hits, left_out })
    }
}

/// What it is, in the words that a model reads.
pub(crate) fn words() -> ToolSpec {
    ToolSpec {
            name: NAME.to_owned(),
            description:
                "Find passages in the person's own documents by words. Returns the best passages with their text \
                and the id (text digest and byte span) by which commons_read opens them and a citation names them. With hops \
                it searches again with what it found."
                    .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: true,
        }
}

impl Tool for CommonsSearch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn needs(&self, _arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(Vec::new())
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        Box::pin(async move { Called::builtin(&self.spec, call, self.search(call.arguments).await) })
    }
}
