//! Files that are no documents: each is named with its reason and stops nothing.

mod common;

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    process::Command,
};

use common::{Commons, ingest, paths};
use commons_index::{Collection, IngestError, Limits, LinkKind, SkipReason, StoreError};

/// As lopdf says it.
const MALFORMED: &str = "couldn't parse input";

#[tokio::test]
async fn every_kind_of_bad_input_is_named_and_the_rest_is_indexed() {
    let commons = Commons::new(&[
        ("good.md", "good words"),
        ("later/good.txt", "more good words"),
        ("UPPER.HTM", "<p>upper words"),
        (".hidden.md", "hidden words"),
        (".git/x.md", "git words"),
        ("target/x.md", "target words"),
        ("sub/node_modules/x.md", "module words"),
        ("notes.pdf", "%PDF"),
        ("notes.docx", "PK"),
        ("README", "no extension"),
        ("blank.md", " \n\t\n"),
        ("script.html", "<script>only()</script>"),
    ]);
    let at = |path: &str| commons.folder.join(path);
    commons.write("deep.html", "<div>".repeat(100_000).as_bytes());
    commons.write("binary.md", b"\x7fELF\0\0\x01");
    commons.write("latin.txt", b"caf\xe9 words");
    commons.write("marked.txt", b"\xef\xbb\xbfab\xff words");
    let secret = commons.root.path().join("secret.md");
    fs::write(&secret, "secret words").expect("secret");
    symlink(&commons.folder, at("later/up")).expect("link");
    symlink(at("self.md"), at("self.md")).expect("link");
    symlink(&secret, at("out.md")).expect("link");
    symlink(at("good.md"), at("in.md")).expect("link");
    symlink(at("nowhere"), at("broken.md")).expect("link");
    assert!(Command::new("mkfifo").arg(at("pipe.md")).status().expect("mkfifo").success());
    fs::File::create(at("huge.txt")).and_then(|file| file.set_len(1 << 30)).expect("sparse");
    fs::write(commons.folder.join(std::ffi::OsStr::from_bytes(b"bad\xff.md")), "bad name").expect("bad name");

    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    let told: Vec<(&str, SkipReason)> =
        done.skipped.iter().map(|skip| (skip.path.as_str(), skip.reason.clone())).collect();
    let other = |extension: &str| SkipReason::OtherKind { extension: extension.to_owned() };
    assert_eq!(
        told,
        [
            ("README", other("")),
            ("bad\u{fffd}.md", SkipReason::NameNotUtf8),
            ("binary.md", SkipReason::Binary),
            ("blank.md", SkipReason::Blank),
            ("broken.md", SkipReason::Link(LinkKind::Broken)),
            ("deep.html", SkipReason::TooDeep),
            ("huge.txt", SkipReason::TooLarge { bytes: 1 << 30, limit: 64 << 20 }),
            ("in.md", SkipReason::Link(LinkKind::Inside)),
            ("later/up", SkipReason::Link(LinkKind::Loop)),
            ("marked.txt", SkipReason::NotUtf8 { valid: 2 }),
            ("notes.docx", other("docx")),
            ("notes.pdf", SkipReason::Malformed { cause: MALFORMED.to_owned() }),
            ("out.md", SkipReason::Link(LinkKind::Outside)),
            ("pipe.md", SkipReason::Special),
            ("script.html", SkipReason::Blank),
            ("self.md", SkipReason::Link(LinkKind::Loop)),
        ]
    );
    assert_eq!((done.added, done.documents), (4, 4));
    let mut found = paths(&index, "words").await;
    found.sort();
    assert_eq!(found, ["UPPER.HTM", "good.md", "later/good.txt", "latin.txt"]);
}

#[tokio::test]
async fn a_home_inside_the_folder_is_not_indexed() {
    let mut commons = Commons::new(&[("a.md", "words")]);
    commons.home = commons.folder.join("home");
    commons.write("home/notes.md", b"words of the home");
    assert_eq!(paths(&commons.index().await, "words").await, ["a.md"]);
}

#[tokio::test]
async fn nothing_readable_is_an_error_and_what_was_known_stays() {
    let commons = Commons::new(&[("a.md", "words"), ("b.pdf", "x")]);
    let mut index = commons.index().await;
    common::remove(&commons.folder.join("a.md"));
    match ingest(&mut index).await {
        Err(IngestError::NothingReadable { skipped, .. }) => assert_eq!(skipped.len(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(paths(&index, "words").await, ["a.md"]);
}

#[tokio::test]
async fn folders_that_are_none_and_homes_that_cannot_be_written_are_told_apart() {
    let commons = Commons::new(&[("a.md", "words")]);
    let open = |home: &std::path::Path, folder: &std::path::Path| {
        let (home, folder) = (home.to_owned(), folder.to_owned());
        async move { Collection::open(&home, &folder, "ii-0", Limits::default()).await.err() }
    };
    let none = open(&commons.home, &commons.folder.join("none")).await;
    assert!(matches!(none, Some(StoreError::NoSuchFolder { .. })), "{none:?}");
    let file = open(&commons.home, &commons.folder.join("a.md")).await;
    assert!(matches!(file, Some(StoreError::NotAFolder { .. })), "{file:?}");
    let unwritable = open(&commons.folder.join("a.md"), &commons.folder).await;
    assert!(matches!(unwritable, Some(StoreError::Unwritable { .. })), "{unwritable:?}");
}

/// Root reads everything, so the test runs itself again as nobody.
#[tokio::test]
async fn an_unreadable_file_is_named() {
    use std::os::unix::fs::PermissionsExt;
    const AGAIN: &str = "II_TEST_AS_NOBODY";
    if std::env::var_os(AGAIN).is_none() && is_root() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o777)).expect("open to all");
        // The test program may lie where nobody may not go.
        let program = root.path().join("again");
        // By another process: a file that this one wrote might be open in a child that another test is just starting.
        let copied = Command::new("cp").arg(std::env::current_exe().expect("this program")).arg(&program).status();
        assert!(copied.expect("cp").success());
        let again = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["--exact", "an_unreadable_file_is_named", "--nocapture"])
            .env(AGAIN, "1")
            .env("TMPDIR", root.path())
            .output();
        match again {
            Ok(output) => {
                let told = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success() && told.contains("1 passed"), "{told}");
            }
            Err(error) => println!("skipped: setpriv: {error}"),
        }
        return;
    }
    let commons = Commons::new(&[("good.md", "words"), ("locked.md", "words"), ("locked/x.md", "words")]);
    for (path, mode) in [("locked.md", 0), ("locked", 0)] {
        fs::set_permissions(commons.folder.join(path), fs::Permissions::from_mode(mode)).expect("locked");
    }
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    fs::set_permissions(commons.folder.join("locked"), fs::Permissions::from_mode(0o700)).expect("unlocked");
    let told: Vec<&str> = done.skipped.iter().map(|skip| skip.path.as_str()).collect();
    assert_eq!(told, ["locked", "locked.md"]);
    assert!(done.skipped.iter().all(|skip| matches!(skip.reason, SkipReason::Unreadable { .. })));
    assert_eq!(done.documents, 1);
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout == b"0\n"
}
