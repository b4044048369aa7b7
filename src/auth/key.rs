//! The shapes in which people hold their keys, and what is wrong with those that can not sign. What a secret is, its bytes
//! say: not its label, not its length alone, and never a guess that hides a broken key behind another scheme.

use std::fmt;

use super::{
    Scheme, Secret, Signer, cdp,
    der::{self, Der},
    hmac, jwt,
    pem::{self, Mended},
};

/// A legacy Advanced Trade key is 16 letters and digits, its secret 32.
const LEGACY_KEY: usize = 16;
/// See [`LEGACY_KEY`].
pub(super) const LEGACY_SECRET: usize = 32;

/// Why a key can not be used: says what it is and what to do, never the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// There is no key id.
    NoKey,
    /// There is no secret.
    NoSecret,
    /// The key id has characters that can not be shown, or that no message of a venue has.
    Unprintable,
    /// `YOUR_KEY`, `xxxx`, `${SECRET}`: which of the two was never filled in.
    Placeholder(&'static str),
    /// Each is where the other belongs.
    Swapped,
    /// The secret is a key's name.
    NameAsSecret,
    /// The key id is a private key.
    PrivateAsKey,
    /// The passphrase has characters that no header can carry.
    OddPassphrase,
    /// The passphrase is an Exchange key, and the key is none.
    KeyAsPassphrase,
    /// The secret is a whole key file.
    FileAsSecret,
    /// The secret is a PEM, and the scheme is HMAC.
    PemAsHmac,
    /// A public key was pasted.
    Public,
    /// The key needs a passphrase.
    Encrypted,
    /// A key of a kind that Coinbase does not take, with its article.
    Foreign(&'static str),
    /// An EC key on this curve.
    Curve(&'static str),
    /// The key is not as long as it says: bytes that are there, and that should be.
    Size {
        /// Bytes that are there.
        have: usize,
        /// Bytes that should be there.
        want: usize,
    },
    /// Base64 of so many bytes, which is no key.
    Length(usize),
    /// The public half is of another key.
    HalvesDiffer,
    /// A PEM's first line without the others.
    FirstLineOnly,
    /// PEM markers around something else than base64.
    NotBase64,
    /// It has a key's form and can not sign.
    Damaged,
    /// A shared secret of the kind that Coinbase no longer takes.
    Legacy,
    /// Text of so many characters that is no key at all.
    NotAKey(usize),
    /// The key file is not JSON of the expected kind, from here on.
    NotAKeyFile {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The key file lacks this member.
    Missing(&'static str),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str(
                "the key is empty: it is the key's name (organizations/…/apiKeys/…) or id, as the CDP portal shows it",
            ),
            Self::NoSecret => f.write_str("the secret is empty: it is the private key that belongs to the key's name"),
            Self::Unprintable => f.write_str(
                "the key has characters that no key's name has (control characters, or letters beyond ASCII): copy or type it again",
            ),
            Self::Placeholder(which) => write!(f, "the {which} is a placeholder that was never filled in"),
            Self::Swapped => f.write_str("key and secret are swapped: key is the name, secret is the private key"),
            Self::NameAsSecret => {
                f.write_str("the secret is a key's name or id: it must be the private key that belongs to that name")
            }
            Self::PrivateAsKey => {
                f.write_str("the key is a private key: it must be the key's name (organizations/…/apiKeys/…) or id")
            }
            Self::OddPassphrase => f.write_str(
                "the passphrase has a line break or another control character in it, which no header can carry: copy it again",
            ),
            Self::KeyAsPassphrase => f.write_str(
                "key and passphrase are swapped: the key is the one of 32 hex digits, and the passphrase was chosen when it was made",
            ),
            Self::FileAsSecret => {
                f.write_str("the secret is a whole JSON file: name the file as key_file, or give its privateKey alone")
            }
            Self::PemAsHmac => f.write_str(
                "the scheme is \"hmac\" and the secret a PEM, which is a CDP key: say scheme = \"jwt\", or leave it out",
            ),
            Self::Public => f.write_str(
                "the secret is a public key: signing takes the private one (-----BEGIN EC PRIVATE KEY-----, or the \
                 base64 of an Ed25519 key), which the CDP portal shows once, when the key is made",
            ),
            Self::Encrypted => f.write_str(
                "the secret is a key that needs a passphrase, and tickerd does not ask for one: store it without, as \
                 the CDP portal gave it out",
            ),
            Self::Foreign(what) => {
                write!(f, "the secret is {what}: Coinbase takes EC keys on P-256 and Ed25519 keys; make one in the CDP portal")
            }
            Self::Curve(curve) => write!(
                f,
                "the secret is an EC key on {curve}: Coinbase takes only P-256; use the key that the CDP portal made"
            ),
            Self::Size { have, want } if have < want => write!(
                f,
                "the secret is cut off: {have} of the key's {want} bytes are there; copy it again, to its last line"
            ),
            Self::Size { have, want } => {
                write!(f, "the secret has {} bytes after the key's {want}: copy the key again, alone", have - want)
            }
            Self::Length(bytes) => write!(
                f,
                "the secret is base64 of {bytes} bytes, which is no key: an Ed25519 key has 32 bytes, or 64 with its \
                 public half; copy it again, whole"
            ),
            Self::HalvesDiffer => f.write_str(
                "the secret is damaged: its 64 bytes are no Ed25519 key with its public half; copy it again. (If it is \
                 a shared secret, say scheme = \"hmac\")",
            ),
            Self::FirstLineOnly => f.write_str(
                "the secret is only the first line of a PEM: whatever read it stopped at the line break; write it on one \
                 line, with \\n for each break, or keep it in a file",
            ),
            Self::NotBase64 => f.write_str(
                "the secret is damaged: what stands between its PEM markers is no base64; copy it again, from \
                 -----BEGIN to the end of the last line",
            ),
            Self::Damaged => {
                f.write_str("the secret is damaged: it begins as a private key does, but can not sign; copy it again")
            }
            Self::Legacy => f.write_str(
                "the secret is a legacy HMAC secret, and Coinbase expired all of those in February 2025: make a CDP \
                 key. (For a venue that still takes it, say scheme = \"hmac\")",
            ),
            Self::NotAKey(characters) => write!(
                f,
                "the secret is no private key: {characters} characters that are neither PEM nor the base64 of one; use \
                 what the CDP portal showed when the key was made. (If it is a shared secret, say scheme = \"hmac\")"
            ),
            Self::NotAKeyFile { line, column } => write!(
                f,
                "it is no key file (line {line}, column {column}): it must be the CDP portal's JSON with name or id, and \
                 privateKey. (A PEM file goes under secret, with its name under key)"
            ),
            Self::Missing(member) => {
                write!(f, "the key file has no {member}: it must be the CDP portal's JSON, unchanged")
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// What was read.
pub(super) struct Reading {
    /// The key id, as the venue knows it.
    pub key: String,
    /// What signs.
    pub signer: Signer,
    /// What had to be set right on the way.
    pub mended: Vec<Mended>,
}

/// Key id and signer out of what the user holds.
pub(super) fn read(scheme: Scheme, key: &str, secret: &Secret) -> Result<Reading, KeyError> {
    let mut mended = Vec::new();
    let key = pem::trim(key, &mut mended);
    let secret = secret.expose();
    let shared = pem::trim(secret, &mut Vec::new());
    for (which, text, none) in [("key", key, KeyError::NoKey), ("secret", shared, KeyError::NoSecret)] {
        if text.is_empty() {
            return Err(none);
        }
        if is_placeholder(text) {
            return Err(KeyError::Placeholder(which));
        }
    }
    // The Exchange's, each in the other's place: the secret would be shown, and sent.
    if is_exchanges_secret(key) && (scheme == Scheme::Hmac || is_exchanges_key(shared)) {
        return Err(KeyError::Swapped);
    }
    let printable = |c: char| c.is_ascii() && !c.is_ascii_control();
    // A private key in the key's place is told as that.
    if !key.chars().all(printable) && !is_private(key) {
        return Err(KeyError::Unprintable);
    }
    let signer = match scheme {
        Scheme::Jwt => Signer::Jwt(private(key, secret, &mut mended)?),
        Scheme::Hmac => Signer::Hmac(plain(key, secret.trim_matches(pem::is_blank))?),
        Scheme::Auto => {
            let mut notes = Vec::new();
            match private(key, secret, &mut notes) {
                Ok(private) => {
                    mended.append(&mut notes);
                    Signer::Jwt(private)
                }
                // What was meant as a private key does not become a shared secret for being broken, nor does anything
                // that goes with a CDP key's name: hummingbot falls back so, and each try is then refused unexplained.
                Err(KeyError::Legacy | KeyError::NotAKey(_)) if !is_name(key) => {
                    pem::trim(secret, &mut mended);
                    Signer::Hmac(plain(key, shared)?)
                }
                // Base64 of 64 bytes, and a key that no CDP key is called like: nothing was damaged.
                Err(KeyError::HalvesDiffer) if is_exchanges(key, shared) => Signer::Hmac(plain(key, shared)?),
                Err(fault) => return Err(fault),
            }
        }
    };
    // Key and secret may both have had the same mended.
    mended.sort_unstable();
    mended.dedup();
    Ok(Reading { key: key.to_owned(), signer, mended })
}

/// A shared secret.
fn plain(key: &str, secret: &str) -> Result<hmac::Key, KeyError> {
    if pem::block(secret).is_some() {
        return Err(KeyError::PemAsHmac);
    }
    if is_alphanumeric(key, LEGACY_SECRET) && is_alphanumeric(secret, LEGACY_KEY) {
        return Err(KeyError::Swapped);
    }
    Ok(hmac::Key::new(secret))
}

/// A CDP key, unless the two were mixed up.
fn private(key: &str, secret: &str, mended: &mut Vec<Mended>) -> Result<jwt::Key, KeyError> {
    let trimmed = pem::trim(secret, mended);
    if trimmed.contains('\\') {
        mended.push(Mended::EscapedNewlines);
    }
    let unescaped = pem::unescape(trimmed);
    // What was escaped may have been blanks and quotes at the ends: those are not worth a note of their own.
    let text = pem::trim(&unescaped, &mut Vec::new());
    match (is_name(text), is_private(key)) {
        (true, true) => Err(KeyError::Swapped),
        (true, false) => Err(KeyError::NameAsSecret),
        (false, true) => Err(KeyError::PrivateAsKey),
        (false, false) => cdp::read(text, mended),
    }
}

/// Whether a pair has the form of Coinbase Exchange's, which has a passphrase beside it: a key of 32 hex digits, and a secret
/// that is base64 of 64 bytes.
#[must_use]
pub fn is_exchanges(key: &str, secret: &str) -> bool {
    is_exchanges_key(key) && is_exchanges_secret(secret)
}

/// Its first half.
pub(crate) fn is_exchanges_key(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Its second half: nothing of it says more than its length.
pub(crate) fn is_exchanges_secret(text: &str) -> bool {
    pem::decode(text).is_some_and(|decoded| decoded.bytes.len() == 64)
}

/// Whether a key id is a private key in one of its shapes.
fn is_private(key: &str) -> bool {
    let is_key = |bytes: &[u8]| matches!(bytes.len(), 32 | 64) || der::identify(bytes) != Der::Unknown;
    pem::block(key).is_some() || !is_name(key) && pem::decode(key).is_some_and(|decoded| is_key(&decoded.bytes))
}

/// Whether it is a CDP key's name, or its id.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with("organizations/") && text.contains("apiKeys/") || is_uuid(text)
}

/// Whether it has the form of a UUID: the newer keys' ids are some, and so are accounts' ids.
pub(crate) fn is_uuid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// Whether it stands where a value was to be filled in.
pub(crate) fn is_placeholder(text: &str) -> bool {
    /// How examples begin what their reader must replace, in letters alone.
    const BEGINNINGS: &[&str] = &["your", "changeme", "replaceme", "replacewith", "placeholder", "insert", "paste"];
    /// What languages call nothing, and what examples call the thing itself, in letters alone.
    const WORDS: &[&str] = &[
        "none",
        "null",
        "nil",
        "undefined",
        "todo",
        "apikey",
        "apisecret",
        "myapikey",
        "myapisecret",
        "apikeyhere",
        "apisecrethere",
    ];
    let variable =
        ["<", "$", "{{", "%", "process.env", "os.environ", "os.getenv"].iter().any(|mark| text.starts_with(mark));
    let lower = text.to_ascii_lowercase();
    let named = ["organizations/", "apikeys/"].iter().any(|part| {
        lower.split(part).skip(1).any(|rest| ["{", "<", "xxx", "your", "..."].iter().any(|mark| rest.starts_with(mark)))
    });
    let letters = || text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase());
    // "xxxx", "***"; a single letter may be somebody's idea of a test.
    let same = letters().count() != 1 && letters().all(|c| letters().next() == Some(c));
    let begins = |beginning: &&str| letters().take(beginning.len()).eq(beginning.chars());
    variable || named || same || BEGINNINGS.iter().any(begins) || WORDS.iter().any(|word| letters().eq(word.chars()))
}

/// Whether it is so many ASCII letters and digits and nothing else.
pub(crate) fn is_alphanumeric(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
