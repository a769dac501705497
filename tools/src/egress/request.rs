//! Requests that this program makes itself, one connection each, so that grants with methods and secrets hold for them.

use bytes::Bytes;
use common_ground::{grant::Scheme, record::Limit};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::Full;

use super::{EgressError, Line, Target, exchange::Exchange, inflate::inflate};

/// Most redirects followed.
pub const MOST_REDIRECTS: usize = 5;
/// What servers know us by.
const AGENT: &str = concat!("ii/", env!("CARGO_PKG_VERSION"));
/// Headers that are the connection's or the proxy's, and those that a redirect to elsewhere must not take along.
const NOT_TAKEN_ALONG: [header::HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub target: Target,
    /// How.
    pub method: Method,
    /// Its headers; `{{secret:NAME}}` in a value is replaced where the grant allows it.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Most bytes of the answer's body, compressed and inflated.
    pub most: usize,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Who answered.
    pub target: Target,
    /// With what.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, inflated.
    pub body: Vec<u8>,
}

/// What came of a request.
#[derive(Debug)]
pub enum Sent {
    /// An answer.
    Answered(Response),
    /// Another request instead. It was not made and is checked when it is.
    Moved(Request),
}

impl Request {
    /// Reads a page.
    pub fn get(target: Target, most: usize) -> Self {
        Self { target, method: Method::GET, headers: HeaderMap::new(), body: Bytes::new(), most }
    }
}

impl Line<'_> {
    /// Makes a request and follows what it is redirected to, each checked anew.
    ///
    /// # Errors
    /// Whatever stands in the way of any of them, and more than [`MOST_REDIRECTS`].
    pub async fn request(&self, mut request: Request) -> Result<Response, EgressError> {
        for _ in 0..=MOST_REDIRECTS {
            match self.send(&request).await? {
                Sent::Answered(response) => return Ok(response),
                Sent::Moved(next) => request = next,
            }
        }
        Err(self.too_many(&request))
    }

    pub(crate) fn too_many(&self, request: &Request) -> EgressError {
        self.refuse(request.target.origin(), format!("more than {MOST_REDIRECTS} redirects"))
    }

    /// Makes one request.
    ///
    /// # Errors
    /// It may not be made, nobody answers, or a limit is passed.
    pub async fn send(&self, request: &Request) -> Result<Sent, EgressError> {
        self.in_time(self.send_untimed(request)).await
    }

    async fn send_untimed(&self, request: &Request) -> Result<Sent, EgressError> {
        let exchange = self.exchange(&request.target, outgoing(request)).await?;
        self.moved(request, read(request, exchange).await?)
    }

    /// The answer, or the request that it asks for instead.
    fn moved(&self, request: &Request, response: Response) -> Result<Sent, EgressError> {
        let to_get = match response.status.as_u16() {
            301 | 302 => request.method == Method::POST,
            303 => request.method != Method::HEAD,
            307 | 308 => false,
            _other => return Ok(Sent::Answered(response)),
        };
        let Some(location) = response.headers.get(header::LOCATION) else { return Ok(Sent::Answered(response)) };
        let location = String::from_utf8_lossy(location.as_bytes());
        let target = request.target.join(&location).map_err(|error| self.bad(error))?;
        if (request.target.scheme(), target.scheme()) == (Scheme::Https, Scheme::Http) {
            return Err(self.refuse(target.origin(), "a redirect from https to http"));
        }
        let mut next = Request { target, ..request.clone() };
        if next.target.origin() != request.target.origin() {
            for name in &NOT_TAKEN_ALONG {
                // A marker stays: it is refused, rather than left out without a word, where it may not go.
                let has_marker =
                    |value: &HeaderValue| value.to_str().is_ok_and(|text| !super::secrets::named(text).is_empty());
                if !next.headers.get_all(name).iter().any(has_marker) {
                    next.headers.remove(name);
                }
            }
        }
        if to_get {
            next.method = Method::GET;
            next.body = Bytes::new();
            next.headers.remove(header::CONTENT_TYPE);
        }
        Ok(Sent::Moved(next))
    }
}

/// What is asked, and what of an answer can be read. Where it goes is put in by the exchange.
pub(super) fn outgoing(request: &Request) -> http::Request<Full<Bytes>> {
    let mut outgoing = http::Request::new(Full::new(request.body.clone()));
    *outgoing.method_mut() = request.method.clone();
    let headers = outgoing.headers_mut();
    headers.clone_from(&request.headers);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    outgoing
}

async fn read(request: &Request, mut exchange: Exchange<'_>) -> Result<Response, EgressError> {
    let mut body = Vec::new();
    while let Some(frame) = exchange.next().await {
        if let Ok(data) = frame?.into_data() {
            if body.len() + data.len() > request.most {
                return Err(EgressError::Limit(Limit::Net));
            }
            body.extend_from_slice(&data);
        }
    }
    let head = exchange.head;
    let encoding = head.headers.get(header::CONTENT_ENCODING).map_or(Ok(""), HeaderValue::to_str);
    let body = encoding
        .map_err(|error| error.to_string())
        .and_then(|encoding| inflate(body, encoding, request.most).map_err(|error| error.to_string()))
        .map_err(|why| EgressError::Body { host: request.target.host().to_owned(), why })?;
    Ok(Response { target: request.target.clone(), status: head.status, headers: head.headers, body })
}
