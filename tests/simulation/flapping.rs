//! Connections that are opened, deliver, and do not hold.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    assert_nothing_is_lost,
    refusals::{log, said},
    stage::Plot,
};
use tickerd::simulator::Faults;

/// barter and cryptofeed began their backoff anew at the first sign of life: a server that delivers and closes was asked as
/// fast as it answered, with a snapshot each time and two lines of log.
#[tokio::test(start_paused = true)]
async fn a_venue_that_delivers_and_closes_is_asked_ever_more_slowly_until_one_connection_holds() {
    let mut plot = Plot::new(&["ticker", "level2"], None);
    let closing: Vec<_> = (1..=100).map(|conn| format!("conn{conn}:close:1000@2s")).collect();
    plot.exchange.faults = Faults::parse(&closing).expect("known faults");
    log();
    let play = plot.play();
    sleep(Duration::from_secs(600)).await;
    let connections = play.seen.lock().expect("whole").delivered().len();
    assert!((20..70).contains(&connections), "{connections} in ten minutes, each of 2 s");
    let told = said("nothing is recorded").len() + said("no connection has delivered for 10 s on end").len();
    assert!((3..6).contains(&told), "the first, and after one minute, two, and four: {told}");
    assert!(said("recording again after").len() <= told, "each is answered once");

    sleep(Duration::from_secs(3600)).await;
    assert!(play.board.is_delivering(), "the hundred and first holds");
    let last = said("feed::outage").pop().expect("something was said");
    assert!(last.contains("recording again after"), "what is said last is how it is: {last}");
    let (seen, output) = play.end().await;
    assert_nothing_is_lost(&seen, &output);
}
