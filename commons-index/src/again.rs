//! Searching again with what was found, for questions whose answer stands in a passage that the question does not name.
//!
//! From the best passages one goes on: each brings a further query, made of its words that the question does not have and of
//! the question's words that it does not have. A further hit counts by its place in that search and by what the passage that
//! led to it counts. The same for every language that the word index reads: words are chosen by how few passages have them,
//! and only those that another passage has too, since no other word leads anywhere.
//!
//! **Invariant:** no floating point and no clock: the same collections have the same order everywhere.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use common_ground::port::index::{By, Hit, IndexError, Passage, PassageId, Search};

use crate::{
    query,
    search::{MOST_HITS, Placed, having, once},
};

/// How many of the best passages a further search goes on from.
const LEADING: usize = 5;
/// Words that one passage brings to its search.
const BROUGHT: usize = 16;
/// Hits of one further search that count.
const NARROW: u32 = 6;
/// What the best hit of a further search gets of the worth of the passage that led to it, in thousandths.
const HANDED_ON: u64 = 900;
/// Words that more than one in so many passages have lead anywhere.
const COMMON: u64 = 10;
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
                    let adds = share * worth / WHOLE * HANDED_ON / WHOLE;
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
        order.sort_by_key(|place| (Reverse(self.found[*place].worth()), *place));
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
    let leads =
        |term: &str| counts.get(term).copied().filter(|count| *count >= 2 && *count <= all.div_ceil(COMMON).max(2));
    let mut new: Vec<(u64, usize)> = own
        .iter()
        .enumerate()
        .filter(|(_, (term, _))| !asked.contains(term.as_str()))
        .filter_map(|(place, (term, _))| Some((leads(term)?, place)))
        .collect();
    new.sort_unstable();
    new.truncate(BROUGHT);
    if new.is_empty() {
        return None;
    }
    new.sort_unstable_by_key(|(_, place)| *place);
    let open = question.iter().filter(|(term, _)| !has.contains(term.as_str())).map(|(_, word)| *word);
    let query: Vec<&str> = new.iter().map(|(_, place)| own[*place].1).chain(open).collect();
    Some(query.join(" "))
}

/// The best passages of a search that goes on with what it found.
pub(crate) async fn search(all: &[Placed<'_>], search: &Search) -> Result<Vec<(usize, Hit)>, IndexError> {
    let first = Search { limit: MOST_HITS, hops: 0, per_document: None, ..search.clone() };
    let mut pool = Pool::default();
    pool.take(once(all, &first).await?, None);
    let question = query::words(&search.query);
    let mut followed = BTreeSet::new();
    for _hop in 0..search.hops.min(Search::MOST_HOPS) {
        let leading: Vec<usize> =
            pool.best().into_iter().take(LEADING).filter(|place| !followed.contains(place)).collect();
        for place in leading {
            followed.insert(place);
            let passage = &pool.found[place].hit.passage;
            let terms = query::terms(&format!("{}\n{}", passage.title, passage.content));
            let (passages, counts) = having(all, terms.clone()).await?;
            let counts = terms.into_iter().zip(counts).collect();
            let Some(query) = further(&question, passage, &counts, passages) else { continue };
            // Rare words lead on, and vectors say little of a list of them. One more hit is the passage itself.
            let further = Search { query, limit: NARROW + 1, by: By::Words, ..first.clone() };
            let mut hits = once(all, &further).await?;
            hits.retain(|(_of, hit)| hit.passage.id != pool.found[place].hit.passage.id);
            hits.truncate(NARROW as usize);
            pool.take(hits, Some(place));
        }
    }
    Ok(pool.ranked())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use common_ground::{
        citation::Span,
        port::index::{Hit, Passage, PassageId, Why},
    };
    use receipts::Digest;

    use super::{Pool, further};
    use crate::query;

    fn passage(content: &str) -> Passage {
        let text = Digest::of(content.as_bytes());
        let span = Span { start: 0, end: content.len() as u64 };
        let (path, title) = (String::new(), String::new());
        let (headings, sentences, content) = (Vec::new(), Vec::new(), content.to_owned());
        Passage {
            id: PassageId { text, span },
            document: text,
            path,
            title,
            headings,
            content,
            sentences,
            collection: None,
        }
    }

    fn hit(content: &str, score_milli: u64) -> (usize, Hit) {
        (0, Hit { passage: passage(content), score_milli, why: Some(Why::default()) })
    }

    #[test]
    fn a_further_query_is_what_others_have_too_and_what_is_still_open() {
        let question = query::words("Where was the director of Tidewater born?");
        let of = |counts: &[(&str, u64)]| {
            let counts: BTreeMap<String, u64> =
                counts.iter().map(|(term, count)| ((*term).to_owned(), *count)).collect();
            further(&question, &passage("Tidewater: Odalys Brennick, director, likes xylophones here."), &counts, 100)
        };
        let counts = [("odali", 2), ("brennick", 3), ("xylophon", 1), ("like", 11), ("here", 60), ("tidewat", 2)];
        assert_eq!(of(&counts).as_deref(), Some("Odalys Brennick Where born"));
        assert_eq!(of(&counts[2..]), None);
    }

    #[test]
    fn what_is_led_to_counts_by_what_leads_to_it_and_never_twice() {
        let mut pool = Pool::default();
        pool.take(vec![hit("first", 50), hit("second", 40), hit("third", 30)], None);
        pool.take(vec![hit("new", 8), hit("third", 4)], Some(0));
        pool.take(vec![hit("new", 9), hit("second", 9)], Some(1));
        let found: Vec<(String, u64, bool)> = pool
            .ranked()
            .into_iter()
            .map(|(_, hit)| (hit.passage.content, hit.score_milli, hit.why.is_some_and(|why| why.through.is_some())))
            .collect();
        let wanted = [("third", 1050, true), ("first", 1000, false), ("new", 900, true), ("second", 800, false)];
        assert_eq!(found, wanted.map(|(content, score, through)| (content.to_owned(), score, through)));
    }
}
