//! A conversation: whatever a venue says and whenever, the session comes to rest, owns up to holes as they are, and says when it wants
//! to be asked again.

#![no_main]

use std::time::{Duration, Instant, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use tickerd::{
    session::{Action, Found, IfRefused, Session, Stance, Told},
    venue::{Arrival, Product, Subscribe, Venue, advanced_trade, exchange},
};

/// What one message can have it say and do at most: some for each of its channels and products.
const MOST: usize = 200;

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else { return };
    let venue: &'static Venue = if first & 1 == 0 { &advanced_trade::MARKET } else { &exchange::EXCHANGE };
    let mut now = Instant::now();
    let mut wall = UNIX_EPOCH + Duration::from_secs(1_795_539_600);
    let mut stance = Stance::new(first & 2 != 0);
    // A message begins with how long it took to come; an empty one ends the connection.
    let mut messages = rest.split(|byte| *byte == b'\n').take(400);
    for _ in 0..4 {
        let if_refused = if first & 4 == 0 { IfRefused::Public } else { IfRefused::Wait };
        let mut session = Session::new(venue, &leg(venue), if_refused, stance, now);
        let mut total = 0;
        let mut over = rest_of(&mut session, now);
        while !over && let Some(message) = messages.next() {
            let Some((&wait, message)) = message.split_first() else { break };
            let wait = Duration::from_millis(u64::from(wait).pow(2));
            (now, wall) = (now + wait, wall + wait);
            match message.first() {
                Some(b'!') => session.handle_close(Some(1000 + u16::from(wait.as_millis() % 20 == 0) * 9), "so long"),
                Some(b'?') => session.shift(wait),
                Some(b'.') => session.handle_pong(now),
                Some(b'_') => {
                    // In the midst of a long message.
                    total += wait.as_secs() * 4096;
                    session.handle_bytes(total, now);
                }
                _ => {
                    total += message.len() as u64;
                    session.handle_bytes(total, now);
                    let arrival = str::from_utf8(message).map_or_else(|_| Arrival::unreadable(), venue.read);
                    session.handle_message(&arrival, message.len(), wall, now);
                }
            }
            over |= rest_of(&mut session, now);
            if now >= session.deadline() {
                session.handle_timeout(now);
                over |= rest_of(&mut session, now);
            }
        }
        stance = session.into_stance();
        now += Duration::from_secs(1);
        wall += Duration::from_secs(1);
    }
});

/// All that it wants done, as the edge does it. Whether that was the end.
fn rest_of(session: &mut Session, now: Instant) -> bool {
    for _ in 0..MOST {
        match session.poll(now) {
            None => {
                assert!(session.deadline() >= now || session.poll(now).is_none(), "it is asked for something");
                return false;
            }
            Some(Action::Ask(ask)) => {
                let subscribe = session.subscribe(&ask);
                assert!(!subscribe.channels.is_empty(), "it asks for something");
                session.sent(now);
            }
            Some(Action::Ping) => {}
            Some(Action::Tell(told)) => {
                if let Told::Gap(gap) = told {
                    check(&gap);
                }
            }
            Some(Action::End(_)) => return true,
        }
    }
    panic!("it does not come to rest");
}

fn check(gap: &tickerd::session::Gap) {
    match (gap.found, gap.expected, gap.got) {
        (Found::Hole, Some(expected), Some(got)) => {
            assert!(expected < got, "a hole is before what came: {gap:?}");
            assert_eq!(gap.missed, Some(got - expected), "and as wide as it says: {gap:?}");
        }
        (Found::Back, Some(expected), Some(got)) => assert!(got < expected, "a step back: {gap:?}"),
        _ => {}
    }
}

fn leg(venue: &'static Venue) -> Vec<Subscribe> {
    let products: Vec<_> = ["BTC-USD", "ETH-USD"].iter().map(|id| Product::parse(id).expect("spelt right")).collect();
    let names: &[&str] = if venue.name == "exchange" {
        &["heartbeat", "matches", "full"]
    } else {
        &["heartbeats", "market_trades", "ticker"]
    };
    let channels = names.iter().filter_map(|name| venue.channel(name));
    channels
        .map(|channel| Subscribe {
            unsubscribes: false,
            channels: vec![channel],
            products: products.clone(),
            accounts: Vec::new(),
        })
        .collect()
}
