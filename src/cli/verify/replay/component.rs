//! Calls of components made again: the same code, the same arguments, the same grant.
//!
//! **Invariant:** a component is run again only where it needed nothing, and where no order has set it aside.

#[cfg(feature = "wasm")]
use std::collections::{BTreeMap, btree_map::Entry as Slot};

use agent_runtime::home::Home;
use common_ground::{
    Run,
    module::{Module, Step},
    record::Record,
};
#[cfg(feature = "wasm")]
use common_ground::{
    grant::{Grant, Senses},
    guardian::Suspect,
    module::{CallKind, CallOutcome},
    port::tool::{StepKey, ToolCall},
    record::{Exit, Limit},
    repeat::Varies,
};
#[cfg(feature = "wasm")]
use receipts::Digest;
use receipts::entry::Entry;
#[cfg(feature = "wasm")]
use tools::{Guarded, WasmTool};

#[cfg(feature = "wasm")]
use super::attempt::end;
use super::found::Given;
use crate::config::Config;
#[cfg(feature = "wasm")]
use crate::hands;

/// The components of the home, each opened once.
pub(super) struct Components<'a> {
    #[cfg_attr(not(feature = "wasm"), allow(dead_code, reason = "there is nothing to open"))]
    from: (&'a Home, &'a Config),
    #[cfg(feature = "wasm")]
    open: BTreeMap<String, Result<Guarded<WasmTool>, String>>,
}

impl<'a> Components<'a> {
    pub fn new(home: &'a Home, config: &'a Config) -> Self {
        Self {
            from: (home, config),
            #[cfg(feature = "wasm")]
            open: BTreeMap::new(),
        }
    }

    /// Without WebAssembly nothing of it is run.
    #[cfg(not(feature = "wasm"))]
    pub async fn again(
        &mut self,
        _run: &Run,
        _module: &Module,
        _of: (&Step, &Entry),
        _record: &Record,
        _arguments: Option<String>,
        _response: Option<&Vec<u8>>,
    ) -> Given {
        Given::Not("this program was built without WebAssembly".to_owned())
    }
}

#[cfg(feature = "wasm")]
impl Components<'_> {
    /// What the call gives again.
    pub async fn again(
        &mut self,
        run: &Run,
        module: &Module,
        (step, entry): (&Step, &Entry),
        record: &Record,
        arguments: Option<String>,
        response: Option<&Vec<u8>>,
    ) -> Given {
        let (CallKind::Tool { tool: name, .. }, Entry::ToolCall { .. }) = (&step.call, entry) else {
            return Given::Not("its entry is not that of a tool's call".to_owned());
        };
        if run.quarantined.contains_key(&Suspect::Tool(name.clone())) {
            return Given::Not(format!("an order has set {name} aside, so it is not run"));
        }
        let hides = !self.from.1.secrets.is_empty();
        let tool = match self.open(name).await {
            Ok(tool) => tool,
            Err(why) => return Given::Not(why.clone()),
        };
        let identity = tool.identity();
        if identity != record.tool {
            let wanted = record.tool;
            return Given::Not(format!("{name} is another one now: {identity}, and the call was made with {wanted}"));
        }
        let Some(arguments) = arguments else {
            return Given::Not("its arguments are in no answer on record".to_owned());
        };
        // A call whose arguments made no sense was let through with nothing granted.
        let usual = module.grant.with(record.allowed.iter().map(|one| one.need.clone()));
        let Some(grant) = [usual, Grant::default()].into_iter().find(|grant| grant.digest() == record.grant) else {
            return Given::Not(format!("the grant {} that it ran under cannot be made again", record.grant));
        };
        let call = ToolCall { key: StepKey::NONE, grant: &grant, allowed: &record.allowed, arguments: &arguments };
        let (called, asked) = tool.again(call).await;
        if grant.senses == Senses::Real {
            // The same code on the same input comes to the same question, so it asked the first time too.
            match (asked.clock, asked.chance) {
                (true, _) => return Given::Varies(Varies::Clock),
                (false, true) => return Given::Varies(Varies::Chance),
                (false, false) => {}
            }
        }
        if let Exit::Limit { limit: Limit::Cpu | Limit::Wall } = called.record.exit {
            return Given::Not("this machine did not end it within the time of its grant".to_owned());
        }
        let (content, ended) = match called.answer {
            Ok(content) => (content, CallOutcome::Done),
            Err(error) => (error.to_string(), CallOutcome::Failed),
        };
        let again = Digest::of(content.as_bytes());
        let shown = response.map(|bytes| String::from_utf8_lossy(bytes));
        if hides && shown.is_some_and(|text| text.contains("[secret ") && Digest::of(text.as_bytes()) != again) {
            return Given::Not("a secret was taken out of its output, and may be another one now".to_owned());
        }
        let mut given = entry.clone();
        if let Entry::ToolCall { output, outcome, .. } = &mut given {
            (*output, *outcome) = (again, end(ended));
        }
        Given::Entry(given)
    }

    async fn open(&mut self, name: &str) -> Result<&Guarded<WasmTool>, &String> {
        match self.open.entry(name.to_owned()) {
            Slot::Occupied(opened) => opened.into_mut().as_ref(),
            Slot::Vacant(place) => {
                let (home, config, wanted) = (self.from.0.clone(), self.from.1.clone(), name.to_owned());
                // It is compiled, which takes a while.
                let opened = tokio::task::spawn_blocking(move || hands::component(&home, &config, &wanted)).await;
                place.insert(opened.unwrap_or_else(|error| Err(error.to_string()))).as_ref()
            }
        }
    }
}
