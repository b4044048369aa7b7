//! A leg that carries something else from one moment on.

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
    MARKET.legs(&channels, &products).remove(0)
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
fn a_new_product_that_is_refused_costs_no_other() {
    let mut script = carrying(&["level2"], &["A-USD"], signed());
    script.session.change(&leg(&["level2"], &["A-USD", "B-USD"]));
    assert_eq!(script.changes(), ["+level2 B-USD*"]);
    script.refuses("too many L2 streams requested in a single session");
    assert!(!script.does().iter().any(|action| matches!(action, Action::End(_))));
    assert_eq!(script.session.missing(), Vec::<&str>::new(), "the channel is there");
}
