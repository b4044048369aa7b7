use super::*;
use crate::venue::{advanced_trade::MARKET, exchange::EXCHANGE};

fn watched(messages: &[&str]) -> Vec<Belief> {
    watched_at(&MARKET, messages)
}

fn watched_at(venue: &'static Venue, messages: &[&str]) -> Vec<Belief> {
    watched_of(venue, &[], messages)
}

fn watched_of(venue: &'static Venue, channels: &[&str], messages: &[&str]) -> Vec<Belief> {
    let mut watch = Watch { asked: 1, ..Watch::of(venue) };
    let begun = Instant::now();
    for (second, message) in messages.iter().enumerate() {
        watch.see(message, begun + Duration::from_secs(second as u64), None);
    }
    let channels = channels.iter().map(|name| venue.channel(name).expect("a channel")).collect();
    watch.beliefs(&[Subscribe { unsubscribes: false, channels, products: Vec::new(), accounts: Vec::new() }])
}

fn holds(beliefs: &[Belief], what: &str) -> Option<bool> {
    beliefs.iter().find(|belief| belief.what.starts_with(what)).expect("believed").holds
}

fn beat(sequence: u64, counter: &str) -> String {
    format!(
        r#"{{"channel":"heartbeats","timestamp":"2026-08-09T21:05:48.1Z","sequence_num":{sequence},"events":[{{"heartbeat_counter":{counter}}}]}}"#
    )
}

const ACK: &str = r#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48Z","sequence_num":0,"events":[{"subscriptions":{"heartbeats":["heartbeats"]}}]}"#;

#[tokio::test(start_paused = true)]
async fn what_we_believe_holds_of_what_was_recorded() {
    let beats: Vec<_> = (1..=6).map(|n| beat(n, &(41_690 + n).to_string())).collect();
    let all: Vec<_> = std::iter::once(ACK).chain(beats.iter().map(String::as_str)).collect();
    let beliefs = watched(&all);
    for belief in &beliefs {
        assert_ne!(belief.holds, Some(false), "{}: {}", belief.what, belief.seen);
    }
    assert_eq!(holds(&beliefs, "a heartbeat"), Some(true));
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_told() {
    let (fourth, fifth) = (beat(4, "\"7\""), beat(6, "9"));
    let odd = "{\"timestamp\":\"noon\",\n\"channel\":\"novelty\",\"sequence_num\":7,\"events\":[]}";
    let beliefs = watched(&[&fourth, &fifth, odd, r#"{"type":"error","message":"authentication failure"}"#, "[1]"]);
    for what in [
        "subscribes are not refused",
        "sequence_num begins",
        "sequence_num goes up",
        "each subscribe has",
        "heartbeat_counter",
        "no message is of a channel",
        "fields stand",
        "the time of a message",
        "each message is one piece",
    ] {
        assert_eq!(holds(&beliefs, what), Some(false), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_refusal_keeps_back_is_no_difference() {
    let words = |words: &str| format!(r#"{{"type":"error","message":"{words}"}}"#);
    let (refusal, other) = (words("authentication failure"), words("something new"));
    let refused = |messages: &[&str]| {
        let beliefs = watched_of(&MARKET, &["ticker"], messages);
        let differ = |refused| {
            let all = beliefs.iter().filter(move |belief| belief.holds == Some(false) && belief.refused == refused);
            all.map(|belief| belief.what).collect::<Vec<_>>()
        };
        (differ(true), differ(false))
    };
    let of_a_refusal = vec!["subscribes are not refused", "each subscribe has its ack", "ticker"];
    assert_eq!(refused(&[&refusal]), (of_a_refusal.clone(), vec![]));
    assert_eq!(refused(&[&refusal, "[1]"]).1, ["each message is one piece of JSON without a line break"]);
    assert_eq!(refused(&[&other]), (vec![], of_a_refusal), "what is not of credentials is to be reported");
}

const EXCHANGES_ACK: &str =
    r#"{"type":"subscriptions","channels":[{"name":"full","product_ids":["BTC-USD"],"account_ids":null}]}"#;

fn exchanges_beat(product: &str, trade: u64) -> String {
    format!(
        r#"{{"type":"heartbeat","sequence":90,"last_trade_id":{trade},"product_id":"{product}","time":"2014-11-07T08:19:28.4Z"}}"#
    )
}

fn order(kind: &str, product: &str, sequence: u64) -> String {
    format!(r#"{{"type":"{kind}","sequence":{sequence},"product_id":"{product}","time":"2021-04-17T00:00:00Z"}}"#)
}

#[tokio::test(start_paused = true)]
async fn the_exchanges_counts_are_each_products_own() {
    let ordered = [("BTC-USD", 5), ("ETH-USD", 90), ("BTC-USD", 6), ("ETH-USD", 91), ("BTC-USD", 7)];
    let mut all = vec![EXCHANGES_ACK.to_owned()];
    all.extend(ordered.map(|(product, sequence)| order("done", product, sequence)));
    all.extend((0..6).map(|_| exchanges_beat("BTC-USD", 20)));
    all.push(r#"["open","BTC-USD","37259","o","buy","1.0","2.0","2022-05-25T17:06:18Z"]"#.to_owned());
    let beliefs = watched_of(&EXCHANGE, &["full"], &all.iter().map(String::as_str).collect::<Vec<_>>());
    for belief in &beliefs {
        assert_ne!(belief.holds, Some(false), "{}: {}", belief.what, belief.seen);
    }
    assert_eq!(holds(&beliefs, "full:"), Some(true));
    assert_eq!(holds(&beliefs, "a heartbeat each second"), Some(true));
    assert_eq!(holds(&beliefs, "matches"), None);

    all.extend([order("open", "ETH-USD", 93), exchanges_beat("ETH-USD", 0), order("novelty", "ETH-USD", 1)]);
    let beliefs = watched_of(&EXCHANGE, &["full"], &all.iter().map(String::as_str).collect::<Vec<_>>());
    for what in ["full:", "a heartbeat tells", "no message is of a channel"] {
        assert_eq!(holds(&beliefs, what), Some(false), "{what}");
    }
}

/// Messages of `ticker_batch` say "ticker", and those of user what full says: none of its own was no difference.
#[tokio::test(start_paused = true)]
async fn what_comes_by_another_channels_name_counts_where_that_one_was_not_asked_for() {
    let ticker = order("ticker", "BTC-USD", 5);
    let book = r#"{"type":"l2update","product_id":"BTC-USD","changes":[],"time":"2021-04-17T00:00:00Z"}"#;
    let own = [order("received", "BTC-USD", 7), order("done", "BTC-USD", 900)];
    let all = [EXCHANGES_ACK, &ticker, book, &own[0], &own[1]];
    let beliefs = watched_of(&EXCHANGE, &["ticker_batch", "level2_batch", "user"], &all);
    for what in ["ticker_batch", "level2_batch", "user"] {
        assert_eq!(holds(&beliefs, what), Some(true), "{what}");
    }
    assert_eq!(holds(&beliefs, "full:"), None, "what is one's own skips");
    let beliefs = watched_of(&EXCHANGE, &["ticker", "ticker_batch"], &all);
    assert_eq!(holds(&beliefs, "ticker_batch"), None, "whose they are nobody can tell");
    let beliefs = watched_of(&EXCHANGE, &["ticker_batch"], &[EXCHANGES_ACK]);
    assert_eq!(holds(&beliefs, "ticker_batch"), Some(false));
}
