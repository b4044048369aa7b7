//! Which channels of which products, from whom, and by whose name.

use std::{collections::BTreeMap, net::IpAddr, ops::Range};

use tokio_tungstenite::tungstenite::http::Uri;
use toml::Spanned;

use super::{Feed, Origin, Store, draft, nearest, review::Review};
use crate::{
    venue::{self, Channel, Products, Selection, Unselectable, Venue},
    verdict::{self, Mistake},
};

/// Venues that will be, so that nobody looks for a slip in their names.
const LATER: &[&str] = &["exchange", "international", "prime"];

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
        let products = self.products(channels.as_deref().unwrap_or_default());
        let url = venue.and_then(|venue| self.url(venue, signed));
        let rest = venue.zip(url.as_ref()).and_then(|(venue, url)| self.rest(venue, url, signed));
        let credentials = self.draft.credentials.as_ref().and_then(|name| credentials.get(name.get_ref()));
        Some(Feed {
            name: name?,
            venue: venue?,
            url: url?.text,
            rest: rest?,
            failover: None,
            accounts: Vec::new(),
            channels: channels?,
            products: products?,
            credentials: credentials.map(|origin| origin.credentials.clone()),
            if_refused: self.draft.if_refused.unwrap_or_default(),
        })
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
                    let elsewhere = venue::ALL.iter().any(|other| other.channel(given).is_some());
                    let mistake = if elsewhere { Mistake::PrivateChannel } else { Mistake::ChannelName };
                    self.mistaken(&name.span(), "channels", &stranger(venue, given), mistake);
                }
                Some(channel) if channels.contains(&channel) => {
                    self.wrong(&name.span(), "channels", &format!("\"{given}\" is there twice"));
                }
                Some(channel) if channel.private && !signed => {
                    let what = format!(
                        "\"{given}\" is private and the feed has no credentials; store some (tickerd credential add main) and \
                         name them (credentials = \"main\", or --credentials main), or give --key-file FILE"
                    );
                    self.mistaken(&name.span(), "channels", &what, Mistake::PrivateChannel);
                }
                Some(channel) => channels.push(channel),
            }
        }
        (self.review.problems.len() == before).then_some(channels)
    }

    fn products(&mut self, channels: &[&'static Channel]) -> Option<Selection> {
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
        let needy = channels.iter().find(|channel| channel.products == Products::Required);
        if let Some(channel) = needy.filter(|_| typed.is_empty()) {
            let at = self.draft.products.as_ref().map_or_else(|| self.at.clone(), Spanned::span);
            let what = format!("\"{}\" must be told of which; name some, as in BTC-USD, ETH-USD", channel.name);
            self.wrong(&at, "products", &what);
        }
        if self.review.problems.len() > before {
            return None;
        }
        let at = self.draft.products.as_ref().map_or(0..0, Spanned::span);
        products.finish().map_err(|unselectable| self.wrong(&at, "products", &unselectable.to_string())).ok()
    }

    fn url(&mut self, venue: &Venue, signed: bool) -> Option<Address> {
        let Some(typed) = &self.draft.url else { return Address::parse(venue.url, "wss", "ws").ok() };
        let elsewhere = verdict::of_url(typed.get_ref(), venue);
        let wrong = match Address::parse(typed.get_ref(), "wss", "ws") {
            // Another interface of Coinbase's, which answers no such WebSocket.
            Ok(_) if elsewhere.is_some() => elsewhere.map_or_else(String::new, |finding| finding.what),
            Ok(address) if address.tls || address.loopback => return Some(address),
            Ok(_) if signed => "the credentials would go over the network unencrypted; write wss://".to_owned(),
            Ok(address) => {
                self.review.warnings.push(format!(
                    "{} is not encrypted: anyone on the way can read and change what is recorded",
                    address.text
                ));
                return Some(address);
            }
            Err(what) => what,
        };
        self.mistaken(&typed.span(), "url", &wrong, Mistake::Url);
        None
    }

    /// Where nothing is said it is on the WebSocket's host, unless that is the venue's own.
    fn rest(&mut self, venue: &Venue, url: &Address, signed: bool) -> Option<String> {
        let Some(typed) = &self.draft.rest else {
            let own = Address::parse(venue.url, "wss", "ws").is_ok_and(|own| own.authority == url.authority);
            let scheme = if url.tls { "https" } else { "http" };
            return Some(if own { venue.rest.url.to_owned() } else { format!("{scheme}://{}", url.authority) });
        };
        let wrong = match Address::parse(typed.get_ref(), "https", "http") {
            Ok(address) if signed && !address.tls && !address.loopback => {
                "the credentials would go over the network unencrypted; write https://".to_owned()
            }
            Ok(address) => return Some(address.text.trim_end_matches('/').to_owned()),
            Err(what) => what,
        };
        self.mistaken(&typed.span(), "rest", &wrong, Mistake::Url);
        None
    }

    fn wrong(&mut self, at: &Range<usize>, key: &str, what: &str) {
        self.review.wrong(at, &format!("feed.{key}"), what);
    }

    fn mistaken(&mut self, at: &Range<usize>, key: &str, what: &str, mistake: Mistake) {
        self.review.mistaken(at, &format!("feed.{key}"), what, mistake);
    }
}

/// A URL, as far as it matters here.
struct Address {
    text: String,
    authority: String,
    tls: bool,
    loopback: bool,
}

impl Address {
    /// `tls` and `plain` are the two schemes that it may have.
    fn parse(text: &str, tls: &str, plain: &str) -> Result<Self, String> {
        let wanted = format!("write {tls}://HOST or {tls}://HOST:PORT");
        let uri: Uri = text.parse().map_err(|error| format!("this is no URL: {error}; {wanted}"))?;
        let authority = uri.authority().ok_or_else(|| format!("there is no host in it; {wanted}"))?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        if scheme != tls && scheme != plain {
            return Err(format!("\"{scheme}://\" is not spoken here; {wanted}"));
        }
        // What stands before an @ is a password, and is not shown.
        if authority.as_str().contains('@') {
            return Err(format!("a URL that holds a name or password is refused; {wanted}"));
        }
        if authority.host().is_empty() || !(port.is_empty() || authority.port_u16().is_some_and(|port| port != 0)) {
            return Err(format!("\"{authority}\" is no host and port; {wanted}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let loopback =
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(Self { text: text.to_owned(), authority: authority.to_string(), tls: scheme == tls, loopback })
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

/// What to say of a channel that the venue does not have.
fn stranger(venue: &Venue, given: &str) -> String {
    if let Some(other) = venue::ALL.iter().find(|other| other.channel(given).is_some()) {
        return format!(
            "{} has no \"{given}\"; {} has: write a feed of its own with venue = \"{}\"",
            venue.name, other.name, other.name
        );
    }
    let known = venue.channels.iter().map(|channel| channel.name);
    match venue.channel_meant(given).map(|channel| channel.name).or_else(|| nearest::nearest(given, known)) {
        Some(meant) => format!("{} has no \"{given}\"; did you mean \"{meant}\"?", venue.name),
        None => format!("{} has no \"{given}\"; there is {}", venue.name, list_channels(venue)),
    }
}

fn list_channels(venue: &Venue) -> String {
    nearest::list(&venue.channels.iter().map(|channel| channel.name).collect::<Vec<_>>(), '"')
}
