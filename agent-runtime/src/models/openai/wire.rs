//! The bytes of Chat Completions: what we send, and as much as we read of what comes.
//!
//! Our own types, handed to async-openai as they are ("bring your own type"): its typed chunks refuse what compatible
//! servers send (`reasoning_content`, calls without an index or with an object for arguments, error codes that are
//! numbers, null where a list belongs), and its typed request would copy every prompt once more.

use std::borrow::Cow;

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use common_ground::port::model::{ModelRequest, Reply, Shown, Turn};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, Value};

use super::settings::{MaxTokensField, OpenAiSettings, ToolChoice};

/// A request.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub model: &'a str,
    pub messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// A message of the conversation.
#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum Message<'a> {
    System {
        content: &'a str,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'a str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<PastCall<'a>>,
    },
    Tool {
        tool_call_id: &'a str,
        content: &'a str,
    },
}

/// Words alone, as every server takes them, or words and pictures.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Words(&'a str),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text { text: Cow<'a, str> },
    ImageUrl { image_url: ImageUrl<'a> },
}

/// A picture as a `data:` address, by RFC 2397.
#[derive(Serialize)]
pub(super) struct ImageUrl<'a> {
    #[serde(serialize_with = "as_data_url")]
    url: &'a Shown,
}

impl std::fmt::Debug for ImageUrl<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ImageUrl({})", self.url.picture.digest)
    }
}

fn as_data_url<S: Serializer>(shown: &&Shown, out: S) -> Result<S::Ok, S::Error> {
    let written = Base64Display::new(&shown.bytes, &STANDARD);
    out.collect_str(&format_args!("data:{};base64,{written}", shown.picture.media.mime()))
}

/// A call the model made before.
#[derive(Debug, Serialize)]
pub(super) struct PastCall<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: PastFunction<'a>,
}

#[derive(Debug, Serialize)]
struct PastFunction<'a> {
    name: &'a str,
    arguments: Cow<'a, str>,
}

/// A tool on offer.
#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: JsonSchema<'a>,
}

#[derive(Debug, Serialize)]
struct JsonSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Schema<'a>,
}

/// A schema as it was given, or one made of the tools.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Given(&'a RawValue),
    AnyCall {
        #[serde(rename = "anyOf")]
        any_of: Vec<CallSchema<'a>>,
    },
}

/// The schema of a call of one tool. The name comes first, so that a model chooses before it writes arguments.
#[derive(Debug, Serialize)]
struct CallSchema<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: CallProperties<'a>,
    required: [&'static str; 2],
    #[serde(rename = "additionalProperties")]
    additional_properties: bool,
}

#[derive(Debug, Serialize)]
struct CallProperties<'a> {
    name: NameSchema<'a>,
    arguments: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct NameSchema<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "enum")]
    one_of: [&'a str; 1],
}

/// A call written as JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCall<'a> {
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(borrow)]
    pub arguments: &'a RawValue,
}

/// A schema in the request that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema of {0} is no JSON")]
pub(super) struct BadSchema(String);

impl<'a> Request<'a> {
    /// Whether the text of the answer is a call.
    pub fn writes_call(&self) -> bool {
        self.tool_choice == Some("none")
    }

    /// The request of the port in the form of the wire.
    pub fn new(settings: &'a OpenAiSettings, request: &'a ModelRequest) -> Result<Self, BadSchema> {
        let tools: Vec<Tool<'a>> = match &request.reply {
            Reply::Calls => request.tools.iter().map(offered).collect::<Result<_, _>>()?,
            Reply::Text | Reply::Json { .. } => Vec::new(),
        };
        let response_format = match &request.reply {
            Reply::Json { name, schema } => Some(Format {
                kind: "json_schema",
                json_schema: JsonSchema { name, strict: true, schema: Schema::Given(raw(name, schema)?) },
            }),
            Reply::Calls if !tools.is_empty() && settings.tool_choice == ToolChoice::Schema => {
                let any_of = tools.iter().map(|tool| call_schema(&tool.function)).collect();
                let json_schema = JsonSchema { name: "call", strict: true, schema: Schema::AnyCall { any_of } };
                Some(Format { kind: "json_schema", json_schema })
            }
            Reply::Calls | Reply::Text => None,
        };
        let tool_choice = match settings.tool_choice {
            _ if tools.is_empty() => None,
            ToolChoice::Required => Some("required"),
            ToolChoice::Auto => Some("auto"),
            // The tools stand in the prompt; the schema makes the call.
            ToolChoice::Schema => Some("none"),
        };
        let (max_tokens, max_completion_tokens) = match settings.max_tokens_field {
            MaxTokensField::MaxTokens => (Some(request.max_tokens), None),
            MaxTokensField::MaxCompletionTokens => (None, Some(request.max_tokens)),
        };
        Ok(Self {
            model: &settings.name,
            messages: messages(&request.turns),
            tools,
            tool_choice,
            response_format,
            max_tokens,
            max_completion_tokens,
            stream: true,
            stream_options: StreamOptions { include_usage: true },
        })
    }
}

fn raw<'a>(name: &str, schema: &'a str) -> Result<&'a RawValue, BadSchema> {
    serde_json::from_str(schema).map_err(|_not_json| BadSchema(name.to_owned()))
}

fn offered(tool: &common_ground::port::tool::ToolSpec) -> Result<Tool<'_>, BadSchema> {
    let parameters = raw(&tool.name, &tool.arguments)?;
    let function = Function { name: &tool.name, description: &tool.description, parameters };
    Ok(Tool { kind: "function", function })
}

fn call_schema<'a>(function: &Function<'a>) -> CallSchema<'a> {
    CallSchema {
        kind: "object",
        properties: CallProperties {
            name: NameSchema { kind: "string", one_of: [function.name] },
            arguments: function.parameters,
        },
        required: ["name", "arguments"],
        additional_properties: false,
    }
}

/// Pictures go into the message of the task before them: some chat templates take no two messages of one side in a row.
fn messages(turns: &[Turn]) -> Vec<Message<'_>> {
    let mut messages = Vec::with_capacity(turns.len());
    for turn in turns {
        let Turn::Pictures { pictures } = turn else {
            messages.extend(message(turn));
            continue;
        };
        let parts = pictures.iter().flat_map(|shown| {
            let name = Part::Text { text: format!("Picture {}:", shown.picture.label()).into() };
            [name, Part::ImageUrl { image_url: ImageUrl { url: shown } }]
        });
        let before = match messages.last_mut() {
            Some(Message::User { content }) => Some(content),
            _other => None,
        };
        match before {
            Some(content) => {
                let words = match content {
                    Content::Words(words) => vec![Part::Text { text: (*words).into() }],
                    Content::Parts(parts) => std::mem::take(parts),
                };
                *content = Content::Parts(words.into_iter().chain(parts).collect());
            }
            None => messages.push(Message::User { content: Content::Parts(parts.collect()) }),
        }
    }
    messages
}

/// A turn as a message; pictures are none of their own.
fn message(turn: &Turn) -> Option<Message<'_>> {
    Some(match turn {
        Turn::Pictures { .. } => return None,
        Turn::Rules { text } => Message::System { content: text },
        Turn::Task { text } => Message::User { content: Content::Words(text) },
        Turn::Model { text, calls } => Message::Assistant {
            content: Some(text.as_str()).filter(|text| !text.is_empty() || calls.is_empty()),
            tool_calls: calls
                .iter()
                .map(|call| PastCall {
                    id: &call.id,
                    kind: "function",
                    function: PastFunction { name: &call.tool, arguments: whole_arguments(&call.arguments) },
                })
                .collect(),
        },
        Turn::Tool { call, content, failed: _ } => Message::Tool { tool_call_id: call, content },
    })
}

/// Servers put past arguments through their chat template and refuse the whole conversation when they are no JSON object;
/// what a model wrote wrongly is shown to it as a text in one.
fn whole_arguments(text: &str) -> Cow<'_, str> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(_)) => text.into(),
        Ok(_) | Err(_) => serde_json::json!({ "unparsed": text }).to_string().into(),
    }
}

/// A piece of an answer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    #[serde(default, deserialize_with = "or_default")]
    pub choices: Vec<Choice>,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Choice {
    #[serde(default, deserialize_with = "or_default")]
    pub index: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub delta: Delta,
    #[serde(default)]
    pub finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Delta {
    #[serde(default)]
    pub content: Option<String>,
    #[serde(default)]
    pub refusal: Option<String>,
    /// DeepSeek, llama-server, vLLM.
    #[serde(default)]
    pub reasoning_content: Option<String>,
    /// OpenRouter, Ollama.
    #[serde(default)]
    pub reasoning: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub tool_calls: Vec<CallDelta>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CallDelta {
    #[serde(default)]
    pub index: Option<u32>,
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub function: FunctionDelta,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct FunctionDelta {
    #[serde(default)]
    pub name: Option<String>,
    /// A piece of text; some servers send the whole object instead.
    #[serde(default)]
    pub arguments: Option<Value>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Usage {
    #[serde(default, deserialize_with = "or_default")]
    pub prompt_tokens: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub completion_tokens: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub prompt_tokens_details: PromptDetails,
    #[serde(default, deserialize_with = "or_default")]
    pub completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct PromptDetails {
    #[serde(default, deserialize_with = "or_default")]
    pub cached_tokens: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct CompletionDetails {
    #[serde(default, deserialize_with = "or_default")]
    pub reasoning_tokens: u64,
}

/// Null stands for nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// What a server says of an error, as far as it may be shown: words of a closed form, never its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerError {
    /// A status given inside the body.
    pub status: Option<u16>,
    /// `code`, `type` and `param` where they are plain words.
    pub words: Vec<String>,
    /// The request does not fit the window.
    pub too_large: Option<TooLarge>,
    /// It refuses `tool_choice`.
    pub tool_choice: bool,
    /// It refuses the field that bounds the answer.
    pub max_tokens: bool,
    /// The account may spend nothing more.
    pub no_credit: bool,
}

/// Figures of a request that does not fit; 0 where the server gives none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub need: u64,
    pub window: u64,
}

impl ServerError {
    /// Reads the body of an error, or the `error` of a chunk. Its message is looked at and forgotten: servers repeat the
    /// request in it, and sometimes the key.
    pub fn read(value: &Value) -> Self {
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let message = error.as_str().unwrap_or_else(|| text("message")).to_lowercase();
        let mut words: Vec<String> =
            ["code", "type", "param"].into_iter().map(text).filter(|w| is_word(w)).map(str::to_owned).collect();
        words.dedup();
        let says = |wanted: &[&str]| wanted.iter().any(|part| message.contains(part));
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        let number = |key: &str| error.get(key).and_then(Value::as_u64).unwrap_or_default();
        let fits_not = has("context_length_exceeded")
            || has("exceed_context_size_error")
            || says(&[
                "maximum context length",
                "context size",
                "context window",
                "context length",
                "prompt is too long",
                "input is too long",
            ]);
        Self {
            status: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            too_large: fits_not.then(|| TooLarge { need: number("n_prompt_tokens"), window: number("n_ctx") }),
            tool_choice: has("tool_choice") || says(&["tool_choice", "tool choice"]),
            max_tokens: has("max_tokens")
                || has("max_completion_tokens")
                || says(&["max_tokens", "max_completion_tokens"]),
            no_credit: has("insufficient_quota")
                || has("billing_hard_limit_reached")
                || says(&["insufficient credit", "insufficient balance"]),
            words,
        }
    }
}

/// A short identifier, which can hold no key and no prompt.
pub(super) fn is_word(text: &str) -> bool {
    (1..=48).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.')
}
