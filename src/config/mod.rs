//! Configuration: read once, from defaults, the person's file, a trusted project's file, the environment and flags.
//!
//! Nothing past this folder reads a configuration file or an environment variable.

mod layers;
mod mcp;
mod places;
mod providers;
mod settings;
mod trust;

use std::{collections::BTreeMap, path::PathBuf};

use agent_runtime::publisher::{ChainWay, address};
use common_ground::{
    grant::{Item, Limits},
    guardian::RequiredVerdict,
    port::embedder::Prefixes,
    run::Models,
};
use receipts::{
    Digest,
    bitcoin::{hash::BlockHash, record::MOST_DEPTH},
    note::parse_vkey,
};
use tui::{keys::Keys, terminal::Mode, theme::Theme};
use url::Url;

pub use layers::{Origin, Resolved, resolve, shown};
pub use mcp::{McpServer, Reached, SERVER_FIELDS, Servers};
pub use places::Places;
pub use providers::{BUILT_IN, FIELDS, Field, Provider, Table};
pub use settings::{SETTINGS, Setting};
pub use trust::{is_trusted, trust, trusts_agents};

use crate::{
    exit::{Exit, Failure},
    permissions,
};

/// Settings as the program uses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Folder that answers come from.
    pub docs: Option<PathBuf>,
    /// The model of each role.
    pub models: Models,
    /// Model providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// MCP servers, in the order of their names.
    pub servers: Vec<McpServer>,
    /// Tools on offer beside those of the commons.
    pub tools: Vec<String>,
    /// Address of the Docker engine.
    pub docker_host: Option<String>,
    /// Image of containers when a call names none.
    pub docker_image: Option<String>,
    /// The browser.
    pub chromium: Option<PathBuf>,
    /// Certificates trusted beside those of this machine.
    pub ca_file: Option<PathBuf>,
    /// Secrets by name, each with the variable that holds it.
    pub secrets: Vec<(String, String)>,
    /// What tools may do.
    pub allow: Vec<Item>,
    /// What they may do after asking.
    pub ask: Vec<Item>,
    /// What they may never do.
    pub deny: Vec<Item>,
    /// The most a single call may use.
    pub limits: Limits,
    /// Most passages cited.
    pub max_passages: u32,
    /// Most words of answer.
    pub max_words: u32,
    /// Fewest different documents.
    pub min_sources: u32,
    /// Modules at once.
    pub parallel: u32,
    /// Tries a module has.
    pub attempts: u32,
    /// Length of an attempt's lease in milliseconds.
    pub lease_ms: u64,
    /// Most tokens.
    pub tokens: u64,
    /// Most money, in millionths of the currency unit.
    pub cost_micro: u64,
    /// ISO 4217 code of the currency.
    pub currency: String,
    /// Most tool calls.
    pub tool_calls: u64,
    /// Wall time in milliseconds; 0 for none.
    pub wall_ms: u64,
    /// The model that turns texts into vectors; none when words alone are searched.
    pub embeddings: Option<Embeddings>,
    /// The reranker and how many passages it judges; none when the index's own order stands.
    pub rerank: Option<Rerank>,
    /// Largest document in bytes.
    pub file_bytes: u64,
    /// URL of the database that folders are taken into, without a password; none when the home keeps them.
    pub postgres: Option<String>,
    /// The model that adds its words to briefs; none when rules alone write them.
    pub adviser: Option<String>,
    /// Whether modules wait for a verdict.
    pub verdict: RequiredVerdict,
    /// Ledger network.
    pub network: Digest,
    /// Where receipts go by themselves.
    pub ledger: Option<String>,
    /// Verifier key of that ledger's log.
    pub ledger_key: Option<String>,
    /// How a chain is used, where receipts go to one.
    pub chain: ChainWay,
    /// Root key outside the home.
    pub root_key: Option<PathBuf>,
    /// How the conversation looks.
    pub eyes: tui::Options,
}

/// An embedding model and how it wants its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embeddings {
    /// `llama:NAME` or `PROVIDER:NAME`.
    pub model: String,
    /// Numbers in a vector, where one chooses.
    pub dimensions: Option<u32>,
    /// What is put before its texts.
    pub prefixes: Prefixes,
}

/// A reranker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerank {
    /// `llama:NAME` or `PROVIDER:NAME`.
    pub model: String,
    /// How many of a search's best passages it judges.
    pub passages: u32,
}

/// A variable of the environment, read here so that nothing past this folder reads one.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Config {
    /// Reads typed values out of resolved ones.
    ///
    /// # Errors
    /// A value that is not what its setting wants, with where it came from.
    pub fn from_resolved(resolved: &Resolved) -> Result<Self, Failure> {
        let path = |name| Some(resolved.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from);
        let providers = resolved.providers.typed()?;
        let embeddings = embeddings(resolved, &providers)?;
        let rerank = rerank(resolved, &providers)?;
        let adviser = adviser(resolved, &providers)?;
        let model = |name: &'static str| {
            let name = if resolved.text(name).is_empty() { "model" } else { name };
            let model = resolved.text(name);
            check_model(model, &providers).map_err(|wanted| resolved.bad(name, &wanted)).map(|()| model.to_owned())
        };
        model("model")?;
        let models = Models {
            principal: model("models.principal")?,
            associate: model("models.associate")?,
            verifier: model("models.verifier")?,
        };
        let network = match resolved.text("network") {
            "" => Digest::of(b"ii dev network 1"),
            hex => hex.parse().map_err(|_not_hex| resolved.bad("network", "64 lower-case hex characters"))?,
        };
        Ok(Self {
            docs: path("docs"),
            models,
            providers,
            servers: resolved.servers.typed()?,
            tools: list(resolved, "tools.offer").map(str::to_owned).collect(),
            docker_host: Some(resolved.text("tools.docker_host").to_owned())
                .filter(|host| !host.is_empty())
                .or_else(|| environment("DOCKER_HOST")),
            docker_image: Some(resolved.text("tools.docker_image").to_owned()).filter(|image| !image.is_empty()),
            chromium: path("tools.chromium"),
            ca_file: path("tools.ca_file"),
            secrets: secrets(resolved)?,
            allow: items(resolved, "permissions.allow")?,
            ask: items(resolved, "permissions.ask")?,
            deny: items(resolved, "permissions.deny")?,
            limits: permissions::limits(list(resolved, "permissions.limits"))
                .map_err(|wanted| resolved.bad("permissions.limits", &wanted))?,
            max_passages: small(resolved, "report.max_passages", 1, 50)?,
            max_words: small(resolved, "report.max_words", 1, 10_000)?,
            min_sources: small(resolved, "report.min_sources", 0, 50)?,
            parallel: small(resolved, "run.parallel", 1, 256)?,
            attempts: small(resolved, "run.attempts", 1, 100)?,
            lease_ms: number(resolved, "run.lease_seconds", 1, 86_400)? * 1000,
            tokens: number(resolved, "budget.tokens", 0, MOST)?,
            cost_micro: decimal(resolved.text("budget.cost"))
                .ok_or_else(|| resolved.bad("budget.cost", "an amount such as 2.50"))?,
            currency: currency(resolved)?,
            tool_calls: number(resolved, "budget.tool_calls", 0, MOST)?,
            wall_ms: number(resolved, "budget.wall_seconds", 0, 31_536_000)? * 1000,
            embeddings,
            rerank,
            file_bytes: number(resolved, "commons.max_file_mb", 1, 1024)? * 1024 * 1024,
            postgres: postgres(resolved)?,
            adviser,
            verdict: match resolved.text("guardian.verdict") {
                "none" => RequiredVerdict::None,
                "tools" => RequiredVerdict::Tools,
                _other => return Err(resolved.bad("guardian.verdict", "none or tools")),
            },
            network,
            ledger: ledger(resolved)?,
            ledger_key: ledger_key(resolved)?,
            chain: ChainWay {
                credentials: path("ledger.credentials"),
                genesis: genesis(resolved)?,
                depth: number(resolved, "ledger.depth", 1, MOST_DEPTH)?,
                most_rate: number(resolved, "ledger.most_fee", 1, 1_000_000)? * 1_000,
            },
            root_key: path("keys.root"),
            eyes: eyes(resolved)?,
        })
    }
}

fn embeddings(resolved: &Resolved, providers: &BTreeMap<String, Provider>) -> Result<Option<Embeddings>, Failure> {
    let model = resolved.text("embeddings.model");
    if model.is_empty() {
        return Ok(None);
    }
    check_named(resolved, "embeddings.model", providers, "llama:NAME or PROVIDER:NAME; `make models` fetches one")?;
    let dimensions = small(resolved, "embeddings.dimensions", 0, 16_384)?;
    Ok(Some(Embeddings {
        model: model.to_owned(),
        dimensions: Some(dimensions).filter(|dimensions| *dimensions > 0),
        prefixes: Prefixes {
            query: resolved.text("embeddings.query_prefix").to_owned(),
            passage: resolved.text("embeddings.passage_prefix").to_owned(),
        },
    }))
}

fn rerank(resolved: &Resolved, providers: &BTreeMap<String, Provider>) -> Result<Option<Rerank>, Failure> {
    let model = resolved.text("rerank.model");
    if model.is_empty() {
        return Ok(None);
    }
    check_named(resolved, "rerank.model", providers, "llama:NAME or PROVIDER:NAME")?;
    Ok(Some(Rerank { model: model.to_owned(), passages: small(resolved, "rerank.passages", 1, 100)? }))
}

/// Refuses a model's setting that names no file and no provider.
fn check_named(
    resolved: &Resolved,
    setting: &'static str,
    providers: &BTreeMap<String, Provider>,
    wanted: &str,
) -> Result<(), Failure> {
    match check_model(resolved.text(setting), providers) {
        Ok(()) if resolved.text(setting).contains(':') => Ok(()),
        Ok(()) => Err(resolved.bad(setting, wanted)),
        Err(wanted) => Err(resolved.bad(setting, &wanted)),
    }
}

fn ledger(resolved: &Resolved) -> Result<Option<String>, Failure> {
    let text = resolved.text("ledger.url");
    if text.is_empty() {
        return Ok(None);
    }
    if text.contains('@') {
        let what = "ledger.url has a user or a password in it";
        let hint = "leave it out: a ledger takes receipts by their keys, and a node's go into a file that ledger.credentials names";
        return Err(Failure::new(Exit::Configuration, what, hint));
    }
    match address(text) {
        Some(_url) => Ok(Some(text.to_owned())),
        None => Err(resolved.bad("ledger.url", "http://HOST:PORT, https://HOST or bitcoin+http://HOST:PORT")),
    }
}

fn genesis(resolved: &Resolved) -> Result<Option<BlockHash>, Failure> {
    match resolved.text("ledger.genesis") {
        "" => Ok(None),
        text => {
            text.parse().map(Some).map_err(|_not_hex| resolved.bad("ledger.genesis", "64 lower-case hex characters"))
        }
    }
}

fn ledger_key(resolved: &Resolved) -> Result<Option<String>, Failure> {
    let text = resolved.text("ledger.key");
    match parse_vkey(text) {
        _any if text.is_empty() => Ok(None),
        Some(_key) => Ok(Some(text.to_owned())),
        None => Err(resolved.bad("ledger.key", "a verifier key NAME+HASH+BASE64, as `ii-ledger keys` prints it")),
    }
}

/// A database's URL. A password in it is refused, and not shown: a setting is read by more than this program.
fn adviser(resolved: &Resolved, providers: &BTreeMap<String, Provider>) -> Result<Option<String>, Failure> {
    let model = resolved.text("guardian.adviser");
    if model.is_empty() {
        return Ok(None);
    }
    check_named(resolved, "guardian.adviser", providers, "llama:NAME or PROVIDER:NAME")?;
    Ok(Some(model.to_owned()))
}

fn postgres(resolved: &Resolved) -> Result<Option<String>, Failure> {
    let text = resolved.text("commons.postgres");
    if text.is_empty() {
        return Ok(None);
    }
    let wanted = "postgres://USER@HOST/DATABASE, or postgres://USER@localhost/DATABASE?host=FOLDER for a socket";
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    match url {
        // What is no URL may be one with a password and a slip of the pen.
        None => Err(Failure::new(
            Exit::Configuration,
            "commons.postgres is no URL of a database",
            format!("make it {wanted}"),
        )),
        Some(url) if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") => {
            let what = "commons.postgres has a password in it";
            Err(Failure::new(Exit::Configuration, what, "put it into ~/.pgpass (mode 0600) or PGPASSWORD"))
        }
        Some(_) => Ok(Some(text.to_owned())),
    }
}

/// Colours, keys and manner of the conversation.
fn eyes(resolved: &Resolved) -> Result<tui::Options, Failure> {
    let bare = environment("NO_COLOR").is_some();
    let theme = match resolved.text("eyes.theme") {
        _colours if bare => Theme::Plain,
        "auto" if has_light_background() => Theme::Light,
        "auto" => Theme::Dark,
        named => Theme::named(named).ok_or_else(|| resolved.bad("eyes.theme", "dark, light, plain or auto"))?,
    };
    let others: Vec<String> = list(resolved, "eyes.keys").map(str::to_owned).collect();
    let keys =
        Keys::with(&others).map_err(|error| resolved.bad("eyes.keys", &format!("a list of ACTION=KEY ({error})")))?;
    let dumb = environment("TERM").is_some_and(|term| term == "dumb");
    let mode = match resolved.text("eyes.linear") {
        "on" => Mode::Linear,
        "off" if dumb => Mode::Linear,
        "off" => Mode::Drawn,
        _other => return Err(resolved.bad("eyes.linear", "on or off")),
    };
    Ok(tui::Options { theme, keys, mode })
}

/// Whether the terminal says that its background is light, as some do: `COLORFGBG` ends with the background's number.
fn has_light_background() -> bool {
    let said = environment("COLORFGBG");
    let background = said.as_deref().and_then(|said| said.rsplit(';').next());
    matches!(background, Some("7" | "15"))
}

/// The items of a list, one a line.
fn list<'a>(resolved: &'a Resolved, name: &str) -> impl Iterator<Item = &'a str> {
    resolved.text(name).lines().map(str::trim).filter(|line| !line.is_empty())
}

fn secrets(resolved: &Resolved) -> Result<Vec<(String, String)>, Failure> {
    let pair = |line: &str| {
        let (name, variable) =
            line.split_once('=').filter(|(name, variable)| !name.is_empty() && !variable.is_empty())?;
        Some((name.to_owned(), variable.to_owned()))
    };
    let pairs = list(resolved, "tools.secrets")
        .map(|line| pair(line).ok_or_else(|| resolved.bad("tools.secrets", "a list of NAME=VARIABLE")));
    pairs.collect()
}

fn items(resolved: &Resolved, name: &'static str) -> Result<Vec<Item>, Failure> {
    permissions::settings(list(resolved, name))
        .map_err(|wanted| resolved.bad(name, &format!("a list of permissions ({wanted})")))
}

/// An amount of money on the command line, in millionths of the currency unit.
///
/// # Errors
/// What is no amount.
pub fn micro(text: &str) -> Result<u64, Failure> {
    decimal(text).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` is no amount of money"), "write it with a point, such as 2.50")
    })
}

/// A decimal number with up to six digits after the point, in millionths.
fn decimal(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let micro: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micro).filter(|micro| *micro <= MOST)
}

fn currency(resolved: &Resolved) -> Result<String, Failure> {
    let code = resolved.text("budget.currency");
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(code.to_owned())
    } else {
        Err(resolved.bad("budget.currency", "three capital letters, such as EUR"))
    }
}

/// Whether a model is written as one can be; else what it should be.
fn check_model(model: &str, providers: &BTreeMap<String, Provider>) -> Result<(), String> {
    if model == "extractive" {
        return Ok(());
    }
    match model.split_once(':') {
        Some((_, "")) | None => {
            Err("`extractive`, `llama:NAME` or `PROVIDER:NAME`; `ii models list` shows them".to_owned())
        }
        Some(("llama", _)) => Ok(()),
        Some((provider, _)) if providers.contains_key(provider) => Ok(()),
        Some((provider, name)) => {
            let near = providers.keys().min_by_key(|known| strsim::damerau_levenshtein(known, provider));
            let near = near.map_or("openai", String::as_str);
            Err(format!("of a provider there is: the nearest is `{near}:{name}`, and [providers.{provider}] makes one"))
        }
    }
}

/// The largest integer that TOML and JSON readers agree on.
const MOST: u64 = (1 << 53) - 1;

fn number(resolved: &Resolved, name: &'static str, least: u64, most: u64) -> Result<u64, Failure> {
    match resolved.text(name).parse::<u64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(resolved.bad(name, &format!("a whole number from {least} to {most}"))),
    }
}

fn small(resolved: &Resolved, name: &'static str, least: u32, most: u32) -> Result<u32, Failure> {
    let value = number(resolved, name, least.into(), most.into())?;
    u32::try_from(value).map_err(Failure::internal)
}

/// A configuration failure.
fn failure(what: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure::new(Exit::Configuration, what, fix)
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn amounts_are_exact() {
        let read = ["0", "5", "2.50", "0.000001", "12."].map(decimal);
        assert_eq!(read, [Some(0), Some(5_000_000), Some(2_500_000), Some(1), Some(12_000_000)]);
        for text in ["", ".5", "-1", "1e3", "2,50", "0.0000001", "99999999999999", "1.x"] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }
}
