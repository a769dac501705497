//! Cosignatures of C2SP's tlog-cosignature: witnesses' lines under a log's checkpoint, each with its time.
//!
//! **Invariant:** a cosignature is on one body at one time: another body, time, name or key does not verify.
//! **Invariant:** lines of unknown signers are passed over, and never make a note count as signed.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    digest::PublicKey,
    keys::{SigningKey, verify},
    note::{ED25519, NoteError, key_hash, parse_typed_vkey, typed_vkey},
};

/// C2SP's number for a timestamped Ed25519 cosignature.
const COSIGNATURE: u8 = 4;
/// The most signature lines of a note that are looked at; a note with more does not open.
pub const MOST_LINES: usize = 64;

/// One signature line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line<'a> {
    name: &'a str,
    /// The key's id, then what the kind of signature has.
    bytes: &'a str,
}

/// Who cosigns: a name and a key, which C2SP has together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigner {
    /// The name, without spaces and `+`.
    pub name: String,
    /// Its public key.
    pub key: PublicKey,
}

impl Cosigner {
    /// The cosigner of a key, under a name made from the key as a log's is: `ii-witness-` and 16 hex.
    pub fn of(key: PublicKey) -> Self {
        Self { name: crate::note::log_name(&key).replacen("ii-", "ii-witness-", 1), key }
    }

    /// Its verifier key, of C2SP's kind 4.
    pub fn vkey(&self) -> String {
        typed_vkey(&self.name, COSIGNATURE, &self.key)
    }

    /// Reads a verifier key of kind 4.
    pub fn parse(vkey: &str) -> Option<Self> {
        parse_typed_vkey(vkey, COSIGNATURE).map(|(name, key)| Self { name, key })
    }

    /// The line with which this cosigner's private key signs a checkpoint's body at `time`, in seconds since the Unix epoch.
    pub fn cosign(&self, body: &str, time: u64, key: &SigningKey) -> String {
        let mut bytes = key_hash(&self.name, COSIGNATURE, &self.key).to_vec();
        bytes.extend_from_slice(&time.to_be_bytes());
        bytes.extend_from_slice(&key.sign(message(body, time).as_bytes()));
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// When this cosigner signed a note, in seconds since the Unix epoch; `None` when none of its lines verifies.
    pub fn signed(&self, note: &str) -> Option<u64> {
        let (body, lines) = split(note).ok()?;
        lines.iter().find_map(|line| self.time_of(body, line))
    }

    /// The lines of an answer that are this cosigner's on this body. `answer` is one or more whole lines.
    pub fn own_lines(&self, body: &str, answer: &str) -> Option<String> {
        let lines = lines(answer).ok()?;
        let own = lines.iter().find(|line| self.time_of(body, line).is_some())?;
        Some(format!("\u{2014} {} {}\n", own.name, own.bytes))
    }

    fn time_of(&self, body: &str, line: &Line<'_>) -> Option<u64> {
        let bytes = STANDARD.decode(line.bytes).ok()?;
        let (hash, stamped) = bytes.split_first_chunk::<4>()?;
        let (time, signature) = stamped.split_first_chunk::<8>()?;
        let signature: &[u8; 64] = signature.try_into().ok()?;
        if line.name != self.name || *hash != key_hash(&self.name, COSIGNATURE, &self.key) {
            return None;
        }
        let time = u64::from_be_bytes(*time);
        verify(&self.key, message(body, time).as_bytes(), signature).ok().map(|()| time)
    }
}

fn message(body: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{body}")
}

/// The text of a note that `key` signed under `name`, among however many other signatures.
///
/// # Errors
/// [`NoteError`]. One bad signature of the key is enough to refuse the note.
pub fn open_cosigned<'a>(note: &'a str, name: &str, key: &PublicKey) -> Result<&'a str, NoteError> {
    let (body, lines) = split(note)?;
    let hash = key_hash(name, ED25519, key);
    let mut signed = false;
    for line in lines.iter().filter(|line| line.name == name) {
        let bytes = STANDARD.decode(line.bytes).map_err(|_base64| NoteError::Malformed)?;
        let Some((_own, signature)) = bytes.split_first_chunk::<4>().filter(|(own, _)| **own == hash) else { continue };
        let signature: &[u8; 64] = signature.try_into().map_err(|_length| NoteError::Malformed)?;
        verify(key, body.as_bytes(), signature).map_err(|_bad| NoteError::BadSignature)?;
        signed = true;
    }
    if signed { Ok(body) } else { Err(NoteError::OtherKey { expected: name.to_owned() }) }
}

/// Text and signature lines of a note.
fn split(note: &str) -> Result<(&str, Vec<Line<'_>>), NoteError> {
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, rest) = (&note[..=at], &note[at + 2..]);
    if text.chars().any(|c| c != '\n' && c.is_control()) {
        return Err(NoteError::Malformed);
    }
    Ok((text, lines(rest)?))
}

/// How many signature lines a note has; `None` for no note.
pub(crate) fn signatures(note: &str) -> Option<usize> {
    split(note).ok().map(|(_text, lines)| lines.len())
}

/// The signature lines of a note that `wanted` takes, as they stand.
pub(crate) fn lines_of(note: &str) -> Option<(String, Vec<String>)> {
    let (text, lines) = split(note).ok()?;
    let whole = |line: &Line<'_>| format!("\u{2014} {} {}\n", line.name, line.bytes);
    Some((text.to_owned(), lines.iter().map(whole).collect()))
}

fn lines(text: &str) -> Result<Vec<Line<'_>>, NoteError> {
    let text = text.strip_suffix('\n').ok_or(NoteError::Malformed)?;
    let mut found = Vec::new();
    for line in text.split('\n') {
        let signed = line.strip_prefix("\u{2014} ").ok_or(NoteError::Malformed)?;
        let (name, bytes) = signed.split_once(' ').ok_or(NoteError::Malformed)?;
        if name.is_empty() || bytes.is_empty() || found.len() == MOST_LINES {
            return Err(NoteError::Malformed);
        }
        found.push(Line { name, bytes });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Cosigner, MOST_LINES, open_cosigned};
    use crate::{
        checkpoint::Checkpoint,
        digest::Digest,
        keys::SigningKey,
        note::{NoteError, log_name, vkey},
    };

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn head() -> Checkpoint {
        Checkpoint { origin: log_name(&key(1).public()), size: 7, root: Digest::of(b"root") }
    }

    fn cosigned(time: u64) -> String {
        let witness = Cosigner::of(key(2).public());
        format!("{}{}", head().sign(&key(1)), witness.cosign(&head().body(), time, &key(2)))
    }

    #[test]
    fn a_cosignature_is_of_one_witness_on_one_body_at_one_time() {
        let witness = Cosigner::of(key(2).public());
        let note = cosigned(1_679_315_147);
        assert_eq!(witness.signed(&note), Some(1_679_315_147));
        assert_eq!(Cosigner::of(key(3).public()).signed(&note), None);
        assert_eq!(Cosigner { name: "other".to_owned(), ..witness.clone() }.signed(&note), None);
        assert_eq!(witness.signed(&note.replacen("\n7\n", "\n8\n", 1)), None);
        assert_eq!(witness.signed(&head().sign(&key(1))), None);
        // The time is signed too: one second later is another message.
        let other = witness.cosign(&head().body(), 1_679_315_148, &key(2));
        assert!(!note.ends_with(&other));
        assert_eq!(witness.own_lines(&head().body(), &other), Some(other.clone()));
        assert_eq!(witness.own_lines(&Checkpoint { size: 8, ..head() }.body(), &other), None);
        assert_eq!(Cosigner::of(key(3).public()).own_lines(&head().body(), &other), None);
    }

    /// Built here from the text of the specification, byte by byte.
    #[test]
    fn what_is_signed_is_what_the_specification_says() {
        let witness = Cosigner::of(key(2).public());
        let line = witness.cosign("origin\n1\nroot\n", 9, &key(2));
        let message = b"cosignature/v1\ntime 9\norigin\n1\nroot\n";
        let bytes = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            line.trim_end().rsplit_once(' ').expect("a line").1,
        )
        .expect("base64");
        let mut named = witness.name.clone().into_bytes();
        named.extend_from_slice(b"\n\x04");
        named.extend_from_slice(&key(2).public().0);
        assert_eq!(bytes[..4], Digest::of(&named).0[..4]);
        assert_eq!(bytes[4..12], [0, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(bytes[12..], key(2).sign(message));
    }

    #[test]
    fn a_note_opens_among_other_signatures_and_by_its_own_only() {
        let log = key(1).public();
        let note = cosigned(5);
        assert_eq!(open_cosigned(&note, &log_name(&log), &log), Ok(head().body().as_str()));
        let other = key(3).public();
        assert!(matches!(open_cosigned(&note, &log_name(&other), &other), Err(NoteError::OtherKey { .. })));
        // A witness's key is no log's, though it signed.
        let witness = Cosigner::of(key(2).public());
        assert!(matches!(open_cosigned(&note, &witness.name, &witness.key), Err(NoteError::OtherKey { .. })));
        let forged = note.replacen("\n7\n", "\n8\n", 1);
        assert_eq!(open_cosigned(&forged, &log_name(&log), &log), Err(NoteError::BadSignature));
        // A second, bad line of the same key refuses the whole.
        let bad = Checkpoint { size: 9, ..head() }.sign(&key(1));
        let bad = bad.rsplit_once("\n\n").expect("a note").1;
        assert_eq!(open_cosigned(&format!("{note}{bad}"), &log_name(&log), &log), Err(NoteError::BadSignature));
    }

    #[test]
    fn malformed_notes_do_not_open() {
        let log = key(1).public();
        let note = head().sign(&key(1));
        let line = note.rsplit_once("\n\n").expect("a note").1.to_owned();
        let many = format!("{note}{}", line.repeat(MOST_LINES));
        for wrong in [
            note.trim_end().to_owned(),
            format!("{note}\n"),
            format!("{note}- name AAAA\n"),
            format!("{note}\u{2014} name\n"),
            format!("{note}\u{2014}  AAAA\n"),
            note.replacen("\n7\n", "\n7\t\n", 1),
            "no note".to_owned(),
            many,
        ] {
            assert_eq!(open_cosigned(&wrong, &log_name(&log), &log), Err(NoteError::Malformed), "{wrong:?}");
        }
        let most = format!("{note}{}", line.repeat(MOST_LINES - 1));
        assert!(open_cosigned(&most, &log_name(&log), &log).is_ok());
    }

    #[test]
    fn verifier_keys_of_logs_and_witnesses_are_told_apart() {
        let witness = Cosigner::of(key(2).public());
        assert_eq!(Cosigner::parse(&witness.vkey()), Some(witness.clone()));
        assert_eq!(Cosigner::parse(&vkey(&key(2).public())), None);
        assert_eq!(crate::note::parse_vkey(&witness.vkey()), None);
    }
}
