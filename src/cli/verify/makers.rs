//! Which run on record made a module: the one that is asked about, or the one that a fork took the module over from.

use std::collections::{BTreeMap, btree_map::Entry};

use agent_runtime::journal::Reader;
use common_ground::{ModuleId, Run, RunId, State, module::Module};

use crate::{cli::runs, exit::Failure};

/// Runs by id, each read once; none where one was deleted.
#[derive(Default)]
pub(super) struct Makers(BTreeMap<RunId, Option<State>>);

impl Makers {
    /// The run that accepted a module, by the name of its receipt. None where that was deleted.
    pub async fn of(&mut self, reader: &Reader, id: RunId, name: &str) -> Result<Option<RunId>, Failure> {
        self.load(reader, id).await?;
        let by = self.module(id, name).and_then(|(_, _, module)| module.kept_from).unwrap_or(id);
        self.load(reader, by).await?;
        Ok(self.module(by, name).map(|_module| by))
    }

    async fn load(&mut self, reader: &Reader, id: RunId) -> Result<(), Failure> {
        if let Entry::Vacant(place) = self.0.entry(id) {
            let (facts, state) = runs::load(reader, id).await?;
            place.insert((!facts.is_empty()).then_some(state));
        }
        Ok(())
    }

    /// A module of a run that was read.
    pub fn module(&self, run: RunId, name: &str) -> Option<(&Run, ModuleId, &Module)> {
        let run = self.0.get(&run)?.as_ref()?.run()?;
        run.modules.iter().find(|(id, _)| id.to_string() == name).map(|(id, module)| (run, *id, module))
    }
}
