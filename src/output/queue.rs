//! Between network and output: our own deque, bounded in bytes, since a bound in lines is none (4,096 messages of 8 MiB
//! are 32 GiB) and since it can drop its oldest.

mod ticket;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::SystemTime,
};

use tokio::sync::Notify;

use self::ticket::Ticket;
use super::{Entry, backlog::Backlog};
use crate::{
    account::Loss,
    config::WhenSlow,
    record::{Line, Origin, Run, Spare},
};

/// The most that the writer is given at once, of ordinary records: eight of its writes, so that asking for more costs
/// nothing. Of a smaller queue it is given a quarter: what it has in hand can not be dropped, and the other three are
/// room for what is new.
const PORTION: u64 = 8 << 20;

/// What gathers before the writer hears of it, where more is said to come at once: a wake-up costs a hundred times what a
/// ticker does, and a thousand of them are this. It writes beside the reading then, from a cache that still holds most of it.
const GATHERED: u64 = 512 << 10;

/// A bounded queue of records with one writer behind it, which is to be woken when enough was put in for it.
///
/// What is queued and what the writer has in hand never cost more than the limit together, but for one message that is
/// larger than that, and is let in alone. With [`WhenSlow::Block`] whoever brings more waits. With [`WhenSlow::Drop`] the
/// oldest message makes room, and a record of its loss stands in its place, which costs less than any message; events are
/// never dropped. So where only events are left to drop, a new one waits, and a new message is dropped itself, as is one
/// that there would be no room for in any case. The record of that may go over the limit, by some hundred bytes a
/// connection at most.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    limit: u64,
    when_slow: WhenSlow,
    work: Notify,
    room: Notify,
}

#[derive(Debug)]
struct State {
    backlog: Backlog,
    spare: Spare,
    /// What that costs which the writer has taken and not yet written...
    held: u64,
    /// ...and whose the messages are among it, in their order: so many of one connection, then so many of another.
    held_of: VecDeque<(Arc<Origin>, u64)>,
    /// Those who wait for room, in their order: or a snapshot of megabytes would wait for as long as small messages of other
    /// connections fill each gap.
    waiting: VecDeque<Waiting>,
    tickets: u64,
    orders: Orders,
    /// How often something was ordered.
    ordered: u64,
    /// What the disk takes nothing of goes as with [`WhenSlow::Drop`]; how many messages went so far.
    shedding: Option<u64>,
    closed: bool,
    abandoned: bool,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    /// Whose messages they are that wait, and how many; none for an event.
    origin: Arc<Origin>,
    messages: u64,
}

/// What the writer is to do beside writing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Sync what has been written since the last time.
    pub sync: bool,
    /// Open files anew, by their names.
    pub reopen: bool,
    /// End each segment here.
    pub rotate: bool,
    /// What time it is: segments end by the clock where nothing comes, and what failed is tried again.
    pub now: Option<SystemTime>,
}

/// The writer is gone, or was told to finish: nothing more is taken. A message that was brought has been counted as lost.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

impl Queue {
    /// An empty queue for `limit` bytes.
    #[must_use]
    pub fn new(limit: u64, when_slow: WhenSlow) -> Self {
        let state = Mutex::new(State::new(Spare::of_queue(limit)));
        Self { state, limit, when_slow, work: Notify::new(), room: Notify::new() }
    }

    /// A run that begins with this line, in memory that is used again.
    #[must_use]
    pub fn begin(&self, line: &Line) -> Run {
        self.state().spare.begin(line)
    }

    /// Puts a record in if there is room or room can be made, and gives it back if it has to wait. The writer hears of it with
    /// [`Queue::wake`] at the latest.
    ///
    /// # Errors
    /// When the queue is closed.
    pub fn offer(&self, entry: Entry) -> Result<Option<Entry>, Closed> {
        let mut state = self.state();
        if state.is_closed() {
            entry.record.origin.lose(entry.messages(), Loss::Closed);
            return Err(Closed);
        }
        // Where messages are dropped none waits, so that a socket is always read; and an event that waits can drop some.
        let drops = self.drops(&state) && entry.is_message();
        if !state.waiting.is_empty() && !drops {
            return Ok(Some(entry));
        }
        let before = state.backlog.cost();
        if let Some(entry) = self.admit(&mut state, entry) {
            return Ok(Some(entry));
        }
        let enough = state.backlog.cost() / GATHERED > before / GATHERED;
        drop(state);
        if enough {
            self.wake();
            // Where both have but one core, it writes now, and not when all of that is used up and out of the cache.
            thread::yield_now();
        }
        Ok(None)
    }

    /// For now that is all: the writer is to write what there is.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Puts a record in, after waiting for room if need be, in turn.
    ///
    /// # Errors
    /// When the queue is closed.
    pub async fn push(&self, mut entry: Entry) -> Result<(), Closed> {
        let ticket = Ticket::draw(self, &entry);
        self.wake();
        loop {
            // Made before the look, so that room which comes in between is not missed.
            let room = self.room.notified();
            {
                let mut state = self.state();
                if state.is_closed() {
                    return Err(Closed);
                }
                if state.waiting.front().is_some_and(|first| first.ticket == ticket.number) {
                    match self.admit(&mut state, entry) {
                        None => {
                            state.waiting.pop_front();
                            break;
                        }
                        Some(back) => entry = back,
                    }
                }
            }
            room.await;
        }
        self.wake();
        Ok(())
    }

    /// A portion of what has gathered, as soon as there is something; None once closed and empty.
    pub async fn take(&self) -> Option<(VecDeque<Entry>, Orders)> {
        loop {
            {
                let mut state = self.state();
                if state.abandoned {
                    return None;
                }
                if !state.backlog.is_empty() || state.orders != Orders::default() {
                    let portion = state.backlog.take(PORTION.min(self.limit / 4));
                    state.hold(&portion);
                    return Some((portion, std::mem::take(&mut state.orders)));
                }
                if state.closed {
                    return None;
                }
            }
            self.work.notified().await;
        }
    }

    /// Gives back the room of the records that have been written, the first ones taken, with so many messages among them, and
    /// the memory that is not needed any more; false where these have been counted as lost, since nobody waited for them any
    /// longer.
    pub fn written(&self, cost: u64, messages: u64, used: impl Iterator<Item = Run>) -> bool {
        let mut state = self.state();
        if state.abandoned {
            return false;
        }
        state.let_go(cost, messages);
        used.for_each(|run| state.spare.give(run));
        drop(state);
        self.room.notify_waiters();
        true
    }

    /// Has the writer do something beside writing.
    pub fn order(&self, orders: Orders) {
        let mut state = self.state();
        state.orders.sync |= orders.sync;
        state.orders.reopen |= orders.reopen;
        state.orders.rotate |= orders.rotate;
        state.orders.now = orders.now.or(state.orders.now);
        state.ordered += 1;
        drop(state);
        self.wake();
    }

    /// How often something has been ordered.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.state().ordered
    }

    /// Waits until more has been ordered than so often, and leaves it for [`Queue::take`]; false once nobody waits for what is
    /// written.
    pub async fn turn(&self, seen: u64) -> bool {
        loop {
            {
                let state = self.state();
                if state.abandoned {
                    return false;
                }
                if state.ordered != seen {
                    return true;
                }
            }
            self.work.notified().await;
        }
    }

    /// The disk takes nothing: from now on the oldest messages make room, whatever a slow reader would cost.
    pub fn shed(&self) {
        self.state().shedding.get_or_insert(0);
        self.room.notify_waiters();
    }

    /// The disk takes all again; how many messages went.
    pub fn keep(&self) -> u64 {
        self.state().shedding.take().unwrap_or(0)
    }

    /// Takes nothing more; what is there will be written.
    pub fn close(&self) {
        self.state().closed = true;
        self.wake();
        self.room.notify_waiters();
    }

    /// Nothing more is written: the writer is gone, or nobody waits for it any longer. Each message that is queued, that waits
    /// to be, or that the writer has in hand is counted as lost, once. Of what was in hand some may be in the output all the
    /// same.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.lose_all();
        drop(state);
        self.wake();
        self.room.notify_waiters();
    }

    /// How many records wait, and what all that is not yet written costs, in bytes.
    #[must_use]
    pub fn depth(&self) -> (usize, u64) {
        let state = self.state();
        (state.backlog.len(), state.cost())
    }

    /// Puts an entry in, or gives it back if it has to wait.
    fn admit(&self, state: &mut State, entry: Entry) -> Option<Entry> {
        let cost = entry.record.cost();
        let fits = |state: &State| state.cost() == 0 || state.cost() + cost <= self.limit;
        let drops = self.drops(state);
        let why = if state.shedding.is_some() { Loss::Disk } else { Loss::Slow };
        let before = state.backlog.lost();
        if drops && state.held + state.backlog.lasting() + cost <= self.limit {
            while !fits(state) && state.backlog.drop_oldest(why) {}
        }
        let back = if fits(state) {
            state.backlog.put(entry);
            None
        } else if drops && entry.is_message() {
            state.backlog.refuse(entry, self.limit.saturating_sub(state.held), why);
            None
        } else {
            Some(entry)
        };
        let lost = state.backlog.lost() - before;
        if let Some(shed) = &mut state.shedding {
            *shed += lost;
        }
        back
    }

    fn drops(&self, state: &State) -> bool {
        self.when_slow == WhenSlow::Drop || state.shedding.is_some()
    }

    /// Nothing is done under this lock that can panic half-way, so a poisoned one is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(spare: Spare) -> Self {
        Self {
            backlog: Backlog::default(),
            spare,
            held: 0,
            held_of: VecDeque::new(),
            waiting: VecDeque::new(),
            tickets: 0,
            orders: Orders::default(),
            ordered: 0,
            shedding: None,
            closed: false,
            abandoned: false,
        }
    }

    fn is_closed(&self) -> bool {
        self.closed || self.abandoned
    }

    fn cost(&self) -> u64 {
        self.held + self.backlog.cost()
    }

    fn hold(&mut self, portion: &VecDeque<Entry>) {
        for entry in portion {
            self.held += entry.record.cost();
            let messages = entry.messages();
            match self.held_of.back_mut() {
                Some((origin, count)) if Arc::ptr_eq(origin, &entry.record.origin) => *count += messages,
                _ if messages == 0 => {}
                _ => self.held_of.push_back((entry.record.origin.clone(), messages)),
            }
        }
    }

    fn let_go(&mut self, cost: u64, mut messages: u64) {
        self.held = self.held.saturating_sub(cost);
        while messages > 0
            && let Some((_, count)) = self.held_of.front_mut()
        {
            let gone = messages.min(*count);
            (messages, *count) = (messages - gone, *count - gone);
            if *count == 0 {
                self.held_of.pop_front();
            }
        }
    }

    fn lose_all(&mut self) {
        self.held = 0;
        for (origin, count) in self.held_of.drain(..) {
            origin.lose(count, Loss::Unwritten);
        }
        for entry in self.backlog.take(u64::MAX) {
            entry.record.origin.lose(entry.messages(), Loss::Unwritten);
        }
        for Waiting { origin, messages, .. } in self.waiting.drain(..) {
            origin.lose(messages, Loss::Unwritten);
        }
    }
}

#[cfg(test)]
mod tests;
