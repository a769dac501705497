//! A handle from one process to another, beside bytes on a socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncRead, Interest, ReadBuf},
    net::unix::OwnedReadHalf,
};

/// Sends bytes and, with the first of them, a handle.
///
/// # Errors
/// The socket takes neither, or not all.
pub(crate) fn send(socket: &UnixStream, bytes: &[u8], handle: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let handles = [handle];
    if !beside.push(SendAncillaryMessage::ScmRights(&handles)) {
        return Err(io::Error::other("no room for a handle"));
    }
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::Error::other("it was sent in part")) }
}

/// Reads once: how many bytes, and the handle that came with them. Of several the first counts, the others are closed.
///
/// # Errors
/// What reading gives.
pub(crate) fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let read = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
    let mut handle = None;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(handles) = message {
            handle = handles.fold(handle, |first: Option<OwnedFd>, next| first.or(Some(next)));
        }
    }
    Ok((read, handle))
}

/// The reading half of a socket; it keeps the last handle that came along.
#[derive(Debug)]
pub(crate) struct WithHandle {
    socket: OwnedReadHalf,
    /// The handle.
    pub handle: Option<OwnedFd>,
}

impl WithHandle {
    /// Reads from here.
    pub fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, handle: None }
    }
}

impl AsyncRead for WithHandle {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let socket: &tokio::net::UnixStream = this.socket.as_ref();
        loop {
            ready!(socket.poll_read_ready(context))?;
            let into = buffer.initialize_unfilled();
            match socket.try_io(Interest::READABLE, || receive(socket, into)) {
                Ok((read, handle)) => {
                    buffer.advance(read);
                    this.handle = handle.or(this.handle.take());
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
        os::{fd::AsFd, unix::net::UnixStream},
    };

    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::{WithHandle, receive, send};

    #[tokio::test]
    async fn a_handle_comes_with_its_line() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        theirs.set_nonblocking(true).expect("set");
        let (reads, _writes) = tokio::net::UnixStream::from_std(theirs).expect("a socket").into_split();
        let (mut out, end) = std::io::pipe().expect("a pipe");
        ours.write_all(b"before\n").expect("sent");
        send(&ours, b"with\n", end.as_fd()).expect("sent");
        ours.write_all(b"after\n").expect("sent");
        drop((ours, end));
        let mut lines = BufReader::new(WithHandle::new(reads)).lines();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.expect("read") {
            if line == "with" {
                let handle = lines.get_mut().get_mut().handle.take().expect("a handle");
                File::from(handle).write_all(b"hello").expect("it is the pipe");
            }
            seen.push(line);
        }
        assert_eq!(seen, ["before", "with", "after"]);
        let mut said = String::new();
        out.read_to_string(&mut said).expect("nobody else holds the end");
        assert_eq!(said, "hello");
    }

    #[test]
    fn bytes_without_a_handle_are_bytes() {
        let (mut ours, theirs) = UnixStream::pair().expect("a pair");
        ours.write_all(b"x").expect("sent");
        let (read, handle) = receive(&theirs, &mut [0; 8]).expect("read");
        assert_eq!((read, handle.is_some()), (1, false));
    }
}
