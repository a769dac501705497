//! A conversation within its model's window: counted before each call, and made to fit by rule.
//!
//! Old tool results give way to their digests first; then old turns give way to a summary that the model writes. Rules,
//! skills, the task and the latest round always stay. Each time is a fact.
//!
//! **Invariant:** what does not fit is refused, never cut.

use common_ground::{
    module::{Compaction, CompactionRule, WorkError},
    port::model::{ModelError, ModelRequest, Reply, Turn},
    role::Role,
};
use receipts::Digest;

use super::prompts::SUMMARY;
use crate::driver::{Answer, Desk, Stop};

/// Shorter tool results are not worth a digest.
const WORTH_A_DIGEST: usize = 400;
/// The most tokens of a summary.
const SUMMARY_TOKENS: u64 = 1024;

/// Why a conversation was not made to fit.
pub(super) enum Unfit {
    /// Nothing more may be left out.
    TooLarge(WorkError),
    /// The work stopped.
    Stop(Stop),
}

impl From<Stop> for Unfit {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// The most tokens an answer may have in a window: a quarter of it, and no more than asked for.
pub(super) fn answer_tokens(window: Option<u64>, wanted: u64) -> u64 {
    window.map_or(wanted, |window| wanted.min(window / 4).max(1))
}

/// Makes the request fit; says whether anything was left out for that. The first `kept` turns stay as they are; `reminder` goes with a summary.
pub(super) async fn fit(
    desk: &mut Desk,
    request: &mut ModelRequest,
    kept: usize,
    reminder: &str,
) -> Result<bool, Unfit> {
    let Some(window) = desk.model().window() else { return Ok(false) };
    let room = window.saturating_sub(request.max_tokens);
    let before = desk.count(request).await?;
    if before <= room {
        return Ok(false);
    }
    let after = to_digests(desk, request, kept, room).await?;
    if let Some((after, turns)) = after {
        desk.compacted(Compaction { rule: CompactionRule::Digests, turns, before, after });
        if after <= room {
            return Ok(true);
        }
    }
    let before = desk.count(request).await?;
    let Some(turns) = to_summary(desk, request, kept, reminder).await? else {
        return Err(too_large(before.saturating_add(request.max_tokens), window));
    };
    let after = desk.count(request).await?;
    desk.compacted(Compaction { rule: CompactionRule::Summary, turns, before, after });
    if after <= room { Ok(true) } else { Err(too_large(after.saturating_add(request.max_tokens), window)) }
}

fn too_large(need: u64, window: u64) -> Unfit {
    Unfit::TooLarge(WorkError::Context { need, window })
}

/// Where the latest round begins: the last turn of the model that made calls.
fn latest(turns: &[Turn], kept: usize) -> usize {
    let calls = |turn: &Turn| matches!(turn, Turn::Model { calls, .. } if !calls.is_empty());
    turns.iter().rposition(calls).map_or(turns.len(), |place| place.max(kept))
}

/// Replaces old tool results, oldest first, until the request fits: tokens afterwards and how many were replaced.
async fn to_digests(
    desk: &Desk,
    request: &mut ModelRequest,
    kept: usize,
    room: u64,
) -> Result<Option<(u64, u32)>, Stop> {
    let mut state = None;
    for place in kept..latest(&request.turns, kept) {
        let Some(Turn::Tool { content, .. }) = request.turns.get_mut(place) else { continue };
        if content.len() < WORTH_A_DIGEST {
            continue;
        }
        let digest = Digest::of(content.as_bytes());
        *content = format!("(left out to make room: {} bytes, sha256 {digest}; call again to see it)", content.len());
        let replaced = state.map_or(0, |(_, replaced)| replaced) + 1;
        let after = desk.count(request).await?;
        state = Some((after, replaced));
        if after <= room {
            break;
        }
    }
    Ok(state)
}

/// Replaces old turns by a summary of the model's own; `None` when there are none to replace.
async fn to_summary(
    desk: &mut Desk,
    request: &mut ModelRequest,
    kept: usize,
    reminder: &str,
) -> Result<Option<u32>, Unfit> {
    let end = latest(&request.turns, kept);
    let old: Vec<Turn> = request.turns.get(kept..end).unwrap_or_default().to_vec();
    if old.is_empty() {
        return Ok(None);
    }
    let window = desk.model().window();
    let asked = ModelRequest {
        model: request.model.clone(),
        role: Role::Associate,
        turns: vec![
            Turn::Rules { text: SUMMARY.text.to_owned() },
            Turn::Task { text: old.iter().map(shown).collect() },
        ],
        tools: Vec::new(),
        reply: Reply::Text,
        max_tokens: answer_tokens(window, SUMMARY_TOKENS),
    };
    let summary = match desk.ask(&asked).await? {
        Answer::Said { text, .. } if !text.trim().is_empty() => text,
        Answer::Failed { error: ModelError::TooLarge { need, window, .. } } => return Err(too_large(need, window)),
        Answer::Said { .. } | Answer::Failed { .. } => {
            let detail = "the model gave no summary of its work when its window was full".to_owned();
            return Err(Unfit::TooLarge(WorkError::Protocol { detail }));
        }
    };
    let text = format!("What was done before, in your own words:\n{}\n{reminder}", summary.trim());
    request.turns.splice(kept..end, [Turn::Task { text }]);
    Ok(Some(u32::try_from(old.len()).unwrap_or(u32::MAX)))
}

/// A turn as text, for a reader that was not there.
pub(super) fn shown(turn: &Turn) -> String {
    match turn {
        Turn::Rules { text } | Turn::Task { text } => format!("Task: {text}\n"),
        Turn::Pictures { pictures } => {
            pictures.iter().map(|shown| format!("Picture: {}\n", shown.picture.label())).collect()
        }
        Turn::Model { text, calls } => {
            let calls: String =
                calls.iter().map(|call| format!("Called {} with {}\n", call.tool, call.arguments)).collect();
            if text.is_empty() { calls } else { format!("Said: {text}\n{calls}") }
        }
        Turn::Tool { content, failed, .. } => format!("{}: {content}\n", if *failed { "Failed" } else { "Answer" }),
    }
}
