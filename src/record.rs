//! A received message or an event becomes exactly one line. Pure.

mod annals;
mod event;
mod line;
mod run;
pub mod time;

pub use annals::{Annals, Deeds};
pub use event::Event;
pub use line::Line;
pub use run::{Run, Spare};
pub use time::{optional as optional_time, rfc3339};

use std::{
    fmt,
    io::Write as _,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::account::{Account, Loss};

/// The form of a record, as the configuration chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// The message as the venue sent it.
    Raw,
    /// The message in an envelope that says when and on which connection it came.
    Envelope,
}

/// One connection, as records name it, and what it brought.
#[derive(Debug)]
pub struct Origin {
    /// The feed's name.
    pub feed: Arc<str>,
    /// The random id of this run.
    pub run: u32,
    /// The count of connections in this run, from 1.
    pub count: u64,
    /// What the connection received, and what became of it.
    pub account: Account,
    /// The same over all connections of the feed...
    pub feed_account: Arc<Account>,
    /// ...and over all of this run.
    pub run_account: Arc<Account>,
    /// What else happened to the feed.
    pub annals: Arc<Annals>,
}

impl Origin {
    /// One that counts for no feed and no run but its own.
    #[must_use]
    pub fn lone(feed: &str, run: u32, count: u64) -> Self {
        Self {
            feed: feed.into(),
            run,
            count,
            account: Account::default(),
            feed_account: Arc::default(),
            run_account: Arc::default(),
            annals: Arc::default(),
        }
    }

    /// Counts messages off the socket; the first one's number on the connection, from 0.
    pub fn receive(&self, messages: u64) -> u64 {
        self.run_account.receive(messages);
        self.feed_account.receive(messages);
        self.account.receive(messages)
    }

    /// Counts messages handed to the output.
    pub fn write(&self, messages: u64) {
        self.run_account.write(messages);
        self.feed_account.write(messages);
        self.account.write(messages);
    }

    /// Counts messages lost.
    pub fn lose(&self, messages: u64, why: Loss) {
        self.run_account.lose(messages, why);
        self.feed_account.lose(messages, why);
        self.account.lose(messages, why);
    }

    /// Counts a gap.
    pub fn gap(&self) {
        self.run_account.gap();
        self.feed_account.gap();
        self.account.gap();
    }
}

/// What goes into the output as one line.
#[derive(Debug)]
pub struct Record {
    /// When it came off the socket.
    pub recv: SystemTime,
    /// On which connection.
    pub origin: Arc<Origin>,
    /// The first message's number on its connection, from 0; an event's, and that of what was recovered, is the next message's.
    pub n: u64,
    /// What it is.
    pub body: Body,
}

/// What a record holds.
#[derive(Debug)]
pub enum Body {
    /// What the venue sent: a message, and those that came right behind it in the same read.
    Messages(Run),
    /// What the venue had sent, asked for by REST since it did not come: no message of the connection, and counted as none.
    Recovered(Line),
    /// What happened.
    Event(Box<Event>),
}

/// Writes records as lines, one after the other.
#[derive(Debug)]
pub struct Pen {
    form: Form,
    /// The second of the last time written, and its text up to the fraction: a calendar is consulted once a second.
    second: (u64, String),
    /// What came in one read has all columns but the last in common: when and whose that was...
    last: Option<(SystemTime, Arc<Origin>)>,
    /// ...and their text.
    columns: Vec<u8>,
}

/// What a record and its place in the queue take, in bytes, about.
const OVERHEAD: u64 = 128;

/// What the record of a loss holds beside that: nothing but itself; other events hold some text.
const LOSS: u64 = size_of::<Event>() as u64;

/// What a message of this length costs to hold, in bytes: no less than the record of its loss, which so finds room where the
/// message was.
fn cost_of(length: usize) -> u64 {
    OVERHEAD + (length as u64).max(LOSS)
}

impl Record {
    /// What it costs to hold, in bytes: its text, and about what the record itself and its place in the queue take.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match &self.body {
            Body::Messages(run) => run.cost(),
            Body::Recovered(line) => OVERHEAD + line.as_bytes().len() as u64,
            Body::Event(event) => match &**event {
                Event::Dropped { .. } => OVERHEAD + LOSS,
                // It names what it may be of: hundreds of products.
                Event::Gap(gap) => OVERHEAD + 512 + 40 * gap.products.len() as u64,
                _ => OVERHEAD + 512,
            },
        }
    }
}

impl Pen {
    /// A pen that writes in one form.
    #[must_use]
    pub fn new(form: Form) -> Self {
        Self { form, second: (u64::MAX, String::new()), last: None, columns: Vec::new() }
    }

    /// Appends messages as whole lines.
    pub fn messages(&mut self, record: &Record, run: &Run, out: &mut Vec<u8>) {
        if self.form == Form::Raw && run.lone().is_none() {
            out.extend_from_slice(run.text());
            return;
        }
        for (n, line) in (record.n..).zip(run.lines()) {
            self.head(record, n, out);
            out.extend_from_slice(line);
            self.tail(out);
        }
    }

    /// Appends what stands before the bytes of the message numbered `n`.
    pub fn head(&mut self, record: &Record, n: u64, out: &mut Vec<u8>) {
        if self.form == Form::Envelope {
            out.extend_from_slice(b"{\"v\":1,");
            self.columns(record, n, out);
            if matches!(record.body, Body::Recovered(_)) {
                out.extend_from_slice(b",\"recovered\":true");
            }
            out.extend_from_slice(b",\"msg\":");
        }
    }

    /// Appends what stands behind a message's own bytes: at least the line's end.
    pub fn tail(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.form {
            Form::Raw => b"\n",
            Form::Envelope => b"}\n",
        });
    }

    /// Whether messages are written as they came.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.form == Form::Raw
    }

    /// Appends an event as a whole line.
    pub fn event(&mut self, record: &Record, event: &Event, out: &mut Vec<u8>) {
        let data = event.data(&record.origin.account);
        match self.form {
            Form::Raw => {
                let _ = write!(out, "{{\"tickerd\":\"{}\",", event.name());
                self.columns(record, record.n, out);
                for (key, value) in &data {
                    // "tickerd" is taken: here it says which event this is.
                    let key = if key == "tickerd" { "version" } else { key };
                    let _ = write!(out, ",\"{key}\":{value}");
                }
                out.extend_from_slice(b"}\n");
            }
            Form::Envelope => {
                out.extend_from_slice(b"{\"v\":1,");
                self.columns(record, record.n, out);
                let _ = writeln!(out, ",\"event\":\"{}\",\"data\":{}}}", event.name(), serde_json::Value::Object(data));
            }
        }
    }

    fn columns(&mut self, record: &Record, n: u64, out: &mut Vec<u8>) {
        let is_same =
            |(recv, origin): &(SystemTime, Arc<Origin>)| *recv == record.recv && Arc::ptr_eq(origin, &record.origin);
        if !self.last.as_ref().is_some_and(is_same) {
            self.set_columns(record);
        }
        out.extend_from_slice(&self.columns);
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    }

    fn set_columns(&mut self, record: &Record) {
        let since = record.recv.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second.0 != since.as_secs() {
            self.second = (since.as_secs(), time::calendar(since.as_secs()));
        }
        // The feed's name is letters, digits, hyphens and underscores: nothing to escape.
        self.columns.clear();
        let _ = write!(
            self.columns,
            "\"recv\":\"{}.{:09}Z\",\"feed\":\"{}\",\"conn\":\"{}\",\"n\":",
            self.second.1,
            since.subsec_nanos(),
            record.origin.feed,
            record.origin
        );
        self.last = Some((record.recv, record.origin.clone()));
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}", self.run, self.count)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::session::Cause;

    fn record(body: Body) -> Record {
        let origin = Origin::lone("tickers", 0x3f2a, 1);
        let recv = UNIX_EPOCH + Duration::new(1_795_541_462, 123_456_789);
        Record { recv, origin: Arc::new(origin), n: 17, body }
    }

    fn written(form: Form, record: &Record) -> String {
        let (mut pen, mut out) = (Pen::new(form), Vec::new());
        match &record.body {
            Body::Messages(run) => pen.messages(record, run, &mut out),
            Body::Recovered(line) => {
                pen.head(record, record.n, &mut out);
                out.extend_from_slice(line.as_bytes());
                pen.tail(&mut out);
            }
            Body::Event(event) => pen.event(record, event, &mut out),
        }
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_message_is_one_line_in_both_forms() {
        // ccxt turned 15-digit numbers into strings on their way; here no byte of the message changes.
        let message = r#"{"price":1234567890123456789.10,"n":1e400}"#;
        let record = record(Body::Messages(Line::from_text(message.into()).into()));
        assert_eq!(written(Form::Raw, &record), format!("{message}\n"));
        assert_eq!(
            written(Form::Envelope, &record),
            format!(
                "{{\"v\":1,\"recv\":\"2026-11-24T17:31:02.123456789Z\",\"feed\":\"tickers\",\"conn\":\"00003f2a/1\",\"n\":17,\"msg\":{message}}}\n"
            )
        );
    }

    /// What was asked for afterwards is never mixed unmarked with what the socket brought; its bytes are the venue's as well.
    #[test]
    fn what_was_recovered_says_so_before_the_message() {
        let record = record(Body::Recovered(Line::from_text("{\n\"trade_id\":\"7\",\"price\":1.10}".into())));
        assert_eq!(
            written(Form::Envelope, &record),
            "{\"v\":1,\"recv\":\"2026-11-24T17:31:02.123456789Z\",\"feed\":\"tickers\",\"conn\":\"00003f2a/1\",\"n\":17,\
             \"recovered\":true,\"msg\":{ \"trade_id\":\"7\",\"price\":1.10}}\n"
        );
    }

    #[test]
    fn an_event_is_one_line_of_json_in_both_forms() {
        let event = Event::Disconnected {
            ending: Cause::NoHeartbeat.into(),
            last_sequence: Some(4),
            lasted: Duration::from_millis(1500),
        };
        let record = record(Body::Event(Box::new(event)));
        let raw: serde_json::Value = serde_json::from_str(&written(Form::Raw, &record)).expect("JSON");
        assert_eq!(
            (&raw["tickerd"], &raw["cause"], &raw["lasted_ms"]),
            (&json!("disconnected"), &json!("no_heartbeat"), &json!(1500))
        );
        let enveloped: serde_json::Value = serde_json::from_str(&written(Form::Envelope, &record)).expect("JSON");
        assert_eq!((&enveloped["event"], &enveloped["data"]["last_sequence"]), (&json!("disconnected"), &json!(4)));
        assert_eq!(enveloped["n"], raw["n"]);
    }
}
