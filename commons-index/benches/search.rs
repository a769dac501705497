//! How long a search takes as collections grow: by words, and by words and vectors, in a home and in a database, beside the
//! engines below on the same passages and queries. `II_BENCH_PASSAGES=10000,100000,1000000` says how many passages;
//! `II_TEST_POSTGRES` names a server, without which the database is left out. The model is none: its vectors are numbers
//! drawn from a text's digest, so that making a query's vector costs nothing.

mod made;

use std::{
    error::Error,
    fs,
    io::{BufWriter, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use common_ground::port::{
    BoxFuture,
    embedder::{EmbedError, Embedder, Purpose},
    index::{By, Index, Search},
};
use commons_index::{Caller, Collection, Limits, Postgres, SearchedIn, Vectored};
use half::f16;
use made::Words;
use receipts::Digest;
use sqlx::{Connection, PgConnection};
use tantivy::{
    TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::TokenStream,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const DIMENSIONS: usize = 384;
/// As long as a passage is at most, so that a record is one.
const PASSAGE: usize = 700;
const QUERIES: usize = 300;
const WANTED: u32 = 10;
const VKEY: &str = "ii-0123456789abcdef+1d5a1b6f+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
const NODE: &str = "ii-0123456789abcdef";

/// A vector of length one for a text.
fn vector(text: &str) -> Vec<f32> {
    let digest = Digest::of(text.as_bytes()).0;
    let mut state = u64::from_be_bytes(digest[..8].try_into().unwrap_or_default()) | 1;
    let mut numbers: Vec<f32> = (0..DIMENSIONS)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    numbers.iter_mut().for_each(|number| *number /= length);
    numbers
}

struct Drawn;

impl Embedder for Drawn {
    fn id(&self) -> &str {
        "drawn"
    }

    fn space(&self) -> Digest {
        Digest::of(b"drawn")
    }

    fn dimensions(&self) -> u32 {
        DIMENSIONS as u32
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: Purpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(async move { Ok(texts.iter().map(|text| vector(text)).collect()) })
    }
}

/// The middle and the ninety-ninth of a hundred, in milliseconds.
struct Times(Vec<Duration>);

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99))
    }
}

/// Passages, and queries of some words that follow each other in such texts.
struct Material {
    passages: Vec<String>,
    queries: Vec<String>,
}

impl Material {
    fn new(count: usize) -> Self {
        let mut words = Words::new();
        let one_line = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let passages: Vec<String> = (0..count)
            .map(|_| {
                let mut text = one_line(words.text(PASSAGE / 2));
                text.truncate(text.char_indices().map(|(at, _)| at).take_while(|at| *at < PASSAGE).last().unwrap_or(0));
                text
            })
            .collect();
        let queries = (0..QUERIES)
            .map(|_| {
                let of = &passages[words.next() as usize % count];
                let all: Vec<&str> = of.split(' ').collect();
                let from = words.next() as usize % all.len().saturating_sub(8).max(1);
                all[from..(from + 8).min(all.len())].join(" ")
            })
            .collect();
        Self { passages, queries }
    }

    fn write(&self, folder: &Path) -> Outcome<()> {
        fs::create_dir_all(folder)?;
        let mut file = BufWriter::new(fs::File::create(folder.join("all.jsonl"))?);
        for (number, text) in self.passages.iter().enumerate() {
            writeln!(file, "{{\"_id\": \"{number}\", \"text\": \"{text}\"}}")?;
        }
        file.flush()?;
        Ok(())
    }
}

async fn fill(index: &mut Collection) -> Outcome<()> {
    let mut entropy = |salt: &mut [u8]| {
        salt.fill(1);
        Ok(())
    };
    let mut sign = |body: &[u8]| Ok(body.to_vec());
    let mut progress = |_at| {};
    let done = index
        .ingest(Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut progress })
        .await?;
    index.use_embedder(Arc::new(Drawn)).await?;
    let made = index.embed(&mut |_at| {}).await?;
    println!("  {} passages, {} vectors, {} bytes on disk", done.passages, made.vectors, index.bytes_on_disk().0);
    Ok(())
}

async fn searched(index: &Collection, queries: &[String], by: By) -> Outcome<Times> {
    let mut times = Vec::with_capacity(queries.len());
    for query in queries {
        let search = Search { by, ..Search::new(query, WANTED) };
        let began = Instant::now();
        std::hint::black_box(index.search(&search).await?);
        times.push(began.elapsed());
    }
    Ok(Times(times))
}

/// tantivy by itself: the same passages, every word of the query, the best ten.
fn tantivy_alone(at: &Path, material: &Material) -> Outcome<Times> {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer("en_stem").set_index_option(IndexRecordOption::WithFreqs);
    let body = schema.add_text_field("body", TextOptions::default().set_indexing_options(indexing));
    fs::create_dir_all(at)?;
    let index = tantivy::Index::create_in_dir(at, schema.build())?;
    let mut writer = index.writer_with_num_threads(2, 96 << 20)?;
    for passage in &material.passages {
        let mut document = TantivyDocument::default();
        document.add_text(body, passage);
        writer.add_document(document)?;
    }
    writer.commit()?;
    writer.wait_merging_threads()?;
    let searcher = index.reader()?.searcher();
    let mut analyzer = index.tokenizers().get("en_stem").ok_or("no analyzer")?;
    let mut times = Vec::new();
    for query in &material.queries {
        let began = Instant::now();
        let mut terms: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        let mut stream = analyzer.token_stream(query);
        while stream.advance() {
            let term = Term::from_field_text(body, &stream.token().text);
            terms.push((Occur::Should, Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))));
        }
        drop(stream);
        std::hint::black_box(
            searcher.search(&BooleanQuery::new(terms), &TopDocs::with_limit(WANTED as usize).order_by_score())?,
        );
        times.push(began.elapsed());
    }
    Ok(Times(times))
}

/// The scalar products alone: what no search over all vectors can do without.
fn products(material: &Material) -> Times {
    use simsimd::SpatialSimilarity;
    let half = |text: &str| -> Vec<simsimd::f16> {
        vector(text).into_iter().map(|number| simsimd::f16(f16::from_f32(number).to_bits())).collect()
    };
    let all: Vec<simsimd::f16> = material.passages.iter().flat_map(|text| half(text)).collect();
    let mut times = Vec::new();
    for query in material.queries.iter().take(30) {
        let query = half(query);
        let began = Instant::now();
        let best = all.chunks_exact(DIMENSIONS).map(|one| simsimd::f16::dot(one, &query).unwrap_or(0.0));
        std::hint::black_box(best.fold(f64::MIN, f64::max));
        times.push(began.elapsed());
    }
    Times(times)
}

/// How pgvector finds by itself.
#[derive(Clone, Copy, PartialEq)]
enum Alone {
    Scan,
    /// By an index, as it is set up.
    Index,
    /// By an index, looking at as many vectors as a collection's search does, so that it misses as few.
    SureIndex,
}

/// pgvector by itself: a plain table of the same vectors, scanned or through an index.
async fn pgvector_alone(url: &str, material: &Material, by: Alone) -> Outcome<Times> {
    let mut on = PgConnection::connect(url).await?;
    let mut run = async |sql: String| sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut on).await;
    run("CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS plain".to_owned()).await?;
    let place = "SELECT set_config('search_path', 'public,' || extnamespace::regnamespace::text, false) \
                 FROM pg_extension WHERE extname = 'vector'";
    run(place.to_owned()).await?;
    run(format!("CREATE TABLE plain (id bigint PRIMARY KEY, embedding halfvec({DIMENSIONS}))")).await?;
    let text = |numbers: Vec<f32>| format!("[{}]", numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    for (number, batch) in material.passages.chunks(500).enumerate() {
        let rows = batch.iter().enumerate().map(|(n, one)| format!("({},'{}')", number * 500 + n, text(vector(one))));
        run(format!("INSERT INTO plain VALUES {}", rows.collect::<Vec<_>>().join(","))).await?;
    }
    if by != Alone::Scan {
        run("CREATE INDEX ON plain USING hnsw (embedding halfvec_ip_ops)".to_owned()).await?;
    }
    run("ANALYZE plain".to_owned()).await?;
    if by == Alone::SureIndex {
        run("SET hnsw.ef_search = 200".to_owned()).await?;
    }
    let mut times = Vec::new();
    for query in &material.queries {
        let query = text(vector(query));
        let began = Instant::now();
        let found = sqlx::query("SELECT id FROM plain ORDER BY embedding <#> $1::halfvec LIMIT 10").bind(query);
        std::hint::black_box(found.fetch_all(&mut on).await?);
        times.push(began.elapsed());
    }
    Ok(Times(times))
}

async fn database(url: &str, root: &Path, material: &Material, folder: &Path) -> Outcome<()> {
    let server = Postgres::connect(url).await?;
    let home = root.join("home-of-database");
    fs::create_dir_all(&home)?;
    // All vectors are searched in the database, however few.
    let limits = Limits { home_vectors: 0, ..Limits::default() };
    let mut index = Collection::open_in(&server, &home, folder, VKEY, limits).await?;
    fill(&mut index).await?;
    let in_database = matches!(index.vectored(), Vectored::Ready { searched: SearchedIn::Database, .. });
    if !in_database {
        return Err("the database does not search the vectors".into());
    }
    println!("  database, words: {}", searched(&index, &material.queries, By::Words).await?);
    println!("  database, vectors: {}", searched(&index, &material.queries, By::Vectors).await?);
    println!("  database, both: {}", searched(&index, &material.queries, By::Best).await?);
    println!("  peer: pgvector alone, by scan: {}", pgvector_alone(url, material, Alone::Scan).await?);
    println!("  peer: pgvector alone, by its index: {}", pgvector_alone(url, material, Alone::Index).await?);
    println!("  peer: the same, ef_search as ours: {}", pgvector_alone(url, material, Alone::SureIndex).await?);
    Ok(())
}

fn main() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let counts = std::env::var("II_BENCH_PASSAGES").unwrap_or_else(|_unset| "10000,100000".to_owned());
    for count in counts.split(',') {
        let count = count.parse()?;
        println!("{count} passages");
        let root = tempfile::tempdir()?;
        let material = Material::new(count);
        let folder = root.path().join("folder");
        material.write(&folder)?;
        runtime.block_on(async {
            let home = root.path().join("home");
            fs::create_dir_all(&home)?;
            let mut index = Collection::open(&home, &folder, NODE, Limits::default()).await?;
            fill(&mut index).await?;
            println!("  home, words: {}", searched(&index, &material.queries, By::Words).await?);
            println!("  home, vectors: {}", searched(&index, &material.queries, By::Vectors).await?);
            println!("  home, both: {}", searched(&index, &material.queries, By::Best).await?);
            Outcome::Ok(())
        })?;
        println!("  peer: tantivy alone: {}", tantivy_alone(&root.path().join("tantivy"), &material)?);
        println!("  floor: scalar products of all vectors, one thread: {}", products(&material));
        match std::env::var("II_TEST_POSTGRES") {
            Ok(url) => runtime.block_on(database(&url, root.path(), &material, &folder))?,
            Err(_unset) => {
                println!("  left out: the database, II_TEST_POSTGRES names none (scripts/postgres.sh start)")
            }
        }
    }
    Ok(())
}
