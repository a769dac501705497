//! How a container is made: every right that a command does not need is off.
//!
//! **Invariant:** no container has a capability, a writable root, new privileges, or the engine's socket, and none has more of
//! a network than loopback: its own, or that of the container which keeps its gate.

use std::{collections::HashMap, fs, path::Path};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountType, ResourcesUlimits,
};
use common_ground::grant::{Access, Item, Limits};

use super::run::{Task, Unran};
use crate::{gate, hand::Work};

/// Places that a container has of its own; a path of the host would have to replace them.
const OWN: &[&str] = &["/", "/dev", "/proc", "/sys", "/tmp", "/etc", "/run", "/var/run"];

/// Where the system's libraries are that this program is linked to.
const LIBRARIES: &[&str] = &["/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache"];
/// What the keeper of a gate may use: it connects twice and waits.
const KEEPER: Limits = Limits {
    cpu_ms: 10_000,
    wall_ms: 0,
    memory_bytes: 256 << 20,
    output_bytes: 4 << 10,
    written_bytes: 0,
    written_files: 0,
    net_bytes: 0,
    open_files: 64,
    processes: 8,
};

/// How long after its processor time a command may go on where nobody looks, in seconds.
const CPU_BACKSTOP_S: u64 = 10;

/// What of a network a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Network {
    /// Loopback with nobody on it.
    None,
    /// That of the container of this name, which keeps a gate.
    Of(String),
}

impl Network {
    fn mode(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Of(name) => format!("container:{name}"),
        }
    }

    /// What holds a container, in the words of the record.
    pub fn held(&self) -> String {
        let network = match self {
            Self::None => "network none",
            Self::Of(_) => "network: loopback with the proxy of this call",
        };
        format!("{network}, read-only root, no capabilities, no new privileges, own namespaces")
    }
}

/// All that a container is made with.
pub(super) fn body(
    image: String,
    runtime: Option<String>,
    user: String,
    task: &Task,
    (limits, mounts): (Limits, Vec<Mount>),
    (env, labels): (Vec<String>, HashMap<String, String>),
    network: &Network,
) -> ContainerCreateBody {
    let reads = task.stdin.is_some();
    let host_config = HostConfig { network_mode: Some(network.mode()), ..host(limits, runtime, &user, mounts) };
    ContainerCreateBody {
        image: Some(image),
        // The image's own entry point would change what was shown and granted.
        entrypoint: Some(Vec::new()),
        cmd: Some(task.command.clone()),
        env: Some(env),
        user: Some(user),
        labels: Some(labels),
        working_dir: Some("/tmp".to_owned()),
        network_disabled: Some(*network == Network::None),
        attach_stdin: Some(reads),
        open_stdin: Some(reads),
        stdin_once: Some(reads),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

/// All that the keeper of a gate is made with: this program, what it is linked to, the socket, and the image for no more than
/// a place to be. An image that brings a library of its own into it has what the command of that image has anyway.
pub(super) fn keeper(
    image: String,
    user: String,
    (program, socket): (&Path, &Path),
    labels: HashMap<String, String>,
) -> ContainerCreateBody {
    let libraries = LIBRARIES.iter().map(Path::new).filter(|path| path.exists()).map(|path| (path, path));
    let given = [(program, Path::new(gate::PROGRAM)), (socket, Path::new(gate::SOCKET))];
    let mounts = libraries.chain(given).map(|(from, to)| bind(from, to, Access::Read)).collect();
    let host_config = HostConfig { init: Some(false), ..host(KEEPER, None, &user, mounts) };
    ContainerCreateBody {
        image: Some(image),
        entrypoint: Some(vec![gate::PROGRAM.to_owned()]),
        cmd: Some(Vec::new()),
        user: Some(user),
        labels: Some(labels),
        working_dir: Some("/".to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    }
}

fn bind(from: &Path, to: &Path, access: Access) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(from.display().to_string()),
        target: Some(to.display().to_string()),
        read_only: Some(access == Access::Read),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            // An older engine leaves mounts beneath a read-only one writable: so they are not there.
            non_recursive: Some(true),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
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
            // A stop for what nobody looked at: the engine is asked four times a second, and more seldom where it is busy.
            ulimit("cpu", limits.cpu_ms.div_ceil(1_000) + CPU_BACKSTOP_S),
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
        mounts.push(bind(Path::new(path), Path::new(path), *access));
    }
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use common_ground::grant::Limits;

    use super::{HashMap, Network, Path, Task, body, keeper};

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
            &Network::None,
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

    #[test]
    fn a_gate_is_no_bridge() {
        let task = Task { image: "a".to_owned(), command: vec!["ls".to_owned()], stdin: None };
        let user = || "65534:65534".to_owned();
        let given = || (Vec::new(), HashMap::new());
        let of = Network::Of("b".to_owned());
        let made = body("sha256:00".to_owned(), None, user(), &task, (Limits::USUAL, Vec::new()), given(), &of);
        let host = made.host_config.expect("a host's part");
        assert_eq!(host.network_mode.as_deref(), Some("container:b"));
        assert_eq!((host.cap_drop, host.readonly_rootfs), (Some(vec!["ALL".to_owned()]), Some(true)));
        let places = (Path::new("/usr/bin/ii"), Path::new("/tmp/socket"));
        let host = keeper("sha256:00".to_owned(), user(), places, HashMap::new()).host_config.expect("a host's part");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!((host.cap_drop, host.readonly_rootfs), (Some(vec!["ALL".to_owned()]), Some(true)));
        assert!(host.mounts.expect("mounts").iter().all(|mount| mount.read_only == Some(true)));
    }
}
