//! Ingests of real folders: what changes, what the corpus records, what survives a kill.

mod common;

use std::{fs, io};

use common::{Commons, ingest, paths, remove, search};
use common_ground::{
    citation::Span,
    port::index::{Index, PassageId},
};
use commons_index::{Caller, Collection, CorpusOp, IngestError, StoreError};
use receipts::Digest;

fn counts(done: &commons_index::Ingested) -> [u64; 5] {
    [done.added, done.replaced, done.removed, done.unchanged, done.documents]
}

#[tokio::test]
async fn each_ingest_does_what_changed_and_the_corpus_says_so() {
    for commons in Commons::each(&[("a.md", "alpha"), ("b/c.md", "gamma"), ("b-d.md", "delta")]).await {
        let mut index = commons.open().await;
        assert!(
            index.heads().is_empty() && search(&index, "alpha").await.is_empty(),
            "nothing before the first ingest"
        );
        assert_eq!(counts(&ingest(&mut index).await.expect("first")), [3, 0, 0, 0, 3]);
        let first = index.heads();
        assert_eq!(counts(&ingest(&mut index).await.expect("same")), [0, 0, 0, 3, 3]);
        assert_eq!(index.heads(), first, "nothing changed, no new head");

        // Same size and time: only the bytes tell.
        let time = fs::metadata(commons.folder.join("a.md")).and_then(|data| data.modified()).expect("time");
        commons.write("a.md", b"omega");
        let file = fs::File::options().write(true).open(commons.folder.join("a.md")).expect("file");
        file.set_modified(time).expect("set");
        remove(&commons.folder.join("b-d.md"));
        fs::rename(commons.folder.join("b/c.md"), commons.folder.join("b/new.md")).expect("renamed");
        assert_eq!(counts(&ingest(&mut index).await.expect("changes")), [1, 1, 2, 0, 2]);
        let rows = index.corpus().await.expect("corpus");
        let told: Vec<(CorpusOp, &str, Digest)> =
            rows.iter().map(|row| (row.op, row.path.as_str(), row.document)).collect();
        let of = |text: &str| Digest::of(text.as_bytes());
        assert_eq!(
            told,
            [
                (CorpusOp::Add, "a.md", of("alpha")),
                (CorpusOp::Add, "b-d.md", of("delta")),
                (CorpusOp::Add, "b/c.md", of("gamma")),
                (CorpusOp::Replace, "a.md", of("omega")),
                (CorpusOp::Remove, "b-d.md", of("delta")),
                (CorpusOp::Remove, "b/c.md", of("gamma")),
                (CorpusOp::Add, "b/new.md", of("gamma")),
            ]
        );
        assert_eq!(index.heads()[0].size, 7);
        assert_eq!(paths(&index, "gamma alpha omega delta").await, ["a.md", "b/new.md"]);
        let body = String::from_utf8(index.checkpoint().expect("signed").to_vec()).expect("text");
        assert!(body.starts_with(&format!("ii-0123456789abcdef/corpus/{}\n7\n", index.collection())), "{body}");
        assert!(body.ends_with("=\n") && body.lines().count() == 3, "root in base64: {body}");
        assert!(!index.collection().contains("folder") && index.collection().len() == 16);
    }
}

#[tokio::test]
async fn a_text_that_left_the_folder_is_still_read_and_the_folder_itself_may_go() {
    for commons in Commons::each(&[("a.md", "alpha beta."), ("b.md", "stays")]).await {
        let mut index = commons.index().await;
        remove(&commons.folder.join("a.md"));
        ingest(&mut index).await.expect("ingests");
        let id = PassageId { text: Digest::of(b"alpha beta."), span: Span { start: 0, end: 5 } };
        assert_eq!(index.read(&id).await.expect("kept").content, "alpha");
        let collection = index.collection().to_owned();
        fs::remove_dir_all(&commons.folder).expect("gone");
        let index = commons.open_named(&collection).await.expect("opens");
        assert_eq!(index.read(&id).await.expect("kept").path, "a.md");
        assert_eq!(paths(&index, "stays").await, ["b.md"]);
        let none = commons.open_named("../../../../etc").await;
        assert!(matches!(none, Err(StoreError::NoSuchCollection { .. })));
    }
}

#[tokio::test]
async fn a_reader_stays_at_its_revision() {
    for commons in Commons::each(&[("a.md", "old words")]).await {
        let reader = commons.index().await;
        let before = search(&reader, "words").await;
        commons.write("a.md", b"new words");
        commons.write("b.md", b"words again");
        let writer = commons.index().await;
        assert_eq!(search(&reader, "words").await, before);
        assert_eq!(reader.heads()[0].size, 1);
        let unknown = PassageId { text: Digest::of(b"new words"), span: Span { start: 0, end: 3 } };
        assert!(reader.read(&unknown).await.is_err(), "a later text is not of this revision");
        assert_eq!(search(&writer, "words").await.len(), 2);
    }
}

#[tokio::test]
async fn two_fresh_ingests_give_equal_hits_and_roots_and_history_does_not_matter() {
    let files: Vec<(String, String)> = (0..60)
        .map(|n| (format!("{}/n{n}.md", n % 7), format!("# N {n}\n\nword{} shared words {}.", n % 5, "x ".repeat(n))))
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let (one, two, detour) = (Commons::new(&files), Commons::new(&files), Commons::new(&files[10..]));
    let (one, two) = (one.index().await, two.index().await);
    detour.write("0/other.md", b"shared words that go again");
    let mut other = detour.index().await;
    remove(&detour.folder.join("0/other.md"));
    for (path, text) in &files[..10] {
        detour.write(path, text.as_bytes());
    }
    ingest(&mut other).await.expect("ingests");
    assert_eq!(one.heads()[0].root, two.heads()[0].root);
    for query in ["shared words", "word3", "N 7 x"] {
        let hits = search(&one, query).await;
        assert!(!hits.is_empty());
        assert_eq!(hits, search(&two, query).await);
        assert_eq!(hits, search(&other, query).await, "after a detour");
    }
}

/// A signer that fails stands for a kill between the corpus and the mark: all that was written must not count.
#[tokio::test]
async fn an_ingest_that_dies_before_its_mark_leaves_the_revision_before() {
    for commons in Commons::each(&[("a.md", "first words")]).await {
        let mut index = commons.index().await;
        let (heads, before) = (index.heads(), search(&index, "words").await);
        commons.write("b.md", b"second words");
        let mut entropy = |_salt: &mut [u8]| Ok(());
        let mut sign = |_body: &[u8]| Err(io::Error::other("killed here"));
        let failed = index
            .ingest(Caller {
                began_ms: 1_795_000_000_000,
                entropy: &mut entropy,
                sign: &mut sign,
                progress: &mut |_progress| {},
            })
            .await;
        assert!(matches!(failed, Err(IngestError::Unsigned(_))));
        // What a killed process leaves beside the records: half a word index of the next revision.
        let half = commons.store(&index).join("words-2");
        fs::create_dir_all(&half).expect("half");
        fs::write(half.join("meta.json"), b"{").expect("half");
        for index in [&index, &commons.open().await] {
            assert_eq!((index.heads(), search(index, "words").await), (heads.clone(), before.clone()));
        }
        assert_eq!(counts(&ingest(&mut index).await.expect("again")), [1, 0, 0, 1, 2]);
        assert_eq!(search(&index, "words").await.len(), 2);
    }
}

#[tokio::test]
async fn a_word_index_that_is_missing_or_damaged_is_drawn_again() {
    for commons in Commons::each(&[("a.md", "some words"), ("b.md", "other words")]).await {
        let index = commons.index().await;
        let (before, words) = (search(&index, "words").await, commons.store(&index).join("words-1"));
        drop(index);
        fs::remove_dir_all(&words).expect("removed");
        assert_eq!(search(&commons.open().await, "words").await, before);
        for entry in fs::read_dir(&words).expect("drawn again") {
            let path = entry.expect("entry").path();
            let mut bytes = fs::read(&path).expect("file");
            if let Some(byte) = bytes.get_mut(0) {
                *byte ^= 0xff;
            }
            fs::remove_file(&path).expect("removed");
            fs::write(&path, bytes).expect("damaged");
        }
        assert_eq!(search(&commons.open().await, "words").await, before);
    }
}

#[tokio::test]
async fn damaged_and_newer_records_are_named() {
    let commons = Commons::new(&[("a.md", "some words")]);
    let index = commons.index().await;
    let records = commons.store(&index).join("records.sqlite");
    drop(index);
    let open = || Collection::open(&commons.home, &commons.folder, "ii-0", commons_index::Limits::default());
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&records);
    let pool = sqlx::SqlitePool::connect_with(options).await.expect("opens");
    sqlx::raw_sql("PRAGMA user_version = 999").execute(&pool).await.expect("set");
    pool.close().await;
    assert!(matches!(open().await, Err(StoreError::Newer { found: 999, .. })));
    // A connection is closed behind whoever drops it, and the last one writes its log into the records.
    let log = records.with_file_name("records.sqlite-wal");
    let began = std::time::Instant::now();
    while log.exists() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "somebody has it open still");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    fs::write(&records, "this is no database, and long enough to be read as one's header".repeat(100))
        .expect("damaged");
    let damaged = open().await.err();
    assert!(matches!(damaged, Some(StoreError::Damaged { .. })), "{damaged:?}");
}

#[tokio::test]
async fn a_text_of_many_pieces_is_read_across_them_and_rot_is_noticed() {
    let text: String = (0..9_000).map(|n| format!("Sentence {n} of é many.\n\n")).collect();
    assert!(text.len() > 3 * 65_536);
    for commons in Commons::each_alone(&[("long.md", &text)]).await {
        let index = commons.index().await;
        let whole = PassageId { text: Digest::of(text.as_bytes()), span: Span { start: 0, end: text.len() as u64 } };
        assert_eq!(index.read(&whole).await.expect("reads").content, text);
        for number in (0..9_000).step_by(53) {
            for hit in search(&index, &number.to_string()).await {
                let span = hit.passage.id.span;
                assert_eq!(hit.passage.content, text[span.start as usize..span.end as usize]);
            }
        }
        let rot = "UPDATE chunks SET zstd = CAST(substr(zstd, 1, length(zstd) - 1) || x'00' AS BLOB)";
        assert!(commons.tamper(&index, rot).await > 0);
        assert!(matches!(index.read(&whole).await, Err(common_ground::port::index::IndexError::Damaged { .. })));
    }
}

#[tokio::test]
async fn a_file_of_no_records_is_named() {
    let commons = Commons::new(&[("a.md", "some words"), ("none.jsonl", "")]);
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    let skipped: Vec<String> = done.skipped.iter().map(ToString::to_string).collect();
    assert_eq!(skipped, ["none.jsonl: no text"]);
}
