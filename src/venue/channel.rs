//! A channel, and what its messages promise.

use std::time::Duration;

/// A stream of messages of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Channel {
    /// The name that one subscribes to.
    pub name: &'static str,
    /// Only a signed subscribe is answered.
    pub private: bool,
    /// It proves that the connection lives; it is always subscribed.
    pub heartbeat: bool,
    /// Whether its messages are of products.
    pub products: Products,
    /// What their numbers promise.
    pub counts: Counts,
    /// Its messages are of all products at once, whatever was asked for.
    pub is_of_all: bool,
    /// How its silence is judged while heartbeats live.
    pub cadence: Cadence,
    /// What makes good for messages that did not come.
    pub mended_by: MendedBy,
    /// The channels, beside itself, as whose messages its own read.
    pub reads_as: &'static [&'static str],
    /// How many products of it one connection may carry.
    pub per_connection: Option<usize>,
    /// The longest line seen, in bytes.
    pub longest_line: u64,
    /// What a busy product (or the channel, where it has none) was seen to bring a day, in bytes.
    pub bytes_a_day: u64,
}

/// What a channel wants to know of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Products {
    /// It must be told which.
    Required,
    /// None means all.
    Optional,
    /// It has none.
    None,
    /// It has accounts instead, and must be told which.
    Accounts,
}

/// What a channel's numbers promise: where one is missing, a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// One count runs over the whole connection.
    Connection,
    /// Each product's sequence goes up by one.
    Sequence,
    /// Each product's trades are numbered one by one; its sequence skips.
    Trades,
    /// Nothing: what numbers there are skip.
    Nothing,
}

/// How the silence of a channel is judged while heartbeats live. `docs/LIVENESS.md` has the table, with the reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    /// A subscribe brings something at once, a snapshot or the last that was said: where nothing comes, the channel is dead.
    pub begins: bool,
    /// Silent for so long, it is asked for anew, which brings what a subscribe brings.
    pub probe: Option<Duration>,
    /// It brings what a heartbeat counts: where the one goes on, so must the other.
    pub follows: Option<Follows>,
}

/// The number in a product's heartbeat that a channel follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The last trade's.
    Trades,
    /// The matching engine's.
    Sequence,
}

/// How a gap is made good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MendedBy {
    /// By nothing: the venue says it once.
    Nothing,
    /// A new snapshot, which each message is: how things stand is known again, what happened meanwhile is lost.
    Snapshot,
    /// The same, and it must be asked for: messages change what a snapshot said, and after a hole that is wrong.
    Book,
    /// What is missing is asked for by REST, and recorded as recovered.
    Rest,
}

impl Cadence {
    /// Silence says nothing: what it tells of may not happen for days.
    pub const FREE: Self = Self { begins: false, probe: None, follows: None };

    /// One that begins with a snapshot, and is asked for another one where it is silent for so long.
    #[must_use]
    pub const fn probed(after: Duration) -> Self {
        Self { begins: true, probe: Some(after), follows: None }
    }

    /// The same, and it brings what a heartbeat counts.
    #[must_use]
    pub const fn following(self, follows: Follows) -> Self {
        Self { follows: Some(follows), ..self }
    }
}

impl MendedBy {
    /// As records spell it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Snapshot | Self::Book => Some("snapshot"),
            Self::Rest => Some("rest"),
        }
    }
}

impl Counts {
    /// The venue's name for the number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Connection => Some("sequence_num"),
            Self::Sequence => Some("sequence"),
            Self::Trades => Some("trade_id"),
            Self::Nothing => None,
        }
    }
}

impl Channel {
    /// Whether it is subscribed to by product.
    #[must_use]
    pub fn has_products(&self) -> bool {
        matches!(self.products, Products::Required | Products::Optional)
    }

    /// Whether a hole makes it wrong until there is another snapshot.
    #[must_use]
    pub fn is_book(&self) -> bool {
        self.mended_by == MendedBy::Book
    }

    /// Whether its messages say of which product they are.
    #[must_use]
    pub fn names_products(&self) -> bool {
        self.products == Products::Required && !self.is_of_all
    }

    /// Whether a message that reads as one of the channel `read` is, or may be, one of this.
    #[must_use]
    pub fn reads_as(&self, read: &Self) -> bool {
        std::ptr::eq(self, read) || self.name == read.name || self.reads_as.contains(&read.name)
    }
}
