//! What tickerd is to do, valid: a `Config` can not be wrong, only out of date.
//!
//! The way there: `layers` makes one table of file, variables and options, in which each value remembers where it was
//! typed; `draft` is what was typed; `load` makes a [`Config`] of it, or says what is wrong, where, and what to do.

mod changes;
mod choice;
mod credentials;
mod draft;
mod feed;
mod flags;
mod http;
mod layers;
mod load;
mod mixture;
mod nearest;
mod net;
mod output;
mod place;
mod review;
mod store;
mod surroundings;

pub use choice::{Choice, ChoiceError, Chosen, choose};
pub use credentials::HMAC_EXPIRED;
pub use flags::Flags;
pub use http::Listen;
pub use load::{ConfigError, credentials, load, reach};
pub use net::{Environment, Family, Kind, Net, Proxy, Route};
pub use place::{Place, Problem};
pub use store::{Store, Stored, write as store};
pub use surroundings::{Surroundings, read};

pub(crate) use nearest::hint;

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    auth::Credentials,
    venue::{Channel, Selection, Venue},
};
pub use crate::{record::Form, segment::Packing, session::IfRefused};

/// Everything `run` needs.
#[derive(Debug)]
pub struct Config {
    /// Which file won; None when flags alone said it all.
    pub source: Option<PathBuf>,
    /// Where records go.
    pub output: Output,
    /// What is kept alive, one name each.
    pub feeds: Vec<Feed>,
    /// Who subscribes, each once, with where it was read from.
    pub credentials: Vec<Origin>,
    /// How the service behaves.
    pub service: Service,
    /// How it logs.
    pub log: Log,
    /// Certificates trusted beside the system's own.
    pub ca_file: Option<PathBuf>,
    /// How the venue is reached.
    pub net: Net,
    /// Where metrics and health are asked for over HTTP, if anywhere.
    pub http: Option<Listen>,
    /// What is worth saying at start though it stops nothing.
    pub warnings: Vec<String>,
}

/// Where records go and in which form.
#[derive(Clone, Debug)]
pub struct Output {
    /// stdout or a file.
    pub path: Destination,
    /// The form of a record.
    pub record: Form,
    /// Where events go.
    pub events: Events,
    /// How often a file is synced.
    pub sync: Sync,
    /// Bytes that may wait between network and output; one larger message is let in alone.
    pub queue: u64,
    /// What gives way when that is full.
    pub when_slow: WhenSlow,
    /// When a file's segment is sealed and the next begun.
    pub rotate: Rotate,
    /// How sealed segments are compressed.
    pub compress: Packing,
    /// Which sealed segments are removed.
    pub keep: Keep,
}

/// When a segment is sealed and the next begun: at whichever comes first; with neither, on USR1 alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotate {
    /// At the multiples of this since 1970, UTC.
    pub every: Option<Duration>,
    /// Before it would be larger than this, in bytes; one larger line has a segment to itself.
    pub size: Option<u64>,
}

/// Which sealed segments are removed, the oldest first: whichever rule asks for it; with none, none ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Those whose last line is older than this.
    pub age: Option<Duration>,
    /// Those beyond so many bytes of sealed segments, as they lie on the disk.
    pub size: Option<u64>,
    /// As many as it takes for so many bytes to be free on the disk.
    pub free: Option<u64>,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, by its descriptor.
    Stdout,
    /// A file that is appended to; `{feed}` in its name gives each feed its own.
    File(PathBuf),
}

/// What a reader of the output costs that does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenSlow {
    /// Time: the sockets are not read meanwhile, and the venue may close.
    Block,
    /// Messages: the oldest go, counted and named, and the sockets are read.
    Drop,
}

/// Where events go; they are in the log in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// Among the records.
    Inline,
    /// Only to the log.
    Log,
    /// To a file of their own, appended to; `{feed}` as in the output's path.
    File(PathBuf),
}

/// How often a file is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// After each write.
    Always,
    /// When this much time has passed since the last.
    Every(Duration),
    /// When the system likes.
    Never,
}

/// One subscription that is kept alive, over as many connections as the venue's limits make it.
#[derive(Clone, Debug)]
pub struct Feed {
    /// What it is called in records and logs.
    pub name: String,
    /// Who delivers.
    pub venue: &'static Venue,
    /// Where the WebSocket is; always wss://, or ws:// to loopback where credentials are used.
    pub url: String,
    /// Where to go while `url` can not be reached.
    pub failover: Option<String>,
    /// Where the venue's REST interface is.
    pub rest: String,
    /// What is subscribed to; heartbeats need not be among them.
    pub channels: Vec<&'static Channel>,
    /// Of which products.
    pub products: Selection,
    /// Of which accounts, for channels that have those.
    pub accounts: Vec<String>,
    /// Who subscribes; None subscribes unsigned.
    pub credentials: Option<Arc<Credentials>>,
    /// What to do while the venue refuses the credentials.
    pub if_refused: IfRefused,
}

/// Credentials that a feed uses, and where they were read from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// They.
    pub credentials: Arc<Credentials>,
    /// Where the key is from, for people: "$`COINBASE_API_KEY`".
    pub key_from: String,
    /// Where the secret is from, for people: "/etc/tickerd/secret".
    pub secret_from: String,
    /// Where the passphrase is from, for people; None where there is none.
    pub passphrase_from: Option<String>,
}

impl Origin {
    /// Of credentials whose parts are all in one place.
    fn of_file(credentials: Credentials, from: &str) -> Self {
        let passphrase_from = credentials.passphrase().map(|_| from.to_owned());
        let [key_from, secret_from] = [from, from].map(str::to_owned);
        Self { credentials: Arc::new(credentials), key_from, secret_from, passphrase_from }
    }
}

/// How the service behaves.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// When the service manager is told READY.
    pub ready: Ready,
    /// What TERM gives a slow output before the rest is counted as dropped.
    pub drain: Duration,
}

/// When the service manager is told READY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ready {
    /// Configuration, credentials and output are good: a venue's outage at boot is no failed unit.
    Started,
    /// Every feed has delivered.
    Delivering,
}

/// How it logs.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least level that is said.
    pub level: tracing::Level,
    /// In which form.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Journal where stderr is the journal, else text.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// `<N>` priorities for the journal.
    Journal,
}
