//! Retrieval on published questions: a floor, not an aim. Reads the shared data where it is; says so where it is not.

mod common;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use common::{Commons, ingest};
use common_ground::port::index::{Index, Search};
use serde_json::Value;

fn shared() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("II_SHARED").map_or(here, PathBuf::from).join("data/hotpotqa-200")
}

fn rows(path: PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("data");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().expect("a string")
}

#[tokio::test]
async fn bm25_finds_nine_in_ten_supporting_passages() {
    let data = shared();
    if !data.join("corpus.jsonl").is_file() {
        println!("skipped: no {}", data.display());
        return;
    }
    for commons in Commons::each(&[]).await {
        finds_nine_in_ten(&commons, &data).await;
    }
}

async fn finds_nine_in_ten(commons: &Commons, data: &Path) {
    for row in rows(data.join("corpus.jsonl")) {
        let text = format!("# {}\n\n{}\n", word(&row, "title"), word(&row, "text"));
        commons.write(&format!("{}.md", word(&row, "_id")), text.as_bytes());
    }
    let mut index = commons.open().await;
    let start = Instant::now();
    let done = ingest(&mut index).await.expect("ingests");
    println!("{} documents, {} passages in {:?}", done.documents, done.passages, start.elapsed());
    let start = Instant::now();
    let index = {
        drop(index);
        commons.open().await
    };
    println!("opened in {:?}", start.elapsed());
    let (mut found, mut wanted, mut times) = (0, 0, Vec::new());
    for row in rows(data.join("queries.jsonl")) {
        let start = Instant::now();
        // Long documents are several passages: enough of those for ten documents.
        let search = Search::new(word(&row, "text"), 30);
        let hits = index.search(&search).await.expect("searches");
        times.push(start.elapsed());
        let mut best: HashMap<String, usize> = HashMap::new();
        for hit in hits {
            let rank = best.len();
            best.entry(hit.passage.path).or_insert(rank);
        }
        for support in row["support"].as_array().expect("support") {
            let path = format!("{}.md", support.as_str().expect("an id"));
            wanted += 1;
            found += usize::from(best.get(&path).is_some_and(|rank| *rank < 10));
        }
    }
    times.sort();
    let recall = found as f64 / wanted as f64;
    println!("recall@10 {recall:.3}, search p50 {:?}", times[times.len() / 2]);
    assert!(recall >= 0.90, "recall@10 {recall:.3}");
}
