//! What people paste when they are refused: a subscribe, a set of headers, a curl command.

use std::fmt;

use serde_json::{Map, Value};

use super::{object, shell};

/// What was made out of a pasted text. It holds signatures, so it has no `Debug`.
pub(super) enum Pasted {
    /// A message for a WebSocket.
    Subscribe(Map<String, Value>),
    /// What proves a REST request, with the other headers that stand beside it, and the request where it was pasted too.
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
pub enum NotAMessage {
    /// It is what the venue sent.
    Answer,
    /// It is nothing that is known.
    Unknown,
}

impl fmt::Display for NotAMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer => {
                "this is what the venue answered: paste what was sent to it, the subscribe as JSON, and the doctor takes \
                 that apart"
            }
            Self::Unknown => {
                "this is no message: paste the subscribe as JSON, or the headers of a REST request, one a line, under \
                 its first line (GET /…), or the whole curl command"
            }
        })
    }
}

impl std::error::Error for NotAMessage {}

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH"];

pub(super) fn read(text: &str) -> Result<Pasted, NotAMessage> {
    let text = straight(text);
    let text = text.trim();
    let command = || shell::command(text).map(|(headers, asked)| Pasted::Headers(headers, asked));
    // A log may hold the JSON as a text of JSON.
    let unescaped = || objects(&text.replace("\\\"", "\"").replace("\\\\", "\\"));
    let found = command().or_else(|| objects(text)).or_else(|| lines(text)).or_else(unescaped);
    let answered = || object::all(text).iter().any(|(object, _)| is_answer(object));
    found.ok_or_else(|| if answered() { NotAMessage::Answer } else { NotAMessage::Unknown })
}

/// Without what word processors, forums and Windows do to quotes, blanks and line ends.
fn straight(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let straight = text.chars().filter(|c| !matches!(c, '\u{feff}' | '\u{200b}')).map(|c| match c {
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' => '"',
        '\u{2018}' | '\u{2019}' | '\u{201a}' => '\'',
        '\u{a0}' => ' ',
        c => c,
    });
    straight.collect()
}

/// The first object that is a subscribe or a set of headers, with whatever stands around it (`headers = {…}`).
fn objects(text: &str) -> Option<Pasted> {
    let all = sent(object::all(text));
    for (object, end) in &all {
        if object.contains_key("channel") || object.contains_key("channels") {
            return Some(Pasted::Subscribe(object.clone()));
        }
        if object.keys().any(|name| is_header(name)) {
            let headers = object.iter().map(|(name, value)| (name.to_lowercase(), plain(value))).collect();
            return Some(Pasted::Headers(headers, around(text, *end, &all)));
        }
    }
    if text.lines().any(|line| header(line).is_some()) {
        return None;
    }
    let known = ["type", "product_ids", "jwt", "api_key", "signature"];
    let subscribe = all.into_iter().find(|(object, _)| known.iter().any(|name| object.contains_key(*name)));
    subscribe.map(|(object, _)| Pasted::Subscribe(object))
}

/// Without the venue's answers, and what stands within them.
fn sent(all: Vec<object::Found>) -> Vec<object::Found> {
    let mut answered = 0;
    let is_sent = |(object, end): &object::Found| {
        if is_answer(object) {
            answered = answered.max(*end);
        }
        *end > answered
    };
    all.into_iter().filter(is_sent).collect()
}

/// Whether it is the venue's that speaks: it refuses, acknowledges, or delivers in Advanced Trade's envelope.
fn is_answer(object: &Map<String, Value>) -> bool {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    match text("type") {
        Some("error" | "subscriptions") => true,
        Some(_) => false,
        None => text("channel") == Some("subscriptions") || object.contains_key("events"),
    }
}

/// The request that stands around an object of headers: its first line above and its body below, or the call of a library
/// (`requests.get('https://…')`, `fetch("https://…", {"method": "POST"})`). None where it is not wholly told.
fn around(text: &str, end: usize, objects: &[object::Found]) -> Option<Asked> {
    if let Some(asked) = text.lines().find_map(request_line) {
        return Some(Asked { body: text[end..].trim().to_owned(), ..asked });
    }
    let scheme = text.find("https://")?;
    let target = text[scheme..].split(['\'', '"', '`', ' ', ',', '\n']).next()?;
    let option = |name: &str| objects.iter().find_map(|(object, _)| object.get(name));
    let lower = text.to_lowercase();
    let calls = |method: &&&str| {
        let method = method.to_lowercase();
        [".{}(", "\"{}\"", "'{}'"].iter().any(|call| lower.contains(&call.replace("{}", &method)))
    };
    let method = option("method").map(plain).or_else(|| Some((*METHODS.iter().find(calls)?).to_owned()));
    let body = option("body").map(plain).or_else(|| quoted(text.split_once("data=")?.1));
    let method = method.unwrap_or_else(|| "GET".to_owned());
    // A body that is not shown was signed all the same.
    let whole = body.is_some() || matches!(&*method.to_uppercase(), "GET" | "DELETE");
    whole.then(|| Asked { method, target: target.to_owned(), body: body.unwrap_or_default() })
}

/// What stands in the quotes that the text begins with.
fn quoted(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(inner, _)| inner.to_owned())
}

/// `Name: value` a line, under the first line of the request; a body stands behind an empty line. `curl -v` marks what it
/// sends with `>`, and what comes back with `<`.
fn lines(text: &str) -> Option<Pasted> {
    let sent: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with(['<', '*']))
        .map(|line| line.strip_prefix("> ").unwrap_or(line).trim_end())
        .collect();
    let headers: Vec<_> = sent.iter().filter_map(|line| field(line)).collect();
    let asked = sent.iter().position(|line| request_line(line).is_some()).and_then(|at| {
        let last = sent.iter().rposition(|line| header(line).is_some())?.max(at);
        let empty =
            sent[last..].iter().position(|line| matches!(*line, "" | ">")).map_or(sent.len(), |empty| last + empty);
        let body = sent[empty..].iter().skip(1).copied().collect::<Vec<_>>().join("\n").trim().to_owned();
        request_line(sent[at]).map(|asked| Asked { body, ..asked })
    });
    headers.iter().any(|(name, _)| is_header(name)).then_some(Pasted::Headers(headers, asked))
}

fn request_line(line: &str) -> Option<Asked> {
    let line = line.trim_start_matches(['>', ' ']);
    let (method, rest) = line.split_once(char::is_whitespace)?;
    let target = rest.split_whitespace().next()?;
    METHODS.contains(&&*method.to_uppercase()).then(|| Asked {
        method: method.to_owned(),
        target: target.to_owned(),
        body: String::new(),
    })
}

/// One of the headers that prove who asks.
fn header(line: &str) -> Option<(String, String)> {
    field(line).filter(|(name, _)| is_header(name))
}

/// A header of any name, which is told in small letters.
pub(super) fn field(line: &str) -> Option<(String, String)> {
    let quotes = |c: char| c.is_whitespace() || matches!(c, '"' | ',');
    let (name, value) = line.split_once(':')?;
    let name = name.trim_matches(|c| quotes(c) || c == '\'').trim_start_matches('>').trim();
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    is_name.then(|| (name.to_lowercase(), value.trim_matches(quotes).to_owned()))
}

/// Whether it proves who asks, or is to.
pub(super) fn is_header(name: &str) -> bool {
    let name = name.to_lowercase();
    name.starts_with("cb-access-") || name == "authorization"
}

/// A value as the text that it is sent as.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
