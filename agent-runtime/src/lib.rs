//! The shell: what stores, drives and speaks for a run. Decisions are made in `common-ground`; here they become effects.

pub mod clock;
pub mod driver;
pub mod home;
pub mod ids;
pub mod journal;
pub mod models;
pub mod roles;
pub mod signer;
pub mod skills;

/// Whether a value is a JSON Schema that deliverables can be checked against.
///
/// # Errors
/// What is wrong with it.
pub fn check_schema(schema: &serde_json::Value) -> Result<(), String> {
    jsonschema::validator_for(schema).map(drop).map_err(|error| error.to_string())
}
