//! What is told of the way to the disk: the queue, the writer, the files, and the room that is left.

use std::fmt;

use prometheus_client::registry::Unit;

use super::{
    Seen, Shown,
    page::{Named, Page, flag, real},
};
use crate::segment::State;

pub(super) fn write(shown: &Shown, seen: Option<&Seen>, page: &mut Page<'_>) -> fmt::Result {
    let bytes = Some(&Unit::Bytes);
    let (records, cost) = shown.queue.depth();
    let named = Named("tickerd_queue_records", "Records that wait for the writer, events among them.");
    page.gauge(named, None, [(vec![], real(records as u64))])?;
    let named = Named("tickerd_queue", "What is not yet written costs, in the queue and in the writer's hands.");
    page.gauge(named, bytes, [(vec![], real(cost))])?;
    page.gauge(Named("tickerd_queue_limit", "What that may cost."), bytes, [(vec![], real(shown.limit))])?;

    let pulse = &shown.pulse;
    page.counter(Named("tickerd_written", "Bytes that the output took."), bytes, [(vec![], pulse.bytes())])?;
    page.histogram(Named("tickerd_output_write", "How long writes took, until all was taken."), pulse.writes())?;
    page.histogram(Named("tickerd_output_sync", "How long syncs took of files with something new."), pulse.syncs())?;
    let named = "For how long the write or sync has lasted that the writer is in; 0 while it is in none.";
    let blocked = [(vec![], pulse.blocked().as_secs_f64())];
    page.gauge(Named("tickerd_output_blocked", named), Some(&Unit::Seconds), blocked)?;
    let failing = [(vec![], flag(pulse.why_not().is_some()))];
    page.gauge(Named("tickerd_output_failing", "1 while a disk takes nothing."), None, failing)?;
    let failures = [(vec![], pulse.sync_failures())];
    page.counter(
        Named("tickerd_output_sync_failures", "Syncs that failed: what they were of is in doubt."),
        None,
        failures,
    )?;
    let states = [State::Sealed, State::Uncertain].map(|state| (vec![("state", state.name())], pulse.sealed(state)));
    page.counter(Named("tickerd_segments_sealed", "Segments that were sealed, by their state."), None, states)?;
    let named = "Messages that were written, and whose file was removed while it grew.";
    page.counter(Named("tickerd_messages_removed", named), None, [(vec![], pulse.removed())])?;

    let stock = seen.and_then(|seen| seen.stock);
    let free = stock.map(|stock| (vec![], real(stock.space.free)));
    page.gauge(
        Named("tickerd_disk_free", "What is free on the disk of the files, as of the last minute."),
        bytes,
        free,
    )?;
    let size = stock.map(|stock| (vec![], real(stock.space.total)));
    page.gauge(Named("tickerd_disk_size", "What there is of that disk."), bytes, size)?;
    let tape = stock.map(|stock| (vec![], real(stock.bytes)));
    page.gauge(Named("tickerd_recording", "What the files of this recording take of it."), bytes, tape)?;
    let output = seen.and_then(|seen| seen.report.output.as_ref());
    let a_day = output.and_then(|output| output.bytes_a_day).map(|pace| (vec![], real(pace)));
    let named = Named("tickerd_output_bytes_per_day", "What is written a day, at the pace of the last hour.");
    page.gauge(named, None, a_day)?;
    let full = output.and_then(|output| output.full_in_ms).map(|after| (vec![], real(after) / 1000.0));
    let named = "When the disk is full at this pace; absent where output.keep sees to it that it is not.";
    page.gauge(Named("tickerd_disk_full_in", named), Some(&Unit::Seconds), full)
}
