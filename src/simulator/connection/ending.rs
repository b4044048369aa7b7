//! How a connection ends: with a word, with half of one, or without.

use std::io;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    self, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{Connection, GOODBYE};
use crate::simulator::{Ending, Observed};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    pub(super) async fn end(mut self, ending: Ending) -> Ending {
        // A client that does not keep to the time is left behind, whatever was still to be said.
        match ending {
            Ending::Closed(code) => {
                let _ = timeout(GOODBYE, self.close(code)).await;
            }
            Ending::Left => {
                let _ = timeout(GOODBYE, self.socket.get_mut().shutdown()).await;
            }
            Ending::Cut => {
                let _ = timeout(GOODBYE, self.cut()).await;
            }
            Ending::Slow => {
                if let Some(words) = self.simulator.counterpart.too_slow() {
                    let _ = timeout(GOODBYE, self.say_last(words)).await;
                }
            }
            Ending::Dead => hold(self.socket.into_inner()).await,
            Ending::Reset | Ending::Failed(_) | Ending::Refused(_) | Ending::Answered => {}
        }
        ending
    }

    /// Says goodbye after the message that was begun, and waits for the client's own.
    async fn close(&mut self, code: u16) -> Result<(), tungstenite::Error> {
        self.outbox.keep_begun();
        self.empty().await?;
        self.socket.close(Some(CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::default() })).await?;
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(self.socket.get_mut().shutdown().await?)
    }

    /// Says why it ends, after the message that was begun.
    async fn say_last(&mut self, words: String) -> Result<(), tungstenite::Error> {
        self.outbox.keep_begun();
        self.outbox.push_text(words.into());
        self.empty().await?;
        self.socket.flush().await
    }

    async fn empty(&mut self) -> Result<(), tungstenite::Error> {
        while let Some((frame, whole)) = self.outbox.pop() {
            if let Some(message) = whole {
                self.simulator.tell(&Observed::Sent { conn: self.number, message });
            }
            self.socket.feed(frame).await?;
        }
        Ok(())
    }

    /// A frame is announced and comes half.
    async fn cut(&mut self) -> io::Result<()> {
        const HALF: &[u8] = b"\x81\x7e\x01\x90{\"channel\":\"ticker_batch\",\"timestamp\":\"2026-";
        self.socket.flush().await.map_err(io::Error::other)?;
        let wire = self.socket.get_mut();
        wire.write_all(HALF).await?;
        wire.flush().await
    }
}

/// Stays connected and answers nothing, until the client gives up.
async fn hold(mut wire: impl AsyncRead + Unpin) {
    let mut unread = [0; 4_096];
    while let Ok(1..) = wire.read(&mut unread).await {}
}
