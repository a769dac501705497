//! What the engine is, for a person to read, with warnings for parts that are known to leak.

use bollard::errors::Error;

use super::Docker;

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its version.
    pub engine: String,
    /// The version of runc, which makes the containers.
    pub runc: Option<String>,
    /// Whether gVisor's runtime is there; then it is used.
    pub gvisor: bool,
    /// `1` or `2`, and what else the engine says of its walls.
    pub walls: Vec<String>,
    /// What a person should know, a sentence each.
    pub warnings: Vec<String>,
}

/// The first whole versions of runc's lines: open handles that leak (CVE-2024-21626), and masked paths that can be raced
/// (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881).
const WITHOUT_LEAKS: [u64; 3] = [1, 1, 12];
const WITHOUT_RACES: [[u64; 3]; 2] = [[1, 2, 8], [1, 3, 3]];

fn version(text: &str) -> Option<[u64; 3]> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
    Some([numbers.next()?, numbers.next()?, numbers.next()?])
}

fn warning(runc: &str) -> Option<String> {
    let told = |what: &str, since: &str| {
        Some(format!("runc {runc} {what}; update it to {since} or later, unless your distribution mended it in place"))
    };
    let Some(found) = version(runc) else { return told("has a version nobody can read", "1.2.8") };
    let line = WITHOUT_RACES.into_iter().find(|first| first[..2] == found[..2]);
    if found < WITHOUT_LEAKS {
        told("lets open files of the host leak into containers (CVE-2024-21626)", "1.1.12")
    } else if line.is_some_and(|first| found < first) || found < WITHOUT_RACES[0] {
        told("can be raced out of its masked paths (CVE-2025-31133)", "1.2.8 or 1.3.3")
    } else {
        None
    }
}

impl Docker {
    /// Asks the engine what it is.
    ///
    /// # Errors
    /// An engine that does not answer.
    pub async fn probe(&self) -> Result<Probe, Error> {
        let engine = self.engine().await?;
        let (version, info) = (engine.api.version().await?, engine.api.info().await?);
        let components = version.components.unwrap_or_default();
        let runc = components.into_iter().find(|part| part.name == "runc").map(|part| part.version);
        let mut walls: Vec<String> =
            info.cgroup_version.map(|version| format!("cgroup v{version}")).into_iter().collect();
        walls.extend(info.security_options.unwrap_or_default());
        let mut warnings: Vec<String> = runc.as_deref().and_then(warning).into_iter().collect();
        warnings.extend(info.warnings.unwrap_or_default());
        Ok(Probe {
            engine: version.version.unwrap_or_else(|| "unknown".to_owned()),
            runc,
            gvisor: engine.runtime.is_some(),
            walls,
            warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn leaky_versions_are_named() {
        for (runc, says) in [
            ("1.1.5+ds1", Some("CVE-2024-21626")),
            ("1.1.11", Some("CVE-2024-21626")),
            ("1.1.12", Some("CVE-2025-31133")),
            ("1.2.7", Some("CVE-2025-31133")),
            ("1.2.8", None),
            ("1.3.2", Some("CVE-2025-31133")),
            ("1.3.3", None),
            ("1.4.0", None),
            ("new", Some("nobody can read")),
        ] {
            let warned = warning(runc);
            assert_eq!(warned.is_some(), says.is_some(), "{runc}: {warned:?}");
            assert!(warned.unwrap_or_default().contains(says.unwrap_or_default()), "{runc}");
        }
    }
}
