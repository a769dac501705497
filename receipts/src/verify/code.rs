//! Why a receipt is invalid: one code a cause, never used for two.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A cause. `docs/RECEIPT-FORMAT.md` lists them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it is printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// There is no receipt file.
    MissingReceipt = "missing-receipt",
    /// There is no checkpoint file.
    MissingCheckpoint = "missing-checkpoint",
    /// The entry that names the module is not disclosed.
    MissingDisclosure = "missing-disclosure",
    /// A link of the chain of authority is missing.
    MissingDelegation = "missing-delegation",
    /// The verifier's statement is missing.
    MissingVerdict = "missing-verdict",
    /// A file that does not belong to a receipt.
    UnknownFile = "unknown-file",
    /// The receipt is not in its one spelling.
    Noncanonical = "noncanonical",
    /// The envelope holds something else than an in-toto statement.
    PayloadType = "payload-type",
    /// Not exactly two signatures.
    SignatureCount = "signature-count",
    /// The statement has other fields than it should.
    Shape = "shape",
    /// Another statement type.
    StatementType = "statement-type",
    /// Another predicate type.
    PredicateType = "predicate-type",
    /// Another version of the predicate.
    Spec = "spec",
    /// Another class of benefit.
    BenefitClass = "benefit-class",
    /// Another status than completed.
    Status = "status",
    /// Another network than the trusted one.
    Network = "network",
    /// The associate's id is not its key's.
    AssociateKeyId = "associate-keyid",
    /// The principal's id is not its key's.
    PrincipalKeyId = "principal-keyid",
    /// The node's id is not its key's.
    NodeKeyId = "node-keyid",
    /// The root's id is not its key's.
    RootKeyId = "root-keyid",
    /// One key in two roles.
    SharedKey = "shared-key",
    /// The associate's signature does not verify.
    AssociateSignature = "associate-signature",
    /// The node's signature does not verify.
    NodeSignature = "node-signature",
    /// The root is not trusted.
    RootUntrusted = "root-untrusted",
    /// The node is not trusted.
    NodeUntrusted = "node-untrusted",
    /// The log is not the trusted one.
    LogUntrusted = "log-untrusted",
    /// The checkpoint does not open under the log key.
    Checkpoint = "checkpoint",
    /// The statement's subject is not the checkpoint.
    Subject = "subject",
    /// The origin is not that of the tree of this module or ingest.
    Origin = "origin",
    /// The size is not the checkpoint's.
    Size = "size",
    /// The root is not the checkpoint's.
    Root = "root",
    /// The tree is said to be of another kind or hash.
    TreeKind = "tree-kind",
    /// Other kinds are counted than the class has.
    CountKinds = "count-kinds",
    /// The counts do not add up to the size.
    CountSum = "count-sum",
    /// Not exactly one deliverable was handed in.
    Output = "output",
    /// A disclosure is not a proof in its one spelling.
    Disclosure = "disclosure",
    /// A disclosure is under another checkpoint.
    DisclosureCheckpoint = "disclosure-checkpoint",
    /// A disclosure's index is not that of its name or record.
    DisclosureIndex = "disclosure-index",
    /// A disclosed entry is of no known kind, has other fields, or cannot stand where it does.
    Record = "record",
    /// A disclosed entry is not in the tree.
    Inclusion = "inclusion",
    /// An opened field is not what was committed to.
    Opening = "opening",
    /// The first entry is about another module or ingest, associate or policy.
    Entry0 = "entry0",
    /// The commitment to what was asked is not the first entry's.
    SpecCommit = "spec-commit",
    /// The nullifier is not that of this module, or of the head that this ingest began from.
    Nullifier = "nullifier",
    /// A delegation does not open.
    Delegation = "delegation",
    /// A delegation is another than the receipt names.
    DelegationId = "delegation-id",
    /// The chain does not go from root to principal to associate.
    DelegationChain = "delegation-chain",
    /// A delegation may not be delegated further, or as far as its own says.
    DelegationDepth = "delegation-depth",
    /// A delegation does not cover the time of the work.
    DelegationTime = "delegation-time",
    /// A delegation does not cover the kind of module.
    DelegationModule = "delegation-module",
    /// The principal gave tools that it was not given.
    DelegationTools = "delegation-tools",
    /// The usage passes what was delegated.
    DelegationBudget = "delegation-budget",
    /// No verdict at all.
    NoVerdict = "no-verdict",
    /// A criterion did not pass.
    VerdictFailed = "verdict-failed",
    /// A criterion is found on twice, or two read the same in a verdict.
    VerdictTwice = "verdict-twice",
    /// The associate found on its own work.
    SelfJudged = "self-judged",
    /// The verifier is not trusted.
    VerifierUntrusted = "verifier-untrusted",
    /// A verdict statement is not in its one spelling.
    Verdict = "verdict",
    /// A verdict statement is another than the receipt names.
    VerdictId = "verdict-id",
    /// A verdict statement is not signed by who found.
    VerdictSignature = "verdict-signature",
    /// A verdict is on another deliverable than the others, its statement or the trace.
    VerdictDeliverable = "verdict-deliverable",
    /// A verdict statement does not list the criterion.
    VerdictProperty = "verdict-property",
    /// A verdict was found under another policy.
    VerdictPolicy = "verdict-policy",
    /// A verdict was found outside the time of the attempt.
    VerdictTime = "verdict-time",
    /// Parents out of order, or one twice.
    Parents = "parents",
    /// A corpus head makes no sense, or two are of one corpus.
    Corpora = "corpora",
    /// The collection is not one of this node, or its corpus did not grow by what is counted.
    Collection = "collection",
    /// Earlier attempts out of order, or not before this one.
    Earlier = "earlier",
    /// The policy did not allow it.
    Policy = "policy",
    /// A skill without a name.
    Skills = "skills",
    /// A model without a provider or twice, or more models than calls.
    Models = "models",
    /// A currency that is none.
    Currency = "currency",
    /// A time out of form or order.
    Time = "time",
    /// More tool calls than the trace has, or more time than passed.
    Usage = "usage",
    /// What is not claimed does not fit the custody.
    NonClaims = "non-claims",
    /// A counter-signature is not in its one spelling, or not signed by the key it names.
    Countersignature = "countersignature",
    /// A counter-signature is of another receipt.
    CountersignatureReceipt = "countersignature-receipt",
    /// A ledger's head is not signed by the trusted log, or not cosigned by enough trusted witnesses, or has other lines.
    LedgerHead = "ledger-head",
    /// A ledger's proof is not in its one spelling, or does not lead from the receipt to the head.
    LedgerProof = "ledger-proof",
    /// A ledger's block is not in its one spelling, not certified by the trusted validators, or not over that head.
    LedgerBlock = "ledger-block",
    /// A chain's proof is not in its one spelling, or does not lead from the receipt to the block.
    LedgerAnchor = "ledger-anchor",
    /// The headers of a chain's proof do not hang together, or lack the work that counts.
    LedgerWork = "ledger-work",
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn no_code_stands_for_two_causes() {
        let texts: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
