//! A home, a folder of real files, a database where one is wanted, and a caller whose randomness is a counter, for the tests
//! of this crate.

#![allow(dead_code, reason = "each test program uses a part")]

pub mod bag;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use common_ground::port::index::{Hit, Index, Search};
use commons_index::{Caller, Collection, IngestError, Ingested, Limits, Postgres, SearchedIn, StoreError};
use sqlx::{Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

/// The node of the tests.
pub const NODE: &str = "ii-0123456789abcdef";

/// The server that `II_TEST_POSTGRES` names (`scripts/postgres.sh start`), if there is one.
pub fn server() -> Option<String> {
    let server = std::env::var("II_TEST_POSTGRES").ok();
    if server.is_none() {
        assert!(std::env::var_os("CI").is_none(), "II_TEST_POSTGRES names no server");
        println!("skipped: Postgres: II_TEST_POSTGRES names no server (scripts/postgres.sh start prints one)");
    }
    server
}

/// A server of one test's own, which it may restart.
pub struct Server {
    pub name: String,
    pub url: String,
}

impl Server {
    pub fn new(purpose: &str) -> Option<Self> {
        server()?;
        let name = format!("{purpose}-{}", process::id());
        let url = script("start", &name);
        Some(Self { url: url.trim().to_owned(), name })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script("stop", &self.name);
    }
}

/// Runs `scripts/postgres.sh`.
pub fn script(what: &str, name: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres.sh");
    let done = Command::new(script).args([what, name]).output().expect("scripts/postgres.sh");
    assert!(done.status.success(), "{what} {name}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

/// A database on the server of the tests: one for all tests that only look at their own collections, which goes with the
/// server, or one of a test's own, which goes with the test.
pub struct Database {
    pub url: String,
    server: String,
    own: Option<String>,
}

impl Database {
    /// One for all.
    pub async fn shared() -> Option<Self> {
        let server = server()?;
        match statement(&server, "CREATE DATABASE shared".to_owned()).await {
            Ok(_made) => {}
            // Made by another test, a while or a moment ago.
            Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {}
            Err(error) => panic!("{error}"),
        }
        Some(Self { url: url_of(&server, "shared"), server, own: None })
    }

    /// A test's own.
    pub async fn own() -> Option<Self> {
        Some(Self::on(server()?).await)
    }

    /// The same on this server.
    pub async fn on(server: String) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("t_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        statement(&server, format!("CREATE DATABASE {name}")).await.expect("a database");
        Self { url: url_of(&server, &name), own: Some(name), server }
    }
}

fn url_of(server: &str, database: &str) -> String {
    let (place, how) = server.split_once("/postgres?").expect("a URL of the database postgres with parameters");
    format!("{place}/{database}?{how}")
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(name) = &self.own else { return };
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(statement(&server, drop))
        });
        if let Ok(Err(error)) = dropped.join() {
            println!("the database {name} stays: {error}");
        }
    }
}

/// Runs a statement over a connection of its own.
pub async fn statement(url: &str, statement: String) -> Result<u64, sqlx::Error> {
    let mut on = PgConnection::connect(url).await?;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut on).await?;
    on.close().await?;
    Ok(done.rows_affected())
}

pub struct Commons {
    pub root: TempDir,
    pub home: PathBuf,
    pub folder: PathBuf,
    pub postgres: Option<(Postgres, Database)>,
    pub limits: Limits,
}

impl Commons {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let (home, folder) = (root.path().join("home"), root.path().join("folder"));
        fs::create_dir_all(&home).expect("home");
        fs::create_dir_all(&folder).expect("folder");
        let commons = Self { root, home, folder, postgres: None, limits: Limits::default() };
        for (path, content) in files {
            commons.write(path, content.as_bytes());
        }
        commons
    }

    /// The same in the database of all tests; none where they have no server.
    pub async fn in_postgres(files: &[(&str, &str)]) -> Option<Self> {
        Some(Self::within(files, Database::shared().await?).await)
    }

    /// In a database of its own.
    pub async fn in_own_postgres(files: &[(&str, &str)]) -> Option<Self> {
        Some(Self::within(files, Database::own().await?).await)
    }

    /// In this database.
    pub async fn within(files: &[(&str, &str)], database: Database) -> Self {
        let postgres = Postgres::connect(&database.url).await.expect("connects");
        Self { postgres: Some((postgres, database)), ..Self::new(files) }
    }

    /// One with its records in a file, and one in the database of all tests.
    pub async fn each(files: &[(&str, &str)]) -> Vec<Self> {
        [Some(Self::new(files)), Self::in_postgres(files).await].into_iter().flatten().collect()
    }

    /// The same, and one of which that database searches the vectors.
    pub async fn each_way(files: &[(&str, &str)]) -> Vec<Self> {
        let mut each = Self::each(files).await;
        each.extend(Self::in_postgres(files).await.map(Self::searched_there));
        each
    }

    /// No passage is to be searched in memory where a database can.
    pub fn searched_there(self) -> Self {
        Self { limits: Limits { home_vectors: 0, ..self.limits }, ..self }
    }

    /// Where its vectors are searched.
    pub fn searched(&self) -> SearchedIn {
        if self.limits.home_vectors == 0 { SearchedIn::Database } else { SearchedIn::Home }
    }

    /// The same in a database of its own, for tests that change rows.
    pub async fn each_alone(files: &[(&str, &str)]) -> Vec<Self> {
        [Some(Self::new(files)), Self::in_own_postgres(files).await].into_iter().flatten().collect()
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }

    pub async fn open(&self) -> Collection {
        self.try_open().await.expect("opens")
    }

    pub async fn try_open(&self) -> Result<Collection, StoreError> {
        match &self.postgres {
            None => Collection::open(&self.home, &self.folder, NODE, self.limits).await,
            Some((postgres, _)) => Collection::open_in(postgres, &self.home, &self.folder, NODE, self.limits).await,
        }
    }

    /// The collection of what a caller gives.
    pub async fn open_list(&self, name: &str) -> Collection {
        let opened = match &self.postgres {
            None => Collection::open_list(&self.home, name, NODE, Limits::default()).await,
            Some((postgres, _)) => Collection::open_list_in(postgres, &self.home, name, NODE, Limits::default()).await,
        };
        opened.expect("opens")
    }

    /// By the collection's name.
    pub async fn open_named(&self, collection: &str) -> Result<Collection, StoreError> {
        match &self.postgres {
            None => Collection::open_collection(&self.home, collection, NODE).await,
            Some((postgres, _)) => Collection::open_collection_in(postgres, &self.home, collection).await,
        }
    }

    /// Opened and ingested.
    pub async fn index(&self) -> Collection {
        let mut index = self.open().await;
        ingest(&mut index).await.expect("ingests");
        index
    }

    /// Where the collection's files lie.
    pub fn store(&self, index: &Collection) -> PathBuf {
        let commons = self.home.join("commons");
        let place = match &self.postgres {
            None => commons,
            Some(_) => fs::read_dir(&commons).expect("commons").next().expect("a database").expect("an entry").path(),
        };
        place.join(index.collection())
    }

    /// Changes records behind the index's back, by a statement in SQLite's words; gives the number of rows.
    pub async fn tamper(&self, index: &Collection, statement: &str) -> u64 {
        let Some((_, database)) = &self.postgres else {
            let options = SqliteConnectOptions::new().filename(self.store(index).join("records.sqlite"));
            let mut direct = SqliteConnection::connect_with(&options).await.expect("opens");
            let text = sqlx::AssertSqlSafe(statement.to_owned());
            return sqlx::raw_sql(text).execute(&mut direct).await.expect("tampered").rows_affected();
        };
        let words = [
            ("zeroblob(32)", r"decode(repeat('00', 32), 'hex')"),
            ("zeroblob(16)", r"decode(repeat('00', 16), 'hex')"),
            ("x'00'", r"'\x00'::bytea"),
            ("AS BLOB", "AS BYTEA"),
        ];
        let statement = words.iter().fold(statement.to_owned(), |text, (lite, post)| text.replace(lite, post));
        self::statement(&database.url, format!("SET search_path = ii_commons; {statement}")).await.expect("tampered")
    }
}

/// Ingests with salts 1, 2, 3, … and a signature that is the body itself.
pub async fn ingest(index: &mut Collection) -> Result<Ingested, IngestError> {
    let mut next = 0;
    let mut entropy = move |salt: &mut [u8]| -> io::Result<()> {
        next = u8::wrapping_add(next, 1);
        salt.fill(next);
        Ok(())
    };
    let mut sign = |body: &[u8]| Ok(body.to_vec());
    let mut progress = |_progress| {};
    index
        .ingest(Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut progress })
        .await
}

pub async fn search(index: &dyn Index, query: &str) -> Vec<Hit> {
    let search = Search::new(query, 10);
    index.search(&search).await.expect("searches")
}

pub async fn paths(index: &dyn Index, query: &str) -> Vec<String> {
    search(index, query).await.into_iter().map(|hit| hit.passage.path).collect()
}

pub fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}
