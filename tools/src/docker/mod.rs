//! Containers of a Docker engine, hardened, one a call: no network but, where the call names hosts, the proxy of that call; a
//! read-only root, no capabilities, limits on everything the engine can limit. The image is pinned to its digest before it
//! runs, and never pulled.
//!
//! What it does not hold: what is written to paths granted for writing, beyond the size of each file; and a granted path
//! that somebody swaps for another between the check and the engine's mount.
//!
//! **Invariant:** a container that was made is removed: by its call, by the drop of its call, or by [`Docker::sweep`] once its
//! owner is dead or its time long over.

mod gate;
mod hardened;
mod owner;
mod probe;
mod run;

use std::path::PathBuf;

use tokio::sync::OnceCell;

pub use probe::Probe;
pub(crate) use run::{Task, Unran};

/// Which engine, and what runs where a call names nothing.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its address, as in `DOCKER_HOST`; the usual socket where there is none.
    pub host: Option<String>,
    /// The image of a call that names none.
    pub image: Option<String>,
    /// As whom commands run: `UID:GID`.
    pub user: String,
    /// The program that is started in a container to put up a gate; its `main` begins with
    /// [`is_child`](crate::jail::is_child).
    pub keeper: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
        // The person's own files can then be granted; root's cannot, since root is nobody to run as.
        let user = if uid.is_root() { "65534:65534".to_owned() } else { format!("{uid}:{gid}") };
        Self { host: None, image: None, user, keeper: PathBuf::from("/proc/self/exe") }
    }
}

/// One engine.
#[derive(Debug)]
pub struct Docker {
    settings: Settings,
    engine: OnceCell<Engine>,
    /// Whether leftovers were looked for before the first container of this program.
    swept: OnceCell<()>,
}

/// An engine that answered.
#[derive(Debug, Clone)]
struct Engine {
    api: bollard::Docker,
    /// gVisor's, where the engine has it.
    runtime: Option<String>,
}

const USUAL_SOCKET: &str = "unix:///var/run/docker.sock";
const GVISOR: &str = "runsc";

impl Docker {
    /// With these settings; nothing is contacted.
    pub fn new(settings: Settings) -> Self {
        Self { settings, engine: OnceCell::new(), swept: OnceCell::new() }
    }

    /// The settings.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn host(&self) -> &str {
        self.settings.host.as_deref().unwrap_or(USUAL_SOCKET)
    }

    /// The engine's socket in the file tree: who has it has the machine.
    fn socket(&self) -> Option<PathBuf> {
        self.host().strip_prefix("unix://").map(PathBuf::from)
    }

    async fn engine(&self) -> Result<&Engine, bollard::errors::Error> {
        self.engine
            .get_or_try_init(|| async {
                let api = bollard::Docker::connect_with_host(self.host())?.negotiate_version().await?;
                let runtimes = api.info().await?.runtimes.unwrap_or_default();
                Ok(Engine { api, runtime: runtimes.contains_key(GVISOR).then(|| GVISOR.to_owned()) })
            })
            .await
    }
}
