//! What becomes of what is written to files: segments, and for how long there is room.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use bytesize::ByteSize;
use serde_json::{Value, json};

use super::{Size, line};
use crate::{
    config::{Config, Destination, Keep, Output, Packing, Rotate},
    output::{End, Forecast, Stock, shrinks_to_one},
};

/// What is to be expected of the files of an output.
pub(super) struct Segments<'a> {
    output: &'a Output,
    /// Over all feeds whose products are known before the venue has listed its own.
    bytes_a_day: u64,
    /// There are others.
    more: bool,
    stock: Option<Stock>,
}

impl<'a> Segments<'a> {
    /// Looks at the disk; None where records do not go to files.
    pub fn of(config: &'a Config) -> Option<Self> {
        let Destination::File(path) = &config.output.path else { return None };
        let known = config.feeds.iter().filter(|feed| feed.products.is_fixed());
        let sizes = known
            .map(|feed| Size::of(&feed.venue.legs(&feed.channels, feed.products.named(), &feed.accounts)).bytes_a_day);
        Some(Self {
            output: &config.output,
            bytes_a_day: sizes.sum(),
            more: config.feeds.iter().any(|feed| !feed.products.is_fixed()),
            stock: stock(path, config),
        })
    }

    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Output { rotate, compress, keep, .. } = self.output;
        line(out, "rotate", &words_of_rotate(*rotate))?;
        line(out, "compress", &words_of_compress(*compress))?;
        line(out, "keep", &words_of_keep(*keep))?;
        line(out, "a day", &self.a_day())?;
        match self.disk() {
            Some(disk) => line(out, "disk", &disk),
            None => Ok(()),
        }
    }

    pub fn json(&self) -> Value {
        let forecast = self.forecast();
        let end = forecast.map(|forecast| forecast.end);
        json!({
            "bytes_a_day": self.known(),
            "stored_a_day": forecast.map(|forecast| forecast.stored_a_day),
            "free": self.stock.map(|stock| stock.space.free),
            "full_in_ms": match end {
                Some(End::Full(after)) => json!(milliseconds(after)),
                _ => json!(null),
            },
            "held_to": match end {
                Some(End::Held(most)) => json!(most),
                _ => json!(null),
            },
        })
    }

    /// What comes a day, where that is known.
    fn known(&self) -> Option<u64> {
        (!self.more).then_some(self.bytes_a_day)
    }

    fn forecast(&self) -> Option<Forecast> {
        Some(Forecast::of(self.output, self.known()?, self.stock?))
    }

    fn a_day(&self) -> String {
        let Some(bytes) = self.known() else {
            return format!(
                "more than {}: what a pattern matches is known once the venue has listed its products, and `tickerd status` tells \
                 what comes of it",
                size(self.bytes_a_day)
            );
        };
        let stored = self.forecast().map_or(bytes, |forecast| forecast.stored_a_day);
        let packed = if stored < bytes { format!(", about {} on the disk", size(stored)) } else { String::new() };
        format!("about {} over all feeds if each product is busy{packed}", size(bytes))
    }

    fn disk(&self) -> Option<String> {
        let stock = self.stock?;
        let free = size(stock.space.free);
        Some(match self.output.keep.free {
            Some(least) if !stock.space.has(least) => format!(
                "{free} free of {}; output.keep.free asks for more than that, and nothing is removed for it",
                size(stock.space.total)
            ),
            _ => {
                let end = self.forecast().map_or_else(String::new, |forecast| format!("; {}", forecast.end.words()));
                format!("{free} free{end}")
            }
        })
    }
}

/// As the configuration has it, in one object.
pub(super) fn settings(output: &Output) -> [(&'static str, Value); 3] {
    let Output { rotate, compress, keep, .. } = output;
    [
        ("rotate", json!({ "every_ms": rotate.every.map(milliseconds), "size": rotate.size })),
        ("compress", json!(compress)),
        ("keep", json!({ "age_ms": keep.age.map(milliseconds), "size": keep.size, "free": keep.free })),
    ]
}

fn stock(path: &Path, config: &Config) -> Option<Stock> {
    Stock::of(path, config.feeds.iter().map(|feed| feed.name.as_str()))
}

fn words_of_rotate(rotate: Rotate) -> String {
    let every = rotate.every.map(|every| format!("every {}, by UTC", humantime::format_duration(every)));
    let size = rotate.size.map(|most| format!("before {}", ByteSize::b(most).display().iec()));
    match (every, size) {
        (None, None) => "on USR1 alone: the file grows".to_owned(),
        (Some(one), None) | (None, Some(one)) => one,
        (Some(every), Some(size)) => format!("{every}, and {size}"),
    }
}

fn words_of_compress(packing: Packing) -> String {
    let name = match packing {
        Packing::None => return "none".to_owned(),
        Packing::Zstd => "zstd",
        Packing::Gzip => "gzip",
    };
    format!("{name}, about {} to one", shrinks_to_one(packing))
}

fn words_of_keep(keep: Keep) -> String {
    let mut rules = Vec::new();
    rules.extend(keep.age.map(|age| format!("{} at most", humantime::format_duration(age))));
    rules.extend(keep.size.map(|most| format!("{} at most", ByteSize::b(most).display().iec())));
    rules.extend(keep.free.map(|least| format!("while {} are free", ByteSize::b(least).display().iec())));
    match rules.as_slice() {
        [] => "all: nothing is ever removed".to_owned(),
        rules => format!("{}; of sealed segments the oldest are removed", rules.join(", ")),
    }
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
