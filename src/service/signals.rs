//! What the system tells a daemon: stop, reload, rotate.

use std::{io, thread, time::Duration};

use futures::StreamExt;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    iterator,
    low_level::emulate_default_handler,
};
use tokio::time::Instant;

/// Signals within this are one: timeout(1) sends two, to its child and to its group, and who presses ctrl-C twice in it did not
/// wait for an answer.
const TOGETHER: Duration = Duration::from_secs(1);

/// A stream of signals.
pub struct Signals(Option<signal_hook_tokio::Signals>);

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// TERM, INT: drain and exit.
    Stop,
    /// HUP: reopen files, read the configuration again.
    Reload,
    /// USR1: begin a new segment.
    Rotate,
}

impl Signals {
    /// Listens from now on; to be called before anything else is started, or an early TERM kills. A further TERM or INT, a
    /// second after the first or later, kills the process on the spot, as it does whoever does not listen: from a thread of its
    /// own, for then the rest may hang.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let mut stops = iterator::Signals::new([SIGTERM, SIGINT])?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            let mut first = None;
            for signal in stops.forever() {
                if first.get_or_insert_with(Instant::now).elapsed() >= TOGETHER {
                    // Where that does not work nothing does: KILL is left.
                    let _ = emulate_default_handler(signal);
                }
            }
        })?;
        Ok(Self(Some(signal_hook_tokio::Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?)))
    }

    /// Hears nothing; for tests, which end runs otherwise.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Waits until the process is told to stop; whatever else it is told means nothing to it.
    pub async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }

    pub(super) async fn next(&mut self) -> Signal {
        let Some(signals) = &mut self.0 else { return std::future::pending().await };
        match signals.next().await {
            Some(SIGHUP) => Signal::Reload,
            Some(SIGUSR1) => Signal::Rotate,
            _ => Signal::Stop,
        }
    }
}
