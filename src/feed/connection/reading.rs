//! What comes off a socket, and what its ends mean.

use std::task::{Context, Poll, Waker};

use futures::{SinkExt, StreamExt, future::poll_fn};
use tokio_tungstenite::tungstenite::{
    self, Message,
    error::{CapacityError, ProtocolError},
    protocol::CloseFrame,
};

use super::Turn;
use crate::{
    net::Socket,
    session::{Cause, Ending},
};

/// The next message, while what waits to be sent is sent: a send that was awaited apart could hang behind a full socket,
/// and the reading with it.
pub(super) async fn next(socket: &mut Socket, leaving: bool) -> Turn {
    poll_fn(|cx| {
        if leaving && let Poll::Ready(left) = socket.poll_flush_unpin(cx) {
            return Poll::Ready(Turn::Left(left));
        }
        socket.poll_next_unpin(cx).map(Turn::Message)
    })
    .await
}

/// A message that is there already.
#[expect(clippy::option_option, reason = "none yet, and none any more, are two things")]
pub(super) fn ready(socket: &mut Socket) -> Option<Option<Result<Message, tungstenite::Error>>> {
    match socket.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(message) => Some(message),
        Poll::Pending => None,
    }
}

/// Why a connection ended that ended in this.
pub(super) fn cause(error: &tungstenite::Error) -> Cause {
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }) => Cause::TooLarge,
        tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Io(_)
        | tungstenite::Error::Tls(_)
        | tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Cause::Lost,
        _ => Cause::Protocol,
    }
}

/// The end that the venue's own close makes.
pub(super) fn closed(frame: Option<CloseFrame>) -> Ending {
    let code = frame.as_ref().map(|frame| frame.code.into());
    // The venue's words go into logs and STATUS=, where a line break would begin something of its own.
    let detail = frame.map_or_else(String::new, |frame| frame.reason.replace(char::is_control, " "));
    Ending { cause: Cause::Closed, code, detail }
}
