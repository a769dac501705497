//! Components and `wasi:http`: what a guest reaches by it, and what it does not. Servers, names and certificates are of this
//! machine's loopback.

mod wasm_bench;
mod web;

use std::{net::IpAddr, sync::Arc};

use common_ground::{
    grant::Limits,
    port::tool::Called,
    record::{Exit, Limit},
};
use serde_json::{Value, json};
use tools::egress::{Dialler, Resolver, Settings};
use wasm_bench::{Bench, can_build, grant, guest, text, write_tool};
use web::{Asked, Authority, ENCODED, Nameserver, Reply, Server, address};

const SECRET: &str = "s3cret-value";

fn held(case: u32, seen: &str) {
    println!("hostile: {case} wasm held: {seen}");
}

/// Tools over a nameserver and a server: `asks` may go where its `path` says, `gets` only with GET, `bare` nowhere.
struct World {
    bench: Bench,
    names: Nameserver,
    server: Server,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new(
        names: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static,
        pages: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (names, server) = (Nameserver::new(names).await, Server::new(pages).await);
        Self::over(names, server, None)
    }

    async fn usual() -> Self {
        Self::new(|_, _| vec![address("127.0.0.1")], |_| Reply::html("hello")).await
    }

    fn over(names: Nameserver, server: Server, authority: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authorities = authority.map(|authority| {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, authority.pem()).expect("written");
            path
        });
        let resolver = Resolver::nameserver(names.at).expect("a resolver");
        let secrets = vec![("token".to_owned(), SECRET.to_owned().into())];
        let dialler = Arc::new(Dialler::new(Settings { resolver, authorities, secrets }).expect("a dialler"));
        let (bench, problems) = Bench::over(&dialler, Vec::new(), |place| {
            write_tool(place, "asks", guest(), &["net:{path}"], "");
            write_tool(place, "gets", guest(), &["net:{path} GET"], "");
            write_tool(place, "bare", guest(), &[], "");
            write_tool(place, "small", guest(), &["net:{path}"], "[limits]\nnet_bytes = 20000\n");
        });
        assert!(problems.is_empty(), "{problems:?}");
        Self { bench, names, server, _folder: folder }
    }

    fn at(&self, host: &str) -> String {
        format!("http://{host}:{}", self.server.port())
    }

    async fn call(&self, tool: &str, items: &[String], arguments: &Value) -> Called {
        self.bench.call(tool, &grant(items), arguments).await
    }
}

fn refusals(called: &Called) -> String {
    let all = &called.record.refusals;
    all.iter().map(|denial| format!("{}: {}\n", denial.what, denial.why)).collect()
}

#[tokio::test]
async fn the_granted_host_answers_and_another_does_not() {
    if !can_build() {
        return;
    }
    let world = World::usual().await;
    let (one, two) = (world.at("one.test"), world.at("two.test"));
    let items = [format!("net:{one}"), format!("net:{two} GET")];
    let arguments = json!({"act": "ask", "path": format!("{one}/a?b"), "to": two, "more": [world.at("three.test")]});
    let called = world.call("asks", &items, &arguments).await;
    let said = text(&called);
    assert!(said.contains("/a?b: 200 hello"), "{said}");
    assert_eq!(said.matches("refused: ErrorCode::HttpRequestDenied").count(), 2, "{said}");
    let noted = refusals(&called);
    // Granted, but not what this call said it needs; and not granted.
    assert!(noted.contains(&format!("net:{two} GET: the call did not name it")), "{noted}");
    assert!(noted.contains("three.test") && noted.contains("no grant covers it"), "{noted}");
    let [egress] = called.record.egress.as_slice() else { panic!("{:?}", called.record.egress) };
    assert_eq!((egress.address.as_str(), egress.method.as_deref()), ("127.0.0.1", Some("GET")));
    assert_eq!(egress.item.to_string(), format!("net:{one}"));
    assert!(egress.sent > 10 && egress.received > 10);
    assert_eq!(world.server.pages(), ["/a?b"]);
    assert_eq!(world.server.asked()[0].headers["host"], one["http://".len()..]);

    // Methods hold here: this program makes the request.
    let items = [format!("net:{one} GET")];
    let ask = |method: &str| json!({"act": "ask", "path": one, "method": method});
    assert!(text(&world.call("gets", &items, &ask("GET")).await).contains("200 hello"));
    let called = world.call("gets", &items, &ask("POST")).await;
    assert!(text(&called).contains("HttpRequestDenied"), "{}", text(&called));
    assert!(refusals(&called).contains("POST: no grant covers it"), "{}", refusals(&called));
    // Whoever has no need has no host, whatever is granted; it links and is refused.
    let called = world.call("bare", &items, &ask("GET")).await;
    assert!(text(&called).contains("HttpRequestDenied"), "{}", text(&called));
    assert!(refusals(&called).contains("the call did not name it"), "{}", refusals(&called));
    // A call whose needs are not granted does not begin.
    let called = world.call("asks", &[], &ask("GET")).await;
    assert_eq!(called.record.exit, Exit::Refused);
    assert_eq!(world.server.pages(), ["/a?b", "/"]);
}

#[tokio::test]
async fn bodies_go_both_ways_over_tls_with_a_secret() {
    if !can_build() {
        return;
    }
    let authority = Authority::new();
    let names = Nameserver::new(|_, _| vec![address("127.0.0.1")]).await;
    let server = Server::with_tls(authority.acceptor(&["api.test"]), |_| Reply::of("text/plain", vec![b'a'; 1 << 20]));
    let world = World::over(names, server.await, Some(&authority));
    let port = world.server.port();
    let net = format!("net:https://api.test:{port}");
    let secret = "secret:token@api.test/authorization".to_owned();
    let arguments = json!({
        "act": "ask",
        "path": format!("https://api.test:{port}/"),
        "method": "POST",
        "header": "Authorization: Bearer {{secret:token}}",
        "body": 300_000,
    });
    let called = world.call("asks", &[net.clone(), secret], &arguments).await;
    assert!(text(&called).contains("200 1048576 bytes"), "{}", text(&called));
    let asked = world.server.asked();
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {SECRET}"));
    assert_eq!((asked[0].method.as_str(), asked[0].body.len()), ("POST", 300_000));
    assert!(!web::all_of(&called).contains(SECRET));
    let called = world.call("asks", &[net], &arguments).await;
    assert!(refusals(&called).contains("secret:token@api.test/authorization: no grant"), "{}", refusals(&called));
    assert_eq!(world.server.asked().len(), 1);
    // Another server's certificate is refused.
    let other = json!({"act": "ask", "path": format!("https://other.test:{port}/")});
    let called = world.call("asks", &[format!("net:https://other.test:{port}")], &other).await;
    assert!(text(&called).contains("TlsProtocolError"), "{}", text(&called));
}

#[tokio::test]
async fn bytes_and_time_are_limited() {
    if !can_build() {
        return;
    }
    let world = World::new(|_, _| vec![address("127.0.0.1")], |_| Reply::of("text/plain", vec![b'a'; 400_000])).await;
    let url = world.at("one.test");
    let mut tight = grant(&[format!("net:{url}")]);
    tight.limits = Limits { net_bytes: 50_000, ..Limits::USUAL };
    for arguments in
        [json!({"act": "ask", "path": url}), json!({"act": "ask", "path": url, "method": "POST", "body": 400_000})]
    {
        let called = world.bench.call("asks", &tight, &arguments).await;
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Net }, "{:?}", called.answer);
        let egress = &called.record.egress;
        assert!(egress.iter().all(|one| one.received <= 50_000 && one.sent <= 50_000), "{egress:?}");
    }
    // A manifest may ask for less than the grant gives.
    let called = world.call("small", &[format!("net:{url}")], &json!({"act": "ask", "path": url})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Net }, "{:?}", called.answer);
    assert!(called.record.egress[0].received <= 20_000);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let mut short = grant(&[format!("net:{url}")]);
    short.limits.wall_ms = 5_000;
    let called = world.bench.call("asks", &short, &json!({"act": "ask", "path": url})).await;
    assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Wall }, "{:?}", called.answer);
    assert_eq!(called.record.egress.len(), 1, "a connection given up is in the record");
}

#[tokio::test]
async fn case_13_metadata() {
    if !can_build() {
        return;
    }
    let world =
        World::new(|_, _| vec![address("169.254.169.254"), address("fd00:ec2::254")], |_| Reply::html("hello")).await;
    let hosts =
        ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://metadata.google.internal", "http://innocent.test"];
    for url in hosts {
        let called = world.call("asks", &[format!("net:{url}")], &json!({"act": "ask", "path": url})).await;
        assert!(text(&called).contains("HttpRequestDenied"), "{}", text(&called));
        assert!(refusals(&called).contains("metadata service"), "{}", refusals(&called));
        assert!(called.record.egress.is_empty());
    }
    held(13, "exact grants by v4, v6 and name, each refused unconnected");
}

#[tokio::test]
async fn case_14_encoded_addresses() {
    if !can_build() {
        return;
    }
    let world = World::usual().await;
    let port = world.server.port();
    let many: Vec<String> = ENCODED.iter().map(|host| format!("http://{host}:{port}/")).collect();
    let base = world.at("base.test");
    let called = world.call("asks", &[format!("net:{base}")], &json!({"act": "ask", "path": base, "more": many})).await;
    assert_eq!(text(&called).matches("refused").count(), ENCODED.len(), "{}", text(&called));
    assert_eq!((called.record.egress.len(), world.server.asked().len()), (1, 1));
    held(14, &format!("{} spellings, none reached without its grant", ENCODED.len()));
}

#[tokio::test]
async fn case_15_rebinding() {
    if !can_build() {
        return;
    }
    let answers = |name: &str, before: usize| match (name, before) {
        ("mixed.test", _) => vec![address("169.254.169.254"), address("127.0.0.1")],
        ("turns.test", 0) => vec![address("127.0.0.1")],
        _turned => vec![address("169.254.169.254")],
    };
    let world = World::new(answers, |_| Reply::html("hello")).await;
    for (host, noted) in [("mixed.test", "169.254.169.254"), ("turns.test", "")] {
        let url = world.at(host);
        let arguments = json!({"act": "ask", "path": url, "to": url, "more": [url]});
        let called = world.call("asks", &[format!("net:{url}")], &arguments).await;
        assert_eq!(text(&called).matches("200 hello").count(), 3, "{}", text(&called));
        assert!(called.record.egress.iter().all(|one| one.address == "127.0.0.1"));
        assert!(refusals(&called).contains(noted), "{}", refusals(&called));
    }
    let url = world.at("turns.test");
    let called = world.call("asks", &[format!("net:{url}")], &json!({"act": "ask", "path": url})).await;
    assert!(text(&called).contains("HttpRequestDenied") && called.record.egress.is_empty(), "{}", text(&called));
    held(15, "connections went to the address that was checked, in a mixed set and through a turn");
}

#[tokio::test]
async fn case_16_redirects() {
    if !can_build() {
        return;
    }
    let world = World::new(
        |_, _| vec![address("127.0.0.1")],
        |asked| match asked.path.as_str() {
            "/metadata" => Reply::to(302, "http://169.254.169.254/latest/"),
            "/elsewhere" => Reply::to(302, "http://elsewhere.test/"),
            "/file" => Reply::to(302, "file:///etc/passwd"),
            "/gopher" => Reply::to(302, "gopher://127.0.0.1:70/"),
            _page => Reply::html("page"),
        },
    )
    .await;
    let base = world.at("one.test");
    for path in ["/metadata", "/elsewhere", "/file", "/gopher"] {
        let url = format!("{base}{path}");
        let called = world.call("asks", &[format!("net:{base}")], &json!({"act": "follow", "path": url})).await;
        assert!(text(&called).contains("302") && text(&called).contains("refused"), "{}", text(&called));
        assert_eq!(called.record.egress.len(), 1, "{path}");
        assert!(path == "/file" || !called.record.refusals.is_empty(), "{path}");
    }
    assert_eq!(world.server.asked().len(), 4, "none was followed by us");
    held(
        16,
        "a redirect comes back to the guest; its next request to metadata, file:, gopher: or elsewhere is refused",
    );
}

#[tokio::test]
async fn case_17_tunnels_and_hosts() {
    if !can_build() {
        return;
    }
    let world = World::usual().await;
    let url = world.at("one.test");
    let items = [format!("net:{url}")];
    let called = world.call("asks", &items, &json!({"act": "ask", "path": url, "method": "CONNECT"})).await;
    assert!(text(&called).contains("refused"), "{}", text(&called));
    for header in ["Host: two.test", "Connection: upgrade", "Proxy-Authorization: a", "Transfer-Encoding: chunked"] {
        let called = world.call("asks", &items, &json!({"act": "ask", "path": url, "header": header})).await;
        assert!(text(&called).contains("Forbidden"), "{header}: {}", text(&called));
    }
    assert!(world.server.asked().is_empty());
    held(17, "no CONNECT, and no Host header but that of where the request goes");
}

#[tokio::test]
async fn case_18_long_names() {
    if !can_build() {
        return;
    }
    let world = World::usual().await;
    let label = "0123456789abcdef".repeat(3);
    let names =
        [format!("{label}.{label}.{label}.test"), format!("{label}.example.org"), "a.b.c.d.e.f.g.h.i.test".into()];
    let many: Vec<String> = names.iter().map(|name| format!("http://{name}/")).collect();
    let base = world.at("base.test");
    let arguments = json!({"act": "ask", "path": base, "more": many});
    let called = world.call("asks", &[format!("net:{base}")], &arguments).await;
    assert_eq!(text(&called).matches("HttpRequestDenied").count(), 3, "{}", text(&called));
    assert!(world.names.asked().iter().all(|name| name == "base.test"), "{:?}", world.names.asked());
    held(18, "long names, and names of others, are not asked for");
}
