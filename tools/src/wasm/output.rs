//! What a guest puts out, kept while it is written and never beyond its cap.
//!
//! **Invariant:** no more bytes than the cap are held, whatever a guest writes; the byte beyond it ends the call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use common_ground::record::Limit;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use super::limits::Passed;

/// Most bytes that one write hands over.
const MOST_AT_ONCE: usize = 64 << 10;

/// One stream of a guest.
#[derive(Debug, Clone)]
pub(super) struct Output {
    // All handles a guest has to the stream write to one place. Held for one push.
    kept: Arc<Mutex<Vec<u8>>>,
    most: usize,
}

impl Output {
    /// A stream that keeps so many bytes.
    pub fn new(most: u64) -> Self {
        Self { kept: Arc::default(), most: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written so far; it is gone from here.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.kept())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut kept = self.kept();
        let room = self.most - kept.len();
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if bytes.len() > room { Err(StreamError::Trap(Passed(Limit::Output).into())) } else { Ok(()) }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MOST_AT_ONCE)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // WASI 0.3 would ask for this one; it is not linked here.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Output, OutputStream, StreamError};

    #[test]
    fn the_byte_beyond_the_cap_ends_it_and_all_handles_share_it() {
        let mut one = Output::new(10);
        let mut two = one.clone();
        one.write(Bytes::from_static(b"12345")).expect("room");
        two.write(Bytes::from_static(b"67890")).expect("room");
        let over = one.write(Bytes::from_static(b"x"));
        assert!(matches!(over, Err(StreamError::Trap(_))), "{over:?}");
        let large = Output::new(3).write(Bytes::from(vec![b'a'; 1 << 20]));
        assert!(matches!(large, Err(StreamError::Trap(_))));
        assert_eq!(two.take(), b"1234567890");
        assert_eq!(one.take(), b"");
    }
}
