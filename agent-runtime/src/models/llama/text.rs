//! The bytes of a JSON string: which may come next, so that it is valid UTF-8 and each escape is whole.

/// Where in a string one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CharacterPhase {
    /// Before the opening quote.
    Open,
    /// Inside a character of which this many bytes are missing; the next one lies in the range.
    Rest { missing: u8, low: u8, high: u8 },
    /// After a backslash.
    Escape,
    /// In `\u`, this many digits missing; after a first `d` the next makes no half of a surrogate pair.
    Hex { missing: u8, surrogate: bool },
    /// After the closing quote.
    Closed,
}

/// Between two characters.
pub(super) const INSIDE: CharacterPhase = CharacterPhase::Rest { missing: 0, low: 0, high: 0 };

const fn rest(missing: u8) -> CharacterPhase {
    CharacterPhase::Rest { missing, low: 0x80, high: 0xBF }
}

impl CharacterPhase {
    /// After one more byte; `None` if it does not fit.
    pub(super) fn after(self, byte: u8) -> Option<Self> {
        match self {
            Self::Open => (byte == b'"').then_some(INSIDE),
            Self::Closed => None,
            Self::Rest { missing: 0, .. } => match byte {
                b'"' => Some(Self::Closed),
                b'\\' => Some(Self::Escape),
                0x20..=0x7F => Some(INSIDE),
                0xC2..=0xDF => Some(rest(1)),
                0xE0 => Some(Self::Rest { missing: 2, low: 0xA0, high: 0xBF }),
                0xED => Some(Self::Rest { missing: 2, low: 0x80, high: 0x9F }),
                0xE1..=0xEF => Some(rest(2)),
                0xF0 => Some(Self::Rest { missing: 3, low: 0x90, high: 0xBF }),
                0xF1..=0xF3 => Some(rest(3)),
                0xF4 => Some(Self::Rest { missing: 3, low: 0x80, high: 0x8F }),
                _no_first_byte => None,
            },
            Self::Rest { missing, low, high } => {
                (low..=high).contains(&byte).then(|| if missing == 1 { INSIDE } else { rest(missing - 1) })
            }
            Self::Escape => match byte {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(INSIDE),
                b'u' => Some(Self::Hex { missing: 4, surrogate: false }),
                _no_escape => None,
            },
            Self::Hex { surrogate: true, .. } => {
                byte.is_ascii_digit().then_some(byte).filter(|digit| *digit < b'8')?;
                Some(Self::Hex { missing: 2, surrogate: false })
            }
            Self::Hex { missing, .. } if byte.is_ascii_hexdigit() => match missing {
                4 => Some(Self::Hex { missing: 3, surrogate: byte.eq_ignore_ascii_case(&b'd') }),
                1 => Some(INSIDE),
                missing => Some(Self::Hex { missing: missing - 1, surrogate: false }),
            },
            Self::Hex { .. } => None,
        }
    }

    /// Fewest bytes to the end of the string, its closing quote included and no further character.
    pub(super) fn left(self) -> u32 {
        match self {
            Self::Open => 2,
            Self::Rest { missing, .. } | Self::Hex { missing, .. } => u32::from(missing) + 1,
            Self::Escape => 2,
            Self::Closed => 0,
        }
    }
}
