//! `ii commons`: the collections of this home. What is in them, what changed, and whether it is what its signed heads say.

mod add;
mod diff;
mod list;
mod show;
mod stats;
mod verify;

use std::path::{Path, PathBuf};

use commons_index::{Collection, collection_of, collections};

use super::{Program, search};
use crate::{
    exit::{Exit, Failure},
    failures::from_store,
    wiring,
};

/// Subcommands of `ii commons`.
#[derive(Debug, clap::Subcommand)]
pub enum Args {
    /// Bring a collection up to a folder of documents, or begin one.
    Add {
        /// The folder.
        folder: PathBuf,
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
    /// Show how large collections are, by kind of document.
    Stats {
        /// Its folder, its name, or the beginning of its name; all of them when none is named.
        collection: Option<String>,
    },
}

/// Runs the command.
pub(super) async fn run(args: Args, program: &Program) -> Result<Exit, Failure> {
    match args {
        Args::Add { folder, embeddings, said } => add::run(program, &folder, embeddings, &said).await,
        Args::Search(args) => search::run(args, program).await,
        Args::List => list::run(program).await,
        Args::Show { collection } => show::run(program, &collection).await,
        Args::Verify { collection } => verify::run(program, collection.as_deref()).await,
        Args::Diff { collection, from, to } => diff::run(program, &collection, from, to).await,
        Args::Stats { collection } => stats::run(program, collection.as_deref()).await,
    }
}

/// The names that are meant: of one collection, or of all.
fn named(program: &Program, wanted: Option<&str>) -> Result<Vec<String>, Failure> {
    match wanted {
        Some(wanted) => Ok(vec![find(program, wanted)?]),
        None => collections(program.home.root()).map_err(|error| from_store(&error)),
    }
}

/// A collection by its folder, its name or the beginning of it.
fn find(program: &Program, wanted: &str) -> Result<String, Failure> {
    let all = collections(program.home.root()).map_err(|error| from_store(&error))?;
    let of_folder = collection_of(Path::new(wanted)).ok().filter(|name| all.contains(name));
    let begins = || all.iter().filter(|name| name.starts_with(wanted)).cloned().collect::<Vec<_>>();
    let found = of_folder.map_or_else(begins, |name| vec![name]);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(
            Exit::Usage,
            format!("no collection {wanted}"),
            "`ii commons list` shows them, `ii commons add DIR` begins one",
        )),
        many => {
            let what = format!("{wanted} is the beginning of {} collections", many.len());
            Err(Failure::new(Exit::Usage, what, "write more of its name"))
        }
    }
}

/// Opens a collection by its name.
async fn open(program: &Program, name: &str) -> Result<Collection, Failure> {
    let (config, _) = program.settings(&[])?;
    let signer = wiring::signer(&program.home, &config, &program.wiring.clock)?;
    let opened = Collection::open_collection(program.home.root(), name, &signer.node_name()).await;
    opened.map_err(|error| from_store(&error))
}

/// Where a collection's documents are, for people.
async fn folder(index: &Collection) -> Result<Option<String>, Failure> {
    index.folder().await.map_err(|error| from_store(&error))
}
