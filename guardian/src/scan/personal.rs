//! Personal numbers that prove themselves: cards by Luhn, accounts by ISO 7064, social security numbers by their ranges.
//!
//! Names, addresses and telephone numbers are not looked for: nothing in them tells them from other text, and a rule that
//! cries at each is a rule nobody reads.

use super::Kind;

/// Looks at what begins before `decided`; says place and kind.
pub(super) fn look(text: &[u8], decided: usize, hit: &mut impl FnMut(usize, Kind)) {
    let mut at = 0;
    while at < decided {
        let byte = text[at];
        let begins = at == 0 || !text[at - 1].is_ascii_alphanumeric();
        if byte.is_ascii_digit() && begins && !is_decimal(text, at) {
            let Some(end) = number_end(text, at) else {
                at = row_end(text, at);
                continue;
            };
            if let Some(kind) = kind_of_number(&text[at..end], text.get(end).copied()) {
                hit(at, kind);
            }
            at = end.max(at + 1);
            continue;
        }
        if byte.is_ascii_uppercase() && begins && is_account(&text[at..]) {
            hit(at, Kind::BankAccount);
        }
        at += 1;
    }
}

/// Whether the digits at this place stand behind a point or a sign: parts of other numbers.
fn is_decimal(text: &[u8], at: usize) -> bool {
    at > 1 && matches!(text[at - 1], b'.' | b',' | b'-' | b'/' | b':') && text[at - 2].is_ascii_digit()
}

/// Most digits and signs that are looked at as one number.
const LONGEST: usize = 40;

/// One past the last digit of a row of digits with single blanks or hyphens between them.
fn row_end(text: &[u8], from: usize) -> usize {
    let mut end = from;
    while end < text.len() {
        let follows = text.get(end + 1).is_some_and(u8::is_ascii_digit);
        match text[end] {
            byte if byte.is_ascii_digit() => end += 1,
            b' ' | b'-' if follows && text[end - 1].is_ascii_digit() => end += 1,
            _other => break,
        }
    }
    end
}

/// The end of a row that can be one number; none for a longer row, which is a table or a constant.
fn number_end(text: &[u8], from: usize) -> Option<usize> {
    let end = row_end(&text[..text.len().min(from + LONGEST + 1)], from);
    (end - from <= LONGEST).then_some(end)
}

fn kind_of_number(number: &[u8], next: Option<u8>) -> Option<Kind> {
    if next.is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let groups: Vec<&[u8]> = number.split(|byte| !byte.is_ascii_digit()).collect();
    let digits: Vec<u8> = number.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    if is_card(&digits, &groups) {
        return Some(Kind::Card);
    }
    let is_hyphenated = number.iter().filter(|byte| **byte == b'-').count() == 2;
    (is_hyphenated && is_social_security(&groups)).then_some(Kind::SocialSecurity)
}

/// Lengths and first digits of the great issuers, grouped as cards are printed or not at all, and the check digit.
fn is_card(digits: &[u8], groups: &[&[u8]]) -> bool {
    let number = |count: usize| digits.iter().take(count).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let issuer = match digits.len() {
        13 | 19 => number(1) == 4,
        15 => matches!(number(2), 34 | 37),
        16 => {
            number(1) == 4 || matches!(number(2), 51..=55 | 65) || matches!(number(4), 2221..=2720 | 6011 | 3528..=3589)
        }
        _other => false,
    };
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let printed = matches!(lengths.as_slice(), [_] | [4, 4, 4, 4] | [4, 6, 5] | [4, 4, 4, 4, 3]);
    let varied = digits.iter().any(|digit| *digit != digits[0]);
    issuer && printed && varied && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(if place % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// Three, two and four digits in the ranges that are given out; none of them all zeros.
fn is_social_security(groups: &[&[u8]]) -> bool {
    let [area, group, serial] = groups else { return false };
    let number = |digits: &[u8]| digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let given = !matches!(number(area), 0 | 666 | 900..) && number(group) > 0 && number(serial) > 0;
    (area.len(), group.len(), serial.len()) == (3, 2, 4) && given
}

/// Lengths of account numbers by country, ISO 13616.
const COUNTRIES: &[(&[u8; 2], usize)] = &[
    (b"AT", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"CH", 21),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"EE", 20),
    (b"ES", 24),
    (b"FI", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GR", 27),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IS", 26),
    (b"IT", 27),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PL", 28),
    (b"PT", 25),
    (b"RO", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"TR", 26),
];

/// Whether the text begins with an account number of its country's length whose remainder by 97 is 1.
fn is_account(text: &[u8]) -> bool {
    let Some(head) = text.get(..4) else { return false };
    if !head[2..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let Some((_, length)) = COUNTRIES.iter().find(|(country, _)| **country == head[..2]) else { return false };
    let mut characters: Vec<u8> = Vec::with_capacity(34);
    let mut read = 0;
    for byte in text.iter().take(length + length / 4) {
        match byte {
            byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => characters.push(*byte),
            b' ' if characters.len().is_multiple_of(4) => {}
            _other => break,
        }
        read += 1;
        if characters.len() == *length {
            break;
        }
    }
    let ends = text.get(read).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    characters.len() == *length && ends && remainder(&characters) == 1
}

/// ISO 7064 MOD 97-10 of the number with its first four characters behind the others.
fn remainder(characters: &[u8]) -> u32 {
    let (head, tail) = characters.split_at(4);
    tail.iter().chain(head).fold(0, |sum, byte| {
        if byte.is_ascii_digit() {
            (sum * 10 + u32::from(byte - b'0')) % 97
        } else {
            (sum * 100 + u32::from(byte - b'A') + 10) % 97
        }
    })
}
