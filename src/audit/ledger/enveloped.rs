//! Messages: each counted on its connection, in its feed, its channel and its products.

use super::{Fate, Ledger, PRODUCTS};
use crate::{
    audit::{
        connection::{SILENT, Step, name},
        envelope::Columns,
        finding::{Kind, Weight},
        hole::{Count, Hole, Scope},
        message::{self, House, Told},
        stamp::{self, SECOND, Stamp},
    },
    venue::{self, advanced_trade::MARKET, exchange::EXCHANGE},
};

impl Ledger {
    pub(super) fn message(&mut self, columns: &Columns<'_>, message: &[u8]) -> Fate {
        let Some(index) = self.connection(columns, false) else { return Fate::Keep };
        let total = self.lines.lines;
        let connection = &mut self.connections[index];
        let (feed, before) = (connection.feed, connection.span.1);
        match connection.message(columns.n) {
            Step::On => {}
            Step::Hole(from, to) => {
                let what = format!("{} {}", self.feeds[feed].name, name(columns.conn));
                self.feeds[feed].losses += 1;
                let scope = Scope { count: Count::N, conn: Some(columns.conn), products: Vec::new() };
                let (place, span) = (self.place(), (Some(before), Some(columns.recv)));
                let excused = self.went_with_a_file(to - from);
                let hole = Hole { scope, missing: vec![(from, to)], excused, place, span, what };
                self.holes.found(hole, &mut self.findings);
            }
            Step::Again => {
                let (who, n) = (name(columns.conn), columns.n);
                if self.holes.fill(columns.conn, n) {
                    self.tell(
                        Weight::Fault,
                        Kind::Misplaced,
                        1,
                        format!("{who}: message {n} stands behind those that came after it"),
                    );
                } else {
                    self.tell(Weight::Fault, Kind::Duplicate, 1, format!("{who}: message {n} again"));
                    return Fate::Again;
                }
            }
        }
        let span = self.came(columns.recv);
        let connection = &mut self.connections[index];
        connection.messages += 1;
        connection.bytes += message.len() as u64;
        connection.last_line = total;
        connection.in_part(self.at.0, columns.n);
        let back = before.saturating_sub(columns.recv);
        connection.span = (connection.span.0.min(columns.recv), columns.recv);
        self.feeds[feed].run = Some((columns.conn.0, columns.recv));
        if back > SECOND {
            let text = format!("{}: the machine's clock stepped back by {} s", name(columns.conn), back / SECOND);
            self.tell(Weight::Note, Kind::Clock, 1, text);
        }
        let Some(told) = message::read(message) else {
            self.unread(feed, message, columns.recv, span);
            return Fate::Keep;
        };
        if told.kind == message::Kind::Heartbeat {
            self.heartbeat(index, columns.recv);
        }
        if let Some(sequence) = told.sequence {
            self.sequence(index, sequence, (before, columns.recv));
        }
        let channel = self.of_channel(feed, &told, message, (Some(columns.recv), span), columns.conn);
        self.connections[index].of_channel(channel);
        Fate::Keep
    }

    /// It is counted in its feed, and of no channel.
    fn unread(&mut self, feed: usize, message: &[u8], recv: Stamp, span: u64) {
        self.feeds[feed].came.add(message.len() as u64, Some(recv), &self.grid, span);
        if message.starts_with(b"{\"tickerd\":\"not-json\"") {
            self.tell(Weight::Note, Kind::Kept, 1, "what the venue sent was no JSON, and is kept in base64");
        } else {
            self.tell(Weight::Note, Kind::Unknown, 1, "a message of no channel that is known");
        }
    }

    fn heartbeat(&mut self, index: usize, recv: Stamp) {
        let connection = &mut self.connections[index];
        let Some(last) = connection.heartbeat.replace(recv) else { return };
        let silent = recv.saturating_sub(last);
        if silent > SILENT {
            let text =
                format!("{}: no heartbeat for {} s, until {}", connection.name(), silent / SECOND, stamp::second(recv));
            self.tell(Weight::Note, Kind::Silence, silent / SECOND, text);
        }
    }

    /// The venue's own count over a connection. What was dropped counts there, and came.
    fn sequence(&mut self, index: usize, sequence: u64, span: (Stamp, Stamp)) {
        let connection = &mut self.connections[index];
        let excused = std::mem::take(&mut connection.skipped);
        let due = connection.sequence;
        connection.sequence = Some(due.unwrap_or(0).max(sequence.saturating_add(1)));
        let Some(due) = due.filter(|due| *due < sequence) else { return };
        let (feed, conn) = (connection.feed, connection.id);
        let what = format!("{} {}", self.feeds[feed].name, name(conn));
        self.feeds[feed].losses += 1;
        let scope = Scope { count: Count::SequenceNum, conn: Some(conn), products: Vec::new() };
        let (place, span) = (self.place(), (Some(span.0), Some(span.1)));
        let hole = Hole { scope, missing: vec![(due, sequence)], excused, place, span, what };
        self.holes.found(hole, &mut self.findings);
    }

    /// Counts a message where it belongs: its feed, its channel, its products.
    pub(super) fn of_channel(
        &mut self,
        feed: usize,
        told: &Told<'_>,
        message: &[u8],
        at: (Option<Stamp>, u64),
        conn: (u32, u64),
    ) -> usize {
        let (bytes, (at, span)) = (message.len() as u64, at);
        let grid = &self.grid;
        let known = &mut self.feeds[feed];
        known.came.add(bytes, at, grid, span);
        let (channel, counts, losses) = (known.channel(told), known.counts(told), known.losses);
        let of = &mut known.channels[channel];
        of.came.add(bytes, at, grid, span);
        let (mut skips, mut beyond) = (Vec::new(), false);
        for counted in &told.counted {
            let product = match of.products.get_mut(counted.product) {
                Some(product) => product,
                None if self.products >= PRODUCTS => {
                    beyond = true;
                    continue;
                }
                None => {
                    self.products += 1;
                    of.products.entry(counted.product.to_owned()).or_default()
                }
            };
            let before = product.came.span.map(|(_, last)| last);
            product.came.add(bytes, at, grid, span);
            let skip = counts.and_then(|count| product.count(count, counted, told, conn, losses));
            skips.extend(skip.map(|skip| (counted.product.to_owned(), skip, before)));
        }
        if beyond {
            self.beyond("products");
        }
        for (product, skip, before) in skips {
            if skip.run_changed {
                continue;
            }
            let scope = Scope { count: skip.count, conn: None, products: vec![product.clone()] };
            let what = format!("{} {} {product}", self.feeds[feed].name, told.channel).trim_start().to_owned();
            let place = self.place();
            let hole =
                Hole { scope, missing: vec![(skip.expected, skip.got)], excused: 0, place, span: (before, at), what };
            self.holes.found(hole, &mut self.findings);
        }
        if told.kind == message::Kind::Ack {
            self.acked(feed, told.house, message);
        }
        channel
    }

    fn acked(&mut self, feed: usize, house: House, message: &[u8]) {
        let read = match house {
            House::Exchange => EXCHANGE.read,
            House::AdvancedTrade => MARKET.read,
            House::International => return,
        };
        if let Ok(message) = str::from_utf8(message)
            && let venue::Kind::Ack(list) = read(message).kind
        {
            self.feeds[feed].accepted.get_or_insert_default().extend(list.into_iter().map(|(name, _)| name));
        }
    }
}
