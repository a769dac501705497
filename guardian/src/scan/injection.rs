//! Orders to a model in what tools return: phrases that give orders, marks of conversations, text that people do not see.
//!
//! Text is read as a model reads it: letters in one case, everything between words one blank, invisible characters gone, so
//! that line breaks, capitals and zero-width characters hide nothing. Escapes of JSON count as what lies between words.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::{Hit, Kind, MOST_HITS};

/// Phrases one of which is enough, a line each.
const STRONG: &str = include_str!("strong.txt");

/// Phrases of which it takes three different ones within one stretch, a line each.
const WEAK: &str = include_str!("weak.txt");
/// Different weak phrases that together are enough, and the stretch of words in which they stand, in read characters.
const WEAK_ENOUGH: u32 = 3;
const STRETCH: u64 = 400;

/// The automaton over read text.
#[derive(Debug)]
pub struct Wording {
    phrases: AhoCorasick,
    longest: usize,
    strong: usize,
    weak: usize,
}

/// What is remembered between pieces.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Read text whose phrases may go on in the next piece, and where each of its characters came from.
    read: Vec<u8>,
    places: Vec<u64>,
    /// Bytes of a character that the last piece cut.
    cut: Vec<u8>,
    /// Bytes and read characters that went by.
    bytes: u64,
    gone: u64,
    /// Read characters up to which phrases that end were heard.
    heard: u64,
    /// When each weak phrase was heard last: read characters then, and its place.
    weak: Vec<Option<(u64, u64)>>,
    last_hit: Option<u64>,
    escape: bool,
}

/// How a character is read.
enum Read {
    Letter(u8),
    Between,
    Nothing,
    Hidden,
}

fn read(character: char) -> Read {
    match character {
        'a'..='z' | '0'..='9' => Read::Letter(character as u8),
        'A'..='Z' => Read::Letter(character.to_ascii_lowercase() as u8),
        'é' | 'è' | 'ê' | 'É' => Read::Letter(b'e'),
        // Tags: a whole alphabet that is not drawn.
        '\u{e0000}'..='\u{e007f}' => Read::Hidden,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' => {
            Read::Nothing
        }
        // Letters of width, as in fonts of old East Asian systems, and letters that look the same.
        '\u{ff21}'..='\u{ff3a}' => Read::Letter(b'a' + (character as u32 - 0xff21) as u8),
        '\u{ff41}'..='\u{ff5a}' => Read::Letter(b'a' + (character as u32 - 0xff41) as u8),
        'а' | 'А' => Read::Letter(b'a'),
        'е' | 'Е' => Read::Letter(b'e'),
        'о' | 'О' => Read::Letter(b'o'),
        'р' | 'Р' => Read::Letter(b'p'),
        'с' | 'С' => Read::Letter(b'c'),
        'і' | 'І' => Read::Letter(b'i'),
        'у' | 'У' => Read::Letter(b'y'),
        _other => Read::Between,
    }
}

impl Wording {
    pub(super) fn new() -> Option<Self> {
        let all = || STRONG.lines().chain(WEAK.lines());
        let phrases = AhoCorasickBuilder::new().match_kind(MatchKind::Standard).build(all()).ok()?;
        let longest = all().map(|phrase| phrase.len()).max()?;
        Some(Self { phrases, longest, strong: STRONG.lines().count(), weak: WEAK.lines().count() })
    }

    /// Reads the next piece.
    pub(super) fn feed(&self, heard: &mut Heard, piece: &[u8], hits: &mut Vec<Hit>) {
        let mut bytes = std::mem::take(&mut heard.cut);
        let begins = heard.bytes - bytes.len() as u64;
        heard.bytes += piece.len() as u64;
        let joined;
        let text = if bytes.is_empty() {
            piece
        } else {
            bytes.extend_from_slice(piece);
            joined = bytes;
            &joined
        };
        let mut at = begins;
        for chunk in text.utf8_chunks() {
            for character in chunk.valid().chars() {
                heard.take(character, at, hits);
                at += character.len_utf8() as u64;
            }
            let broken = chunk.invalid();
            let ends = at + broken.len() as u64 == begins + text.len() as u64;
            if !broken.is_empty()
                && ends
                && broken.len() < 4
                && std::str::from_utf8(broken).is_err_and(|error| error.error_len().is_none())
            {
                heard.cut = broken.to_vec();
            } else if !broken.is_empty() {
                heard.take(' ', at, hits);
            }
            at += broken.len() as u64;
        }
        // What ends with the last character may be a part of a longer word.
        let sure = heard.read.len().saturating_sub(1);
        self.hear(heard, sure, hits);
    }

    /// Reads what was left.
    pub(super) fn end(&self, heard: &mut Heard, hits: &mut Vec<Hit>) {
        heard.cut.clear();
        self.hear(heard, heard.read.len(), hits);
    }

    /// Hears the phrases that end at `sure` or before it and were not heard yet.
    fn hear(&self, heard: &mut Heard, sure: usize, hits: &mut Vec<Hit>) {
        heard.weak.resize(self.weak, None);
        for found in self.phrases.find_overlapping_iter(&heard.read) {
            if hits.len() >= 4 * MOST_HITS {
                break;
            }
            let (start, end) = (found.start(), found.end());
            if end > sure || heard.gone + end as u64 <= heard.heard {
                continue;
            }
            let whole = |place: Option<&u8>| place.is_none_or(|byte| *byte == b' ');
            if !whole(start.checked_sub(1).and_then(|before| heard.read.get(before))) || !whole(heard.read.get(end)) {
                continue;
            }
            let (place, now) = (heard.places[start], heard.gone + start as u64);
            let pattern = found.pattern().as_usize();
            let Some(weak) = pattern.checked_sub(self.strong) else {
                hits.push(Hit { at: place, kind: Kind::Orders });
                continue;
            };
            heard.weak[weak] = Some((now, place));
            let near: Vec<u64> = heard
                .weak
                .iter()
                .flatten()
                .filter(|(when, _)| now.abs_diff(*when) <= STRETCH)
                .map(|(_, place)| *place)
                .collect();
            if near.len() as u32 >= WEAK_ENOUGH {
                hits.push(Hit { at: near.iter().copied().min().unwrap_or(place), kind: Kind::Orders });
                heard.weak.fill(None);
            }
        }
        heard.heard = heard.heard.max(heard.gone + sure as u64);
        // A phrase that is not heard yet begins here at the earliest, with one character before it.
        let keep = heard.read.len().min(self.longest + 3);
        let gone = heard.read.len() - keep;
        heard.read.drain(..gone);
        heard.places.drain(..gone);
        heard.gone += gone as u64;
    }
}

impl Heard {
    fn take(&mut self, character: char, at: u64, hits: &mut Vec<Hit>) {
        // `\n` and its like in JSON: the letter behind the stroke is no letter of a word.
        if std::mem::take(&mut self.escape) && matches!(character, 'n' | 't' | 'r') {
            return;
        }
        self.escape = character == '\\';
        match read(character) {
            Read::Letter(letter) => {
                self.read.push(letter);
                self.places.push(at);
            }
            Read::Between => {
                if self.read.last().is_some_and(|last| *last != b' ') {
                    self.read.push(b' ');
                    self.places.push(at);
                }
            }
            Read::Nothing => {}
            Read::Hidden => {
                if self.last_hit.is_none_or(|last| at > last + 64) && hits.len() < MOST_HITS {
                    hits.push(Hit { at, kind: Kind::Hidden });
                }
                self.last_hit = Some(at);
            }
        }
    }
}
