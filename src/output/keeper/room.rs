//! Which sealed segments are removed, and how: the oldest first, and only what has a seal of ours by its name.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    time::{Duration, SystemTime},
};

use bytesize::ByteSize;
use tokio::time::Instant;

use super::{
    complaints::{Complaints, Trouble},
    hands::Hands,
    rack::Rack,
};
use crate::{config::Keep, output::Space, segment::Packing};

/// Some file systems give back what was removed only with their next commit: btrfs each 30 s. So long, twice, no more is removed for
/// want of room where what was removed does not show.
const SETTLES: Duration = Duration::from_secs(60);

/// Removes what the configuration does not keep.
pub(super) struct Room {
    keep: Keep,
    /// What was removed for want of room may not show before then.
    settled_at: Option<Instant>,
}

/// Whether segments have the size that they are going to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Some are still to be compressed: none goes for its size.
    Passing,
    /// They are what they are.
    Final,
}

/// A sealed segment that may be removed.
struct Holding<'a> {
    rack: &'a Rack,
    name: &'a str,
    start: SystemTime,
    /// On the disk, as it is compressed.
    bytes: u64,
    disk: u64,
}

/// Why a segment goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Age(Duration),
    Size(u64),
    Free(u64),
}

impl Room {
    pub fn new(keep: Keep) -> Self {
        Self { keep, settled_at: None }
    }

    /// Removes what is not kept, over all tapes together: they share the limits, and the oldest goes first whichever it is of.
    /// Whether anything was removed.
    pub fn make(
        &mut self,
        racks: &[Rack],
        sizes: Sizes,
        now: SystemTime,
        hands: &Hands,
        complaints: &mut Complaints,
    ) -> bool {
        for rack in racks {
            for name in &rack.removed {
                if let Err(error) = finish_removal(rack, name, hands) {
                    complaints.complain(&rack.path(), Trouble::Remove, format!("{name}: {error}"));
                }
            }
        }
        let keep = match sizes {
            Sizes::Passing => Keep { size: None, ..self.keep },
            Sizes::Final => self.keep,
        };
        if keep == Keep::default() {
            return false;
        }
        let mut holdings: Vec<_> = racks.iter().flat_map(holdings).collect();
        holdings.sort_by_key(|holding| (holding.start, holding.name));
        let wanted = self.wanted(racks, complaints);
        let (mut removed, mut removed_for_room) = (false, 0);
        for (holding, why) in condemned(holdings, keep, now, &wanted) {
            match holding.remove(hands) {
                Ok(false) => {}
                Ok(true) => {
                    removed = true;
                    let size = ByteSize::b(holding.bytes).display().iec();
                    tracing::info!("{} is removed, {size}: {why}", holding.rack.folder.join(holding.name).display());
                    if let Why::Free(_) = why {
                        removed_for_room += holding.bytes;
                    }
                }
                Err(error) => {
                    let error = format!("{}: {error}", holding.name);
                    complaints.complain(&holding.rack.path(), Trouble::Remove, error);
                }
            }
        }
        self.settle(racks, &wanted, removed_for_room, complaints);
        removed
    }

    /// How many bytes are wanted on which disk for as many to be free as should be.
    fn wanted(&mut self, racks: &[Rack], complaints: &mut Complaints) -> BTreeMap<u64, u64> {
        let mut wanted = BTreeMap::new();
        let settles = self.settled_at.is_some_and(|at| Instant::now() < at);
        let Some(free) = self.keep.free.filter(|_| !settles) else { return wanted };
        self.settled_at = None;
        for rack in racks {
            let (Ok(disk), Ok(space)) = (fs::metadata(&rack.folder), Space::at(&rack.folder)) else { continue };
            if !space.has(free) {
                let total = ByteSize::b(space.total).display().iec();
                let text = format!("the whole disk has {total}; nothing is removed for it. Set less");
                complaints.complain(&rack.path(), Trouble::Room, text);
            } else if space.free < free {
                wanted.insert(disk.dev(), free - space.free);
            }
        }
        wanted
    }

    fn settle(&mut self, racks: &[Rack], wanted: &BTreeMap<u64, u64>, removed: u64, complaints: &mut Complaints) {
        for rack in racks {
            let (Ok(disk), Ok(space)) = (fs::metadata(&rack.folder), Space::at(&rack.folder)) else { continue };
            let (Some(wanted), Some(free)) = (wanted.get(&disk.dev()), self.keep.free) else { continue };
            let still = free.saturating_sub(space.free);
            if removed > 0 && wanted.saturating_sub(still) < removed / 2 {
                self.settled_at = Some(Instant::now() + SETTLES);
            } else if removed == 0 && still > 0 {
                let text = format!(
                    "{} are free, and no sealed segment is left that could be removed; make room, or rotate more often",
                    ByteSize::b(space.free).display().iec()
                );
                complaints.complain(&rack.path(), Trouble::Room, text);
            }
        }
    }
}

/// Which go, the oldest first, and why.
fn condemned<'a>(
    holdings: Vec<Holding<'a>>,
    keep: Keep,
    now: SystemTime,
    wanted: &BTreeMap<u64, u64>,
) -> Vec<(Holding<'a>, Why)> {
    let mut kept: u64 = holdings.iter().map(|holding| holding.bytes).sum();
    let mut wanted = wanted.clone();
    let mut condemned = Vec::new();
    for holding in holdings {
        let wants = wanted.entry(holding.disk).or_default();
        let why = match keep {
            Keep { age: Some(age), .. } if holding.is_older(age, now) => Why::Age(age),
            Keep { size: Some(size), .. } if kept > size => Why::Size(size),
            Keep { free: Some(free), .. } if *wants > 0 => Why::Free(free),
            _ => continue,
        };
        kept -= holding.bytes;
        *wants = wants.saturating_sub(holding.bytes);
        condemned.push((holding, why));
    }
    condemned
}

fn holdings(rack: &Rack) -> impl Iterator<Item = Holding<'_>> {
    let sealed = rack.segments.iter().filter(|(_, segment)| segment.is_sealed);
    sealed.filter_map(move |((start, _), segment)| {
        let files = segment.packings.iter().map(|packing| fs::symlink_metadata(rack.place(&segment.name, *packing)));
        let files: Vec<_> = files.filter_map(Result::ok).collect();
        Some(Holding {
            rack,
            name: &segment.name,
            start: *start,
            bytes: files.iter().map(fs::Metadata::len).sum(),
            disk: files.first()?.dev(),
        })
    })
}

impl Holding<'_> {
    /// Whether its last line is so old; where its seal does not know, its file.
    fn is_older(&self, age: Duration, now: SystemTime) -> bool {
        let is_older = |time: SystemTime| now.duration_since(time).is_ok_and(|since| since > age);
        // The last line is no older than the first, so most seals need not be read.
        is_older(self.start) && self.last().is_some_and(is_older)
    }

    fn last(&self) -> Option<SystemTime> {
        let seal = self.rack.seal(self.name).ok()??;
        let written = |packing| fs::symlink_metadata(self.rack.place(self.name, packing)).ok()?.modified().ok();
        seal.last.or_else(|| [Packing::None, Packing::Zstd, Packing::Gzip].into_iter().filter_map(written).max())
    }

    /// Removes it; whether it was ours. First its seal is no seal any more: what is left of a removal that was cut short is known
    /// by that, and no segment is left without one.
    fn remove(&self, hands: &Hands) -> io::Result<bool> {
        if self.rack.seal(self.name)?.is_none() {
            return Ok(false);
        }
        hands.replace(&self.rack.aside(self.name, "seal"), &self.rack.aside(self.name, "removed"))?;
        hands.sync_folder(&self.rack.aside_folder())?;
        finish_removal(self.rack, self.name, hands)?;
        Ok(true)
    }
}

/// Removes what is left of a segment whose seal is none any more.
fn finish_removal(rack: &Rack, name: &str, hands: &Hands) -> io::Result<()> {
    // Where there is a seal again the name has been given to another segment meanwhile.
    if fs::symlink_metadata(rack.aside(name, "seal")).is_err() {
        for packing in [Packing::None, Packing::Zstd, Packing::Gzip] {
            let file = rack.place(name, packing);
            // A link of somebody's is none of ours.
            if fs::symlink_metadata(&file).is_ok_and(|there| there.is_file()) {
                hands.remove(&file)?;
            }
        }
        hands.sync_folder(&rack.folder)?;
        hands.remove(&rack.aside(name, "torn"))?;
    }
    hands.remove(&rack.aside(name, "removed"))
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &u64| ByteSize::b(*bytes).display().iec();
        match self {
            Self::Age(age) => write!(f, "its last line is older than {}", humantime::format_duration(*age)),
            Self::Size(most) => write!(f, "sealed segments were more than {}", size(most)),
            Self::Free(least) => write!(f, "less than {} was free", size(least)),
        }
    }
}

#[cfg(test)]
mod tests;
