//! A collection reckoned anew: clean ones have no fault, and each tampered row is named. And what lies between revisions.

mod common;

use common::{Commons, ingest, remove};
use commons_index::{Audit, Auditor, Collection, CorpusOp, StoreError};
use receipts::{checkpoint::Checkpoint, merkle::check_consistency};

/// Three revisions: two documents, one more and one changed, one gone.
async fn ingested(commons: Commons) -> (Commons, Collection) {
    let mut index = commons.index().await;
    commons.write("a.md", b"# Alpha\n\nOther words.");
    commons.write("page.html", b"<title>Page</title><p>Words of a page.</p>");
    ingest(&mut index).await.expect("ingests");
    remove(&commons.folder.join("a.md"));
    ingest(&mut index).await.expect("ingests");
    (commons, index)
}

/// In a file, and in a database.
async fn each() -> Vec<Commons> {
    let long = "A sentence that stands in a long text. ".repeat(4_000);
    Commons::each_alone(&[("a.md", "# Alpha\n\nSome words of alpha."), ("long.txt", &long)]).await
}

async fn audit(index: &Collection) -> Audit {
    // The tests' signature is the body itself.
    let open = |text: &str| Checkpoint::parse(text).ok_or_else(|| "no head".to_owned());
    let mut progress = |_at| {};
    index.audit(Auditor { open: &open, progress: &mut progress }).await.expect("audited")
}

#[tokio::test]
async fn a_collection_as_it_was_written_has_no_fault() {
    for commons in each().await {
        let (_commons, index) = ingested(commons).await;
        let found = audit(&index).await;
        assert_eq!(found.faults, []);
        assert_eq!((found.revisions, found.entries, found.documents, found.texts), (3, 5, 2, 4));
        assert!(found.text_bytes > 150_000 && found.passages > 150, "{found:?}");
    }
    for nothing in Commons::each(&[]).await {
        let empty = nothing.open().await;
        assert_eq!(audit(&empty).await, Audit::default());
    }
}

/// What is tampered with; a table after those that it refers to.
const TABLES: [&str; 5] = ["corpus", "revisions", "chunks", "documents", "passages"];

#[tokio::test]
async fn each_tampered_row_is_named() {
    let first = "WHERE seq = 1";
    let cases = [
        (format!("UPDATE corpus SET document = zeroblob(32) {first}"), "entry 0 (add a.md): its leaf is"),
        (format!("UPDATE corpus SET path = 'b.md' {first}"), "entry 0 (add b.md): its leaf is"),
        (format!("UPDATE corpus SET bytes = bytes + 1 {first}"), "entry 0 (add a.md): its leaf is"),
        (format!("UPDATE corpus SET salt = zeroblob(16) {first}"), "entry 0 (add a.md): its leaf is"),
        (format!("UPDATE corpus SET leaf = zeroblob(32) {first}"), "entry 0 (add a.md): its leaf is"),
        (format!("UPDATE corpus SET op = 'remove' {first}"), "entry 0 (remove a.md): the path was not there"),
        (format!("DELETE FROM corpus {first}"), "revision 3: it has 5 entries, and there are 4"),
        ("DELETE FROM corpus WHERE seq = 5".to_owned(), "revision 3: it has 5 entries, and there are 4"),
        ("UPDATE revisions SET root = zeroblob(32) WHERE revision = 2".to_owned(), "revision 2: its root is"),
        ("UPDATE revisions SET size = 3 WHERE revision = 2".to_owned(), "revision 2: its root is"),
        ("UPDATE revisions SET checkpoint = x'00' WHERE revision = 1".to_owned(), "revision 1: its head does not open"),
        (
            "UPDATE revisions SET checkpoint = (SELECT checkpoint FROM revisions WHERE revision = 2) WHERE revision = 1"
                .to_owned(),
            "revision 1: its signed head is of 4 entries",
        ),
        ("UPDATE documents SET document = zeroblob(32) WHERE path = 'long.txt'".to_owned(), "document long.txt: it is"),
        ("UPDATE documents SET path = 'z' WHERE path = 'long.txt'".to_owned(), "document z: the corpus has no such"),
        ("UPDATE documents SET until = 3 WHERE path = 'long.txt'".to_owned(), "document long.txt: it is in the corpus"),
        ("UPDATE documents SET until = NULL WHERE path = 'a.md' AND until = 3".to_owned(), "document a.md: the corpus"),
        (
            "UPDATE chunks SET zstd = (SELECT zstd FROM chunks WHERE start = 65536) WHERE start = 0".to_owned(),
            "its bytes are",
        ),
        ("UPDATE chunks SET zstd = substr(zstd, 1, length(zstd) - 1)".to_owned(), "is damaged"),
        ("DELETE FROM chunks WHERE start = 65536".to_owned(), "a piece is missing at byte 65536"),
        ("DELETE FROM chunks WHERE start = 131072".to_owned(), "its bytes are"),
        ("UPDATE passages SET stop = 1000000 WHERE id = 1".to_owned(), "passage 1: bytes"),
        ("UPDATE passages SET start = stop WHERE id = 1".to_owned(), "passage 1: bytes"),
    ];
    for commons in each().await {
        let (commons, index) = ingested(commons).await;
        for table in TABLES {
            commons.tamper(&index, &format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
        }
        for (tamper, named) in &cases {
            assert!(commons.tamper(&index, tamper).await > 0, "{tamper}");
            let faults: Vec<String> = audit(&index).await.faults.iter().map(ToString::to_string).collect();
            assert!(faults.iter().any(|fault| fault.contains(named)), "{tamper}: no `{named}` in {faults:#?}");
            for table in TABLES.iter().rev() {
                commons.tamper(&index, &format!("DELETE FROM {table}")).await;
            }
            for table in TABLES {
                let whole = if commons.postgres.is_some() { "OVERRIDING SYSTEM VALUE" } else { "" };
                commons.tamper(&index, &format!("INSERT INTO {table} {whole} SELECT * FROM saved_{table}")).await;
            }
        }
        assert_eq!(audit(&index).await.faults, [], "put back");
    }
}

#[tokio::test]
async fn what_lies_between_revisions_is_shown_and_proved() {
    for commons in each().await {
        let (commons, index) = ingested(commons).await;
        proved(&index).await;
        let rewrite = "UPDATE corpus SET path = 'rewritten' WHERE seq = 1";
        commons.tamper(&index, rewrite).await;
        let refused = index.changes(1, None).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    }
}

async fn proved(index: &Collection) {
    let changes = index.changes(1, None).await.expect("changes");
    let entries: Vec<(CorpusOp, &str)> = changes.entries.iter().map(|row| (row.op, row.path.as_str())).collect();
    let wanted = [(CorpusOp::Replace, "a.md"), (CorpusOp::Add, "page.html"), (CorpusOp::Remove, "a.md")];
    assert_eq!(entries, wanted);
    let from = changes.from.expect("a revision");
    let (old, new) = ((from.size, from.root), (changes.to.size, changes.to.root));
    check_consistency(old, new, &changes.proof).expect("proved");
    assert!(check_consistency((from.size, changes.to.root), new, &changes.proof).is_err());
    let all = index.changes(0, Some(2)).await.expect("changes");
    assert_eq!((all.entries.len(), all.to.number, all.from), (4, 2, None));
    let none = index.changes(1, Some(7)).await;
    assert!(matches!(none, Err(StoreError::NoSuchRevision { number: 7, known: 3, .. })), "{none:?}");
}
