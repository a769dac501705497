//! A page as it came, for whoever keeps pages: the bytes and what the server says they are. Draws no text from it.

use common_ground::port::tool::ToolError;
use http::{HeaderMap, Method, header};

use super::{Fetch, LONGEST, NAME, Verb, failed};
use crate::{
    arguments,
    egress::{Request, Target},
    hand::Work,
};

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it was in the end, after redirects.
    pub url: String,
    /// Its media type as the server names it; empty when it names none.
    pub media: String,
    /// Its bytes, inflated.
    pub bytes: Vec<u8>,
}

impl Fetch {
    /// Gets one page under a grant, as a call of the tool would: through the dialler, where robots.txt lets programs go, following
    /// redirects that the grant covers, at most `net_bytes` of its limits and 16 MiB.
    ///
    /// # Errors
    /// An address that is none, what the grant or the dialler refuses, a server that fails or answers without success.
    pub async fn page(&self, work: &Work, url: &str) -> Result<Page, ToolError> {
        let target = Target::parse(url).map_err(|error| arguments::refuse(NAME, format!("`url` {error}")))?;
        let most = usize::try_from(work.limits().net_bytes.min(LONGEST)).unwrap_or(usize::MAX);
        let request =
            Request { target, method: Method::GET, headers: HeaderMap::new(), body: bytes::Bytes::new(), most };
        let line = self.dialler.line(work);
        let (response, _redirects) =
            self.follow(&line, request, Verb::Get).await.map_err(|error| failed(work, error))?;
        if !response.status.is_success() {
            let reason = format!("the server answers {}", response.status);
            return Err(ToolError::Failed { tool: NAME.to_owned(), reason });
        }
        let media = response.headers.get(header::CONTENT_TYPE);
        let media = media.map_or(String::new(), |media| String::from_utf8_lossy(media.as_bytes()).into_owned());
        Ok(Page { url: response.target.url().to_string(), media, bytes: response.body })
    }
}
