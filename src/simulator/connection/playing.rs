//! A recording as it is played to one client.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::{info, warn};

use super::{ACKS_AND_HEARTBEATS, Connection, Role};
use crate::simulator::{
    Ending, Simulator,
    recording::{Line, Playback},
};

/// A recording that is being played, with the line that comes next; None at its end.
pub(super) struct Player {
    playback: Playback,
    begun: Instant,
    next: Option<Line>,
}

impl Player {
    pub(super) fn due(&self, simulator: &Simulator) -> Instant {
        let after = self.next.as_ref().map(|line| simulator.options.speed.real(line.after));
        self.begun + after.unwrap_or_default()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    pub(super) fn start_playing(&mut self) {
        let playback = match self.simulator.tape.as_ref() {
            Some(tape) if tape.take() => tape.play(),
            _ => {
                // Another connection was first; this one has been acked nothing yet.
                self.role = Role::Market;
                self.session.set_sends(ACKS_AND_HEARTBEATS);
                let at = self.simulator.pace.now();
                let ack = self.session.ack(&self.simulator.market(), at);
                self.post(vec![ack]);
                return;
            }
        };
        match playback.and_then(|mut playback| Ok((playback.next_line()?, playback))) {
            Ok((next, playback)) => {
                info!(conn = self.number, "the recording starts");
                self.role = Role::Playing(Box::new(Player { playback, begun: Instant::now(), next }));
            }
            Err(error) => {
                warn!(conn = self.number, %error, "the recording can not be read again");
                self.role = Role::Silent;
            }
        }
    }

    /// Sends the line that is due; at the end it closes, or starts again.
    pub(super) fn play(&mut self) -> Option<Ending> {
        let Role::Playing(player) = &mut self.role else { return None };
        let Some(line) = player.next.take() else {
            if self.simulator.options.repeat {
                self.release_tape();
                self.start_playing();
                return None;
            }
            info!(conn = self.number, "the recording is at its end");
            return Some(Ending::Closed(1000));
        };
        match player.playback.next_line() {
            Ok(next) => player.next = next,
            Err(error) => {
                warn!(conn = self.number, %error, "the recording can not be read on");
                return Some(Ending::Closed(1011));
            }
        }
        match Utf8Bytes::try_from(line.text.clone()) {
            Ok(text) => self.outbox.push_text(text),
            Err(_not_text) => self.outbox.push_binary(line.text),
        }
        None
    }

    pub(super) fn release_tape(&self) {
        if let (Role::Playing(_), Some(tape)) = (&self.role, self.simulator.tape.as_ref()) {
            tape.release();
        }
    }
}
