//! What the system tells a daemon: stop, reload, rotate.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use futures::StreamExt;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1},
    flag,
};

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
    /// Listens from now on; to be called before anything else is started, or an early TERM kills. A second TERM or INT
    /// ends the process on the spot, with the status a shell gives to a death by that signal.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 128 + signal, told.clone())?;
            flag::register(signal, told.clone())?;
        }
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
