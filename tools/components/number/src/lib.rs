//! Exact numbers: decimals and fractions in, decimals and fractions out, nothing lost between.
//!
//! **Invariant:** a number that is written and read again is the same number, unless the text says that it is rounded.

use num_bigint::BigInt;
use num_integer::Integer;
pub use num_rational::BigRational as Number;
use num_traits::{One, Signed, Zero};

/// Decimal places of a number that no decimal ends, where nobody says how many.
const PLACES: u32 = 12;
/// Most digits of an exponent's value: a longer number is nobody's.
const MOST_EXPONENT: i32 = 4_000;
/// Most characters of a number's text.
const MOST_TEXT: usize = 8_000;

/// Reads `12`, `-1_000.5`, `.5`, `6.02e23`; none for anything else.
pub fn parse(text: &str) -> Option<Number> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (negative, whole) = match whole.strip_prefix('-') {
        Some(whole) => (true, whole),
        None => (false, whole.strip_prefix('+').unwrap_or(whole)),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let has_digit = whole.bytes().chain(part.bytes()).any(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || !has_digit || whole.starts_with('_') || text.len() > MOST_TEXT {
        return None;
    }
    let part: String = part.chars().filter(|one| *one != '_').collect();
    let digits: String = whole.chars().filter(|one| *one != '_').chain(part.chars()).collect();
    let places = exponent.checked_sub(i32::try_from(part.len()).ok()?)?;
    if places.abs() > MOST_EXPONENT {
        return None;
    }
    let value = Number::from_integer(BigInt::parse_bytes(digits.as_bytes(), 10)?);
    let value = if places < 0 { value / ten(places.unsigned_abs()) } else { value * ten(places.unsigned_abs()) };
    Some(if negative { -value } else { value })
}

fn ten(power: u32) -> Number {
    Number::from_integer(BigInt::from(10).pow(power))
}

/// The exact text: a decimal where one ends, else a fraction and what it is about.
pub fn show(value: &Number) -> String {
    match places(value) {
        Some(places) => decimal(value, places),
        None => format!("{}/{} (about {})", value.numer(), value.denom(), rounded(value, PLACES)),
    }
}

/// The text with so many decimal places, halves away from zero.
pub fn rounded(value: &Number, places: u32) -> String {
    decimal(&round(value, places), places)
}

/// The nearest number with so many decimal places, halves away from zero.
pub fn round(value: &Number, places: u32) -> Number {
    let scale = ten(places);
    let half = Number::new(BigInt::one(), BigInt::from(2));
    let scaled = value.abs() * &scale + half;
    let near = scaled.floor() / scale;
    if value.is_negative() { -near } else { near }
}

/// How many decimal places it takes; none where none end it.
fn places(value: &Number) -> Option<u32> {
    let mut rest = value.denom().clone();
    let mut count = |prime: u8| {
        let (prime, mut many) = (BigInt::from(prime), 0_u32);
        while rest.is_multiple_of(&prime) {
            rest /= &prime;
            many += 1;
        }
        many
    };
    let (twos, fives) = (count(2), count(5));
    rest.is_one().then_some(twos.max(fives))
}

/// The text of a number that ends after so many places.
fn decimal(value: &Number, places: u32) -> String {
    let digits = (value.abs() * ten(places)).to_integer().to_string();
    let places = places as usize;
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let sign = if value.is_negative() && !value.is_zero() { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::{parse, rounded, show};

    #[test]
    fn text_to_text() {
        for (text, shown) in [
            ("12", "12"),
            ("-1_000.50", "-1000.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("6.02e23", "602000000000000000000000"),
            ("1e-3", "0.001"),
            ("-0", "0"),
            ("+7", "7"),
        ] {
            assert_eq!(show(&parse(text).expect(text)), shown);
        }
        for text in ["", ".", "-", "1.2.3", "1e", "1e99999", "a", "_1", "0x10", "NaN", "inf", "1,000"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_no_decimal_ends_is_a_fraction() {
        let third = parse("1").expect("one") / parse("3").expect("three");
        assert_eq!(show(&third), "1/3 (about 0.333333333333)");
        assert_eq!(rounded(&-third, 2), "-0.33");
        for (text, places, shown) in [("2.5", 0, "3"), ("-2.5", 0, "-3"), ("1.005", 2, "1.01"), ("7", 2, "7.00")] {
            assert_eq!(rounded(&parse(text).expect(text), places), shown);
        }
    }
}
