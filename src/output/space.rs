//! How much room there is on a disk.

use std::{io, path::Path};

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What may still be written by others than root.
    pub free: u64,
    /// All of it.
    pub total: u64,
}

impl Space {
    /// That of the disk which a path is on, or will be: its nearest parent that is there counts.
    ///
    /// # Errors
    /// As the system says.
    pub fn at(path: &Path) -> io::Result<Self> {
        let mut path = std::path::absolute(path)?;
        loop {
            match rustix::fs::statvfs(&path) {
                Ok(stat) => {
                    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
                    return Ok(Self { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) });
                }
                Err(error) if !path.pop() => return Err(error.into()),
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether so much can be free at all.
    #[must_use]
    pub fn has(self, bytes: u64) -> bool {
        bytes < self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = Space::at(folder.path()).expect("a disk");
        assert!(there.total > 0 && there.free <= there.total);
        assert_eq!(Space::at(&folder.path().join("a/b/tape.ndjson")).expect("the same").total, there.total);
    }
}
