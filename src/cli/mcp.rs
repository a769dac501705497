//! `ii mcp`: what other agents may ask of this program over the Model Context Protocol, on stdin and stdout.
//!
//! Each call is a command of this program in a process of its own, whose JSON is its answer.
//!
//! **Invariant:** a caller names questions and runs, never a folder, a tool or a permission: those are the person's.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::Program;
use crate::exit::{Exit, Failure};

/// Arguments of `ii mcp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of documents that answers come from.
    #[arg(long, value_name = "DIR")]
    docs: Option<PathBuf>,
    /// The model that plays the roles.
    #[arg(long)]
    model: Option<String>,
}

/// Runs the command, until the other side closes.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let docs = args.docs.as_ref().map(|path| path.display().to_string());
    let flags = docs.map(|docs| vec![("docs", docs)]).unwrap_or_default();
    let (config, _) = program.settings(&flags)?;
    let Some(docs) = config.docs.filter(|docs| docs.is_dir()) else {
        let what = "there is no folder of documents to answer from";
        return Err(Failure::new(Exit::Usage, what, "name one with --docs, or set docs in the configuration"));
    };
    let own = std::env::current_exe().map_err(Failure::internal)?;
    let server = Server { program: own, home: program.home.root().to_owned(), docs, model: args.model };
    let serving = server.serve(rmcp::transport::stdio()).await;
    let serving = serving.map_err(|error| {
        Failure::new(Exit::Usage, format!("the other side does not speak the protocol: {error}"), "use an MCP client")
    })?;
    serving.waiting().await.map_err(Failure::internal)?;
    Ok(Exit::Completed)
}

/// What is served.
#[derive(Clone)]
struct Server {
    program: PathBuf,
    home: PathBuf,
    docs: PathBuf,
    model: Option<String>,
}

/// Name, what it does, and its one argument: name, what it is, whether it must be there.
const TOOLS: [(&str, &str, (&str, &str, bool)); 4] = [
    (
        "run",
        "Answer a question from the person's documents; the answer is checked by another than its worker, and carries signed \
         receipts. Gives the report and the run's id.",
        ("question", "The question, self-contained.", true),
    ),
    ("status", "Runs of this home, or one of them with its modules.", ("run", "A run's id, or its beginning.", false)),
    (
        "search",
        "Passages of the person's documents for a question in plain words, best first, with where they stand.",
        ("query", "Plain words.", true),
    ),
    ("verify", "Verify the receipts of a run.", ("run", "A run's id, or its beginning.", true)),
];

fn tool((name, description, (argument, about, must)): (&'static str, &'static str, (&str, &str, bool))) -> Tool {
    let required: Vec<&str> = must.then_some(argument).into_iter().collect();
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": required,
        "properties": { argument: { "type": "string", "description": about, "minLength": 1, "maxLength": 65_536 } },
    });
    let schema = schema.as_object().cloned().unwrap_or_default();
    Tool::new(name, description, Arc::new(schema))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("ii", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(
            "Answers from one person's documents, with quotes, sources and receipts that can be verified.".to_owned(),
        );
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.into_iter().find(|(known, ..)| *known == name).map(tool)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult { tools: TOOLS.into_iter().map(tool).collect(), ..ListToolsResult::default() })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some((_, _, (argument, _, must))) = TOOLS.into_iter().find(|(name, ..)| *name == request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {}", request.name), None));
        };
        let given = request.arguments.unwrap_or_default();
        if let Some(unknown) = given.keys().find(|name| *name != argument) {
            return Err(ErrorData::invalid_params(format!("{} takes {argument}, not {unknown}", request.name), None));
        }
        let text = given.get(argument).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        if must && text.is_none() {
            return Err(ErrorData::invalid_params(format!("{} needs {argument}", request.name), None));
        }
        let result = match self.ran(&request.name, text.unwrap_or_default()).await {
            Ok(value) => CallToolResult::success(vec![ContentBlock::text(value.to_string())]),
            Err(line) => CallToolResult::error(vec![ContentBlock::text(line)]),
        };
        Ok(CallToolResponse::Complete(result))
    }
}

impl Server {
    /// The answer of the command that a tool stands for, or its one line of error.
    async fn ran(&self, tool: &str, text: &str) -> Result<Value, String> {
        let docs = self.docs.as_os_str();
        let mut command = Command::new(&self.program);
        // A caller's text begins with no dash that could be read as a flag: it stands behind `--`.
        match tool {
            "run" => {
                command.args(["run", "--json", "--docs"]).arg(docs);
                if let Some(model) = &self.model {
                    command.args(["--model", model]);
                }
                command.args(["--", text]);
            }
            "status" if text.is_empty() => drop(command.args(["runs", "list", "--json"])),
            "status" => drop(command.args(["runs", "show", "--json", "--", text])),
            "search" => drop(command.args(["search", "--json", "--docs"]).arg(docs).args(["--", text])),
            _verify => drop(command.args(["verify", "--json", "--", text])),
        }
        let output = command.env("II_HOME", &self.home).stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| format!("the program cannot be started: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let value = match tool {
            // One event a line; the last says how it ended, with the report.
            "run" => said.lines().last().and_then(|line| serde_json::from_str(line).ok()),
            _whole => serde_json::from_str::<Value>(&said).ok(),
        };
        let Some(mut value) = value else {
            let error = String::from_utf8_lossy(&output.stderr);
            let line = error.lines().last().unwrap_or("it said nothing").trim_start_matches("ii: ");
            return Err(line.to_owned());
        };
        if let (Some(object), "status") = (value.as_object_mut(), tool) {
            object.remove("events");
        }
        Ok(value)
    }
}
