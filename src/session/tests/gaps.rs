//! What did not come is told, and nothing else is.

use std::time::UNIX_EPOCH;

use super::*;
use crate::venue::{MendedBy, exchange::EXCHANGE};

fn gaps(actions: Vec<Action>) -> Vec<Gap> {
    told(actions).into_iter().filter_map(|told| if let Told::Gap(gap) = told { Some(gap) } else { None }).collect()
}

/// How it was found, what was to come, what came, and of what.
fn short(gap: &Gap) -> (Found, Option<u64>, Option<u64>, String) {
    (
        gap.found,
        gap.expected,
        gap.got,
        format!("{} {}", gap.channels.join(","), gap.products.join(",")).trim().to_owned(),
    )
}

fn subscribed(channels: &[&str]) -> Script {
    begun(channels, Stance::new(false))
}

/// A connection on which everything is accepted.
fn begun(channels: &[&str], stance: Stance) -> Script {
    let mut script = Script::new(channels, stance);
    while !script.session.is_settled() {
        script.does();
        script.acks(&[&["heartbeats"], channels].concat());
        assert_eq!(gaps(script.does()), []);
    }
    script.beats();
    script
}

fn trades(script: &mut Script, ids: &[u64]) {
    let list: Vec<_> = ids.iter().rev().map(|id| format!(r#"{{"product_id":"BTC-USD","trade_id":"{id}"}}"#)).collect();
    script.says(&format!(
        r#"{{"channel":"market_trades","sequence_num":0,"events":[{{"trades":[{}]}}]}}"#,
        list.join(",")
    ));
}

/// Acks and heartbeats have numbers, a channel that is not known has one, and a refusal has none: a checker that left one of
/// these out told a gap a subscribe, or reconnected for ever (JKorf/Bitfinex.Net#183).
#[test]
fn every_message_with_a_number_counts() {
    let mut script = subscribed(&["ticker"]);
    for message in [
        r#"{"channel":"brand_new","sequence_num":0,"events":[{"x":1}]}"#,
        r#"{"type":"error","message":"failure to subscribe"}"#,
        r#"{"channel":"status","sequence_num":0,"events":[]}"#,
        "no JSON",
    ] {
        script.says(message);
    }
    script.brings("ticker", "BTC-USD").beats().acks(&["heartbeats", "ticker"]);
    assert_eq!(gaps(script.does()), []);
}

/// JKorf/Bitfinex.Net#183: a channel that the client did not know broke its sequence check, and it reconnected for ever.
#[test]
fn unknown_messages_count_and_break_nothing() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.acks(&["heartbeats", "ticker"]).says(r#"{"channel":"brand_new","sequence_num":0,"events":[]}"#);
    script.says("not json").says(r#"{"type":"surprise"}"#);
    assert_eq!(script.session.last_sequence(), Some(1));
    assert!(!script.does().iter().any(|action| !matches!(action, Action::Tell(Told::Subscribed { .. }))));
}

#[test]
fn a_hole_and_a_step_back_are_told_once_each() {
    let mut script = subscribed(&["ticker"]);
    let due = script.sequence;
    script.sequence += 3;
    script.brings("ticker", "BTC-USD").beats();
    let hole = gaps(script.does());
    let all = "heartbeats,ticker BTC-USD,ETH-USDC".to_owned();
    assert_eq!(short(&hole[0]), (Found::Hole, Some(due), Some(due + 3), all.clone()));
    assert_eq!((hole.len(), hole[0].missed, hole[0].counted_by), (1, Some(3), Some("sequence_num")));
    assert_eq!(hole[0].mended_by, MendedBy::Nothing, "a ticker is said once");

    script.sequence = 0;
    script.brings("ticker", "BTC-USD").beats();
    let back = gaps(script.does());
    assert_eq!((back.len(), short(&back[0])), (1, (Found::Back, Some(due + 5), Some(0), all)));
    assert_eq!(back[0].missed, Some(0));
}

#[test]
fn a_connection_that_does_not_begin_with_0_has_a_gap_before_it() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.asks();
    script.sequence = 2;
    script.acks(&["heartbeats"]);
    let all = "heartbeats,ticker BTC-USD,ETH-USDC".to_owned();
    assert_eq!(short(&gaps(script.does())[0]), (Found::Hole, Some(0), Some(2), all));
}

/// ccxt#26945, altangent/ccxws#185, bennycode/coinbase-pro-node#102: after a reconnect nobody could say what was missed, or
/// that anything was.
#[test]
fn between_two_connections_each_channel_and_product_has_a_gap_of_its_own() {
    let mut script = subscribed(&["ticker", "market_trades"]);
    script.wait(1000).brings("ticker", "BTC-USD").wait(1000).brings("ticker", "ETH-USD");
    trades(&mut script, &[100, 101]);
    assert_eq!(gaps(script.does()), []);

    let mut next = begun(&["ticker", "market_trades"], script.session.into_stance());
    next.brings("ticker", "BTC-USD").brings("ticker", "BTC-USD").brings("ticker", "ETH-USD");
    trades(&mut next, &[105, 106]);
    trades(&mut next, &[107]);
    let gaps = gaps(next.does());
    let told: Vec<_> = gaps.iter().map(short).collect();
    assert_eq!(
        told,
        [
            (Found::Reconnect, None, None, "ticker BTC-USD".into()),
            (Found::Reconnect, None, None, "ticker ETH-USD".into()),
            (Found::Reconnect, Some(102), Some(105), "market_trades BTC-USD".into()),
        ]
    );
    assert_eq!(gaps[0].from, Some(UNIX_EPOCH + Duration::from_secs(1)), "the last that came before");
    assert_eq!((gaps[2].missed, gaps[2].counted_by), (Some(3), Some("trade_id")));
    let mended: Vec<_> = gaps.iter().map(|gap| gap.mended_by).collect();
    assert_eq!(mended, [MendedBy::Nothing, MendedBy::Nothing, MendedBy::Rest]);
}

#[test]
fn trades_that_the_snapshot_reaches_back_to_are_not_missing() {
    let mut script = subscribed(&["market_trades"]);
    trades(&mut script, &[100, 101]);
    let mut next = begun(&["market_trades"], script.session.into_stance());
    trades(&mut next, &(50..150).collect::<Vec<_>>());
    trades(&mut next, &[150]);
    assert_eq!(gaps(next.does()), []);
    let mut third = begun(&["market_trades"], next.session.into_stance());
    trades(&mut third, &[151, 152]);
    assert_eq!(gaps(third.does()), [], "nobody traded meanwhile");
}

/// Of two that are missing one is late: it says nothing of the other.
#[test]
fn a_late_message_settles_no_hole() {
    let mut script = subscribed(&["market_trades"]);
    trades(&mut script, &[100]);
    let due = script.sequence;
    script.sequence = due + 2;
    script.beats();
    script.sequence = due;
    trades(&mut script, &[101]);
    script.sequence = due + 3;
    trades(&mut script, &[103]);
    let told: Vec<_> = gaps(script.does()).iter().map(short).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2], (Found::Hole, Some(102), Some(103), "market_trades BTC-USD".into()));
}

/// Nor were those of a tape that goes back further than the count's last hole: a snapshot that tells nothing new is no step
/// back.
#[test]
fn a_snapshot_of_what_was_told_before_is_no_step_back() {
    let mut script = subscribed(&["market_trades"]);
    trades(&mut script, &(7..107).collect::<Vec<_>>());
    script.sequence += 1;
    script.beats();
    assert_eq!(gaps(script.does()).len(), 1, "a heartbeat was lost");
    trades(&mut script, &(7..107).collect::<Vec<_>>());
    trades(&mut script, &[107]);
    assert_eq!(gaps(script.does()), []);
}

/// Snapshots stand before their ack, and one that is lost leaves a book that is wrong from its first message.
#[test]
fn a_hole_before_the_ack_names_what_is_asked_for_and_a_lost_book_is_asked_for_anew() {
    let mut script = Script::new(&["level2"], Stance::new(false));
    assert_eq!(script.asks(), ["heartbeats", "level2"]);
    script.acks(&["heartbeats"]);
    script.sequence += 1;
    script.brings("level2", "ETH-USD").acks(&["heartbeats", "level2"]);
    let mut asks = Vec::new();
    for action in script.does() {
        match action {
            Action::Tell(Told::Gap(gap)) => {
                assert_eq!((gap.channels, gap.mended_by), (vec!["heartbeats", "level2"], MendedBy::Book));
            }
            Action::Ask(ask) => asks.push(script.session.subscribe(&ask).unsubscribes),
            _ => {}
        }
    }
    assert_eq!(asks, [true], "let go, and then asked for anew");
}

/// The answer to a subscribe that falls into a hole is not waited for: it is asked again.
#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    assert_eq!(script.asks(), ["heartbeats", "ticker"]);
    script.acks(&["heartbeats"]).brings("ticker", "BTC-USD");
    script.sequence += 1;
    script.beats().does();
    for second in 0..5 {
        assert_eq!(script.asks(), Vec::<String>::new(), "{second}");
        script.wait(1000).beats().brings("ticker", "BTC-USD");
    }
    assert_eq!(script.asks(), ["ticker"]);
    script.acks(&["heartbeats", "ticker"]);
    assert!(script.does().iter().any(|action| matches!(action, Action::Tell(Told::Subscribed { .. }))));
}

/// A later list that lacks what was accepted: it is said, and asked for again.
#[test]
fn what_vanishes_from_a_later_ack_is_asked_for_again() {
    let mut script = subscribed(&["ticker"]);
    script.says(
        r#"{"channel":"subscriptions","sequence_num":1,"events":[{"subscriptions":{"heartbeats":["heartbeats"],"ticker":["BTC-USD"]}}]}"#,
    );
    let omitted = vec![("ticker", "ETH-USDC".to_owned())];
    let channels = vec!["heartbeats", "ticker"];
    assert_eq!(told(script.does()), [Told::Subscribed { channels, omitted }]);
    assert_eq!(script.session.left_out(), 1);
    for _ in 0..10 {
        script.brings("ticker", "BTC-USD").wait(1000).beats();
    }
    assert_eq!(script.asks(), ["ticker"]);
    script.acks(&["heartbeats", "ticker"]).does();
    assert_eq!(script.session.left_out(), 0);
}

/// Advanced Trade's `status` is of all products at once, whatever was asked for: a product of it is never missed.
#[test]
fn what_names_no_product_is_covered_as_a_whole() {
    let mut script = subscribed(&["status"]);
    let status = r#"{"channel":"status","sequence_num":0,"events":[{"products":[{"id":"BTC-USD"}]}]}"#;
    script.says(status);
    let mut next = begun(&["status"], script.session.into_stance());
    next.says(status);
    assert_eq!(gaps(next.does()).len(), 1);
    assert_eq!(next.session.into_stance().coverage.open(true), []);
}

/// Trade ids are looked at where the connection's count has a hole: they say what of it is to be asked for by REST.
#[test]
fn a_hole_says_which_trades_are_missing() {
    let mut script = subscribed(&["market_trades"]);
    trades(&mut script, &[100]);
    trades(&mut script, &[104]);
    assert_eq!(gaps(script.does()), [], "the count of the connection has no hole, so nothing was left out");
    script.sequence += 1;
    trades(&mut script, &[108, 109]);
    let told: Vec<_> = gaps(script.does()).iter().map(short).collect();
    assert_eq!(told[1], (Found::Hole, Some(105), Some(108), "market_trades BTC-USD".into()));
    assert_eq!((told.len(), told[0].0), (2, Found::Hole));
}

/// bmoscon/cryptofeed#291: one hole had every book fetched anew. A plain resubscribe brings no snapshot, so it is let go first.
#[test]
fn after_a_hole_the_books_and_nothing_else_are_asked_for_anew() {
    let mut script = subscribed(&["level2", "ticker"]);
    script.brings("level2", "BTC-USD").brings("ticker", "BTC-USD").does();
    script.sequence += 1;
    script.brings("level2", "BTC-USD");
    let asks = |script: &mut Script| -> Vec<_> {
        let asks = script.does().into_iter().filter_map(|action| match action {
            Action::Ask(ask) => Some(script.session.subscribe(&ask).clone()),
            _ => None,
        });
        asks.map(|subscribe| (subscribe.unsubscribes, subscribe.channels[0].name)).collect()
    };
    assert_eq!(asks(&mut script), [(true, "level2")]);
    assert_eq!(script.session.missing(script.now), Vec::<&str>::new());
    assert!(!script.session.is_refused_all());
    script.acks(&["heartbeats", "ticker"]);
    assert_eq!(asks(&mut script), [(false, "level2")]);
    script.brings("level2", "BTC-USD").acks(&["heartbeats", "ticker", "level2"]).does();

    // A venue that counts wrongly is not asked for megabytes each second.
    for _ in 0..59 {
        script.wait(1000).beats();
        script.sequence += 1;
        script.brings("ticker", "BTC-USD").brings("level2", "BTC-USD");
        assert_eq!(asks(&mut script), []);
    }
    script.wait(1000).beats();
    assert_eq!(asks(&mut script), [(true, "level2")]);
}

/// What has not come again is told at the end, and what nobody asks for any more is not.
#[test]
fn what_has_not_gone_on_is_open() {
    let mut script = subscribed(&["ticker"]);
    script.brings("ticker", "BTC-USD");
    let mut next = begun(&["ticker"], script.session.into_stance());
    next.brings("ticker", "BTC-USD");
    let coverage = next.session.into_stance().coverage;
    let open: Vec<_> = coverage.open(true).iter().map(short).collect();
    assert_eq!(open, [(Found::Stopped, None, None, "ticker ETH-USD".into())]);
    assert_eq!(coverage.open(false).len(), 2, "in an outage all is");

    let mut stance = Stance::new(false);
    stance.coverage = coverage;
    let one = [Product::parse("BTC-USD").expect("spelt right")];
    let less = Script::at(&MARKET, &["ticker"], &one, stance, IfRefused::Public);
    assert_eq!(less.session.stance().coverage.open(false).len(), 1);
}

fn at_the_exchange(channels: &[&str], stance: Stance) -> Script {
    let products = [Product::parse("BTC-USD").expect("spelt right")];
    let mut script = Script::at(&EXCHANGE, channels, &products, stance, IfRefused::Public);
    while !script.session.is_settled() {
        script.does();
        let all: Vec<_> = ["heartbeat"]
            .iter()
            .chain(channels)
            .map(|name| format!(r#"{{"name":"{name}","product_ids":["BTC-USD"]}}"#))
            .collect();
        script.says(&format!(r#"{{"type":"subscriptions","channels":[{}]}}"#, all.join(",")));
    }
    script.does();
    script
}

fn orders(script: &mut Script, kind: &str, numbers: &[u64]) {
    for number in numbers {
        script.says(&format!(r#"{{"type":"{kind}","product_id":"BTC-USD","sequence":{number},"trade_id":{number}}}"#));
    }
}

/// `coinbase-pro-node#280`, `coinbasepro-python#365`: sequences were missing on `full`. `coinbase-pro-node#227`: a heartbeat's and a ticker's skip, and are
/// no loss.
#[test]
fn at_the_exchange_only_what_promises_to_have_no_holes_has_gaps() {
    let mut script = at_the_exchange(&["full", "ticker"], signed());
    orders(&mut script, "ticker", &[5, 9, 3]);
    orders(&mut script, "heartbeat", &[5, 12]);
    orders(&mut script, "open", &[20, 21]);
    orders(&mut script, "match", &[22]);
    orders(&mut script, "done", &[25, 26]);
    let told: Vec<_> = gaps(script.does()).iter().map(short).collect();
    assert_eq!(told, [(Found::Hole, Some(23), Some(25), "full BTC-USD".into())]);

    let mut script = at_the_exchange(&["matches"], signed());
    orders(&mut script, "last_match", &[7]);
    orders(&mut script, "match", &[8, 9, 12]);
    let told: Vec<_> = gaps(script.does()).iter().map(short).collect();
    assert_eq!(told, [(Found::Hole, Some(10), Some(12), "matches BTC-USD".into())]);
    let mut next = at_the_exchange(&["matches"], script.session.into_stance());
    orders(&mut next, "last_match", &[15]);
    let told: Vec<_> = gaps(next.does()).iter().map(short).collect();
    assert_eq!(told, [(Found::Reconnect, Some(13), Some(15), "matches BTC-USD".into())]);
}

#[test]
fn messages_that_two_channels_send_are_no_steps_back() {
    let mut script = at_the_exchange(&["full", "matches", "user"], signed());
    orders(&mut script, "open", &[20]);
    orders(&mut script, "match", &[21, 21]);
    orders(&mut script, "done", &[22, 22, 21, 23]);
    assert_eq!(gaps(script.does()), []);
}

#[test]
fn what_a_user_is_told_of_its_own_orders_skips() {
    let mut script = at_the_exchange(&["user"], signed());
    orders(&mut script, "open", &[20, 30]);
    orders(&mut script, "match", &[41, 47]);
    assert_eq!(gaps(script.does()), []);
}
