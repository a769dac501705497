//! A command in a jail, from the caller's side: starts the keeper, reads what comes, and says how it ended.
//!
//! **Invariant:** dropped at any moment, the socket closes, and with that the jail ends.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::PathBuf,
    process::Stdio,
};

use common_ground::{
    grant::{Access, Item},
    record::{Exit, Limit},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    sync::oneshot,
};

use super::{
    NAME,
    plan::{Bind, Ending, Input, Network, Plan, Report, Usage},
    root,
};
use crate::{
    capture::{Capture, More},
    egress::Line,
    gate::{self, Gate, WithHandle},
    growth::{self, Growth, Unwatched},
    hand::Work,
};

/// What a jail is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program that is started as keeper; its `main` begins with [`is_child`](super::is_child).
    pub keeper: PathBuf,
    /// As whom commands run where this program is root: nobody that owns anything.
    pub uid: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keeper: PathBuf::from("/proc/self/exe"), uid: 65_534 }
    }
}

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Task {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads.
    pub stdin: Option<String>,
    /// Where it starts; `/tmp` where nothing is said.
    pub cwd: Option<String>,
}

/// Makes jails.
#[derive(Debug, Clone, Default)]
pub struct Jail {
    settings: Settings,
}

/// Why a command gave no output of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unran {
    /// It may not have what its grant names.
    #[error("{0}")]
    Refused(String),
    /// A wall could not be put up.
    #[error("the jail cannot be made: {0}")]
    Broken(String),
    /// The system refused what every jail needs.
    #[error("the jail cannot be started: {0}")]
    System(#[from] io::Error),
}

impl From<Unwatched> for Unran {
    fn from(why: Unwatched) -> Self {
        Self::Refused(why.to_string())
    }
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// What it put out, both streams as they came.
    pub output: Vec<u8>,
    /// How it ended.
    pub exit: Exit,
}

/// What the reports come to.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub broken: Option<String>,
    pub ended: Option<Ending>,
    pub passed: Option<Limit>,
    using: Usage,
    pub usage: Option<Usage>,
}

impl Jail {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Runs a command under the grant and limits of a call, and notes on it what was seen. Its way out is the line, where
    /// there is one.
    pub(crate) async fn run(&self, work: &Work, task: Task, line: Option<&Line<'_>>) -> Result<Ran, Unran> {
        let plan = self.plan(work, task, line.map_or(Network::None, |_line| Network::Gate))?;
        let growth = Growth::begin(work).await?;
        // One pipe for both streams: what was written first is read first.
        let (output, out) = io::pipe()?;
        let err = out.try_clone()?;
        let (mut child, control) = self.start(out.into(), err.into())?;
        let (reports, mut orders) = control.into_split();
        let frame = plan.frame().map_err(|error| Unran::Broken(error.to_string()))?;
        let mut capture = Capture::new(plan.limits.output_bytes);
        let mut outgrown = None;
        let flowing = async {
            // A keeper that does not take its plan ends early, which is told below.
            let sent = orders.write_all(&frame).await;
            let more = tokio::select! {
                more = flow(output, &mut capture) => more,
                () = gate::used_up(line) => Ok(More::Wanted),
                by = growth::outgrown(growth.as_ref()) => {
                    outgrown = Some(by);
                    Ok(More::Wanted)
                }
            };
            // The keeper reads the end of its orders as the order to end everything.
            drop(orders);
            sent.and(more)
        };
        let (give, gate) = oneshot::channel();
        let talking = async { tokio::join!(flowing, listen(reports, work, give)) };
        let (more, story) = match line {
            None => talking.await,
            Some(line) => tokio::select! {
                talked = talking => talked,
                never = gate::serve(gate, line) => match never {},
            },
        };
        let story = story?;
        child.wait().await?;
        let more = more?;
        let output = capture.finish();
        let usage = match (&story.broken, story.usage) {
            (Some(why), _) => return Err(Unran::Broken(why.clone())),
            (None, Some(usage)) => usage,
            (None, None) => {
                let said = String::from_utf8_lossy(&output).trim().to_owned();
                return Err(Unran::Broken(format!("its keeper ended too early: {said}")));
            }
        };
        let cpu_ms = usage.cpu_ms.max(story.using.cpu_ms);
        work.used(Some(cpu_ms), None, Some(usage.memory_bytes.max(story.using.memory_bytes)));
        if usage.refused_forks > 0 {
            work.refused("more processes", format!("the limit is {}", plan.limits.processes));
        }
        let outgrown = match outgrown {
            Some(by) => Some(by),
            // Also of one that ended by itself, before anybody looked.
            None if more == More::Wanted && story.passed.is_none() => growth::over(growth.as_ref()).await,
            None => None,
        };
        let passed = match more {
            More::Flood | More::Wanted if outgrown.is_some() => Some(Limit::Written),
            More::Flood => Some(Limit::Output),
            More::Wanted if line.is_some_and(Line::is_spent) => Some(Limit::Net),
            More::Wanted if usage.out_of_memory > 0 => Some(Limit::Memory),
            More::Wanted => story.passed,
        };
        if let Some(by) = outgrown {
            work.refused(growth::WHAT, by);
        }
        let exit = match (passed, story.ended) {
            (Some(limit), _) => Exit::Limit { limit },
            (None, Some(Ending::Code(0))) => Exit::Done,
            (None, Some(Ending::Code(code))) => Exit::Code { code },
            (None, Some(Ending::Signal(signal))) => Exit::Signal { signal },
            (None, None) => return Err(Unran::Broken("its first process ended too early".to_owned())),
        };
        Ok(Ran { output, exit })
    }

    /// Starts the keeper with these two streams. It waits for its plan on the socket.
    pub(super) fn start(&self, out: Stdio, err: Stdio) -> io::Result<(Child, tokio::net::UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&self.settings.keeper);
        command.arg0(NAME).env_clear().current_dir("/");
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(out).stderr(err);
        let child = command.spawn()?;
        ours.set_nonblocking(true)?;
        Ok((child, tokio::net::UnixStream::from_std(ours)?))
    }

    pub(super) fn plan(&self, work: &Work, task: Task, network: Network) -> Result<Plan, Unran> {
        let mut binds = Vec::new();
        let mut env: Vec<(String, String)> =
            [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into();
        for item in &work.grant().items {
            match item {
                Item::Path { path, .. } if root::is_own(path) => {
                    return Err(Unran::Refused(format!("{item}: that place is the jail's own, grant what is beneath")));
                }
                Item::Path { path, access } => binds.push(Bind { path: path.clone(), access: *access }),
                Item::Env { key } => match std::env::var(key) {
                    Ok(value) => {
                        env.retain(|(known, _)| known != key);
                        env.push((key.clone(), value));
                    }
                    Err(error) => work.refused(item.to_string(), error.to_string()),
                },
                // What is sent is held by the line, no secret reaches a jail, and what it runs was decided before.
                Item::Net { .. } | Item::Secret { .. } | Item::Run { .. } => {}
            }
        }
        match network {
            Network::None => {}
            // Proxies of the person's own lead nowhere from inside.
            Network::Gate => {
                env.retain(|(known, _)| gate::variables().all(|(name, _)| name != known));
                env.extend(gate::variables().map(|(name, value)| (name.to_owned(), value)));
            }
        }
        binds.sort_by(|one, two| (one.path.len(), &one.path).cmp(&(two.path.len(), &two.path)));
        // Of two grants of one path the wider one counts.
        binds.dedup_by(|later, kept| {
            let same = later.path == kept.path;
            if same && later.access == Access::Write {
                kept.access = Access::Write;
            }
            same
        });
        Ok(Plan {
            command: task.command,
            env,
            input: task.stdin.map_or(Input::Nothing, Input::Text),
            cwd: task.cwd.unwrap_or_else(|| "/tmp".to_owned()),
            binds,
            limits: work.limits(),
            uid: self.settings.uid,
            network,
        })
    }
}

/// Reads output until it ends or is a flood. Then the pipe closes, which ends the writer by itself.
async fn flow(output: io::PipeReader, capture: &mut Capture) -> io::Result<More> {
    let mut output = pipe::Receiver::from_owned_fd(output.into())?;
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = output.read(&mut piece).await?;
        if read == 0 {
            return Ok(More::Wanted);
        }
        if capture.take(&piece[..read]) == More::Flood {
            return Ok(More::Flood);
        }
    }
}

/// Hears the reports to their end, and gives the gate on when it comes.
pub(super) async fn listen(
    reports: tokio::net::unix::OwnedReadHalf,
    work: &Work,
    give: oneshot::Sender<Gate>,
) -> io::Result<Story> {
    let mut give = Some(give);
    let mut lines = BufReader::new(WithHandle::new(reports)).lines();
    let mut story = Story::default();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line)? {
            Report::Held(what) => work.held(what),
            Report::Gate => {
                let handle = lines.get_mut().get_mut().handle.take();
                let gate = Gate::take(handle.ok_or_else(|| io::Error::other("the jail's gate did not come"))?)?;
                if let Some(give) = give.take() {
                    // Where nobody waits for it, it closes.
                    give.send(gate).unwrap_or_default();
                }
            }
            Report::Absent(path) => work.refused(path, "a granted path that is not there"),
            Report::Broken(why) => story.broken = story.broken.or(Some(why)),
            Report::Ended(ending) => story.ended = Some(ending),
            Report::Passed(limit) => story.passed = story.passed.or(Some(limit)),
            Report::Using { cpu_ms, memory_bytes } => {
                story.using.cpu_ms = story.using.cpu_ms.max(cpu_ms);
                story.using.memory_bytes = story.using.memory_bytes.max(memory_bytes);
            }
            Report::Spent(usage) => story.usage = Some(usage),
        }
    }
    Ok(story)
}
