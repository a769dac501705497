//! A gate among containers: a container that does nothing else keeps a network namespace with loopback alone, puts the gate
//! up in it and hands it out over a socket; the command's container then shares the namespace. No image needs anything for
//! it, this program needs no rights over the engine's machine, and nothing is listened to in the machine's own namespace.
//!
//! Where the engine does not see this program's files, or gVisor has a network of its own, there is none, and the call is
//! refused.
//!
//! **Invariant:** the socket is in a folder that nobody else enters, and gone before the command's container is made.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions};
use common_ground::port::tool::StepKey;
use tokio::{
    io::Interest,
    net::{UnixListener, UnixStream},
    time::{Instant, timeout_at},
};

use super::{
    Docker, Engine, hardened, owner,
    run::{Removal, Unran, flow, name},
};
use crate::{
    capture::Capture,
    gate::{self, Gate},
    jail::began,
};

const PREFIX: &str = "ii-gate-";
/// What is kept of a keeper's own words.
const WORDS: u64 = 2 << 10;

/// A container that keeps a namespace, with the gate in it.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Its name.
    pub name: String,
    kept: Kept,
    gate: Gate,
}

/// What of a keeper is ended when its call is.
#[derive(Debug)]
pub(super) struct Kept {
    removal: Removal,
    /// The keeper ends with it, whatever becomes of us.
    life: UnixStream,
}

impl Keeper {
    /// What is to be ended, and what is to be served.
    pub fn parts(self) -> (Kept, Gate) {
        (self.kept, self.gate)
    }
}

impl Kept {
    /// Ends and removes the container.
    pub async fn end(self) -> Result<(), bollard::errors::Error> {
        drop(self.life);
        self.removal.now().await
    }
}

impl Docker {
    /// Makes a namespace with a gate.
    pub(super) async fn open_gate(
        &self,
        engine: &Engine,
        image: &str,
        key: StepKey,
        deadline: Instant,
    ) -> Result<Keeper, Unran> {
        let refused = |why: String| Unran::Refused(format!("no way out of a container can be made: {why}"));
        let text = |error: io::Error| refused(error.to_string());
        if engine.runtime.is_some() {
            return Err(refused("gVisor has a network of its own, which no gate can be put into".to_owned()));
        }
        let program = fs::canonicalize(&self.settings().keeper).map_err(text)?;
        let folder = folder().map_err(text)?;
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).map_err(text)?;
        // Whoever the keeper runs as; the folder lets nobody else come here.
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).map_err(text)?;
        let wall = deadline.saturating_duration_since(Instant::now());
        let (user, labels) = (self.settings().user.clone(), owner::labels(key, wall));
        let body = hardened::keeper(image.to_owned(), user, (&program, &socket), labels);
        let name = name();
        let removal = Removal::of(&engine.api, &name);
        let answered = |error: bollard::errors::Error| refused(error.to_string());
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        engine.api.create_container(Some(options), body).await.map_err(answered)?;
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = engine.api.attach_container(&name, Some(options)).await.map_err(answered)?;
        engine.api.start_container(&name, None::<StartContainerOptions>).await.map_err(answered)?;
        let mut words = Capture::new(WORDS);
        let opening = async {
            let ended = tokio::select! {
                taken = taken(&listener) => return taken.map_err(text),
                ended = flow(attached, None, &mut words) => ended,
            };
            ended.map_err(answered)?;
            let words = String::from_utf8_lossy(&words.finish()).trim().to_owned();
            Err(refused(format!("its keeper ended: {words}")))
        };
        let opened = timeout_at(deadline, opening).await;
        let (life, gate) = opened.unwrap_or_else(|_elapsed| Err(refused("its keeper says nothing".to_owned())))?;
        Ok(Keeper { name, kept: Kept { removal, life }, gate })
    }
}

/// Waits for a gate.
async fn taken(listener: &UnixListener) -> io::Result<(UnixStream, Gate)> {
    let (stream, _nameless) = listener.accept().await?;
    loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || gate::receive(&stream, &mut [0; 16])) {
            Ok((_, Some(handle))) => return Ok((stream, Gate::take(handle)?)),
            Ok((_, None)) => return Err(io::Error::other("its keeper handed nothing over")),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A folder for a socket, that says whose it is.
fn folder() -> io::Result<tempfile::TempDir> {
    let me = std::process::id();
    let began = began(me).ok_or_else(|| io::Error::other("this process has no beginning"))?;
    let mine = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(&format!("{PREFIX}{me}-{began}-")).permissions(mine).tempdir()
}

/// Removes the folders of programs that are no more.
pub(super) fn sweep(place: &Path) -> io::Result<()> {
    let mine = rustix::process::getuid().as_raw();
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let mut numbers = owner.split('-');
        let mut number = || numbers.next().and_then(|number| number.parse::<u64>().ok());
        let (Some(pid), Some(beginning)) = (number(), number()) else { continue };
        let is_dead = u32::try_from(pid).is_ok_and(|pid| began(pid) != Some(beginning));
        // Others may make folders in the place; what they call them is their affair.
        let about = entry.metadata()?;
        if is_dead && about.is_dir() && about.uid() == mine {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, folder, fs, sweep};

    #[test]
    fn only_the_dead_are_swept() {
        let place = tempfile::tempdir().expect("a folder");
        let mine = folder().expect("a folder");
        let mine = mine.path().file_name().expect("a name").to_str().expect("text").to_owned();
        let dead = format!("{PREFIX}4294967294-1-abc");
        for name in [mine.as_str(), dead.as_str(), "ii-gate-x", "other"] {
            fs::create_dir(place.path().join(name)).expect("made");
        }
        fs::write(place.path().join(&dead).join("socket"), "").expect("written");
        sweep(place.path()).expect("swept");
        assert!(!place.path().join(dead).exists());
        assert!(place.path().join(mine).exists() && place.path().join("other").exists());
    }
}
