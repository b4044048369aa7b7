//! Credentials, examined where they lie: nothing is sent.

use super::{Finding, Mistake as M};
use crate::{
    auth::{Credentials, Mended, Scheme, Secret, Signer, Stamp, key::KeyError},
    venue::Venue,
};

/// A key that could not be read, as the mistake that it is.
#[must_use]
pub fn of_key_error(error: &KeyError) -> Finding {
    let mistake = match error {
        KeyError::NoKey | KeyError::NoSecret | KeyError::Placeholder(_) | KeyError::Missing(_) => M::Placeholder,
        KeyError::Swapped | KeyError::NameAsSecret | KeyError::PrivateAsKey => M::Swapped,
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
        | KeyError::FileAsSecret
        | KeyError::NotAKeyFile { .. } => M::FlattenedPem,
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
        Signer::Hmac(secret) if is_exchanges(credentials.key(), secret.expose()) => found.push(Finding::wrong(
            M::OtherVenuesKey,
            format!("credentials \"{name}\" have the form of an Exchange key; {} does not know it", venue.name),
        )),
        Signer::Hmac(_) => found.push(Finding::wrong(
            M::LegacyKey,
            format!(
                "credentials \"{name}\" are an HMAC key: Coinbase expired those of Advanced Trade in February 2025"
            ),
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

/// An Exchange key is 32 hex digits, its secret base64 of 64 bytes.
fn is_exchanges(key: &str, secret: &str) -> bool {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let hex = key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit());
    hex || STANDARD.decode(secret).is_ok_and(|bytes| bytes.len() == 64)
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
