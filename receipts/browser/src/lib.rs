//! `ii verify` for a web page: files go in as one JSON text, what was found comes out as another. A page and a module share
//! nothing but memory and numbers, so both texts lie where the page is told.
//!
//! **Invariant:** the module imports nothing: it has no clock, no network, no randomness and no way to ask for them.

use std::{cell::RefCell, collections::BTreeMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use receipts::{
    bundle::Bundle,
    trust::Trust,
    verify::{TrustOrigin, Verification, credited_twice, verify_all},
};
use serde::{Deserialize, Serialize};

/// What a page hands in: the files of an export by their paths below it, and the trust file that a person chose themselves.
#[derive(Deserialize)]
struct Asked {
    /// `MODULE/FILE` or `trust.json`, in base64.
    files: BTreeMap<String, String>,
    /// Another `trust.json`, in base64.
    pinned: Option<String>,
}

/// What is found of one receipt.
#[derive(Serialize)]
struct Found {
    module: String,
    result: String,
    valid: bool,
    receipt: Option<String>,
    nullifier: Option<String>,
    parents: Vec<String>,
    made: Vec<&'static str>,
    not_made: Vec<&'static str>,
}

#[derive(Serialize)]
struct Answer {
    receipts: Vec<Found>,
    credited_twice: Vec<String>,
    pinned: bool,
    network: String,
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| format!("{name}: {error}"))
}

fn found((module, one): (&String, &Verification)) -> Found {
    let hex = |digest: &receipts::Digest| digest.to_string();
    Found {
        module: module.clone(),
        result: one.outcome.as_text(),
        valid: one.outcome.is_valid(),
        receipt: one.receipt.as_ref().map(hex),
        nullifier: one.nullifier.as_ref().map(hex),
        parents: one.parents.iter().map(hex).collect(),
        made: one.made.clone(),
        not_made: one.not_made.clone(),
    }
}

fn answer(text: &[u8]) -> Result<Answer, String> {
    let asked: Asked = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let (mut bundles, mut own) = (BTreeMap::<String, Bundle>::new(), None);
    for (path, text) in &asked.files {
        match path.split_once('/') {
            None if path == "trust.json" => own = Some(bytes(path, text)?),
            Some((module, name)) if !name.contains('/') => {
                bundles.entry(module.to_owned()).or_default().0.insert(name.to_owned(), bytes(path, text)?);
            }
            None | Some(_) => return Err(format!("{path} is no part of an export")),
        }
    }
    if bundles.is_empty() {
        return Err("there is no receipt here; drop the folder that `ii receipts export` wrote".to_owned());
    }
    let (trust, origin) = match (asked.pinned, own) {
        (Some(pinned), _) => (bytes("trust.json", &pinned)?, TrustOrigin::Pinned),
        (None, Some(own)) => (own, TrustOrigin::Folder),
        (None, None) => return Err("there is no trust.json here; choose one".to_owned()),
    };
    let trust = Trust::parse(&trust).map_err(|error| error.to_string())?;
    let all = verify_all(&bundles, &trust, origin);
    Ok(Answer {
        receipts: all.iter().map(found).collect(),
        credited_twice: credited_twice(&all),
        pinned: origin == TrustOrigin::Pinned,
        network: trust.network.to_string(),
    })
}

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Makes room for `length` bytes of what is asked, and says where.
#[unsafe(no_mangle)]
pub extern "C" fn room(length: usize) -> *mut u8 {
    TEXT.with_borrow_mut(|text| {
        *text = vec![0; length];
        text.as_mut_ptr()
    })
}

/// Verifies what was put there, and puts what was found into its place; gives how many bytes that has.
#[unsafe(no_mangle)]
pub extern "C" fn verify() -> usize {
    TEXT.with_borrow_mut(|text| {
        let said = match answer(text) {
            Ok(answer) => serde_json::json!({ "found": answer }),
            Err(error) => serde_json::json!({ "error": error }),
        };
        *text = said.to_string().into_bytes();
        text.len()
    })
}

/// Where what was found begins.
#[unsafe(no_mangle)]
pub extern "C" fn said() -> *const u8 {
    TEXT.with_borrow(|text| text.as_ptr())
}
