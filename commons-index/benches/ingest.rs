//! How fast documents are taken in, and with how much memory: plain text in files and records in one file, beside what the
//! engines below do by themselves on the same text. `II_BENCH_MB=200,1000` says how much; each measurement is a process
//! of its own, so that the peak is its own.

mod made;

use std::{
    error::Error,
    fs,
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use commons_index::{Caller, Collection, Limits};
use made::Words;
use sha2::{Digest, Sha256};
use tantivy::{
    Index, TantivyDocument,
    schema::{IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// About as long as a passage.
const PASSAGE: usize = 900;
const FILE: usize = 64 << 10;

fn corpus(at: &Path, shape: &str, megabytes: usize) -> Outcome<PathBuf> {
    let folder = at.join(format!("{shape}-{megabytes}"));
    fs::create_dir_all(&folder)?;
    let mut words = Words::new();
    let mut left = megabytes << 20;
    if shape == "files" {
        for number in 0.. {
            let text = words.text(FILE);
            fs::write(folder.join(format!("{number:06}.txt")), &text)?;
            left = left.saturating_sub(text.len());
            if left == 0 {
                break;
            }
        }
    } else {
        let mut file = BufWriter::new(fs::File::create(folder.join("all.jsonl"))?);
        for number in 0.. {
            let text = words.text(1_500).replace('\n', "\\n");
            let line = format!("{{\"_id\": \"{number}\", \"title\": \"Record {number}\", \"text\": \"{text}\"}}\n");
            file.write_all(line.as_bytes())?;
            left = left.saturating_sub(line.len());
            if left == 0 {
                break;
            }
        }
        file.flush()?;
    }
    Ok(folder)
}

fn each_file(folder: &Path, mut act: impl FnMut(&[u8]) -> Outcome<()>) -> Outcome<()> {
    let mut buffer = vec![0; FILE + 4096];
    for entry in fs::read_dir(folder)? {
        let mut file = fs::File::open(entry?.path())?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            act(&buffer[..count])?;
        }
    }
    Ok(())
}

fn raw(folder: &Path) -> Outcome<()> {
    let mut zstd = zstd::bulk::Compressor::new(3)?;
    let mut hash = Sha256::new();
    each_file(folder, |bytes| {
        hash.update(bytes);
        std::hint::black_box(zstd.compress(bytes)?);
        Ok(())
    })?;
    std::hint::black_box(hash.finalize());
    Ok(())
}

fn tantivy(folder: &Path, at: &Path) -> Outcome<()> {
    let mut schema = Schema::builder();
    let indexing = TextFieldIndexing::default().set_tokenizer("en_stem").set_index_option(IndexRecordOption::WithFreqs);
    let body = schema.add_text_field("body", TextOptions::default().set_indexing_options(indexing));
    let index = Index::create_in_dir(at, schema.build())?;
    let mut writer = index.writer_with_num_threads(2, 96 << 20)?;
    each_file(folder, |bytes| {
        for passage in bytes.chunks(PASSAGE) {
            let mut document = TantivyDocument::default();
            document.add_text(body, String::from_utf8_lossy(passage));
            writer.add_document(document)?;
        }
        Ok(())
    })?;
    writer.commit()?;
    writer.wait_merging_threads()?;
    Ok(())
}

fn ingest(folder: &Path, home: &Path) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut index = Collection::open(home, folder, "ii-0", Limits::default()).await?;
        let mut entropy = |salt: &mut [u8]| {
            salt.fill(1);
            Ok(())
        };
        let mut sign = |body: &[u8]| Ok(body.to_vec());
        let mut progress = |_at| {};
        let caller =
            Caller { began_ms: 1_795_000_000_000, entropy: &mut entropy, sign: &mut sign, progress: &mut progress };
        let done = index.ingest(caller).await?;
        print!("{} documents, {} passages, ", done.documents, done.passages);
        Ok(())
    })
}

/// The most memory that this process had, in MiB.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? >> 10)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| one != "--bench").collect();
    if let [part, folder, scratch] = arguments.as_slice() {
        let (folder, scratch) = (Path::new(folder), Path::new(scratch));
        let began = Instant::now();
        match part.as_str() {
            "raw" => raw(folder)?,
            "tantivy" => tantivy(folder, scratch)?,
            _ingest => ingest(folder, scratch)?,
        }
        let seconds = began.elapsed().as_secs_f64();
        let bytes: u64 =
            fs::read_dir(folder)?.flatten().filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum();
        println!("{seconds:.1} s, {:.1} MB/s, peak {} MiB", bytes as f64 / 1e6 / seconds, peak().unwrap_or_default());
        return Ok(());
    }
    let sizes = std::env::var("II_BENCH_MB").unwrap_or_else(|_unset| "200".to_owned());
    for megabytes in sizes.split(',').map(str::parse::<usize>) {
        let megabytes: usize = megabytes?;
        for shape in ["files", "records"] {
            let root = tempfile::tempdir()?;

            let folder = corpus(root.path(), shape, megabytes)?;
            for part in ["raw", "tantivy", "ingest", "again"] {
                let scratch = root.path().join(if part == "again" { "ingest" } else { part });
                fs::create_dir_all(&scratch)?;
                print!("{shape} {megabytes} MB, {part}: ");
                std::io::stdout().flush()?;
                Command::new(std::env::current_exe()?).arg(part).arg(&folder).arg(&scratch).status()?;
            }
        }
    }
    Ok(())
}
