//! The journal under real trouble: killed processes, full and unwritable disks, torn logs, and the first schema kept.
//!
//! Tests that need root or a mount say by name on stderr when they skip.

use agent_runtime::home::Home;
use agent_runtime::journal::faults::{Fault, FaultyStore};
use agent_runtime::journal::{Batch, Blob, FactRow, Journal, JournalError, Reader, Store};
use common_ground::RunId;
use receipts::Digest;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use uuid::Uuid;

const TTL: u64 = 30_000;

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn holder(n: u128) -> Uuid {
    Uuid::from_u128(0x401d_0000 + n)
}

fn facts(first_seq: u64, bodies: &[&str]) -> Batch {
    let facts = bodies.iter().map(|body| FactRow { attempt: None, at_ms: 1, body: (*body).into() }).collect();
    Batch { facts, ..Batch::new(run(1), 1, first_seq) }
}

fn noise(length: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| Digest::of(&n.to_be_bytes()).0).take(length).collect()
}

fn temporary() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("opened to other users");
    let home = Home::at(dir.path().join("home"));
    (dir, home)
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// This test program again, as another process playing `part` on `home`.
fn child(part: &str, home: &Home) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    play(&mut command, part, home);
    command
}

fn play(command: &mut Command, part: &str, home: &Home) {
    command
        .args(["--exact", "other_process", "--nocapture"])
        .env("II_TEST_PART", part)
        .env("II_TEST_HOME", home.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
}

/// Not a test of its own: what [`child`] runs. Without a part it does nothing.
#[tokio::test]
async fn other_process() {
    let (Ok(part), Ok(root)) = (std::env::var("II_TEST_PART"), std::env::var("II_TEST_HOME")) else { return };
    let home = Home::at(root);
    match part.as_str() {
        "hold" => {
            let journal = Journal::open(home.clone(), holder(50)).await.expect("opened");
            journal.acquire(run(1), 0, TTL).await.expect("acquired");
            journal.append(facts(1, &["held"])).await.expect("appended");
            std::fs::write(home.root().join("ready"), b"").expect("signalled");
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        "kill-before" | "kill-after" => {
            let journal = Journal::open(home, holder(51)).await.expect("opened");
            let fault = if part == "kill-before" { Fault::KillBefore(3) } else { Fault::KillAfter(3) };
            let store = FaultyStore::new(Box::new(journal), vec![fault]);
            store.acquire(run(1), 0, TTL).await.expect("acquired");
            for seq in 1..10 {
                store.append(facts(seq, &["fact"])).await.expect("appended");
            }
        }
        "unwritable" => {
            let refused = Journal::open(home.clone(), holder(52)).await.expect_err("not ours to write");
            assert!(matches!(refused, JournalError::Unwritable { .. }), "{refused:?}");
            let reader = Reader::at(home);
            assert_eq!(reader.load(run(1)).await.expect("readable").len(), 2);
        }
        "unreadable" => {
            let refused = Reader::at(home).load(run(1)).await.expect_err("not ours to read");
            assert!(matches!(refused, JournalError::Unwritable { .. }), "{refused:?}");
        }
        other => panic!("no part {other}"),
    }
}

fn wait_for(path: &Path, child: &mut Child) {
    while !path.exists() {
        assert!(child.try_wait().expect("asked").is_none(), "the other process ended early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_dead_holders_run_is_taken_at_once_and_a_living_ones_is_not() {
    let (_dir, home) = temporary();
    let mut other = child("hold", &home).spawn().expect("started");
    wait_for(&home.root().join("ready"), &mut other);
    let journal = Journal::open(home.clone(), holder(1)).await.expect("opened");
    let held = journal.acquire(run(1), 1, TTL).await;
    assert!(matches!(held, Err(JournalError::Held { holder: found, .. }) if found == holder(50)), "{held:?}");
    assert!(matches!(journal.delete(run(1), 1).await, Err(JournalError::Held { .. })));
    other.kill().expect("killed");
    other.wait().expect("ended");
    let lease = journal.acquire(run(1), 1, TTL).await.expect("taken long before its term ends");
    assert_eq!(lease.epoch, 2);
    assert!(!home.locks().join(holder(50).to_string()).exists(), "the dead one's lock file is gone");
    assert_eq!(journal.reader().load(run(1)).await.expect("loaded").len(), 1);
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_appended_and_nothing_else() {
    for (part, stored) in [("kill-before", 2), ("kill-after", 3)] {
        let (_dir, home) = temporary();
        let ended = child(part, &home).status().expect("ran");
        assert_eq!(ended.signal(), Some(9), "{part} ends by SIGKILL");
        let journal = Journal::open(home, holder(1)).await.expect("opened");
        assert_eq!(journal.reader().load(run(1)).await.expect("whole").len(), stored, "{part}");
        journal.acquire(run(1), 1, TTL).await.expect("its holder is dead");
    }
}

#[tokio::test]
async fn a_home_of_another_user_is_read_but_not_written() {
    if !is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        eprintln!("skipped: a_home_of_another_user_is_read_but_not_written needs root and setpriv");
        return;
    }
    let (dir, home) = temporary();
    let journal = Journal::open(home.clone(), holder(1)).await.expect("opened");
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    journal.append(facts(1, &["a", "b"])).await.expect("appended");
    journal.close().await.expect("closed");
    for path in [home.root().to_owned(), home.locks(), home.journal()] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("made readable");
    }
    // The other user must be able to start the test program itself.
    let program = dir.path().join("program");
    // By another process: a file that this one wrote might be open in a child that another test is just starting.
    let copied = Command::new("cp").arg(std::env::current_exe().expect("own path")).arg(&program).status();
    assert!(copied.expect("cp").success());
    for (part, mode) in [("unwritable", 0o755), ("unreadable", 0o600)] {
        std::fs::set_permissions(home.journal(), std::fs::Permissions::from_mode(mode)).expect("mode set");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
        play(&mut command, part, &home);
        assert!(command.status().expect("ran").success(), "{part}");
    }
}

/// A small file system in memory, unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir(&at).expect("mount point");
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|done| done.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|done| done.success()), "unmounted");
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_what_was_acknowledged_stays() {
    let (dir, _) = temporary();
    let Some(disk) = SmallDisk::mount(dir.path().join("disk"), "1m") else {
        eprintln!("skipped: a_full_disk_is_named_and_what_was_acknowledged_stays needs to mount a tmpfs");
        return;
    };
    let home = Home::at(disk.0.join("home"));
    let journal = Journal::open(home.clone(), holder(1)).await.expect("opened");
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let bytes = noise(1_500_000);
    let large = Batch { blobs: vec![Blob { digest: Digest::of(&bytes), bytes }], ..facts(1, &["x"]) };
    let full = journal.append(large).await.expect_err("too large for the disk");
    assert!(matches!(full, JournalError::Full { .. }), "{full:?}");
    let body = "x".repeat(20_000);
    let mut stored = 0;
    let full = loop {
        match journal.append(facts(stored + 1, &[&body])).await {
            Ok(head) => stored = head,
            Err(error) => break error,
        }
        assert!(stored < 1_000, "the disk never fills");
    };
    assert!(matches!(full, JournalError::Full { .. }), "{full:?}");
    assert!(stored > 3);
    let loaded = journal.reader().load(run(1)).await.expect("whole");
    assert_eq!(loaded.len() as u64, stored);
    // More room, as when a person has deleted something: the same journal goes on.
    let grown = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&disk.0).status().expect("remounted");
    assert!(grown.success());
    assert_eq!(journal.append(facts(stored + 1, &[&body])).await.expect("goes on"), stored + 1);
    journal.close().await.expect("closed");
}

#[tokio::test]
async fn a_torn_log_leaves_a_prefix() {
    let (dir, home) = temporary();
    let journal = Journal::open(home.clone(), holder(1)).await.expect("opened");
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    for seq in 1..=20 {
        journal.append(facts(seq, &[&format!("fact {seq}")])).await.expect("appended");
    }
    let database = std::fs::read(home.journal()).expect("read");
    let log = std::fs::read(home.root().join("journal.sqlite-wal")).expect("a living writer has a log");
    assert!(log.len() > 40_000);
    let mut prefixes = std::collections::BTreeSet::new();
    for cut in (1..=40usize).map(|n| n * log.len() / 40) {
        for garble in [false, true] {
            let torn = Home::at(dir.path().join(format!("torn-{cut}-{garble}")));
            torn.create().expect("created");
            std::fs::write(torn.journal(), &database).expect("written");
            let mut bytes = log[..cut].to_vec();
            if garble {
                let from = bytes.len().saturating_sub(100);
                bytes[from..].fill(0xa5);
            }
            std::fs::write(torn.root().join("journal.sqlite-wal"), bytes).expect("written");
            let journal = Journal::open(torn, holder(2)).await.expect("opened");
            let loaded = journal.reader().load(run(1)).await.expect("a whole prefix");
            for (seq, fact) in (1..).zip(&loaded) {
                assert_eq!(fact.body, format!("fact {seq}").into_bytes());
            }
            prefixes.insert(loaded.len());
            let lease = journal.acquire(run(1), 10 * TTL, TTL).await.expect("acquired");
            let next = Batch { epoch: lease.epoch, ..facts(loaded.len() as u64 + 1, &["goes on"]) };
            journal.append(next).await.expect("goes on from there");
        }
    }
    assert!(prefixes.len() > 10 && prefixes.contains(&20), "{prefixes:?}");
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The statements that make a journal's tables.
async fn schema_of(journal: &Path) -> String {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(journal).read_only(true).immutable(true);
    let mut connection = options.connect().await.expect("connected");
    let statements: Vec<String> = sqlx::query_scalar(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name",
    )
    .fetch_all(&mut connection)
    .await
    .expect("read");
    connection.close().await.expect("closed");
    statements.join(";\n") + ";\n"
}

/// The statements of a schema, without those of the table of receipts.
fn but_receipts(schema: &str) -> Vec<&str> {
    let of_receipts = |statement: &&str| {
        ["CREATE TABLE receipt (", "CREATE TABLE \"receipt\" (", "CREATE INDEX receipt_of"]
            .iter()
            .any(|begin| statement.trim_start().starts_with(begin))
    };
    schema.split(";\n").filter(|statement| !of_receipts(statement)).collect()
}

#[tokio::test]
async fn schemas_are_frozen() {
    let (_dir, home) = temporary();
    Journal::open(home.clone(), holder(1)).await.expect("opened").close().await.expect("closed");
    let dump = schema_of(&home.journal()).await;
    if std::env::var_os("II_WRITE_GOLDEN").is_some() {
        std::fs::write(golden("journal-v5.sql"), &dump).expect("written");
    }
    assert_eq!(dump, std::fs::read_to_string(golden("journal-v5.sql")).expect("the frozen schema"));
    // Each is the one before with what it added, but that the fourth made the table of receipts anew.
    let fourth = std::fs::read_to_string(golden("journal-v4.sql")).expect("the frozen schema");
    let restored = "CREATE TABLE restored (\n  no INTEGER PRIMARY KEY,\n  at_ms INTEGER NOT NULL\n);\n";
    assert_eq!(dump.replace(restored, ""), fourth);
    let third = std::fs::read_to_string(golden("journal-v3.sql")).expect("the frozen schema");
    assert_eq!(but_receipts(&third), but_receipts(&fourth));
    let second = third.replace("CREATE INDEX receipt_of_module ON receipt (module);\n", "");
    assert_eq!(second, std::fs::read_to_string(golden("journal-v2.sql")).expect("the frozen schema"));
    let first = schema_of(&golden("journal-v1.sqlite")).await;
    assert_eq!(first, std::fs::read_to_string(golden("journal-v1.sql")).expect("the frozen schema"));
    // A journal that began with the first is brought to the same.
    std::fs::copy(golden("journal-v1.sqlite"), home.journal()).expect("copied");
    Journal::open(home.clone(), holder(2)).await.expect("opened").close().await.expect("closed");
    assert_eq!(schema_of(&home.journal()).await, dump);
}

#[tokio::test]
async fn a_journal_of_the_first_schema_still_opens() {
    let (_dir, home) = temporary();
    home.create().expect("created");
    std::fs::copy(golden("journal-v1.sqlite"), home.journal()).expect("copied");
    let cold = Reader::at(home.clone());
    let before = cold.load(run(1)).await.expect("read without migrating");
    assert_eq!(cold.outbox_of(None).await.expect("read without migrating"), []);
    assert_eq!(cold.ledger().await.expect("read without migrating"), None);
    assert_eq!(cold.outbox().await.expect("read without migrating").all(), 0);
    let journal = Journal::open(home, holder(2)).await.expect("opened");
    let facts_found = journal.reader().load(run(1)).await.expect("loaded");
    assert_eq!(facts_found, before);
    let bodies: Vec<&[u8]> = facts_found.iter().map(|fact| fact.body.as_slice()).collect();
    assert_eq!(bodies, [b"one".as_slice(), b"two"]);
    let content = journal.reader().blob(Digest::of(b"a content")).await.expect("read");
    assert_eq!(content.as_deref(), Some(b"a content".as_slice()));
    let lease = journal.acquire(run(1), 10 * TTL, TTL).await.expect("acquired");
    let next = Batch { epoch: lease.epoch, ..facts(3, &["three"]) };
    journal.append(next).await.expect("written to");
}
