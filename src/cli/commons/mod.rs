//! `ii commons`: the collections of this home. What is in them, what changed, and whether it is what its signed heads say.

pub(super) mod add;
mod diff;
mod export;
mod import;
mod list;
mod pages;
mod receipts;
mod show;
mod stats;
mod verify;

use std::path::PathBuf;

use commons_index::Collection;

use super::{Program, search};
use crate::{
    commons::Commons,
    exit::{Exit, Failure},
    failures::from_store,
    wiring,
};

/// Subcommands of `ii commons`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Bring a collection up to a folder of documents or a list of pages, or begin one.
    Add {
        /// The folder.
        #[arg(required_unless_present = "urls")]
        folder: Option<PathBuf>,
        /// A file of addresses, one a line, whose pages are fetched.
        #[arg(long, value_name = "FILE", conflicts_with = "folder")]
        urls: Option<PathBuf>,
        /// The model that turns its passages into vectors, llama:NAME or PROVIDER:NAME.
        #[arg(long, value_name = "MODEL")]
        embeddings: Option<String>,
        /// What is to be said of documents that do not say it themselves.
        #[command(flatten)]
        said: add::Said,
    },
    /// Find passages.
    Search(search::Args),
    /// List collections.
    List,
    /// Show a collection: its documents and its revisions.
    Show {
        /// Its folder, its name, or the beginning of its name.
        collection: String,
    },
    /// Reckon collections anew: every entry, signed head, document, text and passage.
    Verify {
        /// Its folder, its name, or the beginning of its name; all of them when none is named.
        collection: Option<String>,
    },
    /// Show what was added, replaced and removed between two revisions, with the proof that nothing else was.
    Diff {
        /// Its folder, its name, or the beginning of its name.
        collection: String,
        /// The earlier revision; 0 for the beginning.
        from: u64,
        /// The later one; the latest when it is left out.
        to: Option<u64>,
    },
    /// Write a collection into one signed file, a bundle, with all its revisions, texts, passages and vectors.
    Export {
        /// Its folder, its name, or the beginning of its name.
        collection: String,
        /// The file, which must not be there yet.
        file: PathBuf,
    },
    /// Verify a bundle and take its collection in, or what a known one lacks of it.
    Import {
        /// The file.
        file: PathBuf,
        /// Refuse it unless its collection is kept under this verifier key, as `ii commons show` names it.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Show the receipts of a collection's ingests, or write them into a folder to hand on.
    Receipts(receipts::Args),
    /// Show how large collections are, by kind of document.
    Stats {
        /// Its folder, its name, or the beginning of its name; all of them when none is named.
        collection: Option<String>,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::Add { folder, urls, embeddings, said } => add::run(program, folder, urls, embeddings, &said).await,
        Args::Search(args) => search::run(args, program).await,
        Args::List => list::run(program).await,
        Args::Show { collection } => show::run(program, &collection).await,
        Args::Verify { collection } => verify::run(program, collection.as_deref()).await,
        Args::Diff { collection, from, to } => diff::run(program, &collection, from, to).await,
        Args::Export { collection, file } => export::run(program, &collection, &file).await,
        Args::Import { file, key } => import::run(program, &file, key.as_deref()).await,
        Args::Receipts(args) => receipts::run(program, args).await,
        Args::Stats { collection } => stats::run(program, collection.as_deref()).await,
    }
}

/// The places of collections that the settings name.
async fn places(program: &Program) -> Result<Commons, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    Commons::open(&program.home, &config, &signer).await
}

/// The names that are meant: of one collection, or of all.
async fn named(commons: &Commons, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    match wanted {
        Some(wanted) => Ok(vec![commons.find(wanted).await?]),
        None => commons.names().await,
    }
}

/// Where a collection's documents are, for people.
async fn folder(index: &Collection) -> Result<Option<String>, Failure> {
    index.folder().await.map_err(|error| from_store(&error))
}
