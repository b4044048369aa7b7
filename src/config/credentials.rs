//! Reads credentials from where the configuration says that they are. What goes wrong here is told without them.

use std::{ops::Range, path::Path, sync::Arc};

use toml::Spanned;

use super::{
    Origin, Place,
    draft::{self, Scheme, Source},
    layers::SOURCES,
    review::Review,
    surroundings::{open_to_all, read},
};
use crate::{
    auth::{KeyFile, Secret, Signer, key::KeyError},
    verdict::{self, Mistake},
};

/// The longest key that is read: CDP's have less than 1 kB, and a certificate chain mistaken for one fits still.
pub(super) const LONGEST_SECRET: u64 = 64 << 10;

/// Said once where Advanced Trade is signed for with HMAC.
pub const HMAC_EXPIRED: &str = "the credentials are an HMAC key: Coinbase expired those of Advanced Trade in February \
     2025 and answers \"authentication failure\". Make a CDP key at https://portal.cdp.coinbase.com";

/// Reads the credentials called `name`, which `by` wants.
pub(super) fn review(name: &str, typed: &Spanned<draft::Credentials>, by: &str, review: &mut Review) -> Option<Origin> {
    let section = typed.span();
    let draft = typed.get_ref();
    let known = review.problems.len();
    let (called, by) = (format!("credentials.{name}"), format!("{by} wants it for credentials \"{name}\""));
    let mut reader = Reader { name, section: &called, by: &by, review };
    let origin = match (&draft.key_file, &draft.key, &draft.secret) {
        (Some(file), None, None) => reader.key_file(file, draft),
        (None, Some(key), Some(secret)) => reader.parts(key, secret, draft),
        (Some(file), _, _) => {
            reader.wrong(&file.span(), "key_file", "the file holds key and secret: leave `key` and `secret` out");
            None
        }
        (None, None, Some(_)) => {
            reader.wrong(&section, "", "there is no `key`: write key = \"…\", or where it is to be read from");
            None
        }
        (None, _, None) => {
            let what = format!("there is no `secret`: write secret = {SOURCES}, or key_file = \"cdp_api_key.json\"");
            reader.wrong(&section, "", &what);
            None
        }
    };
    // What is wrong may be a pair that can not sign: then it was said already.
    origin.filter(|_| review.problems.len() == known)
}

/// A text that may hold a secret, and where it is from.
pub(super) fn text(section: &str, key: &str, typed: &Spanned<Source>, review: &mut Review) -> Option<(Secret, String)> {
    let by = format!("{section}.{key} wants it");
    Reader { name: section, section, by: &by, review }.source(typed, key)
}

/// One set of credentials while it is being read.
struct Reader<'r, 'a> {
    name: &'r str,
    /// Where they are configured: "credentials.main".
    section: &'r str,
    /// Who wants them: "feed "x" wants it for credentials "main"".
    by: &'r str,
    review: &'r mut Review<'a>,
}

impl Reader<'_, '_> {
    fn key_file(&mut self, file: &Spanned<String>, draft: &draft::Credentials) -> Option<Origin> {
        let at = file.span();
        if let Some(scheme) = &draft.scheme
            && *scheme.get_ref() == Scheme::Hmac
        {
            self.wrong(&scheme.span(), "scheme", "a key file holds a CDP key: leave `scheme` out");
            return None;
        }
        if looks_like_a_key(file.get_ref()) {
            self.wrong(&at, "key_file", REFUSED);
            return None;
        }
        let path = self.review.beside_the_file(file.get_ref());
        let json = self.file(&at, "key_file", &path)?;
        let from = path.display().to_string();
        let unusable = |error: &KeyError| (format!("{from}: {error}"), verdict::of_key_error(error).mistake);
        let mut key = match KeyFile::read(&json) {
            Ok(key) => key,
            Err(error) => {
                let (what, mistake) = unusable(&error);
                self.mistaken(&at, "key_file", &what, mistake);
                return None;
            }
        };
        let mut passphrase_from = key.passphrase.as_ref().map(|_| from.clone());
        if let Some(typed) = &draft.passphrase {
            if key.passphrase.is_some() {
                self.wrong(&typed.span(), "passphrase", &format!("{from} holds one: leave one of the two out"));
                return None;
            }
            let (passphrase, source) = self.passphrase(typed)?;
            (key, passphrase_from) = (key.with_passphrase(&passphrase), Some(source));
        }
        match key.credentials(self.name) {
            Ok(credentials) => self.signing(Origin { passphrase_from, ..Origin::of_file(credentials, &from) }, draft),
            Err(error) => {
                let (what, mistake) = unusable(&error);
                self.mistaken(&at, "key_file", &what, mistake);
                None
            }
        }
    }

    fn parts(&mut self, key: &Spanned<Source>, secret: &Spanned<Source>, draft: &draft::Credentials) -> Option<Origin> {
        let at = secret.span();
        let key = self.source(key, "key");
        let secret = self.secret(secret, "secret");
        let passphrase = draft.passphrase.as_ref().map(|typed| self.passphrase(typed));
        let ((key, key_from), (secret, secret_from)) = (key?, secret?);
        let scheme = draft.scheme.as_ref().map_or(Scheme::Auto, |scheme| *scheme.get_ref());
        let halves = KeyFile { scheme: scheme.into(), ..KeyFile::of_halves(key.expose(), secret) };
        let (parts, passphrase_from) = match passphrase {
            Some(read) => read.map(|(passphrase, from)| (halves.with_passphrase(&passphrase), Some(from)))?,
            None => (halves, None),
        };
        match parts.credentials(self.name) {
            Ok(credentials) => {
                let credentials = Arc::new(credentials);
                self.signing(Origin { credentials, key_from, secret_from, passphrase_from }, draft)
            }
            // Nobody said that it is a shared secret: the passphrase did.
            Err(KeyError::PemAsHmac) if scheme == Scheme::Auto => self.no_passphrase(draft),
            Err(error) => {
                let mistake = verdict::of_key_error(&error).mistake;
                self.mistaken(&at, "secret", &format!("from {secret_from}: {error}"), mistake);
                None
            }
        }
    }

    /// A passphrase goes with a shared secret alone.
    fn signing(&mut self, origin: Origin, draft: &draft::Credentials) -> Option<Origin> {
        match origin.credentials.signer() {
            Signer::Jwt(_) if draft.passphrase.is_some() => self.no_passphrase(draft),
            Signer::Jwt(_) | Signer::Hmac(_) => Some(origin),
        }
    }

    fn no_passphrase(&mut self, draft: &draft::Credentials) -> Option<Origin> {
        let at = draft.passphrase.as_ref().map(Spanned::span).unwrap_or_default();
        let what = "a CDP key has none, and this secret is one: leave it out. (The keys of Coinbase Exchange have one, and a \
                    secret that is no private key)";
        self.mistaken(&at, "passphrase", what, Mistake::OtherVenuesKey);
        None
    }

    /// What its owner chose when the key was made, with whatever stands around it.
    fn passphrase(&mut self, typed: &Spanned<Source>) -> Option<(Secret, String)> {
        let (passphrase, from) = self.secret(typed, "passphrase")?;
        if passphrase.expose().trim().is_empty() {
            self.mistaken(&typed.span(), "passphrase", &format!("{from} is empty"), Mistake::Placeholder);
            return None;
        }
        Some((passphrase, from))
    }

    /// What must not stand in the configuration itself.
    fn secret(&mut self, source: &Spanned<Source>, key: &str) -> Option<(Secret, String)> {
        if let Source::Inline(_) = source.get_ref() {
            self.wrong(&source.span(), key, REFUSED);
            return None;
        }
        self.source(source, key)
    }

    /// The text, and where it is from.
    fn source(&mut self, source: &Spanned<Source>, key: &str) -> Option<(Secret, String)> {
        let at = source.span();
        match source.get_ref() {
            Source::Inline(text) if text.contains("-----") => {
                self.wrong(&at, key, REFUSED);
                None
            }
            Source::Inline(text) => Some((Secret::new(text.clone()), "the configuration".to_owned())),
            Source::Env(name) => self.variable(&at, key, name),
            Source::File(name) if looks_like_a_key(name) => {
                self.wrong(&at, key, REFUSED);
                None
            }
            Source::File(name) => {
                let path = self.review.beside_the_file(name);
                Some((self.file(&at, key, &path)?, path.display().to_string()))
            }
            Source::Credential(name) => self.credential(&at, key, name),
        }
    }

    fn variable(&mut self, at: &Range<usize>, key: &str, name: &str) -> Option<(Secret, String)> {
        if let Some(value) = self.review.around.var(name) {
            return Some((Secret::new(value.to_owned()), format!("${name}")));
        }
        // A secret that was typed where a variable's name belongs is seldom all capitals.
        let is_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        let called = if name.bytes().all(is_name) { format!("${name}") } else { "the variable named here".to_owned() };
        let what = format!("{called} is not set or empty; {}", self.by);
        self.wrong(at, key, &what);
        None
    }

    fn credential(&mut self, at: &Range<usize>, key: &str, name: &str) -> Option<(Secret, String)> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
        if name.is_empty() || name.starts_with('.') || name.len() > 255 || !name.bytes().all(plain) {
            self.wrong(at, key, "this is no name of a credential: letters, digits, `.`, `_`, `-` and `@` make one");
            return None;
        }
        let around = self.review.around;
        let folder = around.var("CREDENTIALS_DIRECTORY").map_or_else(|| around.etc.join("credstore"), Into::into);
        let path = folder.join(name);
        let secret = self.file(at, key, &path)?;
        Some((secret, format!("credential {name} ({})", path.display())))
    }

    /// All that is in a file, and a warning where others could read it too.
    fn file(&mut self, at: &Range<usize>, key: &str, path: &Path) -> Option<Secret> {
        let text = match read(path, LONGEST_SECRET) {
            Ok(text) => text,
            Err(cause) => {
                let what = format!("{} can not be read: {cause}", path.display());
                // Who types an option knows what it is for, and not how we call what he made by it.
                let is_option = matches!(self.review.layers.place(at), Place::Option(_));
                let what = if is_option { what } else { format!("{what}; {}", self.by) };
                self.wrong(at, key, &what);
                return None;
            }
        };
        if key != "key" {
            self.review.warnings.extend(open_to_all(path));
        }
        let secret = Secret::new(text);
        if secret.expose().trim().is_empty() {
            self.mistaken(at, key, &format!("{} is empty", path.display()), Mistake::Placeholder);
            return None;
        }
        Some(secret)
    }

    fn wrong(&mut self, at: &Range<usize>, key: &str, what: &str) {
        let key = format!("{}.{key}", self.section);
        self.review.wrong(at, key.trim_end_matches('.'), what);
    }

    fn mistaken(&mut self, at: &Range<usize>, key: &str, what: &str, mistake: Mistake) {
        self.review.mistaken(at, &format!("{}.{key}", self.section), what, mistake);
    }
}

/// Why a secret in the file is refused. It is not shown.
const REFUSED: &str = "a secret does not belong into the configuration, which is copied, shown and committed: put it into a \
     file that only tickerd can read and write { file = \"PATH\" }, or { env = \"VARIABLE\" }, or { credential = \"NAME\" }";

/// Whether a secret was typed where a path belongs.
fn looks_like_a_key(path: &str) -> bool {
    path.contains("-----") || path.contains('\n') || path.starts_with('{') || path.ends_with('=')
}
