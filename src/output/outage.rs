//! A target that takes nothing: tried again until it does, while what comes is kept, and then let go of, the oldest first.

use std::{fmt, io, time::Duration};

use futures::executor::block_on;
use tokio::time::Instant;

use super::{
    Pulse, Queue, Target,
    pulse::{IN_SINK, WORKING},
};

/// Writing failed.
#[derive(Debug)]
pub struct WriteError {
    /// Where to.
    pub target: String,
    /// The system's reason.
    pub error: io::Error,
}

impl WriteError {
    fn new(target: &Target, error: io::Error) -> Self {
        Self { target: target.name.clone(), error }
    }

    /// Whether the reader of a pipe went away.
    #[must_use]
    pub fn is_reader_gone(&self) -> bool {
        self.error.kind() == io::ErrorKind::BrokenPipe
    }
}

pub(super) fn write_all(
    target: &mut Target,
    bytes: &mut Vec<u8>,
    pulse: &Pulse,
    queue: &Queue,
) -> Result<(), WriteError> {
    write_all_of(target, bytes, pulse, queue)?;
    bytes.clear();
    Ok(())
}

/// After a short write the rest follows, be it an hour later: a line is finished before another begins.
pub(super) fn write_all_of(target: &mut Target, bytes: &[u8], pulse: &Pulse, queue: &Queue) -> Result<(), WriteError> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut rest = bytes;
    let mut append = |target: &mut Target| {
        while !rest.is_empty() {
            match target.sink.append(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    pulse.took(taken);
                    rest = &rest[taken..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let (written, took) = pulse.waits(|| retry(target, pulse, queue, &mut append));
    pulse.writes().note(took);
    written
}

/// Does something to a target, and again each time that the clockwork turns, until it can be done. What comes meanwhile is
/// kept as far as the queue goes, then the oldest messages make room: the feeds live on. It is said once when that begins and once when it
/// is over.
pub(super) fn persist<T>(
    target: &mut Target,
    pulse: &Pulse,
    queue: &Queue,
    act: impl FnMut(&mut Target) -> io::Result<T>,
) -> Result<T, WriteError> {
    pulse.waits(|| retry(target, pulse, queue, act)).0
}

fn retry<T>(
    target: &mut Target,
    pulse: &Pulse,
    queue: &Queue,
    mut act: impl FnMut(&mut Target) -> io::Result<T>,
) -> Result<T, WriteError> {
    let mut outage: Option<Instant> = None;
    loop {
        pulse.is(IN_SINK);
        let turns = queue.turns();
        let result = act(target);
        pulse.is(WORKING);
        let error = match (result, outage) {
            (Ok(done), None) => return Ok(done),
            (Ok(done), Some(since)) => {
                over(target, since, queue.keep());
                pulse.trouble(None);
                return Ok(done);
            }
            (Err(error), _) => error,
        };
        if !target.sink.may_heal(&error) {
            return Err(WriteError::new(target, error));
        }
        if outage.is_none() {
            outage = Some(Instant::now());
            tracing::error!(
                "can not write to {}: {error}; it is tried each second. The feeds live on: what they bring is kept as far as \
                 output.queue goes, then the oldest messages are dropped and counted{}",
                target.name,
                remedy(&error)
            );
            pulse.trouble(Some(format!("can not write to {}: {error}", target.name)));
            queue.shed();
        }
        pulse.is(IN_SINK);
        if !block_on(queue.turn(turns)) {
            return Err(WriteError::new(target, error));
        }
    }
}

fn over(target: &Target, since: Instant, dropped: u64) {
    let lasted = humantime::format_duration(Duration::from_secs(since.elapsed().as_secs().max(1)));
    match dropped {
        0 => tracing::info!("{} takes records again, after {lasted}; nothing was dropped", target.name),
        dropped => tracing::error!(
            event = %"dropped",
            "{} takes records again, after {lasted}; {dropped} messages were dropped meanwhile, and records of that stand in \
             their places",
            target.name
        ),
    }
}

/// What a person can do.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ". Make room, or set output.keep",
        io::ErrorKind::NotFound => ". Make its folder again, or mount the disk",
        io::ErrorKind::ReadOnlyFilesystem => ". Look after that disk: systems make one read-only that fails",
        _ => "",
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can not write to {}: {}{}", self.target, self.error, remedy(&self.error))
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests;
