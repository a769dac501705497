//! Contents looked through for secrets, personal data and orders to a model: streaming functions over bytes.
//!
//! Text comes in pieces of any size; what spans two pieces is found as if they were one. Nothing of what is found is kept
//! but its kind and its place.
//!
//! **Invariant:** a hit never carries the bytes it was found in.
//! **Invariant:** the same bytes give the same hits, however they are cut.

mod injection;
mod personal;
mod secrets;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

pub use injection::Wording;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A key or a token, by the name of who gives such.
    Secret(&'static str),
    /// The number of a payment card.
    Card,
    /// The number of a bank account.
    BankAccount,
    /// A social security number of the United States.
    SocialSecurity,
    /// Words that give a model orders.
    Orders,
    /// Text that people do not see and models read.
    Hidden,
}

impl Kind {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Secret(whose) => whose,
            Self::Card => "a payment card's number",
            Self::BankAccount => "a bank account's number",
            Self::SocialSecurity => "a social security number",
            Self::Orders => "words that give a model orders",
            Self::Hidden => "text that people do not see",
        }
    }
}

/// Something found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Where it begins, in bytes from the beginning of the content.
    pub at: u64,
    /// What.
    pub kind: Kind,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// Secrets and personal data: of what goes out.
    Leaks,
    /// Orders and hidden text: of what comes in.
    Orders,
}

/// Most hits of one content that are kept.
pub const MOST_HITS: usize = 64;
/// Bytes of the piece before that are looked at again with the next one: longer than anything that is recognized.
const OVERLAP: usize = 4096;

/// The automata, made once.
#[derive(Debug)]
pub struct Scanner {
    leaks: AhoCorasick,
    secrets: Vec<secrets::Secret>,
    wording: Wording,
}

impl Scanner {
    /// Makes the automata; none where one cannot be made, which no input can cause.
    pub fn new() -> Option<Self> {
        let secrets = secrets::all()?;
        let begins = secrets.iter().map(|secret| secret.begins);
        let leaks = AhoCorasickBuilder::new().match_kind(MatchKind::Standard).build(begins).ok()?;
        Some(Self { leaks, secrets, wording: Wording::new()? })
    }

    /// Begins to look through a content.
    pub fn begin(&self, what: For) -> Scan<'_> {
        Scan {
            scanner: self,
            what,
            kept: Vec::new(),
            base: 0,
            decided: 0,
            hits: Vec::new(),
            orders: injection::Heard::default(),
        }
    }

    /// Looks through a content that is there whole.
    pub fn whole(&self, what: For, bytes: &[u8]) -> Vec<Hit> {
        let mut scan = self.begin(what);
        scan.feed(bytes);
        scan.finish()
    }
}

/// A content under way.
#[derive(Debug)]
pub struct Scan<'s> {
    scanner: &'s Scanner,
    what: For,
    /// The last bytes, which the next piece may go on from.
    kept: Vec<u8>,
    /// Where they begin in the content, and up to where everything that begins is decided.
    base: u64,
    decided: u64,
    hits: Vec<Hit>,
    orders: injection::Heard,
}

impl Scan<'_> {
    /// Takes the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        // Pieces of a bounded size, so that what is kept does not grow with what is fed.
        for piece in piece.chunks(64 * 1024) {
            match self.what {
                For::Leaks => self.feed_leaks(piece),
                For::Orders => self.scanner.wording.feed(&mut self.orders, piece, &mut self.hits),
            }
        }
    }

    /// The hits, in order of place, each once.
    pub fn finish(mut self) -> Vec<Hit> {
        match self.what {
            For::Leaks => {
                let (text, base) = (std::mem::take(&mut self.kept), self.base);
                self.look(&text, base, text.len());
            }
            For::Orders => self.scanner.wording.end(&mut self.orders, &mut self.hits),
        }
        self.hits.sort_unstable();
        self.hits.dedup();
        self.hits.truncate(MOST_HITS);
        self.hits
    }

    /// Everything that begins more than an overlap before the end is seen whole and decided; the rest waits.
    fn feed_leaks(&mut self, piece: &[u8]) {
        self.kept.extend_from_slice(piece);
        if self.kept.len() <= 2 * OVERLAP {
            return;
        }
        let decided = self.kept.len() - OVERLAP;
        let (text, base) = (std::mem::take(&mut self.kept), self.base);
        self.look(&text, base, decided);
        // One overlap before what is undecided stays too, so that its left neighbours are known.
        let from = decided.saturating_sub(OVERLAP);
        self.kept.extend_from_slice(&text[from..]);
        (self.base, self.decided) = (base + from as u64, base + decided as u64);
    }

    /// Looks at what begins before `decided`.
    fn look(&mut self, text: &[u8], base: u64, decided: usize) {
        if self.hits.len() >= 4 * MOST_HITS {
            return;
        }
        let known = self.decided;
        let hits = &mut self.hits;
        let mut hit = |at: usize, kind| {
            let at = base + at as u64;
            if at >= known {
                hits.push(Hit { at, kind });
            }
        };
        for found in self.scanner.leaks.find_overlapping_iter(text) {
            let at = found.start();
            if at >= decided {
                break;
            }
            let secret = &self.scanner.secrets[found.pattern().as_usize()];
            if secret.is_at(text, at) {
                hit(at, Kind::Secret(secret.whose));
            }
        }
        personal::look(text, decided, &mut hit);
    }
}
