//! What a ledger checks before it acknowledges, and the words in which it and its clients speak.

mod common;

use std::{cell::RefCell, collections::BTreeMap};

use common::{bundle, keys, trust};
use receipts::{
    Digest,
    bundle::{Bundle, RECEIPT, disclosure},
    delegation::Delegation,
    dsse::Envelope,
    integer::Decimal,
    keys::SigningKey,
    ledger::{
        block::{Block, CertifiedBlock},
        entry::{BenefitClass, LogEntry},
        rpc::{
            Acknowledgement, AtHeight, Between, Call, DyingPoint, Fault, LedgerError, OfNullifier, OfReceipt, ProofAt,
            ProtocolFault, Request, Status, SubmitBatch, Submitted, WatchFrom, answer, read_answer,
        },
        submission::{Admission, Admitted, Submission, admit},
    },
    note::vkey,
    verify::Code,
};
use serde_json::{Value, json};

fn network() -> Digest {
    Digest::of(b"ii dev network 1")
}

fn submission() -> Submission {
    let keys = keys();
    Submission::from_bundle(&bundle(&keys), &vkey(&keys.log.public())).expect("all files")
}

fn open_admit(submission: Submission) -> Result<Admitted, LedgerError> {
    admit(submission, &network(), &Admission::Open, &Delegation::open)
}

fn refused(code: Code) -> Result<Admitted, LedgerError> {
    Err(LedgerError::Refused { code: code.as_str().to_owned() })
}

#[test]
fn a_good_receipt_is_admitted_with_its_own_entry() {
    let given = submission();
    let envelope = Envelope::parse(given.receipt.as_bytes()).expect("an envelope");
    let payload: Value = serde_json::from_slice(&envelope.payload).expect("JSON");
    let nullifier: Digest = payload["predicate"]["nullifier"].as_str().expect("text").parse().expect("hex");
    let entry = LogEntry { receipt: envelope.id(), nullifier, class: BenefitClass::AgentOrchestration };
    assert_eq!(open_admit(given.clone()), Ok(Admitted { entry, receipt: given.receipt }));
}

#[test]
fn a_submission_is_the_files_and_no_further_disclosure() {
    let keys = keys();
    let mut files = bundle(&keys);
    let given = submission();
    assert_eq!(given.clone().into_bundle(), files);
    files.0.insert(disclosure(3), b"more".to_vec());
    assert_eq!(Submission::from_bundle(&files, &vkey(&keys.log.public())), Some(given));
    files.0.remove(RECEIPT);
    assert_eq!(Submission::from_bundle(&files, ""), None);
    assert_eq!(Submission::from_bundle(&Bundle::default(), ""), None);
}

#[test]
fn what_was_changed_is_refused_with_its_code() {
    type Change = fn(&mut Submission);
    let cases: [(Code, Change); 9] = [
        (Code::Noncanonical, |s| s.receipt.push(' ')),
        (Code::AssociateSignature, |s| swap_signatures(&mut s.receipt)),
        (Code::Checkpoint, |s| s.checkpoint = s.checkpoint.replacen("/2\n6\n", "/2\n7\n", 1)),
        (Code::Disclosure, |s| s.disclosure.clear()),
        (Code::MissingDelegation, |s| drop(s.delegations.pop())),
        (Code::Delegation, |s| s.delegations[0].push(' ')),
        (Code::DelegationId, |s| s.delegations.swap(0, 1)),
        (Code::MissingVerdict, |s| s.verdicts.clear()),
        (Code::UnknownFile, |s| s.verdicts.push(s.verdicts[0].clone())),
    ];
    for (code, change) in cases {
        let mut changed = submission();
        change(&mut changed);
        assert_eq!(open_admit(changed), refused(code), "{code}");
    }
}

/// Both signatures are whole, and each is the other's.
fn swap_signatures(receipt: &mut String) {
    let mut envelope = Envelope::parse(receipt.as_bytes()).expect("an envelope");
    let first = envelope.signatures[0].sig;
    envelope.signatures[0].sig = envelope.signatures[1].sig;
    envelope.signatures[1].sig = first;
    *receipt = String::from_utf8(envelope.to_bytes().expect("bytes")).expect("text");
}

#[test]
fn another_network_and_another_log_are_told_apart() {
    let elsewhere = Digest::of(b"elsewhere");
    let found = admit(submission(), &elsewhere, &Admission::Open, &Delegation::open);
    assert_eq!(found, Err(LedgerError::WrongNetwork { expected: elsewhere }));
    let log = vkey(&SigningKey::from_seed(&[77; 32]).public());
    for log in [log, String::new()] {
        let found = open_admit(Submission { log, ..submission() });
        assert_eq!(found, Err(LedgerError::Unauthorised { code: "log-untrusted".to_owned() }));
    }
}

#[test]
fn a_ledger_of_known_keys_takes_no_others() {
    let keys = keys();
    let with = |trusted| {
        let by_log = BTreeMap::from([(keys.log.public(), trusted)]);
        admit(submission(), &network(), &Admission::Trusted(by_log), &Delegation::open)
    };
    assert!(with(trust(&keys)).is_ok());
    for (role, code) in [("root", "root-untrusted"), ("node", "node-untrusted"), ("verifier", "verifier-untrusted")] {
        let mut fewer = trust(&keys);
        fewer.keys.retain(|key| json!(key.role) != json!(role));
        assert_eq!(with(fewer), Err(LedgerError::Unauthorised { code: code.to_owned() }));
    }
    let none = admit(submission(), &network(), &Admission::Trusted(BTreeMap::new()), &Delegation::open);
    assert_eq!(none, Err(LedgerError::Unauthorised { code: "log-untrusted".to_owned() }));
}

/// A ledger remembers delegations by their bytes; what it remembers is held against the receipt like any other.
#[test]
fn a_remembered_delegation_is_still_checked_against_the_receipt() {
    let asked = RefCell::new(0);
    let remembered = |bytes: &[u8]| {
        *asked.borrow_mut() += 1;
        Delegation::open(bytes)
    };
    assert!(admit(submission(), &network(), &Admission::Open, &remembered).is_ok());
    assert_eq!(asked.take(), 2);
    let keys = keys();
    let mut other = common::grant(&keys.root, &keys.principal, receipts::delegation::DelegatedRole::Principal);
    other.not_after_ms += 1;
    let id = other.sign(&keys.root).expect("signs").id();
    let swapped = |_bytes: &[u8]| Ok((other.clone(), id));
    assert_eq!(admit(submission(), &network(), &Admission::Open, &swapped), refused(Code::DelegationId));
}

#[test]
fn each_call_reads_as_it_was_written() {
    let (digest, height) = (Digest([7; 32]), Some(Decimal(3)));
    let calls = [
        Call::Info,
        Call::Submit(Box::new(submission())),
        Call::SubmitBatch(SubmitBatch { submissions: vec![submission()] }),
        Call::Status(OfReceipt { receipt: digest }),
        Call::Proof(ProofAt { receipt: digest, height }),
        Call::Proof(ProofAt { receipt: digest, height: None }),
        Call::Checkpoint,
        Call::Consistency(Between { old: Decimal(1), new: None }),
        Call::ByNullifier(OfNullifier { nullifier: digest }),
        Call::Watch(WatchFrom { size: Decimal(u64::MAX), wait_ms: Decimal(5) }),
        Call::Block(AtHeight { height }),
        Call::Counts,
        Call::Fault(Fault::Die { point: DyingPoint::AfterCommit }),
        Call::Fault(Fault::Heal),
    ];
    for call in calls {
        let text = call.to_json(9);
        let value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(Request::read(value), Ok(Request { id: Some(json!(9)), call }), "{text}");
    }
}

#[test]
fn what_is_no_request_is_answered_with_its_number_and_id() {
    let id = json!("a");
    let cases = [
        (json!([]), Value::Null, -32_600),
        (json!({"jsonrpc": "2.0", "id": {}, "method": "info"}), Value::Null, -32_600),
        (json!({"jsonrpc": "1.0", "id": "a", "method": "info"}), id.clone(), -32_600),
        (json!({"jsonrpc": "2.0", "id": "a"}), id.clone(), -32_600),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "info", "more": 1}), id.clone(), -32_600),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "infos"}), id.clone(), -32_601),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "info", "params": {"x": 1}}), id.clone(), -32_602),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "status", "params": ["00"]}), id.clone(), -32_602),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "status", "params": {"receipt": "00"}}), id.clone(), -32_602),
        (json!({"jsonrpc": "2.0", "id": "a", "method": "status"}), id.clone(), -32_602),
    ];
    for (value, id, number) in cases {
        let (found, error) = Request::read(value.clone()).expect_err("refused");
        assert_eq!((found, error.number()), (id, number), "{value}");
    }
    let notification = Request::read(json!({"jsonrpc": "2.0", "method": "info"}));
    assert_eq!(notification, Ok(Request { id: None, call: Call::Info }));
}

#[test]
fn answers_read_as_they_were_written() {
    let digest = Digest([7; 32]);
    let block = Block {
        network: digest,
        height: Decimal(1),
        previous: Digest([0; 32]),
        size: Decimal(1),
        root: digest,
        time: Decimal(5),
    };
    let certified = CertifiedBlock { certificate: vec![block.vote(&SigningKey::from_seed(&[1; 32]))], block };
    let written = answer(&json!(1), Ok(json!(certified))).to_string();
    assert_eq!(read_answer(written.as_bytes()), Ok(certified));
    for status in [
        Status::Unknown,
        Status::Acknowledged { index: Decimal(1) },
        Status::Included { index: Decimal(1), size: Decimal(2) },
        Status::Final { index: Decimal(1), height: Decimal(2) },
        Status::Conflict { nullifier: digest, credited: digest },
    ] {
        assert_eq!(read_answer(answer(&json!(1), Ok(json!(status))).to_string().as_bytes()), Ok(status));
    }
    let item =
        Submitted::Acknowledged(Acknowledgement { receipt: digest, nullifier: digest, index: Decimal(0), known: true });
    assert_eq!(serde_json::from_value::<Submitted>(json!(item)).expect("reads"), item);
    for none in ["{}", "", "[]", r#"{"result":1,"error":{"data":{"kind":"busy","retryAfterMs":1}}}"#] {
        let found = read_answer::<u64>(none.as_bytes());
        assert!(matches!(found, Err(LedgerError::Protocol { fault: ProtocolFault::Parse, .. })), "{none}: {found:?}");
    }
}

#[test]
fn each_error_has_its_own_number_and_comes_back_as_it_was() {
    let digest = Digest([7; 32]);
    let fault = |fault| LedgerError::Protocol { fault, reason: "r".to_owned() };
    let errors = [
        LedgerError::Transient { reason: "r".to_owned() },
        LedgerError::Busy { retry_after_ms: 5 },
        LedgerError::Conflict { nullifier: digest, credited: digest },
        LedgerError::Refused { code: "size".to_owned() },
        LedgerError::Unauthorised { code: "root-untrusted".to_owned() },
        LedgerError::WrongNetwork { expected: digest },
        LedgerError::Absent { what: "block 3".to_owned() },
        fault(ProtocolFault::Parse),
        fault(ProtocolFault::Request),
        fault(ProtocolFault::Method),
        fault(ProtocolFault::Parameters),
    ];
    let numbers: std::collections::BTreeSet<i64> = errors.iter().map(LedgerError::number).collect();
    assert_eq!(numbers.len(), errors.len());
    for error in errors {
        let written = answer(&json!(1), Err(error.clone())).to_string();
        assert_eq!(read_answer::<Value>(written.as_bytes()), Err(error));
    }
}
