//! For operators: health, metrics and the access log.

mod access_log;
pub(in crate::http) mod health;
mod metrics;
mod refusal_metrics;

pub(in crate::http) use access_log::{AccessEntry, RequestId};
pub(in crate::http) use metrics::Metrics;
pub(in crate::http) use metrics::{InFlight, OPEN_METRICS};
