//! The roles' prompts: files of `prompts/`, each with a revision that grows whenever its words change.

/// A prompt file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prompt {
    /// The role, or the job within one.
    pub name: &'static str,
    /// Which revision of its words.
    pub revision: &'static str,
    /// The words.
    pub text: &'static str,
}

/// How the Principal plans.
pub const PRINCIPAL: Prompt = prompt("principal", include_str!("../../prompts/principal.md"));
/// How an Associate works.
pub const ASSOCIATE: Prompt = prompt("associate", include_str!("../../prompts/associate.md"));
/// How the Verifier judges.
pub const VERIFIER: Prompt = prompt("verifier", include_str!("../../prompts/verifier.md"));
/// How old turns are summed up.
pub const SUMMARY: Prompt = prompt("summary", include_str!("../../prompts/summary.md"));

/// Cuts a file at its front matter: three lines and two fences. A file of another form does not compile.
const fn prompt(name: &'static str, file: &'static str) -> Prompt {
    let (_, rest) = file.split_at("---\nrole: ".len());
    let (role, rest) = rest.split_at(name.len());
    assert!(equal(role, name), "a prompt is named after its role");
    let (field, rest) = rest.split_at("\nrevision: ".len());
    assert!(equal(field, "\nrevision: "), "a prompt has a revision");
    let mut digits = 0;
    while rest.as_bytes()[digits].is_ascii_digit() {
        digits += 1;
    }
    let (revision, rest) = rest.split_at(digits);
    let (fence, text) = rest.split_at("\n---\n".len());
    assert!(equal(fence, "\n---\n"), "a prompt's front matter ends");
    Prompt { name, revision, text }
}

const fn equal(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use receipts::Digest;

    use super::{ASSOCIATE, PRINCIPAL, SUMMARY, VERIFIER};

    /// Whoever changes a prompt's words gives it the next revision and writes both here.
    #[test]
    fn words_change_only_with_their_revision() {
        let known = [PRINCIPAL, ASSOCIATE, VERIFIER, SUMMARY].map(|prompt| {
            format!("{} {} {}", prompt.name, prompt.revision, &Digest::of(prompt.text.as_bytes()).to_string()[..8])
        });
        assert_eq!(
            known,
            ["principal 1 40c51454", "associate 1 0c4552c5", "verifier 1 f9edf1c0", "summary 1 390f524c"]
        );
    }
}
