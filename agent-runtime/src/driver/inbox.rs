//! What other programs ask of a run that is worked on here, as the person or by signatures of their own.
//!
//! **Invariant:** a message leaves the inbox with the facts that it made, or with none where the state refused it.

use common_ground::{Command, run::PauseReason};

use super::{DriveError, Message, flow::Flow, words};

impl Flow {
    /// Takes the messages that wait, each once.
    pub(super) async fn take_messages(&mut self) -> Result<(), DriveError> {
        for (id, body) in self.room.store.inbox(self.room.run).await? {
            if self.inbox_seen.contains(&id) {
                continue;
            }
            self.inbox_seen.push(id);
            self.book.batch().inbox_done.push(id);
            match serde_json::from_slice(&body) {
                Ok(message) => self.obey_message(message)?,
                // Not what it says: it may hold the person's words.
                Err(error) => tracing::warn!(line = error.line(), "an inbox message that cannot be read was dropped"),
            }
        }
        Ok(())
    }

    fn obey_message(&mut self, message: Message) -> Result<(), DriveError> {
        match message {
            Message::Pause => self.person(&Command::Pause { reason: PauseReason::Interrupt }),
            Message::Cancel => self.person(&Command::Cancel),
            Message::HoldModule { module } => {
                self.person(&Command::PauseModule { module, reason: PauseReason::Interrupt })
            }
            Message::FreeModule { module } => self.person(&Command::ResumeModule { module }),
            Message::CancelModule { module } => self.person(&Command::CancelModule { module }),
            Message::Tell { module, text } => {
                let (now, by) = (self.now(), self.book.roster()?.person);
                words::put(&mut self.book, now, by, module, &text).map(drop)
            }
            Message::Answer { approval, answer } => self.person(&Command::Answer { approval, answer }),
            Message::Charter { file } => self.register(&[file]),
            Message::Order { file } => self.obey(&file),
        }
    }
}
