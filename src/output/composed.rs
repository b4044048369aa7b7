//! What is put together for a write, and what is owed once the system has taken it.

use std::sync::Arc;

use super::Queue;
use crate::record::{Body, Origin, Record, Run};

/// Records that are put together and not yet written.
#[derive(Debug, Default)]
pub(super) struct Composed {
    /// What they cost the queue.
    cost: u64,
    /// Whose the messages are among them, in their order: so many of one connection, then so many of another.
    messages: Vec<(Arc<Origin>, u64)>,
    /// Their memory.
    used: Vec<Run>,
}

impl Composed {
    /// Another one.
    pub fn put(&mut self, record: Record) {
        self.cost += record.cost();
        let Body::Messages(run) = record.body else { return };
        match self.messages.last_mut() {
            Some((origin, count)) if Arc::ptr_eq(origin, &record.origin) => *count += run.count(),
            _ => self.messages.push((record.origin, run.count())),
        }
        self.used.push(run);
    }

    /// All of them are: they are counted, and the queue has its room again.
    pub fn is_written(&mut self, queue: &Queue) {
        let messages = self.messages.iter().map(|(_, count)| count).sum();
        if queue.written(std::mem::take(&mut self.cost), messages, self.used.drain(..)) {
            self.messages.iter().for_each(|(origin, count)| origin.write(*count));
        }
        self.messages.clear();
    }
}
