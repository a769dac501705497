//! Files of many documents, of many kinds and encodings; what is known of documents; ingests that are killed and go on.

mod common;

use std::{
    fs, io,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Commons, NODE, ingest, paths, remove, search};
use common_ground::port::index::Index;
use commons_index::{
    Auditor, Caller, Collection, CorpusOp, Declared, Fields, Given, IngestError, Ingested, Limits, Metadata, Postgres,
    SkipReason, StoreError,
};
use receipts::{Digest, checkpoint::Checkpoint};

fn counts(done: &Ingested) -> [u64; 5] {
    [done.added, done.replaced, done.removed, done.unchanged, done.documents]
}

fn record(id: usize, words: &str) -> String {
    format!("{{\"_id\": \"r{id}\", \"title\": \"Record {id}\", \"text\": \"{words}\"}}\n")
}

async fn faultless(index: &Collection) {
    let open = |text: &str| Checkpoint::parse(text).ok_or_else(|| "no head".to_owned());
    let audit = index.audit(Auditor { open: &open, progress: &mut |_at| {} }).await.expect("audited");
    assert_eq!(audit.faults, []);
}

#[tokio::test]
async fn each_record_is_a_document_and_only_what_differs_changes() {
    let commons = Commons::new(&[("note.md", "plain words")]);
    let lines = |range: std::ops::Range<usize>, of: usize| -> String {
        range.map(|n| record(n, &if n == of { "other words".to_owned() } else { format!("number{n} words") })).collect()
    };
    commons.write("all.jsonl", lines(0..1_500, 1_500).as_bytes());
    let mut index = commons.index().await;
    assert_eq!(paths(&index, "number77").await, ["all.jsonl#r77"]);
    let hit = search(&index, "number77").await.remove(0).passage;
    assert_eq!((hit.title.as_str(), hit.content.as_str()), ("Record 77", "number77 words"));
    assert_eq!(hit.document, Digest::of(record(77, "number77 words").trim_end().as_bytes()), "the record's own bytes");
    assert_eq!(hit.id.text, Digest::of(b"number77 words"));

    assert_eq!(counts(&ingest(&mut index).await.expect("same")), [0, 0, 0, 1_501, 1_501]);
    // One differs, ten are gone, ten are new.
    commons.write("all.jsonl", lines(10..1_510, 700).as_bytes());
    assert_eq!(counts(&ingest(&mut index).await.expect("changed")), [10, 1, 10, 1_490, 1_501]);
    assert_eq!(paths(&index, "other").await, ["all.jsonl#r700"]);
    assert!(paths(&index, "number3").await.is_empty() && paths(&index, "number700").await.is_empty());
    let rows = index.corpus().await.expect("corpus");
    let of = |op| rows[1_501..].iter().filter(|row| row.op == op).count();
    assert_eq!([CorpusOp::Add, CorpusOp::Replace, CorpusOp::Remove].map(of), [10, 1, 10]);
    faultless(&index).await;
    remove(&commons.folder.join("all.jsonl"));
    assert_eq!(counts(&ingest(&mut index).await.expect("gone")), [0, 0, 1_500, 1, 1]);
}

#[tokio::test]
async fn bad_records_are_listed_with_their_place_and_counted_when_they_are_many() {
    let commons = Commons::new(&[]);
    let long = format!("{{\"_id\": \"long\", \"text\": \"{}\"}}\n", "x".repeat(17 << 20));
    let (first, last) = (record(0, "first words"), record(1, "last words"));
    let mut all = format!("{first}{long}not json\n{first}").into_bytes();
    all.extend_from_slice(b"{\"_id\": \"bad\", \"text\": \"caf\xe9\"}\n");
    all.extend("{\"_id\": 5}\n".repeat(300).bytes());
    all.extend(last.bytes());
    commons.write("all.jsonl", &all);
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    assert_eq!(counts(&done), [2, 0, 0, 0, 2]);
    let at = first.len() as u64;
    assert_eq!(
        done.skipped.iter().find(|one| matches!(one.reason, SkipReason::RecordTooLarge { .. })).map(|one| &one.reason),
        Some(&SkipReason::RecordTooLarge { at, bytes: long.len() as u64, limit: 16 << 20 })
    );
    let has = |wanted: &str| done.skipped.iter().any(|one| one.to_string().starts_with(wanted));
    assert!(has(&format!("all.jsonl: record at byte {}: ", at + long.len() as u64)), "{:?}", done.skipped);
    assert!(has("all.jsonl#r0: the name is another record's"), "{:?}", done.skipped);
    let rest = SkipReason::More { records: 204 };
    assert!(done.skipped.len() == 101 && done.skipped.iter().any(|one| one.reason == rest), "{:?}", done.skipped);
    // What was passed over is said again, by its number, while the file is as it was.
    let again = ingest(&mut index).await.expect("ingests");
    assert_eq!(again.skipped.iter().map(|one| &one.reason).collect::<Vec<_>>(), [&SkipReason::More { records: 304 }]);
}

#[tokio::test]
async fn packed_files_are_read_and_bombs_are_named() {
    let commons = Commons::new(&[("good.md", "good words")]);
    let gzip = |bytes: &mut dyn io::Read| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::copy(bytes, &mut packed).expect("packs");
        packed.finish().expect("packs")
    };
    let lines = record(0, "packed words") + &record(1, "more packed words");
    commons.write("all.jsonl.gz", &gzip(&mut lines.as_bytes()));
    commons.write("note.txt.zst", &zstd::encode_all(&b"words of a note"[..], 1).expect("packs"));
    let bomb = |size| gzip(&mut io::Read::take(io::repeat(b' '), size));
    commons.write("bomb.txt.gz", &bomb(300 << 20));
    commons.write("bomb.jsonl.gz", &bomb(300 << 20));
    let whole = gzip(&mut lines.as_bytes());
    commons.write("cut.jsonl.gz", &whole[..whole.len() - 6]);
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    let reason = |path: &str| done.skipped.iter().find(|one| one.path == path).map(|one| one.reason.clone());
    assert_eq!(reason("bomb.jsonl.gz"), Some(SkipReason::Bomb { times: 200 }));
    assert!(matches!(reason("bomb.txt.gz"), Some(SkipReason::TooLarge { .. } | SkipReason::Bomb { .. })));
    assert!(matches!(reason("cut.jsonl.gz"), Some(SkipReason::Unreadable { .. })), "{:?}", done.skipped);
    let note = search(&index, "note").await.remove(0).passage;
    assert_eq!((note.path.as_str(), note.id.text), ("note.txt.zst", Digest::of(b"words of a note")));
    assert_eq!(note.document, Digest::of(&fs::read(commons.folder.join("note.txt.zst")).expect("reads")));
    let mut found = paths(&index, "packed").await;
    found.sort();
    // Of the one that is cut short what could be read is there; both have the same texts.
    assert_eq!(found, ["all.jsonl.gz#r0", "all.jsonl.gz#r1"]);
    assert_eq!((done.documents, done.duplicates), (6, 2));
    faultless(&index).await;
}

#[tokio::test]
async fn texts_of_other_encodings_are_cited_by_their_letters() {
    let commons = Commons::new(&[]);
    let sentence = "Le café est fermé le dimanche, c'est très dommage pour les élèves.";
    let latin: Vec<u8> = sentence.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect();
    let wide: Vec<u8> = "\u{feff}Ein Wörterbuch.".encode_utf16().flat_map(u16::to_le_bytes).collect();
    commons.write("latin.txt", &latin);
    commons.write("wide.md", &wide);
    commons.write("utf8.txt", "Un élève.".as_bytes());
    let index = commons.index().await;
    let hit = search(&index, "dimanche").await.remove(0).passage;
    assert_eq!((hit.content.as_str(), hit.document), (sentence, Digest::of(&latin)));
    assert_eq!(hit.id.text, Digest::of(sentence.as_bytes()));
    assert_eq!(search(&index, "Wörterbuch").await[0].passage.content, "Ein Wörterbuch.");
    let plain = search(&index, "élève").await.remove(0).passage;
    assert_eq!((plain.id.text, plain.path.as_str()), (plain.document, "utf8.txt"), "UTF-8 is cited as it stands");
    faultless(&index).await;
}

#[tokio::test]
async fn what_is_known_of_documents_is_kept_and_what_is_declared_stays() {
    let commons = Commons::new(&[
        ("said.md", "---\nlicense: MIT\nlang: fr\nsource: https://x.example/said\ndate: 2024-02-03\n---\nSome words."),
        ("page.html", "<html lang=de><link rel=canonical href=https://x.example/page><p>Worte."),
        (
            "all.jsonl",
            "{\"id\": 1, \"body_text\": \"record words\", \"license\": \"CC0\", \"url\": \"https://x.example/1\"}\n",
        ),
        ("plain.txt", "It was the best of times, it was the worst of times, and nobody knew which of them it was."),
    ]);
    let mut index = commons.open().await;
    let mut fields = Fields::default();
    assert!(fields.set("text", "body_text"));
    let metadata = Metadata {
        licence: Some("CC BY 4.0".to_owned()),
        source: Some("https://x.example/files/".to_owned()),
        ..Metadata::default()
    };
    index.declare(Declared { metadata, fields });
    assert_eq!(ingest(&mut index).await.expect("ingests").documents, 4);
    let told = |live: &[commons_index::Live]| -> Vec<String> {
        let say = |one: &Option<String>| one.clone().unwrap_or_else(|| "-".to_owned());
        let one = |live: &commons_index::Live| {
            let Metadata { source, licence, language, date, .. } = &live.metadata;
            format!("{} {} {} {} {}", live.path, say(source), say(licence), say(language), say(date))
        };
        live.iter().map(one).collect()
    };
    let wanted = [
        "all.jsonl#1 https://x.example/1 CC0 - -",
        "page.html https://x.example/page CC BY 4.0 de -",
        "plain.txt https://x.example/files/plain.txt CC BY 4.0 en -",
        "said.md https://x.example/said MIT fr 2024-02-03",
    ];
    assert_eq!(told(&index.documents().await.expect("documents")), wanted);
    // Said again, or not said at all, it is the same; otherwise what it changes is replaced.
    let mut index = commons.open().await;
    assert_eq!(counts(&ingest(&mut index).await.expect("same")), [0, 0, 0, 4, 4]);
    let mut other = Declared::default();
    other.fields.set("text", "body_text");
    other.metadata.licence = Some("CC BY 4.0".to_owned());
    index.declare(other);
    assert_eq!(counts(&ingest(&mut index).await.expect("declared")), [0, 1, 0, 3, 4]);
    assert_eq!(counts(&ingest(&mut index).await.expect("same")), [0, 0, 0, 4, 4]);
    faultless(&index).await;
}

#[tokio::test]
async fn equal_texts_are_searched_once_and_all_their_paths_are_known() {
    let commons =
        Commons::new(&[("b.txt", "the very same words"), ("c.txt", "other words"), ("d.txt", "the very same words")]);
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    assert_eq!((done.documents, done.duplicates, done.passages), (3, 1, 2));
    assert_eq!(paths(&index, "same").await, ["b.txt"]);
    let text = Digest::of(b"the very same words");
    assert_eq!(index.paths(text).await.expect("paths"), ["b.txt", "d.txt"]);
    // The hit is of the first path, also when that one comes later, and of the next one when it goes.
    commons.write("a.txt", b"the very same words");
    ingest(&mut index).await.expect("ingests");
    assert_eq!(paths(&index, "same").await, ["a.txt"]);
    remove(&commons.folder.join("a.txt"));
    remove(&commons.folder.join("b.txt"));
    assert_eq!(ingest(&mut index).await.expect("ingests").duplicates, 0);
    assert_eq!(paths(&index, "same").await, ["d.txt"]);
}

#[tokio::test]
async fn an_index_that_follows_gives_the_hits_of_one_drawn_whole() {
    let file =
        |n: usize| (format!("{n:03}.md"), format!("# N {n}\n\nshared words word{} {}", n % 5, "x ".repeat(n % 40)));
    for (followed, whole) in Commons::each(&[]).await.into_iter().zip(Commons::each(&[]).await) {
        let mut index = followed.open().await;
        for turn in 0..30 {
            for n in turn * 4..turn * 4 + 4 {
                // Not in the order of paths.
                let (path, text) = file((n * 37) % 120);
                followed.write(&path, text.as_bytes());
            }
            ingest(&mut index).await.expect("ingests");
        }
        for n in 0..120 {
            let (path, text) = file(n);
            whole.write(&path, text.as_bytes());
        }
        let whole = whole.index().await;
        for query in ["shared words", "word3", "N 7 x", "x"] {
            let hits = search(&index, query).await;
            assert_eq!(hits.len(), 10);
            assert_eq!(hits, search(&whole, query).await, "{query}");
        }
        assert_eq!(index.counts(), whole.counts());
        faultless(&index).await;
    }
}

#[tokio::test]
async fn documents_that_are_given_are_added_and_no_folder_takes_them_away() {
    let given = |path: &str, media: &str, bytes: &str| Given {
        path: path.to_owned(),
        media: media.to_owned(),
        bytes: bytes.as_bytes().to_vec(),
        metadata: Metadata { date: Some("2024".to_owned()), ..Metadata::default() },
    };
    for commons in Commons::each(&[("a.md", "words of a file")]).await {
        let mut index = commons.index().await;
        let pages = vec![
            given("https://x.example/p", "text/html; charset=utf-8", "<title>P</title><p>words of a page"),
            given("https://x.example/z", "image/png", "?"),
        ];
        let mut entropy = |salt: &mut [u8]| -> io::Result<()> {
            salt.fill(9);
            Ok(())
        };
        let mut sign = |body: &[u8]| Ok(body.to_vec());
        let caller =
            Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut |_at| {} };
        let done = index.add(Box::new(pages.into_iter()), caller).await.expect("added");
        assert_eq!((done.added, done.removed, done.documents, done.skipped.len()), (1, 0, 2, 1));
        assert_eq!(
            counts(&ingest(&mut index).await.expect("ingests")),
            [0, 0, 0, 2, 2],
            "the folder takes nothing away"
        );
        assert_eq!(paths(&index, "page").await, ["https://x.example/p"]);
        let live = index.documents().await.expect("documents");
        assert_eq!(live[1].metadata.date.as_deref(), Some("2024"));
        let mut list = commons.open_list("mine").await;
        let none = ingest(&mut list).await;
        assert!(matches!(none, Err(IngestError::WithoutFolder { .. })), "{none:?}");
        let pages = vec![given("https://x.example/p", "text/plain", "words of a list")];
        let caller =
            Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut |_at| {} };
        assert_eq!(list.add(Box::new(pages.into_iter()), caller).await.expect("added").documents, 1);
        assert_eq!(paths(&commons.open_list("mine").await, "list").await, ["https://x.example/p"]);
    }
}

/// The lines that the killed ingest reads, and the file that it never gets to.
fn many() -> String {
    (0..30_000).map(|n| record(n, &format!("number{n} words of a record that an ingest was killed over"))).collect()
}

const KILLED: &str = "II_TEST_KILLED";

/// Started as a child, this ingests until it is killed.
#[tokio::test]
async fn child_that_is_killed() {
    let Ok(told) = std::env::var(KILLED) else { return };
    let (root, url) = told.split_once('\n').expect("two lines");
    let (home, folder) = (Path::new(root).join("home"), Path::new(root).join("folder"));
    let mut index = if url.is_empty() {
        Collection::open(&home, &folder, NODE, Limits::default()).await.expect("opens")
    } else {
        let postgres = Postgres::connect(url).await.expect("connects");
        Collection::open_in(&postgres, &home, &folder, NODE, Limits::default()).await.expect("opens")
    };
    let mut entropy = |_salt: &mut [u8]| Ok(());
    // The kill comes before this, or the parent says so.
    let mut sign = |_body: &[u8]| Err(io::Error::other("not killed in time"));
    let mut told = 0;
    let mut progress = |_at| {
        told += 1;
        println!("batch {told}");
    };
    let caller =
        Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut progress };
    drop(index.ingest(caller).await);
    println!("at its end");
    std::thread::sleep(Duration::from_secs(60));
}

#[tokio::test]
async fn a_killed_ingest_is_not_seen_and_the_next_one_goes_on_with_what_it_wrote() {
    for commons in Commons::each(&[("a.md", "first words"), ("gone.md", "words that go")]).await {
        let url = commons.postgres.as_ref().map_or("", |(_postgres, database)| &database.url);
        let reader = commons.index().await;
        let (heads, before) = (reader.heads(), search(&reader, "words").await);
        commons.write("a.md", b"changed words");
        commons.write("many.jsonl", many().as_bytes());
        remove(&commons.folder.join("gone.md"));
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "child_that_is_killed", "--nocapture"])
            .env(KILLED, format!("{}\n{url}", commons.root.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        // Some batches in, what came before is durable: 10,000 documents are one piece.
        let lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().expect("piped")));
        let told: Vec<String> = lines.map_while(Result::ok).take_while(|line| line != "batch 30").collect();
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(told.iter().all(|line| line != "at its end"), "killed too late");

        for index in [&reader, &commons.open().await] {
            assert_eq!(
                (index.heads(), search(index, "words").await),
                (heads.clone(), before.clone()),
                "nothing is seen"
            );
            assert_eq!(index.documents().await.expect("documents").len(), 2);
            let unknown = common_ground::port::index::PassageId {
                text: Digest::of(b"changed words"),
                span: common_ground::citation::Span { start: 0, end: 3 },
            };
            assert!(index.read(&unknown).await.is_err());
            faultless(index).await;
        }
        // Between, one file goes back to what it was and one record of the many changes.
        commons.write("a.md", b"first words");
        let changed = many().replacen("number7 words", "number7 letters", 1);
        commons.write("many.jsonl", changed.as_bytes());
        let mut index = commons.open().await;
        let done = ingest(&mut index).await.expect("goes on");
        assert_eq!(counts(&done), [30_000, 0, 1, 1, 30_001]);
        // Durable after 10,000 documents or ten seconds, looked at after every 512: of thirty times that at least eleven.
        assert!(done.resumed >= 5_000, "only {} were there", done.resumed);
        assert_eq!(paths(&index, "letters").await, ["many.jsonl#r7"]);
        assert_eq!(paths(&index, "first").await, ["a.md"]);
        faultless(&index).await;

        // The same as if it had never been killed.
        let whole = Commons::new(&[("a.md", "first words"), ("gone.md", "words that go")]);
        let mut other = whole.index().await;
        whole.write("many.jsonl", changed.as_bytes());
        remove(&whole.folder.join("gone.md"));
        ingest(&mut other).await.expect("ingests");
        let told = |rows: Vec<commons_index::CorpusRow>| -> Vec<_> {
            rows.into_iter().map(|row| (row.op, row.path, row.document)).collect()
        };
        assert_eq!(told(index.corpus().await.expect("corpus")), told(other.corpus().await.expect("corpus")));
        assert_eq!(search(&index, "words of number500").await, search(&other, "words of number500").await);
    }
}

#[tokio::test]
async fn of_two_ingests_the_second_is_told_and_a_lock_of_the_dead_is_none() {
    let commons = Commons::new(&[("a.md", "words")]);
    let mut index = commons.index().await;
    let path = commons.store(&index).join("ingest.lock");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("the lock's file stays");
    file.lock().expect("held");
    let refused = ingest(&mut index).await;
    assert!(matches!(refused, Err(IngestError::Store(StoreError::Busy { .. }))), "{refused:?}");
    drop(file);
    commons.write("b.md", b"more words");
    assert_eq!(counts(&ingest(&mut index).await.expect("ingests")), [1, 0, 0, 1, 2]);
}

#[tokio::test]
async fn a_line_of_two_gigabytes_costs_no_memory_and_no_other_line() {
    let commons = Commons::new(&[]);
    // A hole in the file: no disk is written.
    let path = commons.folder.join("all.jsonl");
    let mut file = fs::File::create(&path).expect("a file");
    let first = record(0, "first words");
    file.write_all(first.as_bytes()).expect("written");
    let hole = 2_u64 << 30;
    file.set_len(first.len() as u64 + hole).expect("sparse");
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).expect("sought");
    file.write_all(format!("\n{}", record(1, "last words")).as_bytes()).expect("written");
    drop(file);
    let mut index = commons.open().await;
    let done = ingest(&mut index).await.expect("ingests");
    assert_eq!(counts(&done), [2, 0, 0, 0, 2]);
    let at = first.len() as u64;
    assert_eq!(done.skipped[0].reason, SkipReason::RecordTooLarge { at, bytes: hole + 1, limit: 16 << 20 });
    if let Some(peak) = peak() {
        assert!(peak < 1_500, "{peak} MiB were taken");
    }
}

/// The most memory that this process had, in MiB, where the system tells it.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}
