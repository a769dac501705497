//! What a browser's processes use, read from `/proc`; where there is none, it is not measured, and the record says so by
//! leaving it out.

use std::{fs, time::Duration};

use common_ground::{grant::Limits, record::Limit};
use rustix::param::{clock_ticks_per_second, page_size};

use crate::hand::Work;

/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(400);

/// What a group of processes uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Use {
    cpu_ms: u64,
    /// Memory that is no other process's too.
    memory_bytes: u64,
}

/// Watches a group of processes until it passes a limit; notes what it used.
pub(super) async fn watch(group: u32, limits: Limits, work: &Work) -> Limit {
    let before = look(group).unwrap_or_default();
    let mut peak = 0;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(now) = look(group) else { continue };
        // Processes that ended took their time with them.
        let cpu_ms = now.cpu_ms.saturating_sub(before.cpu_ms);
        peak = now.memory_bytes.max(peak);
        work.used(Some(cpu_ms), None, Some(peak));
        if now.memory_bytes > limits.memory_bytes {
            return Limit::Memory;
        }
        if cpu_ms > limits.cpu_ms {
            return Limit::Cpu;
        }
    }
}

fn look(group: u32) -> Option<Use> {
    let mut used = Use::default();
    let mut found = false;
    for process in fs::read_dir("/proc").ok()?.flatten() {
        if !process.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process that ends meanwhile has nothing more to read.
        let Ok(stat) = fs::read_to_string(process.path().join("stat")) else { continue };
        let Some((of, ticks)) = group_and_ticks(&stat) else { continue };
        if of != group {
            continue;
        }
        found = true;
        used.cpu_ms += ticks * 1_000 / clock_ticks_per_second().max(1);
        let statm = fs::read_to_string(process.path().join("statm")).unwrap_or_default();
        let mut pages = statm.split(' ').skip(1).filter_map(|part| part.parse::<u64>().ok());
        if let (Some(resident), Some(shared)) = (pages.next(), pages.next()) {
            used.memory_bytes += resident.saturating_sub(shared) * page_size() as u64;
        }
    }
    found.then_some(used)
}

/// The process group, and the time used in ticks, of a line of `/proc/PID/stat`.
fn group_and_ticks(stat: &str) -> Option<(u32, u64)> {
    // The name in brackets may have anything in it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((fields.get(2)?.parse().ok()?, ticks))
}

#[cfg(test)]
mod tests {
    use super::group_and_ticks;

    #[test]
    fn a_line_of_stat() {
        let line = "12 (a) b (c) S 1 77 77 0 -1 4194560 1 2 3 4 250 50 6 7 20 0 1 0 5 1000 200";
        assert_eq!(group_and_ticks(line), Some((77, 300)));
        assert_eq!(group_and_ticks("nonsense"), None);
    }
}
