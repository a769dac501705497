//! An index whose best hits a reranker puts in order.
//!
//! **Invariant:** only the order of hits and their scores are the reranker's: what is found, and what each filter lets through, is
//! the index's own.

use std::{cmp::Reverse, sync::Arc};

use common_ground::port::{
    BoxFuture,
    index::{By, CorpusHead, Hit, Index, IndexError, Passage, PassageId, Search, Why},
    reranker::Reranker,
};

/// An index with a reranker.
pub struct Reranked<I> {
    index: I,
    model: Arc<dyn Reranker>,
    most: u32,
}

impl<I: Index> Reranked<I> {
    /// An index of which the best hits of a search, at most `most`, are judged. Searches by words alone or by vectors alone are
    /// left as they are.
    pub fn new(index: I, model: Arc<dyn Reranker>, most: u32) -> Self {
        Self { index, model, most }
    }

    async fn judged(&self, search: &Search) -> Result<Vec<Hit>, IndexError> {
        let wider = Search { limit: search.limit.max(self.most), ..search.clone() };
        let mut hits = self.index.search(&wider).await?;
        let rest = hits.split_off(hits.len().min(self.most as usize));
        let texts: Vec<String> = hits.iter().map(|hit| text(&hit.passage)).collect();
        if texts.is_empty() {
            return Ok(hits);
        }
        let judged = self.model.relevance(&search.query, &texts).await;
        let judged = judged.map_err(|error| IndexError::Unavailable { what: error.to_string() })?;
        let mut all: Vec<(u32, Hit)> = judged.into_iter().zip(hits).collect();
        // Equals stay as the index had them.
        all.sort_by_key(|(relevance, _hit)| Reverse(*relevance));
        let best = all.into_iter().map(|(relevance, hit)| Hit {
            score_milli: u64::from(relevance / 1000),
            why: Some(Why { relevance_micro: Some(relevance), ..hit.why.unwrap_or_default() }),
            ..hit
        });
        // What was not judged comes after what was, and has no score beside it.
        let rest = rest.into_iter().map(|hit| Hit { score_milli: 0, ..hit });
        Ok(best.chain(rest).take(search.limit as usize).collect())
    }
}

/// A passage as a reranker reads it.
fn text(passage: &Passage) -> String {
    let head =
        std::iter::once(&passage.title).chain(&passage.headings).map(String::as_str).collect::<Vec<_>>().join(" — ");
    format!("{head}\n{}", passage.content)
}

impl<I: Index> Index for Reranked<I> {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        match search.by {
            By::Best => Box::pin(self.judged(search)),
            By::Words | By::Vectors => self.index.search(search),
        }
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        self.index.read(id)
    }

    fn beside<'a>(&'a self, id: &'a PassageId, most: u32) -> BoxFuture<'a, Result<Vec<Passage>, IndexError>> {
        self.index.beside(id, most)
    }

    fn heads(&self) -> Vec<CorpusHead> {
        self.index.heads()
    }
}
