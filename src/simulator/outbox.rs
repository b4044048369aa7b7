//! What waits for one client's socket, whole or in fragments.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{
    Message, Utf8Bytes,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::dice::Dice;

/// Frames in the order of sending.
pub(super) struct Outbox {
    frames: VecDeque<(Message, Option<Bytes>)>,
    fragments: Option<Dice>,
    /// Some of a message's fragments are gone, and some are here.
    begun: bool,
}

impl Outbox {
    /// One that sends messages whole, or by `fragments` in pieces with pings between them.
    pub fn new(fragments: Option<Dice>) -> Self {
        Self { frames: VecDeque::new(), fragments, begun: false }
    }

    pub fn push_text(&mut self, text: Utf8Bytes) {
        let all = Bytes::from(text.clone());
        match &mut self.fragments {
            Some(dice) => fragment(&all, Data::Text, dice, &mut self.frames),
            None => self.frames.push_back((Message::Text(text), Some(all))),
        }
    }

    pub fn push_binary(&mut self, all: Bytes) {
        match &mut self.fragments {
            Some(dice) => fragment(&all, Data::Binary, dice, &mut self.frames),
            None => self.frames.push_back((Message::Binary(all.clone()), Some(all))),
        }
    }

    /// The next frame, and with the last frame of a message the whole message.
    pub fn pop(&mut self) -> Option<(Message, Option<Bytes>)> {
        let (frame, whole) = self.frames.pop_front()?;
        if !frame.is_ping() {
            self.begun = whole.is_none();
        }
        Some((frame, whole))
    }

    /// Forgets all but the rest of a message that was begun.
    pub fn keep_begun(&mut self) {
        let rest = self.frames.iter().position(|(_, whole)| whole.is_some()).map_or(0, |last| last + 1);
        self.frames.truncate(if self.begun { rest } else { 0 });
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }
}

/// At most eight pieces, some of them empty; RFC 6455 allows them to end anywhere, in the middle of a character too.
fn fragment(all: &Bytes, data: Data, dice: &mut Dice, frames: &mut VecDeque<(Message, Option<Bytes>)>) {
    let mut ends: Vec<_> = (0..dice.below(8)).map(|_| dice.index(all.len() + 1)).collect();
    ends.push(all.len());
    ends.sort_unstable();
    let (mut start, last) = (0, ends.len() - 1);
    for (place, end) in ends.into_iter().enumerate() {
        let opcode = if place == 0 { data } else { Data::Continue };
        let frame = Frame::message(all.slice(start..end), OpCode::Data(opcode), place == last);
        frames.push_back((Message::Frame(frame), (place == last).then(|| all.clone())));
        start = end;
        if dice.chance(0.125) {
            frames.push_back((Message::Ping(Bytes::from_static(b"between")), None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_add_up() {
        let mut outbox = Outbox::new(Some(Dice::new(1, 1)));
        let text = "{\"price\":\"1.5\",\"name\":\"Ω\"}".repeat(50);
        for _ in 0..200 {
            outbox.push_text(text.as_str().into());
            let mut joined = Vec::new();
            let mut pinged = false;
            while let Some((message, whole)) = outbox.pop() {
                match message {
                    Message::Frame(frame) => joined.extend_from_slice(frame.payload()),
                    other => pinged = pinged || other.is_ping(),
                }
                if let Some(whole) = whole {
                    assert_eq!(joined, text.as_bytes());
                    assert_eq!(whole, text.as_bytes());
                }
            }
        }
    }
}
