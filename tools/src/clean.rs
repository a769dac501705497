//! Output as a model and a terminal may read it: no control, no escape, no invisible direction or tag; head and tail kept.
//!
//! **Invariant:** what comes out holds no character below U+0020 but newline and tab, none of Unicode's direction marks and
//! tags, and no secret of the settings.

/// Output made readable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clean {
    /// The text.
    pub text: String,
    /// Whether something between head and tail was left out.
    pub truncated: bool,
}

/// Makes output readable, in at most about `most` bytes; `secrets` are names and values.
pub(crate) fn clean(output: &[u8], most: u64, secrets: &[(String, String)]) -> Clean {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let text = plain(&String::from_utf8_lossy(output));
    let text = secrets.iter().filter(|(_, value)| !value.is_empty()).fold(text, |text, (name, value)| {
        if text.contains(value.as_str()) { text.replace(value.as_str(), &format!("[secret {name}]")) } else { text }
    });
    if text.len() <= most {
        return Clean { text, truncated: false };
    }
    let head = text.floor_char_boundary(most / 2);
    let tail = text.ceil_char_boundary(text.len() - (most - most / 2));
    let left_out = tail - head;
    let text = format!("{}\n[{left_out} bytes left out]\n{}", &text[..head], &text[tail..]);
    Clean { text, truncated: true }
}

/// Without escapes and what a terminal or a reader would not show as it is.
pub(crate) fn plain(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        match one {
            '\n' | '\t' => clean.push(one),
            '\r' => {
                // A line end of another system, or a line written over: the new one begins a line.
                if rest.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\u{1b}' => escape(&mut rest),
            '\u{9b}' => control(&mut rest),
            one if is_hidden(one) => {}
            one => clean.push(one),
        }
    }
    clean
}

/// Skips what follows an escape: ECMA-48 control sequences, strings up to their end, or one character.
fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match rest.next() {
        Some('[') => control(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(one) = rest.next() {
                let over = one == '\u{7}' || one == '\u{9c}' || (one == '\u{1b}' && rest.next_if_eq(&'\\').is_some());
                // An unended string must not swallow the rest: none spans lines.
                if over || rest.peek() == Some(&'\n') {
                    return;
                }
            }
        }
        Some(' '..='/') => {
            rest.next();
        }
        Some(_) | None => {}
    }
}

/// Skips a control sequence to its final character.
fn control(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|one| matches!(one, '0'..='?' | ' '..='/')).is_some() {}
    rest.next_if(|one| matches!(one, '@'..='~'));
}

/// Whether a character is a control, or one that shows nothing and may turn or hide what is around it.
pub(crate) fn is_hidden(one: char) -> bool {
    one.is_control()
        || matches!(one,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::clean;

    fn read(text: &str) -> String {
        clean(text.as_bytes(), 1 << 20, &[]).text
    }

    #[test]
    fn only_what_is_seen_is_left() {
        for (raw, wanted) in [
            ("a\tb\nc", "a\tb\nc"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}]52;c;never ended\nnext", "\nnext"),
            ("\u{9b}2Jclear", "clear"),
            ("\u{1b}(Bset", "set"),
            ("one\r\ntwo\rthree", "one\ntwo\nthree"),
            ("bell\u{7} nul\0 back\u{8}", "bell nul back"),
            ("\u{202e}evil\u{202c}", "evil"),
            ("tag\u{e0041}\u{e0042}", "tag"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("naïve 漢字 🙂", "naïve 漢字 🙂"),
        ] {
            assert_eq!(read(raw), wanted, "{raw:?}");
        }
        assert_eq!(clean(b"a\xffb", 100, &[]).text, "a\u{fffd}b");
    }

    #[test]
    fn too_much_leaves_out_the_middle_and_says_how_much() {
        let text = "é".repeat(500) + &"z".repeat(500);
        let cut = clean(text.as_bytes(), 100, &[]);
        assert!(cut.truncated);
        assert_eq!(cut.text, format!("{}\n[1400 bytes left out]\n{}", "é".repeat(25), "z".repeat(50)));
        assert!(!clean(b"short", 100, &[]).truncated);
    }

    #[test]
    fn a_secret_is_named_and_not_shown() {
        let secrets = [("token".to_owned(), "s3cret".to_owned()), ("none".to_owned(), String::new())];
        assert_eq!(clean(b"a s3\x1b[0mcret b", 100, &secrets).text, "a [secret token] b");
    }
}
