//! The entries of a trace: what happened in an attempt, in nine kinds, each with the same fields always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    canonical::{NotCanonical, canonical, parse_canonical},
    commit::{AttemptKey, Salt, commit},
    digest::{Digest, PublicKey},
    integer::Decimal,
    merkle::leaf_hash,
};

/// Longest entry in bytes; big values stand in it by commitment only.
pub const LONGEST: usize = 64 * 1024;
/// What every entry begins with.
const PREFIX: &[u8] = b"pob/leaf/1\n";

/// One thing that happened, with its values in the clear. Only commitments to them leave this crate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields are named in docs/RECEIPT-FORMAT.md, one row a kind")]
pub enum Entry {
    /// The attempt began. Always first.
    ModuleStart {
        run: Uuid,
        module: Uuid,
        attempt: u32,
        epoch: u64,
        /// Canonical JSON of what was asked.
        spec: Vec<u8>,
        associate: PublicKey,
        policy: Digest,
    },
    /// A model was asked.
    ModelCall {
        model: String,
        request: Digest,
        response: Digest,
        tokens_in: u64,
        tokens_out: u64,
        cost_micro: u64,
        outcome: CallEnd,
    },
    /// A tool was called.
    ToolCall {
        tool: String,
        tool_digest: Digest,
        grant: String,
        args: Digest,
        output: Digest,
        tier: String,
        egress: String,
        /// Canonical JSON.
        usage: Vec<u8>,
        outcome: CallEnd,
    },
    /// Something was handed over.
    Input { source: String, digest: Digest },
    /// The deliverable was handed in.
    Output { deliverable: Digest },
    /// A by-product.
    Artifact { digest: Digest, media: String },
    /// A finding or a choice.
    Decision { subject: String, outcome: String, by: PublicKey, reason: String },
    /// Something failed.
    Error { class: String, detail: String },
    /// The attempt ended. Always last.
    ModuleEnd { outcome: String, deliverable: Digest },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// With an answer.
    Done,
    /// With an error.
    Failed,
    /// Nobody knows.
    InDoubt,
}

impl CallEnd {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
        }
    }
}

/// The kinds that are counted in a receipt, by name; `module_start` and `module_end` are always there once.
pub const COUNTED: [&str; 7] = ["artifact", "decision", "error", "input", "model_call", "output", "tool_call"];

impl Entry {
    /// Its kind, as records name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ModuleStart { .. } => "module_start",
            Self::ModelCall { .. } => "model_call",
            Self::ToolCall { .. } => "tool_call",
            Self::Input { .. } => "input",
            Self::Output { .. } => "output",
            Self::Artifact { .. } => "artifact",
            Self::Decision { .. } => "decision",
            Self::Error { .. } => "error",
            Self::ModuleEnd { .. } => "module_end",
        }
    }

    /// Field names and the bytes that are committed to.
    pub fn values(&self) -> Vec<(&'static str, Vec<u8>)> {
        let text = |text: &str| text.as_bytes().to_vec();
        let integer = |number: u64| number.to_string().into_bytes();
        let raw = |digest: &Digest| digest.0.to_vec();
        match self {
            Self::ModuleStart { run, module, attempt, epoch, spec, associate, policy } => vec![
                ("run", run.as_bytes().to_vec()),
                ("module", module.as_bytes().to_vec()),
                ("attempt", integer((*attempt).into())),
                ("epoch", integer(*epoch)),
                ("spec", spec.clone()),
                ("associate", associate.0.to_vec()),
                ("policy", raw(policy)),
            ],
            Self::ModelCall { model, request, response, tokens_in, tokens_out, cost_micro, outcome } => vec![
                ("model", text(model)),
                ("request", raw(request)),
                ("response", raw(response)),
                ("tokens_in", integer(*tokens_in)),
                ("tokens_out", integer(*tokens_out)),
                ("cost_micro", integer(*cost_micro)),
                ("outcome", text(outcome.word())),
            ],
            Self::ToolCall { tool, tool_digest, grant, args, output, tier, egress, usage, outcome } => vec![
                ("tool", text(tool)),
                ("tool_digest", raw(tool_digest)),
                ("grant", text(grant)),
                ("args", raw(args)),
                ("output", raw(output)),
                ("tier", text(tier)),
                ("egress", text(egress)),
                ("usage", usage.clone()),
                ("outcome", text(outcome.word())),
            ],
            Self::Input { source, digest } => vec![("source", text(source)), ("digest", raw(digest))],
            Self::Output { deliverable } => vec![("deliverable", raw(deliverable))],
            Self::Artifact { digest, media } => vec![("digest", raw(digest)), ("media", text(media))],
            Self::Decision { subject, outcome, by, reason } => vec![
                ("subject", text(subject)),
                ("outcome", text(outcome)),
                ("by", by.0.to_vec()),
                ("reason", text(reason)),
            ],
            Self::Error { class, detail } => vec![("class", text(class)), ("detail", text(detail))],
            Self::ModuleEnd { outcome, deliverable } => {
                vec![("outcome", text(outcome)), ("deliverable", raw(deliverable))]
            }
        }
    }
}

/// An entry as it is in the tree: its kind, its place, and commitments to its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Commitments by field name.
    pub fields: BTreeMap<String, Digest>,
    /// Its index.
    pub i: Decimal,
    /// Its kind.
    pub kind: String,
    /// Index of the entry it belongs under; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Decimal>,
    /// Version of the record.
    pub v: String,
}

impl Record {
    /// The record of an entry at `index`.
    pub fn new(key: &AttemptKey, index: u64, parent: Option<u64>, entry: &Entry) -> Self {
        let fields = entry
            .values()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), commit(name, &key.salt(index, name), &value)))
            .collect();
        Self {
            fields,
            i: Decimal(index),
            kind: entry.kind().to_owned(),
            parent: parent.map(Decimal),
            v: "1".to_owned(),
        }
    }

    /// The bytes that are hashed into the tree.
    ///
    /// # Errors
    /// None in practice; a record has only text in it.
    pub fn to_entry(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut bytes = PREFIX.to_vec();
        bytes.extend(canonical(self)?);
        Ok(bytes)
    }

    /// Its leaf hash.
    ///
    /// # Errors
    /// As [`Record::to_entry`].
    pub fn leaf(&self) -> Result<Digest, NotCanonical> {
        self.to_entry().map(|bytes| leaf_hash(&bytes))
    }
}

/// One opened field: its salt and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The salt.
    pub salt: Salt,
    /// The value.
    pub value: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOpening {
    salt: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireExtra {
    open: BTreeMap<String, WireOpening>,
    record: Record,
}

/// A record with some of its fields opened: what goes with a proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The record.
    pub record: Record,
    /// Opened fields.
    pub open: BTreeMap<String, Opening>,
}

impl Disclosure {
    /// The bytes of a proof's `extra`.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_extra(&self) -> Result<Vec<u8>, NotCanonical> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let open = self.open.iter().map(|(name, opening)| {
            let wire = WireOpening { salt: hex::encode(opening.salt), value: STANDARD.encode(&opening.value) };
            (name.clone(), wire)
        });
        canonical(&WireExtra { open: open.collect(), record: self.record.clone() })
    }

    /// Reads a proof's `extra` in its one spelling. Openings are not checked here; see [`Disclosure::is_true`].
    pub fn parse(extra: &[u8]) -> Option<Self> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        if extra.len() > 4 * LONGEST {
            return None;
        }
        let wire: WireExtra = serde_json::from_value(parse_canonical(extra).ok()?).ok()?;
        let mut open = BTreeMap::new();
        for (name, opening) in wire.open {
            let mut salt = [0; 16];
            hex::decode_to_slice(&opening.salt, &mut salt).ok()?;
            open.insert(name, Opening { salt, value: STANDARD.decode(&opening.value).ok()? });
        }
        let disclosure = Self { record: wire.record, open };
        (disclosure.to_extra().ok()? == extra).then_some(disclosure)
    }

    /// Whether each opened field is what the record commits to.
    pub fn is_true(&self) -> bool {
        self.open
            .iter()
            .all(|(name, opening)| self.record.fields.get(name) == Some(&commit(name, &opening.salt, &opening.value)))
    }
}
