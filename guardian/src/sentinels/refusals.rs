//! Refusals in series: somebody tries, again and again, what it was not given.

use common_ground::{
    Fact,
    guardian::OrderRefusal,
    module::CallOutcome,
    record::{Exit, Record},
};

use super::{About, Bounded, Rule, With};
use crate::{
    concern::{Finding, MOST_EVIDENCE, Severity},
    seen::{Try, try_of},
};

/// Attempts and keys remembered.
const MOST: usize = 256;

/// See the file.
pub struct Refusals {
    attempts: Bounded<Try, Vec<u64>>,
    keys: Bounded<[u8; 32], Vec<u64>>,
    orders: Vec<u64>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { attempts: Bounded::new(MOST), keys: Bounded::new(MOST), orders: Vec::new() }
    }
}

/// One more place in a series; the series once it is long enough.
fn one_more(series: &mut Vec<u64>, seq: u64, threshold: u64) -> Option<Vec<u64>> {
    if series.len() < MOST_EVIDENCE {
        series.push(seq);
    }
    (series.len() as u64 >= threshold.min(MOST_EVIDENCE as u64)).then(|| series.clone())
}

impl Refusals {
    fn call(&mut self, with: &With<'_>) -> Vec<Finding> {
        let Fact::StepFinished { owner, outcome, traced: Some(traced), .. } = with.seen.fact else { return Vec::new() };
        let Some(attempt) = try_of(*owner) else { return Vec::new() };
        let bytes = with.seen.contents.get(&traced.record);
        let record = bytes.and_then(|bytes| serde_json::from_slice::<Record>(bytes).ok());
        let refused = record.as_ref().map_or(0, |record| record.refusals.len());
        let not_run = record.is_some_and(|record| matches!(record.exit, Exit::Refused | Exit::Unasked));
        if refused == 0 && !not_run {
            // A call that was made and succeeded ends the series.
            if matches!(outcome, CallOutcome::Done) {
                self.attempts.remove(&attempt);
            }
            return Vec::new();
        }
        let series = self.attempts.entry(attempt, Vec::new);
        let Some(evidence) = one_more(series, with.seen.seq, with.threshold) else { return Vec::new() };
        vec![Finding {
            severity: Severity::Warning,
            module: Some(attempt.0),
            found: format!("{} calls in a row wanted what was not granted", evidence.len()),
            evidence,
            subject: super::subject(&[attempt.0.0.as_bytes(), &attempt.1.to_be_bytes()]),
        }]
    }
}

impl Rule for Refusals {
    const ABOUT: About = About {
        name: "refusals",
        threshold: 3,
        speaks: "this many calls of an attempt in a row wanted what was not granted (needs contents), or this many commands of one key, or orders, were refused for want of authority",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::StepFinished { .. } => self.call(with),
            Fact::CommandRefused { by, .. } => {
                let series = self.keys.entry(by.0, Vec::new);
                let Some(evidence) = one_more(series, with.seen.seq, with.threshold) else { return Vec::new() };
                let found = format!("{} commands of one key were refused for want of authority", evidence.len());
                let subject = super::subject(&[b"key", &by.0]);
                vec![Finding { severity: Severity::Warning, module: None, evidence, subject, found }]
            }
            Fact::OrderRefused { why, .. } => {
                let forged = match why {
                    OrderRefusal::BadSignature
                    | OrderRefusal::Unauthorised
                    | OrderRefusal::SelfSigned
                    | OrderRefusal::Replayed
                    | OrderRefusal::NoCharter
                    | OrderRefusal::Malformed
                    | OrderRefusal::WrongScope
                    | OrderRefusal::WrongTarget => true,
                    OrderRefusal::CharterExpired
                    | OrderRefusal::Expired
                    | OrderRefusal::NotYet
                    | OrderRefusal::TooFew { .. }
                    | OrderRefusal::NotNow => false,
                };
                if !forged {
                    return Vec::new();
                }
                let Some(evidence) = one_more(&mut self.orders, with.seen.seq, with.threshold) else {
                    return Vec::new();
                };
                let found = format!("{} orders without authority were handed in", evidence.len());
                let subject = super::subject(&[b"orders"]);
                vec![Finding { severity: Severity::Critical, module: None, evidence, subject, found }]
            }
            _other => Vec::new(),
        }
    }
}
