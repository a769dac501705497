//! The plain part of regular expressions: an anchored run of character classes and characters, each with a count.

use super::grammar::ByteSet;

/// Characters of a set, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) set: ByteSet,
    pub(super) least: u32,
    pub(super) most: u32,
}

/// Most characters of a run without a bound of its own.
const MOST: u32 = 256;

/// The runs of a pattern like `^[0-9a-f]{64}$`; `None` for any other kind.
pub(super) fn runs(pattern: &str) -> Option<Vec<Run>> {
    let mut rest = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let mut runs = Vec::new();
    while let Some(first) = rest.chars().next() {
        let set;
        (set, rest) = match first {
            '[' => class(&rest[1..])?,
            '\\' => (escape(rest[1..].chars().next()?)?, rest.get(2..)?),
            '(' | ')' | '|' | '.' | '*' | '+' | '?' | '{' | '^' | '$' => return None,
            plain => (single(plain)?, &rest[1..]),
        };
        let (least, most);
        (least, most, rest) = quantity(rest)?;
        runs.push(Run { set, least, most });
    }
    Some(runs)
}

/// Only characters that a JSON string holds as they are.
fn single(character: char) -> Option<ByteSet> {
    let byte = u8::try_from(character).ok().filter(|byte| (0x20..0x7F).contains(byte) && !b"\"\\".contains(byte))?;
    let mut set = ByteSet::default();
    set.insert(byte);
    Some(set)
}

fn escape(character: char) -> Option<ByteSet> {
    let fits: fn(u8) -> bool = match character {
        'd' => |byte| byte.is_ascii_digit(),
        'w' => |byte| byte.is_ascii_alphanumeric() || byte == b'_',
        punctuation if punctuation.is_ascii_punctuation() => return single(punctuation),
        _other => return None,
    };
    let mut set = ByteSet::default();
    (0..0x80).filter(|byte| fits(*byte)).for_each(|byte| set.insert(byte));
    Some(set)
}

/// After `[`: the set and what follows `]`.
fn class(text: &str) -> Option<(ByteSet, &str)> {
    let (inside, rest) = text.split_once(']')?;
    if inside.starts_with('^') || inside.contains(['\\', '[']) || !inside.is_ascii() {
        return None;
    }
    let bytes = inside.as_bytes();
    let mut set = ByteSet::default();
    let mut at = 0;
    while at < bytes.len() {
        let (low, high) = match bytes.get(at + 1..at + 3) {
            Some([b'-', high]) => (bytes[at], *high),
            Some(_) | None => (bytes[at], bytes[at]),
        };
        at += if low == high && bytes.get(at + 1) != Some(&b'-') { 1 } else { 3 };
        for byte in low..=high {
            single(char::from(byte))?;
            set.insert(byte);
        }
    }
    (!set.is_empty()).then_some((set, rest))
}

fn quantity(text: &str) -> Option<(u32, u32, &str)> {
    match text.chars().next() {
        Some('*') => Some((0, MOST, &text[1..])),
        Some('+') => Some((1, MOST, &text[1..])),
        Some('?') => Some((0, 1, &text[1..])),
        Some('{') => {
            let (count, rest) = text[1..].split_once('}')?;
            let (least, most) = count.split_once(',').unwrap_or((count, count));
            let least: u32 = least.parse().ok()?;
            let most = if most.is_empty() { MOST.max(least) } else { most.parse().ok()? };
            (least <= most).then_some((least, most, rest))
        }
        Some(_) | None => Some((1, 1, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::runs;

    #[test]
    fn a_plain_pattern_is_read_and_any_other_is_left() {
        let counts =
            |pattern| runs(pattern).map(|runs| runs.iter().map(|run| (run.least, run.most)).collect::<Vec<_>>());
        assert_eq!(counts("^[0-9a-f]{64}$"), Some(vec![(64, 64)]));
        assert_eq!(counts(r"^[a-z][a-z0-9_-]*\d?x{2,}$"), Some(vec![(1, 1), (0, 256), (0, 1), (2, 256)]));
        let hex = runs("^[0-9a-f]$").expect("plain")[0].set;
        assert!(hex.contains(b'a') && hex.contains(b'9') && !hex.contains(b'g') && !hex.contains(b'A'));
        for other in ["[a]", "^(a|b)$", "^.$", "^[^a]$", "^a{2$", "^[a$", "^é$", "^[\"]$", "^a{3,2}$", r"^\s$"] {
            assert_eq!(counts(other), None, "{other}");
        }
    }
}
