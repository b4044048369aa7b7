//! Coinbase Advanced Trade, from the other side.
//!
//! Cadences and orders are those of a session recorded on 2026-08-09: data first, then the ack, which lists the whole
//! set; one number a frame over everything but errors.

mod api;
mod frame;
mod recipe;
mod request;
mod session;

use hyper::StatusCode;
use serde_json::Value;

use super::{
    counterpart::{self, Counterpart, Facts, Request, Sends},
    dice::Dice,
    gate::{Allowance, Signed},
    refusal::Refusal,
    rest::{Answer, Call, Resource},
};
use crate::venue::Venue;
use api::Calling;
use request::Subscribing;
use session::Session;

/// Unsigned messages a second and address; all that connect here have the same.
const UNSIGNED_A_SECOND: f64 = 8.0;

/// One of its two venues: they differ in their channels.
pub struct AdvancedTrade(pub &'static Venue);

impl Counterpart for AdvancedTrade {
    fn venue(&self) -> &'static Venue {
        self.0
    }

    fn allowance(&self) -> Allowance {
        Allowance { burst: UNSIGNED_A_SECOND, a_second: UNSIGNED_A_SECOND, signed_too: false }
    }

    fn read(&self, text: &str) -> Result<Request, Refusal> {
        request::read(text, self.0)
    }

    fn subscribing<'a>(&self, request: &'a Request) -> Box<dyn Signed + 'a> {
        Box::new(Subscribing(request))
    }

    fn session(&self, sends: Sends, seed: u64, dice: Dice) -> Box<dyn counterpart::Session> {
        Box::new(Session::new(sends, seed, dice))
    }

    fn refuse(&self, refusal: &Refusal) -> String {
        frame::error(match refusal {
            Refusal::Unreadable(_) | Refusal::NoProducts(_) => "failure to subscribe",
            Refusal::TooFast => "rate limit exceeded",
            Refusal::TooManyBooks(_) => "too many L2 streams requested in a single session",
            _ => "authentication failure",
        })
    }

    fn resource(&self, path: &str) -> Option<Resource> {
        let rest = self.0.rest;
        // The venue's own proof of a signature has a query.
        let proof = rest.proof.split('?').next().unwrap_or_default();
        let all = [
            (rest.time, Resource::Time),
            (rest.permissions, Resource::Permissions),
            (rest.products, Resource::Products),
            (rest.signed_products, Resource::SignedProducts),
            (proof, Resource::Accounts),
        ];
        let known = all.iter().find(|(known, _)| *known == path).map(|(_, resource)| *resource);
        known.or_else(|| api::of_trades(path).map(|_| Resource::Trades))
    }

    fn calling<'a>(&self, call: &'a Call) -> Box<dyn Signed + 'a> {
        Box::new(Calling(call))
    }

    fn tell(&self, resource: Resource, facts: &Facts<'_>) -> Result<Value, Refusal> {
        api::tell(resource, facts)
    }

    fn refuse_call(&self, refusal: &Refusal) -> Answer {
        match refusal {
            Refusal::NoSuchResource | Refusal::UnknownProduct(_) => (StatusCode::NOT_FOUND, Err("Not Found")),
            Refusal::NotAGet => (StatusCode::METHOD_NOT_ALLOWED, Err("Method Not Allowed")),
            Refusal::MayNotView => (StatusCode::FORBIDDEN, Ok(api::denied())),
            _ => (StatusCode::UNAUTHORIZED, Err("Unauthorized")),
        }
    }
}
