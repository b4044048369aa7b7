//! Credentials, examined where they lie: nothing is sent.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{Finding, Mistake as M};
use crate::{
    auth::{
        Credentials, Mended, Scheme, Secret, Signer, Stamp, hmac,
        key::{KeyError, is_alphanumeric, is_exchanges_key, is_exchanges_secret, is_placeholder},
    },
    venue::Venue,
};

/// A key that could not be read, as the mistake that it is.
#[must_use]
pub fn of_key_error(error: &KeyError) -> Finding {
    let mistake = match error {
        KeyError::NoKey | KeyError::NoSecret | KeyError::Placeholder(_) => M::Placeholder,
        KeyError::NotAKeyFile { .. } | KeyError::Missing(_) => M::KeyFile,
        KeyError::OddPassphrase => M::Passphrase,
        KeyError::Swapped | KeyError::KeyAsPassphrase | KeyError::NameAsSecret | KeyError::PrivateAsKey => M::Swapped,
        // The Exchange's secrets are base64 of 64 bytes: what looks like an Ed25519 key whose halves differ.
        KeyError::HalvesDiffer => M::OtherVenuesKey,
        KeyError::Unprintable => M::StrayWhiteSpace,
        KeyError::Public => M::PublicKey,
        KeyError::PemAsHmac | KeyError::Foreign(_) => M::WrongAlgorithm,
        KeyError::Curve(_) => M::SignatureForm,
        KeyError::FirstLineOnly
        | KeyError::NotBase64
        | KeyError::Damaged
        | KeyError::Encrypted
        | KeyError::FileAsSecret => M::FlattenedPem,
        KeyError::Size { .. } | KeyError::Length(_) | KeyError::NotAKey(_) => M::BareBase64,
        KeyError::Legacy => M::LegacyKey,
    };
    Finding::wrong(mistake, error.to_string())
}

/// What can be said of credentials that can sign.
#[must_use]
pub fn of_credentials(credentials: &Credentials, venue: &Venue, now: u64) -> Vec<Finding> {
    let (name, mut found) = (credentials.name(), Vec::new());
    match credentials.signer() {
        Signer::Hmac(_) if venue.hmac.passphrase => found.extend(with_passphrase(credentials, venue)),
        Signer::Hmac(secret) if credentials.passphrase().is_some() || is_exchanges(credentials.key(), secret) => {
            found.push(Finding::wrong(
                M::OtherVenuesKey,
                format!("credentials \"{name}\" have the form of an Exchange key; {} does not know it", venue.name),
            ));
        }
        Signer::Hmac(_) => found.push(Finding::wrong(
            M::LegacyKey,
            format!(
                "credentials \"{name}\" are an HMAC key: Coinbase expired those of Advanced Trade in February 2025"
            ),
        )),
        Signer::Jwt(_) if !venue.tokens => found.push(Finding::wrong(
            M::OtherVenuesKey,
            format!("credentials \"{name}\" are Advanced Trade's, which sign tokens; {} takes none", venue.name),
        )),
        Signer::Jwt(key) => {
            let token = key.token(credentials.key(), None, &Stamp { unix: now, millis: 0, nonce: [0; 16] });
            if !key.verifies(&token) {
                found.push(Finding::wrong(
                    M::BadToken,
                    format!("credentials \"{name}\" made a token that they do not verify"),
                ));
            }
        }
    }
    found.extend(credentials.mended().iter().map(|mended| {
        let mistake = match mended {
            Mended::EscapedNewlines => M::EscapedNewlines,
            Mended::Quotes => M::FlattenedPem,
            Mended::WhiteSpace => M::StrayWhiteSpace,
        };
        Finding::noted(mistake, format!("credentials \"{name}\" have {mended}: set right here, other clients may fail"))
    }));
    found
}

/// A shared secret where a passphrase belongs to it: which of the three is missing, or is another's.
fn with_passphrase(credentials: &Credentials, venue: &Venue) -> Vec<Finding> {
    let Signer::Hmac(secret) = credentials.signer() else { return Vec::new() };
    let (name, key, secret) = (credentials.name(), credentials.key(), secret.expose());
    let wrong = |mistake, what: &str| vec![Finding::wrong(mistake, format!("credentials \"{name}\": {what}"))];
    let fits = venue.fits(credentials);
    let Some(passphrase) = credentials.passphrase().map(Secret::expose) else {
        return match fits {
            _ if is_legacy(key, secret) => {
                wrong(M::OtherVenuesKey, "they have the form of a legacy Advanced Trade key")
            }
            Err(unfit) => wrong(M::Passphrase, &unfit.to_string()),
            Ok(()) => Vec::new(),
        };
    };
    let mut found = if passphrase == secret {
        wrong(M::Swapped, "the secret stands in the passphrase's place too, and would be sent: correct it before")
    } else if passphrase == key {
        wrong(M::Swapped, "the key stands in the passphrase's place too")
    } else if is_exchanges_secret(passphrase) && !is_exchanges_secret(secret) {
        wrong(M::Swapped, "secret and passphrase are swapped: the secret is the one of 88 characters")
    } else if is_placeholder(passphrase) {
        wrong(M::Placeholder, "the passphrase is a placeholder that was never filled in")
    } else if is_hex(secret) {
        // Hex digits are base64 as well, of bytes that nobody meant.
        wrong(M::BareBase64, "the secret is hex; the Exchange's are base64")
    } else if let Err(unfit) = fits {
        wrong(M::BareBase64, &unfit.to_string())
    } else if let Some(bytes) = STANDARD.decode(secret).ok().map(Zeroizing::new).filter(|bytes| bytes.len() != 64) {
        // Its length is what was seen, and is not documented.
        let bytes = bytes.len();
        let what = format!(
            "credentials \"{name}\": the secret is base64 of {bytes} bytes where 64 were always seen: is it whole?"
        );
        vec![Finding::possible(M::BareBase64, what)]
    } else {
        Vec::new()
    };
    // Of a JSON it is taken as it stands there, for whoever made the key may have meant it so.
    if passphrase.trim() != passphrase {
        let what =
            format!("credentials \"{name}\": there is white space around the passphrase, and it is sent with it");
        found.push(Finding::possible(M::StrayWhiteSpace, what));
    }
    found
}

/// An Exchange key is 32 hex digits, its secret base64 of 64 bytes.
fn is_exchanges(key: &str, secret: &hmac::Key) -> bool {
    is_exchanges_key(key) || is_exchanges_secret(secret.expose())
}

/// So many hex digits in a row no base64 has by chance.
fn is_hex(secret: &str) -> bool {
    secret.len() >= 32 && secret.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A legacy Advanced Trade key is 16 letters and digits, its secret 32.
fn is_legacy(key: &str, secret: &str) -> bool {
    is_alphanumeric(key, 16) && is_alphanumeric(secret, 32)
}

/// A key file that binds its key to addresses (`allowedIps`).
#[must_use]
pub fn allowed_ips<T: AsRef<str>>(ips: &[T]) -> Option<Finding> {
    (!ips.is_empty()).then(|| {
        let what = format!(
            "the key file binds the key to {}: from elsewhere it is refused",
            ips.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
        );
        Finding::possible(M::AllowedIps, what)
    })
}

/// What the variables that Coinbase's own clients read would make of these credentials. Values are compared and not shown.
#[must_use]
pub fn shadowed(credentials: &Credentials, variables: &[(impl AsRef<str>, impl AsRef<str>)]) -> Vec<Finding> {
    let other = |name: &str, value: &str| match name {
        "COINBASE_API_KEY" => value.trim() != credentials.key(),
        "COINBASE_API_SECRET" => !is_secret_of(credentials, value),
        _ => false,
    };
    let variables = variables.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let found = variables.filter(|(name, value)| !value.is_empty() && other(name, value));
    found
        .map(|(name, _)| {
            let of = credentials.name();
            Finding::possible(M::Shadowed, format!("${name} is set and is not what credentials \"{of}\" hold"))
        })
        .collect()
}

/// Whether the secret of these stands in a text that is sent, as it is or as a part of something.
pub(super) fn are_told(credentials: &Credentials, sent: &str) -> bool {
    /// A shorter one may stand in any text by chance.
    const SHORTEST: usize = 8;
    /// No private key is shorter, and to try each word takes time.
    const SHORTEST_KEY: usize = 40;
    match credentials.signer() {
        Signer::Hmac(key) => {
            let secret = key.expose().trim_end_matches('=');
            secret.len() >= SHORTEST && sent.contains(secret)
        }
        Signer::Jwt(_) => {
            let mut words = sent.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ':'));
            sent.contains("PRIVATE KEY-----")
                || words.any(|word| word.len() >= SHORTEST_KEY && is_secret_of(credentials, word))
        }
    }
}

fn is_secret_of(credentials: &Credentials, text: &str) -> bool {
    let scheme = match credentials.signer() {
        Signer::Hmac(_) => Scheme::Hmac,
        Signer::Jwt(_) => Scheme::Jwt,
    };
    let other = Credentials::new("", scheme, credentials.key(), &Secret::new(text.to_owned()));
    other.is_ok_and(|other| match (credentials.signer(), other.signer()) {
        (Signer::Hmac(one), Signer::Hmac(other)) => one.expose() == other.expose(),
        (Signer::Jwt(one), Signer::Jwt(other)) => one.public() == other.public(),
        _ => false,
    })
}
