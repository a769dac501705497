//! `ii tools approve`: what an MCP server is and what it lists, shown before it is started and before its tools are offered.

use std::io::{self, BufRead, IsTerminal};

use serde_json::json;
use tools::mcp::{Opened, Pin, Server};

use super::{Program, print_json};
use crate::{
    exit::{Exit, Failure},
    hands::native,
    servers,
};

/// Approved, started, listed, approved, listed again: a server that is still not as approved after that never will be.
const ROUNDS: usize = 3;

/// Goes through the two steps as far as the person lets it.
pub(super) async fn run(program: &Program, name: &str, yes: bool) -> Result<Exit, Failure> {
    let (config, _) = program.settings(&[])?;
    let server = servers::server(servers::named(&config, name)?)?;
    let client = native::client(&config)?;
    for _ in 0..ROUNDS {
        let pin = servers::pin(&program.home, name)?;
        let opened = client.open(&server, pin.as_ref()).await;
        let opened = opened.map_err(|fault| {
            let what = format!("MCP server {name}: {fault}");
            Failure::new(Exit::NotCompleted, what, format!("mend [mcp.{name}] of your settings, or the server"))
        })?;
        let (shown, asked, next) = match opened {
            Opened::Unapproved { shown, was, .. } => {
                let again = if was.is_some() { "it is not what was approved; " } else { "" };
                (shown, format!("{again}start it and list its tools?"), Pin::started(&server))
            }
            Opened::New { listing } => (listing.shown() + &unfit(&listing), offer(), Pin::listed(&server, &listing)),
            Opened::Changed { difference, after, .. } => (difference, offer(), Pin::listed(&server, &after)),
            Opened::Tools(tools) => return Ok(done(program, &server, tools.len())),
        };
        eprint!("{shown}");
        if !yes && !says_yes(&asked)? {
            return Err(Failure::new(
                Exit::Refused,
                format!("MCP server {name} is not approved"),
                "add --yes to approve it",
            ));
        }
        servers::approve(&program.home, name, &next)?;
    }
    let what = format!("MCP server {name} lists other tools each time it is asked");
    Err(Failure::new(Exit::NotCompleted, what, "mend the server; its tools are offered once its list stays the same"))
}

fn offer() -> String {
    "offer these tools?".to_owned()
}

fn unfit(listing: &tools::mcp::Listing) -> String {
    listing.unfit().iter().map(|(tool, why)| format!("not offered: {tool}: {why}\n")).collect()
}

fn done(program: &Program, server: &Server, tools: usize) -> Exit {
    if program.json {
        print_json(&json!({"server": server.name(), "digest": server.digest(), "tools": tools}));
    } else {
        println!("{} is approved; it gives {tools} tools", server.name());
    }
    Exit::Completed
}

/// Asks at a terminal; elsewhere nobody says yes.
fn says_yes(asked: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    eprint!("ii: {asked} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Failure::internal)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
