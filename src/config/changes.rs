//! In what two configurations differ, for people to see what a restart would change. A secret is compared by what it signs.

use std::{collections::BTreeSet, fmt::Debug};

use super::{Config, Feed, Origin};

/// A table's keys, and what stands there.
type Keys<'a, const N: usize> = [(&'static str, &'a dyn Debug); N];

impl Config {
    /// The keys that differ in `other`, as they are typed.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let mut keys: Vec<_> = differing("", self.keys(), other.keys()).collect();
        let signs_in = self.net.route.signs_in_as(&other.net.route);
        if !signs_in && !keys.iter().any(|key| key == "net.proxy") {
            keys.push("net.proxy".to_owned());
        }
        for feed in &self.feeds {
            let prefix = format!("feed.{}", feed.name);
            match other.feeds.iter().find(|theirs| theirs.name == feed.name) {
                Some(theirs) => keys.extend(differing(&format!("{prefix}."), feed.keys(), theirs.keys())),
                None => keys.push(prefix),
            }
        }
        let is_new = |theirs: &&Feed| !self.feeds.iter().any(|feed| feed.name == theirs.name);
        keys.extend(other.feeds.iter().filter(is_new).map(|feed| format!("feed.{}", feed.name)));
        let is_as_in = |origin: &Origin, others: &[Origin]| {
            let mut others = others.iter();
            others.any(|other| {
                origin.credentials.sign_as(&other.credentials) && format!("{origin:?}") == format!("{other:?}")
            })
        };
        let gone = self.credentials.iter().filter(|ours| !is_as_in(ours, &other.credentials));
        let new = other.credentials.iter().filter(|theirs| !is_as_in(theirs, &self.credentials));
        let names: BTreeSet<_> = gone.chain(new).map(|origin| origin.credentials.name()).collect();
        keys.extend(names.into_iter().map(|name| format!("credentials.{name}")));
        keys
    }

    fn keys(&self) -> Keys<'_, 18> {
        let Self { output, service, log, ca_file, net, http, .. } = self;
        [
            ("output.path", &output.path),
            ("output.record", &output.record),
            ("output.events", &output.events),
            ("output.rotate", &output.rotate),
            ("output.compress", &output.compress),
            ("output.keep", &output.keep),
            ("output.sync", &output.sync),
            ("output.queue", &output.queue),
            ("output.when_slow", &output.when_slow),
            ("service.ready", &service.ready),
            ("service.drain", &service.drain),
            ("log.level", &log.level),
            ("log.format", &log.format),
            ("tls.ca_file", ca_file),
            ("net.proxy", &net.route),
            ("net.bind", &net.bind),
            ("net.ip", &net.ip),
            ("http.listen", http),
        ]
    }
}

impl Feed {
    fn keys(&self) -> Keys<'_, 9> {
        [
            ("venue", &self.venue.name),
            ("url", &self.url),
            ("failover", &self.failover),
            ("rest", &self.rest),
            ("channels", &self.channels),
            ("products", &self.products),
            ("accounts", &self.accounts),
            ("credentials", &self.credentials),
            ("if_refused", &self.if_refused),
        ]
    }
}

fn differing<'a, const N: usize>(
    prefix: &'a str,
    ours: Keys<'a, N>,
    theirs: Keys<'a, N>,
) -> impl Iterator<Item = String> + 'a {
    let differ =
        ours.into_iter().zip(theirs).filter(|((_, ours), (_, theirs))| format!("{ours:?}") != format!("{theirs:?}"));
    differ.map(move |((key, _), _)| format!("{prefix}{key}"))
}
