//! Components built once, tools made of them, and calls through the guard.

#![allow(dead_code)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use common_ground::{
    grant::{Grant, Item},
    id::{AttemptNumber, Epoch, ModuleId, RunId, StepIndex},
    port::tool::{Called, StepKey, Tool, ToolCall},
};
use receipts::Digest;
use serde_json::Value;
use tempfile::TempDir;
use tools::{
    Common, Guarded, Problem, Wasm,
    egress::{self, Dialler},
};

/// What the guest's manifests have for their arguments.
pub const ANY: &str = r#"{"type":"object","properties":{"act":{"type":"string"},"path":{"type":"string"},"to":{"type":"string"},"folder":{"type":"string"},"other":{"type":"string"}}}"#;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// Whether components can be built here; without it a test says so and passes, and with CI set fails.
pub fn can_build() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    let there = *THERE.get_or_init(|| {
        let asked = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
        let sysroot = String::from_utf8(asked.stdout).expect("text");
        Path::new(sysroot.trim()).join("lib/rustlib/wasm32-wasip2").is_dir()
    });
    if !there {
        println!("skipped: WebAssembly tools: the target is not installed (rustup target add wasm32-wasip2)");
        assert!(std::env::var_os("CI").is_none(), "CI has every target");
    }
    there
}

/// The folder of our own components, built.
pub fn ours() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = root().join("target/components/tools");
        let ran = Command::new(root().join("scripts/components.sh")).arg(&out).status().expect("started");
        assert!(ran.success(), "components.sh");
        out
    })
}

/// The hostile guest's bytes.
pub fn guest() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = root().join("target/components");
        let ran = Command::new("cargo")
            .args(["build", "--quiet", "--release", "--locked", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .arg("--manifest-path")
            .arg(root().join("tools/tests/guests/Cargo.toml"))
            .status()
            .expect("started");
        assert!(ran.success(), "the guest is built");
        fs::read(target.join("wasm32-wasip2/release/guest.wasm")).expect("built")
    })
}

/// A way out as this machine has it.
pub fn dialler() -> Arc<Dialler> {
    Arc::new(Dialler::new(egress::Settings::default()).expect("a dialler"))
}

/// Where compiled code is kept between tests.
pub fn cache() -> PathBuf {
    root().join("target/components/cache")
}

/// Writes a tool's folder.
pub fn write_tool(folder: &Path, name: &str, code: &[u8], needs: &[&str], more: &str) {
    let place = folder.join(name);
    fs::create_dir_all(&place).expect("made");
    fs::write(place.join("component.wasm"), code).expect("written");
    let digest = Digest::of(code);
    let text = format!(
        "name = '{name}'\ndescription = 'A guest.'\narguments = '''{ANY}'''\nidempotent = true\nwasm = '{digest}'\nneeds = {needs:?}\n{more}"
    );
    fs::write(place.join("tool.toml"), text).expect("written");
}

/// A folder with `data` and `outside`, and tools made of the hostile guest.
pub struct Bench {
    folder: TempDir,
    tools: BTreeMap<String, Arc<dyn Tool>>,
}

impl Bench {
    /// `bare` needs nothing, `reads` reads a path, `writes` writes one, `crosses` reads a folder and writes another,
    /// `senses` has a variable; secrets are names and values.
    pub fn new(secrets: Vec<(String, String)>) -> Self {
        let bench = Self::empty(secrets, |place| {
            write_tool(place, "bare", guest(), &[], "");
            write_tool(place, "reads", guest(), &["read:{path}"], "");
            write_tool(place, "reads_folder", guest(), &["read:{folder}"], "");
            write_tool(place, "writes", guest(), &["write:{path}"], "");
            write_tool(place, "writes_folder", guest(), &["write:{folder}"], "");
            write_tool(place, "crosses", guest(), &["read:{folder}", "write:{other}"], "");
            write_tool(place, "variable", guest(), &["env:II_TEST_SHOWN"], "");
        });
        bench.0
    }

    /// Tools that a function writes.
    pub fn empty(secrets: Vec<(String, String)>, write: impl FnOnce(&Path)) -> (Self, Vec<Problem>) {
        Self::over(&dialler(), secrets, write)
    }

    /// Tools that a function writes, with this way out.
    pub fn over(
        dialler: &Arc<Dialler>,
        secrets: Vec<(String, String)>,
        write: impl FnOnce(&Path),
    ) -> (Self, Vec<Problem>) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["data", "outside", "tools"] {
            fs::create_dir(folder.path().join(name)).expect("made");
        }
        fs::write(folder.path().join("outside/secret"), "SECRET").expect("written");
        write(&folder.path().join("tools"));
        let common = Arc::new(Common::new(folder.path().join("fence"), secrets));
        let (opened, problems) = Wasm::open(&folder.path().join("tools"), &cache(), dialler);
        let tools = opened.into_iter().map(|tool| Arc::new(Guarded::new(tool, &common)) as Arc<dyn Tool>);
        let tools = tools.map(|tool| (tool.spec().name.clone(), tool)).collect();
        (Self { folder, tools }, problems)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().expect("real").join(name)
    }

    pub fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn tool(&self, name: &str) -> Arc<dyn Tool> {
        Arc::clone(self.tools.get(name).unwrap_or_else(|| panic!("{name} is there")))
    }

    /// Under a grant of `items`, with its limits changed.
    pub async fn call(&self, tool: &str, grant: &Grant, arguments: &Value) -> Called {
        call(&*self.tool(tool), grant, arguments).await
    }
}

pub async fn call(tool: &dyn Tool, grant: &Grant, arguments: &Value) -> Called {
    let key = StepKey {
        run: RunId(uuid::Uuid::nil()),
        module: ModuleId(uuid::Uuid::nil()),
        attempt: AttemptNumber(1),
        epoch: Epoch(1),
        step: StepIndex(0),
    };
    tool.call(ToolCall { key, grant, allowed: &[], arguments: &arguments.to_string() }).await
}

/// A grant of items in their text.
pub fn grant(items: &[String]) -> Grant {
    Grant::of(items.iter().map(|item| item.parse::<Item>().expect("an item")))
}

/// The text a tool gave, without the line that labels it.
pub fn text(called: &Called) -> String {
    let text = called.answer.clone().expect("answered");
    text.split_once('\n').expect("labelled").1.to_owned()
}

/// Why a call gave none.
pub fn why(called: &Called) -> String {
    called.answer.clone().expect_err("refused or failed").to_string()
}
