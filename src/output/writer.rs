//! Writes what has gathered: lines of ordinary length are put together into one write, long ones go out from where they
//! lie. At 400 bytes copying into one buffer beats writing pieces; at megabytes it is the other way round.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use super::{
    Entry, Keeper, Orders, Pulse, Queue, Spool, Target, WriteError,
    composed::Composed,
    outage::{persist, write_all, write_all_of},
    pulse::{IDLE, IN_SINK, WORKING},
    spool::Closed,
};
use crate::{
    account::Loss,
    record::{Body, Event, Form, Origin, Pen, Record},
    segment::{Seal, State},
};

/// When this much has been put together it is written: large enough that system calls cost nothing (2,700 tickers a
/// call), small enough to stay in the cache of a core.
const TOGETHER: usize = 1024 * 1024;

/// A line longer than this is written from where it lies.
const LONG: usize = 64 * 1024;

/// More than any record has before and behind its message: columns of bounded length, a feed's name of 64 bytes at most.
const AROUND: u64 = 256;

/// Puts records on their targets.
#[derive(Debug)]
pub struct Writer {
    targets: Vec<Outlet>,
    pen: Pen,
    composed: Composed,
    lines_left: Option<u64>,
    /// The targets whose lines count.
    counted: Vec<usize>,
    sync_each_write: bool,
    /// The latest time that is known here: of a record, or of an order.
    now: SystemTime,
    pulse: Arc<Pulse>,
    keeper: Option<Keeper>,
}

#[derive(Debug)]
struct Outlet {
    target: Target,
    together: Vec<u8>,
    voice: Option<Voice>,
}

/// Whose word it is where a file is told of, and the number of the target that it goes to, if any.
#[derive(Clone, Debug)]
pub struct Voice {
    /// A feed that writes there, on no connection.
    pub origin: Arc<Origin>,
    /// Where its events go.
    pub events: Option<usize>,
}

/// How the writer came to a good end.
#[derive(Debug, PartialEq, Eq)]
pub enum Finished {
    /// The queue was closed, and all of it is written.
    Drained,
    /// As many lines are written as were asked for.
    Lines,
}

impl Writer {
    /// A writer onto `targets`, which records name by their index.
    #[must_use]
    pub fn new(targets: Vec<Target>, form: Form) -> Self {
        let outlet = |target| Outlet { target, together: Vec::new(), voice: None };
        Self {
            targets: targets.into_iter().map(outlet).collect(),
            pen: Pen::new(form),
            composed: Composed::default(),
            lines_left: None,
            counted: Vec::new(),
            sync_each_write: false,
            now: SystemTime::UNIX_EPOCH,
            pulse: Arc::default(),
            keeper: None,
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

    /// Has what happens to files told in the name of feeds: for each target, in their order.
    #[must_use]
    pub fn voices(mut self, voices: impl IntoIterator<Item = Option<Voice>>) -> Self {
        for (outlet, voice) in self.targets.iter_mut().zip(voices) {
            outlet.voice = voice;
        }
        self
    }

    /// Has somebody look after what was sealed.
    #[must_use]
    pub fn kept_by(mut self, keeper: Option<Keeper>) -> Self {
        self.keeper = keeper;
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
    /// When a target fails for good, or nobody waits any longer for one to take anything: nothing more can be written.
    pub fn write(
        &mut self,
        (batch, orders): (VecDeque<Entry>, Orders),
        queue: &Queue,
    ) -> Result<Option<Finished>, WriteError> {
        self.pulse.is(WORKING);
        let mut batch = batch.into_iter();
        while self.lines_left != Some(0)
            && let Some(entry) = batch.next()
        {
            self.put(entry, queue)?;
        }
        self.flush(queue)?;
        self.obey(orders, queue)?;
        self.pulse.turned();
        self.pulse.is(IDLE);
        if self.lines_left == Some(0) { self.finish(queue).map(|_| Some(Finished::Lines)) } else { Ok(None) }
    }

    /// Syncs what is written, and seals what is to be rotated.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(&mut self, queue: &Queue) -> Result<Finished, WriteError> {
        self.sync(queue)?;
        for index in 0..self.targets.len() {
            if self.spool(index).is_some_and(|spool| spool.rotates()) {
                self.seal(index, false, queue)?;
            }
        }
        self.flush(queue)?;
        for Outlet { target, .. } in &mut self.targets {
            if let Some(Err(error)) = target.sink.spool().map(Spool::end) {
                tracing::warn!(
                    "{} ends without a word of it beside it, and the next start scans it: {error}",
                    target.name
                );
            }
        }
        Ok(Finished::Drained)
    }

    /// Puts what came together as it is, or line for line where these are counted or the segment ends among them.
    fn put(&mut self, mut entry: Entry, queue: &Queue) -> Result<(), WriteError> {
        while self.is_due(&entry) || self.has_enough_with(&entry) {
            let Some(first) = entry.split_first() else { break };
            self.put_whole(first, queue)?;
            if self.lines_left == Some(0) {
                return Ok(());
            }
        }
        self.put_whole(entry, queue)
    }

    /// Whether fewer lines are asked for than this has.
    fn has_enough_with(&self, entry: &Entry) -> bool {
        self.counted.contains(&entry.target) && self.lines_left.is_some_and(|left| left < entry.messages())
    }

    fn is_due(&mut self, entry: &Entry) -> bool {
        let more = self.targets[entry.target].together.len() as u64 + length(&entry.record);
        self.spool(entry.target).is_some_and(|spool| spool.is_due(entry.record.recv, more))
    }

    fn put_whole(&mut self, entry: Entry, queue: &Queue) -> Result<(), WriteError> {
        self.now = entry.record.recv;
        if self.is_due(&entry) {
            self.seal(entry.target, true, queue)?;
        }
        if self.counted.contains(&entry.target) {
            self.lines_left = self.lines_left.map(|left| left.saturating_sub(entry.messages().max(1)));
        }
        let Entry { target: index, record, .. } = entry;
        if matches!(record.body, Body::Event(_)) {
            // An event tells what was written before it.
            self.flush(queue)?;
        }
        let Outlet { target, together, .. } = &mut self.targets[index];
        if let Some(spool) = target.sink.spool() {
            spool.count(&record);
        }
        match &record.body {
            Body::Event(event) => self.pen.event(&record, event, together),
            Body::Messages(run) => match run.lone() {
                Some(line) if line.as_bytes().len() > LONG => {
                    self.pen.head(&record, record.n, together);
                    write_all(target, together, &self.pulse, queue)?;
                    write_all_of(target, line.as_bytes(), &self.pulse, queue)?;
                    self.pen.tail(together);
                }
                None if run.text().len() > LONG && self.pen.is_raw() => {
                    write_all(target, together, &self.pulse, queue)?;
                    write_all_of(target, run.text(), &self.pulse, queue)?;
                }
                _ => self.pen.messages(&record, run, together),
            },
            Body::Recovered(line) => {
                self.pen.head(&record, record.n, together);
                together.extend_from_slice(line.as_bytes());
                self.pen.tail(together);
            }
        }
        let full = together.len() >= TOGETHER;
        self.composed.put(record);
        if full { self.flush(queue) } else { Ok(()) }
    }

    /// Only what the system took counts as written.
    fn flush(&mut self, queue: &Queue) -> Result<(), WriteError> {
        for outlet in &mut self.targets {
            write_all(&mut outlet.target, &mut outlet.together, &self.pulse, queue)?;
        }
        self.composed.is_written(queue);
        Ok(())
    }

    fn obey(&mut self, orders: Orders, queue: &Queue) -> Result<(), WriteError> {
        let Orders { sync, reopen, rotate, now } = orders;
        self.now = now.unwrap_or(self.now);
        if sync || self.sync_each_write {
            self.sync(queue)?;
        }
        for index in 0..self.targets.len() {
            let Some(spool) = self.spool(index) else { continue };
            if let Some((messages, bytes)) = spool.was_removed() {
                self.tell_of_a_removal(index, messages, bytes);
            } else if rotate || now.is_some_and(|now| spool.is_due(now, 0)) {
                self.seal(index, true, queue)?;
            }
        }
        if reopen {
            self.reopen();
        }
        self.flush(queue)
    }

    /// Ends a segment: what is put together for it is written, its last line says what it holds, and it gets its name.
    fn seal(&mut self, index: usize, goes_on: bool, queue: &Queue) -> Result<(), WriteError> {
        self.flush(queue)?;
        let now = self.now;
        let Outlet { target, .. } = &mut self.targets[index];
        if target.sink.spool().is_none_or(|spool| spool.is_empty()) {
            return Ok(());
        }
        let sealed = persist(target, &self.pulse, queue, |target| match target.sink.spool() {
            Some(spool) => spool.seal(now).map(Option::<&Seal>::cloned),
            None => Ok(None),
        })?;
        let is_doubted = sealed.as_ref().is_some_and(|seal| seal.state == State::Uncertain);
        let inline = self.targets[index].voice.as_ref().is_some_and(|voice| voice.events == Some(index));
        let told = sealed.filter(|seal| inline && seal.state == State::Sealed);
        if let Some(seal) = &told {
            self.tell(index, sealed_event(seal));
            self.flush(queue)?;
        }
        let closed = persist(&mut self.targets[index].target, &self.pulse, queue, |target| {
            target.sink.spool().map_or(Ok(None), |spool| spool.close(goes_on))
        })?;
        let name = &self.targets[index].target.name;
        let Some(Closed { seal, doubt }) = closed else {
            tracing::warn!("{name} was moved or removed while it grew: what was in it gets no seal");
            return Ok(());
        };
        self.pulse.seals(seal.state);
        if seal.state == State::Uncertain && !is_doubted {
            self.pulse.sync_failed();
        }
        let (segment, messages, bytes) = (&seal.segment, seal.messages, seal.bytes);
        match seal.state {
            State::Uncertain => tracing::error!(
                event = %"sealed",
                "{name} could not be synced, {}: {segment}, {messages} messages, may be less on the disk than it says; it is sealed as \
                 uncertain, and records go on in a new file. Look after that disk",
                doubt.unwrap_or_default()
            ),
            State::Sealed | State::Recovered => {
                tracing::info!(event = %"sealed", "{segment}: {messages} messages, {bytes} bytes");
            }
        }
        if told.is_none_or(|told| told.state != seal.state) {
            self.tell(index, sealed_event(&seal));
        }
        if let Some(keeper) = &self.keeper {
            keeper.look();
        }
        Ok(())
    }

    /// Puts an event about a file where such events go, to be written with what comes next.
    fn tell(&mut self, index: usize, event: Event) {
        let Some(Voice { origin, events: Some(events) }) = self.targets[index].voice.clone() else { return };
        let n = origin.account.totals().received;
        let record = Record { recv: self.now, origin, n, body: Body::Event(Box::new(event)) };
        let Outlet { target, together, .. } = &mut self.targets[events];
        if let Some(spool) = target.sink.spool() {
            spool.count(&record);
        }
        if let Body::Event(event) = &record.body {
            self.pen.event(&record, event, together);
        }
    }

    fn tell_of_a_removal(&mut self, index: usize, messages: u64, bytes: u64) {
        tracing::error!(
            event = %"dropped",
            "{} was removed while it grew, or its disk was, and {messages} messages in it went with it; records go on in a new \
             file of that name. To move it away, mv it and send HUP",
            self.targets[index].target.name
        );
        self.pulse.lost_a_file(messages);
        let (from, until) = (self.now, self.now);
        self.tell(index, Event::Dropped { count: messages, bytes, why: Loss::Removed, from, until });
    }

    /// What can not be synced is sealed as it is, and said to be uncertain.
    fn sync(&mut self, queue: &Queue) -> Result<(), WriteError> {
        for index in 0..self.targets.len() {
            self.pulse.is(IN_SINK);
            let synced = self.sync_one(index);
            self.pulse.is(WORKING);
            if let Some(Err(_)) = synced {
                self.pulse.sync_failed();
                self.seal(index, true, queue)?;
            }
        }
        Ok(())
    }

    fn sync_one(&mut self, index: usize) -> Option<std::io::Result<()>> {
        let pulse = self.pulse.clone();
        let spool = self.spool(index)?;
        if !spool.is_behind() {
            return Some(Ok(()));
        }
        let (synced, took) = pulse.waits(|| spool.sync());
        pulse.syncs().note(took);
        Some(synced)
    }

    /// A file that can not be opened anew is written on where it is: nothing is lost, and the log says so.
    fn reopen(&mut self) {
        for Outlet { target, .. } in &mut self.targets {
            match target.sink.spool().map(Spool::reopen) {
                Some(Err(error)) => tracing::error!(
                    "{} can not be opened anew: {error}; records go on into the file that is open",
                    target.name
                ),
                Some(Ok(Some(doubt))) => tracing::error!(
                    "{} is opened anew; what was moved away may not be on the disk, its sync failed: {doubt}; look at `dmesg`",
                    target.name
                ),
                Some(Ok(None)) | None => {}
            }
        }
    }

    fn spool(&mut self, index: usize) -> Option<&mut Spool> {
        self.targets[index].target.sink.spool()
    }
}

/// No less than a record's line will have, in bytes.
fn length(record: &Record) -> u64 {
    match &record.body {
        Body::Messages(run) => AROUND * run.count() + run.text().len() as u64,
        Body::Recovered(line) => AROUND + line.as_bytes().len() as u64,
        Body::Event(_) => AROUND + record.cost(),
    }
}

fn sealed_event(seal: &Seal) -> Event {
    Event::Sealed {
        segment: seal.segment.clone(),
        state: seal.state.name(),
        messages: seal.messages,
        bytes: seal.bytes,
        first: seal.first,
        last: seal.last,
        sha256: seal.sha256.clone(),
    }
}

#[cfg(test)]
mod tests;
