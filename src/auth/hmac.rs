//! HMAC-SHA256 over a pre-hash that the venue composes. The encoding of the result is the venue's as well: Advanced Trade
//! wants lower-case hex and the secret as it is, the Exchange base64 and the secret decoded.

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

    fn mac(&self, prehash: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(prehash.as_bytes());
        mac
    }
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
}
