//! The program `ii-ledger`: a ledger, a witness, and the keys of both.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use ledger::{
    ask,
    home::Home,
    keys::{LedgerKeys, WitnessKey},
    publisher,
    start::{self, LedgerSettings, StartError, Started, WitnessSettings},
};
use receipts::{
    Digest, PublicKey,
    cosignature::Cosigner,
    note::{parse_vkey, vkey},
    witness::WatchedLog,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// A ledger for receipts, to develop and test against.
#[derive(Parser)]
#[command(
    name = "ii-ledger",
    version,
    about,
    after_help = "Exit codes: 0 stopped, 1 the address cannot be opened, 2 \
wrong usage, 3 a key or trust file makes no sense, 8 storage is full, unwritable, damaged or in use, 70 a fault of the program."
)]
struct Line {
    #[command(subcommand)]
    command: Command,
    /// The folder with keys and storage [default: ~/.ii-ledger].
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,
    /// One line of JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run a ledger until it is interrupted.
    Serve(Serve),
    /// Run a witness: it cosigns heads that go on from the last it saw.
    Witness(RunWitness),
    /// Print the verifier keys of ledger and witness, making them when there are none.
    Keys,
}

#[derive(clap::Args)]
struct Serve {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7411", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The ledger network, 64 hex characters [default: that of `ii`, SHA-256 of "ii dev network 1"].
    #[arg(long, value_name = "HEX")]
    network: Option<Digest>,
    /// A trust file: only receipts of its keys are taken. May be given for several nodes.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// A witness to ask, as ADDRESS=VERIFIER-KEY. May be given for several.
    #[arg(long, value_name = "URL=VKEY", value_parser = parse_witness)]
    witness: Vec<publisher::Witness>,
    /// How many witnesses must cosign before a head is published [default: all].
    #[arg(long, value_name = "N")]
    witness_quorum: Option<NonZeroUsize>,
    /// Milliseconds between blocks, when there is something new.
    #[arg(long, default_value_t = 200, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    block_ms: u64,
    /// Take requests for faults: dropped and late answers, forks, rollbacks, reorganisations, clocks, death.
    #[arg(long)]
    faults: bool,
}

#[derive(clap::Args)]
struct RunWitness {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7412", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Verifier key of a log to watch; its name is the log's origin. May be given for several.
    #[arg(long, value_name = "VKEY", value_parser = parse_log, required = true)]
    log: Vec<WatchedLog>,
    /// Be the witness of a guardian, under this charter: cosign no other log than it names, and only in its time.
    #[arg(long, value_name = "FILE", requires = "person")]
    charter: Option<PathBuf>,
    /// Whose signature on the charter counts: the public key of a person. May be given for several.
    #[arg(long, value_name = "KEY", requires = "charter")]
    person: Vec<PublicKey>,
}

fn parse_witness(text: &str) -> Result<publisher::Witness, String> {
    let (url, key) = text.split_once('=').ok_or("ADDRESS=VERIFIER-KEY is wanted")?;
    if !ask::is_address(url) {
        return Err(format!("`{url}` is not an http:// address"));
    }
    let cosigner = Cosigner::parse(key);
    let cosigner =
        cosigner.ok_or_else(|| format!("`{key}` is no verifier key of a witness; `ii-ledger keys` prints it"))?;
    Ok(publisher::Witness { url: url.to_owned(), cosigner })
}

fn parse_log(text: &str) -> Result<WatchedLog, String> {
    let known = parse_vkey(text).map(|(origin, key)| WatchedLog { origin, key });
    known.ok_or_else(|| format!("`{text}` is no verifier key of a log; `ii-ledger keys` prints it"))
}

fn main() -> ExitCode {
    let line = Line::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("ii-ledger: the system gives no threads: {error}");
            return ExitCode::from(70);
        }
    };
    let ended = match (home(line.home), line.command) {
        (None, _) => {
            eprintln!("ii-ledger: there is no home folder; name one with --home");
            return ExitCode::from(2);
        }
        (Some(home), Command::Keys) => keys(&home, line.json),
        (Some(home), Command::Serve(serve)) => runtime.block_on(run_ledger(home, serve, line.json)),
        (Some(home), Command::Witness(witness)) => runtime.block_on(run_witness(home, witness, line.json)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ii-ledger: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn home(given: Option<PathBuf>) -> Option<PathBuf> {
    given.or_else(|| Some(std::env::home_dir()?.join(".ii-ledger")))
}

fn keys(home: &std::path::Path, json: bool) -> Result<(), StartError> {
    let home = Home::take(home)?;
    let log = vkey(&LedgerKeys::open(home.path())?.log());
    let witness = WitnessKey::open(home.path())?.cosigner().clone();
    let (vkey, key) = (witness.vkey(), witness.key);
    if json {
        println!("{}", serde_json::json!({"log": log, "witness": vkey, "witness_key": key}));
    } else {
        println!("log      {log}\nwitness  {vkey}\nits key  {key}");
    }
    Ok(())
}

/// Says where it listens, so that a script can wait for this line.
fn tell(what: &'static str, json: bool) -> impl FnOnce(Started) {
    move |started| {
        let Started { address, vkey } = started;
        if json {
            println!("{}", serde_json::json!({"listening": format!("http://{address}"), "vkey": vkey}));
        } else {
            println!("{what} {vkey} listens on http://{address}");
        }
    }
}

/// Changes when the program is told to end.
fn stop() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut terminate = match signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            // Then only an interrupt ends it in good order; a kill loses nothing either.
            Err(error) => return eprintln!("ii-ledger: cannot wait for SIGTERM: {error}"),
        };
        tokio::select! {
            _interrupted = tokio::signal::ctrl_c() => {}
            _terminated = terminate.recv() => {}
        }
        sender.send_replace(true);
    });
    receiver
}

async fn run_ledger(home: PathBuf, serve: Serve, json: bool) -> Result<(), StartError> {
    let settings = LedgerSettings {
        home,
        listen: serve.listen,
        network: serve.network.unwrap_or_else(|| Digest::of(b"ii dev network 1")),
        trust: serve.trust,
        witnesses: serve.witness,
        witness_quorum: serve.witness_quorum.map(NonZeroUsize::get),
        interval: Duration::from_millis(serve.block_ms),
        faults: serve.faults,
    };
    start::ledger(settings, stop(), tell("ledger", json)).await
}

async fn run_witness(home: PathBuf, witness: RunWitness, json: bool) -> Result<(), StartError> {
    let settings = WitnessSettings {
        home,
        listen: witness.listen,
        logs: witness.log,
        charter: witness.charter.map(|file| (file, witness.person.into_iter().collect())),
    };
    start::witness(settings, stop(), tell("witness", json)).await
}
