//! The embedded embedding model with real weights: all-MiniLM-L6-v2, as `scripts/models.sh` makes its file.
#![cfg(feature = "llama")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use agent_runtime::models::llama::{LlamaEmbedder, LlamaEmbedderSettings, LlamaError};
use common_ground::port::embedder::{Embedder, Purpose};

/// The file, fetched once for all tests of the workspace.
fn file() -> Option<PathBuf> {
    static FILE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = FILE.get_or_init(|| {
        let models = root.join("target/models");
        let made = Command::new(root.join("scripts/models.sh")).arg(&models).output();
        let made = made.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        if made.status.success() { Ok(models.join("all-minilm-l6-v2.gguf")) } else { Err(said) }
    });
    match found {
        Ok(file) => Some(file.clone()),
        Err(reason) if env::var_os("CI").is_none() => {
            println!("skipped: embeddings of real weights: {}", reason.trim());
            None
        }
        Err(reason) => panic!("no embedding model can be made: {reason}"),
    }
}

fn settings(path: PathBuf) -> LlamaEmbedderSettings {
    let (query_prefix, passage_prefix) = (String::new(), String::new());
    LlamaEmbedderSettings { id: "llama:minilm".to_owned(), path, threads: Some(1), query_prefix, passage_prefix }
}

fn texts() -> Vec<String> {
    let long = "word ".repeat(600);
    let texts = [
        "The harbour pilot boards every ship before it enters the river.",
        "A pilot goes on board of vessels at the mouth of the river.",
        "Yeast turns sugar into alcohol and carbon dioxide.",
        "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich — naïve café, 東京!",
        &long,
    ];
    texts.map(str::to_owned).to_vec()
}

/// The first four numbers of each, by the model's definition computed in float64 from the same weights; of the long one the
/// first 511 tokens and the one that ends it.
const FIRST: [[f32; 4]; 5] = [
    [0.07743, 0.00225, -0.06844, 0.03225],
    [0.06821, 0.05952, -0.10532, 0.01242],
    [-0.00204, -0.01932, -0.06055, 0.02448],
    [0.01304, 0.06545, 0.01378, -0.01457],
    [-0.04115, -0.0937, 0.0099, 0.07485],
];
/// And how near the first is to each.
const NEAR: [f32; 5] = [1.0, 0.741_35, 0.032_64, 0.006_39, 0.050_89];

fn product(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn vectors_are_those_of_the_models_own_definition() {
    let Some(file) = file() else { return };
    let model = LlamaEmbedder::load(settings(file)).expect("loaded");
    assert_eq!((model.id(), model.dimensions()), ("llama:minilm", 384));
    let vectors = model.embed(&texts(), Purpose::Passage).await.expect("embedded");
    assert_eq!(vectors.len(), 5);
    for ((vector, first), near) in vectors.iter().zip(FIRST).zip(NEAR) {
        assert!(vector.len() == 384 && (product(vector, vector) - 1.0).abs() < 1e-4);
        for (found, wanted) in vector.iter().zip(first) {
            assert!((found - wanted).abs() < 2e-3, "{:?} is not {first:?}", &vector[..4]);
        }
        let found = product(&vectors[0], vector);
        assert!((found - near).abs() < 5e-3, "{found} is not {near}");
    }
}

#[tokio::test]
async fn a_vector_does_not_depend_on_its_company_and_calls_may_overlap() {
    let Some(file) = file() else { return };
    let model = LlamaEmbedder::load(settings(file)).expect("loaded");
    let many: Vec<String> = (0..40).map(|number| format!("{} {number}", texts()[number % 5])).collect();
    let (together, again) = tokio::join!(model.embed(&many, Purpose::Query), model.embed(&many[7..9], Purpose::Query));
    let (together, again) = (together.expect("embedded"), again.expect("embedded"));
    for (alone, place) in again.iter().zip(7..) {
        assert!(product(alone, &together[place]) > 0.9999);
    }
    assert!(model.embed(&[], Purpose::Query).await.expect("nothing to do").is_empty());
    let blank = model.embed(&[String::new()], Purpose::Query).await.expect("an empty text has a vector");
    assert_eq!(blank[0].len(), 384);
}

#[test]
fn another_prefix_is_another_space() {
    let Some(file) = file() else { return };
    let plain = LlamaEmbedder::load(settings(file.clone())).expect("loaded");
    let same = LlamaEmbedder::load(settings(file.clone())).expect("loaded");
    let prefixed = LlamaEmbedderSettings { query_prefix: "query: ".to_owned(), ..settings(file) };
    let prefixed = LlamaEmbedder::load(prefixed).expect("loaded");
    assert_eq!(plain.space(), same.space());
    assert_ne!(plain.space(), prefixed.space());
}

#[test]
fn what_cannot_embed_is_refused_with_the_fix() {
    let Some(file) = file() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let load = |path: PathBuf| LlamaEmbedder::load(settings(path)).expect_err("refused");
    assert!(matches!(load(folder.path().join("none.gguf")), LlamaError::Unreadable { .. }));
    let bytes = fs::read(&file).expect("the file");
    let half = folder.path().join("half.gguf");
    fs::write(&half, &bytes[..bytes.len() / 2]).expect("written");
    assert!(matches!(load(half), LlamaError::Truncated { .. }));
    // The same weights that say of themselves that nothing is made of their tokens.
    let key = b"bert.pooling_type";
    let at = bytes.windows(key.len()).position(|window| window == key).expect("the entry") + key.len() + 4;
    let mut none = bytes;
    none[at] = 0;
    let path = folder.path().join("none.gguf");
    fs::write(&path, none).expect("written");
    let error = load(path);
    assert!(error.to_string().contains("take an embedding model"), "{error}");
}
