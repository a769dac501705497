//! Words, their stems, and names in running text.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// Words that say nothing about what is asked.
const EMPTY: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "being",
    "both", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "his",
    "how", "if", "in", "into", "is", "it", "its", "may", "more", "most", "much", "many", "must", "of", "on", "one",
    "or", "other", "out", "same", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "to", "was", "were", "what", "when", "where", "which", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your", "s",
];

/// Whether a lower-case word says nothing about what is asked.
pub fn is_empty(word: &str) -> bool {
    EMPTY.binary_search_by(|known| known.cmp(&word)).is_ok() || EMPTY.contains(&word)
}

/// A word without its commonest English endings, so that forms of one word meet.
pub fn stem(word: &str) -> String {
    let mut word = word.to_lowercase();
    for (ending, instead, least) in [
        ("'s", "", 3),
        ("’s", "", 3),
        ("ies", "y", 5),
        ("sses", "ss", 5),
        ("ing", "", 6),
        ("ed", "", 5),
        ("es", "e", 5),
        ("s", "", 4),
    ] {
        if word.len() >= least && word.ends_with(ending) && !(ending == "s" && word.ends_with("ss")) {
            word.truncate(word.len() - ending.len());
            word.push_str(instead);
            break;
        }
    }
    if word.len() > 4 && word.ends_with('e') {
        word.pop();
    }
    word
}

/// Stems of the telling words of a text, each once.
pub fn terms(text: &str) -> BTreeSet<String> {
    text.unicode_words()
        .map(str::to_lowercase)
        .filter(|word| !is_empty(word))
        .map(|word| stem(&word))
        .filter(|stem| !stem.is_empty())
        .collect()
}

/// Names: runs of capitalised words (with `of`, `the`, `and` and the like inside), and what stands in quotation marks.
/// The first word of a sentence counts only when more of the name follows or it is no common word.
pub fn names(text: &str) -> Vec<String> {
    let mut names = quoted(text);
    let mut run: Vec<&str> = Vec::new();
    let mut joints: Vec<&str> = Vec::new();
    let mut first = true;
    for token in text.split_whitespace() {
        let core = token.trim_matches(|c: char| !c.is_alphanumeric() && c != '.');
        let core = core.trim_end_matches('.');
        let possessive = core.strip_suffix("'s").or_else(|| core.strip_suffix("’s"));
        let word = possessive.unwrap_or(core);
        let upper = word.chars().next().is_some_and(|c| c.is_uppercase() || c.is_numeric() && !run.is_empty());
        let common = first && is_empty(&word.to_lowercase());
        if upper && !common {
            run.append(&mut joints);
            run.push(word);
        } else if !run.is_empty()
            && joints.len() < 2
            && matches!(word, "of" | "the" | "de" | "van" | "von" | "del" | "la" | "and" | "&" | "for" | "in")
        {
            joints.push(word);
        } else {
            close(&mut names, &mut run, &mut joints);
        }
        first = token.ends_with(['.', '?', '!']);
        if possessive.is_some() || token.ends_with([',', ';', ':', '?', '!', ')', '"', '”']) || first && token.len() > 4
        {
            close(&mut names, &mut run, &mut joints);
        }
    }
    close(&mut names, &mut run, &mut joints);
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.to_lowercase()));
    names
}

fn close(names: &mut Vec<String>, run: &mut Vec<&str>, joints: &mut Vec<&str>) {
    joints.clear();
    let telling = run.iter().any(|word| word.chars().any(char::is_alphabetic) && !is_empty(&word.to_lowercase()));
    if telling {
        names.push(run.join(" "));
        // `A and B` may be one name or two.
        for half in run.split(|word| matches!(*word, "and" | "&")) {
            if half.len() < run.len() && !half.is_empty() {
                names.push(half.join(" "));
            }
        }
    }
    run.clear();
}

fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (open, shut) in [('"', '"'), ('“', '”')] {
        let mut rest = text;
        while let Some(start) = rest.find(open) {
            let after = &rest[start + open.len_utf8()..];
            let Some(end) = after.find(shut) else { break };
            let inner = after[..end].trim();
            if !inner.is_empty() && inner.len() <= 80 {
                found.push(inner.to_owned());
            }
            rest = &after[end + shut.len_utf8()..];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{names, stem, terms};

    #[test]
    fn forms_of_a_word_meet() {
        for (a, b) in [("accepted", "accept"), ("modules", "module"), ("countries", "country"), ("runs", "run")] {
            assert_eq!(stem(a), stem(b), "{a} {b}");
        }
        assert!(terms("Who may pause a run?").iter().eq(["paus", "run"]));
    }

    #[test]
    fn names_are_found_and_sentence_beginnings_are_not() {
        assert_eq!(
            names("Were Scott Derrickson and Ed Wood of the same nationality?"),
            ["Scott Derrickson and Ed Wood", "Scott Derrickson", "Ed Wood"]
        );
        assert_eq!(names("What is the University of Oxford's motto?"), ["University of Oxford"]);
        assert_eq!(names("Who wrote \"the old song\" in Paris?"), ["the old song", "Paris"]);
        assert!(names("What must be true?").is_empty());
    }
}
