//! The journal on real files: what goes in comes out, and what must be refused is refused.

use agent_runtime::home::Home;
use agent_runtime::journal::faults::{Fault, FaultyStore};
use agent_runtime::journal::{
    AttemptKey, AttemptStream, Batch, Blob, Damage, FactRow, IngestRow, Journal, JournalError, OutboxChange, Reader,
    ReceiptOf, ReceiptRow, Store,
};
use common_ground::{ModuleId, RunId};
use receipts::{Digest, integer::Decimal, ledger::outbox::State};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

const TTL: u64 = 30_000;

fn run(n: u128) -> RunId {
    RunId(Uuid::from_u128(n))
}

fn module(n: u128) -> ModuleId {
    ModuleId(Uuid::from_u128(0xb0d0 + n))
}

fn holder(n: u128) -> Uuid {
    Uuid::from_u128(0x401d_0000 + n)
}

fn fact(body: impl Into<Vec<u8>>) -> FactRow {
    FactRow { attempt: None, at_ms: 1_000, body: body.into() }
}

fn step(epoch: u64, body: &str) -> FactRow {
    FactRow { attempt: Some(AttemptStream { module: module(1), attempt: 1, epoch }), at_ms: 2_000, body: body.into() }
}

fn blob(bytes: impl Into<Vec<u8>>) -> Blob {
    let bytes = bytes.into();
    Blob { digest: Digest::of(&bytes), bytes }
}

fn noise(seed: u32, length: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| Digest::of(&[seed.to_be_bytes(), n.to_be_bytes()].concat()).0).take(length).collect()
}

fn facts(run: RunId, epoch: u64, first_seq: u64, bodies: &[&str]) -> Batch {
    Batch { facts: bodies.iter().map(|body| fact(*body)).collect(), ..Batch::new(run, epoch, first_seq) }
}

async fn open(home: &Home, n: u128) -> Journal {
    Journal::open(home.clone(), holder(n)).await.expect("journal opens")
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("second connection")
}

async fn alter(path: &Path, sql: &str) {
    let mut connection = raw(path).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("altered");
    assert!(done.rows_affected() > 0, "{sql} changed nothing");
    connection.close().await.expect("closed");
}

fn temporary() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let home = Home::at(dir.path().join("home"));
    (dir, home)
}

fn receipt(id: &[u8], nullifier: &[u8], n: u128) -> ReceiptRow {
    ReceiptRow { module: module(n), receipt_id: Digest::of(id), nullifier: Digest::of(nullifier), bundle: vec![1] }
}

#[tokio::test]
async fn a_batch_comes_back_whole_also_after_reopening() {
    let (_dir, home) = temporary();
    let (small, plain, large) = (blob(b"a".repeat(9_000)), blob(noise(1, 50)), blob(noise(2, 300_000)));
    let key = AttemptKey { module: module(1), attempt: 1, key: Zeroizing::new([7; 32]) };
    let receipt = ReceiptRow {
        module: module(1),
        receipt_id: Digest::of(b"id"),
        nullifier: Digest::of(b"nullifier"),
        bundle: b"bundle".to_vec(),
    };
    let journal = open(&home, 1).await;
    let lease = journal.acquire(run(1), 500, TTL).await.expect("acquired");
    assert_eq!((lease.epoch, lease.until_ms), (1, 500 + TTL));
    let message = journal.send(run(1), b"stop".to_vec()).await.expect("sent");
    journal.send(run(1), b"later".to_vec()).await.expect("sent");
    assert_eq!(journal.reader().inbox(run(1)).await.expect("inbox").len(), 2);
    let batch = Batch {
        facts: vec![fact("one"), step(1, "two"), fact("")],
        blobs: vec![small.clone(), plain.clone(), large.clone()],
        attempt_keys: vec![key.clone()],
        receipts: vec![receipt.clone()],
        inbox_done: vec![message],
        ..Batch::new(run(1), lease.epoch, 1)
    };
    assert_eq!(journal.append(batch).await.expect("appended"), 3);
    journal.close().await.expect("closed");

    assert!(!home.root().join("journal.sqlite-wal").exists(), "a clean close leaves no log");
    let journal = open(&home, 2).await;
    let reader = journal.reader();
    let loaded = reader.load(run(1)).await.expect("loaded");
    let bodies: Vec<&[u8]> = loaded.iter().map(|fact| fact.body.as_slice()).collect();
    assert_eq!(bodies, [b"one".as_slice(), b"two", b""]);
    assert_eq!(loaded.iter().map(|fact| fact.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((loaded[0].attempt, loaded[0].at_ms), (None, 1_000));
    assert_eq!((loaded[1].attempt, loaded[1].at_ms), (step(1, "").attempt, 2_000));
    assert_eq!(reader.since(run(1), 2).await.expect("since"), loaded[2..]);
    assert_eq!(reader.since(run(1), 3).await.expect("since"), []);
    assert_eq!(reader.since(run(1), 9).await.expect("since"), []);
    for content in [small, plain, large] {
        assert_eq!(reader.blob(content.digest).await.expect("read"), Some(content.bytes));
    }
    assert_eq!(reader.blob(Digest::of(b"never")).await.expect("read"), None);
    assert_eq!(reader.attempt_key(run(1), module(1), 1).await.expect("key"), Some(key.key));
    assert_eq!(reader.attempt_key(run(1), module(1), 2).await.expect("key"), None);
    assert_eq!(reader.receipt(run(1), module(1)).await.expect("receipt"), Some(receipt));
    assert_eq!(reader.outbox().await.expect("counts").queued, 1);
    let inbox = reader.inbox(run(1)).await.expect("inbox");
    assert_eq!(inbox.iter().map(|(_, body)| body.as_slice()).collect::<Vec<_>>(), [b"later"]);
    journal.acquire(run(2), 900, TTL).await.expect("acquired");
    let runs = reader.runs().await.expect("runs");
    assert_eq!(runs.iter().map(|row| (row.run, row.head_seq)).collect::<Vec<_>>(), [(run(2), 0), (run(1), 3)]);
}

async fn three_facts(home: &Home) {
    let journal = open(home, 1).await;
    let lease = journal.acquire(run(1), 0, TTL).await.expect("acquired");
    journal.append(facts(run(1), lease.epoch, 1, &["a", "b", "c"])).await.expect("appended");
    journal.acquire(run(2), 0, TTL).await.expect("acquired");
    journal.append(facts(run(2), 1, 1, &["x", "y", "z"])).await.expect("appended");
    journal.close().await.expect("closed");
}

#[tokio::test]
async fn every_damage_to_the_chain_is_named_with_its_place() {
    for (sql, seq) in [
        ("UPDATE fact SET body = x'5a' WHERE id = (1 << 32) + 2", 2),
        ("UPDATE fact SET at_ms = at_ms + 1 WHERE id = (1 << 32) + 1", 1),
        ("UPDATE fact SET link = zeroblob(32) WHERE id = (1 << 32) + 3", 3),
        ("DELETE FROM fact WHERE id = (1 << 32) + 3", 3),
        ("DELETE FROM fact WHERE id = (1 << 32) + 1", 1),
        ("DELETE FROM fact WHERE id < 2 << 32", 1),
        (
            "UPDATE fact SET id = CASE id & 3 WHEN 1 THEN -2 WHEN 2 THEN -1 END WHERE id IN ((1 << 32) + 1, (1 << 32) + 2); \
          UPDATE fact SET id = (1 << 32) - id WHERE id < 0",
            1,
        ),
        ("UPDATE run SET head_seq = 2 WHERE no = 1", 3),
        ("UPDATE run SET head_link = zeroblob(32) WHERE no = 1", 3),
        (
            "UPDATE fact SET body = f.body, link = f.link FROM fact f WHERE fact.id = (1 << 32) + 1 AND f.id = (2 << 32) + 1",
            1,
        ),
    ] {
        let (_dir, home) = temporary();
        three_facts(&home).await;
        alter(&home.journal(), sql).await;
        let damage = Reader::at(home.clone()).load(run(1)).await.expect_err(sql);
        let expected = Damage::Chain { run: run(1), seq };
        assert!(matches!(&damage, JournalError::Damaged(found) if *found == expected), "{sql}: {damage:?}");
        assert_eq!(Reader::at(home).load(run(2)).await.expect("the other run is whole").len(), 3);
    }
}

#[tokio::test]
async fn damaged_contents_are_reported_and_not_returned() {
    let (_dir, home) = temporary();
    let (small, large) = (blob(b"b".repeat(5_000)), blob(noise(3, 200_000)));
    let journal = open(&home, 1).await;
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let batch = Batch { blobs: vec![small.clone(), large.clone()], ..Batch::new(run(1), 1, 1) };
    journal.append(batch).await.expect("appended");
    journal.close().await.expect("closed");
    alter(&home.journal(), "UPDATE blob SET bytes = x'00112233' WHERE form = 1").await;
    let hex = large.digest.to_string();
    std::fs::remove_file(home.blobs().join(&hex[..2]).join(format!("{hex}.zst"))).expect("removed");
    for digest in [small.digest, large.digest] {
        let damage = Reader::at(home.clone()).blob(digest).await.expect_err("damaged");
        assert!(matches!(damage, JournalError::Damaged(Damage::Content(found)) if found == digest));
    }
    let file = home.journal();
    std::fs::write(&file, b"this is no database, however long one looks at it").expect("overwritten");
    let damage = Journal::open(home, holder(2)).await.expect_err("no database");
    assert!(matches!(damage, JournalError::Damaged(Damage::Database(_))), "{damage:?}");
}

#[tokio::test]
async fn stale_epochs_and_wrong_places_are_refused_and_leave_no_trace() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    let unknown = journal.append(facts(run(9), 1, 1, &["a"])).await;
    assert!(matches!(unknown, Err(JournalError::NoRun(_))));
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let lease = journal.acquire(run(1), 0, TTL).await.expect("acquired again");
    assert_eq!(lease.epoch, 2);
    let stale = journal.append(facts(run(1), 1, 1, &["a"])).await;
    assert!(matches!(stale, Err(JournalError::Fenced { offered: 1, stored: 2, .. })), "{stale:?}");
    for wrong in [0, 2, 7] {
        let refused = journal.append(facts(run(1), 2, wrong, &["a"])).await;
        assert!(matches!(refused, Err(JournalError::OutOfOrder { expected: 1, .. })), "{refused:?}");
    }
    let batch = Batch { facts: vec![step(3, "a"), step(4, "b")], ..Batch::new(run(1), 2, 1) };
    journal.append(batch).await.expect("appended");
    for low in [vec![step(3, "c")], vec![step(5, "c"), step(4, "d")]] {
        let refused = journal.append(Batch { facts: low, ..Batch::new(run(1), 2, 3) }).await;
        assert!(matches!(refused, Err(JournalError::AttemptFenced { .. })), "{refused:?}");
    }
    journal.append(Batch { facts: vec![step(4, "c")], ..Batch::new(run(1), 2, 3) }).await.expect("same epoch goes on");
    journal.release(lease).await.expect("released");
    let released = journal.append(facts(run(1), 2, 4, &["d"])).await;
    assert!(matches!(released, Err(JournalError::Fenced { .. })));
    assert!(matches!(journal.renew(lease, 1, TTL).await, Err(JournalError::Fenced { .. })));
    assert_eq!(journal.reader().load(run(1)).await.expect("loaded").len(), 3);
}

#[tokio::test]
async fn two_handles_contend_and_only_the_higher_epoch_writes() {
    let (_dir, home) = temporary();
    let (one, two) = (open(&home, 1).await, open(&home, 2).await);
    let lease = one.acquire(run(1), 0, TTL).await.expect("acquired");
    one.append(facts(run(1), lease.epoch, 1, &["a"])).await.expect("appended");
    let held = two.acquire(run(1), 1, TTL).await;
    assert!(matches!(held, Err(JournalError::Held { holder: found, .. }) if found == holder(1)), "{held:?}");
    assert!(matches!(two.delete(run(1), 1).await, Err(JournalError::Held { .. })));
    let foreign = two.append(facts(run(1), lease.epoch, 2, &["b"])).await;
    assert!(matches!(foreign, Err(JournalError::Fenced { .. })), "the right epoch in the wrong hands");
    let renewed = one.renew(lease, 10_000, TTL).await.expect("renewed");
    assert!(matches!(two.acquire(run(1), TTL + 1, TTL).await, Err(JournalError::Held { .. })));
    let taken = two.acquire(run(1), 10_000 + TTL, TTL).await.expect("taken over after expiry");
    assert_eq!(taken.epoch, 2);
    let late = one.append(facts(run(1), renewed.epoch, 2, &["b"])).await;
    assert!(matches!(late, Err(JournalError::Fenced { offered: 1, stored: 2, .. })));
    two.append(facts(run(1), 2, 2, &["c"])).await.expect("appended");
    let (a, b) = (one.acquire(run(7), 0, TTL), two.acquire(run(8), 0, TTL));
    let (a, b) = (a.await.expect("acquired"), b.await.expect("acquired"));
    for seq in 1..40 {
        let (x, y) = tokio::join!(
            one.append(facts(run(7), a.epoch, seq, &["x"])),
            two.append(facts(run(8), b.epoch, seq, &["y"]))
        );
        assert_eq!((x.expect("x"), y.expect("y")), (seq, seq));
    }
}

#[tokio::test]
async fn queued_appends_share_a_commit_and_answer_each_for_itself() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    for n in 1..=20 {
        journal.acquire(run(n), 0, TTL).await.expect("acquired");
    }
    let mut first = facts(run(1), 1, 1, &["receipt"]);
    first.receipts.push(receipt(b"1", b"same", 1));
    journal.append(first).await.expect("appended");
    let batches = (1..=20u128).map(|n| {
        let mut batch = facts(run(n), 1, if n == 1 { 2 } else { 1 }, &["fact"]);
        if n == 5 {
            batch.epoch = 9;
        }
        if n == 6 {
            batch.receipts.push(receipt(b"2", b"same", 2));
        }
        journal.append(batch)
    });
    let answers = futures_util::future::join_all(batches).await;
    for (n, answer) in (1u128..).zip(answers) {
        match n {
            5 => assert!(matches!(answer, Err(JournalError::Fenced { .. })), "{answer:?}"),
            6 => assert!(matches!(answer, Err(JournalError::Duplicate { .. })), "{answer:?}"),
            _ => assert_eq!(answer.expect("its neighbours are stored"), if n == 1 { 2 } else { 1 }),
        }
        let expected = [1, 2, 0][usize::from(n == 1) + 2 * usize::from(n == 5 || n == 6)];
        assert_eq!(journal.reader().load(run(n)).await.expect("loaded").len(), expected, "run {n}");
    }
    assert_eq!(journal.reader().outbox().await.expect("counts").queued, 1);
    let chained: Vec<_> = (2..12).map(|seq| journal.append(facts(run(2), 1, seq, &["chained"]))).collect();
    for (seq, answer) in (2..).zip(futures_util::future::join_all(chained).await) {
        assert_eq!(answer.expect("follows its neighbour in the same commit"), seq);
    }
}

/// A fork's modules have the ids of the run it comes from: whoever accepts one first claims its benefit, in whichever run.
#[tokio::test]
async fn of_the_receipts_of_one_module_only_the_first_goes_to_the_outbox() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    let mut sealed = Vec::new();
    for (n, id) in [(1, b"first"), (2, b"later"), (3, b"third")] {
        let lease = journal.acquire(run(n), 1_000, TTL).await.expect("acquired");
        // Each run also accepts a module of its own.
        let receipts = vec![receipt(id, id, 7), receipt(&[&id[..], b"+own"].concat(), &[id[0], 1], 100 + n)];
        let batch = Batch { receipts: receipts.clone(), ..facts(run(n), lease.epoch, 1, &["accepted"]) };
        journal.append(batch).await.expect("appended");
        sealed.push(receipts);
    }
    let rows = journal.reader().outbox_of(None).await.expect("rows");
    let queued: Vec<Digest> = rows.iter().map(|row| row.receipt_id).collect();
    let expected = [&sealed[0][0], &sealed[0][1], &sealed[1][1], &sealed[2][1]].map(|receipt| receipt.receipt_id);
    assert_eq!(queued, expected);
    for (receipts, n) in sealed.iter().zip(1..) {
        assert_eq!(&journal.reader().receipts(run(n)).await.expect("kept"), receipts, "every receipt is kept");
    }
}

/// Receipts of ingests stand in the one queue, each once, whoever brings them and however often.
#[tokio::test]
async fn a_receipt_of_an_ingest_is_queued_once_and_tells_its_collection() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    let lease = journal.acquire(run(1), 1_000, TTL).await.expect("acquired");
    let receipts = vec![receipt(b"1", b"a", 1)];
    journal.append(Batch { receipts, ..Batch::new(run(1), lease.epoch, 1) }).await.expect("appended");
    let ingest = |id: &[u8], nullifier: &[u8], collection: &str, revision| IngestRow {
        collection: collection.to_owned(),
        revision,
        receipt_id: Digest::of(id),
        nullifier: Digest::of(nullifier),
        bundle: id.to_vec(),
    };
    let (first, second) = (ingest(b"i1", b"n1", "notes", 1), ingest(b"i2", b"n2", "notes", 2));
    assert_eq!(journal.queue_ingests(vec![first.clone()]).await.expect("queued"), 1);
    // Another receipt that claims the same growth, as of a collection brought back from a backup, is not handed in.
    let twin = ingest(b"i3", b"n2", "notes", 2);
    let all = vec![first.clone(), second.clone(), twin, ingest(b"i4", b"n4", "other", 1)];
    assert_eq!(journal.queue_ingests(all).await.expect("queued"), 2);
    let reader = journal.reader();
    let rows = reader.outbox_of(None).await.expect("rows");
    let of = |collection: &str, revision| ReceiptOf::Ingest { collection: collection.to_owned(), revision };
    assert_eq!(rows[0].of.module(), Some(module(1)));
    let whose: Vec<ReceiptOf> = rows.iter().skip(1).map(|row| row.of.clone()).collect();
    assert_eq!(whose, [of("notes", 1), of("notes", 2), of("other", 1)]);
    assert_eq!(reader.outbox_of_collection("notes").await.expect("rows"), rows[1..3]);
    assert_eq!(reader.outbox_of(Some(run(1))).await.expect("rows"), rows[..1]);
    let outgoing = reader.outgoing(9).await.expect("rows");
    assert_eq!(
        outgoing.iter().map(|one| one.receipt_id).collect::<Vec<_>>()[1..3],
        [first.receipt_id, second.receipt_id]
    );
    // One that went its way stays where it is.
    let state = State::Acknowledged { index: Decimal(4) };
    let states = vec![(first.receipt_id, state.clone(), None)];
    journal.change_outbox(OutboxChange { states, ..OutboxChange::default() }).await.expect("changed");
    assert_eq!(journal.queue_ingests(vec![first]).await.expect("queued"), 0);
    assert_eq!(reader.outbox_of_collection("notes").await.expect("rows")[0].state, state);
}

#[tokio::test]
async fn receipts_on_their_way_change_together_or_not_at_all_and_none_leaves() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    let lease = journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let receipts = vec![receipt(b"1", b"a", 1), receipt(b"2", b"b", 2), receipt(b"3", b"c", 3)];
    let ids: Vec<Digest> = receipts.iter().map(|receipt| receipt.receipt_id).collect();
    journal.append(Batch { receipts, ..Batch::new(run(1), lease.epoch, 1) }).await.expect("appended");
    journal.pin_ledger("http://one".to_owned(), b"keys".to_vec()).await.expect("pinned");
    let states = async || {
        let rows = journal.reader().outbox_of(None).await.expect("rows");
        rows.into_iter().map(|row| row.state).collect::<Vec<_>>()
    };
    let (zero, one, height) = (Decimal(0), Decimal(1), Decimal(7));
    let after = vec![
        State::Final { index: zero, height },
        State::Acknowledged { index: one },
        State::Refused { code: "entry0".to_owned() },
    ];
    let change = OutboxChange {
        now_ms: 5,
        states: ids.iter().zip(&after).map(|(id, state)| (*id, state.clone(), Some(b"proof".to_vec()))).collect(),
        head: Some("a head".to_owned()),
        ..OutboxChange::default()
    };
    // The last statement fails, and what came before it is undone.
    let mut beside = raw(&home.journal()).await;
    let stop = "CREATE TRIGGER stop BEFORE UPDATE OF head ON ledger BEGIN SELECT RAISE(ABORT, 'stop'); END";
    sqlx::raw_sql(stop).execute(&mut beside).await.expect("made");
    journal.change_outbox(change.clone()).await.expect_err("stopped");
    assert_eq!(states().await, [State::Queued, State::Queued, State::Queued]);
    sqlx::raw_sql("DROP TRIGGER stop").execute(&mut beside).await.expect("dropped");
    beside.close().await.expect("closed");
    journal.change_outbox(change).await.expect("changed");
    assert_eq!(states().await, after);
    let reader = journal.reader();
    assert_eq!(reader.ledger().await.expect("read").and_then(|ledger| ledger.head).as_deref(), Some("a head"));
    // What more can be proved under which head, what is to be handed in, what the end of blocks undoes.
    let provable = async |head| {
        let rows = reader.provable(head, 0, 9).await.expect("rows");
        rows.into_iter().map(|row| row.receipt_id).collect::<Vec<_>>()
    };
    assert_eq!((provable(1).await, provable(2).await), (vec![], vec![ids[1]]));
    assert_eq!(reader.outgoing(9).await.expect("rows"), []);
    let undo = |from| OutboxChange { undone_from: Some(from), ..OutboxChange::default() };
    journal.change_outbox(undo(8)).await.expect("changed");
    assert_eq!(states().await, after, "its block is before those that are gone");
    journal.change_outbox(undo(7)).await.expect("changed");
    assert_eq!(states().await[0], State::Included { index: zero, size: one });
    assert_eq!(journal.requeue_refused().await.expect("queued"), 1);
    assert_eq!(states().await[2], State::Queued);
    journal.forget_ledger().await.expect("forgotten");
    assert_eq!(states().await, [State::Queued, State::Queued, State::Queued]);
    assert_eq!((reader.ledger().await.expect("read"), reader.outbox().await.expect("counts").all()), (None, 3));
}

#[tokio::test]
async fn an_error_after_the_commit_is_recognised_by_reloading() {
    let (_dir, home) = temporary();
    let plan = vec![Fault::ErrorButDone(2), Fault::Full(3)];
    let store = FaultyStore::new(Box::new(open(&home, 1).await), plan);
    store.acquire(run(1), 0, TTL).await.expect("acquired");
    store.append(facts(run(1), 1, 1, &["a"])).await.expect("appended");
    let unknown = store.append(facts(run(1), 1, 2, &["b"])).await;
    assert!(matches!(unknown, Err(JournalError::Busy)));
    let full = store.append(facts(run(1), 1, 2, &["b"])).await;
    assert!(matches!(full, Err(JournalError::Full { .. })));
    let again = store.append(facts(run(1), 1, 2, &["b"])).await;
    assert!(matches!(again, Err(JournalError::OutOfOrder { expected: 3, offered: 2, .. })), "{again:?}");
    let loaded = store.load(run(1)).await.expect("loaded");
    assert_eq!(loaded.last().map(|fact| fact.body.as_slice()), Some(b"b".as_slice()));
    store.append(facts(run(1), 1, 3, &["c"])).await.expect("the driver goes on from what it loaded");
}

#[tokio::test]
async fn a_later_schema_is_refused_untouched_with_both_versions() {
    let (_dir, home) = temporary();
    three_facts(&home).await;
    let mut connection = raw(&home.journal()).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.expect("set");
    connection.close().await.expect("closed");
    let before = std::fs::read(home.journal()).expect("read");
    let refused = Journal::open(home.clone(), holder(2)).await.expect_err("refused");
    assert!(matches!(refused, JournalError::Newer { found: 99, known: 5 }), "{refused:?}");
    assert!(refused.to_string().contains("99") && refused.to_string().contains('5'));
    let refused = Reader::at(home.clone()).runs().await.expect_err("refused");
    assert!(matches!(refused, JournalError::Newer { found: 99, known: 5 }));
    assert_eq!(std::fs::read(home.journal()).expect("read"), before);
}

fn listing(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> =
        std::fs::read_dir(folder).expect("listed").map(|entry| entry.expect("entry").path()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn reading_creates_nothing() {
    let (_dir, home) = temporary();
    let reader = Reader::at(home.clone());
    assert_eq!(reader.runs().await.expect("empty"), []);
    assert_eq!(reader.load(run(1)).await.expect("empty"), []);
    assert_eq!(reader.blob(Digest::of(b"x")).await.expect("empty"), None);
    assert!(!home.root().exists());
    three_facts(&home).await;
    let before = listing(home.root());
    assert_eq!(reader.load(run(1)).await.expect("loaded").len(), 3);
    assert_eq!(listing(home.root()), before);
    let journal = open(&home, 3).await;
    journal.acquire(run(3), 5, TTL).await.expect("acquired");
    assert_eq!(reader.runs().await.expect("runs").len(), 3, "a reader sees what a living writer committed");
}

#[tokio::test]
async fn the_journals_files_are_private_in_a_public_home() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, home) = temporary();
    std::fs::create_dir(home.root()).expect("made by the person");
    std::fs::set_permissions(home.root(), std::fs::Permissions::from_mode(0o755)).expect("opened to others");
    let journal = open(&home, 1).await;
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let files: Vec<_> = listing(home.root()).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(files.len(), 3, "database, log and index: {files:?}");
    for path in files {
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn many_handles_open_a_new_home_at_once() {
    let (_dir, home) = temporary();
    let opened = futures_util::future::join_all((1..=8).map(|n| Journal::open(home.clone(), holder(n)))).await;
    for (n, journal) in (1..).zip(opened) {
        journal.expect("opened").acquire(run(n), 0, TTL).await.expect("acquired");
    }
    assert_eq!(Reader::at(home).runs().await.expect("runs").len(), 8);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_undo_its_append() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    tokio::select! {
        biased;
        done = journal.append(facts(run(1), 1, 1, &["a"])) => panic!("{done:?} without a wait"),
        () = std::future::ready(()) => {}
    }
    let next = journal.append(facts(run(1), 1, 2, &["b"])).await;
    assert_eq!(next.expect("follows the abandoned one"), 2);
}

#[tokio::test]
async fn deleting_shreds_keys_and_collects_contents_but_keeps_receipts() {
    let (_dir, home) = temporary();
    let (own, shared, large) = (blob(b"o".repeat(3_000)), blob(b"s".repeat(3_000)), blob(noise(4, 150_000)));
    let journal = open(&home, 1).await;
    let key = |n: u32, a: u32| Zeroizing::new(Digest::of(format!("key {n} {a}").as_bytes()).0);
    for n in 1..=3u32 {
        journal.acquire(run(u128::from(n)), 0, TTL).await.expect("acquired");
    }
    // Interleaved and many, so that the keys fill several pages.
    for attempt in 1..=150u32 {
        for n in 1..=3u32 {
            let mut batch = facts(run(u128::from(n)), 1, u64::from(attempt), &["secret words of the run"]);
            batch.attempt_keys.push(AttemptKey { module: module(1), attempt, key: key(n, attempt) });
            if attempt == 1 {
                batch.blobs =
                    if n == 1 { vec![own.clone(), shared.clone(), large.clone()] } else { vec![shared.clone()] };
                batch.receipts.push(ReceiptRow {
                    module: module(u128::from(n)),
                    receipt_id: Digest::of(&[n as u8]),
                    nullifier: Digest::of(&[n as u8, 0]),
                    bundle: vec![9],
                });
            }
            journal.append(batch).await.expect("appended");
        }
    }
    assert!(found_on_disk(&home, key(1, 1).as_slice()), "the key is on disk before");
    journal.delete(run(1), 10).await.expect("deleted");
    assert!(matches!(journal.delete(run(1), 10).await, Err(JournalError::NoRun(_))));
    journal.delete(run(2), 10).await.expect("deleted");
    for attempt in 1..=150 {
        for n in [1, 2] {
            assert!(!found_on_disk(&home, key(n, attempt).as_slice()), "key {n} {attempt} is left");
        }
        assert!(found_on_disk(&home, key(3, attempt).as_slice()));
    }
    let reader = journal.reader();
    assert_eq!(reader.load(run(1)).await.expect("gone"), []);
    assert_eq!(reader.load(run(3)).await.expect("there").len(), 150);
    assert_eq!(reader.attempt_key(run(1), module(1), 1).await.expect("gone"), None);
    assert_eq!(reader.blob(own.digest).await.expect("gone"), None);
    assert_eq!(reader.blob(large.digest).await.expect("gone"), None);
    assert_eq!(reader.blob(shared.digest).await.expect("kept"), Some(shared.bytes));
    let hex = large.digest.to_string();
    assert_eq!(listing(&home.blobs().join(&hex[..2])), Vec::<std::path::PathBuf>::new());
    assert_eq!(reader.receipts(run(1)).await.expect("kept").len(), 1);
    assert_eq!(reader.outbox().await.expect("kept").queued, 3);
}

fn found_on_disk(home: &Home, bytes: &[u8]) -> bool {
    listing(home.root()).iter().filter(|path| path.is_file()).any(|path| {
        let content = std::fs::read(path).expect("read");
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn a_backup_taken_while_appending_restores_to_a_whole_journal() {
    let (dir, home) = temporary();
    let large = blob(noise(5, 120_000));
    let journal = open(&home, 1).await;
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let mut first = facts(run(1), 1, 1, &["first"]);
    first.blobs.push(large.clone());
    journal.append(first).await.expect("appended");
    let file = dir.path().join("backup.sqlite");
    let appending = async {
        for seq in 2..60 {
            journal.append(facts(run(1), 1, seq, &["more"])).await.expect("appended");
        }
    };
    let (saved, ()) = tokio::join!(journal.backup(&file), appending);
    saved.expect("saved");
    assert!(matches!(journal.backup(&file).await, Err(JournalError::NotEmpty { .. })));
    assert!(matches!(Journal::restore(&home, &file).await, Err(JournalError::NotEmpty { .. })));
    let other = Home::at(dir.path().join("other"));
    Journal::restore(&other, &file).await.expect("restored");
    let restored = open(&other, 2).await;
    let loaded = restored.reader().load(run(1)).await.expect("chain is whole");
    assert_eq!(loaded, journal.reader().load(run(1)).await.expect("loaded")[..loaded.len()]);
    assert!(!loaded.is_empty());
    assert_eq!(restored.reader().blob(large.digest).await.expect("read"), Some(large.bytes));
    assert_eq!(restored.reader().run(run(1)).await.expect("read").expect("there").lease, None);
    assert!(restored.reader().is_restored().await.expect("read"), "it says so of itself");
    assert_eq!(restored.acquire(run(1), 1, TTL).await.expect("nobody holds it").epoch, 2);
    let garbage = dir.path().join("garbage");
    std::fs::write(&garbage, [7; 5_000]).expect("written");
    let third = Home::at(dir.path().join("third"));
    assert!(matches!(Journal::restore(&third, &garbage).await, Err(JournalError::Damaged(_))));
    assert!(!third.journal().exists());
}

#[tokio::test]
async fn bytes_on_disk_stay_near_the_bytes_stored() {
    let (_dir, home) = temporary();
    let journal = open(&home, 1).await;
    journal.acquire(run(1), 0, TTL).await.expect("acquired");
    let mut stored = 0u64;
    for seq in 1..=200u64 {
        let text: String =
            noise(u32::try_from(seq).expect("small"), 2_048).iter().map(|byte| format!("{byte:02x}")).collect();
        stored += text.len() as u64;
        let mut batch = facts(run(1), 1, seq, &["{\"step\":1}"]);
        batch.blobs.push(blob(text));
        journal.append(batch).await.expect("appended");
    }
    journal.close().await.expect("closed");
    let on_disk: u64 = listing(home.root())
        .iter()
        .filter(|path| path.is_file())
        .map(|path| path.metadata().expect("there").len())
        .sum();
    assert!(on_disk * 2 <= stored * 3, "{on_disk} bytes on disk for {stored}");
}
