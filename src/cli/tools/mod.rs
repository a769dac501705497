//! `ii tools`: which tools there are, one call of one tool under one grant, with its record, and MCP servers approved.

#[cfg(target_os = "linux")]
mod approve;

use common_ground::{
    grant::{Basis, Grant},
    port::tool::{Called, StepKey, Tool, ToolCall, ToolError},
    record::Allowed,
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Program, print_json};
use crate::{
    config::Config,
    exit::{Exit, Failure},
    hands::{self, Outside},
    permissions, show,
};

/// Subcommands of `ii tools`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// List the tools that reach outside; those of the commons come with every run.
    List,
    /// Show one tool: what it does, its arguments, its digest.
    Show {
        /// Its name.
        name: String,
    },
    /// Show what an MCP server of your settings is and what it lists, and approve it.
    Approve {
        /// Its name.
        server: String,
        /// Approve what is shown without asking.
        #[arg(long)]
        yes: bool,
    },
    /// Call one tool under one grant; prints what it gave and its record.
    Call {
        /// Its name.
        name: String,
        /// Its arguments, as JSON.
        #[arg(long, value_name = "JSON")]
        args: String,
        /// What it may do, such as read:DIR, net:HOST or run:process. Can be given more than once.
        #[arg(long, value_name = "PERMISSION")]
        grant: Vec<String>,
        /// A limit, such as wall_ms=1000 or memory_bytes=67108864. Can be given more than once.
        #[arg(long, value_name = "NAME=NUMBER")]
        limit: Vec<String>,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    match args {
        Args::Approve { server, yes } => approved(program, &server, yes).await,
        Args::List => Ok(list(program, &hands::outside(&program.home, &config, None).await?)),
        Args::Show { name } => show(program, &*named(program, &config, name).await?),
        Args::Call { name, args, grant, limit } => {
            let tool = named(program, &config, name).await?;
            hands::sweep(&config).await;
            let limits = permissions::limits(limit.iter().map(String::as_str));
            let limits = limits.map_err(|what| Failure::new(Exit::Usage, what, "such as --limit wall_ms=1000"))?;
            let grant = Grant { limits, ..Grant::of(permissions::flags("--grant", &grant)?) };
            call(&*tool, &args, &grant).await
        }
    }
}

#[cfg(target_os = "linux")]
async fn approved(program: &Program, server: &str, yes: bool) -> Result<Exit, Failure> {
    approve::run(program, server, yes).await
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "the same call where servers run")]
async fn approved(_program: &Program, server: &str, _yes: bool) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, format!("MCP server {server} needs Linux"), "run ii on Linux"))
}

/// The tool of this name.
async fn named(program: &Program, config: &Config, name: String) -> Result<Arc<dyn Tool>, Failure> {
    let wanted = [name];
    let Outside { tools, problems } = hands::outside(&program.home, config, Some(&wanted)).await?;
    tell(&problems);
    let [name] = wanted;
    tools.iter().find(|tool| tool.spec().name == name).cloned().ok_or_else(|| {
        let near = tools.iter().min_by_key(|tool| strsim::damerau_levenshtein(&tool.spec().name, &name));
        let near = near.map_or(String::new(), |tool| format!("; the nearest is `{}`", tool.spec().name));
        Failure::new(Exit::Usage, format!("there is no tool `{name}` here{near}"), "`ii tools list` shows them")
    })
}

/// What is no tool, a line each.
fn tell(problems: &[String]) {
    for problem in problems {
        eprintln!("ii: no tool: {}", show::plain(problem));
    }
}

fn list(program: &Program, Outside { tools, problems }: &Outside) -> Exit {
    if program.json {
        let rows = tools.iter().map(|tool| {
            let spec = tool.spec();
            json!({"name": spec.name, "description": spec.description, "digest": spec.digest(),
                "idempotent": spec.idempotent})
        });
        print_json(&json!({ "tools": rows.collect::<Vec<_>>(), "problems": problems }));
    } else {
        for tool in tools {
            println!("{:<12} {}", tool.spec().name, tool.spec().description);
        }
        tell(problems);
    }
    Exit::Completed
}

fn show(program: &Program, tool: &dyn Tool) -> Result<Exit, Failure> {
    let spec = tool.spec();
    let schema: Value = serde_json::from_str(&spec.arguments).map_err(Failure::internal)?;
    if program.json {
        print_json(&json!({"name": spec.name, "description": spec.description, "digest": spec.digest(),
            "idempotent": spec.idempotent, "arguments": schema}));
    } else {
        println!("{}\n{}\ndigest {}\narguments {schema:#}", spec.name, spec.description, spec.digest());
    }
    Ok(Exit::Completed)
}

async fn call(tool: &dyn Tool, arguments: &str, grant: &Grant) -> Result<Exit, Failure> {
    let needs = tool.needs(arguments).unwrap_or_default();
    let covered = needs.into_iter().filter_map(|need| {
        let item = grant.covering(&need)?.clone();
        Some(Allowed { need, basis: Basis::Granted { item } })
    });
    let allowed: Vec<Allowed> = covered.collect();
    let called: Called = tool.call(ToolCall { key: StepKey::NONE, grant, allowed: &allowed, arguments }).await;
    let (exit, answer) = match &called.answer {
        Ok(text) => (Exit::Completed, json!(text)),
        Err(error) => {
            let exit = match error {
                ToolError::BadArguments { .. } => Exit::Usage,
                ToolError::Refused { .. } => Exit::Refused,
                ToolError::Failed { .. } => Exit::NotCompleted,
            };
            eprintln!("ii: {error}");
            (exit, Value::Null)
        }
    };
    let error = called.answer.as_ref().err().map(ToString::to_string);
    print_json(&json!({"answer": answer, "error": error, "record": called.record}));
    Ok(exit)
}
