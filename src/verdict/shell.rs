//! Commands that people paste, those of curl and `http`, read as far as they say what was asked and how it was proved.

use super::paste::{Asked, field, is_header};

/// The headers of a command, and what it asks for; None of the latter where its body stands in a file.
pub(super) type Command = (Vec<(String, String)>, Option<Asked>);

/// The first command of the text, behind whatever prompt.
pub(super) fn command(text: &str) -> Option<Command> {
    let mut starts =
        text.char_indices().filter(|(at, _)| *at == 0 || text[..*at].ends_with([' ', '\n', '\t', '$', '>', '#']));
    starts.find_map(|(at, _)| {
        let rest = &text[at..];
        let name = rest.split_whitespace().next()?;
        let found = match name {
            "curl" | "curl.exe" | "wget" => curl(words(rest)),
            "http" | "https" | "xh" => httpie(words(rest)),
            _ => return None,
        };
        found.0.iter().any(|(name, _)| is_header(name)).then_some(found)
    })
}

/// curl's options that take a value, by their letters and by their names.
const LETTERS: &[char] = &['X', 'H', 'd', 'o', 'u', 'A', 'm', 'e', 'b', 'c', 'x', 'w', 'F', 'T', 'K', 'E'];
const NAMES: &[&str] = &[
    "request",
    "header",
    "data",
    "data-raw",
    "data-binary",
    "data-ascii",
    "json",
    "url",
    "oauth2-bearer",
    "output",
    "user",
    "user-agent",
    "max-time",
    "connect-timeout",
    "proxy",
    "cookie",
    "cacert",
    "cert",
    "retry",
    "write-out",
    "resolve",
    "interface",
    "referer",
];

fn curl(words: Vec<String>) -> Command {
    let (mut headers, mut method, mut target) = (Vec::new(), None, None);
    let (mut body, mut gets): (Option<String>, bool) = (None, false);
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        // Word processors make dashes of hyphens.
        let word = match word.strip_prefix('\u{2013}') {
            Some(bare) => format!("-{bare}"),
            None => word.strip_prefix('\u{2014}').map_or_else(|| word.clone(), |bare| format!("--{bare}")),
        };
        let (option, value) = if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            let value = value.or_else(|| NAMES.contains(&name).then(|| rest.next()).flatten());
            (name.to_owned(), value)
        } else if let Some(short) = word.strip_prefix('-') {
            gets |= short.chars().take_while(|c| !LETTERS.contains(c)).any(|c| c == 'G');
            let Some(at) = short.find(LETTERS) else { continue };
            let (option, value) = (short[at..=at].to_owned(), &short[at + 1..]);
            (option, if value.is_empty() { rest.next() } else { Some(value.to_owned()) })
        } else {
            target = Some(word);
            continue;
        };
        let Some(value) = value else {
            gets |= option == "get";
            continue;
        };
        match option.as_str() {
            "H" | "header" => headers.extend(field(&value)),
            // It is sent as a header too, and a secret may stand in it.
            "u" | "user" => headers.push(("user".to_owned(), value)),
            "oauth2-bearer" => headers.push(("authorization".to_owned(), format!("Bearer {value}"))),
            "X" | "request" | "method" => method = Some(value),
            "url" => target = Some(value),
            "d" | "data" | "data-raw" | "data-binary" | "data-ascii" | "json" | "body-data" | "post-data" => {
                body = Some(body.map_or_else(|| value.clone(), |body| format!("{body}&{value}")));
            }
            _ => {}
        }
    }
    // `@` names a file, and what stands in it is not known.
    let unknown = body.as_ref().is_some_and(|body| body.starts_with('@'));
    if gets && let (Some(query), Some(target)) = (body.take(), &mut target) {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&query);
    }
    let method = method.unwrap_or_else(|| if body.is_none() { "GET" } else { "POST" }.to_owned());
    let asked = target.filter(|_| !unknown).map(|target| Asked {
        method,
        target: whole(target),
        body: body.unwrap_or_default(),
    });
    (headers, asked)
}

/// `http [METHOD] URL [Name:value]…`, with `--raw BODY`; a body of fields is not known as it is sent.
fn httpie(words: Vec<String>) -> Command {
    let (mut headers, mut plain, mut body, mut unknown) = (Vec::new(), Vec::new(), String::new(), false);
    // An address (`https://…`, `localhost:80`), or a field of the body (`a:=1`).
    let is_other = |value: &str| value.starts_with(['/', '=']) || value.starts_with(|c: char| c.is_ascii_digit());
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        if word == "--raw" {
            body = rest.next().unwrap_or_default();
        } else if let Some(raw) = word.strip_prefix("--raw=") {
            raw.clone_into(&mut body);
        } else if let Some(header) = field(&word).filter(|(name, value)| is_header(name) || !is_other(value)) {
            headers.push(header);
        } else if !word.starts_with('-') && plain.len() < 2 && (plain.is_empty() || !word.contains("==")) {
            plain.push(word);
        } else {
            unknown |= word.contains('=') && !word.contains("==");
        }
    }
    let asked = match <[String; 2]>::try_from(plain) {
        Ok([method, target]) if method.bytes().all(|b| b.is_ascii_alphabetic()) => Some((method, target)),
        Ok([target, _]) => Some(("GET".to_owned(), target)),
        Err(plain) => {
            plain.into_iter().next().map(|target| (if body.is_empty() { "GET" } else { "POST" }.to_owned(), target))
        }
    };
    (headers, asked.filter(|_| !unknown).map(|(method, target)| Asked { method, target: whole(target), body }))
}

/// An address as it is meant where its scheme was left out: what stands before the path is the host.
fn whole(target: String) -> String {
    if target.contains("://") || target.starts_with('/') { target } else { format!("https://{target}") }
}

/// Splits as a shell does, as far as commands that people paste go, up to the command's end.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some('$'), '\'') => quote = None,
            (Some('$'), '\\') => word.extend(rest.next().map(|next| match next {
                'n' => '\n',
                't' => '\t',
                next => next,
            })),
            (Some(open), c) if c == open && open != '$' => quote = None,
            (Some('\'' | '$'), c) => word.push(c),
            // Within double quotes the backslash is itself before most characters.
            (Some(_), '\\') if !matches!(rest.peek(), Some('"' | '\\' | '$' | '`' | '\n')) => word.push('\\'),
            (_, '\\') => word.extend(rest.next().filter(|next| *next != '\n')),
            // cmd.exe and PowerShell go on so.
            (None, '^' | '`') if rest.peek() == Some(&'\n') => drop(rest.next()),
            (None, '$') if rest.peek() == Some(&'\'') => {
                rest.next();
                (quote, any) = (Some('$'), true);
            }
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (None, '&') if word.is_empty() && !any => break,
            (None, '\n' | '|' | ';' | '<' | '>') => break,
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
