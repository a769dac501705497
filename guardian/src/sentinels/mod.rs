//! The rules, one a file. A rule keeps what it must remember of a run, looks at each fact, and says what it found.
//!
//! **Invariant:** a rule's memory of a run is bounded by constants in its file.

mod citations;
mod duplicates;
mod epochs;
mod errors;
mod evidence;
mod heads;
mod injection;
mod journal;
mod limits;
mod loops;
mod refusals;
mod sealing;
mod secrets;
mod spend;
mod stalls;
mod timing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use common_ground::{Fact, Millis, ModuleId, RunId, fork::Taken, module::ModuleSpec};
use receipts::Digest;

pub use heads::Heads;
pub(crate) use journal::damage;
pub use journal::{Chain, News};

use crate::{
    concern::{Concern, Finding},
    scan::Scanner,
    seen::Seen,
};

/// What a rule is, for charters and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name in charters and concerns.
    pub name: &'static str,
    /// Its threshold when a charter names no other.
    pub threshold: u64,
    /// What the threshold counts, and when the rule speaks.
    pub speaks: &'static str,
}

/// What every rule is given beside the fact.
pub(crate) struct With<'a> {
    pub seen: Seen<'a>,
    pub threshold: u64,
    pub scanner: &'a Scanner,
}

/// A rule over one run.
pub(crate) trait Rule: Default {
    /// What it is.
    const ABOUT: About;

    /// What it finds at this fact.
    fn assess(&mut self, with: &With<'_>) -> Vec<Finding>;

    /// What it finds where nothing has happened up to `now`.
    fn silence(&mut self, now: Millis, threshold: u64) -> Vec<Finding> {
        let _nothing_to_wait_for = (now, threshold);
        Vec::new()
    }
}

macro_rules! rules {
    ($($field:ident: $rule:ty,)*) => {
        /// Every rule over one run.
        #[derive(Default)]
        pub(crate) struct Rules {
            $($field: $rule,)*
        }

        impl Rules {
            /// Concerns at this fact, of the rules that the thresholds name.
            pub fn assess(&mut self, seen: Seen<'_>, scanner: &Scanner, thresholds: &Thresholds, said: &mut Said) -> Vec<Concern> {
                let mut concerns = Vec::new();
                $(if let Some(threshold) = thresholds.of(&<$rule>::ABOUT) {
                    let with = With { seen, threshold, scanner };
                    said.keep(&<$rule>::ABOUT, (seen.run, seen.at, seen.seq), self.$field.assess(&with), &mut concerns);
                })*
                concerns
            }

            /// Concerns where nothing has happened since the fact at `seq`.
            pub fn silence(&mut self, run: RunId, now: Millis, seq: u64, thresholds: &Thresholds, said: &mut Said) -> Vec<Concern> {
                let mut concerns = Vec::new();
                $(if let Some(threshold) = thresholds.of(&<$rule>::ABOUT) {
                    said.keep(&<$rule>::ABOUT, (run, now, seq), self.$field.silence(now, threshold), &mut concerns);
                })*
                concerns
            }
        }

        /// Every rule there is, those across runs too.
        pub const ALL: &[About] = &[$(<$rule>::ABOUT,)* heads::RULE, journal::RULE];
    };
}

rules! {
    citations: citations::Citations,
    duplicates: duplicates::Duplicates,
    epochs: epochs::Epochs,
    errors: errors::Errors,
    evidence: evidence::Evidence,
    injection: injection::Injection,
    limits: limits::Limits,
    loops: loops::Loops,
    refusals: refusals::Refusals,
    sealing: sealing::Sealing,
    secrets: secrets::Secrets,
    spend: spend::Spend,
    stalls: stalls::Stalls,
    timing: timing::Timing,
}

/// Thresholds by rule. A rule that is not named does not speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds(BTreeMap<&'static str, u64>);

impl Default for Thresholds {
    /// Every rule with its own.
    fn default() -> Self {
        Self(ALL.iter().map(|about| (about.name, about.threshold)).collect())
    }
}

impl Thresholds {
    /// Those of a charter: all rules where it names none. The first name that is no rule, where there is one.
    ///
    /// # Errors
    /// The name.
    pub fn chartered(rules: &BTreeMap<String, u64>) -> Result<Self, String> {
        if rules.is_empty() {
            return Ok(Self::default());
        }
        let named = rules.iter().map(|(name, threshold)| {
            let about = ALL.iter().find(|about| about.name == name).ok_or_else(|| name.clone())?;
            Ok((about.name, *threshold))
        });
        named.collect::<Result<_, String>>().map(Self)
    }

    /// The threshold of a rule that speaks.
    pub(crate) fn of(&self, about: &About) -> Option<u64> {
        self.0.get(about.name).copied()
    }
}

/// Subjects said of one run, so that each is said once.
#[derive(Default)]
pub(crate) struct Said(BTreeSet<(&'static str, u64)>);

/// Subjects that are remembered of one run. Who makes more of them than this is well known by then.
const MOST_SAID: usize = 512;

impl Said {
    pub(crate) fn keep(
        &mut self,
        about: &About,
        (run, at, seq): (RunId, Millis, u64),
        findings: Vec<Finding>,
        concerns: &mut Vec<Concern>,
    ) {
        for finding in findings {
            let key = (about.name, finding.subject);
            if self.0.len() < MOST_SAID && self.0.insert(key) {
                concerns.push(Concern::of(about.name, run, at, seq, finding));
            }
        }
    }
}

/// Modules that a fact asks for, to be worked in this run.
pub(crate) fn asked(fact: &Fact) -> impl Iterator<Item = (ModuleId, &ModuleSpec)> {
    let proposed = match fact {
        Fact::ModuleProposed { module, spec } => Some((*module, spec)),
        _other => None,
    };
    let anew = taken(fact).iter().filter(|taken| taken.kept.is_none()).map(|taken| (taken.module, &taken.spec));
    proposed.into_iter().chain(anew)
}

/// Modules that a fork took over accepted, with their receipts.
pub(crate) fn kept(fact: &Fact) -> impl Iterator<Item = (ModuleId, Digest)> {
    taken(fact).iter().filter_map(|taken| Some((taken.module, taken.kept.as_ref()?.receipt)))
}

fn taken(fact: &Fact) -> &[Taken] {
    match fact {
        Fact::RunForked { begins, .. } => &begins.modules,
        _other => &[],
    }
}

/// One number for what a finding is about.
pub(crate) fn subject(parts: &[&[u8]]) -> u64 {
    // FNV-1a: no key, no state, and nothing here must withstand who seeks collisions: a collision hides one saying of many.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in (part.len() as u64).to_be_bytes().iter().chain(part.iter()) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// A map that forgets what came into it first.
#[derive(Clone, Debug)]
pub(crate) struct Bounded<K, V> {
    entries: BTreeMap<K, V>,
    order: VecDeque<K>,
    most: usize,
}

impl<K: Ord + Copy, V> Bounded<K, V> {
    pub fn new(most: usize) -> Self {
        Self { entries: BTreeMap::new(), order: VecDeque::new(), most }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key)
    }

    /// Puts a value in; gives what was there before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.entries.insert(key, value);
        if before.is_none() {
            self.order.push_back(key);
            if self.order.len() > self.most
                && let Some(first) = self.order.pop_front()
            {
                self.entries.remove(&first);
            }
        }
        before
    }

    /// The value of a key, made where there is none.
    pub fn entry(&mut self, key: K, make: impl Fn() -> V) -> &mut V {
        if !self.entries.contains_key(&key) {
            self.insert(key, make());
        }
        self.entries.entry(key).or_insert_with(make)
    }

    /// Takes a value out. Its key may stay in line; that only forgets something a little sooner.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key);
        if value.is_some()
            && let Some(place) = self.order.iter().rposition(|known| known == key)
        {
            self.order.remove(place);
        }
        value
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
