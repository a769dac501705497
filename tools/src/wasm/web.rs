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
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::{
    WasiHttpCtx,
    p2::{
        HttpResult, WasiHttpCtxView, WasiHttpHooks, WasiHttpView, add_only_http_to_linker_async,
        bindings::http::types::{DnsErrorPayload, ErrorCode},
        body::{HyperIncomingBody, HyperOutgoingBody},
        types::{HostFutureIncomingResponse, IncomingResponse, OutgoingRequestConfig},
    },
};

use super::call::State;
use crate::egress::{EgressError, Exchange, Line, Target};

/// Requests at once; others wait their turn.
const MOST_AT_ONCE: usize = 16;

/// What a guest asks for: a request, and how long it is waited for.
pub(super) struct Ask {
    request: Request<HyperOutgoingBody>,
    config: OutgoingRequestConfig,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Response<HyperIncomingBody>, ErrorCode>;

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
        request: Request<HyperOutgoingBody>,
        config: OutgoingRequestConfig,
    ) -> HttpResult<HostFutureIncomingResponse> {
        let (answer, answered) = oneshot::channel();
        let between_bytes_timeout = config.between_bytes_timeout;
        let gone = || ErrorCode::InternalError(Some("the call is over".to_owned()));
        self.0.send(Ask { request, config, answer }).map_err(|_over| gone())?;
        // It waits and does nothing else: the work is done by whoever serves.
        let waiting = spawn(async move {
            let response = answered.await.unwrap_or_else(|_over| Err(gone()));
            Ok(response.map(|resp| IncomingResponse { resp, worker: None, between_bytes_timeout }))
        });
        Ok(HostFutureIncomingResponse::pending(waiting))
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
    let Ask { request, config, answer } = ask;
    let patience = config.connect_timeout.saturating_add(config.first_byte_timeout);
    let begun = timeout(patience, begin(request, line, config.use_tls)).await;
    let begun = begun.unwrap_or(Err(ErrorCode::ConnectionReadTimeout));
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
    while let Some(piece) = next(&mut exchange, config.between_bytes_timeout).await {
        if give.send(piece).await.is_err() {
            return;
        }
    }
}

type Piece = Result<Frame<Bytes>, ErrorCode>;

async fn begin<'b>(
    request: Request<HyperOutgoingBody>,
    line: &'b Line<'_>,
    tls: bool,
) -> Result<Exchange<'b>, ErrorCode> {
    let scheme = if tls { "https" } else { "http" };
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let target = Target::parse(&format!("{scheme}://{authority}{path}")).map_err(|error| code(&line.bad(error)))?;
    line.exchange_with(&target, request).await.map_err(|error| code(&error))
}

async fn next(exchange: &mut Exchange<'_>, patience: Duration) -> Option<Piece> {
    match timeout(patience, exchange.next()).await {
        Ok(piece) => piece.map(|piece| piece.map_err(|error| code(&error))),
        Err(_elapsed) => Some(Err(ErrorCode::ConnectionReadTimeout)),
    }
}

/// What a guest is told; the record says more.
fn code(error: &EgressError) -> ErrorCode {
    match error {
        EgressError::Refused { .. } | EgressError::Target(_) => ErrorCode::HttpRequestDenied,
        EgressError::Unresolved { .. } => ErrorCode::DnsError(DnsErrorPayload { rcode: None, info_code: None }),
        EgressError::Unreachable { .. } => ErrorCode::ConnectionRefused,
        EgressError::Tls { .. } => ErrorCode::TlsProtocolError,
        EgressError::Http { .. } | EgressError::Body { .. } => ErrorCode::HttpProtocolError,
        EgressError::Limit(Limit::Net) => ErrorCode::HttpResponseBodySize(None),
        EgressError::Limit(_) => ErrorCode::ConnectionTimeout,
    }
}
