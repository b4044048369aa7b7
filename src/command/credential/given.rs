//! How a key comes in: from a file, from a person, or from another program. It is never told.

use std::{
    io::{self, Read},
    path::Path,
};

use serde::de::IgnoredAny;

use super::{LONGEST, not_stored};
use crate::{
    auth::{
        KeyFile, Secret, Signer,
        key::{KeyError, is_exchanges, is_exchanges_secret},
    },
    config::{Surroundings, read},
    exit::{Failure, Status},
    terminal::{self, AskError, Hidden},
    venue::Venue,
};

/// All parts of it, as far as they are given: from `file`, else from the person at the terminal, else from stdin.
pub(super) fn given(file: Option<&Path>, venue: Option<&Venue>, around: &Surroundings) -> Result<KeyFile, Failure> {
    let Some(file) = file else { return if terminal::is_there() { asked(venue) } else { piped(venue) } };
    let file = around.directory.join(file);
    let text = read(&file, LONGEST)
        .map_err(|error| Failure::new(Status::Config, format!("{} can not be read: {error}", file.display())))?;
    let mut key = KeyFile::read(&Secret::new(text)).map_err(|error| not_stored(&error))?;
    if wants_passphrase(&key, venue) && terminal::is_there() {
        key.passphrase = passphrase(&mut answered(Hidden::begin())?, venue)?;
    }
    Ok(key)
}

/// From a person at the terminal.
fn asked(venue: Option<&Venue>) -> Result<KeyFile, Failure> {
    let mut hidden = answered(Hidden::begin())?;
    // Where CDP keys sign nothing, nobody is to look for one.
    let takes_tokens = venue.is_none_or(|venue| venue.tokens);
    let (question, below) = if takes_tokens {
        ("key name or id, or the whole cdp_api_key.json (not shown)", "secret, all lines of it (not shown)")
    } else {
        ("key, or a whole JSON of key, secret and passphrase (not shown)", "secret (not shown)")
    };
    let first = answered(hidden.ask(question, is_whole))?;
    let mut key = if is_json(first.expose()) {
        KeyFile::read(&first).map_err(|error| not_stored(&error))?
    } else {
        let secret = answered(hidden.ask(below, is_whole))?;
        KeyFile::of_halves(first.expose(), secret)
    };
    if wants_passphrase(&key, venue) {
        key.passphrase = passphrase(&mut hidden, venue)?;
    }
    Ok(key)
}

/// Where nobody said that the venue wants one, none is an answer as well.
fn passphrase(hidden: &mut Hidden, venue: Option<&Venue>) -> Result<Option<Secret>, Failure> {
    let answer = match venue {
        Some(_) => hidden.ask("passphrase (not shown)", |_| true),
        None => hidden.ask_line("passphrase, as keys of Coinbase Exchange have one; empty for none (not shown)"),
    };
    Ok(trimmed(answered(answer)?.expose()))
}

/// From a file or another program on stdin: the portal's JSON, or a line with the key and the secret below it, and below
/// that a passphrase where there is one.
fn piped(venue: Option<&Venue>) -> Result<KeyFile, Failure> {
    let mut text = String::with_capacity(usize::try_from(LONGEST).unwrap_or_default() + 1);
    let read = io::stdin().lock().take(LONGEST + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    read.map_err(|error| Failure::new(Status::Config, format!("stdin can not be read: {error}; nothing is stored")))?;
    if text.expose().len() as u64 > LONGEST {
        return Err(Failure::new(Status::Config, "stdin is longer than any key; nothing is stored"));
    }
    split(&text, venue).map_err(|error| not_stored(&error))
}

fn split(text: &Secret, venue: Option<&Venue>) -> Result<KeyFile, KeyError> {
    if is_json(text.expose()) {
        return KeyFile::read(text);
    }
    let whole = text.expose().trim();
    let (key, below) = whole.split_once('\n').unwrap_or((whole, ""));
    let key = |secret: &str| KeyFile::of_halves(key, Secret::new(secret.to_owned()));
    if let Some((secret, rest)) = below.trim_start().split_once('\n') {
        let first = key(secret);
        // What stands below a secret of one line is a passphrase, wanted or not: joined to it, it would be none of both.
        if wants_passphrase(&first, venue) || is_exchanges_secret(secret.trim()) {
            return Ok(KeyFile { passphrase: trimmed(rest), ..first });
        }
    }
    Ok(key(below))
}

/// Whether it lacks a passphrase that its venue's keys have: the one that was named, or that which it looks like.
fn wants_passphrase(key: &KeyFile, venue: Option<&Venue>) -> bool {
    let is_wanted = || venue.map_or_else(|| is_exchanges(&key.key, key.secret.expose()), |venue| venue.hmac.passphrase);
    key.passphrase.is_none() && !is_private(key) && is_wanted()
}

/// Whether it is a CDP key: those have none.
fn is_private(key: &KeyFile) -> bool {
    key.credentials("").is_ok_and(|credentials| matches!(credentials.signer(), Signer::Jwt(_)))
}

fn trimmed(passphrase: &str) -> Option<Secret> {
    Some(passphrase.trim()).filter(|text| !text.is_empty()).map(|text| Secret::new(text.to_owned()))
}

/// Editors on Windows begin files with a byte order mark.
fn is_json(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('{')
}

/// Whether the lines up to here are all of the answer: a JSON to its last brace, a PEM to the end of the key (openssl writes
/// the curve's parameters before it), anything else is one line.
fn is_whole(text: &str) -> bool {
    if is_json(text) {
        return !serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof());
    }
    !text.contains("-----BEGIN") || text.lines().any(|line| line.contains("-----END") && !line.contains("PARAMETERS"))
}

fn answered<T>(answer: Result<T, AskError>) -> Result<T, Failure> {
    answer.map_err(|error| Failure::new(Status::Usage, format!("{error}; nothing is stored")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::exchange::EXCHANGE;

    #[test]
    fn an_answer_is_whole_at_its_own_end() {
        for (whole, parts) in [
            ("organizations/a/apiKeys/b", &[][..]),
            ("{\n\"name\": \"{}\",\n\"privateKey\": \"-----BEGIN\"\n}", &["{", "{\n\"name\": \"{}\","][..]),
            ("{}", &[]),
            ("-----BEGIN A KEY-----\nAA\n-----END A KEY-----", &["-----BEGIN A KEY-----", "-----BEGIN A KEY-----\nAA"]),
            ("-----BEGIN A KEY-----\\nAA\\n-----END A KEY-----\\n", &[]),
            (
                "-----BEGIN EC PARAMETERS-----\nAA\n-----END EC PARAMETERS-----\n-----BEGIN A KEY-----\nAA\n-----END A KEY-----",
                &["-----BEGIN EC PARAMETERS-----\nAA\n-----END EC PARAMETERS-----"],
            ),
        ] {
            assert!(is_whole(whole), "{whole}");
            for part in parts {
                assert!(!is_whole(part), "{part}");
            }
        }
    }

    #[test]
    fn stdin_holds_a_file_or_a_line_and_what_is_below_it() {
        let split = |text: &str| split(&Secret::new(text.to_owned()), None).map(|file| (file.key, file.secret));
        let (key, secret) = split("\n k \r\nsecret\nof lines\n").expect("both");
        assert_eq!((key.as_str(), secret.expose()), ("k", "secret\nof lines"));
        let (key, secret) = split(" {\"id\":\"u\",\"privateKey\":\"AB\"}\n").expect("both");
        assert_eq!((key.as_str(), secret.expose()), ("u", "AB"));
        assert_eq!(split("k").expect("to be refused by its reader").1.expose(), "");
    }

    #[test]
    fn a_third_line_is_a_passphrase_where_keys_have_one() {
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
        let exchanges = format!("0123456789abcdef0123456789abcdef\r\n{secret}\r\nmy phrase\r\n");
        for (text, venue, passphrase) in [
            (exchanges.as_str(), None, Some("my phrase")),
            (exchanges.trim_end_matches("my phrase\r\n"), None, None),
            ("k\nsecret\nmy phrase", Some(&EXCHANGE), Some("my phrase")),
            ("k\nsecret\nmy phrase", None, None),
        ] {
            let key = split(&Secret::new(text.to_owned()), venue).expect("lines");
            assert_eq!(key.passphrase.as_ref().map(Secret::expose), passphrase, "{text}");
            assert_eq!(
                key.secret.expose().trim().lines().count(),
                if text.starts_with('k') && venue.is_none() { 2 } else { 1 }
            );
        }
    }
}
