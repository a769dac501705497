//! Keys and tokens by what they begin with, then by their whole form: a beginning alone is no secret.

use regex::bytes::{Regex, RegexBuilder};

/// One kind of secret.
#[derive(Debug)]
pub(super) struct Secret {
    /// What it begins with; what is searched for.
    pub begins: &'static str,
    /// Whose it is, in words.
    pub whose: &'static str,
    /// Its whole form, from its first byte.
    form: Regex,
}

/// Beginning, whose it is, what follows the beginning.
const FORMS: &[(&str, &str, &str)] = &[
    ("AKIA", "an AWS access key", r"[A-Z2-7]{16}"),
    ("ASIA", "an AWS session key", r"[A-Z2-7]{16}"),
    ("ghp_", "a GitHub token", r"[A-Za-z0-9]{36}"),
    ("gho_", "a GitHub token", r"[A-Za-z0-9]{36}"),
    ("ghu_", "a GitHub token", r"[A-Za-z0-9]{36}"),
    ("ghs_", "a GitHub token", r"[A-Za-z0-9]{36}"),
    ("ghr_", "a GitHub token", r"[A-Za-z0-9]{36}"),
    ("github_pat_", "a GitHub token", r"[A-Za-z0-9_]{50,90}"),
    ("glpat-", "a GitLab token", r"[A-Za-z0-9_-]{20,64}"),
    ("xoxb-", "a Slack token", r"[0-9A-Za-z-]{20,80}"),
    ("xoxp-", "a Slack token", r"[0-9A-Za-z-]{20,80}"),
    ("xoxa-", "a Slack token", r"[0-9A-Za-z-]{20,80}"),
    ("sk_live_", "a Stripe key", r"[0-9A-Za-z]{16,99}"),
    ("rk_live_", "a Stripe key", r"[0-9A-Za-z]{16,99}"),
    ("sk-ant-", "a key of a model provider", r"[A-Za-z0-9_-]{24,160}"),
    ("sk-proj-", "a key of a model provider", r"[A-Za-z0-9_-]{24,200}"),
    ("sk-or-v1-", "a key of a model provider", r"[0-9a-f]{64}"),
    ("gsk_", "a key of a model provider", r"[A-Za-z0-9]{48,64}"),
    ("hf_", "a Hugging Face token", r"[A-Za-z]{34}"),
    ("AIza", "a Google API key", r"[0-9A-Za-z_-]{35}"),
    ("ya29.", "a Google access token", r"[0-9A-Za-z_-]{40,200}"),
    ("npm_", "an npm token", r"[A-Za-z0-9]{36}"),
    ("dop_v1_", "a DigitalOcean token", r"[0-9a-f]{64}"),
    ("SG.", "a SendGrid key", r"[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    ("eyJ", "a signed web token", r"[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{20,}"),
    ("-----BEGIN ", "a private key", r"(?:RSA |EC |DSA |OPENSSH |ENCRYPTED |PGP )?PRIVATE KEY(?: BLOCK)?-----"),
];

/// Longest form that is looked at, in bytes.
const LONGEST: usize = 4000;

/// Every kind; none where a form is no pattern, which the tests would show.
pub(super) fn all() -> Option<Vec<Secret>> {
    FORMS
        .iter()
        .map(|(begins, whose, follows)| {
            let pattern = format!(r"^(?-u){}{follows}", regex::escape(begins));
            let form = RegexBuilder::new(&pattern).unicode(false).build().ok()?;
            Some(Secret { begins, whose, form })
        })
        .collect()
}

fn is_part_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl Secret {
    /// Whether one stands at this place, and does not begin in the middle of a word.
    pub fn is_at(&self, text: &[u8], at: usize) -> bool {
        if at > 0 && is_part_of_a_word(text[at - 1]) && !escaped(&text[..at]) {
            return false;
        }
        let end = text.len().min(at + LONGEST);
        let Some(found) = self.form.find(&text[at..end]) else { return false };
        varied(&text[at + self.begins.len()..at + found.end()])
    }
}

/// Whether the text before ends with an escape of JSON, whose last letter is no part of a word: `\nAKIA…`.
fn escaped(before: &[u8]) -> bool {
    matches!(before, [.., b'\\', b'n' | b't' | b'r'])
}

/// Whether it is drawn from many characters: `XXXX…` and `0000…` are examples, no secrets.
fn varied(bytes: &[u8]) -> bool {
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() >= 6
}
