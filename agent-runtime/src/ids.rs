//! New ids: UUIDv7 from the caller's time and the operating system's randomness.

use uuid::{Builder, Uuid};

/// A new id; ids made later sort later.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_v7(now_ms: u64) -> Result<Uuid, getrandom::Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    Ok(Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid())
}
