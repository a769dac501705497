//! Programs, and receipts to hand in.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use ledger::ask::{self, Answer, AskError};
use receipts::{
    Digest,
    checkpoint::Checkpoint,
    commit::AttemptKey,
    cosignature::open_cosigned,
    entry::Entry,
    integer::Decimal,
    ledger::{
        entry::LogEntry,
        rpc::{
            Acknowledgement, Call, Fault, Heads, LedgerError, OfReceipt, ProofAt, Status, SubmitBatch, Submitted,
            WatchFrom, read_answer,
        },
        submission::Submission,
    },
    merkle::root_from_inclusion,
    note::{parse_vkey, vkey},
    seal::{SealInput, SealKeys, seal},
    tlog_proof::TlogProof,
};
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use uuid::Uuid;

use crate::sealing::{self, SECRET, files_of, keys};

/// Longer than anything here takes; no test measures time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running program in its folder, killed when it goes out of sight.
pub struct Program {
    child: Child,
    pub url: String,
    pub vkey: String,
}

impl Program {
    pub fn start(home: &Path, arguments: &[&str]) -> Self {
        Self::run(command(home, arguments), arguments)
    }

    fn run(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let told: Option<serde_json::Value> = serde_json::from_str(&line).ok();
        let Some(told) = told else {
            let ended = child.wait_with_output().expect("ends");
            panic!("{arguments:?}: {line}{}", String::from_utf8_lossy(&ended.stderr));
        };
        let text = |name: &str| told[name].as_str().expect("text").to_owned();
        Self { child, url: text("listening"), vkey: text("vkey") }
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("is gone");
    }

    /// Waits until it is gone by itself, and gives its exit code, `None` after a signal.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().expect("ends").code()
    }

    pub fn terminate(&mut self) -> Option<i32> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("SIGTERM");
        self.wait()
    }

    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("piped")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ii-ledger"));
    command.args(arguments).arg("--json").arg("--home").arg(home).stdin(Stdio::null());
    command
}

/// A ledger with its folder.
pub struct World {
    pub folder: TempDir,
    /// What the program is started by; nothing for itself.
    pub command: Vec<String>,
    pub arguments: Vec<String>,
    pub ledger: Program,
}

impl World {
    pub fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::over(folder, arguments)
    }

    pub fn over(folder: TempDir, arguments: &[&str]) -> Self {
        Self::behind(&[], folder, arguments)
    }

    pub fn behind(command: &[&str], folder: TempDir, arguments: &[&str]) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--block-ms", "20"].iter().chain(arguments);
        let arguments: Vec<String> = arguments.map(|text| (*text).to_owned()).collect();
        let command: Vec<String> = command.iter().map(|text| (*text).to_owned()).collect();
        let ledger = start(&command, folder.path(), &arguments);
        Self { folder, command, arguments, ledger }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn restart(&mut self) {
        self.ledger.kill();
        self.ledger = start(&self.command, self.folder.path(), &self.arguments);
    }

    pub async fn raw(&self, body: impl Into<Bytes>) -> Result<Answer, AskError> {
        ask::post(&self.ledger.url, "application/json", body, PATIENCE).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask::get(&format!("{}{path}", self.ledger.url), PATIENCE).await.expect("an answer")
    }

    pub async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, LedgerError> {
        let answer = self.raw(call.to_json(1)).await.expect("an answer");
        assert_eq!(answer.status, 200);
        read_answer(&answer.body)
    }

    pub async fn submit(&self, submission: Submission) -> Result<Acknowledgement, LedgerError> {
        self.call(Call::Submit(Box::new(submission))).await
    }

    pub async fn submit_batch(&self, submissions: Vec<Submission>) -> Vec<Submitted> {
        self.call(Call::SubmitBatch(SubmitBatch { submissions })).await.expect("answers")
    }

    pub async fn fault(&self, fault: Fault) {
        self.call::<serde_json::Value>(Call::Fault(fault)).await.expect("done");
    }

    pub async fn status(&self, receipt: Digest) -> Status {
        self.call(Call::Status(OfReceipt { receipt })).await.expect("a status")
    }

    /// The published head, once it has so many entries.
    pub async fn published(&self, size: u64) -> (Checkpoint, Heads) {
        let grown = self.grown(size);
        tokio::time::timeout(PATIENCE, grown).await.unwrap_or_else(|_| panic!("no published head of {size} entries"))
    }

    async fn grown(&self, size: u64) -> (Checkpoint, Heads) {
        loop {
            let heads: Heads = self
                .call(Call::Watch(WatchFrom { size: Decimal(size.saturating_sub(1)), wait_ms: Decimal(30_000) }))
                .await
                .expect("heads");
            let head = self.open(&heads.checkpoint);
            if head.size >= size {
                return (head, heads);
            }
        }
    }

    pub fn open(&self, note: &str) -> Checkpoint {
        let (name, key) = parse_vkey(&self.ledger.vkey).expect("a verifier key");
        Checkpoint::parse(open_cosigned(note, &name, &key).expect("signed by the log")).expect("a checkpoint")
    }

    /// Until the receipt is under a certified block.
    pub async fn until_final(&self, receipt: Digest) -> (u64, u64) {
        let sealed = async {
            loop {
                if let Status::Final { index, height } = self.status(receipt).await {
                    return (index.0, height.0);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, sealed).await.unwrap_or_else(|_| panic!("{receipt} is never final"))
    }

    /// Checks the evidence for a receipt as a stranger would, and gives its index.
    pub async fn check_proof(&self, entry: &LogEntry, height: Option<u64>) -> u64 {
        let at = ProofAt { receipt: entry.receipt, height: height.map(Decimal) };
        let proof: receipts::ledger::rpc::Proof = self.call(Call::Proof(at)).await.expect("a proof");
        assert_eq!(hex::decode(&proof.entry).expect("hex"), entry.to_bytes());
        let shown = TlogProof::parse(&proof.proof).expect("a tlog-proof");
        let head = self.open(&shown.checkpoint);
        let root = root_from_inclusion(entry.leaf(), shown.index, head.size, &shown.hashes);
        assert_eq!(root, Ok(head.root));
        if let Some(height) = height {
            let info: receipts::ledger::rpc::Info = self.call(Call::Info).await.expect("info");
            let block = proof.block.expect("a block");
            assert_eq!(block.check(&info.validators), Ok(()));
            assert_eq!((block.block.height.0, block.block.size.0, block.block.root), (height, head.size, head.root));
        }
        shown.index
    }
}

fn start(before: &[String], home: &Path, arguments: &[String]) -> Program {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let own = command(home, &arguments);
    let Some((first, more)) = before.split_first() else { return Program::run(own, &arguments) };
    let mut behind = Command::new(first);
    behind.args(more).arg(own.get_program()).args(own.get_args()).stdin(Stdio::null());
    Program::run(behind, &arguments)
}

/// What is sealed for a module of this number.
fn input_of(number: u128) -> SealInput {
    let mut input = sealing::input(&keys(), 1);
    if let Entry::ModuleStart { module, .. } = &mut input.entries[0].entry {
        *module = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number);
    }
    input
}

fn submission_of(input: &SealInput) -> (Submission, LogEntry) {
    let keys = keys();
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    let sealed = seal(input, &AttemptKey::new(SECRET), &seal_keys).expect("seals");
    let entry = LogEntry {
        receipt: sealed.receipt_id,
        nullifier: sealed.nullifier,
        class: receipts::ledger::entry::BenefitClass::AgentOrchestration,
    };
    let submission = Submission::from_bundle(&files_of(&keys, sealed), &vkey(&keys.log.public()));
    (submission.expect("all files"), entry)
}

/// A good receipt of its own module, and its entry.
pub fn receipt(number: u128) -> (Submission, LogEntry) {
    submission_of(&input_of(number))
}

/// Another good receipt of the same module: the second that is sealed for one nullifier.
pub fn second_receipt(number: u128) -> (Submission, LogEntry) {
    let mut input = input_of(number);
    input.usage.wall_ms = Decimal(10);
    submission_of(&input)
}

/// A good receipt for another network.
pub fn receipt_elsewhere(number: u128) -> Submission {
    let mut input = input_of(number);
    input.network = Digest::of(b"elsewhere");
    submission_of(&input).0
}

pub fn receipts(numbers: std::ops::Range<u128>) -> (Vec<Submission>, Vec<LogEntry>) {
    numbers.map(receipt).unzip()
}
