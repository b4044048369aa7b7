//! The least that a recorder can do: read, find each message, put a line's end behind it, write. One thread, the standard
//! library alone, nothing checked; over TLS a bare rustls besides. What a recorder costs above this is what it is for.

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// What is read at once. Twice and half as much cost more.
const BUFFER: usize = 256 * 1024;

type Failed = Box<dyn Error>;

/// usage: `floor URL CHANNEL [CA_FILE]`; lines go to stdout.
fn main() -> Result<(), Failed> {
    let mut arguments = env::args().skip(1);
    let (url, channel) = arguments.next().zip(arguments.next()).ok_or("usage: floor URL CHANNEL [CA_FILE]")?;
    let (scheme, address) = url.split_once("://").ok_or("a URL has a scheme")?;
    let stream = TcpStream::connect(address)?;
    // `Stdout` looks for line breaks, and copies.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    if scheme == "ws" {
        record(stream, output, &channel)
    } else {
        record(tls(stream, arguments.next())?, output, &channel)
    }
}

fn tls(stream: TcpStream, ca_file: Option<String>) -> Result<impl Read + Write, Failed> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file.ok_or("TLS wants a CA_FILE")?)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1")?)?;
    Ok(StreamOwned::new(client, stream))
}

fn record(mut stream: impl Read + Write, mut output: impl Write, channel: &str) -> Result<(), Failed> {
    const TEXT: u8 = 1;
    const CLOSE: u8 = 8;
    stream.write_all(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )?;
    let (mut buffer, mut lines) = (vec![0; BUFFER], Vec::with_capacity(BUFFER));
    let (mut from, mut to) = (0, 0);
    let mut upgraded = false;
    loop {
        if from > 0 {
            buffer.copy_within(from..to, 0);
            (from, to) = (0, to - from);
        } else if to == buffer.len() {
            buffer.resize(2 * to, 0);
        }
        match stream.read(&mut buffer[to..])? {
            0 => return Ok(()),
            read => to += read,
        }
        if !upgraded {
            let Some(end) = buffer[..to].windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            (from, upgraded) = (end + 4, true);
            subscribe(&mut stream, channel)?;
        }
        while let Some((opcode, begin, end)) = frame(&buffer[from..to]) {
            match opcode {
                TEXT => {
                    lines.extend_from_slice(&buffer[from + begin..from + end]);
                    lines.push(b'\n');
                }
                CLOSE => {
                    output.write_all(&lines)?;
                    return Ok(());
                }
                _ => {}
            }
            from += end;
        }
        output.write_all(&lines)?;
        lines.clear();
    }
}

/// A whole frame at the beginning of this: what it is, and where its payload lies.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (begin, length) = match bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(*short)),
    };
    (bytes.len() >= begin + length).then_some((bytes[0] & 15, begin, begin + length))
}

/// With a mask of zeros, a masked frame is what it masks.
fn subscribe(stream: &mut impl Write, channel: &str) -> io::Result<()> {
    for message in [
        "{\"type\":\"subscribe\",\"channel\":\"heartbeats\"}".to_owned(),
        format!("{{\"type\":\"subscribe\",\"product_ids\":[\"BTC-USD\"],\"channel\":\"{channel}\"}}"),
    ] {
        let length = u8::try_from(message.len()).map_err(io::Error::other)?;
        assert!(length < 126, "a name of a channel is short");
        stream.write_all(&[&[0x81, 0x80 | length, 0, 0, 0, 0], message.as_bytes()].concat())?;
    }
    Ok(())
}
