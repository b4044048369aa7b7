//! What the client says, and what it is answered.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use tokio_tungstenite::tungstenite::Message;
use tracing::{info, warn};

use super::{Connection, Role};
use crate::simulator::{Observed, counterpart::Letter, refusal::Refusal};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    pub(super) fn hear(&mut self, message: &Message) {
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => "",
            Message::Ping(_) => return self.simulator.tell(&Observed::Pinged { conn: self.number }),
            _ => return,
        };
        let verdict = self.answer(text);
        let accepted = verdict.is_ok();
        let at = self.simulator.options.clock.now();
        self.simulator.tell(&Observed::Subscribe { conn: self.number, text: text.to_owned(), at, accepted });
        match verdict {
            Ok(letters) => {
                if let Role::Gathering(last) = &mut self.role {
                    *last = Some(Instant::now());
                }
                self.post_unless_silent(letters);
            }
            Err(refusal) => {
                let said = self.simulator.counterpart.refuse(&refusal);
                warn!(conn = self.number, said, "refused: {refusal}");
                self.post_unless_silent(vec![Letter { text: said, count: None }]);
            }
        }
    }

    fn answer(&mut self, text: &str) -> Result<Vec<Letter>, Refusal> {
        let request = self.simulator.counterpart.read(text)?;
        self.subscribed = true;
        self.simulator.check(&request)?;
        if request.subscribe && self.plan.refuses() {
            return Err(Refusal::Fault);
        }
        let at = self.simulator.pace.now();
        let mut market = self.simulator.market();
        market.advance(at);
        let letters = self.session.apply(&request, &market, at)?;
        let what = if request.subscribe { "subscribed" } else { "unsubscribed" };
        info!(conn = self.number, channel = request.channels(), signed = request.is_signed(), "{what}");
        Ok(letters)
    }

    fn post_unless_silent(&mut self, letters: Vec<Letter>) {
        if !matches!(self.role, Role::Silent) {
            self.post(letters);
        }
    }
}
