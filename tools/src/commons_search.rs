//! `commons_search`: passages of the commons for a question in plain words.

use std::sync::Arc;

use common_ground::{
    grant::Item,
    port::{
        BoxFuture,
        index::{Index, PassageId, Search},
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

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"limit":{"description":"Most passages to return, 10 if not given.","maximum":50,"minimum":1,"type":"integer"},"query":{"description":"Words to look for; plain language, no operators.","minLength":1,"type":"string"}},"required":["query"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    query: String,
    limit: Option<u32>,
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
}

/// Searches one index.
pub struct CommonsSearch {
    index: Arc<dyn Index>,
    spec: ToolSpec,
}

impl CommonsSearch {
    /// The tool over an index.
    pub fn new(index: Arc<dyn Index>) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description:
                "Find passages in the person's own documents by words. Returns the best passages with their text \
                and the id (text digest and byte span) by which commons_read opens them and a citation names them."
                    .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: true,
        };
        Self { index, spec }
    }
}

impl CommonsSearch {
    async fn search(&self, arguments: &str) -> Result<String, ToolError> {
        let Arguments { query, limit } = arguments::parse(NAME, &["query", "limit"], arguments)?;
        let limit = limit.unwrap_or(LIMIT);
        if query.is_empty() {
            return Err(arguments::refuse(NAME, "`query` has no words".to_owned()));
        }
        if !(1..=MOST).contains(&limit) {
            return Err(arguments::refuse(NAME, format!("`limit` is {limit}, not 1 to {MOST}")));
        }
        let hits = self.index.search(&Search::new(query, limit)).await;
        let hits = hits.map_err(|error| arguments::failed(NAME, &error))?;
        let found = hits.into_iter().map(|hit| Found {
            passage: hit.passage.id,
            document: hit.passage.document,
            path: hit.passage.path,
            title: hit.passage.title,
            headings: hit.passage.headings,
            score_milli: hit.score_milli,
            content: hit.passage.content,
        });
        let (hits, left_out) = arguments::fitting(NAME, found.collect())?;
        arguments::answer(NAME, &Answer { hits, left_out })
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
