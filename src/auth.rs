//! Credentials in, signatures out. Pure: the time and the randomness of a signature come as a [`Stamp`]; ECDSA's own
//! nonce is the one exception.

mod cdp;
mod der;
pub mod hmac;
pub mod jwt;
pub mod key;
mod key_file;
mod ledger;
mod pem;
mod secret;

pub use key_file::KeyFile;
pub use ledger::Ledger;
pub use pem::Mended;
pub use secret::Secret;

use std::fmt;

use key::KeyError;

/// A key that a venue knows, with what it takes to sign for it. `Debug` shows the name and the scheme, never the secret.
pub struct Credentials {
    name: String,
    key: String,
    signer: Signer,
    mended: Vec<Mended>,
    allowed_ips: Vec<String>,
    passphrase: Option<Secret>,
}

/// How messages are signed: what the secret is decides, not what it is called.
pub enum Signer {
    /// A shared secret; the venue says over what, and in which encoding.
    Hmac(hmac::Key),
    /// A CDP private key, ES256 or `EdDSA`; each message carries a token of its own.
    Jwt(jwt::Key),
}

/// What the configuration says of the scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// What the secret is.
    #[default]
    Auto,
    /// A CDP key; anything else is refused.
    Jwt,
    /// A shared secret, taken as it is.
    Hmac,
}

/// One reading of the clock and of the random generator, taken together when a message can be sent.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Seconds since 1970 by the wall clock.
    pub unix: u64,
    /// Milliseconds of the second, for venues that take decimals.
    pub millis: u16,
    /// What makes a token the only one of its kind.
    pub nonce: [u8; 16],
}

impl Credentials {
    /// Reads `key` and `secret` in whatever shape their owner holds them. `name` is what the configuration calls them.
    ///
    /// # Errors
    /// When the secret can not sign: what is wrong with it and what to do, never the secret itself.
    pub fn new(name: &str, scheme: Scheme, key: &str, secret: &Secret) -> Result<Self, KeyError> {
        let key::Reading { key, signer, mended } = key::read(scheme, key, secret)?;
        Ok(Self { name: name.to_owned(), key, signer, mended, allowed_ips: Vec::new(), passphrase: None })
    }

    /// Reads the JSON that the CDP portal hands out (`name` or `id`, and `privateKey`), or a [`KeyFile`] of another kind.
    ///
    /// # Errors
    /// As [`Credentials::new`], and when the text is not such a file.
    pub fn from_key_file(name: &str, json: &Secret) -> Result<Self, KeyError> {
        KeyFile::read(json)?.credentials(name)
    }

    /// What the configuration calls them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half: what the venue knows the key by.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What signs.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// What had to be set right in them before they could be read; empty for a key as Coinbase hands it out.
    #[must_use]
    pub fn mended(&self) -> &[Mended] {
        &self.mended
    }

    /// The addresses from which alone the venue takes the key, as far as its file says; empty: any.
    #[must_use]
    pub fn allowed_ips(&self) -> &[String] {
        &self.allowed_ips
    }

    /// What some venues want beside a shared secret: their owner chose it, and it travels with each signature.
    #[must_use]
    pub fn passphrase(&self) -> Option<&Secret> {
        self.passphrase.as_ref()
    }

    /// Whether what these sign those would sign, found out by signing.
    #[must_use]
    pub fn sign_as(&self, other: &Self) -> bool {
        const NOTHING: Stamp = Stamp { unix: 0, millis: 0, nonce: [0; 16] };
        let of = |credentials: &Self| credentials.passphrase().map(|passphrase| passphrase.expose().to_owned());
        let signs = match (&self.signer, &other.signer) {
            (Signer::Hmac(ours), Signer::Hmac(theirs)) => theirs.verifies("", &ours.sign("")),
            (Signer::Jwt(ours), Signer::Jwt(theirs)) => theirs.verifies(&ours.token(&self.key, None, &NOTHING)),
            _ => false,
        };
        signs && self.key == other.key && of(self) == of(other)
    }

    /// `HMAC-SHA256`, `ES256` or `EdDSA`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match &self.signer {
            Signer::Hmac(_) => "HMAC-SHA256",
            Signer::Jwt(key) => key.algorithm().name(),
        }
    }
}

/// Whether a text that was meant to be something else holds a secret: a PEM, whole or in part, what alone can be read as a
/// private key, or what has a shared secret's form, 32 letters and digits with both among them, or base64 of 64 bytes with
/// its padding, as the Exchange's. It must not be shown.
#[must_use]
pub fn is_secret(text: &str) -> bool {
    /// The shortest is an Ed25519 seed, 43 characters of base64; no option of ours is as long as that and no path.
    const SHORTEST: usize = 43;
    let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
    let shared =
        key::is_alphanumeric(text, key::LEGACY_SECRET) && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    let exchanges = text.ends_with("==") && key::is_exchanges_secret(text);
    shared
        || exchanges
        || text.contains("PRIVATE KEY")
        || (text.len() >= SHORTEST && cdp::read(text, &mut Vec::new()).is_ok())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, {}, [redacted])", self.name, self.algorithm())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCHEMES: [Scheme; 3] = [Scheme::Auto, Scheme::Jwt, Scheme::Hmac];

    /// Text that is nearly a key: what keys are made of, in any order, with anything between.
    fn nearly_a_key() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("-----BEGIN EC PRIVATE KEY-----".to_owned()),
            Just("-----END PRIVATE KEY-----".to_owned()),
            Just("BEGIN ".to_owned()),
            Just("--".to_owned()),
            Just("MHcCAQEEI".to_owned()),
            Just("MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg".to_owned()),
            Just("MC4CAQAwBQYDK2VwBCIEI".to_owned()),
            Just("MFkwEwYHKoZIzj0CAQYI".to_owned()),
            "[A-Za-z0-9+/]{0,90}={0,2}",
            "[A-Za-z0-9_-]{43}",
            "[\\\\nrtu0-9\"' {}]{0,6}",
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    fn windows(text: &str) -> Vec<String> {
        let text: Vec<_> = text.chars().collect();
        let windows = text.windows(8).map(|window| window.iter().collect::<String>());
        // The messages name the PEM markers themselves; no eight of their characters are without blank or hyphen.
        windows.filter(|window| !window.contains([' ', '-'])).collect()
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic_or_an_error_show_it(key in nearly_a_key(), secret in nearly_a_key()) {
            for scheme in SCHEMES {
                for key in [key.as_str(), "organizations/a/apiKeys/b", "k"] {
                    let Err(error) = Credentials::new("main", scheme, key, &Secret::new(secret.clone())) else { continue };
                    let said = format!("{error} {error:?}");
                    for window in windows(&secret).into_iter().chain(windows(key)) {
                        let of_the_message = "organizations/…/apiKeys/…".contains(&window) || "organizations/a/apiKeys/b".contains(&window);
                        prop_assert!(of_the_message || !said.contains(&window), "{said}");
                    }
                }
            }
        }

        #[test]
        fn no_key_file_makes_reading_panic(text in nearly_a_key(), member in nearly_a_key()) {
            let file = serde_json::json!({"id": "u", "privateKey": member}).to_string();
            for json in [text, file] {
                if let Err(error) = Credentials::from_key_file("main", &Secret::new(json.clone())) {
                    prop_assert!(!windows(&member).iter().any(|window| error.to_string().contains(window)));
                }
            }
        }

        #[test]
        fn a_whole_key_survives_any_wrapping(
            seed in any::<[u8; 32]>(),
            quote in "[\"'`]?",
            blanks in "[ \\t\r\n\u{200b}]{0,4}",
            every in 1_usize..80,
            break_ in prop_oneof![Just("\n"), Just("\r\n"), Just(" "), Just("\\n"), Just("\\\\n"), Just("\\r\\n")],
        ) {
            use base64::{Engine, engine::general_purpose::STANDARD};
            let plain = STANDARD.encode(seed);
            let lines: Vec<_> = plain.as_bytes().chunks(every).map(String::from_utf8_lossy).collect();
            let wrapped = format!("{blanks}{quote}{}{quote}{blanks}", lines.join(break_));
            let credentials = Credentials::new("main", Scheme::Auto, "k", &Secret::new(wrapped)).expect("a key");
            let stamp = Stamp { unix: 1_700_000_000, millis: 0, nonce: [0; 16] };
            let Signer::Jwt(key) = credentials.signer() else { panic!("a shared secret") };
            // Ed25519 signs alike each time, so equal tokens are equal keys.
            prop_assert_eq!(key.token("k", None, &stamp), jwt::Key::from_seed(&seed).expect("a key").token("k", None, &stamp));
        }
    }

    #[test]
    fn debug_shows_neither_key_nor_secret() {
        let secret = Secret::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl".to_owned());
        let credentials = Credentials::new("main", Scheme::Hmac, "aLegacyKeyOf16Ch", &secret).expect("a secret");
        assert_eq!(format!("{credentials:?}"), "Credentials(main, HMAC-SHA256, [redacted])");
    }
}
