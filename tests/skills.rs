//! The skills show what is really accepted: an example in a skill is held to the rules it teaches.
//!
//! That every skill loads is `tests/tidy.rs`' business; that each can be followed to an accepted answer is `tests/minds.rs`'.

use agent_runtime::roles::acts;
use serde_json::Value;

/// What stands between two marks of a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).expect("the first mark");
    rest.split_once(after).expect("the second mark").0
}

/// What an example submission says wrongly of its only passage.
fn faults(example: &Value, passage: &str) -> Vec<String> {
    let schema = serde_json::from_str(&acts::submit_claims().arguments).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut faults: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
    for citation in example["claims"].as_array().into_iter().flatten().flat_map(|claim| claim["citations"].as_array()) {
        for one in citation {
            let quote = one["quote"].as_str().unwrap_or_default();
            faults.extend((!passage.contains(quote)).then(|| format!("`{quote}` does not stand there")));
        }
    }
    faults
}

#[test]
fn the_example_of_cite_sources_is_a_submission_whose_quotes_hold() {
    let skill = include_str!("../skills/cite-sources/SKILL.md");
    let passage = between(skill, "that reads `", "`");
    let mut example: Value = serde_json::from_str(between(skill, "```json\n", "```")).expect("JSON");
    assert_eq!(faults(&example, passage), Vec::<String>::new());

    example["claims"][0]["citations"][0]["quote"] = "The epoch falls.".into();
    example["claims"][0]["also"] = 1.into();
    assert_eq!(faults(&example, passage).len(), 2);
}

/// The program carries the skills of `skills/`, all of them and nothing else.
#[test]
fn the_program_carries_every_skill_of_the_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("skills");
    let (loaded, faults) = agent_runtime::skills::load_all(&[folder]);
    assert!(faults.is_empty(), "{faults:?}");
    let carried: Vec<_> = ii::guidance::own_skills().into_iter().map(|skill| skill.skill).collect();
    assert_eq!(carried, loaded.into_iter().map(|skill| skill.skill).collect::<Vec<_>>());
}
