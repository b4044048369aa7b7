//! Coinbase Exchange, from the other side.
//!
//! Shapes and orders are those of a session recorded on 2021-04-17, of single messages to 2022-12 and of the docs to
//! 2026-09: the ack first, then what is new of each product; no number on the connection, one count a product. Refusals are
//! in the words of the threads that `venue/exchange.rs` names.

mod api;
mod frame;
mod recipe;
mod request;
mod session;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{
    counterpart::{self, Counterpart, Facts, Request, Sends},
    dice::Dice,
    gate::{Allowance, Signed},
    refusal::Refusal,
    rest::{Answer, Call, Resource},
};
use crate::venue::{Venue, exchange::EXCHANGE};
use recipe::{Calling, Subscribing};
use session::Session;

/// What its docs call a lazy-fill token bucket.
const ALLOWANCE: Allowance = Allowance { burst: 1_000.0, a_second: 10.0, signed_too: true };

/// The one there is.
pub struct Exchange;

impl Counterpart for Exchange {
    fn venue(&self) -> &'static Venue {
        &EXCHANGE
    }

    fn allowance(&self) -> Allowance {
        ALLOWANCE
    }

    fn read(&self, text: &str) -> Result<Request, Refusal> {
        request::read(text)
    }

    fn subscribing<'a>(&self, request: &'a Request) -> Box<dyn Signed + 'a> {
        Box::new(Subscribing(request))
    }

    fn session(&self, sends: Sends, _: u64, dice: Dice) -> Box<dyn counterpart::Session> {
        Box::new(Session::new(sends, dice))
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        let (message, reason) = words(refusal);
        frame::error(message, reason.as_deref())
    }

    fn too_slow(&self) -> Option<String> {
        Some(frame::error("ErrSlowConsume", None))
    }

    fn resource(&self, path: &str) -> Option<Resource> {
        match path {
            "/time" => Some(Resource::Time),
            "/products" => Some(Resource::Products),
            "/accounts" => Some(Resource::Accounts),
            recipe::VERIFY => Some(Resource::Permissions),
            _ => None,
        }
    }

    fn calling<'a>(&self, call: &'a Call) -> Box<dyn Signed + 'a> {
        Box::new(Calling(call))
    }

    fn tell(&self, resource: Resource, facts: &Facts<'_>) -> Result<Value, Refusal> {
        api::tell(resource, facts)
    }

    fn refuse_call(&self, refusal: &Refusal) -> Answer {
        let (status, message) = match refusal {
            Refusal::NoSuchResource => (StatusCode::NOT_FOUND, "NotFound"),
            Refusal::NotAGet => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Refusal::MayNotView => (StatusCode::FORBIDDEN, "Forbidden"),
            Refusal::Unsigned | Refusal::Incomplete("key") => {
                (StatusCode::UNAUTHORIZED, "CB-ACCESS-KEY header is required")
            }
            Refusal::Incomplete("timestamp") => (StatusCode::UNAUTHORIZED, "CB-ACCESS-TIMESTAMP header is required"),
            Refusal::Incomplete("passphrase") => (StatusCode::UNAUTHORIZED, "CB-ACCESS-PASSPHRASE header is required"),
            Refusal::Incomplete(_) => (StatusCode::UNAUTHORIZED, "CB-ACCESS-SIGN header is required"),
            Refusal::UnknownKey | Refusal::Revoked => (StatusCode::UNAUTHORIZED, "Invalid API Key"),
            Refusal::Passphrase => (StatusCode::UNAUTHORIZED, "Invalid Passphrase"),
            Refusal::OddTimestamp => (StatusCode::UNAUTHORIZED, "invalid timestamp"),
            Refusal::Stale(_) => (StatusCode::UNAUTHORIZED, "request timestamp expired"),
            _ => (StatusCode::UNAUTHORIZED, "invalid signature"),
        };
        (status, Ok(json!({ "message": message })))
    }
}

/// Message and reason.
fn words(refusal: &Refusal) -> (&'static str, Option<String>) {
    const UNAUTHORIZED: &str = "Sorry, you could not be authenticated: Unauthorized";
    const BAD_REQUEST: &str = "Sorry, you could not be authenticated: Bad Request";
    let not_subscribed = |why: String| ("Failed to subscribe", Some(why));
    match refusal {
        Refusal::TooFast => ("ErrSlowRead", None),
        Refusal::Unreadable(_) => not_subscribed("Malformed JSON".to_owned()),
        Refusal::NoChannels => not_subscribed("No channels provided".to_owned()),
        Refusal::UnknownChannel(name) => not_subscribed(format!("{name} is not a valid channel")),
        Refusal::NoProducts(channel) => {
            not_subscribed(format!("You need to specify at least one product ID for channel {channel}"))
        }
        Refusal::NoAccounts(channel) => {
            not_subscribed(format!("You need to specify at least one account ID for channel {channel}"))
        }
        Refusal::UnknownProduct(id) => not_subscribed(format!("{id} is not a valid product")),
        // It looks for the product's name where none stands (gocryptotrader#1421).
        Refusal::ProductsAtRoot => not_subscribed(" is not a valid product".to_owned()),
        Refusal::Unsigned => not_subscribed(
            "level2, level3, and full channels now require authentication. For more details, see the documentation of \
             WebSocket authentication"
                .to_owned(),
        ),
        Refusal::Incomplete(_) | Refusal::OddTimestamp => (BAD_REQUEST, None),
        Refusal::Stale(_) => (BAD_REQUEST, Some("request timestamp expired".to_owned())),
        Refusal::Passphrase => (UNAUTHORIZED, Some("Invalid Passphrase".to_owned())),
        Refusal::MayNotView => (UNAUTHORIZED, None),
        _ => (UNAUTHORIZED, Some("invalid signature".to_owned())),
    }
}
