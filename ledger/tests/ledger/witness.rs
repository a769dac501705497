//! The witness as a program: by its protocol's letter, under a ledger, across its own death, and against lies.

use std::path::Path;

use common_ground::{
    Millis,
    guardian::{Charter, Scope},
};
use guardian::charter;
use ledger::ask;
use receipts::{
    checkpoint::Checkpoint,
    cosignature::Cosigner,
    dsse::{Envelope, IN_TOTO},
    keys::SigningKey,
    ledger::rpc::{DyingPoint, Fault, Status},
    merkle::{Tree, leaf_hash},
    note::{log_name, vkey},
    witness::AddCheckpoint,
};
use tempfile::TempDir;

use crate::world::{PATIENCE, Program, World, command, receipt, receipts};

fn log_key() -> SigningKey {
    SigningKey::from_seed(&[42; 32])
}

fn tree(size: u64, salt: u8) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|index| tree.push(leaf_hash(&[salt, index as u8])));
    tree
}

fn head(tree: &Tree) -> Checkpoint {
    Checkpoint { origin: log_name(&log_key().public()), size: tree.size(), root: tree.root() }
}

fn request(old: u64, tree: &Tree) -> String {
    let proof = tree.consistency(old).unwrap_or_default();
    AddCheckpoint { old, proof, note: head(tree).sign(&log_key()) }.to_text()
}

async fn add(program: &Program, body: String) -> (u16, String, String) {
    let url = format!("{}/add-checkpoint", program.url);
    let answer = ask::post(&url, "text/plain", body, PATIENCE).await.expect("an answer");
    (answer.status, answer.content, String::from_utf8(answer.body.to_vec()).expect("text"))
}

fn witness(home: &Path, logs: &[&str]) -> Program {
    let mut arguments = vec!["witness", "--listen", "127.0.0.1:0"];
    logs.iter().for_each(|log| arguments.extend(["--log", log]));
    Program::start(home, &arguments)
}

#[tokio::test]
async fn it_cosigns_what_goes_on_and_keeps_its_word_through_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = vkey(&log_key().public());
    let mut program = witness(folder.path(), &[&log]);
    let cosigner = Cosigner::parse(&program.vkey).expect("a verifier key");
    let conflict = |size: u64| (409, "text/x.tlog.size".to_owned(), format!("{size}\n"));
    let (status, _, line) = add(&program, request(0, &tree(3, 0))).await;
    assert_eq!(status, 200);
    let note = format!("{}{line}", head(&tree(3, 0)).sign(&log_key()));
    assert!(cosigner.signed(&note).is_some());
    program.kill();
    let mut program = witness(folder.path(), &[&log]);
    assert_eq!(program.vkey, cosigner.vkey(), "the same witness");
    assert_eq!(add(&program, request(0, &tree(7, 1))).await, conflict(3), "it remembers");
    assert_eq!(add(&program, request(3, &tree(3, 1))).await, conflict(3), "another root");
    assert_eq!(add(&program, request(2, &tree(2, 0))).await, conflict(3), "a rollback");
    assert_eq!(add(&program, request(3, &tree(7, 1))).await.0, 422, "a fork");
    assert_eq!(add(&program, request(3, &tree(7, 0))).await.0, 200);
    assert_eq!(add(&program, request(3, &tree(7, 0))).await, conflict(7));
    assert_eq!(add(&program, request(7, &tree(7, 0))).await.0, 200, "the same head again");
    assert_eq!(add(&program, request(9, &tree(7, 0))).await.0, 400);
    assert_eq!(add(&program, "old".to_owned()).await.0, 400);
    let forged = request(7, &tree(9, 0)).replacen(&head(&tree(9, 0)).origin, "ii-elsewhere", 1);
    assert_eq!(add(&program, forged).await.0, 404);
    let stranger =
        AddCheckpoint { old: 7, proof: Vec::new(), note: head(&tree(9, 0)).sign(&SigningKey::from_seed(&[1; 32])) };
    assert_eq!(add(&program, stranger.to_text()).await.0, 403);
    assert_eq!(ask::get(&program.url, PATIENCE).await.expect("an answer").status, 200);
    assert_eq!(program.terminate(), Some(0));
}

/// A charter of this witness in a file, signed by `person`.
fn chartered(folder: &Path, cosigner: &Cosigner, person: &SigningKey, change: impl Fn(&mut Charter)) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = u64::try_from(now.as_millis()).expect("a time");
    let mut terms = Charter {
        name: "witness".to_owned(),
        guardian: cosigner.key,
        version: 1,
        scope: Scope::Every,
        rules: Default::default(),
        acts: Default::default(),
        critical: Default::default(),
        persons: [person.public()].into(),
        quorum: 1,
        standing: Vec::new(),
        cosigns: [head(&tree(1, 0)).origin].into(),
        not_before: Millis(now - 60_000),
        not_after: Millis(now + 3_600_000),
    };
    change(&mut terms);
    let payload = charter::payload(&terms, &[person.public()].into()).expect("a payload");
    let bytes = Envelope::sign(IN_TOTO, payload, &[person]).expect("signed").to_bytes().expect("bytes");
    let path = folder.join("charter.json");
    std::fs::write(&path, bytes).expect("written");
    path.display().to_string()
}

#[tokio::test]
async fn a_guardian_cosigns_what_its_charter_names_and_while_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, log) = (folder.path().join("home"), vkey(&log_key().public()));
    let cosigner = Cosigner::parse(&witness(&home, &[&log]).vkey).expect("a verifier key");
    let (person, stranger) = (SigningKey::from_seed(&[7; 32]), SigningKey::from_seed(&[8; 32]));
    let named = person.public().to_string();
    let start = |charter: &str| {
        let words = ["witness", "--listen", "127.0.0.1:0", "--log", &log, "--charter", charter, "--person", &named];
        Program::start(&home, &words)
    };
    let program = start(&chartered(folder.path(), &cosigner, &person, |_| {}));
    assert_eq!(add(&program, request(0, &tree(3, 0))).await.0, 200);
    assert_eq!(add(&program, request(3, &tree(7, 1))).await.0, 422, "a fork, charter or not");
    drop(program);
    let over = chartered(folder.path(), &cosigner, &person, |terms| terms.not_after = Millis(terms.not_before.0 + 1));
    let program = start(&over);
    let (status, _, why) = add(&program, request(3, &tree(7, 0))).await;
    assert_eq!((status, why.contains("charter is over")), (403, true), "{why}");
    drop(program);
    let elsewhere =
        chartered(folder.path(), &cosigner, &person, |terms| terms.cosigns = ["ii-elsewhere".to_owned()].into());
    let program = start(&elsewhere);
    let (status, _, why) = add(&program, request(3, &tree(7, 0))).await;
    assert_eq!((status, why.contains("does not name the log")), (403, true), "{why}");
    drop(program);
    // What was refused left no trace: under a charter again, it goes on where it was.
    let program = start(&chartered(folder.path(), &cosigner, &person, |_| {}));
    assert_eq!(add(&program, request(3, &tree(7, 0))).await.0, 200);
    drop(program);
    let refused = |charter: &str, what: &str| {
        let words = ["witness", "--listen", "127.0.0.1:0", "--log", &log, "--charter", charter, "--person", &named];
        let (code, text) = crate::limits::refused(&home, &words);
        assert_eq!((code, text.contains(what)), (Some(3), true), "{text}");
    };
    refused(&chartered(folder.path(), &cosigner, &stranger, |_| {}), "is not signed by a key that --person names");
    refused(
        &chartered(folder.path(), &cosigner, &person, |terms| terms.guardian = stranger.public()),
        "charters guardian",
    );
    refused(&chartered(folder.path(), &cosigner, &person, |terms| terms.cosigns.clear()), "cosign no log");
    let path = folder.path().join("none.json");
    std::fs::write(&path, "{}").expect("written");
    refused(&path.display().to_string(), "is no charter");
}

#[tokio::test]
async fn of_two_forks_at_once_it_cosigns_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = witness(folder.path(), &[&vkey(&log_key().public())]);
    let forks = (0..8).map(|salt| add(&program, request(0, &tree(5, salt))));
    let answers = futures_util::future::join_all(forks).await;
    let statuses: Vec<u16> = answers.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
}

/// A ledger and its witnesses, which must know each other's keys before they start.
struct Witnessed {
    homes: Vec<TempDir>,
    witnesses: Vec<Program>,
    world: World,
    log: String,
}

fn printed_keys(home: &Path) -> serde_json::Value {
    serde_json::from_slice(&command(home, &["keys"]).output().expect("runs").stdout).expect("JSON")
}

fn witnessed(many: usize, arguments: &[&str]) -> Witnessed {
    let folder = tempfile::tempdir().expect("a folder");
    let log = printed_keys(folder.path())["log"].as_str().expect("text").to_owned();
    let homes: Vec<TempDir> = (0..many).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let witnesses: Vec<Program> = homes.iter().map(|home| witness(home.path(), &[&log])).collect();
    let named: Vec<String> = witnesses.iter().map(|witness| format!("{}={}", witness.url, witness.vkey)).collect();
    let mut all: Vec<&str> = arguments.to_vec();
    named.iter().for_each(|witness| all.extend(["--witness", witness]));
    let world = World::over(folder, &all);
    assert_eq!(world.ledger.vkey, log);
    Witnessed { homes, witnesses, world, log }
}

#[tokio::test]
async fn a_head_is_published_once_enough_witnesses_cosigned() {
    let mut all = witnessed(3, &["--witness-quorum", "2"]);
    all.witnesses[0].kill();
    let (submission, entry) = receipt(1);
    all.world.submit(submission).await.expect("acknowledged");
    let (_, heads) = all.world.published(1).await;
    let cosigners: Vec<Cosigner> =
        all.witnesses.iter().map(|witness| Cosigner::parse(&witness.vkey).expect("a key")).collect();
    let signed: Vec<bool> = cosigners.iter().map(|cosigner| cosigner.signed(&heads.checkpoint).is_some()).collect();
    assert_eq!(signed, [false, true, true]);
    assert_eq!(all.world.get("/checkpoint").await.body, heads.checkpoint);
    let (_, height) = all.world.until_final(entry.receipt).await;
    all.world.check_proof(&entry, Some(height)).await;
    // One of three is not enough: what comes now is stored, and not shown.
    all.witnesses[1].kill();
    let (submission, waiting) = receipt(2);
    all.world.submit(submission).await.expect("acknowledged");
    assert!(matches!(all.world.status(waiting.receipt).await, Status::Acknowledged { .. }));
    let stderr = all.world.ledger.stderr();
    let refused = std::io::BufRead::lines(std::io::BufReader::new(stderr)).map(|line| line.expect("text"));
    let name = &cosigners[1].name;
    assert!(refused.into_iter().any(|line| line.contains(name.as_str())), "it says who does not answer");
    assert!(matches!(all.world.status(waiting.receipt).await, Status::Acknowledged { .. }));
    // The witness is back on another address; the ledger is started anew with it.
    all.witnesses[1] = witness(all.homes[1].path(), &[&all.log]);
    let at = all.world.arguments.iter().position(|one| one.ends_with(&cosigners[1].vkey())).expect("named");
    all.world.arguments[at] = format!("{}={}", all.witnesses[1].url, all.witnesses[1].vkey);
    all.world.restart();
    all.world.until_final(waiting.receipt).await;
}

#[tokio::test]
async fn dying_between_cosignature_and_publication_loses_nothing() {
    let mut all = witnessed(1, &["--faults"]);
    all.world.submit_batch(receipts(0..5).0).await;
    all.world.published(5).await;
    all.world.fault(Fault::Die { point: DyingPoint::BeforePublish }).await;
    let (submission, entry) = receipt(9);
    all.world.submit(submission).await.expect("acknowledged");
    assert_eq!(all.world.ledger.wait(), None, "by a signal");
    all.world.restart();
    // The witness has the head already, and gives its cosignature again.
    let (_, height) = all.world.until_final(entry.receipt).await;
    assert_eq!(all.world.check_proof(&entry, Some(height)).await, 5);
}

#[tokio::test]
async fn a_ledger_put_back_to_an_older_state_gets_no_cosignature() {
    let all = witnessed(1, &["--faults"]);
    all.world.submit_batch(receipts(0..8).0).await;
    let (before, _) = all.world.published(8).await;
    all.world.fault(Fault::Rollback { size: receipts::integer::Decimal(3) }).await;
    let (submission, entry) = receipt(50);
    let told = all.world.submit(submission).await.expect("acknowledged");
    assert_eq!(told.index.0, 3, "a second entry of this index");
    // Up to the size that the witness has, and beyond it: this log is another.
    all.world.submit_batch(receipts(60..70).0).await;
    let latest = all.world.open(
        &all.world
            .call::<receipts::ledger::rpc::Heads>(receipts::ledger::rpc::Call::Checkpoint)
            .await
            .expect("heads")
            .latest,
    );
    assert!(latest.size > before.size);
    let refused = add(
        &all.witnesses[0],
        AddCheckpoint {
            old: before.size,
            proof: Vec::new(),
            note: {
                let heads: receipts::ledger::rpc::Heads =
                    all.world.call(receipts::ledger::rpc::Call::Checkpoint).await.expect("heads");
                heads.latest
            },
        }
        .to_text(),
    )
    .await;
    assert_eq!(refused.0, 422);
    assert!(matches!(all.world.status(entry.receipt).await, Status::Acknowledged { .. }), "and it is never published");
}

#[tokio::test]
async fn a_forked_head_is_caught_by_the_witness_and_by_whoever_kept_the_other() {
    let all = witnessed(1, &["--faults"]);
    all.world.submit_batch(receipts(0..8).0).await;
    let (before, _) = all.world.published(8).await;
    all.world.fault(Fault::Equivocate).await;
    let shown = String::from_utf8(all.world.get("/checkpoint").await.body.to_vec()).expect("text");
    let forged = all.world.open(&shown);
    assert_eq!((forged.size, forged.origin.as_str()), (before.size, before.origin.as_str()));
    assert_ne!(forged.root, before.root, "two heads of one size, both signed: evidence by itself");
    let request = AddCheckpoint { old: 8, proof: Vec::new(), note: shown };
    assert_eq!(add(&all.witnesses[0], request.to_text()).await, (409, "text/x.tlog.size".to_owned(), "8\n".to_owned()));
    all.world.fault(Fault::Heal).await;
    let (after, heads) = all.world.published(8).await;
    assert_eq!(after, before);
    assert!(Cosigner::parse(&all.witnesses[0].vkey).expect("a key").signed(&heads.checkpoint).is_some());
}
