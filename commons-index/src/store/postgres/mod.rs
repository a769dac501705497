//! The records in the schema `ii_commons` of a Postgres database: many collections, and many programs at once.
//!
//! **Invariant:** one writer per collection: it holds the collection's row until it commits; whoever waits too long is told
//! `Busy`.
//! **Invariant:** one ingest per collection, of all machines: it holds a lock of the server from its first row to its seal.
//! The lock is a session's, so that a pooler before the server has to give each client a session of its own.

mod carrying;
mod intake;
mod near;
mod near_filling;
mod reading;
mod schema;
mod vectors;
mod writing;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use receipts::Digest;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use tokio::time::{Instant, sleep};

pub use near::{Nearest, NoVectors, PostgresVectors, Way};

use super::rows::{Columns, Kept};
use crate::{
    bundle::node_of,
    error::{StoreError, from_io, from_postgres},
    lock::PATIENCE,
};

/// Connections of one program.
const CONNECTIONS: u32 = 8;
/// How long a search waits for one of them when all are in use.
const WAIT: Duration = Duration::from_secs(30);
/// How long a server that was there may be away while it restarts.
const AWAY: Duration = Duration::from_secs(15);
/// Between two looks.
const TURN: Duration = Duration::from_millis(50);
/// So often what was being read is asked anew: a server that restarts may do so again before it has answered.
pub(super) const ASKED_AGAIN: usize = 3;

/// A version of pgvector.
type Version = (u32, u32, u32);

/// A database that keeps collections.
#[derive(Clone, Debug)]
pub struct Postgres {
    at: Arc<Path>,
    pool: PgPool,
    /// The version of pgvector, or why there are no vectors.
    vectors: Result<Version, Arc<str>>,
}

/// The records of one collection in it.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    server: Postgres,
    collection: i64,
    /// Who signs the collection's heads.
    node: Arc<str>,
    /// Locked by whoever writes files beside it.
    lock: PathBuf,
}

/// The server's side of being the one ingest of a collection. The server gives the lock back when the connection ends.
#[derive(Debug)]
pub(crate) struct Alone {
    at: Arc<Path>,
    on: PgConnection,
}

/// A connection to it.
pub(crate) struct Session {
    at: Arc<Path>,
    collection: i64,
    on: On,
    /// Keeps the lock on this home's files of the collection.
    _lock: Option<File>,
}

enum On {
    /// Each statement is a transaction of its own.
    Statements(PoolConnection<sqlx::Postgres>),
    /// All of them are one.
    One(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// Turns the server's errors into ours.
fn failed(at: &Path) -> impl Fn(sqlx::Error) -> StoreError + '_ {
    |error| from_postgres(at, &error)
}

/// Readies a new connection. Types and operators of pgvector are found wherever the database has them. The server notices
/// a client that is gone without a word, so that its lock does not outlive it for hours, and one that is there may be silent
/// for as long as it reads. Compiling a statement of ours takes longer than running it.
async fn settle(on: &mut PgConnection) -> Result<(), sqlx::Error> {
    let path = "SELECT set_config('search_path', 'ii_commons, ' || coalesce(
        (SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
         WHERE extname = 'vector'), 'public'), false)";
    sqlx::query(path).execute(&mut *on).await?;
    let silence = "SELECT set_config(name, '0', false) FROM pg_settings
         WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout')";
    sqlx::query(silence).execute(&mut *on).await?;
    let settings = "SET jit = off; SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10;
        SET tcp_keepalives_count = 6;";
    sqlx::raw_sql(settings).execute(on).await.map(drop)
}

impl Postgres {
    /// Connects to a database by its URL, and makes or updates the schema `ii_commons` in it.
    ///
    /// The URL is `postgres://user:password@host:port/database?sslmode=…`, or with `?host=/folder` for a socket. Messages
    /// never show the password.
    ///
    /// # Errors
    /// A URL that is none, a server that cannot be reached, a user who may not make the schema, a newer schema.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Unreachable {
            path: PathBuf::from("postgres"),
            cause: format!("no URL of a database: {error}"),
        })?;
        let options = options.application_name("ii");
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let database = options.get_database().unwrap_or(options.get_username());
        let at: Arc<Path> = PathBuf::from(format!("postgres://{host}/{database}")).into();
        // By itself: connections of before pgvector would not look for it where it is.
        let mut on = options.connect().await.map_err(failed(&at))?;
        settle(&mut on).await.map_err(failed(&at))?;
        schema::migrate(&mut on, &at).await?;
        let vectors = schema::migrate_vectors(&mut on, &at).await?.map_err(Arc::from);
        on.close().await.map_err(failed(&at))?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .after_connect(|on, _about| Box::pin(settle(on)))
            .connect_lazy_with(options);
        Ok(Self { at, pool, vectors })
    }

    /// Where the database is, without user and password.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Why the database keeps no vectors, where it keeps none: search is by words only then.
    pub fn without_vectors(&self) -> Option<&str> {
        self.vectors.as_ref().err().map(|why| &**why)
    }

    /// The names of its collections, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn collections(&self) -> Result<Vec<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT name FROM collections ORDER BY name");
        query.fetch_all(&self.pool).await.map_err(failed(&self.at))
    }

    /// A connection to a server that was there and may be restarting.
    async fn back(&self) -> Result<PoolConnection<sqlx::Postgres>, StoreError> {
        let until = Instant::now() + AWAY;
        loop {
            match self.pool.acquire().await.map_err(failed(&self.at)) {
                Err(StoreError::Unreachable { .. }) if Instant::now() < until => sleep(TURN).await,
                done => return done,
            }
        }
    }

    /// Where a home keeps what is drawn from a collection of this database.
    pub(crate) fn folder(&self, home: &Path, collection: &str) -> PathBuf {
        let database = Digest::of(self.at.as_os_str().as_encoded_bytes()).to_string();
        home.join("commons").join(format!("postgres-{}", &database[..16])).join(collection)
    }

    /// The records of a collection that is there. Files drawn from them are to lie in `folder`.
    pub(crate) async fn known(&self, name: &str, folder: &Path) -> Result<Option<Records>, StoreError> {
        let query = sqlx::query_as("SELECT collection, node FROM collections WHERE name = $1").bind(name);
        let found: Option<(i64, String)> = query.fetch_optional(&self.pool).await.map_err(failed(&self.at))?;
        let lock = folder.join("lock");
        Ok(found.map(|(collection, node)| Records { server: self.clone(), collection, node: node.into(), lock }))
    }

    /// Takes back a beginning to which nothing came.
    pub(crate) async fn abandon(&self, name: &str) -> Result<(), StoreError> {
        let query = sqlx::query(
            "DELETE FROM collections c WHERE name = $1
             AND NOT EXISTS (SELECT FROM revisions r WHERE r.collection = c.collection)
             AND NOT EXISTS (SELECT FROM documents d WHERE d.collection = c.collection)",
        );
        query.bind(name).execute(&self.pool).await.map_err(failed(&self.at)).map(drop)
    }

    /// Begins a collection, if nobody else did just now.
    pub(crate) async fn begin(&self, name: &str, kept: &Kept, of: Option<&Path>) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO collections (name, node, folder, origin, vkey) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO NOTHING",
        );
        let query = query.bind(name).bind(node_of(&kept.vkey)).bind(of.map(|of| of.display().to_string()));
        let query = query.bind(&kept.origin).bind(&kept.vkey);
        query.execute(&self.pool).await.map_err(failed(&self.at)).map(drop)
    }
}

impl Records {
    pub(crate) fn at(&self) -> &Path {
        &self.server.at
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// Whether both are the same collection, and not one begun anew under the name of another.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.collection == other.collection
    }

    pub(crate) fn vectors(&self, revision: i64) -> Result<PostgresVectors, NoVectors> {
        match &self.server.vectors {
            Ok(version) => Ok(PostgresVectors::of(&self.server, *version, self.collection, revision)),
            Err(why) => Err(NoVectors::Missing { why: (**why).to_owned() }),
        }
    }

    fn session(&self, on: On, lock: Option<File>) -> Session {
        Session { at: Arc::clone(&self.server.at), collection: self.collection, on, _lock: lock }
    }

    pub(crate) async fn read(&self) -> Result<Session, StoreError> {
        Ok(self.session(On::Statements(self.server.pool.acquire().await.map_err(failed(self.at()))?), None))
    }

    /// The same after the connection was lost.
    pub(crate) async fn read_again(&self) -> Result<Session, StoreError> {
        Ok(self.session(On::Statements(self.server.back().await?), None))
    }

    async fn begin_snapshot(&self, lock: Option<File>) -> Result<Session, StoreError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
        let on = self.server.pool.begin_with(begin).await.map_err(failed(self.at()))?;
        Ok(self.session(On::One(on), lock))
    }

    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        self.begin_snapshot(None).await
    }

    /// A snapshot, alone with this home's files: other machines draw theirs at the same time.
    pub(crate) async fn draw(&self) -> Result<Session, StoreError> {
        let lock = self.alone().await?;
        self.begin_snapshot(Some(lock)).await
    }

    pub(crate) async fn write(&self) -> Result<Session, StoreError> {
        let lock = self.alone().await?;
        let mut on = self.server.pool.begin().await.map_err(failed(self.at()))?;
        let patience = format!("SET LOCAL lock_timeout = {}", PATIENCE.as_millis());
        sqlx::raw_sql(sqlx::AssertSqlSafe(patience)).execute(&mut *on).await.map_err(failed(self.at()))?;
        let query = sqlx::query("SELECT 1 FROM collections WHERE collection = $1 FOR NO KEY UPDATE");
        query.bind(self.collection).execute(&mut *on).await.map_err(failed(self.at()))?;
        Ok(self.session(On::One(on), Some(lock)))
    }

    /// The lock of the one ingest.
    pub(crate) async fn ingesting(&self) -> Result<Alone, StoreError> {
        let mut on = self.server.pool.acquire().await.map_err(failed(self.at()))?.detach();
        let until = Instant::now() + PATIENCE;
        loop {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('ii_commons ' || $1, 0))");
            let taken: bool =
                query.bind(self.collection.to_string()).fetch_one(&mut on).await.map_err(failed(self.at()))?;
            if taken {
                return Ok(Alone { at: Arc::clone(&self.server.at), on });
            }
            if Instant::now() >= until {
                return Err(StoreError::Busy { path: self.at().to_owned() });
            }
            sleep(TURN).await;
        }
    }

    /// The lock on this home's files of the collection; it goes with the file.
    async fn alone(&self) -> Result<File, StoreError> {
        if let Some(folder) = self.lock.parent() {
            fs::create_dir_all(folder).map_err(|error| from_io(folder, &error))?;
        }
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock);
        let file = file.map_err(|error| from_io(&self.lock, &error))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(TURN).await,
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path: self.lock.clone() }),
                Err(TryLockError::Error(error)) => return Err(from_io(&self.lock, &error)),
            }
        }
    }
}

impl Alone {
    /// Makes sure that the server still knows of the lock.
    pub(crate) async fn holds(&mut self) -> Result<(), StoreError> {
        self.on.ping().await.map_err(failed(&self.at))
    }
}

impl Session {
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn on(&mut self) -> &mut PgConnection {
        match &mut self.on {
            On::Statements(on) => on,
            On::One(on) => on,
        }
    }

    fn failed(&self) -> impl Fn(sqlx::Error) -> StoreError + use<> {
        let at = Arc::clone(&self.at);
        move |error| from_postgres(&at, &error)
    }
}

/// A row with where it comes from.
struct RowOf<'a> {
    at: &'a Path,
    row: &'a PgRow,
}

impl Columns for RowOf<'_> {
    fn at(&self) -> &Path {
        self.at
    }

    fn integer(&self, column: &str) -> Result<i64, StoreError> {
        sqlx::Row::try_get(self.row, column).map_err(failed(self.at))
    }

    fn text(&self, column: &str) -> Result<String, StoreError> {
        sqlx::Row::try_get(self.row, column).map_err(failed(self.at))
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        sqlx::Row::try_get(self.row, column).map_err(failed(self.at))
    }

    fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        sqlx::Row::try_get(self.row, column).map_err(failed(self.at))
    }
}
