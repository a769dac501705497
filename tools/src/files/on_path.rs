//! What all tools over files have in common: one path among their arguments, and that path as all they need.

use std::{fmt, marker::PhantomData};

use common_ground::{
    grant::{Access, Item, Tier},
    port::{
        BoxFuture,
        tool::{ToolError, ToolSpec},
    },
};
use serde::de::DeserializeOwned;

use super::place::Place;
use crate::{
    arguments,
    hand::{Hand, Work},
};

/// The arguments of a tool, and what it does with them.
pub trait Action: DeserializeOwned + Send + 'static {
    /// Its name.
    const NAME: &'static str;
    /// What it does, for a model.
    const DESCRIPTION: &'static str;
    /// JSON Schema of the arguments, canonical.
    const SCHEMA: &'static str;
    /// The names in it.
    const FIELDS: &'static [&'static str];
    /// What it does to the path.
    const ACCESS: Access;

    /// The path.
    fn path(&self) -> &str;

    /// Does it. `place` is the path, opened beneath what was granted.
    ///
    /// # Errors
    /// Arguments that mean nothing, and what the file system says.
    fn act(self, place: &Place, work: &Work) -> Result<Vec<u8>, ToolError>;
}

/// A tool over one path.
pub struct OnPath<A> {
    spec: ToolSpec,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> OnPath<A> {
    /// The tool.
    pub fn new() -> Self {
        let spec = ToolSpec {
            name: A::NAME.to_owned(),
            description: A::DESCRIPTION.to_owned(),
            arguments: A::SCHEMA.to_owned(),
            idempotent: A::ACCESS == Access::Read,
        };
        Self { spec, action: PhantomData }
    }

    fn parse(text: &str) -> Result<(A, Item), ToolError> {
        let action: A = arguments::parse(A::NAME, A::FIELDS, text)?;
        let item = match A::ACCESS {
            Access::Read => Item::read(action.path()),
            Access::Write => Item::write(action.path()),
        };
        let need = item.map_err(|error| arguments::refuse(A::NAME, error.to_string()))?;
        Ok((action, need))
    }
}

impl<A: Action> Default for OnPath<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A> fmt::Debug for OnPath<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnPath").field("spec", &self.spec).finish()
    }
}

impl<A: Action> Hand for OnPath<A> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn tier(&self) -> Tier {
        Tier::Builtin
    }

    fn needs(&self, arguments: &str) -> Result<Vec<Item>, ToolError> {
        Self::parse(arguments).map(|(_, need)| vec![need])
    }

    fn run<'a>(&'a self, work: &'a Work, arguments: &'a str) -> BoxFuture<'a, Result<Vec<u8>, ToolError>> {
        Box::pin(async move {
            let (action, need) = Self::parse(arguments)?;
            let work = work.clone();
            let act = move || action.act(&Place::open(A::NAME, &work, &need)?, &work);
            match A::ACCESS {
                Access::Read => tokio::task::spawn_blocking(act).await.unwrap_or_else(|error| {
                    Err(ToolError::Failed { tool: A::NAME.to_owned(), reason: error.to_string() })
                }),
                // Not on another thread: dropped there, the file would be changed and the change not be on record.
                Access::Write => act(),
            }
        })
    }
}
