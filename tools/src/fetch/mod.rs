//! `fetch`: one page as text, by a request that this program makes itself.
//!
//! It runs no script, unpacks no archive, and does not read what a site's robots.txt asks programs to leave alone.
//!
//! **Invariant:** a method other than the one asked for is another need: leave to read a page is none to post to it.

mod page;
mod pdf;
mod read;
mod robots;
mod weigh;

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use common_ground::{
    grant::{Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
    record::{Exit, Limit},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use receipts::Digest;
use serde::Deserialize;

use crate::{
    arguments,
    egress::{Dialler, EgressError, Line, MOST_REDIRECTS, Request, Response, Sent, Target, named_secrets},
    hand::{Hand, Work},
};
pub use page::Page;
use robots::Robots;

const NAME: &str = "fetch";
const FIELDS: [&str; 5] = ["url", "method", "body", "headers", "raw"];
/// Longest body of an answer, also where the call may have more bytes.
const LONGEST: u64 = 16 << 20;
/// Most headers of a request.
const MOST_HEADERS: usize = 32;

/// JSON Schema of [`Arguments`], canonical.
const SCHEMA: &str = r#"{"additionalProperties":false,"properties":{"body":{"description":"Body of a POST.","type":"string"},"headers":{"additionalProperties":{"type":"string"},"description":"Request headers. {{secret:NAME}} in a value stands for a secret that you never see.","maxProperties":32,"type":"object"},"method":{"description":"GET where none is named.","enum":["GET","HEAD","POST"],"type":"string"},"raw":{"description":"Whether to give a page's HTML instead of its text.","type":"boolean"},"url":{"description":"Address of the page, http or https.","type":"string"}},"required":["url"],"type":"object"}"#;

/// Headers that are the dialler's own business.
const NOT_YOURS: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "keep-alive",
    "proxy-connection",
];

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum Verb {
    #[default]
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "HEAD")]
    Head,
    #[serde(rename = "POST")]
    Post,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
        }
    }

    /// What the grant must cover: reading robots.txt is a GET, whatever it is read for.
    fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET"],
            Self::Head => &["GET", "HEAD"],
            Self::Post => &["POST"],
        }
    }
}

/// What the model sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    url: String,
    #[serde(default)]
    method: Verb,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    raw: bool,
}

/// Arguments that make sense.
struct Asked {
    request: Request,
    verb: Verb,
    raw: bool,
}

/// Reads pages through one dialler.
#[derive(Debug)]
pub struct Fetch {
    dialler: Arc<Dialler>,
    robots: Robots,
    spec: ToolSpec,
}

impl Fetch {
    /// The tool over a dialler.
    pub fn new(dialler: Arc<Dialler>) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description:
                "Read one web page, JSON or PDF as text. Links stand as [text][n] with their addresses below. \
                No script runs: use `browse` for pages that need one."
                    .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: false,
        };
        Self { dialler, robots: Robots::default(), spec }
    }

    async fn fetch(&self, work: &Work, arguments: &str) -> Result<Vec<u8>, ToolError> {
        let Asked { mut request, verb, raw } = asked(arguments)?;
        request.most = usize::try_from(work.limits().net_bytes.min(LONGEST)).unwrap_or(usize::MAX);
        let line = self.dialler.line(work);
        let first = request.target.url().to_string();
        let (response, redirects) = self.follow(&line, request, verb).await.map_err(|error| failed(work, error))?;
        let head = head(&first, &response, redirects);
        let text = read::text(response, raw, work.limits()).await;
        let text = text.map_err(|why| ToolError::Failed { tool: NAME.to_owned(), reason: format!("{head}{why}") })?;
        Ok(format!("{head}{text}").into_bytes())
    }

    /// The answer at the end of all redirects, and how many they were.
    async fn follow(
        &self,
        line: &Line<'_>,
        mut request: Request,
        verb: Verb,
    ) -> Result<(Response, usize), EgressError> {
        for redirects in 0..=MOST_REDIRECTS {
            match verb {
                // robots.txt is about what is read.
                Verb::Get | Verb::Head => self.robots.check(line, &request.target).await?,
                Verb::Post => {}
            }
            match line.send(&request).await? {
                Sent::Answered(response) => return Ok((response, redirects)),
                Sent::Moved(next) => request = next,
            }
        }
        Err(line.too_many(&request))
    }
}

/// What is known of an answer before its text.
fn head(first: &str, response: &Response, redirects: usize) -> String {
    let kind = response
        .headers
        .get(header::CONTENT_TYPE)
        .map_or("none given".into(), |kind| String::from_utf8_lossy(kind.as_bytes()));
    let last = response.target.url();
    let to = if redirects == 0 { String::new() } else { format!("final url: {last} (redirects: {redirects})\n") };
    let (bytes, digest) = (response.body.len(), Digest::of(&response.body));
    format!("url: {first}\n{to}status: {}\ncontent type: {kind}\nbytes: {bytes}\nsha256: {digest}\n\n", response.status)
}

fn failed(work: &Work, error: EgressError) -> ToolError {
    let tool = NAME.to_owned();
    match error {
        EgressError::Refused { what, why } => {
            work.ended(Exit::Refused);
            ToolError::Refused { tool, reason: format!("{what}: {why}") }
        }
        EgressError::Limit(limit @ (Limit::Net | Limit::Wall)) => {
            work.passed(limit);
            ToolError::Failed { tool, reason: error.to_string() }
        }
        other => ToolError::Failed { tool, reason: other.to_string() },
    }
}

fn asked(text: &str) -> Result<Asked, ToolError> {
    let Arguments { url, method: verb, body, headers, raw } = arguments::parse(NAME, &FIELDS, text)?;
    let refuse = |reason: String| arguments::refuse(NAME, reason);
    let target = Target::parse(&url).map_err(|error| refuse(format!("`url` {error}")))?;
    if body.is_some() && verb != Verb::Post {
        return Err(refuse("only a POST has a `body`".to_owned()));
    }
    if headers.len() > MOST_HEADERS {
        return Err(refuse(format!("{} `headers`, more than {MOST_HEADERS}", headers.len())));
    }
    let mut map = HeaderMap::new();
    for (name, value) in &headers {
        let known = name.parse::<HeaderName>().map_err(|error| refuse(format!("header {name:?}: {error}")))?;
        if NOT_YOURS.contains(&known.as_str()) {
            return Err(refuse(format!("the header {known} is set for you")));
        }
        let value = HeaderValue::from_str(value).map_err(|error| refuse(format!("header {name:?}: {error}")))?;
        map.insert(known, value);
    }
    let body = Bytes::from(body.unwrap_or_default());
    let request = Request { target, method: verb.method(), headers: map, body, most: 0 };
    Ok(Asked { request, verb, raw })
}

impl Hand for Fetch {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Builtin
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        let Asked { request, verb, .. } = asked(arguments)?;
        let mut needs = vec![request.target.need(verb.methods())];
        for (header, value) in &request.headers {
            for name in named_secrets(value.to_str().unwrap_or_default()) {
                let (name, host) = (name.to_owned(), request.target.host().to_owned());
                needs.push(Item::Secret { name, host, header: header.as_str().to_owned() });
            }
        }
        Ok(needs)
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(self.fetch(work, arguments))
    }
}
