//! Where records and events go.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use toml::Spanned;

use super::{
    Destination, Events, Form, Keep, Output, Packing, Rotate, Sync, WhenSlow, draft, nearest::nearest, review::Review,
};

/// The default queue: six level2 snapshots of 5.1 MB, or a quarter of an hour of one busy product (3 GB a day).
const QUEUE: u64 = 32 << 20;

/// The least queue: below it the writer is woken for every few messages.
const LEAST_QUEUE: u64 = 1 << 20;

/// How often a file is synced where nothing is said: what a loss of power may cost.
const SYNC: Duration = Duration::from_secs(1);

/// Where records go, or None where that is wrong.
pub(super) fn review(draft: &draft::Output, review: &mut Review) -> Option<Output> {
    let path = match &draft.path {
        None => Some(Destination::Stdout),
        Some(typed) => path(typed, review),
    };
    let record = draft.record.unwrap_or(Form::Raw);
    let events = match &draft.events {
        None => path.as_ref().map(|path| default_events(path, record)),
        Some(typed) => events(typed, path.as_ref(), review),
    };
    if let (Form::Raw, Some(Destination::File(path)), Some(Events::File(events))) = (record, &path, &events)
        && *events != beside(path)
    {
        let (events, there) = (events.display(), beside(path));
        review.warnings.push(format!(
            "output.events: `tickerd audit` looks for what a raw tape owns up to in {}, and not in {events}",
            there.display()
        ));
    }
    let sync = draft.sync.as_ref().map_or(Some(Sync::Every(SYNC)), |typed| sync(typed, review));
    let queue = draft.queue.as_ref().map_or(Some(QUEUE), |typed| queue(typed, review));
    let (rotate, keep) = (rotate(draft, review), keep(draft, review));
    without_segments(path.as_ref(), draft, review);
    Some(Output {
        path: path?,
        record,
        events: events?,
        sync: sync?,
        queue: queue?,
        when_slow: draft.when_slow.unwrap_or(WhenSlow::Block),
        rotate,
        compress: draft.compress.unwrap_or_default(),
        keep,
    })
}

fn path(typed: &Spanned<String>, review: &mut Review) -> Option<Destination> {
    match typed.get_ref().as_str() {
        // By its name it would be opened anew, whatever it is: even the journal, and from its beginning.
        "-" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(Destination::Stdout),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => {
            review.wrong(&typed.span(), "output.path", "stderr is for the log; write \"-\" for stdout, else a file");
            None
        }
        _ => file(typed, "output.path", review).map(Destination::File),
    }
}

fn events(typed: &Spanned<String>, records: Option<&Destination>, review: &mut Review) -> Option<Events> {
    let wrong = match typed.get_ref().as_str() {
        "inline" => return Some(Events::Inline),
        "log" => return Some(Events::Log),
        "-" => "\"-\" is no file; write \"inline\" to have events among the records".to_owned(),
        text => {
            if let Some(word) = nearest(text, ["inline", "log"]) {
                format!("did you mean \"{word}\"? A file of this name is written \"./{text}\"")
            } else {
                let events = file(typed, "output.events", review)?;
                if records != Some(&Destination::File(events.clone())) {
                    return Some(Events::File(events));
                }
                "this is the file of the records; write \"inline\" to have events among them".to_owned()
            }
        }
    };
    review.wrong(&typed.span(), "output.events", wrong);
    None
}

/// Raw records stay the venue's own bytes: events go beside them, or to the log where there is no beside.
fn default_events(records: &Destination, record: Form) -> Events {
    match (record, records) {
        (Form::Envelope, _) => Events::Inline,
        (Form::Raw, Destination::Stdout) => Events::Log,
        (Form::Raw, Destination::File(path)) => Events::File(beside(path)),
    }
}

/// `tape.events` beside `tape.ndjson`.
fn beside(path: &Path) -> PathBuf {
    let replaced = path.with_extension("events");
    let lost = path.extension().is_some_and(|extension| extension.to_string_lossy().contains("{feed}"));
    if lost || replaced == path {
        let mut name = path.as_os_str().to_owned();
        name.push(".events");
        name.into()
    } else {
        replaced
    }
}

/// A file to write to. Relative, it starts at the service's own folder, else at the working directory.
fn file(typed: &Spanned<String>, key: &str, review: &mut Review) -> Option<PathBuf> {
    let text = typed.get_ref();
    let around = review.around;
    let state = around.var("STATE_DIRECTORY").and_then(|folders| folders.split(':').next());
    let path = state.map_or_else(|| around.directory.clone(), PathBuf::from).join(text);
    let others = text.replace("{feed}", "");
    let wrong = if text.is_empty() || text.contains('\0') {
        "this is no path; write \"-\" for stdout, else a file".to_owned()
    } else if others.contains(['{', '}']) {
        "only \"{feed}\" is known in braces".to_owned()
    } else if text.ends_with('/') || path.is_dir() {
        format!(
            "{} is a folder; name a file in it, as in \"{}/tape.ndjson\"",
            path.display(),
            text.trim_end_matches('/')
        )
    } else {
        return Some(path);
    };
    review.wrong(&typed.span(), key, wrong);
    None
}

fn sync(typed: &Spanned<String>, review: &mut Review) -> Option<Sync> {
    match typed.get_ref().as_str() {
        "always" => Some(Sync::Always),
        "never" => Some(Sync::Never),
        text => match nearest(text, ["always", "never"]) {
            Some(word) => {
                review.wrong(&typed.span(), "output.sync", format!("did you mean \"{word}\"?"));
                None
            }
            None => match review.duration(typed, "output.sync")? {
                zero if zero.is_zero() => Some(Sync::Always),
                interval => Some(Sync::Every(interval)),
            },
        },
    }
}

fn queue(typed: &Spanned<String>, review: &mut Review) -> Option<u64> {
    let size = review.size(typed, "output.queue")?;
    if size < LEAST_QUEUE {
        review.wrong(
            &typed.span(),
            "output.queue",
            format!("\"{}\" is too little; 1MiB is the least", typed.get_ref()),
        );
        return None;
    }
    Some(size)
}

/// The shortest time and the least size of a segment: each costs some syncs of the disk, and a file for good.
const LEAST_EVERY: Duration = Duration::from_secs(1);
const LEAST_SIZE: u64 = 64 << 10;

fn rotate(draft: &draft::Output, review: &mut Review) -> Rotate {
    let Some(rotate) = draft.rotate.as_ref().map(Spanned::get_ref) else { return Rotate::default() };
    let every = rotate.every.as_ref().and_then(|typed| {
        let every = review.duration(typed, "output.rotate.every")?;
        at_least(every >= LEAST_EVERY, typed, "output.rotate.every", "1s", review).then_some(every)
    });
    let size = rotate.size.as_ref().and_then(|typed| {
        let size = review.size(typed, "output.rotate.size")?;
        at_least(size >= LEAST_SIZE, typed, "output.rotate.size", "64KiB", review).then_some(size)
    });
    Rotate { every, size }
}

fn keep(draft: &draft::Output, review: &mut Review) -> Keep {
    let Some(keep) = draft.keep.as_ref().map(Spanned::get_ref) else { return Keep::default() };
    Keep {
        age: keep.age.as_ref().and_then(|typed| review.duration(typed, "output.keep.age")),
        size: keep.size.as_ref().and_then(|typed| review.size(typed, "output.keep.size")),
        free: keep.free.as_ref().and_then(|typed| review.size(typed, "output.keep.free")),
    }
}

fn at_least(enough: bool, typed: &Spanned<String>, key: &str, least: &str, review: &mut Review) -> bool {
    if !enough {
        review.wrong(&typed.span(), key, format!("\"{}\" is too little; {least} is the least", typed.get_ref()));
    }
    enough
}

/// What concerns segments, where there are none or will be none.
fn without_segments(path: Option<&Destination>, draft: &draft::Output, review: &mut Review) {
    let typed = [
        ("rotate", draft.rotate.is_some()),
        ("compress", draft.compress.is_some_and(|packing| packing != Packing::None)),
        ("keep", draft.keep.is_some()),
    ];
    for (key, _) in typed.into_iter().filter(|(_, typed)| *typed) {
        if path == Some(&Destination::Stdout) {
            review.warnings.push(format!("output.{key} is for files; records go to stdout, and it does nothing"));
        } else if key != "rotate" && draft.rotate.is_none() {
            review.warnings.push(format!(
                "output.{key} is for sealed segments, and without output.rotate one is sealed only on USR1 or after a crash"
            ));
        }
    }
}
