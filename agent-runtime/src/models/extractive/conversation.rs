//! What the conversation has brought so far: searches with their hits, and passages read.

use common_ground::port::{
    index::{Passage, PassageId},
    model::Turn,
};
use serde::Deserialize;

/// One search and what it found, best first.
#[derive(Debug, Clone)]
pub(super) struct Searched {
    /// In which turn of searches, from 0.
    pub round: usize,
    pub hits: Vec<Hit>,
}

/// One hit, as `commons_search` answers it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hit {
    pub passage: PassageId,
    pub title: String,
    pub score_milli: u64,
    pub content: String,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Passages {
    passages: Vec<Passage>,
}

/// The conversation so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Conversation {
    pub searches: Vec<Searched>,
    pub passages: Vec<Passage>,
    /// Whether passages were asked for, read or not.
    pub read: bool,
    /// Turns with searches in them.
    pub rounds: usize,
}

impl Conversation {
    /// Reads the turns. An answer that cannot be read, or a failed call, brought nothing.
    pub fn read(turns: &[Turn]) -> Self {
        let mut so_far = Self::default();
        let mut asked: Vec<(&str, &str)> = Vec::new();
        for turn in turns {
            match turn {
                Turn::Rules { .. } | Turn::Task { .. } | Turn::Pictures { .. } => {}
                Turn::Model { calls, .. } => {
                    so_far.rounds += usize::from(calls.iter().any(|call| call.tool == "commons_search"));
                    so_far.read |= calls.iter().any(|call| call.tool == "commons_read");
                    asked.extend(calls.iter().map(|call| (&*call.id, &*call.tool)));
                }
                Turn::Tool { call, content, failed } => {
                    let made = asked.iter().find(|(id, _)| id == call);
                    if let Some((_, tool)) = made {
                        so_far.take(tool, if *failed { "" } else { content });
                    }
                }
            }
        }
        so_far
    }

    fn take(&mut self, tool: &str, content: &str) {
        match tool {
            "commons_search" => {
                let hits = serde_json::from_str::<Hits>(content).map(|found| found.hits).unwrap_or_default();
                self.searches.push(Searched { round: self.rounds.saturating_sub(1), hits });
            }
            "commons_read" => {
                let read = serde_json::from_str::<Passages>(content).map(|read| read.passages).unwrap_or_default();
                self.passages.extend(read);
            }
            _other_tool => {}
        }
    }
}
