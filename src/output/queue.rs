//! Between network and output: our own deque, bounded in bytes, since a bound in lines is none (4,096 messages of 8 MiB
//! are 32 GiB) and since it must one day drop its oldest.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::record::Record;

/// A bounded queue of records with one writer behind it.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    limit: u64,
    work: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the number of the target that it is for.
    records: VecDeque<(usize, Record)>,
    /// What all that is not yet written costs: queued, or taken by the writer.
    cost: u64,
    /// The tickets of those who wait for room, in their order: or a snapshot of megabytes would wait for as long as small
    /// messages of other connections fill each gap.
    waiting: VecDeque<u64>,
    tickets: u64,
    orders: Orders,
    closed: bool,
    abandoned: bool,
}

/// What the writer is to do beside writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Sync what has been written since the last time.
    pub sync: bool,
    /// Open files anew, by their names.
    pub reopen: bool,
}

/// The writer is gone, or was told to finish: nothing more is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

impl Queue {
    /// An empty queue for `limit` bytes; one record larger than that is let in alone.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { state: Mutex::default(), limit, work: Notify::new(), room: Notify::new() }
    }

    /// Puts a record in if there is room, and gives it back if there is not.
    ///
    /// # Errors
    /// When the queue is closed.
    pub fn offer(&self, target: usize, record: Record) -> Result<Option<Record>, Closed> {
        let mut state = self.state();
        if state.closed || state.abandoned {
            return Err(Closed);
        }
        if !state.waiting.is_empty() || !state.has_room(&record, self.limit) {
            return Ok(Some(record));
        }
        state.put(target, record);
        drop(state);
        self.work.notify_one();
        Ok(None)
    }

    /// Puts a record in, after waiting for room if need be, in turn.
    ///
    /// # Errors
    /// When the queue is closed.
    pub async fn push(&self, target: usize, record: Record) -> Result<(), Closed> {
        let ticket = Ticket::draw(self);
        loop {
            // Made before the look, so that room which comes in between is not missed.
            let room = self.room.notified();
            {
                let mut state = self.state();
                if state.closed || state.abandoned {
                    return Err(Closed);
                }
                if state.waiting.front() == Some(&ticket.number) && state.has_room(&record, self.limit) {
                    state.put(target, record);
                    break;
                }
            }
            room.await;
        }
        self.work.notify_one();
        Ok(())
    }

    /// All that has gathered, as soon as there is something; None once closed and empty.
    pub async fn take(&self) -> Option<(VecDeque<(usize, Record)>, Orders)> {
        loop {
            {
                let mut state = self.state();
                if !state.records.is_empty() || state.orders != Orders::default() {
                    return Some((std::mem::take(&mut state.records), std::mem::take(&mut state.orders)));
                }
                if state.closed {
                    return None;
                }
            }
            self.work.notified().await;
        }
    }

    /// Gives back the room of records that have been written.
    pub fn written(&self, cost: u64) {
        let mut state = self.state();
        state.cost = state.cost.saturating_sub(cost);
        drop(state);
        self.room.notify_waiters();
    }

    /// Has the writer do something beside writing.
    pub fn order(&self, orders: Orders) {
        let mut state = self.state();
        state.orders.sync |= orders.sync;
        state.orders.reopen |= orders.reopen;
        drop(state);
        self.work.notify_one();
    }

    /// Takes nothing more; what is there will be written.
    pub fn close(&self) {
        self.state().closed = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// The writer's own word that it is gone.
    pub fn abandon(&self) {
        self.state().abandoned = true;
        self.room.notify_waiters();
    }

    /// How many records wait, and what all that is not yet written costs, in bytes.
    #[must_use]
    pub fn depth(&self) -> (usize, u64) {
        let state = self.state();
        (state.records.len(), state.cost)
    }

    /// Nothing is done under this lock that can panic half-way, so a poisoned one is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, record: &Record, limit: u64) -> bool {
        self.cost == 0 || self.cost + record.cost() <= limit
    }

    fn put(&mut self, target: usize, record: Record) {
        self.cost += record.cost();
        self.records.push_back((target, record));
    }
}

/// A place among those who wait, given up by whoever waits no more.
struct Ticket<'a> {
    queue: &'a Queue,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn draw(queue: &'a Queue) -> Self {
        let mut state = queue.state();
        state.tickets += 1;
        let number = state.tickets;
        state.waiting.push_back(number);
        Self { queue, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.queue.state().waiting.retain(|number| *number != self.number);
        self.queue.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::UNIX_EPOCH};

    use futures::FutureExt;

    use super::*;
    use crate::{
        account::Account,
        record::{Body, Line, Origin},
    };

    fn record(length: usize) -> Record {
        let origin = Origin {
            feed: "t".into(),
            run: 1,
            count: 1,
            account: Account::default(),
            feed_account: Arc::default(),
            run_account: Arc::default(),
        };
        let line = Line::from_text(format!("[{}]", "1".repeat(length)).into());
        Record { recv: UNIX_EPOCH, origin: Arc::new(origin), n: 0, body: Body::Message(line) }
    }

    #[test]
    fn is_bounded_in_bytes_and_lets_one_larger_message_in_alone() {
        let queue = Queue::new(1000);
        assert!(matches!(queue.offer(0, record(5000)), Ok(None)), "alone");
        assert!(matches!(queue.offer(0, record(1)), Ok(Some(_))), "full");
        let (batch, _) = queue.take().now_or_never().flatten().expect("a batch");
        assert!(matches!(queue.offer(0, record(1)), Ok(Some(_))), "what the writer holds still counts");
        queue.written(batch.iter().map(|(_, record)| record.cost()).sum());
        assert!(matches!(queue.offer(0, record(1)), Ok(None)));
    }

    #[test]
    fn a_pusher_waits_for_room_and_is_told_of_the_end() {
        let queue = Queue::new(1000);
        assert!(queue.push(0, record(900)).now_or_never().is_some());
        let mut waiting = Box::pin(queue.push(0, record(900)));
        assert!(waiting.as_mut().now_or_never().is_none());
        queue.written(2000);
        assert_eq!(waiting.as_mut().now_or_never(), Some(Ok(())));
        queue.close();
        assert_eq!(queue.push(0, record(1)).now_or_never(), Some(Err(Closed)));
        assert_eq!(queue.take().now_or_never().flatten().expect("what was there").0.len(), 2);
        assert!(queue.take().now_or_never().expect("at once").is_none());
    }

    #[test]
    fn a_large_message_is_not_overtaken_for_ever() {
        let queue = Queue::new(10_000);
        assert!(matches!(queue.offer(0, record(5_000)), Ok(None)));
        let mut large = Box::pin(queue.push(0, record(8_000)));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(matches!(queue.offer(0, record(1)), Ok(Some(_))), "there is room, but somebody waits");
        let mut small = Box::pin(queue.push(0, record(1)));
        assert!(small.as_mut().now_or_never().is_none());
        queue.written(6_000);
        assert_eq!(large.as_mut().now_or_never(), Some(Ok(())));
        assert_eq!(small.as_mut().now_or_never(), Some(Ok(())));
        drop(queue.push(0, record(9_000)));
        assert!(matches!(queue.offer(0, record(1)), Ok(None)), "whoever gave up waiting blocks nobody");
    }
}
