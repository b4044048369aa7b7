//! HMAC-SHA256 over a pre-hash that the venue composes. The encoding of the result is the venue's as well: Advanced Trade
//! wants lower-case hex and the secret as it is, the Exchange base64 and the secret decoded.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A shared secret, as text: whether it is to be decoded first is the venue's to say.
pub struct Key(Zeroizing<String>);

impl Key {
    /// Takes the secret over.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Zeroizing::new(secret.to_owned()))
    }

    /// HMAC-SHA256 of `prehash`, keyed with the secret's own bytes.
    ///
    /// ```
    /// let key = tickerd::auth::hmac::Key::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl");
    /// let signature = key.sign("1700000000ticker_batchBTC-USD");
    /// assert_eq!(hex::encode(signature), "4a6f018d320161b7280017814f955fe759c759359718f52f35ff86106d481c87");
    /// assert!(key.verifies("1700000000ticker_batchBTC-USD", &signature));
    /// assert!(!key.verifies("1700000001ticker_batchBTC-USD", &signature), "a signature is of its second");
    /// ```
    #[must_use]
    pub fn sign(&self, prehash: &str) -> [u8; 32] {
        self.mac(prehash).finalize().into_bytes().into()
    }

    /// Whether `signature` is the one of `prehash`, found out in a time that does not tell how nearly it was.
    #[must_use]
    pub fn verifies(&self, prehash: &str, signature: &[u8]) -> bool {
        self.mac(prehash).verify_slice(signature).is_ok()
    }

    /// The same, keyed with what the secret is base64 of; None where it is none.
    #[must_use]
    pub fn sign_decoded(&self, prehash: &str) -> Option<[u8; 32]> {
        Some(raw(&Zeroizing::new(STANDARD.decode(&*self.0).ok()?), prehash.as_bytes()))
    }

    fn mac(&self, prehash: &str) -> Hmac<Sha256> {
        mac(self.0.as_bytes(), prehash.as_bytes())
    }

    /// The secret's text, for trying what others may have done with it, and for nothing that is shown.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// HMAC-SHA256 of any bytes keyed with any: what a wrong recipe comes to.
pub(crate) fn raw(key: &[u8], message: &[u8]) -> [u8; 32] {
    mac(key, message).finalize().into_bytes().into()
}

fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_its_vector_says_and_verifies_that_alone() {
        let key = Key::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl");
        let prehash = "1700000000GET/api/v3/brokerage/accounts";
        let signature = key.sign(prehash);
        assert_eq!(hex::encode(signature), "10137121cce1e5c5bae0f94629cebf75c90ae659da7446474783be2de14cd24e");
        assert!(key.verifies(prehash, &signature));
        assert!(!key.verifies("1700000001GET/api/v3/brokerage/accounts", &signature));
        assert!(!key.verifies(prehash, &signature[..31]) && !key.verifies(prehash, &[]));
        assert!(!Key::new("another").verifies(prehash, &signature));
    }

    #[test]
    fn signs_rest_requests_as_their_vectors_say() {
        // Known answers, computed with Python's hmac.
        let key = Key::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPl");
        for (prehash, signature) in [
            (
                "1700000000GET/api/v3/brokerage/accounts",
                "10137121cce1e5c5bae0f94629cebf75c90ae659da7446474783be2de14cd24e",
            ),
            (
                r#"1700000000POST/api/v3/brokerage/orders{"client_order_id":"1","product_id":"BTC-USD"}"#,
                "b2ed3960e1e48d05c6ec1ba2da76d2aae2e07332d4cc68b62dad764cf8bac718",
            ),
            (
                "1700000000GET/api/v3/brokerage/orders/historical/fills",
                "c5f343f8e93f5aa8736ad6ecee5f359dce837f2f7df30fe18034e7d9fc478775",
            ),
            (
                "1700000000GET/api/v3/brokerage/products/BTC-USD/ticker",
                "f6b19da4413f27d430a7774e07b7dc2162b748c67d3e8b50969e756db2d39225",
            ),
        ] {
            assert_eq!(hex::encode(key.sign(prehash)), signature, "{prehash}");
        }
    }
}
