//! How a container is made: every right that a command does not need is off.
//!
//! **Invariant:** no container has a network, a capability, a writable root, new privileges, or the engine's socket.

use std::{collections::HashMap, fs, path::Path};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountType, ResourcesUlimits,
};
use common_ground::grant::{Access, Item, Limits};

use super::run::{Task, Unran};
use crate::hand::Work;

/// Places that a container has of its own; a path of the host would have to replace them.
const OWN: &[&str] = &["/", "/dev", "/proc", "/sys", "/tmp", "/etc", "/run", "/var/run"];

/// What holds it, in the words of the record.
pub(super) const HELD: &str = "network none, read-only root, no capabilities, no new privileges, own namespaces";

/// All that a container is made with.
pub(super) fn body(
    image: String,
    runtime: Option<String>,
    user: String,
    task: &Task,
    (limits, mounts): (Limits, Vec<Mount>),
    (env, labels): (Vec<String>, HashMap<String, String>),
) -> ContainerCreateBody {
    let reads = task.stdin.is_some();
    let host_config = host(limits, runtime, &user, mounts);
    ContainerCreateBody {
        image: Some(image),
        // The image's own entry point would change what was shown and granted.
        entrypoint: Some(Vec::new()),
        cmd: Some(task.command.clone()),
        env: Some(env),
        user: Some(user),
        labels: Some(labels),
        working_dir: Some("/tmp".to_owned()),
        network_disabled: Some(true),
        attach_stdin: Some(reads),
        open_stdin: Some(reads),
        stdin_once: Some(reads),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

fn host(limits: Limits, runtime: Option<String>, user: &str, mounts: Vec<Mount>) -> HostConfig {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let ulimit = |name: &str, most: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(number(most)),
        hard: Some(number(most)),
    };
    // Some versions of runc give it the mode of the image's own folder, so that it must be its user's to be of use.
    let (uid, gid) = user.split_once(':').unwrap_or((user, user));
    let tmp = format!(
        "rw,noexec,nosuid,nodev,mode=1777,uid={uid},gid={gid},size={},nr_inodes={}",
        limits.written_bytes.max(4096),
        limits.written_files.saturating_add(1)
    );
    // An engine refuses less than this.
    let memory = number(limits.memory_bytes).max(6 << 20);
    HostConfig {
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        // The engine's own first process is counted.
        pids_limit: Some(number(limits.processes).saturating_add(1)),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(1_000_000_000),
        ulimits: Some(vec![
            ulimit("nofile", limits.open_files),
            ulimit("fsize", limits.written_bytes),
            ulimit("core", 0),
            ulimit("cpu", limits.cpu_ms.div_ceil(1_000) + 1),
        ]),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), tmp)])),
        init: Some(true),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        mounts: Some(mounts),
        runtime,
        ..HostConfig::default()
    }
}

/// The granted paths as the engine mounts them. One that is not there is noted; one that leads elsewhere is refused.
pub(super) fn mounts(work: &Work, socket: Option<&Path>) -> Result<Vec<Mount>, Unran> {
    let mut mounts: Vec<Mount> = Vec::new();
    for item in &work.grant().items {
        let Item::Path { path, access } = item else { continue };
        let refuse = |why: &str| Err(Unran::Refused(format!("{item}: {why}")));
        if OWN.contains(&path.as_str()) || ["/dev/", "/proc/", "/sys/"].iter().any(|own| path.starts_with(own)) {
            return refuse("that place is the container's own, grant what is beneath");
        }
        match fs::canonicalize(path) {
            Ok(real) if real != Path::new(path) => {
                return refuse("it is reached through a symbolic link, grant the path it leads to");
            }
            Ok(_) => {}
            Err(error) => {
                work.refused(path, format!("a granted path that cannot be opened: {error}"));
                continue;
            }
        }
        let engine = socket.and_then(|socket| fs::canonicalize(socket).ok());
        if engine.is_some_and(|engine| engine.starts_with(path)) {
            return refuse("the engine's socket lies there, and who has that has the machine");
        }
        // Of two grants of one path the wider one counts; reading sorts first.
        mounts.retain(|mount| mount.target.as_ref() != Some(path));
        mounts.push(Mount {
            typ: Some(MountType::BIND),
            source: Some(path.clone()),
            target: Some(path.clone()),
            read_only: Some(*access == Access::Read),
            bind_options: Some(MountBindOptions {
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                // An older engine leaves mounts beneath a read-only one writable: so they are not there.
                non_recursive: Some(true),
                ..MountBindOptions::default()
            }),
            ..Mount::default()
        });
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use common_ground::grant::Limits;

    use super::{HashMap, Task, body};

    #[test]
    fn what_is_not_needed_is_off() {
        let task = Task { image: "a".to_owned(), command: vec!["ls".to_owned()], stdin: None };
        let made = body(
            "sha256:00".to_owned(),
            None,
            "65534:65534".to_owned(),
            &task,
            (Limits::USUAL, Vec::new()),
            (Vec::new(), HashMap::new()),
        );
        let host = made.host_config.expect("a host's part");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!((host.readonly_rootfs, host.init, host.privileged), (Some(true), Some(true), Some(false)));
        assert_eq!((host.memory, host.memory_swap), (Some(512 << 20), Some(512 << 20)));
        assert!(host.tmpfs.expect("tmpfs")["/tmp"].starts_with("rw,noexec,nosuid,nodev,"));
        assert_eq!(made.image.as_deref(), Some("sha256:00"));
        assert_eq!(made.network_disabled, Some(true));
    }
}
