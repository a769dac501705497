//! How much the folders that a command may write have grown since it began, looked at from outside while it runs. The size of
//! each file is the kernel's to bound; their sum and their number are bounded here, on every tier alike.
//!
//! It never reads what a file holds, follows no link, and ends nothing itself.
//!
//! **Invariant:** a command whose folders grew by more than its limits is told of as over them, also where it ended by itself
//! before anybody looked.
//! **Invariant:** what cannot be looked into or is too much to be looked at is refused, never left out.
//! **Invariant:** looking takes no more than a tenth of one processor, however large the folders are.

use std::{
    collections::HashMap,
    ffi::OsStr,
    future::{Future, pending},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use common_ground::grant::{Access, Item, Limits};
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatvfs, openat2, statat},
    io::Errno,
};
use tokio::task::spawn_blocking;

use crate::hand::Work;

/// What the record says was refused.
pub(crate) const WHAT: &str = "more in the folders that it may write";
/// Most files and folders that are looked at for one call.
const MOST_ENTRIES: usize = 500_000;
/// How often the folders are looked at where nothing asks for it sooner.
const LOOK: Duration = Duration::from_millis(250);
/// How often the file systems are asked what is free, which costs nothing and tells when to look sooner.
const TICK: Duration = Duration::from_millis(10);
/// So many times as long as a look took is waited for the next.
const REST: u32 = 9;

/// What file systems commonly give out at once.
const BLOCK: u64 = 4096;

/// Why folders cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unwatched {
    /// There is too much in them.
    #[error("the folders that it may write hold more than {0} files and folders: grant one within them")]
    TooMany(usize),
    /// One cannot be looked into, and could hide anything.
    #[error("{0} is in a folder that it may write and cannot be looked into: {1}")]
    Closed(PathBuf, #[source] io::Error),
}

/// A granted path, taken hold of.
#[derive(Debug)]
struct Root {
    path: PathBuf,
    handle: OwnedFd,
    /// What was free on its file system when the command began.
    free: Grown,
}

/// A file as it was met: how much it holds and under how many names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    bytes: u64,
    names: u64,
}

/// By file system and number.
type Files = HashMap<(u64, u64), Seen>;

/// By how much folders have grown, or may. What was taken away counts for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Grown {
    bytes: u64,
    /// Files, folders and names that were not there.
    files: u64,
}

/// The folders that a command may write, as they were when it began.
#[derive(Debug, Clone)]
pub(crate) struct Growth {
    start: Arc<Start>,
}

#[derive(Debug)]
struct Start {
    roots: Vec<Root>,
    files: Files,
    most: Grown,
}

impl Growth {
    /// Begins to take the measure of what a call may write, beside whatever the caller does before it waits for it. None
    /// where the call may write nothing.
    pub fn begin(work: &Work) -> impl Future<Output = Result<Option<Self>, Unwatched>> + use<> {
        let paths: Vec<PathBuf> = work
            .grant()
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Path { path, access: Access::Write } => Some(PathBuf::from(path)),
                Item::Path { access: Access::Read, .. }
                | Item::Env { .. }
                | Item::Net { .. }
                | Item::Secret { .. }
                | Item::Run { .. } => None,
            })
            .collect();
        let limits = work.limits();
        let taking = (!paths.is_empty()).then(|| spawn_blocking(move || Start::take(paths, limits, MOST_ENTRIES)));
        async move {
            match taking {
                None => Ok(None),
                Some(taking) => joined(taking.await).map(|start| Some(Self { start: Arc::new(start) })),
            }
        }
    }

    async fn look(&self) -> Result<Grown, Unwatched> {
        let start = Arc::clone(&self.start);
        joined(spawn_blocking(move || start.look()).await)
    }
}

/// A panic of a task goes on in the task that waits for it.
fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> T {
    match ended {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Waits until the folders have grown by more than the limits, and says by how much; for ever where there are none.
pub(crate) async fn outgrown(growth: Option<&Growth>) -> String {
    let Some(growth) = growth else { return pending().await };
    let (mut looked, mut rest) = (Instant::now(), Duration::ZERO);
    let mut free = growth.start.free();
    let mut left = growth.start.most;
    loop {
        tokio::time::sleep(TICK).await;
        let now = growth.start.free();
        if let Some(path) = growth.start.starved(&now) {
            return format!("{}: half of what was free there is gone", path.display());
        }
        let fell = free.iter().zip(&now).any(|(then, now)| {
            then.bytes.saturating_sub(now.bytes) > left.bytes / 2
                || then.files.saturating_sub(now.files) > left.files / 2
        });
        let waited = looked.elapsed();
        if waited < rest || (waited < LOOK && !fell) {
            continue;
        }
        let began = Instant::now();
        match growth.look().await {
            Ok(grown) => match growth.start.judge(grown) {
                Ok(within) => left = within,
                Err(said) => return said,
            },
            Err(error) => return error.to_string(),
        }
        (looked, free) = (Instant::now(), now);
        rest = began.elapsed() * REST;
    }
}

/// By how much the folders have grown beyond the limits now that the command has ended; none where they have not.
pub(crate) async fn over(growth: Option<&Growth>) -> Option<String> {
    let growth = growth?;
    match growth.look().await {
        Ok(grown) => growth.start.judge(grown).err(),
        Err(error) => Some(error.to_string()),
    }
}

impl Start {
    fn take(mut paths: Vec<PathBuf>, limits: Limits, most: usize) -> Result<Self, Unwatched> {
        paths.sort();
        // What lies beneath another is looked at with that.
        paths.dedup_by(|later, kept| later.starts_with(kept));
        let mut roots = Vec::new();
        for path in paths {
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match openat2(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Ok(handle) => {
                    let free = free(&handle);
                    roots.push(Root { path, handle, free });
                }
                // One that is not there or is reached through a link is no folder of the command's either.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(Unwatched::Closed(path, error.into())),
            }
        }
        let files = files(&roots, most)?;
        let most = Grown { bytes: limits.written_bytes, files: limits.written_files };
        Ok(Self { roots, files, most })
    }

    fn look(&self) -> Result<Grown, Unwatched> {
        let allowed = usize::try_from(self.most.files).unwrap_or(usize::MAX);
        let most = self.files.len().saturating_add(allowed).saturating_add(1).max(MOST_ENTRIES);
        let mut grown = Grown::default();
        for (number, now) in files(&self.roots, most)? {
            let then = self.files.get(&number).copied().unwrap_or_default();
            grown.bytes = grown.bytes.saturating_add(now.bytes.saturating_sub(then.bytes));
            grown.files = grown.files.saturating_add(now.names.saturating_sub(then.names));
        }
        Ok(grown)
    }

    /// What may still come, or what is too much.
    fn judge(&self, grown: Grown) -> Result<Grown, String> {
        let Grown { bytes, files } = self.most;
        if grown.bytes > bytes {
            Err(format!("{} bytes more than when it began, and the limit is {bytes}", grown.bytes))
        } else if grown.files > files {
            Err(format!("{} files more than when it began, and the limit is {files}", grown.files))
        } else {
            Ok(Grown { bytes: bytes - grown.bytes, files: files - grown.files })
        }
    }

    fn free(&self) -> Vec<Grown> {
        self.roots.iter().map(|root| free(&root.handle)).collect()
    }

    /// Where files without a name may be filling a disk: more is gone than the limit, and half of what there was.
    fn starved(&self, now: &[Grown]) -> Option<&Path> {
        let is_starved = |root: &Root, now: &Grown| {
            root.free.bytes.saturating_sub(now.bytes) > self.most.bytes.max(root.free.bytes / 2)
        };
        self.roots.iter().zip(now).find(|(root, now)| is_starved(root, now)).map(|(root, _)| &*root.path)
    }
}

/// What is free on a file system; one that does not say has nothing to lose.
fn free(handle: &OwnedFd) -> Grown {
    let about = fstatvfs(handle).ok();
    about.map_or(Grown::default(), |about| Grown {
        bytes: about.f_bfree.saturating_mul(about.f_frsize),
        files: about.f_ffree,
    })
}

/// All that lies at and beneath these paths, each file once.
fn files(roots: &[Root], most: usize) -> Result<Files, Unwatched> {
    let mut files = Files::new();
    let mut met = 0_usize;
    for root in roots {
        let closed = |at: &Path, error: Errno| Unwatched::Closed(root.path.join(at), error.into());
        let about = fstat(&root.handle).map_err(|error| closed(Path::new(""), error))?;
        meet(&mut files, &about);
        if FileType::from_raw_mode(about.st_mode) != FileType::Directory {
            continue;
        }
        let mut ahead = vec![PathBuf::from(".")];
        while let Some(at) = ahead.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let folder = match openat2(&root.handle, &at, flags, Mode::empty(), resolve) {
                Ok(folder) => folder,
                // It went, or something else took its name, since its name was read.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                // What only root can open, nothing that we start writes into.
                Err(Errno::ACCESS) if is_roots(&root.handle, &at) => continue,
                Err(error) => return Err(closed(&at, error)),
            };
            let names = Dir::read_from(&folder).map_err(|error| closed(&at, error))?;
            for name in names {
                let name = name.map_err(|error| closed(&at, error))?;
                let name = name.file_name();
                if name == c"." || name == c".." {
                    continue;
                }
                met += 1;
                if met > most {
                    return Err(Unwatched::TooMany(most));
                }
                let about = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(about) => about,
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(closed(&at, error)),
                };
                meet(&mut files, &about);
                if FileType::from_raw_mode(about.st_mode) == FileType::Directory {
                    ahead.push(at.join(OsStr::from_bytes(name.to_bytes())));
                }
            }
        }
    }
    Ok(files)
}

fn is_roots(root: &OwnedFd, at: &Path) -> bool {
    statat(root, at, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|about| about.st_uid == 0)
        && !rustix::process::geteuid().is_root()
}

/// Counts one name. A folder's own size is that of its names, which are counted one by one.
fn meet(files: &mut Files, about: &Stat) {
    let seen = files.entry((about.st_dev, about.st_ino)).or_default();
    seen.names += 1;
    if FileType::from_raw_mode(about.st_mode) != FileType::Directory {
        seen.bytes = bytes(about);
    }
}

/// What a file takes: of one with holes what is on the disk, of a short one what it holds, and of one that had more set aside
/// than it holds, which the kernel bounds by nothing, all of that but the rest of a block.
fn bytes(about: &Stat) -> u64 {
    let kept = u64::try_from(about.st_blocks).unwrap_or(0).saturating_mul(512);
    let long = u64::try_from(about.st_size).unwrap_or(0);
    kept.min(long).max(kept.saturating_sub(BLOCK))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{FallocateFlags, fallocate, mkdirat, openat};

    use super::*;

    const LIMITS: Limits = Limits { written_bytes: 1_000, written_files: 5, ..Limits::USUAL };

    fn take(path: &Path) -> Start {
        Start::take(vec![path.to_owned()], LIMITS, 100).expect("taken")
    }

    #[test]
    fn what_comes_is_counted_and_what_goes_is_not() {
        type Happens = fn(&Path);
        let cases: &[(&str, Happens, Grown)] = &[
            ("nothing", |_| {}, Grown { bytes: 0, files: 0 }),
            ("a short file", |at| fs::write(at.join("new"), "abc").expect("written"), Grown { bytes: 3, files: 1 }),
            (
                "one that grows",
                |at| fs::write(at.join("old"), [b'x'; 150]).expect("written"),
                Grown { bytes: 50, files: 0 },
            ),
            ("one that shrinks", |at| fs::write(at.join("old"), "").expect("written"), Grown { bytes: 0, files: 0 }),
            (
                "one that takes the place of another",
                |at| {
                    fs::write(at.join("new"), [b'x'; 70]).expect("written");
                    fs::remove_file(at.join("deep/er/old")).expect("removed");
                },
                Grown { bytes: 70, files: 1 },
            ),
            (
                "names of a file that was there",
                |at| (0..3).for_each(|n| fs::hard_link(at.join("old"), at.join(n.to_string())).expect("linked")),
                Grown { bytes: 0, files: 3 },
            ),
            (
                "names of a new file",
                |at| {
                    fs::write(at.join("new"), [b'x'; 10]).expect("written");
                    fs::hard_link(at.join("new"), at.join("deep/other")).expect("linked");
                },
                Grown { bytes: 10, files: 2 },
            ),
            ("a folder", |at| fs::create_dir(at.join("deep/er/new")).expect("made"), Grown { bytes: 0, files: 1 }),
            (
                "holes",
                |at| fs::File::create(at.join("new")).and_then(|file| file.set_len(1 << 30)).expect("made"),
                Grown { bytes: 0, files: 1 },
            ),
            (
                "a link out",
                |at| std::os::unix::fs::symlink("/usr", at.join("new")).expect("linked"),
                Grown { bytes: 0, files: 1 },
            ),
        ];
        for (what, happens, wanted) in cases {
            let folder = tempfile::tempdir().expect("a folder");
            fs::create_dir_all(folder.path().join("deep/er")).expect("made");
            fs::write(folder.path().join("old"), [b'x'; 100]).expect("written");
            fs::write(folder.path().join("deep/er/old"), [b'x'; 100]).expect("written");
            let start = take(folder.path());
            happens(folder.path());
            assert_eq!(start.look().expect("looked"), *wanted, "{what}");
        }
    }

    #[test]
    fn what_is_set_aside_without_being_held_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = take(folder.path());
        let file = fs::File::create(folder.path().join("new")).expect("made");
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 1 << 20) {
            Ok(()) => assert!(start.look().expect("looked").bytes >= (1 << 20) - BLOCK),
            // A file system without it has no such thing to count.
            Err(error) => assert_eq!(error, Errno::OPNOTSUPP),
        }
    }

    #[test]
    fn only_what_is_over_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = take(folder.path());
        for (bytes, files, over) in
            [(0, 0, None), (1_000, 5, None), (1_001, 0, Some("1001 bytes more")), (0, 6, Some("6 files more"))]
        {
            let said = start.judge(Grown { bytes, files }).err();
            assert_eq!(said.is_some(), over.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().starts_with(over.unwrap_or_default()));
        }
        let free = |then, now| {
            let of = |bytes| Grown { bytes, files: 0 };
            let root = |root: &Root| Root {
                path: root.path.clone(),
                handle: root.handle.try_clone().expect("a handle"),
                free: of(then),
            };
            let roots = start.roots.iter().map(root).collect();
            let start = Start { roots, files: Files::new(), most: start.most };
            start.starved(&[of(now)]).is_some()
        };
        assert!(!free(10_000, 10_000) && !free(10_000, 5_000) && free(10_000, 4_999) && !free(1_500, 600));
    }

    #[test]
    fn what_is_too_much_or_cannot_be_looked_into_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a", "b", "c", "d"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        let taken = |most| Start::take(vec![folder.path().to_owned(), folder.path().join("a")], LIMITS, most);
        assert!(matches!(taken(3), Err(Unwatched::TooMany(3))));
        let start = taken(4).expect("taken");
        assert_eq!(start.roots.len(), 1, "one lies beneath the other");
        let mut at = OwnedFd::from(fs::File::open(folder.path()).expect("opened"));
        for _ in 0..20 {
            let name = "n".repeat(250);
            mkdirat(&at, &*name, Mode::RWXU).expect("made");
            at = openat(&at, &*name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).expect("opened");
        }
        assert!(matches!(start.look(), Err(Unwatched::Closed(..))), "{:?}", start.look());
    }

    #[tokio::test]
    async fn one_that_grows_too_large_is_told_while_it_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let item = format!("write:{}", folder.path().display()).parse().expect("an item");
        let grant = common_ground::grant::Grant { limits: LIMITS, ..common_ground::grant::Grant::of([item]) };
        let work = Work::new(common_ground::port::tool::StepKey::NONE, grant);
        let growth = Growth::begin(&work).await.expect("watched");
        assert!(growth.is_some());
        assert_eq!(over(growth.as_ref()).await, None);
        fs::write(folder.path().join("new"), [b'x'; 1_001]).expect("written");
        let said = tokio::time::timeout(Duration::from_secs(60), outgrown(growth.as_ref())).await.expect("told");
        assert!(said.starts_with("1001 bytes more"), "{said}");
        assert_eq!(over(growth.as_ref()).await, Some(said));
    }
}
