//! Money, tokens and tool calls: reserved before a call, settled after, never above the limit.
//!
//! **Invariant:** `reserved + spent` of an account never passes its limit by a reservation.

use serde::{Deserialize, Serialize};

/// A quantity of what a run can use up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Model tokens, read and written together.
    pub tokens: u64,
    /// Millionths of the currency unit.
    pub cost_micro: u64,
    /// Tool calls.
    pub tool_calls: u64,
}

impl Amount {
    /// An amount larger than any run uses.
    pub const UNLIMITED: Self = Self { tokens: u64::MAX, cost_micro: u64::MAX, tool_calls: u64::MAX };

    /// Sum, held at the largest value.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            cost_micro: self.cost_micro.saturating_add(other.cost_micro),
            tool_calls: self.tool_calls.saturating_add(other.tool_calls),
        }
    }

    /// Difference, held at zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            cost_micro: self.cost_micro.saturating_sub(other.cost_micro),
            tool_calls: self.tool_calls.saturating_sub(other.tool_calls),
        }
    }

    /// The smaller of each part: how a child is clamped to its parent.
    #[must_use]
    pub fn clamp_to(self, parent: Self) -> Self {
        Self {
            tokens: self.tokens.min(parent.tokens),
            cost_micro: self.cost_micro.min(parent.cost_micro),
            tool_calls: self.tool_calls.min(parent.tool_calls),
        }
    }

    /// The larger of each part.
    #[must_use]
    pub fn largest(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            cost_micro: self.cost_micro.max(other.cost_micro),
            tool_calls: self.tool_calls.max(other.tool_calls),
        }
    }

    /// Whether each part is at most the other's.
    pub fn fits(self, room: Self) -> bool {
        self.tokens <= room.tokens && self.cost_micro <= room.cost_micro && self.tool_calls <= room.tool_calls
    }
}

/// A part of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPart {
    /// Model tokens.
    Tokens,
    /// Money, in millionths of the currency unit.
    Cost,
    /// Tool calls.
    ToolCalls,
    /// Wall time, in milliseconds.
    Wall,
}

impl BudgetPart {
    /// Whether `spent` is four fifths of `limit` or more, which is when the person is warned.
    pub fn is_short(spent: u64, limit: u64) -> bool {
        spent > 0 && u128::from(spent) * 5 >= u128::from(limit) * 4
    }
}

/// A limit and what stands against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    limit: Amount,
    reserved: Amount,
    spent: Amount,
}

impl Account {
    /// An untouched account.
    pub fn new(limit: Amount) -> Self {
        Self { limit, reserved: Amount::default(), spent: Amount::default() }
    }

    /// The most that may be used.
    pub fn limit(&self) -> Amount {
        self.limit
    }

    /// What calls under way may still use.
    pub fn reserved(&self) -> Amount {
        self.reserved
    }

    /// What was used.
    pub fn spent(&self) -> Amount {
        self.spent
    }

    /// What can still be reserved.
    pub fn room(&self) -> Amount {
        self.limit.minus(self.reserved.plus(self.spent))
    }

    /// Each part with what is spent, when `more` is too, and the limit.
    pub fn parts(&self, more: Amount) -> [(BudgetPart, u64, u64); 3] {
        let (spent, limit) = (self.spent.plus(more), self.limit);
        [
            (BudgetPart::Tokens, spent.tokens, limit.tokens),
            (BudgetPart::Cost, spent.cost_micro, limit.cost_micro),
            (BudgetPart::ToolCalls, spent.tool_calls, limit.tool_calls),
        ]
    }

    /// Sets another limit; what stands against it stays.
    pub(crate) fn set_limit(&mut self, limit: Amount) {
        self.limit = limit;
    }

    /// Sets `amount` aside. The caller has checked that it fits [`Account::room`].
    pub(crate) fn reserve(&mut self, amount: Amount) {
        self.reserved = self.reserved.plus(amount);
    }

    /// Gives a reservation back and books what was really used, which is booked in full even above the reservation.
    pub(crate) fn settle(&mut self, reserved: Amount, used: Amount) {
        self.reserved = self.reserved.minus(reserved);
        self.spent = self.spent.plus(used);
    }
}
