//! Writes what has gathered: lines of ordinary length are put together into one write, long ones go out from where they
//! lie. At 400 bytes copying into one buffer beats writing pieces; at megabytes it is the other way round.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
};

use super::{Entry, Orders, Queue, Target};
use crate::record::{Body, Form, Pen, Record};

/// When this much has been put together it is written: large enough that system calls cost nothing (2,700 tickers a
/// call), small enough to stay in the cache of a core.
const TOGETHER: usize = 1024 * 1024;

/// A line longer than this is written from where it lies.
const LONG: usize = 64 * 1024;

/// Puts records on their targets.
#[derive(Debug)]
pub struct Writer {
    targets: Vec<Outlet>,
    pen: Pen,
    /// Put together and not yet written.
    composed: Vec<Record>,
    lines_left: Option<u64>,
    /// The targets whose lines count.
    counted: Vec<usize>,
    sync_each_write: bool,
    pulse: Arc<Pulse>,
}

#[derive(Debug)]
struct Outlet {
    target: Target,
    together: Vec<u8>,
    dirty: bool,
}

/// How the writer came to a good end.
#[derive(Debug, PartialEq, Eq)]
pub enum Finished {
    /// The queue was closed, and all of it is written.
    Drained,
    /// As many lines are written as were asked for.
    Lines,
}

/// Writing failed.
#[derive(Debug)]
pub struct WriteError {
    /// Where to.
    pub target: String,
    /// The system's reason.
    pub error: io::Error,
}

/// Where the writer is, for those who watch it.
#[derive(Debug, Default)]
pub struct Pulse {
    state: AtomicU8,
    batches: AtomicU64,
}

const IDLE: u8 = 0;
const WORKING: u8 = 1;
const IN_SINK: u8 = 2;

impl Pulse {
    /// Batches written, a number that moves as long as there is work and the writer does it.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.batches.load(Relaxed)
    }

    /// Waiting for records.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.state.load(Relaxed) == IDLE
    }

    /// Inside the system's write or sync: if for long, the reader of the output stalls, not we.
    #[must_use]
    pub fn is_in_sink(&self) -> bool {
        self.state.load(Relaxed) == IN_SINK
    }

    fn is(&self, state: u8) {
        self.state.store(state, Relaxed);
    }
}

impl Writer {
    /// A writer onto `targets`, which records name by their index.
    #[must_use]
    pub fn new(targets: Vec<Target>, form: Form) -> Self {
        let outlet = |target| Outlet { target, together: Vec::new(), dirty: false };
        Self {
            targets: targets.into_iter().map(outlet).collect(),
            pen: Pen::new(form),
            composed: Vec::new(),
            lines_left: None,
            counted: Vec::new(),
            sync_each_write: false,
            pulse: Arc::default(),
        }
    }

    /// Stops after this many lines of the targets that are `counted`: those that messages go to.
    #[must_use]
    pub fn lines(mut self, most: Option<u64>, counted: impl Iterator<Item = usize>) -> Self {
        self.lines_left = most;
        self.counted = counted.collect();
        self
    }

    /// Syncs after each write rather than when ordered.
    #[must_use]
    pub fn sync_each_write(mut self, always: bool) -> Self {
        self.sync_each_write = always;
        self
    }

    /// For those who watch.
    #[must_use]
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Writes a batch, giving its room back to `queue` and counting its messages as they are written, and does what is
    /// ordered. What it does not write, since it failed or has written enough, the queue counts when it is abandoned.
    ///
    /// # Errors
    /// When a target fails: nothing more can be written.
    pub fn write(
        &mut self,
        (batch, orders): (VecDeque<Entry>, Orders),
        queue: &Queue,
    ) -> Result<Option<Finished>, WriteError> {
        self.pulse.is(WORKING);
        let mut batch = batch.into_iter();
        while self.lines_left != Some(0)
            && let Some(Entry { target, record, .. }) = batch.next()
        {
            self.put(target, record, queue)?;
            if self.counted.contains(&target) {
                self.lines_left = self.lines_left.map(|left| left - 1);
            }
        }
        self.flush(queue)?;
        if orders.sync || self.sync_each_write {
            self.sync()?;
        }
        if orders.reopen {
            self.reopen()?;
        }
        self.pulse.batches.fetch_add(1, Relaxed);
        self.pulse.is(IDLE);
        if self.lines_left == Some(0) { self.finish().map(|_| Some(Finished::Lines)) } else { Ok(None) }
    }

    /// Syncs what is written.
    ///
    /// # Errors
    /// When a target fails.
    pub fn finish(&mut self) -> Result<Finished, WriteError> {
        self.sync()?;
        Ok(Finished::Drained)
    }

    fn put(&mut self, index: usize, record: Record, queue: &Queue) -> Result<(), WriteError> {
        if matches!(record.body, Body::Event(_)) {
            // An event tells what was written before it.
            self.flush(queue)?;
        }
        let Outlet { target, together, dirty } = &mut self.targets[index];
        *dirty = true;
        match &record.body {
            Body::Event(event) => self.pen.event(&record, event, together),
            Body::Message(line) | Body::Recovered(line) if line.as_bytes().len() <= LONG => {
                self.pen.head(&record, together);
                together.extend_from_slice(line.as_bytes());
                self.pen.tail(together);
            }
            Body::Message(line) | Body::Recovered(line) => {
                self.pen.head(&record, together);
                write_all(target, together, &self.pulse)?;
                write_all_of(target, line.as_bytes(), &self.pulse)?;
                self.pen.tail(together);
            }
        }
        let full = together.len() >= TOGETHER;
        self.composed.push(record);
        if full { self.flush(queue) } else { Ok(()) }
    }

    /// Only what the system took counts as written.
    fn flush(&mut self, queue: &Queue) -> Result<(), WriteError> {
        for outlet in &mut self.targets {
            write_all(&mut outlet.target, &mut outlet.together, &self.pulse)?;
        }
        let is_message = |record: &&Record| matches!(record.body, Body::Message(_));
        let cost = self.composed.iter().map(Record::cost).sum();
        if queue.written(cost, self.composed.iter().filter(is_message).count() as u64) {
            self.composed.iter().filter(is_message).for_each(|record| record.origin.write());
        }
        self.composed.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        for outlet in self.targets.iter_mut().filter(|outlet| outlet.dirty) {
            self.pulse.is(IN_SINK);
            outlet.target.sink.sync().map_err(|error| WriteError::new(&outlet.target, error))?;
            self.pulse.is(WORKING);
            outlet.dirty = false;
        }
        Ok(())
    }

    /// A file that can not be opened anew is written on where it is: nothing is lost, and the log says so.
    fn reopen(&mut self) -> Result<(), WriteError> {
        self.sync()?;
        for outlet in &mut self.targets {
            if let Err(error) = outlet.target.sink.reopen() {
                tracing::error!("{error}; records go on into the file that is open");
            }
        }
        Ok(())
    }
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

fn write_all(target: &mut Target, bytes: &mut Vec<u8>, pulse: &Pulse) -> Result<(), WriteError> {
    write_all_of(target, bytes, pulse)?;
    bytes.clear();
    Ok(())
}

/// After a short write the rest follows at once: a line is not left torn while the disk still takes bytes.
fn write_all_of(target: &mut Target, bytes: &[u8], pulse: &Pulse) -> Result<(), WriteError> {
    if bytes.is_empty() {
        return Ok(());
    }
    pulse.is(IN_SINK);
    let result = target.sink.write_all(bytes);
    pulse.is(WORKING);
    result.map_err(|error| WriteError::new(target, error))
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can not write to {}: {}", self.target, self.error)?;
        match self.error.kind() {
            io::ErrorKind::StorageFull => f.write_str("; make room and start again; the last line may be torn"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for WriteError {}
