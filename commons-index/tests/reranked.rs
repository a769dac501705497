//! A reranker behind an index: it orders what was found, as far as it is asked, and changes nothing else.

mod common;

use std::sync::{Arc, Mutex};

use common::Commons;
use common_ground::port::{
    BoxFuture,
    index::{By, Hit, Index, IndexError, Search},
    reranker::{RerankError, Reranker},
};
use commons_index::{Collection, Reranked};

/// Judges a passage by the number it tells, and keeps what it was shown.
#[derive(Default)]
struct ByNumber {
    shown: Mutex<Vec<(String, Vec<String>)>>,
}

impl Reranker for ByNumber {
    fn id(&self) -> &str {
        "by-number"
    }

    fn relevance<'a>(&'a self, query: &'a str, texts: &'a [String]) -> BoxFuture<'a, Result<Vec<u32>, RerankError>> {
        self.shown.lock().expect("one test").push((query.to_owned(), texts.to_vec()));
        let number =
            |text: &String| text.rsplit("number ").next().and_then(|rest| rest.trim_end_matches('.').parse().ok());
        let judged: Option<Vec<u32>> = texts.iter().map(|text| number(text).map(|number: u32| number * 1000)).collect();
        let refused =
            || RerankError::Refused { model: "by-number".to_owned(), reason: "no number; write one".to_owned() };
        Box::pin(async move { judged.ok_or_else(refused) })
    }
}

/// Documents in which a word stands the less often the greater their number is.
async fn index(commons: &Commons) -> Collection {
    for number in 0..12 {
        let text = format!("# Title {number}\n\n{}and number {number}.", "wheat ".repeat(13 - number));
        commons.write(&format!("{number:02}.md"), text.as_bytes());
    }
    commons.write("odd.md", b"# Barley\n\nNothing is counted here, barley neither.");
    commons.index().await
}

fn titles(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.passage.title.replace("Title ", "")).collect()
}

#[tokio::test]
async fn the_best_are_judged_and_come_first_in_that_order() {
    for commons in Commons::each(&[]).await {
        let plain = index(&commons).await;
        let (five, twelve) = (Search::new("wheat", 5), Search::new("wheat", 12));
        let before = plain.search(&twelve).await.expect("searches");
        let judge = Arc::new(ByNumber::default());
        let index = Reranked::new(plain, Arc::clone(&judge) as Arc<dyn Reranker>, 8);

        let hits = index.search(&five).await.expect("searches");
        let mut best: Vec<u32> = titles(&before[..8]).iter().map(|title| title.parse().expect("a number")).collect();
        best.sort_unstable_by(|one, other| other.cmp(one));
        let wanted: Vec<String> = best.iter().map(u32::to_string).collect();
        assert_eq!(titles(&hits), wanted[..5], "eight were judged for five");
        let why = hits[0].why.expect("why");
        assert_eq!((hits[0].score_milli, why.relevance_micro), (u64::from(best[0]), Some(best[0] * 1000)));
        assert!(why.words_milli.is_some(), "the index's own scores stay");
        {
            let shown = judge.shown.lock().expect("one test");
            let (query, texts) = &shown[0];
            assert_eq!((query.as_str(), texts.len()), ("wheat", 8));
            assert!(texts[0].starts_with("Title ") && texts[0].contains("wheat"), "{}", texts[0]);
        }

        let all = index.search(&twelve).await.expect("searches");
        assert_eq!(titles(&all)[..8], wanted[..], "the rest follows as it was");
        assert_eq!(titles(&all)[8..], titles(&before)[8..]);
        assert!(all[8..].iter().all(|hit| hit.score_milli == 0 && hit.why.expect("why").relevance_micro.is_none()));

        let words = index.search(&Search { by: By::Words, ..twelve.clone() }).await.expect("searches");
        assert_eq!(words, before, "words alone are words alone");
        assert_eq!(judge.shown.lock().expect("one test").len(), 2);
        assert!(index.search(&Search::new("nowhere", 5)).await.expect("searches").is_empty());
        assert_eq!(judge.shown.lock().expect("one test").len(), 2, "nothing was found, nothing is judged");

        let error = index.search(&Search::new("barley", 5)).await.expect_err("no number there");
        assert!(matches!(&error, IndexError::Unavailable { what } if what.contains("by-number")), "{error}");
        let read = index.read(&before[0].passage.id).await.expect("read");
        assert_eq!(read, before[0].passage);
        assert_eq!(index.heads().len(), 1);
    }
}
