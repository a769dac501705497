//! Counter-signatures: others who verified a receipt say so, each in a file of its own beside it.
//!
//! An in-toto Simple Verification Result (SVR v0.2) over the receipt's id. Its properties are `II_RECEIPT_VERIFIED` and the result
//! that the signer's own check had; `verifier` has, beside its `id`, the `key` that signed and `notAfter`, when this ends.
//!
//! **Invariant:** a counter-signature is one receipt's, by one key, and counts once.
//! **Invariant:** nobody who had a part in a receipt counter-signs it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    bundle::{self, Bundle, FileKind},
    canonical::NotCanonical,
    digest::{Digest, PublicKey},
    dsse::{Envelope, IN_TOTO},
    statement::{Actors, STATEMENT, Statement, VerdictRef},
    timestamp::{NotATime, format_millis, parse_millis},
    trust::{Trust, TrustedRole},
    verdict::{PREDICATE, uri},
    verify::Outcome,
};

/// The property that every one has.
const VERIFIED: &str = "II_RECEIPT_VERIFIED";
/// What the property begins with that names the result.
const RESULT: &str = "II_RESULT_";

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countersignature {
    /// Who says it.
    pub signer: PublicKey,
    /// Id of the receipt.
    pub receipt: Digest,
    /// What the signer's check came to, as [`Outcome::as_text`] has it, in capitals and underscores.
    pub result: String,
    /// When it was checked, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Until when it counts.
    pub not_after_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Verifier {
    id: String,
    key: PublicKey,
    not_after: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    properties: [String; 2],
    time_created: String,
    verifier: Verifier,
}

/// Why a counter-signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotCounted {
    /// Not a counter-signature in its one spelling.
    #[error("it is no counter-signature in its one spelling")]
    Spelling,
    /// Not signed by the key that it names.
    #[error("its signature does not verify")]
    Signature,
    /// It is of another receipt.
    #[error("it is of another receipt")]
    OtherReceipt,
    /// The key had a part in the receipt: one of its actors, a verifier of it, or its log.
    #[error("its key had a part in the receipt itself")]
    OwnKey,
    /// Another one here is by the same key.
    #[error("its key has counter-signed already")]
    Twice,
    /// Nobody trusts the key to counter-sign.
    #[error("its key is not trusted as a countersigner")]
    Untrusted,
    /// It was made later than now.
    #[error("it is from the future")]
    Future,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
}

/// Why none can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountersignError {
    /// The receipt does not hold.
    #[error("the receipt does not hold: {0}")]
    Invalid(String),
    /// A time past the year 9999.
    #[error(transparent)]
    Time(#[from] NotATime),
    /// It does not encode.
    #[error(transparent)]
    Encoding(#[from] NotCanonical),
}

impl Countersignature {
    /// What a signer says whose own check of the receipt had this outcome.
    ///
    /// # Errors
    /// [`CountersignError::Invalid`] for an outcome that is none of the valid ones.
    pub fn of(
        receipt: Digest,
        outcome: &Outcome,
        signer: PublicKey,
        (at_ms, not_after_ms): (u64, u64),
    ) -> Result<Self, CountersignError> {
        if outcome.is_valid() {
            Ok(Self { signer, receipt, result: outcome.as_text().replace('-', "_"), at_ms, not_after_ms })
        } else {
            Err(CountersignError::Invalid(outcome.as_text()))
        }
    }

    /// The statement, which `signer`'s key is to sign alone, as in-toto.
    ///
    /// # Errors
    /// A time past the year 9999.
    pub fn payload(&self) -> Result<Vec<u8>, CountersignError> {
        let predicate = Predicate {
            properties: [VERIFIED.to_owned(), format!("{RESULT}{}", self.result)],
            time_created: format_millis(self.at_ms)?,
            verifier: Verifier {
                id: uri(&self.signer)?,
                key: self.signer,
                not_after: format_millis(self.not_after_ms)?,
            },
        };
        Ok(Statement::about("receipt", self.receipt, PREDICATE, predicate).to_bytes()?)
    }

    /// Opens a file: in its one spelling, signed by the key that it names.
    ///
    /// # Errors
    /// [`NotCounted::Spelling`] and [`NotCounted::Signature`].
    pub fn open(bytes: &[u8]) -> Result<Self, NotCounted> {
        let envelope = Envelope::parse(bytes).map_err(|_spelling| NotCounted::Spelling)?;
        let statement: Statement<Predicate> =
            Statement::parse(&envelope.payload).map_err(|_shape| NotCounted::Spelling)?;
        let Predicate { properties: [verified, result], time_created, verifier } = statement.predicate;
        let [subject] = statement.subject.as_slice() else { return Err(NotCounted::Spelling) };
        let result = result.strip_prefix(RESULT).filter(|_result| verified == VERIFIED).ok_or(NotCounted::Spelling)?;
        let fits = envelope.payload_type == IN_TOTO
            && statement.statement_type == STATEMENT
            && statement.predicate_type == PREDICATE
            && subject.name == "receipt"
            && envelope.signatures.len() == 1
            && uri(&verifier.key).is_ok_and(|uri| uri == verifier.id);
        if !fits {
            return Err(NotCounted::Spelling);
        }
        envelope.verified_by(&verifier.key).map_err(|_bad| NotCounted::Signature)?;
        let time = |text: &str| parse_millis(text).map_err(|_form| NotCounted::Spelling);
        Ok(Self {
            signer: verifier.key,
            receipt: subject.digest.sha256,
            result: result.to_owned(),
            at_ms: time(&time_created)?,
            not_after_ms: time(&verifier.not_after)?,
        })
    }
}

/// What the counter-signatures of a receipt come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those that count, each by another key.
    pub by: Vec<Countersignature>,
    /// The files that do not, and why.
    pub refused: Vec<(String, NotCounted)>,
}

/// Counts those of a receipt that verified as `receipt`, at `now_ms`.
pub fn counted(files: &Bundle, receipt: &Digest, trust: &Trust, now_ms: u64) -> Counted {
    let own = own_keys(files, trust);
    let mut counted = Counted::default();
    let mut seen = BTreeSet::new();
    for (name, bytes) in &files.0 {
        if !matches!(bundle::kind(name), Some(FileKind::Countersignature(_))) {
            continue;
        }
        match one(bytes, receipt, (&own, trust), now_ms) {
            Ok(found) if seen.insert(found.signer) => counted.by.push(found),
            Ok(_again) => counted.refused.push((name.clone(), NotCounted::Twice)),
            Err(why) => counted.refused.push((name.clone(), why)),
        }
    }
    counted
}

fn one(
    bytes: &[u8],
    receipt: &Digest,
    (own, trust): (&BTreeSet<PublicKey>, &Trust),
    now_ms: u64,
) -> Result<Countersignature, NotCounted> {
    let found = Countersignature::open(bytes)?;
    let ensure = |holds: bool, why: NotCounted| if holds { Ok(()) } else { Err(why) };
    ensure(found.receipt == *receipt, NotCounted::OtherReceipt)?;
    ensure(!own.contains(&found.signer), NotCounted::OwnKey)?;
    ensure(trust.has(TrustedRole::Countersigner, &found.signer), NotCounted::Untrusted)?;
    ensure(found.at_ms <= now_ms, NotCounted::Future)?;
    ensure(now_ms <= found.not_after_ms, NotCounted::Expired)?;
    Ok(found)
}

/// The keys that had a part in a receipt: its actors, who found on it, and the log. Without them nobody counter-signs it.
pub fn own_keys(files: &Bundle, trust: &Trust) -> BTreeSet<PublicKey> {
    #[derive(Deserialize)]
    struct Named {
        predicate: NamedPredicate,
    }
    #[derive(Deserialize)]
    struct NamedPredicate {
        actors: Actors,
        verdicts: Vec<VerdictRef>,
    }
    let envelope = files.0.get(bundle::RECEIPT).and_then(|bytes| Envelope::parse(bytes).ok());
    let named = envelope.and_then(|envelope| serde_json::from_slice::<Named>(&envelope.payload).ok());
    let mut keys: BTreeSet<PublicKey> = trust.log_key().into_iter().collect();
    if let Some(Named { predicate: NamedPredicate { actors, verdicts } }) = named {
        keys.extend([actors.associate.key, actors.principal.key, actors.root.key, actors.node.key]);
        keys.extend(verdicts.iter().map(|verdict| verdict.by));
    }
    keys
}
