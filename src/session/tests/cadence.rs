//! Connected is not enough: each channel is judged by what it is to bring.

use super::*;
use crate::venue::exchange::EXCHANGE;

/// Seconds pass, with heartbeats and what else `each_second` brings; what is asked for is answered, and where `answers` says so,
/// brought. What was asked for, `-` before what is let go.
struct Market<F> {
    script: Script,
    each_second: F,
    /// The channels that bring something when they are asked for.
    begins: Vec<&'static str>,
}

impl<F: FnMut(u64, &mut Script)> Market<F> {
    fn new(channels: &[&'static str], begins: &[&'static str], each_second: F) -> Self {
        Self::after(channels, begins, Stance::new(false), each_second)
    }

    fn after(channels: &[&'static str], begins: &[&'static str], stance: Stance, each_second: F) -> Self {
        Self { script: Script::new(channels, stance), each_second, begins: begins.to_vec() }
    }

    /// What was asked for in so many seconds, after the first subscribes; or how it ended, and when.
    fn runs(&mut self, seconds: u64) -> Result<Vec<String>, (Cause, u64)> {
        let (mut has, mut asked) = (Vec::new(), Vec::new());
        for second in 0..seconds {
            loop {
                let actions = self.script.does();
                if let Some(Action::End(cause)) = actions.last() {
                    return Err((*cause, second));
                }
                let asks: Vec<_> = actions
                    .iter()
                    .filter_map(|action| if let Action::Ask(ask) = action { Some(ask) } else { None })
                    .map(|ask| self.script.session.subscribe(ask).clone())
                    .collect();
                if asks.is_empty() {
                    break;
                }
                for subscribe in asks {
                    let name = subscribe.channels[0].name;
                    if second > 0 {
                        asked.push(format!("{}{name}", if subscribe.unsubscribes { "-" } else { "" }));
                    }
                    if subscribe.unsubscribes {
                        has.retain(|had| *had != name);
                    } else {
                        has.push(name);
                        if self.begins.contains(&name) {
                            self.script.brings(name, "BTC-USD");
                        }
                    }
                    self.script.acks(&has);
                }
            }
            self.script.beats();
            (self.each_second)(second, &mut self.script);
            self.script.wait(1000);
        }
        Ok(asked)
    }
}

/// AdamastorX/adamastorx#283: 29 hours without trades, since heartbeats came. ccxt#21731: a book that hangs for ever without
/// an error.
#[test]
fn a_channel_that_dies_under_living_heartbeats_is_found() {
    for channel in ["ticker", "ticker_batch", "level2"] {
        let lives = std::cell::Cell::new(true);
        let mut market = Market::new(&[channel, "candles"], &[channel, "candles"], |_, script| {
            if lives.get() {
                script.brings(channel, "BTC-USD");
            }
            script.brings("candles", "BTC-USD");
        });
        assert_eq!(market.runs(150), Ok(vec![]));
        // From now on it is asked for in vain.
        lives.set(false);
        market.begins.clear();
        // A second ago it came last; 60 s, and 5 for a snapshot.
        assert_eq!(market.runs(100), Err((Cause::NoSnapshot, 64)), "{channel}");
        assert_eq!(market.script.session.dead(), [channel]);
    }
}

/// tardis-node#48, alpaca-py#740: quiet products restarted the connection each ten seconds. They cost a snapshot each five
/// minutes.
#[test]
fn a_quiet_product_is_no_dead_one() {
    let mut market = Market::new(&["ticker_batch"], &["ticker_batch"], |_, _| {});
    let asked = market.runs(3600).expect("lives");
    assert_eq!(asked.len(), 2 * 12, "{asked:?}");
    assert_eq!(asked[..2], ["-ticker_batch", "ticker_batch"]);
}

/// The genuine session has holes of ten seconds in candles of two busy products; nobody trades a quiet one for minutes.
#[test]
fn candles_and_trades_take_their_time() {
    let begins = ["market_trades", "candles"];
    let mut market = Market::new(&begins, &begins, |second, script| {
        if second % 590 == 0 {
            script.brings("market_trades", "BTC-USD").brings("candles", "BTC-USD");
        }
    });
    assert_eq!(market.runs(3600), Ok(vec![]));
}

/// `nautilus_trader` PR#4255, alpaca-py PR#744: the subscription was acked, and no data ever came.
#[test]
fn accepted_and_mute_from_the_start_is_found() {
    let mut market = Market::new(&["ticker", "candles"], &["candles"], |_, script| {
        script.brings("candles", "BTC-USD");
    });
    assert_eq!(market.runs(60), Err((Cause::NoData, 15)));
    assert_eq!(market.script.session.dead(), ["ticker"]);
}

#[test]
fn what_is_ones_own_may_be_silent_for_days() {
    let mut market = Market::new(&["user"], &[], |_, _| {});
    assert_eq!(market.runs(86_400), Ok(vec![]));
    assert!(market.script.session.has_delivered(), "heartbeats are all that there is to come");
}

/// Polymarket/real-time-data-client#26: a venue that is down for maintenance is not helped by one reconnect after the other.
#[test]
fn in_maintenance_connections_are_replaced_twice_and_then_seldom() {
    let mut market = Market::new(&["ticker_batch"], &["ticker_batch"], |_, _| {});
    assert!(market.runs(30).is_ok());
    market.begins.clear();
    assert_eq!(market.runs(100), Err((Cause::NoSnapshot, 35)));
    let mut stance = market.script.session.into_stance();
    for within in [15, 600, 600] {
        let mut market = Market::after(&["ticker_batch"], &[], stance, |_, _| {});
        assert_eq!(market.runs(1000), Err((Cause::NoData, within)));
        assert!(!market.script.session.has_delivered() && market.script.session.is_mute(market.script.now));
        stance = market.script.session.into_stance();
    }
    // It is over, on the connection that stands.
    let mut market = Market::after(&["ticker_batch"], &[], stance, |second, script| {
        if second >= 400 {
            script.brings("ticker_batch", "BTC-USD");
        }
    });
    assert_eq!(market.runs(1000), Ok(vec![]));
    assert!(market.script.session.stance().in_vain.is_empty());
    assert!(!market.script.session.is_mute(market.script.now));
}

#[test]
fn a_reader_of_ours_that_stalls_stops_these_clocks() {
    let mut market = Market::new(&["ticker_batch"], &["ticker_batch"], |_, _| {});
    assert!(market.runs(50).is_ok());
    let stall = Duration::from_secs(3600);
    market.script.now += stall;
    market.script.session.shift(stall);
    market.script.wait(0);
    assert_eq!(market.script.does(), []);
    assert_eq!(market.runs(9), Ok(vec![]));
    assert_eq!(market.runs(5).expect("lives").len(), 2, "and run on afterwards");
}

/// A refusal of the question says nothing of the channel.
#[test]
fn a_probe_that_is_refused_is_no_dead_channel() {
    let mut script = Script::new(&["ticker_batch"], Stance::new(false));
    script.asks();
    script.acks(&["heartbeats"]).brings("ticker_batch", "BTC-USD").acks(&["heartbeats", "ticker_batch"]).does();
    for _ in 0..60 {
        script.wait(1000).beats();
    }
    assert_eq!(script.asks(), ["ticker_batch"], "let go");
    script.acks(&["heartbeats"]);
    assert_eq!(script.asks(), ["ticker_batch"]);
    script.refuses("rate limit exceeded");
    for _ in 0..3 {
        script.wait(1000).beats();
    }
    script.asks();
    script.brings("ticker_batch", "BTC-USD").acks(&["heartbeats", "ticker_batch"]);
    for _ in 0..20 {
        script.wait(1000).beats();
        assert!(!script.does().iter().any(|action| matches!(action, Action::End(_))));
    }
}

/// At the Exchange each product's heartbeat counts its trades and its orders: where they go on and the channel does not, it is
/// dead, and where they stand still it is only quiet.
#[test]
fn a_channel_that_falls_behind_its_heartbeats_is_found() {
    let ids = [Product::parse("BTC-USD").expect("spelt right"), Product::parse("BTC-GBP").expect("spelt right")];
    let mut script = Script::at(&EXCHANGE, &["matches"], &ids, signed(), IfRefused::Public);
    script.does();
    script.says(r#"{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["BTC-USD","BTC-GBP"]},{"name":"matches","product_ids":["BTC-USD","BTC-GBP"]}]}"#);
    script.does();
    let beat = |script: &mut Script, product: &str, trade: u64| {
        script.says(&format!(
            r#"{{"type":"heartbeat","product_id":"{product}","sequence":{trade},"last_trade_id":{trade}}}"#
        ));
    };
    let matched = |script: &mut Script, product: &str, trade: u64| {
        script.says(&format!(r#"{{"type":"match","product_id":"{product}","sequence":1,"trade_id":{trade}}}"#));
    };
    for second in 0..600 {
        // Now the heartbeat is first, now what it counts; a quiet product is traded once in 40 s.
        for (product, trade) in [("BTC-USD", second), ("BTC-GBP", second / 40)] {
            let trades = product == "BTC-USD" || second % 40 == 0;
            if trades && second % 80 == 0 {
                matched(&mut script, product, trade);
            }
            beat(&mut script, product, trade);
            if trades && second % 80 != 0 {
                matched(&mut script, product, trade);
            }
        }
        script.wait(1000);
        assert!(!script.does().iter().any(|action| matches!(action, Action::End(_))), "{second}");
    }
    script.begun = script.now;
    let mut trade = 600;
    let end = script.gives_up(|script| {
        trade += 1;
        beat(script, "BTC-USD", trade);
        matched(script, "BTC-GBP", trade);
    });
    assert_eq!(end, (Cause::Behind, 17), "15 s from the third heartbeat on");
}

/// Heartbeats live, and subscribes to data are not answered either: that is maintenance as well.
#[test]
fn maintenance_that_does_not_answer_is_sat_out_too() {
    let mut stance = Stance::new(false);
    for within in [30, 30, 600, 600] {
        let mut script = Script::new(&["ticker_batch"], stance);
        script.asks();
        script.acks(&["heartbeats"]);
        let end = script.gives_up(|script| {
            script.beats();
        });
        assert_eq!(end, (Cause::NoAck, within));
        stance = script.session.into_stance();
    }
}

/// At a venue where one bad product spoils the rest, it is asked for apart; that the venue refuses it again is no word for those
/// that it took.
#[test]
fn a_mute_channel_beside_a_product_that_is_refused_is_found() {
    let ids = [Product::parse("GOOD-USD").expect("spelt right"), Product::parse("BAD-USD").expect("spelt right")];
    let mut script = Script::at(&EXCHANGE, &["matches"], &ids, signed(), IfRefused::Public);
    let refusal = r#"{"type":"error","message":"Failed to subscribe","reason":"BAD-USD is not a valid product"}"#;
    script.does();
    script.says(refusal).does();
    script.says(r#"{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["GOOD-USD"]},{"name":"matches","product_ids":["GOOD-USD"]}]}"#);
    let end = script.gives_up(|script| {
        script.says(r#"{"type":"heartbeat","product_id":"GOOD-USD","sequence":1,"last_trade_id":1}"#);
        if script.now - script.begun == Duration::from_secs(10) {
            script.does();
            script.says(refusal);
        }
    });
    assert_eq!(end, (Cause::NoData, 15));
}
