//! What happens below async-openai: a request is made again while there is no answer yet, an error becomes ours before
//! its body is read by anybody else, and the body of an answer is bounded in time and in memory.
//!
//! async-openai's own transport forgets `Retry-After`, reads bodies of any length, waits for ever, and writes the body of
//! an error into the log. It takes another one; this is it.
//!
//! **Invariant:** nothing is asked again once the server has begun to answer.
//! **Invariant:** no error holds a byte of a body but short plain words (`[a-z_.]`) of the error's own form.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use bytes::Bytes;
use common_ground::port::model::ModelError;
use futures_util::{Stream, StreamExt};
use reqwest::{Response, StatusCode, header};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{
    beside::read_json,
    settings::{OpenAiSettings, SharedEndpoint},
    wire::ServerError,
};

/// Most bytes of one event, and of one answer: what a server can make us hold.
const MOST_EVENT_BYTES: usize = 4 << 20;
const MOST_ANSWER_BYTES: usize = 64 << 20;
/// Most bytes of an error that are looked at.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// First pause before another try, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// Sends one request.
#[derive(Clone)]
pub(super) struct Transport {
    pub settings: Arc<OpenAiSettings>,
    pub endpoint: SharedEndpoint,
    pub http: reqwest::Client,
    /// Most tokens of the answer asked for.
    pub max_tokens: u64,
    /// Why the body broke off; async-openai hands on no more than a text.
    pub broke: Arc<OnceLock<ModelError>>,
}

impl tower_service::Service<HttpRequestFactory> for Transport {
    type Response = Response;
    type Error = OpenAIError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, OpenAIError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.send(factory).await.map_err(|error| OpenAIError::Boxed(Box::new(error))) })
    }
}

/// What to do about a request without an answer.
enum Verdict {
    /// Nothing more.
    Final(ModelError),
    /// Ask again, after this time where the server names one.
    Again { reason: String, after: Option<Duration> },
}

impl Transport {
    async fn send(self, factory: HttpRequestFactory) -> Result<Response, ModelError> {
        let began = Instant::now();
        let mut tries = 0_u32;
        loop {
            let request = factory.build().await.map_err(|_not_built| self.broken("the request cannot be built"))?;
            let verdict = match timeout(self.settings.idle, self.http.execute(request)).await {
                Err(_elapsed) => return Err(self.silent()),
                Ok(Err(error)) => self.unconnected(error),
                Ok(Ok(response)) if response.status().is_success() => return self.guarded(response),
                Ok(Ok(response)) => self.judge(response).await,
            };
            sleep(self.pause(verdict, tries, began)?).await;
            tries += 1;
        }
    }

    /// Sends a request, again while there is no answer, and reads that as JSON.
    pub async fn json(&self, request: reqwest::RequestBuilder) -> Result<Value, ModelError> {
        let began = Instant::now();
        let mut tries = 0_u32;
        loop {
            let again = request.try_clone().ok_or_else(|| self.broken("the request cannot be built"))?;
            let verdict = match timeout(self.settings.idle, again.send()).await {
                Err(_elapsed) => return Err(self.silent()),
                Ok(Err(error)) => self.unconnected(error),
                Ok(Ok(response)) if response.status().is_success() => {
                    let read = timeout(self.settings.idle, read_json(response, MOST_ANSWER_BYTES)).await;
                    let read = read.map_err(|_elapsed| self.silent())?;
                    return read.map_err(|_not_json| self.broken("what came is no JSON"));
                }
                Ok(Ok(response)) => self.judge(response).await,
            };
            sleep(self.pause(verdict, tries, began)?).await;
            tries += 1;
        }
    }

    /// How long to wait before a request is made again, or why it is not.
    fn pause(&self, verdict: Verdict, tries: u32, began: Instant) -> Result<Duration, ModelError> {
        let (reason, after) = match verdict {
            Verdict::Final(error) => return Err(error),
            Verdict::Again { reason, after } => (reason, after),
        };
        let pause = after.unwrap_or_else(|| backoff(tries));
        if tries >= self.settings.retries {
            return Err(self.unreachable(format!("{reason}, after {} tries", tries.saturating_add(1))));
        }
        if began.elapsed() + pause > self.settings.retry_time {
            let wait = pause.as_secs_f64().ceil();
            let longest = self.settings.retry_time.as_secs();
            return Err(self.unreachable(format!(
                "{reason}; it wants {wait} s more, and providers.{}.retry_seconds is {longest}",
                self.settings.provider
            )));
        }
        tracing::debug!(model = %self.settings.id, tries, pause_ms = pause.as_millis() as u64, "asking again");
        Ok(pause)
    }

    /// Sends a request once and reads its answer as JSON.
    pub async fn get(&self, request: reqwest::RequestBuilder) -> Result<Value, ModelError> {
        let limit = Duration::from_secs(20).min(self.settings.idle);
        let sent = timeout(limit, request.send()).await.map_err(|_elapsed| self.silent())?;
        let verdict = match sent {
            Err(error) => self.unconnected(error),
            Ok(response) if response.status().is_success() => {
                let read =
                    timeout(limit, read_json(response, MOST_ANSWER_BYTES)).await.map_err(|_elapsed| self.silent())?;
                return read.map_err(|_not_json| self.broken("what came is no JSON"));
            }
            Ok(response) if response.status() == StatusCode::NOT_FOUND => Verdict::Final(self.refused(format!(
                "{} lists no models; see providers.{}.base_url",
                self.endpoint.place(),
                self.settings.provider
            ))),
            Ok(response) => self.judge(response).await,
        };
        Err(match verdict {
            Verdict::Final(error) => error,
            Verdict::Again { reason, .. } => self.unreachable(reason),
        })
    }

    fn unreachable(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Unreachable { model: self.settings.id.clone(), reason: reason.into() }
    }

    fn refused(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Refused { model: self.settings.id.clone(), reason: reason.into() }
    }

    fn broken(&self, reason: impl Into<String>) -> ModelError {
        ModelError::Broken { model: self.settings.id.clone(), reason: reason.into() }
    }

    fn silent(&self) -> ModelError {
        let (seconds, provider) = (self.settings.idle.as_secs_f64(), &self.settings.provider);
        self.unreachable(format!("nothing came for {seconds} s; providers.{provider}.idle_seconds allows longer"))
    }

    /// A request that got no status line.
    fn unconnected(&self, error: reqwest::Error) -> Verdict {
        let place = self.endpoint.place();
        match cause(&error.without_url()) {
            Cause::ProxyLogin => Verdict::Final(self.proxy_login()),
            Cause::Certificate => Verdict::Final(self.refused(format!(
                "{place} shows a certificate that nobody we trust has signed; name its authority in providers.{}.ca_file",
                self.settings.provider
            ))),
            Cause::Refused => Verdict::Again { reason: format!("nothing listens at {place}"), after: None },
            Cause::Name => Verdict::Again { reason: format!("the name of {place} cannot be looked up"), after: None },
            Cause::TooSlow => Verdict::Again { reason: format!("{place} does not answer the connection"), after: None },
            Cause::Other => Verdict::Again { reason: format!("the connection to {place} broke before an answer"), after: None },
        }
    }

    fn proxy_login(&self) -> ModelError {
        self.refused(
            "the proxy wants a login: put it into HTTPS_PROXY as http://USER:PASSWORD@HOST:PORT, or name the host in NO_PROXY",
        )
    }

    /// A status other than success.
    async fn judge(&self, response: Response) -> Verdict {
        let status = response.status();
        let after = retry_after(response.headers());
        let error = error_of(response).await;
        classify(self, status, after, &error)
    }

    /// The answer, with a body that ends when it goes silent or beyond all bounds.
    fn guarded(self, response: Response) -> Result<Response, ModelError> {
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.starts_with("text/html") {
            return Err(self.broken(format!(
                "a web page came instead of an answer; see whether providers.{}.base_url ends as it should, in /v1",
                self.settings.provider
            )));
        }
        if kind.starts_with("application/json") {
            return Err(self.broken("one JSON text came instead of a stream; this server cannot stream"));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Box::pin(response.bytes_stream());
        let mut guarded = http::Response::new(reqwest::Body::wrap_stream(guard(self, body)));
        *guarded.status_mut() = status;
        *guarded.headers_mut() = headers;
        Ok(Response::from(guarded))
    }
}

/// What a status means, for any request to a provider.
fn classify(to: &Transport, status: StatusCode, after: Option<Duration>, error: &ServerError) -> Verdict {
    let settings = &to.settings;
    let provider = &settings.provider;
    let place = to.endpoint.place();
    let said = if error.words.is_empty() { String::new() } else { format!(" ({})", error.words.join(", ")) };
    let key = settings.key_variable.as_deref();
    if let Some(large) = error.too_large.filter(|_| status.is_client_error() || status.is_server_error()) {
        let window = if large.window > 0 { large.window } else { settings.window.unwrap_or(0) };
        let need = large.need.saturating_add(to.max_tokens);
        return Verdict::Final(ModelError::TooLarge { model: settings.id.clone(), need, window });
    }
    let last = match status.as_u16() {
        401 => to.refused(match (key, &settings.key) {
            (Some(variable), _) => format!("the key in {variable} is not accepted{said}; set {variable} to a valid key"),
            (None, _) => format!("{place} wants a key{said}; name its variable in providers.{provider}.env_key"),
        }),
        402 => to.refused(format!("the account at {place} has no credit{said}")),
        403 => to.refused(match key {
            Some(variable) => format!("the key in {variable} may not use this model{said}; `ii models list {provider}` shows others"),
            None => format!("{place} forbids it{said}; name a key's variable in providers.{provider}.env_key"),
        }),
        404 | 405 | 410 => to.refused(format!(
            "{place} has no model {}{said}; `ii models list {provider}` shows those there are, or providers.{provider}.base_url is wrong",
            settings.name
        )),
        407 => to.proxy_login(),
        413 => ModelError::TooLarge { model: settings.id.clone(), need: to.max_tokens, window: settings.window.unwrap_or(0) },
        429 if error.no_credit => to.refused(format!("the account at {place} has no credit{said}")),
        429 => return Verdict::Again { reason: format!("{place} limits the rate of requests{said}"), after },
        408 | 425 | 500..=599 => {
            return Verdict::Again { reason: format!("{place} failed with status {}{said}", status.as_u16()), after };
        }
        300..=399 => to.refused(format!("{place} redirects; put the address it leads to into providers.{provider}.base_url")),
        _ if error.tool_choice => to.refused(format!(
            "{place} does not take tool_choice `required`{said}; set providers.{provider}.tool_choice = \"auto\""
        )),
        _ if error.max_tokens => to.refused(format!(
            "{place} refuses the bound on the answer{said}; set providers.{provider}.max_tokens_field to the other of `max_tokens` and `max_completion_tokens`, or ask for fewer"
        )),
        other => to.refused(format!("{place} refuses the request with status {other}{said}; `ii models probe {}` shows what works", settings.id)),
    };
    Verdict::Final(last)
}

/// Why there is no connection, as far as errors tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    ProxyLogin,
    Certificate,
    Refused,
    Name,
    TooSlow,
    Other,
}

fn cause(error: &reqwest::Error) -> Cause {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(this) = next {
        if let Some(io) = this.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return Cause::Refused;
        }
        if let Some(tls) = this.downcast_ref::<rustls::Error>()
            && matches!(tls, rustls::Error::InvalidCertificate(_))
        {
            return Cause::Certificate;
        }
        // These types are private to the crates that make them; their texts are all there is.
        let text = this.to_string();
        if text.contains("proxy auth") {
            return Cause::ProxyLogin;
        }
        if text.contains("invalid peer certificate") {
            return Cause::Certificate;
        }
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return Cause::Name;
        }
        next = this.source();
    }
    if error.is_timeout() { Cause::TooSlow } else { Cause::Other }
}

/// What the body of an error says; nothing when it says nothing readable in time.
async fn error_of(response: Response) -> ServerError {
    let read = async {
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            body.extend_from_slice(&piece);
            if body.len() > MOST_ERROR_BYTES {
                break;
            }
        }
        body
    };
    let body = timeout(Duration::from_millis(500), read).await.unwrap_or_default();
    serde_json::from_slice::<Value>(&body).map(|value| ServerError::read(&value)).unwrap_or_default()
}

/// The pause a server asks for: in milliseconds, in seconds, or until a date.
fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(milliseconds) = text("retry-after-ms").and_then(|text| text.parse::<u64>().ok()) {
        return Some(Duration::from_millis(milliseconds));
    }
    let text = text("retry-after")?;
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    until(text, SystemTime::now())
}

/// The time from `now` to an HTTP date (RFC 9110, IMF-fixdate); none when it is over.
fn until(date: &str, now: SystemTime) -> Option<Duration> {
    let form = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let at = time::PrimitiveDateTime::parse(date, form).ok()?.assume_utc();
    Some(SystemTime::from(at).duration_since(now).unwrap_or_default())
}

/// The pause before the next try: doubled each time, and somewhere in its upper half, so that many that were refused
/// together do not come back together.
fn backoff(tries: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
    let mut byte = [0_u8; 1];
    // Without randomness the pause is merely the longest.
    let part = if getrandom::fill(&mut byte).is_ok() { f64::from(byte[0]) / 255.0 } else { 1.0 };
    whole.mul_f64(0.5 + part / 2.0)
}

/// How much of the body has come.
#[derive(Debug, Default)]
struct Measure {
    answer: usize,
    event: usize,
    line: usize,
    after_return: bool,
}

impl Measure {
    /// Whether the body is still within its bounds after this piece.
    fn allows(&mut self, piece: &[u8]) -> bool {
        self.answer += piece.len();
        for byte in piece {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => {
                    if self.line == 0 {
                        self.event = 0;
                    }
                    self.line = 0;
                }
                _ => {
                    self.line += 1;
                    self.event += 1;
                    if self.event > MOST_EVENT_BYTES {
                        return false;
                    }
                }
            }
            self.after_return = *byte == b'\r';
        }
        self.answer <= MOST_ANSWER_BYTES
    }
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, reqwest::Error>> + Send>>;

/// The body as it comes, ended with an error when it goes silent, breaks, or goes beyond its bounds.
fn guard(by: Transport, body: Pieces) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
    let state = Some((by, body, Measure::default()));
    futures_util::stream::unfold(state, |state| async move {
        let (by, mut body, mut measure) = state?;
        let error = match timeout(by.settings.idle, body.next()).await {
            Ok(None) => return None,
            Ok(Some(Ok(piece))) if measure.allows(&piece) => return Some((Ok(piece), Some((by, body, measure)))),
            Ok(Some(Ok(_too_much))) => by.broken(format!(
                "an event goes beyond {MOST_EVENT_BYTES} bytes or the answer beyond {MOST_ANSWER_BYTES}"
            )),
            Ok(Some(Err(_cut))) => by.broken("the connection broke in the middle of the answer"),
            Err(_elapsed) => by.broken(format!(
                "the stream stood still for {} s; providers.{}.idle_seconds allows longer",
                by.settings.idle.as_secs_f64(),
                by.settings.provider
            )),
        };
        if by.broke.set(error).is_err() {
            tracing::debug!("the stream broke twice");
        }
        Some((Err(std::io::Error::other("the body broke off")), None))
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{FIRST_PAUSE, LONGEST_PAUSE, MOST_EVENT_BYTES, Measure, backoff, retry_after, until};

    #[test]
    fn a_server_names_its_pause_in_three_ways() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(until("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(until("Sun, 06 Nov 1994 08:49:07 GMT", now), Some(Duration::ZERO));
        assert_eq!(until("tomorrow", now), None);
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            headers
        };
        assert_eq!(retry_after(&headers("retry-after", "7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("retry-after-ms", "20")), Some(Duration::from_millis(20)));
        assert_eq!(retry_after(&headers("retry-after", "-7")), None);
    }

    #[test]
    fn pauses_double_with_jitter_and_have_an_end() {
        for tries in 0..40 {
            let pause = backoff(tries);
            let whole = FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE);
            assert!(pause >= whole / 2 && pause <= whole, "{tries}: {pause:?}");
        }
        let different: std::collections::BTreeSet<Duration> = (0..64).map(|_| backoff(3)).collect();
        assert!(different.len() > 8, "no jitter");
    }

    #[test]
    fn an_event_is_bounded_and_a_long_answer_of_short_ones_is_not_cut() {
        let mut measure = Measure::default();
        for _ in 0..100_000 {
            assert!(measure.allows(b"data: {\"choices\":[]}\r\n\r\n"));
        }
        let lines = b"data: x\n".repeat(1 << 16);
        let mut measure = Measure::default();
        let taken = (0..20).take_while(|_| measure.allows(&lines)).count() * lines.len();
        assert!((MOST_EVENT_BYTES..MOST_EVENT_BYTES * 2).contains(&taken), "{taken}");
    }
}
