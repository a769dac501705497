//! Vectors in a database against a plain scan of them: by scan and by index, behind filters of every width, over revisions.

mod common;

use std::{cmp::Reverse, collections::BTreeMap};

use common::{Commons, ingest, remove};
use commons_index::{Collection, PostgresVectors, StoreError, Way};
use half::f16;
use receipts::Digest;

const DIMENSIONS: usize = 24;
const DOCUMENTS: usize = 120;
/// Passages of each.
const PARTS: usize = 10;

/// Vectors of length one in a fixed disorder.
fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut numbers: Vec<f32> = (0..DIMENSIONS)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter_mut().for_each(|number| *number /= length);
    numbers
}

fn text(document: usize) -> String {
    let part = |part: usize| format!("## Part {part}\n\nWords {document} of {part}.\n");
    (0..PARTS).map(part).collect::<Vec<_>>().join("\n")
}

async fn collection() -> Option<(Commons, Collection)> {
    let files: Vec<(String, String)> = (0..DOCUMENTS).map(|n| (format!("d{n:03}.md"), text(n))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let commons = Commons::in_postgres(&files).await?;
    let index = commons.index().await;
    Some((commons, index))
}

/// Every passage's vector is of its row; gives them.
async fn embed(vectors: &PostgresVectors, space: Digest) -> BTreeMap<u64, Vec<f32>> {
    let (mut put, mut after) = (BTreeMap::new(), 0);
    loop {
        let rows = vectors.passages_without(space, after, 500).await.expect("listed");
        let Some(last) = rows.last() else { break };
        after = *last;
        let batch: Vec<(u64, Vec<f32>)> = rows.iter().map(|row| (*row, vector(*row))).collect();
        vectors.put(space, &batch).await.expect("put");
        put.extend(batch);
    }
    put
}

/// What a plain scan in double precision finds among the first of the passages, whose rows follow those of their documents;
/// equal scores by text and place.
fn scanned(of: &BTreeMap<u64, Vec<f32>>, query: &[f32], limit: usize) -> Vec<(i64, u64)> {
    let half = |number: &f32| f16::from_f32(*number).to_f64();
    let score = |vector: &[f32]| vector.iter().zip(query).map(|(a, b)| half(a) * half(b)).sum::<f64>();
    let texts: Vec<Digest> = (0..DOCUMENTS).map(|document| Digest::of(text(document).as_bytes())).collect();
    let mut all: Vec<(Reverse<i64>, Digest, u64)> = (0..)
        .zip(of)
        .map(|(place, (row, vector))| (Reverse((score(vector) * 1e6).round() as i64), texts[place / PARTS], *row))
        .collect();
    all.sort();
    all.truncate(limit);
    all.into_iter().map(|(Reverse(score), _text, row)| (score, row)).collect()
}

#[tokio::test]
async fn a_filter_of_any_width_gives_what_a_plain_scan_gives_with_and_without_an_index() {
    let Some((_commons, index)) = collection().await else { return };
    let vectors = index.vectors().expect("pgvector is there");
    let space = Digest::of(b"space");
    let nothing = vectors.nearest(space, &vector(0), None, 10).await.expect("searches");
    assert_eq!(nothing.hits, [], "nothing is known of the space");
    let put = embed(&vectors, space).await;
    assert_eq!(put.len(), DOCUMENTS * PARTS);
    assert!(!vectors.index_from(space, 1_000_000).await.expect("counted"), "too few for an index");
    let documents = index.documents().await.expect("documents");
    let of_documents = |count: usize| -> BTreeMap<u64, Vec<f32>> {
        put.iter().take(count * PARTS).map(|(row, vector)| (*row, vector.clone())).collect()
    };
    for indexed in [false, true] {
        if indexed {
            assert!(vectors.index_from(space, 1_000).await.expect("built"));
            assert!(vectors.index_from(space, 1_000).await.expect("there"), "once is enough");
        }
        for (count, by) in [
            (1, Way::Scan),
            (12, Way::Scan),
            (29, Way::Scan),
            (30, Way::Index),
            (60, Way::Index),
            (DOCUMENTS, Way::Index),
        ] {
            let rows: Vec<u64> = documents.iter().take(count).map(|document| document.id).collect();
            for seed in 0..10 {
                let query = vector(1_000_000 + seed);
                let found = vectors.nearest(space, &query, Some(&rows), 10).await.expect("searches");
                assert_eq!(found.hits, scanned(&of_documents(count), &query, 10), "{count} documents, {indexed}");
                assert_eq!(found.by, if indexed { by } else { Way::Scan }, "{count} documents");
            }
        }
        let query = vector(77);
        let found = vectors.nearest(space, &query, None, 10).await.expect("searches");
        assert_eq!(found.hits, scanned(&put, &query, 10));
        assert_eq!(found.by, if indexed { Way::Index } else { Way::Scan });
        // More than there are: an index that gives too few is not believed.
        let rows: Vec<u64> = documents.iter().take(30).map(|document| document.id).collect();
        let all = vectors.nearest(space, &query, Some(&rows), 500).await.expect("searches");
        assert_eq!(all.hits, scanned(&of_documents(30), &query, 500));
        assert_eq!(all.by, if indexed { Way::IndexThenScan } else { Way::Scan });
        assert_eq!(vectors.nearest(space, &query, Some(&[]), 10).await.expect("searches").hits, []);
    }
    let none = vectors.nearest(space, &query_of(DIMENSIONS + 1), None, 10).await.expect("searches");
    assert_eq!(none.hits, [], "a vector of another space");
}

fn query_of(dimensions: usize) -> Vec<f32> {
    vec![0.1; dimensions]
}

#[tokio::test]
async fn vectors_are_of_a_revision_and_of_a_space() {
    let Some((commons, before)) = collection().await else { return };
    let (space, other) = (Digest::of(b"space"), Digest::of(b"another"));
    let put = embed(&before.vectors().expect("vectors"), space).await;
    let refused = before.vectors().expect("vectors").put(space, &[(1, query_of(DIMENSIONS + 1))]).await;
    assert!(matches!(refused, Err(StoreError::Unwritable { .. })), "{refused:?}");
    let refused = before.vectors().expect("vectors").put(other, &[(1, query_of(3)), (2, query_of(4))]).await;
    assert!(refused.is_err(), "vectors of several lengths");
    assert_eq!(before.vectors().expect("vectors").passages_without(other, 0, 5).await.expect("listed").len(), 5);

    let mut after = commons.open().await;
    remove(&commons.folder.join("d000.md"));
    commons.write("new.md", b"One new passage.");
    ingest(&mut after).await.expect("ingests");
    let vectors = after.vectors().expect("vectors");
    let new = vectors.passages_without(space, 0, 100).await.expect("listed");
    assert_eq!(new.len(), 1, "what is there already is not asked for again");
    let near = vector(new[0]);
    vectors.put(space, &[(new[0], near.clone())]).await.expect("put");
    let best = |found: commons_index::Nearest| found.hits[0].1;
    assert_eq!(best(vectors.nearest(space, &near, None, 1).await.expect("searches")), new[0]);
    let old = before.vectors().expect("vectors").nearest(space, &near, None, 2_000).await.expect("searches");
    assert_eq!(old.hits, scanned(&put, &near, 2_000), "a reader stays at its revision");
    let gone = *put.keys().next().expect("a passage");
    assert_eq!(old.hits.iter().filter(|(_score, row)| *row == gone).count(), 1);
    let now = vectors.nearest(space, &near, None, 2_000).await.expect("searches");
    assert!(now.hits.iter().all(|(_score, row)| *row != gone), "it left the folder");
}

#[tokio::test]
async fn a_text_of_several_documents_is_found_once_also_by_the_index() {
    let Some((commons, before)) = collection().await else { return };
    let space = Digest::of(b"space");
    let put = embed(&before.vectors().expect("vectors"), space).await;
    let first = *put.keys().next().expect("a passage");
    let mut after = commons.open().await;
    // The same text under a smaller path, whose passages are searched from then on.
    std::fs::copy(commons.folder.join("d000.md"), commons.folder.join("a.md")).expect("copied");
    ingest(&mut after).await.expect("ingests");
    let (was, now) = (before.vectors().expect("vectors"), after.vectors().expect("vectors"));
    let new = embed(&now, space).await;
    assert_eq!(new.len(), PARTS, "its passages, and no others");
    for indexed in [false, true] {
        if indexed {
            assert!(now.index_from(space, 1_000).await.expect("built"));
        }
        let by = if indexed { Way::Index } else { Way::Scan };
        let near = now.nearest(space, &vector(first), None, 100).await.expect("searches");
        assert_eq!((near.by, near.hits.iter().any(|(_score, row)| *row == first)), (by, false));
        let near = now.nearest(space, &vector(*new.keys().next().expect("one")), None, 1).await.expect("searches");
        assert!(new.contains_key(&near.hits[0].1), "{near:?}");
        let old = was.nearest(space, &vector(first), None, 100).await.expect("searches");
        assert_eq!((old.by, old.hits[0].1), (by, first));
        assert!(old.hits.iter().all(|(_score, row)| put.contains_key(row)), "a reader stays at its revision");
    }
}

#[tokio::test]
async fn programs_that_build_indexes_at_the_same_time_all_have_theirs() {
    let space = Digest::of(b"space");
    let mut all = Vec::new();
    for _collection in 0..4 {
        let Some((commons, index)) = collection().await else { return };
        embed(&index.vectors().expect("pgvector is there"), space).await;
        all.push((commons, index));
    }
    // Two programs for each: the second finds what the first made.
    let mut building = tokio::task::JoinSet::new();
    for (commons, index) in &all {
        for index in [index, &commons.open().await] {
            let vectors = index.vectors().expect("vectors");
            building.spawn(async move { vectors.index_from(space, 1_000).await });
        }
    }
    for built in building.join_all().await {
        assert!(built.expect("built"));
    }
}

#[tokio::test]
async fn a_scan_goes_further_where_the_nearest_are_gone_or_equally_near() {
    let Some((commons, before)) = collection().await else { return };
    let (space, equal) = (Digest::of(b"space"), Digest::of(b"equal"));
    let put = embed(&before.vectors().expect("vectors"), space).await;
    let same: Vec<(u64, Vec<f32>)> = put.keys().map(|row| (*row, vector(7))).collect();
    before.vectors().expect("vectors").put(equal, &same).await.expect("put");
    let same: BTreeMap<u64, Vec<f32>> = same.into_iter().collect();
    let found = before.vectors().expect("vectors").nearest(equal, &vector(8), None, 10).await.expect("searches");
    assert_eq!(found.hits, scanned(&same, &vector(8), 10), "equally near ones go by their texts");

    let mut after = commons.open().await;
    for document in 2..DOCUMENTS {
        remove(&commons.folder.join(format!("d{document:03}.md")));
    }
    ingest(&mut after).await.expect("ingests");
    let left: BTreeMap<u64, Vec<f32>> = put.iter().take(2 * PARTS).map(|(row, one)| (*row, one.clone())).collect();
    let vectors = after.vectors().expect("vectors");
    for (seed, limit) in [(1, 1), (2, 10), (3, 100)] {
        let found = vectors.nearest(space, &vector(seed), None, limit).await.expect("searches");
        assert_eq!(found.hits, scanned(&left, &vector(seed), limit));
    }
}
