//! One message's worth of subscribing, whole and in parts.

use super::{Channel, Product, Products};

/// One message's worth of subscribing: at most venues one channel, at some several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// It takes away instead: an unsubscribe is written and signed alike.
    pub unsubscribes: bool,
    /// What is subscribed to.
    pub channels: Vec<&'static Channel>,
    /// Of which products; empty for channels that have none.
    pub products: Vec<Product>,
    /// Of which accounts, for channels that have those.
    pub accounts: Vec<String>,
}

impl Subscribe {
    /// Channel and product of what is asked for and is not in the venue's `list`; of channels that name no product there is
    /// nothing to miss.
    #[must_use]
    pub fn left_out(&self, list: &[(String, Vec<String>)]) -> Vec<(&'static str, String)> {
        let mut left_out = Vec::new();
        for channel in self.channels.iter().filter(|channel| channel.products == Products::Required) {
            let listed = list.iter().find(|(name, _)| name == channel.name).map_or(&[][..], |(_, products)| products);
            let missing = |product: &&Product| !listed.iter().any(|listed| product.answers_to(listed));
            left_out.extend(self.products.iter().filter(missing).map(|product| (channel.name, product.to_string())));
        }
        left_out
    }

    /// The same of other products.
    #[must_use]
    pub fn of(&self, products: Vec<Product>) -> Self {
        Self { products, ..self.clone() }
    }

    /// The products of it that the venue's words name.
    #[must_use]
    pub fn named_in(&self, words: &str) -> Vec<Product> {
        let words: Vec<_> = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
        self.products.iter().filter(|product| words.contains(&product.as_str())).cloned().collect()
    }

    /// Its products in two halves. None where there are not two.
    #[must_use]
    pub fn halved(&self) -> Option<[Self; 2]> {
        let (one, other) = self.products.split_at(self.products.len() / 2);
        (!one.is_empty()).then(|| [self.of(one.to_vec()), self.of(other.to_vec())])
    }

    /// Its channels in two halves. None where there are not two.
    #[must_use]
    pub fn halved_by_channel(&self) -> Option<[Self; 2]> {
        let (one, other) = self.channels.split_at(self.channels.len() / 2);
        let of = |channels: &[&'static Channel]| Self { channels: channels.to_vec(), ..self.clone() };
        (!one.is_empty()).then(|| [of(one), of(other)])
    }

    /// In pieces that name `most` products each.
    #[must_use]
    pub fn in_pieces(self, most: usize) -> Vec<Self> {
        if self.products.len() <= most {
            return vec![self];
        }
        self.products.chunks(most.max(1)).map(|products| self.of(products.to_vec())).collect()
    }
}

/// A subscribe ready to be sent.
pub struct Message {
    /// The text for the wire. It holds a signature: it goes to the socket and nowhere else.
    pub text: String,
    /// What was signed, where equal pre-hashes make equal signatures (HMAC): it must not be used twice.
    pub prehash: Option<String>,
}
