//! Which host a TLS client asks for, read from its first words, which are passed on as they came.

use std::io;

use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest beginning of TLS that is read.
const LONGEST: usize = 64 << 10;

/// The first words of a TLS client.
#[derive(Debug)]
pub(super) struct Hello {
    /// Them, as they came.
    pub bytes: Vec<u8>,
    /// The host they name; none where they name none.
    pub name: Option<String>,
}

/// Reads up to the end of the client's hello.
///
/// # Errors
/// What comes is no TLS, or ends, or is too long.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 || bytes.len() + read > LONGEST {
            return Err(io::Error::other("no whole beginning of TLS"));
        }
        bytes.extend_from_slice(&piece[..read]);
        let mut rest = &piece[..read];
        while !rest.is_empty() {
            acceptor.read_tls(&mut rest)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(str::to_ascii_lowercase);
                    return Ok(Hello { bytes, name });
                }
                Ok(None) => {}
                Err((error, _alert)) => return Err(io::Error::other(error)),
            }
        }
    }
}
