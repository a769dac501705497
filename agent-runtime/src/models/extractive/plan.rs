//! Planning by the question's grammar: one module, unless parts stand side by side.
//!
//! English grammar only; a question in another language, or of more than two thousand bytes, stays one module.

use common_ground::{module::ModuleKind, run::PlanReason};

use super::{sides, words::telling};
use crate::roles::talk::{Plan, PlannedModule};

/// Words that begin a question of its own after `and`.
const ASKING: &[&str] = &["who", "whom", "whose", "what", "when", "where", "which", "why", "how"];
/// Words that begin a question of its own after a comma and `and`, or after a mark.
const DOING: &[&str] =
    &["is", "are", "was", "were", "does", "do", "did", "has", "have", "can", "could", "may", "must", "should", "will"];
/// Words by which a part leans on a thing named before.
const THINGS: &[&str] = &["it", "its", "they", "their", "them", "this", "that", "these", "those", "there"];
/// Words by which a part leans on a person named before, who may be the answer to the first part.
const PERSONS: &[&str] = &["he", "his", "him", "she", "her", "hers"];
/// The longest question whose grammar is looked at, in bytes.
const LONGEST: usize = 2_000;

/// The plan for a question: at most `most` modules.
pub(super) fn plan(question: &str, most: u32) -> Plan {
    if question.len() <= LONGEST && most >= 3 {
        let parts = parts(question).unwrap_or_default();
        if parts.len() >= 2 && parts.len() < most as usize {
            let reason = PlanReason::IndependentParts { parts: count(&parts) };
            return split(question, parts, reason);
        }
        let sides = sides::sides(question).unwrap_or_default();
        if sides.len() >= 2 && sides.len() < most as usize {
            let reason = PlanReason::Comparison { sides: count(&sides) };
            return split(question, sides, reason);
        }
    }
    let module = PlannedModule {
        name: "answer".to_owned(),
        kind: ModuleKind::Answer,
        question: question.to_owned(),
        inputs: Vec::new(),
        handover: None,
    };
    Plan { reason: PlanReason::Single, modules: vec![module] }
}

fn count(questions: &[String]) -> u32 {
    u32::try_from(questions.len()).unwrap_or(u32::MAX)
}

fn split(question: &str, parts: Vec<String>, reason: PlanReason) -> Plan {
    let mut modules: Vec<PlannedModule> = parts
        .into_iter()
        .zip(1..)
        .map(|(question, number)| PlannedModule {
            name: format!("part-{number}"),
            kind: ModuleKind::Answer,
            question,
            inputs: Vec::new(),
            handover: None,
        })
        .collect();
    let inputs = modules.iter().map(|module| module.name.clone()).collect();
    modules.push(PlannedModule {
        name: "merge".to_owned(),
        kind: ModuleKind::Merge,
        question: question.to_owned(),
        inputs,
        handover: None,
    });
    Plan { reason, modules }
}

/// A word without marks, in small letters.
pub(super) fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.contains(&bare(word).as_str())
}

/// Questions joined by a conjunction or set one after the other; none when a part needs the answer to another.
fn parts(question: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let first = words.first().filter(|word| is_one_of(word, ASKING) || is_one_of(word, DOING))?;
    let mut parts: Vec<Vec<&str>> = vec![vec![first]];
    let mut quoted = false;
    for at in 1..words.len() {
        let (before, word) = (words[at - 1], words[at]);
        let part = parts.last_mut()?;
        let joined = is_one_of(before, &["and", "also", "then"]) && part.len() > 1;
        if !quoted && begins(part, before, word, joined) {
            while part.last().is_some_and(|word| is_one_of(word, &["and", "also", "then"])) {
                part.pop();
            }
            parts.push(vec![word]);
        } else {
            part.push(word);
        }
        quoted ^= word.matches(['"', '“', '”']).count() % 2 == 1;
    }
    let texts: Vec<String> = parts.iter().map(|words| finished(&words.join(" "))).collect();
    if texts.len() < 2 || telling(&texts[0]).next().is_none() {
        return None;
    }
    let subject = subject(&parts[0]);
    let mut whole = vec![texts[0].clone()];
    for (words, text) in parts.iter().zip(texts).skip(1) {
        let says_nothing = telling(&text).next().is_none();
        let person = words.iter().any(|word| is_one_of(word, PERSONS));
        let thing = words.iter().any(|word| is_one_of(word, THINGS));
        let lacks = !words.iter().skip(1).any(|word| named(word)) && words.iter().any(|word| is_one_of(word, &["the"]));
        whole.push(match &subject {
            _ if says_nothing => return None,
            // Who it is, the first part is still to say.
            _ if person && is_one_of(first, &["who", "whom", "whose", "which", "what"]) => return None,
            Some(subject) if person || thing || lacks => format!("{subject}: {}", lowered(&text)),
            None if person || thing => return None,
            Some(_) | None => text,
        });
    }
    Some(whole)
}

/// Whether a question of its own begins at `word`, after the words of `part`, the last of which is `before`.
fn begins(part: &[&str], before: &str, word: &str, joined: bool) -> bool {
    let ended = before.ends_with(['?', ';']);
    let paused = part.iter().rev().nth(1).is_some_and(|word| word.ends_with(','));
    // `the man who … and who …` goes on with the same thing.
    let related = unquoted(part).skip(1).any(|earlier| bare(earlier) == bare(word));
    if is_one_of(word, ASKING) {
        ended || joined && !related
    } else {
        is_one_of(word, DOING) && (ended || joined && paused)
    }
}

/// Words that stand in no quotation marks.
fn unquoted<'a>(words: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let mut quoted = false;
    words.iter().copied().filter(move |word| {
        let marks = word.matches(['"', '“', '”']).count();
        let inside = quoted || marks > 0;
        quoted ^= marks % 2 == 1;
        !inside
    })
}

fn named(word: &str) -> bool {
    word.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(|c: char| c.is_uppercase() || c.is_numeric())
}

/// The one name in a part, if there is just one.
fn subject(words: &[&str]) -> Option<String> {
    let text = words.join(" ");
    let names = super::names::of_question(&text);
    let longest = names.iter().max_by_key(|name| name.len())?;
    names.iter().all(|name| longest.contains(name.as_str())).then(|| longest.clone())
}

fn lowered(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_lowercase().collect()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}

/// A part as a question: a capital first and one mark last.
pub(super) fn finished(part: &str) -> String {
    let part = part.trim().trim_end_matches([',', ';', '?', ' ']);
    let mut chars = part.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}?", chars.as_str())
}

#[cfg(test)]
mod tests {
    use common_ground::{module::ModuleKind, run::PlanReason};

    use super::plan;

    fn questions(question: &str) -> Vec<String> {
        let plan = plan(question, 64);
        let answers = plan.modules.iter().filter(|module| module.kind == ModuleKind::Answer);
        answers.map(|module| module.question.clone()).collect()
    }

    #[test]
    fn conjunctions_split_when_their_parts_stand_alone() {
        let asked = "Who may pause a run, and what must be true before a module is accepted?";
        let made = plan(asked, 64);
        assert_eq!(made.reason, PlanReason::IndependentParts { parts: 2 });
        assert_eq!(questions(asked), ["Who may pause a run?", "What must be true before a module is accepted?"]);
        let merge = made.modules.last().expect("a last module");
        assert_eq!((merge.kind, merge.question.as_str()), (ModuleKind::Merge, asked));
        assert_eq!(merge.inputs, ["part-1", "part-2"]);
        for (asked, parts) in [
            (
                "What is a lease? Who holds a run? How is a receipt sealed?",
                &["What is a lease?", "Who holds a run?", "How is a receipt sealed?"][..],
            ),
            ("When does a lease end; how long is a run?", &["When does a lease end?", "How long is a run?"]),
            ("Is a run ever lost, and can a lease be renewed?", &["Is a run ever lost?", "Can a lease be renewed?"]),
            (
                "Who wrote \"What and when\" and when was Oslo founded?",
                &["Who wrote \"What and when\"?", "When was Oslo founded?"],
            ),
        ] {
            assert_eq!(questions(asked), parts, "{asked}");
        }
    }

    #[test]
    fn a_part_without_its_subject_is_given_it() {
        for (asked, second) in [
            ("When was Mozilla founded and what did it release first?", "Mozilla: what did it release first?"),
            ("Where is Mount Erebus, and how high is the summit?", "Mount Erebus: how high is the summit?"),
            ("Where is Mount Erebus, and how high is K2?", "How high is K2?"),
        ] {
            assert_eq!(questions(asked)[1], second);
        }
    }

    #[test]
    fn comparisons_split_by_side() {
        for (asked, sides) in [
            (
                "Were Scott Derrickson and Ed Wood of the same nationality?",
                &[
                    "Scott Derrickson: were Scott Derrickson of the same nationality?",
                    "Ed Wood: were Ed Wood of the same nationality?",
                ][..],
            ),
            (
                "Which magazine was started first, Arthur's Magazine or First for Women?",
                &[
                    "Arthur's Magazine: which magazine was started first?",
                    "First for Women: which magazine was started first?",
                ],
            ),
            (
                "Which case came first, Craig v. Boren or United States v. Paramount Pictures, Inc.?",
                &[
                    "Craig v. Boren: which case came first?",
                    "United States v. Paramount Pictures, Inc.: which case came first?",
                ],
            ),
            (
                "Who is older, J. R. R. Tolkien or C. S. Lewis?",
                &["J. R. R. Tolkien: who is older?", "C. S. Lewis: who is older?"],
            ),
            ("Are both Cypress and Ajuga genera?", &["Cypress: are Cypress genera?", "Ajuga: are Ajuga genera?"]),
            (
                "What do \"the night\" and \"a day\" have in common?",
                &[
                    "\"the night\": what do \"the night\" have in common?",
                    "\"a day\": what do \"a day\" have in common?",
                ],
            ),
        ] {
            assert_eq!(plan(asked, 64).reason, PlanReason::Comparison { sides: 2 }, "{asked}");
            assert_eq!(questions(asked), sides, "{asked}");
        }
        let three = "Which is the highest, Makalu, Manaslu or Lhotse?";
        assert_eq!(plan(three, 64).reason, PlanReason::Comparison { sides: 3 });
        assert_eq!(questions(three)[1], "Manaslu: which is the highest?");
    }

    #[test]
    fn everything_else_stays_one_module() {
        let long = format!("Why {}?", "is it so and how ".repeat(500_000));
        for question in [
            "Who is the spouse of the director of Jaws?",
            "When was the ledger made and what did it cost?",
            "Who wrote Dune and when did he die?",
            "Who wrote Dune and when?",
            "Who was the man who led and who fell?",
            "What do salt and pepper do?",
            "What type are Andrew and Jeremy Get Married and The Last Lions both?",
            "What is the motto of Oxford and Cambridge University Press?",
            "Wer darf einen Lauf anhalten und was kostet das?",
            "誰が実行を一時停止できますか?",
            "Кто и когда основал Москву?",
            "",
            "  ",
            "?",
            "and",
            "or , and or",
            "\"",
            long.as_str(),
        ] {
            let made = plan(question, 64);
            assert_eq!((made.reason, made.modules.len()), (PlanReason::Single, 1), "{question:.60}");
            assert_eq!(made.modules[0].question, question);
        }
        assert_eq!(plan("Who may pause a run, and what must be true before a module is accepted?", 2).modules.len(), 1);
        assert_eq!(plan("What is a? What is b? What is c?", 3).modules.len(), 1, "four modules are more than three");
    }
}
