//! What a request may have been signed over.

use super::{Contents, VERIFY, Way, right, signs_path, slip};
use crate::{
    venue::{Request, Venue},
    verdict::{Mistake as M, paste::Asked},
};

/// What a request may have been signed over.
pub(in crate::verdict) fn of_request(venue: &Venue, asked: &Asked) -> Vec<Way<Contents>> {
    let (request, _) = Request::parse(&asked.method, &asked.target, &asked.body);
    let (target, path, query_is_signed) = (request.target(), request.path.as_str(), venue.hmac.query);
    let rightly = if query_is_signed { &*target } else { path };
    let host = venue.rest.url.trim_start_matches("https://");
    let methods = [
        right(request.method.clone()),
        slip(request.method.to_lowercase(), M::Uri, "the method is signed in small letters, and must be in capitals"),
        slip(String::new(), M::Prehash, "the method is left out of what is signed"),
    ];
    let mut paths = vec![
        right(rightly.to_owned()),
        slip(rightly[1..].to_owned(), M::Uri, "the path is signed without the slash it begins with"),
        slip(format!("{}{rightly}", venue.rest.url), M::Uri, "scheme and host are signed before the path"),
        slip(format!("{host}{rightly}"), M::Uri, "the host is signed before the path"),
        slip(format!("{rightly}/"), M::Uri, "the path is signed with a slash behind it"),
        slip(rightly.trim_end_matches('/').to_owned(), M::Uri, "the path is signed without its last slash"),
    ];
    for (start, what) in [
        ("/api/v3/brokerage", "the path is signed without /api/v3/brokerage"),
        ("/api/v3", "the path is signed without /api/v3"),
    ] {
        paths.extend(rightly.strip_prefix(start).map(|rest| slip(rest.to_owned(), M::Uri, what)));
    }
    if request.query.is_some() {
        let (other, what) = if query_is_signed {
            (path, "the query is left out of what is signed, and is signed with the path here")
        } else {
            (&*target, "the query is signed with the path, and must not be")
        };
        paths.push(slip(other.to_owned(), M::QueryInPath, what));
        let mut whole = slip(format!("{}{other}", venue.rest.url), M::QueryInPath, what);
        whole.slips.push((M::Uri, "scheme and host are signed before the path"));
        paths.push(whole);
    }
    let mut bodies = vec![right(asked.body.clone())];
    if asked.body.is_empty() {
        bodies.push(slip("{}".to_owned(), M::Prehash, "a body is signed where none is sent"));
        bodies.push(slip("None".to_owned(), M::Prehash, "Python's None is signed for a body"));
        bodies.push(slip("null".to_owned(), M::Prehash, "null is signed for a body"));
    } else {
        bodies.push(slip(String::new(), M::Prehash, "the body is left out of what is signed"));
        let value = serde_json::from_str::<serde_json::Value>(&asked.body).ok();
        for respaced in value.iter().flat_map(respaced) {
            bodies.push(slip(respaced, M::Prehash, "the body is signed with other blanks than it is sent with"));
        }
    }
    let mut ways = Vec::new();
    for method in &methods {
        for path in &paths {
            for body in &bodies {
                let slips = [&method.slips[..], &path.slips, &body.slips].concat();
                ways.push(Way { part: Contents::after(format!("{}{}{}", method.part, path.part, body.part)), slips });
            }
        }
    }
    let method = &request.method;
    ways.push(slip(
        Contents { before: method.clone(), after: rightly.to_owned() },
        M::Prehash,
        "the time is not signed first",
    ));
    ways.push(slip(Contents::after(format!("{rightly}{method}")), M::Prehash, "the path is signed before the method"));
    ways.extend(of_messages(venue));
    ways
}

/// What a WebSocket signs, which a request must not.
fn of_messages(venue: &Venue) -> Vec<Way<Contents>> {
    const VERIFIED: &str =
        "it is signed by the WebSocket's recipe, GET/users/self/verify, and REST signs method and path";
    const VERIFY_ELSEWHERE: &str = "it is signed by the Exchange's recipe, GET/users/self/verify";
    const CONTENTS: &str =
        "it is signed by the WebSocket's recipe (channel and products), and REST signs method and path";
    let verify = |what| slip(Contents::after(VERIFY.to_owned()), M::OtherRecipe, what);
    if signs_path(venue) {
        return vec![verify(VERIFIED)];
    }
    let mut ways = vec![verify(VERIFY_ELSEWHERE)];
    for channel in venue.channels {
        // Which products, a request does not tell: those of the documentation's examples are tried.
        for products in ["", "BTC-USD", "ETH-USD", "BTC-USD,ETH-USD", "ETH-USD,BTC-USD", "ETH-USD,ETH-EUR"] {
            ways.push(slip(Contents::after(format!("{}{products}", channel.name)), M::OtherRecipe, CONTENTS));
        }
    }
    ways
}

/// JSON as compact as it gets, and as Python writes it.
fn respaced(value: &serde_json::Value) -> [String; 2] {
    let compact = value.to_string();
    // Between tokens only: inside a text there may be the same characters.
    let (mut spaced, mut text, mut escaped) = (String::with_capacity(compact.len()), false, false);
    for c in compact.chars() {
        spaced.push(c);
        match c {
            '"' if !escaped => text = !text,
            ',' | ':' if !text => spaced.push(' '),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    [compact, spaced]
}
