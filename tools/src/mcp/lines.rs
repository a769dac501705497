//! Messages as lines over the standard streams of a process.
//!
//! **Invariant:** no more than one message of the longest kind is in memory, however long a line is.

use std::{io, sync::Arc};

use bytes::{Buf, BytesMut};
use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};

use super::signs::{Fault, LONGEST_MESSAGE, Signs, brief};

/// A line to write, and who waits for it.
type Sending = (Vec<u8>, oneshot::Sender<io::Result<()>>);

/// The streams of one process.
pub(super) struct Lines<R> {
    output: R,
    // None after the end.
    input: Option<mpsc::Sender<Sending>>,
    buffer: BytesMut,
    /// So much of the buffer has no line end.
    searched: usize,
    signs: Arc<Signs>,
}

impl<R: AsyncRead + Send + Unpin> Lines<R> {
    /// Over what a process puts out and what it reads.
    pub fn new(output: R, input: impl AsyncWrite + Send + Unpin + 'static, signs: &Arc<Signs>) -> Self {
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(write(input, receiver));
        Self { output, input: Some(sender), buffer: BytesMut::new(), searched: 0, signs: Arc::clone(signs) }
    }

    async fn next(&mut self) -> Result<ServerJsonRpcMessage, Fault> {
        loop {
            if let Some(length) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + length);
                self.buffer.advance(1);
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map_err(|error| {
                    Fault::Garbage(format!(
                        "{}: {error}",
                        brief(&String::from_utf8_lossy(&line[..line.len().min(400)]))
                    ))
                });
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LONGEST_MESSAGE {
                return Err(Fault::TooLong);
            }
            self.buffer.reserve(64 << 10);
            // Dropped while it waits, it has taken nothing.
            match self.output.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(Fault::Ended("its output is closed".to_owned())),
                Ok(read) => self.signs.count(read)?,
                Err(error) => return Err(Fault::Ended(error.to_string())),
            }
        }
    }
}

/// Writes one line after the other, each whole.
async fn write(mut input: impl AsyncWrite + Unpin, mut lines: mpsc::Receiver<Sending>) {
    while let Some((line, told)) = lines.recv().await {
        let wrote = input.write_all(&line).await;
        // Who does not wait for it any more gave up the request that it was part of.
        drop(told.send(wrote));
    }
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleClient> for Lines<R> {
    type Error = io::Error;

    fn send(&mut self, item: ClientJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let input = self.input.clone();
        async move {
            let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
            let mut line = serde_json::to_vec(&item)?;
            line.push(b'\n');
            let (told, heard) = oneshot::channel();
            input.ok_or_else(gone)?.send((line, told)).await.map_err(|_closed| gone())?;
            heard.await.map_err(|_closed| gone())?
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        match self.next().await {
            Ok(message) => Some(message),
            Err(fault) => {
                self.signs.fail(fault);
                None
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.input = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rmcp::transport::Transport;
    use tokio::io::AsyncWriteExt;

    use super::{Fault, LONGEST_MESSAGE, Lines, Signs};

    async fn read(bytes: Vec<u8>) -> (usize, Option<Fault>) {
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let (output, input) = tokio::io::split(ours);
        let signs = Arc::new(Signs::default());
        let mut lines = Lines::new(output, input, &signs);
        let writing = tokio::spawn(async move {
            // Who reads may have had enough.
            let wrote = theirs.write_all(&bytes).await;
            drop((wrote, theirs));
        });
        let mut messages = 0;
        while lines.receive().await.is_some() {
            messages += 1;
        }
        drop(lines);
        writing.await.expect("written");
        (messages, signs.fault())
    }

    #[tokio::test]
    async fn lines_are_messages() {
        let note = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        let two = [note.as_slice(), b"\r\n\n", note, b"\n"].concat();
        assert_eq!(read(two).await, (2, Some(Fault::Ended("its output is closed".to_owned()))));
        let (messages, fault) = read([note.as_slice(), b"\nServer \x1b[31mready\n"].concat()).await;
        assert_eq!(messages, 1);
        let said = fault.expect("a fault").to_string();
        assert!(said.contains("no message of the protocol and was ended: Server ready: expected value"), "{said}");
        assert!(matches!(read(b"[]\n".to_vec()).await, (0, Some(Fault::Garbage(_)))));
        assert!(matches!(read(b"\xff\xfe\n".to_vec()).await, (0, Some(Fault::Garbage(_)))));
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_cut_off() {
        assert_eq!(read(vec![b'x'; LONGEST_MESSAGE + (1 << 20)]).await, (0, Some(Fault::TooLong)));
    }
}
