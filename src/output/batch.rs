//! Messages of one connection that come together: their lines are put into a run, and the run into the queue.

use std::{sync::Arc, time::SystemTime};

use super::{Closed, Entry, Queue};
use crate::{
    account::Loss,
    record::{Body, Line, Origin, Record, Run},
};

/// What has come and is queued with what comes next, at the latest when this ends: the lock, the counters and a place in the
/// queue are looked for once a run. The writer is woken when this ends, or has brought enough for a write.
#[derive(Debug)]
pub struct Batch<'a> {
    queue: &'a Queue,
    target: usize,
    losses: Option<usize>,
    origin: Arc<Origin>,
    /// Beside the queue's limit: a sixteenth of it at the most, where its lines are short enough to be several.
    run: Option<Coming>,
}

/// Messages that are not counted yet.
#[derive(Debug)]
struct Coming {
    recv: SystemTime,
    run: Run,
    /// Off the socket.
    bytes: u64,
}

impl<'a> Batch<'a> {
    /// For messages that go to one target, and records of their loss to another, or the same, or to the log alone.
    pub(super) fn new(queue: &'a Queue, target: usize, losses: Option<usize>, origin: Arc<Origin>) -> Self {
        Self { queue, target, losses, origin, run: None }
    }

    /// Takes a message, of so many bytes off the socket; gives back what came before it where that has to wait for room.
    ///
    /// # Errors
    /// When the output is gone; what came before has been counted as lost, and the message will be.
    #[inline]
    pub fn put(&mut self, recv: SystemTime, bytes: usize, line: &Line) -> Result<Option<Entry>, Closed> {
        if let Some(coming) = &mut self.run
            && coming.recv == recv
            && coming.run.put(line)
        {
            coming.bytes += bytes as u64;
            return Ok(None);
        }
        let before = self.queue();
        self.run = Some(Coming { recv, run: self.queue.begin(line), bytes: bytes as u64 });
        before
    }

    /// Counts and queues what has come, or gives it back where it has to wait for room.
    ///
    /// # Errors
    /// When the output is gone; what has come has been counted as lost.
    pub fn queue(&mut self) -> Result<Option<Entry>, Closed> {
        let Some(Coming { recv, run, bytes }) = self.run.take() else { return Ok(None) };
        self.origin.annals.took(bytes);
        let n = self.origin.receive(run.count());
        let record = Record { recv, origin: self.origin.clone(), n, body: Body::Messages(run) };
        self.queue.offer(Entry { target: self.target, losses: self.losses, record })
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        // Where it was not queued before, nobody is there any more who would wait.
        if let Ok(Some(entry)) = self.queue() {
            self.origin.lose(entry.messages(), Loss::Closed);
        }
        self.queue.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use futures::FutureExt;

    use super::*;
    use crate::config::WhenSlow;

    fn line(text: &str) -> Line {
        Line::from_text(format!("[{text}]").into())
    }

    #[test]
    fn what_came_at_one_time_is_one_entry() {
        let (queue, origin) = (Queue::new(1 << 20, WhenSlow::Block), Arc::new(Origin::lone("t", 1, 1)));
        let mut batch = Batch::new(&queue, 0, None, origin.clone());
        for (second, text) in [(1, "1"), (1, "2"), (1, "3"), (2, "4")] {
            let recv = UNIX_EPOCH + Duration::from_secs(second);
            assert!(matches!(batch.put(recv, 10, &line(text)), Ok(None)));
        }
        assert_eq!((origin.account.totals().received, origin.annals.bytes()), (3, 30), "what is queued is counted");
        drop(batch);
        assert_eq!((origin.account.totals().received, origin.annals.bytes()), (4, 40));
        let (entries, _) = queue.take().now_or_never().flatten().expect("it was woken");
        let shown: Vec<_> = entries.iter().map(|entry| (entry.record.n, entry.messages())).collect();
        assert_eq!(shown, [(0, 3), (3, 1)]);
    }

    #[test]
    fn what_finds_no_room_is_given_back_or_counted() {
        let (queue, origin) = (Queue::new(1000, WhenSlow::Block), Arc::new(Origin::lone("t", 1, 1)));
        let mut batch = Batch::new(&queue, 0, None, origin.clone());
        let long = line(&"1".repeat(800));
        assert!(matches!(batch.put(UNIX_EPOCH, 802, &long), Ok(None)));
        assert!(matches!(batch.put(UNIX_EPOCH, 802, &long), Ok(None)), "the first is queued");
        let before = batch.put(UNIX_EPOCH, 802, &long).expect("open").expect("it has to wait");
        assert_eq!((before.record.n, before.messages()), (1, 1));
        drop(batch);
        let totals = origin.account.totals();
        assert_eq!((totals.received, totals.dropped), (3, 1), "the third, for which nobody waits");
    }
}
