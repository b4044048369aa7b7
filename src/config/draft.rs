//! What was typed, before anything is known to be right. A value keeps its span where its line is wanted later.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::{Family, Form, IfRefused, LogFormat, Packing, Ready, WhenSlow};
use crate::auth;

/// The whole of it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Draft {
    pub output: Output,
    pub feed: Vec<Spanned<Feed>>,
    pub credentials: BTreeMap<String, Spanned<Credentials>>,
    pub service: Service,
    pub log: Log,
    pub tls: Tls,
    pub net: Net,
    pub http: Http,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Http {
    pub listen: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Output {
    pub path: Option<Spanned<String>>,
    pub record: Option<Form>,
    pub events: Option<Spanned<String>>,
    pub rotate: Option<Spanned<Rotate>>,
    pub compress: Option<Packing>,
    pub keep: Option<Spanned<Keep>>,
    pub sync: Option<Spanned<String>>,
    pub queue: Option<Spanned<String>>,
    pub when_slow: Option<WhenSlow>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, { every = \"1h\", size = \"1GiB\" }")]
pub(super) struct Rotate {
    pub every: Option<Spanned<String>>,
    pub size: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table, { age = \"30d\", size = \"500GiB\", free = \"5GiB\" }")]
pub(super) struct Keep {
    pub age: Option<Spanned<String>>,
    pub size: Option<Spanned<String>>,
    pub free: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Feed {
    pub name: Option<Spanned<String>>,
    pub venue: Option<Spanned<String>>,
    pub url: Option<Spanned<String>>,
    pub rest: Option<Spanned<String>>,
    pub endpoint: Option<Spanned<String>>,
    pub channels: Option<Spanned<Vec<Spanned<String>>>>,
    pub products: Option<Spanned<Vec<Spanned<String>>>>,
    pub accounts: Option<Spanned<Vec<Spanned<String>>>>,
    pub credentials: Option<Spanned<String>>,
    pub if_refused: Option<Spanned<IfRefused>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Credentials {
    pub scheme: Option<Spanned<Scheme>>,
    pub key: Option<Spanned<Source>>,
    pub secret: Option<Spanned<Source>>,
    pub passphrase: Option<Spanned<Source>>,
    pub key_file: Option<Spanned<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scheme {
    Auto,
    Jwt,
    Hmac,
}

/// Where a part of credentials is to be read from. It has no `Debug`: people type secrets here.
pub(super) enum Source {
    /// The text itself: right for a key, which is public, and wrong for a secret.
    Inline(String),
    Env(String),
    File(String),
    Credential(String),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Service {
    pub ready: Option<Ready>,
    pub drain: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Log {
    pub level: Option<Level>,
    pub format: Option<LogFormat>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Tls {
    pub ca_file: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Net {
    pub proxy: Option<Spanned<Source>>,
    pub bind: Option<Spanned<String>>,
    pub ip: Option<Spanned<Family>>,
}

impl From<Scheme> for auth::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Auto => Self::Auto,
            Scheme::Jwt => Self::Jwt,
            Scheme::Hmac => Self::Hmac,
        }
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
            Level::Trace => Self::TRACE,
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    /// By hand, because what serde says of a wrong value quotes it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Some(Self::Inline(text)),
            toml::Value::Table(table) if table.len() == 1 => table.into_iter().find_map(Self::of),
            _ => None,
        }
        .ok_or_else(|| D::Error::custom("no source"))
    }
}

impl Source {
    fn of((kind, name): (String, toml::Value)) -> Option<Self> {
        match (kind.as_str(), name) {
            ("env", toml::Value::String(name)) => Some(Self::Env(name)),
            ("file", toml::Value::String(name)) => Some(Self::File(name)),
            ("credential", toml::Value::String(name)) => Some(Self::Credential(name)),
            _ => None,
        }
    }
}
