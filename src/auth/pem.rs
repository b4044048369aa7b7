//! Takes the wrapping off a key's text: quotes, escapes, stray white space, PEM markers, base64. Every copy it makes is
//! wiped when dropped.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    decoded_len_estimate,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// What had to be set right before a key could be read. It works, but its owner may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mended {
    /// `\n` written out where line breaks were meant.
    EscapedNewlines,
    /// Quotes around the value: a shell takes them off, an env file or a container runtime may not.
    Quotes,
    /// Blanks around the value, or other ones than line breaks in it.
    WhiteSpace,
}

impl fmt::Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EscapedNewlines => "escaped newlines",
            Self::Quotes => "quotes",
            Self::WhiteSpace => "stray white space",
        })
    }
}

/// White space, and what looks like none at all: the zero-width space of chat programs, the byte order mark of editors.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{201c}' | '\u{201d}' | '\u{2018}' | '\u{2019}')
}

/// The hyphens of the PEM markers, and the dashes that word processors make of them.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Without blanks around it. One line break at the end is how a text file ends, and needs no mending.
pub(super) fn trim_blanks<'a>(text: &'a str, mended: &mut Vec<Mended>) -> &'a str {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    let trimmed = line.trim_matches(is_blank);
    if trimmed.len() < line.len() {
        mended.push(Mended::WhiteSpace);
    }
    trimmed
}

/// Without blanks and quotes around it.
pub(super) fn trim<'a>(text: &'a str, mended: &mut Vec<Mended>) -> &'a str {
    let trimmed = trim_blanks(text, mended);
    let bare = trimmed.trim_matches(|c| is_blank(c) || is_quote(c));
    if bare.len() < trimmed.len() {
        mended.push(Mended::Quotes);
    }
    bare
}

/// With what backslashes stand for, however often they were escaped again on the way: line breaks, and what JSON writers
/// escape in base64 (`\/`, `\u002b`). Other backslashes stay, to be found foreign.
pub(super) fn unescape(text: &str) -> Zeroizing<String> {
    // No escape is shorter than what it stands for, so the buffer never grows and leaves no copy behind.
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let after = after.trim_start_matches('\\');
        let (stands_for, length) = escape(after).unwrap_or(('\\', 0));
        plain.push(stands_for);
        rest = &after[length..];
    }
    plain.push_str(rest);
    plain
}

/// What a backslash before `after` stands for, and how many bytes of `after` belong to it.
fn escape(after: &str) -> Option<(char, usize)> {
    Some(match after.chars().next()? {
        'n' | 'r' | '\n' => ('\n', 1),
        't' => (' ', 1),
        same @ ('/' | '"' | '\'') => (same, 1),
        'u' => (char::from_u32(u32::from_str_radix(after.get(1..5)?, 16).ok()?)?, 5),
        _ => return None,
    })
}

/// What stands between PEM markers, and what they say it is.
pub(super) struct Block<'a> {
    /// "EC PRIVATE KEY", to tell what else was pasted; what the key is, its bytes say.
    pub label: &'a str,
    /// Base64, as far as it goes.
    pub body: &'a str,
}

/// The block that holds a private key, else the first there is. None where the text has no marker.
pub(super) fn block(text: &str) -> Option<Block<'_>> {
    let mut blocks = text.split("BEGIN ").skip(1).map(|after| {
        let (label, body) = after.split_at(after.find(is_dash).unwrap_or(after.len()));
        let body = body.trim_start_matches(is_dash);
        let end = [body.find("--"), body.find("END ")].into_iter().flatten().min().unwrap_or(body.len());
        Block { label, body: body[..end].trim_end_matches(is_dash) }
    });
    let first = blocks.next();
    match first {
        // openssl writes the curve's parameters as a block of its own, before the key.
        Some(first) if !first.label.contains("PRIVATE") => {
            Some(blocks.find(|block| block.label.contains("PRIVATE")).unwrap_or(first))
        }
        Some(first) => Some(first),
        None => text.split_once("-----END").map(|(body, _)| Block { label: "", body }),
    }
}

/// Bytes out of base64.
pub(super) struct Decoded {
    /// As many as there are whole ones.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The text ends in the middle of a byte.
    pub cut: bool,
}

/// Takes the standard and the URL-safe alphabet, padded or not, blanks anywhere. The bits that pad the last character are
/// not looked at: a key that was cut off is to be told by its length.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64. None where it is none, or empty.
pub(super) fn decode(text: &str) -> Option<Decoded> {
    let mut compact = Zeroizing::new(String::with_capacity(text.len()));
    compact.extend(text.chars().filter(|c| !is_blank(*c)).map(|c| match c {
        '-' => '+',
        '_' => '/',
        c => c,
    }));
    let compact = compact.trim_end_matches('=');
    let cut = compact.len() % 4 == 1;
    let whole = compact.get(..compact.len() - usize::from(cut)).filter(|whole| !whole.is_empty())?;
    let mut bytes = Zeroizing::new(vec![0; decoded_len_estimate(whole.len())]);
    let length = FORGIVING.decode_slice(whole, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(Decoded { bytes, cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(text: &str) -> (&str, Vec<Mended>) {
        let mut mended = Vec::new();
        (trim(text, &mut mended), mended)
    }

    #[test]
    fn what_is_trimmed_is_told() {
        assert_eq!(trimmed("abc"), ("abc", vec![]));
        assert_eq!(trimmed("abc\n"), ("abc", vec![]), "a text file ends so");
        assert_eq!(trimmed("abc\r\n"), ("abc", vec![]));
        assert_eq!(trimmed(" abc\n\n"), ("abc", vec![Mended::WhiteSpace]));
        assert_eq!(trimmed("\u{feff}abc"), ("abc", vec![Mended::WhiteSpace]));
        assert_eq!(trimmed("'abc'"), ("abc", vec![Mended::Quotes]));
        assert_eq!(trimmed("\" abc \"\n "), ("abc", vec![Mended::WhiteSpace, Mended::Quotes]));
        assert_eq!(trimmed("  \n"), ("", vec![Mended::WhiteSpace]));
    }

    #[test]
    fn escapes_are_undone_however_often_they_were_made() {
        for (escaped, plain) in [
            (r"a\nb", "a\nb"),
            (r"a\\nb", "a\nb"),
            (r"a\\\\nb", "a\nb"),
            (r"a\r\nb", "a\n\nb"),
            ("a\\\nb", "a\nb"),
            (r"a\/b\u002bc", "a/b+c"),
            (r#"\"a\""#, "\"a\""),
            (r"a\qb\", r"a\qb\"),
            (r"\u00", r"\u00"),
            (r"\ud800\u00é", r"\ud800\u00é"),
        ] {
            assert_eq!(unescape(escaped).as_str(), plain, "{escaped}");
        }
    }

    #[test]
    fn the_private_block_is_found_among_others() {
        let text = "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nBBBB\n-----END EC PRIVATE KEY-----";
        let found = block(text).expect("a block");
        assert_eq!((found.label, found.body.trim()), ("EC PRIVATE KEY", "BBBB"));
        let dashes = block("\u{2014}-BEGIN PRIVATE KEY\u{2014}-\nBBBB\n\u{2014}\u{2014}END PRIVATE KEY\u{2014}-");
        assert_eq!(dashes.expect("a block").body.trim(), "BBBB");
        assert_eq!(block("BBBB\n-----END PRIVATE KEY-----").expect("a block").body.trim(), "BBBB");
        assert_eq!(block("-----BEGIN PRIVATE KEY").expect("a block").body, "");
        assert!(block("BBBB").is_none());
    }

    #[test]
    fn both_alphabets_decode_padded_or_not() {
        for text in ["-_-_", "+/+/", " +/\n+/ ", "+/+/===="] {
            assert_eq!(*decode(text).expect(text).bytes, [0xfb, 0xff, 0xbf], "{text}");
        }
        assert_eq!(*decode("+/8=").expect("base64").bytes, [0xfb, 0xff]);
        let cut = decode("+/+/A").expect("base64");
        assert!(cut.cut && *cut.bytes == [0xfb, 0xff, 0xbf]);
        for odd in ["", "=", " ", "A", "a=b=", "é", "a!bc", "ab\\c"] {
            assert!(decode(odd).is_none(), "{odd}");
        }
    }
}
