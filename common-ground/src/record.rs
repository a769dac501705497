//! What a tool call leaves behind: who ran it where, under which grant, what it touched, what was refused, what it used.

use receipts::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    grant::{Basis, Item, Scheme, Tier},
    id::Epoch,
};

/// The record of one call. Its digest stands in the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The tool's words, and its code where it is a file of its own.
    pub tool: Digest,
    /// The grant it ran under.
    pub grant: Digest,
    /// Where it really ran.
    pub tier: Tier,
    /// What held it there and which code it was, in the tier's words: `landlock 7`, `image sha256:…`.
    pub held: Vec<String>,
    /// The lease it ran under.
    pub epoch: Epoch,
    /// SHA-256 of its arguments.
    pub input: Digest,
    /// SHA-256 of all that it put out.
    pub output: Digest,
    /// Length of that in bytes; what a model read is shorter where it was too long.
    pub output_bytes: u64,
    /// Whether something was left out of what the model read.
    pub truncated: bool,
    /// What it needed, and what allowed each.
    pub allowed: Vec<Allowed>,
    /// Connections made for it.
    pub egress: Vec<Egress>,
    /// What it tried and was refused.
    pub refusals: Vec<Denial>,
    /// Files changed.
    pub changes: Vec<Change>,
    /// What it used.
    pub spent: Spent,
    /// How it ended.
    pub exit: Exit,
}

/// One thing a call needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// What.
    pub need: Item,
    /// What allowed it.
    pub basis: Basis,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// How.
    pub scheme: Scheme,
    /// The name asked for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address it really went to.
    pub address: String,
    /// The method, where the dialler itself made the request.
    pub method: Option<String>,
    /// The grant's item that allowed it.
    pub item: Item,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// Something tried and refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// What was tried.
    pub what: String,
    /// Which rule refused it.
    pub why: String,
}

/// A file before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which.
    pub path: String,
    /// SHA-256 of what it held; none where it was not there. The bytes are kept as content.
    pub before: Option<Digest>,
    /// SHA-256 of what it holds; none where it was removed.
    pub after: Option<Digest>,
    /// The difference in unified form; empty where it is no text or too large to show.
    pub diff: String,
}

/// What a call used. What its tier does not measure is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Processor time in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Instructions of WebAssembly, as the engine counts them.
    pub fuel: Option<u64>,
    /// Most memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Exit {
    /// It answered.
    Done,
    /// It said that it failed.
    Failed,
    /// A command ended with this code.
    Code {
        /// The code; not 0.
        code: i32,
    },
    /// A command was ended by this signal.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// It was not run.
    Refused,
    /// It was not run: the person would have been asked, and nobody was.
    Unasked,
    /// It passed a limit and was ended.
    Limit {
        /// Which.
        limit: Limit,
    },
    /// It did what its sandbox does not let it.
    Trapped,
    /// It was ended by order.
    Cancelled,
}

/// A limit that ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Processor time.
    Cpu,
    /// Wall time.
    Wall,
    /// Memory.
    Memory,
    /// Output.
    Output,
    /// Bytes or files written.
    Written,
    /// Bytes over the network.
    Net,
    /// Open files.
    OpenFiles,
    /// Processes.
    Processes,
}

/// The part of a record that the step's fact carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traced {
    /// Where the call ran.
    pub tier: Tier,
    /// The grant it ran under.
    pub grant: Digest,
    /// SHA-256 of the record's bytes.
    pub record: Digest,
    /// SHA-256 of its connections as JSON; none where there were none.
    pub egress: Option<Digest>,
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its JSON.
    pub bytes: Vec<u8>,
    /// What the fact carries.
    pub traced: Traced,
}

impl Record {
    /// Its bytes and what the step's fact says of it.
    ///
    /// # Errors
    /// None that a record can cause.
    pub fn kept(&self) -> Result<Kept, serde_json::Error> {
        let bytes = serde_json::to_vec(self)?;
        let egress = if self.egress.is_empty() { None } else { Some(Digest::of(&serde_json::to_vec(&self.egress)?)) };
        let traced = Traced { tier: self.tier, grant: self.grant, record: Digest::of(&bytes), egress };
        Ok(Kept { bytes, traced })
    }
}
