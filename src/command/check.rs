//! `tickerd check`: what `run` would do, for people or for programs. Where credentials are from, never what they are.

mod segments;

use std::io::{self, Write};

use bytesize::ByteSize;
use serde_json::{Value, json};

use self::segments::Segments;
use crate::{
    config::{Config, Destination, Events, Family, Feed, Form, IfRefused, Route, Sync, WhenSlow},
    venue::{Product, Subscribe},
};

/// Prints it as text.
///
/// # Errors
/// When `out` takes no more.
pub fn print(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let source =
        config.source.as_ref().map_or_else(|| "none: options only".to_owned(), |path| path.display().to_string());
    line(out, "configuration", &source)?;
    line(out, "output", &destination(&config.output.path))?;
    line(out, "record", &spelt(config.output.record))?;
    line(out, "events", &events(&config.output.events))?;
    if let Destination::File(_) = config.output.path {
        line(out, "sync", &sync(config.output.sync))?;
    }
    line(out, "queue", &ByteSize::b(config.output.queue).display().iec().to_string())?;
    line(out, "when slow", when_slow(config.output.when_slow))?;
    if let Some(segments) = Segments::of(config) {
        segments.print(out)?;
    }
    if let Some(path) = &config.ca_file {
        line(out, "extra roots", &path.display().to_string())?;
    }
    if !matches!(config.net.route, Route::Direct) {
        line(out, "proxy", &config.net.route.to_string())?;
    }
    if let Some(address) = config.net.bind {
        line(out, "from", &address.to_string())?;
    }
    match config.net.ip {
        Family::Any => {}
        Family::V4 => line(out, "ip", "version 4 alone")?,
        Family::V6 => line(out, "ip", "version 6 alone")?,
    }
    if let Some(listen) = &config.http {
        line(out, "metrics", &format!("http://{listen}/metrics"))?;
    }
    for origin in &config.credentials {
        writeln!(out)?;
        line(out, "credentials", origin.credentials.name())?;
        line(out, "  algorithm", origin.credentials.algorithm())?;
        line(out, "  key", &format!("from {}", origin.key_from))?;
        line(out, "  secret", &format!("from {}", origin.secret_from))?;
        if let Some(from) = &origin.passphrase_from {
            line(out, "  passphrase", &format!("from {from}"))?;
        }
    }
    for feed in &config.feeds {
        writeln!(out)?;
        print_feed(feed, out)?;
    }
    if !config.warnings.is_empty() {
        writeln!(out)?;
    }
    for warning in &config.warnings {
        line(out, "warning", warning)?;
    }
    out.flush()
}

/// Prints it as one JSON object on one line.
///
/// # Errors
/// When `out` takes no more.
pub fn print_json(config: &Config, out: &mut impl Write) -> io::Result<()> {
    let credentials: Vec<_> = config
        .credentials
        .iter()
        .map(|origin| {
            json!({
                "name": origin.credentials.name(),
                "algorithm": origin.credentials.algorithm(),
                "key_from": origin.key_from,
                "secret_from": origin.secret_from,
                "passphrase_from": origin.passphrase_from,
            })
        })
        .collect();
    let mut whole = json!({
        "configuration": config.source,
        "output": {
            "path": match &config.output.path {
                Destination::Stdout => json!("-"),
                Destination::File(path) => json!(path),
            },
            "record": config.output.record,
            "events": match &config.output.events {
                Events::Inline => json!("inline"),
                Events::Log => json!("log"),
                Events::File(path) => json!(path),
            },
            "sync": match config.output.sync {
                Sync::Always => "always".to_owned(),
                Sync::Never => "never".to_owned(),
                Sync::Every(interval) => humantime::format_duration(interval).to_string(),
            },
            "queue": config.output.queue,
            "when_slow": config.output.when_slow,
        },
        "credentials": credentials,
        "feeds": config.feeds.iter().map(feed_json).collect::<Vec<_>>(),
        "service": { "ready": config.service.ready, "drain_ms": u64::try_from(config.service.drain.as_millis()).unwrap_or(u64::MAX) },
        "log": { "level": config.log.level.as_str().to_lowercase(), "format": config.log.format },
        "ca_file": config.ca_file,
        "http": config.http.as_ref().map(ToString::to_string),
        "net": { "proxy": config.net.route.to_string(), "bind": config.net.bind, "ip": config.net.ip },
        "warnings": config.warnings,
    });
    if let Some(segments) = Segments::of(config) {
        let output = &mut whole["output"];
        output["forecast"] = segments.json();
        for (key, value) in segments::settings(&config.output) {
            output[key] = value;
        }
    }
    writeln!(out, "{whole}")?;
    out.flush()
}

fn print_feed(feed: &Feed, out: &mut impl Write) -> io::Result<()> {
    line(out, "feed", &feed.name)?;
    line(out, "  venue", feed.venue.name)?;
    if let Some(endpoint) = endpoint(feed) {
        line(out, "  endpoint", endpoint)?;
    }
    line(out, "  url", &feed.url)?;
    if let Some(url) = &feed.failover {
        line(out, "  failover", &format!("{url}, while that can not be reached"))?;
    }
    line(out, "  rest", &feed.rest)?;
    let signed = match (&feed.credentials, feed.if_refused) {
        (None, _) => "no".to_owned(),
        (Some(credentials), IfRefused::Public) => {
            format!("by \"{}\"; if refused, public channels go on unsigned", credentials.name())
        }
        (Some(credentials), IfRefused::Wait) => format!("by \"{}\"; if refused, it waits", credentials.name()),
    };
    line(out, "  signed", &signed)?;
    if !feed.products.is_fixed() {
        let channels: Vec<_> = feed.channels.iter().map(|channel| channel.name).collect();
        line(out, "  channels", &channels.join(", "))?;
        if !feed.accounts.is_empty() {
            line(out, "  accounts", &feed.accounts.join(", "))?;
        }
        return line(out, "  products", &format!("{}; resolved at start and each hour", feed.products));
    }
    let legs = feed.venue.legs(&feed.channels, feed.products.named(), &feed.accounts);
    for (i, leg) in legs.iter().enumerate() {
        for (j, subscribe) in leg.iter().enumerate() {
            let title = if j == 0 { format!("  connection {}", i + 1) } else { String::new() };
            line(out, &title, &subscription(subscribe))?;
        }
    }
    let size = Size::of(&legs);
    line(out, "  longest line", &format!("about {}", ByteSize::b(size.longest_line).display().si()))?;
    line(out, "  a day", &format!("about {} if each product is busy", ByteSize::b(size.bytes_a_day).display().si()))
}

fn feed_json(feed: &Feed) -> Value {
    // What patterns match is known only once the venue has listed its products.
    let legs = feed.products.is_fixed().then(|| feed.venue.legs(&feed.channels, feed.products.named(), &feed.accounts));
    let subscribe = |subscribe: &Subscribe| {
        json!({
            "channels": subscribe.channels.iter().map(|channel| channel.name).collect::<Vec<_>>(),
            "products": subscribe.products.iter().map(Product::as_str).collect::<Vec<_>>(),
            "accounts": subscribe.accounts,
        })
    };
    let size = legs.as_deref().map(Size::of);
    json!({
        "name": feed.name,
        "venue": feed.venue.name,
        "endpoint": endpoint(feed),
        "url": feed.url,
        "failover": feed.failover,
        "rest": feed.rest,
        "channels": feed.channels.iter().map(|channel| channel.name).collect::<Vec<_>>(),
        "products": feed.products.entries().collect::<Vec<_>>(),
        "accounts": feed.accounts,
        "credentials": feed.credentials.as_ref().map(|credentials| credentials.name()),
        "if_refused": feed.if_refused,
        "connections": legs.map(|legs| -> Vec<Vec<_>> { legs.iter().map(|leg| leg.iter().map(subscribe).collect()).collect() }),
        "longest_line": size.as_ref().map(|size| size.longest_line),
        "bytes_a_day": size.as_ref().map(|size| size.bytes_a_day),
    })
}

/// What the venue calls the address, where it has several.
fn endpoint(feed: &Feed) -> Option<&'static str> {
    feed.venue.endpoints.iter().find(|endpoint| endpoint.url == feed.url).map(|endpoint| endpoint.name)
}

/// What a feed is to be expected to bring, in bytes.
struct Size {
    longest_line: u64,
    bytes_a_day: u64,
}

impl Size {
    fn of(legs: &[Vec<Subscribe>]) -> Self {
        let mut size = Self { longest_line: 0, bytes_a_day: 0 };
        for subscribe in legs.iter().flatten() {
            for channel in &subscribe.channels {
                let products = subscribe.products.len().max(1) as u64;
                size.longest_line = size.longest_line.max(channel.longest_line);
                size.bytes_a_day += channel.bytes_a_day * products;
            }
        }
        size
    }
}

/// "level2 of BTC-USD, ETH-USD", "balance of 2 accounts".
fn subscription(subscribe: &Subscribe) -> String {
    /// As many as fit on a line.
    const SHOWN: usize = 6;
    let channels: Vec<_> = subscribe.channels.iter().map(|channel| channel.name).collect();
    let products: Vec<_> = subscribe.products.iter().take(SHOWN).map(Product::as_str).collect();
    let mut text = channels.join(", ");
    if !products.is_empty() {
        text = format!("{text} of {}", products.join(", "));
    }
    if subscribe.products.len() > SHOWN {
        text = format!("{text} and {} more", subscribe.products.len() - SHOWN);
    }
    match subscribe.accounts.as_slice() {
        [] => {}
        [account] => text = format!("{text} of account {account}"),
        accounts => text = format!("{text} of {} accounts", accounts.len()),
    }
    text
}

fn destination(path: &Destination) -> String {
    match path {
        Destination::Stdout => "stdout".to_owned(),
        Destination::File(path) => path.display().to_string(),
    }
}

fn events(events: &Events) -> String {
    match events {
        Events::Inline => "among the records".to_owned(),
        Events::Log => "only in the log".to_owned(),
        Events::File(path) => path.display().to_string(),
    }
}

fn sync(sync: Sync) -> String {
    match sync {
        Sync::Always => "after each write".to_owned(),
        Sync::Every(interval) => format!("every {}", humantime::format_duration(interval)),
        Sync::Never => "when the system likes".to_owned(),
    }
}

/// What a reader costs that leaves the queue full.
fn when_slow(when_slow: WhenSlow) -> &'static str {
    match when_slow {
        WhenSlow::Block => {
            "block: with the queue full sockets are not read; no message is dropped, the venue may close"
        }
        WhenSlow::Drop => "drop: with the queue full the oldest message goes, counted; sockets are read",
    }
}

/// As the configuration spells it.
fn spelt(record: Form) -> String {
    match record {
        Form::Raw => "raw".to_owned(),
        Form::Envelope => "envelope".to_owned(),
    }
}

fn line(out: &mut impl Write, title: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{title:<16}{text}")
}
