//! The shell: what stores, drives and speaks for a run. Decisions are made in `common-ground`; here they become effects.

pub mod ask_person;
pub mod clock;
pub mod driver;
pub mod home;
mod http;
pub mod ids;
pub mod journal;
pub mod models;
pub mod publisher;
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

/// Whether a text is JSON that fits a JSON Schema, given as text. A schema that is none fits nothing.
pub fn fits_schema(schema: &str, text: &str) -> bool {
    let (Ok(schema), Ok(value)) = (serde_json::from_str(schema), serde_json::from_str(text)) else { return false };
    jsonschema::validator_for(&schema).is_ok_and(|validator| validator.is_valid(&value))
}
