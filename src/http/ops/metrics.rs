//! Metrics for Prometheus. Labels come from closed sets, so that no client can make them grow.

use std::fmt;
use std::sync::Arc;
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

use crate::base::dropped_log_lines;
use crate::http::api::Resource;
use crate::http::ops::refusal_metrics::RefusalTotals;
use crate::registry::{Collected as CollectorTotals, Registry, Totals};
use crate::wire::{Refusals, Sent};

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
    cut_off: Counter,
}

impl Metrics {
    /// Makes the metrics of an app over this registry.
    pub(in crate::http) fn new(registry: Registry, refusals: Arc<Refusals>) -> Self {
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
        let cut_off = Counter::default();
        collected.register(
            "http_requests_cut_off",
            "Requests that ended before they had an answer: by a stop, or because the client left",
            cut_off.clone(),
        );
        collected.register_collector(Box::new(RefusalTotals(refusals)));
        collected.register_collector(Box::new(RegistryTotals(registry)));
        Self { collected, requests, seconds, bytes_in, bytes_out, in_flight, panics, cut_off }
    }

    /// Counts a request as in flight until the returned guard is dropped.
    pub(in crate::http) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Counts a request whose handler panicked.
    pub(in crate::http) fn count_panic(&self) {
        self.panics.inc();
    }

    /// Counts a request that ended without an answer.
    pub(in crate::http) fn count_cut_off(&self) {
        self.cut_off.inc();
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

/// What the registry counts, as one scrape finds it.
#[derive(Debug, Clone, Copy)]
struct Snapshot {
    totals: Totals,
    collected: CollectorTotals,
}

/// A metric whose value is kept elsewhere, by the registry for the most part.
struct RegistryMetric {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: fn(&Snapshot) -> Option<Value>,
}

/// A value and its type; a metric without one is not rendered.
enum Value {
    Counter(u64),
    CounterSeconds(f64),
    Gauge(u64),
    GaugeSeconds(f64),
}

/// Every metric of the registry: its name, its help, and where its value and type come from.
#[rustfmt::skip]
const REGISTRY_METRICS: [RegistryMetric; 22] = [
    RegistryMetric {
        name: "collector_passes", help: "Passes of the collector.", unit: None,
        value: |now| Some(Value::Counter(now.collected.passes)),
    },
    RegistryMetric {
        name: "collector_removed", help: "Bytes of content that the collector removed.",
        unit: Some(Unit::Bytes),
        value: |now| Some(Value::Counter(now.collected.removed_bytes)),
    },
    RegistryMetric {
        name: "collector_last_pass", help: "Time that the collector's last pass took, pauses included.",
        unit: Some(Unit::Seconds),
        value: |now| Some(Value::GaugeSeconds(now.collected.last_duration_ms as f64 / 1e3)),
    },
    RegistryMetric {
        name: "untagged",
        help:
            "Bytes of untagged manifests that stay, and of what only they need, as the last pass found them.",
        unit: Some(Unit::Bytes),
        value: |now| Some(Value::Gauge(now.collected.untagged_bytes)),
    },
    RegistryMetric {
        name: "blobs", help: "Blobs that are stored, manifests among them.", unit: None,
        value: |now| Some(Value::Gauge(now.totals.blobs)),
    },
    RegistryMetric {
        name: "blobs_stored", help: "Bytes of the blobs that are stored.", unit: Some(Unit::Bytes),
        value: |now| Some(Value::Gauge(now.totals.blob_bytes)),
    },
    RegistryMetric {
        name: "unfiled", help: "Bytes of content that has no file yet.", unit: Some(Unit::Bytes),
        value: |now| Some(Value::Gauge(now.totals.unfiled_bytes)),
    },
    RegistryMetric {
        name: "index", help: "Bytes of the index's files.", unit: Some(Unit::Bytes),
        value: |now| Some(Value::Gauge(now.totals.index_bytes)),
    },
    RegistryMetric {
        name: "uploads_in_flight", help: "Upload sessions that have begun and not ended.", unit: None,
        value: |now| Some(Value::Gauge(now.totals.uploads)),
    },
    RegistryMetric {
        name: "disk_free", help: "Bytes that are free on the disk, the reserve among them.",
        unit: Some(Unit::Bytes),
        value: |now| now.totals.free_bytes.map(Value::Gauge),
    },
    RegistryMetric {
        name: "disk_free_inodes", help: "Files and folders that can still be created.", unit: None,
        value: |now| now.totals.free_files.map(Value::Gauge),
    },
    RegistryMetric {
        name: "read_only", help: "1 while the filesystem is read-only, else 0.", unit: None,
        value: |now| Some(Value::Gauge(now.totals.read_only.into())),
    },
    RegistryMetric {
        name: "writes_refused", help: "1 while writes are refused after a failed sync, else 0.", unit: None,
        value: |now| Some(Value::Gauge(now.totals.writes_refused.into())),
    },
    RegistryMetric {
        name: "reopen_tries", help: "Tries to reopen the store that have failed since then.", unit: None,
        value: |now| Some(Value::Gauge(now.totals.reopen_tries)),
    },
    RegistryMetric {
        name: "reopened", help: "How often the store was reopened after a failed sync.", unit: None,
        value: |now| Some(Value::Counter(now.totals.reopened)),
    },
    RegistryMetric {
        name: "scrub_read", help: "Bytes of content that were read and verified.", unit: Some(Unit::Bytes),
        value: |now| Some(Value::Counter(now.totals.scrub.bytes)),
    },
    RegistryMetric {
        name: "scrub_damaged", help: "Pieces of content that were found damaged or missing.", unit: None,
        value: |now| Some(Value::Counter(now.totals.scrub.damaged)),
    },
    RegistryMetric {
        name: "damaged_images",
        help: "Tags that lead to damaged or missing content, as an examination or a command found them last.",
        unit: None,
        value: |now| now.totals.damaged_images.map(Value::Gauge),
    },
    RegistryMetric {
        name: "scrub_last_full_pass",
        help: "When all content had been verified last, since 1970; 0 for never.",
        unit: Some(Unit::Seconds),
        value: |now| Some(Value::Gauge(now.totals.scrub.last_full_pass)),
    },
    RegistryMetric {
        name: "log_lines_dropped", help: "Log lines that standard error did not take in time.", unit: None,
        value: |_| Some(Value::Counter(dropped_log_lines())),
    },
    RegistryMetric {
        name: "disk_syncs", help: "Files and folders that were synced.", unit: None,
        value: |now| Some(Value::Counter(now.totals.syncs)),
    },
    RegistryMetric {
        name: "disk_sync", help: "Time that syncing took.", unit: Some(Unit::Seconds),
        value: |now| {
            Some(Value::CounterSeconds(now.totals.sync_nanoseconds as f64 / NANOSECONDS_PER_SECOND))
        },
    },
];

impl Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for RegistryMetric { name, help, unit, value } in &REGISTRY_METRICS {
            let Some(value) = value(self) else { continue };
            let kind = match value {
                Value::Counter(_) | Value::CounterSeconds(_) => MetricType::Counter,
                Value::Gauge(_) | Value::GaugeSeconds(_) => MetricType::Gauge,
            };
            let descriptor = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            match value {
                Value::Counter(count) => ConstCounter::new(count).encode(descriptor)?,
                Value::CounterSeconds(seconds) => ConstCounter::new(seconds).encode(descriptor)?,
                Value::Gauge(now) => {
                    ConstGauge::new(i64::try_from(now).unwrap_or(i64::MAX)).encode(descriptor)?;
                }
                Value::GaugeSeconds(seconds) => ConstGauge::new(seconds).encode(descriptor)?,
            }
        }
        Ok(())
    }
}

/// Takes a snapshot of the registry at every scrape.
#[derive(Debug)]
struct RegistryTotals(Registry);

impl Collector for RegistryTotals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        Snapshot { totals: self.0.totals(), collected: self.0.collected() }.encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::ScrubTotals;

    /// Renders a snapshot the way a scrape does.
    #[derive(Debug)]
    struct Fixed(Snapshot);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            self.0.encode(encoder)
        }
    }

    #[test]
    fn the_totals_of_the_registry_are_rendered() {
        let mut collected = Collected::with_prefix("pulk");
        let totals = Totals {
            blobs: 3,
            blob_bytes: 1024,
            unfiled_bytes: 512,
            uploads: 2,
            index_bytes: 4096,
            syncs: 7,
            sync_nanoseconds: 1_500_000_000,
            free_bytes: Some(9),
            free_files: Some(10),
            read_only: true,
            writes_refused: true,
            reopen_tries: 12,
            reopened: 13,
            damaged_images: Some(14),
            scrub: ScrubTotals { bytes: 5, damaged: 1, last_full_pass: 77 },
        };
        let of_collector =
            CollectorTotals { passes: 5, removed_bytes: 6, last_duration_ms: 2500, untagged_bytes: 8 };
        let snapshot = Snapshot { totals, collected: of_collector };
        collected.register_collector(Box::new(Fixed(snapshot)));
        let mut rendered = String::new();
        text::encode(&mut rendered, &collected).unwrap();
        for line in [
            "pulk_blobs 3",
            "pulk_blobs_stored_bytes 1024",
            "pulk_unfiled_bytes 512",
            "pulk_uploads_in_flight 2",
            "pulk_index_bytes 4096",
            "pulk_disk_free_bytes 9",
            "pulk_disk_free_inodes 10",
            "pulk_read_only 1",
            "pulk_writes_refused 1",
            "pulk_reopen_tries 12",
            "pulk_reopened_total 13",
            "pulk_scrub_read_bytes_total 5",
            "pulk_scrub_damaged_total 1",
            "pulk_damaged_images 14",
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
