//! Where lines lie while they wait. A line that stayed in the buffer in which its bytes were read would hold all of that
//! buffer, which then could not be read into again: each read would take fresh pages from the system and give them back,
//! which costs more than to read and to write.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::record::Line;

/// About as much as the writer is woken for: a few of them are in use at any time.
const CHUNK: usize = 64 * 1024;

/// A longer line stays where it is: it has its buffer for itself, or most of it.
const LONG: usize = CHUNK / 2;

/// Full ones that are looked at again: one is written while the next is filled, and what a scheduler does between.
const AGAIN: usize = 16;

/// Memory that is used again once all lines in it are written.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    open: BytesMut,
    /// Lines in these may still wait.
    full: VecDeque<BytesMut>,
}

impl Chunks {
    /// The same line, in a chunk.
    pub fn keep(&mut self, line: &Line) -> Line {
        let length = line.as_bytes().len();
        if length > LONG {
            return line.clone();
        }
        if self.open.capacity() < length {
            self.turn();
        }
        line.copy_into(&mut self.open)
    }

    /// One that is full makes place for the oldest, if that is free again, or for a new one.
    fn turn(&mut self) {
        let free = self.full.front_mut().is_some_and(|oldest| oldest.try_reclaim(CHUNK));
        let next = if free { self.full.pop_front() } else { None };
        let full = std::mem::replace(&mut self.open, next.unwrap_or_else(|| BytesMut::with_capacity(CHUNK)));
        self.full.push_back(full);
        if self.full.len() > AGAIN {
            // Its lines free it.
            self.full.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: char, length: usize) -> Line {
        Line::from_text(format!("{{{}}}", String::from(byte).repeat(length - 2)).into())
    }

    #[test]
    fn memory_is_used_again_once_its_lines_are_gone() {
        let mut chunks = Chunks::default();
        let at = |line: &Line| line.as_bytes().as_ptr().addr();
        let mut first = Vec::new();
        for _ in 0..1_000 {
            let kept: Vec<_> = "abcdef".chars().map(|byte| (byte, chunks.keep(&line(byte, LONG)))).collect();
            for (byte, kept) in &kept {
                assert_eq!(kept, &line(*byte, LONG), "nothing is written over what still waits");
            }
            first.push(at(&kept[0].1));
        }
        first.sort_unstable();
        first.dedup();
        assert!(first.len() <= 2 * (AGAIN + 2), "{} places", first.len());
    }

    #[test]
    fn what_waits_for_long_costs_new_memory_and_a_long_line_none() {
        let mut chunks = Chunks::default();
        let long = line('x', LONG + 1);
        assert_eq!(chunks.keep(&long).as_bytes().as_ptr(), long.as_bytes().as_ptr());
        let kept: Vec<_> = (0..100).map(|_| chunks.keep(&line('a', LONG))).collect();
        assert!(kept.iter().all(|kept| *kept == line('a', LONG)));
        assert!(chunks.full.len() <= AGAIN);
    }
}
