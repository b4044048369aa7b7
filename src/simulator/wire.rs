//! The stream below a WebSocket or a REST request, whose beginning tells which of the two it is; where bytes can be held
//! back, and which knows since when the reader takes none.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::dice::Dice;

/// A stream that writes as it is told: whole, in pieces, or slowly.
pub(super) struct Wire<S> {
    stream: S,
    /// Read already, and not yet taken.
    ahead: BytesMut,
    cuts: Option<Dice>,
    drip: Option<Drip>,
    stalled: Option<Instant>,
}

struct Drip {
    bytes_a_tick: usize,
    left: usize,
    refill: Pin<Box<Sleep>>,
}

const TICK: Duration = Duration::from_millis(100);
/// No client's headers are longer: a token is less than a kilobyte.
const LONGEST_HEAD: usize = 16 * 1024;

impl<S> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: BytesMut::new(), cuts: None, drip: None, stalled: None }
    }

    /// From now on writes are cut at random, by `dice`.
    pub fn cut(&mut self, dice: Dice) {
        self.cuts = Some(dice);
    }

    /// From now on no more than so many bytes a second.
    pub fn drip(&mut self, bytes_a_second: u32) {
        let bytes_a_tick = usize::try_from(bytes_a_second.div_ceil(10)).unwrap_or(usize::MAX);
        self.drip = Some(Drip { bytes_a_tick, left: 0, refill: Box::pin(tokio::time::sleep(TICK)) });
    }

    /// Since when the reader has taken nothing of what waits for it.
    pub fn stalled(&self) -> Option<Instant> {
        self.stalled
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// The head of the first request, which is still to be read by whoever serves it; less where the client says less.
    pub async fn read_head(&mut self) -> io::Result<&[u8]> {
        while memmem::find(&self.ahead, b"\r\n\r\n").is_none() && self.ahead.len() < LONGEST_HEAD {
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                break;
            }
        }
        Ok(&self.ahead)
    }
}

impl Drip {
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.left == 0 {
            ready!(self.refill.as_mut().poll(cx));
            self.refill.as_mut().reset(Instant::now() + TICK);
            self.left = self.bytes_a_tick;
        }
        Poll::Ready(self.left)
    }
}

/// Now and then a few bytes, else up to what an Ethernet segment holds.
fn piece(dice: &mut Dice) -> usize {
    let most = if dice.chance(0.125) { 8 } else { 1_400 };
    1 + dice.index(most)
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let taken = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..taken]);
        self.ahead.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let mut most = buf.len();
        if let Some(drip) = &mut wire.drip {
            most = most.min(ready!(drip.poll_left(cx)));
        }
        if let Some(dice) = &mut wire.cuts {
            most = most.min(piece(dice));
        }
        let Poll::Ready(result) = Pin::new(&mut wire.stream).poll_write(cx, &buf[..most]) else {
            wire.stalled.get_or_insert_with(Instant::now);
            return Poll::Pending;
        };
        wire.stalled = None;
        if let (Some(drip), Ok(written)) = (&mut wire.drip, &result) {
            drip.left = drip.left.saturating_sub(*written);
        }
        Poll::Ready(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drip_takes_its_time() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut wire = Wire::new(near);
        wire.drip(1_000);
        let begun = Instant::now();
        wire.write_all(&[7; 2_000]).await.expect("written");
        assert!((1_900..=2_100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
        drop(wire);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.expect("read");
        assert_eq!(all, [7; 2_000]);
    }

    #[tokio::test]
    async fn what_was_read_ahead_is_read_again() {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut wire = Wire::new(near);
        far.write_all(b"GET / HTTP/1.1\r\n\r\nand more").await.expect("written");
        assert!(wire.read_head().await.expect("a head").starts_with(b"GET / HTTP/1.1\r\n\r\n"));
        drop(far);
        let mut all = Vec::new();
        wire.read_to_end(&mut all).await.expect("read");
        assert_eq!(all, b"GET / HTTP/1.1\r\n\r\nand more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_noticed() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut wire = Wire::new(near);
        wire.write_all(&[1; 16]).await.expect("fits");
        let more = tokio::time::timeout(Duration::from_secs(3), wire.write_all(&[2; 16])).await;
        assert!(more.is_err());
        assert_eq!(wire.stalled().map(|since| since.elapsed()), Some(Duration::from_secs(3)));
        far.read_exact(&mut [0; 16]).await.expect("read");
        wire.write_all(&[3; 16]).await.expect("fits again");
        assert_eq!(wire.stalled(), None);
    }
}
