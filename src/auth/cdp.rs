//! A CDP private key out of its text: PEM, or base64 without the markers. The bytes decide what it is.

use super::{
    der::{self, Der},
    jwt,
    key::{KeyError, LEGACY_SECRET, is_alphanumeric, is_placeholder},
    pem::{self, Mended},
};

/// From so many characters on, base64 was meant to be a key: 32 bytes, the smallest, take 43, and the 32 characters of a
/// legacy secret are base64 as well.
const LEAST_OF_A_KEY: usize = 40;

/// A private key out of PEM, or of base64 without markers.
pub(super) fn read(text: &str, mended: &mut Vec<Mended>) -> Result<jwt::Key, KeyError> {
    if text.starts_with('{') {
        return Err(KeyError::FileAsSecret);
    }
    let block = pem::block(text);
    if let Some(block) = &block {
        refuse_label(block)?;
    }
    let body = block.as_ref().map_or(text, |block| block.body).trim_matches('\n');
    if body.chars().any(|c| c != '\n' && pem::is_blank(c)) {
        mended.push(Mended::WhiteSpace);
    }
    let characters = text.chars().count();
    let Some(decoded) = pem::decode(body) else {
        return Err(match block {
            Some(_) => KeyError::NotBase64,
            None if begins_as_key(text) => KeyError::Damaged,
            None => KeyError::NotAKey(characters),
        });
    };
    let bytes = &decoded.bytes[..];
    match bytes.len() {
        32 => return jwt::Key::from_seed(bytes).ok_or(KeyError::Damaged),
        64 => return with_public_half(bytes),
        _ => {}
    }
    match der::identify(bytes) {
        Der::P256 if !decoded.cut => jwt::Key::es256(bytes).ok_or(KeyError::Damaged),
        Der::Ed25519 if !decoded.cut => jwt::Key::eddsa(bytes).ok_or(KeyError::Damaged),
        Der::P256 | Der::Ed25519 | Der::Garbled => Err(KeyError::Damaged),
        Der::Curve(curve) => Err(KeyError::Curve(curve)),
        Der::Encrypted => Err(KeyError::Encrypted),
        Der::Public => Err(KeyError::Public),
        Der::Foreign(what) => Err(KeyError::Foreign(what)),
        Der::Size { have, want } => Err(KeyError::Size { have, want }),
        Der::Unknown if block.is_none() && is_alphanumeric(text, LEGACY_SECRET) => Err(KeyError::Legacy),
        Der::Unknown if block.is_some() || characters >= LEAST_OF_A_KEY || text.ends_with('=') => {
            Err(KeyError::Length(bytes.len()))
        }
        Der::Unknown => Err(KeyError::NotAKey(characters)),
    }
}

/// Seed and public half: a key that was damaged on the way is found out by the halves.
fn with_public_half(bytes: &[u8]) -> Result<jwt::Key, KeyError> {
    let (seed, public) = bytes.split_at(32);
    jwt::Key::from_seed(seed).filter(|key| key.public() == public).ok_or(KeyError::HalvesDiffer)
}

/// What can be told from the label alone, where the bytes may not be DER at all.
fn refuse_label(block: &pem::Block<'_>) -> Result<(), KeyError> {
    let says = |word| block.label.contains(word);
    if block.body.chars().all(pem::is_blank) {
        Err(KeyError::FirstLineOnly)
    } else if is_placeholder(block.body) {
        Err(KeyError::Placeholder("secret"))
    } else if says("PUBLIC KEY") {
        Err(KeyError::Public)
    } else if says("ENCRYPTED") || block.body.contains("ENCRYPTED") {
        Err(KeyError::Encrypted)
    } else if says("OPENSSH") {
        Err(KeyError::Foreign("an OpenSSH key"))
    } else if says("CERTIFICATE") {
        Err(KeyError::Foreign("a certificate"))
    } else {
        Ok(())
    }
}

/// Whether the text starts as a key's base64 does, though what follows is not even base64.
fn begins_as_key(text: &str) -> bool {
    /// Twelve characters are nine bytes: enough for a header and what follows it.
    const LOOK: usize = 12;
    text.get(..LOOK).and_then(pem::decode).is_some_and(|decoded| der::identify(&decoded.bytes) != Der::Unknown)
}
