//! Whether bytes are one value of JSON, by the grammar of RFC 8259: nothing is built, and nothing is called again and again.
//!
//! `serde_json`'s `IgnoredAny` says the same and takes half as long again on lines of market data, which is the difference between
//! keeping up with the hash and not; the tests hold the two to each other.

/// As deep as values may lie in each other: `serde_json`'s limit too.
const DEEPEST: u32 = 127;

/// Whether this is one value, with white space around it at most. Bytes from 0x80 on are not looked at: UTF-8 is another question.
#[must_use]
pub fn is_value(text: &[u8]) -> bool {
    Walk { text, at: 0, objects: 0, depth: 0 }.all().is_some()
}

struct Walk<'a> {
    text: &'a [u8],
    at: usize,
    /// One bit for each value that is open: whether it is an object.
    objects: u128,
    depth: u32,
}

impl Walk<'_> {
    fn all(mut self) -> Option<()> {
        loop {
            // A value begins here.
            match self.token()? {
                b'"' => self.string()?,
                b'{' => {
                    self.open(true)?;
                    if self.peek()? == b'}' {
                        self.at += 1;
                        self.close();
                    } else {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    self.open(false)?;
                    if self.peek()? == b']' {
                        self.at += 1;
                        self.close();
                    } else {
                        continue;
                    }
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                first => self.number(first)?,
            }
            // A value has ended here, and maybe those around it.
            loop {
                if self.depth == 0 {
                    return self.peek().is_none().then_some(());
                }
                match (self.token()?, self.objects & 1 == 1) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => self.close(),
                    _ => return None,
                }
            }
        }
    }

    fn open(&mut self, object: bool) -> Option<()> {
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        (self.depth <= DEEPEST).then_some(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
    }

    /// The next byte that is no white space; it is not taken.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    #[inline]
    fn token(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn key(&mut self) -> Option<()> {
        if self.token()? != b'"' {
            return None;
        }
        self.string()?;
        (self.token()? == b':').then_some(())
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let is_it = self.text[self.at..].starts_with(rest);
        self.at += rest.len();
        is_it.then_some(())
    }

    /// Behind its first quote, up to behind its last.
    #[inline]
    fn string(&mut self) -> Option<()> {
        loop {
            while let Some(eight) = self.text[self.at..].first_chunk::<8>() {
                let special = special(u64::from_le_bytes(*eight));
                if special != 0 {
                    self.at += special.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let four = self.text.get(self.at..self.at + 4)?;
                self.at += 4;
                four.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    #[inline]
    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' {
            self.at += 1;
            *self.text.get(self.at - 1)?
        } else {
            first
        };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let from = self.at;
        self.digits();
        (self.at > from).then_some(())
    }
}

/// The lowest bit set says where the first quote, backslash or control character of eight is: above it bits may be set by a carry
/// (Warren, "Hacker's Delight", 6-1).
#[inline]
fn special(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (is_zero(eight ^ (ONES * 0x22)) | is_zero(eight ^ (ONES * 0x5c)) | control) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    fn serde_says(text: &[u8]) -> bool {
        serde_json::from_slice::<IgnoredAny>(text).is_ok()
    }

    #[test]
    fn knows_json_from_what_is_none() {
        let deep = |count: usize| format!("{}1{}", "[".repeat(count), "]".repeat(count));
        for text in
            [r#"{"a":[1,-0.5e+10,true,false,null,"\u00e9\n",{}],"b":[]}"#, " 1 ", "\"\"", "[[],{}]", "0", &deep(127)]
        {
            assert!(is_value(text.as_bytes()) && serde_says(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "01",
            "1.",
            "-",
            "+1",
            ".5",
            "1e",
            "tru",
            "truex",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "\"abcdefgh",
            "{\"a\":1}\0",
            "{1:2}",
            "NaN",
            "[,1]",
            "nul",
        ] {
            assert!(!is_value(text.as_bytes()) && !serde_says(text.as_bytes()), "{text:?}");
        }
        // What serde does not look at it steps over without counting; as a value it refuses it.
        assert!(!is_value(deep(128).as_bytes()) && serde_json::from_str::<serde_json::Value>(&deep(128)).is_err());
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_on_json_and_on_json_with_a_byte_changed(value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut text = value.to_string().into_bytes();
            prop_assert!(is_value(&text));
            let at = at.index(text.len());
            text[at] = byte;
            // What is no UTF-8 is found elsewhere, and a lone half of a surrogate pair is no concern of ours.
            if std::str::from_utf8(&text).is_ok() && !text.windows(3).any(|three| three == b"\\ud" || three == b"\\uD") {
                prop_assert_eq!(is_value(&text), serde_says(&text), "{:?}", String::from_utf8_lossy(&text));
            }
        }

        #[test]
        fn agrees_with_serde_on_what_looks_like_json(text in "[\\[\\]{}\",:0-9eE.+\\- \\\\utrfalsn]{0,40}") {
            if !text.contains("\\ud") && !text.contains("\\uD") {
                prop_assert_eq!(is_value(text.as_bytes()), serde_says(text.as_bytes()));
            }
        }
    }
}
