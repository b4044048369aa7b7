//! What a DER structure is: read from its object identifiers, never from the label around it. Only so much of ASN.1 as
//! telling keys apart takes; parsing the key itself is aws-lc's.

/// What the bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Der {
    /// An EC private key on P-256, in SEC1 or PKCS#8.
    P256,
    /// An Ed25519 private key in PKCS#8.
    Ed25519,
    /// An EC private key on another curve.
    Curve(&'static str),
    /// A key that needs a passphrase.
    Encrypted,
    /// A public key.
    Public,
    /// A private key of a kind that Coinbase does not take, with its article.
    Foreign(&'static str),
    /// It begins as a key does, but is not as long as it says.
    Size {
        /// Bytes that are there.
        have: usize,
        /// Bytes that its header promises.
        want: usize,
    },
    /// It begins as a key does, and goes on as none.
    Garbled,
    /// Nothing that looks like a key.
    Unknown,
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// SEC1's optional parameters: the curve.
const PARAMETERS: u8 = 0xa0;

/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.132.0.35
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// 1.3.132.0.10
const SECP256K1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];

/// Tells what `der` is.
pub(super) fn identify(der: &[u8]) -> Der {
    let Some((SEQUENCE, length, inner)) = header(der) else { return Der::Unknown };
    // A private key begins with its version, what names an algorithm with a sequence that begins with its identifier.
    // A random text that begins so is one in many millions.
    let versioned = matches!(inner, [INTEGER, 1, 0 | 1, ..]);
    let named = header(inner).is_some_and(|(tag, _, rest)| tag == SEQUENCE && rest.first() == Some(&OBJECT));
    if !versioned && !named {
        return Der::Unknown;
    }
    let want = der.len() - inner.len() + length;
    if der.len() != want {
        return Der::Size { have: der.len(), want };
    }
    if versioned { private(inner) } else { algorithm_first(inner) }.unwrap_or(Der::Garbled)
}

/// What follows a version: SEC1 has the key next, PKCS#8 the algorithm, PKCS#1 the modulus.
fn private(inner: &[u8]) -> Option<Der> {
    let (_, _, rest) = element(inner)?;
    let (tag, content, rest) = element(rest)?;
    match tag {
        OCTET_STRING => Some(match element(rest) {
            Some((PARAMETERS, parameters, _)) => curve(parameters)?,
            _ => curve_by_size(content.len()),
        }),
        SEQUENCE => {
            let (_, algorithm, parameters) = element(content)?;
            match algorithm {
                EC => curve(parameters),
                ED25519 => Some(Der::Ed25519),
                RSA => Some(Der::Foreign("an RSA key")),
                _ => Some(Der::Foreign("a key of another algorithm")),
            }
        }
        INTEGER => Some(Der::Foreign("an RSA key")),
        _ => None,
    }
}

/// What follows an algorithm: a public key's bits, or what a passphrase encrypted.
fn algorithm_first(inner: &[u8]) -> Option<Der> {
    let (_, _, rest) = element(inner)?;
    let (tag, _, _) = element(rest)?;
    Some(if tag == OCTET_STRING { Der::Encrypted } else { Der::Public })
}

fn curve(parameters: &[u8]) -> Option<Der> {
    let (_, object, _) = element(parameters)?;
    Some(match object {
        P256 => Der::P256,
        P384 => Der::Curve("P-384"),
        P521 => Der::Curve("P-521"),
        SECP256K1 => Der::Curve("secp256k1"),
        _ => Der::Curve("another curve"),
    })
}

/// SEC1 may leave the curve out; what the number's size allows is left to aws-lc to try.
fn curve_by_size(bytes: usize) -> Der {
    match bytes {
        48 => Der::Curve("P-384"),
        66 => Der::Curve("P-521"),
        _ => Der::P256,
    }
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, rest) = header(bytes)?;
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Tag, promised length and all that follows the header. No key is longer than two bytes of length can say.
fn header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    match *bytes {
        [tag, length @ 0..=0x7f, ref rest @ ..] | [tag, 0x81, length, ref rest @ ..] => {
            Some((tag, usize::from(length), rest))
        }
        [tag, 0x82, high, low, ref rest @ ..] => Some((tag, usize::from(u16::from_be_bytes([high, low])), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        encoding::AsDer,
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
            ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        },
    };

    use super::*;

    #[test]
    fn every_curve_is_named_in_both_forms() {
        for (algorithm, der) in [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, Der::P256),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, Der::Curve("P-384")),
            (&ECDSA_P521_SHA512_FIXED_SIGNING, Der::Curve("P-521")),
            (&ECDSA_P256K1_SHA256_ASN1_SIGNING, Der::Curve("secp256k1")),
        ] {
            let pair = EcdsaKeyPair::generate(algorithm).expect("generates");
            assert_eq!(identify(pair.private_key().as_der().expect("writes").as_ref()), der);
            assert_eq!(identify(pair.to_pkcs8v1().expect("writes").as_ref()), der);
            assert_eq!(identify(pair.public_key().as_der().expect("writes").as_ref()), Der::Public);
        }
        let pair = Ed25519KeyPair::generate().expect("generates");
        assert_eq!(identify(pair.to_pkcs8v1().expect("writes").as_ref()), Der::Ed25519);
        assert_eq!(identify(pair.to_pkcs8().expect("writes").as_ref()), Der::Ed25519);
        assert_eq!(identify(pair.public_key().as_der().expect("writes").as_ref()), Der::Public);
    }

    #[test]
    fn a_cut_key_says_how_much_of_it_is_there() {
        let der = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("generates");
        let der = der.to_pkcs8v1().expect("writes");
        let der = der.as_ref();
        for have in 8..der.len() {
            assert_eq!(identify(&der[..have]), Der::Size { have, want: der.len() });
        }
        assert_eq!(identify(&[der, b"x"].concat()), Der::Size { have: der.len() + 1, want: der.len() });
    }

    #[test]
    fn other_keys_are_told_apart() {
        let pkcs1 = [SEQUENCE, 6, INTEGER, 1, 0, INTEGER, 1, 3];
        assert_eq!(identify(&pkcs1), Der::Foreign("an RSA key"));
        let encrypted = [SEQUENCE, 8, SEQUENCE, 3, OBJECT, 1, 42, OCTET_STRING, 1, 0];
        assert_eq!(identify(&encrypted), Der::Encrypted);
        assert_eq!(identify(&[SEQUENCE, 5, INTEGER, 1, 0, SEQUENCE, 9]), Der::Garbled);
        for odd in [&[][..], &[SEQUENCE], &[SEQUENCE, 0], &[SEQUENCE, 0x84, 1, 1, 1, 1], b"0123456789"] {
            assert_eq!(identify(odd), Der::Unknown, "{odd:?}");
        }
    }
}
