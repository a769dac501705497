//! Puts the gate up, from inside its namespace.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice::name_to_index, recv, send, socket_with,
};

use super::PORT;

/// The kernel's RTM_NEWLINK, which also changes a link; a request whose answer is wanted; a link that is up.
const NEW_LINK: u16 = 16;
const REQUEST_AND_ANSWER: u16 = 1 | 4;
const UP: u32 = 1;
/// Length of the message, and where the error stands in its answer.
const LENGTH: u32 = 32;
const ERROR: std::ops::Range<usize> = 16..20;

/// Whether the link of loopback is up already or has to be brought up, which takes rights over the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loopback {
    /// It is up.
    Up,
    /// It is as new namespaces have it.
    New,
}

/// A listener on [`PORT`] that has been tried: a connection to it comes through.
///
/// # Errors
/// Loopback cannot be brought up, the port is taken, or no connection comes through.
pub(crate) fn raise(loopback: Loopback) -> io::Result<TcpListener> {
    match loopback {
        Loopback::Up => {}
        Loopback::New => bring_up()?,
    }
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT);
    let listener = TcpListener::bind(at)?;
    let tried = TcpStream::connect_timeout(&at.into(), Duration::from_secs(2))?;
    let (met, from) = listener.accept()?;
    if from != tried.local_addr()? {
        return Err(io::Error::other("somebody else is in the namespace"));
    }
    drop((met, tried));
    Ok(listener)
}

/// Asks the kernel to bring loopback up, by its own protocol: the older way is a call that Rust cannot make safely.
fn bring_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let index = name_to_index(&socket, "lo")?;
    let mut message = Vec::new();
    // The head: length, what, how, sequence, sender.
    message.extend(LENGTH.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_AND_ANSWER.to_ne_bytes());
    message.extend([0; 8]);
    // The link: family and kind, which, its flags, and which of them to change.
    message.extend([0; 4]);
    message.extend(index.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 256];
    let (read, _whole) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let error = answer[..read].get(ERROR).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match error {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::Error::other("the kernel's answer is too short")),
    }
}
