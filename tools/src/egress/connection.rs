//! One connection, counted byte by byte against what its call may use, and in the record when it ends, however it ends.
//!
//! **Invariant:** the bytes that all connections of a call carry in one direction are never more than its limit.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
};

use common_ground::record::{Egress, Limit};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::hand::Work;

/// What all connections of a call may still carry.
#[derive(Debug)]
pub(super) struct Budget {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Budget {
    pub fn new(bytes: u64) -> Self {
        Self { sent: AtomicU64::new(bytes), received: AtomicU64::new(bytes) }
    }

    /// Whether one of the directions is used up.
    pub fn is_spent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) == 0 || self.received.load(Ordering::Relaxed) == 0
    }
}

/// Takes up to `wanted` bytes.
fn take(left: &AtomicU64, wanted: usize) -> usize {
    let wanted = wanted as u64;
    let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - left.min(wanted)));
    // The closure always gives a value, so both arms are what was left.
    let before = before.unwrap_or_else(|left| left);
    usize::try_from(before.min(wanted)).unwrap_or(usize::MAX)
}

fn give_back(left: &AtomicU64, unused: usize) {
    left.fetch_add(unused as u64, Ordering::Relaxed);
}

/// A connection that was allowed and made.
#[derive(Debug)]
pub struct Connection<'a> {
    stream: TcpStream,
    budget: &'a Budget,
    work: &'a Work,
    // None only while it is handed to the record.
    note: Option<Egress>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(stream: TcpStream, budget: &'a Budget, work: &'a Work, note: Egress) -> Self {
        Self { stream, budget, work, note: Some(note) }
    }

    /// Where it really went.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        self.stream.peer_addr().ok().map(|peer| peer.ip())
    }

    fn spent(&self) -> io::Error {
        self.work.passed(Limit::Net);
        io::Error::other("the call's bytes over the network are used up")
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if let Some(note) = self.note.take() {
            self.work.connected(note);
        }
    }
}

impl AsyncRead for Connection<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wanted = buffer.remaining();
        let most = take(&this.budget.received, wanted);
        if most == 0 && wanted > 0 {
            return Poll::Ready(Err(this.spent()));
        }
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let polled = Pin::new(&mut this.stream).poll_read(context, &mut part);
        let filled = part.filled().len();
        give_back(&this.budget.received, most - filled);
        ready!(polled)?;
        buffer.advance(filled);
        if let Some(note) = &mut this.note {
            note.received += filled as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let most = take(&this.budget.sent, bytes.len());
        if most == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(this.spent()));
        }
        let polled = Pin::new(&mut this.stream).poll_write(context, &bytes[..most]);
        let written = match &polled {
            Poll::Ready(Ok(written)) => *written,
            Poll::Ready(Err(_)) | Poll::Pending => 0,
        };
        give_back(&this.budget.sent, most - written);
        if let Some(note) = &mut this.note {
            note.sent += written as u64;
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
