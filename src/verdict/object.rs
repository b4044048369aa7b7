//! Objects in a pasted text: JSON, a Python dict, JavaScript's bare names, with whatever stands around them.

use serde_json::{Map, Value};

/// An object, and where it ends in the text.
pub(super) type Found = (Map<String, Value>, usize);

/// Each object of the text in the order of their opening braces, those inside others as well.
pub(super) fn all(text: &str) -> Vec<Found> {
    /// A log of more is read as far.
    const MOST: usize = 64;
    let opening = text.match_indices('{').take(MOST).map(|(at, _)| at);
    opening.filter_map(|at| one(&text[at..]).map(|(object, length)| (object, at + length))).collect()
}

fn one(text: &str) -> Option<Found> {
    let mut json = serde_json::Deserializer::from_str(text).into_iter();
    if let Some(Ok(object)) = json.next() {
        return Some((object, json.byte_offset()));
    }
    let length = closing(text)?;
    Some((serde_json::from_str(&json_of_python(&text[..length])).ok()?, length))
}

/// Behind the brace that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match (quote, c) {
            (Some(_), '\\') => drop(rest.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at + c.len_utf8());
        }
    }
    None
}

/// Python's and JavaScript's quotes and names as JSON's. `b'…'` becomes text with its mark, which is what it is signed and
/// sent as.
fn json_of_python(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let (mut open, mut bytes) = (None, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (open, c) {
            (None, '\'' | '"' | '`') => {
                open = Some(c);
                json.push_str(if bytes { "\"b'" } else { "\"" });
            }
            (Some(quote), c) if c == quote => {
                open = None;
                json.push_str(if bytes { "'\"" } else { "\"" });
                bytes = false;
            }
            (Some(_), '"') => json.push_str("\\\""),
            (Some(_), '\\') => match rest.next() {
                Some('x') => json.push_str("\\u00"),
                Some(quote @ ('\'' | '`')) => json.push(quote),
                next => {
                    json.push('\\');
                    json.extend(next);
                }
            },
            (None, ',') => {
                // Python allows a comma behind the last.
                let next = rest.clone().find(|c| !c.is_whitespace());
                if !matches!(next, Some('}' | ']')) {
                    json.push(',');
                }
            }
            (None, c) if c.is_alphabetic() || c == '_' => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(next);
                }
                match (&*word, rest.peek()) {
                    ("b", Some('\'' | '"')) => bytes = true,
                    ("f" | "r" | "u", Some('\'' | '"')) => {}
                    ("None" | "undefined", _) => json.push_str("null"),
                    ("True", _) => json.push_str("true"),
                    ("False", _) => json.push_str("false"),
                    (_, Some(':')) => json.extend(["\"", &*word, "\""]),
                    _ => json.push_str(&word),
                }
            }
            (_, c) => json.push(c),
        }
    }
    json
}
