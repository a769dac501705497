//! What a command sees as `/`: the system's programs and libraries read-only, an own `/proc` and `/tmp`, five devices, and
//! the granted paths at their own places. Nothing else of the host is there to be found.
//!
//! **Invariant:** after it is built, the kernel's own list of mounts shows nothing writable but `/tmp`, `/proc` and what was
//! granted for writing, and nothing with set-user-id programs or devices but the five; otherwise nothing runs.
//! **Invariant:** a granted path is opened once, without following any symbolic link, and what was opened is what is seen.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, symlink},
    },
    path::{Path, PathBuf},
};

use common_ground::grant::Access;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{Gid, Uid, chdir, pivot_root},
};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2},
    mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree},
};

use super::{
    child::During,
    plan::{Bind, Network, Plan},
};

/// Of the system, where it is there.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
];
/// Of the system, where a jail has a gate: whose certificates programs trust.
const TRUST: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/extracted",
];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Where the new root is put together. Hides the host's own folder of that name, in this mount namespace only.
const BASE: &str = "/tmp";
const OLD: &str = ".old";
/// Places that are the jail's own; a path of the host would have to replace them.
const OWN: &[&str] = &["/", "/dev", "/proc", "/tmp", "/run", "/.old"];

/// Why a path cannot be shown in a jail, whatever was granted.
pub(super) fn is_own(path: &str) -> bool {
    OWN.contains(&path) || ["/dev/", "/proc/"].iter().any(|own| path.starts_with(own))
}

/// A piece of the host, taken hold of.
struct Piece {
    path: PathBuf,
    tree: OwnedFd,
    is_folder: bool,
}

/// Builds it and goes in. Gives the granted paths that are not there.
pub(super) fn build(plan: &Plan) -> Result<Vec<String>, String> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).during("keep mounts private")?;
    let mut pieces = Vec::new();
    let mut links = Vec::new();
    let trust: &[&str] = match plan.network {
        Network::None => &[],
        Network::Gate => TRUST,
    };
    for path in SYSTEM.iter().chain(trust) {
        // A link of the system's own is made anew; what it leads to is there or not.
        match fs::read_link(path) {
            Ok(to) => links.push((Path::new(path), to)),
            Err(_not_a_link) => pieces.extend(take(Path::new(path)).during(path)?),
        }
    }
    for path in DEVICES {
        pieces.push(take(Path::new(path)).during(path)?.ok_or(format!("{path} is not there"))?);
    }
    let mut absent = Vec::new();
    let mut grants = Vec::new();
    for Bind { path, .. } in &plan.binds {
        match take(Path::new(path)) {
            Ok(Some(piece)) => grants.push(piece),
            Ok(None) => absent.push(path.clone()),
            Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                return Err(format!("{path} is reached through a symbolic link: grant the path it leads to"));
            }
            Err(error) => return Err(format!("open {path}: {error}")),
        }
    }
    mount_tmpfs(Path::new(BASE), "size=1m,nr_inodes=1024,mode=0755")?;
    let base = Path::new(BASE);
    for folder in ["dev", "etc", "proc", "run", "tmp", OLD] {
        make_folder(&base.join(folder)).during(folder)?;
    }
    files(base).during("write /etc")?;
    let limits = plan.limits;
    // The folder itself and those on the way to grants beneath it take a place too.
    let inodes = limits.written_files.saturating_add(1 + 16 * plan.binds.len() as u64);
    // Zero means no limit to the kernel.
    let bytes = limits.written_bytes.max(4096);
    mount_tmpfs(&base.join("tmp"), &format!("size={bytes},nr_inodes={inodes},mode=1777"))?;
    let none = None::<&Path>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &base.join("proc"), Some("proc"), flags, none).during("mount /proc")?;
    for (path, to) in links {
        let at = below(base, path);
        at.parent().map_or(Ok(()), make_folder).during("make a folder")?;
        symlink(to, at).during("make a link")?;
    }
    for piece in pieces.into_iter().chain(grants) {
        put(base, &piece).during(&piece.path.display().to_string())?;
    }
    chdir(base).during("enter the new root")?;
    pivot_root(".", OLD).during("change the root")?;
    chdir("/").during("enter the new root")?;
    umount2(Path::new("/").join(OLD).as_path(), MntFlags::MNT_DETACH).during("let go of the old root")?;
    fs::remove_dir(Path::new("/").join(OLD)).during("let go of the old root")?;
    harden(plan)?;
    Ok(absent)
}

fn below(base: &Path, path: &Path) -> PathBuf {
    base.join(path.strip_prefix("/").unwrap_or(path))
}

fn mount_tmpfs(at: &Path, options: &str) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), at, Some("tmpfs"), flags, Some(options)).during(&format!("mount {}", at.display()))
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Takes hold of what is at a path now, with all that is mounted beneath it. None where nothing is.
fn take(path: &Path) -> io::Result<Option<Piece>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(CWD, path, flags, Mode::empty(), resolve) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_folder = FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Directory;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&opened, c"", clone)?;
    Ok(Some(Piece { path: path.to_owned(), tree, is_folder }))
}

/// Puts a piece where it belongs, and makes that place where it is not there.
fn put(base: &Path, piece: &Piece) -> io::Result<()> {
    let root = rustix::fs::open(base, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = piece.path.strip_prefix("/").unwrap_or(&piece.path);
    let open = || {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        openat2(&root, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    let at = match open() {
        Err(rustix::io::Errno::NOENT) => {
            let at = base.join(name);
            if piece.is_folder {
                make_folder(&at)?;
            } else {
                at.parent().map_or(Ok(()), make_folder)?;
                fs::File::create_new(&at)?;
            }
            open()?
        }
        opened => opened?,
    };
    let whole = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&piece.tree, c"", &at, c"", whole)?)
}

/// The few files and links that programs expect.
fn files(base: &Path) -> io::Result<()> {
    let (uid, gid) = (Uid::current(), Gid::current());
    fs::write(base.join("etc/passwd"), format!("jail:x:{uid}:{gid}:jail:/tmp:/bin/sh\n"))?;
    fs::write(base.join("etc/group"), format!("jail:x:{gid}:\n"))?;
    fs::write(base.join("etc/hosts"), "127.0.0.1 localhost jail\n::1 localhost\n")?;
    fs::write(base.join("etc/nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")?;
    for (to, at) in [
        ("/proc/self/fd", "dev/fd"),
        ("/proc/self/fd/0", "dev/stdin"),
        ("/proc/self/fd/1", "dev/stdout"),
        ("/proc/self/fd/2", "dev/stderr"),
        ("/tmp", "dev/shm"),
    ] {
        symlink(to, base.join(at))?;
    }
    Ok(())
}

/// What a mount must not allow.
fn wanted(plan: &Plan, at: &Path) -> MsFlags {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    if DEVICES.iter().any(|device| Path::new(device) == at) {
        return MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    }
    // The nearest grant above decides; `/tmp` and `/proc` are the jail's own.
    let nearest = plan.binds.iter().filter(|bind| at.starts_with(&bind.path)).max_by_key(|bind| bind.path.len());
    match nearest.map(|bind| bind.access) {
        Some(Access::Write) => safe,
        Some(Access::Read) => safe | MsFlags::MS_RDONLY,
        None if at == Path::new("/tmp") || at == Path::new("/proc") => safe,
        None => safe | MsFlags::MS_RDONLY,
    }
}

/// Takes from every mount what it must not allow, then asks the kernel whether it is so.
fn harden(plan: &Plan) -> Result<(), String> {
    for pass in [Pass::Take, Pass::Check] {
        for (at, has) in mounts()? {
            let lacks = wanted(plan, &at).difference(has);
            if lacks.is_empty() {
                continue;
            }
            match pass {
                Pass::Take => {
                    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | has | lacks;
                    let none = None::<&Path>;
                    mount(none, &at, none, flags, none).during(&format!("close {}", at.display()))?;
                }
                Pass::Check => return Err(format!("{} still allows {lacks:?}", at.display())),
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Pass {
    Take,
    Check,
}

/// Every mount there is and what it does not allow. Of several at one place only the last is seen, and counts.
fn mounts() -> Result<BTreeMap<PathBuf, MsFlags>, String> {
    let text = fs::read_to_string("/proc/self/mountinfo").during("list mounts")?;
    Ok(text.lines().filter_map(mounted).collect())
}

fn mounted(line: &str) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(' ').skip(4);
    let (at, options) = (fields.next()?, fields.next()?);
    // The kernel writes these four as octal.
    let at = at.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    let flags = options.split(',').map(|option| match option {
        "ro" => MsFlags::MS_RDONLY,
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        _time_and_others => MsFlags::empty(),
    });
    Some((at.into(), flags.collect()))
}

#[cfg(test)]
mod tests {
    use common_ground::grant::{Access, Limits};
    use nix::mount::MsFlags;

    use super::{Bind, Network, Path, Plan, mounted, wanted};
    use crate::jail::plan::Input;

    #[test]
    fn a_line_of_the_kernel_is_read() {
        let line = "44 27 254:0 /a /tmp/b\\040c rw,nosuid,relatime - ext4 /dev/vda rw,discard";
        let (at, flags) = mounted(line).expect("a mount");
        assert_eq!((at.as_path(), flags), (Path::new("/tmp/b c"), MsFlags::MS_NOSUID));
        assert!(mounted("44 27 254:0").is_none());
    }

    #[test]
    fn the_nearest_grant_decides_what_is_writable() {
        let bind = |path: &str, access| Bind { path: path.to_owned(), access };
        let plan = Plan {
            command: Vec::new(),
            env: Vec::new(),
            input: Input::Nothing,
            cwd: String::new(),
            binds: vec![
                bind("/a", Access::Write),
                bind("/a/b", Access::Read),
                bind("/a/b/c", Access::Write),
                bind("/tmp/r", Access::Read),
            ],
            limits: Limits::USUAL,
            uid: 1,
            network: Network::None,
        };
        for (at, writable) in [
            ("/", false),
            ("/usr", false),
            ("/tmp", true),
            ("/tmp/r", false),
            ("/a", true),
            ("/ab", false),
            ("/a/x", true),
            ("/a/b", false),
            ("/a/b/x", false),
            ("/a/b/c", true),
            ("/dev/null", false),
        ] {
            let flags = wanted(&plan, Path::new(at));
            assert_eq!(!flags.contains(MsFlags::MS_RDONLY), writable, "{at}");
            assert!(flags.contains(MsFlags::MS_NOSUID), "{at}");
        }
    }
}
