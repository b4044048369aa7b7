//! The REST interface: what there is, for whom, and how it is written. Shapes are those that the client reads in
//! `venue/advanced_trade/rest.rs`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::gate::{Proof, Signed};
use crate::venue::{
    Listed, Permissions, Request,
    advanced_trade::{MARKET, rest::HOST},
};

/// One REST request, as it came.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Whom, by the `Host` header.
    pub host: String,
    /// By whom.
    pub proof: Proof,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The venue's time.
    Time,
    /// What the key may do.
    Permissions,
    /// What is traded, for everybody.
    Products,
    /// The same, for whoever signs.
    SignedProducts,
    /// The key's accounts: there are none.
    Accounts,
}

impl Call {
    /// What is asked for; None where there is no such thing.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        let rest = MARKET.rest;
        // The venue's own proof of a signature has a query.
        let proof = rest.proof.split('?').next().unwrap_or_default();
        let all = [
            (rest.time, Resource::Time),
            (rest.permissions, Resource::Permissions),
            (rest.products, Resource::Products),
            (rest.signed_products, Resource::SignedProducts),
            (proof, Resource::Accounts),
        ];
        all.iter().find(|(path, _)| *path == self.request.path).map(|(_, resource)| *resource)
    }
}

impl Signed for Call {
    fn prehash(&self, timestamp: &str) -> String {
        MARKET.hmac.prehash_of(timestamp, &self.request)
    }

    fn mistaken(&self, timestamp: &str) -> Vec<(String, &'static str)> {
        let Request { method, path, body, .. } = &self.request;
        let target = self.request.target();
        vec![
            (format!("{timestamp}{method}{target}{body}"), "the query as well, which is not signed"),
            (format!("{timestamp}{}{path}{body}", method.to_lowercase()), "the method in small letters"),
            (format!("{timestamp}{method}https://{HOST}{path}{body}"), "scheme and host as well, which are not signed"),
            (format!("{timestamp}{method}{path}/{body}"), "a slash more than the path has"),
        ]
    }

    fn wrong_uri(&self, uri: Option<&str>) -> Option<&'static str> {
        let Some(uri) = uri else { return Some("uri is missing: a REST token names its request") };
        let is_of = |host: &str| uri == format!("{} {host}{}", self.request.method, self.request.path);
        let name = self.host.rsplit_once(':').map_or(&*self.host, |(name, _)| name);
        if [HOST, &self.host, name].into_iter().any(is_of) {
            return None;
        }
        Some(match uri {
            uri if uri.contains("://") => "uri has a scheme, which does not belong there",
            uri if uri.contains('?') => "uri has the query, which does not belong there",
            _ => "uri is another request's",
        })
    }
}

impl Resource {
    /// Only a signed request is answered.
    #[must_use]
    pub fn is_private(self) -> bool {
        !matches!(self, Self::Time | Self::Products)
    }

    /// Answered to a key that may view. What a key may do, it is told whatever that is.
    #[must_use]
    pub fn wants_view(self) -> bool {
        matches!(self, Self::SignedProducts | Self::Accounts)
    }
}

/// The venue's time; its numbers are strings.
#[must_use]
pub fn time(now: Timestamp) -> Value {
    let (seconds, millis) = (now.as_second().to_string(), now.as_millisecond().to_string());
    json!({"iso": now.strftime("%FT%TZ").to_string(), "epochSeconds": seconds, "epochMillis": millis})
}

/// What the key may do.
#[must_use]
pub fn permissions(permissions: Permissions) -> Value {
    let Permissions { can_view, can_trade, can_transfer } = permissions;
    json!({
        "can_view": can_view, "can_trade": can_trade, "can_transfer": can_transfer,
        "portfolio_uuid": "11111111-2222-3333-4444-555555555555", "portfolio_type": "DEFAULT",
    })
}

/// What is traded, and what no longer is.
#[must_use]
pub fn products(listed: &[Listed]) -> Value {
    let product = |listed: &Listed| {
        json!({
            "product_id": listed.id, "product_type": "SPOT", "alias": listed.alias.as_deref().unwrap_or_default(),
            "status": if listed.online { "online" } else { "delisted" }, "trading_disabled": !listed.online,
            "is_disabled": false,
        })
    };
    json!({"products": listed.iter().map(product).collect::<Vec<_>>(), "num_products": listed.len()})
}

/// No accounts: the market knows no money.
#[must_use]
pub fn accounts() -> Value {
    json!({"accounts": [], "has_next": false, "cursor": "", "size": 0})
}

/// What a key is told that may not view.
#[must_use]
pub fn denied() -> Value {
    json!({
        "error": "PERMISSION_DENIED", "error_details": "User does not have access to portfolio",
        "message": "User does not have access to portfolio",
    })
}
