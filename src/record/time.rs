//! Times as records, logs and files write them: RFC 3339, UTC, nanoseconds. With serde: `#[serde(with = "record::time")]`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// A time as text.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}Z", calendar(since.as_secs()), since.subsec_nanos())
}

/// "2026-11-24T17:31:02": without fraction and zone.
pub(super) fn calendar(second: u64) -> String {
    let time = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    let mut text = time.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
    text.truncate("2026-11-24T17:31:02".len());
    text
}

/// Writes it.
///
/// # Errors
/// As the serializer says.
pub fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*time))
}

/// Reads it.
///
/// # Errors
/// When it is none.
pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    SystemTime::try_from(time).map_err(D::Error::custom)
}

/// The same of a time that may be unknown: null.
pub mod optional {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    struct Time(#[serde(with = "super")] SystemTime);

    /// Writes it.
    ///
    /// # Errors
    /// As the serializer says.
    pub fn serialize<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(super::rfc3339).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// When it is none.
    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        Ok(Option::<Time>::deserialize(deserializer)?.map(|time| time.0))
    }
}
