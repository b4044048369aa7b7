//! What waits to be written, in its order, and what of it goes first where there is no room for more.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    account::Loss,
    record::{Body, Event, Record},
};

/// A record on its way to the output.
#[derive(Debug)]
pub struct Entry {
    /// The number of the target that it is for.
    pub target: usize,
    /// The number of the target that a record of its loss is for; None where events are in the log alone.
    pub losses: Option<usize>,
    /// What is to be written.
    pub record: Record,
}

/// Entries in the order in which they are written. The oldest message is found without a look at the events before it,
/// which a stall of hours leaves behind by the thousand.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Events that stand before the oldest message; what was between them has been dropped.
    passed: VecDeque<Entry>,
    /// All that comes after them.
    behind: VecDeque<Entry>,
    /// How many have been taken from `passed` since ever, so that a place in it can be known by a number that stays.
    taken: u64,
    /// By the address of its origin, what each connection has in `passed`. An entry holds its origin, so an address is
    /// not another's while the place that it leads to is there.
    marks: HashMap<usize, Mark>,
    cost: u64,
    /// How many messages and events these are.
    count: usize,
    /// Of the cost, that of events, which are never dropped.
    lasting: u64,
    lost: u64,
}

/// The places in `passed` of one connection's last entry, and of the last record of its losses.
#[derive(Clone, Copy, Debug)]
struct Mark {
    last: u64,
    loss: Option<u64>,
}

impl Backlog {
    /// How many messages and events wait.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What all that waits costs.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// What would still be there if each message were dropped, but for the records of that.
    pub fn lasting(&self) -> u64 {
        self.lasting
    }

    /// How many messages were dropped since ever.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Puts one behind all others.
    pub fn put(&mut self, entry: Entry) {
        self.charge(&entry);
        self.behind.push_back(entry);
    }

    /// Takes the first of them, at least one, for as much as they may cost together.
    pub fn take(&mut self, most: u64) -> VecDeque<Entry> {
        if self.passed.is_empty() && self.cost <= most {
            (self.cost, self.lasting, self.count) = (0, 0, 0);
            // The next will be about as many.
            let room = VecDeque::with_capacity(self.behind.len());
            return std::mem::replace(&mut self.behind, room);
        }
        let (mut part, mut cost) = (VecDeque::new(), 0);
        while let Some(next) = self.passed.front().or_else(|| self.behind.front())
            && (part.is_empty() || cost + next.record.cost() <= most)
        {
            cost += next.record.cost();
            let from_passed = self.passed.pop_front();
            self.taken += u64::from(from_passed.is_some());
            if let Some(entry) = from_passed.or_else(|| self.behind.pop_front()) {
                self.discharge(&entry);
                part.push_back(entry);
            }
        }
        self.marks.retain(|_, mark| mark.last >= self.taken);
        part
    }

    /// Drops the oldest message, counts it, and has a record say so in its place; false where there is none. That record
    /// costs no more than the message did, so there is never less room than before.
    pub fn drop_oldest(&mut self, why: Loss) -> bool {
        while let Some(mut entry) = self.behind.pop_front() {
            if let Some(first) = entry.split_first() {
                self.behind.push_front(std::mem::replace(&mut entry, first));
            }
            self.discharge(&entry);
            if !entry.is_message() {
                self.pass(entry);
                continue;
            }
            self.lost += 1;
            if let Some(loss) = entry.lost(why) {
                self.pass(loss);
            }
            return true;
        }
        false
    }

    /// Drops messages that the dropping of others would make no room for. `room` is what all that waits may cost. The record
    /// of it needs room too: older messages go for that. Where there are none left, an earlier record of the same connection
    /// takes it on over what came between, which is events; where there is not even that, it stands all the same: one small
    /// record a connection, and another while the writer has that in hand, is what this can cost over the limit.
    pub fn refuse(&mut self, entry: Entry, room: u64, why: Loss) {
        self.lost += entry.messages();
        let Some(loss) = entry.lost(why) else { return };
        let cost = loss.record.cost();
        if self.add_to_last(&loss) {
            return;
        }
        while self.cost + cost > room && self.drop_oldest(why) {}
        if self.add_to_last(&loss) || self.cost + cost > room && self.add_to_any(&loss) {
            return;
        }
        if self.behind.is_empty() {
            self.pass(loss);
        } else {
            self.put(loss);
        }
    }

    /// Puts an event before the oldest message. Losses of one connection that nothing of its own separates are one record.
    fn pass(&mut self, entry: Entry) {
        let whose = entry.whose();
        let place = self.taken + self.passed.len() as u64;
        let before = self.marks.get(&whose).copied();
        if before.is_some_and(|mark| self.add_to(mark.last, &entry)) {
            return;
        }
        let loss = if entry.is_loss() { Some(place) } else { before.and_then(|mark| mark.loss) };
        self.marks.insert(whose, Mark { last: place, loss });
        self.charge(&entry);
        self.passed.push_back(entry);
    }

    /// Adds a loss to the last entry of its connection, if that is a loss.
    fn add_to_last(&mut self, loss: &Entry) -> bool {
        let own = |entry: &&mut Entry| Arc::ptr_eq(&entry.record.origin, &loss.record.origin);
        if let Some(last) = self.behind.iter_mut().rev().find(own) {
            return last.add(loss);
        }
        let mark = self.marks.get(&loss.whose()).copied();
        mark.is_some_and(|mark| self.add_to(mark.last, loss))
    }

    /// Adds a loss to the last loss of its connection. That is right only where no message is left: then there is none between.
    fn add_to_any(&mut self, loss: &Entry) -> bool {
        let mark = self.marks.get(&loss.whose()).and_then(|mark| mark.loss);
        mark.is_some_and(|place| self.add_to(place, loss))
    }

    fn add_to(&mut self, place: u64, loss: &Entry) -> bool {
        let at = place.checked_sub(self.taken).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.passed.get_mut(at)).is_some_and(|entry| entry.add(loss))
    }

    fn charge(&mut self, entry: &Entry) {
        let cost = entry.record.cost();
        self.cost += cost;
        self.count += entry.count();
        self.lasting += if entry.is_message() { 0 } else { cost };
    }

    fn discharge(&mut self, entry: &Entry) {
        let cost = entry.record.cost();
        self.cost -= cost;
        self.count -= entry.count();
        self.lasting -= if entry.is_message() { 0 } else { cost };
    }
}

impl Entry {
    /// Whether it is what a venue sent, or what happened.
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self.record.body, Body::Messages(_))
    }

    /// How many messages it is.
    #[must_use]
    pub fn messages(&self) -> u64 {
        match &self.record.body {
            Body::Messages(run) => run.count(),
            Body::Recovered(_) | Body::Event(_) => 0,
        }
    }

    /// Takes the first message off, where another one is left.
    #[must_use]
    pub fn split_first(&mut self) -> Option<Self> {
        let Record { recv, origin, n, body: Body::Messages(run) } = &mut self.record else { return None };
        let first = run.split_first()?;
        let record = Record { recv: *recv, origin: origin.clone(), n: *n, body: Body::Messages(first) };
        *n += 1;
        Some(Self { record, ..*self })
    }

    fn count(&self) -> usize {
        usize::try_from(self.messages()).map_or(usize::MAX, |messages| messages.max(1))
    }

    fn is_loss(&self) -> bool {
        matches!(&self.record.body, Body::Event(event) if matches!(**event, Event::Dropped { why: Loss::Slow | Loss::Disk, .. }))
    }

    fn whose(&self) -> usize {
        Arc::as_ptr(&self.record.origin).addr()
    }

    /// Counts its messages as dropped; what says so, if anything of its feed does.
    fn lost(self, why: Loss) -> Option<Self> {
        let count = self.messages();
        let Self { losses, record: Record { recv, origin, n, body }, .. } = self;
        origin.lose(count, why);
        let bytes = match &body {
            Body::Messages(run) => run.lines().map(|line| line.len() as u64).sum(),
            Body::Recovered(_) | Body::Event(_) => 0,
        };
        let event = Event::Dropped { count, bytes, why, from: recv, until: recv };
        let record = Record { recv, origin, n, body: Body::Event(Box::new(event)) };
        losses.map(|target| Self { target, losses, record })
    }

    /// Takes a later loss on, if both are losses for the same reason.
    fn add(&mut self, later: &Self) -> bool {
        let (Body::Event(own), Body::Event(later)) = (&mut self.record.body, &later.record.body) else { return false };
        match (&mut **own, &**later) {
            (
                Event::Dropped { count, bytes, why, until, .. },
                &Event::Dropped { count: more, bytes: more_bytes, why: other, until: later, .. },
            ) if *why == other => {
                *count += more;
                *bytes += more_bytes;
                *until = later;
                true
            }
            _ => false,
        }
    }
}
