//! Charters and orders as anybody may hand them in: what is no charter is none, and what two have signed joins the same from
//! either side.
#![no_main]

use guardian::{charter, order};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(charter::open(bytes));
    drop(order::open(bytes));
    assert_eq!(order::missing(bytes).is_some(), order::unsigned(bytes).is_some());
    let half = bytes.len() / 2;
    let (one, other) = (&bytes[..half], &bytes[half..]);
    if let (Some(here), Some(there)) = (order::join(one, other), order::join(other, one)) {
        assert_eq!(order::missing(&here), order::missing(&there));
    }
});
