//! Putting the parts together: a ledger or a witness, from its folder to its address, until it is told to stop.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use receipts::{
    Digest, PublicKey,
    ledger::{block::quorum, rpc::MOST_BYTES, submission::Admission},
    note::{log_name, vkey},
    trust::{Trust, TrustError},
    witness::WatchedLog,
};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    faults::Faults,
    heads::Log,
    home::{Home, HomeError},
    http::{self, Limits},
    keys::{KeyError, LedgerKeys, WitnessKey},
    ledger::{Constants, Ledger},
    publisher::{self, Publisher},
    store::{Identity, Store, StoreError},
    witness::{Duty, DutyError, SeenHeads, Witness, WitnessStoreError},
    writer::Writer,
};

/// Connections at once.
const CONNECTIONS: usize = 256;

/// What a ledger is started with.
#[derive(Clone, Debug)]
pub struct LedgerSettings {
    /// Its folder.
    pub home: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The ledger network.
    pub network: Digest,
    /// Trust files: with any, only receipts of their keys are taken.
    pub trust: Vec<PathBuf>,
    /// Witnesses to ask.
    pub witnesses: Vec<publisher::Witness>,
    /// How many must cosign, at least one of those there are; all of them without it.
    pub witness_quorum: Option<usize>,
    /// The time between blocks.
    pub interval: Duration,
    /// Whether faults may be asked for.
    pub faults: bool,
}

/// What a witness is started with.
#[derive(Clone, Debug)]
pub struct WitnessSettings {
    /// Its folder.
    pub home: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The logs to watch.
    pub logs: Vec<WatchedLog>,
    /// The charter of a witness that is a guardian, and who may have signed it.
    pub charter: Option<(PathBuf, BTreeSet<PublicKey>)>,
}

/// What is told once the address is open.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its verifier key.
    pub vkey: String,
}

/// Why a program does not start, or ends before it is told to.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Storage of a ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Storage of a witness.
    #[error(transparent)]
    Seen(#[from] WitnessStoreError),
    /// A charter of the witness.
    #[error(transparent)]
    Duty(#[from] DutyError),
    /// A trust file cannot be read.
    #[error("trust file {path}: {source}")]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A trust file makes no sense.
    #[error("{path}: {source}")]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TrustError,
    },
    /// A trust file is of another network.
    #[error("{path} is for network {found}, this ledger is of {wanted}; name the network with --network")]
    TrustNetwork {
        /// The file.
        path: PathBuf,
        /// Its network.
        found: Digest,
        /// The ledger's.
        wanted: Digest,
    },
    /// More cosignatures are wanted than there are witnesses.
    #[error("--witness-quorum {wanted} of {witnesses} witnesses; name as many with --witness")]
    WitnessQuorum {
        /// How many are wanted.
        wanted: usize,
        /// How many there are.
        witnesses: usize,
    },
    /// Faults for everybody.
    #[error("--faults only with an address of this machine, and {address} is none; use 127.0.0.1")]
    PublicFaults {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be opened.
    #[error("cannot listen on {address}: {source}; name another with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A task ended that should not.
    #[error("a part of the program failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl StartError {
    /// The exit code, one of those of `ii`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. } => 1,
            Self::WitnessQuorum { .. } | Self::PublicFaults { .. } => 2,
            Self::TrustFile { .. } | Self::Trust { .. } | Self::TrustNetwork { .. } | Self::Key(_) | Self::Duty(_) => 3,
            Self::Home(_) | Self::Store(_) | Self::Seen(_) => 8,
            Self::Task(_) => 70,
        }
    }
}

fn limits(body: usize) -> Limits {
    Limits {
        connections: CONNECTIONS,
        body,
        large: 16,
        patience: Duration::from_secs(15),
        grace: Duration::from_secs(2),
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn admission(settings: &LedgerSettings) -> Result<Admission, StartError> {
    if settings.trust.is_empty() {
        return Ok(Admission::Open);
    }
    let mut by_log = BTreeMap::new();
    for path in &settings.trust {
        let bytes = std::fs::read(path).map_err(|source| StartError::TrustFile { path: path.clone(), source })?;
        let wrong = |source| StartError::Trust { path: path.clone(), source };
        let trust = Trust::parse(&bytes).map_err(wrong)?;
        if trust.network != settings.network {
            let (path, found, wanted) = (path.clone(), trust.network, settings.network);
            return Err(StartError::TrustNetwork { path, found, wanted });
        }
        by_log.insert(trust.log_key().map_err(wrong)?, trust);
    }
    Ok(Admission::Trusted(by_log))
}

/// Runs a ledger until `stop` changes.
///
/// # Errors
/// [`StartError`].
pub async fn ledger(
    settings: LedgerSettings,
    mut stop: watch::Receiver<bool>,
    started: impl FnOnce(Started),
) -> Result<(), StartError> {
    let witnesses = settings.witnesses.len();
    let witness_quorum = settings.witness_quorum.unwrap_or(witnesses);
    if witness_quorum > witnesses || (witness_quorum == 0 && witnesses > 0) {
        return Err(StartError::WitnessQuorum { wanted: witness_quorum, witnesses });
    }
    if settings.faults && !settings.listen.ip().is_loopback() {
        return Err(StartError::PublicFaults { address: settings.listen });
    }
    let admission = admission(&settings)?;
    let home = Home::take(&settings.home)?;
    let keys = Arc::new(LedgerKeys::open(home.path())?);
    let identity = Identity { network: settings.network, log: keys.log() };
    let opened = Store::open(home.path(), &identity, |head| keys.sign(head)).await?;
    let (listener, address) = listen(settings.listen).await?;
    let log = Arc::new(Log::new(opened.tree, opened.heads));
    let faults = Arc::new(Faults::default());
    // Without witnesses there is nobody to wait for.
    let at_once = witnesses == 0;
    let (orders, mut writer) =
        Writer::start(opened.store, Arc::clone(&log), Arc::clone(&keys), Arc::clone(&faults), at_once);
    let publisher = Publisher {
        network: settings.network,
        log: Arc::clone(&log),
        keys: Arc::clone(&keys),
        faults: Arc::clone(&faults),
        orders: orders.clone(),
        witnesses: settings.witnesses.clone(),
        quorum: witness_quorum,
        interval: settings.interval,
    };
    // Its own way to stop everything, also when the writer fails.
    let (end, ended) = watch::channel(false);
    let publisher = tokio::spawn(publisher.work(ended.clone()));
    let constants = Constants {
        network: settings.network,
        admission,
        origin: log_name(&keys.log()),
        vkey: vkey(&keys.log()),
        quorum: quorum(keys.validators().len()).unwrap_or(keys.validators().len()),
        validators: keys.validators(),
        witnesses: settings.witnesses.iter().map(|witness| witness.cosigner.vkey()).collect(),
        witness_quorum,
        faulty: settings.faults,
    };
    let reader = opened.reader.clone();
    let site = Arc::new(Ledger::new(constants, log, opened.reader, orders, faults));
    let server = tokio::spawn(http::serve(listener, limits(MOST_BYTES), site, ended));
    started(Started { address, vkey: vkey(&keys.log()) });
    let failed = tokio::select! {
        _told = stop.changed() => None,
        failed = &mut writer => Some(failed),
    };
    end.send_replace(true);
    server.await?;
    publisher.await?;
    reader.close().await;
    match failed {
        Some(failed) => failed??,
        None => writer.await??,
    }
    Ok(())
}

/// Runs a witness until `stop` changes.
///
/// # Errors
/// [`StartError`].
pub async fn witness(
    settings: WitnessSettings,
    stop: watch::Receiver<bool>,
    started: impl FnOnce(Started),
) -> Result<(), StartError> {
    let home = Home::take(&settings.home)?;
    let key = Arc::new(WitnessKey::open(home.path())?);
    let duty = settings.charter.map(|(file, persons)| Duty::read(&file, key.cosigner().key, &persons)).transpose()?;
    let seen = SeenHeads::open(home.path()).await?;
    let (listener, address) = listen(settings.listen).await?;
    let (site, judge) = Witness::start(Arc::clone(&key), settings.logs, duty, seen);
    started(Started { address, vkey: key.cosigner().vkey() });
    // A request is a note and at most 63 hashes.
    http::serve(listener, limits(64 << 10), Arc::new(site), stop).await;
    judge.await??;
    Ok(())
}
