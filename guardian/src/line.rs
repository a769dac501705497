//! What a follower of a journal is told, one JSON object a line: how a sentinel in another process, of another user, gets
//! everything it looks at through one pipe.
//!
//! `{"line":"place",…}` where to go on · `{"line":"fact",…}` a fact with its link · `{"line":"content",…}` a content that the
//! next fact names · `{"line":"clock",…}` nothing happened up to now · `{"line":"damage",…}` the reader cannot go on.

use base64::{Engine, engine::general_purpose::STANDARD};
use common_ground::{AttemptNumber, Epoch, Millis, ModuleId, RunId, chain::Head};
use receipts::Digest;
use serde::{Deserialize, Serialize};

/// Longest line that is read, in bytes.
pub const LONGEST: usize = 64 * 1024 * 1024;
/// The most of one content that is told, in bytes; the rest of a larger one is left out, and the line says so.
pub const MOST_CONTENT: usize = 4 * 1024 * 1024;

/// The attempt's stream that a fact belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// The module.
    pub module: ModuleId,
    /// Which try.
    pub attempt: AttemptNumber,
    /// Its epoch.
    pub epoch: Epoch,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// What follows of this run goes on from here.
    Place {
        /// The run.
        run: RunId,
        /// Its head there.
        head: Head,
    },
    /// A fact.
    Fact {
        /// The run.
        run: RunId,
        /// Its place, from 1.
        seq: u64,
        /// When.
        at_ms: Millis,
        /// The attempt's stream; none for the run's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stream: Option<Stream>,
        /// Its link.
        link: Digest,
        /// The fact, byte for byte as it is on record.
        body: String,
    },
    /// A content that the next fact names: as text, or in base64 where it is none.
    Content {
        /// SHA-256 of all of it.
        digest: Digest,
        /// Its length in bytes.
        length: u64,
        /// What is told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// What is told of it, where it is no text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    },
    /// Nothing more has happened by now.
    Clock {
        /// The clock.
        now_ms: Millis,
    },
    /// The journal cannot be read from here.
    Damage {
        /// The run.
        run: RunId,
        /// From which place.
        seq: u64,
        /// What the reader says.
        what: String,
    },
}

/// A fact as its line tells it, for the check of its chain.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The run.
    pub run: RunId,
    /// Its place.
    pub seq: u64,
    /// When.
    pub at: Millis,
    /// The attempt's stream.
    pub stream: Option<(ModuleId, AttemptNumber, Epoch)>,
    /// Its link.
    pub link: Digest,
    /// Its bytes.
    pub body: &'a [u8],
}

impl Line {
    /// A content's line.
    pub fn content(digest: Digest, bytes: &[u8]) -> Self {
        let told = &bytes[..bytes.len().min(MOST_CONTENT)];
        // A text that was cut within a character is told without it.
        let text = match std::str::from_utf8(told) {
            Ok(text) => Some(text),
            Err(error) if error.error_len().is_none() => std::str::from_utf8(&told[..error.valid_up_to()]).ok(),
            Err(_binary) => None,
        };
        let base64 = text.is_none().then(|| STANDARD.encode(told));
        Self::Content { digest, length: bytes.len() as u64, text: text.map(str::to_owned), base64 }
    }

    /// The line as it is written, without its end.
    ///
    /// # Errors
    /// None that a line can cause.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// The bytes of a content's line; none where they are not what the line says.
pub(crate) fn bytes_of(text: Option<String>, base64: Option<String>) -> Option<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(base64)) => STANDARD.decode(base64).ok(),
        (Some(_), Some(_)) | (None, None) => None,
    }
}
