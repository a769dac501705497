//! Whose a container is, in its labels, and which of them nobody owns any more.
//!
//! **Invariant:** a container is removed only where its owner is known to be dead, or where it is long past its time.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, SystemTime},
};

use bollard::{
    errors::Error,
    query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder},
};
use common_ground::port::tool::StepKey;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::{Docker, gate};
use crate::jail::began;

const RUN: &str = "ii.run";
const OWNER: &str = "ii.owner";
const UNTIL: &str = "ii.until";

/// How long past its time a container may be before anybody removes it: clocks differ, and its owner has its own grace.
const LATE: Duration = Duration::from_secs(300);

/// How long somebody else's removal of a container is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process, told from all others that ever had its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    pid: u32,
    began: u64,
    boot: String,
    /// In which process namespace the number holds.
    space: String,
}

impl Owner {
    fn me() -> Option<Self> {
        let pid = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let space =
            fs::read_link("/proc/self/ns/pid").ok()?.to_str()?.trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
        Some(Self { pid, began: began(pid)?, boot, space })
    }

    fn label(&self) -> String {
        format!("{}.{}.{}.{}", self.pid, self.began, self.boot, self.space)
    }

    fn read(label: &str) -> Option<Self> {
        let mut parts = label.split('.');
        let owner = Self {
            pid: parts.next()?.parse().ok()?,
            began: parts.next()?.parse().ok()?,
            boot: parts.next()?.to_owned(),
            space: parts.next()?.to_owned(),
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether it is known to be dead, as seen by `me`: in another boot or namespace nobody here can tell.
    fn is_dead(&self, me: &Self) -> bool {
        self.boot == me.boot && self.space == me.space && began(self.pid) != Some(self.began)
    }
}

fn since_1970() -> u64 {
    // A clock before 1970 makes nothing late, which is the safe side.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What a container of a call is labelled with.
pub(super) fn labels(key: StepKey, wall: Duration) -> HashMap<String, String> {
    let until = since_1970().saturating_add(wall.as_secs() + 1);
    let mut labels = HashMap::from([(RUN.to_owned(), key.run.to_string()), (UNTIL.to_owned(), until.to_string())]);
    labels.extend(Owner::me().map(|me| (OWNER.to_owned(), me.label())));
    labels
}

/// Whether nobody will miss a container with these labels.
fn is_left_behind(labels: &HashMap<String, String>, me: Option<&Owner>, now: u64) -> bool {
    let owner = labels.get(OWNER).and_then(|label| Owner::read(label));
    let until = labels.get(UNTIL).and_then(|until| until.parse::<u64>().ok());
    owner.zip(me).is_some_and(|(owner, me)| owner.is_dead(me))
        || until.is_some_and(|until| now > until.saturating_add(LATE.as_secs()))
}

impl Docker {
    /// Removes the containers of programs that ended without doing so, and the sockets of their gates. Gives how many
    /// containers that were.
    ///
    /// # Errors
    /// An engine that does not answer or does not obey; a socket that cannot be removed.
    pub async fn sweep(&self) -> Result<usize, Error> {
        gate::sweep(&std::env::temp_dir())?;
        let api = &self.engine().await?.api;
        let me = Owner::me();
        let ours = HashMap::from([("label".to_owned(), vec![RUN.to_owned()])]);
        let listed = api.list_containers(Some(ListContainersOptionsBuilder::new().all(true).filters(&ours).build()));
        let mut swept = 0;
        for container in listed.await? {
            let (Some(id), Some(labels)) = (container.id, container.labels) else { continue };
            if is_left_behind(&labels, me.as_ref(), since_1970()) {
                remove(api, &id).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// Ends and removes a container. One that is not there is what was wanted; one that somebody else is just removing is gone
/// when this returns.
pub(super) async fn remove(api: &bollard::Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match api.remove_container(id, Some(options)).await {
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(Error::DockerResponseServerError { status_code: 409, .. }) => removed(api, id).await,
        ended => ended,
    }
}

/// Waits until a container is gone that somebody else is removing.
async fn removed(api: &bollard::Docker, id: &str) -> Result<(), Error> {
    let options = WaitContainerOptionsBuilder::new().condition("removed").build();
    let mut waiting = api.wait_container(id, Some(options));
    match timeout(PATIENCE, waiting.next()).await {
        // How its command ended is nobody's affair any more.
        Ok(None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. }))) => Ok(()),
        Ok(Some(Err(Error::DockerResponseServerError { status_code: 404, .. }))) => Ok(()),
        Ok(Some(Err(error))) => Err(error),
        Err(_elapsed) => Err(Error::RequestTimeoutError),
    }
}

#[cfg(test)]
mod tests {
    use super::{HashMap, LATE, OWNER, Owner, UNTIL, is_left_behind};

    #[test]
    fn only_the_dead_and_the_late_are_left_behind() {
        let me = Owner::me().expect("a process");
        assert_eq!(Owner::read(&me.label()), Some(me.clone()));
        let owners = [
            (me.clone(), false),
            (Owner { began: me.began + 1, ..me.clone() }, true),
            (Owner { pid: u32::MAX, ..me.clone() }, true),
            (Owner { pid: u32::MAX, boot: "another".to_owned(), ..me.clone() }, false),
            (Owner { pid: u32::MAX, space: "1".to_owned(), ..me.clone() }, false),
        ];
        let (until, late) = (1_000, 1_001 + LATE.as_secs());
        for (owner, dead) in owners {
            let labels = HashMap::from([(OWNER.to_owned(), owner.label()), (UNTIL.to_owned(), until.to_string())]);
            assert_eq!(is_left_behind(&labels, Some(&me), until), dead, "{owner:?}");
            assert!(is_left_behind(&labels, Some(&me), late), "{owner:?}");
        }
        assert!(!is_left_behind(&HashMap::new(), Some(&me), late));
        assert!(!is_left_behind(&HashMap::from([(OWNER.to_owned(), "1.2.3".to_owned())]), Some(&me), late));
    }
}
