//! The daemon: starts writer and feeds, hears signals, tells the service manager, and sees to a good end.

mod ending;
mod gauge;
mod post;
mod signals;
mod slow;

pub use crate::feed::Run;
pub use signals::Signals;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use self::{gauge::Gauge, post::Post, signals::Signal, slow::Slow};
use crate::{
    account::Loss,
    clock::Clock,
    config::{self, Config, Ready, Sync},
    desk::Desk,
    exit::{Failure, Status},
    feed::{self, Context},
    http::Server,
    inquiry::Inquiry,
    metrics::{Metrics, Sources, Vitals},
    net::Dial,
    notify::Manager,
    output::{self, Charge, Finished, Keeper, Left, Orders, Pulse, Queue, Recorder, Routes, Voice, WriteError, Writer},
    pace::Pace,
    random::Random,
    record::Event,
    refill::{self, Refiller},
    rest::Client,
    session::IfRefused,
    shutdown::Stop,
    status::{Board, Sheet},
};

/// A writer that has work and is not inside a write has this long to finish a batch: a batch is some milliseconds.
const WRITER_HUNG_AFTER: Duration = Duration::from_secs(10);

/// What the keeper has in hand at the end is a rename and the sync of a folder.
const KEEPER_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// How often the clockwork turns without a watchdog: status, syncs, the count of refusals.
const TICK: Duration = Duration::from_secs(1);

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// After so many lines.
    pub lines: Option<u64>,
    /// After so long.
    pub time: Option<Duration>,
}

/// Reads the configuration anew: which keys differ from the one given, or why it is wrong.
pub type Reread = Box<dyn Fn(&Config) -> Result<Vec<String>, String>>;

/// What a run is made of, beside its configuration.
pub struct Surroundings {
    /// Opens connections.
    pub dial: Arc<dyn Dial>,
    /// The time of day.
    pub clock: Clock,
    /// Nonces and jitter.
    pub random: Random,
    /// This run, for those who want to watch its counters.
    pub run: Arc<Run>,
    /// Where `tickerd status` reads how it is, if anywhere.
    pub sheet: Option<Sheet>,
    /// What the system says.
    pub signals: Signals,
    /// Reads the configuration again and names the keys that would need a restart.
    pub reread: Reread,
}

/// Runs until told to stop, until a limit is met, or until the output fails.
///
/// # Errors
/// When the output can not be opened, fails for good or does not drain, or the venue refuses the credentials for good.
pub async fn run(config: Config, limits: Limits, surroundings: Surroundings) -> Result<(), Failure> {
    let names = config.feeds.iter().map(|feed| feed.name.as_str());
    let routes = Routes::open(&config.output, names).map_err(|error| Failure::new(error.status(), error))?;
    let queue = Arc::new(Queue::new(config.output.queue, config.output.when_slow));
    let charge = Charge { tapes: routes.tapes.clone(), compress: config.output.compress, keep: config.output.keep };
    let keeper = (!charge.tapes.is_empty()).then(|| Keeper::start(charge, surroundings.clock.clone())).transpose();
    let (keeper, keeper_ends) = keeper.map_err(|error| Failure::new(Status::Bug, error))?.unzip();
    for feed in &config.feeds {
        surroundings.run.enlist(&feed.name, &feed.channels, surroundings.clock.now());
    }
    let voices = voices(&config.feeds, &routes, &surroundings.run);
    let writer = Writer::new(routes.targets, config.output.record)
        .lines(limits.lines, routes.feeds.iter().map(|(messages, _)| *messages))
        .sync_each_write(config.output.sync == Sync::Always)
        .voices(voices.clone())
        .kept_by(keeper.clone());
    tell_what_was_left(&routes.left, &voices, &queue, surroundings.clock.now());
    let pulse = writer.pulse();
    let written = output::spawn(queue.clone(), writer).map_err(|error| Failure::new(Status::Bug, error))?;
    let sheet = surroundings.sheet.clone();
    let mut service = Service::start(config, &routes.feeds, queue, pulse, keeper, surroundings);
    let _server = service.listen().map_err(|error| Failure::new(Status::Bug, error))?;
    let ended = service.supervise(limits, written).await;
    if let (Ok(()), Some(keeper)) = (&ended, keeper_ends) {
        keeper.wait(KEEPER_ENDS_WITHIN);
    }
    // After a bad end it says what there was until then.
    if let (Ok(()), Some(sheet)) = (&ended, sheet) {
        sheet.remove();
    }
    ended
}

/// In whose name what happens to each target is told: the first feed's that writes there.
fn voices(feeds: &[config::Feed], routes: &Routes, run: &Run) -> Vec<Option<Voice>> {
    let voice = |target| {
        let to = |&&(messages, events): &&(usize, Option<usize>)| messages == target || events == Some(target);
        let (feed, (_, events)) = feeds.iter().zip(&routes.feeds).find(|(_, route)| to(route))?;
        Some(Voice { origin: Arc::new(run.aside(&feed.name)), events: *events })
    };
    (0..routes.targets.len()).map(voice).collect()
}

/// What a predecessor left that was killed is said before anything else is recorded.
fn tell_what_was_left(left: &[(usize, Left)], voices: &[Option<Voice>], queue: &Arc<Queue>, now: SystemTime) {
    for (target, Left { segment, torn, torn_file }) in left {
        let file = torn_file.as_ref().map(|file| file.display().to_string());
        let apart = file.as_ref().map_or_else(String::new, |file| {
            format!("; its last line was torn, and the {torn} bytes of that are in {file}")
        });
        tracing::warn!(event = %"recovered", "a tape was found that a killed predecessor left: it becomes {segment}{apart}");
        if let Some(Voice { origin, events }) = &voices[*target] {
            let event = Event::Recovered { bytes: *torn, file, segment: segment.clone() };
            // The queue is empty yet: there is room.
            let _ = Recorder::new(queue.clone(), *target, *events).event_at_once(origin, now, event);
        }
    }
}

struct Service {
    config: Config,
    queue: Arc<Queue>,
    pulse: Arc<Pulse>,
    keeper: Option<Keeper>,
    run: Arc<Run>,
    board: Board,
    post: Post,
    desks: Vec<Option<Arc<Desk>>>,
    vitals: Arc<Vitals>,
    /// Each feed, and whoever asks by REST on behalf of some.
    feeds: JoinSet<()>,
    stop: Stop,
    signals: Signals,
    manager: Manager,
    reread: Reread,
    clock: Clock,
    ready_said: bool,
    slow: Slow,
    written_at: (u64, Instant),
    synced_at: Instant,
}

type Written = oneshot::Receiver<Result<Finished, WriteError>>;

/// Why the supervision ends.
enum End {
    Asked,
    Output(Result<Finished, WriteError>),
    Refused,
}

impl Service {
    fn start(
        config: Config,
        routes: &[(usize, Option<usize>)],
        queue: Arc<Queue>,
        pulse: Arc<Pulse>,
        keeper: Option<Keeper>,
        surroundings: Surroundings,
    ) -> Self {
        let Surroundings { dial, clock, random, run, sheet, signals, reread } = surroundings;
        let (stop, stopping) = Stop::new();
        let board = Board::default();
        let (connects, subscribes) = (Arc::<Pace>::default(), Arc::<Pace>::default());
        let mut by_name: HashMap<String, Arc<Desk>> = HashMap::new();
        let mut desks = Vec::new();
        let (mut feeds, mut inquiries) = (JoinSet::new(), Vec::<Inquiry>::new());
        let (mut refillers, mut refillings) = (HashMap::new(), Vec::new());
        for (feed, &(messages, events)) in config.feeds.iter().zip(routes) {
            let desk = feed.credentials.as_ref().map(|credentials| {
                let desk = || Arc::new(Desk::new(credentials.clone()));
                by_name.entry(credentials.name().to_owned()).or_insert_with(desk).clone()
            });
            desks.push(desk.clone());
            let recorder = Recorder::new(queue.clone(), messages, events);
            let new = || {
                let client = Client::new(dial.clone(), clock.clone(), random.clone());
                Inquiry::new(client, feed.venue.rest, &feed.rest, clock.clone(), random.clone(), board.clone())
            };
            let inquiry = inquiry_at(&feed.rest, &mut inquiries, new);
            let refill = refill::serves(feed, config.output.record).then(|| {
                refillers.entry(feed.rest.clone()).or_insert_with(|| {
                    let client = Client::new(dial.clone(), clock.clone(), random.clone());
                    let made = Refiller::new(client, feed.venue.rest, &feed.rest, clock.clone(), random.clone());
                    let (refiller, refilling) = made.unzip();
                    refillings.extend(refilling);
                    refiller
                })
            });
            let aside = run.aside(&feed.name);
            let list = inquiry.add(aside, recorder.clone(), desk.as_ref(), !feed.products.is_fixed());
            let context = Arc::new(Context {
                feed: feed.clone(),
                desk,
                dial: dial.clone(),
                recorder,
                connects: connects.clone(),
                subscribes: subscribes.clone(),
                clock: clock.clone(),
                random: random.clone(),
                run: run.clone(),
                refill: refill.cloned().flatten(),
                stopping: stopping.clone(),
            });
            feeds.spawn(feed::keep_alive(context, &board, list));
        }
        for inquiry in inquiries {
            feeds.spawn(inquiry.keep(stopping.clone()));
        }
        for refilling in refillings {
            feeds.spawn(refilling.keep(stopping.clone()));
        }
        let gauge = Gauge::new(config.output.clone(), pulse.clone(), keeper.clone());
        let post = Post::new(sheet, run.clone(), clock.clone(), gauge, &config.feeds);
        Self {
            config,
            queue,
            pulse,
            keeper,
            post,
            clock,
            run,
            board,
            desks,
            vitals: Arc::default(),
            feeds,
            stop,
            signals,
            manager: Manager::new(),
            reread,
            ready_said: false,
            slow: Slow::default(),
            written_at: (0, now()),
            synced_at: now(),
        }
    }

    /// Answers over HTTP from now on, where that is wanted.
    fn listen(&mut self) -> std::io::Result<Option<Server>> {
        let Some(listen) = self.config.http.clone() else { return Ok(None) };
        let mut desks: Vec<Arc<Desk>> = Vec::new();
        for desk in self.desks.iter().flatten() {
            if !desks.iter().any(|known| Arc::ptr_eq(known, desk)) {
                desks.push(desk.clone());
            }
        }
        let sources = Sources {
            feeds: self.config.feeds.clone(),
            run: self.run.clone(),
            board: self.board.clone(),
            vitals: self.vitals.clone(),
            desks,
            queue: self.queue.clone(),
            limit: self.config.output.queue,
            pulse: self.pulse.clone(),
            started: self.clock.now(),
        };
        self.post.show_to(self.vitals.clone());
        Server::start(listen, Metrics::new(sources), self.vitals.clone()).map(Some)
    }

    async fn supervise(mut self, limits: Limits, mut written: Written) -> Result<(), Failure> {
        let tick = self.manager.watchdog().map_or(TICK, |every| (every / 2).min(TICK));
        let end_at = limits.time.map(|time| now() + time);
        let end = loop {
            self.tick();
            if self.is_hopeless() {
                break End::Refused;
            }
            tokio::select! {
                result = &mut written => break End::Output(result.unwrap_or(Ok(Finished::Drained))),
                () = sleep(tick) => {}
                () = sleep_until(end_at.unwrap_or_else(now).into()), if end_at.is_some() => break End::Asked,
                signal = self.signals.next() => match signal {
                    Signal::Stop => break End::Asked,
                    Signal::Reload => self.reload(),
                    Signal::Rotate => self.queue.order(Orders { rotate: true, ..Orders::default() }),
                },
                Some(ended) = self.feeds.join_next() => if let Err(error) = ended {
                    // A feed never ends by itself; with panic = "abort" this line is not even reached.
                    return Err(Failure::new(Status::Bug, format!("a feed broke off: {error}")));
                },
            }
        };
        self.manager.stopping();
        self.vitals.stops();
        if matches!(end, End::Asked) {
            let drain = humantime::format_duration(self.config.service.drain);
            tracing::info!(
                "stopping: what is queued is written, for {drain} at most; a further signal, a second or more from now, ends at once"
            );
        }
        self.stop.stop();
        match end {
            End::Asked => self.drain(written).await,
            End::Output(result) => self.output_ended(result),
            End::Refused => {
                self.drain(written).await?;
                Err(Failure::new(
                    Status::Refused,
                    "the venue refused the credentials at least five times over a minute and never took them: `tickerd doctor`, \
                     with the same --key-file or --credentials if any, says why",
                ))
            }
        }
    }

    /// Status, syncs, READY and the watchdog.
    fn tick(&mut self) {
        let now = now();
        self.turn(now);
        // Before READY: `systemctl start tickerd && tickerd status` finds it.
        self.post.tell(&self.board, now);
        if !self.ready_said && (self.config.service.ready == Ready::Started || self.board.is_delivering()) {
            self.ready_said = true;
            self.manager.ready();
        } else if !self.ready_said {
            self.manager.still_starting();
        }
        let trouble = self.pulse.why_not().map_or_else(String::new, |why| format!("{why}; "));
        // It may have room to make.
        self.keeper.iter().filter(|_| !trouble.is_empty()).for_each(Keeper::look);
        self.manager.status(&format!("{trouble}{}; {}", self.board.line(now), self.run.account.totals()));
        let lost = self.run.account.dropped(Loss::Slow);
        self.slow.tell(self.board.stalled(now), lost, &self.config.output, now);
        if self.board.is_alive(now) && self.writer_is_alive(now) {
            self.manager.alive();
            self.vitals.moved(now.into());
        }
    }

    /// The writer hears what time it is, and syncs where that is due.
    fn turn(&mut self, now: Instant) {
        let due = |every| now.duration_since(self.synced_at) >= every;
        let sync = matches!(self.config.output.sync, Sync::Every(every) if due(every));
        if sync {
            self.synced_at = now;
        }
        self.queue.order(Orders { sync, now: Some(self.clock.now()), ..Orders::default() });
    }

    /// The writer moves, has nothing to do, or waits inside the system for a reader or a disk.
    fn writer_is_alive(&mut self, now: Instant) -> bool {
        let batches = self.pulse.batches();
        let at_rest = self.pulse.is_idle() && self.queue.depth().0 == 0;
        if batches != self.written_at.0 || at_rest || self.pulse.is_in_sink() {
            self.written_at = (batches, now);
        }
        now.duration_since(self.written_at.1) < WRITER_HUNG_AFTER
    }

    /// Files are opened anew at once; the configuration is read, and what would need a restart is named.
    fn reload(&mut self) {
        self.manager.reloading();
        self.queue.order(Orders { reopen: true, ..Orders::default() });
        match (self.reread)(&self.config) {
            Ok(keys) if keys.is_empty() => tracing::info!("reloaded: files reopened, the configuration is unchanged"),
            Ok(keys) => tracing::warn!("files reopened; to apply {} restart tickerd", keys.join(", ")),
            Err(error) => {
                tracing::error!(
                    "files reopened; the configuration is wrong, and a restart would fail, as `tickerd check` says: {error}"
                );
            }
        }
        if self.ready_said {
            self.manager.ready();
        }
    }

    /// Run by hand, with every feed stuck on credentials that were never accepted, going on helps nobody. Under a service
    /// manager it does: the key may be enabled again.
    fn is_hopeless(&self) -> bool {
        let stuck = |(feed, desk): (&config::Feed, &Option<Arc<Desk>>)| {
            let goes_on = feed.if_refused == IfRefused::Public
                && feed.channels.iter().any(|channel| !channel.private && !channel.heartbeat);
            !goes_on && desk.as_ref().is_some_and(|desk| desk.is_hopeless(now()))
        };
        !Manager::is_present() && self.config.feeds.iter().zip(&self.desks).all(stuck)
    }
}

/// The inquiry at a REST address: one for all feeds that have it.
fn inquiry_at<'a>(base: &str, inquiries: &'a mut Vec<Inquiry>, new: impl FnOnce() -> Inquiry) -> &'a mut Inquiry {
    let known = inquiries.iter().position(|inquiry| inquiry.base() == base);
    let index = known.unwrap_or_else(|| {
        inquiries.push(new());
        inquiries.len() - 1
    });
    &mut inquiries[index]
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
