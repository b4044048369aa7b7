//! Exactly one line: a value of this type holds no line break, whatever the venue sent.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::IgnoredAny;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One message as one line, without the line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line(Utf8Bytes);

impl Line {
    /// Takes a text message: as it is where it can be, and kept in base64 where it is no JSON.
    ///
    /// ```
    /// use tickerd::record::Line;
    ///
    /// let line = Line::from_text("{\"price\":1.10,\n\"side\":\"bid\"}".into());
    /// assert_eq!(line.as_bytes(), b"{\"price\":1.10, \"side\":\"bid\"}");
    /// let line = Line::from_text("no JSON".into());
    /// assert_eq!(line.as_bytes(), b"{\"tickerd\":\"not-json\",\"base64\":\"bm8gSlNPTg==\"}");
    /// ```
    #[must_use]
    pub fn from_text(text: Utf8Bytes) -> Self {
        let starts_like_json = text.starts_with(['{', '[']);
        match memchr::memchr2(b'\n', b'\r', text.as_bytes()) {
            None if starts_like_json => Self(text),
            // No string of valid JSON holds a raw line break, so each stands between tokens, where a space means the same.
            Some(_) if starts_like_json && is_json(&text) => Self(text.replace(['\n', '\r'], " ").into()),
            _ => Self::not_json(text.as_bytes()),
        }
    }

    /// Takes a binary message, which no venue here sends on purpose, and keeps it in base64.
    #[must_use]
    pub fn from_binary(bytes: &[u8]) -> Self {
        Self::not_json(bytes)
    }

    /// The line, without its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What was a line before.
    pub(super) fn copy_of(line: &str) -> Self {
        Self(line.into())
    }

    fn not_json(bytes: &[u8]) -> Self {
        Self(format!("{{\"tickerd\":\"not-json\",\"base64\":\"{}\"}}", STANDARD.encode(bytes)).into())
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str) -> String {
        String::from_utf8(Line::from_text(text.into()).as_bytes().to_vec()).expect("UTF-8")
    }

    #[test]
    fn a_line_break_between_tokens_becomes_a_space() {
        assert_eq!(line("{\r\n\"a\":1.10,\n\"b\":\"x\\n\"}"), "{  \"a\":1.10, \"b\":\"x\\n\"}");
    }

    /// `coinbase-pro-node#376`: the venue answered with a junk byte and "invalid (un)subscribe msg", and clients that
    /// parsed blindly crashed.
    #[test]
    fn what_is_not_json_is_kept() {
        for text in ["\u{1}invalid (un)subscribe msg", "", "null", " {\"a\":1}", "{\"a\":\"\n\"}", "{\"a\n"] {
            let kept: serde_json::Value = serde_json::from_str(&line(text)).expect("JSON");
            assert_eq!(kept["tickerd"], "not-json");
            assert_eq!(STANDARD.decode(kept["base64"].as_str().expect("text")).expect("base64"), text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn is_one_line_whatever_comes(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            for line in [Line::from_text(text.as_str().into()), Line::from_binary(&bytes)] {
                prop_assert!(memchr::memchr2(b'\n', b'\r', line.as_bytes()).is_none());
            }
        }

        #[test]
        fn changes_no_byte_of_a_message_without_line_breaks(rest in "[^\r\n]{0,80}") {
            let text = format!("{{{rest}");
            prop_assert_eq!(line(&text), text);
        }
    }
}
