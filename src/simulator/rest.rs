//! The exchange over REST, on the port of the WebSocket: one request a connection.

use std::{convert::Infallible, sync::PoisonError, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tracing::{info, warn};

use super::{
    Ending, LONGEST_REQUEST, Observed, Simulator, counterpart::Facts, gate::Proof, refusal::Refusal, wire::Wire,
};
use crate::venue::{self, Listed, Product};

/// As long as a WebSocket's reader may take nothing.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// What every list has beside what is traded: a product that was once.
const DELISTED: &str = "REP-USD";

/// What is answered: an HTTP status, and a body that is JSON or the venue's bare words.
pub(super) type Answer = (StatusCode, Result<Value, &'static str>);

/// One REST request, as it came.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: venue::Request,
    /// Whom, by the `Host` header.
    pub host: String,
    /// By whom.
    pub proof: Proof,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The venue's time.
    Time,
    /// What the key may do.
    Permissions,
    /// What is traded, for everybody.
    Products,
    /// The same, for whoever signs.
    SignedProducts,
    /// The key's accounts: there are none.
    Accounts,
}

impl Simulator {
    /// Answers the one request that a stream was opened for.
    pub(super) async fn serve_rest(&self, wire: Wire<impl AsyncRead + AsyncWrite + Unpin + Send>) -> Ending {
        let service = service_fn(|request| self.respond(request));
        let serving = http1::Builder::new()
            .keep_alive(false)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(wire), service);
        match timeout(ANSWERED_WITHIN, serving).await {
            Ok(Ok(())) => Ending::Answered,
            Ok(Err(error)) => Ending::Failed(error.to_string()),
            Err(_) => Ending::Slow,
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, LONGEST_REQUEST).collect().await.map(http_body_util::Collected::to_bytes);
        let body = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let call = Call {
            request: venue::Request::parse(head.method.as_str(), target, &body).0,
            host: text(&head.headers, HOST.as_str()).unwrap_or_default(),
            proof: proof(&head.headers),
        };
        let (status, body) = self.answer(&head.method, &call);
        info!(request = %format_args!("{} {}", call.request.method, call.request.path), status = status.as_u16(), "asked");
        let signature = match call.proof {
            Proof::None => None,
            Proof::Jwt(token) => Some(token),
            Proof::Hmac { signature, .. } => signature,
        };
        self.tell(&Observed::Asked { request: call.request, signature, status: status.as_u16() });
        let (kind, body) = match body {
            Ok(json) => ("application/json", json.to_string()),
            Err(words) => ("text/plain", words.to_owned()),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
        Ok(response)
    }

    fn answer(&self, method: &Method, call: &Call) -> Answer {
        match self.look_up(method, call) {
            Ok(json) => (StatusCode::OK, Ok(json)),
            Err(refusal) => {
                warn!(path = call.request.path, "refused: {refusal}");
                self.counterpart.refuse_call(&refusal)
            }
        }
    }

    fn look_up(&self, method: &Method, call: &Call) -> Result<Value, Refusal> {
        let resource = self.counterpart.resource(&call.request.path).ok_or(Refusal::NoSuchResource)?;
        if *method != Method::GET {
            return Err(Refusal::NotAGet);
        }
        if resource.is_private() {
            self.check_call(call)?;
        }
        if resource.wants_view() && !self.options.permissions.can_view {
            return Err(Refusal::MayNotView);
        }
        let now = Timestamp::try_from(self.options.clock.now()).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut listed = self.listing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let at = self.pace.now();
        listed.retain(|listed| !self.calendar.is_unlisted(&listed.id, at));
        Ok(self.counterpart.tell(resource, &Facts { now, permissions: self.options.permissions, listed: &listed }))
    }

    fn check_call(&self, call: &Call) -> Result<(), Refusal> {
        self.check_revoked()?;
        self.gate().check_call(call, self.options.clock.unix())?;
        if self.options.faults.refuses_rest() { Err(Refusal::Fault) } else { Ok(()) }
    }
}

impl Resource {
    /// Only a signed request is answered.
    fn is_private(self) -> bool {
        !matches!(self, Self::Time | Self::Products)
    }

    /// Answered to a key that may view. What a key may do, it is told whatever that is.
    fn wants_view(self) -> bool {
        matches!(self, Self::SignedProducts | Self::Accounts)
    }
}

/// Whether the head of a request asks for a WebSocket.
pub(super) fn is_upgrade(head: &[u8]) -> bool {
    let mut lines =
        head.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
    lines.any(|(name, value)| name.eq_ignore_ascii_case("upgrade") && value.trim().eq_ignore_ascii_case("websocket"))
}

/// What is traded, and what no longer is.
pub(super) fn listing(products: &[Product]) -> Vec<Listed> {
    let online = products.iter().map(|product| Listed { id: product.to_string(), alias: None, online: true });
    online.chain([Listed { id: DELISTED.to_owned(), alias: None, online: false }]).collect()
}

fn proof(headers: &HeaderMap) -> Proof {
    let named = |name| text(headers, name);
    if let Some(authorization) = named(AUTHORIZATION.as_str()) {
        return Proof::Jwt(authorization.strip_prefix("Bearer ").unwrap_or_default().to_owned());
    }
    match (named("CB-ACCESS-KEY"), named("CB-ACCESS-TIMESTAMP"), named("CB-ACCESS-SIGN")) {
        (None, None, None) => Proof::None,
        (key, timestamp, signature) => Proof::Hmac {
            key,
            timestamp: timestamp.map(Value::String),
            signature,
            passphrase: named("CB-ACCESS-PASSPHRASE"),
        },
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_told_from_a_request() {
        assert!(is_upgrade(b"GET / HTTP/1.1\r\nHost: a\r\nupgrade: WebSocket\r\n\r\n"));
        assert!(!is_upgrade(b"GET /?Upgrade:websocket HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n"));
        assert!(!is_upgrade(b"SSH-2.0-hello\r\n\r\n"));
    }
}
