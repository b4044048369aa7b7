//! Asks a venue over REST: its time, what a key may do, what it trades, what was traded. A handful of requests an hour, and
//! two a second while gaps are filled, so each has a stream of its own, opened as a WebSocket's is.

mod failure;

pub use failure::RestError;

use std::{
    net::IpAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::future::{Either, select};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{ACCEPT, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    clock::Clock,
    desk::{Desk, Wait},
    net::{Dial, DialError, Opened, retry_after},
    pace::Pace,
    random::Random,
    venue::{Listed, Offset, Permissions, Proof, Request, Rest, Trade},
};

/// Over a whole call, its second try and its further pages included. Name, TCP, a proxy and TLS may take 33 s, and a
/// megabyte over a line of 0.3 Mbit/s the other 27.
pub const WITHIN: Duration = Duration::from_secs(60);

/// The longest answer seen is the products' list of 1.1 MB; a call may bring fifteen times that over all of its pages.
const LARGEST: usize = 16 * 1024 * 1024;

/// What is read of an answer that refuses: the venue's own are shorter than a line, a proxy's page is longer.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// The venue lists everything on one page; a list of more than this goes in circles.
const PAGES: usize = 100;

const AGENT: &str = concat!("tickerd/", env!("CARGO_PKG_VERSION"));

/// Asks venues, and keeps below their ten requests a second while it does.
pub struct Client {
    dial: Arc<dyn Dial>,
    pace: Pace,
    clock: Clock,
    random: Random,
}

/// One call: of whom it is asked, and how much it may still bring.
struct Call<'a> {
    rest: &'a Rest,
    base: &'a str,
    desk: Option<&'a Desk>,
    left: usize,
}

/// What was answered with 200.
struct Answer {
    url: String,
    body: Bytes,
    /// When the request went out, by our clock.
    sent: SystemTime,
    /// Until the head of the answer was there: one round trip, for the stream was open.
    took: Duration,
}

impl Client {
    /// One that reaches venues by `dial`.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, clock: Clock, random: Random) -> Self {
        Self { dial, pace: Pace::default(), clock, random }
    }

    /// How far the venue's clock is from ours: its time against the middle of the request. The answer was made at some
    /// point of the round trip, so half of that is how much it may be off.
    ///
    /// # Errors
    /// When there is no answer, or another.
    pub async fn time(&self, rest: &Rest, base: &str) -> Result<Offset, RestError> {
        let call = Call { rest, base, desk: None, left: LARGEST };
        let answer = self.ask(&call, rest.time).await?;
        let theirs = (rest.read_time)(&answer.body).ok_or_else(|| answer.unreadable())?;
        let half = answer.took / 2;
        let ours = (answer.sent + half).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let ms = i128::from(theirs) - i128::try_from(ours).unwrap_or(i128::MAX);
        Ok(Offset {
            ms: i64::try_from(ms).map_err(|_| answer.unreadable())?,
            uncertainty_ms: u64::try_from(half.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
        })
    }

    /// What the desk's key may do.
    ///
    /// # Errors
    /// When there is no answer, or another; 401 where the venue does not believe the signature.
    pub async fn permissions(&self, rest: &Rest, base: &str, desk: &Desk) -> Result<Permissions, RestError> {
        let call = Call { rest, base, desk: Some(desk), left: LARGEST };
        let answer = self.ask(&call, rest.permissions).await?;
        (rest.read_permissions)(&answer.body).ok_or_else(|| answer.unreadable())
    }

    /// Asks for something that only a signature with the right to view is answered; what, is not of interest.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub async fn proof(&self, rest: &Rest, base: &str, desk: &Desk) -> Result<(), RestError> {
        let call = Call { rest, base, desk: Some(desk), left: LARGEST };
        self.ask(&call, rest.proof).await.map(drop)
    }

    /// Everything that the venue lists, over all pages: the list for everybody, or with a desk that for its key.
    ///
    /// # Errors
    /// When one page is not answered, or they are too many.
    pub async fn products(&self, rest: &Rest, base: &str, desk: Option<&Desk>) -> Result<Vec<Listed>, RestError> {
        let path = if desk.is_some() { rest.signed_products } else { rest.products };
        let mut call = Call { rest, base, desk, left: LARGEST };
        let paging = async {
            let (mut all, mut target) = (Vec::new(), path.to_owned());
            for _ in 0..PAGES {
                let answer = self.ask(&call, &target).await?;
                let (page, next) = (rest.read_products)(&answer.body).ok_or_else(|| answer.unreadable())?;
                all.extend(page);
                let Some(query) = next else { return Ok(all) };
                call.left -= answer.body.len();
                target = format!("{path}?{query}");
            }
            Err(RestError::TooLarge(format!("{base}{path}")))
        };
        let late = |_| Err(RestError::Late(format!("{base}{path}"), WITHIN));
        timeout(WITHIN, paging).await.unwrap_or_else(late)
    }

    /// The newest trades of a product between two times, in seconds since 1970 by the venue's clock; as many as it tells at once,
    /// and none where it tells them to nobody.
    ///
    /// # Errors
    /// When there is no answer, or another.
    pub async fn trades(
        &self,
        rest: &Rest,
        base: &str,
        product: &str,
        start: u64,
        end: u64,
    ) -> Result<Vec<Trade>, RestError> {
        let Some(trades) = &rest.trades else { return Ok(Vec::new()) };
        let call = Call { rest, base, desk: None, left: LARGEST };
        let answer = self.ask(&call, &(trades.target)(product, start, end)).await?;
        (trades.read)(&answer.body).ok_or_else(|| answer.unreadable())
    }

    /// Asks, and where a signature is not believed once more with a new one: the venue's edge was seen to refuse half of
    /// all valid tokens (`coinbase-advanced-py#132`). What it refuses twice it means.
    async fn ask(&self, call: &Call<'_>, target: &str) -> Result<Answer, RestError> {
        let request = Request::get(target);
        let url = format!("{}{}", call.base, request.path);
        let asking = async {
            match self.ask_once(call, &request, &url).await {
                Err(error) if call.desk.is_some() && error.status() == Some(StatusCode::UNAUTHORIZED) => {
                    tracing::debug!(%error, "once more, with a new signature");
                    self.ask_once(call, &request, &url).await
                }
                answer => answer,
            }
        };
        timeout(WITHIN, asking).await.unwrap_or_else(|_| Err(RestError::Late(url.clone(), WITHIN)))
    }

    async fn ask_once(&self, call: &Call<'_>, request: &Request, url: &str) -> Result<Answer, RestError> {
        let broken = |error| RestError::Broken(url.to_owned(), error);
        let no_url = || RestError::Dial(DialError::Url(url.to_owned()));
        let uri: Uri = url.parse().map_err(|_| no_url())?;
        if call.desk.is_some() && !is_private(&uri) {
            return Err(RestError::Plain(url.to_owned()));
        }
        let host = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()).ok_or_else(no_url)?;

        self.pace.pass(false).await;
        let Opened { wire, .. } = self.dial.open(url).await.map_err(RestError::Dial)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
        // Not before the stream is open: a signature is to be fresh.
        let proof = self.sign(call, request).await;
        let message = message(request, host, proof.as_ref()).ok_or_else(no_url)?;

        let conversation = async {
            let (sent, begun) = (self.clock.now(), Instant::now());
            let response = sender.send_request(message).await.map_err(broken)?;
            let took = begun.elapsed();
            if response.status() != StatusCode::OK {
                return Err(refusal(response, url, proof.as_ref()).await);
            }
            let body = read(response.into_body(), call.left, url).await?;
            Ok(Answer { url: url.to_owned(), body, sent, took })
        };
        // Whatever ends the connection, the conversation is told; and an answer that was whole stays one, though the stream
        // was then torn off and not closed.
        match select(pin!(conversation), pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, conversation)) => conversation.await,
        }
    }

    async fn sign(&self, call: &Call<'_>, request: &Request) -> Option<Proof> {
        let desk = call.desk?;
        loop {
            match desk.sign_request(call.rest, request, &self.clock, &self.random) {
                Ok(proof) => return Some(proof),
                Err(Wait(wait)) => sleep(wait).await,
            }
        }
    }
}

impl Answer {
    fn unreadable(&self) -> RestError {
        RestError::Unreadable(self.url.clone(), self.body.len())
    }
}

/// Whether nobody on the way can read what is said: credentials go nowhere else, whatever the configuration let pass.
fn is_private(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        || host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("https") || is_loopback()
}

fn message(request: &Request, host: HeaderValue, proof: Option<&Proof>) -> Option<hyper::Request<String>> {
    let mut message = hyper::Request::builder()
        .method(&*request.method)
        .uri(request.target())
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json");
    for (name, value) in proof.iter().flat_map(|proof| &proof.headers) {
        // A passphrase may have letters beyond ASCII.
        let mut value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        value.set_sensitive(true);
        message = message.header(*name, value);
    }
    message.body(request.body.clone()).ok()
}

async fn read(body: Incoming, most: usize, url: &str) -> Result<Bytes, RestError> {
    match Limited::new(body, most).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => RestError::Broken(url.to_owned(), *error),
            Err(other) => {
                debug_assert!(other.is::<LengthLimitError>(), "a body fails by its stream or by its length");
                RestError::TooLarge(url.to_owned())
            }
        }),
    }
}

async fn refusal(response: hyper::Response<Incoming>, url: &str, proof: Option<&Proof>) -> RestError {
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let body = read(response.into_body(), LARGEST_REFUSAL, url).await.unwrap_or_default();
    let signature = proof.map(|proof| &*proof.signature);
    RestError::Status { url: url.to_owned(), status, said: failure::said(&body, signature), retry_after }
}
