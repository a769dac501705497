//! The one way out of this program for tools: every connection of every tier is made here, to an address that was checked.
//!
//! [`Dialler`] is what all calls share, [`Line`] is the way out of one call, [`Proxy`] lends it to a browser, a container or
//! a jail. Nothing here decides what a grant holds, and nothing here reads what is sent or received but to count it, to
//! inflate it, and to see which host a TLS client asks for.
//!
//! **Invariant:** no name is looked up, and no connection made, that an item of the call's grant does not cover.
//! **Invariant:** a connection goes to an address that [`address::judge`] allowed, and the record names that address.
//! **Invariant:** a secret's value is in a request to its own host and nowhere else: no record, error or output has it.

pub mod address;
mod connection;
mod dialler;
mod exchange;
mod hello;
mod inflate;
mod line;
mod proxy;
mod request;
mod resolver;
mod secrets;
#[cfg(target_os = "linux")]
mod stream;
mod target;

pub use connection::Connection;
pub use dialler::{BadSettings, Dialler, Settings};
#[cfg(feature = "wasm")]
pub(crate) use exchange::Exchange;
pub use line::{EgressError, Line};
pub use proxy::Proxy;
pub use request::{MOST_REDIRECTS, Request, Response, Sent};
pub use resolver::Resolver;
pub(crate) use secrets::named as named_secrets;
#[cfg(target_os = "linux")]
pub(crate) use stream::{Streamed, stream};
pub use target::{BadTarget, Target};
