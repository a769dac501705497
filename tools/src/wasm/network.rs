//! The sockets that a guest has: none, and no names; requests go by `wasi:http`. Whatever it asks for is refused before a socket is made or a name is looked up, and
//! noted.
//!
//! **Invariant:** no socket is made and no resolver is asked.

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::{
    p2::{
        DynPollable, SocketError, SocketResult, TcpSocket, UdpSocket,
        bindings::sockets::{
            ip_name_lookup::{self, HostResolveAddressStream, ResolveAddressStream},
            network::{self, ErrorCode, HostNetwork, IpAddress, IpAddressFamily, Network},
            tcp_create_socket, udp_create_socket,
        },
    },
    sockets::{WasiSocketsCtxView, WasiSocketsView},
};

use super::call::{Refusals, State};

/// The sockets of one guest.
pub(super) struct NoNetwork<'a> {
    wasi: WasiSocketsCtxView<'a>,
    refusals: Refusals,
}

struct HasNoNetwork;

impl HasData for HasNoNetwork {
    type Data<'a> = NoNetwork<'a>;
}

/// Puts them in the place of WASI's own.
pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn none(state: &mut State) -> NoNetwork<'_> {
        let refusals = state.refusals.clone();
        NoNetwork { wasi: state.sockets(), refusals }
    }
    tcp_create_socket::add_to_linker::<State, HasNoNetwork>(linker, none)?;
    udp_create_socket::add_to_linker::<State, HasNoNetwork>(linker, none)?;
    ip_name_lookup::add_to_linker::<State, HasNoNetwork>(linker, none)
}

impl NoNetwork<'_> {
    fn refuse(&self, what: &str) -> SocketError {
        self.refusals.note(what, "components have no sockets");
        ErrorCode::AccessDenied.into()
    }
}

impl network::Host for NoNetwork<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.wasi, error)
    }
}

impl HostNetwork for NoNetwork<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.wasi, network)
    }
}

impl tcp_create_socket::Host for NoNetwork<'_> {
    fn create_tcp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        Err(self.refuse("a TCP socket"))
    }
}

impl udp_create_socket::Host for NoNetwork<'_> {
    async fn create_udp_socket(&mut self, _family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        Err(self.refuse("a UDP socket"))
    }
}

impl ip_name_lookup::Host for NoNetwork<'_> {
    fn resolve_addresses(
        &mut self,
        _network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        // Long names are how data leaves by them: what was tried is on record.
        Err(self.refuse(&format!("looking up {name}")))
    }
}

impl HostResolveAddressStream for NoNetwork<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        self.wasi.resolve_next_address(stream)
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        self.wasi.subscribe(stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        HostResolveAddressStream::drop(&mut self.wasi, stream)
    }
}
