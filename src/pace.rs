//! Keeping under a venue's rate limits: eight a second over the whole process, of connects and of subscribes alike.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// Both venues allow eight connects a second an address, and as many unsigned messages; 125 ms apart never exceeds that,
/// whichever second is looked at.
const APART: Duration = Duration::from_millis(125);

/// A gate that lets one through every 125 ms, the urgent ones first.
#[derive(Debug)]
pub struct Pace {
    free_at: Mutex<Instant>,
    urgent: AtomicUsize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { free_at: Mutex::new(Instant::now()), urgent: AtomicUsize::new(0) }
    }
}

impl Pace {
    /// Waits for one's turn. The first subscribe of a connection is urgent: the venue closes when it does not come within
    /// five seconds, and fifty connections with six subscribes each would queue for thirty-seven. Safe to drop half-way.
    pub async fn pass(&self, urgent: bool) {
        let _waiting = urgent.then(|| Waiting::new(&self.urgent));
        loop {
            let mut free_at = self.free_at.lock().await;
            let now = Instant::now();
            let at = *free_at;
            if at <= now && (urgent || self.urgent.load(Relaxed) == 0) {
                *free_at = now + APART;
                return;
            }
            drop(free_at);
            sleep_until(at.max(now + Duration::from_millis(1))).await;
        }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn never_more_than_eight_in_any_second() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let mut passed = Vec::new();
        for _ in 0..40 {
            pace.pass(false).await;
            passed.push(begun.elapsed());
        }
        assert!(passed.windows(9).all(|nine| nine[8] >= nine[0] + Duration::from_secs(1)));
        assert!(passed[39] < Duration::from_secs(6), "and not much slower either: {:?}", passed[39]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_urgent_go_first() {
        let pace = Pace::default();
        pace.pass(false).await;
        let order = std::sync::Mutex::new(Vec::new());
        let go = async |name, urgent| {
            pace.pass(urgent).await;
            order.lock().expect("whole").push(name);
        };
        tokio::join!(go("a", false), go("b", false), go("urgent", true));
        assert_eq!(order.into_inner().expect("whole")[0], "urgent");
    }
}
