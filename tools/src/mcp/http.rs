//! Servers over HTTP: every request goes through the dialler, under the grant of the server and the limits of the call that
//! it is made for.
//!
//! **Invariant:** what a call's requests did on the network is on the record of that call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common_ground::record::Exit;
use futures_util::{
    StreamExt,
    stream::{BoxStream, unfold},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ErrorData, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::{Sse, SseStream};
use tokio::sync::watch;

use super::{
    server::Address,
    signs::{LONGEST_MESSAGE, MOST_BYTES, brief},
};
use crate::{
    egress::{Dialler, EgressError, Request, Streamed, stream},
    hand::Work,
};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// Longest body of a refusal that is read.
const LONGEST_REFUSAL: usize = 64 << 10;
/// How long the connections of a call may take to close after its answer is there.
const CLOSING: Duration = Duration::from_millis(500);

type Answer<T> = Result<T, StreamableHttpError<EgressError>>;

/// For whom requests are made now, and how many of the tool's own are under way.
#[derive(Debug)]
pub(super) struct Current {
    // Held to take or put the pointer.
    work: Mutex<Arc<Work>>,
    /// The stream of notifications belongs to no call, and lasts as long as the session.
    aside: Arc<Work>,
    under_way: watch::Sender<usize>,
}

impl Current {
    pub fn new(work: Work, aside: Work) -> Arc<Self> {
        let (work, under_way) = (Mutex::new(Arc::new(work)), watch::Sender::new(0));
        Arc::new(Self { work, aside: Arc::new(aside), under_way })
    }

    fn work(&self) -> Arc<Work> {
        Arc::clone(&self.work.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on requests are made for this; gives it to be asked later.
    pub fn begin(&self, work: Work) -> Arc<Work> {
        let work = Arc::new(work);
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&work);
        work
    }

    /// Waits for the connections of a call to close, but not for long.
    pub async fn settled(&self) {
        let mut under_way = self.under_way.subscribe();
        // Either all are closed, or time is over; the sender is ours, so it is never gone.
        drop(tokio::time::timeout(CLOSING, under_way.wait_for(|count| *count == 0)).await);
    }
}

/// One request of a tool's call under way.
struct UnderWay(Arc<Current>);

impl UnderWay {
    fn new(current: &Arc<Current>) -> Self {
        current.under_way.send_modify(|count| *count += 1);
        Self(Arc::clone(current))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}

/// Puts on a call's record what its requests did.
pub(super) fn note(of: &Work, on: &Work) -> bool {
    let notes = of.noted();
    let refused = !notes.refusals.is_empty();
    notes.egress.into_iter().for_each(|egress| on.connected(egress));
    notes.refusals.into_iter().for_each(|denial| on.refused(denial.what, denial.why));
    if let Some(Exit::Limit { limit }) = notes.exit {
        on.passed(limit);
    }
    refused
}

/// The dialler, as the protocol's library asks for it.
#[derive(Clone, Debug)]
pub(super) struct Dialled {
    dialler: Arc<Dialler>,
    address: Address,
    current: Arc<Current>,
}

impl Dialled {
    pub fn new(dialler: &Arc<Dialler>, address: Address, current: &Arc<Current>) -> Self {
        Self { dialler: Arc::clone(dialler), address, current: Arc::clone(current) }
    }

    fn request(
        &self,
        method: Method,
        session: Option<Arc<str>>,
        custom: HashMap<HeaderName, HeaderValue>,
        most: usize,
    ) -> Answer<Request> {
        let mut headers = self.address.headers.clone();
        headers.extend(custom);
        if let Some(session) = session {
            headers.insert(SESSION, value(&session)?);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let target = self.address.target.clone();
        Ok(Request { target, method, headers, body: bytes::Bytes::new(), most })
    }

    async fn send(&self, work: Arc<Work>, request: Request, during: impl Send + 'static) -> Answer<Streamed> {
        stream(&self.dialler, work, request, during).await.map_err(StreamableHttpError::Client)
    }
}

fn value(text: &str) -> Answer<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_unprintable| unexpected("a session that no header can hold"))
}

fn unexpected(what: impl Into<String>) -> StreamableHttpError<EgressError> {
    StreamableHttpError::UnexpectedServerResponse(what.into().into())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The events of a body.
fn events(answer: Streamed) -> BoxStream<'static, Result<Sse, SseError>> {
    let pieces = unfold(answer, |mut answer| async move { Some((answer.piece().await?, answer)) });
    SseStream::from_bytes_stream(Box::pin(pieces)).boxed()
}

/// What a status that is no success means.
async fn refused(
    message: &ClientJsonRpcMessage,
    in_session: bool,
    answer: Streamed,
) -> Answer<StreamableHttpPostResponse> {
    let status = answer.status;
    if status == StatusCode::NOT_FOUND && in_session {
        return Err(StreamableHttpError::SessionExpired);
    }
    let body = answer.whole().await.map_err(StreamableHttpError::Client)?;
    let said = brief(&String::from_utf8_lossy(&body[..body.len().min(LONGEST_REFUSAL)]));
    // A server from before discovery refuses it; the library then speaks to it as to one of those.
    if let ClientJsonRpcMessage::Request(request) = message
        && let ClientRequest::DiscoverRequest(_) = &request.request
        && status.is_client_error()
        && !in_session
        && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    {
        let error = match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            Ok(ServerJsonRpcMessage::Error(error)) => error.error,
            Ok(_) | Err(_) => ErrorData::invalid_request(format!("HTTP {status}: {said}"), None),
        };
        let error = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
        return Ok(StreamableHttpPostResponse::Json(error, None));
    }
    Err(unexpected(format!("HTTP {status}: {said}")))
}

impl StreamableHttpClient for Dialled {
    type Error = EgressError;

    async fn post_message(
        &self,
        _uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<StreamableHttpPostResponse> {
        let in_session = session_id.is_some();
        let mut request = self.request(Method::POST, session_id, custom_headers, MOST_BYTES)?;
        request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        request.body = serde_json::to_vec(&message)?.into();
        let asked = match &message {
            ClientJsonRpcMessage::Request(request) => Some(&request.request),
            ClientJsonRpcMessage::Notification(_)
            | ClientJsonRpcMessage::Response(_)
            | ClientJsonRpcMessage::Error(_) => None,
        };
        let is_question = asked.is_some();
        let (work, during) = match asked {
            Some(ClientRequest::CallToolRequest(_)) => (self.current.work(), Some(UnderWay::new(&self.current))),
            Some(ClientRequest::SubscriptionsListenRequest(_)) => (Arc::clone(&self.current.aside), None),
            Some(_) | None => (self.current.work(), None),
        };
        let answer = self.send(work, request, during).await?;
        let status = answer.status;
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) || (status.is_success() && !is_question) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !status.is_success() {
            return refused(&message, in_session, answer).await;
        }
        let kind = text(&answer.headers, &header::CONTENT_TYPE);
        let session = answer.headers.get(&SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if kind.starts_with(EVENTS) {
            return Ok(StreamableHttpPostResponse::Sse(events(answer), session));
        }
        if !kind.starts_with(JSON) {
            return Err(StreamableHttpError::UnexpectedContentType(Some(brief(&kind))));
        }
        let body = answer.whole().await.map_err(StreamableHttpError::Client)?;
        if body.len() > LONGEST_MESSAGE {
            return Err(StreamableHttpError::ResponseBodyTooLarge { max_size: LONGEST_MESSAGE });
        }
        let message = serde_json::from_slice(&body).map_err(|error| {
            unexpected(format!("no message of the protocol: {error}: {}", brief(&String::from_utf8_lossy(&body))))
        })?;
        Ok(StreamableHttpPostResponse::Json(message, session))
    }

    async fn delete_session(
        &self,
        _uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<()> {
        let request = self.request(Method::DELETE, Some(session_id), custom_headers, LONGEST_REFUSAL)?;
        let status = self.send(self.current.work(), request, ()).await?.status;
        // Not every server lets sessions be ended.
        if status.is_success() || status == StatusCode::METHOD_NOT_ALLOWED {
            return Ok(());
        }
        Err(unexpected(format!("the session's end was answered with HTTP {status}")))
    }

    async fn get_stream(
        &self,
        _uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Answer<BoxStream<'static, Result<Sse, SseError>>> {
        let mut request = self.request(Method::GET, session_id, custom_headers, MOST_BYTES)?;
        if let Some(id) = last_event_id {
            request.headers.insert(LAST_EVENT, value(&id)?);
        }
        let answer = self.send(Arc::clone(&self.current.aside), request, ()).await?;
        if answer.status == StatusCode::METHOD_NOT_ALLOWED {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let kind = text(&answer.headers, &header::CONTENT_TYPE);
        if !answer.status.is_success() || !kind.starts_with(EVENTS) {
            return Err(unexpected(format!("HTTP {} of {}", answer.status, brief(&kind))));
        }
        Ok(events(answer))
    }
}
