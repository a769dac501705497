//! `browse`: a real browser, one for each attempt, whose only way out is the egress proxy under the grant of the call.
//!
//! Between calls all its processes stand still and nothing goes out, whatever the page tries. What other local users could do to the browser, they cannot: it
//! has no debugging port, and its proxy wants a password.
//!
//! **Invariant:** a browser belongs to one attempt of one module of one run; no other ever sees its pages or cookies.
//! **Invariant:** a call that is dropped, or passes a limit, takes its browser with it.

mod actions;
mod answers;
mod chromium;
mod leftovers;
mod meter;
mod page;
mod pipe;
mod tree;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Item, Tier},
    id::{AttemptNumber, ModuleId, RunId},
    port::{
        BoxFuture,
        tool::{StepKey, ToolError, ToolSpec},
    },
    record::Limit,
};

use crate::{
    egress::{Dialler, Proxy, Target},
    hand::{Hand, Work},
};
use actions::{Action, NAME, SCHEMA};
pub use chromium::{Chromium, NoBrowser, Probe};
use chromium::{Running, unboxed};
use page::{NotDone, Page};
use pipe::CdpError;

/// How long a browser waits for the next call.
const IDLE: Duration = Duration::from_secs(300);
/// Most browsers that wait.
const MOST_IDLE: usize = 6;
/// Most refusals told of one call.
const MOST_REFUSALS: usize = 8;

/// What browsers are made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which Chromium.
    pub chromium: Chromium,
    /// Where their folders are.
    pub folder: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self { chromium: Chromium::default(), folder: std::env::temp_dir() }
    }
}

/// Whose browser it is.
type Owner = (RunId, ModuleId, AttemptNumber);

/// A browser with its proxy.
#[derive(Debug)]
struct Session {
    page: Page,
    proxy: Arc<Proxy>,
    is_new: bool,
}

/// Whether a browser waits or is at work.
#[derive(Debug)]
enum Place {
    Idle(Box<Session>, Instant),
    Busy,
}

/// All browsers.
#[derive(Debug, Default)]
struct Sessions {
    // Held to take one out or put one in.
    all: Mutex<BTreeMap<Owner, Place>>,
}

impl Sessions {
    fn all(&self) -> MutexGuard<'_, BTreeMap<Owner, Place>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a browser out; none where there is none yet, an error where another call has it.
    fn take(self: &Arc<Self>, owner: Owner) -> Result<(Taken, Option<Box<Session>>), ()> {
        let was = self.all().insert(owner, Place::Busy);
        let taken = |session| Ok((Taken { sessions: Arc::clone(self), owner }, session));
        match was {
            None => taken(None),
            Some(Place::Idle(session, _)) => taken(Some(session)),
            Some(Place::Busy) => Err(()),
        }
    }

    /// Ends all that have waited longer than this.
    fn end_idle(&self, longer: Duration) {
        let mut ended = Vec::new();
        let mut all = self.all();
        let idle: Vec<Owner> = all
            .iter()
            .filter(|(_, place)| matches!(place, Place::Idle(_, since) if since.elapsed() >= longer))
            .map(|(owner, _)| *owner)
            .collect();
        for owner in idle {
            ended.extend(all.remove(&owner));
        }
        drop(all);
        // Ending them takes its time; the lock is free by now.
        drop(ended);
    }
}

/// The place of a browser at work. Dropped without putting it back, the place is free.
#[derive(Debug)]
struct Taken {
    sessions: Arc<Sessions>,
    owner: Owner,
}

impl Taken {
    fn put_back(self, session: Box<Session>) {
        session.page.browser.halt();
        let mut all = self.sessions.all();
        let mut oldest = None;
        let idle = all.iter().filter_map(|(owner, place)| match place {
            Place::Idle(_, since) => Some((*since, *owner)),
            Place::Busy => None,
        });
        let idle: Vec<_> = idle.collect();
        if idle.len() >= MOST_IDLE
            && let Some((_, owner)) = idle.iter().min()
        {
            oldest = all.remove(owner);
        }
        all.insert(self.owner, Place::Idle(session, Instant::now()));
        drop(all);
        drop(oldest);
        let sessions: Weak<Sessions> = Arc::downgrade(&self.sessions);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE).await;
            if let Some(sessions) = sessions.upgrade() {
                sessions.end_idle(IDLE);
            }
        });
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut all = self.sessions.all();
        if matches!(all.get(&self.owner), Some(Place::Busy)) {
            all.remove(&self.owner);
        }
    }
}

/// The tool.
#[derive(Debug)]
pub struct Browse {
    dialler: Arc<Dialler>,
    settings: Settings,
    sessions: Arc<Sessions>,
    spec: ToolSpec,
}

impl Browse {
    /// The tool over a dialler.
    pub fn new(dialler: Arc<Dialler>, settings: Settings) -> Self {
        let spec = ToolSpec {
            name: NAME.to_owned(),
            description:
                "Use a web page in a real browser. Each answer is the page as a list of nodes (role, \"name\", \
                [ref], value, state), or what changed since the last. Open a url first."
                    .to_owned(),
            arguments: SCHEMA.to_owned(),
            idempotent: false,
        };
        Self { dialler, settings, sessions: Arc::default(), spec }
    }

    /// Removes what programs that were killed left in the folder, with their processes; how many browsers that were. For the
    /// start of the program; safe while others run.
    ///
    /// # Errors
    /// The folder cannot be read, or something in it not be removed.
    pub fn clear_leftovers(folder: &Path) -> io::Result<usize> {
        leftovers::clear(folder)
    }

    /// Waits, for a few seconds at most, until the folders of browsers that have ended are gone. For the end of the program.
    pub fn settle() {
        leftovers::settle();
    }

    async fn session(&self, kept: Option<Box<Session>>, action: &Action) -> Result<Box<Session>, ToolError> {
        let failed = |reason: String| ToolError::Failed { tool: NAME.to_owned(), reason };
        match (kept, action) {
            (Some(session), _) => {
                session.page.browser.go_on();
                Ok(session)
            }
            (None, Action::Open { .. }) => {
                let proxy = Proxy::on_loopback().await.map_err(|error| failed(format!("no proxy: {error}")))?;
                let started = Running::start(&self.settings.chromium, &self.settings.folder, &proxy).await;
                let started = started.map_err(|error| failed(error.to_string()))?;
                let address = proxy.address().ok_or_else(|| failed("its proxy has no port".to_owned()))?;
                let page = Page::new(started, address).await;
                let page = page.map_err(|error| failed(error.to_string()))?;
                Ok(Box::new(Session { page, proxy: Arc::new(proxy), is_new: true }))
            }
            (None, _) => Err(failed("no page is open; open a `url` first".to_owned())),
        }
    }

    async fn browse(&self, work: &Work, arguments: &str) -> Result<Vec<u8>, ToolError> {
        let failed = |reason: String| ToolError::Failed { tool: NAME.to_owned(), reason };
        let action = Action::parse(arguments)?;
        let StepKey { run, module, attempt, .. } = work.key();
        let Ok((taken, kept)) = self.sessions.take((run, module, attempt)) else {
            return Err(failed("another call uses the browser; make one call after the other".to_owned()));
        };
        let limits = work.limits();
        let within = Duration::from_millis(limits.wall_ms);
        let line = self.dialler.line(work);
        let used = tokio::time::timeout(within, async {
            let mut session = self.session(kept, &action).await?;
            let proxy = Arc::clone(&session.proxy);
            let group = session.page.browser.group().unwrap_or_default();
            let done = tokio::select! {
                done = session.page.act(&action) => Ok(done),
                limit = meter::watch(group, limits, work) => Err(limit),
                never = proxy.serve(&line) => match never {},
            };
            Ok::<_, ToolError>((session, done))
        });
        let (session, done) = match used.await {
            Ok(used) => used?,
            Err(_elapsed) => {
                work.passed(Limit::Wall);
                return Err(failed(format!("it took longer than {within:?}; the browser is closed")));
            }
        };
        match done {
            Err(limit) => {
                work.passed(limit);
                Err(failed(format!("the browser passed its limit of {limit:?} and is closed")))
            }
            Ok(Ok(text)) => {
                let text = format!("{}{text}{}", sandbox(&session), refusals(work));
                if action != (Action::Close {}) {
                    taken.put_back(Box::new(Session { is_new: false, ..*session }));
                }
                Ok(text.into_bytes())
            }
            Ok(Err(NotDone::Wrong(reason) | NotDone::Cdp(CdpError::Said { message: reason, .. }))) => {
                let reason = format!("{reason}\n{}", refusals(work));
                taken.put_back(session);
                Err(failed(reason))
            }
            Ok(Err(NotDone::Cdp(error @ (CdpError::Gone | CdpError::Silent(_) | CdpError::Shape { .. })))) => {
                Err(failed(format!("{error}; it is closed, open the page again")))
            }
        }
    }
}

/// Said once for each browser.
fn sandbox(session: &Session) -> String {
    match unboxed() {
        Some(why) if session.is_new => format!("[{why}]\n"),
        Some(_) | None => String::new(),
    }
}

/// What the page tried and was refused, so that the model knows why something is missing.
fn refusals(work: &Work) -> String {
    let all = work.refusals();
    let mut text: String =
        all.iter().take(MOST_REFUSALS).map(|denial| format!("[refused: {}: {}]\n", denial.what, denial.why)).collect();
    if all.len() > MOST_REFUSALS {
        text.push_str(&format!("[{} more refused]\n", all.len() - MOST_REFUSALS));
    }
    text
}

impl Hand for Browse {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Browser
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        match Action::parse(arguments)? {
            // The browser makes more than one request, and of more than one method.
            Action::Open { url } => {
                let target = Target::parse(&url).map_err(|error| crate::arguments::refuse(NAME, error.to_string()))?;
                Ok(vec![target.need(&[])])
            }
            // What a page does with these is held by the proxy to what is granted already.
            Action::Click { .. }
            | Action::Type { .. }
            | Action::Select { .. }
            | Action::Press { .. }
            | Action::Scroll { .. }
            | Action::Wait { .. }
            | Action::Back {}
            | Action::Snapshot {}
            | Action::Close {} => Ok(Vec::new()),
        }
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(self.browse(work, arguments))
    }

    /// Ends its browser, if it has one that is not at work.
    fn over(&self, run: RunId, module: ModuleId, attempt: AttemptNumber) {
        let owner = (run, module, attempt);
        let ended = {
            let mut all = self.sessions.all();
            if matches!(all.get(&owner), Some(Place::Idle(..))) { all.remove(&owner) } else { None }
        };
        // Ending it takes its time; the lock is free by now.
        drop(ended);
    }
}
