//! Searching again with what was found, for questions whose answer stands in a passage that the question does not name.
//!
//! From the best passages one goes on: each brings a further query, made of its words that the question does not have and of
//! the question's words that it does not have. A further hit counts by its place in that search and by what the passage that
//! led to it counts. The same for every language that the word index reads: words are chosen by how few passages have them,
//! and only those that another passage has too, since no other word leads anywhere.
//!
//! **Invariant:** no floating point and no clock: the same collections have the same order everywhere.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::port::index::{Hit, IndexError, Passage, PassageId, Search};

use crate::{
    query,
    search::{MOST_HITS, Placed, having, once},
};

pub static TUNE: std::sync::RwLock<[u64; 8]> = std::sync::RwLock::new([5, 8, 600, 12, 1, 1, 0, 0]);
fn tune(n: usize) -> u64 { TUNE.read().unwrap()[n] }

/// Scores are thousandths of the best hit's.
const WHOLE: u64 = 1000;

/// A passage found so far.
struct Found {
    /// Of which collection.
    of: usize,
    hit: Hit,
    /// What the question's own search gives it, as a share of the best.
    first: u64,
    /// The most that a further search adds.
    further: u64,
}

impl Found {
    fn worth(&self) -> u64 {
        self.first + self.further
    }
}

/// All of them, in the order in which they came up.
#[derive(Default)]
struct Pool {
    found: Vec<Found>,
    places: BTreeMap<PassageId, usize>,
}

impl Pool {
    fn place(&mut self, of: usize, hit: Hit) -> usize {
        *self.places.entry(hit.passage.id).or_insert_with(|| {
            self.found.push(Found { of, hit, first: 0, further: 0 });
            self.found.len() - 1
        })
    }

    /// Takes what a search found: the question's own, or one that a passage led to.
    fn take(&mut self, hits: Vec<(usize, Hit)>, through: Option<usize>) {
        let best = hits.first().map_or(1, |(_of, hit)| hit.score_milli.max(1));
        let from = through.map(|place| (self.found[place].worth(), self.found[place].hit.passage.id));
        for (of, hit) in hits {
            let share = hit.score_milli * WHOLE / best;
            let place = self.place(of, hit);
            let one = &mut self.found[place];
            match from {
                None => one.first = share,
                Some((_, id)) if id == one.hit.passage.id => {}
                Some((worth, id)) => {
                    let adds = share * worth / WHOLE * tune(2) / WHOLE;
                    if adds > one.further {
                        one.further = adds;
                        if let Some(why) = &mut one.hit.why {
                            why.through = Some(id);
                        }
                    }
                }
            }
        }
    }

    /// Places of the best, which came first among equals.
    fn best(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.found.len()).collect();
        order.sort_by_key(|place| (std::cmp::Reverse(self.found[*place].worth()), *place));
        order
    }

    fn ranked(self) -> Vec<(usize, Hit)> {
        let order = self.best();
        let mut found: Vec<Option<Found>> = self.found.into_iter().map(Some).collect();
        let one = |place: usize| {
            let one = found[place].take()?;
            Some((one.of, Hit { score_milli: one.worth(), ..one.hit }))
        };
        order.into_iter().filter_map(one).collect()
    }
}

/// The query that a passage brings; none where it has nothing that leads on.
fn further(question: &[(String, &str)], passage: &Passage, counts: &BTreeMap<String, u64>, all: u64) -> Option<String> {
    let text = format!("{}\n{}", passage.title, passage.content);
    let own = query::words(&text);
    let asked: BTreeSet<&str> = question.iter().map(|(term, _)| term.as_str()).collect();
    let has: BTreeSet<&str> = own.iter().map(|(term, _)| term.as_str()).collect();
    // Known to few passages, but to another one.
    let leads = |term: &str| counts.get(term).copied().filter(|count| *count >= 2 && *count <= all.div_ceil(10).max(2));
    let mut new: Vec<(u64, usize)> = own
        .iter()
        .enumerate()
        .filter(|(_, (term, _))| !asked.contains(term.as_str()))
        .filter_map(|(place, (term, _))| Some((leads(term)?, place)))
        .collect();
    new.sort_unstable();
    new.truncate(usize::try_from(tune(1)).unwrap_or(0));
    if new.is_empty() {
        return None;
    }
    new.sort_unstable_by_key(|(_, place)| *place);
    let open = question.iter().filter(|(term, _)| !has.contains(term.as_str())).map(|(_, word)| *word);
    let words: Vec<&str> = new.iter().map(|(_, place)| own[*place].1).collect();
    let mut query: Vec<&str> = Vec::new();
    for _ in 0..tune(5) { query.extend(words.iter().copied()); }
    for _ in 0..tune(4) { query.extend(open.clone()); }
    Some(query.join(" "))
}

/// The best passages of a search that goes on with what it found.
pub(crate) async fn search(all: &[Placed<'_>], search: &Search) -> Result<Vec<(usize, Hit)>, IndexError> {
    let plain = |query: String, limit: u32| Search { query, limit, hops: 0, per_document: None, ..search.clone() };
    let mut pool = Pool::default();
    pool.take(once(all, &plain(search.query.clone(), MOST_HITS)).await?, None);
    let question = query::words(&search.query);
    let mut followed = BTreeSet::new();
    for _hop in 0..search.hops.min(Search::MOST_HOPS) {
        let leading: Vec<usize> = pool.best().into_iter().take(usize::try_from(tune(0)).unwrap_or(0)).filter(|place| !followed.contains(place)).collect();
        for place in leading {
            followed.insert(place);
            let passage = &pool.found[place].hit.passage;
            let terms = query::terms(&format!("{}\n{}", passage.title, passage.content));
            let (passages, counts) = having(all, terms.clone()).await?;
            let counts = terms.into_iter().zip(counts).collect();
            if let Some(query) = further(&question, passage, &counts, passages) {
                pool.take(once(all, &plain(query, tune(3) as u32)).await?, Some(place));
            }
        }
    }
    Ok(pool.ranked())
}
