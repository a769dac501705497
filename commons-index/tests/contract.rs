//! What every `Index` must do, as one function over an index that holds [`DOCUMENTS`]; each backend has one test that calls
//! it.

mod common;

use common::{Commons, paths, search};
use common_ground::{
    citation::Span,
    port::index::{Index, IndexError, PassageId, Search},
};
use receipts::Digest;

/// What the index under test holds.
const DOCUMENTS: &[(&str, &str)] = &[
    (
        "b/harbour.md",
        "# Harbour\n\nIntro to the harbour.\n\n## Ships\n\nThe red ship sails at dawn. It returns at dusk.\n\n## Cranes\n\nCranes lift crates.\n",
    ),
    ("a/field.txt", "A field of wheat. Dr. Öst ploughs it.\n"),
    ("same-1.md", "Twin words here.\n"),
    ("same-2.md", "Twin words here.\n"),
    ("tie-1.txt", "Tied alpha.\n"),
    ("tie-2.txt", "Tied gamma.\n"),
    ("tie-3.txt", "Tied delta.\n"),
    ("page.html", "<title>Lighthouse</title><nav>menu</nav><h1>Lighthouse</h1><p>The lamp &amp; the keeper.</p>"),
];

async fn contract(index: &dyn Index) {
    best_hit_is_whole(index).await;
    let query = Search::new("ship ship SHIPS wheat lamp", 100);
    let hits = index.search(&query).await.expect("searches");
    assert_eq!(hits, index.search(&query).await.expect("searches"), "the same question, the same hits");
    assert!(hits.is_sorted_by(|a, b| a.score_milli >= b.score_milli), "best first");
    for hit in &hits {
        assert_eq!(index.read(&hit.passage.id).await.as_ref(), Ok(&hit.passage), "a hit reads back as it was found");
    }
    assert_eq!(paths(index, "twin").await, ["same-1.md"], "equal texts are one hit, of the first path");
    let ties: Vec<Digest> = search(index, "tied").await.into_iter().map(|hit| hit.passage.id.text).collect();
    assert!(ties.len() == 3 && ties.is_sorted(), "equal scores by text: {ties:?}");
    for empty in ["", "  ", "the of", "-- \" (", "zebra"] {
        assert!(paths(index, empty).await.is_empty(), "{empty:?} finds nothing");
    }
    assert_eq!(paths(index, "\"ship\" AND NOT (title:ship)").await, ["b/harbour.md"], "no query syntax");
    // In the languages of the engines and databases below: words, and nothing else.
    for syntax in [
        "ship'; DROP TABLE passages; --",
        "ship' OR '1'='1",
        "ship & !sails | ship <-> dawn:*",
        "path:/.*/ OR head:ship^9 +ship -sails [a TO z] *",
        "$1 ship ? %s {ship}",
    ] {
        assert_eq!(paths(index, syntax).await.first().map(String::as_str), Some("b/harbour.md"), "{syntax}");
    }
    assert_eq!(paths(index, "menu").await, Vec::<String>::new(), "navigation is not indexed");
    for limit in [0, 1, 2] {
        let query = Search::new("harbour twin wheat", limit);
        assert_eq!(index.search(&query).await.expect("searches").len(), limit as usize);
    }
    spans(index).await;
    assert!(!index.heads().is_empty());
}

async fn best_hit_is_whole(index: &dyn Index) {
    let hit = search(index, "when does the ship sail").await.remove(0);
    let passage = hit.passage;
    assert_eq!((passage.path.as_str(), passage.title.as_str()), ("b/harbour.md", "Harbour"));
    assert_eq!(passage.headings, ["Ships"]);
    let source = DOCUMENTS[0].1;
    assert_eq!(passage.document, Digest::of(source.as_bytes()));
    assert_eq!(passage.id.text, passage.document, "Markdown is its own citable text");
    let cut = |span: Span| &source[span.start as usize..span.end as usize];
    assert_eq!(passage.content, cut(passage.id.span));
    let sentences: Vec<&str> = passage.sentences.iter().map(|span| cut(*span)).collect();
    assert_eq!(sentences, ["The red ship sails at dawn.", "It returns at dusk."]);
    assert!(hit.score_milli > 0);
}

async fn spans(index: &dyn Index) {
    let field = Digest::of(DOCUMENTS[1].1.as_bytes());
    let id = |start, end| PassageId { text: field, span: Span { start, end } };
    let passage = index.read(&id(8, 22)).await.expect("any span reads");
    assert_eq!((passage.content.as_str(), passage.headings.len()), ("of wheat. Dr. ", 0));
    assert_eq!(
        passage.sentences,
        [Span { start: 8, end: 17 }, Span { start: 18, end: 22 }],
        "sentences cut to the span"
    );
    let o = DOCUMENTS[1].1.find('Ö').expect("there") as u64;
    for (start, end) in [(0, o + 1), (o + 1, o + 3), (5, 4), (0, 10_000), (10_000, 10_001), (0, u64::MAX)] {
        let refused = index.read(&id(start, end)).await;
        assert_eq!(refused, Err(IndexError::BadSpan { text: field, span: Span { start, end } }), "{start}..{end}");
    }
    let unknown = PassageId { text: Digest::of(b"?"), span: Span { start: 0, end: 1 } };
    assert_eq!(index.read(&unknown).await, Err(IndexError::UnknownText { text: unknown.text }));
    let lamp = search(index, "lamp keeper").await.remove(0).passage;
    assert_eq!((lamp.path.as_str(), lamp.title.as_str()), ("page.html", "Lighthouse"));
    assert!(lamp.content.contains("The lamp & the keeper."));
    assert_ne!(lamp.id.text, lamp.document, "HTML is cited by its readable text");
    assert_eq!(lamp.document, Digest::of(DOCUMENTS[7].1.as_bytes()));
}

async fn kept_by(commons: &Commons) {
    contract(&commons.index().await).await;
    // Opened again it is the same index.
    contract(&commons.open().await).await;
}

#[tokio::test]
async fn embedded_index_keeps_the_contract() {
    kept_by(&Commons::new(DOCUMENTS)).await;
}

#[tokio::test]
async fn postgres_index_keeps_the_contract() {
    if let Some(commons) = Commons::in_postgres(DOCUMENTS).await {
        kept_by(&commons).await;
    }
}
