//! One command in one container, from making it to removing it.

use std::{
    convert::Infallible,
    future::pending,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    errors::Error,
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StatsOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use common_ground::{
    grant::Item,
    record::{Exit, Limit},
};
use futures_util::StreamExt;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, timeout_at},
};

use super::{Docker, hardened, hardened::Network, owner};
use crate::{
    capture::{Capture, More},
    egress::Line,
    gate,
    growth::{self, Growth, Unwatched},
    hand::Work,
    jail::began,
};

/// How often the engine is asked what a container used.
const LOOK: Duration = Duration::from_millis(250);

/// What is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// The image as it was granted.
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads.
    pub stdin: Option<String>,
}

/// Why a command gave no output of its own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unran {
    /// It may not have what its grant names.
    #[error("{0}")]
    Refused(String),
    /// No such image; none is ever fetched.
    #[error("the engine has no image {0}; fetch it yourself: docker pull {0}")]
    Absent(String),
    /// The engine does not answer or does not obey.
    #[error("the Docker engine: {0}")]
    Engine(#[from] Error),
}

impl From<Unwatched> for Unran {
    fn from(why: Unwatched) -> Self {
        Self::Refused(why.to_string())
    }
}

/// A container that is removed when this is dropped, whatever happens.
#[derive(Debug)]
pub(super) struct Removal {
    api: bollard::Docker,
    name: Option<String>,
}

impl Removal {
    /// Of the container of this name, which may not be there yet.
    pub fn of(api: &bollard::Docker, name: &str) -> Self {
        Self { api: api.clone(), name: Some(name.to_owned()) }
    }

    /// Removes it at once.
    pub async fn now(mut self) -> Result<(), Error> {
        let name = self.name.take();
        let removed = match &name {
            Some(name) => owner::remove(&self.api, name).await,
            None => Ok(()),
        };
        if removed.is_err() {
            self.name = name;
        }
        removed
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        // Without a runtime the next sweep does it.
        let (Some(name), Ok(runtime)) = (self.name.take(), tokio::runtime::Handle::try_current()) else { return };
        let api = self.api.clone();
        runtime.spawn(async move {
            // The order to make it may still be under way, so that there is nothing to remove yet.
            for _attempt in 0..8 {
                if owner::remove(&api, &name).await.is_err() {
                    return;
                }
                sleep(LOOK).await;
            }
        });
    }
}

/// How far a command came.
enum Came {
    Ended(More),
    Passed(Limit),
    Outgrown(String),
}

impl Docker {
    /// Runs a command in a container of its own, and notes on the call what was seen. Its way out is the line, where there
    /// is one.
    pub(crate) async fn run(&self, work: &Work, task: Task, line: Option<&Line<'_>>) -> Result<(Vec<u8>, Exit), Unran> {
        let limits = work.limits();
        let wall = Duration::from_millis(limits.wall_ms);
        let deadline = Instant::now() + wall;
        let mounts = hardened::mounts(work, self.socket().as_deref())?;
        let growth = Growth::begin(work);
        let engine = self.engine().await?;
        // What an engine was still making for a program that was killed may have come after the sweep at the start of this one.
        self.swept.get_or_try_init(async || self.sweep().await.map(drop)).await?;
        let api = &engine.api;
        let image = match api.inspect_image(&task.image).await {
            Ok(image) => image.id.ok_or_else(|| Unran::Absent(task.image.clone()))?,
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Err(Unran::Absent(task.image)),
            Err(error) => return Err(error.into()),
        };
        work.held(format!("image {image}"));
        work.held(format!("runtime {}", engine.runtime.as_deref().unwrap_or("the engine's own")));
        let keeper = match line {
            None => None,
            Some(_) => Some(self.open_gate(engine, &image, work.key(), deadline).await?),
        };
        let network = keeper.as_ref().map_or(Network::None, |keeper| Network::Of(keeper.name.clone()));
        let given = (environment(work, &network), owner::labels(work.key(), wall));
        let user = self.settings().user.clone();
        let body = hardened::body(image, engine.runtime.clone(), user, &task, (limits, mounts), given, &network);
        let name = name();
        let removal = Removal::of(api, &name);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        api.create_container(Some(options), body).await?;
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true);
        let attached = api.attach_container(&name, Some(options.stdin(task.stdin.is_some()).build())).await?;
        let growth = growth.await?;
        api.start_container(&name, None::<bollard::query_parameters::StartContainerOptions>).await?;
        work.held(network.held());
        let (kept, gate) = keeper.map(super::gate::Keeper::parts).unzip();
        let mut capture = Capture::new(limits.output_bytes);
        let flowing = flow(attached, task.stdin.as_deref(), &mut capture);
        let ending = async {
            let came = tokio::select! {
                // What has ended has passed no limit.
                biased;
                more = flowing => Came::Ended(more?),
                looked = look(api, &name, work) => Came::Passed(looked?),
                by = growth::outgrown(growth.as_ref()) => Came::Outgrown(by),
                () = gate::used_up(line) => Came::Passed(Limit::Net),
                () = tokio::time::sleep_until(deadline) => Came::Passed(Limit::Wall),
            };
            match came {
                Came::Passed(limit) => Ok(Exit::Limit { limit }),
                Came::Outgrown(by) => Ok(outgrew(work, by)),
                Came::Ended(More::Flood) => Ok(Exit::Limit { limit: Limit::Output }),
                Came::Ended(More::Wanted) => match timeout_at(deadline, ended(api, &name)).await {
                    Ok(_) if line.is_some_and(Line::is_spent) => Ok(Exit::Limit { limit: Limit::Net }),
                    Ok(exit) => exit,
                    Err(_elapsed) => Ok(Exit::Limit { limit: Limit::Wall }),
                },
            }
        };
        let exit = tokio::select! {
            exit = ending => exit?,
            never = serve(gate, line) => match never {},
        };
        let keeper = async {
            match kept {
                Some(kept) => kept.end().await,
                None => Ok(()),
            }
        };
        tokio::try_join!(removal.now(), keeper)?;
        if let Exit::Limit { .. } = exit {
            return Ok((capture.finish(), exit));
        }
        // Also of one that ended by itself, before anybody looked.
        let exit = growth::over(growth.as_ref()).await.map_or(exit, |by| outgrew(work, by));
        Ok((capture.finish(), exit))
    }
}

/// Notes by how much its folders grew too large, and says so.
fn outgrew(work: &Work, by: String) -> Exit {
    work.refused(growth::WHAT, by);
    Exit::Limit { limit: Limit::Written }
}

/// A name that no other container has, known before there is one.
pub(super) fn name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    format!("ii-{pid}-{}-{}", began(pid).unwrap_or(0), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn environment(work: &Work, network: &Network) -> Vec<String> {
    let mut variables = vec!["HOME=/tmp".to_owned(), "LANG=C.UTF-8".to_owned()];
    for item in &work.grant().items {
        let Item::Env { key } = item else { continue };
        match std::env::var(key) {
            Ok(value) => variables.push(format!("{key}={value}")),
            Err(error) => work.refused(item.to_string(), error.to_string()),
        }
    }
    match network {
        Network::None => {}
        // The last of a name counts; proxies of the person's own lead nowhere from inside.
        Network::Of(_) => variables.extend(gate::variables().map(|(name, value)| format!("{name}={value}"))),
    }
    variables
}

/// Serves the gate, where there is one.
async fn serve(gate: Option<gate::Gate>, line: Option<&Line<'_>>) -> Infallible {
    match (gate, line) {
        (Some(gate), Some(line)) => gate.serve(line).await,
        (None, _) | (_, None) => pending().await,
    }
}

/// Gives it what it reads while taking what it puts out, until that ends or is a flood.
pub(super) async fn flow(
    attached: AttachContainerResults,
    stdin: Option<&str>,
    capture: &mut Capture,
) -> Result<More, Error> {
    let AttachContainerResults { mut output, mut input } = attached;
    let giving = async {
        if let Some(text) = stdin {
            // A command need not read all it is given: a broken pipe is its own affair.
            match input.write_all(text.as_bytes()).await {
                Ok(()) => input.shutdown().await.or(Ok::<(), std::io::Error>(())),
                Err(_unread) => Ok(()),
            }
        } else {
            Ok(())
        }
    };
    let taking = async {
        while let Some(piece) = output.next().await {
            let bytes = match piece? {
                LogOutput::StdOut { message } | LogOutput::StdErr { message } | LogOutput::Console { message } => {
                    message
                }
                LogOutput::StdIn { .. } => continue,
            };
            if capture.take(&bytes) == More::Flood {
                return Ok(More::Flood);
            }
        }
        Ok(More::Wanted)
    };
    let mut giving = std::pin::pin!(giving);
    let mut taking = std::pin::pin!(taking);
    tokio::select! {
        more = &mut taking => return more,
        given = &mut giving => given?,
    }
    taking.await
}

/// Asks what it used, until it has used too much.
async fn look(api: &bollard::Docker, name: &str, work: &Work) -> Result<Limit, Error> {
    let most = work.limits().cpu_ms;
    let mut peak = 0;
    loop {
        sleep(LOOK).await;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let Some(stats) = api.stats(name, Some(options)).next().await else { continue };
        let stats = match stats {
            Ok(stats) => stats,
            // It is just ending, which is heard elsewhere.
            Err(Error::DockerResponseServerError { .. }) => continue,
            Err(error) => return Err(error),
        };
        let spent = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage?.total_usage).map(|nanos| nanos / 1_000_000);
        let memory = stats.memory_stats.and_then(|memory| memory.max_usage.max(memory.usage));
        peak = peak.max(memory.unwrap_or(0));
        // Of a container that ended the engine says zero.
        if let Some(spent) = spent.filter(|spent| *spent > 0) {
            work.used(Some(spent), None, Some(peak));
            if spent > most {
                return Ok(Limit::Cpu);
            }
        }
    }
}

/// How it ended, once it has.
async fn ended(api: &bollard::Docker, name: &str) -> Result<Exit, Error> {
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let code = match api.wait_container(name, Some(options)).next().await {
        Some(Ok(ended)) => ended.status_code,
        Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(error),
        None => 0,
    };
    let state = api.inspect_container(name, None::<bollard::query_parameters::InspectContainerOptions>).await?.state;
    let state = state.unwrap_or_default();
    if state.oom_killed == Some(true) {
        return Ok(Exit::Limit { limit: Limit::Memory });
    }
    let code = i32::try_from(state.exit_code.unwrap_or(code)).unwrap_or(i32::MAX);
    Ok(if code == 0 { Exit::Done } else { Exit::Code { code } })
}
