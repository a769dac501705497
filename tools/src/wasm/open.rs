//! From a folder of tools to tools that can be called, and what is wrong with the others.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use common_ground::port::tool::ToolSpec;
use receipts::Digest;
use wasmtime::component::Component;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::{
    engine::{Engine, Wasm},
    manifest::{BadManifest, Manifest},
    tool::WasmTool,
};
use crate::egress::Dialler;

/// Largest manifest and largest component that are read.
const MOST_MANIFEST: u64 = 64 << 10;
const MOST_COMPONENT: u64 = 64 << 20;

/// Why a folder holds no tool.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The folder or a file in it cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file is longer than any that is read.
    #[error("{0}: it has more than {1} bytes")]
    TooLong(PathBuf, u64),
    /// The manifest is none.
    #[error("{0}: {1}")]
    Manifest(PathBuf, #[source] BadManifest),
    /// The component is not the one that the manifest was written for.
    #[error("{path}: it is {found}, and the manifest names {named}")]
    OtherCode {
        /// The component.
        path: PathBuf,
        /// The digest in the manifest.
        named: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// The bytes are no component, or one that uses what this engine leaves out.
    #[error("{0}: it is no component for this program: {1}")]
    NoComponent(PathBuf, String),
    /// The component imports what is not there, or exports no `wasi:cli/run`.
    #[error("{0}: it does not fit: {1}")]
    Unfitting(PathBuf, String),
    /// Nothing can be run here.
    #[error("WebAssembly does not start: {0}")]
    NoEngine(String),
    /// Compiled code is not kept, so that each start compiles again.
    #[error("{0}: compiled code is not kept there: {1}")]
    NoCache(PathBuf, String),
}

impl Wasm {
    /// Whether code runs here: compiles and runs some.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn probe() -> Result<(), Problem> {
        super::engine::probe().await.map_err(|error| Problem::NoEngine(format!("{error:#}")))
    }

    /// Opens all tools of a folder, each a folder named as its tool, in the order of their names; a folder that is not
    /// there holds none. Compiled code is kept in `cache`; what they send goes by the dialler. Compiles what is not kept: not for an async thread. Each
    /// call starts an engine, which reserves address space.
    pub fn open(folder: &Path, cache: &Path, dialler: &Arc<Dialler>) -> (Vec<WasmTool>, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut places = match subfolders(folder) {
            Ok(places) => places,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return (Vec::new(), vec![Problem::Unreadable(folder.to_owned(), error)]),
        };
        if places.is_empty() {
            return (Vec::new(), problems);
        }
        places.sort();
        let engine = match Engine::start(Some(cache)) {
            Ok((engine, problem)) => {
                problems.extend(problem);
                Arc::new(engine)
            }
            Err(problem) => return (Vec::new(), vec![problem]),
        };
        let mut tools = Vec::new();
        for place in places {
            match open(&engine, dialler, &place) {
                Ok(tool) => tools.push(tool),
                Err(problem) => problems.push(problem),
            }
        }
        (tools, problems)
    }

    /// Opens the one tool of a folder of tools that has this name, and writes nowhere. Compiles: not for an async thread.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open_one(folder: &Path, name: &str, dialler: &Arc<Dialler>) -> Result<WasmTool, Problem> {
        let (engine, _nothing_is_kept) = Engine::start(None)?;
        open(&Arc::new(engine), dialler, &folder.join(name))
    }

    /// The words of the tool of this name, without its code.
    ///
    /// # Errors
    /// Why there is none.
    pub fn words(folder: &Path, name: &str) -> Result<ToolSpec, Problem> {
        manifest(&folder.join(name)).map(|manifest| manifest.spec)
    }
}

fn subfolders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            places.push(entry.path());
        }
    }
    Ok(places)
}

fn open(engine: &Arc<Engine>, dialler: &Arc<Dialler>, place: &Path) -> Result<WasmTool, Problem> {
    let manifest = manifest(place)?;
    let path = place.join("component.wasm");
    let code = bytes(&path, MOST_COMPONENT)?;
    let found = Digest::of(&code);
    if found != manifest.wasm {
        return Err(Problem::OtherCode { path, named: manifest.wasm, found });
    }
    let component = Component::from_binary(engine.raw(), &code)
        .map_err(|error| Problem::NoComponent(path.clone(), format!("{error:#}")))?;
    let command = engine
        .linker()
        .instantiate_pre(&component)
        .and_then(CommandPre::new)
        .map_err(|error| Problem::Unfitting(path, format!("{error:#}")))?;
    Ok(WasmTool::new(Arc::clone(engine), Arc::clone(dialler), manifest, command))
}

fn manifest(place: &Path) -> Result<Manifest, Problem> {
    let path = place.join("tool.toml");
    let text = bytes(&path, MOST_MANIFEST)?;
    let folder = place.file_name().unwrap_or_default().to_string_lossy();
    Manifest::parse(&folder, &text).map_err(|error| Problem::Manifest(path, error))
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Problem> {
    let unreadable = |error| Problem::Unreadable(path.to_owned(), error);
    let about = fs::metadata(path).map_err(unreadable)?;
    // A pipe would be waited for.
    if !about.is_file() {
        return Err(unreadable(io::Error::other("it is no plain file")));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > most { Err(Problem::TooLong(path.to_owned(), most)) } else { Ok(bytes) }
}
