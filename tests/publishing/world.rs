//! A ledger as a program of its own, and a home with sealed receipts.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use agent_runtime::{
    clock::Clock,
    home::Home,
    journal::{Batch, Journal, OutboxRow, ReceiptRow},
    publisher::{ChainWay, LedgerClient, PublishError, Publisher, Repin, Way},
    signer::bundle_of,
};
use common_ground::{ModuleId, RunId};
use receipts::{
    Digest,
    commit::AttemptKey,
    entry::Entry,
    integer::Decimal,
    ledger::{
        outbox::{Standing, State},
        rpc::{Call, Credited, Fault, OfNullifier},
    },
    note::vkey,
    seal::{SealInput, SealKeys, seal},
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::sealing::{self, SECRET, files_of, keys};

/// How long a lock may outlive its publisher.
const FREED: Duration = Duration::from_secs(3);

/// Longer than anything here takes; no test measures time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running ledger in its folder, killed when it goes out of sight.
pub struct Ledger {
    pub folder: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
    pub url: String,
}

/// The ledger's program, which cargo puts beside ours.
fn program() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_ii")).with_file_name("ii-ledger");
    assert!(beside.is_file(), "{} is not built: cargo build --workspace", beside.display());
    beside
}

/// A running witness, killed when it goes out of sight.
pub struct Witness {
    child: Child,
    _folder: TempDir,
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The keys of a folder, made where there are none.
fn keys_of(folder: &TempDir) -> serde_json::Value {
    let told = Command::new(program()).args(["keys", "--json", "--home"]).arg(folder.path()).output().expect("runs");
    serde_json::from_slice(&told.stdout).expect("JSON")
}

/// Starts a server of ours and reads the line that says where it listens.
fn started(command: &mut Command) -> (Child, String) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let told: Result<serde_json::Value, _> = serde_json::from_str(&line);
    let Ok(told) = told else {
        let mut words = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut words).expect("words");
        panic!("{line}{words}");
    };
    (child, told["listening"].as_str().expect("an address").to_owned())
}

impl Ledger {
    /// A ledger whose heads a witness must cosign.
    pub fn witnessed(arguments: &[&str]) -> (Self, Witness) {
        let (folder, beside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let log = keys_of(&folder)["log"].as_str().expect("a key").to_owned();
        let vkey = keys_of(&beside)["witness"].as_str().expect("a key").to_owned();
        let mut command = Command::new(program());
        command.args(["witness", "--listen", "127.0.0.1:0", "--json", "--log", &log, "--home"]).arg(beside.path());
        let (child, url) = started(&mut command);
        let witness = format!("{url}={vkey}");
        let arguments = [arguments, &["--witness", &witness]].concat();
        (Self::within(folder, &arguments), Witness { child, _folder: beside })
    }

    pub fn start(arguments: &[&str]) -> Self {
        Self::within(tempfile::tempdir().expect("a folder"), arguments)
    }

    fn within(folder: TempDir, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        let mut ledger = Self { folder, arguments, child: None, url: "http://127.0.0.1:0".to_owned() };
        ledger.again();
        ledger
    }

    /// Starts it where it was.
    pub fn again(&mut self) {
        self.kill();
        let address = self.url.trim_start_matches("http://").to_owned();
        let mut command = Command::new(program());
        command.arg("serve").args(["--listen", &address]).args(&self.arguments).arg("--json");
        let (child, url) = started(command.arg("--home").arg(self.folder.path()));
        (self.child, self.url) = (Some(child), url);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("is gone");
        }
    }

    /// Waits until it is gone by itself.
    pub fn gone(&mut self) {
        let mut child = self.child.take().expect("runs");
        child.wait().expect("is gone");
    }

    pub fn client(&self) -> LedgerClient {
        LedgerClient::new(&self.url).expect("an address")
    }

    pub async fn fault(&self, fault: Fault) {
        self.client().ask::<serde_json::Value>(&Call::Fault(fault)).await.expect("done");
    }

    /// How many receipts the ledger has for a nullifier, and which was credited.
    pub async fn credited(&self, nullifier: Digest) -> (Option<Digest>, usize) {
        let found: Credited = self.client().ask(&Call::ByNullifier(OfNullifier { nullifier })).await.expect("answers");
        (found.credited.map(|credited| credited.receipt), found.receipts.len())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A home whose journal has sealed receipts.
pub struct Sealed {
    _folder: TempDir,
    pub journal: Arc<Journal>,
}

/// The run that all receipts here are of.
pub fn run() -> RunId {
    RunId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001))
}

fn module(number: u128) -> Uuid {
    Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number)
}

fn input_of(number: u128) -> SealInput {
    let mut input = sealing::input(&keys(), 1);
    if let Entry::ModuleStart { module: of, .. } = &mut input.entries[0].entry {
        *of = module(number);
    }
    input
}

fn row_of(number: u128, input: &SealInput) -> ReceiptRow {
    let keys = keys();
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    let sealed = seal(input, &AttemptKey::new(SECRET), &seal_keys).expect("seals");
    let (receipt_id, nullifier) = (sealed.receipt_id, sealed.nullifier);
    let bundle = bundle_of(&files_of(&keys, sealed)).expect("packed");
    ReceiptRow { module: ModuleId(module(number)), receipt_id, nullifier, bundle }
}

/// A good receipt of its own module.
pub fn receipt(number: u128) -> ReceiptRow {
    row_of(number, &input_of(number))
}

/// Another good receipt of the same module: the second that is sealed for one nullifier.
pub fn second_receipt(number: u128) -> ReceiptRow {
    let mut input = input_of(number);
    input.usage.wall_ms = Decimal(10);
    row_of(number, &input)
}

/// A good receipt for another network.
pub fn receipt_elsewhere(number: u128) -> ReceiptRow {
    let mut input = input_of(number);
    input.network = Digest::of(b"elsewhere");
    row_of(number, &input)
}

impl Sealed {
    pub async fn new(receipts: Vec<ReceiptRow>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::at(folder.path().join("home"));
        let journal = Journal::open(home, Uuid::from_u128(7)).await.expect("opens");
        let sealed = Self { _folder: folder, journal: Arc::new(journal) };
        sealed.add(receipts).await;
        sealed
    }

    /// More of them, as accepted modules leave them.
    pub async fn add(&self, receipts: Vec<ReceiptRow>) {
        let lease = self.journal.acquire(run(), 0, 1_000_000).await.expect("acquired");
        let batch = Batch { receipts, ..Batch::new(run(), lease.epoch, 1) };
        self.journal.append(batch).await.expect("appended");
    }

    pub fn way(&self, ledger: &Ledger) -> Way {
        Way { url: Some(ledger.url.clone()), ..self.local_way() }
    }

    /// The way to no ledger yet.
    pub fn local_way(&self) -> Way {
        Way {
            url: None,
            key: None,
            network: Digest::of(b"ii dev network 1"),
            log: vkey(&keys().log.public()),
            repin: Repin::Never,
            chain: ChainWay { credentials: None, genesis: None, depth: 6, most_rate: 50_000 },
        }
    }

    /// A program that another test is just starting holds every file that is open here until it runs, so a lock may
    /// outlive its publisher for a moment.
    pub async fn open(&self, way: Way) -> Result<Publisher, PublishError> {
        let begun = Instant::now();
        loop {
            match Publisher::open(Arc::clone(&self.journal), Clock::system(), way.clone()).await {
                Err(PublishError::Taken) if begun.elapsed() < FREED => tokio::time::sleep(FREED / 1_000).await,
                other => return other,
            }
        }
    }

    pub async fn publisher(&self, ledger: &Ledger) -> Publisher {
        self.open(self.way(ledger)).await.expect("opens")
    }

    pub async fn rows(&self) -> Vec<OutboxRow> {
        self.journal.reader().outbox_of(None).await.expect("rows")
    }

    pub async fn standings(&self) -> Vec<Standing> {
        self.rows().await.iter().map(|row| row.state.standing()).collect()
    }

    pub async fn states(&self) -> Vec<State> {
        self.rows().await.into_iter().map(|row| row.state).collect()
    }
}

/// Turns until nothing is under way; whatever passes is tried again.
pub async fn settle(publisher: &mut Publisher) {
    settle_within(publisher, PATIENCE).await;
}

/// The same, for many.
pub async fn settle_within(publisher: &mut Publisher, patience: Duration) {
    let settling = async {
        loop {
            match publisher.turn().await {
                Ok(turn) if turn.counts.under_way() == 0 => return,
                Ok(_turn) => {}
                Err(error) => assert!(error.may_pass(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, settling).await.expect("settles");
}

/// Every receipt credited, each once, and the ledger agrees.
pub async fn all_credited_once(home: &Sealed, ledger: &Ledger) {
    for row in home.rows().await {
        assert_eq!(row.state.standing(), Standing::Credited, "{:?}", row.state);
        assert!(row.evidence.is_some(), "credited without a proof");
        assert_eq!(ledger.credited(row.nullifier).await, (Some(row.receipt_id), 1));
    }
}
