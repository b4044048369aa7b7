//! The text that a signature's bytes were written as: the venue's, or another.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Way, right, slip};
use crate::{venue::Encoding, verdict::Mistake as M};

/// The signature's bytes, out of whatever encoding they were given in. None where it is none of 32 bytes.
pub(in crate::verdict) fn decoded(signature: &str, wanted: Encoding) -> Option<Way<[u8; 32]>> {
    let bytes = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).ok();
    let bare = signature.trim();
    if let Some(inner) = bare.strip_prefix("b'").and_then(|rest| rest.strip_suffix('\'')) {
        let mut way = decoded(inner, wanted)?;
        way.slips
            .push((M::Encoding, "the signature is Python's b'…' of its bytes: decode it to text before it is sent"));
        return Some(way);
    }
    let spelt = |made: [u8; 32], otherwise: &'static str| {
        if signature == wanted.write(&made) {
            right(made)
        } else if bare == wanted.write(&made) {
            slip(made, M::StrayWhiteSpace, "there is white space around the signature")
        } else {
            slip(made, M::Encoding, otherwise)
        }
    };
    if let Some(made) = hex::decode(bare).ok().and_then(bytes) {
        return Some(spelt(
            made,
            match wanted {
                Encoding::Hex => "the signature is in upper-case hex, and must be in lower case",
                Encoding::Base64 => "the signature is in hex, and must be in base64",
            },
        ));
    }
    if let Some(made) = bare.strip_prefix("0x").and_then(|hex| hex::decode(hex).ok()).and_then(bytes) {
        return Some(spelt(
            made,
            match wanted {
                Encoding::Hex => "the signature begins with 0x, and must be hex alone",
                Encoding::Base64 => "the signature is in hex, and must be in base64",
            },
        ));
    }
    let text = bare.replace('-', "+").replace('_', "/");
    let text = text.trim_end_matches('=');
    let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    let made = STANDARD.decode(padded).ok()?;
    if let Some(made) = hex::decode(&made).ok().and_then(bytes) {
        return Some(spelt(
            made,
            match wanted {
                Encoding::Hex => "the signature is base64 of its hex, and must be hex alone",
                Encoding::Base64 => "the signature is base64 of its hex digits, and must be base64 of its 32 bytes",
            },
        ));
    }
    let otherwise = match wanted {
        Encoding::Hex => "the signature is in base64, and must be in lower-case hex",
        Encoding::Base64 if bare.contains(['-', '_']) => {
            "the signature is in base64url, and must be in plain base64: + and / for its - and _"
        }
        Encoding::Base64 => "the signature lacks the = that base64 of 32 bytes ends in",
    };
    bytes(made).map(|made| spelt(made, otherwise))
}

/// Which other hash has as many bytes, where the signature is whole and no SHA-256's.
pub(in crate::verdict) fn other_hash(signature: &str) -> Option<&'static str> {
    let bare = signature.trim();
    let bytes = hex::decode(bare).or_else(|_| STANDARD.decode(bare)).ok()?;
    match bytes.len() {
        20 => Some("SHA-1"),
        48 => Some("SHA-384"),
        64 => Some("SHA-512"),
        _ => None,
    }
}
