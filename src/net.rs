//! Names, TCP, TLS: a stream to a venue, and with an upgrade a WebSocket; or why not. Each step has its deadline, and each
//! failure says which step it was.

mod connect;
mod handshake;
mod proxy;
mod tls;
mod wire;

pub use proxy::ProxyError;
pub use tls::{TlsError, client_config};
pub use wire::Wire;

use std::{fmt, io, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        client::IntoClientRequest,
        http::{HeaderMap, StatusCode, Uri},
        protocol::{Role, WebSocketConfig},
    },
};

use self::{
    connect::{connect, interleaved},
    handshake::Handshake,
};
use crate::config::Net;

/// The resolver's own default is five seconds a server; one answer is enough.
const LOOKUP_WITHIN: Duration = Duration::from_secs(5);

/// One round trip to the proxy, and all that it does itself: a name, three SYNs.
const PROXY_WITHIN: Duration = Duration::from_secs(10);

/// Two round trips and a certificate.
const TLS_WITHIN: Duration = Duration::from_secs(10);

/// One round trip, and a venue that is coming up again after a deploy.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);

/// How long to stay away after 429 where the server does not say: the venue's buckets refill within a second.
const AFTER_TOO_MANY: Duration = Duration::from_secs(5);

/// All of the above together, and some air: by then a dial has ended one way or the other.
pub const DIAL_WITHIN: Duration = Duration::from_secs(60);

/// The largest message taken in one piece. The largest seen is a level2 snapshot of 5 MB.
pub const LARGEST_MESSAGE: usize = 64 * 1024 * 1024;

/// A WebSocket whose bytes are counted.
pub type Socket = WebSocketStream<Wire>;

/// An open stream, encrypted where the URL says so, nothing said yet.
pub struct Opened {
    /// The stream.
    pub wire: Wire,
    /// The address that answered.
    pub peer: String,
}

/// An open WebSocket, nothing said yet.
pub struct Dialled {
    /// The socket.
    pub socket: Socket,
    /// The address that answered.
    pub peer: String,
}

/// Whoever can open a stream: the network, or a test.
pub trait Dial: Send + Sync {
    /// Opens one to the host of `url`: ws, wss, http or https.
    ///
    /// # Errors
    /// As the step that failed says.
    fn open<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Opened, DialError>>;
}

/// The network.
#[derive(Debug)]
pub struct Network {
    tls: Arc<rustls::ClientConfig>,
    net: Net,
}

/// Why there is no stream, or no WebSocket.
#[derive(Debug)]
pub enum DialError {
    /// The URL is none.
    Url(String),
    /// The name has no address.
    Lookup(String, io::Error),
    /// None of its addresses answered.
    Connect(String, io::Error),
    /// The proxy lets nobody through.
    Proxy(String, ProxyError),
    /// No TLS, the certificate included.
    Tls(String, io::Error),
    /// The server answered the upgrade with something else.
    Refused {
        /// Its HTTP status.
        status: StatusCode,
        /// How long it wants us to stay away.
        retry_after: Option<Duration>,
    },
    /// What answered speaks no WebSocket.
    Upgrade(String, tungstenite::Error),
    /// A step took too long.
    Late(&'static str, Duration),
}

impl Network {
    /// A network that trusts what `tls` trusts. Build that once: reading the roots takes tens of milliseconds, and
    /// sessions are resumed only within one configuration.
    #[must_use]
    pub fn new(tls: Arc<rustls::ClientConfig>) -> Self {
        Self { tls, net: Net::default() }
    }

    /// Goes the way that the configuration says.
    #[must_use]
    pub fn reached(self, net: Net) -> Self {
        Self { net, ..self }
    }

    async fn reach(&self, url: &str) -> Result<Opened, DialError> {
        let uri: Uri = url.parse().map_err(|_| DialError::Url(url.to_owned()))?;
        let (host, port, secure) = place(&uri).ok_or_else(|| DialError::Url(url.to_owned()))?;

        let proxy = self.net.route.proxy(&host, secure);
        let (mut stream, mut peer) = match proxy {
            None => self.stream(&host, port).await?,
            Some(proxy) => self
                .stream(&proxy.host, proxy.port)
                .await
                .map_err(|error| DialError::Proxy(proxy.to_string(), ProxyError::Unreached(error.to_string())))?,
        };
        if let Some(proxy) = proxy {
            let through = proxy::through(proxy, &mut stream, &host, port);
            let late = || ProxyError::Unreached(format!("no answer within {} s", PROXY_WITHIN.as_secs()));
            let passed = timeout(PROXY_WITHIN, through).await.unwrap_or_else(|_| Err(late()));
            passed.map_err(|error| DialError::Proxy(proxy.to_string(), error))?;
            peer.push_str(" (proxy)");
        }

        let wire = if secure {
            let failed = |error| DialError::Tls(host.clone(), error);
            let name = ServerName::try_from(host.clone()).map_err(|error| failed(io::Error::other(error)))?;
            let connecting = TlsConnector::from(self.tls.clone()).connect(name, stream);
            Wire::new(within("TLS handshake", TLS_WITHIN, connecting).await?.map_err(failed)?)
        } else {
            Wire::new(stream)
        };
        Ok(Opened { wire, peer })
    }

    /// A stream to whichever address of a host answers, and that address.
    async fn stream(&self, host: &str, port: u16) -> Result<(TcpStream, String), DialError> {
        let lookup = tokio::net::lookup_host((host, port));
        let mut addresses: Vec<_> = within("name lookup", LOOKUP_WITHIN, lookup)
            .await?
            .map_err(|error| DialError::Lookup(host.to_owned(), error))?
            .collect();
        let known = addresses.len();
        addresses.retain(|address| self.net.takes(address.ip()));
        if addresses.is_empty() && known > 0 {
            let what = "it has no address of the family that net.ip or net.bind wants";
            return Err(DialError::Lookup(host.to_owned(), io::Error::other(what)));
        }
        let connecting = connect(interleaved(addresses), self.net.bind);
        let stream = connecting.await.map_err(|error| DialError::Connect(host.to_owned(), error))?;
        let peer = stream.peer_addr().map_or_else(|_| host.to_owned(), |address| address.to_string());
        // Subscribes are small and wanted at once.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

impl Dial for Network {
    fn open<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Opened, DialError>> {
        Box::pin(self.reach(url))
    }
}

impl DialError {
    /// How long the server wants us to stay away.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Opens a WebSocket to `url`.
///
/// # Errors
/// As the step that failed says, within [`DIAL_WITHIN`].
pub async fn dial(dial: &dyn Dial, url: &str) -> Result<Dialled, DialError> {
    let dialling = async {
        let Opened { wire, peer } = dial.open(url).await?;
        Ok(Dialled { socket: upgrade(url, wire).await?, peer })
    };
    within("dial", DIAL_WITHIN, dialling).await?
}

/// Makes a WebSocket of a stream that leads to `url`.
///
/// # Errors
/// When the server answers with something else, or not at all.
pub async fn upgrade(url: &str, wire: Wire) -> Result<Socket, DialError> {
    let request = url.into_client_request().map_err(|error| DialError::Url(format!("{url}: {error}")))?;
    let host = request.uri().host().unwrap_or(url).to_owned();
    let upgrading = tokio_tungstenite::client_async_with_config(request, Handshake::new(wire), Some(config()));
    let answer = within("WebSocket upgrade", UPGRADE_WITHIN, upgrading).await?;
    let (upgraded, _) = answer.map_err(|error| refusal(&host, error))?;
    Ok(WebSocketStream::from_raw_socket(upgraded.into_inner().into_wire(), Role::Client, Some(config())).await)
}

/// Limits on both sides: messages up to [`LARGEST_MESSAGE`] in one frame or many, and a write buffer for subscribes, not
/// the unbounded one that is the default.
#[must_use]
pub fn config() -> WebSocketConfig {
    const WRITE_BUFFER: usize = 1024 * 1024;
    /// 340 tickers a read. Half of it makes twice the system calls, and whoever reads so fast finds the socket empty more often; of
    /// more nothing is gained, and tungstenite zeroes all of it before each read.
    const READ_BUFFER: usize = 128 * 1024;
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER)
}

async fn within<T>(step: &'static str, limit: Duration, future: impl Future<Output = T>) -> Result<T, DialError> {
    timeout(limit, future).await.map_err(|_| DialError::Late(step, limit))
}

fn place(uri: &Uri) -> Option<(String, u16, bool)> {
    let secure = match uri.scheme_str()? {
        "wss" | "https" => true,
        "ws" | "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(if secure { 443 } else { 80 }), secure))
}

fn refusal(host: &str, error: tungstenite::Error) -> DialError {
    match error {
        tungstenite::Error::Http(response) => {
            let (status, asked) = (response.status(), retry_after(response.headers()));
            let unasked = (status == StatusCode::TOO_MANY_REQUESTS).then_some(AFTER_TOO_MANY);
            DialError::Refused { status, retry_after: asked.or(unasked) }
        }
        other => DialError::Upgrade(host.to_owned(), other),
    }
}

/// How long the server wants us to stay away. RFC 9110, 10.2.3: seconds, or a date; a date is taken as far from the server's own `Date`, not from our clock.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let date = |text| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let value = text("retry-after")?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    date(value)?.duration_since(date(text("date")?)?).try_into().ok()
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url} is no URL of a venue: wss://host[:port]/path, or https:// for REST"),
            Self::Lookup(host, error) => write!(f, "name lookup of {host}: {error}"),
            Self::Connect(host, error) => write!(f, "connect to {host}: {error}"),
            Self::Proxy(proxy, error) => write!(f, "the proxy {proxy}: {error}"),
            Self::Tls(host, error) => {
                write!(f, "TLS with {host}: {error}")?;
                let unknown = error.to_string().contains("UnknownIssuer");
                if unknown { f.write_str("; a root of one's own goes into tls.ca_file") } else { Ok(()) }
            }
            Self::Refused { status, retry_after: None } => write!(f, "the server answered HTTP {status}"),
            Self::Refused { status, retry_after: Some(wait) } => {
                write!(f, "the server answered HTTP {status} and asks to wait {} s", wait.as_secs())
            }
            Self::Upgrade(host, error) => write!(f, "{host} speaks no WebSocket: {error}"),
            Self::Late(step, limit) => write!(f, "{step}: no answer within {} s", limit.as_secs()),
        }
    }
}

impl std::error::Error for DialError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_of_the_servers_clock() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(k, v)| (k.parse().expect("a name"), v.parse().expect("a value"))).collect::<HeaderMap>()
        };
        assert_eq!(retry_after(&headers(&[("retry-after", "7")])), Some(Duration::from_secs(7)));
        let dated =
            headers(&[("retry-after", "Tue, 24 Nov 2026 17:00:30 GMT"), ("date", "Tue, 24 Nov 2026 17:00:00 GMT")]);
        assert_eq!(retry_after(&dated), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(&headers(&[("retry-after", "soon")])), None);
    }

    #[test]
    fn a_url_says_host_port_and_security() {
        let of = |text: &str| place(&text.parse().expect("a URI"));
        assert_eq!(of("wss://a.b/c"), Some(("a.b".into(), 443, true)));
        assert_eq!(of("ws://[::1]:9/"), Some(("::1".into(), 9, false)));
        assert_eq!(of("https://a.b"), Some(("a.b".into(), 443, true)));
        assert_eq!(of("http://127.0.0.1:8080"), Some(("127.0.0.1".into(), 8080, false)));
        assert_eq!(of("ftp://a.b"), None);
    }
}
