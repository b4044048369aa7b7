//! When there is no market: all of it, or one product that the venue does not know.

use std::{ops::Range, time::Duration};

use crate::venue::Product;

/// Spans of the market's time, counted from its opening.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// Nothing is traded, and nothing is told of what was.
    pub closed: Vec<Range<Duration>>,
    /// This one is not traded, and nobody knows it.
    pub unlisted: Vec<(Product, Range<Duration>)>,
}

impl Calendar {
    /// Whether nothing is traded then.
    #[must_use]
    pub fn is_closed(&self, at: Duration) -> bool {
        self.closed.iter().any(|span| span.contains(&at))
    }

    /// Whether nobody knows `product` then.
    #[must_use]
    pub fn is_unlisted(&self, product: &str, at: Duration) -> bool {
        self.unlisted.iter().any(|(unlisted, span)| unlisted.as_str() == product && span.contains(&at))
    }
}
