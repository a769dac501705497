//! Landlock: the second wall around files and sockets, which stands also where a mount would not.
//!
//! **Invariant:** everything the kernel's ABI can deny is denied, but reading what is in the root and writing to `/tmp`, the
//! harmless devices and what was granted for writing; a kernel without Landlock runs nothing.
//! **Invariant:** where the kernel holds ports, no connection begins but to a gate, and nobody listens.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{child::During, plan::Network};
use crate::gate;

/// The newest that this program knows; what a kernel lacks of it is left out, and the record names the kernel's own.
const NEWEST: ABI = ABI::V9;

/// Puts the wall up around this thread. Gives the ABI that holds it.
pub(super) fn enforce<'a>(writable: impl Iterator<Item = &'a str>, network: Network) -> Result<ABI, String> {
    let gates = match network {
        Network::None => None,
        Network::Gate => Some(Ok::<_, RulesetError>(NetPort::new(gate::PORT, AccessNet::ConnectTcp))),
    };
    let reading = AccessFs::from_read(NEWEST);
    let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    let all = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/"], reading)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev/null", "/dev/zero", "/dev/full"], devices)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(writable.chain(["/tmp"]), all)))
        .and_then(|rules| rules.add_rules(gates))
        .and_then(landlock::RulesetCreated::restrict_self)
        .during("Landlock")?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) | (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => {
            Err("Landlock holds nothing here".to_owned())
        }
        (
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced,
            LandlockStatus::Available { effective_abi, .. },
        ) => Ok(effective_abi),
    }
}

/// What the kernel has. Asked by a thread that ends with the answer, since asking is being held.
pub(super) fn abi() -> Result<ABI, String> {
    let asked = std::thread::spawn(|| enforce(std::iter::empty(), Network::None)).join();
    asked.unwrap_or_else(|_panicked| Err("asking for Landlock failed".to_owned()))
}
