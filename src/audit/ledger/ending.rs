//! What can be said once there are no more lines.

use std::collections::HashMap;

use super::Ledger;
use crate::audit::{
    connection::VANISHED,
    finding::{Kind, Place, Weight},
    message::House,
    stamp::{self, Stamp},
};

impl Ledger {
    /// There are no more lines.
    pub fn end(&mut self) {
        self.settle_reconnect();
        self.holes.excuse_raw(self.raw.dropped);
        self.holes.settle(&mut self.findings);
        self.connections_end();
        self.trades_end();
        self.raw_ends();
        if self.lines.unknown > 0 && self.lines.enveloped + self.lines.raw + self.lines.events == 0 {
            let text = "none of its lines is a record of these venues: it is another file than was meant, or of another recorder";
            self.findings.tell(Weight::Fault, Kind::Unknown, None, self.lines.unknown, text);
        }
    }

    /// Connections that nobody said the end of.
    fn connections_end(&mut self) {
        let mut last_of_run: HashMap<u32, Stamp> = HashMap::new();
        for connection in &self.connections {
            let last = last_of_run.entry(connection.id.0).or_default();
            *last = connection.span.1.max(*last);
        }
        let mut killed: HashMap<u32, u64> = HashMap::new();
        let mut said = Vec::new();
        for (index, connection) in
            self.connections.iter().enumerate().filter(|(_, connection)| connection.ended.is_none())
        {
            // Connections stand in the order of their first lines.
            let later = self.connections[index + 1..].iter().find(|other| {
                other.feed == connection.feed
                    && other.id.0 != connection.id.0
                    && other.first_line > connection.last_line
            });
            let who = format!("{} {}", self.feeds[connection.feed].name, connection.name());
            let last = stamp::second(connection.span.1);
            let is_told = self.kills.iter().any(|kill| *kill > connection.last_line);
            let goes_on = last_of_run.get(&connection.id.0).copied().unwrap_or_default();
            if is_told {
                *killed.entry(connection.id.0).or_default() += 1;
            } else if let Some(later) = later {
                said.push(format!(
                    "{who}: its lines end at {last}, {} begins at {}, and nothing says how it ended",
                    later.name(),
                    stamp::second(later.span.0)
                ));
            } else if goes_on.saturating_sub(connection.span.1) > VANISHED {
                said.push(format!(
                    "{who}: its lines end at {last}, others of its run go on, and nothing says how it ended"
                ));
            }
        }
        for (run, count) in killed {
            let connections = if count == 1 { "a connection".to_owned() } else { format!("{count} connections") };
            let text =
                format!("run {run:08x} ended by a kill, and {connections} with it: what was in flight is not known");
            self.findings.tell(Weight::Loss, Kind::Killed, None, 0, text);
        }
        for text in said {
            self.findings.tell(Weight::Fault, Kind::Vanished, None, 1, text);
        }
    }

    fn trades_end(&mut self) {
        let (missed, missing) = self.refills.sums();
        if missed > missing {
            let text = format!("{} of {missed} trades that were missed are here, recovered by REST", missed - missing);
            self.findings.tell(Weight::Note, Kind::Refilled, None, missed - missing, text);
        }
        if missing > 0 {
            let text = format!("{missing} trades that were missed are missing, as gaps say");
            self.findings.tell(Weight::Loss, Kind::Gap, None, missing, text);
        }
    }

    fn raw_ends(&mut self) {
        if self.raw.switches > 0 {
            let text = "this file mixes connections; raw records can not tell them apart, so that nothing can be proved of it: use {feed} in \
                        output.path, or record = \"envelope\"";
            let place = Place { file: self.at.1.clone(), line: 0, byte: 0 };
            self.findings.tell(Weight::Fault, Kind::Mixed, Some(place), self.raw.switches, text);
        }
        let counted_nowhere = self.lines.raw > 0
            && self.feeds.iter().any(|feed| {
                feed.name.is_empty() && feed.channels.iter().any(|channel| channel.house != House::AdvancedTrade)
            });
        if counted_nowhere {
            let promised: Vec<_> = self
                .feeds
                .iter()
                .flat_map(|feed| feed.accepted.iter().flatten())
                .filter(|name| matches!(name.as_str(), "full" | "matches" | "level3"))
                .cloned()
                .collect();
            let text = if promised.is_empty() {
                "nothing here counts: of these raw records nobody can say whether one is missing; record = \"envelope\" counts each".to_owned()
            } else {
                format!(
                    "of these raw records only {} are counted by the venue; record = \"envelope\" counts each",
                    promised.join(", ")
                )
            };
            self.findings.tell(Weight::Note, Kind::Unjudged, None, 1, text);
        }
    }
}
