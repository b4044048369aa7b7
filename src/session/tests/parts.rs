//! A venue that refuses all of a message for a part of it.

use std::collections::BTreeSet;

use super::*;
use crate::venue::exchange::EXCHANGE;

/// A session at the Exchange with the venue at its other end, which knows every product but some.
struct Play {
    script: Script,
    bad: Vec<&'static str>,
    /// Whether it says which product it dislikes.
    names: bool,
    /// A channel of which it says something else, and what.
    dislikes: Option<(&'static str, &'static str)>,
    /// What it took, by channel.
    taken: BTreeSet<(&'static str, String)>,
    /// Messages that it was sent.
    asked: usize,
}

fn products(count: usize) -> Vec<Product> {
    (0..count).map(|i| Product::parse(&format!("P{i}-USD")).expect("spelt right")).collect()
}

impl Play {
    fn new(channels: &[&str], count: usize, bad: &[&'static str], names: bool, stance: Stance) -> Self {
        let script = Script::at(&EXCHANGE, channels, &products(count), stance, IfRefused::Public);
        Self { script, bad: bad.to_vec(), names, dislikes: None, taken: BTreeSet::new(), asked: 0 }
    }

    /// Until nothing is asked any more: what was told.
    fn settle(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let Some(action) = self.script.session.poll(self.script.now) else { return all };
            match action {
                Action::Ask(ask) => {
                    let subscribe = self.script.session.subscribe(&ask).clone();
                    self.script.session.sent(self.script.now);
                    self.asked += 1;
                    self.answer(&subscribe);
                }
                Action::Tell(told) => all.push(told),
                Action::Ping => self.script.session.handle_pong(self.script.now),
                Action::End(cause) => panic!("{cause:?}"),
            }
        }
    }

    fn answer(&mut self, subscribe: &Subscribe) {
        if let Some(bad) = subscribe.products.iter().find(|product| self.bad.contains(&product.as_str())) {
            let name = if self.names { bad.as_str() } else { "" };
            return self.refuses(&format!("{name} is not a valid product"));
        }
        if let Some((channel, words)) = self.dislikes
            && subscribe.channels.iter().any(|asked| asked.name == channel || channel == "any")
        {
            return self.refuses(words);
        }
        for channel in &subscribe.channels {
            self.taken.extend(subscribe.products.iter().map(|product| (channel.name, product.to_string())));
        }
        self.acks();
    }

    /// Whether the venue refused something before all was asked.
    fn until_refused(&mut self) -> bool {
        while let Some(action) = self.script.session.poll(self.script.now) {
            if let Action::Tell(Told::Refused { .. }) = &action {
                return true;
            }
            if let Action::Ask(ask) = action {
                let subscribe = self.script.session.subscribe(&ask).clone();
                self.script.session.sent(self.script.now);
                self.answer(&subscribe);
            }
        }
        false
    }

    fn refuses(&mut self, words: &str) {
        self.script.says(&format!(r#"{{"type":"error","message":"Failed to subscribe","reason":"{words}"}}"#));
    }

    /// Beats for so many seconds, doing what is due: what was told.
    fn goes_on(&mut self, seconds: u64) -> Vec<Told> {
        let mut all = Vec::new();
        for _ in 0..seconds {
            self.beats_for(1);
            all.extend(self.settle());
        }
        all
    }

    fn channels(&self) -> BTreeSet<&'static str> {
        self.taken.iter().map(|(channel, _)| *channel).collect()
    }

    fn acks(&mut self) {
        let mut listed = std::collections::BTreeMap::<_, Vec<_>>::new();
        for (channel, product) in &self.taken {
            listed.entry(*channel).or_default().push(product.clone());
        }
        let channels: Vec<_> =
            listed.iter().map(|(name, ids)| serde_json::json!({"name": name, "product_ids": ids})).collect();
        self.script.says(&serde_json::json!({"type": "subscriptions", "channels": channels}).to_string());
    }

    fn beats_for(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.script
                .says(r#"{"type":"heartbeat","sequence":1,"last_trade_id":1,"product_id":"P0-USD"}"#)
                .wait(1_000);
            for (channel, product) in &self.taken {
                let kind = match *channel {
                    "ticker" => "ticker",
                    "matches" => "last_match",
                    "level2" | "level2_batch" => "snapshot",
                    _ => continue,
                };
                self.script.says(&format!(r#"{{"type":"{kind}","product_id":"{product}"}}"#));
            }
        }
    }

    fn tickers(&self) -> usize {
        self.taken.iter().filter(|(channel, _)| *channel == "ticker").count()
    }
}

fn apart(told: &[Told]) -> Vec<&str> {
    let named = |told| match told {
        &Told::Refused { product: Some(ref product), confirmed: true, .. } => Some(product.as_str()),
        _ => None,
    };
    told.iter().filter_map(named).collect()
}

/// `gocryptotrader#1421`, `coinbase-pro-node#174`: one product that the venue does not know, and nothing of the forty-nine
/// others was subscribed.
#[test]
fn one_bad_product_of_fifty_is_kept_apart_and_named() {
    for (names, most) in [(true, 3), (false, 14)] {
        let mut play = Play::new(&["ticker"], 50, &["P17-USD"], names, Stance::new(false));
        let told = play.settle();
        assert_eq!(play.tickers(), 49, "names: {names}");
        assert_eq!(apart(&told), ["P17-USD"]);
        assert!(play.asked <= most, "{} messages", play.asked);
        let omitted = |channel| (channel, "P17-USD".to_owned());
        let subscribed = Told::Subscribed {
            channels: vec!["heartbeat", "ticker"],
            omitted: vec![omitted("heartbeat"), omitted("ticker")],
        };
        assert_eq!(told.last(), Some(&subscribed));
    }
}

#[test]
fn several_bad_ones_are_all_found_and_the_next_connection_knows_them() {
    for names in [true, false] {
        let bad = ["P0-USD", "P7-USD", "P8-USD", "P49-USD"];
        let mut play = Play::new(&["ticker", "matches"], 50, &bad, names, Stance::new(false));
        assert_eq!(apart(&play.settle()).len(), 4);
        assert_eq!(play.tickers(), 46);

        let stance = play.script.session.into_stance();
        let mut next = Play::new(&["ticker", "matches"], 50, &bad, names, stance);
        let told = next.settle();
        assert_eq!((next.asked, next.tickers()), (1, 46), "it asks once, for what is good");
        assert_eq!(apart(&told), [""; 0], "told once");
        assert!(matches!(told.last(), Some(Told::Subscribed { omitted, .. }) if omitted.len() == 12), "{told:?}");
    }
}

#[test]
fn a_product_that_is_listed_later_is_taken_up() {
    let mut play = Play::new(&["ticker"], 3, &["P1-USD"], true, Stance::new(false));
    play.settle();
    play.beats_for(9);
    play.settle();
    assert_eq!((play.asked, play.tickers()), (2, 2), "not asked again so soon");
    play.beats_for(1);
    play.settle();
    assert_eq!((play.asked, play.tickers()), (3, 2), "asked alone");
    play.bad.clear();
    play.beats_for(20);
    let told = play.settle();
    assert_eq!((play.asked, play.tickers()), (4, 3));
    assert!(matches!(told.last(), Some(Told::Subscribed { omitted, .. }) if omitted.is_empty()), "{told:?}");
    assert!(play.script.session.stance().apart.is_empty());
}

#[test]
fn a_feed_of_nothing_but_bad_products_says_so_and_goes_on_asking() {
    let mut play = Play::new(&["ticker"], 2, &["P0-USD", "P1-USD"], true, Stance::new(false));
    play.settle();
    assert!(play.script.session.is_refused_all());
    let mut next = Play::new(&["ticker"], 2, &[], true, play.script.session.into_stance());
    next.settle();
    assert_eq!(next.tickers(), 2, "the next connection asks at once: the venue closes on whoever does not");
}

#[test]
fn a_message_that_was_too_big_is_sent_in_pieces() {
    let mut script = Script::at(&EXCHANGE, &["ticker"], &products(9), Stance::new(false), IfRefused::Public);
    assert_eq!(script.asks(), ["heartbeat"]);
    script.session.handle_close(None, "Message too big");
    let stance = script.session.into_stance();
    assert_eq!(stance.most, Some(5));
    let mut next = Script::at(&EXCHANGE, &["ticker"], &products(9), stance, IfRefused::Public);
    assert_eq!(next.asks(), ["heartbeat"], "one after the other");
    let list = |ids: &[&str]| {
        let channel = |name| serde_json::json!({"name": name, "product_ids": ids});
        serde_json::json!({"type": "subscriptions", "channels": [channel("heartbeat"), channel("ticker")]}).to_string()
    };
    let subscribed = |told: &[Told]| told.iter().any(|told| matches!(told, Told::Subscribed { .. }));
    assert_eq!(next.says(&list(&["P0-USD", "P4-USD"])).asks(), ["heartbeat"]);
    assert!(subscribed(&told(next.says(&list(&["P0-USD", "P4-USD", "P8-USD"])).does())));
}

/// What was accepted unsigned stays so on its connection: at the Exchange asking again signed changes nothing of it.
#[test]
fn credentials_that_are_good_again_sign_what_was_waiting() {
    let mut stance = signed();
    stance.signing = Signing::Refused { probe: Instant::now(), wait: FIRST_PROBE };
    let mut script = Script::at(&EXCHANGE, &["ticker", "user"], &products(1), stance, IfRefused::Public);
    assert_eq!(script.asks(), ["heartbeat"]);
    let list = |names: &[&str]| {
        let channels: Vec<_> =
            names.iter().map(|name| serde_json::json!({"name": name, "product_ids": ["P0-USD"]})).collect();
        serde_json::json!({"type": "subscriptions", "channels": channels}).to_string()
    };
    assert_eq!(script.says(&list(&["heartbeat", "ticker"])).asks(), ["user*"], "the probe");
    assert_eq!(script.says(&list(&["heartbeat", "ticker", "user"])).asks(), [""; 0], "which was its own subscribe");
    assert!(script.session.is_settled());
}

/// A key that is good again was asked about with a product that is not traded, and taken for bad for ever.
#[test]
fn a_probe_that_is_refused_for_a_product_says_nothing_of_the_key() {
    let mut stance = signed();
    stance.signing = Signing::Refused { probe: Instant::now(), wait: FIRST_PROBE };
    let mut play = Play::new(&["ticker", "full"], 3, &["P1-USD"], true, stance);
    play.goes_on(5);
    assert_eq!(play.channels(), BTreeSet::from(["heartbeat", "ticker", "full"]));
    assert_eq!(play.taken.iter().filter(|(channel, _)| *channel == "full").count(), 2);
    assert!(!play.script.session.stance().is_refused());
}

#[test]
fn a_key_without_a_right_to_one_channel_keeps_no_other_back() {
    let mut play = Play::new(&["ticker", "full", "user", "rfq_matches"], 2, &[], true, signed());
    play.dislikes = Some(("rfq_matches", "Sorry, you could not be authenticated: Unauthorized"));
    play.goes_on(10);
    assert_eq!(play.channels(), BTreeSet::from(["heartbeat", "ticker", "full", "user"]));
    assert_eq!(play.script.session.missing(play.script.now), ["rfq_matches"]);
    assert!(!play.script.session.stance().is_refused(), "the key is good");
}

#[test]
fn a_channel_that_the_venue_no_longer_has_is_found() {
    let mut play = Play::new(&["ticker", "matches", "auctionfeed", "level2_batch"], 5, &[], true, Stance::new(false));
    play.dislikes = Some(("auctionfeed", "auctionfeed is not a valid channel"));
    play.goes_on(20);
    assert_eq!(play.channels(), BTreeSet::from(["heartbeat", "ticker", "matches", "level2_batch"]));
    assert_eq!(play.script.session.missing(play.script.now), ["auctionfeed"]);
}

/// In maintenance a venue refuses everything, and taking it to pieces finds nothing out.
#[test]
fn in_the_venues_own_trouble_nothing_is_divided_for_long() {
    let mut play = Play::new(&["ticker", "matches", "level2_batch"], 50, &[], true, Stance::new(false));
    play.dislikes = Some(("any", "internal error"));
    play.goes_on(60);
    assert!(play.asked < 120, "{} messages in a minute", play.asked);
    assert!(play.script.session.is_refused_all());
    play.dislikes = None;
    play.goes_on(60);
    assert_eq!(play.taken.len(), 200, "and all of it is taken up again");
}

#[test]
fn a_channel_that_the_ack_does_not_name_is_missing() {
    let mut script = Script::at(&EXCHANGE, &["ticker", "status"], &products(1), Stance::new(false), IfRefused::Public);
    let list = serde_json::json!({"type": "subscriptions", "channels": [
        {"name": "heartbeat", "product_ids": ["P0-USD"]}, {"name": "ticker", "product_ids": ["P0-USD"]},
    ]});
    assert_eq!(script.asks(), ["heartbeat"]);
    assert_eq!(script.says(&list.to_string()).asks(), ["status"]);
    let told = told(script.says(&list.to_string()).does());
    let subscribed = Told::Subscribed { channels: vec!["heartbeat", "ticker"], omitted: Vec::new() };
    assert_eq!(told, [subscribed]);
    assert_eq!(script.session.missing(script.now), ["status"]);
    let whole = serde_json::json!({"type": "subscriptions", "channels": [
        {"name": "heartbeat", "product_ids": ["P0-USD"]}, {"name": "ticker", "product_ids": ["P0-USD"]}, {"name": "status"},
    ]});
    let told = self::told(script.says(&whole.to_string()).does());
    assert_eq!((told.len(), script.session.missing(script.now).len()), (1, 0), "and may be named later");
}

/// A server in Go closes with 1009 and not a word when a message is over its limit.
#[test]
fn a_close_with_1009_is_a_message_too_big_though_it_is_not_out_yet() {
    let mut script = Script::at(&EXCHANGE, &["ticker"], &products(9), Stance::new(false), IfRefused::Public);
    assert!(matches!(script.session.poll(script.now), Some(Action::Ask(_))));
    script.session.handle_close(Some(1009), "");
    assert_eq!(script.session.stance().most, Some(5));
}

#[test]
fn a_complaint_explains_an_end_that_comes_soon() {
    let mut script = Script::at(&EXCHANGE, &["ticker"], &products(1), Stance::new(false), IfRefused::Public);
    script.says(r#"{"type":"error","message":"ErrSlowConsume"}"#);
    assert_eq!(script.session.complaint(script.now), Some("ErrSlowConsume"));
    let later = script.now + standing::COMPLAINT_HOLDS;
    assert_eq!(script.session.complaint(later), None);
}

/// A venue that refuses, and says nothing of which product, and closes: what one connection found out the next one knows.
#[test]
fn what_a_connection_found_out_before_it_was_closed_is_not_asked_again() {
    let (mut stance, mut connections, begun) = (Stance::new(false), 0, Instant::now());
    loop {
        connections += 1;
        assert!(connections < 20, "it asks for the same again and again");
        let mut play = Play::new(&["ticker"], 50, &["P17-USD"], false, stance);
        let refused = play.until_refused();
        if !refused {
            assert_eq!(play.tickers(), 49);
            break;
        }
        stance = play.script.session.into_stance();
    }
    assert!(connections > 3 && begun.elapsed() < FIRST_PROBE);
}
