//! Raw records in one file that nobody can tell apart afterwards.

use super::{Destination, Feed, Form, Output};
use crate::venue::Counts;

/// What is worth saying of raw files in which records of several feeds, or of several connections that count each on its own, would
/// stand one among another: a raw record says of neither which it is of.
pub(super) fn warnings(output: &Output, feeds: &[Feed]) -> Vec<String> {
    let Destination::File(path) = &output.path else { return Vec::new() };
    if output.record != Form::Raw {
        return Vec::new();
    }
    if feeds.len() > 1 && !path.to_string_lossy().contains("{feed}") {
        return vec![format!(
            "raw records do not say which feed they are of, and {} is to take those of {} feeds: `tickerd audit` can not tell their \
             gaps apart. Write {{feed}} in output.path, or record = \"envelope\"",
            path.display(),
            feeds.len()
        )];
    }
    let spread = feeds.iter().filter_map(|feed| Some((feed, connections(feed)?)));
    let warning = |(feed, connections): (&Feed, usize)| {
        format!(
            "raw records do not say which connection they came over, and feed \"{}\" needs {connections}: `tickerd audit` can not \
             tell their gaps apart. Write record = \"envelope\"",
            feed.name
        )
    };
    spread.filter(|(_, connections)| *connections > 1).map(warning).collect()
}

/// How many connections a feed is spread over, each with a count of its own; None where the venue's list must be known for
/// that, or the venue counts by product, so that it does not matter which connection a message came over.
fn connections(feed: &Feed) -> Option<usize> {
    let by_connection = feed.channels.iter().any(|channel| channel.counts == Counts::Connection);
    (by_connection && feed.products.is_fixed())
        .then(|| feed.venue.legs(&feed.channels, feed.products.named(), &feed.accounts).len())
}
