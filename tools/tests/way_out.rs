//! The one way out of jails and containers: what comes through it, what does not, and what is left of it. Servers, names and
//! certificates are of this machine's loopback. The program is its own jails' keeper, and puts up its own gates.

#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod web;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: the way out of jails and containers: only Linux has what they are made of");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if tools::jail::is_child() {
        tools::jail::child();
    }
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fs,
        net::{IpAddr, TcpListener, TcpStream, UdpSocket},
        path::Path,
        process::{Command, ExitCode, Stdio},
        sync::{Arc, OnceLock},
        time::Duration,
    };

    use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
    use common_ground::{
        grant::Limits,
        port::tool::Called,
        record::{Egress, Exit, Limit},
    };
    use libtest_mimic::{Arguments, Trial};
    use serde_json::{Value, json};
    use tokio::runtime::Runtime;
    use tokio_rustls::rustls::{
        ClientConfig, ClientConnection, RootCertStore, crypto::ring::default_provider, pki_types::ServerName,
    };
    use tools::{
        Container, Shell,
        docker::{self, Docker},
        egress::{Dialler, Resolver, Settings},
        jail::{self, Jail},
    };

    use super::{
        engine::{IMAGE, engine},
        hostile::{Caller, file, folder, held, running, said, soon, text},
        web::{Asked, Authority, ENCODED, Nameserver, Reply, Server, address},
    };

    /// Set for the copy of this program that is killed: a tier and a word.
    const VICTIM: &str = "II_TEST_VICTIM";
    /// The answer to CONNECT and nothing after it.
    const ESTABLISHED: usize = "HTTP/1.1 200 Connection established\r\n\r\n".len();
    const SECRET: &str = "s3cret-value";

    #[derive(Clone, Copy, PartialEq)]
    enum Tier {
        Process,
        Docker,
    }

    impl Tier {
        fn name(self) -> &'static str {
            match self {
                Self::Process => "process",
                Self::Docker => "docker",
            }
        }

        /// Why it is not here, where it is not.
        fn missing(self) -> Option<String> {
            static RAN: OnceLock<Result<Vec<String>, String>> = OnceLock::new();
            match self {
                // What the commands of the tests are made of; the image of the containers has its own.
                Self::Process if !["/bin/busybox", "/usr/bin/busybox"].iter().any(|path| Path::new(path).exists()) => {
                    Some("busybox is not installed".to_owned())
                }
                Self::Process => {
                    let probe = || runtime().block_on(Jail::new(jail::Settings::default()).probe()).ran;
                    RAN.get_or_init(probe).clone().err()
                }
                Self::Docker => engine().err().map(str::to_owned),
            }
        }
    }

    type Case = (&'static str, fn(Tier));

    const CASES: &[Case] = &[
        ("the_granted_host_answers", granted),
        ("another_host_does_not", others),
        ("without_hosts_there_is_no_gate", no_gate),
        ("nothing_goes_past_the_gate", past),
        ("case_13_metadata", case_13),
        ("case_14_encoded_addresses", case_14),
        ("case_15_rebinding", case_15),
        ("case_16_redirects", case_16),
        ("case_17_tunnels", case_17),
        ("case_18_long_names", case_18),
        ("bytes_are_limited", bytes),
        ("secrets_go_to_their_host_only", secrets),
        ("a_gate_is_of_one_call", one_call),
        ("no_gate_no_call", fail_closed),
        ("a_dropped_call_leaves_nothing", dropped),
        ("a_killed_program_leaves_nothing", killed),
    ];

    pub fn main() -> ExitCode {
        if let Ok(victim) = std::env::var(VICTIM) {
            self::victim(&victim);
        }
        let trial = |tier: Tier, name: &'static str, case: fn(Tier)| {
            Trial::test(format!("{}::{name}", tier.name()), move || match tier.missing() {
                None => {
                    case(tier);
                    Ok(())
                }
                Some(why) if std::env::var_os("CI").is_some() => Err(why.into()),
                Some(why) => {
                    println!("skipped: {name} in tier {}: {why}", tier.name());
                    Ok(())
                }
            })
        };
        let tiers = [Tier::Process, Tier::Docker];
        let trials = CASES.iter().flat_map(|(name, case)| tiers.map(|tier| trial(tier, name, *case)));
        libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
    }

    /// Where the servers run.
    fn runtime() -> &'static Runtime {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        RUNTIME.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            runtime.expect("a runtime")
        })
    }

    fn limits() -> Limits {
        Limits { wall_ms: 60_000, ..Limits::USUAL }
    }

    enum Tool {
        Process(Caller<Shell>),
        Docker(Caller<Container>),
    }

    /// A tool, its nameserver and a server.
    struct World {
        tool: Tool,
        names: Nameserver,
        server: Server,
    }

    fn tool(tier: Tier, dialler: Dialler) -> Tool {
        let dialler = Arc::new(dialler);
        match tier {
            Tier::Process => Tool::Process(Caller::new(Shell::new(jail::Settings::default(), dialler))),
            Tier::Docker => {
                Tool::Docker(Caller::new(Container::new(Arc::new(Docker::new(docker_settings())), dialler)))
            }
        }
    }

    fn docker_settings() -> docker::Settings {
        let host = engine().expect("an engine").to_owned();
        docker::Settings { host: Some(host), image: Some(IMAGE.to_owned()), ..docker::Settings::default() }
    }

    impl World {
        fn new(
            tier: Tier,
            names: impl Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static,
            pages: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        ) -> Self {
            let (names, server) =
                runtime().block_on(async { (Nameserver::new(names).await, Server::new(pages).await) });
            let resolver = Resolver::nameserver(names.at).expect("a resolver");
            let secrets = vec![("token".to_owned(), SECRET.to_owned().into())];
            let dialler = Dialler::new(Settings { resolver, authorities: None, secrets }).expect("a dialler");
            Self { tool: tool(tier, dialler), names, server }
        }

        /// One server, and every name is loopback's.
        fn usual(tier: Tier) -> Self {
            Self::new(tier, |_, _| vec![address("127.0.0.1")], |_| Reply::html("hello"))
        }

        fn at(&self, host: &str) -> String {
            format!("http://{host}:{}", self.server.port())
        }

        fn run(&self, line: &str, net: &[&str]) -> Called {
            self.run_with(line, net, &[], limits())
        }

        fn run_with(&self, line: &str, net: &[&str], items: &[String], limits: Limits) -> Called {
            self.tool.runtime().block_on(self.tool.running(line, net, items, limits))
        }
    }

    impl Tool {
        fn runtime(&self) -> &Runtime {
            match self {
                Self::Process(caller) => &caller.runtime,
                Self::Docker(caller) => &caller.runtime,
            }
        }

        async fn running(&self, line: &str, net: &[&str], items: &[String], limits: Limits) -> Called {
            let arguments = |command: Value| match net {
                [] => json!({ "command": command }),
                net => json!({ "command": command, "net": net }),
            };
            match self {
                Self::Process(caller) => caller.calling(&arguments(json!(line)), items, limits).await,
                Self::Docker(caller) => caller.calling(&arguments(json!(["sh", "-c", line])), items, limits).await,
            }
        }
    }

    /// A command line that asks the proxy for this, and shows all it answers.
    fn ask(words: &[String]) -> String {
        let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        format!("printf '%s\\r\\n' {} '' | busybox nc 127.0.0.1 3128", words.join(" "))
    }

    fn get(url: &str) -> String {
        let host = url.split('/').nth(2).unwrap_or_default();
        ask(&[format!("GET {url} HTTP/1.1"), format!("Host: {host}")])
    }

    fn connect(authority: &str) -> String {
        ask(&[format!("CONNECT {authority} HTTP/1.1"), format!("Host: {authority}")])
    }

    fn refusals(called: &Called) -> String {
        let all = &called.record.refusals;
        all.iter().map(|denial| format!("{}: {}\n", denial.what, denial.why)).collect()
    }

    fn granted(tier: Tier) {
        let world = World::usual(tier);
        let called = world.run(&format!("busybox wget -q -O - {}/a", world.at("one.test")), &[&world.at("one.test")]);
        assert_eq!((said(&called).as_str(), called.record.exit), ("hello", Exit::Done), "{}", text(&called));
        let [Egress { host, address, port, method, item, sent, received, .. }] = called.record.egress.as_slice() else {
            panic!("{:?}", called.record.egress)
        };
        assert_eq!((host.as_str(), address.as_str(), *port), ("one.test", "127.0.0.1", world.server.port()));
        assert_eq!((method.as_deref(), item.to_string()), (Some("GET"), format!("net:{}", world.at("one.test"))));
        assert!(*sent > 10 && *received > 10);
        assert!(called.record.held.iter().any(|held| held.contains("the proxy of this call")));
        assert_eq!(world.server.pages(), ["/a"]);
        // Many at once, and a person's own proxy is not in the way.
        let url = world.at("one.test");
        let line = format!("for i in 1 2 3 4 5 6 7 8; do busybox wget -q -O - {url}/$i & done; wait; env");
        let called = world.run_with(&line, &[&url], &["env:http_proxy".to_owned()], limits());
        assert_eq!(said(&called).matches("hello").count(), 8, "{}", text(&called));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"] {
            assert!(said(&called).contains(&format!("{name}=http://127.0.0.1:3128\n")), "{}", text(&called));
        }
        if tier == Tier::Process {
            whole_tls(tier);
        }
        let median = |net: &[&str]| {
            let mut times: Vec<u64> = (0..5).map(|_| world.run("true", net).record.spent.wall_ms).collect();
            times.sort_unstable();
            times[2]
        };
        println!(
            "way out: {} the granted host answers, nine times; a call of `true` takes {} ms, with a gate {} ms",
            tier.name(),
            median(&[]),
            median(&[&url])
        );
    }

    /// A whole exchange over TLS by an ordinary client, where there is one.
    fn whole_tls(tier: Tier) {
        if !Path::new("/usr/bin/curl").exists() {
            println!("skipped: TLS by curl: it is not installed");
            assert!(std::env::var_os("CI").is_none(), "CI has curl");
            return;
        }
        let place = folder();
        let authority = Authority::new();
        let ca = file(place.path().join("ca.pem"), &authority.pem());
        let acceptor = authority.acceptor(&["good.test"]);
        let server = runtime().block_on(Server::with_tls(acceptor, |_| Reply::html("over TLS")));
        let world = World::usual(tier);
        let host = format!("good.test:{}", server.port());
        let line = format!("curl -sS --cacert {} https://{host}/", ca.display());
        let called = world.run_with(&line, &[&host], &[format!("read:{}", ca.display())], limits());
        assert_eq!(said(&called), "over TLS", "{}", refusals(&called));
        assert_eq!(called.record.egress[0].method, None, "nobody saw a method");
    }

    fn others(tier: Tier) {
        let world = World::usual(tier);
        let (one, two, three) = (world.at("one.test"), world.at("two.test"), world.at("three.test"));
        // Named and granted; granted and not named; neither.
        let line = [&one, &two, &three].map(|url| get(&format!("{url}/"))).join("; ");
        let called = world.run_with(&line, &[&one], &[format!("net:{two}")], limits());
        assert_eq!(said(&called).matches("HTTP/1.1 200 OK").count(), 1, "{}", text(&called));
        assert_eq!(said(&called).matches("HTTP/1.1 403 Forbidden").count(), 2, "{}", text(&called));
        let noted = refusals(&called);
        assert!(noted.contains(&format!("net:{two} GET: the call did not name it")), "{noted}");
        assert!(noted.contains(&format!("net:{three} GET: no grant covers it")), "{noted}");
        assert_eq!(called.record.egress.len(), 1);
        println!("way out: {} another host is refused, named or granted", tier.name());
    }

    fn no_gate(tier: Tier) {
        let world = World::usual(tier);
        let item = format!("net:{}", world.at("one.test"));
        let line = format!("env | grep -i proxy; {}; echo $?", get(&world.at("one.test")));
        let called = world.run_with(&line, &[], &[item], limits());
        assert!(!text(&called).contains("HTTP/1.1") && !text(&called).contains("3128\n"), "{}", text(&called));
        assert!(called.record.egress.is_empty() && world.server.asked().is_empty());
    }

    /// An address of this machine that is not loopback's; no packet is sent to find it.
    fn own_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    }

    fn past(tier: Tier) {
        let world = World::usual(tier);
        let url = world.at("one.test");
        let mut tries =
            vec![format!("127.0.0.1 {}", world.server.port()), format!("localhost {}", world.server.port())];
        let outer = own_address().map(|address| {
            let listener = TcpListener::bind((address, 0)).expect("a listener");
            listener.set_nonblocking(true).expect("set");
            tries.push(format!("{address} {}", listener.local_addr().expect("an address").port()));
            listener
        });
        tries.extend(["169.254.169.254 80", "172.17.0.1 80", "192.0.2.1 80"].map(str::to_owned));
        let direct: Vec<String> =
            tries.iter().map(|to| format!("busybox nc -w 2 {to} </dev/null && echo through")).collect();
        let called = world.run(&direct.join("; "), &[&url]);
        assert!(!text(&called).contains("through"), "{}", text(&called));
        assert!(world.server.asked().is_empty() && called.record.egress.is_empty());
        assert!(outer.is_none_or(|listener| listener.accept().is_err()), "somebody came through");
        // Neither raw sockets nor rights over the namespace; and no name is asked for inside.
        let line = "busybox arping -c 1 -w 1 -I lo 127.0.0.1 && echo did; busybox ping -c 1 -W 1 192.0.2.1 && echo did; \
                    busybox ip link set lo down && echo did; busybox ip addr add 192.0.2.2/24 dev lo && echo did; \
                    busybox ip link add x type dummy && echo did; busybox ip route add default dev lo && echo did; \
                    busybox nslookup one.test && echo did; tail -n +3 /proc/net/dev | cut -d: -f1";
        let line = if tier == Tier::Process { line } else { &line.replace("| cut -d: -f1", "") };
        let called = world.run(line, &[&url]);
        assert!(!text(&called).contains("did\n"), "{}", text(&called));
        assert!(!text(&called).contains("eth0"), "{}", text(&called));
        assert!(world.names.asked().is_empty());
        if tier == Tier::Process {
            kinds_of_sockets(&world, &url);
        }
        println!("way out: {} {} direct addresses not reached, no raw socket", tier.name(), tries.len());
    }

    fn kinds_of_sockets(world: &World, url: &str) {
        use nix::libc;
        for (family, kind) in [
            (libc::AF_UNIX, libc::SOCK_STREAM),
            (libc::AF_NETLINK, libc::SOCK_RAW),
            (libc::AF_PACKET, libc::SOCK_RAW),
            (libc::AF_VSOCK, libc::SOCK_STREAM),
            (libc::AF_INET, libc::SOCK_RAW),
            (libc::AF_INET6, libc::SOCK_RAW),
        ] {
            let line = format!("perl -e 'print syscall({}, {family}, {kind}, 0), \" \", $!+0'", libc::SYS_socket);
            assert_eq!(said(&world.run(&line, &[url])), format!("-1 {}", libc::EPERM), "{family} {kind}");
        }
        // Landlock holds ports too: nothing but the gate, and nobody listens.
        let line = "(busybox nc -w 1 -l -p 4000 </dev/null && echo listened) 2>&1; busybox nc -w 1 127.0.0.1 80 2>&1";
        let called = world.run(line, &[url]);
        assert!(!text(&called).contains("listened"), "{}", text(&called));
    }

    fn case_13(tier: Tier) {
        let world = World::new(
            tier,
            |_, _| vec![address("169.254.169.254"), address("fd00:ec2::254")],
            |_| Reply::html("hello"),
        );
        // Named and granted in so many words, and refused all the same.
        let hosts = [
            "http://169.254.169.254",
            "http://100.100.100.200",
            "http://[fd00:ec2::254]",
            "http://metadata.google.internal",
            "http://innocent.test",
        ];
        let mut lines: Vec<String> = hosts.iter().map(|url| get(&format!("{url}/latest/meta-data/"))).collect();
        lines.push(connect("169.254.169.254:443"));
        let mut net = hosts.to_vec();
        net.push("169.254.169.254");
        let called = world.run(&lines.join("; "), &net);
        assert_eq!(said(&called).matches("HTTP/1.1 403 Forbidden").count(), 6, "{}", text(&called));
        assert!(refusals(&called).matches("metadata service").count() >= 6, "{}", refusals(&called));
        assert!(called.record.egress.is_empty(), "{:?}", called.record.egress);
        held("case_13_metadata", tier.name(), "six exact grants by v4, v6, name and CONNECT: each refused unconnected");
    }

    fn case_14(tier: Tier) {
        let world = World::usual(tier);
        let port = world.server.port();
        let lines: Vec<String> = ENCODED
            .iter()
            .flat_map(|host| [get(&format!("http://{host}:{port}/")), connect(&format!("{host}:{port}"))])
            .collect();
        let called = world.run(&lines.join("; "), &[&world.at("one.test")]);
        assert!(!text(&called).contains("HTTP/1.1 200"), "{}", text(&called));
        assert!(called.record.egress.is_empty() && world.server.asked().is_empty(), "{:?}", called.record.egress);
        held(
            "case_14_encoded_addresses",
            tier.name(),
            format_args!("{} spellings, plain and through CONNECT, none reached without its grant", ENCODED.len()),
        );
    }

    fn case_15(tier: Tier) {
        let world = World::new(
            tier,
            |name, before| match (name, before) {
                ("mixed.test", _) => vec![address("169.254.169.254"), address("127.0.0.1")],
                ("turns.test", 0) => vec![address("127.0.0.1")],
                _turned => vec![address("169.254.169.254")],
            },
            |_| Reply::html("hello"),
        );
        let (mixed, turns) = (world.at("mixed.test"), world.at("turns.test"));
        let line = [&mixed, &turns, &turns].map(|url| get(&format!("{url}/"))).join("; ");
        let called = world.run(&line, &[&mixed, &turns]);
        assert_eq!(said(&called).matches("HTTP/1.1 200 OK").count(), 3, "{}", text(&called));
        assert!(called.record.egress.iter().all(|one| one.address == "127.0.0.1"), "{:?}", called.record.egress);
        assert!(
            refusals(&called).contains("169.254.169.254: the address of a metadata service"),
            "{}",
            refusals(&called)
        );
        let called = world.run(&get(&format!("{turns}/")), &[&turns]);
        assert!(said(&called).contains("HTTP/1.1 403") && called.record.egress.is_empty(), "{}", text(&called));
        held(
            "case_15_rebinding",
            tier.name(),
            "connections went to 127.0.0.1 that was checked; metadata of a mixed set and of a later answer never",
        );
    }

    fn case_16(tier: Tier) {
        let world = World::new(
            tier,
            |_, _| vec![address("127.0.0.1")],
            |asked| match asked.path.as_str() {
                "/metadata" => Reply::to(302, "http://169.254.169.254/latest/"),
                "/elsewhere" => Reply::to(302, "http://elsewhere.test/"),
                "/file" => Reply::to(302, "file:///etc/passwd"),
                "/near" => Reply::to(302, "/page"),
                _page => Reply::html("page"),
            },
        );
        let url = world.at("one.test");
        let wget = |path: &str| format!("busybox wget -q -O - {url}{path}");
        let line = ["/metadata", "/elsewhere", "/file"].map(wget).join("; ");
        let called = world.run(&line, &[&url]);
        assert!(!text(&called).contains("page") && !text(&called).contains("root:"), "{}", text(&called));
        let noted = refusals(&called);
        assert!(noted.contains("net:http://169.254.169.254:80") && noted.contains("elsewhere.test"), "{noted}");
        assert!(called.record.egress.iter().all(|one| one.port == world.server.port()));
        assert_eq!(said(&world.run(&wget("/near"), &[&url])), "page");
        held("case_16_redirects", tier.name(), "each is a request of its own: metadata and another host refused");
    }

    /// How a client of TLS begins that asks for this host.
    fn hello(name: &str) -> Vec<u8> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut client = ClientConnection::new(Arc::new(config), name).expect("a client");
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("written");
        bytes
    }

    fn case_17(tier: Tier) {
        let place = folder();
        let authority = Authority::new();
        let acceptor = authority.acceptor(&["good.test", "bad.test"]);
        let tls = runtime().block_on(Server::with_tls(acceptor, |_| Reply::html("hello")));
        let world = World::usual(tier);
        let port = tls.port();
        for name in ["good.test", "bad.test"] {
            fs::write(file(place.path().join(format!("hello/{name}")), ""), hello(name)).expect("written");
        }
        let hellos = place.path().join("hello").display().to_string();
        let through = |authority: &str, then: &str, then_for: u8| {
            format!(
                "(printf '%s\\r\\n' 'CONNECT {authority} HTTP/1.1' 'Host: {authority}' ''; {then}; sleep {then_for}) \
                 | busybox nc 127.0.0.1 3128 | wc -c"
            )
        };
        let host = format!("good.test:{port}");
        let run = |line: &str| {
            let called = world.run_with(line, &[&host], &[format!("read:{hellos}")], limits());
            let count: usize = said(&called).trim().parse().unwrap_or_else(|_| panic!("{}", text(&called)));
            (called, count)
        };
        let (called, count) = run(&through(&host, &format!("cat {hellos}/good.test"), 5));
        assert!(count > ESTABLISHED + 100, "the server answers: {count}, {}", refusals(&called));
        for (then, why) in [
            (format!("cat {hellos}/bad.test"), "it is not the host connected to"),
            // A tunnel within a tunnel, and a request in the clear.
            ("printf 'CONNECT bad.test:443 HTTP/1.1\\r\\n\\r\\n'".to_owned(), "is no TLS"),
            ("printf 'GET / HTTP/1.1\\r\\nHost: bad.test\\r\\n\\r\\n'".to_owned(), "is no TLS"),
        ] {
            let (called, count) = run(&through(&host, &then, 1));
            assert_eq!(count, ESTABLISHED, "{then}");
            assert!(refusals(&called).contains(why), "{}", refusals(&called));
            assert!(called.record.egress[0].sent == 0, "{:?}", called.record.egress);
        }
        let plain = world.at("one.test");
        let lines = [
            connect(&format!("bad.test:{port}")),
            connect(&format!("good.test:{}", port ^ 1)),
            ask(&[format!("GET {plain}/ HTTP/1.1"), "Host: two.test".to_owned()]),
            ask(&[format!("GET https://{host}/ HTTP/1.1"), format!("Host: {host}")]),
            ask(&["GET / HTTP/1.1".to_owned(), "Host: one.test".to_owned()]),
        ];
        let called = world.run(&lines.join("; "), &[&host, &plain]);
        assert_eq!(said(&called).matches("HTTP/1.1 403 Forbidden").count(), lines.len(), "{}", text(&called));
        assert!(world.server.asked().is_empty() && tls.asked().is_empty());
        held(
            "case_17_tunnels",
            tier.name(),
            "TLS for another host, tunnels in tunnels, clear text, other ports and other Host headers all refused",
        );
    }

    fn case_18(tier: Tier) {
        let world = World::usual(tier);
        let label = "0123456789abcdef".repeat(3);
        let names = [
            format!("{label}.{label}.{label}.one.test"),
            format!("{label}.example.org"),
            "a.b.c.d.e.f.g.h.i.one.test".to_owned(),
        ];
        let mut lines: Vec<String> = names.iter().map(|name| get(&format!("http://{name}/"))).collect();
        lines.extend(names.iter().map(|name| format!("busybox nslookup {name}; busybox nslookup {name} 127.0.0.1")));
        let called = world.run(&lines.join("; "), &[&world.at("one.test")]);
        assert_eq!(said(&called).matches("HTTP/1.1 403 Forbidden").count(), names.len(), "{}", text(&called));
        assert!(world.names.asked().is_empty(), "{:?}", world.names.asked());
        held("case_18_long_names", tier.name(), "no name is asked for, by the proxy or inside");
    }

    fn bytes(tier: Tier) {
        let world = World::new(
            tier,
            |_, _| vec![address("127.0.0.1")],
            |_| Reply::of("application/octet-stream", vec![b'a'; 400_000]),
        );
        let url = world.at("one.test");
        let tight = Limits { net_bytes: 50_000, ..limits() };
        let line = format!("busybox wget -q -O - {url}/ | wc -c; sleep 1000");
        let called = world.run_with(&line, &[&url], &[], tight);
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Net }, "{}", text(&called));
        assert!(called.record.egress.iter().map(|one| one.received).sum::<u64>() <= 50_000);
        assert!(called.record.spent.wall_ms < 45_000, "ended by it, and not by time");
        // What is sent counts by itself.
        let line = format!(
            "head -c 300000 /dev/zero > /tmp/much; busybox wget -q -O - --post-file /tmp/much {url}/ | wc -c; sleep 1000"
        );
        let called = world.run_with(&line, &[&url], &[], tight);
        assert_eq!(called.record.exit, Exit::Limit { limit: Limit::Net }, "{}", text(&called));
        assert!(called.record.egress.iter().map(|one| one.sent).sum::<u64>() <= 50_000);
        println!("way out: {} 50000 bytes in each direction, then the call ends", tier.name());
    }

    fn secrets(tier: Tier) {
        let world = World::usual(tier);
        let url = format!("http://127.0.0.1:{}", world.server.port());
        let request =
            |header: &str| ask(&[format!("GET {url}/ HTTP/1.1"), format!("Host: {}", &url[7..]), header.to_owned()]);
        let granted = ["secret:token@127.0.0.1/authorization".to_owned()];
        let marked = "Authorization: Bearer {{secret:token}}";
        let called = world.run_with(&request(marked), &[&url], &granted, limits());
        assert!(said(&called).contains("HTTP/1.1 200"), "{}", text(&called));
        assert_eq!(world.server.asked()[0].headers["authorization"], format!("Bearer {SECRET}"));
        assert!(!text(&called).contains(SECRET));
        // Not without a grant, not in another header.
        for (header, items) in [(marked, &[][..]), ("X-Other: {{secret:token}}", &granted[..])] {
            let called = world.run_with(&request(header), &[&url], items, limits());
            assert!(said(&called).contains("HTTP/1.1 403"), "{}", text(&called));
            assert!(refusals(&called).contains("no grant covers it"), "{}", refusals(&called));
        }
        assert_eq!(world.server.asked().len(), 1);
    }

    /// A word of a case in a tier, which is in the command lines of no other's processes.
    fn word(tier: Tier, case: u32) -> String {
        let case = if tier == Tier::Process { case } else { case + 10 };
        format!("{case}{}", std::process::id())
    }

    fn one_call(tier: Tier) {
        let world = World::usual(tier);
        let (one, two) = (world.at("one.test"), world.at("two.test"));
        let word = word(tier, 3128);
        world.tool.runtime().block_on(async {
            let named = [one.as_str()];
            let (first, (second, third)) = (format!("sleep {word}"), (get(&one), get(&one)));
            let others = async {
                while running(&word) == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                let without = world.tool.running(&second, &[], &[], limits()).await;
                assert!(!text(&without).contains("HTTP/1.1"), "{}", text(&without));
                // One with a gate of its own goes where it said itself.
                let with = world.tool.running(&third, &[&two], &[], limits()).await;
                assert!(said(&with).contains("HTTP/1.1 403"), "{}", text(&with));
                // Nor is it in the namespace of this machine.
                assert!(TcpStream::connect("127.0.0.1:3128").is_err());
            };
            tokio::select! {
                called = world.tool.running(&first, &named, &[], limits()) => panic!("{}", text(&called)),
                () = others => {}
            }
        });
        soon("the first is gone", || running(&word) == 0);
        assert!(world.server.asked().is_empty());
        println!("way out: {} a gate is of its own call", tier.name());
    }

    fn fail_closed(tier: Tier) {
        let dialler = || Arc::new(Dialler::new(Settings::default()).expect("a dialler"));
        // A keeper that puts nothing up.
        for keeper in ["/bin/busybox", "/nowhere"] {
            let called = match tier {
                Tier::Process => {
                    let settings = jail::Settings { keeper: keeper.into(), ..jail::Settings::default() };
                    let arguments = json!({ "command": "echo ran", "net": ["a.test"] });
                    Caller::new(Shell::new(settings, dialler())).call(&arguments, &[], limits())
                }
                Tier::Docker => {
                    let settings = docker::Settings { keeper: keeper.into(), ..docker_settings() };
                    let arguments = json!({ "command": ["echo", "ran"], "net": ["a.test"] });
                    let docker = Arc::new(Docker::new(settings));
                    Caller::new(Container::new(docker, dialler())).call(&arguments, &[], limits())
                }
            };
            assert_eq!(called.record.exit, Exit::Refused, "{}", text(&called));
            assert!(!text(&called).contains("ran\n"), "{}", text(&called));
        }
        println!("way out: {} without a gate there is no call", tier.name());
    }

    /// Folders of gates that are there now.
    fn sockets() -> Vec<String> {
        let entries = fs::read_dir(std::env::temp_dir()).expect("a folder").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("ii-gate-")).collect()
    }

    /// Whether anybody is in this network namespace.
    fn is_inhabited(namespace: &str) -> bool {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut links = processes.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
        links.any(|link| link.to_string_lossy() == namespace)
    }

    /// The namespace of whoever has this word among its arguments.
    fn namespace_of(word: &str) -> Option<String> {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let has = |path: &Path| {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
        };
        let process = processes.map(|entry| entry.path()).find(|path| has(path))?;
        Some(fs::read_link(process.join("ns/net")).ok()?.to_string_lossy().into_owned())
    }

    /// Names of containers of ours.
    async fn containers() -> Vec<String> {
        let api = bollard::Docker::connect_with_host(engine().expect("an engine")).expect("an engine");
        let ours = std::collections::HashMap::from([("label".to_owned(), vec!["ii.run".to_owned()])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
        let listed = api.list_containers(Some(options)).await.expect("a list");
        listed.into_iter().flat_map(|one| one.names.unwrap_or_default()).collect()
    }

    /// The container that runs this word, and whose network it has.
    async fn pair(word: &str) -> Option<[String; 2]> {
        let api = bollard::Docker::connect_with_host(engine().expect("an engine")).expect("an engine");
        for name in containers().await {
            let Ok(about) = api.inspect_container(&name[1..], None::<InspectContainerOptions>).await else { continue };
            if about.args.unwrap_or_default().iter().any(|one| one.contains(word)) {
                let mode = about.host_config?.network_mode?;
                let keeper = mode.strip_prefix("container:")?;
                let keeper = api.inspect_container(keeper, None::<InspectContainerOptions>).await.ok()?.name?;
                return Some([name, keeper]);
            }
        }
        None
    }

    fn dropped(tier: Tier) {
        let world = World::usual(tier);
        let url = world.at("one.test");
        let word = word(tier, 3129);
        let line = format!("trap '' TERM; {}; sleep {word}", get(&url));
        let named = [url.as_str()];
        let mut namespace = None;
        let mut made = Vec::new();
        world.tool.runtime().block_on(async {
            let up = async {
                while running(&word) == 0 {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                namespace = namespace_of(&word);
                if tier == Tier::Docker {
                    made.extend(pair(&word).await.expect("a container and its keeper"));
                }
            };
            tokio::select! {
                called = world.tool.running(&line, &named, &[], limits()) => panic!("{}", text(&called)),
                () = up => {}
            }
        });
        assert_eq!(world.server.asked().len(), 1);
        let namespace = namespace.expect("a namespace");
        let took = soon("nobody is left", || running(&word) == 0 && !is_inhabited(&namespace));
        if tier == Tier::Docker {
            let runtime = world.tool.runtime();
            soon("no container is left", || {
                let left = runtime.block_on(containers());
                made.iter().all(|name| !left.contains(name))
            });
        }
        let mine = format!("ii-gate-{}-", std::process::id());
        soon("no socket is left", || sockets().iter().all(|name| !name.starts_with(&mine)));
        held("cancel", tier.name(), format_args!("gate and namespace gone after {} ms", took.as_millis()));
    }

    /// What the program does that is killed.
    fn victim(tier_and_word: &str) -> ! {
        let (tier, word) = tier_and_word.split_once(' ').expect("a tier and a word");
        let tier = if tier == "process" { Tier::Process } else { Tier::Docker };
        let world = World::usual(tier);
        let url = world.at("one.test");
        let called = world.run(&format!("{}; sleep {word}", get(&url)), &[&url]);
        panic!("{}", text(&called))
    }

    fn killed(tier: Tier) {
        let word = word(tier, 3130);
        let me = std::env::current_exe().expect("a program");
        let mut command = Command::new(me);
        command.env(VICTIM, format!("{} {word}", tier.name())).stdout(Stdio::null()).stderr(Stdio::null());
        let mut victim = command.spawn().expect("started");
        soon("it runs", || running(&word) > 0);
        let namespace = namespace_of(&word).expect("a namespace");
        victim.kill().expect("killed");
        victim.wait().expect("waited");
        if tier == Tier::Docker {
            let docker = Docker::new(docker_settings());
            runtime().block_on(docker.sweep()).expect("swept");
            let his = format!("/ii-{}-", victim.id());
            let left = runtime().block_on(containers());
            assert!(left.iter().all(|name| !name.starts_with(&his)), "{left:?}");
        }
        let took = soon("nobody is left", || running(&word) == 0 && !is_inhabited(&namespace));
        let his = format!("ii-gate-{}-", victim.id());
        assert!(sockets().iter().all(|name| !name.starts_with(&his)), "{:?}", sockets());
        held("killed", tier.name(), format_args!("gate and namespace gone {} ms after kill -9", took.as_millis()));
    }
}
