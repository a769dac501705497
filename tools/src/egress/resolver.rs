//! From names to addresses: as this machine does it, or by one nameserver.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
};

/// Who is asked for addresses.
#[derive(Clone, Debug, Default)]
pub enum Resolver {
    /// This machine, with its files and settings.
    #[default]
    System,
    /// One nameserver and nothing else.
    Nameserver(Box<TokioResolver>),
}

impl Resolver {
    /// Asks this nameserver, over UDP and TCP.
    ///
    /// # Errors
    /// None that an address can cause.
    pub fn nameserver(at: SocketAddr) -> io::Result<Self> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = at.port();
        }
        let server = NameServerConfig::new(at.ip(), true, connections);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        // A call keeps what it was told; nothing is kept from call to call.
        options.cache_size = 0;
        options.attempts = 1;
        Ok(Self::Nameserver(Box::new(builder.build().map_err(io::Error::other)?)))
    }

    /// All addresses of a name.
    ///
    /// # Errors
    /// A name that has none, or nobody who answers.
    pub(super) async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        match self {
            // The port plays no part.
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()),
            Self::Nameserver(resolver) => {
                let found = resolver.lookup_ip(format!("{name}.")).await.map_err(io::Error::other)?;
                Ok(found.iter().collect())
            }
        }
    }
}
