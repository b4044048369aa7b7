//! Which products a feed wants: by name, by pattern from the venue's list, and which of those not.

use std::{collections::HashSet, fmt};

use super::{Channel, Listed, Misspelt, Product, Products};

/// What the configuration says of products: `BTC-USD`, `*-USD`, `!DOGE-*`. A name outranks patterns: it is in whatever the
/// venue lists and whatever is excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    named: Vec<Product>,
    patterns: Vec<Pattern>,
    excluded: Vec<Pattern>,
}

/// Text in which a `*` stands for anything, nothing included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

/// Why an entry selects nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unselectable {
    /// A product that no venue would know.
    Misspelt(Misspelt),
    /// A pattern that no product's spelling can match, and the one that was probably meant.
    Pattern(String, Option<String>),
    /// A `!` with nothing behind it.
    Nothing,
    /// It is there already.
    Twice(String),
    /// It excludes what is taken by name.
    Contradicts(Product),
    /// Exclusions, and no pattern that they could take from.
    NothingToTakeFrom(String),
}

impl Selection {
    /// Takes one more entry as it is written.
    ///
    /// # Errors
    /// When it could never select anything, is there already, or contradicts one that is.
    pub fn add(&mut self, entry: &str) -> Result<(), Unselectable> {
        if self.entries().any(|known| known == entry) {
            return Err(Unselectable::Twice(entry.to_owned()));
        }
        if let Some(excluded) = entry.strip_prefix('!') {
            let pattern = Pattern::parse(excluded)?;
            if let Some(named) = self.named.iter().find(|named| named.as_str() == excluded) {
                return Err(Unselectable::Contradicts(named.clone()));
            }
            self.excluded.push(pattern);
        } else if entry.contains('*') {
            self.patterns.push(Pattern::parse(entry)?);
        } else {
            let product = Product::parse(entry).map_err(Unselectable::Misspelt)?;
            if self.excluded.iter().any(|excluded| excluded.0 == entry) {
                return Err(Unselectable::Contradicts(product));
            }
            self.named.push(product);
        }
        Ok(())
    }

    /// Whether all entries together make sense.
    ///
    /// # Errors
    /// When there are exclusions and no pattern that they could take from.
    pub fn finish(self) -> Result<Self, Unselectable> {
        match (&self.patterns[..], &self.excluded[..]) {
            ([], [excluded, ..]) => Err(Unselectable::NothingToTakeFrom(format!("!{}", excluded.0))),
            _ => Ok(self),
        }
    }

    /// Whether there are only names: the venue's list is not needed.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.patterns.is_empty()
    }

    /// What is taken by name.
    #[must_use]
    pub fn named(&self) -> &[Product] {
        &self.named
    }

    /// What is wanted of the venue's list: the names, then what matches and is traded, in the list's order, which has the
    /// busiest first. None where no pattern matches anything: such a list is not to be believed without a word.
    ///
    /// Of one book one product is taken, a name before a match, `BTC-USD` before its alias `BTC-USDC`: public channels
    /// answer to both with the same data. Where one of `channels` is of one's own orders, both are taken: there they are
    /// two.
    #[must_use]
    pub fn resolve(&self, listed: &[Listed], channels: &[&'static Channel]) -> Option<Vec<Product>> {
        let apart = channels.iter().any(|channel| channel.products == Products::Optional);
        let named: HashSet<_> = self.named.iter().map(Product::as_str).collect();
        let matching: Vec<_> = listed.iter().filter(|listed| listed.online && self.takes(&listed.id)).collect();
        // A name may be an alias as well, and then its book is in.
        let books_named = listed.iter().filter(|listed| named.contains(listed.id.as_str())).map(book);
        let mut books: HashSet<_> = books_named.chain(named.iter().copied()).collect();
        let own: HashSet<_> = matching.iter().filter(|l| l.alias.is_none()).map(|l| l.id.as_str()).collect();
        let mut products = self.named.clone();
        let mut ids = named.clone();
        for listed in &matching {
            let stands_for_another = listed.alias.is_some() && own.contains(book(listed));
            let known = !apart && (stands_for_another || books.contains(book(listed)));
            if !known
                && ids.insert(&listed.id)
                && let Ok(product) = Product::parse(&listed.id)
            {
                books.insert(book(listed));
                products.push(product);
            }
        }
        (self.is_fixed() || !matching.is_empty()).then_some(products)
    }

    /// The entries, as they are written.
    pub fn entries(&self) -> impl Iterator<Item = String> {
        let named = self.named.iter().map(ToString::to_string);
        let excluded = self.excluded.iter().map(|pattern| format!("!{}", pattern.0));
        named.chain(self.patterns.iter().map(|pattern| pattern.0.clone())).chain(excluded)
    }

    fn takes(&self, id: &str) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(id));
        any(&self.patterns) && !any(&self.excluded)
    }
}

/// The product in whose book this one trades.
fn book(listed: &Listed) -> &str {
    listed.alias.as_deref().unwrap_or(&listed.id)
}

impl From<Vec<Product>> for Selection {
    /// Names only.
    fn from(named: Vec<Product>) -> Self {
        Self { named, ..Self::default() }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.entries().collect::<Vec<_>>().join(", "))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Unselectable> {
        let spelt = |text: &str| {
            text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'*')
                && (text.contains('*') || Product::parse(text).is_ok())
        };
        if text.is_empty() {
            return Err(Unselectable::Nothing);
        }
        if spelt(text) {
            return Ok(Self(text.to_owned()));
        }
        if !text.contains('*') {
            return Err(Unselectable::Misspelt(
                Product::parse(text).err().unwrap_or_else(|| Misspelt { given: text.to_owned(), meant: None }),
            ));
        }
        let meant = Some(text.trim().to_ascii_uppercase().replace(['_', '/', ':', ' '], "-"));
        Err(Unselectable::Pattern(text.to_owned(), meant.filter(|meant| spelt(meant))))
    }

    /// The first piece must begin the text and the last end it; those between stand anywhere, one behind the other.
    fn matches(&self, id: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return self.0 == id };
        let Some(mut left) = id.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*') {
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(last)
    }
}

impl fmt::Display for Unselectable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misspelt(misspelt) => misspelt.fmt(f),
            Self::Pattern(given, Some(meant)) => {
                write!(f, "\"{given}\" matches no product, they are spelt in upper case with hyphens: \"{meant}\"?")
            }
            Self::Pattern(given, None) => {
                write!(
                    f,
                    "\"{given}\" matches no product: upper case with hyphens, and * for anything, as in \"*-USD\""
                )
            }
            Self::Nothing => f.write_str("\"!\" excludes nothing; write what, as in \"!DOGE-*\""),
            Self::Twice(entry) => write!(f, "\"{entry}\" is there twice"),
            Self::Contradicts(product) => {
                write!(f, "\"{product}\" and \"!{product}\" are both there; take one of them away")
            }
            Self::NothingToTakeFrom(entry) => {
                write!(f, "\"{entry}\" takes away from a pattern, and there is none; add one, as in \"*-USD\"")
            }
        }
    }
}

impl std::error::Error for Unselectable {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::advanced_trade::MARKET;

    fn selection(entries: &[&str]) -> Result<Selection, Unselectable> {
        let mut selection = Selection::default();
        entries.iter().try_for_each(|entry| selection.add(entry))?;
        selection.finish()
    }

    /// "BTC-USDC=BTC-USD" is an alias, "LUNA-USD!" is not traded.
    fn listed(text: &str) -> Vec<Listed> {
        let one = |text: &str| {
            let (id, alias) = text.split_once('=').map_or((text, None), |(id, alias)| (id, Some(alias.to_owned())));
            Listed { id: id.trim_end_matches('!').to_owned(), alias, online: !id.ends_with('!') }
        };
        text.split_whitespace().map(one).collect()
    }

    fn resolved(entries: &[&str], list: &str, channel: &str) -> String {
        let channel = MARKET.channel(channel).expect("a channel");
        let products = selection(entries).expect("it selects").resolve(&listed(list), &[channel]);
        let ids = |products: Vec<_>| products.iter().map(Product::as_str).collect::<Vec<_>>().join(" ");
        products.map_or_else(|| "nothing".into(), ids)
    }

    #[test]
    fn takes_what_matches_and_is_traded() {
        const LIST: &str =
            "BTC-USD BTC-USDC=BTC-USD DOGE-USDC=DOGE-USD ETH-EUR DOGE-USD LUNA-USD! USDT-USDC BTC-PERP-INTX";
        for (entries, taken) in [
            (&["*-USD"][..], "BTC-USD DOGE-USD"),
            (&["*-USD", "!DOGE-*"], "BTC-USD"),
            (&["!DOGE-*", "*-USD"], "BTC-USD"),
            (&["*-USD", "!DOGE-*", "DOGE-USD"], "DOGE-USD BTC-USD"),
            (&["*"], "BTC-USD ETH-EUR DOGE-USD USDT-USDC BTC-PERP-INTX"),
            (&["*-USDC"], "BTC-USDC DOGE-USDC USDT-USDC"),
            (&["*-USDC", "!*T-*"], "BTC-USDC DOGE-USDC"),
            (&["*-PERP-*"], "BTC-PERP-INTX"),
            (&["B*C*-USD"], "BTC-USD"),
            (&["*-USD", "!BTC-USD"], "DOGE-USD"),
            (&["BTC-USDC", "*-USD"], "BTC-USDC DOGE-USD"),
            (&["LUNA-USD", "NEW-USD", "*-EUR"], "LUNA-USD NEW-USD ETH-EUR"),
            (&["*-GBP"], "nothing"),
            (&["LUNA-USD"], "LUNA-USD"),
        ] {
            assert_eq!(resolved(entries, LIST, "ticker"), taken, "{entries:?}");
        }
        assert_eq!(resolved(&["B*"], LIST, "user"), "BTC-USD BTC-USDC BTC-PERP-INTX", "orders of both are two");
        assert_eq!(resolved(&["*-USD"], "", "ticker"), "nothing");
    }

    #[test]
    fn says_what_is_wrong_with_an_entry() {
        for (entries, said) in [
            (&["ethusd"][..], "\"ethusd\" is not how a product is spelt: \"ETH-USD\"?"),
            (&["*-usd"], "\"*-usd\" matches no product, they are spelt in upper case with hyphens: \"*-USD\"?"),
            (&["*.USD"], "\"*.USD\" matches no product: upper case with hyphens, and * for anything, as in \"*-USD\""),
            (&["*-USD", "!"], "\"!\" excludes nothing; write what, as in \"!DOGE-*\""),
            (&["*-USD", "!doge-usd"], "\"doge-usd\" is not how a product is spelt: \"DOGE-USD\"?"),
            (&["*-USD", "*-USD"], "\"*-USD\" is there twice"),
            (&["*", "A-USD", "!A-USD"], "\"A-USD\" and \"!A-USD\" are both there; take one of them away"),
            (&["!DOGE-*"], "\"!DOGE-*\" takes away from a pattern, and there is none; add one, as in \"*-USD\""),
        ] {
            assert_eq!(selection(entries).expect_err("wrong").to_string(), said, "{entries:?}");
        }
    }
}
