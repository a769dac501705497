//! Vectors that a database searches, through the whole of a collection: the same hits as in memory, whatever happened to the
//! documents, the records and the server.

mod common;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{Commons, Database, Server, bag::Bag, ingest, remove, script};
use common_ground::port::{
    embedder::Embedder,
    index::{By, Filter, Hit, Index, Search},
};
use commons_index::{Collection, SearchedIn, Vectored};

const QUERIES: [&str; 4] = ["wheat of the north", "ship", "Same words of lamp and rope", "nothing like it"];

async fn opened(commons: &Commons, model: &Arc<Bag>) -> Collection {
    let mut index = commons.open().await;
    index.use_embedder(Arc::clone(model) as Arc<dyn Embedder>).await.expect("named");
    index
}

/// Brought up to the folder, and each passage has its vector where it is searched.
async fn filled(commons: &Commons, model: &Arc<Bag>) -> Collection {
    let mut index = opened(commons, model).await;
    ingest(&mut index).await.expect("ingests");
    index.embed(&mut |_at| {}).await.expect("embedded");
    let ready = Vectored::Ready { model: "bag".to_owned(), searched: commons.searched() };
    assert_eq!(index.vectored(), ready);
    index
}

/// Hits of each query in each way behind each filter.
async fn answers(index: &Collection) -> Vec<Vec<Hit>> {
    let under = |folders: &[&str]| Filter {
        sources: folders.iter().map(|folder| (*folder).to_owned()).collect(),
        ..Filter::default()
    };
    let filters = [&[][..], &["a/"], &["m/"], &["z/"], &["m/0"], &["m/03"], &["a/", "z/"], &["none/"]].map(under);
    let mut all = Vec::new();
    for query in QUERIES {
        for filter in &filters {
            for (by, limit) in [(By::Vectors, 3), (By::Vectors, 100), (By::Best, 20)] {
                let search = Search { by, filter: filter.clone(), ..Search::new(query, limit) };
                all.push(index.search(&search).await.expect("searches"));
            }
        }
    }
    all
}

const SAME: &[u8] = b"# Same\n\nSame words of lamp and rope.";

#[tokio::test]
async fn hits_are_those_of_a_home_over_revisions_and_for_texts_of_several_documents() {
    let words = ["ship", "wheat", "lamp", "river", "north", "rope"];
    // Few words, so that many passages of several texts have one vector; and each text is that of two documents.
    let text = |n: usize| {
        let part = |turn: usize| format!("## Part {turn}\n\n{} and {}.\n\n", words[n % 6], words[(n * turn + 1) % 6]);
        format!("# Papers\n\n{}{}## End\n\nnumber {n}", part(1), part(2))
    };
    let files: Vec<(String, String)> = (0..80).map(|n| (format!("m/{n:02}.md"), text(n / 2))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let mut told: Vec<Vec<Vec<Vec<Hit>>>> = Vec::new();
    for commons in Commons::each_way(&files).await {
        let model = Bag::new("bag");
        commons.write("m/same.md", SAME);
        commons.write("z/same.md", SAME);
        let first = filled(&commons, &model).await;
        let before = answers(&first).await;
        // A smaller path comes later, and is then the one whose passages are searched.
        commons.write("a/same.md", SAME);
        let second = filled(&commons, &model).await;
        let between = answers(&second).await;
        // Both go: the text is searched at the last, whose passages never were.
        remove(&commons.folder.join("a/same.md"));
        remove(&commons.folder.join("m/same.md"));
        commons.write("m/03.md", b"# New\n\nwheat of the north");
        let third = filled(&commons, &model).await;
        let after = answers(&third).await;
        assert_eq!(answers(&first).await, before, "a reader stays at its revision");
        assert_eq!(answers(&second).await, between);
        let paths = |hits: &[Vec<Hit>]| -> BTreeSet<String> {
            let same = hits.iter().flatten().filter(|hit| hit.passage.title == "Same");
            same.map(|hit| hit.passage.path.clone()).collect()
        };
        assert_eq!(paths(&before), BTreeSet::from(["m/same.md".to_owned()]));
        assert_eq!(paths(&between), BTreeSet::from(["a/same.md".to_owned()]));
        assert_eq!(paths(&after), BTreeSet::from(["z/same.md".to_owned()]));
        for hits in [&before, &between, &after].into_iter().flatten() {
            let spots: BTreeSet<_> = hits.iter().map(|hit| (hit.passage.id.text, hit.passage.id.span.start)).collect();
            assert_eq!(spots.len(), hits.len(), "each passage once");
        }
        assert!(before.iter().any(|hits| hits.len() == 100), "as many as are asked for");
        told.push(vec![before, between, after]);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "the same hits and scores wherever vectors are searched");
}

#[tokio::test]
async fn vectors_answer_when_the_database_has_all_of_them_and_only_what_lacks_is_brought() {
    let files = [("a.md", "# A\n\nship"), ("b.md", "# B\n\nwheat"), ("c.md", "# C\n\nrope")];
    let Some(commons) = Commons::in_own_postgres(&files).await else { return };
    let model = Bag::new("bag");
    // Made while the collection was small, and searched in a home; then it is large.
    drop(filled(&commons, &model).await);
    let commons = commons.searched_there();
    let missing = |passages| Vectored::Missing { model: "bag".to_owned(), passages };
    let mut index = opened(&commons, &model).await;
    assert_eq!(index.vectored(), missing(3));
    let done = index.embed(&mut |_at| {}).await.expect("brought");
    assert_eq!((done.made, done.vectors, model.made.load(Ordering::Relaxed)), (0, 3, 3), "made once");
    let wanted = answers(&index).await;
    // As after a kill between two batches.
    assert_eq!(commons.tamper(&index, "DELETE FROM near_revisions").await, 1);
    assert_eq!(commons.tamper(&index, "DELETE FROM near_vectors WHERE passage = 2").await, 1);
    let mut index = opened(&commons, &model).await;
    assert_eq!(index.vectored(), missing(1));
    let mut steps = Vec::new();
    index.embed(&mut |at| steps.push((at.done, at.total))).await.expect("brought");
    assert_eq!(steps, [(1, 1)]);
    assert_eq!(answers(&index).await, wanted);
    // That all are there is kept, and is not counted again.
    assert_eq!(commons.tamper(&index, "DELETE FROM near_vectors WHERE passage = 2").await, 1);
    let searched = SearchedIn::Database;
    assert_eq!(opened(&commons, &model).await.vectored(), Vectored::Ready { model: "bag".to_owned(), searched });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_go_on_over_a_restart_and_embedding_after_it() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let Some(server) = Server::new("near") else { return };
    let files: Vec<(String, String)> =
        (0..30).map(|n| (format!("m/{n}.md"), format!("# {n}\n\nship number {n} of wheat"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let commons = Commons::within(&files, Database::on(server.url.clone()).await).await.searched_there();
    let model = Bag::new("bag");
    let index = Arc::new(filled(&commons, &model).await);
    let wanted = Arc::new(answers(&index).await);
    let mut searchers = Vec::new();
    for _ in 0..3 {
        let (index, wanted) = (Arc::clone(&index), Arc::clone(&wanted));
        searchers.push(tokio::spawn(async move {
            let mut turns = 0_u32;
            while !DONE.load(Ordering::Relaxed) {
                assert_eq!(answers(&index).await, *wanted);
                turns += 1;
            }
            turns
        }));
    }
    let name = server.name.clone();
    let restarts = tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            script("restart", &name);
            std::thread::sleep(Duration::from_millis(300));
        }
    });
    restarts.await.expect("restarted");
    DONE.store(true, Ordering::Relaxed);
    for searcher in searchers {
        assert!(searcher.await.expect("each search was answered") > 0);
    }
    // Restarted while vectors are made: what is there then stays, and the next one goes on.
    for n in 0..200 {
        commons.write(&format!("m/new{n}.md"), format!("# New {n}\n\nrope number {n}").as_bytes());
    }
    let mut index = opened(&commons, &model).await;
    ingest(&mut index).await.expect("ingests");
    let made = model.made.load(Ordering::Relaxed);
    let name = &server.name;
    let mut restart = |at: commons_index::Progress| {
        if at.done == 128 {
            script("restart", name);
        }
    };
    let first = index.embed(&mut restart).await;
    drop(index);
    let index = filled(&commons, &model).await;
    assert_eq!(index.counts().1, 230);
    let again = model.made.load(Ordering::Relaxed) - made;
    assert!(again <= 200 + 64, "{again} made after {first:?}: at most a batch twice");
    let rope = Search { by: By::Vectors, ..Search::new("rope number 7", 1) };
    assert_eq!(index.search(&rope).await.expect("searches")[0].passage.path, "m/new7.md");
}
