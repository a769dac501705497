//! `ii journal`: the journal as lines, for programs that look at it and cannot write to it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use common_ground::RunId;
use guardian::Line;

use super::{Program, runs};
use crate::{
    exit::{Exit, Failure},
    follow::{Contents, Follower},
};

/// Subcommands of `ii journal`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Print facts as they happen, one JSON object a line, with their links and the contents they name.
    Follow {
        /// Only this run.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Go on from the places that this file has: what `ii guardian sentinel` printed.
        #[arg(long, value_name = "FILE")]
        places: Option<PathBuf>,
        /// Leave contents out.
        #[arg(long)]
        no_contents: bool,
        /// End when there is no more, instead of waiting.
        #[arg(long)]
        once: bool,
    },
}

/// How often a listener is told the time, where nothing happens.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let Args::Follow { run, places, no_contents, once } = args;
    let only = match run {
        Some(text) => Some(runs::find(program, &text).await?.1),
        None => None,
    };
    let places = places.as_deref().map(remembered).transpose()?.unwrap_or_default();
    let contents = if no_contents { Contents::LeftOut } else { Contents::Told };
    let mut follower = Follower::new(&program.home, only, contents, places);
    let mut waiting = follower.beginning();
    let mut told = tokio::time::Instant::now();
    loop {
        let turn = follower.turn().await?;
        let is_quiet = turn.is_empty();
        waiting.extend(turn);
        if told.elapsed() >= CLOCK_EVERY || (is_quiet && once) {
            told = tokio::time::Instant::now();
            waiting.push(Line::Clock { now_ms: common_ground::Millis(program.wiring.clock.now_ms()) });
        }
        if !print(std::mem::take(&mut waiting))? || (is_quiet && once) {
            return Ok(Exit::Completed);
        }
        if is_quiet {
            tokio::time::sleep(follower.patience()).await;
        }
    }
}

/// Prints lines; false once nobody reads any more.
fn print(lines: Vec<Line>) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.to_text().map_err(Failure::internal)?);
        text.push('\n');
    }
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Storage, format!("stdout: {error}"), "see where it leads")),
    }
}

/// The last place of each run in what a sentinel printed.
fn remembered(file: &Path) -> Result<BTreeMap<RunId, common_ground::chain::Head>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {error}", file.display()), "name what `ii guardian sentinel` printed")
    })?;
    let said = text.lines().filter_map(|line| serde_json::from_str::<super::guardian::Said>(line).ok());
    let places = said.filter_map(|said| match said {
        super::guardian::Said::Place(place) => Some((place.run, place.head)),
        super::guardian::Said::Concern(_) | super::guardian::Said::Clock(_) => None,
    });
    Ok(places.collect())
}
