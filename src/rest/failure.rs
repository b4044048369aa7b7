//! Why a venue did not answer, or what it answered instead.

use std::{fmt, time::Duration};

use hyper::StatusCode;

use crate::{net::DialError, venue::Permissions, verdict::RestSaid};

/// The venue's own refusals are a few words or a line of JSON; of a proxy's page this much tells what it is.
const LONGEST_SAID: usize = 200;

/// Why there is no answer. Each but the first names the URL, without its query.
#[derive(Debug)]
pub enum RestError {
    /// There is no stream to the venue.
    Dial(DialError),
    /// Credentials would have gone over the network unencrypted, so they did not.
    Plain(String),
    /// It took longer than this.
    Late(String, Duration),
    /// The stream ended, or it does not speak HTTP.
    Broken(String, hyper::Error),
    /// It answered with something else than 200.
    Status {
        /// Of whom it was asked.
        url: String,
        /// With what.
        status: StatusCode,
        /// In its own words, cut to what can be shown.
        said: String,
        /// How long it wants us to stay away.
        retry_after: Option<Duration>,
    },
    /// So many bytes that are not what was asked for.
    Unreadable(String, usize),
    /// It is longer than any answer should be.
    TooLarge(String),
}

impl RestError {
    /// What it was answered with, where it was answered: 401 and 403 are about the credentials, None is about the way there.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the server wants us to stay away.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What the venue says of a key, by what it answers when asked for the key's permissions.
impl From<Result<Permissions, RestError>> for RestSaid {
    fn from(answer: Result<Permissions, RestError>) -> Self {
        match answer {
            Ok(permissions) => Self::Took(permissions),
            Err(RestError::Status { status: StatusCode::UNAUTHORIZED, said, .. }) => Self::Unauthorized(said),
            Err(RestError::Status { status: StatusCode::FORBIDDEN, said, .. }) => Self::Forbidden(said),
            Err(other) => Self::Unreachable(other.to_string()),
        }
    }
}

/// What can be shown of an answer: one line, cut, and without the signature, which a proxy may have sent back.
pub(super) fn said(body: &[u8], signature: Option<&str>) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    if let Some(signature) = signature.filter(|signature| !signature.is_empty()) {
        text = text.replace(signature, "[signature]");
    }
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let words = text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(LONGEST_SAID) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

impl fmt::Display for RestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Plain(url) => write!(
                f,
                "{url}: credentials go over https:// alone, or http:// to loopback, and were not sent; correct the \
                 feed's rest"
            ),
            Self::Late(url, limit) => write!(f, "{url}: no answer within {} s", limit.as_secs()),
            Self::Broken(url, error) => {
                write!(f, "{url}: {error}")?;
                // hyper says what was being done, and its source why that failed.
                std::error::Error::source(error).map_or(Ok(()), |source| write!(f, ": {source}"))
            }
            Self::Status { url, status, said, retry_after } => {
                write!(f, "{url}: HTTP {status}")?;
                if !said.is_empty() {
                    write!(f, ", \"{said}\"")?;
                }
                retry_after.map_or(Ok(()), |wait| write!(f, "; it asks to wait {} s", wait.as_secs()))
            }
            Self::Unreadable(url, bytes) => write!(
                f,
                "{url}: {bytes} bytes that are not the venue's answer; is the feed's rest the venue's own address, and \
                 no proxy's page before it?"
            ),
            Self::TooLarge(url) => {
                write!(f, "{url}: the answer is longer than any that the venue gives, and was dropped")
            }
        }
    }
}

impl std::error::Error for RestError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_one_short_line_without_the_signature() {
        assert_eq!(said(b"Unauthorized\n", Some("t.o.k")), "Unauthorized");
        assert_eq!(
            said(b"<html>\r\n\x1b[31m you sent t.o.k </html>", Some("t.o.k")),
            "<html> [31m you sent [signature] </html>"
        );
        let long = said("ä".repeat(4_000).as_bytes(), None);
        assert_eq!((long.chars().count(), long.chars().last()), (LONGEST_SAID + 1, Some('…')));
        // A signature that the cut would have halved is gone before it.
        let cut = format!("{}secretsecret", "x".repeat(LONGEST_SAID - 6));
        assert!(!said(cut.as_bytes(), Some("secretsecret")).contains("secret"));
    }
}
