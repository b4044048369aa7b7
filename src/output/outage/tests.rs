use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::UNIX_EPOCH,
};

use futures::executor::block_on;

use crate::{
    account::Loss,
    config::WhenSlow,
    output::{Entry, Orders, Queue, Sink, Target, Writer, spawn},
    record::{Body, Form, Line, Origin, Record},
};

/// A disk with room for so many bytes until somebody makes more.
struct Full {
    written: Arc<Mutex<Vec<u8>>>,
    room: usize,
    more: Arc<AtomicBool>,
}

impl Sink for Full {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut written = self.written.lock().expect("whole");
        let left = if self.more.load(SeqCst) { bytes.len() } else { self.room.saturating_sub(written.len()) };
        if left == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        let taken = left.min(bytes.len());
        written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn may_heal(&self, _error: &std::io::Error) -> bool {
        true
    }
}

fn entry(origin: &Arc<Origin>) -> Entry {
    let n = origin.receive(1);
    let body = Body::Messages(Line::from_text(format!("{{\"i\":{n},\"x\":\"{}\"}}", "y".repeat(900)).into()).into());
    Entry { target: 0, losses: Some(0), record: Record { recv: UNIX_EPOCH, origin: origin.clone(), n, body } }
}

/// As long as the disk takes all, the queue has room now and then.
fn put(queue: &Queue, origin: &Arc<Origin>) {
    let waits = queue.offer(entry(origin)).expect("open");
    let _ = waits.map(|back| block_on(queue.push(back)).expect("open"));
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::lone("t", 1, 1))
}

/// vectordotdev/vector#22288: after a full disk the source stood still until somebody restarted it. Here the connection is
/// read on though a slow reader would have blocked it, the line that was cut is finished first, and each message is there or
/// counted.
#[test]
fn a_full_disk_costs_the_oldest_messages_and_each_is_counted_in_its_place() {
    let (written, more) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicBool>::default());
    let full = Full { written: written.clone(), room: 10_500, more: more.clone() };
    let queue = Arc::new(Queue::new(64 << 10, WhenSlow::Block));
    let writer = Writer::new(vec![Target { name: "tape".into(), sink: Box::new(full) }], Form::Envelope);
    let pulse = writer.pulse();
    let origin = origin();
    let ended = spawn(queue.clone(), writer).expect("a thread");
    while pulse.why_not().is_none() {
        put(&queue, &origin);
    }
    for _ in 0..500 {
        assert!(matches!(queue.offer(entry(&origin)), Ok(None)), "nobody waits for a disk");
        assert!(queue.depth().1 <= 64 << 10, "memory is bounded");
        // What is tried again meanwhile fails again.
        queue.order(Orders::default());
    }
    more.store(true, SeqCst);
    queue.order(Orders::default());
    while pulse.why_not().is_some() {
        thread::yield_now();
    }
    put(&queue, &origin);
    queue.close();
    block_on(ended).expect("it says so").expect("it ends well");

    let totals = origin.account.totals();
    let lost = origin.account.dropped(Loss::Disk);
    assert!(lost > 400, "{lost}");
    assert_eq!((totals.written + lost, totals.dropped), (totals.received, lost));
    let text = String::from_utf8(std::mem::take(&mut *written.lock().expect("whole"))).expect("UTF-8");
    let (mut next, mut told) = (0, 0);
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        assert_eq!(value["n"], next, "in their places");
        if value["event"] == "dropped" {
            assert_eq!(value["data"]["why"], "disk");
            told += value["data"]["count"].as_u64().expect("a number");
            next += value["data"]["count"].as_u64().expect("a number");
        } else {
            next += 1;
        }
    }
    assert_eq!((told, next), (lost, totals.received));
}
