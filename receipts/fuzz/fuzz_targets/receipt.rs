//! A whole folder of a receipt: the input is cut into its files. Nothing made by chance is ever valid.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use receipts::{
    Digest,
    bundle::{self, Bundle},
    trust::{Trust, TrustedLog},
    verify::{TrustOrigin, verify},
};

fuzz_target!(|bytes: &[u8]| {
    let names = [bundle::RECEIPT, bundle::CHECKPOINT, "disclosure-0.tlog-proof", "delegation-0.intoto.json",
        "delegation-1.intoto.json", "verdict-0.intoto.json", bundle::LOGGED, bundle::BLOCK, bundle::ANCHOR];
    let parts = bytes.split(|byte| *byte == 0xff);
    let files: BTreeMap<String, Vec<u8>> =
        names.iter().zip(parts).map(|(name, part)| ((*name).to_owned(), part.to_vec())).collect();
    let log = TrustedLog { vkey: String::new() };
    let trust = Trust { network: Digest([0; 32]), keys: Vec::new(), log, ledger: None, chain: None };
    assert!(!verify(&Bundle(files), &trust, TrustOrigin::Pinned, &|_| true).outcome.is_valid());
});
