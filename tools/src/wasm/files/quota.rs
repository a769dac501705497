//! How much a guest may still write, counted before it is written.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use common_ground::{grant::Limits, record::Limit};
use std::sync::Arc;
use wasmtime_wasi::{
    async_trait,
    p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult},
};

use crate::wasm::limits::Passed;

/// What is left. Streams of one guest share it.
#[derive(Debug)]
pub(super) struct Quota {
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Quota {
    /// All that the limits give.
    pub fn new(limits: Limits) -> Self {
        Self { bytes: AtomicU64::new(limits.written_bytes), files: AtomicU64::new(limits.written_files) }
    }

    /// Takes so many bytes, or ends the call.
    pub fn bytes(&self, many: u64) -> Result<(), Passed> {
        take(&self.bytes, many)
    }

    /// Takes a new file or folder, or ends the call.
    pub fn file(&self) -> Result<(), Passed> {
        take(&self.files, 1)
    }
}

fn take(left: &AtomicU64, many: u64) -> Result<(), Passed> {
    let taken = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(many));
    taken.map(drop).map_err(|_left| Passed(Limit::Written))
}

/// A stream into a file, counted.
pub(super) struct Counted {
    stream: DynOutputStream,
    quota: Arc<Quota>,
}

impl Counted {
    /// Counts what goes into a stream.
    pub fn new(stream: DynOutputStream, quota: Arc<Quota>) -> Self {
        Self { stream, quota }
    }

    fn count(&self, bytes: &Bytes) -> StreamResult<()> {
        self.quota.bytes(bytes.len() as u64).map_err(|passed| StreamError::Trap(passed.into()))
    }
}

#[async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[async_trait]
impl OutputStream for Counted {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(&bytes)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.stream.check_write()
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.count(&bytes)?;
        self.stream.blocking_write_and_flush(bytes).await
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}
