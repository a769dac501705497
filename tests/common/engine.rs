//! What the tests of tools need of the machine: a container image, components, a page.

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

/// Says that something is left out for want of what the machine has not; under CI nothing is.
pub fn skipped(what: &str, reason: &str) {
    println!("skipped: {what}: {reason}");
    assert!(std::env::var_os("CI").is_none(), "{what}: {reason}");
}

/// The last line of what a command said of its failure.
fn last_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().last().unwrap_or_default().to_owned()
}

/// An image of busybox alone, where there is an engine; else why there is none.
pub fn image() -> Result<String, String> {
    let image = "ii-hands-busybox:1".to_owned();
    let line = "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir -p $d/bin $d/tmp; \
        cp $(command -v busybox) $d/bin/busybox; for n in sh wc sleep echo; do ln -s busybox $d/bin/$n; done; \
        tar -C $d -c . | docker import - ii-hands-busybox:1";
    let made =
        Command::new("sh").args(["-c", line]).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if made.status.success() { Ok(image) } else { Err(last_line(&made.stderr)) }
}

/// Builds the components of the repository into a folder of tools; else why it cannot.
pub fn components(tools: &Path) -> Result<(), String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/components.sh");
    let ran = Command::new(script).arg(tools).output().map_err(|error| error.to_string())?;
    if ran.status.success() { Ok(()) } else { Err(last_line(&ran.stderr)) }
}

/// A page of loopback; its server ends with the test.
pub fn page(text: &'static str) -> String {
    site(vec![("/", "200 OK", "text/html", text.to_owned())])
}

/// Pages of loopback: path, status, media type (and further headers behind it), text.
pub fn site(pages: Vec<(&'static str, &'static str, &'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let read = connection.read(&mut head).unwrap_or(0);
            let asked = |path: &str| head[..read].starts_with(format!("GET {path} ").as_bytes());
            let found = pages.iter().find(|page| asked(page.0));
            let (status, media, text) =
                found.map_or(("404 Not Found", "text/plain", ""), |(_, status, media, text)| (*status, *media, text));
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            // A browser may hang up before it has read all.
            drop(connection.write_all(answer.as_bytes()));
        }
    });
    url
}
