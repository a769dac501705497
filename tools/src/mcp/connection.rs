//! One server being spoken to: started in its jail or asked over HTTP, listed, called, and ended.
//!
//! It never starts what was not approved; that is decided before it comes here.
//!
//! **Invariant:** dropped, it ends its server with all that the server started.
//! **Invariant:** a server is told nothing of this machine and may ask for nothing: no model, no person, no folder.

use std::{sync::Arc, time::Duration};

use common_ground::{
    grant::{Grant, Limits},
    port::tool::StepKey,
};
use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ClientRequest,
        ErrorCode, Implementation, JsonObject, ListToolsRequest, PaginatedRequestParams, ProtocolVersion, ServerResult,
        SubscriptionFilter,
    },
    service::{
        ClientInitializeError, ClientLifecycleMode, ClientServiceExt, Peer, RequestContext, RunningService,
        ServiceError, Subscription,
    },
    transport::{
        StreamableHttpClientTransport, Transport as Carrier, common::client_side_sse::NeverRetry,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use tokio::{io::AsyncReadExt, net::unix::OwnedReadHalf, time::timeout};

use super::{
    http::{Current, Dialled, note},
    lines::Lines,
    listing::{Listing, MOST_TOOLS, Words},
    open::Client,
    server::{Server, Transport, address, canonical},
    signs::{Fault, MOST_BYTES, Signs, Watched, brief, ended},
};
use crate::{
    hand::Work,
    jail::{End, Life},
};

/// How long a server may take to be ready and to list its tools.
pub(super) const READY: Duration = Duration::from_secs(30);
/// How long a server may take to say that it is still there after a request was given up.
const PROBE: Duration = Duration::from_secs(5);
/// How long an ended process may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Most pages of a listing.
const MOST_PAGES: usize = 64;
/// How much longer than its call a request may take, in milliseconds.
const LATER: u64 = 2_000;
/// Longest life of a stream that belongs to no call.
const A_DAY: u64 = 86_400_000;

/// What this program is to a server.
#[derive(Debug)]
pub(super) struct Nobody;

fn no(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("{method} is not for servers here"), None)
}

// Sampling and roots are on their way out of the protocol; older servers ask for them all the same.
#[allow(deprecated, reason = "what is refused here is refused as long as servers ask for it")]
impl ClientHandler for Nobody {
    async fn create_message(
        &self,
        _params: rmcp::model::CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::CreateMessageResult, ErrorData> {
        Err(no("sampling/createMessage"))
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        Err(no("roots/list"))
    }

    async fn create_elicitation(
        &self,
        _request: rmcp::model::ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ElicitResult, ErrorData> {
        Err(no("elicitation/create"))
    }

    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("ii", env!("CARGO_PKG_VERSION")))
    }
}

/// A server being spoken to.
pub(super) struct Connection {
    service: RunningService<RoleClient, Nobody>,
    signs: Arc<Signs>,
    by: By,
    // Kept so that the server goes on telling of changes; what it tells is seen on its way in.
    _subscription: Option<Subscription>,
}

/// Why a call has no result.
pub(super) enum Unanswered {
    /// It was not made.
    Refused(String),
    /// The server says that it cannot.
    Failed(String),
    /// The server is not spoken to any more.
    Fault(Fault),
}

/// What it is spoken to by.
enum By {
    /// A process, and what was noted when it was started.
    Jail { life: Life, started: Arc<Work> },
    /// HTTP.
    Http { current: Arc<Current>, grant: Grant },
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("signs", &self.signs).finish_non_exhaustive()
    }
}

/// Work that is no step's.
fn nobodys(grant: Grant) -> Work {
    Work::new(StepKey::NONE, grant)
}

impl Connection {
    /// Starts or asks a server, and learns its tools.
    pub async fn open(client: &Client, server: &Server) -> Result<(Self, Listing), Fault> {
        let signs = Arc::new(Signs::default());
        let grant = Grant::of(server.uses());
        match server.transport() {
            Transport::Stdio { command, env, may: _, limits } => {
                let started = Arc::new(nobodys(Grant { limits: *limits, ..grant }));
                let kept = client.jail().keep(&started, command.clone(), env.clone()).await;
                let kept = kept.map_err(|error| Fault::Unstarted(error.to_string()))?;
                tokio::spawn(hear(kept.errors, Arc::clone(&signs)));
                let carrier = Lines::new(kept.output, kept.input, &signs);
                let mut by = By::Jail { life: kept.life, started };
                match ready(Watched::new(carrier, &signs)).await {
                    Ok(service) => Self { service, signs, by, _subscription: None }.listed(server).await,
                    Err(fault) => Err(explain(&signs, &mut by, fault).await),
                }
            }
            Transport::Http { url, headers } => {
                let address = address(url, headers).map_err(Fault::Unstarted)?;
                let aside = Limits { wall_ms: A_DAY, net_bytes: MOST_BYTES as u64, ..Limits::USUAL };
                let aside = nobodys(Grant { limits: aside, ..grant.clone() });
                let current = Current::new(nobodys(grant.clone()), aside);
                let dialled = Dialled::new(client.dialler(), address, &current);
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
                config.retry_config = Arc::new(NeverRetry::default());
                // A new session may have other tools: that is for us to see.
                config.reinit_on_expired_session = false;
                let carrier = StreamableHttpClientTransport::with_client(dialled, config);
                let mut by = By::Http { current, grant };
                match ready(Watched::new(carrier, &signs)).await {
                    Ok(service) => Self { service, signs, by, _subscription: None }.listed(server).await,
                    Err(fault) => Err(explain(&signs, &mut by, fault).await),
                }
            }
        }
    }

    async fn listed(mut self, server: &Server) -> Result<(Self, Listing), Fault> {
        self.signs.begin();
        let listed = timeout(READY, self.list()).await.unwrap_or(Err(Fault::Silent(READY.as_millis())));
        match listed {
            Ok(words) => {
                self.listen().await;
                Ok((self, Listing::new(server, words)))
            }
            Err(fault) => Err(explain(&self.signs, &mut self.by, fault).await),
        }
    }

    /// All tools. Not by the library's own loop, which has no bound, nor from its memory.
    async fn list(&self) -> Result<Vec<Words>, Fault> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let request = ListToolsRequest::with_param(PaginatedRequestParams::default().with_cursor(cursor));
            let answer = self.peer().send_request(ClientRequest::ListToolsRequest(request)).await.map_err(fault)?;
            let ServerResult::ListToolsResult(page) = answer else {
                return Err(Fault::Garbage("a list of tools that is none".to_owned()));
            };
            for tool in page.tools {
                let schema = serde_json::Value::Object((*tool.input_schema).clone());
                all.push(Words {
                    name: tool.name.into_owned(),
                    description: tool.description.unwrap_or_default().into_owned(),
                    schema: canonical(&schema),
                });
            }
            if all.len() > MOST_TOOLS {
                return Err(Fault::TooManyTools);
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
        Err(Fault::TooManyTools)
    }

    /// Asks to be told of changes, where the protocol wants that asked. A server that does not offer it tells nobody.
    async fn listen(&mut self) {
        let offers = |info: &rmcp::model::ServerPeerInfo| {
            let tools = info.capabilities.tools.as_ref();
            !info.protocol_version.has_initialize() && tools.is_some_and(|tools| tools.list_changed == Some(true))
        };
        if self.peer().peer_info().is_some_and(|info| offers(&info)) {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            self._subscription = match timeout(PROBE, self.peer().listen(filter)).await {
                Ok(Ok(subscription)) => Some(subscription),
                Ok(Err(_)) | Err(_) => None,
            };
        }
    }

    fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.signs.fault().is_some() || self.service.is_closed()
    }

    /// Whether the server said that its tools changed.
    pub fn has_changed(&self) -> bool {
        self.signs.has_changed()
    }

    /// Calls a tool for `work`, and notes there what was seen. Dropped, the request is taken back.
    pub async fn call(&mut self, work: &Work, tool: &str, arguments: JsonObject) -> Result<CallToolResult, Unanswered> {
        self.signs.begin();
        let under = match &self.by {
            By::Jail { started, .. } => {
                started.noted().held.into_iter().for_each(|wall| work.held(wall));
                None
            }
            By::Http { current, grant } => {
                // The call's own time is over first, so that what is told of it is that.
                let limits = work.limits();
                let limits = Limits { wall_ms: limits.wall_ms.saturating_add(LATER), ..limits };
                let grant = Grant { limits, ..grant.clone() };
                Some(current.begin(Work::new(work.key(), grant)))
            }
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let answer = self.peer().call_tool_once(params).await;
        for method in self.signs.asked_for() {
            work.refused(format!("{method} of this program"), "servers ask for nothing here");
        }
        let mut refused = false;
        if let (By::Http { current, .. }, Some(under)) = (&self.by, under) {
            current.settled().await;
            refused = note(&under, work);
        }
        match answer {
            Ok(CallToolResponse::Complete(result)) => Ok(result),
            Ok(CallToolResponse::InputRequired(_)) => {
                let why = "it asked for more from a person or a model, which servers do not get here";
                Err(Unanswered::Failed(why.to_owned()))
            }
            Ok(_task_or_newer) => Err(Unanswered::Failed("it wants to be asked again later".to_owned())),
            Err(ServiceError::McpError(error)) if self.signs.fault().is_none() => {
                Err(Unanswered::Failed(error.message.into_owned()))
            }
            Err(error) if refused => Err(Unanswered::Refused(unserved(&error))),
            Err(error) => Err(Unanswered::Fault(explain(&self.signs, &mut self.by, fault(error)).await)),
        }
    }

    /// Whether the server still answers after a request was given up.
    pub async fn is_well(&self) -> bool {
        if let By::Http { current, grant } = &self.by {
            let limits = Limits { wall_ms: 2_000, ..Limits::USUAL };
            drop(current.begin(nobodys(Grant { limits, ..grant.clone() })));
        }
        self.signs.begin();
        let request = ClientRequest::ListToolsRequest(ListToolsRequest::default());
        matches!(timeout(PROBE, self.peer().send_request(request)).await, Ok(Ok(_)))
    }
}

/// Agrees with a server on how to speak: as servers do now, or as they did before.
async fn ready(carrier: impl Carrier<RoleClient> + 'static) -> Result<RunningService<RoleClient, Nobody>, Fault> {
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::LATEST],
        legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
    };
    match timeout(READY, Nobody.serve_with_lifecycle(carrier, lifecycle)).await {
        Ok(Ok(service)) => Ok(service),
        Ok(Err(error)) => Err(Fault::Protocol(uninitialized(&error))),
        Err(_elapsed) => Err(Fault::Silent(READY.as_millis())),
    }
}

/// The library's errors without the names of its types.
fn uninitialized(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => brief(&error.error.to_string()),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => uninitialized(fallback),
        other => brief(&other.to_string()),
    }
}

fn unserved(error: &ServiceError) -> String {
    match error {
        ServiceError::TransportSend(error) => brief(&error.error.to_string()),
        other => brief(&other.to_string()),
    }
}

fn fault(error: ServiceError) -> Fault {
    Fault::Protocol(unserved(&error))
}

/// The best word for why a server is not spoken to any more: what was seen, then how its process ended, then the library's.
async fn explain(signs: &Signs, by: &mut By, said: Fault) -> Fault {
    let seen = signs.fault();
    match (seen, by) {
        (Some(Fault::Ended(how)), By::Jail { life, .. }) => {
            let fault = match timeout(GONE, life.ended()).await {
                Ok(End::Exit(exit)) => ended(exit),
                Ok(End::Broken(why)) => return Fault::Unstarted(why),
                Err(_elapsed) => Fault::Ended(how),
            };
            match fault {
                Fault::Ended(how) => Fault::Ended(how + &signs.tail()),
                other => other,
            }
        }
        (Some(fault), _) => fault,
        (None, _) => said,
    }
}

/// Keeps the end of what a server says on standard error. All of it is read, or it could stand still.
async fn hear(mut errors: OwnedReadHalf, signs: Arc<Signs>) {
    let mut piece = vec![0; 16 << 10];
    // Neither the end nor an error of it leaves anything to be heard.
    while let Ok(read @ 1..) = errors.read(&mut piece).await {
        signs.complain(&piece[..read]);
    }
}
