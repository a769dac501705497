//! The readable part of JSON that is still being written: the words of claims, of a plan's questions, of a verdict.
//!
//! **Invariant:** never fails and never waits for more: what it cannot read says nothing. Nothing acts on what it gives.

/// Which texts are for people: the list they stand in, where they stand in one, and their name.
const READABLE: [(Option<&str>, &str); 3] =
    [(Some("claims"), "text"), (Some("modules"), "question"), (None, "reasons")];
/// Deeper than any form of ours; what is deeper is passed over.
const DEEPEST: usize = 32;
/// Longest name that is compared.
const LONGEST_NAME: usize = 32;

/// A reader of JSON that comes in pieces cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    call: u32,
    /// What is open, the outermost first.
    open: Vec<Open>,
    string: Option<Text>,
    spoken: bool,
}

/// An object or a list that is not closed yet.
#[derive(Debug)]
struct Open {
    /// The name it stands under; empty where there is none.
    under: String,
    list: bool,
    /// The name of the value that comes next.
    name: String,
    /// Whether a name comes next, in an object.
    named_next: bool,
}

/// A string that is not closed yet.
#[derive(Debug)]
struct Text {
    purpose: Purpose,
    escape: Escape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Name,
    Shown,
    Passed,
}

/// Where in an escape one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// After a backslash.
    Begun,
    /// After `\u` and so many digits; the first half of a pair, where there was one.
    Digits {
        read: u8,
        value: u16,
        high: Option<u16>,
    },
    /// The first half of a pair was read.
    Half {
        high: u16,
    },
    /// The first half of a pair was read, and a backslash.
    HalfBegun {
        high: u16,
    },
}

impl Draft {
    /// Whether it gave any words.
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// The readable words in more of this call, a line break between one text and the next.
    pub fn more(&mut self, call: u32, more: &str) -> String {
        if call != self.call {
            *self = Self { call, spoken: self.spoken, ..Self::default() };
        }
        let mut words = String::new();
        for letter in more.chars() {
            self.letter(letter, &mut words);
        }
        self.spoken |= !words.is_empty();
        words
    }

    fn letter(&mut self, letter: char, words: &mut String) {
        if let Some(mut text) = self.string.take() {
            if letter == '"' && text.escape == Escape::None {
                return self.close(text.purpose);
            }
            if let Some(shown) = unescaped(&mut text.escape, letter) {
                match text.purpose {
                    Purpose::Shown => words.push(shown),
                    Purpose::Name => self.name(shown),
                    Purpose::Passed => {}
                }
            }
            self.string = Some(text);
            return;
        }
        match letter {
            '{' | '[' if self.open.len() < DEEPEST => {
                let under = self.open.last().map(|open| open.name.clone()).unwrap_or_default();
                let list = letter == '[';
                self.open.push(Open { under, list, name: String::new(), named_next: !list });
            }
            '}' | ']' => drop(self.open.pop()),
            ',' => {
                if let Some(open) = self.open.last_mut().filter(|open| !open.list) {
                    open.named_next = true;
                }
            }
            '"' => self.begin(words),
            _other => {}
        }
    }

    fn begin(&mut self, words: &mut String) {
        let Some(open) = self.open.last_mut() else { return };
        let purpose = if open.named_next {
            open.name.clear();
            Purpose::Name
        } else if self.is_readable() {
            Purpose::Shown
        } else {
            Purpose::Passed
        };
        if purpose == Purpose::Shown && (self.spoken || !words.is_empty()) {
            words.push('\n');
        }
        self.string = Some(Text { purpose, escape: Escape::None });
    }

    fn is_readable(&self) -> bool {
        let Some((open, around)) = self.open.split_last() else { return false };
        let list = around.last().filter(|around| around.list).map(|list| list.under.as_str());
        !open.list && READABLE.iter().any(|(of, name)| *of == list && *name == open.name)
    }

    fn close(&mut self, purpose: Purpose) {
        if let (Purpose::Name, Some(open)) = (purpose, self.open.last_mut()) {
            open.named_next = false;
        }
    }

    fn name(&mut self, letter: char) {
        if let Some(open) = self.open.last_mut().filter(|open| open.name.len() < LONGEST_NAME) {
            open.name.push(letter);
        }
    }
}

/// The letter that is whole with this one, and where in an escape one is then.
fn unescaped(escape: &mut Escape, letter: char) -> Option<char> {
    let (next, whole) = match (*escape, letter) {
        (Escape::None, '\\') => (Escape::Begun, None),
        (Escape::None, plain) => (Escape::None, Some(plain)),
        (Escape::Begun, 'u') => (Escape::Digits { read: 0, value: 0, high: None }, None),
        (Escape::HalfBegun { high }, 'u') => (Escape::Digits { read: 0, value: 0, high: Some(high) }, None),
        (Escape::Begun | Escape::HalfBegun { .. }, short) => (
            Escape::None,
            Some(match short {
                'n' => '\n',
                't' => '\t',
                'r' | 'b' | 'f' => ' ',
                itself => itself,
            }),
        ),
        (Escape::Half { high }, '\\') => (Escape::HalfBegun { high }, None),
        // Half a letter without its other half is lost.
        (Escape::Half { .. }, plain) => (Escape::None, Some(plain)),
        (Escape::Digits { read, value, high }, digit) => {
            let value = value << 4 | digit.to_digit(16).and_then(|digit| u16::try_from(digit).ok()).unwrap_or(0);
            match (read, high) {
                (0..3, high) => (Escape::Digits { read: read + 1, value, high }, None),
                (_, None) if (0xd800..0xdc00).contains(&value) => (Escape::Half { high: value }, None),
                (_, high) => {
                    let units = high.into_iter().chain([value]);
                    let letter = char::decode_utf16(units).next().and_then(Result::ok);
                    (Escape::None, Some(letter.unwrap_or(char::REPLACEMENT_CHARACTER)))
                }
            }
        }
    };
    *escape = next;
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Draft;

    fn read(pieces: &[&str]) -> String {
        let mut draft = Draft::default();
        pieces.iter().map(|piece| draft.more(0, piece)).collect()
    }

    #[test]
    fn what_people_read_is_given_and_nothing_else() {
        for (json, words) in [
            (r#"{"claims":[{"text":"One.","citations":[{"passage":"p1","quote":"no"}]},{"text":"Two."#, "One.\nTwo."),
            (r#"[{"name":"submit","arguments":{"claims":[{"text":"a \"b\"\nc"}]}}]"#, "a \"b\"\nc"),
            (r#"{"reason":{"reason":"single"},"modules":[{"name":"x","question":"How high?"}]}"#, "How high?"),
            (r#"{"reasons":"It \u00e4 \ud83d\ude00 holds","passed":true}"#, "It ä 😀 holds"),
            // Names that mean something only where they stand.
            (r#"{"path":"/a","text":"a file"}"#, ""),
            (r#"{"claims":"text","x":["claims","text"]}"#, ""),
            (r#"{"query":"text"}"#, ""),
            ("no JSON \" at all }]}", ""),
            ("<tool_call>\n{\"name\":\"submit\",\"arguments\":{\"claims\":[{\"text\":\"t", "t"),
            (r#"{"reasons":"\ud83dx\ud83d\n\udc00"}"#, "x\n\u{fffd}"),
        ] {
            assert_eq!(read(&[json]), words, "{json}");
        }
    }

    #[test]
    fn another_call_begins_anew() {
        let mut draft = Draft::default();
        assert_eq!(draft.more(0, r#"{"claims":[{"text":"one"#), "one");
        assert_eq!(draft.more(1, r#"{"claims":[{"text":"two"#), "\ntwo");
    }

    proptest! {
        #[test]
        fn it_is_read_the_same_however_it_is_cut(
            texts in prop::collection::vec("[a-z\"\\\\\u{e4}\u{1f600}\n]{0,12}", 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let claims: Vec<_> = texts.iter().map(|text| serde_json::json!({ "text": text, "citations": [] })).collect();
            let json = serde_json::json!({ "claims": claims }).to_string();
            let letters: Vec<char> = json.chars().collect();
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(letters.len())).chain([0, letters.len()]).collect();
            places.sort_unstable();
            let pieces: Vec<String> = places.windows(2).map(|ends| letters[ends[0]..ends[1]].iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(read(&pieces), read(&[&json]));
        }

        #[test]
        fn nothing_stops_it(pieces in prop::collection::vec("[{}\\[\\]\",:\\\\u0-9a-f]{0,40}", 0..6)) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            read(&pieces);
        }
    }
}
