use std::{
    io,
    sync::{Arc, Mutex},
    time::UNIX_EPOCH,
};

use futures::FutureExt;

use super::*;
use crate::{
    config::WhenSlow,
    output::{Batch, Sink},
    record::Line,
};

/// Remembers each write.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Sink for Writes {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").push(bytes.to_vec());
        Ok(bytes.len())
    }
}

impl Writes {
    fn writer(&self, form: Form) -> Writer {
        Writer::new(vec![Target { name: "stdout".into(), sink: Box::new(self.clone()) }], form)
    }

    fn sizes(&self) -> Vec<usize> {
        self.0.lock().expect("whole").iter().map(Vec::len).collect()
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").concat()).expect("UTF-8")
    }
}

/// A queue that holds messages of one read, each so long, and whose they are.
fn queue(count: usize, length: usize) -> (Queue, Arc<Origin>) {
    let origin = Arc::new(Origin::lone("t", 1, 1));
    let queue = Queue::new(1 << 30, WhenSlow::Block);
    let mut batch = Batch::new(&queue, 0, None, origin.clone());
    for n in 0..count {
        let line = Line::from_text(format!("[{n:0width$}]", width = length - 2).into());
        assert!(matches!(batch.put(UNIX_EPOCH, length, &line), Ok(None)));
    }
    drop(batch);
    (queue, origin)
}

fn write(writer: &mut Writer, queue: &Queue) -> Option<Finished> {
    let batch = queue.take().now_or_never().flatten().expect("something waits");
    writer.write(batch, queue).expect("written")
}

#[test]
fn what_was_read_together_is_written_together() {
    let (writes, (queue, origin)) = (Writes::default(), queue(500, 399));
    assert_eq!(write(&mut writes.writer(Form::Raw), &queue), None);
    let whole = 373 * 400;
    assert_eq!(writes.sizes(), [whole, 500 * 400 - whole], "a run costs 192 KiB at the most, and is a write");
    let numbers: Vec<u64> = writes.text().lines().map(|line| line[1..398].parse().expect("a number")).collect();
    assert!(numbers.iter().copied().eq(0..500));
    assert_eq!(origin.account.totals().written, 500);
}

#[test]
fn each_line_of_a_run_has_its_number() {
    let (writes, (queue, _)) = (Writes::default(), queue(3, 5));
    write(&mut writes.writer(Form::Envelope), &queue);
    let lines = [0, 1, 2].map(|n| {
        format!(
            "{{\"v\":1,\"recv\":\"1970-01-01T00:00:00.000000000Z\",\"feed\":\"t\",\"conn\":\"00000001/1\",\"n\":{n},\"msg\":[00{n}]}}\n"
        )
    });
    assert_eq!(writes.text(), lines.concat());
}

#[test]
fn as_many_lines_as_were_asked_for_end_within_a_run() {
    let (writes, (queue, origin)) = (Writes::default(), queue(10, 4));
    let mut four = writes.writer(Form::Raw).lines(Some(4), std::iter::once(0));
    assert_eq!(write(&mut four, &queue), Some(Finished::Lines));
    assert_eq!(writes.text(), "[00]\n[01]\n[02]\n[03]\n");
    queue.abandon();
    assert_eq!((origin.account.totals().written, origin.account.dropped(Loss::Unwritten)), (4, 6));
}
