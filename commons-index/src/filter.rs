//! Which documents a search looks at.
//!
//! **Invariant:** a filter is applied while the index is read, not to what came out of it: the first ten of the documents
//! that fit are the first ten, however few fit.

use common_ground::port::index::Filter;

use crate::store::Live;

/// A filter made ready.
pub(crate) struct Fits<'a> {
    filter: &'a Filter,
}

impl<'a> Fits<'a> {
    /// Reads a filter; what is no date is given back.
    pub(crate) fn of(filter: &'a Filter) -> Result<Self, String> {
        for date in filter.since.iter().chain(&filter.until) {
            days(date).ok_or_else(|| date.clone())?;
        }
        Ok(Self { filter })
    }

    /// Whether a document fits.
    pub(crate) fn document(&self, live: &Live) -> bool {
        let sources = &self.filter.sources;
        sources.is_empty() || sources.iter().any(|source| live.path.starts_with(source.as_str()))
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
