//! Taking a bundle in: every line is checked as it comes, all of it is written in one transaction, and that is committed only
//! when the signature behind the last line holds. What is there already is compared, and only what is beyond it is added.
//!
//! **Invariant:** nothing of a bundle is seen before all of it is verified.
//! **Invariant:** a collection that is here only ever grows by a bundle that begins with all of its history.

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use receipts::{Digest, checkpoint::Checkpoint, merkle::Frontier};

use super::{
    BundleError, EntryLine, FORMAT, Head, Line, Refused, RevisionLine,
    lines::Reader,
    node_of, origin_of,
    parts::{LONGEST_NAME, Part, Parts},
};
use crate::{
    audit,
    collection::{Collection, is_name},
    corpus::{self, CorpusOp, CorpusRow},
    drawing,
    error::StoreError,
    ingest::{Progress, blocking},
    lock::Lock,
    store::{self, Ingesting, Kept, Learned, Postgres, Records, Revision, Session, Standing},
    vectors, words,
};

/// Opens a signed note under a verifier key, or says why it does not open.
pub type Open<'a> = &'a (dyn Fn(&str, &str) -> Result<Checkpoint, String> + Send + Sync);

/// What an import needs of its caller.
pub struct Importer<'a> {
    /// The only verifier key that the collection may be kept under, where one is wanted.
    pub keeper: Option<&'a str>,
    /// Opens signed heads.
    pub open: Open<'a>,
    /// Told after each document.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
}

/// What was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The collection's name here.
    pub collection: String,
    /// Its name in its heads, `<node>/corpus/<collection>`.
    pub origin: String,
    /// The verifier key that its heads are signed under.
    pub keeper: String,
    /// The verifier key that the bundle is signed under.
    pub by: String,
    /// Revisions that are new here; 0 when it was here already.
    pub revisions: u64,
    /// Documents of the latest revision.
    pub documents: u64,
    /// Passages of it.
    pub passages: u64,
    /// Vectors that came with it.
    pub vectors: u64,
}

/// Lines read at a time, and about how many bytes they may have.
const LINES: usize = 2_000;
const BYTES: usize = 8 << 20;
/// Entries written at a time.
const ENTRIES: usize = 1_000;

/// Where a bundle is taken in.
enum Destination<'a> {
    /// The home; the node is its own.
    Home { node: &'a str },
    /// A database.
    Server(&'a Postgres),
}

impl Destination<'_> {
    /// The collection's name there: its own at the node that keeps it in its home, else one of its origin, since homes name
    /// collections by folders that others have too.
    fn name(&self, origin: &str) -> Option<String> {
        let (node, rest) = origin.split_once("/corpus/")?;
        let known = is_name(rest) && !node.is_empty() && node.len() <= 64 && !node.contains(['/', '+']);
        let own = matches!(self, Self::Home { node: own } if *own == node);
        let name = if own { rest.to_owned() } else { Digest::of(origin.as_bytes()).to_string()[..16].to_owned() };
        known.then_some(name)
    }
}

impl Collection {
    /// Takes a bundle into this home: a collection that is new here, or what a known one lacks. `node` is the home's own.
    ///
    /// # Errors
    /// A bundle that is none, is not what was signed, or has another history than what is here; the store. Nothing of it is
    /// here then.
    pub async fn import(
        home: &Path,
        node: &str,
        source: Box<dyn Read + Send>,
        importer: Importer<'_>,
    ) -> Result<Imported, BundleError> {
        take(Destination::Home { node }, home, source, importer).await
    }

    /// The same into a database.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub async fn import_in(
        server: &Postgres,
        home: &Path,
        source: Box<dyn Read + Send>,
        importer: Importer<'_>,
    ) -> Result<Imported, BundleError> {
        take(Destination::Server(server), home, source, importer).await
    }
}

/// Takes a bundle in. The home is where drawn files go.
async fn take(
    into: Destination<'_>,
    home: &Path,
    source: Box<dyn Read + Send>,
    importer: Importer<'_>,
) -> Result<Imported, BundleError> {
    let mut feed = Feed::open(source, home).await?;
    let head = match feed.next().await? {
        Some(Line::Bundle(head)) if head.format == FORMAT => head,
        Some(Line::Bundle(head)) => return Err(BundleError::OtherFormat { found: head.format }),
        Some(_) | None => return Err(feed.malformed("it does not say whose it is")),
    };
    if importer.keeper.is_some_and(|wanted| wanted != head.keeper) {
        return Err(BundleError::OtherKeeper { keeper: head.keeper });
    }
    let Some(name) =
        into.name(&head.origin).filter(|_| head.origin.starts_with(&format!("{}/", node_of(&head.keeper))))
    else {
        return Err(feed.malformed("its collection is not its keeper's"));
    };
    let kept = Kept { origin: head.origin.clone(), vkey: head.keeper.clone() };
    match into {
        Destination::Home { node } => {
            let store = home.join("commons").join(&name);
            let lock = Lock::of_ingest(&store).await?;
            // Under the lock nobody else begins it.
            let begun = !store::is_collection(&store);
            let records = Records::open(&store).await?;
            let kept = (node != node_of(&kept.vkey)).then_some(kept);
            let taken = taken(&records, &store, (&name, kept), head, feed, importer).await;
            if taken.is_err() && begun {
                // Where this fails too, an empty collection stays, and the first reason counts.
                drop(fs::remove_dir_all(&store));
            }
            drop(lock);
            taken
        }
        Destination::Server(server) => {
            let store = server.folder(home, &name);
            let (records, lock, begun) = alone(server, &name, &kept, &store).await?;
            let taken = taken(&records, &store, (&name, Some(kept)), head, feed, importer).await;
            if taken.is_err() && begun {
                drop(server.abandon(&name).await);
            }
            drop(lock);
            taken
        }
    }
}

/// A collection of a database, begun where it is not there, and nobody else with it; and whether it was begun.
async fn alone(
    server: &Postgres,
    name: &str,
    kept: &Kept,
    store: &Path,
) -> Result<(Records, Ingesting, bool), StoreError> {
    loop {
        let begun = server.known(name, store).await?.is_none();
        server.begin(name, kept, None).await?;
        let Some(known) = server.known(name, store).await? else { continue };
        let records = Records::Postgres(known.clone());
        let lock = records.ingesting(store).await?;
        // Whoever held the lock may have taken the beginning back.
        if server.known(name, store).await?.is_some_and(|there| there.is(&known)) {
            return Ok((records, lock, begun));
        }
    }
}

/// Takes it in, alone with the collection.
async fn taken(
    records: &Records,
    store: &Path,
    (name, kept): (&str, Option<Kept>),
    head: Head,
    mut feed: Feed,
    importer: Importer<'_>,
) -> Result<Imported, BundleError> {
    let mut on = records.write().await?;
    let known = on.revisions().await?;
    let other = |cause: &str| BundleError::OtherHistory { collection: name.to_owned(), cause: cause.to_owned() };
    match (on.kept().await?, &kept) {
        (Some(there), Some(kept)) if there != *kept => return Err(other("another key keeps it")),
        (None, Some(_)) if !known.is_empty() => return Err(other("it is this node's own")),
        (None, Some(kept)) => on.keep_kept(kept).await?,
        (Some(_), _) | (None, None) => {}
    }
    if on.unsealed(known.last().map_or(1, |last| last.number + 1)).await? > 0 {
        return Err(other("an ingest into it is not done"));
    }
    let parts = Parts::new(&mut on, &head).await.map_err(|refused| feed.refused(refused))?;
    let mut work = Work { on, known, head, parts, corpus: Frontier::new(), entries: Vec::new(), at: 1, latest: None };
    let new = work.all(&mut feed, store, name, importer).await?;
    let Work { on, head, parts, latest, .. } = work;
    on.commit().await?;
    if let Some(latest) = &latest {
        words::remove_others(store, latest.number)?;
        vectors::remove_others(store, latest.number)?;
    }
    let Head { origin, keeper, by, documents, passages, .. } = head;
    let vectors = parts.vectors;
    Ok(Imported { collection: name.to_owned(), origin, keeper, by, revisions: new, documents, passages, vectors })
}

/// The lines, read off the event loop some at a time.
struct Feed {
    reader: Option<Reader>,
    lines: std::vec::IntoIter<Line>,
    /// Why the line behind them is none.
    broken: Option<String>,
    /// The line that was given last, counted from 1.
    number: u64,
    at: PathBuf,
}

impl Feed {
    async fn open(source: Box<dyn Read + Send>, home: &Path) -> Result<Self, BundleError> {
        let reader = blocking(home, move || Reader::new(source)).await??;
        let (lines, at) = (Vec::new().into_iter(), home.to_owned());
        Ok(Self { reader: Some(reader), lines, broken: None, number: 0, at })
    }

    /// The next line; none at the end.
    async fn next(&mut self) -> Result<Option<Line>, BundleError> {
        if self.lines.len() == 0 && self.broken.is_none() {
            self.read().await?;
        }
        self.number += 1;
        match (self.lines.next(), self.broken.take()) {
            (None, Some(cause)) => Err(self.malformed(cause)),
            (line, broken) => {
                self.broken = broken;
                Ok(line)
            }
        }
    }

    async fn read(&mut self) -> Result<(), BundleError> {
        let Some(mut reader) = self.reader.take() else { return Ok(()) };
        let read = blocking(&self.at, move || {
            let (mut lines, mut bytes, mut broken) = (Vec::new(), 0, None);
            while lines.len() < LINES && bytes < BYTES {
                match reader.line() {
                    Ok(Some((line, length))) => {
                        lines.push(line);
                        bytes += length;
                    }
                    Ok(None) => break,
                    Err(cause) => {
                        broken = Some(cause);
                        break;
                    }
                }
            }
            (lines, broken, reader)
        });
        let (lines, broken, reader) = read.await?;
        (self.lines, self.broken, self.reader) = (lines.into_iter(), broken, Some(reader));
        Ok(())
    }

    /// What is wrong with the line that was given last.
    fn malformed(&self, cause: impl Into<String>) -> BundleError {
        BundleError::Malformed { line: self.number, cause: cause.into() }
    }

    fn refused(&self, refused: Refused) -> BundleError {
        match refused {
            Refused::Wrong(cause) => self.malformed(cause),
            Refused::Other(error) => error,
        }
    }

    fn head(&self) -> (u64, Digest) {
        self.reader.as_ref().map_or_else(|| (0, Frontier::new().root()), Reader::head)
    }
}

/// An import at work.
struct Work {
    on: Session,
    /// Revisions that are here already.
    known: Vec<Revision>,
    head: Head,
    parts: Parts,
    corpus: Frontier,
    entries: Vec<(CorpusRow, Digest)>,
    /// The revision that is read.
    at: i64,
    /// The last one that was written.
    latest: Option<Revision>,
}

impl Work {
    /// Whether the revision that is read is here already.
    fn is_known(&self) -> bool {
        self.known.last().is_some_and(|last| self.at <= last.number)
    }

    /// Takes all lines; gives the number of new revisions.
    async fn all(
        &mut self,
        feed: &mut Feed,
        store: &Path,
        name: &str,
        importer: Importer<'_>,
    ) -> Result<u64, BundleError> {
        let mut new = 0;
        loop {
            let line = feed.next().await?.ok_or_else(|| feed.malformed("it ends before its signature"))?;
            if let Line::Signed(note) = &line {
                self.signed(note, feed.head(), importer.open)?;
                break;
            }
            if matches!(line, Line::Revision(_)) {
                new += u64::from(!self.is_known());
            }
            let begins = matches!(line, Line::Document(_));
            self.line(line, (store, name), importer.open).await.map_err(|refused| feed.refused(refused))?;
            if begins {
                let done = self.parts.documents;
                let total = self.head.documents.max(done);
                (importer.progress)(Progress { done, total, bytes: 0, total_bytes: 0 });
            }
        }
        if feed.next().await?.is_some() {
            return Err(feed.malformed("it goes on behind its signature"));
        }
        // What was written, by what the heads say of it.
        let open = |note: &str| (importer.open)(&self.head.keeper, note);
        let faults = audit::sealed(&mut self.on, &self.head.origin, &open).await?;
        match faults.first() {
            Some(fault) => Err(BundleError::Unverified { cause: fault.to_string() }),
            None => Ok(new),
        }
    }

    /// Takes one line but the last.
    async fn line(&mut self, line: Line, place: (&Path, &str), open: Open<'_>) -> Result<(), Refused> {
        if !matches!(line, Line::Text(_) | Line::Passage(_)) {
            self.parts.close(&mut self.on).await?;
        }
        match line {
            Line::Document(document) => Ok(self.parts.open(document, self.at, self.is_known())?),
            Line::Text(part) => Ok(self.parts.add(Part::Text(part))?),
            Line::Passage(passage) => Ok(self.parts.add(Part::Passage(passage))?),
            Line::Gone(paths) => self.gone(&paths).await,
            Line::Entry(entry) => self.entry(entry).await,
            Line::Revision(revision) => self.revision(revision, place, open).await,
            Line::Bundle(_) | Line::Signed(_) => Err("a second head, or a second signature".to_owned().into()),
        }
    }

    async fn entry(&mut self, entry: EntryLine) -> Result<(), Refused> {
        let row = row(entry)?;
        let leaf = corpus::leaf(&row).map_err(|error| error.to_string())?;
        self.corpus.push(leaf);
        if !self.is_known() {
            self.entries.push((row, leaf));
        }
        if self.entries.len() >= ENTRIES {
            self.on.append_rows(&std::mem::take(&mut self.entries)).await?;
        }
        Ok(())
    }

    async fn gone(&mut self, paths: &[String]) -> Result<(), Refused> {
        self.parts.write(&mut self.on).await?;
        if self.is_known() {
            return Ok(());
        }
        let named: Vec<&str> = paths.iter().map(String::as_str).collect();
        let standing: Vec<Standing> = self.on.standing(&named).await?;
        let there: BTreeSet<&str> = standing.iter().map(|one| one.path.as_str()).collect();
        if let Some(path) = named.iter().find(|path| !there.contains(*path)) {
            return Err(format!("{path} was not there").into());
        }
        for one in standing {
            self.on.end(one.id, self.at).await?;
        }
        Ok(())
    }

    async fn revision(
        &mut self,
        line: RevisionLine,
        (store, name): (&Path, &str),
        open: Open<'_>,
    ) -> Result<(), Refused> {
        self.parts.write(&mut self.on).await?;
        self.on.append_rows(&std::mem::take(&mut self.entries)).await?;
        let RevisionLine { number, size, root, documents, passages, checkpoint } = line;
        if number != self.at || self.at.unsigned_abs() > self.head.revisions {
            return Err(format!("revision {number} where {} should stand", self.at).into());
        }
        if (size, root) != (self.corpus.size(), self.corpus.root()) {
            return Err(format!("revision {number} has another root than its entries").into());
        }
        let wanted = Checkpoint { origin: self.head.origin.clone(), size, root };
        match open(&self.head.keeper, &checkpoint) {
            Ok(signed) if signed == wanted => {}
            Ok(_other) => {
                return Err(BundleError::Unverified { cause: format!("the head of revision {number}") }.into());
            }
            Err(why) => {
                return Err(BundleError::Unverified { cause: format!("the head of revision {number}: {why}") }.into());
            }
        }
        let known = self.known.iter().find(|known| known.number == number);
        if let Some(known) = known {
            if (known.size, known.root) != (size, root) {
                let cause = format!("revision {number} is another one here");
                return Err(BundleError::OtherHistory { collection: name.to_owned(), cause }.into());
            }
        } else {
            let mut revision =
                Revision { number, size, root, checkpoint: checkpoint.into_bytes(), documents, passages };
            if self.at.unsigned_abs() == self.head.revisions {
                let live = self.on.live(number).await?.len();
                let mut learned = Learned::default();
                learned.wrote(live);
                learned.keep_up(&mut self.on).await?;
                revision.documents = live as u64;
                revision.passages = drawing::draw(&mut self.on, store, &revision, None).await?;
                let counted = (revision.documents, revision.passages);
                if counted != (documents, passages) || counted != (self.head.documents, self.head.passages) {
                    return Err(format!("it holds {} documents and {} passages", counted.0, counted.1).into());
                }
            }
            self.on.mark(&revision).await?;
            self.latest = Some(revision);
        }
        self.at += 1;
        Ok(())
    }

    fn signed(&self, note: &str, (size, root): (u64, Digest), open: Open<'_>) -> Result<(), BundleError> {
        let unverified = |cause: String| BundleError::Unverified { cause };
        if self.at.unsigned_abs() != self.head.revisions + 1 {
            return Err(unverified(format!("{} revisions of {}", self.at - 1, self.head.revisions)));
        }
        let wanted = Checkpoint { origin: origin_of(&self.head.by, root), size, root };
        match open(&self.head.by, note) {
            Ok(signed) if signed == wanted => Ok(()),
            Ok(_other) => Err(unverified("its signature is over other lines".to_owned())),
            Err(why) => Err(unverified(why)),
        }
    }
}

fn row(line: EntryLine) -> Result<CorpusRow, String> {
    let EntryLine { op, document, bytes, media, path, salt } = line;
    if [&op, &media, &path].iter().any(|name| name.len() > LONGEST_NAME) {
        return Err("an entry with a path or a media type that is too long".to_owned());
    }
    let op = CorpusOp::of_word(&op).ok_or_else(|| format!("{op} is nothing that happens to a document"))?;
    let mut bytes_of_salt = [0; 16];
    hex::decode_to_slice(&salt, &mut bytes_of_salt).map_err(|error| format!("a salt: {error}"))?;
    Ok(CorpusRow { op, document, bytes, media, path, salt: bytes_of_salt })
}
