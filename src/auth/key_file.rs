//! `cdp_api_key.json`, as the CDP portal hands it out.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Secret, key::KeyError, pem};

/// What is read of it; nickname, scopes, allow-lists and whatever else there is are stepped over. The private key stays
/// as it stands in the text: serde's own unescaping would leave an unwiped copy behind.
#[derive(Deserialize)]
struct KeyFile<'a> {
    /// `organizations/…/apiKeys/…`, of the older downloads.
    name: Option<String>,
    /// A UUID, of the newer ones.
    id: Option<String>,
    #[serde(rename = "privateKey", borrow)]
    private_key: Option<&'a RawValue>,
}

/// Key id and secret out of the JSON.
pub(super) fn read(json: &Secret) -> Result<(String, Secret), KeyError> {
    // Editors on Windows begin files with a byte order mark.
    let json = json.expose().trim_start_matches('\u{feff}');
    // serde's own message can quote the value it did not expect, so only the place is told.
    let file: KeyFile<'_> = serde_json::from_str(json)
        .map_err(|error| KeyError::NotAKeyFile { line: error.line(), column: error.column() })?;
    let given = |text: &String| !text.trim().is_empty();
    let key = file.name.filter(given).or_else(|| file.id.filter(given)).ok_or(KeyError::Missing("name or id"))?;
    let text = file.private_key.and_then(|raw| raw.get().strip_prefix('"')?.strip_suffix('"'));
    let text = text.filter(|text| !text.trim().is_empty()).ok_or(KeyError::Missing("privateKey"))?;
    Ok((key, Secret::new(std::mem::take(&mut *pem::unescape(text)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(String, String), KeyError> {
        super::read(&Secret::new(json.to_owned())).map(|(key, secret)| (key, secret.expose().to_owned()))
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
    fn what_is_no_such_file_says_where_and_shows_nothing() {
        assert_eq!(read("{\n\"name\": oops}"), Err(KeyError::NotAKeyFile { line: 2, column: 9 }));
        for odd in ["", "-----BEGIN EC PRIVATE KEY-----", "\"a-secret-in-quotes\"", "[1]", "{\"name\":{\"deep\":1}}"] {
            let error = read(odd).expect_err(odd).to_string();
            assert!(error.contains("no key file") && !error.contains("a-secret"), "{error}");
        }
    }
}
