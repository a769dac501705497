//! What models say while they say it, on its way to the eyes: gathered by whoever hears it, taken by whoever draws.
//!
//! **Invariant:** who hears never waits for who draws: what waits is bounded, and at most one [`Event::Heard`] waits with it.

use std::{
    mem,
    sync::{Mutex, PoisonError, mpsc::Sender},
};

use common_ground::{RunId, StepIndex, module::Owner};

use crate::event::Event;

/// Most bytes kept of what one call says, while it waits and while it is shown: its end.
pub const MOST: usize = 8 << 10;
/// Most calls of which something waits.
const MOST_CALLS: usize = 256;

/// What one call said since it was looked at last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Of which run.
    pub run: RunId,
    /// Whose call it is.
    pub owner: Owner,
    /// Which step.
    pub step: StepIndex,
    /// Whether what it said before still counts.
    pub before: Before,
    /// What it said, as the model wrote it.
    pub more: String,
}

/// What becomes of what a call said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It stays, and more follows it.
    Stays,
    /// It came to nothing.
    Goes,
}

/// Where it waits.
#[derive(Debug)]
pub struct Heard {
    // A lock, since models speak on threads of their own; held while a piece is copied, and never across a wait.
    waiting: Mutex<Vec<Spoken>>,
    happens: Sender<Event>,
}

impl Heard {
    /// Nothing waits yet. `happens` is told when something does.
    pub fn new(happens: Sender<Event>) -> Self {
        Self { waiting: Mutex::new(Vec::new()), happens }
    }

    /// Adds what a call says; the eyes are told of the first piece that waits.
    pub fn add(&self, spoken: Spoken) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        let same = |one: &Spoken| (one.run, one.owner, one.step) == (spoken.run, spoken.owner, spoken.step);
        match waiting.iter().position(same) {
            Some(place) => {
                let known = &mut waiting[place];
                if spoken.before == Before::Goes {
                    known.before = Before::Goes;
                    known.more.clear();
                }
                known.more.push_str(&spoken.more);
                keep_end(&mut known.more, MOST);
            }
            None if waiting.len() < MOST_CALLS => waiting.push(spoken),
            None => return,
        }
        // Told under the lock: whatever happens to the call later comes after it. Where the eyes are closed, nobody looks.
        if was_empty && self.happens.send(Event::Heard).is_err() {
            waiting.clear();
        }
    }

    /// All that waits.
    pub fn take(&self) -> Vec<Spoken> {
        mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps the end of a text that has more than so many bytes: half of them, so that its beginning seldom moves.
pub fn keep_end(text: &mut String, most: usize) {
    if text.len() > most {
        let from = (text.len() - most / 2..=text.len()).find(|at| text.is_char_boundary(*at));
        text.drain(..from.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use common_ground::{RunId, StepIndex, module::Owner, role::Role};

    use super::{Before, Heard, MOST, Spoken};
    use crate::event::Event;

    fn spoken(step: u32, more: &str) -> Spoken {
        let owner = Owner::Role { role: Role::Principal };
        let run = RunId(uuid::Uuid::from_u128(1));
        Spoken { run, owner, step: StepIndex(step), before: Before::Stays, more: more.to_owned() }
    }

    #[test]
    fn a_screen_that_hangs_costs_bounded_memory_and_one_event() {
        let (happens, events) = channel();
        let heard = Heard::new(happens);
        for number in 0..10_000 {
            heard.add(spoken(number % 3, "twenty bytes and ä, ä"));
            heard.add(spoken(1_000 + number, "x"));
        }
        let waiting = heard.take();
        assert!(waiting.len() <= super::MOST_CALLS && waiting.iter().all(|one| one.more.len() <= MOST));
        assert!(waiting[0].more.ends_with("and ä, ä"), "the end is kept");
        assert_eq!(events.try_iter().collect::<Vec<_>>(), [Event::Heard]);
        heard.add(spoken(0, "more"));
        assert_eq!(events.try_iter().count(), 1, "what comes after it was taken is told anew");
    }

    #[test]
    fn what_came_to_nothing_is_gone_also_where_it_waits() {
        let (happens, _events) = channel();
        let heard = Heard::new(happens);
        heard.add(spoken(0, "wrong"));
        heard.add(Spoken { before: Before::Goes, ..spoken(0, "") });
        assert_eq!(heard.take(), [Spoken { before: Before::Goes, ..spoken(0, "") }]);
    }
}
