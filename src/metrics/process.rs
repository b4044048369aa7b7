//! What is usual of any process, under the names that every exporter gives it. All of it is the process's own, so that a unit
//! with `ProcSubset=pid` hides none.

use std::{
    fmt, fs,
    time::{Duration, UNIX_EPOCH},
};

use prometheus_client::registry::Unit;
use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

use super::{
    Shown,
    page::{Named, Page, real},
};

pub(super) fn write(shown: &Shown, page: &mut Page<'_>) -> fmt::Result {
    let version = env!("TICKERD_VERSION");
    let (version, revision) = version.split_once(' ').unwrap_or((version, ""));
    let revision = revision.trim_matches(['(', ')']);
    let run = format!("{:08x}", shown.run.id);
    page.info(
        Named("tickerd_build", "The version of this tickerd."),
        &vec![("version", version), ("revision", revision)],
    )?;
    page.info(Named("tickerd_run", "The run, as conn of its records names it."), &vec![("run", run.as_str())])?;
    let since = shown.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let start = Named("process_start_time", "When this run began, in seconds since 1970.");
    page.gauge(start, Some(&Unit::Seconds), [(vec![], since)])?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = Duration::try_from(cpu).unwrap_or_default().as_secs_f64();
    page.real_counter(Named("process_cpu", "Time of processors that was used."), &Unit::Seconds, cpu)?;
    let pages = |field| {
        let statm = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = statm.split(' ').nth(field)?.parse().ok()?;
        Some((vec![], real(pages.saturating_mul(page_size() as u64))))
    };
    let bytes = Some(&Unit::Bytes);
    page.gauge(Named("process_virtual_memory", "Address space in use."), bytes, pages(0))?;
    page.gauge(Named("process_resident_memory", "Memory in use."), bytes, pages(1))?;
    // One of them is the folder that is being read.
    let open =
        fs::read_dir("/proc/self/fd").ok().map(|entries| (vec![], real(entries.count().saturating_sub(1) as u64)));
    page.gauge(Named("process_open_fds", "Descriptors that are open."), None, open)?;
    let most = getrlimit(Resource::Nofile).current.map(|most| (vec![], real(most)));
    page.gauge(Named("process_max_fds", "Descriptors that may be open."), None, most)
}
