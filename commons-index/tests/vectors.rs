//! Vectors of passages: made once, complete or not used, scanned exactly, drawn again when they are lost.

mod common;

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{Commons, ingest};
use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
    index::{By, Filter, Hit, Index, IndexError, Search},
};
use commons_index::{Collection, VectorError, Vectored};
use receipts::Digest;

const DIMENSIONS: usize = 32;

/// A word is a direction, and a text the sum of its words; so texts with words in common are near.
struct Bag {
    name: &'static str,
    /// Texts embedded so far, and how many are allowed.
    made: AtomicUsize,
    most: AtomicUsize,
}

impl Bag {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, made: AtomicUsize::new(0), most: AtomicUsize::new(usize::MAX) })
    }
}

fn bag(text: &str) -> Vec<f32> {
    let mut sum = [0.0_f32; DIMENSIONS];
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        for (number, byte) in sum.iter_mut().zip(Digest::of(word.to_lowercase().as_bytes()).0) {
            *number += f32::from(byte) - 127.5;
        }
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt().max(1e-9);
    sum.iter().map(|number| number / length).collect()
}

impl Embedder for Bag {
    fn id(&self) -> &str {
        self.name
    }

    fn space(&self) -> Digest {
        Digest::of(self.name.as_bytes())
    }

    fn dimensions(&self) -> u32 {
        DIMENSIONS as u32
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move {
            let made = self.made.fetch_add(texts.len(), Ordering::Relaxed);
            if made + texts.len() > self.most.load(Ordering::Relaxed) {
                self.made.fetch_sub(texts.len(), Ordering::Relaxed);
                let (model, reason) = (self.name.to_owned(), "it is switched off".to_owned());
                return Err(EmbedError::Unreachable { model, reason });
            }
            Ok(texts.iter().map(|text| bag(text)).collect())
        })
    }
}

/// Documents of two folders, of a few passages each.
fn documents() -> Vec<(String, String)> {
    let words = ["ship", "wheat", "lamp", "river", "glass", "stone", "bread", "rope"];
    let text = |number: usize| {
        let line = |turn: usize| {
            let word = |step: usize| words[(number * 3 + turn * 5 + step * step) % words.len()];
            format!("## Part {turn}\n\n{} {} {} number {number} of turn {turn}.\n\n", word(0), word(1), word(2))
                .repeat(9)
        };
        format!("# Document {number}\n\n{}", (0..4).map(line).collect::<String>())
    };
    let folder = |number: usize| if number.is_multiple_of(10) { "rare" } else { "usual" };
    (0..60).map(|number| (format!("{}/{number:02}.md", folder(number)), text(number))).collect()
}

async fn filled(commons: &Commons, model: &Arc<Bag>) -> Collection {
    let mut index = commons.index().await;
    index.use_embedder(Arc::clone(model) as Arc<dyn Embedder>).await.expect("named");
    index.embed(&mut |_at| {}).await.expect("embedded");
    index
}

async fn each() -> Vec<Commons> {
    let documents = documents();
    let pairs: Vec<(&str, &str)> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Commons::each(&pairs).await
}

async fn by(index: &Collection, by: By, query: &str, limit: u32, filter: Filter) -> Result<Vec<Hit>, IndexError> {
    index.search(&Search { query: query.to_owned(), limit, by, filter }).await
}

fn under(folder: &str) -> Filter {
    Filter { sources: vec![folder.to_owned()], ..Filter::default() }
}

#[tokio::test]
async fn the_scan_finds_what_comparing_everything_finds_however_few_documents_fit() {
    let mut told: Vec<Vec<Vec<Hit>>> = Vec::new();
    for commons in each().await {
        let mut hits_of = Vec::new();
        let model = Bag::new("bag");
        let index = filled(&commons, &model).await;
        assert_eq!(index.vectored(), Vectored::Ready { model: "bag".to_owned() });
        let filters = [Filter::default(), under("usual/"), under("rare/"), under("rare/00"), under("none/")];
        for query in ["ship of turn 2", "glass bread rope", "Document 40", "no such words"] {
            let near = bag(query);
            let all = by(&index, By::Vectors, query, 100, Filter::default()).await.expect("found");
            // Every passage there is, compared in double precision.
            let mut wanted: Vec<(i64, String)> = Vec::new();
            for (path, text) in documents() {
                let title = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
                let whole = by(&index, By::Words, &title, 100, under(&path)).await.expect("found");
                for hit in whole {
                    let head =
                        std::iter::once(&hit.passage.title).chain(&hit.passage.headings).cloned().collect::<Vec<_>>();
                    let vector = bag(&format!("{}\n{}", head.join("\n"), hit.passage.content));
                    let product: f64 = vector.iter().zip(&near).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    wanted.push(((product * 1e6).round() as i64, hit.passage.path));
                }
            }
            wanted.sort_by_key(|(score, _)| -score);
            for (hit, (score, _)) in all.iter().zip(&wanted) {
                let found = hit.why.and_then(|why| why.vectors_micro).expect("a score");
                assert!((found - score).abs() < 2_000, "{query}: {found} is not {score}, but for half precision");
            }
            for filter in &filters {
                let fits =
                    |path: &str| filter.sources.is_empty() || filter.sources.iter().any(|from| path.starts_with(from));
                let few = by(&index, By::Vectors, query, 10, filter.clone()).await.expect("found");
                let most = wanted.iter().filter(|(_, path)| fits(path)).count().min(10);
                assert_eq!(few.len(), most, "{query}, {filter:?}");
                let all_of_it = by(&index, By::Vectors, query, 100, filter.clone()).await.expect("found");
                assert_eq!(few[..], all_of_it[..few.len()], "a shorter list is the beginning of a longer one");
                assert!(few.iter().all(|hit| fits(&hit.passage.path)));
                for kind in [By::Words, By::Best, By::Vectors] {
                    let hits = by(&index, kind, query, 100, filter.clone()).await.expect("found");
                    hits_of.push(hits.clone());
                    assert!(hits.iter().all(|hit| fits(&hit.passage.path)), "{kind:?} {filter:?}");
                }
            }
        }
        told.push(hits_of);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "both databases give the same hits and scores");
}

#[tokio::test]
async fn a_model_that_fails_half_way_leaves_words_and_goes_on_from_there() {
    for commons in each().await {
        let model = Bag::new("bag");
        let mut index = commons.index().await;
        assert_eq!(index.vectored(), Vectored::NoModel);
        index.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("named");
        let (_, all) = index.counts();
        assert!(all > 128, "{all} passages");
        model.most.store(100, Ordering::Relaxed);
        let error = index.embed(&mut |_at| {}).await.expect_err("switched off");
        assert!(matches!(error, VectorError::Embed(EmbedError::Unreachable { .. })), "{error}");
        let made = model.made.load(Ordering::Relaxed) as u64;
        assert_eq!(made, 64, "what was made before stays");
        // As after a kill: opened again, by another.
        let mut again = commons.open().await;
        again.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(again.vectored(), Vectored::Missing { model: "bag".to_owned(), passages: all - made });
        let words = by(&again, By::Best, "ship wheat", 10, Filter::default()).await.expect("words answer");
        assert!(!words.is_empty() && words.iter().all(|hit| hit.why.is_none_or(|why| why.vectors_micro.is_none())));
        let refused = by(&again, By::Vectors, "ship wheat", 10, Filter::default()).await.expect_err("no vectors");
        assert!(matches!(&refused, IndexError::NoVectors { why } if why.contains("by bag")), "{refused}");
        model.most.store(usize::MAX, Ordering::Relaxed);
        let mut steps = Vec::new();
        let done = again.embed(&mut |at| steps.push((at.done, at.total))).await.expect("embedded");
        assert_eq!((done.made, done.vectors), (all - made, all));
        assert_eq!(steps.last(), Some(&(all - made, all - made)));
        assert_eq!(model.made.load(Ordering::Relaxed) as u64, all, "nothing is embedded twice");
        let both = by(&again, By::Best, "ship wheat", 10, Filter::default()).await.expect("both answer");
        assert!(
            both.iter().all(|hit| hit.why.is_some_and(|why| why.vectors_micro.is_some()) && hit.score_milli <= 1000)
        );
    }
}

#[tokio::test]
async fn another_model_is_another_space_and_a_changed_document_is_embedded_alone() {
    for commons in each().await {
        let first = Bag::new("first");
        let mut index = filled(&commons, &first).await;
        let (_, all) = index.counts();
        let second = Bag::new("second");
        index.use_embedder(Arc::clone(&second) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(index.vectored(), Vectored::Missing { model: "second".to_owned(), passages: all });
        index.use_embedder(Arc::clone(&first) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(index.vectored(), Vectored::Ready { model: "first".to_owned() }, "what was made is kept");

        commons.write("usual/new.md", b"# New\n\nA tree that was not there.");
        ingest(&mut index).await.expect("ingests");
        assert_eq!(index.vectored(), Vectored::Missing { model: "first".to_owned(), passages: 1 });
        let done = index.embed(&mut |_at| {}).await.expect("embedded");
        assert_eq!((done.made, done.vectors), (1, all + 1));
        let hits = by(&index, By::Vectors, "a tree that was not there", 1, Filter::default()).await.expect("found");
        assert_eq!(hits[0].passage.path, "usual/new.md");
        let spaces = index.spaces().await.expect("spaces");
        assert_eq!(spaces.iter().map(|space| space.model.as_str()).collect::<Vec<_>>(), ["first"]);
    }
}

#[tokio::test]
async fn lost_or_damaged_vectors_are_drawn_again_and_make_the_same_answers() {
    for commons in each().await {
        let model = Bag::new("bag");
        let index = filled(&commons, &model).await;
        let query = || by(&index, By::Vectors, "river stone", 20, Filter::default());
        let wanted = query().await.expect("found");
        let store = commons.store(&index);
        let files = || -> BTreeSet<String> {
            let names = fs::read_dir(&store).expect("the store").map(|entry| entry.expect("an entry").file_name());
            names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with("vectors-")).collect()
        };
        let name = files().pop_first().expect("a file of vectors");
        let path = store.join(&name);
        let bytes = fs::read(&path).expect("its bytes");
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            bytes
        };
        let half = bytes[..bytes.len() / 2].to_vec();
        let others =
            [Some(flipped(20)), Some(flipped(bytes.len() / 2)), Some(flipped(bytes.len() - 1)), Some(half), None];
        for other in others {
            match other {
                Some(other) => fs::write(&path, other).expect("damaged"),
                None => fs::remove_file(&path).expect("removed"),
            }
            let mut again = commons.open().await;
            again.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("named");
            let found = by(&again, By::Vectors, "river stone", 20, Filter::default()).await.expect("found");
            assert_eq!(found, wanted);
            assert_eq!(fs::read(&path).expect("drawn again"), bytes);
        }
        // A new revision takes the file of the old one away.
        commons.write("usual/new.md", b"# New\n\nA tree.");
        let mut index = filled(&commons, &model).await;
        ingest(&mut index).await.expect("ingests");
        assert_eq!(files().len(), 1, "{:?}", files());
        assert!(!files().contains(&name));
    }
}

#[tokio::test]
async fn many_queries_at_once_answer_as_one_does() {
    for commons in each().await {
        let model = Bag::new("bag");
        let index = Arc::new(filled(&commons, &model).await);
        let queries =
            ["ship", "wheat lamp", "river of glass", "Part 3", "OR NOT (title:x) AND \"", "*:*", "'; DROP TABLE x"];
        let mut wanted = Vec::new();
        for query in queries {
            wanted.push(by(&index, By::Best, query, 5, Filter::default()).await.expect("found"));
        }
        let mut tasks = tokio::task::JoinSet::new();
        for turn in 0..700 {
            let index = Arc::clone(&index);
            tasks.spawn(async move {
                let place = turn % queries.len();
                (place, by(&index, By::Best, queries[place], 5, Filter::default()).await.expect("found"))
            });
        }
        while let Some(done) = tasks.join_next().await {
            let (place, found) = done.expect("no panic");
            assert_eq!(found, wanted[place]);
        }
    }
}
