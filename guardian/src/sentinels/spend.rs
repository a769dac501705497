//! Run-away spending: a budget that goes so fast that it is gone before anybody looks.

use std::collections::VecDeque;

use common_ground::{
    Fact, Millis,
    budget::{Amount, BudgetPart},
};

use super::{About, Rule, With};
use crate::concern::{Finding, Severity};

/// The stretch of time over which the rate is taken, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// Fewest calls in that time from which a rate is taken.
const FEWEST_CALLS: usize = 8;
/// Calls remembered. In a faster storm the rate is taken over fewer milliseconds.
const MOST: usize = 512;
/// The budget must last for less than this at the present rate, in milliseconds.
const SOON_MS: u64 = 300_000;

/// See the file.
#[derive(Default)]
pub struct Spend {
    limit: Option<Amount>,
    spent: Amount,
    recent: VecDeque<(Millis, u64, Amount)>,
    sum: Amount,
}

impl Spend {
    fn add(&mut self, at: Millis, seq: u64, amount: Amount) {
        self.spent = self.spent.plus(amount);
        self.sum = self.sum.plus(amount);
        self.recent.push_back((at, seq, amount));
        while let Some((first, _, old)) = self.recent.front().copied() {
            if at.since(first) <= WINDOW_MS && self.recent.len() <= MOST {
                break;
            }
            self.sum = self.sum.minus(old);
            self.recent.pop_front();
        }
    }

    /// Parts whose rate uses the budget up soon, with what went in the window, what is left and how long that lasts.
    fn short(&self, per_cent: u64, now: Millis) -> Option<(BudgetPart, u64, u64, u64)> {
        let (limit, (first, ..)) = (self.limit?, self.recent.front()?);
        let elapsed = now.since(*first).max(1);
        let parts = [
            (BudgetPart::Tokens, self.sum.tokens, self.spent.tokens, limit.tokens),
            (BudgetPart::Cost, self.sum.cost_micro, self.spent.cost_micro, limit.cost_micro),
            (BudgetPart::ToolCalls, self.sum.tool_calls, self.spent.tool_calls, limit.tool_calls),
        ];
        parts.into_iter().find_map(|(part, window, spent, limit)| {
            let wide = u128::from(window) * 100 >= u128::from(limit) * u128::from(per_cent) && limit > 0;
            let left = limit.saturating_sub(spent);
            let lasts = u128::from(left) * u128::from(elapsed) / u128::from(window.max(1));
            let soon = lasts < u128::from(SOON_MS);
            (wide && soon).then(|| (part, window, limit, u64::try_from(lasts).unwrap_or(u64::MAX)))
        })
    }
}

fn name(part: BudgetPart) -> &'static str {
    match part {
        BudgetPart::Tokens => "tokens",
        BudgetPart::Cost => "money",
        BudgetPart::ToolCalls => "tool calls",
        BudgetPart::Wall => "time",
    }
}

impl Rule for Spend {
    const ABOUT: About = About {
        name: "spend",
        threshold: 25,
        speaks: "this many per cent of a part of the budget went within a minute, in at least eight calls, and at that rate the rest lasts less than five minutes",
    };

    fn assess(&mut self, with: &With<'_>) -> Vec<Finding> {
        match with.seen.fact {
            Fact::RunOpened { task, .. } => {
                self.limit = Some(task.limit);
                Vec::new()
            }
            Fact::RunForked { begins, .. } => {
                self.limit = Some(begins.limit);
                Vec::new()
            }
            Fact::BudgetRaised { limit, .. } => {
                self.limit = Some(*limit);
                Vec::new()
            }
            Fact::StepFinished { usage, .. } => {
                self.add(with.seen.at, with.seen.seq, usage.amount());
                if self.recent.len() < FEWEST_CALLS {
                    return Vec::new();
                }
                let Some((part, window, limit, lasts)) = self.short(with.threshold, with.seen.at) else {
                    return Vec::new();
                };
                let per_cent = u128::from(window) * 100 / u128::from(limit.max(1));
                vec![Finding {
                    severity: Severity::Critical,
                    module: None,
                    evidence: self.recent.iter().map(|(_, seq, _)| *seq).collect(),
                    subject: super::subject(&[name(part).as_bytes()]),
                    found: format!(
                        "{per_cent} per cent of the {} went within a minute; at this rate the rest lasts {} s",
                        name(part),
                        lasts / 1000
                    ),
                }]
            }
            _other => Vec::new(),
        }
    }
}
