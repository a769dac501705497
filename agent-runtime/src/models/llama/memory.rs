//! What a model needs before it is loaded, and what there is.

use std::{fs, path::Path};

use super::header::Header;

/// Tokens computed in one step; more of a prompt goes into the next one, so that others and a cancellation get their turn.
pub(super) const STEP: u32 = 512;

/// Bytes per number remembered of a token (F16).
const BYTES_PER_NUMBER: u64 = 2;

/// Bytes a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) weights: u64,
    pub(super) cells: u64,
    pub(super) working: u64,
}

impl Need {
    /// What a file needs to remember this many tokens. A bound from above for the architectures that remember keys and
    /// values of all tokens in all layers; others need less.
    pub(super) fn of(header: &Header, cells: u32) -> Self {
        let cells_bytes = u64::from(cells).saturating_mul(header.numbers_per_token).saturating_mul(BYTES_PER_NUMBER);
        // Logits, the widest layers, attention's mask and scores of one step, and a fixed part for buffers and code.
        let per_token = header.vocabulary + 2 * header.hidden + 8 * header.width + u64::from(cells) + 64 * header.heads;
        let working = u64::from(STEP).saturating_mul(per_token).saturating_mul(4).saturating_add(48 << 20);
        Self { weights: header.weights, cells: cells_bytes, working }
    }

    pub(super) fn total(self) -> u64 {
        self.weights.saturating_add(self.cells).saturating_add(self.working)
    }

    /// Layers that memory of a GPU holds, each with its share of what is remembered; the output counts as one more.
    pub(super) fn layers_in(self, layers: u64, free: u64) -> u32 {
        let parts = layers + 1;
        let per_layer = (self.weights.saturating_add(self.cells) / parts).max(1);
        // A tenth stays free for the driver's own buffers.
        let room = (free - free / 10).saturating_sub(self.working);
        u32::try_from((room / per_layer).min(parts)).unwrap_or(u32::MAX)
    }

    /// What is left for the main memory when these layers lie on a GPU.
    pub(super) fn without(self, on_gpu: u32, layers: u64) -> Self {
        let parts = layers + 1;
        let stay = parts.saturating_sub(u64::from(on_gpu));
        let share =
            |bytes: u64| u64::try_from(u128::from(bytes) * u128::from(stay) / u128::from(parts)).unwrap_or(bytes);
        Self { weights: share(self.weights), cells: share(self.cells), working: self.working }
    }
}

/// Bytes of memory this process may still take: what the system says is available, and what its control group leaves.
/// `None` on a system that does not say.
pub(super) fn available() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok()?;
    let system = kilobytes(&system, "MemAvailable:")?;
    let group =
        group(Path::new("/sys/fs/cgroup/memory.max"), Path::new("/sys/fs/cgroup/memory.current")).or_else(|| {
            let folder = Path::new("/sys/fs/cgroup/memory");
            group(&folder.join("memory.limit_in_bytes"), &folder.join("memory.usage_in_bytes"))
        });
    Some(group.map_or(system, |group| group.min(system)))
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn group(limit: &Path, used: &Path) -> Option<u64> {
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    Some(number(limit)?.saturating_sub(number(used)?))
}

#[cfg(test)]
mod tests {
    use super::{Need, kilobytes};
    use crate::models::llama::header::Header;

    #[test]
    fn memory_is_counted_before_anything_is_loaded() {
        // TinyLlama 1.1B in Q8_0: 22 layers of 4 key heads of 64; 22.5 KiB for each token.
        let header = Header {
            architecture: "llama".to_owned(),
            context: 2048,
            layers: 22,
            width: 2048,
            hidden: 5632,
            heads: 32,
            numbers_per_token: 22 * 4 * 128,
            vocabulary: 32000,
            weights: 1_170_000_000,
            template: None,
        };
        let need = Need::of(&header, 4096);
        assert_eq!(need.cells, 4096 * 22 * 4 * 128 * 2);
        assert_eq!(need.total(), need.weights + need.cells + need.working);
        assert_eq!(need.layers_in(22, 24 << 30), 23);
        assert_eq!(need.layers_in(22, 0), 0);
        assert!((1..23).contains(&need.layers_in(22, 1 << 30)));
        assert_eq!(need.without(23, 22), Need { weights: 0, cells: 0, ..need });
        assert_eq!(need.without(0, 22), need);
        assert_eq!(kilobytes("MemTotal: 9 kB\nMemAvailable:   12 kB\n", "MemAvailable:"), Some(12 << 10));
        assert_eq!(kilobytes("MemAvailable: lots", "MemAvailable:"), None);
    }
}
