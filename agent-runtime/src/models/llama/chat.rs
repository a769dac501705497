//! A request as the text a model reads, by the template of its file.
//!
//! A template that takes tools gets them. One that does not, or fails with them, gets plain turns and a list of tools in
//! the rules; one that knows no rules gets them before the first task. Which way works is tried once, when the file is
//! loaded, with a conversation that has every kind of turn.
//!
//! **Invariant:** no text from outside begins or ends a turn: marks of the template in it are parted first.

use std::time::SystemTime;

use common_ground::port::{
    model::{Call, ModelRequest, Reply, Turn},
    tool::ToolSpec,
};
use common_ground::role::Role;
use llama_cpp_2::model::{LlamaChatMessage, LlamaChatTemplate, LlamaModel};
use serde::Serialize;
use serde_json::Value;

use super::{
    schema::{CLOSE_TAG, CallForm, OPEN_TAG},
    template::Template,
    vocabulary::Vocabulary,
};

/// What llama.cpp calls the template that most files without one were trained on.
const USUAL: &str = "chatml";

/// How a model is spoken to.
#[derive(Debug)]
pub(super) struct Chat {
    style: Style,
    begin: String,
    end: String,
}

#[derive(Debug)]
enum Style {
    /// The file's template, with tools and calls as it has them.
    Tools { template: Template, form: CallForm },
    /// A template llama.cpp knows.
    Known(LlamaChatTemplate),
    /// The file's template with plain turns.
    Plain { template: Template, rules: RulesPlace },
}

#[derive(Debug, Clone, Copy)]
enum RulesPlace {
    OwnTurn,
    FirstTask,
}

#[derive(Serialize)]
struct Context<'a> {
    messages: Vec<Message>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool>,
    add_generation_prompt: bool,
    /// An answer under a grammar has no room for thoughts.
    enable_thinking: bool,
    bos_token: &'a str,
    eos_token: &'a str,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<MadeCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize)]
struct MadeCall {
    r#type: &'static str,
    id: String,
    function: MadeFunction,
}

#[derive(Serialize)]
struct MadeFunction {
    name: String,
    arguments: Value,
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    description: String,
    parameters: Value,
}

impl Message {
    fn plain(role: &'static str, content: String) -> Self {
        Self { role, content, tool_calls: Vec::new(), tool_call_id: None, name: None }
    }
}

impl Chat {
    /// Finds the way to speak to a model.
    ///
    /// # Errors
    /// The first failure, if no way works.
    pub(super) fn of(model: &LlamaModel, vocabulary: &Vocabulary, template: Option<&str>) -> Result<Self, String> {
        let words = model.vocab();
        let text = |token| String::from_utf8_lossy(&words.token_to_piece(token, true, None)).into_owned();
        let special = |token: llama_cpp_2::token::LlamaToken| if token.0 < 0 { String::new() } else { text(token) };
        let (begin, end) = (special(words.bos()), special(words.eos()));
        let mut failures = Vec::new();
        for style in styles(template) {
            let made = style.and_then(|style| {
                let chat = Self { style, begin: begin.clone(), end: end.clone() };
                chat.try_out(model, vocabulary).map(|()| chat)
            });
            match made {
                Ok(chat) => return Ok(chat),
                Err(error) => failures.push(error),
            }
        }
        // The last way is the simplest one, so its failure is the template's own.
        Err(failures.pop().unwrap_or_default())
    }

    /// How calls are to be written.
    pub(super) fn form(&self) -> CallForm {
        match &self.style {
            Style::Tools { form, .. } => *form,
            Style::Known(_) | Style::Plain { .. } => CallForm::Array,
        }
    }

    /// The text of the token that begins a prompt, which a template may have written already.
    pub(super) fn begin(&self) -> &str {
        &self.begin
    }

    /// The whole prompt.
    ///
    /// # Errors
    /// What the template says.
    pub(super) fn prompt(
        &self,
        model: &LlamaModel,
        vocabulary: &Vocabulary,
        request: &ModelRequest,
    ) -> Result<String, String> {
        let clean = |text: &str| vocabulary.unmarked(text);
        let (template, messages, tools) = match &self.style {
            Style::Tools { template, form } => {
                let tools = request.tools.iter().map(tool).collect();
                (template, with_calls(request, *form, &clean), tools)
            }
            Style::Plain { template, rules } => (template, plain(request, *rules, &clean), Vec::new()),
            Style::Known(template) => {
                let messages = plain(request, RulesPlace::OwnTurn, &clean).into_iter();
                let messages: Result<Vec<_>, _> =
                    messages.map(|message| LlamaChatMessage::new(message.role.to_owned(), message.content)).collect();
                let messages = messages.map_err(|error| error.to_string())?;
                return model.apply_chat_template(template, &messages, true).map_err(|error| error.to_string());
            }
        };
        template.render(Context {
            messages,
            tools,
            add_generation_prompt: true,
            enable_thinking: false,
            bos_token: &self.begin,
            eos_token: &self.end,
        })
    }

    /// Renders a conversation with every kind of turn; all of it must be there.
    fn try_out(&self, model: &LlamaModel, vocabulary: &Vocabulary) -> Result<(), String> {
        let call =
            Call { id: "call_1".to_owned(), tool: "look".to_owned(), arguments: "{\"at\":\"probe-four\"}".to_owned() };
        let request = ModelRequest {
            model: String::new(),
            role: Role::Associate,
            turns: vec![
                Turn::Rules { text: "probe-one".to_owned() },
                Turn::Task { text: "probe-two".to_owned() },
                Turn::Model { text: String::new(), calls: vec![call] },
                Turn::Tool { call: "call_1".to_owned(), content: "probe-five".to_owned(), failed: false },
            ],
            tools: vec![ToolSpec {
                name: "look".to_owned(),
                description: "probe-three".to_owned(),
                arguments: "{\"type\":\"object\"}".to_owned(),
                idempotent: true,
            }],
            reply: Reply::Calls,
            max_tokens: 1,
        };
        let text = self.prompt(model, vocabulary, &request)?;
        for part in ["probe-one", "probe-two", "probe-three", "probe-four", "probe-five"] {
            if !text.contains(part) {
                return Err("it leaves out turns or tools".to_owned());
            }
        }
        Ok(())
    }
}

/// The ways to speak to a model with this template, best first.
fn styles(text: Option<&str>) -> Vec<Result<Style, String>> {
    let Some(text) = text else {
        return vec![LlamaChatTemplate::new(USUAL).map(Style::Known).map_err(|error| error.to_string())];
    };
    // Templates are cheap to read, and each style owns its own.
    let now = SystemTime::now();
    let form = if text.contains(OPEN_TAG.trim_end()) { CallForm::Tagged } else { CallForm::Array };
    let mut styles = Vec::new();
    if text.contains("tools") {
        styles.push(Template::new(text, now).map(|template| Style::Tools { template, form }));
    }
    styles.push(LlamaChatTemplate::new(text).map(Style::Known).map_err(|error| error.to_string()));
    for rules in [RulesPlace::OwnTurn, RulesPlace::FirstTask] {
        styles.push(Template::new(text, now).map(|template| Style::Plain { template, rules }));
    }
    styles
}

fn tool(spec: &ToolSpec) -> Tool {
    let parameters = serde_json::from_str(&spec.arguments).unwrap_or(Value::Null);
    let function = Function { name: spec.name.clone(), description: spec.description.clone(), parameters };
    Tool { r#type: "function", function }
}

/// The rules of a request with what its reply must be like.
fn rules(request: &ModelRequest, listed: bool, form: CallForm, clean: &impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for turn in &request.turns {
        if let Turn::Rules { text: rules } = turn {
            text += &clean(rules);
        }
    }
    match &request.reply {
        Reply::Text => {}
        Reply::Json { schema, .. } => {
            text += &format!("\n\nAnswer with one JSON value of this schema and nothing else: {}", clean(schema));
        }
        Reply::Calls => {
            if listed {
                text += "\n\nYou have these tools:";
                for tool in &request.tools {
                    let (name, description) = (Value::from(tool.name.as_str()), Value::from(tool.description.as_str()));
                    let line =
                        format!("\n{{\"name\":{name},\"description\":{description},\"arguments\":{}}}", tool.arguments);
                    text += &clean(&line);
                }
            }
            text += match form {
                CallForm::Array => {
                    "\n\nAnswer with calls of tools and nothing else, as a JSON array: [{\"name\":…,\"arguments\":{…}}]"
                }
                CallForm::Tagged => "",
            };
        }
    }
    text
}

fn with_calls(request: &ModelRequest, form: CallForm, clean: &impl Fn(&str) -> String) -> Vec<Message> {
    let mut messages = vec![Message::plain("system", rules(request, false, form, clean))];
    for turn in &request.turns {
        messages.push(match turn {
            // A model that does not see is given none.
            Turn::Rules { .. } | Turn::Pictures { .. } => continue,
            Turn::Task { text } => Message::plain("user", clean(text)),
            Turn::Model { text, calls } => {
                let made = calls.iter().map(|call| {
                    let arguments = clean(&call.arguments);
                    let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
                    let function = MadeFunction { name: clean(&call.tool), arguments };
                    MadeCall { r#type: "function", id: clean(&call.id), function }
                });
                Message { tool_calls: made.collect(), ..Message::plain("assistant", clean(text)) }
            }
            Turn::Tool { call, content, failed } => {
                let name = tool_of(request, call).map(clean);
                let content = if *failed { format!("failed: {}", clean(content)) } else { clean(content) };
                Message { tool_call_id: Some(clean(call)), name, ..Message::plain("tool", content) }
            }
        });
    }
    messages
}

/// Turns of rules, tasks and answers only, no two of one kind in a row: all that some templates take.
fn plain(request: &ModelRequest, place: RulesPlace, clean: &impl Fn(&str) -> String) -> Vec<Message> {
    let rules = rules(request, true, CallForm::Array, clean);
    let first = match place {
        RulesPlace::OwnTurn => "system",
        RulesPlace::FirstTask => "user",
    };
    let mut messages = if rules.is_empty() { Vec::new() } else { vec![Message::plain(first, rules)] };
    for turn in &request.turns {
        let (role, text) = match turn {
            Turn::Rules { .. } | Turn::Pictures { .. } => continue,
            Turn::Task { text } => ("user", clean(text)),
            Turn::Model { text, calls } if calls.is_empty() => ("assistant", clean(text)),
            Turn::Model { text, calls } => ("assistant", format!("{}{}", clean(text), clean(&written(calls)))),
            Turn::Tool { call, content, failed } => {
                let name = tool_of(request, call).unwrap_or("the tool");
                let word = if *failed { "failed" } else { "answered" };
                ("user", clean(&format!("{name} {word}:\n{content}")))
            }
        };
        match messages.last_mut() {
            Some(last) if last.role == role => {
                last.content += "\n\n";
                last.content += &text;
            }
            Some(_) | None => messages.push(Message::plain(role, text)),
        }
    }
    messages
}

fn tool_of<'a>(request: &'a ModelRequest, id: &str) -> Option<&'a str> {
    request.turns.iter().find_map(|turn| match turn {
        Turn::Model { calls, .. } => calls.iter().find(|call| call.id == id).map(|call| call.tool.as_str()),
        Turn::Rules { .. } | Turn::Task { .. } | Turn::Pictures { .. } | Turn::Tool { .. } => None,
    })
}

/// Calls as [`CallForm::Array`] has them.
fn written(calls: &[Call]) -> String {
    let calls = calls
        .iter()
        .map(|call| format!("{{\"name\":{},\"arguments\":{}}}", Value::from(call.tool.as_str()), call.arguments));
    format!("[{}]", calls.collect::<Vec<_>>().join(","))
}

/// The calls' texts in an answer, without what stands around them.
pub(super) fn call_texts(form: CallForm, answer: &str) -> String {
    match form {
        CallForm::Array => answer.to_owned(),
        CallForm::Tagged => {
            let between = format!("{CLOSE_TAG}\n{OPEN_TAG}");
            let inside = answer.strip_prefix(OPEN_TAG).and_then(|rest| rest.strip_suffix(CLOSE_TAG)).unwrap_or(answer);
            format!("[{}]", inside.split(&between).collect::<Vec<_>>().join(","))
        }
    }
}
