//! A stream for as long as the upgrade lasts. It ends with a blank line, and what came behind that in one packet, a venue's
//! first words, is left in the [`Wire`]: tungstenite would take it, and from then on read with a buffer that holds hardly
//! more than one message, a system call each (its buffer is made of what was read, and remembers that size).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Wire;

/// What a head ends with.
const BLANK: &[u8] = b"\r\n\r\n";

/// A wire that gives the head of an answer, and nothing of what stands behind it.
pub(super) struct Handshake {
    wire: Wire,
    /// How much of the blank line the last bytes were.
    matched: usize,
}

impl Handshake {
    pub fn new(wire: Wire) -> Self {
        Self { wire, matched: 0 }
    }

    /// The wire, with what came behind the head still to be read.
    pub fn into_wire(self) -> Wire {
        self.wire
    }

    /// Where the blank line ends that these bytes complete, if they do.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|byte| {
            let goes_on = BLANK[self.matched] == *byte;
            self.matched = if goes_on { self.matched + 1 } else { usize::from(*byte == BLANK[0]) };
            self.matched == BLANK.len()
        })
    }
}

impl AsyncRead for Handshake {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.matched == BLANK.len() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.wire).poll_read(cx, buf))?;
        if let Some(last) = self.end(&buf.filled()[before..]) {
            let end = before + last + 1;
            self.wire.put_back(&buf.filled()[end..]);
            buf.set_filled(end);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Handshake {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// However the bytes are cut into reads.
    #[tokio::test]
    async fn what_stands_behind_the_head_is_read_next() {
        const HEAD: &[u8] = b"HTTP/1.1 101 Switching\r\nA: \r\r\n\r\n";
        for pieces in 1..=HEAD.len() + 4 {
            let (near, mut far) = tokio::io::duplex(pieces);
            let all = [HEAD, b"\x81\x02{}\r\n\r\n"].concat();
            let sent = all.clone();
            tokio::spawn(async move { far.write_all(&sent).await });
            let mut handshake = Handshake::new(Wire::new(near));
            let mut head = vec![0; HEAD.len()];
            handshake.read_exact(&mut head).await.expect("a head");
            assert_eq!(head, HEAD);
            let mut more = [0; 8];
            assert!(futures::poll!(std::pin::pin!(handshake.read(&mut more))).is_pending());
            let mut rest = Vec::new();
            handshake.into_wire().read_to_end(&mut rest).await.expect("the rest");
            assert_eq!([head, rest].concat(), all, "in pieces of {pieces}");
        }
    }
}
