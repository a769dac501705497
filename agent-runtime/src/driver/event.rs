//! What reaches a driver, as one closed set.

use common_ground::{ApprovalId, Command, ModuleId, Refusal, approval::Answer};
use receipts::PublicKey;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::journal::Blob;

/// Commands from a task of this process, to be decided in order and made durable together.
pub(super) struct Ask {
    /// The key that asks.
    pub by: PublicKey,
    /// What is asked. The first refusal ends the row; what was decided before it stays.
    pub commands: Vec<Command>,
    /// Contents that the commands name.
    pub blobs: Vec<Blob>,
    /// Answered when the facts are on disk.
    pub answer: oneshot::Sender<Result<(), Refusal>>,
}

/// What another program may ask of a run through its inbox. It acts for the person, unless it brings signatures of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// Stand still.
    Pause,
    /// Give the run up.
    Cancel,
    /// Hold one module; the others go on.
    HoldModule {
        /// Which.
        module: ModuleId,
    },
    /// Let a module that is held go on.
    FreeModule {
        /// Which.
        module: ModuleId,
    },
    /// Give one module up, and all that need it.
    CancelModule {
        /// Which.
        module: ModuleId,
    },
    /// Say something to one module.
    Tell {
        /// Which.
        module: ModuleId,
        /// What is said.
        text: String,
    },
    /// The answer to a question.
    Answer {
        /// Which question.
        approval: ApprovalId,
        /// What is said.
        answer: Answer,
    },
    /// A charter for this run, as its file has it. Its authority is in its signatures.
    Charter {
        /// The file.
        file: String,
    },
    /// An order, as its file has it. Its authority is in its signatures.
    Order {
        /// The file.
        file: String,
    },
}

impl Message {
    /// Its bytes in the inbox.
    ///
    /// # Errors
    /// None that a message can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}
