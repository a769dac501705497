//! `ii models`: which models there are, whether one works, and how fast it is. Chooses none by itself.

mod bench;
mod probe;

use agent_runtime::models::discover::{Found, WITHIN, discover, usual_places};
use serde_json::json;

use super::{Program, print_json};
use crate::{
    config::{Config, environment},
    exit::{Exit, Failure},
    models::{from_model, remote},
    show::plain,
};

/// Subcommands of `ii models`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List providers, model servers on this machine, and files in the home's folder of models; or the models of a provider.
    List {
        /// A provider: asks it for its models.
        provider: Option<String>,
    },
    /// Try a model: whether it answers, and in which forms.
    Probe(probe::Args),
    /// Measure a model: tokens a second and latency.
    Bench(bench::Args),
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    match args {
        Args::List { provider: None } => list(program, &config).await,
        Args::List { provider: Some(provider) } => list_of(program, &config, &provider).await,
        Args::Probe(args) => probe::run(args, program, &config).await,
        Args::Bench(args) => bench::run(args, program, &config).await,
    }
}

/// All there is without asking anybody beyond this machine.
async fn list(program: &Program, config: &Config) -> Result<Exit, Failure> {
    let found = discover(usual_places(), WITHIN).await;
    let files = files(program);
    let chosen = [&config.models.principal, &config.models.associate, &config.models.verifier];
    if program.json {
        let providers = config.providers.iter().map(|(name, provider)| {
            json!({"name": name, "base_url": provider.base_url, "env_key": provider.env_key,
                "key_set": provider.env_key.as_deref().map(|variable| environment(variable).is_some())})
        });
        let servers = found
            .iter()
            .map(|found| json!({"provider": found.place.provider, "root": found.place.root, "models": specs(found)}));
        print_json(&json!({"chosen": {"principal": chosen[0], "associate": chosen[1], "verifier": chosen[2]},
            "built_in": ["extractive"], "providers": providers.collect::<Vec<_>>(),
            "found": servers.collect::<Vec<_>>(), "files": files}));
        return Ok(Exit::Completed);
    }
    lines(config, &found, &files).iter().for_each(|line| println!("{line}"));
    Ok(Exit::Completed)
}

/// What there is on this machine and in the settings, for people.
pub(super) async fn listed(program: &Program, config: &Config) -> Vec<String> {
    lines(config, &discover(usual_places(), WITHIN).await, &files(program))
}

/// Models that a person could choose now: of servers on this machine, and files.
pub(super) async fn at_hand(program: &Program) -> Vec<String> {
    let found = discover(usual_places(), WITHIN).await;
    found.iter().flat_map(specs).chain(files(program)).map(|spec| plain(&spec)).collect()
}

fn lines(config: &Config, found: &[Found], files: &[String]) -> Vec<String> {
    let chosen = &config.models;
    let mut lines = vec![
        format!(
            "chosen       principal {}, associate {}, verifier {}",
            chosen.principal, chosen.associate, chosen.verifier
        ),
        "built in     extractive: no language model; needs no weights, no key and no network".to_owned(),
    ];
    for (name, provider) in &config.providers {
        let key = match provider.env_key.as_deref() {
            None => "no key".to_owned(),
            Some(variable) if environment(variable).is_some() => format!("key in {variable}"),
            Some(variable) => format!("{variable} is not set"),
        };
        lines.push(format!("provider     {name}: {}, {key}", plain(&provider.base_url)));
    }
    for server in found {
        lines.push(format!("found        {} at {}", server.place.provider, server.place.root));
        lines.extend(specs(server).iter().map(|spec| format!("             {}", plain(spec))));
    }
    if found.is_empty() {
        lines.push("found        no llama-server, Ollama, LM Studio or vLLM on this machine".to_owned());
    }
    lines.extend(files.iter().map(|file| format!("file         {}", plain(file))));
    if !found.is_empty() || !files.is_empty() {
        let note = "None of these is used until it is chosen: --model, or `model` in the configuration.";
        lines.push(note.to_owned());
    }
    lines
}

/// The models of a server as they are chosen.
fn specs(found: &Found) -> Vec<String> {
    found.models.iter().map(|model| format!("{}:{model}", found.place.provider)).collect()
}

/// GGUF files in the home's folder of models, by name, as they are chosen.
fn files(program: &Program) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(program.home.root().join("models")) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".gguf")).map(|name| format!("llama:{name}")).collect();
    names.sort_unstable();
    names
}

/// Asks one provider for its models.
async fn list_of(program: &Program, config: &Config, provider: &str) -> Result<Exit, Failure> {
    // The list needs no model's name; an error names the provider alone.
    let models = remote(provider, "-", config)?.list().await.map_err(|error| from_model(&error))?;
    let specs: Vec<String> = models.iter().map(|model| format!("{provider}:{model}")).collect();
    if program.json {
        print_json(&json!({ "provider": provider, "models": specs }));
    } else {
        for spec in specs {
            println!("{}", plain(&spec));
        }
    }
    Ok(Exit::Completed)
}
