//! The end of a connection: what it is to be blamed on, what has arrived until then, and a goodbye.

use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use tokio::time::{timeout, timeout_at};
use tokio_tungstenite::tungstenite::{
    self, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    Connection, now,
    reading::{self, ready},
};
use crate::{
    account::Loss,
    record::Event,
    session::{Action, Cause, Ending},
};

/// How long the other side has to answer our close, and what it sent before that comes in and is recorded.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

impl Connection<'_> {
    /// Takes in what has arrived, says goodbye, and settles what the end is to be blamed on.
    pub(super) async fn close(&mut self, ending: Ending) -> Ending {
        match ending.cause {
            Cause::Stopped => {
                let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
                let deadline = tokio::time::Instant::now() + CLOSE_WITHIN;
                let _ = timeout_at(deadline, self.socket.send(Message::Close(Some(goodbye)))).await;
                // The deadline is for the other side; a message that has come is recorded, however long that takes.
                while let Ok(Some(Ok(message))) = timeout_at(deadline, self.socket.next()).await {
                    self.take(Some(Ok(message))).await;
                }
            }
            // The answer to the venue's close goes out as its end is read.
            Cause::Closed => drop(timeout(CLOSE_WITHIN, self.socket.next()).await),
            _ => {
                let mut deadline = now() + CLOSE_WITHIN;
                while now() < deadline
                    && let Some(Some(Ok(message))) = ready(&mut self.socket)
                {
                    let begun = now();
                    self.take(Some(Ok(message))).await;
                    deadline += now().duration_since(begun);
                }
                let _ = self.socket.send(Message::Close(None)).now_or_never();
            }
        }
        if self.stall.is_to_blame(now()) && matches!(ending.cause, Cause::Closed | Cause::Lost | Cause::SendTimeout) {
            return Ending { cause: Cause::ReaderStalled, ..ending };
        }
        ending
    }

    /// What came in one batch with the end is told too; and where the session had reasons of its own, they are the cause: a
    /// venue may refuse and close in one breath.
    pub(super) async fn last_words(&mut self, mut ending: Ending) -> Ending {
        self.look_at_clocks();
        while let Some(action) = self.session.poll(self.came.now) {
            match action {
                Action::Tell(told) => self.tell(told).await,
                Action::End(Cause::Refused) if matches!(ending.cause, Cause::Closed | Cause::Lost) => {
                    ending.cause = Cause::Refused;
                    break;
                }
                Action::End(_) | Action::Ask(_) => break,
                Action::Ping => {}
            }
        }
        ending
    }

    /// The session gives it up.
    pub(super) fn given_up(&self, cause: Cause) -> Ending {
        let dead = self.session.dead().join(", ");
        let detail = match cause {
            Cause::NoData => format!("heartbeats come, and nothing of {dead}"),
            Cause::NoSnapshot => format!("{dead} fell silent, and asked for anew brought no snapshot"),
            Cause::Behind => format!("heartbeats count what {dead} does not bring"),
            _ => String::new(),
        };
        Ending { detail, ..cause.into() }
    }

    /// What an error of the socket means. What it could not hand over is owned up to.
    pub(super) async fn ended(&mut self, error: tungstenite::Error) -> Ending {
        let cause = reading::cause(&error);
        if matches!(cause, Cause::TooLarge | Cause::Protocol) {
            let n = self.origin.receive(1);
            self.origin.lose(1, Loss::Protocol);
            tracing::error!(
                feed = %self.origin.feed, conn = %self.origin, event = %"dropped",
                "a message could not be taken off the socket and is lost: {error}"
            );
            let at = self.context.clock.now();
            let lost = Event::Dropped { count: 1, bytes: 0, why: Loss::Protocol, from: at, until: at };
            self.record_at(n, at, lost).await;
        }
        Ending { detail: error.to_string(), ..cause.into() }
    }
}
