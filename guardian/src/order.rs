//! Orders as files: one act on one target, once, signed by people, or by a guardian where its charter has a standing order.
//!
//! `order.intoto.json` is a DSSE envelope over an in-toto statement whose subject is the run.

use std::collections::BTreeSet;

use common_ground::{
    ApprovalId, Millis, ModuleId, RunId,
    grant::Item,
    guardian::{Act, Order, Presented, Says, Suspect},
};
use receipts::{
    Digest, PublicKey,
    integer::Decimal,
    timestamp::{format_millis, parse_millis},
};
use serde::{Deserialize, Serialize};

use crate::signed::{self, Form};
pub use crate::signed::{Unwritable, join};

/// The predicate type.
pub const PREDICATE: &str = "https://ii.example/guardian/order/v1";

/// Fields in canonical order; which there are depends on the act.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WireAct {
    act: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most_ms: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    says: Option<Says>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skill: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
}

impl WireAct {
    fn of(act: &Act) -> Self {
        let mut wire = Self { act: act.kind().name().to_owned(), ..Self::default() };
        match act {
            Act::Pause { most_ms } => wire.most_ms = most_ms.map(Decimal),
            Act::Resume | Act::Cancel | Act::Drain => {}
            Act::Revoke { item } => wire.item = Some(item.clone()),
            Act::Quarantine(Suspect::Tool(tool)) => wire.tool = Some(tool.clone()),
            Act::Quarantine(Suspect::Model(model)) => wire.model = Some(model.clone()),
            Act::Quarantine(Suspect::Skill(skill)) => wire.skill = Some(skill.clone()),
            Act::Answer { approval, says } => (wire.approval, wire.says) = (Some(*approval), Some(*says)),
        }
        wire
    }

    /// The act; none for fields that are not its own.
    fn act(self) -> Option<Act> {
        let Self { act, approval, item, model, most_ms, says, skill, tool } = self;
        let suspect = match (tool, model, skill) {
            (None, None, None) => None,
            (Some(tool), None, None) => Some(Suspect::Tool(tool)),
            (None, Some(model), None) => Some(Suspect::Model(model)),
            (None, None, Some(skill)) => Some(Suspect::Skill(skill)),
            _several => return None,
        };
        match (act.as_str(), approval, item, most_ms, says, suspect) {
            ("pause", None, None, most_ms, None, None) => Some(Act::Pause { most_ms: most_ms.map(|most| most.0) }),
            ("resume", None, None, None, None, None) => Some(Act::Resume),
            ("cancel", None, None, None, None, None) => Some(Act::Cancel),
            ("drain", None, None, None, None, None) => Some(Act::Drain),
            ("revoke", None, Some(item), None, None, None) => Some(Act::Revoke { item }),
            ("quarantine", None, None, None, None, Some(what)) => Some(Act::Quarantine(what)),
            ("answer", Some(approval), None, None, Some(says), None) => Some(Act::Answer { approval, says }),
            _other => None,
        }
    }
}

/// Fields in canonical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Wire {
    act: WireAct,
    charter: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<ModuleId>,
    nonce: Digest,
    not_after: String,
    not_before: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    run: RunId,
    signers: Vec<PublicKey>,
}

/// What is to be signed by each of `signers`, whom the text names.
///
/// # Errors
/// [`Unwritable`].
pub fn payload(order: &Order, signers: &BTreeSet<PublicKey>) -> Result<Vec<u8>, Unwritable> {
    let wire = Wire {
        act: WireAct::of(&order.act),
        charter: order.charter,
        module: order.module,
        nonce: order.nonce,
        not_after: format_millis(order.not_after.0)?,
        not_before: format_millis(order.not_before.0)?,
        rule: order.rule.clone(),
        run: order.run,
        signers: signers.iter().copied().collect(),
    };
    signed::payload("run", subject(order.run), PREDICATE, wire, signers.len())
}

/// The run as a statement names it.
fn subject(run: RunId) -> Digest {
    Digest::of(run.0.as_bytes())
}

impl Form for Wire {
    type Terms = Order;
    const PREDICATE: &'static str = PREDICATE;
    const SUBJECT: &'static str = "run";

    fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    fn terms(self) -> Option<(Order, Digest)> {
        let order = Order {
            charter: self.charter,
            act: self.act.act()?,
            run: self.run,
            module: self.module,
            rule: self.rule,
            not_before: Millis(parse_millis(&self.not_before).ok()?),
            not_after: Millis(parse_millis(&self.not_after).ok()?),
            nonce: self.nonce,
        };
        let subject = subject(order.run);
        Some((order, subject))
    }
}

/// Reads an order and verifies it: every key that it names as signer signed.
pub fn open(bytes: &[u8]) -> Presented<Order> {
    signed::open::<Wire>(bytes)
}

/// Who still has to sign before [`open`] believes it; none for bytes that are no order.
pub fn missing(bytes: &[u8]) -> Option<Vec<PublicKey>> {
    signed::missing::<Wire>(bytes)
}

/// The payload of an order that some have signed, for others to sign; none for bytes that are no order.
pub fn unsigned(bytes: &[u8]) -> Option<Vec<u8>> {
    signed::missing::<Wire>(bytes)?;
    receipts::dsse::Envelope::parse(bytes).ok().map(|envelope| envelope.payload)
}
