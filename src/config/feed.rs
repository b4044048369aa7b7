//! Which channels of which products, from whom, and by whose name.

mod whereabouts;

use std::{collections::BTreeMap, ops::Range};

use toml::Spanned;

use whereabouts::Whereabouts;

use super::{Feed, IfRefused, Origin, Place, Store, draft, nearest, review::Review};
use crate::{
    auth::key,
    venue::{self, Channel, Products, Selection, Unfit, Unselectable, Venue},
    verdict::Mistake,
};

/// Venues that will be, so that nobody looks for a slip in their names.
const LATER: &[&str] = &["international", "prime"];

/// What to do where credentials are missing.
fn remedy(venue: &Venue) -> String {
    let (name, venue) =
        if venue.tokens { ("main", String::new()) } else { (venue.name, format!(" --venue {}", venue.name)) };
    format!(
        "store some (tickerd credential add {name}{venue}) and name them (credentials = \"{name}\", or --credentials {name}), or \
         give --key-file FILE"
    )
}

/// Every feed that is right; what is not is told to `review`.
pub(super) fn review(
    drafts: &[Spanned<draft::Feed>],
    credentials: &BTreeMap<String, Origin>,
    known: &[&str],
    review: &mut Review,
) -> Vec<Feed> {
    if drafts.is_empty() && review.problems.is_empty() {
        review.wrong(&(0..0), "feed", "there is no feed; `tickerd init` prints a configuration with one");
    }
    let mut names = Vec::new();
    drafts
        .iter()
        .filter_map(|draft| {
            Reader { draft: draft.get_ref(), at: draft.span(), review }.feed(&mut names, credentials, known)
        })
        .collect()
}

/// One feed while it is being read.
struct Reader<'r, 'a> {
    draft: &'r draft::Feed,
    at: Range<usize>,
    review: &'r mut Review<'a>,
}

impl Reader<'_, '_> {
    fn feed(
        &mut self,
        names: &mut Vec<String>,
        credentials: &BTreeMap<String, Origin>,
        known: &[&str],
    ) -> Option<Feed> {
        let name = self.name(names);
        let venue = self.venue();
        let signed = self.signed(known);
        let channels = venue.and_then(|venue| self.channels(venue, signed));
        let products = self.products(venue, channels.as_deref().unwrap_or_default());
        let accounts = self.accounts(channels.as_deref());
        let place = venue.and_then(|venue| self.whereabouts(venue, signed));
        let rest = place.as_ref().and_then(|place| self.rest(place, signed));
        let credentials = self.draft.credentials.as_ref().and_then(|name| credentials.get(name.get_ref()));
        if let (Some(venue), Some(origin)) = (venue, credentials) {
            self.fits(venue, origin);
        }
        let place = place?;
        let if_refused = self.if_refused(&place);
        Some(Feed {
            name: name?,
            venue: venue?,
            url: place.address.text,
            failover: place.failover.map(str::to_owned),
            rest: rest?,
            channels: channels?,
            products: products?,
            accounts: accounts?,
            credentials: credentials.map(|origin| origin.credentials.clone()),
            if_refused,
        })
    }

    /// What a feed does while its credentials are refused. Where nothing unsigned is answered, nothing can go on.
    fn if_refused(&mut self, place: &Whereabouts) -> IfRefused {
        match &self.draft.if_refused {
            None if place.signed => IfRefused::Wait,
            None => IfRefused::default(),
            Some(typed) if place.signed && *typed.get_ref() == IfRefused::Public => {
                let what = "this endpoint answers signed subscribes alone, so no public channel can go on without: write \
                     \"wait\", or leave it out";
                self.wrong(&typed.span(), "if_refused", what);
                IfRefused::Wait
            }
            Some(typed) => *typed.get_ref(),
        }
    }

    /// A feed's name stands in file names, records and variables.
    fn name(&mut self, names: &mut Vec<String>) -> Option<String> {
        /// A file's name has 255 bytes: this leaves most of them to what stands around `{feed}`.
        const LONGEST_NAME: usize = 64;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let Some(typed) = &self.draft.name else {
            self.wrong(&self.at.clone(), "name", "the feed has no name; write name = \"tickers\"");
            return None;
        };
        let name = typed.get_ref().as_str();
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            let what = format!("\"{name}\" is no name; letters, digits, `_` and `-` make one, {LONGEST_NAME} at most");
            self.wrong(&typed.span(), "name", &what);
            return None;
        }
        // Some file systems see no difference between capitals and small letters.
        if names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.wrong(&typed.span(), "name", &format!("another feed is called \"{name}\" already"));
            return None;
        }
        names.push(name.to_owned());
        Some(name.to_owned())
    }

    fn venue(&mut self) -> Option<&'static Venue> {
        let Some(typed) = &self.draft.venue else { return Some(venue::ALL[0]) };
        let name = typed.get_ref().as_str();
        let found = Venue::named(name);
        if found.is_none() {
            let known: Vec<_> = venue::ALL.iter().map(|venue| venue.name).collect();
            let what = if LATER.contains(&name) {
                format!("\"{name}\" is not built yet; there is {}", nearest::list(&known, '"'))
            } else {
                format!("\"{name}\" is no venue; {}", nearest::hint(name, &known, '"'))
            };
            self.wrong(&typed.span(), "venue", &what);
        }
        found
    }

    /// Whether the feed is to sign, and with credentials that exist.
    fn signed(&mut self, known: &[&str]) -> bool {
        let Some(typed) = &self.draft.credentials else { return false };
        let name = typed.get_ref().as_str();
        if !known.contains(&name) {
            let what = unknown_credentials(name, known, &Store::new(self.review.around));
            self.wrong(&typed.span(), "credentials", &what);
        }
        true
    }

    fn channels(&mut self, venue: &'static Venue, signed: bool) -> Option<Vec<&'static Channel>> {
        let typed = match &self.draft.channels {
            Some(typed) if !typed.get_ref().is_empty() => typed,
            empty => {
                let at = empty.as_ref().map_or_else(|| self.at.clone(), Spanned::span);
                let what = format!("the feed has no channels; there is {}", list_channels(venue));
                self.wrong(&at, "channels", &what);
                return None;
            }
        };
        let mut channels: Vec<&'static Channel> = Vec::new();
        let before = self.review.problems.len();
        for name in typed.get_ref() {
            let given = name.get_ref().as_str();
            match venue.channel(given) {
                None => {
                    let (what, mistake) = stranger(venue, given);
                    self.mistaken(&name.span(), "channels", &what, mistake);
                }
                Some(channel) if channels.contains(&channel) => {
                    self.wrong(&name.span(), "channels", &format!("\"{given}\" is there twice"));
                }
                Some(channel) if channel.private && !signed => {
                    let what = format!("\"{given}\" is private and the feed has no credentials; {}", remedy(venue));
                    self.mistaken(&name.span(), "channels", &what, Mistake::PrivateChannel);
                }
                Some(channel) => channels.push(channel),
            }
        }
        (self.review.problems.len() == before).then_some(channels)
    }

    fn products(&mut self, venue: Option<&Venue>, channels: &[&'static Channel]) -> Option<Selection> {
        let nothing = Vec::new();
        let typed = self.draft.products.as_ref().map_or(&nothing, Spanned::get_ref);
        let mut products = Selection::default();
        let before = self.review.problems.len();
        for name in typed {
            match products.add(name.get_ref()) {
                Ok(()) => {}
                Err(Unselectable::Misspelt(misspelt)) => {
                    self.mistaken(&name.span(), "products", &misspelt.to_string(), Mistake::ProductSpelling);
                }
                Err(unselectable) => self.wrong(&name.span(), "products", &unselectable.to_string()),
            }
        }
        let required = |channel: &&&Channel| channel.products == Products::Required;
        let beats = || venue.into_iter().flat_map(|venue| venue.channels).filter(|channel| channel.heartbeat);
        let needy = match channels.iter().find(required) {
            Some(channel) => Some(format!("\"{}\" must be told of which", channel.name)),
            None if channels.is_empty() => None,
            None => beats().find(|channel| required(&channel)).map(|channel| {
                format!("\"{}\", by which a connection is known to live, is of products here", channel.name)
            }),
        };
        if let Some(needy) = needy.filter(|_| typed.is_empty()) {
            let at = self.draft.products.as_ref().map_or_else(|| self.at.clone(), Spanned::span);
            let some = match self.review.layers.place(&at) {
                Place::Option(_) => "--product BTC-USD,ETH-USD",
                Place::Line(..) | Place::Variable(_) => "products = [\"BTC-USD\"]",
            };
            self.wrong(&at, "products", &format!("{needy}; name some: {some}"));
        }
        if self.review.problems.len() > before {
            return None;
        }
        let at = self.draft.products.as_ref().map_or(0..0, Spanned::span);
        products.finish().map_err(|unselectable| self.wrong(&at, "products", &unselectable.to_string())).ok()
    }

    fn accounts(&mut self, channels: Option<&[&'static Channel]>) -> Option<Vec<String>> {
        let nothing = Vec::new();
        let typed = self.draft.accounts.as_ref().map_or(&nothing, Spanned::get_ref);
        let mut accounts: Vec<String> = Vec::new();
        let before = self.review.problems.len();
        for id in typed {
            let given = id.get_ref().as_str();
            if !key::is_uuid(given) {
                // What is no id may be anything, a key as well: it is not shown.
                let what = "this is no account's id: they are UUIDs, as GET /accounts lists them";
                self.wrong(&id.span(), "accounts", what);
            } else if accounts.iter().any(|known| known.eq_ignore_ascii_case(given)) {
                self.wrong(&id.span(), "accounts", &format!("\"{given}\" is there twice"));
            } else {
                accounts.push(given.to_owned());
            }
        }
        let at = self.draft.accounts.as_ref().map_or_else(|| self.at.clone(), Spanned::span);
        let needy = |channels: &[&'static Channel]| {
            channels.iter().find(|channel| channel.products == Products::Accounts).map(|channel| channel.name)
        };
        match channels.map(needy) {
            Some(Some(channel)) if typed.is_empty() => {
                let what = format!(
                    "\"{channel}\" must be told of which accounts: accounts = [\"…\"], by the ids that GET /accounts lists \
                     (tickerd sign rest GET /accounts makes the request)"
                );
                self.wrong(&at, "accounts", &what);
            }
            Some(None) if !typed.is_empty() => {
                self.wrong(&at, "accounts", "no channel of this feed is of accounts: leave it out");
            }
            _ => {}
        }
        (self.review.problems.len() == before).then_some(accounts)
    }

    /// Whether the venue can take what these credentials sign at all.
    fn fits(&mut self, venue: &Venue, origin: &Origin) {
        let (Err(unfit), Some(typed)) = (venue.fits(&origin.credentials), &self.draft.credentials) else { return };
        let feed = self.draft.name.as_ref().map_or("", |name| name.get_ref());
        let what = format!("feed \"{feed}\" can not sign with \"{}\": {unfit}", typed.get_ref());
        let mistake = match unfit {
            Unfit::Token(_) | Unfit::Passphrase(_) => Mistake::OtherVenuesKey,
            Unfit::NoPassphrase(_) => Mistake::Passphrase,
            Unfit::SecretSent(_) => Mistake::Swapped,
            Unfit::NotBase64(_) => Mistake::SecretDecoding,
        };
        self.mistaken(&typed.span(), "credentials", &what, mistake);
    }

    fn wrong(&mut self, at: &Range<usize>, key: &str, what: &str) {
        self.review.wrong(at, &format!("feed.{key}"), what);
    }

    fn mistaken(&mut self, at: &Range<usize>, key: &str, what: &str, mistake: Mistake) {
        self.review.mistaken(at, &format!("feed.{key}"), what, mistake);
        let venue = self.draft.venue.as_ref().and_then(|name| Venue::named(name.get_ref())).map(|venue| venue.name);
        if let Some(problem) = self.review.problems.last_mut() {
            problem.venue = venue;
        }
    }
}

/// What to say of credentials that are nowhere. A name that is long is not shown: whoever takes this for the place of the
/// secret has typed it here.
pub(super) fn unknown_credentials(name: &str, known: &[&str], store: &Store) -> String {
    /// Half of the shortest secret; what one calls a key is seldom as long.
    const SHOWN: usize = 16;
    let stored = store.names();
    let mut known: Vec<_> = known.iter().copied().chain(stored.iter().map(String::as_str)).collect();
    known.sort_unstable();
    known.dedup();
    let meant = nearest::nearest(name, known.iter().copied());
    let shown = Store::is_name(name) && name.len() <= SHOWN;
    let (so, name) = if shown { (format!("\"{name}\""), name) } else { ("so".to_owned(), "NAME") };
    let remedy = match (meant, known.as_slice()) {
        (Some(meant), _) => format!("did you mean \"{meant}\"? Else store them:"),
        (None, []) => "store them:".to_owned(),
        (None, known) => format!("there is {}. Store them:", nearest::list(known, '"')),
    };
    // What a unit is not told to give its service, the service does not see, wherever it is stored.
    let unit = if store.is_under_systemd() {
        format!(", and tell the unit, by systemctl edit tickerd: [Service] LoadCredential=tickerd-{name}")
    } else {
        String::new()
    };
    format!(
        "no credentials are called {so}: no section is [credentials.{name}], and there is no {}; {remedy} tickerd \
         credential add {name}{unit}",
        store.searched(name)
    )
}

/// What to say of a channel that the venue does not have: what people from elsewhere mean by it comes before who else has
/// one of that name, for `heartbeat` and `heartbeats` are two venues' names of one thing.
fn stranger(venue: &Venue, given: &str) -> (String, Mistake) {
    let known = venue.channels.iter().map(|channel| channel.name);
    let meant = match venue.channel_meant(given) {
        Some(meant) => Some(meant.name),
        None => {
            if let Some(other) = venue::ALL.iter().find(|other| other.channel(given).is_some()) {
                let what = format!(
                    "{} has no \"{given}\"; {} has: write a feed of its own with venue = \"{}\"",
                    venue.name, other.name, other.name
                );
                // Another host of the same exchange is where to go; another exchange has other keys and other messages.
                let is_endpoint = other.rest.url == venue.rest.url;
                return (what, if is_endpoint { Mistake::PrivateChannel } else { Mistake::ChannelName });
            }
            nearest::nearest(given, known)
        }
    };
    let what = match meant {
        Some(meant) => match venue::ALL.iter().find(|other| other.channel(given).is_some()) {
            Some(other) => format!(
                "{} has no \"{given}\"; did you mean \"{meant}\"? (venue = \"{}\" has a \"{given}\")",
                venue.name, other.name
            ),
            None => format!("{} has no \"{given}\"; did you mean \"{meant}\"?", venue.name),
        },
        None => format!("{} has no \"{given}\"; there is {}", venue.name, list_channels(venue)),
    };
    (what, Mistake::ChannelName)
}

fn list_channels(venue: &Venue) -> String {
    nearest::list(&venue.channels.iter().map(|channel| channel.name).collect::<Vec<_>>(), '"')
}
