//! What a guest sees of time and chance: the real ones, or a clock that stands and numbers that a seed gives; and whether it
//! asked for either, without which it computes the same from the same every time.
//!
//! **Invariant:** a guest learns nothing of time or chance that is not noted. To wait is to ask for the time too: who looks
//! again and again whether the wait is over has a clock.

use std::time::Duration;

use common_ground::grant::Senses;
use receipts::Digest;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder,
    clocks::WasiClocksCtxView,
    p2::{
        DynPollable,
        bindings::{
            clocks::{monotonic_clock, wall_clock},
            random::{insecure, insecure_seed, random},
        },
    },
    random::WasiRandomCtx,
};

use super::call::State;
use crate::hand::Asked;

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

/// The clocks of one guest.
struct Clocks<'a> {
    wasi: WasiClocksCtxView<'a>,
    asked: &'a mut Asked,
}

/// What one guest has of chance.
struct Chance<'a> {
    wasi: &'a mut WasiRandomCtx,
    asked: &'a mut Asked,
}

struct HasClocks;

impl HasData for HasClocks {
    type Data<'a> = Clocks<'a>;
}

struct HasChance;

impl HasData for HasChance {
    type Data<'a> = Chance<'a>;
}

/// Puts them in the place of WASI's own.
pub(super) fn add_to(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    fn clocks(state: &mut State) -> Clocks<'_> {
        let (wasi, asked) = state.senses();
        Clocks { wasi: WasiClocksCtxView { ctx: wasi.ctx.clocks(), table: wasi.table }, asked }
    }
    fn chance(state: &mut State) -> Chance<'_> {
        let (wasi, asked) = state.senses();
        Chance { wasi: wasi.ctx.random(), asked }
    }
    wall_clock::add_to_linker::<State, HasClocks>(linker, clocks)?;
    monotonic_clock::add_to_linker::<State, HasClocks>(linker, clocks)?;
    random::add_to_linker::<State, HasChance>(linker, chance)?;
    insecure::add_to_linker::<State, HasChance>(linker, chance)?;
    insecure_seed::add_to_linker::<State, HasChance>(linker, chance)
}

impl wall_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.asked.clock = true;
        wall_clock::Host::now(&mut self.wasi)
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.asked.clock = true;
        wall_clock::Host::resolution(&mut self.wasi)
    }
}

impl monotonic_clock::Host for Clocks<'_> {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        self.asked.clock = true;
        monotonic_clock::Host::now(&mut self.wasi)
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        self.asked.clock = true;
        monotonic_clock::Host::resolution(&mut self.wasi)
    }

    fn subscribe_instant(&mut self, when: monotonic_clock::Instant) -> wasmtime::Result<Resource<DynPollable>> {
        self.asked.clock = true;
        self.wasi.subscribe_instant(when)
    }

    fn subscribe_duration(&mut self, when: monotonic_clock::Duration) -> wasmtime::Result<Resource<DynPollable>> {
        self.asked.clock = true;
        self.wasi.subscribe_duration(when)
    }
}

impl random::Host for Chance<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.asked.chance = true;
        self.wasi.get_random_bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.asked.chance = true;
        self.wasi.get_random_u64()
    }
}

impl insecure::Host for Chance<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.asked.chance = true;
        self.wasi.get_insecure_random_bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.asked.chance = true;
        self.wasi.get_insecure_random_u64()
    }
}

impl insecure_seed::Host for Chance<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        self.asked.chance = true;
        self.wasi.insecure_seed()
    }
}
