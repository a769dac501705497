//! Which documents a search looks at.
//!
//! **Invariant:** a filter is applied while the index is read, not to what came out of it: the first ten of the documents
//! that fit are the first ten, however few fit.

use std::collections::{BTreeMap, BTreeSet};

use common_ground::port::index::Filter;
use receipts::Digest;

use crate::{metadata::language, store::Searched};

/// A filter made ready.
pub(crate) struct Fits<'a> {
    filter: &'a Filter,
    languages: BTreeSet<String>,
    /// The first and the last day.
    days: (Option<String>, Option<String>),
}

impl<'a> Fits<'a> {
    /// Reads a filter; what is no date is given back.
    pub(crate) fn of(filter: &'a Filter) -> Result<Self, String> {
        let read = |date: &Option<String>| date.as_ref().map(|date| days(date).ok_or_else(|| date.clone())).transpose();
        let (since, until) = (read(&filter.since)?, read(&filter.until)?);
        // What is no language is that of no document.
        let languages = filter.languages.iter().map(|tag| language(tag).unwrap_or_default()).collect();
        Ok(Self { filter, languages, days: (since.map(|(first, _)| first), until.map(|(_, last)| last)) })
    }

    /// The documents whose passages are searched: of those with one text the first, if one of them fits.
    pub(crate) fn among(&self, documents: &[Searched]) -> Allowed {
        let mut firsts: BTreeMap<Digest, (u64, bool)> = BTreeMap::new();
        for document in documents {
            let (_first, fits) = firsts.entry(document.text).or_insert((document.id, false));
            *fits |= self.document(document);
        }
        Allowed::of(firsts.into_values().filter(|(_, fits)| *fits).map(|(first, _)| first))
    }

    fn document(&self, document: &Searched) -> bool {
        let known = &document.metadata;
        let any = |list: &[String], fits: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(fits);
        let source = |from: &String| {
            document.path.starts_with(from.as_str())
                || known.source.as_ref().is_some_and(|source| source.starts_with(from.as_str()))
        };
        let licence = |name: &String| known.licence.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(name));
        let dated = |fits: &dyn Fn(&str) -> bool| known.date.as_deref().is_some_and(fits);
        let (first, last) = &self.days;
        // A date may go on with a time, and may be a year: its first day must not be too late, its last not too early.
        let span = |date: &str| days(date.get(..10).unwrap_or(date)).or_else(|| days(date.get(..4)?));
        let since = |first: &String| dated(&|date| span(date).is_some_and(|(_, end)| end >= *first));
        let until = |last: &String| dated(&|date| span(date).is_some_and(|(begin, _)| begin <= *last));
        any(&self.filter.sources, &source)
            && any(&self.filter.licences, &licence)
            && (self.languages.is_empty() || known.language.as_ref().is_some_and(|own| self.languages.contains(own)))
            && first.as_ref().is_none_or(since)
            && last.as_ref().is_none_or(until)
    }
}

/// The documents allowed.
#[derive(Clone, Debug)]
pub(crate) enum Allowed {
    /// All of them.
    All,
    /// Those whose bit is set.
    Some(Vec<u64>),
}

impl Allowed {
    /// These documents.
    pub(crate) fn of(documents: impl IntoIterator<Item = u64>) -> Self {
        let mut bits = Vec::new();
        for document in documents {
            let Ok(word) = usize::try_from(document / 64) else { continue };
            if word >= bits.len() {
                bits.resize(word + 1, 0);
            }
            bits[word] |= 1 << (document % 64);
        }
        Self::Some(bits)
    }

    /// Their rows, in order; none where it is all of them.
    pub(crate) fn rows(&self) -> Option<Vec<u64>> {
        let Self::Some(bits) = self else { return None };
        let words = (0_u64..).step_by(64).zip(bits);
        Some(
            words
                .flat_map(|(first, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit))
                .collect(),
        )
    }

    /// Whether a document is one of them.
    pub(crate) fn document(&self, document: u64) -> bool {
        match self {
            Self::All => true,
            Self::Some(bits) => usize::try_from(document / 64)
                .ok()
                .and_then(|word| bits.get(word))
                .is_some_and(|word| word >> (document % 64) & 1 == 1),
        }
    }
}

/// The first and the last day of a date of a year, a month or a day, as text that compares like dates.
pub(crate) fn days(date: &str) -> Option<(String, String)> {
    let digits = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = date.split('-').collect();
    match parts.as_slice() {
        [year] if digits(year, 4) => Some((format!("{year}-01-01"), format!("{year}-12-31"))),
        [year, month] if digits(year, 4) && digits(month, 2) => {
            // As text, no day of the month comes after its 31st.
            Some((format!("{year}-{month}-01"), format!("{year}-{month}-31")))
        }
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            Some((date.to_owned(), date.to_owned()))
        }
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, days};

    #[test]
    fn documents_are_told_apart() {
        let some = Allowed::of([0, 63, 64, 1000]);
        let found: Vec<u64> = (0..1100).filter(|document| some.document(*document)).collect();
        assert_eq!(found, [0, 63, 64, 1000]);
        assert_eq!((some.rows(), Allowed::of([]).rows(), Allowed::All.rows()), (Some(found), Some(Vec::new()), None));
        assert!(Allowed::All.document(u64::MAX) && !some.document(u64::MAX) && !Allowed::of([]).document(0));
    }

    #[test]
    fn a_date_may_be_a_year() {
        let day = |text: &str| days(text).map(|(first, last)| format!("{first} {last}"));
        assert_eq!(day("2024").as_deref(), Some("2024-01-01 2024-12-31"));
        assert_eq!(day("2024-02").as_deref(), Some("2024-02-01 2024-02-31"));
        assert_eq!(day("2024-02-03").as_deref(), Some("2024-02-03 2024-02-03"));
        for wrong in ["", "24", "2024-2", "2024-02-03-04", "yesterday"] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
    }
}
