//! Searching and reading a collection: the port's side of it.

use common_ground::port::{
    BoxFuture,
    index::{CorpusHead, Hit, Index, IndexError, Passage, PassageId, Search},
};

use crate::{
    collection::Collection, error::to_port, ingest::blocking, reading::Missing, store::Revision, words::Words,
};

/// The most hits of one search.
const MOST_HITS: u32 = 100;

impl Index for Collection {
    fn search<'a>(&'a self, search: &'a Search) -> BoxFuture<'a, Result<Vec<Hit>, IndexError>> {
        Box::pin(async move {
            let Some((_revision, words)) = &self.at else {
                return Ok(Vec::new());
            };
            let (words, query, limit) = (words.clone(), search.query.clone(), search.limit.min(MOST_HITS) as usize);
            let found = blocking(&self.store, move || words.search(&query, limit)).await;
            let found = found.and_then(|found| found).map_err(|error| to_port(&error))?;
            let rows: Vec<u64> = found.iter().map(|(_score, row)| *row).collect();
            let passages = self
                .records
                .reading(|mut on| {
                    let rows = &rows;
                    async move { on.passages(rows).await }
                })
                .await;
            let passages = passages.map_err(|error| to_port(&error))?;
            let hit = |(passage, (score_milli, _row))| Hit { passage, score_milli };
            Ok(passages.into_iter().zip(found).map(hit).collect())
        })
    }

    fn read<'a>(&'a self, id: &'a PassageId) -> BoxFuture<'a, Result<Passage, IndexError>> {
        Box::pin(async move {
            let revision = self.at.as_ref().map_or(0, |(revision, _words)| revision.number);
            self.records.reading(|mut on| async move { on.read(id, revision).await }).await.map_err(|missing| {
                match missing {
                    Missing::Text => IndexError::UnknownText { text: id.text },
                    Missing::Span => IndexError::BadSpan { text: id.text, span: id.span },
                    Missing::Store(error) => to_port(&error),
                }
            })
        })
    }

    fn heads(&self) -> Vec<CorpusHead> {
        let head = |(revision, _words): &(Revision, Words)| CorpusHead {
            origin: self.origin(),
            size: revision.size,
            root: revision.root,
        };
        self.at.iter().map(head).collect()
    }
}
