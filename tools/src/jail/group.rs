//! A control group around one jail, where this user may make one: memory and processes of the whole tree together.
//! Version 1 where it is mounted with both controllers, else version 2.
//!
//! Version 2 keeps processes out of groups that have limited groups beneath them, so a jail's group is made beside the
//! program's own, where systemd delegates. Version 2 was not run on the machine this was written on; its files are tested.
//!
//! **Invariant:** a group that was made is removed by the jail's keeper, and after its sudden death by [`sweep`].

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use common_ground::grant::Limits;

use super::{child::During, plan::Usage};

const PREFIX: &str = "ii-jail-";
/// The door and the init are in the group, and not in what was granted.
const OURS: u64 = 2;

/// Where groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder for each controller.
    One { memory: PathBuf, pids: PathBuf },
    /// One folder for all.
    Two { parent: PathBuf },
}

/// The group of one jail.
#[derive(Debug)]
pub(super) struct Group {
    place: Place,
    name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One { .. } => "cgroup v1 memory,pids",
            Self::Two { .. } => "cgroup v2 memory,pids",
        })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

impl Place {
    /// The first place with both controllers that this user may write to.
    pub fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::read(&mounts, &own).into_iter().find(Self::is_usable)
    }

    /// The places that the kernel names.
    fn read(mounts: &str, own: &str) -> Vec<Self> {
        let one = |controller| {
            let at = own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let (names, path) = (fields.next()?, fields.next()?);
                names.split(',').any(|name| name == controller).then_some(path)
            })?;
            mounted(mounts, "cgroup", Some(controller), at)
        };
        let two = own.lines().find_map(|line| line.strip_prefix("0::"));
        let two = two.and_then(|at| mounted(mounts, "cgroup2", None, at));
        let parent = two.and_then(|own| own.parent().map(Path::to_owned));
        let one = one("memory").zip(one("pids")).map(|(memory, pids)| Self::One { memory, pids });
        one.into_iter().chain(parent.map(|parent| Self::Two { parent })).collect()
    }

    fn is_usable(&self) -> bool {
        let may_write = |folder: &Path| {
            let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(folder, access).is_ok()
        };
        let may_append = |file: &Path| rustix::fs::access(file, rustix::fs::Access::WRITE_OK).is_ok();
        match self {
            Self::One { memory, pids } => may_write(memory) && may_write(pids),
            Self::Two { parent } => {
                let given = fs::read_to_string(parent.join("cgroup.subtree_control")).unwrap_or_default();
                let has = |name| given.split_whitespace().any(|given| given == name);
                has("memory") && has("pids") && may_write(parent) && may_append(&parent.join("cgroup.procs"))
            }
        }
    }

    fn folders(&self) -> Vec<&Path> {
        match self {
            Self::One { memory, pids } => vec![memory, pids],
            Self::Two { parent } => vec![parent],
        }
    }
}

/// The folder of a group in the file tree, seen through the mount that shows it.
fn mounted(mounts: &str, kind: &str, controller: Option<&str>, at: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, point) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (of, options) = (after.next()?, after.nth(1)?);
        if of != kind || controller.is_some_and(|name| !options.split(',').any(|option| option == name)) {
            return None;
        }
        let beneath = Path::new(at).strip_prefix(root).ok()?;
        Some(Path::new(point).join(beneath))
    })
}

impl Group {
    /// Makes one with these limits; none where this user may not.
    pub fn make(limits: &Limits) -> Result<Option<Self>, String> {
        let Some(place) = Place::find() else { return Ok(None) };
        let me = std::process::id();
        let began = began(me).ok_or("this process has no beginning")?;
        let group = Self { place, name: format!("{PREFIX}{me}-{began}") };
        group.limit(limits).inspect_err(|_error| {
            // What was made of it is removed; the first error is the one to tell.
            if let Err(error) = group.remove() {
                eprintln!("jail: remove a control group: {error}");
            }
        })?;
        Ok(Some(group))
    }

    fn limit(&self, limits: &Limits) -> Result<(), String> {
        let memory = limits.memory_bytes.to_string();
        let processes = limits.processes.saturating_add(OURS).to_string();
        for folder in self.place.folders() {
            fs::create_dir(folder.join(&self.name)).during("make a control group")?;
        }
        let write = |at: &Path, file: &str, text: &str| {
            fs::write(at.join(&self.name).join(file), text).during(&format!("write {file}"))
        };
        match &self.place {
            Place::One { memory: at, pids } => {
                write(at, "memory.limit_in_bytes", &memory)?;
                // Only kernels that count swap have it; without it swap is no way round, there is none to the group.
                if at.join(&self.name).join("memory.memsw.limit_in_bytes").exists() {
                    write(at, "memory.memsw.limit_in_bytes", &memory)?;
                }
                write(pids, "pids.max", &processes)
            }
            Place::Two { parent } => {
                write(parent, "memory.max", &memory)?;
                if parent.join(&self.name).join("memory.swap.max").exists() {
                    write(parent, "memory.swap.max", "0")?;
                }
                write(parent, "pids.max", &processes)
            }
        }
    }

    /// Moves the calling process in, which has one thread.
    pub fn join(&self) -> io::Result<()> {
        // A thread that moves itself waits for nobody; for a whole process the kernel first waits until no other forks or ends
        // anywhere, which takes longer than all else that a jail needs. Version 2 moves single threads only within one domain.
        let file = match self.place {
            Place::One { .. } => "tasks",
            Place::Two { .. } => "cgroup.procs",
        };
        self.place.folders().iter().try_for_each(|at| fs::write(at.join(&self.name).join(file), "0"))
    }

    /// What was measured without it, and what it knows better.
    pub fn usage(&self, measured: Usage) -> Usage {
        let number =
            |at: &Path, file: &str| fs::read_to_string(at.join(&self.name).join(file)).ok()?.trim().parse::<u64>().ok();
        let event = |at: &Path, file: &str, name: &str| {
            let text = fs::read_to_string(at.join(&self.name).join(file)).ok()?;
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok())
        };
        let (peak, killed, refused) = match &self.place {
            Place::One { memory, pids } => (
                number(memory, "memory.max_usage_in_bytes"),
                event(memory, "memory.oom_control", "oom_kill"),
                event(pids, "pids.events", "max"),
            ),
            Place::Two { parent } => (
                number(parent, "memory.peak"),
                event(parent, "memory.events", "oom_kill"),
                event(parent, "pids.events", "max"),
            ),
        };
        Usage {
            memory_bytes: peak.unwrap_or(measured.memory_bytes),
            out_of_memory: killed.unwrap_or(measured.out_of_memory),
            refused_forks: refused.unwrap_or(measured.refused_forks),
            ..measured
        }
    }

    /// Removes it. The kernel may still be taking the last process out of it.
    pub fn remove(&self) -> io::Result<()> {
        self.place.folders().iter().try_for_each(|at| remove(&at.join(&self.name)).map(drop))
    }
}

/// Removes a group; false where somebody else did.
fn remove(group: &Path) -> io::Result<bool> {
    // Mostly once or twice; two seconds in all, on a machine that is very busy.
    for attempt in 0..40 {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                sleep(Duration::from_micros(250 * attempt * attempt / 2 + 250))
            }
            ended => return ended.map(|()| true),
        }
    }
    fs::remove_dir(group).map(|()| true)
}

/// When a process of this number began, in ticks since the machine did; none where there is none.
pub(crate) fn began(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    // The state is the third field, the beginning the twenty-second.
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Removes the groups of keepers that are no more.
///
/// # Errors
/// A group that cannot be removed.
pub fn sweep() -> io::Result<usize> {
    let mut swept = 0;
    let Some(place) = Place::find() else { return Ok(0) };
    for folder in place.folders() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
            let Some((pid, beginning)) = owner else { continue };
            let (Ok(pid), Ok(beginning)) = (pid.parse(), beginning.parse()) else { continue };
            if began(pid) != Some(beginning) {
                swept += usize::from(remove(&entry.path())?);
            }
        }
    }
    Ok(swept)
}

#[cfg(test)]
mod tests {
    use super::{Path, Place, began};

    #[test]
    fn both_versions_are_found_where_the_kernel_says() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                      40 31 0:37 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                      42 31 0:38 /user.slice /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let own = "8:pids:/\n4:memory:/a/b\n0::/user.slice/app.slice/one.scope\n";
        let one = Place::One { memory: "/sys/fs/cgroup/memory/a/b".into(), pids: "/sys/fs/cgroup/pids/".into() };
        let two = Place::Two { parent: "/sys/fs/cgroup/unified/app.slice".into() };
        assert_eq!(Place::read(mounts, own), [one.clone(), two.clone()]);
        assert_eq!(Place::read(mounts, "4:memory:/a\n0::/user.slice/app.slice/one.scope\n"), [two]);
        assert_eq!(Place::read(mounts, "8:pids:/\n4:memory:/a/b\n"), [one]);
        assert!(Place::read("", own).is_empty());
    }

    #[test]
    fn a_version_2_place_needs_both_controllers() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("written");
        let place = Place::Two { parent: folder.path().to_owned() };
        write("cgroup.procs", "");
        assert!(!place.is_usable());
        write("cgroup.subtree_control", "cpu memory");
        assert!(!place.is_usable());
        write("cgroup.subtree_control", "cpu memory pids\n");
        assert!(place.is_usable());
        assert!(!Place::Two { parent: Path::new("/nowhere").into() }.is_usable());
    }

    #[test]
    fn a_process_has_a_beginning() {
        assert!(began(std::process::id()).is_some_and(|ticks| ticks > 0));
        assert_eq!(began(u32::MAX), None);
    }
}
