//! Folders of browsers, and what a killed program left of them.
//!
//! Each folder has a file that its owner holds locked for as long as it lives; the kernel lets go of it with the process,
//! so that no number of a process is taken for another's. A folder gets its real name only when it is locked.
//!
//! **Invariant:** a folder whose owner lives is never touched, whichever program looks.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, Signal, getuid, pidfd_open, pidfd_send_signal};

const PREFIX: &str = "ii-browser-";
const UNNAMED: &str = "ii-new-";
const LOCK: &str = "owner.lock";
/// How old a folder without its name is before nobody is about to give it one.
const ABANDONED: Duration = Duration::from_secs(10);
/// How often the removal of a folder is tried while its processes end.
const TRIES: u32 = 50;

/// Removals under way, which the end of the program waits for. Held to put one in or take all out.
static REMOVALS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// A folder of one's own, locked. Dropped, its processes are ended and it is removed.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    // Held for as long as the folder is there.
    lock: Option<File>,
}

impl Folder {
    /// Makes one, for this user alone.
    pub fn new(root: &Path) -> io::Result<Self> {
        let unnamed = tempfile::Builder::new().prefix(UNNAMED).tempdir_in(root)?;
        let lock = File::create_new(unnamed.path().join(LOCK))?;
        lock.lock()?;
        let name = unnamed.path().file_name().unwrap_or_default().to_string_lossy().replace(UNNAMED, PREFIX);
        let path = root.join(name);
        fs::rename(unnamed.path(), &path)?;
        // It has another name now and is removed under that.
        drop(unnamed.keep());
        Ok(Self { path, lock: Some(lock) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let (path, lock) = (std::mem::take(&mut self.path), self.lock.take());
        // Processes take a moment to end; only the end of the program waits for that. What is left then is found at the next
        // start.
        let removing = std::thread::Builder::new().spawn(move || {
            remove(&path).unwrap_or_default();
            drop(lock);
        });
        // Without a thread to spare, the next start removes it.
        if let Ok(removing) = removing {
            let mut removals = REMOVALS.lock().unwrap_or_else(PoisonError::into_inner);
            removals.retain(|removal| !removal.is_finished());
            removals.push(removing);
        }
    }
}

/// Waits for the removals under way, each of which gives up after a few seconds.
pub(super) fn settle() {
    let removals = std::mem::take(&mut *REMOVALS.lock().unwrap_or_else(PoisonError::into_inner));
    for removal in removals {
        // What one that panicked has left is found at the next start.
        removal.join().unwrap_or_default();
    }
}

/// Removes what dead owners left in a folder; how many there were.
pub(super) fn clear(root: &Path) -> io::Result<usize> {
    use std::os::unix::fs::MetadataExt;
    let mut cleared = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(found) = entry.metadata() else { continue };
        let age = found.modified().ok().and_then(|made| made.elapsed().ok()).unwrap_or_default();
        let is_named = name.starts_with(PREFIX) || (name.starts_with(UNNAMED) && age > ABANDONED);
        let is_ours = is_named && found.is_dir() && found.uid() == getuid().as_raw();
        let is_free = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Its maker was killed before it made the lock, or whoever removed it after that file was gone. Where somebody is
            // still at that, two do it.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_ours && is_free {
            remove(&entry.path())?;
            cleared += 1;
        }
    }
    Ok(cleared)
}

fn remove(folder: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..TRIES {
        end_processes(folder);
        last = fs::remove_dir_all(folder);
        match &last {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_still_in_use) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    last
}

/// Ends every process that names the folder in its command line. Where there is no `/proc`, the closed pipe alone ends them.
fn end_processes(folder: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    let marker = folder.to_string_lossy();
    for process in processes.flatten() {
        let number = process.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
        let Some(pid) = number else { continue };
        // Opened before it is looked at, so that the number cannot become another's in between.
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(marker.as_ref())
            && u32::try_from(pid.as_raw_nonzero().get()) != Ok(std::process::id())
        {
            // One that has just ended needs no signal.
            pidfd_send_signal(&handle, Signal::KILL).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{ABANDONED, Folder, LOCK, PREFIX, UNNAMED, clear, settle};

    #[test]
    fn the_dead_are_cleared_and_the_living_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let living = Folder::new(root.path()).expect("a folder");
        let dead = root.path().join(format!("{PREFIX}dead"));
        std::fs::create_dir(&dead).expect("a folder");
        File::create(dead.join(LOCK)).expect("a file");
        // Killed while it was being removed, when its lock was already gone.
        let half = root.path().join(format!("{PREFIX}half"));
        std::fs::create_dir_all(half.join("profile")).expect("a folder");
        // Killed before it was locked: gone once it is old, since a new one may be about to be.
        let (unlocked, new) = (root.path().join(format!("{UNNAMED}old")), root.path().join(format!("{UNNAMED}new")));
        for folder in [&unlocked, &new] {
            std::fs::create_dir(folder).expect("a folder");
        }
        let long_ago = std::time::SystemTime::now() - ABANDONED * 2;
        File::open(&unlocked).and_then(|folder| folder.set_modified(long_ago)).expect("made old");
        let foreign = root.path().join("other");
        std::fs::create_dir(&foreign).expect("a folder");
        // A program that was killed had processes, too.
        let mut process = std::process::Command::new("sh")
            .args(["-c", "sleep 60; :", &dead.to_string_lossy()])
            .spawn()
            .expect("a process");
        // Between fork and exec it has this program's own command line.
        let line = format!("/proc/{}/cmdline", process.id());
        while !std::fs::read(&line).is_ok_and(|line| line.starts_with(b"sh\0")) {
            std::thread::yield_now();
        }
        assert_eq!(clear(root.path()).expect("clears"), 3);
        assert!(!dead.exists() && !half.exists() && foreign.exists() && living.path().exists());
        assert!(!unlocked.exists() && new.exists());
        assert!(!process.wait().expect("ended").success());
        assert_eq!(clear(root.path()).expect("clears"), 0);
    }

    #[test]
    fn the_end_waits_for_what_is_being_removed() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(root.path()).expect("a folder");
        for n in 0..2_000 {
            File::create(folder.path().join(n.to_string())).expect("a file");
        }
        let path = folder.path().to_owned();
        drop(folder);
        settle();
        assert!(!path.exists());
    }
}
