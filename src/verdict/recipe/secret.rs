//! The bytes that may have been the HMAC's key: the secret as the venue takes it, or what people make of it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use zeroize::Zeroizing;

use super::{Maker, Way, right, slip};
use crate::verdict::Mistake as M;

type Key = Way<Zeroizing<Vec<u8>>>;

pub(super) fn keys(maker: &Maker<'_>) -> Vec<Key> {
    let mut keys = if maker.hmac.decoded { to_be_decoded(maker.secret) } else { to_be_left(maker.secret) };
    let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
    keys.push(slip(bytes(maker.key), M::Swapped, "it is signed with the key's name in place of the secret"));
    if let Some(passphrase) = maker.passphrase {
        keys.push(slip(bytes(passphrase), M::Swapped, "it is signed with the passphrase in place of the secret"));
    }
    keys
}

/// Where the secret's own text is the key.
fn to_be_left(secret: &str) -> Vec<Key> {
    const DECODED: &str = "the secret is base64-decoded, and must be used as it is written";
    let mut keys = vec![right(text(secret))];
    keys.extend(misread(secret));
    keys.push(slip(
        text(&STANDARD.encode(secret)),
        M::SecretDecoding,
        "the secret is encoded as base64 before it is used",
    ));
    for engine in [STANDARD, URL_SAFE] {
        let made = engine.decode(secret).ok().map(Zeroizing::new);
        keys.extend(made.map(|made| slip(made, M::SecretDecoding, DECODED)));
    }
    keys.extend(unhexed(secret, "the secret is hex-decoded, and must be used as it is written"));
    keys
}

/// Where what the secret is base64 of is the key.
fn to_be_decoded(secret: &str) -> Vec<Key> {
    const TEXT: &str = "the secret is decoded from base64 into text, and its bytes must be used as they are";
    let mut keys = Vec::new();
    if let Ok(made) = STANDARD.decode(secret).map(Zeroizing::new) {
        // JavaScript's atob and toString make text of bytes, whose UTF-8 is then the key.
        let latin = Zeroizing::new(made.iter().copied().map(char::from).collect::<String>());
        let lossy = Zeroizing::new(String::from_utf8_lossy(&made).into_owned());
        let twice = STANDARD.decode(&*made).ok().map(Zeroizing::new);
        keys.push(right(made));
        keys.push(slip(text(&latin), M::SecretDecoding, TEXT));
        keys.push(slip(text(&lossy), M::SecretDecoding, TEXT));
        keys.extend(twice.map(|twice| slip(twice, M::SecretDecoding, "the secret is base64-decoded twice")));
    }
    keys.push(slip(
        text(secret),
        M::SecretDecoding,
        "the secret is used as it is written, and must be decoded from base64 first",
    ));
    for mut key in misread(secret) {
        key.slips.push((M::SecretDecoding, "the secret is not decoded from base64"));
        keys.push(key);
    }
    keys.push(slip(
        text(&STANDARD.encode(secret)),
        M::SecretDecoding,
        "the secret is encoded as base64 once more, and must be decoded from it",
    ));
    keys.extend(unhexed(secret, "the secret is hex-decoded, and must be decoded from base64"));
    keys
}

/// What files, shells and Python add to a text.
fn misread(secret: &str) -> Vec<Key> {
    vec![
        slip(text(&format!("{secret}\n")), M::StrayWhiteSpace, "the secret is used with a line break behind it"),
        slip(text(&format!("{secret}\r\n")), M::StrayWhiteSpace, "the secret is used with a line break behind it"),
        slip(text(&format!("{secret} ")), M::StrayWhiteSpace, "the secret is used with a blank behind it"),
        slip(text(&format!("\"{secret}\"")), M::StrayWhiteSpace, "the secret is used with quotes around it"),
        slip(text(&format!("b'{secret}'")), M::SecretDecoding, "the secret is used as Python's b'…' of its bytes"),
    ]
}

fn unhexed(secret: &str, what: &'static str) -> Option<Key> {
    hex::decode(secret).ok().map(|made| slip(Zeroizing::new(made), M::SecretDecoding, what))
}

fn text(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}
