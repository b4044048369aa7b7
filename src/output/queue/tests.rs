use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::FutureExt;
use proptest::prelude::*;

use super::*;
use crate::{
    account::Account,
    record::{Body, Event, Line, Record},
};

fn origin(count: u64, run: &Arc<Account>) -> Arc<Origin> {
    Arc::new(Origin { run_account: run.clone(), ..Origin::lone("t", 1, count) })
}

/// A message that costs `128 + length + 2`, unless that is less than the record of a loss.
fn message(origin: &Arc<Origin>, length: usize) -> Entry {
    messages(origin, length, 1)
}

/// So many that came together.
fn messages(origin: &Arc<Origin>, length: usize, count: u64) -> Entry {
    let n = origin.receive(count);
    let line = Line::from_text(format!("[{}]", "1".repeat(length)).into());
    let mut run = Spare::of_queue(u64::MAX).begin(&line);
    (1..count).for_each(|_| assert!(run.put(&line)));
    let record = Record { recv: time(n), origin: origin.clone(), n, body: Body::Messages(run) };
    Entry { target: 0, losses: Some(1), record }
}

fn event(origin: &Arc<Origin>) -> Entry {
    let n = origin.account.totals().received;
    let event = Event::Subscribed { channels: Vec::new(), omitted: Vec::new() };
    let record = Record { recv: time(n), origin: origin.clone(), n, body: Body::Event(Box::new(event)) };
    Entry { target: 1, losses: Some(1), record }
}

fn time(n: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(n)
}

fn lone(length: usize) -> Entry {
    message(&origin(1, &Arc::default()), length)
}

fn take(queue: &Queue) -> VecDeque<Entry> {
    queue.take().now_or_never().flatten().map(|(batch, _)| batch).unwrap_or_default()
}

fn write(queue: &Queue, batch: &VecDeque<Entry>) {
    let count = batch.iter().map(Entry::messages).sum();
    if queue.written(batch.iter().map(|entry| entry.record.cost()).sum(), count, std::iter::empty()) {
        for entry in batch {
            entry.record.origin.write(entry.messages());
        }
    }
}

/// What a reader of the output sees: "3" for message 3, "2+5" for five lost from 2 on, "-" for another event.
fn shown(entry: &Entry) -> String {
    match &entry.record.body {
        Body::Messages(run) => {
            let numbers = entry.record.n..entry.record.n + run.count();
            numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ")
        }
        Body::Event(event) => match **event {
            Event::Dropped { count, from, until, .. } => {
                assert_eq!((entry.target, from), (1, entry.record.recv));
                assert!(from <= until);
                format!("{}+{count}", entry.record.n)
            }
            _ => "-".to_owned(),
        },
        Body::Recovered(_) => "r".to_owned(),
    }
}

fn drained(queue: &Queue) -> String {
    let mut all = Vec::new();
    loop {
        let batch = take(queue);
        if batch.is_empty() {
            return all.join(" ");
        }
        all.extend(batch.iter().map(shown));
        write(queue, &batch);
    }
}

#[test]
fn is_bounded_in_bytes_and_lets_one_larger_message_in_alone() {
    let queue = Queue::new(1000, WhenSlow::Block);
    assert!(matches!(queue.offer(lone(5000)), Ok(None)), "alone");
    assert!(matches!(queue.offer(lone(1)), Ok(Some(_))), "full");
    let batch = take(&queue);
    assert!(matches!(queue.offer(lone(1)), Ok(Some(_))), "what the writer holds still counts");
    write(&queue, &batch);
    assert!(matches!(queue.offer(lone(1)), Ok(None)));
}

#[test]
fn a_pusher_waits_for_room_and_is_told_of_the_end() {
    let queue = Queue::new(1000, WhenSlow::Block);
    assert!(queue.push(lone(900)).now_or_never().is_some());
    let mut waiting = Box::pin(queue.push(lone(900)));
    assert!(waiting.as_mut().now_or_never().is_none());
    write(&queue, &take(&queue));
    assert_eq!(waiting.as_mut().now_or_never(), Some(Ok(())));
    queue.close();
    assert_eq!(queue.push(lone(1)).now_or_never(), Some(Err(Closed)));
    assert_eq!(take(&queue).len(), 1, "what was there");
    assert!(queue.take().now_or_never().expect("at once").is_none());
}

#[test]
fn a_large_message_is_not_overtaken_for_ever() {
    let queue = Queue::new(10_000, WhenSlow::Block);
    assert!(matches!(queue.offer(lone(5_000)), Ok(None)));
    let mut large = Box::pin(queue.push(lone(8_000)));
    assert!(large.as_mut().now_or_never().is_none());
    assert!(matches!(queue.offer(lone(1)), Ok(Some(_))), "there is room, but somebody waits");
    let mut small = Box::pin(queue.push(lone(1)));
    assert!(small.as_mut().now_or_never().is_none());
    write(&queue, &take(&queue));
    assert_eq!(large.as_mut().now_or_never(), Some(Ok(())));
    assert_eq!(small.as_mut().now_or_never(), Some(Ok(())));
    let mut gives_up = Box::pin(queue.push(lone(9_000)));
    assert!(gives_up.as_mut().now_or_never().is_none());
    drop(gives_up);
    assert!(matches!(queue.offer(lone(1)), Ok(None)), "whoever gave up waiting blocks nobody");
}

/// The writer takes a part, so that there is something left to drop; each time at least one.
#[test]
fn the_writer_is_given_a_quarter_of_the_queue() {
    let queue = Queue::new(40_000, WhenSlow::Drop);
    (0..8).for_each(|_| assert!(matches!(queue.offer(lone(4_000)), Ok(None))));
    assert_eq!(take(&queue).len(), 2);
    assert_eq!(queue.depth().0, 6);
    let queue = Queue::new(10_000, WhenSlow::Drop);
    (0..2).for_each(|_| assert!(matches!(queue.offer(lone(4_000)), Ok(None))));
    assert_eq!(take(&queue).len(), 1);
}

/// `hummingbot` and `ccxt#28385` dropped inside the client without a word: here a record of the loss stands where the
/// messages would be.
#[test]
fn the_oldest_message_goes_and_a_record_stands_in_its_place() {
    let (queue, run) = (Queue::new(4_000, WhenSlow::Drop), Arc::default());
    let (one, two) = (origin(1, &run), origin(2, &run));
    for entry in [event(&one), message(&one, 700), message(&two, 700), event(&one), message(&one, 700)] {
        assert!(matches!(queue.offer(entry), Ok(None)));
    }
    for _ in 0..3 {
        assert!(matches!(queue.offer(message(&one, 870)), Ok(None)), "nobody waits");
    }
    assert_eq!((one.account.dropped(Loss::Slow), two.account.dropped(Loss::Slow)), (4, 1));
    assert_eq!(drained(&queue), "- 0+1 0+1 - 1+3 4");
    let totals = run.totals();
    assert_eq!(totals.received, totals.written + totals.dropped);
}

#[test]
fn of_messages_that_came_together_some_can_go() {
    let (queue, run) = (Queue::new(4_000, WhenSlow::Drop), Arc::default());
    let one = origin(1, &run);
    assert!(matches!(queue.offer(messages(&one, 870, 3)), Ok(None)));
    assert!(matches!(queue.offer(messages(&one, 870, 2)), Ok(None)));
    let batch = take(&queue);
    assert_eq!(batch.iter().map(shown).collect::<Vec<_>>(), ["0+2"]);
    let Body::Event(loss) = &batch[0].record.body else { panic!("a loss") };
    assert!(matches!(**loss, Event::Dropped { bytes: 1744, until, .. } if until == time(0)));
    write(&queue, &batch);
    assert!(matches!(queue.offer(messages(&one, 870, 5)), Ok(None)), "more than the queue, and it goes whole");
    assert_eq!(drained(&queue), "2 3 4 5+5");
    let totals = run.totals();
    assert_eq!((totals.received, totals.written, totals.dropped), (10, 3, 7));
}

/// With events in the log alone nothing is said in the output, and the count is kept all the same.
#[test]
fn a_loss_is_counted_where_no_record_says_so() {
    let (queue, run) = (Queue::new(1_000, WhenSlow::Drop), Arc::default());
    let one = origin(1, &run);
    for _ in 0..5 {
        assert!(matches!(queue.offer(Entry { losses: None, ..message(&one, 800) }), Ok(None)));
    }
    assert_eq!(drained(&queue), "4");
    assert_eq!((one.account.dropped(Loss::Slow), run.totals().dropped), (4, 4));
}

/// `massive-com/client-python#844`: a consumer that was a little slow lost its connection. What has no room here is let go,
/// and nobody who reads a socket waits.
#[test]
fn a_message_that_no_loss_makes_room_for_goes_itself() {
    let (queue, run) = (Queue::new(4_000, WhenSlow::Drop), Arc::default());
    let one = origin(1, &run);
    assert!(matches!(queue.offer(message(&one, 3_000)), Ok(None)));
    let held = take(&queue);
    assert!(matches!(queue.offer(message(&one, 300)), Ok(None)));
    assert!(matches!(queue.offer(message(&one, 2_000)), Ok(None)), "with what the writer holds it is too much");
    assert!(matches!(queue.offer(message(&one, 9_000)), Ok(None)), "and so is one that is larger than all");
    write(&queue, &held);
    assert!(matches!(queue.offer(message(&one, 300)), Ok(None)));
    assert_eq!(drained(&queue), "1 2+2 4");
    assert!(matches!(queue.offer(message(&one, 9_000)), Ok(None)), "it is let in alone");
    assert_eq!(drained(&queue), "5");
}

/// Events are bounded too: they wait, as they do with "block", while messages go.
#[test]
fn events_alone_do_not_fill_memory() {
    let (queue, run) = (Queue::new(4_000, WhenSlow::Drop), Arc::default());
    let one = origin(1, &run);
    assert!(matches!(queue.offer(message(&one, 1_000)), Ok(None)));
    let admitted = (0..100).take_while(|_| matches!(queue.offer(event(&one)), Ok(None))).count();
    assert_eq!(admitted, 5, "the message has made room, and there is no more");
    let mut waits = Box::pin(queue.push(event(&one)));
    assert!(waits.as_mut().now_or_never().is_none());
    for _ in 0..50 {
        assert!(matches!(queue.offer(message(&one, 1_000)), Ok(None)), "no message waits behind it");
    }
    assert!(queue.depth().1 <= 4_000 + 640, "{}", queue.depth().1);
    (0..2).for_each(|_| write(&queue, &take(&queue)));
    assert_eq!(waits.as_mut().now_or_never(), Some(Ok(())));
    assert_eq!(one.account.dropped(Loss::Slow), 51);
}

/// What the end of the output leaves is counted where it lies: queued, in the writer's hands, or before the door.
#[test]
fn what_is_abandoned_is_counted_once() {
    let (queue, run) = (Queue::new(4_000, WhenSlow::Block), Arc::default());
    let (one, two) = (origin(1, &run), origin(2, &run));
    for entry in [message(&one, 400), message(&two, 400), message(&two, 400), event(&one), message(&one, 400)] {
        assert!(matches!(queue.offer(entry), Ok(None)));
    }
    let mut waits = Box::pin(queue.push(message(&one, 3_000)));
    assert!(waits.as_mut().now_or_never().is_none());
    let batch = take(&queue);
    assert_eq!(batch.len(), 1);
    write(&queue, &batch);
    let batch = take(&queue);
    queue.abandon();
    write(&queue, &batch);
    queue.abandon();
    assert!(queue.take().now_or_never().expect("at once").is_none());
    assert_eq!(waits.as_mut().now_or_never(), Some(Err(Closed)));
    drop(waits);
    assert_eq!(queue.offer(message(&two, 1)).map(|_| ()), Err(Closed));
    assert_eq!((one.account.totals().written, one.account.dropped(Loss::Unwritten)), (1, 2));
    assert_eq!((two.account.dropped(Loss::Unwritten), two.account.dropped(Loss::Closed)), (2, 1));
    let totals = run.totals();
    assert_eq!(totals.received, totals.written + totals.dropped);
}

#[derive(Clone, Debug)]
enum Step {
    Messages(usize, usize, u64),
    Event(usize),
    Take,
    Write,
}

const LIMIT: u64 = 8_000;
const ORIGINS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![8 => 0..600usize, 2 => 600..4_000usize, 1 => 7_000..20_000usize];
    prop_oneof![
        12 => (0..ORIGINS, length, 1..4_u64).prop_map(|(origin, length, count)| Step::Messages(origin, length, count)),
        2 => (0..ORIGINS).prop_map(Step::Event),
        2 => Just(Step::Take),
        3 => Just(Step::Write),
    ]
}

proptest! {
    /// `bmoscon/cryptofeed#426` had a queue without a bound behind a slow writer, and `binance-connector-rust#49` ended its
    /// stream where one fell behind. Whatever comes in whatever order: memory is bounded, nobody waits with a message, and what is
    /// missing from the output of a connection is told of in its place, to the message.
    #[test]
    fn whatever_comes_is_written_in_order_or_told_of(steps in proptest::collection::vec(step(), 0..400)) {
        let (queue, run) = (Queue::new(LIMIT, WhenSlow::Drop), Arc::default());
        let origins: Vec<_> = (1..=ORIGINS as u64).map(|count| origin(count, &run)).collect();
        let mut held = VecDeque::<VecDeque<Entry>>::new();
        let mut output = Vec::new();
        let mut largest = LIMIT;
        for step in steps {
            match step {
                Step::Messages(of, length, count) => {
                    let entry = messages(&origins[of], length, count);
                    if queue.depth().1 == 0 {
                        largest = largest.max(entry.record.cost());
                    }
                    prop_assert!(matches!(queue.offer(entry), Ok(None)));
                }
                Step::Event(of) => drop(queue.offer(event(&origins[of]))),
                // As the writer does it: what it has in hand is written before it takes more.
                Step::Take if held.is_empty() => held.push_back(take(&queue)),
                Step::Take => {}
                Step::Write => if let Some(batch) = held.pop_front() {
                    write(&queue, &batch);
                    output.extend(batch);
                },
            }
            // In hand, and queued: in each a record of losses may stand that there was no room for.
            let losses = 2 * ORIGINS as u64 * 512;
            prop_assert!(queue.depth().1 <= largest + losses, "{} of {largest}", queue.depth().1);
            let in_hand: u64 = held.iter().flatten().map(|entry| entry.messages().max(1)).sum();
            let waits = in_hand + queue.depth().0 as u64;
            let totals = run.totals();
            prop_assert!(totals.received <= totals.written + totals.dropped + waits);
        }
        loop {
            let batch = take(&queue);
            if batch.is_empty() {
                break;
            }
            held.push_back(batch);
        }
        for batch in held {
            write(&queue, &batch);
            output.extend(batch);
        }
        prop_assert_eq!(queue.depth(), (0, 0));
        for origin in &origins {
            let mut next = 0;
            for entry in output.iter().filter(|entry| Arc::ptr_eq(&entry.record.origin, origin)) {
                let told = shown(entry);
                if told == "-" {
                    continue;
                }
                prop_assert_eq!(entry.record.n, next, "{}", told);
                let lost = told.split_once('+').map(|(_, count)| count.parse::<u64>().expect("a count"));
                next += lost.unwrap_or_else(|| entry.messages());
            }
            let totals = origin.account.totals();
            prop_assert_eq!(next, totals.received);
            prop_assert_eq!(totals.received, totals.written + totals.dropped);
        }
    }
}
