//! Errors of the crates as one line, a fix, and an exit code.

use agent_runtime::{
    driver::DriveError,
    journal::{Damage, JournalError},
    publisher::{AskError, NodeAskError, OtherLedger, PublishError},
    signer::{SealError, SignerError},
};
use common_ground::Refusal;
use commons_index::{BundleError, IngestError, StoreError, VectorError};

use crate::exit::{Exit, Failure, chain};

const FREE_SPACE: &str = "free some space and try again; nothing recorded is lost";
const WRITABLE: &str = "make it writable, or set II_HOME to a folder you own";
const RESTORE: &str = "run `ii doctor` to see what is hit; `ii restore` brings a backup into a new home";

/// A journal's error.
pub fn from_journal(error: &JournalError) -> Failure {
    let what = chain(error);
    match error {
        JournalError::Full { .. } => Failure::new(Exit::Storage, what, FREE_SPACE),
        JournalError::Unwritable { .. } => Failure::new(Exit::Storage, what, WRITABLE),
        JournalError::Damaged(Damage::Chain { .. } | Damage::Content(_) | Damage::Database(_)) => {
            Failure::new(Exit::Storage, format!("the journal is {what}"), RESTORE)
        }
        JournalError::Newer { .. } => Failure::new(Exit::Storage, what, "use the newer ii that wrote it"),
        JournalError::Io { .. } => Failure::new(Exit::Storage, what, "see that the home is readable"),
        JournalError::Held { run, .. } => Failure::new(
            Exit::NotCompleted,
            format!("run {run} is being worked on by another program"),
            format!("watch it with `ii runs show {run}` or stop it with `ii runs cancel {run}`"),
        ),
        JournalError::Fenced { run, .. } => Failure::new(
            Exit::NotCompleted,
            format!("run {run} was taken over by another program"),
            format!("watch it with `ii runs show {run}`"),
        ),
        JournalError::NoRun(run) => no_run(&run.to_string()),
        JournalError::NotEmpty { .. } => {
            Failure::new(Exit::Usage, what, "restore into an empty home: set II_HOME to a new folder")
        }
        JournalError::Busy => {
            Failure::new(Exit::Storage, what, "another program holds it; try again when that is done")
        }
        JournalError::AttemptFenced { .. }
        | JournalError::OutOfOrder { .. }
        | JournalError::Duplicate { .. }
        | JournalError::WrongDigest(_)
        | JournalError::Closed
        | JournalError::Sqlite(_) => Failure::internal(what),
    }
}

/// A publisher's error.
pub fn from_publisher(error: &PublishError) -> Failure {
    let what = chain(error);
    match error {
        PublishError::Journal(inner) => from_journal(inner),
        PublishError::NoLedger => {
            Failure::new(Exit::Usage, what, "name one with --ledger URL, or set ledger.url in the settings")
        }
        PublishError::Ask(AskError::Address { .. }) => Failure::new(
            Exit::Usage,
            what,
            "such as http://127.0.0.1:7411, or bitcoin+http://127.0.0.1:8332 for a node",
        ),
        PublishError::Node(error) => from_node(error, what),
        PublishError::Fetching => Failure::new(Exit::Ledger, what, "wait until it has; receipts wait for it here"),
        PublishError::Chain(_) => Failure::new(Exit::Ledger, what, "nothing of it was believed; ask another node"),
        PublishError::Funds { .. } => Failure::new(
            Exit::Ledger,
            what,
            "send coins to it: `bitcoin-cli getnewaddress` names where; receipts wait here",
        ),
        PublishError::Fee { .. } => {
            Failure::new(Exit::Ledger, what, "raise ledger.most_fee in the settings, or wait; receipts wait here")
        }
        PublishError::Unsigned => {
            Failure::new(Exit::Ledger, what, "name a wallet that holds its keys: bitcoin+http://HOST:PORT/wallet/NAME")
        }
        PublishError::Taken => {
            Failure::new(Exit::NotCompleted, what, "it hands them in; `ii receipts status` shows how far it is")
        }
        PublishError::Lock { .. } => Failure::new(Exit::Storage, what, WRITABLE),
        PublishError::Record(_) => Failure::new(Exit::Storage, what, RESTORE),
        PublishError::Ask(AskError::Unreached { .. }) => {
            Failure::new(Exit::Ledger, what, "see that the ledger runs; receipts wait for it here")
        }
        PublishError::Ask(AskError::Ledger(_)) => Failure::new(Exit::Ledger, what, "receipts wait for it here"),
        PublishError::Other(OtherLedger::Network { .. }) => {
            Failure::new(Exit::Ledger, what, "name a ledger of that network, or mend `network` in the settings")
        }
        PublishError::Other(OtherLedger::Depth { .. }) => {
            let hint =
                "set it back; `ii receipts submit --repin` anchors every receipt anew by the new one, and pays again";
            Failure::new(Exit::Ledger, what, hint)
        }
        PublishError::Other(_) => {
            Failure::new(Exit::Ledger, what, "if you mean this other ledger, `ii receipts submit --repin` takes it")
        }
        PublishError::Head(_) | PublishError::Block(_) | PublishError::Answer { .. } => Failure::new(
            Exit::Ledger,
            what,
            "nothing of it was believed; `ii receipts status --json` shows the evidence there is",
        ),
    }
}

fn from_node(error: &NodeAskError, what: String) -> Failure {
    match error {
        NodeAskError::Unreached { .. } => {
            Failure::new(Exit::Ledger, what, "see that the node runs, with server=1; receipts wait for it here")
        }
        NodeAskError::Credentials { .. } => {
            Failure::new(Exit::Ledger, what, "see that the node runs, and that ledger.credentials names its .cookie")
        }
        NodeAskError::Shape { .. } | NodeAskError::Clear { .. } => {
            let hint = "write USER:PASSWORD into a file of your own, name it in ledger.credentials, and reach the node here or by bitcoin+https://";
            Failure::new(Exit::Configuration, what, hint)
        }
        NodeAskError::Unauthorised { .. } => Failure::new(
            Exit::Ledger,
            what,
            "name a file with USER:PASSWORD in ledger.credentials, such as the node's .cookie",
        ),
        NodeAskError::Says { source, .. } => {
            Failure::new(Exit::Ledger, what, source.fix().unwrap_or("receipts wait for it here"))
        }
        NodeAskError::Unreadable { .. } => {
            Failure::new(Exit::Ledger, what, "see that it is a node that speaks as Bitcoin Core does")
        }
    }
}

/// A run that is not there.
pub fn no_run(id: &str) -> Failure {
    Failure::new(Exit::Usage, format!("no run {id}"), "`ii runs list` shows the runs there are")
}

/// A driver's error.
pub fn from_drive(error: &DriveError) -> Failure {
    match error {
        DriveError::Journal(inner) => from_journal(inner),
        DriveError::Unreadable { .. }
        | DriveError::Impossible(_)
        | DriveError::Content(_)
        | DriveError::Record(_)
        | DriveError::AttemptKey => {
            Failure::new(Exit::Storage, format!("the journal is damaged: {}", chain(error)), RESTORE)
        }
        DriveError::NothingRecorded => {
            Failure::new(Exit::Usage, "nothing is recorded of this run: it was stopped before it began", "ask again")
        }
        DriveError::Seal(SealError::NoAssociate(key)) => Failure::new(
            Exit::NotCompleted,
            format!("the run began under key {key}, which this home no longer has"),
            "cancel it and ask again",
        ),
        DriveError::Refused(refusal @ Refusal::Quarantined { .. }) => Failure::new(
            Exit::Refused,
            refusal.to_string(),
            "cancel it with `ii runs cancel` and ask again, with another model where it is the model",
        ),
        DriveError::NoPlace { .. } => Failure::new(Exit::Usage, error.to_string(), "name a place that it has"),
        DriveError::Refused(_)
        | DriveError::Seal(_)
        | DriveError::Encoding(_)
        | DriveError::Entropy(_)
        | DriveError::Task(_) => Failure::internal(chain(error)),
    }
}

/// A signer's error.
pub fn from_signer(error: &SignerError) -> Failure {
    let fix = error.fix();
    let exit = if error.is_storage() { Exit::Storage } else { Exit::Configuration };
    Failure::new(exit, chain(error), fix)
}

/// An index's error.
pub fn from_store(error: &StoreError) -> Failure {
    let what = chain(error);
    match error {
        StoreError::NoSuchFolder { .. } | StoreError::NotAFolder { .. } => {
            Failure::new(Exit::Usage, what, "name a folder of documents with --docs")
        }
        StoreError::NoSuchCollection { .. } => {
            Failure::new(Exit::Storage, what, "run a question on the folder again to index it anew")
        }
        StoreError::NoSuchRevision { .. } => {
            Failure::new(Exit::Usage, what, "`ii commons show COLLECTION` lists the revisions")
        }
        StoreError::Unwritable { .. } => Failure::new(Exit::Storage, what, WRITABLE),
        StoreError::Full { .. } => Failure::new(Exit::Storage, what, FREE_SPACE),
        StoreError::Damaged { .. } => Failure::new(
            Exit::Storage,
            what,
            "`ii commons verify` names what does not fit; put commons/ back from a copy, or move it away to begin anew",
        ),
        StoreError::Newer { .. } => Failure::new(Exit::Storage, what, "use the newer ii that wrote it"),
        StoreError::Busy { .. } => Failure::new(Exit::Storage, what, "try again when the other program is done"),
        StoreError::Unreachable { .. } => Failure::new(
            Exit::Storage,
            what,
            "see that the database runs and takes this user; nothing recorded is lost",
        ),
    }
}

/// A bundle's error.
pub fn from_bundle(error: &BundleError) -> Failure {
    let what = chain(error);
    match error {
        BundleError::Store(inner) => from_store(inner),
        BundleError::Io(_) => Failure::new(Exit::Storage, what, "see that the file is readable and its disk has room"),
        BundleError::Malformed { .. } => {
            Failure::new(Exit::Verification, what, "get the file again; nothing of it was taken in")
        }
        BundleError::Unverified { .. } | BundleError::OtherKeeper { .. } => {
            Failure::new(Exit::Verification, what, "get it from whom you trust; nothing of it was taken in")
        }
        BundleError::OtherHistory { .. } => Failure::new(
            Exit::Verification,
            what,
            "one key signed two histories, or another collection has this name: ask who keeps it; nothing was taken in",
        ),
        BundleError::OtherFormat { .. } => Failure::new(Exit::Usage, what, "use an ii of the version that wrote it"),
        BundleError::Empty { .. } => Failure::new(Exit::Usage, what, "`ii commons add DIR` fills it"),
        BundleError::KeyUnknown { .. } => Failure::new(Exit::Usage, what, "have the node that keeps it export it"),
        BundleError::Unsigned(_) => Failure::internal(what),
    }
}

/// An error of making vectors.
pub fn from_vectors(error: &VectorError) -> Failure {
    match error {
        VectorError::Store(inner) => from_store(inner),
        VectorError::Embed(inner) => {
            Failure::new(Exit::Model, chain(inner), "what was made stays: mend it and run `ii commons add` again")
        }
    }
}

/// An ingest's error.
pub fn from_ingest(error: &IngestError) -> Failure {
    match error {
        IngestError::Store(inner) => from_store(inner),
        IngestError::NothingReadable { folder, skipped } => {
            let mut what = format!("nothing readable in {}", folder.display());
            if let Some(first) = skipped.first() {
                what.push_str(&format!(" ({} skipped, the first: {first})", skipped.len()));
            }
            Failure::new(Exit::Usage, what, "put .md, .txt or .html files there or name another folder with --docs")
        }
        IngestError::WithoutFolder { .. } | IngestError::Entropy(_) | IngestError::Unsigned(_) => {
            Failure::internal(chain(error))
        }
    }
}
