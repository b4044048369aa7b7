//! One gap: which trades there are to fill it, asked for page by page, from the newest backwards.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::{Instant, sleep, timeout};

use super::Wanted;
use crate::{
    backoff::Backoff,
    net::DialError,
    random::Random,
    record::Line,
    rest::{Client, RestError},
    venue::{Rest, Trade},
};

/// By their numbers, each as the venue wrote it.
pub(super) type Found = BTreeMap<u64, Line>;

/// Pages that one gap may cost: at two a second half a minute, in which the other gaps wait.
const PAGES: usize = 50;

/// Trades that one gap may bring: a thousand a page. At the three a second that BTC-USD was recorded with that is an outage of
/// four hours, and at 300 bytes each half of what the output's queue holds.
const MOST: usize = 50_000;

/// Between two requests. Two a second, beside the eight of whoever else asks there, are the ten that the venue allows.
const APART: Duration = Duration::from_millis(500);

/// All that one gap may take: the others wait for it, and a venue that is down for longer has gaps of its own.
const LASTS: Duration = Duration::from_secs(300);

/// On both sides of the gap: its times are ours, and those of the trades the venue's. The numbers decide.
const SLACK: u64 = 30;

/// A clock drifts by seconds a day at worst.
const CLOCK_HOLDS: Duration = Duration::from_secs(3600);

/// Answers in a row that bring nothing older, after which the venue is believed to have no more.
const IN_VAIN: u32 = 3;

/// How long to wait behind an empty one.
const EMPTY_AGAIN: Duration = Duration::from_secs(5);

const NOT_TOLD: &str = "the venue does not tell them by REST";

const TOO_MANY: &str = "they are more than are asked for to fill one gap";

/// Asks for one gap at a time.
pub(super) struct Gathering {
    client: Client,
    rest: &'static Rest,
    base: String,
    random: Random,
    /// When the venue's clock was asked, and how many seconds it is before ours.
    clock: Option<(Instant, i64)>,
}

impl Gathering {
    /// Asks at `base`.
    pub fn new(client: Client, rest: &'static Rest, base: &str, random: Random) -> Self {
        Self { client, rest, base: base.to_owned(), random, clock: None }
    }

    /// Finds what it can, and says why the rest, if there is any, can not be had. What is found before it is dropped is found.
    pub async fn gather(&mut self, wanted: &Wanted, found: &mut Found) -> String {
        let mut trouble = None;
        match timeout(LASTS, self.page_back(wanted, found, &mut trouble)).await {
            Ok(Ok(why)) => why.to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => trouble.map_or_else(
                || format!("the venue did not tell them within {} s", LASTS.as_secs()),
                |error: RestError| error.to_string(),
            ),
        }
    }

    async fn page_back(
        &mut self,
        wanted: &Wanted,
        found: &mut Found,
        trouble: &mut Option<RestError>,
    ) -> Result<&'static str, RestError> {
        let ahead = self.ahead().await;
        let start = unix(wanted.from).saturating_add_signed(ahead).saturating_sub(SLACK);
        let mut end = unix(wanted.until).saturating_add_signed(ahead) + SLACK;
        let (mut oldest, mut in_vain) = (u64::MAX, 0);
        for _ in 0..PAGES {
            let page = self.ask(&wanted.product, start, end, trouble).await?;
            let reached = page.iter().map(|trade| (trade.id, trade.by)).min();
            take(page, wanted, found);
            if found.len() >= MOST {
                return Ok(TOO_MANY);
            }
            if reached.is_some_and(|(id, _)| id <= wanted.expected) || found.len() as u64 == wanted.missed() {
                return Ok(NOT_TOLD);
            }
            match reached {
                Some((id, by)) if id < oldest => (oldest, end, in_vain) = (id, by, 0),
                _ if in_vain == IN_VAIN || end < start => return Ok(NOT_TOLD),
                // More were made within a second than an answer holds, or it was cut short: those of the second before may be
                // had.
                Some((_, by)) => (end, in_vain) = (end.min(by).saturating_sub(1), in_vain + 1),
                // One empty answer may be a cache's.
                None => {
                    in_vain += 1;
                    sleep(EMPTY_AGAIN).await;
                }
            }
        }
        Ok(TOO_MANY)
    }

    /// Asks until it is answered or told that it will not be; whoever waits has a deadline.
    async fn ask(
        &self,
        product: &str,
        start: u64,
        end: u64,
        trouble: &mut Option<RestError>,
    ) -> Result<Vec<Trade>, RestError> {
        let mut backoff = Backoff::default();
        loop {
            sleep(APART).await;
            match self.client.trades(self.rest, &self.base, product, start, end).await {
                Err(error) if heals(&error) => {
                    tracing::debug!("trades of {product} can not be had yet: {error}");
                    let wait = backoff.next(self.random.fraction(), error.retry_after());
                    *trouble = Some(error);
                    sleep(wait).await;
                }
                answer => return answer,
            }
        }
    }

    /// How many seconds the venue's clock is before ours. Trades are looked for by its times, and ours may be off by more than
    /// the slack.
    async fn ahead(&mut self) -> i64 {
        if let Some((asked, ahead)) = self.clock
            && asked.elapsed() < CLOCK_HOLDS
        {
            return ahead;
        }
        sleep(APART).await;
        match self.client.time(self.rest, &self.base).await {
            Ok(offset) => {
                let ahead = offset.ms / 1000;
                self.clock = Some((Instant::now(), ahead));
                ahead
            }
            Err(error) => {
                tracing::debug!("the venue's clock can not be asked: {error}");
                self.clock.map_or(0, |(_, ahead)| ahead)
            }
        }
    }
}

/// Those that are missing, each once.
fn take(page: Vec<Trade>, wanted: &Wanted, found: &mut Found) {
    let missing = wanted.expected..wanted.got;
    for Trade { id, text, .. } in page {
        if missing.contains(&id) && found.len() < MOST {
            found.entry(id).or_insert_with(|| Line::from_text(text.into()));
        }
    }
}

/// Whether it is worth asking again: the venue, or the way to it, is in trouble, and it does not say that we are.
fn heals(error: &RestError) -> bool {
    match error {
        RestError::Status { status, .. } => status.is_server_error() || matches!(status.as_u16(), 408 | 429),
        RestError::TooLarge(_) | RestError::Plain(_) | RestError::Dial(DialError::Url(_)) => false,
        RestError::Dial(_) | RestError::Late(..) | RestError::Broken(..) | RestError::Unreadable(..) => true,
    }
}

fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
