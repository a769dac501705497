//! The process that puts a gate up among containers: this program, started again in a container that does nothing else and
//! whose network namespace the command's container shares. It needs nothing of an image but a place to be mounted at.
//!
//! **Invariant:** it ends when the program that started it does.

use std::{
    io::{self, Read},
    os::{fd::AsFd, unix::net::UnixStream},
    process::exit,
};

use super::{Loopback, raise, send};

/// Where this program is in the container, and by which name it is started.
pub(crate) const PROGRAM: &str = "/.ii-gate";
/// Where the socket is that the gate is handed over by.
pub(crate) const SOCKET: &str = "/.ii-gate.socket";

/// Whether this process was started to put a gate up. Then [`inside`] is the only thing `main` calls.
pub(crate) fn is_inside() -> bool {
    std::env::args_os().next().is_some_and(|name| name == PROGRAM)
}

/// Puts the gate up, hands it over, and keeps the namespace for as long as somebody holds the other end. Never returns.
pub(crate) fn inside() -> ! {
    let code = match keep() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("gate: {error}");
            1
        }
    };
    exit(code)
}

fn keep() -> io::Result<()> {
    let mut out = UnixStream::connect(SOCKET)?;
    let listener = raise(Loopback::Up)?;
    send(&out, b"gate", listener.as_fd())?;
    drop(listener);
    // Nobody sends anything: what is read is the end.
    out.read(&mut [0]).map(drop)
}
