//! A message is recorded, then the session looks at it: what is behind it in the same read is taken with it.

use tokio::task::yield_now;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{
    Connection, now,
    reading::{closed, ready},
};
use crate::{
    output::{Batch, Closed, Entry},
    record::Line,
    session::{Cause, Ending},
    venue::Kind,
};

/// Messages taken off the socket before the clocks are looked at again: about a millisecond of work, and as many as three
/// reads bring at the most.
const AT_ONCE: u32 = 1024;

impl Connection<'_> {
    /// Takes one message and those that are behind it already.
    pub(super) async fn take(&mut self, first: Option<Result<Message, tungstenite::Error>>) -> Option<Ending> {
        let mut batch = self.context.recorder.batch(self.origin.clone());
        let end = self.take_into(&mut batch, first).await;
        if let Err(Closed) = self.queue(&mut batch).await {
            return Some(output_closed());
        }
        match end? {
            Ok(ending) => Some(ending),
            Err(error) => Some(self.ended(error).await),
        }
    }

    async fn take_into(
        &mut self,
        batch: &mut Batch<'_>,
        first: Option<Result<Message, tungstenite::Error>>,
    ) -> Option<Result<Ending, tungstenite::Error>> {
        let mut next = first;
        let mut left = AT_ONCE;
        loop {
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(Cause::Lost.into())),
            };
            if let Some(ending) = self.handle(message, batch).await {
                return Some(Ok(ending));
            }
            // Taken off the socket only if it will be handled: the count comes first.
            left -= 1;
            if left == 0 {
                // A socket that is never empty leaves this task nothing to wait for, and only while it waits is anybody else
                // heard: signals, the watchdog, who asks for metrics.
                yield_now().await;
                return None;
            }
            next = ready(&mut self.socket)?;
        }
    }

    /// Records one message, then lets the session look at it.
    async fn handle(&mut self, message: Message, batch: &mut Batch<'_>) -> Option<Ending> {
        let length = message.len();
        let (line, is_noise) = match message {
            Message::Text(text) if text.starts_with(['{', '[']) => (Line::from_text(text), false),
            Message::Text(text) => {
                self.said.tell_noise(&text, &self.origin);
                (Line::from_text(text), true)
            }
            Message::Binary(bytes) => (Line::from_binary(&bytes), true),
            Message::Pong(_) => {
                self.session.handle_pong(now());
                return None;
            }
            Message::Ping(_) | Message::Frame(_) => return None,
            Message::Close(frame) => {
                let ending = closed(frame);
                self.session.handle_close(ending.code, &ending.detail);
                return Some(ending);
            }
        };
        if self.socket.get_ref().received().0 != self.came.bytes {
            self.look_at_clocks();
        }
        let recv = self.came.recv;
        let queued = match batch.put(recv, length, &line) {
            Ok(None) => Ok(()),
            Ok(Some(before)) => self.wait(before).await,
            Err(Closed) => Err(Closed),
        };
        if let Err(Closed) = queued {
            return Some(output_closed());
        }
        if is_noise {
            self.session.handle_noise(length, self.came.now);
            return None;
        }
        let arrival = (self.venue.read)(line.as_str());
        if let Kind::Data(channel) = arrival.kind {
            self.data_at = Some(self.came.now);
            if let Some(channel) = channel
                && self.came.heard.replace(channel).is_none_or(|last| !std::ptr::eq(last, channel))
            {
                self.origin.annals.heard(channel, recv);
            }
        }
        self.session.handle_message(&arrival, length, recv, self.came.now);
        while let Some(told) = self.session.told() {
            // Behind the message; that the output is gone is noticed with the next.
            let _ = self.queue(batch).await;
            self.tell(told).await;
        }
        None
    }

    async fn queue(&mut self, batch: &mut Batch<'_>) -> Result<(), Closed> {
        match batch.queue()? {
            Some(entry) => self.wait(entry).await,
            None => Ok(()),
        }
    }

    async fn wait(&mut self, entry: Entry) -> Result<(), Closed> {
        let before = self.place.stalls(now());
        let stall = self.context.recorder.wait(entry).await?;
        self.note_stall(stall, Some(before));
        Ok(())
    }
}

fn output_closed() -> Ending {
    Ending { detail: "the output is closed".into(), ..Cause::Stopped.into() }
}
