//! A ledger in a process of its own, and receipts to hand in.

#[path = "../../../receipts/tests/common/mod.rs"]
mod sealing;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use receipts::{
    commit::AttemptKey,
    entry::Entry,
    ledger::{
        rpc::{Call, SubmitBatch},
        submission::Submission,
    },
    note::vkey,
    seal::{SealKeys, seal},
};
use uuid::Uuid;

/// How long an answer may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running ledger, killed when it goes out of sight.
pub struct Program {
    child: Child,
    pub url: String,
}

impl Program {
    /// Starts it in a folder, at a free port.
    pub fn start(folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ii-ledger"))
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--home"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let told: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let url = told["listening"].as_str().expect("an address").to_owned();
        Self { child, url }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().expect("is there");
        self.child.wait().expect("is gone");
    }
}

fn submission(number: usize) -> Submission {
    let keys = sealing::keys();
    let mut input = sealing::input(&keys, 1);
    if let Entry::ModuleStart { module, .. } = &mut input.entries[0].entry {
        *module = Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number as u128);
    }
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    let sealed = seal(&input, &AttemptKey::new(sealing::SECRET), &seal_keys).expect("seals");
    let files = sealing::files_of(&keys, sealed);
    Submission::from_bundle(&files, &vkey(&keys.log.public())).expect("all files")
}

/// The request that hands in these receipts.
pub fn request(numbers: std::ops::Range<usize>) -> bytes::Bytes {
    Call::SubmitBatch(SubmitBatch { submissions: numbers.map(submission).collect() }).to_json(1).into()
}
