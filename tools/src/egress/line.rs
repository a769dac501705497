//! The way out of one call: names looked up once, addresses judged, connections made and counted.
//!
//! **Invariant:** a name is looked up once in a call, so that it cannot stand for something else later in it.
//! **Invariant:** a call looks up at most [`MOST_NAMES`] names, so that names carry little out.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use common_ground::{
    grant::{Item, Scheme},
    record::{Egress, Limit},
};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    BadTarget, Dialler, Target,
    address::{Kind, Named, is_metadata_name, judge, kind},
    connection::{Budget, Connection},
};
use crate::hand::Work;

/// Most names looked up in one call.
pub const MOST_NAMES: usize = 32;
/// Most addresses of one host that are tried.
const MOST_TRIED: usize = 4;
/// Longest wait for one address.
const CONNECTING: Duration = Duration::from_secs(10);

/// How often it is looked whether a call's bytes are used up.
const LOOK: Duration = Duration::from_millis(25);

/// What went wrong on the way out. None of these has a secret's value.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// It may not be; the record says so too.
    #[error("{what} is refused: {why}")]
    Refused {
        /// What was tried.
        what: String,
        /// Which rule refused it.
        why: String,
    },
    /// The address of a page is none.
    #[error(transparent)]
    Target(#[from] BadTarget),
    /// The name stands for nothing.
    #[error("{host} has no address: {source}")]
    Unresolved {
        /// Which.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody is there.
    #[error("no connection to {host}: {source}")]
    Unreachable {
        /// Who was asked for.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// There is no TLS, or with somebody else.
    #[error("no TLS with {host}: {source}")]
    Tls {
        /// Who was asked for.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// It is no HTTP that came.
    #[error("{host} did not answer in HTTP: {source}")]
    Http {
        /// Who was asked.
        host: String,
        /// Why.
        source: hyper::Error,
    },
    /// The body is not what its headers say.
    #[error("the body from {host} cannot be read: {why}")]
    Body {
        /// Who sent it.
        host: String,
        /// What is wrong.
        why: String,
    },
    /// The call used all it may.
    #[error("the call's limit is passed: {0:?}")]
    Limit(Limit),
}

/// The way out of one call. When it is dropped, all its connections are closed.
#[derive(Debug)]
pub struct Line<'a> {
    pub(super) dialler: &'a Dialler,
    pub(super) work: &'a Work,
    /// Where the call said that it goes, where it has to say so.
    named: Option<Vec<Item>>,
    budget: Budget,
    // Held for a look into the map or one entry; never while anything is awaited.
    names: Mutex<BTreeMap<String, Vec<IpAddr>>>,
    ends: Instant,
}

impl<'a> Line<'a> {
    pub(super) fn new(dialler: &'a Dialler, work: &'a Work, named: Option<Vec<Item>>) -> Self {
        let limits = work.limits();
        Self {
            dialler,
            work,
            named,
            budget: Budget::new(limits.net_bytes),
            names: Mutex::default(),
            ends: Instant::now() + Duration::from_millis(limits.wall_ms),
        }
    }

    /// For which call.
    pub fn work(&self) -> &'a Work {
        self.work
    }

    /// Whether all the bytes that the call may send, or receive, are used up.
    pub fn is_spent(&self) -> bool {
        self.budget.is_spent()
    }

    /// Waits until they are.
    pub(crate) async fn used_up(&self) {
        while !self.is_spent() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The same with no more bytes in each direction than these.
    #[cfg(feature = "wasm")]
    pub(crate) fn at_most(self, net_bytes: u64) -> Self {
        Self { budget: Budget::new(net_bytes), ..self }
    }

    /// Notes a refusal and gives it as an error.
    pub(crate) fn refuse(&self, what: impl Into<String>, why: impl Into<String>) -> EgressError {
        let (what, why) = (what.into(), why.into());
        self.work.refused(what.as_str(), why.as_str());
        EgressError::Refused { what, why }
    }

    /// Notes that a target was refused for what it is.
    pub(crate) fn bad(&self, error: BadTarget) -> EgressError {
        self.work.refused(error.text.as_str(), error.why.as_str());
        EgressError::Target(error)
    }

    /// Runs something until the call's time is over.
    pub(super) async fn in_time<T>(
        &self,
        what: impl Future<Output = Result<T, EgressError>>,
    ) -> Result<T, EgressError> {
        let ended = timeout_at(self.ends, what).await.unwrap_or(Err(EgressError::Limit(Limit::Wall)));
        match ended {
            // Whatever words the end of the bytes took on its way up.
            Err(_) if self.budget.is_spent() => {
                self.work.passed(Limit::Net);
                Err(EgressError::Limit(Limit::Net))
            }
            Err(EgressError::Limit(limit)) => {
                self.work.passed(limit);
                Err(EgressError::Limit(limit))
            }
            other => other,
        }
    }

    /// Connects to a target for these methods; for any use at all where none is named.
    ///
    /// # Errors
    /// No item of the grant covers it, none of its addresses is allowed, nobody is there, or too many names.
    pub async fn connect(&self, target: &Target, methods: &[&str]) -> Result<Connection<'_>, EgressError> {
        let need = target.need(methods);
        let Some((item, named)) = self.allowed_by(&need) else {
            return Err(self.refuse(need.to_string(), "no grant covers it"));
        };
        if self.named.as_ref().is_some_and(|named| !named.iter().any(|item| item.covers(&need))) {
            return Err(self.refuse(need.to_string(), "the call did not name it"));
        }
        let host = target.host();
        if is_metadata_name(host) {
            return Err(self.refuse(need.to_string(), "the name of a metadata service"));
        }
        let addresses = match target.address() {
            Some(address) => vec![address],
            None => self.addresses(host).await?,
        };
        let judged = judge(&addresses, named);
        for (address, why) in &judged.refused {
            self.work.refused(format!("{need} at {address}"), *why);
        }
        let Some(first) = judged.allowed.first() else {
            let why = match judged.refused.first() {
                Some((address, why)) => format!("{address}: {why}"),
                None => "it has no address".to_owned(),
            };
            return Err(EgressError::Refused { what: need.to_string(), why });
        };
        let mut failed = io::Error::other(format!("{first} was not tried"));
        for address in judged.allowed.iter().take(MOST_TRIED) {
            match self.dial(SocketAddr::new(*address, target.port())).await {
                Ok(stream) => {
                    let note = Egress {
                        scheme: target.scheme(),
                        host: host.to_owned(),
                        port: target.port(),
                        address: address.to_string(),
                        method: methods.first().map(|method| (*method).to_owned()),
                        item: item.clone(),
                        sent: 0,
                        received: 0,
                    };
                    return Ok(Connection::new(stream, &self.budget, self.work, note));
                }
                Err(error) => failed = error,
            }
        }
        Err(EgressError::Unreachable { host: host.to_owned(), source: failed })
    }

    /// Connects, and agrees on TLS with the host that was asked for, by its name.
    pub(super) async fn secure<'b>(
        &self,
        target: &Target,
        connection: Connection<'b>,
    ) -> Result<TlsStream<Connection<'b>>, EgressError> {
        let host = target.host().to_owned();
        let name = match target.address() {
            Some(address) => ServerName::IpAddress(address.into()),
            None => match ServerName::try_from(host.clone()) {
                Ok(name) => name,
                Err(error) => return Err(EgressError::Tls { host, source: io::Error::other(error) }),
            },
        };
        let connector = TlsConnector::from(std::sync::Arc::clone(&self.dialler.tls));
        connector.connect(name, connection).await.map_err(|source| EgressError::Tls { host, source })
    }

    /// The item that allows a need: one that names it exactly before one that covers more.
    fn allowed_by(&self, need: &Item) -> Option<(&'a Item, Named)> {
        let host_of = |item: &Item| match item {
            Item::Net { host, .. } => Some(host.clone()),
            Item::Path { .. } | Item::Run { .. } | Item::Env { .. } | Item::Secret { .. } => None,
        };
        let covering = || self.work.grant().items.iter().filter(|item| item.covers(need));
        let exact = covering().find(|item| host_of(item) == host_of(need)).map(|item| (item, Named::Exactly));
        exact.or_else(|| covering().next().map(|item| (item, Named::Broadly)))
    }

    /// The addresses a name stands for in this call.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        let known = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            match names.get(host) {
                Some(addresses) => Some(addresses.clone()),
                None if names.len() >= MOST_NAMES => {
                    drop(names);
                    return Err(self.refuse(host, format!("more than {MOST_NAMES} names in one call")));
                }
                None => None,
            }
        };
        if let Some(addresses) = known {
            return Ok(addresses);
        }
        let looked_up = self.dialler.resolver.addresses(host).await;
        // A name without addresses counts too: the question itself went out.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let found = names
            .entry(host.to_owned())
            .or_insert_with(|| looked_up.as_ref().map_or_else(|_| Vec::new(), Clone::clone));
        let found = found.clone();
        drop(names);
        looked_up.map(|_first| found).map_err(|source| EgressError::Unresolved { host: host.to_owned(), source })
    }

    async fn dial(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = tokio::time::timeout(CONNECTING, TcpStream::connect(to)).await??;
        // The kernel's word for it, and not only ours: what is recorded is where it went.
        if stream.peer_addr()? != to {
            return Err(io::Error::other("the connection went elsewhere"));
        }
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Whether a request to this connection stays between us and the host that was asked for.
    pub(super) fn is_private(target: &Target, connection: &Connection<'_>) -> bool {
        match target.scheme() {
            Scheme::Https => true,
            Scheme::Http => {
                connection.address().is_some_and(|address| kind(address) == Kind::Private("a loopback address"))
            }
        }
    }
}
