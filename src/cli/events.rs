//! Events: the facts of a run, one JSON object a line, from the first to the last. `docs/EVENTS.md` has the schema.

use agent_runtime::driver::Placed;
use common_ground::{Fact, RunId, report::Report};
use serde_json::{Value, json};

use crate::exit::Failure;

/// Version of the event schema.
pub const SCHEMA: u32 = 1;

/// One event.
///
/// # Errors
/// A fact that does not encode, which is a fault of the program.
pub fn event(run: RunId, placed: &Placed, report: Option<&Report>) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(&placed.fact).map_err(Failure::internal)?;
    let Value::Object(fields) = &mut value else { return Err(Failure::internal("a fact is no object")) };
    fields.insert("v".to_owned(), json!(SCHEMA));
    fields.insert("run".to_owned(), json!(run));
    fields.insert("seq".to_owned(), json!(placed.seq));
    fields.insert("at_ms".to_owned(), json!(placed.at));
    if let Fact::RunClosed { report: digest, .. } = &placed.fact {
        fields.insert("report_digest".to_owned(), json!(digest));
        fields.insert("report".to_owned(), json!(report));
    }
    Ok(value)
}
