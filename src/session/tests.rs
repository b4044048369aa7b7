//! Conversations, written as what happens when and what the session does about it.

mod cadence;
mod change;
mod gaps;
mod parts;

use super::*;
use crate::venue::{Product, advanced_trade::MARKET};

const REFUSED: &str = "authentication failure";

/// A session with its clock in hand, and everything it did.
struct Script {
    session: Session,
    now: Instant,
    begun: Instant,
    bytes: u64,
    /// The next number of the connection.
    sequence: u64,
}

impl Script {
    fn new(channels: &[&str], stance: Stance) -> Self {
        Self::with(channels, stance, IfRefused::Public)
    }

    fn with(channels: &[&str], stance: Stance, if_refused: IfRefused) -> Self {
        let products =
            [Product::parse("BTC-USD").expect("spelt right"), Product::parse("ETH-USDC").expect("spelt right")];
        Self::at(&MARKET, channels, &products, stance, if_refused)
    }

    fn at(
        venue: &'static Venue,
        channels: &[&str],
        products: &[Product],
        stance: Stance,
        if_refused: IfRefused,
    ) -> Self {
        let channels: Vec<_> = channels.iter().map(|name| venue.channel(name).expect("a channel")).collect();
        let leg = venue.legs(&channels, products, &[]).remove(0);
        let now = Instant::now();
        Self { session: Session::new(venue, &leg, if_refused, stance, now), now, begun: now, bytes: 0, sequence: 0 }
    }

    fn wait(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self.session.handle_timeout(self.now);
        self
    }

    /// What the session does now; subscribes are sent as soon as it asks for them.
    fn does(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(action) = self.session.poll(self.now) {
            let end = matches!(action, Action::End(_));
            if let Action::Ask(_) = action {
                self.session.sent(self.now);
            }
            if matches!(action, Action::Ping) {
                self.session.handle_pong(self.now);
            } else {
                actions.push(action);
            }
            if end {
                break;
            }
        }
        actions
    }

    /// The channels it asks for, a `*` behind those that it signs.
    fn asks(&mut self) -> Vec<String> {
        let asks = self.does().into_iter().filter_map(|action| match action {
            Action::Ask(ask) => Some((self.session.subscribe(&ask).channels[0].name, ask.signed)),
            _ => None,
        });
        asks.map(|(name, signed)| format!("{name}{}", if signed { "*" } else { "" })).collect()
    }

    /// A message; where its kind has a number, the next one.
    fn says(&mut self, message: &str) -> &mut Self {
        self.bytes += message.len() as u64;
        self.session.handle_bytes(self.bytes, self.now);
        let mut arrival = (self.session.venue.read)(message);
        if let Some(sequence) = &mut arrival.sequence {
            *sequence = self.sequence;
            self.sequence += 1;
        }
        let recv = std::time::UNIX_EPOCH + (self.now - self.begun);
        self.session.handle_message(&arrival, message.len(), recv, self.now);
        self
    }

    /// One of a product on a channel.
    fn brings(&mut self, channel: &str, product: &str) -> &mut Self {
        let name = if channel == "level2" { "l2_data" } else { channel };
        self.says(&format!(r#"{{"channel":"{name}","sequence_num":0,"events":[{{"product_id":"{product}"}}]}}"#))
    }

    fn acks(&mut self, channels: &[&str]) -> &mut Self {
        let list: Vec<_> = channels
            .iter()
            .map(|name| match *name {
                "heartbeats" => r#""heartbeats":["heartbeats"]"#.to_owned(),
                "user" => r#""user":["3e625b74-1c4e-5967-ad38-4d26f30d4439"]"#.to_owned(),
                name => format!(r#""{name}":["BTC-USD","ETH-USD"]"#),
            })
            .collect();
        self.says(&format!(
            r#"{{"channel":"subscriptions","sequence_num":1,"events":[{{"subscriptions":{{{}}}}}]}}"#,
            list.join(",")
        ))
    }

    fn refuses(&mut self, words: &str) -> &mut Self {
        self.says(&format!(r#"{{"type":"error","message":"{words}"}}"#))
    }

    fn beats(&mut self) -> &mut Self {
        self.says(r#"{"channel":"heartbeats","sequence_num":0,"events":[{}]}"#)
    }

    /// Seconds until it gives up, with `each_second` happening until then.
    fn gives_up(&mut self, mut each_second: impl FnMut(&mut Self)) -> (Cause, u64) {
        for _ in 0..3600 {
            if let Some(Action::End(cause)) = self.does().pop() {
                return (cause, (self.now - self.begun).as_secs());
            }
            each_second(self);
            self.wait(1000);
        }
        panic!("never gave up");
    }
}

fn told(actions: Vec<Action>) -> Vec<Told> {
    actions.into_iter().filter_map(|action| if let Action::Tell(told) = action { Some(told) } else { None }).collect()
}

fn signed() -> Stance {
    Stance::new(true)
}

/// tiagosiebler/coinbase-api and the official SDK take a channel for subscribed once it has been asked for; here the
/// venue's own list decides.
#[test]
fn asks_for_everything_signed_and_says_when_all_is_answered() {
    let mut script = Script::new(&["ticker_batch"], signed());
    assert_eq!(script.asks(), ["heartbeats*", "ticker_batch*"]);
    script.acks(&["heartbeats"]);
    assert_eq!(told(script.does()), [Told::Accepted]);
    script.acks(&["heartbeats", "ticker_batch"]);
    let subscribed = Told::Subscribed { channels: vec!["heartbeats", "ticker_batch"], omitted: vec![] };
    assert_eq!(told(script.does()), [subscribed], "ETH-USDC is answered as ETH-USD");
    assert!(!script.session.has_delivered(), "an ack is no delivery");
    script.beats();
    assert!(!script.session.has_delivered(), "nor are heartbeats, where data is to come");
    script.brings("ticker_batch", "BTC-USD");
    assert!(script.session.has_delivered());
}

#[test]
fn a_product_left_out_of_the_ack_is_named() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.says(
        r#"{"channel":"subscriptions","sequence_num":1,"events":[{"subscriptions":{"heartbeats":["heartbeats"],"ticker":["ETH-USD"]}}]}"#,
    );
    let omitted = vec![("ticker", "BTC-USD".to_owned())];
    assert_eq!(told(script.does()), [Told::Subscribed { channels: vec!["heartbeats", "ticker"], omitted }]);
}

/// `coinbase-advanced-py#19`: "authentication failure" in one run, fine six seconds later with the same key.
#[test]
fn one_refusal_is_asked_again_with_a_new_signature() {
    let mut script = Script::new(&[], signed());
    assert_eq!(script.asks(), ["heartbeats*"]);
    script.refuses(REFUSED);
    assert!(script.asks().is_empty());
    assert_eq!(script.wait(1000).asks(), ["heartbeats*"]);
    script.acks(&["heartbeats"]);
    assert_eq!(script.session.stance().signing, Signing::Every);
}

/// `coinbasepro-csharp#174`, `coinbase-pro-node#201`: a key bound to another address silenced the public ticker too.
#[test]
fn refused_twice_public_channels_go_on_unsigned_and_signing_is_tried_again() {
    let mut script = Script::new(&["ticker", "user"], signed());
    script.session.stance.approach = Approach::OneByOne;
    assert_eq!(script.asks(), ["heartbeats*"]);
    script.refuses(REFUSED);
    assert!(script.asks().is_empty(), "nothing else is signed in the same breath");
    assert_eq!(script.wait(1000).asks(), ["heartbeats*"]);
    // Another signature, the same answer.
    script.refuses(REFUSED);
    let mut asked = script.asks();
    script.acks(&["heartbeats"]);
    script.beats();
    asked.extend(script.asks());
    script.acks(&["heartbeats", "ticker"]);
    asked.extend(script.asks());
    assert!(
        asked.ends_with(&["heartbeats".into(), "ticker".into()])
            || asked.ends_with(&["ticker".into(), "heartbeats".into()]),
        "{asked:?}"
    );
    assert!(script.session.stance().is_refused());

    for _ in 0..10 {
        script.wait(1000).beats();
    }
    assert_eq!(script.asks(), ["user*"], "the private channel is the probe");
    script.refuses(REFUSED);
    for _ in 0..20 {
        assert!(script.asks().is_empty(), "twice as long until the next");
        script.brings("ticker", "BTC-USD").wait(1000).beats();
    }
    assert_eq!(script.asks(), ["user*"]);
    script.acks(&["heartbeats", "ticker", "user"]);
    let mut asked = script.asks();
    asked.extend(script.acks(&["heartbeats", "ticker", "user"]).asks());
    asked.extend(script.acks(&["heartbeats", "ticker", "user"]).asks());
    assert_eq!(asked, ["heartbeats*", "ticker*", "user*"], "everything is signed again");
    assert_eq!(script.session.stance().signing, Signing::Every);
}

#[test]
fn with_if_refused_wait_nothing_goes_on_unsigned() {
    let mut script = Script::with(&["ticker"], signed(), IfRefused::Wait);
    script.session.stance.refusals = 1;
    script.session.stance.approach = Approach::OneByOne;
    script.asks();
    script.refuses(REFUSED);
    assert_eq!(script.does().pop(), Some(Action::End(Cause::Refused)));
}

#[test]
fn a_refusal_with_several_pending_is_found_out_by_asking_one_by_one() {
    let mut script = Script::new(&["ticker", "level2"], signed());
    assert_eq!(script.asks().len(), 3);
    script.refuses("failure to subscribe");
    assert_eq!(script.does().pop(), Some(Action::End(Cause::Refused)));

    let mut next = Script::new(&["ticker", "level2"], script.session.stance().clone());
    assert_eq!(next.asks(), ["heartbeats*"]);
    next.acks(&["heartbeats"]);
    assert_eq!(next.asks(), ["ticker*"]);
    next.acks(&["heartbeats", "ticker"]);
    assert_eq!(next.asks(), ["level2*"]);
    next.refuses("failure to subscribe");
    let refused = told(next.does());
    assert!(
        matches!(&refused[0], Told::Refused { channel: Some("level2"), message, .. } if message == "failure to subscribe")
    );
    assert_eq!(next.wait(1000).asks(), ["level2*"], "once more, then at longer and longer intervals");
    next.refuses("failure to subscribe").beats();
    assert!(matches!(told(next.does())[..], [Told::Refused { confirmed: true, .. }, Told::Subscribed { .. }]));
}

/// `coinbase-advanced-py#92`: a wrong channel name is answered with "authentication failure", though the key is good.
#[test]
fn a_channel_refused_beside_accepted_ones_does_not_condemn_the_credentials() {
    let mut script = Script::new(&["user"], signed());
    script.session.stance.approach = Approach::OneByOne;
    script.asks();
    script.acks(&["heartbeats"]).asks();
    script.refuses(REFUSED).wait(1000).asks();
    script.refuses(REFUSED);
    assert_eq!(script.session.stance().signing, Signing::Every);
}

#[test]
fn silence_is_noticed() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    assert_eq!(script.gives_up(|_| {}), (Cause::Silent, 10));
}

/// cryptofeed armed its watchdog with the first message: connected, subscribed and never any data went unnoticed.
#[test]
fn connected_and_mute_from_the_start_is_noticed() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    let (_, seconds) = script.gives_up(|script| {
        script.acks(&["heartbeats", "ticker"]);
    });
    assert_eq!(seconds, 15);
}

/// `nautilus_trader#3907`: the watchdog was kept alive by pings.
#[test]
fn heartbeats_that_stop_are_noticed_though_bytes_and_data_come() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.beats();
    let (cause, seconds) = script.gives_up(|script| {
        script.says(r#"{"channel":"ticker","sequence_num":5,"events":[]}"#);
    });
    assert_eq!((cause, seconds), (Cause::NoHeartbeat, 15));
}

#[test]
fn a_ping_without_a_pong_is_noticed_though_heartbeats_come() {
    let mut script = Script::new(&[], Stance::new(false));
    script.asks();
    for _ in 0..30 {
        script.beats().wait(1000);
        while let Some(action) = script.session.poll(script.now) {
            if let Action::End(cause) = action {
                assert_eq!((cause, script.now - script.begun), (Cause::NoPong, Duration::from_secs(15)));
                return;
            }
        }
    }
    panic!("never noticed");
}

#[test]
fn a_subscribe_without_an_answer_is_noticed() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.acks(&["heartbeats"]);
    let (cause, seconds) = script.gives_up(|script| {
        script.beats();
    });
    assert_eq!((cause, seconds), (Cause::NoAck, 30));
}

#[test]
fn snapshots_that_hold_heartbeats_back_are_no_silence() {
    let mut script = Script::new(&["level2"], Stance::new(false));
    script.asks();
    script.acks(&["heartbeats"]).beats();
    for _ in 0..600 {
        script.wait(500);
        script.bytes += 100_000;
        script.session.handle_bytes(script.bytes, script.now);
        assert_eq!(script.does(), []);
    }
}

#[test]
fn clocks_stop_while_nothing_is_read() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.beats();
    let stall = Duration::from_secs(3600);
    script.now += stall;
    script.session.shift(stall);
    script.wait(0);
    assert_eq!(script.does(), []);
    assert_eq!(script.gives_up(|_| {}).1, 3610, "and run on afterwards");
}

#[test]
fn bytes_of_before_a_stall_set_no_clock_back() {
    for bytes in [500, 1_000_000] {
        let mut script = Script::new(&["ticker"], Stance::new(false));
        script.asks();
        script.beats();
        let (before, stall) = (script.now, Duration::from_secs(60));
        script.now += stall;
        script.session.shift(stall);
        script.session.handle_bytes(bytes, before);
        script.wait(0);
        assert_eq!(script.does(), [], "{bytes}, few or a snapshot's");
    }
}

#[test]
fn a_probe_that_must_wait_for_an_answer_sets_no_deadline_in_the_past() {
    let mut stance = signed();
    stance.signing = Signing::Refused { probe: Instant::now(), wait: FIRST_PROBE };
    let mut script = Script::new(&["ticker"], stance);
    assert_eq!(script.asks(), ["heartbeats", "ticker"]);
    script.wait(1000);
    assert_eq!(script.asks(), Vec::<String>::new());
    assert!(script.session.deadline() > script.now, "or the loop would spin");
}

/// Advanced Trade leaves an unknown product out of its ack, and with it a channel of which nothing is left; one delisted
/// coin must not cost the connection of all the others (`coinbase-pro-node#174`).
#[test]
fn a_channel_of_which_the_venue_trades_nothing_is_answered_too() {
    let mut script = Script::new(&["ticker", "candles"], Stance::new(false));
    script.asks();
    script.acks(&["heartbeats"]).acks(&["heartbeats"]).acks(&["heartbeats", "candles"]);
    let omitted = vec![("ticker", "BTC-USD".to_owned()), ("ticker", "ETH-USDC".to_owned())];
    let subscribed = Told::Subscribed { channels: vec!["candles", "heartbeats"], omitted };
    assert_eq!(told(script.does()), [subscribed]);
    assert_eq!(script.session.missing(script.now), ["ticker"]);
}
