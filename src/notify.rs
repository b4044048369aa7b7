//! What the service manager is told, by the protocol of `sd_notify(3)`. Without one, nobody is told anything.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Manager {
    status: String,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Whoever started this process, as its environment says.
    #[must_use]
    pub fn new() -> Self {
        Self { status: String::new(), watchdog: sd_notify::watchdog_enabled() }
    }

    /// Whether a service manager runs this process; by hand, some things are better ended than waited out.
    #[must_use]
    pub fn is_present() -> bool {
        // INVOCATION_ID is inherited by whatever a unit starts, cron jobs and terminals among them; these are not.
        let ours = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        ours || std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    /// How often it wants to hear [`Manager::alive`], if at all.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Configuration, credentials and output are good.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The configuration is being read again; [`Manager::ready`] ends that. systemd since 253 wants the time with it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The end has begun.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// One line that says how each feed is; said only when it has changed.
    pub fn status(&mut self, line: &str) {
        // A line break would begin a field of its own.
        let line = line.replace(char::is_control, " ");
        if self.status != line {
            tell(&[NotifyState::Status(&line)]);
            self.status = line;
        }
    }

    /// READY is still to come: a start that waits for a venue is no start that hangs.
    pub fn still_starting(&self) {
        const MORE: u32 = 30_000_000;
        tell(&[NotifyState::ExtendTimeoutUsec(MORE)]);
    }

    /// Reader, writer and supervisor make progress.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

impl Default for Manager {
    fn default() -> Self {
        Self::new()
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager can not be told: {error}");
    }
}
