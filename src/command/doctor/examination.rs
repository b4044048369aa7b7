//! What the venue says: its time, what each key may do, and a real subscribe on each feed.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::{
    Patient,
    asking::{Answer, Asking},
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
    random::Random,
    rest::Client,
    venue::{Offset, Permissions, Product, Reason, Subscribe},
    verdict::{self, Evidence, Finding, Mistake, RestSaid, SchemeUsed},
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
}

impl<'a> Examination<'a> {
    /// Nobody is asked yet.
    pub fn new(patient: &'a Patient) -> Result<Self, Failure> {
        let tls = client_config(patient.ca_file.as_ref()).map_err(|error| Failure::new(Status::Config, error))?;
        let dial: Arc<dyn Dial> = Arc::new(Network::new(tls));
        let (clock, random) = (Clock::system(), Random::system());
        let client = Client::new(dial.clone(), clock.clone(), random.clone());
        let desks = patient.credentials.iter().map(|origin| Arc::new(Desk::new(origin.credentials.clone()))).collect();
        Ok(Self { patient, dial, client, clock, random, desks })
    }

    /// Asks everything, and adds what was answered.
    pub async fn ask(&self, report: &mut Report) {
        report.asks_now();
        let mut asked: Vec<&str> = Vec::new();
        for feed in &self.patient.feeds {
            if !asked.contains(&feed.rest.as_str()) {
                asked.push(&feed.rest);
                self.ask_time(feed, report).await;
            }
        }
        for desk in &self.desks {
            self.ask_key(desk, report).await;
        }
        for feed in &self.patient.feeds {
            self.ask_feed(feed, report).await;
        }
    }

    async fn ask_time(&self, feed: &Feed, report: &mut Report) {
        match self.client.time(feed.venue.rest, &feed.rest).await {
            Ok(offset) => {
                for desk in &self.desks {
                    desk.known(|known| known.offset = Some(offset));
                }
                // The strictest scheme in use tells whether it matters.
                let schemes = self.desks.iter().map(|desk| Some(SchemeUsed::of(desk.credentials())));
                let scheme = schemes.min_by_key(|scheme| *scheme != Some(SchemeUsed::Hmac)).flatten();
                let findings = verdict::of_clock(offset, scheme).into_iter().collect();
                report.found("clock", format!("ours is {offset}, by {}", feed.rest), findings);
            }
            Err(error) => report.add("clock", Outcome::Unknown, format!("{} can not be asked: {error}", feed.rest)),
        }
    }

    /// What REST says of a key, at the address of the first feed that uses it.
    async fn ask_key(&self, desk: &Arc<Desk>, report: &mut Report) {
        let credentials = desk.credentials();
        let Some(feed) = self.patient.feeds.iter().find(|feed| uses(feed, credentials)) else { return };
        let subject = format!("key {}", credentials.name());
        let rest = feed.venue.rest;
        let said = RestSaid::from(self.client.permissions(rest, &feed.rest, desk).await);
        desk.known(|known| known.rest = Some(said.clone()));
        let evidence = Evidence {
            venue: feed.venue,
            channel: None,
            words: "",
            reason: Reason::Credentials,
            signed: true,
            confirmed: true,
            scheme: Some(SchemeUsed::of(credentials)),
            offset: desk.offset_left(),
            rest: Some(&said),
        };
        match &said {
            RestSaid::Took(permissions) if !permissions.can_view => {
                report.found(subject, "may not view", verdict::causes(&evidence));
            }
            RestSaid::Took(permissions) => {
                let (mut outcome, mut what) = may(permissions);
                if let Err(error) = self.client.proof(rest, &feed.rest, desk).await {
                    outcome = Outcome::Doubtful;
                    what = format!("{what}; a call with a query is not answered: {error}");
                }
                report.add(subject, outcome, what);
            }
            RestSaid::Unreachable(why) => {
                report.add(subject, Outcome::Unknown, format!("{} can not be asked: {why}", feed.rest));
            }
            RestSaid::Unauthorized(_) | RestSaid::Forbidden(_) => {
                let what = format!("{} refuses it: {said}", feed.rest);
                report.add_because(subject, Outcome::Ill, what, verdict::causes(&evidence));
            }
        }
    }
    /// Asks for each channel of the feed's first connection, heartbeats first.
    async fn ask_feed(&self, feed: &Feed, report: &mut Report) {
        let subject = format!("feed {}", feed.name);
        let products = match self.products(feed).await {
            Ok(products) => products,
            Err(error) => {
                let why = format!("its patterns choose nothing: {error}");
                return report.add(subject, Outcome::Unknown, why);
            }
        };
        let legs = feed.venue.legs(&feed.channels, &products);
        let mut asking = match self.connect(feed).await {
            Ok(asking) => asking,
            Err(error) => {
                return report.add(subject, Outcome::Unknown, format!("{}: {error}", feed.url));
            }
        };
        let desk = self.desks.iter().find(|desk| uses(feed, desk.credentials()));
        let mut taken = Vec::new();
        for subscribe in legs.first().into_iter().flatten() {
            let name = name(subscribe);
            match self.settle(&mut asking, subscribe, desk).await {
                Answer::Taken(left_out) => {
                    for product in left_out {
                        let what = format!("{name} of {product}: left out of the venue's answer, without a word");
                        report.found(&*subject, what, vec![verdict::of_left_out(&product)]);
                    }
                    taken.push(name);
                }
                Answer::Refused(words) => {
                    let mut findings = Self::causes(feed, subscribe, desk, &words);
                    let mut what = format!("{name} is refused: {words:?}");
                    // A channel that is taken without a signature is known to the venue: it is the credentials.
                    let public = subscribe.channels.iter().all(|channel| !channel.private);
                    if desk.is_some() && public && matches!(asking.ask(subscribe, None).await, Answer::Taken(_)) {
                        what.push_str("; without a signature it is taken");
                        findings.retain(|finding| finding.mistake != Mistake::ChannelName);
                    }
                    report.add_because(&*subject, Outcome::Ill, what, findings);
                    // The others would be refused as well, and for the same reason.
                    break;
                }
                Answer::Silent => report.add(&*subject, Outcome::Unknown, format!("{name}: no answer within 15 s")),
                Answer::Lost(why) => {
                    report.add(&*subject, Outcome::Unknown, format!("{name}: {why}"));
                    break;
                }
            }
        }
        asking.leave().await;
        if !taken.is_empty() {
            let signed = if desk.is_some() { "signed" } else { "unsigned" };
            report.add(subject, Outcome::Well, format!("{}: {} taken, {signed}", feed.url, taken.join(", ")));
        }
    }

    /// Asks; a refusal counts when it stands against a second signature.
    async fn settle(&self, asking: &mut Asking<'_>, subscribe: &Subscribe, desk: Option<&Arc<Desk>>) -> Answer {
        let first = asking.ask(subscribe, desk.map(|desk| &**desk)).await;
        match (&first, desk) {
            (Answer::Refused(_), Some(_)) => {
                sleep_until(Instant::now() + ASK_AGAIN).await;
                asking.ask(subscribe, desk.map(|desk| &**desk)).await
            }
            _ => first,
        }
    }

    fn causes(feed: &Feed, subscribe: &Subscribe, desk: Option<&Arc<Desk>>, words: &str) -> Vec<Finding> {
        let rest = desk.and_then(|desk| desk.known(|known| known.rest.clone()));
        verdict::causes(&Evidence {
            venue: feed.venue,
            channel: subscribe.channels.first().copied(),
            words,
            reason: feed.venue.reason(words),
            signed: desk.is_some(),
            confirmed: true,
            scheme: desk.map(|desk| SchemeUsed::of(desk.credentials())),
            offset: desk.and_then(|desk| desk.offset_left()),
            rest: rest.as_ref(),
        })
    }

    async fn connect(&self, feed: &Feed) -> Result<Asking<'_>, net::DialError> {
        let dialled = net::dial(&*self.dial, &feed.url).await?;
        Ok(Asking { socket: dialled.socket, venue: feed.venue, clock: &self.clock, random: &self.random })
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
    pub async fn live(&self, span: Duration) -> Result<(), Failure> {
        let unreachable = |feed: &Feed, why: &dyn std::fmt::Display| {
            Failure::new(Status::Unreachable, format!("feed {}, {}: {why}", feed.name, feed.url))
        };
        for feed in &self.patient.feeds {
            let offset = self.client.time(feed.venue.rest, &feed.rest).await.ok();
            let products = self.products(feed).await.map_err(|error| unreachable(feed, &error))?;
            let legs = feed.venue.legs(&feed.channels, &products);
            let desk = self.desks.iter().find(|desk| uses(feed, desk.credentials()));
            let mut asking = self.connect(feed).await.map_err(|error| unreachable(feed, &error))?;
            let begun = self.clock.now();
            let watched = live::watch(&mut asking, &legs[0], desk.map(|desk| &**desk), span).await;
            asking.leave().await;
            let beliefs = watched.map_err(|answer| unreachable(feed, &answer))?;
            said(print(feed, begun, span, offset, &beliefs, &mut io::stdout().lock()))?;
        }
        Ok(())
    }
}

/// What a key that REST takes may do: to record takes View, and whatever else it may is somebody's risk.
fn may(permissions: &Permissions) -> (Outcome, String) {
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

fn name(subscribe: &Subscribe) -> String {
    subscribe.channels.iter().map(|channel| channel.name).collect::<Vec<_>>().join(", ")
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
    writeln!(out, "This holds no secret. Where a line says DIFFERS, please paste all of it into an issue.\n")?;
    for belief in beliefs {
        let verdict = match belief.holds {
            Some(true) => "as believed",
            Some(false) => "DIFFERS",
            None => "not seen",
        };
        writeln!(out, "{verdict:<12} {}: {}", belief.what, belief.seen)?;
    }
    writeln!(out)?;
    out.flush()
}
