//! What the hostile tests of all tiers share: a call through the guard, and the line that says how a case went.

use std::sync::Arc;

use common_ground::{
    grant::{Grant, Item, Limits},
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    port::tool::{Called, StepKey, Tool, ToolCall},
};
use tools::{Common, Guarded, Hand};

/// A tool in its guard, and the folder of its fence.
pub struct Caller<H> {
    tool: Guarded<H>,
    _fence: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl<H: Hand> Caller<H> {
    pub fn new(hand: H, secrets: &[(&str, &str)]) -> Self {
        let fence = tempfile::tempdir().expect("a folder");
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let common = Arc::new(Common::new(fence.path().join("fence"), secrets));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { tool: Guarded::new(hand, &common), _fence: fence, runtime: runtime.expect("a runtime") }
    }

    /// A call whose needs are granted, with these paths and limits beside.
    pub fn call(&self, arguments: &serde_json::Value, items: &[&str], limits: Limits) -> Called {
        self.runtime.block_on(self.calling(arguments, items, limits))
    }

    /// The same, to be awaited or dropped.
    pub async fn calling(&self, arguments: &serde_json::Value, items: &[&str], limits: Limits) -> Called {
        let arguments = arguments.to_string();
        let items = items.iter().map(|item| item.parse::<Item>().unwrap_or_else(|error| panic!("{error}")));
        let needs = self.tool.needs(&arguments).unwrap_or_else(|error| panic!("{error}"));
        let grant = Grant { limits, ..Grant::of(items.chain(needs)) };
        self.tool.call(ToolCall { key: key(), grant: &grant, allowed: &[], arguments: &arguments }).await
    }
}

pub fn key() -> StepKey {
    StepKey {
        run: RunId(uuid::Uuid::nil()),
        module: ModuleId(uuid::Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    }
}

/// What a model read, whether the call went well or not.
pub fn text(called: &Called) -> String {
    match &called.answer {
        Ok(text) => text.clone(),
        Err(error) => error.to_string(),
    }
}

/// The line of which the table of hostile cases is made.
pub fn held(case: &str, tier: &str, seen: &str) {
    println!("hostile: {case} {tier} held: {seen}");
}
