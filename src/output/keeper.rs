//! What becomes of segments after they are closed, on a thread of its own, so that the writer never waits for it: a dead
//! predecessor's tape becomes one, they are compressed, and the oldest are removed.
//!
//! It remembers nothing that it needs. It looks at what lies in a folder and does what is to be done, in steps that are each done
//! or not done; so a kill at any point is healed by the next look.

mod complaints;
mod frames;
mod hands;
mod press;
mod proof;
mod remains;
mod room;
mod rack;

use std::{
    io,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::time::Instant;

use self::{
    complaints::{Complaints, Trouble},
    hands::Hands,
    press::{Press, Pressed},
    rack::Rack,
    remains::Remains,
    room::{Room, Sizes},
};
use super::Space;
use crate::{
    clock::Clock,
    config::Keep,
    segment::{Packing, Seal},
};

/// How often it looks unasked: for what has become too old, and for what could not be done.
const EVERY: Duration = Duration::from_secs(60);

/// How far it stands back behind whoever records, on a machine that has not enough for both: 19 is the most.
const NICE: i32 = 10;

/// Asks the keeper to look. It ends when all of these are gone, or with the process.
#[derive(Clone, Debug)]
pub struct Keeper {
    call: SyncSender<()>,
    stock: Arc<Mutex<Option<Stock>>>,
}

/// Hears of the keeper's end.
#[derive(Debug)]
pub struct Ending(Receiver<()>);

/// What was there when the keeper looked last: it looks each minute at least. (To look means to wait for the disk, and who asks for
/// this can not wait.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// The room on the disk of the tapes: where they are on several, on the one that has least.
    pub space: Space,
    /// Bytes of the tapes and their segments as they lie on the disk.
    pub bytes: u64,
}

/// What it looks after.
#[derive(Clone, Debug, Default)]
pub struct Charge {
    /// Files that grow, each locked by this process.
    pub tapes: Vec<PathBuf>,
    /// How sealed segments are compressed.
    pub compress: Packing,
    /// Which are removed.
    pub keep: Keep,
}

impl Keeper {
    /// Begins. To be called when the tapes are locked and before anything is written to them: what a predecessor had half
    /// written is removed here.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(charge: Charge, clock: Clock) -> io::Result<(Self, Ending)> {
        // One call that waits is as good as many.
        let (call, calls) = sync_channel(1);
        let mut rounds = Rounds::new(charge, clock, Hands::new(), calls);
        let stock = rounds.stock.clone();
        let (end, ending) = sync_channel(0);
        rounds.clear_parts();
        thread::Builder::new().name("keeper".into()).spawn(move || {
            // A system that does not let it stand back lets it work all the same.
            let _ = rustix::process::nice(NICE);
            rounds.go();
            drop(end);
        })?;
        Ok((Self { call, stock }, Ending(ending)))
    }

    /// Has it look at once: something was sealed, or the disk is full.
    pub fn look(&self) {
        let _ = self.call.try_send(());
    }

    /// What it saw last; None before it has looked.
    #[must_use]
    pub fn stock(&self) -> Option<Stock> {
        *self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stock {
    /// What is there of these tapes now; None where the system does not say.
    pub(super) fn of_tapes(tapes: &[PathBuf]) -> Option<Self> {
        let spaces = tapes.iter().filter_map(|tape| Space::at(tape).ok());
        let racks = tapes.iter().filter_map(|tape| Rack::of(tape).ok());
        Some(Self { space: spaces.min_by_key(|space| space.free)?, bytes: racks.map(|rack| rack.bytes()).sum() })
    }
}

impl Ending {
    /// Waits until it has put down what it had in hand, but no longer than this. (Killed between two steps it would leave a segment
    /// plain and compressed, each line twice, until the next start.)
    pub fn wait(&self, most: Duration) {
        let _ = self.0.recv_timeout(most);
    }
}

/// The rounds that it makes.
struct Rounds {
    charge: Charge,
    clock: Clock,
    hands: Hands,
    room: Room,
    complaints: Complaints,
    calls: Receiver<()>,
    stock: Arc<Mutex<Option<Stock>>>,
    /// It was called while it was busy, and has done only what could not wait.
    called: bool,
    /// What could not be done is not tried again before then, however often it is called meanwhile: each try may read a gibibyte.
    again_at: Option<Instant>,
}

impl Rounds {
    fn new(charge: Charge, clock: Clock, hands: Hands, calls: Receiver<()>) -> Self {
        let room = Room::new(charge.keep);
        let (complaints, stock) = (Complaints::default(), Arc::default());
        Self { charge, clock, hands, room, complaints, calls, stock, called: false, again_at: None }
    }

    fn go(&mut self) {
        loop {
            self.called = false;
            self.take_stock();
            self.look();
            self.take_stock();
            let next = if self.called { Ok(()) } else { self.calls.recv_timeout(EVERY) };
            if next == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// Does all that there is to be done.
    fn look(&mut self) {
        if self.again_at.is_some_and(|at| Instant::now() < at) && !self.make_room(Sizes::Final) {
            return;
        }
        self.again_at = None;
        for rack in self.racks() {
            self.recover(&rack);
        }
        if self.charge.compress != Packing::None {
            // What goes in any case need not be compressed, and a full disk has no room for that.
            self.make_room(Sizes::Passing);
            for rack in self.racks() {
                if self.compress(&rack).is_break() {
                    // The next one knows what size things have.
                    return;
                }
            }
        }
        self.make_room(Sizes::Final);
        self.complaints.end_of_look();
    }

    fn take_stock(&self) {
        *self.stock.lock().unwrap_or_else(PoisonError::into_inner) = Stock::of_tapes(&self.charge.tapes);
    }

    fn racks(&mut self) -> Vec<Rack> {
        let mut racks = Vec::new();
        for tape in &self.charge.tapes {
            match Rack::of(tape) {
                Ok(rack) => racks.push(rack),
                Err(error) => drop(self.complaints.complain(tape, Trouble::Look, error)),
            }
        }
        racks
    }

    fn clear_parts(&mut self) {
        for part in self.racks().iter().flat_map(|rack| &rack.parts) {
            if let Err(error) = self.hands.remove(part) {
                tracing::warn!("{}, which a predecessor left unfinished, can not be removed: {error}", part.display());
            }
        }
    }

    /// Whether any was made.
    fn make_room(&mut self, sizes: Sizes) -> bool {
        let racks = self.racks();
        self.room.make(&racks, sizes, self.clock.now(), &self.hands, &mut self.complaints)
    }

    fn recover(&mut self, rack: &Rack) {
        for name in &rack.unsealed {
            let remains = Remains { hands: &self.hands, rack, name: name.clone() };
            match remains.seal(self.clock.now()) {
                Ok(Some(Seal { segment, messages, bytes, .. })) => tracing::info!(
                    event = %"sealed",
                    "{segment}: {messages} messages, {bytes} bytes, left by a predecessor that was killed"
                ),
                Ok(None) => tracing::info!("{name}: what a predecessor left held no whole line"),
                Err(error) => {
                    let error = format!("{name}: {error}");
                    self.complaints.complain(&rack.path(), Trouble::Recover, error);
                    self.again_at = Some(Instant::now() + EVERY);
                }
            }
        }
    }

    /// Breaks where it is told to stop.
    fn compress(&mut self, rack: &Rack) -> ControlFlow<()> {
        for segment in rack.segments.values() {
            let plain = rack.place(&segment.name, Packing::None);
            let is_due = segment.is_sealed && segment.packings.contains(&Packing::None);
            if !is_due || self.complaints.is_left_alone(&plain) {
                continue;
            }
            let earlier = segment.packings.iter().find(|packing| **packing != Packing::None).copied();
            let pressed = self.press(rack, &segment.name, earlier);
            match pressed {
                Ok(Some(Pressed::Done(before, behind))) => {
                    tracing::info!("{} is compressed: {behind} bytes, of {before}", segment.name);
                }
                Ok(None | Some(Pressed::Gone)) => {}
                Ok(Some(Pressed::Unlike)) => self.complaints.leave_alone(
                    plain,
                    "it is not what its seal says; `tickerd audit` on the folder shows where, and it stays as it is",
                ),
                Ok(Some(Pressed::Different(packing))) => {
                    let packed = rack.place(&segment.name, packing);
                    let why = format!(
                        "{} does not hold the same; neither is touched. Look which one is right, and move the other away",
                        packed.display()
                    );
                    self.complaints.leave_alone(plain, &why);
                }
                // Told to stop; what was begun is removed.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return ControlFlow::Break(()),
                Err(error) => {
                    let is_full = is_full(&error);
                    let error = format!("{}: {error}", segment.name);
                    self.complaints.complain(&rack.path(), Trouble::Compress, error);
                    self.again_at = Some(Instant::now() + EVERY);
                    if is_full {
                        break;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn press(&mut self, rack: &Rack, name: &str, earlier: Option<Packing>) -> io::Result<Option<Pressed>> {
        let Some(seal) = rack.seal(name)? else { return Ok(None) };
        let Self { charge, clock, hands, room, complaints, calls, called, .. } = self;
        let mut between = || match calls.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => Err(io::ErrorKind::Interrupted.into()),
            Ok(()) => {
                // A disk that is full can not wait until a large segment is done.
                *called = true;
                let racks: Vec<_> = charge.tapes.iter().filter_map(|tape| Rack::of(tape).ok()).collect();
                room.make(&racks, Sizes::Passing, clock.now(), hands, complaints);
                Ok(())
            }
        };
        let mut press = Press { hands, rack, seal: &seal, between: &mut between };
        match earlier {
            Some(earlier) => press.settle(earlier),
            None => press.compress(charge.compress),
        }
        .map(Some)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
