//! Pictures that came with the question, as a role's model gets them: shown, named, or not at all.
//!
//! The Verifier gets none: what a claim rests on are documents, and those are what it reads.

use common_ground::{
    port::model::{Shown, Turn},
    run::Task,
};

use crate::driver::{Desk, Stop};

/// The turn that follows the task; none where there are no pictures or the model reads no words.
pub(super) async fn turn(desk: &Desk, task: &Task) -> Result<Option<Turn>, Stop> {
    if task.pictures.is_empty() || !desk.model().is_language_model() {
        return Ok(None);
    }
    if !desk.model().sees() {
        let names: String = task.pictures.iter().map(|picture| format!("- {}\n", picture.label())).collect();
        let text = format!("With the question came pictures that you do not see; who works on it does:\n{names}");
        return Ok(Some(Turn::Task { text }));
    }
    let mut pictures = Vec::with_capacity(task.pictures.len());
    for picture in &task.pictures {
        let bytes = desk.content(picture.digest).await?.ok_or(Stop::Content(picture.digest))?;
        pictures.push(Shown { picture: picture.clone(), bytes });
    }
    Ok(Some(Turn::Pictures { pictures }))
}
