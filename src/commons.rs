//! Where the collections of this program are: in files of its home and, where the settings name a database, there.
//!
//! A folder is taken into the database when there is one. What the home has kept before stays there, to be searched and read.
//! Never reads a setting, and never decides what is in a collection.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use agent_runtime::{home::Home, signer::Signer};
use commons_index::{
    Collection, Imported, Importer, Limits, Postgres, Progress, StoreError, collection_in, collection_of, collections,
};
use receipts::{checkpoint::Checkpoint, note};

use crate::{
    config::Config,
    exit::{Exit, Failure},
    failures::{from_bundle, from_store},
};

/// Opens a head under a verifier key, which must be that of the name it bears.
///
/// # Errors
/// A key that is none or another name's, a head that it did not sign.
pub fn open_head(vkey: &str, head: &str) -> Result<Checkpoint, String> {
    let (name, key) = note::parse_vkey(vkey).ok_or_else(|| format!("{vkey} is no verifier key"))?;
    if name != note::log_name(&key) {
        return Err(format!("{vkey} bears the name of another key"));
    }
    let opened = Checkpoint::open(head, &key).map_err(|error| error.to_string())?;
    let own = opened.origin.strip_prefix(&name).is_some_and(|rest| rest.starts_with('/'));
    if own { Ok(opened) } else { Err(format!("it is a head of {}", opened.origin)) }
}

/// The places of collections.
#[derive(Debug)]
pub struct Commons {
    home: PathBuf,
    /// Who signs the heads of what is begun here, and the key to check them with.
    node: String,
    vkey: String,
    database: Option<Postgres>,
}

impl Commons {
    /// Connects to the database of the settings, if they name one.
    ///
    /// # Errors
    /// A database that cannot be reached, or whose tables are a newer program's.
    pub async fn open(home: &Home, config: &Config, signer: &Signer) -> Result<Self, Failure> {
        let database = match &config.postgres {
            Some(url) => Some(Postgres::connect(url).await.map_err(|error| from_store(&error))?),
            None => None,
        };
        Ok(Self { home: home.root().to_owned(), node: signer.node_name(), vkey: signer.log_vkey(), database })
    }

    /// The verifier key of this home's heads.
    pub fn key(&self) -> &str {
        &self.vkey
    }

    /// Names of all collections: those of the home, then those of the database, each in order.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn names(&self) -> Result<Vec<String>, Failure> {
        let mut names = collections(&self.home).map_err(|error| from_store(&error))?;
        if let Some(database) = &self.database {
            names.extend(database.collections().await.map_err(|error| from_store(&error))?);
        }
        Ok(names)
    }

    /// Names that the collection of a folder has, the one that it is taken into first; none where there is no such folder.
    fn names_of(&self, folder: &Path) -> Vec<String> {
        let in_database = self.database.as_ref().and_then(|_| collection_in(&self.node, folder).ok());
        in_database.into_iter().chain(collection_of(folder).ok()).collect()
    }

    /// The name of a collection by its folder, its name or the beginning of it.
    ///
    /// # Errors
    /// None or several of that name; storage faults.
    pub async fn find(&self, wanted: &str) -> Result<String, Failure> {
        let all = self.names().await?;
        let of_folder = self.names_of(Path::new(wanted)).into_iter().find(|name| all.contains(name));
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

    /// The collection that a folder is taken into, begun where there is none.
    ///
    /// # Errors
    /// No such folder, storage faults.
    pub async fn of_folder(&self, folder: &Path, limits: Limits) -> Result<Collection, Failure> {
        let opened = match &self.database {
            Some(database) => Collection::open_in(database, &self.home, folder, &self.vkey, limits).await,
            None => Collection::open(&self.home, folder, &self.node, limits).await,
        };
        opened.map_err(|error| from_store(&error))
    }

    /// Takes a bundle in, where folders are taken into too. With `key`, only one of a collection that this key signs.
    ///
    /// # Errors
    /// A bundle that is refused, of which nothing is here then; storage faults.
    pub async fn import(
        &self,
        source: Box<dyn Read + Send>,
        key: Option<&str>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Imported, Failure> {
        let importer = Importer { keeper: key, open: &open_head, progress };
        let taken = match &self.database {
            Some(database) => Collection::import_in(database, &self.home, source, importer).await,
            None => Collection::import(&self.home, &self.node, source, importer).await,
        };
        taken.map_err(|error| from_bundle(&error))
    }

    /// The collection of what is given under a name, begun where there is none.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn of_list(&self, name: &str, limits: Limits) -> Result<Collection, Failure> {
        let opened = match &self.database {
            Some(database) => Collection::open_list_in(database, &self.home, name, &self.vkey, limits).await,
            None => Collection::open_list(&self.home, name, &self.node, limits).await,
        };
        opened.map_err(|error| from_store(&error))
    }

    /// A collection by its name, to be searched and read.
    ///
    /// # Errors
    /// No such collection, storage faults.
    pub async fn named(&self, name: &str) -> Result<Collection, Failure> {
        let opened = match (Collection::open_collection(&self.home, name, &self.node).await, &self.database) {
            (Err(StoreError::NoSuchCollection { .. }), Some(database)) => {
                Collection::open_collection_in(database, &self.home, name).await
            }
            (opened, _) => opened,
        };
        opened.map_err(|error| from_store(&error))
    }
}
