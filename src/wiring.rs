//! The composition root: which store, model, tools and clock the program is made of.
//!
//! Tests wire their own; the program wires [`Wiring::real`]. Nothing here decides.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

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
use commons_index::{
    Caller, Collection, Declared, Given, Ingested, Limits, Progress as IngestProgress, Reranked, Several, Skipped,
    Vectored,
};

use crate::{
    commons::Commons,
    config::Config,
    exit::{Exit, Failure},
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

/// Makes the few vectors that are missing; where they are many, or of a model that the settings do not name, gives what to say of
/// it.
///
/// # Errors
/// A model that gives none, storage faults.
pub async fn few_vectors(
    index: &mut Several,
    progress: &mut (dyn FnMut(IngestProgress) + Send),
) -> Result<Option<String>, Failure> {
    let (mut many, mut unnamed) = (0, None);
    for one in index.collections_mut() {
        match one.vectored() {
            Vectored::Missing { passages, .. } if passages <= ON_THE_WAY => {
                one.embed(progress).await.map_err(|error| from_vectors(&error))?;
            }
            Vectored::Missing { passages, .. } => many += passages,
            Vectored::NoModel => {
                unnamed = unnamed.or(one.models().await.map_err(|error| from_store(&error))?.pop());
            }
            Vectored::Ready { .. } => {}
        }
    }
    let missing = (many > 0).then(|| format!("{many} passages have no vector yet (`ii commons add DIR` makes them)"));
    let unnamed = unnamed.map(|model| format!("there are vectors by {model}, and embeddings.model is not set to it"));
    Ok(missing.or(unnamed).map(|why| format!("words alone are searched: {why}")))
}

/// Where answers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sources {
    /// A folder, whose collection is brought up to it first.
    Folder(PathBuf),
    /// Collections as they are, each by its folder, its name or the beginning of it.
    Collections(Vec<String>),
}

impl Sources {
    /// What a command line names, else the folder of the settings.
    ///
    /// # Errors
    /// Nothing is named.
    pub fn of(collections: Vec<String>, config: &Config) -> Result<Self, Failure> {
        let named = (!collections.is_empty()).then_some(Self::Collections(collections));
        let named = named.or_else(|| config.docs.clone().map(Self::Folder));
        let none = || {
            Failure::new(Exit::Usage, "no folder of documents is named", "name one with --docs, or --collection NAME")
        };
        named.ok_or_else(none)
    }

    /// Opens the commons at them; what was passed over on the way is given with it.
    ///
    /// # Errors
    /// A folder that is not there or has nothing readable, no such collection; storage faults.
    pub async fn open(
        &self,
        home: &Home,
        config: &Config,
        (signer, clock): (&Signer, &Clock),
        progress: &mut (dyn FnMut(IngestProgress) + Send),
    ) -> Result<(Several, Vec<Skipped>), Failure> {
        match self {
            Self::Folder(docs) => {
                let (index, ingested) =
                    ingest(home, Stock::Folder(docs), config, (signer, clock), None, progress).await?;
                Ok((Several::of(vec![index]), ingested.skipped))
            }
            Self::Collections(wanted) => {
                let commons = Commons::open(home, config, signer).await?;
                let mut names: Vec<String> = Vec::new();
                for wanted in wanted {
                    let name = commons.find(wanted).await?;
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                let index = together(&commons, &names, home, config).await?;
                if let Some(empty) = index.collections().iter().find(|one| one.counts().0 == 0) {
                    let what = format!("collection {} is empty", empty.collection());
                    return Err(Failure::new(Exit::Usage, what, "`ii commons add DIR` fills it"));
                }
                Ok((index, Vec::new()))
            }
        }
    }
}

/// Collections of these names as one index, with the embedding model of the settings.
///
/// # Errors
/// No such collection, a model that cannot be used, storage faults.
pub async fn together(
    commons: &Commons,
    names: impl IntoIterator<Item = &String>,
    home: &Home,
    config: &Config,
) -> Result<Several, Failure> {
    let model = models::embedder(home, config).await?;
    let mut all = Vec::new();
    for name in names {
        let mut one = commons.named(name).await?;
        if let Some(model) = &model {
            one.use_embedder(Arc::clone(model)).await.map_err(|error| from_store(&error))?;
        }
        all.push(one);
    }
    Ok(Several::of(all))
}

/// An index as it answers: with the reranker of the settings, where they name one.
///
/// # Errors
/// A model that cannot be used.
pub async fn answering<I: Index + 'static>(index: I, home: &Home, config: &Config) -> Result<Arc<dyn Index>, Failure> {
    Ok(match models::reranker(home, config).await? {
        Some((model, most)) => Arc::new(Reranked::new(index, model, most)),
        None => Arc::new(index),
    })
}

/// What an ingest is to take in.
pub enum Stock<'a> {
    /// A folder as it is now.
    Folder(&'a Path),
    /// Documents given one by one, into the collection of this name.
    List(&'a str, Box<dyn Iterator<Item = Given> + Send>),
}

/// Takes documents into the commons and opens their collection. `declared` is what is said of all of them, where it is said.
///
/// # Errors
/// A folder that is not there or has nothing readable; storage faults.
pub async fn ingest(
    home: &Home,
    stock: Stock<'_>,
    config: &Config,
    (signer, clock): (&Signer, &Clock),
    declared: Option<Declared>,
    progress: &mut (dyn FnMut(IngestProgress) + Send),
) -> Result<(Collection, Ingested), Failure> {
    let limits = Limits { file_bytes: config.file_bytes, ..Limits::default() };
    let commons = Commons::open(home, config, signer).await?;
    let mut index = match &stock {
        Stock::Folder(docs) => commons.of_folder(docs, limits).await?,
        Stock::List(name, _) => commons.of_list(name, limits).await?,
    };
    if let Some(declared) = declared {
        index.declare(declared);
    }
    let mut entropy = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(std::io::Error::other);
    let mut sign = |body: &[u8]| signer.sign_checkpoint(body).map_err(std::io::Error::other);
    let caller = Caller { began_ms: clock.now_ms(), entropy: &mut entropy, sign: &mut sign, progress };
    let ingested = match stock {
        Stock::Folder(_) => index.ingest(caller).await,
        Stock::List(_, given) => index.add(given, caller).await,
    };
    let ingested = ingested.map_err(|error| from_ingest(&error))?;
    with_embedder(&mut index, home, config).await?;
    Ok((index, ingested))
}
