//! What the command line says, as far as it is about the configuration.

use std::path::PathBuf;

use super::{layers::Setting, place::Place};
use crate::venue;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`: the file, and no search.
    pub config: Option<PathBuf>,
    /// `--feed`: this one alone of the file's; what the flags' own is called.
    pub feed: Option<String>,
    /// `--channel`: where there is one, the flags say it all and no file is read.
    pub channels: Vec<String>,
    /// `--product`, of the flags' own feed.
    pub products: Vec<String>,
    /// `--account`, of the flags' own feed.
    pub accounts: Vec<String>,
    /// `--venue`, of the flags' own feed.
    pub venue: Option<String>,
    /// `--endpoint`, of the flags' own feed.
    pub endpoint: Option<String>,
    /// `--url`, of the flags' own feed.
    pub url: Option<String>,
    /// `--key-file`: the CDP key that the flags' own feed signs with.
    pub key_file: Option<String>,
    /// `--credentials`: what the flags' own feed signs with, where it is stored under this name.
    pub credentials: Option<String>,
    /// `--output`, over the file's.
    pub output: Option<String>,
    /// `--record`, over the file's.
    pub record: Option<String>,
}

impl Flags {
    /// The name of the feed that the flags make, if they make one.
    pub(super) fn own_feed(&self) -> Option<String> {
        let name = || self.feed.clone().or_else(|| self.venue.clone()).unwrap_or_else(|| venue::ALL[0].name.to_owned());
        (!self.channels.is_empty()).then(name)
    }

    pub(super) fn settings(&self) -> Vec<Setting> {
        /// What `--key-file` holds is called.
        const OWN_CREDENTIALS: &str = "key-file";
        let mut settings = Vec::new();
        let mut set = |option: &str, keys: &[&str], value: toml::Value| {
            let keys = keys.iter().map(|&key| key.to_owned()).collect();
            settings.push(Setting { place: Place::Option(option.to_owned()), keys, value: value.to_string() });
        };
        let list = |words: &[String]| words.iter().map(|word| word.trim().to_owned()).collect::<Vec<_>>().into();
        if let Some(name) = self.own_feed().as_deref() {
            set("--channel", &["feed", name, "channels"], list(&self.channels));
            if !self.products.is_empty() {
                set("--product", &["feed", name, "products"], list(&self.products));
            }
            if !self.accounts.is_empty() {
                set("--account", &["feed", name, "accounts"], list(&self.accounts));
            }
            for (option, key, given) in [
                ("--venue", "venue", &self.venue),
                ("--endpoint", "endpoint", &self.endpoint),
                ("--url", "url", &self.url),
                ("--credentials", "credentials", &self.credentials),
            ] {
                if let Some(given) = given {
                    set(option, &["feed", name, key], given.clone().into());
                }
            }
            if let Some(file) = &self.key_file {
                set("--key-file", &["feed", name, "credentials"], OWN_CREDENTIALS.into());
                set("--key-file", &["credentials", OWN_CREDENTIALS, "key_file"], file.clone().into());
            }
        }
        if let Some(path) = &self.output {
            set("--output", &["output", "path"], path.clone().into());
        }
        if let Some(record) = &self.record {
            set("--record", &["output", "record"], record.clone().into());
        }
        settings
    }
}
