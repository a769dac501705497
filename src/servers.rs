//! MCP servers of the settings: what the person approved of each, and the tools that come of it.
//!
//! **Invariant:** nothing is started, and nothing offered, that is not what the person approved, to the letter.

use std::{fs, io::ErrorKind, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use agent_runtime::home::Home;
use tools::mcp::{BadServer, Client, Opened, Pin, Server, Transport};

use crate::{
    config::{Config, McpServer, Reached},
    exit::{Exit, Failure},
    permissions,
};

/// A server as the tools have it.
///
/// # Errors
/// Settings that make none.
pub fn server(configured: &McpServer) -> Result<Server, Failure> {
    let bad = |what: String| {
        Failure::new(Exit::Configuration, what, format!("mend [mcp.{}] of your settings", configured.name))
    };
    let transport = match &configured.reached {
        Reached::Command { command, env, may, limits } => Transport::Stdio {
            command: command.clone(),
            env: env.clone(),
            may: may.clone(),
            limits: permissions::limits_over(Transport::LIMITS, limits.iter().map(String::as_str)).map_err(bad)?,
        },
        Reached::Url { url, headers } => Transport::Http { url: url.clone(), headers: headers.clone() },
    };
    Server::new(&configured.name, transport).map_err(|error: BadServer| bad(error.to_string()))
}

/// A server of the settings by its name.
///
/// # Errors
/// There is none, with the nearest.
pub fn named<'a>(config: &'a Config, name: &str) -> Result<&'a McpServer, Failure> {
    config.servers.iter().find(|server| server.name == name).ok_or_else(|| {
        let near = config.servers.iter().min_by_key(|one| strsim::damerau_levenshtein(&one.name, name));
        let near = near.map_or(String::new(), |near| format!("; the nearest is `{}`", near.name));
        let fix = format!("write [mcp.{name}] with a command or a url into your settings");
        Failure::new(Exit::Usage, format!("no MCP server `{name}` is configured{near}"), fix)
    })
}

fn file(home: &Home, name: &str) -> PathBuf {
    home.servers().join(format!("{name}.json"))
}

/// What was approved of a server.
///
/// # Errors
/// A file that cannot be read or is none of ours.
pub fn pin(home: &Home, name: &str) -> Result<Option<Pin>, Failure> {
    let path = file(home, name);
    let unreadable = |error: String| {
        Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "delete it, then approve the server again")
    };
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Keeps what was approved. It holds the values of a server's variables, so that only its owner reads it.
///
/// # Errors
/// A file that cannot be written.
pub fn approve(home: &Home, name: &str, pin: &Pin) -> Result<(), Failure> {
    let path = file(home, name);
    let unwritable = |error: std::io::Error| {
        Failure::new(Exit::Storage, format!("{}: {error}", path.display()), "make the home writable")
    };
    let bytes = serde_json::to_vec_pretty(pin).map_err(Failure::internal)?;
    fs::create_dir_all(home.servers()).map_err(unwritable)?;
    // Beside it, then in its place: whoever is killed here leaves the old one or the new one.
    let new = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(unwritable)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, &path)).map_err(unwritable)
}

/// The tools of a server that was approved as it is; else, in a line, why it gives none and what to do.
///
/// # Errors
/// Settings that make no server, and what was approved cannot be read.
pub async fn tools(
    client: &Client,
    home: &Home,
    configured: &McpServer,
) -> Result<Result<Vec<tools::mcp::McpTool>, String>, Failure> {
    let (server, pin) = (server(configured)?, pin(home, &configured.name)?);
    let name = &configured.name;
    let approve = format!("`ii tools approve {name}`");
    Ok(match client.open(&server, pin.as_ref()).await {
        Ok(Opened::Tools(tools)) => Ok(tools),
        Ok(Opened::Unapproved { was: None, .. } | Opened::New { .. }) => {
            Err(format!("MCP server {name}: it is not approved; {approve} shows what it is"))
        }
        Ok(Opened::Unapproved { was: Some(_), .. }) => {
            Err(format!("MCP server {name}: its settings are not those that were approved; {approve} shows them"))
        }
        Ok(Opened::Changed { .. }) => Err(format!(
            "MCP server {name}: its tools are not those that were approved; {approve} shows the difference"
        )),
        Err(fault) => Err(format!("MCP server {name}: {fault}")),
    })
}
