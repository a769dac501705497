//! What only a database of many programs can meet: a server that restarts, two writers, a writer that is killed, another
//! machine, no pgvector. And that what it gives is what the records in a file give.

mod common;

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::Path,
    process::{self, Command},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use common::{Commons, Database, NODE, Server, ingest, paths, remove, script, search, statement};
use common_ground::port::index::{Index, Search};
use commons_index::{Caller, Collection, IngestError, Ingested, Limits, NoVectors, Postgres, StoreError};
use sqlx::{Connection, Executor, PgConnection};

const FILES: &[(&str, &str)] = &[("a.md", "# Alpha\n\nSome words of alpha."), ("b/c.txt", "Other words of gamma.")];

/// The folder of the tests, in a database of this server.
async fn on(server: &Server) -> Commons {
    Commons::within(FILES, Database::on(server.url.clone()).await).await
}

/// Ingests; `sign` is called when all but the mark is written.
async fn ingest_until(
    index: &mut Collection,
    sign: &mut (dyn FnMut(&[u8]) -> io::Result<Vec<u8>> + Send),
) -> Result<Ingested, IngestError> {
    let mut entropy = |_salt: &mut [u8]| Ok(());
    index
        .ingest(Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign, progress: &mut |_progress| {} })
        .await
}

#[tokio::test]
async fn a_server_restarted_in_the_middle_of_an_ingest_has_nothing_of_it() {
    let Some(server) = Server::new("ingest") else { return };
    let commons = on(&server).await;
    let mut index = commons.index().await;
    let before = (index.heads(), search(&index, "words").await);
    commons.write("new.md", b"new words");
    remove(&commons.folder.join("a.md"));
    let mut restart = |body: &[u8]| {
        script("restart", &server.name);
        Ok(body.to_vec())
    };
    match ingest_until(&mut index, &mut restart).await {
        Err(IngestError::Store(StoreError::Unreachable { path, .. })) => {
            assert!(!path.display().to_string().contains('@'), "no user is told: {}", path.display());
        }
        other => panic!("{other:?}"),
    }
    for index in [&index, &commons.open().await] {
        assert_eq!((index.heads(), search(index, "words").await), before);
    }
    let (_, database) = commons.postgres.as_ref().expect("a database");
    let mut direct = PgConnection::connect(&database.url).await.expect("connects");
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM ii_commons.documents) + (SELECT count(*) FROM ii_commons.corpus)",
    )
    .fetch_one(&mut direct)
    .await
    .expect("counted");
    assert_eq!(rows, 4, "two documents, two entries");
    let done = ingest(&mut index).await.expect("ingests");
    assert_eq!((done.added, done.removed, done.unchanged), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_go_on_over_a_restart() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let Some(server) = Server::new("search") else { return };
    let commons = on(&server).await;
    let index = std::sync::Arc::new(commons.index().await);
    let wanted = search(&*index, "words of alpha").await;
    assert_eq!(wanted.len(), 2);
    let mut searchers = Vec::new();
    for _ in 0..6 {
        let (index, wanted) = (std::sync::Arc::clone(&index), wanted.clone());
        searchers.push(tokio::spawn(async move {
            let mut searches = 0_u32;
            while !DONE.load(Ordering::Relaxed) {
                assert_eq!(search(&*index, "words of alpha").await, wanted);
                searches += 1;
            }
            searches
        }));
    }
    let name = server.name.clone();
    let restarts = tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            script("restart", &name);
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    restarts.await.expect("restarted");
    DONE.store(true, Ordering::Relaxed);
    for searcher in searchers {
        assert!(searcher.await.expect("each search was answered") > 0);
    }
    assert_eq!(search(&*index, "words of alpha").await, wanted);
}

#[tokio::test]
async fn a_server_that_is_away_is_named_and_no_password_told() {
    let none = Postgres::connect("postgres://me:secret@localhost/x?host=/nowhere").await;
    let Err(StoreError::Unreachable { .. }) = &none else { panic!("{none:?}") };
    let told = format!("{none:?}");
    assert!(told.contains("/nowhere") && !told.contains("secret"), "{told}");
    let no_url = Postgres::connect("postgres://me:secret@[").await;
    assert!(matches!(&no_url, Err(StoreError::Unreachable { .. })) && !format!("{no_url:?}").contains("secret"));
}

#[tokio::test]
async fn of_two_writers_the_second_waits() {
    let Some(commons) = Commons::in_own_postgres(FILES).await else { return };
    let (postgres, _database) = commons.postgres.as_ref().expect("a database");
    let other_home = tempfile::tempdir().expect("a home");
    let mut one = commons.open().await;
    let two = Collection::open_in(postgres, other_home.path(), &commons.folder, NODE, Limits::default());
    let mut two = two.await.expect("opens");
    // Both at once: one adds, the other comes after and finds nothing to do.
    let (first, second) = tokio::join!(ingest(&mut one), ingest(&mut two));
    let (first, second) = (first.expect("ingests"), second.expect("ingests"));
    assert_eq!(first.added + second.added, 2);
    assert_eq!((first.unchanged + second.unchanged, one.heads()), (2, two.heads()));
    assert_eq!(one.revisions().await.expect("revisions").len(), 1);
}

/// Somebody who does not come to an end: a statement that holds, and what an ingest meanwhile is told.
async fn waits_in_vain(hold: &'static str) {
    let Some(commons) = Commons::in_own_postgres(FILES).await else { return };
    let (_, database) = commons.postgres.as_ref().expect("a database");
    let mut one = commons.index().await;
    let mut long = PgConnection::connect(&database.url).await.expect("connects");
    long.execute(hold).await.expect("held");
    commons.write("new.md", b"new words");
    let busy = ingest(&mut one).await;
    assert!(matches!(busy, Err(IngestError::Store(StoreError::Busy { .. }))), "{busy:?}");
    assert_eq!(paths(&commons.open().await, "words").await.len(), 2, "readers do not wait");
    long.close().await.expect("gone");
    assert_eq!(ingest(&mut one).await.expect("ingests").added, 1);
}

#[tokio::test]
async fn who_waits_too_long_for_a_collections_row_is_told_so() {
    waits_in_vain("BEGIN; SELECT 1 FROM ii_commons.collections FOR NO KEY UPDATE").await;
}

/// It holds no row between two of its pieces.
#[tokio::test]
async fn who_waits_too_long_for_an_ingest_of_another_machine_is_told_so() {
    waits_in_vain(
        "SELECT pg_advisory_lock(hashtextextended('ii_commons ' || collection, 0)) FROM ii_commons.collections",
    )
    .await;
}

/// The child that is killed: an ingest that ends the program before its mark.
#[tokio::test]
async fn a_program_killed_while_ingesting_leaves_the_revision_before() {
    const CHILD: &str = "II_TEST_KILLED";
    if let Some(told) = env::var_os(CHILD) {
        let told = told.into_string().expect("text");
        let [url, home, folder] = told.split('\n').collect::<Vec<_>>().try_into().expect("three lines");
        let postgres = Postgres::connect(url).await.expect("connects");
        let index = Collection::open_in(&postgres, Path::new(home), Path::new(folder), NODE, Limits::default());
        let mut kill = |_body: &[u8]| {
            fs::write(Path::new(home).join("reached"), "").expect("written");
            process::abort()
        };
        let ended = ingest_until(&mut index.await.expect("opens"), &mut kill).await;
        panic!("not reached: {ended:?}");
    }
    let Some(commons) = Commons::in_own_postgres(FILES).await else { return };
    let (_, database) = commons.postgres.as_ref().expect("a database");
    let mut index = commons.index().await;
    let before = (index.heads(), search(&index, "words").await);
    commons.write("new.md", b"new words");
    let told = [&database.url, &commons.home.display().to_string(), &commons.folder.display().to_string()];
    let killed = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "a_program_killed_while_ingesting_leaves_the_revision_before"])
        .env(CHILD, told.map(String::as_str).join("\n"))
        .output()
        .expect("runs");
    assert_eq!(killed.status.code(), None, "ended by a signal: {}", String::from_utf8_lossy(&killed.stdout));
    assert!(commons.home.join("reached").is_file(), "it was killed where it was meant to be");
    assert_eq!((index.heads(), search(&commons.open().await, "words").await), before);
    assert_eq!(ingest(&mut index).await.expect("its lock is gone").added, 1);
    assert_eq!(search(&index, "words").await.len(), 3);
}

#[tokio::test]
async fn another_machine_draws_its_own_words_and_follows_when_it_opens_again() {
    let Some(commons) = Commons::in_own_postgres(FILES).await else { return };
    let (postgres, database) = commons.postgres.as_ref().expect("a database");
    let mut index = commons.index().await;
    let other_home = tempfile::tempdir().expect("a home");
    let elsewhere = Postgres::connect(&database.url).await.expect("connects");
    let name = index.collection().to_owned();
    assert_eq!(elsewhere.collections().await.expect("listed"), std::slice::from_ref(&name));
    let open = || Collection::open_collection_in(&elsewhere, other_home.path(), &name);
    let other = open().await.expect("opens");
    let before = search(&other, "words").await;
    assert_eq!((other.heads(), &before), (index.heads(), &search(&index, "words").await));
    assert_eq!(other.origin(), format!("{NODE}/corpus/{name}"), "heads are of whoever signed them");
    commons.write("new.md", b"new words");
    ingest(&mut index).await.expect("ingests");
    assert_eq!(search(&other, "words").await, before, "a reader stays at its revision");
    assert_eq!(search(&open().await.expect("opens"), "words").await.len(), 3);
    // The same folder of another node is another collection.
    let theirs = Collection::open_in(postgres, &commons.home, &commons.folder, "ii-other", Limits::default()).await;
    assert_ne!(theirs.expect("opens").collection(), name);
    assert_eq!(elsewhere.collections().await.expect("listed").len(), 2);
    assert_eq!(search(&index, "words").await.len(), 3, "and has its own documents");
}

#[tokio::test]
async fn a_database_without_pgvector_has_words_and_says_so_and_a_newer_one_is_refused() {
    let Some(database) = Database::own().await else { return };
    // Somebody who may not install an extension.
    let role = format!("t_role_{}", process::id());
    let grant = format!("CREATE ROLE {role} LOGIN");
    statement(&database.url, grant).await.expect("a role");
    let name = database.url.split(['/', '?']).nth(3).expect("a name").to_owned();
    statement(&database.url, format!("GRANT CREATE ON DATABASE {name} TO {role}")).await.expect("granted");
    let url = database.url.replace("//ii@", &format!("//{role}@"));
    let postgres = Postgres::connect(&url).await.expect("connects");
    let why = postgres.without_vectors().expect("no vectors").to_owned();
    assert!(why.contains("pgvector") && why.contains("permission denied"), "{why}");
    let commons = Commons { postgres: Some((postgres, database)), ..Commons::new(FILES) };
    let index = commons.index().await;
    assert_eq!(search(&index, "words").await.len(), 2);
    assert_eq!(index.vectors().err(), Some(NoVectors::Missing { why }));
    assert_eq!(Commons::new(FILES).index().await.vectors().err(), Some(NoVectors::InFile));
    drop(index);

    let (_, database) = commons.postgres.as_ref().expect("a database");
    // Whoever may installs it later, in whatever schema: from then on there are vectors.
    let install =
        "CREATE SCHEMA elsewhere; CREATE EXTENSION vector SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO ";
    statement(&database.url, format!("{install}{role}")).await.expect("installed");
    assert_eq!(Postgres::connect(&url).await.expect("connects").without_vectors(), None);
    let newer = "UPDATE ii_commons.versions SET version = 99 WHERE part = 'records'".to_owned();
    statement(&database.url, newer).await.expect("changed");
    let refused = Postgres::connect(&url).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })), "{refused:?}");
    statement(&database.url, format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.expect("gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_come_at_once_make_one_schema() {
    let Some(database) = Database::own().await else { return };
    let mut programs = Vec::new();
    for _ in 0..8 {
        let url = database.url.clone();
        programs.push(tokio::spawn(
            async move { Postgres::connect(&url).await.map(|one| one.without_vectors().is_none()) },
        ));
    }
    for program in programs {
        assert!(program.await.expect("ran").expect("connects"), "with vectors");
    }
}

/// Of what the planner takes for empty, each is compared with each: 100,000 documents were not in after four minutes, and take one.
#[tokio::test]
async fn the_planner_has_heard_of_a_collection_that_is_filled_beside_another() {
    let Some(database) = Database::own().await else { return };
    let url = database.url.clone();
    let mut commons = Commons::within(FILES, database).await;
    commons.index().await;
    // The server has looked, and will not by itself.
    let looked = "ANALYZE ii_commons.documents; ALTER TABLE ii_commons.documents SET (autovacuum_enabled = off)";
    statement(&url, looked.to_owned()).await.expect("looks");
    commons.folder = commons.root.path().join("second");
    let records: Vec<String> = (0..1_200).map(|n| format!("{{\"_id\": \"{n}\", \"text\": \"word{n}\"}}\n")).collect();
    commons.write("all.jsonl", records.concat().as_bytes());
    commons.index().await;
    let mut direct = PgConnection::connect(&url).await.expect("connects");
    let heard: bool = sqlx::query_scalar(
        "SELECT (SELECT max(collection) FROM ii_commons.documents) = ANY (most_common_vals::text::bigint[]) FROM pg_stats
         WHERE schemaname = 'ii_commons' AND tablename = 'documents' AND attname = 'collection'",
    )
    .fetch_one(&mut direct)
    .await
    .expect("asked");
    assert!(heard);
}

/// Words in a fixed disorder.
fn words(seed: &mut u64, most: u64, count: usize) -> String {
    let mut word = || {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Low numbers are frequent, as in a language.
        let (a, b) = ((*seed >> 33) % most, (*seed >> 13) % most);
        format!("word{}", a.min(b))
    };
    (0..count).map(|_| word()).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn both_databases_give_the_same_hits_and_scores() {
    let seed = &mut 7;
    let files: Vec<(String, String)> = (0..200)
        .map(|n| {
            let body: Vec<String> = (0..n % 9 + 1).map(|_| words(seed, 300, 60)).collect();
            (format!("{}/d{n}.md", n % 13), format!("# {}\n\n{}\n", words(seed, 50, 3), body.join(".\n\n")))
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let Some(database) = Commons::in_postgres(&files).await else { return };
    let file = Commons::new(&files);
    let (one, two) = (file.index().await, database.index().await);
    assert_eq!((one.heads()[0].root, one.counts()), (two.heads()[0].root, two.counts()));
    let mut found = BTreeSet::new();
    for n in 0..50 {
        let query = Search::new(words(seed, 300, n % 6 + 1), 10);
        let (hits, same) = (one.search(&query).await.expect("searches"), two.search(&query).await.expect("searches"));
        assert_eq!(hits, same, "{}", query.query);
        assert_eq!(hits.len(), 10, "{}", query.query);
        found.extend(hits.into_iter().map(|hit| hit.passage.path));
    }
    assert!(found.len() > 50, "hits of {} documents", found.len());
}
