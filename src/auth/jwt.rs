//! CDP tokens: header, claims and one signature, made anew for every message.
//!
//! Source: docs.cdp.coinbase.com, Advanced Trade, WebSocket authentication; a WebSocket token has no `uri` claim, a REST
//! token has one without scheme and query.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::Stamp;

/// How far back a token's validity begins, in seconds. The venue refuses a token whose `nbf` lies in its own future, so a
/// clock that runs ahead of it would lock itself out; NTP keeps a healthy one within a fraction of this, and it takes
/// only as much from the token's life.
pub const SKEW: u64 = 5;

/// From `nbf` to `exp`, in seconds: the two minutes that the venue documents as a token's life. Whether it takes longer
/// ones is not documented, so the skew comes out of them: a token can be used for 115 s after it was made.
pub const LIFE: u64 = 120;

/// Who issues the tokens, in the venue's words.
const ISSUER: &str = "cdp";

/// The two algorithms that Coinbase takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256; the signature is the raw 64 bytes r||s.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// As the token's header says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// A private key that can sign tokens: it has verified a signature of its own when it was made. The bytes are held, and
/// wiped, by aws-lc.
pub struct Key(Pair);

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Key {
    /// An EC key on P-256, SEC1 or PKCS#8. None where it is not one, or its halves disagree.
    pub(super) fn es256(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        Self(Pair::Es256(pair)).proven()
    }

    /// An Ed25519 key in PKCS#8. None where it is not one, or its halves disagree.
    pub(super) fn eddsa(der: &[u8]) -> Option<Self> {
        Self(Pair::EdDsa(Ed25519KeyPair::from_pkcs8(der).ok()?)).proven()
    }

    /// An Ed25519 key from its 32 bytes. Any 32 bytes make one, so None is not to be expected.
    pub(super) fn from_seed(seed: &[u8]) -> Option<Self> {
        Self(Pair::EdDsa(Ed25519KeyPair::from_seed_unchecked(seed).ok()?)).proven()
    }

    fn proven(self) -> Option<Self> {
        const PROBE: &[u8] = b"tickerd";
        self.sign(PROBE).is_some_and(|signature| self.signed(PROBE, &signature)).then_some(self)
    }

    /// The public half: a point of 65 bytes for ES256, 32 bytes for `EdDSA`.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        match &self.0 {
            Pair::Es256(pair) => pair.public_key().as_ref(),
            Pair::EdDsa(pair) => pair.public_key().as_ref(),
        }
    }

    /// Which of the two it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &self.0 {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// A token for one WebSocket message (`uri` None) or one REST request (`uri` "GET api.coinbase.com/…").
    ///
    /// # Panics
    /// Never in practice: only a failing allocation makes aws-lc refuse a key that has signed before.
    #[must_use]
    pub fn token(&self, key_name: &str, uri: Option<&str>, stamp: &Stamp) -> String {
        let nonce = hex::encode(stamp.nonce);
        let header = HeaderOut { alg: self.algorithm().name(), typ: "JWT", kid: key_name, nonce: &nonce };
        let nbf = stamp.unix.saturating_sub(SKEW);
        let claims = ClaimsOut { sub: key_name, iss: ISSUER, nbf, exp: nbf.saturating_add(LIFE), uri };
        let mut token = format!("{}.{}", part(&header), part(&claims));
        let signature =
            self.sign(token.as_bytes()).expect("the key signed when it was made, and nothing in it changes");
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    /// Whether the token names this key's algorithm and was signed by this key. Its times are the caller's to judge.
    #[must_use]
    pub fn verifies(&self, token: &str) -> bool {
        let Some((message, signature)) = token.rsplit_once('.') else { return false };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        Claims::read(token).is_some_and(|claims| claims.algorithm == self.algorithm().name())
            && self.signed(message.as_bytes(), &signature)
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = match &self.0 {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message),
            Pair::EdDsa(pair) => pair.try_sign(message),
        };
        signature.ok().map(|signature| signature.as_ref().to_vec())
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verdict = match &self.0 {
            Pair::Es256(_) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.public()).verify(message, signature)
            }
            Pair::EdDsa(_) => UnparsedPublicKey::new(&ED25519, self.public()).verify(message, signature),
        };
        verdict.is_ok()
    }
}

#[derive(Serialize)]
struct HeaderOut<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
    nonce: &'a str,
}

#[derive(Serialize)]
struct ClaimsOut<'a> {
    sub: &'a str,
    iss: &'a str,
    nbf: u64,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
}

fn part(of: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(of).expect("strings and numbers are always written"))
}

/// What a token says, unverified.
#[derive(Debug)]
pub struct Claims {
    /// Header: `ES256` or `EdDSA`.
    pub algorithm: String,
    /// Header: the key's name.
    pub kid: String,
    /// Header: what makes the token the only one of its kind, in whatever form its maker chose.
    pub nonce: Option<String>,
    /// Claim: the key's name again.
    pub sub: String,
    /// Claim: "cdp".
    pub iss: String,
    /// Claim: not valid before, seconds since 1970.
    pub nbf: u64,
    /// Claim: not valid after, seconds since 1970.
    pub exp: u64,
    /// Claim of REST tokens only.
    pub uri: Option<String>,
}

#[derive(Deserialize)]
struct HeaderIn {
    alg: String,
    kid: String,
    #[serde(default, deserialize_with = "text_or_number")]
    nonce: Option<String>,
}

#[derive(Deserialize)]
struct ClaimsIn {
    sub: String,
    iss: String,
    nbf: u64,
    exp: u64,
    uri: Option<String>,
}

impl Claims {
    /// Reads a token without verifying it. None when it is not one.
    #[must_use]
    pub fn read(token: &str) -> Option<Self> {
        let (header, rest) = token.split_once('.')?;
        let (claims, signature) = rest.split_once('.')?;
        URL_SAFE_NO_PAD.decode(signature).ok()?;
        let header: HeaderIn = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let claims: ClaimsIn = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        Some(Self {
            algorithm: header.alg,
            kid: header.kid,
            nonce: header.nonce,
            sub: claims.sub,
            iss: claims.iss,
            nbf: claims.nbf,
            exp: claims.exp,
            uri: claims.uri,
        })
    }
}

/// Coinbase's own samples write the nonce as hex in one language and as a number in another.
fn text_or_number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Stamp = Stamp { unix: 1_700_000_000, millis: 0, nonce: [0xab; 16] };

    fn keys() -> [Key; 2] {
        let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("generates");
        let ec = ec.to_pkcs8v1().expect("writes");
        [Key::es256(ec.as_ref()).expect("a key"), Key::from_seed(&[7; 32]).expect("a key")]
    }

    #[test]
    fn a_token_says_who_and_when() {
        for key in keys() {
            let claims = Claims::read(&key.token("organizations/a/apiKeys/b", None, &AT)).expect("a token");
            assert_eq!(claims.algorithm, key.algorithm().name());
            assert_eq!((claims.kid.as_str(), claims.sub.as_str()), ("organizations/a/apiKeys/b", claims.kid.as_str()));
            assert_eq!(claims.iss, "cdp");
            assert_eq!(claims.nonce.as_deref(), Some("abababababababababababababababab"));
            assert_eq!((claims.nbf, claims.exp), (1_699_999_995, 1_700_000_115));
            assert_eq!(claims.uri, None, "a WebSocket token has none");

            let rest = key.token("k", Some("GET api.coinbase.com/api/v3/brokerage/accounts"), &AT);
            let uri = Claims::read(&rest).expect("a token").uri;
            assert_eq!(uri.as_deref(), Some("GET api.coinbase.com/api/v3/brokerage/accounts"));
        }
    }

    #[test]
    fn the_header_is_written_as_the_documentation_has_it() {
        let [_, key] = keys();
        let token = key.token("k", None, &AT);
        let parts: Vec<_> =
            token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url, no padding")).collect();
        assert_eq!(parts[0], br#"{"alg":"EdDSA","typ":"JWT","kid":"k","nonce":"abababababababababababababababab"}"#);
        assert_eq!(parts[1], br#"{"sub":"k","iss":"cdp","nbf":1699999995,"exp":1700000115}"#);
        assert_eq!(parts[2].len(), 64);
    }

    #[test]
    fn only_the_key_that_signed_verifies() {
        let [es256, eddsa] = keys();
        for (key, other) in [(&es256, &eddsa), (&eddsa, &es256)] {
            let token = key.token("k", None, &AT);
            assert!(key.verifies(&token));
            assert!(!other.verifies(&token));
            assert!(!Key::from_seed(&[8; 32]).expect("a key").verifies(&token));
            for at in 0..token.len() {
                let mut bent = token.clone().into_bytes();
                bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
                assert!(!key.verifies(&String::from_utf8(bent).expect("ascii")), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let [_, key] = keys();
        for odd in ["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30.e30", "é.é.é"] {
            assert!(Claims::read(odd).is_none(), "{odd}");
            assert!(!key.verifies(odd), "{odd}");
        }
    }

    #[test]
    fn tokens_of_other_makers_are_read() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"kid":"k","alg":"ES256","nonce":1700000000}"#);
        let claims = URL_SAFE_NO_PAD.encode(r#"{"iss":"cdp","sub":"k","nbf":1,"exp":2,"aud":["retail_rest_api"]}"#);
        let read = Claims::read(&format!("{header}.{claims}.AAAA")).expect("a token");
        assert_eq!(read.nonce.as_deref(), Some("1700000000"));
    }

    #[test]
    fn the_first_seconds_of_1970_do_not_underflow() {
        let [_, key] = keys();
        let token = key.token("k", None, &Stamp { unix: 3, ..AT });
        assert_eq!(Claims::read(&token).expect("a token").nbf, 0);
    }
}
