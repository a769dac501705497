//! What an attempt's calls may do, and what the person has said of them so far.
//!
//! Nothing here is asked or called: it says whether to call, to ask, or to refuse. The core checks the same when the call
//! begins.

use std::collections::BTreeMap;

use common_ground::{
    ApprovalId, Millis, ModuleId,
    approval::{Answer, Approval, Needed, Question},
    grant::{Decision, Grant, Item, Policy},
    guardian::{RequiredVerdict, Suspect},
    port::tool::{StepKey, ToolSpec},
    record::{Allowed, Denial, Exit},
    run::{Asks, Run},
};
use receipts::Digest;

use super::desk::request_digest;
use crate::skills;

/// Permissions of one attempt, as the state had them when its lease began.
#[derive(Clone, Debug, Default)]
pub(super) struct Permits {
    grant: Grant,
    permissions: Policy,
    asks: Option<Asks>,
    verdict: RequiredVerdict,
    approvals: BTreeMap<ApprovalId, Approval>,
    quarantined: BTreeMap<Suspect, Millis>,
    /// When the attempt began. What it was offered then does not change, so that it can be replayed.
    began: Millis,
}

/// What is to be done about a call.
#[derive(Debug)]
pub(super) enum Permit {
    /// Make it under this grant.
    Call { grant: Box<Grant>, allowed: Vec<Allowed> },
    /// Put this question first.
    Ask { approval: ApprovalId, question: Box<Question> },
    /// Do not make it.
    Refuse { denials: Vec<Denial>, exit: Exit },
    /// The person's words are its answer.
    Said(String),
}

impl Permit {
    /// A call that does nothing that must be allowed, or that is on record and not made again.
    pub fn recorded() -> Self {
        Self::Call { grant: Box::default(), allowed: Vec::new() }
    }
}

impl Permits {
    /// Those of a module.
    pub fn of(run: &Run, module: ModuleId) -> Self {
        Self {
            grant: run.modules.get(&module).map(|module| module.grant.clone()).unwrap_or_default(),
            permissions: run.task.permissions.clone(),
            asks: Some(run.task.asks),
            verdict: run.task.verdict,
            approvals: run.approvals.clone(),
            quarantined: run.quarantined.clone(),
            began: run.modules.get(&module).and_then(|module| module.attempt()).map_or(Millis(0), |open| open.started),
        }
    }

    /// Whether it was set aside before the attempt began.
    pub fn hides(&self, what: &Suspect) -> bool {
        self.quarantined.get(what).is_some_and(|since| *since < self.began)
    }

    /// The refusal of a call of what an order has set aside.
    pub fn quarantined(&self, tool: &str, arguments: &str) -> Option<Permit> {
        let skill = (tool == skills::READ).then(|| skills::asked_for(arguments)).flatten();
        let what = [Some(Suspect::Tool(tool.to_owned())), skill.map(Suspect::Skill)];
        let what = what.into_iter().flatten().find(|what| self.quarantined.contains_key(what))?;
        let denials = vec![Denial { what: what.to_string(), why: "it is quarantined by an order".to_owned() }];
        Some(Permit::Refuse { denials, exit: Exit::Refused })
    }

    /// What to do about a call of a tool that would do `needs`.
    pub fn decide(&self, key: StepKey, spec: &ToolSpec, arguments: &str, needs: Vec<Item>) -> Permit {
        let approved = self.approvals.values().flat_map(|one| one.allows(key.module, key.step)).cloned().collect();
        let (mut allowed, mut open, mut denied) = (Vec::new(), Vec::new(), Vec::new());
        for need in needs {
            match self.permissions.decide(&self.grant, &approved, &need) {
                Decision::Allow(basis) => allowed.push(Allowed { need, basis }),
                Decision::Ask(basis) => open.push(Needed { need, basis }),
                Decision::Deny(basis) => denied.push(Denial { what: need.to_string(), why: basis.to_string() }),
            }
        }
        if !denied.is_empty() {
            return Permit::Refuse { denials: denied, exit: Exit::Refused };
        }
        if open.is_empty() {
            let grant = self.grant.with(allowed.iter().map(|one| one.need.clone()));
            return Permit::Call { grant: Box::new(grant), allowed };
        }
        let denied = |why: &dyn Fn(&Needed) -> String| -> Vec<Denial> {
            open.iter().map(|one| Denial { what: one.need.to_string(), why: why(one) }).collect()
        };
        let (unasked, no) = (
            denied(&|one| format!("{}, and nobody is there to ask", one.basis)),
            denied(&|_| "the person said no".to_owned()),
        );
        let (tool, arguments) = (spec.name.clone(), arguments.to_owned());
        let question = Question::Permission { step: key.step, tool, arguments, needs: open };
        self.put(key, &spec.name, question).unwrap_or_else(|said| match said {
            Some(_answer) => Permit::Refuse { denials: no, exit: Exit::Refused },
            None => Permit::Refuse { denials: unasked, exit: Exit::Unasked },
        })
    }

    /// The question that comes before a module's first tool call, where the task requires a verdict and there is none. It
    /// waits whoever is there to answer: an order can, too.
    pub fn verdict(&self, key: StepKey, tool: &str, arguments: &str) -> Option<Permit> {
        let given = || self.approvals.values().any(|approval| approval.verdict_on(key.module).is_some());
        if self.verdict == RequiredVerdict::None || given() {
            return None;
        }
        let (step, tool, arguments) = (key.step, tool.to_owned(), arguments.to_owned());
        let question = Question::Verdict { step, tool, arguments };
        Some(Permit::Ask { approval: verdict_id(key), question: Box::new(question) })
    }

    /// What to do about a question of the Associate's own.
    pub fn words(&self, key: StepKey, tool: &str, text: String) -> Permit {
        let question = Question::Words { step: key.step, text };
        let refuse = |why: &str, exit| {
            let denials = vec![Denial { what: "a question to the person".to_owned(), why: why.to_owned() }];
            Permit::Refuse { denials, exit }
        };
        self.put(key, tool, question).unwrap_or_else(|said| match said {
            Some(Answer::Words { text }) => Permit::Said(text),
            Some(Answer::Deny | Answer::Once | Answer::Run | Answer::Always) => {
                refuse("the person gave no answer", Exit::Refused)
            }
            None => refuse("nobody is there to ask", Exit::Unasked),
        })
    }

    /// The question, unless it was answered before or nobody is asked.
    fn put(&self, key: StepKey, tool: &str, question: Question) -> Result<Permit, Option<Answer>> {
        let approval = approval_id(key, tool, &question);
        match self.approvals.get(&approval) {
            Some(asked) => match &asked.answer {
                Some(answer) => Err(Some(answer.clone())),
                None => Ok(Permit::Ask { approval, question: Box::new(question) }),
            },
            None => match self.asks {
                Some(Asks::Person) => Ok(Permit::Ask { approval, question: Box::new(question) }),
                Some(Asks::Nobody) | None => Err(None),
            },
        }
    }
}

/// The same question of the same step has the same id, so that it is put once, whatever restarts lie between.
fn approval_id(key: StepKey, tool: &str, question: &Question) -> ApprovalId {
    let text = match question {
        Question::Permission { arguments, .. } | Question::Verdict { arguments, .. } => arguments,
        Question::Words { text, .. } => text,
    };
    let place = format!("{}/{}/{}/{}", key.run, key.module, key.attempt.0, key.step.0);
    named(&format!("{place}/{}", request_digest(tool, text)))
}

/// One verdict a module, whatever step asks for it first.
fn verdict_id(key: StepKey) -> ApprovalId {
    named(&format!("{}/{}/verdict", key.run, key.module))
}

fn named(text: &str) -> ApprovalId {
    let Digest(digest) = Digest::of(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    ApprovalId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
