//! Receipts of curations: what verifies, what does not, and what an altered record of a log shows.

mod common;

use std::collections::BTreeMap;

use common::{END, Keys, START, chain, files_of, fixed_ledger, grant, keys, payload, put, trust};
use receipts::{
    BenefitClass, Digest,
    bundle::{self, Bundle, RECEIPT},
    canonical::canonical,
    checkpoint::Checkpoint,
    commit::commit,
    corpus::CorpusEntry,
    curation::{
        Curated, CurationInput, Head, Header, Ingest, LogError, LogReader, LogWriter, Reckoned, Refused, Removed,
        Steps, Transform, seal,
    },
    delegation::DelegatedRole,
    delegation::Delegation,
    integer::Decimal,
    ledger::{
        entry::LogEntry,
        submission::{Admission, Submission, admit},
    },
    merkle::{Frontier, leaf_hash},
    note::{log_name, vkey},
    seal::SealKeys,
    statement::Custody,
    tlog_proof::TlogProof,
    verify::{Code, LogCheck, Outcome, TrustOrigin, credited_twice, verify},
};
use serde_json::{Value, json};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn curated(source: &str, salt: u8) -> Curated {
    Curated {
        source: source.to_owned(),
        read: digest(&format!("bytes of {source}")),
        bytes: 40,
        media: "text/html".to_owned(),
        kept: digest(&format!("text of {source}")),
        licence: "CC-BY-4.0".to_owned(),
        steps: Steps {
            chunker: "passages/1".to_owned(),
            decoding: Some("windows-1252".to_owned()),
            reader: "text/html/2".to_owned(),
            unpacking: Some("gzip".to_owned()),
        },
        salt: [salt; 16],
    }
}

fn transforms() -> Vec<Transform> {
    let gone = Removed {
        source: "c.md".to_owned(),
        read: digest("c"),
        bytes: 1,
        media: "text/markdown".to_owned(),
        salt: [3; 16],
    };
    let steps = Steps { decoding: None, unpacking: None, ..curated("", 0).steps };
    vec![
        Transform::Added(curated("a.html", 1)),
        Transform::Changed(Curated { licence: String::new(), steps, ..curated("b.html", 2) }),
        Transform::Removed(gone),
        Transform::Refused(Refused { source: "d.md".to_owned(), read: Some(digest("d")), reason: "binary".to_owned() }),
        Transform::Refused(Refused { source: "e".to_owned(), read: None, reason: "symbolic link".to_owned() }),
    ]
}

/// The corpus of three documents that the ingest begins from.
fn before() -> Frontier {
    let mut corpus = Frontier::new();
    (0..3_u8).for_each(|number| corpus.push(leaf_hash(&[number])));
    corpus
}

fn corpus_leaf(transform: &Transform) -> Option<Digest> {
    let (op, salt, doc, bytes, media) = match transform {
        Transform::Added(of) => ("add", of.salt, of.read, of.bytes, &of.media),
        Transform::Changed(of) => ("replace", of.salt, of.read, of.bytes, &of.media),
        Transform::Removed(of) => ("remove", of.salt, of.read, of.bytes, &of.media),
        Transform::Refused(_) => return None,
    };
    let path = commit("path", &salt, transform.source().as_bytes());
    let entry = CorpusEntry { bytes: Decimal(bytes), doc, media, op, path };
    Some(leaf_hash(&entry.to_bytes().expect("bytes")))
}

fn log_of(keys: &Keys, transforms: &[Transform]) -> String {
    let mut corpus = before();
    let before = corpus.clone();
    transforms.iter().filter_map(corpus_leaf).for_each(|leaf| corpus.push(leaf));
    let of = Ingest {
        collection: format!("{}/corpus/00112233445566aa", log_name(&keys.log.public())),
        revision: 4,
        policy: r#"{"readers":"2"}"#.to_owned(),
        began_ms: START,
    };
    let after = Head { root: corpus.root(), size: Decimal(corpus.size()) };
    let header = Header::new(&before, after, [8; 32], of);
    let mut writer = LogWriter::new(&header);
    let mut log = header.to_line().expect("a line");
    for transform in transforms {
        log.extend(writer.line(transform).expect("a line"));
    }
    String::from_utf8(log).expect("text")
}

/// Reads a log as a sealer does.
fn reckoned(keys: &Keys, log: &str) -> Result<Reckoned, LogError> {
    let mut lines = log.lines();
    let header = Header::parse(lines.next().unwrap_or_default().as_bytes())?;
    let mut reader = LogReader::new(header, &keys.associate.public())?;
    for line in lines {
        reader.line(line.as_bytes())?;
    }
    reader.finish()
}

fn bundle_of(keys: &Keys, log: &str) -> Bundle {
    let links = chain(keys);
    let input = CurationInput {
        network: digest("ii dev network 1"),
        root: keys.root.public(),
        principal: (keys.principal.public(), links[0].id()),
        associate_delegation: links[1].id(),
        judged_ms: END,
        custody: Custody::OneProcess,
    };
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    files_of(keys, seal(&input, &reckoned(keys, log).expect("a log"), &seal_keys).expect("seals"))
}

struct World {
    keys: Keys,
    log: String,
    bundle: Bundle,
}

impl World {
    fn new() -> Self {
        let keys = keys();
        let log = log_of(&keys, &transforms());
        Self { bundle: bundle_of(&keys, &log), log, keys }
    }

    fn outcome(&self) -> Outcome {
        verify(&self.bundle, &trust(&self.keys), TrustOrigin::Pinned, &|_| false).outcome
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

    /// Checks a log against the receipt.
    fn check(&self, log: &str) -> Result<Reckoned, LogError> {
        let mut lines = log.lines();
        let first = lines.next().unwrap_or_default();
        let mut check = LogCheck::new(&self.bundle, first.as_bytes())?.expect("a curation");
        for line in lines {
            check.reader().line(line.as_bytes())?;
        }
        check.finish()
    }
}

#[test]
fn a_curation_verifies_and_its_log_leads_to_it() {
    let world = World::new();
    let found = verify(&world.bundle, &trust(&world.keys), TrustOrigin::Pinned, &|_| false);
    assert_eq!((found.outcome, found.class), (Outcome::Unanchored, Some(BenefitClass::DataCuration)));
    let log = world.check(&world.log).expect("its log");
    let counts: Vec<(&str, u64)> = log.counts.iter().map(|(word, count)| (word.as_str(), count.0)).collect();
    assert_eq!(counts, [("added", 1), ("changed", 1), ("refused", 2), ("removed", 1)]);
    let text = String::from_utf8(world.bundle.0.values().flatten().copied().collect()).expect("text");
    for private in ["a.html", "CC-BY", "binary"] {
        assert!(!text.contains(private), "{private} stands in a file of the receipt");
    }
}

/// Whoever changes a byte of the format changes these, knowingly.
#[test]
fn the_bytes_of_a_curation_are_frozen() {
    let world = World::new();
    let found = verify(&world.bundle, &trust(&world.keys), TrustOrigin::Pinned, &|_| false);
    let id = found.receipt.expect("an id").to_string();
    let files =
        canonical(&world.bundle.0.iter().map(|(name, file)| (name, Digest::of(file))).collect::<BTreeMap<_, _>>());
    let frozen = [digest(&world.log), Digest::of(&files.expect("canonical"))].map(|digest| digest.to_string());
    assert_eq!(id, "bb2fafc3f2fa078524bdc6fc7556e22922fa6cb946dc19af76e4057a6dbbd5c1");
    assert_eq!(frozen[0], "084860f6ecf35108cbb5cbfce31add246f47e7a616213bc40f99525029bf1a76");
    assert_eq!(frozen[1], "175ea3663c8e973b770d363529d098e9898af25cd7de4062c44a27b1c926c2b3");
}

#[test]
fn every_flipped_byte_of_every_file_is_refused() {
    let mut world = World::new();
    for (name, bytes) in world.bundle.0.clone() {
        for at in (0..bytes.len()).step_by(11) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            world.bundle.0.insert(name.clone(), changed);
            assert!(matches!(world.outcome(), Outcome::Invalid(_)), "byte {at} of {name}");
        }
        world.bundle.0.insert(name, bytes);
    }
    assert_eq!(world.outcome(), Outcome::Unanchored);
}

type Mutation = fn(&mut World);

const OF_THE_STATEMENT: &[(Code, Mutation)] = &[
    (Code::Spec, |w| w.set("/predicate/spec", json!("2.0.0"))),
    (Code::BenefitClass, |w| w.set("/predicate/benefitClass", json!("Agent-Orchestration"))),
    (Code::Shape, |w| w.set("/predicateType", json!("https://ii.example/pob/agent-orchestration/v1"))),
    (Code::Shape, |w| w.set("/predicate/benefitClass", json!("Curation"))),
    (Code::Status, |w| w.set("/predicate/status", json!("partial"))),
    (Code::Network, |w| w.set("/predicate/network", json!(Digest([1; 32])))),
    (Code::CountKinds, |w| w.set("/predicate/counts", json!({"added": "5"}))),
    (Code::CountSum, |w| w.set("/predicate/counts/added", json!("2"))),
    (Code::Collection, |w| {
        w.set("/predicate/counts/added", json!("2"));
        w.set("/predicate/counts/refused", json!("1"));
    }),
    (Code::Collection, |w| w.set("/predicate/collection/after/size", json!("7"))),
    (Code::Collection, |w| w.set("/predicate/collection/before/size", json!("18446744073709551615"))),
    (Code::Nullifier, |w| w.set("/predicate/collection/before/root", json!(Digest([2; 32])))),
    (Code::Nullifier, |w| w.set("/predicate/nullifier", json!(Digest([2; 32])))),
    (Code::Entry0, |w| w.set("/predicate/collection/after/root", json!(Digest([2; 32])))),
    // Entry 0 commits to the policy and does not open it; the verdict names it.
    (Code::VerdictPolicy, |w| w.set("/predicate/policy/digest", json!(Digest([2; 32])))),
    (Code::Origin, |w| w.set("/predicate/collection/revision", json!("5"))),
    (Code::Origin, |w| w.set("/predicate/collection/origin", json!("ii-0000000000000000/corpus/00112233445566aa"))),
    (Code::TreeKind, |w| w.set("/predicate/anchorSet/leaf", json!("trace"))),
    (Code::Size, |w| w.set("/predicate/anchorSet/size", json!("8"))),
    (Code::Policy, |w| w.set("/predicate/policy/decision", json!("deny"))),
    (Code::Time, |w| w.set("/predicate/time/end", json!("2020-01-01T00:00:00.000Z"))),
    (Code::NonClaims, |w| w.set("/predicate/nonClaims", json!([]))),
    (Code::NoVerdict, |w| w.set("/predicate/verdicts", json!([]))),
    (Code::VerdictDeliverable, |w| w.set("/predicate/verdicts/0/deliverable", json!(Digest([2; 32])))),
    (Code::SelfJudged, |w| {
        let own = w.keys.associate.public();
        w.set("/predicate/verdicts/0/by", json!(own));
    }),
    (Code::SharedKey, |w| {
        let node = w.keys.node.public();
        w.set("/predicate/verdicts/0/by", json!(node));
    }),
    (Code::DelegationModule, |w| {
        let mut lower: Delegation = grant(&w.keys.principal, &w.keys.associate, DelegatedRole::Associate);
        lower.modules = vec!["answer".to_owned()];
        let envelope = lower.sign(&w.keys.principal).expect("signs");
        w.bundle.0.insert(bundle::delegation(1), envelope.to_bytes().expect("bytes"));
        w.set("/predicate/actors/associate/delegation", json!(envelope.id()));
    }),
    (Code::MissingDisclosure, |w| drop(w.bundle.0.remove(&bundle::disclosure(0)))),
    (Code::MissingVerdict, |w| drop(w.bundle.0.remove(&bundle::verdict(0)))),
];

#[test]
fn what_an_insider_would_restate_is_refused_with_its_own_code() {
    for (number, (code, mutate)) in OF_THE_STATEMENT.iter().enumerate() {
        let mut world = World::new();
        mutate(&mut world);
        assert_eq!(world.outcome(), Outcome::Invalid(*code), "mutation {number}");
    }
}

#[test]
fn an_altered_record_of_the_log_is_named() {
    let world = World::new();
    let lines: Vec<&str> = world.log.lines().collect();
    for at in 1..lines.len() {
        let record: serde_json::Map<String, Value> = serde_json::from_str(lines[at]).expect("JSON");
        for field in record.keys() {
            let mut altered = record.clone();
            altered[field] = match &record[field] {
                Value::String(hex) if hex.len() == 64 => json!(Digest([5; 32])),
                Value::String(hex) if hex.len() == 32 && field == "salt" => json!("05".repeat(16)),
                Value::String(number) if field == "bytes" => json!(format!("{number}1")),
                Value::String(kind) if field == "kind" && kind == "added" => json!("changed"),
                Value::String(kind) if field == "kind" && kind == "changed" => json!("added"),
                Value::String(text) => json!(format!("{text}x")),
                steps => {
                    let mut steps = steps.clone();
                    steps["reader"] = json!("text/plain/2");
                    steps
                }
            };
            let altered = String::from_utf8(canonical(&altered).expect("canonical")).expect("text");
            let mut log = lines.clone();
            log[at] = &altered;
            let found = world.check(&log.join("\n"));
            let line = at as u64 + 1;
            let named =
                matches!(&found, Err(LogError::Altered { line: at, .. } | LogError::Line { line: at }) if *at == line);
            assert!(named, "{field} of line {line}: {found:?}");
        }
    }
}

#[test]
fn a_log_that_was_written_anew_is_not_the_one_that_was_sealed() {
    let world = World::new();
    let log = |change: fn(&mut Vec<Transform>)| {
        let mut all = transforms();
        change(&mut all);
        log_of(&world.keys, &all)
    };
    let other = [
        log(|all| drop(all.remove(0))),
        log(|all| drop(all.remove(3))),
        log(|all| all.swap(0, 1)),
        log(|all| all.push(Transform::Added(curated("z.html", 9)))),
        log(|all| {
            if let Transform::Added(of) = &mut all[0] {
                of.licence = "MIT".to_owned();
            }
        }),
    ];
    for log in &other {
        assert!(matches!(world.check(log), Err(LogError::OtherIngest | LogError::Other { .. })), "{log}");
    }
    // What was licensed otherwise leads to the same corpus.
    assert!(matches!(world.check(&other[4]), Err(LogError::Other { what: "the tree over its lines" })));
    let cut = world.log.lines().take(3).collect::<Vec<_>>().join("\n");
    assert!(matches!(world.check(&cut), Err(LogError::Corpus)));
    // A line of what was refused leads to the same corpus; the tree over the lines tells.
    let refused_less = world.log.lines().take(5).collect::<Vec<_>>().join("\n");
    assert!(matches!(world.check(&refused_less), Err(LogError::Other { what: "the tree over its lines" })));
    let mut lines: Vec<String> = world.log.lines().map(str::to_owned).collect();
    lines[0] = lines[0].replace("\"size\":\"3\"", "\"size\":\"4\"");
    assert!(matches!(world.check(&lines.join("\n")), Err(LogError::OtherIngest)));
    lines[0] = lines[0].replace("\"size\":\"4\"", "\"size\":\"3\"").replacen("\"roots\":[\"", "\"roots\":[\"00", 1);
    assert!(matches!(world.check(&lines.join("\n")), Err(LogError::Header)));
}

#[test]
fn one_document_is_disclosed_and_proved_alone() {
    let world = World::new();
    let associate = world.keys.associate.public();
    for index in 1..=5_u64 {
        let mut lines = world.log.lines();
        let header = Header::parse(lines.next().expect("a line").as_bytes()).expect("a header");
        let mut reader = LogReader::proving(header, &associate, index, 7).expect("a reader");
        let mut disclosed = None;
        for line in lines {
            let line = reader.line(line.as_bytes()).expect("a line");
            if line.index == index {
                disclosed = reader.disclosure(&line, &["read", "source"]).expect("encodes");
                assert_eq!(reader.disclosure(&line, &["prompt"]), Ok(None));
            }
        }
        let disclosed = disclosed.expect("disclosed");
        let hashes = reader.finish().expect("a log").proof;
        let checkpoint = String::from_utf8(world.bundle.0[bundle::CHECKPOINT].clone()).expect("text");
        let extra = Some(disclosed.to_extra().expect("bytes"));
        let proof = TlogProof { extra, index, hashes, checkpoint };
        let mut one = World::new();
        one.bundle.0.insert(bundle::disclosure(index), proof.to_text().into_bytes());
        assert_eq!(one.outcome(), Outcome::Unanchored, "{index}");
        let mut lied = disclosed.clone();
        lied.open.get_mut("source").expect("open").value.push(b'x');
        let lied = TlogProof { extra: Some(lied.to_extra().expect("bytes")), ..proof.clone() };
        one.bundle.0.insert(bundle::disclosure(index), lied.to_text().into_bytes());
        assert_eq!(one.outcome(), Outcome::Invalid(Code::Opening), "{index}");
        let mut other = disclosed;
        other.record.fields.insert("source".to_owned(), Digest([1; 32]));
        other.open.clear();
        let other = TlogProof { extra: Some(other.to_extra().expect("bytes")), ..proof };
        one.bundle.0.insert(bundle::disclosure(index), other.to_text().into_bytes());
        assert_eq!(one.outcome(), Outcome::Invalid(Code::Inclusion), "{index}");
    }
}

#[test]
fn a_head_is_gone_on_from_once_wherever_it_led() {
    let world = World::new();
    let other = bundle_of(&world.keys, &log_of(&world.keys, &[Transform::Added(curated("z.html", 9))]));
    let trust = trust(&world.keys);
    let found = [("one", &world.bundle), ("other", &other)]
        .map(|(name, bundle)| (name.to_owned(), verify(bundle, &trust, TrustOrigin::Pinned, &|_| false)));
    assert_ne!(found[0].1.receipt, found[1].1.receipt);
    assert_eq!(found[0].1.nullifier, found[1].1.nullifier);
    assert_eq!(credited_twice(&BTreeMap::from(found)), ["other"]);
}

#[test]
fn nothing_is_sealed_that_every_verifier_would_refuse() {
    let keys = keys();
    let links = chain(&keys);
    let input = CurationInput {
        network: digest("ii dev network 1"),
        root: keys.root.public(),
        principal: (keys.principal.public(), links[0].id()),
        associate_delegation: links[1].id(),
        judged_ms: START - 1,
        custody: Custody::OneProcess,
    };
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    let code = |input: &CurationInput, log: &str| match seal(input, &reckoned(&keys, log).expect("a log"), &seal_keys) {
        Err(receipts::seal::SealError::Refused { code }) => Some(code),
        _other => None,
    };
    assert_eq!(code(&input, &log_of(&keys, &transforms())), Some(Code::Time));
    // An ingest that changed nothing gives no receipt.
    assert_eq!(
        code(&CurationInput { judged_ms: END, ..input }, &log_of(&keys, &transforms()[3..])),
        Some(Code::Collection)
    );
}

#[test]
fn a_ledger_admits_it_as_its_own_class_and_its_evidence_verifies() {
    let mut world = World::new();
    let trust_of = trust(&world.keys);
    let log = vkey(&world.keys.log.public());
    let network = digest("ii dev network 1");
    let submission = Submission::from_bundle(&world.bundle, &log).expect("a submission");
    let admitted = admit(submission.clone(), &network, &Admission::Open, &Delegation::open).expect("admitted");
    assert_eq!(admitted.entry.class, BenefitClass::DataCuration);
    let mut changed = submission;
    changed.disclosure = changed.disclosure.replacen("index 0", "index 1", 1);
    assert!(admit(changed, &network, &Admission::Open, &Delegation::open).is_err());

    let ledger = fixed_ledger();
    let mut tree = receipts::merkle::Tree::new();
    tree.push(admitted.entry.leaf());
    let proof = |checkpoint: String| TlogProof { extra: None, index: 0, hashes: Vec::new(), checkpoint };
    world.bundle.0.insert(bundle::LOGGED.to_owned(), proof(ledger.head(&tree)).to_text().into_bytes());
    let block = canonical(&ledger.block(&tree, network)).expect("canonical");
    world.bundle.0.insert(bundle::BLOCK.to_owned(), block);
    let trusted = receipts::trust::Trust { ledger: Some(ledger.trusted(1)), ..trust_of };
    let outcome = |bundle: &Bundle| verify(bundle, &trusted, TrustOrigin::Pinned, &|_| false).outcome;
    assert_eq!(outcome(&world.bundle), Outcome::Valid);
    // Logged as work of agents, it is not this receipt's credit.
    let mut tree = receipts::merkle::Tree::new();
    tree.push(LogEntry { class: BenefitClass::AgentOrchestration, ..admitted.entry }.leaf());
    world.bundle.0.insert(bundle::LOGGED.to_owned(), proof(ledger.head(&tree)).to_text().into_bytes());
    assert_eq!(outcome(&world.bundle), Outcome::Invalid(Code::LedgerProof));
}

#[test]
fn a_log_of_many_documents_takes_no_memory_for_each() {
    let keys = keys();
    let many: Vec<Transform> = (0..300).map(|number| Transform::Added(curated(&format!("{number}.html"), 1))).collect();
    let log = log_of(&keys, &many);
    let found = reckoned(&keys, &log).expect("a log");
    assert_eq!((found.size, found.proof.len()), (302, 9));
    let head = Checkpoint { origin: String::new(), size: 303, root: found.header.after.root };
    assert_eq!((found.header.after().size, found.header.after().root), (head.size, head.root));
}
