//! Skills: folders with SKILL.md in agentskills.io form. Their names and descriptions stand in the Associate's rules; the
//! text comes when it is asked for, further files likewise.
//!
//! **Invariant:** what a run can read of a skill was fixed by digest when the run was opened.

mod folder;
mod front;
mod read;

pub use folder::{Loaded, SkillFault, load, load_all};
pub use front::{Front, front};
pub use read::SkillRead;
pub(crate) use read::{READ, asked_for, body_request};

use common_ground::run::Skill;

/// The catalogue as it stands in the rules; empty without skills.
pub(crate) fn catalogue<'a>(skills: impl Iterator<Item = &'a Skill>) -> String {
    let lines = skills.map(|skill| format!("- {}: {}\n", skill.name, skill.description)).collect::<String>();
    if lines.is_empty() {
        return String::new();
    }
    format!("# Skills\n\nRead a skill with {READ} before you do what it is for.\n\n{lines}")
}
