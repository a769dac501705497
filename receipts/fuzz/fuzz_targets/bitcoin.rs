//! What a node of Bitcoin's family says, and anchors: whatever parses is spelled as it was, and no number asks for memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use receipts::{
    Digest,
    bitcoin::{
        anchor::Anchor,
        header::Target,
        rpc::{BlockTransactions, ChainInfo, Estimate, ListedCoin, Signed, read_answer},
        transaction::Transaction,
    },
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(transaction) = Transaction::parse(bytes) {
        assert_eq!(transaction.to_bytes(), bytes);
    }
    if let Ok(anchor) = Anchor::parse(bytes) {
        assert_eq!(anchor.to_bytes().as_deref(), Ok(bytes));
        // As hard as Bitcoin was at its first block: nothing made by chance has so much work.
        let easiest = Target::from_bits(0x1d00_ffff).expect("a target");
        assert!(anchor.check(Digest([0; 32]), &easiest).is_err());
    }
    drop(read_answer::<ChainInfo>(bytes));
    drop(read_answer::<BlockTransactions>(bytes));
    drop(read_answer::<Vec<ListedCoin>>(bytes));
    drop(read_answer::<Signed>(bytes));
    drop(read_answer::<Estimate>(bytes));
});
