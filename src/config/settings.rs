//! Every setting there is: its name in files, its environment variable, its default, and who may set it.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Dotted name in configuration files.
    pub name: &'static str,
    /// Environment variable.
    pub variable: &'static str,
    /// Value when nobody says otherwise; empty for none.
    pub default: &'static str,
    /// Whether a project's own file may set it. Never for endpoints, keys or commands.
    pub project: bool,
    /// What it is.
    pub about: &'static str,
}

/// The table. `docs/CONFIG.md` shows it; a test compares the two.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "docs",
        variable: "II_DOCS",
        default: "",
        project: true,
        about: "folder that answers come from when --docs is not given",
    },
    Setting {
        name: "model",
        variable: "II_MODEL",
        default: "extractive",
        project: true,
        about: "the model that plays the roles: extractive, llama:NAME, or PROVIDER:NAME such as openai:gpt-5",
    },
    Setting {
        name: "models.principal",
        variable: "II_MODEL_PRINCIPAL",
        default: "",
        project: true,
        about: "the model that plans and accepts; as `model` when empty",
    },
    Setting {
        name: "models.associate",
        variable: "II_MODEL_ASSOCIATE",
        default: "",
        project: true,
        about: "the model that works on modules; as `model` when empty",
    },
    Setting {
        name: "models.verifier",
        variable: "II_MODEL_VERIFIER",
        default: "",
        project: true,
        about: "the model that finds on deliverables; as `model` when empty",
    },
    Setting {
        name: "tools.offer",
        variable: "II_TOOLS",
        default: "",
        project: true,
        about: "tools that language models are offered beside those of the commons: a list of names",
    },
    Setting {
        name: "permissions.allow",
        variable: "II_ALLOW",
        default: "",
        project: false,
        about: "what tools may do without asking: a list such as [\"read:~/papers\", \"net:example.org GET\"]",
    },
    Setting {
        name: "permissions.ask",
        variable: "II_ASK",
        default: "",
        project: false,
        about: "what tools may do only after asking, also where it is allowed: a list",
    },
    Setting {
        name: "permissions.deny",
        variable: "II_DENY",
        default: "",
        project: false,
        about: "what tools may never do: a list",
    },
    Setting {
        name: "permissions.limits",
        variable: "II_LIMITS",
        default: "",
        project: false,
        about: "the most a single call may use, where it is not the usual: a list such as [\"wall_ms=60000\", \"memory_bytes=268435456\"]",
    },
    Setting {
        name: "tools.docker_host",
        variable: "II_DOCKER_HOST",
        default: "",
        project: false,
        about: "address of the Docker engine; as DOCKER_HOST, or the usual socket, when empty",
    },
    Setting {
        name: "tools.docker_image",
        variable: "II_DOCKER_IMAGE",
        default: "",
        project: false,
        about: "image of containers when a call names none; it must be there, nothing is pulled",
    },
    Setting {
        name: "tools.chromium",
        variable: "II_CHROMIUM",
        default: "",
        project: false,
        about: "path of the Chromium that pages are opened in; the first one found when empty",
    },
    Setting {
        name: "tools.ca_file",
        variable: "II_CA_FILE",
        default: "",
        project: false,
        about: "certificates in PEM that tools trust beside those of this machine",
    },
    Setting {
        name: "tools.secrets",
        variable: "II_SECRETS",
        default: "",
        project: false,
        about: "secrets for requests: a list of NAME=VARIABLE, the variable of the environment that holds each",
    },
    Setting {
        name: "report.max_passages",
        variable: "II_MAX_PASSAGES",
        default: "10",
        project: true,
        about: "most passages cited",
    },
    Setting {
        name: "report.max_words",
        variable: "II_MAX_WORDS",
        default: "60",
        project: true,
        about: "most words of answer",
    },
    Setting {
        name: "report.min_sources",
        variable: "II_MIN_SOURCES",
        default: "1",
        project: true,
        about: "fewest different documents an answer cites",
    },
    Setting {
        name: "run.parallel",
        variable: "II_PARALLEL",
        default: "4",
        project: true,
        about: "modules worked on at once, and associate keys kept",
    },
    Setting { name: "run.attempts", variable: "II_ATTEMPTS", default: "3", project: true, about: "tries a module has" },
    Setting {
        name: "run.lease_seconds",
        variable: "II_LEASE_SECONDS",
        default: "30",
        project: true,
        about: "how long a worker may be silent",
    },
    Setting {
        name: "budget.tokens",
        variable: "II_BUDGET_TOKENS",
        default: "100000000",
        project: true,
        about: "most model tokens of a run, read and written",
    },
    Setting {
        name: "budget.tool_calls",
        variable: "II_BUDGET_TOOL_CALLS",
        default: "10000",
        project: true,
        about: "most tool calls of a run",
    },
    Setting {
        name: "budget.cost",
        variable: "II_BUDGET_COST",
        default: "5",
        project: true,
        about: "most money of a run, in currency units, counted by the models' prices",
    },
    Setting {
        name: "budget.currency",
        variable: "II_BUDGET_CURRENCY",
        default: "USD",
        project: false,
        about: "ISO 4217 code of the currency that prices are in",
    },
    Setting {
        name: "budget.wall_seconds",
        variable: "II_BUDGET_WALL_SECONDS",
        default: "0",
        project: true,
        about: "wall time of a run after which it pauses; 0 for none",
    },
    Setting {
        name: "embeddings.model",
        variable: "II_EMBEDDINGS",
        default: "",
        project: true,
        about: "the model that turns texts into vectors: llama:NAME or PROVIDER:NAME; words alone are searched when empty",
    },
    Setting {
        name: "embeddings.dimensions",
        variable: "II_EMBEDDINGS_DIMENSIONS",
        default: "0",
        project: true,
        about: "numbers in a vector, where a provider's model lets one choose; 0 for what it gives",
    },
    Setting {
        name: "embeddings.query_prefix",
        variable: "II_EMBEDDINGS_QUERY_PREFIX",
        default: "",
        project: true,
        about: "what is put before a query, where the model was trained so",
    },
    Setting {
        name: "embeddings.passage_prefix",
        variable: "II_EMBEDDINGS_PASSAGE_PREFIX",
        default: "",
        project: true,
        about: "what is put before a passage, where the model was trained so",
    },
    Setting {
        name: "rerank.model",
        variable: "II_RERANK",
        default: "",
        project: true,
        about: "the reranker that puts the best passages of a search in order: llama:NAME or PROVIDER:NAME; none when empty",
    },
    Setting {
        name: "rerank.passages",
        variable: "II_RERANK_PASSAGES",
        default: "20",
        project: true,
        about: "how many of the best passages it judges in each search, at most 100",
    },
    Setting {
        name: "commons.max_file_mb",
        variable: "II_MAX_FILE_MB",
        default: "16",
        project: true,
        about: "largest file read whole, in MiB; files of many records have no limit but 16 MiB a record",
    },
    Setting {
        name: "commons.postgres",
        variable: "II_POSTGRES",
        default: "",
        project: false,
        about: "database that folders are taken into, postgres://USER@HOST/DATABASE without a password; the home when empty",
    },
    Setting {
        name: "guardian.verdict",
        variable: "II_GUARDIAN_VERDICT",
        default: "none",
        project: false,
        about: "`tools` when each module waits for your verdict, or an order's, before its first tool call; else `none`",
    },
    Setting {
        name: "guardian.adviser",
        variable: "II_GUARDIAN_ADVISER",
        default: "",
        project: false,
        about: "model that adds its words to `ii guardian briefs`: llama:NAME or PROVIDER:NAME; none when empty",
    },
    Setting {
        name: "eyes.theme",
        variable: "II_THEME",
        default: "auto",
        project: false,
        about: "colours in the terminal: dark, light, plain (none, as NO_COLOR), or auto, which asks COLORFGBG",
    },
    Setting {
        name: "eyes.linear",
        variable: "II_LINEAR",
        default: "off",
        project: false,
        about: "on: the conversation as lines of text, for screen readers; also where TERM is dumb",
    },
    Setting {
        name: "eyes.keys",
        variable: "II_KEYS",
        default: "",
        project: false,
        about: "other keys: a list of ACTION=KEY such as [\"plan=alt+p\"]; help shows the actions",
    },
    Setting {
        name: "network",
        variable: "II_NETWORK",
        default: "",
        project: false,
        about: "ledger network that receipts are for, 64 hex; empty for the development network",
    },
    Setting {
        name: "ledger.url",
        variable: "II_LEDGER",
        default: "",
        project: false,
        about: "ledger that receipts are handed to by themselves: http:// or https://, or bitcoin+http:// for a node; empty for none",
    },
    Setting {
        name: "ledger.key",
        variable: "II_LEDGER_KEY",
        default: "",
        project: false,
        about: "verifier key of that ledger's log; pinned at the first contact when empty",
    },
    Setting {
        name: "ledger.credentials",
        variable: "II_LEDGER_CREDENTIALS",
        default: "",
        project: false,
        about: "path of a file with USER:PASSWORD for that node, such as its own .cookie; none when empty",
    },
    Setting {
        name: "ledger.genesis",
        variable: "II_LEDGER_GENESIS",
        default: "",
        project: false,
        about: "first block of that node's chain, 64 hex; pinned at the first contact when empty",
    },
    Setting {
        name: "ledger.depth",
        variable: "II_LEDGER_DEPTH",
        default: "6",
        project: false,
        about: "blocks of that chain that make a receipt credited, its own counted, at most 144",
    },
    Setting {
        name: "ledger.most_fee",
        variable: "II_LEDGER_MOST_FEE",
        default: "50",
        project: false,
        about: "most satoshi for a virtual byte that an anchor in that chain pays",
    },
    Setting {
        name: "keys.root",
        variable: "II_ROOT_KEY",
        default: "",
        project: false,
        about: "path of the root key when it lives outside the home",
    },
];

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The setting's name nearest to a mistyped one.
pub fn nearest(name: &str) -> &'static str {
    SETTINGS
        .iter()
        .min_by_key(|setting| strsim::damerau_levenshtein(setting.name, name))
        .map_or("model", |setting| setting.name)
}
