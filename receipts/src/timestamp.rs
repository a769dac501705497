//! Times as `YYYY-MM-DDTHH:MM:SS.mmmZ`, and nothing else.

use time::{OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem, macros::format_description};

const FORM: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time that does not fit the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time of the form YYYY-MM-DDTHH:MM:SS.mmmZ")]
pub struct NotATime {
    /// The text or number.
    pub text: String,
}

/// Text of a moment in milliseconds since the Unix epoch.
///
/// # Errors
/// A moment past the year 9999.
pub fn format_millis(ms: u64) -> Result<String, NotATime> {
    let refuse = || NotATime { text: ms.to_string() };
    let nanos = i128::from(ms) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_range| refuse())?;
    moment.format(FORM).map_err(|_format| refuse())
}

/// Milliseconds since the Unix epoch.
///
/// # Errors
/// Any other form, a time before 1970, a leap second.
pub fn parse_millis(text: &str) -> Result<u64, NotATime> {
    let refuse = || NotATime { text: text.to_owned() };
    let moment = PrimitiveDateTime::parse(text, FORM).map_err(|_form| refuse())?.assume_utc();
    let ms = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).map_err(|_negative| refuse())?;
    if format_millis(ms)? == text { Ok(ms) } else { Err(refuse()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{NotATime, format_millis, parse_millis};

    /// The last millisecond of the year 9999.
    const LAST: u64 = 253_402_300_799_999;

    #[test]
    fn text_and_number_are_one_to_one() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_000_000_123, "2026-11-18T11:06:40.123Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format_millis(ms).expect("in range"), text);
            assert_eq!(parse_millis(text).expect("a time"), ms);
        }
        for text in [
            "2026-11-18T11:06:40Z",
            "2026-11-18 11:06:40.123Z",
            "2026-11-18T11:06:40.123+00:00",
            "",
            "1969-12-31T23:59:59.999Z",
            "2026-13-01T00:00:00.000Z",
            "2026-02-29T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2016-12-31T23:59:60.000Z",
            "2026-11-18T11:06:40.12Z",
            "2026-11-18T11:06:40.1234Z",
            "2026-11-18t11:06:40.123z",
            "2026-11-18T11:06:40.123Z ",
            "+2026-11-18T11:06:40.123Z",
        ] {
            assert_eq!(parse_millis(text), Err(NotATime { text: text.to_owned() }));
        }
        for past in [LAST + 1, u64::MAX] {
            assert_eq!(format_millis(past), Err(NotATime { text: past.to_string() }));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_moment_round_trips_and_texts_sort_as_moments(one in 0..=LAST, other in 0..=LAST) {
            let (first, second) = (format_millis(one).expect("in range"), format_millis(other).expect("in range"));
            prop_assert_eq!(parse_millis(&first), Ok(one));
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
        }
    }
}
