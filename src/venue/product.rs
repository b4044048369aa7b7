//! The name of what is traded, `BTC-USD`: the one place that knows how it is spelt.

use std::fmt;

/// A product id in the venues' spelling: upper-case letters and digits in parts joined by hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Product(String);

/// A product id that no venue would know, with the spelling that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misspelt {
    /// As it was written.
    pub given: String,
    /// As it was probably meant, where that can be told.
    pub meant: Option<Product>,
}

/// What prices are most often quoted in: enough to split `ethusd`.
const QUOTES: &[&str] = &["USDT", "USDC", "USD", "EUR", "GBP", "BTC", "ETH"];

impl Product {
    /// Takes the id as it is written.
    ///
    /// ```
    /// use tickerd::venue::Product;
    ///
    /// assert_eq!(Product::parse("ETH-USD").unwrap().as_str(), "ETH-USD");
    /// let misspelt = Product::parse("eth_usd").unwrap_err();
    /// assert_eq!(misspelt.to_string(), "\"eth_usd\" is not how a product is spelt: \"ETH-USD\"?");
    /// ```
    ///
    /// # Errors
    /// When no venue spells a product so. Coinbase Advanced Trade leaves such a one out of its answer without a word, the
    /// Exchange refuses all that was asked with it; so it is caught here.
    pub fn parse(text: &str) -> Result<Self, Misspelt> {
        if is_spelt_right(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Misspelt { given: text.to_owned(), meant: meant(text) })
        }
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `answered` is this product, under its own name or under the one that the venue answers with: `BTC-USDC`
    /// trades in the book of `BTC-USD`, and public channels name it so.
    #[must_use]
    pub fn answers_to(&self, answered: &str) -> bool {
        self.0 == answered
            || self.0.strip_suffix("-USDC").is_some_and(|base| answered.strip_suffix("-USD") == Some(base))
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.meant {
            Some(meant) => write!(f, "\"{}\" is not how a product is spelt: \"{meant}\"?", self.given),
            None => write!(
                f,
                "\"{}\" is not how a product is spelt: upper case with hyphens, as in \"BTC-USD\"",
                self.given
            ),
        }
    }
}

impl std::error::Error for Misspelt {}

fn is_spelt_right(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    text.contains('-') && text.split('-').all(part)
}

fn meant(text: &str) -> Option<Product> {
    let upper = text.trim().to_ascii_uppercase().replace(['_', '/', ':', ' '], "-");
    let spelt = if upper.contains('-') {
        upper
    } else {
        let quote = QUOTES.iter().find(|quote| upper.len() > quote.len() && upper.ends_with(*quote))?;
        format!("{}-{quote}", &upper[..upper.len() - quote.len()])
    };
    is_spelt_right(&spelt).then_some(Product(spelt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_spellings_pass() {
        for id in ["BTC-USD", "00-USD", "BTC-PERP-INTX", "BIT-24APR26-CDE", "1INCH-USD"] {
            assert_eq!(Product::parse(id).expect(id).as_str(), id);
        }
    }

    #[test]
    fn wrong_spellings_name_the_right_one() {
        for (given, meant) in [
            ("ETH_USD", "ETH-USD"),
            ("ethusd", "ETH-USD"),
            ("ETH/USD", "ETH-USD"),
            ("btc-usdc", "BTC-USDC"),
            ("ETHUSDT", "ETH-USDT"),
        ] {
            assert_eq!(Product::parse(given).unwrap_err().meant.expect(given).as_str(), meant);
        }
        for given in ["", "-", "BTC", "BTC-", "BTC--USD", "BTC-USD\n\"", "É-USD"] {
            assert!(Product::parse(given).is_err(), "{given:?}");
        }
    }

    #[test]
    fn a_usdc_product_answers_to_its_usd_book() {
        let product = Product::parse("BTC-USDC").expect("spelt right");
        assert!(product.answers_to("BTC-USD") && product.answers_to("BTC-USDC"));
        assert!(!product.answers_to("ETH-USD"));
        assert!(!Product::parse("BTC-USD").expect("spelt right").answers_to("BTC-USDC"));
    }
}
