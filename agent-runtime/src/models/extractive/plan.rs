//! Planning by the question's grammar: one module, unless parts stand side by side.

use common_ground::{module::ModuleKind, run::PlanReason};

use super::{
    names,
    words::{is_empty, terms},
};
use crate::roles::talk::{Plan, PlannedModule};

/// Words that begin a question of its own.
const ASKING: &[&str] = &[
    "who", "whom", "whose", "what", "when", "where", "which", "why", "how", "is", "are", "was", "were", "does", "do",
    "did", "can", "may", "must", "should",
];
/// Words by which a part leans on what was said before.
const LEANING: &[&str] = &[
    "it", "its", "he", "his", "him", "she", "her", "they", "their", "them", "this", "that", "these", "those", "there",
];
/// Words that set things side by side.
const COMPARING: &[&str] = &[
    "both",
    "same",
    "common",
    "older",
    "younger",
    "larger",
    "smaller",
    "bigger",
    "taller",
    "longer",
    "shorter",
    "earlier",
    "later",
    "first",
    "last",
    "more",
    "less",
    "fewer",
    "higher",
    "lower",
    "closer",
    "nearer",
    "oldest",
    "youngest",
    "born",
    "died",
    "different",
    "similar",
    "share",
    "between",
    "greater",
    "newer",
    "faster",
    "better",
];
/// The longest question whose grammar is looked at, in bytes; longer ones stay one module.
const LONGEST: usize = 2_000;

/// The plan for a question.
pub(super) fn plan(question: &str, most: u32) -> Plan {
    if question.len() <= LONGEST && most >= 3 {
        let parts = parts(question);
        if parts.len() >= 2 && parts.len() < most as usize {
            let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
            return split(question, parts, PlanReason::IndependentParts { parts: count });
        }
        let sides = sides(question);
        if sides.len() == 2 {
            return split(question, sides, PlanReason::Comparison { sides: 2 });
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

/// Questions joined by a conjunction or set one after the other, when none leans on another; else nothing.
fn parts(question: &str) -> Vec<String> {
    let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
    let words: Vec<&str> = question.split_whitespace().collect();
    let asks = |word: Option<&&str>| word.is_some_and(|word| ASKING.contains(&bare(word).as_str()));
    let mut at = 0;
    while at < words.len() {
        let word = words[at];
        let joint = matches!(bare(word).as_str(), "and" | "also" | "then") && !word.ends_with(['.', '?']);
        let begins_anew = at > 0 && words[at - 1].ends_with(['?', ';']);
        if joint && at > 0 && asks(words.get(at + 1)) && interrogative(words[at + 1]) {
            parts.push(Vec::new());
        } else {
            if begins_anew && asks(words.get(at)) {
                parts.push(Vec::new());
            }
            if let Some(part) = parts.last_mut() {
                part.push(word);
            }
        }
        at += 1;
    }
    let texts: Vec<String> = parts.iter().map(|words| finished(&words.join(" "))).collect();
    let stands = |text: &String| {
        !terms(text).is_empty() && !text.split_whitespace().any(|word| LEANING.contains(&bare(word).as_str()))
    };
    let first_asks = parts.first().is_some_and(|words| asks(words.first()));
    if texts.len() >= 2 && first_asks && texts.iter().skip(1).all(stands) && !terms(&texts[0]).is_empty() {
        texts
    } else {
        Vec::new()
    }
}

/// After `and`, only a wh-word surely begins a new question: `A and is B` may be one predicate.
fn interrogative(word: &str) -> bool {
    bare(word).starts_with("wh") || bare(word) == "how"
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

fn finished(part: &str) -> String {
    let part = part.trim().trim_end_matches([',', ';', '?', '.']).trim();
    let mut chars = part.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}?", chars.as_str())
}

/// One question a side, when the question sets two named things side by side; else nothing.
fn sides(question: &str) -> Vec<String> {
    let compares = question.split_whitespace().any(|word| COMPARING.contains(&bare(word).as_str()));
    if !compares {
        return Vec::new();
    }
    for (joint, first) in [(" and ", 0), (" or ", 0), (", ", 0)] {
        let mut from = first;
        while let Some(found) = question[from..].find(joint) {
            let at = from + found;
            let (left, right) = (&question[..at], &question[at + joint.len()..]);
            let left = left.trim_end_matches(',');
            if let (Some(a), Some(b)) = (last_name(left), first_name(right)) {
                return vec![side(question, &a, &b), side(question, &b, &a)];
            }
            from = at + joint.len();
        }
    }
    Vec::new()
}

/// A name that ends the text.
fn last_name(text: &str) -> Option<String> {
    let clean = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    names::of_question(text).into_iter().filter(|name| clean.ends_with(name.as_str())).max_by_key(String::len)
}

/// A name that begins the text.
fn first_name(text: &str) -> Option<String> {
    let clean = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let clean = clean.strip_prefix("the ").unwrap_or(clean);
    names::of_question(text)
        .into_iter()
        .filter(|name| clean.starts_with(name.as_str()) && !is_empty(&name.to_lowercase()))
        .max_by_key(String::len)
}

/// The question about one side alone.
fn side(question: &str, keep: &str, drop: &str) -> String {
    let rest = question.replacen(drop, "", 1);
    let rest: Vec<&str> =
        rest.split_whitespace().filter(|word| !matches!(bare(word).as_str(), "and" | "or" | "both")).collect();
    format!("{keep}: {}", rest.join(" "))
}

#[cfg(test)]
mod tests {
    use common_ground::run::PlanReason;

    use super::plan;

    #[test]
    fn conjunctions_split_when_their_parts_stand_alone() {
        let made = plan("Who may pause a run, and what must be true before a module is accepted?", 64);
        assert_eq!(made.reason, PlanReason::IndependentParts { parts: 2 });
        let questions: Vec<&str> = made.modules.iter().map(|module| &*module.question).collect();
        assert_eq!(questions[..2], ["Who may pause a run?", "What must be true before a module is accepted?"]);
        assert_eq!(made.modules[2].inputs, ["part-1", "part-2"]);
        let five = plan(
            "What is a lease? Who holds a run? How is a receipt sealed? Where are keys kept? What is a nullifier?",
            64,
        );
        assert_eq!(five.reason, PlanReason::IndependentParts { parts: 5 });
    }

    #[test]
    fn comparisons_split_by_side() {
        for question in [
            "Were Scott Derrickson and Ed Wood of the same nationality?",
            "Which magazine was started first, Arthur's Magazine or First for Women?",
            "Who is older, Annie Morton or Terry Richardson?",
            "Are both Cypress and Ajuga genera?",
        ] {
            let made = plan(question, 64);
            assert_eq!(made.reason, PlanReason::Comparison { sides: 2 }, "{question}: {made:?}");
        }
    }

    #[test]
    fn everything_else_stays_one_module() {
        let long = format!("Why {}?", "is it so and how ".repeat(500_000));
        for question in [
            "Who is the spouse of the director of Jaws?",
            "When was the ledger made and what did it cost?",
            "What do salt and pepper do?",
            "Wer darf einen Lauf anhalten?",
            "誰が実行を一時停止できますか?",
            "?",
            "and",
            long.as_str(),
        ] {
            let made = plan(question, 64);
            assert_eq!((made.reason, made.modules.len()), (PlanReason::Single, 1), "{:.60}", question);
        }
        assert_eq!(plan("Who may pause a run, and what must be true before a module is accepted?", 2).modules.len(), 1);
    }
}
