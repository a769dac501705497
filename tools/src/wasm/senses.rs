//! What a guest sees of time and chance: the real ones, or a clock that stands and numbers that a seed gives.

use std::time::Duration;

use common_ground::grant::Senses;
use receipts::Digest;
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// Most random bytes asked for at once.
const MOST_AT_ONCE: u64 = 1 << 20;

/// A clock that stands.
struct Standing(Duration);

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Gives a guest its senses.
pub(super) fn give(guest: &mut WasiCtxBuilder, senses: Senses) {
    guest.max_random_size(MOST_AT_ONCE);
    match senses {
        Senses::Real => {}
        Senses::Fixed { at_ms, seed } => {
            guest
                .wall_clock(Standing(Duration::from_millis(at_ms)))
                .monotonic_clock(Standing(Duration::ZERO))
                .secure_random(Deterministic::new(numbers(seed, 0)))
                .insecure_random(Deterministic::new(numbers(seed, 1)))
                .insecure_random_seed(u128::from(seed));
        }
    }
}

/// Four kibibytes that a seed gives; they repeat.
fn numbers(seed: u64, which: u64) -> Vec<u8> {
    let block = |n: u64| Digest::of(&[seed.to_be_bytes(), which.to_be_bytes(), n.to_be_bytes()].concat()).0;
    (0..128).flat_map(block).collect()
}
