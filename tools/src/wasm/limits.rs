//! What a guest may use of the host: memory, tables, instances; and how a call that passed a limit says which.

use common_ground::record::Limit;
use wasmtime::ResourceLimiter;

/// Most entries of one table.
pub(super) const MOST_TABLE: usize = 100_000;

/// A limit that a guest ran into. It travels through the engine as the reason of a trap.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a limit was passed")]
pub(super) struct Passed(pub Limit);

/// Counts memory over all memories of a component.
#[derive(Debug)]
pub(super) struct Memory {
    most: u64,
    now: u64,
}

impl Memory {
    /// At most so many bytes.
    pub fn new(most: u64) -> Self {
        Self { most, now: 0 }
    }

    /// The most it held, since WebAssembly gives none back.
    pub fn peak(&self) -> u64 {
        self.now
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let then = self.now.saturating_add((desired - current) as u64);
        if then > self.most {
            return Err(Passed(Limit::Memory).into());
        }
        // Beyond what the module itself declares: it is told so and may go on.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.now = then;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > MOST_TABLE { Err(Passed(Limit::Memory).into()) } else { Ok(true) }
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }
}
