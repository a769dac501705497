//! What came of running the steps of one attempt again: a word a step, and how people and programs read it.

use common_ground::{AttemptNumber, repeat::Varies};
use receipts::{Digest, entry::Entry};
use serde_json::{Value, json};

/// An attempt whose steps were run again.
pub(super) struct Attempted {
    pub number: AttemptNumber,
    pub tree: Tree,
    pub rows: Vec<Row>,
}

/// Whether the journal still gives the tree that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// It does.
    Held,
    /// It does with what these entries give when they are run again, so the journal is other there.
    Mended(Vec<u64>),
    /// It does not, and nothing that was run again explains it.
    Other { signed: Option<Digest>, found: Digest },
    /// It cannot be built: why.
    Unbuilt(String),
}

/// A step or a verdict.
pub(super) struct Row {
    /// Which.
    pub what: What,
    /// Its place in the trace.
    pub entry: Option<u64>,
    pub found: Found,
}

/// What was run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A call, by the place of its step and the name of who was called.
    Step { step: usize, call: String },
    /// A finding on a criterion.
    Verdict { criterion: &'static str },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It gives what the trace has.
    Matched,
    /// It does not.
    Differs(Vec<Difference>),
    /// It may give something else each time.
    Varies(Varies),
    /// It would give the same, and was not run: why.
    Not(String),
}

/// One field of an entry that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub field: &'static str,
    /// What is right: by the signed trace, or where that is not known by running it again.
    pub expected: String,
    /// What is there instead.
    pub found: String,
    pub place: Place,
}

/// Where something stands that is not as the trace has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The step gave it when it was run again.
    Again,
    /// The journal has it.
    Journal,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Journal => "journal",
        }
    }
}

/// What an entry would be, made by running its step again.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// The whole entry.
    Entry(Entry),
    /// Only what it was asked, which is not what the journal says; so it was not run.
    Asked(Entry),
    Varies(Varies),
    Not(String),
}

/// The fields in which `there` is other than `right`.
pub(super) fn differences(right: &Entry, there: &Entry, place: Place) -> Vec<Difference> {
    let pairs = right.values().into_iter().zip(there.values());
    let other = pairs.filter(|((_, right), (_, there))| right != there);
    other
        .map(|((field, right), (_, there))| Difference {
            field,
            expected: spelled(&right),
            found: spelled(&there),
            place,
        })
        .collect()
}

/// A digest in hex, other values as the text that they are.
fn spelled(value: &[u8]) -> String {
    match (<[u8; 32]>::try_from(value), std::str::from_utf8(value)) {
        (Ok(digest), _) => Digest(digest).to_string(),
        (Err(_other), Ok(text)) => text.to_owned(),
        (Err(_other), Err(_binary)) => Digest::of(value).to_string(),
    }
}

/// What a step comes to, by what it gave and by the tree.
pub(super) fn judged(index: u64, journal: &Entry, given: Given, tree: &Tree) -> Found {
    let (entry, ran) = match given {
        Given::Entry(entry) => (entry, true),
        Given::Asked(entry) => (entry, false),
        Given::Varies(why) => return Found::Varies(why),
        Given::Not(why) => return Found::Not(why),
    };
    match tree {
        Tree::Mended(other) if other.contains(&index) => Found::Differs(differences(&entry, journal, Place::Journal)),
        Tree::Held | Tree::Mended(_) if ran => of(differences(journal, &entry, Place::Again)),
        // What it was asked is signed and not kept; this program asks something else.
        Tree::Held | Tree::Mended(_) => {
            Found::Not("its request is kept as a digest alone, and this version of ii would ask another one".to_owned())
        }
        Tree::Other { .. } | Tree::Unbuilt(_) => match of(differences(&entry, journal, Place::Journal)) {
            Found::Matched => Found::Not(
                "it gives what the journal has, and the journal no longer gives the tree that was signed".to_owned(),
            ),
            other => other,
        },
    }
}

fn of(differences: Vec<Difference>) -> Found {
    if differences.is_empty() { Found::Matched } else { Found::Differs(differences) }
}

impl Attempted {
    /// Whether nothing differs; `strict`: and nothing that is repeatable could not be repeated.
    pub fn holds(&self, strict: bool) -> bool {
        let tree = match &self.tree {
            Tree::Held => true,
            Tree::Mended(_) | Tree::Other { .. } => false,
            Tree::Unbuilt(_) => !strict,
        };
        tree && self.rows.iter().all(|row| match &row.found {
            Found::Matched | Found::Varies(_) => true,
            Found::Differs(_) => false,
            Found::Not(_) => !strict,
        })
    }

    /// Whether anything was run again and gave what was signed.
    pub fn matched(&self) -> bool {
        self.rows.iter().any(|row| row.found == Found::Matched)
    }

    fn count(&self, of: impl Fn(&Found) -> bool) -> usize {
        self.rows.iter().filter(|row| of(&row.found)).count()
    }

    /// The head line, then a line each row.
    pub fn lines(&self, module: &str) -> Vec<String> {
        let head = match (self.holds(false), self.holds(true), self.matched()) {
            (false, _, _) => "DIFFERS",
            (true, true, true) => "REPEATS",
            (true, true, false) => "NOTHING TO REPEAT",
            (true, false, true) => "REPEATS IN PART",
            (true, false, false) => "COULD NOT BE REPEATED",
        };
        let counts = [
            (self.count(|found| *found == Found::Matched), "matched"),
            (self.count(|found| matches!(found, Found::Differs(_))), "differ"),
            (self.count(|found| matches!(found, Found::Varies(_))), "not repeatable"),
            (self.count(|found| matches!(found, Found::Not(_))), "could not be repeated"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, word)| *count > 0 || *word == "matched")
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let mut lines = vec![format!("{head}  {module}, attempt {}: {}", self.number.0, counts.join(", "))];
        lines.extend(self.tree.line());
        lines.extend(self.rows.iter().flat_map(Row::lines));
        lines
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let steps: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({"attempt": self.number.0, "tree": self.tree.json(), "steps": steps})
    }
}

impl Tree {
    fn line(&self) -> Option<String> {
        match self {
            Self::Held => None,
            Self::Mended(_) => Some(
                "  the journal was altered; with what these steps give again it gives the tree that was signed"
                    .to_owned(),
            ),
            Self::Other { signed: Some(signed), found } => {
                Some(format!("  the journal was altered: it gives the root {found}, and {signed} was signed"))
            }
            Self::Other { signed: None, found } => {
                Some(format!("  the receipt names no such attempt; the journal gives it the root {found}"))
            }
            Self::Unbuilt(why) => Some(format!("  could not be repeated: {why}")),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Held => json!({"result": "held"}),
            Self::Mended(entries) => json!({"result": "altered", "entries": entries}),
            Self::Other { signed, found } => json!({"result": "altered", "expected": signed, "found": found}),
            Self::Unbuilt(why) => json!({"result": "not_built", "reason": why}),
        }
    }
}

impl Row {
    fn lines(&self) -> Vec<String> {
        let entry = self.entry.map_or_else(|| "-".to_owned(), |entry| entry.to_string());
        let what = match &self.what {
            What::Step { step, call } => format!("step {step}, entry {entry}, {call}"),
            What::Verdict { criterion } => format!("verdict, entry {entry}, {criterion}"),
        };
        match &self.found {
            Found::Matched => vec![format!("  matched  {what}")],
            Found::Varies(why) => vec![format!("  not repeatable  {what}: {why}")],
            Found::Not(why) => vec![format!("  could not be repeated  {what}: {why}")],
            Found::Differs(differences) => {
                let line = |one: &Difference| {
                    let Difference { field, expected, found, place } = one;
                    let place = match place {
                        Place::Again => "run again it is",
                        Place::Journal => "the journal has",
                    };
                    format!("  DIFFERS  {what}: {field} should be {expected}, and {place} {found}")
                };
                differences.iter().map(line).collect()
            }
        }
    }

    fn json(&self) -> Value {
        let mut row = match &self.what {
            What::Step { step, call } => json!({"step": step, "call": call}),
            What::Verdict { criterion } => json!({"verdict": criterion}),
        };
        row["entry"] = json!(self.entry);
        match &self.found {
            Found::Matched => row["result"] = json!("matched"),
            Found::Differs(differences) => {
                row["result"] = json!("differs");
                let rows = differences.iter().map(|one| {
                    json!({"field": one.field, "expected": one.expected, "found": one.found, "found_in": one.place.word()})
                });
                row["differences"] = rows.collect();
            }
            Found::Varies(why) => {
                row["result"] = json!("not_repeatable");
                row["because"] = json!(why.name());
                row["reason"] = json!(why.to_string());
            }
            Found::Not(why) => {
                row["result"] = json!("not_repeated");
                row["reason"] = json!(why);
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use common_ground::{AttemptNumber, repeat::Varies};
    use receipts::{Digest, PublicKey, entry::Entry};

    use super::{Attempted, Difference, Found, Given, Place, Row, Tree, What, differences, judged};

    fn finding(outcome: &str) -> Entry {
        let (subject, reason) = ("every-claim-cites".to_owned(), String::new());
        Entry::Decision { subject, outcome: outcome.to_owned(), by: PublicKey([1; 32]), reason }
    }

    fn differs(expected: &str, found: &str, place: Place) -> Found {
        let (expected, found) = (expected.to_owned(), found.to_owned());
        Found::Differs(vec![Difference { field: "outcome", expected, found, place }])
    }

    fn attempted(tree: Tree, found: Found) -> Attempted {
        let what = What::Verdict { criterion: "every-claim-cites" };
        Attempted { number: AttemptNumber(1), tree, rows: vec![Row { what, entry: Some(3), found }] }
    }

    #[test]
    fn what_is_right_is_what_was_signed() {
        let (journal, again) = (finding("passed"), finding("failed"));
        let other = || Tree::Other { signed: Some(Digest::of(b"a")), found: Digest::of(b"b") };
        let is = |given: Given, tree: Tree| judged(3, &journal, given, &tree);
        assert_eq!(is(Given::Entry(journal.clone()), Tree::Held), Found::Matched);
        // The journal is what was signed, so the step is wrong; or the step is what was signed, so the journal is.
        assert_eq!(is(Given::Entry(again.clone()), Tree::Held), differs("passed", "failed", Place::Again));
        assert_eq!(is(Given::Entry(again.clone()), Tree::Mended(vec![2])), differs("passed", "failed", Place::Again));
        assert_eq!(is(Given::Entry(again.clone()), Tree::Mended(vec![3])), differs("failed", "passed", Place::Journal));
        assert_eq!(is(Given::Entry(again.clone()), other()), differs("failed", "passed", Place::Journal));
        // Nothing matches what nobody knows.
        assert!(matches!(is(Given::Entry(journal.clone()), other()), Found::Not(_)));
        assert!(matches!(is(Given::Asked(again), Tree::Held), Found::Not(_)));
        assert_eq!(is(Given::Varies(Varies::Model), Tree::Held), Found::Varies(Varies::Model));
        assert!(differences(&journal, &journal, Place::Again).is_empty());
    }

    #[test]
    fn strict_wants_all_that_is_repeatable() {
        let not = || Found::Not("gone".to_owned());
        for (tree, found, usual, strict) in [
            (Tree::Held, Found::Matched, true, true),
            (Tree::Held, Found::Varies(Varies::Network), true, true),
            (Tree::Held, not(), true, false),
            (Tree::Held, differs("a", "b", Place::Again), false, false),
            (Tree::Mended(vec![1]), Found::Matched, false, false),
            (Tree::Other { signed: None, found: Digest::of(b"a") }, not(), false, false),
            (Tree::Unbuilt("gone".to_owned()), Found::Matched, true, false),
        ] {
            let one = attempted(tree, found);
            assert_eq!((one.holds(false), one.holds(true)), (usual, strict), "{:?}", one.lines("m"));
        }
    }

    #[test]
    fn nothing_repeats_where_nothing_was_run() {
        for (found, head) in [
            (Found::Matched, "REPEATS  m, attempt 1: 1 matched"),
            (Found::Varies(Varies::Model), "NOTHING TO REPEAT  m, attempt 1: 0 matched, 1 not repeatable"),
            (Found::Not("gone".to_owned()), "COULD NOT BE REPEATED  m, attempt 1: 0 matched, 1 could not be repeated"),
            (differs("a", "b", Place::Again), "DIFFERS  m, attempt 1: 0 matched, 1 differ"),
        ] {
            assert_eq!(attempted(Tree::Held, found).lines("m")[0], head);
        }
    }
}
