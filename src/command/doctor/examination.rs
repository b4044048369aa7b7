//! What the venue says: its time, what each key may do, and a real subscribe on each feed.

mod feed;

use std::{
    cell::Cell,
    fmt,
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::timeout;

use super::{
    Patient,
    asking::Asking,
    live::{self, Belief},
    report::{Outcome, Report},
    uses,
};
use crate::{
    clock::Clock,
    command::said,
    config::Feed,
    desk::Desk,
    exit::{Failure, Status},
    net::{self, Dial, Network, client_config},
    pace::Pace,
    random::Random,
    rest::Client,
    venue::{Offset, Permissions, Product, Reason, Rest},
    verdict::{self, RestSaid, SchemeUsed},
};

/// A refusal that heals does so within seconds (`coinbase-advanced-py#19`); the daemon waits as long.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One visit to the venue, with everything that it takes.
pub(super) struct Examination<'a> {
    patient: &'a Patient,
    dial: Arc<dyn Dial>,
    client: Client,
    clock: Clock,
    random: Random,
    desks: Vec<Arc<Desk>>,
    /// Our clock as the venue's shows it to be, once that was asked.
    offset: Cell<Option<Offset>>,
}

/// For the clock alone, beside a message that is there already, nobody waits longer.
const AT_ONCE: Duration = Duration::from_secs(5);

impl<'a> Examination<'a> {
    /// Nobody is asked yet.
    pub fn new(patient: &'a Patient) -> Result<Self, Failure> {
        let tls = client_config(patient.ca_file.as_ref()).map_err(|error| Failure::new(Status::Config, error))?;
        let dial: Arc<dyn Dial> = Arc::new(Network::new(tls).reached(patient.net.clone()));
        let (clock, random) = (Clock::system(), Random::system());
        let client = Client::new(dial.clone(), clock.clone(), random.clone());
        let desks = patient.credentials.iter().map(|origin| Arc::new(Desk::new(origin.credentials.clone()))).collect();
        Ok(Self { patient, dial, client, clock, random, desks, offset: Cell::new(None) })
    }

    /// Asks everything, and adds what was answered. Whether any feed's WebSocket could be asked.
    pub async fn ask(&self, report: &mut Report) -> bool {
        let mut asked: Vec<&str> = Vec::new();
        for feed in &self.patient.feeds {
            if !asked.contains(&feed.rest.as_str()) {
                asked.push(&feed.rest);
                self.ask_time(feed, report).await;
            }
        }
        for desk in &self.desks {
            self.ask_key(desk).await;
        }
        // What a WebSocket takes bears on what REST refuses, so the feeds are asked before the keys are judged.
        let (mut feeds, mut reached, mut takers) = (Report::default(), false, Vec::new());
        for feed in &self.patient.feeds {
            let taken = self.ask_feed(feed, &mut feeds).await;
            reached |= taken.is_some();
            takers.extend(taken.filter(|taken| *taken).and(feed.credentials.as_ref()).map(|taker| taker.name()));
        }
        for desk in &self.desks {
            self.judge_key(desk, takers.contains(&desk.credentials().name()), report).await;
        }
        report.append(feeds);
        reached
    }

    /// The venue's time where the first feed is, if it comes soon.
    pub async fn ask_time_at_once(&self, report: &mut Report) {
        let Some(feed) = self.patient.feeds.first() else { return };
        if timeout(AT_ONCE, self.ask_time(feed, report)).await.is_err() {
            report.add("clock", Outcome::Unknown, format!("{} gave no answer within 5 s", feed.rest));
        }
    }

    /// Seconds since 1970, by the venue's clock where it was asked and ours is wrong.
    pub fn unix(&self) -> u64 {
        let wrong = self.offset.get().filter(Offset::is_notable);
        wrong.map_or_else(|| self.clock.unix(), |offset| self.clock.clone().off_by(offset.ms).unix())
    }

    async fn ask_time(&self, feed: &Feed, report: &mut Report) {
        let subject = "clock";
        let offset = match self.client.time(feed.venue.rest, &feed.rest).await {
            Ok(offset) => offset,
            Err(error) => {
                return report.add(subject, Outcome::Unknown, format!("{} can not be asked: {error}", feed.rest));
            }
        };
        self.offset.set(Some(offset));
        for desk in &self.desks {
            desk.heard_clock(offset, &self.clock);
        }
        let mut what = format!("ours is {offset}, by {}", feed.rest);
        if offset.is_notable() {
            what.push_str("; tickerd signs by the venue's, other clients are refused or soon will be");
        }
        let schemes = self.desks.iter().map(|desk| Some(SchemeUsed::of(desk.credentials())));
        let judged = schemes.filter_map(|scheme| verdict::of_clock(offset, scheme));
        let worst = judged.min_by_key(|finding| finding.certainty as u8).or_else(|| verdict::of_clock(offset, None));
        report.found(subject, what, feed.venue, worst.into_iter().collect());
    }

    /// What REST says of a key, at the address of the first feed that uses it.
    async fn ask_key(&self, desk: &Desk) {
        let Some(feed) = self.patient.feeds.iter().find(|feed| uses(feed, desk.credentials())) else { return };
        let said = RestSaid::from(self.client.permissions(feed.venue.rest, &feed.rest, desk).await);
        desk.heard_rest(said, desk.incident());
    }

    /// What it said, in the light of whether a WebSocket took the same key.
    async fn judge_key(&self, desk: &Desk, taken: bool, report: &mut Report) {
        let credentials = desk.credentials();
        let Some(feed) = self.patient.feeds.iter().find(|feed| uses(feed, credentials)) else { return };
        let Some(said) = desk.rest_said() else { return };
        let subject = format!("key {}", credentials.name());
        let causes = || verdict::causes(&desk.evidence(feed.venue, None, Reason::Credentials, true));
        match &said {
            RestSaid::Took(permissions) if !permissions.can_view => {
                report.found(subject, "may not view", feed.venue, causes());
            }
            RestSaid::Took(permissions) => {
                let (mut outcome, mut what) = may(*permissions, feed.venue.rest);
                if let Err(error) = self.client.proof(feed.venue.rest, &feed.rest, desk).await {
                    outcome = Outcome::Doubtful;
                    what = format!("{what}; a call with a query is not answered: {error}");
                }
                report.add(subject, outcome, what);
            }
            RestSaid::Unreachable(why) => {
                report.add(subject, Outcome::Unknown, format!("{} can not be asked: {why}", feed.rest));
            }
            RestSaid::Unauthorized(_) | RestSaid::Forbidden(_) if taken => {
                // coinbase-advanced-py#132: REST's edge refused half of all valid tokens.
                let what = format!("{} refuses it: {said}, and the WebSocket takes it", feed.rest);
                report.add(subject, Outcome::Doubtful, what);
            }
            RestSaid::Unauthorized(_) | RestSaid::Forbidden(_) => {
                let what = format!("{} refuses it: {said}", feed.rest);
                report.add_because(subject, Outcome::Ill, what, feed.venue, causes());
            }
        }
    }

    async fn connect(&self, feed: &Feed) -> Result<Asking<'_>, net::DialError> {
        let dialled = net::dial(&*self.dial, &feed.url).await?;
        Ok(Asking {
            socket: dialled.socket,
            venue: feed.venue,
            clock: &self.clock,
            random: &self.random,
            pace: Pace::default(),
        })
    }

    async fn products(&self, feed: &Feed) -> Result<Vec<Product>, String> {
        if feed.products.is_fixed() {
            return Ok(feed.products.named().to_vec());
        }
        let listed =
            self.client.products(feed.venue.rest, &feed.rest, None).await.map_err(|error| error.to_string())?;
        let none = || format!("of {} products none matches {}", listed.len(), feed.products);
        feed.products.resolve(&listed, &feed.channels).ok_or_else(none)
    }

    /// Watches the first connection of each feed for a while, and prints what it showed of the venue.
    pub async fn live(&self, span: Duration, out: &mut impl Write) -> Result<(), Failure> {
        let unreachable = |feed: &Feed, why: &dyn fmt::Display| {
            Failure::new(Status::Unreachable, format!("feed {}, {}: {why}", feed.name, feed.url))
        };
        for feed in &self.patient.feeds {
            let offset = self.client.time(feed.venue.rest, &feed.rest).await.ok();
            let products = self.products(feed).await.map_err(|error| unreachable(feed, &error))?;
            let legs = feed.venue.legs(&feed.channels, &products, &feed.accounts);
            let desk = self.desks.iter().find(|desk| uses(feed, desk.credentials()));
            if let (Some(desk), Some(offset)) = (desk, offset) {
                desk.heard_clock(offset, &self.clock);
            }
            let mut asking = self.connect(feed).await.map_err(|error| unreachable(feed, &error))?;
            let begun = self.clock.now();
            let seen = live::watch(&mut asking, &legs[0], desk.map(|desk| &**desk), span).await;
            asking.leave().await;
            said(print(feed, begun, span, offset, &seen.beliefs, out))?;
            if seen.refused {
                let what = "the venue refuses the credentials, which is no difference: `tickerd doctor` without --live says why";
                return Err(Failure::new(Status::Refused, what));
            }
        }
        Ok(())
    }
}

/// What a key that REST takes may do: to record takes View, and whatever else it may is somebody's risk.
fn may(permissions: Permissions, rest: &Rest) -> (Outcome, String) {
    // Where there is no list of them, what takes the permission to view was asked for in its place.
    if rest.proof.split('?').next() == Some(rest.permissions) {
        let what = "taken by REST; may view. What else it may the venue does not tell: a recorder needs View only";
        return (Outcome::Well, what.to_owned());
    }
    let more = match (permissions.can_trade, permissions.can_transfer) {
        (false, false) => return (Outcome::Well, "taken by REST; may view, and no more".to_owned()),
        (true, false) => "TRADE",
        (false, true) => "TRANSFER MONEY",
        (true, true) => "TRADE AND TRANSFER MONEY",
    };
    let what =
        format!("taken by REST; may view. IT MAY {more} AS WELL: a recorder needs View only, in a key of its own");
    (Outcome::Doubtful, what)
}

fn print(
    feed: &Feed,
    begun: SystemTime,
    span: Duration,
    offset: Option<Offset>,
    beliefs: &[Belief],
    out: &mut impl Write,
) -> io::Result<()> {
    let begun = Timestamp::try_from(begun).unwrap_or(Timestamp::UNIX_EPOCH);
    let clock = offset
        .map_or_else(|| "the venue's clock could not be asked".to_owned(), |offset| format!("our clock is {offset}"));
    writeln!(
        out,
        "tickerd {} watched {} ({}) for {} s from {begun:.0}; {clock}",
        env!("TICKERD_VERSION"),
        feed.url,
        feed.venue.name,
        span.as_secs()
    )?;
    // Whoever is refused has nothing to report, unless there is more to it.
    let differs = |belief: &Belief| belief.holds == Some(false) && !belief.refused;
    let asks = !beliefs.iter().any(|belief| belief.refused) || beliefs.iter().any(differs);
    let ask = if asks { " Where a line says DIFFERS, please paste all of it into an issue." } else { "" };
    writeln!(out, "This holds no secret.{ask}\n")?;
    for belief in beliefs {
        let verdict = match belief.holds {
            Some(true) => "as believed",
            Some(false) if belief.refused => "refused",
            Some(false) => "DIFFERS",
            None => "not seen",
        };
        let seen = if belief.seen.is_empty() { String::new() } else { format!(": {}", belief.seen) };
        writeln!(out, "{verdict:<12} {}{seen}", belief.what)?;
    }
    writeln!(out)?;
    out.flush()
}
