//! What the eyes only look at: runs on record, contents, passages, receipts. Nothing of a run is done again for it.

use std::{path::Path, process::Stdio, time::Duration};

use common_ground::{
    Millis, RunId,
    citation::{Citation, Span},
    port::index::{Index, PassageId, Search},
    run::Phase,
};
use receipts::{Digest, ledger::outbox::Standing};
use tui::{
    Event,
    event::{Around, Hit, ReceiptState, RunLine, TellTone, Work},
};

use super::{asks::Shared, drives::for_eyes};
use crate::{
    cli::{runs, shown, verify as receipts_of},
    commons::Commons,
    exit::{Exit, Failure},
    failures::from_journal,
    show, wiring,
};

/// How often a run that another program works on is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Bytes of text shown before and after a quote, where there are as many.
const AROUND: [u64; 5] = [600, 300, 150, 60, 20];
/// Bytes that a letter has at most: a span that cuts one is tried so many bytes on.
const LETTER: u64 = 4;
/// Runs that are looked at when the eyes open.
const LOOKED_AT: usize = 5;
/// Files that `@` finds at most.
const MOST_NAMES: usize = 20_000;
/// How long a command of the person's own may take.
const COMMAND: Duration = Duration::from_secs(120);
/// What is shown of what it puts out, in bytes.
const OUTPUT: usize = 64 << 10;

/// Says that questions of earlier runs wait.
pub(super) async fn waiting(shared: &Shared<'_>) {
    let Some(reader) = runs::reader(shared.program) else { return };
    let rows = match reader.runs().await {
        Ok(rows) => rows,
        Err(error) => return shared.fail(&from_journal(&error)),
    };
    let mut still = 0;
    for row in rows.iter().take(LOOKED_AT) {
        match runs::load(&reader, row.run).await {
            Ok((_, state)) => {
                still += usize::from(state.run().is_some_and(|run| !matches!(run.phase, Phase::Closed { .. })))
            }
            Err(failure) => shared.fail(&failure),
        }
    }
    if still > 0 {
        let (noun, verb) = if still == 1 { ("run", "is") } else { ("runs", "are") };
        shared.say(TellTone::Note, vec![format!("{still} {noun} {verb} not over: /runs shows them, and goes on")]);
    }
}

/// The runs there are.
pub(super) async fn runs(shared: Shared<'_>) {
    match lines(&shared).await {
        Ok(lines) => shared.tell(Event::Runs(lines)),
        Err(failure) => {
            shared.tell(Event::Runs(Vec::new()));
            shared.fail(&failure);
        }
    }
}

async fn lines(shared: &Shared<'_>) -> Result<Vec<RunLine>, Failure> {
    let mut lines = Vec::new();
    let Some(reader) = runs::reader(shared.program) else { return Ok(lines) };
    for row in reader.runs().await.map_err(|error| from_journal(&error))? {
        let (_, state) = runs::load(&reader, row.run).await?;
        let (word, outcome) = runs::words(&row, &state, runs::alive(shared.program, &row)?);
        let question = state.run().map(|run| run.task.question.clone()).unwrap_or_default();
        let state = outcome.unwrap_or(word).replace('_', " ");
        lines.push(RunLine { run: row.run, state, question, opened: Millis(row.created_ms) });
    }
    Ok(lines)
}

/// A run on record; one that another program works on is followed until it rests or another is opened.
pub(super) async fn open(shared: Shared<'_>, run: RunId) {
    if let Err(failure) = opened(&shared, run).await {
        shared.fail(&failure);
    }
}

async fn opened(shared: &Shared<'_>, run: RunId) -> Result<(), Failure> {
    shared.opened.set(shared.opened.get() + 1);
    let own = shared.opened.get();
    let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
    let row = reader.run(id).await.map_err(|error| from_journal(&error))?;
    let goes_on = row.map(|row| runs::alive(shared.program, &row)).transpose()?.unwrap_or(false);
    let facts = facts(shared, run).await?;
    let mut seq = facts.last().map_or(0, |placed| placed.seq);
    let worked_on = if goes_on { Work::GoesOn } else { Work::Rests };
    shared.in_view.set(Some(run));
    shared.tell(Event::Opened { run, facts, worked_on });
    let mut follows = goes_on;
    while follows {
        tokio::time::sleep(EVERY).await;
        if shared.opened.get() != own {
            return Ok(());
        }
        let row = reader.run(id).await.map_err(|error| from_journal(&error))?;
        follows = row.map(|row| runs::alive(shared.program, &row)).transpose()?.unwrap_or(false);
        seq = tell_since(shared, run, seq).await?;
    }
    Ok(())
}

/// Brings a run on record into view, where it is not.
pub(super) async fn bring(shared: &Shared<'_>, run: RunId) -> Result<(), Failure> {
    if shared.in_view.get() == Some(run) {
        return Ok(());
    }
    let facts = facts(shared, run).await?;
    shared.in_view.set(Some(run));
    shared.tell(Event::Opened { run, facts, worked_on: Work::Rests });
    Ok(())
}

/// Tells what was recorded of a run, from its first fact: what is known already is passed over.
pub(super) async fn catch_up(shared: &Shared<'_>, run: RunId) -> Result<u64, Failure> {
    tell_since(shared, run, 0).await
}

async fn tell_since(shared: &Shared<'_>, run: RunId, seq: u64) -> Result<u64, Failure> {
    let facts = facts(shared, run).await?;
    let last = facts.last().map_or(seq, |placed| placed.seq);
    if last > seq {
        shared.tell(Event::Recorded { run, facts });
        receipts(shared, run).await?;
    }
    Ok(last)
}

/// Tells which receipts of a run came further than sealed.
pub(super) async fn receipts(shared: &Shared<'_>, run: RunId) -> Result<(), Failure> {
    let Some(reader) = runs::reader(shared.program) else { return Ok(()) };
    for row in reader.outbox_of(Some(run)).await.map_err(|error| from_journal(&error))? {
        let state = match row.state.standing() {
            Standing::Logged => ReceiptState::Logged,
            Standing::Credited => ReceiptState::Credited,
            Standing::Sealed | Standing::Refused | Standing::Conflict => continue,
        };
        shared.tell(Event::Receipt { receipt: row.receipt_id, state });
    }
    Ok(())
}

/// All facts of a run, the last with its report.
async fn facts(shared: &Shared<'_>, run: RunId) -> Result<Vec<tui::Placed>, Failure> {
    let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
    let (facts, state) = runs::load(&reader, id).await?;
    let end = match state.run() {
        Some(run) => runs::end_of(&reader, run).await?,
        None => None,
    };
    let report = end.as_ref().and_then(|end| match end {
        agent_runtime::driver::End::Closed { report, .. } => report.as_ref(),
        agent_runtime::driver::End::Paused { .. } => None,
    });
    Ok(facts.iter().map(|placed| for_eyes(placed, report)).collect())
}

/// A content on record, as text.
pub(super) async fn content(shared: Shared<'_>, digest: Digest) {
    let read = async {
        let reader = runs::reader(shared.program)?;
        Some(reader.blob(digest).await.map_err(|error| from_journal(&error).to_string()))
    };
    let text = match read.await {
        Some(Ok(Some(bytes))) => String::from_utf8(bytes).map_err(|_binary| "it is no text".to_owned()),
        Some(Ok(None)) | None => Err("it is not on record".to_owned()),
        Some(Err(failure)) => Err(failure),
    };
    shared.tell(Event::Content { digest, text });
}

/// A cited passage in the midst of its text.
pub(super) async fn passage(shared: Shared<'_>, run: RunId, citation: Citation) {
    let text = around(&shared, run, &citation).await.map_err(|failure| failure.to_string());
    shared.tell(Event::Passage { citation: Box::new(citation), text });
}

async fn around(shared: &Shared<'_>, run: RunId, citation: &Citation) -> Result<Around, Failure> {
    let (reader, id) = runs::find(shared.program, &run.to_string()).await?;
    let (_, state) = runs::load(&reader, id).await?;
    let collection = citation.collection.clone().or_else(|| state.run().map(|run| run.task.collection.clone()));
    let collection = collection.unwrap_or_default();
    let (config, _) = shared.config()?;
    let signer = wiring::signer(&shared.program.home, &config, &shared.program.wiring.clock)?;
    let index = Commons::open(&shared.program.home, &config, &signer).await?.named(&collection).await?;
    let quote = read(&index, citation.text, citation.span).await.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("{} is not in the collection any more", citation.path),
            "its digest stays cited",
        )
    })?;
    let Span { start, end } = citation.span;
    let widths = || AROUND.into_iter().flat_map(|width| (0..LETTER).map(move |less| width - less));
    let before = widths().map(|width| Span { start: start.saturating_sub(width), end: start });
    let before = nearest(&index, citation.text, before).await;
    let after = nearest(&index, citation.text, widths().map(|width| Span { start: end, end: end + width })).await;
    Ok(Around { before, quote, after })
}

/// The first of these spans that is one of the text: a span must not cut a letter, nor pass the end.
async fn nearest(index: &impl Index, text: Digest, spans: impl Iterator<Item = Span>) -> String {
    for span in spans.filter(|span| !span.is_empty()) {
        if let Some(found) = read(index, text, span).await {
            return found;
        }
    }
    String::new()
}

async fn read(index: &impl Index, text: Digest, span: Span) -> Option<String> {
    index.read(&PassageId { text, span }).await.ok().map(|passage| passage.content)
}

/// Passages for plain words, from where answers come from.
pub(super) async fn search(shared: Shared<'_>, query: String) {
    let hits = found(&shared, &query).await.map_err(|failure| failure.to_string());
    shared.tell(Event::Found { query, hits });
}

async fn found(shared: &Shared<'_>, query: &str) -> Result<Vec<Hit>, Failure> {
    let (config, _) = shared.config()?;
    let sources = shared.sources(&config)?;
    let signer = wiring::signer(&shared.program.home, &config, &shared.program.wiring.clock)?;
    let (index, _skipped) = sources
        .open(&shared.program.home, &config, (&signer, &shared.program.wiring.clock), &mut |_progress| {})
        .await?;
    let hits = index.search(&Search::new(query, 20)).await;
    let hits =
        hits.map_err(|error| Failure::new(Exit::Storage, error.to_string(), "`ii commons verify` looks into it"))?;
    let hit = |hit: common_ground::port::index::Hit| {
        let passage = hit.passage;
        let citation = Citation {
            path: passage.path,
            document: passage.document,
            text: passage.id.text,
            span: passage.id.span,
            quote: passage.content,
            collection: passage.collection,
        };
        Hit { citation, title: passage.title }
    };
    Ok(hits.into_iter().map(hit).collect())
}

/// The receipts of a run, checked by the code that `ii verify` has.
pub(super) async fn verify(shared: Shared<'_>, run: RunId) {
    match receipts_of::of_run(shared.program, run).await {
        Ok((holds, lines)) => shared.say(if holds { TellTone::Good } else { TellTone::Bad }, lines),
        Err(failure) => shared.fail(&failure),
    }
}

/// Names for `@`: files of the folder that answers come from, and collections.
pub(super) async fn names(shared: Shared<'_>) {
    let mut names = Vec::new();
    match shared.config() {
        Ok((config, _)) => {
            if let Some(folder) = config.docs {
                let walked = tokio::task::spawn_blocking(move || files(&folder)).await;
                names.extend(walked.unwrap_or_default());
            }
        }
        Err(failure) => shared.fail(&failure),
    }
    shared.tell(Event::Names(names));
}

/// Files beneath a folder, without those whose names begin with a dot.
fn files(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // A folder that cannot be read has no names to offer.
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            match entry.file_type() {
                Ok(kind) if !hidden && kind.is_dir() => folders.push(path),
                Ok(kind) if !hidden && kind.is_file() => {
                    names.extend(path.strip_prefix(folder).ok().map(|name| name.display().to_string()));
                }
                Ok(_) | Err(_) => {}
            }
            if names.len() >= MOST_NAMES {
                return names;
            }
        }
    }
    names.sort_unstable();
    names
}

/// A command of the person's own, with the person's rights; what it puts out is shown and goes nowhere else.
pub(super) async fn shell(shared: Shared<'_>, command: String) {
    let mut shell = tokio::process::Command::new("sh");
    shell.arg("-c").arg(&command).stdin(Stdio::null()).kill_on_drop(true);
    let (tone, text) = match tokio::time::timeout(COMMAND, shell.output()).await {
        Err(_late) => (TellTone::Bad, format!("it was ended after {} seconds", COMMAND.as_secs())),
        Ok(Err(error)) => (TellTone::Bad, format!("it cannot be run: {error}")),
        Ok(Ok(output)) => {
            let all = [output.stdout, output.stderr].concat();
            let cut =
                if all.len() > OUTPUT { format!("\n… {} bytes more", all.len() - OUTPUT) } else { String::new() };
            let text = String::from_utf8_lossy(&all[..all.len().min(OUTPUT)]).into_owned() + &cut;
            let failed = if output.status.success() { String::new() } else { format!("\n{}", output.status) };
            (TellTone::Output, text + &failed)
        }
    };
    shared.say(tone, text.lines().map(show::plain).collect());
}

/// The conversation as a file that was not there before.
pub(super) fn export(shared: &Shared<'_>, path: Option<String>, markdown: &str) {
    let named = path.unwrap_or_else(|| format!("conversation-{}.md", shared.program.wiring.clock.now_ms()));
    let path = Path::new(&named);
    let written =
        std::fs::File::create_new(path).and_then(|mut file| std::io::Write::write_all(&mut file, markdown.as_bytes()));
    match written {
        Ok(()) => shared.say(TellTone::Good, vec![format!("written to {}", shown(path))]),
        Err(error) => {
            let what = format!("{} cannot be written: {error}", shown(path));
            shared.fail(&Failure::new(Exit::Usage, what, "name another file: /export FILE"));
        }
    }
}
