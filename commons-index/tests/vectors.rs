//! Vectors of passages: made once, complete or not used, scanned exactly, drawn again when they are lost.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use common::{
    Commons,
    bag::{Bag, bag},
    ingest,
};
use common_ground::port::{
    embedder::{EmbedError, Embedder},
    index::{By, Filter, Hit, Index, IndexError, Search},
};
use commons_index::{Collection, SearchedIn, SpaceUse, StoreError, VectorError, Vectored};

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

/// Each way to keep records and to search vectors.
async fn each_way() -> Vec<Commons> {
    let documents = documents();
    let pairs: Vec<(&str, &str)> = documents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Commons::each_way(&pairs).await
}

/// Those that search vectors in memory.
async fn each() -> Vec<Commons> {
    each_way().await.into_iter().filter(|commons| commons.searched() == SearchedIn::Home).collect()
}

async fn by(index: &Collection, by: By, query: &str, limit: u32, filter: Filter) -> Result<Vec<Hit>, IndexError> {
    index.search(&Search { by, filter, ..Search::new(query, limit) }).await
}

fn ready(model: &str, commons: &Commons) -> Vectored {
    Vectored::Ready { model: model.to_owned(), searched: commons.searched() }
}

fn under(folder: &str) -> Filter {
    Filter { sources: vec![folder.to_owned()], ..Filter::default() }
}

/// Every passage there is, compared in double precision: score and path, best first.
async fn compared(index: &Collection, query: &str) -> Vec<(i64, String)> {
    let near = bag(query);
    let mut wanted: Vec<(i64, String)> = Vec::new();
    for (path, text) in documents() {
        let title = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let whole = by(index, By::Words, &title, 100, under(&path)).await.expect("found");
        for hit in whole {
            let head = std::iter::once(&hit.passage.title).chain(&hit.passage.headings).cloned().collect::<Vec<_>>();
            let vector = bag(&format!("{}\n{}", head.join("\n"), hit.passage.content));
            let product: f64 = vector.iter().zip(&near).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            wanted.push(((product * 1e6).round() as i64, hit.passage.path));
        }
    }
    wanted.sort_by_key(|(score, _)| -score);
    wanted
}

#[tokio::test]
async fn the_scan_finds_what_comparing_everything_finds_however_few_documents_fit() {
    let mut told: Vec<Vec<Vec<Hit>>> = Vec::new();
    let mut wanted = BTreeMap::new();
    for commons in each_way().await {
        let mut hits_of = Vec::new();
        let model = Bag::new("bag");
        let index = filled(&commons, &model).await;
        assert_eq!(index.vectored(), ready("bag", &commons));
        let filters = [Filter::default(), under("usual/"), under("rare/"), under("rare/00"), under("none/")];
        for query in ["ship of turn 2", "glass bread rope", "Document 40", "no such words"] {
            let all = by(&index, By::Vectors, query, 100, Filter::default()).await.expect("found");
            if !wanted.contains_key(query) {
                wanted.insert(query, compared(&index, query).await);
            }
            let wanted = &wanted[query];
            for (hit, (score, _)) in all.iter().zip(wanted) {
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
    assert!(
        told.windows(2).all(|pair| pair[0] == pair[1]),
        "both databases give the same hits and scores, wherever vectors are searched"
    );
}

#[tokio::test]
async fn a_model_that_fails_half_way_leaves_words_and_goes_on_from_there() {
    for commons in each_way().await {
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
        // What is made is brought to where it is searched when all of it is made.
        let (lacking, brought) = if commons.searched() == SearchedIn::Home { (all - made, 0) } else { (all, all) };
        assert_eq!(again.vectored(), Vectored::Missing { model: "bag".to_owned(), passages: lacking });
        let words = by(&again, By::Best, "ship wheat", 10, Filter::default()).await.expect("words answer");
        assert!(!words.is_empty() && words.iter().all(|hit| hit.why.is_none_or(|why| why.vectors_micro.is_none())));
        let refused = by(&again, By::Vectors, "ship wheat", 10, Filter::default()).await.expect_err("no vectors");
        assert!(matches!(&refused, IndexError::NoVectors { why } if why.contains("by bag")), "{refused}");
        model.most.store(usize::MAX, Ordering::Relaxed);
        let mut steps = Vec::new();
        let done = again.embed(&mut |at| steps.push((at.done, at.total))).await.expect("embedded");
        assert_eq!((done.made, done.vectors), (all - made, all));
        assert_eq!(steps.last(), Some(&(all - made + brought, all - made + brought)));
        assert_eq!(model.made.load(Ordering::Relaxed) as u64, all, "nothing is embedded twice");
        let both = by(&again, By::Best, "ship wheat", 10, Filter::default()).await.expect("both answer");
        assert!(
            both.iter().all(|hit| hit.why.is_some_and(|why| why.vectors_micro.is_some()) && hit.score_milli <= 1000)
        );
    }
}

#[tokio::test]
async fn another_model_is_another_space_and_a_changed_document_is_embedded_alone() {
    for commons in each_way().await {
        let first = Bag::new("first");
        let mut index = filled(&commons, &first).await;
        let (_, all) = index.counts();
        let second = Bag::new("second");
        index.use_embedder(Arc::clone(&second) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(index.vectored(), Vectored::Missing { model: "second".to_owned(), passages: all });
        index.use_embedder(Arc::clone(&first) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(index.vectored(), ready("first", &commons), "what was made is kept");

        commons.write("usual/new.md", b"# New\n\nA tree that was not there.");
        ingest(&mut index).await.expect("ingests");
        assert_eq!(index.vectored(), Vectored::Missing { model: "first".to_owned(), passages: 1 });
        let done = index.embed(&mut |_at| {}).await.expect("embedded");
        assert_eq!((done.made, done.vectors), (1, all + 1));
        let hits = by(&index, By::Vectors, "a tree that was not there", 1, Filter::default()).await.expect("found");
        assert_eq!(hits[0].passage.path, "usual/new.md");
        let spaces = index.spaces().await.expect("spaces");
        let told = |space: &SpaceUse| (space.model.clone(), space.dimensions, space.passages);
        assert_eq!(spaces.iter().map(told).collect::<Vec<_>>(), [("first".to_owned(), 32, all + 1)]);
        // A head, a number of each passage and of its document, and a sum.
        let file = 76 + (all + 1) * (16 + 2 * 32) + 4;
        assert_eq!(spaces[0].bytes, if commons.searched() == SearchedIn::Home { file } else { 0 });
        assert_eq!(spaces[0].searched, commons.searched());
        second.most.store(64, Ordering::Relaxed);
        index.use_embedder(second as Arc<dyn Embedder>).await.expect("named");
        index.embed(&mut |_at| {}).await.expect_err("switched off");
        let spaces = index.spaces().await.expect("spaces");
        assert_eq!(spaces.iter().map(|space| space.passages).collect::<Vec<_>>(), [all + 1, 64]);
        assert_eq!(spaces[1].bytes, 0, "not drawn before it is whole");
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
        let files = || files_of_vectors(&store);
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
        // A new revision takes the file of the old one away, at once; and what draws the old one leaves the new one's.
        let mut old = commons.open().await;
        commons.write("usual/new.md", b"# New\n\nA tree.");
        ingest(&mut commons.open().await).await.expect("ingests");
        assert_eq!(files(), BTreeSet::new());
        filled(&commons, &model).await;
        let new = files();
        assert!(new.len() == 1 && !new.contains(&name), "{new:?}");
        old.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(by(&old, By::Vectors, "river stone", 20, Filter::default()).await.expect("found"), wanted);
        assert!(files().is_superset(&new), "{:?}", files());
    }
}

/// Names of the files of vectors, whole ones and parts.
fn files_of_vectors(store: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(store).expect("the store").map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with("vectors-")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_draw_a_lost_file_at_once_make_one_and_leave_no_part() {
    for commons in each().await {
        let commons = Arc::new(commons);
        let model = Bag::new("bag");
        let index = filled(&commons, &model).await;
        let wanted = by(&index, By::Vectors, "river stone", 20, Filter::default()).await.expect("found");
        let store = commons.store(&index);
        let whole = files_of_vectors(&store);
        let path = store.join(whole.first().expect("a file of vectors"));
        let bytes = fs::read(&path).expect("its bytes");
        fs::remove_file(&path).expect("lost");
        // What programs that were killed left: of this file, and of another one.
        fs::write(path.with_extension("part"), &bytes[..bytes.len() / 3]).expect("written");
        fs::write(store.join("vectors-7-0123456789abcdef.part"), "half").expect("written");
        let mut openers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (commons, model) = (Arc::clone(&commons), Arc::clone(&model));
            openers.spawn(async move {
                let mut index = commons.open().await;
                index.use_embedder(model as Arc<dyn Embedder>).await.expect("named");
                by(&index, By::Vectors, "river stone", 20, Filter::default()).await.expect("found")
            });
        }
        while let Some(found) = openers.join_next().await {
            assert_eq!(found.expect("no panic"), wanted);
        }
        assert_eq!(fs::read(&path).expect("drawn again"), bytes);
        assert_eq!(files_of_vectors(&store), whole, "no part is left");
    }
}

#[tokio::test]
async fn a_drawing_that_fails_leaves_no_part_and_a_file_that_is_whole_needs_no_records() {
    let documents = [("a.md", "# A\n\nwords"), ("b.md", "# B\n\nmore words")];
    for commons in Commons::each_alone(&documents).await {
        let model = Bag::new("bag");
        let index = filled(&commons, &model).await;
        let store = commons.store(&index);
        let changed = commons.tamper(&index, "UPDATE vectors SET half = x'00' WHERE passage = 2").await;
        assert_eq!(changed, 1);
        let mut again = commons.open().await;
        again.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("read from its file");
        assert_eq!(again.vectored(), ready("bag", &commons));
        let path = store.join(files_of_vectors(&store).first().expect("a file of vectors"));
        fs::remove_file(&path).expect("lost");
        let refused = again.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await;
        assert!(
            matches!(&refused, Err(StoreError::Damaged { cause, .. }) if cause.contains("passage 2")),
            "{refused:?}"
        );
        assert_eq!(files_of_vectors(&store), BTreeSet::new());
        // Looked at passage by passage only where the file is not there.
        assert_eq!(commons.tamper(&index, "DELETE FROM vectors WHERE passage = 2").await, 1);
        again.use_embedder(Arc::clone(&model) as Arc<dyn Embedder>).await.expect("named");
        assert_eq!(again.vectored(), Vectored::Missing { model: "bag".to_owned(), passages: 1 });
    }
}

#[tokio::test]
async fn many_queries_at_once_answer_as_one_does() {
    for commons in each_way().await {
        let model = Bag::new("bag");
        let index = Arc::new(filled(&commons, &model).await);
        let queries =
            ["ship", "wheat lamp", "river of glass", "Part 3", "OR NOT (title:x) AND \"", "*:*", "'; DROP TABLE x"];
        let mut wanted = Vec::new();
        for query in queries {
            wanted.push(by(&index, By::Best, query, 5, Filter::default()).await.expect("found"));
        }
        let mut tasks = tokio::task::JoinSet::new();
        // Each search is several turns to the records, of which few are read at a time.
        let turns = 200;
        for turn in 0..turns {
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
