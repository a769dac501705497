//! The processes of a jail, each a fork of the one before: the *keeper* outside, which ends and cleans up; the *door*,
//! which goes into new namespaces; the *init*, first process inside, whose end ends all others; and the command.
//!
//! The keeper is this program started again, so that nothing of the caller's memory or open files comes along. It and
//! its forks have one thread each, which is what makes forking safe; that is checked before the first fork.
//!
//! **Invariant:** when the program, the keeper, the door or the init dies, however it dies, so do all behind it.
//! **Invariant:** a command runs only after every wall stands; a wall that fails ends the jail and says which.

use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    process::{Command, Stdio, exit},
    time::{Duration, Instant},
};

use common_ground::{grant::Access, record::Limit};
use fork::Fork;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        resource::{Resource, UsageWho, getrusage, setrlimit},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{
        Gid, Pid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, getppid, setgroups, sethostname, setresgid, setresuid,
        setsid,
    },
};
use rustix::{
    fs::MemfdFlags,
    process::{PidfdFlags, pidfd_open},
};

use super::{
    filter,
    group::Group,
    plan::{Back, Ending, Input, Network, Plan, Report, Usage},
    root, rules,
};
use crate::gate::{self, Loopback};

/// What a step of the set-up that failed is told by.
type Step<T> = Result<T, String>;

/// Says which step an error belongs to.
pub(super) trait During<T> {
    /// The error as text, after what was being done.
    fn during(self, what: &str) -> Step<T>;
}

impl<T, E: std::fmt::Display> During<T> for Result<T, E> {
    fn during(self, what: &str) -> Step<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

/// How often a limit that the kernel does not hold is looked at.
const TICK: Duration = Duration::from_millis(25);

/// The keeper: what a program does that finds itself started as a jail. Never returns.
pub(super) fn child() -> ! {
    let code = match keep() {
        Ok(()) => 0,
        Err(why) => {
            // The socket itself may be what is broken; the caller then reads this on the output.
            eprintln!("jail: {why}");
            1
        }
    };
    exit(code)
}

fn keep() -> Step<()> {
    close_inherited()?;
    let control = io::stdin().as_fd().try_clone_to_owned().during("keep the socket")?;
    let back = Back(UnixStream::from(control));
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").during("open /dev/null")?;
    dup2_stdin(&null).during("leave standard input")?;
    setsid().during("leave the session")?;
    prctl::set_child_subreaper(true).during("become the reaper")?;
    let plan = Plan::read(&back.0).during("read the plan")?;
    // From the second thread on a fork could copy a lock that nobody will ever release.
    let threads = fs::read_dir("/proc/self/task").during("count threads")?.count();
    if threads != 1 {
        return Err(format!("{threads} threads run where one may"));
    }
    let began = Instant::now();
    let group = match Group::make(&plan.limits) {
        Ok(group) => group,
        Err(why) => return back.say(&Report::Broken(why)).during("tell the caller"),
    };
    let me = Pid::this();
    let door = match fork::fork().during("fork")? {
        Fork::Child => {
            let why = match enter(&plan, &back, group.as_ref(), me) {
                Ok(()) => exit(0),
                Err(why) => why,
            };
            exit(i32::from(back.say(&Report::Broken(why)).is_err()));
        }
        Fork::Parent(pid) => Pid::from_raw(pid),
    };
    // The output ends when the jail does, not when its keeper has cleaned up.
    dup2_stdout(&null).during("leave standard output")?;
    dup2_stderr(&null).during("leave standard error")?;
    let watched = watch(door, &back, began, Duration::from_millis(plan.limits.wall_ms), group.as_ref());
    end_all(door)?;
    let mut usage = used()?;
    if let Some(group) = group {
        usage = group.usage(usage);
        group.remove().during("remove the control group")?;
    }
    watched?;
    // The caller may be gone, which is one of the reasons to be here.
    match back.say(&Report::Spent(usage)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Closes what the caller had open and did not mark: whoever opened it does not run here.
fn close_inherited() -> Step<()> {
    let open = fs::read_dir("/proc/self/fd").during("list open files")?;
    let numbers: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The list's own handle is closed already.
        match nix::unistd::close(number) {
            Ok(()) | Err(Errno::EBADF) => {}
            Err(error) => return Err(format!("close {number}: {error}")),
        }
    }
    Ok(())
}

/// Waits for the door to end, the caller to go, time to run out, or memory to.
fn watch(door: Pid, back: &Back, began: Instant, wall: Duration, group: Option<&Group>) -> Step<()> {
    let raw = rustix::process::Pid::from_raw(door.as_raw()).ok_or("the door has no number")?;
    let handle = pidfd_open(raw, PidfdFlags::empty()).during("watch the door")?;
    loop {
        let left = wall.saturating_sub(began.elapsed());
        if left.is_zero() {
            return back.say(&Report::Passed(Limit::Wall)).during("tell the caller");
        }
        if group.is_some_and(|group| group.usage(Usage::default()).out_of_memory > 0) {
            return back.say(&Report::Passed(Limit::Memory)).during("tell the caller");
        }
        let tick = if group.is_some() { left.min(TICK * 2) } else { left };
        let ended = wait_for(&handle, Some(back.0.as_fd()), tick)?;
        match ended {
            Some(Event::Ended | Event::Gone) => return Ok(()),
            None => {}
        }
    }
}

/// What a wait was ended by.
enum Event {
    Ended,
    Gone,
}

fn wait_for(handle: &OwnedFd, socket: Option<BorrowedFd<'_>>, most: Duration) -> Step<Option<Event>> {
    // Rounded up, so that the last millisecond is not waited through in a loop.
    let timeout = PollTimeout::try_from(most + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    let mut fds = vec![PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
    fds.extend(socket.map(|socket| PollFd::new(socket, PollFlags::POLLIN)));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(format!("wait: {error}")),
    }
    let is_set = |fd: &PollFd| fd.any().unwrap_or(true);
    if is_set(&fds[0]) {
        return Ok(Some(Event::Ended));
    }
    Ok(fds.get(1).filter(|fd| is_set(fd)).map(|_| Event::Gone))
}

/// Ends the door and with it all behind it, and waits until the last is gone.
fn end_all(door: Pid) -> Step<()> {
    match kill(door, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => return Err(format!("end the jail: {error}")),
    }
    loop {
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(format!("wait for the jail's end: {error}")),
        }
    }
}

fn used() -> Step<Usage> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).during("measure")?;
    let ms = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000 + u64::try_from(time.tv_usec()).unwrap_or(0) / 1_000
    };
    Ok(Usage {
        cpu_ms: ms(usage.user_time()) + ms(usage.system_time()),
        memory_bytes: u64::try_from(usage.max_rss()).unwrap_or(0) << 10,
        ..Usage::default()
    })
}

/// Dies with its parent from now on; `is_alive` is asked after that, so that no death is missed.
fn die_with_parent(is_alive: impl FnOnce() -> bool) -> Step<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).during("die with the parent")?;
    if is_alive() { Ok(()) } else { exit(1) }
}

/// The door: leaves root, makes the namespaces, starts the init.
fn enter(plan: &Plan, back: &Back, group: Option<&Group>, keeper: Pid) -> Step<()> {
    die_with_parent(|| getppid() == keeper)?;
    if let Some(group) = group {
        group.join().during("join the control group")?;
        back.say(&Report::Held(group.to_string())).during("tell the caller")?;
    }
    if Uid::current().is_root() {
        let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.uid));
        if uid.is_root() {
            return Err("a command must not run as root".to_owned());
        }
        setgroups(&[]).during("leave all groups")?;
        setresgid(gid, gid, gid).during("leave root's group")?;
        setresuid(uid, uid, uid).during("leave root")?;
        // The kernel takes both away with the user; without the first, /proc/self is root's.
        prctl::set_dumpable(true).during("own itself")?;
        die_with_parent(|| getppid() == keeper)?;
    }
    let (uid, gid) = (Uid::current(), Gid::current());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .during("make namespaces")?;
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    {
        fs::write(format!("/proc/self/{file}"), text).during(&format!("write {file}"))?;
    }
    back.say(&Report::Held("namespaces user,pid,net,mount,ipc,uts,cgroup".to_owned())).during("tell the caller")?;
    let (life, held) = io::pipe().during("make a pipe")?;
    match fork::fork().during("fork")? {
        Fork::Child => {
            drop(held);
            // Nobody writes to it: readable means that the door is gone.
            die_with_parent(|| matches!(poll(&mut [PollFd::new(life.as_fd(), PollFlags::POLLIN)], 0_u8), Ok(0)))?;
            inside(plan, back, group)
        }
        Fork::Parent(init) => {
            drop(life);
            wait(Pid::from_raw(init))?;
            drop(held);
            Ok(())
        }
    }
}

fn wait(pid: Pid) -> Step<()> {
    loop {
        match waitpid(pid, None) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("wait: {error}")),
        }
    }
}

/// The init: builds the root, starts the command, and ends with it; the kernel ends whatever else is inside.
fn inside(plan: &Plan, back: &Back, group: Option<&Group>) -> Step<()> {
    for absent in root::build(plan)? {
        back.say(&Report::Absent(absent)).during("tell the caller")?;
    }
    open_gate(plan.network, back)?;
    sethostname("jail").during("name the host")?;
    // What this process was given is not for its children to read.
    prctl::set_dumpable(false).during("close itself")?;
    match fork::fork().during("fork")? {
        Fork::Child => {
            let why = match command(plan, back, group) {
                Ok(never) => match never {},
                Err(why) => why,
            };
            exit(i32::from(back.say(&Report::Broken(why)).is_err()))
        }
        Fork::Parent(pid) => {
            drop_capabilities()?;
            let report = attend(Pid::from_raw(pid), plan, back)?;
            back.say(&report).during("tell the caller")
        }
    }
}

/// Puts the gate up, where there is to be one, and hands it out. Nobody else is inside yet.
fn open_gate(network: Network, back: &Back) -> Step<()> {
    match network {
        Network::None => Ok(()),
        Network::Gate => {
            let listener = gate::raise(Loopback::New).during("put the gate up")?;
            back.say(&Report::Held("network: loopback with the proxy of this call".to_owned()))
                .and_then(|()| back.hand_over(&Report::Gate, listener.as_fd()))
                .during("tell the caller")
        }
    }
}

/// Reaps whoever ends, until the command does or has used its processor time.
fn attend(command: Pid, plan: &Plan, back: &Back) -> Step<Report> {
    let raw = rustix::process::Pid::from_raw(command.as_raw()).ok_or("the command has no number")?;
    let handle = pidfd_open(raw, PidfdFlags::empty()).during("watch the command")?;
    let mut told = Duration::ZERO;
    loop {
        wait_for(&handle, None, TICK)?;
        // Before anybody is reaped, so that nobody is missed.
        let (cpu, memory) = tree()?;
        if cpu > told {
            told = cpu;
            let cpu_ms = u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX);
            back.say(&Report::Using { cpu_ms, memory_bytes: memory }).during("tell the caller")?;
        }
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == command => return Ok(Report::Ended(Ending::Code(code))),
                Ok(WaitStatus::Signaled(pid, signal, _core)) if pid == command => {
                    return Ok(match signal {
                        Signal::SIGXCPU => Report::Passed(Limit::Cpu),
                        Signal::SIGXFSZ => Report::Passed(Limit::Written),
                        signal => Report::Ended(Ending::Signal(signal as i32)),
                    });
                }
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(format!("wait: {error}")),
            }
        }
        if cpu > Duration::from_millis(plan.limits.cpu_ms) {
            return Ok(Report::Passed(Limit::Cpu));
        }
        if memory > plan.limits.memory_bytes {
            return Ok(Report::Passed(Limit::Memory));
        }
    }
}

/// Processor time of all processes inside, those that ended counted, and their own memory now.
fn tree() -> Step<(Duration, u64)> {
    let (mut ticks, mut pages) = (0_u64, 0_u64);
    for entry in fs::read_dir("/proc").during("list processes")? {
        let entry = entry.during("list processes")?;
        if !entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        let path = entry.path();
        // A process that ends while it is looked at is counted by its parent the next time.
        let (Ok(stat), Ok(statm)) = (fs::read_to_string(path.join("stat")), fs::read_to_string(path.join("statm")))
        else {
            continue;
        };
        // The name in the second field may hold anything; the fields after its end are numbers, the first is field 3.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        ticks += fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        let mut sizes = statm.split_whitespace().skip(1).filter_map(|field| field.parse::<u64>().ok());
        let (resident, shared) = (sizes.next().unwrap_or(0), sizes.next().unwrap_or(0));
        pages += resident.saturating_sub(shared);
    }
    let second = rustix::param::clock_ticks_per_second();
    let page = rustix::param::page_size() as u64;
    Ok((Duration::from_millis(ticks * 1_000 / second), pages * page))
}

fn drop_capabilities() -> Step<()> {
    for set in [
        caps::CapSet::Ambient,
        caps::CapSet::Bounding,
        caps::CapSet::Effective,
        caps::CapSet::Inheritable,
        caps::CapSet::Permitted,
    ] {
        caps::clear(None, set).during("drop capabilities")?;
    }
    Ok(())
}

/// The command's process: puts the last walls around itself and becomes the command.
fn command(plan: &Plan, back: &Back, group: Option<&Group>) -> Step<std::convert::Infallible> {
    setsid().during("leave the session")?;
    // Its own once more, with nobody inside yet who could look.
    prctl::set_dumpable(true).during("own itself")?;
    // Where memory runs out, it is the command that ends, not those who watch it.
    fs::write("/proc/self/oom_score_adj", "1000").during("stand first in line")?;
    let stdin = match &plan.input {
        Input::Nothing => Stdio::null(),
        Input::Text(text) => Stdio::from(in_memory(text.as_bytes()).during("hold standard input")?),
        Input::Sent => Stdio::from(io::stderr().as_fd().try_clone_to_owned().during("share the socket")?),
    };
    limits(plan, group)?;
    drop_capabilities()?;
    prctl::set_no_new_privs().during("give up new privileges")?;
    let writable = plan.binds.iter().filter(|bind| bind.access == Access::Write);
    let abi = rules::enforce(writable.map(|bind| bind.path.as_str()), plan.network)?;
    let filters = filter::programs()?;
    for held in [
        format!("landlock {abi}"),
        format!("seccomp {} filters", filters.len()),
        "no_new_privs, no capabilities".to_owned(),
    ] {
        back.say(&Report::Held(held)).during("tell the caller")?;
    }
    let (program, arguments) = plan.command.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(plan.env.iter().map(|(key, value)| (key, value)));
    command.current_dir(&plan.cwd).stdin(stdin);
    filter::apply(&filters)?;
    Err(format!("start {program} in {}: {}", plan.cwd, command.exec()))
}

/// Text as a file that lies nowhere.
fn in_memory(text: &[u8]) -> io::Result<OwnedFd> {
    let mut file = fs::File::from(rustix::fs::memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    io::Write::write_all(&mut file, text)?;
    io::Seek::rewind(&mut file)?;
    Ok(file.into())
}

fn limits(plan: &Plan, group: Option<&Group>) -> Step<()> {
    let limits = plan.limits;
    // The tree's time is held by the init; this one is for a process that the init does not get to look at.
    let seconds = limits.cpu_ms.div_ceil(1_000) + 1;
    // The door and the init count too: they have the same user.
    let processes = limits.processes.saturating_add(2);
    for (what, soft, hard) in [
        (Resource::RLIMIT_CPU, seconds, seconds + 1),
        (Resource::RLIMIT_FSIZE, limits.written_bytes, limits.written_bytes),
        (Resource::RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (Resource::RLIMIT_NPROC, processes, processes),
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_MEMLOCK, 64 << 10, 64 << 10),
        (Resource::RLIMIT_MSGQUEUE, 0, 0),
    ] {
        setrlimit(what, soft, hard).during(&format!("set {what:?}"))?;
    }
    if group.is_none() {
        // For each process; the init looks at the sum.
        setrlimit(Resource::RLIMIT_AS, limits.memory_bytes, limits.memory_bytes).during("set RLIMIT_AS")?;
    }
    Ok(())
}
