//! The end of a connection: what it is to be blamed on, what has arrived until then, and a goodbye.

use std::time::{Duration, Instant};

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
                let begun = now();
                let _ = timeout(CLOSE_WITHIN, self.socket.send(Message::Close(Some(goodbye)))).await;
                self.take_rest(begun, true).await;
            }
            // The answer to the venue's close goes out as its end is read.
            Cause::Closed => drop(timeout(CLOSE_WITHIN, self.socket.next()).await),
            _ => {
                self.take_rest(now(), false).await;
                let _ = self.socket.send(Message::Close(None)).now_or_never();
            }
        }
        if self.stall.is_to_blame(now()) && matches!(ending.cause, Cause::Closed | Cause::Lost | Cause::SendTimeout) {
            return Ending { cause: Cause::ReaderStalled, ..ending };
        }
        ending
    }

    /// Takes in what has come, and where it `waits`, what still comes. The time is the other side's: for what has come it is
    /// longer by as much as a reader of ours stalls.
    async fn take_rest(&mut self, begun: Instant, waits: bool) {
        let before = self.stall.total();
        loop {
            let deadline = begun + CLOSE_WITHIN + self.stall.total().saturating_sub(before);
            if now() >= deadline {
                break;
            }
            let next = match ready(&mut self.socket) {
                None if waits => timeout_at(deadline.into(), self.socket.next()).await.ok(),
                next => next,
            };
            let Some(message) = next else { break };
            if self.take(message).await.is_some() {
                break;
            }
        }
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
