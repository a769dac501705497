//! Whether a collection is what its signed heads say: every entry, head, document, text and passage, reckoned anew from
//! what is on disk. Changes nothing and mends nothing.
//!
//! **Invariant:** a fault names the row, and the audit goes on to the next.

use std::{collections::BTreeMap, fmt};

use receipts::{Digest, checkpoint::Checkpoint, merkle::Frontier};

use crate::{
    corpus::{self, CorpusOp, CorpusRow},
    error::StoreError,
    ingest::Progress,
    store::{Live, Records, Revision, Session},
};

/// Rows read at a time.
const PAGE: u64 = 1_000;

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which row, in words.
    pub what: String,
    /// Why it does not fit.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// What was looked at, and what does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Signed heads.
    pub revisions: u64,
    /// Entries of the corpus.
    pub entries: u64,
    /// Documents of the latest revision.
    pub documents: u64,
    /// Texts, those of documents that are gone included.
    pub texts: u64,
    /// Their bytes.
    pub text_bytes: u64,
    /// Passages of all texts.
    pub passages: u64,
    /// All that does not fit.
    pub faults: Vec<Fault>,
}

/// What an audit needs of its caller.
pub struct Auditor<'a> {
    /// Opens a signed head under the key of this node, or says why it does not open.
    pub open: &'a (dyn Fn(&str) -> Result<Checkpoint, String> + Send + Sync),
    /// Told after each text.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

impl Audit {
    fn fault(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.faults.push(Fault { what: what.into(), why: why.into() });
    }

    /// The heads and the entries under them; gives the live documents by path as the entries have them.
    async fn corpus(
        &mut self,
        on: &mut Session,
        origin: &str,
        open: &(dyn Fn(&str) -> Result<Checkpoint, String> + Send + Sync),
    ) -> Result<BTreeMap<String, Digest>, StoreError> {
        let revisions = on.revisions().await?;
        self.revisions = revisions.len() as u64;
        let mut heads = revisions.iter().peekable();
        let (mut tree, mut live) = (Frontier::new(), BTreeMap::new());
        loop {
            let page = on.corpus(tree.size(), PAGE).await?;
            if page.is_empty() {
                break;
            }
            for (row, kept) in page {
                let entry = format!("entry {} ({} {})", tree.size(), row.op.word(), row.path);
                match corpus::leaf(&row) {
                    Ok(leaf) if leaf == kept => tree.push(leaf),
                    Ok(leaf) => {
                        self.fault(&entry, format!("its leaf is {leaf}, and {kept} is kept"));
                        tree.push(leaf);
                    }
                    Err(error) => {
                        self.fault(&entry, error.to_string());
                        tree.push(kept);
                    }
                }
                self.applied(&entry, row, &mut live);
                while let Some(head) = heads.next_if(|head| head.size == tree.size()) {
                    self.head(head, tree.root(), origin, open);
                }
            }
        }
        self.entries = tree.size();
        for head in heads {
            let why = format!("it has {} entries, and there are {}", head.size, tree.size());
            self.fault(format!("revision {}", head.number), why);
        }
        Ok(live)
    }

    fn applied(&mut self, entry: &str, row: CorpusRow, live: &mut BTreeMap<String, Digest>) {
        let was = match row.op {
            CorpusOp::Add | CorpusOp::Replace => live.insert(row.path, row.document),
            CorpusOp::Remove => live.remove(&row.path),
        };
        match (row.op, was) {
            (CorpusOp::Add, None) | (CorpusOp::Replace | CorpusOp::Remove, Some(_)) => {}
            (CorpusOp::Add, Some(_)) => self.fault(entry, "the path was there already"),
            (CorpusOp::Replace | CorpusOp::Remove, None) => self.fault(entry, "the path was not there"),
        }
    }

    fn head(
        &mut self,
        head: &Revision,
        root: Digest,
        origin: &str,
        open: &(dyn Fn(&str) -> Result<Checkpoint, String> + Send + Sync),
    ) {
        let name = format!("revision {}", head.number);
        if head.root != root {
            self.fault(&name, format!("its root is {}, and its entries have {root}", head.root));
        }
        let wanted = Checkpoint { origin: origin.to_owned(), size: head.size, root: head.root };
        match std::str::from_utf8(&head.checkpoint).map_err(|error| error.to_string()).and_then(open) {
            Ok(signed) if signed == wanted => {}
            Ok(signed) => self.fault(&name, format!("its signed head is of {} entries, {}", signed.size, signed.root)),
            Err(why) => self.fault(&name, format!("its head does not open: {why}")),
        }
    }

    /// The documents there are beside those that there should be.
    fn documents(&mut self, live: &[Live], mut wanted: BTreeMap<String, Digest>) {
        self.documents = live.len() as u64;
        for document in live {
            let name = format!("document {}", document.path);
            match wanted.remove(&document.path) {
                Some(digest) if digest == document.document => {}
                Some(digest) => self.fault(name, format!("it is {}, and the corpus has {digest}", document.document)),
                None => self.fault(name, "the corpus has no such document"),
            }
        }
        for path in wanted.into_keys() {
            self.fault(format!("document {path}"), "it is in the corpus and not in the records");
        }
    }

    /// One text, its digest and its passages.
    async fn text(&mut self, on: &mut Session, text: Digest) -> Result<(), StoreError> {
        let name = format!("text {text}");
        self.texts += 1;
        let bytes = match on.whole(text).await? {
            Ok(bytes) => bytes,
            Err(why) => {
                self.fault(name, why);
                return Ok(());
            }
        };
        self.text_bytes += bytes.len() as u64;
        let found = Digest::of(&bytes);
        if found != text {
            self.fault(&name, format!("its bytes are {found}"));
            return Ok(());
        }
        let Ok(whole) = std::str::from_utf8(&bytes) else {
            self.fault(name, "it is not UTF-8");
            return Ok(());
        };
        for (passage, span) in on.spans(text).await? {
            self.passages += 1;
            let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
            if whole.get(place(span.start)..place(span.end)).is_none_or(str::is_empty) {
                let why = format!("bytes {}..{} are no part of text {text}", span.start, span.end);
                self.fault(format!("passage {passage}"), why);
            }
        }
        // Of these kinds the text is the file, byte for byte.
        for (path, document) in on.verbatim(text).await? {
            if document != text {
                self.fault(format!("document {path}"), format!("it is {document}, and its text is {text}"));
            }
        }
        Ok(())
    }
}

/// Looks at the heads, the entries under them, and the documents of the latest revision, not at texts.
pub(crate) async fn sealed(
    on: &mut Session,
    origin: &str,
    open: &(dyn Fn(&str) -> Result<Checkpoint, String> + Send + Sync),
) -> Result<Vec<Fault>, StoreError> {
    let mut audit = Audit::default();
    let wanted = audit.corpus(on, origin, open).await?;
    let latest = on.latest().await?.map_or(0, |latest| latest.number);
    let live = on.live(latest).await?;
    audit.documents(&live, wanted);
    Ok(audit.faults)
}

/// Looks at everything.
pub(crate) async fn run(records: &Records, origin: &str, auditor: Auditor<'_>) -> Result<Audit, StoreError> {
    let mut audit = Audit::default();
    // One transaction: an ingest that goes on meanwhile is not seen half.
    let mut on = records.snapshot().await?;
    let wanted = audit.corpus(&mut on, origin, auditor.open).await?;
    // Rows beyond the latest revision are those of an ingest that is not done.
    let latest = on.latest().await?.map_or(0, |latest| latest.number);
    let live = on.live(latest).await?;
    audit.documents(&live, wanted);
    let texts = on.texts(latest).await?;
    let total = texts.len() as u64;
    for (text, done) in texts.into_iter().zip(1..) {
        audit.text(&mut on, text).await?;
        (auditor.progress)(Progress { done, total, bytes: audit.text_bytes, total_bytes: 0 });
    }
    Ok(audit)
}
