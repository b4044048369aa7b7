//! Asks a proxy for a way to a host. From then on it carries bytes that it can not read: TLS is spoken with the venue.

use std::{fmt, io};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::config::{Kind, Proxy};

/// The longest answer to CONNECT that is read: its head, in bytes; those seen have less than 1 KiB.
const LONGEST_HEAD: usize = 8 << 10;

/// Why a proxy lets nobody through.
#[derive(Debug)]
pub enum ProxyError {
    /// It is not there, for this reason.
    Unreached(String),
    /// It wants a login, or another one.
    Login,
    /// It refuses, in these words.
    Refused(String),
    /// What answers is no such proxy.
    Stranger(&'static str),
    /// The host's name is too long for its protocol: 255 bytes.
    LongName,
    /// The stream broke.
    Broken(io::Error),
}

/// Has `stream`, which leads to the proxy, lead to a host.
///
/// # Errors
/// As the proxy says.
pub(super) async fn through<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    stream: &mut S,
    host: &str,
    port: u16,
) -> Result<(), ProxyError> {
    match proxy.kind {
        Kind::Http => connect(proxy, stream, host, port).await,
        Kind::Socks => socks(proxy, stream, host, port).await,
    }
}

/// RFC 9110, 9.3.6.
async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    stream: &mut S,
    host: &str,
    port: u16,
) -> Result<(), ProxyError> {
    let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // Room for all of it at once: what grows leaves copies behind.
    let login = proxy.login.as_ref().map_or(0, |(user, password)| 2 * (user.len() + password.expose().len()));
    let mut request = Zeroizing::new(String::with_capacity(2 * to.len() + login + 128));
    for part in ["CONNECT ", &to, " HTTP/1.1\r\nHost: ", &to, "\r\n"] {
        request.push_str(part);
    }
    if let Some((user, password)) = &proxy.login {
        let login = Zeroizing::new(format!("{user}:{}", password.expose()));
        request.push_str("Proxy-Authorization: Basic ");
        STANDARD.encode_string(login.as_bytes(), &mut request);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;

    let mut head = Vec::new();
    // Byte by byte: what stands behind it is the host's.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(ProxyError::Stranger("its answer to CONNECT has no end"));
        }
        head.push(stream.read_u8().await?);
        if !b"HTTP/1.".starts_with(&head[..head.len().min(7)]) {
            return Err(ProxyError::Stranger("what answers speaks no HTTP: is it a socks5:// one?"));
        }
    }
    let line = String::from_utf8_lossy(&head);
    let status = line.lines().next().unwrap_or_default().split_once(' ').map_or("", |(_, status)| status);
    match status.get(..3) {
        Some(code) if code.starts_with('2') => Ok(()),
        Some("407") => Err(ProxyError::Login),
        // Its words are not told: they may be ours, the login among them.
        code => Err(ProxyError::Refused(format!(
            "HTTP {}",
            code.and_then(|code| code.parse::<u16>().ok()).unwrap_or_default()
        ))),
    }
}

/// RFC 1928 and, for a login, RFC 1929. The name goes to the proxy, which looks it up.
async fn socks<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    stream: &mut S,
    host: &str,
    port: u16,
) -> Result<(), ProxyError> {
    const VERSION: u8 = 5;
    const NONE: u8 = 0;
    const LOGIN: u8 = 2;
    let methods: &[u8] = if proxy.login.is_some() { &[VERSION, 2, NONE, LOGIN] } else { &[VERSION, 1, NONE] };
    stream.write_all(methods).await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(ProxyError::Stranger("what answers speaks no SOCKS 5: is it an http:// one?"));
    }
    match (method, &proxy.login) {
        (NONE, _) => {}
        (LOGIN, Some((user, password))) => {
            let mut login = Zeroizing::new(vec![1]);
            for text in [user, password.expose()] {
                login.extend(length(text)?);
                login.extend_from_slice(text.as_bytes());
            }
            stream.write_all(&login).await?;
            let [_, status] = read(stream).await?;
            if status != 0 {
                return Err(ProxyError::Login);
            }
        }
        _ => return Err(ProxyError::Login),
    }
    let mut request = vec![VERSION, 1, 0];
    match host.parse() {
        Ok(std::net::IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(std::net::IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(3);
            request.extend(length(host)?);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    stream.write_all(&request).await?;
    let [version, reply, _, kind] = read(stream).await?;
    if version != VERSION {
        return Err(ProxyError::Stranger("what answers speaks no SOCKS 5"));
    }
    if reply != 0 {
        return Err(ProxyError::Refused(said(reply).to_owned()));
    }
    // Where it goes out, which nobody here asks for.
    let address = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(ProxyError::Stranger("its answer has an address of no known kind")),
    };
    let mut rest = vec![0; address + 2];
    stream.read_exact(&mut rest).await?;
    Ok(())
}

async fn read<S: AsyncRead + Unpin, const N: usize>(stream: &mut S) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn length(text: &str) -> Result<Option<u8>, ProxyError> {
    u8::try_from(text.len()).map(Some).map_err(|_| ProxyError::LongName)
}

/// RFC 1928, 6.
fn said(reply: u8) -> &'static str {
    match reply {
        2 => "its rules do not allow it",
        3 => "the network can not be reached from there",
        4 => "the host can not be reached from there, or its name is not known there",
        5 => "the host refused it",
        6 => "the host did not answer it",
        7 => "it does not know the command CONNECT",
        8 => "it does not know such addresses",
        _ => "it failed, and does not say why",
    }
}

impl From<io::Error> for ProxyError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreached(why) => f.write_str(why),
            Self::Login => f.write_str(
                "it wants a user and a password, or others than these: USER:PASSWORD@ before its host, wherever `tickerd check` says \
                 that it was read from",
            ),
            Self::Refused(why) => write!(f, "it lets nobody through to there: {why}"),
            Self::Stranger(what) => f.write_str(what),
            Self::LongName => f.write_str("SOCKS can not say a name of more than 255 bytes"),
            Self::Broken(error) => write!(f, "it broke off: {error}"),
        }
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-pass";

    /// What comes of a proxy at `url` that says this, whatever it hears; and what it heard.
    async fn met(url: &str, says: &[u8]) -> (Result<(), ProxyError>, Vec<u8>) {
        let proxy = Proxy::parse(url, "$X".to_owned()).expect("a proxy");
        let (mut near, mut far) = tokio::io::duplex(1 << 10);
        far.write_all(says).await.expect("has room");
        let met = through(&proxy, &mut near, "venue.test", 443).await;
        drop(near);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.expect("ends");
        (met, heard)
    }

    #[tokio::test]
    async fn what_a_proxy_refuses_is_told_in_words_and_never_with_the_login() {
        let with_login = format!("socks5://user:{CANARY}@p");
        for (url, says, wanted) in [
            ("http://p", &b"HTTP/1.1 403 Forbidden\r\n\r\n"[..], "lets nobody through to there: HTTP 403"),
            ("http://p", b"HTTP/1.0 502 Bad Gateway\r\nX: y\r\n\r\n", "lets nobody through to there: HTTP 502"),
            ("http://p", b"HTTP/1.1 407 Who?\r\n\r\n", "wants a user and a password"),
            ("http://p", b"HTTP/1.1 what\r\n\r\n", "lets nobody through to there: HTTP 0"),
            ("http://p", b"\x05\xff", "speaks no HTTP: is it a socks5:// one?"),
            ("socks5://p", b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks no SOCKS 5: is it an http:// one?"),
            ("socks5://p", b"\x04\x00", "speaks no SOCKS 5"),
            ("socks5://p", b"\x05\xff", "wants a user and a password"),
            ("socks5://p", b"\x05\x02", "wants a user and a password"),
            (&with_login, b"\x05\x02\x01\x01", "or others than these"),
            ("socks5://p", b"\x05\x00\x05\x01\x00\x01", "it failed, and does not say why"),
            ("socks5://p", b"\x05\x00\x05\x02\x00\x01", "its rules do not allow it"),
            ("socks5://p", b"\x05\x00\x05\x03\x00\x01", "the network can not be reached from there"),
            ("socks5://p", b"\x05\x00\x05\x04\x00\x01", "or its name is not known there"),
            ("socks5://p", b"\x05\x00\x05\x05\x00\x01", "the host refused it"),
            ("socks5://p", b"\x05\x00\x05\x06\x00\x01", "the host did not answer it"),
            ("socks5://p", b"\x05\x00\x05\x07\x00\x01", "does not know the command CONNECT"),
            ("socks5://p", b"\x05\x00\x05\x08\x00\x01", "does not know such addresses"),
            ("socks5://p", b"\x05\x00\x05\x00\x00\x09", "an address of no known kind"),
        ] {
            let (met, _) = met(url, says).await;
            let told = met.expect_err(wanted).to_string();
            assert!(told.contains(wanted) && !told.contains(CANARY), "{told}, not {wanted}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_wants_no_login_gets_none_and_what_stands_behind_its_answer_is_the_hosts() {
        let (met, heard) = met("http://p", b"HTTP/1.1 200 OK\r\n\r\n").await;
        met.expect("leads there");
        assert_eq!(heard, b"CONNECT venue.test:443 HTTP/1.1\r\nHost: venue.test:443\r\n\r\n");
        for bound in [&b"\x01\x7f\x00\x00\x01"[..], &[&[4][..], &[0; 16]].concat(), b"\x03\x02ab"] {
            let proxy = Proxy::parse("socks5://p", String::new()).expect("a proxy");
            let (mut near, mut far) = tokio::io::duplex(1 << 10);
            far.write_all(&[b"\x05\x00\x05\x00\x00", bound, b"\x01\xbbhost's"].concat()).await.expect("has room");
            through(&proxy, &mut near, "venue.test", 443).await.expect("leads there");
            assert_eq!(read::<_, 6>(&mut near).await.expect("there"), *b"host's");
        }
    }
}
