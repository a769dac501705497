//! What is sealed verifies, whatever its trace; what would not verify is not sealed.

mod common;

use common::{Keys, SECRET, files_of, input, keys, sealed, trust};
use receipts::{
    Digest,
    bundle::{CHECKPOINT, RECEIPT, disclosure},
    canonical::parse_canonical,
    commit::AttemptKey,
    dsse::Envelope,
    entry::Entry,
    integer::Decimal,
    seal::{SealError, SealInput, SealKeys, seal},
    statement::Custody,
    tlog_proof::TlogProof,
    trace::{Trace, TraceEntry},
    verify::{Code, Outcome, TrustOrigin, verify},
};

fn seal_keys(keys: &Keys) -> SealKeys<'_> {
    SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier }
}

fn try_seal(input: &SealInput, keys: &SealKeys<'_>) -> Result<Digest, SealError> {
    seal(input, &AttemptKey::new(SECRET), keys).map(|sealed| sealed.receipt_id)
}

#[test]
fn every_size_verifies_with_every_entry_disclosed() {
    let keys = keys();
    for calls in [1, 2, 3, 4, 7, 8, 11, 27, 59] {
        let sealed = sealed(&keys, calls);
        let entries = common::entries(&keys, calls);
        let names: Vec<Vec<&str>> =
            entries.iter().map(|entry| entry.entry.values().into_iter().map(|(name, _)| name).collect()).collect();
        let trace = Trace::new(&AttemptKey::new(SECRET), entries).expect("a trace");
        let mut bundle = files_of(&keys, sealed.clone());
        for (open, index) in names.iter().zip(0..) {
            let proof = trace.disclose(index, open, &sealed.checkpoint).expect("encodes").expect("is there");
            bundle.0.insert(disclosure(index), proof.to_text().into_bytes());
        }
        let found = verify(&bundle, &trust(&keys), TrustOrigin::Pinned, &|_| true);
        assert_eq!(found.outcome, Outcome::Unanchored, "{calls} calls");
        assert_eq!((found.receipt, found.nullifier), (Some(sealed.receipt_id), Some(sealed.nullifier)));
        assert_eq!(sealed.size, calls as u64 + 5);
    }
}

#[test]
fn every_file_is_in_canonical_form() {
    let keys = keys();
    let bundle = files_of(&keys, sealed(&keys, 3));
    for (name, bytes) in bundle.0.iter().filter(|(name, _)| name.ends_with(".json")) {
        let envelope = Envelope::parse(bytes).expect("an envelope");
        parse_canonical(&envelope.payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let proof = std::str::from_utf8(&bundle.0[&disclosure(0)]).expect("text");
    let extra = TlogProof::parse(proof).expect("a proof").extra.expect("extra");
    parse_canonical(&extra).expect("canonical");
}

#[test]
fn nothing_private_stands_in_the_clear() {
    let keys = keys();
    let mut secret = input(&keys, 1);
    let words = ["Rosalind", "quarterly-figures", "Kyoto"];
    for entry in &mut secret.entries {
        match &mut entry.entry {
            Entry::ModuleStart { spec, .. } => *spec = format!("{{\"q\":\"{}\"}}", words[0]).into_bytes(),
            Entry::Input { source, .. } => *source = words[1].to_owned(),
            Entry::Decision { reason, .. } => *reason = words[2].to_owned(),
            _other => {}
        }
    }
    let sealed = seal(&secret, &AttemptKey::new(SECRET), &seal_keys(&keys)).expect("seals");
    let bundle = files_of(&keys, sealed);
    let payload = Envelope::parse(&bundle.0[RECEIPT]).expect("an envelope").payload;
    let proof = TlogProof::parse(std::str::from_utf8(&bundle.0[&disclosure(0)]).expect("text")).expect("a proof");
    let texts = [payload, proof.extra.expect("extra"), bundle.0[CHECKPOINT].clone()];
    for text in texts.map(|bytes| String::from_utf8(bytes).expect("text")) {
        for word in words {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn what_every_verifier_would_refuse_is_not_sealed() {
    type Change = fn(&mut SealInput);
    let cases: [(Code, Change); 14] = [
        (Code::Parents, |i| i.parents.push(i.parents[0].clone())),
        (Code::Time, |i| i.end_ms = i.start_ms - 1),
        (Code::NoVerdict, |i| i.criteria.clear()),
        (Code::VerdictTwice, |i| i.criteria.push("Quotes_Verbatim".to_owned())),
        (Code::VerdictTime, |i| i.judged_ms = i.end_ms + 1),
        (Code::VerdictTime, |i| i.judged_ms = i.start_ms - 1),
        (Code::Policy, |i| i.policy_decision = "deny".to_owned()),
        (Code::Earlier, |i| i.earlier.clear()),
        (Code::Currency, |i| i.usage.currency = "euro".to_owned()),
        (Code::Usage, |i| i.usage.tool_calls = Decimal(1)),
        (Code::Usage, |i| i.usage.wall_ms = Decimal(i.end_ms - i.start_ms + 1)),
        (Code::Corpora, |i| i.corpora[0].size = Decimal(0)),
        (Code::Models, |i| i.models[0].provider.clear()),
        (Code::Output, |i| {
            let again = TraceEntry { entry: Entry::Output { deliverable: Digest::of(b"other") }, parent: Some(0) };
            i.entries.insert(4, again);
        }),
    ];
    let keys = keys();
    for (code, change) in cases {
        let mut wrong = input(&keys, 1);
        change(&mut wrong);
        assert_eq!(try_seal(&wrong, &seal_keys(&keys)), Err(SealError::Refused { code }));
    }
    let one_key = SealKeys { verifier: &keys.node, ..seal_keys(&keys) };
    assert_eq!(try_seal(&input(&keys, 1), &one_key), Err(SealError::Refused { code: Code::SharedKey }));
    let one_key = SealKeys { log: &keys.node, ..seal_keys(&keys) };
    assert_eq!(try_seal(&input(&keys, 1), &one_key), Err(SealError::Refused { code: Code::SharedKey }));
    // Two calls of one model: listed once it is sealed, listed twice it is not.
    let mut two_calls = input(&keys, 2);
    assert!(try_seal(&two_calls, &seal_keys(&keys)).is_ok());
    two_calls.models.push(two_calls.models[0].clone());
    assert_eq!(try_seal(&two_calls, &seal_keys(&keys)), Err(SealError::Refused { code: Code::Models }));
    let own = SealKeys { verifier: &keys.associate, ..seal_keys(&keys) };
    assert_eq!(try_seal(&input(&keys, 1), &own), Err(SealError::Refused { code: Code::SelfJudged }));
}

#[test]
fn a_trace_that_says_something_else_is_not_sealed() {
    let keys = keys();
    let mut good = input(&keys, 1);
    good.custody = Custody::TwoHosts;
    assert!(try_seal(&good, &seal_keys(&keys)).is_ok());
    let end = good.entries.len() - 1;
    let mut other = good.clone();
    other.entries[end].entry =
        Entry::ModuleEnd { outcome: "completed".to_owned(), deliverable: Digest::of(b"another") };
    assert_eq!(try_seal(&other, &seal_keys(&keys)), Err(SealError::OtherEnd));
    let mut failed = good.clone();
    failed.entries[end].entry =
        Entry::ModuleEnd { outcome: "failed".to_owned(), deliverable: Digest::of(b"deliverable") };
    assert_eq!(try_seal(&failed, &seal_keys(&keys)), Err(SealError::OtherEnd));
    let mut none = good.clone();
    none.entries.retain(|entry| !matches!(entry.entry, Entry::Output { .. } | Entry::Decision { .. }));
    assert_eq!(try_seal(&none, &seal_keys(&keys)), Err(SealError::NoOutput));
    let mut unused = good.clone();
    unused.models[0].id = "another".to_owned();
    assert_eq!(try_seal(&unused, &seal_keys(&keys)), Err(SealError::UnusedModel { id: "another".to_owned() }));
    let by_node = SealKeys { associate: &keys.node, ..seal_keys(&keys) };
    assert_eq!(try_seal(&good, &by_node), Err(SealError::OtherAssociate));
}
