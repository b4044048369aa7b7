//! What `tickerd sign` prints, for people and for programs.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::venue::{Proof, Request};

/// One signature and all that belongs to it. It has no `Debug`: it is for stdout alone.
pub(super) struct Shown {
    /// `hmac` or `jwt`, as the configuration says it.
    pub scheme: &'static str,
    /// `HMAC-SHA256`, `ES256` or `EdDSA`.
    pub algorithm: &'static str,
    /// The key's id.
    pub key: String,
    /// What was signed.
    pub prehash: String,
    /// The same in parts, each by its name; those of a token decoded.
    pub parts: Vec<(&'static str, String)>,
    /// The signature, or the whole token.
    pub signature: String,
    /// As at which second it was signed.
    pub timestamp: u64,
    /// The first second in which the venue takes it.
    pub from: u64,
    /// The last.
    pub until: u64,
    /// What it is for.
    pub to_send: ToSend,
    /// What was set right before.
    pub mended: Vec<String>,
}

/// What is to be sent.
pub(super) enum ToSend {
    /// This text over the WebSocket.
    Message(String),
    /// These headers with the request.
    Request {
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// The whole request as a line for the shell.
        curl: String,
    },
}

impl Shown {
    /// For people.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        line(out, "pre-hash", &self.prehash)?;
        for (name, part) in &self.parts {
            line(out, &format!("  {name}"), if part.is_empty() { "(empty)" } else { part })?;
        }
        line(out, "key", &self.key)?;
        line(out, "algorithm", self.algorithm)?;
        line(out, if self.scheme == "jwt" { "token" } else { "signature" }, &self.signature)?;
        let valid = format!("from {} to {} ({} to {})", utc(self.from), utc(self.until), self.from, self.until);
        line(out, "valid", &valid)?;
        match &self.to_send {
            ToSend::Message(text) => line(out, "message", text)?,
            ToSend::Request { headers, curl } => {
                for (i, (name, value)) in headers.iter().enumerate() {
                    line(out, if i == 0 { "headers" } else { "" }, &format!("{name}: {value}"))?;
                }
                // Alone on its line, to be taken whole.
                writeln!(out, "\n{curl}")?;
            }
        }
        out.flush()
    }

    /// For programs, on one line.
    pub fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        let (name, to_send) = match &self.to_send {
            ToSend::Message(text) => ("message", json!(text)),
            ToSend::Request { headers, .. } => {
                let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
                ("headers", Value::Object(headers.collect::<Map<_, _>>()))
            }
        };
        let mut whole = json!({
            "scheme": self.scheme,
            "algorithm": self.algorithm,
            "key": self.key,
            "prehash": self.prehash,
            "signature": self.signature,
            "timestamp": self.timestamp.to_string(),
            "valid_from": self.from,
            "valid_until": self.until,
            "mended": self.mended,
        });
        // What people are shown as the token is found by that name; `signature` it is called in either scheme.
        if self.scheme == "jwt" {
            whole["token"] = json!(self.signature);
        }
        whole[name] = to_send;
        if let ToSend::Request { curl, .. } = &self.to_send {
            whole["curl"] = json!(curl);
        }
        writeln!(out, "{whole}")?;
        out.flush()
    }
}

/// The request as a line for the shell, with all that is signed as it was signed.
pub(super) fn curl(url: &str, request: &Request, proof: &Proof) -> String {
    let mut words = vec!["curl".to_owned(), "-X".to_owned(), quoted(&request.method)];
    for (name, value) in &proof.headers {
        words.extend(["-H".to_owned(), quoted(&format!("{name}: {value}"))]);
    }
    if !request.body.is_empty() {
        let body = quoted(&request.body);
        words.extend(["-H".to_owned(), quoted("Content-Type: application/json"), "--data-raw".to_owned(), body]);
    }
    // Brackets and braces are patterns to curl.
    if request.target().contains(['[', ']', '{', '}']) {
        words.push("--globoff".to_owned());
    }
    words.push(quoted(&format!("{url}{}", request.target())));
    words.join(" ")
}

/// As one word of the shell; bare where it needs no quotes.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':');
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// What a token's part says.
pub(super) fn decoded(part: &str) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// "2023-11-14T22:13:20Z"; the number itself where there is no such day.
fn utc(unix: u64) -> String {
    let time = i64::try_from(unix).ok().and_then(|unix| Timestamp::from_second(unix).ok());
    time.map_or_else(|| unix.to_string(), |time| time.to_string())
}

fn line(out: &mut impl Write, title: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{title:<12}{text}")
}
