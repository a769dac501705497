//! `wasi:http` as a guest has it: each request is made by the call's line, so that its host and method, the address behind
//! the name, its bytes and its secrets are held there. Redirects come back to the guest; the next request is checked anew.
//!
//! **Invariant:** the library's own way of sending is not built in; nothing is sent but by the line.
//! **Invariant:** of an answer, no more is held than the piece that the guest reads next.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use common_ground::record::Limit;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, p2::add_only_http_to_linker_async,
};

use super::call::State;
use crate::egress::{EgressError, Exchange, Line, Target};

/// Requests at once; others wait their turn.
const MOST_AT_ONCE: usize = 16;

/// Longest wait that a guest may set, and has where it sets none: its call ends long before.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a guest asks for: a request, and how long it is waited for.
pub(super) struct Ask {
    request: Request<WasiBody>,
    options: RequestOptions,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Response<WasiBody>, Error>;
/// What comes of the answer after its head is told by its body.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// The guest's side.
pub(super) struct Web {
    context: WasiHttpCtx,
    asks: Asks,
}

struct Asks(mpsc::UnboundedSender<Ask>);

impl Web {
    /// Of one guest, and where its requests come out. How many there are is bounded by the handles it may hold.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Ask>) {
        let (give, take) = mpsc::unbounded_channel();
        (Self { context: WasiHttpCtx::new(), asks: Asks(give) }, take)
    }

    /// As the library wants it.
    pub fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.context, table, hooks: &mut self.asks }
    }
}

/// Puts `wasi:http` into the linker.
pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    add_only_http_to_linker_async(linker)
}

impl WasiHttpHooks for Asks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _told: Rest,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Rest), Error>> + Send> {
        let (answer, answered) = oneshot::channel();
        let over = || Error::InternalError(Some("the call is over".to_owned()));
        let asked = self.0.send(Ask { request, options: options.unwrap_or_default(), answer });
        // It waits and does nothing else: the work is done by whoever serves.
        Box::new(async move {
            asked.map_err(|_gone| over())?;
            let response = answered.await.unwrap_or_else(|_gone| Err(over()))?;
            let rest: Rest = Box::new(async { Ok(()) });
            Ok((response, rest))
        })
    }

    /// Any: it is refused where that is noted.
    fn is_supported_scheme(&mut self, _scheme: &http::uri::Scheme) -> bool {
        true
    }

    /// Small, so that a guest that writes is held to the pace of the connection.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        64 << 10
    }
}

/// Makes the requests of a guest for as long as it is polled.
pub(super) async fn serve(mut asks: mpsc::UnboundedReceiver<Ask>, line: &Line<'_>) -> Infallible {
    let mut served = FuturesUnordered::new();
    let mut open = true;
    loop {
        tokio::select! {
            ask = asks.recv(), if open && served.len() < MOST_AT_ONCE => match ask {
                Some(ask) => served.push(make(ask, line)),
                None => open = false,
            },
            Some(()) = served.next() => {}
            else => std::future::pending().await,
        }
    }
}

async fn make(ask: Ask, line: &Line<'_>) {
    let Ask { request, options, answer } = ask;
    let patience = |set: Option<Duration>| set.unwrap_or(PATIENCE).min(PATIENCE);
    let first = patience(options.connect_timeout).saturating_add(patience(options.first_byte_timeout));
    let begun = timeout(first, begin(request, line)).await;
    let begun = begun.unwrap_or(Err(Error::ConnectionReadTimeout));
    let mut exchange = match begun {
        Ok(exchange) => exchange,
        // A guest that asks no more hears none.
        Err(code) => return answer.send(Err(code)).unwrap_or_default(),
    };
    let (give, take) = mpsc::channel(1);
    let body = StreamBody::new(futures_util::stream::unfold(take, async |mut take: mpsc::Receiver<Piece>| {
        take.recv().await.map(|piece| (piece, take))
    }));
    let response = Response::from_parts(exchange.head.clone(), body.boxed_unsync());
    if answer.send(Ok(response)).is_err() {
        return;
    }
    while let Some(piece) = next(&mut exchange, patience(options.between_bytes_timeout)).await {
        if give.send(piece).await.is_err() {
            return;
        }
    }
}

type Piece = Result<Frame<Bytes>, Error>;

async fn begin<'b>(request: Request<WasiBody>, line: &'b Line<'_>) -> Result<Exchange<'b>, Error> {
    let target = Target::parse(&request.uri().to_string()).map_err(|error| code(&line.bad(error)))?;
    line.exchange_with(&target, request).await.map_err(|error| code(&error))
}

async fn next(exchange: &mut Exchange<'_>, patience: Duration) -> Option<Piece> {
    match timeout(patience, exchange.next()).await {
        Ok(piece) => piece.map(|piece| piece.map_err(|error| code(&error))),
        Err(_elapsed) => Some(Err(Error::ConnectionReadTimeout)),
    }
}

/// What a guest is told; the record says more.
fn code(error: &EgressError) -> Error {
    match error {
        EgressError::Refused { .. } | EgressError::Target(_) => Error::HttpRequestDenied,
        EgressError::Unresolved { .. } => Error::DnsError { rcode: None, info_code: None },
        EgressError::Unreachable { .. } => Error::ConnectionRefused,
        EgressError::Tls { .. } => Error::TlsProtocolError,
        EgressError::Http { .. } | EgressError::Body { .. } => Error::HttpProtocolError,
        EgressError::Limit(Limit::Net) => Error::HttpResponseBodySize(None),
        EgressError::Limit(
            Limit::Wall
            | Limit::Cpu
            | Limit::Memory
            | Limit::Output
            | Limit::Written
            | Limit::OpenFiles
            | Limit::Processes,
        ) => Error::ConnectionTimeout,
    }
}
