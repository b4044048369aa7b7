//! One scrape as it is written: families of samples, by the rules of `OpenMetrics`.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use crate::output::Timing;

/// What is being written.
pub(super) struct Page<'a>(pub DescriptorEncoder<'a>);

/// What tells one sample of a family from another.
pub(super) type Labels<'a> = Vec<(&'a str, &'a str)>;

/// How a family is called, without what its unit and its type put behind it, and what it is in one sentence.
#[derive(Clone, Copy)]
pub(super) struct Named(pub &'static str, pub &'static str);

impl Page<'_> {
    /// What only ever grows.
    pub fn counter<'l>(
        &mut self,
        named: Named,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let Named(name, help) = named;
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    /// The same of one thing that is counted in fractions.
    pub fn real_counter(&mut self, Named(name, help): Named, unit: &Unit, value: f64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, Some(unit), MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    /// What is as it is now. Without samples nothing is written: what is not known is not 0.
    pub fn gauge<'l>(
        &mut self,
        named: Named,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        let Named(name, help) = named;
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// How long something takes.
    pub fn histogram(&mut self, Named(name, help): Named, timing: &Timing) -> fmt::Result {
        // The sum first: it may lag behind the counts, and is never of more than they are.
        let sum = timing.sum().as_secs_f64();
        let buckets: Vec<_> = timing.buckets().collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let mut family = self.0.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        family.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    /// What a build or a run is.
    pub fn info(&mut self, Named(name, help): Named, labels: &Labels<'_>) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }
}

/// 1 where it is so, else 0.
pub(super) fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

/// Exact up to 2^53: nine petabytes.
#[allow(clippy::cast_precision_loss, reason = "what is shown is rounded beyond nine petabytes")]
pub(super) fn real(whole: u64) -> f64 {
    whole as f64
}
