//! The way into the queue: messages and events of one feed, each to its target.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::time::Instant;

use super::{Batch, Closed, Entry, Queue};
use crate::record::{Body, Event, Line, Origin, Record};

/// Records what one feed brings.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: Arc<Queue>,
    messages: usize,
    events: Option<usize>,
}

impl Recorder {
    /// Messages go to one target, events to another, or the same, or to the log alone.
    #[must_use]
    pub fn new(queue: Arc<Queue>, messages: usize, events: Option<usize>) -> Self {
        Self { queue, messages, events }
    }

    /// Whether events are recorded, and not told in the log alone.
    #[must_use]
    pub fn records_events(&self) -> bool {
        self.events.is_some()
    }

    /// For messages of one connection that come together.
    #[must_use]
    pub fn batch(&self, origin: Arc<Origin>) -> Batch<'_> {
        Batch::new(&self.queue, self.messages, self.events, origin)
    }

    /// Queues an event behind the messages that revealed it, before the message numbered `n`, waiting for room if need be, which
    /// `stalling` is told of; how long that took is what the reader of the output cost.
    ///
    /// # Errors
    /// When the output is gone.
    pub async fn event(
        &self,
        origin: &Arc<Origin>,
        n: u64,
        recv: SystemTime,
        event: Event,
        stalling: impl FnOnce(),
    ) -> Result<Duration, Closed> {
        origin.annals.note(&event);
        let Some(target) = self.events else {
            // Whatever else is said of it is for people, and the like of it is said once: this is the record.
            let (event, data) = (event.name(), Value::Object(event.data(&origin.account)));
            tracing::info!(feed = %origin.feed, conn = %origin, %event, n, %data, "for the record");
            return Ok(Duration::ZERO);
        };
        let record = Record { n, ..aside(origin, recv, Body::Event(Box::new(event))) };
        let stalled = self.put(target, record, stalling).await;
        self.queue.wake();
        stalled
    }

    /// Queues an event if there is room, and waits for none: whether it is queued, or belongs to the log alone.
    pub fn event_at_once(&self, origin: &Arc<Origin>, recv: SystemTime, event: Event) -> bool {
        origin.annals.note(&event);
        let Some(target) = self.events else { return true };
        let record = aside(origin, recv, Body::Event(Box::new(event)));
        let queued = self.queue.offer(Entry { target, losses: self.events, record });
        self.queue.wake();
        matches!(queued, Ok(None))
    }

    /// Queues what did not come over the connection and was asked for by REST, among the messages; otherwise as an event.
    ///
    /// # Errors
    /// When the output is gone.
    pub async fn recovered(&self, origin: &Arc<Origin>, recv: SystemTime, line: Line) -> Result<(), Closed> {
        self.put(self.messages, aside(origin, recv, Body::Recovered(line)), || ()).await?;
        self.queue.wake();
        Ok(())
    }

    /// Queues what had to wait, once there is room; how long that took is what the reader of the output cost.
    ///
    /// # Errors
    /// When the output is gone; messages have been counted as lost.
    pub async fn wait(&self, entry: Entry) -> Result<Duration, Closed> {
        let begun = Instant::now();
        self.queue.push(entry).await?;
        Ok(begun.elapsed())
    }

    async fn put(&self, target: usize, record: Record, stalling: impl FnOnce()) -> Result<Duration, Closed> {
        match self.queue.offer(Entry { target, losses: self.events, record })? {
            None => Ok(Duration::ZERO),
            Some(entry) => {
                stalling();
                self.wait(entry).await
            }
        }
    }
}

/// What is no message of the connection, with the number of the next one.
fn aside(origin: &Arc<Origin>, recv: SystemTime, body: Body) -> Record {
    Record { recv, origin: origin.clone(), n: origin.account.totals().received, body }
}
