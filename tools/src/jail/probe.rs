//! What of a jail this machine has, for a person to read: each wall, and how to get one that is missing.

use std::fs;

use common_ground::{
    grant::{Grant, Limits},
    port::tool::StepKey,
    record::Exit,
};

use super::{
    group::Place,
    rules,
    run::{Jail, Task},
};
use crate::hand::Work;

/// One wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub what: &'static str,
    /// What it is here, or why it is not.
    pub state: Result<String, String>,
    /// How to get it, where it is missing.
    pub fix: Option<&'static str>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Each wall.
    pub findings: Vec<Finding>,
    /// Whether a command ran in a jail just now, and behind which walls.
    pub ran: Result<Vec<String>, String>,
}

fn found(what: &'static str, state: Result<String, String>, fix: &'static str) -> Finding {
    let fix = state.is_err().then_some(fix);
    Finding { what, state, fix }
}

fn namespaces() -> Finding {
    let says = |file: &str| fs::read_to_string(file).map(|text| text.trim().to_owned());
    // Each of these files is there on some systems only; where one is not, nothing is forbidden by it.
    let forbids = [
        ("/proc/sys/user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "an AppArmor profile for ii with `userns,`, or sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    let wrong = forbids.into_iter().find(|(file, value, _)| says(file).is_ok_and(|text| text == *value));
    let there = fs::exists("/proc/self/ns/user").unwrap_or(false);
    match wrong {
        Some((file, value, fix)) => found("namespaces", Err(format!("{file} is {value}")), fix),
        None if there => found("namespaces", Ok("user,pid,net,mount,ipc,uts,cgroup".to_owned()), ""),
        None => found("namespaces", Err("the kernel has none".to_owned()), "a kernel with CONFIG_USER_NS"),
    }
}

fn filter() -> Finding {
    let state = match fs::read_to_string("/proc/self/status") {
        Ok(status) if status.contains("Seccomp_filters:") => Ok("filters".to_owned()),
        Ok(_) => Err("the kernel has no filters".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    found("seccomp", state, "a kernel with CONFIG_SECCOMP_FILTER")
}

fn group() -> Finding {
    let state = match Place::find() {
        Some(place) => Ok(place.to_string()),
        None => Err("this user may make none: memory is held for each process, and watched in sum".to_owned()),
    };
    found(
        "cgroup",
        state,
        "start ii in a scope that systemd delegates: systemd-run --user --scope -p Delegate=yes ii …",
    )
}

impl Jail {
    /// Looks at each wall, and runs a command behind all of them.
    pub async fn probe(&self) -> Probe {
        let landlock = tokio::task::spawn_blocking(rules::abi).await;
        let landlock = landlock.unwrap_or_else(|error| Err(error.to_string())).map(|abi| format!("ABI {abi}"));
        let findings = vec![
            namespaces(),
            found("landlock", landlock, "a kernel from 5.13 on, with `landlock` in its lsm= list"),
            filter(),
            group(),
        ];
        Probe { findings, ran: self.trial().await }
    }

    async fn trial(&self) -> Result<Vec<String>, String> {
        let limits = Limits { wall_ms: 5_000, ..Limits::USUAL };
        let work = Work::new(StepKey::NONE, Grant { limits, ..Grant::default() });
        let command = ["/bin/sh", "-c", "exit 0"].map(str::to_owned).into();
        let ran =
            self.run(&work, Task { command, stdin: None, cwd: None }, None).await.map_err(|error| error.to_string())?;
        match ran.exit {
            Exit::Done => Ok(work.noted().held),
            exit => Err(format!("{exit:?}: {}", String::from_utf8_lossy(&ran.output).trim())),
        }
    }
}
