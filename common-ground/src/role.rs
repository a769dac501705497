//! Roles and identities: who may do what is decided by key, not by prompt.

use receipts::PublicKey;
use serde::{Deserialize, Serialize};

/// A role, with its own authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The person the agent belongs to.
    Person,
    /// Talks with the person; opens and closes runs, owns the report.
    Partner,
    /// Plans modules, hands over context, accepts or sends back.
    Principal,
    /// Claims a module, works in steps, submits.
    Associate,
    /// Finds on the criteria of somebody else's deliverable.
    Verifier,
    /// The program itself: leases, clocks, take-over.
    Node,
}

/// The keys that play the roles in one run.
///
/// The Partner and the Principal act under one key, as a delegation names one principal. The other roles' keys are
/// distinct, or the run is refused at opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// The person.
    pub person: PublicKey,
    /// Partner and Principal.
    pub principal: PublicKey,
    /// One key per Associate that may work at the same time.
    pub associates: Vec<PublicKey>,
    /// The Verifier.
    pub verifier: PublicKey,
    /// The node.
    pub node: PublicKey,
}

impl Roster {
    /// Whether `key` holds `role` in this run.
    pub fn holds(&self, key: PublicKey, role: Role) -> bool {
        match role {
            Role::Person => key == self.person,
            Role::Partner | Role::Principal => key == self.principal,
            Role::Associate => self.associates.contains(&key),
            Role::Verifier => key == self.verifier,
            Role::Node => key == self.node,
        }
    }

    /// A key that stands for two roles, if there is one: no key does two jobs.
    pub fn shared_key(&self) -> Option<PublicKey> {
        let mut keys: Vec<PublicKey> = [self.person, self.principal, self.verifier, self.node]
            .into_iter()
            .chain(self.associates.iter().copied())
            .collect();
        keys.sort_unstable();
        keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}
