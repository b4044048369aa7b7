//! The head of a message: the fields of a JSON object up to the first that holds more than one thing. Venues write first
//! what a message is, in a hundred bytes, and behind it of what, in megabytes at times.

/// Reads field after field, and copies nothing. What is not written as venues write, without white space and without
/// escapes, ends it: all of that is for a JSON parser, which takes ten times as long.
#[derive(Clone, Debug)]
pub(super) struct Head<'a> {
    rest: &'a [u8],
}

/// What a field of the head holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    /// A string, without its quotes.
    Text(&'a [u8]),
    /// A number, a truth, a null.
    Word(&'a [u8]),
}

impl<'a> Head<'a> {
    /// Of a whole message.
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message.strip_prefix(b"{").unwrap_or_default() }
    }

    /// What is left to read: behind the last field that was plain.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Head<'a> {
    type Item = (&'a [u8], Plain<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = text(self.rest)?;
        let (value, rest) = match rest.strip_prefix(b":")? {
            [b'[' | b'{', ..] => return None,
            quoted @ [b'"', ..] => {
                let (text, rest) = text(quoted)?;
                (Plain::Text(text), rest)
            }
            bare => {
                let end = bare.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte))?;
                (Plain::Word(&bare[..end]), &bare[end..])
            }
        };
        self.rest = rest.strip_prefix(b",")?;
        Some((name, value))
    }
}

/// What stands between the quotes at the beginning, and what behind them.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let end = quote_or_escape(bytes)?;
    (bytes[end] == b'"').then_some((&bytes[..end], &bytes[end + 1..]))
}

/// Where the first of them is. Eight bytes are looked at at once: for names of so few, a call of memchr takes longer than that.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = matches(*word, b'"') | matches(*word, b'\\');
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(8 * words.len() + at)
}

/// The lowest bit that is set is in the first byte that is `byte` (Mycroft, 1987; what stands behind that may be wrong).
fn matches(word: [u8; 8], byte: u8) -> u64 {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = LOW << 7;
    let differs = u64::from_le_bytes(word) ^ (LOW * u64::from(byte));
    differs.wrapping_sub(LOW) & !differs & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn fields(message: &str) -> (Vec<(&str, &str)>, &str) {
        let text = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
        let mut head = Head::of(message.as_bytes());
        let fields = head.by_ref().map(|(name, value)| match value {
            Plain::Text(value) | Plain::Word(value) => (text(name), text(value)),
        });
        (fields.collect(), text(head.rest()))
    }

    #[test]
    fn ends_where_something_is_not_plain() {
        let channel = ("channel", "l2_data");
        let events = r#""events":[{"a":1}]}"#;
        let message = format!(r#"{{"channel":"l2_data","n":-7,"x":null,{events}"#);
        assert_eq!(fields(&message), (vec![channel, ("n", "-7"), ("x", "null")], events));
        for odd in [r#""a\"b":1,"c":2}"#, r#""a":"\u0041","c":2}"#, r#" "a":1,"c":2}"#, r#""a": 1,"c":2}"#, r#""a":1}"#] {
            assert_eq!(fields(&format!(r#"{{"channel":"l2_data",{odd}"#)), (vec![channel], odd));
        }
        for none in ["", "[", "{", "{}", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":1"] {
            assert_eq!(fields(none).0, [], "{none:?}");
        }
    }

    proptest! {
        /// What it finds is what a parser finds.
        #[test]
        fn agrees_with_a_parser(
            pairs in prop::collection::btree_map("[a-z\"\\\\é]{0,4}", prop_oneof![
                any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from), Just(Value::Null),
                any::<bool>().prop_map(Value::from), any::<f64>().prop_map(Value::from), Just(serde_json::json!([1])),
            ], 0..6)
        ) {
            let object: serde_json::Map<_, _> = pairs.into_iter().collect();
            let message = Value::Object(object.clone()).to_string();
            for (name, value) in Head::of(message.as_bytes()) {
                let text = |bytes| std::str::from_utf8(bytes).expect("UTF-8");
                let found = match value {
                    Plain::Text(value) => format!("\"{}\"", text(value)),
                    Plain::Word(word) => text(word).to_owned(),
                };
                prop_assert_eq!(object[text(name)].to_string(), found);
            }
        }
    }
}
