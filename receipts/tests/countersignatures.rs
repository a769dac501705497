//! Counter-signatures: whose count, and each that does not with its own reason.

mod common;

use common::{Keys, bundle, keys, trust};
use receipts::{
    Digest,
    bundle::{Bundle, countersignature},
    countersignature::{Counted, CountersignError, Countersignature, NotCounted, counted},
    dsse::{Envelope, IN_TOTO},
    keys::{SigningKey, key_id},
    trust::{Trust, TrustedKey, TrustedRole},
    verify::{Code, NOT_COUNTED, Outcome, TrustOrigin, verify},
};

const DAY: u64 = 86_400_000;
const NOW: u64 = 1_795_100_000_000;

struct World {
    bundle: Bundle,
    trust: Trust,
    receipt: Digest,
}

/// Somebody else, by number.
fn other(number: u8) -> SigningKey {
    SigningKey::from_seed(&[100 + number; 32])
}

impl World {
    /// A receipt, and two others who are trusted to counter-sign.
    fn new() -> Self {
        let keys = keys();
        let (bundle, mut trust) = (bundle(&keys), trust(&keys));
        for number in [1, 2] {
            let public = other(number).public();
            trust.keys.push(TrustedKey { role: TrustedRole::Countersigner, keyid: key_id(&public), public });
        }
        let receipt = verify(&bundle, &trust, TrustOrigin::Pinned, &|_| true).receipt.expect("an id");
        Self { bundle, trust, receipt }
    }

    fn word(&self, key: &SigningKey) -> Countersignature {
        Countersignature::of(self.receipt, &Outcome::Unanchored, key.public(), (NOW - DAY, NOW + DAY)).expect("valid")
    }

    fn put(&mut self, number: u64, word: &Countersignature, key: &SigningKey) {
        let payload = word.payload().expect("encodes");
        let bytes = Envelope::sign(IN_TOTO, payload, &[key]).expect("signs").to_bytes().expect("bytes");
        self.bundle.0.insert(countersignature(number), bytes);
    }

    fn sign(&mut self, number: u64, key: &SigningKey) {
        let word = self.word(key);
        self.put(number, &word, key);
    }

    fn counted(&self) -> Counted {
        counted(&self.bundle, &self.receipt, &self.trust, NOW)
    }

    fn outcome(&self) -> Outcome {
        verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true).outcome
    }

    /// That one file is there, holds no more than this, and is refused so.
    #[track_caller]
    fn refuses(&self, why: NotCounted) {
        let found = self.counted();
        assert_eq!((found.by, found.refused), (Vec::new(), vec![(countersignature(0), why)]));
    }
}

#[test]
fn two_trusted_others_count_twice_and_stand_beside_the_receipt() {
    let mut world = World::new();
    assert_eq!(world.counted(), Counted::default());
    world.sign(0, &other(1));
    world.sign(1, &other(2));
    let found = world.counted();
    assert_eq!(found.by, [world.word(&other(1)), world.word(&other(2))]);
    assert_eq!((found.refused.len(), found.by[0].result.as_str()), (0, "VALID_UNANCHORED"));
    let verified = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|_| true);
    assert_eq!(verified.outcome, Outcome::Unanchored);
    assert_eq!(verified.receipt, Some(world.receipt), "the receipt itself is the same");
    assert!(verified.not_made.contains(&NOT_COUNTED), "{:?}", verified.not_made);
}

#[test]
fn a_key_counts_once() {
    let mut world = World::new();
    world.sign(0, &other(1));
    let later = Countersignature { at_ms: NOW, ..world.word(&other(1)) };
    world.put(1, &later, &other(1));
    let found = world.counted();
    assert_eq!((found.by.len(), found.refused), (1, vec![(countersignature(1), NotCounted::Twice)]));
}

#[test]
fn keys_that_had_a_part_in_the_receipt_do_not_count_whoever_trusts_them() {
    for pick in [
        |keys: Keys| keys.associate,
        |keys: Keys| keys.node,
        |keys: Keys| keys.principal,
        |keys: Keys| keys.root,
        |keys: Keys| keys.verifier,
        |keys: Keys| keys.log,
    ] {
        let mut world = World::new();
        let key = pick(keys());
        let public = key.public();
        world.trust.keys.push(TrustedKey { role: TrustedRole::Countersigner, keyid: key_id(&public), public });
        world.sign(0, &key);
        world.refuses(NotCounted::OwnKey);
    }
}

#[test]
fn that_of_another_receipt_does_not_count_and_does_not_belong_here() {
    let mut world = World::new();
    let word = Countersignature { receipt: Digest::of(b"another"), ..world.word(&other(1)) };
    world.put(0, &word, &other(1));
    world.refuses(NotCounted::OtherReceipt);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::CountersignatureReceipt));
}

#[test]
fn one_that_is_expired_or_from_the_future_or_of_nobody_known_does_not_count() {
    let mut world = World::new();
    let word = world.word(&other(1));
    world.put(0, &Countersignature { not_after_ms: NOW - 1, ..word.clone() }, &other(1));
    world.refuses(NotCounted::Expired);
    assert_eq!(world.outcome(), Outcome::Unanchored, "it is what it says all the same");
    world.put(0, &Countersignature { not_after_ms: NOW, ..word.clone() }, &other(1));
    assert_eq!(world.counted().by.len(), 1, "to its last moment");
    world.put(0, &Countersignature { at_ms: NOW + 1, ..word }, &other(1));
    world.refuses(NotCounted::Future);
    world.sign(0, &other(3));
    world.refuses(NotCounted::Untrusted);
    // Trusted for something else.
    let public = other(3).public();
    world.trust.keys.push(TrustedKey { role: TrustedRole::Verifier, keyid: key_id(&public), public });
    world.refuses(NotCounted::Untrusted);
}

#[test]
fn a_wrong_signature_or_spelling_does_not_count_and_breaks_the_folder() {
    let mut world = World::new();
    // Signed by one key in the name of another.
    let word = world.word(&other(1));
    world.put(0, &word, &other(2));
    world.refuses(NotCounted::Signature);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Countersignature));
    world.bundle.0.insert(countersignature(0), b"{}".to_vec());
    world.refuses(NotCounted::Spelling);
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Countersignature));
    // A verdict is no counter-signature.
    let verdict = world.bundle.0["verdict-0.intoto.json"].clone();
    world.bundle.0.insert(countersignature(0), verdict);
    world.refuses(NotCounted::Spelling);
    world.sign(0, &other(1));
    let bytes = world.bundle.0[&countersignature(0)].clone();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Countersignature::open(&changed).is_err(), "byte {at}");
        // The whole receipt is slower, so not at every byte.
        if at % 61 == 0 {
            world.bundle.0.insert(countersignature(0), changed);
            assert!(!world.outcome().is_valid() && world.counted().by.is_empty(), "byte {at}");
        }
    }
}

#[test]
fn nobody_says_that_a_receipt_holds_which_does_not() {
    let world = World::new();
    let invalid = Outcome::Invalid(Code::Root);
    let refused = Countersignature::of(world.receipt, &invalid, other(1).public(), (NOW, NOW + DAY));
    assert_eq!(refused, Err(CountersignError::Invalid("INVALID(root)".to_owned())));
    let parent = Outcome::UnresolvedParent(Digest::of(b"parent"));
    assert!(Countersignature::of(world.receipt, &parent, other(1).public(), (NOW, NOW + DAY)).is_err());
}
