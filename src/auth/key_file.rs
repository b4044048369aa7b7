//! A key and its secret in one JSON: `cdp_api_key.json`, as the CDP portal hands it out, and the same for a shared secret.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use zeroize::Zeroizing;

use super::{
    Credentials, Scheme, Secret, Signer,
    key::{KeyError, is_exchanges_key, is_name},
    pem::{self, Mended},
};

/// A key and its secret, as they stand in one file.
pub struct KeyFile {
    /// What the venue knows the key by.
    pub key: String,
    /// What signs, as its owner holds it.
    pub secret: Secret,
    /// What the file says of it: a `privateKey` is a CDP key or nothing, a `secret` is what it is.
    pub scheme: Scheme,
    /// The addresses from which alone the venue takes the key, as far as the file says; empty: any.
    pub allowed_ips: Vec<String>,
    /// What some venues want beside a shared secret: Exchange, International Exchange and Prime do.
    pub passphrase: Option<Secret>,
    /// What was set right before it came here.
    pub mended: Vec<Mended>,
}

/// What is read of it; nickname, scopes and whatever else there is are stepped over. The secret stays
/// as it stands in the text: serde's own unescaping would leave an unwiped copy behind.
#[derive(Deserialize)]
struct Members<'a> {
    /// `organizations/…/apiKeys/…`, of the older downloads.
    name: Option<String>,
    /// A UUID, of the newer ones.
    id: Option<String>,
    /// The key of a shared secret.
    key: Option<String>,
    #[serde(rename = "privateKey", borrow)]
    private_key: Option<&'a RawValue>,
    /// A shared secret.
    #[serde(borrow)]
    secret: Option<&'a RawValue>,
    /// Of the venues that have one.
    #[serde(borrow)]
    passphrase: Option<&'a RawValue>,
    #[serde(rename = "allowedIps", default)]
    allowed_ips: Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Cdp {
        name: &'a str,
        #[serde(rename = "privateKey")]
        private_key: &'a str,
        #[serde(rename = "allowedIps", skip_serializing_if = "<[String]>::is_empty")]
        allowed_ips: &'a [String],
    },
    Shared {
        key: &'a str,
        secret: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        passphrase: Option<&'a str>,
    },
}

impl KeyFile {
    /// Two halves that came by another way than a file.
    #[must_use]
    pub fn of_halves(key: &str, secret: Secret) -> Self {
        let (allowed_ips, mended) = (Vec::new(), Vec::new());
        Self { key: key.trim().to_owned(), secret, scheme: Scheme::Auto, allowed_ips, passphrase: None, mended }
    }

    /// With a passphrase that came by another way than a JSON: a shell or an editor may have put blanks around it, which are
    /// taken off and noted.
    #[must_use]
    pub fn with_passphrase(mut self, text: &Secret) -> Self {
        self.passphrase = Some(Secret::new(pem::trim_blanks(text.expose(), &mut self.mended).to_owned()));
        self
    }

    /// Reads the portal's JSON (`name` or `id`, and `privateKey`), or the one for shared secrets (`key` and `secret`).
    ///
    /// # Errors
    /// When the text is not such a file: where, or what is missing, never what stands there.
    pub fn read(json: &Secret) -> Result<Self, KeyError> {
        // Editors on Windows begin files with a byte order mark.
        let json = json.expose().trim_start_matches('\u{feff}');
        // serde's own message can quote the value it did not expect, so only the place is told.
        let members: Members<'_> = serde_json::from_str(json)
            .map_err(|error| KeyError::NotAKeyFile { line: error.line(), column: error.column() })?;
        let given = |text: &String| !text.trim().is_empty();
        let (scheme, key, secret, missing) = match (members.private_key, members.key) {
            (None, Some(key)) => (Scheme::Auto, Some(key), members.secret, ("key", "secret")),
            (private_key, _) => {
                (Scheme::Jwt, members.name.filter(given).or(members.id), private_key, ("name or id", "privateKey"))
            }
        };
        let key = key.filter(given).ok_or(KeyError::Missing(missing.0))?;
        let text = secret.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
        let text = text.filter(|text| !text.trim().is_empty()).ok_or(KeyError::Missing(missing.1))?;
        let secret = Secret::new(std::mem::take(&mut *pem::unescape(text)));
        // Its owner chose it, backslashes and all: it is taken as JSON has it, and nothing of it is set right.
        let passphrase = members.passphrase.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        let passphrase = passphrase.filter(|text| !text.trim().is_empty()).map(Secret::new);
        let listed = members.allowed_ips.as_array().into_iter().flatten();
        let allowed_ips = listed.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok(Self { key, secret, scheme, allowed_ips, passphrase, mended: Vec::new() })
    }

    /// What signs with it.
    ///
    /// # Errors
    /// As [`Credentials::new`].
    pub fn credentials(&self, name: &str) -> Result<Credentials, KeyError> {
        if let Some(passphrase) = &self.passphrase {
            let text = passphrase.expose();
            if text.chars().any(char::is_control) {
                return Err(KeyError::OddPassphrase);
            }
            // Told as a key it would be shown.
            if is_exchanges_key(text) && !is_exchanges_key(&self.key) {
                return Err(KeyError::KeyAsPassphrase);
            }
        }
        // Only shared secrets have one; what is base64 of 64 bytes beside it is no Ed25519 key that is damaged, unless the
        // key is a CDP key by its name.
        let scheme = match (self.scheme, &self.passphrase) {
            (Scheme::Auto, Some(_)) if !is_name(&self.key) => Scheme::Hmac,
            (scheme, _) => scheme,
        };
        let credentials = Credentials::new(name, scheme, &self.key, &self.secret)?;
        let passphrase = self.passphrase.as_ref().map(|passphrase| Secret::new(passphrase.expose().to_owned()));
        let mut mended = [&credentials.mended[..], &self.mended].concat();
        mended.sort_unstable();
        mended.dedup();
        Ok(Credentials { allowed_ips: self.allowed_ips.clone(), passphrase, mended, ..credentials })
    }

    /// The JSON that [`KeyFile::read`] reads, of the kind that `signer` is.
    ///
    /// # Panics
    /// Never: strings can be written as JSON, and memory takes them.
    #[must_use]
    pub fn write(&self, signer: &Signer) -> Secret {
        let (key, secret) = (self.key.as_str(), self.secret.expose());
        let passphrase = self.passphrase.as_ref().map(Secret::expose);
        let written = match signer {
            Signer::Jwt(_) => Written::Cdp { name: key, private_key: secret, allowed_ips: &self.allowed_ips },
            Signer::Hmac(_) => Written::Shared { key, secret, passphrase },
        };
        // JSON takes six bytes for one at most, so the buffer never grows and leaves no copy behind.
        let ips: usize = self.allowed_ips.iter().map(|ip| ip.len() + 3).sum();
        let mut json = Zeroizing::new(Vec::with_capacity(
            6 * (key.len() + secret.len() + passphrase.map_or(0, str::len) + ips) + 112,
        ));
        serde_json::to_writer(&mut *json, &written).expect("strings are always written, and memory takes them");
        Secret::new(String::from_utf8(std::mem::take(&mut *json)).expect("JSON is UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(String, String), KeyError> {
        KeyFile::read(&Secret::new(json.to_owned())).map(|file| (file.key, file.secret.expose().to_owned()))
    }

    #[test]
    fn name_or_id_and_the_private_key_are_read() {
        let (key, secret) =
            read(r#"{"name":"organizations/a/apiKeys/b","privateKey":"-----\nAB\/\u002b\n"}"#).expect("one");
        assert_eq!((key.as_str(), secret.as_str()), ("organizations/a/apiKeys/b", "-----\nAB/+\n"));
        let newer = "\u{feff}{\"nickname\":\"n\",\"scopes\":[{}],\"id\":\"u\",\"privateKey\":\"AB\"}\n";
        assert_eq!(read(newer), Ok(("u".to_owned(), "AB".to_owned())));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(read(r#"{"privateKey":"AB"}"#), Err(KeyError::Missing("name or id")));
        assert_eq!(read(r#"{"name":" ","privateKey":"AB"}"#), Err(KeyError::Missing("name or id")));
        for json in [r#"{"id":"u"}"#, r#"{"id":"u","privateKey":""}"#, r#"{"id":"u","privateKey":{"a":"b"}}"#] {
            assert_eq!(read(json), Err(KeyError::Missing("privateKey")), "{json}");
        }
    }

    #[test]
    fn a_shared_secret_has_a_file_of_the_same_kind() {
        assert_eq!(read(r#"{"key":"k","secret":"s\/t"}"#), Ok(("k".to_owned(), "s/t".to_owned())));
        assert_eq!(read(r#"{"key":"k"}"#), Err(KeyError::Missing("secret")));
        assert_eq!(read(r#"{"key":"","secret":"s"}"#), Err(KeyError::Missing("key")));
    }

    #[test]
    fn a_passphrase_makes_a_shared_secret_of_what_looks_like_a_damaged_key() {
        let secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
        let file = |more: &str| Secret::new(format!(r#"{{"key":"k","secret":"{secret}"{more}}}"#));
        let read = |more: &str| KeyFile::read(&file(more)).expect("a file");
        assert!(read("").credentials("main").is_err_and(|error| error == KeyError::HalvesDiffer));
        let whole = read(r#","passphrase":"my \u0070hrase""#);
        let credentials = whole.credentials("main").expect("a shared secret");
        assert_eq!(credentials.algorithm(), "HMAC-SHA256");
        assert_eq!(credentials.passphrase().map(Secret::expose), Some("my phrase"));
        let again = KeyFile::read(&whole.write(credentials.signer())).expect("its own JSON");
        assert_eq!(again.passphrase.as_ref().map(Secret::expose), Some("my phrase"));
        assert!(read(r#","passphrase":" ""#).passphrase.is_none());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for secret in ["M4009eFnOoPwhNoMwJlsAHgIgleGVFPl", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="] {
            let file = KeyFile {
                allowed_ips: vec!["::1".to_owned()],
                ..KeyFile::of_halves("a \"key\"", Secret::new(secret.to_owned()))
            };
            let credentials = file.credentials("main").expect("a secret");
            let again = KeyFile::read(&file.write(credentials.signer())).expect("its own JSON");
            assert_eq!((again.key.as_str(), again.secret.expose()), (file.key.as_str(), secret));
            let algorithm = again.credentials("main").expect("still a secret").algorithm();
            assert_eq!(algorithm, credentials.algorithm());
        }
    }

    #[test]
    fn what_is_no_such_file_says_where_and_shows_nothing() {
        assert_eq!(read("{\n\"name\": oops}"), Err(KeyError::NotAKeyFile { line: 2, column: 9 }));
        for odd in ["", "-----BEGIN EC PRIVATE KEY-----", "\"a-secret-in-quotes\"", "[1]", "{\"name\":{\"deep\":1}}"] {
            let error = read(odd).expect_err(odd).to_string();
            assert!(error.contains("no key file") && !error.contains("a-secret"), "{error}");
        }
    }
}
