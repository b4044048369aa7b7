//! The stream below a WebSocket, whatever it is, with its bytes counted: a message of megabytes that is still on its way
//! is life on the line.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// A byte stream that remembers how much came over it, and when last.
pub struct Wire {
    stream: Box<dyn Stream>,
    /// Read already, and given back to be read again.
    ahead: Bytes,
    received: u64,
    last: Instant,
    /// The other side takes nothing any more.
    deaf: bool,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Wire {
    /// Counts on `stream`.
    #[must_use]
    pub fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self { stream: Box::new(stream), ahead: Bytes::new(), received: 0, last: Instant::now(), deaf: false }
    }

    /// Bytes received, and when the last of them came.
    #[must_use]
    pub fn received(&self) -> (u64, Instant) {
        (self.received, self.last)
    }

    /// Has these bytes, which were read last, read again.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        self.ahead = Bytes::copy_from_slice(bytes);
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let again = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(again));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let read = buf.filled().len() - before;
        if read > 0 {
            self.received += read as u64;
            self.last = Instant::now();
        }
        Poll::Ready(result)
    }
}

/// A venue that has said goodbye takes no pong, and an error of that would end the reading as well, with megabytes of its
/// last messages still in the socket. So the first failed write is the last one made; how it stands is told by the read side.
impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.deaf = result.is_err();
        Poll::Ready(Ok(result.unwrap_or(bytes.len())))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.deaf {
            self.deaf = ready!(Pin::new(&mut self.stream).poll_flush(cx)).is_err();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
