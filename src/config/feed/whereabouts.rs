//! Where a feed finds its venue: the address that was written, the endpoint that was chosen, or the venue's own.

use std::net::IpAddr;

use tokio_tungstenite::tungstenite::http::Uri;
use toml::Spanned;

use super::{Reader, remedy};
use crate::{
    config::nearest,
    venue::{Endpoint, Venue},
    verdict::{self, Mistake},
};

/// Where a feed finds its venue.
pub(super) struct Whereabouts {
    pub address: Address,
    /// The REST interface that goes with it, where the address is the venue's.
    pub rest: Option<&'static str>,
    /// Where to go while it can not be reached.
    pub failover: Option<&'static str>,
    /// It answers signed subscribes only.
    pub signed: bool,
}

impl Reader<'_, '_> {
    /// The endpoint that was chosen, the address that was written, or the venue's own.
    pub fn whereabouts(&mut self, venue: &'static Venue, signed: bool) -> Option<Whereabouts> {
        let Some(typed) = &self.draft.endpoint else { return self.url(venue, signed) };
        let name = typed.get_ref().as_str();
        let known: Vec<_> = venue.endpoints.iter().map(|endpoint| endpoint.name).collect();
        let wrong = match venue.endpoint(name) {
            _ if self.draft.url.is_some() => "`url` says where as well: leave one of the two out".to_owned(),
            Some(endpoint) if endpoint.signed && !signed => return self.unsigned(typed, "endpoint", name, venue),
            Some(endpoint) => {
                let address = Address::parse(endpoint.url, "wss", "ws").ok()?;
                let Endpoint { rest, failover, signed, .. } = *endpoint;
                return Some(Whereabouts { address, rest: Some(rest), failover, signed });
            }
            None if known.is_empty() => format!("{} has no endpoints to choose from: leave it out", venue.name),
            None => format!("{} has no endpoint \"{name}\"; {}", venue.name, nearest::hint(name, &known, '"')),
        };
        self.mistaken(&typed.span(), "endpoint", &wrong, Mistake::Url);
        None
    }

    fn url(&mut self, venue: &'static Venue, signed: bool) -> Option<Whereabouts> {
        let of = |address: Address| {
            let own = |url: &str| Address::parse(url, "wss", "ws").is_ok_and(|own| own.authority == address.authority);
            let endpoint = venue.endpoints.iter().find(|endpoint| own(endpoint.url));
            let rest = endpoint.map(|endpoint| endpoint.rest).or_else(|| own(venue.url).then_some(venue.rest.url));
            // Who writes an address means that one.
            let signed = endpoint.is_some_and(|endpoint| endpoint.signed);
            (Whereabouts { address, rest, failover: None, signed }, endpoint)
        };
        let Some(typed) = &self.draft.url else {
            return Address::parse(venue.url, "wss", "ws").ok().map(|own| of(own).0);
        };
        let elsewhere = verdict::of_url(typed.get_ref(), venue);
        let wrong = match Address::parse(typed.get_ref(), "wss", "ws") {
            // Another interface of Coinbase's, which answers no such WebSocket.
            Ok(_) if elsewhere.is_some() => elsewhere.map_or_else(String::new, |finding| finding.what),
            Ok(address) if address.tls || address.loopback => {
                return match of(address) {
                    (_, Some(endpoint)) if endpoint.signed && !signed => {
                        self.unsigned(typed, "url", endpoint.name, venue)
                    }
                    (place, _) => Some(place),
                };
            }
            Ok(_) if signed => "the credentials would go over the network unencrypted; write wss://".to_owned(),
            Ok(address) => {
                self.review.warnings.push(format!(
                    "{} is not encrypted: anyone on the way can read and change what is recorded",
                    address.text
                ));
                return Some(of(address).0);
            }
            Err(what) => what,
        };
        self.mistaken(&typed.span(), "url", &wrong, Mistake::Url);
        None
    }

    /// Where nothing is said it is the venue's that goes with the WebSocket, else on the WebSocket's host.
    pub fn rest(&mut self, place: &Whereabouts, signed: bool) -> Option<String> {
        let Some(typed) = &self.draft.rest else {
            let scheme = if place.address.tls { "https" } else { "http" };
            return Some(place.rest.map_or_else(|| format!("{scheme}://{}", place.address.authority), str::to_owned));
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

    /// An endpoint that answers to credentials alone, without any.
    fn unsigned(&mut self, typed: &Spanned<String>, key: &str, endpoint: &str, venue: &Venue) -> Option<Whereabouts> {
        let what = format!(
            "\"{endpoint}\" answers signed subscribes alone and the feed has no credentials; {}",
            remedy(venue)
        );
        self.mistaken(&typed.span(), key, &what, Mistake::PrivateChannel);
        None
    }
}

/// A URL, as far as it matters here.
pub(super) struct Address {
    pub text: String,
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
        if text.contains(['?', '#']) {
            return Err(format!("a URL with a query is refused, since `connected` and the log show it; {wanted}"));
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
