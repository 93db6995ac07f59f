//! Metrics for Prometheus. Labels come from closed sets, so that no client can make them grow.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry as Collected, Unit};
use tide::http::Method;

use crate::http::api::Resource;
use crate::registry::{Collected as CollectorTotals, Registry, ScrubTotals, Totals};
use crate::wire::Sent;

/// The Content-Type of the text format that is rendered.
pub(in crate::http) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bounds of the histogram, from an index read to an upload over a slow line.
const BUCKETS_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0];

const NANOSECONDS_PER_SECOND: f64 = 1e9;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

type Histograms = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// What was counted since the start, and where it is rendered from.
#[derive(Debug)]
pub(in crate::http) struct Metrics {
    collected: Collected,
    requests: Family<RequestLabels, Counter>,
    seconds: Histograms,
    bytes_in: Counter,
    bytes_out: Counter,
    in_flight: Gauge,
    panics: Counter,
}

impl Metrics {
    /// Makes the metrics of an app over this registry.
    pub(in crate::http) fn new(registry: Registry) -> Self {
        let mut collected = Collected::with_prefix("pulk");
        let requests = Family::default();
        let seconds: Histograms = Family::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS));
        let (bytes_in, bytes_out, in_flight) = (Counter::default(), Counter::default(), Gauge::default());
        collected.register("http_requests", "Requests that were answered", requests.clone());
        collected.register_with_unit(
            "http_request_duration",
            "Time from a request's head to the end of its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        collected.register_with_unit(
            "http_received",
            "Bytes of request bodies that were read",
            Unit::Bytes,
            bytes_in.clone(),
        );
        collected.register_with_unit(
            "http_sent",
            "Bytes of answers' bodies that sockets took",
            Unit::Bytes,
            bytes_out.clone(),
        );
        collected.register("http_requests_in_flight", "Requests that are being answered", in_flight.clone());
        let panics = Counter::default();
        collected.register("http_panics", "Requests whose handler panicked", panics.clone());
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        collected.register("build", "The program that runs", build);
        collected.register_collector(Box::new(RegistryTotals(registry)));
        Self { collected, requests, seconds, bytes_in, bytes_out, in_flight, panics }
    }

    /// Counts a request that has begun. It counts as in flight until what is returned is dropped.
    pub(in crate::http) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a request whose handler panicked.
    pub(in crate::http) fn count_panic(&self) {
        self.panics.inc();
    }

    /// Counts a request that was answered.
    pub(in crate::http) fn count(
        &self,
        resource: Resource,
        method: Method,
        status: u16,
        time: Duration,
        sent: Sent,
    ) {
        let (route, method) = (resource.template(), method_label(method));
        self.requests.get_or_create(&RequestLabels { route, method, status }).inc();
        self.seconds.get_or_create(&RouteLabels { route, method }).observe(time.as_secs_f64());
        self.bytes_in.inc_by(sent.bytes_in);
        self.bytes_out.inc_by(sent.bytes_out);
    }

    /// Renders everything.
    pub(in crate::http) fn render(&self) -> Result<String, fmt::Error> {
        let mut rendered = String::new();
        text::encode(&mut rendered, &self.collected)?;
        Ok(rendered)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(in crate::http) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn method_label(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Options => "OPTIONS",
        _ => "OTHER",
    }
}

/// Asks the registry for its totals whenever somebody looks.
#[derive(Debug)]
struct RegistryTotals(Registry);

impl Collector for RegistryTotals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encoder = encoder;
        encode_collected(&self.0.collected(), &mut encoder)?;
        encode_totals(&self.0.totals(), encoder)
    }
}

fn encode_collected(collected: &CollectorTotals, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let CollectorTotals { passes, removed_bytes, last_duration_ms, untagged_bytes } = *collected;
    let descriptor = encoder.encode_descriptor(
        "collector_passes",
        "Passes of the collector.",
        None,
        MetricType::Counter,
    )?;
    ConstCounter::new(passes).encode(descriptor)?;
    let help = "Bytes of content that the collector removed.";
    let bytes = Some(&Unit::Bytes);
    let descriptor = encoder.encode_descriptor("collector_removed", help, bytes, MetricType::Counter)?;
    ConstCounter::new(removed_bytes).encode(descriptor)?;
    let help = "Time that the collector's last pass took, pauses included.";
    let seconds = Some(&Unit::Seconds);
    let descriptor = encoder.encode_descriptor("collector_last_pass", help, seconds, MetricType::Gauge)?;
    ConstGauge::new(last_duration_ms as f64 / 1e3).encode(descriptor)?;
    let help =
        "Bytes of untagged manifests that stay, and of what only they need, as the last pass found them.";
    let descriptor = encoder.encode_descriptor("untagged", help, bytes, MetricType::Gauge)?;
    ConstGauge::new(i64::try_from(untagged_bytes).unwrap_or(i64::MAX)).encode(descriptor)
}

fn encode_totals(totals: &Totals, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let Totals { blobs, blob_bytes, uploads, index_bytes, syncs, sync_nanoseconds, free_bytes, scrub } =
        *totals;
    let free = free_bytes.map(|free| {
        ("disk_free", "Bytes that are free on the disk, the reserve among them.", Some(&Unit::Bytes), free)
    });
    let gauges = [
        ("blobs", "Blobs that are stored, manifests among them.", None, blobs),
        ("blobs_stored", "Bytes of the blobs that are stored.", Some(&Unit::Bytes), blob_bytes),
        ("index", "Bytes of the index's files.", Some(&Unit::Bytes), index_bytes),
        ("uploads_in_flight", "Upload sessions that have begun and not ended.", None, uploads),
    ];
    for (name, help, unit, value) in gauges.into_iter().chain(free) {
        let descriptor = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(descriptor)?;
    }
    encode_scrub(&scrub, &mut encoder)?;
    let help = "Files and folders that were synced.";
    let descriptor = encoder.encode_descriptor("disk_syncs", help, None, MetricType::Counter)?;
    ConstCounter::new(syncs).encode(descriptor)?;
    let help = "Time that syncing took.";
    let descriptor =
        encoder.encode_descriptor("disk_sync", help, Some(&Unit::Seconds), MetricType::Counter)?;
    ConstCounter::new(sync_nanoseconds as f64 / NANOSECONDS_PER_SECOND).encode(descriptor)
}

fn encode_scrub(scrub: &ScrubTotals, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let ScrubTotals { bytes, damaged, last_full_pass } = *scrub;
    let counters = [
        ("scrub_read", "Bytes of content that were read and verified.", Some(&Unit::Bytes), bytes),
        ("scrub_damaged", "Pieces of content that were found damaged or missing.", None, damaged),
    ];
    for (name, help, unit, value) in counters {
        let descriptor = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        ConstCounter::new(value).encode(descriptor)?;
    }
    let help = "When all content had been verified last, since 1970; 0 for never.";
    let name = "scrub_last_full_pass";
    let descriptor = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
    ConstGauge::new(i64::try_from(last_full_pass).unwrap_or(i64::MAX)).encode(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders the totals the way a scrape does.
    #[derive(Debug)]
    struct Fixed(Totals);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let mut encoder = encoder;
            let collected =
                CollectorTotals { passes: 5, removed_bytes: 6, last_duration_ms: 2500, untagged_bytes: 8 };
            encode_collected(&collected, &mut encoder)?;
            encode_totals(&self.0, encoder)
        }
    }

    #[test]
    fn the_totals_of_the_registry_are_rendered() {
        let mut collected = Collected::with_prefix("pulk");
        let totals = Totals {
            blobs: 3,
            blob_bytes: 1024,
            uploads: 2,
            index_bytes: 4096,
            syncs: 7,
            sync_nanoseconds: 1_500_000_000,
            free_bytes: Some(9),
            scrub: ScrubTotals { bytes: 5, damaged: 1, last_full_pass: 77 },
        };
        collected.register_collector(Box::new(Fixed(totals)));
        let mut rendered = String::new();
        text::encode(&mut rendered, &collected).unwrap();
        for line in [
            "pulk_blobs 3",
            "pulk_blobs_stored_bytes 1024",
            "pulk_uploads_in_flight 2",
            "pulk_index_bytes 4096",
            "pulk_disk_free_bytes 9",
            "pulk_scrub_read_bytes_total 5",
            "pulk_scrub_damaged_total 1",
            "pulk_scrub_last_full_pass_seconds 77",
            "pulk_disk_syncs_total 7",
            "pulk_collector_passes_total 5",
            "pulk_collector_removed_bytes_total 6",
            "pulk_collector_last_pass_seconds 2.5",
            "pulk_untagged_bytes 8",
            "pulk_disk_sync_seconds_total 1.5",
        ] {
            assert!(rendered.lines().any(|rendered| rendered == line), "{line} is not in\n{rendered}");
        }
    }

    #[test]
    fn methods_that_are_not_ours_share_one_label() {
        assert_eq!(method_label(Method::Patch), "PATCH");
        assert_eq!(method_label(Method::Trace), "OTHER");
        assert_eq!(method_label(Method::MkCol), "OTHER");
    }
}
