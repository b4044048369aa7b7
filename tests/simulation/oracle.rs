//! Holds the output against what the exchange published: each message is in it, once, or a record owns up to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tickerd::{
    record::Line,
    venue::{Channel, Kind, Venue},
};

use super::{decoded, stage::Seen};

/// The output of a play, read back.
#[derive(Default)]
pub struct Output {
    /// Each connection's messages, by its count.
    pub messages: BTreeMap<u64, Vec<String>>,
    pub events: Vec<Told>,
    /// Trades that REST brought: product and id.
    pub recovered: Vec<(String, u64)>,
}

/// One event.
pub struct Told {
    pub conn: u64,
    pub name: String,
    pub data: Value,
    pub recv: String,
}

impl Output {
    pub fn read(output: &[u8]) -> Self {
        let mut read = Self::default();
        for line in std::str::from_utf8(output).expect("UTF-8").lines() {
            let record: Value = serde_json::from_str(line).expect("a line is JSON");
            let conn = record["conn"].as_str().and_then(|conn| conn.split_once('/')).expect("conn").1;
            let conn: u64 = conn.parse().expect("a count");
            if let Some(name) = record["event"].as_str() {
                read.events.push(Told {
                    conn,
                    name: name.to_owned(),
                    data: record["data"].clone(),
                    recv: record["recv"].as_str().expect("a time").to_owned(),
                });
            } else if record["recovered"] == true {
                let (product, id) = (&record["msg"]["product_id"], &record["msg"]["trade_id"]);
                let id = id.as_str().and_then(|id| id.parse().ok()).expect("an id");
                read.recovered.push((product.as_str().expect("a product").to_owned(), id));
            } else {
                let at = line.find(",\"msg\":").expect("a message") + 7;
                read.messages.entry(conn).or_default().push(line[at..line.len() - 1].to_owned());
            }
        }
        read
    }

    /// The events of one name.
    pub fn told<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Told> {
        self.events.iter().filter(move |told| told.name == name)
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<&str> {
        self.events.iter().map(|told| told.name.as_str()).collect()
    }
}

fn has(list: &Value, what: &str) -> bool {
    list.as_array().is_some_and(|all| all.iter().any(|one| one == what))
}

impl Told {
    /// Whether it is of the channel as which a message reads, or of one whose messages read so, and of the product.
    fn is_of(&self, venue: &Venue, read: &Channel, product: &str) -> bool {
        let names = self.data["channels"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let is_it = names.filter_map(|name| venue.channel(name)).any(|channel| channel.reads_as(read));
        is_it && (product.is_empty() || has(&self.data["products"], product))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.data[key].as_u64()
    }

    /// Whether it owns up to this number.
    fn spans(&self, number: u64) -> bool {
        let (expected, got) = (self.number("expected"), self.number("got"));
        expected.zip(got).is_some_and(|(expected, got)| (expected..got).contains(&number))
    }
}

/// What was published and is not in the output lies inside a gap or a dropped record; and nothing is in it that was not
/// delivered, or twice. Returns how many messages were missing and owned up to.
pub fn assert_owned_up(venue: &'static Venue, seen: &Seen, output: &Output) -> usize {
    let mut delivered = BTreeMap::new();
    for (index, (_, tape)) in seen.delivered().iter().enumerate() {
        let text = |line: &Line| String::from_utf8(line.as_bytes().to_vec()).expect("UTF-8");
        delivered.insert(index as u64 + 1, decoded(tape).iter().map(text).collect::<Vec<_>>());
    }
    let (trades, begun) = (trades(venue, &delivered, output), begun(venue, &delivered));
    let mut owned = 0;
    for (index, (key, _)) in seen.delivered().iter().enumerate() {
        let conn = index as u64 + 1;
        let of_conn = || output.events.iter().filter(move |told| told.conn == conn);
        let came = &delivered[&conn];
        // Off the socket and not in the output: dropped, and counted as that.
        let slow = of_conn().filter(|told| told.name == "dropped" && told.data["why"] == "slow");
        let dropped: u64 = slow.filter_map(|told| told.number("count")).sum();
        let written = output.messages.get(&conn).map_or(0, Vec::len) as u64;
        assert_eq!(written + dropped, came.len() as u64, "connection {conn}: written and dropped is delivered");
        owned += usize::try_from(dropped).expect("few");

        // Published, and not off the socket.
        let mut left: HashMap<&str, i64> = HashMap::new();
        for text in came {
            *left.entry(text).or_default() += 1;
        }
        let sent = seen.sent.get(key).into_iter().flatten().map(|message| (message, false));
        let lost = seen.lost.get(key).into_iter().flatten().map(|message| (message, true));
        for (message, is_lost) in sent.chain(lost) {
            let Ok(text) = std::str::from_utf8(message) else { continue };
            if let Some(left) = left.get_mut(text).filter(|left| **left > 0 && !is_lost) {
                *left -= 1;
                continue;
            }
            if !text.starts_with('{') {
                continue;
            }
            owned += 1;
            let arrival = (venue.read)(text);
            let counts = |told: &&Told| told.name == "gap" && told.data["counted_by"] == "sequence_num";
            if arrival.sequence.is_some_and(|number| of_conn().filter(counts).any(|told| told.spans(number))) {
                continue;
            }
            // Behind the last that was read: the end of the connection owns up to acks and heartbeats, a gap to each channel and
            // product that had begun; and whoever is told to stop leaves.
            let Kind::Data(Some(channel)) = arrival.kind else { continue };
            if of_conn().any(|told| told.name == "disconnected" && told.data["cause"] == "stopped") {
                continue;
            }
            for counted in &arrival.counted {
                let pair = (channel.name.to_owned(), counted.product.to_owned());
                let is_known = begun.get(&pair).is_some_and(|first| *first <= conn);
                // Where a product's messages are counted, its own gap says what is missing.
                let own = of_conn().filter(|told| told.name == "gap" && has(&told.data["products"], counted.product));
                let own = own.filter(|told| match told.data["counted_by"].as_str() {
                    Some("sequence") => counted.sequence.is_some_and(|number| told.spans(number)),
                    Some("trade_id") => counted.trades.is_some_and(|(lowest, _)| told.spans(lowest)),
                    _ => false,
                });
                if own.count() > 0 {
                    continue;
                }
                let later = output.told("gap").any(|told| {
                    // A hole in a later connection's count lists all, and says nothing of before.
                    let found = &told.data["found"];
                    told.is_of(venue, channel, counted.product)
                        && (found == "stopped" || found == "reconnect" && told.conn > conn)
                });
                let known = trades.get(counted.product);
                // What a snapshot repeats of before the first trade that was ever recorded is no loss of this connection's.
                let repeats = text.contains(r#""type":"snapshot""#);
                let is_there = counted.trades.zip(known).is_some_and(|((lowest, highest), known)| {
                    let history = known.iter().min().copied().filter(|_| repeats).unwrap_or(0);
                    (lowest.max(history)..=highest).all(|id| known.contains(&id))
                });
                let start = &text[..text.len().min(200)];
                assert!(!is_known || later || is_there, "connection {conn}: {start} is missing and nothing says so");
            }
        }
    }
    assert_trades_owned_up(&trades, output);
    owned
}

/// The first connection on which a channel with a product was named, in an ack or in data.
fn begun(venue: &'static Venue, delivered: &BTreeMap<u64, Vec<String>>) -> HashMap<(String, String), u64> {
    let mut begun = HashMap::new();
    for (conn, text) in delivered.iter().flat_map(|(conn, texts)| texts.iter().map(move |text| (*conn, text))) {
        let arrival = (venue.read)(text);
        match arrival.kind {
            Kind::Ack(list) => {
                for (name, ids) in list {
                    for id in ids {
                        begun.entry((name.clone(), id)).or_insert(conn);
                    }
                }
            }
            Kind::Data(Some(data)) => {
                for counted in arrival.counted {
                    begun.entry((data.name.to_owned(), counted.product.to_owned())).or_insert(conn);
                }
            }
            _ => {}
        }
    }
    begun
}

/// The ids of each product's trades that came, over the socket or by REST.
fn trades(
    venue: &'static Venue,
    delivered: &BTreeMap<u64, Vec<String>>,
    output: &Output,
) -> BTreeMap<String, BTreeSet<u64>> {
    let mut trades = BTreeMap::<String, BTreeSet<u64>>::new();
    let subscribed = |name: &str| output.told("subscribed").any(|told| has(&told.data["channels"], name));
    if !subscribed("market_trades") && !subscribed("matches") {
        return trades;
    }
    for text in delivered.values().flatten().filter(|text| text.contains("trade_id")) {
        for trade in trade_ids(venue, text) {
            trades.entry(trade.0).or_default().insert(trade.1);
        }
    }
    for (product, id) in &output.recovered {
        trades.entry(product.clone()).or_default().insert(*id);
    }
    trades
}

fn trade_ids(venue: &'static Venue, text: &str) -> Vec<(String, u64)> {
    let arrival = (venue.read)(text);
    if arrival.kind == Kind::Heartbeat {
        // It counts trades, and tells none.
        return Vec::new();
    }
    let of = |product: &str, (lowest, highest): (u64, u64)| {
        (lowest..=highest).map(|id| (product.to_owned(), id)).collect::<Vec<_>>()
    };
    arrival.counted.iter().filter_map(|counted| Some(of(counted.product, counted.trades?))).flatten().collect()
}

/// Trades are numbered one by one, so each that is missing between two that are there was published.
fn assert_trades_owned_up(trades: &BTreeMap<String, BTreeSet<u64>>, output: &Output) {
    for (product, ids) in trades {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { continue };
        for id in (*first..*last).filter(|id| !ids.contains(id)) {
            let owned = output.told("gap").any(|told| {
                told.data["counted_by"] == "trade_id" && has(&told.data["products"], product) && told.spans(id)
            });
            assert!(owned, "trade {id} of {product} is missing and nothing says so");
        }
    }
}
