//! How a venue wants HMAC-SHA256 made: the same hash everywhere, and every other detail different.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Request;
use crate::auth::{self, Stamp};

/// One venue's recipe.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a detail of its own, and any may differ")]
pub struct Hmac {
    /// What the signature's bytes are written as.
    pub encoding: Encoding,
    /// The secret is base64, and what it stands for is the key; else its own text is.
    pub decoded: bool,
    /// A key has a passphrase, which travels beside the signature.
    pub passphrase: bool,
    /// A timestamp may have decimals: signatures of one second need not be equal.
    pub decimals: bool,
    /// REST signs the query with the path.
    pub query: bool,
}

/// What bytes are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hex digits.
    Hex,
    /// Base64 with its padding.
    Base64,
}

impl Hmac {
    /// The text that is signed, and then sent: seconds since 1970.
    #[must_use]
    pub fn timestamp(&self, stamp: &Stamp) -> String {
        match stamp.millis {
            millis @ 1.. if self.decimals => format!("{}.{millis:03}", stamp.unix),
            _ => stamp.unix.to_string(),
        }
    }

    /// For how long the timestamp stays the same.
    #[must_use]
    pub fn tick(&self) -> Duration {
        if self.decimals { Duration::from_millis(1) } else { Duration::from_secs(1) }
    }

    /// The signature, as it is sent.
    #[must_use]
    pub fn sign(&self, key: &auth::hmac::Key, prehash: &str) -> String {
        // Credentials whose secret can not be decoded do not fit the venue and never come here; were one to, the venue
        // would say that its signature is wrong.
        let decoded = if self.decoded { key.sign_decoded(prehash) } else { None };
        self.encoding.write(&decoded.unwrap_or_else(|| key.sign(prehash)))
    }

    /// timestamp + METHOD + path, with the query where that is signed, + body.
    #[must_use]
    pub fn prehash_of(&self, timestamp: &str, request: &Request) -> String {
        let target = if self.query { request.target() } else { request.path.clone() };
        format!("{timestamp}{}{target}{}", request.method, request.body)
    }
}

impl Encoding {
    /// The bytes as text.
    #[must_use]
    pub fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => hex::encode(bytes),
            Self::Base64 => STANDARD.encode(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::{advanced_trade::MARKET, exchange::EXCHANGE};

    #[test]
    fn each_venue_signs_its_own_way() {
        let stamp = |millis| Stamp { unix: 1_700_000_000, millis, nonce: [0; 16] };
        let request = Request::get("/orders?status=open");
        let of = |hmac: &Hmac, millis| hmac.prehash_of(&hmac.timestamp(&stamp(millis)), &request);
        assert_eq!(of(MARKET.hmac, 7), "1700000000GET/orders");
        assert_eq!(of(EXCHANGE.hmac, 7), "1700000000.007GET/orders?status=open");
        assert_eq!(of(EXCHANGE.hmac, 0), "1700000000GET/orders?status=open");
    }
}
