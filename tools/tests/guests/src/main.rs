//! A hostile guest: does the one thing its argument `act` names, and says how it went.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    time::Duration,
};

use serde_json::Value;

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

fn deep(n: u64) -> u64 {
    let many = std::hint::black_box([n; 64]);
    if n == 0 { 0 } else { deep(n + 1) + many[3] }
}
