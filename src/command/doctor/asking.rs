//! A real subscribe, and the venue's answer: one channel at a time, since a refusal does not say what it refuses.

use std::{fmt, time::Duration};

use futures::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{
    clock::Clock,
    desk::Desk,
    net::Socket,
    pace::Pace,
    random::Random,
    venue::{Kind, Subscribe, Venue},
};

/// The venue answers within 0.2 s, but behind the channel's snapshots, which are megabytes.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A send that takes longer is no send.
const SEND_WITHIN: Duration = Duration::from_secs(5);

/// What the venue said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It takes it; these products it left out.
    Taken(Vec<String>),
    /// It refuses it, in these words.
    Refused(String),
    /// It said nothing of it.
    Silent,
    /// The connection ended instead.
    Lost(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(_) => f.write_str("taken"),
            Self::Refused(words) => write!(f, "refused: {words:?}"),
            Self::Silent => write!(f, "no answer within {} s", ANSWER_WITHIN.as_secs()),
            Self::Lost(why) => f.write_str(why),
        }
    }
}

/// Who asks, and on what.
pub(super) struct Asking<'a> {
    pub socket: Socket,
    pub venue: &'static Venue,
    pub clock: &'a Clock,
    pub random: &'a Random,
    pub pace: Pace,
}

impl Asking<'_> {
    /// Asks, signed where there is a desk, and waits for the answer.
    pub async fn ask(&mut self, subscribe: &Subscribe, desk: Option<&Desk>) -> Answer {
        if let Err(lost) = self.send(subscribe, desk).await {
            return lost;
        }
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            let message = match self.next(deadline).await {
                Ok(Some(message)) => message,
                Ok(None) => return Answer::Silent,
                Err(lost) => return lost,
            };
            match (self.venue.read)(&message).kind {
                Kind::Refusal(words) => return Answer::Refused(words),
                Kind::Ack(accepted) => {
                    let left_out = subscribe.left_out(&accepted);
                    return Answer::Taken(left_out.into_iter().map(|(_, product)| product).collect());
                }
                Kind::Heartbeat | Kind::Data(_) => {}
            }
        }
    }

    /// Puts a subscribe on the wire, no faster than the venue allows; an equal pre-hash waits for its second.
    pub async fn send(&mut self, subscribe: &Subscribe, desk: Option<&Desk>) -> Result<(), Answer> {
        self.pace.pass(true).await;
        let text = match desk {
            None => (self.venue.write)(subscribe, None).text,
            Some(desk) => loop {
                match desk.sign(self.venue, subscribe, self.clock, self.random) {
                    Ok(text) => break text,
                    Err(wait) => sleep_until(Instant::now() + wait.0).await,
                }
            },
        };
        let deadline = Instant::now() + SEND_WITHIN;
        match timeout_at(deadline, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Answer::Lost(error.to_string())),
            Err(_) => Err(Answer::Lost("what we send is not taken".to_owned())),
        }
    }

    /// The next message, None at the deadline.
    pub async fn next(&mut self, deadline: Instant) -> Result<Option<Utf8Bytes>, Answer> {
        loop {
            match timeout_at(deadline, self.socket.next()).await {
                Err(_) => return Ok(None),
                Ok(Some(Ok(Message::Text(text)))) => return Ok(Some(text)),
                Ok(Some(Ok(Message::Binary(bytes)))) => {
                    return Ok(Some(String::from_utf8_lossy(&bytes).into_owned().into()));
                }
                Ok(Some(Ok(Message::Close(Some(frame))))) => {
                    return Err(Answer::Lost(format!("closed with {}: {:?}", u16::from(frame.code), &*frame.reason)));
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(Answer::Lost(error.to_string())),
                Ok(None) => return Err(Answer::Lost("the connection ended".to_owned())),
            }
        }
    }

    /// Says goodbye; whether it is heard does not matter any more.
    pub async fn leave(mut self) {
        let _ = timeout_at(Instant::now() + SEND_WITHIN, self.socket.close(None)).await;
    }
}
