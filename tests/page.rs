//! The page that verifies receipts, in a real headless Chromium: what it says of a real run's receipts, of changed ones, and
//! that nothing leaves it.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{Place, SIX_MODULES, engine::skipped};

#[test]
fn child() {
    common::child();
}

/// The page, built; else why it cannot be.
fn built(folder: &Path) -> Result<String, String> {
    let page = folder.join("verify.html");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/page.sh");
    let ran = Command::new(script).arg(&page).output().map_err(|error| error.to_string())?;
    if !ran.status.success() {
        return Err(String::from_utf8_lossy(&ran.stderr).trim().to_owned());
    }
    fs::read_to_string(page).map_err(|error| error.to_string())
}

/// The files of an export by their paths below it.
fn files(export: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![export.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(export).expect("below").to_str().expect("text").to_owned();
                files.insert(name, fs::read(&path).expect("bytes"));
            }
        }
    }
    files
}

/// Counts who asks.
fn listener() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for _connection in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, asked)
}

/// What stands in the page after these files were chosen as a person chooses them, and after it tried to send one away.
fn chosen(page: &str, folder: &Path, files: &BTreeMap<String, Vec<u8>>, trust: Option<&[u8]>, away: &str) -> String {
    let text: BTreeMap<&String, String> = files.iter().map(|(name, bytes)| (name, STANDARD.encode(bytes))).collect();
    let choose = r#"<script>
      const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const put = (id, list) => {
        const transfer = new DataTransfer();
        list.forEach(([name, text]) => transfer.items.add(new File([bytes(text)], name)));
        document.getElementById(id).files = transfer.files;
        document.getElementById(id).dispatchEvent(new Event("change"));
      };
      const refused = [];
      document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
      fetch("AWAY").catch(() => {}); new Image().src = "AWAY";
      try { new WebSocket("AWAY".replace("http", "ws")); } catch {}
      const until = async (met) => { while (!met()) await new Promise((done) => setTimeout(done, 20)); };
      (async () => {
        if (TRUST) {
          put("trust", [["trust.json", TRUST]]);
          await until(() => document.getElementById("whom").textContent === "trust.json");
        }
        put("folder", Object.entries(FILES));
        await until(() => document.getElementById("verdict") || document.getElementById("error"));
        await until(() => refused.length === 3);
        document.body.append("REFUSED " + refused.sort().join(" "));
      })();
    </script></html>"#;
    let trust = trust.map(|bytes| STANDARD.encode(bytes));
    let choose = choose
        .replace("FILES", &serde_json::to_string(&text).expect("JSON"))
        .replace("TRUST", &serde_json::to_string(&trust).expect("JSON"))
        .replace("AWAY", away);
    let at = folder.join("chosen.html");
    fs::write(&at, page.replace("</html>", &choose)).expect("written");
    let profile = tempfile::tempdir().expect("a profile");
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-quic", "--virtual-time-budget=12000000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", at.display()))
        .stdin(Stdio::null());
    let ran = chromium.output().expect("chromium runs");
    String::from_utf8(ran.stdout).expect("text")
}

/// What the page says above all.
fn verdict(dom: &str) -> String {
    for id in ["id=\"verdict\">", "id=\"error\">"] {
        if let Some((_, rest)) = dom.split_once(id) {
            return rest.split('<').next().unwrap_or_default().to_owned();
        }
    }
    panic!("no verdict in {}", &dom[dom.len().saturating_sub(3000)..])
}

#[test]
fn a_page_verifies_receipts_as_the_program_does_and_sends_nothing_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = match built(folder.path()) {
        Ok(page) => page,
        Err(why) => return skipped("the page that verifies", &why),
    };
    if let Err(error) = Command::new("chromium").arg("--version").output() {
        return skipped("the page that verifies", &format!("chromium: {error}"));
    }
    let place = Place::new();
    let ran = place.ii(&place.run_args(SIX_MODULES));
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let (run, out) = (place.only_run().expect("a run"), folder.path().join("receipts"));
    assert_eq!(place.ii(&["receipts", "export", &run, "--out", out.to_str().expect("text")]).status.code(), Some(0));
    let (good, (away, asked)) = (files(&out), listener());
    let look =
        |files: &BTreeMap<String, Vec<u8>>, trust: Option<&[u8]>| chosen(&page, folder.path(), files, trust, &away);
    let dom = look(&good, None);
    assert_eq!(verdict(&dom), "6 of 6 receipts are valid");
    assert_eq!(dom.matches("VALID-SELFTRUST</td>").count(), 6);
    assert_eq!(dom.matches("class=\"edge\"").count(), 5, "five modules go into the sixth");
    // The same checks as the program makes, in the same words.
    let said = common::json(&place.ii(&["verify", out.to_str().expect("text"), "--json"]));
    for (list, id) in [("made", "made"), ("not_made", "open")] {
        let section = dom.split_once(&format!("<ul id=\"{id}\">")).and_then(|(_, rest)| rest.split_once("</ul>"));
        let (section, _) = section.expect("a list");
        let items: Vec<&str> = section.split("<li>").skip(1).map(|item| item.trim_end_matches("</li>")).collect();
        let wanted: Vec<&str> =
            said["receipts"][0][list].as_array().expect("a list").iter().filter_map(|one| one.as_str()).collect();
        assert_eq!(items, wanted, "{list}");
    }
    // It tried three ways out, and its own rules let none through.
    assert!(dom.contains("REFUSED connect-src connect-src img-src"), "{}", &dom[dom.len() - 300..]);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // Trust of one's own, and of somebody else.
    let own = good["trust.json"].clone();
    assert_eq!(look(&good, Some(&own)).matches("VALID-UNANCHORED</td>").count(), 6);
    let stranger = Place::new();
    stranger.ii(&stranger.run_args("Who may pause a run?"));
    let other: PathBuf = folder.path().join("other");
    let run = stranger.only_run().expect("a run");
    stranger.ii(&["receipts", "export", &run, "--out", other.to_str().expect("text")]);
    let dom = look(&good, Some(&files(&other)["trust.json"]));
    assert_eq!(verdict(&dom), "0 of 6 receipts are valid");
    assert!(dom.contains("INVALID(root-untrusted)</td>"), "whom nobody trusts");
    // One byte, one file, one folder.
    let mut changed = good.clone();
    let name = changed.keys().find(|name| name.ends_with("anchor-set.checkpoint")).expect("there").clone();
    changed.get_mut(&name).expect("there")[40] ^= 1;
    let dom = look(&changed, None);
    assert!(dom.contains("INVALID(") && dom.contains("FAILED: "), "{}", verdict(&dom));
    let mut more = good.clone();
    more.insert("a/b/c".to_owned(), b"x".to_vec());
    assert_eq!(verdict(&look(&more, None)), "a/b/c is no part of an export");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
