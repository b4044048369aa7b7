//! File, variables and options laid over each other in one table, in which each value remembers where it was typed.
//!
//! It remembers by its span: within the file's text it is a place in the file; what lies beyond the text's end is the
//! number of a [`Setting`].

use std::{borrow::Cow, ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    draft::Draft,
    nearest::{hint, list},
    place::{Place, Problem},
};

/// A value from a variable or an option.
pub(super) struct Setting {
    /// Which.
    pub place: Place,
    /// The way to the key; the second step is a name, if the first is `feed` or `credentials`.
    pub keys: Vec<String>,
    /// Read as TOML, else as a string.
    pub value: String,
}

/// A file, if any, and what is laid over it.
pub(super) struct Layers<'a> {
    /// Where the file is, and what is in it.
    pub file: Option<(&'a Path, &'a str)>,
    /// What is laid over it: the later wins.
    pub settings: &'a [Setting],
    /// The name of the feed that the settings make, where they make one.
    pub feed: Option<&'a str>,
}

impl<'a> Layers<'a> {
    /// Reads all layers as one.
    ///
    /// # Errors
    /// All that is no TOML, no known key, or no value that its key could have.
    pub fn read(&self) -> Result<Draft, Vec<Problem>> {
        let mut table = self.table().map_err(|problem| vec![problem])?;
        let mut problems: Vec<_> = self
            .settings
            .iter()
            .enumerate()
            .filter_map(|(number, setting)| self.lay(&mut table, number, setting).err())
            .collect();
        // serde stops at the first error: it is taken out, and the rest is read again.
        loop {
            let whole = Spanned::new(0..0, table.clone());
            match serde::Deserialize::deserialize(toml::Deserializer::from(whole)) {
                Ok(draft) if problems.is_empty() => return Ok(draft),
                Ok(_) => return Err(problems),
                Err(error) => {
                    let span = error.span().unwrap_or_default();
                    let key = take(&mut table, &span);
                    let named = key.as_deref().unwrap_or_default();
                    problems.push(Problem::new(self.place(&span), named, explain(error.message(), named)));
                    if key.is_none() {
                        return Err(problems);
                    }
                }
            }
        }
    }

    /// Where the value with this span was typed.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let text = self.file.map_or("", |(_, text)| text);
        match (span.start.checked_sub(text.len() + 1).and_then(|number| self.settings.get(number)), self.file) {
            (Some(setting), _) => setting.place.clone(),
            (None, Some((path, _))) => {
                let before = text.as_bytes().get(..span.start).unwrap_or(text.as_bytes());
                Place::Line(path.to_owned(), 1 + memchr::memchr_iter(b'\n', before).count())
            }
            (None, None) => Place::Option("--channel".to_owned()),
        }
    }

    fn table(&self) -> Result<DeTable<'a>, Problem> {
        let Some((_, text)) = self.file else { return Ok(self.own_feed()) };
        match DeTable::parse(text) {
            Ok(table) => Ok(table.into_inner()),
            // Its Display would show the line, and that may hold a secret; its message does not.
            Err(error) => Err(Problem::new(
                self.place(&error.span().unwrap_or_default()),
                "",
                format!("this is not TOML: {}", error.message()),
            )),
        }
    }

    /// A table that holds nothing but a feed's name.
    fn own_feed(&self) -> DeTable<'a> {
        let mut table = DeTable::new();
        if let Some(name) = self.feed {
            let at = self.span_of(self.settings.len());
            let mut feed = DeTable::new();
            feed.insert(word("name", &at), Spanned::new(at.clone(), DeValue::String(Cow::Borrowed(name))));
            let feeds = DeArray::from_iter([Spanned::new(at.clone(), DeValue::Table(feed))]);
            table.insert(word("feed", &at), Spanned::new(at.clone(), DeValue::Array(feeds)));
        }
        table
    }

    fn span_of(&self, setting: usize) -> Range<usize> {
        let start = self.file.map_or(0, |(_, text)| text.len()) + 1 + setting;
        start..start
    }

    fn lay(&self, table: &mut DeTable<'a>, number: usize, setting: &'a Setting) -> Result<(), Problem> {
        let at = self.span_of(number);
        let wrong = |what: String| Problem::new(setting.place.clone(), setting.keys.join("."), what);
        let value = DeValue::parse(&setting.value)
            .map_or_else(|_| DeValue::String(Cow::Borrowed(&setting.value)), Spanned::into_inner);
        let mut table = table;
        let mut keys = setting.keys.as_slice();
        if let [first, name, rest @ ..] = keys
            && first == "feed"
        {
            table = feed_named(table, name).map_err(wrong)?;
            keys = rest;
        }
        let Some((last, way)) = keys.split_last() else { return Err(wrong("this names no key".to_owned())) };
        for key in way {
            let entry = table.entry(word(key, &at)).or_insert_with(|| placed(DeValue::Table(DeTable::new()), &at));
            let DeValue::Table(inner) = entry.get_mut() else { return Err(wrong(format!("`{key}` is no table"))) };
            table = inner;
        }
        table.insert(word(last, &at), placed(value, &at));
        Ok(())
    }
}

fn word<'a>(key: &'a str, at: &Range<usize>) -> Spanned<Cow<'a, str>> {
    Spanned::new(at.clone(), Cow::Borrowed(key))
}

/// The same value, all of it typed at one place.
fn placed<'a>(value: DeValue<'a>, at: &Range<usize>) -> Spanned<DeValue<'a>> {
    let value = match value {
        DeValue::Array(items) => DeValue::Array(items.into_iter().map(|item| placed(item.into_inner(), at)).collect()),
        DeValue::Table(table) => DeValue::Table(
            table
                .into_iter()
                .map(|(key, value)| (Spanned::new(at.clone(), key.into_inner()), placed(value.into_inner(), at)))
                .collect(),
        ),
        plain => plain,
    };
    Spanned::new(at.clone(), value)
}

/// The feed called `name`. A variable's name can not hold a hyphen nor, for some shells, a small letter: where nothing is
/// called exactly so, these are overlooked.
fn feed_named<'t, 'a>(table: &'t mut DeTable<'a>, name: &str) -> Result<&'t mut DeTable<'a>, String> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let Some(DeValue::Array(feeds)) = table.get_mut("feed").map(Spanned::get_mut) else {
        return Err(format!("no feed is called \"{name}\": there is none"));
    };
    let names: Vec<_> = feeds
        .iter()
        .map(|feed| feed.get_ref().get("name").and_then(|name| name.get_ref().as_str()).unwrap_or_default().to_owned())
        .collect();
    let alike: Vec<_> = (0..names.len()).filter(|&i| plain(&names[i]) == plain(name)).collect();
    let found = names.iter().position(|known| known == name).or(match alike[..] {
        [only] => Some(only),
        _ => None,
    });
    if let Some(DeValue::Table(feed)) = found.and_then(|i| feeds.get_mut(i)).map(Spanned::get_mut) {
        return Ok(feed);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Err(format!("no feed is called \"{name}\"; {}", hint(name, &names, '"')))
}

/// Takes the entry at this place out of the table, the innermost there is, and tells its key.
fn take(table: &mut DeTable<'_>, at: &Range<usize>) -> Option<String> {
    for (key, value) in table.iter_mut() {
        let within = match value.get_mut() {
            DeValue::Table(inner) => take(inner, at),
            DeValue::Array(items) => items.iter_mut().find_map(|item| match item.get_mut() {
                DeValue::Table(inner) => take(inner, at),
                _ => None,
            }),
            _ => None,
        };
        if let Some(within) = within {
            return Some(format!("{}.{within}", key.get_ref()));
        }
    }
    let covers = |span: Range<usize>| span.start <= at.start && at.end <= span.end;
    let key = table.iter().find(|(key, value)| covers(key.span()) || covers(value.span()))?.0.get_ref().to_string();
    table.remove(key.as_str());
    Some(key)
}

/// What serde says, for people. Below `credentials` nothing that was typed is shown again.
fn explain(message: &str, key: &str) -> String {
    let quoted: Vec<_> = message.split('`').skip(1).step_by(2).collect();
    let private = key == "credentials" || key.starts_with("credentials.");
    let last = key.rsplit('.').next().unwrap_or_default();
    match quoted.as_slice() {
        [given, known @ ..] if message.starts_with("unknown field") => {
            format!("there is no such key; {}", hint(given, known, '`'))
        }
        [_, known @ ..] if private && message.starts_with("unknown variant") => {
            format!("there is no such value; there is {}", list(known, '"'))
        }
        [given, known @ ..] if message.starts_with("unknown variant") => {
            format!("\"{given}\" is not known; {}", hint(given, known, '"'))
        }
        _ if private => match (key.split('.').count(), last) {
            (3, "key" | "secret" | "passphrase") => format!("this says no source; write {SOURCES}"),
            (3, "key_file") => "this is no path; write key_file = \"cdp_api_key.json\"".to_owned(),
            (3, _) => "a text in quotes is expected".to_owned(),
            _ => "a table of its own is expected; write [credentials.main] and below it key = … and secret = …"
                .to_owned(),
        },
        _ if key == "net.proxy" => {
            format!("write \"http://HOST:PORT\", \"socks5://HOST:PORT\", \"none\", or {SOURCES}")
        }
        _ if key == "feed" => "a list is expected; write [[feed]], with two brackets, before each feed".to_owned(),
        _ => {
            let message = message.strip_prefix("invalid type: ").unwrap_or(message).replace("a sequence", "a list");
            let found = match message.split_once(',') {
                Some(("sequence", expected)) => format!("found a list,{expected}"),
                Some(("map", expected)) => format!("found a table,{expected}"),
                _ => format!("found {message}"),
            };
            match example(last) {
                Some(example) if found.ends_with("expected a string") => format!("{found}, as in \"{example}\""),
                Some(example) if found.ends_with("expected a list") => format!("{found}, as in [\"{example}\"]"),
                _ => found,
            }
        }
    }
}

/// A text that the key, or one of its list, may well have; None where any will do.
fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "channels" => "ticker_batch",
        "products" => "BTC-USD",
        "accounts" => "ID",
        "queue" => "32MiB",
        "size" => "1GiB",
        "free" => "5GiB",
        "every" => "1h",
        "age" => "30d",
        "sync" => "1s",
        "drain" => "10s",
        "listen" => "127.0.0.1:9273",
        _ => return None,
    })
}

/// How a source is written.
pub(super) const SOURCES: &str = "{ env = \"VARIABLE\" }, { file = \"PATH\" } or { credential = \"NAME\" }";
