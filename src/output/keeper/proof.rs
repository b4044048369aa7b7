//! Whether bytes are those of a seal.

use sha2::{Digest, Sha256};

use crate::segment::Seal;

/// Takes a segment's bytes, as they come, and says in the end whether they are what its seal says.
pub(super) struct Proof<'a> {
    seal: &'a Seal,
    hash: Sha256,
    /// Bytes that the seal speaks of and that have not come.
    left: u64,
    /// What came behind them.
    behind: Behind,
}

/// What stands behind the bytes that a seal speaks of: its own `sealed` line, where there is one.
#[derive(PartialEq, Eq)]
enum Behind {
    Nothing,
    /// The beginning of a line.
    Begun,
    /// One whole line.
    Line,
    /// More than there may be.
    More,
}

impl<'a> Proof<'a> {
    pub fn of(seal: &'a Seal) -> Self {
        Self { seal, hash: Sha256::new(), left: seal.bytes, behind: Behind::Nothing }
    }

    pub fn take(&mut self, bytes: &[u8]) {
        let sealed = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let (sealed, behind) = bytes.split_at(sealed);
        self.hash.update(sealed);
        self.left -= sealed.len() as u64;
        let Some(last) = behind.len().checked_sub(1) else { return };
        self.behind = match (&self.behind, memchr::memchr(b'\n', behind)) {
            (Behind::Nothing | Behind::Begun, None) => Behind::Begun,
            (Behind::Nothing | Behind::Begun, Some(end)) if end == last => Behind::Line,
            _ => Behind::More,
        };
    }

    /// Whether all that came is what the seal says, and nothing else.
    pub fn holds(self) -> bool {
        let whole = self.left == 0 && matches!(self.behind, Behind::Nothing | Behind::Line);
        whole && hex::encode(self.hash.finalize()) == self.seal.sha256
    }
}
