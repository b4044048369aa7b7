//! What people paste when they are refused: a subscribe, a set of headers, a curl command.

use std::fmt;

use serde_json::{Map, Value};

/// What was made out of a pasted text. It holds signatures, so it has no `Debug`.
pub(super) enum Pasted {
    /// A message for a WebSocket.
    Subscribe(Map<String, Value>),
    /// What proves a REST request, and the request where it was pasted too.
    Headers(Vec<(String, String)>, Option<Asked>),
}

/// A request as it was written.
#[derive(Clone)]
pub(super) struct Asked {
    pub method: String,
    pub target: String,
    pub body: String,
}

/// The text is no message that could be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMessage;

impl fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this is no message: paste the subscribe as JSON, or the headers of a REST request, one a line, under its \
             first line (GET /api/v3/brokerage/accounts), or the whole curl command",
        )
    }
}

impl std::error::Error for NotAMessage {}

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH"];

pub(super) fn read(text: &str) -> Result<Pasted, NotAMessage> {
    let text = text.trim();
    let found = if text.starts_with("curl") { curl(text) } else { None };
    found.or_else(|| object(text, None)).or_else(|| lines(text)).ok_or(NotAMessage)
}

/// A JSON object or a Python dict, with whatever stands before and behind its braces (`headers = {…}`).
fn object(text: &str, asked: Option<Asked>) -> Option<Pasted> {
    let text = text.get(text.find('{')?..=text.rfind('}')?)?;
    let object: Map<String, Value> =
        serde_json::from_str(text).or_else(|_| serde_json::from_str(&json_of_python(text))).ok()?;
    let headers: Vec<_> = object.iter().filter(|(name, _)| is_header(name)).collect();
    if !headers.is_empty() {
        let headers = headers.into_iter().map(|(name, value)| (name.to_lowercase(), plain(value))).collect();
        return Some(Pasted::Headers(headers, asked));
    }
    let known = ["type", "channel", "channels", "product_ids", "jwt", "api_key", "signature"];
    known.iter().any(|name| object.contains_key(*name)).then_some(Pasted::Subscribe(object))
}

/// Python's quotes and names as JSON's. `b'…'` becomes text with its mark, which is what it is signed and sent as.
fn json_of_python(text: &str) -> String {
    let text = text.replace("None", "null").replace("True", "true").replace("False", "false");
    let mut json = String::with_capacity(text.len());
    let (mut open, mut bytes) = (None, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (open, c) {
            (None, 'b') if matches!(rest.peek(), Some('\'' | '"')) => bytes = true,
            (None, '\'' | '"') => {
                open = Some(c);
                json.push_str(if bytes { "\"b'" } else { "\"" });
            }
            (Some(quote), c) if c == quote => {
                open = None;
                json.push_str(if bytes { "'\"" } else { "\"" });
                bytes = false;
            }
            (Some(_), '"') => json.push_str("\\\""),
            (Some(_), '\\') => {
                json.push('\\');
                json.extend(rest.next());
            }
            (None, ',') => {
                // Python allows a comma behind the last.
                let next = rest.clone().find(|c| !c.is_whitespace());
                if !matches!(next, Some('}' | ']')) {
                    json.push(',');
                }
            }
            (_, c) => json.push(c),
        }
    }
    json
}

/// `Name: value` a line, under the first line of the request; a body stands behind an empty line.
fn lines(text: &str) -> Option<Pasted> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let asked = request_line(first);
    let head = if asked.is_some() { rest } else { text };
    if asked.is_some()
        && let Some(found @ Pasted::Headers(..)) = object(head, asked.clone())
    {
        return Some(found);
    }
    let head = head.replace("\r\n", "\n");
    let (head, body) = head.trim_start().split_once("\n\n").map_or((&*head, ""), |(head, body)| (head, body.trim()));
    let headers: Vec<_> = head.lines().filter_map(header).collect();
    let asked = asked.map(|asked| Asked { body: body.to_owned(), ..asked });
    (!headers.is_empty()).then_some(Pasted::Headers(headers, asked))
}

fn request_line(line: &str) -> Option<Asked> {
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    METHODS.contains(&&*method.to_uppercase()).then(|| Asked {
        method: method.to_owned(),
        target: target.to_owned(),
        body: String::new(),
    })
}

fn header(line: &str) -> Option<(String, String)> {
    let quotes = |c: char| c.is_whitespace() || matches!(c, '"' | ',');
    let (name, value) = line.split_once(':')?;
    let name = name.trim_matches(|c| quotes(c) || c == '\'').trim_start_matches('>').trim();
    is_header(name).then(|| (name.to_lowercase(), value.trim_matches(quotes).to_owned()))
}

fn is_header(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with("cb-access-") || name == "authorization"
}

fn curl(text: &str) -> Option<Pasted> {
    let words = words(text);
    let (mut headers, mut method, mut target, mut body) = (Vec::new(), None, None, String::new());
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-H" | "--header" => headers.extend(rest.next().as_deref().and_then(header)),
            "-X" | "--request" => method = rest.next(),
            "-d" | "--data" | "--data-raw" | "--data-binary" | "--json" => body = rest.next().unwrap_or_default(),
            "--url" => target = rest.next(),
            "-o" | "-u" | "-A" | "-m" | "--max-time" | "--output" => drop(rest.next()),
            _ if word.starts_with('-') => {}
            _ => target = Some(word),
        }
    }
    let asked = target.map(|target| Asked {
        method: method.unwrap_or_else(|| if body.is_empty() { "GET" } else { "POST" }.to_owned()),
        target,
        body,
    });
    (!headers.is_empty()).then_some(Pasted::Headers(headers, asked))
}

/// Splits as a shell does, as far as commands that people paste go.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => word.push(c),
            (_, '\\') => word.extend(rest.next().filter(|next| *next != '\n')),
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// A value as the text that it is sent as.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
