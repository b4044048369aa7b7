//! Metrics and health over HTTP, for whoever watches machines. It has a thread of its own, so that a daemon that hangs still
//! answers, and a slow scraper costs the recorder nothing; it can change nothing.

mod guest;
mod ready;

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use crate::{
    config::Listen,
    metrics::{Form, Metrics, Vitals},
};

/// A request line with its headers; Prometheus sends 400 bytes. It is the least that the library lets one say.
const LONGEST_HEAD: usize = 8192;

/// A scraper sends its request at once.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// From the first byte to the last; Prometheus gives up after 10 s unless told otherwise.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Connections at once. For one more the oldest is closed: those who say nothing keep nobody out.
const MOST: usize = 16;

/// An address that is not to be had is tried again: another process may let go of it, or a network come up.
const AGAIN: Duration = Duration::from_secs(5);

/// What there is.
const PATHS: &str = "/metrics  what Prometheus scrapes\n/healthz  200 while the daemon lives\n/readyz   200 while every feed delivers\n";

/// Who answers, until it is dropped.
#[derive(Debug)]
pub struct Server(#[expect(dead_code, reason = "its end is what the thread hears")] oneshot::Sender<Infallible>);

/// What is answered from.
struct Room {
    listen: Listen,
    metrics: Metrics,
    vitals: Arc<Vitals>,
    /// This machine's name.
    machine: String,
}

impl Server {
    /// Begins. Where the address is not to be had the log says so, and it is tried again: recording does not wait for that.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(listen: Listen, metrics: Metrics, vitals: Arc<Vitals>) -> io::Result<Self> {
        let (server, ended) = oneshot::channel();
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let room = Arc::new(Room { listen, metrics, vitals, machine });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Here, so that one who has read the log line finds somebody.
        let first = bind(&room.listen);
        thread::Builder::new().name("http".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = room.keep(first) => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self(server))
    }
}

fn bind(listen: &Listen) -> io::Result<TcpListener> {
    let addresses: Vec<_> = (listen.host.as_str(), listen.port).to_socket_addrs()?.collect();
    let listener = TcpListener::bind(&addresses[..])?;
    listener.set_nonblocking(true)?;
    tracing::info!("metrics at http://{}/metrics", shown(listener.local_addr()?));
    Ok(listener)
}

/// Where it can be asked: nobody is at 0.0.0.0.
fn shown(at: SocketAddr) -> SocketAddr {
    match at {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (std::net::Ipv4Addr::LOCALHOST, at.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, at.port()).into(),
        _ => at,
    }
}

impl Room {
    async fn keep(self: Arc<Self>, first: io::Result<TcpListener>) {
        let mut bound = first;
        let mut said = false;
        let listener = loop {
            match bound.and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => break listener,
                Err(error) if !said => {
                    said = true;
                    tracing::error!(
                        "http.listen: {} is not to be had: {error}; `ss -ltnp` says which process has it. It is tried again, and \
                         meanwhile nobody can scrape; recording goes on",
                        self.listen
                    );
                }
                Err(error) => tracing::debug!("{}: {error}", self.listen),
            }
            sleep(AGAIN).await;
            bound = bind(&self.listen);
        };
        let (mut guests, mut ends) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // There are no descriptors left, or whoever came has gone.
                    tracing::debug!("nobody could be let in: {error}");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while guests.try_join_next().is_some() {}
            ends.retain(|guest| !guest.is_finished());
            if ends.len() >= MOST
                && let Some(oldest) = ends.pop_front()
            {
                oldest.abort();
            }
            ends.push_back(guests.spawn(self.clone().serve(stream)));
        }
    }

    /// One request a connection: none is kept for another.
    async fn serve(self: Arc<Self>, stream: tokio::net::TcpStream) {
        let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(self.answer(&request))));
        let serving = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(LONGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        match timeout(ANSWERED_WITHIN, serving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!("a request was not answered: {error}"),
            Err(_) => tracing::debug!("a request took too long"),
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !guest::is_at_home(request, &self.listen.host, &self.machine) {
            return plain(StatusCode::FORBIDDEN, guest::FOREIGN);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "there is nothing to change here: GET or HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri().path() {
            "/metrics" => {
                let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
                let form = Form::accepted(accept);
                let mut page = plain(StatusCode::OK, self.metrics.write(form));
                page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.name()));
                page
            }
            "/healthz" => match self.vitals.why_dead(Instant::now()) {
                None => plain(StatusCode::OK, "alive\n"),
                Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/readyz" => match ready::judge(&self.vitals, Instant::now()) {
                Ok(said) => plain(StatusCode::OK, said),
                Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why),
            },
            "/" => plain(StatusCode::OK, PATHS),
            _ => plain(StatusCode::NOT_FOUND, format!("there is no such thing; there is\n{PATHS}")),
        }
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
