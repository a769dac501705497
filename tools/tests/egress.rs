//! The dialler and its proxy over real connections of loopback, and the hostile cases that are theirs.

mod web;

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use common_ground::{grant::Limits, record::Limit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tools::{
    Work,
    egress::{Dialler, EgressError, Line, Proxy, Request, Resolver, Response, Settings, Target},
};
use web::{Authority, ENCODED, Nameserver, Reply, Server, address, dialler, grant, held, key, work};

fn target(url: &str) -> Target {
    Target::parse(url).unwrap_or_else(|error| panic!("{error}"))
}

async fn get(line: &Line<'_>, url: &str) -> Result<Response, EgressError> {
    line.request(Request::get(target(url), 1 << 20)).await
}

fn refusals(work: &Work) -> String {
    let all = work.refusals();
    all.iter().map(|denial| format!("{}: {}\n", denial.what, denial.why)).collect()
}

#[tokio::test]
async fn a_request_goes_where_the_grant_says_and_the_record_says_where() {
    let server = Server::new(|_| Reply::html("hello")).await;
    let (dialler, work) = (dialler(), work(&[&server.item()]));
    let response = get(&dialler.line(&work), &server.url("/a?b")).await.expect("answers");
    assert_eq!((response.status.as_u16(), response.body.as_slice()), (200, b"hello".as_slice()));
    let egress = work.egress();
    assert_eq!(egress.len(), 1);
    let one = &egress[0];
    assert_eq!((one.address.as_str(), one.port, one.method.as_deref()), ("127.0.0.1", server.port(), Some("GET")));
    assert_eq!(one.item.to_string(), server.item());
    assert!(one.sent > 20 && one.received > 20, "{one:?}");
    assert_eq!(server.asked()[0].headers["host"], server.at.to_string());
    assert_eq!(server.pages(), ["/a?b"]);
}

#[tokio::test]
async fn methods_of_a_grant_hold() {
    let server = Server::new(|_| Reply::html("hello")).await;
    let (dialler, work) = (dialler(), work(&[&format!("{} GET", server.item())]));
    let line = dialler.line(&work);
    get(&line, &server.url("/")).await.expect("granted");
    let post = Request { method: http::Method::POST, ..Request::get(target(&server.url("/")), 100) };
    let refused = line.request(post).await.expect_err("not granted");
    assert!(matches!(&refused, EgressError::Refused { why, .. } if why == "no grant covers it"), "{refused}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn bytes_and_time_are_limited() {
    let server =
        Server::new(|asked| Reply::of("text/plain", vec![b'a'; if asked.path == "/" { 300_000 } else { 10 }])).await;
    let dialler = dialler();
    let mut grant = grant(&[&server.item()]);
    grant.limits = Limits { net_bytes: 100_000, ..Limits::USUAL };
    let work = Work::new(key(1), grant.clone());
    let error = get(&dialler.line(&work), &server.url("/")).await.expect_err("too much");
    assert!(matches!(error, EgressError::Limit(Limit::Net)), "{error}");
    assert!(work.egress()[0].received <= 100_000);

    // Many small ones are a large one.
    grant.limits.net_bytes = 1_000;
    let work = Work::new(key(1), grant.clone());
    let line = dialler.line(&work);
    let mut answered = 0;
    while get(&line, &server.url("/small")).await.is_ok() {
        answered += 1;
    }
    assert!((1..10).contains(&answered), "{answered}");
    assert!(work.egress().iter().map(|one| one.received).sum::<u64>() <= 1_000);

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = silent.local_addr().expect("an address");
    let mut grant = web::grant(&[&format!("net:http://{at}")]);
    grant.limits.wall_ms = 3_000;
    let work = Work::new(key(1), grant);
    let error = get(&dialler.line(&work), &format!("http://{at}/")).await.expect_err("silent");
    assert!(matches!(error, EgressError::Limit(Limit::Wall)), "{error}");
    assert_eq!(work.egress().len(), 1, "a connection given up is in the record");
}

#[tokio::test]
async fn case_13_metadata_by_address_and_name() {
    let names = Nameserver::new(|_, _| vec![address("169.254.169.254"), address("fd00:ec2::254")]).await;
    let dialler = names.dialler();
    let mut seen = 0;
    for host in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "metadata.google.internal",
        "metadata",
        "innocent.example",
    ] {
        // Granted in so many words, and refused all the same.
        let work = work(&[&format!("net:http://{host}:80")]);
        let error = get(&dialler.line(&work), &format!("http://{host}/latest/meta-data/")).await.expect_err("refused");
        assert!(matches!(error, EgressError::Refused { .. }), "{host}: {error}");
        assert!(refusals(&work).contains("metadata service"), "{host}: {}", refusals(&work));
        assert!(work.egress().is_empty(), "{host}");
        seen += 1;
    }
    assert!(names.asked().iter().all(|name| name == "innocent.example"), "{:?}", names.asked());
    held(
        13,
        "dialler",
        &format!("{seen} exact grants for metadata services by v4, v6 and name, each refused unconnected"),
    );
}

#[tokio::test]
async fn case_14_encoded_addresses() {
    let server = Server::new(|_| Reply::html("secret")).await;
    let dialler = dialler();
    let port = server.port();
    for host in ENCODED {
        let work = work(&["net:http://example.org", &format!("net:http://*.example.org:{port}")]);
        let url = format!("http://{host}:{port}/");
        let refused = match Target::parse(&url) {
            Ok(target) => dialler.line(&work).request(Request::get(target, 100)).await.is_err(),
            Err(_) => true,
        };
        assert!(refused && work.egress().is_empty(), "{host}");
    }
    // A grant in a spelling of its own reaches nothing under another name; one by the real name does.
    let nowhere = work(&[&format!("net:http://[::ffff:7f00:1]:{port}"), &format!("net:http://0.0.0.0:{port}")]);
    for host in ["[::ffff:127.0.0.1]", "0.0.0.0"] {
        let error = get(&dialler.line(&nowhere), &format!("http://{host}:{port}/")).await.expect_err("refused");
        println!("{host}: {error}");
    }
    let work = work(&[&server.item()]);
    get(&dialler.line(&work), &format!("http://0x7f.1:{port}/")).await.expect("it is the granted address");
    assert_eq!(work.egress()[0].host, "127.0.0.1");
    assert_eq!(server.asked().len(), 1);
    held(
        14,
        "dialler",
        &format!("{} spellings read as the address they are, none reached without its grant", ENCODED.len()),
    );
}

#[tokio::test]
async fn case_15_rebinding_and_mixed_sets() {
    let server = Server::new(|_| Reply::html("inside")).await;
    let port = server.port();
    let names = Nameserver::new(|name, before| match (name, before) {
        ("mixed.test", _) => vec![address("169.254.169.254"), address("127.0.0.1"), address("::")],
        ("turns.test", 0) => vec![address("127.0.0.1")],
        ("turns.test", _) => vec![address("169.254.169.254")],
        ("inner.wide.test", _) => vec![address("127.0.0.1")],
        ("public.test", _) => vec![address("127.0.0.1"), address("::ffff:10.0.0.1")],
        _other => vec![],
    })
    .await;
    let dialler = names.dialler();

    // Of a mixed set, the connection goes to the address that was checked, and the record says what was dropped.
    let mixed = work(&[&format!("net:http://mixed.test:{port}")]);
    get(&dialler.line(&mixed), &format!("http://mixed.test:{port}/")).await.expect("one is allowed");
    assert_eq!(mixed.egress()[0].address, "127.0.0.1");
    assert!(
        refusals(&mixed).contains("169.254.169.254") && refusals(&mixed).contains("unspecified"),
        "{}",
        refusals(&mixed)
    );
    assert_eq!(server.asked()[0].headers["host"], format!("mixed.test:{port}"));

    // A name is asked for once in a call: what it turns into later is never connected to.
    let turns = work(&[&format!("net:http://turns.test:{port}")]);
    let line = dialler.line(&turns);
    for _ in 0..3 {
        get(&line, &format!("http://turns.test:{port}/")).await.expect("the first answer stays");
    }
    assert!(turns.egress().iter().all(|one| one.address == "127.0.0.1") && turns.egress().len() == 3);
    // In the next call it has turned, and is refused.
    let error = get(&dialler.line(&turns), &format!("http://turns.test:{port}/")).await.expect_err("it has turned");
    assert!(matches!(error, EgressError::Refused { .. }), "{error}");

    // A pattern never reaches a private address.
    let wide = work(&[&format!("net:http://*.wide.test:{port}")]);
    let error = get(&dialler.line(&wide), &format!("http://inner.wide.test:{port}/")).await.expect_err("private");
    assert!(error.to_string().contains("a loopback address"), "{error}");
    assert!(wide.egress().is_empty());
    held(
        15,
        "dialler",
        "connections went to 127.0.0.1 that was checked; metadata of a mixed set and of a second answer never",
    );
}

#[tokio::test]
async fn case_16_redirects() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/metadata" => Reply::to(302, "http://169.254.169.254/latest/"),
        "/file" => Reply::to(302, "file:///etc/passwd"),
        "/gopher" => Reply::to(301, "gopher://127.0.0.1:70/"),
        "/user" => Reply::to(301, "http://a@127.0.0.1/"),
        "/elsewhere" => Reply::to(307, "http://localhost:1/"),
        "/loop" => Reply::to(302, "/loop"),
        "/post" => Reply::to(303, "/page"),
        "/near" => Reply::to(302, "page"),
        _page => Reply::html("page"),
    })
    .await;
    let dialler = dialler();
    for (path, why) in [
        ("/metadata", "no grant covers it"),
        ("/file", "the scheme file is not http or https"),
        ("/gopher", "the scheme gopher is not http or https"),
        ("/user", "a user before the host"),
        ("/elsewhere", "no grant covers it"),
        ("/loop", "more than 5 redirects"),
    ] {
        let work = work(&[&server.item()]);
        get(&dialler.line(&work), &server.url(path)).await.expect_err(path);
        assert!(refusals(&work).contains(why), "{path}: {}", refusals(&work));
        assert!(work.egress().iter().all(|one| one.port == server.port()), "{path}");
    }
    // Not even where the grant names it.
    let work = work(&[&server.item(), "net:http://169.254.169.254"]);
    get(&dialler.line(&work), &server.url("/metadata")).await.expect_err("metadata");
    assert!(refusals(&work).contains("metadata service"));
    let near = get(&dialler.line(&work), &server.url("/near")).await.expect("within the grant");
    assert_eq!(near.target.url().path(), "/page");
    let post =
        Request { method: http::Method::POST, body: "x".into(), ..Request::get(target(&server.url("/post")), 100) };
    dialler.line(&work).request(post).await.expect("a GET follows");
    let last = server.asked().pop().expect("asked");
    assert_eq!((last.method.as_str(), last.body.as_str()), ("GET", ""));
    held(16, "dialler", "redirects to metadata, file:, gopher:, a user@host and an ungranted host refused; 5 at most");
}

/// A dialler that trusts an authority, and asks a nameserver that knows every name as loopback.
async fn tls_dialler(authority: &Authority) -> (Dialler, Nameserver, tempfile::TempDir) {
    let names = Nameserver::new(|_, _| vec![address("127.0.0.1")]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.pem()).expect("writes");
    let resolver = Resolver::nameserver(names.at).expect("a resolver");
    let settings = Settings {
        resolver,
        authorities: Some(path),
        secrets: vec![("token".to_owned(), "s3cret-value".to_owned().into())],
    };
    (Dialler::new(settings).expect("a dialler"), names, folder)
}

#[tokio::test]
async fn tls_is_with_the_host_that_was_asked_for() {
    let authority = Authority::new();
    let server = Server::with_tls(authority.acceptor(&["good.test"]), |_| Reply::to(302, "http://good.test/")).await;
    let port = server.port();
    let (trusting, names, _folder) = tls_dialler(&authority).await;
    let work =
        work(&[&format!("net:*.test:{port}"), &format!("net:good.test:{port}"), &format!("net:bad.test:{port}")]);
    // A redirect from https to http is refused, which also shows that the answer came.
    let error = get(&trusting.line(&work), &format!("https://good.test:{port}/")).await.expect_err("downgraded");
    assert!(error.to_string().contains("from https to http"), "{error}");
    let error = get(&trusting.line(&work), &format!("https://bad.test:{port}/")).await.expect_err("another's name");
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");
    let error =
        get(&names.dialler().line(&work), &format!("https://good.test:{port}/")).await.expect_err("not trusted");
    assert!(matches!(error, EgressError::Tls { .. }), "{error}");
    assert_eq!(server.asked().len(), 1);
    assert!(Dialler::new(Settings { authorities: Some("/no/such".into()), ..Settings::default() }).is_err());
}

#[tokio::test]
async fn secrets_go_to_their_host_and_header_only() {
    let authority = Authority::new();
    let answer = |asked: &web::Asked| match asked.path.as_str() {
        "/away" => Reply::to(302, "https://other.test/"),
        _page => Reply::of("text/plain", format!("{:?}", asked.headers.get("authorization"))),
    };
    let server = Server::with_tls(authority.acceptor(&["api.test", "other.test"]), answer).await;
    let plain = Server::new(answer).await;
    let port = server.port();
    let (dialler, _names, _folder) = tls_dialler(&authority).await;
    let items = [
        format!("net:api.test:{port}"),
        format!("net:other.test:{port}"),
        plain.item(),
        "secret:token@api.test/authorization".to_owned(),
        "secret:none@api.test/authorization".to_owned(),
        "secret:token@127.0.0.1/authorization".to_owned(),
    ];
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let send = async |url: String, header: &'static str, value: &'static str| {
        let work = work(&items);
        let mut request = Request::get(target(&url), 1_000);
        request.headers.insert(header, value.parse().expect("a value"));
        let answer = dialler.line(&work).request(request).await;
        let noted = format!("{:?} {:?}", work.egress(), work.refusals());
        assert!(!noted.contains("s3cret-value"), "{noted}");
        answer.map_err(|error| error.to_string())
    };
    let marker = "Bearer {{secret:token}}";
    let there = send(format!("https://api.test:{port}/"), "authorization", marker).await.expect("granted");
    assert_eq!(there.body, b"Some(\"Bearer s3cret-value\")");
    let there = send(plain.url("/"), "authorization", marker).await.expect("loopback stays on this machine");
    assert_eq!(there.body, b"Some(\"Bearer s3cret-value\")");
    for (url, header, value, why) in [
        (format!("https://other.test:{port}/"), "authorization", marker, "no grant covers it"),
        (format!("https://api.test:{port}/"), "x-other", marker, "no grant covers it"),
        (format!("https://api.test:{port}/"), "authorization", "{{secret:unknown}}", "no grant covers it"),
        (format!("https://api.test:{port}/"), "authorization", "{{secret:none}}", "the settings have no such secret"),
        (format!("https://api.test:{port}/away"), "authorization", marker, "no grant covers it"),
    ] {
        let error = send(url, header, value).await.expect_err("refused");
        assert!(error.contains(why) && !error.contains("s3cret-value"), "{error}");
    }
    assert_eq!(server.asked().len(), 2, "the refused ones were not made");
}

/// Sends raw bytes to a proxy and gives all that comes back.
async fn through(proxy: &Proxy, line: &Line<'_>, text: String) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(proxy.address().expect("a port")).await.expect("connects");
        stream.write_all(text.as_bytes()).await.expect("sends");
        let mut answer = Vec::new();
        // A connection that is cut is an answer.
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the proxy keeps it open");
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::select! {
        answer = talk => answer,
        never = proxy.serve(line) => match never {},
    }
}

fn credential(proxy: &Proxy) -> String {
    let (user, password) = proxy.credential().expect("a password");
    format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

/// TLS for a name through CONNECT to a host.
async fn tls_through(
    proxy: &Proxy,
    line: &Line<'_>,
    authority: &Authority,
    host: &str,
    name: &str,
) -> Result<String, String> {
    let talk = async {
        let mut stream =
            TcpStream::connect(proxy.address().expect("a port")).await.map_err(|error| error.to_string())?;
        let connect = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", credential(proxy));
        stream.write_all(connect.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).await.map_err(|error| error.to_string())?;
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(answer);
        }
        let mut roots = rustls::RootCertStore::empty();
        use rustls::pki_types::pem::PemObject;
        let pem = authority.pem();
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"))
            .expect("an authority");
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).expect("a name");
        let mut stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    tokio::select! {
        answer = talk => answer,
        never = proxy.serve(line) => match never {},
    }
}

#[tokio::test]
async fn case_17_relayed_connect_and_another_host_header() {
    let authority = Authority::new();
    let server = Server::with_tls(authority.acceptor(&["one.test", "two.test"]), |_| Reply::html("inside")).await;
    let plain = Server::new(|_| Reply::html("plain")).await;
    let port = server.port();
    let (dialler, _names, _folder) = tls_dialler(&authority).await;
    let proxy = Proxy::on_loopback().await.expect("a port");
    let items = [format!("net:one.test:{port}"), format!("net:held.test:{port} GET"), plain.item()];
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let work = work(&items);
    let line = dialler.line(&work);

    let answer =
        tls_through(&proxy, &line, &authority, &format!("one.test:{port}"), "one.test").await.expect("granted");
    assert!(answer.ends_with("inside"), "{answer}");
    assert_eq!((work.egress()[0].address.as_str(), work.egress()[0].method.as_deref()), ("127.0.0.1", None));

    // The name in TLS is another than the one connected to.
    let error = tls_through(&proxy, &line, &authority, &format!("one.test:{port}"), "two.test").await.expect_err("cut");
    assert!(refusals(&work).contains("TLS with two.test through https://one.test"), "{error}: {}", refusals(&work));
    for (host, name) in [("two.test", "two.test"), ("held.test", "held.test")] {
        let error = tls_through(&proxy, &line, &authority, &format!("{host}:{port}"), name).await.expect_err("refused");
        assert!(error.starts_with("HTTP/1.1 403"), "{error}");
    }
    assert_eq!(server.asked().len(), 1);

    let (at, shown) = (plain.at, credential(&proxy));
    let answer = through(&proxy, &line, format!("GET http://{at}/x HTTP/1.1\r\nHost: {at}\r\n{shown}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("plain"), "{answer}");
    assert!(!plain.asked()[0].headers.contains_key("proxy-authorization"));
    for (text, status, why) in [
        (format!("GET http://{at}/ HTTP/1.1\r\nHost: other.test\r\n{shown}\r\n"), "403", "not the host connected to"),
        (format!("GET http://{at}/ HTTP/1.1\r\n{shown}\r\n"), "403", "not the host connected to"),
        (
            format!("GET http://ungranted.test/ HTTP/1.1\r\nHost: ungranted.test\r\n{shown}\r\n"),
            "403",
            "no grant covers it",
        ),
        (format!("GET https://one.test:{port}/ HTTP/1.1\r\nHost: one.test:{port}\r\n{shown}\r\n"), "403", "CONNECT"),
        (format!("GET / HTTP/1.1\r\nHost: {at}\r\n{shown}\r\n"), "403", ""),
        (format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n\r\n"), "407", "a password is needed"),
        (format!("CONNECT one.test:{port} HTTP/1.1\r\n\r\n"), "407", "a password is needed"),
        ("nonsense\r\n\r\n".to_owned(), "400", ""),
    ] {
        let answer = through(&proxy, &line, text.clone()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(why), "{text}{answer}");
    }
    // A second request behind the first is not passed on: it could name another host.
    let two =
        format!("GET http://{at}/1 HTTP/1.1\r\nHost: {at}\r\n{shown}\r\nGET /2 HTTP/1.1\r\nHost: other.test\r\n\r\n");
    through(&proxy, &line, two).await;
    assert_eq!(plain.pages(), ["/x", "/1"]);
    // What is no TLS does not pass.
    let answer =
        through(&proxy, &line, format!("CONNECT one.test:{port} HTTP/1.1\r\n{shown}\r\nGET / HTTP/1.1\r\n\r\n")).await;
    assert!(refusals(&work).contains("is no TLS"), "{answer}");
    held(
        17,
        "proxy",
        "another name in TLS cut before a byte passed, another Host header answered 403, no TLS no passage",
    );
}

#[tokio::test]
async fn case_18_names_carry_little_out() {
    let names = Nameserver::new(|_, _| vec![]).await;
    let dialler = names.dialler();
    let work = work(&["net:*.out.test", "net:exact.test"]);
    let line = dialler.line(&work);
    let stolen = "a".repeat(60);
    for host in [format!("{stolen}.{stolen}.{stolen}.out.test"), "1.2.3.4.5.6.7.out.test".to_owned()] {
        let long = Target::parse(&format!("https://{host}/"));
        assert!(long.is_err(), "{host}");
    }
    // A name that no grant covers is not even looked up.
    get(&line, "https://stolen.elsewhere.test/").await.expect_err("refused");
    assert!(names.asked().is_empty());
    let mut refused = 0;
    for number in 0..40 {
        let error = get(&line, &format!("https://n{number}.out.test/")).await.expect_err("no address");
        refused += usize::from(error.to_string().contains("more than 32 names"));
    }
    let mut asked = names.asked();
    asked.sort();
    asked.dedup();
    assert_eq!((asked.len(), refused), (32, 8));
    held(18, "dialler", "ungranted names not looked up; 128 bytes and 8 labels a name, 32 names a call");
}

#[tokio::test]
async fn case_19_bodies_that_inflate() {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..200 {
        gzip.write_all(&vec![0; 1 << 20]).expect("in memory");
    }
    let bomb = gzip.finish().expect("in memory");
    let length = bomb.len();
    let server = Server::new(move |_| Reply::of("text/plain", bomb.clone()).with("content-encoding", "gzip")).await;
    let (dialler, work) = (dialler(), work(&[&server.item()]));
    let error = get(&dialler.line(&work), &server.url("/")).await.expect_err("a bomb");
    assert!(matches!(error, EgressError::Body { .. }), "{error}");
    held(19, "dialler", &format!("{length} bytes of gzip that are 200 MiB: {error}"));
}

#[tokio::test]
async fn a_tunnel_ends_with_its_bytes_and_with_its_call() {
    let authority = Authority::new();
    let server =
        Server::with_tls(authority.acceptor(&["one.test"]), |_| Reply::of("text/plain", vec![b'a'; 500_000])).await;
    let port = server.port();
    let (dialler, _names, _folder) = tls_dialler(&authority).await;
    let mut grant = grant(&[&format!("net:one.test:{port}")]);
    grant.limits.net_bytes = 50_000;
    let work = Work::new(key(1), grant);
    let proxy = Proxy::on_loopback().await.expect("a port");
    let ended = tls_through(&proxy, &dialler.line(&work), &authority, &format!("one.test:{port}"), "one.test").await;
    assert!(ended.is_err(), "cut");
    assert!(work.egress()[0].received <= 50_000, "{:?}", work.egress());

    // When the call ends, what is open is closed, and what comes later waits in vain.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = listener.local_addr().expect("an address");
    let work = web::work(&[&format!("net:http://{at}")]);
    let line = dialler.line(&work);
    let mut client = TcpStream::connect(proxy.address().expect("a port")).await.expect("connects");
    let ask = format!("GET http://{at}/ HTTP/1.1\r\nHost: {at}\r\n{}\r\n", credential(&proxy));
    client.write_all(ask.as_bytes()).await.expect("sends");
    let upstream = tokio::select! {
        upstream = async {
            let (mut upstream, _) = listener.accept().await.expect("accepts");
            upstream.read_u8().await.expect("a request");
            upstream
        } => upstream,
        never = proxy.serve(&line) => match never {},
    };
    let mut upstream = upstream;
    let closed = async { while upstream.read_u8().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), closed).await.expect("closed to the server");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut rest)).await;
    assert!(closed.is_ok() && rest.is_empty(), "closed to the client");
    assert_eq!(work.egress().len(), 1);
}

#[tokio::test]
async fn a_socket_is_a_proxy_too() {
    let server = Server::new(|_| Reply::html("hello")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("proxy");
    let proxy = Proxy::on_socket(&path).expect("a socket");
    let (dialler, work) = (dialler(), work(&[&server.item()]));
    let line = dialler.line(&work);
    let talk = async {
        let mut stream = tokio::net::UnixStream::connect(&path).await.expect("connects");
        let ask = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", server.url("/"), server.at);
        stream.write_all(ask.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        answer
    };
    let answer = tokio::select! {
        answer = talk => answer,
        never = proxy.serve(&line) => match never {},
    };
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(proxy.url().is_none());
}
