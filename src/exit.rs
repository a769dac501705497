//! How the program ends: one closed set of exit codes, and failures as one line that names the thing and the fix.

use std::process::ExitCode;

/// Why the program ended, as its exit code says it. Documented in `docs/CLI.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Completed.
    Completed,
    /// Not completed, or not accepted.
    NotCompleted,
    /// The command line, or what it names, makes no sense.
    Usage,
    /// The configuration makes no sense.
    Configuration,
    /// A model or provider is unreachable or refused.
    Model,
    /// The budget is used up.
    Budget,
    /// Refused by policy or guardian.
    Refused,
    /// Verification failed.
    Verification,
    /// Storage is full, unwritable or damaged.
    Storage,
    /// A ledger is unreachable, refused, or contradicts itself.
    Ledger,
    /// A fault of the program.
    Internal,
    /// Interrupted by the person.
    Interrupted,
}

impl Exit {
    /// Every code, in order.
    pub const ALL: [Self; 12] = [
        Self::Completed,
        Self::NotCompleted,
        Self::Usage,
        Self::Configuration,
        Self::Model,
        Self::Budget,
        Self::Refused,
        Self::Verification,
        Self::Storage,
        Self::Ledger,
        Self::Internal,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Completed => 0,
            Self::NotCompleted => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Model => 4,
            Self::Budget => 5,
            Self::Refused => 6,
            Self::Verification => 7,
            Self::Storage => 8,
            Self::Ledger => 9,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed: what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {fix}")]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What failed, on which thing.
    pub what: String,
    /// What the person can do.
    pub fix: String,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { exit, what: one_line(what.into()), fix: one_line(fix.into()) }
    }

    /// A fault of the program itself.
    pub fn internal(what: impl std::fmt::Display) -> Self {
        Self::new(Exit::Internal, what.to_string(), "this is a fault of ii: please report it with this line")
    }
}

/// Errors print as one line, whatever a source put into its message.
fn one_line(text: String) -> String {
    let line = if text.contains(['\n', '\r']) { text.split_whitespace().collect::<Vec<_>>().join(" ") } else { text };
    crate::show::plain(&line)
}

/// An error with all its sources, as one text.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure};

    #[test]
    fn codes_are_distinct_and_failures_are_one_line() {
        let codes: std::collections::BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert_eq!(Failure::new(Exit::Usage, "a\n b", "c").to_string(), "a b; c");
    }
}
