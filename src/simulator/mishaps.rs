//! What happens to a connection's messages between their making and the socket, when a fault wants it.

use super::{counterpart::Letter, dice::Dice};

/// What is to happen, and the message that is held back meanwhile.
pub(super) struct Mishaps {
    /// The probability that a message is lost.
    holes: f64,
    /// So many are to be lost,
    lose: u32,
    /// and so many to be late.
    delay: u32,
    held: Option<Letter>,
    dice: Dice,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is sent.
    Sent(String),
    /// It never is.
    Lost(String),
}

impl Mishaps {
    /// Loses messages with the probability `holes`.
    pub fn new(holes: f64, dice: Dice) -> Self {
        Self { holes, lose: 0, delay: 0, held: None, dice }
    }

    /// The next message that has a number is lost: nobody could miss another.
    pub fn lose_one(&mut self) {
        self.lose += 1;
    }

    /// The next message that has a number is sent behind the one after it of the same count.
    pub fn delay_one(&mut self) {
        self.delay += 1;
    }

    /// The fates of `letters`, in the order of sending.
    pub fn befall(&mut self, letters: Vec<Letter>) -> Vec<Fate> {
        let mut fates = Vec::with_capacity(letters.len());
        for letter in letters {
            if letter.count.is_none() {
                fates.push(Fate::Sent(letter.text));
            } else if self.loses_this() {
                fates.push(Fate::Lost(letter.text));
            } else if self.delay > 0 && self.held.is_none() {
                self.delay -= 1;
                self.held = Some(letter);
            } else {
                let held = self.held.take_if(|held| held.count == letter.count);
                fates.push(Fate::Sent(letter.text));
                fates.extend(held.map(|held| Fate::Sent(held.text)));
            }
        }
        fates
    }

    fn loses_this(&mut self) -> bool {
        if self.lose > 0 {
            self.lose -= 1;
            return true;
        }
        self.dice.chance(self.holes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: &str, numbers: std::ops::Range<u32>) -> Vec<Letter> {
        let letter = |number: u32| Letter { text: number.to_string(), count: Some(count.to_owned()) };
        numbers.map(letter).collect()
    }

    fn sent(text: &str) -> Fate {
        Fate::Sent(text.to_owned())
    }

    #[test]
    fn what_is_lost_was_made_and_has_a_number() {
        let mut mishaps = Mishaps::new(0.0, Dice::new(1, 1));
        mishaps.lose_one();
        let without = Letter { text: "an error".to_owned(), count: None };
        let letters = std::iter::once(without).chain(numbered("", 5..7)).collect();
        assert_eq!(mishaps.befall(letters), [sent("an error"), Fate::Lost("5".to_owned()), sent("6")]);
    }

    #[test]
    fn what_is_late_comes_behind_the_next_of_its_own_count() {
        let mut mishaps = Mishaps::new(0.0, Dice::new(1, 1));
        mishaps.delay_one();
        assert_eq!(mishaps.befall(numbered("BTC-USD", 6..7)), []);
        assert_eq!(mishaps.befall(numbered("ETH-USD", 1..2)), [sent("1")]);
        assert_eq!(mishaps.befall(numbered("BTC-USD", 7..9)), [sent("7"), sent("6"), sent("8")]);
    }

    #[test]
    fn holes_are_about_as_many_as_was_said() {
        let mut mishaps = Mishaps::new(0.25, Dice::new(1, 1));
        let fates = mishaps.befall(numbered("", 0..10_000));
        let lost = fates.iter().filter(|fate| matches!(fate, Fate::Lost(_))).count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
