//! A leg that carries something else from one moment on.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::subsequence};

use super::*;

/// A script whose session carries `products` of `channels`, all answered.
fn carrying(channels: &[&str], products: &[&str], stance: Stance) -> Script {
    let mut script = Script::new(channels, stance);
    let now = script.now;
    script.session = Session::new(&MARKET, &leg(channels, products), IfRefused::Public, script.session.stance, now);
    script.asks();
    script.list(&[]);
    for upto in 1..=channels.len() {
        let list: Vec<_> = channels[..upto].iter().map(|channel| (*channel, products)).collect();
        script.list(&list);
        script.asks();
    }
    script.beats();
    script.does();
    script
}

fn leg(channels: &[&str], products: &[&str]) -> Vec<Subscribe> {
    let channels: Vec<_> = channels.iter().map(|name| MARKET.channel(name).expect("a channel")).collect();
    let products: Vec<_> = products.iter().map(|id| Product::parse(id).expect("spelt right")).collect();
    MARKET.legs(&channels, &products, &[]).remove(0)
}

impl Script {
    /// An ack with this list, and the heartbeats.
    fn list(&mut self, list: &[(&str, &[&str])]) {
        let list: Vec<_> = list.iter().map(|(channel, products)| format!(r#","{channel}":{products:?}"#)).collect();
        let list = list.concat();
        self.says(&format!(
            r#"{{"channel":"subscriptions","sequence_num":1,"events":[{{"subscriptions":{{"heartbeats":["heartbeats"]{list}}}}}]}}"#
        ));
    }

    /// What it asks for now, as "+ticker A B" and "-ticker C"; a `*` behind what it signs.
    fn changes(&mut self) -> Vec<String> {
        let asks: Vec<_> =
            self.does().into_iter().filter_map(|a| if let Action::Ask(ask) = a { Some(ask) } else { None }).collect();
        let text = |ask: &Ask| {
            let subscribe = self.session.subscribe(ask);
            let products: Vec<_> = subscribe.products.iter().map(Product::as_str).collect();
            let sign = if subscribe.unsubscribes { '-' } else { '+' };
            let signed = if ask.signed { "*" } else { "" };
            format!("{sign}{} {}{signed}", subscribe.channels[0].name, products.join(" "))
        };
        asks.iter().map(text).collect()
    }
}

#[test]
fn what_is_new_is_asked_for_and_what_is_gone_is_taken_away_one_by_one() {
    let mut script = carrying(&["ticker", "level2"], &["A-USD", "B-USD"], signed());
    script.session.change(&leg(&["ticker", "level2"], &["B-USD", "C-USD"]));
    assert_eq!(script.changes(), ["-ticker A-USD*"]);
    script.list(&[("ticker", &["B-USD"]), ("level2", &["A-USD", "B-USD"])]);
    assert_eq!(script.changes(), ["-level2 A-USD*"]);
    script.list(&[("ticker", &["B-USD"]), ("level2", &["B-USD"])]);
    assert_eq!(script.changes(), ["+ticker C-USD*"]);
    script.list(&[("ticker", &["C-USD", "B-USD"]), ("level2", &["B-USD"])]);
    assert_eq!(script.changes(), ["+level2 C-USD*"], "the venue has not answered this one yet");
    script.list(&[("ticker", &["C-USD", "B-USD"]), ("level2", &["B-USD"])]);
    let omitted = vec![("level2", "C-USD".to_owned())];
    let channels = vec!["heartbeats", "level2", "ticker"];
    assert_eq!(told(script.does()), [Told::Subscribed { channels, omitted }]);
    assert_eq!(script.session.stance().approach, Approach::Together);

    // And again: the pieces are one.
    script.session.change(&leg(&["ticker", "level2"], &["D-USD"]));
    assert_eq!(script.changes(), ["-ticker B-USD C-USD*"]);
}

#[test]
fn no_change_asks_nothing_and_a_change_that_is_taken_back_neither() {
    let mut script = carrying(&["ticker"], &["A-USD", "B-USD"], signed());
    script.session.change(&leg(&["ticker"], &["B-USD", "A-USD"]));
    assert_eq!(script.does(), []);
    script.session.change(&leg(&["ticker"], &["A-USD"]));
    script.session.change(&leg(&["ticker"], &["A-USD", "B-USD"]));
    assert_eq!(script.does(), []);
}

/// The ack of what was asked before lists the whole set, without the new.
#[test]
fn a_change_waits_for_what_is_pending() {
    let mut script = Script::new(&["ticker"], signed());
    assert_eq!(script.asks(), ["heartbeats*", "ticker*"]);
    script.session.change(&leg(&["ticker"], &["BTC-USD", "ETH-USDC", "C-USD"]));
    assert_eq!(script.changes(), Vec::<String>::new());
    script.list(&[]);
    assert_eq!(script.changes(), Vec::<String>::new());
    script.list(&[("ticker", &["BTC-USD", "ETH-USD"])]);
    assert_eq!(script.changes(), ["+ticker C-USD*"]);
}

#[test]
fn a_change_before_anything_was_asked_is_asked_as_one() {
    let mut script = Script::new(&["ticker"], Stance::new(false));
    script.session.change(&leg(&["ticker"], &["ETH-USDC"]));
    assert_eq!(script.changes(), ["+heartbeats ", "+ticker ETH-USDC"]);
}

#[test]
fn a_channel_of_which_all_is_gone_is_not_asked_without_products() {
    let mut script = carrying(&["ticker"], &["A-USD"], signed());
    script.session.change(&leg(&["ticker"], &["B-USD"]));
    assert_eq!(script.changes(), ["-ticker A-USD*"]);
    script.list(&[]);
    assert_eq!(script.changes(), ["+ticker B-USD*"]);
    script.list(&[("ticker", &["B-USD"])]);
    assert!(matches!(&told(script.does())[..], [Told::Subscribed { omitted, .. }] if omitted.is_empty()));
}

#[test]
fn a_refused_unsubscribe_condemns_nobody_and_is_let_be() {
    let mut script = carrying(&["ticker"], &["A-USD", "B-USD"], signed());
    script.session.change(&leg(&["ticker"], &["A-USD", "C-USD"]));
    assert_eq!(script.changes(), ["-ticker B-USD*"]);
    script.refuses(REFUSED);
    assert_eq!(script.changes(), ["+ticker C-USD*"], "the new need not wait for it");
    script.list(&[("ticker", &["A-USD", "B-USD", "C-USD"])]);
    script.does();
    assert_eq!(script.wait(1000).changes(), ["-ticker B-USD*"], "once more, with a new signature");
    script.refuses(REFUSED);
    assert!(matches!(told(script.does())[..], [Told::Refused { confirmed: true, .. }, Told::Subscribed { .. }]));
    script.beats();
    assert_eq!(script.wait(9000).changes(), Vec::<String>::new());
    assert_eq!((script.session.stance().signing, script.session.stance().refusals), (Signing::Every, 0));
}

#[test]
fn what_was_refused_to_be_taken_away_and_is_wanted_again_is_there() {
    let mut script = carrying(&["ticker"], &["A-USD", "B-USD"], signed());
    script.session.change(&leg(&["ticker"], &["A-USD"]));
    assert_eq!(script.changes(), ["-ticker B-USD*"]);
    script.refuses(REFUSED);
    script.session.change(&leg(&["ticker"], &["A-USD", "B-USD"]));
    assert!(matches!(told(script.does())[..], [Told::Refused { .. }, Told::Subscribed { .. }]));
    assert_eq!(script.wait(1000).changes(), Vec::<String>::new());
    assert!(script.session.is_settled());
}

#[test]
fn a_new_product_that_is_refused_costs_no_other() {
    let mut script = carrying(&["level2"], &["A-USD"], signed());
    script.session.change(&leg(&["level2"], &["A-USD", "B-USD"]));
    assert_eq!(script.changes(), ["+level2 B-USD*"]);
    script.refuses("too many L2 streams requested in a single session");
    assert!(!script.does().iter().any(|action| matches!(action, Action::End(_))));
    assert_eq!(script.session.missing(script.now), Vec::<&str>::new(), "the channel is there");
}

/// A venue in a few lines: it does what it is told, and tells the whole set.
#[derive(Default)]
struct Books(BTreeMap<&'static str, BTreeSet<String>>);

impl Books {
    /// Answers one ask of the script's, if it has one; whether it had.
    fn answer(&mut self, script: &mut Script) -> bool {
        while let Some(action) = script.session.poll(script.now) {
            let Action::Ask(ask) = action else { continue };
            let subscribe = script.session.subscribe(&ask).clone();
            let channel = subscribe.channels[0];
            let products = subscribe.products.iter().map(ToString::to_string);
            assert!(channel.heartbeat || products.len() > 0, "no products would mean all of them");
            let set = self.0.entry(channel.name).or_default();
            if subscribe.unsubscribes {
                assert!(products.into_iter().all(|product| set.remove(&product)), "only what is there is taken away");
            } else {
                set.extend(products);
            }
            script.session.sent(script.now);
            let list: Vec<(&str, Vec<&str>)> = self
                .0
                .iter()
                .filter(|(name, set)| **name != "heartbeats" && !set.is_empty())
                .map(|(name, set)| (*name, set.iter().map(String::as_str).collect()))
                .collect();
            let list: Vec<_> = list.iter().map(|(name, set)| (*name, &set[..])).collect();
            script.list(&list);
            return true;
        }
        false
    }
}

proptest! {
    /// Whatever comes in between, once all is answered the venue sends what is wanted and nothing else, and nothing counts
    /// as left out.
    #[test]
    fn after_any_changes_the_venue_sends_what_is_wanted(
        lists in vec((subsequence(vec!["A-USD", "B-USD", "C-USD", "D-USD"], 1..=4), 0..6_usize), 1..6)
    ) {
        const CHANNELS: &[&str] = &["ticker", "level2"];
        let (mut script, mut books) = (Script::new(&[], signed()), Books::default());
        script.session = Session::new(&MARKET, &leg(CHANNELS, &["A-USD"]), IfRefused::Public, signed(), script.now);
        for (list, answers) in &lists {
            script.session.change(&leg(CHANNELS, list));
            for _ in 0..*answers {
                books.answer(&mut script);
            }
        }
        let (last, _) = lists.last().expect("at least one");
        while books.answer(&mut script) {}
        prop_assert!(script.session.is_settled());
        prop_assert_eq!(script.session.missing(script.now), Vec::<&str>::new());
        prop_assert!(script.session.subscriptions.iter().all(|subscription| subscription.omitted.is_empty()));
        for channel in CHANNELS {
            let wanted: BTreeSet<_> = last.iter().map(ToString::to_string).collect();
            prop_assert_eq!(&books.0[channel], &wanted, "{}", channel);
        }
    }
}
