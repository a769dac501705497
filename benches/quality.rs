//! How well search finds: words, vectors, and ways to put the two together, on judged questions.
//!
//! A way is chosen on scifact's training questions alone, in five parts, each judged by what was chosen on the other four;
//! the other sets are only reported. Needs the data and the embedding model; scripts/eval.sh brings both.
//!
//! usage: quality DATA MODEL.gguf HOME [--dump FILE] [--only SET]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use agent_runtime::models::llama::{LlamaEmbedder, LlamaEmbedderSettings};
use common_ground::port::{
    embedder::{Embedder, Prefixes},
    index::{By, Hit, Index, Search},
};
use commons_index::{Caller, Collection, Limits};
use serde_json::{Value, json};

type Failed = Box<dyn Error>;

/// A set of questions, each with the documents that answer it.
struct Set {
    name: &'static str,
    documents: Vec<(String, String, String)>,
    questions: Vec<(String, BTreeSet<String>)>,
}

fn lines(path: &Path) -> Result<Vec<Value>, Failed> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn word(row: &Value, key: &str) -> String {
    row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn set(data: &Path, name: &'static str, train: &str) -> Result<Set, Failed> {
    let folder = data.join(name);
    let documents = lines(&folder.join("corpus.jsonl"))?;
    let documents = documents.iter().map(|row| (word(row, "_id"), word(row, "title"), word(row, "text"))).collect();
    let mut right: HashMap<String, BTreeSet<String>> = HashMap::new();
    for line in fs::read_to_string(folder.join(format!("qrels{train}.tsv")))?.lines().skip(1) {
        let mut parts = line.split('\t');
        if let (Some(question), Some(document), Some(score)) = (parts.next(), parts.next(), parts.next())
            && score != "0"
        {
            right.entry(question.to_owned()).or_default().insert(document.to_owned());
        }
    }
    let questions = lines(&folder.join(format!("queries{train}.jsonl")))?;
    let questions = questions.iter().filter_map(|row| Some((word(row, "text"), right.remove(&word(row, "_id"))?)));
    Ok(Set { name, documents, questions: questions.collect() })
}

/// The set's documents as a collection with vectors; what is there from an earlier run is kept.
async fn collection(set: &Set, place: &Path, model: Arc<dyn Embedder>) -> Result<Collection, Failed> {
    let folder = place.join(set.name);
    fs::create_dir_all(&folder)?;
    let home = place.join("home");
    fs::create_dir_all(&home)?;
    for (id, title, text) in &set.documents {
        let path = folder.join(format!("{id}.md"));
        if !path.exists() {
            fs::write(path, format!("# {title}\n\n{text}\n"))?;
        }
    }
    let mut index = Collection::open(&home, &folder, "ii-0123456789abcdef", Limits::default()).await?;
    let mut entropy = |salt: &mut [u8]| getrandom::fill(salt).map_err(std::io::Error::other);
    let mut sign = |body: &[u8]| Ok(body.to_vec());
    let mut silent = |_at| {};
    index
        .ingest(Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut silent })
        .await?;
    index.use_embedder(model).await?;
    let mut told = |at: commons_index::Progress| {
        if at.done.is_multiple_of(512) {
            eprintln!("{}: {}/{}", set.name, at.done, at.total);
        }
    };
    index.embed(&mut told).await?;
    Ok(index)
}

/// What a search found, as documents: (document, words, vectors).
type Found = Vec<(String, f64, f64)>;

fn found(hits: &[Hit]) -> Found {
    let one = |hit: &Hit| {
        let why = hit.why.unwrap_or_default();
        let document = hit.passage.path.trim_end_matches(".md").to_owned();
        (document, why.words_milli.unwrap_or(0) as f64 / 1e3, why.vectors_micro.unwrap_or(0) as f64 / 1e6)
    };
    hits.iter().map(one).collect()
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (Some(data), Some(model), Some(place)) = (arguments.first(), arguments.get(1), arguments.get(2)) else {
        println!("skipped: quality of search: usage: quality DATA MODEL.gguf HOME [--dump FILE] [--only SET]");
        return Ok(());
    };
    let dump = arguments.iter().position(|argument| argument == "--dump").and_then(|at| arguments.get(at + 1));
    let settings = LlamaEmbedderSettings {
        id: "llama:minilm".to_owned(),
        path: PathBuf::from(model),
        threads: None,
        prefixes: Prefixes::default(),
    };
    let model: Arc<dyn Embedder> = Arc::new(LlamaEmbedder::load(settings)?);
    let data = Path::new(data);
    let mut out = dump.map(fs::File::create).transpose()?;
    let only = arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1));
    for (name, train) in [("scifact", ".train"), ("hotpotqa-200", ""), ("musique-dev", "")] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let set = set(data, name, train)?;
        let index = collection(&set, Path::new(place), Arc::clone(&model)).await?;
        for (question, right) in &set.questions {
            let mut lists = BTreeMap::new();
            for (key, by, hops) in [
                ("words", By::Words, 0),
                ("vectors", By::Vectors, 0),
                ("best", By::Best, 0),
                ("words, again", By::Words, 1),
                ("best, again", By::Best, 1),
                ("best, twice again", By::Best, 2),
            ] {
                let search = Search { by, hops, ..Search::new(question, 100) };
                lists.insert(key, found(&index.search(&search).await?));
            }
            if let Some(out) = &mut out {
                writeln!(out, "{}", json!({"set": name, "question": question, "right": right, "lists": lists}))?;
            }
        }
        eprintln!("{name}: {} questions", set.questions.len());
    }
    Ok(())
}
