//! Grants: what a call may do. Deny is the default; grants meet on their way down the tree, and never grow by it.
//!
//! **Invariant:** a meet allows nothing that one of its sides does not.

mod item;
mod policy;

use std::collections::BTreeSet;

use receipts::Digest;
use serde::{Deserialize, Serialize};

pub use item::{Access, BadItem, Item, Scheme, Tier};
pub use policy::{Basis, Decision, Policy};

/// Most a single call may use. Each is a hard limit of the tier that runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processor time in milliseconds.
    pub cpu_ms: u64,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Bytes of answer kept: the head and the tail, what is between is left out and said.
    pub output_bytes: u64,
    /// Bytes written to files.
    pub written_bytes: u64,
    /// Files made.
    pub written_files: u64,
    /// Bytes from the network, and as many to it.
    pub net_bytes: u64,
    /// Open files.
    pub open_files: u64,
    /// Processes and threads.
    pub processes: u64,
}

impl Limits {
    /// What a call has where nothing else is said.
    pub const USUAL: Self = Self {
        cpu_ms: 30_000,
        wall_ms: 60_000,
        memory_bytes: 512 << 20,
        output_bytes: 64 << 10,
        written_bytes: 64 << 20,
        written_files: 1_000,
        net_bytes: 16 << 20,
        open_files: 256,
        processes: 64,
    };

    /// Each limit by its name.
    pub fn rows(self) -> [(&'static str, u64); 9] {
        let Self {
            cpu_ms,
            wall_ms,
            memory_bytes,
            output_bytes,
            written_bytes,
            written_files,
            net_bytes,
            open_files,
            processes,
        } = self;
        [
            ("cpu_ms", cpu_ms),
            ("wall_ms", wall_ms),
            ("memory_bytes", memory_bytes),
            ("output_bytes", output_bytes),
            ("written_bytes", written_bytes),
            ("written_files", written_files),
            ("net_bytes", net_bytes),
            ("open_files", open_files),
            ("processes", processes),
        ]
    }

    /// These limits with another number for one of them; none where there is no limit of that name.
    #[must_use]
    pub fn with(self, name: &str, number: u64) -> Option<Self> {
        Some(match name {
            "cpu_ms" => Self { cpu_ms: number, ..self },
            "wall_ms" => Self { wall_ms: number, ..self },
            "memory_bytes" => Self { memory_bytes: number, ..self },
            "output_bytes" => Self { output_bytes: number, ..self },
            "written_bytes" => Self { written_bytes: number, ..self },
            "written_files" => Self { written_files: number, ..self },
            "net_bytes" => Self { net_bytes: number, ..self },
            "open_files" => Self { open_files: number, ..self },
            "processes" => Self { processes: number, ..self },
            _unknown => return None,
        })
    }

    /// The lesser of each.
    #[must_use]
    pub fn meet(self, other: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms.min(other.cpu_ms),
            wall_ms: self.wall_ms.min(other.wall_ms),
            memory_bytes: self.memory_bytes.min(other.memory_bytes),
            output_bytes: self.output_bytes.min(other.output_bytes),
            written_bytes: self.written_bytes.min(other.written_bytes),
            written_files: self.written_files.min(other.written_files),
            net_bytes: self.net_bytes.min(other.net_bytes),
            open_files: self.open_files.min(other.open_files),
            processes: self.processes.min(other.processes),
        }
    }
}

/// What time and randomness a sandbox sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "senses", rename_all = "snake_case", deny_unknown_fields)]
pub enum Senses {
    /// The real ones.
    Real,
    /// A clock that stands at this moment, in milliseconds since 1970, and numbers from this seed: the same call gives the
    /// same answer. Only WebAssembly can be held to it.
    Fixed {
        /// The moment.
        at_ms: u64,
        /// The seed.
        seed: u64,
    },
}

/// What a call may do. Nothing, unless it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub items: BTreeSet<Item>,
    /// The most it may use.
    pub limits: Limits,
    /// What it sees of time and chance.
    pub senses: Senses,
}

impl Default for Grant {
    fn default() -> Self {
        Self::of([])
    }
}

impl Grant {
    /// These items with the usual limits.
    pub fn of(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), limits: Limits::USUAL, senses: Senses::Real }
    }

    /// The item that allows a need.
    pub fn covering(&self, need: &Item) -> Option<&Item> {
        self.items.iter().find(|item| item.covers(need))
    }

    /// What both allow.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        let mut items: BTreeSet<Item> = BTreeSet::new();
        for one in &self.items {
            items.extend(other.items.iter().filter_map(|two| one.meet(two)));
        }
        let within = |item: &Item| items.iter().any(|other| other != item && other.covers(item));
        let senses = match (self.senses, other.senses) {
            (Senses::Real, senses) | (senses @ Senses::Fixed { .. }, _) => senses,
        };
        Self {
            items: items.iter().filter(|item| !within(item)).cloned().collect(),
            limits: self.limits.meet(other.limits),
            senses,
        }
    }

    /// This grant and one thing more.
    #[must_use]
    pub fn with(&self, items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: self.items.iter().cloned().chain(items).collect(), ..self.clone() }
    }

    /// What `wanted` allows beyond this grant, a line each: what a person is shown before it is widened.
    pub fn widened_by(&self, wanted: &Self) -> Vec<String> {
        let beyond = wanted.items.iter().filter(|item| self.covering(item).is_none());
        let mut lines: Vec<String> = beyond.map(|item| format!("+ {item}")).collect();
        for ((name, now), (_, then)) in self.limits.rows().into_iter().zip(wanted.limits.rows()) {
            if then > now {
                lines.push(format!("+ {name} {now} to {then}"));
            }
        }
        if let (Senses::Fixed { .. }, Senses::Real) = (self.senses, wanted.senses) {
            lines.push("+ the real clock and real randomness".to_owned());
        }
        lines
    }

    /// What a record names it by: SHA-256 of [`Grant::text`].
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// The grant as text, so that anybody can make its digest: a line an item in their order, a line `NAME=NUMBER` a limit,
    /// and `senses=real` or `senses=fixed AT_MS SEED`.
    pub fn text(&self) -> String {
        let senses = match self.senses {
            Senses::Real => "senses=real".to_owned(),
            Senses::Fixed { at_ms, seed } => format!("senses=fixed {at_ms} {seed}"),
        };
        let items = self.items.iter().map(Item::to_string);
        let limits = self.limits.rows().map(|(name, number)| format!("{name}={number}"));
        items.chain(limits).chain([senses]).map(|line| line + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Grant, Item, Limits};

    fn grant(items: &[&str]) -> Grant {
        Grant::of(items.iter().map(|text| text.parse::<Item>().unwrap_or_else(|error| panic!("{error}"))))
    }

    #[test]
    fn a_meet_allows_what_both_do() {
        let one = grant(&["read:/a", "write:/a/b", "net:*.example.org GET,POST", "run:process"]);
        let two = grant(&["write:/a/b/c", "read:/x", "net:www.example.org GET", "run:process=ls"]);
        let met = one.meet(&two);
        assert_eq!(met.items, grant(&["write:/a/b/c", "net:www.example.org GET", "run:process=ls"]).items);
        assert_eq!(met, two.meet(&one));
        assert_eq!(one.meet(&one), Grant { items: one.items.clone(), ..one.clone() });
        assert!(one.meet(&Grant::default()).items.is_empty());
    }

    #[test]
    fn each_limit_is_found_by_its_name() {
        let mut limits = Limits::USUAL;
        for (number, (name, _)) in (1..).zip(Limits::USUAL.rows()) {
            limits = limits.with(name, number).unwrap_or_else(|| panic!("{name}"));
        }
        assert_eq!(limits.rows().map(|(_, number)| number), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(limits.with("wall", 1), None);
    }

    #[test]
    fn a_widening_is_shown_line_by_line() {
        let narrow = grant(&["read:/a"]);
        let mut wide = grant(&["read:/a/b", "write:/a", "net:example.org"]);
        wide.limits = Limits { memory_bytes: 1 << 30, ..Limits::USUAL };
        assert_eq!(
            narrow.widened_by(&wide),
            ["+ write:/a", "+ net:https://example.org:443", "+ memory_bytes 536870912 to 1073741824"]
        );
        assert!(wide.widened_by(&narrow).is_empty());
        assert_ne!(narrow.digest(), wide.digest());
        // Receipts name grants by this text; another spelling would be another grant.
        assert_eq!(
            narrow.text(),
            "read:/a\ncpu_ms=30000\nwall_ms=60000\nmemory_bytes=536870912\noutput_bytes=65536\nwritten_bytes=67108864\n\
             written_files=1000\nnet_bytes=16777216\nopen_files=256\nprocesses=64\nsenses=real\n"
        );
    }
}
