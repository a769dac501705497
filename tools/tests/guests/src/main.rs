//! A hostile guest: does the one thing its argument `act` names, and says how it went.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    time::Duration,
};

use serde_json::Value;
use wasip2::{
    http::{
        outgoing_handler,
        types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
    io::streams::StreamError,
};

fn main() {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).expect("arguments");
    let arguments: Value = serde_json::from_str(&text).expect("JSON");
    let word = |name: &str| arguments[name].as_str().unwrap_or("").to_owned();
    let (path, to) = (word("path"), word("to"));
    match word("act").as_str() {
        "spin" => loop {
            std::hint::spin_loop();
        },
        "sleep" => std::thread::sleep(Duration::from_secs(3_600)),
        "yield" => loop {
            std::thread::sleep(Duration::ZERO);
        },
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
            }
        }
        "flood" => loop {
            io::stdout().write_all(&[b'x'; 4096]).expect("written");
        },
        "flood both" => loop {
            io::stdout().write_all(b"x").expect("written");
            io::stderr().write_all(&[b'y'; 4096]).expect("written");
        },
        "fill" => {
            let mut file = File::create(format!("{path}/fill")).expect("made");
            loop {
                file.write_all(&[0; 65_536]).expect("written");
            }
        }
        "inodes" => {
            for n in 0.. {
                File::create(format!("{path}/{n}")).expect("made");
            }
        }
        "folders" => {
            for n in 0.. {
                fs::create_dir(format!("{path}/{n}")).expect("made");
            }
        }
        "sparse" => File::create(format!("{path}/sparse")).expect("made").set_len(1 << 40).expect("set"),
        "seek" => {
            use std::io::Seek;
            let mut file = File::create(format!("{path}/seek")).expect("made");
            file.seek(io::SeekFrom::Start(1 << 40)).expect("sought");
            file.write_all(b"x").expect("written");
        }
        "files" => {
            let mut all = Vec::new();
            loop {
                all.push(File::open(&path).expect("opened"));
            }
        }
        "read" => tell("read", fs::read_to_string(&path)),
        "read many" => {
            let mut seen = std::collections::BTreeMap::<String, u32>::new();
            for _ in 0..arguments["times"].as_u64().unwrap_or(1) {
                *seen.entry(fs::read_to_string(&path).unwrap_or_else(|_| "refused".to_owned())).or_default() += 1;
            }
            println!("{seen:?}");
        }
        "read all" => {
            for path in arguments["paths"].as_array().expect("paths") {
                tell("read", fs::read_to_string(path.as_str().expect("text")));
            }
        }
        "list" => tell(
            "list",
            fs::read_dir(&path).map(|all| {
                all.map(|one| format!("{:?}", one.map(|one| one.file_name()))).collect::<Vec<_>>().join(" ")
            }),
        ),
        "write" => tell("write", fs::write(&path, word("text")).map(|()| "done".to_owned())),
        "remove" => tell("remove", fs::remove_file(&path).map(|()| "done".to_owned())),
        "make" => tell("make", fs::create_dir(&path).map(|()| "done".to_owned())),
        "rename" => tell("rename", fs::rename(&path, &to).map(|()| "done".to_owned())),
        "link" => tell("link", fs::hard_link(&path, &to).map(|()| "done".to_owned())),
        #[allow(deprecated)]
        "symlink" => tell("symlink", fs::soft_link(&path, &to).map(|()| "done".to_owned())),
        "truncate" => {
            tell("truncate", OpenOptions::new().write(true).truncate(true).open(&path).map(|_| "done".to_owned()))
        }
        "append" => tell(
            "append",
            OpenOptions::new()
                .append(true)
                .open(&path)
                .and_then(|mut file| file.write_all(b"x"))
                .map(|()| "done".to_owned()),
        ),
        "environment" => {
            println!("{:?} {:?}", std::env::vars().collect::<Vec<_>>(), std::env::args().collect::<Vec<_>>());
            for path in ["/proc/1/environ", "/proc/self/environ", "/etc/passwd", "."] {
                tell(path, fs::read_to_string(path));
            }
        }
        "network" => {
            tell("connect", TcpStream::connect("169.254.169.254:80").map(|_| "connected".to_owned()));
            tell("connect", TcpStream::connect("127.0.0.1:80").map(|_| "connected".to_owned()));
            tell("connect6", TcpStream::connect("[fd00:ec2::254]:80").map(|_| "connected".to_owned()));
            tell("listen", TcpListener::bind("127.0.0.1:0").map(|_| "bound".to_owned()));
            tell("datagram", UdpSocket::bind("0.0.0.0:0").map(|_| "bound".to_owned()));
        }
        "names" => {
            let name = format!("{}.example.org:80", "secret-data".repeat(5));
            tell("name", name.to_socket_addrs().map(|all| format!("{:?}", all.collect::<Vec<_>>())));
        }
        "addresses" => {
            for address in
                ["0x7f.1:80", "2130706433:80", "0177.0.0.1:80", "[::ffff:127.0.0.1]:80", "0.0.0.0:80", "localhost.:80"]
            {
                tell(address, TcpStream::connect(address).map(|_| "connected".to_owned()));
            }
        }
        // `path`, then `to`, then `more` in turn.
        "ask" => {
            let many = arguments["more"].as_array().cloned().unwrap_or_default();
            let many = many.iter().filter_map(|one| one.as_str().map(str::to_owned));
            for url in [path, to].into_iter().chain(many).filter(|url| !url.is_empty()) {
                match ask(&url, &word("method"), &word("header"), arguments["body"].as_u64().unwrap_or(0)) {
                    Ok(answer) => println!("{url}: {answer}"),
                    Err(why) => println!("{url}: refused: {why}"),
                }
            }
        }
        // Where a redirect leads is a request of its own.
        "follow" => {
            let mut url = path;
            for _ in 0..3 {
                match ask(&url, "GET", "", 0) {
                    Ok(answer) => {
                        println!("{url}: {answer}");
                        let Some((_, to)) = answer.split_once("location ") else { break };
                        url = to.to_owned();
                    }
                    Err(why) => {
                        println!("{url}: refused: {why}");
                        break;
                    }
                }
            }
        }
        "say" => print!("{}", word("text")),
        "long" => print!("HEAD{}TAIL", "x".repeat(arguments["times"].as_u64().unwrap_or(0) as usize)),
        "senses" => {
            let mut seen: Vec<String> = std::collections::HashSet::from(["a", "b", "c", "d", "e", "f", "g", "h"])
                .into_iter()
                .map(str::to_owned)
                .collect();
            seen.push(format!("{:?}", std::time::SystemTime::now()));
            seen.push(format!("{}", f64::NAN.to_bits() ^ (0.0_f64 / std::hint::black_box(0.0)).to_bits()));
            println!("{}", seen.join(" "));
        }
        "panic" => panic!("no more"),
        "deep" => println!("{}", deep(1)),
        "exit" => std::process::exit(1),
        other => println!("there is no act {other}"),
    }
}

fn tell(what: &str, how: io::Result<String>) {
    match how {
        Ok(text) => println!("{what}: {text}"),
        Err(error) => println!("{what}: refused: {error}"),
    }
}

/// Makes a request with so many bytes of body, and gives the status and the body, or where it redirects to.
fn ask(url: &str, method: &str, header: &str, body: u64) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let headers = Fields::new();
    if let Some((name, value)) = header.split_once(": ") {
        headers.append(name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let method = match method {
        "" | "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    };
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&scheme)).map_err(|()| "the scheme")?;
    request.set_authority(Some(authority)).map_err(|()| "the authority")?;
    request.set_path_with_query(Some(path)).map_err(|()| "the path")?;
    request.set_method(&method).map_err(|()| "the method")?;
    let outgoing = request.body().map_err(|()| "the body")?;
    let answer = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    let mut left = body;
    if left > 0 {
        let stream = outgoing.write().map_err(|()| "the body's stream")?;
        while left > 0 {
            let piece = left.min(4096);
            // What is wrong is in the answer.
            if stream.blocking_write_and_flush(&vec![b'b'; piece as usize]).is_err() {
                break;
            }
            left -= piece;
        }
    }
    drop(OutgoingBody::finish(outgoing, None));
    answer.subscribe().block();
    let answer = answer.get().ok_or("nothing")?.map_err(|()| "taken")?.map_err(|error| format!("{error:?}"))?;
    let location = answer.headers().get("location");
    let status = answer.status();
    let incoming = answer.consume().map_err(|()| "the answer's body")?;
    let stream = incoming.stream().map_err(|()| "the answer's stream")?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(piece) => all.extend(piece),
            Err(StreamError::Closed) => break,
            Err(error) => return Err(format!("after {} bytes: {error:?}", all.len())),
        }
    }
    let text = String::from_utf8_lossy(&all);
    Ok(match location.first() {
        Some(to) => format!("{status} location {}", String::from_utf8_lossy(to)),
        None if text.len() > 200 => format!("{status} {} bytes", all.len()),
        None => format!("{status} {text}"),
    })
}

fn deep(n: u64) -> u64 {
    let many = std::hint::black_box([n; 64]);
    if n == 0 { 0 } else { deep(n + 1) + many[3] }
}
