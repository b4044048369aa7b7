//! The way into the queue: messages and events of one feed, each to its target.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{Closed, Queue};
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

    /// Queues a message, waiting for room if need be; how long that took is what the reader of the output cost.
    ///
    /// # Errors
    /// When the output is gone.
    pub async fn message(
        &self,
        origin: &Arc<Origin>,
        n: u64,
        recv: SystemTime,
        line: Line,
        stalling: impl FnOnce(),
    ) -> Result<Duration, Closed> {
        let record = Record { recv, origin: origin.clone(), n, body: Body::Message(line) };
        let Some(record) = self.queue.offer(self.messages, record)? else { return Ok(Duration::ZERO) };
        stalling();
        let begun = Instant::now();
        self.queue.push(self.messages, record).await?;
        Ok(begun.elapsed())
    }

    /// Queues an event behind the messages that revealed it.
    pub async fn event(&self, origin: &Arc<Origin>, recv: SystemTime, event: Event) {
        let Some(target) = self.events else { return };
        let n = origin.account.totals().received;
        let record = Record { recv, origin: origin.clone(), n, body: Body::Event(Box::new(event)) };
        // An output that is gone is told of by the writer; there is nobody left to read this.
        let _ = self.queue.push(target, record).await;
    }
}
