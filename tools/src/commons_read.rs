//! `commons_read`: passages by id, whole, with their sentences' spans, so that each sentence can be cited.

use std::sync::Arc;

use common_ground::{
    grant::Item,
    port::{
        BoxFuture,
        index::{Index, Passage, PassageId},
        tool::{Called, Tool, ToolCall, ToolError, ToolSpec},
    },
};
use serde::{Deserialize, Serialize};

use crate::arguments;

pub(crate) const NAME: &str = "commons_read";
const MOST: usize = 20;
const MOST_BESIDE: u32 = 3;
/// The longest span read: some ten passages.
const LONGEST: u64 = 12_000;

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"beside":{"description":"So many passages before and after each one in its document, 0 if not given.","maximum":3,"minimum":0,"type":"integer"},"passages":{"description":"Passages to read, as commons_search named them.","items":{"additionalProperties":false,"properties":{"span":{"additionalProperties":false,"properties":{"end":{"minimum":0,"type":"integer"},"start":{"minimum":0,"type":"integer"}},"required":["end","start"],"type":"object"},"text":{"pattern":"^[0-9a-f]{64}$","type":"string"}},"required":["span","text"],"type":"object"},"maxItems":20,"minItems":1,"type":"array"}},"required":["passages"],"type":"object"}"#;

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    passages: Vec<PassageId>,
    #[serde(default)]
    beside: u32,
}

#[derive(Serialize)]
struct Answer {
    passages: Vec<Passage>,
    left_out: usize,
}

/// Reads from one index.
pub struct CommonsRead {
    index: Arc<dyn Index>,
    spec: ToolSpec,
}

impl CommonsRead {
    /// The tool over an index.
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self { index, spec: words() }
    }
}

impl CommonsRead {
    async fn read(&self, arguments: &str) -> Result<String, ToolError> {
        let fields = ["passages", "text", "span", "start", "end", "beside"];
        let Arguments { passages, beside } = arguments::parse(NAME, &fields, arguments)?;
        if !(1..=MOST).contains(&passages.len()) {
            return Err(arguments::refuse(NAME, format!("{} `passages`, not 1 to {MOST}", passages.len())));
        }
        if beside > MOST_BESIDE {
            return Err(arguments::refuse(NAME, format!("`beside` is {beside}, not 0 to {MOST_BESIDE}")));
        }
        let mut read: Vec<Passage> = Vec::with_capacity(passages.len());
        for id in &passages {
            if id.span.is_empty() || id.span.len() > LONGEST {
                let (start, end) = (id.span.start, id.span.end);
                return Err(arguments::refuse(NAME, format!("`span` {start}..{end} is not 1 to {LONGEST} bytes")));
            }
            let passage = self.index.read(id).await;
            let mut around = vec![passage.map_err(|error| arguments::failed(NAME, &error))?];
            if beside > 0 {
                let found = self.index.beside(id, beside).await;
                around.extend(found.map_err(|error| arguments::failed(NAME, &error))?);
                around.sort_by_key(|passage| passage.id.span.start);
            }
            for passage in around {
                // What is next to one passage may be next to another, or be asked for itself.
                let asked = passages.contains(&passage.id) && passage.id != *id;
                if !asked && read.iter().all(|known| known.id != passage.id) {
                    read.push(passage);
                }
            }
        }
        let (passages, left_out) = arguments::fitting(NAME, read)?;
        arguments::answer(NAME, &Answer { passages, left_out })
    }
}

/// What it is, in the words that a model reads.
pub(crate) fn words() -> ToolSpec {
    ToolSpec {
            name: NAME.to_owned(),
            description:
                "Read passages by id, verbatim, with the byte span of each sentence and the document's digest. \
                Use it to quote exactly, or to read around a hit by a wider span of the same text or by the passages beside it."
                    .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: true,
        }
}

impl Tool for CommonsRead {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn needs(&self, _arguments: &str) -> Result<Vec<Item>, ToolError> {
        Ok(Vec::new())
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Called> {
        Box::pin(async move { Called::builtin(&self.spec, call, self.read(call.arguments).await) })
    }
}
