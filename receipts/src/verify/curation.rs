//! What only a curation's receipt claims: its fields against each other, and its log.

use super::{Code, claims::Claiming, receipt};
use crate::{
    bundle::{self, Bundle},
    checkpoint::Checkpoint,
    class::BenefitClass,
    curation::{COUNTED, CurationPredicate, Header, LogError, LogReader, Reckoned, SPEC, non_claims},
    digest::{Digest, PublicKey},
    nullifier::curation_nullifier,
    statement::Statement,
};

/// Fields that must have one value, or fit each other.
pub(super) fn fields(predicate: &CurationPredicate, network: &Digest) -> Result<(), Code> {
    let ensure = |holds: bool, code: Code| if holds { Ok(()) } else { Err(code) };
    ensure(predicate.spec == SPEC, Code::Spec)?;
    ensure(predicate.benefit_class == BenefitClass::DataCuration, Code::BenefitClass)?;
    ensure(predicate.status == "completed", Code::Status)?;
    ensure(predicate.network == *network, Code::Network)?;
    ensure(predicate.counts.keys().map(String::as_str).eq(COUNTED), Code::CountKinds)?;
    let sum = predicate.counts.values().try_fold(2_u64, |sum, count| sum.checked_add(count.0));
    ensure(sum == Some(predicate.anchor_set.size.0), Code::CountSum)?;
    let collection = &predicate.collection;
    let node = &predicate.actors.node.log_origin;
    let own = collection.origin.strip_prefix(node.as_str()).and_then(|rest| rest.strip_prefix("/corpus/"));
    let refused = predicate.counts.get("refused").map_or(0, |count| count.0);
    let changes = predicate.anchor_set.size.0 - 2 - refused;
    let grown = collection.before.size.0.checked_add(changes) == Some(collection.after.size.0);
    let empty = collection.before.size.0 > 0 || collection.before.root == Digest::of(b"");
    let named = own.is_some_and(|name| !name.is_empty() && !name.contains('/'));
    ensure(named && changes > 0 && grown && empty && collection.revision.0 > 0, Code::Collection)?;
    let before =
        Checkpoint { origin: collection.origin.clone(), size: collection.before.size.0, root: collection.before.root };
    let own = curation_nullifier(&predicate.network, &predicate.actors.root.key, &before);
    ensure(predicate.nullifier == own, Code::Nullifier)?;
    ensure(predicate.policy.decision == "allow", Code::Policy)?;
    let (start, end) = receipt::times(&predicate.time)?;
    ensure(start <= end, Code::Time)?;
    ensure(predicate.non_claims == non_claims(predicate.actors.custody), Code::NonClaims)
}

/// The log of a curation whose receipt holds, as it is read line by line.
pub struct LogCheck {
    statement: Statement<CurationPredicate>,
    reader: LogReader,
}

impl LogCheck {
    /// Begins with the log's first line, without its end. `None` for a receipt that is of no curation. The receipt must have
    /// been verified.
    ///
    /// # Errors
    /// [`LogError::Header`], [`LogError::OtherIngest`].
    pub fn new(files: &Bundle, first: &[u8]) -> Result<Option<Self>, LogError> {
        let bytes = files.0.get(bundle::RECEIPT).map(Vec::as_slice).unwrap_or_default();
        let Ok((envelope, BenefitClass::DataCuration)) = receipt::envelope(bytes) else { return Ok(None) };
        let Ok(statement) = Statement::<CurationPredicate>::parse(&envelope.payload) else { return Ok(None) };
        let (header, said) = (Header::parse(first)?, &statement.predicate.collection);
        let before = header.before();
        let same = header.collection == said.origin
            && (before.size, before.root) == (said.before.size.0, said.before.root)
            && header.after == said.after;
        if !same {
            return Err(LogError::OtherIngest);
        }
        let reader = LogReader::new(header, &statement.predicate.actors.associate.key)?;
        Ok(Some(Self { statement, reader }))
    }

    /// The log.
    pub fn reader(&mut self) -> &mut LogReader {
        &mut self.reader
    }

    /// The end of the log: it is the one that the receipt is of, to the last leaf.
    ///
    /// # Errors
    /// [`LogError::Corpus`], [`LogError::Other`].
    pub fn finish(self) -> Result<Reckoned, LogError> {
        let said = self.statement.predicate;
        let log = self.reader.finish()?;
        let same = |holds: bool, what: &'static str| if holds { Ok(()) } else { Err(LogError::Other { what }) };
        same((log.size, log.root) == (said.anchor_set.size.0, said.anchor_set.root), "the tree over its lines")?;
        same(log.counts == said.counts, "its counts")?;
        Ok(log)
    }
}

/// Why every verifier would refuse a curation that says this, whomever it trusts: what [`crate::curation::seal`] asks before
/// it signs.
pub(crate) fn curation_refused_by_all(
    predicate: &CurationPredicate,
    network: &Digest,
    log: &PublicKey,
    judged_ms: u64,
) -> Result<(), Code> {
    receipt::apart(&predicate.claims(), log)?;
    fields(predicate, network)?;
    super::findings_refused_by_all(&predicate.claims(), judged_ms)
}
