//! Every way to make a receipt wrong that we could think of, each refused with its own code; and every byte flipped.

mod common;

use std::collections::BTreeSet;

use common::{FixedLedger, Keys, bundle, chain, fixed_ledger, grant, keys, payload, put, trust};
use receipts::{
    Digest,
    bitcoin::{anchor::TrustedChain, hash::BlockHash, header::Target},
    bundle::{ANCHOR, BLOCK, Bundle, CHECKPOINT, LOGGED, RECEIPT, countersignature, disclosure},
    canonical::canonical,
    checkpoint::Checkpoint,
    commit::AttemptKey,
    cosignature::Cosigner,
    countersignature::Countersignature,
    delegation::{DelegatedRole, Delegation},
    dsse::{Envelope, IN_TOTO},
    integer::Decimal,
    keys::{SigningKey, key_id},
    ledger::block::CertifiedBlock,
    note::vkey,
    tlog_proof::TlogProof,
    trace::Trace,
    trust::{Trust, TrustedRole},
    verify::{Code, Outcome, TrustOrigin, verify},
};
use serde_json::{Value, json};

const DISCLOSURE: &str = "disclosure-0.tlog-proof";
const UPPER: &str = "delegation-0.intoto.json";
const LOWER: &str = "delegation-1.intoto.json";
const VERDICT: &str = "verdict-0.intoto.json";

struct World {
    keys: Keys,
    bundle: Bundle,
    trust: Trust,
}

type Mutation = fn(&mut World);

impl World {
    fn new() -> Self {
        let keys = keys();
        Self { bundle: bundle(&keys), trust: trust(&keys), keys }
    }

    fn outcome(&self) -> Outcome {
        verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true).outcome
    }

    /// Adds what a ledger gives, and trusts that ledger.
    fn anchor(&mut self, quorum: u64) {
        let found = verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true);
        let (receipt, nullifier) = (found.receipt.expect("an id"), found.nullifier.expect("a nullifier"));
        fixed_ledger().anchor(&mut self.bundle, receipt, nullifier);
        self.trust.ledger = Some(fixed_ledger().trusted(quorum));
    }

    /// Anchors the receipt in a chain, whose last block the verifier knows.
    fn chain(&mut self) {
        let found = verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true);
        let (receipt, nullifier) = (found.receipt.expect("an id"), found.nullifier.expect("a nullifier"));
        self.trust.chain = Some(common::anchored(&mut self.bundle, receipt, nullifier));
    }

    /// The same for another receipt.
    fn anchor_as(&mut self, receipt: Digest) {
        self.anchor(1);
        let found = verify(&self.bundle, &self.trust, TrustOrigin::Pinned, &|_| true);
        fixed_ledger().anchor(&mut self.bundle, receipt, found.nullifier.expect("a nullifier"));
    }

    /// Changes the ledger's block.
    fn block(&mut self, change: impl FnOnce(&FixedLedger, &mut CertifiedBlock)) {
        let mut block = serde_json::from_slice(&self.bundle.0[BLOCK]).expect("a block");
        change(&fixed_ledger(), &mut block);
        self.bundle.0.insert(BLOCK.to_owned(), canonical(&block).expect("canonical"));
    }

    /// Changes the statement and has both signers sign it again: what only an insider could do.
    fn restate(&mut self, change: impl FnOnce(&mut Value)) {
        let mut statement = payload(&self.bundle, RECEIPT);
        change(&mut statement);
        put(&mut self.bundle, RECEIPT, &statement, &[&self.keys.associate, &self.keys.node]);
    }

    fn set(&mut self, pointer: &str, value: Value) {
        self.restate(|statement| *statement.pointer_mut(pointer).expect(pointer) = value);
    }

    fn file(&mut self, name: &str, change: impl FnOnce(&mut String)) {
        let mut text = String::from_utf8(self.bundle.0[name].clone()).expect("text");
        change(&mut text);
        self.bundle.0.insert(name.to_owned(), text.into_bytes());
    }

    /// Changes a delegation, signs it, and names its new id in the statement.
    fn redelegate(&mut self, upper: bool, change: impl FnOnce(&mut Delegation)) {
        let Keys { root, principal, associate, .. } = &self.keys;
        let (from, to, role, name, pointer) = if upper {
            (root, principal, DelegatedRole::Principal, UPPER, "/predicate/actors/principal/delegation")
        } else {
            (principal, associate, DelegatedRole::Associate, LOWER, "/predicate/actors/associate/delegation")
        };
        let mut delegation = grant(from, to, role);
        change(&mut delegation);
        let signer = if delegation.from == from.public() { from } else { associate };
        let envelope = delegation.sign(signer).expect("signs");
        self.bundle.0.insert(name.to_owned(), envelope.to_bytes().expect("bytes"));
        self.set(pointer, json!(envelope.id()));
    }

    /// Changes the verdict statement, has `signer` sign it, and names its new id in the receipt.
    fn rejudge(&mut self, signer: &SigningKey, change: impl FnOnce(&mut Value)) {
        let mut statement = payload(&self.bundle, VERDICT);
        change(&mut statement);
        put(&mut self.bundle, VERDICT, &statement, &[signer]);
        let id = Envelope::parse(&self.bundle.0[VERDICT]).expect("an envelope").id();
        for place in 0..2 {
            self.set(&format!("/predicate/verdicts/{place}/statement"), json!(id));
        }
    }

    fn reprove(&mut self, change: impl FnOnce(&mut TlogProof)) {
        let text = String::from_utf8(self.bundle.0[DISCLOSURE].clone()).expect("text");
        let mut proof = TlogProof::parse(&text).expect("a proof");
        change(&mut proof);
        self.bundle.0.insert(DISCLOSURE.to_owned(), proof.to_text().into_bytes());
    }

    /// Changes the proof's record and openings.
    fn reopen(&mut self, change: impl FnOnce(&mut Value)) {
        self.reprove(|proof| {
            let mut extra = serde_json::from_slice(proof.extra.as_deref().expect("extra")).expect("JSON");
            change(&mut extra);
            proof.extra = Some(receipts::canonical::canonical(&extra).expect("canonical"));
        });
    }
}

/// Opens the policy in the first disclosure too.
fn open_policy(world: &mut World) {
    let salt: String =
        AttemptKey::new(common::SECRET).salt(0, "policy").iter().map(|byte| format!("{byte:02x}")).collect();
    world.reopen(|extra| extra["open"]["policy"] = json!({"salt": salt, "value": POLICY}));
}

/// The base64 of the digest of `policy`.
const POLICY: &str = "gjQS0erLZ5ViIOUylZ8BBGAwV8iHBIY8o4580Yj9qBI=";

/// Discloses an entry with some fields opened.
fn disclose(world: &mut World, index: u64, open: &[&str]) {
    let entries = common::entries(&world.keys, 1);
    let trace = Trace::new(&AttemptKey::new(common::SECRET), entries).expect("a trace");
    let checkpoint = String::from_utf8(world.bundle.0[CHECKPOINT].clone()).expect("text");
    let proof = trace.disclose(index, open, &checkpoint).expect("encodes").expect("is there");
    world.bundle.0.insert(disclosure(index), proof.to_text().into_bytes());
}

fn other() -> SigningKey {
    SigningKey::from_seed(&[77; 32])
}

fn zeros() -> Value {
    json!("0".repeat(64))
}

/// Replaces an actor by another key, whose id is right.
fn actor(world: &mut World, name: &str, key: &SigningKey) {
    world.set(&format!("/predicate/actors/{name}/key"), json!(key.public()));
    world.set(&format!("/predicate/actors/{name}/keyid"), json!(key_id(&key.public())));
}

const MUTATIONS: &[(Code, Mutation)] = &[
    (Code::MissingReceipt, |w| drop(w.bundle.0.remove(RECEIPT))),
    (Code::MissingCheckpoint, |w| drop(w.bundle.0.remove(CHECKPOINT))),
    (Code::MissingDisclosure, |w| drop(w.bundle.0.remove(DISCLOSURE))),
    (Code::MissingDelegation, |w| drop(w.bundle.0.remove(UPPER))),
    (Code::MissingDelegation, |w| drop(w.bundle.0.remove(LOWER))),
    (Code::MissingVerdict, |w| drop(w.bundle.0.remove(VERDICT))),
    (Code::UnknownFile, |w| drop(w.bundle.0.insert("README".to_owned(), Vec::new()))),
    (Code::UnknownFile, |w| drop(w.bundle.0.insert("disclosure-01.tlog-proof".to_owned(), Vec::new()))),
    (Code::UnknownFile, |w| {
        let copy = w.bundle.0[VERDICT].clone();
        w.bundle.0.insert("verdict-1.intoto.json".to_owned(), copy);
    }),
    (Code::MissingVerdict, |w| {
        let moved = w.bundle.0.remove(VERDICT).expect("one");
        w.bundle.0.insert("verdict-7.intoto.json".to_owned(), moved);
    }),
    (Code::UnknownFile, |w| drop(w.bundle.0.insert("delegation-2.intoto.json".to_owned(), Vec::new()))),
    (Code::Noncanonical, |w| w.file(RECEIPT, |text| text.push('\n'))),
    (Code::Noncanonical, |w| w.file(RECEIPT, |text| *text = text.replacen('{', "{ ", 1))),
    (Code::Noncanonical, |w| w.file(RECEIPT, |text| *text = text.replacen('{', "{\"payload\":\"eA==\",", 1))),
    (Code::Noncanonical, |w| {
        let text = String::from_utf8(Envelope::parse(&w.bundle.0[RECEIPT]).expect("one").payload).expect("text");
        let folded = text.replacen("\"tokensIn\":\"10\"", "\"tokensIn\":9007199254740993", 1);
        assert_ne!(text, folded);
        let both = [&w.keys.associate, &w.keys.node];
        let envelope = Envelope::sign(IN_TOTO, folded.into_bytes(), &both).expect("signs");
        w.bundle.0.insert(RECEIPT.to_owned(), envelope.to_bytes().expect("bytes"));
    }),
    (Code::Noncanonical, |w| w.set("/predicate/module/runId", json!("01920000000070008000000000000001"))),
    (Code::PayloadType, |w| {
        let known = Envelope::parse(&w.bundle.0[RECEIPT]).expect("an envelope");
        let both = [&w.keys.associate, &w.keys.node];
        let envelope = Envelope::sign("application/json", known.payload, &both).expect("signs");
        w.bundle.0.insert(RECEIPT.to_owned(), envelope.to_bytes().expect("bytes"));
    }),
    (Code::SignatureCount, |w| {
        let statement = payload(&w.bundle, RECEIPT);
        put(&mut w.bundle, RECEIPT, &statement, &[&w.keys.associate]);
    }),
    (Code::SignatureCount, |w| {
        let statement = payload(&w.bundle, RECEIPT);
        put(&mut w.bundle, RECEIPT, &statement, &[&w.keys.associate, &w.keys.node, &other()]);
    }),
    (Code::Shape, |w| {
        w.restate(|s| drop(s["predicate"].as_object_mut().expect("one").insert("more".into(), json!("x"))))
    }),
    (Code::Shape, |w| w.restate(|s| drop(s["predicate"].as_object_mut().expect("one").remove("usage")))),
    (Code::Shape, |w| w.set("/predicate/anchorSet/size", json!("06"))),
    (Code::StatementType, |w| w.set("/_type", json!("https://in-toto.io/Statement/v0.1"))),
    (Code::PredicateType, |w| w.set("/predicateType", json!("https://example.com/other"))),
    (Code::Spec, |w| w.set("/predicate/spec", json!("1.0.1"))),
    (Code::BenefitClass, |w| w.set("/predicate/benefitClass", json!("Data-Curation"))),
    (Code::Status, |w| w.set("/predicate/status", json!("failed"))),
    (Code::Network, |w| w.set("/predicate/network", zeros())),
    (Code::AssociateKeyId, |w| w.set("/predicate/actors/associate/keyid", zeros())),
    (Code::PrincipalKeyId, |w| w.set("/predicate/actors/principal/keyid", zeros())),
    (Code::NodeKeyId, |w| w.set("/predicate/actors/node/keyid", zeros())),
    (Code::RootKeyId, |w| w.set("/predicate/actors/root/keyid", zeros())),
    (Code::SharedKey, |w| {
        let key = SigningKey::from_seed(&[4; 32]);
        actor(w, "principal", &key);
    }),
    (Code::SharedKey, |w| {
        let node = json!(w.keys.node.public());
        w.set("/predicate/verdicts/0/by", node);
    }),
    (Code::SharedKey, |w| {
        let node = w.keys.node.public();
        w.trust.log.vkey = receipts::note::vkey(&node);
        w.set("/predicate/actors/node/logOrigin", json!(receipts::note::log_name(&node)));
    }),
    (Code::AssociateSignature, |w| actor(w, "associate", &other())),
    (Code::NodeSignature, |w| actor(w, "node", &other())),
    (Code::RootUntrusted, |w| actor(w, "root", &other())),
    (Code::NodeUntrusted, |w| w.trust.keys.retain(|key| key.role != TrustedRole::Node)),
    (Code::LogUntrusted, |w| w.trust.log.vkey = receipts::note::vkey(&other().public())),
    (Code::LogUntrusted, |w| w.set("/predicate/actors/node/logOrigin", json!("ii-0000000000000000"))),
    (Code::Checkpoint, |w| w.file(CHECKPOINT, |text| *text = text.replacen("/2\n6\n", "/2\n7\n", 1))),
    (Code::Checkpoint, |w| w.file(CHECKPOINT, |text| text.push_str("\u{2014} other AAAA\n"))),
    (Code::Subject, |w| w.set("/subject/0/digest/sha256", zeros())),
    (Code::Subject, |w| w.set("/subject/0/name", json!("something"))),
    (Code::Subject, |w| {
        w.restate(|s| {
            let more = json!({"digest": {"sha256": "0".repeat(64)}, "name": "anchor-set"});
            s["subject"].as_array_mut().expect("subjects").push(more);
        });
    }),
    (Code::Origin, |w| w.set("/predicate/module/attempt", json!("3"))),
    (Code::Origin, |w| w.set("/predicate/anchorSet/origin", json!("elsewhere"))),
    (Code::Size, |w| w.set("/predicate/anchorSet/size", json!("7"))),
    (Code::Root, |w| w.set("/predicate/anchorSet/root", zeros())),
    (Code::TreeKind, |w| w.set("/predicate/anchorSet/leaf", json!("corpus"))),
    (Code::TreeKind, |w| w.set("/predicate/anchorSet/hash", json!("sha512"))),
    (Code::CountKinds, |w| w.restate(|s| drop(s["predicate"]["counts"].as_object_mut().expect("one").remove("error")))),
    (Code::CountSum, |w| w.set("/predicate/counts/error", json!("1"))),
    (Code::CountSum, |w| w.set("/predicate/counts/error", json!("18446744073709551615"))),
    (Code::Output, |w| {
        w.restate(|s| {
            s["predicate"]["counts"]["output"] = json!("2");
            s["predicate"]["counts"]["input"] = json!("0");
        });
    }),
    (Code::Disclosure, |w| w.file(DISCLOSURE, |text| *text = text.replacen("index 0", "index 00", 1))),
    (Code::Disclosure, |w| w.reprove(|proof| proof.extra = None)),
    (Code::DisclosureCheckpoint, |w| w.reprove(|proof| proof.checkpoint.push('x'))),
    (Code::DisclosureIndex, |w| w.reprove(|proof| proof.index = 1)),
    (Code::DisclosureIndex, |w| {
        let bytes = w.bundle.0[DISCLOSURE].clone();
        w.bundle.0.insert("disclosure-1.tlog-proof".to_owned(), bytes);
    }),
    (Code::Record, |w| w.reopen(|extra| extra["record"]["kind"] = json!("module_begin"))),
    (Code::Record, |w| w.reopen(|extra| extra["record"]["parent"] = json!("0"))),
    (Code::Record, |w| w.reopen(|extra| extra["record"]["fields"]["more"] = zeros())),
    (Code::Inclusion, |w| w.reprove(|proof| proof.hashes[0].0[0] ^= 1)),
    (Code::Inclusion, |w| {
        w.reprove(|proof| {
            proof.hashes.pop();
        })
    }),
    (Code::Inclusion, |w| w.reprove(|proof| proof.hashes.push(Digest::of(b"more")))),
    (Code::Inclusion, |w| w.reopen(|extra| extra["record"]["fields"]["policy"] = zeros())),
    (Code::Opening, |w| w.reopen(|extra| extra["open"]["attempt"]["value"] = json!("MQ=="))),
    (Code::Opening, |w| w.reopen(|extra| extra["open"]["run"]["salt"] = json!("0".repeat(32)))),
    (Code::Entry0, |w| w.reopen(|extra| drop(extra["open"].as_object_mut().expect("one").remove("run")))),
    (Code::Entry0, |w| w.set("/predicate/module/epoch", json!("4"))),
    (Code::Entry0, |w| {
        open_policy(w);
        w.set("/predicate/policy/digest", zeros());
    }),
    (Code::SpecCommit, |w| w.set("/predicate/module/specCommit", zeros())),
    (Code::Nullifier, |w| w.set("/predicate/nullifier", zeros())),
    (Code::Delegation, |w| w.file(UPPER, |text| text.push(' '))),
    (Code::Delegation, |w| {
        let statement = payload(&w.bundle, UPPER);
        put(&mut w.bundle, UPPER, &statement, &[&other()]);
    }),
    (Code::DelegationId, |w| w.set("/predicate/actors/associate/delegation", zeros())),
    (Code::DelegationId, |w| {
        let [upper, _] = chain(&w.keys);
        let mut again = grant(&w.keys.root, &w.keys.principal, DelegatedRole::Principal);
        again.not_after_ms += 1;
        let again = again.sign(&w.keys.root).expect("signs");
        assert_ne!(again.id(), upper.id());
        w.bundle.0.insert(UPPER.to_owned(), again.to_bytes().expect("bytes"));
    }),
    (Code::DelegationChain, |w| w.redelegate(true, |d| d.to = other().public())),
    (Code::DelegationChain, |w| w.redelegate(false, |d| d.role = DelegatedRole::Person)),
    (Code::DelegationChain, |w| {
        let associate = w.keys.associate.public();
        w.redelegate(false, |d| d.from = associate);
    }),
    (Code::DelegationDepth, |w| w.redelegate(true, |d| d.depth = 0)),
    (Code::DelegationDepth, |w| w.redelegate(false, |d| d.depth = 1)),
    (Code::DelegationTools, |w| w.redelegate(true, |d| d.tools = vec!["read".to_owned()])),
    (Code::DelegationTime, |w| w.redelegate(true, |d| d.not_before_ms = common::START + 1)),
    (Code::DelegationTime, |w| w.redelegate(false, |d| d.not_after_ms = common::END - 1)),
    (Code::DelegationModule, |w| w.redelegate(false, |d| d.modules = vec!["answer".to_owned()])),
    (Code::DelegationBudget, |w| w.redelegate(false, |d| d.budget.tokens = Decimal(14))),
    (Code::NoVerdict, |w| w.set("/predicate/verdicts", json!([]))),
    (Code::VerdictFailed, |w| w.set("/predicate/verdicts/0/passed", json!(false))),
    (Code::VerdictTwice, |w| w.set("/predicate/verdicts/0/criterion", json!("quotes-verbatim"))),
    (Code::VerdictTwice, |w| w.set("/predicate/verdicts/0/criterion", json!("Quotes_Verbatim"))),
    (Code::SelfJudged, |w| {
        let associate = json!(w.keys.associate.public());
        w.set("/predicate/verdicts/0/by", associate);
    }),
    (Code::VerifierUntrusted, |w| w.set("/predicate/verdicts/0/by", json!(other().public()))),
    (Code::Verdict, |w| w.file(VERDICT, |text| text.push(' '))),
    (Code::Verdict, |w| {
        let verifier = SigningKey::from_seed(&[5; 32]);
        w.rejudge(&verifier, |s| s["predicateType"] = json!("https://in-toto.io/attestation/svr/v0.1"));
    }),
    (Code::VerdictId, |w| w.set("/predicate/verdicts/1/statement", zeros())),
    (Code::VerdictSignature, |w| w.rejudge(&other(), |_| {})),
    (Code::VerdictDeliverable, |w| w.set("/predicate/verdicts/0/deliverable", zeros())),
    (Code::VerdictDeliverable, |w| {
        disclose(w, 3, &[]);
        let verifier = SigningKey::from_seed(&[5; 32]);
        w.rejudge(&verifier, |s| s["subject"][0]["digest"]["sha256"] = zeros());
        for place in 0..2 {
            w.set(&format!("/predicate/verdicts/{place}/deliverable"), zeros());
        }
    }),
    (Code::VerdictProperty, |w| {
        let verifier = SigningKey::from_seed(&[5; 32]);
        w.rejudge(&verifier, |s| s["predicate"]["properties"] = json!(["II_QUOTES_VERBATIM"]));
    }),
    (Code::VerdictPolicy, |w| w.set("/predicate/policy/digest", zeros())),
    (Code::VerdictTime, |w| {
        let verifier = SigningKey::from_seed(&[5; 32]);
        w.rejudge(&verifier, |s| s["predicate"]["timeCreated"] = json!("2027-01-01T00:00:00.000Z"));
    }),
    (Code::Parents, |w| w.restate(|s| s["predicate"]["parents"].as_array_mut().expect("parents").reverse())),
    (Code::Parents, |w| {
        w.restate(|s| {
            let parents = s["predicate"]["parents"].as_array_mut().expect("parents");
            parents[1] = parents[0].clone();
        });
    }),
    (Code::Corpora, |w| w.set("/predicate/corpora/0/size", json!("0"))),
    (Code::Corpora, |w| {
        w.restate(|s| {
            let corpora = s["predicate"]["corpora"].as_array_mut().expect("corpora");
            corpora.push(corpora[0].clone());
            corpora[1]["size"] = json!("8");
        });
    }),
    (Code::Earlier, |w| w.set("/predicate/earlier", json!([]))),
    (Code::Earlier, |w| w.set("/predicate/earlier/0/outcome", json!("completed"))),
    (Code::Policy, |w| w.set("/predicate/policy/decision", json!("deny"))),
    (Code::Skills, |w| w.set("/predicate/skills", json!([{"digest": "0".repeat(64), "name": ""}]))),
    (Code::Models, |w| w.set("/predicate/models/0/provider", json!(""))),
    (Code::Currency, |w| w.set("/predicate/usage/currency", json!("euro"))),
    (Code::Time, |w| w.set("/predicate/time/end", json!("2026-11-18T11:06:39.999Z"))),
    (Code::Time, |w| w.set("/predicate/time/start", json!("2026-11-18 11:06:40.000Z"))),
    (Code::Usage, |w| w.set("/predicate/usage/toolCalls", json!("1"))),
    (Code::Usage, |w| w.set("/predicate/usage/wallMs", json!("5001"))),
    (Code::NonClaims, |w| w.set("/predicate/actors/custody", json!("two-hosts"))),
    (Code::NonClaims, |w| w.set("/predicate/nonClaims", json!([]))),
    (Code::LedgerHead, |w| {
        w.anchor(1);
        w.trust.ledger.as_mut().expect("trusted").vkey = vkey(&SigningKey::from_seed(&[60; 32]).public());
    }),
    (Code::LedgerHead, |w| {
        w.anchor(1);
        let stranger = Cosigner::of(SigningKey::from_seed(&[60; 32]).public()).vkey();
        w.trust.ledger.as_mut().expect("trusted").witnesses = vec![stranger];
    }),
    (Code::LedgerHead, |w| {
        // A line that nobody checks could be changed by anybody.
        w.anchor(0);
        w.trust.ledger.as_mut().expect("trusted").witnesses.clear();
    }),
    (Code::LedgerHead, |w| {
        w.anchor(1);
        w.file(LOGGED, |text| *text = text.replacen("\n5\n", "\n6\n", 1));
    }),
    (Code::LedgerProof, |w| {
        w.anchor(1);
        w.file(LOGGED, |text| *text = text.replacen("index 2\n", "index 1\n", 1));
    }),
    (Code::LedgerProof, |w| {
        w.anchor(1);
        w.file(LOGGED, |text| *text = text.replacen("index 2\n", "extra eA==\nindex 2\n", 1));
    }),
    (Code::LedgerProof, |w| {
        w.anchor(1);
        w.file(LOGGED, |text| *text = text.replacen("@v1", "@v2", 1));
    }),
    (Code::LedgerHead, |w| {
        w.anchor(1);
        w.file(LOGGED, |text| text.push('x'));
    }),
    (Code::LedgerProof, |w| {
        // The place of another receipt.
        w.anchor_as(Digest([70; 32]));
    }),
    (Code::LedgerProof, |w| {
        w.anchor(1);
        w.bundle.0.remove(LOGGED);
    }),
    (Code::LedgerBlock, |w| {
        w.anchor(1);
        w.file(BLOCK, |text| text.push('\n'));
    }),
    (Code::LedgerBlock, |w| {
        w.anchor(1);
        w.block(|_ledger, block| drop(block.certificate.pop()));
    }),
    (Code::LedgerBlock, |w| {
        w.anchor(1);
        w.block(|_ledger, block| block.certificate[2] = block.certificate[1].clone());
    }),
    (Code::LedgerBlock, |w| {
        w.anchor(1);
        w.block(|ledger, block| {
            block.block.network = Digest([1; 32]);
            block.certificate = ledger.validators[..3].iter().map(|key| block.block.vote(key)).collect();
        });
    }),
    (Code::LedgerAnchor, |w| {
        w.chain();
        w.file(ANCHOR, |text| text.push('\n'));
    }),
    (Code::LedgerAnchor, |w| {
        // The place of another receipt in the batch.
        w.chain();
        w.file(ANCHOR, |text| *text = text.replacen("\"index\":\"1\"", "\"index\":\"0\"", 1));
    }),
    (Code::LedgerAnchor, |w| {
        // Another place in the block.
        w.chain();
        w.file(ANCHOR, |text| *text = text.replacen("\"position\":\"1\"", "\"position\":\"0\"", 1));
    }),
    (Code::LedgerAnchor, |w| {
        // The anchor of another receipt.
        w.chain();
        common::anchored(&mut w.bundle, Digest([9; 32]), Digest([9; 32]));
    }),
    (Code::LedgerWork, |w| {
        w.chain();
        let harder = Target::from_bits(0x1d00_ffff).expect("a target");
        w.trust.chain.as_mut().expect("trusted").easiest = harder;
    }),
    (Code::Countersignature, |w| {
        w.bundle.0.insert(countersignature(0), b"{}".to_vec());
    }),
    (Code::CountersignatureReceipt, |w| {
        let word = Countersignature::of(Digest::of(b"another"), &Outcome::Valid, other().public(), (0, 1));
        let payload = word.expect("valid").payload().expect("encodes");
        let envelope = Envelope::sign(IN_TOTO, payload, &[&other()]).expect("signs");
        w.bundle.0.insert(countersignature(0), envelope.to_bytes().expect("bytes"));
    }),
    (Code::LedgerBlock, |w| {
        // A block over another head of the same log.
        w.anchor(1);
        w.block(|ledger, block| {
            block.block.size = Decimal(4);
            block.certificate = ledger.validators[..3].iter().map(|key| block.block.vote(key)).collect();
        });
    }),
];

#[test]
fn the_receipt_that_is_mutated_is_good() {
    let world = World::new();
    assert_eq!(world.outcome(), Outcome::Unanchored);
    let by_folder = verify(&world.bundle, &world.trust, TrustOrigin::Folder, &|_| true);
    assert_eq!(by_folder.outcome, Outcome::SelfTrust);
    let lonely = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|parent| parent.0 != common::PARENT);
    assert_eq!(lonely.outcome, Outcome::UnresolvedParent(Digest(common::PARENT)));
}

#[test]
fn with_a_trusted_ledgers_evidence_a_receipt_is_all_it_can_be() {
    let mut world = World::new();
    world.anchor(1);
    assert_eq!(world.outcome(), Outcome::Valid);
    let found = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|_| true);
    assert_eq!(found.not_made.len(), 2, "{:?}", found.not_made);
    let by_folder = verify(&world.bundle, &world.trust, TrustOrigin::Folder, &|_| true);
    assert_eq!(by_folder.outcome, Outcome::SelfTrust);
    // Without a block it is in the log and no more; without a quorum nobody else saw the head.
    let block = world.bundle.0.remove(BLOCK).expect("there");
    assert_eq!(world.outcome(), Outcome::Unanchored);
    world.bundle.0.insert(BLOCK.to_owned(), block);
    world.trust.ledger = Some(fixed_ledger().trusted(0));
    assert_eq!(world.outcome(), Outcome::Unwitnessed);
    // Evidence of a ledger that nobody trusts is not looked at, and that is said.
    world.trust.ledger = None;
    let found = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|_| true);
    assert_eq!(found.outcome, Outcome::Unanchored);
    assert!(found.not_made[0].contains("no ledger is trusted"), "{:?}", found.not_made);
}

#[test]
fn more_may_be_disclosed() {
    let mut world = World::new();
    open_policy(&mut world);
    disclose(&mut world, 3, &["deliverable"]);
    disclose(&mut world, 5, &["outcome"]);
    assert_eq!(world.outcome(), Outcome::Unanchored);
}

#[test]
fn every_mutation_is_refused_with_its_own_code_and_every_code_has_one() {
    for (number, (code, mutate)) in MUTATIONS.iter().enumerate() {
        let mut world = World::new();
        mutate(&mut world);
        assert_eq!(world.outcome(), Outcome::Invalid(*code), "mutation {number}, wanted {code}");
    }
    let mut met: BTreeSet<Code> = MUTATIONS.iter().map(|(code, _)| *code).collect();
    // Only a curation has a collection: `curation.rs` leads to it.
    met.insert(Code::Collection);
    let never: Vec<&Code> = Code::ALL.iter().filter(|code| !met.contains(code)).collect();
    assert_eq!(never, Vec::<&Code>::new(), "codes that nothing leads to");
}

#[test]
fn in_a_trusted_chain_a_receipt_is_all_it_can_be() {
    let mut world = World::new();
    world.chain();
    assert_eq!(world.outcome(), Outcome::Valid);
    let found = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|_| true);
    assert!(found.not_made[0].contains("compares nothing"), "{:?}", found.not_made);
    assert!(found.made.iter().any(|check| check.contains("names")), "{:?}", found.made);
    let chain = world.trust.chain.clone().expect("trusted");
    let mut with = |depth: u64, blocks: &[BlockHash]| {
        let (depth, blocks) = (Decimal(depth), blocks.to_vec());
        world.trust.chain = Some(TrustedChain { depth, blocks, ..chain.clone() });
        world.outcome()
    };
    assert_eq!(with(2, &chain.blocks), Outcome::Valid);
    assert_eq!(with(4, &chain.blocks), Outcome::Unanchored, "not as deep as is wanted");
    assert_eq!(with(3, &[]), Outcome::Unwitnessed, "by headers that anybody may have made");
    // A chain that nobody trusts is not looked at, and that is said.
    world.trust.chain = None;
    let found = verify(&world.bundle, &world.trust, TrustOrigin::Pinned, &|_| true);
    assert_eq!(found.outcome, Outcome::Unanchored);
    assert!(found.not_made[0].contains("no ledger is trusted"), "{:?}", found.not_made);
}

/// Two heads of one tree: the last entry cut off, everything else made to fit by somebody who has all keys but the log's.
#[test]
fn a_truncated_tail_does_not_verify() {
    let mut world = World::new();
    let text = String::from_utf8(world.bundle.0[CHECKPOINT].clone()).expect("text");
    let head = Checkpoint::open(&text, &world.keys.log.public()).expect("opens");
    let shorter = Checkpoint { size: head.size - 1, ..head }.sign(&other());
    world.bundle.0.insert(CHECKPOINT.to_owned(), shorter.into_bytes());
    assert_eq!(world.outcome(), Outcome::Invalid(Code::Checkpoint));
}

#[test]
fn no_flipped_bit_of_any_file_verifies() {
    let mut good = World::new();
    good.anchor(1);
    assert_eq!(good.outcome(), Outcome::Valid);
    good.chain();
    assert_eq!(good.outcome(), Outcome::Valid);
    for (name, bytes) in &good.bundle.0 {
        for at in 0..bytes.len() {
            let mut bundle = good.bundle.clone();
            bundle.0.get_mut(name).expect("the file")[at] ^= 1 << (at % 8);
            let found = verify(&bundle, &good.trust, TrustOrigin::Pinned, &|_| true);
            // In a chain where every second header has work, a changed one may be another, which nobody knows.
            let holds = if name == ANCHOR { found.outcome == Outcome::Valid } else { found.outcome.is_valid() };
            assert!(!holds, "{name} byte {at}");
        }
        for cut in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            let mut bundle = good.bundle.clone();
            bundle.0.get_mut(name).expect("the file").truncate(cut);
            assert!(
                !verify(&bundle, &good.trust, TrustOrigin::Pinned, &|_| true).outcome.is_valid(),
                "{name} cut {cut}"
            );
        }
    }
}

#[test]
fn the_format_page_lists_every_result_and_every_code() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/RECEIPT-FORMAT.md");
    let text = std::fs::read_to_string(page).expect("the page");
    // Only the table of codes: some kinds of entries and files are spelled the same.
    let (before, codes) = text.split_once("### Codes").expect("the section");
    let listed: Vec<&str> = codes.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let all: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, all);
    let parent = Outcome::UnresolvedParent(Digest::of(b""));
    for outcome in [Outcome::Valid, Outcome::SelfTrust, Outcome::Unwitnessed, Outcome::Unanchored, parent] {
        assert!(before.contains(&format!("| `{}` |", outcome.as_text())), "{outcome:?}");
    }
}
