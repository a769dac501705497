//! What runs beside the driver: started, known, cancelled and awaited here and nowhere else.

use std::{collections::HashMap, future::Future};

use common_ground::{Epoch, ModuleId, port::model::ModelError};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::Instrument;

use super::{DriveError, Stop};
use crate::roles::principal::PlanError;

/// One piece of work under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The Principal plans.
    Plan,
    /// An Associate works under a lease.
    Work(ModuleId, Epoch),
    /// The Verifier finds.
    Verify(ModuleId, Epoch),
}

/// How a piece of work ended.
#[derive(Debug)]
pub(super) enum Done {
    /// What it had to say, it said by commands.
    Quietly,
    /// There is no plan.
    NoPlan(String),
    /// A model cannot be reached or refuses.
    NoModel(ModelError),
    /// The driver must end.
    Broken(DriveError),
}

/// Tasks under way.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    set: JoinSet<Done>,
    live: HashMap<Key, AbortHandle>,
    keys: HashMap<Id, Key>,
}

impl Tasks {
    /// Whether this work is under way or was done in this process.
    pub fn knows(&self, key: Key) -> bool {
        self.live.contains_key(&key)
    }

    /// Whether this work is still under way.
    pub fn is_alive(&self, key: Key) -> bool {
        self.live.get(&key).is_some_and(|handle| !handle.is_finished())
    }

    /// Starts work.
    pub fn start(&mut self, key: Key, work: impl Future<Output = Done> + Send + 'static) {
        let span = match key {
            Key::Plan => tracing::info_span!("plan"),
            Key::Work(module, epoch) => tracing::info_span!("work", %module, epoch = epoch.0),
            Key::Verify(module, epoch) => tracing::info_span!("verify", %module, epoch = epoch.0),
        };
        let handle = self.set.spawn(work.instrument(span));
        self.keys.insert(handle.id(), key);
        self.live.insert(key, handle);
    }

    /// Stops all work on a module.
    pub fn stop(&mut self, module: ModuleId) {
        self.live.retain(|key, handle| match key {
            Key::Work(of, _) | Key::Verify(of, _) if *of == module => {
                handle.abort();
                false
            }
            Key::Plan | Key::Work(..) | Key::Verify(..) => true,
        });
    }

    /// Forgets a module that is over.
    pub fn forget(&mut self, module: ModuleId, epoch: Epoch) {
        self.live.remove(&Key::Work(module, epoch));
        self.live.remove(&Key::Verify(module, epoch));
    }

    /// The next piece of work that ended; pends for ever while there is none.
    pub async fn ended(&mut self) -> Result<Done, DriveError> {
        loop {
            match self.set.join_next_with_id().await {
                None => std::future::pending::<()>().await,
                Some(Ok((id, done))) => {
                    self.keys.remove(&id);
                    return Ok(done);
                }
                Some(Err(error)) if error.is_cancelled() => {
                    self.keys.remove(&error.id());
                }
                Some(Err(error)) => {
                    let key = self.keys.remove(&error.id());
                    return Err(DriveError::Task(format!("{key:?}: {error}")));
                }
            }
        }
    }

    /// Stops everything and waits until it is gone.
    pub async fn stop_all(&mut self) {
        self.live.clear();
        self.set.shutdown().await;
        self.keys.clear();
    }
}

/// A role's end as the driver sees it. A refusal needs no more: the core has said no, and the lease runs out if it has
/// not already.
pub(super) fn done(ended: Result<(), Stop>) -> Done {
    match ended {
        Ok(()) | Err(Stop::Refused(_) | Stop::Gone | Stop::Waits) => Done::Quietly,
        Err(Stop::Journal(error)) => Done::Broken(error.into()),
        Err(Stop::Record(step)) => Done::Broken(DriveError::Record(step)),
        Err(Stop::Content(digest)) => Done::Broken(DriveError::Content(digest)),
        Err(Stop::Encoding(error)) => Done::Broken(DriveError::Encoding(error)),
        Err(Stop::Model(error)) => Done::NoModel(error),
        Err(Stop::Entropy(error)) => Done::Broken(DriveError::Entropy(error)),
    }
}

/// The Principal's end.
pub(super) fn planned(ended: Result<(), PlanError>) -> Done {
    match ended {
        Ok(()) => Done::Quietly,
        Err(PlanError::Stop(Stop::Refused(refusal))) => Done::NoPlan(refusal.to_string()),
        Err(PlanError::Stop(stop)) => done(Err(stop)),
        Err(error @ PlanError::Protocol { .. }) => Done::NoPlan(error.to_string()),
    }
}
