//! What was probably meant.

/// The known word nearest to `given`, where it is near enough to have been meant.
pub(super) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&given, &word.to_lowercase()), word))
        // One slip in any word, one more for each four letters: nearer words are seldom meant than are not.
        .filter(|(slips, word)| *slips <= 1 + word.len() / 4 && *slips < word.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
}

/// "did you mean …?", or all that there is to choose from.
pub(crate) fn hint(given: &str, known: &[&str], quote: char) -> String {
    match nearest(given, known.iter().copied()) {
        Some(word) => format!("did you mean {quote}{word}{quote}?"),
        None => format!("there is {}", list(known, quote)),
    }
}

/// `a, b, c`, each in quotes.
pub(super) fn list(words: &[&str], quote: char) -> String {
    words.iter().map(|word| format!("{quote}{word}{quote}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_the_word_and_strangers_do_not() {
        let known = ["heartbeats", "level2", "user", "channels", "raw", "status"];
        for (given, meant) in [
            ("heartbeat", Some("heartbeats")),
            ("chanels", Some("channels")),
            ("rwa", Some("raw")),
            ("Level2", Some("level2")),
            ("full", None),
            ("", None),
            ("xyz", None),
        ] {
            assert_eq!(nearest(given, known), meant, "{given}");
        }
    }
}
