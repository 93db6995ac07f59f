//! The metric of requests that the application never sees.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::wire::Refusals;

/// Reads the transport's counts at every scrape.
#[derive(Debug)]
pub(super) struct RefusalTotals(pub(super) Arc<Refusals>);

impl Collector for RefusalTotals {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests that were refused before the application saw them";
        let mut metric = encoder.encode_descriptor("http_refused", help, None, MetricType::Counter)?;
        for (reason, total) in self.0.totals() {
            let status = reason.status.map_or("none".to_owned(), |status| status.to_string());
            let labels = [("reason", reason.label), ("status", status.as_str())];
            ConstCounter::new(total).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
