//! Whether something may be done now: yes, no, or only when the person says so.
//!
//! **Invariant:** an "always" rule allows exactly what the person saw, never more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Grant, Item};

/// The person's rules beside a grant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Never, whatever is granted.
    pub deny: BTreeSet<Item>,
    /// Only after asking, also where it is granted.
    pub ask: BTreeSet<Item>,
    /// What the person allowed for good, each exactly as it was asked.
    pub always: BTreeSet<Item>,
}

/// Which rule decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Basis {
    /// An item of the grant.
    Granted {
        /// Which.
        item: Item,
    },
    /// The person allowed exactly this for good.
    Always,
    /// The person allowed exactly this, for this run or once.
    Approved,
    /// A rule to ask first.
    MustAsk {
        /// Which.
        rule: Item,
    },
    /// A rule against it.
    Forbidden {
        /// Which.
        rule: Item,
    },
    /// Nothing speaks of it.
    Uncovered,
}

impl std::fmt::Display for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted { item } => write!(f, "granted by {item}"),
            Self::Always => f.write_str("always allowed by the person"),
            Self::Approved => f.write_str("approved by the person"),
            Self::MustAsk { rule } => write!(f, "the rule {rule} asks first"),
            Self::Forbidden { rule } => write!(f, "the rule {rule} forbids it"),
            Self::Uncovered => f.write_str("no grant covers it"),
        }
    }
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allow(Basis),
    /// The person decides.
    Ask(Basis),
    /// It must not be done.
    Deny(Basis),
}

impl Policy {
    /// Whether one exact thing may be done under a grant. `approved` is what the person allowed in this run.
    ///
    /// Prohibitions come first, then exact approvals, then rules to ask, then the grant.
    pub fn decide(&self, grant: &Grant, approved: &BTreeSet<Item>, need: &Item) -> Decision {
        // A prohibition holds for all that it covers, and for what reaches into it.
        if let Some(rule) = self.deny.iter().find(|rule| rule.meet(need).is_some()) {
            return Decision::Deny(Basis::Forbidden { rule: rule.clone() });
        }
        if approved.contains(need) {
            return Decision::Allow(Basis::Approved);
        }
        if self.always.contains(need) {
            return Decision::Allow(Basis::Always);
        }
        if let Some(rule) = self.ask.iter().find(|rule| rule.meet(need).is_some()) {
            return Decision::Ask(Basis::MustAsk { rule: rule.clone() });
        }
        match grant.covering(need) {
            Some(item) => Decision::Allow(Basis::Granted { item: item.clone() }),
            None => Decision::Ask(Basis::Uncovered),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Basis, Decision, Grant, Item, Policy};

    fn items(texts: &[&str]) -> BTreeSet<Item> {
        texts.iter().map(|text| text.parse().unwrap_or_else(|error| panic!("{error}"))).collect()
    }

    #[test]
    fn rules_in_their_order() {
        let policy = Policy {
            deny: items(&["read:/home/me/.ssh"]),
            ask: items(&["write:/home/me/important"]),
            always: items(&["run:process=git status", "write:/home/me/important/a"]),
        };
        let grant = Grant::of(items(&["write:/home/me", "net:example.org GET"]));
        let approved = items(&["run:process=make test"]);
        for (need, wanted) in [
            ("read:/home/me/x", "allow: granted by write:/home/me"),
            ("read:/home/me/.ssh/id", "deny: the rule read:/home/me/.ssh forbids it"),
            ("write:/home/me/.ssh/id", "deny: the rule read:/home/me/.ssh forbids it"),
            // Reaching into a forbidden folder from above is no way round.
            ("read:/home", "deny: the rule read:/home/me/.ssh forbids it"),
            ("write:/home/me/important/b", "ask: the rule write:/home/me/important asks first"),
            ("write:/home/me/important/a", "allow: always allowed by the person"),
            ("run:process=git status", "allow: always allowed by the person"),
            ("run:process=git status -v", "ask: no grant covers it"),
            ("run:process", "ask: no grant covers it"),
            ("run:process=make test", "allow: approved by the person"),
            ("net:example.org GET", "allow: granted by net:https://example.org:443 GET"),
            ("net:example.org POST", "ask: no grant covers it"),
        ] {
            let need: Item = need.parse().unwrap_or_else(|error| panic!("{error}"));
            let said = match policy.decide(&grant, &approved, &need) {
                Decision::Allow(basis) => format!("allow: {basis}"),
                Decision::Ask(basis) => format!("ask: {basis}"),
                Decision::Deny(basis) => format!("deny: {basis}"),
            };
            assert_eq!(said, wanted, "{need}");
        }
    }

    #[test]
    fn always_never_widens() {
        let policy = Policy { always: items(&["run:process", "read:/a"]), ..Policy::default() };
        for need in ["run:process=ls", "read:/a/b"] {
            let need: Item = need.parse().unwrap_or_else(|error| panic!("{error}"));
            let decision = policy.decide(&Grant::default(), &BTreeSet::new(), &need);
            assert_eq!(decision, Decision::Ask(Basis::Uncovered), "{need}");
        }
    }
}
