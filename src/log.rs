//! What is said on stderr, and how: text for a terminal, `<N>` priorities for the journal, JSON for machines. Only
//! tickerd's own words: libraries log what they send, and what we send holds signatures.

use std::{
    fmt,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    filter::Targets,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{
    config::{Log, LogFormat},
    output::is_journal,
};

/// Starts logging; a second call changes nothing.
pub fn start(log: Log) {
    let ours = Targets::new().with_target("tickerd", log.level);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(ours);
    let _ = match resolve(log.format) {
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_target(false)).try_init(),
        LogFormat::Journal => registry.with(layer.event_format(Journal)).try_init(),
        LogFormat::Auto | LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry.with(layer.with_ansi(colours).with_target(false)).try_init()
        }
    };
}

/// Whether stderr is the journal.
#[must_use]
pub fn is_to_journal() -> bool {
    is_journal(io::stderr().as_fd(), std::env::var("JOURNAL_STREAM").ok().as_deref())
}

fn resolve(format: LogFormat) -> LogFormat {
    match format {
        LogFormat::Auto if is_to_journal() => LogFormat::Journal,
        other => other,
    }
}

/// sd-daemon(3): a line that starts with `<N>` has that priority. The journal knows the time and the process itself.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let mut line = String::new();
        context.field_format().format_fields(Writer::new(&mut line), event)?;
        // Each further line would be a message of its own, without the priority.
        writeln!(writer, "<{priority}>{}", line.replace('\n', " | "))
    }
}
