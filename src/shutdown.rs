//! Being told to stop, and hearing of it.

use tokio::sync::watch;

/// Tells everybody to stop.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stop {
    /// Nobody is stopping yet.
    #[must_use]
    pub fn new() -> (Self, Stopping) {
        let (tell, hear) = watch::channel(false);
        (Self(tell), Stopping(hear))
    }

    /// From now on everybody is.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether it has been told.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is told, or nobody is left to tell.
    pub async fn stopped(&mut self) {
        let _gone = self.0.wait_for(|stopping| *stopping).await;
    }
}
