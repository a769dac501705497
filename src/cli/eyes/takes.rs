//! A folder that the person has taken into the commons, by the way of `ii commons add`.

use std::{path::Path, sync::Arc};

use tokio::sync::{Notify, mpsc::unbounded_channel};
use tui::{Event, event::TellTone};

use super::asks::{Shared, folder_of};
use crate::{
    cli::commons::add::{Origin, Taken, take},
    exit::{Exit, Failure},
    progress::Progress,
};

/// Takes a folder in, its progress told on the way. One at a time.
pub(super) async fn add(shared: Shared<'_>, folder: String) {
    if shared.taking.borrow().is_some() {
        let what = "a folder is being taken in already";
        return shared.fail(&Failure::new(Exit::Usage, what, "wait for it, or stop it with esc"));
    }
    let path = match folder_of(&folder, "/add FOLDER") {
        Ok(path) => path,
        Err(failure) => return shared.fail(&failure),
    };
    let stop = Arc::new(Notify::new());
    shared.taking.replace(Some(Arc::clone(&stop)));
    let ended = tokio::select! {
        taken = taken(&shared, &path) => taken.map(Some),
        () = stop.notified() => Ok(None),
    };
    shared.taking.replace(None);
    shared.tell(Event::Adding(None));
    match ended {
        Ok(Some(taken)) => {
            let by_the_way = taken.by_the_way();
            if !by_the_way.is_empty() {
                shared.say(TellTone::Note, by_the_way);
            }
            shared.say(TellTone::Good, taken.lines());
        }
        Ok(None) => shared.say(TellTone::Note, vec![stopped(&path)]),
        Err(failure) => shared.fail(&failure),
    }
}

fn stopped(path: &Path) -> String {
    format!("stopped; /add {} goes on where it was", path.display())
}

async fn taken(shared: &Shared<'_>, path: &Path) -> Result<Taken, Failure> {
    let (config, _) = shared.config()?;
    shared.tell(Event::Adding(Some(format!("taking in {}", path.display()))));
    let (listener, mut words) = unbounded_channel();
    // With the progress goes its sender, and the telling ends.
    let taking = async move {
        let progress = Progress::Told(listener);
        take(shared.program, &config, Origin::Folder(path), None, &progress).await
    };
    let telling = async {
        while let Some(words) = words.recv().await {
            shared.tell(Event::Adding(Some(words)));
        }
    };
    tokio::join!(taking, telling).0
}
