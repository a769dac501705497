//! Bytes to text: UTF-8 as it stands, everything else decoded, by its mark, by what it declares, or by what its letters
//! look like.
//!
//! **Invariant:** valid UTF-8 without a mark is taken byte for byte, so that its citations are those of the file.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::scan::SkipReason;

/// Of formats that have no way to declare an encoding.
pub(crate) fn undeclared(_bytes: &[u8]) -> Option<&'static Encoding> {
    None
}

/// How much of a text its encoding is guessed from.
const SAMPLE: usize = 64 << 10;
/// Of so many characters of a text, one control character and no more: other things are no text.
const CHARACTERS_A_CONTROL: usize = 200;

/// A text of its bytes, and the encoding it was in. `declared` is what the bytes say of their encoding.
pub(crate) fn decoded(
    bytes: Vec<u8>,
    declared: fn(&[u8]) -> Option<&'static Encoding>,
) -> Result<(String, &'static Encoding), SkipReason> {
    if let Some((marked, mark)) = Encoding::for_bom(&bytes) {
        // The mark is dropped; UTF-8 behind it must be so, and UTF-16 has no wrong bytes but lone halves.
        return by(marked, &bytes[mark..]);
    }
    if bytes.contains(&0) {
        return Err(SkipReason::Binary);
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok((text, UTF_8)),
        Err(error) => error.into_bytes(),
    };
    let said = declared(&bytes).filter(|said| ![UTF_8, UTF_16BE, UTF_16LE].contains(said));
    let guess = said.unwrap_or_else(|| {
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
        detector.feed(&bytes[..bytes.len().min(SAMPLE)], bytes.len() <= SAMPLE);
        detector.guess(None, chardetng::Utf8Detection::Deny)
    });
    by(guess, &bytes)
}

fn by(encoding: &'static Encoding, bytes: &[u8]) -> Result<(String, &'static Encoding), SkipReason> {
    let not_utf8 = || {
        let valid = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
        SkipReason::NotUtf8 { valid: valid as u64 }
    };
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or_else(not_utf8)?;
    let control = |c: &char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    let controls = text.chars().filter(control).count();
    if controls * CHARACTERS_A_CONTROL > text.len() {
        return Err(SkipReason::Binary);
    }
    Ok((text.into_owned(), encoding))
}

#[cfg(test)]
mod tests {
    use encoding_rs::SHIFT_JIS;

    use super::{decoded, undeclared};
    use crate::scan::SkipReason;

    fn read(bytes: &[u8]) -> Result<String, SkipReason> {
        decoded(bytes.to_vec(), undeclared).map(|(text, _encoding)| text)
    }

    #[test]
    fn texts_of_many_encodings_are_the_same_text() {
        assert_eq!(read("caf\u{e9} \u{feff}".as_bytes()).as_deref(), Ok("caf\u{e9} \u{feff}"));
        assert_eq!(read("\u{feff}café".as_bytes()).as_deref(), Ok("café"), "a mark is no letter");
        let utf16 = |swap: bool| -> Vec<u8> {
            let units = "\u{feff}café".encode_utf16();
            units.flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        assert_eq!(read(&utf16(true)).as_deref(), Ok("café"));
        assert_eq!(read(&utf16(false)).as_deref(), Ok("café"));
        assert_eq!(
            read(b"Le caf\xe9 est ferm\xe9 le dimanche \x97 c'est tr\xe8s dommage.").as_deref(),
            Ok("Le café est fermé le dimanche — c'est très dommage.")
        );
        let japanese = "これは日本語の文章です。図書館は日曜日に閉まっています。";
        let (bytes, _, _) = SHIFT_JIS.encode(japanese);
        assert_eq!(read(&bytes).as_deref(), Ok(japanese));
    }

    #[test]
    fn what_is_no_text_is_none() {
        assert_eq!(read(b"\x7fELF\0\0"), Err(SkipReason::Binary));
        assert_eq!(read(&(0x80..=0xff).chain(1..9).collect::<Vec<u8>>()), Err(SkipReason::Binary));
        assert!(matches!(decoded(b"\xef\xbb\xbfab\xff".to_vec(), undeclared), Err(SkipReason::NotUtf8 { valid: 2 })));
    }
}
