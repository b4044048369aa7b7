//! The running daemon when it is refused: it names the cause in one line, goes on with what it can, and comes back by itself.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::Value;
use tickerd::{
    auth::{Credentials, Scheme, Secret},
    clock::Clock,
    simulator::Faults,
    venue::Permissions,
};
use tokio::time::sleep;

use crate::stage::{Play, Plot, cdp_key, hmac_key};

/// The lines of the record.
fn lines(written: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(written).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The data of each event of that name.
fn events(lines: &[Value], name: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["event"] == name).map(|line| line["data"].clone()).collect()
}

/// The first verdict that stands against a second signature.
fn settled(lines: &[Value]) -> String {
    let verdicts =
        events(lines, "refused").into_iter().map(|data| data["verdict"].as_str().expect("a text").to_owned());
    let mut settled = verdicts.filter(|verdict| !verdict.starts_with("refused once"));
    settled.next().expect("a verdict")
}

fn messages(lines: &[Value], channel: &str) -> usize {
    lines.iter().filter(|line| line["msg"]["channel"] == channel).count()
}

fn is_signed(text: &str) -> bool {
    text.contains("\"jwt\"") || text.contains("\"signature\"")
}

async fn after(seconds: u64, plot: Plot) -> (Vec<(String, bool)>, Vec<Value>) {
    let play = plot.play();
    sleep(Duration::from_secs(seconds)).await;
    let (seen, written) = play.end().await;
    let subscribes =
        seen.lock().expect("whole").subscribes.iter().map(|(_, text, _, ok)| (text.clone(), *ok)).collect();
    (subscribes, lines(&written))
}

fn faults(list: &[&str]) -> Faults {
    Faults::parse(&list.iter().map(|fault| (*fault).to_owned()).collect::<Vec<_>>()).expect("known")
}

/// `coinbasepro-python#344`, `coinbase-pro-node#222`: a clock that had drifted made every signature "expired", and nothing said
/// that it was the clock.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_90_s_off_is_found_said_and_survived() {
    for credentials in [cdp_key(), hmac_key()] {
        for off in [90_000, -90_000] {
            let mut plot = Plot::new(&["ticker_batch", "user"], Some(credentials.clone()));
            plot.clock = plot.clock.off_by(off);
            plot.inquire = true;
            let (subscribes, lines) = after(120, plot).await;
            let clock = &events(&lines, "clock")[0];
            assert_eq!(clock["offset_ms"], -off, "what is to be added to ours");
            assert_eq!(clock["signed_by"], "venue");
            assert!(
                lines
                    .iter()
                    .any(|line| line["event"] == "clock" && line["conn"].as_str().expect("one").ends_with("/0"))
            );
            assert!(messages(&lines, "user") > 0 && messages(&lines, "ticker_batch") > 10, "survived");
            let (accepted, refused): (Vec<_>, Vec<_>) = subscribes.iter().partition(|(_, accepted)| *accepted);
            assert!(accepted.iter().all(|(text, _)| is_signed(text)), "nothing had to go unsigned");
            assert!(refused.len() <= 3, "{} were refused until it was known", refused.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_right_is_no_news() {
    let mut plot = Plot::new(&["ticker_batch"], Some(hmac_key()));
    plot.clock = plot.clock.off_by(1_500);
    plot.inquire = true;
    let (subscribes, lines) = after(60, plot).await;
    assert!(events(&lines, "clock").is_empty() && events(&lines, "refused").is_empty());
    assert!(subscribes.iter().all(|(_, accepted)| *accepted));
}

/// What signs nothing does not meet a wrong clock in a refusal: one that was set wrong spoiled receive times for an hour before
/// it was measured again.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_is_measured_at_once_though_nothing_is_signed() {
    let off = Arc::new(AtomicI64::new(0));
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.inquire = true;
    plot.clock = Clock::told({
        let (clock, off) = (plot.clock.clone(), off.clone());
        move || clock.clone().off_by(off.load(Relaxed)).now()
    });
    let play = plot.play();
    for (after, ms) in [(600, 40_000), (30, -40_000), (30, 0), (30, 0)] {
        sleep(Duration::from_secs(after)).await;
        off.store(ms, Relaxed);
    }
    let (_, output) = play.end().await;
    let lines: Vec<Value> =
        output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let offsets: Vec<_> = events(&lines, "clock").iter().map(|clock| clock["offset_ms"].clone()).collect();
    assert_eq!(offsets, [-40_000, 40_000, 0], "wrong, wrong by another amount, right again");
}

/// `coinbase-pro-node#376`: a server complained in plain words, and its client fell over them. They passed for data here, so
/// that nobody missed any, and stood in no log.
#[tokio::test(start_paused = true)]
async fn plain_words_are_told_and_are_no_data() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.exchange.faults = faults(&["conn1:only-heartbeats", "conn1:garbage@2s", "conn1:garbage@3s"]);
    log();
    let (_, lines) = after(30, plot).await;
    assert_eq!(events(&lines, "disconnected")[0]["cause"], "no_data");
    let told = said("no JSON, and is kept in base64: \"<html> <body>502 Bad Gateway</body> </html>\"");
    assert_eq!(told.len(), 1, "once a connection: {told:?}");
}

/// `coinbase-advanced-py#19`, `#64`, `#92`: "authentication failure" was all that anybody was told, whatever it was.
#[tokio::test(start_paused = true)]
async fn the_one_line_names_why_the_venue_refuses() {
    let other_secret = || {
        let secret = Secret::new("M4009eFnOoPwhNoMwJlsAHgIgleGVFPm".to_owned());
        Arc::new(Credentials::new("main", Scheme::Hmac, "AbCdEfGh12345678", &secret).expect("a secret"))
    };
    let blind = Permissions { can_view: false, can_trade: true, can_transfer: false };
    let may_view = Permissions { can_view: true, can_trade: false, can_transfer: false };
    for (what, ours, theirs, permissions, fault, words) in [
        ("an unknown key", cdp_key(), hmac_key(), may_view, None, &["unknown, disabled, deleted", "IP addresses"][..]),
        ("another key of that name", cdp_key(), cdp_key(), may_view, None, &["unknown, disabled, deleted"]),
        ("an HMAC key", hmac_key(), other_secret(), may_view, None, &["February 2025", "portal.cdp.coinbase.com"]),
        ("a key that may not view", cdp_key(), cdp_key(), blind, None, &["may not view"]),
        ("a passing refusal", cdp_key(), cdp_key(), may_view, Some("refuse:3"), &["the key is good"]),
    ] {
        let known = match what {
            "a key that may not view" | "a passing refusal" => ours.clone(),
            _ => theirs,
        };
        let mut plot = Plot::new(&["user"], Some(ours));
        plot.exchange.credentials = vec![known];
        plot.exchange.permissions = permissions;
        plot.exchange.faults = faults(fault.as_slice());
        plot.inquire = true;
        let (_, lines) = after(30, plot).await;
        let verdict = settled(&lines);
        for word in words {
            assert!(verdict.contains(word), "{what}: {verdict}");
        }
        assert!(verdict.chars().count() <= 220, "{what}: one line: {verdict}");
    }
}

/// Waits until the record has `count` events of this name.
async fn has(play: &Play, name: &str, count: usize) {
    while events(&lines(&play.written.lock().expect("whole")), name).len() < count {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Rotated and mistakenly deleted keys: the recorder must neither die nor stay unsigned for ever.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_and_restored_is_outlived() {
    let key = cdp_key();
    let mut plot = Plot::new(&["ticker_batch", "user"], Some(key.clone()));
    plot.exchange.faults = faults(&["conn1:close:1001@30s"]);
    plot.inquire = true;
    let play = plot.play();
    sleep(Duration::from_secs(20)).await;
    play.exchange.revoke(key.key());
    has(&play, "refused", 3).await;
    sleep(Duration::from_secs(30)).await;

    let unsigned: Vec<_> =
        play.seen.lock().expect("whole").subscribes.iter().filter(|s| s.0 > 1 && s.3).map(|s| s.1.clone()).collect();
    assert!(unsigned.iter().any(|text| text.contains("ticker_batch")), "the public channel goes on");
    assert!(
        !unsigned.iter().any(|text| is_signed(text) || text.contains("\"user\"")),
        "unsigned, and the private one waits"
    );
    let told = lines(&play.written.lock().expect("whole"));
    assert!(settled(&told).contains("unknown, disabled, deleted"));
    let status = play.board.line(tokio::time::Instant::now().into_std());
    assert!(status.contains("credentials refused") && status.contains("without user"), "{status}");

    play.exchange.restore(key.key());
    let before = play.seen.lock().expect("whole").subscribes.len();
    sleep(Duration::from_secs(700)).await;
    let status = play.board.line(tokio::time::Instant::now().into_std());
    assert_eq!(status, "play recording", "signed again by itself");
    let seen = play.seen.lock().expect("whole").subscribes[before..].to_vec();
    assert!(seen.iter().any(|s| s.3 && is_signed(&s.1) && s.1.contains("\"user\"")));
    let (_, written) = play.end().await;
    assert!(messages(&lines(&written), "user") >= 2, "its snapshot came again");
}

thread_local! {
    /// Where what is logged on this test's thread goes. The subscriber is the process's: tracing remembers of each line whether
    /// anybody wants it, and asks the thread that comes first.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Paper;

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// From now on what the log says on this thread is kept.
pub fn log() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .without_time()
        .with_writer(|| Paper)
        .finish();
    // Another test was first, and its subscriber is the same.
    let _ = tracing::subscriber::set_global_default(subscriber);
    LOG.with_borrow_mut(Vec::clear);
}

/// The lines of the log that name what is searched for, of tickerd's own.
pub fn said(words: &str) -> Vec<String> {
    let text = LOG.with_borrow(|log| String::from_utf8(log.clone()).expect("UTF-8"));
    let ours = text.lines().filter(|line| line.contains("tickerd::") && !line.contains("tickerd::simulator"));
    ours.filter(|line| line.contains(words)).map(str::to_owned).collect()
}

/// `coinbase-pro-node#201`: a key was refused for a night, and the log had either nothing of it or ten thousand lines.
#[tokio::test(start_paused = true)]
async fn the_log_has_one_line_of_why_and_one_of_the_end() {
    let key = cdp_key();
    let mut plot = Plot::new(&["ticker_batch", "user"], Some(key.clone()));
    plot.exchange.faults = faults(&["conn1:close:1001@1200s"]);
    plot.inquire = true;
    log();
    let play = plot.play();
    play.exchange.revoke(key.key());
    sleep(Duration::from_secs(300)).await;
    let why = said("refuses the credentials");
    assert_eq!(why.len(), 1, "{why:?}");
    for words in ["ERROR", "credentials=\"main\"", "unknown, disabled, deleted", "UNSIGNED", "`tickerd doctor`"] {
        assert!(why[0].contains(words), "{words}: {}", why[0]);
    }
    assert!(said("takes the credentials again").is_empty());

    play.exchange.restore(key.key());
    sleep(Duration::from_secs(700)).await;
    let end = said("takes the credentials again");
    assert_eq!(end.len(), 1, "{end:?}");
    assert!(end[0].contains("INFO") && end[0].contains("after 5m"), "with how long it was: {end:?}");

    // A second time, at the cut, is news again.
    play.exchange.revoke(key.key());
    sleep(Duration::from_secs(500)).await;
    assert_eq!(said("refuses the credentials").len(), 2);
    play.end().await;
}

/// A feed of which the venue refuses all is not recording, though heartbeats come; on the same connection it may be again.
#[tokio::test(start_paused = true)]
async fn a_feed_that_is_refused_whole_is_down() {
    let key = cdp_key();
    let mut plot = Plot::new(&["user"], Some(key.clone()));
    plot.inquire = true;
    log();
    let play = plot.play();
    play.exchange.revoke(key.key());
    sleep(Duration::from_secs(60)).await;
    let status = |play: &Play| play.board.line(tokio::time::Instant::now().into_std());
    assert!(status(&play).starts_with("play DOWN") && status(&play).contains("refuses all"), "{}", status(&play));
    assert!(!play.board.is_delivering());
    assert!(said("NOTHING of this feed is recorded").len() == 1 && said(": recording").is_empty());

    play.exchange.restore(key.key());
    sleep(Duration::from_secs(700)).await;
    assert_eq!(status(&play), "play recording");
    assert_eq!(said("recording again after").len(), 1);
    let (seen, _) = play.end().await;
    assert_eq!(seen.lock().expect("whole").delivered().len(), 1, "no connection was given up for it");
}

/// A clock that was wrong when it was measured and is set right afterwards, with nobody left to ask: what was measured must
/// not be added to a clock that is right.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_right_is_believed() {
    let off = Arc::new(AtomicI64::new(-90_000));
    let mut plot = Plot::new(&["ticker_batch"], Some(hmac_key()));
    plot.clock = Clock::told({
        let (clock, off) = (plot.clock.clone(), off.clone());
        move || clock.clone().off_by(off.load(Relaxed)).now()
    });
    plot.exchange.faults = faults(&["conn1:close:1001@60s"]);
    (plot.inquire, plot.rest_for) = (true, Duration::from_secs(30));
    let play = plot.play();
    sleep(Duration::from_secs(40)).await;
    off.store(0, Relaxed);
    sleep(Duration::from_secs(60)).await;
    let (seen, _) = play.end().await;
    let seen = seen.lock().expect("whole");
    let later: Vec<_> = seen.subscribes.iter().filter(|subscribe| subscribe.0 > 1).collect();
    assert!(
        !later.is_empty() && later.iter().all(|subscribe| subscribe.3 && is_signed(&subscribe.1)),
        "{}",
        later.len()
    );
}

/// Names need no list; patterns that wait for one come within seconds of the venue, not within as long as it was away.
#[tokio::test(start_paused = true)]
async fn a_feed_with_patterns_comes_back_with_the_venue() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.products = vec!["ETH-USD", "BTC-*"];
    (plot.inquire, plot.down_for) = (true, Duration::from_secs(600));
    log();
    let play = plot.play();
    sleep(Duration::from_secs(500)).await;
    let status = play.board.line(tokio::time::Instant::now().into_std());
    assert!(status.contains("DOWN 8 m"), "{status}");
    assert!(said("nothing is recorded").len() < 12, "one line an outage and its reminders");
    sleep(Duration::from_secs(135)).await;
    let subscribes = play.seen.lock().expect("whole").subscribes.clone();
    for product in ["ETH-USD", "BTC-USD"] {
        assert!(subscribes.iter().any(|subscribe| subscribe.1.contains(product)), "{product}");
    }
    play.end().await;
}

/// An answer that was cut off lists half: nothing is let go for it.
#[tokio::test(start_paused = true)]
async fn a_list_that_lacks_many_is_believed_when_it_comes_twice() {
    let ids: Vec<_> = (0..40).map(|number| format!("P{number}-USD")).collect();
    let listed = |ids: &[String]| {
        let listed = |id: &String| tickerd::venue::Listed { id: id.clone(), alias: None, online: true };
        ids.iter().map(listed).collect::<Vec<_>>()
    };
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.products = vec!["*-USD"];
    plot.inquire = true;
    plot.exchange.depth = 5;
    plot.exchange.products = ids.iter().map(|id| tickerd::venue::Product::parse(id).expect("spelt right")).collect();
    let play = plot.play();
    play.exchange.list(listed(&ids));
    sleep(Duration::from_secs(3590)).await;
    play.exchange.list(listed(&ids[..20]));
    sleep(Duration::from_secs(15)).await;
    let lets_go = |play: &Play| {
        let seen = play.seen.lock().expect("whole");
        seen.subscribes.iter().any(|subscribe| subscribe.1.contains("unsubscribe"))
    };
    assert!(!lets_go(&play), "once is not believed");
    sleep(Duration::from_secs(20)).await;
    assert!(lets_go(&play), "twice is");
    play.end().await;
}

/// The venue's list is asked by REST, each hour: what is new is there within the hour.
#[tokio::test(start_paused = true)]
async fn patterns_are_resolved_over_rest_and_again_each_hour() {
    let mut plot = Plot::new(&["ticker_batch"], None);
    plot.products = vec!["*-USD", "!ETH-*"];
    plot.inquire = true;
    let play = plot.play();
    sleep(Duration::from_secs(30)).await;
    let products = |play: &Play| {
        let seen = play.seen.lock().expect("whole");
        seen.subscribes.iter().filter(|s| s.1.contains("ticker_batch")).map(|s| s.1.clone()).collect::<Vec<_>>()
    };
    let first = products(&play);
    assert_eq!(first.len(), 1);
    assert!(first[0].contains("BTC-USD") && !first[0].contains("ETH-USD"), "{first:?}");
    let listed = |id: &str| tickerd::venue::Listed { id: id.to_owned(), alias: None, online: true };
    play.exchange.list(["BTC-USD", "XRP-USD", "ETH-USD"].map(listed).to_vec());
    sleep(Duration::from_secs(3600)).await;
    let later = products(&play);
    assert!(later[1..].iter().any(|text| text.contains("\"unsubscribe\"") && text.contains("SOL-USD")), "{later:?}");
    let (seen, _) = play.end().await;
    assert_eq!(seen.lock().expect("whole").delivered().len(), 1, "on the connection that stood");
}
