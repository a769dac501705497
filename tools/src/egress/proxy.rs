//! The line of one call, lent to a browser, a container or a jail as an HTTP proxy.
//!
//! It listens as long as it lives and serves only while [`Proxy::serve`] runs: what connects between calls waits, and what is
//! open when a call ends is closed. Through CONNECT it sees a host, a port and the name in TLS, and holds these; a client
//! that encrypts its hello (ECH) shows the outer name, and reaches whatever the checked address serves under it.
//!
//! **Invariant:** over CONNECT only items without methods count, and nothing passes before TLS has asked for the host that
//! was connected to.
//! **Invariant:** a plain request goes to the host that its Host header names, one on each connection.
//! **Invariant:** a secret's marker is replaced in a plain request where the grant says so; what goes through CONNECT is not
//! read, so that a marker in it stays one.

use std::{convert::Infallible, io, net::SocketAddr, path::Path, pin::Pin, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{Either, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use receipts::Digest;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, UnixListener},
    sync::mpsc,
    time::timeout,
};

use super::{Connection, EgressError, Line, Target, hello};

/// Connections served at once.
const MOST_AT_ONCE: usize = 64;
/// Longest head of a request.
const LONGEST_HEAD: usize = 32 << 10;
/// Longest wait for a head, or for the beginning of TLS.
const BEGINNING: Duration = Duration::from_secs(20);
/// The user of the credential.
const USER: &str = "ii";
/// Headers between a client and its proxy.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A proxy for one call at a time.
#[derive(Debug)]
pub struct Proxy {
    listener: Listener,
    /// What a client must show; none where the file system says who may connect.
    password: Option<String>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Either kind of connection from a client.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// The answer to a plain request: the host's own, or ours.
type Answer = Response<Either<Incoming, Full<bytes::Bytes>>>;
type Driven<'b> = Pin<Box<dyn Future<Output = ()> + Send + 'b>>;

impl Proxy {
    /// On a port of loopback, with a password that nobody can guess.
    ///
    /// # Errors
    /// No port, or no randomness.
    pub async fn on_loopback() -> io::Result<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let listener = Listener::Tcp(TcpListener::bind(("127.0.0.1", 0)).await?);
        Ok(Self { listener, password: Some(hex::encode(random)) })
    }

    /// On a socket in the file system. Whoever can open it may use it: it belongs in a folder of one's own.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn on_socket(path: &Path) -> io::Result<Self> {
        Ok(Self { listener: Listener::Unix(UnixListener::bind(path)?), password: None })
    }

    /// On a listener that stands already. Whoever reaches it may use it: it belongs into a namespace of its own.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub fn over(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Listener::Tcp(TcpListener::from_std(listener)?), password: None })
    }

    /// Its port, where it has one.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// User and password, where it wants them.
    pub fn credential(&self) -> Option<(&'static str, &str)> {
        self.password.as_deref().map(|password| (USER, password))
    }

    /// What goes into `HTTP_PROXY` and `HTTPS_PROXY`, where it has a port.
    pub fn url(&self) -> Option<String> {
        let (address, (user, password)) = (self.address()?, self.credential()?);
        Some(format!("http://{user}:{password}@{address}"))
    }

    /// Serves under a call's line for as long as it is polled.
    pub async fn serve(&self, line: &Line<'_>) -> Infallible {
        let mut served = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = self.accept(), if served.len() < MOST_AT_ONCE => match accepted {
                    Ok(stream) => served.push(self.serve_one(stream, line)),
                    // Out of descriptors, most likely: those in use end some time.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                Some(()) = served.next() => {}
            }
        }
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.listener {
            Listener::Tcp(listener) => Box::new(listener.accept().await?.0),
            Listener::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }

    async fn serve_one(&self, mut stream: Box<dyn Stream>, line: &Line<'_>) {
        let Ok(Ok(head)) = timeout(BEGINNING, read_head(&mut stream)).await else { return };
        let asked = match understand(&head) {
            Ok(asked) => asked,
            Err(why) => return answer(&mut stream, StatusCode::BAD_REQUEST, &why).await,
        };
        if !self.lets_in(asked.credential.as_deref()) {
            return answer(&mut stream, StatusCode::PROXY_AUTHENTICATION_REQUIRED, "a password is needed").await;
        }
        match asked.connect_to {
            Some(authority) => tunnel(stream, &authority, &head[asked.length..], line).await,
            None => forward(stream, head, line).await,
        }
    }

    fn lets_in(&self, shown: Option<&str>) -> bool {
        let Some(password) = &self.password else { return true };
        let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{password}")));
        // Digests take as long to compare wherever two texts begin to differ.
        shown.is_some_and(|shown| Digest::of(shown.as_bytes()) == Digest::of(wanted.as_bytes()))
    }
}

/// What the head of a request asks for.
struct Asked {
    length: usize,
    connect_to: Option<String>,
    credential: Option<String>,
}

/// Reads at least up to the end of the head.
async fn read_head(stream: &mut Box<dyn Stream>) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let from = head.len().saturating_sub(3);
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head[from..].windows(4).any(|window| window == b"\r\n\r\n") {
            return Ok(head);
        }
        if head.len() > LONGEST_HEAD {
            return Err(io::Error::other("a head too long"));
        }
    }
}

fn understand(head: &[u8]) -> Result<Asked, String> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(head).map_err(|error| error.to_string())? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Err("a head without an end".to_owned()),
    };
    let path = request.path.unwrap_or_default();
    let is_connect = request.method == Some("CONNECT");
    let credential = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("proxy-authorization"));
    Ok(Asked {
        length,
        connect_to: is_connect.then(|| path.to_owned()),
        credential: credential.map(|header| String::from_utf8_lossy(header.value).into_owned()),
    })
}

/// Answers in our own words. A client that is gone reads none.
async fn answer(stream: &mut Box<dyn Stream>, status: StatusCode, words: &str) {
    let challenge = if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        "proxy-authenticate: Basic realm=\"ii\"\r\n"
    } else {
        ""
    };
    let text = format!(
        "HTTP/1.1 {status}\r\n{challenge}content-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{words}",
        words.len()
    );
    if stream.write_all(text.as_bytes()).await.is_ok() {
        stream.shutdown().await.unwrap_or_default();
    }
}

fn status_of(error: &EgressError) -> StatusCode {
    match error {
        EgressError::Refused { .. } | EgressError::Target(_) | EgressError::Limit(_) => StatusCode::FORBIDDEN,
        EgressError::Unresolved { .. }
        | EgressError::Unreachable { .. }
        | EgressError::Tls { .. }
        | EgressError::Http { .. }
        | EgressError::Body { .. } => StatusCode::BAD_GATEWAY,
    }
}

/// Where CONNECT wants to go. Only TLS goes through, so it is https.
fn tunnel_target(authority: &str) -> Result<Target, super::BadTarget> {
    let target = Target::parse(&format!("https://{authority}/"))?;
    // An authority with a path or more in it would be read as something else than it is.
    if target.url().path() == "/" && target.url().query().is_none() && !authority.contains(['/', '\\', '#', '?']) {
        Ok(target)
    } else {
        Err(super::BadTarget { text: authority.to_owned(), why: "it is no host and port".to_owned() })
    }
}

async fn tunnel(mut stream: Box<dyn Stream>, authority: &str, rest: &[u8], line: &Line<'_>) {
    let target = match tunnel_target(authority) {
        Ok(target) => target,
        Err(error) => {
            let words = line.bad(error).to_string();
            return answer(&mut stream, StatusCode::FORBIDDEN, &words).await;
        }
    };
    let mut upstream = match line.in_time(line.connect(&target, &[])).await {
        Ok(upstream) => upstream,
        Err(error) => return answer(&mut stream, status_of(&error), &error.to_string()).await,
    };
    if stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
        return;
    }
    let (read, write) = tokio::io::split(stream);
    let mut stream = tokio::io::join(rest.chain(read), write);
    let hello = match timeout(BEGINNING, hello::read(&mut stream)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => {
            line.work().refused(target.origin(), format!("what came through CONNECT is no TLS: {error}"));
            return;
        }
        // Browsers open connections ahead of need.
        Err(_elapsed) => return,
    };
    let wanted = target.address().is_none().then(|| target.host());
    if hello.name.as_deref() != wanted {
        let name = hello.name.as_deref().unwrap_or("no host");
        line.work().refused(format!("TLS with {name} through {}", target.origin()), "it is not the host connected to");
        return;
    }
    if upstream.write_all(&hello.bytes).await.is_ok() {
        // How a tunnel ends is between its two ends; the bytes are counted in the connection.
        copy_bidirectional(&mut stream, &mut upstream).await.unwrap_or_default();
    }
}

async fn forward(stream: Box<dyn Stream>, head: Vec<u8>, line: &Line<'_>) {
    let (read, write) = tokio::io::split(stream);
    let stream = tokio::io::join(head.chain(read), write);
    let (give, mut take) = mpsc::unbounded_channel::<Driven<'_>>();
    let service = service_fn(|request| {
        let give = give.clone();
        async move {
            Ok::<Answer, Infallible>(pass_on(request, line, give).await.unwrap_or_else(|error| {
                let mut answer = Response::new(Either::Right(Full::from(error.to_string())));
                *answer.status_mut() = status_of(&error);
                answer
            }))
        }
    });
    let served = server::conn::http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let driving = async {
        while let Some(connection) = take.recv().await {
            connection.await;
        }
    };
    tokio::select! {
        // A client that went away in the middle is its own affair.
        served = served => served.unwrap_or_default(),
        () = driving => {}
    }
}

async fn pass_on<'b>(
    request: Request<Incoming>,
    line: &'b Line<'_>,
    give: mpsc::UnboundedSender<Driven<'b>>,
) -> Result<Answer, EgressError> {
    let target = Target::parse(&request.uri().to_string()).map_err(|error| line.bad(error))?;
    if target.scheme() != common_ground::grant::Scheme::Http {
        return Err(line.refuse(target.origin(), "https goes through CONNECT"));
    }
    let host = request.headers().get(header::HOST).map_or("", |host| host.to_str().unwrap_or("?"));
    let named = [target.authority(), format!("{}:{}", target.host(), target.port())];
    if !named.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Err(line.refuse(format!("Host {host} at {}", target.origin()), "it is not the host connected to"));
    }
    let method = request.method().as_str().to_owned();
    let upstream: Connection<'b> = line.in_time(line.connect(&target, &[&method])).await?;
    let private = Line::is_private(&target, &upstream);
    let mut outgoing = outgoing(request, &target)?;
    *outgoing.headers_mut() = line.with_secrets(&target, outgoing.headers(), private)?;
    let http = |source| EgressError::Http { host: target.host().to_owned(), source };
    let (mut sender, connection) =
        client::conn::http1::handshake::<_, Incoming>(TokioIo::new(upstream)).await.map_err(http)?;
    let driven: Driven<'b> = Box::pin(async move { connection.await.unwrap_or_default() });
    // The receiver lives as long as this request is served.
    give.send(driven).unwrap_or_default();
    let response = sender.send_request(outgoing).await.map_err(http)?;
    let (mut head, body) = response.into_parts();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, Either::Left(body)))
}

/// The request as its host wants it.
fn outgoing(request: Request<Incoming>, target: &Target) -> Result<Request<Incoming>, EgressError> {
    let (mut head, body) = request.into_parts();
    let bad = |why: String| EgressError::Target(super::BadTarget { text: target.origin(), why });
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    head.uri = path.parse().map_err(|error: http::uri::InvalidUri| bad(error.to_string()))?;
    strip(&mut head.headers);
    let host = HeaderValue::from_str(&target.authority()).map_err(|error| bad(error.to_string()))?;
    head.headers.insert(header::HOST, host);
    head.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(Request::from_parts(head, body))
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    // Content-Length frames the body; a Connection header must not take it away.
    let named = named.iter().map(String::as_str).filter(|name| *name != "content-length" && *name != "host");
    for name in HOP_BY_HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::tunnel_target;

    #[test]
    fn connect_names_a_host_and_a_port() {
        for (authority, origin) in [
            ("example.org:443", Some("https://example.org:443")),
            ("[::1]:8443", Some("https://[::1]:8443")),
            ("0x7f.1:443", Some("https://127.0.0.1:443")),
            ("user@example.org:443", None),
            ("example.org:443/x", None),
            ("example.org:443#x", None),
            ("example.org\\x:443", None),
            ("", None),
        ] {
            let target = tunnel_target(authority).ok().map(|target| target.origin());
            assert_eq!(target.as_deref(), origin, "{authority}");
        }
    }
}
