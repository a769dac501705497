//! What a guardian's Adviser has to say of a run, and what the person may order on it. Nothing here orders anything.

use common_ground::{ModuleId, RunId, guardian::Act};

use crate::theme::Tone;

/// How much a concern matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be looked at when there is time.
    Notice,
    /// To be looked at now.
    Warning,
    /// Something that must not be has happened, or money or secrets are leaving.
    Critical,
}

impl Severity {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub(crate) fn tone(self) -> Tone {
        match self {
            Self::Notice => Tone::Faint,
            Self::Warning => Tone::Warn,
            Self::Critical => Tone::Bad,
        }
    }
}

/// A brief on one concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Which run it is on.
    pub run: RunId,
    /// Which module, where it is one's.
    pub module: Option<ModuleId>,
    /// How much it matters.
    pub severity: Severity,
    /// The rule that spoke.
    pub rule: String,
    /// What was found.
    pub found: String,
    /// Places of the facts that show it, oldest first.
    pub evidence: Vec<u64>,
    /// What would happen if nobody did anything.
    pub next: String,
    /// What can be done in a shell: what, and the command.
    pub options: Vec<(String, String)>,
}

/// Something that the person can order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orderable {
    /// What, in words.
    pub what: String,
    /// The module that it is done to; the run where there is none.
    pub module: Option<ModuleId>,
    /// The act.
    pub act: Act,
}

/// What can be ordered on a brief, the mildest first: on its module, then on its run; on the run alone where there is none.
pub fn orderable(brief: Option<&Brief>) -> Vec<Orderable> {
    let one = |what: &str, module, act| Orderable { what: what.to_owned(), module, act };
    let mut all = Vec::new();
    if let Some(module) = brief.and_then(|brief| brief.module) {
        let module = Some(module);
        all.push(one("hold the module", module, Act::Pause { most_ms: None }));
        all.push(one("let the module go on", module, Act::Resume));
        all.push(one("give the module up, and all that need it", module, Act::Cancel));
    }
    all.push(one("hold the run", None, Act::Pause { most_ms: None }));
    all.push(one("let the run go on", None, Act::Resume));
    all.push(one("begin nothing new, then stand still", None, Act::Drain));
    all.push(one("give the run up", None, Act::Cancel));
    all
}
