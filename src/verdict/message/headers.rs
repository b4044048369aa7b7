//! The headers of a REST request, with the request where it was pasted too.

use serde_json::Value;

use super::{Examination, Given};
use crate::{
    venue::{self, Venue},
    verdict::{
        Finding, Mistake as M,
        paste::Asked,
        recipe,
        token::{self, For},
    },
};

pub(super) fn examine(by: &Examination<'_>, headers: &[(String, String)], asked: Option<&Asked>) -> Vec<Finding> {
    let mut found = Vec::new();
    let of = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone());
    let target = asked.and_then(|asked| asked.target.split_once("://")).map(|(_, rest)| rest.to_owned());
    found.extend([target, of("host")].iter().flatten().find_map(|host| elsewhere(by.venue, host)));
    let passphrase = of("cb-access-passphrase");
    if passphrase.is_some() && !by.venue.hmac.passphrase {
        let what = "there is a CB-ACCESS-PASSPHRASE, which is the Exchange's: Advanced Trade has none";
        found.push(Finding::wrong(M::OtherVenuesKey, what));
    }
    let signature = of("cb-access-sign").or_else(|| of("cb-access-signature"));
    let authorization = of("authorization");
    if authorization.is_some() && !by.venue.tokens {
        let what = "there is an Authorization, which is Advanced Trade's: the Exchange takes CB-ACCESS-KEY, -SIGN, \
                    -TIMESTAMP and -PASSPHRASE";
        found.push(Finding::wrong(M::OtherVenuesKey, what));
    }
    if let Some(authorization) = authorization.as_ref().filter(|_| by.venue.tokens) {
        // HTTP's schemes are the same in any case of their letters.
        let bearer = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        let token = bearer.map(|(_, token)| token);
        if token.is_none() {
            found.push(Finding::wrong(M::BadToken, "Authorization must be the word Bearer, a blank and the token"));
        }
        let token = token.unwrap_or(authorization).trim();
        found.extend(token::examine(token, &For::Request(asked), by.venue, by.credentials, by.now));
    } else if let Some(signature) = signature {
        let timestamp = of("cb-access-timestamp").map(Value::String);
        let given = Given { key: of("cb-access-key"), key_field: "CB-ACCESS-KEY", timestamp, signature };
        match asked {
            Some(asked) => by.signature(&given, || recipe::of_request(by.venue, asked), &mut found),
            None => {
                by.signature(&given, Vec::new, &mut found);
                let path = by.venue.rest.proof.split('?').next().unwrap_or_default();
                let what = format!("what was signed is not known: paste the request's first line too (GET {path})");
                found.push(Finding::noted(M::Prehash, what));
            }
        }
        by.passphrase(passphrase.as_deref(), &mut found);
    } else if by.venue.tokens {
        found.push(Finding::wrong(
            M::ChannelsPlural,
            "there is no CB-ACCESS-SIGN and no Authorization: the request is not signed",
        ));
    } else if authorization.is_none() {
        found.push(Finding::wrong(M::ChannelsPlural, "there is no CB-ACCESS-SIGN: the request is not signed"));
    }
    found
}

/// A request that goes to where another venue's keys are known.
fn elsewhere(venue: &Venue, address: &str) -> Option<Finding> {
    let host = host_of(address);
    let other = venue::ALL.iter().find(|other| other.rest.url != venue.rest.url && answers_at(other, &host))?;
    let what = format!("the request goes to {host}, which is {}'s: {}'s is {}", other.name, venue.name, venue.rest.url);
    Some(Finding::wrong(M::Url, what))
}

/// Whether the venue's REST interface is at that host.
pub(super) fn answers_at(venue: &Venue, host: &str) -> bool {
    let is_at = |url: &str| url.split_once("://").is_some_and(|(_, own)| own == host);
    is_at(venue.rest.url) || venue.endpoints.iter().any(|endpoint| is_at(endpoint.rest))
}

/// The host that an address without its scheme begins with.
pub(super) fn host_of(address: &str) -> String {
    address.trim().split(['/', '?', ':']).next().unwrap_or_default().to_lowercase()
}
