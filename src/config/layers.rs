//! Layers of settings and which of them won.

use std::{collections::BTreeMap, fmt, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    failure, mcp,
    places::Places,
    providers::{self, OPENAI_BASE_URL},
    settings::{self, SETTINGS},
    trust,
};
use crate::exit::Failure;

/// A place in a file of settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file.
    pub file: String,
    /// Its line, from 1; none where it is not known.
    pub line: Option<usize>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}, line {line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// Where a value came from; a later variant wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Built in.
    Default,
    /// The person's file.
    User(Spot),
    /// A trusted project's file.
    Project(Spot),
    /// An environment variable.
    Environment(&'static str),
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User(spot) => write!(f, "user file {spot}"),
            Self::Project(spot) => write!(f, "project file {spot}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Each setting's winning value as text, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    values: BTreeMap<&'static str, (String, Origin)>,
    /// Model providers.
    pub providers: providers::Table,
    /// MCP servers.
    pub servers: mcp::Servers,
    /// A project file that was there and not used, as it is not trusted.
    pub untrusted: Option<String>,
}

impl Resolved {
    /// The value; empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |(value, _)| value)
    }

    /// Every setting in the table's order: name, value, origin. A value may hold a password: see [`shown`].
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, &str, &Origin)> {
        SETTINGS
            .iter()
            .filter_map(|setting| self.values.get(setting.name).map(|(value, from)| (setting.name, &**value, from)))
    }

    /// The failure of a value that is not what its setting wants.
    pub fn bad(&self, name: &'static str, wanted: &str) -> Failure {
        let (value, from) = self.values.get(name).map_or(("", &Origin::Default), |(value, from)| (&**value, from));
        failure(format!("{name} is `{value}` ({from})"), format!("make it {wanted}"))
    }
}

/// Reads all layers. `flags` are settings given on the command line.
///
/// # Errors
/// Unreadable files, unknown settings, and settings a project may not make.
pub fn resolve(
    places: &Places,
    variable: impl Fn(&str) -> Option<String>,
    flags: &[(&'static str, String)],
) -> Result<Resolved, Failure> {
    let mut values: BTreeMap<&'static str, (String, Origin)> =
        SETTINGS.iter().map(|setting| (setting.name, (setting.default.to_owned(), Origin::Default))).collect();
    let mut providers = providers::Table::built_in();
    let mut servers = mcp::Servers::default();
    for Found { name, value, line } in file(&places.user_file)? {
        let own = Origin::User(Spot { file: places.user_file.display().to_string(), line });
        match name {
            Name::Setting(name) => {
                values.insert(name, (value, own));
            }
            Name::Provider { provider, field } => providers.set(&provider, &field, value, own),
            Name::Server { server, field } => servers.set(&server, &field, value, own),
        }
    }
    let mut untrusted = None;
    if let Some(project) = &places.project_file {
        if trust::is_trusted(&places.home, project)? {
            for Found { name, value, line } in file(project)? {
                let refused = |name: &str| {
                    failure(
                        format!("{} sets {name}, which a project may not", project.display()),
                        format!("set it in {}", places.user_file.display()),
                    )
                };
                let name = match name {
                    Name::Setting(name) if settings::find(name).is_some_and(|setting| setting.project) => name,
                    Name::Setting(name) => return Err(refused(name)),
                    Name::Provider { provider, field } => {
                        return Err(refused(&format!("providers.{provider}.{field}")));
                    }
                    Name::Server { server, field } => return Err(refused(&format!("mcp.{server}.{field}"))),
                };
                let value = relative_to_project(name, value, project);
                let spot = Spot { file: project.display().to_string(), line };
                values.insert(name, (value, Origin::Project(spot)));
            }
        } else {
            untrusted = Some(project.display().to_string());
        }
    }
    for setting in SETTINGS {
        if let Some(value) = variable(setting.variable) {
            values.insert(setting.name, (value, Origin::Environment(setting.variable)));
        }
    }
    if let Some(value) = variable(OPENAI_BASE_URL) {
        providers.set("openai", "base_url", value, Origin::Environment(OPENAI_BASE_URL));
    }
    for (name, value) in flags {
        values.insert(name, (value.clone(), Origin::Flag));
    }
    Ok(Resolved { values, providers, servers, untrusted })
}

/// A project's paths are relative to the project, not to where the program was started.
fn relative_to_project(name: &str, value: String, file: &Path) -> String {
    let folder = file.parent().and_then(Path::parent);
    match folder {
        Some(folder) if name == "docs" => folder.join(value).display().to_string(),
        Some(_) | None => value,
    }
}

/// Whether there is no such file; a home that is no folder is somebody else's to name.
pub(super) fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A value as it may be shown: the password of an address is not.
pub fn shown(value: &str) -> String {
    let address = value.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (before, after) = rest.split_at(end);
        let (who, host) = before.rsplit_once('@')?;
        let (name, _password) = who.split_once(':')?;
        Some(format!("{scheme}://{name}:…@{host}{after}"))
    });
    address.unwrap_or_else(|| value.to_owned())
}

/// A value of a file.
struct Found {
    name: Name,
    value: String,
    line: Option<usize>,
}

/// What a key of a file sets.
enum Name {
    Setting(&'static str),
    Provider { provider: String, field: String },
    Server { server: String, field: String },
}

impl Name {
    /// Whether it is a list, whose items stand a line each.
    fn is_list(&self) -> bool {
        match self {
            Self::Setting(name) => matches!(*name, "tools.offer" | "tools.secrets") || name.starts_with("permissions."),
            Self::Provider { .. } => false,
            Self::Server { field, .. } => mcp::is_list(field),
        }
    }
}

/// A table's entry that a dotted name names, if it names one.
fn entry(name: &str) -> Result<Option<Name>, Failure> {
    if let Some((provider, field)) = providers::parse_name(name)? {
        return Ok(Some(Name::Provider { provider: provider.to_owned(), field: field.to_owned() }));
    }
    let server = mcp::parse_name(name)?;
    Ok(server.map(|(server, field)| Name::Server { server: server.to_owned(), field: field.to_owned() }))
}

fn lines(path: &Path, name: &str, rows: &[toml::Value]) -> Result<String, Failure> {
    let texts = rows.iter().map(|row| match row {
        toml::Value::String(text) if !text.contains('\n') => Ok(text.as_str()),
        other => Err(failure(
            format!("{}: `{name}` holds a {}", path.display(), other.type_str()),
            "give a list of texts of one line",
        )),
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

/// The settings of one file; none when it does not exist.
fn file(path: &Path) -> Result<Vec<Found>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failure(format!("cannot read {}: {error}", path.display()), "make it readable")),
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        failure(format!("{}: {}", path.display(), error.message()), at(&text, &error))
    })?;
    let lines_of = lines_of(&text);
    let mut found = Vec::new();
    flatten("", &table, &mut |name, value| {
        let entry = entry(name).map_err(|inner| failure(format!("{}: {}", path.display(), inner.what), inner.fix))?;
        let known = entry.or_else(|| settings::find(name).map(|setting| Name::Setting(setting.name)));
        let Some(known) = known else {
            return Err(failure(
                format!("{} has an unknown key `{name}`", path.display()),
                format!("the nearest is `{}`", settings::nearest(name)),
            ));
        };
        let value = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Array(rows) if known.is_list() => lines(path, name, rows)?,
            toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => {
                return Err(failure(
                    format!("{}: `{name}` is a {}", path.display(), value.type_str()),
                    "give a text or a whole number",
                ));
            }
        };
        found.push(Found { name: known, value, line: lines_of.get(name).copied() });
        Ok(())
    })?;
    Ok(found)
}

/// The line of each dotted name in a file that was read before.
fn lines_of(text: &str) -> BTreeMap<String, usize> {
    fn walk(above: &str, text: &str, table: &DeTable<'_>, found: &mut BTreeMap<String, usize>) {
        for (key, value) in table {
            let name = key.get_ref();
            let name = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
            if let DeValue::Table(inner) = value.get_ref() {
                walk(&name, text, inner, found);
            }
            let before = text.get(..key.span().start).unwrap_or_default();
            found.insert(name, before.matches('\n').count() + 1);
        }
    }
    let mut found = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        walk("", text, table.get_ref(), &mut found);
    }
    found
}

fn at(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
    format!("mend line {line}")
}

fn flatten(
    above: &str,
    table: &toml::Table,
    take: &mut impl FnMut(&str, &toml::Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for (key, value) in table {
        let name = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            toml::Value::Table(inner) if !inner.is_empty() => flatten(&name, inner, take)?,
            other => take(&name, other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Origin, Spot, resolve, shown};
    use crate::{
        config::{Config, Places, trust},
        exit::Exit,
    };

    fn places(folder: &tempfile::TempDir) -> Places {
        fs::create_dir_all(folder.path().join("home")).expect("home");
        fs::create_dir_all(folder.path().join("project/.ii")).expect("project");
        Places {
            home: folder.path().join("home"),
            user_file: folder.path().join("home/config.toml"),
            project_file: Some(folder.path().join("project/.ii/config.toml")),
            agents: None,
            own_agents: None,
        }
    }

    #[test]
    fn each_layer_wins_over_the_one_below_and_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(&folder);
        fs::write(&places.user_file, "[report]\nmax_words = 20\nmax_passages = 5\nmin_sources = 2\n").expect("file");
        let project = places.project_file.clone().expect("project");
        fs::write(&project, "docs = \"papers\"\n[report]\nmax_words = 30\nmax_passages = 6\n").expect("file");
        let unset = resolve(&places, |_| None, &[]).expect("resolved");
        assert_eq!(unset.text("report.max_words"), "20");
        assert!(unset.untrusted.is_some());
        trust(&places.home, project.parent().and_then(|p| p.parent()).expect("folder")).expect("trusted");
        let variable = |name: &str| (name == "II_MAX_WORDS").then(|| "40".to_owned());
        let all = resolve(&places, variable, &[("report.max_words", "50".to_owned())]).expect("resolved");
        let origin = |wanted: &str| all.rows().find(|(name, ..)| *name == wanted).map(|(_, v, o)| (v, o.clone()));
        assert_eq!(origin("report.max_words"), Some(("50", Origin::Flag)));
        let spot = |file: &std::path::Path, line| Spot { file: file.display().to_string(), line: Some(line) };
        assert_eq!(origin("report.max_passages"), Some(("6", Origin::Project(spot(&project, 4)))));
        assert_eq!(origin("report.min_sources"), Some(("2", Origin::User(spot(&places.user_file, 4)))));
        assert_eq!(origin("run.parallel"), Some(("4", Origin::Default)));
        assert_eq!(Config::from_resolved(&all).expect("typed").docs, Some(folder.path().join("project/papers")));
        let environment = resolve(&places, variable, &[]).expect("resolved");
        assert_eq!(environment.text("report.max_words"), "40");
    }

    /// A line counts from 1, also within tables, in dotted keys and behind what is no setting.
    #[test]
    fn a_value_of_a_file_names_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut places = places(&folder);
        places.project_file = None;
        let text = "# mine\nmodel = \"extractive\"\nreport.max_words = 20\n\n[providers.near]\n\
                    base_url = \"http://x/v1\"\n\n[permissions]\nallow = [\n  \"read:/a\",\n]\n";
        fs::write(&places.user_file, text).expect("file");
        let all = resolve(&places, |_| None, &[]).expect("resolved");
        let line = |from: &Origin| match from {
            Origin::User(spot) => spot.line,
            _other => None,
        };
        let of = |wanted: &str| all.rows().find(|(name, ..)| *name == wanted).and_then(|(_, _, from)| line(from));
        assert_eq!([of("model"), of("report.max_words"), of("permissions.allow")], [Some(2), Some(3), Some(9)]);
        let near = all.providers.rows().find(|(name, ..)| name == "providers.near.base_url");
        assert_eq!(near.and_then(|(_, _, from)| line(from)), Some(6));
        assert!(all.bad("model", "one").to_string().contains("config.toml, line 2"));
    }

    #[test]
    fn passwords_in_addresses_are_not_shown() {
        for (value, expected) in [
            ("postgres://ii:s3cret@db/ii?x=a@b", "postgres://ii:…@db/ii?x=a@b"),
            ("postgres://ii:p@ss@db", "postgres://ii:…@db"),
            ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
            ("https://me@host/a:b@c", "https://me@host/a:b@c"),
            ("openai:gpt-5", "openai:gpt-5"),
        ] {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn a_changed_project_file_is_no_longer_trusted() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(&folder);
        let project = places.project_file.clone().expect("project");
        fs::write(&project, "model = \"extractive\"\n").expect("file");
        trust(&places.home, &folder.path().join("project")).expect("trusted");
        assert!(resolve(&places, |_| None, &[]).expect("resolved").untrusted.is_none());
        fs::write(&project, "model = \"other\"\n").expect("file");
        assert!(resolve(&places, |_| None, &[]).expect("resolved").untrusted.is_some());
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_key_and_code_3() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut places = places(&folder);
        places.project_file = None;
        for (text, says) in [
            ("[report]\nmax_word = 3\n", "report.max_words"),
            ("modell = \"extractive\"\n", "`model`"),
            ("[providers.near]\nbase_uri = \"http://x/v1\"\n", "`providers.near.base_url`"),
            ("[providers.near]\nprice_input = 2.5\n", "float"),
            ("[report\n", "mend line 1"),
            ("model = true\n", "boolean"),
        ] {
            fs::write(&places.user_file, text).expect("file");
            let failure = resolve(&places, |_| None, &[]).expect_err(text);
            assert_eq!(failure.exit, Exit::Configuration);
            assert!(failure.to_string().contains(says), "{failure}");
        }
        fs::write(&places.user_file, "[run]\nparallel = 0\n").expect("file");
        let resolved = resolve(&places, |_| None, &[]).expect("resolved");
        let failure = Config::from_resolved(&resolved).expect_err("0 is too few");
        assert!(failure.to_string().contains("run.parallel is `0` (user file"), "{failure}");
    }

    #[test]
    fn providers_are_added_and_changed_by_the_persons_file_and_the_usual_variable() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut places = places(&folder);
        places.project_file = None;
        let text = "[providers.near]\nbase_url = \"http://near.example/v1\"\nwindow = 8192\n\
                    [providers.near.headers]\nX-Team = \"blue\"\n[providers.ollama]\nretries = 0\n";
        fs::write(&places.user_file, text).expect("file");
        let variable = |name: &str| (name == "OPENAI_BASE_URL").then(|| "http://other.example/v1".to_owned());
        let config = Config::from_resolved(&resolve(&places, variable, &[]).expect("resolved")).expect("typed");
        let near = &config.providers["near"];
        assert_eq!((near.base_url.as_str(), near.window), ("http://near.example/v1", Some(8192)));
        assert_eq!(near.headers, [("X-Team".to_owned(), "blue".to_owned())]);
        assert_eq!((config.providers["ollama"].retries, config.providers["vllm"].retries), (0, 4));
        assert_eq!(config.providers["openai"].base_url, "http://other.example/v1");
    }

    #[test]
    fn each_role_has_the_model_unless_it_has_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut places = places(&folder);
        places.project_file = None;
        fs::write(&places.user_file, "model = \"ollama:small\"\n[models]\nverifier = \"openai:large\"\n")
            .expect("file");
        let config = Config::from_resolved(&resolve(&places, |_| None, &[]).expect("resolved")).expect("typed");
        let models = [&config.models.principal, &config.models.associate, &config.models.verifier];
        assert_eq!(models, ["ollama:small", "ollama:small", "openai:large"]);
        for (text, says) in [
            ("model = \"olama:small\"\n", "the nearest is `ollama:small`"),
            ("model = \"gpt\"\n", "PROVIDER:NAME"),
            ("model = \"ollama:\"\n", "PROVIDER:NAME"),
            ("[models]\nverifier = \"far:x\"\n", "models.verifier"),
        ] {
            fs::write(&places.user_file, text).expect("file");
            let resolved = resolve(&places, |_| None, &[]).expect("resolved");
            let failure = Config::from_resolved(&resolved).expect_err(text);
            assert_eq!(failure.exit, Exit::Configuration);
            assert!(failure.to_string().contains(says), "{failure}");
        }
    }

    #[test]
    fn a_trusted_project_may_still_not_set_keys_or_endpoints() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = places(&folder);
        let project = places.project_file.clone().expect("project");
        fs::write(&project, "[keys]\nroot = \"/tmp/evil.pem\"\n").expect("file");
        trust(&places.home, &folder.path().join("project")).expect("trusted");
        let failure = resolve(&places, |_| None, &[]).expect_err("refused");
        assert!(failure.to_string().contains("keys.root, which a project may not"), "{failure}");
        fs::write(&project, "[providers.openai]\nbase_url = \"https://evil.example/v1\"\n").expect("file");
        trust(&places.home, &folder.path().join("project")).expect("trusted");
        let failure = resolve(&places, |_| None, &[]).expect_err("refused");
        assert!(failure.to_string().contains("providers.openai.base_url, which a project may not"), "{failure}");
    }
}
