//! From the queue to stdout or files: one bounded queue, and one thread that writes what has gathered.

mod backlog;
mod batch;
mod composed;
mod disk;
mod forecast;
mod keeper;
mod outage;
mod pulse;
mod queue;
mod recorder;
mod route;
mod scan;
mod sink;
mod space;
mod spool;
mod writer;

pub use backlog::Entry;
pub use batch::Batch;
pub use forecast::{End, Forecast, shrinks_to_one};
pub use keeper::{Charge, Ending, Keeper, Stock};
pub use outage::WriteError;
pub use pulse::{Pulse, Timing};
pub use queue::{Closed, Orders, Queue};
pub use recorder::Recorder;
pub use route::{RouteError, Routes};
pub use sink::{OpenError, Sink, Target, is_journal};
pub use space::Space;
pub use spool::{Left, Spool, StartError};
pub use writer::{Finished, Voice, Writer};

use std::{sync::Arc, thread};

use futures::executor::block_on;

/// Runs the writer on a thread of its own until the queue is closed and empty, `--lines` are written, or writing fails.
/// The receiver hears how it ended.
///
/// # Errors
/// When the system gives no thread.
pub fn spawn(
    queue: Arc<Queue>,
    mut writer: Writer,
) -> std::io::Result<tokio::sync::oneshot::Receiver<Result<Finished, WriteError>>> {
    let (done, ended) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("output".into()).spawn(move || {
        let result = loop {
            let Some(batch) = block_on(queue.take()) else { break writer.finish(&queue) };
            match writer.write(batch, &queue) {
                Ok(None) => {}
                Ok(Some(finished)) => break Ok(finished),
                Err(error) => break Err(error),
            }
        };
        queue.abandon();
        // And with it its hold on the keeper, which ends when nobody has one.
        drop(writer);
        let _ = done.send(result);
    })?;
    Ok(ended)
}
