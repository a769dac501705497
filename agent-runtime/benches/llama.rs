//! How fast the embedded model reads and writes, and what shared beginnings save: run by `scripts/bench-llama.sh`, which
//! makes the file and measures llama.cpp's own programs beside it.
//!
//! usage: llama FILE.gguf THREADS alone|together|vectors|nothing

#[cfg(not(feature = "llama"))]
fn main() {
    println!("skipped: the embedded model: this build has no llama (cargo bench --features llama)");
}

#[cfg(feature = "llama")]
fn main() {
    measured::main();
}

#[cfg(feature = "llama")]
mod measured {
    use std::{env, time::Instant};

    use agent_runtime::models::llama::{Llama, LlamaEmbedder, LlamaEmbedderSettings, LlamaSettings};
    use common_ground::{
        port::{
            embedder::{Embedder, Prefixes, Purpose},
            model::{Model, ModelError, ModelRequest, Reply, Turn},
        },
        role::Role,
    };
    use futures_util::{StreamExt, future::join_all};

    const PROMPT: usize = 512;
    const WRITTEN: u64 = 64;
    /// Requests at once; tokens they share, tokens of each alone, and tokens each writes.
    const TOGETHER: (usize, usize, usize, u64) = (8, 2000, 100, 64);

    fn settings(path: &str, threads: u32) -> LlamaSettings {
        LlamaSettings { threads: Some(threads), cells: Some(32_768), ..LlamaSettings::new(path) }
    }

    /// Letters that are a token each, not the same for each seed.
    fn letters(count: usize, seed: usize) -> String {
        let letters: Vec<char> = "bcdfgjklmpqsuvwxyz".chars().collect();
        (0..count).map(|at| letters[(at * 7 + at / 11 + seed * 13 + at * seed) % letters.len()]).collect()
    }

    fn request(text: String, max_tokens: u64) -> ModelRequest {
        ModelRequest {
            model: String::new(),
            role: Role::Associate,
            turns: vec![Turn::Task { text }],
            tools: Vec::new(),
            reply: Reply::Text,
            max_tokens,
        }
    }

    /// Seconds to the end of all. Each answer is cut at its length, as is meant here.
    async fn seconds(model: &Llama, requests: &[ModelRequest]) -> f64 {
        let began = Instant::now();
        let answers =
            join_all(requests.iter().map(|request| async move {
                model.complete(request).collect::<Vec<_>>().await.pop().expect("an end")
            }));
        for end in answers.await {
            assert!(
                matches!(end, Err(ModelError::Cut { .. })),
                "an answer ended by itself, which another seed mends: {end:?}"
            );
        }
        began.elapsed().as_secs_f64()
    }

    pub(super) fn main() {
        let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let [path, threads, what] = arguments.as_slice() else {
            println!("skipped: the embedded model: scripts/bench-llama.sh runs this with a file and threads");
            return;
        };
        let threads = threads.parse().expect("threads is a number");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        match what.as_str() {
            "alone" => runtime.block_on(alone(path, threads)),
            "together" => runtime.block_on(together(path, threads)),
            "vectors" => runtime.block_on(vectors(path, threads)),
            // Only built.
            "nothing" => {}
            other => panic!("{other} is not alone, together, vectors or nothing"),
        }
    }

    /// Tokens a second of an embedding model: texts as long as llama-bench's, and as long as passages are.
    async fn vectors(path: &str, threads: u32) {
        let settings = LlamaEmbedderSettings {
            id: "llama:bench".to_owned(),
            path: path.into(),
            threads: Some(threads),
            prefixes: Prefixes::default(),
        };
        let model = LlamaEmbedder::load(settings).expect("loads");
        for length in [512, 190] {
            // A token each, and one before and one after them.
            let text =
                |number: usize| ["word", "ship", "river", "glass"][number % 4].to_owned() + &" word".repeat(length - 3);
            let texts: Vec<String> = (0..16_384 / length).map(text).collect();
            model.embed(&texts[..4], Purpose::Passage).await.expect("embedded");
            let began = Instant::now();
            model.embed(&texts, Purpose::Passage).await.expect("embedded");
            let rate = (texts.len() * length) as f64 / began.elapsed().as_secs_f64();
            println!("vectors of texts of {length} tokens: {rate:.0} tokens/s");
        }
    }

    async fn alone(path: &str, threads: u32) {
        let model = Llama::load(LlamaSettings { parallel: 1, share_prefixes: false, ..settings(path, threads) })
            .expect("loads");
        let frame = model.count_tokens(&request(String::new(), 1)).await.expect("counted");
        let frame = usize::try_from(frame).expect("small");
        let (mut read, mut write) = (Vec::new(), Vec::new());
        for seed in 0..4 {
            let short = seconds(&model, &[request(letters(PROMPT - frame, seed), 2)]).await;
            let long = seconds(&model, &[request(letters(PROMPT - frame, seed), 2 + WRITTEN)]).await;
            if seed > 0 {
                read.push(PROMPT as f64 / short);
                write.push(WRITTEN as f64 / (long - short));
            }
        }
        println!("prompt {:.1} tokens/s, writing {:.1} tokens/s", median(&mut read), median(&mut write));
    }

    async fn together(path: &str, threads: u32) {
        let (requests, shared, own, written) = TOGETHER;
        for share_prefixes in [true, false] {
            let model = Llama::load(LlamaSettings { share_prefixes, ..settings(path, threads) }).expect("loads");
            let mut times = Vec::new();
            for round in 0..2 {
                let all: Vec<ModelRequest> = (0..requests)
                    .map(|number| request(letters(shared, 100 + round) + &letters(own, 200 + number), written + 1))
                    .collect();
                times.push(seconds(&model, &all).await);
            }
            let time = median(&mut times);
            let tokens = requests as f64 * written as f64;
            println!("together, sharing {share_prefixes}: {time:.2} s, {:.1} tokens/s written", tokens / time);
        }
    }

    fn median(numbers: &mut [f64]) -> f64 {
        numbers.sort_by(f64::total_cmp);
        numbers[numbers.len() / 2]
    }
}
