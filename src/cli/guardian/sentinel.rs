//! `ii guardian sentinel`: a watch in a process of its own.
//!
//! **Invariant:** it opens nothing: no file, no socket, no runtime. It has the three streams it was started with, so that it
//! can run as a user who may read and write nothing.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read, Write},
};

use guardian::{Watch, line, sentinels::Thresholds};

use super::Said;
use crate::{
    exit::{Exit, Failure},
    guardians::Place,
};

/// Arguments of `ii guardian sentinel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Watch by this rule, with this threshold; all with their usual ones when none is given. Can be given more than once.
    #[arg(long, value_name = "NAME=THRESHOLD", value_parser = rule)]
    rule: Vec<(String, u64)>,
}

fn rule(text: &str) -> Result<(String, u64), String> {
    let (name, threshold) = text.split_once('=').ok_or("write it as NAME=THRESHOLD")?;
    let threshold = threshold.parse().map_err(|_not| format!("{threshold} is no whole number"))?;
    Ok((name.to_owned(), threshold))
}

/// The thresholds that a command line or a charter names.
pub(super) fn thresholds(rules: &BTreeMap<String, u64>) -> Result<Thresholds, Failure> {
    Thresholds::chartered(rules).map_err(|name| {
        let known: Vec<&str> = guardian::sentinels::ALL.iter().map(|about| about.name).collect();
        Failure::new(Exit::Usage, format!("there is no rule {name}"), format!("the rules are {}", known.join(", ")))
    })
}

/// Runs the command.
pub(in crate::cli) fn run(args: &Args) -> Result<Exit, Failure> {
    let thresholds = thresholds(&args.rule.iter().cloned().collect())?;
    let watch = Watch::new(thresholds).ok_or_else(|| Failure::internal("the rules' automata cannot be made"))?;
    listen(watch, io::stdin().lock(), io::stdout().lock())
}

/// Reads to the end, a line at a time, none longer than it may be.
fn listen(mut watch: Watch, mut told: impl BufRead, mut says: impl Write) -> Result<Exit, Failure> {
    let broken =
        |error: io::Error| Failure::new(Exit::Usage, format!("the pipe broke: {error}"), "start both ends again");
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let most = line::LONGEST as u64 + 1;
        if told.by_ref().take(most).read_until(b'\n', &mut text).map_err(broken)? == 0 {
            break;
        }
        let unreadable = |what: &str| {
            Failure::new(Exit::Usage, format!("line {number} {what}"), "feed it what `ii journal follow` prints")
        };
        if text.len() > line::LONGEST {
            return Err(unreadable("is longer than any line"));
        }
        let line = std::str::from_utf8(&text).map_err(|_binary| unreadable("is no text"))?;
        let heard =
            watch.hear(line, number).map_err(|error| unreadable(&format!("cannot be read: {}", error.reason)))?;
        // Concerns do not wait; places do, until the teller has said all that there is.
        let urgent = !heard.concerns.is_empty() || heard.clock.is_some();
        let said = heard.concerns.into_iter().map(Said::Concern);
        let said = said.chain(heard.place.map(|(run, head)| Said::Place(Place { run, head })));
        for said in said.chain(heard.clock.map(Said::Clock)) {
            let said = serde_json::to_string(&said).map_err(Failure::internal)?;
            says.write_all(said.as_bytes()).and_then(|()| says.write_all(b"\n")).map_err(broken)?;
        }
        if urgent {
            says.flush().map_err(broken)?;
        }
    }
    says.flush().map_err(broken)?;
    Ok(Exit::Completed)
}
