//! `ii guardian watch`: a sentinel in a process of its own, what it finds kept and shown, and, where a charter has a standing
//! order, that order written.
//!
//! **Invariant:** what was found is on disk before the place behind it, so that a watch that is killed misses nothing; an order
//! of its own is the same order again after a restart, so that it is carried out once.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use agent_runtime::{driver::Paper, journal::Reader, signer::Signatory};
use common_ground::{Millis, RunId, run::Phase};
use guardian::{Concern, Line, adviser::brief, implementer, order};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::Instant,
};

use super::{Said, briefs, deliver};
use crate::{
    cli::{Program, runs},
    exit::{Exit, Failure},
    failures::from_signer,
    follow::{Contents, Follower},
    guardians::{self, Kept, Notebook, Place},
};

/// Arguments of `ii guardian watch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this run.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// End when everything there is was looked at, instead of waiting.
    #[arg(long)]
    once: bool,
    /// Leave contents out: rules that need them do not speak.
    #[arg(long)]
    no_contents: bool,
    /// Write the orders that charters of this home let its guardian write by itself.
    #[arg(long)]
    act: bool,
}

/// How often the sentinel is told the time, where nothing happens.
const CLOCK_EVERY: Duration = Duration::from_secs(1);

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    let only = match &args.run {
        Some(text) => Some(runs::find(program, text).await?.1),
        None => None,
    };
    let mut notebook = Notebook::open(&program.home)?;
    let (charters, _) = guardians::charters(&program.home)?;
    let own = own_charters(program, charters)?;
    let contents = if args.no_contents { Contents::LeftOut } else { Contents::Told };
    let mut follower = Follower::new(&program.home, only, contents, notebook.places().clone());
    let mut sentinel = Sentinel::start(&rules(&own))?;
    let mut waiting = follower.beginning();
    if args.act {
        // A watch that was killed may have kept what it found, and written no order.
        for concern in guardians::concerns(&program.home)? {
            act(program, &own, &concern).await?;
        }
    }
    let mut ended = std::pin::pin!(tokio::signal::ctrl_c());
    let mut told = Instant::now();
    loop {
        let turn = follower.turn().await?;
        let is_quiet = turn.is_empty();
        waiting.extend(turn);
        if is_quiet && !args.once && told.elapsed() < CLOCK_EVERY {
            tokio::select! {
                () = tokio::time::sleep(follower.patience()) => continue,
                pressed = &mut ended => return pressed.map(|()| Exit::Completed).map_err(Failure::internal),
            }
        }
        told = Instant::now();
        let (found, places) = sentinel.hear(std::mem::take(&mut waiting), program.wiring.clock.now_ms()).await?;
        // Said and acted on before the places are written: who is told does not wait for them.
        for concern in notebook.keep(found)? {
            say(program, &concern)?;
            if args.act {
                act(program, &own, &concern).await?;
            }
        }
        notebook.remember(&places)?;
        if is_quiet && args.once {
            return Ok(Exit::Completed);
        }
    }
}

/// Charters of the guardian whose key this home has.
fn own_charters(program: &Program, charters: Vec<Kept>) -> Result<Vec<Kept>, Failure> {
    if charters.is_empty() {
        return Ok(charters);
    }
    let guardian = Signatory::Guardian.public(&program.home).map_err(|error| from_signer(&error))?;
    Ok(charters.into_iter().filter(|kept| kept.terms.guardian == guardian).collect())
}

/// The rules of the newest charter that names some.
fn rules(own: &[Kept]) -> BTreeMap<String, u64> {
    let newest = own.iter().filter(|kept| !kept.terms.rules.is_empty()).max_by_key(|kept| kept.terms.version);
    newest.map(|kept| kept.terms.rules.clone()).unwrap_or_default()
}

fn say(program: &Program, concern: &Concern) -> Result<(), Failure> {
    let brief = brief(concern.clone());
    if program.json {
        println!("{}", serde_json::to_string(&brief).map_err(Failure::internal)?);
    } else {
        print!("{}", briefs::words(&brief));
    }
    Ok(())
}

/// Writes the order that a charter has standing for this concern, and hands it in.
async fn act(program: &Program, own: &[Kept], concern: &Concern) -> Result<(), Failure> {
    let now = Millis(program.wiring.clock.now_ms());
    let newest = own.iter().max_by_key(|kept| kept.terms.version);
    let Some(kept) = newest else { return Ok(()) };
    let Some(order) = implementer::standing_order(kept.id, &kept.terms, concern, now) else { return Ok(()) };
    // What is over, or stands still already, is no longer to be paused: an order for nothing would only be refused.
    let (_, state) = runs::load(&Reader::at(program.home.clone()), order.run).await?;
    if !matches!(state.run().map(|run| &run.phase), Some(Phase::Open)) {
        return Ok(());
    }
    let payload = order::payload(&order, &[kept.terms.guardian].into()).map_err(Failure::internal)?;
    let bytes = Signatory::Guardian.sign(&program.home, payload).map_err(|error| from_signer(&error))?;
    let id = order::open(&bytes).id;
    if state.run().is_some_and(|run| run.orders.contains(&id)) {
        return Ok(());
    }
    let file = String::from_utf8(bytes).map_err(Failure::internal)?;
    let journal = deliver::journal(program).await?;
    // Handed in and left: whoever holds the run decides, and the fact that follows is watched like any other.
    let handed = deliver::hand(program, &journal, order.run, Paper::Order(file)).await;
    journal.close().await.map_err(|error| crate::failures::from_journal(&error))?;
    handed?;
    eprintln!("ii: ordered a pause of run {} for {} by {}", order.run, concern.rule, kept.name);
    Ok(())
}

/// The process that looks.
struct Sentinel {
    child: Child,
    tell: Option<ChildStdin>,
    hears: Lines<BufReader<ChildStdout>>,
}

fn broken(error: std::io::Error) -> Failure {
    Failure::new(Exit::Internal, format!("the sentinel's process ended: {error}"), "watch again; nothing is lost")
}

impl Sentinel {
    /// Starts it with an empty environment, at the root, with two pipes and nothing else.
    fn start(rules: &BTreeMap<String, u64>) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(broken)?;
        let named = rules.iter().flat_map(|(rule, threshold)| ["--rule".to_owned(), format!("{rule}={threshold}")]);
        let mut child = Command::new(program)
            .args(["guardian", "sentinel"])
            .args(named)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (tell, hears) = (child.stdin.take(), child.stdout.take());
        let hears = hears.ok_or_else(|| Failure::internal("the sentinel has no stdout"))?;
        Ok(Self { child, tell, hears: BufReader::new(hears).lines() })
    }

    /// Tells it lines and the time, and hears what it says of them.
    async fn hear(&mut self, lines: Vec<Line>, now_ms: u64) -> Result<(Vec<Concern>, Vec<Place>), Failure> {
        let mut text = String::new();
        for line in lines.iter().chain([&Line::Clock { now_ms: Millis(now_ms) }]) {
            text.push_str(&line.to_text().map_err(Failure::internal)?);
            text.push('\n');
        }
        let Some(mut tell) = self.tell.take() else { return Err(Failure::internal("the sentinel is told already")) };
        // Told beside hearing: a pipe that is full both ways would wait for ever.
        let telling = tokio::spawn(async move {
            let told = tell.write_all(text.as_bytes()).await;
            told.map(|()| tell)
        });
        let (mut concerns, mut places) = (Vec::new(), BTreeMap::<RunId, Place>::new());
        loop {
            let Some(line) = self.hears.next_line().await.map_err(broken)? else {
                let status = self.child.wait().await.map_err(broken)?;
                let what = format!("the sentinel's process ended: {status}");
                return Err(Failure::new(Exit::Internal, what, "watch again; nothing is lost"));
            };
            match serde_json::from_str(&line).map_err(Failure::internal)? {
                Said::Concern(concern) => concerns.push(concern),
                Said::Place(place) => drop(places.insert(place.run, place)),
                Said::Clock(now) if now.0 == now_ms => break,
                Said::Clock(_) => {}
            }
        }
        self.tell = Some(telling.await.map_err(Failure::internal)?.map_err(broken)?);
        Ok((concerns, places.into_values().collect()))
    }
}
