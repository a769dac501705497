//! What the eyes ask for, each by the way of the command of its name.

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    rc::Rc,
    sync::{Arc, mpsc::Sender},
};

use agent_runtime::journal::Journal;
use common_ground::RunId;
use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::{Notify, OnceCell};
use tui::{
    Ask, Event, Heard,
    event::{Plans, Setup, Source, TellTone, Told},
};

use super::{clipboard, drives, guards, looks, takes};
use crate::{
    cli::{Program, config, models},
    config::Config,
    exit::Failure,
    models::Spec,
    wiring::{self, Sources},
};

/// Something under way for the person.
pub(super) type Work<'p> = LocalBoxFuture<'p, ()>;

/// What the person chose in this conversation, on top of the settings.
#[derive(Clone, Default)]
pub(super) struct Chosen {
    pub docs: Option<PathBuf>,
    pub collection: Option<String>,
    pub model: Option<String>,
    pub plan: Plans,
}

impl Chosen {
    pub fn new(docs: Option<PathBuf>, collection: Option<String>, model: Option<String>) -> Self {
        Self { docs, collection, model, plan: Plans::GoOn }
    }

    /// As flags of a command line.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let docs = self.docs.as_ref().map(|docs| ("docs", docs.display().to_string()));
        let model = self.model.clone().map(|model| ("model", model));
        docs.into_iter().chain(model).collect()
    }
}

/// A drive at work.
pub(super) struct AtWork {
    /// What interrupts it.
    pub interrupt: Arc<Notify>,
    /// Its run, once it has one.
    pub run: Option<RunId>,
}

/// What every ask may need; clones share it.
#[derive(Clone)]
pub(super) struct Shared<'p> {
    pub program: &'p Program,
    pub happens: Sender<Event>,
    /// What models say while they say it.
    pub heard: Arc<Heard>,
    pub chosen: Rc<RefCell<Chosen>>,
    journal: Rc<OnceCell<Arc<Journal>>>,
    /// The drive at work.
    pub at_work: Rc<RefCell<Option<AtWork>>>,
    /// What stops the folder that is being taken in, where one is.
    pub taking: Rc<RefCell<Option<Arc<Notify>>>>,
    /// How many runs were opened: who follows an earlier one stops.
    pub opened: Rc<Cell<u64>>,
    /// The run that was told last from its first fact.
    pub in_view: Rc<Cell<Option<RunId>>>,
}

impl Shared<'_> {
    pub fn tell(&self, event: Event) {
        if self.happens.send(event).is_err() {
            tracing::debug!("the eyes are closed");
        }
    }

    pub fn say(&self, tone: TellTone, lines: Vec<String>) {
        self.tell(Event::Told(Told { tone, lines }));
    }

    pub fn fail(&self, failure: &Failure) {
        self.say(TellTone::Bad, vec![failure.to_string()]);
    }

    /// The settings with what was chosen here.
    pub fn config(&self) -> Result<(Config, crate::config::Resolved), Failure> {
        self.program.settings(&self.chosen.borrow().flags())
    }

    /// Where answers come from.
    pub fn sources(&self, config: &Config) -> Result<Sources, Failure> {
        Sources::of(self.chosen.borrow().collection.clone().into_iter().collect(), config)
    }

    /// The journal, opened on first need: opening the eyes makes no home.
    pub async fn journal(&self) -> Result<Arc<Journal>, Failure> {
        let open = || async { wiring::journal(&self.program.home, &self.program.wiring.clock).await.map(Arc::new) };
        self.journal.get_or_try_init(open).await.map(Arc::clone)
    }
}

/// Takes asks.
pub(super) struct Desk<'p> {
    shared: Shared<'p>,
}

impl<'p> Desk<'p> {
    pub fn new(program: &'p Program, chosen: Chosen, happens: Sender<Event>, heard: Arc<Heard>) -> Self {
        let shared = Shared {
            program,
            happens,
            heard,
            chosen: Rc::new(RefCell::new(chosen)),
            journal: Rc::new(OnceCell::new()),
            at_work: Rc::new(RefCell::new(None)),
            taking: Rc::new(RefCell::new(None)),
            opened: Rc::new(Cell::new(0)),
            in_view: Rc::new(Cell::new(None)),
        };
        Self { shared }
    }

    /// What is told when the eyes open, and what is looked for meanwhile.
    pub fn begin(&self) -> Option<Work<'p>> {
        let shared = self.shared.clone();
        match setup(&shared) {
            Ok(setup) => shared.tell(Event::Ready(Box::new(setup))),
            Err(failure) => shared.fail(&failure),
        }
        Some(
            async move {
                looks::waiting(&shared).await;
                at_hand(&shared).await;
            }
            .boxed_local(),
        )
    }

    pub fn tell(&self, event: Event) {
        self.shared.tell(event);
    }

    /// Does what takes no time, and gives what takes some.
    pub fn take(&mut self, ask: Ask) -> Option<Work<'p>> {
        let shared = self.shared.clone();
        Some(match ask {
            Ask::Run { question } => drives::ask(shared, question).boxed_local(),
            Ask::Resume { run } => drives::resume(shared, run).boxed_local(),
            Ask::Steer { run, module, to } => drives::steer(shared, run, module, to).boxed_local(),
            Ask::Fork { run, place } => drives::fork(shared, run, place).boxed_local(),
            Ask::Tell { run, module, text } => drives::tell(shared, run, module, text).boxed_local(),
            Ask::Pause { run } => drives::pause(shared, run).boxed_local(),
            Ask::Cancel { run } => drives::cancel(shared, run).boxed_local(),
            Ask::Answer { run, approval, answer } => drives::answer(shared, run, approval, answer).boxed_local(),
            Ask::Order { run, module, act } => guards::ordered(shared, run, module, act).boxed_local(),
            Ask::Briefs => {
                guards::briefs(&shared);
                return None;
            }
            Ask::Open { run } => looks::open(shared, run).boxed_local(),
            Ask::Runs => looks::runs(shared).boxed_local(),
            Ask::Content(digest) => looks::content(shared, digest).boxed_local(),
            Ask::Passage { run, citation } => looks::passage(shared, run, *citation).boxed_local(),
            Ask::Add { folder } => takes::add(shared, folder).boxed_local(),
            Ask::StopAdding => {
                if let Some(stop) = &*shared.taking.borrow() {
                    stop.notify_one();
                }
                return None;
            }
            Ask::Search { query } => looks::search(shared, query).boxed_local(),
            Ask::Verify { run } => looks::verify(shared, run).boxed_local(),
            Ask::Names => looks::names(shared).boxed_local(),
            Ask::Clipboard => clipboard::paste(shared).boxed_local(),
            Ask::Shell(command) => looks::shell(shared, command).boxed_local(),
            Ask::Export { path, markdown } => {
                looks::export(&shared, path, &markdown);
                return None;
            }
            Ask::Models => list_models(shared).boxed_local(),
            Ask::Source(source) => return self.choose(|chosen| of_source(chosen, source)),
            Ask::Model(model) => return self.choose(|chosen| of_model(chosen, model)),
            Ask::Plan(plan) => {
                return self.choose(|chosen| {
                    chosen.plan = plan;
                    Ok(match plan {
                        Plans::Wait => "plans wait for you from now on".to_owned(),
                        Plans::GoOn => "plans go on at once from now on".to_owned(),
                    })
                });
            }
            Ask::Interrupt => {
                if let Some(at_work) = &*shared.at_work.borrow() {
                    at_work.interrupt.notify_one();
                }
                return None;
            }
            // The loop that serves ends with it.
            Ask::Quit => return None,
        })
    }

    /// Changes what is chosen, where the settings then still make sense.
    fn choose(&self, change: impl FnOnce(&mut Chosen) -> Result<String, Failure>) -> Option<Work<'p>> {
        let before = self.shared.chosen.borrow().clone();
        let mut changed = before.clone();
        let said = change(&mut changed);
        self.shared.chosen.replace(changed);
        match said.and_then(|said| setup(&self.shared).map(|setup| (said, setup))) {
            Ok((said, setup)) => {
                self.shared.tell(Event::Ready(Box::new(setup)));
                self.shared.say(TellTone::Note, vec![said]);
            }
            Err(failure) => {
                self.shared.chosen.replace(before);
                self.shared.fail(&failure);
            }
        }
        None
    }

    /// Interrupts the drive at work, if there is one; gives its run, once it has one.
    pub fn interrupt(&self) -> Option<Option<RunId>> {
        let at_work = self.shared.at_work.borrow();
        let at_work = at_work.as_ref()?;
        at_work.interrupt.notify_one();
        Some(at_work.run)
    }

    /// The journal, where it was opened and nobody uses it any more.
    pub fn into_journal(self) -> Option<Journal> {
        let cell = Rc::try_unwrap(self.shared.journal).ok()?;
        Arc::try_unwrap(cell.into_inner()?).ok()
    }
}

/// The path that a person names; `~/` is the person's own.
pub(super) fn path_of(named: &str) -> PathBuf {
    match (named.strip_prefix("~/"), crate::config::environment("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        (_, _) => PathBuf::from(named),
    }
}

/// The folder that a person names; `~/` is the person's own. `command` names it again.
pub(super) fn folder_of(named: &str, command: &str) -> Result<PathBuf, Failure> {
    let path = path_of(named);
    if !path.is_dir() {
        let what = format!("{} is no folder", path.display());
        return Err(Failure::new(crate::exit::Exit::Usage, what, format!("name one that is there: {command}")));
    }
    Ok(path)
}

fn of_source(chosen: &mut Chosen, source: Source) -> Result<String, Failure> {
    match source {
        Source::Folder(folder) => {
            let path = folder_of(&folder, "/docs FOLDER")?;
            let said = format!("answers come from {}", path.display());
            (chosen.docs, chosen.collection) = (Some(path), None);
            Ok(said)
        }
        Source::Collection(name) => {
            let said = format!("answers come from collection {name}");
            (chosen.docs, chosen.collection) = (None, Some(name));
            Ok(said)
        }
    }
}

fn of_model(chosen: &mut Chosen, model: String) -> Result<String, Failure> {
    Spec::parse(&model)?;
    let said = format!("{model} plays the roles from now on; no other is used in its place");
    chosen.model = Some(model);
    Ok(said)
}

/// What the program is set to now.
fn setup(shared: &Shared<'_>) -> Result<Setup, Failure> {
    let (config, resolved) = shared.config()?;
    let source = match shared.sources(&config) {
        Ok(Sources::Folder(docs)) => Some(crate::cli::shown(&docs)),
        Ok(Sources::Collections(names)) => Some(format!("collection {}", names.join(", "))),
        Err(_nothing_named) => None,
    };
    let mut offers = Vec::new();
    if source.is_none() {
        offers.push("/docs FOLDER         answer from a folder of documents".to_owned());
        offers.push("/collection NAME     answer from a collection that was taken in before".to_owned());
    }
    if config.models.distinct() == ["extractive"] {
        offers.push("/models              the models there are; /model NAME takes one".to_owned());
    }
    if let Some(file) = &resolved.untrusted {
        offers.push(format!("{file} is not trusted and was not read; `ii config trust` reads it"));
    }
    offers.push("/help                the keys and commands".to_owned());
    let models = config.models.distinct().into_iter().map(str::to_owned).collect();
    let settings = config::rows(shared.program, &resolved);
    Ok(Setup { models, source, offers, settings, plan: shared.chosen.borrow().plan })
}

/// Where no language model is chosen: those that could be, on this machine.
async fn at_hand(shared: &Shared<'_>) {
    let extractive = shared.config().is_ok_and(|(config, _)| config.models.distinct() == ["extractive"]);
    if !extractive {
        return;
    }
    let found = models::at_hand(shared.program).await;
    if let Some(first) = found.first() {
        let more = if found.len() > 1 { format!(", and {} more: /models", found.len() - 1) } else { String::new() };
        shared.say(TellTone::Note, vec![format!("a model is at hand on this machine: /model {first} takes it{more}")]);
    }
}

async fn list_models(shared: Shared<'_>) {
    match shared.config() {
        Ok((config, _)) => shared.say(TellTone::Note, models::listed(shared.program, &config).await),
        Err(failure) => shared.fail(&failure),
    }
}
