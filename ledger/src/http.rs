//! An HTTP/1.1 server with limits: on connections, on bodies, on the time a request may take to come in.
//!
//! **Invariant:** a body larger than the limit is refused before it is held in memory, and only so many large ones are held at
//! once.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// From how many bytes on a body is a large one; one that does not say its length is.
const LARGE: u64 = 256 << 10;

/// Limits of a server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of a body.
    pub body: usize,
    /// Large bodies at once; further ones wait on their connections.
    pub large: usize,
    /// For a request to come in, head and body each, and for a connection to stay idle.
    pub patience: Duration,
    /// For requests in progress when the server stops.
    pub grace: Duration,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// By which method.
    pub method: Method,
    /// For which path, without the query.
    pub path: String,
    /// With which body.
    pub body: Bytes,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This.
    Content {
        /// The status.
        status: StatusCode,
        /// The kind of content.
        content: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// Nothing: the connection closes.
    Silence,
}

impl Answer {
    /// A line of text.
    pub fn text(status: StatusCode, line: &str) -> Self {
        Self::Content { status, content: "text/plain; charset=utf-8", body: format!("{line}\n").into_bytes() }
    }
}

/// What a server serves.
pub trait Site: Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, asked: Asked) -> impl Future<Output = Answer> + Send;
}

/// The answer was withheld on purpose.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct Withheld;

/// Serves until `stop` changes; then lets requests in progress end, for the time of grace.
pub async fn serve<S: Site>(listener: TcpListener, limits: Limits, site: Arc<S>, mut stop: watch::Receiver<bool>) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let room = Arc::new(Semaphore::new(limits.large));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            // Also when whoever could say stop is gone.
            _stopped = stop.changed() => break,
        };
        let Ok((stream, _peer)) = accepted else {
            // Out of file handles, or a peer that left: the next one may do better.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (site, room, mut stop) = (Arc::clone(&site), Arc::clone(&room), stop.clone());
        connections.spawn(async move {
            let _permit = permit;
            // Without it small answers wait for the peer's acknowledgement; a socket that refuses is only slower.
            let _delayed = stream.set_nodelay(true);
            let service = service_fn(move |request| exchange(Arc::clone(&site), Arc::clone(&room), limits, request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.patience)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // A connection that breaks is its peer's affair.
            let _ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _stopped = stop.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, ended).await.is_err() {
        connections.shutdown().await;
    }
}

async fn exchange<S: Site>(
    site: Arc<S>,
    room: Arc<Semaphore>,
    limits: Limits,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Withheld> {
    let (head, body) = request.into_parts();
    let small = body.size_hint().exact().is_some_and(|length| length < LARGE);
    // Held until the answer is made. The semaphore is never closed.
    let _room = if small { None } else { room.acquire_many(1).await.ok() };
    let collected = tokio::time::timeout(limits.patience, Limited::new(body, limits.body).collect()).await;
    let answer = match collected {
        Ok(Ok(body)) => {
            let asked = Asked { method: head.method, path: head.uri.path().to_owned(), body: body.to_bytes() };
            site.answer(asked).await
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Answer::text(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body has at most {} bytes", limits.body))
        }
        Ok(Err(_broken)) => return Err(Withheld),
        Err(_elapsed) => Answer::text(StatusCode::REQUEST_TIMEOUT, "the request did not come in time"),
    };
    match answer {
        Answer::Content { status, content, body } => {
            let response = Response::builder().status(status).header(header::CONTENT_TYPE, content);
            response.body(Full::new(body.into())).map_err(|_never: hyper::http::Error| Withheld)
        }
        Answer::Silence => Err(Withheld),
    }
}
