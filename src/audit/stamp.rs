//! Times as recordings write them, RFC 3339 in UTC, as nanoseconds since 1970: read a million times a second.

/// Nanoseconds since 1970-01-01T00:00:00Z, until 2554.
pub type Stamp = u64;

/// A second, in [`Stamp`]s.
pub const SECOND: Stamp = 1_000_000_000;

/// "2026-11-24T17:31:02.123456789Z", with none to nine digits behind the point. None where it is not that, or before 1970: the
/// Exchange writes year 1 where it does not know.
#[must_use]
pub fn read(text: &[u8]) -> Option<Stamp> {
    let (date, rest) = text.split_at_checked(19)?;
    let marks = [date[4], date[7], date[10], date[13], date[16]] == *b"--T::";
    let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..10])?);
    let (hour, minute, second) = (digits(&date[11..13])?, digits(&date[14..16])?, digits(&date[17..])?);
    let fits = marks && (1970..2554).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let nanos = match rest {
        b"Z" => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            let tens = 10_u64.pow(u32::try_from(9 - fraction.len()).ok()?);
            digits(fraction)? * tens
        }
        _ => return None,
    };
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * SECOND + nanos)
}

/// Days since 1970-01-01. Years begin in March here, so that the leap day is the last of its year (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn digits(text: &[u8]) -> Option<u64> {
    let mut number = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// As text again, to the second: "2026-11-24T17:31:02Z".
#[must_use]
pub fn second(stamp: Stamp) -> String {
    let second = i64::try_from(stamp / SECOND).unwrap_or_default();
    jiff::Timestamp::from_second(second).unwrap_or_default().to_string()
}

/// As text again, whole: "2026-11-24T17:31:02.123456789Z".
#[must_use]
pub fn text(stamp: Stamp) -> String {
    let seconds = second(stamp);
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), stamp % SECOND)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_venues_and_tickerd_write() {
        assert_eq!(read(b"1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(read(b"2026-11-24T17:31:02.123456789Z"), Some(1_795_541_462_123_456_789));
        assert_eq!(read(b"2021-04-17T16:43:37.000001Z"), Some(1_618_677_817_000_001_000));
        for other in ["0001-01-01T00:00:00.000000Z", "", "2026-11-24", "2026-13-24T17:31:02Z", "2026-11-24T17:31:02"] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_time_is_read_back(stamp in 0u64..18_000_000_000_000_000_000) {
            prop_assert_eq!(read(text(stamp).as_bytes()), Some(stamp));
        }

        #[test]
        fn no_bytes_break_it(bytes in any::<Vec<u8>>()) {
            let _ = read(&bytes);
        }
    }
}
