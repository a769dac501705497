//! What is known of a document beside its words: where it comes from, under which licence, of which revision, in which
//! language, of which day.
//!
//! **Invariant:** what a document says of itself goes before what the caller says of all of them.
//! **Invariant:** each value is one short line: a document cannot write to a terminal or fill a screen through it.

use serde::{Deserialize, Serialize};

/// What is known of a document. All of it may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Where it can be found: a URL, or a path.
    pub source: Option<String>,
    /// Its licence, as it is named there.
    pub licence: Option<String>,
    /// Which revision of it this is, as its source counts them.
    pub revision: Option<String>,
    /// Its language: the primary subtag of BCP 47, lower case.
    pub language: Option<String>,
    /// Its date, as it is written there.
    pub date: Option<String>,
}

impl Metadata {
    /// This, and what `other` knows beyond it.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let or = |mine: Option<String>, theirs: &Option<String>| mine.or_else(|| theirs.clone());
        Self {
            source: or(self.source, &other.source),
            licence: or(self.licence, &other.licence),
            revision: or(self.revision, &other.revision),
            language: or(self.language, &other.language),
            date: or(self.date, &other.date),
        }
    }

    /// Whether each value is one line, and not a long one beyond what a path adds to a source.
    pub(crate) fn is_clean(&self) -> bool {
        let Self { source, licence, revision, language, date } = self;
        let mut values = [source, licence, revision, language, date].into_iter().flatten();
        values.all(|value| !value.chars().any(char::is_control) && value.len() <= 32 * LONGEST)
    }

    /// Takes a value under one of the names that documents use; other names are nothing to us.
    pub(crate) fn take(&mut self, name: &str, value: &str) {
        let place = match name.to_ascii_lowercase().as_str() {
            "license" | "licence" | "rights" => &mut self.licence,
            "lang" | "language" => {
                self.language = self.language.take().or_else(|| language(value));
                return;
            }
            "date" | "published" | "created" => &mut self.date,
            "source" | "url" | "canonical" => &mut self.source,
            "revision" | "version" => &mut self.revision,
            _other => return,
        };
        if place.is_none() {
            *place = line(value);
        }
    }
}

/// The longest value kept.
const LONGEST: usize = 500;

/// One short line of a value; none when it is blank.
pub(crate) fn line(value: &str) -> Option<String> {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = value.chars().map(plain).collect();
    let mut words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut end = words.len().min(LONGEST);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words.truncate(end);
    (!words.is_empty()).then_some(words)
}

/// The primary subtag of a language tag, in two letters where there are two; none for what is no tag.
pub fn language(tag: &str) -> Option<String> {
    let primary = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let tag = matches!(primary.len(), 2 | 3) && primary.bytes().all(|b| b.is_ascii_lowercase());
    tag.then(|| {
        TWO_LETTERS.iter().find(|(three, _two)| *three == primary).map_or(primary, |(_, two)| (*two).to_owned())
    })
}

/// What of a text is looked at to tell its language; more tells no better and takes its time.
const SAMPLE: usize = 600;

/// English words that no other language writes so, or that come far more often in English.
const ENGLISH: &[&str] = &[
    "the", "of", "and", "to", "is", "that", "with", "was", "for", "which", "are", "by", "from", "this", "it", "be",
    "not", "have", "has", "were", "been", "their", "they", "would",
];

/// Whether a text is English beyond doubt: a quarter of its words are those. Trigrams tell the rest, at a thousand times
/// the work.
fn is_english(sample: &str) -> bool {
    let (mut all, mut english) = (0, 0);
    for word in sample.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        all += 1;
        english += usize::from(ENGLISH.iter().any(|one| one.eq_ignore_ascii_case(word)));
    }
    all >= 20 && english * 4 >= all
}

/// The language that a text is in, where its letters tell it well enough.
pub(crate) fn detected(text: &str) -> Option<String> {
    let mut end = text.len().min(SAMPLE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if is_english(&text[..end]) {
        return Some("en".to_owned());
    }
    let found = whatlang::detect(&text[..end]).filter(whatlang::Info::is_reliable)?;
    language(found.lang().code())
}

/// ISO 639-3 to 639-1, of the languages that are told by their letters.
const TWO_LETTERS: &[(&str, &str)] = &[
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "no"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zho", "zh"),
    ("zul", "zu"),
];

/// What the caller of an ingest says of all its documents, and how it reads records. Kept with the collection, so that
/// an ingest without it goes on as the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Source, licence and language of documents that do not say their own. A source that ends with `/` is where the
    /// folder is found: paths are put behind it.
    pub metadata: Metadata,
    /// Where records of JSON keep what is read of them.
    pub fields: Fields,
}

/// The members of a JSON record that are read, each by the first of its names that the record has. A dot leads into a
/// member: `meta.url`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// What names the record in its file.
    pub id: Vec<String>,
    /// Its title.
    pub title: Vec<String>,
    /// Its text: a string, or a list of strings.
    pub text: Vec<String>,
    /// Where it comes from.
    pub source: Vec<String>,
    /// Its licence.
    pub licence: Vec<String>,
    /// Its language.
    pub language: Vec<String>,
    /// Its date.
    pub date: Vec<String>,
    /// Its revision.
    pub revision: Vec<String>,
}

impl Default for Fields {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            id: names(&["_id", "id"]),
            title: names(&["title"]),
            text: names(&["text", "content", "body", "contents"]),
            source: names(&["source", "url", "uri"]),
            licence: names(&["licence", "license"]),
            language: names(&["language", "lang"]),
            date: names(&["date", "published", "timestamp", "created"]),
            revision: names(&["revision", "revid", "version"]),
        }
    }
}

impl Fields {
    /// Puts `name` before the usual names of a field; false when there is no such field.
    pub fn set(&mut self, field: &str, name: &str) -> bool {
        let names = match field {
            "id" => &mut self.id,
            "title" => &mut self.title,
            "text" => &mut self.text,
            "source" | "url" => &mut self.source,
            "licence" | "license" => &mut self.licence,
            "language" | "lang" => &mut self.language,
            "date" => &mut self.date,
            "revision" => &mut self.revision,
            _other => return false,
        };
        names.insert(0, name.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Metadata, detected, is_english, language};

    #[test]
    fn values_are_one_short_line_and_the_first_one_stays() {
        let mut found = Metadata::default();
        found.take("License", " CC\u{1b}[2J BY\n4.0 ");
        found.take("licence", "other");
        found.take("rights", &"x".repeat(9_000));
        found.take("date", &"é".repeat(9_000));
        found.take("colour", "red");
        assert_eq!(found.licence.as_deref(), Some("CC [2J BY 4.0"));
        assert_eq!(found.date.as_deref(), Some("é".repeat(250).as_str()));
        let all = Metadata { licence: Some("MIT".to_owned()), source: Some("here".to_owned()), ..Metadata::default() };
        let both = found.or(&all);
        assert_eq!((both.licence.as_deref(), both.source.as_deref()), (Some("CC [2J BY 4.0"), Some("here")));
    }

    #[test]
    fn languages_are_primary_subtags_in_two_letters() {
        for (tag, primary) in [("en-US", "en"), ("DEU", "de"), ("zh_Hans", "zh"), ("gsw", "gsw")] {
            assert_eq!(language(tag).as_deref(), Some(primary));
        }
        for tag in ["", "english", "x", "e1", "日本"] {
            assert_eq!(language(tag), None, "{tag}");
        }
        let german = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand hat etwas dagegen gesagt.";
        assert_eq!(detected(german).as_deref(), Some("de"));
        assert_eq!(detected("これは日本語の文章です。とても短いですが、十分です。").as_deref(), Some("ja"));
        assert_eq!(detected("x1 y2"), None);
        let english =
            "It is the first of the things that were said by them, and it was not the last of those which are known.";
        assert_eq!(detected(english).as_deref(), Some("en"));
        assert!(is_english(english) && !is_english(german) && !is_english("the of and to is"));
    }
}
