//! Serves a gate from outside, as the proxy of one call.

use std::{
    convert::Infallible,
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
};

use rustix::net::sockopt::socket_acceptconn;
use tokio::sync::oneshot;

use super::PORT;
use crate::egress::{Line, Proxy};

/// A gate that was handed out.
#[derive(Debug)]
pub(crate) struct Gate(Proxy);

impl Gate {
    /// Takes what was handed over.
    ///
    /// # Errors
    /// It is no listener on [`PORT`] of loopback.
    pub fn take(handle: OwnedFd) -> io::Result<Self> {
        let wrong = || io::Error::other("what was handed over is no gate");
        if !socket_acceptconn(&handle)? {
            return Err(wrong());
        }
        let listener = TcpListener::from(handle);
        if listener.local_addr()? != SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)) {
            return Err(wrong());
        }
        Ok(Self(Proxy::over(listener)?))
    }

    /// Serves it under a call's line for as long as it is polled.
    pub async fn serve(&self, line: &Line<'_>) -> Infallible {
        self.0.serve(line).await
    }
}

/// Serves a gate from when it stands, for as long as it is polled.
pub(crate) async fn serve(gate: oneshot::Receiver<Gate>, line: &Line<'_>) -> Infallible {
    match gate.await {
        Ok(gate) => gate.serve(line).await,
        // The sandbox ended before; that is told elsewhere.
        Err(_gone) => pending().await,
    }
}

/// Waits until a call has used all the bytes it may send or receive; for ever where it has no way out.
pub(crate) async fn used_up(line: Option<&Line<'_>>) {
    match line {
        None => pending().await,
        Some(line) => line.used_up().await,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::Gate;

    #[tokio::test]
    async fn only_a_gate_is_taken() {
        let other_port = TcpListener::bind("127.0.0.1:0").expect("a port");
        assert!(Gate::take(other_port.into()).is_err());
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(Gate::take(datagrams.into()).is_err());
        assert!(Gate::take(std::fs::File::open("/dev/null").expect("there").into()).is_err());
    }
}
