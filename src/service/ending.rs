//! The end of a run: what is queued is written, and what is not is counted.

use tokio::time::{sleep, timeout_at};

use super::{Service, TICK, Written, now};
use crate::{
    account::Loss,
    exit::{Failure, Status},
    notify::Manager,
    output::{Finished, Orders, WriteError},
};

impl Service {
    /// Stops taking, lets what is queued be written, and counts what was not.
    pub(super) async fn drain(mut self, written: Written) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + self.config.service.drain;
        let (feeds, queue) = (&mut self.feeds, self.queue.clone());
        let mut drains = Box::pin(timeout_at(deadline, async {
            while feeds.join_next().await.is_some() {}
            queue.close();
            written.await.unwrap_or(Ok(Finished::Drained))
        }));
        let drained = loop {
            tokio::select! {
                drained = &mut drains => break drained,
                // Whoever asks meanwhile is told that there is somebody.
                () = sleep(TICK) => {
                    self.post.tell(&self.board, now());
                    self.queue.order(Orders { now: Some(self.clock.now()), ..Orders::default() });
                }
            }
        };
        drop(drains);
        match drained {
            Ok(result) => self.output_ended(result),
            Err(_) => {
                self.queue.abandon();
                Err(Failure::new(
                    Status::Output,
                    format!(
                        "the output did not take all within {}: {}",
                        humantime::format_duration(self.config.service.drain),
                        self.left()
                    ),
                ))
            }
        }
    }

    pub(super) fn output_ended(&self, result: Result<Finished, WriteError>) -> Result<(), Failure> {
        match result {
            Ok(Finished::Lines) => {
                tracing::info!("stopped: as many lines are written as were asked for; {}", self.left());
                Ok(())
            }
            Ok(Finished::Drained) => {
                tracing::info!("stopped: {}", self.run.account.totals());
                Ok(())
            }
            Err(error) => {
                let message = format!("{error}; {}", self.left());
                if error.is_reader_gone() && !Manager::is_present() {
                    tracing::warn!("the reader of stdout went away: {message}");
                    return Ok(());
                }
                Err(Failure::new(Status::Output, message))
            }
        }
    }

    /// What the end of the output cost, and beside it all counts: they add up.
    fn left(&self) -> String {
        let account = &self.run.account;
        let left = [Loss::Unwritten, Loss::Closed, Loss::Disk].into_iter().map(|why| account.dropped(why)).sum::<u64>();
        format!("{left} messages were received and not written ({})", account.totals())
    }
}
