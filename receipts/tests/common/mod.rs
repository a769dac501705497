//! A receipt of fixed keys, ids and times, and the means to make a wrong one.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::collections::BTreeMap;

use receipts::{
    Digest,
    bitcoin::{
        anchor::{Anchor, InBatch, InBlock, TrustedChain},
        branch::branch,
        hash::{BlockHash, Txid},
        header::{Header, Target},
        transaction::{Coin, Transaction},
    },
    bundle::{self, Bundle},
    canonical::canonical,
    checkpoint::Checkpoint,
    commit::AttemptKey,
    cosignature::Cosigner,
    delegation::{DelegatedBudget, DelegatedRole, Delegation},
    dsse::{Envelope, IN_TOTO},
    entry::{CallEnd, Entry},
    integer::Decimal,
    keys::{SigningKey, key_id},
    ledger::{
        block::{Block, CertifiedBlock},
        entry::{BenefitClass, LogEntry},
        trusted::TrustedLedger,
    },
    merkle::Tree,
    note::{log_name, vkey},
    seal::{SealInput, SealKeys, Sealed, UsedModel, seal},
    statement::{CorpusHead, Custody, Earlier, ModelLevel, Parent, Relation, Usage},
    tlog_proof::TlogProof,
    trace::TraceEntry,
    trust::{Trust, TrustedKey, TrustedLog, TrustedRole},
};
use serde_json::Value;
use uuid::Uuid;

pub struct Keys {
    pub root: SigningKey,
    pub principal: SigningKey,
    pub associate: SigningKey,
    pub node: SigningKey,
    pub verifier: SigningKey,
    pub log: SigningKey,
}

pub fn keys() -> Keys {
    let key = |number| SigningKey::from_seed(&[number; 32]);
    Keys { root: key(1), principal: key(2), associate: key(3), node: key(4), verifier: key(5), log: key(6) }
}

pub const START: u64 = 1_795_000_000_000;
pub const END: u64 = START + 5_000;
pub const PARENT: [u8; 32] = [0xaa; 32];
/// The attempt's secret.
pub const SECRET: [u8; 32] = [9; 32];

pub fn grant(from: &SigningKey, to: &SigningKey, role: DelegatedRole) -> Delegation {
    let most = Decimal(1_000_000);
    Delegation {
        from: from.public(),
        to: to.public(),
        role,
        modules: vec!["*".to_owned()],
        tools: vec!["*".to_owned()],
        budget: DelegatedBudget { cost_micro: most, tokens: most, tool_calls: most },
        not_before_ms: START - 1,
        not_after_ms: END + 1,
        depth: if role == DelegatedRole::Principal { 1 } else { 0 },
    }
}

pub fn chain(keys: &Keys) -> [Envelope; 2] {
    [
        grant(&keys.root, &keys.principal, DelegatedRole::Principal).sign(&keys.root).expect("signs"),
        grant(&keys.principal, &keys.associate, DelegatedRole::Associate).sign(&keys.principal).expect("signs"),
    ]
}

pub fn trust(keys: &Keys) -> Trust {
    let trusted = |role, key: &SigningKey| TrustedKey { role, keyid: key_id(&key.public()), public: key.public() };
    Trust {
        network: Digest::of(b"ii dev network 1"),
        keys: vec![
            trusted(TrustedRole::Root, &keys.root),
            trusted(TrustedRole::Principal, &keys.principal),
            trusted(TrustedRole::Associate, &keys.associate),
            trusted(TrustedRole::Verifier, &keys.verifier),
            trusted(TrustedRole::Node, &keys.node),
        ],
        log: TrustedLog { vkey: vkey(&keys.log.public()) },
        ledger: None,
        chain: None,
    }
}

pub fn entries(keys: &Keys, calls: usize) -> Vec<TraceEntry> {
    let policy = Digest::of(b"policy");
    let start = Entry::ModuleStart {
        run: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        module: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0002),
        attempt: 2,
        epoch: 3,
        spec: br#"{"question":"q"}"#.to_vec(),
        associate: keys.associate.public(),
        policy,
    };
    let mut entries = vec![TraceEntry { entry: start, parent: None }];
    let mut add = |entry, parent| entries.push(TraceEntry { entry, parent: Some(parent) });
    add(Entry::Input { source: "input".to_owned(), digest: Digest::of(b"input") }, 0);
    for number in 0..calls {
        add(
            Entry::ModelCall {
                model: "extractive".to_owned(),
                request: Digest::of(&number.to_be_bytes()),
                response: Digest::of(b"response"),
                tokens_in: 10,
                tokens_out: 5,
                cost_micro: 0,
                outcome: CallEnd::Done,
            },
            0,
        );
    }
    let deliverable = Digest::of(b"deliverable");
    let output = calls as u64 + 2;
    add(Entry::Output { deliverable }, 0);
    let by = keys.verifier.public();
    add(
        Entry::Decision {
            subject: "quotes-verbatim".to_owned(),
            outcome: "passed".to_owned(),
            by,
            reason: String::new(),
        },
        output,
    );
    add(Entry::ModuleEnd { outcome: "completed".to_owned(), deliverable }, 0);
    entries
}

pub fn input(keys: &Keys, calls: usize) -> SealInput {
    let links = chain(keys);
    SealInput {
        network: Digest::of(b"ii dev network 1"),
        kind: "merge".to_owned(),
        earlier: vec![Earlier {
            attempt: Decimal(1),
            outcome: "rework".to_owned(),
            root: Digest::of(b"earlier"),
            size: Decimal(4),
        }],
        entries: entries(keys, calls),
        root: keys.root.public(),
        principal: (keys.principal.public(), links[0].id()),
        associate_delegation: links[1].id(),
        criteria: vec!["every-claim-cites".to_owned(), "quotes-verbatim".to_owned()],
        judged_ms: END,
        parents: vec![
            Parent { receipt: Digest([0xbb; 32]), rel: Relation::Joins },
            Parent { receipt: Digest(PARENT), rel: Relation::Joins },
        ],
        corpora: vec![CorpusHead {
            origin: "ii-0123456789abcdef/corpus/docs".to_owned(),
            root: Digest::of(b"corpus"),
            size: Decimal(7),
        }],
        policy_decision: "allow".to_owned(),
        skills: Vec::new(),
        models: vec![UsedModel { id: "extractive".to_owned(), level: ModelLevel::Own, provider: "local".to_owned() }],
        usage: Usage {
            cost_micro: Decimal(0),
            cpu_ms: Decimal(0),
            currency: "XXX".to_owned(),
            tokens_in: Decimal(10),
            tokens_out: Decimal(5),
            tool_calls: Decimal(0),
            wall_ms: Decimal(9),
        },
        start_ms: START,
        end_ms: END,
        custody: Custody::OneProcess,
    }
}

pub fn sealed(keys: &Keys, calls: usize) -> Sealed {
    let seal_keys = SealKeys { log: &keys.log, associate: &keys.associate, node: &keys.node, verifier: &keys.verifier };
    seal(&input(keys, calls), &AttemptKey::new(SECRET), &seal_keys).expect("seals")
}

pub fn bundle(keys: &Keys) -> Bundle {
    files_of(keys, sealed(keys, 1))
}

/// What was sealed, with the chain of authority.
pub fn files_of(keys: &Keys, sealed: Sealed) -> Bundle {
    let links = chain(keys);
    let mut files = BTreeMap::new();
    files.insert(bundle::RECEIPT.to_owned(), sealed.receipt);
    files.insert(bundle::CHECKPOINT.to_owned(), sealed.checkpoint.into_bytes());
    files.insert(bundle::disclosure(0), sealed.disclosure.into_bytes());
    files.insert(bundle::verdict(0), sealed.verdict);
    for (link, number) in links.iter().zip(0..) {
        files.insert(bundle::delegation(number), link.to_bytes().expect("bytes"));
    }
    Bundle(files)
}

/// The statement in an envelope file.
pub fn payload(bundle: &Bundle, name: &str) -> Value {
    let envelope = Envelope::parse(&bundle.0[name]).expect("an envelope");
    serde_json::from_slice(&envelope.payload).expect("JSON")
}

/// Puts a statement back, signed anew by these keys.
pub fn put(bundle: &mut Bundle, name: &str, statement: &Value, signers: &[&SigningKey]) {
    let payload = canonical(statement).expect("canonical");
    let envelope = Envelope::sign(IN_TOTO, payload, signers).expect("signs");
    bundle.0.insert(name.to_owned(), envelope.to_bytes().expect("bytes"));
}

/// A ledger of fixed keys: its log, one witness, four validators.
pub struct FixedLedger {
    pub log: SigningKey,
    pub witness: SigningKey,
    pub validators: [SigningKey; 4],
}

pub fn fixed_ledger() -> FixedLedger {
    let key = |number| SigningKey::from_seed(&[number; 32]);
    FixedLedger { log: key(31), witness: key(32), validators: [key(33), key(34), key(35), key(36)] }
}

impl FixedLedger {
    pub fn trusted(&self, quorum: u64) -> TrustedLedger {
        TrustedLedger {
            vkey: vkey(&self.log.public()),
            validators: self.validators.iter().map(SigningKey::public).collect(),
            witnesses: vec![Cosigner::of(self.witness.public()).vkey()],
            witness_quorum: Decimal(quorum),
        }
    }

    /// The head over a tree, signed and cosigned.
    pub fn head(&self, tree: &Tree) -> String {
        let head = Checkpoint { origin: log_name(&self.log.public()), size: tree.size(), root: tree.root() };
        let line = Cosigner::of(self.witness.public()).cosign(&head.body(), 1_795_000_100, &self.witness);
        format!("{}{line}", head.sign(&self.log))
    }

    /// The block over a tree.
    pub fn block(&self, tree: &Tree, network: Digest) -> CertifiedBlock {
        let block = Block {
            network,
            height: Decimal(1),
            previous: Digest([0; 32]),
            size: Decimal(tree.size()),
            root: tree.root(),
            time: Decimal(1_795_000_100_000),
        };
        CertifiedBlock { certificate: self.validators[..3].iter().map(|key| block.vote(key)).collect(), block }
    }

    /// A log that has a receipt among others, at index 2.
    pub fn tree(receipt: Digest, nullifier: Digest) -> Tree {
        let mut tree = Tree::new();
        for number in 0..5_u8 {
            let own = number == 2;
            let entry = LogEntry {
                receipt: if own { receipt } else { Digest([number; 32]) },
                nullifier: if own { nullifier } else { Digest([number + 50; 32]) },
                class: BenefitClass::AgentOrchestration,
            };
            tree.push(entry.leaf());
        }
        tree
    }

    /// The files that a ledger's evidence is.
    pub fn anchor(&self, bundle: &mut Bundle, receipt: Digest, nullifier: Digest) {
        let tree = Self::tree(receipt, nullifier);
        let hashes = tree.inclusion_at(2, 5).expect("a proof");
        let proof = TlogProof { extra: None, index: 2, hashes, checkpoint: self.head(&tree) };
        bundle.0.insert(bundle::LOGGED.to_owned(), proof.to_text().into_bytes());
        let block = canonical(&self.block(&tree, Digest::of(b"ii dev network 1"))).expect("canonical");
        bundle.0.insert(bundle::BLOCK.to_owned(), block);
    }
}

/// A header of a chain in which every second one has the work, with its work done.
fn mined(previous: BlockHash, root: [u8; 32]) -> Header {
    let mut header = Header([0; 80]);
    header.0[4..36].copy_from_slice(&previous.0);
    header.0[36..68].copy_from_slice(&root);
    header.0[72..76].copy_from_slice(&0x207f_ffff_u32.to_le_bytes());
    while !header.target().is_some_and(|own| header.has_work(&own)) {
        header.0[76] += 1;
    }
    header
}

/// Anchors a receipt in a chain, in a batch and a block with others and under two blocks more; gives the chain as one trusts
/// it who knows the last block.
pub fn anchored(bundle: &mut Bundle, receipt: Digest, nullifier: Digest) -> TrustedChain {
    let entry = LogEntry { receipt, nullifier, class: BenefitClass::AgentOrchestration };
    let mut tree = Tree::new();
    [Digest([1; 32]), entry.leaf(), Digest([2; 32])].into_iter().for_each(|leaf| tree.push(leaf));
    let coin = Coin { txid: Txid([3; 32]), vout: 0, value: Decimal(100_000), script: "51".to_owned() };
    let transaction = Transaction::anchoring(&tree.root(), &coin, 500).expect("enough");
    let (root, branch) = branch(&[Txid([4; 32]), transaction.txid()], 1).expect("a way");
    let mut headers = vec![mined(BlockHash([5; 32]), root)];
    for _after in 0..2 {
        let last = headers.last().expect("one").hash();
        headers.push(mined(last, [6; 32]));
    }
    let easiest = Target::from_bits(0x207f_ffff).expect("a target");
    let blocks = vec![headers[2].hash()];
    let batch = InBatch { index: Decimal(1), size: Decimal(3), hashes: tree.inclusion(1).expect("a way") };
    let block = InBlock { transaction: transaction.to_hex(), position: Decimal(1), branch, headers };
    bundle.0.insert(bundle::ANCHOR.to_owned(), Anchor::of(batch, block).to_bytes().expect("canonical"));
    TrustedChain { genesis: BlockHash([7; 32]), easiest, depth: Decimal(3), blocks }
}
