//! Requests that are too large, too many, or none; folders, keys and arguments that do not fit.

use std::{fs, os::unix::fs::PermissionsExt};

use receipts::ledger::rpc::{
    Call, Counts, LedgerError, MOST_BYTES, MOST_IN_BATCH, ProtocolFault, SubmitBatch, Submitted, read_answer,
};
use serde_json::{Value, json};

use crate::world::{World, command, receipt, receipts};

fn number(answer: &Value) -> Option<i64> {
    answer["error"]["code"].as_i64()
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let world = World::new(&[]);
    let ask = async |body: String| -> Value {
        let answer = world.raw(body).await.expect("an answer");
        serde_json::from_slice(&answer.body).expect("JSON")
    };
    assert_eq!(number(&ask("{".to_owned()).await), Some(-32_700));
    assert_eq!(number(&ask("[]".to_owned()).await), Some(-32_600));
    assert_eq!(number(&ask("1".to_owned()).await), Some(-32_600));
    let unknown = ask(json!({"jsonrpc": "2.0", "id": "x", "method": "mint"}).to_string()).await;
    assert_eq!((number(&unknown), &unknown["id"]), (Some(-32_601), &json!("x")));
    let faults_off = ask(Call::Fault(receipts::ledger::rpc::Fault::Heal).to_json(1)).await;
    assert_eq!(number(&faults_off), Some(-32_601));
    // Several at once: each its answer, and none for what has no id.
    let info = json!({"jsonrpc": "2.0", "id": 1, "method": "info"});
    let silent = json!({"jsonrpc": "2.0", "method": "info"});
    let answers = ask(json!([info, silent, 5]).to_string()).await;
    let ids: Vec<&Value> = answers.as_array().expect("answers").iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!(1), &Value::Null]);
    let nothing = world.raw(silent.to_string()).await.expect("an answer");
    assert_eq!((nothing.status, nothing.body.len()), (204, 0));
    let many = Value::Array(vec![json!(1); 65]);
    assert_eq!(number(&ask(many.to_string()).await), Some(-32_600));
    let elsewhere = format!("{}/elsewhere", world.ledger.url);
    let other = ledger::ask::post(&elsewhere, "text/plain", "x", crate::world::PATIENCE).await;
    assert_eq!(other.expect("an answer").status, 405);
}

#[tokio::test]
async fn a_batch_and_a_body_have_their_limits() {
    let world = World::new(&[]);
    let (one, _) = receipt(1);
    let batch = |many| Call::SubmitBatch(SubmitBatch { submissions: vec![one.clone(); many] });
    let most: Vec<Submitted> = world.call(batch(MOST_IN_BATCH)).await.expect("answers");
    assert_eq!(most.len(), MOST_IN_BATCH);
    let more = world.call::<Vec<Submitted>>(batch(MOST_IN_BATCH + 1)).await;
    assert!(matches!(more, Err(LedgerError::Protocol { fault: ProtocolFault::Parameters, .. })), "{more:?}");
    let none: Vec<Submitted> = world.call(batch(0)).await.expect("answers");
    assert_eq!(none, []);
    let counts: Counts = world.call(Call::Counts).await.expect("counts");
    assert_eq!(counts.size.0, 1);
    let large = world.raw(vec![b' '; MOST_BYTES + 1]).await;
    // Refused while it still comes in: the answer may be lost with the connection.
    assert!(large.is_err() || large.is_ok_and(|answer| answer.status == 413));
    assert_eq!(world.raw(Call::Info.to_json(1)).await.expect("an answer").status, 200, "and it goes on");
}

#[tokio::test]
async fn what_is_too_much_at_once_is_told_to_come_again() {
    let world = World::new(&[]);
    let (submissions, entries) = receipts(0..256);
    let body = Call::SubmitBatch(SubmitBatch { submissions }).to_json(1);
    let answers = futures_util::future::join_all((0..40).map(|_| world.raw(body.clone()))).await;
    let mut whole = 0;
    for answer in answers {
        match read_answer::<Vec<Submitted>>(&answer.expect("an answer").body) {
            Ok(told) => {
                whole += 1;
                assert!(told.iter().all(|told| matches!(told, Submitted::Acknowledged(_))));
            }
            Err(error) => assert!(matches!(error, LedgerError::Busy { .. }) && error.may_pass(), "{error}"),
        }
    }
    assert!(whole >= 16, "{whole} of 40 batches fit in");
    assert_eq!(world.published(256).await.0.size, 256);
    assert_eq!(world.check_proof(&entries[255], None).await, 255);
}

/// What the program says when it does not start: one line, and an exit code.
pub fn refused(home: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = command(home, arguments).output().expect("runs");
    let text = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.stdout, b"");
    (ended.status.code(), text)
}

#[tokio::test]
async fn what_does_not_start_says_why_in_one_line() {
    let world = World::new(&[]);
    let home = world.path();
    let case = |arguments: &[&str], code: i32, says: &str| {
        let (found, text) = refused(&home, arguments);
        assert!(found == Some(code) && text.contains(says), "{arguments:?}: {found:?} {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    };
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    case(&serve, 8, "in use by another ii-ledger");
    case(&["keys"], 8, "in use by another ii-ledger");
    case(&["serve", "--faults", "--listen", "0.0.0.0:0"], 2, "--faults only with an address of this machine");
    case(&["serve", "--witness-quorum", "1"], 2, "--witness-quorum 1 of 0 witnesses");
    case(&["serve", "--trust", "/nowhere/trust.json"], 3, "trust file /nowhere/trust.json");
    drop(world.ledger);
    let address = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let taken = address.local_addr().expect("an address").to_string();
    case(&["serve", "--listen", &taken], 1, "name another with --listen");
    let other = "0".repeat(64);
    case(&["serve", "--listen", "127.0.0.1:0", "--network", &other], 8, "name another folder with --home");
    fs::set_permissions(home.join("log.pem"), fs::Permissions::from_mode(0o640)).expect("chmod");
    case(&serve, 3, "chmod 600");
    let (code, text) = refused(&home, &["serve", "--witness", "https://x=y"]);
    assert!(code == Some(2) && text.contains("`https://x` is not an http:// address"), "{text}");
}

#[tokio::test]
async fn a_store_that_was_changed_is_refused() {
    type Change = (&'static str, &'static str);
    let changes: [Change; 5] = [
        ("UPDATE entry SET receipt = zeroblob(32) WHERE idx = 1", "head is not that of the entries"),
        ("DELETE FROM entry WHERE idx = 2", "is not that of the entries"),
        ("DELETE FROM entry WHERE idx = 1", "entry 1"),
        ("UPDATE entry SET class = 'Other' WHERE idx = 0", "entry 0"),
        (
            "UPDATE head SET note = replace(note, char(10) || '3' || char(10), char(10) || '2' || char(10)) WHERE name = 'latest'",
            "latest head",
        ),
    ];
    for (change, says) in changes {
        let mut world = World::new(&[]);
        world.submit_batch(receipts(0..3).0).await;
        world.published(3).await;
        assert_eq!(world.ledger.terminate(), Some(0));
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.path().join("ledger.sqlite"));
        let mut connection = sqlx::ConnectOptions::connect(&options).await.expect("opens");
        assert_eq!(sqlx::query(change).execute(&mut connection).await.expect(change).rows_affected(), 1, "{change}");
        sqlx::Connection::close(connection).await.expect("closes");
        let (code, text) = refused(&world.path(), &["serve", "--listen", "127.0.0.1:0"]);
        assert!(code == Some(8) && text.contains(says) && text.contains("damaged"), "{change}: {code:?} {text}");
    }
}
