//! A real subscribe to each channel of a feed, and what the answer means.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::{ASK_AGAIN, Examination};
use crate::{
    command::doctor::{
        asking::{Answer, Asking},
        report::{Outcome, Report},
        uses,
    },
    config::Feed,
    desk::Desk,
    venue::{Product, Reason, Subscribe, Venue},
    verdict::{self, Evidence, Mistake},
};

impl Examination<'_> {
    /// Asks for each channel of the feed's first connection, heartbeats first. Whether all of it was taken with a signature;
    /// None where nobody answered.
    pub(super) async fn ask_feed(&self, feed: &Feed, report: &mut Report) -> Option<bool> {
        let subject = format!("feed {}", feed.name);
        let unknown = |report: &mut Report, why: String| report.add(&*subject, Outcome::Unknown, why);
        let products = match self.products(feed).await {
            Ok(products) => products,
            Err(error) => {
                unknown(report, format!("its patterns choose nothing: {error}"));
                return None;
            }
        };
        let mut asking = match self.connect(feed).await {
            Ok(asking) => asking,
            Err(error) => {
                unknown(report, format!("{}: {error}", feed.url));
                return None;
            }
        };
        let desk = self.desks.iter().find(|desk| uses(feed, desk.credentials()));
        let legs = feed.venue.legs(&feed.channels, &products, &feed.accounts);
        let (mut taken, mut whole, mut unknown_products) = (Vec::new(), true, Vec::new());
        for subscribe in legs.first().into_iter().flatten().flat_map(apart) {
            let name = name(&subscribe);
            let answer = loop {
                let Some(subscribe) = without(&subscribe, &unknown_products) else { break None };
                let answer = self.settle(&mut asking, &subscribe, desk).await;
                // One product keeps back all that is asked with it: the others are asked for without.
                let Some(product) = refused_product(feed.venue, &subscribe, &answer) else { break Some(answer) };
                let what = format!("{name} of {product}: {answer}");
                report.found(&*subject, what, feed.venue, vec![verdict::of_left_out(product.as_str())]);
                unknown_products.push(product);
            };
            whole &= matches!(answer, Some(Answer::Taken(_)));
            let Some(answer) = answer else { continue };
            match answer {
                Answer::Taken(left_out) => {
                    for product in left_out {
                        let what = format!("{name} of {product}: left out of the venue's answer, without a word");
                        report.found(&*subject, what, feed.venue, vec![verdict::of_left_out(&product)]);
                    }
                    taken.push(name);
                }
                Answer::Refused(words) => {
                    self.judge_refusal(feed, &subscribe, desk, &words, &mut asking, report).await;
                    // The others would be refused as well, and for the same reason.
                    break;
                }
                Answer::Silent => unknown(report, format!("{name}: {answer}")),
                Answer::Lost(_) => {
                    unknown(report, format!("{name}: {answer}"));
                    break;
                }
            }
        }
        asking.leave().await;
        if !taken.is_empty() {
            let signed = if desk.is_some() { "signed" } else { "unsigned" };
            report.add(&*subject, Outcome::Well, format!("{}: {} taken, {signed}", feed.url, taken.join(", ")));
        }
        Some(whole && desk.is_some())
    }

    async fn judge_refusal(
        &self,
        feed: &Feed,
        subscribe: &Subscribe,
        desk: Option<&Arc<Desk>>,
        words: &str,
        asking: &mut Asking<'_>,
        report: &mut Report,
    ) {
        let (channel, reason) = (subscribe.channels.first().copied(), feed.venue.reason(words));
        let unsigned = || Evidence::unsigned(feed.venue, channel, reason);
        let mut findings =
            verdict::causes(&desk.map_or_else(unsigned, |desk| desk.evidence(feed.venue, channel, reason, true)));
        let mut what = format!("{} is refused: {words:?}", name(subscribe));
        // A channel that is taken without a signature is known to the venue: it is the credentials.
        let public = subscribe.channels.iter().all(|channel| !channel.private);
        if desk.is_some() && public && matches!(asking.ask(subscribe, None).await, Answer::Taken(_)) {
            what.push_str("; without a signature it is taken");
            findings.retain(|finding| finding.mistake != Mistake::ChannelName);
        }
        report.add_because(format!("feed {}", feed.name), Outcome::Ill, what, feed.venue, findings);
    }

    /// Asks; a refusal counts when it stands against a second signature.
    async fn settle(&self, asking: &mut Asking<'_>, subscribe: &Subscribe, desk: Option<&Arc<Desk>>) -> Answer {
        let first = asking.ask(subscribe, desk.map(|desk| &**desk)).await;
        match (&first, desk) {
            (Answer::Refused(words), Some(_)) if asking.venue.reason(words) != Reason::Product => {
                sleep_until(Instant::now() + ASK_AGAIN).await;
                asking.ask(subscribe, desk.map(|desk| &**desk)).await
            }
            _ => first,
        }
    }
}

/// One channel a message, since a refusal does not say what it refuses.
fn apart(subscribe: &Subscribe) -> impl Iterator<Item = Subscribe> {
    subscribe.channels.iter().map(|channel| Subscribe { channels: vec![channel], ..subscribe.clone() })
}

/// The same without products that the venue does not know; None where no other is left.
fn without(subscribe: &Subscribe, unknown: &[Product]) -> Option<Subscribe> {
    let products: Vec<_> = subscribe.products.iter().filter(|product| !unknown.contains(product)).cloned().collect();
    (subscribe.products.is_empty() || !products.is_empty()).then(|| Subscribe { products, ..subscribe.clone() })
}

/// The product that the venue names in its refusal.
fn refused_product(venue: &Venue, subscribe: &Subscribe, answer: &Answer) -> Option<Product> {
    let Answer::Refused(words) = answer else { return None };
    subscribe.named_in(words).into_iter().next().filter(|_| venue.reason(words) == Reason::Product)
}

fn name(subscribe: &Subscribe) -> String {
    subscribe.channels.iter().map(|channel| channel.name).collect::<Vec<_>>().join(", ")
}
