//! Asking over HTTP: one request, one connection. For witnesses, and for programs that try a ledger.
//!
//! **Invariant:** an answer has a limit in bytes and in time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The most bytes of an answer.
const MOST_BYTES: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Not an `http://` address.
    #[error("`{url}` is not an http:// address; put a proxy that speaks TLS before what needs it")]
    Address {
        /// The address.
        url: String,
    },
    /// Nobody there, or the connection broke. Whether the request was carried out is unknown.
    #[error("{url}: {reason}")]
    Connection {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No answer in time. Whether the request was carried out is unknown.
    #[error("{url}: no answer in {seconds} s")]
    Late {
        /// The address.
        url: String,
        /// The limit.
        seconds: u64,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The kind of content.
    pub content: String,
    /// The body.
    pub body: Bytes,
}

/// Sends a body by POST.
///
/// # Errors
/// [`AskError`].
pub async fn post(
    url: &str,
    content: &'static str,
    body: impl Into<Bytes>,
    limit: Duration,
) -> Result<Answer, AskError> {
    ask(url, Method::POST, content, body.into(), limit).await
}

/// Fetches by GET.
///
/// # Errors
/// [`AskError`].
pub async fn get(url: &str, limit: Duration) -> Result<Answer, AskError> {
    ask(url, Method::GET, "text/plain", Bytes::new(), limit).await
}

/// The part of an address behind the host, as a request has it; and where to connect.
fn parts(url: &str) -> Option<(String, u16, String)> {
    let uri: Uri = url.parse().ok()?;
    let plain = uri.scheme_str() == Some("http");
    let host = uri.host().filter(|_| plain)?.trim_matches(['[', ']']).to_owned();
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Some((host, uri.port_u16().unwrap_or(80), path))
}

/// Whether this is an address that can be asked.
pub fn is_address(url: &str) -> bool {
    parts(url).is_some()
}

async fn ask(url: &str, method: Method, content: &str, body: Bytes, limit: Duration) -> Result<Answer, AskError> {
    let (host, port, path) = parts(url).ok_or_else(|| AskError::Address { url: url.to_owned() })?;
    let exchange = async {
        let broken =
            |error: &dyn std::fmt::Display| AskError::Connection { url: url.to_owned(), reason: error.to_string() };
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| broken(&error))?;
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::CONTENT_TYPE, content)
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let answered = async {
            let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
            let status = response.status().as_u16();
            let content = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let content = content.unwrap_or_default().to_owned();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            let body = body.map_err(|error| broken(&error))?.to_bytes();
            Ok(Answer { status, content, body })
        };
        // The connection does the reading and writing; it may end before the answer is taken, and that is no fault.
        let (answer, _connection) = futures_util::future::join(answered, connection).await;
        answer
    };
    let late = |_elapsed| AskError::Late { url: url.to_owned(), seconds: limit.as_secs() };
    tokio::time::timeout(limit, exchange).await.map_err(late)?
}

#[cfg(test)]
mod tests {
    use super::{is_address, parts};

    #[test]
    fn only_plain_http_can_be_asked() {
        assert_eq!(parts("http://127.0.0.1:7411"), Some(("127.0.0.1".to_owned(), 7411, "/".to_owned())));
        assert_eq!(parts("http://[::1]:9/a?b"), Some(("::1".to_owned(), 9, "/a?b".to_owned())));
        assert_eq!(parts("http://example.com/x"), Some(("example.com".to_owned(), 80, "/x".to_owned())));
        for wrong in ["https://example.com", "example.com", "", "http://", "ftp://a"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
