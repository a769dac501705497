//! The one task of this process that writes: it owns the writing connection and answers each request in turn.
//!
//! Appends that queue up while a commit runs go into the next transaction together. If that transaction fails, each is
//! tried alone, so that every caller gets its own answer.
//!
//! **Invariant:** after any failed statement the connection is closed, which rolls back, and opened anew: no half-done
//! transaction survives into the next request.
//! **Invariant:** a caller that goes away does not undo or interrupt its write.

use common_ground::RunId;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::append::{self, Ready};
use super::error::JournalError;
use super::outbox::OutboxChange;
use super::row::{IngestRow, Lease};
use super::{blob, lease, outbox, remove, schema};
use crate::home::Home;

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

/// What the writer can be asked.
pub(crate) enum Request {
    Append(Box<Ready>, Answer<u64>),
    Acquire { run: RunId, now_ms: u64, ttl_ms: u64, answer: Answer<Lease> },
    Renew { lease: Lease, now_ms: u64, ttl_ms: u64, answer: Answer<Lease> },
    Release { lease: Lease, answer: Answer<()> },
    Send { run: RunId, body: Vec<u8>, answer: Answer<i64> },
    Delete { run: RunId, now_ms: u64, answer: Answer<()> },
    Pin { url: String, pinned: Vec<u8>, answer: Answer<()> },
    Forget(Answer<()>),
    Outbox(Box<OutboxChange>, Answer<()>),
    Requeue(Answer<u64>),
    Queue(Vec<IngestRow>, Answer<u64>),
    Close(Answer<()>),
}

/// Requests waiting beyond this make their senders wait.
const QUEUE: usize = 256;
/// Batches in one transaction.
const GROUP: usize = 64;

pub(crate) struct Writer {
    home: Home,
    us: Uuid,
    connection: Option<SqliteConnection>,
}

impl Writer {
    /// Starts the task; it ends after a `Close`, or when the last sender is gone.
    pub(crate) fn start(home: Home, us: Uuid, connection: SqliteConnection) -> mpsc::Sender<Request> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Self { home, us, connection: Some(connection) };
        tokio::spawn(writer.work(receiver));
        sender
    }

    async fn work(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting: Vec<Request> = Vec::with_capacity(GROUP);
        while requests.recv_many(&mut waiting, GROUP).await > 0 {
            let mut appends: Vec<(Box<Ready>, Answer<u64>)> = Vec::new();
            for request in waiting.drain(..) {
                // Order is kept: what came before a request that is no append is committed before it.
                if let Request::Append(ready, answer) = request {
                    appends.push((ready, answer));
                    continue;
                }
                self.append(std::mem::take(&mut appends)).await;
                if let Request::Close(answer) = request {
                    reply(answer, self.close().await);
                    return;
                }
                self.serve(request).await;
            }
            self.append(appends).await;
        }
        if let Err(error) = self.close().await {
            tracing::warn!(%error, "journal not closed cleanly");
        }
    }

    async fn serve(&mut self, request: Request) {
        match request {
            Request::Append(ready, answer) => self.append(vec![(ready, answer)]).await,
            Request::Close(answer) => reply(answer, self.close().await),
            Request::Acquire { run, now_ms, ttl_ms, answer } => {
                let result = self.acquire(run, now_ms, ttl_ms).await;
                reply(answer, self.settle(result).await);
            }
            Request::Renew { lease, now_ms, ttl_ms, answer } => {
                let result = self.renew(lease, now_ms, ttl_ms).await;
                reply(answer, self.settle(result).await);
            }
            Request::Release { lease, answer } => {
                let result = self.release(lease).await;
                reply(answer, self.settle(result).await);
            }
            Request::Send { run, body, answer } => {
                let result = self.send(run, body).await;
                reply(answer, self.settle(result).await);
            }
            Request::Delete { run, now_ms, answer } => {
                let result = self.delete(run, now_ms).await;
                reply(answer, self.settle(result).await);
            }
            Request::Pin { url, pinned, answer } => {
                let result = self.pin(&url, &pinned).await;
                reply(answer, self.settle(result).await);
            }
            Request::Forget(answer) => {
                let result = self.forget().await;
                reply(answer, self.settle(result).await);
            }
            Request::Outbox(change, answer) => {
                let result = self.change(&change).await;
                reply(answer, self.settle(result).await);
            }
            Request::Requeue(answer) => {
                let result = self.requeue().await;
                reply(answer, self.settle(result).await);
            }
            Request::Queue(receipts, answer) => {
                let result = self.queue(&receipts).await;
                reply(answer, self.settle(result).await);
            }
        }
    }

    /// The connection, opened anew if the last request broke it.
    async fn connection(&mut self) -> Result<&mut SqliteConnection, JournalError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::open(&self.home.journal()).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// After a failure: drop the connection, and with it whatever transaction was open.
    async fn settle<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if result.is_err()
            && let Some(broken) = self.connection.take()
            && let Err(error) = broken.close().await
        {
            tracing::debug!(%error, "connection closed after a failure");
        }
        result
    }

    fn lift(&self) -> impl Fn(sqlx::Error) -> JournalError + use<> {
        let path = self.home.journal();
        move |error| JournalError::sqlite(&path, error)
    }

    async fn append(&mut self, appends: Vec<(Box<Ready>, Answer<u64>)>) {
        if appends.is_empty() {
            return;
        }
        let group: Vec<&Ready> = appends.iter().map(|(ready, _)| &**ready).collect();
        let attempt = self.commit(&group).await;
        let answers = match self.settle(attempt).await {
            Ok(answers) => answers,
            Err(error) if group.len() == 1 => vec![Err(error)],
            Err(_each_gets_its_own) => {
                let mut answers = Vec::with_capacity(group.len());
                for ready in &group {
                    let alone = self.commit(&[*ready]).await;
                    answers.push(self.settle(alone).await.and_then(|mut one| one.remove(0)));
                }
                answers
            }
        };
        for ((_, answer), result) in appends.into_iter().zip(answers) {
            reply(answer, result);
        }
    }

    /// One transaction for the whole group: a result each, or a failure that stored nothing.
    async fn commit(&mut self, group: &[&Ready]) -> Result<Vec<Result<u64, JournalError>>, JournalError> {
        let (lift, us, home) = (self.lift(), self.us, self.home.clone());
        let connection = self.connection().await?;
        let (plan, answers) = append::decide(connection, us, group).await.map_err(&lift)?;
        if answers.iter().all(Result::is_err) {
            sqlx::query("ROLLBACK").execute(connection).await.map_err(&lift)?;
            return Ok(answers);
        }
        // A deletion elsewhere may have swept a file between its writing and our lock. Under the lock none can.
        for digest in plan.large() {
            if !blob::file_of(&home, *digest).exists()
                && let Some(packed) =
                    group.iter().flat_map(|ready| &ready.packed).find(|packed| packed.digest == *digest)
            {
                blob::write_file(&home, packed)?;
            }
        }
        plan.commit(connection).await.map_err(&lift)?;
        Ok(answers)
    }

    async fn acquire(&mut self, run: RunId, now_ms: u64, ttl_ms: u64) -> Result<Lease, JournalError> {
        let (lift, us, home) = (self.lift(), self.us, self.home.clone());
        let connection = self.connection().await?;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(&lift)?;
        let holding = lease::look(connection, run).await.map_err(&lift)?.and_then(|(_, holding)| holding);
        if let Some(holder) = lease::keeper(&home, holding, us, now_ms)? {
            return Err(JournalError::Held { run, holder });
        }
        let lease = lease::acquire(connection, run, us, now_ms, ttl_ms).await.map_err(&lift)?;
        sqlx::query("COMMIT").execute(connection).await.map_err(&lift)?;
        Ok(lease)
    }

    async fn fenced(&mut self, lease: Lease) -> JournalError {
        let lift = self.lift();
        let stored = match self.connection().await {
            Ok(connection) => sqlx::query_scalar::<_, i64>("SELECT epoch FROM run WHERE run = ?")
                .bind(lease.run.0.as_bytes().as_slice())
                .fetch_optional(connection)
                .await
                .map_err(lift),
            Err(error) => Err(error),
        };
        match stored {
            Ok(Some(epoch)) => {
                JournalError::Fenced { run: lease.run, offered: lease.epoch, stored: u64::try_from(epoch).unwrap_or(0) }
            }
            Ok(None) => JournalError::NoRun(lease.run),
            Err(error) => error,
        }
    }

    async fn renew(&mut self, lease: Lease, now_ms: u64, ttl_ms: u64) -> Result<Lease, JournalError> {
        let (lift, us) = (self.lift(), self.us);
        let connection = self.connection().await?;
        match lease::renew(connection, lease, us, now_ms, ttl_ms).await.map_err(lift)? {
            Some(lease) => Ok(lease),
            None => Err(self.fenced(lease).await),
        }
    }

    async fn release(&mut self, lease: Lease) -> Result<(), JournalError> {
        let (lift, us) = (self.lift(), self.us);
        let connection = self.connection().await?;
        if lease::release(connection, lease, us).await.map_err(lift)? {
            return Ok(());
        }
        Err(self.fenced(lease).await)
    }

    async fn send(&mut self, run: RunId, body: Vec<u8>) -> Result<i64, JournalError> {
        let lift = self.lift();
        let connection = self.connection().await?;
        let done = sqlx::query("INSERT INTO inbox (run_no, body) SELECT no, ? FROM run WHERE run = ?")
            .bind(body)
            .bind(run.0.as_bytes().as_slice())
            .execute(connection)
            .await
            .map_err(lift)?;
        if done.rows_affected() == 1 { Ok(done.last_insert_rowid()) } else { Err(JournalError::NoRun(run)) }
    }

    async fn delete(&mut self, run: RunId, now_ms: u64) -> Result<(), JournalError> {
        let (lift, us, home) = (self.lift(), self.us, self.home.clone());
        let connection = self.connection().await?;
        remove::delete(connection, &home, run, us, now_ms, &lift).await
    }

    async fn pin(&mut self, url: &str, pinned: &[u8]) -> Result<(), JournalError> {
        let lift = self.lift();
        outbox::pin(self.connection().await?, url, pinned).await.map_err(lift)
    }

    async fn forget(&mut self) -> Result<(), JournalError> {
        let lift = self.lift();
        outbox::forget(self.connection().await?).await.map_err(lift)
    }

    async fn change(&mut self, change: &OutboxChange) -> Result<(), JournalError> {
        let lift = self.lift();
        outbox::change(self.connection().await?, change).await.map_err(lift)
    }

    async fn queue(&mut self, receipts: &[IngestRow]) -> Result<u64, JournalError> {
        let lift = self.lift();
        outbox::queue(self.connection().await?, receipts).await.map_err(lift)
    }

    async fn requeue(&mut self) -> Result<u64, JournalError> {
        let lift = self.lift();
        outbox::requeue(self.connection().await?).await.map_err(lift)
    }

    /// Moves the write-ahead log into the database, truncates it and closes.
    async fn close(&mut self) -> Result<(), JournalError> {
        let lift = self.lift();
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        // Another process still reading leaves frames behind; they are applied at the next open.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.map_err(&lift)?;
        connection.close().await.map_err(lift)
    }
}

fn reply<T>(answer: Answer<T>, result: Result<T, JournalError>) {
    if answer.send(result).is_err() {
        tracing::debug!("the caller of a journal write went away");
    }
}
