//! Who waits for room waits in turn.

use super::{Entry, Queue, Waiting};
use crate::account::Loss;

/// A place among those who wait, given up by whoever waits no more. Messages that are given up with it are counted as lost.
pub(super) struct Ticket<'a> {
    queue: &'a Queue,
    pub(super) number: u64,
}

impl<'a> Ticket<'a> {
    pub(super) fn draw(queue: &'a Queue, entry: &Entry) -> Self {
        let mut state = queue.state();
        state.tickets += 1;
        let number = state.tickets;
        let (origin, messages) = (entry.record.origin.clone(), entry.messages());
        state.waiting.push_back(Waiting { ticket: number, origin, messages });
        Self { queue, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let place = state.waiting.iter().position(|waiting| waiting.ticket == self.number);
        if let Some(Waiting { origin, messages, .. }) = place.and_then(|place| state.waiting.remove(place)) {
            origin.lose(messages, Loss::Closed);
        }
        drop(state);
        self.queue.room.notify_waiters();
    }
}
