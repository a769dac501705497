//! Several collections as one, further searches, and what stands beside a passage: on every way to keep records and to search
//! vectors.

mod common;

use std::{fs, sync::Arc};

use common::{Commons, NODE, bag::Bag, ingest};
use common_ground::port::{
    embedder::Embedder,
    index::{By, Filter, Hit, Index, IndexError, PassageId, Search, Why},
};
use commons_index::{Collection, Several};

/// The collection of a folder beside the usual one, with these files.
async fn beside(commons: &Commons, name: &str, files: &[(String, String)]) -> Collection {
    let folder = commons.root.path().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for (path, content) in files {
        fs::write(folder.join(path), content).expect("a file");
    }
    let opened = match &commons.postgres {
        None => Collection::open(&commons.home, &folder, NODE, commons.limits).await,
        Some((postgres, _)) => Collection::open_in(postgres, &commons.home, &folder, NODE, commons.limits).await,
    };
    let mut index = opened.expect("opens");
    ingest(&mut index).await.expect("ingests");
    index
}

async fn with_vectors(mut index: Collection, model: &Arc<Bag>) -> Collection {
    index.use_embedder(Arc::clone(model) as Arc<dyn Embedder>).await.expect("named");
    index.embed(&mut |_at| {}).await.expect("embedded");
    index
}

/// Texts of unequal length, in which words are of unequal rarity and unequally spread over the two halves.
fn documents() -> Vec<(String, String)> {
    let words = ["ship", "wheat", "lamp", "river", "glass", "stone", "bread", "rope", "gull"];
    let text = |number: usize| {
        let some = (0..3 + number * 7 % 40).map(|step| words[(number * step + step * step) % (2 + number % 8)]);
        format!("# Document {number}\n\n{} of number {number}.\n", some.collect::<Vec<_>>().join(" "))
    };
    (0..60).map(|number| (format!("{number:02}.md"), text(number))).collect()
}

fn shown(hits: Vec<Hit>) -> Vec<(String, u64, Option<Why>)> {
    hits.into_iter().map(|hit| (hit.passage.path, hit.score_milli, hit.why)).collect()
}

#[tokio::test]
async fn several_collections_are_searched_as_one_that_has_all_their_passages() {
    for commons in Commons::each_way(&[]).await {
        let model = Bag::new("bag");
        let (all, documents) = (documents(), documents());
        let (few, many): (Vec<_>, Vec<_>) = documents.into_iter().partition(|(path, _)| path.as_str() < "13");
        let one = with_vectors(beside(&commons, "all", &all).await, &model).await;
        let few = with_vectors(beside(&commons, "few", &few).await, &model).await;
        let many = with_vectors(beside(&commons, "many", &many).await, &model).await;
        let names = [few.collection().to_owned(), many.collection().to_owned()];
        let heads = [few.heads(), many.heads()].concat();
        let two = Several::of(vec![few, many]);
        for query in ["ship", "rope gull", "the wheat of a river", "number 7 glass bread"] {
            for (by, hops) in [(By::Words, 0), (By::Vectors, 0), (By::Best, 0), (By::Words, 2), (By::Best, 1)] {
                let search = Search { by, hops, ..Search::new(query, 20) };
                let (together, alone) = (two.search(&search).await, one.search(&search).await);
                let (together, alone) = (together.expect("searches"), alone.expect("searches"));
                for hit in &together {
                    let of = usize::from(hit.passage.path.as_str() >= "13");
                    assert_eq!(hit.passage.collection.as_ref(), Some(&names[of]));
                    assert_eq!(two.read(&hit.passage.id).await.as_ref(), Ok(&hit.passage));
                }
                assert!(!alone.is_empty());
                assert_eq!(shown(together), shown(alone), "{query} {by:?} {hops}");
            }
        }
        let filter = Filter { collections: vec![names[1][..8].to_owned()], ..Filter::default() };
        let found = two.search(&Search { filter, ..Search::new("ship", 50) }).await.expect("searches");
        assert!(!found.is_empty() && found.iter().all(|hit| hit.passage.collection.as_ref() == Some(&names[1])));
        let mut sorted = heads;
        sorted.sort();
        assert_eq!((two.heads(), sorted.len()), (sorted, 2));
        assert_eq!(two.counts().0, 60);
    }
}

#[tokio::test]
async fn vectors_of_two_spaces_are_not_compared() {
    for commons in Commons::each_way(&[]).await {
        let (left, right): (Vec<_>, Vec<_>) = documents().into_iter().partition(|(path, _)| path.as_str() < "30");
        let left = with_vectors(beside(&commons, "left", &left).await, &Bag::new("bag")).await;
        let right = with_vectors(beside(&commons, "right", &right).await, &Bag::new("another")).await;
        let two = Several::of(vec![left, right]);
        let found = two.search(&Search::new("ship", 10)).await.expect("by words");
        assert!(!found.is_empty() && found.iter().all(|hit| hit.why.is_some_and(|why| why.vectors_micro.is_none())));
        let refused = two.search(&Search { by: By::Vectors, ..Search::new("ship", 10) }).await;
        assert!(matches!(refused, Err(IndexError::NoVectors { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_text_of_two_collections_is_one_hit_of_the_first() {
    for commons in Commons::each(&[]).await {
        let same = ("same.md".to_owned(), "# Same\n\nThe heron stands.\n".to_owned());
        let one = beside(&commons, "one", std::slice::from_ref(&same)).await;
        let other = beside(&commons, "other", &[("moved.md".to_owned(), same.1.clone())]).await;
        let name = one.collection().to_owned();
        let two = Several::of(vec![one, other]);
        let found = two.search(&Search::new("heron", 10)).await.expect("searches");
        let places: Vec<_> =
            found.iter().map(|hit| (hit.passage.path.as_str(), hit.passage.collection.as_deref())).collect();
        assert_eq!(places, [("same.md", Some(name.as_str()))]);
        assert_eq!(two.read(&found[0].passage.id).await.as_ref(), Ok(&found[0].passage));
    }
}

#[tokio::test]
async fn texts_that_both_have_leave_as_many_hits_as_were_asked_for() {
    for commons in Commons::each_way(&[]).await {
        let model = Bag::new("bag");
        let one = with_vectors(beside(&commons, "one", &documents()).await, &model).await;
        let other = with_vectors(beside(&commons, "other", &documents()).await, &model).await;
        let two = Several::of(vec![one, other]);
        for by in [By::Words, By::Vectors, By::Best] {
            let found = two.search(&Search { by, ..Search::new("ship wheat number", 10) }).await.expect("searches");
            let different: std::collections::BTreeSet<PassageId> = found.iter().map(|hit| hit.passage.id).collect();
            assert_eq!((found.len(), different.len()), (10, 10), "{by:?}");
        }
    }
}

/// A question's two passages, of which it names one, among others that have its words.
fn bridge() -> Vec<(String, String)> {
    let other = |number: usize| {
        let text = format!("# Person {number}\n\nPerson {number}, a director of plays, was born in town {number}.\n");
        (format!("other{number}.md"), text)
    };
    let mut all: Vec<(String, String)> = (0..30).map(other).collect();
    let film = "# Tidewater\n\nTidewater is a film that Odalys Brennick made as its director.\n";
    let person = "# Odalys Brennick\n\nOdalys Brennick was born in Harrowgate and lives there.\n";
    all.push(("film.md".to_owned(), film.to_owned()));
    all.push(("person.md".to_owned(), person.to_owned()));
    all
}

#[tokio::test]
async fn a_further_search_finds_what_the_question_does_not_name() {
    for commons in Commons::each_way(&[]).await {
        let plain = beside(&commons, "plain", &bridge()).await;
        let question = "In which town was the director of Tidewater born?";
        let found = |hits: Vec<Hit>| hits.into_iter().map(|hit| (hit.passage.path, hit.why)).collect::<Vec<_>>();
        let once = plain.search(&Search::new(question, 4)).await.expect("searches");
        let film = once[0].passage.id;
        assert!(
            once[0].passage.path == "film.md" && once.iter().all(|hit| hit.passage.path != "person.md"),
            "{once:?}"
        );
        for index in [plain, with_vectors(beside(&commons, "vectors", &bridge()).await, &Bag::new("bag")).await] {
            let again = found(index.search(&Search { hops: 1, ..Search::new(question, 4) }).await.expect("searches"));
            let person = again.iter().find(|(path, _)| path == "person.md");
            assert!(again[..2].iter().any(|(path, _)| path == "film.md") && person.is_some(), "{again:?}");
            assert_eq!(person.and_then(|(_, why)| why.and_then(|why| why.through)), Some(film), "{again:?}");
        }
    }
}

#[tokio::test]
async fn one_document_fills_no_more_than_its_share() {
    for commons in Commons::each(&[]).await {
        let part = |number: usize| format!("## Part {number}\n\n{}\n\n", "The heron stands in the reeds. ".repeat(25));
        let long = format!("# Long\n\n{}", (0..12).map(part).collect::<String>());
        let short = |number: usize| {
            (
                format!("short{number}.md"),
                format!("# Short {number}\n\nA heron, number {number}, among much else that is told here at length.\n"),
            )
        };
        let mut files: Vec<(String, String)> = (0..4).map(short).collect();
        files.push(("long.md".to_owned(), long));
        let index = beside(&commons, "share", &files).await;
        let of_long = |hits: &[Hit]| hits.iter().filter(|hit| hit.passage.path == "long.md").count();
        let all = index.search(&Search::new("heron reeds", 6)).await.expect("searches");
        assert!(of_long(&all) > 2, "{}", of_long(&all));
        for (most, hops) in [(1, 0), (2, 0), (2, 1)] {
            let search = Search { per_document: Some(most), hops, ..Search::new("heron reeds", 6) };
            let found = index.search(&search).await.expect("searches");
            assert_eq!((of_long(&found), found.len()), (most as usize, (4 + most as usize).min(6)), "{most} {hops}");
        }
    }
}

#[tokio::test]
async fn passages_beside_a_span_come_in_order_and_end_with_the_text() {
    for commons in Commons::each(&[]).await {
        let part = |number: usize| format!("## Part {number}\n\n{}\n\n", format!("Sentence of {number}. ").repeat(50));
        let text = format!("# Long\n\n{}", (0..6).map(part).collect::<String>());
        let index = beside(&commons, "long", &[("long.md".to_owned(), text)]).await;
        let mut all = index.search(&Search::new("sentence", 100)).await.expect("searches");
        all.sort_by_key(|hit| hit.passage.id.span.start);
        let all: Vec<_> = all.into_iter().map(|hit| hit.passage).collect();
        assert!(all.len() >= 6);
        for (place, passage) in all.iter().enumerate() {
            for most in 0..3_usize {
                let found = index.beside(&passage.id, most as u32).await.expect("reads");
                let around = all[place.saturating_sub(most)..place].iter();
                let around: Vec<_> = around.chain(all[place + 1..].iter().take(most)).cloned().collect();
                assert_eq!(found, around, "{place} {most}");
            }
        }
        let unknown = PassageId { text: receipts::Digest::of(b"no such"), ..all[0].id };
        assert!(matches!(index.beside(&unknown, 1).await, Err(IndexError::UnknownText { .. })));
    }
}
