//! The entries of a trace: what happened in an attempt, in nine kinds, each with the same fields always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    canonical::NotCanonical,
    commit::{Salt, Salts, commit},
    digest::{Digest, PublicKey},
    integer::Decimal,
    merkle::leaf_hash,
    presorted,
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

/// The fields of the first entry that every receipt opens.
pub const OPEN: [&str; 4] = ["attempt", "epoch", "module", "run"];

/// The kinds of entries that one sort of trace has.
pub(crate) struct Kinds {
    /// The first entry's, and no other's.
    pub start: &'static str,
    /// The last entry's, and no other's.
    pub end: &'static str,
    /// The fields of a kind, sorted; `None` for a kind that is none.
    pub fields: fn(&str) -> Option<&'static [&'static str]>,
}

/// Those of an attempt at a module.
pub(crate) const MODULE: Kinds = Kinds { start: "module_start", end: "module_end", fields: fields_of };

/// The kinds of entries, by name. Files name them by their place here, so new ones come at the end.
pub(crate) const KINDS: [&str; 9] =
    ["artifact", "decision", "error", "input", "model_call", "module_end", "module_start", "output", "tool_call"];

/// Whether some kind of entry has a field of this name.
pub fn is_field(name: &str) -> bool {
    KINDS.iter().filter_map(|kind| fields_of(kind)).any(|fields| fields.contains(&name))
}

/// The fields of a kind, sorted; `None` for a kind that is none.
pub(crate) fn fields_of(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "artifact" => &["digest", "media"],
        "decision" => &["by", "outcome", "reason", "subject"],
        "error" => &["class", "detail"],
        "input" => &["digest", "source"],
        "model_call" => &["cost_micro", "model", "outcome", "request", "response", "tokens_in", "tokens_out"],
        "module_end" => &["deliverable", "outcome"],
        "module_start" => &["associate", "attempt", "epoch", "module", "policy", "run", "spec"],
        "output" => &["deliverable"],
        "tool_call" => &["args", "egress", "grant", "outcome", "output", "tier", "tool", "tool_digest", "usage"],
        _unknown => return None,
    })
}

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
    pub(crate) fn new(salts: &Salts, index: u64, parent: Option<u64>, entry: &Entry) -> Self {
        Self::of(salts, index, parent, entry.kind(), entry.values())
    }

    /// The record at `index` of these values.
    pub(crate) fn of(
        salts: &Salts,
        index: u64,
        parent: Option<u64>,
        kind: &str,
        values: Vec<(&'static str, Vec<u8>)>,
    ) -> Self {
        let fields = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), commit(name, &salts.of(index, name), &value)))
            .collect();
        Self { fields, i: Decimal(index), kind: kind.to_owned(), parent: parent.map(Decimal), v: "1".to_owned() }
    }

    /// The bytes that are hashed into the tree.
    ///
    /// # Errors
    /// None in practice; a record has only text in it.
    pub fn to_entry(&self) -> Result<Vec<u8>, NotCanonical> {
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(PREFIX);
        presorted::append(&mut bytes, self)?;
        Ok(bytes)
    }

    /// Whether it can stand at its index in a trace of `size` entries: a known kind with exactly its fields, the ends at
    /// the ends, and hanging under an earlier entry.
    pub fn fits(&self, size: u64) -> bool {
        self.fits_among(&MODULE, size)
    }

    /// The same of a trace of other kinds.
    pub(crate) fn fits_among(&self, kinds: &Kinds, size: u64) -> bool {
        let names = self.fields.keys().map(String::as_str);
        let hangs = match self.parent {
            None => self.i.0 == 0,
            Some(parent) => parent.0 < self.i.0,
        };
        self.v == "1"
            && (kinds.fields)(&self.kind).is_some_and(|fields| names.eq(fields.iter().copied()))
            && (self.kind == kinds.start) == (self.i.0 == 0)
            && self.i.0 < size
            && (self.kind == kinds.end) == (self.i.0 + 1 == size)
            && hangs
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
        let mut bytes = Vec::new();
        presorted::append(&mut bytes, &WireExtra { open: open.collect(), record: self.record.clone() })?;
        Ok(bytes)
    }

    /// Reads a proof's `extra` in its one spelling. Openings are not checked here; see [`Disclosure::is_true`].
    pub fn parse(extra: &[u8]) -> Option<Self> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        if extra.len() > 4 * LONGEST {
            return None;
        }
        let wire: WireExtra = presorted::read(extra).ok()?;
        let mut open = BTreeMap::new();
        for (name, opening) in wire.open {
            let mut salt = [0; 16];
            hex::decode_to_slice(&opening.salt, &mut salt).ok()?;
            // Hex has two spellings; padded base64 has one, by its decoder.
            if opening.salt.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return None;
            }
            open.insert(name, Opening { salt, value: STANDARD.decode(&opening.value).ok()? });
        }
        Some(Self { record: wire.record, open })
    }

    /// Whether each opened field is what the record commits to.
    pub fn is_true(&self) -> bool {
        self.open
            .iter()
            .all(|(name, opening)| self.record.fields.get(name) == Some(&commit(name, &opening.salt, &opening.value)))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{CallEnd, Disclosure, Entry, Opening, Record};
    use crate::{
        canonical::canonical,
        commit::{AttemptKey, is_name},
        digest::{Digest, PublicKey},
        integer::Decimal,
    };

    fn all_kinds() -> [Entry; 9] {
        let (digest, key, text) = (Digest::of(b"d"), PublicKey([1; 32]), || "t".to_owned());
        let id = Uuid::from_u128(1);
        [
            Entry::ModuleStart {
                run: id,
                module: id,
                attempt: 1,
                epoch: 1,
                spec: b"{}".to_vec(),
                associate: key,
                policy: digest,
            },
            Entry::ModelCall {
                model: text(),
                request: digest,
                response: digest,
                tokens_in: 1,
                tokens_out: 2,
                cost_micro: 3,
                outcome: CallEnd::Done,
            },
            Entry::ToolCall {
                tool: text(),
                tool_digest: digest,
                grant: text(),
                args: digest,
                output: digest,
                tier: text(),
                egress: text(),
                usage: b"{}".to_vec(),
                outcome: CallEnd::InDoubt,
            },
            Entry::Input { source: text(), digest },
            Entry::Output { deliverable: digest },
            Entry::Artifact { digest, media: text() },
            Entry::Decision { subject: text(), outcome: text(), by: key, reason: text() },
            Entry::Error { class: text(), detail: text() },
            Entry::ModuleEnd { outcome: text(), deliverable: digest },
        ]
    }

    /// The index at which an entry of this kind can stand in a trace of three.
    fn place(entry: &Entry) -> (u64, Option<u64>) {
        match entry.kind() {
            "module_start" => (0, None),
            "module_end" => (2, Some(1)),
            _between => (1, Some(0)),
        }
    }

    #[test]
    fn every_kind_has_its_fields_and_is_written_in_canonical_form() {
        let salts = AttemptKey::new([1; 32]).salts();
        for entry in all_kinds() {
            let (index, parent) = place(&entry);
            let record = Record::new(&salts, index, parent, &entry);
            assert!(record.fits(3), "{}", entry.kind());
            assert!(entry.values().iter().all(|(name, _)| is_name(name)), "{}", entry.kind());
            let written = record.to_entry().expect("writes");
            assert_eq!(written.strip_prefix(b"pob/leaf/1\n"), canonical(&record).ok().as_deref(), "{}", entry.kind());
        }
    }

    #[test]
    fn what_stands_wrongly_does_not_fit() {
        let salts = AttemptKey::new([1; 32]).salts();
        let [start, _, _, _, output, .., end] = all_kinds();
        let fits = |entry, index, parent| Record::new(&salts, index, parent, entry).fits(3);
        assert!(fits(&output, 1, Some(0)));
        for (entry, index, parent) in [
            (&output, 0, None),
            (&output, 2, Some(1)),
            (&output, 1, Some(1)),
            (&output, 1, None),
            (&start, 1, Some(0)),
            (&end, 1, Some(0)),
            (&start, 0, Some(0)),
        ] {
            assert!(!fits(entry, index, parent), "{} at {index} under {parent:?}", entry.kind());
        }
        let good = Record::new(&salts, 1, Some(0), &output);
        let more = ("more".to_owned(), Digest::of(b"d"));
        for wrong in [
            Record { v: "2".to_owned(), ..good.clone() },
            Record { kind: "outputs".to_owned(), ..good.clone() },
            Record { fields: good.fields.clone().into_iter().chain([more]).collect(), ..good.clone() },
            Record { fields: Default::default(), ..good.clone() },
            Record { i: Decimal(u64::MAX), ..good.clone() },
        ] {
            assert!(!wrong.fits(3), "{wrong:?}");
        }
    }

    #[test]
    fn a_disclosure_has_one_spelling() {
        let key = AttemptKey::new([1; 32]);
        let [_, _, _, _, output, ..] = all_kinds();
        let record = Record::new(&key.salts(), 1, Some(0), &output);
        let opening = Opening { salt: [0xab; 16], value: vec![1] };
        let disclosure = Disclosure { record, open: [("deliverable".to_owned(), opening)].into() };
        let bytes = disclosure.to_extra().expect("writes");
        assert!(crate::canonical::parse_canonical(&bytes).is_ok());
        assert_eq!(Disclosure::parse(&bytes), Some(disclosure));
        let text = String::from_utf8(bytes).expect("text");
        for (from, to) in [
            ("abab", "ABAB"),
            ("AQ==", "AR=="),
            ("AQ==", "AQ"),
            (r#""parent":"0","#, r#""parent":null,"#),
            (r#""parent":"0","#, r#""parent":"00","#),
            (r#""i":"1""#, r#""i":1"#),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(Disclosure::parse(changed.as_bytes()), None, "{changed}");
        }
    }
}
