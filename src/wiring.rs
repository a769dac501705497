//! The composition root: which store, model, tools and clock the program is made of.
//!
//! Tests wire their own; the program wires [`Wiring::real`]. Nothing here decides.

use std::{path::Path, sync::Arc, time::Duration};

use agent_runtime::{
    clock::Clock,
    driver::{Patience, RUN_LEASE_MS},
    home::Home,
    ids,
    journal::{Journal, Store},
    models::RoleModels,
    signer::{Signer, SignerPlan},
};
use common_ground::{
    port::{BoxFuture, index::Index, tool::Tool},
    run::Models,
};
use commons_index::{Caller, Collection, Declared, Ingested, Limits, Progress as IngestProgress, Vectored};

use crate::{
    commons::Commons,
    config::Config,
    exit::Failure,
    failures::{from_ingest, from_journal, from_signer, from_store, from_vectors},
    hands, models,
};

/// Makes the store a driver writes to from the journal.
pub type MakeStore = Arc<dyn Fn(Arc<Journal>) -> Arc<dyn Store> + Send + Sync>;
/// Makes the tools from an index, the home and the settings.
pub type MakeTools = Arc<
    dyn for<'a> Fn(Arc<dyn Index>, &'a Home, &'a Config) -> BoxFuture<'a, Result<Vec<Arc<dyn Tool>>, Failure>>
        + Send
        + Sync,
>;

/// Makes the models of these ids from the home and the settings.
pub type MakeModels =
    Arc<dyn for<'a> Fn(&'a Home, &'a Config, &'a Models) -> BoxFuture<'a, Result<RoleModels, Failure>> + Send + Sync>;

/// The parts that can differ between the program and a test of it.
#[derive(Clone)]
pub struct Wiring {
    /// The store around the journal.
    pub store: MakeStore,
    /// The models that play the roles.
    pub models: MakeModels,
    /// The tools over the commons.
    pub tools: MakeTools,
    /// The time.
    pub clock: Clock,
    /// How long a lease on a run lasts between renewals, in milliseconds.
    pub lease_ms: u64,
}

impl Wiring {
    /// What the program is made of.
    pub fn real() -> Self {
        Self {
            store: Arc::new(|journal| journal),
            models: Arc::new(|home, config, ids| Box::pin(models::cast(home, config, ids))),
            tools: Arc::new(|index, home, config| Box::pin(hands::all(index, home, config))),
            clock: Clock::system(),
            lease_ms: RUN_LEASE_MS,
        }
    }
}

/// Limits on single calls.
pub const PATIENCE: Patience = Patience { tool: Duration::from_secs(120), model: Duration::from_secs(600) };

/// Opens the journal of a home, making both where they are missing.
///
/// # Errors
/// Storage that is full, unwritable or damaged.
pub async fn journal(home: &Home, clock: &Clock) -> Result<Journal, Failure> {
    let holder = ids::new_v7(clock.now_ms()).map_err(Failure::internal)?;
    Journal::open(home.clone(), holder).await.map_err(|error| from_journal(&error))
}

/// Opens the identities of a home, making keys and delegations on first use.
///
/// # Errors
/// Keys that are missing, unreadable or open to others.
pub fn signer(home: &Home, config: &Config, clock: &Clock) -> Result<Signer, Failure> {
    let plan = SignerPlan { root: config.root_key.clone(), associates: config.parallel, network: config.network };
    Signer::open(home, &plan, clock.now_ms()).map_err(|error| from_signer(&error))
}

/// Names the embedding model of the settings to a collection, where they name one.
///
/// # Errors
/// A model that cannot be used, storage faults.
pub async fn with_embedder(index: &mut Collection, home: &Home, config: &Config) -> Result<(), Failure> {
    if let Some(model) = models::embedder(home, config).await? {
        index.use_embedder(model).await.map_err(|error| from_store(&error))?;
    }
    Ok(())
}

/// Passages that are embedded on the way to something else; more of them is work of its own.
const ON_THE_WAY: u64 = 512;

/// Makes the few vectors that are missing; where they are many, gives what to say of it.
///
/// # Errors
/// A model that gives none, storage faults.
pub async fn few_vectors(
    index: &mut Collection,
    progress: &mut (dyn FnMut(IngestProgress) + Send),
) -> Result<Option<String>, Failure> {
    match index.vectored() {
        Vectored::Missing { passages, .. } if passages <= ON_THE_WAY => {
            index.embed(progress).await.map_err(|error| from_vectors(&error))?;
            Ok(None)
        }
        Vectored::Missing { passages, .. } => Ok(Some(format!(
            "words alone are searched: {passages} passages have no vector yet (`ii commons add DIR` makes them)"
        ))),
        Vectored::NoModel | Vectored::Ready { .. } => Ok(None),
    }
}

/// Brings the commons up to a folder and opens them. `declared` is what is said of all documents, where it is said.
///
/// # Errors
/// A folder that is not there or has nothing readable; storage faults.
pub async fn ingest(
    home: &Home,
    docs: &Path,
    config: &Config,
    signer: &Signer,
    declared: Option<Declared>,
    progress: &mut (dyn FnMut(IngestProgress) + Send),
) -> Result<(Collection, Ingested), Failure> {
    let limits = Limits { file_bytes: config.file_bytes, ..Limits::default() };
    let mut index = Commons::open(home, config, signer).await?.of_folder(docs, limits).await?;
    if let Some(declared) = declared {
        index.declare(declared);
    }
    let mut entropy = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(std::io::Error::other);
    let mut sign = |body: &[u8]| signer.sign_checkpoint(body).map_err(std::io::Error::other);
    let caller = Caller { entropy: &mut entropy, sign: &mut sign, progress };
    let ingested = index.ingest(caller).await.map_err(|error| from_ingest(&error))?;
    with_embedder(&mut index, home, config).await?;
    Ok((index, ingested))
}
