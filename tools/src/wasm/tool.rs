//! A component as a hand.

use std::{fmt, sync::Arc};

use common_ground::{
    grant::{Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
};
use receipts::Digest;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::{
    call::{self, State},
    engine::Engine,
    manifest::Manifest,
    places,
};
use crate::{
    egress::Dialler,
    hand::{Hand, Work},
};

/// A tool in a WebAssembly component.
pub struct WasmTool {
    engine: Arc<Engine>,
    dialler: Arc<Dialler>,
    manifest: Manifest,
    command: CommandPre<State>,
}

impl fmt::Debug for WasmTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmTool").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}

impl WasmTool {
    pub(super) fn new(
        engine: Arc<Engine>,
        dialler: Arc<Dialler>,
        manifest: Manifest,
        command: CommandPre<State>,
    ) -> Self {
        Self { engine, dialler, manifest, command }
    }
}

impl Hand for WasmTool {
    fn spec(&self) -> &ToolSpec {
        &self.manifest.spec
    }

    fn tier(&self) -> Tier {
        Tier::Wasm
    }

    fn code(&self) -> Option<Digest> {
        Some(self.manifest.code)
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        self.manifest.needs(arguments)
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let needs = self.manifest.needs(arguments)?;
            let tool = &self.manifest.spec.name;
            let limits = self.manifest.limits(work.limits());
            let open = places::open(tool, work, &needs)?;
            let environment = needs.iter().filter_map(|need| match need {
                Item::Env { key } => Some((key.clone(), std::env::var(key).ok()?)),
                Item::Path { .. } | Item::Net { .. } | Item::Run { .. } | Item::Secret { .. } => None,
            });
            let environment = environment.collect();
            let hosts = needs.iter().filter(|need| matches!(need, Item::Net { .. })).cloned().collect();
            let dialler = &self.dialler;
            let guest = call::Guest { tool, arguments, limits, open, environment, dialler, hosts };
            call::run(&self.engine, &self.command, guest, work).await
        })
    }
}
