//! `ii doctor`: what is wrong with the home, and the fix. Changes nothing but compiled code that is kept.

use std::os::unix::fs::MetadataExt;

use agent_runtime::signer;
use commons_index::Postgres;
use serde_json::json;

use super::{Program, print_json, runs, verify};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    failures::{from_journal, from_signer, from_store},
    show,
};

/// Arguments of `ii doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One thing looked at.
struct Finding {
    name: &'static str,
    found: Result<String, Failure>,
}

/// Runs the command.
pub(super) async fn run(_args: Args, program: &Program) -> Result<Exit, Failure> {
    let findings = [
        Finding { name: "configuration", found: program.settings(&[]).map(|_| "reads".to_owned()) },
        Finding { name: "home", found: home(program) },
        Finding { name: "keys", found: keys(program) },
        Finding { name: "journal", found: journal(program).await },
        Finding { name: "database", found: database(program).await },
        Finding { name: "receipts", found: receipts(program).await },
        Finding { name: "outbox", found: outbox(program).await },
    ];
    let tiers = tiers(program).await;
    let worst = findings.iter().find_map(|finding| finding.found.as_ref().err()).map(|failure| failure.exit);
    if program.json {
        let rows = findings.iter().map(|finding| match &finding.found {
            Ok(text) => json!({"name": finding.name, "ok": true, "found": text}),
            Err(failure) => json!({"name": finding.name, "ok": false, "found": failure.what, "fix": failure.fix}),
        });
        print_json(&json!({"ok": worst.is_none(), "version": env!("CARGO_PKG_VERSION"),
            "checks": rows.collect::<Vec<_>>(),
            "tiers": tiers.iter().map(Tier::json).collect::<Vec<_>>()}));
    } else {
        for finding in &findings {
            match &finding.found {
                Ok(text) => println!("ok     {:<14} {text}", finding.name),
                Err(failure) => println!("FAULT  {:<14} {failure}", finding.name),
            }
        }
        for tier in &tiers {
            println!("{}", tier.words());
        }
    }
    Ok(worst.unwrap_or(Exit::Completed))
}

fn home(program: &Program) -> Result<String, Failure> {
    let root = program.home.root();
    let shown = root.display();
    let Ok(metadata) = std::fs::metadata(root) else { return Ok(format!("{shown} is not there yet")) };
    let fault = |what: String, fix: String| Failure::new(Exit::Storage, what, fix);
    if !metadata.is_dir() {
        return Err(fault(format!("{shown} is no folder"), "set II_HOME to a folder".to_owned()));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(fault(format!("{shown} has mode {mode:o}: others can look in"), format!("chmod 700 {shown}")));
    }
    if mode & 0o200 == 0 {
        return Err(fault(format!("{shown} has mode {mode:o}: it cannot be written"), format!("chmod 700 {shown}")));
    }
    Ok(format!("{shown}"))
}

fn keys(program: &Program) -> Result<String, Failure> {
    let rows = signer::list(&program.home).map_err(|error| from_signer(&error))?;
    Ok(if rows.is_empty() { "none yet; the first run makes them".to_owned() } else { format!("{} keys", rows.len()) })
}

/// Reads every fact and content of every run.
async fn journal(program: &Program) -> Result<String, Failure> {
    let Some(reader) = runs::reader(program) else { return Ok("none yet".to_owned()) };
    let mut facts = 0;
    let rows = reader.runs().await.map_err(|error| from_journal(&error))?;
    for row in &rows {
        let (placed, state) = runs::load(&reader, row.run).await?;
        facts += placed.len();
        for digest in state.run().map(common_ground::run::Run::contents).unwrap_or_default() {
            reader.blob(digest).await.map_err(|error| from_journal(&error))?;
        }
    }
    Ok(format!("{} runs, {facts} facts, every content as it was written", rows.len()))
}

/// Verifies every receipt, where there are keys to do it with.
async fn receipts(program: &Program) -> Result<String, Failure> {
    let Some(reader) = runs::reader(program) else { return Ok("none yet".to_owned()) };
    let mut count = 0;
    for row in reader.runs().await.map_err(|error| from_journal(&error))? {
        count += verify::from_journal_of(&reader, row.run).await?.len();
    }
    Ok(format!("{count} readable; `ii verify RUN` verifies them"))
}

/// Whether the database of the settings answers, and what it keeps.
async fn database(program: &Program) -> Result<String, Failure> {
    // Settings that do not read have their own line above.
    let Some(url) = program.settings(&[]).ok().and_then(|(config, _)| config.postgres) else {
        return Ok("none; collections are in the home".to_owned());
    };
    let database = Postgres::connect(&url).await.map_err(|error| from_store(&error))?;
    let names = database.collections().await.map_err(|error| from_store(&error))?;
    let at = database.at().display();
    Ok(format!("{at}: {} collections", names.len()))
}

async fn outbox(program: &Program) -> Result<String, Failure> {
    let Some(reader) = runs::reader(program) else { return Ok("empty".to_owned()) };
    let counts = reader.outbox().await.map_err(|error| from_journal(&error))?;
    let (under_way, credited) = (counts.under_way(), counts.credited);
    Ok(format!("{under_way} receipts on their way to a ledger, {credited} credited there"))
}

/// Where tools can run here, by trying it. One that is missing is no fault: its tools then refuse.
struct Tier {
    name: &'static str,
    /// What was found, or what is missing and the fix.
    found: Result<String, (String, String)>,
}

impl Tier {
    fn json(&self) -> serde_json::Value {
        match &self.found {
            Ok(text) => json!({"tier": self.name, "works": true, "found": text}),
            Err((what, fix)) => json!({"tier": self.name, "works": false, "found": what, "fix": fix}),
        }
    }

    fn words(&self) -> String {
        match &self.found {
            Ok(text) => format!("ok     {:<14} {}", self.name, show::plain(text)),
            Err((what, fix)) => format!("none   {:<14} {}; {fix}", self.name, show::plain(what)),
        }
    }
}

async fn tiers(program: &Program) -> Vec<Tier> {
    // Settings that do not read have their own line above.
    let Ok((config, _)) = program.settings(&[]) else { return Vec::new() };
    let mut tiers = vec![Tier { name: "wasm", found: wasm(program).await }];
    tiers.extend(native_tiers(&config).await);
    tiers
}

/// A function is compiled and run, and the person's tools are opened.
#[cfg(feature = "wasm")]
async fn wasm(program: &Program) -> Result<String, (String, String)> {
    if let Err(problem) = tools::Wasm::probe().await {
        return Err((problem.to_string(), "see docs/PLATFORMS.md".to_owned()));
    }
    // Nothing is called by it: the tools are opened and no more.
    let dialler = tools::egress::Dialler::new(tools::egress::Settings::default());
    let dialler = dialler.map_err(|error| (error.to_string(), "report this fault".to_owned()))?;
    let (folder, compiled) = (program.home.tools(), program.home.compiled());
    let dialler = std::sync::Arc::new(dialler);
    let opened = tokio::task::spawn_blocking(move || tools::Wasm::open(&folder, &compiled, &dialler)).await;
    let (components, problems) = opened.map_err(|error| (error.to_string(), "report this fault".to_owned()))?;
    let count = components.len();
    match problems.first() {
        None => Ok(format!("runs; {count} tools in {}", program.home.tools().display())),
        Some(problem) => Err((problem.to_string(), format!("mend or remove it; {count} tools beside it work"))),
    }
}

#[cfg(not(feature = "wasm"))]
#[expect(clippy::unused_async, reason = "the same call with the tier and without it")]
async fn wasm(_program: &Program) -> Result<String, (String, String)> {
    Err(("this program was built without it".to_owned(), "build it with its default features".to_owned()))
}

#[cfg(target_os = "linux")]
async fn native_tiers(config: &Config) -> Vec<Tier> {
    use crate::hands::native;
    let jail = native::jail().probe().await;
    let process = match &jail.ran {
        Ok(walls) => Ok(walls.join(", ")),
        Err(why) => {
            let missing = jail.findings.iter().find(|finding| finding.state.is_err());
            let fix = missing.and_then(|finding| finding.fix).unwrap_or("see docs/PLATFORMS.md");
            Err((why.clone(), fix.to_owned()))
        }
    };
    let docker = match native::docker(config).probe().await {
        Ok(probe) => {
            let runc = probe.runc.map_or(String::new(), |version| format!(", runc {version}"));
            let warnings: String = probe.warnings.iter().map(|warning| format!("; WARNING: {warning}")).collect();
            let gvisor = if probe.gvisor { ", gVisor" } else { "" };
            Ok(format!("Docker {}{runc}{gvisor}{warnings}", probe.engine))
        }
        Err(error) => {
            let fix = "install and start Docker (Debian: docker.io), or set tools.docker_host".to_owned();
            Err((format!("no engine answers: {error}"), fix))
        }
    };
    let browser = match native::chromium(config).probe().await {
        Ok(probe) => {
            let unboxed =
                probe.unboxed.map_or(String::new(), |why| format!("; WARNING: its own sandbox is off: {why}"));
            Ok(format!("{} at {}{unboxed}", probe.version, probe.path.display()))
        }
        Err(error) => Err((error.to_string(), "install chromium, or set tools.chromium".to_owned())),
    };
    vec![
        Tier { name: "process", found: process },
        Tier { name: "docker", found: docker },
        Tier { name: "browser", found: browser },
    ]
}

#[cfg(not(target_os = "linux"))]
async fn native_tiers(_config: &Config) -> Vec<Tier> {
    let none = |name| Tier { name, found: Err(("it needs Linux".to_owned(), "run ii on Linux".to_owned())) };
    ["process", "docker", "browser"].map(none).into()
}
