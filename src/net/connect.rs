//! One of many addresses: the first that answers (RFC 8305, Happy Eyeballs).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// Three SYNs (1 s, 2 s, 4 s): what a lost packet or two cost.
const CONNECT_WITHIN: Duration = Duration::from_secs(8);

/// The delay of RFC 8305 (Happy Eyeballs) before the next address is tried beside the one that has not answered: a broken
/// IPv6 costs a quarter of a second and not a deadline.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// The families in turn, the resolver's first choice first.
pub(super) fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ours, mut others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut turns = Vec::with_capacity(ours.len() + others.len());
    ours.reverse();
    others.reverse();
    while let Some(next) = ours.pop() {
        turns.push(next);
        turns.extend(others.pop());
    }
    others.reverse();
    turns.extend(others);
    turns
}

/// The first address to answer wins; the others are let go.
pub(super) async fn connect(addresses: Vec<SocketAddr>, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut rest = addresses.into_iter();
    let mut trying = FuturesUnordered::new();
    loop {
        match rest.next() {
            Some(address) => trying.push(async move {
                let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {CONNECT_WITHIN:?}"));
                let result = timeout(CONNECT_WITHIN, connect_to(address, from)).await.unwrap_or_else(|_| Err(late()));
                result.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
            }),
            None if trying.is_empty() => return Err(last),
            None => {}
        }
        let more = rest.len() > 0;
        tokio::select! {
            Some(result) = trying.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            },
            () = sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
}

async fn connect_to(address: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(from) = from else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let of_net_bind = |error: io::Error| io::Error::new(error.kind(), format!("from net.bind {from}: {error}"));
    socket.bind(SocketAddr::new(from, 0)).map_err(of_net_bind)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().expect("an address")).collect()
    }

    #[test]
    fn address_families_take_turns() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"]);
        assert_eq!(interleaved(given), addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(interleaved(Vec::new()), []);
    }
}
