//! A small web on loopback: servers with and without TLS, a nameserver, and calls of tools under grants.

#![allow(dead_code)]

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use common_ground::{
    grant::{Grant, Item},
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    port::tool::{Called, StepKey, Tool, ToolCall},
};
use hickory_proto::{
    op::Message,
    rr::{RData, Record, RecordType},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UdpSocket},
    task::AbortHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};
use tools::{
    Hand, Work,
    egress::{Dialler, Resolver, Settings},
};

/// Spellings of loopback and of hosts that stand for it, as a URL may have them: none is reached without its grant.
pub const ENCODED: [&str; 17] = [
    "0x7f.1",
    "2130706433",
    "0177.0.0.1",
    "127.1",
    "127.0.0.1.",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[::127.0.0.1]",
    "0.0.0.0",
    "[::]",
    "0",
    "\u{ff11}27.0.0.1",
    "127\u{3002}0.0.1",
    "one.test@127.0.0.1",
    "localhost.",
    "LOCALHOST",
];

/// A request as a server saw it.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// What a server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn of(kind: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    pub fn html(body: &str) -> Self {
        Self::of("text/html; charset=utf-8", body)
    }

    pub fn missing() -> Self {
        Self { status: 404, ..Self::of("text/plain", "missing") }
    }

    pub fn to(status: u16, location: &str) -> Self {
        Self { status, headers: vec![("location", location.to_owned())], body: Vec::new() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A server; it ends with its value.
pub struct Server {
    pub at: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Handler = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

impl Server {
    pub async fn new(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(handler), None).await
    }

    pub async fn with_tls(tls: TlsAcceptor, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Arc::new(handler), Some(tls)).await
    }

    async fn start(handler: Handler, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                let (handler, log, tls) = (Arc::clone(&handler), Arc::clone(&log), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, handler, log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, handler, log).await;
                            }
                        }
                    }
                });
            }
        });
        Self { at, asked, task: task.abort_handle() }
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// All requests for pages so far.
    pub fn pages(&self) -> Vec<String> {
        let all = self.asked().into_iter().map(|asked| asked.path);
        all.filter(|path| path != "/robots.txt" && path != "/favicon.ico").collect()
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// The exact grant for it.
    pub fn item(&self) -> String {
        format!("net:http://{}", self.at)
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, handler: Handler, log: Arc<Mutex<Vec<Asked>>>) {
    let service = service_fn(|request: Request<Incoming>| {
        let (handler, log) = (Arc::clone(&handler), Arc::clone(&log));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            let headers = head.headers.iter();
            let asked = Asked {
                method: head.method.to_string(),
                path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
                headers: headers
                    .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
                    .collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            let reply = handler(&asked);
            log.lock().expect("no panic").push(asked);
            let mut response = Response::builder().status(reply.status);
            for (name, value) in &reply.headers {
                response = response.header(*name, value);
            }
            response.body(Full::new(bytes::Bytes::from(reply.body)))
        }
    });
    // A client that goes away is what some tests are about.
    if http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.is_err() {}
}

/// A certificate authority of the test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By another name than its servers', or some clients take these for self-signed.
        params.distinguished_name.push(DnType::CommonName, "the test's authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// TLS as the server of these names.
    pub fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(names).expect("parameters");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a server");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A nameserver; its answers may change from question to question.
pub struct Nameserver {
    pub at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Nameserver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Nameserver {
    /// `answer` gets the name and how often it was asked for before, in either family.
    pub async fn new(answer: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let at = socket.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut bytes = [0; 4096];
            let mut counts: HashMap<(String, RecordType), usize> = HashMap::new();
            loop {
                let (length, from) = socket.recv_from(&mut bytes).await.expect("receives");
                let question = Message::from_vec(&bytes[..length]).expect("a message");
                let query = question.queries[0].clone();
                let name = query.name.to_utf8().trim_end_matches('.').to_ascii_lowercase();
                let count = counts.entry((name.clone(), query.query_type)).or_default();
                let addresses = answer(&name, *count);
                *count += 1;
                log.lock().expect("no panic").push(name);
                let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
                reply.metadata.recursion_available = true;
                reply.add_query(query.clone());
                for address in addresses {
                    let data = match (address, query.query_type) {
                        (IpAddr::V4(address), RecordType::A) => RData::A(address.into()),
                        (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(address.into()),
                        _another_family => continue,
                    };
                    reply.add_answer(Record::from_rdata(query.name.clone(), 0, data));
                }
                socket.send_to(&reply.to_vec().expect("a message"), from).await.expect("sends");
            }
        });
        Self { at, asked, task: task.abort_handle() }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// A dialler that asks only it.
    pub fn dialler(&self) -> Dialler {
        let resolver = Resolver::nameserver(self.at).expect("a resolver");
        Dialler::new(Settings { resolver, ..Settings::default() }).expect("a dialler")
    }
}

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn dialler() -> Dialler {
    Dialler::new(Settings::default()).expect("a dialler")
}

pub fn grant(items: &[&str]) -> Grant {
    Grant::of(items.iter().map(|text| text.parse::<Item>().unwrap_or_else(|error| panic!("{error}"))))
}

/// A key of a run of its own.
pub fn key(run: u128) -> StepKey {
    StepKey {
        run: RunId(uuid::Uuid::from_u128(run)),
        module: ModuleId(uuid::Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    }
}

pub fn work(items: &[&str]) -> Work {
    Work::new(key(1), grant(items))
}

/// A tool with the rules around it, and a folder for them.
pub struct Room<H> {
    pub tool: tools::Guarded<H>,
    _folder: tempfile::TempDir,
}

impl<H: Hand> Room<H> {
    pub fn new(hand: H, secrets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let common = Arc::new(tools::Common::new(folder.path().join("fence"), secrets));
        Self { tool: tools::Guarded::new(hand, &common), _folder: folder }
    }

    pub async fn call(&self, grant: &Grant, arguments: &serde_json::Value) -> Called {
        self.call_for(key(1), grant, arguments).await
    }

    /// The attempt of a key is over.
    pub fn over(&self, key: StepKey) {
        self.tool.over(key.run, key.module, key.attempt);
    }

    pub async fn call_for(&self, key: StepKey, grant: &Grant, arguments: &serde_json::Value) -> Called {
        self.tool.call(ToolCall { key, grant, allowed: &[], arguments: &arguments.to_string() }).await
    }
}

/// Everything a call left, as text: to look for what must be nowhere.
pub fn all_of(called: &Called) -> String {
    let contents: String =
        called.contents.iter().map(|content| String::from_utf8_lossy(content).into_owned()).collect();
    format!("{:?} {} {contents}", called.answer, String::from_utf8_lossy(&called.record.kept().expect("JSON").bytes))
}

/// The line that says how a hostile case went.
pub fn held(case: u8, tier: &str, seen: &str) {
    println!("hostile: {case} {tier} held: {seen}");
}
