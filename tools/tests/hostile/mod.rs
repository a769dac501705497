//! What the hostile tests of all tiers share: a call through the guard, a look at what is left, and the line that says how
//! a case went.

use std::{
    fmt::Display,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use common_ground::{
    grant::{Grant, Item, Limits},
    port::tool::{Called, StepKey, Tool, ToolCall},
};
use libtest_mimic::{Arguments, Trial};
use serde_json::Value;
use tools::{Common, Guarded, Hand};

/// A secret of the settings, which no output may show.
pub const SECRET: &str = "s3cret-of-the-settings";

/// A tool in its guard, and the folder of its fence.
pub struct Caller<H> {
    pub tool: Guarded<H>,
    _fence: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
}

impl<H: Hand> Caller<H> {
    pub fn new(hand: H) -> Self {
        let fence = tempfile::tempdir().expect("a folder");
        let common = Arc::new(Common::new(fence.path().join("fence"), vec![("token".to_owned(), SECRET.to_owned())]));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { tool: Guarded::new(hand, &common), _fence: fence, runtime: runtime.expect("a runtime") }
    }

    /// A call whose needs are granted, with these items and limits beside.
    pub fn call(&self, arguments: &Value, items: &[String], limits: Limits) -> Called {
        self.runtime.block_on(self.calling(arguments, items, limits))
    }

    /// The same, to be awaited or dropped.
    pub async fn calling(&self, arguments: &Value, items: &[String], limits: Limits) -> Called {
        let arguments = arguments.to_string();
        let items = items.iter().map(|item| item.parse::<Item>().unwrap_or_else(|error| panic!("{error}")));
        let needs = self.tool.needs(&arguments).unwrap_or_else(|error| panic!("{error}"));
        let grant = Grant { limits, ..Grant::of(items.chain(needs)) };
        self.tool.call(ToolCall { key: StepKey::NONE, grant: &grant, allowed: &[], arguments: &arguments }).await
    }
}

/// Runs the cases of a tier that is made of jails; where the kernel lets none stand, says so of each, or fails under CI.
#[allow(dead_code, reason = "not every tier is made of jails")]
pub fn trials(tier: &'static str, ran: Result<Vec<String>, String>, cases: &[(&'static str, fn())]) -> ExitCode {
    let trials = cases.iter().map(|(name, case)| {
        let (name, case, ran) = (*name, *case, ran.clone());
        Trial::test(name, move || match ran {
            Ok(_) => {
                case();
                Ok(())
            }
            Err(why) if std::env::var_os("CI").is_some() => Err(why.into()),
            Err(why) => {
                println!("skipped: {name} of the tier {tier}: {why}");
                println!("hostile: {name} {tier} not available: {why}");
                Ok(())
            }
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// What a model read, whether the call went well or not.
pub fn text(called: &Called) -> String {
    match &called.answer {
        Ok(text) => text.clone(),
        Err(error) => error.to_string(),
    }
}

/// The same without the first line, which says whose words these are.
pub fn said(called: &Called) -> String {
    let text = text(called);
    text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
}

/// The line of which the table of hostile cases is made.
pub fn held(case: &str, tier: &str, seen: impl Display) {
    println!("hostile: {case} {tier} held: {seen}");
}

/// A folder that everybody may enter, as the sandboxes' nobody must.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    open(folder.path());
    folder
}

/// Lets everybody read and write.
pub fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("permissions");
}

/// A file with its folder, open to everybody.
pub fn file(path: PathBuf, text: &str) -> PathBuf {
    let folder = path.parent().expect("a folder");
    if !folder.exists() {
        fs::create_dir(folder).expect("a folder");
        open(folder);
    }
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("permissions");
    path
}

/// How many processes have this word among their arguments.
pub fn running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.path()));
    let lines = processes.filter_map(|path| fs::read(path.join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|one| one == word.as_bytes())).count()
}

/// Waits until something is so; panics where it does not become so in a time that any machine keeps.
pub fn soon(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    began.elapsed()
}
