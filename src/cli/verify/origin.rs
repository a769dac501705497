//! Where a forked run comes from, and whether the record of that run bears it out.

use agent_runtime::{driver::bears_out, journal::Reader};
use common_ground::{RunId, fork::Origin};
use serde_json::{Value, json};

use crate::{
    exit::Failure,
    failures::{from_drive, from_journal},
};

/// What was found of a run's origin.
pub(super) struct Found {
    origin: Origin,
    borne: Borne,
}

/// Whether the other run's record bears the fork out.
enum Borne {
    Out,
    /// That run is not in this home.
    NotHere,
    Not,
}

/// Looks at the first fact of a run; none where it is no fork.
pub(super) async fn check(reader: &Reader, run: RunId) -> Result<Option<Found>, Failure> {
    let lift = |error| from_journal(&error);
    let fork = reader.load(run).await.map_err(lift)?;
    let state = agent_runtime::driver::replay(&fork).map_err(|error| from_drive(&error))?;
    let Some(origin) = state.run().and_then(|run| run.origin) else { return Ok(None) };
    let of = reader.load(origin.run).await.map_err(lift)?;
    let borne = if of.is_empty() {
        Borne::NotHere
    } else if bears_out(&of, &fork).map_err(|error| from_drive(&error))? {
        Borne::Out
    } else {
        Borne::Not
    };
    Ok(Some(Found { origin, borne }))
}

impl Found {
    /// Whether nothing speaks against it.
    pub fn holds(&self) -> bool {
        match self.borne {
            Borne::Out | Borne::NotHere => true,
            Borne::Not => false,
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let Origin { run, place, .. } = self.origin;
        match self.borne {
            Borne::Out => format!("forked from run {run} at place {place}, as the record of that run has it"),
            Borne::NotHere => format!("forked from run {run} at place {place}; that run is not in this home"),
            Borne::Not => format!("INVALID(origin)  the record of run {run} gives no such fork at place {place}"),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let result = match self.borne {
            Borne::Out => "borne_out",
            Borne::NotHere => "not_here",
            Borne::Not => "not_borne_out",
        };
        json!({"run": self.origin.run, "place": self.origin.place, "link": self.origin.link, "result": result})
    }
}
