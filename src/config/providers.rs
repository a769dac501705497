//! Model providers as configuration says them: a table of texts with where each came from, then typed.
//!
//! The providers that exist without any configuration are data below; a file adds others or changes these.
//!
//! **Invariant:** a project's own file sets none of this: it would decide where prompts and keys go.

use std::{collections::BTreeMap, path::PathBuf};

use agent_runtime::models::openai::{Dialect, MaxTokensField, ToolChoice};

use super::{failure, layers::Origin};
use crate::exit::Failure;

/// One field of a provider.
#[derive(Debug)]
pub struct Field {
    /// Its name below `providers.NAME`.
    pub name: &'static str,
    /// Value when nobody says otherwise; empty for none.
    pub default: &'static str,
    /// What it is.
    pub about: &'static str,
}

/// The fields. `docs/CONFIG.md` shows them; a test compares the two. `headers` is a table of its own.
pub const FIELDS: &[Field] = &[
    Field { name: "base_url", default: "", about: "where Chat Completions are, ending in /v1 for most" },
    Field {
        name: "kind",
        default: "compatible",
        about: "which server program it is: openai, llama-server, vllm, ollama, lmstudio, compatible",
    },
    Field { name: "env_key", default: "", about: "the environment variable that holds the key" },
    Field { name: "headers", default: "", about: "a table of further headers; their values are not shown" },
    Field { name: "retries", default: "4", about: "most times a request is made again before an answer has begun" },
    Field { name: "retry_seconds", default: "60", about: "longest time over all tries" },
    Field { name: "idle_seconds", default: "120", about: "longest silence of the server" },
    Field {
        name: "window",
        default: "",
        about: "tokens of request and answer together, where you know better than the server",
    },
    Field {
        name: "sees",
        default: "ask",
        about: "whether its models see pictures: yes, no, or ask: as the server says, and yes for openai",
    },
    Field { name: "price_input", default: "0", about: "currency units per million tokens read, such as \"2.50\"" },
    Field {
        name: "price_cached",
        default: "",
        about: "per million tokens read from a cache; as price_input when empty",
    },
    Field { name: "price_output", default: "0", about: "per million tokens written" },
    Field { name: "ca_file", default: "", about: "PEM file of authorities to trust beside the system's" },
    Field { name: "max_tokens_field", default: "max_tokens", about: "max_tokens or max_completion_tokens" },
    Field {
        name: "tool_choice",
        default: "required",
        about: "required, auto for servers that refuse it, or schema: the call is asked for as JSON",
    },
];

/// Providers that are there without configuration: name and the fields that differ from the defaults.
pub const BUILT_IN: &[(&str, &[(&str, &str)])] = &[
    (
        "openai",
        &[
            ("base_url", "https://api.openai.com/v1"),
            ("kind", "openai"),
            ("env_key", "OPENAI_API_KEY"),
            ("max_tokens_field", "max_completion_tokens"),
        ],
    ),
    (
        "llama-server",
        &[
            ("base_url", "http://127.0.0.1:8080/v1"),
            ("kind", "llama-server"),
            ("idle_seconds", "600"),
            ("tool_choice", "schema"),
        ],
    ),
    ("ollama", &[("base_url", "http://127.0.0.1:11434/v1"), ("kind", "ollama"), ("idle_seconds", "600")]),
    ("lmstudio", &[("base_url", "http://127.0.0.1:1234/v1"), ("kind", "lmstudio"), ("idle_seconds", "600")]),
    ("vllm", &[("base_url", "http://127.0.0.1:8000/v1"), ("kind", "vllm"), ("idle_seconds", "600")]),
];

/// The variable that moves the provider `openai` elsewhere, as other programs read it.
pub const OPENAI_BASE_URL: &str = "OPENAI_BASE_URL";

/// Providers as texts, each with where it came from: provider, then field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table(BTreeMap<String, BTreeMap<String, (String, Origin)>>);

impl Table {
    /// The providers that are there without configuration.
    pub(super) fn built_in() -> Self {
        let mut table = Self::default();
        for (provider, fields) in BUILT_IN {
            for (field, value) in *fields {
                table.set(provider, field, (*value).to_owned(), Origin::Default);
            }
        }
        table
    }

    pub(super) fn set(&mut self, provider: &str, field: &str, value: String, from: Origin) {
        self.0.entry(provider.to_owned()).or_default().insert(field.to_owned(), (value, from));
    }

    /// Every value that somebody set, with its dotted name. Values of headers are not shown.
    pub fn rows(&self) -> impl Iterator<Item = (String, &str, &Origin)> {
        self.0.iter().flat_map(|(provider, fields)| {
            fields.iter().map(move |(field, (value, from))| {
                let shown = if field.starts_with("headers.") { "(set)" } else { value.as_str() };
                (format!("providers.{provider}.{field}"), shown, from)
            })
        })
    }

    /// The providers, typed.
    ///
    /// # Errors
    /// A value that is not what its field wants, with where it came from.
    pub(super) fn typed(&self) -> Result<BTreeMap<String, Provider>, Failure> {
        self.0.iter().map(|(name, fields)| Ok((name.clone(), Reader { name, fields }.provider()?))).collect()
    }
}

/// Whether a dotted name of a file is a provider's: the provider and its field.
///
/// # Errors
/// A field that there is not, with the nearest; a provider's name that no model could be written with.
pub(super) fn parse_name(name: &str) -> Result<Option<(&str, &str)>, Failure> {
    let Some(rest) = name.strip_prefix("providers.") else { return Ok(None) };
    let (provider, field) = rest.split_once('.').unwrap_or((rest, ""));
    let plain = !provider.is_empty()
        && provider.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if !plain || matches!(provider, "llama" | "extractive") {
        return Err(failure(
            format!("`{name}`: a provider cannot be named `{provider}`"),
            "use lower-case letters, digits, - and _, and not `llama` or `extractive`",
        ));
    }
    let known = FIELDS.iter().any(|known| known.name == field && field != "headers");
    if known || field.strip_prefix("headers.").is_some_and(|header| !header.is_empty()) {
        return Ok(Some((provider, field)));
    }
    let nearest = FIELDS.iter().min_by_key(|known| strsim::damerau_levenshtein(known.name, field));
    Err(failure(
        format!("unknown key `{name}`"),
        format!("the nearest is `providers.{provider}.{}`", nearest.map_or("base_url", |field| field.name)),
    ))
}

/// A provider as the program uses it. Holds no key.
#[derive(Clone, PartialEq, Eq)]
pub struct Provider {
    /// Where Chat Completions are.
    pub base_url: String,
    /// Which server program it is.
    pub kind: Dialect,
    /// The environment variable that holds the key.
    pub env_key: Option<String>,
    /// Further headers; values may be secrets.
    pub headers: Vec<(String, String)>,
    /// Most repetitions of a request.
    pub retries: u32,
    /// Longest time over all tries, in seconds.
    pub retry_seconds: u64,
    /// Longest silence, in seconds.
    pub idle_seconds: u64,
    /// Tokens of request and answer together.
    pub window: Option<u64>,
    /// Whether its models see pictures, where that is said.
    pub sees: Option<bool>,
    /// Millionths of the currency unit per million tokens.
    pub price: common_ground::port::model::Price,
    /// Further authorities.
    pub ca_file: Option<PathBuf>,
    /// The field that bounds an answer.
    pub max_tokens_field: MaxTokensField,
    /// How a call is asked for.
    pub tool_choice: ToolChoice,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("base_url", &self.base_url).field("kind", &self.kind).finish_non_exhaustive()
    }
}

struct Reader<'a> {
    name: &'a str,
    fields: &'a BTreeMap<String, (String, Origin)>,
}

impl Reader<'_> {
    fn provider(&self) -> Result<Provider, Failure> {
        let optional = |field| Some(self.text(field)).filter(|text| !text.is_empty());
        let base_url = self.text("base_url").to_owned();
        if base_url.is_empty() {
            return Err(failure(
                format!("provider {} has no base_url", self.name),
                format!("set providers.{}.base_url", self.name),
            ));
        }
        let input = self.price("price_input")?;
        let cached = if self.text("price_cached").is_empty() { input } else { self.price("price_cached")? };
        let headers = self
            .fields
            .iter()
            .filter_map(|(field, (value, _))| Some((field.strip_prefix("headers.")?.to_owned(), value.clone())));
        Ok(Provider {
            base_url,
            kind: self.one_of("kind", &Dialect::ALL)?,
            env_key: optional("env_key").map(str::to_owned),
            headers: headers.collect(),
            retries: u32::try_from(self.number("retries", 0, 100)?).map_err(Failure::internal)?,
            retry_seconds: self.number("retry_seconds", 0, 86_400)?,
            idle_seconds: self.number("idle_seconds", 1, 86_400)?,
            window: optional("window").map(|_| self.number("window", 1, super::MOST)).transpose()?,
            sees: self.one_of("sees", &[("ask", None), ("yes", Some(true)), ("no", Some(false))])?,
            price: common_ground::port::model::Price { input, cached, output: self.price("price_output")? },
            ca_file: optional("ca_file").map(PathBuf::from),
            max_tokens_field: self.one_of(
                "max_tokens_field",
                &[
                    ("max_tokens", MaxTokensField::MaxTokens),
                    ("max_completion_tokens", MaxTokensField::MaxCompletionTokens),
                ],
            )?,
            tool_choice: self.one_of(
                "tool_choice",
                &[("required", ToolChoice::Required), ("auto", ToolChoice::Auto), ("schema", ToolChoice::Schema)],
            )?,
        })
    }

    fn text(&self, field: &str) -> &str {
        let default = || FIELDS.iter().find(|known| known.name == field).map_or("", |known| known.default);
        self.fields.get(field).map_or_else(default, |(value, _)| value)
    }

    fn bad(&self, field: &str, wanted: &str) -> Failure {
        let from = self.fields.get(field).map_or(&Origin::Default, |(_, from)| from);
        failure(
            format!("providers.{}.{field} is `{}` ({from})", self.name, self.text(field)),
            format!("make it {wanted}"),
        )
    }

    fn number(&self, field: &str, least: u64, most: u64) -> Result<u64, Failure> {
        match self.text(field).parse::<u64>() {
            Ok(value) if (least..=most).contains(&value) => Ok(value),
            Ok(_) | Err(_) => Err(self.bad(field, &format!("a whole number from {least} to {most}"))),
        }
    }

    fn one_of<T: Copy>(&self, field: &str, choices: &[(&str, T)]) -> Result<T, Failure> {
        let found = choices.iter().find(|(name, _)| *name == self.text(field)).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.bad(field, &format!("one of {}", names.join(", ")))
        })
    }

    fn price(&self, field: &str) -> Result<u64, Failure> {
        millionths(self.text(field))
            .ok_or_else(|| self.bad(field, "a price such as \"2.50\", with at most six decimals"))
    }
}

/// A decimal text in millionths, exactly.
fn millionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::{super::layers::Spot, Origin, Table, millionths, parse_name};

    #[test]
    fn prices_are_exact() {
        for (text, expected) in [
            ("2.50", Some(2_500_000)),
            ("0", Some(0)),
            ("15", Some(15_000_000)),
            ("0.000001", Some(1)),
            ("0.0000001", None),
            ("-1", None),
            ("1e3", None),
            (".5", None),
            ("1.", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(millionths(text), expected, "{text}");
        }
    }

    #[test]
    fn built_in_providers_are_whole_and_can_be_changed() {
        let mut table = Table::built_in();
        table.set("ollama", "price_input", "1.5".to_owned(), Origin::Flag);
        table.set("ollama", "headers.X-Team", "blue".to_owned(), Origin::Flag);
        let typed = table.typed().expect("typed");
        assert_eq!(
            typed.keys().map(String::as_str).collect::<Vec<_>>(),
            ["llama-server", "lmstudio", "ollama", "openai", "vllm"]
        );
        assert_eq!((typed["ollama"].price.input, typed["ollama"].price.cached), (1_500_000, 1_500_000));
        assert_eq!(typed["openai"].env_key.as_deref(), Some("OPENAI_API_KEY"));
        assert!(typed.values().all(|provider| !format!("{provider:?}").contains("blue")));
        assert!(table.rows().all(|(_, value, _)| value != "blue"));
    }

    #[test]
    fn mistakes_name_the_field_and_the_fix() {
        for (field, value, says) in [
            ("kind", "llamaserver", "one of openai, llama-server"),
            ("retries", "many", "a whole number from 0 to 100"),
            ("price_output", "cheap", "such as \"2.50\""),
            ("tool_choice", "none", "one of required, auto, schema"),
            ("sees", "maybe", "one of ask, yes, no"),
            ("base_url", "", "set providers.near.base_url"),
        ] {
            let mut table = Table::default();
            table.set("near", "base_url", "http://near.example/v1".to_owned(), Origin::Default);
            table.set(
                "near",
                field,
                value.to_owned(),
                Origin::User(Spot { file: "config.toml".to_owned(), line: Some(2) }),
            );
            let failure = table.typed().expect_err(field).to_string();
            assert!(failure.contains(says) && failure.contains("near"), "{failure}");
        }
        assert_eq!(parse_name("report.max_words").expect("not a provider's"), None);
        assert_eq!(parse_name("providers.near.headers.X.Y").expect("a header"), Some(("near", "headers.X.Y")));
        for (name, says) in [
            ("providers.near.base_ur", "`providers.near.base_url`"),
            ("providers.near", "unknown key"),
            ("providers.near.headers", "nearest"),
            ("providers.Near.base_url", "cannot be named `Near`"),
            ("providers.llama.base_url", "cannot be named `llama`"),
        ] {
            let failure = parse_name(name).expect_err(name).to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }
}
